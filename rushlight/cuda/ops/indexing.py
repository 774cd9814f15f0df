"""Places of indices and masks, and writes in order, on a GPU (see ``_core/indexing.pyx``)."""

from ..._core.tensor import dtypes
from ...codegen import cuda as codegen
from ...ops import _indexed, creation, shape
from ...ops._expect import expect
from .._kernels import for_core
from . import scan
from ._family import Family, blocks, name, width

_places = Family(
    "places.cu", "P input, P out, P counts, q n, q size, q step, q negative, q rank, q coordinates, 64q sizes, 64q steps, P fault"
)
_scatter = Family(
    "scatter.cu",
    "P target, P values, P offsets, q still, q moving, q still_rank, q moving_rank, 64q sizes, 64q target_stride, 64q value_stride, "
    "64q offset_stride, P keys, P order, q count, q together",
)
MOST_COUNT = (1 << 63) - 1
_CHUNK = 4096  # elements of a mask that a block counts
_IN_ORDER = 256  # still positions up to here are gone through by one thread


def _int64(like, *size):
    return creation.empty(size, dtype=dtypes()["int64"], device=like.device)


@for_core
def offsets(index, size, step, negative, error):
    """The byte offsets of an index tensor along a dim; an index outside shows at the next synchronisation, as IndexError(error(index))."""
    index = shape.contiguous(index)
    out = _int64(index, *index.shape)
    n = index.numel()
    if n and size == 0:
        raise error(index.reshape(-1)[0].item())
    if n:
        _places(
            f"places<{name(index)}>", index, blocks(n), error=lambda value: IndexError(str(error(value))), input=index,
            out=out, n=n, size=size, step=step, negative=int(negative),
        )  # fmt: skip
    return out


@for_core
def set_positions(mask):
    """The row-major positions of a bool tensor's True elements, in order. Waits for their number."""
    mask = shape.contiguous(mask)
    n = mask.numel()
    if mask.is_meta:
        raise NotImplementedError(
            "The number of nonzero elements of a meta tensor is not known\n"
            "  Results whose shape follows from elements (nonzero, masked_select, unique ...) do not exist on the device 'meta'."
        )
    chunks = -(-n // _CHUNK)
    if n == 0:
        return _int64(mask, 0)
    counts = _int64(mask, chunks)
    _places("select", mask, chunks, input=mask, counts=counts, n=n)
    scan.sums_of_counts(counts)
    out = _int64(mask, counts[chunks - 1].item())
    if out.numel():
        _places("select", mask, chunks, input=mask, counts=counts, out=out, n=n)
    return out


@for_core
def unravel(positions, sizes, steps=None):
    """Row-major positions in a shape as coordinates, or as their dot product with ``steps``."""
    n, rank = positions.numel(), len(sizes)
    out = shape.transpose(_int64(positions, rank, n), 0, 1) if steps is None else _int64(positions, n)
    if out.numel():
        positions = shape.contiguous(positions)
        _places(
            "unravel<i64>", positions, blocks(n), input=positions, out=out, n=n, rank=rank, coordinates=int(steps is None),
            sizes=tuple(sizes), steps=steps,
        )  # fmt: skip
    return out


@for_core
def repeated_positions(repeats, total, error):
    """Position i, repeats[i] times, for each i: int64. Waits for their sum, unless it is given."""
    if repeats.numel() == 0:
        return _int64(repeats, 0)
    expect(repeats, 0, MOST_COUNT, error)
    ends = repeats.cumsum(0)
    if total is None:
        total = ends[-1].item()
    else:
        expect(ends[-1:], total, total, lambda found: error(found, total))
    steps = creation.arange(total, device=repeats.device)
    from . import sorting

    return sorting.search(shape.contiguous(ends), steps, True, False)


@for_core
def index_kernel(kind, code, letters, rank, wide, place):
    """For the core: the kernel that reads or writes at offsets, loaded."""
    from .._kernels import load

    outputs, inputs, name = _indexed.describe(kind, code)
    return load(codegen.pointwise(outputs, inputs, letters, rank, wide, name=name), place - 1, name)


# -- writes whose elements may meet --

_STEPS = {"set": "Set", "add": "Add", "mul": "Mul", "max": "Max", "min": "Min", "or": "Or"}


@for_core
def scatter(kind, target, values, offsets):
    """Combines target's elements at ``offsets`` with values (views of one shape) in row-major order for each place."""
    type = width(target) if kind == "set" else name(target)
    entry = f"{type},{'f32' if type in ('f16', 'bf16') else type},{_STEPS[kind]}"
    dims = [_dim(d, (target, values, offsets)) for d in range(target.ndim - 1, -1, -1) if target.shape[d] > 1]
    still, moving = [d for d in dims if d[1] == 0], [d for d in dims if d[1] != 0]
    parameter = {"target": target, "values": values, "offsets": offsets, "still_rank": len(still), "moving_rank": len(moving)}
    parameter["still"], parameter["moving"] = _count(still), _count(moving)
    index = "int" if parameter["still"] * parameter["moving"] < 1 << 31 else "i64"
    for i, field in enumerate(("sizes", "target_stride", "value_stride", "offset_stride")):
        parameter[field] = tuple(d[i] for d in still + moving)
    if parameter["still"] <= _IN_ORDER:
        _scatter(f"in_order<{entry},{index}>", target, blocks(parameter["moving"]), **parameter)
        return
    together = all(d[3] == 0 for d in moving)  # offsets follow from still dims alone
    count = parameter["still"] * (1 if together else parameter["moving"])
    keys = _int64(target, count)
    bound = target.untyped_storage().nbytes()  # keys are distances within the target's memory
    _scatter(f"keys<{index}>", target, blocks(count), keys=keys, count=count, together=int(together), **parameter)
    from . import sorting

    keys, order = sorting.ordered(keys, bound)
    parameter |= {"keys": keys, "order": order, "count": count, "together": int(together)}
    _scatter(f"in_segments<{entry},{index}>", target, blocks(count * (parameter["moving"] if together else 1)), **parameter)


def _dim(d, operands):
    """(size, strides in bytes of target, values and offsets) of a dim."""
    return (operands[0].shape[d], *(t.stride(d) * t.element_size() for t in operands))


def _count(dims):
    n = 1
    for size, *_ in dims:
        n *= size
    return n
