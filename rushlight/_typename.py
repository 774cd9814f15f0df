"""Names of types, as messages show them."""

from ._core.tensor import Tensor


def typename(obj):
    """The name of an object's type (of a type or function: its own), with its module unless that is builtins.

    >>> typename(3), typename(Tensor([1.0]))
    ('int', 'torch.FloatTensor')
    """
    if isinstance(obj, Tensor):
        return obj.type()
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None)
    return named.__qualname__ if module in (None, "builtins", "") else f"{module}.{named.__qualname__}"
