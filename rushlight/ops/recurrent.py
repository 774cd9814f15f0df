"""Recurrent layers: one direction of one layer over all times, with one kernel for a step forward and one for a step backward.

Each cell is stated three times, side by side: as operators (the reference, and what is differentiated twice), as the expressions of its
kernel, and as those of its gradient. The steps run in ``_core/recurrent.pyx``.
"""

import functools

from .._core import recurrent as core
from .._core import tensor as _tensor
from .._core.tape import is_grad_enabled, run_grad
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import activation, arithmetic, contraction, creation, elementary, joining, movement, reduction, shape
from ._define import library

SUMS, TIME, BEFORE, AFTER, FIXED, ROW = range(6)  # where the operands of a cell lie, as the core numbers it
_float32, _float64 = (_tensor.dtypes()[n] for n in ("float32", "float64"))
_kernels = {}
_BETWEEN_ROWS = 16  # elements


# -- the cells --
# gates: sums that a step needs; saved: values that its gradient needs. has_cell: there is a second state, c. reads_state: h enters beside
# the product, too, whose bias is inside a gate. carries: a gradient reaches the state before beside the product, too.


class Rnn:
    """``h' = f(x + W h)``."""

    gates, saved, has_cell, reads_state, carries = 1, 0, False, False, False

    def __init__(self, act, formula, slope):
        self.act, self.formula, self.slope = act, formula, slope

    def reference(self, x, product, h, c):
        return self.act(arithmetic.add(x, product)), None

    def forward(self, product, x, h, c, bias):
        return self.formula(product[0] + x[0]), None, ()

    def backward(self, gates, h, new_h, c, new_c, grad, carried):
        return (grad * self.slope(new_h),), None, None


class Lstm:
    """``i, f, o = sigmoid, g = tanh of x + W h; c' = f c + i g; h' = o tanh(c')`` (Hochreiter and Schmidhuber, 1997)."""

    gates, saved, has_cell, reads_state, carries = 4, 4, True, False, True

    def reference(self, x, product, h, c):
        i, f, g, o = joining.chunk(arithmetic.add(x, product), 4, -1)
        i, f, o = elementary.sigmoid(i), elementary.sigmoid(f), elementary.sigmoid(o)
        c = arithmetic.add(arithmetic.mul(f, c), arithmetic.mul(i, elementary.tanh(g)))
        return arithmetic.mul(o, elementary.tanh(c)), c

    def forward(self, product, x, h, c, bias):
        i, f, g, o = (a + b for a, b in zip(product, x))
        i, f, g, o = fn.sigmoid(i), fn.sigmoid(f), fn.tanh(g), fn.sigmoid(o)
        new = f * c + i * g
        return o * fn.tanh(new), new, (i, f, g, o)

    def backward(self, gates, h, new_h, c, new_c, grad, carried):
        i, f, g, o = gates
        t = fn.tanh(new_c)
        grad_c = carried + grad * o * (1 - t * t)
        slopes = (grad_c * g * i * (1 - i), grad_c * c * f * (1 - f), grad_c * i * (1 - g * g), grad * t * o * (1 - o))
        return slopes, None, grad_c * f


class Gru:
    """``r, z = sigmoid of x + W h + b; n = tanh(x + r (W h + b)); h' = n + z (h - n)`` (Cho et al., 2014)."""

    gates, saved, has_cell, reads_state, carries = 3, 4, False, True, True

    def reference(self, x, product, h, c):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = joining.chunk(x, 3, -1), joining.chunk(product, 3, -1)
        r, z = elementary.sigmoid(arithmetic.add(x_r, h_r)), elementary.sigmoid(arithmetic.add(x_z, h_z))
        n = elementary.tanh(arithmetic.add(x_n, arithmetic.mul(r, h_n)))
        return arithmetic.add(n, arithmetic.mul(z, arithmetic.sub(h, n))), None

    def forward(self, product, x, h, c, bias):
        h_r, h_z, h_n = (a + b for a, b in zip(product, bias)) if bias else product
        r, z = fn.sigmoid(x[0] + h_r), fn.sigmoid(x[1] + h_z)
        n = fn.tanh(x[2] + r * h_n)
        return n + z * (h - n), None, (r, z, n, h_n)

    def backward(self, gates, h, new_h, c, new_c, grad, carried):
        r, z, n, h_n = gates
        grad = grad + carried
        slope_n = grad * (1 - z) * (1 - n * n)
        slope_r, slope_z = slope_n * h_n * r * (1 - r), grad * (h - n) * z * (1 - z)
        return (slope_r, slope_z, slope_n * r), (slope_r, slope_z, slope_n), grad * z


