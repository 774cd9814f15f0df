"""Normalisation: every form against PyTorch, in float64 and float32, in both memory formats, with gradients."""

import itertools

import numpy as np
import pytest

import rushlight

oracle = pytest.importorskip("torch")
RNG = np.random.default_rng(11)


def batch(f, x, w, b):
    return f.batch_norm(x, None, None, w, b, training=True)


def inference(f, x, w, b):
    c = x.shape[1]
    return f.batch_norm(x, x.detach().flatten()[:c] * 0.1, x.detach().flatten()[:c].abs() + 0.5, w, b)


def group(f, x, w, b):
    return f.group_norm(x, 3, w, b)


def instance(f, x, w, b):
    return f.instance_norm(x, weight=w, bias=b)


def layer(f, x, w, b):
    return f.layer_norm(x, (x.shape[1], *x.shape[2:]))


SHAPES = [(2, 6, 5, 7), (3, 6, 1, 17), (1, 6, 33, 2), (2, 6, 19), (4, 6, 2, 3, 5), (2, 66, 4, 4)]


@pytest.mark.parametrize("call", [batch, inference, group, instance, layer])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("affine", [False, True])
def test_norms_are_pytorch_s(call, shape, affine):
    arrays = [RNG.standard_normal(shape) + 2] + [RNG.standard_normal(shape[1]) for _ in range(2 * affine)]
    for dtype, bound in (("float64", 1e-11), ("float32", 1e-4)):
        for last in (False, True) if len(shape) in (4, 5) else (False,):
            found = []
            for library in (oracle, rushlight):
                form = (library.channels_last if len(shape) == 4 else library.channels_last_3d) if last else library.contiguous_format
                x = library.tensor(arrays[0]).to(getattr(library, dtype)).contiguous(memory_format=form).requires_grad_()
                vectors = [library.tensor(a).to(x.dtype).requires_grad_() for a in arrays[1:]]
                out = call(library.nn.functional, x, *(vectors or (None, None)))
                if call in (batch, inference):
                    assert out.is_contiguous(memory_format=form)
                out.backward(library.tensor(np.cos(np.arange(out.numel()))).reshape(out.shape).to(out.dtype))
                found.append([t.detach().numpy(force=True) for t in (out, *(g.grad for g in (x, *vectors) if g.grad is not None))])
            for theirs, mine in zip(*found, strict=True):
                np.testing.assert_allclose(mine, theirs, atol=bound * max(1, np.abs(theirs).max()), rtol=0)


def test_zero_sizes():
    for shape in ((0, 6, 4), (2, 6, 0)):
        x = rushlight.zeros(shape)
        assert rushlight.nn.functional.group_norm(x, 3).shape == shape


def test_refused_running_statistics_are_not_changed():
    mean, variance = rushlight.full((3,), 5, dtype=rushlight.int8), rushlight.ones(3)
    with pytest.raises(RuntimeError, match="mixed dtype"):
        rushlight.nn.functional.batch_norm(rushlight.randn(4, 3), mean, variance, training=True)
    assert mean.tolist() == [5, 5, 5] and variance.tolist() == [1, 1, 1]


def test_batch_norm_takes_and_refuses_the_dtypes_that_pytorch_does():
    names = ["float32", "float64", "bfloat16", "float16"]

    def answer(t, input, stats, parameters, training):
        x = t.ones(4, 2, 3).to(getattr(t, input)) + t.arange(3).to(getattr(t, input))
        mean, variance = t.zeros(2, dtype=getattr(t, stats)), t.ones(2, dtype=getattr(t, stats))
        scale = None if parameters is None else t.ones(2, dtype=getattr(t, parameters))
        try:
            return str(t.nn.functional.batch_norm(x, mean, variance, scale, scale, training=training).dtype)
        except RuntimeError as error:
            return str(error).split("\n")[0]

    for case in itertools.product(names, [*names, "int64"], [None, *names], [True, False]):
        assert answer(rushlight, *case) == answer(oracle, *case), case


