"""Window functions for signal processing: values of a cosine series (or of Bessel's I0) at evenly spaced points.

A window is computed in float64 and rounded once. ``periodic=True`` gives the first N values of a window of N + 1, as spectra want it.
"""

import math

from .._core import tensor as _tensor
from .._core.convert import leaf
from . import arithmetic, casting, comparison, creation, elementary
from ._define import composite

_FLOAT64 = _tensor.dtypes()["float64"]


def _window(name, length, periodic, dtype, device, requires_grad, value):
    """``value(x)`` at x from 0 to 1."""
    dtype = dtype or _tensor.get_default_dtype()
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    x = creation.arange(length, dtype=_FLOAT64, device=device) / max(length if periodic else length - 1, 1)
    return leaf(casting.to(creation.ones_like(x) if length == 1 else value(x), dtype), requires_grad)


def _cosines(*coefficients):
    """The alternating cosine series with these coefficients."""
    return lambda x: sum(c * (-1) ** k * elementary.cos(2 * math.pi * k * x) for k, c in enumerate(coefficients))


@composite(where="function")
def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Hann's window, (1 - cos(2 pi n / N)) / 2, as a tensor of ``window_length`` values.

    periodic: N is the length, so that windows half a length apart add up to 1; False: N is the length less one, and both ends are 0.

    >>> torch.hann_window(4), torch.hann_window(5, periodic=False)
    (tensor([0.0000, 0.5000, 1.0000, 0.5000]), tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000]))
    """
    return _window("hann_window", window_length, periodic, dtype, device, requires_grad, _cosines(0.5, 0.5))


@composite(where="function")
def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None, pin_memory=False,
                   requires_grad=False):  # fmt: skip
    """Hamming's window, alpha - beta cos(2 pi n / N), as a tensor of ``window_length`` values. periodic: as for :func:`hann_window`.

    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window("hamming_window", window_length, periodic, dtype, device, requires_grad, _cosines(alpha, beta))


@composite(where="function")
def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Blackman's window, 0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), as a tensor of ``window_length`` values. periodic: as for
    :func:`hann_window`.

    >>> torch.blackman_window(5, periodic=False)[1:4]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return _window("blackman_window", window_length, periodic, dtype, device, requires_grad, _cosines(0.42, 0.5, 0.08))


@composite(where="function")
def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Bartlett's window, a triangle that is 0 at both ends, as a tensor of ``window_length`` values. periodic: as for
    :func:`hann_window`.

    >>> torch.bartlett_window(4), torch.bartlett_window(5, periodic=False)
    (tensor([0.0000, 0.5000, 1.0000, 0.5000]), tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000]))
    """
    return _window("bartlett_window", window_length, periodic, dtype, device, requires_grad, lambda x: 1 - arithmetic.abs(2 * x - 1))


@composite(where="function")
def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """Kaiser's window, I0(beta sqrt(1 - (2 n / N - 1)**2)) / I0(beta), as a tensor of ``window_length`` values. periodic: as for
    :func:`hann_window`.

    >>> torch.kaiser_window(5, periodic=False, beta=3.)
    tensor([0.2049, 0.7269, 1.0000, 0.7269, 0.2049])
    """
    def value(x):
        bump = comparison.clamp_min(1 - (2 * x - 1) ** 2, 0)
        return elementary.i0(beta * arithmetic.sqrt(bump)) / elementary.i0(creation.full((), beta, dtype=x.dtype, device=x.device))

    return _window("kaiser_window", window_length, periodic, dtype, device, requires_grad, value)
