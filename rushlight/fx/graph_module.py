"""Modules made from graphs: names only."""

from ..nn import Module
from . import GraphModule

_USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"


class _CodeOnlyModule(GraphModule):
    """A module rebuilt from its code; refused like GraphModule."""


def _copy_attr(from_module, to_module, target):
    """Copies the attribute at the dotted path ``target`` from one module to the other, with what it lies in."""
    *path, name = target.split(".")
    for part in path:
        inner, found = getattr(from_module, part), getattr(to_module, part, None)
        if inner is found:
            return
        if found is None:
            found = Module()
            setattr(to_module, part, found)
        from_module, to_module = inner, found
    setattr(to_module, name, getattr(from_module, name))
