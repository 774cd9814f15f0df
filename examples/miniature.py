"""rushlight in miniature: a kernel language, derivatives in it, a compiler and a tape, small enough to read in one sitting.

docs/miniature.md walks through it. ``python examples/miniature.py`` trains a network of 1-16-1 units to follow a sine.
"""

import functools

import numpy as np

# --- 1. The language: an expression is a node of a graph, and equal expressions are one object.

_known = {}


class Expr:
    """An operation, its arguments, and a detail (an input's position, a constant's value)."""

    def __new__(cls, op, *args, detail=None):
        key = op, args, detail
        if key not in _known:
            node = _known[key] = super().__new__(cls)
            node.op, node.args, node.detail = key
        return _known[key]

    def __add__(self, other):
        a, b = self, const(other)
        return b if a is ZERO else a if b is ZERO else Expr("add", a, b)

    def __mul__(self, other):
        a, b = self, const(other)
        return ZERO if ZERO in (a, b) else b if a is ONE else a if b is ONE else Expr("mul", a, b)

    def __sub__(self, other):
        return self + const(other) * -1.0


def const(value):
    return value if isinstance(value, Expr) else Expr("const", detail=float(value))


def tanh(x):
    return Expr("tanh", x)


ZERO, ONE = const(0), const(1)


# --- 2. Derivatives: one rule for each operation gives those of its arguments, from its own.

RULES = {
    "add": lambda grad, node, a, b: (grad, grad),
    "mul": lambda grad, node, a, b: (grad * b, grad * a),
    "tanh": lambda grad, node, a: (grad * (ONE - node * node),),
}


def topological(root, below=lambda node: node.args):
    """All nodes below root, arguments before their users."""
    order = {}

    def visit(node):
        if node not in order:
            for argument in below(node):
                visit(argument)
            order[node] = None

    visit(root)
    return list(order)


def derive(root, grad):
    """position -> derivative of root by that input, times grad."""
    total = {root: grad}
    for node in reversed(topological(root)):
        if node in total and node.args:
            for argument, part in zip(node.args, RULES[node.op](total[node], node, *node.args)):
                total[argument] = total.get(argument, ZERO) + part
    return {node.detail: part for node, part in total.items() if node.op == "input"}


# --- 3. The compiler: a graph becomes the source of one function; what occurs twice is computed once.

CODE = {"add": "{} + {}", "mul": "{} * {}", "tanh": "tanh({})"}


@functools.cache
def kernel(root):
    """The function of a graph, called with arrays for its inputs."""
    names, lines, count = {}, [], 0
    for node in topological(root):
        if node.op == "input":
            names[node], count = f"x{node.detail}", max(count, node.detail + 1)
        elif node.op == "const":
            names[node] = repr(node.detail)
        else:
            names[node] = f"t{len(lines)}"
            lines.append(f"    {names[node]} = " + CODE[node.op].format(*(names[a] for a in node.args)))
    inputs = ", ".join(f"x{i}" for i in range(count))
    source = "\n".join([f"def kernel({inputs}, *unused):", *lines, f"    return {names[root]}"])
    space = {"tanh": np.tanh}
    exec(source, space)
    space["kernel"].source = source
    return space["kernel"]


# --- 4. The tape: each call leaves a node that knows how to send a gradient on.


class Tensor:
    """An array with, perhaps, a gradient and the node that made it: pairs of an operand and a function of the gradient."""

    def __init__(self, value, sources=()):
        self.value, self.sources, self.grad = np.asarray(value, dtype=float), sources, None

    def backward(self):
        """Adds to ``grad`` of every tensor below the derivative of this one."""
        self.grad = np.ones_like(self.value)
        for tensor in reversed(topological(self, lambda tensor: [operand for operand, _ in tensor.sources])):
            for operand, send in tensor.sources:
                part = fitted(send(tensor.grad), operand.value.shape)
                operand.grad = part if operand.grad is None else operand.grad + part


def fitted(grad, shape):
    """A gradient with broadcasting undone."""
    grad = np.broadcast_to(grad, np.broadcast_shapes(np.shape(grad), shape))
    grad = grad.sum(tuple(range(grad.ndim - len(shape))))
    return grad.sum(tuple(i for i, n in enumerate(shape) if n == 1 != grad.shape[i]), keepdims=True)


# --- 5. Operators: a definition runs once, on symbols; kernel and gradient kernels come from what it leaves.


def pointwise(definition):
    """An operator from an expression of its operands' elements."""
    n = definition.__code__.co_argcount
    root = definition(*(Expr("input", detail=i) for i in range(n)))
    forward, gradients = kernel(root), {i: kernel(e) for i, e in derive(root, Expr("input", detail=n)).items()}

    def operator(*operands):
        values = [t.value for t in operands]
        return Tensor(forward(*values), [(operands[i], lambda grad, g=g: g(*values, grad)) for i, g in gradients.items()])

    operator.forward, operator.gradients = forward, gradients
    return operator


@pointwise
def biased_tanh(x, bias):
    return tanh(x + bias)


@pointwise
def squared_error(x, bias, target):
    error = x + bias - target
    return error * error


def matmul(a, b):
    return Tensor(a.value @ b.value, [(a, lambda grad: grad @ b.value.T), (b, lambda grad: a.value.T @ grad)])


def mean(a):
    return Tensor(a.value.mean(), [(a, lambda grad: np.full(a.value.shape, grad / a.value.size))])


# --- 6. Training, as everywhere.


def main():
    draw = np.random.default_rng(0)
    x = Tensor(np.linspace(-1, 1, 64)[:, None])
    y = Tensor(np.sin(3 * x.value))
    w1, b1, w2, b2 = parameters = [Tensor(draw.normal(size=s)) for s in ((1, 16), (16,), (16, 1), (1,))]
    for step in range(2001):
        loss = mean(squared_error(matmul(biased_tanh(matmul(x, w1), b1), w2), b2, y))
        if step % 500 == 0:
            print(f"step {step:4d}  loss {loss.value:.5f}")
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.value = p.value - 0.1 * p.grad


if __name__ == "__main__":
    main()
