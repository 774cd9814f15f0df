"""PyTorch's random numbers: the CPU generator, its streams, and fillers that write them to memory of any dtype and stride.

The generator is the 32-bit Mersenne Twister (Matsumoto and Nishimura 1998). How its words become samples is PyTorch's contract with every
script that sets a seed, so each stream here takes the same words, in the same order and number, and forms the same values:

======================  =====================================================================================================
stream                  words taken per value, and how the value is formed
======================  =====================================================================================================
uniform f32, f16, bf16  1; the low 24 bits over 2**24
uniform f64             2, first one high; the low 53 bits over 2**53
integers below 2**28    1, modulo the range; wider ranges 2
normal, >= 16 values    blocks of 16 uniforms (Box and Muller), float32 ones but for f64; a ragged end draws its last 16 anew
normal, otherwise       double pairs, the second one kept for the next call
all others              double uniforms, except ``bernoulli`` with a float32 tensor of probabilities: float32 uniforms
======================  =====================================================================================================

Memory that is not contiguous is filled in the order of its addresses, not of its indices.

Hand-written where the kernel language has no word: a word follows from those before it, and how many a sample takes depends on what was drawn.
What is a function of adjacent words alone is a kernel of the language in large fills (``bulk.pxi``).
"""

import os

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
)
from libc.float cimport DBL_MIN, FLT_MIN
from libc.math cimport INFINITY, NAN, cbrt, ceil, cos, exp, fabs, floor, fma, fmaf, lgamma, log, log1p, pow, sin, sqrt, sqrtf, tan
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy, memset
from rushlight._core import callbacks
from rushlight._core.tensor import name_type, on_gpu
from rushlight._core.operator cimport check_writable, native
from rushlight._core.tape cimport bump, check_inplace, needs_grad
from rushlight._core.tensor cimport BF16, C128, C32, C64, F16, F32, F64, F8E4M3FN, I16, I32, I64, I8, U16, U32, U64, U8
from rushlight._core.tensor cimport CONTIGUOUS, ITEMSIZE, MAX_RANK, Tensor, catch_up, device_arg, device_of, empty, parse_ints, thread_state
from rushlight._core.threads cimport parallel_for

cdef extern from *:
    ctypedef unsigned long long uint128 "unsigned __int128"

cdef enum:
    WORDS = 624
    SHIFT = 397
    STATE_BYTES = 5056
    GPU_STATE_BYTES = 16
    WORDS_OF_CALL = 4      # the offset counts words of one thread, as PyTorch does
    CHUNK = 2048  # values in scratch memory: within the first-level cache
    PIECE = 1 << 18  # values between taking words and transforming them: within the second-level cache
    GRAIN = 1 << 13  # values worth handing to another thread
    LARGE = 1 << 17  # values from which on a fill asks for kernels
    MANY = 1 << 14  # float32 normals, which are slow without, from which on they are asked for, in all

cdef int64_t normals = 0  # of float32, that were drawn in blocks

include "twister.pxi"
include "elements.pxi"
include "samples.pxi"


# -- the generator --

