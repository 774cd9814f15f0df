"""Captured GPU work: names only."""

from ._missing import needs_gpu as _needs_gpu


class CUDAGraph:
    """GPU work recorded once and replayed; RuntimeError, since there is no GPU."""

    def __new__(cls, *args, **kwargs):
        raise RuntimeError("Tried to instantiate dummy base class CUDAGraph\n  Capturing needs a GPU; rushlight computes on the CPU.")


class graph:
    """Context manager that captures into a CUDAGraph; refused when entered."""

    def __init__(self, cuda_graph, pool=None, stream=None, capture_error_mode="global"):
        self.cuda_graph = cuda_graph

    def __enter__(self):
        _needs_gpu("graph")()

    def __exit__(self, kind, value, traceback):
        return None


graph_pool_handle = _needs_gpu("graph_pool_handle")
make_graphed_callables = _needs_gpu("make_graphed_callables")
