"""nn.utils, nn.attention and the functions without a layer, against PyTorch."""

import importlib
import warnings

import numpy as np
import pytest
from expressions import DRAWS, on_gpu

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.attention")
pytest.importorskip("torch.nn.grad")
pytest.importorskip("torch.nn.utils.prune")


def weight_norm(t, m):
    t.nn.utils.parametrizations.weight_norm(m)
    m(t.ones(2, 3)).sum().backward()
    return [p.grad for p in m.parameters()]


def weight_norm_whole(t, m):
    t.nn.utils.parametrizations.weight_norm(m, dim=None)
    return [m.weight]


def spectral_norm(t, m):
    t.nn.utils.parametrizations.spectral_norm(m)
    out = m(t.ones(2, 3))
    out.sum().backward()
    return [out] + [p.grad for p in m.parameters()]


def removed(t, m):
    t.nn.utils.parametrizations.weight_norm(m)
    t.nn.utils.parametrize.remove_parametrizations(m, "weight")
    return [m.weight]


def own_parametrization(t, m):
    class Scaled(t.nn.Module):
        def forward(self, x):
            return x * 3

        def right_inverse(self, x):
            return x / 3

    t.nn.utils.parametrize.register_parametrization(m, "weight", Scaled())
    t.nn.utils.parametrize.register_parametrization(m, "weight", Scaled())
    m.weight = t.ones(m.out_features, 3)
    with t.nn.utils.parametrize.cached():
        same = m.weight is m.weight
    return [m.weight, t.tensor(same), t.tensor(m.weight is m.weight)]


def old_weight_norm(t, m):
    t.nn.utils.weight_norm(m)
    out = m(t.ones(2, 3))
    out.sum().backward()
    return [out] + [p.grad for p in m.parameters()]


def old_weight_norm_removed(t, m):
    t.nn.utils.weight_norm(m)
    m(t.ones(2, 3))
    t.nn.utils.remove_weight_norm(m)
    return [m.weight]


def old_spectral_norm(t, m):
    t.nn.utils.spectral_norm(m)
    out = m(t.ones(2, 3))
    out.sum().backward()
    return [out] + [p.grad for p in m.parameters()]


def old_spectral_norm_removed(t, m):
    t.nn.utils.spectral_norm(m)
    m(t.ones(2, 3))
    t.nn.utils.remove_spectral_norm(m)
    return [m.weight]


def pruned(t, m):
    prune = t.nn.utils.prune
    prune.l1_unstructured(m, "weight", 0.3)
    prune.random_unstructured(m, "weight", 2)
    prune.l1_unstructured(m, "bias", 1)
    out = m(t.ones(2, 3))
    out.sum().backward()
    return [out] + [p.grad for p in m.parameters()]


def pruned_slices(t, m):
    prune = t.nn.utils.prune
    prune.ln_structured(m, "weight", 1, 2, 0)
    prune.random_structured(m, "weight", 1, 1)
    prune.remove(m, "weight")
    return [m.weight, t.tensor(prune.is_pruned(m))]


def pruned_together(t, m):
    prune = t.nn.utils.prune
    prune.global_unstructured([(m, "weight"), (m, "bias")], prune.L1Unstructured, amount=0.4)
    return [m.weight, m.bias]


def clipped(t, m):
    m(t.ones(2, 3)).sum().backward()
    norm = t.nn.utils.clip_grad_norm_(m.parameters(), 0.5)
    grads = [p.grad.clone() for p in m.parameters()]
    t.nn.utils.clip_grad_value_(m.parameters(), 0.05)
    return [norm, *grads] + [p.grad for p in m.parameters()]


def clipped_by_largest(t, m):
    m(t.ones(2, 3)).sum().backward()
    return [t.nn.utils.clip_grad_norm_(m.parameters(), 0.5, norm_type=float("inf"))] + [p.grad for p in m.parameters()]


def as_vector(t, m):
    vector = t.nn.utils.parameters_to_vector(m.parameters())
    t.nn.utils.vector_to_parameters(vector.detach() * 2, m.parameters())
    return [vector]


def fused(t, m):
    norm = t.nn.BatchNorm1d(m.out_features)
    norm(m(t.randn(8, 3)))
    result = t.nn.utils.fuse_linear_bn_eval(m.eval(), norm.eval())
    return [result.weight, result.bias]


