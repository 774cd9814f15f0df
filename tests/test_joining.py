"""Joining, splitting, broadcasting and the shape operators of ops/shape.py, against PyTorch."""

import pytest
from expressions import check, check_gradients, rows
from oracle import torch

import rushlight as rl


@rows(
    """
    T.cat([x, x])
    T.cat([x, x], 1)
    T.cat((x, x), dim=-1)
    T.cat([x, x.double()])
    T.cat([x.long(), x])
    T.cat([x > 5, x.byte()])
    T.cat([L([]), x])
    T.cat([x, L([])], 1)
    T.cat([L([]), L([])])
    T.cat([x])
    T.cat([x.t(), x.t()])
    T.cat([x, x], out=T.empty(0))
    T.cat([x, x], out=T.empty(0, dtype=f64))
    T.concat([x, x])
    T.concatenate([x, x], axis=1)
    T.cat([])
    T.cat([x, y])
    T.cat([x, A(3, 5)])
    T.cat([x, x], 2)
    T.cat([L([]), L([])], 3)
    T.cat([L([]), L([])], -2)
    T.cat([L([]), x], 2)
    T.cat([T.ones(3), T.ones(1, 1)], 2)
    T.cat([T.ones(1), T.ones(1, 1, 1)], 1)
    T.cat([T.ones(()), T.ones(1)], 1)
    T.cat([T.ones(1), T.ones(())], 1)
    T.ones(()).unbind(1)
    T.ones(()).chunk(-1)
    x.split(-1, 3)
    T.cat([L(1.), L(2.)])
    T.cat(x)
    T.cat([x, 1])
    T.stack([x, x])
    T.stack([x, x], 1)
    T.stack([x, x], -1)
    T.stack([x, x.double()])
    T.stack([L(1.), L(2.)])
    T.stack([x, A(3, 5)])
    T.stack([])
    T.stack([x, x], 3)
    T.hstack([A(3), A(3)])
    T.hstack([x, x])
    T.hstack([L(1.), A(2)])
    T.vstack([A(3), A(3)])
    T.row_stack([x, x])
    T.dstack([x, x])
    T.dstack([A(2), A(2)])
    T.column_stack([A(3), x])
    T.column_stack([L(1.), L(2.)])
    """
)
def test_join(row):
    check(row)


@rows(
    """
    x.split(2)
    x.split(2, 1)
    x.split([1, 2])
    x.split((3, 1), dim=1)
    x.split(10)
    x.split_with_sizes([1, 2])
    T.split(A(5), 2)
    T.split(T.zeros(0, 3), 2)
    T.split(T.zeros(0, 3), 0)
    x.split(0)
    x.split(-1)
    x.split([1, 1])
    x.split([4, -1])
    x.split(1, 5)
    L(1.).split(1)
    x.chunk(2)
    x.chunk(3, 1)
    A(10).chunk(4)
    x.chunk(7)
    T.zeros(0, 3).chunk(3)
    x.chunk(0)
    x.chunk(-1)
    A(10).tensor_split(3)
    A(10).tensor_split((2, 5))
    A(10).tensor_split((2, 12))
    A(10).tensor_split((5, 2))
    A(10).tensor_split((-3,))
    x.tensor_split(L([1, 2]), dim=1)
    x.tensor_split(L(2), dim=1)
    x.tensor_split(3, 1)
    x.tensor_split(0)
    x.tensor_split(3)[1].stride()
    x.hsplit(2)
    x.hsplit((1, 3))
    A(4).hsplit(2)
    x.vsplit(3)
    y.dsplit(2)
    x.hsplit(3)
    x.vsplit(2)
    x.dsplit(2)
    L(1.).hsplit(1)
    A(3).vsplit(1)
    x.unbind()
    x.unbind(1)
    x.unbind(-1)
    x.unbind(2)
    L(1.).unbind()
    T.unbind(y, 2)[1].stride()
    x.split(2)[1].stride()
    x.split(2)[1].storage_offset()
    v = x.clone(); v.split(2)[1].zero_(); v
    v = x.clone(); v.unbind(1)[2].fill_(7); v
    """
)
def test_split(row):
    check(row)


@rows(
    """
    T.broadcast_shapes((2, 1), (3,), 1)
    T.broadcast_shapes((2, 3), (4,))
    T.broadcast_shapes()
    T.broadcast_shapes((2, 3), (0,))
    T.broadcast_tensors(x, A(4))
    T.broadcast_tensors(A(3, 1), A(4))[0].stride()
    T.broadcast_tensors(x, A(5))
    T.broadcast_to(A(4), (3, 4))
    A(4).broadcast_to((2, -1))
    A(4).expand_as(x)
    A(4).expand(3, 4).stride()
    A(12).view_as(x)
    A(12).reshape_as(x)
    x.view_as(A(5))
    T.atleast_1d(L(1.))
    T.atleast_2d(A(3))
    T.atleast_3d(x)
    T.atleast_3d(A(3))
    T.atleast_2d(L(1.), A(2))
    T.atleast_1d([L(1.), A(2)])
    T.meshgrid(A(2), A(3), indexing='ij')
    T.meshgrid(A(2), A(3), A(2), indexing='xy')
    T.meshgrid([A(2), L(1.)], indexing='ij')
    T.meshgrid(A(2), A(3), indexing='xy')[0].stride()
    T.meshgrid(A(2), A(3), indexing='zz')
    T.meshgrid()
    T.meshgrid(A(2), A(2).double(), indexing='ij')
    T.cartesian_prod(A(2), A(3))
    T.cartesian_prod(A(2))
    T.cartesian_prod(x)
    T.block_diag(x, A(2), L(5.))
    T.block_diag(A(2, 2), A(2, 2).double())
    T.block_diag()
    T.block_diag(y)
    """
)
def test_broadcast(row):
    check(row)


