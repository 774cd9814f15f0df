"""Recurrent layers: one direction of one layer over all times, with one kernel for a step forward and one for a step backward.

Each cell is stated three times, side by side: as operators (the reference, and what is differentiated twice), as the expressions of its
kernel, and as those of its gradient. The steps run in ``_core/recurrent.pyx``.
"""

import functools

from .._core import recurrent as core
from .._core import tensor as _tensor
from .._core.tape import is_grad_enabled, records, run_grad
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import activation, arithmetic, contraction, creation, elementary, joining, movement, reduction, shape
from ._define import library

SUMS, TIME, BEFORE, AFTER, FIXED, KEPT = range(6)  # where the operands of a cell lie, as the core numbers it
_float32, _float64 = (_tensor.dtypes()[n] for n in ("float32", "float64"))
_kernels = {}
_BETWEEN_ROWS = 16  # elements


# -- the cells --
# gates: of the weights; sums: products of input and state that are added up, but for a last one, which is the state's own; saved: values
# that the gradient needs. has_cell: there is a second state, c. carries: a gradient reaches the state before beside the product, too.


class Rnn:
    """``h' = f(x + W h)``."""

    gates, sums, saved, has_cell, carries = 1, 1, 0, False, False

    def __init__(self, act, formula, slope):
        self.act, self.formula, self.slope = act, formula, slope

    def reference(self, x, product, h, c):
        return self.act(arithmetic.add(x, product)), None

    def forward(self, sums, h, c):
        return self.formula(sums[0]), None, ()

    def backward(self, gates, h, new_h, c, new_c, grad, carried):
        return (grad * self.slope(new_h),), None, None


class Lstm:
    """``i, f, o = sigmoid, g = tanh of x + W h; c' = f c + i g; h' = o tanh(c')`` (Hochreiter and Schmidhuber, 1997)."""

    gates, sums, saved, has_cell, carries = 4, 4, 4, True, True

    def reference(self, x, product, h, c):
        i, f, g, o = joining.chunk(arithmetic.add(x, product), 4, -1)
        i, f, o = elementary.sigmoid(i), elementary.sigmoid(f), elementary.sigmoid(o)
        c = arithmetic.add(arithmetic.mul(f, c), arithmetic.mul(i, elementary.tanh(g)))
        return arithmetic.mul(o, elementary.tanh(c)), c

    def forward(self, sums, h, c):
        i, f, g, o = sums
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

    gates, sums, saved, has_cell, carries = 3, 4, 4, False, True

    def reference(self, x, product, h, c):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = joining.chunk(x, 3, -1), joining.chunk(product, 3, -1)
        r, z = elementary.sigmoid(arithmetic.add(x_r, h_r)), elementary.sigmoid(arithmetic.add(x_z, h_z))
        n = elementary.tanh(arithmetic.add(x_n, arithmetic.mul(r, h_n)))
        return arithmetic.add(n, arithmetic.mul(z, arithmetic.sub(h, n))), None

    def forward(self, sums, h, c):
        r, z, n, h_n = sums
        r, z = fn.sigmoid(r), fn.sigmoid(z)
        n = fn.tanh(n + r * h_n)
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
def _forward_cell(mode, type, keep):
    """A step's kernel; ``keep``: it writes what the gradient needs."""
    form, cell = CELLS[mode], _Cell(type)
    sums = cell.read_all(None, SUMS, form.sums)
    h = None if form.has_cell else cell.read("states", BEFORE)
    c = cell.read("cells", BEFORE) if form.has_cell else None
    new_h, new_c, saved = form.forward(sums, h, c)
    cell.write(new_h, "states", AFTER)
    cell.write(new_h, "out", TIME)
    if form.has_cell:
        cell.write(new_c, "cells", AFTER)
    if keep:
        cell.write_all(saved, "saved", KEPT)
    return cell.compiled(f"{mode.lower()}_cell")


@functools.cache
def _backward_cell(mode, type, has_grad):
    """The gradient of a step; ``has_grad``: the output has one, not just the last states."""
    form, cell = CELLS[mode], _Cell(type)
    saved = cell.read_all("saved", KEPT, form.saved)
    h, new_h = (None if form.has_cell else cell.read("states", where) for where in (BEFORE, AFTER))
    c, new_c = (cell.read("cells", where) if form.has_cell else None for where in (BEFORE, AFTER))
    grad = cell.read(None, SUMS)
    if has_grad:
        grad = grad + cell.read("grad", TIME)
    carried = cell.read("carry", FIXED) if form.carries else None
    outer, inner, new_carry = form.backward(saved, h, new_h, c, new_c, grad, carried)
    cell.write_all(outer, "slopes", TIME)
    if inner is not None:
        cell.write_all(inner, "towards_x", TIME)
    if form.carries:
        cell.write(new_carry, "carry", FIXED)
    return cell.compiled(f"{mode.lower()}_cell_backward")


