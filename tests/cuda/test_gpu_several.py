"""Several GPUs in one program: run by ``pytest --device cuda tests/cuda`` (tests/test_cuda_standin.py does)."""

import io
import re

import pytest

import rushlight as torch

pytestmark = [
    pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda"),
    pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs"),
]
nn, comm = torch.nn, torch.nn.parallel.comm


def data(*shape, device="cuda:0", **options):
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape).to(device).requires_grad_(options.get("requires_grad", False))


# -- backward --


class Seen(torch.autograd.Function):
    """Notes what is current in backward."""

    @staticmethod
    def forward(ctx, x, notes):
        ctx.notes = notes
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        ctx.notes.append((torch.cuda.current_device(), torch.cuda.current_stream(grad.device), grad.device.index))
        return grad, None


def test_a_node_runs_with_its_gpu_current():
    notes, devices = [], []
    x = data(3, device="cuda:1", requires_grad=True)
    y = Seen.apply(x, notes)
    y.register_hook(lambda g: devices.append(torch.cuda.current_device()))
    x.register_hook(lambda g: devices.append(torch.cuda.current_device()))
    x.register_post_accumulate_grad_hook(lambda t: devices.append(torch.cuda.current_device()))
    z = Seen.apply(y.to("cuda:0"), notes).sum().cpu()
    z.register_hook(lambda g: devices.append(torch.cuda.current_device()))
    z.backward()
    assert [n[0] for n in notes] == [n[2] for n in notes] == [0, 1] and devices == [0, 1, 1, 1]
    assert torch.cuda.current_device() == 0 and x.grad.device.index == 1
    with torch.cuda.device(1):
        Seen.apply(data(2, requires_grad=True), notes).sum().backward()
        assert notes[-1][0] == 0 and torch.cuda.current_device() == 1


def test_a_node_of_the_cpu_runs_with_the_caller_s_gpu():
    devices = []
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda g: devices.append(torch.cuda.current_device()))
    (x.to("cuda:1") * 2).sum().backward()
    assert devices == [0] and x.grad.tolist() == [2.0, 2.0]


def test_a_failing_pass_leaves_gpu_and_stream_as_they_were():
    def fail(grad):
        raise ValueError("no")

    x = data(2, device="cuda:1", requires_grad=True)
    side = torch.cuda.Stream("cuda:1")
    with torch.cuda.stream(side):
        y = x * 2
        y.register_hook(fail)
    with pytest.raises(ValueError, match="no"):
        y.sum().backward()
    assert torch.cuda.current_device() == 0 and torch.cuda.current_stream(1) == torch.cuda.default_stream(1)


def test_a_node_runs_on_the_stream_of_its_forward_call():
    notes, side = [], torch.cuda.Stream()
    x = data(3, requires_grad=True)
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        y = Seen.apply(x, notes)
        loss = (y * y).sum()
    loss.backward()  # nothing has the default stream wait for the side stream: the pass does
    assert [n[1] for n in notes] == [side] and torch.cuda.current_stream() == torch.cuda.default_stream()
    assert x.grad.tolist() == [0.0, 2.0, 4.0]
    z = Seen.apply(x, notes).sum()
    with torch.cuda.stream(side):
        z.backward()
        assert notes[-1][1] == torch.cuda.default_stream() and torch.cuda.current_stream() == side
        assert x.grad.tolist() == [1.0, 3.0, 5.0]


def test_streams_of_two_gpus_in_one_pass():
    notes = []
    sides = [torch.cuda.Stream(i) for i in range(2)]
    x = data(1000, requires_grad=True)
    torch.cuda.synchronize()
    with torch.cuda.stream(sides[0]):
        y = Seen.apply(x, notes) * 2
    sides[1].wait_stream(sides[0])
    with torch.cuda.stream(sides[0]), torch.cuda.stream(sides[1]):
        z = Seen.apply(y.to("cuda:1"), notes)
        loss = (z * z).sum()
    loss.backward()
    assert [n[1] for n in notes] == [sides[1], sides[0]]
    assert x.grad.tolist() == [8.0 * i for i in range(1000)]  # the default streams wait for both


