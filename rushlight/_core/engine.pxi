# The engine: walks back from the roots in reverse order of recording. Included in tape.pyx.
#
# A node's inputs always have smaller numbers than the node, so taking the node with the largest number next is a
# topological order: all consumers of a node have run before it. No counting of dependencies, no recursion.

cdef extern from *:
    """
    static __thread void *rl_walk;      /* the pass that runs on this thread */
    """
    void* rl_walk

ctypedef struct Entry:
    uint64_t sequence
    PyObject* node                     # borrowed: Walk.buffers owns it while it waits


@cython.final
@cython.freelist(8)
cdef class Walk:
    """One backward pass: the nodes that wait (a binary heap) and the gradients gathered for each."""
    cdef Entry* heap
    cdef Entry[32] first               # room for the heap of most passes
    cdef int length, capacity
    cdef dict buffers                  # node -> list of gradients, one per output
    cdef dict captures                 # node -> list of (output number, position in results), or None
    cdef set wanted                    # nodes on a way to the inputs, or None: all
    cdef set running                   # those of them that must run, not just be reached
    cdef list results
    cdef list starts                   # (node, output number) it began at
    cdef set reachable                 # all nodes it will come to, found when first asked for
    cdef bint keep, create
    cdef int home                      # the current GPU before the pass,
    cdef bint away                     # and was another made current?
    cdef dict streams                  # see engine_places.pxi
    cdef int64_t examples              # every gradient has a dim of so many examples in front; 0: it has not

    def __cinit__(self):
        self.heap = self.first
        self.capacity = 32

    def __dealloc__(self):
        if self.heap != self.first:
            free(self.heap)

    cdef int grow(self) except -1:
        cdef Entry* old = NULL if self.heap == self.first else self.heap
        cdef Entry* new = <Entry*>realloc(old, 2 * self.capacity * sizeof(Entry))
        if new == NULL:
            raise MemoryError()
        if old == NULL:
            memcpy(new, self.first, self.capacity * sizeof(Entry))
        self.heap = new
        self.capacity *= 2
        return 0

    cdef int push(self, Node node) except -1:
        cdef int i = self.length, parent
        cdef Entry e
        if i == self.capacity:
            self.grow()
        self.length += 1
        e.sequence, e.node = node.sequence, <PyObject*>node
        while i > 0:
            parent = (i - 1) >> 1
            if self.heap[parent].sequence >= e.sequence:
                break
            self.heap[i] = self.heap[parent]
            i = parent
        self.heap[i] = e
        return 0

    cdef Node pop(self):
        cdef Node top = <Node>self.heap[0].node
        cdef Entry last
        cdef int i = 0, child
        self.length -= 1
        last = self.heap[self.length]
        while True:
            child = 2 * i + 1
            if child >= self.length:
                break
            if child + 1 < self.length and self.heap[child + 1].sequence > self.heap[child].sequence:
                child += 1
            if self.heap[child].sequence <= last.sequence:
                break
            self.heap[i] = self.heap[child]
            i = child
        self.heap[i] = last
        return top

    cdef int give(self, Node node, int number, list source, Py_ssize_t i) except -1:
        """Moves the gradient source[i] into node's buffer, adding to what is there."""
        cdef list buffer
        cdef Tensor new = source[i], old
        source[i] = None
        buffer = <list>self.buffers.get(node)
        if buffer is None:
            buffer = [None] * node.n_outputs
            self.buffers[node] = buffer
            self.push(node)
        if new is None:
            return 0
        if new.flags & INTERCEPT and type(node) is not AccumulateGrad and new.is_sparse:
            new = new.to_dense()        # only a leaf keeps a sparse gradient as it is
        old = buffer[number]
        if old is None:
            buffer[number] = new
            return 0
        buffer[number] = None
        buffer[number] = self.add(old, new)
        return 0

    cdef object add(self, Tensor old, Tensor new):
        """The sum: in place where the engine alone can see one of the two and the sum need not be recorded."""
        if self.streams:
            _callbacks["record_use"]([old, new])
        if old.memory is not None and old.memory.waits or new.memory is not None and new.memory.waits:
            return self.waiting_sum(old, new)
        if not self.create and old.code == new.code and old.count == new.count and old.ndim == new.ndim:
            if _owned(old, 1) and _dense(old) and not old.flags & (CONJ | NEG):
                return _callbacks["add_"](old, new)
            if _owned(new, 1) and _dense(new) and not new.flags & (CONJ | NEG):
                return _callbacks["add_"](new, old)
        return _callbacks["add"](old, new)

    cdef int run(self) except -1:
        cdef Node node
        cdef list buffer
        cdef Tensor grad
        while self.length:
            node = self.pop()
            buffer = <list>self.buffers.pop(node)
            grad = _first_of(buffer)
            if grad is not None and (grad.place or self.away):
                _go_to(self, node, grad, buffer)
            grad = None                 # the buffer alone holds it: what owns a gradient may write to it
            if node.pre_hooks is not None or type(node) is AccumulateGrad:
                if self.examples:
                    self.hook_examples(node, buffer)
                else:
                    _run_tensor_hooks(node, buffer)
            if self.captures is not None:
                self.capture(node, buffer)
                if node not in self.running:
                    continue
            self.step(node, buffer)
        return 0

    cdef int hook_examples(self, Node node, list buffer) except -1:
        """Tensor hooks see one example after the other."""
        cdef list rows = [[None if g is None else g[i] for g in buffer] for i in range(self.examples)]
        for row in rows:
            _run_tensor_hooks(node, row)
        buffer[:] = _stacked(rows)
        return 0

    cdef int capture(self, Node node, list buffer) except -1:
        for number, position in self.captures.get(node, ()):
            self.results[position] = _shown(buffer[number])
        return 0

    cdef int step(self, Node node, list buffer) except -1:
        """Runs one node and hands its results on."""
        cdef list results
        cdef tuple outputs = None
        cdef Py_ssize_t i
        cdef Node target
        cdef tuple asked
        if node.pre_hooks is not None:
            _run_node_prehooks(node, buffer)
        if node.post_hooks is not None:
            outputs = tuple(buffer)
        asked = node.next if self.wanted is None else self.among_wanted(node.next)
        results = self.apply(node, buffer, asked)
        if self.create and node.label in _second and thread_state().grad:
            list_inputs(results, node, asked, _second[node.label], self.examples != 0)
        if node.post_hooks is not None:
            results = _run_post_hooks(node, results, outputs)
            outputs = None
        buffer.clear()
        if not self.keep:
            node.release()
        for i in range(len(asked)):
            target = <Node>asked[i]
            if target is not None:
                self.give(target, 0 if node.numbers is None else node.numbers[i], results, i)
        return 0

    cdef tuple among_wanted(self, tuple nodes):
        """The same with None for each node that leads to no input; itself where all do."""
        cdef tuple found = tuple([n if n in self.wanted else None for n in nodes])
        return nodes if found == nodes else found

    cdef list apply(self, Node node, list buffer, tuple asked):
        cdef list results
        if not _any_defined(buffer) and not isinstance(node, FunctionNode):
            return [None] * len(node.next)
        if node.lets_wait and not self.examples and not thread_state().modes & (MODE_ANOMALY | MODE_PROFILE | MODE_NODES):
            return self.waiting_step(node, buffer, asked)
        catch_up()
        if self.examples:
            return _apply_batched(node, buffer, self.examples, asked)
        if not thread_state().modes & (MODE_ANOMALY | MODE_PROFILE | MODE_NODES):
            return node.apply(buffer, asked)
        event = _callbacks["begin_node"](node) if thread_state().modes & MODE_PROFILE else None
        try:
            results = _told(node, buffer, asked) if thread_state().modes & MODE_NODES else node.apply(buffer, asked)
        except Exception:
            if thread_state().modes & MODE_ANOMALY:
                _print_traceback(node)
            raise
        finally:
            if event is not None:
                _callbacks["end_event"](event)
        if thread_state().modes & MODE_ANOMALY:
            _check_nan(node, results)
        return results

    cdef object waiting_sum(self, Tensor old, Tensor new):
        """The sum of what waits waits itself."""
        waiting.inside -= 1
        try:
            return _callbacks["add"](old, new)
        finally:
            waiting.inside += 1

    cdef list waiting_step(self, Node node, list buffer, tuple asked):
        """A step whose results may wait for the next one's. Whatever the pass does between steps is done by operators."""
        waiting.inside -= 1
        try:
            return node.apply(buffer, asked)
        finally:
            waiting.inside += 1


