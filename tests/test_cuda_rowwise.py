"""CUDA kernels with reductions, run by the shim (tests/cuda/), against the interpreter of the language: both modes, widths, stages, thread
orders; and the shim itself: it must see a missing barrier, a divergent one and a misaligned access."""

import re
import struct

import numpy as np
import pytest
from cuda_calls import (
    ORDERS,
    Together,
    aligned,
    built,
    launch_rows,
    length_class,
    letters_of,
    room,
    row_parameter,
    run_rowwise,
    shim,
    type_of,
)  # fmt: skip
from kernel_calls import DTYPE, rng, same, sample
from rushlight._core.operator import grid_of, stretches_of

from rushlight.codegen import cpu, cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.lang import expr as E
from rushlight.lang import functions as f
from rushlight.lang import types as ty
from rushlight.lang.evaluate import evaluate

pytestmark = pytest.mark.skipif(not shim.have(), reason="needs g++")

FLOATS = ["f32", "f64"]
MODES = ["row", "column"]
KINDS = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin"]
KEPT_AND_REDUCED = [
    ((1,), (1,)), ((3,), (17,)), ((5,), (4, 7)), ((70,), (3, 5)), ((2, 1), (200,)), ((600,), (9,)), ((2,), (90, 3)), ((2, 3, 5), (6, 2, 3)),
    ((4,), (1024,)), ((3,), (1000,)), ((2,), (8192,)), ((1,), (9001,)), ((130,), (33,)), ((64,), (260,)), ((1, 36), (2, 64)),
]  # fmt: skip


def reducible(kind):
    if kind in ("any", "all"):
        return ["b1"]
    return ["f32", "f64", "i64", "i32", "u8"] if kind in ("sum", "prod") else ["f32", "f64", "i64", "u8", "i16", "b1"]


class Case:
    """A kernel and its operands: expressions over inputs of shapes kept + reduced."""

    def __init__(self, together, exprs, inputs, kept, reduced, mode, *, stores=None, loads=None, full=(), rows=(), wide=False):
        self.exprs, self.inputs, self.kept, self.reduced, self.mode = exprs, inputs, kept, reduced, mode
        shape = (*kept, *reduced)
        stores = stores or [e.type for e in exprs]
        levels = E.full_nodes(exprs, rows)
        self.whole = [e in levels or i in full for i, e in enumerate(exprs)]
        self.outs = [room(kept, reduced, DTYPE[t], w) for t, w in zip(stores, self.whole, strict=True)]
        self.arrays = [*self.outs, *(np.broadcast_to(x, shape) if isinstance(x, np.ndarray) else x for x in inputs)]
        axis = len(kept) - 1 if mode == "column" else len(shape) - 1
        self.layout = letters_of(self.arrays, axis)
        described = tuple((e, t, "full") if i in full else (e, t) for i, (e, t) in enumerate(zip(exprs, stores, strict=True)))
        types = tuple(loads or map(type_of, inputs))
        form = {"aligned": aligned(self.arrays, self.layout, mode, kept, reduced), "rows": rows}
        if mode == "row" and not wide:  # else the form for rows of any length
            form["longest"] = length_class(int(np.prod(reduced)))
        self.kernel = together.rowwise(described, types, mode, self.layout, len(kept), len(reduced), wide, **form)

    def results(self, library, order):
        """Every output; ROW ones with size 1 along the reduced dims."""
        for out in self.outs:
            out[...] = 0
        run_rowwise(library, self.kernel, self.mode, self.arrays, self.layout, self.kept, self.reduced, order)
        kept = tuple(slice(None) for _ in self.kept) + tuple(slice(1) for _ in self.reduced)
        return [o.copy() if w else o[kept].copy() for o, w in zip(self.outs, self.whole, strict=True)]

    def wanted(self, precision=None):
        return evaluate(self.exprs, self.inputs, axes=range(len(self.kept), len(self.kept) + len(self.reduced)), precision=precision)


