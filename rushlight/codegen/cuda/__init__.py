"""CUDA C from the same expressions as the CPU's kernels: docs/internals.md ("CUDA kernels") states records and parameters.

=============  ====================================================================================
``kernel``     what the entries below return; grids; fault codes
``scalar``     one element's worth of an expression graph as C++ statements
``pointwise_kernel``  the source of a pointwise kernel; ``rowwise_kernel``, ``many_kernel`` likewise
``compile``    sources to what the driver loads: NVRTC, and the disk cache
=============  ====================================================================================

``prelude.cuh`` is in front of every translation unit, ``*.cu`` are kernels written by hand. Nothing here imports a CUDA
package before the first image is wanted.
"""

import hashlib

from ...lang.expr import full_nodes
from .. import cache
from ..outputs import Output, described, lowered_outputs
from .kernel import Kernel
from .scalar import OWN


def pointwise(outputs, inputs, layout, rank, wide, name="pointwise"):
    """The kernel that computes ``outputs`` element by element.

    outputs, inputs: as for :func:`rushlight.codegen.cpu.pointwise`; layout: ``c``, ``s``, ``v``, and ``n`` for an input
    given by value. rank: 0 for a flat kernel, else the exact number of dims. wide: indices and offsets of 64 bits.
    """
    from . import pointwise_kernel as family

    outputs, inputs = [Output(*o) for o in outputs], tuple(inputs)
    types = (*(o.type for o in outputs), *inputs)
    weight = len(described(outputs)[0][0])
    vector = family.vector_of(types, layout, weight)
    groups = family.groups_of(inputs, layout[len(outputs) :], vector, weight)
    symbol = _symbol(name, "pointwise", described(outputs), inputs, layout, rank, bool(wide and rank))

    def write():
        lowered = lowered_outputs(outputs, OWN)
        return family.Pointwise(lowered, inputs, layout, rank, wide, vector, groups).write(symbol)

    return Kernel(symbol, write, family.THREADS, vector=vector, step=vector * groups)


def many(outputs, inputs, tensors, name="many"):
    """The kernel that computes ``outputs`` of each of many lists of tensors, element by element: see :mod:`.many_kernel`.

    tensors: how many of the inputs are tensors, the others are numbers. ``Kernel.step`` is the elements of a block.
    """
    from . import many_kernel as family
    from .pointwise_kernel import groups_of, vector_of

    outputs, inputs = [Output(*o) for o in outputs], tuple(inputs)
    letters = "c" * (len(outputs) + tensors) + "n" * (len(inputs) - tensors)
    weight = len(described(outputs)[0][0])
    vector = vector_of((*(o.type for o in outputs), *inputs), letters, weight)
    groups = groups_of(inputs, letters[len(outputs) :], vector, weight)
    symbol = _symbol(name, "many", described(outputs), inputs, tensors)

    def write():
        return family.Many(lowered_outputs(outputs, OWN), inputs, tensors, vector, groups).write(symbol)

    return Kernel(symbol, write, family.THREADS, vector=vector, step=family.CHUNK)


def rowwise(outputs, inputs, mode, layout, kept, reduced, wide, stage="whole", rows=(), aligned=8, longest=0, name="rowwise"):
    """The kernel that computes ``outputs``, expressions with reductions.

    outputs, inputs, mode, stage, rows: as for :func:`rushlight.codegen.cpu.rowwise`; layout: also ``n``. kept, reduced:
    the exact numbers of dims of either kind. aligned: the most elements that an access may have, 0: one by one (docs/internals.md
    says when). longest: a power of two that the length of a row does not exceed; 0: any length.
    """
    from .rowwise_kernel import Plan, by_reciprocals
    from .rowwise_modes import MODES

    outputs, inputs = _levelled([tuple(o) for o in outputs], rows), tuple(inputs)
    graph = cache.serialised([o[0] for o in outputs])
    rows = frozenset(rows) | _standing(inputs, mode, layout, reduced, stage)
    family = MODES[mode]
    if any(op == "checked" for op, *_ in graph[0]):  # a check must not see what lies beyond a row, which kept packs compute as well
        longest = 0
    plan = Plan(family, outputs, inputs, layout, stage, rows, reduced, longest, aligned)
    flags = (inputs, mode, layout, kept, reduced, bool(wide), stage, sorted(rows), bool(aligned), plan.vector, plan.packs, plan.width)
    symbol = _symbol(name, "rowwise", graph, tuple(o[1:] for o in outputs), flags)

    def write():
        from ..lower import lowered
        from ..reduction import partial_slots

        roots = [o[0] for o in outputs]
        values = lowered(roots, stage, len(inputs), OWN)
        stored = [(v, v.type) for v in values] if stage == "partial" else [(v, *o[1:]) for v, o in zip(values, outputs, strict=True)]
        every = inputs + (partial_slots(roots) if stage == "finish" else ())
        stored = by_reciprocals(stored, every, layout, stage, rows)
        return family(stored, every, layout, kept, reduced, wide, stage, rows, aligned, plan).write(symbol)

    return Kernel(symbol, write, plan.threads, vector=plan.vector, held=plan.held, packs=plan.packs, width=plan.width, shared=plan.shared)


def _levelled(outputs, rows):
    """``outputs`` with "full" on all that vary over the reduced space."""
    full = full_nodes([o[0] for o in outputs], rows)
    return [(*o[:2], "full") if o[0] in full else o for o in outputs]


def _standing(inputs, mode, layout, reduced, stage):
    """The inputs that turn out to stand still along a row: numbers, and what has stride 0 along the only reduced dim."""
    letters = "n" if mode == "column" or reduced > 1 else "ns"
    first = len(layout) - len(inputs)
    return frozenset(i for i in range(len(inputs)) if layout[first + i] in letters) if stage != "finish" else frozenset()


def library(file, kernel, threads, shared=0, **defines):
    """A kernel written by hand: function ``kernel`` of the file ``file`` of this package.

    threads: of a block; shared: bytes of dynamic shared memory; defines: macros that the file sees. In the file, ``SYMBOL`` is
    the name that ``kernel`` stands for.
    """
    from .compile import prelude, read

    made_from = hashlib.sha256(repr((prelude(), read(file), sorted(defines.items()))).encode()).hexdigest()
    symbol = f"rushlight_{_label(kernel)}_{made_from[:16]}"
    macros = {"SYMBOL": symbol, **defines}

    def write():
        before = "".join(f"#define {name} {value}\n" for name, value in macros.items())
        after = "".join(f"#undef {name}\n" for name in macros)
        return f"namespace ns_{symbol} {{\n{before}{read(file)}{after}}}  // namespace ns_{symbol}\n"

    return Kernel(symbol, write, threads, shared=shared)


def _symbol(name, *parts):
    """A kernel's name: the operator's and the hash of everything it is made from."""
    return f"rushlight_{_label(name)}_{cache.portable_key(*parts)[:16]}"


def _label(name):
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
