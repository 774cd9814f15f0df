"""Sparse tensors by coordinates, as far as graph networks need them: made by ``sparse_coo_tensor``, multiplied by others.

A :class:`SparseTensor` is a :class:`Tensor` whose elements are kept as indices and values. It takes part in the operators of ``_FUNCTIONS``
below; any other operator raises RuntimeError and names ``to_dense()``. Gradients flow through its values and through the dense factor.

>>> a = torch.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
>>> torch.mm(a, torch.eye(2))
tensor([[0., 2.],
        [3., 0.]])
"""

import rushlight as rl

from ._tensor_str import _add_suffixes, _history, _tensor_str

__all__ = ["SparseTensor", "addmm", "mm", "sum"]


class SparseTensor(rl.Tensor):
    """A sparse tensor in coordinate form. indices: int64, (number of sparse dims, n); values: (n, ...); size: the whole shape.

    Values of equal indices add up; :meth:`coalesce` adds them and sorts the indices.
    """

    def __new__(cls, indices, values, size, is_coalesced=False):
        # One zero in all places: it gives the tensor its shape, dtype and device.
        self = values.detach().new_zeros(()).expand(tuple(size)).as_subclass(cls)
        self._indices_, self._values_, self._coalesced = indices, values, is_coalesced
        return self

    def __init__(self, *args):
        pass

    _operators_only = True  # functions that are made of operators come to it as these

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        found = _FUNCTIONS.get(name) or _FUNCTIONS.get(name.strip("_")) or (vars(cls).get(name) if name in _METHODS else None)
        if found is None:
            raise RuntimeError(f"{name} is not available for sparse tensors\n  Make it dense first: tensor.to_dense().")
        return found(*args, **(kwargs or {}))

    is_sparse = property(lambda self: True, doc="True.")
    layout = property(lambda self: rl.sparse_coo, doc="torch.sparse_coo")
    requires_grad = property(lambda self: self._values_.requires_grad, doc="True if the values are recorded.")
    grad_fn = property(lambda self: self._values_.grad_fn, doc="The node that made the values.")

    @property
    def grad(self):
        """The gradient of the values, at the same indices."""
        return None if self._values_.grad is None else self._with(self._values_.grad)

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
        flat = self._indices_.new_zeros(self._nnz())
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

    def double(self):
        """With float64 values."""
        return self._with(self._values_.double())

    def cpu(self):
        """On the CPU."""
        return self._moved("cpu")

    def cuda(self, device=None, **kwargs):
        """On a GPU."""
        return self._moved("cuda" if device is None else device)

    def _moved(self, device):
        return SparseTensor(self._indices_.to(device), self._values_.to(device), self.shape, self._coalesced)

    def clone(self, *, memory_format=None):
        """A copy."""
        return SparseTensor(self._indices_.clone(), self._values_.clone(), self.shape, self._coalesced)

    def detach(self):
        """Without history."""
        return self._with(self._values_.detach())

    def detach_(self):
        """Forgets its history."""
        self._values_ = self._values_.detach()
        return self

    def zero_(self):
        """All zeros: no indices are left."""
        self._indices_, self._values_, self._coalesced = self._indices_[:, :0], self._values_.detach()[:0], True
        return self

    def norm(self, p=2.0):
        """The p-norm of all elements."""
        return rl.linalg.vector_norm(self.coalesce()._values_, p)

    def sparse_mask(self, mask):
        """Its elements at the indices of ``mask``, in their order."""
        return mask._with(self.to_dense()[tuple(mask._indices_)])

    def _become(self, other):
        self._indices_, self._values_, self._coalesced = other._indices_, other._values_, other._coalesced
        return self

    def add_(self, other, *, alpha=1):
        """Adds another sparse tensor to it."""
        if not isinstance(other, SparseTensor):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        return self._become(self.add(other, alpha=alpha))

    def mul_(self, other):
        """Multiplies it by a number, or by a dense tensor of its shape."""
        return self._become(self.mul(other))

    def div_(self, number):
        """Divides it by a number."""
        return self._become(self.div(number))

    def neg_(self):
        """Changes its signs."""
        return self._become(self.neg())

    def requires_grad_(self, requires_grad=True):
        """Records the values."""
        self._values_.requires_grad_(requires_grad)
        return self

    def t(self):
        """The transposed matrix."""
        return SparseTensor(self._indices_.flip(0), self._values_, self.shape[::-1])

    T = property(t, doc="The transposed matrix.")
    mT = property(lambda self: self.transpose(-2, -1), doc="With the last two dims exchanged.")

    def transpose(self, dim0, dim1):
        """With two of its sparse dims exchanged."""
        order = list(range(self.sparse_dim()))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        size = [self.shape[d] for d in order] + list(self.shape[self.sparse_dim() :])
        return SparseTensor(self._indices_[rl.tensor(order)], self._values_, size)

    def mul(self, other):
        """Times a number, or a dense tensor of its shape."""
        if isinstance(other, SparseTensor):
            raise RuntimeError("mul of two sparse tensors is not available\n  Make one of them dense: tensor.to_dense().")
        if isinstance(other, rl.Tensor) and other.ndim:
            other = other.expand(self.shape)[tuple(self._indices_)]
        return self._with(self._values_ * other)

    def div(self, number):
        """Divided by a number."""
        return self._with(self._values_ / number)

    def neg(self):
        """With the signs changed."""
        return self._with(-self._values_)

    def add(self, other, *, alpha=1):
        """Plus ``alpha`` times another: a sparse one gives a sparse sum, a dense one a dense sum."""
        if not isinstance(other, SparseTensor):
            return self.to_dense() + alpha * other
        values = other._values_ if alpha == 1 else alpha * other._values_
        if self._indices_.shape == other._indices_.shape and rl.equal(self._indices_, other._indices_):
            return self._with(self._values_ + values)
        joined = SparseTensor(rl.cat([self._indices_, other._indices_], 1), rl.cat([self._values_, values]), self.shape)
        return joined.coalesce() if self._coalesced and other._coalesced else joined

    def sub(self, other, *, alpha=1):
        """Minus ``alpha`` times another."""
        return self.add(other, alpha=-alpha)

    def sum(self, dim=None, dtype=None):
        """The sum of all values, or the dense sum over dimensions."""
        return sum(self, dim, dtype)

    def mm(self, dense):
        """The product with a dense matrix or vector."""
        return mm(self, dense)

    matmul = mv = spmm = __matmul__ = mm
    __mul__ = __rmul__ = mul
    __truediv__, __neg__, __add__, __radd__, __sub__ = div, neg, add, add, sub

    def __reduce_ex__(self, protocol):
        return SparseTensor, (self._indices_, self._values_, tuple(self.shape), self._coalesced)

    def __deepcopy__(self, memo):
        return self.detach().clone().requires_grad_(self.requires_grad)

    def __repr__(self):
        indices, values = self._indices_, self._values_.detach()
        text = f"tensor(indices=tensor({_elements(indices, 22)}),\n       values=tensor({_elements(values, 21)})"
        plain = self.dtype in (rl.get_default_dtype(), rl.int64, rl.bool)
        dtype = [] if plain else [f"dtype={self.dtype}"]
        suffixes = [f"size={tuple(self.shape)}", f"nnz={self._nnz()}", *dtype, "layout=torch.sparse_coo", *_history(self._values_)]
        return _add_suffixes(text, suffixes, 7, True)

    __str__ = __repr__


