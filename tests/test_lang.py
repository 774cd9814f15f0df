"""The kernel language: every derivative rule against differences and against PyTorch, simplification, the interpreter."""

import doctest
import importlib
import itertools
import math

import numpy as np
import pytest

from rushlight.lang import functions as f
from rushlight.lang import rules
from rushlight.lang.derive import gradient, jvp, vjp
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import const, full_nodes, input, inputs_of, make, topological, without_stated
from rushlight.lang.simplify import round_to, simplify

NAN, INF = math.nan, math.inf

# -- the checker: expressions against differences of their values ------------------------------------------------------

STENCIL = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))  # fourth order


def difference(value, arrays, position, direction, step=2e-3):
    """The derivative of ``value(arrays)`` when ``arrays[position]`` moves in ``direction``."""
    total = 0.0
    for k, weight in STENCIL:
        moved = list(arrays)
        moved[position] = arrays[position] + k * step * direction
        total = total + weight * value(moved)
    return total / step


def full_difference(value, arrays, position):
    """The gradient of a real ``value(arrays)`` by every element of ``arrays[position]``, as dL/dx + i dL/dy if that is complex."""
    x = arrays[position]
    result = np.zeros(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
            direction = np.zeros(x.shape, x.dtype)
            direction[index] = unit
            result[index] += unit * difference(value, arrays, position, direction)
    return result


TYPE = {"f": "f64", "c": "c128", "i": "i64", "b": "b1"}


def leaves_of(arrays, start=0):
    return [input(start + i, TYPE[a.dtype.kind]) for i, a in enumerate(arrays)]


def check(function, arrays, axes=(), order=3, rows=(), seed=0, tolerance=2e-6):
    """Assert that all derivatives of ``function`` up to ``order`` agree with differences of the order below, and jvp with vjp.

    ``function`` takes and returns expressions. Arrays of ROW inputs have size 1 along ``axes``. The random gradients are inputs
    of the next order, which differentiates by the original inputs again.
    """
    arrays = [np.asarray(a) for a in arrays]
    leaves = leaves_of(arrays)
    outputs = function(*leaves)
    _check(outputs if isinstance(outputs, list) else [outputs], arrays, leaves, axes, order, set(rows), np.random.default_rng(seed), tolerance)


def _check(outputs, arrays, leaves, axes, order, rows, rng, tolerance, shapes=None):
    space = np.broadcast_shapes(*(a.shape for a in arrays))
    row_space = tuple(1 if a in axes else n for a, n in enumerate(space))
    full = full_nodes(outputs, rows)
    shapes = shapes or [space if o in full else row_space for o in outputs]
    new = [random(rng, shape, o.type) for shape, o in zip(shapes, outputs, strict=True)]
    grads = leaves_of(new, len(arrays))
    rows = rows | {g.attr for g, shape in zip(grads, shapes, strict=True) if axes and shape == row_space}
    results = simplify_some(vjp(outputs, grads, leaves, rows), rows)

    def loss(moved):
        values = evaluate(outputs, moved, axes)
        return sum(np.sum(np.real(np.conj(g) * np.broadcast_to(v, g.shape))) for g, v in zip(new, values, strict=True))

    for i, leaf in enumerate(leaves):
        expected = full_difference(loss, arrays, i)
        if results[i] is None:
            np.testing.assert_allclose(expected, 0, atol=tolerance)
            continue
        assert results[i].type == leaf.type
        (got,) = evaluate([results[i]], arrays + new, axes)
        np.testing.assert_allclose(np.broadcast_to(got, expected.shape), expected, rtol=tolerance, atol=tolerance)
    check_transpose(outputs, arrays, leaves, axes, rows, rng, new, results)
    kept = [(r, a.shape) for r, a in zip(results, arrays, strict=False) if r is not None]
    if order > 1 and kept:
        _check([r for r, _ in kept], arrays + new, leaves, axes, order - 1, rows, rng, tolerance * 3, [s for _, s in kept])


def check_transpose(outputs, arrays, leaves, axes, rows, rng, new, results):
    """jvp is the transpose of vjp: <g, jvp(t)> = <vjp(g), t>."""
    moves = [random(rng, a.shape, leaf.type) for a, leaf in zip(arrays, leaves, strict=False)]
    start = len(arrays) + len(new)
    tangents = leaves_of(moves, start)
    rows = rows | {t.attr for t, leaf in zip(tangents, leaves, strict=True) if leaf.attr in rows}
    changes = simplify_some(jvp(outputs, tangents, leaves, rows), rows)

    def inner(a, b):
        return np.sum(np.real(np.conj(a) * b))

    def value(e, shape):
        return np.zeros(shape) if e is None else np.broadcast_to(evaluate([e], arrays + new + moves, axes)[0], shape)

    forward = sum(inner(g, value(c, g.shape)) for g, c in zip(new, changes, strict=True))
    backward = sum(inner(value(r, m.shape), m) for r, m in zip(results, moves, strict=True))
    np.testing.assert_allclose(forward, backward, rtol=1e-8, atol=1e-8)


def random(rng, shape, type):
    real = rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape)
    return real + 1j * rng.uniform(0.5, 1.5, shape) if type == "c128" else real


