"""The stand-in GPU: builds the driver (driver.c) and has kernels compiled for the host (shim.py), so that tests run where there is no GPU.

``activate()`` must come before the first use of a GPU in the process. rushlight itself knows nothing of it: it is told where the driver's
library is, and codegen.cuda which compiler to use.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "driver.c")


def folder():
    """Where built things are kept between runs: private to the user."""
    base = os.environ.get("RUSHLIGHT_STANDIN_CACHE") or os.path.join(tempfile.gettempdir(), f"rushlight-standin-{os.getuid()}")
    os.makedirs(base, mode=0o700, exist_ok=True)
    return base


def driver():
    """The path of the stand-in driver's library, built if its source changed."""
    with open(SOURCE, "rb") as file:
        name = hashlib.sha256(file.read()).hexdigest()[:16]
    place = os.path.join(folder(), f"driver-{name}")
    path = os.path.join(place, "libcuda.so.1")
    if not os.path.exists(path):
        os.makedirs(place, mode=0o700, exist_ok=True)
        fresh = f"{path}.{os.getpid()}"
        subprocess.run(
            ["gcc", "-O1", "-Wall", "-Wextra", "-Wno-cast-function-type", "-shared", "-fPIC", "-o", fresh, SOURCE, "-ldl", "-lpthread"],
            check=True,
        )
        os.replace(fresh, path)
    return path


def real_gpu():
    """Is there an NVIDIA driver that shows a GPU? Asked in another process, so that this one may still choose."""
    program = "import rushlight as torch; print(torch.cuda.device_count())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return done.stdout.strip() not in ("", "0")


def activate(order=0, gpus=2, memory=None, tight=False):
    """Makes this process see stand-in GPUs. order: in which a block's threads run (0 forward, 1 reverse, else a seed); tight: behind each
    tensor's memory lies a page that nobody may touch, and what nobody wrote is NaN."""
    os.environ["RUSHLIGHT_CUDA_DRIVER"] = driver()
    os.environ.setdefault("RUSHLIGHT_STANDIN_ORDER", str(order))
    os.environ.setdefault("RUSHLIGHT_STANDIN_GPUS", str(gpus))
    if memory is not None:
        os.environ["RUSHLIGHT_STANDIN_MEMORY"] = str(memory)
    if tight:
        os.environ["RUSHLIGHT_STANDIN_TIGHT"] = os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
    import shim

    from rushlight.codegen.cuda import compile as compiler

    compiler.use(shim.image)
    os.environ["RUSHLIGHT_CUDA_COMPILER"] = shlex.join([sys.executable, shim.__file__])  # of processes that this one starts