CELLS = {
    "RNN_TANH": Rnn(elementary.tanh, fn.tanh, lambda h: 1 - h * h),
    "RNN_RELU": Rnn(activation.relu, lambda x: fn.maximum(x, 0), lambda h: fn.where(fn.gt(h, 0), 1.0 + 0 * h, 0.0)),
    "LSTM": Lstm(),
    "GRU": Gru(),
}


def step(mode, x, state, w_hh, b_hh, w_hr=None):
    """One step by operators: x = W_ih input + b_ih (N, gates * hidden), state a tuple of (N, hidden) -> the new state."""
    h, c = CELLS[mode].reference(x, contraction.linear(state[0], w_hh, b_hh), state[0], state[-1])
    if w_hr is not None:
        h = contraction.linear(h, w_hr)
    return (h,) if c is None else (h, c)


# -- kernels --


class _Cell:
    """The kernel of a cell's step, and its operands in order: those of the outputs, then the inputs, each as (name, where, gate)."""

    def __init__(self, type):
        self.type, self.outputs, self.inputs, self.values = type, [], [], []

    def read(self, name, where, gate=0):
        self.inputs.append((name, where, gate))
        return ex.input(len(self.inputs) - 1, self.type)

    def read_all(self, name, where, gates):
        return [self.read(name, where, gate) for gate in range(gates)]

    def write(self, value, name, where, gate=0):
        self.outputs.append((name, where, gate))
        self.values.append(value if isinstance(value, ex.Expr) else ex.const(value, self.type))

    def write_all(self, values, name, where):
        for gate, value in enumerate(values):
            self.write(value, name, where, gate)

    def compiled(self, name):
        """The kernel's address and the operands."""
        from ..codegen import cpu

        operands = (*self.outputs, *self.inputs)
        outputs = tuple((value, self.type) for value in self.values)
        return cpu.pointwise(outputs, (self.type,) * len(self.inputs), "c" * len(operands), name=name), operands


@functools.cache
def _forward_cell(mode, type, keep, has_bias):
    """A step's kernel; ``keep``: it writes what the gradient needs over ``x``, the sums of the gates, and what is left to ``more``."""
    form, cell = CELLS[mode], _Cell(type)
    product, before = cell.read_all(None, SUMS, form.gates), cell.read_all("x", TIME, form.gates)
    h = cell.read("states", BEFORE) if form.reads_state else None
    c = cell.read("cells", BEFORE) if form.has_cell else None
    bias = cell.read_all("bias", ROW, form.gates) if has_bias else ()
    new_h, new_c, gates = form.forward(product, before, h, c, bias)
    cell.write(new_h, "states", AFTER)
    cell.write(new_h, "out", TIME)
    if form.has_cell:
        cell.write(new_c, "cells", AFTER)
    if keep and form.saved:
        cell.write_all(gates[: form.gates], "x", TIME)
        cell.write_all(gates[form.gates :], "more", TIME)
    return cell.compiled(f"{mode.lower()}_cell")


@functools.cache
def _backward_cell(mode, type, has_grad):
    """The gradient of a step; ``has_grad``: the output has one, not just the last states."""
    form, cell = CELLS[mode], _Cell(type)
    gates = cell.read_all("x", TIME, form.gates) if form.saved else []
    gates += [cell.read("more", TIME)] if form.saved > form.gates else []
    h, new_h = (cell.read("states", where) if form.reads_state or not form.saved else None for where in (BEFORE, AFTER))
    c, new_c = (cell.read("cells", where) if form.has_cell else None for where in (BEFORE, AFTER))
    grad = cell.read(None, SUMS)
    if has_grad:
        grad = grad + cell.read("grad", TIME)
    carried = cell.read("carry", FIXED) if form.carries else None
    outer, inner, new_carry = form.backward(gates, h, new_h, c, new_c, grad, carried)
    cell.write_all(outer, "slopes", TIME)
    if inner is not None:
        cell.write_all(inner, "towards_x", TIME)
    if form.carries:
        cell.write(new_carry, "carry", FIXED)
    return cell.compiled(f"{mode.lower()}_cell_backward")


