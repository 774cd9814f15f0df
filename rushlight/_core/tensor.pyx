# cython: language_level=3
"""Tensor and what it is made of: dtype, device, Size, Storage with its caching allocator, and the base class of the tape's nodes.

Hand-written because the language has no objects: everything here is bookkeeping of a few nanoseconds per call, no arithmetic on elements.
"""
import builtins
import os

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF, Py_XINCREF
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, NAN, copysign, fabs, frexp, isfinite, ldexp, rint
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from rushlight._core.place cimport META

from rushlight._core import callbacks

cdef extern from "Python.h":
    object PyObject_Vectorcall(object callable, PyObject** args, size_t n, PyObject* kwnames)
    PyObject* PyList_GET_ITEM(object l, Py_ssize_t i)
    object PyType_GenericAlloc(PyTypeObject* type, Py_ssize_t n)
    void PyType_Modified(PyTypeObject* type)
    ctypedef struct PyTupleObject:
        PyObject** ob_item
    ctypedef struct _TypeWithDict "PyTypeObject":
        const char* tp_name
        PyObject* tp_dict
        unsigned long tp_flags
        Py_ssize_t tp_vectorcall_offset
        object (*tp_new)(PyTypeObject* cls, PyObject* args, PyObject* kwargs)
    unsigned long Py_TPFLAGS_IMMUTABLETYPE

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    typedef struct { int grad; int inference; uint32_t modes; uint64_t sequence; int depth; int device; int place; int beside; } rl_thread_state_t;
    static __thread rl_thread_state_t rl_thread_state = {1, 0, 0, 1, 0, 0, 0, 0};
    """
    ThreadState rl_thread_state

cdef extern from *:
    bint __builtin_mul_overflow(int64_t a, int64_t b, int64_t* product) nogil
    bint __builtin_add_overflow(int64_t a, int64_t b, int64_t* sum) nogil

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void** p, size_t alignment, size_t size)


cdef inline void PyTuple_SET_ITEM(object t, Py_ssize_t i, int64_t value):
    cdef object item = value
    Py_INCREF(item)
    (<PyTupleObject*>t).ob_item[i] = <PyObject*>item


cdef ThreadState* thread_state() noexcept nogil:
    return <ThreadState*>&rl_thread_state


include "dtypes.pxi"
include "holding.pxi"
include "allocator.pxi"
include "slots.pxi"
include "shapes.pxi"
include "making.pxi"


# -- the tape's nodes (subclasses in tape.pyx and operator.pyx) --

@cython.trashcan(True)
cdef class Node:
    """One recorded call: what it was, what it saved, and the nodes its inputs came from.

    >>> x = torch.ones(2, requires_grad=True)
    >>> node = (x * x).sum().grad_fn
    >>> node.name(), node.next_functions[0][0].name(), isinstance(node, torch.autograd.graph.Node)
    ('SumBackward0', 'MulBackward0', True)
    """

    def __dealloc__(self):
        Py_XDECREF(self.attributes)

    cdef list apply(self, list grads, tuple asked):
        raise RuntimeError(f"{self.label}: this node cannot be differentiated")

    cdef int release(self) except -1:
        self.released = True
        return 0

    def __repr__(self):
        return f"<{self.label} object at {<size_t><PyObject*>self:#x}>"


# -- the tensor --

@cython.c_api_binop_methods(True)
@cython.freelist(128)
@cython.trashcan(True)
@cython.binding(False)
cdef class Tensor:
    """An n-dimensional array of one dtype on one device, which can record how it was computed.

    Make one with :func:`tensor`, :func:`zeros`, :func:`from_numpy` ...; ``Tensor(2, 3)`` is PyTorch's legacy constructor of an
    uninitialised float tensor.
    """

    def __cinit__(self, *args, **kwargs):
        self.sizes = self.inline_
        self.strides = self.inline_ + 1
        self.ndim, self.code = 1, F32          # an empty vector, until something else is written
        if type(self) is not Tensor:
            self.flags = _flags_of(type(self))

    def __dealloc__(self):
        Py_XDECREF(self.attributes)
        Py_XDECREF(self.counter)
        if self.sizes != self.inline_:
            PyMem_Free(self.sizes)

    def __init__(self, *args, **kwargs):
        if self.memory is None:                # instances of subclasses are made whole by __new__: see ops/legacy.py
            _callbacks["legacy_constructor"](self, args, kwargs)

    def _adopt(self, Tensor t):
        """Takes over memory, geometry and history of t (for constructors of subclasses)."""
        self.memory, self.address, self.count, self.code, self.place = t.memory, t.address, t.count, t.code, t.place
        if self.sizes != self.inline_:
            PyMem_Free(self.sizes)
            self.sizes = self.inline_
        _set_rank(self, t.ndim)
        memcpy(self.sizes, t.sizes, 2 * t.ndim * sizeof(int64_t))
        self.flags = (t.flags & ~<uint32_t>(HAS_HOOKS | INTERCEPT | OVERRIDES | STANDS)) | (self.flags & (INTERCEPT | OVERRIDES))
        self.node, self.output_nr, self.base, self.view_version = t.node, t.output_nr, t.base, t.view_version
        _count_by(self, t.counter)
        return self

    # -- what it is --
    @property
    def shape(self):
        """The sizes of the dims, a :class:`Size`.

        >>> torch.ones(2, 3).shape
        torch.Size([2, 3])
        """
        return size_object(self.ndim, self.sizes)

    @property
    def dtype(self):
        """The type of the elements.

        >>> torch.tensor([1, 2]).dtype
        torch.int64
        """
        return DTYPES[self.code]

    @property
    def device(self):
        """Where the elements are.

        >>> torch.ones(2, device="cpu").device
        device(type='cpu')
        """
        return _CPU if self.place == 0 else device_of(_place_shown(self))

    @property
    def itemsize(self):
        """The size of one element in bytes.

        >>> torch.ones(2, dtype=torch.float64).itemsize
        8
        """
        return ITEMSIZE[self.code]

    @property
    def nbytes(self):
        """The size of all elements in bytes, as if there were no strides.

        >>> torch.ones(3).expand(2, 3).nbytes
        24
        """
        return self.count * ITEMSIZE[self.code]

    @property
    def is_cuda(self):
        """Is it on a GPU?

        >>> torch.ones(2, device="cpu").is_cuda
        False
        """
        return 0 < self.place and 0 < _place_shown(self) < META

    @property
    def is_cpu(self):
        """Is it in the CPU's memory?

        >>> torch.ones(2, device="cpu").is_cpu
        True
        """
        return _place_shown(self) == 0

    @property
    def is_meta(self):
        """Is it on the device "meta": a shape and a dtype without memory?

        >>> torch.empty(1000, 1000, device="meta").is_meta
        True
        """
        return _place_shown(self) == META

    def size(self, dim=None):
        """The shape, or the length of one dim.

        >>> torch.ones(2, 3).size(), torch.ones(2, 3).size(-1)
        (torch.Size([2, 3]), 3)
        """
        if asks(self):
            return ask_method("size", (self,) if dim is None else (self, dim))
        if dim is None:
            return size_object(self.ndim, self.sizes)
        if self.ndim == 0:
            wrap_dim(dim, 0)
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        return self.sizes[wrap_dim(dim, self.ndim)]

    def stride(self, dim=None):
        """How many elements lie between neighbours along each dim, or along one.

        >>> torch.ones(2, 3).stride(), torch.ones(2, 3).t().stride()
        ((3, 1), (1, 3))
        """
        cdef int i
        if asks(self):
            return ask_method("stride", (self,) if dim is None else (self, dim))
        if dim is None:
            return tuple([self.strides[i] for i in range(self.ndim)])
        return self.strides[wrap_dim(dim, self.ndim)]

    def dim(self):
        """The number of dims.

        >>> torch.ones(2, 3).dim()
        2
        """
        if asks(self):
            return ask_method("dim", (self,))
        return self.ndim

    ndimension = dim

    def numel(self):
        """The number of elements.

        >>> torch.ones(2, 3).numel()
        6
        """
        if asks(self):
            return ask_method("numel", (self,))
        return self.count

    nelement = numel

    def element_size(self):
        """Bytes per element.

        >>> torch.ones(2, dtype=torch.int16).element_size()
        2
        """
        if asks(self):
            return ask_method("element_size", (self,))
        return ITEMSIZE[self.code]

    def storage_offset(self):
        """How many elements the first one lies behind the start of the storage.

        >>> torch.arange(4)[2:].storage_offset()
        2
        """
        if asks(self):
            return ask_method("storage_offset", (self,))
        return (self.address - <char*>self.memory.address) // ITEMSIZE[self.code]

    def data_ptr(self):
        """The address of the first element; 0 for an empty tensor.

        >>> x = torch.ones(3)
        >>> x[1:].data_ptr() - x.data_ptr()
        4
        """
        if asks(self):
            return ask_method("data_ptr", (self,))
        lend(self.memory)
        return <size_t>self.address if self.count and self.place != META else 0

    def untyped_storage(self):
        """The memory behind this tensor, shared with its views.

        >>> x = torch.ones(2, 3)
        >>> x[0].untyped_storage().nbytes()
        24
        """
        if asks(self):
            return ask_method("untyped_storage", (self,))
        lend(self.memory)
        return self.memory

    def is_conj(self):
        """True if the elements are the conjugates of what the memory holds.

        >>> torch.tensor([1j]).conj().is_conj()
        True
        """
        if asks(self):
            return ask_method("is_conj", (self,))
        return (self.flags & CONJ) != 0

    def is_neg(self):
        """True if the elements are the negatives of what the memory holds.

        >>> torch.tensor([1j]).conj().imag.is_neg()
        True
        """
        if asks(self):
            return ask_method("is_neg", (self,))
        return (self.flags & NEG) != 0

    def is_inference(self):
        """True if the tensor was made in inference mode.

        >>> with torch.inference_mode():
        ...     x = torch.ones(2)
        >>> x.is_inference()
        True
        """
        if asks(self):
            return ask_method("is_inference", (self,))
        return (self.flags & INFERENCE) != 0

    def is_floating_point(self):
        """True for float16, bfloat16, float32, float64 (and float8).

        >>> torch.ones(2, dtype=torch.bfloat16).is_floating_point()
        True
        """
        if asks(self):
            return ask_method("is_floating_point", (self,))
        return (<dtype>DTYPES[self.code]).is_floating_point

    def is_complex(self):
        """True for complex dtypes.

        >>> torch.tensor([1j]).is_complex()
        True
        """
        if asks(self):
            return ask_method("is_complex", (self,))
        return (<dtype>DTYPES[self.code]).is_complex

    def is_signed(self):
        """True if the dtype has negative values.

        >>> torch.ones(2, dtype=torch.uint8).is_signed()
        False
        """
        if asks(self):
            return ask_method("is_signed", (self,))
        return (<dtype>DTYPES[self.code]).is_signed

    def get_device(self):
        """The index of the CUDA device, -1 on the CPU and on "meta".

        >>> torch.ones(2, device="cpu").get_device()
        -1
        """
        if asks(self):
            return ask_method("get_device", (self,))
        return self.place - 1 if self.place != META else -1

    def __len__(self):
        if asks(self):
            return ask_method("__len__", (self,))
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.sizes[0]

    def __hash__(self):
        return <Py_hash_t><size_t><PyObject*>self

    # -- special methods: see slots.pxi --
    def __add__(a, b):
        return _arithmetic(SLOT_ADD, a, b) if isinstance(a, Tensor) else _arithmetic(SLOT_ADD, b, a)

    def __sub__(a, b):
        return _arithmetic(SLOT_SUB, a, b) if isinstance(a, Tensor) else _arithmetic(SLOT_RSUB, b, a)

    def __mul__(a, b):
        return _arithmetic(SLOT_MUL, a, b) if isinstance(a, Tensor) else _arithmetic(SLOT_MUL, b, a)

    def __truediv__(a, b):
        return _arithmetic(SLOT_TRUEDIV, a, b)

    def __floordiv__(a, b):
        return _arithmetic(SLOT_FLOORDIV, a, b)

    def __mod__(a, b):
        return _arithmetic(SLOT_MOD, a, b)

    def __matmul__(a, b):
        if isinstance(a, (int, float, complex)) or isinstance(b, (int, float, complex)):
            raise TypeError(f"unsupported operand type(s) for @: '{type(a).__name__}' and '{type(b).__name__}'")
        return _arithmetic(SLOT_MATMUL, a, b)

    def __and__(a, b):
        return _arithmetic(SLOT_AND, a, b)

    def __or__(a, b):
        return _arithmetic(SLOT_OR, a, b)

    def __xor__(a, b):
        return _arithmetic(SLOT_XOR, a, b)

    def __lshift__(a, b):
        return _arithmetic(SLOT_LSHIFT, a, b)

    def __rshift__(a, b):
        return _arithmetic(SLOT_RSHIFT, a, b)

    def __iadd__(self, other):
        return _arithmetic(SLOT_IADD, self, other)

    def __isub__(self, other):
        return _arithmetic(SLOT_ISUB, self, other)

    def __imul__(self, other):
        return _arithmetic(SLOT_IMUL, self, other)

    def __itruediv__(self, other):
        return _arithmetic(SLOT_ITRUEDIV, self, other)

    def __ifloordiv__(self, other):
        return _arithmetic(SLOT_IFLOORDIV, self, other)

    def __imod__(self, other):
        return _arithmetic(SLOT_IMOD, self, other)

    def __iand__(self, other):
        return _arithmetic(SLOT_IAND, self, other)

    def __ior__(self, other):
        return _arithmetic(SLOT_IOR, self, other)

    def __ixor__(self, other):
        return _arithmetic(SLOT_IXOR, self, other)

    def __ilshift__(self, other):
        return _arithmetic(SLOT_ILSHIFT, self, other)

    def __irshift__(self, other):
        return _arithmetic(SLOT_IRSHIFT, self, other)

    def __imatmul__(self, other):
        return _arithmetic(SLOT_IMATMUL, self, other)

    def __pow__(a, b, modulus):
        return _arithmetic(SLOT_POW, a, b)

    def __ipow__(self, other, modulus):
        return _arithmetic(SLOT_IPOW, self, other)

    def __lt__(self, other):
        return _arithmetic(SLOT_LT, self, other)

    def __le__(self, other):
        return _arithmetic(SLOT_LE, self, other)

    def __eq__(self, other):
        return _equality(SLOT_EQ, self, other)

    def __ne__(self, other):
        return _equality(SLOT_NE, self, other)

    def __gt__(self, other):
        return _arithmetic(SLOT_GT, self, other)

    def __ge__(self, other):
        return _arithmetic(SLOT_GE, self, other)

    def __neg__(self):
        return _call1(SLOT_NEG, self)

    def __pos__(self):
        return _call1(SLOT_POS, self)

    def __invert__(self):
        return ask_method("__invert__", (self,)) if asks(self) else _call1(SLOT_INVERT, self)

    def __abs__(self):
        return _call1(SLOT_ABS, self)

    def __bool__(self):
        return ask_method("__bool__", (self,)) if asks(self) else _call1(SLOT_BOOL, self)

    def __int__(self):
        return ask_method("__int__", (self,)) if asks(self) else _call1(SLOT_INT, self)

    def __float__(self):
        return ask_method("__float__", (self,)) if asks(self) else _call1(SLOT_FLOAT, self)

    def __index__(self):
        return ask_method("__index__", (self,)) if asks(self) else _call1(SLOT_INDEX, self)

    def __iter__(self):
        return _call1(SLOT_ITER, self)

    def __repr__(self):
        return ask_method("__repr__", (self,)) if asks(self) else _call1(SLOT_REPR, self)

    def __getitem__(self, key):
        return _asked2(SLOT_GETITEM, self, key) if opened else _call2(SLOT_GETITEM, self, key)

    def __setitem__(self, key, value):
        cdef PyObject* args[3]
        if asks(self) or opened and isinstance(value, Tensor) and asks(<Tensor>value):
            ask_method("__setitem__", (self, key, value))
            return
        args[0], args[1], args[2] = <PyObject*>self, <PyObject*>key, <PyObject*>value
        PyObject_Vectorcall(<object>PyList_GET_ITEM(_slots, SLOT_SETITEM), args, 3, NULL)

    def __delitem__(self, key):
        raise TypeError("a tensor's elements cannot be deleted; use indexing to make a tensor without them")

    def __contains__(self, element):
        return _asked2(SLOT_CONTAINS, self, element) if opened else _call2(SLOT_CONTAINS, self, element)

    def __str__(self):
        return self.__repr__()

    @property
    def _base(self):
        return self.base

    def _is_view(self):
        if asks(self):
            return ask_method("_is_view", (self,))
        return self.base is not None

    def __reduce_ex__(self, protocol):
        return ask_method("__reduce_ex__", (self, protocol)) if asks(self) else _callbacks["reduce"](self, protocol)

    @staticmethod
    def _make_subclass(cls, Tensor data, requires_grad=False):
        """data's memory as an instance of cls, a leaf."""
        out = wrap_subclass(alias(data), cls)
        if requires_grad:
            (<Tensor>out).flags |= REQUIRES_GRAD
        return out

    @staticmethod
    def _make_wrapper_subclass(cls, *args, **kwargs):
        """An instance of a class with __torch_dispatch__ that has a shape and no memory; see utils._python_dispatch."""
        return _callbacks["wrapper_subclass"](cls, *args, **kwargs)

    def _stand_for(self, device place):
        """Has this, a shape without memory, say that it is on another device."""
        if self.place != META:
            raise RuntimeError("_stand_for(): only a tensor on the device meta stands for one elsewhere")
        if self.extras is None:
            self.extras = {}
        self.extras["device"] = place
        self.flags |= STANDS

    def as_subclass(self, cls):
        """This tensor as an instance of cls, history included.

        >>> class Named(torch.Tensor):
        ...     pass
        >>> torch.ones(2).as_subclass(Named) * 2
        Named([2., 2.])
        """
        cdef Tensor source = self
        if self.flags & REQUIRES_GRAD or self.node is not None and not rl_thread_state.grad:
            source = _callbacks["aliased"](self)          # not another leaf, nor a result, but a view of this one
        return wrap_subclass(source, cls)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """PyTorch's override protocol: the default runs func and wraps tensors in the result as cls."""
        return _callbacks["torch_function"](cls, func, types, args, kwargs)


include "registry.pxi"
include "asking.pxi"
include "lazydict.pxi"
include "geometry.pxi"