def simplify_some(exprs, rows):
    present = iter(simplify([e for e in exprs if e is not None], rows))
    return [None if e is None else next(present) for e in exprs]


# -- regular points ----------------------------------------------------------------------------------------------------

WIDE = np.array([-2.1, -0.7, -0.2, 0.3, 0.9, 1.8])
POSITIVE = np.array([0.4, 0.9, 1.3, 2.6])
WITHIN = np.array([-0.8, -0.3, 0.2, 0.7])
ABOVE_ONE = np.array([1.4, 1.9, 3.1])
UNIT = np.array([0.15, 0.4, 0.6, 0.85])

UNARY = {
    "neg": (lambda x: -x, WIDE), "abs": (f.abs, WIDE), "sqrt": (f.sqrt, POSITIVE), "rsqrt": (f.rsqrt, POSITIVE),
    "root": (f.root, POSITIVE), "exp": (f.exp, WIDE), "exp2": (f.exp2, WIDE), "expm1": (f.expm1, WIDE), "log": (f.log, POSITIVE),
    "log2": (f.log2, POSITIVE), "log10": (f.log10, POSITIVE), "log1p": (f.log1p, POSITIVE - 0.9), "sin": (f.sin, WIDE),
    "cos": (f.cos, WIDE), "tan": (f.tan, WITHIN), "asin": (f.asin, WITHIN), "acos": (f.acos, WITHIN), "atan": (f.atan, WIDE),
    "sinh": (f.sinh, WIDE), "cosh": (f.cosh, WIDE), "tanh": (f.tanh, WIDE), "asinh": (f.asinh, WIDE),
    "acosh": (f.acosh, ABOVE_ONE), "atanh": (f.atanh, WITHIN), "sigmoid": (f.sigmoid, WIDE), "softplus": (f.softplus, WIDE),
    "log_sigmoid": (f.log_sigmoid, WIDE), "erf": (f.erf, WIDE), "erfc": (f.erfc, WIDE), "erfcx": (f.erfcx, WIDE),
    "erfinv": (f.erfinv, WITHIN), "ndtri": (f.ndtri, UNIT), "log_ndtr": (f.log_ndtr, WIDE), "lgamma": (f.lgamma, POSITIVE),
    "digamma": (f.digamma, POSITIVE), "polygamma": (lambda x: f.polygamma(2, x), POSITIVE + 0.5), "i0": (f.i0, WIDE), "i0e": (f.i0e, WIDE),
    "i1": (f.i1, WIDE), "i1e": (f.i1e, WIDE), "cast": (lambda x: f.cast(f.cast(x, "f32"), "f64") * 0 + x, WIDE),
    "square": (f.square, WIDE), "reciprocal": (f.reciprocal, POSITIVE), "clamp": (lambda x: f.clamp(x * x, 0.5, 2.0), WIDE),
    "clamp low": (lambda x: f.clamp(x * x, low=0.6), WIDE), "clamp high": (lambda x: f.clamp(x * x, high=2.0), WIDE),
}  # fmt: skip
OTHER = np.array([1.3, -0.9, 0.8, 0.5, -1.4, 0.6])
BINARY = {
    "add": (lambda a, b: a * b + b, WIDE, OTHER), "sub": (lambda a, b: a - a * b, WIDE, OTHER), "mul": (lambda a, b: a * b, WIDE, OTHER),
    "div": (lambda a, b: a / b, WIDE, OTHER), "pow": (f.pow, POSITIVE, OTHER[:4]), "rem": (f.rem, WIDE * 3.37, OTHER), "mod": (f.mod, WIDE * 3.37, OTHER),
    "hypot": (f.hypot, WIDE, OTHER), "atan2": (f.atan2, WIDE, OTHER), "copysign": (lambda a, b: f.copysign(a * a, b), WIDE, OTHER),
    "select": (lambda a, b: f.where(a > b, a * b, b / a), WIDE, OTHER), "max": (lambda a, b: f.maximum(a, b) ** 2.0, WIDE, OTHER),
    "min": (lambda a, b: f.minimum(a, b) ** 3.0, WIDE, OTHER), "fmax": (f.fmax, WIDE, OTHER), "fmin": (f.fmin, WIDE, OTHER),
    "logaddexp": (f.logaddexp, WIDE, OTHER), "logaddexp tie": (f.logaddexp, WIDE, WIDE), "xlogy": (f.xlogy, WIDE, np.abs(OTHER)),
}  # fmt: skip


