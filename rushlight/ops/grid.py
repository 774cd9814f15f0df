"""Images and volumes at given places: what ``grid_sample`` computes, by kernels, and once by operators.

A place along a dim is pixels p = ((g + 1) n - 1) / 2, or (g + 1) / 2 (n - 1) with aligned corners. A *tap* is a whole-numbered place near p
with its share: two a dim for 'bilinear', one for 'nearest', four for 'bicubic' (Keys, 1981). An output is the sum over all combinations of
taps of the product of their shares and the input there; a tap outside counts nothing.

Of few channels one kernel finds the places and reads there. Else the taps are written down first, and channels are moved inside: all of
a place are read, and in the gradient added to, as one vector. The composition of operators is what is differentiated twice, and what runs
on a GPU.
"""

import functools
import itertools
import operator

from .._core import indexing as core
from .._core import tensor as _tensor
from .._core.tape import EnableGrad, is_grad_enabled, run_grad
from ..lang import derive
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, creation, joining, masks, shape
from ._define import library, planned
from ._windows import dense, filled, kind_of, run
from .sampling import sample, spread, tap_index, tap_share, weigh

_float32, _float64, _int32 = (_tensor.dtypes()[n] for n in ("float32", "float64", "int32"))
STEPS = {"bilinear": (0, 1), "nearest": (0,), "bicubic": (-1, 0, 1, 2)}  # of a dim's taps, from the whole place below p
_A = -0.75  # Keys' parameter
CHANNELS = 8  # from so many on they are moved inside, by measurement
_AT_ONCE = 4  # taps of which one kernel of a gradient takes care


# -- the formulas, of expressions and of tensors alike --


