"""Bad input: PyTorch's exception with its first line, no leak, no crash; sizes beyond memory; graphs of any depth."""

import gc
import os
import pathlib
import subprocess
import sys
import traceback
import warnings

import pytest
from place import on_gpu, settle, worded

import rushlight as torch
from rushlight import nn

ROOT = pathlib.Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"


def table(name):
    """[(statement, expected answer)] of a data file of `statement ==> answer # why`."""
    lines = [line for line in (DATA / name).read_text().splitlines() if line and not line.startswith("# ")]
    return [tuple(line.partition(" # ")[0].split(" ==> ", 1)) for line in lines]


ERRORS = table("errors.txt")
CALLS = [pytest.param(*e, marks=pytest.mark.cpu("what is said where there is no GPU")) if '"cuda' in e[0] else e for e in ERRORS]


def answer(statement):
    """What a statement raises: type and first line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(statement, {"torch": torch, "nn": nn})
            settle()
        except Exception as error:
            return f"{type(error).__name__}: {worded(str(error)).splitlines()[0]}"
    return "no error"


@pytest.mark.parametrize(("statement", "expected"), CALLS)
def test_errors_are_those_of_pytorch(statement, expected):
    if on_gpu():  # an index found wrong by a kernel is always an IndexError
        expected = expected.replace("RuntimeError: index", "IndexError: index")
    assert answer(statement) == expected


@pytest.mark.parametrize(("statement", "expected"), table("differences.txt"))
def test_where_they_differ_on_purpose(statement, expected):
    assert answer(statement) == expected


def test_errors_keep_their_type_for_subclasses_of_builtins():
    with pytest.raises(torch.linalg.LinAlgError) as raised:
        torch.linalg.inv(torch.zeros(2, 2))
    assert isinstance(raised.value, RuntimeError)


# --- leaks


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_ten_thousand_failing_calls_leave_memory_flat():
    programs = [(compile(statement, "errors.txt", "exec"), {"torch": torch, "nn": nn}) for statement, _ in ERRORS]

    def rounds(n):
        failed = 0
        for _ in range(n):
            for code, space in programs:
                try:
                    exec(code, dict(space))
                    settle()
                except Exception:
                    failed += 1
        gc.collect()
        return failed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounds(3)
        before = resident()
        assert rounds(10_000 // len(programs) + 1) >= 9_500
        assert resident() - before < 2_000_000


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_training_steps_leave_memory_flat():
    model = nn.Sequential(nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 3))
    optimizer = torch.optim.Adam(model.parameters())

    def steps(n):
        for _ in range(n):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.ones(20, 50)), torch.zeros(20, dtype=torch.int64)).backward()
            optimizer.step()
        settle()  # what is queued takes memory, too

    steps(30)
    before = resident()
    steps(500)
    assert resident() - before < 1_000_000


def test_a_failed_backward_leaves_nothing_behind():
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            raise ValueError("no gradient today")

    x = torch.ones(300_000, requires_grad=True)
    before = resident()
    for _ in range(50):
        with pytest.raises(ValueError, match="no gradient today"):
            Fails.apply(x * 3).sum().backward()
    assert x.grad is None
    gc.collect()
    assert resident() - before < 10_000_000
    (x * 2).sum().backward()
    assert x.grad[0].item() == 2


# --- sizes

BEYOND = 10**15  # elements: no machine has this memory


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.empty(BEYOND),
        lambda: torch.zeros(BEYOND, dtype=torch.int8),
        lambda: torch.ones(1).expand(BEYOND).contiguous(),
        lambda: torch.ones(1).expand(BEYOND) + 1,
        lambda: torch.ones(1).expand(BEYOND).clone(),
        lambda: torch.ones(2, 1).expand(2, BEYOND).softmax(1),
        lambda: torch.arange(BEYOND),
        lambda: torch.eye(10**8),
        lambda: torch.ones(10**5, 1).expand(10**5, 10**10) @ torch.ones(1, 1).expand(10**10, 10**10),
        lambda: torch.randn(BEYOND),
        lambda: torch.cat([torch.ones(1).expand(BEYOND)] * 2),
        lambda: torch.ones(3).repeat(BEYOND),
        lambda: torch.ones(2).resize_(2**61),
        lambda: torch.ones(1, 1).expand(10**8, 1) * torch.ones(1, 1).expand(1, 10**8),
    ],
)
def test_sizes_beyond_memory(call):
    with pytest.raises(RuntimeError, match=r"alloc|overflow|memory|too large"):
        call()
    assert torch.ones(2).sum().item() == 2


@pytest.mark.parametrize("size", [(2**40, 2**40), (2**63 - 1,), (2**32, 2**32, 2**32), (2**62, 4)])
def test_sizes_beyond_integers(size):
    for call in (lambda: torch.empty(size), lambda: torch.ones(1).expand(size).clone(), lambda: torch.zeros(size, dtype=torch.int8)):
        with pytest.raises((RuntimeError, OverflowError)):
            call()


def test_ranks():
    assert torch.ones((1,) * 64).ndim == 64
    for beyond in (lambda: torch.ones((1,) * 65), lambda: torch.ones((1,) * 64).unsqueeze(0)):
        with pytest.raises((RuntimeError, ValueError), match="64"):
            beyond()
    high = torch.ones((1,) * 63 + (3,), requires_grad=True)
    (high + high).sum().backward()
    assert high.grad.flatten().tolist() == [2, 2, 2]


# --- depth


def test_a_chain_of_a_hundred_thousand_nodes():
    x = torch.ones(2, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    del y
    gc.collect()


def test_a_long_chain_that_is_never_run_dies_quietly():
    program = """