@cython.binding(False)
cdef class Generator:
    """A source of random numbers: ``Generator(device='cpu')``. It starts with PyTorch's default seed, 67280421310721.

    >>> g = Generator().manual_seed(0)
    >>> torch.rand(2, generator=g)
    tensor([0.4963, 0.7682])
    """

    def __cinit__(self, device=None):
        self.place = device_arg("cpu" if device is None else device)
        self.lock = PyThread_allocate_lock()
        self.start(67280421310721)

    cdef void start(self, uint64_t seed):
        """Begins the stream of a seed. A GPU's generator, Philox, is a seed and the number of the next call."""
        if self.place:
            self.engine.seed, self.calls = seed, 0
        else:
            seed_engine(&self.engine, seed)

    def advance(self, uint64_t n=1):
        """(seed, number of the next call) of a GPU's generator, which then stands behind the ``n`` calls from there."""
        cdef uint64_t first
        self.hold()
        first = self.calls
        self.calls += n
        self.free()
        return self.engine.seed, first

    def __dealloc__(self):
        PyThread_free_lock(self.lock)

    cdef void hold(self):
        """Keeps other threads away while words are taken."""
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)

    cdef void free(self) noexcept:
        PyThread_release_lock(self.lock)

    @property
    def device(self):
        """Where the numbers are made."""
        return device_of(self.place)

    def manual_seed(self, seed):
        """Starts the stream of ``seed``, an int in [-2**63, 2**64), negative ones counting from 2**64. Returns the generator."""
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}\n  Pass an int.")
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"Overflow when unpacking long long\n  The seed is {seed}; it must lie in [-2**63, 2**64).")
        self.hold()
        self.start(<uint64_t>(seed & 0xFFFFFFFFFFFFFFFF))
        self.free()
        return self

    def seed(self):
        """Starts an unpredictable stream (53 bits from the operating system) and returns its seed."""
        seed = int.from_bytes(os.urandom(8), "little") >> 11
        self.manual_seed(seed)
        return seed

    def initial_seed(self):
        """The seed of the current stream."""
        return self.engine.seed

    def get_state(self):
        """The state in PyTorch's layout, a uint8 tensor of 5056 bytes; of a GPU's generator 16 bytes, its seed and offset."""
        cdef int64_t size = GPU_STATE_BYTES if self.place else STATE_BYTES
        cdef Tensor out = empty(U8, 1, &size, 0)
        if self.place:
            (<uint64_t *>out.address)[0], (<uint64_t *>out.address)[1] = self.engine.seed, self.calls * WORDS_OF_CALL
            return out
        cdef char *p = out.address
        cdef int i
        memset(p, 0, STATE_BYTES)
        self.hold()
        (<uint64_t *>p)[0] = self.engine.seed
        (<uint32_t *>(p + 8))[0] = self.engine.left
        (<uint32_t *>(p + 12))[0] = 1  # seeded
        (<uint64_t *>(p + 16))[0] = self.engine.next
        for i in range(WORDS):
            (<uint64_t *>(p + 24))[i] = self.engine.state[i]
        (<double *>(p + 5024))[0] = self.engine.normal if self.engine.has_normal else 0
        (<uint32_t *>(p + 5040))[0] = self.engine.has_normal
        (<float *>(p + 5048))[0] = self.engine.float_normal if self.engine.has_float_normal else 0
        (<uint8_t *>(p + 5052))[0] = self.engine.has_float_normal
        self.free()
        return out

    def set_state(self, state):
        """Continues from ``state``, a uint8 tensor that get_state() of rushlight or PyTorch made."""
        if not isinstance(state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
        cdef Tensor t = state
        if t.code != U8 or t.place != 0 or not t.flags & CONTIGUOUS:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if self.place:
            if t.count != GPU_STATE_BYTES:
                raise RuntimeError(f"RNG state is wrong size\n  The state of a GPU's generator has {GPU_STATE_BYTES} bytes, this one {t.count}.")
            self.engine.seed, self.calls = (<uint64_t *>t.address)[0], (<uint64_t *>t.address)[1] // WORDS_OF_CALL
            return self
        if t.count != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG state size to be {t.count}"
            )
        cdef char *p = t.address
        cdef uint32_t left = (<uint32_t *>(p + 8))[0]
        cdef uint64_t place = (<uint64_t *>(p + 16))[0]
        cdef int i
        if (<uint32_t *>(p + 12))[0] != 1 or not 1 <= left <= WORDS or not (place + left == WORDS + 1 or (place == 0 and left == 1)):
            raise RuntimeError("Invalid mt19937 state")
        self.hold()
        self.engine.seed = (<uint64_t *>p)[0]
        self.engine.left = left
        self.engine.next = <uint32_t>place
        for i in range(WORDS):
            self.engine.state[i] = <uint32_t>(<uint64_t *>(p + 24))[i]
        self.engine.normal = (<double *>(p + 5024))[0]
        self.engine.has_normal = (<uint32_t *>(p + 5040))[0] == 1
        self.engine.float_normal = (<float *>(p + 5048))[0]
        self.engine.has_float_normal = (<uint8_t *>(p + 5052))[0]
        self.free()
        return self

    def clone_state(self):
        """A new generator at the same place of the same stream."""
        cdef Generator out = Generator(self.device)
        out.engine, out.calls = self.engine, self.calls
        return out

    def get_offset(self):
        """How far a GPU's generator has come, four for each call that drew numbers. Raises RuntimeError for the CPU's."""
        if not self.place:
            raise RuntimeError("CPU Generator does not use offset")
        return self.calls * WORDS_OF_CALL

    def set_offset(self, offset):
        """Moves a GPU's generator: ``offset`` as get_offset() gives it. Raises RuntimeError for the CPU's."""
        if not self.place:
            raise RuntimeError("CPU Generator does not use offset")
        self.calls = <uint64_t>offset // WORDS_OF_CALL

    def __reduce__(self):
        return Generator, (self.device,), (self.initial_seed(), None, self.get_state())

    def __setstate__(self, state):
        self.set_state(state[2])

    def __copy__(self):
        return self.clone_state()

    def __deepcopy__(self, memo):
        return self.clone_state()


