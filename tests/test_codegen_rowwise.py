"""Rowwise kernels against the interpreter of the language: reductions, modes, shapes, levels and stages."""

import itertools

import numpy as np
import pytest
from kernel_calls import DTYPE, rng, run_rowwise, same, sample

from rushlight.codegen import cpu
from rushlight.lang import expr as E
from rushlight.lang import functions as f
from rushlight.lang import types as ty
from rushlight.lang.evaluate import evaluate

pytestmark = pytest.mark.cpu("kernels generated for it")

FLOATS = ["f32", "f64"]


def letters(mode, arrays):
    axis = 3 if mode != "column" else 1
    return "".join("s" if a.strides[axis] == 0 else "c" if a.strides[axis] == a.itemsize else "v" for a in arrays)


def room(shape, t, full):
    """An output: over the whole space, or over the kept dims with stride 0 along the reduced ones."""
    if full:
        return np.zeros(shape, DTYPE[t])
    a = np.zeros((*shape[:2], 1, 1), DTYPE[t])
    return np.lib.stride_tricks.as_strided(a, shape, (*a.strides[:2], 0, 0))


def reduced(exprs, inputs, mode, full=(), rows=()):
    """Expressions with reductions over dims 2 and 3 of the inputs, by a kernel; ROW results have size 1 there."""
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    spread = [
        np.lib.stride_tricks.as_strided(x, shape, [s if n > 1 or m == 1 else 0 for s, n, m in zip(x.strides, x.shape, shape, strict=True)])
        for x in inputs
    ]
    loads = tuple(next(t for t, d in DTYPE.items() if np.dtype(d) == x.dtype) for x in inputs)
    levels = E.full_nodes(exprs, rows)
    whole = [e in levels or i in full for i, e in enumerate(exprs)]
    outs = [room(shape, e.type, w) for e, w in zip(exprs, whole, strict=True)]
    described = tuple((e, e.type, "full") if i in full else (e, e.type) for i, e in enumerate(exprs))
    address = cpu.rowwise(described, loads, mode, letters(mode, [*outs, *spread]), rows=rows)
    run_rowwise(address, [*outs, *spread], shape[:2], shape[2:])
    return [o if w else o[:, :, :1, :1] for o, w in zip(outs, whole, strict=True)]


SHAPES = [
    (1, 1, 1, 1),
    (2, 5, 1, 6),
    (3, 2, 1, 16),
    (2, 3, 1, 17),
    (3, 5, 4, 7),
    (1, 70, 3, 5),
    (2, 1, 2, 200),
    (1, 600, 1, 9),
    (1, 2, 90, 3),
    (0, 3, 2, 2),
]
KINDS = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin"]


def reducible(kind):
    return (
        ["b1"]
        if kind in ("any", "all")
        else ["f32", "f64", "i64", "i32", "u8"]
        if kind in ("sum", "prod")
        else ["f32", "f64", "i64", "u8", "i16", "b1"]
    )


