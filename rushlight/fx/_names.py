"""What functions are called in a graph's text: by the paths that PyTorch prints.

>>> import operator
>>> import rushlight as torch
>>> qualified_name(torch.relu), qualified_name(torch.nn.functional.relu), qualified_name(operator.add), qualified_name(len)
('torch.relu', 'torch.nn.functional.relu', '_operator.add', 'len')
>>> print_name(operator.add), print_name(torch.nn.functional.gelu)
('operator.add', 'torch._C._nn.gelu')
"""

import builtins
import functools
import types

import rushlight as torch
from rushlight.nn import functional as F

_RENAMED = {"logsigmoid": "log_sigmoid"}


@functools.cache
def _paths():
    """id of a public function -> (the function, its path). Later lines win, but for aliases."""
    found = {}

    def enter(room, path, names):
        for name in names:
            value = getattr(room, name, None)
            if callable(value) and not isinstance(value, (type, types.ModuleType)):
                if id(value) in found and getattr(value, "__name__", name) != name:  # an alias, torch.concat of torch.cat
                    continue
                found[id(value)] = value, f"{path}{_RENAMED.get(name, name)}"

    from .. import ops

    for room in ("linalg", "fft", "special"):
        enter(getattr(torch, room), f"torch._C._{room}.{room}_", [n for n in dir(getattr(torch, room)) if n[0] != "_"])
    public = [n for n in dir(F) if n[0] != "_" and getattr(F, n) is not getattr(torch, n, None)]
    enter(torch, "torch.", [*ops.face("function"), *ops.face("function_"), *(n for n in dir(torch) if n.endswith("_"))])
    enter(F, "torch.nn.functional.", [n for n in dir(F) if n[0] != "_" and isinstance(getattr(F, n), types.FunctionType)])
    enter(F, "torch.nn.functional.", public)
    for module in ("torch", "torch._C._nn"):
        enter(F, f"{module}.", [n for n in dir(F) if getattr(getattr(F, n), "compiled_in", None) == module])
    enter(torch, "torch.functional.", torch.functional.__all__)
    return found


def torch_path(function):
    """The path of one of torch's functions or types from ``torch`` on, or None."""
    known = _paths().get(id(function))
    if known is not None and known[0] is function:
        return known[1]
    module, name = getattr(function, "__module__", None) or "", getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    for own in ("rushlight", "torch"):
        if module.startswith(own + ".") and getattr(torch, name, None) is function:
            return f"torch.{name}"
        if module == own or module.startswith(own + "."):
            return "torch" + module[len(own) :] + "." + name
    return None


def qualified_name(function):
    """Module and name of a function, as PyTorch gives them; of a builtin just the name."""
    name = getattr(function, "__name__", None) or type(function).__name__
    if getattr(builtins, name, None) is function:
        return name
    path = torch_path(function)
    if path is not None:
        return path
    module = getattr(function, "__module__", None)
    if module is None:
        owner = getattr(function, "__objclass__", None)
        module = f"{owner.__module__}.{owner.__qualname__}" if owner is not None else "torch"
    return f"{module}.{name}"


def short_name(function):
    """What a node that calls this function is named after."""
    path = _paths().get(id(function))
    if path is not None and path[0] is function:
        return path[1].rpartition(".")[2]
    return getattr(function, "__name__", None) or type(function).__name__


def print_name(function):
    """A function's name in ``print(graph)``."""
    name = qualified_name(function)
    if "." not in name:
        return f"builtins.{name}" if getattr(builtins, name, None) is function else name
    return name.replace("_operator.", "operator.", 1) if name.startswith("_operator.") else name


def find(path):
    """The object at a path that begins with ``torch``, or None."""
    found = torch
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
        if found is None:
            return None
    return found


def type_name(annotation):
    """A type annotation as text: ``torch.Tensor``, ``int``, ``typing.Optional[torch.Tensor]``."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if annotation.__module__ == "builtins":
            return annotation.__qualname__
        if issubclass(annotation, torch.Tensor) and annotation in (torch.Tensor, torch.nn.Parameter):
            return "torch.Tensor" if annotation is torch.Tensor else "torch.nn.parameter.Parameter"
        return f"{annotation.__module__}.{annotation.__qualname__}"
    if annotation is ...:
        return "..."
    if isinstance(annotation, types.FunctionType):
        return annotation.__name__
    return repr(annotation).replace("rushlight.", "torch.")
