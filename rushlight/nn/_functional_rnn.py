"""Recurrent networks, one step after the other: the cells' formulas, a layer over time, and layers upon layers."""

import rushlight as torch

from ._functional_dropout import dropout as _dropout
from ._functional_linear import linear


def _rnn_step(activation):
    def step(projected, state, w_hh, b_hh, w_hr):
        (h,) = state
        return (activation(projected + linear(h, w_hh, b_hh)),)

    return step


def _lstm_step(projected, state, w_hh, b_hh, w_hr):
    h, c = state
    i, f, g, o = (projected + linear(h, w_hh, b_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if w_hr is None else linear(h, w_hr)), c


def _gru_step(projected, state, w_hh, b_hh, w_hr):
    (h,) = state
    x_r, x_z, x_n = projected.chunk(3, -1)
    h_r, h_z, h_n = linear(h, w_hh, b_hh).chunk(3, -1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    return (n + z * (h - n),)


_STEPS = {"RNN_TANH": _rnn_step(torch.tanh), "RNN_RELU": _rnn_step(torch.relu), "LSTM": _lstm_step, "GRU": _gru_step}


def _rnn_cell(mode, input, state, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step: input (N, in), state a tuple of (N, hidden) -> the new state."""
    return _STEPS[mode](linear(input, w_ih, b_ih), state, w_hh, b_hh, None)


def _padded_layer(step, projected, state, weights, reverse):
    """All steps of one direction: projected (T, N, gates) -> outputs (T, N, hidden), last state."""
    outputs = []
    steps = projected.unbind(0)
    for x in reversed(steps) if reverse else steps:
        state = step(x, state, *weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs), state


def _packed_layer(step, projected, state, weights, reverse, batch_sizes):
    """The same over packed rows: at each time only the sequences that are that long take part."""
    pieces = projected.split(batch_sizes)
    outputs = [None] * len(pieces)
    if reverse:
        current = tuple(s[: batch_sizes[-1]] for s in state)
        for t in range(len(pieces) - 1, -1, -1):
            if batch_sizes[t] > current[0].size(0):  # shorter sequences begin (at their end) here
                current = tuple(torch.cat([c, s[c.size(0) : batch_sizes[t]]]) for c, s in zip(current, state))
            current = step(pieces[t], current, *weights)
            outputs[t] = current[0]
        return torch.cat(outputs), current
    current, finished = state, []
    for t, piece in enumerate(pieces):
        if batch_sizes[t] < current[0].size(0):
            finished.append(tuple(c[batch_sizes[t] :] for c in current))
            current = tuple(c[: batch_sizes[t]] for c in current)
        current = step(piece, current, *weights)
        outputs[t] = current[0]
    parts = [current, *reversed(finished)]
    return torch.cat(outputs), tuple(torch.cat([part[i] for part in parts]) for i in range(len(current)))


def _rnn(mode, input, batch_sizes, state, weights, bias, dropout, training, bidirectional, projection):
    """A stack of recurrent layers.

    input (T, N, in), or packed rows with ``batch_sizes``; state: a tuple of (layers * directions, N, hidden); weights: flat, per
    layer and direction w_ih, w_hh[, b_ih, b_hh][, w_hr]. Returns the outputs of the last layer and the last states.
    """
    step = _STEPS[mode]
    sizes = None if batch_sizes is None else batch_sizes.tolist()
    per_direction = 2 + 2 * bias + bool(projection)
    groups = [weights[i : i + per_direction] for i in range(0, len(weights), per_direction)]
    directions = 2 if bidirectional else 1
    last = []
    for layer in range(len(groups) // directions):
        if layer and dropout and training:
            input = _dropout(input, dropout, True)
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            w_ih, w_hh = groups[index][:2]
            b_ih, b_hh = groups[index][2:4] if bias else (None, None)
            w_hr = groups[index][-1] if projection else None
            first = tuple(s[index] for s in state)
            projected = linear(input, w_ih, b_ih)
            if sizes is None:
                output, end = _padded_layer(step, projected, first, (w_hh, b_hh, w_hr), direction == 1)
            else:
                output, end = _packed_layer(step, projected, first, (w_hh, b_hh, w_hr), direction == 1, sizes)
            outputs.append(output)
            last.append(end)
        input = torch.cat(outputs, -1) if bidirectional else outputs[0]
    return input, tuple(torch.stack([end[i] for end in last]) for i in range(len(state)))
