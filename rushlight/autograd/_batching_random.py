"""Random numbers under vmap: the examples of a batch draw none, the same ones, or numbers of their own.

A call that draws may have no batched argument (``torch.randn(3)``), so each vmap watches the calls inside it (:func:`watching`), and the
innermost decides first.
"""

from .._core.tensor import Tensor
from ..utils._pytree import tree_leaves
from ._batching_families import RANDOM, loop, pointwise, wrap_all, writes
from .vmap import Batched, CannotBatch, _levels, batch_size

_SIZED = {"rand", "randn", "randint"}
DRAWING = RANDOM | _SIZED | {"randperm"}
_ELEMENTWISE = RANDOM - {"multinomial", "feature_dropout", "feature_alpha_dropout"}


def watching(level):
    """The interpreter that a vmap of this level pushes."""

    def interpret(func, args, kwargs):
        if getattr(func, "__name__", None) not in DRAWING:
            return func(*args, **kwargs)
        return draw(func, args, kwargs, level)

    return interpret


def draw(func, args, kwargs, level):
    """A call that draws random numbers, as the vmap of ``level`` wants them."""
    randomness = _levels.stack[level - 1][1]
    if randomness == "error":
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different'"
            " randomness flags on vmap or perform the randomness operation out of vmap"
        )
    if any(isinstance(x, Batched) and x.level == level for x in tree_leaves((args, kwargs))):
        rule = pointwise if randomness == "different" and func.__name__ in _ELEMENTWISE else loop
        return rule(func, args, kwargs, level)
    if randomness == "same":
        return func(*args, **kwargs)
    if writes(func):
        raise CannotBatch(
            "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness.\n"
            "The tensor written to is shared by all examples: make it from a mapped tensor, for example by torch.empty_like."
        )
    widened = _widened(func.__name__, args, kwargs, batch_size(level))
    if widened is None:
        return loop(func, args, kwargs, level)
    return wrap_all(func(*widened[0], **widened[1]), level)


def _widened(name, args, kwargs, n):
    """The arguments with which one call draws for all ``n`` examples; None: there is no such call."""
    if "size" in kwargs:
        return args, {**kwargs, "size": (n, *kwargs["size"])}
    if name in ("rand", "randn"):
        return ((n, *(args[0] if args and isinstance(args[0], (tuple, list)) else args)),), kwargs
    if isinstance(args[-1], (tuple, list)):
        return (*args[:-1], (n, *args[-1])), kwargs
    tensors = [x for x in args if isinstance(x, Tensor)]
    if name in _ELEMENTWISE and len({x.ndim for x in tensors}) == 1:
        return tuple(x.expand(n, *x.shape) if isinstance(x, Tensor) else x for x in args), kwargs
    return None
