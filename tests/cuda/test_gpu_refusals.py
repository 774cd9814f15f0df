"""After a call that the driver refuses nothing is half made and no event left; and what lets memory go leaves the current GPU alone.

Run by ``pytest --device cuda tests/cuda``. The stand-in refuses what a test tells it to.
"""

import ctypes
import os
import subprocess
import sys

import pytest

import rushlight as torch
from rushlight._core import device
from rushlight.cuda.ops import _cublas, _cufft, _nvidia

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
STANDIN = pytest.mark.skipif("'Stand-in' not in __import__('rushlight').cuda.describe()", reason="a real driver refuses nothing on request")
TWO = pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs")
INVALID_VALUE = 1


def driver():
    return ctypes.CDLL(os.environ.get("RUSHLIGHT_CUDA_DRIVER", "libcuda.so.1"))


def refused(call, entry, after=0):
    """Has the driver refuse an entry's call, the first or one behind others, within ``call``; how many events that leaves behind."""
    before = driver().standinEvents()
    driver().standinRefuse(entry.encode(), after, INVALID_VALUE)
    try:
        with pytest.raises(torch.AcceleratorError):
            call()
    finally:
        driver().standinRefuse(b"", 0, 0)
    return driver().standinEvents() - before


def context():
    """The driver's current context."""
    found = ctypes.c_void_p()
    assert driver().cuCtxGetCurrent(ctypes.byref(found)) == 0
    return found.value


def context_of(index):
    torch.cuda.current_stream(index)
    return context()


@STANDIN
@pytest.mark.parametrize("entry", ["cuEventRecord", "cuStreamWaitEvent"])
def test_no_event_is_left_of_a_wait_that_fails(entry):
    side = torch.cuda.Stream()
    assert refused(lambda: device.let_wait(0, side.cuda_stream), entry) == 0
    assert refused(lambda: device.wait_for_stream(0, side.cuda_stream), entry) == 0


@STANDIN
@TWO
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("entry", ["cuEventCreate", "cuEventRecord", "cuStreamWaitEvent"])
def test_no_event_is_left_of_a_copy_between_gpus_that_fails(entry, after):
    x = torch.arange(3.0, device="cuda:0")
    assert refused(lambda: x.to("cuda:1"), entry, after) == 0
    assert x.to("cuda:1").tolist() == [0.0, 1.0, 2.0]


@STANDIN
def test_no_event_is_left_of_timed_work_that_fails():
    x, told = torch.ones(3, device="cuda"), []
    y, host = x + 1, torch.ones(3, device="cpu").pin_memory()
    device.tell_times(lambda *work: told.append(work))
    try:
        for call, entry in (
            (lambda: x + 1, "cuEventRecord"), (lambda: x.copy_(y), "cuMemcpyAsync"), (lambda: x.copy_(host), "cuMemcpyAsync"),
            (lambda: torch.zeros(100, device="cuda"), "cuMemsetD8Async"), (lambda: x + 1, "cuLaunchKernel"),
        ):  # fmt: skip
            assert refused(call, entry) == 0, entry
    finally:
        device.tell_times(None)
    assert told == []


class Refusing:
    """Stands in a library's place: a handle, descriptors, and work that it refuses."""

    def __getattr__(self, name):
        return self.refuse if name in ("matmul", "xt_exec", "routine") else lambda *given: ctypes.c_uint64(1)

    def xt_make_plan_many(self, *given):
        return 0

    def refuse(self, *given):
        raise RuntimeError("not today")


def dense(x):
    library = _nvidia.Library("dense", None)
    library.use(Refusing())
    with library.on_stream(1, "routine") as (bindings, *_):
        bindings.routine()


@STANDIN
@pytest.mark.parametrize("module, call", [
    (_cublas, lambda x: x @ x), (_cufft, torch.fft.fft), (None, dense), (None, lambda x: device.mark_of(1)),
])  # fmt: skip
def test_no_event_is_left_of_what_a_library_refuses(module, call):
    x, before, told = torch.ones(64, 64, device="cuda", dtype=torch.complex64), driver().standinEvents(), []
    if module is not None:
        module.use(Refusing())
    device.tell_times(lambda *work: told.append(work))
    try:
        call(x)
    except RuntimeError as error:
        assert str(error) == "not today"
    finally:
        device.tell_times(None)
        if module is not None:
            module.use(None)
    for *_, first, second, _ in told:  # of our own kernels, which compute what the library does not
        device.event_destroy(first), device.event_destroy(second)
    assert driver().standinEvents() == before


