"""Native kernels against the interpreter of the language and against NumPy: every operation and type, layout, tail and stage."""

import ctypes
import itertools

import numpy as np
import pytest
from kernel_calls import DTYPE, compute, integers, pointers, rng, run_pointwise, same, sample

from rushlight.codegen import cpu, drafts
from rushlight.lang import expr as E
from rushlight.lang import functions as f
from rushlight.lang import types as ty
from rushlight.lang.evaluate import evaluate

pytestmark = pytest.mark.cpu("kernels generated for it")

REAL = [t for t in DTYPE if t not in ty.COMPLEX and t != "f16"]
FLOATS, COMPLEX = ["f32", "f64"], ["c64", "c128"]
INTS = sorted(ty.INTS)
TAILS = [*range(71), 200, 1000]


# -- operations --------------------------------------------------------------------------------------------------------

UNARY = {
    "neg": (REAL[1:], lambda x: -x), "abs": (REAL[1:], f.abs), "floor": (FLOATS, f.floor), "ceil": (FLOATS, f.ceil),
    "trunc": (FLOATS, f.trunc), "rint": (FLOATS, f.rint), "sqrt": (FLOATS, f.sqrt), "not": (["b1", *INTS],
    lambda x: ~x),
    "sgn": (REAL[1:], f.sign), "signbit": (FLOATS, f.signbit),
}  # fmt: skip
BINARY = {
    "add": (REAL[1:], lambda a, b: a + b), "sub": (REAL[1:], lambda a, b: a - b), "mul": (REAL[1:], lambda a, b: a * b),
    "div": (FLOATS, lambda a, b: a / b), "minimum": (REAL, f.minimum), "maximum": (REAL, f.maximum), "fmin": (REAL,
    f.fmin),
    "fmax": (REAL, f.fmax), "lt": (REAL, f.lt), "le": (REAL, f.le), "gt": (REAL, f.gt), "ge": (REAL, f.ge),
    "eq": (REAL, f.eq),
    "ne": (REAL, f.ne), "and": (["b1", *INTS], lambda a, b: a & b), "or": (["b1", *INTS], lambda a, b: a | b),
    "xor": (["b1", *INTS], lambda a, b: a ^ b), "copysign": (FLOATS, f.copysign), "truncdiv": (INTS, f.truncdiv),
    "floordiv": (INTS + FLOATS, f.floordiv), "rem": (INTS + FLOATS, f.rem), "mod": (INTS + FLOATS, f.mod),
    "left_shift": (INTS, f.left_shift), "right_shift": (INTS, f.right_shift),
}  # fmt: skip


def cases(table):
    return [pytest.param(name, t, id=f"{name}-{t}") for name, (types, _) in table.items() for t in types]


@pytest.mark.parametrize("name, t", cases(UNARY))
def test_unary(name, t):
    x = sample(t, 500)
    expr = UNARY[name][1](E.input(0, t))
    same(compute(expr, expr.type, x)[0], evaluate([expr], [x])[0])


@pytest.mark.parametrize("name, t", cases(BINARY))
def test_binary(name, t):
    a, b = sample(t, 700, 1), sample(t, 700, 2)
    expr = BINARY[name][1](E.input(0, t), E.input(1, t))
    same(compute(expr, expr.type, a, b)[0], evaluate([expr], [a, b])[0])


def test_select_fma_and_bitcast():
    a, b, c = (sample("f32", 300, s) for s in (1, 2, 3))
    x, y, z = (E.input(i, "f32") for i in range(3))
    same(compute(E.select(x < y, y, z), "f32", a, b, c)[0], np.where(a < b, b, c))
    with np.errstate(invalid="ignore"):
        exact = (a.astype("f8") * b + c).astype("f4")
    same(compute(f.fma(x, y, z), "f32", a, b, c)[0], exact)
    same(compute(E.make("bitcast", (x,), "i32"), "i32", a)[0], a.view("i4"))