def check_pointwise(function, *arrays, order=3):
    """:func:`check` for a pointwise function: elements are independent, one at a time suffices."""
    for values in zip(*arrays, strict=True):
        check(function, [np.asarray(v) for v in values], order=order)


@pytest.mark.parametrize("name", UNARY)
def test_unary_rules(name):
    function, points = UNARY[name]
    check_pointwise(function, points)


@pytest.mark.parametrize("name", BINARY)
def test_binary_rules(name):
    function, a, b = BINARY[name]
    check_pointwise(function, a, b)


def test_ternary_rules():
    c = np.array([0.7, -1.2, 0.4, 1.1, -0.6, 2.0])
    check_pointwise(lambda a, b, c: f.fma(a, b, c * c), WIDE, OTHER, c)
    check_pointwise(lambda x, low, high: f.clamp(x, low, high) ** 2.0, WIDE * 2, -np.abs(OTHER), np.abs(c))


def test_zeta():
    q = POSITIVE
    check_pointwise(lambda q: f.zeta(const(2.5, "f64"), q), q)
    s = input(0, "f64")
    with pytest.raises(NotImplementedError, match="the derivative for 'zeta' is not implemented"):
        vjp([f.zeta(s, 2.0)], [input(1, "f64")], [s])


COMPLEX = [1.2 + 0.7j, -0.8 + 0.5j, 0.6 - 1.1j, -1.3 - 0.4j]
HOLOMORPHIC = (
    f.sqrt, f.rsqrt, f.exp, f.exp2, f.expm1, f.log, f.log2, f.log10, f.log1p, f.sin, f.cos, f.tan, f.asin, f.acos, f.atan, f.sinh,
    f.cosh, f.tanh, f.asinh, f.acosh, f.atanh, f.sigmoid,
)  # fmt: skip
COMPLEX_FUNCTIONS = {function.__name__: function for function in HOLOMORPHIC} | {
    "neg": lambda z: -z, "abs": f.abs, "sgn": f.sgn, "angle": f.angle, "real": f.real, "imag": f.imag, "conj": lambda z: f.conj(z) * z * z,
    "to real": lambda z: f.cast(z * z, "f64"), "norm": lambda z: f.cast(f.exp(f.abs(z)), "c128") * z,
}  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX_FUNCTIONS)
def test_complex_rules(name):
    check_pointwise(COMPLEX_FUNCTIONS[name], COMPLEX)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_complex_binary_rules(name):
    order = 2 if name == "pow" else 3
    check_pointwise(BINARY[name][0], COMPLEX, COMPLEX[::-1], order=order)


def test_complex_from_real():
    check_pointwise(lambda a, b: f.complex_(a, b) ** 2.0, WIDE, OTHER)
    check_pointwise(lambda a: f.exp(f.cast(a, "c128") * (1 + 2j)), WIDE)
    check_pointwise(lambda z, a: f.where(a > 0, z * z, f.conj(z)), COMPLEX, OTHER[:4])


# -- reductions --------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(7)
X = RNG.uniform(0.5, 1.6, (2, 3)) * np.array([[1, -1, 1], [-1, -1, 1]])
W = RNG.uniform(0.5, 1.5, (1, 3))
R = RNG.uniform(0.5, 1.5, (2, 1))

ROWWISE = {
    "sum": lambda x: f.sum(x * x * x), "mean": lambda x: f.mean(f.exp(x)), "prod": f.prod, "max": lambda x: f.max(x * x) ** 2.0, "min": f.min,
    "softmax": f.softmax, "log_softmax": f.log_softmax, "logsumexp": f.logsumexp, "var": f.var, "var0": lambda x: f.var(x, 0), "std": f.std,
    "norm": f.norm, "norm1": lambda x: f.norm(x, 1), "norm3": lambda x: f.norm(x, 3.0), "norm.5": lambda x: f.norm(x, 0.5),
    "norm-1": lambda x: f.norm(x, -1.0), "norminf": lambda x: f.norm(x, INF), "norm-inf": lambda x: f.norm(x, -INF),
    "row in full": lambda x: x * f.sum(x * x) + f.mean(x), "both levels": lambda x: [f.sum(x * x), x * x * x], "nested": lambda x: f.sum(x * f.sum(x * x)),
    "row of row": lambda x: f.sum(f.mean(x * x)), "position": lambda x: f.sum(x * x * f.cast(f.position(), "f64")),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWWISE)
