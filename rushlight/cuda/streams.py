"""Streams and events.

A stream is a queue of work; work of different streams may overlap, an event marks a place in a queue that others can wait for. Each
GPU has a default stream. PyTorch's is the driver's legacy stream 0; here it is an ordinary one that can be captured, so its handle is
not 0.
"""

import threading

from .._core import device as _device
from .._core import tensor as _tensor
from . import _start
from ._devices import index_of

LEGACY = 1  # the handle of what the driver calls stream 0: 0 as a current stream means our default one
_POOL = 32  # streams of each priority and GPU that are handed out in turn
_pools = {}
_lock = threading.Lock()


def _pooled(index, priority):
    """The handle of a stream of the pool."""
    with _lock:
        pool, turn = _pools.setdefault((index, priority), ([], [0]))
        turn[0] = (turn[0] + 1) % _POOL
        if len(pool) <= turn[0]:
            pool.append(_device.stream_create(index, priority))
            return pool[-1]
        return pool[turn[0]]


class Stream:
    """A queue of work on a GPU.

    device: the GPU, default the current one; priority: 0, or a negative number to be served before others.

    >>> side = torch.cuda.Stream()
    >>> x = torch.ones(3, device="cuda")
    >>> side.wait_stream(torch.cuda.current_stream())
    >>> with torch.cuda.stream(side):
    ...     y = x + 1
    >>> torch.cuda.current_stream().wait_stream(side)
    >>> y.tolist()
    [2.0, 2.0, 2.0]
    """

    def __new__(cls, device=None, priority=0, **kwargs):
        if not _start.found()[0]:
            raise RuntimeError(
                f"torch.cuda.{cls.__name__} requires CUDA support\n"
                "  There is no GPU to queue work for; the CPU works in the order of the program."
            )
        self = super().__new__(cls)
        self.device_index = index_of(device)
        self.cuda_stream = kwargs["stream_ptr"] if "stream_ptr" in kwargs else _pooled(self.device_index, min(priority, 0))
        return self

    def __init__(self, device=None, priority=0, **kwargs):
        pass

    @property
    def device(self):
        """The GPU."""
        return _tensor.device("cuda", self.device_index)

    @property
    def priority(self):
        """0, or a negative number: served before others."""
        return _device.stream_priority(self.device_index, self.cuda_stream)

    def query(self):
        """Is all work done?"""
        return _device.stream_query(self.device_index, self.cuda_stream)

    def synchronize(self):
        """Waits until all work is done. Raises what its kernels recorded."""
        _device.stream_synchronize(self.device_index, self.cuda_stream)

    def record_event(self, event=None):
        """Marks the place that the queue has reached; returns the event (a new one by default)."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        """Work queued from now on waits for the event."""
        event.wait(self)

    def wait_stream(self, stream):
        """Work queued from now on waits for all that the other stream has queued so far."""
        self.wait_event(stream.record_event())

    def __cuda_stream__(self):
        """(version, handle): how other libraries take a stream."""
        return 0, self.cuda_stream

    @property
    def _as_parameter_(self):
        import ctypes

        return ctypes.c_void_p(self.cuda_stream)

    def __eq__(self, other):
        return isinstance(other, Stream) and (self.device_index, self.cuda_stream) == (other.device_index, other.cuda_stream)

    def __hash__(self):
        return hash((self.cuda_stream, self.device_index))

    def __enter__(self):
        context = StreamContext(self)
        context.__enter__()
        entered = self.__dict__.setdefault("_entered", {})  # by thread: each comes back to what was current there
        entered.setdefault(threading.get_ident(), []).append(context)
        return self

    def __exit__(self, *error):
        mine = self._entered[threading.get_ident()]
        context = mine.pop()
        if not mine:
            del self._entered[threading.get_ident()]
        return context.__exit__(*error)

    def __repr__(self):
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream that another library made, by its handle: that library must keep it. 0 is the driver's legacy stream, of handle 1.

    >>> own = torch.cuda.Stream()
    >>> torch.cuda.ExternalStream(own.cuda_stream).cuda_stream == own.cuda_stream
    True
    """

    def __new__(cls, stream_ptr, device=None, **kwargs):
        return super().__new__(cls, device, stream_ptr=stream_ptr or LEGACY)

    def __init__(self, stream_ptr, device=None, **kwargs):
        pass