def _elements(part, indent):
    """The numbers of the indices or the values; what comes before them on their line takes ``indent`` characters."""
    return _tensor_str(part, indent) if part.numel() else f"[], size={tuple(part.shape)}"


def sparse_coo_tensor(
    indices=None, values=None, size=None, *, dtype=None, device=None, pin_memory=False, requires_grad=False, check_invariants=None,
    is_coalesced=None,
):  # fmt: skip
    """The sparse tensor with ``values[k]`` at ``indices[:, k]``; size: by default just large enough; RuntimeError if it is too small.

    With a size alone: all zeros.
    """
    if values is None:
        size = indices if size is None else size
        indices, values = rl.zeros(len(size), 0, dtype=rl.int64, device=device), rl.zeros(0, dtype=dtype, device=device)
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
    """The product of a sparse matrix (n x m) and a dense one (m x k) or a vector (m); the other way round through the transposed. The
    product of two sparse matrices is sparse.
    """
    if not isinstance(sparse, SparseTensor):
        return rl.mm(sparse, dense) if not isinstance(dense, SparseTensor) else mm(dense.t(), sparse.mT).mT
    if sparse.shape[1] != dense.shape[0]:
        kind = "second" if isinstance(dense, SparseTensor) else "dense"
        raise RuntimeError(f"mm: dim 1 of the sparse matrix has size {sparse.shape[1]}, dim 0 of the {kind} one {dense.shape[0]}")
    if isinstance(dense, SparseTensor):
        return _sparse_product(sparse, dense)
    row, column = sparse._indices_
    weights = sparse._values_ if dense.ndim == 1 else sparse._values_.unsqueeze(-1)
    terms = weights * dense.index_select(0, column)
    return terms.new_zeros((sparse.shape[0], *dense.shape[1:])).index_add(0, row, terms)


