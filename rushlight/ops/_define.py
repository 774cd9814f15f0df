"""How an operator is defined: the decorators ``pointwise``, ``rowwise``, ``library`` and ``composite``, and the registry of all operators.

A definition is a function. For a pointwise or rowwise operator it runs on symbolic elements (:mod:`rushlight.lang`); its parameters
without a default are the operands (tensors, or Python numbers in a tensor's place), those with one are attributes::

    @pointwise(floating=True, result=True)
    def tanh(input):
        return fn.tanh(input)

    @pointwise
    def add(input, other, *, alpha=1):
        return input + alpha * other

    @where.gradient                       # only where the derived one is not what PyTorch promises
    def _(grad, result): ...

Annotations: ``x: operand = None`` an optional operand; ``mask: b1`` an operand of a fixed type that takes no part in promotion;
``ord: constant = 2.0`` an attribute whose every value is a constant of the trace; ``value: follows`` an operand that is converted to the
promoted type without taking part in promotion; in rowwise operators ``weight: row`` an operand over the kept dims only, and
``target: row_i64`` such an operand of type int64. In other operators ``dim: integer`` one integer, and ``dim: integers`` one or several,
as is every parameter whose default is an int: an integer tensor of one element may stand there, and is read.
"""

from .._core import callbacks
from .._core import operator as core
from .._core.indexing import Recorded
from .._core.tape import state_second
from ..lang import expr as ex
from ..lang import types as ty
from ._format import keeping
from ._outputs import elementwise
from ._refusals import NO_ARITHMETIC, check, refuse  # noqa: F401

planned = core.Plan
"""Decorates a function whose results (index tensors, weights, geometry) follow from its hashable arguments: they are remembered."""

registry = {}
"""Every public operator by its name: the only list there is. Faces, stubs, docs and tests are made from it."""

operand = "operand"
constant = "constant"
follows = "follows"
integer, integers = "integer", "integers"
row, row_i64 = "row", "row_i64"
b1, i64 = "b1", "i64"

TENSOR, NUMBER, ATTRIBUTE, BAKED = range(4)
WIDE = NUMBER  # of an operator with reductions, which counts no numbers


class Entry:
    """What the registry knows of an operator besides the callable.

    where: the faces it appears on, out of 'function' (``torch.f``), 'function_' (``torch.f_``), 'method' (``Tensor.f``), 'inplace'
    (``Tensor.f_``), 'functional' (``nn.functional.f``), 'special', 'linalg', 'fft'.
    method: what is ``Tensor.f``: the operator too, or its `twin`.
    """

    __slots__ = ("aliases", "family", "method", "module", "name", "operator", "options", "where")

    def __init__(self, operator, family, name, where, module, aliases, options):
        self.operator, self.family, self.name, self.where, self.module = operator, family, name, where, module
        self.method = operator
        self.aliases, self.options = aliases, options


def _camel(name):
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _signature(function, name):
    """The parameters of a definition."""
    code = function.__code__
    n, k = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames[: n + k]
    defaults = [core.Signature.required] * n
    if function.__defaults__:
        defaults[-len(function.__defaults__) :] = function.__defaults__
    keyword = function.__kwdefaults__ or {}
    defaults += [keyword.get(p, core.Signature.required) for p in names[n:]]
    kinds = function.__annotations__
    numbers = [p for p, d in zip(names, defaults) if type(d) is int or kinds.get(p) in (integer, integers)]
    return core.Signature(name, names, n, tuple(defaults), numbers)


def _face(where, inplace):
    where = tuple(where.split())
    return where + ("inplace",) if inplace and "method" in where else where


def state_out(name, rule):
    """Tells the core what out= of an operator must be, and who writes it."""
    if rule.kind is not None:
        core.output_rules[name] = rule.kind, rule.texts
    if rule.writer is not None:
        core.output_writers[name] = rule.writer


def _register(op, family, name, where, function, aliases=(), out=None, **options):
    function.__qualname__ = name  # by which Python's errors about arguments call it
    if out is not None:
        state_out(name, out)
    registry[name] = Entry(op, family, name, where, function.__module__, tuple(aliases), options)
    return op