def test_gradients_of_another_device_are_refused():
    class Wrong(Seen):
        @staticmethod
        def backward(ctx, grad):
            return (grad.sum() if ctx.notes else grad).to("cuda:1" if grad.is_cuda and grad.device.index == 0 else "cpu"), None

    x = data(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="WrongBackward returned an invalid gradient at index 0 - expected device cuda:0 but got cuda:1"):
        Wrong.apply(x, ()).sum().backward()
    n = torch.tensor(2.0, device="cuda:0", requires_grad=True)
    Wrong.apply(n, (1,)).backward()  # a number is moved
    assert n.grad.item() == 1.0 and n.grad.device.index == 0
    with pytest.raises(RuntimeError, match="invalid gradient at index 0 - expected device cuda:0 but got cpu"):
        (x * 2).backward(torch.ones(3))
    y = x * 2
    y.register_hook(lambda g: g.cpu())
    with pytest.raises(RuntimeError, match=re.escape("has changed the type of value (was torch.cuda.FloatTensor got torch.FloatTensor)")):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="device"):
        x.grad = torch.ones(3, device="cuda:1")


# -- streams, events, memory --


def test_events_of_two_gpus_have_no_time_between_them():
    first, second = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record(torch.cuda.current_stream(0))
    second.record(torch.cuda.current_stream(1))
    torch.cuda.synchronize(0)
    torch.cuda.synchronize(1)
    with pytest.raises(RuntimeError, match="CUDA error: invalid resource handle"):
        first.elapsed_time(second)
    with pytest.raises(RuntimeError, match="Event device 0 does not match recording stream's device 1"):
        first.record(torch.cuda.current_stream(1))


def test_a_stream_waits_for_an_event_of_another_gpu():
    x = torch.zeros(1000, device="cuda:0")
    torch.cuda.synchronize()
    x += 7
    torch.cuda.current_stream(1).wait_event(torch.cuda.current_stream(0).record_event())
    host = torch.empty(1000).pin_memory()
    with torch.cuda.device(1):
        y = x.to("cuda:1")
        host.copy_(y, non_blocking=True)
    torch.cuda.current_stream(1).synchronize()
    assert host.tolist() == [7.0] * 1000


def test_memory_that_a_stream_of_another_gpu_uses_is_kept():
    side = torch.cuda.Stream("cuda:1")
    x = torch.full((1 << 16,), 3.0, device="cuda:0")
    address = x.data_ptr()
    side.wait_stream(torch.cuda.current_stream(0))
    with torch.cuda.stream(side):
        y = x.to("cuda:1")
    x.record_stream(side)
    del x
    other = torch.full((1 << 16,), 5.0, device="cuda:0")
    torch.cuda.current_stream(1).wait_stream(side)
    assert other.data_ptr() != address and y[-1].item() == 3.0
    torch.cuda.synchronize(1)
    assert torch.empty(1 << 16, device="cuda:0").data_ptr() == address  # the copy is done


def test_memory_lies_on_its_gpu_whatever_was_let_go_before():
    """Events of what another GPU's stream used are made when a capture is over, in the middle of an allocation."""
    x, other = torch.ones(1000, device="cuda:0"), torch.cuda.Stream(1)
    x.record_stream(other)
    torch.cuda.synchronize(0)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        del x
        _ = torch.ones(10, device="cuda:0")
    size = 48 << 20  # a segment of its own
    y = torch.empty(size, dtype=torch.uint8, device="cuda:0")
    from rushlight._core import device

    assert device.pointer_owner(y.data_ptr()) == 0 and y.fill_(3)[size - 1].item() == 3
    graph.reset()


def test_each_gpu_counts_its_memory():
    before = torch.cuda.memory_allocated(0), torch.cuda.memory_allocated(1)
    x = torch.empty(1 << 20, dtype=torch.uint8, device="cuda:1")
    assert torch.cuda.memory_allocated(0) == before[0] and torch.cuda.memory_allocated("cuda:1") == before[1] + x.numel()
    with torch.cuda.device(1):
        assert torch.cuda.memory_allocated() == before[1] + x.numel()
    del x
    assert torch.cuda.memory_allocated(1) == before[1]


