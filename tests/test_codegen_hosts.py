"""The code for lesser machines than this one: AVX2, and the least that x86-64 promises. It runs here as well."""

import os
import platform
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
pytestmark = pytest.mark.cpu("kernels generated for it")

PROGRAM = """
import collections
import sys
import zlib
import pytest
from rushlight.codegen import llvm
lesser = llvm.Host(sys.argv[1], sys.argv[2].split(","))
assert lesser.vector_bits == int(sys.argv[3])
llvm.host = lambda: lesser

class Part:
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        cases = collections.Counter(i.function for i in items)
        first, parts = map(int, sys.argv[4].split(" of "))
        items[:] = [i for i in items if cases[i.function] < 8 or zlib.crc32(i.name.encode()) % parts == first]

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[5:]], [Part()]))
"""
TESTS = (
    "(ways and single) or tails or offset or scatter or gather or small or half or u8-f or f16 or complex or two_stages or reduction or sum"
    " or (few_rows and f32)"
)
HASWELL = "haswell", "avx512,avx10,evex512", 256
LEAST = "x86-64", "avx,evex512,fma,f16c,xop,vaes,vpclmul,gfni,bmi", 128


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="these are x86 machines")
@pytest.mark.parametrize(
    "cpu, lacking, bits, part",
    [(*HASWELL, "0 of 3"), (*LEAST, "1 of 3"), *(pytest.param(*host, "0 of 1", marks=pytest.mark.slow) for host in (HASWELL, LEAST))],
)
def test_lesser_machine(cpu, lacking, bits, part, tmp_path):
    """Every kernel is compiled anew, so CI runs a third of the cases of those tests that have many, chosen by a hash of their names."""
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        cpu,
        lacking,
        str(bits),
        part,
        *(os.path.join(HERE, f"test_{topic}.py") for topic in ("codegen", "codegen_rowwise", "fft", "gemm")),
        "-k",
        TESTS,
    ]
    done = subprocess.run(
        command,
        check=False,
        env={**os.environ, "RUSHLIGHT_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


OTHERS = """
import sys
from rushlight.codegen import llvm
machine = llvm.Host(sys.argv[1])
machine.features.update({name: True for name in sys.argv[2].split(",") if name})
machine.flags = ",".join(("+" if on else "-") + name for name, on in machine.features.items())
llvm.host = lambda: machine
from rushlight.codegen import attention, conv, gemm, schemes, skinny, tiles, transpose
writers = [gemm.Writer(schemes.Scheme(s, narrow)) for s in schemes.SOURCES for narrow in (False, True)]
writers += [skinny.SkinnyWriter(schemes.Scheme(s), group) for s in ("bf16", "f32", "i64") for group in schemes.SKINNY_GROUPS]
writers += [attention._Kernels(attention.AttentionScheme("bf16"))]
writers += [transpose.Transpose(bits) for bits in (8, 16, 32, 64, 128)]
if "amx-tile" in sys.argv[2]:
    for source, parts in schemes.PARTS.items():
        writers += [tiles.TileWriter(schemes.Tiles(source, parts)), conv.LanesOnTiles(schemes.Tiles(source, parts))]
print(*(len(llvm.compile(writer.write("kernel"), "kernel")) > 500 for writer in writers))
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="these are x86 machines")
@pytest.mark.parametrize("cpu, features", [("sapphirerapids", "amx-tile,amx-bf16,amx-int8,avx512bf16"), ("znver4", "avx512bf16")])
def test_kernels_of_other_machines_compile(cpu, features, tmp_path):
    """They can't run here, those with matrix registers least of all. What LLVM can't compile ends the process."""
    command, environment = [sys.executable, "-c", OTHERS, cpu, features], {**os.environ, "RUSHLIGHT_CACHE": str(tmp_path)}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and set(done.stdout.split()) == {"True"}, done.stderr[-2000:]
