"""Captured graphs: their memory (on side streams, used by several streams, pinned), and plans that calls remember.

Run by ``pytest --device cuda tests/cuda``.
"""

import copy
import os
import subprocess
import sys
import threading

import pytest

import rushlight as torch

pytestmark = pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda")


def test_what_a_side_stream_makes_in_a_capture_is_the_graphs_own():
    x, side, g = torch.zeros(1000, device="cuda"), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(g):
        here = torch.cuda.current_stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            y = (x + 1) * 2
        here.wait_stream(side)
        z = y + 1
    with torch.cuda.stream(side):  # between (x + 1) and its product this memory is the graph's, not free
        junk = [torch.full((1000,), 9.0, device="cuda") for _ in range(20)]
    torch.cuda.synchronize()
    x.fill_(4.0)
    g.replay()
    torch.cuda.synchronize()
    assert z[0].item() == 11.0 and {t[0].item() for t in junk} == {9.0}
    g.reset()


def test_memory_that_two_streams_of_a_capture_used_is_free_when_it_is_over():
    x, side, g = torch.ones(1 << 20, device="cuda"), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(g):
        here = torch.cuda.current_stream()
        y = x + 1
        side.wait_stream(here)
        with torch.cuda.stream(side):
            z = y * 3
        y.record_stream(side)
        address = y.data_ptr()
        del y
        again = torch.empty(1 << 20, device="cuda")
        assert again.data_ptr() != address  # the side stream may be reading
        here.wait_stream(side)
    torch.cuda.synchronize()
    for _ in range(3):
        g.replay()
        assert torch.empty(1000, device="cuda").is_cuda and z[0].item() == 6.0
    with torch.cuda.graph(torch.cuda.CUDAGraph(), pool=g.pool()):
        assert torch.empty(1 << 20, device="cuda").data_ptr() == address


def test_pinned_memory_that_a_graph_reads_is_kept_for_it():
    static, g = torch.zeros(1000, device="cuda"), torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        static.copy_(torch.full((1000,), 3.0, device="cpu").pin_memory(), non_blocking=True)
    junk = [torch.full((1000,), 9.0, device="cpu").pin_memory() for _ in range(4)]
    g.replay()
    assert static[0].item() == 3.0 and junk[0][0].item() == 9.0
    g.reset()
    torch.zeros(1000, device="cpu").pin_memory()  # its block may be used again
    assert static[0].item() == 3.0


def test_pinned_memory_that_two_graphs_read_is_kept_for_both():
    static, first, second = torch.zeros(1000, device="cuda"), torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    batch = torch.full((1000,), 3.0, device="cpu").pin_memory()
    for g in (first, second):
        with torch.cuda.graph(g):
            static.copy_(batch, non_blocking=True)
    second.reset()
    del batch
    junk = [torch.full((1000,), 9.0, device="cpu").pin_memory() for _ in range(4)]
    first.replay()
    assert static[0].item() == 3.0 and junk[0][0].item() == 9.0


def test_pinned_memory_is_found_and_made_while_a_graph_is_captured():
    """Though the driver refuses allocations and questions to events then, of any thread that does not say that it knows."""
    x, g, made = torch.ones(1000, device="cuda"), torch.cuda.CUDAGraph(), []
    (x + 1).cpu()
    torch.cuda.memory.empty_host_cache()
    batch = torch.ones(1000, device="cpu").pin_memory()
    batch.to("cuda", non_blocking=True)
    del batch  # free, with an event that may not have passed

    def other():
        with torch.cuda.stream(torch.cuda.Stream()):
            batches = [torch.full((1000,), 5.0, device="cpu").pin_memory() for _ in range(3)]
            made.extend(b.to("cuda", non_blocking=True) for b in batches)

    with torch.cuda.graph(g):
        y = (x * 2).to("cpu", non_blocking=True)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        torch.cuda.empty_cache()
        torch.cuda.memory.empty_host_cache()
    g.replay()
    torch.cuda.synchronize()
    assert y[0].item() == 2.0 and [m[0].item() for m in made] == [5.0] * 3