def test_peers_and_the_device_of_a_tensor():
    assert torch.cuda.can_device_access_peer(0, 1) in (False, True) and not torch.cuda.can_device_access_peer(1, 1)
    with pytest.raises(AssertionError, match="Invalid peer device id"):
        torch.cuda.can_device_access_peer(0, 5)
    with pytest.raises(AssertionError, match="Invalid device id"):
        torch.cuda.can_device_access_peer(7, 0)
    with torch.cuda.device_of(torch.ones(1, device="cuda:1")):
        assert torch.cuda.current_device() == 1 and torch.zeros(2, device="cuda").device.index == 1
        assert torch.tensor([1], device="cuda").device.index == 1 and torch.ones(1).cuda().device.index == 1
        assert nn.Linear(1, 1, device="cuda").weight.device.index == 1
    with torch.cuda.device_of(torch.ones(1)):
        assert torch.cuda.current_device() == 0


def test_each_gpu_has_its_random_numbers():
    torch.cuda.manual_seed_all(5)
    first = [torch.rand(4, device=f"cuda:{i}").tolist() for i in range(2)]
    assert first[0] == first[1]
    torch.cuda.manual_seed(5)  # the current GPU's alone
    assert torch.rand(4, device="cuda:0").tolist() == first[0] and torch.rand(4, device="cuda:1").tolist() != first[1]
    states = torch.cuda.get_rng_state_all()
    drawn = [torch.rand(4, device=f"cuda:{i}").tolist() for i in range(2)]
    torch.cuda.set_rng_state_all(states)
    assert drawn == [torch.rand(4, device=f"cuda:{i}").tolist() for i in range(2)]


# -- models --


def test_an_optimizer_after_its_model_has_moved():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        model(torch.ones(2, 3, device=model.weight.device)).sum().backward()
        optimizer.step()

    step()
    saved = optimizer.state_dict()
    model.to("cuda:1")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    optimizer.load_state_dict(saved)
    step()
    for p in model.parameters():
        assert p.device.index == p.grad.device.index == optimizer.state[p]["exp_avg"].device.index == 1
        assert optimizer.state[p]["step"].is_cpu


def test_a_checkpoint_of_the_second_gpu():
    file = io.BytesIO()
    x = data(4, device="cuda:1")
    torch.save({"x": x, "view": x[1:], "model": nn.Linear(2, 2, device="cuda:1").state_dict()}, file)

    def load(where):
        file.seek(0)
        return torch.load(file, map_location=where)

    assert load(None)["x"].device.index == 1
    for where in ("cpu", "cuda:0", torch.device("cuda", 0), {"cuda:1": "cuda:0"}, lambda storage, place: storage.cuda(0)):
        found = load(where)
        expected = torch.device("cpu") if where == "cpu" else torch.device("cuda:0")
        assert found["x"].device == found["view"].device == found["model"]["weight"].device == expected, where
        assert found["view"].tolist() == [1.0, 2.0, 3.0] and found["view"].data_ptr() == found["x"].data_ptr() + 4
    with torch.cuda.device(1):
        assert load("cuda")["x"].device.index == 1


# -- comm --


def test_broadcast():
    x = data(2, 3)
    copies = comm.broadcast(x, (0, "cuda:1"))
    assert type(copies) is tuple and [c.device.index for c in copies] == [0, 1] and copies[0] is x
    assert all(c.tolist() == x.tolist() for c in copies)
    outs = [torch.zeros(2, 3, device="cuda:1"), torch.zeros(2, 3, device="cuda:0")]
    assert comm.broadcast(x, out=outs)[0] is outs[0] and outs[0].tolist() == outs[1].tolist() == x.tolist()
    with pytest.raises(RuntimeError, match="Exactly one of 'devices' and 'out' must be specified"):
        comm.broadcast(x)
    groups = comm.broadcast_coalesced([x, x.double(), x[0]], [0, 1])
    assert [[t.device.index for t in g] for g in groups] == [[0] * 3, [1] * 3]
    assert [t.tolist() for t in groups[1]] == [x.tolist(), x.tolist(), x[0].tolist()] and groups[1][1].dtype is torch.float64


def test_reduce_add():
    pieces = [data(3, device=d) for d in ("cuda:0", "cuda:1", "cuda:1")]
    total = comm.reduce_add(pieces, 1)
    assert total.device.index == 1 and total.tolist() == [0.0, 3.0, 6.0] and pieces[1].tolist() == [0.0, 1.0, 2.0]
    assert comm.reduce_add(pieces[:1]) is pieces[0]
    with pytest.raises(RuntimeError, match="reduce_add expects destination to be on the same GPU with one of the tensors"):
        comm.reduce_add(pieces[1:], 0)
    with pytest.raises(ValueError, match="input 1 has invalid size: got 2, but expected 3"):
        comm.reduce_add([pieces[0], data(2, device="cuda:1")])
    with pytest.raises(AssertionError, match="input 1 is on CPU"):
        comm.reduce_add([pieces[0], torch.ones(3)])
    sums = comm.reduce_add_coalesced([[data(3), data(2, 2)], [data(3, device="cuda:1"), data(2, 2, device="cuda:1")]], 0)
    assert type(sums) is tuple and [s.tolist() for s in sums] == [[0.0, 2.0, 4.0], [[0.0, 2.0], [4.0, 6.0]]]