default_generator = Generator()
default_generator.seed()
cdef Generator _default = default_generator


def _hold_default():
    _default.hold()


def _free_default():
    _default.free()


# A child must not inherit the lock from a thread that was drawing.
os.register_at_fork(before=_hold_default, after_in_parent=_free_default, after_in_child=_free_default)


cdef Generator generator_of(object generator):
    """The ``generator`` argument of an operator: None means the default one."""
    if generator is None:
        return _default
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    if (<Generator>generator).place:
        raise RuntimeError(f"Expected a 'cpu' device type for generator but found '{(<Generator>generator).device.type}'")
    return generator


include "bulk.pxi"


# -- any layout: values are drawn in the order of the output's addresses --

cdef struct Walk:
    # Operand 0 is the output, 1 and 2 the parameters (dims of stride 0 where they are numbers). Dim 0 is the innermost. Strides in bytes.
    Engine *engine
    Sampler sampler
    Transform transform
    uint64_t modulus
    int64_t base
    bint wide
    int ndim
    int code[3]
    char *address[3]
    int64_t size[MAX_RANK + 1]
    int64_t stride[3][MAX_RANK + 1]
    double number[3]


ctypedef void (*Row)(Walk *w, char *out, char *a, char *b, int64_t n) noexcept nogil


cdef void sample_row(Walk *w, char *out, char *a, char *b, int64_t n) noexcept nogil:
    cdef int64_t i
    if w.sampler is uniform_f32 or w.sampler is uniform_f64:
        if w.stride[0][0] == ITEMSIZE[w.code[0]] and w.stride[1][0] == 0 and w.stride[2][0] == 0:
            fill_uniform(w.engine, out, n, w.code[0], load(a, w.code[1]), load(b, w.code[2]))
            return
    for i in range(n):
        store(out, w.code[0], w.sampler(w.engine, load(a, w.code[1]), load(b, w.code[2])))
        out += w.stride[0][0]
        a += w.stride[1][0]
        b += w.stride[2][0]


cdef void transform_row(Walk *w, char *out, char *a, char *b, int64_t n) noexcept nogil:
    """Values that are functions of one double uniform and two numbers."""
    cdef uint32_t[2 * CHUNK] words
    cdef double first = w.number[1], second = w.number[2]
    cdef int64_t k, i
    while n > 0:
        k = min(n, <int64_t>CHUNK)
        raw_words(w.engine, words, 2 * k)
        for i in range(k):
            store(out, w.code[0], w.transform(unit_of_pair(words + 2 * i), first, second))
            out += w.stride[0][0]
        n -= k


cdef void integer_row(Walk *w, char *out, char *a, char *b, int64_t n) noexcept nogil:
    """Words modulo the range, from ``base`` on; a modulus of 0 stands for 2**64."""
    cdef uint32_t[CHUNK] words
    cdef uint64_t reciprocal, wide
    cdef int64_t k, i
    if w.wide:
        for i in range(n):
            wide = draw64(w.engine)
            if w.modulus != 0:
                wide %= w.modulus
            store_integer(out, w.code[0], <int64_t>(wide + <uint64_t>w.base))
            out += w.stride[0][0]
        return
    reciprocal = 0xFFFFFFFFFFFFFFFFu // w.modulus + 1  # x % m without a division (Lemire, Kaser and Kurz 2019); wraps to 0 for m = 1
    while n > 0:
        k = min(n, <int64_t>CHUNK)
        draw_words(w.engine, words, k)
        for i in range(k):
            wide = <uint64_t>((<uint128>(reciprocal * words[i]) * w.modulus) >> 64)
            store_integer(out, w.code[0], <int64_t>wide + w.base)
            out += w.stride[0][0]
        n -= k


cdef void bernoulli_row(Walk *w, char *out, char *a, char *b, int64_t n) noexcept nogil:
    """One probability for all: (u * 2**-53 < p) is (u < p * 2**53), which is exact."""
    cdef uint32_t[2 * CHUNK] words
    cdef double threshold = load(a, w.code[1]) * 9007199254740992.0
    cdef int64_t k, i
    cdef uint64_t u
    cdef bint by_kernel = w.code[0] == F32 and w.stride[0][0] == 4 and _kernels[BERNOULLI] != NULL
    while n > 0:
        k = min(n, <int64_t>CHUNK)
        if by_kernel:
            raw_words(w.engine, words, 2 * k)
            bernoulli_by_kernel(out, words, threshold, k)
            out += 4 * k
            n -= k
            continue
        draw_words(w.engine, words, 2 * k)
        for i in range(k):
            u = ((<uint64_t>words[2 * i] << 32) | words[2 * i + 1]) & 0x1FFFFFFFFFFFFFu
            store_integer(out, w.code[0], <double>u < threshold)
            out += w.stride[0][0]
        n -= k


