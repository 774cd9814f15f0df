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
