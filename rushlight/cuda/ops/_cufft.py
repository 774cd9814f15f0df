"""Fourier transforms by cuFFT, where it is installed; the arguments are those of ``fourier.py``, contiguous in memory after a move of dims.

A plan transforms up to three dims, the last ones, of contiguous tensors. It is kept by sizes, batch, dtypes and GPU; its working memory
is ours, given anew at each call.
"""

import collections
import math

from ..._core import device as _device
from ..._core.tensor import code_of, dtypes, place_of
from ...ops import casting, creation, shape
from ._nvidia import DATA, META, Library, attempt, by_nvmath

FEWEST = 32
"""Points of a transform from which cuFFT takes it: up to there our own kernel is one or two passes, the last of which scales too, where
cuFFT takes a pass and the factor another."""

KEPT = 256
"""Plans of a GPU that are kept at a time, unless the user says otherwise: each holds its roots of unity in the GPU's memory."""

_library = Library("cufft", by_nvmath("cufft", lambda bindings: bindings.get_version()))
_FORWARD, _INVERSE = -1, 1


class Plans:
    """The plans of one GPU. max_size: how many are kept, the ones that were used last."""

    def __init__(self):
        self._plans, self._captured, self._most = collections.OrderedDict(), {}, KEPT

    @property
    def size(self):
        """How many there are."""
        return len(self._plans)

    @property
    def max_size(self):
        """How many are kept."""
        return self._most

    @max_size.setter
    def max_size(self, n):
        if n < 0:
            raise RuntimeError(f"cuFFT plan cache size must be non-negative, but got {n}")
        self._most = n
        self.shrink(n)

    def clear(self):
        """Drops all."""
        self.shrink(0)

    def shrink(self, n):
        """Drops those whose last use is longest ago, down to n."""
        with _library.lock:
            while len(self._plans) > n:
                key, (plan, _) = self._plans.popitem(last=False)
                if key not in self._captured:
                    _library.bindings().destroy(plan)

    def get(self, key):
        """(plan, bytes of working memory) for a key, or None."""
        if key not in self._plans and key in self._captured:
            self._plans[key] = self._captured[key]
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
        return found

    def capture(self, key):
        """A captured graph uses the plan, and what it holds in the GPU's memory: it lives on, whether it is kept or not."""
        self._captured[key] = self._plans[key]

    def put(self, key, plan):
        """Keeps a plan, which has to be used first."""
        self._plans[key] = plan


plans = collections.defaultdict(Plans)
"""By the code of a device."""


def use(library):
    """As ``Library.use``."""
    plans.clear()
    _library.use(library)


def _made(bindings, sizes, batch, given, wanted):
    """(plan, bytes of working memory) of transforms between elements with these codes of dtypes."""
    plan = bindings.create()
    try:
        bindings.set_auto_allocation(plan, 0)
        types = DATA[given], DATA[wanted], DATA[max(given, wanted)]  # of input, output, and what lies between
        return plan, bindings.xt_make_plan_many(plan, len(sizes), sizes, 0, 1, 0, types[0], 0, 1, 0, types[1], batch, types[2])
    except Exception:
        bindings.destroy(plan)
        raise


def _execute(x, out, sizes, forward):
    """Queues the transform of the last dims, which have these sizes; False where there is no plan."""
    place, bindings = place_of(x.device), _library.bindings()
    batch = math.prod(out.shape[: out.ndim - len(sizes)])
    with _library.lock:
        stream = _device.stream_of(place - 1)
        key, kept = (sizes, batch, code_of(x), code_of(out)), plans[place]
        planned = kept.get(key)
        capturing = _device.is_capturing(place - 1)
        if planned is None:
            if capturing:  # planning would break the capture
                return False
            planned = _made(bindings, *key)
            kept.put(key, planned)
        if capturing:
            kept.capture(key)
        plan, nbytes = planned
        bindings.set_stream(plan, stream)
        if nbytes:
            work = creation.empty((nbytes,), dtype=dtypes()["uint8"], device=x.device)
            bindings.set_work_area(plan, work.data_ptr())
        before = _device.mark_of(place)
        bindings.xt_exec(plan, x.data_ptr(), out.data_ptr(), _FORWARD if forward else _INVERSE)
        if before:
            _device.tell_of("cufft.xt_exec", place, before)
        kept.shrink(kept.max_size)
    return True