def _placed(operands, width, tensors):
    """Operands as the core takes them: (tensor, where, column, or the gate's number for SUMS)."""
    return [(tensors.get(name), where, gate if where == SUMS else gate * width) for name, where, gate in operands]


def _products(dtype):
    if dtype.code not in _kernels:
        from ..codegen import recurrent

        _kernels[dtype.code] = recurrent.kernels(ty.NAMES[dtype.code])
    return _kernels[dtype.code]


def _steps(sizes, reverse):
    """(rows, place) of each step in the order in which they run; sizes: how many sequences reach each time."""
    places, total = [], 0
    for n in sizes:
        places.append((n, total))
        total += n
    return places[::-1] if reverse else places


def _rows_apart(rows, columns, **options):
    """An empty matrix whose rows do not begin in the same set of a cache, as those of whole pages would: products read eight at a time."""
    wide = creation.empty((rows, columns + _BETWEEN_ROWS), **options)
    return shape.narrow(wide, 1, 0, columns)


def _in_time(states, steps, reverse):
    """The rows of states (steps, batch, hidden) in the order of time."""
    if all(rows == states.shape[1] for rows, _ in steps):
        return shape.flatten(movement.flip(states, (0,)) if reverse else states, 0, 1)
    parts = [shape.narrow(shape.select(states, 0, i), 0, 0, rows) for i, (rows, _) in enumerate(steps)]
    return joining.cat(parts[::-1] if reverse else parts)


@library(where="", differentiable="input hidden cell w_ih w_hh b_ih b_hh", label="RnnLayer")
def layer(input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, keep):
    """One direction of one layer: (outputs, last hidden state[, last cell state]).

    input (rows, in): the rows of all times, ``sizes`` at each; hidden, cell (N, H); keep: a list that gets what the gradient
    needs, or None.
    """
    form, rows, width = CELLS[mode], input.shape[0], w_hh.shape[1]
    options, steps = dict(dtype=input.dtype, device=input.device), _steps(sizes, reverse)
    # The biases of both products meet in one sum, unless one is inside a gate.
    inside = b_hh if form.reads_state else None
    x = contraction.linear(input, w_ih, b_ih if b_hh is None or form.reads_state else arithmetic.add(b_ih, b_hh))
    stacks = []
    for first in (hidden, cell)[: 1 + form.has_cell]:
        stacks.append(creation.empty((len(steps) + 1, *hidden.shape), **options))
        shape.copy_(shape.select(stacks[-1], 0, 0), first)
    out = creation.empty((rows, width), **options)
    more = creation.empty((rows, width), **options) if keep is not None and form.saved > form.gates else None
    kernel, operands = _forward_cell(mode, ty.NAMES[input.dtype.code], keep is not None, inside is not None)
    tensors = dict(x=x, states=stacks[0], cells=stacks[-1], out=out, more=more, bias=None if inside is None else shape.contiguous(inside))
    core.forward(*_products(input.dtype), kernel, shape.contiguous(w_hh), _placed(operands, width, tensors), steps, stacks)
    last = [shape.clone(shape.select(s, 0, len(steps))) for s in stacks]
    if keep is not None:
        keep += [*stacks, *([x] if form.saved else []), *([] if more is None else [more])]
    return (out, *last)