def check(cases, library, rtol=None, atol=None, precision=None):
    """All cases in all orders: near what they should be, and the same bits each time."""
    for number, case in enumerate(cases):
        wanted, first = case.wanted(precision), None
        for order in ORDERS if number % 3 == 0 else ORDERS[number % 3 : number % 3 + 2]:
            got = case.results(library, order)
            for g, w in zip(got, wanted, strict=True):
                if rtol is None:
                    same(g, np.broadcast_to(w, g.shape))
                else:
                    np.testing.assert_allclose(g, np.broadcast_to(w, g.shape), rtol=rtol, atol=atol, err_msg=f"{case.kept} {case.reduced}")
            first = first or got
            for g, h in zip(got, first, strict=True):
                assert g.tobytes() == h.tobytes(), (order, case.kept, case.reduced)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_reduction(kind, mode):
    together, exact, near = Together(), [], []
    for t in reducible(kind):
        expr, floats = E.reduce(kind, E.input(0, t)), t in ty.FLOATS and kind in ("sum", "prod")
        for number, (kept, reduced) in enumerate(KEPT_AND_REDUCED):
            if t not in ("f32", "b1") and number % 3:
                continue
            x = sample(t, (*kept, *reduced), 5)
            if floats:
                x = np.where(np.isfinite(x), x, 1).astype(DTYPE[t])
            if floats and kind == "prod":
                x = np.exp(np.clip(x, -1, 1) / 20).astype(DTYPE[t])
            (near if floats else exact).append(Case(together, [expr], [x], kept, reduced, mode, wide=number % 2 == 1))
    library = together.build()
    check(exact, library)
    check(near, library, rtol=2e-5 if kind == "prod" else 2e-6, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_extrema_find_the_first_and_nan(mode):
    x = np.zeros((4, 2, 50), "f4")
    x[0, 1, 3] = x[0, 1, 40] = 5
    x[1, 0, 49] = x[1, 1, 0] = np.nan
    x[2] = -np.inf
    x[3, 1, 49] = 1
    leaf, together = E.input(0, "f32"), Together()
    case = Case(together, [f.argmax(leaf), f.max(leaf)], [x], (4,), (2, 50), mode)
    library = together.build()
    for order in ORDERS:
        position, largest = case.results(library, order)
        assert position.ravel().tolist() == [53, 49, 0, 99]
        same(largest.ravel(), [5, np.nan, -np.inf, 1])


@pytest.mark.parametrize("mode", MODES)
def test_nothing_to_reduce(mode):
    x, together = E.input(0, "f32"), Together()
    case = Case(together, [f.sum(x), E.reduce("prod", x), f.mean(x), E.reduce("any", x > 0)], [np.zeros((5, 0), "f4")], (5,), (0,), mode)
    case.outs = [np.full(5, 9, o.dtype) for o in case.outs]
    case.arrays[: len(case.outs)] = [np.lib.stride_tricks.as_strided(o, (5, 0), (o.itemsize, 0)) for o in case.outs]
    run_rowwise(together.build(), case.kernel, mode, case.arrays, case.layout, (5,), (0,), 1)
    for out, wanted in zip(case.outs, (0, 1, np.nan, False), strict=True):
        same(out, np.full(5, wanted, out.dtype))


@pytest.mark.parametrize("mode", MODES)
def test_sums_of_many_and_of_infinities(mode):
    many = rng(7).random((3, 100_000)).astype("f4")
    x = np.ones((3, 5000), "f4")
    x[0, 77], x[1, 4000], x[2, 1], x[2, 4999] = np.inf, np.nan, np.inf, -np.inf
    if mode == "column":
        many, x = many.T.copy().T, x.T.copy().T
    leaf, together = E.input(0, "f32"), Together()
    accurate = Case(together, [f.sum(leaf)], [many], (3,), (100_000,), mode)
    infinite = Case(together, [f.sum(leaf)], [x], (3,), (5000,), mode)
    library = together.build()
    assert (np.abs(accurate.results(library, 0)[0] / many.astype("f8").sum(axis=1, keepdims=True) - 1) < 1.5e-7).all()
    same(infinite.results(library, 0)[0].ravel(), [np.inf, np.nan, np.nan])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("t", FLOATS)
def test_several_depths(t, mode):
    """Softmax and layer_norm: rows kept in shared memory, and rows that are longer than it."""
    x, w = E.input(0, t), E.input(1, t)
    e = f.exp(x - f.max(x))
    centred = x - f.mean(x)
    variance = f.mean(centred * centred)
    exprs = [e / f.sum(e), centred * f.rsqrt(variance + 1e-5) * w, variance]
    together, cases = Together(), []
    for kept, reduced in [*KEPT_AND_REDUCED, ((2,), (30_000,))]:
        values, weight = rng(3).normal(size=(*kept, *reduced)).astype(DTYPE[t]), rng(4).normal(size=reduced).astype(DTYPE[t])
        if mode == "column" and len(kept) == len(reduced) == 1:
            values = values.T.copy().T
        cases.append(Case(together, exprs, [values, weight], kept, reduced, mode))
        cases.append(Case(together, exprs[:1], [values], kept, reduced, mode))
    check(cases, together.build(), rtol=1e-4 if t == "f32" else 1e-12, atol=1e-5 if t == "f32" else 1e-12, precision="f64")


@pytest.mark.parametrize("mode", MODES)
def test_half_floats(mode):
    x, together, types = E.input(0, "f32"), Together(), {"stores": ["f16", "f32"], "loads": ["f16"]}
    e = f.exp(x - f.max(x))
    values = [rng(1).normal(size=(5, n)).astype("f2") for n in (8, 31, 4000)]
    cases = [Case(together, [e / f.sum(e), f.sum(x)], [v], (5,), v.shape[1:], mode, **types) for v in values]
    library = together.build()
    for case in cases:
        soft, total = case.results(library, 21)
        wanted = evaluate(case.exprs, [case.inputs[0].astype("f4")], axes=(1,), precision="f64")
        np.testing.assert_allclose(soft, wanted[0], rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(total, wanted[1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_levels(mode):
    """ROW inputs, numbers by value, ROW expressions written over the whole space, several dims broadcast."""
    x, scale, number = E.input(0, "f32"), E.input(1, "f32"), E.input(2, "f32")
    total, together = f.sum(x * scale * number), Together()
    values, scales = rng(1).normal(size=(2, 40, 3, 20)).astype("f4"), rng(2).normal(size=(2, 40, 1, 1)).astype("f4")
    exprs = [total, total + scale, x + scale, E.cast(f.argmax(x), "f32") * E.extent("f32")]
    case = Case(together, exprs, [values, scales, np.float32(0.5)], (2, 40), (3, 20), mode, full=(0,), rows=(1, 2))
    thin = np.broadcast_to(values[:, :, :1, :], values.shape)
    other = Case(together, [f.sum(x * x), x - f.mean(x)], [thin], (2, 40), (3, 20), mode)
    check([case, other], together.build(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_complex_reductions(mode):
    z = (rng(1).normal(size=(30, 2, 21)) + 1j * rng(2).normal(size=(30, 2, 21))).astype("c16")
    leaf, together = E.input(0, "c128"), Together()
    case = Case(together, [f.sum(leaf), f.prod(leaf), leaf - f.mean(leaf)], [z], (30,), (2, 21), mode)
    check([case], together.build(), rtol=1e-12, atol=1e-13)


def test_in_place_softmax():
    x = E.input(0, "f32")
    e = f.exp(x - f.max(x))
    for n, mode in ((1000, "row"), (20_000, "row"), (77, "column")):
        values = rng(3).normal(size=(6, n)).astype("f4")
        wanted = np.exp(values.astype("f8"))
        wanted /= wanted.sum(axis=1, keepdims=True)
        layout = letters_of([values, values], 0 if mode == "column" else 1)
        form = {"aligned": aligned([values], layout[:1], mode, (6,), (n,)), "longest": length_class(n) if mode == "row" else 0}
        k = cuda.rowwise(((e / f.sum(e), "f32"),), ("f32",), mode, layout, 1, 1, False, **form)
        run_rowwise(built(k), k, mode, [values, values], layout, (6,), (n,), 22)
        np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("scale", [-97, -60, 0, 60])
def test_quotients_by_a_row_s_value_are_rounded_once(scale):
    """By the help of its reciprocal, or where that would not do, by a division."""
    x = E.input(0, "f32")
    k = cuda.rowwise(((x / f.max(x), "f32"),), ("f32",), "row", "cc", 1, 1, False, longest=length_class(8000))
    mantissas = rng(4).uniform(1, 2, (40, 8000)).astype("f4")
    values = np.ldexp(mantissas, scale - rng(5).integers(0, 30, mantissas.shape)).astype("f4")
    out = np.zeros_like(values)
    run_rowwise(built(k), k, "row", [out, values], "cc", (40,), (8000,), 0)
    np.testing.assert_array_equal(out, values / values.max(axis=1, keepdims=True))


@pytest.mark.parametrize("mode", MODES)
def test_quotients_at_the_edges(mode):
    """Zeros of both signs, denormals, infinities and NaN over divisors near and far: the bits of a division, beside others too."""
    x, y = E.input(0, "f32"), E.input(1, "f32")
    edges = [0.0, -0.0, 1e-45, -3e-42, 1e-38, 2.0**-100, 7e-31, 1.0, -3.0, 2.0**100, 3e38, np.inf, -np.inf, np.nan]
    over = [1.0, -3.0, 1e-9, -(2.0**24), 3e7, 2.0**-24, 1e30, 1e-40, 0.0, -0.0, np.inf, np.nan]
    values = np.resize(np.array([*edges, *np.linspace(-2, 2, 19)], "f4"), (len(over), 1100))
    divisors = np.repeat(np.array(over, "f4")[:, None], 1100, 1)
    if mode == "column":
        values, divisors = values.T.copy().T, divisors.T.copy().T
    out = np.zeros_like(values)
    layout = letters_of([out, values, divisors], 0 if mode == "column" else 1)
    form = {"aligned": aligned([out, values, divisors], layout, mode, (len(over),), (1100,))}
    form["longest"] = length_class(1100) if mode == "row" else 0
    k = cuda.rowwise(((x / f.max(y), "f32"),), ("f32", "f32"), mode, layout, 1, 1, False, **form)
    run_rowwise(built(k), k, mode, [out, values, divisors], layout, (len(over),), (1100,), 0)
    with np.errstate(all="ignore"):
        wanted = values / divisors
    same(out, wanted)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(np.where(np.isnan(wanted), out, wanted)))


def test_rows_that_blocks_share_leave_room_for_other_blocks():
    """A row that a whole block keeps is shared by a number of threads that the compiler knows, of which 1,536 fit; a warp's is not."""
    x = E.input(0, "f32")
    found = {}
    for n in (64, 512, 1024, 4096, 8192, 16384):
        k = cuda.rowwise(((x - f.max(x), "f32"),), ("f32",), "row", "cc", 1, 1, False, longest=n)
        bounds = re.search(r"__launch_bounds__\(([^)]*)\)", k.source)[1]
        found[n] = k.packs, k.width, bounds, grid_of(k, 100, n)[3]
    assert found == {
        64: (1, 0, "512", 16), 512: (4, 0, "512", 32), 1024: (4, 64, "64, 16", 64), 4096: (4, 256, "256, 6", 256),
        8192: (4, 512, "512, 3", 512), 16384: (0, 0, "512", 256),
    }  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_two_stages_give_the_whole(mode):
    x = E.input(0, "f32")
    outputs = ((f.mean(x), "f32"), (f.argmin(x), "i64"), (f.max(x) - f.min(x), "f32"))
    types = cpu.partial_types(outputs)
    rows, length = 7, 12 * 33
    values = rng(5).normal(size=(rows, length)).astype("f4")
    values[2, 331] = values[2, 364] = -9
    if mode == "column":
        values = values.T.copy().T
    stretch = 128
    stretches = -(-length // stretch)
    slots = [np.zeros((stretches, rows), DTYPE[t]) for t in types]
    flat = [np.broadcast_to(s[0, :1], (rows, length)) for s in slots]
    layout = "s" * len(slots) + letters_of([values], 0 if mode == "column" else 1)
    fit = aligned([values], layout[-1:], mode, (rows,), (length,))
    partial = cuda.rowwise(outputs, ("f32",), mode, layout, 1, 1, False, stage="partial", aligned=fit)
    outs = [room((rows,), (stretches,), t, False) for t in ("f4", "i8", "f4")]
    stacked = [s.T for s in slots]
    layout_finish = letters_of([*outs, outs[0], *stacked], 1)
    finish = cuda.rowwise(outputs, ("f32",), "row", layout_finish, 1, 1, False, stage="finish", aligned=False)
    library = built(partial, finish)
    wanted = evaluate([e for e, _ in outputs], [values], axes=(1,))
    for order in ORDERS:
        launch = launch_rows(partial, mode, (rows,), stretch, stretches)
        parameter = row_parameter(launch, [*flat, values], layout, (rows,), (length,), length, stretches, stretch)
        library.launch(partial.symbol, launch.grid, launch.block, parameter, order, launch.shared)
        run_rowwise(library, finish, "row", [*outs, outs[0], *stacked], layout_finish, (rows,), (stretches,), order, extent=length)
        np.testing.assert_allclose(outs[0][:, :1], wanted[0], rtol=1e-5, atol=1e-7)
        same(outs[1][:, :1], wanted[1])
        same(outs[2][:, :1], wanted[2])


def test_cuts_cover_rows_and_depend_on_the_shape():
    for rows, length in ((1, 16384), (1, 256 << 20), (3, 100_001), (255, 20_000), (256, 1 << 20), (1, 16383), (40, 9_999_999)):
        stretches, stretch = stretches_of(rows, length)
        assert (stretches - 1) * stretch < length <= stretches * stretch
        assert stretches == 1 or stretch % 64 == 0
        assert stretches <= 2048 and (stretches == 1) == (rows >= 256 or length < 16384)
    columns = ((8192, 8192), (768, 8192), (64, 512), (10, 1 << 24), (64, 511), (32768, 9999))
    for (rows, length), inner in zip(columns, next(zip(*columns))):
        stretches, stretch = stretches_of(rows, length, inner)
        assert (stretches - 1) * stretch < length <= stretches * stretch
        assert stretches <= 2048 and (stretches == 1) == (rows >= 32768 or length < 512)


# -- the shim ------------------------------------------------------------------------------------------------------------------------


def softmax_kernel():
    x = E.input(0, "f32")
    e = f.exp(x - f.max(x))
    return cuda.rowwise(((e / f.sum(e), "f32"),), ("f32",), "row", "cc", 1, 1, False, longest=4096, name="softmax")


def softmax_errors(source, kernel, orders):
    """The largest relative error of a softmax of blocks, in each order of threads."""
    library = shim.Library(shim.image(source, [kernel.symbol]))
    values, errors = rng(3).normal(size=(3, 4096)).astype("f4") * 3, []
    wanted = np.exp(values.astype("f8") - values.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    for order in orders:
        out = np.zeros_like(values)
        run_rowwise(library, kernel, "row", [out, values], "cc", (3,), (4096,), order)
        with np.errstate(invalid="ignore"):
            errors.append(float(np.nan_to_num(np.abs(out / wanted - 1), nan=np.inf).max()))
    return errors


def test_a_deleted_barrier_is_seen():
    kernel = softmax_kernel()
    source = compiler.prelude() + kernel.source
    orders = (0, 1, 20, 21, 22, 23)
    assert max(softmax_errors(source, kernel, orders)) < 1e-5
    barrier = "        if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = a;\n        __syncthreads();\n"
    assert source.count(barrier) == 1
    broken = source.replace(barrier, barrier.replace("        __syncthreads();\n", ""))
    errors = softmax_errors(broken, kernel, orders)
    assert sum(e > 1e-3 for e in errors) >= 3, errors  # a barrier less: most orders give a wrong answer


PROBE = """
namespace ns_probe {
struct Parameters { float *x; i64 kind; };
extern "C" __global__ void probe(const __grid_constant__ Parameters p)
{
    if (p.kind == 1 && threadIdx.x < 5) __syncthreads();
    if (p.kind == 2) p.x[0] = load<Pack<f32, 4>>(reinterpret_cast<const char *>(p.x + 1)).v[2];
    if (p.kind == 3 && threadIdx.x != 7) __syncwarp();
    if (p.kind == 4) {
        const unsigned half = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
        p.x[threadIdx.x] = __shfl_sync(half, (f32)threadIdx.x, threadIdx.x % 32 < 16 ? 3 : 20);
    }
    if (p.kind == 5) {
        __shared__ float never[64];
        p.x[threadIdx.x] = never[threadIdx.x];
    }
    if (p.kind == 6) {
        int seen[32];
        shim::gathered((int)threadIdx.x * 2, seen);
        p.x[threadIdx.x] = (f32)(seen[31] + __popc(__ballot_sync(0xffffffffu, threadIdx.x & 1)));
    }
}
}  // namespace ns_probe
"""


def test_the_shim_sees_what_is_wrong():
    library, memory = shim.Library(shim.image(compiler.prelude() + PROBE, ["probe"])), np.zeros(80, "f4")
    x = memory[(-memory.ctypes.data // 4) % 4 :][:64]  # aligned to 16 bytes

    def probe(kind, block=64, order=0):
        library.launch("probe", (1, 1, 1), (block, 1, 1), struct.pack("QQ", x.ctypes.data, kind), order)

    with pytest.raises(RuntimeError, match="divergent barrier"):
        probe(1)
    with pytest.raises(RuntimeError, match="misaligned access"):
        probe(2)
    with pytest.raises(RuntimeError, match="divergent barrier"):
        probe(3)
    for order in ORDERS:
        probe(4, order=order)
        assert x.tolist() == [3.0 if i % 32 < 16 else 20.0 for i in range(32)] + [35.0 if i % 32 < 16 else 52.0 for i in range(32)]
        probe(5, order=order)
        assert np.isnan(x).all()
        probe(6, order=order)
        assert x[:32].tolist() == [78.0] * 32 and x[32:].tolist() == [142.0] * 32
    with pytest.raises(RuntimeError, match="impossible launch"):
        probe(0, block=2048)
    bounded = PROBE.replace("void probe", "void __launch_bounds__(32) probe")
    library = shim.Library(shim.image(compiler.prelude() + bounded, ["probe"]))
    with pytest.raises(RuntimeError, match="impossible launch"):
        probe(5, block=64)
