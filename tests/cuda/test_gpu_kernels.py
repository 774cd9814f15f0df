"""Which kernel a call finds: run by ``pytest --device cuda tests/cuda`` (tests/test_cuda_standin.py does)."""

import pytest

import rushlight as torch
from rushlight.lang import functions as fn
from rushlight.ops import _define

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
N = _define.core.OPERAND_LIMIT - 1  # operands beside one result


def weighted(rows):
    """An operator of as many operands as a kernel takes: x0 + 2 x1 + 3 x2 ..., of rows the largest one."""
    names = [f"x{i}" for i in range(N)]
    total = " + ".join(f"{name} * {i + 1}.0" for i, name in enumerate(names))
    scope = {"fn": fn}
    exec(f"def weighted({', '.join(names)}{', dim=None' if rows else ''}):\n    return {f'fn.max({total})' if rows else total}", scope)
    make = _define._rowwise if rows else _define._pointwise
    try:
        return make(scope["weighted"], where="", **({} if rows else {"inplace": False}))
    finally:
        del _define.registry["weighted"]


def lying(x, how):
    """Rows of 6 of x's numbers, on a GPU."""
    x = x.cuda()
    return {"dense": x[:, :6].contiguous(), "broadcast": x[:, :1].expand(2, 6), "strided": x[:, ::2]}[how]


@pytest.mark.parametrize("rows", [False, True])
def test_the_last_of_many_operands_count_as_the_first_do(rows):
    """One after the other lies otherwise than the rest, and finds a kernel of its own."""
    op, x = weighted(rows), torch.arange(24.0, device="cpu").reshape(2, 12)
    for k, how in ((None, "dense"), *((k, how) for k in range(N - 4, N) for how in ("broadcast", "strided"))):
        operands = [lying(x + i, "strided" if i == 0 else how if i == k else "dense") for i in range(N)]
        total = sum((t.cpu() * (i + 1) for i, t in enumerate(operands)))
        found = op(*operands, dim=1) if rows else op(*operands)
        assert found.tolist() == (total.amax(1) if rows else total).tolist(), (k, how)
