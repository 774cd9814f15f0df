"""The profilers: what they record, their table beside PyTorch's, schedules, traces, stacks; and torch.utils.benchmark."""

import functools
import gzip
import json
import re

import pytest
from place import on_gpu

import rushlight as rl
from rushlight import profiler
from rushlight.profiler import ProfilerAction, ProfilerActivity, record_function, schedule, tensorboard_trace_handler
from rushlight.utils import benchmark

profile = functools.partial(profiler.profile, activities=[ProfilerActivity.CPU])  # what GPUs do: cuda/test_gpu_profiler.py


def program(torch):
    """A small network's forward and backward pass within a named block, once before it is profiled."""
    x, layer = torch.randn(64, 32), torch.nn.Linear(32, 16)

    def run(record_function):
        with record_function("block"):
            y = layer(x).relu().sum()
        y.backward()

    return run


def recorded(**options):
    run = program(rl)
    run(record_function)
    with profile(**options) as prof:
        run(record_function)
    return prof


def test_events_form_a_tree():
    prof = recorded()
    events = {event.name: event for event in prof.events()}
    assert {"block", "aten::linear", "aten::relu", "aten::sum", "SumBackward0", "torch::autograd::AccumulateGrad"} <= set(events)
    block = events["block"]
    assert block.is_user_annotation and [child.name for child in block.cpu_children] == ["aten::linear", "aten::relu", "aten::sum"]
    assert events["aten::relu"].cpu_parent is block and events["SumBackward0"].cpu_parent is None
    assert block.cpu_time_total >= sum(child.cpu_time_total for child in block.cpu_children)
    assert block.time_range.start <= events["aten::relu"].time_range.start <= events["aten::relu"].time_range.end <= block.time_range.end
    total = prof.key_averages().total_average()
    assert total.self_cpu_time_total == pytest.approx(sum(e.cpu_time_total for e in prof.events() if e.cpu_parent is None))
    assert next(a for a in prof.key_averages() if a.key == "torch::autograd::AccumulateGrad").count == 2


@pytest.mark.parametrize("options", [{}, {"profile_memory": True}, {"record_shapes": True}, {"with_stack": True}], ids=str)
def test_table_has_pytorchs_columns(options):
    torch = pytest.importorskip("torch")
    run = program(torch)
    with torch.profiler.profile(**options) as prof:
        run(torch.profiler.record_function)
    group = {"group_by_input_shape": "record_shapes" in options, "group_by_stack_n": 2 if "with_stack" in options else 0}
    expected = prof.key_averages(**group).table(sort_by="self_cpu_time_total").splitlines()
    found = recorded(**options).key_averages(**group).table(sort_by="self_cpu_time_total").splitlines()

    def titles(lines):
        return [t for t in re.split(r"\s{2,}", lines[1].strip()) if t != "Source Location"]

    assert [t for t in titles(found) if "CUDA" not in t] == titles(expected)
    assert ("Self CUDA Mem" in titles(found)) == (on_gpu() and "profile_memory" in options)
    assert ("Source Location" in found[1]) == ("with_stack" in options)
    assert found[0] == found[2] == found[-2] and set(found[0]) == {"-", " "}
    assert all(len(line) == len(found[0]) for line in found[:-1])
    assert found[-1].startswith("Self CPU time total: ") and any(line.startswith("Self CPU time total: ") for line in expected)


def test_table_is_sorted_and_limited():
    averages = recorded().key_averages()
    rows = averages.table(sort_by="cpu_time_total", row_limit=3).splitlines()[3:-2]
    assert len(rows) == 3
    longest = sorted(averages, key=lambda average: -average.cpu_time_total)[:3]
    assert [row.split()[0] for row in rows] == [average.key for average in longest]
    narrow = averages.table(max_name_column_width=12, header="HEAD", top_level_events_only=True)
    assert "HEAD" in narrow and "torch::au..." in narrow and "aten::relu" not in narrow


def test_shapes_and_memory():
    prof = recorded(record_shapes=True, profile_memory=True)
    linear = next(event for event in prof.events() if event.name == "aten::linear")
    assert linear.input_shapes == [[64, 32], [16, 32], [16]]
    assert (linear.device_memory_usage if on_gpu() else linear.cpu_memory_usage) == 64 * 16 * 4
    by_shape = prof.key_averages(group_by_input_shape=True)
    assert [[64, 32], [16, 32], [16]] in [average.input_shapes for average in by_shape]
    assert "4.00 KB" in by_shape.table() and ("Self CUDA Mem" in by_shape.table()) == on_gpu()


