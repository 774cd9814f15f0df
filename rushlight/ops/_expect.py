"""What an operator's definition says of its operands' elements: an error for those it has no meaning for."""

from .._core.indexing import extent, quick
from .._core.tensor import on_gpu
from . import extremum, masks
from ._define import library


@library(where="", batch="leading")
def expect(input, low, high, error, but=None, operator=None):
    """Raises ``error(value)`` for the first element of ``input`` outside of [low, high], as NaN is, that is not ``but``.

    On a GPU nothing waits for the elements: the next synchronisation raises it and names ``operator``, or the one that runs. On the device
    "meta" there is nothing to look at. Returns ``input``.
    """
    if input.is_meta or not input.numel():
        return input
    if input.is_cuda:
        on_gpu["faults.expect"](input, low, high, but, error, operator)
        return input
    elements = input.detach()
    least, greatest = extent(elements) or [bound.item() for bound in extremum.aminmax(elements)]
    if low <= least and greatest <= high:
        return input
    wrong = masks.masked_select(elements, ~((elements >= low) & (elements <= high)) & (True if but is None else elements != but))
    if wrong.numel():
        raise error(wrong[0].item())
    return input


expect.quick = quick["expect"]
