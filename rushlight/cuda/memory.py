"""The memory of GPUs: what the caching allocator holds, and the driver's own count."""

from collections import OrderedDict

from .._core import device as _device
from . import _start
from ._devices import index_of
from ._oom import largest, size
from .streams import ExternalStream, Stream, StreamContext, current_stream

__all__ = [
    "caching_allocator_alloc",
    "caching_allocator_delete",
    "caching_allocator_enable",
    "device_memory_used",
    "empty_cache",
    "get_allocator_backend",
    "get_per_process_memory_fraction",
    "host_memory_stats",
    "list_gpu_processes",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_snapshot",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "memory_summary",
    "memory_usage",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]  # fmt: skip


def empty_cache():
    """Gives the memory that is kept for re-use back to the driver, so that other programs can have it.

    >>> x = torch.ones(1000, device="cuda")
    >>> del x
    >>> torch.cuda.empty_cache()
    >>> torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    True
    """
    if _start.is_started():
        _device.device_empty_cache()


def empty_host_cache():
    """Gives the pinned host memory that is kept for re-use back."""
    if _start.is_started():
        _device.pinned_empty_cache()


def caching_allocator_enable(value=True):
    """Accepted for True: the allocator always caches. Raises RuntimeError for False.

    >>> torch.cuda.caching_allocator_enable(True)
    """
    if not value:
        raise RuntimeError("caching_allocator_enable(False): rushlight's allocator of GPU memory always caches; use empty_cache()")


def memory_stats_as_nested_dict(device=None):
    """The allocator's counters of a GPU: name -> {"all": {current, peak, allocated, freed}}, or a number; empty before the first use.

    >>> x = torch.ones(1000, device="cuda")
    >>> torch.cuda.memory_stats_as_nested_dict()["allocated_bytes"]["all"]["current"] >= 4000
    True
    """
    counters = _device.device_memory_stats(index_of(device)) if _start.is_started() else {}
    nested = {name: {"all": value} if isinstance(value, dict) else value for name, value in counters.items()}
    nested.update({new: nested[old] for new, old in (("active_bytes", "allocated_bytes"), ("active", "allocation")) if old in nested})
    return nested


def memory_stats(device=None):
    """The same as a flat, sorted dict: 'allocated_bytes.all.peak' ..., as PyTorch names them.

    >>> x = torch.ones(1000, device="cuda")
    >>> torch.cuda.memory_stats()["allocated_bytes.all.current"] == torch.cuda.memory_allocated()
    True
    """
    flat = {}
    for name, value in memory_stats_as_nested_dict(device).items():
        flat.update({f"{name}.all.{key}": n for key, n in value["all"].items()} if isinstance(value, dict) else {name: value})
    return OrderedDict(sorted(flat.items()))


def _counter(name, counted, which, doc):
    def counter(device=None):
        return _device.device_memory_stats(index_of(device))[counted][which] if _start.is_started() else 0

    counter.__name__ = counter.__qualname__ = name
    counter.__doc__ = doc
    return counter


memory_allocated = _counter("memory_allocated", "allocated_bytes", "current", """Bytes that live tensors hold on a GPU, in blocks
    of 512; with PYTORCH_NO_CUDA_MEMORY_CACHING=1 those that were asked for.

    >>> before = torch.cuda.memory_allocated()
    >>> x = torch.zeros(1024, device="cuda")
    >>> torch.cuda.memory_allocated() - before
    4096
    """)
max_memory_allocated = _counter("max_memory_allocated", "allocated_bytes", "peak", """The most bytes that tensors held at a time on a GPU.

    >>> torch.cuda.max_memory_allocated() >= torch.cuda.memory_allocated()
    True
    """)
memory_reserved = _counter("memory_reserved", "reserved_bytes", "current", """Bytes taken from the driver: live, and kept for re-use.

    >>> torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    True
    """)
max_memory_reserved = _counter("max_memory_reserved", "reserved_bytes", "peak", """The most bytes taken from the driver at a time.

    >>> torch.cuda.max_memory_reserved() >= torch.cuda.memory_reserved()
    True
    """)
memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def _reset(name, peaks, doc):
    def reset(device=None):
        if _start.is_started():
            _device.reset_device_stats(index_of(device), peaks)

    reset.__name__ = reset.__qualname__ = name
    reset.__doc__ = doc
    return reset


reset_peak_memory_stats = _reset("reset_peak_memory_stats", True, """Starts new peaks at what is in use now.

    >>> torch.cuda.reset_peak_memory_stats()
    >>> torch.cuda.max_memory_allocated() == torch.cuda.memory_allocated()
    True
    """)
reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
reset_accumulated_memory_stats = _reset("reset_accumulated_memory_stats", False, """Sets the accumulated counts to 0.

    >>> torch.cuda.reset_accumulated_memory_stats()
    >>> torch.cuda.memory_stats()["allocated_bytes.all.allocated"]
    0
    """)


def host_memory_stats():
    """Pinned host memory: bytes in use, their peak, kept for re-use, and the number of allocations.

    >>> type(torch.cuda.host_memory_stats()).__name__
    'OrderedDict'
    """
    if not _start.is_started():
        return OrderedDict()
    found = _device.pinned_stats()
    return OrderedDict({
        "allocated_bytes.current": found["allocated"], "allocated_bytes.peak": found["peak"], "cached_bytes.current": found["cached"],
        "num_host_alloc": found["allocations"],
    })  # fmt: skip


