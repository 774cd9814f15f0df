"""What PyTorch has besides, made from the rest: Python functions over elements, hashes, functions for methods, removed methods."""

import warnings

from .._core import tensor as _tensor
from .._core.tensor import add_method
from . import casting, comparison, copies, creation, joining, logic, movement, reduction, shape
from ._define import composite
from .exchange import tensor
from .index import title

_dtypes = _tensor.dtypes()

# -- Python functions over elements --


def _refuse_recorded(name, input):
    if input.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")


def _filled_by(input, function, *columns):
    """``input`` overwritten by ``function`` of the numbers in each row of ``columns``."""
    found = [function(*row) for row in zip(*columns)]
    return shape.copy_(input, shape.reshape(tensor(found, dtype=input.dtype), tuple(input.shape)))


def _elements(x):
    return shape.reshape(x.detach(), (-1,)).tolist()


@composite(where="method")
def apply_(input, callable):
    """Replaces every element by ``callable`` of it, a Python number; for small tensors only.

    >>> torch.tensor([1., 2.]).apply_(lambda x: x + 1)
    tensor([2., 3.])
    """
    _refuse_recorded("apply_", input)
    return _filled_by(input, callable, _elements(input))


def _same_type(name, input, **others):
    for argument, x in others.items():
        if x.dtype is not input.dtype:
            raise TypeError(
                f"{name}: expected torch.{title(input)}Tensor for '{argument}' (got torch.{title(x)}Tensor)\n  Convert it with "
                f".to({input.dtype})."
            )
    return [_elements(shape.expand(x, tuple(input.shape))) for x in others.values()]


@composite(where="method")
def map_(input, other, callable):
    """Replaces every element a by ``callable(a, b)``, b being the one of ``other`` (same dtype, broadcast) in its place."""
    _refuse_recorded("map_", input)
    return _filled_by(input, callable, _elements(input), *_same_type("map_", input, other=other))


@composite(where="method")
def map2_(input, x, y, callable):
    """Replaces every element a by ``callable(a, b, c)``, b and c being those of ``x`` and ``y`` in its place."""
    _refuse_recorded("map2_", input)
    return _filled_by(input, callable, _elements(input), *_same_type("map2_", input, x=x, y=y))


# -- hashes --


