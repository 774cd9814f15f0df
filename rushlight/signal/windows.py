"""Window functions by SciPy's conventions: ``window(M, *, sym=True)``; ``sym=False`` gives the first M values of a window of M + 1."""

import math

import rushlight as rl

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann", "kaiser",
    "nuttall",
]  # fmt: skip


def _points(name, M, sym, dtype, device):
    """(positions 0 to M - 1 in float64, the last position of the full window, the dtype of the result)."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    dtype = rl.get_default_dtype() if dtype is None else dtype
    if dtype not in (rl.float32, rl.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return rl.arange(M, dtype=rl.float64, device=device), (M - 1 if sym else M), dtype


def _finished(values, M, dtype, requires_grad):
    values = rl.ones(1, dtype=dtype, device=values.device) if M == 1 else values.to(dtype)
    return values.requires_grad_(requires_grad)


def exponential(M, *, center=None, tau=1.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``exp(-|n - center| / tau)``; the center of a symmetric window is its middle."""
    n, last, dtype = _points("exponential", M, sym, dtype, device)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return _finished(rl.exp(-(n - (last / 2 if center is None else center)).abs() / tau), M, dtype, requires_grad)


def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``exp(-((n - middle) / std)**2 / 2)``."""
    n, last, dtype = _points("gaussian", M, sym, dtype, device)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _finished(rl.exp(-0.5 * ((n - last / 2) / std) ** 2), M, dtype, requires_grad)


def cosine(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``sin(pi (n + 1/2) / M)``."""
    n, last, dtype = _points("cosine", M, sym, dtype, device)
    return _finished(rl.sin(math.pi * (n + 0.5) / (last + 1)), M, dtype, requires_grad)


def general_cosine(M, *, a, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``sum of (-1)**k a[k] cos(2 pi k n / last)``."""
    n, last, dtype = _points("general_cosine", M, sym, dtype, device)
    if not hasattr(a, "__iter__"):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    total = rl.zeros_like(n)
    for k, coefficient in enumerate(a):
        total = total + (-1) ** k * coefficient * rl.cos(2 * math.pi * k * n / max(last, 1))
    return _finished(total, M, dtype, requires_grad)


def general_hamming(M, *, alpha=0.54, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``alpha - (1 - alpha) cos(2 pi n / last)``."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, device=device, requires_grad=requires_grad)


def hamming(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """:func:`general_hamming` with alpha = 0.54."""
    return general_hamming(M, sym=sym, dtype=dtype, device=device, requires_grad=requires_grad)


def hann(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """:func:`general_hamming` with alpha = 0.5: zero at both ends."""
    return general_hamming(M, alpha=0.5, sym=sym, dtype=dtype, device=device, requires_grad=requires_grad)


def blackman(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """Three cosine terms: 0.42, 0.5, 0.08."""
    _points("blackman", M, sym, dtype, device)  # it checks them under its own name
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, device=device, requires_grad=requires_grad)


def nuttall(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """Four cosine terms with low side lobes."""
    return general_cosine(
        M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, dtype=dtype, device=device, requires_grad=requires_grad
    )


def bartlett(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """The triangle: ``1 - |2 n / last - 1|``."""
    n, last, dtype = _points("bartlett", M, sym, dtype, device)
    return _finished(1 - (2 * n / max(last, 1) - 1).abs(), M, dtype, requires_grad)


def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=None, device=None, requires_grad=False):
    """``I0(beta sqrt(1 - (2 n / last - 1)**2)) / I0(beta)``."""
    n, last, dtype = _points("kaiser", M, sym, dtype, device)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    inside = (1 - (2 * n / max(last, 1) - 1) ** 2).clamp(min=0)
    whole = rl.tensor(float(beta), dtype=rl.float64, device=n.device)
    return _finished(rl.i0(beta * inside.sqrt()) / rl.i0(whole), M, dtype, requires_grad)
