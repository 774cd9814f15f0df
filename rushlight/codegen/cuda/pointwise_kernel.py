"""The CUDA C of a pointwise kernel.

    element(...)     one element: from operands' images in memory to outputs' images
    run<V, U>        a grid-stride loop in which a thread takes U groups of V elements: all their loads, then the rest
    the kernel       run with 16-byte accesses where alignment allows, and element by element for what is left

Where an operand has any stride along dim 0, dims 0 and 1 are walked in tiles of 32 x 32, one in each turn of a block. An input that is
dense along dim 1 (a transposed matrix) is read along that, and turned in shared memory; what else has strides comes through the cache.

Exact aliasing of an input and an output is sound: a thread reads its elements before it writes them.
"""

from ...lang import types as ty
from ...lang.expr import topological
from ..pointwise import Store, part_of, position_of
from .scalar import C_TYPE, Scalar, loaded, storable, storage

THREADS = 256
_TURNED = 40 << 10  # bytes of shared memory for tiles of inputs that may be transposed
_IN_FLIGHT = 32  # bytes that a thread should have asked for before it waits
_HEAVY, _DEAR = 60, 250  # nodes of a graph: from the first on one group a turn, from the second on groups of two at most


class Operand:
    """One operand of a kernel: where its elements are and how the kernel gets at them.

    packed: moved in groups along the dense dim; addressed: the element's address is needed (for offsets and atomics).
    """

    def __init__(self, k, letter, type, packed, addressed):
        self.k, self.letter, self.type, self.packed, self.addressed = k, letter, type, packed, addressed
        self.storage, self.parts = storage(type), 2 if ty.is_complex(type) else 1
        self.bytes = ty.BITS[type] // 8

    @property
    def slot(self):
        return f"p.operand[{self.k}]"

    def pack(self, count):
        """The C++ type of ``count`` elements."""
        return f"Pack<{self.storage}, {count if self.parts == 1 else f'2 * {count}'}>"


