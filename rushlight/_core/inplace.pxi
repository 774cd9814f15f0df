# In-place writes and views. Included in tape.pyx.
#
# A recorded write to a tensor replaces its node. If the tensor is a view, its base has changed too: the base gets a
# CopySlices node, which hands the gradient of the view's region to the write's own node and lets the rest through;
# every live view of the base finds its new node when it is next asked for (refresh_view), as a region of the base.

_FORBIDDEN = {
    MULTI_VIEW: (
        "Output {number} of {name} is a view and {what} modified inplace. This view is the output of a function that "
        "returns multiple views. Such functions do not allow the output views to be modified inplace. You should "
        "replace the inplace operation by an out-of-place one."
    ),
    INFERENCE_VIEW: (
        "A view was created in inference mode and {what} modified inplace in normal mode. Given that this use case is ambiguous and "
        "error-prone, it is forbidden. You can clarify your code by moving both the view and the inplace either both inside the "
        "inference_mode block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked)."
    ),
    NO_GRAD_VIEW: (
        "A view was created in no_grad mode and {what} modified inplace with grad mode enabled. Given that this use "
        "case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and "
        "the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both "
        "outside (if you want the inplace to be tracked)."
    ),
    0: (
        "Output {number} of {name} is a view and {what} modified inplace. This view was created inside a custom "
        "Function (or because an input was returned as-is) and the autograd logic to handle view+inplace would "
        "override the custom backward associated with the custom Function, leading to incorrect gradients. This "
        "behavior is forbidden. You can fix this by cloning the output of the custom Function."
    ),
}


cdef int _forbid(Tensor view, bint indirect) except -1:
    """Raises if the history of this kind of view cannot follow a write to it (indirect: to its base or another view).
    """
    cdef int kind
    if isinstance(view.node, FunctionNode):
        kind = 0
    elif view.flags & UNRECORDED_VIEW:
        kind = INFERENCE_VIEW if view.flags & INFERENCE_VIEW else NO_GRAD_VIEW
    elif view.flags & MULTI_VIEW:
        kind = MULTI_VIEW
    else:
        return 0
    raise RuntimeError(_FORBIDDEN[kind].format(
        number=view.output_nr, name=_short_name(view.node.label) if view.node is not None else "a function",
        what="its base or another view of its base has been" if indirect else "is being",
    ))


cdef int check_inplace(Tensor t, bint record) except -1:
    """Raises if t must not be written to; record: the write is about to be recorded."""
    if t.flags & INFERENCE and not thread_state().inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )
    if not record:
        return 0
    if t.base is not None:
        _forbid(t, False)
        if t.base.node is None and (t.node is not None or (t.base.flags | t.flags) & REQUIRES_GRAD):      # t itself, its base or a view between is one
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation.\n"
                "The leaf's gradient would be that of its old values. Write under torch.no_grad(), or to a clone() "
                "of the leaf."
            )
    if t.node is None and t.flags & REQUIRES_GRAD:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation.\n"
            "The leaf's gradient would be that of its old values. Write under torch.no_grad(), or use the "
            "out-of-place operation."
        )
    return 0


cdef int rebase(Tensor t, Node node, int own=0) except -1:
    """After a recorded write to t: t, its base and the base's views now come from node (node.next[own] was t before).
    """
    global _any_wrapped
    if t.base is None:
        _replace_node(t, node, 0)
        return 0
    cdef Tensor base = t.base
    cdef CopySlices copy = CopySlices.__new__(CopySlices)
    cdef list nexts = list(node.next)
    cdef list numbers = [0] * len(nexts) if node.numbers is None else list(node.numbers)
    nexts[own] = edge(base)
    numbers[own] = base.output_nr
    copy.label = "CopySlices"
    copy.inner = node
    copy.own = own
    copy.region, copy.code = region_of(t, base), base.code
    copy.next, copy.numbers = tuple(nexts), numbers
    (<object>node).__dict__["wrapped_in"] = weakref.ref(copy)
    _any_wrapped = True
    _number(copy, max(node.sequence, _newest(nexts)))
    _replace_node(base, copy, 0)
    t.view_version = -1
    return refresh_view(t)


