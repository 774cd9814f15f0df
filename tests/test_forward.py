"""Forward mode against reverse mode: tangents walked through the graph, of every order, and gradients with many operands."""

import pytest

import rushlight as torch
from rushlight.autograd import forward_ad as fwAD
from rushlight.autograd import functional as derivatives
from rushlight.autograd import gradcheck
from rushlight.lang import functions as fn
from rushlight.ops import _define

F = torch.nn.functional
CALLS = {
    "pointwise": lambda x: x.exp() * x.sin() + 1,
    "broadcast": lambda x: x[:, :1] * x[0] + 3,
    "passed on and broadcast": lambda x: x[:1] + torch.zeros(3, 4, dtype=torch.float64),
    "sum": lambda x: x.sum(0),
    "sum with its dim kept": lambda x: x.sum(1, keepdim=True) * x,
    "mean": lambda x: x.mean(),
    "softmax": lambda x: x.softmax(1),
    "var": lambda x: x.var(0),
    "std": lambda x: x.std(),
    "prod": lambda x: x.prod(0),
    "logsumexp": lambda x: x.logsumexp(0),
    "norm": lambda x: x.norm(),
    "amax": lambda x: x.amax(),
    "max": lambda x: x.max(1).values,
    "layer_norm": lambda x: F.layer_norm(x, (4,)),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.tensor([0, 1, 2])),
    "gelu": F.gelu,
    "clamp": lambda x: x.clamp(-1, 1),
    "where": lambda x: torch.where(x > 0, x, x * x),
    "mm": lambda x: x @ x.t(),
    "bmm": lambda x: torch.bmm(x[None], x.t()[None]),
    "linear": lambda x: F.linear(x, x[:2]),
    "addmm": lambda x: torch.addmm(x[:, :3], x, x.t(), beta=2, alpha=3),
    "mv": lambda x: x @ x[0],
    "dot": lambda x: x[0] @ x[1],
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x * 3),
    "conv1d": lambda x: F.conv1d(x[None], x[None, :, :2]),
    "inv": lambda x: torch.linalg.inv(x @ x.t() + torch.eye(3, dtype=torch.float64)),
    "cat": lambda x: torch.cat([x, x * 2], 1),
    "unbind": lambda x: sum(x.unbind(0)),
    "index": lambda x: x[torch.tensor([0, 1, 1])],
    "gather": lambda x: x.gather(1, torch.tensor([[0, 1], [1, 1], [2, 3]])),
    "views": lambda x: x.t().reshape(-1)[::2],
    "as_strided": lambda x: x.as_strided((2, 2), (1, 3), 1),
    "permute": lambda x: x[None].permute(2, 0, 1),
    "expand": lambda x: x[0].expand(3, 4),
    "sort": lambda x: x.sort(1)[0],
    "cumsum": lambda x: x.cumsum(0),
    "cast": lambda x: (x.float() * 2).double(),
    "rfft": lambda x: torch.fft.rfft(x).abs(),
    "complex": lambda x: (torch.complex(x, x * 2) * torch.complex(x.sin(), x)).real,
    "in place": lambda x: _overwritten(x.clone(), x),
}


def _overwritten(y, x):
    y.mul_(x)
    y[1:].copy_(x[:2])
    y[0].sin_()
    return y


def normal(*size, seed=0):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))


@pytest.mark.parametrize("name", CALLS)
def test_forward_against_reverse(name):
    x, v = normal(3, 4).requires_grad_(), normal(3, 4, seed=1)
    with derivatives.noting_shapes():
        y = CALLS[name](x)
    (tangent,) = derivatives.tape.push((y,), (x,), (v,), derivatives._transpose)
    (reverse,) = derivatives._twice_backwards((y,), (x,), (v,), False, False)
    assert (tangent.shape, tangent.dtype) == (y.shape, y.dtype)
    assert torch.allclose(tangent, reverse, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CALLS)
def test_second_order(name):
    x, v = normal(3, 4), normal(3, 4, seed=1)
    scalar = lambda a: CALLS[name](a).sum()  # noqa: E731
    slope = lambda a: torch.func.jvp(scalar, (a,), (v,))[1]  # noqa: E731
    forward_twice = torch.func.jvp(slope, (x,), (v,))[1]
    reverse_twice = (derivatives.vhp(scalar, x, v)[1] * v).sum()
    assert torch.allclose(forward_twice, reverse_twice, rtol=1e-8, atol=1e-9)
    reverse_over_forward = (torch.func.grad(slope)(x) * v).sum()
    assert torch.allclose(reverse_over_forward, reverse_twice, rtol=1e-8, atol=1e-9)


def test_a_tangent_that_is_not_asked_for_plays_no_part():
    """No 0 * inf: only operands with a tangent enter the kernel."""
    x, y = torch.tensor([1.0]), torch.tensor([float("inf")], requires_grad=True)
    value, tangent = torch.func.jvp(lambda a: a * y, (x,), (torch.tensor([2.0]),))
    assert tangent.item() == float("inf")
    assert value.item() == float("inf")


def test_custom_function_by_its_own_jvp():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, n):
            ctx.x = x
            return x**3

        @staticmethod
        def backward(ctx, grad):
            raise AssertionError("forward mode must not come here")

        @staticmethod
        def jvp(ctx, x, n):
            assert n is None
            return 3 * ctx.x**2 * x

    assert torch.func.jvp(lambda x: Cube.apply(x, 3), (torch.tensor(2.0),), (torch.tensor(1.0),))[1].item() == 12


def test_linearize_runs_the_function_once():
    calls = []

    def f(x):
        calls.append(1)
        return x.sin().sum()

    x = normal(3)
    _, run = torch.func.linearize(f, x)
    for seed in range(3):
        v = normal(3, seed=seed)
        assert torch.allclose(run(v), (x.cos() * v).sum())
    assert len(calls) == 1


