# Copies of bytes between host and GPUs, and tensors that change their device. Included by device.pyx.

cdef int copy_bytes(void* target, int target_place, const void* source, int source_place, int64_t nbytes) except -1:
    """Queues a copy on the current stream of the GPU that is involved; of the source's, ordered with the target's, between two GPUs.

    Host memory given here is read before the call returns where it is pageable, and only when the stream comes to it where it is pinned.
    """
    cdef int place = source_place if source_place else target_place
    if target_place == META:
        return 0
    if source_place == META:
        raise no_elements()
    if nbytes == 0:
        return 0
    use(place)
    if source_place and target_place and source_place != target_place:
        return copy_peer(target, target_place, source, source_place, nbytes)
    if source_place == 0:
        check_captured(source, place)
    cdef void* before = NULL if _told is None else mark(place)
    return was_queued(rl_driver.cuMemcpyAsync(target, source, nbytes, current_stream(place)),
                  "Memcpy HtoD" if source_place == 0 else "Memcpy DtoD" if target_place else "Memcpy DtoH", place, before, nbytes)


cdef inline int check_captured(const void* host, int place) except -1:
    """Raises if a graph would read or write pageable memory: each replay would, whatever lies there then."""
    if is_captured(current_stream(place)) and not is_registered(<void*>host):
        raise RuntimeError(
            "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned. Please use tensor.pin_memory() or "
            "allocate the tensor with pin_memory=True.\n  A replay copies anew, from or to the same address. What does not change is better copied "
            "before the capture begins; numbers are made on the GPU: torch.full(..., device='cuda').")
    return 0


cdef object no_elements():
    return NotImplementedError("Cannot copy out of meta tensor; no data!\n  A tensor on the device 'meta' has a shape and no elements. For a "
                               "module use module.to_empty(device=...), which makes its memory, and load or initialise its parameters.")


cdef int copy_peer(void* target, int target_place, const void* source, int source_place, int64_t nbytes) except -1:
    """Between GPUs: the copy waits for what the target's stream has queued, and that stream waits for the copy."""
    cdef void* here = current_stream(source_place)
    use(target_place)                      # its first use makes its stream
    cdef void* there = current_stream(target_place)
    put_behind(source_place, here, target_place, there)
    cdef void* before = NULL if _told is None else mark(source_place)
    was_queued(rl_driver.cuMemcpyPeerAsync(target, _gpus[target_place - 1].context, source, _gpus[source_place - 1].context, nbytes, here),
           "Memcpy PtoP", source_place, before, nbytes)
    return put_behind(target_place, there, source_place, here)


cdef int fill_bytes(void* target, int place, int byte, int64_t nbytes) except -1:
    if place == META:
        return 0
    use(place)
    cdef void* before
    if nbytes:
        before = NULL if _told is None else mark(place)
        return was_queued(rl_driver.cuMemsetD8Async(target, <unsigned char>byte, nbytes, current_stream(place)), "Memset", place, before, nbytes)
    return 0


cdef int wait(int place) except -1:
    cdef void* stream
    cdef int64_t queued
    cdef int code, mode
    if place == META:
        return 0
    use(place)
    stream, queued = current_stream(place), faults_queued(place)
    relax(&mode)                   # a stream beside another thread's capture
    with nogil:
        code = rl_driver.cuStreamSynchronize(stream)
    unrelax(mode)
    check(code)
    raise_faults(place, stream, queued)
    return 0


cdef Tensor to_place(Tensor t, int place, bint non_blocking):
    """A dense copy on another device with the order of dims of t; no tape. To the CPU it waits unless ``non_blocking``, into pinned memory then."""
    cdef Tensor dense = t if t.flags & CONTIGUOUS and not t.flags & (CONJ | NEG) else <Tensor>_callbacks["dense"](t)
    cdef Tensor out
    cdef int i
    if t.place == META and place != META:
        raise no_elements()
    if place == 0 and non_blocking:
        out = pinned_like(dense)
    elif dense.flags & CONTIGUOUS:
        out = empty(dense.code, dense.ndim, dense.sizes, place)
    else:
        out = empty_strided(dense.code, dense.ndim, dense.sizes, dense.strides, place)
    copy_dense(out, dense, non_blocking)
    return out


