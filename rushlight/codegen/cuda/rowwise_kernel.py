"""The CUDA C of a rowwise kernel.

    for each row:                              row mode: ``width`` threads share one; column mode: a thread has V
        for depth in 1, 2 ...:                 softmax: the maximum, then the sum of exponentials
            walk the row, accumulating every reduction of that depth; join the threads' accumulators
        walk it once more and write the FULL outputs; write the ROW outputs

In a step of a walk each thread takes V elements, in row mode of its row, in column mode one of each of its rows. What
several walks read is read once: in row mode a thread keeps its part of a row in registers (``packs`` accesses, asked for
together), unless the row is too long for it; in column mode in shared memory, as far as it has room (each thread reads back
what it wrote itself). The order of a sum depends on the shape alone. Exact aliasing of inputs and outputs is sound, since all
reductions of a row come before its outputs, and no other row is read. ``rowwise_modes`` has the loops.
"""

from ...lang import types as ty
from ...lang.expr import make, position, rebuild, with_args, without_stated
from ..pointwise import part_of, position_of
from ..reduction import partial_slots
from ..rows import Rows
from .pointwise_kernel import Operand
from .scalar import C_TYPE, Scalar, cast, literal, loaded, storable

_MOST_JOINING = 24 << 10  # bytes of shared memory for joins
_FEW_SUMS = 64  # bytes of accumulators with which 128 registers will do
_MOST_HELD = 128  # bytes of a step that a thread keeps in shared memory, so that there is room for several steps
_MOST_KEPT = 16  # numbers of 32 bits that a thread keeps of its row in registers
_MOST_ASKED = 32  # numbers of 32 bits that a thread asks for of its columns before it takes them
_MOST_PACKS = 4  # accesses that a thread keeps of a row, if more threads can share it
_RESIDENT = 1536  # threads that a multiprocessor should have room for while they keep rows: on some GPUs all of them


