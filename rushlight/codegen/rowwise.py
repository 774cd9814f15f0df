"""The loop nest of a rowwise kernel, as LLVM text.

    for each row (a kept element):
        for depth in 1, 2 ...:              softmax: the maximum, then the sum of exponentials
            walk the row, accumulating every reduction of that depth
        walk the row once more and write the FULL outputs
        write the ROW outputs

Mode 'row' puts a vector along the row (several vectors a step, each with accumulators of its own) and joins lanes at
the end. Mode 'column' puts a vector across neighbouring rows and walks a tile of such vectors down the reduced space
together. Exact aliasing of inputs and outputs is sound where the output is FULL and the expression needs no reduction
of what it overwrites after the first write; that holds, since all reductions of a row come before its outputs.
"""

from contextlib import contextmanager

from ..lang import types as ty
from ..lang.expr import make, position
from .access import Access, Place, advance, counted, scalar_bytes, splat, strided, tail_mask
from .llvm import host, module
from .machine import Machine, unknown
from .memory import cast, memory_type, storable
from .pointwise import load_operands, part_of, position_of, read_positions, widest
from .reduction import BLOCK, Accumulator, Reduction, across, array, get, put, slot_of
from .rows import Rows
from .text import LLVM_TYPE, Function, vector

PARAMETERS = "ptr %ptr, ptr %stride, ptr %size"
AXES = ("k0", "k1", "r0", "r1")


