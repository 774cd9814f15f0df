# cython: language_level=3
"""Convolutions by pieces of windows, by the kernels of codegen/winograd.py, which says how, and of codegen/gemm.py.

A task takes a panel of tiles of 2 x 2 or 1 x 2 pixels: all channels are transformed, multiplied by the weights at each position, and
transformed back, some output channels at a time; nothing of it leaves the second-level cache. Each pixel is made in one order of
operations, so the number of threads changes no bit. What a piece of the windows meets of an image is a *phase*: every step-th row of every
step-th plane, from some row and plane on. Phases are so many channels more, whose windows have step 1.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from rushlight._core cimport gemm
from rushlight._core.gemm cimport FINISH, MULTIPLY, PACK_A_DEEP, PACK_B_DEEP, Kernels, finish_t, multiply_t, pack_t
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for, worth_handing

ctypedef void (*scatter_t)(char**, int64_t*, int64_t, int64_t, char*, int64_t, int64_t, int64_t) noexcept nogil
ctypedef int64_t (*gather_t)(char*, int64_t, int64_t, char*, int64_t, int64_t, char*, int64_t, int64_t, int64_t, int64_t) noexcept nogil

cdef enum:
    MOST_PHASES = 64
    MOST_SIDE = 6        # of what a tile reads
    SUMS_BYTES = 262144  # of all positions that a task has at a time
    LINE = 64            # bytes
    PACK_BYTES = 65536   # worth handing to another thread
    MOST_TILES = 256     # that are transformed at a time

include "conv_tasks.pxi"

cdef char[4 * LINE] _zeros  # a row beyond the image; C begins with zeros

cdef struct Phase:
    char* image         # its first row
    int64_t planes
    int64_t rows
    int64_t[3] low      # what the first window reads first

cdef struct Tiling:  # of the images of a convolution's output, and what the tiles read of its input
    scatter_t scatter
    gather_t gather
    scatter_t spread
    int64_t lanes       # tiles in a vector
    int64_t item
    int64_t high        # rows of pixels in a tile
    int64_t[2] side     # of what it reads
    int64_t positions
    int64_t phases
    Phase[MOST_PHASES] phase
    int64_t inner       # channels of a phase
    int64_t channels    # of the input, in all phases
    int64_t outputs     # channels of the output
    int64_t columns     # of a phase's images
    int64_t down        # bytes from one row of a phase to the next
    int64_t deep        # from one plane to the next
    int64_t channel     # and from one channel to the next
    int64_t[3] places   # of an output image
    int64_t[2] tiles    # in a plane
    int64_t all         # tiles of all images
    char* output

cdef struct Run:  # tiles that lie side by side
    int64_t lane
    int64_t count
    int64_t image
    int64_t plane
    int64_t[2] tile


cdef int _lay_tiles(Tiling* t, Tensor input, Tensor output, tuple steps, list phases, int64_t taps, int64_t high, size_t table,
                    int64_t lanes) except -1:
    cdef void* functions[3]
    cdef int64_t number, z, y, plane = input.sizes[4] * input.sizes[5]
    cdef int64_t[2] step = [steps[0], steps[1]]
    cdef int d
    cdef Phase* phase
    (<void (*)(void**) noexcept nogil>(<void*>table))(functions)
    t.scatter, t.gather, t.spread, t.lanes = <scatter_t>functions[0], <gather_t>functions[1], <scatter_t>functions[2], lanes
    t.high, t.side[0], t.side[1], t.phases, t.inner = high, taps + 1 if high == 2 else 1, taps + 1, len(phases), input.sizes[2]
    t.item, t.channels, t.outputs, t.positions = ITEMSIZE[input.code], t.phases * t.inner, output.sizes[1], t.side[0] * t.side[1]
    t.columns, t.output = input.sizes[5], output.address
    t.down, t.deep, t.channel = step[1] * t.columns * t.item, step[0] * plane * t.item, input.sizes[3] * plane * t.item
    for d in range(3):
        t.places[d] = output.sizes[2 + d]
    t.tiles[0], t.tiles[1] = _panels(t.places[1], high), _panels(t.places[2], 2)
    t.all = output.sizes[0] * t.places[0] * t.tiles[0] * t.tiles[1]
    for i, (number, ((z, deep), (y, down), across)) in enumerate(phases):
        phase = &t.phase[<int>i]
        phase.image = input.address + number * input.sizes[1] * t.inner * t.channel + (z * plane + y * t.columns) * t.item
        phase.planes, phase.rows = _panels(input.sizes[3] - z, step[0]), _panels(input.sizes[4] - y, step[1])
        phase.low[0], phase.low[1], phase.low[2] = deep, down, across
    return 0


cdef int64_t _find_runs(const Tiling* t, int64_t first, int64_t count, Run* runs) noexcept nogil:
    """Neighbouring tiles, at most a vector of them; returns how many runs there are."""
    cdef int64_t n = 0, lane = 0, row
    while lane < count:
        row = (first + lane) // t.tiles[1]
        runs[n].image, runs[n].plane = row // (t.tiles[0] * t.places[0]), row // t.tiles[0] % t.places[0]
        runs[n].lane, runs[n].tile[0], runs[n].tile[1] = lane, row % t.tiles[0], (first + lane) % t.tiles[1]
        runs[n].count = min(min(count - lane, t.lanes), t.tiles[1] - runs[n].tile[1])
        lane += runs[n].count
        n += 1
    return n


cdef inline int64_t _bits(int64_t begin, int64_t end) noexcept nogil:
    """The bits from ``begin`` up to ``end``, which is at most 63."""
    return ((<int64_t>1 << end) - 1) & ~((<int64_t>1 << begin) - 1) if begin < end else 0


cdef void _scatter(const Tiling* t, const Run* run, char* panel, int64_t position, int64_t row) noexcept nogil:
    """Transform what the tiles read of all channels: ``position`` bytes from one position to the next, ``row`` from one channel to the next."""
    cdef char* rows[MOST_SIDE]
    cdef int64_t[MOST_SIDE] steps
    cdef int64_t i, r, x, y, z
    cdef const Phase* phase
    for i in range(t.phases):
        phase = &t.phase[i]
        z, y, x = run.plane + phase.low[0], t.high * run.tile[0] + phase.low[1], 2 * run.tile[1] + phase.low[2]
        for r in range(t.side[0]):
            rows[r], steps[r] = _zeros, 0
            if 0 <= y + r < phase.rows and 0 <= z < phase.planes:
                rows[r], steps[r] = phase.image + run.image * t.inner * t.channel + z * t.deep + (y + r) * t.down + x * t.item, t.channel
        t.scatter(rows, steps, _bits(max(<int64_t>0, -x), min(2 * run.count + t.side[1] - 2, t.columns - x)), _bits(0, run.count),
                  panel + run.lane * t.item + i * t.inner * row, position, row, t.inner)


# -- the convolution --

cdef struct Call:
    Tiling tiling
    const Kernels* kernels
    Slots slots
    char* bias
    int64_t next_bias
    char* packed        # the weights: (positions, panels of outputs, channels, rows)
    char* weight        # (positions, outputs, channels)
    int64_t panels_a
    int64_t panel_a     # bytes
    int64_t[MOST_SIDE * MOST_SIDE] reached  # channels that have weights at a position
    int64_t block       # panels of outputs whose sums a task has at a time
    int64_t position    # bytes from one position's panel of tiles to the next
    int64_t sums        # and from its sums to the next
    int wrong           # an output is infinite or not a number


def correlate(Tensor input, Tensor weight, Tensor bias or None, Tensor out, tuple steps, list phases, list reached, int64_t taps, int64_t high,
              size_t table, int64_t lanes):
    """out[n, o, z, y, x] = bias[o] + the sum of g[o, phase, c, i, j] * image[phase, n, c, z + low_z, y + low_y + i, x + low_x + j].

    input is (numbers, N, C, D, H, W). phases: (number, ((residue, low_z), (residue, low_y), low_x)) each, whose image is input[number], and
    of that each step-th plane and row from those of the ``residue`` on; what lies outside is 0. steps: of planes and of rows. reached: of
    each position, how many phases, the first ones, have weights there that are not 0.
    out (N, O, D', H', W') and weight, G g G' or G g as (positions, O, phases * C), are, like input, row-major.
    False if an element of ``out`` is infinite or not a number: as are then others that should not be.
    taps, high, table, lanes: of codegen's kernels.
    """
    cdef Call p
    cdef Tiling* t = &p.tiling
    _lay_tiles(t, input, out, steps, phases, taps, high, table, lanes)
    p.kernels, p.weight, p.wrong = gemm.kernels_for(input.code, t.outputs, t.all), weight.address, 0
    for i in range(t.positions):
        p.reached[i] = <int64_t>reached[i] * t.inner
    p.bias, p.next_bias = _zeros, 0
    if bias is not None:
        p.bias, p.next_bias = bias.address, t.item
    cdef int64_t whole = p.kernels.rows * p.kernels.columns * t.item
    p.panels_a, p.panel_a = _panels(t.outputs, p.kernels.rows), (t.channels + p.kernels.whole) * p.kernels.rows * t.item
    p.block = max(<int64_t>1, min(p.panels_a, SUMS_BYTES // (t.positions * whole)))
    # A line more, so that the positions do not fall upon each other in the caches.
    p.position, p.sums = t.channels * p.kernels.columns * t.item + LINE, p.block * whole + LINE
    cdef Storage packed = allocate(t.positions * p.panels_a * p.panel_a)
    cdef Storage memory = _prepare(&p.slots, t.positions * (p.position + p.sums) + 4 * LINE)
    p.packed = <char*>packed.address
    with nogil:
        parallel_for(_pack_weights, &p, 0, t.positions * p.panels_a, PACK_BYTES // p.panel_a + 1)
        parallel_for(_run_panels, &p, 0, _panels(t.all, p.kernels.columns), _worth(t.positions * p.kernels.columns * t.channels * t.outputs))
    return not p.wrong


cdef void _pack_weights(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef pack_t pack = <pack_t>p.kernels.functions[PACK_A_DEEP]
    cdef int64_t row = p.tiling.channels * p.tiling.item, i, first
    for i in range(begin, end):
        first = i % p.panels_a * p.kernels.rows
        pack(p.weight + (i // p.panels_a * p.tiling.outputs + first) * row, row, 0, p.packed + i * p.panel_a,
             min(p.kernels.rows, p.tiling.outputs - first), p.tiling.channels)


cdef void _run_panels(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef int64_t slot = _take_slot(&p.slots), i
    for i in range(begin, end):
        _run_panel(p, i * p.kernels.columns, p.slots.memory + slot * p.slots.size)
    give(&p.slots.taken[slot])


cdef void _run_panel(Call* p, int64_t first, char* memory) noexcept nogil:
    """The tiles of a panel, of which tile ``first`` is the first."""
    cdef Run[MOST_TILES] runs
    cdef int64_t count = min(p.kernels.columns, p.tiling.all - first), n = _find_runs(&p.tiling, first, count, runs), i, j
    cdef char* sums = memory + p.tiling.positions * p.position
    if count < p.kernels.columns:  # what memory held in the lanes beyond may be anything
        memset(memory, 0, p.tiling.positions * p.position)
    for i in range(n):
        _scatter(&p.tiling, &runs[i], memory, p.position, p.kernels.columns * p.tiling.item)
    for j in range(_panels(p.panels_a, p.block)):
        for i in range(p.tiling.positions):
            _multiply(p, i, j * p.block, min(p.block, p.panels_a - j * p.block), memory + i * p.position, sums + i * p.sums)
        for i in range(n):
            _gather(p, &runs[i], j * p.block * p.kernels.rows, sums)


cdef void _gather(Call* p, const Run* run, int64_t first, const char* sums) noexcept nogil:
    """The pixels of the tiles, of the output channels from ``first`` on that there are sums of."""
    cdef const Tiling* t = &p.tiling
    cdef int64_t y = t.high * run.tile[0], x = 2 * run.tile[1], row = t.places[2] * t.item, plane = t.places[1] * row
    cdef int64_t channel = t.places[0] * plane
    if t.gather(<char*>sums + run.lane * t.item, p.sums, p.kernels.columns * t.item,
                t.output + (run.image * t.outputs + first) * channel + run.plane * plane + y * row + x * t.item, row, channel,
                p.bias + first * p.next_bias, p.next_bias, _bits(0, min(2 * run.count, t.places[2] - x)), min(t.high, t.places[1] - y),
                min(p.block * p.kernels.rows, t.outputs - first)):
        p.wrong = 1


cdef void _multiply(Call* p, int64_t position, int64_t first, int64_t panels, char* tiles, char* sums) noexcept nogil:
    """The sums of some panels of output channels, from panel ``first`` on, at a position."""
    cdef const Kernels* kernels = p.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef int64_t high = kernels.rows * p.tiling.item, wide = kernels.columns * p.tiling.item, done = 0, here, i
    cdef int64_t channels = p.reached[position]
    cdef char* weights = p.packed + (position * p.panels_a + first) * p.panel_a
    cdef char* a
    cdef char* piece
    while done < channels:
        here = min(kernels.stretch, channels - done)
        for i in range(panels):
            a, piece = weights + i * p.panel_a + done * high, sums + i * kernels.rows * wide
            multiply(a, tiles + done * wide, piece, wide, here, piece if done else NULL, wide, a + p.panel_a,
                     tiles + (done + here) * wide + i % 8 * (here * wide // 8))
        done += here


include "winograd_weights.pxi"
