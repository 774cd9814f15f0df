"""Kernels written by hand: from a file of ``codegen/cuda`` and the name of an entry in it to a launch."""

import functools
import struct

from ..._core import device as _device
from ..._core.tensor import Tensor, code_of, device_at, place_of
from ...codegen import cuda as codegen
from ...lang import types as ty

META = _device.meta_place
"""The code of the device "meta", for which nothing is queued."""

MOST = 4096
"""Blocks of a launch whose threads go on in strides: enough for any GPU."""


class Family:
    """The kernels of one file, which share a parameter.

    fields: the members of ``struct Args`` in their order, ``"P input, q n, 64q sizes"``: P a pointer (a tensor, or None), q an int64, d a
    float64, with a count for arrays. A launch gives values by name; missing ones are 0.
    """

    def __init__(self, file, fields, threads=256):
        self.file, self.threads, self._kernels = file, threads, {}
        self._places, self._nothing, letters = {}, [], ""  # name -> (the first of its numbers, how many)
        for field in fields.split(","):
            letter, name = field.split()
            count = int(letter[:-1] or 1)
            self._places[name] = len(self._nothing), count
            self._nothing += [0.0 if letter[-1] == "d" else 0] * count
            letters += letter[-1] * count
        self._layout = struct.Struct("@" + letters)

    def kernel(self, entry, shared=0):
        """codegen's record of an entry: a template of the file with its arguments. shared: bytes of dynamic shared memory."""
        kernel = self._kernels.get(entry)
        if kernel is None:
            kernel = codegen.library(self.file, entry.partition("<")[0], self.threads, shared, ENTRY=entry)
            self._kernels[entry] = kernel
        return kernel

    def pack(self, values, place):
        """The parameter as bytes, for a GPU."""
        numbers = self._nothing.copy()
        for name, value in values.items():
            if value is None:
                continue
            if name not in self._places:
                raise TypeError(f"{self.file}: no field {name}")
            first, count = self._places[name]
            if count > 1:
                numbers[first : first + len(value)] = value
            elif isinstance(value, Tensor):
                if place_of(value.device) != place:
                    raise RuntimeError(f"a kernel for {device_at(place)} was given a tensor on {value.device}")
                numbers[first] = value.data_ptr()
            else:
                numbers[first] = value - (1 << 64) if isinstance(value, int) and value >= 1 << 63 else value
        return self._layout.pack(*numbers)

    def __call__(self, entry, where, grid, /, fault=None, error=None, shared=0, **values):
        """Queues a kernel on the current stream of the GPU on which ``where`` (a tensor, or a device code) lies.

        error: for a parameter with a fault record, the exception by the value that the kernel reports; fault: the name of the operator that
        is said to have found it, None: of the one that runs.
        """
        from .._kernels import load

        place = where if isinstance(where, int) else place_of(where.device)
        if place == META:
            return
        kernel = self.kernel(entry, shared)
        if error is not None:
            values["fault"] = _device.fault_record(place, fault, error)
        _device.launch_kernel(load(kernel, place - 1, entry), place, self.pack(values, place), grid, self.threads)


@functools.cache
def blocks(n, threads=256):
    """The grid of a kernel whose threads go through n elements in strides."""
    return max(1, min(-(-n // threads), MOST))


# -- the C++ names of elements: those of the language, except where only the width counts --

_WIDTHS = {1: "u8", 2: "u16", 4: "u32", 8: "u64", 16: "c128"}


def type_name(code):
    """The C++ type of a dtype's elements."""
    type = ty.NAMES[code]
    return "u8" if type == "b1" else type


def name(t):
    """The C++ type of a tensor's elements."""
    return type_name(code_of(t))


def width(t):
    """A C++ type of a tensor's elements where they are only moved."""
    return _WIDTHS[t.element_size()]