def _decorator(make, function, options):
    return make(function, **options) if function is not None else lambda f: make(f, **options)


# -- pointwise and rowwise --


def pointwise(function=None, **options):
    """Defines a pointwise operator.

    floating: integer operands are promoted to the default dtype; result: the gradient may read the result (PyTorch saves it);
    where: the faces; inplace: also ``name_``; label: the node's name if not the operator's; aliases: more names;
    overloads: where PyTorch has an operator for each kind of operands, those in the order in which it numbers their nodes ("TN TT"): T is a
    tensor that it counts among a node's inputs, N a number, - an operand without gradient; integers: a function that is called with
    the second operand, the dtype and whether the result has elements, where integers are computed with, and may refuse it; bools: one that
    is called with all operands where one of them is bool, and may refuse them; mixed: one that is called with them where their tensors have
    several dtypes; silent: the names of operands in whose place a number takes no part in promotion; gradient=False: results never have
    one; None: nor takes the tape notice of the in-place form; "real": complex results have none; compares: complex numbers of half width
    are compared as wider ones; held: the dtype computed in must hold the numbers in operands' places: 'but halves', which may become
    infinite, 'always', or 'last', the last one in integers and half-width floats; common: numbers in the last operand's place that are
    constants of a trace, since they make the expression simpler; fits: names of numbers that an element of the dtype must be able to hold;
    leads: the position of the operand after which results lie, before the others; numbers: the names of the operands in whose place a
    number may stand, if not in that of any but all (then one must be a tensor), or True: all may be numbers, which give a 0-dim tensor;
    fills: in place it writes its last operand's one value, to an expanded target too, with a warning; float8: it takes 8-bit floats as
    well, computed in float32 and rounded; row_major: results are row-major, however the operands lie;
    absent: for parameters that may be None, the function of the dtype that tells what that stands for; out: what out= must be
    (_outputs.py), if results are not converted; second: see :func:`library`; dtypes: 'any', 'real' (no complex), 'number' (no bool), 'real
    number' (neither), 'integral' (bool and integers), 'float' (floating only), 'inexact' (floating or complex): others are refused.
    """
    return _decorator(_pointwise, function, options)


def _pointwise(function, *, name=None, floating=False, result=False, where="function method", inplace=True, label=None, aliases=(),
               dtypes="any", integers=None, bools=None, mixed=None, held=None, overloads=None, common=None, absent=None, fits="", silent="",
               leads=0, numbers=None, fills=False, float8=False, row_major=False, gradient=True, compares=False, out=None,
               second=None):  # fmt: skip
    name = name or function.__name__
    signature = _signature(function, name)
    kinds = [function.__annotations__.get(p) for p in signature.names]
    is_operand = tuple(d is core.Signature.required or k not in (None, constant) for d, k in zip(signature.defaults, kinds))
    fixed = _fixed(kinds)
    op = core.Pointwise(function, signature, is_operand, fixed, floating, (label or _camel(name)) + "Backward0")
    op.result, op.dtypes, op.stated, op.integers, op.bools, op.absent = result, dtypes, None, integers, bools, absent or {}
    op.mixed, op.silent = mixed, sum(1 << i for i, p in enumerate(signature.names) if p in silent.split())
    op.ruled = None if out is None else out.numbers
    op.held = (None, "but halves", "always", "last").index(held)
    op.gradient = lambda g: setattr(op, "stated", g) or op
    op.overloads, op.common, op.row_major = overloads and tuple(overloads.split()), common and frozenset(common), row_major
    op.fits, op.leads, op.numbers, op.fills = frozenset(fits.split()), leads, numbers is True, fills
    op.float8, op.compares, op.differentiable, op.unrecorded = float8, compares, bool(gradient), gradient is None
    op.real_gradient = gradient == "real"
    if isinstance(numbers, str):
        op.tensors = sum(1 << i for i, p in enumerate(signature.names) if is_operand[i] and p not in numbers.split())
    state_second(op.label, second)
    if inplace:
        op.inplace = core.InPlace(op, name + "_")
    return _register(op, "pointwise", name, _face(where, inplace), function, aliases, out, result=result, dtypes=dtypes)


