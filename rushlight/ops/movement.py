"""Operators that move elements or rename dims: flips, rolls, repetitions, in-place views, changes of size."""

import itertools
import math
import warnings

from .._core import callbacks
from .._core import movement as core
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core import view as _view
from . import creation, joining, reduction, shape
from ._define import composite, integer, integers, library, planned
from ._outputs import exact
from .casting import FORMATS
from .joining import _wrap

Tensor = _tensor.Tensor


def _ints(values):
    """Integers given as one sequence or one by one."""
    return tuple(values[0]) if len(values) == 1 and not hasattr(values[0], "__index__") else tuple(values)


def _distinct(dims, ndim):
    """Wrapped dims; raises if one occurs twice."""
    wrapped = [_wrap(d, ndim) for d in dims]
    for i, d in enumerate(wrapped):
        if d in wrapped[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return wrapped


# -- flips and rolls --


@library(where="", differentiable="input", label="Flip", batch="along")
def _flip(input, dims):
    return core.reversed_copy(input, dims if input.ndim else ())


@_flip.backward_of
def _(grad, dims):
    return _flip(grad, dims)


@composite
def flip(input, *positions, dims=None):
    """A copy with the elements in reverse order along ``dims``.

    >>> torch.flip(torch.tensor([1, 2, 3]), (0,))
    tensor([3, 2, 1])
    """
    if not positions and dims is None:
        raise TypeError('flip() missing 1 required positional arguments: "dims"')
    if len(positions) == 1 and type(positions[0]) is int:
        return _flip(input, (_wrap(positions[0], input.ndim),))
    return _flip(input, _distinct(_ints(positions or (dims,)), input.ndim))


flip.quick = core.quick["flip"]


@composite
def fliplr(input):
    """A copy with the columns in reverse order.

    >>> torch.fliplr(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return _flip(input, [1])


@composite
def flipud(input):
    """A copy with the rows in reverse order.

    >>> torch.flipud(torch.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return _flip(input, [0])


@library(where="", differentiable="input", label="Roll", batch="along")
def _roll(input, shifts, dims):
    for shift, dim in zip(shifts, dims):
        n = input.shape[dim]
        k = shift % n if n else 0
        input = joining._cat.forward([shape.narrow(input, dim, n - k, k), shape.narrow(input, dim, 0, n - k)], dim)
    return input if dims and input.ndim else shape.clone(input)


_roll.quick = core.quick["roll"]


@_roll.backward_of
def _(grad, shifts, dims):
    return roll(grad, -shifts if type(shifts) is int else [-s for s in shifts], dims)


@library(where="", differentiable="input", label="Roll")
def _roll_all(input, shifts):
    return shape.reshape(_roll(shape.reshape(input, (-1,)), shifts, (0,)), tuple(input.shape))


@_roll_all.backward_of
def _(grad, shifts):
    return _roll_all(grad, [-s for s in shifts])


@composite
def roll(input, shifts: integers, dims=()):
    """A copy with the elements moved on by ``shifts`` along ``dims``, and those pushed out coming in again at the
    start.

    Without ``dims`` the flattened tensor is rolled. Raises RuntimeError if the numbers of shifts and dims differ.

    >>> torch.roll(torch.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    >>> torch.roll(torch.tensor([[1, 2, 3], [4, 5, 6]]), (1, -1), (0, 1))
    tensor([[5, 6, 4],
            [2, 3, 1]])
    """
    shifts = (shifts,) if hasattr(shifts, "__index__") else tuple(shifts)
    dims = (dims,) if hasattr(dims, "__index__") else tuple(dims)
    if not shifts:
        raise RuntimeError("`shifts` required")
    if not input.numel() and len(shifts) == len(dims) == 1:
        return shape.clone(input)  # whatever the dim, as PyTorch
    if not dims and len(shifts) == 1:
        return _roll(input, shifts, (0,)) if input.ndim == 1 else _roll_all(input, shifts)
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return _roll(input, shifts, tuple(_wrap(d, input.ndim) for d in dims))


roll.quick, roll.leaves = core.quick["roll"], _roll


@composite
def rot90(input, k=1, dims=(0, 1)):
    """A copy turned by ``k`` quarter turns in the plane of two dims, from the first towards the second.

    >>> torch.rot90(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (_wrap(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k % 2:  # as PyTorch's, not row-major
        return shape.transpose(_flip(input, [b if k == 1 else a]), a, b)
    return _flip(input, [a, b]) if k == 2 else shape.clone(input, memory_format=FORMATS["contiguous_format"])


# -- repetitions --


@library(where="", differentiable="input", label="Repeat")
def _repeat(input, repeats):
    lead = len(repeats) - input.ndim
    sizes = (1,) * lead + tuple(input.shape)
    paired = [n for pair in zip(repeats, sizes) for n in pair]
    whole = [r * n for r, n in zip(repeats, sizes)]
    if min(whole, default=0) < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(whole)}: {whole}")
    wide = shape.expand(shape.reshape(input, [n for s in sizes for n in (1, s)]), paired)
    copy = shape.contiguous(wide)
    return shape.reshape(shape.clone(wide) if copy is wide else copy, whole)  # once is a copy, too


@_repeat.backward_of
def _(grad, repeats, shapes):
    sizes = (1,) * (len(repeats) - len(shapes[0])) + tuple(shapes[0])
    paired = shape.reshape(grad, [n for pair in zip(repeats, sizes) for n in pair])
    return shape.reshape(reduction.sum(paired, tuple(range(0, 2 * len(repeats), 2))) if repeats else paired, shapes[0])


@composite(where="method")
def repeat(input, *repeats):
    """A copy with the tensor laid out ``repeats[d]`` times along each dim; more numbers than dims make new leading dims.

    >>> torch.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    if not repeats:
        raise TypeError('repeat() missing 1 required positional arguments: "repeats"')
    repeats = _ints(repeats)
    if len(repeats) < input.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return _repeat(input, repeats)


@composite
def tile(input, *dims):
    """As :func:`repeat`, but numbers that are missing count as 1.

    >>> torch.tile(torch.tensor([[1, 2], [3, 4]]), (2,))
    tensor([[1, 2, 1, 2],
            [3, 4, 3, 4]])
    """
    dims = _ints(dims)
    return _repeat(input, (1,) * (input.ndim - len(dims)) + dims)


@composite
def repeat_interleave(input, repeats=None, dim: integer = None, *, output_size: integer = None):
    """Each element, or each slice along ``dim``, repeated in place; without ``dim`` the flattened tensor.

    repeats: a number, or a tensor with one for each slice. ``repeat_interleave(repeats)`` alone gives the slices'
    numbers. output_size: how many slices there are then; a GPU need not be waited for to know it.
    Raises RuntimeError for a negative number and for an ``output_size`` that is another.

    >>> torch.repeat_interleave(torch.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if repeats is None:
        return _slice_numbers(input, output_size)
    if dim is None:
        input, dim = shape.flatten(input), 0
    dim = _wrap(dim, input.ndim)
    if (
        isinstance(repeats, Tensor)
        and repeats.numel() == 1
        and repeats.ndim < 2
        and not repeats.dtype.is_floating_point
    ):
        repeats = int(repeats) if output_size is None else shape.expand(repeats, (input.shape[dim],))
    if isinstance(repeats, Tensor):
        return _interleaved(input, repeats, dim, output_size)
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    if output_size is not None and output_size != repeats * input.shape[dim]:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {repeats * input.shape[dim]} but got {output_size}")
    wide = shape.unsqueeze(input, dim + 1)
    sizes = list(wide.shape)
    sizes[dim + 1] = repeats
    return shape.flatten(shape.clone(shape.expand(wide, sizes), memory_format=FORMATS["contiguous_format"]), dim, dim + 1)


def _miscounted(found, total=None):
    """The error for a number of repeats, or for their sum."""
    if total is None:
        return RuntimeError(f"repeats can not be negative\n  Found {found}.")
    return RuntimeError(f"allocated size does not match required size\n  The repeats sum up to {found}, output_size is {total}.")


def _slice_numbers(repeats, output_size):
    if repeats.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype.name not in ("int64", "int32"):
        title = _operator.dtype_name(_tensor.code_of(repeats))
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{title}'\n  Counts are int64 or int32."
        )
    counts = shape.cast(repeats, _tensor.dtypes()["int64"])
    return shape.cast(core.repeated_positions(counts, output_size, _miscounted), repeats.dtype)


def _interleaved(input, repeats, dim, output_size):
    from .index import index_select

    if repeats.ndim != 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats.shape[0] != input.shape[dim]:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats.shape[0]} and input.size({dim}) = {input.shape[dim]}"
        )
    return index_select(input, dim, _slice_numbers(repeats, output_size))


# -- the order of dims --


@composite(aliases=("moveaxis",))
def movedim(input, source, destination):
    """A view with the dims ``source`` moved to the places ``destination``; the others keep their order.

    >>> torch.movedim(torch.ones(2, 3, 4), 0, -1).shape
    torch.Size([3, 4, 2])
    >>> torch.movedim(torch.ones(2, 3, 4), (0, 1), (1, 2)).shape
    torch.Size([4, 2, 3])
    """
    source = (source,) if hasattr(source, "__index__") else tuple(source)
    destination = (destination,) if hasattr(destination, "__index__") else tuple(destination)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same "
            "number of "
            f"dims as destination ({list(destination)} dims)"
        )
    wrapped = []
    for what, dims in (("source", source), ("destination", destination)):
        wrapped.append([_wrap(d, input.ndim) for d in dims])
        if len(set(wrapped[-1])) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{what}` ({list(dims)})")
    if input.ndim == 0:
        return shape.permute(input, ())
    order = [d for d in range(input.ndim) if d not in wrapped[0]]
    for to, d in sorted(zip(wrapped[1], wrapped[0])):
        order.insert(to, d)
    return shape.permute(input, order)


movedim.quick = _view.quick["movedim"]


@composite(aliases=("swapdims",))
def swapaxes(input, axis0: integer = None, axis1: integer = None, *, dim0: integer = None, dim1: integer = None):
    """The view with two dims swapped: :func:`transpose` under NumPy's name.

    >>> torch.swapaxes(torch.ones(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    return shape.transpose(input, dim0 if axis0 is None else axis0, dim1 if axis1 is None else axis1)


@composite
def unflatten(input, dim: integer, sizes):
    """A view in which a dim is split into several of the given sizes, of which one may be -1.

    >>> torch.arange(6).unflatten(0, (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return shape.view(input, _unflattened(input.shape, dim, tuple(sizes)))


@planned
def _unflattened(before, dim, sizes):
    if not before:
        raise RuntimeError("unflatten got an unexpected error:\n  A tensor without dims has none to split; unsqueeze it first.")
    dim = _wrap(dim, len(before))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    n, known = before[dim], math.prod(s for s in sizes if s != -1)
    if sizes.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred\n  unflatten: sizes may hold one -1.")
    if (known == 0 or n % known) if -1 in sizes else known != n:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({n}) in the input "
            "tensor"
        )
    return (*before[:dim], *(n // known if s == -1 else s for s in sizes), *before[dim + 1 :])


@composite
def ravel(input):
    """The elements in one dim: a view where possible.

    >>> torch.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return shape.reshape(shape.contiguous(input), (-1,))


@composite(out=exact("Expected self.dtype() == output.dtype() to be true, but got false."))
def narrow_copy(input, dim: integer, start, length):
    """A copy of :func:`narrow`.

    >>> x = torch.arange(5)
    >>> torch.narrow_copy(x, 0, 1, 2).zero_()
    tensor([0, 0])
    >>> x
    tensor([0, 1, 2, 3, 4])
    """
    if dim >= input.ndim > 0:
        raise RuntimeError(f"narrow_copy(): dim must be from {-input.ndim} to {input.ndim - 1}, but is {dim}")
    return shape.clone(shape.narrow(input, dim, start, length), memory_format=FORMATS["contiguous_format"])


@composite(where="function")
def combinations(input, r=2, with_replacement=False):
    """All combinations of ``r`` elements of a vector, as rows in lexicographic order of their positions.

    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    >>> torch.combinations(torch.tensor([1, 2]), r=3, with_replacement=True)
    tensor([[1, 1, 1],
            [1, 1, 2],
            [1, 2, 2],
            [2, 2, 2]])
    """
    from .index import index_select

    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return shape.narrow(input, 0, 0, 0)
    positions = _positions_of_combinations(input.shape[0], r, with_replacement)
    return shape.reshape(index_select(input, 0, positions), (positions.numel() // r, r))


@planned
def _positions_of_combinations(n, r, with_replacement):
    from .._core import convert

    if r == 2:
        return shape.reshape(shape.transpose(creation.triu_indices(n, n, 0 if with_replacement else 1), 0, 1), (-1,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    return convert.tensor(list(itertools.chain.from_iterable(choose(range(n), r))), dtype=_tensor.dtypes()["int64"])


# -- geometry changed in place --


def _inplace_view(name, view):
    def definition(input, *args, **kwargs):
        try:
            turned = view(input, *args, **kwargs)
        except (IndexError, RuntimeError):
            _operator.refuse_leaf(input)
            raise
        return core.take_geometry(input, turned)

    definition.__name__ = name
    definition.__doc__ = (
        f"In-place version of :func:`{name[:-1]}`: the tensor itself gets the new geometry and is returned."
    )
    return composite(definition, where="function method" if name == "as_strided_" else "method")


squeeze_ = _inplace_view("squeeze_", shape.squeeze)
unsqueeze_ = _inplace_view("unsqueeze_", shape.unsqueeze)
transpose_ = _inplace_view("transpose_", shape.transpose)
swapaxes_ = _inplace_view("swapaxes_", swapaxes)
swapdims_ = _inplace_view("swapdims_", swapaxes)
as_strided_ = _inplace_view("as_strided_", shape.as_strided)


@composite(where="method")
def t_(input):
    """In-place version of :func:`t`: the tensor itself is transposed, without a copy, and returned."""
    if input.ndim > 2:
        _operator.refuse_leaf(input)
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return core.take_geometry(input, shape.t(input))


@composite(where="method")
def resize_(input, *sizes, memory_format=None):
    """Gives the tensor another shape, row-major or in the order of ``memory_format``, in place. What the memory holds from its first
    element on stays; new elements are uninitialised.

    A storage that is too small grows, and tensors that share it follow. Raises RuntimeError if the tensor requires a gradient, or
    if memory that is not rushlight's own (a NumPy array's) would have to grow.

    >>> torch.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if input.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    wanted = tuple(_ints(sizes))
    if memory_format is None:
        return input if wanted == tuple(input.shape) else core.resize(input, wanted)
    if memory_format is FORMATS["preserve_format"]:
        raise RuntimeError("Unsupported memory formatPreserve")
    return core.resize(input, wanted, True, creation.empty(wanted, memory_format=memory_format, device="meta"))


@composite
def resize_as_(input, other, memory_format=None):
    """:func:`resize_` to the shape of ``other``, and to its order of dims with ``memory_format=torch.preserve_format``.

    >>> torch.arange(6).resize_as_(torch.ones(3, 2))
    tensor([[0, 1],
            [2, 3],
            [4, 5]])
    """
    if memory_format is FORMATS["preserve_format"]:
        known = (FORMATS[name] for name in ("channels_last", "channels_last_3d"))
        memory_format = next((f for f in known if other.is_contiguous(memory_format=f)), FORMATS["contiguous_format"])
    return resize_(input, tuple(other.shape), memory_format=memory_format)


def _resize_out(target, result, name):
    """For the core: gives an out= tensor the shape of the result, and its order of elements. name: None warns nobody."""
    if target.numel() and name is not None:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does not match the required "
            f"output shape {list(result.shape)}. This behavior is deprecated: pass an empty tensor, or resize it first with resize_(0).\n"
            f"  [{name}] out=", UserWarning, stacklevel=2,
        )  # fmt: skip
    core.resize(target, tuple(result.shape), False, result)


callbacks.register(resize_out=_resize_out)

@composite(where="method")
def fill_diagonal_(input, fill_value, wrap=False):
    """Writes a number to the main diagonal, in place: of tensors of more than 2 dims, all of one size, to the elements
    ``[i, i, ..., i]``.

    wrap: in a matrix with more rows than columns the diagonal starts again below, with one row in between.

    >>> torch.zeros(4, 2).fill_diagonal_(1., wrap=True)
    tensor([[1., 0.],
            [0., 1.],
            [0., 0.],
            [1., 0.]])
    """
    if input.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if input.ndim > 2 and len(set(input.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(input.stride())
    n = min(input.shape)
    shape.fill_(shape.as_strided(input, (n,), (step,)), fill_value)
    if wrap and input.ndim == 2 and input.shape[0] > n + 1:
        height, width = input.shape
        rest = shape.narrow(input, 0, width + 1, height - width - 1)
        fill_diagonal_(rest, fill_value, True)
    return input
