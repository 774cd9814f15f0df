"""Tensors from Python data and back: tensor(), as_tensor(), item(), tolist(), NumPy, the buffer protocol and DLPack.

Hand-written because it is about Python objects, one at a time. NumPy is never imported here, except by ``Tensor.numpy()``: arrays come and go
through the buffer protocol, so no version of NumPy is special.
"""

import sys
import warnings

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBuffer_FillInfo, PyObject_GetBuffer
from cpython.complex cimport Py_complex, PyComplex_FromCComplex
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_AsDouble
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from cpython.pycapsule cimport (
    PyCapsule_CheckExact, PyCapsule_GetName, PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New, PyCapsule_SetName,
)
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.sequence cimport PySequence_Check
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, strcmp

from rushlight._core.device cimport element, to_host, to_place
from rushlight._core.device import is_capturing, let_wait, pinned_copy, pointer_owner, record_stream, stream_of, wait_for_stream
from rushlight._core.operator cimport clone, convert, promote, resolve
from rushlight._core.tape cimport collects, grad_enabled, needs_grad
from rushlight._core.tensor cimport *
from rushlight._core.tensor import add_method, not_a_dtype, set_slot

include "nested.pxi"
include "numpy.pxi"
include "dlpack.pxi"


# -- into tensors --

cpdef Tensor leaf(Tensor t, bint requires_grad):
    """``t``, collecting a gradient if asked."""
    if requires_grad:
        if not (F16 <= t.code <= C128 or t.code >= F8E4M3FN):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"  This one is {dtype_of(t.code)}; pass dtype=torch.float32 if that is meant."
            )
        t.flags |= REQUIRES_GRAD
    return t


