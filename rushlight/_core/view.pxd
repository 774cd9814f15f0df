# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t
from rushlight._core.tensor cimport Node, Tensor

# Recorded views and copies, callable from C.
cdef Tensor reshape(Tensor t, int ndim, const int64_t* sizes)       # a view where strides allow it, else a copy; one size may be -1
cdef Tensor transpose(Tensor t, int d0, int d1)
cdef Tensor expand(Tensor t, int ndim, const int64_t* sizes)
cdef Tensor select(Tensor t, int dim, int64_t index)
cdef Tensor as_strided(Tensor t, int ndim, const int64_t* sizes, const int64_t* strides, int64_t offset)
cdef Tensor copy_(Tensor target, Tensor source, bint non_blocking=*)
cdef Tensor cast(Tensor t, int code)
cdef Node view_node(str label, object shape, Node source, int number, uint64_t sequence)   # shape None: a matrix transposed
