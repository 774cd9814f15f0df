// In front of every CUDA kernel of rushlight: what the generated code and the kernels in *.cu files share, section by section as far as a kernel uses
// it (compile.py). Includes nothing, so that it compiles in milliseconds; the shim of tests/cuda declares what the language itself has on a GPU.

typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;

#define INLINE static __device__ __forceinline__

// -- parameters and faults ----------------------------------------------------------------------------------------------------------------------

// An operand in a kernel's parameter: its address, or its value from the first byte on.
struct Slot {
    char *pointer;
    i64 more;
};

// Part ``index`` of the number in a slot (1: the imaginary part).
template <typename T> INLINE T number(const Slot &slot, int index) { return reinterpret_cast<const T *>(&slot)[index]; }

// What went wrong first, in memory that the host sees. raised: 0 nothing, 1 somebody is writing the record, 2 it is there.
struct Fault {
    i32 raised, operator_code;
    i64 value, limit, position, spare[2];
};

INLINE void report(Fault *fault, int operator_code, i64 value, i64 limit, i64 position)
{
    if (atomicCAS(&fault->raised, 0, 1) == 0) {
        fault->operator_code = operator_code;
        fault->value = value;
        fault->limit = limit;
        fault->position = position;
        __threadfence_system();  // the host may look before the kernel is done
        *(volatile i32 *)&fault->raised = 2;
    }
}

// An index counted from the end where it is negative; outside of [-limit, limit) a report, and 0.
INLINE i64 checked(Fault *fault, int operator_code, i64 index, i64 limit, i64 position)
{
    if (index >= -limit && index < limit) return index < 0 ? index + limit : index;
    report(fault, operator_code, index, limit, position);
    return 0;
}

// -- memory -------------------------------------------------------------------------------------------------------------------------------------

// N elements moved in one access (in several of 16 bytes where they are more).
template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
    T v[N];
};

template <typename P> INLINE P load(const char *address) { return *reinterpret_cast<const P *>(address); }
template <typename P> INLINE void store(char *address, const P &value) { *reinterpret_cast<P *>(address) = value; }

// Are all the low bits zero that an access of ``bytes`` wants zero?
INLINE bool divides(int bytes, i64 address) { return (address & (bytes - 1)) == 0; }
INLINE bool divides(int bytes, const char *address) { return divides(bytes, reinterpret_cast<i64>(address)); }

// -- bits ---------------------------------------------------------------------------------------------------------------------------------------

template <typename To, typename From> INLINE To bits_as(From x)
{
    union {
        From from;
        To to;
    } both;
    both.from = x;
    return both.to;
}

INLINE i32 high_product(i32 a, i32 b) { return (i32)((i64)a * b >> 32); }
INLINE u32 high_product(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }
#ifdef __CUDA_ARCH__
INLINE i64 high_product(i64 a, i64 b) { return __mul64hi(a, b); }
INLINE u64 high_product(u64 a, u64 b) { return __umul64hi(a, b); }
#else
INLINE i64 high_product(i64 a, i64 b) { return (i64)((__int128)a * b >> 64); }
INLINE u64 high_product(u64 a, u64 b) { return (u64)((unsigned __int128)a * b >> 64); }
#endif

// -- small floats -------------------------------------------------------------------------------------------------------------------------------
// Values of a small float type are held as their bits. Each becomes another type by way of f32, rounded to nearest even.