def test_schedule_is_pytorchs():
    torch = pytest.importorskip("torch")
    for options in (
        {"wait": 1, "warmup": 1, "active": 2},
        {"wait": 2, "warmup": 0, "active": 1, "repeat": 2},
        {"wait": 1, "warmup": 1, "active": 3, "skip_first": 4, "repeat": 1},
        {"wait": 3, "warmup": 1, "active": 2, "skip_first": 1, "skip_first_wait": 1},
    ):
        ours, theirs = schedule(**options), torch.profiler.schedule(**options)
        assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)], options
    with pytest.raises(AssertionError, match="Invalid profiler schedule"):
        schedule(wait=1, warmup=1, active=0)


def test_steps_hand_over_their_traces():
    seen = []
    x = rl.ones(3)
    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=2),
                 on_trace_ready=lambda prof: seen.append([event.name for event in prof.events()])) as prof:  # fmt: skip
        for _ in range(10):
            x.exp()
            prof.step()
    assert seen == [
        ["ProfilerStep#2", "aten::exp", "ProfilerStep#3", "aten::exp"],
        ["ProfilerStep#6", "aten::exp", "ProfilerStep#7", "aten::exp"],
    ]
    assert [average.key for average in prof.key_averages()] == ["ProfilerStep*", "aten::exp"]
    assert prof.current_action is ProfilerAction.NONE


def test_trace_files(tmp_path):
    run = program(rl)
    with profile(record_shapes=True, on_trace_ready=tensorboard_trace_handler(tmp_path, "me", use_gzip=True)) as prof:
        run(record_function)
        prof.add_metadata("note", "hello")
    (path,) = tmp_path.glob("me.*.pt.trace.json.gz")
    with gzip.open(path, "rt") as file:
        trace = json.load(file)
    calls = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert trace["note"] == "hello" and [call["name"] for call in calls] == [event.name for event in prof.events()]
    assert {call["cat"] for call in calls} == {"user_annotation", "cpu_op"}
    assert next(call for call in calls if call["name"] == "aten::linear")["args"]["Input Dims"] == [[64, 32], [16, 32], [16]]
    prof.export_chrome_trace(tmp_path / "plain.json")
    assert json.loads((tmp_path / "plain.json").read_text())["schemaVersion"] == 1


def test_stacks(tmp_path):
    prof = recorded(with_stack=True)
    relu = next(event for event in prof.events() if event.name == "aten::relu")
    assert any("test_profiler.py(" in line and line.endswith(": run") for line in relu.stack[:2])
    prof.export_stacks(tmp_path / "stacks.txt")
    line = (tmp_path / "stacks.txt").read_text().splitlines()[0]
    assert re.fullmatch(r"\S+ \d+", line) and ";" in line
    with pytest.raises(ValueError, match="with_stack"):
        recorded().export_stacks(tmp_path / "none.txt")


def test_optimizer_steps_have_a_name():
    layer = rl.nn.Linear(3, 1)
    optimizer = rl.optim.Adam(layer.parameters())
    layer(rl.ones(2, 3)).sum().backward()
    with profile() as prof:
        optimizer.step()
    assert prof.events()[0].name == "Optimizer.step#Adam.step"


def test_errors_close_their_events_and_modes_do_not_hide_operators():
    with profile() as prof:
        with pytest.raises(RuntimeError):
            rl.ones(2, 3) @ rl.ones(2, 3)
        rl.ones(1)
        with rl.autocast("cpu", dtype=rl.bfloat16):
            rl.ones(2, 2) @ rl.ones(2, 2)
    names = [event.name for event in prof.events() if event.cpu_parent is None]
    assert names.count("aten::matmul") == 2 and names[-1] == "aten::matmul"
    assert all(event.end_ns >= event.start_ns for event in prof.events())