def test_scatter_and_gather():
    x = data(5, 2)
    parts = comm.scatter(x, [0, 1])
    assert [p.shape[0] for p in parts] == [3, 2] and [p.device.index for p in parts] == [0, 1]
    assert [p.shape[0] for p in comm.scatter(x, [1, 0], [1, 4])] == [1, 4]
    outs = [torch.zeros(5, 1, device="cuda:1"), torch.zeros(5, 1, device="cuda:0")]
    assert comm.scatter(x, out=outs, dim=1)[0] is outs[0] and outs[1].tolist() == x[:, 1:].tolist()
    whole = comm.gather(parts, destination=1)
    assert whole.device.index == 1 and whole.tolist() == x.tolist() and comm.gather(parts).device.index == 0
    assert comm.gather(parts, destination="cpu").is_cpu
    out = torch.empty(5, 2)
    assert comm.gather(parts, out=out) is out and out.tolist() == x.tolist()
    side = torch.cuda.Stream(1)
    host = torch.arange(4.0)
    parts = comm.scatter(host, [0, 1], streams=[None, side])
    torch.cuda.current_stream(1).wait_stream(side)
    assert parts[1].tolist() == [2.0, 3.0]
    for call, error in (
        (lambda: comm.scatter(x, [0, 1], [2, 2]), "given chunk sizes"),
        (lambda: comm.scatter(x, [0], out=outs), "'devices' must not be specified when 'out' is specified"),
        (lambda: comm.scatter(x, chunk_sizes=[1], out=outs), "'chunk_sizes' must not be specified when 'out' is specified"),
        (lambda: comm.gather(parts, destination=0, out=out), "'destination' must not be specified when 'out' is specified"),
    ):
        with pytest.raises((RuntimeError, ValueError), match=error):
            call()


# -- one module on both --


