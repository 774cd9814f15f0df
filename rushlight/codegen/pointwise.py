"""The loop nest of a pointwise kernel, as LLVM text.

    for j in range(n1):
        load what does not change along the row, and compute all that follows from it alone
        for i in range(0, n0 // W * W, W):    whole vectors, nothing masked
        if n0 % W:                            one vector more, masked

Where rows are long and each result follows from the one before (an exponential is a chain of a dozen), a processor would wait most of
the time: there the first loop takes several vectors at a time, and another of one vector what is left of them.

Exact aliasing of an input and an output is sound: each vector is read before it is written.
"""

from contextlib import contextmanager

from ..lang import types as ty
from ..lang.expr import topological
from .access import Access, Place, advance, first, strided, tail_mask
from .llvm import host, module
from .machine import Machine, unknown
from .text import LLVM_TYPE, Function, vector

PARAMETERS = "ptr %ptr, ptr %stride0, ptr %stride1, i64 %n0, i64 %n1"
_SMALL = 16  # graphs of at most so many nodes get two registers' worth of elements in a vector
_SIDE_BY_SIDE = 4  # registers' worth of elements that are computed together in long rows


class Store:
    """One output: its expressions (two for a complex one), its type in memory, and how it is stored.

    add: added to what is there; offset: an expression of the byte offset from the operand's current element, or None.
    """

    def __init__(self, value, type, kind="set", offset=None):
        self.parts = value if isinstance(value, tuple) else (value,)
        self.type, self.add, self.offset = type, kind == "add", offset


def widest(graph, memory_types):
    """Bits of the widest type among the graph's values and the operands' parts in memory."""
    bits = [ty.BITS[ty.part(t)] for t in memory_types]
    return max(bits + [ty.BITS[n.type] for n in graph if n.type != "b1"])


def position_of(node):
    """The input that an ``input`` or ``load`` node reads; complex operands are read as (position, part)."""
    return node.attr[0] if isinstance(node.attr, tuple) else node.attr


def part_of(node):
    """Which part of a complex operand an ``input`` or ``load`` node reads; 0 for a real operand."""
    return node.attr[1] if isinstance(node.attr, tuple) else 0


def read_positions(graph):
    """Positions of the inputs that the nodes read, sorted."""
    return sorted({position_of(n) for n in graph if n.op in ("input", "load")})


def load_operands(fn, operands, arrays):
    """Load entry k of each pointer argument into ``%{result}{k}``; arrays: (argument, type, result)."""
    for k in range(operands):
        for array, kind, result in arrays:
            place = fn.emit(f"getelementptr i64, ptr %{array}, i64 {k}")
            fn.do(f"%{result}{k} = load {kind}, ptr {place}, align 8")