cdef bint _any_wrapped = False         # has any node ever been wrapped in a CopySlices?


cdef int set_result_history(Tensor out, Node node, int number) except -1:
    """Gives a result that its own node kept its history back: that of the written view if the node was wrapped, since a
    wrapped node must only run, and be released, through its CopySlices.
    """
    cdef CopySlices copy
    cdef AsStridedBackward region
    wrapped = (<object>node).__dict__.get("wrapped_in") if _any_wrapped else None
    if wrapped is None:
        return set_history(out, node, number)
    copy = wrapped()
    region = AsStridedBackward.__new__(AsStridedBackward)
    region.label = "AsStridedBackward0"
    region.region, region.code = copy.region, copy.code
    region.next = (copy,)
    _number(region, copy.sequence)
    return set_history(out, region, 0)


cdef uint64_t _newest(list nodes) noexcept:
    cdef uint64_t newest = 0
    cdef Node n
    for n in nodes:
        newest = _later(newest, n)
    return newest


cdef int _replace_node(Tensor t, Node node, int number) except -1:
    """t comes from another node now; a retained gradient moves along, hooks stay where they were registered."""
    if t.flags & RETAIN_GRAD and t.node is not None:
        _drop_retain(t)
        set_history(t, node, number)
        _add_retain(t)
        return 0
    return set_history(t, node, number)


cdef int refresh_view(Tensor t) except -1:
    """After a write to the base or to another view: t becomes a region of what the base is now."""
    cdef Tensor base = t.base
    cdef AsStridedBackward node
    if not needs_grad(base):
        t.view_version = version_of(t)
        return 0
    if t.view_version != -1:            # (-1: this view was written to itself, which was checked before)
        _forbid(t, True)
    node = AsStridedBackward.__new__(AsStridedBackward)
    node.label = "AsStridedBackward0"
    node.region, node.code = region_of(t, base), base.code
    link1(node, base)
    _replace_node(t, node, 0)
    t.view_version = version_of(t)
    return 0


# Gradients of regions.

cdef class Region:
    """Where the elements of a view lie in its base, in the base's own geometry."""
    cdef tuple sizes, strides, base_sizes, base_strides
    cdef int64_t offset
    cdef bint real                     # the view shows a complex base as real numbers
    cdef bint paired                   # the view shows pairs of a real base as complex numbers; sizes and strides are those of the pairs
    cdef bint conj, neg                # the view shows the conjugates, the negatives of the base's elements

    cdef object part(self, Tensor whole):
        """The region of a tensor laid out as the base."""
        numbers = whole
        if self.real:
            numbers = _callbacks["view_as_real"](whole)
        numbers = numbers.as_strided(self.sizes, self.strides, self.offset)
        return _callbacks["view_as_complex"](numbers) if self.paired else numbers

    cdef object turn(self, grad):
        """A gradient of the view as one of the base's elements, or back: both are their own inverse."""
        if self.conj:
            grad = grad.conj()
        return -grad if self.neg else grad


cdef Region region_of(Tensor view, Tensor base):
    cdef Region r = Region.__new__(Region)
    cdef uint32_t differ = view.flags ^ base.flags
    r.sizes, r.strides, r.base_sizes, r.base_strides = _sizes(view), _strides(view), _sizes(base), _strides(base)
    r.paired = base.code == F32 and view.code == C64 or base.code == F64 and view.code == C128
    if r.paired:
        r.sizes, r.strides = (*r.sizes, 2), (*[2 * s for s in r.strides], 1)
    r.real = view.code != base.code and not r.paired
    r.conj, r.neg = (differ & CONJ) != 0 and not r.real, (differ & NEG) != 0
    r.offset = (view.address - base.address) // ITEMSIZE[base.code if r.paired else view.code]
    if r.real and not (base.code == C64 and view.code == F32 or base.code == C128 and view.code == F64):
        raise RuntimeError(
            f"a {(<dtype>DTYPES[view.code]).name} view of a {(<dtype>DTYPES[base.code]).name} tensor cannot follow an "
            "in-place write.\n"
            "Use the out-of-place operation, or clone() before making the view."
        )
    return r


