// CUDA C on a host, for tests: what the language itself provides on a GPU. It stands in front of a translation unit that g++ compiles.
//
// Each CUDA thread of a block is a fiber (a plain call where the kernel has no barrier). A fiber runs until it waits at a barrier; blocks run one after
// another. The order of threads is the caller's choice: between two barriers any order is legal, so a right kernel gives the same in all of them.
// Includes nothing, so that a kernel compiles fast. Nothing here is thread-safe: a lock in launch() lets one launch at a time into a library.

typedef __SIZE_TYPE__ size_t;

extern "C" {
void *memset(void *, int, size_t) noexcept;
void *memcpy(void *, const void *, size_t) noexcept;
void *mmap(void *, size_t, int, int, int, long) noexcept;
#define MATH(name) double name(double) noexcept; float name##f(float) noexcept;
MATH(exp) MATH(exp2) MATH(exp10) MATH(expm1) MATH(log) MATH(log2) MATH(log10) MATH(log1p) MATH(sin) MATH(cos) MATH(tan) MATH(asin) MATH(acos) MATH(atan)
MATH(sinh) MATH(cosh) MATH(tanh) MATH(asinh) MATH(acosh) MATH(atanh) MATH(erf) MATH(erfc) MATH(cbrt) MATH(sqrt) MATH(fabs) MATH(floor) MATH(ceil)
MATH(trunc) MATH(rint) MATH(round) MATH(lgamma) MATH(tgamma) MATH(j0) MATH(j1) MATH(y0) MATH(y1)
#undef MATH
#define MATH(name) double name(double, double) noexcept; float name##f(float, float) noexcept;
MATH(pow) MATH(fmod) MATH(copysign) MATH(atan2) MATH(hypot) MATH(fmin) MATH(fmax) MATH(remainder)
#undef MATH
double fma(double, double, double) noexcept;
float fmaf(float, float, float) noexcept;
double ldexp(double, int) noexcept;
float ldexpf(float, int) noexcept;
}

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline void sincosf(float x, float *s, float *c) { *s = sinf(x), *c = cosf(x); }
inline void sincos(double x, double *s, double *c) { *s = sin(x), *c = cos(x); }
template <typename T> inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> inline T max(T a, T b) { return a < b ? b : a; }

// -- keywords -----------------------------------------------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __constant__ static const
#define __align__(n) __attribute__((aligned(n)))
// Shared memory is static and poisoned before each block: a section of its own says where it is.
#define __shared__ static __attribute__((section("shim_shared")))

struct uint3 { unsigned x, y, z; };
typedef uint3 dim3;
static uint3 threadIdx, blockIdx, blockDim, gridDim;
#define warpSize 32

// -- fibers -------------------------------------------------------------------------------------------------------------------------------------

namespace shim {

enum State { READY, AT_BLOCK, AT_WARP, DONE };
constexpr int MOST = 1024;
constexpr size_t STACK = (32 << 10) + 5 * 64;      // the stacks' tops spread over the sets of the cache

struct Fiber {
    void *stack;
    State state;
    unsigned mask;                  // the lanes that it waits for at a warp barrier
    uint3 index;
    alignas(16) char slot[256];     // what its warp's other lanes may read
};

static Fiber fibers[MOST];
static Fiber *current;
static void *scheduler;
static char *arena, *dynamic;
static bool fibrous, failed, misaligned;
static int counter;                 // of __syncthreads_count and kin
static const void *arguments;
static void (*entry)(const void *);

#if defined(__x86_64__)
// Saves the callee's registers on the stack, puts the stack's address at *from, and takes up the other stack.
extern "C" void shim_switch(void **from, void *to) asm("shim_switch");
asm(".text\n"
    "shim_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n");
#elif defined(__aarch64__)
extern "C" void shim_switch(void **from, void *to) asm("shim_switch");
asm(".text\n"
    "shim_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n    stp x25, x26, [sp, #48]\n"
    "    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
    "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n    ldp x25, x26, [sp, #48]\n"
    "    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n    ret\n");
#else
#error "the shim switches fibers on x86-64 and aarch64 only"
#endif

static void yield(State state)
{
    current->state = state;
    shim_switch(&current->stack, scheduler);
}

static void body()
{
    entry(arguments);
    yield(DONE);
}

// A fiber's first stack: the switch pops zeroes and returns into body().
static void *fresh(int i)
{
    void **top = reinterpret_cast<void **>(arena + STACK * (i + 1) - 64);
#if defined(__x86_64__)
    *--top = nullptr;               // body() never returns; its frame is aligned as after a call
    *--top = reinterpret_cast<void *>(body);
    for (int k = 0; k < 6; ++k) *--top = nullptr;
#else
    top -= 20;
    for (int k = 0; k < 20; ++k) top[k] = nullptr;
    top[11] = reinterpret_cast<void *>(body);
#endif
    return top;
}

}  // namespace shim

extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(void *, void *) { shim::misaligned = true; }

// -- barriers -----------------------------------------------------------------------------------------------------------------------------------

inline void __syncthreads() { shim::yield(shim::AT_BLOCK); }

inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    shim::current->mask = mask;
    shim::yield(shim::AT_WARP);
}

inline int __syncthreads_count(int predicate)
{
    __syncthreads();
    shim::counter = 0;
    __syncthreads();
    shim::counter += predicate != 0;
    __syncthreads();
    return shim::counter;
}

inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) != 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(!predicate) == 0; }

namespace shim {

inline int rank() { return (int)(current - fibers); }
inline int lane() { return rank() & 31; }

// What lane ``from`` of this warp holds; every lane of the mask calls.
template <typename T> inline T exchanged(unsigned mask, const T &mine, int from)
{
    static_assert(sizeof(T) <= sizeof(current->slot), "a slot is smaller than what a lane gives away");
    memcpy(current->slot, &mine, sizeof(T));
    __syncwarp(mask);
    T theirs;
    memcpy(&theirs, fibers[(rank() & ~31) + from].slot, sizeof(T));
    __syncwarp(mask);
    return theirs;
}

// What all lanes of this warp hold: for kernels' twins of instructions in which a warp acts as one (mma, ldmatrix).
template <typename T> inline void gathered(const T &mine, T (&all)[32])
{
    memcpy(current->slot, &mine, sizeof(T));
    __syncwarp();
    for (int i = 0; i < 32; ++i) memcpy(&all[i], fibers[(rank() & ~31) + i].slot, sizeof(T));
    __syncwarp();
}

}  // namespace shim

template <typename T> inline T __shfl_sync(unsigned mask, T x, int from, int width = 32)
{
    return shim::exchanged(mask, x, (shim::lane() & -width) | (from & (width - 1)));
}

template <typename T> inline T __shfl_xor_sync(unsigned mask, T x, int flip, int width = 32)
{
    const int from = shim::lane() ^ flip;
    return shim::exchanged(mask, x, (from & -width) > (shim::lane() & -width) ? shim::lane() : from);
}

template <typename T> inline T __shfl_up_sync(unsigned mask, T x, unsigned by, int width = 32)
{
    const int place = shim::lane() & (width - 1);
    return shim::exchanged(mask, x, place < (int)by ? shim::lane() : shim::lane() - (int)by);
}

template <typename T> inline T __shfl_down_sync(unsigned mask, T x, unsigned by, int width = 32)
{
    const int place = shim::lane() & (width - 1);
    return shim::exchanged(mask, x, place + (int)by >= width ? shim::lane() : shim::lane() + (int)by);
}

inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    shim::current->slot[0] = predicate != 0;
    __syncwarp(mask);
    unsigned result = 0;
    for (int i = 0; i < 32; ++i) {
        if (mask >> i & 1) result |= (unsigned)shim::fibers[(shim::rank() & ~31) + i].slot[0] << i;
    }
    __syncwarp(mask);
    return result;
}

inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
inline unsigned __activemask() { return 0xffffffffu; }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}

// -- atomics: blocks and fibers take turns, so a plain read and write is one step ---------------------------------------------------------------------

#define ATOMIC(name, expression)                                                                                                                        \
    template <typename T> inline T name(T *address, T x)                                                                                                \
    {                                                                                                                                                   \
        const T old = *address;                                                                                                                         \
        *address = expression;                                                                                                                          \
        return old;                                                                                                                                     \
    }
ATOMIC(atomicAdd, (T)(old + x)) ATOMIC(atomicSub, (T)(old - x)) ATOMIC(atomicExch, x) ATOMIC(atomicMin, x < old ? x : old)
ATOMIC(atomicMax, old < x ? x : old) ATOMIC(atomicAnd, (T)(old & x)) ATOMIC(atomicOr, (T)(old | x)) ATOMIC(atomicXor, (T)(old ^ x))
#undef ATOMIC

template <typename T> inline T atomicCAS(T *address, T expected, T x)
{
    const T old = *address;
    if (old == expected) *address = x;
    return old;
}

// -- bits ---------------------------------------------------------------------------------------------------------------------------------------

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
template <typename To, typename From> inline To shim_bits(From x)
{
    To y;
    memcpy(&y, &x, sizeof(To));
    return y;
}
inline int __float_as_int(float x) { return shim_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return shim_bits<unsigned>(x); }
inline float __int_as_float(int x) { return shim_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return shim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return shim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return shim_bits<double>(x); }
template <typename T> inline T __ldg(const T *address) { return *address; }