def test_rowwise(name):
    check(ROWWISE[name], [X], axes=(1,))


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (-1,)])
def test_rowwise_axes(axes):
    check(lambda x: [f.softmax(x), f.var(x)], [X], axes=tuple(a % 2 for a in axes), order=2)


def test_rowwise_operands():
    def layer_norm(x, w, b):
        centred = x - f.mean(x)
        return centred * f.rsqrt(f.mean(centred * centred) + 0.1) * w + b

    full = [np.broadcast_to(W, X.shape).copy(), np.broadcast_to(W * 0.3, X.shape).copy()]
    check(layer_norm, [X, *full], axes=(1,), order=2)


def test_row_inputs_receive_sums():
    check(lambda x, r: x * x * r + f.sum(x * r), [X, R], axes=(1,), rows=(1,))
    check(lambda x, r: f.sum(r * r) + f.exp(r), [X, R], axes=(1,), rows=(1,))
    check(lambda x, r: f.softmax(x * r), [X, R], axes=(1,), rows=(1,), order=2)


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "norm", "std"])
def test_complex_reductions(name):
    z = X + 1j * X[::-1]
    check(getattr(f, name), [z], axes=(1,), order=2)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_prod_at_zeros_to_second_order(zeros):
    x = np.array([[1.5, -2.0, 0.5, 3.0]])
    x[0, :zeros] = 0.0
    check(f.prod, [x], axes=(1,), order=2)


# -- the test of the test ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table, name, wrong, case",
    [
        ("ONE", "sin", lambda t, x, y: t * f.cos(x) * 1.0001, lambda: test_unary_rules("sin")),
        ("ONE", "tanh", lambda t, x, y: t * (1 + y * y), lambda: test_unary_rules("tanh")),
        ("REDUCTION", "sum", lambda t, x, y: t / f.count(x), lambda: test_rowwise("sum")),
        ("PAIRED", "sgn", ((lambda t, z, y: t, lambda g, z, y: g),), lambda: test_complex_rules("sgn")),
        # right forwards, wrong backwards: only the conjugate is missing
        ("PAIRED", "abs", ((rules.PAIRED["abs"][0][0], lambda g, z, y: g * f.conj(f.sgn(z))),), lambda: test_complex_rules("abs")),
    ],
)
def test_a_planted_wrong_rule_is_caught(monkeypatch, table, name, wrong, case):
    case()
    monkeypatch.setitem(getattr(rules, table), name, wrong)
    with pytest.raises((AssertionError, TypeError)):
        case()


def test_every_rule_has_a_row():
    tested = {*UNARY, *BINARY, *COMPLEX_FUNCTIONS, *ROWWISE, "fma", "zeta", "complex", "clamp low high"}
    stated = {*rules.ONE, *rules.MANY, *rules.PAIRED, *rules.REDUCTION, *rules.STATED}
    assert stated <= tested


# -- singular points, against PyTorch ----------------------------------------------------------------------------------

EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 5e-324, -1e-310, 1e-200, 88.0, -88.0, 1e4, -1e4, 1e200, INF, -INF, NAN]
SINGLE_EDGES = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-40, 1e-20, 88.0, -88.0, 104.0, -104.0, 1e4, -1e4, INF, -INF, NAN]

SAME_NAME = (
    f.abs, f.sqrt, f.rsqrt, f.exp, f.exp2, f.expm1, f.log, f.log2, f.log10, f.log1p, f.sin, f.cos, f.tan, f.asin, f.acos, f.atan, f.sinh,
    f.cosh, f.tanh, f.asinh, f.atanh, f.sigmoid, f.erf, f.erfc, f.erfinv, f.lgamma, f.digamma, f.i0, f.square, f.reciprocal, f.sgn, f.floor,
    f.ceil, f.trunc, f.sign, f.angle,
)  # fmt: skip
TORCH_UNARY = {function.__name__: function.__name__ for function in SAME_NAME} | {
    "softplus": "nn.functional.softplus", "log_sigmoid": "nn.functional.logsigmoid", "ndtri": "special.ndtri", "log_ndtr": "special.log_ndtr",
    "erfcx": "special.erfcx", "i0e": "special.i0e", "i1": "special.i1", "i1e": "special.i1e", "acosh": "acosh", "rint": "round",
}  # fmt: skip


