"""Operators that take whole slices along one dim by a vector of indices: index_select, index_add and their relatives."""

from .._core import indexing as core
from .._core import tensor as _tensor
from .._core.operator import dtype_name
from . import arithmetic, creation, shape
from ._define import integer, library
from ._indexed import read, write, writing
from ._outputs import exact, meets, refused, sharing
from .joining import _wrap

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _int32, _bool = _dtypes["int64"], _dtypes["int32"], _dtypes["bool"]


def title(t):
    """A tensor's dtype as PyTorch's errors spell it: 'Float', 'Long'."""
    return dtype_name(_tensor.code_of(t))


def check_tensor(name, argument, position, value):
    """Raises TypeError unless ``value`` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}"
        )


def out_of_bounds(kind, dim, size, prefix=""):
    """A function from a bad index to the exception of type ``kind`` that names it."""
    return lambda value: kind(f"{prefix}index {value} is out of bounds for dimension {dim} with size {size}")


def out_of_self(size):
    """The error for an index of an embedding-like lookup, by the value found: IndexError with PyTorch's first line."""
    return lambda value: IndexError(f"index out of range in self\n  The index {value} is not in 0 to {size - 1}, the rows of the table.")


def _slices(input, dim, index, negative, error):
    """(input, offsets) as views of the shape in which ``input``'s dim is replaced by the indices."""
    input = input if input.ndim else shape.unsqueeze(input, 0)
    index = index if index.ndim == 1 else shape.reshape(index, (-1,))
    return core.along(input, dim, index, negative, error)


# -- reading --


def _out_of_rows(input, dim):
    """The error for an index that index_select does not find, by its value. PyTorch has another way for dim 1, whose errors are others."""
    n = input.shape[dim] if input.ndim else 1
    if input.ndim < 2 or (input.numel() and dim != 1):
        return out_of_self(n)
    said = "INDICES element is out of DATA bounds, id={} axis_dim={}" if n else "index_select(): self indexing axis dim should be positive"
    return lambda value: RuntimeError(f"{said.format(value, n)}\n  The index must be in 0 to {n - 1}, the slices along dim {dim}.")


@library(differentiable="input", batch="along", out=exact("{name}(): self and result must have the same scalar type"))
def index_select(input, dim: integer, index):
    """The slices of ``input`` along ``dim`` at the positions in ``index``, a vector of integers (0 to size - 1).

    >>> torch.index_select(torch.tensor([[1, 2], [3, 4]]), 0, torch.tensor([1, 1]))
    tensor([[3, 4],
            [3, 4]])
    """
    check_tensor("index_select", "index", 3, index)
    dim = _wrap(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if not input.ndim and index.numel() != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.numel()} value(s)")
    if index.dtype is not _int64 and index.dtype is not _int32:
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    out = read(*_slices(core.plain(input), dim, index, False, _out_of_rows(input, dim)))
    return out if input.ndim else shape.reshape(out, ())


index_select.quick, index_select.memory = core.quick["index_select"], sharing(apart="*")
meets(refused, index_select)


@index_select.backward_of
def _(grad, dim, index, shapes):
    return index_add(zeros_of(shapes[0], grad), dim, index, grad)


def zeros_of(sizes, grad):
    """Zeros of a shape, with ``grad``'s dtype and device."""
    return creation.zeros(sizes, dtype=grad.dtype, device=grad.device)


# -- writing --


def check_source(name, input, dim, index, source):
    """The checks of index_add and index_reduce."""
    check_tensor(name, "index", 3, index)
    check_tensor(name, "source", 4, source)
    if index.ndim > 1:
        raise IndexError(
            f"{name}_(): Index is supposed to be a vector, but got dim: {index.ndim} with type: {title(index)} and "
            f"size: {list(index.shape)}"
        )
    if index.dtype is not _int64 and index.dtype is not _int32:
        raise RuntimeError(f"{name}_(): Expected dtype int32/int64 for index but got: {title(index)}")
    if input.dtype is not source.dtype:
        raise RuntimeError(
            f"{name}_(): self ({title(input)}) and source ({title(source)}) must have the same scalar type"
        )
    given, n = list(source.shape), index.numel()
    size = given[dim] if dim < len(given) else 1
    if n != size:
        raise RuntimeError(
            f"{name}_(): Number of indices ({n}) should be equal to source.size(dim): ({size}), for dim: {dim}"
        )
    if len(given) != input.ndim or [k for d, k in enumerate(given) if d != dim] != [
        k for d, k in enumerate(input.shape) if d != dim
    ]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = "
            f"{list(input.shape)} source.shape = {given}"
        )


def _write_slices(kind, input, dim, index, source, negative, error):
    target, offsets = _slices(input, dim, index, negative, error)
    write(
        kind,
        target,
        shape.expand(shape.reshape(core.disjoint(source, input), _fitting(source, target)), tuple(target.shape)),
        offsets,
    )


def _fitting(source, target):
    return tuple(target.shape) if source.numel() == target.numel() else tuple(source.shape)


