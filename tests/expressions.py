"""Rows that are expressions: evaluated with both libraries; the results, gradients or errors are compared.

An expression may use: T (the library), L (its tensor function), F (nn.functional), A (its arange as float32, in a shape),
x = A(3, 4), y = A(2, 3, 4), m = x > 5; in gradient rows the float64 leaves a (3, 4), b (4,), c (2, 3, 4), d (3, 4), s ().
"""

import re
import warnings

import numpy as np
import pytest
from oracle import rl, same, torch, worded
from place import on_gpu

LEAVES = {"a": (3, 4), "b": (4,), "c": (2, 3, 4), "d": (3, 4), "s": ()}


def names(library):
    """What an expression sees."""

    def ramp(*shape):
        return library.arange(float(np.prod(shape))).reshape(shape)

    x = ramp(3, 4)
    found = {"T": library, "L": library.tensor, "A": ramp, "np": np, "x": x, "y": ramp(2, 3, 4), "m": x > 5}
    return found | {"f32": library.float32, "i64": library.int64, "f64": library.float64}


DRAWS = "it draws numbers, which on a GPU are others"
"""Why a test is skipped there that compares what PyTorch drew on the CPU."""


def answer(library, expression, **extra):
    """(result, error) of an expression, which may be several statements, the last of them an expression."""
    scope = names(library) | extra
    if "F." in expression:
        scope["F"] = library.nn.functional
    *lines, last = expression.split("; ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for line in lines:
                exec(line, scope)
            value = eval(last, scope)
            if library is rl and on_gpu():
                rl.cuda.synchronize()  # an index out of range shows now
            return value, None
    except Exception as error:
        return None, error


def check(expression, scale=1):
    """The same value, or an error of the same type with the same first line."""
    (want, wrong), (got, error) = answer(torch, expression), answer(rl, expression)
    if wrong is not None:
        assert error is not None, f"{expression}: no error, PyTorch raises {type(wrong).__name__}: {first_line(wrong)}"
        if on_gpu():  # texts name devices, and kernels report indices without the operator's own words
            assert isinstance(error, (type(wrong), IndexError)), expression
        else:
            assert (type(error), first_line(error)) == (type(wrong), first_line(wrong)), expression
        return
    if error is not None:
        raise AssertionError(f"{expression}: {type(error).__name__}: {error}") from error
    same(got, want, expression, scale)
    if isinstance(want, torch.Tensor) and want._is_view():
        assert tuple(got.stride()) == tuple(want.stride()), (
            f"{expression}: strides {got.stride()}, PyTorch gives {want.stride()}"
        )


def first_line(error):
    """The first line of an error's text, without PyTorch's list of signatures."""
    return worded(str(error)).split("\n")[0].strip()


def check_gradients(expression):
    """The same value, first and second derivatives with respect to every leaf that occurs."""
    rng = np.random.default_rng(7)
    data = {k: rng.uniform(0.5, 2.0, n) for k, n in LEAVES.items()}
    (want, wanted), (got, found) = (_derivatives(library, expression, data) for library in (torch, rl))
    same(got, want, expression)
    assert len(found) == len(wanted)
    for i, (g, w) in enumerate(zip(found, wanted)):
        same(g, w, f"{expression}: derivative {i}")


def _derivatives(library, expression, data):
    """The value, and all first and second derivatives of a weighted sum of it."""
    leaves = {k: library.tensor(v.tolist(), dtype=library.float64, requires_grad=True) for k, v in data.items()}
    value, error = answer(library, expression, **leaves)
    if error is not None:
        raise error
    used = [leaf for k, leaf in leaves.items() if _occurs(k, expression)]
    weights = library.arange(1.0, value.numel() + 1, dtype=library.float64).reshape(tuple(value.shape)) / 7
    first = library.autograd.grad((value * value * weights).sum(), used, create_graph=True, allow_unused=True)
    present = [g for g in first if g is not None and g.requires_grad]
    total = sum((g * g).sum() for g in present)
    second = library.autograd.grad(total, used, allow_unused=True) if present else [None] * len(used)
    return value, [g for g in (*first, *second)]


def _occurs(name, expression):
    return re.search(rf"\b{name}\b", expression) is not None


def rows(table):
    """A parametrisation with one case for each non-empty line of a table."""
    lines = [line.strip() for line in table.strip().splitlines() if line.strip() and not line.strip().startswith("#")]
    return pytest.mark.parametrize("row", lines)