import rushlight as torch
x = torch.ones(2, requires_grad=True)
for shape in range(4):
    y = x
    for i in range(100_000 if shape < 2 else 20_000):
        y = y * 1.0 if shape == 0 else y + 1 if shape == 1 else y.t() if shape == 2 else y.softmax(0)
    del y
print('alive')
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.stdout == "alive\n", run.stderr


# --- hostile objects


class Hostile:
    """Answers every question with an error."""

    def __getattr__(self, name):
        raise ValueError(name)

    def __len__(self):
        raise ValueError("len")

    def __index__(self):
        raise ValueError("index")

    def __float__(self):
        raise ValueError("float")


@pytest.mark.parametrize(
    "call",
    [
        lambda h: torch.tensor(h),
        lambda h: torch.tensor([1.0, h]),
        lambda h: torch.zeros(h),
        lambda h: torch.ones(2)[h],
        lambda h: torch.ones(2).view(h),
        lambda h: torch.add(torch.ones(2), h),
        lambda h: torch.ones(2) + h,
        lambda h: h + torch.ones(2),
        lambda h: torch.full((2,), h),
        lambda h: torch.cat([torch.ones(2), h]),
        lambda h: torch.cat(h),
        lambda h: torch.ones(2).sum(dim=h),
        lambda h: torch.ones(2).to(h),
        lambda h: torch.arange(h),
        lambda h: torch.ones(2).backward(h),
        lambda h: torch.ones(2).fill_(h),
        lambda h: torch.ones(2).__setitem__(0, h),
        lambda h: torch.manual_seed(h),
        lambda h: torch.device(h),
        lambda h: torch.where(h, 1, 2),
        lambda h: torch.nn.functional.linear(h, torch.ones(2)),
    ],
)
def test_hostile_objects_raise(call):
    for stranger in (Hostile(), object(), "text", b"bytes", {}, {1: 2}, None, lambda: 0, float):
        try:
            call(stranger)
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
            continue
    assert torch.ones(2).sum().item() == 2


def test_a_list_that_holds_itself():
    endless = []
    endless.append(endless)
    with pytest.raises((ValueError, RecursionError, TypeError)):
        torch.tensor(endless)


# --- numbers given as 0-dim tensors live as long as the call


def test_numeric_attributes_given_as_tensors():
    x = torch.tensor([1.0, float("nan"), float("inf"), -float("inf")])
    for _ in range(100):
        kept = torch.nan_to_num(x, nan=torch.tensor(5.25), posinf=torch.tensor(2.125), neginf=torch.tensor(1.625))
        assert kept.tolist() == [1, 5.25, 2.125, 1.625]
    leaf = torch.ones(2, requires_grad=True)
    total = torch.add(leaf, leaf, alpha=torch.tensor(2.5)).sum()
    litter = [i + 0.5 for i in range(10_000)]
    total.backward()
    assert leaf.grad.tolist() == [3.5, 3.5] and litter
    with pytest.raises(TypeError, match=r"argument 'alpha'.* must be Number, not Tensor"):
        torch.add(leaf, 1, alpha=torch.ones(2))


def test_a_constant_operator_has_a_zero_gradient():
    for name in ("floor", "ceil", "round", "trunc", "sign"):
        x = torch.tensor([1.5, -2.5], requires_grad=True)
        getattr(x, name)().sum().backward()
        assert x.grad.tolist() == [0, 0], name


def test_a_tensor_that_was_never_constructed_is_empty():
    bare = torch.Tensor.__new__(torch.Tensor)
    assert bare.shape == (0,) and (bare + 1).numel() == 0 and bare.tolist() == []
    assert repr(bare).replace(", device='cpu'", "") == "tensor([])"


def test_a_traceback_ends_at_the_users_line():
    """Frames of the core are left out, also where it caught the error and raised it again."""

    def entries(call):
        with pytest.raises(Exception) as caught:
            call()
        return [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]

    assert entries(lambda: torch.ones(2) + torch.ones(3))[-1] == "<lambda>"
    assert entries(lambda: torch.ones(2).view("a"))[-1] == "<lambda>"
    assert "the core" not in entries(lambda: torch.zeros(2, 3).gather(5, torch.zeros(2, 3, dtype=torch.int64)))
