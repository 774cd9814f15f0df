"""Sharing inputs out to devices and bringing outputs together. There is one device here, so a share is the whole."""

from ... import cat, is_tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def one(devices):
    """The only one of ``devices``; RuntimeError if there are more."""
    if len(devices) != 1:
        raise RuntimeError(
            f"DataParallel over several devices is not available, got device_ids={list(devices)}\n"
            "run one process per device instead, or leave device_ids out"
        )
    return devices[0]


def scatter(inputs, target_gpus, dim=0):
    """``[inputs]``: the share of the only device of ``target_gpus``, with the tensors inside moved there; as tuples for a nest of them."""
    where = one(target_gpus)

    def move(value):
        if is_tensor(value):
            return value.to(where)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(move, value))
        if isinstance(value, (tuple, list)):
            return type(value)(map(move, value))
        if isinstance(value, dict):
            return type(value)((key, move(item)) for key, item in value.items())
        return value

    return [move(inputs)]


def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    """The shares of the positional and of the named arguments: two tuples with one entry."""
    return tuple(scatter(inputs, target_gpus, dim)), tuple(scatter(kwargs or {}, target_gpus, dim))


def gather(outputs, target_device, dim=0):
    """The outputs of all devices joined along ``dim`` on ``target_device``; nests of tensors are joined leaf by leaf."""
    first = outputs[0]
    if is_tensor(first):
        parts = [value.to(target_device) for value in outputs]
        return cat([part.view(1) for part in parts], 0) if first.dim() == 0 else cat(parts, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(first) != len(value) for value in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((key, gather([value[key] for value in outputs], target_device, dim)) for key in first)
    joined = [gather(list(parts), target_device, dim) for parts in zip(*outputs, strict=True)]
    return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