cdef Tensor copied(object data, int code):
    """A new tensor holding ``data``; -1 infers the dtype."""
    cdef Tensor t
    catch_up()
    if isinstance(data, Tensor):
        t = data
    elif is_array(data):
        t = from_array(data, False)
    else:
        return from_nested(data, code)
    return clone(t) if code < 0 or code == t.code else convert(t, code)


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor holding a copy of ``data``: a number, (nested) sequences of numbers, a NumPy array or a tensor.

    The dtype, unless given, is bool, int64, the default float or complex dtype, whichever holds all numbers; arrays and tensors keep theirs.
    Raises ValueError for ragged sequences and TypeError for things that are no numbers.

    >>> tensor([[1, 2], [3, 4.5]])
    tensor([[1.0000, 2.0000],
            [3.0000, 4.5000]])
    """
    cdef int code = -1 if dtype is None else argument_dtype("tensor", dtype)
    cdef int place = device_arg(device) if device is not None or not isinstance(data, Tensor) else thread_state().place or (<Tensor>data).place
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            UserWarning, stacklevel=1,
        )
    cdef Tensor out = copied(data, code)
    if out.place != place:
        out = to_place(out, place, False)
    if pin_memory:
        out = pinned_copy(out)
    if thread_state().inference:
        out.flags |= INFERENCE
    return leaf(out, requires_grad)


cdef int argument_dtype(str function, object dtype) except -2:
    try:
        return dtype_arg(dtype, -1)
    except TypeError:
        raise not_a_dtype(function, dtype) from None


def as_tensor(data, dtype=None, device=None):
    """``data`` as a tensor that shares its memory if it can: tensors and NumPy arrays of the right dtype are not copied.

    >>> x = torch.tensor([1, 2])
    >>> torch.as_tensor(x) is x, torch.as_tensor([1, 2], dtype=torch.float32)
    (True, tensor([1., 2.]))
    """
    cdef int code = -1 if dtype is None else argument_dtype("as_tensor", dtype)
    if isinstance(data, Tensor):
        device = device_of(thread_state().place) if device is None and thread_state().place else device
        return data if dtype is None and device is None else data.to(dtype=dtype, device=device)
    cdef Tensor t
    cdef int place = device_arg(device)
    if hasattr(data, "__cuda_array_interface__"):
        t = from_cuda_array(data)
        return t.to(dtype=dtype, device=device)
    if is_array(data):
        t = from_array(data, True)
        t = t if code < 0 or code == t.code else convert(t, code)
    else:
        t = from_nested(data, code)
    return t if t.place == place else to_place(t, place, False)


def from_numpy(array):
    """The tensor that shares memory with a NumPy array: writing to one changes the other.

    Raises TypeError for anything but an array and for dtypes without a tensor form, ValueError for negative strides.

    >>> array = np.zeros(3)
    >>> x = torch.from_numpy(array)
    >>> array[0] = 7
    >>> x.tolist()
    [7.0, 0.0, 0.0]
    """
    if not is_array(array):
        where = type(array).__module__ + "." if type(array).__module__ != "builtins" else ""
        raise TypeError(f"expected np.ndarray (got {where}{type(array).__name__})\n  tensor() and as_tensor() take lists and numbers.")
    return from_array(array, True)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=None):
    """``obj`` (tensor, NumPy array or number, DLPack or buffer exporter, or nested sequences) as a tensor.

    copy: True copies, False shares memory or raises ValueError, None shares where possible. requires_grad: None leaves a tensor as it is.
    A buffer is read as one flat array of ``dtype`` (default: the default dtype).

    >>> array = np.array([1, 2])
    >>> shared, copied = torch.asarray(array), torch.asarray(array, copy=True)
    >>> array[0] = 7
    >>> shared.tolist(), copied.tolist()
    ([7, 2], [1, 2])
    """
    cdef int code = -1 if dtype is None else argument_dtype("asarray", dtype)
    cdef Tensor t
    if isinstance(obj, Tensor):
        t = obj
    elif is_array(obj):
        t = from_array(obj, copy is not True)
    elif hasattr(obj, "__dlpack__") or PyCapsule_CheckExact(obj):
        t = from_dlpack(obj)
    elif hasattr(obj, "__cuda_array_interface__"):
        t = from_cuda_array(obj)
    elif PyObject_CheckBuffer(obj) and not hasattr(obj, "__array_interface__"):  # NumPy's numbers have both
        t = from_buffer(obj, code if code >= 0 else get_default_dtype_code(), -1, 0)
    elif copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.\n  Leave copy out, or pass an array that has memory to share.")
    else:
        t = from_nested(obj, code)
        return leaf(t if device_arg(device) == t.place else to_place(t, device_arg(device), False), bool(requires_grad))
    if requires_grad is None:
        requires_grad = needs_grad(t)
    if device is None and t.place == 0:
        device = device_of(thread_state().place)     # tensors, arrays and buffers go to the default device
    if device is not None and device_arg(device) != t.place:
        if copy is False:
            raise ValueError(f"can't alias tensor on device '{device_of(t.place)}' as one on '{device_of(device_arg(device))}'.")
        t, copy = to_place(t, device_arg(device), False), None
    if code >= 0 and code != t.code:
        if copy is False:
            raise ValueError(f"can't alias tensor with dtype '{dtype_title(t.code)}' into dtype '{dtype_title(code)}'.")
        t = convert(resolve(t), code) if not needs_grad(t) or not requires_grad else t.to(dtype=dtype_of(code))
    elif copy:
        t = t.clone()
    if not requires_grad and needs_grad(t):
        return t.detach()
    return leaf(t, requires_grad and not needs_grad(t))


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A 1-dim tensor over the memory of ``buffer``, an object with the buffer protocol such as a bytearray; nothing is copied.

    count: elements to take, negative for all; offset: bytes to skip. Raises ValueError where they do not fit.

    >>> torch.frombuffer(bytearray([1, 0, 2, 0, 3, 0]), dtype=torch.int16, offset=2).tolist()
    [2, 3]
    """
    return leaf(from_buffer(buffer, argument_dtype("frombuffer", dtype), count, offset), requires_grad)


# -- out of tensors --

