"""Captured graphs: work recorded once and replayed by one call, without the host's time for each operator.

Everything that a captured program reads and writes keeps its place in memory: new inputs are copied into the tensors it was captured
with, and its results are overwritten by each replay. Waiting for the GPU (``item()``, printing) is not possible inside.
"""

import functools
import gc
import itertools

from .._core import device as _device
from .._core import tensor as _tensor
from . import _start
from . import random as _random
from .streams import LEGACY, Stream, StreamContext, current_stream

_MODES = {"global": 0, "thread_local": 1, "relaxed": 2}
_numbers = itertools.count(1)
_users = {}  # number of a private pool -> how many graphs use it
_over = []  # graphs that were given up while another one was captured: what is left to do, which may wait for the GPU


def is_current_stream_capturing():
    """Is this thread's current stream being captured?

    >>> torch.cuda.is_current_stream_capturing()
    False
    """
    return _start.is_started() and _device.is_capturing(_tensor.current_gpu())


def graph_pool_handle():
    """A private pool of memory for several graphs that are replayed in the order of their capture: ``(0, number)``.

    >>> pool = torch.cuda.graph_pool_handle()
    >>> pool == torch.cuda.graph_pool_handle()
    False
    """
    _start.start()
    return (0, next(_numbers))


class CUDAGraph:
    """Work recorded by :class:`graph` (or between capture_begin and capture_end), to be replayed::

    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        y = model(x)
    x.copy_(batch)
    g.replay()  # y is the model's answer to the batch

    >>> x, recorded = torch.zeros(3, device="cuda"), torch.cuda.CUDAGraph()
    >>> with torch.cuda.graph(recorded):
    ...     y = x + 1
    >>> _ = x.fill_(5)
    >>> recorded.replay()
    >>> y.tolist()
    [6.0, 6.0, 6.0]
    """

    def __new__(cls, keep_graph=False):
        if not _start.found()[0]:
            raise RuntimeError(
                "Tried to instantiate dummy base class CUDAGraph\n"
                "  There is no GPU whose work could be captured; the CPU has no such graphs."
            )
        self = super().__new__(cls)
        self._executable = self._pool = self._index = None
        self._stream = self._number = self._draws = None  # the stream while it is captured; the capture's number
        self.nodes = 0
        return self

    def __init__(self, keep_graph=False):
        pass

    def capture_begin(self, pool=None, capture_error_mode="global"):
        """Starts recording on the current stream, which must not be the default one."""
        if self._executable is not None or self._stream is not None:
            raise RuntimeError("This CUDAGraph instance already owns a captured graph. To capture a new graph, create a new instance.")
        if capture_error_mode not in _MODES:
            raise ValueError(f"Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got {capture_error_mode}")
        self._index = _tensor.current_gpu()
        if _device.stream_of(self._index) in (_device.default_stream_of(self._index), LEGACY):
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream. (However, after capture, it's ok to replay them on the "
                "default stream.)"
            )
        self._pool = pool[1] if pool is not None else next(_numbers)
        _users[self._pool] = _users.get(self._pool, 0) + 1
        try:
            self._stream, self._number = _device.begin_capture(self._index, self._pool, _MODES[capture_error_mode])
        except BaseException:
            _give(self._pool)
            self._pool = None
            raise
        _random.captured = self._draws = _random.Draws()

    def capture_end(self):
        """Ends recording; the graph can be replayed from now on. The stream that it began on must be the current one."""
        if self._stream is None:
            raise _start.error(401, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state", "")
        try:
            if _device.stream_of(self._index) != self._stream:
                _device.give_up_capture(self._index)
                raise RuntimeError(
                    "Capture must end on the same stream it began on.\n"
                    "  Another stream is current now, so that nothing was captured: leave `with torch.cuda.stream(...)` before."
                )
            self._executable, self.nodes = _device.end_capture(self._index)
        except BaseException:
            if not _device.in_capture(self._stream):  # else it goes on: this thread may not end it
                _end(self._index, None, self._pool, self._number)
                self._stream = self._pool = self._number = None
                _ended()
            raise
        self._stream = None
        _ended()

    def instantiate(self):
        """Nothing to do: capture_end() leaves a graph that is ready."""

    def replay(self):
        """Queues the recorded work on the current stream. Random numbers go on where their generators stand."""
        if self._executable is None:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        if self._draws.streams:
            self._begin_draws()
        _device.launch_graph(self._index, self._executable)

    def _begin_draws(self):
        """Tells the kernels of the next replay where their generators stand; on another GPU behind the last replay and before this one."""
        from .ops.random import begin

        others = {generator.device.index for generator in self._draws.streams} - {self._index}
        for index in others:
            _device.let_wait(self._index, _device.stream_of(index), index)
        begin(self._draws)
        for index in others:
            _device.let_wait(index, _device.stream_of(self._index), self._index)

    def reset(self):
        """Forgets the recorded work and gives its memory back. What its kernels found wrong is raised at the next synchronisation."""
        if self._stream is not None:  # it is captured right now
            _device.give_up_capture(self._index)
            self._stream = None
            _ended()
        rest = self._index, self._executable, self._pool, self._number
        self._executable = self._draws = self._pool = self._number = None
        if _random.captured is None:
            _end(*rest)
        else:
            _over.append(rest)

    def register_generator_state(self, generator):
        """Nothing to do: a graph knows the generators that it draws from."""

    def pool(self):
        """The private pool, to be passed on to other captures."""
        return (0, self._pool)

    def enable_debug_mode(self):
        """Accepted: graphs are not printed."""

    def debug_dump(self, debug_path):
        """Raises RuntimeError: graphs are not printed."""
        raise RuntimeError("CUDAGraph.debug_dump is not available in rushlight; NVIDIA's Nsight tools show captured graphs")

    def __del__(self):
        try:
            self.reset()
        except Exception:
            pass  # the interpreter is ending, and the driver with it


def _ended():
    """A capture is over: what had to wait for that."""
    _random.captured = None
    while _over:
        _end(*_over.pop())


def _end(index, executable, pool, number):
    """The end of a graph: waits for its replays, and gives back what it held."""
    if executable is not None:
        _device.settle(index)
        _device.destroy_graph(executable)
    _give(pool)
    if number is not None:
        _device.release_faults(number)


def _give(pool):
    """One graph less uses a private pool."""
    if pool is not None:
        _users[pool] -= 1
        if not _users[pool]:
            del _users[pool]
            _device.release_pool(pool)


@functools.cache
def _capture_stream(index):
    """The stream of a GPU's captures, one for all: graphs that share a pool share what a stream has freed there."""
    return Stream(index)


class graph:
    """Context manager that records the work of its block into a :class:`CUDAGraph`, on a stream for captures.

    pool: the memory of another graph (:meth:`CUDAGraph.pool`) or of :func:`graph_pool_handle`; stream: to capture on.

    >>> x, recorded = torch.zeros(3, device="cuda"), torch.cuda.CUDAGraph()
    >>> with torch.cuda.graph(recorded):
    ...     _ = x.add_(1)
    >>> recorded.replay()
    >>> recorded.replay()
    >>> x.tolist()  # capturing itself computes nothing
    [2.0, 2.0, 2.0]
    """

    def __init__(self, cuda_graph, pool=None, stream=None, capture_error_mode="global"):
        self.cuda_graph, self.pool, self.mode = cuda_graph, pool, capture_error_mode
        self.capture_stream = _capture_stream(_tensor.current_gpu()) if stream is None else stream
        self._context = StreamContext(self.capture_stream)

    def __enter__(self):
        _device.synchronize(self.capture_stream.device_index)
        gc.collect()
        _device.device_empty_cache()
        self._context.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.mode)
        except BaseException:
            self._context.__exit__(None, None, None)
            raise

    def __exit__(self, kind, value, traceback):
        try:
            self.cuda_graph.capture_end()
        except Exception:
            if value is None:  # else the block's own error tells more
                raise
        finally:
            self._context.__exit__(kind, value, traceback)
        return None


