"""Native kernels for the CPU: the public entries. docs/internals.md ("Kernels") states what each computes and its signature."""

from . import cache, drafts, llvm
from .outputs import Output, described, lowered_outputs

_addresses = {}  # entry name -> address; kernels stay loaded


def pointwise(outputs, inputs, layout, stream=False, interleaved=False, name="pointwise"):
    """The address of the kernel that computes ``outputs`` element by element.

    outputs: tuple of ``(Expr, store type)``; also ``(Expr, store type, kind)`` or ``(Expr, store type, kind, offset)``
        with kind "set" or "add" (to what is there, in the order of the elements) and an i64 expression of a byte
        offset; of kind "segment", the only output is sums of segments of rows (segments.py).
    inputs: tuple of load types. layout: ``c``, ``s`` or ``v`` for each operand, outputs first.
    stream: write with non-temporal stores. interleaved: compute several vectors side by side, for long rows. name: the operator's, for
        profilers and debug output.
    """
    outputs = [Output(*o) for o in outputs]

    def write(symbol):
        from .halves import unrounded
        from .pointwise import Pointwise
        from .segments import Segments

        stored = [(unrounded(value, type, inputs) if kind == "set" else value, type, kind, offset)
                  for value, type, kind, offset in lowered_outputs(outputs)]  # fmt: skip
        nest = Segments if outputs[0].kind == "segment" else Pointwise
        return nest(stored, inputs, layout, stream, interleaved).write(symbol)

    return _kernel("pointwise", name, described(outputs), (tuple(inputs), layout, bool(stream), bool(interleaved)), write)


def rowwise(outputs, inputs, mode, layout, stage="whole", rows=(), stream=False, fetch=False, name="rowwise"):
    """The address of the kernel that computes ``outputs``, expressions with reductions.

    outputs: tuple of ``(Expr, store type)``, or ``(Expr, store type, "full")`` for a ROW expression that is to be
        written over the whole space, or ``(Expr, store type, "sum")`` for a float that is added, over the whole space, to
        memory of a smaller shape (strides of 0).
    inputs: tuple of load types; rows: the positions of those that have the kept dims only.
    mode: 'row' or 'column'; layout: a letter for each operand, for the vectorised axis.
    stage: 'whole', or 'partial' and 'finish' with operands of the types :func:`partial_types` between them.
    stream: write FULL outputs with non-temporal stores. fetch: while a row is written, fetch the next one's elements ('row' alone).
    """
    outputs = [tuple(o) for o in outputs]

    def write(symbol):
        from .lower import lowered
        from .reduction import partial_slots
        from .short_lines import MODES

        roots = [o[0] for o in outputs]
        values = lowered(roots, stage, len(inputs))
        stored = [(v, v.type) for v in values] if stage == "partial" else [(v, *o[1:]) for v, o in zip(values, outputs, strict=True)]
        types = tuple(inputs) + (partial_slots(roots) if stage == "finish" else ())
        return MODES[mode](stored, types, layout, stage, frozenset(rows), stream=stream, fetch=fetch).write(symbol)

    graph = cache.serialised([o[0] for o in outputs]), tuple(o[1:] for o in outputs)
    return _kernel("rowwise", name, graph, (tuple(inputs), mode, layout, stage, tuple(rows), bool(stream), bool(fetch)), write)


def partial_types(outputs):
    """The element types of the partial results between the stages 'partial' and 'finish' of a rowwise kernel."""
    from .reduction import partial_slots

    return partial_slots([o[0] for o in outputs])


def transpose(bits, name="transpose"):
    """The address of the kernel that copies a matrix of ``bits``-bit elements (8, 16, 32, 64 or 128) to its transpose.

    It is called as a pointwise kernel of one output and one input, where the output has unit stride along the inner dim
    and the input along the outer one.
    """

    def write(symbol):
        from .transpose import Transpose

        return Transpose(bits).write(symbol)

    return _kernel("transpose", name, bits, (), write)


def reverse(bits, name="reverse"):
    """The address of the kernel that copies rows of ``bits``-bit elements (8, 16, 32, 64 or 128) backwards.

    It is called as a pointwise kernel of one output and one input, where the output has unit stride along the inner dim
    and the input minus that.
    """

    def write(symbol):
        from .reverse import Reverse

        return Reverse(bits).write(symbol)

    return _kernel("reverse", name, bits, (), write)


def _kernel(family, name, outputs, flags, write):
    """The address of a kernel: loaded already, or from the disk cache, or from ``write(symbol) -> LLVM text``."""
    label = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    symbol = f"rushlight_{label}" if name == family else f"rushlight_{family}_{label}"
    entry = cache.key(symbol, outputs, flags)
    with llvm.lock:
        address = _addresses.get(entry)
        if address is None:
            address = _addresses[entry] = _from_disk(entry, symbol) or _compiled(entry, symbol, write)
        return address


def _from_disk(entry, symbol):
    code = cache.folder().read(entry)
    if code is not None:
        return llvm.load(code, symbol)
    return drafts.from_disk(entry, symbol) if drafts.enabled() else None


def _compiled(entry, symbol, write):
    text = write(symbol)
    if drafts.enabled():
        return drafts.compiled(entry, symbol, text)
    code = llvm.compile(text, symbol)
    cache.folder().write(entry, code)
    return llvm.load(code, symbol)
