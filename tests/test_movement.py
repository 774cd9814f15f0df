"""Flips, rolls, repetitions, in-place views, changes of size and padding, against PyTorch."""

import warnings

import numpy as np
import pytest
from expressions import check, check_gradients, rows
from oracle import rl, same, torch

from rushlight.ops.padding import pad_around


@rows(
    """
    x.flip(0)
    x.flip([0, 1])
    x.flip(0, 1)
    x.flip(())
    x.flip(0, 0)
    x.flip(3)
    x.flip()
    T.flip(x, [0])
    x.fliplr()
    x.flipud()
    A(3).fliplr()
    L(1.).flipud()
    x.roll(1)
    x.roll(1, 0)
    x.roll((1, 2), (0, 1))
    x.roll((1, 2))
    x.roll(1, (0, 1))
    x.roll(shifts=5, dims=1)
    x.roll(1, 7)
    T.roll(T.empty(0, 3), 1, 0).shape
    x.rot90()
    x.rot90(2)
    x.rot90(-1, [0, 1])
    x.rot90(5, (1, 0))
    x.rot90(1, [0, 0])
    x.rot90(1, [0])
    x.rot90(1, [0, 5])
    A(3).rot90()
    x.repeat(2, 2)
    x.repeat(2, 1, 1).shape
    x.repeat(2)
    x.repeat((2, 2)).shape
    x.repeat(0, 1).shape
    x.repeat(-1, 1).shape
    L(1.).repeat(3)
    x.repeat()
    L(1.).repeat()
    T.tile(x, (2, )).shape
    x.tile(2, 2).shape
    x.tile((2, 1, 1)).shape
    x.repeat_interleave(2)
    x.repeat_interleave(2, 0)
    x.repeat_interleave(L([1, 2, 0]), 0)
    x.repeat_interleave(L([1, 2, 0]), dim=0, output_size=3)
    x.repeat_interleave(L([1, 2, 0]), 1)
    x.repeat_interleave(L([2]), 0, output_size=6)
    x.repeat_interleave(L([1, 2, 0]), 0, output_size=4).tolist()
    x.repeat_interleave(2, 0, output_size=6)
    x.repeat_interleave(2, 0, output_size=5)
    x.repeat_interleave(L([1, 2, 0]))
    x.repeat_interleave(L([2]), 1).shape
    x.repeat_interleave(L(2), 1).shape
    x.repeat_interleave(-1, 1)
    x.repeat_interleave(L([1, -2, 0]), 0)
    x.repeat_interleave(L([1., 2, 0]), 0)
    x.repeat_interleave(L([[1, 2, 0]]), 0)
    T.repeat_interleave(L([1, 2, 0]))
    T.repeat_interleave(L([1, 2, 0], dtype=T.int32))
    T.repeat_interleave(L([1., 2, 0]))
    x.movedim(0, 1).shape
    y.movedim((0, 1), (2, 0)).shape
    y.movedim(0, -1).stride()
    y.moveaxis(0, -1).stride()
    y.movedim((0, 1), (2, )).shape
    y.movedim((0, 0), (2, 1)).shape
    y.movedim((0, 1), (2, 2)).shape
    y.movedim(5, 0)
    y.movedim(source=0, destination=2).shape
    y.swapaxes(0, 2).shape
    y.swapdims(0, 2).shape
    y.swapaxes(axis0=0, axis1=2).shape
    y.swapdims(dim0=0, dim1=2).shape
    y.unflatten(2, (2, 2)).shape
    y.unflatten(-1, (2, -1)).shape
    y.unflatten(2, (3, 2)).shape
    y.unflatten(2, ())
    y.unflatten(2, (3, -1))
    y.unflatten(5, (3, -1))
    y.unflatten(dim=1, sizes=(3, 1)).shape
    y.ravel().shape
    y.ravel().data_ptr()==y.data_ptr()
    x.t().ravel()
    x.clone().squeeze_().shape
    T.ones(1, 3, 1).squeeze_(0).shape
    T.ones(1, 3, 1).squeeze_((0, 2)).shape
    x.clone().unsqueeze_(1).shape
    x.clone().transpose_(0, 1).stride()
    x.clone().t_().stride()
    y.clone().t_()
    y.clone().swapaxes_(0, 2).shape
    y.clone().swapdims_(0, 2).shape
    x.clone().unsqueeze_(7)
    x.clone().as_strided_((2, 2), (1, 2), 1)
    x.clone().detach_()
    x.narrow_copy(0, 1, 2)
    x.narrow_copy(0, 2, 2)
    T.combinations(L([1, 2, 3]))
    T.combinations(L([1, 2, 3]), 3)
    T.combinations(L([1, 2, 3]), 1)
    T.combinations(L([1, 2, 3]), 0)
    T.combinations(L([1, 2, 3]), 2, True)
    T.combinations(L([1, 2, 3]), 4)
    T.combinations(x)
    T.combinations(L([1, 2, 3]), -1)
    x.clone().resize_(2, 2)
    x.clone().resize_((2, 2)).stride()
    x.clone().resize_(20).shape
    x.t().resize_(2, 2)
    T.ones(3, requires_grad=True).resize_(2)
    x.clone().resize_as_(T.ones(2, 2)).shape
    x.clone().resize_(-1)
    T.add(x, x, out=T.empty(0)).shape
    T.add(x, x, out=T.empty(5)).shape
    T.add(x, x, out=T.empty(6, 4)[::2]).shape
    T.add(x, x, out=T.empty(7, 4)[::2]).shape
    T.zeros(3, 3).fill_diagonal_(2)
    T.zeros(3).fill_diagonal_(2)
    T.zeros(3, 4).fill_diagonal_(2)
    T.zeros(8, 3).fill_diagonal_(2, True)
    T.zeros(3, 3, 3).fill_diagonal_(2).sum()
    T.zeros(3, 3, 4).fill_diagonal_(2)
    """
)
def test_movement(row):
    check(row)


