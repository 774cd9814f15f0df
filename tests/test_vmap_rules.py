"""vmap against a loop: on PyTorch's samples of every operator; and the operators that must not loop."""

import itertools

import pytest
from oracle import refused_alike, torch
from oracle_samples import callables, database, from_rl, outcome, spelled, tensors, to_rl, unlike

import rushlight as rl
import rushlight.func  # before anything is patched
from rushlight.autograd import _batching, _batching_families, _batching_rules

L = rl.linalg
ONE_CALL = {
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, 0),
    "pad": lambda x: rl.nn.functional.pad(x, (1, 2)),
    "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(0),
    "cummax": lambda x: x.cummax(1)[0],
    "logcumsumexp": lambda x: x.logcumsumexp(0),
    "sort": lambda x: x.sort(0)[0],
    "argsort": lambda x: x.argsort(1),
    "topk": lambda x: x.topk(2, 0)[0],
    "kthvalue": lambda x: x.kthvalue(2, 1)[0],
    "median": lambda x: x.median(1).values,
    "mode": lambda x: x.mode(0)[0],
    "gather": lambda x: x.gather(1, rl.tensor([[0, 2], [1, 1], [0, 0]])),
    "gather by batched indices": lambda x: x.gather(1, x.argsort(1)),
    "index_select": lambda x: x.index_select(1, rl.tensor([2, 0])),
    "fft": lambda x: rl.fft.fft(x).abs(),
    "rfft2": lambda x: rl.fft.irfft2(rl.fft.rfft2(x)),
    "inv": lambda x: L.inv(x @ x.t() + rl.eye(3)),
    "solve": lambda x: L.solve(x @ x.t() + rl.eye(3), rl.ones(3, 2)),
    "cholesky_solve": lambda x: L.solve_triangular(x.tril() + 4 * rl.eye(3), x, upper=False),
    "svdvals": lambda x: L.svdvals(x),
    "qr": lambda x: L.qr(x)[1].abs(),
    "det": lambda x: L.slogdet(x)[1].reshape(1),
    "pinv": lambda x: L.pinv(x),
    "eigvalsh": lambda x: L.eigvalsh(x + x.t()),
    "max along a dim": lambda x: x.max(1)[0] + x.min(0).values,
    "conv1d": lambda x: rl.nn.functional.conv1d(x[None], rl.ones(2, 3, 2)),
    "max_pool1d": lambda x: rl.nn.functional.max_pool1d(x[None], 2),
    "avg_pool1d": lambda x: rl.nn.functional.avg_pool1d(x[None], 2),
    "index tensors": lambda x: x[:, rl.tensor([2, 0])] + x[rl.tensor([0, 1, 1]), rl.tensor([1, 1, 2])][:, None],
    "mask": lambda x: x[:, rl.tensor([True, False, True])],
    "conj": lambda x: rl.complex(x, x).conj().imag,
    "softmax": lambda x: x.softmax(1) + x.sum() + x.mean(0),
    "views": lambda x: x.t()[1:].reshape(-1).unsqueeze(0).expand(2, -1),
    "einsum": lambda x: rl.einsum("ij,kj->ik", x, x),
    "linear": lambda x: rl.nn.functional.linear(x, rl.ones(2, 3), rl.ones(2)),
    "gelu": lambda x: rl.nn.functional.gelu(x) * x,
    "where": lambda x: rl.where(x > 0, x, 0.0),
    "cat": lambda x: rl.cat([x, rl.ones(1, 3), x]),
}


def no_loop(func, *args):
    raise AssertionError(f"vmap loops over {func.__name__}")


@pytest.mark.parametrize("name", ONE_CALL)
def test_one_call_for_the_batch(name, monkeypatch):
    x = rl.randn(4, 3, 3, generator=rl.Generator(rl.get_default_device()).manual_seed(3))
    want = rl.stack([ONE_CALL[name](row) for row in x])
    with monkeypatch.context() as patched:
        for module in (_batching, _batching_families, _batching_rules):
            patched.setattr(module, "loop", no_loop)
        got = rl.vmap(ONE_CALL[name])(x)
        turned = rl.vmap(ONE_CALL[name], in_dims=2, out_dims=1)(x.permute(1, 2, 0))
    assert rl.allclose(got, want, rtol=1e-4, atol=1e-5)
    assert rl.allclose(turned.movedim(1, 0), want, rtol=1e-4, atol=1e-5)
    assert rl.allclose(rl.vmap(ONE_CALL[name], chunk_size=3)(x), want, rtol=1e-4, atol=1e-5)


RANDOM = {"normal", "bernoulli", "multinomial", "rand_like", "randn_like", "randint_like", "cauchy", "exponential", "geometric",
          "log_normal",
          "uniform", "nn.functional.dropout", "nn.functional.dropout2d", "nn.functional.dropout3d", "nn.functional.alpha_dropout",
          "nn.functional.feature_alpha_dropout", "nn.functional.rrelu", "nn.functional.scaled_dot_product_attention",
          "nn.functional.multi_head_attention_forward"}  # fmt: skip
