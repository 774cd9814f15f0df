"""Derivatives as machine code: kernels of gradients to second order against the interpreter."""

import ctypes
import math

import numpy as np
import pytest

from rushlight.codegen import cpu
from rushlight.lang import functions as f
from rushlight.lang.derive import gradient
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import input

INF, NAN = math.inf, math.nan
POINTS = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 0.7, 1.9, 1e-310, 88.0, -88.0, 1e4, -1e4, 1e200, INF, -INF, NAN])
FUNCTIONS = (
    f.abs, f.sqrt, f.rsqrt, f.root, f.exp, f.exp2, f.expm1, f.log, f.log2, f.log10, f.log1p, f.sin, f.cos, f.tan,
    f.asin, f.acos, f.atan, f.sinh, f.cosh, f.tanh, f.asinh, f.acosh, f.atanh, f.sigmoid, f.softplus, f.log_sigmoid,
    f.erf, f.erfc, f.erfinv, f.ndtri,
)  # fmt: skip


def run(expression, arrays):
    """One pointwise kernel over arrays of float64."""
    result = np.zeros_like(arrays[0])
    operands = [result, *arrays]
    address = cpu.pointwise(((expression, "f64"),), ("f64",) * len(arrays), "c" * len(operands))
    kernel = ctypes.CFUNCTYPE(None, *(ctypes.c_void_p,) * 3, *(ctypes.c_int64,) * 2)(address)
    pointers = np.array([a.ctypes.data for a in operands], np.uint64)
    inner, outer = np.full(len(operands), 8, np.int64), np.zeros(len(operands), np.int64)
    kernel(pointers.ctypes.data, inner.ctypes.data, outer.ctypes.data, len(result), 1)
    return result


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_gradient_kernels(function):
    expression, arrays = function(input(0, "f64")), [POINTS]
    for _ in range(2):
        position = next(i for i, a in enumerate(arrays) if a is POINTS)
        g = gradient([expression], len(arrays), [position], False)
        (expression,) = g.exprs
        if expression is None or not g.saved_inputs:
            return
        arrays = [np.full_like(POINTS, 1.5) for _ in g.grads] + [arrays[i] for i in g.saved_inputs]
        expected = np.broadcast_to(evaluate([expression], arrays)[0], POINTS.shape)
        np.testing.assert_allclose(run(expression, arrays), expected, rtol=1e-9, atol=1e-300)
