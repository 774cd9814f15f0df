# Pointwise operators: an expression of the operands' elements. Included by operator.pyx.

# How a parameter takes part in one call: the trace depends on this and on the baked values only.
cdef enum:
    TENSOR = 0      # a tensor operand
    NUMBER = 1      # a Python number in an operand's place: takes part in promotion
    ATTRIBUTE = 2   # a number that the kernel reads at run time
    BAKED = 3       # a constant of the trace: a default, None, a bool or a string
    WIDE = 1        # of an operator with reductions, in which no number counts so: a float32 tensor beside a first operand of half width
    # in `fixed`, besides dtype codes and -1 for an operand that takes part in promotion:
    CONSTANT = -2   # a parameter whose every value is a constant of the trace
    FOLLOWS = -3    # an operand that is converted to the promoted type without taking part in it
    # `held`: which numbers in operands' places must be such that an element of the dtype computed in can hold them
    BUT_HALVES = 1  # all; in half-width floats they may become infinite
    ALWAYS = 2
    LAST = 3        # the last one, where the dtype is an integer or a half-width float

# numbers that PyTorch converts to the dtype computed in, which must hold them: in half-width floats float32, but for those that `fits` names
cdef frozenset _FACTORS = frozenset({"alpha", "value", "negative_slope", "beta", "threshold", "lambd"})

cdef struct Call:
    int n
    int code                           # the promoted dtype, -1 while it is not known
    Operand[MAX_OPERANDS] operands
    PyObject* source[MAX_OPERANDS]     # borrowed: the argument behind each operand


cdef inline int opmath(int code) noexcept:
    return F32 if code == F16 or code == BF16 else code


