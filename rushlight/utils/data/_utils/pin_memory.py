"""Copies of batches in page-locked memory."""

import collections.abc

import rushlight

from .collate import _like_mapping, _like_sequence

__all__ = ["pin_memory"]


def pin_memory(data, device=None):
    """``data`` with every tensor in it copied to page-locked memory; an object with a ``pin_memory`` method pins
    itself.
    """
    if isinstance(data, rushlight.Tensor):
        return data.pin_memory()
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, collections.abc.Mapping):
        return _like_mapping(data, {key: pin_memory(value, device) for key, value in data.items()})
    if isinstance(data, tuple):
        values = [pin_memory(value, device) for value in data]
        return type(data)(*values) if hasattr(data, "_fields") else values
    if isinstance(data, collections.abc.Sequence):
        return _like_sequence(data, [pin_memory(value, device) for value in data])
    return data