cdef int add_operand(Walk *w, int k, object value, Tensor like) except -1:
    """Operand ``k``: a number, or a float tensor of the output's shape."""
    cdef Tensor t
    cdef int i
    if not isinstance(value, Tensor):
        w.number[k] = value
        w.address[k] = <char *>&w.number[k]
        w.code[k] = F64
        for i in range(w.ndim):
            w.stride[k][i] = 0
        return 0
    t = value
    w.address[k] = t.address
    w.code[k] = t.code
    for i in range(like.ndim):
        w.stride[k][i] = t.strides[i] * ITEMSIZE[t.code]
    return 0


cdef int plan(Walk *w, Tensor out, object a, object b) except -1:
    """Describes the three operands, then orders the dims by the output's strides and joins those that follow each other."""
    cdef int i, j, k, size = ITEMSIZE[out.code]
    cdef bint paired = out.code == C64 or out.code == C128 or out.code == C32
    w.ndim = out.ndim
    w.address[0] = out.address
    w.code[0] = out.code
    for i in range(out.ndim):
        w.size[i] = out.sizes[i]
        w.stride[0][i] = out.strides[i] * size
        if out.strides[i] == 0 and out.sizes[i] > 1:
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
                "Please clone() the tensor before performing the operation."
            )
    if paired:  # real and imaginary parts are drawn in turn: one more dim
        w.code[0] = F32 if out.code == C64 else F64 if out.code == C128 else F16
        w.size[out.ndim] = 2
        w.stride[0][out.ndim] = size // 2
        w.ndim += 1
    add_operand(w, 1, a, out)
    add_operand(w, 2, b, out)
    order_dims(w)
    return 0


