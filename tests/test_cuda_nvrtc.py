"""NVRTC compiles the CUDA kernels that operators ask for, for every architecture, without a GPU and without spilled registers; and
the cache of what it made. Skipped where NVRTC isn't installed (the extra ``cuda``)."""

import os
import subprocess
import sys

import pytest

from rushlight.codegen import cache, cuda
from rushlight.codegen.cuda import compile as compiler
from rushlight.codegen.cuda import libraries
from rushlight.lang import expr as E

pytestmark = pytest.mark.skipif(not libraries.installed("nvrtc"), reason="NVRTC isn't installed")

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")


def compiled(*args):
    """tests/cuda/instances.py in a process of its own, whose operators have no kernels yet."""
    script = os.path.join(HERE, "cuda", "instances.py")
    done = subprocess.run([sys.executable, script, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 50, done.stdout


@pytest.mark.parametrize("part, arch", enumerate(ARCHITECTURES))
def test_kernels_of_operators_compile_without_spills(arch, part):
    compiled(arch, "f32", f"{part} of 4")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("t", ["f32", "f64", "bf16", "f16", "i64", "c64"])
def test_every_kernel_of_operators_compiles_without_spills(arch, t):
    compiled(arch, t, "0 of 1", "every")


def kernel(k=0):
    x = E.input(0, "f32")
    return cuda.pointwise(((x * (k + 1.5), "f32"),), ("f32",), "cc", 0, False, name="scaled")


def test_images_are_kept_on_disk_and_damage_costs_a_compilation(tmp_path, monkeypatch):
    folder = cache.Folder(str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "folder", lambda: folder)
    monkeypatch.setattr(compiler, "_images", {})
    monkeypatch.setattr(compiler, "_compiler", None)  # NVRTC, also where the tests have a stand-in
    count, real = [], compiler.nvrtc_log
    monkeypatch.setattr(compiler, "nvrtc_log", lambda *args: (count.append(args[1]), real(*args))[1])
    first = compiler.image([kernel()], "sm_90")
    assert first[:4] == b"\x7fELF" and count == ["sm_90"]
    assert compiler.image([kernel()], "sm_90") is first
    compiler._images.clear()
    assert compiler.image([kernel()], "sm_90") == first and count == ["sm_90"]
    (entry,) = (tmp_path / "cache").iterdir()
    damaged = bytearray(entry.read_bytes())
    damaged[-1] ^= 1
    entry.write_bytes(damaged)
    compiler._images.clear()
    assert compiler.image([kernel()], "sm_90") == first and count == ["sm_90"] * 2
    compiler.image([kernel()], "sm_80")
    compiler.image([kernel(1), kernel(2)], "sm_90")
    assert count == ["sm_90", "sm_90", "sm_80", "sm_90"] and len(list((tmp_path / "cache").iterdir())) == 3


def test_names_follow_content():
    assert kernel().symbol == kernel().symbol != kernel(1).symbol
    assert kernel().symbol.startswith("rushlight_scaled_")


def test_a_kernel_that_does_not_compile_is_our_defect():
    with pytest.raises(RuntimeError, match=r"defect of rushlight(.|\n)*undefined"):
        compiler.nvrtc_log("__global__ void k() { nothing = 1; }", "sm_90")
