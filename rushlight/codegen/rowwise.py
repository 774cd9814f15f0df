"""The loop nest of a rowwise kernel, as LLVM text.

    for each row (a kept element):
        for depth in 1, 2 ...:              softmax: the maximum, then the sum of exponentials
            walk the row, accumulating every reduction of that depth
        walk the row once more and write the FULL outputs
        write the ROW outputs

Mode 'row' puts a vector along the row (several vectors a step, each with accumulators of its own) and joins lanes at the end.
Mode 'column' puts a vector across neighbouring rows and walks a tile of such vectors down the reduced space together.
Exact aliasing of inputs and outputs is sound where the output is FULL and the expression needs no reduction of what it overwrites
after the first write; that holds, since all reductions of a row come before its outputs.
"""

from ..lang import types as ty
from ..lang.expr import position, topological
from .access import Access, Place, advance, counted, splat, strided, tail_mask
from .llvm import host, module
from .machine import Machine, unknown
from .memory import cast, memory_type, storable
from .pointwise import load_operands, part_of, position_of, read_positions, widest
from .reduction import BLOCK, Accumulator, across, grouped
from .text import Function, vector

PARAMETERS = "ptr %ptr, ptr %stride, ptr %size"
AXES = ("k0", "k1", "r0", "r1")


class Output:
    """One output: its expressions (two for a complex one), its type in memory, and whether it has the shape of the whole space."""

    def __init__(self, value, type, full):
        self.parts = value if isinstance(value, tuple) else (value,)
        self.type, self.full = type, full


class Rows:
    """A vector of one row's elements ('row') or of neighbouring rows ('column'): what is known about it, and where it lies.

    values: the ROW nodes' values, in every lane ('row') or a lane a row; addresses: of each operand's first element.
    """

    def __init__(self, addresses, mask=None):
        self.addresses, self.mask, self.values = addresses, mask, {}