cdef int copy_dense(Tensor target, Tensor source, bint non_blocking) except -1:
    """The bytes of a dense tensor to one of the same layout on another device."""
    cdef int64_t nbytes = source.count * ITEMSIZE[source.code]
    cdef Tensor host = target if target.place == 0 else source if source.place == 0 else None
    cdef int place = source.place if source.place else target.place
    if nbytes == 0 and source.place != META:
        return 0
    if target.place == 0 and source.place != META:
        check_captured(target.address, place)
    copy_bytes(target.address, target.place, source.address, source.place, nbytes)
    if source.place and target.place or target.place == META:
        return 0
    if is_pinned_storage(host.memory):
        pinned_in_use(<PinnedBlock*>host.memory.block, place, current_stream(place))
    elif target.place and not (is_registered(source.address) and not non_blocking):
        return 0                   # pageable memory was read already; what another library pinned was not
    if not non_blocking or not is_pinned_storage(host.memory):
        wait(place)
    return 0


cdef Tensor to_host(Tensor t):
    return t if t.place == 0 else to_place(t, 0, False)


cdef object element(Tensor t):
    cdef char[16] value
    if t.place == 0:
        return get_scalar(t.address, t.code)
    if t.place == META:
        raise RuntimeError("Tensor.item() cannot be called on meta tensors\n  A tensor on the device 'meta' has a shape and no elements.")
    copy_bytes(value, 0, t.address, t.place, ITEMSIZE[t.code])
    wait(t.place)
    return get_scalar(value, t.code)


cdef object not_here(str name, Tensor t):
    return RuntimeError(
        f"{name}() has no implementation for device '{device_of(t.place)}'\n"
        f"  rushlight never moves data to another device by itself: call .cpu() first, or open an issue if {name} should run on a GPU.")


cdef object mixed(str name, list tensors):
    """PyTorch's error for tensors on several devices; the argument that lies elsewhere is named by its shape."""
    cdef list devices = []
    cdef Tensor t
    for t in tensors:
        if device_of(t.place) not in devices:
            devices.append(device_of(t.place))
    devices.sort(key=lambda d: d.type == "cpu")
    given = ", ".join([f"{tuple(size_object((<Tensor>t).ndim, (<Tensor>t).sizes))} on {device_of((<Tensor>t).place)}" for t in tensors])
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {devices[0]} and {devices[1]}!\n"
        f"  [{name}] was given tensors of shape {given}. Move them to one device: x.to(model_device), model.to(x.device).")


def moved(Tensor t, int place, bint non_blocking):
    """A copy of t on another device, without history."""
    return to_place(t, place, non_blocking)


def copy_storage(Storage target, Storage source, int64_t nbytes):
    """The first bytes of one storage to another, on any devices; waits where the host is involved."""
    copy_bytes(target.address, target.place, source.address, source.place, nbytes)
    if not (source.place and target.place):
        wait(source.place if source.place else target.place)


def reduce_storage(Storage storage):
    """Pickling of a storage on a GPU: its bytes, and where they belong. Of one on "meta" its length."""
    if storage.place == META:
        return _storage_nowhere, (storage.length,)
    cdef Storage host = allocate(storage.length)
    copy_storage(host, storage, storage.length)
    return _storage_on, (bytes((<char*>host.address)[:storage.length]) if storage.length else b"", storage.place)


def _storage_on(bytes content, int place):
    cdef Storage s = allocate(len(content), place)
    copy_bytes(s.address, place, <char*>content, 0, len(content))
    return s


def _storage_nowhere(int64_t length):
    return allocate(length, device_arg("meta"))
