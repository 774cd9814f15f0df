"""What codegen.cuda returns: a kernel's source, name and parameters, and the numbers from which its launches follow."""

import functools
import struct


class Kernel:
    """One kernel: docs/internals.md ("CUDA kernels") states its fields.

    write: () -> CUDA C; called when the source is wanted. shared: bytes of shared memory, of a library kernel those that a launch asks
    for, of a rowwise kernel those that its joins take.
    """

    def __init__(self, symbol, write, threads, *, vector=1, step=1, held=0, packs=0, fields=None, shared=0):
        self.symbol, self._write, self.threads = symbol, write, threads
        self.vector, self.step, self.held, self.packs, self.fields, self.shared = vector, step, held, packs, fields, shared

    @functools.cached_property
    def source(self):
        """CUDA C, to be compiled behind the prelude."""
        return self._write()

    @functools.cached_property
    def layout(self):
        """The struct of a library kernel's parameter: C's layout, padded to a multiple of eight bytes."""
        return struct.Struct("@" + "".join(letter for _, letter in self.fields) + "0q")

    def pack(self, **values):
        """A library kernel's parameter as bytes."""
        return self.layout.pack(*(values[name] for name, _ in self.fields))