@pytest.mark.skipif("__import__('rushlight').cuda.is_available()", reason="there is a GPU")
def test_asking_for_a_gpu_where_there_is_none():
    assert profiler.supported_activities() == {ProfilerActivity.CPU}
    with pytest.warns(UserWarning, match="CUDA is not available, disabling CUDA profiling"):
        prof = profiler.profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    assert prof.activities == {ProfilerActivity.CPU}
    with pytest.warns(UserWarning, match="CUDA is not available"), pytest.raises(AssertionError, match="No activities specified"):
        profiler.profile(activities=[ProfilerActivity.CUDA])
    with pytest.warns(UserWarning, match="CUDA is not available"), rl.autograd.profiler.profile(use_device="cuda") as prof:
        rl.ones(1)
    assert "CUDA" not in prof.table() and len(prof.function_events) == 1


def test_one_profiler_at_a_time_and_nothing_after_it():
    with profile() as prof:
        rl.ones(1)
        with pytest.raises(RuntimeError, match="already enabled"), rl.autograd.profiler.profile():
            pass
    rl.ones(1)
    assert [event.name for event in prof.events()] == ["aten::ones"]


def test_autograd_profiler():
    with rl.autograd.profiler.profile(record_shapes=True) as prof:
        rl.ones(2, 3).sum()
        with pytest.raises(RuntimeError, match="didn't finish"):
            prof.table()
    assert [event.name for event in prof.function_events] == ["aten::ones", "aten::sum"]
    assert prof.total_average().count == 2 and "aten::sum" in str(prof) and prof.self_cpu_time_total > 0
    with rl.autograd.profiler.profile(enabled=False) as off:
        rl.ones(1)
    assert off is None


def test_timer_and_measurement():
    timer = benchmark.Timer("x @ x", setup="x = torch.ones(4, 4)", label="product", sub_label="4 x 4", description="plain")
    once = timer.timeit(50)
    assert once.number_per_run == 50 and len(once.times) == 1 and once.mean == once.median == once.raw_times[0] / 50
    assert "1 measurement, 50 runs , 1 thread" in repr(once)
    many = timer.blocked_autorange(min_run_time=0.02)
    assert sum(many.raw_times) >= 0.02 and many.median > 0 and many.number_per_run > 1
    assert many.title == "product: 4 x 4" and "runs per measurement, 1 thread" in repr(many) and "Median: " in repr(many)
    assert timer.adaptive_autorange(max_run_time=0.5).median > 0
    with pytest.raises(ZeroDivisionError):
        benchmark.Timer("1 / 0").timeit(1)
    with pytest.raises(ValueError, match="language"):
        benchmark.Timer("1", language="c++")


def test_compare_prints_pytorchs_table():
    pytest.importorskip("torch")
    import torch.utils.benchmark as theirs

    def table(module, trim):
        def made(description, sub_label, times):
            given = {"stmt": "x", "setup": "pass", "label": "sums", "sub_label": sub_label, "description": description}
            return module.Measurement(10, times, module.TaskSpec(**given))

        compare = module.Compare([
            made("first", "small", [1e-4, 1.1e-4, 1.2e-4]), made("second", "small", [2e-4, 2.1e-4, 2.2e-4]),
            made("first", "large one", [3e-3, 3.1e-3, 3.2e-3]),
        ])  # fmt: skip
        if trim:
            compare.trim_significant_figures()
        return str(compare)

    assert table(benchmark, False).split() == table(theirs, False).split()
    words = [word for word in table(benchmark, True).split() if not word.startswith("-")]
    assert words == [word for word in table(theirs, True).split() if not word.startswith("-")]


def test_products_within_linear_and_matmul():
    def names(L):
        layer, plain, x = L.nn.Linear(3, 4), L.nn.Linear(3, 4, bias=False), L.ones(2, 3)
        with L.profiler.profile(record_shapes=True) as prof:
            layer(x), plain(x[None]), x @ x.t(), x @ x[0], x[0] @ x[0], x[None] @ x.t()[None]
        return [(e.name, e.cpu_parent.name, e.input_shapes[:3]) for e in prof.events()
                if e.name in ("aten::addmm", "aten::mm", "aten::mv", "aten::dot", "aten::bmm") and e.cpu_parent]  # fmt: skip

    assert [name for name, _, _ in names(rl)] == ["aten::addmm", "aten::mm", "aten::mm", "aten::mv", "aten::dot", "aten::bmm"]
    assert names(rl)[0] == ("aten::addmm", "aten::linear", [[4], [2, 3], [3, 4]])