class Event:
    """A mark in a stream.

    enable_timing: it knows its time (:meth:`elapsed_time`); blocking: waiting for it does not spin.

    >>> start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    >>> start.record()
    >>> x = torch.ones(1000, device="cuda").exp()
    >>> end.record()
    >>> end.synchronize()
    >>> start.elapsed_time(end) >= 0
    True
    """

    def __new__(cls, enable_timing=False, blocking=False, interprocess=False, external=False):
        if not _start.found()[0]:
            raise RuntimeError("Tried to instantiate dummy base class Event\n  torch.cuda.Event needs a GPU; use time.perf_counter().")
        self = super().__new__(cls)
        self._flags = (1 if blocking else 0) | (0 if enable_timing else 2)
        self._handle = None
        return self

    def __init__(self, enable_timing=False, blocking=False, interprocess=False, external=False):
        pass

    def _on(self, index):
        if self._handle is None:
            self._index, self._handle = index, _device.event_create(index, self._flags)
        return self._handle

    @property
    def cuda_event(self):
        """The driver's handle; 0 before the first record()."""
        return self._handle or 0

    @property
    def device(self):
        """The GPU it was recorded on, None before."""
        return None if self._handle is None else _tensor.device("cuda", self._index)

    def record(self, stream=None):
        """Marks the place that a stream (default: the current one) has reached."""
        stream = current_stream() if stream is None else stream
        event = self._on(stream.device_index)
        if stream.device_index != self._index:
            raise RuntimeError(f"Event device {self._index} does not match recording stream's device {stream.device_index}.")
        _device.event_record(self._index, event, stream.cuda_stream)

    def wait(self, stream=None):
        """Work that a stream (default: the current one) queues from now on waits for the event."""
        if self._handle is not None:
            stream = current_stream() if stream is None else stream
            _device.stream_wait_event(stream.device_index, stream.cuda_stream, self._handle)

    def query(self):
        """Has the stream come past the mark?"""
        return self._handle is None or _device.event_query(self._handle)

    def synchronize(self):
        """Waits until the stream has come past the mark."""
        if self._handle is not None:
            _device.event_synchronize(self._index, self._handle)

    def elapsed_time(self, end_event):
        """Milliseconds from this event to another. Raises ValueError unless both were made with enable_timing and recorded."""
        if self._flags & 2 or end_event._flags & 2:
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._handle is None or end_event._handle is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise ValueError("Both events must be completed before calculating elapsed time.")
        return _device.event_elapsed(self._handle, end_event._handle)

    def __del__(self):
        if self._handle is not None:
            _device.event_destroy(self._handle)

    def __repr__(self):
        return f"<torch.cuda.Event {'uninitialized' if self._handle is None else hex(self._handle)}>"


class StreamContext:
    """Context manager: inside, a stream is the current one of its GPU, and that GPU is current. None changes nothing.

    >>> side = torch.cuda.Stream()
    >>> with torch.cuda.StreamContext(side):
    ...     torch.cuda.current_stream() == side
    True
    """

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        if self.stream is None:
            return
        index = self.stream.device_index
        self._before = _tensor.current_gpu(), _device.stream_of(index)
        _tensor.set_current_gpu(index)
        _device.set_stream_of(index, self.stream.cuda_stream)

    def __exit__(self, kind, value, traceback):
        if self.stream is not None:
            gpu, stream = self._before
            _device.set_stream_of(self.stream.device_index, stream)
            _tensor.set_current_gpu(gpu)
        return None


def stream(stream):
    """The context manager of a stream: ``with torch.cuda.stream(s): ...``.

    >>> side = torch.cuda.Stream()
    >>> with torch.cuda.stream(side):
    ...     torch.cuda.current_stream() == side
    True
    """
    return StreamContext(stream)


def set_stream(stream):
    """Makes a stream this thread's current one, and its GPU current; None changes nothing.

    >>> before = torch.cuda.current_stream()
    >>> torch.cuda.set_stream(torch.cuda.Stream())
    >>> torch.cuda.set_stream(before)
    >>> torch.cuda.current_stream() == before
    True
    """
    if stream is not None:
        _tensor.set_current_gpu(stream.device_index)
        _device.set_stream_of(stream.device_index, stream.cuda_stream)


def current_stream(device=None):
    """This thread's current stream of a GPU.

    >>> torch.cuda.current_stream() == torch.cuda.default_stream()
    True
    """
    index = index_of(device)
    return Stream(index, stream_ptr=_device.stream_of(index))


def default_stream(device=None):
    """The default stream of a GPU.

    >>> torch.cuda.default_stream().device.type
    'cuda'
    """
    index = index_of(device)
    return Stream(index, stream_ptr=_device.default_stream_of(index))
