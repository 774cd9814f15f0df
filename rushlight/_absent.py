"""Names that programs read at import but that do nothing here: classes and functions that refuse, in one sentence, when they are used.

>>> Graph = absent_class("Graph", "torch.fx", "programs run as they are written, nothing traces them")
>>> Graph()
Traceback (most recent call last):
...
RuntimeError: torch.fx.Graph is not available in rushlight: programs run as they are written, nothing traces them
"""

import importlib.machinery
import sys
import types


def refusal(path, why):
    """The error for a use of ``path``."""
    return RuntimeError(f"{path} is not available in rushlight: {why}")


def absent_class(name, room, why, bases=(object,)):
    """A class to annotate with, to subclass and to ask isinstance of; constructing it raises RuntimeError."""

    def __new__(cls, *args, **kwargs):
        raise refusal(f"{room}.{name}", why)

    return type(name, bases, {"__new__": __new__, "__module__": room.replace("torch", "rushlight", 1), "__doc__": f"Not available: {why}."})


def _named(function, name, doc):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def absent_function(name, room, why):
    """A function that raises RuntimeError when called."""

    def absent(*args, **kwargs):
        raise refusal(f"{room}.{name}", why)

    return _named(absent, name, f"Not available: {why}.")


def absent_room(room, why, functions="", classes=""):
    """name -> refusing object, for the names in two strings; ``is_available`` answers: False."""
    found = {name: absent_function(name, room, why) for name in functions.split()}
    if "is_available" in found:
        found["is_available"] = _named(lambda: False, "is_available", f"False: {why}.")
    found.update({name: absent_class(name, room, why) for name in classes.split()})
    return found


def absent_rooms(package, public, why, rooms):
    """Makes modules within ``package``, which is ``public`` in PyTorch, and puts them where an import finds them. Returns path -> module.

    One line of ``rooms`` is a module, "path: names"; a name in small letters is a function, one with a capital a class.
    """
    made = {}
    for line in rooms.strip().replace("\n    ", " ").splitlines():
        path, _, names = line.partition(":")
        made[path] = module = types.ModuleType(f"{package.__name__}.{path}", f"``{public}.{path}``: names only, refused when used.")
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, is_package=True)
        names = names.split()
        functions = " ".join(n for n in names if not n.lstrip("_")[0].isupper())
        classes = " ".join(n for n in names if n.lstrip("_")[0].isupper())
        vars(module).update(absent_room(f"{public}.{path}", why, functions, classes))
        parent, _, name = path.rpartition(".")
        setattr(made.get(parent, package), name, module)
        sys.modules[module.__name__] = module
    return made


_NO_DEVICE = {"is_available": False, "device_count": 0, "manual_seed": None, "manual_seed_all": None, "seed": None}
"""What the room of a kind of device answers where there is none: programs ask before they use it, and seed it without asking."""


def absent_device(functions, error, **more):
    """name -> function of such a room; those named in the string ``functions`` raise ``error(name)``, ``more`` have other answers."""

    def answering(name, answer):
        doc = "Accepted: there is no such device." if answer is None else f"{answer}: there is no such device."
        return _named(lambda *args, **kwargs: answer, name, doc)

    def refusing(name):
        def refuse(*args, **kwargs):
            raise error(name)

        return _named(refuse, name, f"Raises {type(error(name)).__name__}: there is no such device.")

    found = {name: answering(name, answer) for name, answer in (_NO_DEVICE | more).items()}
    return found | {name: refusing(name) for name in functions.split()}