// MANTISSA bits, exponent BIAS, the codes of the LARGEST finite value, of OVERFLOW and of NAN. The formats whose NaN is the bare sign have no negative
// zero; those where OVERFLOW is not above LARGEST, or is NaN, have no infinity.
template <int BITS, int MANTISSA, int BIAS, u32 LARGEST, u32 OVERFLOW, u32 NOT_A_NUMBER> struct Format {
    static constexpr u32 SIGN = 1u << (BITS - 1);
    static constexpr bool INFINITIES = LARGEST < OVERFLOW && OVERFLOW < NOT_A_NUMBER;

    INLINE f32 widen(u32 bits)
    {
        const u32 magnitude = bits & (SIGN - 1);
        // The exponent is still biased for the small format; one exact multiplication corrects it, denormals included.
        f32 value = bits_as<f32>(magnitude << (23 - MANTISSA)) * bits_as<f32>((u32)(254 - BIAS) << 23);
        if (INFINITIES && magnitude == OVERFLOW) value = bits_as<f32>(0x7f800000u);
        if (INFINITIES ? magnitude > OVERFLOW : (NOT_A_NUMBER == SIGN ? bits : magnitude) == NOT_A_NUMBER) value = bits_as<f32>(0x7fc00000u);
        return bits & SIGN ? -value : value;
    }

    INLINE u32 narrow(f32 x)
    {
        constexpr int DROPPED = 23 - MANTISSA;
        const u32 bits = bits_as<u32>(x), magnitude = bits & 0x7fffffffu;
        u32 result;
        if (magnitude < (u32)(128 - BIAS) << 23) {  // adding 2**k, whose last place is the smallest denormal, lets the adder round
            const f32 anchor = bits_as<f32>((u32)(127 + 24 - BIAS - MANTISSA) << 23);
            result = bits_as<u32>(bits_as<f32>(magnitude) + anchor) & (2 * SIGN - 1);
        } else {
            const u32 rebased = magnitude - ((u32)(127 - BIAS) << 23);
            result = (rebased + ((1u << (DROPPED - 1)) - 1) + (rebased >> DROPPED & 1)) >> DROPPED;
        }
        if (result > LARGEST) result = OVERFLOW;
        if (x != x) result = NOT_A_NUMBER;
        const u32 sign = NOT_A_NUMBER == SIGN && result == 0 ? 0 : bits >> (32 - BITS) & SIGN;
        return result | sign;
    }
};

// -- floats of 8 bits ---------------------------------------------------------------------------------------------------------------------------

typedef Format<8, 2, 15, 0x7b, 0x7c, 0x7f> E5m2;
typedef Format<8, 3, 7, 0x7e, 0x7e, 0x7f> E4m3fn;
typedef Format<8, 3, 8, 0x7f, 0x80, 0x80> E4m3fnuz;
typedef Format<8, 2, 16, 0x7f, 0x80, 0x80> E5m2fnuz;

INLINE f32 from_f8e5m2(u8 x) { return E5m2::widen(x); }
INLINE f32 from_f8e4m3fn(u8 x) { return E4m3fn::widen(x); }
INLINE f32 from_f8e4m3fnuz(u8 x) { return E4m3fnuz::widen(x); }
INLINE f32 from_f8e5m2fnuz(u8 x) { return E5m2fnuz::widen(x); }
INLINE u8 to_f8e5m2(f32 x) { return (u8)E5m2::narrow(x); }
INLINE u8 to_f8e4m3fn(f32 x) { return (u8)E4m3fn::narrow(x); }
INLINE u8 to_f8e4m3fnuz(f32 x) { return (u8)E4m3fnuz::narrow(x); }
INLINE u8 to_f8e5m2fnuz(f32 x) { return (u8)E5m2fnuz::narrow(x); }

// A bare exponent: 2**(x - 127); 255 is NaN, 0 the denormal 2**-127.
INLINE f32 from_f8e8m0fnu(u8 x) { return bits_as<f32>(x == 255 ? 0x7fc00000u : x == 0 ? 1u << 22 : (u32)x << 23); }

// The exponent of |x| rounded to nearest, ties up; 255 stands for infinity and NaN, and for what rounds beyond 2**127.
INLINE u8 to_f8e8m0fnu(f32 x)
{
    const u32 exponent = bits_as<u32>(x) >> 23 & 255, mantissa = bits_as<u32>(x) & 0x7fffff;
    const bool up = mantissa > 1u << 22 || (mantissa == 1u << 22 && exponent > 0);
    return (u8)(exponent + (up && exponent < 255));
}

// -- floats of 16 bits --------------------------------------------------------------------------------------------------------------------------

INLINE f32 from_bf16(u16 x) { return bits_as<f32>((u32)x << 16); }

#ifdef __CUDA_ARCH__
INLINE u16 to_bf16(f32 x)
{
    u16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
}

INLINE f32 from_f16(u16 x)
{
    f32 result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x));
    return result;
}

