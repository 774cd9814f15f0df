"""The generator and the draws that other compiled modules take from it."""

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef struct Engine:
    # A 32-bit Mersenne Twister: `state` holds untempered words, `next` is the next one to hand out, `left` one more than are left.
    uint32_t state[624]
    uint64_t seed
    uint32_t left
    uint32_t next
    # Normals come in pairs; the second one waits here.
    bint has_normal
    double normal
    # PyTorch's state has room for a waiting float32 normal too. Nothing on the CPU uses it, but it survives a round trip.
    bint has_float_normal
    float float_normal


cdef class Generator:
    cdef Engine engine
    cdef int place         # device code; a GPU's generator uses the engine's seed only
    cdef uint64_t calls    # that have drawn numbers on a GPU
    cdef PyThread_type_lock lock
    cdef object __weakref__

    cdef void start(self, uint64_t seed)
    cdef void hold(self)
    cdef void free(self) noexcept


cdef uint32_t draw32(Engine *e) noexcept nogil
cdef uint64_t draw64(Engine *e) noexcept nogil
cdef void draw_words(Engine *e, uint32_t *out, int64_t n) noexcept nogil
cdef Generator generator_of(object generator)
