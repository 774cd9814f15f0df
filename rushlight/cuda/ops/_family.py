"""Kernels written by hand: from a file of ``codegen/cuda`` and the name of an entry in it to a launch."""

import functools

from ..._core.tensor import Tensor, code_of
from ...codegen import cuda as codegen
from ...lang import types as ty

MOST = 4096
"""Blocks of a launch whose threads go on in strides: enough for any GPU."""


class Family:
    """The kernels of one file, which share a parameter.

    fields: the members of ``struct Args`` in their order, ``"P input, q n, 64q sizes"``: P a pointer (a tensor, or None), q an int64, d a
    float64, with a count for arrays. A launch gives values by name; missing ones are 0.
    """

    def __init__(self, file, fields, threads=256):
        self.file, self.threads = file, threads
        self.fields = []
        for field in fields.split(","):
            letter, name = field.split()
            self.fields.append((name, letter[-1], int(letter[:-1] or 1)))

    @functools.cache  # noqa: B019 (families live as long as the process)
    def kernel(self, entry):
        """codegen's record of an entry: a template of the file with its arguments."""
        layout = tuple((name, letter if count == 1 else f"{8 * count}s") for name, letter, count in self.fields)
        return codegen.library(self.file, entry.partition("<")[0], layout, self.threads, ENTRY=entry)

    def pack(self, kernel, values):
        """The parameter as bytes."""
        unknown = values.keys() - {name for name, _, _ in self.fields}
        if unknown:
            raise TypeError(f"{self.file}: no field {', '.join(sorted(unknown))}")
        return kernel.pack(**{name: _packed(values.get(name), letter, count) for name, letter, count in self.fields})

    def __call__(self, entry, place, grid, /, **values):
        """Queues a kernel on the current stream of a GPU (``place``: its device code)."""
        from ..._core import device

        kernel = self.kernel(entry)
        device.launch_kernel(_loaded(self, entry, place), place, self.pack(kernel, values), grid, self.threads)


def _packed(value, letter, count):
    if count > 1:
        values = [_packed(v, letter, 1) for v in value or ()]
        import struct

        return struct.pack(f"@{count}{letter}", *values, *[0] * (count - len(values)))
    if isinstance(value, Tensor):
        return value.data_ptr()
    if letter == "q" and value is not None and value >= 1 << 63:
        return value - (1 << 64)
    return value or 0


@functools.cache
def _loaded(family, entry, place):
    """A kernel in the driver's hands."""
    from ..._core import device
    from .. import _driver

    kernel = family.kernel(entry)
    image = device.Image(codegen.compile.image([kernel], _driver.architecture(place)), place)
    return image.kernel(kernel.symbol, kernel.symbol, kernel.threads, shared=kernel.shared, place=place)


def blocks(n, threads=256):
    """The grid of a kernel whose threads go through n elements in strides."""
    return max(1, min(-(-n // threads), MOST))


# -- the C++ names of elements: those of the language, except where only the width counts --

_WIDTHS = {1: "u8", 2: "u16", 4: "u32", 8: "u64", 16: "c128"}


def name(t):
    """The C++ type of a tensor's elements."""
    code = ty.NAMES[code_of(t)]
    return "u8" if code == "b1" else code


def opmath(type):
    """The type in which values are computed."""
    return "f32" if type in ("f16", "bf16") else type


def width(t):
    """A C++ type of a tensor's elements where they are only moved."""
    return _WIDTHS[t.element_size()]