# -- modules and functions as graphs --


def make_graphed_callables(callables, sample_args, num_warmup_iters=3, allow_unused_input=False, pool=None):
    """Functions or modules whose forward and backward are replayed as graphs; a tuple for a tuple.

    sample_args: for each, a tuple of tensors (or lists, dicts ... of them) with the shapes, dtypes and requires_grad of the calls to come.
    Modules are changed in place: in the mode (training or not) they have now their calls replay.

    >>> x = torch.ones(3, device="cuda", requires_grad=True)
    >>> squared = torch.cuda.make_graphed_callables(lambda x: x * x, (x,))
    >>> squared(x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 2.0, 2.0]
    """
    single = not isinstance(callables, tuple)
    functions, samples = ((callables,), (sample_args,)) if single else (callables, sample_args)
    for function, args in zip(functions, samples):
        _check(function, args)
    pool = graph_pool_handle() if pool is None else pool
    warm = Stream()
    warm.wait_stream(current_stream())
    with StreamContext(warm):
        for function, args in zip(functions, samples):
            _warm_up(function, args, num_warmup_iters, allow_unused_input)
    current_stream().wait_stream(warm)
    graphed = [_Graphed(f, args, pool) for f, args in zip(functions, samples)]
    for g in reversed(graphed):
        g.capture_backward(allow_unused_input)
    out = tuple(_installed(f, g) for f, g in zip(functions, graphed))
    return out[0] if single else out