def _placed(operands, width, columns, tensors):
    """Operands as the core takes them: (tensor, where, column, or the sum's number for SUMS). columns: of a panel."""
    widths = {SUMS: 1, KEPT: columns}
    return [(tensors.get(name), where, gate * widths.get(where, width)) for name, where, gate in operands]


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


def _bias(form, width, columns, b_ih, b_hh, options):
    """Where the sums of a step begin: a row for each, of whole panels."""
    whole = _whole(width, columns)
    if b_ih is None:
        return creation.zeros((form.sums, whole), **options)
    rows, both = arithmetic.add(b_ih, b_hh), (2 * form.gates - form.sums) * width  # whose products with input and state meet in one sum
    if form.sums > form.gates:
        apart = (shape.narrow(b, 0, both, form.gates * width - both) for b in (b_ih, b_hh))
        rows = joining.cat([shape.narrow(rows, 0, 0, both), *apart])
    rows = shape.reshape(rows, (form.sums, width))
    if whole == width:
        return rows
    padded = creation.zeros((form.sums, whole), **options)
    shape.copy_(shape.narrow(padded, 1, 0, width), rows)
    return padded


def _whole(size, part):
    return -(-size // part) * part


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
    options, steps, (table, scheme) = dict(dtype=input.dtype, device=input.device), _steps(sizes, reverse), _products(input.dtype)
    columns = scheme["columns"]
    depth = 2 if keep is None else len(steps) + 1
    stacks = []
    for first in (hidden, cell)[: 1 + form.has_cell]:
        stacks.append(creation.empty((depth, *hidden.shape), **options))
        shape.copy_(shape.select(stacks[-1], 0, 0), first)
    out = creation.empty((rows, width), **options)
    keeps = keep is not None and form.saved
    saved = creation.empty((_whole(width, columns) // columns, rows, form.saved * columns), **options) if keeps else None
    kernel, operands = _forward_cell(mode, ty.NAMES[input.dtype.code], keep is not None)
    operands = _placed(operands, width, columns, dict(states=stacks[0], cells=stacks[-1], out=out, saved=saved))
    matrices = [shape.contiguous(t) for t in (input, w_ih, w_hh)]
    core.forward(table, scheme, kernel, *matrices, _bias(form, width, columns, b_ih, b_hh, options), operands, steps)
    last = [shape.clone(shape.select(s, 0, len(steps) % depth)) for s in stacks]
    if keep is not None:
        keep += [*stacks, saved]
    return (out, *last)


@layer.backward_of
def _(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, keep, needs):
    if is_grad_enabled():
        return _composed_gradients(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, needs)
    form, rows, (batch, width) = CELLS[mode], input.shape[0], hidden.shape
    options = dict(dtype=input.dtype, device=input.device)
    steps, (table, scheme) = _steps(sizes, reverse), _products(input.dtype)
    columns = scheme["columns"]
    states, cells, saved = keep[0], keep[-2], keep[-1]
    carry = shape.clone(grads[2]) if cell is not None and grads[2] is not None else creation.zeros((batch, width), **options)
    carry = shape.contiguous(carry)
    slopes = _rows_apart(rows, form.gates * width, **options)
    towards_x = _rows_apart(rows, form.gates * width, **options) if form.sums > form.gates else slopes
    towards = creation.zeros((batch, _whole(width, columns)), **options)
    if grads[1] is not None:
        shape.copy_(shape.narrow(towards, 1, 0, width), grads[1])
    grad = None if grads[0] is None else shape.contiguous(grads[0])
    kernel, operands = _backward_cell(mode, ty.NAMES[input.dtype.code], grad is not None)
    tensors = dict(saved=saved, states=states, cells=cells, grad=grad, carry=carry, slopes=slopes, towards_x=towards_x)
    core.backward(table, scheme, kernel, shape.contiguous(w_hh), _placed(operands, width, columns, tensors), steps, slopes, towards)
    towards = shape.narrow(towards, 1, 0, width)
    before = _in_time(shape.narrow(states, 0, 0, len(steps)), steps, reverse)
    of_bias = reduction.sum(slopes, 0) if needs[6] or (needs[5] and towards_x is slopes) else None
    return (
        contraction.mm(towards_x, w_ih) if needs[0] else None,
        arithmetic.add(towards, carry) if form.sums > form.gates else shape.contiguous(towards),
        carry if cell is not None else None,
        contraction.mm(shape.transpose(towards_x, 0, 1), input) if needs[3] else None,
        contraction.mm(shape.transpose(slopes, 0, 1), before) if needs[4] else None,
        None if not needs[5] else shape.clone(of_bias) if towards_x is slopes else reduction.sum(towards_x, 0),
        of_bias if needs[6] else None,
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
    keep = [] if records(*tensors) else None
    return layer(*tensors, mode, tuple(sizes), reverse, keep)
