"""The operators of torchaudio's compiled part, which is linked against PyTorch: ``torch.ops.load_library`` defines these in its place.

Filters: the outputs of a block are the solution of a banded triangular system, whose matrix is the same for every block; only its last
outputs go from a block to the next. The two dynamic programs, of transducers and of alignments, go along the time.
"""

import sys
import types

from . import arange, autograd, cat, enable_grad, float64, full, inf, no_grad, stack, tensor, zeros
from ._absent import absent_room
from ._ops import ops
from .linalg import solve_triangular
from .nn.functional import log_softmax, pad

OPERATORS = "_lfilter_core_loop _overdrive_core_loop forced_align rnnt_loss_forward"
ABSENT = "_lfilter rnnt_loss rnnt_loss_alphas rnnt_loss_betas _simulate_rir _make_rir_filter ray_tracing"


def define():
    """Makes them ``torch.ops.torchaudio``'s, those of versions before 2.9 refused; its module of what was compiled tells what is here."""
    absent = absent_room("torch.ops.torchaudio", "it is in torchaudio's compiled part, which is linked against PyTorch", ABSENT)
    for name, op in {**{name: globals()[name] for name in OPERATORS.split()}, **absent}.items():
        ops._define(f"torchaudio::{name}", op)
    told = {"cuda_version": lambda: None, "is_align_available": lambda: True, "is_rir_available": lambda: False}
    for name, answer in told.items():
        ops._define(f"_torchaudio::{name}", answer)
    extension = types.ModuleType("torchaudio.lib._torchaudio", "Stands for torchaudio's compiled module of this name.")
    vars(extension).update(told)
    sys.modules[extension.__name__] = extension  # until version 2.10 it is imported; later torch.ops._torchaudio is asked
    if "torchaudio.lib" in sys.modules:
        sys.modules["torchaudio.lib"]._torchaudio = extension


@no_grad()
def _lfilter_core_loop(input_signal_windows, a_coeff_flipped, padded_output_waveform):
    """Writes y[t] = x[t] - a[1] y[t-1] - a[2] y[t-2] ... behind the first outputs, which are given.

    input_signal_windows: x, (batch, channels, time); a_coeff_flipped: (channels, order), the last taken for 1; the outputs begin
    order - 1 samples earlier.
    """
    past = a_coeff_flipped.shape[1] - 1
    y = _recursion(input_signal_windows, a_coeff_flipped, padded_output_waveform[..., :past])
    padded_output_waveform[..., past:] = y
    return padded_output_waveform


