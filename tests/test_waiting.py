"""Large pointwise calls wait for the next one (_core/waiting.pxi): nobody sees it, whatever reads or writes elements in between."""

import io
import os
import pickle
import random
import threading

import pytest

import rushlight as torch
from rushlight._core import operator as core

np = pytest.importorskip("numpy")
COUNT = 50_000


@pytest.fixture(autouse=True)
def all_wait():
    """Results of every size wait, and hold nonsense meanwhile, until the test ends."""
    before = core.set_waiting_bytes(0)
    yield
    core.set_waiting_bytes(before)


@pytest.fixture
def x():
    return torch.linspace(-2, 2, COUNT)


def at_once(make):
    """What ``make`` returns if no call waits."""
    before = core.set_waiting_bytes(-1)
    try:
        return make()
    finally:
        core.set_waiting_bytes(before)


def same(a, b):
    return a.dtype == b.dtype and a.stride() == b.stride() and a.numpy().tobytes() == b.numpy().tobytes()


def test_calls_wait_until_one_reads(x):
    y = (torch.nn.functional.gelu(x * x + 1).tanh() * torch.sigmoid(x)).exp()
    assert core.waiting_calls() == 7
    assert y[3].item() > 0
    assert core.waiting_calls() == 0
    assert same(y, at_once(lambda: (torch.nn.functional.gelu(x * x + 1).tanh() * torch.sigmoid(x)).exp()))


def test_views_are_taken_while_others_wait(x):
    x = x.view(50, 10, 100)
    scale = torch.rand(50)
    y = (x - scale[:, None, None]) / scale.view(-1, 1, 1).expand(-1, 10, 1)
    assert core.waiting_calls() == 2
    assert y.shape == (50, 10, 100) and same(y[7:8], at_once(lambda: ((x[7] - scale[7]) / scale[7])[None]))
    z = x * 2
    part = z[7, :, 3]
    assert core.waiting_calls() == 0 and torch.equal(part + 0, x[7, :, 3] * 2)
    index = torch.arange(COUNT) * 1
    assert x[index[3]].shape == (10, 100) and (index + 1)[index[4]] == 5


def test_synchronize_makes_what_waits(x):
    y = x + 1
    torch.cpu.synchronize()
    assert core.waiting_calls() == 0 and y[0] == -1


def test_small_calls_do_not_wait():
    core.set_waiting_bytes(1 << 20)
    y = torch.ones(1000) + 1
    assert core.waiting_calls() == 0 and y[0] == 2
    z = torch.ones(1 << 18) + 1
    assert core.waiting_calls() == 1 and z[-1] == 2


READERS = {
    "item": lambda y: y[7].item(),
    "tolist": lambda y: y.tolist()[7],
    "numpy": lambda y: y.numpy()[7],
    "array": lambda y: np.asarray(y)[7],
    "memoryview": lambda y: memoryview(y)[7],
    "from_dlpack": lambda y: np.from_dlpack(y)[7],
    "sum": lambda y: y.sum().item() / COUNT - 6 + 7 * 12 / (COUNT - 1),
    "matmul": lambda y: (y.view(-1, 1)[7:8] @ torch.ones(1, 1)).item(),
    "sort": lambda y: y.sort().values[7].item(),
    "clone": lambda y: y.clone()[7].item(),
    "storage": lambda y: y.storage()[7],
    "untyped_storage": lambda y: np.frombuffer(bytes(y.untyped_storage()), np.float32)[7],
    "pickle": lambda y: pickle.loads(pickle.dumps(y))[7].item(),
    "deepcopy": lambda y: __import__("copy").deepcopy(y)[7].item(),
    "tensor": lambda y: torch.tensor(y.tolist())[7].item(),
    "nested": lambda y: torch.tensor([y[7], y[8]])[0].item(),
    "iteration": lambda y: [v for v in y[:8]][7].item(),
    "double": lambda y: y.double()[7].item(),
    "in place": lambda y: y.add_(0)[7].item(),
    "data": lambda y: y.data[7].item(),
    "detach": lambda y: y.detach()[7].item(),
    "index": lambda y: y[torch.tensor([7])].item(),
    "mask": lambda y: y[y == y[7]][0].item(),
    "set": lambda y: y.__setitem__(0, 0.0) or y[7].item(),
    "out": lambda y: torch.add(y, 0, out=torch.empty(0))[7].item(),
    "cat": lambda y: torch.cat([y, y])[7].item(),
    "vmap": lambda y: torch.func.vmap(lambda v: v * 1)(y)[7].item(),
    "jvp": lambda y: torch.func.jvp(torch.exp, (y,), (y,))[1][7].item() / y[7].exp().item(),
    "grad": lambda y: torch.func.grad(lambda v: (v * v).sum())(y)[7].item() / 2,
    "set_": lambda y: torch.empty(0).set_(y)[7].item(),
    "expand": lambda y: y.expand(2, -1)[1, 7].item(),
    "repr": lambda y: float(repr(y[7:8])[8:-2].rstrip(".")),
}


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize("name", READERS)
def test_readers_find_the_elements(x, name):
    y = x * 3 + 1
    assert core.waiting_calls() == 2
    assert READERS[name](y) == pytest.approx(-5 + 7 * 12 / (COUNT - 1), abs=1e-3)


