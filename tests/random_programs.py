"""Random programs of views, in-place writes and operators. A program is drawn from a seed alone, so two libraries run the same one."""

import random

import numpy as np

_DIM = "cumsum logsumexp mean sum amax flip cummax max sort softmax prod var roll".split()


def _along(name):
    """The operator along a dim; doubles a tensor without dims. Values stay of moderate size."""

    def call(L, x, y, d, r):
        if x.dim() == 0:
            return x * 2
        if name == "prod":
            return (x * 0.5 + 1).prod(d)
        if name == "var":
            return x.var(d, unbiased=False)
        if name == "roll":
            return x.roll(1, d)
        out = getattr(x, name)(d)
        return out[0] if isinstance(out, tuple) else out

    return call


OPERATORS = {
    **{name: _along(name) for name in _DIM},
    **{name: (lambda L, x, y, d, r, name=name: getattr(x, name)())
       for name in "exp sin tanh sigmoid neg abs erf cos clone relu contiguous".split()},
    **{name: (lambda L, x, y, d, r, name=name: getattr(L, name)(x, y)) for name in "add sub mul maximum minimum".split()},
    "root": lambda L, x, y, d, r: (x.abs() + 0.1).sqrt(),
    "narrower": lambda L, x, y, d, r: x.float().double(),
    "norm": lambda L, x, y, d, r: (x + 3).norm(),
    "layer_norm": lambda L, x, y, d, r: L.nn.functional.layer_norm(x, x.shape[-1:]) if x.dim() and x.shape[-1] > 1 else x * 2,
    "gelu": lambda L, x, y, d, r: L.nn.functional.gelu(x),
    "tril": lambda L, x, y, d, r: x.tril(r % 3 - 1) if x.dim() >= 2 else x * 2,
    "div": lambda L, x, y, d, r: x / (y.abs() + 0.5),
    "where": lambda L, x, y, d, r: L.where(x > y, x, y),
    "pow": lambda L, x, y, d, r: (x.abs() + 0.2) ** (y * 0.1),
    "lerp": lambda L, x, y, d, r: L.lerp(x, y, 0.3),
    "addcmul": lambda L, x, y, d, r: L.addcmul(x, y, y, value=0.2),
    "matmul": lambda L, x, y, d, r: x @ y,
    "outer": lambda L, x, y, d, r: L.outer(x.reshape(-1)[:4], y.reshape(-1)[:3]),
    "cat": lambda L, x, y, d, r: L.cat([x, y], d),
}  # fmt: skip

VIEWS = {
    "transpose": lambda L, x, y, d, r: x.transpose(0, -1),
    "unsqueeze": lambda L, x, y, d, r: x.unsqueeze(r % (x.dim() + 1)),
    "slice": lambda L, x, y, d, r: x[r % 2 :],
    "select": lambda L, x, y, d, r: x.select(d, r % 3),
    "expand": lambda L, x, y, d, r: x.expand(2, *x.shape),
    "reshape": lambda L, x, y, d, r: x.reshape(-1),
    "flatten": lambda L, x, y, d, r: x.flatten(),
    "view": lambda L, x, y, d, r: x.view(-1, 1),
    "diagonal": lambda L, x, y, d, r: x.diagonal(r % 2),
    "chunk": lambda L, x, y, d, r: x.chunk(2, d)[-1],
    "unbind": lambda L, x, y, d, r: x.unbind(d)[-1],
    "unfold": lambda L, x, y, d, r: x.unfold(d, 1 + r % 2, 1),
    "narrow": lambda L, x, y, d, r: x.narrow(d, 0, max(1, x.shape[d] - 1)),
    "list": lambda L, x, y, d, r: x[[0, -1]],
    "mask": lambda L, x, y, d, r: x[x > 0],
    "gather": lambda L, x, y, d, r: x.gather(d, L.zeros(x.shape, dtype=L.int64)),
    "strided": lambda L, x, y, d, r: x[..., ::2],
    "view_as_real": lambda L, x, y, d, r: L.view_as_real(L.complex(x, x * 2)),
}  # fmt: skip


def _assign(index, value):
    def call(L, x, y, d, r):
        x[index(x, r)] = value(y)
        return x

    return call