def _fixed(kinds):
    """The core's code for each annotation: a dtype code, -2 for a constant, -1 for none."""
    return tuple({constant: -2, follows: -3}.get(k, ty.CODES.get(k, -1)) for k in kinds)


def rowwise(function=None, **options):
    """Defines a rowwise operator: an expression with reductions. Parameters named dim, keepdim, dtype (or normalized_shape) choose
    the reduced dims.

    floating, result, where, label, aliases, dtypes, overloads, gradient, out, second: as for :func:`pointwise`; widen: integers are
    accumulated and returned as int64; identity=False: an empty dim can't be reduced (max, min); keeps_format: full results of a
    channels-last input are channels-last; statistics: results over the kept dims are float32 for half-width operands, as they are computed.
    """
    return _decorator(_rowwise, function, options)


_SPACE = ("dim", "keepdim", "dtype", "normalized_shape")


def _rowwise(function, *, name=None, floating=False, result=False, where="function method", label=None, aliases=(),
             dtypes="any", widen=False, signature_of=None, identity=True, keeps_format=False, overloads=None, statistics=False,
             gradient=True, out=None, second=None):  # fmt: skip
    name = name or function.__name__
    signature = _signature(signature_of or function, name)
    kinds = [(signature_of or function).__annotations__.get(p) for p in signature.names]
    is_operand = tuple(p not in _SPACE and (d is core.Signature.required or k not in (None, constant))
                       for p, d, k in zip(signature.names, signature.defaults, kinds))  # fmt: skip
    op = core.Rowwise(function, signature, is_operand, _fixed(kinds), floating, (label or _camel(name)) + "Backward0", widen)
    op.result, op.dtypes, op.stated, op.kinds, op.no_identity = result, dtypes, None, kinds, not identity
    state_second(op.label, second)
    op.differentiable = gradient
    op.keeps_format, op.overloads, op.statistics = keeps_format, overloads and tuple(overloads.split()), statistics
    op.gradient = lambda g: setattr(op, "stated", g) or op
    return _register(op, "rowwise", name, _face(where, False), function, aliases, out, result=result, dtypes=dtypes)


# -- library and composite --


def library(function=None, **options):
    """Defines an operator computed by a Python function with a stated backward (``@op.backward_of`` below it), or none.

    differentiable: names of the tensor parameters (or lists of tensors) that get gradients, in the order in which backward returns them;
    inplace: also ``name_``; out: as for :func:`pointwise`; keeps_format: results of channels-last operands are channels-last, forward and
    backward. The parameters of the backward function say what is saved; see ``Library``.
    recorded: the definition consists of views, new memory and loops (``_windows.run``) that follow from its arguments' geometry; it
    runs once for each geometry, and its loops are replayed, see ``indexing.Recorded``.
    second: 'zeros' or 'nothing', which is what PyTorch has for the second derivative with respect to an operand where the first, in which
    no number depends on it (pooling is linear by pieces), is recorded as though it did.
    batch: what vmap may do instead of a loop. 'elements': operands are aligned as for a pointwise operator; 'leading': every tensor may
    have more leading dims, the same for all; 'along': so may they, and the parameters named dim or dims count them; 'fold': the first
    tensor's first dim is one of samples, which may be more of them.
    """
    return _decorator(_library, function, options)


def _library(
    function, *, name=None, differentiable="", where="function method", inplace=False, label=None, aliases=(), keeps_format=False,
    batch=None, recorded=False, out=None, second=None,
):
    name = name or function.__name__
    forward, label = Recorded(function) if recorded else function, (label or _camel(name)) + "Backward0"
    op = core.Library(forward, _signature(function, name), label, tuple(differentiable.split()))
    state_second(label, second)

    def backward_of(backward):
        op.backward, op.wanted = backward, backward.__code__.co_varnames[: backward.__code__.co_argcount]
        if keeps_format:
            op.backward = keeping(backward)
        return op

    op.backward_of, op.batch, op.keeps_format, op.memory = backward_of, batch, keeps_format, {"elements": elementwise}.get(batch)
    if inplace:
        op.inplace = _inplace_of(op, name)
    return _register(op, "library", name, _face(where, inplace), function, aliases, out)