@pytest.mark.parametrize("copy", [
    lambda x: x.copy_(torch.full((3,), 5.0, device="cpu")), lambda x: x.copy_(torch.full((3,), 5.0, device="cpu"), non_blocking=True),
    lambda x: torch.full((3,), 5.0, device="cpu").cuda(), lambda x: torch.tensor([1.0, 2.0], device="cuda"), lambda x: x.cpu(),
    lambda x: torch.zeros(3, device="cpu").copy_(x), lambda x: x.add_(torch.arange(3).cuda()),
])  # fmt: skip
def test_a_graph_neither_reads_nor_writes_pageable_memory(copy):
    """The driver would note the address, and each replay use what lies there then. Nothing is captured of it: the capture goes on."""
    x, g = torch.zeros(3, device="cuda"), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(g):
        x.add_(1)
        with pytest.raises(RuntimeError, match=r"^Cannot copy between .* during CUDA graph capture unless the CPU tensor is pinned\."):
            copy(x)
        x.add_(1)
    g.replay()
    assert x.tolist() == [2.0] * 3


def test_pageable_memory_is_copied_beside_a_capture():
    g, x, found = torch.cuda.CUDAGraph(), torch.zeros(3, device="cuda"), []

    def other():
        with torch.cuda.stream(torch.cuda.Stream()):
            found.append(torch.tensor([1.0, 2.0], device="cuda").cpu().tolist())

    torch.cuda.synchronize()
    with torch.cuda.graph(g):
        x.add_(1)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    g.replay()
    assert found == [[1.0, 2.0]] and x.tolist() == [1.0] * 3


def test_the_first_kernel_that_may_fail_can_be_a_captured_one():
    program = (
        "import rushlight as torch; x, i = torch.arange(6.0, device='cuda'), torch.tensor([1, 5], device='cuda')\n"
        "g = torch.cuda.CUDAGraph()\n"
        "with torch.cuda.graph(g): y = x[i]\n"
        "g.replay(); assert y.tolist() == [1.0, 5.0]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# -- what follows from a call's geometry is made once --


def resized(x):
    y = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
    return y, *torch.autograd.grad(y.square().sum(), x)


def test_plans_are_made_once_and_graphs_hold_on_to_them():
    x, g = torch.rand(1, 2, 5, 7, device="cuda", requires_grad=True), torch.cuda.CUDAGraph()
    resized(x)
    with torch.cuda.graph(g):
        found = resized(x)
    assert g.nodes <= 12  # an image is resized dim by dim, each way; indices and weights are there
    for size in range(2, 300):  # as many other plans as are remembered
        torch.nn.functional.interpolate(x[:, :1, :2, :2], size=size, mode="nearest")
    g.replay()
    wanted = resized(x.detach().cpu().requires_grad_())
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a.cpu(), b)


def test_a_plan_made_in_a_capture_is_for_the_capture_alone():
    x, g = torch.rand(1, 1, 6, 6, device="cuda"), torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        y = torch.nn.functional.max_pool2d(x - 2, 3, 2, 1)
    found = torch.nn.functional.max_pool2d(x - 2, 3, 2, 1)  # before any replay
    g.replay()
    assert found.tolist() == y.tolist() == torch.nn.functional.max_pool2d(x.cpu() - 2, 3, 2, 1).tolist()


def test_plans_belong_to_a_device():
    for device in ("cuda", "cpu", "cuda:0", "cpu"):
        assert torch.combinations(torch.arange(4, device=device))[:2].tolist() == [[0, 1], [0, 2]]
    with torch.device("cuda"):
        assert torch.combinations(torch.arange(5))[-1].tolist() == [3, 4]
    assert torch.combinations(torch.arange(5, device="cpu"))[-1].tolist() == [3, 4]