def _pixels(g, n, align):
    return (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2


def _inside(p, n, padding, align, do):
    """p itself for 'zeros'; at the border, or mirrored there, where it lies beyond. do: abs, floor, where and maximum of what p is."""
    if padding == "zeros":
        return p
    if padding == "reflection":
        low, high, span = (0 * n, n - 1, n - 1) if align else (0 * n - 0.5, n - 0.5, n)
        offset = do.abs(p - low)
        turns = do.floor(offset / do.maximum(span, 1))  # of one pixel, aligned, the span is 0, and so is the offset
        rest = offset - turns * span
        p = do.where(turns - 2 * do.floor(turns / 2) < 0.5, rest + low, high - rest)
    return do.where(p <= 0, 0.0, do.where(p >= n - 1, n - 1.0, p))  # beyond the border a value no longer depends on the place


def _cubic(x, do):
    x = do.abs(x)
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * _A - 4 * _A
    return do.where(x <= 1, near, do.where(x < 2, far, 0.0))


# -- the taps in kernels --


class _Elements:
    abs, floor, maximum = (staticmethod(f) for f in (fn.abs, fn.floor, fn.fmax))

    @staticmethod
    def where(condition, a, b):
        return fn.where(condition, a, b)


def _taps_of(p, n, mode, padding, align):
    """(index, share, whether it lies outside) of each tap along a dim."""
    whole = fn.rint(_inside(p, n, padding, align, _Elements)) if mode == "nearest" else None
    for step in STEPS[mode]:
        if mode == "nearest":
            at, share = whole, None
        elif mode == "bicubic":
            low = fn.floor(p)
            at, share = _inside(low + step, n, padding, align, _Elements), _cubic(p - low - step, _Elements)
        else:
            place = _inside(p, n, padding, align, _Elements)
            low = fn.floor(place)
            at, share = low + step, place - low if step else low + 1.0 - place
        index = fn.cast(fn.where(fn.gt(at, 0), fn.where(fn.lt(at, n), at, n - 1.0), 0.0), "i32")
        outside = fn.lt(at, 0) | fn.ge(at, n)
        yield index, share, outside | fn.ne(at, at) if mode == "nearest" else outside


def _all_taps(place, compute, first, rank, mode, padding, align):
    """(flat index, share or None, whether it lies outside) of each tap.

    Operands from ``first`` on: rank coordinates (x first), as many sizes.
    """
    along = []
    for d in range(rank):
        g, n = fn.cast(ex.input(first + d, ty.opmath(place)), compute), ex.input(first + rank + d, compute)
        along.append((list(_taps_of(_pixels(g, n, align), n, mode, padding, align)), fn.cast(n, "i32")))
    for taps in _combinations([t for t, _ in along], mode):
        flat = None
        for (index, _, _), (_, n) in zip(reversed(taps), reversed(along)):
            flat = index if flat is None else flat * n + index
        shares = [share for _, share, _ in taps if share is not None]
        share = functools.reduce(operator.mul, shares) if shares else None
        yield flat, share, functools.reduce(operator.or_, (outside for _, _, outside in taps))


def _at_places(type, place, rank, mode, padding, align):
    """Operands: the output, the input, rank coordinates (x first), as many sizes."""
    compute = ty.opmath(type)
    total = ex.const(0.0, compute)
    for flat, share, outside in _all_taps(place, compute, 1, rank, mode, padding, align):
        value = ex.make("load", (flat * (ty.BITS[type] // 8),), compute, 0)
        total = fn.where(outside, total, value if share is None else fn.fma(share, value, total))
    return ((total, type),), (type, *[place] * rank, *[compute] * rank), "grid_sample"


def _written_down(type, place, compute, rank, mode, padding, align, numbers, slopes):
    """Of each of the taps ``numbers``: byte offset, less than 0 where it lies outside, share, and, if ``slopes``, the share's derivatives.

    Operands: these, rank coordinates, as many sizes, the bytes from place to place.
    """
    taps, outputs = list(_all_taps(place, compute, 0, rank, mode, padding, align)), []
    for flat, share, outside in (taps[number] for number in numbers):
        offset = fn.where(outside, -1, flat * ex.input(2 * rank, "i32"))
        share = ex.const(1.0, compute) if share is None else share
        outputs += [(offset, "i32"), (share, compute)]
        for d in range(rank if slopes else 0):
            g = ex.input(d, ty.opmath(place))
            (slope,) = derive.jvp([share], [ex.const(1.0, g.type)], [g])
            outputs.append((ex.const(0.0, compute) if slope is None else slope, compute))
    return tuple(outputs), (*[place] * rank, *[compute] * rank, "i32"), "grid_taps"


def _there(offset, type, source):
    """(whether a tap lies inside, the source's element there)."""
    inside = fn.ge(offset, 0)
    return inside, ex.make("load", (fn.where(inside, offset, 0),), type, source)


def _gathered(type, taps, more):
    """The sum over taps, added to what there is (``more``); operands: that, the source, the shares, the byte offsets."""
    compute = ty.opmath(type)
    total = ex.input(0, compute) if more else ex.const(0, compute)
    for t in range(taps):
        inside, value = _there(ex.input(more + 1 + taps + t, "i32"), compute, more)
        total = fn.where(inside, fn.fma(ex.input(more + 1 + t, compute), value, total), total)
    return ((total, type),), (*[type] * (more + 1), *[compute] * taps, *["i32"] * taps), "grid_sample"


def _scattered(type, values, taps):
    """To each tap its share of a value; operands: the target as often as there are taps, the values, the shares, the byte offsets."""
    outputs, wider = [], ty.BITS[type] // ty.BITS[values]  # offsets are those in memory of the values' dtype
    for t in range(taps):
        offset = fn.cast(ex.input(1 + taps + t, "i32"), "i64") * wider
        inside = fn.ge(offset, 0)
        part = fn.where(inside, ex.input(0, type) * ex.input(1 + t, type), 0)
        outputs.append((part, type, "add", fn.where(inside, offset, 0)))
    return tuple(outputs), (values, *[type] * taps, *["i32"] * taps), "grid_sample_backward"


def _sloped(type, values, taps, rank):
    """The gradients of the coordinates; operands: these, the gradient, the source, the byte offsets, each tap's slopes."""
    totals = [ex.const(0, type)] * rank
    for t in range(taps):
        inside, value = _there(ex.input(2 + t, "i32"), type, 1)
        value = fn.where(inside, value, 0) * ex.input(0, type)
        totals = [fn.fma(ex.input(2 + taps + t * rank + d, type), value, total) for d, total in enumerate(totals)]
    outputs = tuple((total, type, "add") for total in totals)
    return outputs, (values, values, *["i32"] * taps, *[type] * (taps * rank)), "grid_sample_slopes"


def _combinations(choices, mode):
    """One of the choices for each dim, in the order in which the taps are added up."""
    found = itertools.product(*(choices[::-1] if mode == "bicubic" else choices))
    return (c[::-1] for c in found) if mode == "bicubic" else found


@planned
def _sizes(sizes, dtype, device):
    return [creation.full((), float(n), dtype=dtype, device=device) for n in sizes]


# -- the composition --


class _Tensors:
    abs, floor = staticmethod(arithmetic.abs), staticmethod(lambda x: arithmetic.floor(x).detach())
    where, maximum = staticmethod(masks.where), staticmethod(max)  # sizes are numbers


def taps(grid, size, mode, padding, align):
    """(index, weight) as :func:`sample` takes them; size: x first."""
    place = [_pixels(shape.select(grid, -1, d), n, align) for d, n in enumerate(size)]
    if mode != "bicubic":
        place = [_inside(p, n, padding, align, _Tensors) for p, n in zip(place, size)]
    found = []
    if mode == "bilinear":
        indices = [[tap_index(p, float(step), float(n)) for step in (0, 1)] for p, n in zip(place, size)]
        shares = [[tap_share(p, float(step), float(n)) for step in (0, 1)] for p, n in zip(place, size)]
        for steps in _combinations([STEPS[mode]] * len(place), mode):
            weight = functools.reduce(arithmetic.mul, (share[step] for share, step in zip(shares, steps)))
            found.append((_flat([index[step] for index, step in zip(indices, steps)], size), weight))
    elif mode == "nearest":
        found.append(_whole([arithmetic.round(p) for p in place], None, place, size))
    else:
        low = [_Tensors.floor(p) for p in place]
        for steps in _combinations([STEPS[mode]] * 2, mode):
            at = [_inside(below + step, n, padding, align, _Tensors) for below, step, n in zip(low, steps, size)]
            x, y = (_cubic(p - below - step, _Tensors) for p, below, step in zip(place, low, steps))
            found.append(_whole(at, x * y, place, size))
    return tuple(shape.unsqueeze(joining.stack(t), 2) for t in zip(*found))


def _flat(indices, size):
    """The row-major index of a place; its last coordinate is the outermost dim's."""
    *others, flat = indices
    for index, n in zip(reversed(others), reversed(size[:-1])):
        flat = arithmetic.add(index, flat, alpha=n)
    return flat


def _whole(at, weight, place, size):
    """(index, weight) of a tap at whole-numbered places, of no weight outside; weight None: 1, and none at NaN."""
    beyond = [(p < 0) | (p >= n) if weight is not None else ~((p >= 0) & (p < n)) for p, n in zip(at, size)]
    outside = functools.reduce(operator.or_, beyond)
    index = _flat([tap_index(p.detach(), 0.0, float(n)) for p, n in zip(at, size)], size)
    return index, masks.where(outside, 0.0, (1.0 if weight is None else weight) + 0 * place[0])


# -- the operators --


def _composed(input, grid, mode, padding, align):
    dims = tuple(range(2, input.ndim))
    index, weight = taps(grid, tuple(reversed(input.shape[2:])), mode, padding, align)
    return sample(input, shape.cast(weight, input.dtype), index, dims, tuple(grid.shape[1:-1]))


def _forward(input, grid, mode, padding, align):
    input, grid = core.plain(input), core.plain(grid)
    count = functools.reduce(operator.mul, input.shape[2:])
    if count == 0 or count * input.shape[1] * input.element_size() >= 1 << 31:
        return _composed(input, grid, mode, padding, align)
    alone = _alone if input.shape[1] < CHANNELS or not input.is_cpu else _inside_out
    return alone(input, grid, mode, padding, align)


def _alone(input, grid, mode, padding, align):
    """Each channel by itself."""
    input, rank, dims = shape.contiguous(input), input.ndim - 2, tuple(range(2, input.ndim))
    like = (*input.shape[:2], *grid.shape[1:-1])
    out = creation.empty(like, dtype=input.dtype, device=input.device)
    places = [core.spread(shape.select(grid, -1, d), 1, (like[1],)) for d in range(rank)]
    compute = _float64 if input.dtype is _float64 else _float32
    numbers = [core.spread(core.fixed(n), 0, like) for n in _sizes(tuple(reversed(input.shape[2:])), compute, input.device)]
    arguments = (ty.NAMES[grid.dtype.code], rank, mode, padding, align)
    run(_at_places, arguments, out, core.without_strides(input, dims, like), *places, *numbers)
    return out


class _Written:
    """The taps of a call, written down: offsets, shares (count, N, ...) and, if wanted, slopes (count * rank, N, ...).

    inside: the channels of a place lie side by side in what is read and added to, (N, ..., C) instead of (N, C, ...).
    """

    def __init__(self, input, grid, mode, padding, align, slopes, inside):
        self.rank, self.channels, self.inside = input.ndim - 2, input.shape[1], inside
        self.count = len(STEPS[mode]) ** self.rank
        self.axis = 1 + self.rank if inside else 1
        self.places = tuple(range(1, 1 + self.rank)) if inside else tuple(range(2, 2 + self.rank))
        self.compute = compute = _float64 if input.dtype is _float64 else _float32
        make = lambda n, dtype: creation.empty((n, *grid.shape[:-1]), dtype=dtype, device=input.device)  # noqa: E731
        self.offsets, self.shares = make(self.count, _int32), make(self.count, compute)
        self.slopes = make(self.count * self.rank, compute) if slopes else None
        step = _step(input.element_size() * (self.channels if inside else 1))
        fixed = [*_sizes(tuple(reversed(input.shape[2:])), compute, input.device), step]
        fixed = [shape.expand(core.fixed(n), grid.shape[:-1]) for n in fixed]
        coordinates = [shape.select(grid, -1, d) for d in range(self.rank)]
        names = ty.NAMES[grid.dtype.code], ty.NAMES[compute.code]
        for t in range(0, self.count, 2):  # with their slopes in three dims two taps are what a kernel has operands for
            part, results = range(t, min(t + 2, self.count)), []
            for i in part:
                results += [self.offsets[i], self.shares[i], *(self.slopes[i * self.rank + d] for d in range(self.rank if slopes else 0))]
            run(_written_down, (*names, self.rank, mode, padding, align, tuple(part), slopes), *results, *coordinates, *fixed)

    def laid(self, x):
        """x (N, C, ...) as it is read."""
        return dense(shape.permute(x, (0, *range(2, x.ndim), 1)) if self.inside else x)

    def given(self, x):
        """What was laid so, as (N, C, ...) in memory of that order."""
        return dense(shape.permute(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))) if self.inside else x

    def empty(self, sizes, like, dtype):
        """New memory for (N, C, *sizes)."""
        sizes = (like.shape[0], *sizes, self.channels) if self.inside else (like.shape[0], self.channels, *sizes)
        return creation.empty(sizes, dtype=dtype, device=like.device)

    def still(self, x, like):
        """x at its first place, for the shape of ``like``."""
        return core.without_strides(x, self.places, tuple(like.shape))

    def of_channels(self, what, part):
        """Those of some taps, the same for all channels."""
        return [core.spread(what[i], self.axis, (self.channels,)) for i in part]


@planned
def _step(size):
    return creation.full((), size, dtype=_int32)


def _inside_out(input, grid, mode, padding, align):
    """All channels of a place together."""
    taps = _Written(input, grid, mode, padding, align, False, True)
    out = taps.empty(grid.shape[1:-1], input, input.dtype)
    source = taps.still(taps.laid(input), out)
    for t in range(0, taps.count, 2 * _AT_ONCE):
        part = range(t, min(t + 2 * _AT_ONCE, taps.count))
        more, operands = [out] if t else [], [*taps.of_channels(taps.shares, part), *taps.of_channels(taps.offsets, part)]
        run(_gathered, (len(part), len(more)), out, *more, source, *operands)
    return taps.given(out)


def _gradients(grad, input, grid, mode, padding, align, towards_input, towards_grid):
    """What goes to the input and to the grid, each where it is wanted."""
    taps = _Written(input, grid, mode, padding, align, bool(towards_grid), input.shape[1] >= CHANNELS)
    rank, name, grad = taps.rank, ty.NAMES[input.dtype.code], taps.laid(core.plain(grad))
    if towards_input:
        of_input = taps.empty(input.shape[2:], input, taps.compute)
        run(filled, (0,), of_input)
        target = taps.still(of_input, grad)
    if towards_grid:
        first, last = (grid.ndim - 1, *range(grid.ndim - 1)), (*range(1, grid.ndim), 0)
        of_grid = creation.empty(tuple(grid.shape) if taps.inside else (rank, *grid.shape[:-1]), dtype=taps.compute, device=grid.device)
        run(filled, (0,), of_grid)
        of_grid = shape.permute(of_grid, first) if taps.inside else of_grid  # the inner loop is the one along what lies side by side
        source, coordinates = taps.still(taps.laid(core.plain(input)), grad), taps.of_channels(of_grid, range(rank))
    for t in range(0, taps.count, _AT_ONCE):
        part = range(t, min(t + _AT_ONCE, taps.count))
        offsets = taps.of_channels(taps.offsets, part)
        if towards_input:
            kernel = kind_of(_scattered, (name, len(part)))
            core.run_ordered(kernel, False, *[target] * len(part), grad, *taps.of_channels(taps.shares, part), *offsets)
        if towards_grid:
            slopes = taps.of_channels(taps.slopes, range(t * rank, (t + len(part)) * rank))
            core.run_ordered(kind_of(_sloped, (name, len(part), rank)), False, *coordinates, grad, source, *offsets, *slopes)
    return (
        shape.cast(taps.given(of_input), input.dtype) if towards_input else None,
        shape.cast(dense(shape.permute(of_grid, last)), grid.dtype) if towards_grid else None,
    )


_gradients = core.Recorded(_gradients)


def _backward(grad, input, grid, mode, padding, align, needs):
    image = input.numel() // max(1, input.shape[0]) * input.element_size()
    if input.is_cpu and 0 < image < 1 << 31 and grid.numel() and not is_grad_enabled():
        return _gradients(grad, input, core.plain(grid), mode, padding, align, int(needs[0]), int(needs[1]))
    dims, place = tuple(range(2, input.ndim)), grid.detach()
    if is_grad_enabled():
        out = _composed(input, grid, mode, padding, align)
        wanted = tuple(t for t, n in zip((input, grid), needs) if n)
        found = iter(run_grad((out,), (grad,), True, True, wanted, True))
        return tuple(next(found) if n else None for n in needs)
    with EnableGrad():
        if needs[1]:
            place.requires_grad_()
        index, weight = taps(place, tuple(reversed(input.shape[2:])), mode, padding, align)
        weight = shape.cast(weight, input.dtype)
    towards_input = spread(grad, weight.detach(), index, dims, tuple(input.shape)) if needs[0] else None
    if not needs[1]:
        return towards_input, None
    of_weight = weigh(grad, input, index, dims, tuple(weight.shape))
    return towards_input, run_grad((weight,), (of_weight,), False, False, (place,), True)[0]


def _operator(rank):
    name = f"_grid_sampler_{rank}d"
    op = library(name=name, where="", differentiable="input grid", label=f"GridSampler{rank}D", recorded=True, second="nothing")(_forward)
    return op.backward_of(_backward)


grid_samplers = {rank: _operator(rank) for rank in (2, 3)}
"""By the number of spatial dims: (input (N, C, ...), grid, mode, padding, aligned corners) -> (N, C, ...)."""
