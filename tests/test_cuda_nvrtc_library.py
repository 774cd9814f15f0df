"""NVRTC compiles the hand-written kernels for every architecture without spilled registers. Skipped where NVRTC isn't installed."""

import pytest

from rushlight.codegen import cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.codegen.cuda import libraries

pytestmark = pytest.mark.skipif(not libraries.installed("nvrtc"), reason="NVRTC isn't installed")

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
ENTRIES = {
    "product.cu": "product<f32,f32,f32,OnThreads<f32,4>> product<c128,c128,c128,OnThreads<c128,2>> product<bf16,bf16,f32,OnTensorCores> "
                  "product<f32,f32,f32,OnTensorCores> add_parts<f32,f32> spread<bf16>",
    "conv.cu": "correlate<f32,f32,OnThreads<f32,4>,int> weights<bf16,f32,OnTensorCores,int> weights<f64,f64,OnThreads<f64,2>,i64>",
    "depthwise.cu": "convolve<f32,f32,Window<Axis<3,1,1,1>,Axis<3,1,1,1>>,false,false> "
                    "convolve<bf16,f32,Window<Axis<7,1,3,1>,Axis<7,1,3,1>>,true,true> "
                    "convolve<f64,f64,Window<Axis<7,2,3,2>,Axis<7,3,3,1>>,true,false> "
                    "weights<f32,f32,Window<Axis<5,2,2,1>,Axis<5,2,2,1>>,false> "
                    "weights<f64,f64,Window<Axis<7,1,3,1>,Axis<7,2,3,1>>,true> "
                    "weights<f16,f32,Window<Axis<7,1,3,1>,Axis<7,1,3,1>>,false>",
    "attention.cu": "forward<bf16,64,false> forward<f16,128,false> forward<f16,128,true> gradient<bf16,64,true> gradient<bf16,128,true> "
                    "gradient<f16,128,false> forward<f32,64,false> forward<f32,128,true> gradient<f32,64,true> gradient<f32,64,false> "
                    "gradient<f32,128,true> gradient<f32,128,false>",
    "attention_threads.cu": "forward<f32,f32,256,2> forward<f64,f64,128,2> forward<bf16,f32,256,2> "
                            "gradient<f32,f32,256,1,true> gradient<f64,f64,64,2,true> gradient<f16,f32,256,1,false>",
    "scan.cu": "lines<Sum<f32,f64>> totals<LogSum<f32>> along<Carried<Extremum<i64,true>>> fill<Recurrence<f64>>",
    "sort.cu": "short_rows<f32> pick<u64> search<f16,i32>",
    "radix.cu": "histogram<f32,u32,u32> histogram<f64,u64,u64> sweep<f32,u32,u32,16> sweep<f32,u32,u32,4> sweep<i64,u64,u32,8> "
                "sweep<f64,u64,u64,8> sweep<bf16,u16,u32,16> sweep<u8,u8,u32,16> sweep<u64,u32,u32,16> whole<f32,u32,16> whole<f32,u32,4> "
                "whole<f64,u64,8> whole<f16,u16,16> whole<u8,u8,16> whole<u64,u32,16>",
    "fill.cu": "whole steps<f32> between<f64> triangle",
    "faults.cu": "nans<bf16,f32> integers<i64> numbers<f16> numbers<f64>",
    "places.cu": "places<i64> select unravel<i64>",
    "scatter.cu": "in_order<f32,f32,Add,int> keys<int> in_segments<bf16,f32,Add,int>",
    "random.cu": "simple<f32,f32,f32,Uniform> normal<f64,f64,f64,true> integers<i64,true> sampled<f32,f32,Binomial>",
    "special.cu": "evaluate<Lower> evaluate<Airy> evaluate<ModifiedK<true,false>> evaluate<GammaSlope>",
    "pool.cu": "route<f32,f32,u8,int> route<bf16,f32,i32,i64> route<f64,f64,u8,i64>",
    "fourier.cu": "pass<f32> pass<f64>",
    "linalg.cu": "lu<f64> triangular<f32> cholesky<c64> qr<f64> eigen<f64> singular<c64> ldl<c64> general<c128>",
}  # fmt: skip
CASES = [(file, entry) for file, entries in ENTRIES.items() for entry in entries.split()]


def usage(file, entry, arch):
    kernel = cuda.library(file, entry.partition("<")[0], 128 if file == "attention.cu" else 256, ENTRY=entry)
    cubin, used = compiler.compiled([kernel], arch)
    assert cubin[:4] == b"\x7fELF"
    return used[kernel.symbol]


@pytest.mark.parametrize("number, case", enumerate(CASES), ids=[" ".join(c) for c in CASES])
def test_compiles_without_spills(number, case):
    assert usage(*case, ARCHITECTURES[number % len(ARCHITECTURES)]).spilled == 0


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("case", CASES, ids=[" ".join(c) for c in CASES])
def test_compiles_without_spills_for_every_architecture(case, arch):
    assert usage(*case, arch).spilled == 0


GREEDY = """
extern "C" __global__ void __launch_bounds__(1024) greedy(float *x, int n)
{
    float held[72];
#pragma unroll
    for (int i = 0; i < 72; i++) held[i] = x[i * n + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 72; i++) x[i * n + threadIdx.x] = held[71 - i] * held[(i * 7) % 72];
}
"""


def test_a_kernel_that_spills_is_seen_and_compiled_again():
    """72 live values don't fit into the 64 registers that 1024 threads leave: that spills for any number of blocks, and is reported."""

    class Kernel:
        symbol, source = "greedy", GREEDY

    used = compiler.compiled([Kernel], "sm_90")[1]["greedy"]
    assert used.spilled > 0 and used.blocks == 1
    Kernel.source = GREEDY.replace("(1024)", "(128)")
    used = compiler.compiled([Kernel], "sm_90")[1]["greedy"]
    assert used.spilled == 0 and used.registers > 72
