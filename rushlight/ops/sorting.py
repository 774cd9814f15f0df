"""Order: sort and its relatives, selection of the largest, and distinct values. What is counted into bins is in ``binning.py``."""


from .. import return_types
from .._core import indexing as _indexing
from .._core import operator as _operator
from .._core import sorting as core
from .._core import tensor as _tensor
from .._core.tape import records
from . import comparison, creation, gather, joining, movement, reduction, shape
from ._define import composite, integer, library
from ._outputs import elementwise, exact, sharing
from .casting import FORMATS
from .index import title, zeros_of
from .joining import _wrap

Tensor = _tensor.Tensor
_dtypes = _tensor.dtypes()
_int64, _int32, _bool = _dtypes["int64"], _dtypes["int32"], _dtypes["bool"]


def last(input, dim):
    """``input`` with ``dim`` moved to the end, row-major in memory, without lazy bits; 0-dim tensors get a dim."""
    x = shape.reshape(input, (1,)) if input.ndim == 0 else shape.transpose(input, dim, -1)
    return shape.contiguous(_indexing.plain(x))


def back(result, input, dim):
    """The inverse of :func:`last` for a result whose last dim may have another size."""
    if input.ndim == 0:
        return shape.reshape(result, ())
    turned = shape.transpose(result, dim, -1)  # dims of size 1 make it row-major, though not in its strides
    return result if dim == input.ndim - 1 else shape.clone(turned, memory_format=FORMATS["contiguous_format"])


def _ordered(name, input):
    if input.is_complex():
        raise RuntimeError(
            f"{name} does not support complex dtypes on CPU\n  Complex numbers have no order; sort by abs() or real."
        )


def spread(grad, dim, indices, sizes):
    """The adjoint of taking elements along ``dim``: zeros with ``grad`` at the indices."""
    return gather.scatter_add(zeros_of(sizes, grad), dim, indices, grad)


# -- sorting --


@library(where="", differentiable="input", label="Sort", batch="along")
def _sort(input, dim: integer, descending):
    x = last(input, dim)
    values, indices = core.least(x, x.shape[-1], descending, True)
    return _as_it_lies(values, input, dim), _as_it_lies(indices, input, dim)


def _as_it_lies(result, input, dim):
    """:func:`back`, for a result of the input's shape: in memory as that lies."""
    if input.is_contiguous():
        return back(result, input, dim)
    return creation.empty_like(input, dtype=result.dtype).copy_(shape.transpose(result, dim, -1))


_sort.quick = core.quick["_sort"]


@_sort.backward_of
def _(grads, dim, indices, shapes):
    return spread(grads[0], dim, indices, shapes[0])


def _named(name, results, out):
    if out is None:
        return getattr(return_types, name)(results)
    _operator.deliver_out(results, out, name)
    return getattr(return_types, name)(out)


@composite(out=exact, memory=elementwise)
def sort(input, dim=-1, descending=False, stable=False, *, out=None):
    """``(values, indices)``: the elements along ``dim`` in ascending (or descending) order, and where they were.

    nan counts as the largest value. The order is always stable: equal elements keep their order, so the result does not
    depend on the number of threads.

    >>> torch.sort(torch.tensor([3, 1, 2])).values
    tensor([1, 2, 3])
    """
    dim = _wrap(dim, input.ndim)
    _ordered(" Sort", input)
    return _named("sort", _sort(input, dim, bool(descending)), out)


sort.quick, sort.leaves = core.quick["sort"], _sort
core.set_named(**{name: getattr(return_types, name) for name in ("sort", "topk", "kthvalue", "median", "nanmedian")})