def oracle(torch, path, values, dtype, **options):
    """PyTorch's value and gradients for elementwise arguments; a zero gradient where it gives none."""
    function = torch
    for part in path.split("."):
        function = getattr(function, part)
    tensors = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in values]
    result = function(*tensors, **options)
    grads = torch.autograd.grad(result.sum(), tensors, allow_unused=True)
    return result.detach().numpy(), [np.zeros(len(v)) if g is None else g.numpy(force=True) for g, v in zip(grads, values, strict=True)]


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


# Points where the two differ and why: PyTorch's formula squares (and over- or underflows), divides infinities or has few digits.
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
    value, (expected,) = oracle(torch, TORCH_UNARY[name], [edges], getattr(torch, "float64" if type == "f64" else "float32"))
    result, (got,) = ours(getattr(f, name), [edges], type)
    tolerance = 1e-12 if type == "f64" else 1e-5
    assert_close(result, value, [edges], lambda x: denormal(x, type), tolerance)
    except_at = GRADIENT_EXCEPTIONS.get(name, lambda x: False)
    tolerance = GRADIENT_TOLERANCE.get((name, type), tolerance)
    assert_close(got, expected, [edges], except_at, tolerance, atol=1e-300 if type == "f64" else 1e-37)


def test_log_ndtr_far_left():
    """Its derivative there is -x - 1/x, to the digits of float64."""
    _, (got,) = ours(f.log_ndtr, [[-1e4, -1e6, -INF]], "f64")
    np.testing.assert_allclose(got, [1e4 + 1e-4, 1e6 + 1e-6, INF], rtol=1e-13)


TORCH_BINARY = {
    "maximum": "maximum", "minimum": "minimum", "fmax": "fmax", "fmin": "fmin", "pow": "pow", "hypot": "hypot", "atan2": "atan2",
    "copysign": "copysign", "rem": "fmod", "mod": "remainder", "xlogy": "xlogy", "logaddexp": "logaddexp", "div": "div",
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH_BINARY)
def test_binary_at_the_edges(name):
    torch = pytest.importorskip("torch")
    a, b = map(list, zip(*itertools.product(EDGES, EDGES), strict=True))
    value, expected = oracle(torch, TORCH_BINARY[name], [a, b], torch.float64)
    result, got = ours(getattr(f, name), [a, b], "f64")
    remainder = name in ("rem", "mod")  # PyTorch's vectorised fmod gives NaN where a / b leaves the range of whole floats
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


ROWS = [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -2.0, 3.0], [NAN, 1.0, 2.0], [INF, 0.5, 1.0], [-INF, -INF, -INF], [1e4, -1e4, 88.0], [2.0, 2.0, 2.0]]
TORCH_ROWWISE = {
    "amax": (f.max, lambda t, x: x.amax(-1)), "amin": (f.min, lambda t, x: x.amin(-1)), "prod": (f.prod, lambda t, x: x.prod(-1)),
    "norm": (f.norm, lambda t, x: x.norm(dim=-1)), "norm1": (lambda x: f.norm(x, 1), lambda t, x: x.norm(p=1, dim=-1)),
    "norminf": (lambda x: f.norm(x, INF), lambda t, x: x.norm(p=INF, dim=-1)), "norm.5": (lambda x: f.norm(x, 0.5), lambda t, x: x.norm(p=0.5, dim=-1)),
    "norm3": (lambda x: f.norm(x, 3.0), lambda t, x: x.norm(p=3, dim=-1)), "norm0": (lambda x: f.norm(x, 0), lambda t, x: x.norm(p=0, dim=-1)),
    "std": (f.std, lambda t, x: x.std(-1)), "var": (f.var, lambda t, x: x.var(-1)), "mean": (f.mean, lambda t, x: x.mean(-1)),
    "logsumexp": (f.logsumexp, lambda t, x: x.logsumexp(-1)), "softmax": (f.softmax, lambda t, x: x.softmax(-1)),
    "log_softmax": (f.log_softmax, lambda t, x: x.log_softmax(-1)), "count_nonzero": (f.count_nonzero, lambda t, x: x.count_nonzero(-1)),
    "argmax": (f.argmax, lambda t, x: x.argmax(-1)), "argmin": (f.argmin, lambda t, x: x.argmin(-1)),
    "any": (lambda x: f.any(f.isnan(x)), lambda t, x: x.isnan().any(-1)), "all": (lambda x: f.all(f.isfinite(x)), lambda t, x: x.isfinite().all(-1)),
}  # fmt: skip


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
        np.testing.assert_allclose(np.broadcast_to(mine, (len(ROWS), 3))[k], theirs[k], rtol=1e-10, atol=1e-12, err_msg=f"{row}")


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


