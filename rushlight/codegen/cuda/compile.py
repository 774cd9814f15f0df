"""From sources to what a driver loads: NVRTC, or the compiler that tests put in its place, behind the disk cache.

NVRTC is loaded at the first compilation. RUSHLIGHT_DEBUG=1 prints a line for each, 2 the source as well.
"""

import functools
import hashlib
import os
import re
import shlex
import subprocess
import sys
import threading
import time

from .. import cache
from ..llvm import debug_level
from . import libraries, nvrtc

# IEEE arithmetic throughout: no flushing of denormals, exact division and square root, no contraction (the error-free
# transformations of lang/elementary depend on it; where a fused multiply-add is meant, the source says so).
OPTIONS = ("--std=c++17", "--minimal", "--fmad=false", "--diag-suppress=177,550")
_BOUNDS = re.compile(r"__launch_bounds__\((\d+)(?:, \d+)?\)")
_USAGE = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers(?:[^\n]*? (\d+) bytes smem)?", re.S
)

_DEFINED = re.compile(  # names that a line of the prelude defines
    r"^(?:template <.*?> )?(?:INLINE [^(]*?(\w+)\(|struct (?:alignas\(.*\) )?(\w+)|typedef .* (\w+);|#define (\w+)|ACCUMULATOR\((\w+))",
    re.M,
)

_lock = threading.RLock()
_images = {}  # (symbols, architecture) -> image
_making = {}  # the same -> the lock of whoever compiles it: threads compile different kernels at once
_compiler = "environment"  # what stands in NVRTC's place, see use(); until then, what _command() says


def _after_fork():
    _making.clear()  # their holders are threads of the parent
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork)


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
def _sections():
    """The prelude's sections, from one line ``// -- name --`` to the next: (names that it defines, words that it uses, text) of each."""
    cut = re.split(r"^(?=// -- )", prelude(), flags=re.M)
    return [(set(filter(None, sum(_DEFINED.findall(text), ()))), _words(text), text) for text in cut]


def _words(text):
    return set(re.findall(r"\w+", re.sub(r"//.*", "", text)))


def front(sources):
    """What stands in front of ``sources``: of the prelude what they use, by name, and what that uses. A section takes time to compile."""
    used, kept = _words(sources), []
    for defined, words, text in reversed(_sections()):
        if not defined or defined & used or not kept:
            kept.append(text)
            used |= words
    return "".join(reversed(kept))


@functools.cache
def read(name):
    """The text of a file of this package; a line ``#include "other"`` stands for the text of another."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name)) as file:
        lines = file.read().splitlines(keepends=True)
    return "".join(read(line.split('"')[1]) if line.startswith("#include") else line for line in lines)


def image(kernels, arch):
    """What the driver loads to get these kernels on a GPU of architecture ``arch`` ("sm_90"): one translation unit."""
    key = symbols, _ = tuple(k.symbol for k in kernels), arch
    with _lock:
        if key in _images:
            return _images[key]
        making = _making.setdefault(key, threading.Lock())
    with making:
        if key not in _images:
            _images[key] = _made(kernels, symbols, arch)
        return _images[key]


@functools.cache
def _command():
    """The compiler that the environment names, RUSHLIGHT_CUDA_COMPILER: a command that reads the source and writes the image. Else None."""
    words = shlex.split(os.environ.get("RUSHLIGHT_CUDA_COMPILER", ""))

    def compiler(source, symbols, arch):
        done = subprocess.run([*words, arch, *symbols], input=source.encode(), capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{shlex.join(words)} cannot compile the kernels {', '.join(symbols)}:\n{done.stderr.decode()}")
        return done.stdout

    return compiler if words else None


def _made(kernels, symbols, arch):
    compiler = _command() if _compiler == "environment" else _compiler
    if compiler is not None:
        return compiler(_unit(kernels), symbols, arch)
    entry = "cuda-" + hashlib.sha256(repr((symbols, arch, libraries.identity("nvrtc"), OPTIONS)).encode()).hexdigest()
    cubin = cache.folder().read(entry)
    if cubin is None:
        start = time.perf_counter()
        cubin, usage = compiled(kernels, arch)
        cache.folder().write(entry, cubin)
        if debug_level() >= 1:
            took = 1e3 * (time.perf_counter() - start)
            kernels = ", ".join(f"{symbol} ({used.registers} registers)" for symbol, used in usage.items())
            sys.stderr.write(f"rushlight: compiled {kernels} for {arch} in {took:.1f} ms, {len(cubin)} bytes\n")
    return cubin


def _unit(kernels, blocks=()):
    """The translation unit; blocks: symbol -> the least number of blocks that a multiprocessor must have room for."""
    sources = [_BOUNDS.sub(rf"__launch_bounds__(\1, {blocks[k.symbol]})", k.source) if k.symbol in blocks else k.source for k in kernels]
    text = "".join(sources)
    if debug_level() >= 2:
        sys.stderr.write(text)
    return front(text) + text


# -- NVRTC -------------------------------------------------------------------------------------------------------------


class Usage:
    """What a kernel takes of a multiprocessor: registers of a thread, bytes of them spilled to memory, bytes of shared memory beside what a
    launch asks for, and the blocks that it was
    compiled for (None: as many as ptxas likes)."""

    def __init__(self, registers, spilled, shared, blocks):
        self.registers, self.spilled, self.shared, self.blocks = registers, spilled, shared, blocks


def compiled(kernels, arch):
    """The CUBIN of kernels, and the Usage of each.

    Left to itself ptxas aims at many blocks on a multiprocessor, and now and then spills a few registers to have one more. A kernel that
    spills is compiled again with registers for two blocks, and if need be for one.
    """
    blocks = {}
    while True:
        cubin, log = nvrtc_log(_unit(kernels, blocks), arch, ("--ptxas-options=--verbose",))
        found = ((symbol, map(int, (registers, spilled, shared or 0))) for symbol, spilled, registers, shared in _USAGE.findall(log))
        used = {symbol: Usage(*numbers, blocks.get(symbol)) for symbol, numbers in found}
        more = {s: 2 if u.blocks is None else 1 for s, u in used.items() if u.spilled and u.blocks != 1}
        if not more:
            return cubin, used
        blocks |= more


def nvrtc_log(source, arch, options=()):
    """The CUBIN of a translation unit, and what NVRTC had to say."""
    return nvrtc.compiled(source, (f"--gpu-architecture={arch}", *OPTIONS, *options))
