"""Complex expressions as pairs of real ones, before code is generated.

A complex node becomes ``(re, im)``; nodes that take complex arguments and give real results (abs, eq, real ...) become
real expressions of those parts. Leaves are ``input``, ``load`` and ``reduce`` nodes with attr ``(attr, 0)`` for the
real part and ``(attr, 1)`` for the imaginary one. Formulas follow W. Kahan, "Branch cuts for complex elementary
functions", where none is stated.
"""

import math

from ..lang import functions as f
from ..lang import types as ty
from ..lang.expr import cast, const, make, select, topological

LN2, LN10 = math.log(2), math.log(10)


def separated(roots):
    """``roots`` without complex nodes: each is a real Expr or a pair ``(re, im)``."""
    new = {}
    for node in topological(roots):
        args = tuple(new[a] for a in node.args)
        if node.type in ty.COMPLEX or any(isinstance(a, tuple) for a in args):
            new[node] = _pair(node, args)
        else:
            new[node] = node if args == node.args else make(node.op, args, node.type, node.attr)
    return [new[r] for r in roots]


def _pair(node, args):
    rule = _RULES.get(node.op)
    if rule is None:
        raise TypeError(f"{node.op} has no complex form")
    if node.op in _NEED_NODE:
        return rule(node, *args)
    return rule(*args)


# -- leaves and structure ----------------------------------------------------------------------------------------------


def _leaf(node, *args):
    part = ty.part(node.type)
    return tuple(make(node.op, args, part, (node.attr, index)) for index in (0, 1))


def _const(node):
    part = ty.part(node.type)
    return const(node.attr.real, part), const(node.attr.imag, part)


def _cast(node, x):
    if not isinstance(x, tuple):
        part = ty.part(node.type)
        return cast(x, part), const(0, part)
    if node.type == "b1":
        return f.ne(x[0], 0) | f.ne(x[1], 0)
    if node.type in ty.COMPLEX:
        return tuple(cast(p, ty.part(node.type)) for p in x)
    return cast(x[0], node.type)


def _select(condition, a, b):
    return tuple(select(condition, p, q) for p, q in zip(a, b, strict=True))


def _reduce(node, x):
    """Sums go part by part; a product's parts need each other, so both reduces take both parts."""
    if node.attr == "sum":
        return tuple(make("reduce", (p,), p.type, "sum") for p in x)
    if node.attr == "prod":
        return tuple(make("reduce", x, x[0].type, ("prod", index)) for index in (0, 1))
    raise TypeError(f"complex numbers have no order: {node.attr} is undefined for them")


# -- arithmetic --------------------------------------------------------------------------------------------------------


def _add(a, b):
    return a[0] + b[0], a[1] + b[1]


def _sub(a, b):
    return a[0] - b[0], a[1] - b[1]


def _mul(a, b):
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _div(a, b):
    """R. L. Smith's division: the larger part of the divisor is divided out first, so no square overflows."""
    first = f.abs(b[0]) >= f.abs(b[1])
    large, small = select(first, b[0], b[1]), select(first, b[1], b[0])
    ratio = select(f.eq(large, 0), const(0, large.type), small / large)
    scale = large + small * ratio
    re = select(first, a[0] + a[1] * ratio, a[0] * ratio + a[1]) / scale
    im = select(first, a[1] - a[0] * ratio, a[1] * ratio - a[0]) / scale
    return re, im


def _neg(a):
    return -a[0], -a[1]


def _scaled(a, factor):
    """A complex number times a real one."""
    return a[0] * factor, a[1] * factor


def _times_i(a):
    return -a[1], a[0]


def _over_i(a):
    return a[1], -a[0]


def _one(a):
    return const(1, a[0].type), const(0, a[0].type)


def _abs(a):
    return f.hypot(a[0], a[1])


def _sgn(a):
    size = _abs(a)
    zero = f.eq(size, 0)
    divisor = select(zero, const(1, size.type), size)
    return select(zero, 0.0, a[0] / divisor), select(zero, 0.0, a[1] / divisor)


# -- exponentials and logarithms ---------------------------------------------------------------------------------------


def _exp(a):
    """exp(re) (cos im + i sin im); on the real axis the imaginary part stays 0 even where exp(re) is infinite. Infinitely far to the left
    all is 0, to the right something infinite, though the angle may not be known."""
    size = f.exp(a[0])
    no_angle = ~f.isfinite(a[1])
    vanished = no_angle & f.eq(a[0], -math.inf)
    real_axis = f.eq(a[1], 0) | (no_angle & f.eq(a[0], math.inf))
    re = select(real_axis, size, select(vanished, 0.0, size * f.cos(a[1])))
    real_axis = f.eq(a[1], 0)
    im = select(real_axis, a[1], select(vanished, 0.0, size * f.sin(a[1])))
    return re, im


