"""What goes in and out of a GPU or its stand-in, and what its products are made of (tests/test_cuda_standin.py runs it)."""

import copy
import ctypes
import gc
import io
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import rushlight as torch
from rushlight._core import device as _device

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")


def data(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


# -- saving, interchange --


def test_memory_that_another_library_pinned_has_been_read_when_a_copy_returns():
    """The driver only queues its copies, as those of our own pinned memory; nobody says so to who writes there next."""
    torch.zeros(1, device="cuda")
    driver, address = ctypes.CDLL(os.environ.get("RUSHLIGHT_CUDA_DRIVER", "libcuda.so.1")), ctypes.c_void_p()
    assert driver.cuMemHostAlloc(ctypes.byref(address), 4 << 20, 1) == 0
    array = np.ctypeslib.as_array((ctypes.c_float * (1 << 20)).from_address(address.value))
    array[:] = 1
    x, held = torch.from_numpy(array), torch.zeros(1 << 20, device="cuda")
    y = x.to("cuda")
    array[:] = 2
    held.copy_(x)
    array[:] = 3
    assert (y[-1].item(), held[-1].item()) == (1.0, 2.0)
    assert x.is_pinned() and not torch.zeros(4, device="cpu").is_pinned()
    later = x.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    assert later[-1].item() == 3.0
    del x, array
    assert driver.cuMemFreeHost(address) == 0


def test_saved_and_loaded():
    x = data(3).cuda()
    assert copy.deepcopy(x).is_cuda and pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    file = io.BytesIO()
    torch.save({"x": x, "v": x[1:]}, file)
    for where, device in ((None, "cuda:0"), ("cpu", "cpu"), ({"cuda:0": "cpu"}, "cpu"), (lambda s, loc: s, "cpu")):
        file.seek(0)
        loaded = torch.load(file, map_location=where)
        assert str(loaded["x"].device) == device and loaded["v"].tolist() == [1.0, 2.0]
        assert loaded["v"].untyped_storage().data_ptr() == loaded["x"].untyped_storage().data_ptr()


def test_storages_move():
    """``map_location`` may be a function that moves a storage, an idiom of many programs."""
    file, last = io.BytesIO(), torch.cuda.device_count() - 1
    torch.save({"w": torch.arange(3.0)}, file)
    file.seek(0)
    loaded = torch.load(file, map_location=lambda storage, location: storage.cuda(last))["w"]
    assert loaded.device == torch.device("cuda", last) and loaded.tolist() == [0.0, 1.0, 2.0]
    storage = loaded.untyped_storage()
    assert storage.cuda(last) is storage and storage.get_device() == last and not storage.cpu().is_cuda
    assert storage.cpu().float().tolist() == storage.float().tolist() and storage.clone().device == storage.device


def test_interchange():
    x = data(6).cuda()[::2]
    y = torch.from_dlpack(x)
    assert y.data_ptr() == x.data_ptr() and y.tolist() == [0.0, 2.0, 4.0] and x.__dlpack_device__() == (2, 0)
    with pytest.raises(AssertionError, match="stream"):
        x.__dlpack__(stream=0)

    class Foreign:
        __cuda_array_interface__ = x.__cuda_array_interface__

    z = torch.as_tensor(Foreign(), device="cuda")
    assert z.data_ptr() == x.data_ptr() and z.tolist() == y.tolist()
    with pytest.raises(AttributeError):
        _ = data(2).__cuda_array_interface__


def library():
    """The driver, as another library that works on its legacy stream (handle 1) asks it."""
    torch.cuda.synchronize()
    return ctypes.CDLL(os.environ.get("RUSHLIGHT_CUDA_DRIVER", "libcuda.so.1"))


@pytest.mark.parametrize("how", ["dlpack", "array"])
def test_memory_that_another_library_was_lent_is_used_again_when_its_stream_is_done(how):
    x, seen = torch.full((1000,), 3.0, device="cuda"), torch.empty(1000, pin_memory=True, device="cpu")
    driver = library()
    lent = x.__dlpack__(stream=1) if how == "dlpack" else x.__cuda_array_interface__
    assert driver.cuMemcpyAsync(*map(ctypes.c_void_p, (seen.data_ptr(), x.data_ptr())), ctypes.c_size_t(4000), ctypes.c_void_p(1)) == 0
    del lent, x
    junk = [torch.full((1000,), 9.0, device="cuda") for _ in range(8)]
    torch.cuda.current_stream().synchronize()
    assert driver.cuStreamSynchronize(ctypes.c_void_p(1)) == 0
    assert set(seen.tolist()) == {3.0} and junk[0][0].item() == 9.0


def test_stream_0_of_another_library_is_not_our_default_stream():
    x, out = torch.zeros(1000, device="cuda"), torch.empty(1000, pin_memory=True, device="cpu")
    driver = library()
    with torch.cuda.stream(torch.cuda.ExternalStream(0)):
        assert torch.cuda.current_stream() != torch.cuda.default_stream()
        x.add_(2)
        with pytest.raises(RuntimeError, match="must be captured on a non-default stream"):
            torch.cuda.CUDAGraph().capture_begin()
    assert driver.cuMemcpyAsync(*map(ctypes.c_void_p, (out.data_ptr(), x.data_ptr())), ctypes.c_size_t(4000), None) == 0
    assert driver.cuStreamSynchronize(None) == 0
    assert set(out.tolist()) == {2.0}


@pytest.mark.parametrize("how", ["dlpack", "array"])
def test_memory_of_another_library_is_done_with_before_that_uses_it_again(how):
    memory = torch.full((1000,), 3.0, device="cuda")
    driver = library()

    class Foreign:
        __cuda_array_interface__ = memory.__cuda_array_interface__ | {"stream": None}

    t = torch.from_dlpack(memory) if how == "dlpack" else torch.as_tensor(Foreign(), device="cuda")
    assert t.data_ptr() == memory.data_ptr()
    y = t + 1
    del t  # from here on its library may write there
    at = ctypes.c_void_p(memory.data_ptr())
    assert driver.cuMemsetD8Async(at, ctypes.c_ubyte(0), ctypes.c_size_t(4000), ctypes.c_void_p(1)) == 0
    assert driver.cuStreamSynchronize(ctypes.c_void_p(1)) == 0
    assert set(y.tolist()) == {4.0} and set(memory.tolist()) == {0.0}


def test_pinned_memory_before_the_first_use_of_a_gpu():
    """Counting the GPUs does not start them, pinning does: memory that was pinned can be given back."""
    program = "import rushlight as torch; assert torch.cuda.is_available(); x = torch.ones(3); [x.pin_memory() for i in range(3)]"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_fault_waits_for_its_own_stream():
    """Other streams and events that are waited for say nothing of it, and don't lose it."""
    table, good, bad = data(5, 2).cuda(), torch.tensor([1], device="cuda"), torch.tensor([7], device="cuda")
    torch.cuda.synchronize()
    side, event = torch.cuda.Stream(), torch.cuda.Event()
    for wait in (torch.cuda.current_stream().synchronize, event.synchronize, table.sum().item):
        with torch.cuda.stream(side):
            event.record()
            table[bad]
        table[good]
        with pytest.raises(IndexError, match="index 7 is out of bounds"):
            wait()
            side.synchronize()
        torch.cuda.synchronize()


def test_a_fault_that_another_thread_queues_during_a_wait_is_not_lost():
    """Who waits knows of what was queued before, and leaves the rest to others."""
    table, bad, x = data(5, 2).cuda(), torch.tensor([7], device="cuda"), torch.ones(1 << 20, device="cuda")
    torch.cuda.synchronize()
    told = []

    def wait(synchronize):
        try:
            synchronize()
        except IndexError as error:
            told.append(str(error))

    for _ in range(30):
        x = x.sin()
    other = threading.Thread(target=wait, args=(torch.cuda.current_stream().synchronize,))
    other.start()
    time.sleep(0.05)
    table[bad]
    other.join()
    wait(torch.cuda.synchronize)
    assert len(told) == 1 and "index 7 is out of bounds" in told[0]


def test_a_record_is_not_used_again_while_another_stream_may_write_to_it():
    """However many kernels one stream has run: the error is that of the call whose kernel found it."""
    table, good, bad = data(5, 2).cuda(), torch.tensor([1], device="cuda"), torch.tensor([7], device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.nn.functional.embedding(bad, table)
    with pytest.raises(IndexError, match="index out of range in self"):
        for _ in range(5000):
            table[good]
        torch.cuda.synchronize()
    torch.cuda.synchronize()


def test_a_record_that_a_kernel_is_writing_is_left_alone():
    """Waiting for something else may come between a record's parts."""
    event = torch.cuda.Event()
    record = (ctypes.c_int32 * 12).from_address(_device.fault_record(1, "half a record"))
    record[0] = 1
    event.record()
    event.synchronize()
    assert record[0] == 1
    record[2], record[4], record[0] = 9, 5, 2
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        event.synchronize()
    assert not any(record)
    torch.cuda.synchronize()


def test_what_would_tell_of_a_fault_is_let_go_when_there_was_none():
    def held():
        gc.collect()
        return sum(getattr(o, "__qualname__", "").startswith("out_of_bounds.") for o in gc.get_objects() if type(o) is type(held))

    x, i = torch.zeros(4, 5, device="cuda"), torch.zeros(4, 1, dtype=torch.int64, device="cuda")
    torch.cuda.synchronize()
    before = held()
    for _ in range(20):
        x.gather(1, i)
    assert held() >= before + 20
    torch.cuda.synchronize()
    assert held() == before


# -- products --


@pytest.mark.parametrize("m, n, k", [(16, 17, 24), (17, 16, 24), (16, 24, 17), (17, 19, 23)])
def test_products_whose_rows_begin_at_odd_addresses(m, n, k, monkeypatch):
    """cublasLt gets copies at even addresses: here every operand is looked at, and our own kernels multiply in its place."""
    from rushlight.cuda.ops import _cublas, matmul
    from rushlight.lang import types

    own, even = matmul.product, []

    def by_library(place, type, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides, tf32):
        distances = [s[0] if s[1] == 1 else s[1] for s in (a_strides, b_strides)] + [c_strides[0]]
        even.append(not any((address | 2 * distance) % 16 for address, distance in zip((a, b, c), distances)))
        with monkeypatch.context() as patch:
            patch.setattr(_cublas, "computes", lambda *_: False)
            patch.setattr(_cublas, "product", lambda *_: False)
            own(place, types.CODES[type], extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides)
        return True

    monkeypatch.setattr(_cublas, "computes", lambda *_: True)
    monkeypatch.setattr(_cublas, "product", by_library)
    monkeypatch.setattr(matmul, "_WORTH_EVENING", 8)
    a, b, bias = (torch.randn(*shape).bfloat16() for shape in ((m, k), (k, n), (n,)))
    for x, y in ((a, b), (a.t().contiguous().t(), b), (a, b.t().contiguous().t())):
        x, y = (given.cuda() if given.is_contiguous() else given.t().cuda().t() for given in (x, y))
        want = x.cpu().float() @ y.cpu().float()
        for got, expected in ((x @ y, want), (torch.addmm(bias.cuda(), x, y), want + bias.float())):
            assert (got.cpu().float() - expected).abs().max() < 0.2
    assert all(even) and len(even) == 6


@pytest.mark.parametrize("strided", [
    lambda x: x.to(memory_format=torch.channels_last), lambda x: x.permute(3, 0, 2, 1), lambda x: x[:, 1:], lambda x: x[..., ::2],
    lambda x: x.transpose(1, 2)[:1], lambda x: x[:, :, :1].expand(-1, -1, 4, -1),
])  # fmt: skip
def test_copies_that_do_not_wait_keep_the_order_of_elements(strided):
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    there, here = strided(x.cuda()), strided(x)
    back = there.to("cpu", non_blocking=True)
    torch.cuda.synchronize()
    assert torch.equal(back, here) and back.is_pinned() and back.stride() == there.cpu().stride()
    pinned = here.pin_memory()
    assert torch.equal(pinned, here) and pinned.is_pinned()
    if here.numel() == x.numel() and 0 not in here.stride():
        assert pinned.stride() == here.stride()
    assert torch.equal(pinned.to("cuda", non_blocking=True).cpu(), here)


def test_pinned_memory_with_strides():
    x = torch.empty_strided((3, 4), (10, 2), pin_memory=True).fill_(1)
    assert x.stride() == (10, 2) and x.is_pinned() and x.untyped_storage().nbytes() >= 4 * 27 and x.sum() == 12
    y = torch.empty(2, 3, 4, 5, pin_memory=True, memory_format=torch.channels_last)
    assert y.is_contiguous(memory_format=torch.channels_last) and torch.empty(0, 3, pin_memory=True).shape == (0, 3)


def test_copies_that_do_not_wait_in_another_layout_or_a_batch():
    x = torch.randn(2, 3, 4, 5, device="cuda")
    back = x.to("cpu", memory_format=torch.channels_last, non_blocking=True)
    batch = torch.func.vmap(lambda t: t.to("cpu", torch.float64, non_blocking=True, copy=True))(x)
    torch.cuda.synchronize()
    assert back.is_contiguous(memory_format=torch.channels_last) and torch.equal(back, x.cpu())
    assert torch.equal(batch, x.cpu().double())
    there = x.cpu().pin_memory().to("cuda", torch.float16, non_blocking=True, memory_format=torch.channels_last)
    assert there.is_contiguous(memory_format=torch.channels_last) and torch.equal(there, x.half())


def test_memory_for_other_libraries_belongs_to_their_stream():
    side = torch.cuda.Stream()
    for stream in (side, side.cuda_stream):
        address = torch.cuda.caching_allocator_alloc(1 << 20, stream=stream)
        blocks = [b for segment in torch.cuda.memory_snapshot() if segment["stream"] == side.cuda_stream for b in segment["blocks"]]
        assert any(b["address"] == address and b["state"] == "active_allocated" for b in blocks)
        torch.cuda.caching_allocator_delete(address)
    with pytest.raises(TypeError, match="Invalid type for stream argument"):
        torch.cuda.caching_allocator_alloc(8, stream="side")
