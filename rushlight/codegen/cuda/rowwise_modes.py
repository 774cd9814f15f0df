"""The loops of the two modes of rowwise kernels."""

from ..reduction import slot_of
from .rowwise_kernel import RowKernel
from .scalar import C_TYPE


class AlongRows(RowKernel):
    """Mode 'row': ``width`` threads share a row. In a step each takes V of its elements: neighbours where all rows are aligned
    (``whole``), else every ``width``-th one."""

    dense_along_rows = True

    @staticmethod
    def joining(threads, vector):
        """How many accumulators a join keeps in shared memory."""
        return threads // 32

    def _run(self):
        index, partial = self.index, self.stage == "partial"
        rooms = "".join(f", {self._type(r)} *room_{a}" for r, a in self.accumulators.items())
        inner = [
            f"const {index} mine = base + (threadIdx.x >> shift), at = mine < all ? mine : all - 1;",
            f"const {index} stretch = {'at / rows' if partial else '0'}, row = at - stretch * rows;",
            f"const {index} begin = ({index})(stretch * p.stretch);",
            f"const {index} end = {f'min(begin + ({index})p.stretch, ({index})p.length)' if partial else f'({index})p.length'};",
            f"const {index} length = end - begin, skipped = whole ? min(lane * V, length) : 0;",
            f"const {index} steps = ((length - skipped + V - 1) / V + width - 1) >> shift;",
            f"auto first = [&]({index} t) {{ return begin + (whole ? (t * width + lane) * V : t * V * width + lane); }};",
            "const Places r = places(p, row, stretch);",
            *self._loads(),
            *self._hold(),
        ]
        for number, walk in enumerate(self.walks):
            inner += self._walk(walk, number)
        inner += self._outputs()
        # A join's room is free again behind the next join's barrier: the last one's at the first one of the next turn, if that is another.
        inner += ["if (width > 32) __syncthreads();"] if len(self.accumulators) == 1 else []
        return "\n".join([
            f"INLINE void run(const Parameters &p{rooms})",
            "{",
            f"    constexpr int V = {self.vector}, C = {self.ahead};",
            f"    constexpr bool whole = {self.whole};  // do a thread's V elements lie together?",
            *self._shared_by(),
            f"    const {index} lane = threadIdx.x & (width - 1), groups = blockDim.x >> shift;",
            f"    const {index} apart = whole ? 1 : width;",
            f"    const {index} rows = ({index})p.rows, all = rows * ({index})p.stretches;",
            *self._shared("threadIdx.x", "blockDim.x"),
            "#pragma unroll 1",
            f"    for ({index} base = ({index})blockIdx.x * groups; base < all; base += ({index})gridDim.x * groups) {{",
            *("        " + line for line in inner),
            "    }",
            "}",
        ])  # fmt: skip

    def _shared_by(self):
        """Statements that say how many threads share a row, a power of two."""
        if self.width:
            return [f"    constexpr {self.index} width = {self.width};", f"    constexpr u32 shift = {self.width.bit_length() - 1};"]
        return [f"    const {self.index} width = ({self.index})p.width;", "    const u32 shift = __popc((u32)width - 1);"]

    def _row_address(self, o):
        return f"r.at{o.k}"

    def _address(self, o):
        """The function that says where element e of the row is, of step t. Steps of kept rows lie a known distance apart: one address
        serves all."""
        if self.width and self.whole == "true" and self.reduced == 1 and o.letter == "c":
            return f"[&]({self.index}) {{ return r.at{o.k} + lane * (V * {o.bytes}) + t * (width * V * {o.bytes}); }}"
        return f"[&]({self.index} e) {{ return r.at{o.k} + offset{o.k}(p, e); }}"

    def _gathering(self, o):
        return f"{self._address(o)}, first(t), apart, end"

    def _scattering(self, o):
        return f"{self._address(o)}, first(t), apart, ({self.index})(mine < all ? end : 0)"

    def _know(self, nodes):
        """Statements for ROW nodes that the next walk takes."""
        scalar, values = self._row_statements(nodes)
        self.known |= values
        return scalar.lines

    def _started(self, r):
        return f"{self._type(r)} {self.accumulators[r]} = {{{self._start(r)}}};"

    def _step(self, walk):
        lines, outs = self._outs(walk)
        raw = [x for i in walk.reads if self._input(i).letter != "n" for x in self._raw(i, f"x{i}")]
        given = ", ".join(["p", "(i64)(start + j * apart)", *raw, *(self.known[n] for n in walk.frontier), *outs])
        lines += [
            f"    const {self.index} start = first(t);",
            *self._computed(walk, given),
        ]  # fmt: skip
        outside, takes = [], []
        for r in walk.reductions:
            a = self.accumulators[r]
            names = [f"{a}_{slot}" for slot in range(len(r.slots))]
            outside += [f"{name}[j] = {v};" for name, v in zip(names, self._neutral(r), strict=True)]
            if r.two_level:
                takes.append(f"    {a}.take(sum_of<V>({names[0]}));")
            else:
                takes += ["#pragma unroll", f"    for (int j = 0; j < V; ++j) {a}.take({', '.join(f'{name}[j]' for name in names)});"]
        if outside:  # kept packs are all computed, in a straight line, so that the compiler finds what two walks compute alike
            lines += [
                f"    if ({'' if self.packs else '!whole && '}start + (V - 1) * apart >= end) {{", "#pragma unroll",
                f"        for (int j = 0; j < V; ++j) if (start + j * apart >= end) {{ {' '.join(outside)} }}",
                "    }",
            ]  # fmt: skip
        return lines + takes + self._written(walk)

    def _joined(self, r):
        a = self.accumulators[r]
        self.known |= {node: f"{a}_value{slot_of(node)}" for node in r.nodes}
        values = [f"const {C_TYPE[t]} {a}_value{slot} = {a}.slot{slot}();" for slot, t in enumerate(r.slots)]
        return [f"{a} = joined({a}, (int)width, room_{a});", *values]

    def _outputs(self):
        """The ROW outputs, written by one of the threads that share the row."""
        if not self._row_roots:
            return []
        scalar, values = self._row_statements(self._row_roots)
        return [*scalar.lines, "if (lane == 0 && mine < all) {", *("    " + s for s in self._stores(values)), "}"]


