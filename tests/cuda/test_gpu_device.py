"""The device layer on a GPU or its stand-in: run by ``pytest --device cuda tests/cuda`` (tests/test_cuda_standin.py does)."""

import gc
import os
import re
import weakref

import numpy as np
import pytest

import rushlight as torch

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
TWO = pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs")
STANDIN = pytest.mark.skipif("'Stand-in' not in __import__('rushlight').cuda.describe()", reason="sees what a real GPU hides")


def data(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


# -- copies --


def test_there_and_back():
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64):
        x = (data(3, 5) % 4).to(dtype)
        assert x.cuda().dtype is dtype and x.cuda().cpu().tolist() == x.tolist()
    x = data(4, 6)
    assert x.t().cuda().tolist() == x.t().tolist() and x.t().cuda().stride() == x.t().stride()
    assert x[1:, ::2].cuda()[1:].tolist() == x[2:, ::2].tolist()
    assert x.to(x.cuda().double()).device.type == "cuda" and x.cuda().to(x.int()).is_cpu and x.to(other=x.cuda()).is_cuda
    assert x.cuda() is not x and x.cuda().cuda().device == torch.device("cuda", 0)


def test_copy_between_devices_converts_and_broadcasts():
    target = torch.zeros(3, 4, device="cuda", dtype=torch.float64)
    target.copy_(torch.arange(4))
    assert target.tolist() == [[0.0, 1.0, 2.0, 3.0]] * 3
    host = torch.zeros(4, 3, dtype=torch.int32)
    host.t().copy_(target)
    assert host.tolist() == [[i] * 3 for i in range(4)]
    target[1] = 7
    target[2, 1:3] = torch.tensor([8.0, 9.0])
    assert target[1:].tolist() == [[7.0] * 4, [0.0, 8.0, 9.0, 3.0]]


def test_gradients_pass_through_copies():
    x = data(3).requires_grad_()
    (x.cuda() * torch.tensor([1.0, 2.0, 3.0], device="cuda")).sum().cpu().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0] and not x.grad.is_cuda
    y = torch.zeros(3, device="cuda")
    z = y.clone()
    z.copy_(x * 2)
    z.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0, 5.0]


def test_a_number_on_the_cpu_meets_tensors_on_a_gpu():
    scale = torch.tensor(2.0, requires_grad=True)
    x = data(3).cuda()
    y = x * scale
    assert y.is_cuda and y.tolist() == [0.0, 2.0, 4.0]
    y.sum().backward()
    assert scale.grad.item() == 3.0 and not scale.grad.is_cuda


@TWO
def test_peers():
    a = data(1000).to("cuda:0")
    b = (a + 1).to("cuda:1")
    c = (b * 2).to("cuda:0")
    assert c.tolist() == [2 * (i + 1) for i in range(1000)] and b.device.index == 1


@TWO
def test_kernels_with_much_shared_memory_run_on_each_gpu():
    q = torch.ones(1, 1, 64, 64)  # a block of attention's gradient takes more than the 48 KB that a GPU gives unasked
    for place in ("cuda:0", "cuda:1"):
        x = q.to(place).requires_grad_()
        torch.nn.functional.scaled_dot_product_attention(x, x, x).sum().backward()
        torch.testing.assert_close(x.grad.cpu(), torch.ones(1, 1, 64, 64))


def test_pinned_memory_and_copies_that_do_not_wait():
    x = data(1000).pin_memory()
    assert x.is_pinned() and not x.cuda().is_pinned() and not data(2).is_pinned()
    y = (x.to("cuda", non_blocking=True) * 2).to("cpu", non_blocking=True)
    torch.cuda.synchronize()
    assert y.is_pinned() and y.tolist() == (data(1000) * 2).tolist()
    assert torch.empty(3, pin_memory=True).is_pinned() and torch.tensor([1.0], pin_memory=True).is_pinned()


@STANDIN
def test_the_standin_shows_a_missing_wait():
    x = torch.full((1000,), 3.0).pin_memory()
    y = torch.zeros(1000, device="cuda")
    torch.cuda.synchronize()
    y.copy_(x, non_blocking=True)
    x.fill_(5.0)  # before the copy has run
    assert y[0].item() == 5.0


# -- what is where --


