"""Functions of complex numbers at infinities, zeros of either sign, on branch cuts and far out: PyTorch's values."""

import itertools
import math

import numpy as np
import pytest
from oracle import torch

import rushlight as rl

INF = math.inf
PARTS = (-INF, -1e30, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 1e30, INF)
NUMBERS = [complex(x, y) for x, y in itertools.product(PARTS, PARTS)]
FUNCTIONS = "acos asin atan acosh asinh atanh sqrt exp exp2 log log2 log10 log1p sin cos tan sinh cosh tanh square abs angle sgn".split()


def agrees(got, want, tolerance):
    """Are two real parts the same? Of two zeros, or infinities, the signs count."""
    if math.isnan(got) or math.isnan(want):
        return math.isnan(got) and math.isnan(want)
    if got == want:
        return got != 0 or math.copysign(1, got) == math.copysign(1, want)
    return math.isfinite(got) and math.isfinite(want) and abs(got - want) <= tolerance * abs(want)


# where the standard of C leaves the sign open, or PyTorch's vectors and its single numbers differ
OPEN = {(name, complex(x, y)) for name in ("exp", "exp2", "sin", "sinh") for x in (-INF, INF) for y in (-INF, INF)}


@pytest.mark.parametrize("dtype, tolerance", [("complex64", 1e-5), ("complex128", 1e-12)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_pytorch(name, dtype, tolerance):
    given = torch.tensor(NUMBERS, dtype=getattr(torch, dtype))
    function = getattr(torch, name)
    got = getattr(rl, name)(rl.tensor(NUMBERS, dtype=getattr(rl, dtype))).tolist()
    whole, single = function(given).tolist(), [function(z).item() for z in given]
    for z, g, *wants in zip(NUMBERS, map(complex, got), whole, single):
        if (name, z) not in OPEN and not (name == "acos" and dtype == "complex128" and math.isfinite(abs(z))):
            same = any(agrees(g.real, w.real, tolerance) and agrees(g.imag, w.imag, tolerance) for w in map(complex, wants))
            assert same, f"{name}({z}): {g}, PyTorch {wants}"


def test_finite_acos():
    """PyTorch takes complex128 from pi / 2, which costs small real parts their digits and zeros their signs; so beside NumPy."""
    numbers = [z for z in NUMBERS if math.isfinite(abs(z))]
    for z, g, w in zip(numbers, rl.tensor(numbers, dtype=rl.complex128).acos().tolist(), np.arccos(np.array(numbers))):
        assert agrees(g.real, w.real, 1e-12) and agrees(g.imag, w.imag, 1e-12), f"acos({z}): {g}, NumPy {w}"
