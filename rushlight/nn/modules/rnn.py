"""Recurrent networks: RNN, LSTM, GRU and their cells."""

import math
import numbers
import warnings

import rushlight as torch

from .. import _functional_rnn, init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def apply_permutation(tensor, permutation, dim=1):
    """Deprecated: ``tensor.index_select(dim, permutation)``."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use `tensor.index_select(dim, permutation)` instead", FutureWarning, stacklevel=2
    )
    return tensor.index_select(dim, permutation)


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the weights of all layers and directions, and the handling of padded and packed input.

    Per layer l and direction: ``weight_ih_l{l}`` (gates * hidden, in), ``weight_hh_l{l}`` (gates * hidden, hidden), ``bias_ih_l{l}``
    and ``bias_hh_l{l}``, and with proj_size ``weight_hr_l{l}``; the backward direction adds ``_reverse``. All start uniform in
    +-1/sqrt(hidden_size).

    >>> layer = nn.LSTM(3, 5, bidirectional=True, bias=False)
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}  # 4 gates of 5
    {'weight_ih_l0': (20, 3), 'weight_hh_l0': (20, 5), 'weight_ih_l0_reverse': (20, 3), 'weight_hh_l0_reverse': (20, 5)}
    """

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        _check_dropout(dropout, num_layers)
        _check_sizes(mode, bias, batch_first, input_size, hidden_size, num_layers, proj_size)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._all_weights = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 1 + bidirectional]:
                self._all_weights.append(self._add_weights(layer, suffix, device, dtype))
        self.reset_parameters()

    def _add_weights(self, layer, suffix, device, dtype):
        """Registers one layer and direction; returns the names."""
        rows = _GATES[self.mode] * self.hidden_size
        state_size = self.proj_size or self.hidden_size
        in_size = self.input_size if layer == 0 else state_size * (1 + self.bidirectional)
        shapes = {"weight_ih": (rows, in_size), "weight_hh": (rows, state_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            names.append(f"{kind}_l{layer}{suffix}")
            setattr(self, names[-1], Parameter(torch.empty(shape, device=device, dtype=dtype)))
        return names

    @property
    def _flat_weights_names(self):
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for names in self._all_weights for name in names]

    @property
    def all_weights(self):
        """The parameters, a list per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self):
        """Accepted for programs that call it; the weights need no common block of memory."""

    def reset_parameters(self):
        """Draws new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _states(self, batch):
        """The shapes of the hidden states, by name."""
        layers = self.num_layers * (1 + self.bidirectional)
        return [(layers, batch, self.proj_size or self.hidden_size)]

    def _check_state(self, hx, batch):
        for position, (state, shape) in enumerate(zip(hx, self._states(batch))):
            if tuple(state.shape) != shape:
                which = f"hidden[{position}]" if len(hx) > 1 else "hidden"
                raise RuntimeError(f"Expected {which} size {shape}, got {list(state.shape)}")

    def _check_input(self, input):
        weight = self._flat_weights[0]
        if input.dtype != weight.dtype and not torch.is_autocast_enabled(input.device.type):
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). Convert input: "
                f"input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def forward(self, input, hx=None):
        """input (T, N, in), (N, T, in) with batch_first, (T, in) or packed; hx: the first hidden state, zeros by default.

        Returns the outputs of the last layer, of the input's form, and the last hidden state (layers * directions, N, hidden).
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        self._check_input(input)
        single = input.dim() == 2
        hx = self._as_states(hx)
        self._check_ranks(hx, 2 if single else 3)
        time_dim = 0 if single or not self.batch_first else 1
        padded = input.unsqueeze(1) if single else input.transpose(0, 1) if time_dim else input
        batch = padded.size(1)
        if hx is not None and single:
            hx = tuple(state.unsqueeze(1) for state in hx)
        output, last = self._run(padded, None, hx, batch)
        if single:
            return output.squeeze(1), self._as_given([state.squeeze(1) for state in last])
        return output.transpose(0, 1) if time_dim else output, self._as_given(last)

    def _forward_packed(self, input, hx):
        self._check_input(input.data)
        hx = self._as_states(hx)
        batch = int(input.batch_sizes[0])
        if hx is not None and input.sorted_indices is not None:
            hx = tuple(state.index_select(1, input.sorted_indices) for state in hx)
        output, last = self._run(input.data, input.batch_sizes, hx, batch)
        if input.unsorted_indices is not None:
            last = [state.index_select(1, input.unsorted_indices) for state in last]
        return input._with(output), self._as_given(last)

    def _run(self, data, batch_sizes, hx, batch):
        if data.size(0) == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        if hx is None:
            hx = tuple(torch.zeros(shape, dtype=data.dtype, device=data.device) for shape in self._states(batch))
        self._check_state(hx, batch)
        return _functional_rnn._rnn(
            self.mode, data, batch_sizes, hx, self._flat_weights, self.bias, self.dropout, self.training, self.bidirectional,
            self.proj_size,
        )  # fmt: skip

    def _as_states(self, hx):
        return None if hx is None else (hx,)

    def _as_given(self, states):
        return states[0]

    def _check_ranks(self, hx, rank):
        if hx is not None and hx[0].dim() != rank:
            kind = "unbatched 2-D" if rank == 2 else "batched 3-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {rank}-D but got {hx[0].dim()}-D tensor"
            )

    def extra_repr(self):
        """The options that differ from the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.proj_size:
            parts.append(f"proj_size={self.proj_size}")
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if self.batch_first is not False:
            parts.append(f"batch_first={self.batch_first}")
        if self.dropout != 0:
            parts.append(f"dropout={self.dropout}")
        if self.bidirectional is not False:
            parts.append(f"bidirectional={self.bidirectional}")
        return ", ".join(parts)

    def __setstate__(self, state):
        super().__setstate__(state)
        for name in ("_flat_weights", "_flat_weights_names", "_flat_weight_refs"):
            self.__dict__.pop(name, None)  # kept by PyTorch, computed here
        self.__dict__.setdefault("proj_size", 0)