INLINE u16 to_f16(f32 x)
{
    u16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
    return result;
}
#else
INLINE u16 to_bf16(f32 x)
{
    const u32 bits = bits_as<u32>(x);
    return x != x ? 0x7fff : (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

typedef Format<16, 10, 15, 0x7bff, 0x7c00, 0x7e00> Half;
INLINE f32 from_f16(u16 x) { return Half::widen(x); }
INLINE u16 to_f16(f32 x) { return (u16)Half::narrow(x); }
#endif

// -- conversion of floats to integers: truncated; out of range and NaN give the smallest i32 or i64, as on x86, and its low bits if narrower ----------

INLINE i32 whole32(f32 x) { return x < 0x1p31f && x >= -0x1p31f ? (i32)x : -0x7fffffff - 1; }
INLINE i32 whole32(f64 x) { return x < 0x1p31 && x > -0x1p31 - 1 ? (i32)x : -0x7fffffff - 1; }
INLINE i64 whole64(f32 x) { return x < 0x1p63f && x >= -0x1p63f ? (i64)x : -0x7fffffffffffffffLL - 1; }
INLINE i64 whole64(f64 x) { return x < 0x1p63 && x >= -0x1p63 ? (i64)x : -0x7fffffffffffffffLL - 1; }

template <typename F> INLINE u64 whole_u64(F x)
{
    const F half = (F)0x1p63;
    return x >= half ? (u64)whole64(x - half) ^ 0x8000000000000000ULL : (u64)whole64(x);
}

// -- extrema ------------------------------------------------------------------------------------------------------------------------------------

// The extremum that a NaN on either side wins; of equal numbers (0 and -0) the first, where min.NaN and max.NaN order zeros by their signs.
template <typename T> INLINE T minimum(T a, T b) { return b != b || b < a ? b : a; }
template <typename T> INLINE T maximum(T a, T b) { return b != b || b > a ? b : a; }

// -- integers, signed or not --------------------------------------------------------------------------------------------------------------------

template <typename T> struct Signed {
    static constexpr bool value = (T)-1 < (T)0;
};

template <typename T> INLINE T size_of(T a) { return a < 0 ? (T)(0 - (u64)a) : a; }

// -- quotients and remainders, where C++ leaves cases open or lacks them ------------------------------------------------------------------------

// The truncated quotient; 0 where b is 0, and the smallest value divided by -1 wraps.
template <typename T> INLINE T quotient(T a, T b)
{
    if (b == 0) return 0;
    if (Signed<T>::value && b == (T)-1) return (T)(0 - (u64)a);
    return a / b;
}

// a - quotient(a, b) * b; 0 where b is 0.
template <typename T> INLINE T rest_of(T a, T b)
{
    if (b == 0 || (Signed<T>::value && b == (T)-1)) return 0;
    return a % b;
}

INLINE f32 rest_of(f32 a, f32 b) { return fmodf(a, b); }
INLINE f64 rest_of(f64 a, f64 b) { return fmod(a, b); }
INLINE f32 floor_of(f32 x) { return floorf(x); }
INLINE f64 floor_of(f64 x) { return floor(x); }
INLINE f32 with_sign(f32 x, f32 sign) { return copysignf(x, sign); }
INLINE f64 with_sign(f64 x, f64 sign) { return copysign(x, sign); }

// Does the nonzero remainder lack the divisor's sign, so that C's and Python's remainders differ?
template <typename T> INLINE bool signs_differ(T rest, T b) { return rest != 0 && (rest < 0) != (b < 0); }

// Python's remainder: the sign of the divisor.
template <typename T> INLINE T floor_rest(T a, T b)
{
    const T r = rest_of(a, b);
    return signs_differ(r, b) ? (T)(r + b) : r;
}

// The greatest common divisor, by Euclid's algorithm, where the most negative number is its own magnitude.
template <typename T> INLINE T common_divisor(T a, T b)
{
    while (b != 0) {
        const T r = rest_of(a, b);
        a = b;
        b = r;
    }
    return a < 0 ? (T)(0 - (u64)a) : a;
}

// Python's quotient, rounded towards minus infinity.
template <typename T> INLINE T floor_quotient(T a, T b)
{
    const T q = quotient(a, b);
    return b != 0 && signs_differ(rest_of(a, b), b) ? (T)(q - 1) : q;
}

// From the exact remainder, as CPython does it, so that q * b + a % b stays close to a; a / b where b is 0.
template <typename F> INLINE F float_floor_quotient(F a, F b)
{
    if (b == 0) return a / b;
    const F r = rest_of(a, b);
    F q = (a - r) / b;
    if (signs_differ(r, b)) q = q - 1;
    const F low = floor_of(q);
    return q == 0 ? with_sign((F)0, a / b) : q - low > (F)0.5 ? low + 1 : low;
}

INLINE f32 floor_quotient(f32 a, f32 b) { return float_floor_quotient(a, b); }
INLINE f64 floor_quotient(f64 a, f64 b) { return float_floor_quotient(a, b); }

// -- quotients by one divisor -------------------------------------------------------------------------------------------------------------------

// a / b for many a and one b: r is divisor(b), its reciprocal, or 0 where that would not do. One correction of a * r rounds as a division does
// (P. Markstein, 1990), as long as nothing underflows or overflows: a must be large enough for its distance from q * b to be exact. ``close``
// turns false where that is not known; then the same is asked for as EXACT. No branch, so that quotients overlap; +0, as masks leave it, is close.
INLINE f32 divisor(f32 b) { return fabsf(b) > 0x1p-24f && fabsf(b) < 0x1p24f ? 1 / b : 0.0f; }
template <bool EXACT> INLINE f32 divided(f32 a, f32 b, f32 r, bool &close)
{
    if (EXACT) return a / b;
    const f32 q = a * r;
    close &= (r != 0) & (((fabsf(a) > 0x1p-100f) & (fabsf(a) < 0x1p100f)) | (bits_as<u32>(a) == 0));
    return fmaf(fmaf(-b, q, a), r, q);
}

// -- shifts -------------------------------------------------------------------------------------------------------------------------------------

// Shifts; counts outside of [0, bits) shift everything out, a sign excepted.
template <typename T> INLINE T shift_left(T a, T count) { return (u64)(i64)count < 8 * sizeof(T) ? (T)((u64)a << count) : (T)0; }
template <typename T> INLINE T shift_right(T a, T count)
{
    if ((u64)(i64)count < 8 * sizeof(T)) return a >> count;
    return Signed<T>::value && a < 0 ? (T)-1 : (T)0;
}

// -- warps --------------------------------------------------------------------------------------------------------------------------------------

INLINE i32 shuffle_xor(i32 x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
INLINE f32 shuffle_xor(f32 x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
INLINE i64 shuffle_xor(i64 x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
INLINE f64 shuffle_xor(f64 x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
INLINE u32 shuffle_xor(u32 x, int mask) { return (u32)shuffle_xor((i32)x, mask); }
INLINE u64 shuffle_xor(u64 x, int mask) { return (u64)shuffle_xor((i64)x, mask); }
INLINE i16 shuffle_xor(i16 x, int mask) { return (i16)shuffle_xor((i32)x, mask); }
INLINE u16 shuffle_xor(u16 x, int mask) { return (u16)shuffle_xor((i32)x, mask); }
INLINE i8 shuffle_xor(i8 x, int mask) { return (i8)shuffle_xor((i32)x, mask); }
INLINE u8 shuffle_xor(u8 x, int mask) { return (u8)shuffle_xor((i32)x, mask); }
INLINE bool shuffle_xor(bool x, int mask) { return shuffle_xor((i32)x, mask) != 0; }

// -- reductions ---------------------------------------------------------------------------------------------------------------------------------
// An accumulator starts from its neutral element, takes elements, joins others (in either order, to the same bits), and ends in a value or two.

#define METHOD __device__ __forceinline__

// A float sum with a running compensation (Knuth's two-sum): the error does not grow with the number of elements.
template <typename T> struct FloatSum {
    T high, low;
    METHOD void add(T x, T lows)
    {
        const T sum = high + x, part = sum - high;
        low = lows + ((high - (sum - part)) + (x - part));
        high = sum;
    }
    METHOD void take(T x) { add(x, low); }
    METHOD void join(const FloatSum &other) { add(other.high, low + other.low); }
    METHOD FloatSum shuffled(int mask) const { return {shuffle_xor(high, mask), shuffle_xor(low, mask)}; }
    METHOD T slot0() const { return high + (low == low ? low : 0); }  // an infinite sum leaves a NaN as its compensation
};

// A few elements, added in pairs.
template <int N, typename T> INLINE T sum_of(const T *x)
{
    if constexpr (N == 1) return x[0];
    else return sum_of<N / 2>(x) + sum_of<N - N / 2>(x + N / 2);
}

#define ACCUMULATOR(Name, joined)                                                       \
    template <typename T> struct Name {                                                 \
        T value;                                                                        \
        METHOD void take(T x) { value = joined; }                                       \
        METHOD void join(const Name &other) { take(other.value); }                      \
        METHOD Name shuffled(int mask) const { return {shuffle_xor(value, mask)}; }     \
        METHOD T slot0() const { return value; }                                        \
    };
ACCUMULATOR(IntegerSum, (T)((u64)value + (u64)x))
ACCUMULATOR(IntegerProduct, (T)((u64)value * (u64)x))
ACCUMULATOR(FloatProduct, value * x)
ACCUMULATOR(Largest, maximum(value, x))
ACCUMULATOR(Smallest, minimum(value, x))
ACCUMULATOR(Any, value || x)
ACCUMULATOR(All, value && x)
#undef ACCUMULATOR

template <typename T> struct ComplexProduct {
    T re, im;
    METHOD void take(T x, T y)
    {
        const T r = re * x - im * y;
        im = re * y + im * x;
        re = r;
    }
    METHOD void join(const ComplexProduct &other) { take(other.re, other.im); }
    METHOD ComplexProduct shuffled(int mask) const { return {shuffle_xor(re, mask), shuffle_xor(im, mask)}; }
    METHOD T slot0() const { return re; }
    METHOD T slot1() const { return im; }
};

// An extremum and its position: a NaN beats everything else, of equals the first one counts.
template <typename T, bool LARGEST> struct ArgExtremum {
    T value;
    i64 position;
    METHOD void take(T x, i64 at)
    {
        const bool nan = x != x, was_nan = value != value;
        const bool better = nan ? !was_nan : LARGEST ? x > value : x < value;
        const bool same = nan ? was_nan : x == value;
        if (better || (same && at < position)) {
            value = x;
            position = at;
        }
    }
    METHOD void join(const ArgExtremum &other) { take(other.value, other.position); }
    METHOD ArgExtremum shuffled(int mask) const { return {shuffle_xor(value, mask), shuffle_xor(position, mask)}; }
    METHOD T slot0() const { return value; }
    METHOD i64 slot1() const { return position; }
};

// -- joins of accumulators ----------------------------------------------------------------------------------------------------------------------

// The accumulators of the ``width`` threads (a power of two) that share a row, joined; all of them get the result, the first one in the order of threads. A width
// above 32 is that of the block, which has then room for one accumulator of each warp.
template <typename A> INLINE A joined(A a, int width, A *room)
{
    for (int mask = 1; mask < (width < 32 ? width : 32); mask *= 2) a.join(a.shuffled(mask));
    if (width > 32) {
        const int warps = width / 32;
        if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = a;
        __syncthreads();
        a = room[threadIdx.x & (warps - 1)];
        for (int mask = 1; mask < warps; mask *= 2) a.join(a.shuffled(mask));
    }
    return a;
}

// The accumulators of the threads of V columns (threadIdx.y, a power of two of them), joined half with half; if ``spread`` all of them get the
// result, else the first ones. room: for V accumulators of half the threads.
template <int V, typename A> INLINE void joined_down(A (&a)[V], A *room, bool spread)
{
    const int y = threadIdx.y;
    A *const mine = room + threadIdx.x;
    auto slot = [&](int row, int j) -> A & { return mine[(row * V + j) * blockDim.x]; };
    if (blockDim.y == 1) return;
#pragma unroll 1
    for (int half = blockDim.y / 2, moved = half; half > 0; half /= 2, moved = 0) {  // later on a thread writes where it read
        if (y >= half && y < 2 * half) {
#pragma unroll
            for (int j = 0; j < V; ++j) slot(y - moved, j) = a[j];
        }
        __syncthreads();
        if (y < half) {
#pragma unroll
            for (int j = 0; j < V; ++j) a[j].join(slot(y + half - moved, j));
        }
    }
    if (spread) {
        if (y == 0) {
#pragma unroll
            for (int j = 0; j < V; ++j) slot(0, j) = a[j];
        }
        __syncthreads();
#pragma unroll
        for (int j = 0; j < V; ++j) a[j] = slot(0, j);
    }
}

// -- groups of elements that may lie apart ------------------------------------------------------------------------------------------------------

// V elements from ``first`` on, ``apart`` from one another, of PARTS numbers each; zeros from ``end`` on. whole: they lie together, in one access.
template <typename T, int V, int PARTS, typename Index, typename Address>
INLINE Pack<T, V * PARTS> gathered(bool whole, Address address, Index first, Index apart, Index end)
{
    Pack<T, V * PARTS> pack = {};
    if (whole) {
        if (first < end) pack = load<Pack<T, V * PARTS>>(address(first));
        return pack;
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
#pragma unroll
        for (int q = 0; q < PARTS; ++q) {
            if (first + j * apart < end) pack.v[j * PARTS + q] = load<T>(address(first + j * apart) + q * sizeof(T));
        }
    }
    return pack;
}

template <typename T, int V, int PARTS, typename Index, typename Address>
INLINE void scattered(const Pack<T, V * PARTS> &pack, bool whole, Address address, Index first, Index apart, Index end)
{
    if (whole) {
        if (first < end) store(address(first), pack);
        return;
    }
#pragma unroll
    for (int j = 0; j < V; ++j) {
#pragma unroll
        for (int q = 0; q < PARTS; ++q) {
            if (first + j * apart < end) store(address(first + j * apart) + q * sizeof(T), pack.v[j * PARTS + q]);
        }
    }
}

// -- atomics ------------------------------------------------------------------------------------------------------------------------------------

// Replaces the element at an address by ``change(what it was)`` in one step; T has 1, 2, 4 or 8 bytes.
template <typename T, typename Change> INLINE void atomic_update(T *address, Change change)
{
    if constexpr (sizeof(T) == 8) {
        u64 *const word = reinterpret_cast<u64 *>(address);
        u64 seen = *word, expected;
        do {
            expected = seen;
            seen = atomicCAS(word, expected, bits_as<u64>(change(bits_as<T>(expected))));
        } while (seen != expected);
    } else if constexpr (sizeof(T) == 4) {
        u32 *const word = reinterpret_cast<u32 *>(address);
        u32 seen = *word, expected;
        do {
            expected = seen;
            seen = atomicCAS(word, expected, bits_as<u32>(change(bits_as<T>(expected))));
        } while (seen != expected);
    } else {  // the word around it
        const u64 place = reinterpret_cast<u64>(address);
        u32 *const word = reinterpret_cast<u32 *>(place & ~3ULL);
        const int shift = (int)(place & 3) * 8;
        const u32 mask = (sizeof(T) == 1 ? 0xffu : 0xffffu) << shift;
        u32 seen = *word, expected;
        do {
            expected = seen;
            const T changed = change((T)((expected & mask) >> shift));
            const u32 bits = sizeof(T) == 1 ? (u32)(u8)changed : (u32)(u16)changed;
            seen = atomicCAS(word, expected, (expected & ~mask) | bits << shift);
        } while (seen != expected);
    }
}

INLINE void atomic_add(f32 *address, f32 x) { atomicAdd(address, x); }
INLINE void atomic_add(f64 *address, f64 x) { atomicAdd(address, x); }
INLINE void atomic_add(i32 *address, i32 x) { atomicAdd(address, x); }
INLINE void atomic_add(u32 *address, u32 x) { atomicAdd(address, x); }
INLINE void atomic_add(u64 *address, u64 x) { atomicAdd(address, x); }
INLINE void atomic_add(i64 *address, i64 x) { atomicAdd(reinterpret_cast<u64 *>(address), (u64)x); }

// -- dynamic shared memory ----------------------------------------------------------------------------------------------------------------------

#ifdef __CUDA_ARCH__
#define DYNAMIC_SHARED(type, name)                              \
    extern __shared__ __align__(16) unsigned char all_shared[]; \
    type *const name = reinterpret_cast<type *>(all_shared)
#else
#define DYNAMIC_SHARED(type, name) type *const name = reinterpret_cast<type *>(shim::dynamic)
#endif

// -- end of the prelude -------------------------------------------------------------------------------------------------------------------------
