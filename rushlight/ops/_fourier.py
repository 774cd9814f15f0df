"""Complex Fourier transforms of sizes 2^a 3^b 5^c 7^d in generated kernels: Stockham's algorithm, which needs no reordering.

One step takes the transforms of n = r m points apart into r of m points each, for all s columns beside each other:

    y[p, k, :] = w^(p k) * sum over j of x[j, p, :] w_r^(j k)        x: (r, m, s), y: (m, r, s), w = exp(-+2 pi i / n)

and the next does the same to the m points, with s r columns. A step is one kernel over (batch, m, s); its vectors run along s, so the
transformed dim must not be the last: :func:`transform` brings others to the front.
"""

import functools
import math

from .._core import fourier as core
from .._core import tensor as _tensor
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import casting, creation, exchange, shape
from .pool import run

_FEWEST = 16  # columns, for vectors to be filled
_PIECE = 1 << 22  # bytes; smaller ones would fit the nearest cache and spend their time on calls
_SMALL = 4096  # points that NumPy transforms sooner than the first kernel is called
_dtypes = _tensor.dtypes()


def factors(n):
    """Radices whose product is n, or None if it has a prime factor above 7."""
    found = []
    for r in (8, 7, 5, 4, 3, 2):
        while n % r == 0 and n > 1:
            found.append(r)
            n //= r
    return found if n == 1 else None


# -- the kernel of one step --


def _turned(x, sign, quarters):
    """A pair (re, im) times i**quarters in the direction of ``sign``: exp(sign i pi / 2 * quarters)."""
    re, im = x
    quarters = quarters * sign % 4
    return ((re, im), (-im, re), (-re, -im), (im, -re))[quarters]


def _plus(a, b):
    return a[0] + b[0], a[1] + b[1]


def _minus(a, b):
    return a[0] - b[0], a[1] - b[1]


def _times(a, b):
    return fn.fma(a[0], b[0], -(a[1] * b[1])), fn.fma(a[0], b[1], a[1] * b[0])


def _eighth(x, sign):
    """A pair times exp(sign i pi / 4)."""
    re, im = x
    root = math.sqrt(0.5)
    return (root * (re - sign * im), root * (im + sign * re))


