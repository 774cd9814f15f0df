# cython: language_level=3
"""Convolutions as matrix products of windows that are packed straight into panels; the kernels are codegen's (gemm.py, conv.py).

``correlate``: weights times windows. Rows are output channels, columns the output's pixels over the whole batch, and k runs over the
window's places and the channels within each. A task packs some panels of pixels and multiplies them by all weights.
``correlate_weights``: the gradient of the weights. Rows are output channels, columns the window's places and channels, k the pixels.
Sums over k are cut by shape only and added in a fixed order, so the number of threads changes no bit.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from rushlight._core cimport gemm
from rushlight._core.operator cimport native
from rushlight._core.gemm cimport FINISH, MULTIPLY, PACK_A_DEEP, PACK_B_WIDE, Kernels, finish_t, multiply_t, pack_t
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for, worth_handing

ctypedef int64_t (*lanes_t)(char*, int64_t, char*, int64_t, int64_t, int64_t, int64_t) noexcept nogil

cdef enum:
    TILE_PANELS = 8      # most panels of pixels in a task
    TILE_BYTES = 524288  # of sums in a task
    WINDOW_BYTES = 786432  # of packed pixels that a task holds at a time
    ROW_PANELS = 8       # panels of output channels in a task of correlate_weights
    BLOCK_PIXELS = 256   # pixels that it packs at a time
    SPLIT_BYTES = 8388608  # of partial sums

include "conv_tasks.pxi"

# -- weights times windows --

cdef struct Call:
    const Kernels* kernels
    lanes_t pack_lanes
    Slots slots
    Factors factors
    int64_t groups
    int64_t channels     # of the input, in a group
    int64_t outputs      # channels of the output, in a group
    int64_t pixels       # of an output image
    int64_t columns      # pixels of all images
    int64_t[3] size      # of the input image
    int64_t[3] places    # of the output image
    int64_t[3] step      # from window to window; 1 along x
    int64_t[3] taps      # of the window
    int64_t* offsets[3]  # where each tap reads, relative to its output place times step
    int64_t* shifts      # bytes to what each tap along x reads
    char* input
    int64_t[4] distance  # between images, channels, planes and rows of the input, in bytes
    char* weight         # (groups, outputs, taps, channels), row-major
    char* bias           # or NULL
    char* output
    char* packed         # the weights
    int64_t* largest     # magnitude in each of their panels
    int64_t tap_k        # elements of k for a tap: channels, padded to whole pairs
    int64_t tap_count
    int64_t block_taps   # taps that are packed at a time: whole units of k, or all
    int64_t units        # of k
    int64_t panels_a     # in a group
    int64_t panel_a      # bytes of a packed panel
    int64_t panel_b
    int64_t tile         # panels of pixels in a task
    int64_t tiles        # in a group


cdef struct Run:  # neighbouring pixels of one row of the output
    int64_t lane   # the first one's place in the panel
    int64_t count
    int64_t image
    int64_t[3] place


def has_tiles(int code):
    """Are there kernels on matrix registers for this dtype?"""
    return gemm.tiled(code).step > gemm.tiled(code).pair


def pair(int code, bint on_tiles):
    """Weights' channels are padded to a multiple of this."""
    return gemm.tiled(code).pair if on_tiles else gemm.kernels(code).pair


def is_narrow(int code, int64_t outputs, int64_t pixels):
    """Does :func:`correlate` take narrow panels?"""
    return gemm.suits_narrow(code, outputs, pixels)


