"""The error for a GPU without memory: who holds it."""

import gc

from .._core import device as _device
from .._errors import OutOfMemoryError

MOST = 8  # blocks listed


def out_of_memory(index, nbytes):
    """The exception for an allocation of ``nbytes`` that failed even after the cache was given back."""
    free, total = map(size, _device.memory_info(index))
    stats = _device.device_memory_stats(index)
    live, reserved = stats["allocated_bytes"]["current"], stats["reserved_bytes"]["current"]
    lines = [
        f"CUDA out of memory. Tried to allocate {size(nbytes)}. GPU {index} has a total capacity of {total} of which {free} is free.",
        f"  Live tensors of this process hold {size(live)}, {size(reserved - live)} are kept for re-use.",
        *largest(index),
        "  Use a smaller batch, bfloat16 (autocast), torch.utils.checkpoint, or drop references to tensors that are not needed any more (a",
        "  list of losses that still record keeps every graph: append loss.item()). The process can go on: catch this error and try again.",
    ]
    return OutOfMemoryError("\n".join(lines))


def size(n):
    """Bytes for people, as PyTorch prints them."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= scale:
            return f"{n / scale:.2f} {unit}"
    return f"{n} bytes"


def largest(index):
    """Lines about the largest live blocks: how large, what they hold, and the line or module that made them."""
    from ._start import line_of

    blocks = [b for b in _device.device_blocks(index) if not b[4]]
    blocks.sort(key=lambda b: -b[3])
    names = _names(index, {b[1] for b in blocks[:MOST]})
    lines = []
    for _, address, _, wanted, _, _, code, offset in blocks[:MOST]:
        what = names.get(address, "")
        made = "" if code is None else f" made at {line_of(code, offset)}"
        lines.append(f"    {size(wanted):>12}{what}{made}")
    return [f"  The largest of {len(blocks)} live blocks:", *lines] if lines else []


def _names(index, addresses):
    """address -> ' parameter layer.weight of Net, float32 [3, 4]' for blocks that a live tensor shows."""
    from .._core.tensor import Tensor
    from ..nn import Module

    found, owners = {}, {}
    modules = []
    for thing in gc.get_objects():
        if isinstance(thing, Tensor):
            storage = thing.untyped_storage()  # None: the tensor whose allocation failed
            if thing.get_device() == index and storage is not None and storage.data_ptr() in addresses:
                found.setdefault(storage.data_ptr(), thing)
        elif issubclass(type(thing), Module):
            modules.append(thing)
    children = {id(child) for m in modules for child in m.children()}
    for module in modules:
        if id(module) in children:
            continue
        for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
            for path, t in named:
                owners[t.untyped_storage().data_ptr()] = f"{kind} {path} of {type(module).__name__}, "
                if t.grad is not None:
                    owners[t.grad.untyped_storage().data_ptr()] = f"gradient of {path} of {type(module).__name__}, "
    texts = {}
    for address, t in found.items():
        node = "" if t.grad_fn is None else f" from {t.grad_fn.name()}"
        texts[address] = f"  {owners.get(address, '')}{str(t.dtype)[6:]} {list(t.shape)}{node}"
    return texts
