# The gradient of the windows, by as many products. Included by winograd.pyx.
#
# It is G' [sum over tiles of (A Y A') . (B' d B)] G, for the gradient Y of a tile of the output; of tiles of one row G' [(A y) . (B' d)]. Rows are output channels, columns channels
# of the input, k the tiles. Sums over k are cut by shape only and added in a fixed order.

cdef enum:
    TILES_BYTES = 2097152   # of transformed tiles that a task has at a time: they may leave the second-level cache
    SLICE_PANELS = 12       # most panels of output channels of a task
    SPLIT_BYTES = 4194304   # of sums

cdef struct Weights:
    Tiling tiling
    const Kernels* kernels
    Slots slots
    Factors[2] factors   # of the first split's sums, and of those that are added to them
    int64_t together     # tiles that are transformed at a time
    int64_t blocks       # of so many tiles
    int64_t splits       # of the blocks, each with sums of its own
    int64_t slices       # of the output channels
    int64_t panels_a
    int64_t panels_b
    int64_t panel_a      # bytes
    int64_t panel_b
    int64_t row          # bytes from one channel's transformed tiles to the next one's
    int64_t piece        # bytes of the sums of a panel by a panel
    char* sums           # (splits, positions, panels of outputs, panels of channels, rows, columns)
    char* out            # (positions, outputs, channels)


