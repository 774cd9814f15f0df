"""Attention: the tiled kernels against the composition in float64 and against PyTorch, in every form of mask, shape and layout."""

import itertools

import numpy as np
import pytest
from place import on_gpu

import rushlight
from rushlight.nn.functional import scaled_dot_product_attention as attend
from rushlight.ops import attention

oracle = pytest.importorskip("torch")

RNG = np.random.default_rng(7)
DTYPES = {"float64": 1e-14, "float32": 3e-6, "bfloat16": 2e-2, "float16": 2e-3}
# (batch, heads, key heads, queries, keys, E, Ev): around panels of 8 to 32 columns, 6 to 13 rows, and blocks of 48 to 208 keys
SHAPES = [
    (1, 1, 1, 3, 1, 1, 1), (2, 3, 3, 5, 7, 3, 17), (1, 2, 2, 33, 33, 64, 64), (2, 2, 1, 31, 97, 40, 13), (1, 4, 2, 70, 210, 12, 65),
    (1, 1, 1, 65, 430, 8, 8), (1, 2, 2, 130, 20, 9, 5), (5, 4, 4, 40, 40, 33, 16),
]  # fmt: skip
MASKS = ["none", "causal", "bool", "padding", "numbers"]


def mask_of(kind, batch, queries, keys):
    if kind in ("none", "causal"):
        return None
    if kind == "numbers":
        return RNG.standard_normal((queries, keys))
    mask = RNG.random((batch, 1, 1, keys) if kind == "padding" else (queries, keys)) > 0.4
    mask[(0,) if kind == "bool" else (0, 0, 0)] = False  # who sees nothing
    return mask


def operands(shape, dtype):
    batch, heads, key_heads, queries, keys, inside, outside = shape
    sizes = [(batch, heads, queries, inside), (batch, key_heads, keys, inside), (batch, key_heads, keys, outside)]
    return [rushlight.tensor(RNG.standard_normal(s)).to(getattr(rushlight, dtype)) for s in sizes]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients_are_the_composition_s(shape, kind, dtype):
    tensors = operands(shape, dtype)
    mask = mask_of(kind, shape[0], shape[3], shape[4])
    mask = None if mask is None else rushlight.tensor(mask)
    if kind == "numbers":
        mask = mask.to(tensors[0].dtype)
    results = []
    for exact in (False, True):
        leaves = [(x.double() if exact else x).detach().requires_grad_() for x in tensors]
        if exact:
            wide = mask.double() if kind == "numbers" else mask
            out = attention.composed(*leaves, wide, kind == "causal", 0.37)
        else:
            out = attend(*leaves, mask, is_causal=kind == "causal", scale=0.37, enable_gqa=True)
            assert out.dtype is leaves[0].dtype and out.grad_fn.name() == "ScaledDotProductFlashAttentionForCpuBackward0"
        weight = rushlight.tensor(np.cos(np.arange(out.numel()))).reshape(out.shape).to(tensors[0].dtype)
        out.backward(weight.to(out.dtype))
        results.append([out.detach().double(), *(x.grad.double() for x in leaves)])
    for mine, exact in zip(*results, strict=True):
        assert rushlight.isfinite(mine).all()
        assert (mine - exact).abs().max() <= DTYPES[dtype] * max(1, exact.abs().max())


def layouts(x):
    """The same values, differently in memory."""
    yield x.transpose(1, 2).contiguous().transpose(1, 2)
    yield x.transpose(2, 3).contiguous().transpose(2, 3)
    wide = rushlight.zeros(*x.shape[:-1], x.shape[-1] + 3)
    wide[..., 1:-2] = x
    yield wide[..., 1:-2]
    yield rushlight.stack([x, x], -1)[..., 1]


def test_layouts_in_memory_change_nothing():
    q, k, v = operands((2, 3, 3, 37, 45, 20, 20), "float32")
    want = attend(q, k, v, is_causal=True)
    for a, b, c in itertools.product(*(list(layouts(x)) for x in (q, k, v))):
        out = attend(a, b, c, is_causal=True)
        assert rushlight.equal(out, want)
    assert attend(q.transpose(1, 2).contiguous().transpose(1, 2), k, v).transpose(1, 2).is_contiguous()
    assert attend(q, k, v).is_contiguous()


