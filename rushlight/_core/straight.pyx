# cython: language_level=3
"""Convolutions that read their windows where they lie, in a copy of the input that has its padding; conv.pyx packs windows.

Each task copies the rows of the input that its pixels need. In the copy, every step of the window is 1: there is an image for each residue of
the input's places that a window meets, and all are shifted so that the first pixel's window begins at the first element. Then the elements
that one place of the window meets, pixel after pixel, follow each other, and a row of the product's right operand is known by its
offset. The ends of rows, where no window begins, are multiplied for nothing: columns of the product that are not stored. Packing
costs as much as some ten output channels, so that few of them are better off here.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel of codegen/gemm.py.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from rushlight._core cimport gemm
from rushlight._core.gemm cimport FINISH, MULTIPLY_AT, PACK_A_DEEP, Kernels, finish_t, multiply_at_t, pack_t
from rushlight._core.tensor cimport *
from rushlight._core.threads cimport num_threads, parallel_for, worth_handing

cdef enum:
    TILE_PANELS = 32     # most panels of pixels in a task: it copies the rows around its own, too
    TILE_BYTES = 524288  # of sums in a task
    LINE = 64            # bytes
    PACK_BYTES = 65536   # worth handing to another thread
    MAX_PHASES = 64      # residues of a step
    SHORT = 512          # bytes of a row of a copy that is cleared at once

include "conv_tasks.pxi"

MOST_RESIDUES = MAX_PHASES

cdef struct Axis:  # a dim of the image
    int64_t size     # of the input
    int64_t places   # of the output
    int64_t wide     # steps from the first place that a tap reads, for the first pixel, to the last one for the last
    int64_t step
    int64_t low      # the first of them, in steps; beside it the residue
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
    int64_t[3] held      # size of a task's copy: (phases along z, y and x, channels of a group, *held)
    int64_t plane        # bytes of a channel in it
    int64_t copied       # and of all
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


def correlate(Tensor input, Tensor weight, Tensor bias or None, Tensor out, tuple steps, tuple layout, int64_t groups):
    """out[n, o, z, y, x] = bias[o] + sum of weight[o, t, c] * input[n, c, (z, y, x) * step + offset of t], which is 0 outside of input.

    input (N, C, D, H, W), weight (O, *taps, C / groups), out (N, O, D', H', W') are row-major. ``layout`` of each dim: the copy's first
    place and size, its residues, and for each tap the number of its residue and its shift.
    """
    cdef Call p
    cdef int64_t[3][MAX_PHASES] phases
    cdef int d
    p.itemsize, p.groups, p.channels, p.outputs = ITEMSIZE[input.code], groups, input.sizes[1] // groups, out.sizes[1] // groups
    _set_factors(&p.factors, input.code, bias is not None)
    for d in range(3):
        _describe(&p.axes[d], input.sizes[2 + d], out.sizes[2 + d], steps[d], layout[d], phases[d])
    cdef int64_t all = (p.axes[1].places - 1) * p.axes[2].wide + p.axes[2].places
    p.kernels = gemm.kernels_for(input.code, p.outputs, all)
    p.units, p.panels, p.panels_a = weight.count // weight.sizes[0], _panels(all, p.kernels.columns), _panels(p.outputs, p.kernels.rows)
    p.panel_a = (p.units + p.kernels.whole) * p.kernels.rows * p.kernels.unit
    p.input, p.weight, p.output, p.bias = input.address, weight.address, out.address, bias.address if bias is not None else NULL
    cdef Storage memory = _prepare(&p.slots, _choose_tile(&p, input.sizes[0]))
    cdef Storage packed = allocate(groups * p.panels_a * p.panel_a), table = allocate(p.units * 8)
    p.offsets, p.packed = <int64_t*>table.address, <char*>packed.address
    _find_offsets(&p, layout)
    with nogil:
        parallel_for(_pack_weights, &p, 0, groups * p.panels_a, PACK_BYTES // p.panel_a + 1)
        parallel_for(_run_tiles, &p, 0, groups * out.sizes[0] * p.axes[0].places * p.tiles,
                     _worth(p.tile * p.kernels.columns * p.outputs * p.units))


cdef int _describe(Axis* axis, int64_t size, int64_t places, int64_t step, tuple layout, int64_t* phases) except -1:
    axis.size, axis.places, axis.step, axis.low, axis.wide = size, places, step, layout[0], layout[1]
    axis.phases, axis.phase = len(layout[2]), phases
    for i in range(axis.phases):
        phases[i] = layout[2][i]
    return 0


cdef int64_t _choose_tile(Call* p, int64_t images) noexcept:
    """Sets the panels of a task and the size of its copy; returns the bytes that it needs."""
    cdef Axis* axes = p.axes
    cdef int64_t side = p.panels_a * p.kernels.rows * p.kernels.columns * p.kernels.sum, planes = images * axes[0].places * p.groups
    p.tile = max(<int64_t>1, min(<int64_t>TILE_PANELS, TILE_BYTES // side))
    while p.tile > 1 and planes * _panels(p.panels, p.tile) < FEW_TASKS:
        p.tile = (p.tile + 1) // 2
    p.tiles = _panels(p.panels, p.tile)
    p.held[0], p.held[2] = axes[0].wide - axes[0].places + 1, axes[2].wide
    # The first pixel lies anywhere in its row.
    p.held[1] = (axes[2].wide - 1 + p.tile * p.kernels.columns - 1) // axes[2].wide + 1 + axes[1].wide - axes[1].places
    p.plane = p.held[0] * p.held[1] * p.held[2] * p.itemsize
    p.copied = axes[0].phases * axes[1].phases * axes[2].phases * p.channels * p.plane
    return p.tile * side + p.copied + axes[2].wide * p.itemsize + 3 * LINE


cdef int _find_offsets(Call* p, tuple layout) except -1:
    """A row for each tap and, within it, each channel."""
    cdef int64_t phase, shift, channel, k = 0
    for z in layout[0][3]:
        for y in layout[1][3]:
            for x in layout[2][3]:
                phase = (<int64_t>z[0] * p.axes[1].phases + <int64_t>y[0]) * p.axes[2].phases + <int64_t>x[0]
                shift = (<int64_t>z[1] * p.held[1] + <int64_t>y[1]) * p.held[2] + <int64_t>x[1]
                for channel in range(p.channels):
                    p.offsets[k] = (phase * p.channels + channel) * p.plane + shift * p.itemsize
                    k += 1
    return 0


# -- the copy --

cdef void _copy_rows(Call* p, char* channels, int64_t place_z, int64_t place_y, char* out) noexcept nogil:
    """What the windows read from the output's row ``place_y`` of plane ``place_z`` on. ``channels``: of the input, the group's first."""
    cdef Axis* axes = p.axes
    cdef int64_t i, z, y, row = axes[2].size * p.itemsize, wide = p.held[2] * p.itemsize, from_z, from_y, phase_x, phase_y, phase_z
    cdef Row line
    cdef char* plane
    line.cleared = wide <= SHORT
    if line.cleared:  # all at once: a call for each edge of a short row costs more than the row
        memset(out, 0, p.copied)
    for i in range(p.copied // p.plane):
        plane = channels + i % p.channels * axes[0].size * axes[1].size * row
        phase_x = axes[2].phase[i // p.channels % axes[2].phases]
        phase_y = axes[1].phase[i // (p.channels * axes[2].phases) % axes[1].phases]
        phase_z = axes[0].phase[i // (p.channels * axes[2].phases * axes[1].phases)]
        _describe_row(&line, &axes[2], phase_x)
        for z in range(p.held[0]):
            from_z = (place_z + z + axes[0].low) * axes[0].step + phase_z
            for y in range(p.held[1]):
                from_y = (place_y + y + axes[1].low) * axes[1].step + phase_y
                if 0 <= from_z < axes[0].size and 0 <= from_y < axes[1].size:
                    _copy_row(&line, &axes[2], plane + (from_z * axes[1].size + from_y) * row, out, p.itemsize)
                elif not line.cleared:
                    memset(out, 0, wide)
                out += wide
    memset(out, 0, axes[2].wide * p.itemsize + LINE)  # where the last panel reads what nobody uses


cdef struct Row:
    int64_t first      # element of the input that the first one inside is
    int64_t low, high  # elements of the copy that the input has
    bint cleared       # are the others zero already?


cdef void _describe_row(Row* line, Axis* axis, int64_t phase) noexcept nogil:
    cdef int64_t start = axis.low * axis.step + phase  # of the row, where the copy's first element is
    line.low = min(axis.wide, max(<int64_t>0, _panels(-start, axis.step)))
    line.high = max(line.low, min(axis.wide, _panels(axis.size - start, axis.step)))
    line.first = line.low * axis.step + start


cdef void _copy_row(const Row* line, const Axis* axis, char* row, char* out, int64_t itemsize) noexcept nogil:
    cdef int64_t x, count = line.high - line.low
    if not line.cleared:
        memset(out, 0, line.low * itemsize)
        memset(out + line.high * itemsize, 0, (axis.wide - line.high) * itemsize)
    row += line.first * itemsize
    out += line.low * itemsize
    if axis.step == 1:
        memcpy(out, row, count * itemsize)
    elif itemsize == 4:
        for x in range(count):
            (<int32_t*>out)[x] = (<int32_t*>row)[x * axis.step]
    else:
        for x in range(count):
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
    cdef int64_t lane = first * kernels.columns, end = lane + panels * kernels.columns, y = lane // axes[2].wide, here, stop
    cdef char* sums = <char*>((<size_t>memory + LINE - 1) & ~<size_t>(LINE - 1))
    cdef char* copy = sums + p.panels_a * kernels.rows * stride + LINE
    _copy_rows(p, p.input + (image * p.groups + group) * p.channels * axes[0].size * axes[1].size * axes[2].size * p.itemsize, z, y, copy)
    _multiply(p, p.packed + group * p.panels_a * p.panel_a, copy + (lane - y * axes[2].wide) * p.itemsize, panels, sums, stride)
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
    cdef char* piece
    while done < p.units:
        here = min(kernels.stretch, p.units - done)
        for j in range(panels):
            a = weights + done * high
            for i in range(p.panels_a):
                piece = sums + i * kernels.rows * stride + j * across
                multiply(a, pixels + j * across, p.offsets + done, piece, stride, here, piece if done else NULL, stride,
                         a + p.panel_a if i + 1 < p.panels_a else weights + done * high, across + i * LINE % across)
                a += p.panel_a
        done += here