cdef class AsStridedBackward(Node):
    """A view as a region of its base: its gradient, scattered into zeros."""
    cdef Region region
    cdef int code                      # the base's dtype

    cdef list apply(self, list grads, tuple asked):
        return [None if grads[0] is None else _scatter(self.region.turn(grads[0]), self.region, self.code)]


@cython.binding(False)
cdef class CopySlices(Node):
    """A base whose region was overwritten by the call that ``inner`` recorded."""
    cdef Node inner
    cdef int own, code                 # which entry of inner.next was the view; the base's dtype
    cdef Region region

    cdef list apply(self, list grads, tuple asked):
        cdef Tensor whole
        cdef list results
        cdef tuple inner = self.inner.next
        if grads[0] is None:
            return [None] * len(asked)
        if asked is not self.next:
            inner = tuple([None if a is None else n for a, n in zip(asked, inner)])
        whole = _empty_base(grads[0], self.region, (<Tensor>grads[0]).code)
        whole.copy_(grads[0])
        part = self.region.part(whole)
        results = self.inner.apply([self.region.turn(part.clone())], inner)
        if asked[self.own] is not None:
            if results[self.own] is None:
                part.zero_()
            else:
                part.copy_(self.region.turn(results[self.own]))
            results[self.own] = whole
        return results

    def listed(self):
        """As the call's own node."""
        return _listed(self.inner)

    cdef int release(self) except -1:
        self.released = True
        return self.inner.release()


cdef tuple _sizes(Tensor t):
    return tuple([t.sizes[i] for i in range(t.ndim)])


cdef tuple _strides(Tensor t):
    return tuple([t.strides[i] for i in range(t.ndim)])


cdef Tensor _empty_base(Tensor grad, Region r, int code):
    """An uninitialised tensor laid out as the base."""
    cdef int64_t[MAX_RANK] sizes
    cdef int64_t[MAX_RANK] strides
    parse_ints(r.base_strides, strides, MAX_RANK)
    return empty_strided(code, parse_ints(r.base_sizes, sizes, MAX_RANK), sizes, strides, grad.place)


cdef object _scatter(object grad, Region r, int code):
    """Zeros like the base with grad added to the region; where the region's elements overlap, they add up."""
    cdef Tensor whole
    cdef Region narrow = Region.__new__(Region)
    cdef list sizes = list(r.sizes), strides = list(r.strides)
    if r.paired:
        grad = _callbacks["view_as_real"](grad.resolve_conj())
    for i in range(len(sizes)):         # an expanded dim: all its elements are one
        if strides[i] == 0 and sizes[i] > 1:
            grad = grad.sum(i, keepdim=True)
            sizes[i] = 1
    whole = _empty_base(grad, r, code)
    whole.zero_()
    if _separate(sizes, strides):
        narrow.sizes, narrow.strides, narrow.offset, narrow.real = tuple(sizes), tuple(strides), r.offset, r.real
        narrow.part(whole).copy_(grad)
        return whole
    if whole.flags & CONTIGUOUS and not r.real:
        return whole.view(-1).index_add(0, _places(sizes, strides, r.offset, device_of(whole.place)), grad.reshape(-1)).view(r.base_sizes)
    raise RuntimeError(
        "the gradient of an overlapping view needs a contiguous base; use clone() before making the view"
    )


cdef object _places(list sizes, list strides, offset, device):
    """The position in the base's memory of each element of a region, in row-major order."""
    arange = _callbacks["arange"]
    places = arange(offset, offset + 1, device=device)
    for n, stride in zip(sizes, strides):
        places = places.unsqueeze(-1) + arange(n, device=device) * stride
    return places.reshape(-1)


cdef bint _separate(list sizes, list strides):
    """True if no two elements of the region can share their memory: each stride clears all that lies inside it."""
    reach = 0
    for stride, n in sorted(zip(strides, sizes)):
        if n == 0:
            return True
        if n > 1:
            if stride <= reach:
                return False
            reach += stride * (n - 1)
    return True