def test_default_devices():
    with torch.device("cuda"):
        assert torch.zeros(2).is_cuda and torch.tensor([1]).is_cuda and torch.arange(3).is_cuda and torch.eye(2).is_cuda
        assert torch.nn.Linear(2, 2).weight.is_cuda
    assert not torch.zeros(2).is_cuda
    torch.set_default_device("cuda")
    assert torch.ones(2).is_cuda and torch.full((2,), 3).is_cuda and not torch.ones(2, device="cpu").is_cuda
    torch.set_default_device("cpu")


@TWO
def test_the_current_gpu():
    assert torch.cuda.current_device() == 0
    with torch.cuda.device(1):
        assert torch.ones(2, device="cuda").device.index == 1
        with torch.cuda.device_of(torch.ones(1, device="cuda:0")):
            assert torch.cuda.current_device() == 0
    torch.cuda.set_device("cuda:1")
    try:
        assert torch.ones(1).cuda().get_device() == 1
    finally:
        torch.cuda.set_device(0)


def test_errors_of_devices():
    x = data(2, 3)
    first_line = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
    with pytest.raises(RuntimeError, match=re.escape(first_line)):
        x.cuda() + x
    with pytest.raises(RuntimeError, match=r"at least two devices, cuda:0 and cpu!"):
        x.cuda().add_(x)
    with pytest.raises(torch.AcceleratorError, match="CUDA error: invalid device ordinal"):
        torch.ones(1, device="cuda:63")
    with pytest.raises(TypeError, match=r"can't convert cuda:0 device type tensor to numpy"):
        x.cuda().numpy()
    with pytest.raises(RuntimeError, match=r"cannot pin .torch.cuda.FloatTensor"):
        x.cuda().pin_memory()
    assert (x.cuda() + 1).tolist() == (x + 1).tolist()


@pytest.mark.parametrize("call", [
    "v.gather(0, i)", "v.take(i)", "v.index_copy_(0, i, w)", "v.scatter_add(0, i, w)", "v.scatter_reduce(0, i, w, 'amin')",
    "v.put_(i, w)", "v.masked_select(i > 0)", "v.masked_scatter(i > 0, w)", "torch.where(i > 0, v, w)", "torch.cat([v, w])",
    "torch.bincount(i, v)", "m @ v", "F.conv2d(x, k, v)", "F.conv_transpose2d(x, k.transpose(0, 1), v)",
    "torch.linalg.solve(m, v)", "torch.ormqr(m, v, n)",
    "torch.add(v, v, out=w)", "torch.mm(m, m, out=n)",
])  # fmt: skip
def test_operands_on_several_devices_are_refused(call):
    """Whichever of them lies elsewhere: no memory of another device is read or written."""
    v, m, i, x, k = data(3), data(3, 3) + torch.eye(3), torch.tensor([0, 2, 1]), data(1, 2, 4, 4), data(3, 2, 3, 3)
    operands = {"v": v, "w": v, "m": m, "n": m, "i": i, "x": x, "k": k}
    used = re.findall(r"\b[vwmnixk]\b", call)
    for elsewhere in set(used):
        for here, there in (("cpu", "cuda"), ("cuda", "cpu")):
            given = {name: x.to(there if name == elsewhere else here) for name, x in operands.items()}
            with pytest.raises(RuntimeError, match=r"same device|out tensor to have device"):
                eval(call, {"torch": torch, "F": torch.nn.functional}, given)
    eval(call, {"torch": torch, "F": torch.nn.functional}, {name: x.cuda() for name, x in operands.items()})


def test_what_may_lie_on_the_cpu_beside_a_gpu():
    x, i, number = data(3).cuda(), torch.tensor([0, 2]), torch.tensor(7.0)
    assert x[i].tolist() == [0, 2] and x[torch.tensor([True, False, True])].is_cuda and (x * number).tolist() == [0, 7, 14]
    x[i] = number
    assert x.tolist() == [7, 1, 7] and x.index_fill(0, i[1:].cuda() - 1, number).tolist() == [7, 7, 7]


def test_a_forked_child_is_told():
    x = torch.ones(3, device="cuda")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, repr((torch.ones(2) + 1).tolist()).encode())
            x + 1
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    text = os.read(read, 10000).decode()
    assert text.startswith("[2.0, 2.0]Cannot re-initialize CUDA in forked subprocess")
    assert (x + 1).tolist() == [2.0] * 3