def taped_as(op, node, forward, backward):
    """What a quick call of ``op`` leaves on the tape: a node like that of ``node``, its backward stated with the parameters of ``op``."""
    taped = core.Library(forward, op.signature, node.label, node.differentiable)
    taped.backward, taped.wanted = backward, backward.__code__.co_varnames[: backward.__code__.co_argcount]
    return taped


def composite(function=None, **options):
    """Defines an operator as a composition of others: the tape records what it calls. out: as for :func:`pointwise`; memory: `sharing`;
    gradient=False: results never have one; apart: the method is another object, a `twin`, for classes that are asked about calls and tell
    the two apart, as they can in PyTorch."""
    return _decorator(_composite, function, options)


def _composite(function, *, name=None, where="function method", inplace=False, aliases=(), out=None, memory=None, apart=False,
               gradient=True):  # fmt: skip
    name = name or function.__name__
    op = _composition(function, name, memory)
    op.composed = gradient
    if inplace:
        op.inplace = _inplace_of(op, name)
    _register(op, "composite", name, _face(where, inplace), function, aliases, out)
    if apart:
        registry[name].method = twin(op)
    return op


def _composition(function, name, memory=None):
    signature = core.Signature(name, (), 0, ()) if function.__code__.co_flags & 0x04 else _signature(function, name)
    op = core.Library(function, signature, _camel(name) + "Backward0")
    op.composed, op.memory = True, memory
    return op


def twin(op, function=None):
    """Another operator with the definition of the composition ``op``, or one of its own, which recorded graphs or classes that are asked
    tell from it: ``nn.functional``'s softmax, ``Tensor.unbind``."""
    return _composition(function or op.forward, op.__name__)


def visible(function=None, **options):
    """Makes a function of ``nn.functional`` a composition that interpreters and classes are asked about before they see its parts:
    autocast, which knows losses and convolutions by name and casts what they are given; function modes; subclasses of Tensor. It is not
    registered.

    name: what they see; keeps_format, out: as for :func:`library`.
    """
    return _decorator(_visible, function, options)


def _visible(function, *, name=None, keeps_format=False, out=None):
    op = _composition(function, name or function.__name__)
    if out is not None:
        state_out(op.__name__, out)
    op.batch, op.keeps_format = "written", keeps_format
    for attribute in ("__module__", "__qualname__"):
        setattr(op, attribute, getattr(function, attribute))
    op.__wrapped__ = function
    return op


def compiled_in(module):
    """Says that PyTorch has this function of ``nn.functional`` in a compiled module, while its neighbours are Python: who is asked about a
    call sees its arguments as given, and recorded graphs call it by that path.
    """

    def mark(function):
        function.compiled_in = module
        return function

    return mark


def _inplace_of(op, name):
    def inplace(input, *args, **kwargs):
        try:
            result = op(input, *args, **kwargs)
        except (RuntimeError, IndexError):
            core.refuse_leaf(input)
            raise
        return core.write_inplace(input, result, (*args, *kwargs.values()) if op.memory else ())

    inplace.__name__ = name + "_"
    inplace.__doc__ = f"In-place version of :func:`{name}`: overwrites the tensor and returns it."
    return core.Library(inplace, op.signature.of(name + "_"), "")


# -- tracing --

def trace(op, pattern, baked, code):
    """Runs a definition on symbolic elements; the Program (RowProgram) for these operands. Called by the core when one is missing."""
    if isinstance(op, core.Rowwise):
        return _trace_rows(op, pattern, baked, *code)
    type = ty.NAMES[code] if code >= 0 else "b1"
    check(op, type, "".join("TN"[kind] for kind in pattern if kind in (TENSOR, NUMBER)))
    compute = _computed_in(type)
    args, in_types = [], []
    for i, (name, kind, default, fixed) in enumerate(zip(op.signature.names, pattern, op.signature.defaults, op.fixed)):
        if kind == BAKED:
            value = baked.get(i, default)
            args.append(op.absent[name](type) if value is None and name in op.absent else value)
            continue
        own = ty.NAMES[fixed] if fixed >= 0 else type
        in_types.append(own if kind == TENSOR else _computed_in(own))
        if i in baked:
            args.append(ex.const(baked[i], _computed_in(own)))
        else:
            given = ex.input(len(in_types) - 1, ty.opmath(in_types[-1]))
            args.append(ex.cast(given, compute) if own in ty.FLOAT8 else given)
    outputs = _call(op, compute if type in ty.FLOAT8 else type, args)
    if type in ty.FLOAT8:
        outputs = tuple(ex.cast(e, type) if e.type == compute else e for e in outputs)
    program = core.Program(op.__name__, outputs, tuple(ty.CODES[_stored(e.type, type, compute)] for e in outputs),
                           tuple(ty.CODES[t] for t in in_types), op.result, op)  # fmt: skip
    program.row_major, program.leads, program.real_gradient = op.row_major, op.leads, op.real_gradient
    return _described(program, op, pattern, baked)