def _check(function, args):
    """Raises for what a graph would leave out or get wrong."""
    from ..amp import autocast_mode
    from ..nn import Module
    from ..utils._pytree import tree_leaves

    if autocast_mode.is_autocast_enabled() and autocast_mode.is_autocast_cache_enabled():
        raise RuntimeError("make_graphed_callables does not support the autocast caching. Please set `cache_enabled=False`.")
    if isinstance(function, Module):
        if function._backward_hooks or function._forward_hooks or function._forward_pre_hooks:
            raise AssertionError(
                "Modules must not have hooks registered at the time they are passed. However, registering hooks "
                "on modules after passing them through make_graphed_callables is allowed."
            )
        if any(b.requires_grad for b in function.buffers()):
            raise AssertionError(
                "In any :class:`~torch.nn.Module` passed to :func:`~make_graphed_callables`, only parameters may be trainable. "
                "All buffers must have ``requires_grad=False``."
            )
    if not all(isinstance(x, _tensor.Tensor) for x in tree_leaves(args)):
        raise AssertionError(
            "In the beta API, sample_args for each callable must contain only Tensors. Other types are not allowed."
        )


def _differentiable(function, args):
    from ..nn import Module
    from ..utils._pytree import tree_leaves

    parameters = tuple(function.parameters()) if isinstance(function, Module) else ()
    return [t for t in (*tree_leaves(args), *parameters) if t.requires_grad]


def _warm_up(function, args, times, allow_unused):
    from ..autograd import grad
    from ..utils._pytree import tree_leaves

    wanted = _differentiable(function, args)
    for _ in range(times):
        outputs = [o for o in tree_leaves(function(*args)) if _wants_gradient(o)]
        if wanted and outputs:
            grad(outputs, wanted, [o.detach() for o in outputs], allow_unused=allow_unused)


def _wants_gradient(output):
    """Is it a result that gradients come from? Raises for what no graph makes."""
    if output is not None and not isinstance(output, _tensor.Tensor):
        raise AttributeError(
            f"'{type(output).__name__}' object has no attribute 'requires_grad'\n"
            "  [make_graphed_callables] callables return tensors, None, and lists, tuples or dicts of them: a replay makes nothing else."
        )
    return output is not None and output.requires_grad


class _Graphed:
    """One callable's forward and backward as graphs, with the tensors they read and write."""

    def __init__(self, function, args, pool):
        from ..nn import Module
        from ..utils._pytree import tree_flatten, tree_leaves

        self.args, self.pool = tree_leaves(args), pool
        self.parameters = tuple(function.parameters()) if isinstance(function, Module) else ()
        self.forward_graph = CUDAGraph()
        with graph(self.forward_graph, pool):
            outputs = function(*args)
        self.outputs, self.structure = tree_flatten(outputs)
        self.inputs = (*self.args, *self.parameters)

    def capture_backward(self, allow_unused):
        """Records the backward pass with gradients that lie in tensors of their own."""
        from .. import empty_like
        from ..autograd import grad

        roots = [o for o in self.outputs if _wants_gradient(o)]
        wanted = [t for t in self.inputs if t.requires_grad]
        self.backward_graph = None
        self.grad_outputs = [empty_like(o) if _wants_gradient(o) else None for o in self.outputs]
        self.grad_inputs = [None] * len(self.inputs)
        if roots and wanted:
            self.backward_graph = CUDAGraph()
            with graph(self.backward_graph, self.pool):
                found = iter(grad(roots, wanted, [g for g in self.grad_outputs if g is not None], allow_unused=allow_unused))
            self.grad_inputs = [next(found) if t.requires_grad else None for t in self.inputs]
        self.outputs = [None if o is None else o.detach() for o in self.outputs]

    def __call__(self, *args):
        from ..utils._pytree import tree_leaves, tree_unflatten

        return tree_unflatten(list(_function()(self, *tree_leaves(args), *self.parameters)), self.structure)


def _function():
    """The autograd function of all graphed callables, made when first wanted."""
    global _Replay
    if _Replay is None:
        from ..autograd import Function
        from ..autograd.function import once_differentiable

        class Replay(Function):
            @staticmethod
            def forward(ctx, graphed, *inputs):
                ctx.graphed = graphed
                for static, given in zip(graphed.args, inputs):
                    if static.data_ptr() != given.data_ptr():
                        static.detach().copy_(given)
                graphed.forward_graph.replay()
                return tuple(None if o is None else o.detach() for o in graphed.outputs)

            @staticmethod
            @once_differentiable
            def backward(ctx, *grads):
                graphed = ctx.graphed
                for static, given in zip(graphed.grad_outputs, grads):
                    if static is not None and given is not None:
                        static.copy_(given)
                if graphed.backward_graph is not None:
                    graphed.backward_graph.replay()
                return (None, *(None if g is None else g.detach() for g in graphed.grad_inputs))

        _Replay = Replay
    return _Replay.apply


_Replay = None


def _installed(function, graphed):
    """The callable that replays: for a module the module itself, whose forward replays in the mode it was captured in."""
    from ..nn import Module

    if not isinstance(function, Module):
        return graphed
    plain, training = function.forward, function.training

    def forward(*args):
        return graphed(*args) if function.training == training else plain(*args)

    function.forward = forward
    return function
