"""What the profilers say about a GPU, or its stand-in: run by ``pytest --device cuda tests/cuda`` (tests/test_cuda_standin.py does)."""

import json
import threading
import time

import pytest

import rushlight as torch
from rushlight.autograd import DeviceType
from rushlight.profiler import ProfilerActivity, profile, record_function

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")
TWO = pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs")
BOTH = [ProfilerActivity.CPU, ProfilerActivity.CUDA]


def step(layer, x):
    with record_function("step"):
        layer(x).relu().sum().backward()


@pytest.fixture
def prof():
    """A profile of a step, of a sort and of copies."""
    layer, x = torch.nn.Linear(8, 8).cuda(), torch.randn(4, 8).cuda()
    for _ in range(2):  # the first compiles
        with profile(activities=BOTH) as prof:
            step(layer, x)
            x.sort()
            torch.zeros(100, device="cuda")
            x.cpu().cuda()
    return prof


def of_gpu(events):
    return [event for event in events if event.device_type is DeviceType.CUDA]


def test_kernels_have_times_and_belong_to_who_queued_them(prof):
    work = of_gpu(prof.events())
    names = [event.name for event in work]
    assert {"relu", "sum", "relu_backward", "Memset", "Memcpy DtoH", "Memcpy HtoD"} <= set(names)
    assert any(name.startswith("short_rows<") for name in names)  # a kernel written by hand: its entry, not a hash
    assert all(event.device_index == 0 and event.self_device_time_total == event.device_time_total > 0 for event in work)
    assert all(event.cpu_time_total == 0 for event in work)
    calls = {event.name: event for event in prof.events() if event.device_type is DeviceType.CPU}
    relu = calls["aten::relu"]
    assert [kernel.name for kernel in relu.kernels] == ["relu"] and relu.device_time_total == relu.kernels[0].duration > 0
    assert relu.device_time_total == relu.cuda_time_total == relu.self_device_time_total
    inside = [calls[name] for name in ("aten::linear", "aten::relu", "aten::sum", "SumBackward0", "ReluBackward0")]
    assert calls["step"].device_time_total >= sum(call.device_time_total for call in inside) - 1e-6
    assert calls["step"].self_device_time_total < calls["step"].device_time_total
    owned = sum(kernel.duration for call in prof.events() for kernel in call.kernels)
    assert owned == pytest.approx(sum(event.device_time_total for event in work))


def test_work_lies_on_the_time_line_of_the_calls():
    x = torch.randn(64, 64).cuda()
    x.exp()
    torch.cuda.synchronize()
    with profile(activities=BOTH) as prof:
        x.exp()
        torch.cuda.synchronize()
        time.sleep(0.1)
        x.exp()
        torch.cuda.synchronize()
    calls = [event for event in prof.events() if event.name == "aten::exp"]
    work = of_gpu(prof.events())
    assert [event.name for event in work] == ["exp", "exp"]
    for call, event in zip(calls, work, strict=True):
        assert abs(event.time_range.start - call.time_range.start) < 2e4  # microseconds; 1e5 lie between the two
    assert work[0].time_range.end <= work[1].time_range.start


def test_table(prof):
    averages = prof.key_averages()
    lines = averages.table(sort_by="self_cuda_time_total", row_limit=5).splitlines()
    assert all(title in lines[1] for title in ("Self CUDA  ", "Self CUDA %", "CUDA total", "CUDA time avg"))
    assert lines[-1].startswith("Self CUDA time total: ") and lines[-2].startswith("Self CPU time total: ")
    assert len(lines) == 11 and all(len(line) == len(lines[0]) for line in lines[:-2])
    slowest = max(averages, key=lambda average: average.self_device_time_total)
    assert lines[3].split()[0] == slowest.key.split()[0]
    total = sum(event.device_time_total for event in of_gpu(prof.events()))
    assert averages.self_device_time_total == pytest.approx(total)
    assert averages.total_average().self_cuda_time_total == pytest.approx(total)
    (relu,) = [average for average in averages if average.key == "relu"]
    assert relu.device_type is DeviceType.CUDA and relu.count == 1 and relu.device_time == relu.device_time_total


