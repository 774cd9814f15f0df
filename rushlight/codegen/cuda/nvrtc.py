"""NVRTC, NVIDIA's compiler of CUDA C, by its interface in C."""

import ctypes
import functools

from . import libraries


class CompilationError(RuntimeError):
    """What NVRTC refuses, with its words."""


@functools.cache
def _function(name):
    return libraries.load("nvrtc").function(f"nvrtc{name}")


def _call(name, *arguments):
    status = _function(name)(*arguments)
    if status:
        text = ctypes.string_at(_status_text()(status)).decode()
        raise CompilationError(f"nvrtc{name}: {text}")


@functools.cache
def _status_text():
    """The function that gives the address of a status's name."""
    function = ctypes.CDLL(libraries.load("nvrtc").path).nvrtcGetErrorString
    function.restype = ctypes.c_void_p
    return function


def version():
    """(major, minor) of the library, which this loads."""
    numbers = (ctypes.c_int * 2)()
    _call("Version", ctypes.addressof(numbers), ctypes.addressof(numbers) + ctypes.sizeof(ctypes.c_int))
    return tuple(numbers)


class _Program:
    """A translation unit in NVRTC's hands, for the length of a ``with`` block."""

    def __init__(self, source):
        self._made = ctypes.c_uint64()
        _call("CreateProgram", ctypes.addressof(self._made), source.encode(), b"rushlight.cu", 0, 0, 0)
        self.handle = self._made.value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _call("DestroyProgram", ctypes.addressof(self._made))

    def read(self, what):
        """A result: "CUBIN" or "ProgramLog"."""
        size = ctypes.c_size_t()
        _call(f"Get{what}Size", self.handle, ctypes.addressof(size))
        text = ctypes.create_string_buffer(size.value)
        _call(f"Get{what}", self.handle, ctypes.addressof(text))
        return text.raw

    def log(self):
        """What NVRTC printed."""
        return self.read("ProgramLog").rstrip(b"\0").decode()


def compiled(source, options):
    """(CUBIN, what NVRTC printed) of a translation unit; CompilationError with the latter."""
    flags = [o.encode() for o in options]
    addresses = (ctypes.c_char_p * len(flags))(*flags)
    with _Program(source) as program:
        try:
            _call("CompileProgram", program.handle, len(flags), ctypes.addressof(addresses))
        except CompilationError as error:
            raise CompilationError(
                f"a CUDA kernel could not be compiled ({error}). This is a defect of rushlight; NVRTC says:\n{program.log()}"
            ) from None
        return program.read("CUBIN"), program.log()
