"""Recurrent layers: one direction of one layer over all times, with one kernel for a step forward and one for a step backward.

Each cell is stated three times, side by side: as operators (the reference, and what is differentiated twice), as the expressions of its
kernel, and as those of its gradient. The steps run in ``_core/recurrent.pyx``.
"""

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


# -- the cells --


class Rnn:
    """``h' = f(x + W h)``."""

    gates, carries, saved = 1, False, 0

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

    gates, carries, saved = 4, True, 4

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

    gates, carries, saved = 3, True, 4

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


class _Plan:
    """The operands of a cell's kernel, in order: those of the outputs, then the inputs. Each is (tensor, where, column)."""

    def __init__(self, type):
        self.type, self.outputs, self.inputs, self.values = type, [], [], []

    def read(self, tensor, where, column=0):
        self.inputs.append((tensor, where, column))
        return ex.input(len(self.inputs) - 1, self.type)

    def read_all(self, tensor, where, count, width):
        return [self.read(tensor, where, i * width if where != SUMS else i) for i in range(count)]

    def write(self, value, tensor, where, column=0):
        self.outputs.append((tensor, where, column))
        self.values.append(value if isinstance(value, ex.Expr) else ex.const(value, self.type))

    def write_all(self, values, tensor, where, width):
        for i, value in enumerate(values):
            self.write(value, tensor, where, i * width)

    def kernel(self, name):
        from ..codegen import cpu

        letters = "c" * (len(self.outputs) + len(self.inputs))
        outputs = tuple((value, self.type) for value in self.values)
        return cpu.pointwise(outputs, (self.type,) * len(self.inputs), letters, name=name)


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
    type, options = ty.NAMES[input.dtype.code], dict(dtype=input.dtype, device=input.device)
    steps = _steps(sizes, reverse)
    # The biases of both products meet in one sum, but for the GRU's, of which one is inside its gate.
    inside = b_hh if mode == "GRU" else None
    x = contraction.linear(input, w_ih, b_ih if b_hh is None or inside is not None else arithmetic.add(b_ih, b_hh))
    states = creation.empty((len(steps) + 1, *hidden.shape), **options)
    out = creation.empty((rows, width), **options)
    shape.copy_(shape.select(states, 0, 0), hidden)
    cells = None
    plan = _Plan(type)
    product, before = plan.read_all(None, SUMS, form.gates, width), plan.read_all(x, TIME, form.gates, width)
    h = plan.read(states, BEFORE) if mode == "GRU" else None
    c = None
    if cell is not None:
        cells = creation.empty(tuple(states.shape), **options)
        shape.copy_(shape.select(cells, 0, 0), cell)
        c = plan.read(cells, BEFORE)
    bias = plan.read_all(shape.contiguous(inside), ROW, form.gates, width) if inside is not None else ()
    new_h, new_c, gates = form.forward(product, before, h, c, bias)
    plan.write(new_h, states, AFTER)
    plan.write(new_h, out, TIME)
    if cell is not None:
        plan.write(new_c, cells, AFTER)
    more = creation.empty((rows, width), **options) if keep is not None and form.saved > form.gates else None
    if keep is not None and form.saved:  # over the sums that they are made of
        plan.write_all(gates[: form.gates], x, TIME, width)
        plan.write_all(gates[form.gates :], more, TIME, width)
    stacks = [states] if cells is None else [states, cells]
    kernel = plan.kernel(f"{mode.lower()}_cell")
    core.forward(*_products(input.dtype), kernel, shape.contiguous(w_hh), plan.outputs + plan.inputs, steps, stacks)
    last = [shape.clone(shape.select(s, 0, len(steps))) for s in stacks]
    if keep is not None:
        keep += [*stacks, *([x] if form.saved else []), *([] if more is None else [more])]
    return (out, *last)


@layer.backward_of
def _(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, keep, needs):
    if is_grad_enabled():
        return _composed_gradients(grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, mode, sizes, reverse, needs)
    form, rows, (batch, width) = CELLS[mode], input.shape[0], hidden.shape
    type, options = ty.NAMES[input.dtype.code], dict(dtype=input.dtype, device=input.device)
    steps, (table, scheme) = _steps(sizes, reverse), _products(input.dtype)
    states, cells = keep[0], keep[1] if cell is not None else None
    saved = keep[1 if cell is None else 2 :]
    plan = _Plan(type)
    gates = plan.read_all(saved[0], TIME, form.gates, width) if form.saved else []
    gates += [plan.read(saved[1], TIME)] if form.saved > form.gates else []
    h, new_h = (plan.read(states, where) if mode == "GRU" or not form.saved else None for where in (BEFORE, AFTER))
    c, new_c = (plan.read(cells, where) if cells is not None else None for where in (BEFORE, AFTER))
    grad = plan.read(None, SUMS)
    if grads[0] is not None:
        grad = grad + plan.read(shape.contiguous(grads[0]), TIME)
    carry = shape.clone(grads[2]) if cell is not None and grads[2] is not None else creation.zeros((batch, width), **options)
    carry = shape.contiguous(carry)
    carried = plan.read(carry, FIXED) if form.carries else None
    slopes = creation.empty((rows, form.gates * width), **options)
    outer, outer_slopes, new_carry = form.backward(gates, h, new_h, c, new_c, grad, carried)
    plan.write_all(outer, slopes, TIME, width)
    towards_x = slopes
    if outer_slopes is not None:
        towards_x = creation.empty(tuple(slopes.shape), **options)
        plan.write_all(outer_slopes, towards_x, TIME, width)
    if form.carries:
        plan.write(new_carry, carry, FIXED)
    columns = scheme["columns"]
    towards = creation.zeros((batch, -(-width // columns) * columns), **options)
    if grads[1] is not None:
        shape.copy_(shape.narrow(towards, 1, 0, width), grads[1])
    core.backward(table, scheme, plan.kernel(f"{mode.lower()}_cell_backward"), shape.contiguous(w_hh), plan.outputs + plan.inputs, steps,
                  slopes, towards)  # fmt: skip
    towards = shape.narrow(towards, 1, 0, width)
    before = _in_time(shape.narrow(states, 0, 0, len(steps)), steps, reverse)
    return (
        contraction.mm(towards_x, w_ih) if needs[0] else None,
        arithmetic.add(towards, carry) if mode == "GRU" else shape.contiguous(towards),
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
    if input.dtype.itemsize == 2 and w_hr is None and input.device.type == "cpu":
        wide = (None if t is None else shape.cast(t, _float32) for t in tensors)
        return tuple(shape.cast(x, input.dtype) for x in run_layer(*wide, None, mode, sizes, reverse))
    if not fits(input, hidden, w_hr):
        return composed(*tensors, mode, sizes, reverse, w_hr)
    keep = [] if is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors) else None
    return layer(*tensors, mode, tuple(sizes), reverse, keep)