@composite(gradient=False)
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that :func:`sort` gives.

    >>> torch.tensor([3., 1., 2.]).argsort()
    tensor([1, 2, 0])
    """
    return sort(input, dim, descending).indices


argsort.quick = core.quick["argsort"]


@composite(out=exact.by("sort"), memory=elementwise)
def msort(input):
    """The elements sorted along the first dim.

    >>> torch.msort(torch.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


@library(where="", differentiable="input", label="Topk", batch="along")
def _topk(input, k: integer, dim: integer, largest, sorted):
    values, indices = core.least(last(input, dim), k, largest, sorted)
    return back(values, input, dim), back(indices, input, dim)


_topk.quick = core.quick["_topk"]


@_topk.backward_of
def _(grads, dim, indices, shapes):
    return spread(grads[0], dim, indices, shapes[0])


@composite(out=exact)
def topk(input, k: integer, dim=-1, largest=True, sorted=True, *, out=None):
    """``(values, indices)`` of the ``k`` largest (or smallest) elements along ``dim``, of equal ones the first.

    They are in order, or with ``sorted=False`` as they stood.

    >>> values, indices = torch.topk(torch.tensor([3, 9, 1, 9]), 2)
    >>> values, indices
    (tensor([9, 9]), tensor([1, 3]))
    """
    dim = _wrap(dim, input.ndim)
    most = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= most:
        raise RuntimeError(f"selected index k out of range\n  [topk] k is {k}; there are {most} elements along dim {dim}.")
    _ordered(" topk", input)
    if input.dtype is _bool:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    if input.ndim == 0 and k == 0:
        return _named("topk", (zeros_of((0,), input), shape.cast(zeros_of((0,), input), _int64)), out)
    return _named("topk", _topk(input, int(k), dim, bool(largest), bool(sorted)), out)


topk.quick, topk.leaves, topk.memory = core.quick["topk"], _topk, elementwise


@library(where="", differentiable="input", label="Kthvalue", batch="along")
def pick(input, dim: integer, keepdim, ranks):
    """(values, indices) of the element of each rank along ``dim``; ranks: an int, or a tensor of the shape without
    ``dim``.
    """
    x = last(input, dim)
    lead = tuple(x.shape[:-1])
    ranks = (
        shape.contiguous(last_ranks(ranks, dim, input.ndim))
        if isinstance(ranks, Tensor)
        else creation.full(lead, ranks, dtype=_int64, device=input.device)
    )
    indices = core.kth(x, ranks)
    values = shape.squeeze(gather.gather(x, -1, shape.unsqueeze(indices, -1)), -1)
    if input.ndim == 0:
        return shape.reshape(values, ()), shape.reshape(indices, ())
    return tuple(
        back(shape.unsqueeze(r, -1), input, dim) if keepdim else _without_last(r, input, dim) for r in (values, indices)
    )


def last_ranks(ranks, dim, ndim):
    """``ranks`` (without ``dim``) in the order of dims that :func:`last` gives: the last one stands where ``dim`` was.
    """
    if ndim <= 1 or dim == ndim - 1:
        return ranks
    return movement.movedim(ranks, -1, dim)


def _without_last(r, input, dim):
    return r if dim == input.ndim - 1 else shape.contiguous(movement.movedim(r, dim, -1))


pick.quick = core.quick["pick"]


@pick.backward_of
def _(grads, dim, keepdim, results, shapes):
    return put_back(grads[0], dim, keepdim, results[1], shapes[0])


def put_back(grad, dim, keepdim, indices, sizes):
    """The adjoint of :func:`pick`."""
    if not len(sizes):
        return grad
    if not keepdim:
        grad, indices = shape.unsqueeze(grad, dim), shape.unsqueeze(indices, dim)
    return spread(grad, dim, indices, sizes)


@composite(out=exact("output values must be of same type as input", "output indices must be of scalar type Long"))
def kthvalue(input, k: integer, dim=-1, keepdim=False, *, out=None):
    """``(values, indices)`` of the ``k``-th smallest element along ``dim``, counted from 1.

    >>> torch.kthvalue(torch.tensor([[3, 9, 1], [6, 4, 5]]), 2, dim=1).values
    tensor([3, 5])
    """
    from .extremum import _check_dim

    dim = _check_dim("kthvalue", input, dim)
    if not 1 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    if input.is_complex() or input.dtype is _bool:
        raise NotImplementedError(f"\"kthvalue_cpu\" not implemented for '{title(input)}'")
    return _named("kthvalue", pick(input, dim, bool(keepdim), int(k)), out)


kthvalue.quick, kthvalue.leaves, kthvalue.memory = core.quick["kthvalue"], pick, sharing(apart="input")


# -- distinct values --


def _check_unique(input, dim):
    if dim is not None and not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if input.is_complex():
        raise NotImplementedError(f"\"unique{'' if dim is None else '_dim'}\" not implemented for '{title(input)}'")


def _runs(differs, n, numbered=True):
    """(starts of runs, run number of each element, if these are wanted) from where an element differs from the one before it."""
    from . import creation, scan

    first = joining.cat([creation.ones(min(n, 1), dtype=_bool, device=differs.device), differs])
    starts = shape.reshape(_positions(first), (-1,))
    return starts, scan.cumsum(first, 0) - 1 if numbered else None


def _distinct(values, numbered):
    """:func:`_runs` of a vector; without the numbers, where they are not asked for, if that is quicker."""
    starts = None if numbered else core.run_starts(values)
    return _runs(comparison.ne(values[1:], values[:-1]), values.shape[0], numbered) if starts is None else (starts, None)


def _positions(mask):
    from . import masks

    return masks.nonzero(mask)


def _lengths(starts, n):
    return joining.cat([starts[1:], creation.full((min(starts.shape[0], 1),), n, dtype=_int64, device=starts.device)]) - starts


def _unmoved(order, numbers):
    """Numbers of the sorted elements, for the elements as they stood."""
    return gather.scatter(zeros_of(tuple(order.shape), order), 0, order, numbers)


@library(where="", differentiable="input", label="Unique2")
def _without_derivative(input, values, name):
    return values.clone()


@_without_derivative.backward_of
def _(grad, name):
    raise NotImplementedError(f"the derivative for '{name}' is not implemented."
        "\n  Call unique() of a detached tensor, or pick the elements by index.")


def _result(input, name, values, *rest):
    """The values, and what else was asked for. Where gradients are recorded the values say that they have none."""
    if records(input):
        label = "".join(part.capitalize() for part in name.split("_")) + "Backward0"
        values = _tensor.rename(_without_derivative(input, values, name), label)
    found = (values, *(r for r in rest if r is not None))
    return found if len(found) > 1 else values


@composite
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim: integer = None):
    """The distinct elements in ascending order (the distinct slices along ``dim``, in lexicographic order).

    With ``return_inverse`` also where each element is among them, with ``return_counts`` how often each occurs. Every
    nan is distinct.

    >>> torch.unique(torch.tensor([3, 1, 3, 2]), return_counts=True)
    (tensor([1, 2, 3]), tensor([1, 1, 2]))
    >>> torch.unique(torch.tensor([[1, 2], [0, 5], [1, 2]]), dim=0)
    tensor([[0, 5],
            [1, 2]])
    """
    _check_unique(input, dim)
    x = input.detach()
    if dim is not None:
        return _result(input, "unique_dim", *_unique_slices(x, _wrap(dim, input.ndim), return_inverse, return_counts))
    flat = shape.reshape(x, (-1,))
    n = flat.shape[0]
    values, order = sort(flat)
    starts, numbers = _distinct(values, return_inverse)
    inverse = shape.reshape(_unmoved(order, numbers), tuple(input.shape)) if return_inverse else None
    return _result(input, "_unique2", values[starts], inverse, _lengths(starts, n) if return_counts else None)


