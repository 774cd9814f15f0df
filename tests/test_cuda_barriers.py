"""Every ``__syncthreads()`` of the CUDA kernels is needed, and a test notices when it is gone.

The kernels are compiled once with barriers that can be switched off one at a time. A scenario, one of the tests of the kernels, runs with
a barrier off in several orders of threads, in a process of its own: what is read too early may be an address. It must fail in at least one
order.
"""

import ctypes
import faulthandler
import functools
import os
import re
import signal

import library_calls
import numpy as np
import pytest
import test_cuda_attention as attention
import test_cuda_library as library
import test_cuda_product as product
from cuda_calls import ORDERS, room, run_pointwise, run_rowwise, shim

from rushlight.codegen import cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.lang import expr as E
from rushlight.lang import functions as f
from rushlight.lang.evaluate import evaluate

pytestmark = pytest.mark.skipif(not shim.have() or not hasattr(os, "fork"), reason="needs g++ and fork")

BARRIER = re.compile(r"__syncthreads\(\)")
SWITCH = """
extern "C" __attribute__((visibility("default"))) int shim_skipped = -1, shim_reached[256] = {};
#define __sync_unless_skipped(n) do { shim_reached[n] = 1; if (shim_skipped != (n)) __syncthreads(); } while (0)
"""
IN_PRELUDE = len(BARRIER.findall(compiler.prelude()))
PATIENCE = 60  # seconds: a mutant may loop for ever, which counts as noticed
# One block takes turns, so that what separates turns is seen too.
ONE_BLOCK = ("scan.cu", "places.cu", "sort.cu", "radix.cu", "linalg.cu", "generated")
_built = {}  # file -> the libraries of its entries


def switchable(file, *kernels):
    """The kernels as a shim's library whose barriers, numbered as they stand in the source, can be shim_skipped."""
    numbers = iter(range(256))
    source = BARRIER.sub(lambda _: f"__sync_unless_skipped({next(numbers)})", compiler.prelude() + "".join(k.source for k in kernels))
    made = shim.Library(shim.image(SWITCH + source, [k.symbol for k in kernels]))
    if file in ONE_BLOCK:
        launch = made.launch
        made.launch = lambda symbol, grid, *rest: launch(symbol, (1, 1, 1), *rest)
    _built.setdefault(file, []).append(made.library)
    return made


@pytest.fixture(autouse=True)
def _switches(monkeypatch):
    monkeypatch.setattr(library_calls, "_library", functools.cache(lambda family, entry: switchable(family.file, family.kernel(entry))))
    _built.clear()


def fails(scenario, file, barrier):
    """Does a scenario fail without a barrier, in some order?"""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        for made in _built[file]:
            ctypes.c_int.in_dll(made, "shim_skipped").value = barrier
        signal.alarm(PATIENCE)
        code = 0
        for order in ORDERS:
            try:
                scenario(order)
            except BaseException:
                code = 1
                break
        os._exit(code)
    return os.waitpid(child, 0)[1] != 0


def unnoticed(file, scenarios):
    """The barriers that scenarios reach, and those of them that none misses, by number."""
    needed, idle = set(), set()
    for scenario in scenarios:
        for made in _built.get(file, ()):
            ctypes.memset((ctypes.c_int * 256).in_dll(made, "shim_reached"), 0, 1024)
        scenario(0)  # compiles what it runs, and must pass
        found = {n for made in _built[file] for n, hit in enumerate((ctypes.c_int * 256).in_dll(made, "shim_reached")) if hit}
        for n in sorted(found - needed):
            if fails(scenario, file, n):
                needed.add(n)
                idle.discard(n)
            else:
                idle.add(n)
    return needed, idle


def bound(test, *args):
    return lambda order: test(*args, order)


def solve(order):
    """Triangular systems, L D L^H, and eigenvalues of a matrix without symmetry."""
    rng = np.random.default_rng(1)
    x, b = np.tril(rng.standard_normal((2, 6, 6))) + 3 * np.eye(6), rng.standard_normal((2, 6, 3))
    a, y = library.columns(x), library.columns(b)
    library.run(library._linalg, "triangular<f64>", 2, order, a=a, b=y, batch=2, m=6, n=6, k=3, a_step=36, b_step=18, lower=1)
    np.testing.assert_allclose(library.columns(y), np.linalg.solve(x, b))


