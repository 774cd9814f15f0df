"""Factorizations on a GPU, by the names and in the layouts of ``ops/linalg_lapack.py``: by cuSOLVER and cuBLAS where they are installed and
win (``_cusolver.py``), otherwise by kernels with a block of threads for each matrix.
"""

import functools
import math

from ...ops import casting, creation, masks, shape
from ...ops import linalg_lapack as lapack
from .._kernels import for_core
from . import _cusolver
from ._family import Family, name

_linalg = Family(
    "linalg.cu",
    "P a, P b, P c, P pivots, P info, q batch, q m, q n, q k, q a_step, q b_step, q c_step, q pivot_step, q lower, q unit, q adjoint",
)


def _run(entry, a, b=None, c=None, **values):
    """An entry of linalg.cu on the matrices in column-major memory a, b and the vectors or matrices c."""
    batch = math.prod(a.shape[:-2])
    if not batch or not a.numel():
        return
    steps = {f"{letter}_step": x.numel() // batch for letter, x in (("a", a), ("b", b), ("c", c)) if x is not None}
    if values.get("pivots") is not None:
        steps["pivot_step"] = values["pivots"].shape[-1]
    _linalg(f"{entry}<{name(a)}>", a, min(batch, (1 << 31) - 1), a=a, b=b, c=c, batch=batch, **steps, **values)


def _by_library(function):
    """Decorator: ``_cusolver``'s function of this name comes first, and this one computes where its result is None."""
    library = getattr(_cusolver, function.__name__)

    @functools.wraps(function)
    def call(*args, **kwargs):
        done = library(*args, **kwargs)
        return function(*args, **kwargs) if done is None else done

    return call


def _adjoint(x):
    x = shape.transpose(x, -2, -1)
    return casting.conj(x) if x.is_complex() else x


@for_core
@_by_library
def getrf(x):
    """(LU, pivots, info): the LU factorization with row exchanges of batches of square or rectangular matrices."""
    m, n = x.shape[-2:]
    lu, info = lapack.columns(x), lapack.integers(x.shape[:-2], like=x)
    pivots = lapack.integers(x.shape[:-2], min(m, n), like=x)
    _run("lu", lu, m=m, n=n, pivots=pivots, info=info)
    return lu, pivots, info


def _triangular(a, b, lower, adjoint=0, unit=False):
    """Overwrites b with the solution for the leading square of a; adjoint: 0 as it is, 1 transposed, 2 its adjoint."""
    _run("triangular", a, b, m=a.shape[-1], n=b.shape[-1], k=b.shape[-2], lower=int(lower), unit=int(unit), adjoint=adjoint)


@for_core
@_by_library
def getrs(lu, pivots, right, trans=b"N"):
    """The solution of A X = right from A's LU factors; ``trans``: of A's transpose or adjoint."""
    exchange = {"b": right, "n": right.shape[-1], "k": right.shape[-2], "pivots": pivots}
    if trans == b"N":
        _run("exchange", lu, **exchange)
        _triangular(lu, right, True, unit=True)
        _triangular(lu, right, False)
    else:
        form = 1 if trans == b"T" else 2
        _triangular(lu, right, False, form)
        _triangular(lu, right, True, form, unit=True)
        _run("exchange", lu, adjoint=1, **exchange)
    return right


@for_core
def getri(lu, pivots, info):
    """The inverse from the LU factors."""
    n = lu.shape[-1]
    one = creation.eye(n, dtype=lu.dtype, device=lu.device)
    return shape.copy_(lu, getrs(lu, pivots, lapack.columns(shape.expand(one, lu.shape))))


@for_core
def gesv(x, right):
    """(solution, LU, pivots, info) of A X = right."""
    lu, pivots, info = getrf(x)
    return getrs(lu, pivots, lapack.columns(right)), lu, pivots, info


@for_core
@_by_library
def potrf(x, upper):
    """(factor, info): the Cholesky factor of Hermitian matrices."""
    out, info = lapack.columns(_adjoint(x) if upper else x), lapack.integers(x.shape[:-2], like=x)
    _run("cholesky", out, n=x.shape[-1], info=info)
    return (lapack.columns(_adjoint(lapack.turned(out))) if upper else out), info


@for_core
@_by_library
def trsm(x, right, left, upper, unit):
    """The solution of a triangular system, from the left or the right."""
    if left:
        out = lapack.columns(right)
        _triangular(lapack.columns(x), out, not upper, unit=unit)
        return out
    out = lapack.columns(shape.transpose(right, -2, -1))
    _triangular(lapack.columns(x), out, not upper, 1, unit)
    return lapack.columns(shape.transpose(lapack.turned(out), -2, -1))


@for_core
def sytrf(x, hermitian, lower=True):
    """(LD, pivots, info): the LDL factorization of symmetric or Hermitian matrices.

    Not cuSOLVER's: its solutions from such factors failed with accesses to memory that is not theirs (CUDA 13.0, an H200).
    """
    n = x.shape[-1]
    out, info = lapack.columns(x if lower else _adjoint(x)), lapack.integers(x.shape[:-2], like=x)
    pivots = lapack.integers(x.shape[:-2], n, like=x)
    _run("ldl", out, n=n, pivots=pivots, info=info, adjoint=2 if hermitian else 1)
    return out, pivots, info


@for_core
def sytrs(ld, pivots, right, hermitian):
    """The solution of A X = right from A's LDL factors."""
    out = lapack.columns(right)
    _run("ldl_solve", lapack.columns(ld), out, n=ld.shape[-1], k=out.shape[-2], pivots=pivots, adjoint=2 if hermitian else 1)
    return out


# -- QR --


@for_core
@_by_library
def geqrf(x, extra=0):
    """(reflectors, tau): the QR factorization in LAPACK's packed form; room for ``extra`` columns."""
    m, n = x.shape[-2:]
    out, tau = lapack.columns(x, extra), lapack.empty(x, *x.shape[:-2], min(m, n))
    _run("qr", out, c=tau, m=m, n=n)
    return out, tau


@for_core
@_by_library
def orgqr(reflectors, tau, n):
    """The first n columns of the product of packed reflectors."""
    m, k = reflectors.shape[-1], tau.shape[-1]
    one = creation.eye(m, n, dtype=reflectors.dtype, device=reflectors.device)
    out = lapack.columns(shape.expand(one, (*reflectors.shape[:-2], m, n)))
    _run("apply_q", reflectors, out, tau, m=m, n=n, k=k)
    return out


@for_core
@_by_library
def ormqr(reflectors, tau, other, left, transpose):
    """Q other, or other Q, or with Q's adjoint, for packed reflectors."""
    if not left:
        turned = lapack.columns(_adjoint(lapack.turned(other)))
        return lapack.columns(_adjoint(lapack.turned(ormqr(reflectors, tau, turned, True, not transpose))))
    _run("apply_q", reflectors, other, tau, m=other.shape[-1], n=other.shape[-2], k=tau.shape[-1], adjoint=int(transpose))
    return other


# -- spectra --


def _picked(x, order):
    """The columns of matrices in column-major memory, in the order given for each."""
    return x.gather(-2, shape.expand(shape.unsqueeze(order, -1), (*x.shape[:-2], order.shape[-1], x.shape[-1])))


def _values(x, n):
    return lapack.empty(x, *x.shape[:-2], n, dtype=lapack._dtype(lapack.real_dtype(x)))


@for_core
@_by_library
def syevd(x, upper, vectors):
    """Eigenvalues, and vectors where wanted, of Hermitian matrices."""
    n = x.shape[-1]
    a, v, w = lapack.columns(_adjoint(x) if upper else x), lapack.empty(x, *x.shape), _values(x, n)
    info = lapack.integers(x.shape[:-2], like=x)
    _run("eigen", a, w, v, n=n, info=info)
    w, order = w.sort(-1)
    return w, _picked(v, order), info


@for_core
@_by_library
def gesdd(x, job):
    """The singular value decomposition; ``job`` as LAPACK's."""
    m, n = x.shape[-2:]
    if m < n:
        u, s, vh, info = gesdd(_adjoint(x), job)
        return lapack.columns(_adjoint(lapack.turned(vh))), s, lapack.columns(_adjoint(lapack.turned(u))), info
    a, v, s = lapack.columns(x), lapack.empty(x, *x.shape[:-2], n, n), _values(x, n)
    info = lapack.integers(x.shape[:-2], like=x)
    _run("singular", a, s, v, m=m, n=n, info=info)
    info = info.masked_fill(s.isnan().any(-1), -4)  # LAPACK's number for a NaN among the elements
    s, order = s.sort(-1, descending=True)
    if job == b"N":
        return a, s, v, info
    u = _completed(lapack.turned(_picked(a, order)), m if job == b"A" else n)
    return u, s, lapack.columns(_adjoint(lapack.turned(_picked(v, order)))), info


def _completed(u, columns):
    """Orthonormal columns, some of which may be zero, and others until there are so many; column-major memory."""
    n = u.shape[-1]
    reflectors, tau = geqrf(u, columns - n)
    diagonal = shape.diagonal(lapack.turned(reflectors)[..., :n, :n], 0, -2, -1)
    phase = masks.where(diagonal.abs() > 0.5, diagonal, 1)
    q = orgqr(reflectors, tau, columns)
    q[..., :n, :] *= shape.unsqueeze(phase, -1)
    return q


@for_core
@_by_library
def geev(x, vectors):
    """Eigenvalues, and vectors where wanted, of general matrices."""
    if not x.is_complex():
        return geev(casting.complex(x, creation.zeros_like(x)), vectors)
    n, a, z, w = x.shape[-1], lapack.columns(x), lapack.empty(x, *x.shape), lapack.empty(x, *x.shape[:-1])
    info = lapack.integers(x.shape[:-2], like=x)
    _run("general", a, w, z, n=n, info=info)
    return w, z, info


# -- least squares --


@for_core
def gels(x, right, driver, rcond):
    """As LAPACK's drivers; the least solution by the singular values, whatever the driver. Rows past n hold what is left of ``right``."""
    m, n = x.shape[-2:]
    u, s, vh, info = gesdd(x, b"S")
    u, vh = lapack.turned(u), lapack.turned(vh)
    floor = 0.0 if driver == "gels" else rcond
    kept = s > floor * s[..., :1] if s.shape[-1] else s > 0
    inverse = masks.where(kept, 1 / s, 0)
    parts = _adjoint(u) @ right[..., :m, :]
    solution = _adjoint(vh) @ (shape.unsqueeze(inverse.to(x.dtype), -1) * parts)
    out = lapack.empty(x, *x.shape[:-2], right.shape[-1], right.shape[-2])
    rows = lapack.turned(out)
    shape.copy_(rows[..., :n, :], solution)
    if m > n:  # one row holds the lengths of the residuals, the others nothing
        rest = right - x @ solution
        shape.zero_(rows[..., n:, :])
        shape.copy_(rows[..., n, :], (rest.abs() ** 2).sum(-2).sqrt())
    return out, kept.sum(-1), s, info
