"""Sparse matrices by coordinates, as far as graph networks need them: made by ``sparse_coo_tensor``, multiplied by dense ones.

A :class:`SparseTensor` is a pair of indices and values, not a :class:`Tensor`: it has the methods below and no others.
Gradients flow through its values and through the dense factor.

>>> a = torch.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
>>> torch.sparse.mm(a, torch.eye(2))
tensor([[0., 2.],
        [3., 0.]])
"""

import rushlight as rl

__all__ = ["SparseTensor", "addmm", "mm", "sum"]


class SparseTensor:
    """A sparse tensor in coordinate form. indices: int64, (number of sparse dims, n); values: (n, ...); size: the whole shape.

    Values of equal indices add up; :meth:`coalesce` adds them and sorts the indices.
    """

    is_sparse, layout = True, rl.sparse_coo

    def __init__(self, indices, values, size, is_coalesced=False):
        self._indices_, self._values_, self.shape, self._coalesced = indices, values, rl.Size(size), is_coalesced

    dtype = property(lambda self: self._values_.dtype, doc="The dtype of the values.")
    device = property(lambda self: self._values_.device, doc="Where the values are.")
    requires_grad = property(lambda self: self._values_.requires_grad, doc="True if the values are recorded.")
    ndim = property(lambda self: len(self.shape), doc="The number of dimensions.")

    def size(self, dim=None):
        """The shape, or one size."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self):
        """The number of dimensions."""
        return len(self.shape)

    def sparse_dim(self):
        """The number of dimensions with indices."""
        return self._indices_.shape[0]

    def dense_dim(self):
        """The number of dimensions of one value."""
        return self._values_.ndim - 1

    def is_coalesced(self):
        """True if no index occurs twice and they are sorted."""
        return self._coalesced

    def indices(self):
        """The indices of a coalesced tensor."""
        if not self._coalesced:
            raise RuntimeError("Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
        return self._indices_

    def values(self):
        """The values of a coalesced tensor."""
        if not self._coalesced:
            raise RuntimeError("Cannot get values on an uncoalesced tensor, please call .coalesce() first")
        return self._values_

    def _indices(self):
        return self._indices_

    def _values(self):
        return self._values_

    def _nnz(self):
        return self._values_.shape[0]

    def _flat(self):
        """The indices as positions in the flattened sparse dimensions."""
        flat = rl.zeros(self._nnz(), dtype=rl.int64)
        for row, n in zip(self._indices_, self.shape):
            flat = flat * n + row
        return flat

    def coalesce(self):
        """The same tensor with sorted indices, each once."""
        if self._coalesced:
            return self
        flat, place = rl.unique(self._flat(), sorted=True, return_inverse=True)
        values = self._values_.new_zeros((flat.shape[0], *self._values_.shape[1:])).index_add(0, place, self._values_)
        rows, rest = [], flat
        for n in reversed(self.shape[: self.sparse_dim()]):
            rows.append(rest % n)
            rest = rest.div(n, rounding_mode="floor")
        return SparseTensor(rl.stack(rows[::-1]), values, self.shape, True)

    def to_dense(self):
        """The tensor with its zeros."""
        sparse = self.shape[: self.sparse_dim()]
        flat = self._values_.new_zeros((rl.Size(sparse).numel(), *self._values_.shape[1:])).index_add(0, self._flat(), self._values_)
        return flat.reshape(self.shape)

    def _with(self, values):
        return SparseTensor(self._indices_, values, self.shape, self._coalesced)

    def to(self, *args, **kwargs):
        """With the values' dtype or device changed."""
        return self._with(self._values_.to(*args, **kwargs))

    def float(self):
        """With float32 values."""
        return self._with(self._values_.float())

    def cpu(self):
        """The tensor itself: it is on the CPU."""
        return self

    def cuda(self, *args, **kwargs):
        """Raises AssertionError: no GPU."""
        return self._with(self._values_.cuda(*args, **kwargs))

    def detach(self):
        """Without history."""
        return self._with(self._values_.detach())

    def requires_grad_(self, requires_grad=True):
        """Records the values."""
        self._values_.requires_grad_(requires_grad)
        return self

    def t(self):
        """The transposed matrix."""
        return SparseTensor(self._indices_.flip(0), self._values_, self.shape[::-1])

    def __mul__(self, number):
        return self._with(self._values_ * number)

    def __matmul__(self, dense):
        return mm(self, dense)

    matmul = mm = spmm = __matmul__

    def __repr__(self):
        return (
            f"tensor(indices={self._indices_},\n       values={self._values_},\n       size={tuple(self.shape)}, nnz={self._nnz()}, "
            "layout=torch.sparse_coo)"
        )


def sparse_coo_tensor(
    indices, values, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False, check_invariants=None, is_coalesced=None
):
    """The sparse tensor with ``values[k]`` at ``indices[:, k]``; size: by default just large enough; RuntimeError if it is too small."""
    indices = rl.as_tensor(indices, dtype=rl.int64)
    values = rl.as_tensor(values, dtype=dtype, device=device)
    if indices.ndim == 1:
        indices = indices.unsqueeze(0)
    if indices.shape[1] != values.shape[0]:
        raise RuntimeError(
            f"number of indices ({indices.shape[1]}) and number of values ({values.shape[0]}) do not match\n  "
            "Give one value per column of indices."
        )
    if size is None:
        size = [int(row.max()) + 1 if row.numel() else 0 for row in indices] + list(values.shape[1:])
    for d, row in enumerate(indices):
        if row.numel() and (int(row.max()) >= size[d] or int(row.min()) < 0):
            raise RuntimeError(f"size is inconsistent with indices: for dim {d}, size is {size[d]} but found index {int(row.max())}")
    made = SparseTensor(indices, values, size, bool(is_coalesced))
    return made.requires_grad_() if requires_grad else made


def mm(sparse, dense):
    """The product of a sparse matrix (n x m) and a dense one (m x k) or a vector (m)."""
    if not isinstance(sparse, SparseTensor):
        return rl.mm(sparse, dense)
    if sparse.shape[1] != dense.shape[0]:
        raise RuntimeError(f"mm: dim 1 of the sparse matrix has size {sparse.shape[1]}, dim 0 of the dense one {dense.shape[0]}")
    row, column = sparse._indices_
    weights = sparse._values_ if dense.ndim == 1 else sparse._values_.unsqueeze(-1)
    terms = weights * dense.index_select(0, column)
    return terms.new_zeros((sparse.shape[0], *dense.shape[1:])).index_add(0, row, terms)


spmm = mm


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """``beta * input + alpha * (mat1 @ mat2)`` with sparse ``mat1``."""
    return beta * input + alpha * mm(mat1, mat2)


def sum(input, dim=None, dtype=None):
    """The sum of all values, or the dense sum over dimensions."""
    return input.to_dense().sum(dim, dtype=dtype) if dim is not None else input._values_.sum(dtype=dtype)


def _typed(name, dtype):
    def make(indices, values, size=None):
        return sparse_coo_tensor(indices, values, size, dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The older spelling of sparse_coo_tensor for {dtype}."
    return make


FloatTensor = _typed("FloatTensor", rl.float32)
DoubleTensor = _typed("DoubleTensor", rl.float64)
HalfTensor = _typed("HalfTensor", rl.float16)
