"""From sources to what a driver loads: NVRTC, or the compiler that tests put in its place, behind the disk cache.

The CUDA packages are imported at the first compilation. RUSHLIGHT_DEBUG=1 prints a line for each, 2 the source as well.
"""

import functools
import hashlib
import os
import sys
import threading
import time

from .. import cache
from ..llvm import debug_level

# IEEE arithmetic throughout: no flushing of denormals, exact division and square root, no contraction (the error-free
# transformations of lang/elementary depend on it; where a fused multiply-add is meant, the source says so).
OPTIONS = ("--std=c++17", "--minimal", "--fmad=false", "--diag-suppress=177,550")

_lock = threading.RLock()
_images = {}  # (symbols, architecture) -> image
_compiler = None  # the stand-in's, see use()

os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def use(compiler):
    """Put ``compiler(source, symbols, arch) -> bytes`` in NVRTC's place; None brings NVRTC back."""
    global _compiler
    with _lock:
        _compiler = compiler
        _images.clear()


@functools.cache
def prelude():
    """The text in front of every translation unit."""
    return read("prelude.cuh")


@functools.cache
def read(name):
    """The text of a file of this package; a line ``#include "other"`` stands for the text of another."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name)) as file:
        lines = file.read().splitlines(keepends=True)
    return "".join(read(line.split('"')[1]) if line.startswith("#include") else line for line in lines)


def image(kernels, arch):
    """What the driver loads to get these kernels on a GPU of architecture ``arch`` ("sm_90"): one translation unit."""
    symbols = tuple(k.symbol for k in kernels)
    with _lock:
        found = _images.get((symbols, arch))
        if found is None:
            found = _images[symbols, arch] = _made(kernels, symbols, arch)
        return found


def _made(kernels, symbols, arch):
    if _compiler is not None:
        return _compiler(_unit(kernels), symbols, arch)
    entry = "cuda-" + hashlib.sha256(repr((symbols, arch, nvrtc_version(), OPTIONS)).encode()).hexdigest()
    cubin = cache.folder().read(entry)
    if cubin is None:
        start = time.perf_counter()
        cubin = nvrtc(_unit(kernels), arch)
        cache.folder().write(entry, cubin)
        if debug_level() >= 1:
            took = 1e3 * (time.perf_counter() - start)
            sys.stderr.write(f"rushlight: compiled {', '.join(symbols)} for {arch} in {took:.1f} ms, {len(cubin)} bytes\n")
    return cubin


def _unit(kernels):
    text = prelude() + "".join(k.source for k in kernels)
    if debug_level() >= 2:
        sys.stderr.write("".join(k.source for k in kernels))
    return text


# -- NVRTC -------------------------------------------------------------------------------------------------------------


@functools.cache
def nvrtc_version():
    """(major, minor) of the NVRTC library."""
    from cuda.bindings import nvrtc

    status, major, minor = nvrtc.nvrtcVersion()
    _check(nvrtc, status, None)
    return major, minor


def nvrtc(source, arch):
    """The CUBIN of a translation unit."""
    return nvrtc_log(source, arch)[0]


def nvrtc_log(source, arch, options=()):
    """The CUBIN of a translation unit, and what NVRTC had to say."""
    from cuda.bindings import nvrtc

    status, program = nvrtc.nvrtcCreateProgram(source.encode(), b"rushlight.cu", 0, [], [])
    _check(nvrtc, status, None)
    try:
        flags = [o.encode() for o in (f"--gpu-architecture={arch}", *OPTIONS, *options)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        _check(nvrtc, status, program)
        status, size = nvrtc.nvrtcGetCUBINSize(program)
        _check(nvrtc, status, program)
        cubin = bytearray(size)
        (status,) = nvrtc.nvrtcGetCUBIN(program, cubin)
        _check(nvrtc, status, program)
        return bytes(cubin), log(nvrtc, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def log(nvrtc, program):
    """What NVRTC printed."""
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    text = bytearray(size)
    nvrtc.nvrtcGetProgramLog(program, text)
    return bytes(text).rstrip(b"\0").decode()


def _check(nvrtc, status, program):
    if status == nvrtc.nvrtcResult.NVRTC_SUCCESS:
        return
    detail = log(nvrtc, program) if program is not None else ""
    raise RuntimeError(f"a CUDA kernel could not be compiled ({status.name}). This is a defect of rushlight; NVRTC says:\n{detail}")