class DownColumns(RowKernel):
    """Mode 'column': a thread has V rows, neighbours along kept dim 0, and takes one element of each in a step; the threads
    (x, 0), (x, 1) ... share them."""

    dense_along_rows = False

    @staticmethod
    def joining(threads, vector):
        """How many accumulators a join keeps in shared memory."""
        return max(1, threads // 2) * vector

    def _run(self):
        index = self.index
        rooms = "".join(f", {self._type(r)} *room_{a}" for r, a in self.accumulators.items())
        inner = [
            f"const {index} tile = b % tiles, outer = b / tiles % outers, stretch = b / tiles / outers;",
            f"const {index} begin = ({index})(stretch * p.stretch), end = min(begin + ({index})p.stretch, ({index})p.length);",
            f"const {index} column = tile * blockDim.x * V + threadIdx.x * (whole ? V : 1), columns = ({index})p.kept[0];",
            f"const {index} down = begin + threadIdx.y, steps = down < end ? (end - down + blockDim.y - 1) / blockDim.y : 0;",
            "const Places r = places(p, outer * kept, stretch);",
            *self._loads(),
            *self._hold(),
        ]
        for number, walk in enumerate(self.walks):
            inner += self._walk(walk, number)
        inner += self._outputs()
        inner += ["if (blockDim.y > 1) __syncthreads();"] if len(self.accumulators) == 1 else []  # as along rows
        return "\n".join([
            f"INLINE void run(const Parameters &p{rooms})",
            "{",
            f"    constexpr int V = {self.vector}, C = {self.ahead};",
            f"    constexpr bool whole = {self.whole};  // do a thread's V elements lie together?",
            f"    const {index} apart = whole ? 1 : blockDim.x;",
            f"    const {index} kept = ({index})p.kept[0], tiles = (kept + blockDim.x * V - 1) / (blockDim.x * V);",
            f"    const {index} outers = ({index})p.rows / kept, all = tiles * outers * ({index})p.stretches;",
            *self._shared("(threadIdx.y * blockDim.x + threadIdx.x)", "(blockDim.x * blockDim.y)"),
            "#pragma unroll 1",
            f"    for ({index} b = blockIdx.x; b < all; b += gridDim.x) {{",
            *("        " + line for line in inner),
            "    }",
            "}",
        ])  # fmt: skip

    def _row_address(self, o):
        return f"r.at{o.k} + ({self.offset})c * {self._step_of(o)}"

    def _step_of(self, o):
        """The byte distance of neighbouring rows of an operand."""
        if (self.stage == "partial" and o.k < len(self.outputs)) or o.letter == "c":
            return str(o.bytes)
        return f"({self.offset})p.kept_stride[{o.k}][0]"

    def _gathering(self, o):
        address = f"{self._row_address(o)} + offset{o.k}(p, down + t * blockDim.y)"
        return f"[&]({self.index} c) {{ return {address}; }}, column, apart, columns"

    _scattering = _gathering

    def _columns(self, statements):
        """Statements for each row j that there is, at column + j * apart."""
        if not statements:
            return []
        return [
            "#pragma unroll", "for (int j = 0; j < V; ++j) {",
            f"    const {self.index} c = min(column + j * apart, columns - 1);",
            "    const i64 row = outer * kept + c;",
            *("    " + s for s in statements), "}",
        ]  # fmt: skip

    def _know(self, nodes):
        """Statements for ROW nodes that the next walk takes: an array each, with an entry for each row of the thread."""
        new = [n for n in nodes if n not in self.known]
        scalar, values = self._row_statements(new)
        names = {n: f"k{self.serial}_{i}" for i, n in enumerate(new)}
        lines = [f"{C_TYPE[n.type]} {name}[V];" for n, name in names.items()]
        body = [*scalar.lines, *(f"{name}[j] = {values[n]};" for n, name in names.items())]
        self.known |= {n: f"{name}[j]" for n, name in names.items()}
        return lines + self._columns(body) if new else []

    def _started(self, r):
        a, start = self.accumulators[r], self._start(r)
        some = f" {C_TYPE[r.type]} {a}_some[V];" if self._summed(r) else ""
        return f"{self._type(r)} {a}[V];{some}\n#pragma unroll\n        for (int j = 0; j < V; ++j) {a}[j] = {{{start}}};"

    def _summed(self, r):
        """Are a column's elements of several steps added before the accumulator takes them?"""
        return r.two_level and self.ahead > 1

    def _together(self, walk):
        some = [self.accumulators[r] for r in walk.reductions if self._summed(r)]
        before = ["#pragma unroll", f"for (int j = 0; j < V; ++j) {{ {' '.join(f'{a}_some[j] = 0;' for a in some)} }}"]
        behind = ["#pragma unroll", f"for (int j = 0; j < V; ++j) {{ {' '.join(f'{a}[j].take({a}_some[j]);' for a in some)} }}"]
        return (before, behind) if some else ([], [])

    def _step(self, walk):
        lines, outs = self._outs(walk)
        raw = [x for i in walk.reads if self._input(i).letter != "n" for x in self._raw(i, f"x{i}")]
        given = ", ".join(["p", "(i64)(down + t * blockDim.y)", *raw, *(self.known[n] for n in walk.frontier), *outs])
        takes = []
        for r in walk.reductions:
            a = self.accumulators[r]
            element = ", ".join(f"{a}_{slot}[j]" for slot in range(len(r.slots)))
            takes.append(f"        {a}_some[j] += {element};" if self._summed(r) else f"        {a}[j].take({element});")
        lines += self._computed(walk, given)
        lines += ["#pragma unroll", "    for (int j = 0; j < V; ++j) {", *takes, "    }"] if takes else []
        return lines + self._written(walk)

    def _joined(self, r):
        a = self.accumulators[r]
        self.known |= {node: f"{a}[j].slot{slot_of(node)}()" for node in r.nodes}
        spread = "true" if r not in self.walks[-1].reductions else "false"  # who else wants it comes in a later walk
        return [f"joined_down({a}, room_{a}, {spread});"]

    def _outputs(self):
        """The ROW outputs, written by the first of the threads that share a row."""
        if not self._row_roots:
            return []
        scalar, values = self._row_statements(self._row_roots)
        statements = ["if (column + j * apart >= columns) break;", *scalar.lines, *self._stores(values)]
        return ["if (threadIdx.y == 0) {", *("    " + s for s in self._columns(statements)), "}"]


MODES = {"row": AlongRows, "column": DownColumns}
