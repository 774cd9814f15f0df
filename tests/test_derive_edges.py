"""Derivatives of the kernel language at singular points, ties, denormals, large numbers, infinities and NaN."""

import itertools
import math

import numpy as np
import pytest

from rushlight.lang import functions as f
from rushlight.lang.derive import vjp
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import const, full_nodes, input
from rushlight.lang.simplify import simplify

NAN, INF = math.nan, math.inf

EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 5e-324, -1e-310, 1e-200, 88.0, -88.0, 1e4, -1e4, 1e200, INF, -INF, NAN]
SINGLE_EDGES = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-40, 1e-20, 88.0, -88.0, 104.0, -104.0, 1e4, -1e4, INF, -INF, NAN]

SAME_NAME = [getattr(f, name) for name in """
    abs sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh atanh sigmoid erf
    erfc erfinv lgamma digamma i0 square reciprocal sgn floor ceil trunc sign angle
""".split()]
TORCH_UNARY = {function.__name__: function.__name__ for function in SAME_NAME} | {
    "softplus": "nn.functional.softplus",
    "log_sigmoid": "nn.functional.logsigmoid",
    "ndtri": "special.ndtri",
    "log_ndtr": "special.log_ndtr",
    "erfcx": "special.erfcx",
    "i0e": "special.i0e",
    "i1": "special.i1",
    "i1e": "special.i1e",
    "acosh": "acosh",
    "rint": "round",
}


def oracle(torch, path, values, dtype, **options):
    """PyTorch's value and gradients for elementwise arguments; a zero gradient where it gives none."""
    function = torch
    for part in path.split("."):
        function = getattr(function, part)
    tensors = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in values]
    result = function(*tensors, **options)
    grads = torch.autograd.grad(result.sum(), tensors, allow_unused=True)
    return result.detach().numpy(force=True), [
        np.zeros(len(v)) if g is None else g.numpy(force=True) for g, v in zip(grads, values, strict=True)
    ]


def ours(function, values, type, rows=()):
    """The same by the language."""
    leaves = [input(i, type) for i in range(len(values))]
    output = function(*leaves)
    grads = vjp([output], [const(1, type)], leaves, rows)
    arrays = [np.asarray(v) for v in values]
    shape = arrays[0].shape
    return evaluate([output], arrays)[0], [
        np.zeros(shape) if g is None else np.broadcast_to(evaluate(simplify([g]), arrays)[0], shape) for g in grads
    ]


# Points where the two differ and why: PyTorch's formula squares (and overflows), divides infinities or has few digits.
def squares_overflow(a, b):
    return not 1e-150 < math.hypot(a, b) < 1e150


GRADIENT_EXCEPTIONS = {
    "digamma": lambda x: x < 0 and x == int(max(x, -1e9)),  # at poles PyTorch has some large number
    "log_ndtr": lambda x: x < -80,  # PyTorch loses digits, then gives NaN at -inf: see test_log_ndtr_far_left
    "erfcx": lambda x: x > 50,  # 2 x y - 2 / sqrt(pi) cancels, in both
    "i1": math.isnan,  # PyTorch: 0.5
    "i1e": math.isnan,
    "acosh": lambda x: x < 1 or x > 1e150,  # below 1 the value is NaN, PyTorch's gradient is not
    "atan2": squares_overflow,
    "copysign": lambda a, b: not math.isfinite(a),  # PyTorch divides the result by a
    "logaddexp": lambda a, b: a == b and math.isinf(a),
}
GRADIENT_TOLERANCE = {("digamma", "f64"): 1e-8, ("i0e", "f32"): 1e-3, ("i1e", "f32"): 1e-3}


def denormal(x, type="f64"):
    return 0 < abs(x) < (2e-308 if type == "f64" else 1e-37)


def assert_close(got, expected, values, except_at, tolerance, atol=1e-300):
    """Equal, with NaN in the same places, but at points where ``except_at(*point)`` holds."""
    for k, point in enumerate(zip(*values, strict=True)):
        if not except_at(*point):
            np.testing.assert_allclose(got[k], expected[k], rtol=tolerance, atol=atol, err_msg=f"at {point}")


@pytest.mark.parametrize("type", ["f64", "f32"])
@pytest.mark.parametrize("name", TORCH_UNARY)
def test_unary_at_the_edges(name, type):
    torch = pytest.importorskip("torch")
    edges = EDGES if type == "f64" else SINGLE_EDGES
    value, (expected,) = oracle(
        torch, TORCH_UNARY[name], [edges], getattr(torch, "float64" if type == "f64" else "float32")
    )
    result, (got,) = ours(getattr(f, name), [edges], type)
    tolerance = 1e-12 if type == "f64" else 1e-5
    assert_close(result, value, [edges], lambda x: denormal(x, type), tolerance)
    except_at = GRADIENT_EXCEPTIONS.get(name, lambda x: False)
    tolerance = GRADIENT_TOLERANCE.get((name, type), tolerance)
    assert_close(got, expected, [edges], except_at, tolerance, atol=1e-300 if type == "f64" else 1e-37)


