"""Factorizations by cuSOLVER and cuBLAS, where they are installed: functions of ``linalg.py`` by their names, whose result is None where a
library is not there, not expected to win or not able. Memory is column-major in both, as in ``ops/linalg_lapack.py``.
"""

import ctypes
import functools
import importlib
import math

from ..._core.tensor import Tensor, code_of, dtypes, place_of
from ...ops import casting, creation, shape
from ...ops import linalg_lapack as lapack
from . import _cublas
from ._nvidia import DATA, Library, attempt, by_nvmath

# Our own kernels give a matrix to one block of threads: no launch but one for a whole batch, and nothing to be set up, which wins while a
# block is enough for a matrix. cuSOLVER spreads a matrix over the GPU, and cuBLAS's batched routines hold small ones in registers.
FEWEST = 32
"""Rows or columns up to which our own kernels factor matrices and solve triangular equations."""
FEWEST_OF_SPECTRA = 8
"""The same for eigenvalues and singular values: our own kernels turn one pair of columns after the other."""
BATCHED = 128
"""Rows or columns up to which several matrices go to a batched routine; larger ones go one after the other, each on the whole GPU."""
BATCHED_JACOBI = 32
BATCHED_SPECTRA = 512

_dense = Library("cusolverDn", by_nvmath("cusolverDn", lambda _: importlib.import_module("nvmath.bindings.cusolver").get_version()))
_blas = Library("cublas", by_nvmath("cublas", lambda bindings: bindings.get_cudart_version()))
_TRANS = {b"N": 0, b"T": 1, b"C": 2}
_NO_VECTORS, _VECTORS = 0, 1  # of cusolverEigMode_t


def use(dense, blas):
    """As ``Library.use``, for cuSOLVER and cuBLAS."""
    _dense.use(dense)
    _blas.use(blas)
    _parameters.cache_clear()


# -- calls --


@functools.cache
def _parameters(what, bindings):
    """The objects that hold options: all of them keep the defaults. what: the name of the function that makes one."""
    return getattr(bindings, what)()


def _count(x):
    return math.prod(x.shape[:-2])


def _info(x):
    return creation.zeros(tuple(x.shape[:-2]), dtype=dtypes()["int32"], device=x.device)


def _wide(info):
    return shape.cast(info, lapack.integer_dtype())


def _narrow(pivots):
    return lapack.to_int32(pivots)


