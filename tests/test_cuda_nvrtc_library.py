"""NVRTC compiles the hand-written kernels for every architecture without spilled registers. Skipped where NVRTC isn't installed."""

import re

import pytest

from rushlight.codegen import cuda
from rushlight.codegen.cuda import compile as compiler

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC isn't installed")

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
ENTRIES = {
    "product.cu": "product<f32,f32,f32,OnThreads<f32,4>> product<c128,c128,c128,OnThreads<c128,2>> product<bf16,bf16,f32,OnTensorCores> "
                  "product<f32,f32,f32,OnTensorCores> add_parts<f32,f32>",
    "conv.cu": "correlate<f32,f32,OnThreads<f32,4>> weights<bf16,f32,OnTensorCores> weights<f64,f64,OnThreads<f64,2>>",
    "attention.cu": "forward<bf16,64> forward<f16,128> gradient<bf16,64,true> gradient<bf16,128,true> gradient<f16,128,false>",
    "scan.cu": "fill<Sum<f32,f64>> totals<LogSum<f32>> carries<Extremum<i64,true>> fill<Recurrence<f64>>",
    "sort.cu": "short_rows<f32> load<bf16> count distribute finish<i8> pick search<f16,i32,true>",
    "places.cu": "places<i64> select unravel<i64>",
    "scatter.cu": "in_order<f32,f32,Add,int> keys<int> in_segments<bf16,f32,Add,int>",
    "random.cu": "simple<f32,f32,f32,Uniform> normal<f64,f64,f64,true> integers<i64,true> sampled<f32,f32,Binomial>",
    "special.cu": "evaluate<Lower> evaluate<Airy> evaluate<ModifiedK<true,false>> evaluate<GammaSlope>",
    "fourier.cu": "pass<f32> pass<f64>",
    "linalg.cu": "lu<f64> triangular<f32> cholesky<c64> qr<f64> eigen<f64> singular<c64> ldl<c64> general<c128>",
}  # fmt: skip
SPILLING = (  # 4 to 130 bytes on the architecture that the rotation gives them, measured with NVRTC 13.5: still to be brought down
    "product<bf16,bf16,f32,OnTensorCores>", "gradient<bf16,128,true>", "normal<f64,f64,f64,true>", "sampled<f32,f32,Binomial>",
    "evaluate<Lower>", "evaluate<Airy>", "eigen<f64>", "general<c128>",
)  # fmt: skip
CASES = [(file, entry) for file, entries in ENTRIES.items() for entry in entries.split()]


@pytest.mark.parametrize("number, case", enumerate(CASES), ids=[" ".join(c) for c in CASES])
def test_compiles_without_spills(number, case, request):
    file, entry = case
    if entry in SPILLING:
        request.applymarker(pytest.mark.xfail(reason="a few registers are spilled", raises=AssertionError))
    kernel = cuda.library(file, entry.partition("<")[0], (), 256, ENTRY=entry)
    arch = ARCHITECTURES[number % len(ARCHITECTURES)]
    status, program = nvrtc.nvrtcCreateProgram((compiler.prelude() + kernel.source).encode(), b"kernel.cu", 0, [], [])
    options = [f"--gpu-architecture={arch}", *compiler.OPTIONS, "--ptxas-options=--verbose"]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    text = compiler.log(nvrtc, program)
    nvrtc.nvrtcDestroyProgram(program)
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, text
    assert re.findall(r"(\d+) bytes spill stores", text) == ["0"], text