cdef list _told(Node node, list buffer, tuple asked):
    """A node's step as the dispatch modes of this thread want it."""
    if isinstance(node, FunctionNode) or type(node) is AccumulateGrad:
        return node.apply(buffer, asked)        # which is made of operators
    wanted = [n is not None for n in asked]
    saved = lambda: {name: _unpack_any(value, node) for name, value in kept_by(node).items()}
    run = lambda grads, only=wanted: node.apply(grads, tuple([n if o else None for n, o in zip(asked, only)]))
    return _callbacks["step"]((node.label, wanted, saved), buffer, run)


cdef list _apply_batched(Node node, list buffer, int64_t n, tuple asked):
    """A node's step for n examples at once, if it knows how; else one after the other."""
    cdef list rows
    rule = getattr(node, "batched", None)
    results = NotImplemented if rule is None or not _any_defined(buffer) else rule(buffer, n, asked)
    if results is not NotImplemented:
        return results
    return _stacked([node.apply([None if g is None else g[i] for g in buffer], asked) for i in range(n)])


cdef list _stacked(list rows):
    """The gradients of one example after the other as those of a batch."""
    return [None if column[0] is None else _callbacks["stack"](column) for column in zip(*rows)]


cdef bint _any_defined(list values) noexcept:
    for value in values:
        if value is not None:
            return True
    return False


