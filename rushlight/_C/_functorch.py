"""What packages ask of tensors under vmap (``torch._C._functorch``)."""

from ..autograd.vmap import Batched, _add_batch_dim, _remove_batch_dim, active

__all__ = [
    "_add_batch_dim", "_remove_batch_dim", "current_level", "get_unwrapped", "is_batchedtensor", "is_functorch_wrapped_tensor",
    "is_gradtrackingtensor", "maybe_current_level", "maybe_get_bdim", "maybe_get_level",
]  # fmt: skip


def is_batchedtensor(tensor):
    """Does vmap map over it? Outside a function under vmap nothing is batched."""
    return isinstance(tensor, Batched)


is_functorch_wrapped_tensor = is_batchedtensor


def is_gradtrackingtensor(tensor):
    """False: torch.func.grad records on the tape, and wraps no tensor."""
    return False


def get_unwrapped(tensor):
    """The batch that a batched tensor stands for."""
    if not is_batchedtensor(tensor):
        raise RuntimeError("No wrappers present!")
    return tensor.value


def maybe_get_bdim(tensor):
    """Which dim of its batch is mapped over; -1 for a tensor that is not batched."""
    return tensor.bdim if is_batchedtensor(tensor) else -1


def maybe_get_level(tensor):
    """The number of the vmap that maps over it, 1 for the outermost; -1 for a tensor that is not batched."""
    return tensor.level if is_batchedtensor(tensor) else -1


def maybe_current_level():
    """How many vmaps are active; None for none."""
    return active() or None


def current_level():
    """How many vmaps are active; RuntimeError for none."""
    if not active():
        raise RuntimeError("current_level(): no vmap is active; ask inside a function that torch.func.vmap maps")
    return active()
