"""Tensors of random numbers to try operators on."""

import math

from .. import ops as _ops  # noqa: F401  (the operators below are methods)
from .._limits import finfo, iinfo


def make_tensor(
    *shape, dtype, device="cpu", low=None, high=None, requires_grad=False, noncontiguous=False, exclude_zero=False, memory_format=None
):
    """Uniform numbers from [low, high), by default [-9, 9) (0 to 9 for uint8, both values for bool), in PyTorch's own stream.

    shape: ints, or one tuple. noncontiguous: a view with gaps. exclude_zero: zeros become the smallest positive number.

    >>> torch.testing.make_tensor(2, 3, dtype=torch.float32, device="cpu").shape
    torch.Size([2, 3])
    """
    import rushlight as rl

    if noncontiguous and memory_format is not None:
        raise ValueError("The parameters `noncontiguous` and `memory_format` are mutually exclusive")
    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    gaps = noncontiguous and math.prod(size) > 1
    if gaps:
        size = (*size[:-1], 2 * size[-1])  # numbers for the gaps are drawn, too
    if dtype is rl.bool:
        result = rl.randint(*_bounds(low, high, 0, 2, 0, 2, whole=True), size, dtype=dtype, device=device)
    elif not (dtype.is_floating_point or dtype.is_complex):
        info = iinfo(dtype)
        start = 0 if not dtype.is_signed else -9
        low, high = _bounds(low, high, start, 10, info.min, info.max + (info.max < 2**63 - 1), whole=True)
        result = rl.randint(low, high, size, dtype=dtype, device=device)
    else:
        low, high = _bounds(low, high, -9, 9, finfo(dtype).min, finfo(dtype).max)
        result = rl.empty(size, dtype=rl.float32 if dtype.name.startswith("float8") else dtype, device=device)
        _fill(rl.view_as_real(result) if dtype.is_complex else result, low, high)
        result = result.to(dtype)
    if gaps:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = finfo(dtype).tiny if dtype.is_floating_point or dtype.is_complex else 1
    if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    return result.requires_grad_(requires_grad)


def _bounds(low, high, default_low, default_high, least, most, whole=False):
    low, high = default_low if low is None else low, default_high if high is None else high
    for value in (low, high):
        if isinstance(value, float) and math.isnan(value):
            raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low > high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    low, high = min(max(low, least), most), min(max(high, least), most)
    return (math.floor(low), math.ceil(high)) if whole else (low, high)


def _fill(t, low, high):
    # the width of the interval itself may overflow
    if high - low >= finfo(t.dtype).max:
        return t.uniform_(low / 2, high / 2).mul_(2)
    return t.uniform_(low, high)
