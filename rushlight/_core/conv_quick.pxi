# The quick way (see Library.quick) of a convolution of few elements: nothing but its call is described. Its copies of a few weights and
# pixels are loops here, since describing one to a kernel of the language costs more than it takes. Included by conv.pyx.

cdef enum:
    FEW_WEIGHTS = 65536
    FEW_PRODUCTS = 4194304     # 50 us of work: what more of them cost is not the call

cdef object _pack_lanes = None               # (dtype code, on tiles, narrow) -> address
cdef lanes_t[N_DTYPES][2] _lanes


def set_packer(function):
    """Registers the Python side that gives the packing kernel of a dtype."""
    global _pack_lanes
    _pack_lanes = function


cdef bint _is_plain(object x, int code, int ndim):
    """Row-major on the CPU, of a dtype and rank?"""
    cdef Tensor t
    if not isinstance(x, Tensor):
        return False
    t = <Tensor>x
    return t.code == code and t.ndim == ndim and t.flags & (CONTIGUOUS | CONJ | NEG) == CONTIGUOUS and not t.place and t.count > 0


cdef bint _three(object given, int rank, int64_t fill, int64_t* out) except -1:
    """A tuple of a number for each of the last ``rank`` of three dims, ``fill`` in front; False if it is none."""
    cdef int d
    if type(given) is not tuple or len(<tuple>given) != rank:
        return False
    for d in range(3):
        out[d] = fill if d < 3 - rank else (<tuple>given)[d - 3 + rank]
    return True


cdef void _spread_three(Tensor t, int64_t* out) noexcept:
    """The sizes behind the first two dims, as those of three dims."""
    cdef int d
    for d in range(3):
        out[d] = 1 if d < 5 - t.ndim else t.sizes[t.ndim - 3 + d]


cdef void _channels_last(const char* source, char* target, int64_t outputs, int64_t channels, int64_t taps, int64_t item) noexcept nogil:
    """Weights (O, C, taps) as (O, taps, C)."""
    cdef int64_t o, c, t, all = channels * taps
    for o in range(outputs):
        for t in range(taps):
            for c in range(channels):
                if item == 4:
                    (<int32_t*>target)[o * all + t * channels + c] = (<const int32_t*>source)[o * all + c * taps + t]
                else:
                    (<int64_t*>target)[o * all + t * channels + c] = (<const int64_t*>source)[o * all + c * taps + t]


cdef bint _turned_around(const char* source, char* target, int64_t groups, int64_t channels, int64_t outputs, int64_t taps, int64_t item) noexcept nogil:
    """Weights (C, O, taps) of a transposed convolution, both in each group, as those (O, taps, C) of one whose window is turned around.

    False if one of them is infinite or NaN: the zeros between the elements of the image must not meet it.
    """
    cdef int64_t g, o, c, t, from_, to
    cdef double all = 0
    for g in range(groups):
        for c in range(channels):
            for o in range(outputs):
                for t in range(taps):
                    from_, to = ((g * channels + c) * outputs + o) * taps + t, ((g * outputs + o) * taps + taps - 1 - t) * channels + c
                    memcpy(target + to * item, source + from_ * item, item)
                    all += 0 * ((<const float*>source)[from_] if item == 4 else (<const double*>source)[from_])
    return all == 0


cdef Storage _stretched(Tensor x, const int64_t* size, const int64_t* step, const int64_t* wide, int64_t item):
    """Images of ``size`` with their elements ``step`` apart in images of size ``wide``, zeros between."""
    cdef int64_t image, z, y, i, all = wide[0] * wide[1] * wide[2]
    cdef int64_t images = x.sizes[0] * x.sizes[1]
    cdef Storage out = allocate(images * all * item)
    cdef const char* source = x.address
    cdef char* target
    memset(<char*>out.address, 0, images * all * item)
    for image in range(images):
        for z in range(size[0]):
            for y in range(size[1]):
                target = <char*>out.address + (image * all + (z * step[0] * wide[1] + y * step[1]) * wide[2]) * item
                for i in range(size[2]):
                    memcpy(target + i * step[2] * item, source, item)
                    source += item
    return out


