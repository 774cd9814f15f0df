"""How exact the elementary functions are: worst errors in ULP of compiled kernels, against mpmath and NumPy's vectors.

    python benchmarks/ulp.py [--points N] [--stride S] [function ...]

One line for each function and type. float64 results are compared with mpmath on N arguments of all sizes, float32
results with NumPy's float64 functions on every S-th of the 2**32 bit patterns (with mpmath on N arguments where
NumPy has no such function), and both with the test vectors that NumPy installs. The exit status is 1 if a bound is
broken.
"""

import argparse
import ctypes
import functools
import math
import pathlib
import sys
import warnings

import mpmath
import numpy as np
from mpmath import mp, mpf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rushlight.codegen import cpu
from rushlight.lang import expr

mp.prec = 140
DTYPE = {"f32": np.float32, "f64": np.float64}
PRECISION = {"f32": 24, "f64": 53}
MIN_EXPONENT = {"f32": -125, "f64": -1021}  # of the smallest normal number, as frexp counts


# -- references --------------------------------------------------------------------------------------------------------


def erfcx(x):
    """exp(x^2) erfc(x), by the asymptotic series where erfc is too small for mpmath's exponent-free product"""
    if x < 40:
        return mp.exp(x * x) * mp.erfc(x)
    return sum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(20)) / (x * mp.sqrt(mp.pi))


def erfcinv(c):
    """The y with erfc(y) = c for c < 0.35, by Newton's method on log(erfc(y))"""
    log = mp.log(c)
    y = mp.sqrt(-log) * mpf("0.9")
    for _ in range(100):
        e = erfcx(y)
        step = (y * y + log - mp.log(e)) * mp.sqrt(mp.pi) * e / 2
        y -= step
        if abs(step) <= abs(y) * mpf(2) ** -100:
            return y
    raise ArithmeticError(f"erfcinv({c})")


def erfinv(x):
    """The y with erf(y) = x"""
    return mp.erfinv(x) if abs(x) < 0.7 else mp.sign(x) * erfcinv(1 - abs(x))


def ndtri(p):
    """The quantile of the standard normal distribution"""
    if 0.2 < p < 0.8:
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)
    return -mp.sqrt(2) * erfcinv(2 * p) if p < 0.5 else mp.sqrt(2) * erfcinv(2 * (1 - p))


def log_ndtr(x):
    """log of the standard normal distribution function"""
    if x < -1:
        return mp.log(erfcx(-x / mp.sqrt(2)) / 2) - x * x / 2
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)


def zeta(s, q):
    """Hurwitz' zeta function: direct terms, then Euler and Maclaurin (mpmath's loses digits of small results)"""
    total = mpf(0)
    while q < 60:
        total += q ** (-int(s)) if s == int(s) else q**-s
        q += 1
    total += q ** (1 - s) / (s - 1) + q**-s / 2
    term = s * q ** (-s - 1)
    for k in range(1, 40):
        total += mp.bernoulli(2 * k) / mp.factorial(2 * k) * term
        term *= (s + 2 * k - 1) * (s + 2 * k) / q**2
    return total


def polygamma(n):
    """The n-th derivative of digamma"""
    return lambda x: (-1) ** (n + 1) * math.factorial(n) * zeta(mpf(n + 1), x)


def lgamma(x):
    """log(|gamma(x)|)"""
    return mp.log(abs(mp.gamma(x))) if x < 0 else mp.re(mp.loggamma(x))


def scaled_bessel(n):
    """exp(-|x|) I_n(x)"""
    return lambda x: mp.besseli(n, x) * mp.exp(-abs(x))


def log1p_exp(x):
    """log(1 + exp(x))"""
    return mp.log1p(mp.exp(x))


# -- what is measured --------------------------------------------------------------------------------------------------


class Row:
    """One function: its operation, references, bounds in ULP, and the interval its arguments are drawn from.

    exact: mpmath's function; fast: NumPy's in float64; narrow: where most arguments are drawn; wide: the domain;
    poles: negative integers are left out; roots: errors count in eps where a root is nearer than 0.1; vectors: the
    name in NumPy's test data; second: the interval of the second argument.
    """

    def __init__(
        self, op, exact, fast=None, f32=2, f64=2, narrow=(-10, 10), wide=(-math.inf, math.inf), attr=None, poles=False,
        roots=False, vectors=None, second=None,
    ):  # fmt: skip
        self.op, self.exact, self.fast, self.bound, self.attr = op, exact, fast, {"f32": f32, "f64": f64}, attr
        self.narrow, self.wide, self.poles, self.roots = narrow, wide, poles, roots
        self.vectors, self.second = vectors, second
        self.name = op if attr is None else f"{op}[{attr}]"


