"""utils.checkpoint: the same values, gradients and draws as without it, and less memory kept."""

import warnings

import pytest

import rushlight
from rushlight.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential, set_checkpoint_early_stop

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs")


def block(x, w):
    y = (x * w).sin()
    return (y * rushlight.rand(4)).exp() * y


def gradients(run):
    rushlight.manual_seed(0)
    x, w = rushlight.rand(4, requires_grad=True), rushlight.rand(4, requires_grad=True)
    out = run(x, w)
    after = rushlight.rand(1).item()
    out.sum().backward()
    return out.tolist(), x.grad.tolist(), w.grad.tolist(), after


@pytest.mark.parametrize("reentrant", [False, True])
def test_values_gradients_and_draws_are_the_same(reentrant):
    assert gradients(block) == gradients(lambda x, w: checkpoint(block, x, w, use_reentrant=reentrant))


def test_nested_checkpoints():
    def outer(x, w):
        return checkpoint(block, checkpoint(block, x * 2, w, use_reentrant=False), w, use_reentrant=False).cos()

    plain = gradients(lambda x, w: block(block(x * 2, w), w).cos())
    assert gradients(lambda x, w: checkpoint(outer, x, w, use_reentrant=False)) == plain


def test_nothing_is_kept_in_the_forward_pass():
    kept = []
    x = rushlight.rand(4, requires_grad=True)

    def function(x):
        return x.exp().sin().exp()

    with rushlight.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        out = checkpoint(function, x, use_reentrant=False)
    assert len(kept) == 1 and kept[0].tolist() == x.tolist()  # the input and nothing else
    (grad,) = rushlight.autograd.grad(out.sum(), x)
    (want,) = rushlight.autograd.grad(function(x).sum(), x)
    assert grad.tolist() == want.tolist()


def test_a_graph_that_is_retained_is_computed_again():
    x = rushlight.rand(4, requires_grad=True)
    runs = []
    out = checkpoint(lambda x: runs.append(1) or x.exp().sin(), x, use_reentrant=False)
    (first,) = rushlight.autograd.grad(out.sum(), x, retain_graph=True)
    (second,) = rushlight.autograd.grad(out.sum(), x)
    assert first.tolist() == second.tolist() and len(runs) == 3


def test_second_derivatives():
    x = rushlight.tensor([0.3, 0.7], dtype=rushlight.float64, requires_grad=True)
    results = []
    for run in (lambda f, x: f(x), lambda f, x: checkpoint(f, x, use_reentrant=False)):
        (grad,) = rushlight.autograd.grad(run(lambda x: x.exp().sin(), x).sum(), x, create_graph=True)
        results.append(rushlight.autograd.grad(grad.sum(), x)[0].tolist())
    assert results[0] == pytest.approx(results[1])


def test_keyword_arguments_and_contexts():
    seen = []

    class Context:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *error):
            pass

    x = rushlight.ones(2, requires_grad=True)
    contexts = (Context("forward"), Context("again"))
    out = checkpoint(lambda x, scale: (x * scale).exp(), x, scale=2.0, use_reentrant=False, context_fn=lambda: contexts)
    out.sum().backward()
    assert seen == ["forward", "again"] and x.grad.tolist() == pytest.approx([2 * 7.389056] * 2)


def test_a_function_that_changes_is_noticed():
    for second, message in ((lambda x: x[:2].exp().exp(), "different metadata"), (lambda x: x * 2, "different number")):
        functions = [lambda x: x.exp().exp(), second]
        x = rushlight.ones(4, requires_grad=True)
        out = checkpoint(lambda x, functions=functions: functions.pop(0)(x), x, use_reentrant=False)
        with pytest.raises(CheckpointError, match=message):
            out.sum().backward()


def test_early_stop_can_be_switched_off():
    ends = []

    def function(x):
        y = x.exp() + 1
        ends.append(1)
        return y

    for enabled, count in ((True, 1), (False, 2)):
        ends.clear()
        with set_checkpoint_early_stop(enabled):
            out = checkpoint(function, rushlight.ones(2, requires_grad=True), use_reentrant=False)
        out.sum().backward()
        assert len(ends) == count


def test_sequential_parts():
    functions = [rushlight.exp, rushlight.sin, rushlight.cos, rushlight.exp, rushlight.sin]
    x = rushlight.rand(3, requires_grad=True)
    whole = x
    for function in functions:
        whole = function(whole)
    (want,) = rushlight.autograd.grad(whole.sum(), x)
    for segments in (1, 2, 3, 5):
        out = checkpoint_sequential(functions, segments, x, use_reentrant=False)
        assert out.tolist() == whole.tolist()
        assert rushlight.autograd.grad(out.sum(), x)[0].tolist() == want.tolist()


def test_arguments():
    x = rushlight.ones(2, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoint(rushlight.exp, x)
    assert any("use_reentrant parameter should be passed explicitly" in str(w.message) for w in caught)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: scale"):
        checkpoint(rushlight.exp, x, use_reentrant=True, scale=1)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(rushlight.exp, x, use_reentrant=True, debug=True)