def test_saving_reads(x):
    file = io.BytesIO()
    torch.save(x * 3, file)
    file.seek(0)
    assert torch.load(file)[0] == -6


WRITERS = {
    "add_": lambda x: x.add_(1),
    "fill_": lambda x: x.fill_(9),
    "zero_": lambda x: x.zero_(),
    "setitem": lambda x: x.__setitem__(slice(None), 9),
    "copy_": lambda x: x.copy_(torch.ones(COUNT)),
    "uniform_": lambda x: x.uniform_(),
    "numpy": lambda x: x.numpy().fill(9),
    "memoryview": lambda x: memoryview(x).__setitem__(0, 9.0),
    "untyped_storage": lambda x: x.untyped_storage().fill_(0),
    "data": lambda x: x.data.mul_(2),
    "out": lambda x: torch.ones(COUNT, out=x),
    "view": lambda x: x.view(2, -1)[0].zero_(),
    "optimizer": lambda x: step(x),
    "foreach": lambda x: torch._foreach_add_([x], 1),
    "init": lambda x: torch.nn.init.trunc_normal_(x),
}


def step(x):
    x.grad = torch.ones(COUNT)
    torch.optim.SGD([x], lr=1.0).step()


@pytest.mark.parametrize("name", WRITERS)
def test_writers_come_too_late(x, name):
    y = x * 3 + 1
    assert core.waiting_calls() == 2
    WRITERS[name](x)
    assert y[0] == -5 and not torch.equal(x[:1], torch.tensor([-2.0]))


def test_memory_that_others_know_is_read_at_once(x):
    array = x.numpy()
    y = x + 1
    array[0] = 100
    assert y[0] == -1
    address = torch.ones(COUNT)
    assert address.data_ptr()
    z = address + 1
    assert core.waiting_calls() == 0 and z[0] == 2
    foreign = torch.from_numpy(np.zeros(COUNT, np.float32))
    foreign + 1
    assert core.waiting_calls() == 0


def test_results_that_die_unread_are_made(x):
    x + 1
    assert core.waiting_calls() == 0
    y = x + 1
    z = y * 2
    del y
    assert core.waiting_calls() == 2          # z's call has it for its operand
    del z
    assert core.waiting_calls() == 0


def test_results_that_live_are_made_too(x):
    a = x + 1
    b = a * 2
    c = b - a
    del b
    d = c.abs() + a
    assert core.waiting_calls() == 5
    assert [t[0].item() for t in (a, c, d)] == [-1, -1, 0]


def test_long_chains_are_made_in_parts(x):
    y = x
    for _ in range(100):
        y = y * 1.01 + 0.5
    assert 0 < core.waiting_calls() <= 16
    assert same(y, at_once(lambda: eval_chain(x)))


def eval_chain(x):
    for _ in range(100):
        x = x * 1.01 + 0.5
    return x


def test_recorded_calls_wait(x):
    w = torch.full((COUNT,), 2.0, requires_grad=True)
    y = x * x
    z = (y * w).exp()
    assert core.waiting_calls() == 3
    z.sum().backward()
    assert torch.equal(w.grad, x * x * z)


def formula(x, w, b):
    return (torch.nn.functional.gelu(x * w + 1).tanh() * torch.sigmoid(b)).exp()


def test_steps_of_the_backward_pass_wait_for_one_another(x):
    def gradients():
        w, b = x.flip(0).requires_grad_(), (x + 1).requires_grad_()
        return torch.autograd.grad(formula(x, w, b), (w, b), x * 2)

    found = gradients()
    assert core.waiting_calls() > 1
    assert all(same(f, wanted) for f, wanted in zip(found, at_once(gradients), strict=True))


def several(x):
    """Gradients of a formula whose parts are used twice, broadcast, converted, seen by hooks, and pass operators of other kinds."""
    w, b, seen = x.flip(0).requires_grad_(), torch.linspace(0, 1, 10).requires_grad_(), []
    y = (w * x).tanh()
    y.register_hook(lambda g: seen.append(g.sum()) or g * 2)
    z = y * y + y.view(-1, 10).mul(b).reshape(-1) + (w * 3).double().sin().float().flip(0)
    z.grad_fn.register_hook(lambda given, incoming: seen.append(given[0].mean()))
    (z.exp() + w).mean().backward()
    return [w.grad, b.grad, *seen]


def twice(x):
    """Second derivatives, with the graph kept."""
    w = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(formula(x, w, w).sum(), w, create_graph=True)
    (g * g).sum().backward(retain_graph=True)
    (g.tanh() * x).sum().backward()
    return [g, w.grad]