def correlate(Tensor input, Tensor weight, Tensor bias or None, Tensor out, tuple steps, tuple offsets, tuple phases, int64_t groups,
              size_t pack_lanes, bint on_tiles):
    """out[n, o, z, y, x] = bias[o] + sum of weight[o, t, c] * input[phase of t, n, c, (z, y, x) * step + offset of t].

    input (phases, N, C, D, H, W), weight (O, taps, C / groups padded with zeros to whole pairs), out (N, O, D', H', W') are row-major;
    ``steps`` are along z and y; ``offsets`` are three lists with an element for each tap along z, y and x, ``phases`` one for x. What lies
    outside of the input is 0. False if elements are out of the range of these kernels; ``out`` holds nothing of use then.
    """
    cdef Call p
    cdef int64_t size = ITEMSIZE[input.code], i
    cdef int d
    for d in range(3):
        p.step[d], p.taps[d] = 1 if d == 2 else steps[d], len(offsets[d])
    cdef Storage memory = allocate((p.taps[0] + p.taps[1] + 2 * p.taps[2]) * sizeof(int64_t))
    cdef int64_t* numbers = <int64_t*>memory.address
    for d in range(3):
        p.offsets[d] = numbers
        for i in range(p.taps[d]):
            numbers[i] = offsets[d][i]
        numbers += p.taps[d]
    p.groups, p.shifts, p.pack_lanes = groups, numbers, <lanes_t>pack_lanes
    for i in range(p.taps[2]):
        numbers[i] = <int64_t>phases[i] * (input.count // input.sizes[0]) * size
    _place(&p, input.sizes[2], &input.sizes[3], out.sizes[0], out.sizes[1], &out.sizes[2], size)
    p.kernels = gemm.tiled(input.code) if on_tiles else gemm.kernels_for(input.code, p.outputs, p.columns)
    p.input, p.weight, p.output = input.address, weight.address, out.address
    p.bias = bias.address if bias is not None else NULL
    _set_factors(&p.factors, input.code, bias is not None)
    return _run_call(&p, weight.sizes[weight.ndim - 1])


cdef void _place(Call* p, int64_t channels, const int64_t* size, int64_t images, int64_t outputs, const int64_t* places, int64_t item) noexcept:
    """The sizes of images with ``channels``, and of those that a call makes of them."""
    cdef int d
    p.channels, p.outputs, p.distance[3] = channels // p.groups, outputs // p.groups, size[2] * item
    for d in range(3):
        p.size[d], p.places[d] = size[d], places[d]
    p.distance[2] = p.distance[3] * size[1]
    p.distance[1] = p.distance[2] * size[0]
    p.distance[0] = p.distance[1] * channels
    p.pixels = places[0] * places[1] * places[2]
    p.columns = p.pixels * images


cdef bint _run_call(Call* p, int64_t tap_k) except -1:
    """Runs a call that is described but for its cuts; False if elements are out of the range of the kernels."""
    p.tap_k, p.tap_count = tap_k, p.taps[0] * p.taps[1] * p.taps[2]
    p.units = _panels(p.tap_k * p.tap_count, p.kernels.step)
    p.panels_a, p.panel_a = _panels(p.outputs, p.kernels.rows), (p.units + p.kernels.whole) * p.kernels.rows * p.kernels.unit
    cdef int64_t window = _choose_tile(p)
    cdef int64_t all = (p.groups * p.panels_a * p.panel_a + 7) & ~<int64_t>7
    cdef Storage packed = allocate(all + p.groups * p.panels_a * 8)
    cdef Storage memory = _prepare(&p.slots, window)
    p.packed = <char*>packed.address
    p.largest = <int64_t*>(p.packed + all)
    with nogil:
        parallel_for(_pack_weights, p, 0, p.groups * p.panels_a, 65536 // p.panel_a + 1)
        parallel_for(_run_tiles, p, 0, p.groups * p.tiles, _worth(p.tile * p.kernels.columns * p.outputs * p.tap_k * p.tap_count))
    return not p.kernels.ranged or _ranges_fit(p)


cdef int64_t _choose_tile(Call* p) noexcept:
    """Sets the pixels of a task and the taps that it packs at a time; returns the bytes that a task needs."""
    cdef const Kernels* kernels = p.kernels
    cdef int64_t side = p.panels_a * kernels.rows * kernels.columns * kernels.sum  # a panel's sums
    cdef int64_t all = _panels(p.columns, kernels.columns), tap = p.tap_k * kernels.columns * kernels.unit // kernels.step, quantum = 1
    p.tile = max(<int64_t>1, min(<int64_t>TILE_PANELS, TILE_BYTES // side))
    while p.tile > 1 and p.groups * _panels(all, p.tile) < FEW_TASKS:
        p.tile = (p.tile + 1) // 2
    p.tiles = _panels(all, p.tile)
    while quantum * p.tap_k % kernels.step:
        quantum += 1
    p.block_taps = min(p.tap_count, max(<int64_t>1, WINDOW_BYTES // (p.tile * tap * quantum)) * quantum)
    p.panel_b = _panels(p.block_taps * p.tap_k, kernels.step) * kernels.columns * kernels.unit
    return p.tile * (p.panel_b + side) + 128


cdef bint _ranges_fit(Call* p) noexcept:
    cdef int64_t weights = 0, windows = 0, i
    for i in range(p.groups * p.panels_a):
        weights = max(weights, p.largest[i])
    for i in range(p.slots.count):
        windows = max(windows, p.slots.largest[i])
    return gemm.fits(weights, windows, p.tap_k * p.tap_count)


cdef void _pack_weights(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef const Kernels* kernels = p.kernels
    cdef pack_t pack = <pack_t>kernels.functions[PACK_A_DEEP]
    cdef int64_t k = p.tap_count * p.tap_k, row = k * kernels.itemsize, i, first
    for i in range(begin, end):
        first = i % p.panels_a * kernels.rows
        p.largest[i] = pack(p.weight + (i // p.panels_a * p.outputs + first) * row, row, 0, p.packed + i * p.panel_a,
                           min(kernels.rows, p.outputs - first), k)


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef int64_t slot = _take_slot(&p.slots), i, first
    cdef char* memory = p.slots.memory + slot * p.slots.size
    for i in range(begin, end):
        first = i % p.tiles * p.tile * p.kernels.columns
        _run_tile(p, i // p.tiles, first, min(p.tile * p.kernels.columns, p.columns - first), memory, &p.slots.largest[slot])
    give(&p.slots.taken[slot])


cdef void _run_tile(Call* p, int64_t group, int64_t first, int64_t count, char* memory, int64_t* seen) noexcept nogil:
    """``count`` pixels from ``first`` on, all output channels of a group."""
    cdef const Kernels* kernels = p.kernels
    cdef int64_t panels = _panels(count, kernels.columns), stride = panels * kernels.columns * kernels.sum, i, tap, taps, done, here, channel
    cdef char* sums = <char*>((<size_t>memory + 63) & ~<size_t>63)
    cdef char* windows = sums + p.panels_a * kernels.rows * stride
    tap = 0
    while tap < p.tap_count:
        taps = min(p.block_taps, p.tap_count - tap)
        for i in range(panels):
            here = first + i * kernels.columns
            _pack_pixels(p, group, here, min(kernels.columns, first + count - here), tap, taps, windows + i * p.panel_b, seen)
        _multiply(p, group, windows, panels, tap * p.tap_k // kernels.step, _panels(taps * p.tap_k, kernels.step), sums, stride)
        tap += taps
    done, channel = 0, group * p.outputs
    while done < count:  # image by image, as they lie apart in the output
        here = min(count - done, p.pixels - (first + done) % p.pixels)
        (<finish_t>kernels.functions[FINISH])(
            sums + done * kernels.sum, stride,
            p.output + (((first + done) // p.pixels * p.groups * p.outputs + channel) * p.pixels + (first + done) % p.pixels) * kernels.itemsize,
            p.pixels * kernels.itemsize, p.bias + channel * kernels.itemsize, kernels.itemsize, 0, p.outputs, here, &p.factors)
        done += here


cdef void _multiply(Call* p, int64_t group, char* windows, int64_t panels, int64_t start, int64_t units, char* sums, int64_t stride) noexcept nogil:
    """Add ``units`` of k, of which the weights' ``start`` is the first, to the sums, a stretch at a time.

    Each call of the kernel prefetches what the one after it reads, and a share of the next panel.
    """
    cdef const Kernels* kernels = p.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef int64_t high = kernels.rows * kernels.unit, wide = kernels.columns * kernels.unit, done = 0, here, i, j
    cdef char* first
    cdef char* a
    cdef char* b
    cdef char* piece
    gemm.enter(kernels)
    while done < units:
        here = min(kernels.stretch, units - done)
        first, b = p.packed + group * p.panels_a * p.panel_a + (start + done) * high, windows + done * wide
        for j in range(panels):
            a = first
            for i in range(p.panels_a):
                piece = sums + i * kernels.rows * stride + j * kernels.columns * kernels.sum
                multiply(a, b, piece, stride, here, piece if start + done else NULL, stride,
                         a + p.panel_a if i + 1 < p.panels_a else first, b + p.panel_b + i % TILE_PANELS * (here * wide // TILE_PANELS))
                a += p.panel_a
            b += p.panel_b
        done += here
    gemm.leave(kernels)


cdef void _pack_pixels(Call* p, int64_t group, int64_t first, int64_t count, int64_t tap, int64_t taps, char* panel, int64_t* seen) noexcept nogil:
    """One panel: ``count`` pixels from ``first`` on, through the k of some taps."""
    cdef Run[64] runs
    cdef int64_t n = _find_runs(p, first, count, runs), i, x, k = taps * p.tap_k, rest = _panels(k, p.kernels.step) * p.kernels.step - k
    cdef char* input = p.input + group * p.channels * p.distance[1]
    for i in range(taps):
        x = (tap + i) % p.taps[2]
        seen[0] = max(seen[0], _pack_tap(
            p, runs, n, input + p.shifts[x], p.offsets[0][(tap + i) // (p.taps[2] * p.taps[1])],
            p.offsets[1][(tap + i) // p.taps[2] % p.taps[1]], p.offsets[2][x], panel, i * p.tap_k))
    if rest:
        p.pack_lanes(input, 0, panel, k, 0, -1, rest)


cdef int64_t _find_runs(Call* p, int64_t first, int64_t count, Run* runs) noexcept nogil:
    cdef int64_t n = 0, lane = 0, row
    while lane < count:
        row = (first + lane) // p.places[2]
        runs[n].lane, runs[n].place[2] = lane, (first + lane) % p.places[2]
        runs[n].place[1], runs[n].place[0] = row % p.places[1], row // p.places[1] % p.places[0]
        runs[n].image = row // (p.places[1] * p.places[0])
        runs[n].count = min(count - lane, p.places[2] - runs[n].place[2])
        lane += runs[n].count
        n += 1
    return n


cdef inline uint64_t _bits(int64_t lane, int64_t count) noexcept nogil:
    return (<uint64_t>0xFFFFFFFFFFFFFFFF >> (64 - count)) << lane


cdef int64_t _pack_tap(Call* p, Run* runs, int64_t n, char* input, int64_t dz, int64_t dy, int64_t dx, char* panel, int64_t k) noexcept nogil:
    """One tap of the window, from row k of the panel on. Runs that follow each other in memory as they do in the panel are loaded together.

    Returns the largest magnitude.
    """
    cdef uint64_t loaded = 0, stored = 0, inside
    cdef int64_t i, z, y, x, low, high, seen = 0
    cdef char* source = input
    cdef char* place
    for i in range(n):
        z, y, x = runs[i].place[0] * p.step[0] + dz, runs[i].place[1] * p.step[1] + dy, runs[i].place[2] + dx
        low, high = max(<int64_t>0, -x), min(runs[i].count, p.size[2] - x)
        if low < high and 0 <= z < p.size[0] and 0 <= y < p.size[1]:
            inside = _bits(runs[i].lane + low, high - low)
            place = (input + runs[i].image * p.distance[0] + z * p.distance[2] + y * p.distance[3]
                     + (x - runs[i].lane) * p.kernels.itemsize)
            if loaded and place != source:
                seen = max(seen, p.pack_lanes(source, p.distance[1], panel, k, loaded, stored, p.channels))
                loaded = stored = 0
            source, loaded = place, loaded | inside
        stored |= _bits(runs[i].lane, runs[i].count)
    # Lanes beyond the last pixel get zeros: what memory held there may be denormal, and slow to multiply.
    stored |= ~_bits(0, runs[n - 1].lane + runs[n - 1].count)
    return max(seen, p.pack_lanes(source, p.distance[1], panel, k, loaded, stored, p.channels))


# -- the gradient of the weights --

cdef struct Weights:
    const Kernels* kernels
    Slots slots
    int64_t groups
    int64_t channels      # of the input, in a group
    int64_t outputs       # channels of the output, in a group
    int64_t[3] places     # of the output image
    int64_t[3] step
    int64_t* sources      # bytes to what each segment reads
    int64_t length        # of a segment of columns: channels that lie side by side in the input
    int64_t columns       # of all segments
    lanes_t pack_lanes
    char* input
    int64_t[4] distance   # between images, planes, rows and pixels of the input, in bytes
    char* grad
    int64_t images        # of a block
    int64_t count         # of all images
    int64_t rows          # of a block, in each image; each ``wide`` pixels
    int64_t wide
    int64_t[4] blocks     # how many: groups of images, planes, rows and pieces of rows
    int64_t splits        # of the blocks, each with sums of its own
    int64_t slices        # of the output channels
    int64_t panels_a
    int64_t panels_b
    int64_t stride        # bytes of a row of sums
    int64_t sums_size     # bytes, of a group
    char* sums            # (splits, groups, rows of all panels, columns of all panels)
    char* out             # (groups, outputs, columns)
    bint direct           # the first split's sums are made there


def panel_rows(int code, int64_t outputs, int64_t columns):
    """The rows of all panels of output channels in :func:`correlate_weights`."""
    cdef const Kernels* kernels = gemm.kernels_for(code, outputs, columns)
    return _panels(outputs, kernels.rows) * kernels.rows


def correlate_weights(Tensor input, Tensor grad, Tensor out, tuple steps, list sources, int64_t length, int64_t groups, size_t pack_lanes):
    """out[g, o, s, i] = sum over n, z, y, x of grad[n, (g, o), z, y, x] * input[n, z * step, y * step, x * step, (g, sources[s] + i)].

    input (N, D, H, W, C), padded so that nothing lies outside, grad (N, O, D', H', W') and out (groups, O / groups, len(sources), length)
    are row-major float32 or float64. ``sources`` counts elements of one pixel's channels. Where the memory of ``out`` has room for
    :func:`panel_rows`, sums are made there.
    """
    cdef Weights p
    cdef Storage numbers = allocate(len(sources) * sizeof(int64_t))
    cdef int64_t* shifts = <int64_t*>numbers.address
    cdef int64_t size = ITEMSIZE[input.code], i, total
    cdef int d
    p.groups, p.channels, p.outputs = groups, input.sizes[4] // groups, grad.sizes[1] // groups
    p.length, p.columns, p.sources, p.pack_lanes = length, len(sources) * length, shifts, <lanes_t>pack_lanes
    p.kernels = gemm.kernels_for(input.code, p.outputs, p.columns)
    for i in range(len(sources)):
        shifts[i] = <int64_t>sources[i] * size
    for d in range(3):
        p.places[d], p.step[d] = grad.sizes[2 + d], steps[d]
    p.distance[3] = input.sizes[4] * size
    p.distance[2] = p.distance[3] * input.sizes[3]
    p.distance[1] = p.distance[2] * input.sizes[2]
    p.distance[0] = p.distance[1] * input.sizes[1]
    p.input, p.grad, p.out = input.address, grad.address, out.address
    p.wide = min(p.places[2], <int64_t>2 * BLOCK_PIXELS)
    p.rows = max(<int64_t>1, min(p.places[1], BLOCK_PIXELS // p.wide)) if p.wide == p.places[2] else 1
    p.count, p.images = input.sizes[0], 1
    if p.rows == p.places[1]:  # small images, of which several make a block
        p.images = min(p.count, max(<int64_t>1, BLOCK_PIXELS // (p.rows * p.wide)))
    p.blocks[0], p.blocks[1] = _panels(p.count, p.images), p.places[0]
    p.blocks[2], p.blocks[3] = _panels(p.places[1], p.rows), _panels(p.places[2], p.wide)
    total = p.blocks[0] * p.blocks[1] * p.blocks[2] * p.blocks[3]
    p.panels_a, p.panels_b = _panels(p.outputs, p.kernels.rows), _panels(p.columns, p.kernels.columns)
    p.stride = p.panels_b * p.kernels.columns * p.kernels.sum
    p.sums_size = p.panels_a * p.kernels.rows * p.stride
    p.slices = _slices(p.panels_a, ROW_PANELS)
    p.splits = _splits(min(min(_panels(FEW_TASKS, groups * p.slices), SPLIT_BYTES // (groups * p.sums_size)), total))
    cdef int64_t room = out.memory.length - (out.address - <char*>out.memory.address)
    p.direct = groups == 1 and p.stride == p.columns * size and room >= p.sums_size
    cdef Storage partial = allocate((p.splits - p.direct) * groups * p.sums_size + 64)
    cdef int64_t pixels = p.images * p.rows * p.wide + p.kernels.whole
    cdef Storage memory = _prepare(
        &p.slots, pixels * p.kernels.unit * (min(p.panels_a, <int64_t>ROW_PANELS) * p.kernels.rows + p.kernels.columns) + 64)
    p.sums = <char*>partial.address
    with nogil:
        parallel_for(_run_splits, &p, 0, p.splits * groups * p.slices,
                     _worth(p.outputs * p.columns * grad.count // (grad.sizes[1] * p.splits * p.slices)))
        if p.splits > p.direct:
            parallel_for(_add_splits, &p, 0, groups * p.panels_a, _worth(p.splits * p.kernels.rows * p.columns))


cdef void _run_splits(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Weights* p = <Weights*>context
    cdef int64_t slot = _take_slot(&p.slots), i, j, total = p.blocks[0] * p.blocks[1] * p.blocks[2] * p.blocks[3], split, group, slice
    cdef char* memory = p.slots.memory + slot * p.slots.size
    for i in range(begin, end):
        slice, group, split = i % p.slices, i // p.slices % p.groups, i // (p.slices * p.groups)
        for j in range(split * total // p.splits, (split + 1) * total // p.splits):
            _run_block(p, group, slice * p.panels_a // p.slices, (slice + 1) * p.panels_a // p.slices, j, j == split * total // p.splits,
                       _sums(p, split, group), memory)
    give(&p.slots.taken[slot])


cdef inline char* _sums(Weights* p, int64_t split, int64_t group) noexcept nogil:
    if p.direct and split == 0:
        return p.out
    return p.sums + ((split - p.direct) * p.groups + group) * p.sums_size


cdef void _run_block(Weights* p, int64_t group, int64_t first, int64_t last, int64_t block, bint fresh, char* sums, char* memory) noexcept nogil:
    """Add a block of pixels to the sums of the panels of output channels from ``first`` to ``last``."""
    cdef const Kernels* kernels = p.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef int64_t n = block // (p.blocks[3] * p.blocks[2] * p.blocks[1]) * p.images, images = min(p.images, p.count - n), i, j
    cdef int64_t[3] place
    place[0] = block // (p.blocks[3] * p.blocks[2]) % p.blocks[1]
    place[1], place[2] = block // p.blocks[3] % p.blocks[2] * p.rows, block % p.blocks[3] * p.wide
    cdef int64_t rows = min(p.rows, p.places[1] - place[1]), wide = min(p.wide, p.places[2] - place[2]), units = images * rows * wide
    cdef int64_t panels = last - first, panel_a = (units + kernels.whole) * kernels.rows * kernels.unit
    cdef char* windows = memory + panels * panel_a
    cdef char* piece
    for i in range(panels):
        _pack_grad(p, group, (first + i) * kernels.rows, n, images, place, rows * wide, memory + i * panel_a)
    sums += first * kernels.rows * p.stride
    for j in range(p.panels_b):
        _pack_columns(p, group, j * kernels.columns, n, images, place, rows, wide, windows)
        for i in range(panels):
            piece = sums + i * kernels.rows * p.stride + j * kernels.columns * kernels.sum
            multiply(memory + i * panel_a, windows, piece, p.stride, units, NULL if fresh else piece, p.stride,
                     memory + (i + 1 if i + 1 < panels else 0) * panel_a, windows)


cdef void _pack_grad(Weights* p, int64_t group, int64_t row, int64_t n, int64_t images, int64_t* place, int64_t pixels, char* panel) noexcept nogil:
    """A panel of output channels from ``row`` on, through ``pixels`` of each of some images."""
    cdef const Kernels* kernels = p.kernels
    cdef int64_t all = p.places[0] * p.places[1] * p.places[2], channel = group * p.outputs + row, i
    cdef int64_t start = (place[0] * p.places[1] + place[1]) * p.places[2] + place[2]
    for i in range(images):
        (<pack_t>kernels.functions[PACK_A_DEEP])(
            p.grad + (((n + i) * p.groups * p.outputs + channel) * all + start) * kernels.itemsize, all * kernels.itemsize, 0,
            panel + i * pixels * kernels.rows * kernels.unit, min(kernels.rows, p.outputs - row), pixels)


cdef void _pack_columns(Weights* p, int64_t group, int64_t first, int64_t n, int64_t images, int64_t* place, int64_t rows, int64_t wide,
                        char* windows) noexcept nogil:
    """A panel of columns from ``first`` on, through the same pixels: its share of each segment that it meets, beside those before."""
    cdef const Kernels* kernels = p.kernels
    cdef int64_t end = min(first + kernels.columns, p.columns), column = first, lane, count, segment, i, row, done
    cdef uint64_t loaded, stored
    cdef char* image = p.input + n * p.distance[0] + group * p.channels * kernels.itemsize
    cdef char* source
    cdef char* pixels
    image += place[0] * p.step[0] * p.distance[1] + place[1] * p.step[1] * p.distance[2] + place[2] * p.step[2] * p.distance[3]
    while column < end:
        segment, lane = column // p.length, column - first
        count = min((segment + 1) * p.length, end) - column
        loaded = stored = _bits(lane, count)
        if column + count == end:  # beyond the last, zeros: what memory held there may be denormal, and slow to multiply
            stored = _bits(lane, kernels.columns - lane)
        source = image + p.sources[segment] + (column - segment * p.length - lane) * kernels.itemsize
        for i in range(images):
            for row in range(rows):
                pixels, done = source + i * p.distance[0] + row * p.step[1] * p.distance[2], (i * rows + row) * wide
                if count == kernels.columns:
                    (<pack_t>kernels.functions[PACK_B_WIDE])(
                        pixels, 0, p.step[2] * p.distance[3], windows + done * kernels.columns * kernels.unit, count, wide)
                else:
                    p.pack_lanes(pixels, p.step[2] * p.distance[3], windows, done, loaded, stored, wide)
        column += count


cdef void _add_splits(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Write a panel's rows: the first split's sums, then each other's on top."""
    cdef Weights* p = <Weights*>context
    cdef const Kernels* kernels = p.kernels
    cdef Factors factors
    cdef int64_t i, split, group, first, row = p.columns * kernels.itemsize
    cdef char* out
    for i in range(begin, end):
        group, first = i // p.panels_a, i % p.panels_a * kernels.rows
        out = p.out + (group * p.outputs + first) * row
        for split in range(p.direct, p.splits):
            if kernels.unit == 8:
                factors.f64[0], factors.f64[1] = 1, split > 0
            else:
                factors.f32[0], factors.f32[1] = 1, split > 0
            (<finish_t>kernels.functions[FINISH])(
                _sums(p, split, group) + first * p.stride, p.stride,
                out, row, out, row, kernels.itemsize, min(kernels.rows, p.outputs - first), p.columns, &factors)


include "conv_quick.pxi"