def test_identity():
    p = torch.cuda.get_device_properties(0)
    assert p.name == torch.cuda.get_device_name() and (p.major, p.minor) == torch.cuda.get_device_capability()
    assert p.multi_processor_count > 0 and p.warp_size == 32 and p.total_memory > 1 << 28
    assert torch.cuda.is_available() and torch.cuda.is_initialized() and torch.accelerator.current_accelerator().type == "cuda"
    assert p.name in torch.cuda.describe()


def test_repr_and_types():
    x = torch.tensor([1.0, 2.0], device="cuda")
    assert repr(x) == "tensor([1., 2.], device='cuda:0')" and x.type() == "torch.cuda.FloatTensor"
    assert isinstance(x, torch.cuda.FloatTensor) and not isinstance(x.cpu(), torch.cuda.FloatTensor)
    assert x.type("torch.cuda.LongTensor").dtype is torch.int64


# -- memory --


cached = pytest.mark.skipif("os.environ.get('PYTORCH_NO_CUDA_MEMORY_CACHING') == '1'", reason="no memory is kept for re-use")


@cached
def test_memory_is_counted_and_used_again():
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    x = torch.empty(1 << 20, device="cuda")
    assert torch.cuda.memory_allocated() - before == 4 << 20
    address = x.data_ptr()
    del x
    assert torch.cuda.memory_allocated() == before and torch.cuda.max_memory_allocated() - before >= 4 << 20
    assert torch.empty(1 << 20, device="cuda").data_ptr() == address
    reserved = torch.cuda.memory_reserved()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < reserved
    assert torch.cuda.memory_stats()["allocated_bytes.all.current"] == before
    assert "live tensors" in torch.cuda.memory_summary()


@cached
def test_blocks_are_split_and_merged():
    torch.cuda.empty_cache()
    with torch.cuda.stream(torch.cuda.Stream()):  # its memory is its own
        parts = [torch.empty(1 << 18, device="cuda", dtype=torch.uint8) for _ in range(8)]  # one segment of 2 MiB
        reserved = torch.cuda.memory_reserved()
        first = min(p.data_ptr() for p in parts)
        del parts[::2], parts[:]
        whole = torch.empty(1 << 20, device="cuda", dtype=torch.uint8)
        assert whole.data_ptr() == first and torch.cuda.memory_reserved() == reserved
        del whole
    torch.cuda.empty_cache()


def test_a_block_of_another_stream_is_not_handed_out_too_early():
    side = torch.cuda.Stream()
    x = torch.ones(1 << 20, device="cuda")
    address = x.data_ptr()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        y = x * 3 - 2
    x.record_stream(side)
    del x
    fresh = torch.empty(1 << 20, device="cuda")
    assert fresh.data_ptr() != address or side.query()
    torch.cuda.synchronize()
    assert y[0].item() == 1.0


def test_out_of_memory_names_the_holders_and_leaves_the_process_usable():
    total = torch.cuda.mem_get_info()[1]
    model = torch.nn.Linear(600, 500).cuda()
    held = torch.ones(1000, 1000, device="cuda")
    before = torch.cuda.memory_allocated()
    for _ in range(100):
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    text = str(caught.value)
    assert text.startswith("CUDA out of memory. Tried to allocate") and "parameter weight of Linear" in text
    assert "float32 [1000, 1000]" in text and "test_gpu_device.py" in text
    assert torch.cuda.memory_allocated() == before and (held + 1)[0, 0].item() == 2.0
    assert torch.cuda.memory_stats()["num_ooms"] >= 100
    del model


def test_out_of_memory_is_said_whatever_objects_there_are():
    class Refusing(torch.nn.Module):
        def named_parameters(self, *args, **kwargs):
            raise RuntimeError("not now")

    class Thing:
        pass

    class Pretender:
        @property
        def __class__(self):
            raise RuntimeError("not now")

    gone = Thing()
    held = [torch.nn.LazyLinear(3), torch.nn.Linear.__new__(torch.nn.Linear), weakref.proxy(gone), Pretender()]
    del gone
    layer = torch.nn.Linear(3000, 1000).cuda()
    for text in ("parameter weight of Linear", "The largest of"):
        with pytest.raises(torch.OutOfMemoryError, match=text):
            torch.empty(2 * torch.cuda.mem_get_info()[1], dtype=torch.uint8, device="cuda")
        held.append(Refusing())
    del layer