# -- gradient(): a gradient as an operator of its own ------------------------------------------------------------------


def parts(g):
    return g.grads, g.saved_inputs, g.saved_results, g.rows


def test_gradient_reads_the_result_where_it_may():
    x, g, y = input(0, "f32"), input(0, "f32"), input(1, "f32")
    for function in (f.exp, f.sigmoid, f.tanh, f.sqrt, f.softmax, f.log_softmax, f.root):
        assert parts(gradient([function(x)], 1, [0], True)) == ((0,), (), (0,), ())
        assert parts(gradient([function(x)], 1, [0], False)) == ((0,), (0,), (), ())
    assert gradient([f.exp(x)], 1, [0], True).exprs == [g * y]
    assert gradient([f.exp(x)], 1, [0], False).exprs == [g * f.exp(y)]


def test_gradient_numbering():
    a, b = input(0, "f64"), input(1, "f64")
    g = gradient([f.sin(b), f.cast(a, "i64"), f.exp(b)], 2, [0, 1], True)
    assert parts(g) == ((0, 2), (1,), (2,), ())
    assert g.exprs[0] is None
    assert inputs_of([g.exprs[1]]) == [0, 1, 2, 3]  # two gradients, b, exp(b)
    swapped = gradient([a * b], 2, [1, 0], False)
    assert swapped.exprs == [input(0, "f64") * input(1, "f64"), input(0, "f64") * input(2, "f64")]


def test_gradient_of_rows():
    x = input(0, "f32")
    g = gradient([f.logsumexp(x)], 1, [0], True)
    assert parts(g) == ((0,), (0,), (0,), (0, 2))  # the incoming gradient and the saved result are ROW
    assert parts(gradient([f.mean(x)], 1, [0], True)) == ((0,), (), (), (0,))


def test_gradient_of_what_does_not_move():
    x, c = input(0, "f32"), input(1, "b1")
    for y in (f.floor(x), f.sign(x), x > 0, f.stop_gradient(x), f.argmax(x), f.angle(x) * 2, const(1, "f32")):
        assert gradient([y], 1, [0], True).exprs == [None]
    assert gradient([f.where(c, x, 0)], 2, [0, 1], True).exprs[1] is None


def test_the_adjoint_of_select_is_select():
    """An infinite gradient in the branch not taken leaves no NaN."""
    x, g = input(0, "f64"), input(1, "f64")
    (d,) = vjp([f.where(x > 0, x, 0.0)], [g], [x])
    assert "mul" not in {n.op for n in topological([d])}
    np.testing.assert_array_equal(evaluate([d], [[-1.0, 1.0], [INF, INF]])[0], [0.0, INF])


def test_unknown_operations_are_refused():
    x = input(0, "f64")
    with pytest.raises(TypeError, match="no derivative is stated for frobnicate"):
        vjp([make("frobnicate", (x,), "f64")], [x], [x])


def test_stated_derivatives_replace_the_expression():
    x, g = input(0, "f64"), input(1, "f64")
    relu = f.stated(f.maximum(x, 0), x, by=(lambda t, x, y: f.where(y <= 0, 0, t),))
    assert gradient([relu], 1, [0], True).saved_inputs == ()
    np.testing.assert_array_equal(evaluate(vjp([relu], [g], [x]), [[-1.0, 0.0, 2.0, NAN], 1.0])[0], [0, 0, 1, 1])
    assert without_stated([relu]) == [f.maximum(x, 0)]


# -- simplification ----------------------------------------------------------------------------------------------------


def simple(e, rows=()):
    return simplify([e], rows)[0]


def test_identities():
    x, y, n, c = input(0, "f32"), input(1, "f32"), input(2, "i32"), input(3, "b1")
    one, zero = const(1, "f32"), const(0, "f32")
    minus = -x
    kept = [x * 0, x + 0.0, x - x, 0 - x, x / 3, f.eq(x, x), f.where(c, x, y), f.cast(f.cast(x, "i32"), "f32"), x**1.5]
    assert simplify(kept) == kept
    changed = {
        x * 1: x, 1 * x: x, x / 1: x, x - 0.0: x, x + -0.0: x, -minus: x, x * -1: -x, (-x) * y: -(x * y), x - (-y): x + y, x + (-y): x - y,
        x + x: x * 2, x / 4: x * 0.25, n + 0: n, n * 0: const(0, "i32"), n - n: const(0, "i32"), f.eq(n, n): const(True, "b1"),
        f.where(c, x, x): x, f.where(const(False, "b1"), x, y): y, f.where(~c, x, y): f.where(c, y, x), ~~c: c, ~f.eq(x, y): f.ne(x, y),
        f.where(c, f.where(c, x, y), one): f.where(c, x, one), f.cast(f.cast(x, "f64"), "f32"): x, c & True: c, c | True: const(True, "b1"),
        x**2.0: x * x, x**3.0: x * x * x, x**-1.0: 1 / x, x**-2.0: 1 / (x * x), x**0.5: f.sqrt(x), x**-0.5: f.rsqrt(x), x**1.0: x, x**0.0: one,
        f.sum(-x): -f.sum(x), f.real(f.complex_(x, y)): x, f.conj(f.conj(input(4, "c64"))): input(4, "c64"), zero * zero: zero,
        (x * y) - (y * x): (x * y) - (x * y), -(x * 2): x * -2, f.sum(const(2, "f32")): 2 * f.count("f32"),
    }  # fmt: skip
    for before, after in changed.items():
        assert simple(before) is simple(after), (before, simple(before), after)