cdef int _walk(Walk walk, list roots, list grads, bint keep, bint create, list targets) except -1:
    """Runs a pass from the edges ``roots`` with gradients ``grads``; targets: (node, number, position, run it) or None.
    """
    cdef ThreadState* state = thread_state()
    cdef int grad = state.grad
    cdef Py_ssize_t i
    global rl_walk
    cdef void* outer = rl_walk
    walk.buffers = {}
    walk.keep, walk.create, walk.home = keep, create, state.device
    walk.starts = roots
    if targets is not None:
        _plan(walk, [node for node, number in roots], targets)
    state.grad = create and not state.inference & MODE_ON
    state.depth += 1
    catch_up()
    waiting.inside += 1
    rl_walk = <void*>walk
    try:
        for i in range(len(roots)):
            node, number = roots[i]
            if walk.wanted is None or node in walk.wanted:
                walk.give(node, number, grads, i)
        walk.run()
        _come_back(walk)
        if state.depth == 1:
            _run_queued()
    finally:
        _come_back(walk)
        rl_walk = outer
        waiting.inside -= 1
        state.grad = grad
        state.depth -= 1
    return 0


cdef int _plan(Walk walk, list starts, list targets) except -1:
    """Finds the nodes between the starts and the targets."""
    cdef uint64_t oldest = <uint64_t>-1
    cdef Node node, n
    walk.captures, walk.running, walk.wanted = {}, set(), set()
    for node, number, position, run in targets:
        oldest = min(oldest, node.sequence)
        walk.wanted.add(node)
        if position is not None:
            walk.captures.setdefault(node, []).append((number, position))
        if run:
            walk.running.add(node)
    for node in sorted(_reach(starts, oldest), key=_sequence_of):
        for n in node.next:
            if n is not None and n in walk.wanted:
                walk.wanted.add(node)
                walk.running.add(node)
                break
    return 0


def _sequence_of(Node node):
    return node.sequence