def test_a_pool_is_held_again_when_another_graph_is_captured_in_it():
    pool, x = torch.cuda.graph_pool_handle(), torch.ones(3 << 20, device="cuda")
    for k in range(3):
        g = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(g, pool=pool):
            y = (x + k) * 2 - x  # the sum and the product lie in memory that is free when the capture is over
        torch.cuda.empty_cache()
        others = [torch.full((3 << 20,), 9.0, device="cuda") for _ in range(4)]
        g.replay()
        torch.cuda.synchronize()
        assert y[0].item() == 2 * k + 1 and {t[0].item() for t in others} == {9.0}
        g.reset()
        del y, others


def test_pools_of_graphs_that_are_gone_are_forgotten():
    from rushlight._core import device

    def capture():
        g, x = torch.cuda.CUDAGraph(), torch.ones(1000, device="cuda")
        torch.cuda.synchronize()
        with torch.cuda.graph(g):
            y = (x + 1) * torch.ones(1 << 20, device="cuda")[:1000]
        g.replay()
        assert y[0].item() == 2

    capture()
    torch.cuda.empty_cache()
    before = device.device_pools()
    for _ in range(5):
        capture()
    torch.cuda.empty_cache()
    assert device.device_pools() == before


def test_a_graph_that_goes_leaves_what_kernels_found_to_be_raised():
    for end in ("del", "reset"):
        x, g = torch.zeros(5, device="cuda"), torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(g):
            y = x + 1
        g.replay()
        torch.nn.functional.embedding(torch.tensor([7], device="cuda"), torch.zeros(3, 2, device="cuda"))
        if end == "del":
            del g
        else:
            g.reset()
        with pytest.raises(IndexError):
            torch.cuda.synchronize()
        assert y[0].item() == 1


def test_a_graph_may_go_while_another_is_captured():
    x, first, second = torch.zeros(5, device="cuda"), torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(first):
        y = x + 1
    first.replay()
    with torch.cuda.graph(second):
        z = x + 2
        first.reset()  # (or its last reference goes): nothing may wait here
        w = z * 2
    del first
    x.fill_(1)
    second.replay()
    torch.cuda.synchronize()
    assert (y[0].item(), w[0].item()) == (1, 6)


def test_plans_that_are_forgotten_are_not_read_any_more():
    """Memory of forgotten index tensors is handed out on the stream that made them, while others may not have come to their kernels."""
    from rushlight.ops._define import planned

    @planned
    def numbers(n, device):
        return torch.arange(n, device=device) * 2

    here, side = torch.device("cuda", 0), torch.cuda.Stream()
    plan = numbers(1000, here)
    ones = torch.ones(1000, device="cuda")
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        y = ones + 1
        for _ in range(40):
            y = y - 1 + 1
        y = y - 1 + plan
    del plan
    for n in range(300):  # more than are remembered
        numbers(n, here)
    junk = [torch.full((1000,), -5, device="cuda") for _ in range(400)]
    side.synchronize()
    assert y.tolist() == [2 * i + 1 for i in range(1000)] and len(junk) == 400


def test_products_in_a_graph_have_working_memory_of_their_own():
    from rushlight._core import device
    from rushlight.cuda.ops import _cublas

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        kept = _cublas._workspace(1, side.cuda_stream)
        assert _cublas._workspace(1, side.cuda_stream) is kept
    torch.cuda.synchronize()
    with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=side):
        assert device.in_capture(side.cuda_stream)
        assert _cublas._workspace(1, side.cuda_stream).data_ptr() != kept.data_ptr()
    assert _cublas._workspace(1, side.cuda_stream) is kept and not device.in_capture(side.cuda_stream)
    del _cublas._workspaces[1, side.cuda_stream]


def test_graphed_callables():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    reference = copy.deepcopy(model)
    graphed = torch.cuda.make_graphed_callables(model.cuda(), (torch.zeros(5, 3, device="cuda"),))
    for seed in (1, 2):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        reference.zero_grad()
        graphed.zero_grad()
        a, b = reference(x), graphed(x.cuda())
        a.pow(2).sum().backward()
        b.pow(2).sum().backward()
        torch.testing.assert_close(b.cpu(), a)
        for p, q in zip(reference.parameters(), graphed.parameters()):
            torch.testing.assert_close(q.grad.cpu(), p.grad)


