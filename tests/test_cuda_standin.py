"""The GPU's tests on the stand-in, in a process of their own: here no GPU is to be seen.

A fixed slice of the operator suite runs with ``--device cuda``; ``make test-all`` runs the product (RUSHLIGHT_TEST_ALL) in other orders
of threads than ``make test-standin`` does, each tensor at the end of memory of its own; ``make test-cuda`` the same on a real GPU.
"""

import os
import shutil
import subprocess
import sys

import pytest

import rushlight as torch

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = bool(os.environ.get("RUSHLIGHT_TEST_ALL"))
pytestmark = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("g++")), reason="the stand-in is built by gcc")

# file -> expression that selects the fixed slice
SLICE = {
    "cuda/test_gpu_captures.py": "",
    "cuda/test_gpu_device.py": "",
    "cuda/test_gpu_edges.py": "",
    "cuda/test_gpu_exchange.py": "",
    "cuda/test_gpu_kernels.py": "",
    "cuda/test_gpu_optimizers.py": "",
    "cuda/test_gpu_profiler.py": "",
    "cuda/test_gpu_refusals.py": "",
    "cuda/test_gpu_rows.py": "",
    "cuda/test_gpu_several.py": "",
    "cuda/test_gpu_streams.py": "",
    "cuda/test_gpu_threads.py": "",
    "cuda/test_gpu_training.py": "",
    "cuda/test_gpu_cudnn.py": "",
    "test_docs.py": "of_a_gpu",
    "test_laws.py": "(values or layouts or gradients) and (add or gelu or where or lerp)",
}  # fmt: skip
PRODUCT = ("test_laws.py", "test_reductions.py", "test_index.py", "test_index_operators.py", "test_movement.py", "test_joining.py",
           "test_sorting.py", "test_scan.py", "test_contraction.py", "test_conv.py", "test_pool.py", "test_programs.py",
           "test_training.py")  # fmt: skip