class Plan:
    """How a kernel moves: V (``vector``) elements in a thread's access, ``ahead`` steps asked for together, the inputs ``kept`` for
    later walks: ``held`` bytes of each step in shared memory, or ``packs`` accesses in registers. width: how many threads share a row
    that is kept, where that is the whole block (0: a launch says how many); blocks: how many a multiprocessor should have room for (0: as
    many as ptxas likes). Known from the graph as it is before it is lowered. longest: elements of the longest row that it is for (0: any);
    aligned: those that an access may have (0: one)."""

    def __init__(self, mode, outputs, inputs, layout, stage, rows, reduced, longest, aligned):
        roots = without_stated([o[0] for o in outputs])
        slots = partial_slots(roots) if stage != "whole" else ()
        results = tuple(o[1] for o in outputs)
        types = {"whole": (*results, *inputs), "partial": (*slots, *inputs), "finish": (*results, *inputs, *slots)}[stage]
        dense = [ty.BITS[t] // 8 for t, letter in zip(types, layout, strict=True) if letter == "c"]
        self.vector = min(8, max(1, 16 // max(dense)), aligned or 8) if dense else 1
        levels = Rows([(e, *o[1:]) for e, o in zip(roots, outputs, strict=True)], inputs, layout, stage, rows)
        if sum(map(len, levels.depths)) > 4:  # accumulators for each of 8 elements would not fit into the registers
            self.vector = min(4, self.vector)
        reads = [i for reads in levels.reads() for i in reads if layout[len(outputs) + i] != "n"] if stage == "whole" else []
        again = {i for i in reads if reads.count(i) > 1}
        self.kept, self.held, self.packs, self.width, self.blocks = set(), 0, 0, 0, 0
        self.accumulators = [_bytes(r) for level in levels.depths for r in level]
        self.threads, self.shared = self._threads(mode, reduced, again)
        numbers = self.vector * sum(-(-ty.BITS[inputs[i]] // 32) for i in again)  # of an access to each of them
        if mode.dense_along_rows:
            self.packs = _packs(-(-longest // self.vector), numbers, self.threads) if longest and again else 0
            self.kept = again if self.packs else set()
            self._share(mode, longest)
        else:
            for i in sorted(again):
                bytes = self.vector * ty.BITS[inputs[i]] // 8
                if self.held + bytes <= _MOST_HELD:
                    self.kept.add(i)
                    self.held += bytes
        self.ahead = self._ahead(mode, numbers, self.vector * sum(-(-ty.BITS[t] // 32) for t in inputs))

    def _ahead(self, mode, numbers, asked):
        """How many steps are asked for together; asked: numbers of 32 bits of one."""
        if self.held or (self.vector > 1 and numbers >= _MOST_KEPT):  # what waits comes from shared memory, or fills the registers
            return 1
        return 4 if self.vector == 1 or (not mode.dense_along_rows and 4 * asked <= _MOST_ASKED) else 2

    def _threads(self, mode, reduced, again):
        """(threads of a block at most, bytes of shared memory that its joins take): as many as leave half of the room for rows, and leave
        a thread the registers that it needs. More pay for long rows: those of several dims (of a batch norm), or that are kept."""
        longer = mode.dense_along_rows and (reduced > 1 or again) and sum(self.accumulators) <= _FEW_SUMS
        most = 512 if longer else 256
        while (taken := self._joining(mode, most)) > _MOST_JOINING and most > 64:
            most //= 2
        return most, taken

    def _joining(self, mode, threads):
        """Bytes of shared memory that the joins of so many threads take."""
        return sum(-(-mode.joining(threads, self.vector) * n // 16) * 16 for n in self.accumulators)

    def _share(self, mode, longest):
        """Settles how many threads share a row that is kept, where that is a block, so that its joins are straight code; and how many
        blocks there should be room for: while one waits for its row's elements, or at a barrier, others move theirs."""
        width = -(-longest // self.vector) // self.packs if self.packs else 0
        if width > 32:
            self.threads, self.width, self.shared = width, width, self._joining(mode, width)
            self.blocks = min(16, _RESIDENT // width) if sum(self.accumulators) <= _FEW_SUMS else 0


def _packs(accesses, numbers, threads):
    """How many of the accesses to a row a thread keeps, of ``numbers`` numbers each; 0: the row is too long for so many threads. A warp
    takes a row alone while it can: without barriers."""
    packs = max(1, min(_MOST_PACKS, accesses // 32))
    while packs > 1 and packs * numbers > _MOST_KEPT:
        packs //= 2
    while packs * threads < accesses:
        packs *= 2
    return packs if packs * numbers <= _MOST_KEPT else 0


def _bytes(reduction):
    """The size of an accumulator in CUDA C."""
    sizes = [-(-ty.BITS[t] // 8) for t in reduction.slots] * (2 if reduction.two_level or reduction.type in ty.COMPLEX else 1)
    return -(-sum(sizes) // max(sizes)) * max(sizes)


def by_reciprocals(stored, *rest):
    """Lowered outputs in which FULL values are divided by ROW ones with the help of their reciprocals, found once a row. For results of
    16 bits a product with the reciprocal is close enough."""
    levels = Rows(stored, *rest)
    narrow = all(ty.BITS[o.type] == 16 for o in levels.outputs if o.full)

    def replace(node, args):
        if node.op == "div" and node.type == "f32" and node in levels.full and node.args[1] not in levels.full:
            a, b = args
            return a * (1 / b) if narrow else make("divided", (a, b, make("divisor", (b,), "f32")), "f32")
        return with_args(node, args)

    roots = iter(rebuild([e for o in levels.outputs for e in o.parts], replace))
    return [(tuple(next(roots) for _ in v) if isinstance(v, tuple) else next(roots), *o) for v, *o in stored]


class Walk:
    """One pass over the reduced space: for the reductions of one depth, or for the FULL outputs (none)."""

    def __init__(self, kernel, number, reductions, roots):
        self.name, self.reductions, self.roots = f"element{number}", reductions, roots
        self.frontier, self.reads = kernel._frontier(roots), kernel._reads(roots)


class RowKernel(Rows):
    """What both modes share."""

    def __init__(self, outputs, inputs, layout, kept, reduced, wide, stage, rows, aligned, plan):
        super().__init__(outputs, inputs, layout, stage, rows)
        self.kept, self.reduced, self.wide, self.vector, self.ahead = kept, reduced, wide, plan.vector, plan.ahead
        self.most, self.width, self.blocks = plan.threads, plan.width, plan.blocks
        self.packs, self.whole = plan.packs, "true" if aligned and plan.vector > 1 else "false"
        self.operands = [Operand(k, letter, t, False, False) for k, (letter, t) in enumerate(zip(layout, self.types, strict=True))]
        self.index, self.offset = ("i64", "i64") if wide else ("u32", "i32")
        depths = [Walk(self, d, level, self._roots_of(level)) for d, level in enumerate(self.depths)]
        self.walks = [*depths, Walk(self, len(depths), [], self._full_roots)] if self._full_roots else depths
        self.accumulators = {r: f"a{i}" for i, r in enumerate(r for level in self.depths for r in level)}
        read = [i for walk in self.walks for i in walk.reads]
        kept = sorted(plan.kept & set(read))
        self.held, self.fresh = [] if plan.packs else kept, True  # in shared memory; fresh: none of it is there yet
        self.in_registers = kept if plan.packs else []
        self.tables, self.known, self.serial = {}, {}, 0

    def _input(self, position):
        return self.operands[len(self.outputs) + position]

    @property
    def _full_outputs(self):
        return [(k, o) for k, o in enumerate(self.outputs) if o.full]

    @property
    def _row_outputs(self):
        return [(k, o) for k, o in enumerate(self.outputs) if not o.full]

    # -- the source --

    def write(self, symbol):
        """The kernel's source."""
        elements = [self._element(walk) for walk in self.walks]
        run = self._run()  # after the elements and before the tables: it may need more of them
        rooms = [f"    __shared__ {self._type(r)} room_{a}[{self.joining(self.most, self.vector)}];" for r, a in self.accumulators.items()]
        given = "".join(f", room_{a}" for a in self.accumulators.values())
        bounds = f"{self.most}, {self.blocks}" if self.blocks else self.most
        parts = [
            f"namespace ns_{symbol} {{",
            *self.tables.values(),
            self._parameters(),
            *elements,
            self._places(),
            *(self._offset(o) for o in self.operands if self._walked(o)),
            run,
            f'extern "C" __global__ void __launch_bounds__({bounds}) {symbol}(const __grid_constant__ Parameters p)',
            "{",
            *rooms,
            f"    run(p{given});",
            f"}}\n}}  // namespace ns_{symbol}",
            "",
        ]
        return "\n".join(parts)

    def _parameters(self):
        n = len(self.operands)
        return (
            f"struct Parameters {{ i64 rows, length, extent, stretches, stretch, width, held, kept[{self.kept}], reduced[{self.reduced}]; "
            f"Slot operand[{n}]; i64 kept_stride[{n}][{self.kept}], reduced_stride[{n}][{self.reduced}]; Fault *fault; }};"
        )

    def _walked(self, o):
        """Does the operand vary over the reduced space?"""
        if o.k < len(self.outputs):
            return self.outputs[o.k].full
        return o.letter != "n" and any(o.k - len(self.outputs) in walk.reads for walk in self.walks)

    @staticmethod
    def _type(reduction):
        """The C++ type of an accumulator."""
        t = C_TYPE[reduction.type]
        if reduction.arg:
            return f"ArgExtremum<{t}, {'true' if reduction.kind == 'argmax' else 'false'}>"
        if reduction.pair:
            return f"ComplexProduct<{t}>"
        kind = "Float" if reduction.type in ty.FLOATS else "Integer"
        names = {"sum": f"{kind}Sum", "prod": f"{kind}Product", "max": "Largest", "min": "Smallest", "any": "Any", "all": "All"}
        return f"{names[reduction.kind]}<{t}>"

    @staticmethod
    def _neutral(reduction):
        """The texts of an empty accumulator's slots."""
        return [literal(v, t) for v, t in zip(reduction.neutral(), reduction.slots, strict=True)]

    def _start(self, reduction):
        return ", ".join(self._neutral(reduction) * (2 if reduction.two_level else 1))

    def _element(self, walk):
        """The function that computes one element: the operands of the walk's reductions, or the FULL outputs."""
        takes = ["const Parameters &p", "i64 position"]
        for i in walk.reads:
            o = self._input(i)
            takes += [f"{o.storage} x{o.k}_{part}" for part in range(o.parts)] if o.letter != "n" else []
        takes += [f"{C_TYPE[n.type]} k{i}" for i, n in enumerate(walk.frontier)]
        scalar = Scalar(self._element_leaf, {n: f"k{i}" for i, n in enumerate(walk.frontier)}, self.tables)
        lines = []
        for r in walk.reductions:
            operands = r.operands(position())
            takes += [f"{C_TYPE[t]} &{self.accumulators[r]}_{slot}" for slot, t in enumerate(r.slots)]
            lines += [f"{self.accumulators[r]}_{slot} = {v};" for slot, v in enumerate(scalar.evaluate(operands))]
        for k, output in self._full_outputs if not walk.reductions else ():
            o, stored = self.operands[k], ty.part(output.type)
            takes += [f"{o.storage} &y{k}_{part}" for part in range(o.parts)]
            values = scalar.evaluate(output.parts)
            lines += [f"y{k}_{q} = {storable(v, e.type, stored)};" for q, (v, e) in enumerate(zip(values, output.parts, strict=True))]
        body = "\n".join("    " + line for line in [*scalar.lines, *lines])
        walk.divides = "divided<" in body
        given = ", ".join(["bool &close", *takes] if walk.divides else takes)
        return f"{'template <bool EXACT> ' if walk.divides else ''}INLINE void {walk.name}({given})\n{{\n{body}\n}}"

    def _element_leaf(self, node, *args):
        if node.op == "position":
            return "position"
        if node.op == "checked":
            return f"checked(p.fault, {node.attr}, {args[0]}, {args[1]}, position)"
        o, part = self._input(position_of(node)), part_of(node)
        text = f"number<{o.storage}>({o.slot}, {part})" if o.letter == "n" else f"x{o.k}_{part}"
        return loaded(text, ty.part(o.type), node.type)

    def _row_leaf(self, node, *args):
        """A leaf of ROW level."""
        if node.op == "extent":
            return cast("p.extent", "i64", node.type)
        if node.op == "checked":
            return f"checked(p.fault, {node.attr}, {args[0]}, {args[1]}, row)"
        o, part = self._input(position_of(node)), part_of(node)
        if o.letter == "n":
            text = f"number<{o.storage}>({o.slot}, {part})"
        else:
            text = f"load<{o.storage}>({self._row_address(o)}{f' + {o.bytes // 2}' if part else ''})"
        return loaded(text, ty.part(o.type), node.type)

    def _places(self):
        """Where a row begins, for every operand: from kept dim ``lowest`` on."""
        used = [o for o in self.operands if o.letter != "n"]
        slots = [o for o in used if self.stage == "partial" and o.k < len(self.outputs)]
        moved = [o for o in used if o not in slots]
        starts = [f"    r.at{o.k} = {o.slot}.pointer;" for o in moved]
        starts += [f"    r.at{o.k} = {o.slot}.pointer + (stretch * p.rows + row) * {o.bytes};" for o in slots]
        return "\n".join([
            f"struct Places {{ char {', '.join(f'*at{o.k}' for o in used)}; }};",
            "INLINE Places places(const Parameters &p, i64 row, i64 stretch)",
            "{",
            "    Places r;",
            *starts,
            f"    {self.index} rest = ({self.index})row;",
            "#pragma unroll" if self.kept <= 4 else "#pragma unroll 1",
            f"    for (int d = 0; d < {self.kept}; ++d) {{",
            f"        const {self.index} next = d == {self.kept - 1} ? 0 : rest / ({self.index})p.kept[d];",
            f"        const {self.index} c = rest - next * ({self.index})p.kept[d];",
            *(f"        r.at{o.k} += ({self.offset})c * ({self.offset})p.kept_stride[{o.k}][d];" for o in moved),
            "        rest = next;",
            "    }",
            "    return r;",
            "}",
        ])  # fmt: skip

    def _offset(self, o):
        """The byte offset of element e of the reduced space."""
        head = f"INLINE {self.offset} offset{o.k}(const Parameters &p, {self.index} e)"
        stride = f"({self.offset})p.reduced_stride[{o.k}]"
        if self.reduced == 1:
            step = o.bytes if self.dense_along_rows and o.letter == "c" else f"{stride}[0]"
            return f"{head} {{ return ({self.offset})e * {step}; }}"
        return "\n".join([
            head,
            "{",
            f"    {self.offset} at = 0;",
            "#pragma unroll" if self.reduced <= 4 else "#pragma unroll 1",
            f"    for (int d = 0; d < {self.reduced}; ++d) {{",
            f"        const {self.index} next = d == {self.reduced - 1} ? 0 : e / ({self.index})p.reduced[d];",
            f"        at += ({self.offset})(e - next * ({self.index})p.reduced[d]) * {stride}[d];",
            "        e = next;",
            "    }",
            "    return at;",
            "}",
        ])  # fmt: skip

    def _shared(self, thread, threads):
        """Statements that name the block's room for rows."""
        if not self.held:
            return []
        return ["    DYNAMIC_SHARED(char, shared);", f"    const u32 thread = {thread}, threads = {threads};"]

    def _row_statements(self, nodes):
        """Statements for ROW nodes that are not known yet."""
        self.serial += 1
        scalar = Scalar(self._row_leaf, dict(self.known), self.tables, f"r{self.serial}_")
        values = dict(zip(nodes, scalar.evaluate(nodes), strict=True))
        return scalar, values

    def _raw(self, i, text):
        """The arguments for the parts of element j of input i, whose pack is ``text``."""
        parts = self._input(i).parts
        return [f"{text}.v[j]"] if parts == 1 else [f"{text}.v[2 * j + {q}]" for q in range(2)]

    # -- walks --

    def _pack(self, o):
        return f"Pack<{o.storage}, V{' * 2' if o.parts == 2 else ''}>"

    def _loads(self):
        """Statements that make load<i>(t), the elements of input i that a thread takes in step t, and, for what is kept, the
        thread's room for it: keep<i>(u, elements) and kept<i>(u) write and read slot u."""
        lines, before = [], 0
        for i in sorted({i for walk in self.walks for i in walk.reads if self._input(i).letter != "n"}):
            o = self._input(i)
            whole = "whole" if o.letter == "c" else "false"
            elements = f"gathered<{o.storage}, V, {o.parts}>({whole}, {self._gathering(o)})"
            lines.append(f"auto load{i} = [&]({self.index} t) {{ return {elements}; }};")
            if i in self.held:
                bytes = self.vector * o.bytes
                slot = f"room{i} + u * threads * {bytes}"
                lines.append(f"char *const room{i} = shared + threads * p.held * {before} + thread * {bytes};")
                lines.append(f"auto keep{i} = [&]({self.index} u, const {self._pack(o)} &now) {{ store({slot}, now); }};")
                lines.append(f"auto kept{i} = [&]({self.index} u) {{ return load<{self._pack(o)}>({slot}); }};")
                before += bytes
            if i in self.in_registers:
                lines.append(f"{self._pack(o)} mine{i}[{self.packs}];")
        if self.in_registers:
            asks = " ".join(f"mine{i}[t] = load{i}(t);" for i in self.in_registers)
            lines += ["#pragma unroll", f"for (int t = 0; t < {self.packs}; ++t) {{ {asks} }}"]
        return lines

    def _hold(self):
        """Statements that make hold(from), which reads what several walks need, from step ``from`` on, and keeps it."""
        if not self.held:
            return []
        loads = [f"        if (u + c < some) now{i}[c] = load{i}(from + u + c);" for i in self.held]
        keeps = [f"        if (u + c < some) keep{i}(u + c, now{i}[c]);" for i in self.held]
        return [
            f"const {self.index} held = ({self.index})p.held;",
            f"auto hold = [&]({self.index} from) {{",
            f"    const {self.index} some = min(held, steps - from);",
            "#pragma unroll 1", f"    for ({self.index} u = 0; u < some; u += 2) {{",
            *(f"        {self._pack(self._input(i))} now{i}[2];" for i in self.held),
            "#pragma unroll", "        for (int c = 0; c < 2; ++c) {", *("    " + s for s in loads), "        }",
            "#pragma unroll", "        for (int c = 0; c < 2; ++c) {", *("    " + s for s in keeps), "        }",
            "    }", "};",
        ]  # fmt: skip

    def _walk(self, walk, number):
        """One pass: what it needs to know of its row, its steps, and the join of its accumulators."""
        lines = [f"// walk {number + 1}", *self._know(walk.frontier), *(self._started(r) for r in walk.reductions)]
        reads = [i for i in walk.reads if self._input(i).letter != "n"]
        takes = ", ".join([f"{self.index} t", *(f"const {self._pack(self._input(i))} &x{i}" for i in reads)])
        lines += [f"auto step{number} = [&]({takes}) {{", *self._step(walk), "};"]
        if self.packs:
            given = "".join(f", mine{i}[t]" if i in self.in_registers else f", load{i}(t)" for i in reads)
            lines += ["#pragma unroll", f"for (int t = 0; t < {self.packs}; ++t) step{number}(t{given});"]
            return lines + [line for r in walk.reductions for line in self._joined(r)]
        held = set(reads) & set(self.held)
        if held:
            again = "" if self.fresh else "if (steps > held) "
            self.fresh = False
            lines += ["#pragma unroll 1", f"for ({self.index} from = 0; from < steps; from += held) {{", f"    {again}hold(from);"]
            lines += [f"    const {self.index} some = min(held, steps - from);"]
        here, stop = ("from + u + c", "some") if held else ("u + c", "steps")
        before, behind = self._together(walk)
        inner = [
            "#pragma unroll 1", f"for ({self.index} u = 0; u < {stop}; u += C) {{",
            *(f"    {line}" for line in before), *(f"    {self._pack(self._input(i))} now{i}[C];" for i in reads),
            "#pragma unroll", "    for (int c = 0; c < C; ++c) {",
            *(f"        if (u + c < {stop}) now{i}[c] = {f'kept{i}(u + c)' if i in held else f'load{i}({here})'};" for i in reads),
            "    }", "#pragma unroll",
            f"    for (int c = 0; c < C; ++c) if (u + c < {stop}) step{number}({here}{''.join(f', now{i}[c]' for i in reads)});",
            *(f"    {line}" for line in behind), "}",
        ]  # fmt: skip
        lines += ["    " + s for s in inner] + ["}"] if held else inner
        for r in walk.reductions:
            lines += self._joined(r)
        return lines

    def _together(self, walk):
        """Statements before and behind the steps that are asked for together."""
        return [], []

    def _outs(self, walk):
        """(declarations, arguments) for what an element's function fills in, of element j."""
        lines, outs = [], []
        for r in walk.reductions:
            names = [f"{self.accumulators[r]}_{slot}" for slot in range(len(r.slots))]
            lines += [f"    {C_TYPE[t]} {name}[V];" for name, t in zip(names, r.slots, strict=True)]
            outs += [f"{name}[j]" for name in names]
        for k, _ in self._full_outputs if not walk.reductions else ():
            o = self.operands[k]
            lines.append(f"    {self._pack(o)} y{k};")
            outs += [f"y{k}.v[j]"] if o.parts == 1 else [f"y{k}.v[2 * j + {q}]" for q in range(2)]
        return lines, outs

    @staticmethod
    def _computed(walk, given):
        """Statements that compute a step's V elements. Quotients by a row's divisor take a division only where one of them needs it:
        one branch for all of them, so that they overlap."""
        every = "#pragma unroll", "    for (int j = 0; j < V; ++j)"
        if not walk.divides:
            return [every[0], f"{every[1]} {walk.name}({given});"]
        quick, slow = (f"{every[1]} {walk.name}<{exact}>(close, {given});" for exact in ("false", "true"))
        return ["    bool close = true;", every[0], quick, "    if (!close) {", every[0], "    " + slow, "    }"]

    def _written(self, walk):
        """Statements that write a step's elements of the FULL outputs."""
        lines = []
        for k, _ in self._full_outputs if not walk.reductions else ():
            o = self.operands[k]
            whole = "whole" if o.letter == "c" else "false"
            lines.append(f"    scattered<{o.storage}, V, {o.parts}>(y{k}, {whole}, {self._scattering(o)});")
        return lines

    def _stores(self, values):
        """Statements that store the ROW outputs, whose texts are ``values``."""
        lines = []
        for k, output in self._row_outputs:
            o, stored = self.operands[k], ty.part(output.type)
            for q, e in enumerate(output.parts):
                address = self._row_address(o) + (f" + {o.bytes // 2}" if q else "")
                lines.append(f"store<{o.storage}>({address}, {storable(values[e], e.type, stored)});")
        return lines
