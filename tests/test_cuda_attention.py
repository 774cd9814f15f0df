"""The attention kernels' own source under the shim, forward and gradients, against NumPy in several orders of threads."""

import numpy as np
import pytest
from cuda_calls import ORDERS
from library_calls import run

from rushlight.cuda.ops.attention import TensorCores, Threads

BATCH, HEADS, KEY_HEADS, LENGTH, KEYS = 1, 2, 1, 70, 90


def reference(q, k, v, mask, kept, causal, scale, grad):
    """Results of the kernels by name, in float64; q (B, H, L, D), k and v (B, G, S, D) with H a multiple of G."""
    groups = q.shape[1] // k.shape[1]
    k, v = (np.repeat(x, groups, 1) for x in (k, v))
    scores = np.einsum("bhld,bhsd->bhls", q, k) * scale + (0 if mask is None else mask)
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    logs = np.log(np.exp(scores).sum(-1))
    weights = np.exp(scores - logs[..., None])
    kept = 1 if kept is None else kept
    out = np.einsum("bhls,bhsd->bhld", weights * kept, v)
    slopes = weights * (np.einsum("bhld,bhsd->bhls", grad, v) * kept - (grad * out).sum(-1)[..., None])
    dk, dv = np.einsum("bhls,bhld->bhsd", slopes * scale, q), np.einsum("bhls,bhld->bhsd", weights * kept, grad)
    dk, dv = (x.reshape(BATCH, -1, groups, *x.shape[2:]).sum(2) for x in (dk, dv))
    return {"out": out, "logs": logs, "dq": np.einsum("bhls,bhsd->bhld", slopes * scale, k), "dk": dk, "dv": dv, "slopes": slopes}


