"""The loop nest of a pointwise kernel, as LLVM text.

    for j in range(n1):                   # pointers advance by stride1
        splat what does not change along the row, and all that follows from it alone
        for i in range(0, n0 // W * W, W):    whole vectors, nothing masked
        if n0 % W:                            one vector more, masked

In a masked vector only lane 0 is sure to exist. Masked-off lanes of gathers read lane 0's address or the row's last element,
so no gather needs a mask of its own (which has no instruction for narrow types); stores are masked.
"""

from ..lang import types as ty
from ..lang.expr import topological
from .llvm import host, module
from .machine import Machine
from .memory import loaded, memory_type, storable
from .text import Function, mangled, vector

PARAMETERS = "ptr %ptr, ptr %stride0, ptr %stride1, i64 %n0, i64 %n1"


class Store:
    """One output: its expressions (two for a complex one), its type in memory, and how it is stored.

    add: added to what is there; offset: an expression of the byte offset from the operand's current element, or None.
    """

    def __init__(self, value, type, kind="set", offset=None):
        self.parts = value if isinstance(value, tuple) else (value,)
        self.type, self.add, self.offset = type, kind == "add", offset


def choose_lanes(graph, memory_types, scattered):
    """How many elements a vector has: a register of the widest type, two of them where the graph is small."""
    bits = [ty.BITS[ty.part(t)] for t in memory_types]
    bits += [ty.BITS[n.type] for n in graph if n.type != "b1" and n.op != "load"]
    lanes = host().vector_bits // max(bits)
    if scattered:
        return min(lanes, 16)
    return 2 * lanes if len(graph) <= 16 and max(bits) >= 16 else lanes


