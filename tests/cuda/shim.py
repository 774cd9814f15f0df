"""The compiler that stands in NVRTC's place in tests: CUDA C, with the shim around it, through g++.

An image is the text ``RUSHLIGHT-SHIM``, a newline, and the path of a shared library with a function ``launch_<kernel>`` for
each kernel (docs/internals.md, "CUDA kernels"). Libraries are kept by the hash of their source, in
``$RUSHLIGHT_SHIM_CACHE``, else in a folder of the user's cache. As a program it reads the source and writes the image.
"""

import ctypes
import functools
import hashlib
import os
import pathlib
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MAGIC = b"RUSHLIGHT-SHIM\n"
FLAGS = (
    "-x", "c++", "-std=c++17", "-O1", "-fPIC", "-shared", "-w", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti", "-fsanitize=alignment",
    "-fno-strict-aliasing", "-fvisibility=hidden", "-fno-math-errno", "-nostdlib", "-fno-threadsafe-statics",
    "--param=scev-max-expr-size=5",  # g++ 12 takes minutes for long chains of products in a loop, integer powers
)  # fmt: skip
_BOUND = re.compile(r"__launch_bounds__\((\d+)")
_COLLECTIVE = re.compile(r"__sync|shuffle|joined|__shfl|__ballot|__any_|__all_|shim::")


def have():
    """Is there a C++ compiler?"""
    from shutil import which

    return which("g++") is not None


@functools.cache
def _frame():
    return [pathlib.Path(HERE, name).read_text() for name in ("shim.h", "runtime.h")]


def folder():
    """Where the libraries are kept."""
    path = os.environ.get("RUSHLIGHT_SHIM_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        path = os.path.join(base, "rushlight-shim")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def image(source, symbols, arch=None):
    """The image of a translation unit, compiled unless its library is there already."""
    header, runtime = _frame()
    launchers = "".join(f"LAUNCHER({s}, {_waits(source, s)}, {_most_threads(source, s)})\n" for s in symbols)
    exports = f"#pragma GCC visibility push(default)\n{launchers}#pragma GCC visibility pop\n"
    text = f'#line 1 "shim.h"\n{header}#line 1 "prelude.cuh"\n{source}#line 1 "runtime.h"\n{runtime}{exports}'
    path = os.path.join(folder(), hashlib.sha256(repr(FLAGS).encode() + text.encode()).hexdigest()[:32] + ".so")
    if not os.path.exists(path):
        partial = f"{path}.{os.getpid()}"
        done = subprocess.run(["g++", *FLAGS, "-o", partial, "-", "-lm", "-lgcc"], input=text, text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"g++ refuses the kernels {', '.join(symbols)}:\n{done.stderr[:4000]}")
        os.replace(partial, path)
    return MAGIC + path.encode() + b"\n"


def _text(source, symbol):
    """The text of a kernel's namespace."""
    return source[source.index(f"namespace ns_{symbol} {{") : source.index(f"}}  // namespace ns_{symbol}")]


def _waits(source, symbol):
    """Does the kernel have barriers, so that its threads must be fibers? Judged by its text."""
    return "true" if _COLLECTIVE.search(_text(source, symbol)) else "false"


def _most_threads(source, symbol):
    """The threads of a block that the kernel is compiled for: a GPU refuses a launch with more."""
    return (_BOUND.findall(_text(source, symbol)) or ["1024"])[0]


class Library:
    """An image's shared library, loaded."""

    def __init__(self, image):
        assert image.startswith(MAGIC)
        self.library = ctypes.CDLL(image[len(MAGIC) :].strip().decode())

    def launch(self, symbol, grid, block, parameter, order=0, shared=0):
        """Run a kernel: a Python error for a divergent barrier or a misaligned access."""
        three = ctypes.c_uint * 3
        buffer = ctypes.create_string_buffer(bytes(parameter), len(parameter))
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(buffer))
        code = getattr(self.library, f"launch_{symbol}")(three(*grid), three(*block), shared, pointers, order)
        if code:
            raise RuntimeError(f"{symbol}: {('', 'divergent barrier', 'misaligned access', 'impossible launch')[code]} (order {order})")


if __name__ == "__main__":
    sys.stdout.buffer.write(image(sys.stdin.read(), sys.argv[2:]))
