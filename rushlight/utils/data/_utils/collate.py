"""From a list of samples to a batch."""

import collections.abc
import copy
import re

import rushlight

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def _is_numpy(kind):
    return kind.__module__ == "numpy"


np_str_obj_array_pattern = re.compile(r"[SaUO]")  # the type strings of arrays of text and objects


def _holds_text_or_objects(array):
    return np_str_obj_array_pattern.search(array.dtype.str) is not None


def default_convert(data):
    """``data`` with each NumPy array or number in it, however deep in lists, tuples and mappings, made a tensor.

    Tuples become lists, as in PyTorch; anything else is left as it is. This is the loader's ``collate_fn`` when it
    makes no batches (``batch_size=None``).

    >>> torch.utils.data.default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    kind = type(data)
    if isinstance(data, rushlight.Tensor):
        return data
    if _is_numpy(kind) and kind.__name__ not in ("str_", "bytes_"):
        return data if kind.__name__ == "ndarray" and _holds_text_or_objects(data) else rushlight.as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple):
        values = [default_convert(value) for value in data]
        return kind(*values) if hasattr(data, "_fields") else values
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(value) for value in data])
    return data


def _like_mapping(model, values):
    """A mapping of the class of ``model`` with ``values``; a plain dict if the class cannot be built from one."""
    if type(model) is dict:
        return values
    try:
        if isinstance(model, collections.abc.MutableMapping):
            clone = copy.copy(model)  # keeps what the class holds besides its items
            clone.update(values)
            return clone
        return type(model)(values)
    except TypeError:
        return values


def _like_sequence(model, values):
    """A sequence of the class of ``model`` with ``values``; a plain list if the class cannot be built from one."""
    if type(model) is list:
        return values
    try:
        if isinstance(model, collections.abc.MutableSequence):
            clone = copy.copy(model)
            for index, value in enumerate(values):
                clone[index] = value
            return clone
        return type(model)(values)
    except TypeError:  # range(values), say
        return values


def collate(batch, *, collate_fn_map=None):
    """The batch of the samples in the list ``batch``, which all have the structure of the first.

    ``collate_fn_map`` maps element types (or tuples of types) to functions ``f(batch, *, collate_fn_map)``: the entry
    of the exact type first, else the first entry of which the element is an instance. Mappings, namedtuples, tuples
    and other sequences are collated member by member. TypeError for anything else.
    """
    sample = batch[0]
    kind = type(sample)
    if collate_fn_map is not None:
        found = collate_fn_map.get(kind) or _entry_for(sample, collate_fn_map)
        if found is not None:
            return found(batch, collate_fn_map=collate_fn_map)
    if isinstance(sample, collections.abc.Mapping):
        columns = {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in sample}
        return _like_mapping(sample, columns)
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return kind(*[collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)])
    if isinstance(sample, collections.abc.Sequence):
        return _collate_sequences(batch, collate_fn_map)
    raise TypeError(default_collate_err_msg_format.format(kind))


def _collate_sequences(batch, collate_fn_map):
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise RuntimeError(
            "each element in list of batch should be of equal size\n"
            f"The samples have {sorted(lengths)} elements; pad them, or give the DataLoader a collate_fn of your own."
        )
    columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=True)]
    return columns if isinstance(batch[0], tuple) else _like_sequence(batch[0], columns)


def _entry_for(sample, collate_fn_map):
    if _is_numpy(type(sample)):
        # NumPy is not imported for the sake of a table; an entry that the caller made for a NumPy class goes first.
        own = [f for kind, f in collate_fn_map.items() if kind is not float and isinstance(sample, kind)]
        return own[0] if own else _collate_numpy(type(sample))
    for kind, function in collate_fn_map.items():
        if isinstance(sample, kind):
            return function
    return None


def _collate_numpy(kind):
    if hasattr(kind, "__array_finalize__") and kind.__name__ == "ndarray":
        return collate_numpy_array_fn
    return None if kind.__name__ in ("str_", "bytes_") else collate_numpy_scalar_fn


def collate_tensor_fn(batch, *, collate_fn_map=None):
    """The tensors of ``batch`` stacked along a new first dimension."""
    return rushlight.stack(batch, 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    """The arrays of ``batch`` as one stacked tensor; TypeError for text and objects."""
    if _holds_text_or_objects(batch[0]):
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    return collate([rushlight.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    """The NumPy numbers of ``batch`` as a tensor of their type."""
    return rushlight.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    """The numbers of ``batch`` as a float64 tensor."""
    return rushlight.tensor(batch, dtype=rushlight.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    """The integers (or truth values) of ``batch`` as a tensor."""
    return rushlight.tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    """``batch`` itself."""
    return batch


default_collate_fn_map = {
    rushlight.Tensor: collate_tensor_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch):
    """The batch of the samples in the list ``batch``: the loader's ``collate_fn`` unless another is given.

    Tensors are stacked along a new first dimension; NumPy arrays, floats (as float64) and integers become tensors;
    strings and bytes stay lists; mappings, tuples, namedtuples and lists are collated member by member.

        >>> default_collate([(0, "a"), (1, "b")])
        [tensor([0, 1]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