class Rowwise(Rows):
    """What both modes share."""

    axis = None  # the vectorised axis' position among AXES

    def __init__(self, *args, stream=False, fetch=False):
        super().__init__(*args)
        self.fn = Function()
        self.lanes = host().vector_bits // self._bits()
        self.streamed = [k for k, o in enumerate(self.outputs) if o.full and not o.summed and self.layout[k] == "c"]
        if not stream or not host().x86:
            self.streamed = []

    def _bits(self):
        read = [self.inputs[i] for i in read_positions(self.graph)]
        positions = any(r.arg for level in self.depths for r in level)
        usual = unknown([e for o in self.outputs for e in o.parts], ())  # a rare branch's values may take several registers
        return max(widest(usual, [o.type for o in self.outputs] + read), 64 * positions)

    # -- the kernel --

    def write(self, name):
        """The module's text."""
        fn = self.fn
        fn.label("entry")
        load_operands(fn, len(self.types), (("ptr", "ptr", "base"),))
        for axis, size in enumerate(AXES):
            fn.do(f"%{size} = load i64, ptr {fn.emit(f'getelementptr i64, ptr %size, i64 {axis}')}, align 8")
            for k in range(len(self.types)):
                place = fn.emit(f"getelementptr i64, ptr %stride, i64 {4 * k + axis}")
                fn.do(f"%{size}.{k} = load i64, ptr {place}, align 8")
        self.steps = {k: strided(fn, self.lanes, f"%{AXES[self.axis]}.{k}") for k, letter in enumerate(self.layout) if letter == "v"}
        self.start, self.extent = ("0", fn.int("mul", "%r0", "%r1")) if self.stage == "whole" else map(self._size, (4, 5))
        self._start()
        with fn.loop("0", "%k1") as a:
            self._kept(a)
        if self.streamed:
            fn.call("llvm.x86.sse.sfence", "void")
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _start(self):
        """What is to be known before the first row."""

    def _size(self, index):
        return self.fn.emit(f"load i64, ptr {self.fn.emit(f'getelementptr i64, ptr %size, i64 {index}')}, align 8")

    def _moved(self, addresses, axis, index):
        """``addresses`` advanced by ``index`` steps along an axis."""
        fn = self.fn
        return [advance(fn, p, fn.emit(f"mul nsw i64 {index}, %{AXES[axis]}.{k}")) for k, p in enumerate(addresses)]

    def _extent(self, node):
        return cast(self.fn, self.lanes, splat(self.fn, self.lanes, "i64", self.extent), "i64", node.type)

    def _elements(self, values, addresses, access, where):
        """A Machine for one vector of FULL elements; ``where``: makes the vector of their positions."""
        places = {}

        def leaf(node):
            if node.op == "position":
                return where()
            k = len(self.outputs) + position_of(node)
            if k not in places:
                places[k] = self._place(k, addresses[k])
            return access.read(places[k], node.type, part_of(node))

        return Machine(self.fn, self.lanes, leaf, dict(values))

    def _place(self, k, address):
        return Place(address, self.layout[k], self.types[k], self.steps.get(k))

    def _write_full(self, machine, addresses, access):
        """Evaluate the FULL outputs for one vector of elements, and write them or add them up."""
        outputs = [(k, o) for k, o in enumerate(self.outputs) if o.full]
        machine.evaluate([e for _, o in outputs for e in o.parts])
        for k, o in outputs:
            place, values = self._place(k, addresses[k]), [machine.values[e] for e in o.parts]
            if k in self.sums:
                self.sums[k].take(values, access.mask)
                continue
            if o.summed:
                values = [machine.sum(access.read(place, o.type), *values, o.type)]
            to = access if k in self.streamed else Access(self.fn, self.lanes, access.mask)
            to.write(place, values, [e.type for e in o.parts])

    def _streaming(self, addresses, whole):
        """How many of a line's ``whole`` elements or vectors may be written around the caches: all of them where addresses are aligned."""
        fn, joined = self.fn, "0"
        for k in self.streamed:
            joined = fn.emit(f"or i64 {joined}, {fn.emit(f'ptrtoint ptr {addresses[k]} to i64')}")
        aligned = fn.emit(f"icmp eq i64 {fn.int('and', joined, host().vector_bits // 8 - 1)}, 0")
        return fn.emit(f"select i1 {aligned}, i64 {whole}, i64 0")

    @property
    def _stream_align(self):
        return min(self.lanes * ty.BITS[self.types[k]] // 8 for k in self.streamed)

    @contextmanager
    def _line(self, addresses):
        """Around a walk along the vectorised axis that writes the FULL outputs: those whose sums go to one place of memory are
        gathered in ``sums`` and added there at the end."""
        self._gather_sums([k for k, o in enumerate(self.outputs) if o.summed and self.layout[k] == "s"])
        yield
        for k in self.sums:
            self._add_across(k, addresses[k])

    def _gather_sums(self, numbers):
        """Begin to gather the sums of the outputs with these numbers."""
        self.sums = {}
        for k in numbers:
            o = self.outputs[k]
            self.sums[k] = Accumulator(Reduction([make("reduce", o.parts, o.type, "sum")]), self._machine())
            self.sums[k].start()

    def _add_across(self, k, address):
        """Add the lanes of output k's gathered sums to one place of memory."""
        fn, scalar, accumulator = self.fn, LLVM_TYPE[self.types[k]], self.sums[k]
        (total,) = across(accumulator.reduction, self._machine(), accumulator.values())
        total = fn.emit(f"extractelement {vector(self.lanes, scalar)} {total}, i64 0")
        old = fn.emit(f"load {scalar}, ptr {address}, align {scalar_bytes(scalar)}")
        fn.do(f"store {scalar} {fn.emit(f'fadd {scalar} {old}, {total}')}, ptr {address}, align {scalar_bytes(scalar)}")

    def _machine(self):
        """A Machine for operations on values alone."""
        return Machine(self.fn, self.lanes, None)

    def _flush(self, pending, count, flush):
        """Count ``count`` more steps; after BLOCK of them call ``flush`` to move the sums on."""
        fn = self.fn
        total = fn.int("add", fn.emit(f"load i64, ptr {pending}"), count)
        fn.do(f"store i64 {total}, ptr {pending}")
        with fn.when(fn.emit(f"icmp sge i64 {total}, {BLOCK}")):
            flush()
            fn.do(f"store i64 0, ptr {pending}")

    def _blocks(self, end, step, pending, flush, body, begin="0"):
        """``for i in range(begin, end, step): body(i)``, flushing float sums after every BLOCK steps."""
        fn = self.fn
        if pending is None:
            with fn.loop(begin, end, step) as i:
                body(i)
            return
        with fn.loop(begin, end, BLOCK * step) as start:
            stop = fn.int("add", start, BLOCK * step)
            stop = fn.emit(f"select i1 {fn.int('icmp slt', stop, end)}, i64 {stop}, i64 {end}")
            with fn.loop(start, stop, step) as i:
                body(i)
            self._flush(pending, fn.int("sdiv exact", fn.int("sub", stop, start), step), flush)

    def _pending(self, level):
        """The counter of steps since the last flush, for Reductions of which some are float sums."""
        if not any(r.two_level for r in level):
            return None
        pending = self.fn.alloca("i64")
        self.fn.do(f"store i64 0, ptr {pending}")
        return pending


def flushed(accumulators):
    """Move the float sums among ``accumulators`` into their totals."""
    for accumulator in accumulators:
        if accumulator.reduction.two_level:
            accumulator.flush()


def result_values(reduction, slots):
    """The values of a Reduction's nodes, from those of its slots."""
    return {node: slots[slot_of(node)] for node in reduction.nodes}


class AlongRows(Rowwise):
    """Mode 'row': a vector holds neighbouring elements of one row; what is known of the row is held in every lane."""

    axis = 2
    DEAR = 8  # from so many operations on it pays to keep a value in memory rather than to compute it again

    def __init__(self, *args, stream=False, fetch=False):
        super().__init__(*args, stream=stream)
        self.fetched = [k for k in range(len(self.outputs), len(self.types)) if fetch and self.layout[k] == "c"]
        self.parked, self.parking = self._parked()
        if self.parking in self.streamed:
            self.streamed = []

    def _parked(self):
        """(node, output) or (None, None): a dear FULL node, wanted by the last reductions and again by the one FULL
        output (softmax: the exponential), that can wait in that output's memory. Since the output may lie over an
        input, nothing but that node may then be needed of the FULL inputs."""
        full = [(k, o) for k, o in enumerate(self.outputs) if o.full]
        if not self.depths or len(full) != 1 or len(full[0][1].parts) != 1 or full[0][1].summed:
            return None, None
        ((k, output),) = full
        rows = dict.fromkeys(n for n in self.graph if n not in self.full)
        again = set(unknown(output.parts, rows))
        for node in reversed(unknown(self._roots_of(self.depths[-1]), rows)):
            if node in again and node.type == output.type and self._weight([node]) >= self.DEAR:
                rest = unknown(output.parts, {**rows, node: None})
                if all(n.args for n in rest):
                    return node, k
        return None, None

    def _kept(self, a):
        with self.fn.when(self.fn.emit(f"xor i1 {self.few}, true")):
            self._rows(a, self._row)
        with self.fn.when(self.few):
            self._rows(a, self._row_of_few)

    def _rows(self, a, row):
        """``row(its operands' addresses)`` for the rows at one place of the outer kept axis."""
        outer = self._moved([f"%base{k}" for k in range(len(self.types))], 1, a)
        with self.fn.loop("0", "%k0") as b:
            row(self._moved(outer, 0, b))

    def _start(self):
        """Are rows no longer than a vector?"""
        fn = self.fn
        some = fn.int("icmp ult", fn.int("sub", "%r0", 1), self.lanes)
        self.few = fn.emit(f"and i1 {some}, {fn.int('icmp eq', '%r1', 1)}")
        self.few_mask = tail_mask(fn, self.lanes, host().vector_bits, "%r0")

    def _row_of_few(self, row):
        """A row that is one vector: its elements, and what is made of them, stay in registers from walk to walk."""
        self.row, self.values = row, {}
        machine, addresses, access = self._at(row, "0", "0", self.few_mask)
        for level in self.depths:
            self._row_values(self._frontier(self._roots_of(level)))
            machine.values |= self.values
            for reduction in level:
                accumulator = Accumulator(reduction, self._machine())
                accumulator.start()
                accumulator.take(machine.evaluate(reduction.operands(position())), self.few_mask)
                self.values |= result_values(reduction, across(reduction, self._machine(), accumulator.held()))
        self._row_values(self._frontier(self._full_roots) + self._row_roots)
        machine.values |= self.values
        if self._full_roots:
            with self._line(row):
                self._write_full(machine, addresses, access)
        for k, output in enumerate(self.outputs):
            if not output.full:
                self._write_row(k, output)

    def _row(self, row):
        """One row, whose operands begin at the addresses ``row``."""
        self.row, self.values = row, {}
        for level in self.depths:
            roots = self._roots_of(level)
            self._row_values(self._frontier(roots))
            self._accumulate(level, roots)
        self._row_values(self._frontier(self._full_roots) + self._row_roots)
        if self._full_roots:
            self._spread()
        for k, output in enumerate(self.outputs):
            if not output.full:
                self._write_row(k, output)

    def _row_values(self, nodes):
        """Evaluate ROW nodes."""

        def leaf(node):
            if node.op == "extent":
                return self._extent(node)
            k = len(self.outputs) + position_of(node)
            return Access(self.fn, self.lanes).read(Place(self.row[k], "s", self.types[k]), node.type, part_of(node))

        Machine(self.fn, self.lanes, leaf, self.values).evaluate(nodes)

    def _accumulate(self, level, roots):
        """One walk of the row: U vectors a step, then single ones, then a masked one."""
        fn, weight = self.fn, self._weight(roots)
        unroll = 4 if weight <= 12 else 2 if weight <= 40 else 1
        sets = [[Accumulator(r, self._machine()) for r in level] for _ in range(unroll)]
        everything = [x for s in sets for x in s]
        for accumulator in everything:
            accumulator.start()
        pending = self._pending(level)
        with fn.loop("0", "%r1") as j:
            line = self._moved(self.row, 3, j)
            unrolled, whole = (fn.int("and", "%r0", -n * self.lanes) for n in (unroll, 1))

            def body(i, count=unroll):
                for u in range(count):
                    self._take(level, line, j, fn.int("add nsw", i, u * self.lanes) if u else i, sets[u])

            self._blocks(unrolled, unroll * self.lanes, pending, lambda: flushed(everything), body)
            if unroll > 1:
                with fn.loop(unrolled, whole, self.lanes) as i:
                    body(i, 1)
            with fn.when(fn.emit(f"icmp slt i64 {whole}, %r0")):
                self._take(level, line, j, whole, sets[0], self._tail_mask(whole))
            if pending is not None:
                self._flush(pending, unroll, lambda: flushed(everything))
        self._join(level, sets)

    def _tail_mask(self, whole):
        return tail_mask(self.fn, self.lanes, host().vector_bits, self.fn.int("sub", "%r0", whole))

    def _at(self, line, j, i, mask=None, stream=None):
        """(Machine, addresses, Access) for the vector at element i of the line ``j``."""
        fn = self.fn
        addresses = [self._along(k, p, i) for k, p in enumerate(line)]
        access = Access(fn, self.lanes, mask, stream)

        def where():
            base = fn.int("add", self.start, fn.int("add", fn.int("mul", j, "%r0"), i))
            return fn.emit(f"add {vector(self.lanes, 'i64')} {splat(fn, self.lanes, 'i64', base)}, {counted(self.lanes, 'i64')}")

        return self._elements(self.values, addresses, access, where), addresses, access

    def _along(self, k, address, index):
        if self.layout[k] == "s":
            return address
        stride = ty.BITS[self.types[k]] // 8 if self.layout[k] == "c" else f"%r0.{k}"
        return advance(self.fn, address, self.fn.int("mul nsw", index, stride))

    def _take(self, level, line, j, i, accumulators, mask=None):
        machine, addresses, access = self._at(line, j, i, mask)
        for accumulator in accumulators:
            accumulator.take(machine.evaluate(accumulator.reduction.operands(position())), mask)
        if self.parked is not None and level is self.depths[-1]:
            k, node = self.parking, self.parked
            access.write(self._place(k, addresses[k]), [machine.values[node]], [node.type])

    def _join(self, level, sets):
        """All accumulators of a reduction into one, in a fixed order."""
        machine = self._machine()
        for index, reduction in enumerate(level):
            parts = [s[index].values() for s in sets]
            while len(parts) > 1:
                half = len(parts) // 2
                parts = [reduction.join(machine, parts[i], parts[i + half]) for i in range(half)]
            self.values |= result_values(reduction, across(reduction, machine, parts[0]))

    def _spread(self):
        """One more walk, which writes the FULL outputs."""
        fn = self.fn
        with fn.loop("0", "%r1") as j:
            line = self._moved(self.row, 3, j)
            whole = fn.int("and", "%r0", -self.lanes)
            with self._line(line):
                sums = self.sums.values()
                pending = self._pending([s.reduction for s in sums])
                start = "0"
                if self.streamed:
                    start, align = self._streaming(line, whole), self._stream_align
                    self._blocks(start, self.lanes, pending, lambda: flushed(sums), lambda i: self._finish(line, j, i, stream=align))
                self._blocks(whole, self.lanes, pending, lambda: flushed(sums), lambda i: self._finish(line, j, i), start)
                with fn.when(fn.emit(f"icmp slt i64 {whole}, %r0")):
                    self._finish(line, j, whole, self._tail_mask(whole))

    def _finish(self, line, j, i, mask=None, stream=None):
        """Write the FULL outputs of one vector; ``stream``: the alignment of those that are written around the caches."""
        machine, addresses, access = self._at(line, j, i, mask, stream)
        if mask is None:
            self._fetch_next(addresses)
        if self.parked is not None:
            k = self.parking
            machine.values[self.parked] = access.read(self._place(k, addresses[k]), self.parked.type)
        self._write_full(machine, addresses, access)

    def _fetch_next(self, addresses):
        """While a row is written the next one comes to the second-level cache: of itself the processor looks no further than a page."""
        for k in self.fetched:
            self.fn.call("llvm.prefetch.p0", "void", f"ptr {advance(self.fn, addresses[k], f'%k0.{k}')}", "i32 0", "i32 2", "i32 1")

    def _write_row(self, k, output):
        """Every lane holds the result: lane 0 is stored."""
        fn, part = self.fn, ty.part(output.type)
        scalar, size = memory_type(part), ty.BITS[part] // 8
        for index, expr in enumerate(output.parts):
            raw = storable(fn, self.lanes, self.values[expr], expr.type, part)
            one = fn.emit(f"extractelement {vector(self.lanes, scalar)} {raw}, i64 0")
            fn.do(f"store {scalar} {one}, ptr {advance(fn, self.row[k], index * size)}, align {size}")


class DownColumns(Rowwise):
    """Mode 'column': a vector holds one element each of neighbouring rows; up to TILE such vectors walk the reduced
    space together.

    Accumulators, and the ROW values that a walk takes, lie in stack arrays with an entry for each vector of the tile.
    """

    axis = 0
    TILE = 32

    def _kept(self, a):
        fn = self.fn
        outer = self._moved([f"%base{k}" for k in range(len(self.types))], 1, a)
        with fn.loop("0", "%k0", self.TILE * self.lanes) as c:
            rest = fn.int("sub", "%k0", c)
            full = fn.int("icmp slt", self.TILE * self.lanes, rest)
            width = fn.emit(f"select i1 {full}, i64 {self.TILE * self.lanes}, i64 {rest}")
            self.whole = fn.int("lshr", width, self.lanes.bit_length() - 1)
            done = fn.int("and", width, -self.lanes)
            self.ragged = fn.int("icmp slt", done, width)
            self.mask = tail_mask(fn, self.lanes, host().vector_bits, fn.int("sub", width, done))
            self._tile([self._across(k, p, c) for k, p in enumerate(outer)])

    def _across(self, k, address, index):
        """The address of column ``index`` of operand k."""
        if self.layout[k] == "s":
            return address
        stride = ty.BITS[self.types[k]] // 8 if self.layout[k] == "c" else f"%k0.{k}"
        return advance(self.fn, address, self.fn.int("mul nsw", index, stride))

    def _tile(self, tile):
        """The rows of one tile, whose operands begin at the addresses ``tile``."""
        self.tile, self.accumulators, self.stored = tile, {}, {}
        for level in self.depths:
            roots = self._roots_of(level)
            self._store_row_values(self._frontier(roots))
            self._accumulate(level, roots)
        self._store_row_values(self._frontier(self._full_roots))
        if self._full_roots:
            self._spread()
        if self._row_roots:
            self._vectors(self._write_rows)

    def _vectors(self, body, start="0"):
        """``body(t, mask)`` for every vector t of the tile from ``start`` on; the ragged last one has a mask."""
        with self.fn.loop(start, self.whole) as t:
            body(t, None)
        with self.fn.when(self.ragged):
            body(self.whole, self.mask)

    # -- what is known of rows --

    def _row_machine(self, t, mask):
        """A Machine for ROW nodes of vector t."""
        access = Access(self.fn, self.lanes, mask)
        column = self._column(t)

        def leaf(node, *_):
            if node.op == "extent":
                return self._extent(node)
            k = len(self.outputs) + position_of(node)
            return access.read(self._place(k, self._across(k, self.tile[k], column)), node.type, part_of(node))

        machine = Machine(self.fn, self.lanes, leaf)
        for accumulator in self.accumulators.values():
            accumulator.index = t
            machine.values |= result_values(accumulator.reduction, accumulator.values())
        return machine, access, column

    def _column(self, t):
        return self.fn.int("mul nsw", t, self.lanes)

    def _store_row_values(self, nodes):
        """Compute ROW nodes for the whole tile and keep them on the stack."""
        new = [n for n in nodes if n not in self.stored]
        if not new:
            return
        self.stored |= {n: array(self._machine(), n.type, self.TILE) for n in new}

        def body(t, mask):
            machine, _, _ = self._row_machine(t, mask)
            for node, value in zip(new, machine.evaluate(new), strict=True):
                put(machine, self.stored[node], node.type, value, t)

        self._vectors(body)

    def _write_rows(self, t, mask):
        machine, access, column = self._row_machine(t, mask)
        machine.evaluate(self._row_roots)
        for k, o in enumerate(self.outputs):
            if not o.full:
                place = self._place(k, self._across(k, self.tile[k], column))
                access.write(place, [machine.values[e] for e in o.parts], [e.type for e in o.parts])

    # -- walks --

    def _accumulate(self, level, roots):
        """One walk down the reduced space, several elements a step, so that an accumulator is loaded and stored less often."""
        fn, weight = self.fn, self._weight(roots)
        accumulators = [Accumulator(r, self._machine(), self.TILE) for r in level]
        self._vectors(lambda t, mask: self._each(accumulators, t, Accumulator.start))
        pending = self._pending(level)
        unroll = 4 if weight <= 8 else 1
        needed = self._frontier(roots)

        def flush():
            self._vectors(lambda t, mask: flushed(self._at_vector(accumulators, t)))

        with fn.loop("0", "%r1") as j:
            line = self._moved(self.tile, 3, j)

            def body(i, count=unroll):
                elements = [fn.int("add nsw", i, u) if u else i for u in range(count)]
                lines = [self._moved(line, 2, e) for e in elements]
                self._vectors(lambda t, mask: self._take(accumulators, needed, t, mask, j, elements, lines))

            unrolled = fn.int("and", "%r0", -unroll)
            self._blocks(unrolled, unroll, pending, flush, body)
            if unroll > 1:
                with fn.loop(unrolled, "%r0") as i:
                    body(i, 1)
                if pending is not None:
                    self._flush(pending, 1, flush)
        self.accumulators |= {a.reduction: a for a in accumulators}

    @staticmethod
    def _at_vector(accumulators, t):
        for accumulator in accumulators:
            accumulator.index = t
        return accumulators

    def _each(self, accumulators, t, action):
        for accumulator in self._at_vector(accumulators, t):
            action(accumulator)

    def _take(self, accumulators, needed, t, mask, j, elements, lines):
        """Take the elements of several lines into the accumulators of vector t."""
        self._at_vector(accumulators, t)
        values = self._known(needed, t)
        held = [accumulator.held() for accumulator in accumulators]
        for i, line in zip(elements, lines, strict=True):
            machine, _, _ = self._at(values, line, t, mask, j, i)
            for index, accumulator in enumerate(accumulators):
                new = machine.evaluate(accumulator.reduction.operands(position()))
                held[index] = accumulator.reduction.join(machine, held[index], new)
        for accumulator, state in zip(accumulators, held, strict=True):
            accumulator.hold(state)

    def _known(self, needed, t):
        return {n: get(self._machine(), self.stored[n], n.type, t) for n in needed}

    def _at(self, values, line, t, mask, j, i, stream=None):
        """(Machine, addresses, Access) for vector t of the elements at ``line``."""
        fn = self.fn
        column = self._column(t)
        addresses = [self._across(k, p, column) for k, p in enumerate(line)]
        access = Access(fn, self.lanes, mask, stream)

        def where():
            return splat(fn, self.lanes, "i64", fn.int("add", self.start, fn.int("add", fn.int("mul", j, "%r0"), i)))

        return self._elements(values, addresses, access, where), addresses, access

    def _spread(self):
        """One more walk, which writes the FULL outputs."""
        fn = self.fn
        needed = self._frontier(self._full_roots)
        with fn.loop("0", "%r1") as j:
            line = self._moved(self.tile, 3, j)
            with fn.loop("0", "%r0") as i:
                here = self._moved(line, 2, i)

                def body(t, mask=None, stream=None, here=here, i=i):
                    self._write_full(*self._at(self._known(needed, t), here, t, mask, j, i, stream))

                with self._line(here):
                    start = "0"
                    if self.streamed:
                        start, align = self._streaming(here, self.whole), self._stream_align
                        with fn.loop("0", start) as t:
                            body(t, stream=align)
                    self._vectors(body, start)
