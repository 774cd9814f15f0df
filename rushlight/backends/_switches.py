"""Modules made of switches."""

import sys
import types


class Room(types.ModuleType):
    """A module whose attributes are switches: they can be set for good, or for a block with ``flags(name=value, ...)``.

    available: what ``is_available()`` answers. ``version`` and names that start with ``is_`` become functions that give the value, or
    are the functions given. doc: what the switches do.
    """

    def __init__(self, name, available=None, doc="Switches that can be set and read back; they change nothing.", **switches):
        super().__init__(name, doc)
        sys.modules[name] = self
        self.__spec__ = sys.modules[__name__].__spec__.__class__(name, None)
        if available is not None:
            switches["is_available"] = available
        self._names = [n for n in switches if n != "version" and not n.startswith("is_")]
        for key, value in switches.items():
            setattr(self, key, value if key in self._names or callable(value) else _constant(key, value))

    def flags(self, *values, **named):
        """Context manager: the given switches, by position or name, set for a block."""
        return _Flags(self, dict(zip(self._names, values), **named))

    def set_flags(self, **named):
        """Sets switches for good; returns what they were, in the order given."""
        before = tuple(getattr(self, name) for name in named)
        for name, value in named.items():
            setattr(self, name.lstrip("_"), value)
        return before


def _constant(name, value):
    def answer(*args):
        return value

    answer.__name__ = answer.__qualname__ = name
    answer.__doc__ = f"{value}."
    return answer


class _Flags:
    def __init__(self, room, values):
        self.room, self.values = room, values

    def __enter__(self):
        self.before = {name: getattr(self.room, name) for name in self.values}
        self._set(self.values)

    def __exit__(self, *error):
        self._set(self.before)

    def _set(self, values):
        for name, value in values.items():
            setattr(self.room, name, value)