def test_mulhi():
    for t in ("i32", "u32", "i64", "u64"):
        a, b = sample(t, 200, 4), sample(t, 200, 5)
        wanted = [(int(p) * int(q)) >> ty.BITS[t] for p, q in zip(a, b, strict=True)]
        got = compute(E.make("mulhi", (E.input(0, t), E.input(1, t)), t), t, a, b)[0]
        assert [int(v) for v in got] == wanted


@pytest.mark.parametrize("t", INTS)
def test_integer_division_never_traps(t):
    info = np.iinfo(DTYPE[t])
    a = np.array([info.min, info.max, 5, 0, info.min], DTYPE[t])
    b = np.array([0, 0, 0, 0, -1 if info.min else 1], DTYPE[t])
    for function in (f.truncdiv, f.floordiv, f.rem, f.mod):
        got = compute(function(E.input(0, t), E.input(1, t)), t, a, b)[0]
        assert (got[:4] == 0).all()


# -- conversions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source, target", list(itertools.permutations([*REAL, "f16"], 2)))
def test_cast(source, target):
    x = sample(source, 600)
    if source in ty.FLOATS and target in ty.INTS:  # C leaves out-of-range values open; see the test below
        info = np.iinfo(DTYPE[target])
        x = np.nan_to_num(x, posinf=1, neginf=1).clip(max(info.min, -120), 120)
        x = np.abs(x) if info.min == 0 else x
    with np.errstate(over="ignore"):
        wanted = x.astype("f4").astype(DTYPE[target]) if target == "f16" else x.astype(DTYPE[target])
    same(compute(E.cast(E.input(0, ty.opmath(source)), target), target, x, stored=[source])[0], wanted)


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", INTS)
def test_cast_out_of_range_is_defined(source, target):
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30] * 20, DTYPE[source])
    expr = E.cast(E.input(0, source), target)
    got = compute(expr, target, x)[0]
    assert len(set(got[0::5])) == 1 and (got == compute(expr, target, x[::-1].copy())[0][::-1]).all()


def test_cast_to_int_at_the_bounds():
    x = np.array([-(2.0**31) - 0.5, -(2.0**31), 2.0**31 - 0.5, -0.75])
    assert compute(E.cast(E.input(0, "f64"), "i32"), "i32", x)[0].tolist() == [-(2**31), -(2**31), 2**31 - 1, 0]
    x = np.array([2.0**63, 2.0**64 - 2048, 7.9])
    assert compute(E.cast(E.input(0, "f64"), "u64"), "u64", x)[0].tolist() == [2**63, 2**64 - 2048, 7]


def as_bits(x, t):
    """f32 values converted to the small float ``t`` by a kernel, as unsigned integers."""
    out = np.zeros((1, x.size), f"u{ty.BITS[t] // 8}")
    address = cpu.pointwise(((E.input(0, "f32"), t),), ("f32",), "cc")
    run_pointwise(address, [out, x.reshape(1, -1)])
    return out[0]


def from_bits(bits, t):
    """The f32 values of small floats."""
    out = np.zeros((1, bits.size), "f4")
    address = cpu.pointwise(((E.input(0, "f32"), "f32"),), (t,), "cc")
    run_pointwise(address, [out, bits.reshape(1, -1)])
    return out[0]


SMALL = {
    "bf16": "bfloat16", "f8e4m3fn": "float8_e4m3fn", "f8e5m2": "float8_e5m2", "f8e4m3fnuz": "float8_e4m3fnuz",
    "f8e5m2fnuz": "float8_e5m2fnuz", "f8e8m0fnu": "float8_e8m0fnu",
}  # fmt: skip


