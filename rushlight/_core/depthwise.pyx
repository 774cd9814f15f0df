# cython: language_level=3
"""Convolutions whose channels are each convolved alone, and the gradient of their weights; the kernels are codegen/depthwise.py's.

It is written in Cython because it is a driver: loops over addresses, with every inner loop in a compiled kernel.
"""
from libc.stdint cimport int64_t

from rushlight._core.tensor cimport *
from rushlight._core.threads cimport parallel_for

ctypedef void (*plane_t)(char*, char*, char*, char*, int64_t*) noexcept nogil
ctypedef void (*sums_t)(char*, char*, char*, int64_t*) noexcept nogil

cdef enum:
    TASK_BYTES = 65536   # that a task reads and writes, at least
    LANE_SUMS = 1024     # products that are added up in one lane of a register

cdef struct Geometry:    # codegen/depthwise.py's GEOMETRY
    int64_t height, width, rows, columns, step, top, left, down, across, images, image, place

cdef struct Planes:
    size_t kernel
    Geometry geometry
    int64_t item
    int64_t channels
    int64_t taps
    char* image         # over which windows slide
    char* places
    char* weight        # or its gradient's partial sums
    char* bias
    int64_t bias_step   # bytes from channel to channel, or 0
    bint transposed
    # -- the gradient of the weights: tasks of some images, some rows of places and a channel --
    int64_t pairs       # of a channel of the image and one of the places, in each group all by all
    int64_t inner       # channels of a group
    int64_t outer       # and of its places
    int64_t sum_size    # bytes
    int64_t batch
    int64_t images      # of a task
    int64_t rows
    int64_t parts       # of the rows


cdef int _describe(Planes* p, size_t kernel, Tensor image, Tensor places, tuple geometry) except -1:
    """geometry: step, top, left, down, across."""
    cdef Geometry* g = &p.geometry
    p.kernel, p.item, p.channels, p.batch = kernel, ITEMSIZE[image.code], image.sizes[1], image.sizes[0]
    g.height, g.width, g.rows, g.columns = image.sizes[2], image.sizes[3], places.sizes[2], places.sizes[3]
    g.step, g.top, g.left, g.down, g.across = geometry
    p.image, p.places = image.address, places.address
    return 0


def run_planes(size_t kernel, Tensor image, Tensor weight, Tensor bias or None, Tensor places, tuple geometry, bint transposed):
    """places[n, c] = bias[c] + image[n, c] correlated with weight[c]; transposed: the image from the places.

    All are row-major, (N, C, H, W); bias has one element, or one for each channel.
    """
    cdef Planes p
    _describe(&p, kernel, image, places, geometry)
    p.weight, p.bias, p.transposed = weight.address, bias.address, transposed
    p.taps, p.bias_step = weight.count // p.channels, p.item if bias.count > 1 else 0
    cdef int64_t plane = (p.geometry.height * p.geometry.width + p.geometry.rows * p.geometry.columns) * p.item
    with nogil:
        parallel_for(_run_planes, &p, 0, p.batch * p.channels, TASK_BYTES // plane + 1)


cdef void _run_planes(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Planes* p = <Planes*>context
    cdef Geometry* g = &p.geometry
    cdef int64_t i, channel
    for i in range(begin, end):
        channel = i % p.channels
        (<plane_t>p.kernel)(p.image + i * g.height * g.width * p.item, p.weight + channel * p.taps * p.item,
                            p.bias + channel * p.bias_step, p.places + i * g.rows * g.columns * p.item, <int64_t*>g)


def part_sums(Tensor image, Tensor places, int64_t lanes):
    """(tasks of a channel, images of a task, rows of a task): how :func:`weight_sums` cuts its sums, by shape alone."""
    cdef int64_t pieces = (places.sizes[3] + lanes - 1) // lanes
    cdef int64_t rows = max(<int64_t>1, min(places.sizes[2], LANE_SUMS // pieces))
    cdef int64_t images = max(<int64_t>1, LANE_SUMS // (rows * pieces))
    return _cut(image.sizes[0], images) * _cut(places.sizes[2], rows), images, rows


cdef inline int64_t _cut(int64_t size, int64_t width) noexcept nogil:
    return (size + width - 1) // width


def weight_sums(size_t kernel, Tensor image, Tensor grad, Tensor out, tuple geometry, int64_t groups, int64_t images, int64_t rows):
    """out[task, pair, tap] = the sum over a task's places of what the tap reads in image[n, c], times the gradient of the place in channel o.

    Of (o, c) there is a pair for each o, and each c of its group, in order.
    """
    cdef Planes p
    _describe(&p, kernel, image, grad, geometry)
    p.weight, p.taps, p.sum_size, p.pairs = out.address, out.sizes[2], ITEMSIZE[out.code], out.sizes[1]
    p.inner, p.outer = p.channels // groups, grad.sizes[1] // groups
    p.images, p.rows, p.parts = images, rows, _cut(p.geometry.rows, rows)
    p.geometry.image = p.channels * p.geometry.height * p.geometry.width
    p.geometry.place = grad.sizes[1] * p.geometry.rows * p.geometry.columns
    with nogil:
        parallel_for(_sum_weights, &p, 0, out.sizes[0] * p.pairs, 1)


cdef void _sum_weights(void* context, int64_t begin, int64_t end) noexcept nogil:
    cdef Planes* p = <Planes*>context
    cdef Geometry g = p.geometry
    cdef int64_t i, pair, channel, place, first, row
    for i in range(begin, end):
        pair, first, row = i % p.pairs, i // p.pairs // p.parts * p.images, i // p.pairs % p.parts * p.rows
        channel, place = pair // (p.inner * p.outer) * p.inner + pair % p.inner, pair // p.inner
        g.images, g.rows = min(p.images, p.batch - first), min(p.rows, p.geometry.rows - row)
        g.top = p.geometry.top - row * g.step
        (<sums_t>p.kernel)(p.image + (first * g.image + channel * g.height * g.width) * p.item,
                           p.places + (first * g.place + (place * p.geometry.rows + row) * g.columns) * p.item,
                           p.weight + i * p.taps * p.sum_size, <int64_t*>&g)