# -- callbacks at the end of a pass (gradient reducers use them) --

cdef list _queued = []


def queue_callback(callback):
    """Calls callback() when the backward pass that runs now has finished. Raises RuntimeError outside of one.

    >>> x = torch.ones(1, requires_grad=True)
    >>> handle = x.register_hook(lambda g: torch.autograd.queue_callback(lambda: print("finished")))
    >>> (2 * x).backward()
    finished
    """
    if thread_state().depth == 0:
        raise RuntimeError("Final callbacks can only be installed during backward pass.")
    _queued.append(callback)


cdef int _run_queued() except -1:
    while _queued:
        _queued.pop(0)()
    return 0


def current_pass():
    """The backward pass that runs on this thread (an opaque object), or None."""
    return <object>rl_walk if rl_walk != NULL else None


def will_run(Node node):
    """Will the pass that runs now come to this node?"""
    cdef Walk walk
    if rl_walk == NULL:
        raise RuntimeError("there is no backward pass running")
    walk = <Walk>rl_walk
    if walk.reachable is None:
        walk.reachable = _reach([start for start, number in walk.starts], 0)
        if walk.wanted is not None:
            walk.reachable &= walk.wanted
    return node in walk.reachable


cdef set _reach(list starts, uint64_t oldest):
    """All nodes behind the starts that are not older than ``oldest``."""
    cdef set seen = set()
    cdef list stack = list(starts)
    cdef Node node, n
    while stack:
        node = stack.pop()
        if node.sequence < oldest or node in seen:
            continue
        seen.add(node)
        for n in node.next:
            if n is not None:
                stack.append(n)
    return seen


def depends_on_others(outputs, inputs):
    """Do the outputs depend on leaves other than the inputs, or on inputs that were computed?"""
    cdef set own = {edge(t) for t in inputs}
    cdef set seen = set()
    cdef list stack = [edge(t) for t in outputs]
    cdef Node node
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        if type(node) is AccumulateGrad and node not in own or type(node) is not AccumulateGrad and node in own:
            return True
        seen.add(node)
        if node.dual != ONLY:
            stack.extend(node.next)
    return False


def depends_on(Tensor output, Tensor input):
    """Was output computed from input?"""
    cdef Node target = edge(input)
    return target is not None and target in _reach([edge(output)], target.sequence)


# -- one step --

def pull(Node node, list grads):
    """The gradients of a node's inputs, given those of its outputs: one step of the backward pass, recorded while recording is on."""
    catch_up()
    waiting.inside += 1
    try:
        return node.apply(grads, node.next)
    finally:
        waiting.inside -= 1


# -- the way in --

cdef Tensor _root_gradient(Tensor out, Tensor grad, Py_ssize_t i):
    """The gradient to start from: the given one, checked, or 1 for a scalar."""
    cdef Tensor ones
    if grad is None:
        if out.count != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs\n"
                f"Output {i} has shape {_shape(out)}. Reduce it first, for example by .sum() or .mean(), or pass its "
                "gradient."
            )
        if (<dtype>DTYPES[out.code]).is_complex:
            raise RuntimeError("grad can be implicitly created only for real scalar outputs but got "
                               f"torch.{(<dtype>DTYPES[out.code]).name}")
        if out.place:
            return out.new_ones(_sizes(out))
        ones = empty(out.code, out.ndim, out.sizes, 0)
        put_scalar(ones.address, out.code, 1)
        return ones
    if _sizes(grad) != _sizes(out):
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {tuple_text(grad)} and output[{i}] has a shape of "
            f"{tuple_text(out)}."
        )
    if grad.place != out.place:
        raise RuntimeError(
            f"invalid gradient at index {i} - expected device {device_of(out.place)} but got {device_of(grad.place)}\n"
            f"Move it to its output: grad_output.to({str(device_of(out.place))!r})."
        )
    if (<dtype>DTYPES[out.code]).is_complex != (<dtype>DTYPES[grad.code]).is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{i}] has a dtype of torch.{(<dtype>DTYPES[grad.code]).name} and output[{i}] has a dtype of "
            f"torch.{(<dtype>DTYPES[out.code]).name}."
        )
    return grad if grad.code == out.code else grad.to(DTYPES[out.code])