@rows(
    """
    F.pad(x, (1, 2)).shape
    F.pad(x, (1, 2), value=3.)
    F.pad(x, (1, 2, 3, 4)).shape
    F.pad(x, (1, -2)).shape
    F.pad(x, (-3, -2))
    F.pad(x, (1, ))
    F.pad(x, (1, 2, 3, 4, 5, 6))
    F.pad(x, (1, 2), 'reflect')
    F.pad(y, (1, 2), 'reflect')
    F.pad(y, (1, 2, 1, 1), 'reflect')
    F.pad(y, (4, 2), 'reflect')
    F.pad(y, (1, 2), 'replicate')
    F.pad(y, (9, 2), 'replicate').shape
    F.pad(y, (1, 2), 'circular')
    F.pad(y, (5, 2), 'circular')
    F.pad(y, (1, 2), 'foo')
    F.pad(x, (1, 2), 'reflect', value=1.)
    F.pad(A(3), (1, 2), 'reflect')
    F.pad(y, (1, 2, 1, 2, 1, 2), 'reflect')
    F.pad(y, (-1, 2), 'reflect')
    F.pad(y, (-1, 2), 'circular')
    F.pad(y, (-1, 2), 'replicate')
    F.pad(y[None], (-1, 2, 1, 1), 'reflect').shape
    F.pad(y[None], (1, 2), 'reflect').shape
    F.pad(y[None, None], (1, 2, 1, 1, 1, 1), 'reflect').shape
    F.pad(y[None, None], (1, 2, 1, 1), 'reflect').shape
    F.pad(x.long(), (1, 2), value=2)
    F.pad(x.long(), (1, 2), value=2.5)
    F.pad(x>5, (1, 2), value=True)
    F.pad(x, ()).shape
    F.pad(T.ones(1, 0), (1, 1))
    T.constant_pad_nd(x, (1, 1), 5.)
    """
)
def test_pad(row):
    check(row)


@rows(
    """
    a.flip(0)
    a.flip((0, 1))
    a.roll(1)
    a.roll((1, 2), (0, 1))
    a.rot90(1)
    a.rot90(2)
    a.repeat(2, 3)
    a.repeat(2, 1, 2)
    s.repeat(3)
    a.tile((2,))
    a.repeat_interleave(2)
    a.repeat_interleave(3, 1)
    a.repeat_interleave(L([1, 0, 2]), 0)
    c.movedim(0, 2)
    c.swapaxes(0, 2)
    c.unflatten(2, (2, 2))
    c.ravel()
    c.transpose(0, 1).ravel()
    a.narrow_copy(0, 1, 2)
    T.combinations(b)
    v = a * 2; v.t_(); v
    v = a * 2; v.unsqueeze_(1); v * v
    v = a * 2; v.transpose_(0, 1).squeeze_(); v[1:3] * b[:3]
    v = a * 2; w = v[1:]; w.t_(); w.mul_(2); v * v
    v = a * 2; v.fill_diagonal_(3); v
    F.pad(a, (1, 2))
    F.pad(a, (1, 2, -1, 1), value=2.)
    F.pad(a, (1, -1))
    F.pad(c, (1, 2), 'reflect')
    F.pad(c, (1, 2, 2, 1), 'reflect')
    F.pad(c, (1, 2), 'replicate')
    F.pad(c, (3, 2, 1, 1), 'replicate')
    F.pad(c, (1, 2), 'circular')
    F.pad(c, (-1, 2, 1, 0), 'circular')
    """
)
def test_gradients(row):
    check_gradients(row)


def test_a_storage_that_grows_takes_those_with_it_that_share_it():
    def run(L):
        x = L.arange(6.0)
        view, storage = x.view(2, 3), x.untyped_storage()
        part = x[1:4].resize_(10)
        part[:] = 7
        view[0, 2] = 9
        x[:1] = 5
        told = storage.nbytes(), part.storage_offset(), part._version, x._version, part.data_ptr() - x.data_ptr()
        return x, view, part, *told, storage.data_ptr() == x.data_ptr(), L.arange(4.0)[2:].resize_(3, 3).storage_offset()

    same(run(rl), run(torch))