class Rowwise:
    """What both modes share."""

    axis = None  # the vectorised axis' position among AXES

    def __init__(self, outputs, inputs, layout, stage, rows):
        self.inputs, self.layout, self.stage, self.row_inputs = inputs, layout, stage, rows
        roots = [e for value, *_ in outputs for e in (value if isinstance(value, tuple) else (value,))]
        self.graph = topological(roots)
        self.full = self._full_nodes()
        self.outputs = [self._output(*o) for o in outputs]
        self.types = [o.type for o in self.outputs] + list(inputs)
        self.depths = self._depths()
        self.fn = Function()
        self.lanes = host().vector_bits // self._bits()

    def _output(self, value, type, level=None):
        parts = value if isinstance(value, tuple) else (value,)
        return Output(value, type, level == "full" or any(p in self.full for p in parts))

    def _full_nodes(self):
        """The nodes that vary over the reduced space."""
        full = set()
        for node in self.graph:
            leaf = node.op in ("position", "load") or node.op == "input" and position_of(node) not in self.row_inputs
            if leaf or node.op != "reduce" and any(a in full for a in node.args):
                full.add(node)
        return full

    def _depths(self):
        """The Reductions by how many lie above one another: a list of lists, innermost first."""
        depth, levels = {}, []
        for node in self.graph:
            depth[node] = max((depth[a] for a in node.args), default=0) + (node.op == "reduce")
            if node.op == "reduce":
                levels += [[]] * (depth[node] - len(levels))
                levels[depth[node] - 1] = [*levels[depth[node] - 1], node]
        return [grouped(level) for level in levels]

    def _bits(self):
        read = [self.inputs[i] for i in read_positions(self.graph)]
        positions = any(r.arg for level in self.depths for r in level)
        return max(widest(self.graph, [o.type for o in self.outputs] + read), 64 * positions)

    def _weight(self, roots):
        """How much work a set of roots is for each element: the number of FULL nodes beneath them."""
        known = dict.fromkeys(n for n in self.graph if n not in self.full)
        return len(unknown(roots, known))

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
        with fn.loop("0", "%k1") as a:
            self._kept(a)
        fn.do("ret void")
        return module(fn, name, PARAMETERS)

    def _size(self, index):
        return self.fn.emit(f"load i64, ptr {self.fn.emit(f'getelementptr i64, ptr %size, i64 {index}')}, align 8")

    def _moved(self, addresses, axis, index):
        """``addresses`` advanced by ``index`` steps along an axis."""
        fn = self.fn
        return [advance(fn, p, fn.emit(f"mul nsw i64 {index}, %{AXES[axis]}.{k}")) for k, p in enumerate(addresses)]

    def _all(self, tile):
        """Every pass over the rows of ``tile``, then their outputs."""
        for level in self.depths:
            roots = [e for r in level for e in r.operands(position())]
            for rows in tile:
                self._row_values(rows, roots)
            self._accumulate(tile, level, roots)
        roots = [e for o in self.outputs for e in o.parts]
        for rows in tile:
            self._row_values(rows, roots)
        if any(o.full for o in self.outputs):
            self._spread(tile, [e for o in self.outputs if o.full for e in o.parts])
        for rows in tile:
            for k, output in enumerate(self.outputs):
                if not output.full:
                    self._write_row(k, output, rows)

    def _row_values(self, rows, roots):
        """Evaluate the ROW nodes that ``roots`` need."""
        machine = Machine(self.fn, self.lanes, lambda node: self._row_leaf(node, rows), rows.values)
        machine.evaluate([n for n in unknown(roots, rows.values) if n not in self.full and n.op != "position"])

    def _row_leaf(self, node, rows):
        if node.op == "extent":
            return cast(self.fn, self.lanes, splat(self.fn, self.lanes, "i64", self.extent), "i64", node.type)
        k = len(self.outputs) + position_of(node)
        return Access(self.fn, self.lanes, rows.mask).read(self._row_place(k, rows), node.type, part_of(node))

    def _elements(self, rows, addresses, access, where):
        """A Machine for one vector of FULL elements; ``where``: makes the vector of their positions."""
        places = {}

        def leaf(node):
            if node.op == "position":
                return where()
            k = len(self.outputs) + position_of(node)
            if k not in places:
                places[k] = self._place(k, addresses[k])
            return access.read(places[k], node.type, part_of(node))

        return Machine(self.fn, self.lanes, leaf, dict(rows.values))

    def _place(self, k, address):
        return Place(address, self.layout[k], self.types[k], self.steps.get(k))

    def _write_full(self, machine, addresses, access):
        """Evaluate the FULL outputs for one vector of elements, and write them."""
        outputs = [(k, o) for k, o in enumerate(self.outputs) if o.full]
        machine.evaluate([e for _, o in outputs for e in o.parts])
        for k, o in outputs:
            access.write(self._place(k, addresses[k]), [machine.values[e] for e in o.parts], [e.type for e in o.parts])

    def _machine(self):
        """A Machine for operations on values alone."""
        return Machine(self.fn, self.lanes, None)

    def _flush(self, pending, count, accumulators):
        """Count ``count`` more steps; after BLOCK of them move the sums on."""
        fn = self.fn
        total = fn.int("add", fn.emit(f"load i64, ptr {pending}"), count)
        fn.do(f"store i64 {total}, ptr {pending}")
        with fn.when(fn.emit(f"icmp sge i64 {total}, {BLOCK}")):
            for accumulator in accumulators:
                if accumulator.reduction.two_level:
                    accumulator.flush()
            fn.do(f"store i64 0, ptr {pending}")

    def _blocks(self, end, step, pending, accumulators):
        """Loop over range(0, end, step), flushing float sums after every BLOCK steps; yields to a body(i)."""
        fn = self.fn

        def run(body):
            if pending is None:
                with fn.loop("0", end, step) as i:
                    body(i)
                return
            with fn.loop("0", end, BLOCK * step) as start:
                stop = fn.int("add", start, BLOCK * step)
                stop = fn.emit(f"select i1 {fn.int('icmp slt', stop, end)}, i64 {stop}, i64 {end}")
                with fn.loop(start, stop, step) as i:
                    body(i)
                steps = fn.int("sdiv exact", fn.int("sub", stop, start), step)
                self._flush(pending, steps, accumulators)

        return run

    def _pending(self, level):
        """The counter of steps since the last flush, for a level that has float sums."""
        if not any(r.two_level for r in level):
            return None
        pending = self.fn.alloca("i64")
        self.fn.do(f"store i64 0, ptr {pending}")
        return pending


