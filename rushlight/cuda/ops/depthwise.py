"""Convolutions of one channel to a group on a GPU (depthwise.cu)."""

from ..._core.indexing import plain
from ..._core.tensor import dtypes
from ...ops import creation, reduction, shape
from ...ops._format import is_channels_last
from .._kernels import for_core
from ._family import Family, blocks, name
from .matmul import DTYPES, sums_in

_kernels = Family(
    "depthwise.cu", "P source, P weight, P bias, P out, q images, q channels, q parts, 2q size, 2q places, 4q source_stride, 4q out_stride"
)
_MOST_TAPS = 49  # whose weights, or sums, a thread keeps in registers
_BUSY = 1024  # blocks that keep a GPU busy
_PATCH = 8  # elements of a result that a thread has, at least
_INDEXED = 1 << 31  # patches and elements of an image are numbered by 32 bits


@for_core
def convolve(input, weight, bias, out, windows, transposed):
    """out = the convolution of each channel with its own window, or its transpose; False where the kernel does not compute it."""
    if not _computes(input, windows):
        return False
    input, type = _near(input), name(input)
    last = is_channels_last(input)
    entry = f"convolve<{type},{sums_in(type)},{_window(windows)},{_word(transposed)},{_word(last)}>"
    _kernels(
        entry, input, blocks(-(-out.numel() // _PATCH)), source=input, weight=shape.contiguous(plain(weight)),
        bias=None if bias is None else shape.contiguous(plain(bias)), out=out, images=out.shape[0], channels=out.shape[1],
        size=tuple(input.shape[2:]), places=tuple(out.shape[2:]), source_stride=input.stride(), out_stride=out.stride(),
    )  # fmt: skip
    return True


@for_core
def weight_sums(input, grad, windows):
    """The gradient of the weights, (channels, taps), in the type of sums; None where the kernel does not compute it."""
    if not _computes(input, windows) or grad.numel() >= _INDEXED:
        return None
    input, grad, type = _near(input), _near(grad), name(input)
    last = is_channels_last(input)
    channels, sum = input.shape[1], sums_in(type)
    columns = -(-channels // 32) if last else channels
    parts = max(1, min(_BUSY // columns, grad.numel() // channels // (64 if last else 2048)))
    sums = creation.empty((parts, channels, len(windows.taps)), dtype=dtypes()[DTYPES[sum]], device=input.device)
    _kernels(
        f"weights<{type},{sum},{_window(windows)},{_word(last)}>", input, columns * parts, source=input, weight=grad, out=sums,
        images=input.shape[0], channels=channels, parts=parts, size=tuple(input.shape[2:]), places=tuple(grad.shape[2:]),
        source_stride=input.stride(), out_stride=grad.stride(),
    )  # fmt: skip
    return shape.select(sums, 0, 0) if parts == 1 else reduction.sum(sums, 0)


def _computes(input, windows):
    return (input.ndim == 4 and len(windows.taps) <= _MOST_TAPS and max(windows.stride) <= 4 and input.numel() < _INDEXED
            and name(input) in ("f16", "bf16", "f32", "f64"))  # fmt: skip


def _near(x):
    """x, or a copy where elements of an image lie further apart than 32 bits can number."""
    x = plain(x)
    return x if sum((n - 1) * s for n, s in zip(x.shape[2:], x.stride()[2:])) < _INDEXED else shape.contiguous(x)


def _window(windows):
    """The C++ type of windows."""
    axes = (f"Axis<{k},{s},{p},{d}>" for k, s, p, d, *_ in windows.dims())
    return f"Window<{','.join(axes)}>"


def _word(flag):
    return "true" if flag else "false"
