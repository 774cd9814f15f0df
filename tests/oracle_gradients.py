"""Comparison of an operator with installed PyTorch: values and gradients of first and second order. Shared by several test files."""

import numpy as np
from oracle import worded

import rushlight as rl


def _numpy(x):
    """A PyTorch tensor's values; a gradient known to be zero has no memory, hence force."""
    return x.detach().resolve_conj().resolve_neg().numpy(force=True)


def to_rushlight(x):
    """A PyTorch tensor as a rushlight leaf with the same values."""
    y = rl.from_numpy(_numpy(x).copy()).to(rl.get_default_device())
    return y.requires_grad_() if x.requires_grad else y


def to_numpy(y):
    """A rushlight tensor's values."""
    return np.asarray(y.detach().resolve_conj().resolve_neg().numpy(force=True))


def close(theirs, ours, what, rtol=1e-6, atol=1e-7):
    assert tuple(theirs.shape) == tuple(ours.shape), what
    np.testing.assert_allclose(
        to_numpy(ours), _numpy(theirs), rtol=rtol, atol=atol, err_msg=what
    )


def compare(torch, theirs, ours, *shapes, dtype=None, second=True, seed=0):
    """theirs(*tensors) and ours(*tensors) must agree on random inputs of these shapes, gradients included."""
    generator = torch.Generator().manual_seed(seed)
    dtype = dtype or torch.float64

    def draw(shape):
        return torch.randn(shape, dtype=dtype, generator=generator)

    xs = [draw(shape).requires_grad_() for shape in shapes]
    ys = [to_rushlight(x) for x in xs]
    a, b = theirs(*xs), ours(*ys)
    close(a, b, "value")
    weight = torch.randn(a.shape, dtype=a.dtype, generator=generator)
    first = torch.autograd.grad(a, xs, weight, create_graph=second)
    mine = rl.autograd.grad(b, ys, to_rushlight(weight), create_graph=second)
    for i, (u, v) in enumerate(zip(first, mine)):
        close(u, v, f"gradient {i}")
    pairs = [(u, v) for u, v in zip(first, mine) if u.requires_grad]
    if not second or not pairs:
        return
    weights = [draw(u.shape) for u, _ in pairs]
    again = torch.autograd.grad([u for u, _ in pairs], xs, weights, allow_unused=True)
    mine = rl.autograd.grad([v for _, v in pairs], ys, [to_rushlight(w) for w in weights], allow_unused=True)
    for i, (u, v) in enumerate(zip(again, mine)):
        if u is None or v is None:  # no dependence and a gradient of zeros mean the same
            rest = u if v is None else to_numpy(v)
            assert rest is None or not rest.any(), f"second gradient {i}"
        else:
            close(u, v, f"second gradient {i}")


def first_line(call):
    """(type name, first line) of the error that a call raises, or None."""
    try:
        call()
    except Exception as error:
        return type(error).__name__, worded(str(error)).split("\n")[0]
    return None
