"""Lists and dicts that a node's arguments are kept in: they change only by being replaced, so that ``users`` stays true.

>>> from rushlight.fx.immutable_collections import immutable_list
>>> immutable_list([1, 2]).append(3)
Traceback (most recent call last):
    ...
TypeError: 'immutable_list' object does not support mutation. If you are attempting to modify the kwargs or args of a torch.fx.Node object,
instead create a new copy of it and assign the copy to the node:
    node.args = (*node.args[:-1], changed)
"""


def _refusing(name):
    def refuse(self, *args, **kwargs):
        raise TypeError(
            f"'{type(self).__name__}' object does not support mutation. If you are attempting to modify the kwargs or args of a "
            "torch.fx.Node object,\ninstead create a new copy of it and assign the copy to the node:\n"
            "    node.args = (*node.args[:-1], changed)"
        )

    refuse.__name__ = name
    return refuse


def _frozen(base, changing):
    """A subclass of ``base`` whose methods in the string ``changing`` are refused, and which can be hashed and pickled."""
    namespace = {name: _refusing(name) for name in changing.split()}
    namespace["__reduce__"] = lambda self: (type(self), (base(self),))
    namespace["__hash__"] = lambda self: hash(tuple(self.items() if isinstance(self, dict) else self))
    namespace["__module__"], namespace["__doc__"] = __name__, f"A {base.__name__} that can't be changed."
    return type(f"immutable_{base.__name__}", (base,), namespace)


immutable_list = _frozen(list, "append clear extend insert pop remove reverse sort __delitem__ __setitem__ __iadd__ __imul__")
immutable_dict = _frozen(dict, "clear pop popitem setdefault update __delitem__ __setitem__ __ior__")