def step(x):
    """Strides of batch, head and position, in elements."""
    return tuple(s // x.itemsize for s in x.strides[:3])


def operands(type, width, masked=False, dropped=False):
    """What the kernels are given, by name."""
    rng = np.random.default_rng(5)
    shapes = {"q": (HEADS, LENGTH), "k": (KEY_HEADS, KEYS), "v": (KEY_HEADS, KEYS), "grad": (HEADS, LENGTH)}
    given = {name: rng.standard_normal((BATCH, *shape, width)).astype(type) for name, shape in shapes.items()}
    scores = BATCH, HEADS, LENGTH, KEYS
    given |= {"mask": rng.standard_normal(scores).astype(type)} if masked else {}
    return given | ({"kept": ((rng.random(scores) > 0.3) * 1.5).astype(type)} if dropped else {})


def computed(order, scheme, given, causal=False):
    """Forward and gradients by the kernels of a scheme: (the results by name, what NumPy says in float64)."""
    type, width = given["q"].dtype, given["q"].shape[-1]
    q, k, v, grad, mask, kept = (given[x].astype(np.float64) if x in given else None for x in ("q", "k", "v", "grad", "mask", "kept"))
    wanted = reference(q, k, v, mask, kept, causal, width**-0.5, grad)
    numbers = np.float64 if type == np.float64 else np.float32
    got = {name: np.zeros(x.shape, type) for name, x in wanted.items() if name != "logs"}
    logs, delta = np.zeros((BATCH, HEADS, LENGTH), numbers), (grad * wanted["out"]).sum(-1).astype(numbers)
    steps = {f"{name}_step": step(x) for name, x in (given | got).items()}
    call = {
        "batch": BATCH, "heads": HEADS, "key_heads": KEY_HEADS, "length": LENGTH, "keys": KEYS, "width": width, "value_width": width,
        "causal": int(causal), "scale": width**-0.5, "logs": logs, "delta": delta, **given, **got, **steps,
    }  # fmt: skip
    entry = scheme.forward.format("true" if "kept" in given else "false")
    run(scheme.family, entry, (-(-LENGTH // scheme.rows), BATCH * HEADS, 1), order, shared=scheme.shared, **call)
    for by_keys, count in (("false", LENGTH), ("true", KEYS)):
        grid = -(-count // scheme.rows_back), BATCH, 1
        run(scheme.family, scheme.gradient.format(by_keys), grid, order, shared=scheme.shared_back, **call)
    return got | {"logs": logs}, wanted


def errors(got, wanted):
    """How far results are from those wanted, as parts of the largest number, by name."""
    return {name: np.abs(got[name] - want).max() / np.abs(want).max() for name, want in wanted.items()}


def attend(order, scheme, width, causal=False, masked=False, dropped=False):
    """Every result of a scheme is near what NumPy says."""
    type, tolerance = scheme.tested
    found = errors(*computed(order, scheme, operands(type, width, masked, dropped), causal))
    assert all(error <= tolerance for error in found.values()), found


def tensor_cores(width, type="f16"):
    scheme = TensorCores(type, width)
    scheme.tested = {"f16": (np.float16, 4e-3), "f32": (np.float32, 2e-6)}[type]
    return scheme


def threads(type, width):
    scheme = Threads(type, width, 8 if type == "f64" else 4)
    scheme.tested = {"f16": (np.float16, 4e-3), "f32": (np.float32, 2e-6), "f64": (np.float64, 1e-14)}[type]
    return scheme


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("type, width, causal, masked, dropped", [
    ("f16", 40, False, True, False), ("f16", 64, True, False, False), ("f16", 40, False, False, True),
    ("f32", 64, True, False, False), ("f32", 40, False, True, True), ("f32", 128, True, True, False),
])  # fmt: skip
def test_attention_on_tensor_cores(type, width, causal, masked, dropped, order):
    attend(order, tensor_cores(width, type), width, causal, masked, dropped)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("type, width, causal, masked, dropped", [
    ("f32", 40, True, False, False), ("f32", 200, False, True, True), ("f64", 33, False, True, False), ("f16", 200, True, False, True),
])  # fmt: skip
def test_attention_on_threads(type, width, causal, masked, dropped, order):
    attend(order, threads(type, width), width, causal, masked, dropped)


@pytest.mark.parametrize("width", [64, 128])
def test_float32_on_tensor_cores_is_as_exact_as_on_threads(width):
    """To a factor of two: of the tensor cores' 11 bits alone a thousandth of the numbers would be wrong."""
    given = operands(np.float32, width)
    ours, exact = (errors(*computed(0, scheme, given)) for scheme in (tensor_cores(width, "f32"), threads("f32", width)))
    assert all(ours[name] <= 2 * exact[name] for name in exact), (ours, exact)


@np.errstate(invalid="ignore", over="ignore")
@pytest.mark.parametrize("name", ["q", "k", "v", "grad"])
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, -3e38])
def test_what_is_not_finite_on_tensor_cores_is_what_it_is_on_threads(name, number):
    given = operands(np.float32, 64)
    given[name][0, 0, 7, 3] = number
    ours, exact = (computed(0, scheme, given)[0] for scheme in (tensor_cores(64, "f32"), threads("f32", 64)))
    for result, want in exact.items():
        np.testing.assert_array_equal(np.where(np.isfinite(ours[result]), 0, ours[result]), np.where(np.isfinite(want), 0, want), result)


@np.errstate(invalid="ignore", over="ignore")
@pytest.mark.parametrize("name", ["q", "k", "v", "grad"])
def test_a_nan_as_a_gpu_makes_it_beside_an_infinity_stays_one(name):
    """All its bits are set, but for the sign."""
    given = operands(np.float32, 64)
    given[name][0, 0, 7:9, 3:5] = np.inf
    given[name].view(np.uint32)[0, 0, 7, 3] = 0x7FFFFFFF
    ours, exact = (computed(0, scheme, given)[0] for scheme in (tensor_cores(64, "f32"), threads("f32", 64)))
    for result, want in exact.items():
        np.testing.assert_array_equal(np.isnan(ours[result]), np.isnan(want), result)


@pytest.mark.parametrize("type", ["f32", "bf16"])
def test_a_block_on_tensor_cores_fits_into_the_shared_memory_of_any_gpu(type):
    assert all(max(s.shared, s.shared_back) <= 99 << 10 for s in (TensorCores(type, 64), TensorCores(type, 128)))


@pytest.mark.parametrize("type, size", [("f64", 8), ("f32", 4), ("bf16", 4)])
def test_a_block_on_threads_fits_into_the_shared_memory_of_any_gpu(type, size):
    for width in (1, 64, 65, 128, 1024 // size):
        scheme = Threads(type, width, size)
        assert max(scheme.shared, scheme.shared_back) <= 99 << 10 and scheme.rows_back >= 16
