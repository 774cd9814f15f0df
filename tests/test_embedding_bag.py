"""Sums of bags of rows: any widths, lengths and dtypes, against the sum of each bag."""

import itertools

import numpy as np
import pytest

import rushlight as torch
from rushlight.nn import functional as F

LENGTHS = [3, 0, 1, 17, 0, 2, 64, 5, 0]
BEGINS = list(itertools.accumulate(LENGTHS, initial=0))
INDICES = torch.tensor(np.random.RandomState(0).randint(0, 50, BEGINS[-1]))


def sums(table, factors, indices=INDICES):
    """By the definition, in float64."""
    rows = table.double().numpy()[indices.numpy()] * factors.double().numpy()[:, None]
    return np.stack([rows[b:e].sum(0) for b, e in itertools.pairwise(BEGINS)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [1, 3, 15, 16, 17, 48, 64, 100, 129, 300])
def test_bags_of_any_width_and_length(width, dtype):
    """Blocks of 8, 4, 2 and 1 vectors, and what is left over; half-width rows are added up in float32."""
    table = torch.randn(50, width, generator=torch.Generator().manual_seed(width)).to(dtype)
    factors = torch.linspace(-1, 1, BEGINS[-1]).to(dtype)
    found = F.embedding_bag(INDICES, table, torch.tensor(BEGINS), mode="sum", per_sample_weights=factors, include_last_offset=True)
    eps = torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double().numpy(), sums(table, factors), rtol=2 * eps, atol=64 * min(eps, 1.2e-7))
    mean = F.embedding_bag(INDICES, table, torch.tensor(BEGINS[:-1]))
    expected = sums(table, torch.ones(BEGINS[-1])) / np.maximum(LENGTHS, 1)[:, None]
    np.testing.assert_allclose(mean.double().numpy(), expected, rtol=4 * eps, atol=64 * min(eps, 1.2e-7))


def test_a_table_that_lies_otherwise():
    """Transposed, every other column, int32 indices and offsets."""
    wide = torch.randn(50, 40)
    for table in (torch.randn(20, 50).T, wide[:, ::2], wide[:, 1:21]):
        found = F.embedding_bag(INDICES.int(), table, torch.tensor(BEGINS[:-1], dtype=torch.int32), mode="sum")
        np.testing.assert_allclose(found.numpy(), sums(table, torch.ones(BEGINS[-1])), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_same_bits_by_any_number_of_threads(threads):
    table, indices = torch.randn(2000, 64, generator=torch.Generator().manual_seed(1)), torch.arange(40_000) * 7 % 2000
    begins = torch.arange(0, 40_000, 100)
    torch.set_num_threads(1)
    one = F.embedding_bag(indices, table, begins)
    torch.set_num_threads(threads)
    try:
        assert torch.equal(F.embedding_bag(indices, table, begins), one)
    finally:
        torch.set_num_threads(2)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients(mode):
    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    indices, begins = torch.tensor([0, 5, 5, 2, 1]), torch.tensor([0, 2, 2])
    factors = torch.randn(5, dtype=torch.float64, requires_grad=True) if mode == "sum" else None
    inputs = (table,) if factors is None else (table, factors)
    assert torch.autograd.gradcheck(lambda t, w=None: F.embedding_bag(indices, t, begins, mode=mode, per_sample_weights=w), inputs)
    assert torch.autograd.gradgradcheck(lambda t, w=None: F.embedding_bag(indices, t, begins, mode=mode, per_sample_weights=w), inputs)


@pytest.mark.parametrize(
    "offsets, message",
    [
        ([0, 6, 4], "must rise from 0 to at most 10, the number of indices, but number 2 is 4 after 6"),
        ([0, -1, 4], "number 1 is -1 after 0"),
        ([0, 11, 4], "number 1 is 11"),
        ([0, 4, 11], "can not be greater than input's length 10"),
        ([1, 2], r"offsets\[0\] has to be 0"),
    ],
)
def test_offsets_that_cannot_be(offsets, message):
    with pytest.raises(RuntimeError, match=message):
        F.embedding_bag(torch.arange(10), torch.randn(10, 4), torch.tensor(offsets), mode="sum")


def test_indices_outside_the_table():
    for index in (10, -11):
        with pytest.raises(IndexError, match="out of range"):
            F.embedding_bag(torch.tensor([0, index]), torch.randn(10, 4), torch.tensor([0]))