class Parts(nn.Module):
    """Outputs in containers, which tell where they were made."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x, *, factor=1.0, bias=None):
        y = self.linear(x) * self.scale * factor
        return {"y": y if bias is None else y + bias, "more": (y.sum(), [x.new_full((x.shape[0],), x.device.index)]), "nothing": None}


def test_data_parallel_of_uneven_batches():
    torch.manual_seed(0)
    model = Parts().to("cuda:0")
    x, bias = data(5, 2), data(5, 1)
    expected = model(x, factor=3.0, bias=bias)
    with pytest.warns(UserWarning, match="all input tensors were scalars"):
        found = nn.DataParallel(model, device_ids=[0, 1])(x, factor=3.0, bias=bias)
    torch.testing.assert_close(found["y"], expected["y"])
    assert found["more"][0].shape == (2,) and found["nothing"] is None
    assert found["more"][1][0].tolist() == [0.0] * 3 + [1.0] * 2
    found["y"].sum().backward()
    gradient = model.linear.weight.grad.clone()
    model.zero_grad()
    expected["y"].sum().backward()
    torch.testing.assert_close(gradient, model.linear.weight.grad)


def test_data_parallel_s_devices():
    model = nn.Linear(2, 3).to("cuda:1")
    out = nn.DataParallel(model, device_ids=[1, 0], output_device=0)(data(4, 2, device="cuda:1"))
    assert out.device.index == 0 and out.shape == (4, 3)
    assert nn.DataParallel(model, device_ids=["cuda:1"])(torch.ones(1, 2)).device.index == 1
    assert nn.parallel.data_parallel(model, data(1, 2), device_ids=[1, 0]).shape == (1, 3)  # fewer rows than GPUs
    with pytest.raises(RuntimeError, match=re.escape("on device cuda:0 (device_ids[0]) but found one of")):
        nn.parallel.data_parallel(model, data(4, 2))


def test_batch_norm_s_statistics_are_those_of_the_first_replica():
    model = nn.BatchNorm1d(2).cuda()
    nn.DataParallel(model, device_ids=[0, 1])(data(4, 2))
    torch.testing.assert_close(model.running_mean.cpu(), 0.1 * data(2, 2).cpu().mean(0))


def test_pieces_of_arguments():
    x = data(4)
    parts = nn.parallel.scatter(x, [0, 1])
    assert type(parts) is tuple and [p.tolist() for p in parts] == [[0.0, 1.0], [2.0, 3.0]]
    parts = nn.parallel.scatter({"x": [x, "text"], "n": (x, 3)}, [0, 1])
    assert type(parts) is list and parts[1]["n"][0].device.index == 1 and parts[1]["x"][1] == "text" and type(parts[0]["n"]) is tuple
    y = data(4, requires_grad=True)
    pieces = nn.parallel.scatter(y, [0, 1])
    nn.parallel.gather([p * (i + 1) for i, p in enumerate(pieces)], 1).sum().backward()
    assert y.grad.tolist() == [1.0, 1.0, 2.0, 2.0]


def test_replicas():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).cuda()
    model[1].running_mean.fill_(4.0)
    copies = nn.parallel.replicate(model, [0, 1])
    assert [c[0].weight.device.index for c in copies] == [0, 1] and not copies[1][0].weight.is_leaf
    assert copies[1][1].running_mean.tolist() == [4.0, 4.0] and list(copies[1].parameters()) == []
    (copies[0](data(3, 2)).sum().to("cuda:1") + copies[1](data(3, 2, device="cuda:1")).sum()).backward()
    assert model[0].weight.grad.device.index == 0
    assert not nn.parallel.replicate(model, [0, 1], detach=True)[1][0].weight.requires_grad


def test_modules_side_by_side():
    class Where(nn.Module):
        def forward(self, x, fail=False):
            if fail:
                raise ValueError("no")
            return torch.cuda.current_device(), torch.cuda.current_stream(), torch.is_grad_enabled(), x

    x = [data(1, device=f"cuda:{i}") for i in range(2)]
    side = torch.cuda.Stream(1)
    with torch.cuda.stream(side), torch.no_grad():
        torch.cuda.set_device(0)
        found = nn.parallel.parallel_apply([Where(), Where()], x)
    assert [f[0] for f in found] == [0, 1] and [f[1] for f in found] == [torch.cuda.default_stream(0), side] and not found[1][2]
    found = nn.parallel.parallel_apply([Where(), Where()], [(x[1],), [x[0]]], [{}, {}], [1, "cuda:0"])
    assert [f[0] for f in found] == [1, 0]
    with pytest.raises(ValueError, match=r"no[\s\S]*Caught ValueError in replica 1 on device 1\."):
        nn.parallel.parallel_apply([Where(), Where()], x, [{}, {"fail": True}], [0, 1])


def test_a_graph_that_draws_on_another_gpu_waits_for_its_generator():
    """What tells the captured kernels where the generator stands runs on that GPU, before the replay and behind the one before."""

    def drawn(generator, out):
        return out.uniform_(generator=generator)

    plain, captured = (torch.Generator("cuda:1").manual_seed(3) for _ in range(2))
    out, side, g = torch.zeros(4, device="cuda:1"), torch.cuda.Stream("cuda:1"), torch.cuda.CUDAGraph()
    torch.cuda.synchronize(1)
    with torch.cuda.graph(g):
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            drawn(captured, out)
        torch.cuda.current_stream().wait_stream(side)
    for _ in range(3):
        g.replay()
        torch.cuda.synchronize(0)
        assert out.tolist() == drawn(plain, torch.empty(4, device="cuda:1")).tolist()


def test_streams_are_made_current_again_though_one_cannot_wait(monkeypatch):
    from rushlight._core import device

    sides = [torch.cuda.Stream(i) for i in range(2)]
    x = data(2, requires_grad=True)
    torch.cuda.synchronize()
    with torch.cuda.stream(sides[0]), torch.cuda.stream(sides[1]):
        y = (x * 2).to("cuda:1").sum()

    def fail(index, handle):
        raise RuntimeError("no")

    x.register_hook(lambda grad: monkeypatch.setattr(device, "let_wait", fail))  # the last that the pass calls
    with pytest.raises(RuntimeError, match="no"):
        y.backward()
    assert [torch.cuda.current_stream(i) for i in range(2)] == [torch.cuda.default_stream(i) for i in range(2)]
