"""Threads that have not used a GPU: what the driver is asked there needs a context all the same.

Run by ``pytest --device cuda tests/cuda``.
"""

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