class Pointwise:
    """Writes one kernel."""

    def __init__(self, outputs, inputs, layout, stream, interleaved=False):
        self.outputs = [Store(*o) for o in outputs]
        self.inputs, self.layout = inputs, layout
        self.types = [o.type for o in self.outputs] + list(inputs)
        self.offsets = [o.offset for o in self.outputs if o.offset is not None]
        self.roots = [e for o in self.outputs for e in o.parts] + self.offsets
        self.graph = topological(self.roots)
        self.varying = self._varying()
        self.summed = [k for k in range(len(outputs)) if self._sums(k)]
        self.streamed = [k for k in range(len(outputs)) if self._streams(k)] if stream and host().x86 else []
        self.lanes = self._lanes()
        self.wide = self._wide() if interleaved else self.lanes
        self.fn = Function()

    def _letter(self, position):
        """The layout letter of input ``position``."""
        return self.layout[len(self.outputs) + position]

    def _varying(self):
        """Nodes whose value changes along the inner dim."""
        varying = set()
        for node in self.graph:
            moves = node.op in ("input", "load") and self._letter(position_of(node)) != "s"
            if moves or any(a in varying for a in node.args):
                varying.add(node)
        return varying

    def _streams(self, k):
        store = self.outputs[k]
        return self.layout[k] == "c" and not store.add and store.offset is None

    def _sums(self, k):
        """Does all of a row go to one place? Then it is summed in registers, and added there once."""
        store = self.outputs[k]
        return store.add and self.layout[k] == "s" and store.offset not in self.varying and len(store.parts) == 1

    def _meets(self, k):
        """Do the elements of a vector need each other's result? So it is where several may be combined at one address: an
        addition, or a value made from what a ``load`` at the same offset finds. They are taken one by one, in order."""
        if k in self.summed:
            return False
        store = self.outputs[k]
        read_back = any(n.op == "load" and n.args[0] is store.offset for n in self.graph)
        return (store.add or read_back) and (self.layout[k] != "c" or store.offset in self.varying)

    def _moves(self):
        """Does it do nothing but move elements to or from places of their own?"""
        jumps = self.offsets or [n.args[0] for n in self.graph if n.op == "load"]
        return len(self.graph) == 2 and any(o in self.varying for o in jumps)

    def _lanes(self):
        """How many elements a vector has: a register of the widest type, two of them where the graph is small."""
        if any(self._meets(k) for k in range(len(self.outputs))) or (host().slow_gathers and self._moves()):
            return 1
        # What is the same along the row takes no vector, and what a rare branch computes may take several registers.
        moving = [n for n in unknown(self.roots, ()) if n in self.varying]
        read = [self.inputs[i] for i in read_positions(moving)]
        bits = widest(moving, [o.type for o in self.outputs] + read)
        lanes = host().vector_bits // bits
        if "v" in self.layout:
            return min(lanes, 16)
        near = any(n.op == "near" for n in moving)
        return 2 * lanes if len(self.graph) <= _SMALL and bits >= 16 and not near else lanes

    def _wide(self):
        """How many elements the first loop takes at a time, where chains of operations are to run side by side."""
        jumps = self.offsets or any(n.op == "load" for n in self.graph)
        if self.lanes == 1 or jumps or self.summed or "v" in self.layout:
            return self.lanes
        return max(self.lanes, _SIDE_BY_SIDE * host().vector_bits // widest(self.graph, self.types))

    # -- the kernel --

    def write(self, name):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        load_operands(fn, len(self.types), (("ptr", "ptr", "base"), ("stride0", "i64", "inner"), ("stride1", "i64", "outer")))
        self.steps = {k: strided(fn, self.lanes, f"%inner{k}") for k, letter in enumerate(self.layout) if letter == "v"}
        whole = fn.emit(f"and i64 %n0, {-self.lanes}")
        some = fn.emit("icmp sgt i64 %n0, 0")
        if self.lanes > 1:
            self.ragged = fn.emit(f"icmp slt i64 {whole}, %n0")
            self.mask = tail_mask(fn, self.lanes, host().vector_bits, fn.emit(f"sub i64 %n0, {whole}"))
        with fn.when(some):
            self._nest(whole)
        if self.streamed:
            fn.call("llvm.x86.sse.sfence", "void")
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _nest(self, whole):
        """All rows; ``whole``: how many elements of each make whole vectors."""
        with self._rows():
            self.uniform = {lanes: self._uniform_values(lanes) for lanes in {self.lanes, self.wide}}
            self._start_sums()
            self._main(whole)
            if self.lanes > 1:
                with self.fn.when(self.ragged):
                    Body(self, whole, Access(self.fn, self.lanes, self.mask)).write()
            self._add_sums()

    @contextmanager
    def _rows(self):
        """Around the work on a row, for all of them: their addresses, which go from row to row by an addition each."""
        fn = self.fn
        slots = [fn.alloca("ptr") for _ in self.types]
        for k, slot in enumerate(slots):
            fn.do(f"store ptr %base{k}, ptr {slot}")
        with fn.loop("0", "%n1"):
            self.rows = [fn.emit(f"load ptr, ptr {slot}") for slot in slots]
            yield
            for k, slot in enumerate(slots):
                fn.do(f"store ptr {advance(fn, self.rows[k], f'%outer{k}')}, ptr {slot}")

    def distance(self, node, value):
        """Lane 0 of an offset, as an i64."""
        one = first(self.fn, self.lanes, value, node.type)
        return one if node.type == "i64" else self.fn.emit(f"sext {node.type} {one} to i64")

    def _uniform_values(self, lanes):
        """What is the same along the row, loaded and computed once."""
        access = Access(self.fn, lanes)

        def leaf(node, offset=None):
            k = len(self.outputs) + position_of(node)
            address = self.rows[k] if offset is None else advance(self.fn, self.rows[k], self.distance(node.args[0], offset))
            return access.read(Place(address, "s", self.types[k]), node.type, part_of(node))

        machine = Machine(self.fn, lanes, leaf)
        machine.evaluate([n for n in self.graph if n not in self.varying])
        return machine.values

    # -- sums along the row: one of each lane, in the order of the elements, then of the lanes --

    def _start_sums(self):
        self.sums = {}
        for k in self.summed:
            kind = vector(self.lanes, LLVM_TYPE[self.outputs[k].parts[0].type])
            self.sums[k] = self.fn.alloca(kind), kind
            self.fn.do(f"store {kind} zeroinitializer, ptr {self.sums[k][0]}")

    def sum(self, k, value, machine, mask):
        """Adds a vector of output k's values."""
        (place, kind), t = self.sums[k], self.outputs[k].parts[0].type
        if mask is not None:
            value = machine.choose(mask, t, value, "zeroinitializer")
        total = machine.sum(self.fn.emit(f"load {kind}, ptr {place}"), value, t)
        self.fn.do(f"store {kind} {total}, ptr {place}")

    def _add_sums(self):
        machine = Machine(self.fn, self.lanes, None)
        for k, (place, kind) in self.sums.items():
            store = self.outputs[k]
            t, total = store.parts[0].type, self.fn.emit(f"load {kind}, ptr {place}")
            (total,) = machine.joined([total], [t], lambda a, b, t=t: [machine.sum(*a, *b, t)])
            address = self.rows[k]
            if store.offset is not None:
                address = advance(self.fn, address, self.distance(store.offset, self.uniform[self.lanes][store.offset]))
            one = machine.shuffle(total, t, [0])
            Access(self.fn, 1).write(Place(address, "c", store.type), [one], [t], Machine(self.fn, 1, None).sum)

    def _main(self, whole):
        fn, start = self.fn, "0"
        if self.streamed or self.wide > self.lanes:
            start, align = self._start_of_rest(whole)
            with fn.loop("0", start, self.wide) as i:
                Body(self, i, Access(fn, self.wide, stream_align=align)).write()
        with fn.loop(start, whole, self.lanes) as i:
            Body(self, i, Access(fn, self.lanes)).write()

    def _start_of_rest(self, whole):
        """How many elements the first of two loops takes, and how their results are aligned: non-temporal stores need it to be."""
        fn = self.fn
        start = whole if self.wide == self.lanes else fn.emit(f"and i64 %n0, {-self.wide}")
        if not self.streamed:
            return start, None
        align, joined = host().vector_bits // 8, "0"
        for k in self.streamed:
            joined = fn.emit(f"or i64 {joined}, {fn.emit(f'ptrtoint ptr {self.rows[k]} to i64')}")
        aligned = fn.emit(f"icmp eq i64 {fn.emit(f'and i64 {joined}, {align - 1}')}, 0")
        return fn.emit(f"select i1 {aligned}, i64 {start}, i64 0"), align


class Body:
    """One vector's worth of elements, from element ``i`` of the row on."""

    def __init__(self, kernel, i, access):
        self.kernel, self.fn, self.lanes = kernel, kernel.fn, access.lanes
        self.i, self.access = i, access
        self.places = {}

    def machine(self):
        """What evaluated the graph: all values, by node."""
        machine = Machine(self.fn, self.lanes, self._leaf, dict(self.kernel.uniform[self.lanes]))
        machine.evaluate(self.kernel.roots)
        return machine

    def write(self):
        """Loads and arithmetic, then stores."""
        kernel, machine = self.kernel, self.machine()
        plain = Access(self.fn, self.lanes, self.access.mask)
        for k, store in enumerate(kernel.outputs):
            if k in kernel.summed:
                kernel.sum(k, machine.values[store.parts[0]], machine, self.access.mask)
                continue
            place = self.place_of(k, store.offset, machine.values.get(store.offset))
            access = self.access if k in kernel.streamed else plain
            access.write(
                place,
                [machine.values[e] for e in store.parts],
                [e.type for e in store.parts],
                machine.sum if store.add else None,
            )

    def _leaf(self, node, offset=None):
        k = len(self.kernel.outputs) + position_of(node)
        return self.access.read(self.place_of(k, node.args[0] if node.args else None, offset), node.type, part_of(node))

    def place_of(self, k, offset_node=None, offset=None):
        """Where the vector's elements of operand k lie; ``offset``: the value of ``offset_node``."""
        if (k, offset_node) not in self.places:
            self.places[k, offset_node] = self._new_place(k, offset_node, offset)
        return self.places[k, offset_node]

    def _new_place(self, k, offset_node, offset):
        kernel, fn = self.kernel, self.fn
        letter, stored, address = kernel.layout[k], kernel.types[k], kernel.rows[k]
        if letter != "s":
            stride = ty.BITS[stored] // 8 if letter == "c" else f"%inner{k}"
            address = advance(fn, address, fn.int("mul nsw", self.i, stride))
        if offset is not None and (offset_node not in kernel.varying or self.lanes == 1):
            address, offset = advance(fn, address, kernel.distance(offset_node, offset)), None
        near = offset is not None and offset_node.op == "near"
        return Place(address, letter, stored, kernel.steps.get(k), offset, offset and offset_node.type, near)