def _from_math(function):
    return np.vectorize(function, otypes=[float])


POSITIVE, UNIT, PROBABILITY = (0, math.inf), (-1, 1), (0, 1)
GAMMA = {"f32": 4, "f64": 4, "narrow": (-20, 20), "poles": True}
ROWS = [
    Row("exp", mp.exp, np.exp, f64=1, narrow=(-110, 90), vectors="exp"),
    Row("exp2", lambda x: mpf(2) ** x, np.exp2, f64=1, narrow=(-150, 130), vectors="exp2"),
    Row("expm1", mp.expm1, np.expm1, f64=1, narrow=(-40, 40), vectors="expm1"),
    Row("log", mp.log, np.log, f64=1, narrow=(0, 3), wide=POSITIVE, vectors="log"),
    Row("log2", lambda x: mp.log(x) / mp.log(2), np.log2, f64=1, narrow=(0, 3), wide=POSITIVE, vectors="log2"),
    Row("log10", mp.log10, np.log10, f64=1, narrow=(0, 3), wide=POSITIVE, vectors="log10"),
    Row("log1p", mp.log1p, np.log1p, f64=1, narrow=(-1, 3), wide=(-1, math.inf), vectors="log1p"),
    Row("sin", mp.sin, np.sin, f64=1, vectors="sin"),
    Row("cos", mp.cos, np.cos, f64=1, vectors="cos"),
    Row("tan", mp.tan, np.tan, f64=1, vectors="tan"),
    Row("asin", mp.asin, np.arcsin, f64=1, narrow=UNIT, wide=UNIT, vectors="arcsin"),
    Row("acos", mp.acos, np.arccos, f64=1, narrow=UNIT, wide=UNIT, vectors="arccos"),
    Row("atan", mp.atan, np.arctan, f64=1, vectors="arctan"),
    Row("sinh", mp.sinh, np.sinh, f64=1, narrow=(-90, 90), vectors="sinh"),
    Row("cosh", mp.cosh, np.cosh, f64=1, narrow=(-90, 90), vectors="cosh"),
    Row("tanh", mp.tanh, np.tanh, f64=1, narrow=(-4, 4), vectors="tanh"),
    Row("asinh", mp.asinh, np.arcsinh, f64=1, vectors="arcsinh"),
    Row("acosh", mp.acosh, np.arccosh, f64=1, narrow=(1, 4), wide=(1, math.inf), vectors="arccosh"),
    Row("atanh", mp.atanh, np.arctanh, f64=1, narrow=UNIT, wide=UNIT, vectors="arctanh"),
    Row("cbrt", lambda x: mp.sign(x) * mp.cbrt(abs(x)), np.cbrt, f64=1, vectors="cbrt"),
    Row("rsqrt", lambda x: 1 / mp.sqrt(x), lambda x: 1 / np.sqrt(x), narrow=(0, 4), wide=POSITIVE),
    Row("pow", lambda x, y: x**y, np.power, narrow=(0, 20), wide=POSITIVE, second=(-30, 30)),
    Row("hypot", mp.hypot, np.hypot, second=(-10, 10)),
    Row("atan2", mp.atan2, np.arctan2, second=(-10, 10)),
    Row("sigmoid", lambda x: 1 / (1 + mp.exp(-x)), lambda x: np.exp(-np.logaddexp(0, -x)), narrow=(-90, 20)),
    Row("log_sigmoid", lambda x: -log1p_exp(-x), lambda x: -np.logaddexp(0, -x), narrow=(-20, 90)),
    Row("softplus", log1p_exp, lambda x: np.logaddexp(0, x), narrow=(-90, 20)),
    Row("erf", mp.erf, _from_math(math.erf), narrow=(-6, 6), wide=(-1e9, 1e9)),
    Row("erfc", mp.erfc, _from_math(math.erfc), narrow=(-6, 27), wide=(-1e9, 1e9)),
    Row("erfcx", erfcx, narrow=(-9, 20), wide=(-26, math.inf)),
    Row("erfinv", erfinv, narrow=UNIT, wide=UNIT),
    Row("ndtri", ndtri, narrow=PROBABILITY, wide=PROBABILITY),
    Row("log_ndtr", log_ndtr, narrow=(-40, 9), wide=(-math.inf, 1e9)),
    Row("lgamma", lgamma, wide=(-1e6, math.inf), roots=True, **GAMMA),
    Row("digamma", mp.digamma, wide=(-1e6, math.inf), roots=True, **GAMMA),
    Row("polygamma", polygamma(1), wide=(-100, math.inf), attr=1, **GAMMA),
    Row("polygamma", polygamma(2), wide=(-100, math.inf), attr=2, roots=True, **GAMMA),
    Row("polygamma", polygamma(5), wide=(-100, math.inf), attr=5, **GAMMA),
    Row("zeta", zeta, f32=4, f64=4, narrow=(1, 60), wide=(1, 1e3), second=(0, 50)),
    Row("i0", functools.partial(mp.besseli, 0), narrow=(-20, 20), wide=(-720, 720)),
    Row("i0e", scaled_bessel(0), narrow=(-20, 20), wide=(-1e4, 1e4)),
    Row("i1", functools.partial(mp.besseli, 1), narrow=(-20, 20), wide=(-720, 720)),
    Row("i1e", scaled_bessel(1), narrow=(-20, 20), wide=(-1e4, 1e4)),
]  # fmt: skip