SECOND_EXCEPTIONS = {
    "lgamma": GRADIENT_EXCEPTIONS["digamma"],
    "digamma": lambda x: (x <= 0 and x == int(max(x, -1e9))) or math.isinf(x),
    "log_sigmoid": lambda x: abs(x) == 88,  # 6e-39 on one side, 0 on the other: ours at 88, PyTorch's at -88
    "log_ndtr": lambda x: x < -80,
    "acosh": lambda x: x < 1 or math.isinf(x),
    "i0": math.isnan,
    "i1": lambda x: math.isnan(x) or 0 < abs(x) < 1e-100,  # PyTorch: 0 instead of 3/8 x
    "i1e": lambda x: math.isnan(x) or 0 < abs(x) < 1e-100,
}


@pytest.mark.parametrize("name", sorted(set(TORCH_UNARY) - {"sgn", "sign", "floor", "ceil", "trunc", "rint", "angle"}))
def test_second_derivatives_at_the_edges(name):
    torch = pytest.importorskip("torch")
    function = torch
    for part in TORCH_UNARY[name].split("."):
        function = getattr(function, part)
    edges = [x for x in EDGES if not denormal(x)]
    t = torch.tensor(edges, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(function(t).sum(), t, create_graph=True)
    expected = np.zeros(len(edges))
    if first.requires_grad:
        (second,) = torch.autograd.grad(first.sum(), t, allow_unused=True)
        expected = expected if second is None else second.numpy(force=True)
    x, one = input(0, "f64"), const(1, "f64")
    (first,) = vjp([getattr(f, name)(x)], [one], [x])
    (second,) = vjp(simplify([first]), [one], [x])
    got = np.zeros(len(edges))
    if second is not None:
        got = np.broadcast_to(evaluate(simplify([second]), [edges])[0], len(edges))
    assert_close(got, expected, [edges], SECOND_EXCEPTIONS.get(name, lambda x: False), 1e-6)


def test_log_ndtr_far_left():
    """Its derivative there is -x - 1/x, to the digits of float64."""
    _, (got,) = ours(f.log_ndtr, [[-1e4, -1e6, -INF]], "f64")
    np.testing.assert_allclose(got, [1e4 + 1e-4, 1e6 + 1e-6, INF], rtol=1e-13)


TORCH_BINARY = {
    "maximum": "maximum",
    "minimum": "minimum",
    "fmax": "fmax",
    "fmin": "fmin",
    "pow": "pow",
    "hypot": "hypot",
    "atan2": "atan2",
    "copysign": "copysign",
    "rem": "fmod",
    "mod": "remainder",
    "xlogy": "xlogy",
    "xlog1py": "special.xlog1py",
    "logaddexp": "logaddexp",
    "div": "div",
}


@pytest.mark.parametrize("name", TORCH_BINARY)
def test_binary_at_the_edges(name):
    torch = pytest.importorskip("torch")
    a, b = map(list, zip(*itertools.product(EDGES, EDGES), strict=True))
    value, expected = oracle(torch, TORCH_BINARY[name], [a, b], torch.float64)
    result, got = ours(getattr(f, name), [a, b], "f64")
    remainder = name in (
        "rem",
        "mod",
    )  # PyTorch's vectorised fmod gives NaN where a / b leaves the range of whole floats
    assert_close(result, value, [a, b], lambda a, b: remainder and (denormal(b) or abs(a) > 1e100), 1e-12)
    except_at = GRADIENT_EXCEPTIONS.get(name, lambda a, b: False)
    for mine, theirs in zip(got, expected, strict=True):
        assert_close(mine, theirs, [a, b], except_at, 1e-12)


@pytest.mark.parametrize("given", [("low",), ("high",), ("low", "high")])
def test_clamp_at_the_edges(given):
    torch = pytest.importorskip("torch")
    points = [0.0, -1.0, 1.0, 3.0, -INF, INF, NAN]
    values = list(map(list, zip(*itertools.product(points, repeat=1 + len(given)), strict=True)))
    names = ["min" if g == "low" else "max" for g in given]
    tensors = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    value = torch.clamp(tensors[0], **dict(zip(names, tensors[1:], strict=True)))
    expected = torch.autograd.grad(value.sum(), tensors)
    result, got = ours(lambda x, *bounds: f.clamp(x, **dict(zip(given, bounds, strict=True))), values, "f64")
    np.testing.assert_array_equal(result, value.detach())
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


ROWS = [
    [0.0, 0.0, 0.0],
    [1.0, 1.0, 0.0],
    [0.0, -2.0, 3.0],
    [NAN, 1.0, 2.0],
    [INF, 0.5, 1.0],
    [-INF, -INF, -INF],
    [1e4, -1e4, 88.0],
    [2.0, 2.0, 2.0],
]
TORCH_ROWWISE = {
    "amax": (f.max, lambda t, x: x.amax(-1)),
    "amin": (f.min, lambda t, x: x.amin(-1)),
    "prod": (f.prod, lambda t, x: x.prod(-1)),
    "norm": (f.norm, lambda t, x: x.norm(dim=-1)),
    "norm1": (lambda x: f.norm(x, 1), lambda t, x: x.norm(p=1, dim=-1)),
    "norminf": (lambda x: f.norm(x, INF), lambda t, x: x.norm(p=INF, dim=-1)),
    "norm.5": (lambda x: f.norm(x, 0.5), lambda t, x: x.norm(p=0.5, dim=-1)),
    "norm3": (lambda x: f.norm(x, 3.0), lambda t, x: x.norm(p=3, dim=-1)),
    "norm0": (lambda x: f.norm(x, 0), lambda t, x: x.norm(p=0, dim=-1)),
    "std": (f.std, lambda t, x: x.std(-1)),
    "var": (f.var, lambda t, x: x.var(-1)),
    "mean": (f.mean, lambda t, x: x.mean(-1)),
    "logsumexp": (f.logsumexp, lambda t, x: x.logsumexp(-1)),
    "softmax": (f.softmax, lambda t, x: x.softmax(-1)),
    "log_softmax": (f.log_softmax, lambda t, x: x.log_softmax(-1)),
    "count_nonzero": (f.count_nonzero, lambda t, x: x.count_nonzero(-1)),
    "argmax": (f.argmax, lambda t, x: x.argmax(-1)),
    "argmin": (f.argmin, lambda t, x: x.argmin(-1)),
    "any": (lambda x: f.any(f.isnan(x)), lambda t, x: x.isnan().any(-1)),
    "all": (lambda x: f.all(f.isfinite(x)), lambda t, x: x.isfinite().all(-1)),
}


@pytest.mark.parametrize("name", TORCH_ROWWISE)
def test_rowwise_at_the_edges(name):
    torch = pytest.importorskip("torch")
    function, reference = TORCH_ROWWISE[name]
    x = torch.tensor(ROWS, dtype=torch.float64, requires_grad=True)
    leaf, g = input(0, "f64"), input(1, "f64")
    output = function(leaf)
    full = output in full_nodes([output])
    expected = reference(torch, x)
    result = np.broadcast_to(evaluate([output], [ROWS], axes=(1,))[0], (len(ROWS), 3 if full else 1))
    np.testing.assert_allclose(result, expected.detach().reshape(result.shape), rtol=1e-12)
    if output.type != "f64":
        assert vjp([output], [None], [leaf]) == [None]
        return
    seed = np.random.default_rng(0).uniform(0.5, 1.5, result.shape)
    (theirs,) = torch.autograd.grad(expected, x, torch.tensor(seed).reshape(expected.shape), allow_unused=True)
    (mine,) = vjp([output], [g], [leaf], () if full else (1,))
    if mine is None:
        assert theirs is None or not theirs.any()
        return
    mine = evaluate([mine], [ROWS, seed], axes=(1,))[0]
    for k, row in enumerate(ROWS):
        if name in ("norm3", "prod", "norminf") and not np.all(np.isfinite(row)):
            continue  # NaN here and there in both, at different elements
        np.testing.assert_allclose(
            np.broadcast_to(mine, (len(ROWS), 3))[k], theirs[k], rtol=1e-10, atol=1e-12, err_msg=f"{row}"
        )


def test_complex_at_zero():
    torch = pytest.importorskip("torch")
    for name in ("abs", "angle", "sgn", "square"):
        z = torch.zeros((), dtype=torch.complex128, requires_grad=True)
        result = getattr(torch, name)(z)
        (expected,) = torch.autograd.grad(result, z, torch.ones_like(result))
        leaf = input(0, "c128")
        output = getattr(f, name)(leaf)
        (got,) = evaluate(vjp([output], [const(1, output.type)], [leaf]), [0j])
        assert got == expected.item()
