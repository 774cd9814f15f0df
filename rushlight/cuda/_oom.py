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
    try:
        names = _names(index, {b[1] for b in blocks[:MOST]})
    except Exception:  # of a program's own classes: what is missing is memory, and names are only help
        names = {}
    lines = []
    for _, address, _, wanted, _, _, code, offset in blocks[:MOST]:
        what = names.get(address, "")
        made = "" if code is None else f" made at {line_of(code, offset)}"
        lines.append(f"    {size(wanted):>12}{what}{made}")
    return [f"  The largest of {len(blocks)} live blocks:", *lines] if lines else []


def _place(t):
    """(index of the GPU, address of the storage) of a tensor; None where it has none: a parameter that is not initialised yet, say, or the
    tensor whose allocation failed."""
    try:
        storage = t.untyped_storage()
        return None if storage is None else (t.get_device(), storage.data_ptr())
    except Exception:  # what a subclass answers is its own affair
        return None


def _names(index, addresses):
    """address -> ' parameter layer.weight of Net, float32 [3, 4]' for blocks that a live tensor shows."""
    from .._core.tensor import Tensor
    from ..nn import Module

    found, owners = {}, {}
    modules = []
    for thing in gc.get_objects():  # (by their types: a proxy answers isinstance() for what it stands for, which may be gone)
        if issubclass(type(thing), Tensor):
            place = _place(thing)
            if place is not None and place[0] == index and place[1] in addresses:
                found.setdefault(place[1], thing)
        elif issubclass(type(thing), Module) and "_parameters" in vars(thing):  # else its construction has not come that far
            modules.append(thing)
    children = {id(child) for m in modules for child in m.children()}
    for module in modules:
        if id(module) in children:
            continue
        for kind, named in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
            for path, t in named:
                for what, of in ((f"{kind} {path}", t), (f"gradient of {path}", t.grad)):
                    place = None if of is None else _place(of)
                    if place is not None:
                        owners[place[1]] = f"{what} of {type(module).__name__}, "
    texts = {}
    for address, t in found.items():
        node = "" if t.grad_fn is None else f" from {t.grad_fn.name()}"
        texts[address] = f"  {owners.get(address, '')}{str(t.dtype)[6:]} {list(t.shape)}{node}"
    return texts