def test_a_sum_of_a_row_value_is_a_product():
    x, r = input(0, "f64"), input(1, "f64")
    assert simple(f.sum(r), rows=(1,)) is r * f.count("f64")
    assert simple(f.sum(x), rows=(1,)) is f.sum(x)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.3, 3.0, 1e-310, -1e300, INF, -INF, NAN]


def random_expression(rng, leaves, depth):
    if depth == 0 or rng.random() < 0.15:
        return leaves[rng.integers(len(leaves))] if rng.random() < 0.6 else const(float(rng.choice([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, INF])), "f64")
    a, b = (random_expression(rng, leaves, depth - 1) for _ in range(2))
    choices = [
        lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / b, lambda: -a, lambda: f.abs(a), lambda: f.where(a > b, a, b),
        lambda: f.where(~f.eq(a, b), a, f.where(f.ne(a, b), b, a)), lambda: f.maximum(a, b), lambda: f.where((a < b) & f.isnan(a), a, b),
        lambda: f.cast(f.cast(a, "f32"), "f64"), lambda: f.sign(a), lambda: f.cast(a > b, "f64"),
    ]  # fmt: skip
    return choices[rng.integers(len(choices))]()


@pytest.mark.parametrize("seed", range(20))
def test_simplification_keeps_every_bit(seed):
    rng = np.random.default_rng(seed)
    x, y = (np.array(v) for v in zip(*itertools.product(SPECIAL, SPECIAL), strict=True))
    exprs = [random_expression(rng, [input(0, "f64"), input(1, "f64")], 5) for _ in range(20)]
    for e in exprs:
        before, after = (np.broadcast_to(evaluate([v], [x, y])[0], x.shape) for v in (e, simple(e)))
        same = (before == after) & (np.signbit(before) == np.signbit(after)) | np.isnan(before) & np.isnan(after)
        assert same.all(), (e, simple(e), x[~same], y[~same])