cdef inline object get(Tensor t, char *p):
    """The element at ``p`` as a Python number."""
    catch_up()
    cdef object x = get_scalar(p, t.code) if t.place == 0 else element(t)
    if t.flags & (CONJ | NEG):
        if t.flags & CONJ:
            x = x.conjugate()
        if t.flags & NEG:
            x = -x
    return x


def item(Tensor self):
    """The only element as a Python number. Raises RuntimeError if there are several or none.

    >>> torch.tensor([[1.5]]).item()
    1.5
    """
    if self.count != 1:
        raise RuntimeError(
            f"a Tensor with {self.count} elements cannot be converted to Scalar\n"
            f"  Its shape is {list(size_object(self.ndim, self.sizes))}; reduce it first (mean(), sum()), or use tolist()."
        )
    return get(self, self.address)


cdef list row(Tensor t, char *p, int dim):
    cdef int64_t i, n = t.sizes[dim], step = t.strides[dim] * ITEMSIZE[t.code]
    cdef list out = [None] * n
    for i in range(n):
        out[i] = get(t, p) if dim == t.ndim - 1 else row(t, p, dim + 1)
        p += step
    return out


def tolist(Tensor self):
    """The elements as nested lists of Python numbers; a 0-dim tensor gives one number.

    >>> torch.tensor([[1, 2], [3, 4]]).tolist(), torch.tensor(5).tolist()
    ([[1, 2], [3, 4]], 5)
    """
    if self.place:
        self = to_host(self)
    return row(self, self.address, 0) if self.ndim else get(self, self.address)


cdef object single(Tensor t):
    if t.count != 1:
        raise ValueError(
            "only one element tensors can be converted to Python scalars\n"
            f"  This tensor has shape {list(size_object(t.ndim, t.sizes))}; reduce it first (mean(), sum()), or use tolist()."
        )
    return get(t, t.address)


cdef object real(object x, str target):
    """A complex number without imaginary part as a float."""
    if type(x) is complex:
        if x.imag != 0:
            raise RuntimeError(f"value cannot be converted to type {target} without overflow\n  {x} has an imaginary part; take .real first.")
        return x.real
    return x


def _bool(Tensor t):
    if t.count != 1:
        if t.count == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous\n  Test numel() instead.")
        raise RuntimeError(
            "Boolean value of Tensor with more than one value is ambiguous\n"
            f"  Its shape is {list(size_object(t.ndim, t.sizes))}; use .any() or .all(), and & | ~ instead of and, or, not."
        )
    return bool(get(t, t.address))


cdef bint _warned_grad = False


cdef int warn_scalar_of_grad() except -1:
    global _warned_grad
    if not _warned_grad:
        _warned_grad = True
        warnings.warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\nConsider using tensor.detach() first.",
            UserWarning, stacklevel=1,
        )
    return 0


def _int(Tensor t):
    return int(real(single(t), "int64_t"))


def _float(Tensor t):
    if grad_enabled() and collects(t):
        warn_scalar_of_grad()
    return float(real(single(t), "double"))


def _complex(Tensor self):
    if grad_enabled() and collects(self):
        warn_scalar_of_grad()
    return complex(single(self))


def _index(Tensor t):
    if t.count != 1 or not (t.code <= I64 or U16 <= t.code <= U64):
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(get(t, t.address))


for _name, _function in (("__bool__", _bool), ("__int__", _int), ("__float__", _float), ("__index__", _index)):
    set_slot(_name, _function)
for _name, _function in (
    ("item", item), ("tolist", tolist), ("__complex__", _complex), ("numpy", numpy), ("__array__", __array__),
    ("__array_wrap__", __array_wrap__), ("__array_priority__", 1000), ("__dlpack__", __dlpack__), ("__dlpack_device__", __dlpack_device__),
):
    add_method(_name, _function)
add_method("__cuda_array_interface__", property(__cuda_array_interface__))
install_buffer_protocol()
