# cython: language_level=3
# The shared declarations of the core: every other extension module cimports this one.
from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from *:
    """
    /* A user's traceback ends at the line that called an operator: frames of the core would say nothing to its reader. But Cython counts on
       an exception that it catches to have a traceback. One without gets an end, which is taken away again when the exception goes on. */
    #ifndef RUSHLIGHT_TRACE_CORE
    #include <frameobject.h>
    static PyObject *rl_end = NULL;
    static PyObject *rl_ended(PyObject *traceback) {
        if (traceback == NULL && rl_end == NULL) {
            PyObject *names = PyDict_New();
            PyCodeObject *code = PyCode_NewEmpty("rushlight", "the core", 1);
            PyFrameObject *frame = names && code ? PyFrame_New(PyThreadState_Get(), code, names, NULL) : NULL;
            if (frame)
                rl_end = PyObject_CallFunction((PyObject *)&PyTraceBack_Type, "OOii", Py_None, frame, 0, 1);
            Py_XDECREF(names), Py_XDECREF(code), Py_XDECREF(frame);
        }
        if (traceback == NULL)
            Py_XINCREF(rl_end);
        return traceback ? traceback : rl_end;
    }
    static void rl_normalize(PyObject **type, PyObject **value, PyObject **traceback) {
        PyErr_NormalizeException(type, value, traceback);
        *traceback = rl_ended(*traceback);
    }
    static PyObject *rl_traceback(PyObject *error) {
        return rl_ended(PyException_GetTraceback(error));
    }
    static void rl_go_on(void) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        if (traceback == rl_end)
            Py_CLEAR(traceback);
        PyErr_Restore(type, value, traceback);
    }
    #define PyErr_NormalizeException rl_normalize
    #define PyException_GetTraceback rl_traceback
    #define PyTraceBack_Here(frame) ((void)(frame), rl_go_on())
    #endif
    """

cdef enum:
    INLINE_RANK = 6   # shapes and strides up to this rank lie inside the tensor
    MAX_RANK = 64
    N_DTYPES = 21

# dtype codes: the order of rushlight.lang.types.NAMES
cdef enum:
    B1 = 0
    U8 = 1
    I8 = 2
    I16 = 3
    I32 = 4
    I64 = 5
    F16 = 6
    BF16 = 7
    F32 = 8
    F64 = 9
    C64 = 10
    C128 = 11
    U16 = 12
    U32 = 13
    U64 = 14
    F8E4M3FN = 15
    F8E5M2 = 16
    F8E4M3FNUZ = 17
    F8E5M2FNUZ = 18
    F8E8M0FNU = 19
    C32 = 20

# Tensor.flags
cdef enum:
    REQUIRES_GRAD = 1    # a leaf that collects a gradient (a recorded result has a node instead)
    CONTIGUOUS = 2       # row-major and dense
    CONJ = 4             # the elements are the conjugates of what the memory holds
    NEG = 8              # the elements are the negatives of what the memory holds
    INFERENCE = 16       # made in inference mode: has no version counter, never records
    INTERCEPT = 64       # operators must ask the interpreters first (subclass with __torch_function__, vmap, forward mode)
    RETAIN_GRAD = 128    # a non-leaf whose gradient is kept
    HAS_HOOKS = 256      # tensor hooks are registered
    INFERENCE_VIEW = 32  # a view made in inference mode of a tensor that was not
    NO_GRAD_VIEW = 512   # a view made under no_grad of a tensor that records
    UNRECORDED_VIEW = INFERENCE_VIEW | NO_GRAD_VIEW
    MULTI_VIEW = 1024    # one of several views made by one call (split, unbind): no in-place writes while recording
    PINNED = 2048
    OVERRIDES = 8192     # of a class with its own __torch_function__: attributes, and methods that are no operators, ask it too
    STANDS = 16384       # of a class with __torch_dispatch__, a shape without memory that says to be elsewhere: extras has the device
    SPREAD = 4096        # a gradient with one value for many elements, to save memory: it gets elements of its own before a program sees it

# ThreadState.modes
cdef enum:
    MODE_FUNCTION = 1    # a TorchFunctionMode, vmap, forward mode ... is active: ask the interpreters
    MODE_PROFILE = 2
    MODE_ANOMALY = 4
    MODE_CAST = 16       # autocast: ask it about operators in its lists
    MODE_ASKS = 32       # a TorchFunctionMode is active: ask it about attributes too, and about methods that are no operators
    MODE_PLAIN = 64      # subclasses are treated as plain tensors
    MODE_NODES = 128     # a TorchDispatchMode is active: tell it of backward steps

