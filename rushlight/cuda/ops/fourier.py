"""Discrete Fourier transforms on a GPU: by cuFFT where it is installed (``_cufft.py``), otherwise a pass of fourier.cu for each factor of
a size, eights and fours first, then primes.
"""

import math

from ..._core.indexing import plain
from ..._core.tensor import dtypes
from ...ops import arithmetic, casting, creation, elementary, joining, movement, padding, shape
from ...ops._define import planned
from .._kernels import for_core
from . import _cufft
from ._family import Family, blocks

_fourier = Family("fourier.cu", "P input, P roots, P out, q rows, q n, q radix, q before, d scale")


def _factors(n):
    """Factors of n: eights and fours first, then primes."""
    found = []
    for factor in (8, 4):
        while n % factor == 0:
            found.append(factor)
            n //= factor
    factor = 2
    while n > 1:
        if factor * factor > n:
            factor = n
        while n % factor == 0:
            found.append(factor)
            n //= factor
        factor += 1
    return found


@planned
def _roots(n, forward, dtype, device):
    """exp(-+2 pi i k / n) for k = 0 ... n - 1."""
    step = (-2 if forward else 2) * math.pi / n
    angles = arithmetic.mul(creation.arange(n, dtype=dtypes()["float64"], device=device), step)
    return shape.cast(casting.complex(elementary.cos(angles), elementary.sin(angles)), dtype)


def _along_last(x, scale, forward):
    n = x.shape[-1]
    type = "f32" if x.dtype.itemsize == 8 else "f64"
    roots, before = _roots(n, forward, x.dtype, x.device), 1
    factors = _factors(n)
    for i, radix in enumerate(factors):
        out = creation.empty(tuple(x.shape), dtype=x.dtype, device=x.device)
        _fourier(
            f"pass<{type}>", x, blocks(x.numel()), input=x, roots=roots, out=out, rows=x.numel() // n, n=n, radix=radix, before=before,
            scale=scale if i == len(factors) - 1 else 1.0,
        )  # fmt: skip
        x, before = out, before * radix
    return x if factors else arithmetic.mul(x, scale)


@for_core
def c2c(input, dims, scale, forward):
    """The transform of complex input along ``dims``, times ``scale``."""
    x = plain(input)
    done = _cufft.c2c(x, dims, scale, forward)
    if done is not None:
        return done
    for i, dim in enumerate(dims):
        moved = shape.contiguous(shape.transpose(x, dim, -1))
        if moved.numel():
            moved = _along_last(moved, scale if i == 0 else 1.0, forward)
        x = shape.transpose(moved, dim, -1)
    return shape.contiguous(x)


@for_core
def r2c(input, dims, scale):
    """The transform of real input; of the last of ``dims`` the half up to the middle."""
    done = _cufft.r2c(plain(input), dims, scale)
    if done is not None:
        return done
    last = dims[-1]
    half = shape.narrow(c2c(casting.complex(input, creation.zeros_like(input)), (last,), scale, True), last, 0, input.shape[last] // 2 + 1)
    return c2c(half, dims[:-1], 1.0, True) if len(dims) > 1 else shape.contiguous(half)


@for_core
def c2r(input, dims, scale, n):
    """The real signal, ``n`` long in the last of ``dims``, whose half spectrum is given; inverse direction."""
    last, have, x = dims[-1], n // 2 + 1, plain(input)
    if x.shape[last] < have:
        x = padding.constant_pad_nd(x, [0, 0] * (x.ndim - 1 - last) + [0, have - x.shape[last]])
    x = shape.narrow(x, last, 0, have)
    done = _cufft.c2r(x, dims, scale, n)
    if done is not None:
        return done
    x = c2c(x, dims[:-1], 1.0, False) if len(dims) > 1 else x
    mirrored = (n - 1) // 2
    if mirrored:
        x = joining.cat([x, movement.flip(shape.narrow(x, last, 1, mirrored), last).conj()], last)
    # What stands for itself in the mirror image counts with its real part only: so does the sum's.
    return shape.contiguous(c2c(x, (last,), scale, False).real)