WRITES = {
    **{name: (lambda L, x, y, d, r, name=name: getattr(x, name)()) for name in "zero_ exp_ relu_ tanh_ sigmoid_".split()},
    "add_": lambda L, x, y, d, r: x.add_(y, alpha=0.5),
    "sub_": lambda L, x, y, d, r: x.sub_(0.3),
    "mul_": lambda L, x, y, d, r: x.mul_(y),
    "copy_": lambda L, x, y, d, r: x.copy_(y),
    "fill_": lambda L, x, y, d, r: x.fill_(0.7),
    "clamp_": lambda L, x, y, d, r: x.clamp_(-1, 1),
    "addcmul_": lambda L, x, y, d, r: x.addcmul_(y, y, value=0.1),
    "masked_fill_": lambda L, x, y, d, r: x.masked_fill_(x < 0, 0.1),
    "slice": _assign(lambda x, r: (..., slice(r % 2, None)), lambda y: y),
    "list": _assign(lambda x, r: [0], lambda y: y),
    "mask": _assign(lambda x, r: x > 0.2, lambda y: 0.5),
    "index_add_": lambda L, x, y, d, r: x.index_add_(0, L.tensor([0, 0]), y),
    "scatter_add_": lambda L, x, y, d, r: x.scatter_add_(d, L.zeros(y.shape, dtype=L.int64), y),
}  # fmt: skip

KINDS = (OPERATORS, VIEWS, WRITES)


def _draw(seed):
    """The program: its leaves as (values, requires_grad) and its steps as (operator, numbers of its tensors, dim, number)."""
    rng, values = random.Random(seed), np.random.RandomState(seed)
    leaves = []
    for _ in range(rng.choice((1, 2, 3))):
        shape = [rng.choice((1, 2, 3)) for _ in range(rng.choice((0, 1, 2, 2, 3)))]
        leaves.append((values.randn(*shape) if shape else float(values.randn()), rng.random() < 0.8))
    steps = []
    for _ in range(rng.randrange(2, 14)):
        kind = rng.choices(KINDS, (5, 3, 3))[0]
        name = rng.choice(list(kind))
        steps.append((name, kind[name], *(rng.randrange(20) for _ in range(4))))
    return leaves, steps


def _undefined(name, x, y):
    """Does PyTorch leave open what this write does: to an expanded tensor, or from one that overlaps? It refuses some."""
    if x.numel() and any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape)):
        return True
    if x is y and name in ("add_", "mul_", "copy_", "addcmul_"):
        return False
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def _array(t):
    return t.detach().numpy(force=True).copy()


def run(L, seed):
    """What library ``L`` makes of a program.

    Returns a list of events, (step, shape, requires_grad, values) or (step, exception type), and the gradients of the sum of
    squares of all tensors, with those of their own sum of squares; or the exception type where they can't be had.
    """
    leaves, steps = _draw(seed)
    pool = [L.tensor(v, dtype=L.float64, requires_grad=g) for v, g in leaves]
    inputs = [t for t in pool if t.requires_grad]
    events = []
    for name, call, i, j, d, r in steps:
        x, y = pool[i % len(pool)], pool[j % len(pool)]
        if name in WRITES and _undefined(name, x, y):
            continue
        try:
            x.grad_fn  # noqa: B018  (PyTorch refuses to write to a view of what began to require a gradient, until somebody looks at this)
            out = call(L, x, y, d % x.dim() if x.dim() else 0, r)
        except (RuntimeError, IndexError, ValueError) as error:
            events.append((name, type(error).__name__))
            continue
        events.append((name, tuple(out.shape), out.requires_grad, _array(out)))
        if out.numel() < 200:
            pool.append(out)
    return events, _gradients(L, pool, inputs)


def _gradients(L, pool, inputs):
    try:
        loss = sum((t * t * 0.1).sum() for t in pool if t.requires_grad)
        if isinstance(loss, int):
            return []
        first = L.autograd.grad(loss, inputs, allow_unused=True, create_graph=True)
        found = [g for g in first if g is not None and g.requires_grad]
        second = L.autograd.grad(sum((g * g).sum() for g in found), inputs, allow_unused=True) if found else []
    except RuntimeError as error:
        return type(error).__name__
    return [None if g is None else _array(g) for g in (*first, *second)]
