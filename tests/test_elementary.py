"""Elementary functions: a slice of the ULP table, special values, and what expand() may leave behind."""

import decimal
import importlib.util
import math
import pathlib

import pytest

from rushlight.lang import elementary
from rushlight.lang.expr import input, make, topological

np = pytest.importorskip("numpy")
mpmath = pytest.importorskip("mpmath")

_PATH = pathlib.Path(__file__).resolve().parent.parent / "benchmarks" / "ulp.py"
_SPEC = importlib.util.spec_from_file_location("ulp", _PATH)
ulp = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ulp)

TYPES = ("f32", "f64")
MACHINE = frozenset(
    "input const add sub mul div neg fma select cast lt le gt ge eq ne and or xor not shl shr abs floor rint sqrt "
    "copysign bitcast table".split()
)
INF, NAN = math.inf, math.nan
OPERANDS = {"pow": 2, "hypot": 2, "atan2": 2, "zeta": 2}


def _same(actual, expected):
    """Equal with the sign of zero, NaN equal to NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    nan = np.isnan(actual) & np.isnan(expected)
    return nan | ((actual == expected) & (np.signbit(actual) == np.signbit(expected)))


def _assert_same(actual, expected, *arguments):
    wrong = np.flatnonzero(~_same(actual, expected))
    cases = [(*(float(a[i]) for a in arguments), float(actual[i]), float(expected[i])) for i in wrong]
    assert not cases, f"(arguments, result, expected): {cases}"


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("row", ulp.ROWS, ids=lambda row: row.name)
def test_worst_error_is_within_its_bound(row, type):
    worst, at, _, vectors, within = ulp.measure(row, type, 60, 400_009, np.random.default_rng(1))
    assert within, f"{worst} ULP at {at}, NumPy's vectors {vectors}"


def test_every_function_is_measured():
    assert set(elementary.FUNCTIONS) == {row.op for row in ulp.ROWS}


def test_a_planted_error_is_found():
    row = next(row for row in ulp.ROWS if row.op == "exp")
    value = np.float64(math.exp(1.5))
    assert ulp.error(row, "f64", value, [1.5]) < 1
    for _ in range(2):
        value = np.nextafter(value, INF)
    assert ulp.error(row, "f64", value, [1.5]) > 1


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", elementary.FUNCTIONS)
def test_only_machine_operations_are_left(name, type):
    operands = tuple(input(i, type) for i in range(OPERANDS.get(name, 1)))
    (root,) = elementary.expand([make(name, operands, type, 1 if name == "polygamma" else None)])
    assert root.type == type
    assert {node.op for node in topological([root])} <= MACHINE


def test_other_nodes_stay():
    x = input(0, "f32")
    whole = make("exp", (input(1, "bf16"),), "bf16")
    kept = x * 2.0 + x
    assert elementary.expand([kept, whole]) == [kept, whole]


# What C's <math.h> and PyTorch state: results at (0, -0, inf, -inf, nan).
AT_LIMITS = {
    "exp": (1, 1, INF, 0, NAN), "exp2": (1, 1, INF, 0, NAN), "expm1": (0, -0.0, INF, -1, NAN),
    "log": (-INF, -INF, INF, NAN, NAN), "log2": (-INF, -INF, INF, NAN, NAN), "log10": (-INF, -INF, INF, NAN, NAN),
    "log1p": (0, -0.0, INF, NAN, NAN), "sin": (0, -0.0, NAN, NAN, NAN), "cos": (1, 1, NAN, NAN, NAN),
    "tan": (0, -0.0, NAN, NAN, NAN), "asin": (0, -0.0, NAN, NAN, NAN),
    "acos": (math.pi / 2, math.pi / 2, NAN, NAN, NAN), "atan": (0, -0.0, math.pi / 2, -math.pi / 2, NAN),
    "sinh": (0, -0.0, INF, -INF, NAN), "cosh": (1, 1, INF, INF, NAN), "tanh": (0, -0.0, 1, -1, NAN),
    "asinh": (0, -0.0, INF, -INF, NAN), "acosh": (NAN, NAN, INF, NAN, NAN), "atanh": (0, -0.0, NAN, NAN, NAN),
    "cbrt": (0, -0.0, INF, -INF, NAN), "rsqrt": (INF, -INF, 0, NAN, NAN), "sigmoid": (0.5, 0.5, 1, 0, NAN),
    "softplus": (math.log(2), math.log(2), INF, 0, NAN), "log_sigmoid": (-math.log(2), -math.log(2), 0, -INF, NAN),
    "erf": (0, -0.0, 1, -1, NAN), "erfc": (1, 1, 0, 2, NAN), "erfcx": (1, 1, 0, INF, NAN),
    "erfinv": (0, -0.0, NAN, NAN, NAN), "ndtri": (-INF, -INF, NAN, NAN, NAN),
    "log_ndtr": (-math.log(2), -math.log(2), 0, -INF, NAN), "lgamma": (INF, INF, INF, INF, NAN),
    "digamma": (-INF, INF, INF, NAN, NAN), "polygamma": (INF, INF, 0, INF, NAN),
    "i0": (1, 1, INF, INF, NAN), "i0e": (1, 1, 0, 0, NAN), "i1": (0, -0.0, INF, -INF, NAN),
    "i1e": (0, -0.0, 0, -0.0, NAN),
}  # fmt: skip


def test_limits_are_stated_for_every_function():
    assert set(AT_LIMITS) == {name for name in elementary.FUNCTIONS if name not in OPERANDS}


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", AT_LIMITS)
def test_zeros_infinities_and_nan(name, type):
    x = np.array([0.0, -0.0, INF, -INF, NAN], ulp.DTYPE[type])
    actual = ulp.evaluate(name, type, x, attr=1 if name == "polygamma" else None)
    # Zeros that are limits, not exact results, may have either sign.
    expected = np.array(AT_LIMITS[name], x.dtype)
    limits = (expected == 0) & (np.abs(x) != 0) & (name != "i1e")
    _assert_same(np.where(limits, np.abs(actual), actual), np.where(limits, np.abs(expected), expected), x)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("log", (1, -1, -5e-324), (0, NAN, NAN)),
        ("log2", (1, 2, 8, 0.25), (0, 1, 3, -2)),
        ("log10", (1, 10, 1000, 1e10), (0, 1, 3, 10)),
        ("log1p", (-1, -2), (-INF, NAN)),
        ("exp2", (3, -2, 0.0), (8, 0.25, 1)),
        ("asin", (1, -1, 1.5), (math.pi / 2, -math.pi / 2, NAN)),
        ("acos", (1, -1, -1.5), (0, math.pi, NAN)),
        ("acosh", (1, 0.5), (0, NAN)),
        ("atanh", (1, -1, 2), (INF, -INF, NAN)),
        ("cbrt", (8, -27, 1e-30), (2, -3, 1e-10)),
        ("erfinv", (1, -1, 1.5), (INF, -INF, NAN)),
        ("ndtri", (0.5, 1, 1.5, -0.5), (0, INF, NAN, NAN)),
        ("lgamma", (1, 2, -1, -3), (0, 0, INF, INF)),
        ("digamma", (-1, -2), (NAN, NAN)),
    ],
)
def test_exact_values_and_domains(name, x, expected, type):
    dtype = ulp.DTYPE[type]
    x = np.array([v for v in x if dtype(v) != 0 or v == 0], dtype)
    expected = np.array(expected[: len(x)], dtype)
    _assert_same(ulp.evaluate(name, type, x), expected, x)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh"])
def test_tiny_arguments_are_their_own_results(name, type):
    info = np.finfo(ulp.DTYPE[type])
    x = np.array([info.smallest_subnormal, info.tiny, info.tiny / 4, 3 * info.tiny, 1e-30], info.dtype)
    x = np.concatenate([x, -x])
    _assert_same(ulp.evaluate(name, type, x), x, x)


@pytest.mark.parametrize("type", TYPES)
def test_denormal_results_keep_their_bits(type):
    dtype = ulp.DTYPE[type]
    deep = {"f32": -100.0, "f64": -740.0}[type]
    x = np.array([deep, deep + 2.5], dtype)
    for name in ("exp", "sigmoid", "softplus"):
        expected = np.exp(x.astype(np.longdouble)).astype(dtype)
        assert 0 < expected.min() < np.finfo(dtype).tiny
        assert np.abs(ulp.evaluate(name, type, x) - expected).max() <= np.finfo(dtype).smallest_subnormal


def test_arguments_closest_to_multiples_of_half_pi():
    """The doubles and floats whose distance to a multiple of pi / 2 is smallest, and huge ones."""
    for type, x in (("f64", 6381956970095103.0 * 2.0**797), ("f64", 1e22), ("f64", 1.7e308), ("f64", 355.0)):
        _reduce_and_compare(type, x)
    for type, x in (("f32", 16367173.0 * 2.0**72), ("f32", 3.4e38), ("f32", 355.0), ("f32", 11.0)):
        _reduce_and_compare(type, x)


def _reduce_and_compare(type, x):
    for name in ("sin", "cos", "tan"):
        row = next(row for row in ulp.ROWS if row.op == name)
        value = ulp.evaluate(name, type, np.array([x]))[0]
        assert ulp.error(row, type, value, [np.array([x], ulp.DTYPE[type])[0]]) <= row.bound[type]


SPECIAL = (
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e30, -1e30, 1e-30, -1e-30, 16777217.0, INF, -INF, NAN,
)  # fmt: skip


def _grid(type):
    x, y = np.meshgrid(np.array(SPECIAL, ulp.DTYPE[type]), np.array(SPECIAL, ulp.DTYPE[type]))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ["pow", "hypot", "atan2"])
def test_special_cases_of_two_operands(name, type):
    reference = {"pow": np.power, "hypot": np.hypot, "atan2": np.arctan2}[name]
    x, y = _grid(type)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64), y.astype(np.float64)).astype(x.dtype)
    actual = ulp.evaluate(name, type, x, y)
    special = ~np.isfinite(expected) | (expected == 0) | np.isin(np.abs(expected), (1, 2, 0.5))
    _assert_same(actual[special], expected[special], x[special], y[special])
    np.testing.assert_allclose(actual, expected, rtol=4 * np.finfo(x.dtype).eps)


def test_hurwitz_zeta_outside_its_half_plane():
    s = np.array([1.0, 0.5, 2, 2, 2.5, 2, 3, INF, INF, INF, NAN, 2, 2])
    q = np.array([1.0, 1, 0, -1, -0.5, -0.5, -0.5, 2, 1, 0.5, 1, NAN, 1e-200])
    # zeta(2, -1/2) = 4 + pi^2 / 2 and zeta(3, -1/2) = 7 zeta(3) - 8
    expected = np.array([INF, NAN, INF, INF, NAN, 4 + math.pi**2 / 2, 0.414398322117159998, 0, 1, INF, NAN, NAN, INF])
    np.testing.assert_allclose(ulp.evaluate("zeta", "f64", s, q), expected, rtol=1e-15)


def test_polygamma_of_order_zero_is_digamma():
    x = np.array([0.3, 1.5, 20.0, -2.5])
    _assert_same(ulp.evaluate("polygamma", "f64", x, attr=0), ulp.evaluate("digamma", "f64", x), x)


def test_signs_at_the_poles_of_polygamma():
    x = np.array([0.0, -1.0, -2.0])
    assert (ulp.evaluate("polygamma", "f64", x, attr=1) == INF).all()
    assert (ulp.evaluate("polygamma", "f64", x, attr=2) == -INF).all()


@pytest.mark.parametrize(("name", "low", "high"), [("float32", -149, 127), ("float64", -1074, 1023)])
def test_remainders_of_any_size_are_exact(name, low, high):
    import rushlight as torch

    rng, n = np.random.default_rng(0), 20003
    special = np.array([0.0, -0.0, INF, -INF, NAN, 1, -1, np.finfo(name).max, np.finfo(name).tiny, np.ldexp(1, low)], name)
    a, b = (np.ldexp(rng.uniform(1, 2, n), rng.integers(low, high + 1, n)).astype(name) * rng.choice([-1, 1], n) for _ in range(2))
    b[: n // 2] = a[: n // 2] / rng.uniform(1, 1e7, n // 2)  # quotients of a few bits
    a, b = (np.concatenate([x, y.ravel()]).astype(name) for x, y in zip((a, b), np.meshgrid(special, special)))
    with np.errstate(all="ignore"):
        _assert_same(torch.fmod(torch.from_numpy(a), torch.from_numpy(b)).numpy(), np.fmod(a, b), a)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_next_to_multiples_of_half_pi(name, type):
    """There all leading digits cancel, below the size from which angles are reduced another way, above, and on its two sides."""
    from rushlight.lang.elementary.trig import FAR

    limit = int(FAR[type] / (math.pi / 2))
    with mpmath.workprec(300):
        near = [ulp.DTYPE[type](float(k * mpmath.pi / 2)) for k in (*range(1, 20), *range(limit - 10, limit + 10), 10 * limit, 999 * limit)]
        x = np.array([v for a in near for v in (np.nextafter(a, ulp.DTYPE[type](0)), a)])
        row = next(row for row in ulp.ROWS if row.op == name)
        worst = max(ulp.error(row, type, y, [float(v)]) for v, y in zip(x, ulp.evaluate(name, type, x), strict=True))
    assert worst <= (2 if type == "f32" else 1)


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "erfinv"])
def test_a_result_does_not_depend_on_its_neighbours(name):
    x = np.concatenate([np.linspace(-0.99, 0.99, 101), [0.999, -0.9999, 1.0, 1e9, -1e30, INF, NAN, 3e5]]).astype(np.float32)
    mixed = np.random.default_rng(0).permutation(len(x))
    together = ulp.evaluate(name, "f32", x[mixed])
    alone = np.array([ulp.evaluate(name, "f32", x[i : i + 1])[0] for i in mixed])
    _assert_same(together, alone, x[mixed])


REGISTERS = frozenset((name, t) for name in ("rarely", "scale", "estimate", "lookup") for t in TYPES)


@pytest.mark.parametrize("name", ["log", "log2", "log10", "pow"])
@pytest.mark.parametrize("type", TYPES)
def test_logarithms_divide_nothing_where_registers_hold_tables(name, type):
    x = make(name, tuple(input(i, type) for i in range(OPERANDS.get(name, 1))), type)
    if (name, type) != ("pow", "f64"):  # whose logarithm needs 64 bits
        assert not [n for n in topological(elementary.expand([x], REGISTERS)) if n.op == "div"]
    assert [n for n in topological(elementary.expand([x])) if n.op == "div" or type == "f32"]


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "erfinv"])
def test_a_rare_branch_of_wider_numbers_does_not_narrow_the_vectors(name):
    from rushlight.codegen.llvm import host
    from rushlight.codegen.outputs import Output, lowered_outputs
    from rushlight.codegen.pointwise import Pointwise

    outputs = [Output(make(name, (input(0, "f32"),), "f32"), "f32")]
    assert Pointwise(lowered_outputs(outputs), ("f32",), "cc", False).lanes == host().vector_bits // 32


@pytest.mark.parametrize("base", [math.e, 2])
def test_the_logarithms_of_the_table_are_nearly_floats(base):
    """Of the numbers near an interval's reciprocal the table has those whose logarithm is rounded least: a search of 0.1 s, done once."""
    from rushlight.lang.elementary import logtables
    from rushlight.lang.elementary.pieces import single

    inverses, logarithms = logtables._short_rows(base)

    def rounding(k, inverse):
        exact = logtables._beside(inverse, base, k >= 16)
        return abs(exact - decimal.Decimal(single(float(exact))))

    assert (inverses[0], inverses[-1], logarithms[0]) == (1, 0.5, 0)
    for k in range(1, 31):
        middle = single(1 / (1 + (k + 0.5) / 32))
        assert inverses[k] == min((middle + j * 2.0**-24 for j in range(-64, 64)), key=lambda x: rounding(k, x))