@pytest.mark.parametrize("t", SMALL)
def test_small_floats_as_pytorch_converts_them(t):
    torch = pytest.importorskip("torch")
    kind, bits = getattr(torch, SMALL[t]), torch.int16 if t == "bf16" else torch.uint8
    every = np.arange(1 << ty.BITS[t]).astype("u2" if t == "bf16" else "u1")
    image = torch.from_numpy(every.view("i2") if t == "bf16" else every).view(kind)
    values = from_bits(every, t)
    same(values, image.float().numpy())
    finite = values[np.isfinite(values)]
    halves = np.unique((finite[:-1].astype("f8") + finite[1:].astype("f8")) / 2).astype("f4")  # ties
    x = np.concatenate(
        [
            finite,
            halves,
            np.nextafter(halves, np.float32(9e9)),
            np.nextafter(halves, np.float32(-9e9)),
            sample("f32", 2000),
        ]
    )
    x = np.concatenate([x, np.array([1e30, -1e30, 500.0, 60000.0, -70000.0, 1e-30, -1e-40, 3e38], "f4")])
    wanted = torch.from_numpy(x).to(kind).view(bits).numpy()
    got = as_bits(x, t).view(wanted.dtype)
    nan = np.isnan(x)
    same(got[~nan], wanted[~nan])
    assert np.isnan(from_bits(as_bits(x[nan], t), t)).all()


def test_half_float_rounds_once_from_f32():
    x = np.concatenate([sample("f32", 1000), np.array([65519.0, 65520.0, 1e-8, 6e-8, 2.98e-8], "f4")])
    with np.errstate(over="ignore"):
        same(compute(E.input(0, "f32"), "f16", x)[0], x.astype("f2"))


def test_arithmetic_in_half_rounds_each_operation():
    a, b = sample("f16", 300, 1), sample("f16", 300, 2)
    x, y = E.input(0, "f16"), E.input(1, "f16")
    with np.errstate(all="ignore"):
        wanted = (a * b) + np.float16(0.1)
    same(compute(x * y + 0.1, "f16", a, b, stored=["f16", "f16"])[0], wanted)
    same(compute(f.maximum(x, y) < 2, "b1", a, b, stored=["f16", "f16"])[0], np.maximum(a, b) < 2)
    bits = sample("f32", 300, 3)
    kept = compute(E.cast(E.cast(E.input(0, "f32"), "bf16") * 1.0, "f32"), "f32", bits)[0]
    same(kept, from_bits(as_bits(bits, "bf16"), "bf16"))


# -- complex numbers ---------------------------------------------------------------------------------------------------