# -- gradients with more operands than a kernel has --


def many(n, rows):
    """An operator of n operands: their product, or the softmax of it."""
    names = [f"x{i}" for i in range(n)]
    scope = {"fn": fn}
    body = f"{'fn.softmax' if rows else ''}({' * '.join(names)})"
    exec(f"def product({', '.join(names)}{', dim=None' if rows else ''}):\n    return {body}", scope)
    make = _define._rowwise if rows else _define._pointwise
    try:
        return make(scope["product"], where="", result=rows, **({} if rows else {"inplace": False}))
    finally:
        del _define.registry["product"]


@pytest.mark.parametrize("rows", [False, True])
def test_gradients_past_the_limit_of_operands(rows):
    n = 13
    assert 2 * n + 1 > _define.core.OPERAND_LIMIT
    op = many(n, rows)
    run = (lambda *xs: op(*xs, dim=1)) if rows else op
    inputs = [(normal(2, 3, seed=i) * 0.2 + 1).requires_grad_() for i in range(n)]
    out = run(*inputs)
    plain = inputs[0]
    for x in inputs[1:]:
        plain = plain * x
    plain = plain.softmax(1) if rows else plain
    weight = normal(2, 3, seed=99)
    assert torch.allclose(out, plain)
    got = torch.autograd.grad(out, inputs, weight, create_graph=True)
    want = torch.autograd.grad(plain, inputs, weight, create_graph=True)
    assert all(map(torch.allclose, got, want))
    twice = [torch.autograd.grad(sum((g * weight).sum() for g in gs), inputs[:3]) for gs in (got, want)]
    assert all(map(torch.allclose, *twice))
    assert gradcheck(lambda *xs: run(*xs, *inputs[2:]), inputs[:2])


def test_the_tangent_of_a_layer_is_printed():
    """Its weights require gradients, so that the tangent is recorded, too, and has a tangent that nobody asked for."""
    oracle = pytest.importorskip("torch")

    def printed(lib):
        layer, x = lib.nn.Linear(1, 1), lib.ones(1)
        with lib.no_grad():
            layer.weight.fill_(2.0), layer.bias.fill_(1.0)
        with lib.autograd.forward_ad.dual_level():
            y = layer(lib.autograd.forward_ad.make_dual(x, x)).tanh()
            return repr(lib.autograd.forward_ad.unpack_dual(y).tangent).partition("grad_fn")[0], "tangent=" in repr(y)

    assert printed(torch) == printed(oracle)


def test_a_dual_tensor_needs_no_gradient():
    """PyTorch's answers: forward mode leaves requires_grad, is_leaf, grad_fn and numpy() alone, and goes on under no_grad."""
    x, direction = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 0.5])
    w = torch.tensor([2.0, 3.0, 4.0], requires_grad=True)
    with fwAD.dual_level():
        dual = fwAD.make_dual(x, direction)
        squares = dual * dual
        for t in (dual, squares):
            assert (t.requires_grad, t.is_leaf, t.grad_fn) == (False, True, None) and t.numpy() is not None
        with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad"):
            squares.sum().backward()
        product = dual * w
        assert product.requires_grad and product.grad_fn.name() == "MulBackward0"
        product.sum().backward()
        assert w.grad.tolist() == [1, 2, 3]
        with torch.no_grad():
            assert not torch.is_grad_enabled()
            results = {dual * dual: [2, 0, 3], dual * w: [2, 0, 2], dual[1:]: [0, 0.5], dual.clone().mul_(dual): [2, 0, 3]}
            results |= {F.max_pool1d(dual[None], 3): [[0.5]], dual.sort(descending=True)[0]: [0.5, 0, 1]}
            for found, wanted in results.items():
                value, tangent = fwAD.unpack_dual(found)
                assert tangent.tolist() == wanted and not (found.requires_grad or value.requires_grad or tangent.requires_grad)
            w.mul_(1)  # a parameter is written to under no_grad, as ever
            assert w.is_leaf and w.requires_grad and not (w * 2).requires_grad
            tangent = fwAD.unpack_dual(dual.clone().zero_()).tangent
            assert tangent is None or not tangent.any()
        second = fwAD.unpack_dual(torch.func.grad(lambda a: (a**3).sum())(dual)).tangent
        assert second.tolist() == [6, 0, 9]
    assert (squares * squares).grad_fn is None and not (dual + 1).requires_grad and product.requires_grad


def test_a_level_within_no_grad_ends_with_it():
    x, w = torch.ones(2), torch.ones(2, requires_grad=True)
    with torch.no_grad():
        with fwAD.dual_level():
            dual = fwAD.make_dual(x, 3 * x)
            assert fwAD.unpack_dual(dual**2).tangent.tolist() == [6, 6] and fwAD.unpack_dual(w * 2).tangent is None
            with torch.enable_grad():
                assert (w * dual).requires_grad and not (dual * dual).requires_grad
        assert not torch.is_grad_enabled() and not (w * 2).requires_grad
    assert (w * 2).requires_grad


class Square(torch.autograd.Function):
    """Records nothing within its forward, whose tangent is its jvp's."""

    @staticmethod
    def forward(x):
        assert not (x.requires_grad or torch.is_grad_enabled() or (x * x).requires_grad)
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


def test_a_custom_function_of_a_dual_tensor_under_no_grad():
    with fwAD.dual_level(), torch.no_grad():
        found = Square.apply(fwAD.make_dual(torch.tensor(3.0), torch.tensor(2.0)))
        assert fwAD.unpack_dual(found).tangent == 12 and not found.requires_grad