class AlongRows(Rowwise):
    """Mode 'row': a vector holds neighbouring elements of one row."""

    axis = 2

    def _kept(self, a):
        outer = self._moved([f"%base{k}" for k in range(len(self.types))], 1, a)
        with self.fn.loop("0", "%k0") as b:
            self._all([Rows(self._moved(outer, 0, b))])

    def _row_place(self, k, rows):
        return Place(rows.addresses[k], "s", self.types[k])

    def _accumulate(self, tile, level, roots):
        """One walk of the row: U vectors a step, then single ones, then a masked one."""
        fn, (rows,) = self.fn, tile
        weight = self._weight(roots)
        unroll = 4 if weight <= 12 else 2 if weight <= 40 else 1
        sets = [[Accumulator(r, self._machine()) for r in level] for _ in range(unroll)]
        everything = [x for s in sets for x in s]
        for accumulator in everything:
            accumulator.start()
        pending = self._pending(level)
        with fn.loop("0", "%r1") as j:
            line = self._moved(rows.addresses, 3, j)
            whole = self._ranges(unroll)

            def body(i, count=unroll):
                for u in range(count):
                    self._take(rows, line, j, i, u, sets[u])

            self._blocks(whole[0], unroll * self.lanes, pending, everything)(body)
            if unroll > 1:
                with fn.loop(whole[0], whole[1], self.lanes) as i:
                    body(i, 1)
            with fn.when(fn.emit(f"icmp slt i64 {whole[1]}, %r0")):
                self._take(rows, line, j, whole[1], 0, sets[0], self._tail_mask(whole[1]))
            if pending is not None:
                self._flush(pending, unroll, everything)
        self._join(rows, level, sets)

    def _ranges(self, unroll):
        """Where the walk in steps of ``unroll`` vectors ends, and where the one in whole vectors does."""
        return [self.fn.int("and", "%r0", -n * self.lanes) for n in (unroll, 1)]

    def _tail_mask(self, whole):
        return tail_mask(self.fn, self.lanes, host().vector_bits, self.fn.int("sub", "%r0", whole))

    def _at(self, rows, line, j, i, u=0, mask=None):
        """(Machine, addresses, Access) for the vector at element i + u * lanes of the line ``j``."""
        fn = self.fn
        index = fn.int("add nsw", i, u * self.lanes) if u else i
        addresses = [self._along(k, p, index) for k, p in enumerate(line)]
        access = Access(fn, self.lanes, mask)

        def where():
            base = fn.int("add", self.start, fn.int("add", fn.int("mul", j, "%r0"), index))
            return fn.emit(f"add {vector(self.lanes, 'i64')} {splat(fn, self.lanes, 'i64', base)}, {counted(self.lanes, 'i64')}")

        return self._elements(rows, addresses, access, where), addresses, access

    def _along(self, k, address, index):
        if self.layout[k] == "s":
            return address
        stride = ty.BITS[self.types[k]] // 8 if self.layout[k] == "c" else f"%r0.{k}"
        return advance(self.fn, address, self.fn.int("mul nsw", index, stride))

    def _take(self, rows, line, j, i, u, accumulators, mask=None):
        machine, _, _ = self._at(rows, line, j, i, u, mask)
        for accumulator in accumulators:
            accumulator.take(machine, machine.evaluate(accumulator.reduction.operands(position())), mask)

    def _join(self, rows, level, sets):
        """All accumulators of a reduction into one, in a fixed order."""
        machine = self._machine()
        for index, reduction in enumerate(level):
            parts = [s[index].values() for s in sets]
            while len(parts) > 1:
                half = len(parts) // 2
                parts = [reduction.join(machine, parts[i], parts[i + half]) for i in range(half)]
            rows.values |= result_values(reduction, across(reduction, machine, parts[0]))

    def _spread(self, tile, roots):
        fn, (rows,) = self.fn, tile
        with fn.loop("0", "%r1") as j:
            line = self._moved(rows.addresses, 3, j)
            whole = fn.int("and", "%r0", -self.lanes)
            with fn.loop("0", whole, self.lanes) as i:
                self._write_full(*self._at(rows, line, j, i))
            with fn.when(fn.emit(f"icmp slt i64 {whole}, %r0")):
                self._write_full(*self._at(rows, line, j, whole, 0, self._tail_mask(whole)))

    def _write_row(self, k, output, rows):
        """Every lane holds the result: lane 0 is stored."""
        fn, part = self.fn, ty.part(output.type)
        scalar = memory_type(part)
        for index, expr in enumerate(output.parts):
            raw = storable(fn, self.lanes, rows.values[expr], expr.type, part)
            one = fn.emit(f"extractelement {vector(self.lanes, scalar)} {raw}, i64 0")
            fn.do(f"store {scalar} {one}, ptr {advance(fn, rows.addresses[k], index * ty.BITS[part] // 8)}, align {ty.BITS[part] // 8}")