def test_a_limit_of_memory():
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((64 << 20) / total)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(128 << 20, dtype=torch.uint8, device="cuda")
        torch.empty(16 << 20, dtype=torch.uint8, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_out_of_memory_in_the_middle_of_a_step_frees_what_the_step_held():
    torch.cuda.empty_cache()
    gc.collect()
    total, held = torch.cuda.mem_get_info()[1], torch.cuda.memory_reserved()
    x = torch.ones(1 << 18, device="cuda", requires_grad=True)
    before = torch.cuda.memory_allocated()
    torch.cuda.set_per_process_memory_fraction((held + (8 << 20)) / total)

    def step():
        y = x
        for _ in range(40):  # 1 MiB is saved for each
            y = y * y

    try:
        for _ in range(100):
            with pytest.raises(torch.OutOfMemoryError):
                step()
            assert torch.cuda.memory_allocated() == before
        (x * x).sum().backward()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert torch.cuda.memory_allocated() == before + (1 << 20)


@pytest.mark.parametrize("steps", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_memory_is_lost_over_training_steps(steps):
    model = torch.nn.Sequential(torch.nn.Embedding(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3)).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    words, labels = (torch.arange(16, device="cuda") % n for n in (5, 3))

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(words), labels).backward()
        optimizer.step()

    for _ in range(3):
        step()
    gc.collect()
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for _ in range(steps):
        step()
    assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == before


def test_anomaly_mode_names_the_node_that_returned_nan():
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.complex64):
        x = torch.zeros(5, dtype=dtype, device="cuda", requires_grad=True)
        with pytest.warns(UserWarning, match="Anomaly Detection"), torch.autograd.detect_anomaly():
            y = torch.real(x.sqrt() * 0).sum()
            with pytest.warns(UserWarning, match="Error detected in SqrtBackward0(?s:.)*x.sqrt"):
                with pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"):
                    y.backward()
    assert (torch.ones(3, device="cuda") + 1).tolist() == [2.0] * 3