@pytest.mark.parametrize("mode", ["row", "short", "column"])
@pytest.mark.parametrize("kind, t", [(k, t) for k in KINDS for t in reducible(k)])
def test_reduction(kind, t, mode):
    expr = E.reduce(kind, E.input(0, t))
    for shape in SHAPES:
        x = sample(t, shape, 5)
        if t in ty.FLOATS and kind in ("sum", "prod"):
            x = np.where(np.isfinite(x), x, 1).astype(DTYPE[t])
        if kind == "prod" and t in ty.FLOATS:
            x = np.exp(np.clip(x, -1, 1) / 20).astype(DTYPE[t])
        (got,) = reduced([expr], [x], mode)
        (wanted,) = evaluate([expr], [x], axes=(2, 3))
        if t in ty.FLOATS and kind in ("sum", "prod"):
            np.testing.assert_allclose(got, wanted, rtol=1e-5 if t == "f32" else 1e-13, atol=1e-4 if t == "f32" else 1e-12)
        else:
            same(got, wanted)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_extrema_find_the_first_and_nan(mode):
    x = np.zeros((1, 4, 2, 50), "f4")
    x[0, 0, 1, 3] = x[0, 0, 1, 40] = 5
    x[0, 1, 0, 49] = x[0, 1, 1, 0] = np.nan
    x[0, 2] = -np.inf
    x[0, 3, 1, 49] = 1
    leaf = E.input(0, "f32")
    position, largest = reduced([f.argmax(leaf), f.max(leaf)], [x], mode)
    assert position.ravel().tolist() == [53, 49, 0, 99]
    same(largest.ravel(), [5, np.nan, -np.inf, 1])


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_sum_of_many_is_accurate(mode):
    x = rng(7).random(3_000_000).astype("f4")
    shape = (1, 1, 1, x.size) if mode != "column" else (1, 3, x.size // 3, 1)
    x = x.reshape(shape) if mode != "column" else np.moveaxis(x.reshape(1, x.size // 3, 1, 3), 3, 1)
    (got,) = reduced([f.sum(E.input(0, "f32"))], [x], mode)
    exact = x.astype("f8").sum(axis=(2, 3), keepdims=True)
    assert (np.abs(got / exact - 1) < 4e-7).all()


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_infinite_sums(mode):
    x = np.ones((1, 3, 1, 5000), "f4")
    x[0, 0, 0, 77], x[0, 1, 0, 4000], x[0, 2, 0, 1], x[0, 2, 0, 4999] = np.inf, np.nan, np.inf, -np.inf
    (got,) = reduced([f.sum(E.input(0, "f32"))], [x], mode)
    same(got.ravel(), [np.inf, np.nan, np.nan])


@pytest.mark.parametrize("mode", ["row", "short", "column"])
@pytest.mark.parametrize("t", FLOATS)
def test_several_stages(t, mode):
    x, w = E.input(0, t), E.input(1, t)
    e = f.exp(x - f.max(x))
    softmax = e / f.sum(e)
    centred = x - f.mean(x)
    variance = f.mean(centred * centred)
    norm = centred * f.rsqrt(variance + 1e-5) * w
    for shape in SHAPES:
        values = rng(3).normal(size=shape).astype(DTYPE[t])
        weight = rng(4).normal(size=shape[2:]).astype(DTYPE[t]).reshape(1, 1, *shape[2:])
        got = reduced([softmax, norm, variance], [values, weight], mode)
        wanted = evaluate([softmax, norm, variance], [values, weight], axes=(2, 3), precision="f64")
        for g, v in zip(got, wanted, strict=True):
            np.testing.assert_allclose(g, v, rtol=1e-4 if t == "f32" else 1e-12, atol=1e-5 if t == "f32" else 1e-12)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_row_inputs_and_spread_outputs(mode):
    x, scale = E.input(0, "f32"), E.input(1, "f32")
    total = f.sum(x * scale)
    values, scales = rng(1).normal(size=(2, 40, 3, 20)).astype("f4"), rng(2).normal(size=(2, 40, 1, 1)).astype("f4")
    spread, row, mixed = reduced([total, total + scale, x + scale], [values, scales], mode, full=(0,), rows=(1,))
    wanted = (values * scales).astype("f8").sum(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(spread, np.broadcast_to(wanted, values.shape), atol=1e-4)
    np.testing.assert_allclose(row, wanted + scales, atol=1e-4)
    same(mixed, values + scales)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
@pytest.mark.parametrize("t", FLOATS)
@pytest.mark.parametrize("small", [(1, 1, 1, 1), (1, 1, 0, 0), (1, 1, 1, 0), (0, 1, 0, 0), (1, 0, 0, 1)])
def test_outputs_summed_to_a_smaller_shape(small, t, mode):
    """``small``: for each dim, whether the sum has it. What lies in the output is added to."""
    if mode == "short" and small[2]:
        pytest.skip("short lines are summed to one line")
    x = E.input(0, t)
    y = (x - f.mean(x)) * x
    for shape in [s for s in SHAPES if 0 not in s]:
        values = rng(3).normal(size=shape).astype(DTYPE[t])
        spread = np.zeros(shape, DTYPE[t])
        held = np.ones([n if kept else 1 for n, kept in zip(shape, small, strict=True)], DTYPE[t])
        out = np.lib.stride_tricks.as_strided(held, shape, [s if n > 1 else 0 for s, n in zip(held.strides, held.shape, strict=True)])
        operands = [spread, out, values]
        described = ((y, t), (y, t, "sum"))
        run_rowwise(cpu.rowwise(described, (t,), mode, letters(mode, operands)), operands, shape[:2], shape[2:])
        wanted = evaluate([y], [values], axes=(2, 3), precision="f64")[0]
        tolerance = dict(rtol=1e-4, atol=2e-3) if t == "f32" else dict(rtol=1e-11, atol=1e-10)
        np.testing.assert_allclose(spread, wanted, **tolerance)
        lost = tuple(d for d in range(4) if not small[d])
        np.testing.assert_allclose(held, 1 + wanted.sum(axis=lost, keepdims=True), **tolerance)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
@pytest.mark.parametrize("shift", [0, 1])
def test_streaming_and_fetching_write_the_same(shift, mode):
    """At addresses that are aligned and at others; what is fetched behind the last row is not there."""
    x = E.input(0, "f32")
    outputs = ((x - f.mean(x), "f32"), (x, "bf16"), (f.sum(x), "f32"))
    for shape in [s for s in SHAPES if 0 not in s]:
        values = rng(3).normal(size=shape).astype("f4")
        if mode == "column":
            values = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, 3)), 3, 1)
        results = []
        for stream, fetch in itertools.product([False, True], repeat=2):
            outs = [aligned(shape, d, shift, mode) for d in ("f4", "u2")] + [room(shape, "f32", False)]
            address = cpu.rowwise(outputs, ("f32",), mode, letters(mode, [*outs, values]), stream=stream, fetch=fetch)
            run_rowwise(address, [*outs, values], shape[:2], shape[2:])
            results.append(outs)
        for plain, *others in zip(*results, strict=True):
            for other in others:
                same(plain, other)


def aligned(shape, dtype, shift, mode):
    """Zeros that begin ``shift`` elements behind a cache line; mode 'column': dim 1 lies innermost."""
    count, size = int(np.prod(shape)), np.dtype(dtype).itemsize
    block = np.zeros(count * size + 64 + shift * size, "u1")
    begin = -block.ctypes.data % 64 + shift * size
    array = block[begin : begin + count * size].view(dtype)
    return array.reshape(shape) if mode != "column" else np.moveaxis(array.reshape(shape[0], shape[2], shape[3], shape[1]), 3, 1)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_complex_reductions(mode):
    z = (rng(1).normal(size=(1, 30, 2, 21)) + 1j * rng(2).normal(size=(1, 30, 2, 21))).astype("c16")
    leaf = E.input(0, "c128")
    total, product, mean = reduced([f.sum(leaf), f.prod(leaf), leaf - f.mean(leaf)], [z], mode)
    np.testing.assert_allclose(total, z.sum(axis=(2, 3), keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(product, z.prod(axis=(2, 3), keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(mean, z - z.mean(axis=(2, 3), keepdims=True), rtol=1e-12)


def test_half_floats_reduce_in_f32():
    x = rng(1).normal(size=(1, 3, 1, 4000)).astype("f2")
    leaf = E.input(0, "f32")
    out = room(x.shape, "f32", False)
    run_rowwise(cpu.rowwise(((f.sum(leaf), "f32"),), ("f16",), "row", "sc"), [out, x], (1, 3), (1, 4000))
    np.testing.assert_allclose(out[0, :, 0, 0], x.astype("f8").sum(axis=3)[0, :, 0], rtol=1e-5)


@pytest.mark.parametrize("mode", ["row", "short", "column"])
def test_two_stages_give_the_whole(mode):
    x = E.input(0, "f32")
    outputs = ((f.mean(x), "f32"), (f.argmin(x), "i64"), (f.max(x) - f.min(x), "f32"))
    types = cpu.partial_types(outputs)
    values = rng(5).normal(size=(1, 7, 12, 33)).astype("f4")
    values[0, 2, 10, 5] = values[0, 2, 11, 5] = -9
    chunks, depth = 3, 4
    slots = [np.zeros((chunks, 7), DTYPE[t]) for t in types]

    def flat(s, c):
        return np.lib.stride_tricks.as_strided(s[c:], (1, 7, depth, 33), (0, s.strides[1], 0, 0))

    pieces = [values[:, :, c * depth : (c + 1) * depth] for c in range(chunks)]
    operands = [flat(s, 0) for s in slots]
    partial = cpu.rowwise(outputs, ("f32",), mode, letters(mode, [*operands, pieces[0]]), stage="partial")
    for c, piece in enumerate(pieces):
        run_rowwise(partial, [*(flat(s, c) for s in slots), piece], (1, 7), (depth, 33), extra=(c * depth * 33, 12 * 33))
    outs = [room((1, 7, 1, chunks), t, False) for t in ("f32", "i64", "f32")]
    stacked = [np.lib.stride_tricks.as_strided(s, (1, 7, 1, chunks), (0, s.strides[1], 0, s.strides[0])) for s in slots]
    unread = room((1, 7, 1, chunks), "f32", False)
    finish = cpu.rowwise(outputs, ("f32",), mode, letters(mode, [*outs, unread, *stacked]), stage="finish")
    run_rowwise(finish, [*outs, unread, *stacked], (1, 7), (1, chunks), extra=(0, 12 * 33))
    wanted = evaluate([e for e, _ in outputs], [values], axes=(2, 3))
    np.testing.assert_allclose(outs[0][..., :1], wanted[0], rtol=1e-4, atol=1e-6)
    same(outs[1][..., :1], wanted[1])
    same(outs[2][..., :1], wanted[2])