def _described(program, op, pattern, baked):
    """The program, told what PyTorch shows of the nodes that its calls leave: their name, and the inputs that it counts."""
    program.label, program.names, program.constants = op.label, (), {}
    given, operands = "", []
    for i, (name, kind, tensor, fixed) in enumerate(zip(op.signature.names, pattern, op.operand, op.fixed)):
        if tensor:
            given += {TENSOR: "T", NUMBER: "N", ATTRIBUTE: "N"}.get(kind, " ")
            operands.append((len(program.names) if kind != BAKED else -1, fixed in (-1, -3)))
        if name in _SPACE:
            continue
        if kind != BAKED:
            program.names += (name,)
        if i in baked or (kind == BAKED and not tensor):
            program.constants[name] = baked.get(i, op.signature.defaults[i])
    letters = given.replace("N", "T").replace(" ", "-")
    for number, kinds in enumerate(op.overloads or ()):
        if all(a in (b, " ") or b == "-" for a, b in zip(given, kinds)):
            program.label, letters = f"{op.label[:-1]}{number}", kinds
            break
    program.listed = tuple(i for (i, moves), letter in zip(operands, letters) if moves and letter == "T")
    return program


def _evaluated(op, type, *args, **kwargs):
    """What the definition makes of symbolic arguments of a type; what has no meaning in it is refused."""
    try:
        return op.definition(*args, **kwargs)
    except ex.TypeMismatch as mismatch:
        refuse(op, op.__name__, type, mismatch)


def _call(op, type, args):
    """The definition's expressions, as a tuple."""
    n = op.signature.n_positional
    out = _evaluated(op, type, *args[:n], **dict(zip(op.signature.names[n:], args[n:])))
    out = out if isinstance(out, tuple) else (out,)
    first = next(a for a in args if isinstance(a, ex.Expr))
    return tuple(e if isinstance(e, ex.Expr) else ex.const(e, first.type) for e in out)


def _computed_in(type):
    return "f32" if type in ty.FLOAT8 else ty.opmath(type)


def _stored(result, type, compute):
    """The dtype a result is stored in: half-width floats are computed in f32."""
    return type if result == compute else result


def _trace_rows(op, pattern, baked, source, code, asked=None):
    """pattern: WIDE for tensors that are float32 beside a first operand of half width; asked: the dtype= given, or out='s."""
    wide = [kind == WIDE for kind in pattern]
    pattern = [TENSOR if kind == WIDE else kind for kind in pattern]
    source, type = ty.NAMES[source], ty.NAMES[code]
    check(op, type)
    compute = _computed_in(type)
    args, in_types, rows = [], [], []
    for i, (name, kind, default) in enumerate(zip(op.signature.names, pattern, op.signature.defaults)):
        if name in _SPACE:
            continue
        if kind == BAKED:
            args.append((name, baked.get(i, default)))
            continue
        own = op.kinds[i]
        if own in (row, row_i64) or kind != TENSOR:  # a number is the same for all: what follows from it and rows is computed once
            rows.append(len(in_types))
        given = source if not in_types else compute if wide[i] else type
        in_types.append("i64" if own == row_i64 else given if kind == TENSOR else compute)
        leaf = ex.input(len(in_types) - 1, ty.opmath(in_types[-1]))
        args.append((name, leaf if own == row_i64 else ex.cast(leaf, compute)))
    given = {"dtype": asked if source != type else None}
    out = _evaluated(op, type, **dict(args), **{k: given.get(k) for k in op.signature.names if k in _SPACE})
    outputs = out if isinstance(out, tuple) else (out,)
    codes = tuple(ty.CODES[_stored(e.type, type, compute)] for e in outputs)
    if op.statistics:
        full = ex.full_nodes(outputs, rows)
        codes = tuple(c if e in full else ty.CODES[e.type] for c, e in zip(codes, outputs))
    program = _row_program(op.__name__, outputs, codes, tuple(ty.CODES[t] for t in in_types), tuple(rows), op.result, op)
    return _described(program, op, pattern, baked)