def test_anomaly_mode_waits_once_for_a_pass():
    x = torch.ones(4, device="cuda", requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        (x.exp() * x).sum().backward()
    assert x.grad.isfinite().all()


# -- streams, events, graphs --


def test_streams_and_events():
    side, a, b = torch.cuda.Stream(priority=-1), torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    x = data(100).cuda()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        assert torch.cuda.current_stream() == side != torch.cuda.default_stream()
        a.record()
        y = x * 2
        b.record()
    torch.cuda.current_stream().wait_event(b)
    assert (y + 1).tolist() == (data(100) * 2 + 1).tolist()
    b.synchronize()
    assert a.query() and b.query() and a.elapsed_time(b) >= 0
    assert side.__cuda_stream__() == (0, side.cuda_stream)
    with pytest.raises(ValueError, match="enable_timing"):
        a.elapsed_time(torch.cuda.Event())


def test_a_graph_replays_with_new_inputs():
    x = torch.zeros(5, device="cuda")
    y = x * 2 + 1  # compile before
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        assert torch.cuda.is_current_stream_capturing()
        y = x * 2 + 1
        z = y * y
    assert not torch.cuda.is_current_stream_capturing() and g.nodes >= 2
    for start in (0.0, 10.0):
        x.copy_(data(5) + start)
        g.replay()
        assert z.tolist() == [(2 * (i + start) + 1) ** 2 for i in range(5)]
    junk = [torch.full((5,), 9.0, device="cuda") for _ in range(50)]  # the graph's memory is its own
    g.replay()
    assert z.tolist() == [(2 * (i + 10.0) + 1) ** 2 for i in range(5)] and junk[0][0].item() == 9.0
    g.reset()


def test_each_replay_draws_the_numbers_that_calls_would():
    own = torch.Generator("cuda")

    def draw():
        dropped = torch.nn.functional.dropout(torch.ones(40, device="cuda"), 0.5)
        return torch.rand(6, device="cuda"), dropped, torch.randn(3, generator=own, device="cuda")

    def start():
        torch.cuda.manual_seed(7)
        own.manual_seed(8)

    start()
    wanted = [[t.tolist() for t in draw()] for _ in range(4)]
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        static = draw()
    start()
    for i in (0, 1):
        g.replay()
        assert [t.tolist() for t in static] == wanted[i] != wanted[i + 1]
    assert [t.tolist() for t in draw()] == wanted[2]  # what is drawn between replays goes on in the same streams
    g.replay()
    assert [t.tolist() for t in static] == wanted[3]


def test_fork_rng_keeps_the_generators_of_gpus():
    torch.manual_seed(5)
    wanted = torch.rand(3, device="cuda").tolist()
    for devices in (None, [0], ["cuda:0"]):
        torch.manual_seed(5)
        with torch.random.fork_rng(devices):
            torch.rand(7, device="cuda")
            torch.manual_seed(6)
        assert torch.rand(3, device="cuda").tolist() == wanted
    torch.rand(7, device="cuda")
    torch.cuda.random.restart(5)
    assert torch.rand(3, device="cuda").tolist() == wanted


def test_waiting_inside_a_capture_is_an_error_and_the_process_goes_on():
    x = torch.ones(5, device="cuda")
    with pytest.raises(torch.AcceleratorError, match="captur"):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            (x * 2).sum().item()
    assert (x * 2).tolist() == [2.0] * 5


# -- faults --


def test_an_index_out_of_range_is_raised_at_the_next_synchronisation():
    table = data(5, 2).cuda()
    for bad in (7, -9):
        with pytest.raises(IndexError, match=rf"index {bad} is out of bounds.* 5(.|\n)*test_gpu_device.py") as caught:
            found = table[torch.tensor([0, bad, 1], device="cuda")]
            torch.cuda.synchronize()
        assert "test_an_index_out_of_range" in str(caught.value)
    found = table[torch.tensor([4, 0], device="cuda")]
    assert found.tolist() == [[8.0, 9.0], [0.0, 1.0]]


# The operator that the user called: what is said first, of the value and its limit.
OUT_OF_RANGE = {
    "index": ("x[i]", "index 9 is out of bounds for dimension 0 with size 4"),
    "gather": ("x.gather(1, i[:, None])", "index 9 is out of bounds for dimension 1 with size 5"),
    "take_along_dim": ("torch.take_along_dim(x, i[:, None], 1)", "index 9 is out of bounds for dimension 1 with size 5"),
    "take": ("x.take(10 * i)", "out of range: tried to access index 90 on a tensor of 20 elements"),
    "index_select": ("x.index_select(0, i)", "index out of range in self\n  The index 9 is not in 0 to 3"),
    "embedding": ("F.embedding(i, x)", "index out of range in self\n  The index 9 is not in 0 to 3"),
    "scatter_": ("torch.zeros_like(x).scatter_(1, i[:, None], 1.0)", "index 9 is out of bounds for dimension 1 with size 5"),
    "index_add": ("x.index_add(0, i, x)", "index 9 is out of bounds for dimension 0 with size 4"),
    "cross_entropy": ("F.cross_entropy(x, i)", "Target 9 is out of bounds.\nthe input has 5 classes"),
    "nll_loss": ("torch.nn.NLLLoss()(x, i)", "Target 9 is out of bounds.\nthe input has 5 classes"),
}
OUT_OF_BOUNDS = {
    "binary_cross_entropy": ("F.binary_cross_entropy(x, x)", "all elements of input should be between 0 and 1\n9 is not"),
    "bernoulli": ("torch.bernoulli(x)", "Expected p_in >= 0 && p_in <= 1"),
    "poisson": ("torch.poisson(-x)", "invalid Poisson rate, expected rate to be non-negative\n  Found -9"),
    "multi_margin_loss": ("F.multi_margin_loss(x, i)", "target out of range\n9 is no class"),
    "multinomial": ("torch.multinomial(-x, 1)", "probability tensor contains either `inf`, `nan` or element < 0"),
    "max_unpool1d": ("F.max_unpool1d(x, i[:, None].expand(4, 5), 1)", "Found an invalid max index: 9"),
    "quantile": ("x.quantile(x[1, 1])", "quantile() q values must be in the range [0, 1]\n  9 is not"),
}


@pytest.mark.parametrize("operator", [*OUT_OF_RANGE, *OUT_OF_BOUNDS])
def test_what_a_kernel_finds_is_told_of_the_operator_that_was_called(operator):
    call, text = OUT_OF_RANGE.get(operator) or OUT_OF_BOUNDS[operator]
    kind = IndexError if operator in OUT_OF_RANGE else RuntimeError
    x, i = torch.zeros(4, 5, device="cuda"), torch.tensor([0, 9, 1, 2], device="cuda")
    x[1, 1] = 9.0
    torch.cuda.synchronize()
    with pytest.raises(kind, match=re.escape(text)) as caught:
        eval(compile(call, "users_program.py", "eval"), {"torch": torch, "F": torch.nn.functional, "x": x, "i": i})  # waits for nothing
        torch.cuda.synchronize()
    place = rf"\[{operator}\] found it at row-major position [0156], on cuda:0, in a call at users_program.py:1"
    assert re.search(place, str(caught.value))
    assert (torch.ones(2, device="cuda") + 1).tolist() == [2.0, 2.0]


def test_a_transform_first_seen_in_a_capture():
    x = torch.complex(data(2, 12), data(2, 12).flip(1)).cuda()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = torch.fft.fft(x)
    now = torch.fft.fft(x)  # before a replay: nothing that the graph has to make is kept for others
    assert torch.allclose(now.cpu(), torch.fft.fft(x.cpu()), atol=1e-4)
    x.mul_(2)
    graph.replay()
    assert torch.allclose(y.cpu(), torch.fft.fft(x.cpu()), atol=1e-4)



def test_losses_with_labels_are_part_of_graphs():
    words, labels = torch.tensor([0, 2], device="cuda"), torch.tensor([1, 0], device="cuda")
    model = torch.nn.Sequential(torch.nn.Embedding(3, 4), torch.nn.Linear(4, 2)).cuda()

    def loss():
        F, scores = torch.nn.functional, model(words)
        return F.cross_entropy(scores, labels) + F.binary_cross_entropy(scores[:, 0].sigmoid(), labels.float())

    wanted = loss().item()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = loss()
    graph.replay()
    assert found.item() == wanted
    labels.fill_(7)
    graph.replay()
    with pytest.raises(IndexError, match=r"Target 7 is out of bounds(?s:.)*\[cross_entropy\](?s:.)*test_gpu_device.py"):
        found.item()


# -- what functions make for themselves lies where their operands do, whatever the default device --

MADE = """
F.pdist(c[:, None])
D.Beta(c, c).rsample((2,))
D.Dirichlet(c).rsample()
D.Gamma(c, c).rsample()
D.Wishart(c[0] + 4, c.diag()).rsample()
D.Wishart(c[0] + 4, c.diag()).entropy()
D.VonMises(c, c).sample()
D.RelaxedBernoulli(c, c / 4).log_prob(c / 4)
D.RelaxedOneHotCategorical(c[0], c).log_prob(c / c.sum())
D.Multinomial(4, c).entropy()
D.InverseGamma(c, c).log_prob(c)
D.LKJCholesky(3, c[0]).sample()
D.LowRankMultivariateNormal(c, c[:, None], c).log_prob(c)
torch.repeat_interleave(c, c.long(), output_size=6)
torch.signal.windows.kaiser(5, device="cuda")
torch.signal.windows.hann(1, device="cuda")
torch.nn.utils.prune.random_structured(torch.nn.Linear(2, 3, device="cuda"), "weight", 1, 0).weight
"""


@pytest.mark.parametrize("call", MADE.strip().splitlines())
def test_functions_work_where_their_operands_lie(call):
    c = torch.tensor([1.0, 2.0, 3.0], device="cuda", requires_grad=True)
    out = eval(call, {"torch": torch, "F": torch.nn.functional, "D": torch.distributions, "c": c})
    assert out.is_cuda and out.isfinite().all()
    if out.requires_grad:
        out.sum().backward()


def test_default_generators_are_those_that_draw():
    generators = torch.cuda.default_generators
    assert [g.device.index for g in generators] == list(range(torch.cuda.device_count()))
    for g in generators:
        g.manual_seed(7)
        first = torch.rand(3, device=g.device)
        g.manual_seed(7)
        assert torch.equal(torch.rand(3, device=g.device), first)
