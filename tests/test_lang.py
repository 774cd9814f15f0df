"""The kernel language: gradients as operators, simplification, the vocabulary and the interpreter."""

import doctest
import importlib
import itertools
import math

import numpy as np
import pytest

from rushlight.lang import functions as f
from rushlight.lang.derive import gradient, vjp
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import const, input, inputs_of, make, topological, without_stated
from rushlight.lang.simplify import round_to, simplify

NAN, INF = math.nan, math.inf

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


def test_gradient_of_a_row_value_stored_for_every_element():
    """The gradient of a mean is g / n everywhere; its own gradient by g sums what comes in."""
    g, n = input(0, "f32"), f.count("f32")
    assert gradient([g / n], 1, [0], False, rows=(0,)).exprs == [g / n]
    spread = gradient([g / n], 1, [0], False, rows=(0,), spread=(0,))
    assert spread.exprs == [f.sum(g) / n]
    assert spread.rows == ()


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
        x * 1: x,
        1 * x: x,
        x / 1: x,
        x - 0.0: x,
        x + -0.0: x,
        -minus: x,
        x * -1: -x,
        (-x) * y: -(x * y),
        x - (-y): x + y,
        x + (-y): x - y,
        x + x: x * 2,
        x / 4: x * 0.25,
        n + 0: n,
        n * 0: const(0, "i32"),
        n - n: const(0, "i32"),
        f.eq(n, n): const(True, "b1"),
        f.where(c, x, x): x,
        f.where(const(False, "b1"), x, y): y,
        f.where(~c, x, y): f.where(c, y, x),
        ~~c: c,
        ~f.eq(x, y): f.ne(x, y),
        f.where(c, f.where(c, x, y), one): f.where(c, x, one),
        f.cast(f.cast(x, "f64"), "f32"): x,
        c & True: c,
        c | True: const(True, "b1"),
        x**2.0: x * x,
        x**3.0: x * x * x,
        x**-1.0: 1 / x,
        x**-2.0: 1 / (x * x),
        x**0.5: f.sqrt(x),
        x**-0.5: f.rsqrt(x),
        x**1.0: x,
        x**0.0: one,
        f.sum(-x): -f.sum(x),
        f.real(f.complex_(x, y)): x,
        f.conj(f.conj(input(4, "c64"))): input(4, "c64"),
        zero * zero: zero,
        (x * y) - (y * x): (x * y) - (x * y),
        -(x * 2): x * -2,
        f.sum(const(2, "f32")): 2 * f.count("f32"),
    }
    for before, after in changed.items():
        assert simple(before) is simple(after), (before, simple(before), after)


def test_a_sum_of_a_row_value_is_a_product():
    x, r = input(0, "f64"), input(1, "f64")
    assert simple(f.sum(r), rows=(1,)) is r * f.count("f64")
    assert simple(f.sum(x), rows=(1,)) is f.sum(x)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.3, 3.0, 1e-310, -1e300, INF, -INF, NAN]


def random_expression(rng, leaves, depth):
    if depth == 0 or rng.random() < 0.15:
        return (
            leaves[rng.integers(len(leaves))]
            if rng.random() < 0.6
            else const(float(rng.choice([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 3.0, INF])), "f64")
        )
    a, b = (random_expression(rng, leaves, depth - 1) for _ in range(2))
    choices = [
        lambda: a + b,
        lambda: a - b,
        lambda: a * b,
        lambda: a / b,
        lambda: -a,
        lambda: f.abs(a),
        lambda: f.where(a > b, a, b),
        lambda: f.where(~f.eq(a, b), a, f.where(f.ne(a, b), b, a)),
        lambda: f.maximum(a, b),
        lambda: f.where((a < b) & f.isnan(a), a, b),
        lambda: f.cast(f.cast(a, "f32"), "f64"),
        lambda: f.sign(a),
        lambda: f.cast(a > b, "f64"),
    ]
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
    dtype = {
        "u8": "uint8",
        "i8": "int8",
        "i16": "int16",
        "i32": "int32",
        "i64": "int64",
        "u64": "uint64",
        "f16": "float16",
        "f32": "float32",
    }[type]
    values = [0, 1, -1, 127, 128, 255, 256, 32768, 2**31, 2**63, 2**64 - 1, -(2**31) - 1]
    if type.startswith("f"):
        values = [0.1, -0.1, 65519.9, 65520.0, 3.4e38, 1e39, -1e39, 1e-8, 1e-45, 7e-46, INF, 2049.0, 16777217.0]
    with np.errstate(over="ignore"):
        for value in values:
            expected = (
                np.array(value).astype(dtype).item()
                if type.startswith("f")
                else int(np.array([value % 2**64], np.uint64).astype(dtype)[0])
            )
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
    "name, path",
    [
        ("floordiv", "floor_divide"),
        ("mod", "remainder"),
        ("rem", "fmod"),
        ("left_shift", "bitwise_left_shift"),
        ("right_shift", "bitwise_right_shift"),
        ("bitwise_and", "bitwise_and"),
        ("bitwise_or", "bitwise_or"),
        ("bitwise_xor", "bitwise_xor"),
        ("maximum", "maximum"),
        ("minimum", "minimum"),
    ],
)
def test_integer_operations(name, path):
    torch = pytest.importorskip("torch")
    a, b = (np.array(v, np.int8) for v in zip(*itertools.product(INTEGERS, INTEGERS), strict=True))
    if name in ("floordiv", "mod", "rem"):
        keep = (b != 0) & ~((a == -128) & (b == -1))
        a, b = a[keep], b[keep]
    (got,) = evaluate([getattr(f, name)(input(0, "i8"), input(1, "i8"))], [a, b])
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, getattr(torch, path)(torch.tensor(a), torch.tensor(b)))


@pytest.mark.parametrize("type", ["int8", "uint8", "int64"])
def test_integer_powers(type):
    torch = pytest.importorskip("torch")
    values = [0, 1, 2, 3, 5, 7, 100, 127] + ([] if type[0] == "u" else [-1, -2, -3, -128])
    a, b = (np.array(v, type) for v in zip(*itertools.product(values, values), strict=True))
    t = {"int8": "i8", "uint8": "u8", "int64": "i64"}[type]
    (got,) = evaluate([f.pow(input(0, t), input(1, t))], [a, b])
    np.testing.assert_array_equal(got, torch.pow(torch.tensor(a), torch.tensor(b)))
    for exponent in (0, 1, 2, 3, 6, 11):
        (got,) = evaluate(simplify([f.pow(input(0, t), exponent)]), [a])
        np.testing.assert_array_equal(got, torch.pow(torch.tensor(a), exponent))


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


def test_every_elementary_function_has_a_cost():
    from rushlight.lang import cost, elementary

    assert not elementary.FUNCTIONS.keys() - cost._COST


@pytest.mark.parametrize("module", ["cost", "derive", "evaluate", "functions", "simplify"])
def test_examples(module):
    assert doctest.testmod(importlib.import_module(f"rushlight.lang.{module}")).failed == 0