def _row_program(name, outputs, out_codes, in_codes, rows, keep_result, info):
    full = ex.full_nodes(outputs, rows)
    levels = tuple(e in full for e in outputs) + tuple(i not in rows for i in range(len(in_codes)))
    nodes = ex.topological(outputs)
    ordered = any(n.op == "position" or (n.op == "reduce" and n.attr in ("argmax", "argmin")) for n in nodes)
    split = not any(levels[: len(outputs)]) and not any(_nested(n) for n in nodes)
    program = core.RowProgram(name, outputs, out_codes, in_codes, levels, ordered, split, keep_result, (info, rows))
    program.flat = not any(n.op == "reduce" for n in nodes)
    program.keeps_format = getattr(info, "keeps_format", False)
    return program


def _nested(node):
    """Is this a reduction over something that holds another reduction?"""
    return node.op == "reduce" and any(n.op == "reduce" for n in ex.topological(node.args))


def partial_types(program):
    """The dtype codes of what passes between the two stages of a split reduction."""
    from ..codegen import cpu

    outputs = tuple((e, ty.NAMES[c]) for e, c in zip(_simplified(program), program.out_codes))
    return tuple(ty.CODES[t] for t in cpu.partial_types(outputs))


# -- kernels --


def compile_kernel(program, letters, stream, long):
    """The address of a kernel of a pointwise program; long: for rows worth several vectors at a time."""
    from ..codegen import cpu
    from ..lang.cost import interleaves

    roots = _simplified(program)
    outputs = tuple((e, ty.NAMES[c]) for e, c in zip(roots, program.out_codes))
    inputs = tuple(ty.NAMES[c] for c in program.in_codes)
    return cpu.pointwise(outputs, inputs, letters, stream, long and interleaves(roots), name=program.name)


def compile_row_kernel(program, letters, mode, stage, stream, fetch):
    """The address of a kernel of a rowwise program."""
    from ..codegen import cpu

    # Simplification may leave a FULL output that no longer varies; it is still written over the whole space.
    summed = program.summed or (False,) * len(program.out_codes)
    outputs = tuple(
        (e, ty.NAMES[c], "sum") if add else (e, ty.NAMES[c], "full") if full else (e, ty.NAMES[c])
        for e, c, full, add in zip(_simplified(program), program.out_codes, program.full, summed)
    )
    rows = program.info[1]
    inputs = tuple(ty.NAMES[c] for c in program.in_codes)
    return cpu.rowwise(outputs, inputs, mode, letters, stage, rows=rows, stream=stream, fetch=fetch, name=program.name)


def _simplified(program):
    from ..lang.cost import cost
    from ..lang.simplify import simplify

    program.work = cost(program.outputs)
    return simplify(program.outputs, program.info[1] if isinstance(program, core.RowProgram) else ())


# -- gradients --