WITHOUT = {
    "item": "gives a number", "allclose": "gives a bool", "equal": "gives a bool", "resize_": "changes the example's shape",
    "native_batch_norm": "updates statistics that all examples share", "nn.functional.batch_norm": "as native_batch_norm",
    "nn.functional.instance_norm": "as native_batch_norm", "unique": "results of different shapes", "unique_consecutive": "as unique",
    "nonzero": "as unique", "argwhere": "as unique", "masked_select": "as unique",
}  # fmt: skip


def against_loop(info):
    """The first difference between vmap over two copies of a sample and the sample alone, or None."""
    (_, _, ours), *_ = callables(info)
    for sample in itertools.islice(info.sample_inputs("cpu", torch.float32), 6):
        x, args, kwargs = sample.input, to_rl(sample.args), to_rl(sample.kwargs)
        if not isinstance(x, torch.Tensor) or x.dtype is not torch.float32:
            continue
        want, refused = outcome(rl, ours, (to_rl(x), *args), kwargs)
        if refused is not None:
            continue
        args, kwargs = to_rl(sample.args), to_rl(sample.kwargs)
        got, error = outcome(rl, rl.vmap(lambda t, a=args, k=kwargs: ours(t, *a, **k)), (to_rl(torch.stack([x, x])),), {})
        if error is not None:
            return spelled(error)
        for g, w in zip(tensors(got), tensors(want), strict=True):
            for example in g:
                if difference := unlike(from_rl(example), from_rl(w)):
                    return difference
    return None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(10))
def test_every_operator_against_a_loop(part):
    found = []
    for info in database()[part::10]:
        if info.name not in RANDOM and info.name not in WITHOUT and torch.float32 in info.supported_dtypes("cpu") and list(callables(info)):
            if difference := against_loop(info):
                found.append(f"{info.name}.{info.variant_test_name}: {difference}")
    assert not found, "\n".join(found)


# -- batched gradients: many vector-Jacobian products in one backward pass --


def gradients_of_examples(info):
    """The first difference between a pass for three gradients at once and three passes, or None."""
    (_, _, ours), *_ = callables(info)
    for sample in itertools.islice(info.sample_inputs("cpu", torch.float64, requires_grad=True), 8):
        args, kwargs = to_rl((sample.input, *sample.args)), to_rl(sample.kwargs)
        result, refused = outcome(rl, ours, args, kwargs)
        outputs = [t for t in tensors(result) if t.requires_grad] if refused is None else []
        inputs = [t for t in tensors([args, kwargs]) if t.requires_grad]
        if outputs and inputs and (difference := together_or_apart(outputs, inputs)):
            return difference
    return None


def together_or_apart(outputs, inputs):
    seed = rl.Generator(rl.get_default_device()).manual_seed(5)
    vectors = [rl.randn(3, *t.shape, generator=seed, dtype=t.dtype) for t in outputs]

    def grad(vectors, **options):
        return rl.autograd.grad(outputs, inputs, vectors, allow_unused=True, retain_graph=True, **options)

    rows, refused = outcome(rl, lambda: [grad([v[i] for v in vectors]) for i in range(3)], (), {})
    if refused is not None:
        return None
    got, error = outcome(rl, lambda: grad(vectors, is_grads_batched=True), (), {})
    if error is not None:
        return spelled(error)
    pairs = [(batch, column) for batch, column in zip(got, zip(*rows)) if column[0] is not None or batch is not None]
    return next((d for batch, column in pairs if (d := unlike(from_rl(batch), from_rl(rl.stack(column))))), None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ("add", "sum", "nn.functional.layer_norm", "linalg.solve", "matmul", "unfold", "index_select", "cumsum"))
def test_gradients_of_examples(name):
    for info in database():
        if info.name == name:
            assert not (difference := gradients_of_examples(info)), difference


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(10))
def test_gradients_of_examples_of_every_operator(part):
    found = []
    for info in database()[part::10]:
        if info.supports_autograd and torch.float64 in info.supported_dtypes("cpu") and list(callables(info)):
            if difference := gradients_of_examples(info):
                found.append(f"{info.name}.{info.variant_test_name}: {difference}")
    assert not found, "\n".join(found)


def test_gradients_of_examples_whose_gradient_walks_a_graph():
    x = rl.arange(9.0).reshape(1, 1, 3, 3).sin().requires_grad_()
    places = rl.linspace(-0.9, 0.9, 8).reshape(1, 2, 2, 2).requires_grad_()
    out = rl.nn.functional.grid_sample(x, places, align_corners=False)
    grads = rl.stack([rl.ones_like(out), out.detach()])
    found = rl.autograd.grad(out, (x, places), grads, is_grads_batched=True, retain_graph=True)
    for i, grad in enumerate(grads):
        for batched, alone in zip(found, rl.autograd.grad(out, (x, places), grad, retain_graph=True)):
            assert rl.allclose(batched[i], alone)