@layer.backward_of
def _(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, keep, needs):
    if is_grad_enabled():
        return _composed_gradients(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, needs)
    form, rows, (batch, width) = CELLS[mode], input.shape[0], hidden.shape
    options = dict(dtype=input.dtype, device=input.device)
    steps, (table, scheme) = _steps(sizes, reverse), _products(input.dtype)
    states, cells = keep[0], keep[1] if form.has_cell else None
    saved = [*keep[1 + form.has_cell :], None, None]
    carry = shape.clone(grads[2]) if cell is not None and grads[2] is not None else creation.zeros((batch, width), **options)
    carry = shape.contiguous(carry)
    slopes = _rows_apart(rows, form.gates * width, **options)
    towards_x = _rows_apart(rows, form.gates * width, **options) if form.reads_state else slopes
    towards = creation.zeros((batch, -(-width // scheme["columns"]) * scheme["columns"]), **options)
    if grads[1] is not None:
        shape.copy_(shape.narrow(towards, 1, 0, width), grads[1])
    grad = None if grads[0] is None else shape.contiguous(grads[0])
    kernel, operands = _backward_cell(mode, ty.NAMES[input.dtype.code], grad is not None)
    tensors = dict(x=saved[0], more=saved[1], states=states, cells=cells, grad=grad, carry=carry, slopes=slopes, towards_x=towards_x)
    core.backward(table, scheme, kernel, shape.contiguous(w_hh), _placed(operands, width, tensors), steps, slopes, towards)
    towards = shape.narrow(towards, 1, 0, width)
    before = _in_time(shape.narrow(states, 0, 0, len(steps)), steps, reverse)
    return (
        contraction.mm(towards_x, w_ih) if needs[0] else None,
        arithmetic.add(towards, carry) if form.reads_state else shape.contiguous(towards),
        carry if cell is not None else None,
        contraction.mm(shape.transpose(towards_x, 0, 1), input) if needs[3] else None,
        contraction.mm(shape.transpose(slopes, 0, 1), before) if needs[4] else None,
        reduction.sum(towards_x, 0) if needs[5] else None,
        reduction.sum(slopes, 0) if needs[6] else None,
    )


# -- the composition --


def composed(input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, w_hr=None):
    """The same by operators, step by step: (outputs (rows, H), last hidden state[, last cell state]). w_hr: (out, H), of a projection."""
    x = contraction.linear(input, w_ih, b_ih)
    state = (hidden,) if cell is None else (hidden, cell)
    outputs = [None] * len(sizes)
    pieces = joining.split(x, list(sizes))
    times = range(len(sizes))
    for t in reversed(times) if reverse else times:
        rows = sizes[t]
        whole = rows == state[0].shape[0]
        new = step(mode, pieces[t], state if whole else tuple(shape.narrow(s, 0, 0, rows) for s in state), w_hh, b_hh, w_hr)
        outputs[t] = new[0]
        # Sequences that have ended, or not begun, keep their state.
        state = new if whole else tuple(joining.cat([n, shape.narrow(s, 0, rows, s.shape[0] - rows)]) for n, s in zip(new, state))
    return (joining.cat(outputs), *state)


def _composed_gradients(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, needs):
    tensors = (input, hidden, cell, w_ih, w_hh, b_ih, b_hh)
    outputs = composed(*tensors, mode, sizes, reverse)
    chosen = [(o, g) for o, g in zip(outputs, grads) if g is not None]
    wanted = tuple(t for t, n in zip(tensors, needs) if n)
    found = iter(run_grad(tuple(o for o, _ in chosen), tuple(g for _, g in chosen), True, True, wanted, True))
    return tuple(next(found) if n else None for n in needs)


def fits(input, hidden, w_hr):
    """Do the kernels compute this?"""
    return w_hr is None and input.dtype in (_float32, _float64) and input.device.type == "cpu" and 0 not in (*input.shape, *hidden.shape)


def run_layer(input, hidden, cell, w_ih, w_hh, b_ih, b_hh, w_hr, mode, sizes, reverse):
    """One direction of one layer: (outputs (rows, H), last hidden state[, last cell state]). Half-width floats are widened."""
    tensors = (input, hidden, cell, w_ih, w_hh, b_ih, b_hh)
    if w_hr is None and input.device.type == "cpu" and any(t is not None and t.dtype.itemsize == 2 for t in tensors):
        wide = (None if t is None else shape.cast(t, _float32) for t in tensors)
        return tuple(shape.cast(x, hidden.dtype) for x in run_layer(*wide, None, mode, sizes, reverse))
    if not fits(input, hidden, w_hr):
        return composed(*tensors, mode, sizes, reverse, w_hr)
    keep = [] if is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors) else None
    return layer(*tensors, mode, tuple(sizes), reverse, keep)
