"""NVIDIA's libraries on the host's memory: objects with the functions of nvmath's bindings that SciPy and NumPy answer.

They take what the libraries take, in the order in which nvmath 1.0 has it, and fail where a library would: without a stream, with too
little working memory, with matrices that overlap.
"""

import ctypes
import functools

import numpy as np
import scipy.linalg.blas as blas
import scipy.linalg.lapack as lapack

DTYPES = {0: np.float32, 1: np.float64, 4: np.complex64, 5: np.complex128}
LETTERS = {"s": 0, "d": 1, "c": 4, "z": 5}
WORK = 48  # bytes or elements that each routine asks for


def memory(address, shape, kind, strides=None):
    """Writable numbers at an address; shape and strides in elements."""
    dtype = np.dtype(DTYPES.get(kind, kind))
    strides = strides or [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    size = sum((n - 1) * s for n, s in zip(shape, strides)) + 1
    flat = np.frombuffer((ctypes.c_char * (size * dtype.itemsize)).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(flat, shape, [s * dtype.itemsize for s in strides], writeable=True)


def matrix(address, rows, columns, distance, kind):
    """A column-major matrix."""
    assert distance >= rows
    return memory(address, (rows, columns), kind, (1, distance))


def number(address, value):
    ctypes.c_int32.from_address(address).value = value


class Library:
    """Handles with streams; ``calls`` names what was called."""

    def __init__(self):
        self.calls, self.streams = [], {}

    def create(self):
        return len(self.streams) + 1000

    def set_stream(self, handle, stream):
        self.streams[handle] = stream

    def called(self, name, handle):
        assert handle in self.streams, "no stream"
        self.calls.append(name)

    def __getattr__(self, name):
        """A routine with a letter for its type is the method without it, which gets the number of the type first."""
        if name.startswith("_") or name[0] not in LETTERS or not hasattr(type(self), "typed_" + name[1:]):
            raise AttributeError(name)
        return functools.partial(getattr(self, "typed_" + name[1:]), LETTERS[name[0]])


class Fourier(Library):
    """cuFFT."""

    def __init__(self):
        super().__init__()
        self.plans, self.areas = {}, {}

    def create(self):
        self.plans[len(self.plans)] = None
        return len(self.plans) - 1

    def destroy(self, plan):
        self.plans[plan] = "destroyed"

    def set_auto_allocation(self, plan, wanted):
        assert self.plans[plan] is None and wanted == 0

    def xt_make_plan_many(self, plan, rank, n, inembed, istride, idist, input, onembed, ostride, odist, output, batch, execution):
        assert rank == len(n) <= 3 and inembed == onembed == 0 and execution == max(input, output) >= 4
        self.plans[plan] = tuple(n), input, output, batch
        return WORK

    def set_work_area(self, plan, address):
        memory(address, (WORK,), np.uint8)[:] = 255
        self.areas[plan] = address

    def xt_exec(self, plan, given, wanted, direction):
        self.called("xt_exec", plan)
        n, input, output, batch = self.plans[plan]
        assert plan in self.areas and direction in (-1, 1)
        axes, half = tuple(range(1, len(n) + 1)), (*n[:-1], n[-1] // 2 + 1)
        x = memory(given, (batch, *(n if input <= 1 or output > 1 else half)), input)
        out = memory(wanted, (batch, *(half if input <= 1 else n)), output)
        if input <= 1:
            assert direction == -1
            out[:] = np.fft.rfftn(x, axes=axes)
        elif output <= 1:
            assert direction == 1 and len(n) == 1 and not x[:, 0].imag.any() and (n[0] % 2 or not x[:, -1].imag.any())
            out[:] = np.fft.irfft(x, n[0], norm="forward")
        else:
            out[:] = np.fft.fftn(x, axes=axes) if direction == -1 else np.fft.ifftn(x, axes=axes, norm="forward")


def routine(name, kind):
    return lapack.get_lapack_funcs(name, dtype=DTYPES[kind])


def is_complex(kind):
    return kind >= 4


def asked(count, typed=False):
    """A question for the size of working memory, with so many arguments: bytes on both sides, or elements."""

    def size(self, *arguments):
        assert len(arguments) == count + typed and arguments[int(typed)] in self.streams
        return WORK if typed else (WORK, WORK)

    return size


class Dense(Library):
    """cuSOLVER. fails: routines that report that they didn't converge."""

    fails = ()

    def create_params(self):
        return 7

    def create_gesvdj_info(self):
        return 8

    def _begin(self, name, handle, options, device, host):
        self.called(name, handle)
        assert options == 7 and device[1] == host[1] == WORK
        for address, size in (device, host):
            memory(address, (size,), np.uint8)[:] = 255

    xgetrf_buffer_size, xpotrf_buffer_size, xgeqrf_buffer_size = asked(8), asked(8), asked(10)
    xsyevd_buffer_size, xsyev_batched_buffer_size, xgesvd_buffer_size = asked(11), asked(12), asked(18)
    xgeev_buffer_size, xsytrs_buffer_size = asked(17), asked(11)
    typed_orgqr_buffer_size = typed_ungqr_buffer_size = asked(7, typed=True)
    typed_ormqr_buffer_size = typed_unmqr_buffer_size = asked(11, typed=True)

    def xgetrf(self, handle, options, m, n, type, a, lda, pivots, compute, device, device_size, host, host_size, info):
        self._begin("xgetrf", handle, options, (device, device_size), (host, host_size))
        x = matrix(a, m, n, lda, type)
        x[:], p, failed = routine("getrf", compute)(x)
        memory(pivots, (min(m, n),), np.int64)[:] = p + 1
        number(info, failed)

    def xgetrs(self, handle, options, trans, n, k, type, a, lda, pivots, type_b, b, ldb, info):
        self.called("xgetrs", handle)
        assert options == 7 and type == type_b
        x = matrix(b, n, k, ldb, type)
        p = memory(pivots, (n,), np.int64) - 1
        x[:], failed = routine("getrs", type)(matrix(a, n, n, lda, type), p, x, trans=trans)
        number(info, failed)

    def xpotrf(self, handle, options, upper, n, type, a, lda, compute, device, device_size, host, host_size, info):
        self._begin("xpotrf", handle, options, (device, device_size), (host, host_size))
        x = matrix(a, n, n, lda, type)
        x[:], failed = routine("potrf", compute)(x, lower=not upper, clean=False)
        number(info, failed)

    def typed_potrf_batched(self, kind, handle, upper, n, addresses, lda, info, batch):
        self.called("potrf_batched", handle)
        for i, address in enumerate(memory(addresses, (batch,), np.int64)):
            x = matrix(int(address), n, n, lda, kind)
            x[:], failed = routine("potrf", kind)(x, lower=not upper, clean=False)
            x[np.tril_indices(n, -1) if upper else np.triu_indices(n, 1)] = np.nan  # the other triangle is working memory
            number(info + 4 * i, failed)

    def xgeqrf(self, handle, options, m, n, type, a, lda, type_tau, tau, compute, device, device_size, host, host_size, info):
        self._begin("xgeqrf", handle, options, (device, device_size), (host, host_size))
        x = matrix(a, m, n, lda, type)
        x[:], memory(tau, (min(m, n),), type_tau)[:], _, failed = routine("geqrf", compute)(x)
        number(info, failed)

    def _q(self, name, kind, handle, m, n, k, a, lda, tau, work, words, info):
        self.called(name, handle)
        assert words == WORK and m >= n >= k
        memory(work, (words,), kind)[:] = np.nan
        x = matrix(a, m, n, lda, kind)
        x[:], _, failed = routine(name, kind)(x, memory(tau, (k,), kind))
        number(info, failed)

    def typed_orgqr(self, kind, *arguments):
        assert not is_complex(kind)
        self._q("orgqr", kind, *arguments)

    def typed_ungqr(self, kind, *arguments):
        assert is_complex(kind)
        self._q("ungqr", kind, *arguments)

    def _times_q(self, name, trans, kind, handle, side, m, n, k, a, lda, tau, c, ldc, work, words, info):
        self.called(name, handle)
        x, r = matrix(c, m, n, ldc, kind), matrix(a, (m, n)[side], k, lda, kind)
        x[:], _, failed = routine(name, kind)("LR"[side], trans, r, memory(tau, (k,), kind), x, max(64, 64 * max(m, n)))
        number(info, failed)

    def typed_ormqr(self, kind, handle, side, trans, *arguments):
        assert not is_complex(kind) and trans in (0, 1)
        self._times_q("ormqr", "NT"[trans], kind, handle, side, *arguments)

    def typed_unmqr(self, kind, handle, side, trans, *arguments):
        assert is_complex(kind) and trans in (0, 2)
        self._times_q("unmqr", "N C"[trans], kind, handle, side, *arguments)

    def typed_sytrf_buffer_size(self, kind, handle, n, a, lda):
        return WORK

    def typed_sytrf(self, kind, handle, upper, n, a, lda, pivots, work, words, info):
        self.called("sytrf", handle)
        x = matrix(a, n, n, lda, kind)
        x[:], p, failed = routine("sytrf", kind)(x, lower=not upper)
        memory(pivots, (n,), np.int32)[:] = p
        number(info, failed)

    def xsytrs(self, handle, upper, n, k, type, a, lda, pivots, type_b, b, ldb, device, device_size, host, host_size, info):
        self._begin("xsytrs", handle, 7, (device, device_size), (host, host_size))
        assert type == type_b
        x = matrix(b, n, k, ldb, type)
        p = memory(pivots, (n,), np.int64)
        x[:], failed = routine("sytrs", type)(matrix(a, n, n, lda, type), p, x, lower=not upper)
        number(info, failed)

    def _eigen(self, vectors, upper, n, type, a, lda, type_w, w, info):
        x = matrix(a, n, n, lda, type)
        assert type_w == type % 4
        values, x[:], failed = routine("heevd" if is_complex(type) else "syevd", type)(x, compute_v=vectors, lower=not upper)
        memory(w, (n,), type_w)[:] = values
        number(info, failed)

    def xsyevd(self, handle, options, vectors, upper, n, type, a, lda, type_w, w, compute, device, device_size, host, host_size, info):
        self._begin("xsyevd", handle, options, (device, device_size), (host, host_size))
        self._eigen(vectors, upper, n, type, a, lda, type_w, w, info)

    def xsyev_batched(
        self, handle, options, vectors, upper, n, type, a, lda, type_w, w, compute, device, device_size, host, host_size, info, batch
    ):
        self._begin("xsyev_batched", handle, options, (device, device_size), (host, host_size))
        size = np.dtype(DTYPES[type]).itemsize, np.dtype(DTYPES[type_w]).itemsize
        for i in range(batch):
            self._eigen(vectors, upper, n, type, a + i * lda * n * size[0], lda, type_w, w + i * n * size[1], info + 4 * i)

    def typed_gesvdj_buffer_size(self, kind, handle, mode, economy, m, n, a, lda, s, u, ldu, v, ldv, options):
        assert options == 8 and u and v
        return WORK

    def typed_gesvdj_batched_buffer_size(self, kind, handle, mode, m, n, a, lda, s, u, ldu, v, ldv, options, batch):
        assert options == 8 and u and v and m <= 32 and n <= 32
        return WORK

    def _singular(self, kind, mode, economy, m, n, a, lda, s, u, ldu, v, ldv, info, adjoint):
        u_, s_, vh, failed = routine("gesdd", kind)(matrix(a, m, n, lda, kind), compute_uv=mode, full_matrices=not economy)
        memory(s, (min(m, n),), kind % 4)[:] = s_
        if mode:
            matrix(u, m, u_.shape[1], ldu, kind)[:] = u_
            matrix(v, *vh.shape[::-1], ldv, kind)[:] = vh if adjoint else vh.conj().T
        number(info, failed)

    def typed_gesvdj(self, kind, handle, mode, economy, m, n, a, lda, s, u, ldu, v, ldv, work, words, info, options):
        self.called("gesvdj", handle)
        self._singular(kind, mode, economy, m, n, a, lda, s, u, ldu, v, ldv, info, False)
        if "gesvdj" in self.fails:
            number(info, n + 1)

    def typed_gesvdj_batched(self, kind, handle, mode, m, n, a, lda, s, u, ldu, v, ldv, work, words, info, options, batch):
        self.called("gesvdj_batched", handle)
        size, real = np.dtype(DTYPES[kind]).itemsize, np.dtype(DTYPES[kind % 4]).itemsize
        for i in range(batch):
            parts = a + i * lda * n * size, lda, s + i * min(m, n) * real, u + i * ldu * m * size, ldu, v + i * ldv * n * size, ldv
            self._singular(kind, mode, False, m, n, *parts, info + 4 * i, False)

    def xgesvd(self, handle, options, jobu, jobv, m, n, type, a, lda, type_s, s, type_u, u, ldu, type_v, v, ldv, compute,
               device, device_size, host, host_size, info):  # fmt: skip
        self._begin("xgesvd", handle, options, (device, device_size), (host, host_size))
        assert m >= n and jobu == jobv and type_s == type % 4 and type_u == type_v == type
        self._singular(type, int(jobu != ord("N")), jobu == ord("S"), m, n, a, lda, s, u, ldu, v, ldv, info, True)

    def xgeev(self, handle, options, left, right, n, type, a, lda, type_w, w, type_l, l, ldl, type_r, r, ldr, compute,
              device, device_size, host, host_size, info):  # fmt: skip
        self._begin("xgeev", handle, options, (device, device_size), (host, host_size))
        assert not left and not l and is_complex(type) and type == type_w == type_r
        values, _, vectors, failed = routine("geev", type)(matrix(a, n, n, lda, type), compute_vl=0, compute_vr=right)
        memory(w, (n,), type_w)[:] = values
        if right:
            matrix(r, n, n, ldr, type_r)[:] = vectors
        number(info, failed)


class Blas(Library):
    """cuBLAS."""

    def set_workspace(self, handle, address, size):
        self.work = address, size

    def _solve(self, kind, side, upper, trans, unit, m, n, alpha, a, lda, b, ldb):
        assert memory(alpha, (1,), kind)[0] == 1
        x, t = matrix(b, m, n, ldb, kind), (m, n)[side]
        solve = blas.get_blas_funcs("trsm", dtype=DTYPES[kind])
        x[:] = solve(1, matrix(a, t, t, lda, kind), x, side=side, lower=not upper, trans_a=trans, diag=unit)

    def typed_trsm(self, kind, handle, *arguments):
        self.called("trsm", handle)
        self._solve(kind, *arguments)

    def typed_trsm_batched(self, kind, handle, side, upper, trans, unit, m, n, alpha, a, lda, b, ldb, batch):
        self.called("trsm_batched", handle)
        for x, y in zip(memory(a, (batch,), np.int64), memory(b, (batch,), np.int64)):
            self._solve(kind, side, upper, trans, unit, m, n, alpha, int(x), lda, int(y), ldb)

    def typed_getrf_batched(self, kind, handle, n, a, lda, pivots, info, batch):
        self.called("getrf_batched", handle)
        for i, address in enumerate(memory(a, (batch,), np.int64)):
            x = matrix(int(address), n, n, lda, kind)
            x[:], p, failed = routine("getrf", kind)(x)
            memory(pivots + 4 * n * i, (n,), np.int32)[:] = p + 1
            number(info + 4 * i, failed)

    def typed_getrs_batched(self, kind, handle, trans, n, k, a, lda, pivots, b, ldb, info, batch):
        self.called("getrs_batched", handle)
        for i, (x, y) in enumerate(zip(memory(a, (batch,), np.int64), memory(b, (batch,), np.int64))):
            out = matrix(int(y), n, k, ldb, kind)
            p = memory(pivots + 4 * n * i, (n,), np.int32) - 1
            out[:], failed = routine("getrs", kind)(matrix(int(x), n, n, lda, kind), p, out, trans=trans)
            number(info, failed)

    def typed_geqrf_batched(self, kind, handle, m, n, a, lda, taus, info, batch):
        self.called("geqrf_batched", handle)
        for x, y in zip(memory(a, (batch,), np.int64), memory(taus, (batch,), np.int64)):
            out = matrix(int(x), m, n, lda, kind)
            out[:], memory(int(y), (min(m, n),), kind)[:], _, _ = routine("geqrf", kind)(out)
        number(info, 0)