JACOBIANS = {
    "pointwise": lambda T, x: x * x.sum(0),
    "rowwise": lambda T, x: x.softmax(-1) * x.mean(),
    "products": lambda T, x: T.nn.functional.linear(x, x * 2, x[0, :2]) @ x,
    "views": lambda T, x: T.cat([x.t().reshape(2, 3)[:, 1:], x[:, ::2]], 1).permute(1, 0).expand(2, -1, -1).diagonal(0, 1, 2),
    "library": lambda T, x: x.gather(1, T.tensor([[0, 0], [2, 1]])).sort(1)[0].cumsum(1),
    "asks for a value": lambda T, x: x * x.sum().item() if x.sum() > 0 else -x,
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians(name):
    values = [[0.1, 0.2, -0.3], [0.5, -1.0, 2.0]]
    f = JACOBIANS[name]
    want = torch.func.jacrev(lambda x: f(torch, x))(torch.tensor(values, dtype=torch.float64))
    x = rl.tensor(values, dtype=rl.float64)
    for got in (
        rl.func.jacrev(lambda x: f(rl, x))(x),
        rl.func.jacrev(lambda x: f(rl, x), chunk_size=2)(x),
        rl.func.jacfwd(lambda x: f(rl, x))(x),
        rl.autograd.functional.jacobian(lambda x: f(rl, x), x, vectorize=True),
    ):
        assert not (difference := unlike(from_rl(got), want)), difference


def test_a_jacobian_is_one_pass():
    """Hooks of nodes run once for all elements of the output, as many times as there are chunks."""
    passes = []

    def f(x):
        y = x.exp()
        y.grad_fn.register_hook(lambda grads, outputs: passes.append(outputs[0].shape))
        return y * 2

    rl.func.jacrev(f)(rl.ones(4))
    assert passes == [(4, 4)]
    passes.clear()
    rl.func.jacrev(f, chunk_size=3)(rl.ones(4))
    assert passes == [(3, 4), (1, 4)]


def test_one_pass_for_all_examples_of_a_vjp(monkeypatch):
    """``vjp_fn`` made outside of vmap: the examples go through the graph together, and give what one after the other gives."""
    x, w, cotangents = rl.randn(5, 4), rl.randn(4, 3), rl.randn(7, 5, 3)
    _, back = rl.func.vjp(lambda x: (x @ w).tanh().softmax(1), x)
    one_by_one = rl.stack([back(c)[0] for c in cotangents])
    nested = rl.vmap(rl.vmap(back))(cotangents[None].expand(2, 7, 5, 3))[0]
    monkeypatch.setattr("rushlight.autograd.func.loop", None)
    together = rl.vmap(back)(cotangents)[0]
    assert rl.allclose(together, one_by_one) and rl.allclose(nested[1], one_by_one)


def test_promotion_is_that_of_one_example():
    """A number of each example has no say in the dtype beside a vector of its category, though the batch of them is a vector too."""
    half, double = rl.ones(2, dtype=rl.float16), rl.ones(3, dtype=rl.float64)
    assert rl.vmap(lambda t: t + half)(double).dtype == rl.float16
    assert rl.vmap(lambda t: rl.maximum(half, t))(double).dtype == rl.float16
    assert rl.vmap(lambda t, u: t + u)(double, rl.ones(3, 2)).dtype == rl.float32
    assert rl.vmap(lambda t: t + rl.ones(2, dtype=rl.int64))(double).dtype == rl.float64
    assert rl.vmap(lambda t: t + rl.ones((), dtype=rl.float64))(double.half()).dtype == rl.float64
    assert rl.vmap(lambda t: rl.where(t, half, half))(double > 0).dtype == rl.float16
    assert rl.vmap(lambda t: t * rl.ones(2, dtype=rl.complex64))(double).dtype == rl.complex64


@pytest.mark.parametrize("in_dims", [0, 1, -1])
def test_strides_are_those_of_an_example(in_dims):
    def seen(t):
        found = []
        t.func.vmap(lambda x: found.append((x.stride(), x.stride(-1), x.is_contiguous())) or x, in_dims)(t.zeros(2, 3, 4))
        return found

    assert seen(rl) == seen(torch)


def test_copies_and_empty_vectors_within_a_batch():
    x = rl.arange(24.0).reshape(2, 3, 4)
    copy = rl.func.vmap(lambda t: t.to("cpu", rl.float32, True, True, memory_format=rl.preserve_format))(x)
    if x.is_cuda:
        rl.cuda.synchronize()  # the copy does not wait
    assert copy.equal(x.cpu()) and copy.data_ptr() != x.data_ptr()
    assert rl.func.vmap(lambda t: rl.cat([t[:, :0].reshape(-1), t], dim=1))(x).equal(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.func.jacrev(lambda x: 3)(T.ones(2)),
        lambda T: T.func.jacrev(lambda x: x, has_aux=True)(T.ones(2)),
        lambda T: T.func.jvp(lambda x: x, (T.zeros(2),), (T.ones(3),)),
    ],
)
def test_errors_begin_as_pytorchs(call):
    refused_alike(call)
