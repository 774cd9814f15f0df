"""Plans of Fourier transforms: which kernels of codegen/fourier.py transform n points, and with which factors.

``_core/fourier.pyx`` runs them.
"""

import functools
import math

from .._core import fourier as core
from .._core import tensor as _tensor
from . import casting, creation, shape

_dtypes = _tensor.dtypes()
_LONG = 16384  # points from which on a single row is cut over the threads

# What things cost, in operations with a block; by measurement on AVX-512, where one takes 0.25 ns.
_PASS = 6  # to move a point through a step
_CROSS = 8  # to turn the results of a first step to lanes
_TURN = 28, 18  # to transpose rows, there and back; more for each point of a real signal's
_CALL = 2500, 6000  # each row by itself; more for that of a real signal


def _codegen():
    from ..codegen import cpu, fourier

    return cpu, fourier


# -- which steps --


@functools.cache
def radices(n):
    """Radices of the cheapest steps whose product is n, or None if there are none."""
    best = _cheapest(n)
    return None if best is None else best[1]


@functools.cache
def _cheapest(n):
    if n == 1:
        return 0.0, ()
    found = []
    for r in _codegen()[1].RADICES:
        if n % r == 0:
            rest = _cheapest(n // r)
            if rest is not None:
                found.append((rest[0] + _cost(r), (r, *rest[1])))
    return min(found, default=None)


def _cost(r):
    """Of a step, for each point."""
    return _PASS + {16: 11.5, 9: 12, 8: 7.5, 4: 4.5, 2: 3, 3: 6, 5: 8}.get(r, 2 * r)


@functools.cache
def _first_step(n, lanes):
    """(cost for each point, radix) of the cheapest transform of a single row: the results of its first step are the lanes of all others."""
    found = []
    for r in range(2, min(lanes, n // 2) + 1):
        m = n // r
        if n % r == 0 and radices(m) is not None and radices(r) is not None:
            whole = -(-m // lanes) * lanes / m
            found.append(((_cost(r) + _CROSS * lanes / r) * whole + _cheapest(m)[0] * lanes / r, r))
    return min(found, default=None)


def _halved(n):
    """A divisor of n near its square root, for rows long enough to be cut in two."""
    return min((d for d in range(1, n + 1) if n % d == 0), key=lambda d: abs(math.log(d * d / n)))


# -- plans --


@functools.lru_cache(maxsize=256)
def _roots(code, *numbers, squares=False):
    return core.roots(code, *numbers, squares=squares)


@functools.lru_cache(maxsize=256)
def _chain(code, n, source, target):
    """The steps that transform blocks of n points."""
    type, codegen = _type(code), _codegen()[1]
    kernels, tables, left = [], [], n
    steps = radices(n) or (1,)
    for i, r in enumerate(steps):
        last = i == len(steps) - 1
        kernels.append(codegen.step(type, r, "blocks" if i else source, target if last else "blocks", last))
        left //= r
        tables.append(None if last else _roots(code, r * left, left, (1, r), 1))
    return core.Chain(n, tuple(kernels), tuple(tables), steps)


def _type(code):
    return "f32" if code == _dtypes["float32"].code else "f64"


@functools.lru_cache(maxsize=256)
def _plan(code, n, real, inverse, way):
    """The plan for n complex points; ``real``: 0, or those of a real signal of 2 n, 1 from it to its spectrum, 2 from that to it."""
    cpu, codegen = _codegen()
    type = _type(code)
    lanes = codegen.lanes(type)
    inside, outside = ("swapped" if inverse else "pairs",) * 2
    if real == 2:
        inside = "rows"
    if real == 1:
        outside = "rows"
    make = functools.partial(core.Plan, way, code, n, lanes, real)
    if way == "turned":
        halves = real and (_halves(codegen, type, real)("blocks", "blocks"), _roots(code, 2 * n, n + 1, (1, 2), 1))
        return make(_chain(code, n, "blocks", "blocks"), halves=halves or None, turn=cpu.transpose(8 * codegen.SIZE[type]))
    if way == "columns":
        ends = ((inside, outside), ("rows", "blocks"), ("blocks", "rows"))[real]
        halves = real and (
            _halves(codegen, type, real)(*(("blocks", "pairs") if real == 1 else ("pairs", "blocks"))),
            _roots(code, 2 * n, n + 1, (1, 2), 1),
        )
        return make(_chain(code, n, *ends), halves=halves or None)
    halves = None
    if real:
        kernel = _halves(codegen, type, real)(*(("rows", "pairs") if real == 1 else ("pairs", "rows")))
        halves = kernel, _roots(code, 2 * n, n + 1, (1, 2), lanes)
    if way == "long":
        m = _halved(n)
        cross = codegen.cross(type), _roots(code, n, lanes, (0, -(-m // lanes) * lanes), lanes)
        groups = -(-(n // m) // lanes)
        far = _roots(code, n, (m + lanes) * groups, (lanes, lanes + 1), 1)
        return make(_chain(code, m, inside, "blocks"), _chain(code, n // m, "blocks", outside), halves=halves, cross=cross, far=far)
    chirp, points = (), n
    if way == "chirped":
        points = _convolved(n, lanes)
        chirp, inside, outside = _chirp(code, n, points, inside), "rows", "rows"
    r = _first_step(points, lanes)[1]
    m = points // r
    first = codegen.first(type, r, inside), _roots(code, points, m, (1, r), lanes)
    return make(_chain(code, m, "blocks", outside), first=first, radix=r, halves=halves, chirp=chirp)


def _halves(codegen, type, real):
    return functools.partial(codegen.unpack if real == 1 else codegen.pack, type)


def _convolved(n, lanes):
    """Points of the cheapest transforms that hold a convolution of n."""
    m = range(-(-(2 * n - 1) // lanes), 4 * n // lanes + lanes)
    return lanes * min((k for k in m if radices(k) is not None), key=lambda k: k * _cheapest(k)[0])


def _chirp(code, n, points, kind):
    """The three products of Bluestein's algorithm: kernels and factors."""
    codegen, type = _codegen()[1], _type(code)
    lanes = codegen.lanes(type)
    double = _dtypes["float64"].code
    waves = _roots(code, 2 * n, n, (0, 1), lanes, squares=True)
    back = shape.view(core.roots(double, 2 * n, n, (0, 1), 1, squares=True), (n, 2)) * creation.full((1,), 1.0, dtype=_dtypes["float64"])
    back = casting.view_as_complex(back).conj().resolve_conj()
    response = creation.zeros(points, dtype=back.dtype)
    shape.copy_(shape.narrow(response, 0, 0, n), back)
    if n > 1:
        shape.copy_(shape.narrow(response, 0, points - n + 1, n - 1), shape.narrow(back, 0, 1, n - 1).flip(0))
    response = transform(response, (0,), 1.0, True)
    blocks = shape.view(casting.view_as_real(response), (points // lanes, lanes, 2))
    blocks = shape.contiguous(shape.transpose(blocks, 1, 2)).to(_tensor.dtypes()[f"float{8 * codegen.SIZE[type]}"])
    return (
        (codegen.multiply(type, kind, "rows"), waves),
        (codegen.multiply(type, "rows", "rows"), blocks),
        (codegen.multiply(type, "rows", kind), waves),
    )


def _way(n, rows, inner, lanes, real):
    """How n points are transformed along a dim with ``inner`` elements behind it."""
    if radices(n) is None:
        return "chirped"
    if inner > 1:
        return "columns"
    if n >= _LONG:
        return "long"
    single = _first_step(n, lanes)
    if single is None:
        return "turned"
    turned = (_cheapest(n)[0] + _TURN[0] + real * _TURN[1]) * -(-rows // lanes) * lanes
    return "turned" if turned < rows * (single[0] + (_CALL[0] + real * _CALL[1]) / n) else "rows"


def _planned(code, n, rows, inner, real, inverse):
    lanes = _codegen()[1].lanes(_type(code))
    way = _way(n, rows, inner, lanes, real > 0)
    if (way == "chirped" and (real or inner > 1)) or (way == "columns" and 4 * inner <= lanes):
        return None
    return _plan(code, n, real, inverse, way)


core.set_planner(_planned)


# -- transforms --


def _real_type(x):
    return _dtypes["float64" if x.dtype.name in ("float64", "complex128") else "float32"]


def _along(x, out, dim, n, real, inverse, scale):
    """Out becomes the transform of x along dim, n complex points long; both are contiguous, and may be one."""
    if not core.along(x, out, dim, n, real, inverse, scale):
        order = [*(d for d in range(x.ndim) if d != dim), dim]
        back = [order.index(d) for d in range(x.ndim)]
        last = creation.empty([out.shape[d] for d in order], dtype=out.dtype)
        core.along(shape.contiguous(shape.permute(x, order)), last, x.ndim - 1, n, real, inverse, scale)
        shape.copy_(out, shape.permute(last, back))
    return out


def _ready(x):
    return shape.contiguous(casting.resolve_neg(casting.resolve_conj(x)))


def transform(x, dims, scale, forward):
    """The transform of a complex tensor over ``dims``, times ``scale``."""
    x = _ready(x)
    out = creation.empty(x.shape, dtype=x.dtype)
    for d in reversed(dims):
        x = _along(x, out, d, out.shape[d], 0, not forward, scale)
        scale = 1.0
    return x


def _complex_type(x):
    return _dtypes["complex128" if x.dtype.itemsize == 8 and not x.is_complex() else "complex64"]


def half_transform(x, dims, scale):
    """The transform of a real tensor, of the last of ``dims`` the half up to the middle."""
    last, n = dims[-1], x.shape[dims[-1]]
    half = n // 2 + 1
    if n % 2 or radices(n // 2) is None:
        whole = transform(shape.cast(x, _complex_type(x)), (last,), scale, True)
        out = shape.contiguous(shape.narrow(whole, last, 0, half))
    else:
        x = _ready(x)
        sizes = [*x.shape]
        sizes[last] = half
        out = _along(x, creation.empty(sizes, dtype=_complex_type(x)), last, n // 2, 1, False, scale)
    for d in reversed(dims[:-1]):
        _along(out, out, d, out.shape[d], 0, False, 1.0)
    return out


def real_transform(x, dims, scale, n):
    """The real signal, ``n`` long in the last of ``dims``, whose half spectrum is given; inverse direction."""
    from . import joining

    last = dims[-1]
    if len(dims) > 1:
        x = transform(x, dims[:-1], 1.0, False)
    x = _ready(shape.narrow(x, last, 0, n // 2 + 1))
    if n % 2 or radices(n // 2) is None:
        mirrored = shape.narrow(x, last, 1, (n - 1) // 2).flip(last).conj().resolve_conj()
        whole = joining.cat([x, mirrored], last)
        shape.select(casting.view_as_real(whole), last, 0)[..., 1] = 0
        if n % 2 == 0:
            shape.select(casting.view_as_real(whole), last, n // 2)[..., 1] = 0
        return shape.contiguous(casting.view_as_real(transform(whole, (last,), scale, False))[..., 0])
    sizes = [*x.shape]
    sizes[last] = n
    return _along(x, creation.empty(sizes, dtype=_real_type(x)), last, n // 2, 2, True, scale)
