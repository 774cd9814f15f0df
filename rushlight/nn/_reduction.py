"""How a loss over many elements becomes one number: the ``reduction`` argument, and the older pair that it replaced."""

import warnings


def legacy_get_string(size_average, reduce, emit_warning=True):
    """The ``reduction`` that the deprecated ``size_average`` and ``reduce`` stand for."""
    if reduce is False:
        reduction = "none"
    elif size_average is False:
        reduction = "sum"
    else:
        reduction = "mean"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=4
        )
    return reduction


def chosen(reduction, size_average=None, reduce=None):
    """``reduction`` after the deprecated arguments had their say. Raises ValueError for an unknown one."""
    if size_average is not None or reduce is not None:
        return legacy_get_string(size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction\nuse 'none', 'mean' or 'sum'")
    return reduction


def get_enum(reduction):
    """PyTorch's number for a reduction: none 0, mean 1, sum 2."""
    return ("none", "mean", "sum").index(chosen("mean" if reduction == "elementwise_mean" else reduction))


def reduced(losses, reduction):
    """``losses`` as they are, their mean or their sum."""
    if reduction == "mean":
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses
