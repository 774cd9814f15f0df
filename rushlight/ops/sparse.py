"""What a dense tensor has of the sparse ones: conversion to coordinates, and methods that say that it is dense."""

from .._core import callbacks
from .._core.tensor import add_method
from . import comparison, joining, reduction, shape


def _to_sparse(self, sparse_dim=None):
    """The nonzero elements as a sparse tensor in coordinate form; sparse_dim: how many leading dims get indices (all).

    >>> x = torch.tensor([[0., 2.], [3., 0.]]).to_sparse()
    >>> x.indices(), x.values()
    (tensor([[0, 1],
            [1, 0]]), tensor([2., 3.]))
    """
    n = self.ndim if sparse_dim is None else sparse_dim
    dense = tuple(range(n, self.ndim))
    used = comparison.ne(self.detach(), 0)
    places = shape.transpose((reduction.any(used, dense) if dense else used).nonzero(), 0, 1)
    values = self[tuple(joining.unbind(places, 0))]
    return callbacks.table["sparse_coo_tensor"](places, values, tuple(self.shape), is_coalesced=True)


def _to_sparse_coo(self):
    """The nonzero elements as a sparse tensor in coordinate form.

    >>> torch.tensor([0., 2., 0.]).to_sparse_coo().to_dense()
    tensor([0., 2., 0.])
    """
    return _to_sparse(self)


def _sparse_mask(self, mask):
    """The elements at the indices of the sparse tensor ``mask``, as a sparse tensor.

    >>> mask = torch.tensor([0., 1., 1.]).to_sparse()
    >>> torch.tensor([4., 5., 6.]).sparse_mask(mask).values()
    tensor([5., 6.])
    """
    return mask._with(self[tuple(mask._indices())])


add_method("to_sparse", _to_sparse)
add_method("sparse_mask", _sparse_mask)
add_method("to_sparse_coo", _to_sparse_coo)


_ABOUT = """Of sparse tensors only: raises RuntimeError.

>>> torch.ones(2).{name}()
Traceback (most recent call last):
    ...
RuntimeError: {message}
"""


def _sparse_only(name, what):
    def method(self):
        raise RuntimeError(message)

    message = f"{name} expected sparse {what} tensor layout but got Strided"
    method.__name__, method.__doc__ = name, _ABOUT.format(name=name, message=message)
    add_method(name, method)


for _name in ("indices", "coalesce"):
    _sparse_only(_name, "coordinate")
for _name in ("crow_indices", "col_indices"):
    _sparse_only(_name, "row compressed")
for _name in ("ccol_indices", "row_indices"):
    _sparse_only(_name, "column compressed")


def _values(self):
    """Of sparse tensors only: raises RuntimeError.

    >>> torch.tensor([0., 2.]).to_sparse().values()
    tensor([2.])
    """
    raise RuntimeError("values expected sparse tensor layout but got Strided")


add_method("values", _values)
