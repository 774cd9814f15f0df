"""LAPACK's factorizations on batches of matrices, as plain functions: no gradients, no checks of arguments.

LAPACK wants column-major matrices: :func:`columns` makes a copy whose memory is so, as a row-major tensor of the transposed shape.
The functions return such memory, which :func:`turned` shows as the matrix that it is. ``info`` is LAPACK's report for each matrix:
0 is success.
"""

import functools

from .._core import lapack as core
from .._core import tensor as _tensor
from .._core.lapack import Scratch, run
from . import creation, shape

_dtypes = _tensor.dtypes()
_LETTERS = {8: "s", 9: "d", 10: "c", 11: "z"}
# From so many rows, columns and numbers on triangular equations are solved by linalg_triangles; those of a batch from so many rows.
ROWS, COLUMNS, NUMBERS, ALONE = 48, 16, 4096, 256


def letter(x):
    """LAPACK's letter for a dtype."""
    return _LETTERS[x.dtype.code]


def is_complex(x):
    """Does LAPACK call the routine by its complex name (ungqr, hetrf ...)?"""
    return x.dtype.code >= 10


def substitutes(T, columns):
    """Should T X = B with so many columns be solved by linalg_triangles?"""
    if not T.is_cpu or is_complex(T) or T.is_neg() or not T.numel():
        return False
    rows = T.shape[-1]
    return rows >= (ROWS if T.ndim == 2 else ALONE) and columns >= COLUMNS and rows * columns >= NUMBERS


def empty(like, *size, dtype=None):
    """Uninitialised memory for results, with ``like``'s dtype."""
    dtype = like.dtype if dtype is None else dtype
    if like.is_cpu:
        return core.numbers(dtype.code, size)
    return creation.empty(size, dtype=dtype, device=like.device)


def real_dtype(x):
    """The dtype of x's absolute values."""
    return {10: "float32", 11: "float64"}.get(x.dtype.code, x.dtype.name)


def _dtype(name):
    return _dtypes[name]


def columns(x, extra=0):
    """A copy of x's matrices in column-major memory, with room for ``extra`` more columns: shape (*, n + extra, m)."""
    if x.is_cpu:
        return core.columns(x, extra)
    m, n = x.shape[-2:]
    out = empty(x, *x.shape[:-2], n + extra, m)
    target = shape.narrow(out, -2, 0, n) if extra else out
    shape.copy_(target, shape.transpose(x, -2, -1))
    return out


def turned(x):
    """The transposed view: a column-major copy seen as the matrix that it is."""
    return shape.transpose(x, -2, -1)


def integer_dtype():
    """The dtype of LAPACK's integers."""
    return _dtype("int64")


def integers(batch, *size, like=None):
    """Memory for LAPACK's integers, on the device of ``like``."""
    if like is None or like.is_cpu:
        return core.integers(batch, *size)
    return creation.zeros((*batch, *size), dtype=integer_dtype(), device=like.device)


def parity(pivots, like):
    """The sign of each permutation, in ``like``'s dtype."""
    return core.parity(pivots, like.dtype.code)


def to_int32(x):
    """LAPACK's integers as PyTorch shows them."""
    return shape.cast(x, _dtype("int32"))


def permutations(pivots, m):
    """The order of m rows after exchanges by pivots (*, k), int32: for each row of P^T A, which row of A it was."""
    return core.permutations(shape.contiguous(pivots.cpu()), m).to(pivots.device)


def _anywhere(function):
    """Decorator: for matrices on a GPU the function of this name in cuda/ops/linalg.py is called."""

    @functools.wraps(function)
    def call(x, *args, **kwargs):
        here = function if x.is_cpu else _tensor.on_gpu[f"linalg.{function.__name__}"]
        return here(x, *args, **kwargs)

    return call


# -- LU and Cholesky --


@_anywhere
def getrf(x):
    """(LU, pivots, info) with P L U = x; LU is column-major memory, pivots count from 1."""
    m, n = x.shape[-2:]
    batch = x.shape[:-2]
    lu, pivots, info = columns(x), integers(batch, min(m, n)), integers(batch)
    run(letter(x) + "getrf_", batch, m * n * n, m, n, lu, max(m, 1), pivots, info)
    return lu, pivots, info


@_anywhere
def getrs(lu, pivots, right, trans=b"N"):
    """Overwrites ``right`` (column-major) with the solution of P L U X = right, or of the transposed or adjoint equation."""
    n, k = lu.shape[-1], right.shape[-2]
    info = integers(lu.shape[:-2])
    run(
        letter(lu) + "getrs_", lu.shape[:-2], n * n * k, trans, n, k, lu, max(n, 1), pivots,
        right, max(n, 1), info,
    )  # fmt: skip
    return right