@pytest.mark.parametrize("last", [False, True])
def test_half_width_beside_parameters_of_float32(last):
    """The statistics of many elements are as precise as float32 is, and parameters' gradients are float32: few channels, whose rows a GPU
    cuts into stretches."""
    torch, form = rushlight, rushlight.channels_last if last else rushlight.contiguous_format
    values = RNG.standard_normal((2, 3, 300, 152)) * 2 + 3
    x = torch.tensor(values).to(torch.bfloat16).contiguous(memory_format=form).requires_grad_()
    exact = x.detach().double().requires_grad_()
    vectors = [torch.rand(3, requires_grad=True), torch.rand(3, requires_grad=True), torch.zeros(3), torch.ones(3)]
    doubles = [v.detach().double().requires_grad_(v.requires_grad) for v in vectors]
    g = torch.tensor(np.cos(np.arange(values.size))).reshape(x.shape).to(x.dtype)
    found = []
    for image, (weight, bias, mean, variance) in ((x, vectors), (exact, doubles)):
        out = torch.nn.functional.batch_norm(image, mean, variance, weight, bias, True)
        assert out.is_contiguous(memory_format=form) and out.dtype is image.dtype
        out.backward(g.to(image.dtype))
        assert image.grad.dtype is image.dtype and weight.grad.dtype is weight.dtype
        found.append([t.detach().double().numpy(force=True) for t in (out, image.grad, weight.grad, bias.grad, mean, variance)])
    for name, mine, wanted in zip(("out", "image", "weight", "bias", "mean", "variance"), *found, strict=True):
        bound = 2**-8 if name in ("out", "image") else 2e-6
        np.testing.assert_allclose(mine, wanted, atol=bound * np.abs(wanted).max(), rtol=0, err_msg=name)


def _layer(t, x, w, b):
    return t.nn.functional.layer_norm(x, x.shape[-1:], w, b)


def _group(t, x, w, b):
    return t.nn.functional.group_norm(x, 4, w, b)


def _permuted(t, x, w, b):
    return t.nn.functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], w, b)


_MANY_ROWS = [(_layer, (3000, 70)), (_layer, (40, 4, 1300)), (_group, (40, 24, 13, 17)), (_permuted, (3, 40, 57, 55))]