def test_arguments_of_graphed_callables():
    def product(pair, *, scale=None):
        return pair["a"] * pair["b"]

    x, y = torch.ones(2, device="cuda", requires_grad=True), torch.ones(2, device="cuda")
    graphed = torch.cuda.make_graphed_callables(product, ({"a": x, "b": y},))
    a = torch.tensor([2.0, 3.0], device="cuda", requires_grad=True)
    out = graphed({"a": a, "b": torch.tensor([5.0, 7.0], device="cuda")})
    out.sum().backward()
    assert out.tolist() == [10, 21] and a.grad.tolist() == [5, 7]
    with pytest.raises(AssertionError, match="must contain only Tensors"):
        torch.cuda.make_graphed_callables(lambda x, n: x * n, (y, 3))
    hooked, trained = torch.nn.Linear(2, 2).cuda(), torch.nn.Linear(2, 2).cuda()
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(AssertionError, match="must not have hooks"):
        torch.cuda.make_graphed_callables(hooked, (y,))
    trained.register_buffer("more", torch.ones(1, device="cuda", requires_grad=True))
    with pytest.raises(AssertionError, match="only parameters may be trainable"):
        torch.cuda.make_graphed_callables(trained, (y,))
    with torch.autocast("cuda", torch.bfloat16), pytest.raises(RuntimeError, match="cache_enabled=False"):
        torch.cuda.make_graphed_callables(torch.nn.Linear(2, 2).cuda(), (y,))


def test_results_of_graphed_callables_may_be_none():
    def halves(x):
        return {"half": x / 2, "nothing": None, "more": (None, x.detach() + 1)}

    x = torch.ones(3, device="cuda", requires_grad=True)
    graphed = torch.cuda.make_graphed_callables(halves, (x,))
    y = torch.full((3,), 4.0, device="cuda", requires_grad=True)
    out = graphed(y)
    out["half"].sum().backward()
    assert out["nothing"] is None and out["more"][0] is None
    assert (out["half"].tolist(), out["more"][1].tolist(), y.grad.tolist()) == ([2.0] * 3, [5.0] * 3, [0.5] * 3)
    with pytest.raises(AttributeError, match=r"'float' object has no attribute 'requires_grad'\n.*callables return tensors, None"):
        torch.cuda.make_graphed_callables(lambda x: (x * 2, 3.0), (x,))


def test_graphed_callables_are_differentiated_once():
    x = torch.ones(3, device="cuda", requires_grad=True)
    graphed = torch.cuda.make_graphed_callables(lambda x: x**3, (x,))
    (g,) = torch.autograd.grad(graphed(x).square().sum(), x, create_graph=True)
    assert g.tolist() == [6.0] * 3
    with pytest.raises(RuntimeError, match="trying to differentiate twice a function that was marked with @once_differentiable"):
        g.sum().backward()


# -- how a capture ends --


def captures_again():
    """Can a graph be captured, and replayed?"""
    x, g = torch.ones(3, device="cuda"), torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        y = x + 1
    g.replay()
    return y.tolist() == [2.0] * 3


def test_a_capture_that_has_not_begun_does_not_end():
    from rushlight._core import device

    g = torch.cuda.CUDAGraph()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"the operation cannot be performed in the present state\n.*capture_begin"):
            g.capture_end()
    x = torch.ones(3, device="cuda")
    with torch.cuda.graph(torch.cuda.CUDAGraph()):
        y = x + 1
        with pytest.raises(RuntimeError, match="present state"):
            g.capture_end()  # it is another graph's
        assert torch.cuda.is_current_stream_capturing() and y.is_cuda
    assert captures_again() and not device.is_capturing(0)


def test_a_capture_ends_on_the_stream_it_began_on():
    g, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    before = torch.cuda.current_stream()
    with torch.cuda.stream(side):
        g.capture_begin()
    with pytest.raises(RuntimeError, match=r"^Capture must end on the same stream it began on\."):
        g.capture_end()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        g.replay()
    with torch.cuda.stream(side):
        g.capture_begin()
        y = torch.zeros(2, device="cuda") + 3
        g.capture_end()
    g.replay()
    torch.cuda.synchronize()
    assert y.tolist() == [3.0] * 2 and torch.cuda.current_stream() == before and captures_again()