@_anywhere
def getri(lu, pivots, info):
    """The inverse, column-major, perhaps in place of LU, none of whose pivots is 0; ``info`` is scratch."""
    if substitutes(lu, lu.shape[-1] // 2):  # getri leaves out what is 0
        from . import linalg_triangles as triangles

        return triangles.inverse_of_factors(pivots, lu)
    n = lu.shape[-1]
    before = (n, lu, max(n, 1), pivots)
    core.run_with_workspace(letter(lu) + "getri_", lu, lu.shape[:-2], n**3, before, (info,))
    return lu


@_anywhere
def gesv(x, right):
    """(solution of x X = right as column-major memory, LU, pivots, info)."""
    n, k = x.shape[-1], right.shape[-1]
    if substitutes(x, k):
        from . import linalg_triangles as triangles

        lu, pivots, info = getrf(x)
        return triangles.solution_of_factors(lu, pivots, right), lu, pivots, info
    lu, out, pivots, info = columns(x), columns(right), integers(x.shape[:-2], n), integers(x.shape[:-2])
    run(
        letter(x) + "gesv_", x.shape[:-2], n**3, n, k, lu, max(n, 1), pivots, out, max(n, 1),
        info,
    )  # fmt: skip
    return out, lu, pivots, info


@_anywhere
def potrf(x, upper):
    """(Cholesky factor in one triangle, info); the other triangle keeps x's elements."""
    n = x.shape[-1]
    out, info = columns(x), integers(x.shape[:-2])
    side = b"U" if upper else b"L"
    run(letter(x) + "potrf_", x.shape[:-2], n**3, side, n, out, max(n, 1), info)
    return out, info


@_anywhere
def trsm(x, right, left, upper, unit):
    """Solves the triangular x X = right, or X x = right; both are copied. Column-major memory."""
    if substitutes(x, right.shape[-1] if left else right.shape[-2]):
        from . import linalg_triangles as triangles

        return triangles.solution(x, right, left=left, upper=upper, unit=unit)
    a, out = columns(x), columns(right)
    n, m = out.shape[-2:]
    one = creation.ones((), dtype=x.dtype, device=x.device)
    run(
        letter(x) + "trsm_", x.shape[:-2], m * n * a.shape[-1], b"L" if left else b"R", b"U" if upper else b"L", b"N",
        b"U" if unit else b"N", m, n, (one.data_ptr(), 0), a, max(a.shape[-1], 1), out, max(m, 1),
    )  # fmt: skip
    return out


@_anywhere
def sytrf(x, hermitian, lower=True):
    """(LD, pivots, info) of the Bunch-Kaufman factorization of a symmetric or Hermitian matrix."""
    n = x.shape[-1]
    out, pivots, info = columns(x), integers(x.shape[:-2], n), integers(x.shape[:-2])
    name = letter(x) + ("hetrf_" if hermitian and is_complex(x) else "sytrf_")
    before = (b"L" if lower else b"U", n, out, max(n, 1), pivots)
    core.run_with_workspace(name, x, x.shape[:-2], n**3, before, (info,))
    return out, pivots, info


@_anywhere
def sytrs(ld, pivots, right, hermitian):
    """The solution from sytrf's factors, column-major."""
    a, out = columns(ld), columns(right)
    n, k, info = a.shape[-1], out.shape[-2], integers(ld.shape[:-2])
    name = letter(ld) + ("hetrs_" if hermitian and is_complex(ld) else "sytrs_")
    run(
        name, ld.shape[:-2], n * n * k, b"L", n, k, a, max(n, 1), pivots, out, max(n, 1),
        info,
    )  # fmt: skip
    return out


# -- QR --


@_anywhere
def geqrf(x, extra=0):
    """(R above the diagonal and reflectors below, their factors tau); room for ``extra`` columns."""
    m, n = x.shape[-2:]
    out, tau, info = columns(x, extra), empty(x, *x.shape[:-2], min(m, n)), integers(x.shape[:-2])
    before = (m, n, out, max(m, 1), tau)
    core.run_with_workspace(letter(x) + "geqrf_", x, x.shape[:-2], m * n * n, before, (info,))
    return out, tau


@_anywhere
def orgqr(reflectors, tau, n):
    """Overwrites reflectors (column-major) with the first n columns of their product."""
    m, k = reflectors.shape[-1], tau.shape[-1]
    info = integers(reflectors.shape[:-2])
    name = letter(tau) + ("ungqr_" if is_complex(tau) else "orgqr_")
    before = (m, n, k, reflectors, max(m, 1), tau)
    core.run_with_workspace(name, tau, reflectors.shape[:-2], m * n * k, before, (info,))
    return reflectors


@_anywhere
def ormqr(reflectors, tau, other, left, transpose):
    """Overwrites ``other`` (column-major) with Q other, or other Q, or with the adjoint of Q."""
    m, n, k = other.shape[-1], other.shape[-2], tau.shape[-1]
    info = integers(other.shape[:-2])
    name = letter(tau) + ("unmqr_" if is_complex(tau) else "ormqr_")
    trans = (b"C" if is_complex(tau) else b"T") if transpose else b"N"
    before = (
        b"L" if left else b"R", trans, m, n, k, reflectors, max(reflectors.shape[-1], 1), tau,
        other, max(m, 1),
    )  # fmt: skip
    core.run_with_workspace(name, tau, other.shape[:-2], m * n * k, before, (info,))
    return other


# -- spectra --


@_anywhere
def gesdd(x, job):
    """(U, S, Vh, info), U and Vh column-major. job: b"N" values only, b"S" reduced, b"A" complete."""
    m, n = x.shape[-2:]
    batch, k = x.shape[:-2], min(m, n)
    a, s, info = columns(x), empty(x, *batch, k, dtype=_dtype(real_dtype(x))), integers(batch)
    rows, cols = (m, n) if job == b"A" else (k, k)
    u, vh = (empty(x, *batch, rows, m), empty(x, *batch, n, cols)) if job != b"N" else (empty(x, *batch, 1, 1), empty(x, *batch, 1, 1))
    real = max(1, k * max(5 * k + 7, 2 * max(m, n) + 2 * k + 1)) if job != b"N" else max(1, 7 * k)
    before = (
        job, m, n, a, max(m, 1), s, u, max(m, 1) if job != b"N" else 1, vh,
        max(cols, 1) if job != b"N" else 1,
    )  # fmt: skip
    after = ((Scratch(real * s.element_size()),) if is_complex(x) else ()) + (Scratch(8 * k * 8), info)
    core.run_with_workspace(letter(x) + "gesdd_", x, batch, 10 * m * n * k, before, after)
    return u, s, vh, info


@_anywhere
def syevd(x, upper, vectors):
    """(eigenvalues in ascending order, eigenvectors column-major or whatever is left of x, info) of a symmetric or Hermitian matrix."""
    n, batch = x.shape[-1], x.shape[:-2]
    a, w, info = columns(x), empty(x, *batch, n, dtype=_dtype(real_dtype(x))), integers(batch)
    before = (b"V" if vectors else b"N", b"U" if upper else b"L", n, a, max(n, 1), w)
    real, ints = 1 + 5 * n + 2 * n * n, 3 + 5 * n
    after = (Scratch(real * w.element_size()), real) if is_complex(x) else ()
    after += (Scratch(ints * 8), ints, info)
    core.run_with_workspace(letter(x) + ("heevd_" if is_complex(x) else "syevd_"), x, batch, 10 * n**3, before, after)
    return w, a, info


@_anywhere
def geev(x, vectors):
    """(eigenvalues, right eigenvectors column-major, info). For real matrices the eigenvalues are two real tensors, and the eigenvectors
    are packed as LAPACK does it: a column each for the real and the imaginary part of a conjugate pair."""
    n, batch = x.shape[-1], x.shape[:-2]
    a, v, info = columns(x), empty(x, *batch, n if vectors else 1, n if vectors else 1), integers(batch)
    real, imag = empty(x, *batch, n), empty(x, *batch, n)
    values = (real,) if is_complex(x) else (real, imag)
    before = (b"N", b"V" if vectors else b"N", n, a, max(n, 1), *values, Scratch(16), 1, v, max(n, 1))
    after = ((Scratch(2 * n * 8),) if is_complex(x) else ()) + (info,)
    core.run_with_workspace(letter(x) + "geev_", x, batch, 25 * n**3, before, after)
    return (real if is_complex(x) else (real, imag)), v, info


# -- least squares --


@_anywhere
def gels(x, right, driver, rcond):
    """(solution rows and what follows them, rank, singular values, info) of min |x X - right|; right has max(m, n) rows."""
    m, n = x.shape[-2:]
    batch, k, rows = x.shape[:-2], right.shape[-1], right.shape[-2]
    a, out, rank, info = columns(x), columns(right), integers(batch), integers(batch)
    s = empty(x, *batch, min(m, n), dtype=_dtype(real_dtype(x)))
    tolerance = creation.full((), rcond, dtype=_dtype(real_dtype(x)))
    sizes = (m, n, k, a, max(m, 1), out, max(rows, 1))
    scratch = Scratch((26 * min(m, n) * 50 + 8 * max(m, n) * (k + 1) + 4096) * 8)
    if driver == "gels":
        before, after = (b"N", *sizes), (info,)
    elif driver == "gelsy":
        pivots = integers(batch, n)
        before = (*sizes, pivots, (tolerance.data_ptr(), 0), rank)
        after = ((Scratch(2 * n * 8),) if is_complex(x) else ()) + (info,)
    else:
        before = (*sizes, s, (tolerance.data_ptr(), 0), rank)
        after = ((scratch,) if is_complex(x) else ()) + ((scratch,) if driver == "gelsd" else ()) + (info,)
    core.run_with_workspace(f"{letter(x)}{driver}_", x, batch, 4 * m * n * min(m, n), before, after)
    return out, rank, s, info