@STANDIN
def test_memory_whose_events_cannot_be_made_costs_none():
    side = torch.cuda.Stream()
    before = driver().standinEvents()
    for entry in ("cuEventRecord", "cuEventCreate"):
        x = torch.ones(1000, device="cuda")
        x.record_stream(side)
        driver().standinRefuse(entry.encode(), 0, INVALID_VALUE)
        del x  # what the driver says is nobody's: the memory is not handed out again
    assert driver().standinEvents() == before


RING = """
import ctypes, os, sys
import rushlight as torch
x, i = torch.arange(6.0, device='cuda'), torch.tensor([1, 5], device='cuda')
torch.cuda.synchronize()
driver = ctypes.CDLL(os.environ["RUSHLIGHT_CUDA_DRIVER"])
events = driver.standinEvents()
for entry, after in ((b"cuEventCreate", 0), (b"cuEventCreate", 2), (b"cuMemHostAlloc", 0)):
    driver.standinRefuse(entry, after, 1)
    try:
        x[i]
    except torch.AcceleratorError:
        print(entry.decode())
for _ in range(5000):
    y = x[i]
print(y.tolist(), driver.standinEvents() - events)
try:
    x[i + 4].tolist()
except IndexError as error:
    print(str(error).splitlines()[0])
"""


@STANDIN
def test_fault_records_that_cannot_be_made_are_made_the_next_time():
    done = subprocess.run([sys.executable, "-c", RING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = ["cuEventCreate", "cuEventCreate", "cuMemHostAlloc", "[1.0, 5.0] 4", "index 9 is out of bounds for dimension 0 with size 6"]
    assert done.stdout.splitlines() == wanted


@TWO
def test_memory_that_goes_leaves_the_current_gpu_alone():
    """A library is called with a GPU's context current, whatever Python lets go meanwhile."""
    mine, other = context_of(0), torch.cuda.Stream(1)
    x, y = torch.ones(1000, device="cuda:0"), torch.ones(1000, device="cuda:1")
    x.record_stream(other)
    torch.cuda.current_stream(0)
    del x  # an event of the other GPU's stream is made
    assert context() == mine
    del y  # with caching off it is given back
    assert context() == mine


@TWO
def test_an_allocation_leaves_its_gpu_current():
    x, other, kept = torch.ones(1000, device="cuda:0"), torch.cuda.Stream(1), torch.ones(10, device="cuda:0")
    x.record_stream(other)
    mine = context_of(0)
    torch.cuda.synchronize(0)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        del x
        _ = kept + 1
    y = torch.empty(10, device="cuda:0")  # only now is the event made that tells when the other GPU is done
    assert context() == mine and y.is_cuda
    graph.reset()


@TWO
def test_a_stream_of_another_gpu_is_told_by_its_gpu():
    """The driver's own stream has one handle on all GPUs."""
    x, target = torch.zeros(1000, device="cuda:0"), torch.zeros(1000, device="cuda:1")
    torch.cuda.synchronize(0), torch.cuda.synchronize(1)
    x += 7
    own = torch.cuda.ExternalStream(0, device="cuda:1")
    with torch.cuda.stream(own):
        target.copy_(x)  # on cuda:0, behind what the own stream of cuda:1 has queued; that waits for the copy
        seen = target + 1
        own.synchronize()
        assert seen.tolist() == [8.0] * 1000
    x += 1
    device.let_wait(0, own.cuda_stream, 1)
    own.synchronize()
    assert device.stream_query(0, torch.cuda.current_stream(0).cuda_stream)  # it was waited for


@TWO
def test_the_drivers_own_streams_of_two_gpus_are_two():
    """Though their handle is one: of pinned memory that both read, and of memory that one of them made and the other uses."""
    first, second = (torch.cuda.ExternalStream(0, device=f"cuda:{i}") for i in range(2))
    batch = torch.arange(1000.0, device="cpu").pin_memory()
    with first, second:
        x, y = (batch.to(f"cuda:{i}", non_blocking=True) for i in range(2))
        x.record_stream(second)
        torch.cuda.synchronize(1)
        y += 1  # queued where x is said to be used
        address = x.data_ptr()
        del x
        again = torch.empty(1000, device="cuda:0")
        assert again.data_ptr() != address
        first.synchronize()
        assert torch.equal(y.cpu(), batch + 1)
