"""The probability that labels, with blanks between them, were read from frames of class probabilities in any of their alignments.

States of an alignment are blank, label, blank, label ... blank. a[t, s], the logarithm of the probability of all ways to be in state s at
frame t, follows from the frame before (Graves et al., 2006):

    a[t, s] = e[t, s] + log(exp a[t-1, s] + exp a[t-1, s-1] + exp(a[t-1, s-2] + skip[s]))

with e the log-probability of the state's label, and skip 0 where the blank between two labels may be left out, else -inf. A frame is one
kernel over all sequences and states; so is a frame of the reverse, which the gradient takes.
"""

import math

from .._core import indexing as core
from .._core.tape import is_grad_enabled
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import arithmetic, comparison, creation, elementary, gather, joining, masks, padding, reduction, shape, statistics
from ._define import library
from ._windows import kind_of

_NEVER = -1e30
_FAINT = {"f32": -40.0, "f64": -350.0}
"""Logarithms of probabilities, and of parts of a sum, that are counted as 0: products of two such are not denormal, which is slow."""


def _frame(type):
    """a[t] from e[t], a[t-1] in three places, and skip."""
    compute = ty.opmath(type)
    emitted, stay, step, leap, skip = (ex.input(i, compute) for i in range(5))
    leap = leap + skip
    most = fn.maximum(fn.maximum(stay, step), leap)
    total = sum(fn.exp(fn.maximum(way - most, 2 * _FAINT[compute])) for way in (stay, step, leap))
    result = fn.where(fn.eq(most, -math.inf), most, emitted + most + fn.log(total))
    return ((result, type),), (type,) * 5, "ctc"


def _frame_back(type):
    """The slopes towards a[t]: what is there already, and what comes from the three states of frame t + 1 that follow on it.

    Operands: the slopes; those of frame t + 1 in three places; a[t]; a[t+1] - e[t+1] in three places; skip of the last.
    """
    compute = ty.opmath(type)
    slope, *later = (ex.input(i, compute) for i in range(4))
    here, *through = (ex.input(i, compute) for i in range(4, 8))
    ways = (here, here, here + ex.input(8, compute))
    faint = _FAINT[compute]
    for after, way, total in zip(later, ways, through):
        part = way - total
        counts = fn.gt(after, math.exp(faint)) & fn.gt(part, faint)  # not NaN either, where nothing reaches a state
        slope = slope + fn.where(counts, after, 0.0) * fn.exp(fn.where(counts, part, 0.0))
    return ((slope, type),), (type,) * 9, "ctc_backward"


# -- all frames. Sequences lie in one row, each with two more states that nothing reaches, so that a kernel walks whole vectors. --


def _row(x, t, start, count):
    """``count`` states of frame t, of all sequences in one row."""
    return shape.narrow(shape.reshape(x[t], (-1,)), 0, start, count)


def _ways(emitted, skips):
    """a for all frames, the two more states in front: (T, N, W + 2)."""
    frames, batch, width = emitted.shape
    emitted, skips = (padding.constant_pad_nd(x, (2, 0), -math.inf) for x in (emitted, skips))
    a = creation.full(tuple(emitted.shape), -math.inf, dtype=emitted.dtype, device=emitted.device)
    first = slice(2, 2 + min(2, width))
    shape.copy_(a[0, :, first], emitted[0, :, first])
    if frames > 1:
        count, step = batch * (width + 2) - 2, a.stride(0)
        before = [_row(a, 0, 2 - k, count) for k in range(3)]
        skip = shape.narrow(shape.reshape(skips, (-1,)), 0, 2, count)
        core.run_along(kind_of(_frame, ()), frames - 1, (step,) * 5 + (0,), _row(a, 1, 2, count), _row(emitted, 1, 2, count), *before, skip)
    return a


def _ends(a, lengths, final):
    """The rows of each sequence's last frame, and of its two last states."""
    at = comparison.clamp(arithmetic.sub(lengths, 1), 0)
    rows = creation.arange(a.shape[1], device=a.device)
    return (at, rows), joining.stack([arithmetic.add(final, 2), arithmetic.add(final, 1)], 1)


@library(where="", differentiable="log_probs", label="CtcLoss")
def alignments(log_probs, states, skips, lengths, final, zero_infinity):
    """(log-likelihood of each sequence, a).

    log_probs (T, N, C); states (N, W), the class of each; skips (N, W) of log_probs' dtype; lengths (N,), the frames of each sequence;
    final (N,), its last state. zero_infinity: the gradient of a sequence without any alignment is 0; else it is NaN in its frames.
    """
    a = _ways(_emitted(log_probs, states), skips)
    last, ends = _ends(a, lengths, final)
    return statistics.logsumexp(gather.gather(a[last], 1, ends), 1), a


def _emitted(log_probs, states):
    return gather.gather(log_probs, 2, shape.expand(states, (log_probs.shape[0], *states.shape)))