def _sparse_product(left, right):
    """Each element of ``left`` at (i, j) times all of row j of ``right``; terms of one place add up."""
    right = right.coalesce()
    row, column = left._indices_
    many = rl.bincount(right._indices_[0], minlength=right.shape[0])  # elements in each of right's rows; these lie one row after another
    first, many = (many.cumsum(0) - many)[column], many[column]
    of = rl.arange(left._nnz(), device=row.device).repeat_interleave(many)  # for each term its element of left, then of right
    at = first[of] + rl.arange(of.numel(), device=row.device) - (many.cumsum(0) - many)[of]
    terms = left._values_[of] * right._values_[at]
    return SparseTensor(rl.stack([row[of], right._indices_[1][at]]), terms, (left.shape[0], right.shape[1])).coalesce()


spmm = dsmm = mm


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """``beta * input + alpha * (mat1 @ mat2)`` with sparse ``mat1``."""
    return beta * input + alpha * mm(mat1, mat2)


def sum(input, dim=None, dtype=None):
    """The sum of all values, or the dense sum over dimensions."""
    return input.to_dense().sum(dim, dtype=dtype) if dim is not None else input._values_.sum(dtype=dtype)


def _add(a, b, *, alpha=1):
    return a.add(b, alpha=alpha) if isinstance(a, SparseTensor) else a + alpha * b.to_dense()


def _add_(a, b, *, alpha=1):
    """``a += alpha * b``, one of them sparse."""
    if isinstance(a, SparseTensor):
        return a.add_(b, alpha=alpha)
    values = b._values_ if alpha == 1 else alpha * b._values_
    return a.index_put_(tuple(b._indices_), values.to(a.dtype), accumulate=True)


def _cat(tensors, dim=0):
    """Sparse tensors one after another along one of their sparse dims."""
    first = tensors[0]
    dim = dim + first.ndim if dim < 0 else dim
    alike = all(isinstance(t, SparseTensor) and t.sparse_dim() == first.sparse_dim() for t in tensors)
    if not alike or dim >= first.sparse_dim():
        raise RuntimeError("cat: all tensors must be sparse, and dim one with indices\n  Make them dense: tensor.to_dense().")
    for t in tensors:
        if t.ndim != first.ndim or any(t.shape[d] != first.shape[d] for d in range(t.ndim) if d != dim):
            raise RuntimeError(f"cat: sizes must agree but for dim {dim}, got {list(first.shape)} and {list(t.shape)}")
    parts, at = [], 0
    for t in tensors:
        part = t._indices_.clone()
        part[dim] += at
        parts.append(part)
        at += t.shape[dim]
    size = [at if d == dim else n for d, n in enumerate(first.shape)]
    return SparseTensor(rl.cat(parts, 1), rl.cat([t._values_ for t in tensors]), size)


def _mul(a, b):
    return a.mul(b) if isinstance(a, SparseTensor) else b.mul(a)


# operators by their names -> what they do when a sparse tensor is among their arguments; the methods named below do the rest
_FUNCTIONS = {
    **dict.fromkeys(("mm", "matmul", "spmm", "mv"), mm), "addmm": addmm, "sum": sum, "add": _add, "radd": _add, "cat": _cat,
    **dict.fromkeys(("add_", "__iadd__"), _add_), "sub_": lambda a, b, *, alpha=1: _add_(a, b, alpha=-alpha),
    "vector_norm": lambda x, ord=2.0: x.norm(ord), "linalg_vector_norm": lambda x, ord=2.0: x.norm(ord), "mul": _mul, "rmul": _mul,
    "rmatmul": lambda sparse, dense: mm(dense, sparse),
    "zeros_like": lambda x, **options: sparse_coo_tensor(size=tuple(x.shape), dtype=x.dtype),
}  # fmt: skip
_METHODS = {
    "clone", "coalesce", "cpu", "cuda", "detach", "div", "float", "double", "neg", "requires_grad_", "sub", "t", "to", "to_dense",
    "transpose", "size", "dim", "detach_", "zero_", "norm", "sparse_mask", "mul_", "div_", "neg_",
}  # fmt: skip


def _typed(name, dtype):
    def make(indices, values, size=None):
        return sparse_coo_tensor(indices, values, size, dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The older spelling of sparse_coo_tensor for {dtype}."
    return make


FloatTensor = _typed("FloatTensor", rl.float32)
DoubleTensor = _typed("DoubleTensor", rl.float64)
HalfTensor = _typed("HalfTensor", rl.float16)