def run(file, *options, **env):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--device", "cuda", "--standin", os.path.join(HERE, file), *options]
    done = subprocess.run(command, cwd=os.path.dirname(HERE), env={**os.environ, **env}, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command[2:])}\n{done.stdout[-6000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize("file", SLICE)
def test_slice(file):
    run(file, *(("-k", SLICE[file]) if SLICE[file] else ()))


def test_slice_with_nothing_behind_a_tensor():
    run("cuda/test_gpu_rows.py", "--tight", "--order", "3")


def test_examples_hold_where_no_memory_is_cached():
    run("test_docs.py", "-k", "of_a_gpu", "--tight")


def test_streams_of_several_gpus_that_get_on_at_random():
    run("cuda/test_gpu_streams.py", RUSHLIGHT_STANDIN_GPUS="3", RUSHLIGHT_STANDIN_SCHEDULE="5")


def test_streams_whose_memory_nobody_keeps():
    run("cuda/test_gpu_streams.py", "--tight", RUSHLIGHT_STANDIN_SCHEDULE="3")


def test_branches_of_graphs_that_get_on_at_random():
    run("cuda/test_gpu_captures.py", RUSHLIGHT_STANDIN_SCHEDULE="5")


def test_the_script_for_minutes_with_a_gpu(tmp_path):
    """Its report, and how it runs test files, on the stand-in."""
    command = [sys.executable, os.path.join(HERE, os.pardir, "tools", "gpu.py"), "--seconds", "300", "--jobs", "1", "--out", str(tmp_path)]
    command += ["--stages", "facts", "suite", "--files", "test_gpu_training", "test_gpu_profiler"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RUSHLIGHT_CUDA_DRIVER": "/nowhere/libcuda.so.1"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = (tmp_path / "report.md").read_text()
    parts = "| facts | ok |", "| suite | ok |", "Stand-in GPU 0", "| `test_gpu_training` |", "| `test_gpu_profiler` |"
    assert all(part in report for part in parts)


def test_elements_that_lie_further_apart_than_32_bits_can_number():
    run("cuda/test_gpu_reach.py", RUSHLIGHT_STANDIN_MEMORY=str(16 << 30))


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="make test-all")
@pytest.mark.parametrize("file", PRODUCT)
def test_product(file):
    run(file, "--tight", "--order", "7")


def python(program, **env):
    """What a program prints in a process of its own, with other environment variables."""
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_missing_is_said_in_one_line():
    program = "import rushlight as torch\ntry:\n    torch.ones(1).cuda()\nexcept AssertionError as e:\n    print(e)"
    text = python(program, RUSHLIGHT_CUDA_DRIVER="/nowhere/libcuda.so.1")
    assert text.startswith("Torch not compiled with CUDA enabled\n") and "no NVIDIA driver" in text and "apt install" in text
    sys.path.insert(0, os.path.join(HERE, "cuda"))
    import standin

    text = python(program, RUSHLIGHT_CUDA_DRIVER=standin.driver(), RUSHLIGHT_STANDIN_GPUS="0")
    assert "No CUDA GPUs are available" in text and "nvidia-smi -L" in text
    hidden = "from rushlight.codegen.cuda import libraries\nlibraries.places = lambda name: ['/nowhere/libnvrtc.so']\n" + program
    text = python(hidden, RUSHLIGHT_CUDA_DRIVER=standin.driver())
    assert "pip install 'rushlight[cuda]'" in text


def test_a_gpu_that_is_too_old_is_named():
    sys.path.insert(0, os.path.join(HERE, "cuda"))
    import standin

    program = "import rushlight as torch\ntry:\n    torch.ones(1).cuda() + 1\nexcept RuntimeError as e:\n    print(e)"
    text = python(program, RUSHLIGHT_CUDA_DRIVER=standin.driver(), RUSHLIGHT_STANDIN_CAPABILITY="75")
    assert text.startswith("cuda:0 (Stand-in GPU 0) has compute capability 7.5: kernels are made for 8.0 and higher\n") and "cpu" in text


def test_importing_loads_nothing_of_cuda_and_asking_is_quick():
    program = (
        "import sys, time, rushlight as torch, rushlight.cuda\n"
        "t = time.perf_counter(); found = torch.cuda.is_available(); t = time.perf_counter() - t\n"
        "print(found, t < 1e-3, any(m.startswith(('cuda', 'nvidia', 'rushlight.nn')) for m in sys.modules))\n"
    )
    best = {python(program, RUSHLIGHT_CUDA_DRIVER="/nowhere/libcuda.so.1").strip() for _ in range(3)}
    assert "False True False" in best


def test_the_memory_of_a_gpu_is_no_memory_of_the_host():
    program = (
        f"import sys; sys.path.insert(0, {os.path.join(HERE, 'cuda')!r})\nimport standin; standin.activate()\n"
        "import ctypes, rushlight as torch\nx = torch.ones(4, device='cuda'); x.tolist()\nprint('made', flush=True)\n"
        "print(ctypes.string_at(x.data_ptr(), 4))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "made\n" and done.returncode == -11  # SIGSEGV


def test_what_lies_behind_a_tensor_cannot_be_touched_and_what_nobody_wrote_shows():
    program = (
        f"import sys; sys.path.insert(0, {os.path.join(HERE, 'cuda')!r})\nimport standin; standin.activate(tight=True)\n"
        "import ctypes, rushlight as torch\nprint(torch.empty(3, device='cuda').isnan().tolist())\n"
        "x = torch.ones(3, device='cuda'); x.tolist()\nfill = ctypes.CDLL(standin.driver()).cuMemsetD8Async\n"
        "for n in (12, 13):\n"
        "    print(fill(ctypes.c_void_p(x.data_ptr()), ctypes.c_ubyte(0), ctypes.c_size_t(n), None), flush=True)\n"
        "    torch.cuda.synchronize(); print(x.tolist(), flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[True, True, True]", "0", "[0.0, 0.0, 0.0]", "0"] and done.returncode == -11  # SIGSEGV


def test_what_a_graphs_branches_do_not_wait_for_shows():
    program = (
        f"import sys; sys.path.insert(0, {os.path.join(HERE, 'cuda')!r})\nimport standin; standin.activate()\n"
        "import rushlight as torch\na, side, g = torch.zeros(1, device='cuda'), torch.cuda.Stream(), torch.cuda.CUDAGraph()\n"
        "torch.cuda.synchronize()\n"
        "with torch.cuda.graph(g):\n"
        "    side.wait_stream(torch.cuda.current_stream())\n"
        "    with torch.cuda.stream(side): a.add_(1)\n"
        "    b = a * 2\n"  # before the side stream adds, or behind
        "    torch.cuda.current_stream().wait_stream(side)\n"
        "    c = a * 2\n"
        "for n in range(40):\n"
        "    g.replay(); print(b.item() - 2 * n, c.item() - 2 * n)\n"
    )
    assert set(python(program, RUSHLIGHT_STANDIN_SCHEDULE="5").split("\n")) == {"0.0 2.0", "2.0 2.0", ""}


@pytest.mark.cpu("a process without the stand-in")
def test_nothing_is_seen_here():
    assert not torch.cuda.is_available() or torch.cuda.get_device_name(0) != "Stand-in GPU 0"
