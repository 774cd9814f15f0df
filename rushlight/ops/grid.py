"""Images and volumes at given places: what ``grid_sample`` computes, in one kernel that finds the places, and once by operators.

A place along a dim is pixels p = ((g + 1) n - 1) / 2, or (g + 1) / 2 (n - 1) with aligned corners. A *tap* is a whole-numbered place near p
with its share: two a dim for 'bilinear', one for 'nearest', four for 'bicubic' (Keys, 1981). An output is the sum over all combinations of
taps of the product of their shares and the input there; a tap outside counts nothing.
"""

import functools
import itertools
import operator

from .._core import indexing as core
from .._core import tensor as _tensor
from .._core.tape import EnableGrad, is_grad_enabled, run_grad
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, creation, joining, masks, shape
from ._define import library, planned
from .pool import run
from .sampling import sample, spread, tap_index, tap_share, weigh

_float32, _float64 = (_tensor.dtypes()[n] for n in ("float32", "float64"))
STEPS = {"bilinear": (0, 1), "nearest": (0,), "bicubic": (-1, 0, 1, 2)}  # of a dim's taps, from the whole place below p
_A = -0.75  # Keys' parameter
# The kernel finds its places anew for each channel. From so many channels and results on, finding them once is quicker, by measurement.
CHANNELS, RESULTS = 16, 1 << 18


# -- the formulas, of expressions and of tensors alike --


def _pixels(g, n, align):
    return (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2


def _inside(p, n, padding, align, do):
    """p itself for 'zeros'; at the border, or mirrored there, where it lies beyond. do: abs, floor and where of what p is."""
    if padding == "zeros":
        return p
    if padding == "reflection":
        low, high, span = (0 * n, n - 1, n - 1) if align else (0 * n - 0.5, n - 0.5, n)
        offset = do.abs(p - low)
        turns = do.floor(offset / span)
        rest = offset - turns * span
        p = do.where(turns - 2 * do.floor(turns / 2) < 0.5, rest + low, high - rest)
        p = do.where(span + 0 * p <= 0, 0.0, p)
    return do.where(p <= 0, 0.0, do.where(p >= n - 1, n - 1.0, p))  # beyond the border a value no longer depends on the place


def _cubic(x, do):
    x = do.abs(x)
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * _A - 4 * _A
    return do.where(x <= 1, near, do.where(x < 2, far, 0.0))


# -- the kernel --


class _Elements:
    abs, floor = staticmethod(fn.abs), staticmethod(fn.floor)

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


def _at_places(type, place, rank, mode, padding, align):
    """Operands: the output, the input, rank coordinates (x first), as many sizes."""
    compute = ty.opmath(type)
    along = []
    for d in range(rank):
        g, n = fn.cast(ex.input(1 + d, ty.opmath(place)), compute), ex.input(1 + rank + d, compute)
        along.append((list(_taps_of(_pixels(g, n, align), n, mode, padding, align)), fn.cast(n, "i32")))
    total = ex.const(0.0, compute)
    for taps in _combinations([t for t, _ in along], mode):
        flat = None
        for (index, _, _), (_, n) in zip(reversed(taps), reversed(along)):
            flat = index if flat is None else flat * n + index
        value = ex.make("load", (fn.cast(flat, "i64") * (ty.BITS[type] // 8),), compute, 0)
        shares = [share for _, share, _ in taps if share is not None]
        more = fn.fma(functools.reduce(operator.mul, shares), value, total) if shares else value
        total = fn.where(functools.reduce(operator.or_, (outside for _, _, outside in taps)), total, more)
    return ((total, type),), (type, *[place] * rank, *[compute] * rank), "grid_sample"


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
    where = staticmethod(masks.where)


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
    input, rank, size = core.plain(input), input.ndim - 2, tuple(reversed(input.shape[2:]))
    dims = tuple(range(2, input.ndim))
    count = functools.reduce(operator.mul, size)
    results = input.shape[0] * input.shape[1] * functools.reduce(operator.mul, grid.shape[1:-1])
    often = input.is_cpu and mode != "bicubic" and input.shape[1] >= CHANNELS and results > RESULTS
    if count == 0 or count * input.element_size() >= 1 << 31 or often:
        return _composed(input, grid, mode, padding, align)
    input = shape.contiguous(input)
    like = (*input.shape[:2], *grid.shape[1:-1])
    out = creation.empty(like, dtype=input.dtype, device=input.device)
    places = [core.spread(shape.select(core.plain(grid), -1, d), 1, (like[1],)) for d in range(rank)]
    compute = _float64 if input.dtype is _float64 else _float32
    numbers = [core.spread(core.fixed(n), 0, like) for n in _sizes(size, compute, input.device)]
    arguments = (ty.NAMES[grid.dtype.code], rank, mode, padding, align)
    run(_at_places, arguments, out, core.without_strides(input, dims, like), *places, *numbers)
    return out


def _backward(grad, input, grid, mode, padding, align, needs):
    if is_grad_enabled():
        out = _composed(input, grid, mode, padding, align)
        wanted = tuple(t for t, n in zip((input, grid), needs) if n)
        found = iter(run_grad((out,), (grad,), True, True, wanted, True))
        return tuple(next(found) if n else None for n in needs)
    dims, place = tuple(range(2, input.ndim)), grid.detach()
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
    op = library(name=name, where="", differentiable="input grid", label=f"GridSampler{rank}D", recorded=True)(_forward)
    return op.backward_of(_backward)


grid_samplers = {rank: _operator(rank) for rank in (2, 3)}
"""By the number of spatial dims: (input (N, C, ...), grid, mode, padding, aligned corners) -> (N, C, ...)."""
