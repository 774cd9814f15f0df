"""cdist by differences and by one matrix product."""

import numpy as np
import pytest

import rushlight

MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", [((30, 5), (4, 5)), ((2, 1, 30, 5), (3, 40, 5)), ((3, 5), (4, 5))])
def test_all_ways_agree_with_float64(mode, sizes):
    random = np.random.RandomState(0)
    x, y = (random.randn(*size) for size in sizes)
    y[..., 0, :] = x.reshape(-1, 5)[0]  # two rows meet: distance zero, gradient zero
    a, b = (rushlight.tensor(v, requires_grad=True) for v in (x, y))
    found = rushlight.cdist(a, b, compute_mode=mode)
    expected = np.sqrt(((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1))
    np.testing.assert_allclose(found.detach().numpy(force=True), expected, atol=1e-7)
    gradients = rushlight.autograd.grad(found.sum(), [a, b])
    assert all(g.isfinite().all() for g in gradients)


def test_gradients_to_second_order():
    a, b = (rushlight.randn(n, 4, dtype=rushlight.float64, requires_grad=True) for n in (3, 28))
    assert rushlight.autograd.gradcheck(rushlight.cdist, (a, b)) and rushlight.autograd.gradgradcheck(rushlight.cdist, (a, b))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="not a valid value for compute_mode"):
        rushlight.cdist(rushlight.ones(2, 2), rushlight.ones(2, 2), compute_mode="fast")


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 0.0, float("inf")])
@pytest.mark.parametrize("width", [3, 16, 17, 40])
def test_pairs_of_short_and_long_rows(width, p):
    x = np.random.RandomState(0).randn(20, width).astype("float32")
    expected = np.linalg.norm((x[:, None] - x[None]).astype("float64"), p, -1) if p else np.full((20, 20), float(width))
    found = rushlight.pdist(rushlight.from_numpy(x), p).numpy()
    np.testing.assert_allclose(found, expected[np.triu_indices(20, 1)], rtol=1e-6)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("sizes", [((20, 3), (30, 3)), ((20, 40), (7, 40)), ((2, 1, 9, 17), (3, 11, 17))], ids=str)
def test_gradients_of_distances_by_differences(p, sizes):
    random = np.random.RandomState(0)
    x, y = (random.randn(*size) for size in sizes)
    y[..., 0, :] = x.reshape(-1, x.shape[-1])[0]  # two rows meet
    y[..., 1, 0] = x.reshape(-1, x.shape[-1])[1, 0]  # and one number of two others
    a, b = (rushlight.tensor(v, requires_grad=True) for v in (x, y))
    found = rushlight.cdist(a, b, p, "donot_use_mm_for_euclid_dist")
    weight = random.randn(*found.shape)
    found.backward(rushlight.tensor(weight))
    difference = x[..., :, None, :] - y[..., None, :, :]
    with np.errstate(all="ignore"):
        norm = (np.abs(difference) ** p).sum(-1, keepdims=True) ** (1 / p)
        slope = np.sign(difference) * (np.abs(difference) / norm) ** (p - 1)
    pulls = np.where((norm == 0) | (difference == 0), 0, slope) * weight[..., None]
    for gradient, pulled in ((a.grad, pulls.sum(-2)), (b.grad, -pulls.sum(-3))):
        sizes = (1,) * (pulled.ndim - gradient.ndim) + gradient.shape
        lead = tuple(d for d, (n, m) in enumerate(zip(pulled.shape, sizes)) if n != m)
        np.testing.assert_allclose(gradient.numpy(force=True), pulled.sum(lead).reshape(gradient.shape), rtol=1e-9, atol=1e-12)


def test_gradients_have_the_same_bits_with_any_number_of_threads():
    x, found, threads = rushlight.randn(300, 16, requires_grad=True), [], rushlight.get_num_threads()
    for n in (1, 2):
        rushlight.set_num_threads(n)
        found += rushlight.autograd.grad(rushlight.pdist(x).sin().sum(), x)
    rushlight.set_num_threads(threads)
    assert rushlight.equal(*found)


def test_gradients_write_nothing_for_each_pair_and_number():
    x = rushlight.randn(256, 64, requires_grad=True)
    distances = rushlight.pdist(x)
    with rushlight.profiler.profile(profile_memory=True) as prof:
        distances.sum().backward()
    assert max(event.self_cpu_memory_usage for event in prof.events()) < 256 * 256 * 64
