"""Discrete Fourier transforms, with their adjoints as gradients, and the short-time transform.

Three transforms do all the work: complex to complex, real to half of a spectrum, and half of a spectrum to real. What
the public functions add is the choice of sizes, dims and scales. The adjoint of each is again one of them, so gradients
exist to every order.
"""

import math
import warnings

from .._core import fourier as core
from .._core import tensor as _tensor
from ..lang import functions as fn
from . import _fourier, arithmetic, casting, creation, exchange, joining, movement, padding, reduction, shape
from ._define import composite, integer, integers, library, planned, pointwise, taped_as
from ._outputs import Rule, converted
from .index import title
from .joining import _wrap
from .padding import check_repeatable

_dtypes = _tensor.dtypes()


# -- the three transforms; scales are factors --


@library(where="", differentiable="input", label="FftC2C", batch="along")
def _c2c(input, dims, scale, forward):
    if not input.is_cpu:
        return _tensor.on_gpu["fourier.c2c"](input, dims, scale, forward)
    return _fourier.transform(input, dims, scale, forward)


@_c2c.backward_of
def _(grad, dims, scale, forward):
    return _c2c(grad, dims, scale, not forward)


@library(where="", differentiable="input", label="FftR2C", batch="along")
def _r2c(input, dims, scale):
    """The transform of real input; of the last of ``dims`` the half up to the middle."""
    if not input.is_cpu:
        return _tensor.on_gpu["fourier.r2c"](input, dims, scale)
    return _fourier.half_transform(input, dims, scale)


@_r2c.backward_of
def _(grad, dims, scale, shapes):
    full = _resized(grad, dims[-1], shapes[0][dims[-1]])
    return _c2c(full, dims, scale, False).real


@library(where="", differentiable="input", label="FftC2R", batch="along")
def _c2r(input, dims, scale, n):
    """The real signal, ``n`` long in the last of ``dims``, whose half spectrum is given; inverse direction, not scaled.
    """
    if not input.is_cpu:
        return _tensor.on_gpu["fourier.c2r"](input, dims, scale, n)
    return _fourier.real_transform(input, dims, scale, n)


@_c2r.backward_of
def _(grad, dims, scale, n):
    half = _r2c(grad, dims, scale)
    last = dims[-1]
    twins = (n - 1) // 2  # places that stand for themselves and for their mirror image
    weight = [1.0] + [2.0] * twins + [1.0] * (half.shape[last] - 1 - twins)
    tall = (-1,) + (1,) * (half.ndim - 1 - last)
    return half * shape.reshape(exchange.tensor(weight, dtype=grad.dtype, device=grad.device), tall)


# -- sizes, dims and scales --


def _resized(x, dim, n):
    """``x`` cut, or filled up with zeros, to ``n`` along ``dim``."""
    have = x.shape[dim]
    if n <= have:
        return x if n == have else shape.narrow(x, dim, 0, n)
    return padding.constant_pad_nd(x, [0, 0] * (x.ndim - 1 - dim) + [0, n - have])


def _scale(norm, forward, count):
    """The factor of a transform of ``count`` points; the inverse bears it unless ``norm`` says otherwise."""
    if norm not in (None, "backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") == forward else 1.0