@pytest.mark.parametrize("type", ["u8", "i8", "i16", "i32", "i64", "u64", "f16", "f32"])
def test_constants_round_as_their_type(type):
    dtype = {"u8": "uint8", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u64": "uint64", "f16": "float16", "f32": "float32"}[type]
    values = [0, 1, -1, 127, 128, 255, 256, 32768, 2**31, 2**63, 2**64 - 1, -(2**31) - 1]
    if type.startswith("f"):
        values = [0.1, -0.1, 65519.9, 65520.0, 3.4e38, 1e39, -1e39, 1e-8, 1e-45, 7e-46, INF, 2049.0, 16777217.0]
    with np.errstate(over="ignore"):
        for value in values:
            expected = np.array(value).astype(dtype).item() if type.startswith("f") else int(np.array([value % 2**64], np.uint64).astype(dtype)[0])
            assert round_to(value, type) == expected


def test_bfloat_constants():
    torch = pytest.importorskip("torch")
    for value in (0.1, -3.14159, 1e-40, 9e-41, 3.3895e38, 3.3961e38, 1.00390625, 1.01171875, -0.0, INF):
        assert round_to(value, "bf16") == torch.tensor(value, dtype=torch.float32).to(torch.bfloat16).item()


def test_folding():
    assert simple(const(127, "i8") + 1) is const(-128, "i8")
    assert simple(const(0.1, "f32") + const(0.2, "f32")) is const(float(np.float32(0.1) + np.float32(0.2)), "f32")
    assert simple(const(1.0, "f64") / 0.0) is const(INF, "f64")
    assert simple(f.cast(const(300, "i64"), "u8")) is const(44, "u8")
    unfolded = f.cast(const(NAN, "f64"), "i32")
    assert simple(unfolded) is unfolded
    assert simple(const(2, "f64") < 3) is const(True, "b1")
    assert simple(f.exp(const(1.0, "f64"))) is f.exp(const(1.0, "f64"))  # its last bit is the kernel's


# -- the vocabulary and the interpreter --------------------------------------------------------------------------------


def test_operands_are_checked():
    n, x, z = input(0, "i32"), input(1, "f32"), input(2, "c64")
    with pytest.raises(TypeError, match="exp is defined for floating-point operands, not for i32"):
        f.exp(n)
    with pytest.raises(TypeError, match="operands of types f32, i32"):
        f.hypot(x, n)
    with pytest.raises(TypeError, match="use Python's math module"):
        f.sqrt(2.0)
    with pytest.raises(TypeError, match="erf is defined for real floating-point operands, not for c64"):
        f.erf(z)
    with pytest.raises(TypeError, match="takes 1 operand, not 2"):
        f.sin(x, x)
    with pytest.raises(ValueError, match="n >= 0"):
        f.polygamma(-1, x)
    with pytest.raises(TypeError, match="no truth value"):
        bool(x > 0)


def test_all_names_exist():
    assert sorted(f.__all__) == f.__all__
    for name in f.__all__:
        assert getattr(f, name).__doc__, name


def test_numbers_stand_beside_expressions():
    x = input(0, "f32")
    assert f.atan2(1, x) is f.atan2(const(1, "f32"), x)
    assert f.where(x > 0, 1, x).type == "f32"
    assert f.fma(x, 2, 1).type == "f32"


INTEGERS = [-128, -7, -1, 0, 1, 3, 7, 8, 127]


@pytest.mark.parametrize(
    "name, path", [("floordiv", "floor_divide"), ("mod", "remainder"), ("rem", "fmod"), ("left_shift", "bitwise_left_shift"), ("right_shift", "bitwise_right_shift"),
                   ("bitwise_and", "bitwise_and"), ("bitwise_or", "bitwise_or"), ("bitwise_xor", "bitwise_xor"), ("maximum", "maximum"), ("minimum", "minimum")]
)  # fmt: skip
def test_integer_operations(name, path):
    torch = pytest.importorskip("torch")
    a, b = (np.array(v, np.int8) for v in zip(*itertools.product(INTEGERS, INTEGERS), strict=True))
    if name in ("floordiv", "mod", "rem"):
        keep = (b != 0) & ~((a == -128) & (b == -1))
        a, b = a[keep], b[keep]
    (got,) = evaluate([getattr(f, name)(input(0, "i8"), input(1, "i8"))], [a, b])
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, getattr(torch, path)(torch.tensor(a), torch.tensor(b)))


def test_integers_by_zero_and_overflow():
    a, b = input(0, "i8"), input(1, "i8")
    exprs = [f.floordiv(a, b), f.truncdiv(a, b), f.rem(a, b), f.mod(a, b)]
    values = evaluate(exprs, [np.int8([5, -128]), np.int8([0, -1])])
    assert [v.tolist() for v in values] == [[0, -128], [0, -128], [0, 0], [0, 0]]
    assert evaluate([f.truncdiv(a, b)], [np.int8([-7, 7, -7]), np.int8([2, -2, -2])])[0].tolist() == [-3, -3, 3]


def test_values_are_of_their_types():
    x = input(0, "f32")
    assert evaluate([x + 1e-9], [1.0])[0] == 1.0
    assert evaluate([x + 1e-9], [1.0], precision="f64")[0] == 1.0 + 1e-9
    assert evaluate([f.cast(x, "bf16")], [1.00390625 + 1e-4])[0] == 1.0078125
    assert evaluate([f.signbit(x)], [[-0.0, 0.0, -NAN]])[0].tolist()[:2] == [True, False]
    assert evaluate([f.cast(x, "i32")], [-2.7])[0] == -2


def test_reductions_in_space():
    x = np.arange(24.0).reshape(2, 3, 4)
    leaf = input(0, "f64")
    got = evaluate([f.argmax(leaf), f.position(), f.sum(leaf), f.count(leaf)], [x], axes=(0, 2))
    assert [v.shape for v in got] == [(1, 3, 1), (2, 3, 4), (1, 3, 1), ()]
    assert got[0].ravel().tolist() == [7, 7, 7]
    assert got[1][1, 2, 3] == 7
    np.testing.assert_array_equal(got[2], x.sum((0, 2), keepdims=True))
    assert got[3] == 8


@pytest.mark.parametrize("module", ["derive", "evaluate", "functions", "simplify"])
def test_examples(module):
    assert doctest.testmod(importlib.import_module(f"rushlight.lang.{module}")).failed == 0