@functools.cache
def _kernel(op, type, operands, attr):
    node = expr.make(op, tuple(expr.input(i, type) for i in range(operands)), type, attr)
    address = cpu.pointwise(((node, type),), (type,) * operands, "c" * (operands + 1))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return ctypes.CFUNCTYPE(None, pointer, pointer, pointer, number, number)(address)


def evaluate(op, type, *arrays, attr=None):
    """The compiled function at the elements of flat arrays of type ``'f32'`` or ``'f64'``."""
    arrays = [np.ascontiguousarray(a, DTYPE[type]) for a in arrays]
    operands = [np.empty_like(arrays[0]), *arrays]
    count = len(operands)
    pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in operands))
    strides = (ctypes.c_int64 * count)(*(a.itemsize for a in operands))
    _kernel(op, type, len(arrays), attr)(pointers, strides, strides, operands[0].size, 1)
    return operands[0]


# -- errors ------------------------------------------------------------------------------------------------------------


def error(row, type, value, arguments):
    """The error of one result in ULP of the exact one; infinite for a NaN, or an infinity before its time."""
    arguments = [mpf(float(a)) for a in arguments]
    exact = row.exact(*arguments)
    precision, largest = PRECISION[type], mpf(float(np.finfo(DTYPE[type]).max))
    ulp = mpf(2) ** (max(mpmath.frexp(exact)[1], MIN_EXPONENT[type]) - precision)
    if not math.isfinite(value):
        return 0.0 if math.isinf(value) and (value > 0) == (exact > 0) and abs(exact) > largest else math.inf
    if row.roots and _root_nearby(row, exact, arguments[0]):
        ulp = max(ulp, mpf(2) ** (1 - precision))
    return float(abs(mpf(float(value)) - exact) / ulp)


def _root_nearby(row, exact, x):
    if exact == 0:
        return True
    probes = (x + mpf(d) for d in (-0.1, -0.05, 0.05, 0.1))
    return any((row.exact(p) > 0) != (exact > 0) for p in probes if p != mp.floor(p))


