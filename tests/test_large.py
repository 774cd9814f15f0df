"""Tensors of more than 2**31 elements: what lies behind that place is found, moved and counted like the rest (slow; 7 GB of memory)."""

import pytest

import rushlight as torch

F = torch.nn.functional
N = 2**31 + 77  # bytes, so that a tensor takes 2 GB
SIDE = 46342  # of a square of more than 2**31


def _available():
    """Gigabytes that may be allocated."""
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable")) / 2**20
    except (OSError, StopIteration):
        return 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu("the host's memory"),
    pytest.mark.skipif(_available() < 10, reason="needs 10 GB of free memory"),
]


def marked():
    """Zeros, but 2, 3 and 5 at the places 7, 2**31 and at the end."""
    x = torch.zeros(N, dtype=torch.uint8)
    x[7], x[2**31], x[-1] = 2, 3, 5
    return x


def image(dtype):
    x = torch.zeros(1, 1, SIDE, SIDE, dtype=dtype)
    x[0, 0, -1, -1] = 4
    return x


def picked(x):
    return [int(x[i]) for i in (7, 2**31 - 1, 2**31, -1)]


CASES = {
    "pointwise": lambda: picked(marked() + 1) == [3, 1, 4, 6],
    "in place": lambda: picked(marked().add_(1)) == [3, 1, 4, 6],
    "where": lambda: picked(torch.where(marked() > 2, marked(), torch.tensor(1, dtype=torch.uint8))) == [1, 1, 3, 5],
    "cast": lambda: picked(marked().to(torch.int8)) == [2, 0, 3, 5],
    "sum, extrema": lambda: [f(marked()).item() for f in (torch.sum, torch.max, torch.argmax, torch.argmin)] == [10, 5, N - 1, 0],
    "any, count": lambda: (marked() > 4).any().item() and marked().count_nonzero().item() == 3,
    "nonzero": lambda: marked().nonzero().flatten().tolist() == [7, 2**31, N - 1],
    "mask": lambda: marked()[marked() > 0].tolist() == [2, 3, 5],
    "index": lambda: [f(marked()).tolist() for f in (
        lambda x: x[torch.tensor([2**31, -1])], lambda x: x.take(torch.tensor([2**31, N - 1])),
        lambda x: x.gather(0, torch.tensor([2**31, N - 1])),
    )] == 3 * [[3, 5]],
    "scatter": lambda: picked(marked().scatter_add_(0, torch.tensor([N - 1, 2**31]), torch.ones(2, dtype=torch.uint8))) == [2, 0, 4, 6],
    "flip": lambda: marked().flip(0)[[0, N - 1 - 2**31, N - 8]].tolist() == [5, 3, 2],
    "roll": lambda: marked().roll(3)[[2, 10, 2**31 + 3]].tolist() == [5, 2, 3],
    "cat": lambda: torch.cat([marked(), torch.ones(3, dtype=torch.uint8)])[[7, 2**31, N - 1, N + 2]].tolist() == [2, 3, 5, 1],
    "stack": lambda: torch.stack(2 * [marked()[2**30:]], 1)[[2**30, -1]].tolist() == [[3, 3], [5, 5]],
    "pad": lambda: picked(F.pad(marked()[None], (1, 1))[0, 1:-1]) == [2, 0, 3, 5],
    "transposed copy": lambda: image(torch.uint8)[0, 0, :-1].t().contiguous().sum().item() == 0,
    "rows and columns": lambda: torch.ones(3, 2**30, dtype=torch.uint8).sum(1).tolist() == 3 * [2**30]
    and torch.ones(2**30, 3, dtype=torch.int8).sum(0).tolist() == 3 * [2**30],
    "few largest": lambda: [r.tolist() for r in marked().topk(3)] == [[5, 3, 2], [N - 1, 2**31, 7]],
    "rank": lambda: marked().kthvalue(N - 1).values.item() == 3 and marked().median().item() == 0,
    "search": lambda: torch.searchsorted(marked()[2**31 - 5:].cummax(0).values, torch.tensor([3], dtype=torch.uint8)).item() == 5,
    "difference": lambda: picked(marked().diff()[6:-1]) != [] and marked().diff()[[6, 2**31 - 1, -1]].tolist() == [2, 3, 5],
    "random": lambda: abs(torch.empty(N, dtype=torch.uint8).random_(0, 4).eq(3).sum().item() / N - 0.25) < 1e-3,
    "triangle": lambda: torch.ones(SIDE, SIDE, dtype=torch.uint8).tril()[[0, -1, -1], [1, 0, -1]].tolist() == [0, 1, 1],
    "pooling": lambda: [r[0, 0, -1, -1].item() for r in F.max_pool2d(image(torch.bfloat16), 2, return_indices=True)] == [4, SIDE**2 - 1],
    "resize": lambda: F.interpolate(image(torch.uint8)[..., 1::2, 1::2], size=(SIDE, SIDE), mode="nearest")[0, 0, -1, -1].item() == 4,
    "product": lambda: (torch.ones(65537, 1, dtype=torch.bfloat16) @ torch.ones(1, 32769, dtype=torch.bfloat16))[-1, -1].item() == 1,
    "table": lambda: F.embedding(torch.tensor([2**25 + 2]), torch.ones(2**25 + 3, 64, dtype=torch.bfloat16)).sum().item() == 64,
    "equal": lambda: torch.equal(marked(), marked()) and not torch.equal(marked(), marked().add_(1)),
    "text": lambda: repr(marked()) == "tensor([0, 0, 0,  ..., 0, 0, 5], dtype=torch.uint8)",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_behind_two_to_the_31(case):
    assert CASES[case]()


def test_gradient():
    x = torch.ones(N, dtype=torch.bfloat16, requires_grad=True)
    (x * 2)[2**31 :].sum().backward()
    assert picked(x.grad) == [0, 0, 2, 2]


def test_file(tmp_path):
    torch.save({"x": marked()}, tmp_path / "x.pt")
    for mmap in (True, False):
        assert picked(torch.load(tmp_path / "x.pt", mmap=mmap)["x"]) == [2, 0, 3, 5]
