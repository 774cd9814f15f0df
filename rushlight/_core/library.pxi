# Operators whose forward is a Python function (Library) or a C function (Native). Included by operator.pyx.

cdef int blame(Operator op, PyObject** args, Py_ssize_t n, tuple kwnames, object error) except -1:
    """Raises PyTorch's error where ``error`` tells that an argument was of a wrong type, or missing; see ops/_blame.py."""
    cdef dict kwargs = {kwnames[i]: <object>args[n + i] for i in range(0 if kwnames is None else len(kwnames))}
    _callbacks["blame"](op, [<object>args[i] for i in range(n)], kwargs, error)
    return 0


# What a backward function may ask for that is no parameter of the operator; see LibraryNode.record.
cdef frozenset OF_THE_CALL = frozenset(["grad", "grads", "needs", "shapes", "result", "results", "result_shapes"])


cdef enum:
    VARIADIC = 4           # of a code object's flags: the function takes ``*parameter``


cdef class Library(Operator):
    """An operator computed by a Python function.

    forward: the function. backward: None for a composition (the tape records what forward calls), or a function whose parameter names say what
    is saved: ``grad`` (``grads``), ``result`` (``results``), ``needs``, ``shapes``, ``result_shapes`` and names of forward's parameters; it returns one gradient for each tensor
    parameter named in ``differentiable``, in that order.
    """
    cdef readonly object forward
    cdef public object backward
    cdef readonly Signature signature
    cdef readonly tuple differentiable
    cdef public tuple wanted
    cdef readonly str label
    cdef readonly frozenset accepted   # forward's parameters
    cdef readonly bint takes_out
    cdef str many                      # forward's ``*parameter``, which may be given by its name, or None
    cdef public Native quick           # the common call at once, from the parameters' values; it returns None for any other, and records nothing
    cdef public Library leaves         # of a composition with a quick way: the operator whose node its quick call leaves on the tape
    cdef public dict memory            # of which parameters (or "*") a write, to out= or in place, asks that they share no memory with its
                                       # target (True), or its very elements at most (False); None: of none. See ops/_outputs.sharing
    cdef public bint keeps_format      # results of channels-last operands are channels-last
    cdef public bint moves             # its arguments may lie on several devices: Tensor.to(other)
    cdef public bint index_lists       # its lists hold indices, which may lie on the CPU

    def __cinit__(self, *args, **kwargs):
        self.vectorcall = <void*>_called_library

    def __init__(self, forward, Signature signature, str label or None, tuple differentiable=()):
        self.forward, self.signature, self.label, self.differentiable = forward, signature, label, differentiable
        self.__name__ = signature.name
        self.__doc__ = forward.__doc__
        code = getattr(forward, "__code__", None)
        self.accepted = frozenset() if code is None else frozenset(code.co_varnames[:code.co_argcount + code.co_kwonlyargcount])
        self.takes_out = "out" in self.accepted
        if code is not None and code.co_flags & VARIADIC:
            self.many = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]

    @property
    def __kwdefaults__(self):
        """The definition's, which programs ask for arguments that came with a version."""
        return self.forward.__kwdefaults__

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef PyObject* values[MAX_PARAMETERS]
        cdef object forward = self.forward
        cdef object result = None
        cdef Library taped = self if self.backward is not None else self.leaves
        cdef ThreadState* state = thread_state()
        cdef int place = 0, old
        cdef bint record
        if self.has_other_numbers(args, n, kwnames):
            return self.with_plain_numbers(args, n, kwnames)
        if kwnames is not None:
            kwnames = renamed(kwnames, self.accepted)
            if self.many is not None and self.many in kwnames:
                return self.call_many(args, n, kwnames)
            if "out" in kwnames:
                if self.memory is not None:
                    self.check_outs(args, n, kwnames)
                if not self.takes_out:
                    return self.call_out(args, n, kwnames)
        if gpu_count():
            place = place_of_arguments(args, n if kwnames is None else n + len(kwnames))
            if place >= 0 and place != state.place or place > 0 and not in_operator():
                return self.call_at(place, args, n, kwnames)
            if place > 0 and self.cuda is not None:
                forward = self.cuda
        record = state.grad and (self.backward is not None or self.quick is not None) and self.records(args, n + (0 if kwnames is None else len(kwnames)))
        if self.quick is not None and place <= 0 and (not record or taped is not None):
            old = state.grad
            if record:
                state.grad = 0
            try:
                if len(self.signature.names):
                    self.signature.bind(values, args, n, kwnames)
                    result = self.quick.function(values, 0, None)
                elif kwnames is None:                # it takes any number of arguments: they are looked at as they come
                    result = self.quick.function(args, n, None)
            finally:
                state.grad = old
            if result is not None and record and not self.keeps_format:
                own(result, True)
                return taped.record(self.signature, values, result)
        if result is None:
            result = self.run(forward, args, n, kwnames, record and self.backward is not None)
        own(result, self.backward is not None or self.quick is not None)
        if self.keeps_format:
            result = self.in_format(args, n, kwnames, result)
        if record and self.backward is not None:
            self.signature.bind(values, args, n, kwnames)
            return self.record(self.signature, values, result)
        return result

    cdef object run(self, object forward, PyObject** args, Py_ssize_t n, tuple kwnames, bint untaped):
        """What the definition returns; ``untaped``: it leaves nothing on the tape."""
        cdef ThreadState* state = thread_state()
        cdef int old = state.grad
        if untaped:
            state.grad = 0
        try:
            return PyObject_Vectorcall(forward, args, n, NULL if kwnames is None else <PyObject*>kwnames)
        except Exception as error:
            blame(self, args, n, kwnames, error)
            raise
        finally:
            if untaped:
                state.grad = old

    cdef object in_format(self, PyObject** args, Py_ssize_t n, tuple kwnames, object result):
        """The result as the operands lie: channels-last if one of them does (a list, if all in it do)."""
        cdef Py_ssize_t i
        for i in range(n if kwnames is None else n + len(kwnames)):
            if asks_for_channels_last(<object>args[i]):
                return _callbacks["channels_last"](result)
        return result

    cdef object call_at(self, int place, PyObject** args, Py_ssize_t n, tuple kwnames):
        """The call with the arguments' device as the one of new tensors: what forward makes for itself lies where its arguments are.

        What its kernels find wrong with their data is said of the outermost operator.
        """
        cdef ThreadState* state = thread_state()
        cdef int before = state.place
        cdef bint outermost
        if place > 0 and not self.moves:
            check_places(self, place, args, n if kwnames is None else n + len(kwnames))
        outermost = place > 0 and enter_operator(self.__name__)
        state.place = place
        try:
            return self.call(args, n, kwnames)
        finally:
            state.place = before
            if outermost:
                leave_operator()

    cdef bint has_other_numbers(self, PyObject** args, Py_ssize_t n, tuple kwnames) except -1:
        """Is an argument one of NumPy's numbers, or a tensor in the place of an integer?"""
        cdef Py_ssize_t i
        for i in range(n if kwnames is None else n + len(kwnames)):
            if isinstance(<object>args[i], Tensor):
                if self.signature.integers and is_integer_tensor(<object>args[i]) and self.takes_integer(i, n, kwnames):
                    return True
            elif not is_common(args[i]) and is_numpy_number(args[i]):
                return True
        return False

    cdef bint takes_integer(self, Py_ssize_t i, Py_ssize_t n, tuple kwnames) except -1:
        """Does the i-th argument stand in the place of an integer?"""
        cdef object at = i if i < n else self.signature.position.get(kwnames[i - n])
        return at is not None and <Py_ssize_t>at < MAX_PARAMETERS and self.signature.integers >> <int>at & 1

    cdef object with_plain_numbers(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        """The call with Python's numbers."""
        cdef list given = []
        cdef Py_ssize_t i
        for i in range(n if kwnames is None else n + len(kwnames)):
            given.append(<object>args[i])
            if isinstance(<object>args[i], Tensor):
                if is_integer_tensor(<object>args[i]) and self.takes_integer(i, n, kwnames):
                    given[i] = given[i].__index__()
            elif not is_common(args[i]) and is_numpy_number(args[i]):
                given[i] = given[i].item()
        return self.plain(*given[:n], **dict(zip(kwnames or (), given[n:])))

    cdef object call_many(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        """The call whose numbers or tensors in any number are given in a sequence, by name: x.repeat(repeats=(2, 1))."""
        cdef dict named = {kwnames[i]: <object>args[n + i] for i in range(len(kwnames))}
        return self.plain(*[<object>args[i] for i in range(n)], named.pop(self.many), **named)

    cdef object call_out(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef list positional = [<object>args[i] for i in range(n)]
        cdef dict kwargs = {kwnames[i]: <object>args[n + i] for i in range(len(kwnames))}
        cdef object out = kwargs.pop("out")
        cdef bint loses, adopted
        if out is None:
            return self.plain(*positional, **kwargs)
        loses = loses_gradient(args, n + len(kwnames))
        if loses and self.backward is not None:
            raise out_and_grad(self.__name__)
        adopted = compute_as(out, self.signature, n, kwargs)
        if loses and adopted and self.is_composed() and category((<Tensor>out).code) < 2:
            raise out_and_grad(self.__name__)
        result = meet(self, positional, kwargs, out)
        if result is not None:
            return result
        try:
            result = self.plain(*positional, **kwargs)
        except (RuntimeError, IndexError):
            if loses and self.is_composed():
                raise out_and_grad(self.__name__) from None
            raise
        if "requires_grad" in self.accepted:
            return deliver_new(result, out, self.__name__)
        return deliver_out(result, out, self.__name__)

    cdef bint is_composed(self):
        """Is the gradient that of the parts?"""
        return getattr(self, "composed", False)

    cdef int check_memory(self, PyObject** args, Py_ssize_t n, tuple kwnames) except -1:
        """Raises if out= shares memory with operands that it must not share it with."""
        cdef object out = <object>args[n + kwnames.index("out")]
        cdef object target
        cdef Py_ssize_t i
        for target in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(target, Tensor):
                for i in range(n):
                    check_shared(self.memory, self.signature.names[min(i, len(self.signature.names) - 1)] if self.signature.names else "*",
                                 <Tensor>target, <object>args[i])
                for i in range(len(kwnames)):
                    if kwnames[i] != "out":
                        check_shared(self.memory, kwnames[i], <Tensor>target, <object>args[n + i])
        return 0

    cdef int check_outs(self, PyObject** args, Py_ssize_t n, tuple kwnames) except -1:
        """:meth:`check_memory`, where nothing else is wrong with the call."""
        cdef Py_ssize_t i
        try:
            self.check_memory(args, n, kwnames)
        except RuntimeError:
            refuse_call(self, [<object>args[i] for i in range(n)], {kwnames[i]: <object>args[n + i] for i in range(len(kwnames))})
            raise
        return 0

    cdef bint records(self, PyObject** args, Py_ssize_t n) except -1:
        """Does any tensor argument (also inside a list) collect a gradient?"""
        cdef Py_ssize_t i
        cdef object a, b
        for i in range(n):
            a = <object>args[i]
            if isinstance(a, Tensor):
                if needs_grad(<Tensor>a) and category((<Tensor>a).code) >= 2:
                    return True
            elif type(a) is list or type(a) is tuple:
                for b in a:
                    if isinstance(b, Tensor) and needs_grad(<Tensor>b):
                        return True
        return False

    cdef object record(self, Signature given, PyObject** values, object result):
        """The result of a call, with its node; ``values`` are those of the parameters ``given``, of this operator or of one that leaves its nodes."""
        cdef dict kept = {}
        cdef list tensors = []
        cdef object name, at, v, t
        for name in self.differentiable:
            if <object>values[<int>given.position[name]] is result:
                return result                              # an operand handed back as it is (conj of a real tensor) has its history
        for name in self.wanted:
            at = given.position.get(name)
            if at is not None and name not in OF_THE_CALL:
                kept[name] = <object>values[<int>at]
        for name in self.differentiable:
            v = <object>values[<int>given.position[name]]
            if isinstance(v, Tensor):
                tensors.append(v if category((<Tensor>v).code) >= 2 else None)
            elif type(v) is list or type(v) is tuple:
                for t in v:                                # of all of them: the gradients are found by the shapes of their neighbours
                    tensors.append(t if isinstance(t, Tensor) else None)
            else:
                tensors.append(None)
        outputs = result if type(result) is tuple else tuple(result) if isinstance(result, (tuple, list)) else (result,)
        for v in outputs:
            (<Tensor?>v).flags &= ~<uint32_t>UNRECORDED_VIEW      # made with the tape off, but recorded here
        LibraryNode.record(self.label, self.backward, self.wanted, kept, tuple(tensors), outputs)
        return result


cdef tuple renamed(tuple kwnames, frozenset accepted):
    """The keywords, NumPy's names (axis, keepdims, x1) as PyTorch's where the operator has none of that name."""
    cdef object name, known
    for name in kwnames:
        known = None if name in accepted else _SYNONYMS.get(name)
        if known in accepted and known not in kwnames:
            return renamed(tuple([known if other == name else other for other in kwnames]), accepted)
    return kwnames


cdef int own(object result, bint whole) except -1:
    """Results that nobody else holds are nobody's views where they are views of what a definition made for itself, and as good as unwritten.
    whole: made by one operator of PyTorch's, in new memory; not a composition, whose last step may be a view."""
    cdef PyObject* x
    cdef Py_ssize_t i
    if isinstance(result, Tensor):
        if (<PyObject*>result).ob_refcnt == 1:
            own_view(<Tensor>result, whole)
    elif isinstance(result, tuple):
        for i in range(len(<tuple>result)):
            x = PyTuple_GET_ITEM(result, i)
            if x.ob_refcnt == 1 and isinstance(<object>x, Tensor):
                own_view(<Tensor>x, whole)
    return 0


cdef int own_view(Tensor x, bint whole) except -1:
    """A view that alone knows its base, and the base's history up to the last write, goes on without it."""
    cdef int64_t step = 1
    cdef int i
    if x.base is not None and (<PyObject*>x.base).ob_refcnt == 1 and x.view_version == version_of(x):
        x.base = None
        x.flags &= ~<uint32_t>(UNRECORDED_VIEW | MULTI_VIEW)
        if whole and x.flags & CONTIGUOUS:
            for i in range(x.ndim - 1, -1, -1):      # dims of size 1 may have come from elsewhere
                x.strides[i] = step
                step *= max(x.sizes[i], <int64_t>1)
    if x.base is None and x.node is None and (<PyObject*>x.memory).ob_refcnt == 1:
        x.memory.version = 0
    return 0


cdef bint is_channels_last(Tensor x) noexcept:
    """Do the elements of (N, C, *size) lie as (N, *size, C) does, row-major? Where sizes of 1 allow both, the strides decide."""
    cdef int64_t least = 0
    cdef int i, d
    if x.ndim != 4 and x.ndim != 5 or x.strides[1] != 1:
        return False
    for i in range(x.ndim):      # C is innermost, then W, H ... and N: each stride is at least what lies within it
        d = 1 if i == 0 else x.ndim - i if i < x.ndim - 1 else 0
        if x.strides[d] < least or (d == 0 and least == x.strides[1]):
            return False
        least = max(least, x.strides[d]) * (x.sizes[d] if x.sizes[d] > 1 else 1)
    return True


cpdef bint asks_for_channels_last(object operand) except -1:
    """Does an operand ask for channels-last results? A list does if all of its tensors do."""
    cdef object x
    if isinstance(operand, Tensor):
        return is_channels_last(<Tensor>operand)
    if type(operand) is not list and type(operand) is not tuple or len(operand) == 0:
        return False
    for x in operand:
        if not isinstance(x, Tensor) or not is_channels_last(<Tensor>x):
            return False
    return True


def lies_channels_last(Tensor x):
    """See ``is_channels_last``."""
    return is_channels_last(x)


cdef int place_of_arguments(PyObject** args, Py_ssize_t n) except -2:
    """Device code of the arguments' tensors (also inside lists): of one on a GPU if there is any; -1 without tensors."""
    cdef Py_ssize_t i
    cdef object a
    cdef int place = -1
    for i in range(n):
        a = <object>args[i]
        if (type(a) is list or type(a) is tuple) and len(a):
            a = a[0]
        if isinstance(a, Tensor):
            place = max(place, <int>(<Tensor>a).place)
    return place


cdef int check_places(Library op, int place, PyObject** args, Py_ssize_t n) except -1:
    """PyTorch's error unless the tensors among the arguments (also inside lists) lie on one device; one without dims on the CPU is a number."""
    cdef Py_ssize_t i
    cdef object a, b
    cdef list tensors = []
    cdef bint well = True, many
    for i in range(n):
        a = <object>args[i]
        many = type(a) is list or type(a) is tuple
        if many and op.index_lists:
            continue
        for b in a if many else (a,):
            if isinstance(b, Tensor) and ((<Tensor>b).ndim or (<Tensor>b).place):
                tensors.append(b)
                well &= (<Tensor>b).place == place
    if not well:
        raise mixed(op.__name__, tensors)
    return 0


cdef object _enter_library(object self, PyObject** args, size_t nargsf, PyObject* kwnames):
    """The C entry of library operators: they take lists, whose tensors may be of classes that override. (plain() enters below it.)"""
    cdef Py_ssize_t n = nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET
    if _has_intercepted_list(args, n):
        return _run_within(<Operator>self, args, n, None if kwnames == NULL else <tuple>kwnames, True, INTERCEPT)
    return _enter(self, args, nargsf, kwnames)


cdef PyObject* _called_library(object self, PyObject** args, size_t nargsf, PyObject* kwnames) noexcept:
    cdef PyObject* result = (<entry_t>_enter_library)(self, args, nargsf, kwnames)
    if result == NULL:
        count_behind_self(<Operator>self, nargsf, kwnames)
    return result


cdef bint _has_intercepted_list(PyObject** args, Py_ssize_t n) except -1:
    cdef Py_ssize_t i
    cdef object a, b
    for i in range(min(n, 2)):
        a = <object>args[i]
        if type(a) is list or type(a) is tuple:
            for b in a:
                if not isinstance(b, Tensor):
                    if _is_foreign(<PyObject*>b):
                        return True
                    break
                if (<Tensor>b).flags & INTERCEPT:
                    return True
    return False


cdef class Native(Operator):
    """An operator that is a C function: views, indexing, constructors. Its docstring begins with its parameters: ``select(input, dim, index)``."""

    def __init__(self, str name, str doc or None):
        self.parameters, _, self.__doc__ = (doc or f"{name}()").partition("\n")
        self.__name__ = name
        listed = self.parameters[len(name) + 1:].rstrip(")").split(", ")
        self.names = frozenset([part.lstrip("*").partition("=")[0] for part in listed])

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        if self.cuda is not None and place_of_arguments(args, n if kwnames is None else n + len(kwnames)) > 0:
            return PyObject_Vectorcall(self.cuda, args, n, <PyObject*>kwnames if kwnames is not None else NULL)
        cdef object name
        if kwnames is not None:
            for name in kwnames:
                if name not in self.names or <str>name == "input":
                    return self.respelled(args, n, kwnames)
        try:
            return self.run(args, n, kwnames)
        except Exception as error:
            blame(self, args, n, kwnames, error)
            raise

    cdef object run(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        return self.function(args, n, kwnames)

    cdef object respelled(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        """The call with PyTorch's other names for the same arguments (axis for dim), and the tensor in front."""
        cdef list positional = [<object>args[i] for i in range(n)]
        cdef dict kwargs = {}
        for i, given in enumerate(kwnames):
            name = given if given in self.names else _SYNONYMS.get(given)
            if name not in self.names:
                raise TypeError(f"{self.__name__}() got an unexpected keyword argument '{given}'\n  It takes {self.parameters[len(self.__name__):]}.")
            if name in kwargs or (name == "input" and n):
                raise TypeError(f"{self.__name__}() got multiple values for argument '{name}'")
            kwargs[name] = <object>args[n + i]
        if "input" in kwargs:
            positional.append(kwargs.pop("input"))
        return self(*positional, **kwargs)


cdef Native native(str name, native_t function, str doc):
    """Wraps a C function as an operator. ``doc``: None for the quick way of a library operator, which is never called by itself."""
    cdef Native op = Native(name, doc)
    op.function = function
    return op


cdef Native looking(str name, native_t function, str doc):
    """The same for an operator that gives a view and never reads an element: what waits may go on waiting (waiting.pxi)."""
    cdef Native op = native(name, function, doc)
    op.lets_wait = True
    return op


def refuse_leaf(target):
    """Raises if a target that is to be overwritten is a leaf, or a view of one: said before what is wrong with the other arguments."""
    if isinstance(target, Tensor):
        check_inplace(<Tensor>target, thread_state().grad and needs_grad(<Tensor>target))


def write_inplace(Tensor target, Tensor result, operands=()):
    """The in-place form of any operator: target's elements become result's, history included. operands: such as may be the target's very
    elements, but not overlap it otherwise."""
    for x in operands:
        if isinstance(x, Tensor):
            check_overlap(target, <Tensor>x)
    cdef bint record = thread_state().grad and (needs_grad(result) or needs_grad(target))
    check_inplace(target, record)
    check_writable(target)
    if not _can_cast(result.code, target.code):
        raise RuntimeError(
            f"result type {dtype_title(result.code)} can't be cast to the desired output type {dtype_title(target.code)}")
    return _callbacks["copy_"](target, result)


# -- the quick way (see Library.quick) of compositions that are little more than one other call --

cdef object equal_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input, other): of one dtype"""
    cdef Tensor a, b
    if not isinstance(<object>values[0], Tensor) or not isinstance(<object>values[1], Tensor):
        return None
    a, b = <Tensor>values[0], <Tensor>values[1]
    if a.code != b.code or a.place or b.place or a.count == 0:
        return None
    if not same_sizes(a, b):
        return False
    return (<Tensor>(<Operator>_callbacks["all_equal"]).call(values, 2, None)).address[0] != 0


cdef object zero_quickly(PyObject** values, Py_ssize_t n, tuple names):
    """(input)"""
    cdef Tensor t
    cdef char[16] zero
    if not isinstance(<object>values[0], Tensor):
        return None
    t = <Tensor>values[0]
    if t.place or not t.flags & CONTIGUOUS:
        return None
    check_inplace(t, False)
    check_writable(t)
    memset(zero, 0, 16)
    fill_number(t, zero)
    bump(t)
    return t


quick = {"equal": native("equal", equal_quickly, None), "zero_": native("zero_", zero_quickly, None)}