def mem_get_info(device=None):
    """(free, total) bytes of a GPU as the driver counts them, all programs together.

    >>> free, total = torch.cuda.mem_get_info()
    >>> 0 < free <= total
    True
    """
    return _device.memory_info(index_of(device))


def device_memory_used(device=None):
    """Bytes of a GPU's memory that are in use, all programs together.

    >>> torch.cuda.device_memory_used() >= 0
    True
    """
    free, total = mem_get_info(device)
    return total - free


def memory_usage(device=None):
    """Percentage of a GPU's memory that is in use.

    >>> 0 <= torch.cuda.memory_usage() <= 100
    True
    """
    return 100 * device_memory_used(device) // mem_get_info(device)[1]


def memory_snapshot(mempool_id=None):
    """Every segment with its blocks: address, sizes, state, stream, and the line that made a large one.

    >>> x = torch.ones(1000, device="cuda")
    >>> sum(segment["allocated_size"] for segment in torch.cuda.memory_snapshot()) >= 4000
    True
    """
    segments = []
    for index in range(_start.found()[0] if _start.is_started() else 0):
        number = None
        for segment, address, length, wanted, free, stream, code, offset in _device.device_blocks(index):
            if segment != number:
                number = segment
                segments.append({"device": index, "address": address, "total_size": 0, "allocated_size": 0, "stream": stream, "blocks": []})
            state = "inactive" if free else "active_allocated"
            segments[-1]["total_size"] += length
            segments[-1]["allocated_size"] += 0 if free else length
            frames = [] if code is None else [_start.line_of(code, offset)]
            segments[-1]["blocks"].append(
                {"address": address, "size": length, "requested_size": wanted, "state": state, "frames": frames}
            )
    return segments


def memory_summary(device=None, abbreviated=False):
    """A GPU's memory in words: in use, at its peak, kept for re-use, and the largest live blocks with the lines that made them.

    >>> x = torch.ones(1000, device="cuda")
    >>> len(torch.cuda.memory_summary().splitlines()) > 3
    True
    """
    if not _start.found()[0]:
        return "no GPU memory in use: there is no GPU"
    index = index_of(device)
    stats = _device.device_memory_stats(index)
    free, total = mem_get_info(index)
    rows = [f"cuda:{index}: {size(free)} of {size(total)} free"]
    for title, name in (("live tensors", "allocated_bytes"), ("taken from the driver", "reserved_bytes")):
        rows.append(f"  {title:<22} {size(stats[name]['current']):>12}, at most {size(stats[name]['peak'])}")
    rows.append(f"  allocations {stats['allocation']['allocated']}, out of memory {stats['num_ooms']} times")
    return "\n".join(rows if abbreviated else rows + largest(index))


def list_gpu_processes(device=None):
    """Says where to look: other programs are the driver's to list.

    >>> type(torch.cuda.list_gpu_processes()).__name__
    'str'
    """
    return "run nvidia-smi" if _start.found()[0] else "no GPU"


_fractions = {}


def set_per_process_memory_fraction(fraction, device=None):
    """The most that this process may take of a GPU's memory, 0 to 1; an allocation beyond it is out of memory.

    >>> torch.cuda.set_per_process_memory_fraction(0.5)
    >>> torch.cuda.get_per_process_memory_fraction()
    0.5
    >>> torch.cuda.set_per_process_memory_fraction(1.0)
    """
    index = index_of(device)
    if not isinstance(fraction, (int, float)):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    _fractions[index] = fraction
    _device.limit_device_memory(index, max(1, int(fraction * _device.total_memory(index))))


def get_per_process_memory_fraction(device=None):
    """What :func:`set_per_process_memory_fraction` set, else 1.0.

    >>> torch.cuda.get_per_process_memory_fraction()
    1.0
    """
    return _fractions.get(index_of(device), 1.0)


def get_allocator_backend():
    """'native': rushlight's own caching allocator.

    >>> torch.cuda.get_allocator_backend()
    'native'
    """
    _start.start()
    return "native"


_raw = {}  # address -> storage, for the two functions below


def caching_allocator_alloc(size, device=None, stream=None):
    """The address of ``size`` bytes of a GPU's memory, for other libraries; to be given back by :func:`caching_allocator_delete`.

    stream: (or its handle) on which they are used, default the current one.

    >>> address = torch.cuda.caching_allocator_alloc(1024)
    >>> torch.cuda.caching_allocator_delete(address)
    """
    from .. import empty, uint8

    index = index_of(device)
    if stream is None:
        stream = current_stream(index)
    elif not isinstance(stream, Stream):
        if not isinstance(stream, int):
            raise TypeError(
                "Invalid type for stream argument, must be `torch.cuda.Stream` or `int` representing a pointer to a existing stream"
            )
        stream = ExternalStream(stream, index)
    with StreamContext(stream):
        block = empty(size, dtype=uint8, device=f"cuda:{index}")
    _raw[block.data_ptr()] = block
    return block.data_ptr()


def caching_allocator_delete(mem_ptr):
    """Gives back what :func:`caching_allocator_alloc` gave.

    >>> address = torch.cuda.caching_allocator_alloc(1024)
    >>> before = torch.cuda.memory_allocated()
    >>> torch.cuda.caching_allocator_delete(address)
    >>> before - torch.cuda.memory_allocated() >= 1024
    True
    """
    _raw.pop(mem_ptr)