def _recursion(x, flipped, first):
    """The outputs y, in float64 whatever the dtype of x: rounding errors are handed on by the recursion, and grow in it."""
    (batch, channels, time), past = x.shape, first.shape[2]
    size = max(128, past)
    blocks = -(-time // size)
    band = zeros(channels, size, past + size, dtype=float64, device=x.device)
    for k in range(past + 1):
        band.diagonal(k, 1, 2).copy_(flipped[:, k : k + 1].expand(-1, size))
    before, within = band[..., :past], band[..., past:]
    x = pad(x.double(), (0, blocks * size - time)).view(batch, channels, blocks, size).permute(1, 3, 2, 0)
    free = solve_triangular(within, before, upper=False, unitriangular=True)
    forced = solve_triangular(within, x.flatten(2), upper=False, unitriangular=True).view(x.shape)
    last, y = first.permute(1, 2, 0).double(), []
    for block in forced.unbind(2):
        y.append(block - free @ last)
        last = y[-1][:, size - past :]
    return cat(y, 1)[:, :time].permute(2, 0, 1) if y else x.new_empty(batch, channels, 0)


@no_grad()
def _overdrive_core_loop(waveform, temp, last_in, last_out, output_waveform):
    """Half of the waveform and three quarters of ``temp`` without its constant part: z[t] = temp[t] - temp[t-1] + 0.995 z[t-1]."""
    steps = temp.diff(dim=1, prepend=last_in[:, None])
    flipped = tensor([[-0.995, 1.0]], dtype=float64, device=temp.device)
    z = _recursion(steps[:, None], flipped, last_out[:, None, None])[:, 0].to(temp.dtype)
    output_waveform.copy_(waveform * 0.5 + z * 0.75)
    if temp.shape[1]:
        last_in.copy_(temp[:, -1]), last_out.copy_(z[:, -1])
    return last_in, last_out, output_waveform


def rnnt_loss_forward(logits, targets, logit_lengths, target_lengths, blank, clamp, fused_log_softmax):
    """(costs, gradients of the logits): minus the log-probability of all ways to emit the targets within the time. (Graves, "Sequence
    Transduction with Recurrent Neural Networks", 2012.)

    logits: (batch, time, targets + 1, classes), log-probabilities unless ``fused_log_softmax``. clamp: bound of the gradients, if positive.
    """
    with enable_grad():
        leaf = logits.detach().requires_grad_()
        costs = _transducer(log_softmax(leaf, -1) if fused_log_softmax else leaf, targets, logit_lengths, target_lengths, blank)
        (gradient,) = autograd.grad(costs.sum(), leaf)
    return costs.detach().to(logits.dtype), gradient.clamp(-clamp, clamp) if clamp > 0 else gradient


def _transducer(scores, targets, times, lengths, blank):
    """In float64. A row of the lattice, all that was emitted until a time, is one ``logcumsumexp``: a path comes from the row before by a
    blank and goes on within its own by targets, whose scores' sums are the differences along it."""
    batch, time, width, _ = scores.shape
    inside = (arange(time, device=scores.device)[:, None] < times[:, None, None]) & (
        arange(width, device=scores.device) <= lengths[:, None, None])
    blanks = scores[..., blank].double().where(inside, 0)
    emitted = scores[:, :, :-1].gather(3, targets.long()[:, None, :, None].expand(-1, time, -1, 1))[..., 0]
    along = pad(emitted.double().where(inside[:, :, 1:], 0).cumsum(2), (1, 0))
    row, rows = along[:, 0], []
    for t in range(time):
        if t:
            row = along[:, t] + (row - along[:, t]).logcumsumexp(1)
        row = row + blanks[:, t]
        rows.append(row)
    each = arange(batch, device=scores.device)
    return -stack(rows, 1)[each, times.long() - 1, lengths.long()]


@no_grad()
def forced_align(log_probs, targets, input_lengths, target_lengths, blank):
    """(paths (1, time), the log-probabilities): the label of each frame on the most probable way to emit the targets by CTC's rules."""
    if len(log_probs) != 1:
        raise RuntimeError(f"forced_align() takes a batch of 1, got {len(log_probs)}; align sequences one by one")
    frames, labels = log_probs[0, : int(input_lengths[0])], targets[0, : int(target_lengths[0])]
    repeats = int((labels[1:] == labels[:-1]).sum())
    if len(frames) < len(labels) + repeats:
        raise RuntimeError(f"forced_align() needs a frame for each target and each repetition, got {len(frames)} frames for {len(labels)} "
                           f"targets with {repeats} repetitions; targets length is too long for CTC")
    states = full((2 * len(labels) + 1,), blank, dtype=targets.dtype, device=targets.device)       # blanks around the labels
    states[1::2] = labels
    skips = pad((states[2:] != states[:-2]) & (states[2:] != blank), (2, 0))
    scores = frames[:, states.long()]
    best, came = scores[0].where(arange(len(states), device=scores.device) < 2, -inf), []
    for score in scores[1:]:
        one, two = pad(best, (1, 0), value=-inf)[:-1], pad(best, (2, 0), value=-inf)[:-2].where(skips, -inf)
        best, step = stack((best, one, two)).max(0)
        came.append(step)
        best = best + score
    state = len(states) - 1 if len(states) == 1 or best[-1] > best[-2] else len(states) - 2
    path = [state]
    for steps in reversed(stack(came).tolist() if came else []):
        path.append(path[-1] - steps[path[-1]])
    return states[path[::-1]][None], log_probs