ctypedef struct ThreadState:
    int grad          # operators are recorded; FORWARD: those on dual tensors
    int inference     # inference_mode is active
    uint32_t modes    # MODE_ bits: zero is the fast path
    uint64_t sequence # number of the next node
    int depth         # backward passes active on this thread
    int device        # index of the current CUDA device
    int place         # device code of new tensors
    bint beside       # the current stream of some GPU is not its default one

cdef ThreadState* thread_state() noexcept nogil

cdef int[N_DTYPES] ITEMSIZE

cdef class dtype:
    cdef readonly int code
    cdef readonly str name         # 'float32'
    cdef readonly int itemsize
    cdef readonly bint is_floating_point, is_complex, is_signed
    cdef object _info

cdef list DTYPES                    # dtype objects by code
cdef dtype dtype_of(int code)
cdef int get_default_dtype_code() noexcept
cdef int dtype_arg(object value, int default) except -2   # a dtype argument (dtype, Python type or None) as a code

cdef class device:
    cdef readonly str type
    cdef readonly object index
    cdef int8_t code               # 0 is the CPU, 1 + i is cuda:i

cdef int device_arg(object value) except -2               # a device argument (device, str, int, None) as a code
cdef device device_of(int code)

# C fields have other names than PyTorch's properties and methods (an extension type has one namespace for both).
cdef class Storage:
    cdef void* address
    cdef int64_t length            # in bytes
    cdef int64_t version           # counts in-place writes, but those through tensors with a counter of their own
    cdef int bucket                # size class of the allocator's block, -1 when the memory is foreign, DEVICE_BLOCK
    cdef void* block               # the device allocator's block
    cdef int8_t place              # device code
    cdef int8_t waits              # 1 + the call that is still to make its elements (waiting.pxi); 0: none
    cdef bint lent                 # others may know its address: they read and write it without a call
    cdef object owner              # keeps foreign memory alive, and says how it came here
    cdef object __weakref__

cdef enum:
    DEVICE_BLOCK = -2              # Storage.bucket: the block belongs to another allocator (device memory, pinned memory)

cdef Storage allocate(int64_t nbytes, int place=*)
cdef Storage foreign_storage(void* address, int64_t nbytes, object owner)

# What the device layer (device.pyx) registers when it starts: how a storage of device memory gets its block and gives it back.
ctypedef int (*take_block_t)(Storage storage, int64_t nbytes) except -1
ctypedef void (*give_block_t)(Storage storage) noexcept
cdef int set_device_memory(int devices, take_block_t take, give_block_t give) except -1
cdef int gpu_count() noexcept                                                     # 0 before a GPU was asked for

# Large pointwise calls wait for the next one (waiting.pxi). Whatever reads or writes elements catches up first: operators do so in _enter, functions of the
# core that a program may call without one call catch_up(), those that give an address away lend().
cdef struct Waiting:
    int length                     # calls that wait
    int inside                     # operators and backward passes that run: in these nothing waits
    void (*make)() noexcept        # makes all results that wait
    void (*forget)(Storage memory) noexcept   # the memory of a result that waits is given back
cdef Waiting waiting
cdef inline void catch_up() noexcept:
    if waiting.length:
        waiting.make()
cdef inline void lend(Storage memory) noexcept:
    catch_up()
    if memory is not None:
        memory.lent = True

# What counts the writes to a tensor that does not share the count of its storage: one made by .data or set_, its views and aliases.
cdef class WriteCount:
    cdef int64_t version

cdef class Tensor:
    cdef Storage memory
    cdef char* address             # of the first element
    cdef int64_t count             # number of elements
    cdef int64_t* sizes            # the shape; points into inline_ or to the heap
    cdef int64_t* strides          # in elements
    cdef int64_t[2 * INLINE_RANK] inline_
    cdef readonly int ndim
    cdef uint8_t code              # dtype code
    cdef int8_t place              # device code
    cdef uint32_t flags
    # -- the tape --
    cdef readonly int output_nr           # which output of node this is
    cdef Node node                 # how it was computed, or None
    cdef Tensor base               # the tensor this is a view of, or None
    cdef int64_t view_version      # storage version for which node is valid (views only)
    cdef object grad_              # the collected gradient
    cdef PyObject* accumulator     # borrowed: the leaf's AccumulateGrad node while any graph holds it
    cdef object extras             # hooks and other rare things (a dict), or None
    cdef PyObject* attributes      # the instance's dict, made when something is first stored in it (see attributes in tensor.pyx)
    cdef PyObject* counter         # owned: a WriteCount, or NULL where the storage counts
    cdef object __weakref__

