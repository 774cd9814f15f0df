"""How functions of ``nn.functional`` (and four of ``nn.init``) that are plain Python ask modes and classes what a call means.

An operator asks by itself (``overrides.py``). Of the functions that are compositions of operators most do not, so that they cost nothing
more in a process without such classes. When the first mode is entered, the first tensor of a class with ``__torch_function__`` or the first
proxy of ``fx`` is made, each of them is given other code: it looks at its arguments and either asks or runs what it was. Functions that
somebody holds already (``activation=F.relu``) are thereby opened too.
"""

import functools
import inspect
import types

import rushlight

from .. import overrides
from .._core import tape, tensor
from .._core.operator import Library
from . import functional as F
from . import init
from .parameter import Parameter

_ASKING_INIT = ("uniform_", "normal_", "constant_", "kaiming_uniform_")
"""The functions of nn.init that ask, as in PyTorch: a mode may skip them, to make a large model without values."""

_plain, _opened = {}, {}
"""name -> what a function was, and the function as it is now."""

_SIMPLE = {overrides.Tensor, Parameter, int, float, bool, str, type(None)}
"""Types of arguments that have no say in what a call means, and hold nothing that has."""


def _copied(function):
    copy = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__, copy.__doc__, copy.__module__ = function.__kwdefaults__, function.__doc__, function.__module__
    copy.__qualname__, copy.__annotations__ = function.__qualname__, function.__annotations__
    return copy


def _asking_code(function):
    """Code with the parameters of ``function`` that runs what it was, unless a mode is active or an argument needs a closer look.

    Those who are asked see PyTorch's form of the call: parameters without a default by position, the others by name; of a function that
    is compiled there, the arguments as given.
    """
    name, parameters = function.__name__, inspect.signature(function).parameters.values()
    if hasattr(function, "compiled_in") or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        source = f"def {name}(*args, **kwargs):\n return _ask({name!r}, args, kwargs)\n"
    else:
        code = function.__code__
        named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        head = ", ".join([*code.co_varnames[: code.co_argcount], *(["*", *named] if named else [])])
        simple = " and ".join(f"type({p.name}) in _simple_types" for p in parameters)
        placed = [p for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY and name not in _ASKING_INIT]
        args = "".join(f"{p.name}, " for p in placed)
        kwargs = ", ".join(f"{p.name!r}: {p.name}" for p in parameters if p not in placed)
        given = ", ".join(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else p.name for p in parameters)
        source = (
            f"def {name}({head}):\n"
            f" if not _mode_bit({tape.MODES['function']}) and {simple}: return _plain_{name}({given})\n"
            f" return _ask({name!r}, ({args}), {{{kwargs}}})\n"
        )
    return next(c for c in compile(source, __file__, "exec").co_consts if isinstance(c, types.CodeType))


@functools.cache
def open_functions():
    """Gives the functions their other code, and attributes of tensors theirs, once in a process."""
    tensor.open_tensor()
    for name, function in (*vars(F).items(), *((name, getattr(init, name)) for name in _ASKING_INIT)):
        if not name.startswith("_") and isinstance(function, types.FunctionType) and function.__name__ == name:
            _plain[name], _opened[name] = plain, _ = _copied(function), function
            function.__globals__.update({"_ask": _ask, f"_plain_{name}": plain, "_simple_types": _SIMPLE, "_mode_bit": tape.mode_bit})
            function.__code__ = _asking_code(function)
            function.__wrapped__ = plain
    for name, op in vars(F).items():
        if not name.startswith("_") and isinstance(op, Library) and hasattr(op, "__wrapped__") and not hasattr(op, "compiled_in"):
            if getattr(rushlight, name, None) is not op:  # torch.conv2d is compiled in PyTorch, under either name
                op.spelt = functools.partial(_spelt, inspect.signature(op.__wrapped__))


def _spelt(signature, args, kwargs):
    """A call of an operator that PyTorch has in Python, in the form that ``_asking_code`` gives functions."""
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError:  # the call itself says what is wrong
        return args, kwargs
    given.apply_defaults()
    placed = [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
    return tuple(given.arguments[n] for n in placed), {n: v for n, v in given.arguments.items() if n not in placed}


def _ask(name, args, kwargs):
    return overrides.ask(_opened[name], _plain[name], args, kwargs)