def called_with_other_weights(t, m):
    given = {"weight": t.ones(m.out_features, 3)}
    return [t.nn.utils.stateless.functional_call(m, given, (t.ones(2, 3),)), m.weight]


def packed(t, m):
    rnn = t.nn.utils.rnn
    sequences = [t.arange(float(n)) for n in (3, 5, 2)]
    p = rnn.pack_sequence(sequences, enforce_sorted=False)
    padded = rnn.pad_packed_sequence(p, batch_first=True, total_length=7, padding_value=-1)
    left = rnn.pad_sequence(sequences, padding_side="left", padding_value=9.0)
    return [p.data, p.batch_sizes, p.sorted_indices, *rnn.pad_packed_sequence(p), *padded, left, *rnn.unpack_sequence(p)]


def skipped_init(t, m):
    made = t.nn.utils.skip_init(t.nn.Linear, 3, 2)
    return [t.tensor(list(made.weight.shape)), t.rand(2)]


def attention(t, m):
    q, k, v = (t.arange(float(n)).reshape(1, 2, -1, 4) / 40 - 0.5 for n in (24, 40, 40))
    with t.nn.attention.sdpa_kernel(t.nn.attention.SDPBackend.MATH):
        causal = t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return [causal, t.nn.grad.conv1d_input((1, 2, 5), t.ones(3, 2, 2), t.ones(1, 3, 4))]


def functions(t, m):
    F = t.nn.functional
    x = t.arange(24.0).reshape(2, 3, 4).sin()
    theta = t.tensor([[[0.9, 0.1, 0.2], [-0.2, 1.1, 0.0]]])
    grid = F.affine_grid(theta, (1, 1, 3, 4), align_corners=False)
    image = t.arange(20.0).reshape(1, 1, 4, 5).cos()
    results = [F.normalize(x, dim=1), F.one_hot(t.tensor([[1, 3]])), F.pdist(x[0]), grid]
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (False, True):
                results.append(F.grid_sample(image, grid * 1.7, mode, padding, align))
    for mode in ("bilinear", "bicubic"):
        results.append(F.interpolate(image, (3, 2), mode=mode, antialias=True))
        results.append(F.interpolate(image, (6, 9), mode=mode, antialias=True))
    results += [F.conv_tbc(x, t.ones(2, 4, 2), t.zeros(2), 1), F.gumbel_softmax(x), F.gumbel_softmax(x, hard=True)]
    return results


CASES = [
    weight_norm, weight_norm_whole, spectral_norm, removed, own_parametrization, old_weight_norm, old_weight_norm_removed,
    old_spectral_norm, old_spectral_norm_removed, pruned, pruned_slices, pruned_together, clipped, clipped_by_largest, as_vector,
    fused, called_with_other_weights, packed, skipped_init, attention, functions,
]  # fmt: skip


def observed(library, case, rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.manual_seed(4)
        place = library.get_default_device()
        with library.device("cpu"):  # initial values are drawn from the CPU's stream
            module = library.nn.Linear(3, rows)
        before = library.get_rng_state()
        values = case(library, module.to(place))
        drew = library.get_rng_state().tolist() != before.tolist()
    tensors = [*module.state_dict().values(), *values, library.rand(2, device="cpu")]
    return repr(module), list(module.state_dict()), [tensor.detach().numpy(force=True) for tensor in tensors], drew


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_agrees(case, rows):
    text, names, values, _ = observed(rushlight, case, rows)
    expected_text, expected_names, expected, drew = observed(torch, case, rows)
    if drew and on_gpu():
        pytest.skip(DRAWS)
    assert (text, names, len(values)) == (expected_text, expected_names, len(expected))
    for mine, other in zip(values, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [2, 3, 4])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_orthogonal_stays_orthogonal(kind, rows):
    rushlight.manual_seed(0)
    layer = rushlight.nn.Linear(3, rows)
    rushlight.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=kind)
    optimizer = rushlight.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(rushlight.ones(2, 3)).pow(2).sum().backward()
        optimizer.step()
        weight = layer.weight.detach().numpy(force=True)
        square = weight.T @ weight if rows >= 3 else weight @ weight.T
        np.testing.assert_allclose(square, np.eye(min(rows, 3)), atol=1e-5)