class DownColumns(Rowwise):
    """Mode 'column': a vector holds one element each of neighbouring rows."""

    axis = 0

    def _kept(self, a):
        fn = self.fn
        outer = self._moved([f"%base{k}" for k in range(len(self.types))], 1, a)
        weight = self._weight([e for o in self.outputs for e in o.parts] + [e for lv in self.depths for r in lv for e in r.args])
        width = 8 if weight <= 6 else 4 if weight <= 16 else 1
        tiled, whole = (fn.int("and", "%k0", -n * self.lanes) for n in (width, 1))
        with fn.loop("0", tiled, width * self.lanes) as c:
            starts = [fn.int("add nsw", c, u * self.lanes) if u else c for u in range(width)]
            self._all([Rows(self._across(outer, start)) for start in starts])
        if width > 1:
            with fn.loop(tiled, whole, self.lanes) as c:
                self._all([Rows(self._across(outer, c))])
        with fn.when(fn.emit(f"icmp slt i64 {whole}, %k0")):
            mask = tail_mask(fn, self.lanes, host().vector_bits, fn.int("sub", "%k0", whole))
            self._all([Rows(self._across(outer, whole), mask)])

    def _across(self, addresses, index):
        """The addresses of column ``index``."""
        fn, result = self.fn, []
        for k, address in enumerate(addresses):
            stride = {"c": ty.BITS[self.types[k]] // 8, "s": 0}.get(self.layout[k], f"%k0.{k}")
            result.append(advance(fn, address, fn.int("mul nsw", index, stride)))
        return result

    def _row_place(self, k, rows):
        return self._place(k, rows.addresses[k])

    def _accumulate(self, tile, level, roots):
        """One walk down the reduced space for all vectors of the tile."""
        fn = self.fn
        sets = [[Accumulator(r, self._machine()) for r in level] for _ in tile]
        everything = [x for s in sets for x in s]
        for accumulator in everything:
            accumulator.start()
        pending = self._pending(level)
        with fn.loop("0", "%r1") as j:
            lines = [self._moved(rows.addresses, 3, j) for rows in tile]

            def body(i):
                for rows, line, accumulators in zip(tile, lines, sets, strict=True):
                    machine, _, _ = self._at(rows, line, j, i)
                    for accumulator in accumulators:
                        accumulator.take(machine, machine.evaluate(accumulator.reduction.operands(position())))

            self._blocks("%r0", 1, pending, everything)(body)
        for rows, accumulators in zip(tile, sets, strict=True):
            for accumulator in accumulators:
                rows.values |= result_values(accumulator.reduction, accumulator.values())

    def _at(self, rows, line, j, i):
        """(Machine, addresses, Access) for element i of the line ``j``."""
        fn = self.fn
        addresses = self._moved(line, 2, i)
        access = Access(fn, self.lanes, rows.mask)

        def where():
            base = fn.int("add", self.start, fn.int("add", fn.int("mul", j, "%r0"), i))
            return splat(fn, self.lanes, "i64", base)

        return self._elements(rows, addresses, access, where), addresses, access

    def _spread(self, tile, roots):
        fn = self.fn
        with fn.loop("0", "%r1") as j:
            lines = [self._moved(rows.addresses, 3, j) for rows in tile]
            with fn.loop("0", "%r0") as i:
                for rows, line in zip(tile, lines, strict=True):
                    self._write_full(*self._at(rows, line, j, i))

    def _write_row(self, k, output, rows):
        access = Access(self.fn, self.lanes, rows.mask)
        access.write(self._row_place(k, rows), [rows.values[e] for e in output.parts], [e.type for e in output.parts])


def result_values(reduction, slots):
    """The values of a Reduction's nodes, from those of its slots."""
    from .reduction import slot_of

    return {node: slots[slot_of(node)] for node in reduction.nodes}


MODES = {"row": AlongRows, "column": DownColumns}
