"""Operators whose operands lie dense along different dims: values and strides as where all are row-major, for any number of threads."""

import itertools

import pytest
from oracle import torch

import rushlight as rl

SHAPES = [(16, 16), (33, 65), (15, 300), (300, 17), (129, 64), (17, 5, 23), (3, 40, 2, 19)]


def laid_out(x, dims):
    """x's values, dense in the order of ``dims``."""
    back = sorted(range(len(dims)), key=dims.__getitem__)
    return x.permute(*dims).contiguous().permute(*back)


@pytest.fixture
def threads():
    before = rl.get_num_threads()
    yield rl.set_num_threads
    rl.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "bfloat16", "float32", "int64", "float64", "complex64", "complex128"])
def test_dense_along_different_dims(dtype, threads):
    for shape in SHAPES:
        a, b, c = ((rl.rand(shape) * 100).to(getattr(rl, dtype)) for _ in range(3))
        wanted = (a * b + c).tolist()
        for dims in itertools.permutations(range(len(shape))):
            x, y, z = a, laid_out(b, dims), laid_out(c, dims[::-1])
            for n in (1, 2, 8):
                threads(n)
                assert (x * y + z).tolist() == wanted
                assert rl.where(x != y, y, z).tolist() == rl.where(a != b, b, c).tolist()
            like = [torch.empty_strided(shape, t.stride()) for t in (x, y)]
            assert (y * x).stride() == (like[1] * like[0]).stride()


def test_more_turned_operands_than_tiles_hold():
    operands = [laid_out(rl.rand(40, 50), (1, 0)) for _ in range(2)]
    flat = rl.empty(40, 50)
    rl.addcmul(rl.ones(40, 50), *operands, out=flat)
    assert rl.equal(flat, rl.addcmul(rl.ones(40, 50), *(t.contiguous() for t in operands)))
    wide = [laid_out(rl.rand(40, 50).to(rl.complex128), (1, 0)) for _ in range(3)]
    assert rl.equal(rl.addcmul(*wide), rl.addcmul(*(t.contiguous() for t in wide)))


def test_results_within_another_tensor():
    x, y = rl.rand(60, 70), rl.rand(70, 60)
    space = rl.zeros(70, 140)
    space[:60, ::2].add_(x + 0).mul_(y.t())
    assert rl.equal(space[:60, ::2], x * y.t().contiguous())
    assert not space[:, 1::2].any() and not space[60:].any()


@pytest.mark.cpu("its sums have one order for all layouts")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_rows_across_the_results(dtype):
    for shape in ((40, 60), (7, 20, 30), (2, 40, 9, 3)):
        a = rl.randn(shape).to(getattr(rl, dtype))
        for dims in itertools.permutations(range(len(shape))):
            x, weight = laid_out(a, dims), rl.rand(shape[-1]).to(a.dtype)
            for dim in range(len(shape)):
                assert rl.equal(x.softmax(dim), a.softmax(dim))
                assert rl.equal(x.log_softmax(dim), a.log_softmax(dim))
            assert rl.equal(rl.nn.functional.layer_norm(x, shape[-1:], weight), rl.nn.functional.layer_norm(a, shape[-1:], weight))