def _butterfly(x, sign):
    """The transform of len(x) pairs."""
    r = len(x)
    if r == 1:
        return x
    if r == 2:
        return [_plus(*x), _minus(*x)]
    if r in (4, 8):
        even, odd = _butterfly(x[::2], sign), _butterfly(x[1::2], sign)
        if r == 4:
            odd = [odd[0], _turned(odd[1], sign, 1)]
        else:
            odd = [odd[0], _eighth(odd[1], sign), _turned(odd[2], sign, 1), _turned(_eighth(odd[3], sign), sign, 1)]
        return [*map(_plus, even, odd), *map(_minus, even, odd)]
    # an odd prime: what lies opposite is taken together
    half = range(1, (r + 1) // 2)
    sums, differences = [_plus(x[j], x[r - j]) for j in half], [_minus(x[j], x[r - j]) for j in half]
    out = [functools.reduce(_plus, sums, x[0])] + [None] * (r - 1)
    for k in half:
        angles = [2 * math.pi * (j * k % r) / r for j in half]
        even, odd = x[0], None
        for angle, sum, difference in zip(angles, sums, differences):
            even = tuple(fn.fma(math.cos(angle), a, b) for a, b in zip(sum, even))
            part = [sign * math.sin(angle) * d for d in difference]
            odd = part if odd is None else [a + b for a, b in zip(odd, part)]
        turned = (-odd[1], odd[0])
        out[k], out[r - k] = _plus(even, turned), _minus(even, turned)
    return out


def _step(type, radix, sign, last):
    """The kernel: radix outputs, radix inputs, and radix - 1 twiddles; a last step has a factor of the result in their place."""
    part = ty.part(type)
    inputs = [ex.input(i, type) for i in range(radix)]
    y = _butterfly([(fn.real(x), fn.imag(x)) for x in inputs], sign)
    if last:
        factor = ex.input(radix, part)
        y = [(factor * re, factor * im) for re, im in y]
        more = (part,)
    else:
        twiddles = [ex.input(radix + k, type) for k in range(radix - 1)]
        y = [y[0], *(_times(v, (fn.real(w), fn.imag(w))) for v, w in zip(y[1:], twiddles))]
        more = (type,) * (radix - 1)
    return tuple((fn.complex_(*v), type) for v in y), (type,) * radix + more, "fft"


# -- whole transforms --


@functools.lru_cache(maxsize=64)
def _twiddles(radix, m, sign, double):
    """exp(sign 2 pi i p k / (radix m)) for k = 1 ... radix - 1, each an (m, 1, 1) over p = 0 ... m - 1."""
    import numpy

    steps = numpy.outer(numpy.arange(1, radix), numpy.arange(m)) % (radix * m)
    table = numpy.exp(sign * 2j * math.pi / (radix * m) * steps).reshape(radix - 1, m, 1, 1)
    return exchange.from_numpy(table if double else table.astype(numpy.complex64))


class _Plan:
    """Transforms of ``n`` points over the middle dim of (batch, n, columns), piece by piece."""

    def __init__(self, like, n, scale, sign):
        self.n, self.sign, self.radices = n, sign, factors(n)
        self.double = like.dtype.name == "complex128"
        self.limit = min(max(_PIECE // like.element_size(), _FEWEST * n), like.numel())
        self.buffers = [creation.empty((self.limit,), dtype=like.dtype) for _ in range(4)]
        self.factor = exchange.tensor(scale, dtype=_dtypes["float64" if self.double else "float32"])

    def buffer(self, k, *sizes):
        """A buffer with these sizes."""
        return shape.view(shape.narrow(self.buffers[k], 0, 0, math.prod(sizes)), sizes)

    def run(self, x, target):
        """target = the transform of x, both (batch, n, columns) of any strides and one piece."""
        batch, n, columns = x.shape
        m, s = n, 1
        for k, radix in enumerate(self.radices):
            m //= radix
            y = target if m == 1 else self.buffer(k % 2, batch, n, columns)
            parts = shape.view(x, (batch, radix, m, s, columns))
            result = shape.view(y, (batch, m, radix, s, columns))
            operands = [shape.select(result, 2, k) for k in range(radix)] + [shape.select(parts, 1, j) for j in range(radix)]
            like = (batch, m, s, columns)
            if m == 1:
                operands.append(shape.expand(self.factor, like))
            else:
                table = _twiddles(radix, m, self.sign, self.double)
                operands += [shape.expand(shape.select(table, 0, k), like) for k in range(radix - 1)]
            run(_step, (radix, self.sign, m == 1), *operands)
            x, s = y, radix * s

    def middle(self, x, out):
        """All of (batch, n, columns), columns side by side in memory."""
        batch, n, columns = x.shape
        wide = min(columns, max(self.limit // n, 1))
        deep = max(self.limit // (n * wide), 1)
        for b in range(0, batch, deep):
            for c in range(0, columns, wide):
                self.run(*(_block(t, b, min(deep, batch - b), c, min(wide, columns - c)) for t in (x, out)))

    def rows(self, x, out):
        """All of (rows, n): turned piece by piece, so that rows become columns."""
        rows, n = x.shape
        deep = self.limit // n
        for r in range(0, rows, deep):
            some = min(deep, rows - r)
            before, after = self.buffer(2, n, some), self.buffer(3, n, some)
            shape.copy_(before, shape.t(shape.narrow(x, 0, r, some)))
            self.run(shape.unsqueeze(before, 0), shape.unsqueeze(after, 0))
            shape.copy_(shape.narrow(out, 0, r, some), shape.t(after))


def _block(t, b, deep, c, wide):
    return shape.narrow(shape.narrow(t, 0, b, deep), 2, c, wide)


def _along(x, dim, scale, sign):
    """The transform along one dim of a contiguous tensor that has at least _FEWEST columns."""
    sizes, n = tuple(x.shape), x.shape[dim]
    batch, inner = math.prod(sizes[:dim]), math.prod(sizes[dim + 1 :])
    plan = _Plan(x, n, scale, sign)
    if 1 < inner < _FEWEST:
        order = (*(d for d in range(x.ndim) if d != dim), dim)
        last = _along(shape.contiguous(shape.permute(x, order)), x.ndim - 1, scale, sign)
        return shape.contiguous(shape.permute(last, tuple(order.index(d) for d in range(x.ndim))))
    out = creation.empty(sizes, dtype=x.dtype)
    if inner == 1:
        plan.rows(*(shape.view(t, (batch, n)) for t in (x, out)))
    else:
        plan.middle(*(shape.view(t, (batch, n, inner)) for t in (x, out)))
    return out


def few(x, dims, scale, forward, kind="full", n=None):
    """The transform of few points; None if there are more, or a size does not suit.

    kind: 'full' for complex tensors; 'half' from real ones to the half up to the middle of the last of ``dims``, 'real' from such
    a half to ``n`` real points.
    """
    if x.numel() >= _SMALL:
        return None
    x = shape.contiguous(casting.resolve_neg(casting.resolve_conj(x)))
    steps = [(d, x.shape[d], "full") for d in dims[:-1]]
    steps.insert(0 if kind == "half" else len(steps), (dims[-1], x.shape[dims[-1]] if n is None else n, kind))
    for d, points, what in steps:
        x = core.transform(x, d, points, scale, forward, what)
        if x is None:
            return None
        scale = 1.0
    return x


def transform(x, dims, scale, forward):
    """The transform of a complex tensor over ``dims``, times ``scale``; None if a size does not suit."""
    sizes = [x.shape[d] for d in dims]
    if x.numel() < _SMALL or any(factors(n) is None or x.numel() < _FEWEST * n for n in sizes):
        return None
    x = shape.contiguous(casting.resolve_neg(casting.resolve_conj(x)))
    for d in reversed(dims):
        if x.shape[d] > 1:
            x = _along(x, d, scale, -1 if forward else 1)
            scale = 1.0
    return x if scale == 1.0 else x * scale


def half_transform(x, dims, scale):
    """The transform of a real tensor, of the last of ``dims`` the half up to the middle; None if a size does not suit."""
    last = dims[-1]
    if x.numel() < 4 * _SMALL:
        return None
    whole = transform(shape.cast(x, _dtypes["complex128" if x.dtype.itemsize == 8 else "complex64"]), (last,), scale, True)
    if whole is None:
        return None
    half = shape.contiguous(shape.narrow(whole, last, 0, x.shape[last] // 2 + 1))
    return transform(half, dims[:-1], 1.0, True) if len(dims) > 1 else half
