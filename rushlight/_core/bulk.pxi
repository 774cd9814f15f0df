# Many adjacent values at once. Included by random.pyx.
#
# Raw words go straight to where the values will stand, then one pass, cut among threads, turns them into values in place: by a kernel of the kernel
# language for large fills, else by the loops below, which do the same.

ctypedef void (*Kernel)(char **pointers, const int64_t *inner, const int64_t *outer, int64_t n, int64_t rows) noexcept nogil

cdef enum:
    TWIST = 0
    UNIFORM = 1  # followed by its float64 form
    NORMAL = 3   # likewise
    BERNOULLI = 5

cdef Kernel[6] _kernels
cdef tuple _KERNEL_NAMES = ("twist", "uniform_f32", "uniform_f64", "normal_f32", "normal_f64", "bernoulli_f32")
cdef object _compile = None


def set_compiler(function):
    """Registers what finds kernels: function(name) -> address."""
    global _compile
    _compile = function


cdef int load_kernel(int which) except -1:
    if _kernels[which] == NULL and _compile is not None:
        _kernels[which] = <Kernel><void *><size_t>_compile(_KERNEL_NAMES[which])
    return 0


cdef int prepare(str stream, int code) except -1:
    """Finds the kernels for a large fill."""
    load_kernel(TWIST)
    if stream == "uniform" and (code == F32 or code == F64):
        load_kernel(UNIFORM + (code == F64))
    elif stream == "normal":
        load_kernel(NORMAL + (code == F64))
    elif stream == "bernoulli" and code == F32:
        load_kernel(BERNOULLI)
    return 0


cdef void twist_by_kernel(uint32_t *s) noexcept nogil:
    """The recurrence in three runs without overlap, into a second buffer; the last word needs the first new one."""
    cdef uint32_t[WORDS] fresh
    cdef char *p[4]
    cdef int64_t[4] inner
    cdef int64_t[4] outer
    cdef int start = 0, n
    inner[0], inner[1], inner[2], inner[3] = 4, 4, 4, 4
    outer[0], outer[1], outer[2], outer[3] = 0, 0, 0, 0
    while start < WORDS - 1:
        n = min(WORDS - SHIFT, WORDS - 1 - start)
        p[0] = <char *>(fresh + start)
        p[1] = <char *>(s + SHIFT if start == 0 else fresh + start - (WORDS - SHIFT))
        p[2] = <char *>(s + start)
        p[3] = <char *>(s + start + 1)
        _kernels[TWIST](p, inner, outer, n, 1)
        start += n
    fresh[WORDS - 1] = fresh[SHIFT - 1] ^ mix(s[WORDS - 1], fresh[0])
    memcpy(s, fresh, sizeof(fresh))


cdef struct Pass:
    char *data
    double a
    double b
    int code
    Kernel kernel


cdef inline double unit_of_pair(uint32_t *words) noexcept nogil:
    """Two raw words, first one high, as a double in [0, 1)."""
    return <double>(((<uint64_t>temper(words[0]) << 32) | temper(words[1])) & 0x1FFFFFFFFFFFFFu) * INVERSE_53


cdef void uniform_pass(void *context, int64_t begin, int64_t end) noexcept nogil:
    """Raw words at [begin, end) to uniforms in [a, b)."""
    cdef Pass *p = <Pass *>context
    cdef float *singles = <float *>p.data
    cdef double *doubles = <double *>p.data
    cdef uint32_t *words = <uint32_t *>p.data
    cdef float low = <float>p.a, width = <float>p.b - <float>p.a
    cdef int64_t i
    if p.kernel != NULL:
        uniform_by_kernel(p, begin, end)
    elif p.code == F32:
        for i in range(begin, end):
            singles[i] = fmaf(<float>(temper(words[i]) & 0xFFFFFFu) * INVERSE_24, width, low)
    else:
        for i in range(begin, end):
            doubles[i] = fma(unit_of_pair(words + 2 * i), p.b - p.a, p.a)


cdef void uniform_by_kernel(Pass *p, int64_t begin, int64_t end) noexcept nogil:
    cdef float[2] singles
    cdef double[2] doubles
    cdef int64_t size = 4 if p.code == F32 else 8
    cdef char *pointers[4]
    cdef int64_t[4] inner
    cdef int64_t[4] outer
    singles[0], singles[1] = <float>p.a, <float>p.b - <float>p.a
    doubles[0], doubles[1] = p.a, p.b - p.a
    inner[0], inner[1], inner[2], inner[3] = size, size, 0, 0
    outer[0], outer[1], outer[2], outer[3] = 0, 0, 0, 0
    pointers[0] = pointers[1] = p.data + begin * size
    pointers[2] = <char *>singles if p.code == F32 else <char *>doubles
    pointers[3] = pointers[2] + size
    p.kernel(pointers, inner, outer, end - begin, 1)


