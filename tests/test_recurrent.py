"""Recurrent layers: the kernels of a step against PyTorch, over layers, directions, packed sequences and projections; derivatives."""

import numpy as np
import pytest

import rushlight
from rushlight.ops import recurrent

oracle = pytest.importorskip("torch")

RNG = np.random.default_rng(3)
KINDS = ["LSTM", "GRU", "RNN"]
# (in, hidden, steps, batch): around panels of 8 to 32 hidden units, tasks of 32 rows, and what is taken 8, 4, 2 and 1 row at once
SIZES = [(1, 1, 1, 1), (5, 7, 6, 4), (3, 33, 4, 17), (2, 40, 3, 70)]
OPTIONS = [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False, "bidirectional": True}]


def results(library, kind, arrays, sizes, options, dtype, lengths):
    """Outputs, last states and all gradients, of weights that are cosines."""
    net = getattr(library.nn, kind)(*sizes[:2], **options).to(getattr(library, dtype))
    with library.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(library.tensor(np.cos(np.arange(p.numel()) + i)).reshape(p.shape) / 3)
    x, *states = (library.tensor(a).to(getattr(library, dtype)).requires_grad_() for a in arrays)
    packed = library.nn.utils.rnn.pack_padded_sequence(x, lengths) if lengths else x
    out, last = net(packed, tuple(states) if kind == "LSTM" else states[0])
    out, last = out.data if lengths else out, list(last) if kind == "LSTM" else [last]
    loss = (out * library.tensor(np.sin(np.arange(out.numel()))).reshape(out.shape).to(out.dtype)).sum()
    (loss + sum((h * (i + 1)).pow(2).sum() for i, h in enumerate(last))).backward()
    return [t.detach().numpy(force=True) for t in (out, *last, x.grad, *(s.grad for s in states), *(p.grad for p in net.parameters()))]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
def test_layers_are_pytorch_s(kind, sizes, options, packed):
    _, hidden, steps, batch = sizes
    layers = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    arrays = [RNG.standard_normal((steps, batch, sizes[0]))]
    arrays += [RNG.standard_normal((layers, batch, hidden)) for _ in range(1 + (kind == "LSTM"))]
    lengths = [steps, *sorted(RNG.integers(1, steps + 1, batch - 1).tolist(), reverse=True)] if packed else None
    for dtype, bound in (("float64", 1e-13), ("float32", 1e-5)):
        found = [results(library, kind, arrays, sizes, options, dtype, lengths) for library in (oracle, rushlight)]
        for theirs, mine in zip(*found, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=bound * max(1, np.abs(theirs).max()), rtol=0)


def test_relu_and_projections():
    arrays = [RNG.standard_normal((4, 3, 5)), RNG.standard_normal((1, 3, 7))]
    found = [results(lib, "RNN", arrays, (5, 7), {"nonlinearity": "relu"}, "float64", None) for lib in (oracle, rushlight)]
    arrays = [RNG.standard_normal((4, 3, 5)), RNG.standard_normal((2, 3, 2)), RNG.standard_normal((2, 3, 7))]
    options = {"proj_size": 2, "bidirectional": True}
    found += [results(lib, "LSTM", arrays, (5, 7), options, "float64", [4, 2, 2]) for lib in (oracle, rushlight)]
    for theirs, mine in zip(found[0] + found[2], found[1] + found[3], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-13)


@pytest.mark.parametrize("mode", recurrent.CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_derivatives_to_second_order(mode, reverse):
    rushlight.manual_seed(0)
    gates, f64 = recurrent.CELLS[mode].gates, rushlight.float64
    shapes = [(5, 2), (3, 2), (gates * 2, 2), (gates * 2, 2), (gates * 2,), (gates * 2,)] + [(3, 2)] * (mode == "LSTM")
    tensors = [rushlight.randn(*s, dtype=f64).requires_grad_() for s in shapes]

    def run(x, h, w, u, a, b, c=None):
        return recurrent.run_layer(x, h, c, w, u, a, b, None, mode, [3, 2], reverse)

    assert rushlight.autograd.gradcheck(run, tensors)
    assert rushlight.autograd.gradgradcheck(run, tensors, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_threads(kind):
    net, x = getattr(rushlight.nn, kind)(20, 70), rushlight.randn(6, 90, 20)
    before, found = rushlight.get_num_threads(), []
    for threads in (1, 2, 3):
        rushlight.set_num_threads(threads)
        net.zero_grad()
        net(x)[0].sum().backward()
        found.append([p.grad.clone() for p in net.parameters()])
    rushlight.set_num_threads(before)
    assert all(rushlight.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_outputs_may_be_overwritten_in_place():
    """The state that the gradient needs is not the memory of the outputs."""
    net, x = rushlight.nn.LSTM(3, 4), rushlight.randn(5, 2, 3)
    net(x)[0].relu().sum().backward()
    want = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(x)[0].relu_().sum().backward()
    assert all(rushlight.equal(p.grad, w) for p, w in zip(net.parameters(), want, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_without_gradients_the_numbers_are_the_same(kind, sizes):
    """Then a state is kept for one step only, and nothing for the gradient."""
    inside, hidden, steps, batch = sizes
    net, x = getattr(rushlight.nn, kind)(inside, hidden, bidirectional=True), rushlight.randn(steps, batch, inside)
    for given in (x, rushlight.nn.utils.rnn.pack_padded_sequence(x, [steps - i * steps // batch for i in range(batch)])):
        recorded = net(given)
        with rushlight.no_grad():
            plain = net(given)
        data = (recorded[0], plain[0]) if given is x else (recorded[0].data, plain[0].data)
        states = [result[1] if kind == "LSTM" else result[1:] for result in (recorded, plain)]
        assert rushlight.equal(*data)
        assert all(rushlight.equal(a, b) for a, b in zip(*states, strict=True))