def test_trace(prof, tmp_path):
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"GPU 0", "python"} <= {event["args"]["name"] for event in events if event["ph"] == "M"}
    blocks = [event for event in events if event["ph"] == "X"]
    assert {"kernel", "gpu_memcpy", "gpu_memset", "cpu_op", "user_annotation"} == {block["cat"] for block in blocks}
    (kernel,) = [block for block in blocks if block["name"] == "relu"]
    (call,) = [block for block in blocks if block["name"] == "aten::relu"]
    assert kernel["pid"] == kernel["args"]["device"] == 0 and kernel["args"]["External id"] == call["args"]["External id"]
    assert kernel["pid"] != call["pid"] and kernel["dur"] > 0
    (copy,) = [block for block in blocks if block["name"] == "Memcpy DtoH"]
    assert copy["args"]["bytes"] == 4 * 8 * 4
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = [event for event in events if event["ph"] == "f"]
    assert len(starts) == len(ends) == len(of_gpu(prof.events()))
    assert any(end["ts"] == kernel["ts"] and starts[end["id"]]["ts"] == call["ts"] for end in ends)


def test_activities_choose_what_is_recorded():
    x = torch.randn(8).cuda()
    assert torch.profiler.supported_activities() == set(BOTH)
    with profile(activities=[ProfilerActivity.CPU]) as prof:
        x.exp()
    assert [event.name for event in prof.events()] == ["aten::exp"] and "CUDA" not in prof.key_averages().table()
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        x.exp()
    assert [event.name for event in prof.events()] == ["exp"] and prof.events()[0].linked_correlation_id is None
    with torch.autograd.profiler.profile(use_device="cuda") as prof:
        x.exp()
    assert [event.name for event in prof.function_events] == ["aten::exp", "exp"]
    with torch.autograd.profiler.profile() as prof:
        x.exp()
    assert [event.name for event in prof.function_events] == ["aten::exp"]


def test_graphs_are_one_piece_of_work():
    x = torch.randn(8).cuda()
    x.exp().sin()
    graph = torch.cuda.CUDAGraph()
    with profile(activities=BOTH) as prof:
        with torch.cuda.graph(graph):
            x.exp().sin()
        graph.replay()
    assert [event.name for event in of_gpu(prof.events())].count("CUDAGraph.replay") == 1
    assert not {"exp", "sin"} & {event.name for event in of_gpu(prof.events())}  # what is captured does not run


def test_a_profile_of_earlier_work_ends_while_a_graph_is_captured():
    x, graph = torch.randn(8).cuda(), torch.cuda.CUDAGraph()
    x.exp()
    torch.cuda.synchronize()
    profiler = profile(activities=BOTH)
    profiler.start()
    x.exp()
    with torch.cuda.graph(graph):
        y = x * 2
        profiler.stop()
        y += 1
    graph.replay()
    assert [event.name for event in of_gpu(profiler.events())] == ["exp"] and y.tolist() == (x * 2 + 1).tolist()


def test_streams_and_threads():
    x = torch.randn(8).cuda()
    x.exp()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with profile(activities=BOTH) as prof:
        x.exp()
        with torch.cuda.stream(stream):
            x.exp()
        thread = threading.Thread(target=x.sin)
        thread.start()
        thread.join()
    exps = [event for event in of_gpu(prof.events()) if event.name == "exp"]
    assert len({event.thread for event in exps}) == 2
    (sin,) = [event for event in of_gpu(prof.events()) if event.name == "sin"]
    assert sin.linked_correlation_id is None  # its thread's calls are not recorded


@TWO
def test_several_gpus():
    x, y = torch.randn(8, device="cuda:0"), torch.randn(8, device="cuda:1")
    with profile(activities=BOTH) as prof:
        x.exp(), y.exp(), x.to("cuda:1")
    assert [(event.name, event.device_index) for event in of_gpu(prof.events())] == [("exp", 0), ("exp", 1), ("Memcpy PtoP", 0)]


@TWO
def test_whoever_is_told_of_a_copy_between_gpus_may_use_others():
    """Its program, or a tensor's end within it, makes another GPU current before the copy's own event is made."""
    from rushlight._core import device

    x, names = torch.arange(3.0, device="cuda:0"), []

    def told(name, place, stream, before, behind, nbytes):
        names.append(name)
        torch.cuda.synchronize(1)
        for event in (before, behind):
            device.event_destroy(event)

    device.tell_times(told)
    try:
        y = x.to("cuda:1")
    finally:
        device.tell_times(None)
    assert names == ["Memcpy PtoP"] and y.tolist() == [0.0, 1.0, 2.0]


def test_steps_and_nothing_after_it():
    x = torch.randn(8).cuda()
    seen = []
    with profile(activities=BOTH, schedule=torch.profiler.schedule(wait=1, warmup=0, active=1, repeat=2),
                 on_trace_ready=lambda prof: seen.append([event.name for event in of_gpu(prof.events())])) as prof:  # fmt: skip
        for _ in range(6):
            x.exp()
            prof.step()
    assert seen == [["exp"], ["exp"]]
    x.exp()
    assert len(of_gpu(prof.events())) == 1
