"""What expressions mean: a slow interpreter over NumPy arrays, by which code generation and derivatives are tested.

NumPy is imported at the first call; SciPy and mpmath only for special functions, and only here: rushlight itself never
runs this.

>>> from rushlight.lang.expr import input
>>> from rushlight.lang.functions import mean
>>> x = input(0, "f64")
>>> evaluate([x - mean(x)], [[[1.0, 3.0], [5.0, 9.0]]], axes=(1,))[0].tolist()
[[-1.0, 1.0], [-2.0, 2.0]]
"""

import functools
import math

from . import types as ty
from .expr import topological


def evaluate(outputs, inputs, axes=(), precision=None):
    """The values of ``outputs`` as a list of arrays.

    inputs: array-likes by position, broadcast together to the whole space; axes: the reduced axes of that space. A ROW
    input is given with size 1 along ``axes``, and a ROW output comes out so. precision: None computes every node in its
    own type (a result of less than double precision is computed in double and rounded); "f64" or "longdouble" computes
    all floats in that type.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        return _Interpreter(np, inputs, axes, precision).run(outputs)


_DTYPE = {
    "b1": "bool", "u8": "uint8", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u16": "uint16",
    "u32": "uint32", "u64": "uint64", "f16": "float16", "bf16": "float32", "f32": "float32", "f64": "float64",
    "c64": "complex64", "c128": "complex128",
}  # fmt: skip


class _Interpreter:
    def __init__(self, np, inputs, axes, precision):
        self.np, self.precision = np, precision
        self.inputs = [np.asarray(x) for x in inputs]
        self.shape = np.broadcast_shapes(*(x.shape for x in self.inputs))
        self.axes = tuple(sorted(a % len(self.shape) for a in axes))
        self.extent = int(np.prod([self.shape[a] for a in self.axes], dtype=int))

    def dtype(self, t):
        """The NumPy type that values of type ``t`` are kept in."""
        if self.precision and t in ty.FLOATS:
            return self.np.dtype({"f64": "float64", "longdouble": "longdouble"}[self.precision])
        if self.precision and t in ty.COMPLEX:
            return self.np.dtype({"f64": "complex128", "longdouble": "clongdouble"}[self.precision])
        return self.np.dtype(_DTYPE[t])

    def kept(self, value, t):
        """``value`` rounded to type ``t``."""
        value = self.np.asarray(value)
        if t == "bf16" and not self.precision:
            return self.round_bfloat(value.astype("float32"))
        return value.astype(self.dtype(t), copy=False)

    def round_bfloat(self, x):
        """float32 rounded to 8 bits of precision, to nearest even; NaN stays NaN."""
        bits = x.view("uint32")
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & self.np.uint32(0xFFFF0000)
        return self.np.where(self.np.isnan(x), x, bits.view("float32"))

    def run(self, outputs):
        values = {}
        for node in topological(outputs):
            values[node] = self.kept(self.node(node, [values[a] for a in node.args]), node.type)
        return [values[o] for o in outputs]

    def node(self, node, args):
        op, np = node.op, self.np
        if op == "input":
            return self.cast(self.inputs[node.attr], node.type)
        if op == "const":
            return np.asarray(node.attr)
        if op == "extent":
            return np.asarray(self.extent)
        if op == "position":
            return self.position()
        if op == "reduce":
            return self.reduce(node.attr, args[0], node)
        if op == "cast":
            return self.cast(args[0], node.type)
        if op == "bitcast":
            return args[0].astype(_DTYPE[node.args[0].type], copy=False).view(_DTYPE[node.type])
        if op == "stated":
            return args[0]
        if op == "polygamma":
            return _polygamma(node.attr, args[0])
        kind = "b1" if node.args[0].type == "b1" else "int" if node.args[0].type in ty.INTS else "float"
        function = _functions(np).get((op, kind)) or _functions(np).get(op)
        if function is None:
            raise TypeError(f"evaluate knows no operation {op} of {kind} operands")
        return function(*map(self.widened, args))

    def widened(self, x):
        """``x`` in at least double precision, so that a narrower result is rounded once."""
        wide = {"f": "float64", "c": "complex128"}.get(x.dtype.kind)
        return x.astype(wide) if wide and x.dtype.itemsize < self.np.dtype(wide).itemsize else x

    def cast(self, x, t):
        if t == "b1":
            return x != 0
        return x.real if x.dtype.kind == "c" and t not in ty.COMPLEX else x

    def position(self):
        """The row-major index along the reduced axes, at every point of the space."""
        np = self.np
        index = np.arange(self.extent).reshape([self.shape[a] for a in self.axes])
        shape = [self.shape[a] if a in self.axes else 1 for a in range(len(self.shape))]
        return np.broadcast_to(index.reshape(shape), self.shape)

    def reduce(self, kind, x, node):
        np = self.np
        x = np.broadcast_to(x, self.shape)
        kept = [a for a in range(len(self.shape)) if a not in self.axes]
        rows = x.transpose(*kept, *self.axes).reshape([self.shape[a] for a in kept] + [self.extent])
        if kind in ("sum", "prod"):
            wide = {"f": "longdouble", "c": "clongdouble"}.get(x.dtype.kind, self.dtype(node.type))
            result = getattr(np, kind)(rows, axis=-1, dtype=wide)
        else:
            result = getattr(np, kind)(rows, axis=-1)
        return np.asarray(result).reshape([1 if a in self.axes else n for a, n in enumerate(self.shape)])


@functools.cache
def _functions(np):
    """Operation -> function; (operation, kind of the operands) -> function where kinds differ."""
    table = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "neg": np.negative,
        "pow": np.power, "fma": _fma, "abs": np.abs, "min": np.minimum, "max": np.maximum, "select": np.where,
        "copysign": np.copysign, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint,
        "floordiv": np.floor_divide, "gcd": np.gcd, "rem": np.fmod, "mod": np.remainder, "truncdiv": lambda a, b: np.trunc(a / b),
        "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
        "ne": np.not_equal, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert,
        "shl": _shl, "shr": _shr, ("div", "int"): _truncdiv, ("truncdiv", "int"): _truncdiv,
        ("add", "b1"): np.logical_or, ("sub", "b1"): np.logical_xor, ("mul", "b1"): np.logical_and,
        "complex": _complex, "real": np.real, "imag": np.imag,
        "conj": np.conjugate, "angle": np.angle, "sgn": _sgn, "sqrt": np.sqrt,
        "rsqrt": lambda x: 1 / np.sqrt(x), "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
        "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
        "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "hypot": np.hypot,
        "lgamma": _lgamma, "sigmoid": _sigmoid, "softplus": lambda x: np.logaddexp(x, 0),
        "rarely": lambda condition, usual, rare: np.where(condition, rare, usual),
    }  # fmt: skip
    return table | _special()


def _special():
    """The special functions, in double precision."""
    names = {
        "digamma": "digamma", "zeta": "zeta", "erf": "erf", "erfc": "erfc", "erfcx": "erfcx", "erfinv": "erfinv",
        "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e", "ndtri": "ndtri", "log_ndtr": "log_ndtr",
    }  # fmt: skip

    def function(name):
        def apply(*args):
            from scipy import special

            return getattr(special, name)(*(a.astype("float64") for a in args))

        return apply

    return {op: function(name) for op, name in names.items()}


def _lgamma(x):
    """C's lgamma: infinite at both infinities."""
    import numpy as np
    from scipy import special

    return np.where(np.isinf(x), np.inf, special.gammaln(x.astype("float64")))


