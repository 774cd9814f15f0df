"""Names that programs read at import but that do nothing here: classes and functions that refuse, in one sentence, when they are used.

>>> Graph = absent_class("Graph", "torch.fx", "programs run as they are written, nothing traces them")
>>> Graph()
Traceback (most recent call last):
...
RuntimeError: torch.fx.Graph is not available in rushlight: programs run as they are written, nothing traces them
"""


def refusal(path, why):
    """The error for a use of ``path``."""
    return RuntimeError(f"{path} is not available in rushlight: {why}")


def absent_class(name, room, why, bases=(object,)):
    """A class to annotate with, to subclass and to ask isinstance of; constructing it raises RuntimeError."""

    def __new__(cls, *args, **kwargs):
        raise refusal(f"{room}.{name}", why)

    return type(name, bases, {"__new__": __new__, "__module__": room.replace("torch", "rushlight", 1), "__doc__": f"Not available: {why}."})


def absent_function(name, room, why):
    """A function that raises RuntimeError when called."""

    def absent(*args, **kwargs):
        raise refusal(f"{room}.{name}", why)

    absent.__name__ = absent.__qualname__ = name
    absent.__doc__ = f"Not available: {why}."
    return absent


def absent_room(room, why, functions="", classes=""):
    """name -> refusing object, for the names in two strings."""
    found = {name: absent_function(name, room, why) for name in functions.split()}
    found.update({name: absent_class(name, room, why) for name in classes.split()})
    return found