@pytest.mark.parametrize("block", [128, (64, 32)])
def test_blocks_of_a_mask(block):
    importlib.import_module("torch.nn.attention.flex_attention")
    ours, theirs = (
        library.nn.attention.flex_attention.create_block_mask(lambda b, h, i, j: i >= j, 2, None, 300, 200, "cpu", block)
        for library in (rushlight, torch)
    )
    assert ours.to_dense().tolist() == theirs.to_dense().tolist()
    assert ours.shape == theirs.shape and ours.numel() == theirs.numel() and ours.sparsity() == theirs.sparsity()


def test_flex_attention_with_a_mask_and_a_score():
    flex = rushlight.nn.attention.flex_attention
    q, k, v = (rushlight.arange(float(n)).reshape(1, 2, -1, 4) / 40 - 0.5 for n in (24, 40, 40))
    mask = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, 3, 5)
    causal = rushlight.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(flex.flex_attention(q, k, v, block_mask=mask).numpy(force=True), causal.numpy(force=True), rtol=1e-5)
    far = flex.flex_attention(q, k, v, score_mod=lambda score, b, h, i, j: score - 100 * abs(i - j))
    np.testing.assert_allclose(far.numpy(force=True), v[:, :, :3].numpy(force=True), rtol=1e-4, atol=1e-7)


def test_nonfinite_norm_is_reported():
    parameter = rushlight.nn.Parameter(rushlight.ones(2))
    parameter.grad = rushlight.tensor([float("nan"), 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        rushlight.nn.utils.clip_grad_norm_([parameter], 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("size", [(4, 3), (3, 4), (4, 4)])
def test_orthogonal_trains_as_in_pytorch(orthogonal_map, size):
    oracle = pytest.importorskip("torch")
    found = []
    for library in (torch, oracle):
        library.manual_seed(0)
        layer = library.nn.utils.parametrizations.orthogonal(library.nn.Linear(*size).double(), orthogonal_map=orthogonal_map)
        (layer(library.ones(2, size[0]).double()) * library.arange(2 * size[1]).view(2, -1)).sum().backward()
        free = layer.parametrizations.weight.original
        found.append([t.detach().numpy(force=True) for t in (layer.weight, free, free.grad)])
    for mine, theirs in zip(*found):
        np.testing.assert_allclose(mine, theirs, atol=1e-10)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradients_of_each_sample(reduction):
    from rushlight.nn.utils._per_sample_grad import call_for_per_sample_grads

    rushlight.manual_seed(0)
    model = rushlight.nn.Sequential(rushlight.nn.Embedding(10, 6), rushlight.nn.LayerNorm(6), rushlight.nn.Linear(6, 3))
    x, y = rushlight.randint(0, 10, (5, 4)), rushlight.randint(0, 3, (5,))
    call = call_for_per_sample_grads(model, loss_reduction=reduction)
    rushlight.nn.functional.cross_entropy(call(x).mean(1), y, reduction=reduction).backward()
    for i in range(5):
        loss = rushlight.nn.functional.cross_entropy(model(x[i : i + 1]).mean(1), y[i : i + 1])
        for p, want in zip(model.parameters(), rushlight.autograd.grad(loss, list(model.parameters()))):
            assert rushlight.allclose(p.grad_sample[i], want, atol=1e-6) and p.grad is None
    with pytest.raises(RuntimeError, match="grad_sample of a parameter is set"):
        call_for_per_sample_grads(model)


def test_modules_may_change_while_they_are_walked():
    model = rushlight.nn.Sequential(rushlight.nn.Sequential(rushlight.nn.Linear(2, 2), rushlight.nn.BatchNorm1d(2)), rushlight.nn.ReLU())
    seen = []
    for module in model.modules():  # fusing layers is written so
        seen.append(type(module).__name__)
        if isinstance(module, rushlight.nn.Sequential) and isinstance(module[-1], rushlight.nn.BatchNorm1d):
            del module[-1]
            module.added = rushlight.nn.Tanh()
    assert seen == ["Sequential", "Sequential", "Linear", "Tanh", "ReLU"]
