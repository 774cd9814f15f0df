# What a node keeps for the backward pass, and the error when it was overwritten. Included in tape.pyx.

cdef extern from *:
    """
    #include <Python.h>
    #include <string.h>

    static char rl_home[4096];       /* rushlight's own folder: its frames are not the user's line */
    static size_t rl_home_length = 0;

    static int rl_is_own(PyCodeObject *code) {
        PyObject *name = code->co_filename;
        return PyUnicode_IS_COMPACT_ASCII(name) && (size_t)PyUnicode_GET_LENGTH(name) > rl_home_length
            && memcmp(PyUnicode_1BYTE_DATA(name), rl_home, rl_home_length) == 0;
    }

    #if PY_VERSION_HEX < 0x030C0000
    /* The leading fields of an interpreter frame in Python 3.11; PyEval_GetFrame would make an object of it first. */
    typedef struct rl_frame {
        PyObject *func, *globals, *builtins, *locals;
        PyCodeObject *code;
        PyObject *object;
        struct rl_frame *previous;
        _Py_CODEUNIT *at;
    } rl_frame;

    static PyObject *rl_where(int *offset) {
        rl_frame *frame = (rl_frame *)PyThreadState_Get()->cframe->current_frame, *first = frame;
        int depth = 0;
        while (frame && rl_is_own(frame->code) && depth++ < 64) frame = frame->previous;
        if (!frame || depth > 64) frame = first;
        if (!frame) return NULL;
        *offset = (int)((char *)frame->at - (char *)_PyCode_CODE(frame->code));
        return (PyObject *)frame->code;
    }
    #else
    static PyObject *rl_where(int *offset) {
        PyFrameObject *frame = PyEval_GetFrame(), *back;
        PyCodeObject *code;
        if (!frame) return NULL;
        Py_INCREF(frame);
        code = PyFrame_GetCode(frame);
        while (rl_is_own(code) && (back = PyFrame_GetBack(frame))) {
            Py_DECREF(frame); Py_DECREF(code);
            frame = back; code = PyFrame_GetCode(frame);
        }
        *offset = PyFrame_GetLasti(frame);
        Py_DECREF(frame);
        Py_DECREF(code);             /* the frame that runs keeps it */
        return (PyObject *)code;
    }
    #endif
    """
    char[4096] rl_home
    size_t rl_home_length
    PyObject* rl_where(int* offset)      # borrowed: the code object that runs, and where in it

cdef extern from "Python.h":
    ctypedef struct PyCodeObject:
        pass
    int PyCode_Addr2Line(PyCodeObject* code, int offset)

# The last write to a storage, found by its address: a small table whose older entries are overwritten, so it costs a
# few nanoseconds and no memory. A lost entry only shortens the text of an error.
cdef enum:
    WRITES = 1024

ctypedef struct Write:
    PyObject* storage                  # compared, never used
    PyObject* code
    int offset

cdef Write[WRITES] _writes
cdef int _hook_stacks = 0              # how many entries the hook stacks of all threads have


cdef PyObject* call_site(int* offset) noexcept:
    return rl_where(offset)


def _set_home(str folder):
    cdef bytes path = folder.encode()
    global rl_home_length
    if len(path) < 4096:
        for i, c in enumerate(path):
            rl_home[i] = c
        rl_home_length = len(path)


def _find_home():
    import os
    _set_home(os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep)


_find_home()


cdef int note_write(Tensor t) except -1:
    """Remembers the line that writes to t, for the text of the in-place error."""
    cdef Write* w = &_writes[(<size_t><PyObject*>t.memory >> 5) % WRITES]
    cdef int offset = 0
    cdef PyObject* code = rl_where(&offset)
    cdef PyObject* old = w.code
    if code != NULL:
        Py_INCREF(<object>code)
        w.storage, w.code, w.offset = <PyObject*>t.memory, code, offset
        Py_XDECREF(old)
    return 0


@cython.freelist(256)
@cython.final
cdef class Saved:
    """A tensor that a node needs in the backward pass, with the version it had."""


cdef Saved save(Tensor t):
    """Keeps an input of a node (None stays None)."""
    if t is None:
        return None
    if t.flags & INFERENCE and not thread_state().inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
            "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and "
            "use it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
        )
    cdef Saved s = Saved.__new__(Saved)
    s.tensor = t
    s.number = -1
    _stamp(s, t)
    if _hook_stacks:
        _pack(s)
    return s


cdef Saved save_copy(Tensor t, Tensor copy):
    """Keeps the value that t has before it is overwritten: a copy made without recording, which gets t's history."""
    if t.node is not None:
        set_history(copy, t.node, t.output_nr)
    return save(copy)


cdef Saved save_result(Tensor t, int number):
    """Keeps a node's own result: as an alias without history, else node and tensor would hold each other."""
    cdef Saved s = Saved.__new__(Saved)
    s.tensor = alias(t)
    s.number = number
    _stamp(s, t)
    if _hook_stacks:
        _pack(s)
    return s


cdef bint can_view(Saved s) noexcept:
    return s is None or (s.packed is None and version_of(s.tensor) == s.version)


cdef Saved save_view(Saved s, Tensor view, Node node):
    """Keeps a view (or a copy) of what s keeps; it comes from node."""
    cdef Saved out = Saved.__new__(Saved)
    if node is not None:
        set_history(view, node, 0)
    out.tensor, out.number, out.version, out.code, out.offset = view, -1, version_of(view), s.code, s.offset
    return out