@rows(
    """
    x.T
    y.mT
    x.mT.stride()
    x.H
    y.mH
    A(3).mT
    y.H
    L(1.).mT
    L(1.).H
    A(3).H
    x.adjoint()
    (x * 1j).H.is_conj()
    x.sum_to_size(1, 4)
    x.sum_to_size((4,))
    y.sum_to_size(3, 1)
    x.sum_to_size(5)
    L(3).byte().sum_to_size(())
    L(True).sum_to_size([])
    v = x.clone(); v.fill_(3); v
    v = x.clone(); v.fill_(L(3)); v
    v = x.clone(); v.zero_(); v
    v = x.clone(); v.fill_(A(3)); v
    v = x.clone(); v.copy_(A(4)); v
    x.view(2, 6)
    x.view(-1)
    x.view(5, -1)
    x.t().view(12)
    x.reshape(2, -1)
    x.t().reshape(12)
    y.flatten(1)
    y.flatten(0, 1).stride()
    y.flatten(2, 1)
    L(1.).flatten()
    y.permute(2, 0, 1).stride()
    y.permute(0, 0, 1)
    y.permute(0, 1)
    y.transpose(0, 2).stride()
    x.unsqueeze(1).stride()
    x.unsqueeze(-1).stride()
    x.unsqueeze(3)
    T.ones(1, 3, 1).squeeze()
    T.ones(1, 3, 1).squeeze(0)
    T.ones(1, 3, 1).squeeze((0, 2))
    x.squeeze(0)
    x.select(1, 2).stride()
    x.select(1, 9)
    x.narrow(1, 1, 2)
    x.narrow(1, 3, 2)
    x.narrow(1, -2, 2)
    x.diagonal().stride()
    x.diagonal(1)
    y.diagonal(0, 1, 2)
    x.diagonal(0, 1, 1)
    x.unfold(1, 2, 1)
    x.unfold(1, 5, 1)
    x.as_strided((2, 2), (1, 2), 1)
    x.as_strided((20, 2), (1, 2), 1)
    """
)
def test_shape(row):
    check(row)


@rows(
    """
    T.diagonal_copy(x, 1)
    T.alias_copy(x)
    T.unbind_copy(x, 1)
    T.split_copy(x, 2)
    T.split_with_sizes_copy(x, [1, 2])
    T.expand_copy(A(3), (2, 3)).stride()
    T.view_copy(x, (4, 3))
    T.squeeze_copy(T.ones(1, 2))
    T.unsqueeze_copy(x, 1)
    T.transpose_copy(x, 0, 1).stride()
    T.t_copy(x).stride()
    T.permute_copy(x, (1, 0)).stride()
    T.as_strided_copy(x, (2, 2), (1, 2)).stride()
    T.select_copy(x, 0, 1)
    T.slice_copy(x, 0, 1, 2)
    T.slice_copy(x, 1, None, None, 2)
    T.unfold_copy(x, 1, 2, 1)
    T.view_as_real_copy(L([1 + 2j]))
    T.unsafe_chunk(x, 2)
    T.unsafe_split(x, 2)
    v = x.clone(); T.fill_(v, 2); v
    v = x.clone(); T.zero_(v); v
    v = x.clone(); T.alias_copy(v).zero_(); v
    """
)
def test_copies_of_views(row):
    check(row)


@rows(
    """
    T.cat([a, d])
    T.cat([a, d, a], 1)
    T.cat([a, b[None]])
    T.cat([L([], dtype=f64), b])
    T.stack([a, d], 1)
    T.hstack([b, b])
    T.vstack([b, a])
    T.dstack([a, d])
    T.column_stack([a[:, 0], d])
    a.split(2)[0]
    a.split([1, 2])[1] * a.split([1, 2])[0]
    a.chunk(2, 1)[1]
    a.tensor_split(3, 1)[0]
    a.unbind()[1] * a.unbind()[0]
    c.unbind(2)[3]
    T.broadcast_tensors(a, b)[1] * d
    b.expand(3, 4) * a
    T.meshgrid(b, b, indexing='xy')[0] * a[0]
    T.cartesian_prod(b, a[0])
    T.block_diag(a, d)
    a.T
    c.mT
    c.sum_to_size(3, 1)
    c.permute(2, 0, 1)
    c.transpose(0, 2).flatten(1)
    c.diagonal(0, 1, 2)
    c.unfold(2, 3, 1)
    a.as_strided((2, 2), (1, 2), 1)
    a.as_strided((3, 3), (1, 1), 0)
    c.select(1, 2)
    c.narrow(2, 1, 2)
    c[:, 1:, ::2]
    v = a * 1; v[1] = b; v * d
    """
)
def test_gradients(row):
    check_gradients(row)


def test_an_empty_vector_beside_matrices_has_a_gradient():
    """PyTorch's old way of starting a list to be joined: it fits everywhere, and its gradient is as empty as it is."""
    for library in (torch, rl):
        empty, x = library.ones(0, requires_grad=True), library.ones(2, 3, requires_grad=True)
        nothing, ones = library.autograd.grad(library.cat([empty, x], 1).sum(), (empty, x))
        assert nothing.shape == (0,) and ones.tolist() == [[1.0] * 3] * 2


def test_stack_of_tensors_that_have_all_dims():
    deep = rl.ones((1,) * 64)
    with pytest.raises(ValueError, match="at most 64"):
        rl.stack([deep, deep])
