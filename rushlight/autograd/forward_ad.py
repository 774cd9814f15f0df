"""Forward mode: dual tensors that carry a tangent beside their value.

A dual tensor is recorded, under ``no_grad`` too, though it needs no gradient for that; its tangent is computed when it is asked for, by
one walk through the recorded graph from the dual tensors to it. A pointwise or rowwise call has a kernel for its tangents, derived from
its gradient's; products, views and copies are linear in what they are of; any other call's tangent is the derivative of its backward step,
which is linear as well. So every operator with a gradient to second order works.
"""

from collections import namedtuple

from .._core import tape
from .._core.tensor import Tensor
from .functional import noting_shapes, pushforward

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(namedtuple("UnpackedDualTensor", ["primal", "tangent"])):
    """What unpack_dual returns: the value, and the tangent or None.

    >>> with dual_level():
    ...     UnpackedDualTensor(*unpack_dual(make_dual(torch.tensor(2.0), torch.tensor(1.0)))).tangent
    tensor(1.)
    """

    __slots__ = ()


_noting = noting_shapes()
_levels = []  # for each active level: the (dual tensor, tangent) pairs made in it


def enter_dual_level():
    """Opens a level and returns its number; prefer :class:`dual_level`.

    >>> level = enter_dual_level()
    >>> x = make_dual(torch.tensor(2.0), torch.tensor(1.0))
    >>> unpack_dual(x**3).tangent
    tensor(12.)
    >>> exit_dual_level()
    """
    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _levels.append([])
    _noting.__enter__()
    tape.open_dual_level(True)
    return len(_levels) - 1


def exit_dual_level(*, level=None):
    """Closes a level: its tensors have no tangents any more.

    >>> level = enter_dual_level()
    >>> x = make_dual(torch.tensor(2.0), torch.tensor(1.0))
    >>> exit_dual_level()
    >>> with dual_level():
    ...     unpack_dual(x).tangent is None
    True
    """
    if not _levels or (level is not None and level != len(_levels) - 1):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    _levels.pop()
    tape.open_dual_level(False)
    _noting.__exit__()


class dual_level:
    """A block in which tensors can be dual.

    >>> import rushlight as torch
    >>> import rushlight.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(torch.tensor(3.0), torch.tensor(1.0))
    ...     fwAD.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self):
        return enter_dual_level()

    def __exit__(self, *error):
        exit_dual_level()


def make_dual(tensor, tangent, *, level=None):
    """A tensor with the value of ``tensor`` that carries ``tangent`` (same shape and dtype) through what is computed
    from it.

    >>> with dual_level():
    ...     x = make_dual(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0]))
    ...     unpack_dual(x.prod()).tangent  # by the first element: the second
    tensor(2.)
    """
    if not _levels:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first."
        )
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"Expected primal to be floating point or complex, but got: {tensor.dtype}")
    if not (tangent.is_floating_point() or tangent.is_complex()):
        raise ValueError(f"Expected tangent to be floating point or complex, but got: {tangent.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(tensor.shape)} while the given forward gradient is of size "
            f"{list(tangent.shape)}."
        )
    if _unpack(tensor, None).tangent is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not supported.\n"
            "  Give make_dual the plain tensor, or add the two tangents first."
        )
    if tensor.stride() != tangent.stride():
        tangent = tensor.new_empty_strided(tensor.shape, tensor.stride(), dtype=tangent.dtype).copy_(tangent)  # in the tensor's layout
    source = tape.dual(tensor)
    _levels[-1].append((source, tangent))
    return tape.dual(source)  # which may be written to in place


def unpack_dual(tensor, *, level=None):
    """``(primal, tangent)`` of a tensor; the tangent is None if the tensor depends on no dual tensor of the level.

    >>> with dual_level():
    ...     unpack_dual(torch.tensor(3.0)).tangent is None
    True
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"unpack_dual expects a Tensor, but got {type(tensor).__name__}")
    found = _unpack(tensor, None)
    if found.tangent is not None:
        found.tangent._is_tangent = True  # printed without a tangent of its own, which it has where it is recorded
    return found


def _unpack(tensor, recorded):
    """recorded: can the tangent be differentiated in its turn (None: where it depends on more than the dual tensors)?
    """
    pairs = _levels[-1] if _levels and tape.carries(tensor) else []
    pairs = [(d, t) for d, t in pairs if tape.depends_on(tensor, d)]
    if not pairs:
        return UnpackedDualTensor(tensor, None)
    duals = tuple(d for d, _ in pairs)
    tangents = tuple(t for _, t in pairs)
    if recorded is None:
        recorded = tape.depends_on_others((tensor,), duals) or any(t.requires_grad for t in tangents)
    (found,) = pushforward((tensor,), duals, tangents, create_graph=recorded)
    if recorded:
        return UnpackedDualTensor(tensor, found)
    given = any(found is t for t in tangents)
    return UnpackedDualTensor(tensor.detach(), found if given else found.detach())
