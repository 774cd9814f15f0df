"""What the operators that read and write through indices are made of: kernels at byte offsets, and the decorator of
in-place writes.

A read or write is a loop over operands of one shape: the source (or target), which stands still along the indexed dims (stride 0), the
offsets of the indices, which stand still along the others, and the result (or the values).
"""

from .._core import indexing as core
from .._core import operator as _operator
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from ._define import _camel, _face, _register, _signature, refuse
from ._outputs import sharing

# -- kernels --

MOVED_AS = {8: "u8", 16: "i16", 32: "i32", 64: "i64", 128: "c128"}  # moving an element needs its width only
_COMBINE = {"mul": lambda a, b: a * b, "max": fn.maximum, "min": fn.minimum, "or": lambda a, b: a | b}


KINDS = {}
"""Kinds of kernels that other files run in the core's loops: name -> a function of the dtype, see :func:`describe`."""


def describe(kind, code):
    """A kernel for elements of a dtype, as (outputs, inputs, name): what a code generator asks for.

    'load': out = source[offset]; others combine target[offset] with a value. 'load at', 'set at', 'add at': of a vector, at an index.
    """
    type = ty.NAMES[code]
    try:
        if kind in KINDS:
            return KINDS[kind](type)
        return _describe_indexed(kind, type)
    except ex.TypeMismatch as mismatch:
        refuse(describe, kind.split("(")[0].strip("_"), type, mismatch)


def _describe_indexed(kind, type):
    kind, at = kind.removesuffix(" at"), ex.input(1, "i64") * (ty.BITS[type] // 8 if kind.endswith(" at") else 1)
    if kind == "load":
        bits = MOVED_AS[ty.BITS[type]]
        return ((ex.make("load", (at,), bits, 0), bits),), (bits, "i64"), "gather"
    if kind == "set":
        bits = MOVED_AS[ty.BITS[type]]
        return ((ex.input(0, bits), bits, "set", at),), (bits, "i64"), "scatter"
    compute = ty.opmath(type)
    if kind == "add" and type in ty.FLOAT8:
        raise ex.TypeMismatch(f"add is not defined for {type}")
    if kind == "add":
        return ((ex.input(0, compute), type, "add", at),), (type, "i64"), "scatter_add"
    offset = ex.input(2, "i64")
    value = _COMBINE[kind](ex.make("load", (offset,), compute, 0), ex.input(1, compute))
    return ((value, type, "set", offset),), (type, type, "i64"), f"scatter_{kind}"


def _compile(kind, code, letters):
    """For the core: the address of a kernel."""
    from ..codegen import cpu

    if letters == core.TURNED:
        return cpu.transpose(ty.BITS[ty.NAMES[code]])
    if kind == core.PLACING:
        return placing(ty.NAMES[code], letters == "places")
    outputs, inputs, name = describe(kind, code)
    return cpu.pointwise(outputs, inputs, letters, name=name)


def placing(type, written):
    """The address of a rowwise kernel over indices: a number that is negative if one of them lies outside low <= i < size and, where they
    are to be written, the byte offsets ``i * step``; a negative i counts from the end. Operands: these results, indices, low, size, step.
    """
    from ..codegen import cpu

    index = fn.cast(ex.input(0, type), "i64")
    low, size, step = (ex.input(k, "i64") for k in (1, 2, 3))
    fault = fn.min((index - low) | (size - 1 - index))
    place = fn.where(fn.lt(index, 0), index + size, index) * step
    outputs = ((fault, "i64"), (place, "i64"))[: 1 + written]
    letters = ("sc" if written else "s") + "csss"
    return cpu.rowwise(outputs, (type, "i64", "i64", "i64"), "row", letters, rows=(1, 2, 3), name="placing")


def _outputs(kind, code):
    """For the core: how many operands a kernel writes."""
    return len(describe(kind, code)[0])


core.set_compiler(_compile, _outputs)


read = core.read


def write(kind, target, values, offsets):
    """Combines ``target``'s elements at ``offsets`` with ``values`` (views of one shape): 'set', 'add', 'mul', 'max', 'min', 'or'."""
    if kind == "set" or kind == "add":
        core.run_ordered(kind, False, target, values, offsets)
    else:
        core.run_ordered(kind, True, target, target, values, offsets)


# -- operators that write --


def writing(**options):
    """Defines an operator by its in-place form: the function overwrites its first parameter.

    From it come ``name_`` and, on a copy, ``name``. differentiable: names of the tensor parameters that get gradients, the first among
    them; ``@op.backward_of`` gives the function that returns one for each, as for ``library``; it may also ask for ``original``, the first
    parameter's value before the write. keeps_order: the copy lies as the first parameter does, else it is row-major. batch, out: as for
    ``library``. aligned: the operands that may be the first one's very elements, if not none may share memory with it; fills: the first one
    may be expanded.
    """
    return lambda function: _writing(function, **options)


def _writing(function, *, differentiable, name=None, where="function method", label=None, batch=None, keeps_order=False, out=None,
             aligned=None, fills=False):  # fmt: skip
    name = name or function.__name__
    signature = _signature(function, name)
    label = (label or _camel(name)) + "Backward0"
    places = tuple(signature.names.index(n) for n in differentiable.split())
    op = _operator.Writing(function, signature, label, places, True)
    op.keeps_order = keeps_order
    op.inplace = _operator.Writing(function, signature.of(name + "_"), label, places, False)
    op.inplace.__doc__ = f"In-place version of :func:`{name}`: overwrites the tensor and returns it."
    op.batch = op.inplace.batch = batch
    op.memory = op.inplace.memory = sharing(apart="" if aligned is not None else "*", aligned="input " + (aligned or ""))
    op.inplace.fills = fills

    def backward_of(backward):
        wanted = backward.__code__.co_varnames[: backward.__code__.co_argcount]
        for form in (op, op.inplace):
            form.gradient, form.wanted = backward, wanted
        return op

    op.backward_of = op.inplace.backward_of = backward_of
    return _register(op, "library", name, _face(where, "method" in where), function, out=out)