cdef str tuple_text(Tensor t):
    return f"torch.Size({_shape(t)})"


cdef tuple _roots(tuple outputs, grads, int64_t examples=0):
    """(edges, gradients) of the outputs to start from; ``examples``: the gradients have a dim of so many examples in front."""
    cdef list edges = [], given = []
    cdef Node node
    cdef Py_ssize_t i = 0
    if grads is not None and len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    for out in outputs:
        grad = None if grads is None else grads[i]
        if isinstance(out, Tensor):
            node = edge(out) if collects(out) else None
            if node is None:
                raise RuntimeError(
                    f"element {i} of tensors does not require grad and does not have a grad_fn\n"
                    f"It is a {type_string(out)} of shape {_shape(out)}; no tensor it was computed from requires a "
                    "gradient, or the way was cut by no_grad, detach, .data, NumPy or an integer dtype."
                )
            edges.append((node, (<Tensor>out).output_nr))
            if not examples or grad is None:
                grad = _root_gradient(out, grad, i)
                given.append(grad.expand((examples, *grad.shape)) if examples else grad)
            else:
                _root_gradient(out, grad[0], i)
                given.append(grad.to(DTYPES[(<Tensor>out).code]))
        else:
            like = getattr(out, "_like", None)
            if like is not None:
                grad = _root_gradient(like, grad, i)
            elif grad is None:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs\n"
                    f"Output {i} is a GradientEdge of an unknown shape. Make it by get_gradient_edge(tensor), or pass its gradient."
                )
            elif not examples:
                grad = _like_result(out[0], out[1], grad)
            edges.append((out[0], out[1]))
            given.append(grad)
        i += 1
    return edges, given


def run_backward(tuple outputs, grads, bint keep, bint create, inputs):
    """Adds the gradients of outputs to the ``.grad`` of all leaves, or of the given inputs."""
    cdef Walk walk = Walk.__new__(Walk)
    cdef list targets = None
    cdef Node node
    edges, given = _roots(outputs, grads)
    grads = None
    if inputs is not None:
        targets = []
        for t in inputs:
            node = edge(t) if isinstance(t, Tensor) else t[0]
            if node is None:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
            if isinstance(t, Tensor) and (<Tensor>t).node is not None:
                retain_grad(t)
            targets.append((node, 0, None, type(node) is AccumulateGrad))
    _walk(walk, edges, given, keep, create, targets)


def run_grad(tuple outputs, grads, bint keep, bint create, tuple inputs, bint allow_unused, int64_t examples=0):
    """The gradients of outputs with respect to inputs (Tensors or GradientEdges), None for unused ones if allowed.

    ``examples``: the gradients of the outputs have a dim of so many examples in front; so have the results.
    """
    cdef Walk walk = Walk.__new__(Walk)
    walk.examples = examples
    cdef list targets = []
    cdef Node node
    edges, given = _roots(outputs, grads, examples)
    grads = None
    for i, t in enumerate(inputs):
        node = edge(t) if isinstance(t, Tensor) else t[0]
        if node is None:
            raise RuntimeError(
                "One of the differentiated Tensors does not require grad\n"
                f"It is input {i}. Call requires_grad_() on it before it is used."
            )
        targets.append((node, (<Tensor>t).output_nr if isinstance(t, Tensor) else t[1], i, False))
    walk.results = [None] * len(inputs)
    _walk(walk, edges, given, keep, create, targets)
    if not allow_unused:
        for i, result in enumerate(walk.results):
            if result is None:
                raise RuntimeError(
                    f"The differentiated Tensor at index {i} appears to not have been used in the graph. Set "
                    "allow_unused=True if this is the desired behavior."
                )
    return tuple(walk.results)
