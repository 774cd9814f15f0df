"""Threads that have not used a GPU: what the driver is asked there needs a context all the same.

Run by ``pytest --device cuda tests/cuda``.
"""

import subprocess
import sys
import threading

import pytest

import rushlight as torch

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")


def elsewhere(function):
    """What a function returns, or raises, on a thread of its own."""
    found = []

    def run():
        try:
            found.append((function(), None))
        except Exception as error:
            found.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = found[0]
    if error is not None:
        raise error
    return value


def test_events_are_asked_by_a_fresh_thread():
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    x = torch.ones(100, device="cuda") + 1
    end.record()
    torch.cuda.synchronize()
    assert elsewhere(end.query) and elsewhere(lambda: start.elapsed_time(end)) >= 0 and x[0].item() == 2
    elsewhere(end.synchronize)


def test_memory_is_given_back_by_a_fresh_thread():
    x, side = torch.ones(1 << 20, device="cuda"), torch.cuda.Stream()
    with torch.cuda.stream(side):
        side.wait_stream(torch.cuda.default_stream())
        y = x + 1
    x.record_stream(side)
    address = x.data_ptr()
    held = [x]
    del x
    elsewhere(held.clear)  # its events are made there
    elsewhere(torch.cuda.empty_cache)
    assert y[0].item() == 2 and torch.cuda.memory_reserved() >= torch.cuda.memory_allocated() and address


def test_pinned_memory_is_given_back_by_a_fresh_thread():
    batch = torch.full((1000,), 3.0).pin_memory()
    x = batch.to("cuda", non_blocking=True)
    assert elsewhere(batch.is_pinned) and not elsewhere(torch.ones(3).is_pinned)
    del batch
    torch.cuda.synchronize()
    elsewhere(torch.cuda.memory.empty_host_cache)
    assert torch.cuda.host_memory_stats()["cached_bytes.current"] == 0 and x[0].item() == 3


FIRST_USE = """
import sys, threading
import rushlight as torch
sys.setswitchinterval(1e-5)
found, together = [], threading.Barrier(8)
def use():
    together.wait()
    found.append((torch.ones(3, device=DEVICE).sum() * 2).cpu().item() if DEVICE == "cuda" else (torch.ones(3, device=DEVICE) * 2).shape)
threads = [threading.Thread(target=use) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
print(len(found), set(found))
"""


@pytest.mark.parametrize("device, want", [("cuda", "8 {6.0}"), ("meta", "8 {torch.Size([3])}")])
def test_threads_that_use_a_device_first_wait_until_it_is_there(device, want):
    program = f"DEVICE = {device!r}\n{FIRST_USE}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, want), done.stderr[-2000:]


def test_each_thread_leaves_a_stream_for_what_was_current_there():
    """One stream object, entered by two threads that leave it in the order they came."""
    side, own, found = torch.cuda.Stream(), torch.cuda.Stream(), {}
    entered, both, left = (threading.Event() for _ in range(3))

    def first():
        with side:
            entered.set()
            both.wait(10)
        found["first"] = torch.cuda.current_stream()
        left.set()

    def second():
        torch.cuda.set_stream(own)
        entered.wait(10)
        with side:
            both.set()
            left.wait(10)
        found["second"] = torch.cuda.current_stream()

    threads = [threading.Thread(target=f) for f in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"first": torch.cuda.default_stream(), "second": own}


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("sums", [False, True])
def test_gradients_that_a_side_stream_reads_are_kept_until_it_has(thread, sums):
    """Gradients made on one stream and read on another: who works on the first one meanwhile is not given their memory."""
    n, side, main, junk = 1000, torch.cuda.Stream(), torch.cuda.current_stream(), []

    def fill():
        with torch.cuda.stream(main):
            junk.extend(torch.full((size,), 9.0, device="cuda") for size in (n, 1) for _ in range(20))
        main.synchronize()

    x = torch.ones(n, device="cuda", requires_grad=True)
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        y = x.cumsum(0)
        part = y.sum() * 5  # its gradient is added to the other one on the side stream
    main.wait_stream(side)
    loss = y.sum() * 3 + part if sums else (y * 3).sum()
    x.register_hook(lambda grad: elsewhere(fill) if thread else fill())  # the side stream is current, and has not begun
    loss.backward()
    torch.cuda.synchronize()
    assert x.grad.tolist() == [(8.0 if sums else 3.0) * i for i in range(n, 0, -1)] and junk[0][0].item() == 9.0


def test_memory_of_others_is_taken_by_a_fresh_thread():
    class Lent:
        __cuda_array_interface__ = torch.arange(3.0, device="cuda").__cuda_array_interface__

    assert elsewhere(lambda: torch.as_tensor(Lent(), device="cuda")).tolist() == [0.0, 1.0, 2.0]
