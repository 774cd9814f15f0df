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


def report():
    """The lines of the report as (label, finding, remedy or None)."""
    from . import get_num_threads, version
    from .codegen import cache

    model, flags = _cpu()
    wide = [f for f in ("avx2", "fma", "avx512f", "avx512_bf16") if f in flags]
    yield "rushlight", version.__version__, None
    yield "Python", sys.version.split()[0], None if sys.version_info >= (3, 11) else "rushlight needs Python 3.11 or newer"
    yield "CPU", f"{model} ({', '.join(wide) or 'no AVX2'})", None
    yield "threads", f"{get_num_threads()} of {os.cpu_count()} CPUs", None
    for name, use in (("llvmlite", "compiles kernels"), ("scipy-openblas64", "matrix products"), ("numpy", "arrays, fft"),
                      ("safetensors", ".safetensors files")):  # fmt: skip
        found = _package(name)
        yield name, found or "missing", None if found else f"pip install {name}   ({use})"
    yield "kernel cache", cache.location(), None
    yield "GPU", "not supported by this version: tensors live on the CPU", None


def main():
    """Prints the report; the exit status is 1 if something is missing."""
    missing = 0
    for label, finding, remedy in report():
        print(f"{label:18} {finding}")
        if remedy:
            missing += 1
            print(f"{'':18} -> {remedy}")
    return 1 if missing else 0