def test_a_graph_that_goes_while_it_is_captured_ends_the_capture():
    for end in ("del", "reset"):
        g = torch.cuda.CUDAGraph()
        with torch.cuda.stream(torch.cuda.Stream()):
            g.capture_begin()
            torch.zeros(3, device="cuda")
            if end == "reset":
                g.reset()
            else:
                del g
            assert not torch.cuda.is_current_stream_capturing()
        assert captures_again()


def test_a_side_stream_must_come_back_to_the_capture():
    x, side, g = torch.ones(3, device="cuda"), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with pytest.raises(RuntimeError, match=r"\(904\).*wait_stream"):
        with torch.cuda.graph(g):
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                y = x + 1
    assert y.is_cuda and captures_again()


def test_a_captured_stream_waits_for_nothing_outside():
    x, side, g = torch.ones(3, device="cuda"), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with pytest.raises(RuntimeError, match=r"\(905\).*before the capture"):
        with torch.cuda.graph(g):
            torch.cuda.current_stream().wait_stream(side)
    assert x.tolist() == [1.0] * 3 and captures_again()


def test_eager_work_during_a_capture_holds_no_fault_records():
    """Of which a GPU has 4,096: those of a captured graph are its own as long as it lives."""
    index = torch.cuda.device_count() - 1
    x, i, g = torch.arange(5.0, device=f"cuda:{index}"), torch.tensor([3], device=f"cuda:{index}"), torch.cuda.CUDAGraph()
    torch.cuda.synchronize(index)
    made = []

    def other():
        with torch.cuda.stream(torch.cuda.Stream(index)):
            for _ in range(4200):
                made[:] = [x[i]]

    with torch.cuda.graph(g):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    torch.cuda.synchronize(index)
    assert made[0].tolist() == [3.0]


def test_a_capture_ends_on_the_thread_it_began_on():
    """Another thread is told so, and the capture goes on: it is not forgotten while its stream still records."""
    x, g, side, found = torch.ones(3, device="cuda"), torch.cuda.CUDAGraph(), torch.cuda.Stream(), []

    def other():
        for end in (g.capture_end, g.reset):
            for stream in (torch.cuda.default_stream(), side):
                with torch.cuda.stream(stream):
                    try:
                        end()
                    except torch.AcceleratorError as error:
                        found.append("908" in str(error))

    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        g.capture_begin()
        y = x + 1
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        y = y * 2
        g.capture_end()
    assert found == [True] * 4
    g.replay()
    assert y.tolist() == [4.0] * 3


def test_a_backward_step_that_may_not_go_to_a_captured_stream_leaves_the_streams_alone():
    x, side, g = torch.ones(3, device="cuda", requires_grad=True), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(side):
        y = (x * 2).sum()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        g.capture_begin(capture_error_mode="relaxed")
    try:
        with pytest.raises(torch.AcceleratorError, match="905"):
            y.backward()
        assert torch.cuda.current_stream() == torch.cuda.default_stream()
        assert not torch.cuda.is_current_stream_capturing()
    finally:
        with torch.cuda.stream(side):
            g.reset()
    assert x.add(1).tolist() == [2.0] * 3


def test_without_caching_a_graph_s_memory_fits_its_tensors():
    """What five truth values lay in is no place for a float32 on the stand-in, where it ends with its page."""
    program = (
        "import rushlight as torch; x, y = torch.arange(5, device='cuda'), torch.ones(1, device='cuda')\n"
        "x > 2, y + 1\n"
        "g = torch.cuda.CUDAGraph()\n"
        "with torch.cuda.graph(g):\n"
        "    x > 2\n"
        "    z, again = y + 1, y + 2\n"
        "    address = again.data_ptr()\n"
        "    del again\n"
        "    assert torch.empty(1, device='cuda').data_ptr() == address\n"
        "g.replay(); assert z.tolist() == [2.0]"
    )
    environment = os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1", "RUSHLIGHT_STANDIN_TIGHT": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