@pytest.mark.parametrize("shapes", [
    ((39, 8), (50, 8), (50, 16)), ((4, 39, 8), (4, 50, 8), (4, 50, 16)), ((3, 2, 4, 39, 8), (3, 2, 4, 50, 8), (3, 2, 4, 50, 16)),
    ((2, 4, 39, 8), (1, 1, 50, 8), (2, 1, 50, 8)), ((2, 1, 39, 8), (2, 4, 50, 8), (2, 4, 50, 8)),
    ((2, 4, 1, 8), (2, 4, 50, 8), (2, 4, 50, 8)),
    ((2, 4, 0, 8), (2, 4, 50, 8), (2, 4, 50, 8)), ((2, 4, 5, 8), (2, 4, 0, 8), (2, 4, 0, 8)), ((0, 4, 5, 8), (0, 4, 6, 8), (0, 4, 6, 8)),
], ids=str)  # fmt: skip
def test_ranks_and_sizes_that_pytorch_takes(shapes):
    arrays = [RNG.standard_normal(s).astype("float32") for s in shapes]
    want = oracle.nn.functional.scaled_dot_product_attention(*map(oracle.tensor, arrays)).numpy(force=True)
    out = attend(*map(rushlight.tensor, arrays)).numpy(force=True)
    assert out.shape == want.shape
    np.testing.assert_allclose(out, want, atol=2e-6)


def test_second_derivatives():
    q, k, v = (x.requires_grad_() for x in operands((1, 4, 2, 4, 5, 3, 2), "float64"))
    mask = rushlight.tensor(RNG.random((4, 5)) > 0.3)
    mask[1] = False
    for options in (dict(is_causal=True), dict(attn_mask=mask)):
        def call(*x, options=options):
            return attend(*x, enable_gqa=True, **options)

        fast = dict(fast_mode=on_gpu())  # along random directions there: thousands of launches, each in the stand-in's time
        assert rushlight.autograd.gradcheck(call, (q, k, v), **fast) and rushlight.autograd.gradgradcheck(call, (q, k, v), **fast)


def test_a_mask_that_learns_gets_its_gradient():
    q, k, v = operands((1, 2, 2, 4, 5, 3, 2), "float64")
    mask = rushlight.randn(4, 5, dtype=rushlight.float64).requires_grad_()
    assert rushlight.autograd.gradcheck(lambda m: attend(q, k, v, m), (mask,))


def test_transforms():
    q, k, v = operands((3, 2, 2, 5, 6, 4, 4), "float64")
    np.testing.assert_allclose(rushlight.func.vmap(attend)(q, k, v).numpy(force=True), attend(q, k, v).numpy(force=True), atol=1e-15)
    tangent = rushlight.func.jvp(lambda x: attend(x, k, v), (q,), (rushlight.ones_like(q),))[1]
    step = 1e-6
    difference = (attend(q + step, k, v) - attend(q - step, k, v)) / (2 * step)
    np.testing.assert_allclose(tangent.numpy(force=True), difference.numpy(force=True), atol=1e-8)