@alignments.backward_of
def _(grads, log_probs, states, skips, lengths, final, zero_infinity, results):
    """With the term of the normaliser, as in PyTorch: it vanishes behind a log_softmax, and gives a leaf what its logits would get."""
    if is_grad_enabled():
        slopes = _composed_gradient(grads[0], log_probs, states, skips, lengths, final)
    else:
        slopes = _gradient(grads[0], log_probs, states, skips, lengths, final, results)
    slopes = arithmetic.sub(slopes, arithmetic.mul(elementary.exp(log_probs), reduction.sum(slopes, -1, True)))
    return slopes if zero_infinity else arithmetic.masked_fill(slopes, _undefined(results[0], lengths, log_probs), math.nan)


def _undefined(likelihood, lengths, log_probs):
    """(T, N, 1): the frames of sequences without any alignment, towards which -log 0 has no slope."""
    frames = shape.unsqueeze(creation.arange(log_probs.shape[0], device=log_probs.device), 1)
    within = comparison.lt(frames, lengths)
    return shape.unsqueeze(comparison.logical_and(within, comparison.eq(likelihood, -math.inf)), 2)


def _gradient(grad, log_probs, states, skips, lengths, final, results):
    likelihood, a = results
    emitted = _emitted(log_probs, states)
    frames, batch, width = emitted.shape
    last, ends = _ends(a, lengths, final)
    slopes = creation.zeros(tuple(a.shape), dtype=a.dtype, device=a.device)  # of state s in place s, two behind a's
    at_ends = _at_ends(gather.gather(a[last], 1, ends), likelihood)
    slopes[last] = padding.constant_pad_nd(gather.scatter(slopes[0], 1, ends, at_ends), (-2, 2))
    if frames > 1:
        back, count, step = frames - 2, batch * (width + 2) - 2, a.stride(0)
        through = padding.constant_pad_nd(arithmetic.sub(a[..., 2:], emitted), (0, 2), -math.inf)
        skip = shape.narrow(shape.reshape(padding.constant_pad_nd(skips, (0, 2)), (-1,)), 0, 2, count)
        here = _row(slopes, back, 0, count)
        after, through = ([_row(x, back + 1, k, count) for k in range(3)] for x in (slopes, through))
        parts = here, here, *after, _row(a, back, 2, count), *through, skip
        core.run_along(kind_of(_frame_back, ()), frames - 1, (-step,) * 9 + (0,), *parts)
    return _spread(arithmetic.mul(slopes[..., :width], shape.unsqueeze(grad, 1)), log_probs, states)


def _at_ends(ends, likelihood):
    """The slopes towards the states in which an alignment may end; where there is none they are 0."""
    possible = comparison.gt(likelihood, -math.inf)
    part = elementary.exp(arithmetic.sub(ends, shape.unsqueeze(masks.where(possible, likelihood, 0.0), 1)))
    return masks.where(shape.unsqueeze(possible, 1), part, 0.0)


def _spread(slopes, log_probs, states):
    """Slopes towards states as those towards their classes."""
    zero = creation.zeros(tuple(log_probs.shape), dtype=log_probs.dtype, device=log_probs.device)
    return gather.scatter_add(zero, 2, shape.expand(states, (log_probs.shape[0], *states.shape)), slopes)


def _composed_gradient(grad, log_probs, states, skips, lengths, final):
    """The gradient, operator by operator; what is impossible has the logarithm _NEVER, whose slopes are 0."""
    emitted, skips = _emitted(log_probs, states), comparison.clamp(skips, _NEVER)
    frames, _, width = emitted.shape
    first = comparison.lt(creation.arange(width, device=states.device), 2)
    a = [masks.where(first, emitted[0], _NEVER)]
    for t in range(1, frames):
        ways = [a[-1], _moved(a[-1], 1, _NEVER), arithmetic.add(_moved(a[-1], 2, _NEVER), skips)]
        a.append(comparison.clamp(arithmetic.add(statistics.logsumexp(joining.stack(ways), 0), emitted[t]), _NEVER))
    last, ends = _ends(a[0].unsqueeze(0), lengths, final)
    in_ends = gather.gather(padding.constant_pad_nd(joining.stack(a), (2, 0), _NEVER)[last], 1, ends)
    likelihood = statistics.logsumexp(in_ends, 1)
    at_ends = _at_ends(in_ends, masks.where(comparison.gt(likelihood, _NEVER / 2), likelihood, -math.inf))
    at_ends = arithmetic.mul(at_ends, shape.unsqueeze(grad, 1))
    at_ends = padding.constant_pad_nd(gather.scatter(padding.constant_pad_nd(emitted[0] * 0, (2, 0)), 1, ends, at_ends), (-2, 0))
    slopes = []
    for t in reversed(range(frames)):
        here = masks.where(shape.unsqueeze(comparison.eq(last[0], t), 1), at_ends, 0.0)
        if slopes:
            for k in range(3):
                way = arithmetic.add(_moved(a[t], k, _NEVER), skips if k == 2 else 0)
                part = elementary.exp(arithmetic.sub(way, arithmetic.sub(a[t + 1], emitted[t + 1])))
                here = arithmetic.add(here, _moved(arithmetic.mul(slopes[-1], part), -k, 0.0))
        slopes.append(here)
    return _spread(joining.stack(slopes[::-1]), log_probs, states)


def _moved(x, places, value):
    """x moved along the last dim, ``value`` in front of or behind it."""
    return padding.constant_pad_nd(x, (places, -places), value)
