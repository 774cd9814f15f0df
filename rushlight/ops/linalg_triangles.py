"""Triangular equations of matrices with many right sides: substitution within blocks of rows (codegen/substitution.py), products between.

LAPACK's routines are called for few rows or columns, for complex numbers and on GPUs. As there, results are column-major memory.
"""

import functools

from .._core import lapack as core
from .._core import tensor as _tensor
from . import contraction, creation, index, shape, sorting

BLOCK = 64  # rows that are substituted one after the other; products of larger matrices take less time
_NAMES = {8: "f32", 9: "f64"}
_INT32 = _tensor.dtypes()["int32"]


def _of_each(function):
    """A function of batches from one of matrices, which is given memory for its result besides: that of the last operand, transposed."""

    @functools.wraps(function)
    def batched(*operands, **kwargs):
        last = operands[-1]
        out = core.numbers(last.dtype.code, (*last.shape[:-2], last.shape[-1], last.shape[-2]))
        if last.ndim == 2:
            function(out, *operands, **kwargs)
        else:
            matrices = (shape.reshape(x, -1, *x.shape[last.ndim - 2 :]) for x in (out, *operands))
            for each in zip(*matrices, strict=True):
                function(*each, **kwargs)
        return out

    return batched


@_of_each
def solution(out, T, B, left, upper, unit):
    """The solution of T X = B, or of X T = B, for a triangle of T."""
    kernel = _kernel(T, unit)
    if left:
        rows = shape.copy_(core.numbers(B.dtype.code, B.shape), B)
        _halves(kernel, shape.contiguous(T), rows, upper)
        shape.copy_(out, shape.transpose(rows, 0, 1))
    else:
        shape.copy_(out, shape.transpose(B, 0, 1))
        _halves(kernel, _turned(T), out, not upper)  # the same equation, transposed


@_of_each
def solution_of_factors(out, lu, pivots, B):
    """The solution of P L U X = B, the factors in column-major memory."""
    X, T = index.index_select(B, 0, _order(pivots)), _turned(lu)
    _halves(_kernel(T, True), T, X, False)
    _halves(_kernel(T, False), T, X, True)
    shape.copy_(out, shape.transpose(X, 0, 1))


@_of_each
def inverse_of_factors(out, pivots, lu):
    """The inverse of P L U, the factors in column-major memory: that of L U, its columns exchanged."""
    X, T = creation.eye(lu.shape[0], dtype=lu.dtype), _turned(lu)
    _inverse(_kernel(T, True), T, X)
    _halves(_kernel(T, False), T, X, True)
    index.index_select(shape.transpose(X, 0, 1), 0, sorting.argsort(_order(pivots)), out=out)


def _turned(T):
    """The transposed matrix with dense rows, as products read it best: that takes less time than they save."""
    return shape.contiguous(shape.transpose(T, 0, 1))


def _order(pivots):
    """Which row of a matrix comes where by exchanges in LAPACK's way."""
    return core.permutations(shape.cast(pivots, _INT32), pivots.shape[-1])


def _kernel(T, unit):
    from ..codegen.substitution import substitution

    return substitution(_NAMES[T.dtype.code], unit)


def _inverse(kernel, T, X):
    """Overwrites ones on the diagonal of X with the inverse of T, lower triangles both: each half has half of the columns to work on."""
    n = T.shape[0]
    if n <= BLOCK:
        core.substitute(kernel, T, X, False)
        return
    first, second = _split(n)
    known, rest = _part(X, first, first), _part(X, second, first)
    _inverse(kernel, _part(T, first, first), known)
    contraction.addmm(rest, _part(T, second, first), known, beta=0, alpha=-1, out=rest)
    _halves(kernel, _part(T, second, second), rest, False)
    _inverse(kernel, _part(T, second, second), _part(X, second, second))


def _halves(kernel, T, X, upper):
    """Overwrites X, whose rows are dense, with the solution of T X = X: half of the rows, then the other half less their products."""
    n = T.shape[0]
    if n <= BLOCK:
        core.substitute(kernel, T, X, upper)
        return
    first, second = _split(n)[::-1] if upper else _split(n)
    known, rest = shape.narrow(X, 0, *first), shape.narrow(X, 0, *second)
    _halves(kernel, _part(T, first, first), known, upper)
    contraction.addmm(rest, _part(T, second, first), known, alpha=-1, out=rest)
    _halves(kernel, _part(T, second, second), rest, upper)


def _split(n):
    """(start, length) of the two halves of n rows, the first made of whole blocks."""
    half = (n // BLOCK + 1) // 2 * BLOCK
    return (0, half), (half, n - half)


def _part(T, rows, columns):
    return shape.narrow(shape.narrow(T, 0, *rows), 1, *columns)