def _unique_slices(x, dim, return_inverse, return_counts, sorted=True):
    """The distinct slices along ``dim``, in order (not ``sorted``: those that differ from the one before them), inverse and counts."""
    rows = movement.movedim(x, dim, 0)
    n = rows.shape[0]
    if x.numel() == 0:
        if n:
            raise RuntimeError("There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
        none = creation.zeros(0, dtype=_int64, device=x.device)
        return creation.empty(x.shape, dtype=x.dtype, device=x.device), none if return_inverse else None, none if return_counts else None
    flat = shape.contiguous(shape.reshape(rows, (n, -1)))
    if sorted:
        order, differs = _ordered_rows(flat)
    else:
        order, differs = None, reduction.any(comparison.ne(flat[1:], flat[:-1]), 1)
    starts, numbers = _runs(differs, n)
    chosen = flat[order[starts] if sorted else starts]
    values = movement.movedim(shape.reshape(chosen, (-1, *rows.shape[1:])), 0, dim)  # each slice is row-major in memory
    inverse = _unmoved(order, numbers) if return_inverse and sorted else numbers if return_inverse else None
    return values, inverse, _lengths(starts, n) if return_counts else None


def _ordered_rows(flat):
    """The order of a matrix's rows, and whether each but the first differs from the one before it."""
    found = core.ordered_rows(flat)
    if found is not None:
        return found
    order = creation.arange(flat.shape[0], device=flat.device)
    for column in range(flat.shape[1] - 1, -1, -1):  # stable sorts from the least significant column on
        order = order[sort(flat[order, column]).indices]
    flat = flat[order]
    return order, reduction.any(comparison.ne(flat[1:], flat[:-1]), 1)


@composite
def unique_consecutive(input, return_inverse=False, return_counts=False, dim: integer = None):
    """The elements (slices along ``dim``) without those that equal the one before them; inverse and counts as for
    :func:`unique`.

    >>> torch.unique_consecutive(torch.tensor([1, 1, 2, 2, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 3, 1]))
    """
    _check_unique(input, dim)
    x = input.detach()
    if dim is not None:
        found = _unique_slices(x, _wrap(dim, input.ndim), return_inverse, return_counts, sorted=False)
        return _result(input, "unique_consecutive", *found)
    flat = shape.reshape(x, (-1,))
    starts, numbers = _distinct(flat, return_inverse)
    inverse = shape.reshape(numbers, tuple(input.shape)) if return_inverse else None
    return _result(input, "unique_consecutive", flat[starts], inverse, _lengths(starts, flat.shape[0]) if return_counts else None)