def vector_of(types, letters, weight):
    """Elements in a group: 16 bytes of the widest dense operand, fewer for large graphs."""
    dense = [ty.BITS[t] // 8 for t, letter in zip(types, letters, strict=True) if letter == "c"]
    if not dense or "v" in letters:
        return 1
    return min(max(1, 16 // max(dense)), 8 if weight < _HEAVY else 4 if weight < _DEAR else 2)


def groups_of(types, letters, vector, weight):
    """Groups that a thread takes in a turn of the loop."""
    if weight >= _HEAVY:
        return 1
    if "v" in letters:
        return 4
    asked = sum(vector * ty.BITS[t] // 8 for t, letter in zip(types, letters, strict=True) if letter == "c")
    return min(4 if vector == 1 else 2, max(1, _IN_FLIGHT // max(asked, 1)))


class Pointwise:
    """Writes one kernel. outputs: as for codegen's CPU kernels, lowered; n_out of the layout's letters are theirs."""

    block, blocks = "blockIdx.x", "gridDim.x"  # which block works on the loop's elements, of how many

    def __init__(self, outputs, inputs, layout, rank, wide, vector, groups):
        self.outputs = [Store(*o) for o in outputs]
        self.rank, self.wide, self.vector, self.groups = rank, wide, vector, groups
        offsets = [o.offset for o in self.outputs if o.offset is not None]
        self.graph = topological([e for o in self.outputs for e in o.parts] + offsets)
        self.operands = [self._output(k, letter) for k, letter in enumerate(layout[: len(outputs)])]
        self.operands += [self._input(i, layout[len(outputs) + i], t) for i, t in enumerate(inputs)]
        self.index = "i64" if wide or not rank else "u32"
        self.tiled = rank >= 2 and "v" in layout and not any(n.op == "checked" for n in self.graph)
        self.tables = {}
        self.turned, room = [], _TURNED
        for o in self.operands[len(outputs) :] if self.tiled else ():
            if o.packed and o.letter == "v" and 32 * 33 * o.bytes <= room:
                self.turned.append(o)
                room -= 32 * 33 * o.bytes

    def _output(self, k, letter):
        store = self.outputs[k]
        apart = store.offset is not None or (store.add and (self.rank or letter != "c")) or self._updates(store) is not None
        return Operand(k, letter, store.type, not apart, apart)

    def _input(self, position, letter, type):
        nodes = [n for n in self.graph if n.op in ("input", "load") and position_of(n) == position]
        read = any(n.op == "input" for n in nodes)
        return Operand(len(self.outputs) + position, letter, type, read and letter != "n", any(n.op == "load" for n in nodes))

    def _updates(self, store):
        """The ``load`` nodes that a value is made from at the very offset it is stored at: replaced in one atomic step."""
        if store.add or store.offset is None:
            return None
        found = [n for n in topological(store.parts) if n.op == "load" and n.args[0] is store.offset]
        return found or None

    @property
    def _placed(self):
        return [o for o in self.operands if o.packed or o.addressed]

    # -- the parts of the source --

    def write(self, symbol):
        """The kernel's source."""
        element = self._element()
        parts = [
            f"namespace ns_{symbol} {{",
            *self.tables.values(),
            self._parameters(),
            element,
            *([self._struct(), self._places()] if self.rank else []),
            self._run(),
            *([self._tiles()] if self.tiled else []),
            self._signature(symbol),
            "{",
            *self._main(),
            "}",
            f"}}  // namespace ns_{symbol}",
            "",
        ]
        return "\n".join(parts)

    def _signature(self, symbol):
        return f'extern "C" __global__ void __launch_bounds__({THREADS}) {symbol}(const __grid_constant__ Parameters p)'

    def _parameters(self):
        n, rank = len(self.operands), self.rank
        sizes = f" size[{rank}];" if rank else ""
        strides = f" i64 stride[{n}][{rank}];" if rank else ""
        return f"struct Parameters {{ i64 n{',' + sizes[:-1] if sizes else ''}; Slot operand[{n}];{strides} Fault *fault; }};"

    def _element(self):
        """The function that computes one element."""
        takes = ["const Parameters &p", "i64 index"]
        for o in self.operands[len(self.outputs) :]:
            if o.packed:
                takes += [f"{o.storage} x{o.k}_{part}" for part in range(o.parts)]
        takes += [f"char *at{o.k}" for o in self.operands if o.addressed]
        takes += [f"{o.storage} &y{o.k}_{part}" for o in self.operands[: len(self.outputs)] if o.packed for part in range(o.parts)]
        scalar = Scalar(self._leaf, tables=self.tables)
        held = {n for store in self.outputs for n in self._updates(store) or ()}
        scalar.evaluate([o.offset for o in self.outputs if o.offset is not None])
        scalar.evaluate([e for store in self.outputs if not self._updates(store) for e in store.parts])
        lines = []
        for k, store in enumerate(self.outputs):
            lines += self._updating(k, store, scalar, held) if self._updates(store) else self._storing(k, store, scalar)
        body = "\n".join("    " + line for line in [*scalar.lines, *lines])
        return f"INLINE void element({', '.join(takes)})\n{{\n{body}\n}}"

    def _leaf(self, node, *args):
        if node.op == "checked":
            return f"checked(p.fault, {node.attr}, {args[0]}, {args[1]}, index)"
        o, part = self.operands[len(self.outputs) + position_of(node)], part_of(node)
        stored = ty.part(o.type)
        if node.op == "load":
            behind = f" + {part * o.bytes // 2}" if part else ""
            return loaded(f"load<{o.storage}>(at{o.k} + {args[0]}{behind})", stored, node.type)
        if o.letter == "n":
            return loaded(f"number<{o.storage}>({o.slot}, {part})", stored, node.type)
        return loaded(f"x{o.k}_{part}", stored, node.type)

    def _storing(self, k, store, scalar):
        """Statements that store output k, whose values the scalar machine knows."""
        o, stored, lines = self.operands[k], ty.part(store.type), []
        offset = "" if store.offset is None else f" + {scalar.values[store.offset]}"
        for part, e in enumerate(store.parts):
            value, t = scalar.values[e], e.type
            address = f"at{k}{offset}" + (f" + {part * o.bytes // 2}" if part else "")
            if o.packed and store.add:
                total = _sum(loaded(f"y{k}_{part}", stored, t), value, t)
                lines.append(f"y{k}_{part} = {storable(f'({total})', t, stored)};")
            elif o.packed:
                lines.append(f"y{k}_{part} = {storable(value, t, stored)};")
            elif not store.add:
                lines.append(f"store<{o.storage}>({address}, {storable(value, t, stored)});")
            elif stored in ("f32", "f64", "i32", "u32", "i64", "u64") and t == stored:
                lines.append(f"atomic_add(reinterpret_cast<{stored} *>({address}), {value});")
            else:
                total = storable(f"({_sum(loaded('seen', stored, t), value, t)})", t, stored)
                change = f"[&]({o.storage} seen) {{ return ({o.storage}){total}; }}"
                lines.append(f"atomic_update(reinterpret_cast<{o.storage} *>({address}), {change});")
        return lines

    def _updating(self, k, store, scalar, held):
        """A read, change and write in one atomic step."""
        o, stored = self.operands[k], ty.part(store.type)
        whole = o.storage if o.parts == 1 else o.pack(1)
        if o.bytes > 8:
            raise TypeError(f"elements of type {o.type} can't be updated in one step on a GPU")
        before = {}
        for node in held:
            part = part_of(node)
            before[node] = loaded("seen" if o.parts == 1 else f"seen.v[{part}]", stored, node.type)
        apart = [n for e in store.parts for n in topological([e]) if not any(m in held for m in topological([n]))]
        scalar.evaluate([n for n in apart if n.op != "const"])
        inner = Scalar(self._leaf, {**scalar.values, **before}, self.tables, "s")
        values = [storable(v, e.type, stored) for v, e in zip(inner.evaluate(store.parts), store.parts, strict=True)]
        result = f"({whole}){values[0]}" if o.parts == 1 else f"{whole}{{{{{', '.join(values)}}}}}"
        address = f"reinterpret_cast<{whole} *>(at{k} + {scalar.values[store.offset]})"
        return [
            f"atomic_update({address}, [&]({whole} seen) -> {whole} {{",
            *("    " + line for line in inner.lines),
            f"    return {result};",
            "});",
        ]

    def _struct(self):
        """Byte offsets of every operand."""
        kind = "i64" if self.wide else "i32"
        return f"struct Places {{ {' '.join(f'{kind} at{o.k};' for o in self._placed)} }};"

    def _moved(self, count, dim):
        """Statements that move all operands ``count`` steps along a dim."""
        kind = "i64" if self.wide else "i32"
        return [f"w.at{o.k} += ({kind}){count} * ({kind})p.stride[{o.k}][{dim}];" for o in self._placed]

    def _places(self):
        """Where group i of V elements is, in the order of the dims."""
        index, rank = self.index, self.rank
        return "\n".join([
            "template <int V> INLINE Places places(const Parameters &p, i64 i)",
            "{",
            f"    Places w = {{{', '.join('0' for _ in self._placed)}}};",
            f"    {index} rest = ({index})i;",
            "#pragma unroll" if rank <= 4 else "#pragma unroll 1",
            f"    for (int d = 0; d < {rank}; ++d) {{",
            f"        const {index} extent = ({index})p.size[d] / (d == 0 ? V : 1);",
            f"        const {index} next = d == {rank - 1} ? 0 : rest / extent;",
            f"        const {index} c = (rest - next * extent) * (d == 0 ? V : 1);",
            *("        " + line for line in self._moved("c", "d")),
            "        rest = next;",
            "    }",
            "    return w;",
            "}",
        ])  # fmt: skip

    def _run(self):
        """The loop over groups of V elements, in the order of the dims."""
        index, step = self.index, f"{THREADS} * U"
        place = ["where[u] = places<V>(p, i);"] if self.rank else []
        return "\n".join([
            f"template <int V, int U> INLINE void run(const Parameters &p, {index} begin, {index} end)",
            "{",
            "#pragma unroll 1",
            f"    for ({index} turn = begin + ({index}){self.block} * ({step}); turn < end; turn += ({index}){self.blocks} * ({step})) {{",
            *self._turn(f"const {index} i = turn + u * {THREADS} + threadIdx.x;", "i < end", place),
            "    }",
            "}",
        ])  # fmt: skip

    def _tiles(self):
        """The loop over tiles of 32 x 32 elements: a warp has a line of 32, the block eight lines at a time."""
        index, rank = self.index, self.rank
        lines = THREADS // 32
        place = ["Places w = origin;", *self._moved(f"(u * {lines})", 1), "where[u] = w;"]
        return "\n".join([
            "INLINE void run_tiles(const Parameters &p)",
            "{",
            f"    constexpr int V = 1, U = {32 // lines};",
            *(f"    __shared__ {o.pack(1)} tile{o.k}[32][33];" for o in self.turned),
            *(f"    const bool turned{o.k} = p.stride[{o.k}][1] == {o.bytes};" for o in self.turned),
            f"    const bool turned = {' || '.join(f'turned{o.k}' for o in self.turned) or 'false'};",
            "    const int lane = threadIdx.x % 32, line = threadIdx.x / 32;",
            f"    const {index} across = (({index})p.size[0] + 31) / 32, down = (({index})p.size[1] + 31) / 32;",
            f"    const {index} all = ({index})p.n / (({index})p.size[0] * ({index})p.size[1]) * across * down;",
            "#pragma unroll 1",
            f"    for ({index} turn = blockIdx.x; turn < all; turn += gridDim.x) {{",
            f"        Places w = {{{', '.join('0' for _ in self._placed)}}};",
            f"        {index} rest = turn;",
            f"        const {index} x0 = rest % across * 32, y0 = rest / across % down * 32, x = x0 + lane, y = y0 + line;",
            "        rest /= across * down;",
            f"        for (int d = 2; d < {rank}; ++d) {{",
            f"            const {index} next = rest / ({index})p.size[d], c = rest - next * ({index})p.size[d];",
            *("            " + line for line in self._moved("c", "d")),
            "            rest = next;",
            "        }",
            *self._turn_around(),
            *("        " + line for line in [*self._moved("x", 0), *self._moved("y", 1)]),
            "        const Places origin = w;",
            *self._turn("const i64 i = 0;", f"x < ({index})p.size[0] && y + u * {lines} < ({index})p.size[1]", place, self.turned),
            *(["        if (turned) __syncthreads();"] if self.turned else []),
            "    }",
            "}",
        ])  # fmt: skip

    def _turn_around(self):
        """Statements that put the tile of each transposed input into shared memory: warps go along dim 1, eight lines at a time."""
        index, kind, lines = self.index, "i64" if self.wide else "i32", THREADS // 32
        if not self.turned:
            return []
        begin = {o.k: f"{o.slot}.pointer + w.at{o.k}" for o in self.turned}
        address = {o.k: f"{begin[o.k]} + ({kind})a * ({kind})p.stride[{o.k}][0] + ({kind})b * {o.bytes}" for o in self.turned}
        keeps = " ".join(f"tile{o.k}[line + u * {lines}][lane] = held{o.k}[u];" for o in self.turned)
        return [
            "        if (turned) {",
            *(f"            {o.pack(1)} held{o.k}[U];" for o in self.turned),
            "#pragma unroll",
            "            for (int u = 0; u < U; ++u) {",
            f"                const {index} a = x0 + line + u * {lines}, b = y0 + lane;",
            f"                if (a < ({index})p.size[0] && b < ({index})p.size[1]) {{",
            *(f"                    if (turned{o.k}) held{o.k}[u] = load<{o.pack(1)}>({address[o.k]});" for o in self.turned),
            "                }",
            "            }",
            "#pragma unroll",
            f"            for (int u = 0; u < U; ++u) {{ {keeps} }}",
            "            __syncthreads();",
            "        }",
        ]

    def _turn(self, number, inside, place, turned=()):
        """A thread's U groups: all loads, then everything else. number: the statement that numbers group u; inside: when there is one;
        place: statements that find it; turned: the inputs that may lie in shared memory."""
        reads = [o for o in self.operands[len(self.outputs) :] if o.packed]
        writes = [o for o in self.operands[: len(self.outputs)] if o.packed]
        kind = {o.k: o.pack("V") if o.letter == "c" else o.pack(1) for o in reads}
        return [
            *(f"        {kind[o.k]} in{o.k}[U];" for o in reads),
            *(["        Places where[U];"] if self.rank else []),
            "#pragma unroll",
            "        for (int u = 0; u < U; ++u) {",
            f"            {number}",
            f"            if ({inside}) {{",
            *("                " + line for line in place),
            *(f"                in{o.k}[u] = {self._read(o, kind[o.k], o in turned)};" for o in reads),
            "            }",
            "        }",
            "#pragma unroll",
            "        for (int u = 0; u < U; ++u) {",
            f"            {number}",
            f"            if ({inside}) {{",
            *(f"                {o.pack('V')} out{o.k}{self._before(o)};" for o in writes),
            "#pragma unroll",
            f"                for (int j = 0; j < V; ++j) element({', '.join(self._arguments())});",
            *(f"                store({self._address(o)}, out{o.k});" for o in writes),
            "            }",
            "        }",
        ]

    def _read(self, o, kind, turned):
        """The text that reads group u of an input."""
        text = f"load<{kind}>({self._address(o)})"
        return f"turned{o.k} ? tile{o.k}[lane][line + u * {THREADS // 32}] : {text}" if turned else text

    def _before(self, o):
        """The initial value of an output's group: what is there, if it is added to."""
        return f" = load<{o.pack('V')}>({self._address(o)})" if self.outputs[o.k].add else ""

    def _address(self, o):
        if self.rank:
            return f"{o.slot}.pointer + where[u].at{o.k}"
        return f"{o.slot}.pointer" + (f" + i * (V * {o.bytes})" if o.letter == "c" else "")

    def _arguments(self):
        """What element() is called with, for element j of group u."""
        arguments = ["p", "i * V + j"]
        for o in self.operands[len(self.outputs) :]:
            if o.packed:
                base = "j" if o.letter == "c" else "0"
                arguments += [f"in{o.k}[u].v[{base}]"] if o.parts == 1 else [f"in{o.k}[u].v[2 * {base} + {q}]" for q in range(2)]
        arguments += [self._address(o) + (f" + j * {o.bytes}" if o.letter == "c" else "") for o in self.operands if o.addressed]
        for o in self.operands[: len(self.outputs)]:
            if o.packed:
                arguments += [f"out{o.k}.v[j]"] if o.parts == 1 else [f"out{o.k}.v[2 * j + {q}]" for q in range(2)]
        return arguments

    def _main(self):
        if self.vector == 1:
            tiles = ["    if (p.size[0] >= 16 && p.size[1] >= 16) run_tiles(p);\n    else"] if self.tiled else []
            return [*tiles, f"    run<1, {self.groups}>(p, 0, p.n);"]
        fits = [f"divides({min(16, self.vector * o.bytes)}, {o.slot}.pointer)" for o in self.operands if o.packed and o.letter == "c"]
        lines = [f"    bool fits = {' && '.join(fits) or 'true'};"]
        if not self.rank:
            return [
                *lines,
                f"    const i64 whole = fits ? p.n / {self.vector} : 0;",
                f"    run<{self.vector}, {self.groups}>(p, 0, whole);",
                f"    run<1, 1>(p, whole * {self.vector}, p.n);",
            ]
        dense = [o for o in self.operands if o.packed and o.letter == "c"]
        tests = [f"divides({min(16, self.vector * o.bytes)}, p.stride[{o.k}][d])" for o in dense]
        return [
            *lines,
            f"    for (int d = 1; d < {self.rank}; ++d) fits = fits && {' && '.join(tests) or 'true'};",
            f"    if (fits && p.size[0] % {self.vector} == 0) run<{self.vector}, {self.groups}>(p, 0, p.n / {self.vector});",
            "    else run<1, 2>(p, 0, p.n);",
        ]


def _sum(a, b, t):
    """The text of a + b for values of element type ``t``."""
    if t == "b1":
        return f"{a} | {b}"
    if t in ty.INTS:
        wide = "u64" if ty.BITS[t] == 64 else "u32"
        return f"({C_TYPE[t]})(({wide}){a} + ({wide}){b})"
    return f"{a} + {b}"