def by_checkpoints(x):
    w = x.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(formula, w, w * 2, w + 1, use_reentrant=False)
    torch.utils.checkpoint.checkpoint(formula, y, w, w, use_reentrant=True).sum().backward()
    return [w.grad]


def by_saved_tensor_hooks(x):
    w = x.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), torch.from_numpy):
        y = formula(x, w, w)
    y.sum().backward()
    return [w.grad]


@pytest.mark.parametrize("program", [several, twice, by_checkpoints, by_saved_tensor_hooks])
def test_gradients_are_the_same(x, program):
    for f, wanted in zip(program(x), at_once(lambda: program(x)), strict=True):
        assert same(f.detach(), wanted.detach())


def test_a_pass_that_fails_leaves_nothing_undone(x):
    w = x.clone().requires_grad_()
    y = (w * 2).exp()

    def fail(grad):
        raise ValueError("no")

    z = y * x
    y.register_hook(fail)
    with pytest.raises(ValueError, match="no"):
        z.tanh().sum().backward()
    again = (x * 2) * 3
    assert core.waiting_calls() == 2 and torch.equal(again, x * 6)


def test_leaves_made_of_what_waits(x):
    y = (x * 2).requires_grad_()
    (y * y).sum().backward()
    assert torch.equal(y.grad, 4 * x)


def test_hooks_and_functions_of_programs(x):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a * 1)
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 + ctx.saved_tensors[0] * 0

    y = (x * 1).requires_grad_()
    y.register_hook(lambda g: g * 3)
    Double.apply(y).sum().backward()
    assert (y.grad == 6).all()


def test_threads_see_what_another_left_waiting(x):
    y = x * 3
    found = []
    thread = threading.Thread(target=lambda: found.append((y + 1)[0].item()))
    thread.start()
    thread.join()
    assert found == [-5]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_makes_its_own(x):
    y = x * 3
    child = os.fork()
    if not child:
        os._exit(0 if y[0].item() == -6 else 1)
    assert os.waitpid(child, 0)[1] == 0 and y[0] == -6


def test_errors_come_at_the_call(x):
    y = x * 2
    with pytest.raises(RuntimeError, match="must match the size"):
        y + torch.ones(3)
    assert y[0] == -4


def operand(r, kind, dtype):
    """A tensor whose elements are those of a result of 6 x 40 x 7 x 5."""
    make = {
        "whole": lambda: torch.randn(6, 40, 7, 5),
        "channels": lambda: torch.randn(6, 40, 7, 5).contiguous(memory_format=torch.channels_last),
        "row": lambda: torch.randn(5),
        "image": lambda: torch.randn(40, 1, 1),
        "batch": lambda: torch.randn(6, 1, 1, 5),
        "scalar": lambda: torch.randn(()),
        "number": lambda: r.choice([0.5, 2, -1.25]),
        "turned": lambda: torch.randn(5, 7, 40, 6).permute(3, 2, 1, 0),
        "cut": lambda: torch.randn(6, 40, 7, 9)[..., 2:7],
    }
    made = make[kind]()
    return made if kind == "number" else made.to(dtype)


UNARY = ["abs", "neg", "exp", "tanh", "sigmoid", "relu", "sin", "square", "floor", "sign", "logical_not", "isfinite"]
BINARY = ["add", "mul", "maximum", "minimum", "atan2", "lt", "eq", "copysign"]


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_have_the_same_bits(seed):
    def program():
        torch.manual_seed(seed)
        r = random.Random(seed)
        dtype = r.choice([torch.float32, torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int32])
        kinds = ["whole", "whole", "row", "image", "batch", "scalar", "number", "channels", "turned", "cut"]
        values = [operand(r, r.choice(["whole", "whole", "channels"]), dtype)]
        values += [operand(r, r.choice(kinds), dtype) for _ in range(3)]
        for _ in range(r.randrange(3, 24)):
            a = r.choice([v for v in values if isinstance(v, torch.Tensor)])
            if r.random() < 0.4:
                result = getattr(torch, r.choice(UNARY))(a) if a.dtype.is_floating_point else torch.where(a != 0, a, 1)
            elif r.random() < 0.15:
                result = torch.where(a > 0, a, r.choice(values))
            elif a.dtype.is_floating_point:
                b = r.choice(values)
                name = r.choice(BINARY)
                result = getattr(torch, name)(a, b if isinstance(b, torch.Tensor) or name in ("add", "mul", "lt", "eq") else a)
            else:
                result = a * 3 + r.choice(values)
            if r.random() < 0.3:
                values.append(result)
            else:
                values[r.randrange(len(values))] = result
        return [v for v in values if isinstance(v, torch.Tensor)]

    for a, b in zip(program(), at_once(program), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride()
        assert torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
