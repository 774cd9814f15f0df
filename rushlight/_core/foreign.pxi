# Functions of shared libraries in C, NVRTC's and cublasLt's, found by name when they are first needed. Included by device.pyx.

ctypedef int (*foreign_t)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                          int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) noexcept nogil

cdef enum:
    MOST_ARGUMENTS = 16


cdef class SharedLibrary:
    """A shared library, by its path or the name that the loader knows it by; it stays loaded. OSError where it cannot be."""
    cdef void* handle
    cdef readonly str path

    def __init__(self, str path):
        cdef bytes name = path.encode()
        cdef char* text = name
        with nogil:
            self.handle = dlopen(text, RTLD_NOW | RTLD_GLOBAL)
        if self.handle == NULL:
            raise OSError(dlerror().decode())
        self.path = path

    def function(self, str name):
        """The function of this name; AttributeError where there is none."""
        cdef ForeignFunction f = ForeignFunction.__new__(ForeignFunction)
        f.entry = <foreign_t>dlsym(self.handle, name.encode())
        if f.entry == NULL:
            raise AttributeError(f"{self.path} has no function {name}")
        f.library = self
        return f


cdef class ForeignFunction:
    """A function in C: integers and pointers, at most 16, to a status. It runs without the interpreter's lock.

    An argument is an int (an address, too) or bytes, which stand for their address. Each is passed as 64 bits, unneeded ones as 0: on the machines
    that have GPUs (x86-64 and AArch64 under Linux) every argument of these types has a register or 8 bytes of stack of its own, of which a
    function reads what its type takes, and the caller clears the stack.
    """
    cdef foreign_t entry
    cdef SharedLibrary library

    def __call__(self, *arguments):
        cdef int64_t[MOST_ARGUMENTS] a
        cdef int status, i = 0
        if len(arguments) > MOST_ARGUMENTS:
            raise TypeError(f"at most {MOST_ARGUMENTS} arguments are passed to a function in C, not {len(arguments)}")
        memset(a, 0, sizeof(a))
        for argument in arguments:
            a[i] = <int64_t><char*>(<bytes>argument) if type(argument) is bytes else <int64_t>argument
            i += 1
        with nogil:
            status = self.entry(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15])
        return status