cdef void order_dims(Walk *w) noexcept nogil:
    """Sorts the dims by the output's strides, innermost first, without those of length 1, and joins those that follow each other."""
    cdef Walk given = w[0]
    cdef int[MAX_RANK + 1] order
    cdef int i, j, k, d, n = 0, last = -1
    cdef bint joined
    for i in range(given.ndim - 1, -1, -1):
        if given.size[i] == 1:
            continue
        j = n
        while j > 0 and given.stride[0][order[j - 1]] > given.stride[0][i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
        n += 1
    for i in range(n):
        d = order[i]
        joined = last >= 0
        for k in range(3):
            joined = joined and w.stride[k][last] * w.size[last] == given.stride[k][d]
        if joined:
            w.size[last] *= given.size[d]
            continue
        last += 1
        w.size[last] = given.size[d]
        for k in range(3):
            w.stride[k][last] = given.stride[k][d]
    if n == 0:  # one element
        w.size[0] = 1
        w.stride[0][0], w.stride[1][0], w.stride[2][0] = ITEMSIZE[w.code[0]], 0, 0
    w.ndim = last + 1 if n else 1


cdef void run(Walk *w, Row row) noexcept nogil:
    """Calls ``row`` for each innermost row, in the order of the outer dims."""
    cdef int64_t[MAX_RANK + 1] index
    cdef char *p[3]
    cdef int d, k
    memset(index, 0, sizeof(index))
    memcpy(p, w.address, sizeof(p))
    while True:
        row(w, p[0], p[1], p[2], w.size[0])
        d = 1
        while d < w.ndim:
            index[d] += 1
            for k in range(3):
                p[k] += w.stride[k][d]
            if index[d] < w.size[d]:
                break
            for k in range(3):
                p[k] -= w.stride[k][d] * w.size[d]
            index[d] = 0
            d += 1
        if d >= w.ndim:
            return


# -- what operators call. Arguments have been checked; tensors of parameters have the output's shape and a floating dtype. --

cdef int note_write(Tensor out) except -1:
    """What the tape wants to know before memory changes. Operators see to it that ``out`` is no recorded result."""
    catch_up()
    check_inplace(out, thread_state().grad and needs_grad(out))
    check_writable(out)
    return bump(out)


cdef Sampler sampler_of(str stream, int code, object a) except NULL:
    if stream == "uniform":
        if code == F64 or code == C128:
            return uniform_f64
        return uniform_f16 if code == F16 or code == C32 else uniform_bf16 if code == BF16 else uniform_f32
    if stream == "normal":
        return normal
    if stream == "bernoulli":
        return bernoulli if (<Tensor>a).code == F64 else bernoulli_f32
    if stream == "log_normal":
        return log_normal
    if stream == "poisson":
        return poisson
    if stream == "binomial":
        return binomial
    if stream == "gamma":
        return gamma_f64 if code == F64 else gamma_f32
    raise KeyError(stream)


cdef Transform transform_of(str stream) noexcept:
    """The function behind a stream of transformed uniforms, NULL for other streams."""
    if stream == "exponential":
        return exponential
    if stream == "geometric":
        return geometric
    return cauchy if stream == "cauchy" else <Transform>NULL


cdef int sample(Tensor out, str stream, object a, object b, Generator g) except -1:
    global normals
    cdef Walk w
    cdef Row row = sample_row
    cdef bint floats, blocks = stream == "normal" and out.flags & CONTIGUOUS
    note_write(out)
    if F8E4M3FN <= out.code < C32:
        raise callbacks.table["no_samples"](stream, out)
    if out.count == 0:
        return 0
    plan(&w, out, a, b)
    if stream == "bernoulli" and not isinstance(a, Tensor):
        row = bernoulli_row
    elif transform_of(stream) != NULL:
        row = transform_row
        w.transform = transform_of(stream)
    else:
        w.sampler = sampler_of(stream, out.code, a)
    blocks = blocks and w.size[0] >= 16
    floats = blocks and w.code[0] != F64
    normals += w.size[0] if floats else 0
    if normals >= MANY if floats else out.count >= LARGE:
        prepare(stream, w.code[0])
    g.hold()
    w.engine = &g.engine
    with nogil:
        if blocks:
            fill_normal(w.engine, w.address[0], w.size[0], w.code[0], w.number[1], w.number[2])
        else:
            run(&w, row)
    g.free()
    return 0


def fill(Tensor out, str stream, a=0.0, b=0.0, generator=None):
    """Fills ``out`` with samples and returns it.

    stream: uniform (a: low, b: high), normal and log_normal (mean, std), bernoulli (p), exponential (rate), geometric (p),
    cauchy (median, sigma), poisson (rate), binomial (count, p), gamma (alpha). a, b: numbers, or tensors of out's shape.
    """
    if out.place:
        note_write(out)
        return on_gpu["random.fill"](out, stream, a, b, generator)
    sample(out, stream, a, b, generator_of(generator))
    return out


cdef object randint_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(high, size) or (low, high, size): see Library.quick"""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t low
    size = <object>values[n - 1] if n else None
    if not 2 <= n <= 3 or type(size) is not tuple and type(size) is not list or thread_state().place:
        return None
    high = <object>values[n - 2]
    if type(high) is not int or type(<object>values[0]) is not int or not -1 << 60 < <object>values[0] < 1 << 60 or not high < 1 << 60:
        return None
    low = <object>values[0] if n == 3 else 0
    if high <= low or len(size) > 3 or not all([type(each) is int and 0 <= each < 1 << 20 for each in size]):
        return None
    return fill_integers(empty(I64, parse_ints(size, sizes, MAX_RANK), sizes), low, high - low, None)


def fill_integers(Tensor out, base, modulus, generator=None, *, wide=None):
    """Fills ``out`` with base + (word % modulus) and returns it. A modulus of 2**64 takes all words.

    wide: two words make one number; by default for a modulus of 2**28 and more.
    """
    if out.place:
        note_write(out)
        return on_gpu["random.fill_integers"](out, base, modulus, generator, wide)
    cdef Walk w
    cdef Generator g = generator_of(generator)
    note_write(out)
    if out.count == 0:
        return out
    plan(&w, out, 0.0, 0.0)
    w.base = base
    w.modulus = 0 if modulus >> 64 else modulus
    w.wide = modulus >= 1 << 28 if wide is None else wide
    if out.count >= LARGE:
        prepare("", I64)
    g.hold()
    w.engine = &g.engine
    with nogil:
        run(&w, integer_row)
    g.free()
    return out


def fill_gamma_slopes(Tensor out, Tensor alpha, Tensor samples):
    """Fills ``out`` with the derivatives of gamma samples by alpha; all three are row-major, of one shape and dtype. Returns it."""
    if out.place:
        return on_gpu["special.fill_gamma_slopes"](out, alpha, samples)
    cdef int64_t i, size = ITEMSIZE[out.code]
    with nogil:
        for i in range(out.count):
            store(out.address + i * size, out.code, gamma_slope(load(alpha.address + i * size, out.code), load(samples.address + i * size, out.code)))
    return out


include "choices.pxi"


quick = {"randint": native("randint", randint_quickly, None)}
name_type(Generator, b"rushlight.Generator", b"torch._C.Generator")
