"""What programs see of the recorded graph, beside PyTorch: inputs without gradient, hooks of nodes, kept tensors."""

import re

import graph_programs
import place
import pytest
from oracle import torch

import rushlight as rl

LARGER = re.compile(r"F\.|addmm|linalg|scatter_add|to\(x")  # calls whose nodes here are cut otherwise, or that leave none


@pytest.mark.parametrize("call", graph_programs.calls())
def test_graphs_look_like_pytorchs(call):
    assert graph_programs.look(rl, call) == graph_programs.look(torch, call)


@pytest.mark.parametrize("call", [c for c in graph_programs.calls() if not LARGER.search(c)])
def test_nodes_are_functions(call):
    assert rounded(graph_programs.step(rl, call)) == rounded(graph_programs.step(torch, call))


def rounded(value):
    if isinstance(value, str):
        return place.worded(value)
    if isinstance(value, complex):
        return rounded(value.real), rounded(value.imag)
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) > 1e-6 else 0.0
    return type(value)(rounded(v) for v in value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("program", ["in_place", "node_hooks", "twice", "saved", "saved_details", "called"])
def test_programs_that_look_at_nodes(program):
    run = getattr(graph_programs, program)
    ours, theirs = rounded(run(rl)), rounded(run(torch))
    for mine, other in zip(ours, theirs):
        assert mine == other
    assert len(ours) == len(theirs)


def test_a_recorded_call_is_not_looked_at_until_it_is():
    """A node gets its class, and a linear map its parts, when a program asks for grad_fn."""
    x, w = rl.ones(2, 3, requires_grad=True), rl.ones(4, 3, requires_grad=True)
    y = rl.nn.functional.linear(x, w)
    node = y.grad_fn
    assert type(node).__name__ == "MmBackward0" and node is y.grad_fn and node.next_functions[1][0] is node.next_functions[1][0]


def test_nodes_refuse_gradients_that_are_not_like_their_results():
    """Kernels of gradients believe what the tape tells them: a wrong shape would have them read elsewhere."""
    a, b = rl.rand(4, 5, requires_grad=True), rl.rand(5, 3, requires_grad=True)
    y = a @ b
    for wrong in (rl.rand(4, 2), rl.rand(3), rl.rand(()), rl.rand(4, 3, 1), rl.rand(4, 0)):
        with pytest.raises(RuntimeError, match=r"Mismatch in shape: grad_output\[0\] has a shape of"):
            y.grad_fn(wrong)
    left, right = y.grad_fn(rl.ones(4, 3, dtype=rl.float64))
    assert left.dtype == rl.float32 and left.shape == (4, 5) and right.shape == (5, 3)
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        y.grad_fn.next_functions[0][0](rl.ones(5, 4))
    inner = (a * 2 @ b).grad_fn
    with pytest.raises(RuntimeError, match=r"is not known\n.*y\.grad_fn"):
        inner.next_functions[0][0](rl.ones(4, 5))
    edge = rl.autograd.graph.GradientEdge(y.grad_fn, 0)
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        rl.autograd.grad(edge, a, rl.rand(4, 2))
    found = inner.next_functions[0][0](inner(rl.ones(4, 3))[0])
    assert (found[0] if isinstance(found, tuple) else found).shape == (4, 5)
