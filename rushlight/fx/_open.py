"""How functions of ``nn.functional`` that are plain Python ask proxies what a call means.

An operator asks its arguments' classes by itself (``overrides.py``). Of the functions that are compositions of operators most do not, so
that they cost nothing more when no graph is taken. When the first proxy is made each of them is given other code: it looks at its arguments
and either records the call or runs what it was. Functions that somebody holds already (``activation=F.relu``) are thereby opened too.

Recorded calls have PyTorch's form. Where its function is written in Python: parameters without a default by position, all others by name
with their values. Where it is compiled: as they were given.
"""

import functools
import inspect
import types

import rushlight as torch
from rushlight.nn import functional as F

from . import _names

_plain = {}
"""name -> what a function of nn.functional was."""


def _copied(function):
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__doc__, copy.__module__ = function.__kwdefaults__, function.__doc__, function.__module__
    copy.__qualname__, copy.__annotations__ = function.__qualname__, function.__annotations__
    return copy


_SIMPLE = {torch.Tensor, torch.nn.Parameter, int, float, bool, str, type(None)}
"""Types of arguments that hold no proxy."""


def _asking_code(function):
    """Code with the parameters of ``function`` that runs what it was, unless an argument needs a closer look."""
    code, name = function.__code__, function.__name__
    if not _is_spelt_out(function):  # recorded as it is called, so that has to be known
        source = f"def {name}(*args, **kwargs):\n return _ask_proxies({name!r}, *args, **kwargs)\n"
        return next(c for c in compile(source, __file__, "exec").co_consts if isinstance(c, types.CodeType))
    positional = code.co_varnames[: code.co_argcount]
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    parameters = ", ".join([*positional, *(["*", *named] if named else [])])
    given = ", ".join([*positional, *(f"{n}={n}" for n in named)])
    simple = " and ".join(f"type({n}) in _simple_types" for n in (*positional, *named))
    source = f"def {name}({parameters}):\n if {simple}: return _plain_{name}({given})\n return _ask_proxies({name!r}, {given})\n"
    return next(c for c in compile(source, __file__, "exec").co_consts if isinstance(c, types.CodeType))


@functools.cache
def open_to_proxies():
    """Gives the functions their other code, once in a process."""
    for name, function in vars(F).items():
        if not name.startswith("_") and isinstance(function, types.FunctionType) and function.__name__ == name:
            _plain[name] = plain = _copied(function)
            function.__globals__.update({"_ask_proxies": _ask, f"_plain_{name}": plain, "_simple_types": _SIMPLE})
            function.__code__ = _asking_code(function)
            function.__wrapped__ = plain


def _asked(values):
    """The first value that records what is done to it, also within lists and tuples."""
    for value in values:
        if isinstance(value, (list, tuple)):
            value = _asked(value)
        if value is not None and getattr(type(value), "_records", False):
            return value
    return None


def _ask(name, *args, **kwargs):
    proxy = _asked((*args, *kwargs.values()))
    if proxy is None:
        return _plain[name](*args, **kwargs)
    return type(proxy).__torch_function__(getattr(F, name), (type(proxy),), args, kwargs)


# -- PyTorch's form of a call --


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
            listed = len(value) < 3 and isinstance(value[-1], (list, tuple)) and _asked(value[-1]) is not None
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
