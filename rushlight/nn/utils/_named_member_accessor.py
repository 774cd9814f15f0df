"""Tensors of a module by the name of an attribute: packages that call modules with other parameters put theirs in with these."""

from rushlight import Tensor

_MISSING = object()


def _places(module, name):
    """The dict of the module's that holds ``name``, or None where it is a plain attribute."""
    if "." in name:
        raise KeyError(f'tensor name can\'t contain "."; got {name!r}: ask the submodule')
    if not name:
        raise KeyError('tensor name can\'t be empty string ""')
    return next((kept for kept in (module._parameters, module._buffers) if name in kept), None)


def swap_tensor(module, name, tensor, allow_missing=False):
    """Puts ``tensor`` in the place of the parameter, buffer or attribute ``name``; returns what was there.

    With ``allow_missing`` there may have been nothing, and ``tensor`` may be what was returned then, which removes it again.

    >>> layer, given = nn.Linear(2, 2), torch.zeros(2)
    >>> own = swap_tensor(layer, "bias", given)
    >>> layer.bias is given, type(own)
    (True, <class 'rushlight.nn.parameter.Parameter'>)
    """
    kept = _places(module, name)
    if not (tensor is None or tensor is _MISSING or isinstance(tensor, Tensor)):
        raise TypeError(f"{tensor!r} is not an instance of torch.Tensor")
    if kept is not None:
        before = kept[name]
        if tensor is _MISSING:
            del kept[name]
        else:
            kept[name] = tensor
        return before
    before = getattr(module, name, _MISSING)
    if before is _MISSING and not allow_missing:
        raise AttributeError(f"{module._get_name()} has no attribute {name!r}")
    if before is not _MISSING and not isinstance(before, Tensor):
        raise TypeError(f"attribute {name!r}: {before!r} is not an instance of torch.Tensor")
    if tensor is not _MISSING:
        setattr(module, name, tensor)
    elif before is not _MISSING:
        delattr(module, name)
    return before


def set_tensor(module, name, tensor):
    """Puts ``tensor`` in the place of the parameter, buffer or attribute ``name``."""
    kept = _places(module, name)
    if kept is not None:
        kept[name] = tensor
    else:
        setattr(module, name, tensor)
