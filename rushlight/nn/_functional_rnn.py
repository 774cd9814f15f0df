"""Recurrent networks: cells, and layers upon layers; one layer over time is in ops/recurrent.py."""

import rushlight as torch

from ..ops import recurrent as _recurrent
from ..ops._define import visible
from ._functional_dropout import dropout as _dropout
from ._functional_linear import linear


def _rnn_cell(mode, *operands):
    """One step: input (N, in), state a tuple of (N, hidden), w_ih, w_hh, b_ih, b_hh -> the new state."""
    return _CELLS[mode](mode, *operands)


def _step(mode, input, state, w_ih, w_hh, b_ih=None, b_hh=None):
    return _recurrent.step(mode, linear(input, w_ih, b_ih), state, w_hh, b_hh)


def _rnn(mode, input, batch_sizes, state, weights, bias, dropout, training, bidirectional, projection):
    """A stack of recurrent layers; see :func:`_layers`. batch_sizes: a tensor, on the CPU, or None."""
    sizes = None if batch_sizes is None else batch_sizes.tolist()
    network = _LSTM_BY_STEPS if mode == "LSTM" and (sizes or projection) else _NETWORKS[mode]
    return network(mode, input, sizes, state, weights, bias, dropout, training, bidirectional, projection)


def _layers(mode, input, batch_sizes, state, weights, bias, dropout, training, bidirectional, projection):
    """A stack of recurrent layers.

    input (T, N, in), or packed rows with ``batch_sizes``, a list; state: a tuple of (layers * directions, N, hidden); weights: flat, per
    layer and direction w_ih, w_hh[, b_ih, b_hh][, w_hr]. Returns the outputs of the last layer and the last states.
    """
    sizes = [input.shape[1]] * input.shape[0] if batch_sizes is None else batch_sizes
    lead = input.shape[:-1]
    rows = input if batch_sizes is not None else input.flatten(0, 1)
    per_direction = 2 + 2 * bias + bool(projection)
    groups = [weights[i : i + per_direction] for i in range(0, len(weights), per_direction)]
    directions = 2 if bidirectional else 1
    last = []
    for layer in range(len(groups) // directions):
        if layer and dropout and training:
            rows = _dropout(rows, dropout, True)
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            w_ih, w_hh = groups[index][:2]
            b_ih, b_hh = groups[index][2:4] if bias else (None, None)
            w_hr = groups[index][-1] if projection else None
            hidden, cell = state[0][index], state[1][index] if len(state) > 1 else None
            output, *end = _recurrent.run_layer(rows, hidden, cell, w_ih, w_hh, b_ih, b_hh, w_hr, mode, sizes, direction == 1)
            outputs.append(output)
            last.append(end)
        rows = torch.cat(outputs, -1) if bidirectional else outputs[0]
    output = rows if batch_sizes is not None else rows.unflatten(0, lead)
    return output, tuple(torch.stack([end[i] for end in last]) for i in range(len(state)))


_NAMES = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}
_NETWORKS = {mode: visible(_layers, name=name) for mode, name in _NAMES.items()}
_CELLS = {mode: visible(_step, name=f"{name}_cell") for mode, name in _NAMES.items()}
"""What runs in each mode: autocast knows each by its own name."""

_LSTM_BY_STEPS = visible(_layers, name="lstm_by_steps")
"""An LSTM of packed rows or with projections: PyTorch's is many operators on the CPU, each of which autocast takes for itself."""