class Pointwise:
    """Writes one kernel."""

    def __init__(self, outputs, inputs, layout, stream):
        self.outputs = [Store(*o) for o in outputs]
        self.inputs = inputs
        self.layout = layout
        self.stream = stream and host().x86 and any(self._streams(k) for k in range(len(outputs)))
        self.operands = len(outputs) + len(inputs)
        self.roots = [e for o in self.outputs for e in o.parts] + [o.offset for o in self.outputs if o.offset is not None]
        self.graph = topological(self.roots)
        self.varying = self._varying()
        self.ordered = any(self._must_be_ordered(k) for k in range(len(outputs)))
        stored = [o.type for o in self.outputs] + [self.inputs[i] for i in self._used_inputs()]
        self.lanes = 1 if self.ordered else choose_lanes(self.graph, stored, "v" in layout)
        self.fn = Function()

    # -- what is known before the first line --

    def _used_inputs(self):
        positions = {n.attr[0] if isinstance(n.attr, tuple) else n.attr for n in self.graph if n.op in ("input", "load")}
        return sorted(positions)

    def _letter(self, position):
        """The layout letter of input ``position``."""
        return self.layout[len(self.outputs) + position]

    def _varying(self):
        """Nodes whose value changes along the inner dim."""
        varying = set()
        for node in self.graph:
            moves = node.op in ("input", "load") and self._letter(_position(node)) != "s"
            if moves or any(a in varying for a in node.args):
                varying.add(node)
        return varying

    def _must_be_ordered(self, k):
        """An addition to elements that may coincide within a vector goes one element at a time."""
        store = self.outputs[k]
        return store.add and (self.layout[k] != "c" or store.offset in self.varying)

    def _streams(self, k):
        store = self.outputs[k]
        return self.layout[k] == "c" and not store.add and store.offset is None

    # -- the kernel --

    def write(self, name):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        self._prologue()
        fn.label("outer")
        fn.do("%j = phi i64 [ 0, %setup ], [ %j.next, %outer.end ]")
        for k in range(self.operands):
            fn.do(f"%p{k} = phi ptr [ %base{k}, %setup ], [ %p{k}.next, %outer.end ]")
        self.uniform = self._uniform_values()
        self._loops()
        fn.label("outer.end")
        for k in range(self.operands):
            fn.do(f"%p{k}.next = getelementptr i8, ptr %p{k}, i64 %outer{k}")
        fn.do("%j.next = add nuw i64 %j, 1")
        fn.do("%more = icmp ult i64 %j.next, %n1")
        fn.do("br i1 %more, label %outer, label %done")
        fn.label("done")
        if self.stream:
            fn.call("llvm.x86.sse.sfence", "void")
        fn.do("br label %exit")
        fn.label("exit")
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _prologue(self):
        fn = self.fn
        fn.do("%some0 = icmp sgt i64 %n0, 0")
        fn.do("%some1 = icmp sgt i64 %n1, 0")
        fn.do("%some = and i1 %some0, %some1")
        fn.do("br i1 %some, label %setup, label %exit")
        fn.label("setup")
        for k in range(self.operands):
            for array, kind, result in (("ptr", "ptr", "base"), ("stride0", "i64", "inner"), ("stride1", "i64", "outer")):
                place = fn.emit(f"getelementptr i64, ptr %{array}, i64 {k}")
                fn.do(f"%{result}{k} = load {kind}, ptr {place}, align 8")
        steps = ", ".join(f"i64 {i}" for i in range(self.lanes))
        for k, letter in enumerate(self.layout):
            if letter == "v":
                stride = splat(fn, self.lanes, "i64", f"%inner{k}")
                fn.do(f"%steps{k} = mul {vector(self.lanes, 'i64')} <{steps}>, {stride}")
        fn.do(f"%whole = and i64 %n0, {-self.lanes}")
        fn.do("%any.whole = icmp ne i64 %whole, 0")
        fn.do("%any.tail = icmp ne i64 %whole, %n0")
        fn.do("br label %outer")

    def _uniform_values(self):
        machine = Machine(self.fn, self.lanes, self._uniform_leaf)
        machine.evaluate([n for n in self.graph if n not in self.varying])
        return machine.values

    def _loops(self):
        fn = self.fn
        if self.stream:
            fn.do("br i1 %any.whole, label %aim, label %tail.test")
            fn.label("aim")
            bits = [fn.emit(f"ptrtoint ptr %p{k} to i64") for k in range(len(self.outputs)) if self._streams(k)]
            joined = bits[0]
            for b in bits[1:]:
                joined = fn.emit(f"or i64 {joined}, {b}")
            low = fn.emit(f"and i64 {joined}, {host().vector_bits // 8 - 1}")
            fn.do(f"%aligned = icmp eq i64 {low}, 0")
            fn.do("br i1 %aligned, label %stream.body, label %main.body")
            self._main("stream", "%aim", stream=True)
            self._main("main", "%aim")
        else:
            fn.do("br i1 %any.whole, label %main.body, label %tail.test")
            self._main("main", "%outer")
        fn.label("tail.test")
        if self.lanes == 1:
            fn.do("br label %outer.end")
            return
        fn.do("br i1 %any.tail, label %tail, label %outer.end")
        fn.label("tail")
        Body(self, "%whole", masked=True).write()
        fn.do("br label %outer.end")

    def _main(self, label, before, stream=False):
        fn = self.fn
        fn.label(f"{label}.body")
        fn.do(f"%{label}.i = phi i64 [ 0, {before} ], [ %{label}.next, %{label}.body ]")
        Body(self, f"%{label}.i", masked=False, stream=stream).write()
        fn.do(f"%{label}.next = add nuw i64 %{label}.i, {self.lanes}")
        fn.do(f"%{label}.more = icmp ult i64 %{label}.next, %whole")
        fn.do(f"br i1 %{label}.more, label %{label}.body, label %tail.test")

    def _uniform_leaf(self, node, offset=None):
        """A value that is the same along the row: loaded once."""
        position, fn = _position(node), self.fn
        stored = self.inputs[position]
        address, scalar = f"%p{len(self.outputs) + position}", memory_type(ty.part(stored))
        if offset is not None:
            address = advance(fn, address, first(fn, self.lanes, offset))
        if isinstance(node.attr, tuple) and node.attr[1]:
            address = fn.emit(f"getelementptr {scalar}, ptr {address}, i64 1")
        value = fn.emit(f"load {scalar}, ptr {address}, align {_align(stored)}")
        return loaded(fn, self.lanes, splat(fn, self.lanes, scalar, value), ty.part(stored), node.type)