def errors_in_bulk(values, exact):
    """Errors of float32 values in ULP of float64 references."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        ulp = np.ldexp(1.0, np.maximum(np.frexp(exact)[1], MIN_EXPONENT["f32"]) - PRECISION["f32"])
        errors = np.abs(values.astype(np.float64) - exact) / ulp
    special = ~np.isfinite(rounded) | ~np.isfinite(values)
    same = (values == rounded) | (np.isnan(values) & np.isnan(rounded))
    return np.where(special, np.where(same, 0, np.inf), errors)


# -- arguments ---------------------------------------------------------------------------------------------------------


def arguments(row, type, points, generator):
    """Finite arguments within the domain: of all sizes, of the narrow interval, around 0, 1 and the interval's ends."""
    low, high = row.narrow
    unsigned = np.uint32 if type == "f32" else np.uint64
    bits = generator.integers(0, np.iinfo(unsigned).max, points, dtype=unsigned)
    sizes = 2.0 ** generator.uniform(-60, 60, points // 2) * generator.choice([-1.0, 1.0], points // 2)
    ends = generator.choice([0.0, 1.0, -1.0, low, high], points // 2)
    near = ends + 2.0 ** generator.uniform(-40, 0, points // 2) * generator.choice([-1.0, 1.0], points // 2)
    parts = [bits.view(DTYPE[type]), generator.uniform(low, high, points), generator.normal(size=points), sizes, near]
    x = np.concatenate([p.astype(DTYPE[type]) for p in parts])
    with np.errstate(invalid="ignore"):
        # Poles of the gamma family are special values; tests/test_elementary.py has them.
        inside = (x > row.wide[0]) & (x < row.wide[1]) & np.isfinite(x)
        return x[inside & ~((x == np.floor(x)) & (x < 0) & row.poles)]


def measure_exactly(row, type, points, generator):
    """(worst error, its argument, number of points) against mpmath."""
    x = generator.permutation(arguments(row, type, points, generator))[:points]
    operands = [x[x != 0]]
    if row.second:
        narrow = generator.uniform(*row.second, operands[0].size)
        operands.append(np.where(narrow == 0, 1, narrow).astype(DTYPE[type]))
    values = evaluate(row.op, type, *operands, attr=row.attr)
    errors = [error(row, type, v, a) for v, *a in zip(values, *operands, strict=True)]
    worst = int(np.argmax(errors))
    return errors[worst], tuple(float(o[worst]) for o in operands), len(errors)


def measure_in_bulk(row, stride, generator):
    """(worst error, its argument, number of points) of float32 against a float64 function on strided bit patterns."""
    bits = np.arange(int(generator.integers(stride)), 2**32, stride, dtype=np.uint64).astype(np.uint32)
    operands = [bits.view(np.float32)]
    if row.second:
        operands.append(generator.uniform(*row.second, bits.size).astype(np.float32))
    with np.errstate(all="ignore"):
        exact = row.fast(*(o.astype(np.float64) for o in operands))
    errors = errors_in_bulk(evaluate(row.op, "f32", *operands, attr=row.attr), exact)
    worst = int(np.argmax(errors))
    return float(errors[worst]), tuple(float(o[worst]) for o in operands), bits.size


def numpy_vectors(name, type):
    """(arguments, correctly rounded results) of NumPy's validation set."""
    path = pathlib.Path(np.__file__).parent / "_core" / "tests" / "data" / f"umath-validation-set-{name}.csv"
    rows = [line.split(",") for line in path.read_text().splitlines() if line.startswith("np.")]
    rows = [r for r in rows if r[0] == ("np.float32" if type == "f32" else "np.float64")]
    unsigned = np.uint32 if type == "f32" else np.uint64
    return tuple(np.array([int(r[k], 16) for r in rows], unsigned).view(DTYPE[type]) for k in (1, 2))


def measure_vectors(row, type):
    """(worst distance in floats, number of vectors) from NumPy's validation set; None where it has none."""
    if row.vectors is None:
        return None
    x, expected = numpy_vectors(row.vectors, type)
    values = evaluate(row.op, type, x)
    same = (values == expected) & (np.signbit(values) == np.signbit(expected)) | (np.isnan(values) & np.isnan(expected))
    with np.errstate(all="ignore"):
        distance = np.abs(values.astype(np.longdouble) - expected) / np.spacing(np.abs(expected))
    distance = np.where(same, 0, np.where(np.isfinite(distance), distance, np.inf))
    return float(distance.max(initial=0)), x.size


def measure(row, type, points, stride, generator):
    """One line of the table: (worst error, its argument, points, the vectors' worst or None, is it within bounds?)"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if type == "f32" and row.fast:
            worst, at, count = measure_in_bulk(row, stride, generator)
        else:
            worst, at, count = measure_exactly(row, type, points, generator)
        vectors = measure_vectors(row, type)
    within = worst <= row.bound[type] and (vectors is None or vectors[0] <= row.bound[type])
    return worst, at, count, vectors, within


def main():
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("functions", nargs="*", help="all of them if none is named")
    parser.add_argument("--points", type=int, default=2000, help="arguments compared with mpmath (default 2000)")
    parser.add_argument("--stride", type=int, default=2039, help="step between float32 bit patterns (default 2039)")
    options = parser.parse_args()
    generator, broken = np.random.default_rng(0), 0
    print(f"{'function':14}{'type':6}{'bound':>6}{'worst':>8}{'points':>10}{'NumPy vectors':>16}   worst at")
    for row in ROWS:
        if options.functions and row.op not in options.functions:
            continue
        for type in DTYPE:
            worst, at, count, vectors, within = measure(row, type, options.points, options.stride, generator)
            broken += not within
            beside = "" if vectors is None else f"{vectors[0]:.0f} of {vectors[1]}"
            flag = "" if within else "   BROKEN"
            figures = f"{row.bound[type]:6}{worst:8.3f}{count:10}{beside:>16}"
            print(f"{row.name:14}{type:6}{figures}   {at}{flag}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
