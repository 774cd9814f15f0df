// The shim's run-time: it stands behind the kernels, and in front of one LAUNCHER line for each of them.

extern "C" char __start_shim_shared[] __attribute__((weak, visibility("hidden"))), __stop_shim_shared[] __attribute__((weak, visibility("hidden")));

namespace shim {

struct Random {  // xorshift
    unsigned long long state;
    unsigned below(unsigned n)
    {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        return (unsigned)((state >> 11) % n);
    }
};

static unsigned walk[MOST];

// The order of n threads for one pass: forward (0), reverse (1), or at random.
static void draw(unsigned n, int order, Random &random)
{
    for (unsigned i = 0; i < n; ++i) walk[i] = order == 1 ? n - 1 - i : i;
    for (unsigned i = n; order > 1 && i > 1; --i) {
        const unsigned j = random.below(i), w = walk[i - 1];
        walk[i - 1] = walk[j], walk[j] = w;
    }
}

// Lets go the lanes of warp ``w`` whose masks are complete: every lane of the mask waits, with the same mask.
static bool release_warp(unsigned w, unsigned n)
{
    bool any = false;
    unsigned exists = n - w >= 32 ? 0xffffffffu : (1u << (n - w)) - 1, waiting = 0;
    for (unsigned i = 0; i < 32 && w + i < n; ++i) waiting |= (unsigned)(fibers[w + i].state == AT_WARP) << i;
    for (unsigned i = 0; i < 32 && w + i < n; ++i) {
        if (!(waiting >> i & 1)) continue;
        const unsigned mask = fibers[w + i].mask & exists;
        bool complete = (mask >> i & 1) && (waiting & mask) == mask;
        for (unsigned k = 0; complete && k < 32; ++k) complete = !(mask >> k & 1) || (fibers[w + k].mask & exists) == mask;
        if (!complete) continue;
        for (unsigned k = 0; k < 32; ++k) {
            if (mask >> k & 1) fibers[w + k].state = READY, waiting &= ~(1u << k);
        }
        any = true;
    }
    return any;
}

// Runs thread i to where it waits next; false if it waits already.
static bool resume(unsigned i)
{
    if (fibers[i].state != READY) return false;
    current = &fibers[i];
    threadIdx = current->index;
    shim_switch(&scheduler, current->stack);
    return true;
}

// Threads 0, 1 ... in lockstep, each to its next barrier of any kind (even seeds), or warp by warp, each to the block's next barrier: a warp
// may be ahead of another one by whatever lies between two __syncthreads().
static bool run_warps(unsigned n, int order, Random &random)
{
    bool progress = false;
    if (order > 1 && order % 2 == 0) {
        for (unsigned k = 0; k < n; ++k) progress |= resume(walk[k]);
        for (unsigned w = 0; w < n; w += 32) progress |= release_warp(w, n);
        return progress;
    }
    for (unsigned k = 0; k < n; ++k) {
        const unsigned w = walk[k] & ~31u, turn = order > 1 ? random.below(32) : 0;
        do {
            for (unsigned i = 0; i < 32; ++i) {
                const unsigned lane = (order == 1 ? 31 - i : i + turn) % 32;
                if (w + lane < n) progress |= resume(w + lane);
            }
        } while (release_warp(w, n));
    }
    return progress;
}

static bool run_block(unsigned n, int order, Random &random)
{
    for (unsigned i = 0; i < n; ++i) {
        fibers[i].stack = fresh((int)i);
        fibers[i].state = READY;
        fibers[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    }
    for (;;) {
        draw(n, order, random);
        bool progress = run_warps(n, order, random);
        unsigned done = 0, at_block = 0;
        for (unsigned i = 0; i < n; ++i) done += fibers[i].state == DONE, at_block += fibers[i].state == AT_BLOCK;
        if (done == n) return true;
        if (at_block && at_block + done == n) {
            if (done) return false;  // the others wait for threads that have left
            for (unsigned i = 0; i < n; ++i) fibers[i].state = READY;
            progress = true;
        }
        if (!progress) return false;
    }
}

static void run_plain(unsigned n, int order, Random &random)
{
    draw(n, order, random);
    for (unsigned k = 0; k < n; ++k) {
        const unsigned i = walk[k];
        threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        entry(arguments);
    }
}

static unsigned common_divisor(unsigned a, unsigned b) { return b ? common_divisor(b, a % b) : a; }

static char lock;

// Runs a grid of blocks that have ``most`` threads. 0: well; 1: a divergent barrier; 2: a misaligned access; 3: a launch that no GPU takes.
static int launch(void (*kernel)(const void *), bool barriers, unsigned most, const unsigned grid[3], const unsigned block[3], unsigned bytes,
                  const void *parameter, int order)
{
    constexpr unsigned SHARED = 227 << 10;
    const unsigned n = block[0] * block[1] * block[2], blocks = grid[0] * grid[1] * grid[2];
    if (n == 0 || n > most || blocks == 0 || __stop_shim_shared - __start_shim_shared + (long)bytes > (long)SHARED) return 3;
    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {}
    if (!arena) {
        arena = static_cast<char *>(mmap(nullptr, STACK * MOST, 3, 0x22, -1, 0));
        dynamic = static_cast<char *>(mmap(nullptr, SHARED, 3, 0x22, -1, 0));
    }
    entry = kernel, arguments = parameter, misaligned = false;
    blockDim = {block[0], block[1], block[2]}, gridDim = {grid[0], grid[1], grid[2]};
    Random random = {0x9e3779b97f4a7c15ULL ^ (unsigned long long)order * 0x2545f4914f6cdd1dULL};
    unsigned step = order > 1 ? 1 + random.below(blocks) : 1;
    while (common_divisor(step, blocks) != 1) ++step;
    bool well = true;
    for (unsigned k = 0; well && k < blocks; ++k) {
        const unsigned b = order == 1 ? blocks - 1 - k : (unsigned)((unsigned long long)k * step % blocks);
        blockIdx = {b % grid[0], b / grid[0] % grid[1], b / (grid[0] * grid[1])};
        memset(__start_shim_shared, 0xff, (size_t)(__stop_shim_shared - __start_shim_shared));
        memset(dynamic, 0xff, bytes);
        if (barriers) well = run_block(n, order, random);
        else run_plain(n, order, random);
    }
    __atomic_clear(&lock, __ATOMIC_RELEASE);
    return !well ? 1 : misaligned ? 2 : 0;
}

// Calls a kernel of one parameter, given its address.
template <typename P> struct Caller;
template <typename P> struct Caller<void(P)> {
    template <void (*kernel)(P)> static void call(const void *parameter) { kernel(*static_cast<const P *>(parameter)); }
};

}  // namespace shim

#define LAUNCHER(kernel, barriers, most)                                                                                                                \
    extern "C" int launch_##kernel(const unsigned grid[3], const unsigned block[3], unsigned bytes, void **parameters, int order)                       \
    {                                                                                                                                                   \
        void (*const call)(const void *) = shim::Caller<decltype(ns_##kernel::kernel)>::call<ns_##kernel::kernel>;                                       \
        return shim::launch(call, barriers, most, grid, block, bytes, parameters[0], order);                                                            \
    }
