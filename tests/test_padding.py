"""Padding with the input's own elements, against indices of NumPy."""

import numpy as np
import pytest

import rushlight as rl
from rushlight.nn import functional as F

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap", "constant": "constant"}
PADS = [(1, 2), (0, 3, 2, 0), (1, 2, 3, 0, 2, 1)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pad", PADS, ids=str)
@pytest.mark.parametrize("size", [4, 37])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_as_numpy_pads(mode, pad, size, dtype):
    rank = len(pad) // 2
    x = np.random.RandomState(0).randint(-99, 99, (2, 3, *range(size, size + rank))).astype(dtype)
    amounts = [(0, 0), (0, 0), *reversed([pad[2 * i : 2 * i + 2] for i in range(rank)])]
    found = F.pad(rl.tensor(x), pad, mode)
    np.testing.assert_array_equal(found.numpy(force=True), np.pad(x, amounts, MODES[mode]))


@pytest.mark.parametrize("mode", MODES)
def test_same_bits_with_any_number_of_threads(mode):
    x, found, threads = rl.randn(3, 4, 129, 77), [], rl.get_num_threads()
    for n in (1, 2):
        rl.set_num_threads(n)
        found.append(F.pad(x, (1, 2, 3, 4), mode))
    rl.set_num_threads(threads)
    assert rl.equal(*found)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("shape", [(4, 0), (2, 0, 3), (2, 3, 0)], ids=str)
def test_nothing_is_not_repeated(mode, shape):
    with pytest.raises(RuntimeError, match=r"Expected 2D or 3D .* other non-zero dimensions for input, but got"):
        F.pad(rl.zeros(shape), (1, 1), mode)
    assert F.pad(rl.zeros(0, 3, 4), (1, 1), mode).shape == (0, 3, 6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_gradients(mode, dims):
    x = rl.randn(2, 2, *[3] * dims, dtype=rl.float64, requires_grad=True)
    pad = lambda x: F.pad(x, (1, 2) * dims, mode)  # noqa: E731
    assert rl.autograd.gradcheck(pad, (x,)) and rl.autograd.gradgradcheck(pad, (x,))
