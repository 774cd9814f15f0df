"""How tensors travel between processes: shared ones as an open file of their memory, others as copies."""

import mmap
from multiprocessing import reduction

from .._core.tensor import Tensor
from ..ops import inquiry


def _rebuild_shared(handle, n_bytes, dtype, offset, size, stride, requires_grad):
    import rushlight

    fd = handle.detach()
    memory = mmap.mmap(fd, n_bytes)
    tensor = rushlight.frombuffer(memory, dtype=dtype)
    inquiry.mark_shared(tensor.untyped_storage(), fd)
    return rushlight.as_strided(tensor, size, stride, offset).requires_grad_(requires_grad)


def _rebuild_parameter(tensor, requires_grad):
    from ..nn import Parameter

    return Parameter(tensor, requires_grad)


def reduce_tensor(tensor):
    """The parts of a tensor for another process."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing process "
            "boundaries.  If you just want to transfer the data, call detach() on the tensor before serializing (e.g., putting it on the "
            "queue)."
        )
    storage = tensor.untyped_storage()
    fd = inquiry.shared_file(storage)
    if fd is None:
        return tensor.__reduce_ex__(2)
    plain = tensor.detach()
    layout = (tensor.dtype, plain.storage_offset(), tuple(plain.shape), tuple(plain.stride()))
    parts = (reduction.DupFd(fd), storage.nbytes(), *layout)
    if type(tensor) is Tensor:
        return _rebuild_shared, (*parts, tensor.requires_grad)
    from ..nn import Parameter

    if type(tensor) is Parameter:
        return _rebuild_parameter, (_Parts(parts), tensor.requires_grad)
    return tensor.__reduce_ex__(2)


class _Parts:
    """A shared tensor on its way, for the Parameter that is rebuilt from it."""

    def __init__(self, parts):
        self.parts = parts

    def __reduce__(self):
        return _rebuild_shared, (*self.parts, False)


def register():
    """From here on multiprocessing sends tensors in this way."""
    from ..nn import Parameter

    for kind in (Tensor, Parameter):
        reduction.ForkingPickler.register(kind, reduce_tensor)