@pytest.mark.parametrize("call, shape", _MANY_ROWS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("wanted", [(0, 1, 2), (1, 2), (2, 0)])
def test_gradients_of_parameters_are_sums_over_many_rows(call, shape, dtype, wanted):
    """Larger than what one piece of rows adds up: as accurate as float64's, whichever gradients are asked for and with the graph kept."""
    channels = shape[-1] if call is _layer else shape[1]
    values = [RNG.normal(size=s) for s in (shape, channels, channels)]
    results = []
    for t, kind in ((oracle, "float64"), (rushlight, dtype)):
        tensors = [t.tensor(v, dtype=getattr(t, dtype)).to(getattr(t, kind)) for v in values]
        leaves = [tensors[i].requires_grad_() for i in wanted]
        y = call(t, *tensors)
        g = t.sin(t.arange(y.numel()).to(getattr(t, dtype)).reshape(y.shape)).to(y.dtype)
        results.append(t.autograd.grad(y, leaves, g, retain_graph=True))
    graph = rushlight.autograd.grad(y, leaves, g, create_graph=True)
    close = dict(rtol=1e-4, atol=1e-4) if dtype == "float32" else dict(rtol=2e-2, atol=2e-2)
    for want, got, recorded in zip(*results, graph, strict=True):
        assert got.dtype is recorded.dtype is getattr(rushlight, dtype)
        scale = want.abs().max().item()
        np.testing.assert_allclose(got.double().cpu().numpy() / scale, want.cpu().numpy() / scale, **close)
        np.testing.assert_allclose(recorded.detach().double().cpu().numpy() / scale, want.cpu().numpy() / scale, **close)


_KEPT = {
    "layer_norm": lambda x: rushlight.nn.functional.layer_norm(x, (70,)),
    "rms_norm": lambda x: rushlight.nn.functional.rms_norm(x, (70,)),
    "var of rows": lambda x: x.var(1),
    "std of columns": lambda x: x.std(0),
    "var": lambda x: x.var(),
}


@pytest.mark.parametrize("call", _KEPT.values(), ids=_KEPT.keys())
def test_kept_means_give_the_gradient_that_is_recorded(call):
    """The gradient that reads what the forward pass kept of rows has the bits of the one that computes it again."""
    x = rushlight.tensor(RNG.normal(size=(50, 70)), dtype=rushlight.float32, requires_grad=True)
    y = call(x)
    g = rushlight.sin(rushlight.arange(y.numel()).float().reshape(y.shape))
    (lean,) = rushlight.autograd.grad(y, x, g, retain_graph=True)
    (again,) = rushlight.autograd.grad(y, x, g, retain_graph=True)
    (recorded,) = rushlight.autograd.grad(y, x, g, create_graph=True)
    assert recorded.requires_grad and not lean.requires_grad
    assert rushlight.equal(lean, recorded) and rushlight.equal(lean, again)


def test_kept_means_go_with_the_graph():
    x = rushlight.randn(5, 70, requires_grad=True)
    y = rushlight.nn.functional.layer_norm(x, (70,))
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    z = x * 1
    y = rushlight.nn.functional.layer_norm(z, (70,))
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


_FEW = {
    "batch norm, channels last": lambda t, x: t.nn.functional.batch_norm(_last(t, x), None, None, training=True),
    "inference, channels last": lambda t, x: t.nn.functional.batch_norm(_last(t, x), x.detach()[:35], x.detach()[:35] ** 2 + 1),
    "inference": lambda t, x: t.nn.functional.batch_norm(x.reshape(20, 35, 20, 20), x.detach()[:35], x.detach()[:35] ** 2 + 1),
    "batch norm of three channels": lambda t, x: t.nn.functional.batch_norm(x[:-1].reshape(1, 3, -1), None, None, training=True),
    "layer norm": lambda t, x: t.nn.functional.layer_norm(x, x.shape),
    "softmax": lambda t, x: t.softmax(x, 0),
    "log_softmax": lambda t, x: t.log_softmax(x.reshape(2, -1), 1),
    "normalize": lambda t, x: t.nn.functional.normalize(x, dim=0),
    "std": lambda t, x: t.std(x) * x[:100],
    "logsumexp": lambda t, x: t.logsumexp(x, 0) * x[:100],
}


def _last(t, x):
    return x.reshape(20, 35, 20, 20).contiguous(memory_format=t.channels_last)


@pytest.mark.parametrize("call", _FEW.values(), ids=_FEW.keys())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_long_rows(call, dtype):
    """Rows that are too few for threads to share, or have no reduction, are computed level by level."""
    results = []
    values = RNG.normal(size=280_000)
    for t, kind in ((oracle, "float64"), (rushlight, dtype)):
        x = t.tensor(values, dtype=getattr(t, dtype)).to(getattr(t, kind)).requires_grad_()
        y = call(t, x)
        (g,) = t.autograd.grad(y, x, t.sin(t.arange(y.numel()).to(y.dtype)).reshape(y.shape))
        results.append((y.detach(), g))
    for want, got in zip(*results, strict=True):
        scale = want.abs().max().item()
        tolerance = 2e-6 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(got.cpu().double().numpy() / scale, want.numpy() / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("eps, training", [(0.0, True), (-1.0, True), (-1.0, False)])
def test_batch_norm_refuses_an_eps_that_is_not_positive(eps, training):
    for library in (oracle, rushlight):
        x, ones = library.ones(4, 3), library.ones(3)
        with pytest.raises(ValueError, match=f"batch_norm eps must be {'positive during training' if training else 'non-negative'}"):
            library.nn.functional.batch_norm(x, ones, ones, training=training, eps=eps)
        assert library.nn.functional.batch_norm(x, ones, ones, eps=0.0).tolist() == [[0.0] * 3] * 4


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4), (2, 3, 0), (0, 3, 4, 4), (2, 0, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_of_nothing(shape, training):
    """Weights take part: their gradients are zeros, and the running statistics stay."""
    channels = shape[1]
    x, w, b = (rushlight.zeros(n, requires_grad=True) for n in (shape, channels, channels))
    mean, variance = rushlight.ones(channels), rushlight.full((channels,), 2.0)
    out = rushlight.nn.functional.batch_norm(x, mean, variance, w, b, training)
    out.sum().backward()
    assert out.shape == shape == x.grad.shape and w.grad.tolist() == b.grad.tolist() == [0] * channels
    assert mean.tolist() == [1] * channels and variance.tolist() == [2] * channels
