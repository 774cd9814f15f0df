# cython: language_level=3
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from rushlight._core.tensor cimport Node, Tensor

# An operator is itself the callable: CPython jumps from the call instruction to `vectorcall` without a frame in between.
cdef class Operator:
    cdef void* vectorcall
    cdef public str __name__
    cdef public str __doc__
    cdef int casts               # CASTS_: what autocast says of it
    cdef int[2] rules            # RULE_: what it wants of operands on the CPU and on GPUs
    cdef bint lets_wait          # calls need no elements of what waits (waiting.pxi): views, and what may wait itself
    cdef public object cuda      # what is called instead of its own function for tensors on a GPU, or None
    cdef dict __dict__
    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames)

cdef Tensor resolve(Tensor t)                           # without lazy conj / neg
cdef Tensor convert(Tensor t, int code)                 # other dtype, new memory, no tape
cdef Tensor clone(Tensor t)                             # no tape
cdef Tensor contiguous(Tensor t)                        # t itself or a row-major copy, no tape
cdef Tensor row_major(Tensor t)                         # a row-major copy, no tape
cdef int copy_into(Tensor target, Tensor source) except -1   # broadcast, converted; no tape, no version
cdef int fill_number(Tensor target, const char* number) except -1   # all elements become a number given in their type; no tape, no version
cpdef int check_writable(Tensor t) except -1
cdef int check_overlap(Tensor out, Tensor source) except -1
cdef int promote(int a, int b) except -2
cdef int category(int code) noexcept
cdef int number_code(object value) except -2
cdef int broadcast_shape(int64_t* shape, int* ndim, Tensor t, const char* what) except -1

ctypedef object (*native_t)(PyObject** args, Py_ssize_t n, tuple kwnames)

cdef class Native(Operator):
    cdef native_t function
    cdef readonly str parameters       # as its docstring states them
    cdef readonly frozenset names      # of its parameters
    cdef object run(self, PyObject** args, Py_ssize_t n, tuple kwnames)         # calls the function
    cdef object respelled(self, PyObject** args, Py_ssize_t n, tuple kwnames)

cdef Native native(str name, native_t function, str doc)   # wraps a C function as an operator
cdef Native looking(str name, native_t function, str doc)  # one that reads no element
cdef int show_definitions_doc(cls) except -1               # for a class of operators that another module has

# Argument binding for native operators: names, how many may be positional, defaults (Signature.required marks those without).
cdef class Signature:
    cdef readonly str name
    cdef readonly tuple names, defaults
    cdef readonly int n_positional, n_required
    cdef uint64_t integers             # a bit for each parameter where a tensor of one integer is read as a number
    cdef dict position
    cdef int bind(self, PyObject** values, PyObject** args, Py_ssize_t n, tuple kwnames) except -1

cdef object wrong_type(str op, str name, int position, str expected, object given)
cdef object as_number(object value)
cdef object of_element(object error)                       # marks an error that is said last
cdef object deliver(Tensor result, object out, str name)
cdef int check_same(int code, Tensor out) except -1
cdef int check_out(object result, object out, str name) except -1
cpdef object deliver_new(Tensor result, object out, str name)
cpdef object deliver_met(Tensor result, Tensor out, str name)
cdef object deliver_fill(Tensor result, object out, str name)
cdef object deliver_shape(Tensor result, object out, str name)
cdef bint is_dense(Tensor t) noexcept