def _at(arguments, i, batch):
    """Tensors as the address of what belongs to matrix i."""
    return [a.data_ptr() + i * (a.numel() // batch) * a.element_size() if isinstance(a, Tensor) else a for a in arguments]


def _memory(x, nbytes):
    return creation.empty((max(nbytes, 1),), dtype=dtypes()["uint8"], device=x.device)


def _generic(routine, x, arguments, more=(), tail=()):
    """Calls a routine of cuSOLVER's 64-bit interface for each matrix of x, with ``tail`` (the batch) once for all; returns info.

    arguments: between its options and its type of computation; tensors stand for the parts of the matrix. more: those that the question
    for the size of working memory lacks.
    """
    batch, kind, info = _count(x), DATA[code_of(x)], _info(x)
    with _dense.on_stream(place_of(x.device), routine) as (bindings, handle, _):
        options = _parameters("create_params", bindings)
        ask = getattr(bindings, f"{routine}_buffer_size")
        device, host = ask(handle, options, *_at(arguments, 0, batch), kind, *tail)
        work, hosted = _memory(x, device), ctypes.create_string_buffer(max(host, 1))
        for i in range(1 if tail else batch):
            memory = work.data_ptr(), device, ctypes.addressof(hosted), host, *_at((info,), i, batch)
            getattr(bindings, routine)(handle, options, *_at((*arguments, *more), i, batch), kind, *memory, *tail)
    return info


def _typed(routine, x, arguments, ask=None, tail=(), once=False):
    """Calls a routine with a letter for its type for each matrix of x, or once for all; returns info.

    ask: what the question for the size of working memory is given, if not the arguments and ``tail``.
    """
    batch, info = _count(x), _info(x)
    with _dense.on_stream(place_of(x.device), routine) as (bindings, handle, _):
        size = getattr(bindings, f"{routine}_buffer_size")
        words = size(handle, *_at((*arguments, *tail) if ask is None else ask, 0, batch))
        work = _memory(x, words * x.element_size())
        for i in range(1 if once else batch):
            call = *_at(arguments, i, batch), work.data_ptr(), words, *_at((info,), i, batch)
            getattr(bindings, routine)(handle, *call, *tail)
    return info


def _addresses(x):
    """On the GPU: the address of each matrix."""
    batch = _count(x) if x.ndim > 1 else 1
    step, first = x.numel() // batch * x.element_size(), x.data_ptr()
    return creation.arange(first, first + batch * step, step, device=x.device)


def _batched(routine, x, *arguments):
    """Calls a batched routine of cuBLAS; tensors among the arguments are passed by their address."""
    place = place_of(x.device)
    with _blas.on_stream(place, routine) as (bindings, handle, stream):
        bindings.set_workspace(handle, _cublas._workspace(place, stream).data_ptr(), _cublas.WORKSPACE)
        getattr(bindings, lapack.letter(x) + routine)(handle, *_at(arguments, 0, 1))


# -- what is whose --


def _serves(library, x, fewest=FEWEST):
    return x.numel() > 0 and max(x.shape[-2:]) > fewest and library.serves(place_of(x.device))


def _in_batches(x):
    """Are x's matrices small and many?"""
    return _count(x) > 1 and max(x.shape[-2:]) <= BATCHED


# -- LU and Cholesky --


@attempt
def getrf(x):
    """As ``linalg.getrf``."""
    m, n = x.shape[-2:]
    batched = _in_batches(x) and m == n
    if not _serves(_blas if batched else _dense, x):
        return None
    lu = lapack.columns(x)
    if not batched:
        pivots = lapack.integers(x.shape[:-2], min(m, n), like=x)
        info = _generic("xgetrf", lu, (m, n, DATA[code_of(lu)], lu, m), more=(pivots,))
        return lu, pivots, _wide(info)
    pivots, info = creation.zeros((*x.shape[:-2], n), dtype=dtypes()["int32"], device=x.device), _info(x)
    _batched("getrf_batched", lu, n, _addresses(lu), n, pivots, info, _count(x))
    return lu, _wide(pivots), _wide(info)


@attempt
def getrs(lu, pivots, right, trans=b"N"):
    """As ``linalg.getrs``."""
    n, k, batch = lu.shape[-1], right.shape[-2], _count(lu)
    batched = _in_batches(lu)
    if not right.numel() or not _serves(_blas if batched else _dense, lu):
        return None
    if batched:
        refused = ctypes.c_int(0)
        arguments = _TRANS[trans], n, k, _addresses(lu), n, _narrow(pivots), _addresses(right), n
        _batched("getrs_batched", lu, *arguments, ctypes.addressof(refused), batch)
        return right
    kind, info = DATA[code_of(lu)], _info(lu)
    with _dense.on_stream(place_of(lu.device), "xgetrs") as (bindings, handle, _):
        options = _parameters("create_params", bindings)
        for i in range(batch):
            bindings.xgetrs(handle, options, *_at((_TRANS[trans], n, k, kind, lu, n, pivots, kind, right, n, info), i, batch))
    return right


@attempt
def potrf(x, upper):
    """As ``linalg.potrf``; the other triangle holds anything."""
    n, batched = x.shape[-1], _in_batches(x)
    if not _serves(_dense, x):
        return None
    out = lapack.columns(x)
    if not batched:
        return out, _wide(_generic("xpotrf", out, (int(upper), n, DATA[code_of(out)], out, n)))
    info, addresses = _info(x), _addresses(out)
    with _dense.on_stream(place_of(x.device), "potrf_batched") as (bindings, handle, _):
        routine = getattr(bindings, lapack.letter(x) + "potrf_batched")
        routine(handle, int(upper), n, addresses.data_ptr(), n, info.data_ptr(), _count(x))
    return out, _wide(info)


@attempt
def trsm(x, right, left, upper, unit):
    """As ``linalg.trsm``."""
    n, batch = x.shape[-1], _count(x)
    if not right.numel() or not _serves(_blas, x):
        return None
    a, out = lapack.columns(x), lapack.columns(right)
    one = ((ctypes.c_float if code_of(x) in (8, 10) else ctypes.c_double) * 2)(1.0)
    fixed = 0 if left else 1, int(upper), 0, int(unit), out.shape[-1], out.shape[-2], ctypes.addressof(one)
    if _in_batches(x):
        _batched("trsm_batched", a, *fixed, _addresses(a), n, _addresses(out), out.shape[-1], batch)
        return out
    for i in range(batch):
        _batched("trsm", a, *fixed, *_at((a, n, out, out.shape[-1]), i, batch))
    return out


# -- QR --


@attempt
def geqrf(x, extra=0):
    """As ``linalg.geqrf``."""
    m, n = x.shape[-2:]
    batched = _in_batches(x)
    if not _serves(_blas if batched else _dense, x):
        return None
    out, tau, kind = lapack.columns(x, extra), lapack.empty(x, *x.shape[:-2], min(m, n)), DATA[code_of(x)]
    if batched:
        refused = ctypes.c_int(0)
        _batched("geqrf_batched", out, m, n, _addresses(out), m, _addresses(shape.unsqueeze(tau, -1)), ctypes.addressof(refused), _count(x))
    else:
        _generic("xgeqrf", out, (m, n, kind, out, m, kind, tau))
    return out, tau


@attempt
def orgqr(reflectors, tau, n):
    """As ``linalg.orgqr``, which it does in place where there is room."""
    m, k = reflectors.shape[-1], tau.shape[-1]
    if reflectors.shape[-2] != n or not k or _in_batches(reflectors) or not _serves(_dense, reflectors):
        return None
    name = lapack.letter(tau) + ("ungqr" if lapack.is_complex(tau) else "orgqr")
    _typed(name, reflectors, (m, n, k, reflectors, m, tau))
    return reflectors


@attempt
def ormqr(reflectors, tau, other, left, transpose):
    """As ``linalg.ormqr``."""
    m, n, k = other.shape[-1], other.shape[-2], tau.shape[-1]
    if not other.numel() or not k or _in_batches(other) or not _serves(_dense, other):
        return None
    hermitian = lapack.is_complex(tau)
    trans = (_TRANS[b"C"] if hermitian else _TRANS[b"T"]) if transpose else 0
    name = lapack.letter(tau) + ("unmqr" if hermitian else "ormqr")
    _typed(name, other, (0 if left else 1, trans, m, n, k, reflectors, reflectors.shape[-1], tau, other, m))
    return other


# -- spectra --


def _values(x, n):
    return lapack.empty(x, *x.shape[:-2], n, dtype=dtypes()[lapack.real_dtype(x)])


@attempt
def syevd(x, upper, vectors):
    """As ``linalg.syevd``."""
    if not _serves(_dense, x, FEWEST_OF_SPECTRA):
        return None
    n, a = x.shape[-1], lapack.columns(x)
    w, kind = _values(x, n), DATA[code_of(x)]
    arguments = _VECTORS if vectors else _NO_VECTORS, int(upper), n, kind, a, n, DATA[code_of(w)], w
    batched = _count(x) > 1 and n <= BATCHED_SPECTRA and hasattr(_dense.bindings(), "xsyev_batched")
    info = _generic("xsyev_batched", a, arguments, tail=(_count(x),)) if batched else _generic("xsyevd", a, arguments)
    return w, a, _wide(info)


@attempt
def gesdd(x, job):
    """As ``linalg.gesdd``, for matrices that are not wide: by Jacobi's method, and by QR iterations where that does not converge."""
    m, n = x.shape[-2:]
    if m < n or not _serves(_dense, x, FEWEST_OF_SPECTRA):
        return None
    bad = ~x.isfinite().all(-1).all(-1)
    failed = bad.any().item()
    if failed:  # no iteration ends well on these
        x = x.masked_fill(shape.unsqueeze(shape.unsqueeze(bad, -1), -1), 0)
    out = _jacobi(x, job)
    if (out[3] > 0).any().item():
        out = _iterated(x, job)
    u, s, vh, info = out
    if failed:
        s = s.masked_fill(shape.unsqueeze(bad, -1), math.nan)
        info = info.masked_fill(bad, -4)  # LAPACK's number for a NaN among the elements
    return u, s, vh, info


def _jacobi(x, job):
    m, n = x.shape[-2:]
    batched = m <= BATCHED_JACOBI and _count(x) > 1
    a, s = lapack.columns(x), _values(x, n)
    rows = m if job == b"A" or batched else n  # the batched routine makes all of U
    u, v = lapack.empty(x, *x.shape[:-2], rows, m), lapack.empty(x, *x.shape[:-2], n, n)
    mode, letter = _VECTORS if job != b"N" else _NO_VECTORS, lapack.letter(x)
    matrices = m, n, a, m, s, u, m, v, n
    options = _parameters("create_gesvdj_info", _dense.bindings())
    if batched:
        info = _typed(letter + "gesvdj_batched", a, (mode, *matrices), tail=(options, _count(x)), once=True)
        u = shape.contiguous(shape.narrow(u, -2, 0, n)) if job == b"S" else u
    else:
        info = _typed(letter + "gesvdj", a, (mode, int(job != b"A"), *matrices), tail=(options,))
    vh = shape.transpose(v, -2, -1)
    return u, s, shape.contiguous(casting.resolve_conj(vh.conj()) if vh.is_complex() else vh), _wide(info)


def _iterated(x, job):
    m, n = x.shape[-2:]
    a, s, kind = lapack.columns(x), _values(x, n), DATA[code_of(x)]
    u, vh = lapack.empty(x, *x.shape[:-2], m if job == b"A" else n, m), lapack.empty(x, *x.shape[:-2], n, n)
    info = _generic("xgesvd", a, (job[0], job[0], m, n, kind, a, m, DATA[code_of(s)], s, kind, u, m, kind, vh, n))
    return u, s, vh, _wide(info)


def _one_by_one(x):
    """Are x's matrices fewer than their rows? Our own kernels for what is rarely asked for have one thread for each matrix."""
    return _count(x) < max(x.shape[-2:])


@attempt
def geev(x, vectors):
    """As ``linalg.geev``, for complex matrices."""
    if not x.is_complex() or not _one_by_one(x) or not _serves(_dense, x, FEWEST_OF_SPECTRA):
        return None
    n = x.shape[-1]
    a, w, z, kind = lapack.columns(x), lapack.empty(x, *x.shape[:-1]), lapack.empty(x, *x.shape), DATA[code_of(x)]
    mode = _VECTORS if vectors else _NO_VECTORS
    info = _generic("xgeev", a, (_NO_VECTORS, mode, n, kind, a, n, kind, w, kind, 0, 1, kind, z, n))
    return w, z, _wide(info)