def _polygamma(n, x):
    """The n-th derivative of digamma; by mpmath left of zero, where SciPy has none."""
    import numpy as np
    from scipy import special

    x = x.astype("float64")
    result = special.polygamma(n, np.where(x > 0, x, np.nan))
    for index in np.argwhere(x <= 0):
        result[tuple(index)] = _polygamma_left(n, float(x[tuple(index)]))
    return result


def _polygamma_left(n, x):
    """For n odd a pole tends to infinity from both sides; for n even it has no value."""
    import mpmath

    if math.isinf(x):
        return math.nan
    if x == int(x):
        return math.inf if n % 2 else math.nan
    return float(mpmath.polygamma(n, x))


def _complex(re, im):
    """By assignment: re + 1j * im would turn an infinite im into a NaN in re."""
    import numpy as np

    re, im = np.broadcast_arrays(re, im)
    result = np.empty(re.shape, np.result_type(re, np.complex64))
    result.real, result.imag = re, im
    return result


def _sgn(z):
    import numpy as np

    return np.where(z == 0, 0, z / np.where(z == 0, 1, np.abs(z)))


def _sigmoid(x):
    """Written with the exponential that does not overflow."""
    import numpy as np

    small = np.exp(np.where(x.real < 0, x, -x))
    return np.where(x.real < 0, small, 1) / (1 + small)


def _fma(a, b, c):
    """In extended precision: the product of two floats of 53 bits loses some, of 24 bits none."""
    import numpy as np

    return a.astype(np.longdouble) * b + c


def _truncdiv(a, b):
    """C's quotient of integers; 0 where b is 0, and wrapping for the least value by -1."""
    import numpy as np

    safe = np.where(b == 0, np.ones_like(b), b)
    return np.where(b == 0, np.zeros_like(a), np.floor_divide(a - np.fmod(a, safe), safe))


def _shl(a, count):
    import numpy as np

    fits = (count >= 0) & (count < 8 * a.itemsize)
    return np.where(fits, np.left_shift(a, np.where(fits, count, 0)), np.zeros_like(a))


def _shr(a, count):
    import numpy as np

    last = 8 * a.itemsize - 1
    fits = (count >= 0) & (count <= last)
    over = np.where(a < 0, np.full_like(a, -1), np.zeros_like(a)) if a.dtype.kind == "i" else np.zeros_like(a)
    return np.where(fits, np.right_shift(a, np.where(fits, count, np.zeros_like(count))), over)