# A node of the tape: one recorded call. Subclasses hold what they saved.
cdef class Node:
    cdef str label                 # 'AddBackward0'
    cdef tuple next                # the node of each differentiable input, None where no gradient flows
    cdef list numbers              # the inputs' output numbers; None when all are 0
    cdef uint64_t sequence         # nodes are numbered in order of recording: a node's inputs have smaller numbers
    cdef int n_outputs
    cdef int8_t dual               # does a dual tensor lie behind it? ALSO, ONLY (see forward.pxi)
    cdef bint released             # saved values are gone (backward ran without retain_graph)
    cdef bint lets_wait            # its step is operators' calls alone, whose results may wait (waiting.pxi)
    cdef list pre_hooks
    cdef list post_hooks
    cdef PyObject* attributes
    cdef object __weakref__
    # gradient of each output (None: zero) -> gradient of each entry of next (None: zero). asked: next itself, or next with None for
    # each entry whose gradient nobody wants
    cdef list apply(self, list grads, tuple asked)
    # forget what was saved
    cdef int release(self) except -1

# -- making tensors --
cdef Tensor new_tensor(Storage memory, char* address, int code, int ndim)         # sizes and strides still to be written
cdef int finish(Tensor t) except -1                                              # computes count and the contiguous flag
cdef Tensor empty(int code, int ndim, const int64_t* sizes, int place=*)        # row-major, uninitialised
cdef Tensor empty_strided(int code, int ndim, const int64_t* sizes, const int64_t* strides, int place=*)
cdef Tensor alias(Tensor t)                                                       # same memory and geometry, no history
cdef Tensor view_of(Tensor t, char* address, int ndim, const int64_t* sizes, const int64_t* strides)   # a view with t as (root) base
cdef Tensor scalar_tensor(object value, int code)
cdef object wrap_subclass(Tensor t, cls)

cdef int own_counter(Tensor t, int64_t version) except -1                        # writes to t count as its own, from version on
cdef inline int64_t version_of(Tensor t) noexcept:
    return (<WriteCount>t.counter).version if t.counter != NULL else t.memory.version
cdef inline void count_write(Tensor t) noexcept:
    if t.counter != NULL:
        (<WriteCount>t.counter).version += 1
    else:
        t.memory.version += 1

# -- small helpers --
cdef object size_object(int n, const int64_t* values)                             # torch.Size
cdef int wrap_dim(int64_t dim, int ndim) except -1
cdef inline int position(object dim, int ndim) except -2:
    """A dim argument as a position; -1 for one that is no int, or none of the dims: the definition knows the error."""
    cdef int64_t d
    if type(dim) is not int:
        return -1
    d = dim
    return <int>(d + ndim if d < 0 else d) if -ndim <= d < ndim else -1
cdef int parse_ints(object value, int64_t* out, int limit) except -1              # a sequence of ints; returns how many
cdef int check_count(sizes) except -1                                             # PyTorch's error for sizes that no tensor can have
cdef str dtype_title(int code)                                                    # 'Float', 'Long' ... as PyTorch's errors spell it
cdef str type_string(Tensor t)                                                    # 'torch.FloatTensor'
cdef int put_scalar(void* p, int code, object value) except -1                   # a Python number into memory
cdef object representable(int code, object value, bint strict=*)                   # the number, or PyTorch's error where the dtype cannot hold it
cdef object get_scalar(const void* p, int code)                                  # memory as a Python number
cdef inline bint is_tensor(object x) noexcept:
    return isinstance(x, Tensor)

cdef bint opened                    # see asking.pxi
cdef object ask_method(str name, tuple args, dict kwargs=*)
cdef inline bint asks(Tensor t) noexcept:
    """Has a mode or the class of this tensor a say in what its attributes are, and its methods that are no operators?"""
    return opened and (
        thread_state().modes & MODE_ASKS != 0 or t.flags & OVERRIDES != 0 and thread_state().modes & MODE_PLAIN == 0
    )