cdef class Pointwise(Operator):
    """An operator given by an expression of its operands' elements.

    operand: for each parameter, may a tensor or number stand there; fixed: its dtype code if it does not take part in promotion, else -1;
    floating: integer operands are promoted to the default dtype; label: the name of its node.
    """
    cdef readonly Signature signature
    cdef readonly object definition
    cdef readonly tuple operand, fixed
    cdef readonly bint floating
    cdef readonly str label
    cdef public tuple overloads        # the kinds of operands for which PyTorch numbers the nodes; or None
    cdef public frozenset common       # numbers in the last operand's place for which the expression is another, simpler one; or None
    cdef public frozenset fits         # names of numbers that an element of the dtype must be able to hold
    cdef public int leads              # the operand after which results lie first
    cdef public int tensors            # bits of the operands that must be tensors: a number in their place is refused
    cdef public bint fills             # in place it writes its last operand's one value: to an expanded target too, with a warning
    cdef public bint numbers           # may all operands be numbers?
    cdef public bint row_major         # results are row-major, however the operands lie
    cdef public object inplace
    cdef public object integers        # called with the second operand and the dtype where that is an integer: it may refuse (zero divisors)
    cdef public object bools           # called with the operands where one is bool: it may refuse
    cdef public object mixed           # called with the operands where their tensors have several dtypes: it may refuse
    cdef public bint differentiable    # its results have gradients, where they are floating
    cdef public bint unrecorded        # the tape takes no notice of its in-place form
    cdef public bint compares          # its results are truth values alone: complex numbers of half width are compared as wider ones
    cdef public int silent             # bits of the operands in whose place a number takes no part in promotion
    cdef public object ruled           # must out= keep its rule only where a number stands in an operand's place (True), or where none does (False)?
    cdef public int held               # must the dtype computed in hold the numbers in operands' places?
    cdef int n_parameters
    cdef int[MAX_PARAMETERS] is_operand
    cdef int[MAX_PARAMETERS] fixed_code
    cdef dict variants
    cdef list plain_programs           # by dtype code: the program of plain_call()
    cdef int n_plain                   # its number of arguments, -1 if there is no such call
    cdef uint64_t last_kinds
    cdef list last_programs

    def __init__(self, definition, Signature signature, tuple operand, tuple fixed, bint floating, str label or None):
        cdef int i
        self.definition, self.signature, self.operand, self.fixed = definition, signature, operand, fixed
        self.floating, self.label = floating, label
        self.lets_wait = type(self) is Pointwise
        self.__name__ = signature.name
        self.__doc__ = definition.__doc__
        self.n_parameters = len(signature.names)
        for i in range(self.n_parameters):
            self.is_operand[i] = operand[i]
            self.fixed_code[i] = fixed[i]
        self.variants = {}
        self.plain_programs = [None] * N_DTYPES
        self.n_plain = signature.n_required if signature.n_required <= 2 and all([f == -1 for f in fixed[:signature.n_required]]) else -1

    cdef Program plain_call(self, PyObject** args, Py_ssize_t n, Call* c):
        """The program of the commonest call, tensors of one floating dtype and defaults for the rest; None for any other, or the first time."""
        cdef Tensor a
        if n != self.n_plain or not isinstance(<object>args[0], Tensor):
            return None
        a = <Tensor>args[0]
        if a.code < F16 or a.code > F64:
            return None
        if n == 2:
            if not isinstance(<object>args[1], Tensor) or (<Tensor>args[1]).code != a.code:
                return None
            c.source[1] = c.operands[1].tensor = args[1]
        c.source[0] = c.operands[0].tensor = args[0]
        c.n = <int>n
        return <Program>self.plain_programs[a.code]

    cdef Program prepare(self, PyObject** values, Call* c):
        """Sorts the arguments into operands and constants, promotes, and finds the program; None if ``with_numbers`` must be called instead."""
        cdef Promotion promotion = no_promotion()
        cdef uint64_t kinds = 0
        cdef int i, code, kind, n = 0
        cdef bint some_bool = False, several = False
        cdef list baked = None
        cdef object v
        cdef Tensor first = None
        cdef int[MAX_PARAMETERS] slot
        c.code = -1
        for i in range(self.n_parameters):
            v = <object>values[i]
            if isinstance(v, Tensor):
                if not self.is_operand[i]:
                    return None
                kind = TENSOR
                some_bool |= (<Tensor>v).code == B1
                if first is None:
                    first = <Tensor>v
                several |= (<Tensor>v).code != first.code
                if self.fixed_code[i] == B1 and (<Tensor>v).code != B1:
                    raise not_a_mask(self.__name__, <Tensor>v)
                if self.fixed_code[i] == FOLLOWS and (<Tensor>v).ndim:
                    raise RuntimeError(f"{self.__name__}_ only supports a 0-dimensional value tensor, but got tensor with {(<Tensor>v).ndim} dimension(s).")
            elif values[i] == PyTuple_GET_ITEM(self.signature.defaults, i):
                kind = BAKED
            elif self.fixed_code[i] == CONSTANT:
                kind = BAKED
                if not same_constant(v, <object>PyTuple_GET_ITEM(self.signature.defaults, i)):
                    if baked is None:
                        baked = []
                    baked.append((i, v))
            elif self.is_operand[i] and v is not None and type(v) is not str:
                kind = NUMBER
                if self.tensors >> i & 1:
                    raise wrong_type(self.__name__, self.signature.names[i], i + 1, "Tensor", v)
                some_bool |= type(v) is bool
                if self.common is not None and i == self.n_parameters - 1 and (type(v) is int or type(v) is float) and v in self.common:
                    baked = [(i, v)]            # it stays an operand, which the kernel does not read
            elif v is None or type(v) is bool or type(v) is str:
                kind = BAKED
                if self.is_operand[i] or type(v) is str and type(self.signature.defaults[i]) in _NUMBERS:
                    raise wrong_type(self.__name__, self.signature.names[i], i + 1 if self.is_operand[i] else 0,
                                     "Tensor" if self.is_operand[i] else "Number", v)
                if not same_constant(v, <object>PyTuple_GET_ITEM(self.signature.defaults, i)):
                    if baked is None:
                        baked = []
                    baked.append((i, v))
            else:
                kind = BAKED if type(v) is type(self.signature.defaults[i]) and v == self.signature.defaults[i] else ATTRIBUTE
            kinds |= <uint64_t>kind << (2 * i)
            if kind == BAKED:
                continue
            if n >= MAX_OPERANDS:
                raise TypeError(f"{self.__name__}(): too many operands")
            if kind == TENSOR:
                c.operands[n].tensor = <PyObject*>v
                if self.fixed_code[i] == -1:
                    promote_tensor(&promotion, <Tensor>v)
            else:
                c.operands[n].tensor = NULL
                if not isinstance(v, _NUMBERS):
                    if as_number(v) is None:
                        raise wrong_type(self.__name__, self.signature.names[i], i + 1, "Tensor" if self.is_operand[i] else "Number", v)
                if kind == NUMBER and self.fixed_code[i] == -1 and not self.silent >> i & 1:
                    promotion.number = promote(promotion.number, number_code(as_number(v)))
            c.source[n] = <PyObject*>v
            slot[n] = i
            n += 1
        c.n = n
        if n == 0 or (promotion.dims < 0 and promotion.zero < 0 and not self.any_tensor(c)):
            if self.numbers:
                return None
            raise wrong_type(self.__name__, self.signature.names[0], 1, "Tensor", <object>values[0])
        if some_bool and self.bools is not None:
            self.bools(*[<object>c.source[i] for i in range(n)])
        if several and self.mixed is not None:
            self.mixed(*[<object>c.source[i] for i in range(n)])
        code = promoted(&promotion)
        if code == C32 and self.compares:
            code = C64
        if self.floating and category(code) < 2:
            code = get_default_dtype_code()
        c.code = code
        program = self.program(kinds, baked, code, values)
        if self.integers is not None and category(code) < 2:
            self.integers(<object>c.source[1] if c.operands[1].tensor != NULL else as_number(<object>c.source[1]), DTYPES[code],
                          counted(self, values, None) > 0)
        for i in range(n):
            if c.operands[i].tensor != NULL and self.fixed_code[slot[i]] == FOLLOWS and (<Tensor>c.operands[i].tensor).code != code:
                if not (<Tensor>c.operands[i].tensor).place:
                    representable(code, element(<Tensor>c.operands[i].tensor))
            if c.operands[i].tensor == NULL:
                v = <object>c.source[i]
                if type(v) is not float and type(v) is not int:
                    v = as_number(v)
                if self.is_operand[slot[i]] and (self.must_hold(code, i) or self.fixed_code[slot[i]] == FOLLOWS):
                    v = representable(code, v, self.held != BUT_HALVES)
                elif self.signature.names[slot[i]] in self.fits:
                    representable(code, v)
                elif self.signature.names[slot[i]] in _FACTORS:
                    representable(program.codes[program.n_out + i], v, False)
                elif type(v) is complex and category(program.codes[program.n_out + i]) < 3:
                    representable(program.codes[program.n_out + i], v)
                if isinstance(v, float) and category(code) < 2 and self.signature.names[slot[i]] == "alpha":
                    raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
                put_scalar(c.operands[i].number, program.codes[program.n_out + i], v)
        return program

    cdef bint must_hold(self, int code, int i) noexcept:
        """Must a number in the i-th operand's place be one that an element of the dtype computed in can hold?"""
        return self.held and (self.held != LAST or i and (category(code) < 2 or code == F16 or code == BF16))

    cdef bint any_tensor(self, Call* c):
        cdef int i
        for i in range(c.n):
            if c.operands[i].tensor != NULL:
                return True
        return False

    cdef object with_numbers(self, Operator called, PyObject** args, Py_ssize_t n, tuple kwnames):
        """The call with the values of the 0-dim tensors that were given for numeric attributes, and with a tensor of the first operand where
        all are numbers. ``Call`` only borrows: they are kept alive here."""
        cdef Py_ssize_t i, first = -1
        cdef object at
        cdef bint alone = self.numbers
        cdef list given = [<object>args[i] for i in range(n + (0 if kwnames is None else len(kwnames)))]
        for i in range(len(given)):
            at = i if i < n else self.signature.position.get(kwnames[i - n])
            if at is not None and not self.is_operand[<int>at] and isinstance(given[i], Tensor):
                given[i] = self.number_from_tensor(given[i], at)
            elif at is not None and self.is_operand[<int>at]:
                alone &= not isinstance(given[i], Tensor)
                if at == 0:
                    first = i
        if alone and first >= 0:
            at = as_number(given[first])
            given[first] = scalar_tensor(at, number_code(at))
        return called(*given[:n], **dict(zip(kwnames or (), given[n:])))

    cdef object number_from_tensor(self, Tensor t, int i):
        """The value of a 0-dim tensor given for a numeric attribute; it must not need a gradient."""
        if t.ndim == 0 and not needs_grad(t):
            return element(t)
        raise wrong_type(self.__name__, self.signature.names[i], i + 1, "Number", t)

    cdef Program program(self, uint64_t kinds, list baked, int code, PyObject** values):
        cdef list programs
        cdef object p
        if baked is None and kinds == self.last_kinds and self.last_programs is not None:
            programs = self.last_programs
        else:
            key = kinds if baked is None else (kinds, tuple(baked))
            programs = self.variants.get(key)
            if programs is None:
                programs = self.variants[key] = [None] * (N_DTYPES + 1)
            if baked is None:
                self.last_kinds, self.last_programs = kinds, programs
        p = programs[code + 1]
        if p is None:
            counted(self, values, None)             # what does not fit is said before a dtype is refused
            pattern = [(kinds >> (2 * i)) & 3 for i in range(self.n_parameters)]
            p = programs[code + 1] = _trace(self, pattern, dict(baked or ()), code)
        return <Program>p

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef PyObject* values[MAX_PARAMETERS]
        cdef Call c
        cdef Program p
        cdef object result
        if kwnames is not None and "out" in kwnames:
            return self.call_out(args, n, kwnames)
        p = self.plain_call(args, n, &c) if kwnames is None else None
        if p is None:
            if n > self.signature.n_positional and self.__name__ in _OLDER:
                return older_form(self, self.signature, args, n, kwnames)
            self.signature.bind(values, args, n, kwnames)
            p = self.prepare(values, &c)
            if p is None:
                return self.with_numbers(self, args, n, kwnames)
            if kwnames is None and n == self.n_plain:
                self.remember_plain(args, n, p)
        result = compute(p, &c)
        return result if p.n_out == 1 else tuple(<list>result)

    cdef int remember_plain(self, PyObject** args, Py_ssize_t n, Program p) except -1:
        """Keeps p for plain_call() if the call was of its kind."""
        cdef Py_ssize_t i
        cdef int code = -1
        for i in range(n):
            if not isinstance(<object>args[i], Tensor):
                return 0
            if i and (<Tensor>args[i]).code != code:
                return 0
            code = (<Tensor>args[i]).code
        if F16 <= code <= F64:
            self.plain_programs[code] = p
        return 0

    cdef object call_out(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        """out=: the result is written to given tensors, resized when their shape differs; nothing is recorded."""
        cdef PyObject* values[MAX_PARAMETERS]
        cdef PyObject* rest[MAX_PARAMETERS]
        cdef Call c
        cdef Program p
        cdef list outputs = []
        cdef list names = []
        cdef int i, k = 0
        cdef bint exact
        cdef object result, out = None
        for i in range(n):
            rest[i] = args[i]
        for i in range(len(kwnames)):
            if kwnames[i] == "out":
                out = <object>args[n + i]
            else:
                rest[n + k] = args[n + i]
                names.append(kwnames[i])
                k += 1
        self.signature.bind(values, rest, n, tuple(names) if names else None)
        try:
            p = self.prepare(values, &c)
        except RuntimeError:
            if self.differentiable and loses_gradient(args, n + len(kwnames)):
                raise out_and_grad(self.__name__) from None
            raise
        if p is None:
            return self.with_numbers(self, args, n, kwnames)
        if out is None:
            result = compute(p, &c)
            return result if p.n_out == 1 else tuple(<list>result)
        if self.differentiable and loses_gradient(args, n + len(kwnames)):
            raise out_and_grad(self.__name__)
        exact = self.ruled is None or <bint>self.ruled == any_number(&c)
        if p.n_out == 1 and takes_result(p, &c, out):
            run_program(p, c.operands, [out], True)
            bump(<Tensor>out)
            return out
        for target in (out,) if p.n_out == 1 else out:
            if isinstance(target, Tensor):
                check_writable(<Tensor>target)
                for i in range(c.n):
                    if c.operands[i].tensor != NULL:
                        check_overlap(<Tensor>target, <Tensor>c.operands[i].tensor)
        run_program(p, c.operands, outputs, False)
        for i in range(c.n):
            if p.n_out == 1 and c.source[i] == <PyObject*>out and not same_sizes(<Tensor>out, <Tensor>outputs[0]):
                raise _other_shape(<Tensor>out, (<Tensor>outputs[0]).sizes, (<Tensor>outputs[0]).ndim)
        if p.n_out == 1:
            if exact:
                check_out(outputs[0], out, self.__name__)
            return deliver(outputs[0], out, self.__name__)
        return tuple([deliver(r, o, self.__name__) for r, o in zip(outputs, out)])


cdef frozenset _OLDER = frozenset({"add", "sub", "addcmul", "addcdiv"})   # their factor came second once: x.add_(-lr, grad)


cdef object older_form(Operator called, Signature signature, PyObject** args, Py_ssize_t n, tuple kwnames):
    cdef list given = [<object>args[i] for i in range(n + (0 if kwnames is None else len(kwnames)))]
    cdef dict named = dict(zip(kwnames or (), given[n:]))
    cdef str factor = signature.names[signature.n_positional]
    if n != signature.n_positional + 1 or as_number(given[1]) is None or factor in named:
        raise TypeError(f"{called.__name__}() takes {signature.n_positional} positional arguments but {n} were given")
    _callbacks["warn_older"](called.__name__, factor)
    named[factor] = given.pop(1)
    return called(*given[:n - 1], **named)


cdef bint takes_result(Program p, Call* c, object out) noexcept:
    """May the program write its result straight to an out= argument: has it the result's dtype, shape and device, and memory of its own (or
    an operand's, element by element)? deliver() does whatever else there is to do."""
    cdef Tensor target, t
    cdef int i, d, ndim = 0
    cdef int64_t size, found
    if not isinstance(out, Tensor):
        return False
    target = <Tensor>out
    if target.code != p.codes[0] or target.flags & (CONJ | NEG | INFERENCE) or not is_dense(target) or (thread_state().grad and needs_grad(target)):
        return False
    for i in range(c.n):
        if c.operands[i].tensor == NULL:
            continue
        t = <Tensor>c.operands[i].tensor
        if t.place != target.place or t.ndim > target.ndim or _overlap(target, t):
            return False
        ndim = max(ndim, t.ndim)
    if ndim != target.ndim:
        return False
    for d in range(1, target.ndim + 1):                 # from the last dim on
        found = 1
        for i in range(c.n):
            if c.operands[i].tensor != NULL and (<Tensor>c.operands[i].tensor).ndim >= d:
                size = (<Tensor>c.operands[i].tensor).sizes[(<Tensor>c.operands[i].tensor).ndim - d]
                if size != 1:
                    if size != target.sizes[target.ndim - d]:
                        return False
                    found = size
        if found != target.sizes[target.ndim - d]:
            return False
    return True


cdef object not_a_mask(str name, Tensor t):
    return RuntimeError(
        f"{name}_ only supports boolean masks, but got mask with dtype {c_name(t.code)}\n  Compare to make a mask (mask != 0), or convert with .bool().")


cdef bint any_number(Call* c) noexcept:
    """Does a number stand in an operand's place?"""
    cdef int i
    for i in range(c.n):
        if c.operands[i].tensor == NULL:
            return True
    return False


# -- running and recording --

cdef int differentiable_mask(Program p, Call* c) except -1:
    """Bit i: operand i is a tensor that collects a gradient through this program."""
    cdef int i, mask = 0
    for i in range(c.n):
        if c.operands[i].tensor != NULL and category(p.codes[p.n_out + i]) >= 2 and needs_grad(<Tensor>c.operands[i].tensor):
            mask |= 1 << i
    return mask


cdef int fill_call(Program p, Call* c, list values) except -1:
    """Makes values, which the caller keeps, the operands of a call."""
    cdef int i
    cdef object v
    c.n = len(values)
    for i in range(c.n):
        v = values[i]
        c.source[i] = <PyObject*>v
        if isinstance(v, Tensor):
            c.operands[i].tensor = <PyObject*>v
        else:
            c.operands[i].tensor = NULL
            put_scalar(c.operands[i].number, p.codes[p.n_out + i], v)
    return 0


def call_program(Program p, tuple values):
    """The first output of a program of tensors and numbers, recorded."""
    cdef Call c
    cdef list keep = list(values)
    cdef object result
    fill_call(p, &c, keep)
    result = compute(p, &c)
    return result if p.n_out == 1 else result[0]


cdef object compute(Program p, Call* c):
    """Runs the program and, while recording, leaves a node. Returns the output, or a list of several."""
    cdef int mask = 0
    cdef PointwiseNode node = None
    cdef Tensor out
    cdef PyObject* made
    cdef list outputs
    if thread_state().grad:
        mask = differentiable_mask(p, c)
    if mask and category(p.codes[0]) >= 2:
        if p.real_gradient and category(p.codes[0]) == 3:
            raise RuntimeError(f"{p.name} does not support automatic differentiation for outputs with complex dtype.\n"
                               "  Take the real and the imaginary part (torch.view_as_real), or detach() the tensor.")
        node = PointwiseNode.record(p, c, mask)
    out = run_dense(p, c.operands) if p.n_out == 1 and not SMALL_WAIT else None
    if out is None:
        outputs = []
        run_or_wait(p, c.operands, outputs, False, True)
        if node is not None:
            node.finish(c, PySequence_Fast_ITEMS(outputs), p.n_out)
        return outputs[0] if p.n_out == 1 else outputs
    made = <PyObject*>out
    if node is not None:
        node.finish(c, &made, 1)
    return out


include "pointwise_node.pxi"


# -- in place --

@cython.final
cdef class InPlace(Operator):
    """The in-place form of a pointwise operator: the first operand is overwritten and returned."""
    cdef readonly Pointwise functional

    def __init__(self, Pointwise functional, str name):
        self.functional = functional
        self.__name__ = name
        self.__doc__ = f"In-place version of :func:`{functional.__name__}`: overwrites the tensor and returns it."

    cdef object call(self, PyObject** args, Py_ssize_t n, tuple kwnames):
        cdef PyObject* values[MAX_PARAMETERS]
        cdef Call c
        cdef Pointwise op = self.functional
        cdef Program p
        cdef PointwiseNode node = None
        cdef Tensor target
        cdef list outputs
        cdef list copies = []
        cdef int i, mask = 0
        if n > op.signature.n_positional and op.__name__ in _OLDER:
            return older_form(self, op.signature, args, n, kwnames)
        op.signature.bind(values, args, n, kwnames)
        if not isinstance(<object>values[0], Tensor):
            raise wrong_type(self.__name__, op.signature.names[0], 1, "Tensor", <object>values[0])
        target = <Tensor>values[0]
        try:
            p = op.prepare(values, &c)
        except RuntimeError as error:
            refuse_target(op, values, target)
            if c.code >= 0 and op.differentiable and isinstance(error, NotImplementedError) and not _can_cast(c.code, target.code):
                raise cannot_cast(op, &c, c.code, target.code) from None
            raise
        if p is None:
            return op.with_numbers(self, args, n, kwnames)
        if not _can_cast(p.codes[0], target.code):
            refuse_target(op, values, target)
            raise cannot_cast(op, &c, p.codes[0], target.code)
        if category(target.code) == 3 and category(p.codes[0]) == 2:
            raise RuntimeError(f"In-place {op.__name__} is not supported for complex tensors.\n"
                               f"  Its result is real: keep it under a name, as by y = x.{op.__name__}().")
        if op.fills and is_expanded(target):
            return _callbacks["fill_expanded"](target, <object>values[1], <object>values[2])
        if thread_state().grad and not op.unrecorded:
            mask = differentiable_mask(p, &c)
        check_inplace(target, mask != 0)
        check_writable(target)
        if mask:
            node = PointwiseNode.record(p, &c, mask)
            for i in range(node.gradient.n):     # what the gradient reads of the target is about to be overwritten: keep a copy
                if node.gradient.kind[i] == 1 and c.source[node.gradient.index[i]] == <PyObject*>target:
                    node.saved[i] = save_copy(target, clone(resolve(target)))
        for i in range(c.n):
            if c.operands[i].tensor != NULL:
                if not op.fills or i < c.n - 1:
                    check_overlap(target, <Tensor>c.operands[i].tensor)
                if _overlap(target, <Tensor>c.operands[i].tensor):
                    copies.append(clone(resolve(<Tensor>c.operands[i].tensor)))
                    c.operands[i].tensor = <PyObject*>copies[len(copies) - 1]
        if p.codes[0] == target.code and not target.flags & (CONJ | NEG):
            outputs = [target]
            run_program(p, c.operands, outputs, True)
        else:
            outputs = []
            run_program(p, c.operands, outputs, False)
            if not same_sizes(<Tensor>outputs[0], target):
                raise _other_shape(target, (<Tensor>outputs[0]).sizes, (<Tensor>outputs[0]).ndim)
            _write(target, <Tensor>outputs[0])
        bump(target)
        if node is not None:
            node.n_outputs = 1
            node.note_shapes(&c)
            if not mask & 1:
                node.constant_target = True
                node.next = (None,) + node.next
                if node.numbers is not None:
                    node.numbers.insert(0, 0)
            rebase(target, node, 0)
            for i in range(node.gradient.n):
                if node.gradient.kind[i] == 2:
                    node.saved[i] = save_result(target, 0)
        return target


cdef object cannot_cast(Pointwise op, Call* c, int code, int target):
    """The error for results that the tensor overwritten cannot hold."""
    title = c_name(target) if op.ruled is True and any_number(c) else dtype_title(target)
    return RuntimeError(f"result type {dtype_title(code)} can't be cast to the desired output type {title}")


cdef int _write(Tensor target, Tensor source) except -1:
    """Like copy_into for targets that may be lazily conjugated."""
    if target.flags & (CONJ | NEG):
        source = <Tensor>_callbacks["unresolve"](source, target)
        plain = alias(target)
        plain.flags &= ~<uint32_t>(CONJ | NEG)
        return copy_into(plain, source)
    return copy_into(target, source)
