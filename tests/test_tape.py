"""The tape on its own: memory, deep graphs, threads, and the texts of its errors. Needs no PyTorch."""

import gc
import itertools
import threading
import weakref

import pytest

import rushlight as torch
from rushlight._core import tape


def resident():
    """Resident memory in bytes."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def grows(step, warm=2000, count=10000):
    """By how many bytes memory grows over ``count`` calls."""
    for _ in range(warm):
        step()
    gc.collect()
    before = resident()
    for _ in range(count):
        step()
    gc.collect()
    return resident() - before


# -- deep graphs --


def test_deep_chain_runs_and_is_freed():
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.tolist() == [100_001.0]
    alive = weakref.ref(y.grad_fn)
    del y
    assert alive() is None


def test_deep_chain_that_saves_is_freed_without_backward():
    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * x
    alive = weakref.ref(y.grad_fn)
    del y
    assert alive() is None


def test_deep_chain_of_functions():
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x + 1

        @staticmethod
        def backward(ctx, grad):
            return grad

    x = torch.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(20_000):
        y = Step.apply(y)
    y.backward()
    assert x.grad.tolist() == [1.0]


# -- memory --


def test_training_steps_do_not_leak():
    w = torch.ones(64, requires_grad=True)

    def step():
        (w * w).exp().sum().backward()
        w.grad = None

    assert grows(step) < 1 << 20


def test_failing_calls_do_not_leak():
    x = torch.ones(8, requires_grad=True)

    def step():
        y = x.exp()
        with pytest.raises(RuntimeError):
            y.backward()
        y.detach().add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()

    assert grows(step, warm=500, count=2000) < 1 << 20


def test_graph_is_freed_when_its_result_dies():
    x = torch.ones(3, requires_grad=True)
    y = (x * x).exp()
    nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn.next_functions[0][0])]
    accumulator = weakref.ref(tape.accumulator(x))
    del y
    assert [n() for n in nodes] == [None, None]
    assert accumulator() is None


def test_a_node_that_is_looked_at_has_the_operators_class():
    x = torch.ones(3, 3, requires_grad=True)
    for name, y in {
        "AddBackward0": x + 1, "SumBackward0": x.sum(), "MmBackward0": x @ x, "TBackward0": x.t(), "CatBackward0": torch.cat([x, x]),
    }.items():  # fmt: skip
        node = y.grad_fn
        assert type(node).__name__ == node.__class__.__name__ == node.name().rpartition("::")[2] == name
        assert node is y.grad_fn and isinstance(node, torch.autograd.graph.Node)
        assert type(y.grad_fn.next_functions[0][0]) in (type((x * 1).grad_fn), tape.AccumulateGrad)
        y.sum().backward()
    assert type((x + 1).grad_fn) is type((x + 2).grad_fn) is not type((x * 2).grad_fn)


def test_a_chain_of_nodes_that_were_looked_at_dies_without_recursion():
    y = torch.ones(1, requires_grad=True)
    for _ in range(100_000):
        y = y * 1.0
        assert y.grad_fn is not None
    y.grad_fn.cycle, last = y.grad_fn, weakref.ref(y.grad_fn)
    del y
    gc.collect()
    assert last() is None


def test_saved_values_are_freed_by_backward():
    x = torch.ones(3, requires_grad=True)
    middle = x * 2
    y = (middle * middle).sum()
    alive = weakref.ref(middle)
    del middle
    assert alive() is not None
    y.backward()
    assert alive() is None


def test_cycle_through_a_leaf_is_collected():
    x = torch.ones(3, requires_grad=True)
    x.loss = (x * x).sum()
    alive = weakref.ref(x.loss.grad_fn)
    del x
    gc.collect()
    assert alive() is None


def test_recorded_gradient_cycle_is_collected():
    x = torch.ones(3, requires_grad=True)
    (x * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None


def test_first_gradient_is_taken_over_without_a_copy():
    x = torch.ones(1000, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.data_ptr()))
    x.exp().sum().backward()
    assert x.grad.data_ptr() == seen[0]


def test_first_gradient_of_a_caller_is_copied():
    x = torch.ones(3, requires_grad=True)
    g = torch.ones(3)
    (x + 0).backward(g)
    assert x.grad.data_ptr() != g.data_ptr()


def test_gradient_has_the_strides_of_its_leaf():
    x = torch.ones(2, 3).t().requires_grad_()
    (x * torch.ones(3, 2)).sum().backward()
    assert x.grad.stride() == x.stride()


# -- threads --


def test_threads_share_a_leaf():
    x = torch.ones(50_000, requires_grad=True)

    def work():
        for _ in range(20):
            (x * 2).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert x.grad.min().item() == x.grad.max().item() == 160.0


def test_grad_mode_belongs_to_the_thread():
    found = []
    with torch.no_grad():
        t = threading.Thread(target=lambda: found.append(torch.is_grad_enabled()))
        t.start()
        t.join()
    assert found == [True]


def test_graph_built_by_two_threads_keeps_its_order():
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    y = x * 1
    for _ in range(1000):
        y = y + x  # this thread's numbers are far ahead of a new thread's
    found = []

    def work():
        z = y * y
        found.append(torch.autograd.grad((z + z * y).sum(), [y, x]))

    t = threading.Thread(target=work)
    t.start()
    t.join()
    value = 1001.0
    slope = 2 * value + 3 * value**2
    assert found[0][0].item() == pytest.approx(slope)
    assert found[0][1].item() == pytest.approx(slope * 1001)


# -- errors --


def test_in_place_error_names_both_lines():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()  # saved here
    y.add_(1)  # overwritten here
    with pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    text = str(caught.value)
    assert "which is output 0 of Exp, is at version 1; expected version 0 instead" in text.split("\n")[0]
    assert "y = x.exp()  # saved here" in text
    assert "y.add_(1)  # overwritten here" in text
    assert __file__ in text


def test_missing_gradient_says_why():
    with pytest.raises(
        RuntimeError, match=r"element 0 of tensors does not require grad and does not have a grad_fn\n.*detach"
    ):
        torch.ones(1).backward()


def test_error_in_a_hook_leaves_the_engine_usable():
    x = torch.ones(2, requires_grad=True)
    handle = x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert torch.is_grad_enabled()


def test_anomaly_mode_prints_the_forward_call():
    with torch.autograd.set_detect_anomaly(True):
        x = torch.zeros(2, requires_grad=True)
        y = x / x  # the culprit
        with (
            pytest.warns(UserWarning, match="the culprit"),
            pytest.raises(RuntimeError, match="'DivBackward0' returned nan"),
        ):
            y.sum().backward()


# -- the registered Python nodes of library operators --


def record_cube(x):
    out = x.detach() ** 3

    def backward(grad, x, needs):
        assert needs == (True,)
        return grad * 3 * x * x

    tape.LibraryNode.record("CubeBackward0", backward, ("grad", "x", "needs"), {"x": x}, (x,), (out,))
    return out


def test_library_node():
    x = torch.tensor([2.0], requires_grad=True)
    y = record_cube(x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (h,) = torch.autograd.grad(g, x)
    assert (y.grad_fn.name(), g.item(), h.item()) == ("CubeBackward0", 12.0, 12.0)
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()


def test_library_node_checks_the_number_of_gradients():
    x = torch.ones(1, requires_grad=True)
    out = x.detach() * 2
    tape.LibraryNode.record("PairBackward0", lambda grad: (grad, grad), ("grad",), {}, (x,), (out,))
    with pytest.raises(RuntimeError, match="returned an incorrect number of gradients"):
        out.backward()


# -- the checker is checked --


class Planted(torch.autograd.Function):
    """A square with a wrong gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2.01 * ctx.saved_tensors[0] * grad


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_finds_a_planted_error(fast):
    x = torch.tensor([0.5, 1.5, -2.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="mismatch"):
        torch.autograd.gradcheck(Planted.apply, x, fast_mode=fast)
    assert not torch.autograd.gradcheck(Planted.apply, x, fast_mode=fast, raise_exception=False)
    assert torch.autograd.gradcheck(lambda t: t * t, x, fast_mode=fast, check_forward_ad=True, check_batched_grad=True)


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_finds_a_gradient_that_changes(fast):
    passes = itertools.count()

    class Restless(torch.autograd.Function):
        """A square whose gradient is another one each time, within the tolerance of a single one."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return (2 + 1e-6 * (next(passes) % 2)) * ctx.saved_tensors[0] * grad

    x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="not reentrant"):
        torch.autograd.gradcheck(Restless.apply, x, fast_mode=fast)
    assert torch.autograd.gradcheck(Restless.apply, x, fast_mode=fast, nondet_tol=1e-5)


class PlantedSecond(torch.autograd.Function):
    """A square whose gradient is right, but cannot be differentiated rightly."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0].detach() * grad


def test_gradgradcheck_finds_a_planted_error():
    x = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(PlantedSecond.apply, x)
    with pytest.raises(RuntimeError, match="mismatch"):
        torch.autograd.gradgradcheck(PlantedSecond.apply, x)
    assert torch.autograd.gradgradcheck(
        lambda t: t * t * t, x, gen_non_contig_grad_outputs=True, check_fwd_over_rev=True
    )


def test_gradcheck_of_complex_functions():
    z = torch.tensor([1 + 2j, 0.5 - 1j], dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: t * t.exp(), z)
    assert torch.autograd.gradcheck(lambda t: t.abs(), z)


def test_gradcheck_rejects_inputs_that_need_nothing():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        torch.autograd.gradcheck(lambda t: t, torch.ones(1, dtype=torch.float64))


def test_high_orders_beyond_one_kernel():
    """Gradients of gradients read ever more operands; past a kernel's limit they are run operator by operator."""
    x = torch.tensor([1.3, 0.7], dtype=torch.float64, requires_grad=True)
    y = (x * x * x * x * x * x).sum()
    for order in range(1, 7):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        factor = 1
        for k in range(order):
            factor *= 6 - k
        assert g.tolist() == pytest.approx([factor * 1.3 ** (6 - order), factor * 0.7 ** (6 - order)])
        y = g.sum()