COMPLEX_UNARY = {
    "neg": lambda z: -z, "conj": f.conj, "exp": f.exp, "expm1": f.expm1, "log": f.log, "log1p": f.log1p, "log2": f.log2,
    "log10": f.log10, "sqrt": f.sqrt, "sin": f.sin, "cos": f.cos, "tan": f.tan, "sinh": f.sinh, "cosh": f.cosh,
    "tanh": f.tanh,
    "asin": f.asin, "acos": f.acos, "atan": f.atan, "asinh": f.asinh, "acosh": f.acosh, "atanh": f.atanh, "abs": f.abs,
    "real": f.real,
    "imag": f.imag, "angle": f.angle, "sgn": f.sgn, "reciprocal": f.reciprocal, "rsqrt": f.rsqrt, "sigmoid": f.sigmoid,
}  # fmt: skip
COMPLEX_NUMPY = {
    "neg": np.negative, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh, "sgn": np.sign, "rsqrt": lambda z: 1 / np.sqrt(z), "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}  # fmt: skip


@pytest.mark.parametrize("t", COMPLEX)
@pytest.mark.parametrize("name", COMPLEX_UNARY)
def test_complex_unary(name, t):
    z = sample(t, 333)
    expr = COMPLEX_UNARY[name](E.input(0, t))
    wanted = COMPLEX_NUMPY.get(name, getattr(np, name, None))(z.astype("c16"))
    tolerance = 2e-6 if t == "c64" else 1e-14
    np.testing.assert_allclose(compute(expr, expr.type, z)[0], wanted, rtol=4 * tolerance, atol=tolerance)


@pytest.mark.parametrize("t", COMPLEX)
def test_complex_binary(t):
    a, b = sample(t, 333, 1), sample(t, 333, 2)
    x, y = E.input(0, t), E.input(1, t)
    wide_a, wide_b = a.astype("c16"), b.astype("c16")
    tolerance = 1e-5 if t == "c64" else 1e-13
    for expr, wanted in (
        (x + y, wide_a + wide_b),
        (x - y, wide_a - wide_b),
        (x * y, wide_a * wide_b),
        (x / y, wide_a / wide_b),
        (x**y, wide_a**wide_b),
    ):
        np.testing.assert_allclose(compute(expr, t, a, b)[0], wanted, rtol=tolerance, atol=tolerance)
    assert (compute(f.eq(x, y), "b1", a, np.where(b.real > 0, a, b))[0] == (b.real > 0)).all()


def test_complex_extremes():
    huge = np.array([1e300 + 1e300j, 1e-300 + 1e-300j, 3e-310j, -1e308 + 0j, 0j])
    z = E.input(0, "c128")
    np.testing.assert_allclose(compute(f.abs(z), "f64", huge)[0], np.abs(huge), rtol=1e-15)
    np.testing.assert_allclose(compute(f.sqrt(z), "c128", huge)[0], np.sqrt(huge), rtol=1e-15)
    np.testing.assert_allclose(compute(z / z, "c128", huge[:2])[0], 1)
    assert compute(f.sgn(z), "c128", huge)[0][4] == 0
    powers = compute(z ** E.input(1, "c128"), "c128", np.zeros(3, "c16"), np.array([0, 2, 0.5j + 1]))
    assert powers[0].tolist() == [1, 0, 0]


def test_complex_casts_and_storage():
    z, x = sample("c64", 50), sample("f64", 50)
    same(compute(E.cast(E.input(0, "c64"), "c128"), "c128", z)[0], z.astype("c16"))
    same(compute(E.cast(E.input(0, "f64"), "c128"), "c128", x)[0], x.astype("c16"))
    same(compute(E.cast(E.input(0, "c64"), "b1"), "b1", np.where(z.real > 0, z, 0))[0], z.real > 0)
    halves = np.zeros((1, 100), "f2")  # complex32 is a pair of halves
    address = cpu.pointwise(((E.input(0, "c64"), "c32"),), ("c64",), "cc")
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
    arrays, inner, outer = pointers([halves, z]), integers([4, 8]), integers([0, 0])
    signature(address)(ctypes.addressof(arrays), ctypes.addressof(inner), ctypes.addressof(outer), 50, 1)
    same(halves[0], z.view("f4").astype("f2"))


# -- layouts -----------------------------------------------------------------------------------------------------------


def laid_out(a, how):
    """``a``'s shape with its values in the given layout; 's' repeats the first column."""
    if how == "c":
        return a.copy()
    if how == "s":
        return np.broadcast_to(a[:, :1], a.shape)
    wide = np.zeros((a.shape[0], a.shape[1] * 3 + 1), a.dtype)
    wide[:, 1::3] = a
    return wide[:, 1::3]


@pytest.mark.parametrize("t", ["f32", "u8", "f64", "i16", "c64", "c128", "b1"])
@pytest.mark.parametrize("layout", ["ccc", "ccs", "csc", "ccv", "cvs", "vcc", "vvv", "vss", "css"])
def test_layouts_and_tails(layout, t):
    combine = f.ne if t == "b1" else lambda a, b: a + b
    expr = combine(E.input(0, t), E.input(1, t))
    address = cpu.pointwise(((expr, t),), (t, t), layout)
    for n in TAILS:
        a, b = sample(t, (3, max(n, 1)), n)[:, :n], sample(t, (3, max(n, 1)), n + 1)[:, :n]
        if n == 0:
            a, b = a.copy(), b.copy()
        a, b = (laid_out(x, how) if n else x for x, how in zip((a, b), layout[1:], strict=True))
        backing = laid_out(np.zeros((3, n), DTYPE[t]), layout[0]) if n else np.zeros((3, 0), DTYPE[t])
        run_pointwise(address, [backing, a, b])
        with np.errstate(all="ignore"):
            same(backing, (a != b) if t == "b1" else a + b)


@pytest.mark.parametrize("stream, interleaved", itertools.product([False, True], repeat=2))
def test_nothing_is_written_outside(stream, interleaved):
    address = cpu.pointwise(((E.input(0, "f32") + 1, "f32"),), ("f32",), "cc", stream, interleaved)
    for n, start in itertools.product((0, 1, 15, 16, 17, 31, 32, 33, 63, 65, 130), (0, 1, 3)):
        memory = np.full((1, 256), 7, "f4")
        run_pointwise(address, [memory[:, 40 + start : 40 + start + n], np.zeros((1, n), "f4")])
        wanted = np.full((1, 256), 7, "f4")
        wanted[:, 40 + start : 40 + start + n] = 1
        same(memory, wanted)


SIDE_BY_SIDE = {
    "f32": lambda x, y: f.tanh(x * y) + f.exp(y), "f64": lambda x, y: f.sigmoid(x) * y, "bf16": lambda x, y: f.erf(x) - f.log(y),
    "b1": lambda x, y: x & ~y, "i64": lambda x, y: x * y - 1, "u8": lambda x, y: f.maximum(x, y), "c64": lambda x, y: f.exp(x) * y,
}  # fmt: skip


@pytest.mark.parametrize("layout", ["ccc", "ccs", "csc", "vcc", "ccv", "css"])
@pytest.mark.parametrize("t", SIDE_BY_SIDE)
def test_vectors_side_by_side_give_the_same_bits(t, layout):
    """Vectors that are computed together in long rows, in lengths around that of such a step; with results in and around the caches."""
    made = SIDE_BY_SIDE[t](E.input(0, ty.opmath(t)), E.input(1, ty.opmath(t)))
    kernels = [cpu.pointwise(((made, t),), (t, t), layout, *flags) for flags in itertools.product([False, True], repeat=2)]
    drafts.settle()  # the sign of a NaN is theirs
    for n in [*range(1, 20), 31, 63, 64, 65, 127, 128, 129, 200, 255, 256, 257, 300, 1000]:
        given = [sample("f32" if t == "bf16" else t, (3, n), seed) for seed in (1, 2)]
        if t == "bf16":
            given = [(x.view("u4") >> 16).astype("u2") for x in given]
        results = []
        for address in kernels:
            a, b = (laid_out(x, how) for x, how in zip(given, layout[1:], strict=True))
            backing = laid_out(np.zeros_like(a), layout[0])
            run_pointwise(address, [backing, a, b])
            results.append(backing.tobytes())
        assert len(set(results)) == 1, n


def test_unaligned_addresses():
    memory = np.zeros(1 + 8 * 100, "u1")
    x = memory[1:].view("f8").reshape(1, 100)
    x[:] = np.arange(100)
    address = cpu.pointwise(((E.input(0, "f64") * 2, "f64"),), ("f64",), "cc")
    run_pointwise(address, [x, x])  # in place, too
    same(x[0], np.arange(100) * 2.0)


def test_several_outputs_in_place():
    a, b = sample("f32", (2, 77), 1), sample("f32", (2, 77), 2)
    x, y = E.input(0, "f32"), E.input(1, "f32")
    address = cpu.pointwise(((f.maximum(x, y), "f32"), (f.minimum(x, y), "f32")), ("f32", "f32"), "cccc")
    p, q = a.copy(), b.copy()
    run_pointwise(address, [p, q, p, q])
    same(p, np.maximum(a, b))
    same(q, np.minimum(a, b))


# -- reading and writing at offsets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", ["f32", "u8", "c64", "i64"])
def test_gather_by_element(t):
    table, n = sample(t, 40), 133
    index = rng(3).integers(0, 40, (1, n))
    size = table.itemsize
    expr = E.make("load", (E.input(1, "i64") * size,), t, 0)
    for layout in ("csc", "csv"):
        out, places = np.zeros((1, n), table.dtype), laid_out(index, layout[2])
        address = cpu.pointwise(((expr, t),), (t, "i64"), layout)
        run_pointwise(address, [out, np.broadcast_to(table[:1], (1, n)), places])
        same(out[0], table[index[0]])


@pytest.mark.parametrize("t", ["f32", "f16", "i32", "f64"])
def test_gather_by_narrow_offsets(t):
    table, n = sample(t, 40), 133
    index = rng(3).integers(0, 40, (1, n)).astype("i4")
    for near in (False, True):
        offset = E.input(1, "i32") * table.itemsize
        expr = E.make("load", (E.make("near", (offset,), "i32") if near else offset,), t, 0)
        for layout in ("csc", "csv"):
            address = cpu.pointwise(((expr, t),), (t, "i32"), layout)
            for count in (1, 15, 16, 33, n):
                within = np.sort(index[:, :count] // (2 if near else 1))  # 16 neighbours within 32 elements, whatever they are
                out, places = np.zeros((1, count), table.dtype), laid_out(within, layout[2])
                run_pointwise(address, [out, np.broadcast_to(table[:1], (1, count)), places])
                same(out[0], table[within[0]])


def test_narrow_offsets_from_elements_that_move():
    table, index = sample("f32", 200), rng(3).integers(0, 60, (1, 133)).astype("i4")
    address = cpu.pointwise(((E.make("load", (E.input(1, "i32") * 4,), "f32", 0), "f32"),), ("f32", "i32"), "ccc")
    out = np.zeros((1, 133), "f4")
    run_pointwise(address, [out, table[None, :133], index])
    same(out[0], table[np.arange(133) + index[0]])


@pytest.mark.parametrize("n", [2, 15, 16, 40, 133])
def test_what_a_row_adds_to_one_place_is_summed(n):
    x, start = rng(1).integers(-9, 9, (7, n)).astype("f4"), np.arange(7, dtype="f4")
    out = start.copy()
    address = cpu.pointwise(((E.input(0, "f32") * 2, "f32", "add"), (E.input(0, "f32"), "f32", "add")), ("f32",), "ssc")
    target = np.lib.stride_tricks.as_strided(out, (7, n), (4, 0))
    run_pointwise(address, [target, target, x])
    same(out, start + 3 * x.sum(1))


def test_several_outputs_add_to_one_operand():
    x, index = rng(1).integers(0, 9, (1, 90)).astype("f4"), rng(2).integers(0, 7, (2, 90))
    out, wanted = np.zeros(7, "f4"), np.zeros(7, "f4")
    outputs = tuple((E.input(0, "f32"), "f32", "add", E.input(1 + i, "i64") * 4) for i in range(2))
    target = np.broadcast_to(out[:1], (1, 90))
    run_pointwise(cpu.pointwise(outputs, ("f32", "i64", "i64"), "ssccc"), [target, target, x, index[:1], index[1:]])
    np.add.at(wanted, index.T.ravel(), np.repeat(x[0], 2))
    same(out, wanted)


def test_gather_of_rows_is_contiguous():
    table, index = sample("f32", (30, 21)), rng(4).integers(0, 30, 50)
    expr = E.make("load", (E.input(1, "i64") * table.strides[0],), "f32", 0)
    address = cpu.pointwise(((expr, "f32"),), ("f32", "i64"), "ccs")
    out = np.zeros((50, 21), "f4")
    source = np.lib.stride_tricks.as_strided(table, (50, 21), (0, 4))
    run_pointwise(address, [out, source, np.broadcast_to(index[:, None], (50, 21))])
    same(out, table[index])


@pytest.mark.parametrize("t", ["f32", "f16", "i32", "c64"])
def test_scatter_add_counts_duplicates(t):
    size = np.dtype(DTYPE[t]).itemsize
    values = rng(1).integers(0, 4, (1, 200)).astype(DTYPE[t])
    index = rng(2).integers(0, 17, (1, 200))
    compute_type = ty.opmath(t)
    output = (E.input(0, compute_type), t, "add", E.input(1, "i64") * size)
    address = cpu.pointwise((output,), (t, "i64"), "scc")
    out = np.ones(17, DTYPE[t])
    run_pointwise(address, [np.broadcast_to(out[:1], (1, 200)), values, index])
    wanted = np.ones(17, DTYPE[t])
    np.add.at(wanted, index[0], values[0])
    same(out, wanted)


def test_scatter_add_of_rows():
    grad, index = rng(1).integers(0, 9, (40, 19)).astype("f4"), rng(2).integers(0, 5, 40)
    out = np.zeros((5, 19), "f4")
    output = (E.input(0, "f32"), "f32", "add", E.input(1, "i64") * out.strides[0])
    address = cpu.pointwise((output,), ("f32", "i64"), "ccs")
    run_pointwise(
        address,
        [np.lib.stride_tricks.as_strided(out, (40, 19), (0, 4)), grad, np.broadcast_to(index[:, None], (40, 19))],
    )
    wanted = np.zeros((5, 19), "f4")
    np.add.at(wanted, index, grad)
    same(out, wanted)


def test_scatter_of_a_value_read_back_sees_every_duplicate():
    values, index = rng(1).random((1, 300)).astype("f4"), rng(2).integers(0, 9, (1, 300))
    offset = E.input(2, "i64") * 4
    largest = f.maximum(E.make("load", (offset,), "f32", 0), E.input(1, "f32"))
    for layout in ("sscc", "vscc"):
        out, wanted = np.zeros(9, "f4"), np.zeros(9, "f4")
        target = np.broadcast_to(out[:1], (1, 300))
        address = cpu.pointwise(((largest, "f32", "set", offset),), ("f32", "f32", "i64"), layout)
        run_pointwise(address, [target, target, values, index])
        np.maximum.at(wanted, index[0], values[0])
        same(out, wanted)


def test_scatter_keeps_the_last_of_duplicates():
    values, index = np.arange(100, dtype="f4").reshape(1, 100), np.arange(100).reshape(1, 100) // 10
    out = np.zeros(10, "f4")
    address = cpu.pointwise(((E.input(0, "f32"), "f32", "set", E.input(1, "i64") * 4),), ("f32", "i64"), "scc")
    run_pointwise(address, [np.broadcast_to(out[:1], (1, 100)), values, index])
    same(out, np.arange(9, 100, 10))


# -- transposed copies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "c16"])
def test_transpose(dtype):
    address = cpu.transpose(np.dtype(dtype).itemsize * 8)
    for rows, columns in [(0, 5), (1, 1), (3, 70), (16, 16), (17, 33), (64, 100), (100, 7), (65, 64)]:
        source = (rng(1).random((rows, columns)) * 99).astype(dtype)
        out = np.zeros((columns, rows), dtype)
        run_pointwise(address, [out, source.T])
        same(out, source.T)


# -- half-width results that need no rounding --

CHOSEN = {
    "abs": lambda x, y: f.abs(x), "neg": lambda x, y: -x, "copysign": f.copysign, "maximum": f.maximum, "minimum": f.minimum,
    "where": lambda x, y: f.where(x > y, -x, y), "relu": lambda x, y: f.where(x <= 0, 0.0, x), "sign": lambda x, y: f.sign(x),
    "halved below": lambda x, y: f.where(x > y, x, x * 0.5), "inexact": lambda x, y: f.minimum(x, 0.1), "itself": lambda x, y: x,
}  # fmt: skip


@pytest.mark.parametrize("t", ["bf16", "f16"])
@pytest.mark.parametrize("name", CHOSEN)
def test_half_width_results(name, t):
    codes = np.arange(65536, dtype="u2")[None]
    others = (codes * 7919 + 5).astype("u2")
    expr = CHOSEN[name](E.input(0, "f32"), E.input(1, "f32"))
    wide, kept = np.zeros(codes.shape, "f4"), np.zeros(codes.shape, "u2")
    for out, store in ((wide, "f32"), (kept, t)):
        run_pointwise(cpu.pointwise(((expr, store),), (t, t), "ccc"), [out, codes, others])
    nan = np.isnan(wide[0])
    same(kept[0][~nan], as_bits(wide, t)[~nan])
    assert np.isnan(from_bits(kept, t)[nan]).all()