def correlate_weights(Tensor input, Tensor grad, Tensor out, tuple steps, list phases, int64_t taps, int64_t high, size_t table, int64_t lanes):
    """out[., o, c] = the sum over all tiles of (A Y A') . (B' d B), Y of output channel o in ``grad``, d of channel c of all phases of ``input``.

    grad (N, O, D', H', W') and out (positions, O, phases * C) are row-major; the other arguments are those of :func:`correlate`.
    """
    cdef Weights p
    cdef Tiling* t = &p.tiling
    cdef int64_t size, slice, bytes
    _lay_tiles(t, input, grad, steps, phases, taps, high, table, lanes)
    p.kernels, p.out = gemm.kernels(input.code), out.address
    _set_factors(&p.factors[0], input.code, 0)
    _set_factors(&p.factors[1], input.code, 1)
    p.panels_a, p.panels_b = _panels(t.outputs, p.kernels.rows), _panels(t.channels, p.kernels.columns)
    p.slices = _slices(p.panels_a, SLICE_PANELS)
    slice = _panels(p.panels_a, p.slices) * p.kernels.rows
    p.together = TILES_BYTES // (t.positions * (t.channels + slice) * t.item) // lanes * lanes
    p.together = max(2 * lanes, min(p.together, <int64_t>MOST_TILES))
    p.piece = p.kernels.rows * p.kernels.columns * t.item
    size = t.positions * p.panels_a * p.panels_b * p.piece
    p.splits = _splits(min(min(_panels(FEW_TASKS, p.slices), SPLIT_BYTES // size), _panels(t.all, p.together)))
    p.together = _panels(_panels(t.all, _panels(_panels(t.all, p.together), p.splits) * p.splits), lanes) * lanes
    p.blocks, p.row = _panels(t.all, p.together), p.together * t.item + LINE
    bytes = (p.together + p.kernels.whole) * t.item
    p.panel_a, p.panel_b = bytes * p.kernels.rows, bytes * p.kernels.columns
    cdef Storage sums = allocate(p.splits * size)
    cdef Storage memory = _prepare(&p.slots, t.positions * (t.channels + slice) * p.row + slice // p.kernels.rows * p.panel_a + p.panel_b + LINE)
    p.sums = <char*>sums.address
    with nogil:
        parallel_for(_run_splits, &p, 0, p.splits * p.slices, 1)
        parallel_for(_add_splits, &p, 0, t.positions * p.panels_a, _worth(p.splits * t.channels * p.kernels.rows))


cdef void _run_splits(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Weights* p = <Weights*>context
    cdef int64_t slot = _take_slot(&p.slots), i, j, split, first, last
    for i in range(begin, end):
        split, first, last = i // p.slices, i % p.slices * p.panels_a // p.slices, (i % p.slices + 1) * p.panels_a // p.slices
        for j in range(split * p.blocks // p.splits, (split + 1) * p.blocks // p.splits):
            _run_block(p, j, first, last, j == split * p.blocks // p.splits, p.sums + split * p.tiling.positions * p.panels_a * p.panels_b * p.piece,
                       p.slots.memory + slot * p.slots.size)
    give(&p.slots.taken[slot])


cdef void _run_block(Weights* p, int64_t block, int64_t first, int64_t last, bint fresh, char* sums, char* memory) noexcept nogil:
    """Add a block of tiles to the sums of the panels of output channels from ``first`` to ``last``."""
    cdef const Tiling* t = &p.tiling
    cdef const Kernels* kernels = p.kernels
    cdef Run[MOST_TILES] runs
    cdef int64_t start = block * p.together, count = min(p.together, t.all - start), n = _find_runs(t, start, count, runs), i
    cdef int64_t channel = first * kernels.rows, outputs = min(last * kernels.rows, t.outputs) - channel
    cdef char* spread = memory + t.positions * t.channels * p.row
    cdef char* panels = spread + t.positions * outputs * p.row
    for i in range(n):
        _scatter(t, &runs[i], memory, t.channels * p.row, p.row)
        _spread(t, &runs[i], channel, outputs, spread, outputs * p.row, p.row)
    for i in range(t.positions):
        _add_products(p, memory + i * t.channels * p.row, spread + i * outputs * p.row, outputs, count, fresh, panels,
                      sums + (i * p.panels_a + first) * p.panels_b * p.piece)


cdef void _spread(const Tiling* t, const Run* run, int64_t first, int64_t channels, char* panel, int64_t position, int64_t row) noexcept nogil:
    """Transform the gradient of the tiles, of ``channels`` output channels from ``first`` on."""
    cdef char* rows[2]
    cdef int64_t[2] steps
    cdef int64_t y = t.high * run.tile[0], x = 2 * run.tile[1], across = t.places[2] * t.item, plane = t.places[1] * across
    cdef int64_t step = t.places[0] * plane, r
    for r in range(t.high):
        rows[r], steps[r] = _zeros, 0
        if y + r < t.places[1]:
            rows[r] = t.output + (run.image * t.outputs + first) * step + run.plane * plane + (y + r) * across + x * t.item
            steps[r] = step
    t.spread(rows, steps, _bits(0, min(2 * run.count, t.places[2] - x)), _bits(0, run.count), panel + run.lane * t.item, position, row, channels)


cdef void _add_products(Weights* p, char* tiles, char* spread, int64_t outputs, int64_t count, bint fresh, char* panels, char* sums) noexcept nogil:
    """The products of ``count`` tiles at one position."""
    cdef const Kernels* kernels = p.kernels
    cdef multiply_t multiply = <multiply_t>kernels.functions[MULTIPLY]
    cdef pack_t pack_a = <pack_t>kernels.functions[PACK_A_DEEP], pack_b = <pack_t>kernels.functions[PACK_B_DEEP]
    cdef int64_t panels_a = _panels(outputs, kernels.rows), across = kernels.columns * kernels.sum, i, j
    cdef char* b = panels + panels_a * p.panel_a
    cdef char* piece
    for i in range(panels_a):
        pack_a(spread + i * kernels.rows * p.row, p.row, 0, panels + i * p.panel_a, min(kernels.rows, outputs - i * kernels.rows), count)
    for j in range(p.panels_b):
        pack_b(tiles + j * kernels.columns * p.row, p.row, 0, b, min(kernels.columns, p.tiling.channels - j * kernels.columns), count)
        for i in range(panels_a):
            piece = sums + (i * p.panels_b + j) * p.piece
            multiply(panels + i * p.panel_a, b, piece, across, count, NULL if fresh else piece, across, panels + (i + 1) % panels_a * p.panel_a, b)


cdef void _add_splits(void* context, int64_t begin, int64_t end) noexcept nogil:
    """Write the sums of a panel of output channels at a position: the first split's, then each other's on top."""
    cdef Weights* p = <Weights*>context
    cdef const Kernels* kernels = p.kernels
    cdef int64_t row = p.tiling.channels * p.tiling.item, i, j, split, first
    cdef char* out
    for i in range(begin, end):
        first = i % p.panels_a * kernels.rows
        for j in range(p.panels_b):
            out = p.out + (i // p.panels_a * p.tiling.outputs + first) * row + j * kernels.columns * p.tiling.item
            for split in range(p.splits):
                (<finish_t>kernels.functions[FINISH])(
                    p.sums + ((split * p.tiling.positions * p.panels_a + i) * p.panels_b + j) * p.piece, kernels.columns * kernels.sum,
                    out, row, out, row, kernels.itemsize, min(kernels.rows, p.tiling.outputs - first),
                    min(kernels.columns, p.tiling.channels - j * kernels.columns), &p.factors[split > 0])
