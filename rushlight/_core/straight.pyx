# cython: language_level=3
"""Convolutions that read their windows where they lie, in a copy of the input that has its padding; conv.pyx packs windows.

In the copy, every step of the window is 1: there is an image for each residue of the input's places that a window meets, and all are
shifted so that the first place of the output reads the first element. Then the elements that one place of the window meets, pixel after
pixel, follow each other, and a row of the product's right operand is known by its offset. The ends of rows, where no window begins,
are multiplied for nothing: columns of the product that are not stored. Packing costs as much as some ten output channels, so
that few of them are better off here.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel of codegen/gemm.py.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from rushlight._core cimport gemm
from rushlight._core.gemm cimport FINISH, MULTIPLY_AT, PACK_A_DEEP, Kernels, finish_t, multiply_at_t, pack_t
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for

cdef enum:
    TILE_PANELS = 8      # most panels of pixels in a task
    TILE_BYTES = 524288  # of sums in a task
    LINE = 64            # bytes
    COPY_BYTES = 65536   # worth handing to another thread
    MAX_PHASES = 64      # residues of a step

include "conv_tasks.pxi"

MOST_RESIDUES = MAX_PHASES

cdef struct Axis:  # a dim of the image
    int64_t size     # of the input
    int64_t places   # of the output
    int64_t wide     # of the copy
    int64_t step
    int64_t low      # the copy's first element is the input's ``low * step`` plus the residue
    int64_t phases   # residues
    int64_t* phase

cdef struct Call:
    const Kernels* kernels
    Slots slots
    Factors factors
    int64_t itemsize
    int64_t groups
    int64_t channels     # of the input
    int64_t outputs      # channels of the output, in a group
    Axis[3] axes
    char* input
    char* copy           # (N, phases along z, y and x, channels, *wide)
    int64_t image        # bytes of its image
    int64_t plane        # and of a channel's plane
    int64_t* offsets     # of the rows, a row for each element of k
    char* weight         # (groups, outputs, k), row-major
    char* bias           # or NULL
    char* output
    char* packed         # the weights
    int64_t units        # of k
    int64_t panels_a     # in a group
    int64_t panel_a      # bytes of a packed panel
    int64_t panels       # of pixels, in an image's plane
    int64_t tile         # panels in a task
    int64_t tiles        # in a plane


def lanes(int code, int64_t outputs, int64_t rows, int64_t columns, int64_t wide):
    """How many columns are multiplied for a plane of ``rows`` x ``columns`` pixels whose rows are ``wide``; 0 if there are no such kernels."""
    cdef int64_t all = (rows - 1) * wide + columns
    cdef const Kernels* kernels = gemm.kernels_for(code, outputs, all)
    return _panels(all, kernels.columns) * kernels.columns if kernels.functions[MULTIPLY_AT] != NULL else 0


def correlate(Tensor input, Tensor weight, Tensor bias, Tensor out, tuple steps, tuple layout, int64_t groups):
    """out[n, o, z, y, x] = bias[o] + sum of weight[o, t, c] * input[n, c, (z, y, x) * step + offset of t], which is 0 outside of input.

    input (N, C, D, H, W), weight (O, *taps, C / groups), out (N, O, D', H', W') are row-major. ``layout`` of each dim: the copy's first
    place and size, its residues, and for each tap the number of its residue and its shift.
    """
    cdef Call p
    cdef int64_t[3][MAX_PHASES] phases
    cdef int d
    p.itemsize, p.groups, p.channels, p.outputs = ITEMSIZE[input.code], groups, input.sizes[1], out.sizes[1] // groups
    _set_factors(&p.factors, input.code, bias is not None)
    p.plane, p.image = p.itemsize, input.sizes[1]
    for d in range(3):
        _describe(&p.axes[d], input.sizes[2 + d], out.sizes[2 + d], steps[d], layout[d], phases[d])
        p.plane *= p.axes[d].wide
        p.image *= p.axes[d].phases
    p.image *= p.plane
    cdef int64_t all = (p.axes[1].places - 1) * p.axes[2].wide + p.axes[2].places, task
    p.kernels = gemm.kernels_for(input.code, p.outputs, all)
    p.units, p.panels, p.panels_a = weight.count // weight.sizes[0], _panels(all, p.kernels.columns), _panels(p.outputs, p.kernels.rows)
    p.panel_a = (p.units + p.kernels.whole) * p.kernels.rows * p.kernels.unit
    p.input, p.weight, p.output, p.bias = input.address, weight.address, out.address, bias.address if bias is not None else NULL
    cdef int64_t beyond = p.kernels.columns * p.itemsize  # what the last panel reads and nobody uses
    cdef Storage copy = allocate(input.sizes[0] * p.image + beyond), table = allocate(p.units * 8)
    cdef Storage packed = allocate(groups * p.panels_a * p.panel_a), memory = _prepare(&p.slots, _choose_tile(&p, input.sizes[0]))
    p.copy, p.offsets, p.packed = <char*>copy.address, <int64_t*>table.address, <char*>packed.address
    memset(p.copy + input.sizes[0] * p.image, 0, beyond)
    _find_offsets(&p, layout, p.channels // groups)
    task = p.tile * p.kernels.columns * p.outputs * p.units
    with nogil:
        parallel_for(_copy_planes, &p, 0, input.sizes[0] * p.image // p.plane, COPY_BYTES // p.plane + 1)
        parallel_for(_pack_weights, &p, 0, groups * p.panels_a, COPY_BYTES // p.panel_a + 1)
        parallel_for(_run_tiles, &p, 0, groups * out.sizes[0] * p.axes[0].places * p.tiles, _worth(task))


cdef int _describe(Axis* axis, int64_t size, int64_t places, int64_t step, tuple layout, int64_t* phases) except -1:
    axis.size, axis.places, axis.step, axis.low, axis.wide = size, places, step, layout[0], layout[1]
    axis.phases, axis.phase = len(layout[2]), phases
    for i in range(axis.phases):
        phases[i] = layout[2][i]
    return 0


cdef int64_t _choose_tile(Call* p, int64_t images) noexcept:
    """Sets the panels of a task; returns the bytes that it needs."""
    cdef int64_t side = p.panels_a * p.kernels.rows * p.kernels.columns * p.kernels.sum, planes = images * p.axes[0].places * p.groups
    p.tile = max(<int64_t>1, min(<int64_t>TILE_PANELS, TILE_BYTES // side))
    while p.tile > 1 and planes * _panels(p.panels, p.tile) < FEW_TASKS:
        p.tile = (p.tile + 1) // 2
    p.tiles = _panels(p.panels, p.tile)
    return p.tile * side + 2 * LINE


cdef int _find_offsets(Call* p, tuple layout, int64_t channels) except -1:
    """A row for each tap and, within it, each channel of a group."""
    cdef int64_t phase, shift, channel, k = 0
    for z in layout[0][3]:
        for y in layout[1][3]:
            for x in layout[2][3]:
                phase = (<int64_t>z[0] * p.axes[1].phases + <int64_t>y[0]) * p.axes[2].phases + <int64_t>x[0]
                shift = (<int64_t>z[1] * p.axes[1].wide + <int64_t>y[1]) * p.axes[2].wide + <int64_t>x[1]
                for channel in range(channels):
                    p.offsets[k] = (phase * p.channels + channel) * p.plane + shift * p.itemsize
                    k += 1
    return 0


# -- the copy --

cdef void _copy_planes(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef Axis* axes = p.axes
    cdef int64_t i, rest, z, y, row = axes[2].wide * p.itemsize, from_z, from_y
    cdef int64_t[3] phase
    cdef char* plane
    cdef char* out
    for i in range(begin, end):
        rest = i // p.channels
        phase[2], rest = axes[2].phase[rest % axes[2].phases], rest // axes[2].phases
        phase[1], rest = axes[1].phase[rest % axes[1].phases], rest // axes[1].phases
        phase[0], rest = axes[0].phase[rest % axes[0].phases], rest // axes[0].phases
        plane = p.input + (rest * p.channels + i % p.channels) * axes[0].size * axes[1].size * axes[2].size * p.itemsize
        out = p.copy + i * p.plane
        for z in range(axes[0].wide):
            from_z = (z + axes[0].low) * axes[0].step + phase[0]
            for y in range(axes[1].wide):
                from_y = (y + axes[1].low) * axes[1].step + phase[1]
                if 0 <= from_z < axes[0].size and 0 <= from_y < axes[1].size:
                    _copy_row(&axes[2], plane + (from_z * axes[1].size + from_y) * axes[2].size * p.itemsize, phase[2], out, p.itemsize)
                else:
                    memset(out, 0, row)
                out += row


cdef void _copy_row(Axis* axis, char* row, int64_t phase, char* out, int64_t itemsize) noexcept nogil:
    cdef int64_t start = axis.low * axis.step + phase  # of the row, where the copy's first element is
    cdef int64_t low = min(axis.wide, max(<int64_t>0, _panels(-start, axis.step))), x
    cdef int64_t high = max(low, min(axis.wide, _panels(axis.size - start, axis.step)))
    memset(out, 0, low * itemsize)
    memset(out + high * itemsize, 0, (axis.wide - high) * itemsize)
    row += (low * axis.step + start) * itemsize
    out += low * itemsize
    if axis.step == 1:
        memcpy(out, row, (high - low) * itemsize)
    elif itemsize == 4:
        for x in range(high - low):
            (<int32_t*>out)[x] = (<int32_t*>row)[x * axis.step]
    else:
        for x in range(high - low):
            (<int64_t*>out)[x] = (<int64_t*>row)[x * axis.step]


# -- the product --

cdef void _pack_weights(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef pack_t pack = <pack_t>p.kernels.functions[PACK_A_DEEP]
    cdef int64_t row = p.units * p.itemsize, i, first
    for i in range(begin, end):
        first = i % p.panels_a * p.kernels.rows
        pack(p.weight + (i // p.panels_a * p.outputs + first) * row, row, 0, p.packed + i * p.panel_a, min(p.kernels.rows, p.outputs - first),
             p.units)


cdef void _run_tiles(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Call* p = <Call*>context
    cdef int64_t slot = _take_slot(&p.slots), i, first
    for i in range(begin, end):
        first = i % p.tiles * p.tile
        _run_tile(p, i // p.tiles % p.groups, i // (p.tiles * p.groups), first, min(p.tile, p.panels - first),
                  p.slots.memory + slot * p.slots.size)
    give(&p.slots.taken[slot])


cdef void _run_tile(Call* p, int64_t group, int64_t plane, int64_t first, int64_t panels, char* memory) noexcept nogil:
    """Some panels of one plane of an output image, all output channels of a group."""
    cdef const Kernels* kernels = p.kernels
    cdef Axis* axes = p.axes
    cdef int64_t image = plane // axes[0].places, z = plane % axes[0].places, stride = panels * kernels.columns * kernels.sum
    cdef char* sums = <char*>((<size_t>memory + LINE - 1) & ~<size_t>(LINE - 1))
    cdef char* pixels = p.copy + image * p.image + group * (p.channels // p.groups) * p.plane
    pixels += (z * axes[1].wide * axes[2].wide + first * kernels.columns) * p.itemsize
    _multiply(p, p.packed + group * p.panels_a * p.panel_a, pixels, panels, sums, stride)
    cdef int64_t lane = first * kernels.columns, end = lane + panels * kernels.columns, y = lane // axes[2].wide, here, stop
    cdef int64_t all = axes[0].places * axes[1].places * axes[2].places
    cdef char* out = p.output + ((image * p.groups + group) * p.outputs * all + z * axes[1].places * axes[2].places) * p.itemsize
    while y < axes[1].places and y * axes[2].wide < end:  # row by row
        here, stop = max(lane, y * axes[2].wide), min(end, y * axes[2].wide + axes[2].places)
        if here < stop:
            (<finish_t>kernels.functions[FINISH])(
                sums + (here - lane) * kernels.sum, stride, out + (y * axes[2].places + here - y * axes[2].wide) * p.itemsize,
                all * p.itemsize, p.bias + group * p.outputs * p.itemsize, p.itemsize, 0, p.outputs, stop - here, &p.factors)
        y += 1


cdef void _multiply(Call* p, char* weights, char* pixels, int64_t panels, char* sums, int64_t stride) noexcept nogil:
    """The sums, a stretch of k at a time. Each call of the kernel prefetches one of the lines that the next panel reads."""
    cdef const Kernels* kernels = p.kernels
    cdef multiply_at_t multiply = <multiply_at_t>kernels.functions[MULTIPLY_AT]
    cdef int64_t high = kernels.rows * kernels.unit, across = kernels.columns * p.itemsize, done = 0, here, i, j
    cdef char* a
    while done < p.units:
        here = min(kernels.stretch, p.units - done)
        for j in range(panels):
            a = weights + done * high
            for i in range(p.panels_a):
                multiply(a, pixels + j * across, p.offsets + done, sums + i * kernels.rows * stride + j * across, stride, here, done == 0,
                         a + p.panel_a if i + 1 < p.panels_a else weights + done * high, across + i * LINE % across)
                a += p.panel_a
        done += here