cdef inline int _stamp(Saved s, Tensor t) except -1:
    cdef PyObject* code = rl_where(&s.offset)
    s.version = version_of(t)
    s.code = <object>code if code != NULL else None
    return 0


cdef Tensor unpack(Saved saved, Node node):
    """The kept tensor; raises if the graph was freed or the tensor overwritten since."""
    cdef Tensor t, out
    if node.released or saved is None:
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors after they have "
            "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
            "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
            "if you need to access saved tensors after calling backward.\n"
            f"The freed values belong to {node.label}."
        )
    if saved.packed is not None:
        return _unpack_packed(saved, node)
    t = saved.tensor
    if version_of(t) != saved.version:
        raise _overwritten(saved, node)
    if saved.number >= 0 and grad_enabled():
        out = alias(t)
        set_result_history(out, node, saved.number)
        return out
    return t


# -- the error --

cdef object _overwritten(Saved saved, Node node):
    cdef Tensor t = saved.tensor
    cdef Node source = node if saved.number >= 0 else t.node
    cdef int number = saved.number if saved.number >= 0 else t.output_nr
    origin = f", which is output {number} of {_short_name(source.label)}," if source is not None else ""
    lines = [
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{type_string(t)} {_shape(t)}]{origin} is at version {version_of(t)}; expected version {saved.version} "
        "instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    ]
    if saved.code is not None:
        place = _line(saved.code, saved.offset)
        lines.append(f"{_short_name(node.label)} kept the tensor for its gradient here: {place}")
    cdef Write* w = &_writes[(<size_t><PyObject*>t.memory >> 5) % WRITES]
    if w.storage == <PyObject*>t.memory:
        lines.append(f"It was last overwritten here: {_line(<object>w.code, w.offset)}")
    lines.append("Use the out-of-place form of that operation there, or give it a clone().")
    return RuntimeError("\n".join(lines))


cdef str _short_name(str label):
    """'ExpBackward0' as PyTorch's message has it: 'Exp'."""
    cut = label.rfind("Backward")
    return label[:cut] if cut > 0 else label


cdef str _shape(Tensor t):
    return "[" + ", ".join([str(t.sizes[i]) for i in range(t.ndim)]) + "]"


cdef str _line(object code, int offset):
    import linecache
    number = PyCode_Addr2Line(<PyCodeObject*>code, offset)
    text = linecache.getline(code.co_filename, number).strip()
    return f'File "{code.co_filename}", line {number}, in {code.co_name}' + (f"\n    {text}" if text else "")


# -- saved_tensors_hooks --

cdef class _HookStack:
    cdef list entries                  # (pack, unpack), innermost last
    cdef str disabled                  # the error message while hooks are forbidden

_local = __import__("threading").local()


cdef _HookStack _hook_stack():
    stack = getattr(_local, "hooks", None)
    if stack is None:
        stack = _HookStack.__new__(_HookStack)
        (<_HookStack>stack).entries = []
        _local.hooks = stack
    return stack


def push_saved_hooks(pack, unpack):
    """Every tensor saved on this thread from now on goes through pack, and through unpack when it is needed."""
    global _hook_stacks
    cdef _HookStack stack = _hook_stack()
    if stack.disabled is not None:
        raise RuntimeError(stack.disabled)
    stack.entries.append((pack, unpack))
    _hook_stacks += 1


def pop_saved_hooks():
    """Removes the innermost pair of hooks."""
    global _hook_stacks
    _hook_stack().entries.pop()
    _hook_stacks -= 1


def disable_saved_hooks(message):
    """Forbids saved-tensor hooks on this thread with the given error message (None allows them); returns the previous
    message.
    """
    cdef _HookStack stack = _hook_stack()
    previous = stack.disabled
    if message is not None and stack.entries:
        raise RuntimeError(message)
    stack.disabled = message
    return previous


cdef int _pack(Saved s) except -1:
    """Replaces the tensor of s by what the innermost pack hook makes of it."""
    cdef _HookStack stack = _hook_stack()
    if stack.entries:
        pack, unpack_hook = stack.entries[len(stack.entries) - 1]
        _pack_by(s, pack, unpack_hook)
    return 0


cdef int _pack_by(Saved s, pack, unpack_hook) except -1:
    cdef ThreadState* state = thread_state()
    cdef Tensor t = s.tensor
    cdef Node source
    cdef int grad = state.grad
    source = None if s.number >= 0 else edge(t)
    version = version_of(t)
    state.grad = 0
    try:
        value = pack(t)
    finally:
        state.grad = grad
    if version_of(t) != version:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can "
            "not be modified by in-place operations as this can lead to unexpected side-effects. Please open an "
            "issue if you need to perform in-place operations on the input to a pack hook."
        )
    s.packed = (unpack_hook, value, source, t.output_nr)
    s.tensor = None
    return 0


cdef Tensor _unpack_packed(Saved saved, Node node):
    cdef ThreadState* state = thread_state()
    cdef int grad = state.grad
    unpack_hook, value, source, number = saved.packed
    state.grad = 0
    try:
        value = unpack_hook(value)
    finally:
        state.grad = grad
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(value).__name__}"
        )
    cdef Tensor out = alias(value)
    if saved.number >= 0:
        set_result_history(out, node, saved.number)
    elif source is not None:
        set_history(out, source, number)
    return out
