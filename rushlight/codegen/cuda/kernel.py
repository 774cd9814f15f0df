"""What codegen.cuda returns: a kernel's source, name and parameters, and the numbers from which its launches follow."""

import functools


class Kernel:
    """One kernel: docs/internals.md ("CUDA kernels") states its fields.

    write: () -> CUDA C; called when the source is wanted. shared: bytes of shared memory, of a library kernel those that a launch asks
    for, of a rowwise kernel those that its joins take.
    """

    def __init__(self, symbol, write, threads, *, vector=1, step=1, held=0, packs=0, width=0, shared=0):
        self.symbol, self._write, self.threads = symbol, write, threads
        self.vector, self.step, self.held, self.packs, self.width, self.shared = vector, step, held, packs, width, shared

    @functools.cached_property
    def source(self):
        """CUDA C, to be compiled behind the prelude."""
        return self._write()
