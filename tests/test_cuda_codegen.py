"""CUDA kernels, compiled for the host with the shim (tests/cuda/), against the interpreter of the language, against NumPy and
against the CPU's kernels: operations, types, layouts, stages, thread orders."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from cuda_calls import ORDERS, Fault, Together, built, letters_of, run_pointwise, shim
from kernel_calls import DTYPE, rng, same, sample
from rushlight._core.operator import entries_of
from test_codegen import BINARY, SMALL, UNARY

from rushlight.codegen import cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.lang import expr as E
from rushlight.lang import functions as f
from rushlight.lang import types as ty
from rushlight.lang.evaluate import evaluate

pytestmark = pytest.mark.skipif(not shim.have(), reason="needs g++")

FLOATS = ["f32", "f64"]
REAL = [t for t in DTYPE if t not in ty.COMPLEX and t != "f16"]


# -- operations and conversions: one kernel for each type, an output for each operation ----------------------------------------


def operations(t):
    """Name -> expression of two inputs, for every operation on type ``t``."""
    x, y = E.input(0, t), E.input(1, t)
    found = {name: make(x) for name, (types, make) in UNARY.items() if t in types}
    found |= {name: make(x, y) for name, (types, make) in BINARY.items() if t in types}
    found["select"] = E.select(x < y if t != "b1" else x & y, x, y)
    if t in FLOATS:
        found["fma"] = f.fma(x, y, x)
        found["bits"] = E.make("bitcast", (x,), ty.int_of(t))
    if t in ("i32", "u32", "i64", "u64"):
        found["mulhi"] = E.make("mulhi", (x, y), t)
    return found


@pytest.fixture(scope="module")
def operation_kernels():
    together = Together()
    kernels = {}
    for t in REAL:
        exprs = list(operations(t).values())
        kernels[t] = together.pointwise(tuple((e, e.type) for e in exprs), (t, t), "c" * (len(exprs) + 2), 0, False, name=f"all_{t}")
    together.build()
    return kernels, together.library


@pytest.mark.parametrize("t", REAL)
def test_operations(operation_kernels, t):
    kernels, library = operation_kernels
    named = operations(t)
    a, b = sample(t, 701, 1), sample(t, 701, 2)
    for order in ORDERS[:2]:
        outs = [np.zeros(701, DTYPE[e.type]) for e in named.values()]
        run_pointwise(library, kernels[t], [*outs, a, b], "c" * (len(outs) + 2), 0, (701,), order)
        for (name, e), out in zip(named.items(), outs, strict=True):
            if name == "mulhi":
                assert [int(v) for v in out] == [int(p) * int(q) >> ty.BITS[t] for p, q in zip(a, b, strict=True)]
            else:
                try:
                    same(out, evaluate([e], [a, b])[0])
                except AssertionError as error:
                    raise AssertionError(f"{name}: {error}") from error


@pytest.fixture(scope="module")
def cast_kernels():
    together, kernels = Together(), {}
    for t in [*REAL, "f16"]:
        x = E.input(0, ty.opmath(t))
        outputs = tuple((E.cast(x, u), u) for u in [*REAL, "f16"])
        kernels[t] = together.pointwise(outputs, (t,), "c" * (len(outputs) + 1), 0, False, name=f"casts_{t}")
    together.build()
    return kernels, together.library


@pytest.mark.parametrize("t", [*REAL, "f16"])
def test_casts_are_those_of_the_cpu(cast_kernels, t):
    kernels, library = cast_kernels
    x = sample(t, 605)
    if t in ("f32", "f64"):
        edges = [2.0**31, -(2.0**31), 2.0**31 - 64, -(2.0**31) - 0.5, 2.0**63, -(2.0**63), 1e30, -1e30, 2.0**64, 3e9]
        x[: len(edges)] = np.array(edges, x.dtype)
    outs = [np.zeros(605, DTYPE[u]) for u in [*REAL, "f16"]]
    run_pointwise(library, kernels[t], [*outs, x], "c" * (len(outs) + 1), 0, (605,))
    from kernel_calls import compute

    for u, out in zip([*REAL, "f16"], outs, strict=True):
        same(out, compute(E.cast(E.input(0, ty.opmath(t)), u), u, x, stored=[t])[0])


def test_every_small_float_converts_as_on_the_cpu():
    from test_codegen import as_bits, from_bits

    together, names = Together(), [*SMALL, "f16"]
    widen = {t: together.pointwise(((E.input(0, "f32"), "f32"),), (t,), "cc", 0, False, name="widen") for t in names}
    narrow = {t: together.pointwise(((E.input(0, "f32"), t),), ("f32",), "cc", 0, False, name="narrow") for t in names}
    library = together.build()
    bits = rng(3).integers(0, 1 << 32, 40_000, dtype="u4")
    powers = np.float32(2.0) ** rng(5).uniform(-30, 20, 20_000).astype("f4")
    x = np.concatenate([bits.view("f4"), rng(4).normal(size=20_000).astype("f4"), powers])
    for t in names:
        image = "u2" if ty.BITS[t] == 16 else "u1"
        every = np.arange(1 << ty.BITS[t]).astype(image)
        wide = np.zeros(every.size, "f4")
        run_pointwise(library, widen[t], [wide, every], "cc", 0, wide.shape)
        same(wide, every.view("f2").astype("f4") if t == "f16" else from_bits(every, t))
        out = np.zeros(x.size, image)
        run_pointwise(library, narrow[t], [out, x], "cc", 0, x.shape)
        with np.errstate(over="ignore"):
            wanted = x.astype("f2").view("u2") if t == "f16" else as_bits(x, t)
        number = ~np.isnan(x)  # a GPU's own NaN of f16 and bf16 has other bits
        same(out[number], wanted[number])


def test_complex():
    z, w = E.input(0, "c64"), E.input(1, "c64")
    exprs = [z * w, z / w, f.exp(z), f.abs(z), f.conj(z), f.sqrt(z)]
    k = cuda.pointwise(tuple((e, e.type) for e in exprs), ("c64", "c64"), "c" * 8, 0, False, name="complex")
    library = built(k)
    a, b = sample("c64", 333, 1), sample("c64", 333, 2)
    outs = [np.zeros(333, DTYPE[e.type]) for e in exprs]
    run_pointwise(library, k, [*outs, a, b], "c" * 8, 0, (333,))
    for out, wanted in zip(outs, evaluate(exprs, [a, b]), strict=True):
        np.testing.assert_allclose(out, wanted, rtol=3e-6)


# -- layouts -----------------------------------------------------------------------------------------------------------------------


def placed(shape, dtype, kind, seed):
    """An array of a shape in some layout: dense, unaligned, transposed, every other element, or broadcast along dims."""
    r = rng(seed)
    if kind == "dense":
        return r.normal(size=shape).astype(dtype)
    if kind == "unaligned":
        return np.frombuffer(bytearray(np.dtype(dtype).itemsize * (int(np.prod(shape)) + 1)), dtype)[1:].reshape(shape)
    if kind == "transposed":
        return r.normal(size=shape[::-1]).astype(dtype).T
    if kind == "strided":
        return r.normal(size=(*shape[:-1], 2 * shape[-1])).astype(dtype)[..., ::2]
    axis = {"rows": 0, "columns": -1}[kind]
    small = list(shape)
    small[axis] = 1
    return np.broadcast_to(r.normal(size=small).astype(dtype), shape)


LAYOUTS = [(a, b) for a in ("dense", "unaligned", "transposed", "strided", "rows", "columns") for b in ("dense", "columns", "rows")]
SHAPES = [(1,), (1000,), (4, 64), (40, 33), (2, 17, 50), (3, 5), (7, 2, 12), (2, 3, 4, 5), (2, 2, 3, 2, 4), (1, 3, 1, 2, 2, 2, 8)]


@pytest.mark.parametrize("types", [("f32", "f32", "f32"), ("bf16", "bf16", "f32"), ("f64", "u8", "f32")], ids=str)
def test_layouts(types):
    out_type, *in_types = types
    x, y = (E.input(i, ty.opmath(t)) for i, t in enumerate(in_types))
    expr = f.fma(E.cast(x, "f32"), E.const(2, "f32"), E.cast(y, "f32"))
    memory = {"bf16": "u2"} | DTYPE
    together, cases = Together(), []
    for shape in SHAPES:
        for kinds in LAYOUTS:
            arrays = [placed(shape, memory[t], k, s) for s, (t, k) in enumerate(zip(in_types, kinds, strict=True), 5)]
            if in_types[0] == "bf16":
                for a in arrays[:1]:
                    if a.flags.writeable:
                        a[...] = (rng(8).normal(size=shape).astype("f4").view("u4") >> 16).astype("u2")
            out = placed(shape, memory[out_type], "unaligned" if kinds[0] == "unaligned" else "dense", 1)
            layout = letters_of([out, *arrays], -1)
            wide = len(cases) % 3 == 0
            k = together.pointwise(((expr, out_type),), tuple(in_types), layout, len(shape), wide, name="layouts")
            cases.append((k, shape, out, arrays, layout))
    library = together.build()

    def value(a, t):
        return (a.astype("u4") << 16).view("f4") if t == "bf16" else a.astype("f4")

    for number, (k, shape, out, arrays, layout) in enumerate(cases):
        wanted = value(arrays[0], in_types[0]) * 2 + value(arrays[1], in_types[1])
        run_pointwise(library, k, [out, *arrays], layout, len(shape), shape, ORDERS[number % 4])
        got = value(out, out_type)
        np.testing.assert_allclose(got, wanted, rtol=1e-2 if out_type == "bf16" else 1e-6, err_msg=f"{shape} {layout}")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 31, 255, 256, 257, 1023, 2048, 2049, 70001])
def test_flat_tails_and_alignment(n):
    x, y = E.input(0, "f32"), E.input(1, "f32")
    k = cuda.pointwise(((x * y, "f32"), (x, "f16")), ("f32", "f32"), "cccn", 0, False, name="tails")
    library = built(k)
    for shift in (0, 1, 3):
        a = rng(1).normal(size=n + 4).astype("f4")[shift : shift + n]
        out, half = np.full(n + 8, 7, "f4"), np.full(n + 8, 7, "f2")
        run_pointwise(library, k, [out[4:-4], half[4:-4], a, np.float32(3)], "cccn", 0, (n,), ORDERS[shift])
        same(out[4:-4], a * 3)
        same(half[4:-4], a.astype("f2"))
        assert (out[:4] == 7).all() and (out[-4:] == 7).all() and (half[:4] == 7).all() and (half[-4:] == 7).all()


def test_any_grid_gives_the_right_result():
    x = E.input(0, "f32")
    k = cuda.pointwise(((x + 1, "f32"),), ("f32",), "cc", 0, False, name="grids")
    library = built(k)
    from cuda_calls import pointwise_parameter

    a, out = rng(1).normal(size=30_011).astype("f4"), np.zeros(30_011, "f4")
    for blocks in (1, 2, 7):
        out[:] = 0
        library.launch(k.symbol, (blocks, 1, 1), (k.threads, 1, 1), pointwise_parameter([out, a], "cc", 0, out.shape), 3)
        same(out, a + 1)


def test_in_place():
    x, y = E.input(0, "f32"), E.input(1, "f32")
    k = cuda.pointwise(((x - y, "f32"), (x + y, "f32")), ("f32", "f32"), "cccc", 0, False, name="both")
    a, b = rng(1).normal(size=5000).astype("f4"), rng(2).normal(size=5000).astype("f4")
    wanted = a - b, a + b
    run_pointwise(built(k), k, [a, b, a, b], "cccc", 0, (5000,), 9)
    same(a, wanted[0]) or same(b, wanted[1])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("types", [("f32", "f32", "f32"), ("bf16", "bf16", "bf16"), ("f64", "f64", "f64")])
def test_many_lists_in_one_launch(types, order):
    """Lengths on both sides of a block's and of a group's, memory that is not aligned, and blocks in any order."""
    x, g, m = (E.input(i, t) for i, t in enumerate(types))
    rate = E.input(3, "f32" if types[0] == "bf16" else types[0])
    wide = [E.cast(e, rate.type) for e in (x, g, m)]
    new = wide[2] * rate + wide[1]
    k = cuda.many(((wide[0] - new, types[0]), (new, types[0])), (*types, rate.type), 3, name="step")
    dtype, block = "u2" if types[0] == "bf16" else DTYPE[types[0]], k.step
    lengths = [1, 3, block - 1, 5, block, block + 1, 2 * block + 7, 64, 2][: entries_of(3, 1)]
    entries, wanted = [], []
    for i, n in enumerate(lengths):
        lists = [rng(7 * i + j).normal(size=n + 3).astype("f4") for j in range(3)]
        kept = [(a.view("u4") >> 16).astype("u2") if dtype == "u2" else a.astype(dtype) for a in lists]
        entries.append([a[i % 3 :][:n] for a in kept])
        p, grad, state = (value_of(a) for a in entries[-1])
        wanted.append((p - (state / 2 + grad), state / 2 + grad))
    words, blocks = [], 0
    for entry in entries:
        words += [blocks, len(entry[0]), *(a.ctypes.data for a in entry)]
        blocks += -(-len(entry[0]) // block)
    number = np.asarray(0.5, "f8" if types[0] == "f64" else "f4").tobytes().ljust(16, b"\0")
    parameter = struct.pack("q", len(entries)) + number + struct.pack(f"{len(words)}Q", *words)
    built(k).launch(k.symbol, (blocks, 1, 1), (k.threads, 1, 1), parameter.ljust(4096, b"\0"), order)
    for (p, _, state), (want, new_state) in zip(entries, wanted, strict=True):
        tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype == "u2" else {"rtol": 1e-6, "atol": 1e-6}
        np.testing.assert_allclose(value_of(p), want, **tolerance)
        np.testing.assert_allclose(value_of(state), new_state, **tolerance)


def value_of(a):
    """The numbers of an array, of bfloat16 where its elements are of 16 bits."""
    return (a.astype("u4") << 16).view("f4") if a.dtype == np.uint16 else a.copy()


# -- offsets, atomics, faults --------------------------------------------------------------------------------------------------


def test_loads_and_stores_at_offsets():
    offset = E.input(1, "i64")
    read = cuda.pointwise(((E.make("load", (offset,), "f32", 0), "f32"),), ("f32", "i64"), "csc", 0, False, name="gather")
    write = cuda.pointwise(((E.input(0, "f32"), "f32", "set", offset),), ("f32", "i64"), "scc", 0, False, name="scatter")
    library = built(read, write)
    source, places = rng(1).normal(size=300).astype("f4"), rng(2).permutation(300)
    offsets = places.astype("i8") * 4
    out = np.zeros(300, "f4")
    run_pointwise(library, read, [out, source, offsets], "csc", 0, (300,), 5)
    same(out, source[places])
    run_pointwise(library, write, [out, source, offsets], "scc", 0, (300,), 5)
    same(out[places], source)


@pytest.mark.parametrize("t", ["f32", "f64", "i32", "i64", "u8", "i16", "f16", "c64", "c128"])
def test_additions_where_elements_meet(t):
    compute = ty.opmath(t)
    k = cuda.pointwise(((E.input(0, compute), t, "add", E.input(1, "i64")),), (t, "i64"), "scc", 0, False, name="scatter_add")
    values = rng(1).integers(-4, 5, 2000).astype("i4").astype(DTYPE[t])
    index = rng(2).integers(0, 37, 2000)
    wanted = np.zeros(37, DTYPE[t])
    np.add.at(wanted, index, values)
    library = built(k)
    for order in ORDERS:
        target = np.zeros(37, DTYPE[t])
        run_pointwise(library, k, [target, values, index.astype("i8") * target.itemsize], "scc", 0, (2000,), order)
        same(target, wanted)


@pytest.mark.parametrize("t", ["f32", "i64", "u8", "i16", "b1", "c64"])
def test_updates_where_elements_meet(t):
    combine = (lambda a, b: a * b) if t == "c64" else (lambda a, b: a | b) if t == "b1" else f.maximum
    offset = E.input(2, "i64")
    value = combine(E.make("load", (offset,), t, 0), E.input(1, t))
    k = cuda.pointwise(((value, t, "set", offset),), (t, t, "i64"), "sscc", 0, False, name="scatter_update")
    values = sample(t, 900, 3)
    if t == "f32":
        values = np.nan_to_num(values)
    if t == "c64":
        values = np.exp(1j * rng(2).normal(size=900)).astype("c8")
    index = rng(4).integers(0, 50, 900)
    start = np.ones(50, "c8") if t == "c64" else sample(t, 50, 6)
    start = np.nan_to_num(start) if t == "f32" else start
    wanted = start.copy()
    {"c64": np.multiply, "b1": np.logical_or}.get(t, np.maximum).at(wanted, index, values)
    library = built(k)
    for order in ORDERS:
        target = start.copy()
        run_pointwise(library, k, [target, target, values, index.astype("i8") * target.itemsize], "sscc", 0, (900,), order)
        np.testing.assert_allclose(target, wanted, rtol=1e-4) if t == "c64" else same(target, wanted)


def test_faults_are_recorded_once_and_harmless():
    code = 7
    index, limit = E.input(1, "i64"), E.input(2, "i64")
    place = E.make("checked", (index, limit), "i64", code) * 4
    k = cuda.pointwise(((E.make("load", (place,), "f32", 0), "f32"),), ("f32", "i64", "i64"), "cscn", 0, False, name="checked")
    library, source = built(k), rng(1).normal(size=10).astype("f4")
    places = np.array([0, 9, -1, -10, 3], "i8")
    out, fault = np.zeros(5, "f4"), Fault()
    run_pointwise(library, k, [out, source, places, np.int64(10)], "cscn", 0, (5,), 0, fault)
    assert fault.read()[0] == 0
    same(out, source[places])
    places[3], places[4] = 10, -11
    for order in ORDERS:  # whoever comes first reports
        fault = Fault()
        run_pointwise(library, k, [out, source, places, np.int64(10)], "cscn", 0, (5,), order, fault)
        assert fault.read() in ((2, code, 10, 10, 3), (2, code, -11, 10, 4))
        same(out, source[[0, 9, 9, 0, 0]])


# -- elementary functions ------------------------------------------------------------------------------------------------------

NAMES = ("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc lgamma digamma sigmoid "
         "softplus sqrt rsqrt erfinv i0")  # fmt: skip


@pytest.mark.parametrize("t", FLOATS)
def test_elementary_functions(t):
    x = E.input(0, t)
    exprs = [E.make(name, (x,), t) for name in NAMES.split()] + [E.make("pow", (f.abs(x), x), t), E.make("atan2", (x, x + 1), t)]
    k = cuda.pointwise(tuple((e, t) for e in exprs), (t,), "c" * (len(exprs) + 1), 0, False, name=f"elementary_{t}")
    library = built(k)
    for low, high in ((0.01, 0.99), (-5, 5), (-80, 80)):
        values = rng(6).uniform(low, high, 4000).astype(DTYPE[t])
        outs = [np.zeros(4000, DTYPE[t]) for _ in exprs]
        run_pointwise(library, k, [*outs, values], "c" * (len(exprs) + 1), 0, (4000,))
        for e, out, wanted in zip(exprs, outs, evaluate(exprs, [values], precision="f64"), strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                wanted = wanted.astype(DTYPE[t])
            np.testing.assert_allclose(out, wanted, rtol=4e-6 if t == "f32" else 4e-13, atol=2e-6 if t == "f32" else 1e-13, err_msg=e.op)


def test_a_kernel_is_compiled_behind_what_it_uses_of_the_prelude():
    assert "FloatSum" not in compiler.front("store(address, load<f32>(other))") and "from_f8e5m2" not in compiler.front("to_bf16(x)")
    front = compiler.front("FloatSum<f32> total = {0, 0};")
    assert "struct FloatSum" in front and "shuffle_xor(f32" in front  # what is used by what it uses
    assert compiler.front(compiler.prelude()) == compiler.prelude()


def test_a_cached_kernel_needs_no_elementary_functions():
    program = (
        "import sys\nfrom rushlight.codegen import cuda\nfrom rushlight.lang import expr as E\n"
        "total = E.make('reduce', (E.input(0, 'f32'),), 'f32', 'sum')\n"
        "for stage, layout in (('whole', 'vc'), ('partial', 'cc'), ('finish', 'vcc')):\n"
        "    cuda.rowwise(((total, 'f32'),), ('f32',), 'row', layout, 1, 1, False, stage)\n"
        "assert not any(m.startswith('rushlight.lang.elementary') for m in sys.modules), 'lang.elementary is loaded'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