def test_bits_do_not_depend_on_threads():
    tensors = operands((1, 2, 1, 300, 500, 32, 32), "float32")
    results, before = [], rushlight.get_num_threads()
    for threads in (1, 2, 3):
        rushlight.set_num_threads(threads)
        leaves = [x.detach().requires_grad_() for x in tensors]
        out = attend(*leaves, is_causal=True, enable_gqa=True)
        out.sum().backward()
        results.append([out.detach(), *(x.grad for x in leaves)])
    rushlight.set_num_threads(before)
    for other in results[1:]:
        assert all(rushlight.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.cpu("PyTorch's stream of random bits there")
def test_dropout_draws_pytorch_s_numbers():
    arrays = [RNG.standard_normal((2, 3, 9, 4)).astype("float32") for _ in range(3)]
    found = []
    for library in (oracle, rushlight):
        library.manual_seed(3)
        out = library.nn.functional.scaled_dot_product_attention(*map(library.tensor, arrays), dropout_p=0.4)
        found.append(out.numpy(force=True))
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropped_weights_and_the_gradient_of_the_mask_are_the_composition_s(shape, dtype):
    batch, heads, _, queries, keys, *_ = shape
    for size in ((batch, heads, queries, keys), (1, heads, queries, keys), (1, 1, 1, keys), (batch, 1, queries, 1)):
        tensors = [*operands(shape, dtype), rushlight.tensor(RNG.standard_normal(size)).to(getattr(rushlight, dtype))]
        kept = rushlight.tensor((RNG.random((batch, heads, queries, keys)) > 0.3) * 1.5).to(tensors[0].dtype)
        results = []
        for exact in (False, True):
            leaves = [(x.double() if exact else x).detach().requires_grad_() for x in tensors]
            if exact:
                out = attention.composed(*leaves, False, 0.37, lambda weights, kept=kept: weights * kept.double())
            else:
                out = attention.attention(*leaves, kept, False, 0.37)[0]
            weight = rushlight.tensor(np.cos(np.arange(out.numel()))).reshape(out.shape).to(tensors[0].dtype)
            out.backward(weight.to(out.dtype))
            results.append([out.detach().double(), *(x.grad.double() for x in leaves)])
        for ours, exact in zip(*results):
            assert (ours - exact).abs().max() <= 4 * DTYPES[dtype] * max(1, exact.abs().max().item()) * max(1, queries / keys)


def test_second_derivatives_with_dropped_weights_and_a_mask():
    leaves = [*operands((1, 2, 2, 5, 6, 3, 4), "float64"), rushlight.tensor(RNG.standard_normal((1, 1, 5, 6)))]
    kept = rushlight.tensor((RNG.random((1, 2, 5, 6)) > 0.3) * 1.5)
    leaves = [x.requires_grad_() for x in leaves]
    assert rushlight.autograd.gradcheck(lambda *x: attention.attention(*x, kept, False, 0.37)[0], leaves)
    assert rushlight.autograd.gradgradcheck(lambda *x: attention.attention(*x, kept, False, 0.37)[0], leaves)


def test_memory_grows_with_the_length():
    """A quarter of what the scores of one head alone would take, 256 MB at 8192 x 8192, is more than is used."""
    n = 1024 if on_gpu() else 8192
    attend(*operands((1, 1, 1, 40, 40, 8, 8), "float32"))
    q, k, v = (rushlight.zeros(1, 1, n, 8, requires_grad=True) for _ in range(3))
    before = peak()
    attend(q, k, v).sum().backward()
    assert peak() - before < n * n * 4 // 4


def peak():
    """The most bytes that were in use so far, on the GPU where tensors are there."""
    if on_gpu():
        return rushlight.cuda.max_memory_allocated()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("queries, keys", [(5, 9), (7, 7)])
def test_causal_masks_by_name(queries, keys):
    """What they print and what attention makes of them is PyTorch's; with other operators they are the mask."""
    torches = rushlight.nn.attention.bias, pytest.importorskip("torch.nn.attention.bias")
    rows = [RNG.standard_normal((2, 3, n, 8)).astype("float32") for n in (queries, keys, keys)]
    for name in ("causal_upper_left", "causal_lower_right"):
        ours, theirs = (getattr(room, name)(queries, keys) for room in torches)
        assert repr(ours) == repr(theirs) and int(ours.variant) == int(theirs.variant)
        found = attend(*map(rushlight.from_numpy, rows), ours, scale=0.3)
        wanted = oracle.nn.functional.scaled_dot_product_attention(*map(oracle.from_numpy, rows), theirs, scale=0.3)
        assert type(found) is rushlight.Tensor and np.allclose(found.numpy(), wanted.numpy(), atol=1e-6)
        assert (~ours).sum().item() == queries * keys - ours.sum().item()
        with pytest.raises(ValueError, match="should not be used with causal=True"):
            attend(*map(rushlight.from_numpy, rows), ours, is_causal=True)
    with pytest.warns(UserWarning, match="NaNs"):
        torches[0].causal_lower_right(3, 2)
    with pytest.raises(TypeError, match="CausalVariant"):
        torches[0].CausalBias(1, 2, 3)