SCENARIOS = {
    "scan.cu": [bound(library.test_scans, 9001)],
    "places.cu": [library.test_places_of_indices_and_masks],
    "sort.cu": [bound(library.test_short_rows_are_sorted_stably, "i64", np.int64)],
    "radix.cu": [
        bound(library.test_long_rows_are_sorted_stably, 5000),
        bound(library.test_rows_that_fit_into_a_block_are_sorted_stably, "f32", "f4", 4),
    ],
    "depthwise.cu": [bound(library.test_channels_that_are_convolved_alone, library.GEOMETRIES[-1], False)],
    "product.cu": [
        bound(product.test_product, "f32", "OnThreads<f32,2>", 1e-5), bound(product.test_product, "bf16", "OnTensorCores", 8e-3),
    ],
    "attention.cu": [
        lambda order: attention.attend(order, attention.tensor_cores(64), 64, causal=True),
        lambda order: attention.attend(order, attention.tensor_cores(40), 40, masked=True),
        lambda order: attention.attend(order, attention.tensor_cores(128, "f32"), 128),
    ],
    "attention_threads.cu": [lambda order: attention.attend(order, attention.threads("f32", 128), 128)],
    "linalg.cu": [
        lambda order: library.test_factorizations("f64", order, 140), lambda order: library.test_spectra("f64", order, 140), solve,
    ],
}  # fmt: skip


@pytest.mark.parametrize("file", SCENARIOS)
def test_a_deleted_barrier_of_a_library_kernel_is_noticed(file):
    needed, idle = unnoticed(file, SCENARIOS[file])
    text = compiler.read(file)
    shared = 0 if file == "product.cu" else len(BARRIER.findall(compiler.read("tiles.cuh"))) if "tensor_tile" in text else 0
    every = {IN_PRELUDE + n for n in range(shared, len(BARRIER.findall(text)))}
    lines = {n: text[: match.start()].count("\n") + 1 for n, match in enumerate(BARRIER.finditer(text), IN_PRELUDE)}
    assert not idle, f"{file}: nothing fails without the barriers of lines {[lines[n] for n in sorted(idle)]} (includes counted)"
    assert needed == every, f"{file}: no scenario reaches the barriers of lines {[lines[n] for n in sorted(every - needed)]}"


def test_every_file_with_a_barrier_has_a_scenario():
    folder = os.path.dirname(compiler.__file__)
    files = {name for name in os.listdir(folder) if name.endswith(".cu") and BARRIER.search(compiler.read(name))}
    assert files == set(SCENARIOS) | {"conv.cu"}  # whose barriers are those of tiles.cuh, as in product.cu


@pytest.mark.parametrize("mode, reduce, barriers", [("row", False, 1), ("row", True, 2), ("column", False, 2), ("column", True, 2)])
def test_a_deleted_barrier_of_a_generated_kernel_is_noticed(mode, reduce, barriers):
    """The joins of a block's accumulators (prelude), and the end of a turn of the loop over rows."""
    x = E.input(0, "f32")
    e = f.exp(x - f.max(x))
    value, layout = (f.sum(x), "sc") if reduce else (e / f.sum(e), "cc")
    kernel = cuda.rowwise(((value, "f32"),), ("f32",), mode, layout, 1, 1, False, longest=4096 * (mode == "row"), name="barriers")
    made = switchable("generated", kernel)
    values = np.random.default_rng(3).normal(size=(3, 4096) if mode == "row" else (600, 40)).astype("f4") * 3
    if mode == "column":
        values = values.T.copy().T
    (wanted,) = evaluate([value], [values], axes=(1,), precision="f64")

    def scenario(order):
        out = room(values.shape[:1], values.shape[1:], "f4", not reduce)
        out = out if mode == "row" else np.zeros(values.shape[::-1], "f4").T
        run_rowwise(made, kernel, mode, [out, values], layout, values.shape[:1], values.shape[1:], order)
        np.testing.assert_allclose(out[:, :1] if reduce else out, wanted, rtol=1e-4)

    needed, idle = unnoticed("generated", [scenario])
    assert not idle
    assert len(needed) == barriers  # of a join (two in columns whose join all threads want), and where one join is all, behind the turn


def test_a_deleted_barrier_of_a_transposing_kernel_is_noticed():
    """Before the tile of a transposed operand is read, and before the next one is written."""
    x, y = E.input(0, "f32"), E.input(1, "f32")
    kernel = cuda.pointwise(((x + y, "f32"),), ("f32", "f32"), "ccv", 2, False, name="barriers")
    made = switchable("generated", kernel)
    a, b = np.random.default_rng(3).normal(size=(70, 90)).astype("f4"), np.random.default_rng(4).normal(size=(90, 70)).astype("f4")

    def scenario(order):
        out = np.zeros_like(a)
        run_pointwise(made, kernel, [out, a, b.T], "ccv", 2, a.shape, order)
        np.testing.assert_array_equal(out, a + b.T)

    needed, idle = unnoticed("generated", [scenario])
    assert not idle and len(needed) == 2