cdef void bernoulli_by_kernel(char *out, uint32_t *words, double threshold, int64_t n) noexcept nogil:
    """Adjacent float32 zeros and ones from pairs of raw words."""
    cdef char *pointers[3]
    cdef int64_t[3] inner
    cdef int64_t[3] outer
    pointers[0], pointers[1], pointers[2] = out, <char *>words, <char *>&threshold
    inner[0], inner[1], inner[2] = 4, 8, 0
    outer[0], outer[1], outer[2] = 0, 0, 0
    _kernels[BERNOULLI](pointers, inner, outer, n, 1)


cdef void normal_pass(void *context, int64_t begin, int64_t end) noexcept nogil:
    """Raw words of the blocks of 16 values at [begin, end) to normals: radius from the first eight, angle from the last eight."""
    cdef Pass *p = <Pass *>context
    cdef int64_t block
    cdef int j
    if p.kernel != NULL:
        block = begin
        while block < end:
            normal_by_kernel(p, block, min(end - block, <int64_t>CHUNK // 16))
            block += CHUNK // 16
        return
    for block in range(begin, end):
        for j in range(8):
            if p.code == F32:
                normal_pair_f32(<float *>p.data + 16 * block + j, <float>p.a, <float>p.b)
            else:
                normal_pair_f64(<double *>p.data + 16 * block + j, p.a, p.b)


cdef inline void copy_half(char *target, const char *source, int code) noexcept nogil:
    """Eight values; with a constant length the compiler makes two instructions of it."""
    if code == F32:
        memcpy(target, source, 32)
    else:
        memcpy(target, source, 64)


cdef void normal_by_kernel(Pass *p, int64_t begin, int64_t blocks) noexcept nogil:
    """Some blocks: the kernel wants all radii in a row, and all angles."""
    cdef char[CHUNK * 8] scratch
    cdef float[2] singles
    cdef double[2] doubles
    cdef int64_t size = 4 if p.code == F32 else 8
    cdef int64_t half = 8 * size, block
    cdef char *data = p.data + begin * 2 * half
    cdef char *pointers[6]
    cdef int64_t[6] inner
    cdef int64_t[6] outer
    singles[0], singles[1] = <float>p.a, <float>p.b
    doubles[0], doubles[1] = p.a, p.b
    inner[0], inner[1], inner[2], inner[3], inner[4], inner[5] = size, size, size, size, 0, 0
    memset(outer, 0, sizeof(outer))
    pointers[0] = pointers[2] = scratch
    pointers[1] = pointers[3] = scratch + blocks * half
    pointers[4] = <char *>singles if p.code == F32 else <char *>doubles
    pointers[5] = pointers[4] + size
    for block in range(blocks):
        copy_half(pointers[0] + block * half, data + 2 * block * half, p.code)
        copy_half(pointers[1] + block * half, data + (2 * block + 1) * half, p.code)
    p.kernel(pointers, inner, outer, 8 * blocks, 1)
    for block in range(blocks):
        copy_half(data + 2 * block * half, pointers[0] + block * half, p.code)
        copy_half(data + (2 * block + 1) * half, pointers[1] + block * half, p.code)


cdef inline void normal_pair_f32(float *x, float mean, float std) noexcept nogil:
    cdef uint32_t *words = <uint32_t *>x
    cdef float radius = sqrtf(-2 * cephes_log(1 - <float>(temper(words[0]) & 0xFFFFFFu) * INVERSE_24))
    cdef float angle = <float>TWO_PI * (<float>(temper(words[8]) & 0xFFFFFFu) * INVERSE_24)
    cephes_circle(angle, x + 8, x)
    x[0] = fmaf(radius * x[0], std, mean)
    x[8] = fmaf(radius * x[8], std, mean)


cdef inline float cephes_log(float x) noexcept nogil:
    """log(x) of a float32 in (0, 1] by S. L. Moshier's Cephes library, in the order of operations that gives PyTorch's bits."""
    cdef Bits32 b
    cdef float exponent, y, z
    b.f = x
    exponent = <float>(<int32_t>(b.u >> 23) - 126)
    b.u = (b.u & 0x007FFFFFu) | 0x3F000000u
    x = b.f - 1
    if b.f < <float>0.707106781186547524:
        exponent -= 1
        x += b.f
    z = x * x
    y = fmaf(<float>7.0376836292e-2, x, <float>-1.1514610310e-1)
    y = fmaf(y, x, <float>1.1676998740e-1)
    y = fmaf(y, x, <float>-1.2420140846e-1)
    y = fmaf(y, x, <float>1.4249322787e-1)
    y = fmaf(y, x, <float>-1.6668057665e-1)
    y = fmaf(y, x, <float>2.0000714765e-1)
    y = fmaf(y, x, <float>-2.4999993993e-1)
    y = fmaf(y, x, <float>3.3333331174e-1)
    y = fmaf(y * x, z, exponent * <float>-2.12194440e-4)
    return fmaf(exponent, <float>0.693359375, x + fmaf(z, <float>-0.5, y))


cdef inline void cephes_circle(float angle, float *sine, float *cosine) noexcept nogil:
    """sin and cos of a float32 in [0, 2 pi], likewise."""
    cdef int32_t octant = (<int32_t>(angle * <float>1.27323954473516) + 1) & -2
    cdef float turns = <float>octant, z, s, c
    angle = fmaf(turns, <float>-0.78515625, angle)
    angle = fmaf(turns, <float>-2.4187564849853515625e-4, angle)
    angle = fmaf(turns, <float>-3.77489497744594108e-8, angle)
    z = angle * angle
    c = fmaf(fmaf(<float>2.443315711809948e-5, z, <float>-1.388731625493765e-3), z, <float>4.166664568298827e-2)
    c = fmaf(c * z, z, -(z * <float>0.5)) + 1
    s = fmaf(fmaf(<float>-1.9515295891e-4, z, <float>8.3321608736e-3), z, <float>-1.6666654611e-1)
    s = fmaf(s * z, angle, angle)
    if octant & 2:
        s, c = c, s
    sine[0] = -s if octant & 4 else s
    cosine[0] = -c if (octant + 2) & 4 else c


cdef inline void normal_pair_f64(double *x, double mean, double std) noexcept nogil:
    cdef double radius = sqrt(-2 * log(1 - unit_of_pair(<uint32_t *>x)))
    cdef double angle = TWO_PI * unit_of_pair(<uint32_t *>(x + 8))
    x[0] = radius * cos(angle) * std + mean
    x[8] = radius * sin(angle) * std + mean


cdef void fill_uniform(Engine *e, char *data, int64_t n, int code, double low, double high) noexcept nogil:
    """``n`` adjacent float32 or float64 uniforms."""
    cdef Pass p = Pass(data, low, high, code, _kernels[UNIFORM + (code == F64)])
    cdef int64_t k
    while n > 0:
        k = min(n, <int64_t>PIECE)
        raw_words(e, <uint32_t *>p.data, k if code == F32 else 2 * k)
        parallel_for(uniform_pass, &p, 0, k, GRAIN)
        p.data += k * (4 if code == F32 else 8)
        n -= k


cdef void fill_blocks(Engine *e, char *data, int64_t blocks, int code, double mean, double std, bint large) noexcept nogil:
    """Blocks of 16 adjacent float32 or float64 normals."""
    cdef Pass p = Pass(data, mean, std, code, NULL)
    cdef int64_t k
    # float64 normals differ in the last bits between kernel and loop: their size alone decides, not what ran before.
    if large or code == F32:
        p.kernel = _kernels[NORMAL + (code == F64)]
    while blocks > 0:
        k = min(blocks, <int64_t>PIECE // 16)
        raw_words(e, <uint32_t *>p.data, 16 * k if code == F32 else 32 * k)
        parallel_for(normal_pass, &p, 0, k, GRAIN // 16)
        p.data += 16 * k * (4 if code == F32 else 8)
        blocks -= k


cdef void skip(Engine *e, int64_t words) noexcept nogil:
    while words > 0:
        draw32(e)
        words -= 1


cdef void fill_normal(Engine *e, char *data, int64_t n, int code, double mean, double std) noexcept nogil:
    """``n`` >= 16 adjacent normals. A ragged end draws its last 16 values anew, over what was there."""
    cdef int64_t blocks = n // 16, ragged = n % 16
    cdef int size = ITEMSIZE[code]
    cdef bint large = n >= LARGE
    if code == F32 or code == F64:
        fill_blocks(e, data, blocks, code, mean, std, large)
        if ragged:
            skip(e, ragged if code == F32 else 2 * ragged)
            fill_blocks(e, data + (n - 16) * size, 1, code, mean, std, large)
    else:
        fill_half_blocks(e, data, blocks, code, mean, std, large)
        if ragged:
            fill_half_blocks(e, data + (n - 16) * size, 1, code, mean, std, large)


cdef void fill_half_blocks(Engine *e, char *data, int64_t blocks, int code, double mean, double std, bint large) noexcept nogil:
    """Blocks of 16 normals in float16 or bfloat16, computed in float32."""
    cdef float[CHUNK] scratch
    cdef int64_t k, i
    while blocks > 0:
        k = min(blocks, <int64_t>CHUNK // 16)
        fill_blocks(e, <char *>scratch, k, F32, mean, std, large)
        for i in range(16 * k):
            store(data + 2 * i, code, scratch[i])
        data += 32 * k
        blocks -= k
