"""Calling compiled kernels on NumPy arrays: what the tests of the code generator share."""

import ctypes

import numpy as np

from rushlight.codegen import cpu
from rushlight.lang import types as ty

DTYPE = {
    "b1": "bool", "u8": "u1", "i8": "i1", "i16": "i2", "u16": "u2", "i32": "i4", "u32": "u4", "i64": "i8", "u64": "u8",
    "f16": "f2", "f32": "f4", "f64": "f8", "c64": "c8", "c128": "c16",
}  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def sample(t, shape, seed=0):
    """Values of type ``t`` with the awkward ones among them."""
    r = rng(seed)
    dtype = np.dtype(DTYPE[t])
    if t == "b1":
        return r.integers(0, 2, shape).astype(bool)
    if t in ty.INTS:
        info = np.iinfo(dtype)
        small = r.integers(max(info.min, -20), 21, shape)
        wide = r.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        awkward = r.choice(np.array([info.min, info.max, 0, 1], dtype), shape)
        return np.choose(r.integers(0, 3, shape), [small.astype(dtype), wide, awkward]).astype(dtype)
    if t in ty.COMPLEX:
        return (r.normal(size=shape) * 3 + 1j * r.normal(size=shape)).astype(dtype)
    values = (r.normal(size=shape) * 10).astype(dtype)
    awkward = r.choice(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 2.5, -1.5, 1.0], dtype), shape)
    return np.where(r.random(shape) < 0.3, awkward, values)


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))


def integers(values):
    return (ctypes.c_int64 * len(values))(*values)


def run_pointwise(address, arrays):
    """Call a pointwise kernel on two-dimensional arrays, outputs first, dim 1 inner."""
    n1, n0 = arrays[0].shape
    inner, outer = ([a.strides[axis] for a in arrays] for axis in (1, 0))
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
    signature(address)(*map(ctypes.addressof, keep := (pointers(arrays), integers(inner), integers(outer))), n0, n1)
    del keep


def letter(a):
    return "c" if a.strides[1] == a.itemsize else "s" if a.strides[1] == 0 else "v"


def compute(expr, store, *arrays, stored=None):
    """``expr`` over equally shaped arrays by a kernel."""
    arrays = [np.atleast_2d(a) for a in arrays]
    loads = stored or [next(t for t, d in DTYPE.items() if np.dtype(d) == a.dtype) for a in arrays]
    out = np.zeros(arrays[0].shape, DTYPE[store])
    address = cpu.pointwise(((expr, store),), tuple(loads), "".join(map(letter, (out, *arrays))))
    run_pointwise(address, [out, *arrays])
    return out


def same(a, b):
    """Equal bits, but any NaN equals any other and zeros compare by value."""
    np.testing.assert_array_equal(a, b)


def run_rowwise(address, arrays, kept, reduced, extra=()):
    """Call a rowwise kernel on arrays over the dims (k1, k0, r1, r0); an array broadcast along a dim has stride 0 there."""
    strides = [a.strides[axis] for a in arrays for axis in (1, 0, 3, 2)]
    size = integers([kept[1], kept[0], reduced[1], reduced[0], *extra])
    table, steps = pointers(arrays), integers(strides)
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)
    signature(address)(ctypes.addressof(table), ctypes.addressof(steps), ctypes.addressof(size))