def _serves(x, dims, sizes):
    return bool(dims) and x.numel() > 0 and math.prod(sizes) > FEWEST and place_of(x.device) != META and bool(_library.bindings())


def _orders(ndim, dims):
    """(order that brings dims to the end, the order back)."""
    there = [d for d in range(ndim) if d not in dims] + list(dims)
    return there, sorted(range(ndim), key=there.__getitem__)


def _transformed(x, dims, forward, half=None):
    """One plan's transform of up to three dims, as a view in the order of x's dims. half: the points of the last in a real input's
    spectrum, which has only the first half of them."""
    there, back = _orders(x.ndim, dims)
    x = shape.contiguous(shape.permute(x, there))
    sizes = tuple(x.shape[-len(dims) :])
    if half is None:
        out = creation.empty(tuple(x.shape), dtype=x.dtype, device=x.device)
    else:
        dtype = dtypes()["complex64" if x.dtype.itemsize == 4 else "complex128"]
        out = creation.empty((*x.shape[:-1], half), dtype=dtype, device=x.device)
    return shape.permute(out, back) if _execute(x, out, sizes, forward) else None


def _all(x, dims, forward):
    """The complex transforms of all dims, three at a time; a single point is its own."""
    dims = [d for d in dims if x.shape[d] > 1]
    while dims and x is not None:
        x, dims = _transformed(x, dims[-3:], forward), dims[:-3]
    return x


def _scaled(x, scale):
    """A contiguous tensor of our own, times the scale."""
    x = shape.contiguous(x)
    if scale != 1.0:
        parts = casting.view_as_real(x) if x.is_complex() else x
        parts *= scale
    return x


@attempt
def c2c(x, dims, scale, forward):
    """As ``fourier.c2c``; None where cuFFT is not there or has too few points."""
    if not _serves(x, dims, [x.shape[d] for d in dims]):
        return None
    out = _all(x, dims, forward)
    return None if out is None else _scaled(out, scale)


@attempt
def r2c(x, dims, scale):
    """As ``fourier.r2c``."""
    if not _serves(x, dims, [x.shape[d] for d in dims]):
        return None
    dims = [d for d in dims[:-1] if x.shape[d] > 1] + [dims[-1]]
    out = _transformed(x, dims[-3:], True, x.shape[dims[-1]] // 2 + 1)
    out = _all(out, dims[:-3], True) if out is not None else None
    return None if out is None else _scaled(out, scale)


@attempt
def c2r(x, dims, scale, n):
    """As ``fourier.c2r``, for input that has the spectrum's n // 2 + 1 points in the last of ``dims``."""
    if not _serves(x, dims, [*(x.shape[d] for d in dims[:-1]), n]):
        return None
    given = x
    x = _all(x, dims[:-1], False)
    if x is None:
        return None
    there, back = _orders(x.ndim, dims[-1:])
    moved = shape.permute(x, there)
    own = creation.empty(tuple(moved.shape), dtype=x.dtype, device=x.device)
    x = shape.copy_(own, moved) if x is given else shape.contiguous(moved)
    # What stands for itself in the mirror image counts with its real part only; cuFFT leaves open what it makes of another.
    imaginary = casting.view_as_real(x)[..., 1]
    for i in {0, n // 2} if n % 2 == 0 else {0}:
        shape.zero_(imaginary[..., i])
    out = creation.empty((*x.shape[:-1], n), dtype=dtypes()["float32" if x.dtype.itemsize == 8 else "float64"], device=x.device)
    return _scaled(shape.permute(out, back), scale) if _execute(x, out, (n,), False) else None