def _promoted(input, name, need_complex):
    """``input`` in the dtype it is transformed in."""
    if not isinstance(input, _tensor.Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    kind = input.dtype
    if kind.to_real().itemsize < 4 and (kind.is_floating_point or kind.is_complex):
        raise RuntimeError(f"Unsupported dtype {title(input)}")
    if not (kind.is_floating_point or kind.is_complex):
        kind = _tensor.get_default_dtype()
    if need_complex and not kind.is_complex:
        kind = _dtypes["complex64" if kind.itemsize == 4 else "complex128"]
    return input if input.dtype is kind else casting.to(input, kind)


def _real(input, name):
    if input.is_complex():
        raise RuntimeError(f"{name} expects a real input tensor, but got {title(input)}")
    return _promoted(input, name, False)


def _axis(d, ndim):
    """A dim of a tensor, which must have one."""
    if not ndim:
        raise IndexError(f"Dimension specified as {d} but tensor has no dimensions")
    return _wrap(d, ndim)


def _length(n):
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


@planned
def _sizes(shape, s, dim, half, norm, forward, name):
    """(sizes, dims, scale) of an n-dimensional transform; ``half``: of half a spectrum."""
    s = (s,) if isinstance(s, int) else s
    ndim = len(shape)
    if dim is None:
        count = ndim if s is None else len(s)
        if count > ndim:
            raise RuntimeError(f"Got shape with {count} values but input tensor only has {ndim} dimensions.")
        dims = tuple(range(ndim - count, ndim))
    else:
        dims = tuple(_axis(d, ndim) for d in ((dim,) if isinstance(dim, int) else dim))
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    sizes = [shape[d] for d in dims]
    given = [None] * len(dims) if s is None else [None if n == -1 else n for n in s]
    if half and dims and given[-1] is None:
        sizes[-1] = 2 * (sizes[-1] - 1)
    sizes = tuple(_length(n if g is None else g) for n, g in zip(sizes, given))
    return sizes, dims, _scale(norm, forward, math.prod(sizes)) if dims else 1.0


def _fitted(x, sizes, dims):
    for n, d in zip(sizes, dims):
        x = _resized(x, d, n)
    return x


# -- the families --


def _complex_nd(name, forward):
    def transform(input, s, dim, norm):
        x = _promoted(input, name, True)
        sizes, dims, scale = _sizes(x.shape, s, dim, False, norm, forward, name)
        return _c2c(_fitted(x, sizes, dims), dims, scale, forward) if dims else x

    return transform


def _half_nd(name, inverse):
    """rfftn (or ihfftn: the conjugate with the scales of an inverse transform)."""

    def transform(input, s, dim, norm):
        x = _real(input, name)
        sizes, dims, scale = _sizes(x.shape, s, dim, False, norm, not inverse, name)
        if not dims:
            raise RuntimeError(f"{name} must transform at least one axis")
        out = _r2c(_fitted(x, sizes, dims), dims, scale)
        return out.conj().resolve_conj() if inverse else out

    return transform


def _real_nd(name, forward):
    """irfftn (or hfftn: of the conjugate, with the scales of a forward transform)."""

    def transform(input, s, dim, norm):
        x = _promoted(input, name, True)
        sizes, dims, scale = _sizes(x.shape, s, dim, True, norm, forward, name)
        if not dims:
            raise RuntimeError(f"{name} must transform at least one axis")
        x = _fitted(x.conj() if forward else x, [*sizes[:-1], sizes[-1] // 2 + 1], dims)
        return _c2r(x, dims, scale, sizes[-1])

    return transform


_FAMILIES = {  # how it is made, forward or not, whom out= names in errors over one dim and over several, what it is
    "fft": (_complex_nd, True, ("_fft_r2c", "_fft_c2c"), "The discrete Fourier transform, ``X[k] = sum_n x[n] exp(-2 pi i k n / N)``,"),
    "ifft": (_complex_nd, False, ("aten::conj_physical", "_fft_c2c"),
             "The inverse discrete Fourier transform, ``x[n] = 1/N sum_k X[k] exp(2 pi i k n / N)``,"),
    "rfft": (_half_nd, False, ("_fft_r2c",) * 2, "The first half, N / 2 + 1 places, of the discrete Fourier transform of real input"),
    "irfft": (_real_nd, False, ("_fft_c2r",) * 2, "The real signal that belongs to the first half of a spectrum"),
    "hfft": (_real_nd, True, ("_fft_c2r",) * 2, "The real spectrum of the Hermitian signal whose first half is given"),
    "ihfft": (_half_nd, True, ("aten::conj_physical", "_fft_c2c"), "The first half of the inverse transform of a real spectrum"),
}
_OVER = (
    "over ``dim``, cut or filled with zeros to ``n`` points",
    "over two dims, cut or filled with zeros to the sizes ``s``",
    "over ``dim`` (without, over the last dims that ``s`` names, or all), cut or filled with zeros to the sizes ``s``",
)
_EXAMPLES = {
    "fft": """
>>> torch.fft.fft(torch.tensor([0., 1., 0., 0.]))
tensor([ 1.+0.j,  0.-1.j, -1.+0.j,  0.+1.j])
""",
    "fft2": """
>>> torch.fft.fft2(torch.tensor([[1., 0.], [0., 0.]]))
tensor([[1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j]])
""",
    "fftn": """
>>> torch.fft.fftn(torch.ones(2, 2, 2))[0, 0]
tensor([8.+0.j, 0.+0.j])
""",
    "ifft": """
>>> torch.fft.ifft(torch.tensor([4., 0., 0., 0.])).real
tensor([1., 1., 1., 1.])
""",
    "ifft2": """
>>> torch.fft.ifft2(torch.tensor([[4., 0.], [0., 0.]]))
tensor([[1.+0.j, 1.+0.j],
        [1.+0.j, 1.+0.j]])
""",
    "ifftn": """
>>> x = torch.arange(8.).reshape(2, 2, 2)
>>> torch.allclose(torch.fft.ifftn(torch.fft.fftn(x)).real, x)
True
""",
    "rfft": """
>>> torch.fft.rfft(torch.tensor([1., 0., -1., 0.]))
tensor([0.+0.j, 2.+0.j, 0.+0.j])
""",
    "rfft2": """
>>> torch.fft.rfft2(torch.ones(4, 6)).shape
torch.Size([4, 4])
""",
    "rfftn": """
>>> torch.fft.rfftn(torch.ones(2, 4, 8)).shape, torch.fft.rfftn(torch.ones(2, 4, 8), s=(4, 4)).shape
(torch.Size([2, 4, 5]), torch.Size([2, 4, 3]))
""",
    "irfft": """
>>> half = torch.fft.rfft(torch.tensor([1., 2., 3.]))
>>> torch.fft.irfft(half, n=3)  # n tells an odd length from an even one
tensor([1., 2., 3.])
""",
    "irfft2": """
>>> x = torch.arange(12.).reshape(3, 4)
>>> torch.allclose(torch.fft.irfft2(torch.fft.rfft2(x)), x)
True
""",
    "irfftn": """
>>> x = torch.arange(10.).reshape(2, 5)
>>> torch.fft.irfftn(torch.fft.rfftn(x), s=x.shape).shape
torch.Size([2, 5])
""",
    "hfft": """
>>> torch.fft.hfft(torch.tensor([1., 1., 0.]))
tensor([ 3.,  1., -1.,  1.])
""",
    "hfft2": """
>>> torch.fft.hfft2(torch.ones(2, 3)).shape
torch.Size([2, 4])
""",
    "hfftn": """
>>> torch.fft.hfftn(torch.ones(2, 3), s=(2, 5)).shape
torch.Size([2, 5])
""",
    "ihfft": """
>>> torch.fft.ihfft(torch.tensor([3., 1., -1., 1.])).real
tensor([1., 1., 0.])
""",
    "ihfft2": """
>>> torch.fft.ihfft2(torch.ones(2, 4)).abs()
tensor([[1., 0., 0.],
        [0., 0., 0.]])
""",
    "ihfftn": """
>>> x = torch.arange(8.).reshape(2, 4)
>>> torch.allclose(torch.fft.hfftn(torch.fft.ihfftn(x), s=x.shape), x)
True
""",
}


def _define(name, family, kind, doc):
    make, flag, writers, _ = _FAMILIES[family]
    transform = make(name, flag)
    if kind == 1:

        def definition(input, n=None, dim=-1, norm=None):
            return transform(input, None if n is None else (n,), (dim,), norm)

    elif kind == 2:

        def definition(input, s=None, dim: integers = (-2, -1), norm=None):
            return transform(input, s, dim, norm)

    else:

        def definition(input, s=None, dim: integers = None, norm=None):
            return transform(input, s, dim, norm)

    definition.__name__ = "fft_" + name
    definition.__doc__ = (
        f"{doc} {_OVER[kind - 1]}.\n\n"
        f"norm: which direction is scaled by 1/N, 'backward' (default), 'forward', or 'ortho' for both by its root.\n{_EXAMPLES[name]}"
    )
    real = Rule("real", f"{name.replace('2', 'n')} expects a floating point output tensor, but got {{Given}}")
    out = real if make is _real_nd else converted
    return composite(definition, where="fft", out=out.by(writers[kind > 1]))


for _family, (*_, _doc) in _FAMILIES.items():
    for _suffix, _kind in (("", 1), ("2", 2), ("n", 3)):
        globals()[_family + _suffix] = _define(_family + _suffix, _family, _kind, _doc)

fft, ifft, rfft, irfft = (globals()[n] for n in ("fft", "ifft", "rfft", "irfft"))


def _quick(op, node, forward):
    """Gives a transform over one dim its quick way, which leaves the node of ``node`` on the tape."""

    def definition(input, n=None, dim=-1, norm=None):
        return op.forward(input, n, dim, norm)

    def backward(grad, n, dim, norm, shapes):
        shape_in = shapes[0]
        points = n or (2 * (shape_in[dim] - 1) if node is _c2r else shape_in[dim])
        dims, scale = (dim % len(shape_in),), _scale(norm, forward, points)
        more = {"shapes": shapes, "forward": forward, "n": points}
        return node.backward(grad, dims, scale, **{name: more[name] for name in node.wanted if name in more})

    op.quick = core.quick[op.__name__.removeprefix("fft_")]
    op.leaves = taped_as(op, node, definition, backward)


for _op, _node, _forward in ((fft, _c2c, True), (ifft, _c2c, False), (rfft, _r2c, True), (irfft, _c2r, False)):
    _quick(_op, _node, _forward)


# -- frequencies --


@composite(where="fft")
def fft_fftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the places of :func:`fft`'s result for ``n`` samples ``d`` apart: 0, then the positive ones, then the negative.

    >>> torch.fft.fftfreq(4, d=0.5), torch.fft.fftfreq(5)
    (tensor([ 0.0000,  0.5000, -1.0000, -0.5000]), tensor([ 0.0000,  0.2000,  0.4000, -0.4000, -0.2000]))
    """
    return _frequencies(_from_behind(creation.arange(n, device=device), (n + 1) // 2, n), n * d, dtype, requires_grad)


@pointwise(where="", inplace=False)
def _from_behind(place, half, n):
    """Places from ``half`` on counted from the end."""
    return fn.where(fn.lt(place, half), place, place - n)


@composite(where="fft")
def fft_rfftfreq(n, d=1.0, *, dtype=None, layout=None, device=None, requires_grad=False):
    """The frequencies of the places of :func:`rfft`'s result for ``n`` samples ``d`` apart.

    >>> torch.fft.rfftfreq(5), torch.fft.rfftfreq(4)
    (tensor([0.0000, 0.2000, 0.4000]), tensor([0.0000, 0.2500, 0.5000]))
    """
    return _frequencies(creation.arange(n // 2 + 1, device=device), n * d, dtype, requires_grad)


def _frequencies(places, span, dtype, requires_grad):
    """Places, of ranges, divided by the time that the samples span; none span no time, and have no frequency but an undefined one."""
    out = shape.cast(places, dtype or _tensor.get_default_dtype()) * (1.0 / span if span else math.inf)
    return out.requires_grad_() if requires_grad else out


def _rolled(input, dim, by):
    dims = tuple(range(input.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return movement.roll(input, tuple(by(input.shape[d]) for d in dims), dims)


@composite(where="fft")
def fft_fftshift(input, dim: integers = None):
    """The spectrum with frequency 0 moved to the middle of ``dim``, an int or several (all).

    >>> torch.fft.fftshift(torch.fft.fftfreq(5))
    tensor([-0.4000, -0.2000,  0.0000,  0.2000,  0.4000])
    """
    return _rolled(input, dim, lambda n: n // 2)


@composite(where="fft")
def fft_ifftshift(input, dim: integers = None):
    """The inverse of :func:`fftshift`, which is another one where a size is odd.

    >>> torch.fft.ifftshift(torch.tensor([-2, -1, 0, 1, 2]))
    tensor([ 0,  1,  2, -2, -1])
    """
    return _rolled(input, dim, lambda n: -(n // 2))


# -- short-time transforms --


def _window(window, win_length, n_fft, like):
    """The window, of ones if None, in the middle of ``n_fft`` places."""
    if window is None:
        window = creation.ones(win_length, dtype=like.dtype, device=like.device)
    left = (n_fft - win_length) // 2
    return padding.constant_pad_nd(window, [left, n_fft - win_length - left]) if win_length < n_fft else window


def _call_text(name, input, window, **settings):
    """A call as PyTorch's errors of stft and istft begin with it."""
    kind = f"CPU{title(input)}Type" if name == "istft" else input.type()
    spelled = {None: "None", True: "1", False: "0"}
    parts = [f"{kind}[{', '.join(map(str, input.shape))}]"]
    for key, value in settings.items():
        if key == "center":
            parts.append(f"window={'None' if window is None else f'{window.type()}{{{list(window.shape)}}}'}")
        if key != "center" or name == "istft":
            parts.append(f"{key}={spelled[value] if value is None or isinstance(value, bool) else value}")
    return f"{name}({', '.join(parts)})"


def _check_stft(call, n_fft, hop_length, win_length, window, limit):
    if n_fft <= 0 or n_fft > limit:
        raise RuntimeError(f"{call} : expected 0 < n_fft < {limit}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise RuntimeError(f"{call} : expected hop_length > 0, but got hop_length={hop_length}")
    if not 0 < win_length <= n_fft:
        raise RuntimeError(f"{call} : expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and (window.ndim != 1 or window.shape[0] != win_length):
        raise RuntimeError(
            f"{call} : expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(window.shape)}"
        )


def _padded(x, p, mode):
    """``x`` with ``p`` more samples at both ends of the last dim."""
    n = x.shape[-1]
    if mode == "constant":
        return padding.constant_pad_nd(x, [p, p])
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    check_repeatable(x, mode, 1)
    if mode == "reflect" and p >= n:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({p}, {p}) at dimension 2 of input {[1, *x.shape]}"
        )
    at = lambda start, k: shape.narrow(x, -1, start, k)  # noqa: E731
    if mode == "reflect":
        ends = movement.flip(at(1, p), -1), movement.flip(at(n - 1 - p, p), -1)
    elif mode == "replicate":
        ends = at(0, 1).expand(-1, p), at(n - 1, 1).expand(-1, p)
    else:
        ends = at(n - p, p), at(0, p)
    return joining.cat([ends[0], x, ends[1]], -1)


def _warn_rectangular(why):
    warnings.warn(
        f"A window was not provided. A rectangular window will be applied{why}To suppress this warning and use a rectangular window, "
        "explicitly set `window=torch.ones(n_fft, device=<device>)`.", UserWarning, stacklevel=3,
    )  # fmt: skip


def _lengths(n_fft, hop_length, win_length):
    return n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length


@composite
def stft(
    input, n_fft: integer, hop_length: integer = None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False,
    onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    """The spectra of stretches of ``n_fft`` samples, ``hop_length`` apart, times ``window``: (..., frequencies, stretches).

    center: the signal is padded (``pad_mode``) so that stretch t is centred at sample t * hop_length; normalized:
    scaled by n_fft ** -0.5; onesided: half the spectrum, the default for real signals and windows.

    >>> signal = torch.cos(torch.arange(32) * torch.pi / 4)
    >>> spectra = torch.stft(signal, n_fft=8, window=torch.ones(8), return_complex=True)
    >>> spectra.shape, spectra.abs()[:, 2:-2].argmax(0).unique()
    (torch.Size([5, 17]), tensor([1]))
    """
    hop_length, win_length = _lengths(n_fft, hop_length, win_length)
    complex_input = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None and not complex_input:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True "
            "in a future PyTorch release."
        )
    if window is None:
        _warn_rectangular(
            ",which is known to cause spectral leakage. Other windows such as torch.hann_window or torch.hamming_window are recommended "
            "to reduce spectral leakage."
        )
    if return_complex is False:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all inputs, "
            "and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real on the complex output to recover "
            "the old return format.", UserWarning, stacklevel=2,
        )  # fmt: skip
    x = shape.unsqueeze(input, 0) if input.ndim == 1 else input
    if center:
        x = _padded(x, n_fft // 2, pad_mode)
    call = _call_text(
        "stft", shape.squeeze(x, 0) if input.ndim == 1 else x, window, n_fft=n_fft, hop_length=hop_length, win_length=win_length,
        center=center, normalized=normalized, onesided=onesided, return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(f"{call} : expected a tensor of floating point or complex values")
    if x.ndim != 2:
        raise RuntimeError(f"{call} : expected a 1D or 2D tensor")
    _check_stft(call, n_fft, hop_length, win_length, window, x.shape[-1])
    frames = shape.unfold(x, -1, n_fft, hop_length) * _window(window, win_length, n_fft, input.real)
    half = not complex_input if onesided is None else onesided
    out = shape.transpose((rfft if half else fft)(frames, norm="ortho" if normalized else None), 1, 2)
    out = shape.squeeze(out, 0) if input.ndim == 1 else out
    return casting.view_as_real(out) if return_complex is False else out


def _overlap_add(frames, hop_length):
    """The sum of stretches (batch, count, n) that lie ``hop_length`` apart."""
    batch, count, n = frames.shape
    return shape.view_scatter(frames, (batch, n + hop_length * (count - 1)), "unfold", (1, n, hop_length))


@composite
def istft(
    input, n_fft: integer, hop_length: integer = None, win_length=None, window=None, center=True, normalized=False, onesided=None,
    length=None, return_complex=False,
):  # fmt: skip
    """The signal of least squared error whose :func:`stft` is given: inverse transforms, added where they overlap, over
    the windows' squares.

    >>> signal, window = torch.arange(16.), torch.hann_window(8)
    >>> spectra = torch.stft(signal, 8, window=window, return_complex=True)
    >>> torch.allclose(torch.istft(spectra, 8, window=window), signal, atol=1e-4)
    True
    """
    hop_length, win_length = _lengths(n_fft, hop_length, win_length)
    if not input.is_complex():
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with return_complex=True.")
    x = shape.unsqueeze(input, 0) if input.ndim == 2 else input
    if input.numel() == 0 or x.ndim != 3:
        raise RuntimeError(f"istft expected a tensor of 2 or 3 dimensions with elements, but got {list(input.shape)}")
    half = x.shape[1] != n_fft if onesided is None else onesided
    if x.shape[1] != (n_fft // 2 + 1 if half else n_fft):
        raise RuntimeError(
            f"istft expected the frequency dimension (3rd to the last) of the input tensor to match n_fft, but got {x.shape[1]}"
        )
    call = _call_text(
        "istft", input, window, n_fft=n_fft, hop_length=hop_length, win_length=win_length, center=center, normalized=normalized,
        onesided=onesided, length=length, return_complex=return_complex,
    )  # fmt: skip
    _check_stft(call, n_fft, hop_length, win_length, window, n_fft)
    if window is None:
        _warn_rectangular(".Please provide the same window used by stft to make the inversion lossless.")
    w = _window(window, win_length, n_fft, input.real)
    norm, spectra = "ortho" if normalized else None, shape.transpose(x, 1, 2)
    if half or not return_complex:  # a real signal: the upper half of a whole spectrum repeats the lower
        frames = irfft(shape.narrow(spectra, 2, 0, n_fft // 2 + 1), n_fft, norm=norm)
    else:
        frames = ifft(spectra, norm=norm)
    signal = _overlap_add(frames * w, hop_length)
    weight = _overlap_add((w * w).expand(1, frames.shape[1], n_fft), hop_length)
    total, start = signal.shape[1], n_fft // 2 if center else 0
    end = start + length if length is not None else total - start
    stop = min(end, total)
    signal, weight = shape.narrow(signal, 1, start, stop - start), shape.narrow(weight, 1, start, stop - start)
    if float(reduction.amin(arithmetic.abs(weight))) < 1e-11:
        raise RuntimeError(
            f"{call} window overlap add min: 1\n  Somewhere in the signal all windows are zero: take more overlap or another window."
        )
    out = _resized(signal / weight, 1, end - start)
    return shape.squeeze(out, 0) if input.ndim == 2 else out