def test_memory_of_an_array_does_not_grow():
    array = np.arange(4.0)
    with pytest.raises(RuntimeError, match="Trying to resize storage that is not resizable"):
        rl.from_numpy(array).resize_(5)
    assert rl.from_numpy(array).resize_(2, 2).sum() == 6


def test_resize_in_a_memory_format():
    image = rl.empty(2, 3, 4, 5).to(memory_format=rl.channels_last)
    assert rl.empty(3).resize_(2, 3, 4, 5, memory_format=rl.channels_last).stride() == (60, 1, 15, 3)
    assert rl.empty(2, 3, 4, 5).resize_(2, 3, 4, 5, memory_format=rl.channels_last).stride() == (60, 1, 15, 3)
    assert image.resize_(2, 3, 4, 5).stride() == (60, 1, 15, 3)
    assert rl.empty(3).resize_as_(image, memory_format=rl.preserve_format).stride() == (60, 1, 15, 3)
    assert rl.empty(3).resize_as_(image).stride() == (60, 20, 5, 1)
    with pytest.raises(RuntimeError, match="Unsupported memory formatPreserve"):
        image.resize_(2, memory_format=rl.preserve_format)


def test_a_shrunk_tensor_keeps_its_memory():
    x = rl.arange(6.0)
    start = x.data_ptr()
    assert x.resize_(2, 2).data_ptr() == start and x.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_change_of_geometry_counts_as_a_write():
    x = rl.ones(2, 3, requires_grad=True)
    y = x * 1
    z = y * y
    y.t_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_out_of_another_shape_warns_unless_empty():
    x = rl.ones(3)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized since it had shape"):
        rl.add(x, x, out=rl.empty(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rl.add(x, x, out=rl.empty(0)).tolist() == [2, 2, 2]


@pytest.mark.parametrize("name", ["uint8", "int16", "float32", "float64", "complex128"])
def test_rows_turned_around_in_vectors(name):
    np = pytest.importorskip("numpy")
    for shape in ((7,), (20001,), (3, 17), (5, 4, 9), (6, 8195), (2, 3, 1)):
        a = (np.random.default_rng(0).normal(size=shape) ** 2 * 50).astype(name)
        t = rl.from_numpy(a)
        every = tuple(range(a.ndim))
        for dims in (0, -1, every):
            assert (rl.flip(t, every if dims == every else (dims,)).numpy() == np.flip(a, dims)).all()
        assert (t.transpose(0, -1).flip(0).numpy() == np.flip(a.swapaxes(0, -1), 0)).all()
        assert (t[..., 1:].flip(-1).numpy() == np.flip(a[..., 1:], -1)).all()
        if a.ndim > 1:
            for k in (1, 2, 3):
                assert (rl.rot90(t, k, (0, -1)).clone().numpy() == np.rot90(a, k, (0, -1))).all()


def test_long_rows_rolled_by_several_threads():
    np = pytest.importorskip("numpy")
    a = np.arange(300 * 701, dtype="float32").reshape(300, 701)
    for shift, dim in ((7, 1), (-300, 1), (13, 0)):
        assert (rl.from_numpy(a).roll(shift, dim).numpy() == np.roll(a, shift, dim)).all()


@pytest.mark.parametrize("mode, name", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_borders_around_a_large_middle(mode, name):
    np = pytest.importorskip("numpy")
    a = np.random.default_rng(0).normal(size=(2, 5, 40, 50))
    t = rl.tensor(a, requires_grad=True)
    for pad in ((1, 1, 1, 1), (3, 0, 0, 4), (0, 0, 2, 1)):
        y = rl.nn.functional.pad(t, pad, mode=mode)
        sides = [(0, 0), (0, 0), pad[2:], pad[:2]]
        assert (y.detach().cpu().numpy() == np.pad(a, sides, mode=name)).all()
        (grad,) = rl.autograd.grad(y, t, rl.ones_like(y))
        source = np.pad(np.arange(a.size).reshape(a.shape), sides, mode=name)  # how often each element was repeated
        assert (grad.cpu().numpy().ravel() == np.bincount(source.ravel())).all()
    small = rl.rand(1, 2, 3, 4, dtype=rl.float64, requires_grad=True)
    assert rl.autograd.gradgradcheck(lambda x: pad_around(x, (1, 2, 2, 1), mode) ** 2, (small,))


def test_the_gradient_of_an_index_that_leaves_nothing_out_is_a_view():
    x = rl.randn(3, 4, requires_grad=True)
    for key in (None, (slice(None), None), Ellipsis, slice(None), (slice(None), slice(0, 4))):
        y = x[key]
        grad = rl.randn(y.shape)
        (found,) = rl.autograd.grad(y, x, grad)
        assert found.shape == x.shape and found.data_ptr() == grad.data_ptr() and rl.equal(found, grad.reshape(3, 4))
    (found,) = rl.autograd.grad(x[1:], x, rl.ones(2, 4))
    assert rl.equal(found, rl.tensor([[0.0] * 4, [1.0] * 4, [1.0] * 4]))


def test_a_full_turn_is_row_major():
    for library in (torch, rl):
        assert library.arange(6).as_strided((2, 3), (1, 2)).rot90(4).stride() == (3, 1)