@composite
def hash_tensor(input, dim=(), *, keepdim=False, mode=0):
    """The exclusive or of the elements' bits, as float64 or int64 numbers, over ``dim`` (all dims): uint64.

    >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}\n  0, exclusive or, is the only one.")
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    dims = [d % max(input.ndim, 1) for d in dims] or list(range(input.ndim))
    wide = shape.cast(input.detach(), _dtypes["float64" if input.is_floating_point() else "int64"])
    bits = casting._view_dtype(shape.contiguous(wide), _dtypes["int64"])
    for d in dims if input.ndim else ():
        bits = _xor_along(bits, d)
    if not keepdim and input.ndim:
        bits = shape.squeeze(bits, tuple(dims))
    return casting._view_dtype(shape.contiguous(bits), _dtypes["uint64"])


def _xor_along(x, dim):
    """The exclusive or along a dim, which stays as 1: halves are folded onto each other."""
    n = 1
    while n < x.shape[dim]:
        n *= 2
    x = movement.constant_pad_nd(x, [0, 0] * (x.ndim - 1 - dim) + [0, n - x.shape[dim]])
    while n > 1:
        n //= 2
        x = logic.bitwise_xor(shape.narrow(x, dim, 0, n), shape.narrow(x, dim, n, n))
    return x


# -- functions for methods --


@composite(where="function")
def fill(input, value):
    """A tensor like ``input`` with every element ``value``, a number or a 0-dim tensor."""
    return shape.fill_(input.clone(), value)


@composite(where="function")
def detach(input):
    """See :meth:`Tensor.detach`."""
    return input.detach()


@composite(where="function")
def detach_(input):
    """See :meth:`Tensor.detach_`."""
    return input.detach_()


copies._copy_of("detach_copy", lambda input: input.detach())


@composite(where="function")
def get_device(input):
    """-1 for a tensor on the CPU, else the number of its GPU."""
    return input.get_device()


@composite(where="function")
def from_file(filename, shared=None, size=0, *, dtype=None, layout=None, device=None, pin_memory=False):
    """``size`` elements of a file as a vector: pages are read when they are first used.

    shared: what is written goes to the file, which is made or lengthened if need be.
    """
    from ..storage import TypedStorage, map_file

    kind = dtype or _tensor.get_default_dtype()
    return TypedStorage(wrap_storage=map_file(filename, bool(shared), size * kind.itemsize), dtype=kind)._flat()


@composite(where="method")
def prelu(input, weight):
    """See :func:`nn.functional.prelu`."""
    from ..nn.functional import prelu

    return prelu(input, weight)


@composite(where="method")
def new_empty_strided(input, size, stride, *, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """An uninitialised tensor of the given shape and strides (in elements), with this tensor's dtype unless another is given."""
    return creation.empty_strided(size, stride, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def _const_data_ptr(self):
    """The address of the first element, for reading."""
    return self.data_ptr()


add_method("const_data_ptr", _const_data_ptr)


def _storage_type(self):
    """The class of the tensor's typed storage, such as ``torch.FloatStorage``; None for a dtype that has none (uint16 ...)."""
    from .. import storage
    from ..io.tensors import STORAGES

    return getattr(storage, STORAGES.get(str(self.dtype).rpartition(".")[2], ""), None)


add_method("storage_type", _storage_type)
add_method("grad_dtype", property(lambda self: self.dtype, doc="The dtype of ``grad``: that of the tensor."))


# -- sparse --


def _to_sparse(self, sparse_dim=None):
    """The nonzero elements as a sparse tensor in coordinate form; sparse_dim: how many leading dims get indices (all)."""
    from ..sparse import sparse_coo_tensor

    n = self.ndim if sparse_dim is None else sparse_dim
    dense = tuple(range(n, self.ndim))
    used = comparison.ne(self.detach(), 0)
    places = shape.transpose((reduction.any(used, dense) if dense else used).nonzero(), 0, 1)
    return sparse_coo_tensor(places, self[tuple(joining.unbind(places, 0))], tuple(self.shape))


def _to_sparse_coo(self):
    """The nonzero elements as a sparse tensor in coordinate form."""
    return _to_sparse(self)


add_method("to_sparse", _to_sparse)
add_method("to_sparse_coo", _to_sparse_coo)


def _sparse_only(name, what):
    def method(self):
        raise RuntimeError(f"{name} expected sparse {what} tensor layout but got Strided")

    method.__name__, method.__doc__ = name, "Of sparse tensors only: raises RuntimeError."
    add_method(name, method)


for _name in ("indices", "coalesce"):
    _sparse_only(_name, "coordinate")
for _name in ("crow_indices", "col_indices"):
    _sparse_only(_name, "row compressed")
for _name in ("ccol_indices", "row_indices"):
    _sparse_only(_name, "column compressed")


def _values(self):
    """Of sparse tensors only: raises RuntimeError."""
    raise RuntimeError("values expected sparse tensor layout but got Strided")


add_method("values", _values)


# -- out of use --


@composite(where="method")
def resize(input, *sizes):
    """Deprecated in PyTorch: a view or copy of another shape with as many elements; see :func:`reshape`."""
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=2)
    return shape.reshape(input, sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes)


@composite(where="method")
def resize_as(input, tensor):
    """Deprecated in PyTorch: see :func:`reshape_as`."""
    warnings.warn("non-inplace resize_as is deprecated", UserWarning, stacklevel=2)
    return shape.reshape(input, tuple(tensor.shape))


def _gone(name):
    def method(self, *args, **kwargs):
        from .._aten import names

        return names[name](self, *args, **kwargs)

    method.__name__, method.__doc__ = name, "Removed from PyTorch: raises RuntimeError, which says what takes its place."
    add_method(name, method)


for _name in ("eig", "symeig", "solve", "lstsq"):
    _gone(_name)


def _reinforce(self, *args, **kwargs):
    """Removed from PyTorch: raises RuntimeError."""
    raise RuntimeError("reinforce() was removed.\nUse torch.distributions: the log_prob of a sample, times its reward.")


add_method("reinforce", _reinforce)