def _check_dropout(dropout, num_layers):
    if not isinstance(dropout, numbers.Number):
        float(dropout)  # raises ValueError for text
    if not 0 <= dropout <= 1 or isinstance(dropout, bool):
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )


def _check_sizes(mode, bias, batch_first, input_size, hidden_size, num_layers, proj_size):
    for name, flag in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if mode not in _GATES:
        raise ValueError("Unrecognized RNN mode: " + mode)


class RNN(RNNBase):
    """h' = tanh(x W_ih.T + b_ih + h W_hh.T + b_hh) (or relu) over time: (T, N, in) -> (T, N, hidden), (layers, N, hidden) (Elman, 1990).

    ``RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0,
    bidirectional=False)``; dropout acts between layers. The first state is zero unless given.

    >>> layer = nn.RNN(3, 5, num_layers=2, batch_first=True)
    >>> output, h = layer(torch.randn(8, 10, 3))
    >>> output.shape, h.shape, torch.equal(output[:, -1], h[-1])
    (torch.Size([8, 10, 5]), torch.Size([2, 8, 5]), True)
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False, dropout=0.0,
        bidirectional=False, device=None, dtype=None, *, proj_size=0,
    ):  # fmt: skip
        if proj_size:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
            device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): (T, N, in) -> (T, N, hidden), (h, c), each (layers, N, hidden).

    i, f, o = sigmoid, g = tanh of x W_ih.T + b_ih + h W_hh.T + b_hh; c' = f c + i g; h' = o tanh(c'), times W_hr.T with proj_size.
    Options as in :class:`RNN`; bidirectional: the outputs of both directions side by side.

    >>> layer = nn.LSTM(3, 5, num_layers=2, bidirectional=True)
    >>> output, (h, c) = layer(torch.zeros(7, 2, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([7, 2, 10]), torch.Size([4, 2, 5]), torch.Size([4, 2, 5]))
    >>> output, state = layer(torch.zeros(1, 2, 3), (h, c))  # a step further
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )

    def _states(self, batch):
        (hidden,) = super()._states(batch)
        return [hidden, (*hidden[:2], self.hidden_size)]

    def _as_states(self, hx):
        return None if hx is None else (hx[0], hx[1])

    def _as_given(self, states):
        return tuple(states)

    def _check_ranks(self, hx, rank):
        if hx is not None and not hx[0].dim() == hx[1].dim() == rank:
            kind = "batched 3-D" if rank == 3 else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {rank}-D but got ({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., 2014): (T, N, in) -> (T, N, hidden), (layers, N, hidden).

    r, z = sigmoid of x W_ih.T + b_ih + h W_hh.T + b_hh; n = tanh(x W_in.T + b_in + r (h W_hn.T + b_hn)); h' = (1 - z) n + z h.
    Options as in :class:`RNN`. Sequences of unequal lengths come packed, by :func:`nn.utils.rnn.pack_sequence`.

    >>> layer = nn.GRU(3, 5)
    >>> layer(torch.randn(7, 2, 3))[0].shape
    torch.Size([7, 2, 5])
    >>> packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    >>> output, h = layer(packed)
    >>> output.data.shape, h.shape
    (torch.Size([6, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, device=None,
        dtype=None, *, proj_size=0,
    ):  # fmt: skip
        if proj_size:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


class RNNCellBase(Module):
    """One step of a recurrent layer: ``weight_ih`` (chunks * hidden, in), ``weight_hh`` (chunks * hidden, hidden), ``bias_ih``,
    ``bias_hh``.

    All start uniform in +-1/sqrt(hidden). The input is (N, in) or (in), the first state zero unless given.

    >>> [issubclass(cell, nn.RNNCellBase) for cell in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)]
    [True, True, True]
    >>> nn.GRUCell(3, 5).weight_ih.shape  # 3 gates of 5
    torch.Size([15, 3])
    """

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(torch.empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(torch.empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws new initial values: uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode, input, states, count):
        """Runs one step on (N, in) or (in); states: a tuple of (N, hidden) or (hidden), or None for zeros."""
        if input.dim() not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                which = "hidden" if len(states) == 1 else f"hx[{i}]"
                raise ValueError(f"{self._get_name()}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
        single = input.dim() == 1
        rows = input.unsqueeze(0) if single else input
        if rows.size(1) != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {rows.size(1)} expected {self.input_size}")
        if states is None:
            zeros = torch.zeros(rows.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
            states = (zeros,) * count
        else:
            states = tuple(state.unsqueeze(0) if single else state for state in states)
            for i, state in enumerate(states):
                if state.size(0) != rows.size(0):
                    raise RuntimeError(
                        f"Input batch size {rows.size(0)} doesn't match hidden{i} batch size {state.size(0)}"
                    )
                if state.size(-1) != self.hidden_size:
                    raise RuntimeError(
                        f"hidden{i} has inconsistent hidden_size: got {state.size(-1)}, expected {self.hidden_size}"
                    )
        new = _functional_rnn._rnn_cell(mode, rows, states, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return tuple(state.squeeze(0) for state in new) if single else new

    def extra_repr(self):
        """The options that differ from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an :class:`RNN`: (N, in), (N, hidden) -> (N, hidden).

    >>> cell, h = nn.RNNCell(3, 5), torch.zeros(2, 5)
    >>> for x in torch.randn(7, 2, 3):
    ...     h = cell(x, h)
    >>> h.shape
    torch.Size([2, 5])
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        """The new hidden state."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,), 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an :class:`LSTM`: (N, in), ((N, hidden), (N, hidden)) -> (h, c).

    >>> cell = nn.LSTMCell(3, 5)
    >>> h, c = cell(torch.randn(2, 3))
    >>> h, c = cell(torch.randn(2, 3), (h, c))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        """The new hidden state and cell state."""
        return self._step("LSTM", input, None if hx is None else tuple(hx), 2)


class GRUCell(RNNCellBase):
    """One step of a :class:`GRU`: (N, in), (N, hidden) -> (N, hidden).

    >>> cell = nn.GRUCell(3, 5)
    >>> cell(torch.randn(2, 3), torch.zeros(2, 5)).shape, cell(torch.randn(3)).shape
    (torch.Size([2, 5]), torch.Size([5]))
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        """The new hidden state."""
        return self._step("GRU", input, None if hx is None else (hx,), 1)[0]
