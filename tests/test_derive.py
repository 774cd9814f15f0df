"""Every derivative rule of the kernel language, to third order, against differences of values."""

import math

import numpy as np
import pytest

from rushlight.lang import functions as f
from rushlight.lang import rules
from rushlight.lang.derive import jvp, vjp
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import const, full_nodes, input
from rushlight.lang.simplify import simplify

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
    """The gradient of a real ``value(arrays)`` by every element of ``arrays[position]``; dL/dx + i dL/dy if complex."""
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
    """Assert that all derivatives of ``function`` agree with differences of the order below, and jvp with vjp.

    ``function`` takes and returns expressions. Arrays of ROW inputs have size 1 along ``axes``. The random gradients
    are inputs of the next order, which differentiates by the original inputs again.
    """
    arrays = [np.asarray(a) for a in arrays]
    leaves = leaves_of(arrays)
    outputs = function(*leaves)
    _check(
        outputs if isinstance(outputs, list) else [outputs],
        arrays,
        leaves,
        axes,
        order,
        set(rows),
        np.random.default_rng(seed),
        tolerance,
    )


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
        _check(
            [r for r, _ in kept], arrays + new, leaves, axes, order - 1, rows, rng, tolerance * 3, [s for _, s in kept]
        )


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
    "neg": (lambda x: -x, WIDE),
    "abs": (f.abs, WIDE),
    "sqrt": (f.sqrt, POSITIVE),
    "rsqrt": (f.rsqrt, POSITIVE),
    "root": (f.root, POSITIVE),
    "exp": (f.exp, WIDE),
    "exp2": (f.exp2, WIDE),
    "expm1": (f.expm1, WIDE),
    "log": (f.log, POSITIVE),
    "log2": (f.log2, POSITIVE),
    "log10": (f.log10, POSITIVE),
    "log1p": (f.log1p, POSITIVE - 0.9),
    "sin": (f.sin, WIDE),
    "cos": (f.cos, WIDE),
    "tan": (f.tan, WITHIN),
    "asin": (f.asin, WITHIN),
    "acos": (f.acos, WITHIN),
    "atan": (f.atan, WIDE),
    "sinh": (f.sinh, WIDE),
    "cosh": (f.cosh, WIDE),
    "tanh": (f.tanh, WIDE),
    "asinh": (f.asinh, WIDE),
    "acosh": (f.acosh, ABOVE_ONE),
    "atanh": (f.atanh, WITHIN),
    "sigmoid": (f.sigmoid, WIDE),
    "softplus": (f.softplus, WIDE),
    "log_sigmoid": (f.log_sigmoid, WIDE),
    "erf": (f.erf, WIDE),
    "erfc": (f.erfc, WIDE),
    "erfcx": (f.erfcx, WIDE),
    "erfinv": (f.erfinv, WITHIN),
    "ndtri": (f.ndtri, UNIT),
    "log_ndtr": (f.log_ndtr, WIDE),
    "lgamma": (f.lgamma, POSITIVE),
    "digamma": (f.digamma, POSITIVE),
    "polygamma": (lambda x: f.polygamma(2, x), POSITIVE + 0.5),
    "i0": (f.i0, WIDE),
    "i0e": (f.i0e, WIDE),
    "i1": (f.i1, WIDE),
    "i1e": (f.i1e, WIDE),
    "cast": (lambda x: f.cast(f.cast(x, "f32"), "f64") * 0 + x, WIDE),
    "square": (f.square, WIDE),
    "reciprocal": (f.reciprocal, POSITIVE),
    "clamp": (lambda x: f.clamp(x * x, 0.5, 2.0), WIDE),
    "clamp low": (lambda x: f.clamp(x * x, low=0.6), WIDE),
    "clamp high": (lambda x: f.clamp(x * x, high=2.0), WIDE),
}
OTHER = np.array([1.3, -0.9, 0.8, 0.5, -1.4, 0.6])
BINARY = {
    "add": (lambda a, b: a * b + b, WIDE, OTHER),
    "sub": (lambda a, b: a - a * b, WIDE, OTHER),
    "mul": (lambda a, b: a * b, WIDE, OTHER),
    "div": (lambda a, b: a / b, WIDE, OTHER),
    "pow": (f.pow, POSITIVE, OTHER[:4]),
    "rem": (f.rem, WIDE * 3.37, OTHER),
    "mod": (f.mod, WIDE * 3.37, OTHER),
    "hypot": (f.hypot, WIDE, OTHER),
    "atan2": (f.atan2, WIDE, OTHER),
    "copysign": (lambda a, b: f.copysign(a * a, b), WIDE, OTHER),
    "select": (lambda a, b: f.where(a > b, a * b, b / a), WIDE, OTHER),
    "max": (lambda a, b: f.maximum(a, b) ** 2.0, WIDE, OTHER),
    "min": (lambda a, b: f.minimum(a, b) ** 3.0, WIDE, OTHER),
    "fmax": (f.fmax, WIDE, OTHER),
    "fmin": (f.fmin, WIDE, OTHER),
    "logaddexp": (f.logaddexp, WIDE, OTHER),
    "logaddexp tie": (f.logaddexp, WIDE, WIDE),
    "xlogy": (f.xlogy, WIDE, np.abs(OTHER)),
    "xlog1py": (f.xlog1py, WIDE, np.abs(OTHER)),
}


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
HOLOMORPHIC = [getattr(f, name) for name in """
    sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid
""".split()]
COMPLEX_FUNCTIONS = {function.__name__: function for function in HOLOMORPHIC} | {
    "neg": lambda z: -z,
    "abs": f.abs,
    "sgn": f.sgn,
    "angle": f.angle,
    "real": f.real,
    "imag": f.imag,
    "conj": lambda z: f.conj(z) * z * z,
    "to real": lambda z: f.cast(z * z, "f64"),
    "norm": lambda z: f.cast(f.exp(f.abs(z)), "c128") * z,
}


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
    "sum": lambda x: f.sum(x * x * x),
    "mean": lambda x: f.mean(f.exp(x)),
    "prod": f.prod,
    "max": lambda x: f.max(x * x) ** 2.0,
    "min": f.min,
    "softmax": f.softmax,
    "log_softmax": f.log_softmax,
    "logsumexp": f.logsumexp,
    "var": f.var,
    "var0": lambda x: f.var(x, 0),
    "std": f.std,
    "norm": f.norm,
    "norm1": lambda x: f.norm(x, 1),
    "norm3": lambda x: f.norm(x, 3.0),
    "norm.5": lambda x: f.norm(x, 0.5),
    "norm-1": lambda x: f.norm(x, -1.0),
    "norminf": lambda x: f.norm(x, INF),
    "norm-inf": lambda x: f.norm(x, -INF),
    "row in full": lambda x: x * f.sum(x * x) + f.mean(x),
    "both levels": lambda x: [f.sum(x * x), x * x * x],
    "nested": lambda x: f.sum(x * f.sum(x * x)),
    "row of row": lambda x: f.sum(f.mean(x * x)),
    "position": lambda x: f.sum(x * x * f.cast(f.position(), "f64")),
}


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
        (
            "PAIRED",
            "abs",
            ((rules.PAIRED["abs"][0][0], lambda g, z, y: g * f.conj(f.sgn(z))),),
            lambda: test_complex_rules("abs"),
        ),
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