def differentiate(program, mask):
    """The Gradient of a program with respect to the operands in mask."""
    from ..lang import derive
    from ._labels import gradient_label, saving_order

    wrt = [i for i in range(len(program.in_codes)) if mask >> i & 1]
    is_rows = isinstance(program, core.RowProgram)
    info, rows = program.info if is_rows else (program.info, ())
    stated = getattr(info, "stated", None)
    if stated:
        g = _stated(info, program, wrt)
    else:
        g = derive.gradient(list(program.outputs), len(program.in_codes), wrt, program.keep_result, rows)
    operands = [("grad", i) for i in g.grads] + [("input", i) for i in g.saved_inputs] + [("result", i) for i in g.saved_results]
    codes = {"grad": program.out_codes, "input": program.in_codes, "result": program.out_codes}
    in_codes = tuple(codes[kind][i] for kind, i in operands)
    exprs, results = [], []
    for position, e in zip(wrt, g.exprs):
        if e is None:
            results.append(-1)
        elif e.op == "input" and operands[e.attr][0] == "grad" and e.type == ty.opmath(ty.NAMES[program.in_codes[position]]):
            results.append(-2 - operands[e.attr][1])
        else:
            results.append(len(exprs))
            exprs.append((e, program.in_codes[position]))
    if not exprs:
        return core.Gradient(None, (), tuple(results))
    outputs = tuple(e for e, _ in exprs)
    out_codes = tuple(c if ty.opmath(ty.NAMES[c]) == e.type else ty.CODES[e.type] for e, c in exprs)
    name = program.name + ("_backward" if not program.name.endswith("backward") else "")
    if len(out_codes) + len(in_codes) > core.OPERAND_LIMIT:
        from . import _eager

        types = [ty.NAMES[c] for c in out_codes]
        if is_rows:
            wide = [program.full[len(program.out_codes) + i] for i, r in zip(wrt, results) if r >= 0]
            run = _eager.row_evaluator(list(outputs), types, g.rows, wide)
        else:
            run = _eager.evaluator(list(outputs), types)
        return core.Gradient(None, tuple(operands), tuple(results), run)
    if is_rows:
        backward = _row_program(name, outputs, out_codes, in_codes, g.rows, False, None)
        backward.keeps_format = program.keeps_format
    else:
        backward = core.Program(name, outputs, out_codes, in_codes)
    backward.label = gradient_label(program, outputs[0])
    return core.Gradient(backward, tuple(operands), tuple(results), saving=saving_order(operands, program.names))


def _stated(op, program, wrt):
    """A definition's own gradient: ``op.stated(grad, result=..., <operand>=...)`` returns an expression for each operand, or a dict by
    name."""
    from ..lang import derive, simplify

    wanted = op.stated.__code__.co_varnames[: op.stated.__code__.co_argcount]
    names = [n for n in op.signature.names if n not in _SPACE]
    leaves, order = {}, []
    for name in wanted:
        if name == "grad":
            kind, index, type = "grad", 0, program.outputs[0].type
        elif name == "result":
            kind, index, type = "result", 0, program.outputs[0].type
        else:
            index = names.index(name)
            kind, type = "input", ty.opmath(ty.NAMES[program.in_codes[index]])
        leaves[name] = ex.input(len(order), type)
        order.append((kind, index))
    given = op.stated(**leaves)
    if not isinstance(given, dict):
        given = dict(zip(names, given if isinstance(given, tuple) else (given,)))
    exprs = [given.get(names[i]) for i in wrt]
    present = simplify.simplify([e for e in exprs if e is not None])
    it = iter(present)
    exprs = [None if e is None else next(it) for e in exprs]
    used = ex.inputs_of([e for e in exprs if e is not None])
    rank = {"grad": 0, "input": 1, "result": 2}
    used.sort(key=lambda i: (rank[order[i][0]], order[i][1]))
    renumber = {ex.input(i, leaves[wanted[i]].type): ex.input(n, leaves[wanted[i]].type) for n, i in enumerate(used)}
    final = iter(ex.substitute(present, renumber))
    pick = lambda kind: tuple(order[i][1] for i in used if order[i][0] == kind)  # noqa: E731
    return derive.Gradient(exprs=[None if e is None else next(final) for e in exprs], saved_inputs=pick("input"),
                           saved_results=pick("result"), grads=pick("grad"), rows=())  # fmt: skip


core.set_compiler(trace, compile_kernel, differentiate)
core.set_row_compiler(compile_row_kernel)
callbacks.register(partial_types=partial_types)
callbacks.defer(
    **{name: f"rushlight.ops._copying:{name}" for name in ("copy_program", "transpose_kernel", "reverse_kernel")},
    row_levels="rushlight.ops._levels:row_levels", kept_rows="rushlight.ops._row_gradients:kept_rows",
    summed_gradient="rushlight.ops._row_gradients:summed_gradient", blame="rushlight.ops._blame:blame",
)  # fmt: skip