def _expm1(a):
    """expm1(re) cos im - 2 sin(im/2)**2 + i exp(re) sin im: no cancellation near 0."""
    half = f.sin(a[1] * 0.5)
    return f.expm1(a[0]) * f.cos(a[1]) - 2 * half * half, _exp(a)[1]


def _log_abs(x, y):
    """log(hypot(x, y)); near the unit circle by log1p of |z|**2 - 1, which loses no digits."""
    size = f.hypot(x, y)
    large, small = f.maximum(f.abs(x), f.abs(y)), f.minimum(f.abs(x), f.abs(y))
    near = (size > 0.5) & (size < 2.0)
    excess = (large - 1) * (large + 1) + small * small
    return select(near, 0.5 * f.log1p(select(near, excess, 0.0)), f.log(size))


def _log(a):
    return _log_abs(*a), f.atan2(a[1], a[0])


def _log1p(a):
    x, y = a
    small = f.maximum(f.abs(x), f.abs(y)) < 0.5
    excess = x * (2 + x) + y * y
    near = select(f.eq(excess, 0), x, 0.5 * f.log1p(select(small, excess, 0.0)))
    return select(small, near, _log_abs(1 + x, y)), f.atan2(y, 1 + x)


def _sqrt(a):
    """The root with non-negative real part; scaled so that neither the magnitude overflows nor its half underflows."""
    x, y = a
    tiny, huge = (2.0**-100, 2.0**100) if x.type == "f32" else (2.0**-900, 2.0**900)
    size = f.maximum(f.abs(x), f.abs(y))
    factor = select(size > huge, 2.0**-20, select(size < tiny, const(2.0**60, x.type), const(1, x.type)))
    unscale = select(size > huge, 2.0**10, select(size < tiny, const(2.0**-30, x.type), const(1, x.type)))
    u, v = x * factor, y * factor
    root = f.sqrt(0.5 * (f.abs(u) + f.hypot(u, v)))
    other = select(f.eq(root, 0), const(0, x.type), f.abs(v) / (2 * root))
    re, im = select(x >= 0, root, other), f.copysign(select(x >= 0, other, root), y)
    re, im = re * unscale, im * unscale
    infinite = f.isinf(y)
    nan = f.isnan(x) & ~infinite
    return (select(infinite, f.abs(y), select(nan, x, re)), select(infinite, y, select(nan, x, im)))


def _pow(a, b):
    """exp(b log a); 0 to the power 0 is 1, to a power with positive real part 0."""
    re, im = _exp(_mul(b, _log(a)))
    zero = f.eq(a[0], 0) & f.eq(a[1], 0)
    trivial = f.eq(b[0], 0) & f.eq(b[1], 0)
    vanishes = zero & (b[0] > 0)
    re = select(trivial, 1.0, select(vanishes, 0.0, re))
    return re, select(trivial | vanishes, 0.0, im)


def _sigmoid(a):
    """1 / (1 + exp(-z)), from exp of whichever of z and -z does not overflow."""
    positive = a[0] >= 0
    e = _exp(_select(positive, _neg(a), a))
    return _div(_select(positive, _one(a), e), _add(_one(a), e))


# -- circular and hyperbolic functions ---------------------------------------------------------------------------------


def _sinh(a):
    real = f.eq(a[1], 0)  # zero times an infinite factor stays zero
    kept = ~f.isfinite(a[1]) & (f.eq(a[0], 0) | f.isinf(a[0]))  # so do 0 and infinity times a cosine that is not known
    re = select(kept, select(f.isinf(a[0]), f.abs(a[0]), a[0]), f.sinh(a[0]) * f.cos(a[1]))
    return re, select(real, a[1], f.cosh(a[0]) * f.sin(a[1]))


def _cosh(a):
    real, unknown = f.eq(a[1], 0), ~f.isfinite(a[1])
    re = select(unknown & f.isinf(a[0]), f.abs(a[0]), f.cosh(a[0]) * f.cos(a[1]))
    im = select(unknown & f.eq(a[0], 0), 0.0, f.sinh(a[0]) * f.sin(a[1]))
    return re, select(real, f.copysign(const(1, a[0].type), a[0]) * a[1], im)