class Body:
    """One vector's worth of elements, from element ``i`` of the row on."""

    def __init__(self, kernel, i, masked, stream=False):
        self.kernel, self.fn, self.lanes = kernel, kernel.fn, kernel.lanes
        self.i, self.masked, self.stream = i, masked, stream
        self.wide = {}  # complex operands: position -> interleaved vector

    def write(self):
        """Loads, arithmetic, stores; all loads come before the first store, so outputs may be written over inputs."""
        kernel = self.kernel
        if self.masked:
            self.mask = self._mask()
        machine = Machine(self.fn, self.lanes, self._leaf, dict(kernel.uniform))
        machine.evaluate(kernel.roots)
        for k, store in enumerate(kernel.outputs):
            self._store(k, store, machine)

    def _mask(self):
        fn, lanes = self.fn, self.lanes
        kind = f"i{max(8, min(64, host().vector_bits // lanes))}"
        rest = fn.emit(f"sub i64 %n0, {self.i}")
        if kind != "i64":
            rest = fn.emit(f"trunc i64 {rest} to {kind}")
        steps = ", ".join(f"{kind} {i}" for i in range(lanes))
        return fn.emit(f"icmp ugt {vector(lanes, kind)} {splat(fn, lanes, kind, rest)}, <{steps}>")

    # -- reading --

    def _leaf(self, node, offset=None):
        kernel, position = self.kernel, _position(node)
        stored = kernel.inputs[position]
        k, part = len(kernel.outputs) + position, ty.part(stored)
        if self._contiguous(k, node.args):
            raw = self._contiguous_load(k, node, stored, offset)
        else:
            index = node.attr[1] if isinstance(node.attr, tuple) else 0
            base, offsets = self._places(k, stored, offset)
            raw = self._gather(base, offsets, part, index)
        return loaded(self.fn, self.lanes, raw, part, node.type)

    def _contiguous(self, k, offsets):
        return self.kernel.layout[k] == "c" and not any(o in self.kernel.varying for o in offsets)

    def _contiguous_load(self, k, node, stored, offset):
        if not ty.is_complex(stored):
            return self._vector_load(self._address(k, stored, offset), memory_type(stored), self.lanes)
        position, index = node.attr
        key = (position, offset)
        if key not in self.wide:
            self.wide[key] = self._vector_load(self._address(k, stored, offset), memory_type(ty.part(stored)), 2 * self.lanes)
        v = vector(2 * self.lanes, memory_type(ty.part(stored)))
        picks = ", ".join(f"i32 {2 * i + index}" for i in range(self.lanes))
        return self.fn.emit(f"shufflevector {v} {self.wide[key]}, {v} poison, {vector(self.lanes, 'i32')} <{picks}>")

    def _vector_load(self, address, scalar, lanes):
        v, align = vector(lanes, scalar), _scalar_bytes(scalar)
        if not self.masked:
            return self.fn.emit(f"load {v}, ptr {address}, align {align}")
        return self.fn.call(
            f"llvm.masked.load.{mangled(lanes, scalar)}.p0", v,
            f"ptr {address}", f"i32 {align}", f"{vector(lanes, 'i1')} {self._mask_for(lanes)}", f"{v} zeroinitializer",
        )  # fmt: skip

    def _mask_for(self, lanes):
        """The mask for ``lanes`` elements: each lane's bit twice for interleaved complex numbers."""
        if lanes == self.lanes:
            return self.mask
        v = vector(self.lanes, "i1")
        picks = ", ".join(f"i32 {i // 2}" for i in range(lanes))
        return self.fn.emit(f"shufflevector {v} {self.mask}, {v} poison, {vector(lanes, 'i32')} <{picks}>")

    def _address(self, k, stored, offset=None):
        """Address of the vector's first element of operand k."""
        fn, letter = self.fn, self.kernel.layout[k]
        address = f"%p{k}"
        if letter != "s":
            stride = str(ty.BITS[stored] // 8) if letter == "c" else f"%inner{k}"
            address = advance(fn, address, fn.emit(f"mul nsw i64 {self.i}, {stride}"))
        return address if offset is None else advance(fn, address, first(fn, self.lanes, offset))

    def _places(self, k, stored, offset):
        """(base address, vector of byte offsets) of operand k; masked-off lanes have lane 0's."""
        fn, v, letter = self.fn, vector(self.lanes, "i64"), self.kernel.layout[k]
        base = self._address(k, stored)
        size = ty.BITS[stored] // 8
        steps = {"c": "<" + ", ".join(f"i64 {i * size}" for i in range(self.lanes)) + ">", "s": "zeroinitializer"}.get(letter, f"%steps{k}")
        offsets = steps if offset is None else fn.emit(f"add {v} {steps}, {offset}")
        if self.masked:
            spare = "zeroinitializer" if offset is None else splat(fn, self.lanes, "i64", first(fn, self.lanes, offsets))
            offsets = fn.emit(f"select {vector(self.lanes, 'i1')} {self.mask}, {v} {offsets}, {v} {spare}")
        return base, offsets

    def _pointers(self, base, offsets, part, index):
        if index:
            base = advance(self.fn, base, _scalar_bytes(memory_type(part)))
        return self.fn.emit(f"getelementptr i8, ptr {base}, {vector(self.lanes, 'i64')} {offsets}")

    def _gather(self, base, offsets, part, index):
        scalar = memory_type(part)
        v, pointers = vector(self.lanes, scalar), self._pointers(base, offsets, part, index)
        return self.fn.call(
            f"llvm.masked.gather.{mangled(self.lanes, scalar)}.v{self.lanes}p0", v,
            f"{vector(self.lanes, 'ptr')} {pointers}", f"i32 {_scalar_bytes(scalar)}",
            f"{vector(self.lanes, 'i1')} splat (i1 true)", f"{v} poison",
        )  # fmt: skip

    # -- writing --

    def _store(self, k, store, machine):
        offset = None if store.offset is None else machine.values[store.offset]
        part = ty.part(store.type)
        if self.lanes == 1 or self._contiguous(k, () if store.offset is None else (store.offset,)):
            address = self._address(k, store.type, offset)
            self._contiguous_store(address, store, machine)
            return
        base, offsets = self._places(k, store.type, offset)
        for index, expr in enumerate(store.parts):
            raw = storable(self.fn, self.lanes, machine.values[expr], expr.type, part)
            self._scatter(self._pointers(base, offsets, part, index), raw, memory_type(part))

    def _contiguous_store(self, address, store, machine):
        part = ty.part(store.type)
        scalar, count = memory_type(part), len(store.parts) * self.lanes
        values = [machine.values[e] for e in store.parts]
        if store.add:
            before = self._vector_load(address, scalar, count)
            values = [self._added(machine, store, i, before, values[i]) for i in range(len(values))]
        raws = [storable(self.fn, self.lanes, x, e.type, part) for x, e in zip(values, store.parts, strict=True)]
        raw = raws[0] if len(raws) == 1 else self._interleaved(raws, scalar)
        self._vector_store(address, raw, scalar, count)

    def _added(self, machine, store, index, before, value):
        """``value`` plus what memory held, in the expression's type."""
        kind, part = store.parts[index].type, ty.part(store.type)
        if len(store.parts) == 2:
            v = vector(2 * self.lanes, memory_type(part))
            picks = ", ".join(f"i32 {2 * i + index}" for i in range(self.lanes))
            before = self.fn.emit(f"shufflevector {v} {before}, {v} poison, {vector(self.lanes, 'i32')} <{picks}>")
        held = loaded(self.fn, self.lanes, before, part, kind)
        return machine.op("fadd" if kind in ty.FLOATS else "or" if kind == "b1" else "add", kind, held, value)

    def _interleaved(self, raws, scalar):
        v = vector(self.lanes, scalar)
        picks = ", ".join(f"i32 {i // 2 + (i % 2) * self.lanes}" for i in range(2 * self.lanes))
        return self.fn.emit(f"shufflevector {v} {raws[0]}, {v} {raws[1]}, {vector(2 * self.lanes, 'i32')} <{picks}>")

    def _vector_store(self, address, raw, scalar, lanes):
        v, align = vector(lanes, scalar), _scalar_bytes(scalar)
        if self.masked:
            self.fn.call(
                f"llvm.masked.store.{mangled(lanes, scalar)}.p0", "void",
                f"{v} {raw}", f"ptr {address}", f"i32 {align}", f"{vector(lanes, 'i1')} {self._mask_for(lanes)}",
            )  # fmt: skip
        elif self.stream:
            self.fn.do(f"store {v} {raw}, ptr {address}, align {host().vector_bits // 8}, !nontemporal !0")
        else:
            self.fn.do(f"store {v} {raw}, ptr {address}, align {align}")

    def _scatter(self, pointers, raw, scalar):
        b = vector(self.lanes, "i1")
        self.fn.call(
            f"llvm.masked.scatter.{mangled(self.lanes, scalar)}.v{self.lanes}p0", "void",
            f"{vector(self.lanes, scalar)} {raw}", f"{vector(self.lanes, 'ptr')} {pointers}", f"i32 {_scalar_bytes(scalar)}",
            f"{b} {self.mask if self.masked else 'splat (i1 true)'}",
        )  # fmt: skip


def advance(fn, address, offset):
    """``address`` plus ``offset`` bytes."""
    return fn.emit(f"getelementptr i8, ptr {address}, i64 {offset}")


def first(fn, lanes, offsets):
    """Lane 0 of a vector of i64."""
    return fn.emit(f"extractelement {vector(lanes, 'i64')} {offsets}, i64 0")


def _scalar_bytes(scalar):
    return {"half": 2, "float": 4, "double": 8}.get(scalar) or int(scalar[1:]) // 8


def splat(fn, lanes, scalar, value):
    """A scalar in every lane."""
    v = vector(lanes, scalar)
    first = fn.emit(f"insertelement {v} poison, {scalar} {value}, i64 0")
    return fn.emit(f"shufflevector {v} {first}, {v} poison, {vector(lanes, 'i32')} zeroinitializer")


def _position(node):
    """The input that an ``input`` or ``load`` node reads; complex operands are read as (position, part)."""
    return node.attr[0] if isinstance(node.attr, tuple) else node.attr


def _align(t):
    return max(1, ty.BITS[ty.part(t)] // 8)