cdef object convolution_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups): windows that follow each other along rows.

    A transposed one is the convolution of an image that is stretched by its stride, with the window turned around.
    """
    cdef Call p
    cdef int64_t[3][256] offsets
    cdef int64_t[256] shifts
    cdef int64_t[3] padding
    cdef int64_t[3] gap
    cdef int64_t[3] size
    cdef int64_t[3] places
    cdef int64_t[3] beyond
    cdef int64_t[3] wide
    cdef int64_t[MAX_RANK] shape
    cdef Tensor x, w, out
    cdef Storage turned, stretched
    cdef object bias = <object>values[2]
    cdef int64_t i, item, outputs, within
    cdef int d, rank
    cdef bint narrow, transposed = <object>values[6] is True
    if not isinstance(<object>values[0], Tensor) or type(<object>values[6]) is not bool or type(<object>values[8]) is not int:
        return None
    x, p.groups = <Tensor>values[0], <object>values[8]
    rank = x.ndim - 2
    if x.code != F32 and x.code != F64 or not 1 <= rank <= 3 or not _is_plain(x, x.code, x.ndim) or not _is_plain(<object>values[1], x.code, x.ndim):
        return None
    w, item = <Tensor>values[1], ITEMSIZE[x.code]
    if p.groups < 1 or x.sizes[1] % p.groups:
        return None
    outputs, within = w.sizes[1] * p.groups if transposed else w.sizes[0], x.sizes[1] // p.groups
    if bias is not None and (not _is_plain(bias, x.code, 1) or (<Tensor>bias).count != outputs):
        return None
    if not (_three(<object>values[3], rank, 1, p.step) and _three(<object>values[4], rank, 0, padding) and _three(<object>values[5], rank, 1, gap)):
        return None
    if p.step[2] != 1 and not transposed or w.count > FEW_WEIGHTS or outputs % p.groups or w.sizes[0 if transposed else 1] != (x.sizes[1] if transposed else within):
        return None
    if p.groups > 1 and p.groups == x.sizes[1] == outputs or gemm.kernels(x.code).pair != 1:
        return None
    _spread_three(x, size)
    _spread_three(w, p.taps)
    stretched = None
    if transposed:
        if not _three(<object>values[7], rank, 0, beyond):
            return None
        for d in range(3):
            if p.step[d] < 1 or not 0 <= beyond[d] < max(p.step[d], gap[d]) or size[d] < 1:
                return None
            wide[d], padding[d] = (size[d] - 1) * p.step[d] + 1 + beyond[d], gap[d] * (p.taps[d] - 1) - padding[d]
        if w.count * wide[0] * wide[1] * wide[2] * x.sizes[0] > FEW_PRODUCTS:
            return None
        if memcmp(wide, size, sizeof(wide)):
            stretched = _stretched(x, size, p.step, wide, item)
        for d in range(3):
            size[d], p.step[d] = wide[d], 1
    for d in range(3):
        places[d] = (size[d] + 2 * padding[d] - gap[d] * (p.taps[d] - 1) - 1) // p.step[d] + 1
        if places[d] < 1 or p.taps[d] > 256 or p.step[d] < 1 or gap[d] < 1 or padding[d] < 0:
            return None
        p.offsets[d] = offsets[d]
        for i in range(p.taps[d]):
            offsets[d][i] = gap[d] * i - padding[d]
    if w.count * places[0] * places[1] * places[2] * x.sizes[0] > FEW_PRODUCTS:
        return None
    shape[0], shape[1] = x.sizes[0], outputs
    for d in range(rank):
        shape[2 + d] = places[3 - rank + d]
    out = empty(x.code, x.ndim, shape)
    _place(&p, x.sizes[1], size, x.sizes[0], outputs, places, item)
    narrow = gemm.suits_narrow(x.code, p.outputs, p.columns)
    p.kernels = gemm.kernels_for(x.code, p.outputs, p.columns)
    if _lanes[x.code][narrow] == NULL:
        _lanes[x.code][narrow] = <lanes_t><size_t>_pack_lanes(x.code, False, narrow)
    p.pack_lanes, p.shifts = _lanes[x.code][narrow], shifts
    memset(shifts, 0, p.taps[2] * sizeof(int64_t))
    p.input, p.output, p.weight, p.bias = x.address if stretched is None else <char*>stretched.address, out.address, w.address, NULL
    if transposed:
        turned = allocate(w.count * item)
        if not _turned_around(w.address, <char*>turned.address, p.groups, within, w.sizes[1], p.taps[0] * p.taps[1] * p.taps[2], item):
            return None
        p.weight = <char*>turned.address
    elif p.taps[0] * p.taps[1] * p.taps[2] > 1 and w.sizes[1] > 1:
        turned = allocate(w.count * item)
        _channels_last(w.address, <char*>turned.address, w.sizes[0], w.sizes[1], p.taps[0] * p.taps[1] * p.taps[2], item)
        p.weight = <char*>turned.address
    if bias is not None:
        p.bias = (<Tensor>bias).address
    _set_factors(&p.factors, x.code, bias is not None)
    return out if _run_call(&p, within) else None


quick = {"convolution": native("convolution", convolution_quickly, None)}
