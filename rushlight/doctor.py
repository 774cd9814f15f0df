"""``python -m rushlight doctor``: what was found on this machine, what is missing, and the one line that cures it."""

import importlib.metadata
import os
import platform
import sys


def _cpu():
    try:
        with open("/proc/cpuinfo") as info:
            text = info.read()
    except OSError:
        return platform.processor() or "unknown", set()
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    flags = next((line.split(":", 1)[1].split() for line in text.splitlines() if line.startswith("flags")), [])
    return model, set(flags)


def _package(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# what it is for, and whether rushlight cannot do without it
_PACKAGES = {
    "llvmlite": ("compiles kernels", True),
    "numpy": ("arrays", True),
    "safetensors": (".safetensors files", True),
    "tqdm": ("progress bars", False),
    "matplotlib": ("the pictures of examples/digits.py", False),
    "tensorboard": ("utils.tensorboard", False),
}


def _gpus():
    """(finding, remedy)."""
    from .cuda import _start

    count, missing = _start.found()
    if missing is None:
        from . import cuda

        return ", ".join(cuda.get_device_name(i) for i in range(count)), None
    what, cure = _start.CURES[missing]
    has_driver = os.path.exists("/proc/driver/nvidia/version")
    return f"none: {what}", cure if missing != "driver" or has_driver else None


def _cache():
    """(finding, remedy)."""
    from .codegen import cache

    path = cache.location()
    if path is None:
        return "none: this user has no home folder", "set RUSHLIGHT_CACHE to a folder of your own (chmod 700)"
    parent = path
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    return path, None if os.access(parent, os.W_OK) else "not writable: set RUSHLIGHT_CACHE to a folder of your own (chmod 700)"


def report():
    """The lines of the report as (label, finding, remedy or None)."""
    from . import get_num_threads, version

    model, flags = _cpu()
    wide = [f for f in ("avx2", "fma", "avx512f", "avx512_bf16") if f in flags]
    yield "rushlight", version.__version__, None
    yield "Python", sys.version.split()[0], None if sys.version_info >= (3, 11) else "rushlight needs Python 3.11 or newer"
    yield "CPU", f"{model} ({', '.join(wide) or 'no AVX2'})", None
    yield "threads", f"{get_num_threads()} of {os.cpu_count()} CPUs", None
    blas = _package("scipy-openblas64")
    yield "BLAS", f"OpenBLAS {blas}" if blas else "missing", None if blas else "pip install scipy-openblas64"
    yield "GPU", *_gpus()
    for name, (use, needed) in _PACKAGES.items():
        found = _package(name)
        yield name, found or f"not installed ({use})", f"pip install {name}" if needed and not found else None
    yield "kernel cache", *_cache()


def main():
    """Prints the report; the exit status is 1 if something is missing."""
    missing = 0
    for label, finding, remedy in report():
        print(f"{label:14} {finding}")
        if remedy:
            missing += 1
            print(f"{'':14} -> {remedy}")
    return 1 if missing else 0