def _tanh(a):
    """Kahan's form, without the overflow of sinh(2x) / (cosh(2x) + cos(2y)); far out tanh is +-1."""
    x, y = a
    far = f.abs(x) > (11.0 if x.type == "f32" else 22.0)
    near_x = select(far, 0.0, x)
    t, s = f.tan(y), f.sinh(near_x)
    beta = 1 + t * t
    scale = 1 + beta * s * s
    re = select(f.eq(x, 0), x, beta * f.sqrt(1 + s * s) * s / scale)
    decayed = 4 * f.sin(y) * f.cos(y) * f.exp(-2 * f.abs(x))
    known = f.isfinite(y) | f.isinf(x)
    one = select(known, f.copysign(const(1, x.type), x), math.nan)
    return select(far, one, re), select(far, select(known & ~f.isfinite(y), f.copysign(const(0, x.type), y), decayed), t / scale)


def _about_one(a):
    """(sqrt(1 - z), sqrt(1 + z)): the sign of a zero imaginary part says on which side of the cut z lies."""
    return _sqrt((1 - a[0], -a[1])), _sqrt((1 + a[0], a[1]))


def _asin(a):
    u, v = _about_one(a)
    beside = select(f.isinf(a[0]), f.abs(a[1]), _mul(u, v)[0])
    return f.atan2(a[0], beside), f.asinh(u[0] * v[1] - u[1] * v[0])


def _acos(a):
    u, v = _about_one(a)
    re = select(f.isinf(a[1]), f.atan2(f.abs(a[1]), a[0]), 2 * f.atan2(u[0], v[0]))
    return re, f.asinh(v[0] * u[1] - v[1] * u[0])


def _acosh(a):
    u, v = _sqrt((a[0] - 1, a[1])), _sqrt((a[0] + 1, a[1]))
    im = select(f.isinf(a[1]), f.atan2(a[1], a[0]), 2 * f.atan2(u[1], v[0]))
    return f.asinh(u[0] * v[0] + u[1] * v[1]), im


def _atanh(a):
    """Far from 0 the real part is that of 1 / z, whose squares may overflow."""
    x, y = a
    size = f.abs(x)
    gap = 1 - size
    infinite = f.isinf(x) | f.isinf(y)
    large, small = f.maximum(size, f.abs(y)), f.minimum(size, f.abs(y))
    slope = small / large
    re = select(large > 2.0**40, size / large / (1 + slope * slope) / large, 0.25 * f.log1p(4 * size / (gap * gap + y * y)))
    re = select(infinite, 0.0, re)
    im = select(infinite, f.copysign(const(math.pi / 2, x.type), y), 0.5 * f.atan2(2 * y, gap * (1 + size) - y * y))
    return f.copysign(re, x), im


_NEED_NODE = frozenset(("input", "load", "const", "cast", "reduce"))
_RULES = {
    "input": _leaf, "load": _leaf, "const": _const, "cast": _cast, "reduce": _reduce, "select": _select,
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "fma": lambda a, b, c: _add(_mul(a, b), c),
    "conj": lambda a: (a[0], -a[1]), "real": lambda a: a[0], "imag": lambda a: a[1], "complex": lambda re, im: (re, im),
    "abs": _abs, "angle": lambda a: f.atan2(a[1], a[0]), "sgn": _sgn, "stop_gradient": lambda a: a,
    "eq": lambda a, b: f.eq(a[0], b[0]) & f.eq(a[1], b[1]), "ne": lambda a, b: f.ne(a[0], b[0]) | f.ne(a[1], b[1]),
    "exp": _exp, "exp2": lambda a: _exp(_scaled(a, LN2)), "expm1": _expm1, "log": _log, "log1p": _log1p,
    "log2": lambda a: _scaled(_log(a), 1 / LN2), "log10": lambda a: _scaled(_log(a), 1 / LN10),
    "sqrt": _sqrt, "rsqrt": lambda a: _div(_one(a), _sqrt(a)), "pow": _pow, "sigmoid": _sigmoid,
    "sinh": _sinh, "cosh": _cosh, "tanh": _tanh,
    "sin": lambda a: _over_i(_sinh(_times_i(a))), "cos": lambda a: _cosh(_times_i(a)),
    "tan": lambda a: _over_i(_tanh(_times_i(a))),
    "asin": _asin, "acos": _acos, "acosh": _acosh, "atanh": _atanh,
    "asinh": lambda a: _over_i(_asin(_times_i(a))), "atan": lambda a: _over_i(_atanh(_times_i(a))),
}  # fmt: skip