@writing(differentiable="input source", batch="along", out=exact)
def index_add(input, dim: integer, index, source, *, alpha=1):
    """``input`` with ``alpha`` times the slices of ``source`` added to its slices along ``dim`` at the positions in
    ``index``.

    Repeated positions are added in their order.

    >>> torch.zeros(3).index_add(0, torch.tensor([0, 2, 0]), torch.tensor([1., 2., 3.]))
    tensor([4., 0., 2.])
    """
    dim = _wrap(dim, input.ndim)
    check_source("index_add", input, dim, index, source)
    _tensor.check_holds(input.dtype, alpha)
    n = input.shape[dim] if input.ndim else 1
    values = source if alpha == 1 else arithmetic.mul(source, alpha if input.is_floating_point() or input.is_complex() else int(alpha))
    _write_slices(
        "or" if input.dtype is _bool else "add", input, dim, index, values, False, out_of_bounds(RuntimeError, dim, n)
    )


index_add.quick = index_add.inplace.quick = core.quick["index_add"]


@index_add.backward_of
def _(grad, dim, index, alpha, needs, shapes):
    given = None
    if needs[1]:
        given = index_select(grad, dim, index)
        given = given if alpha == 1 else arithmetic.mul(given, alpha)
        given = shape.reshape(given, shapes[1])
    return grad, given


@writing(differentiable="input source", batch="along", out=exact)
def index_copy(input, dim: integer, index, source):
    """``input`` with its slices along ``dim`` at the positions in ``index`` replaced by the slices of ``source``.

    >>> torch.zeros(3, 2).index_copy(0, torch.tensor([2, 0]), torch.tensor([[1., 2.], [3., 4.]]))
    tensor([[3., 4.],
            [0., 0.],
            [1., 2.]])
    """
    check_tensor("index_copy", "index", 3, index)
    check_tensor("index_copy", "source", 4, source)
    dim = _wrap(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"index_copy_(): Index should have dimension 1 or 0 (got {index.ndim})")
    if source.ndim and input.ndim and source.ndim != input.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    if index.dtype is not _int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {title(index)}")
    if input.dtype is not source.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{title(input)} and (source) {title(source)}"
        )
    _check_copied_slices(input, dim, index, source)
    n = input.shape[dim] if input.ndim else 1
    _write_slices("set", input, dim, index, source, False, out_of_bounds(IndexError, dim, n, "index_copy_(): "))


def _check_copied_slices(input, dim, index, source):
    if source.ndim == 0 and index.numel() != 1:
        raise IndexError(f"index_copy_(): When source is scalar, index should have one element (got {index.numel()})")
    mine, theirs = list(input.shape), list(source.shape)
    mine[dim : dim + 1], theirs[dim : dim + 1] = [], []
    if mine != theirs:
        mine, theirs = (" ".join(map(str, sizes)) for sizes in (mine, theirs))
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination slice shape: "
            f"{mine} at dimension {dim} and source slice shape: {theirs} at dimension 0."
        )
    if source.ndim and source.shape[dim] != index.numel():
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim) "
            f"({source.shape[dim]})"
        )


index_copy.quick = index_copy.inplace.quick = core.quick["index_copy"]


def _refuses_dims_first(input, dim, *rest):
    """Of index_copy_ nothing but the dim is looked at before what memory the tensors share."""
    _wrap(dim, input.ndim)
    return False


index_copy.inplace.first = _refuses_dims_first


@index_copy.backward_of
def _(grad, dim, index, needs, shapes):
    given = shape.reshape(index_select(grad, dim, index), shapes[1]) if needs[1] else None
    return index_fill(grad, dim, index, 0) if needs[0] else None, given


@writing(differentiable="input value", keeps_order=True, aligned="index", fills=True)
def index_fill(input, dim: integer, index, value):
    """``input`` with its slices along ``dim`` at the positions in ``index`` (negative ones count from the end) filled with ``value``.

    >>> torch.zeros(2, 3).index_fill(1, torch.tensor([0, -1]), 7.)
    tensor([[7., 0., 7.],
            [7., 0., 7.]])
    """
    check_tensor("index_fill", "index", 3, index)
    if index.dtype is not _int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    dim = _wrap(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("Index has to be a vector/scalar")
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if _is_complex(value) and not input.is_complex():
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    n = input.shape[dim] if input.ndim else 1
    _write_slices("set", input, dim, index, one_element(value, input), True, out_of_bounds(IndexError, dim, n))


def _is_complex(value):
    return value.is_complex() if isinstance(value, Tensor) else isinstance(value, complex)


def one_element(value, like):
    """A number or 0-dim tensor (also one on the CPU beside a GPU's) as a 0-dim tensor of ``like``'s dtype and device."""
    if isinstance(value, Tensor):
        if value.is_cpu and value.dtype is not like.dtype:
            _tensor.check_holds(like.dtype, value.item())
        return value.to(like.device, like.dtype)
    _tensor.check_holds(like.dtype, value)
    return creation.full((), value, dtype=like.dtype, device=like.device)


index_fill.quick = index_fill.inplace.quick = core.quick["index_fill"]


@index_fill.backward_of
def _(grad, dim, index, needs):
    from .reduction import sum

    return index_fill(grad, dim, index, 0) if needs[0] else None, sum(_select_any(grad, dim, index)) if needs[
        1
    ] else None


def _select_any(grad, dim, index):
    """index_select for indices that may count from the end."""
    n = grad.shape[dim] if grad.ndim else 1
    return index_select(grad, dim, arithmetic.remainder(index, n) if n else index)
