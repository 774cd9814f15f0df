"""PyTorch's form of a recorded call. Where its function is written in Python: parameters without a default by position, all others by name
with their values. Where it is compiled: as they were given."""

import functools
import inspect

from rushlight.nn import functional as F

from . import _names


@functools.cache
def _signature(function):
    known = getattr(function, "signature", None)
    if known is None or not known.names:
        return inspect.signature(getattr(function, "__wrapped__", getattr(function, "forward", function)))
    kinds = [inspect.Parameter.POSITIONAL_OR_KEYWORD] * known.n_positional
    kinds += [inspect.Parameter.KEYWORD_ONLY] * (len(known.names) - known.n_positional)
    none = inspect.Parameter.empty
    defaults = [none if d is type(known).required else d for d in known.defaults]
    return inspect.Signature([inspect.Parameter(n, k, default=d) for n, k, d in zip(known.names, kinds, defaults)])


def _is_spelt_out(function):
    """Is this one of PyTorch's functions that are written in Python? Its calls are recorded with all parameters, others as given."""
    return (_names.torch_path(function) or "").startswith(("torch.nn.functional.", "torch.functional."))


def _records(values):
    """Does one of these record what is done to it, also within lists and tuples?"""
    return any(_records(v) if isinstance(v, (list, tuple)) else getattr(type(v), "_records", False) for v in values)


def called(function, args, kwargs):
    """(target, args, kwargs) as PyTorch records this call."""
    if not _is_spelt_out(function):
        return function, args, kwargs
    try:
        given = _signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return function, args, kwargs
    given.apply_defaults()
    args, kwargs = [], {}
    for name, parameter in _signature(function).parameters.items():
        value = given.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            listed = len(value) < 3 and isinstance(value[-1], (list, tuple)) and _records(value[-1])
            args += (*value[:-1], *value[-1]) if listed else value
        elif parameter.kind is parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            args.append(value)
        else:
            kwargs[name] = value
    if kwargs.get("return_indices") is True:
        function = getattr(F, f"{function.__name__}_with_indices", function)
    return function, tuple(args), kwargs
