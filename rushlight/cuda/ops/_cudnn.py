"""cuDNN by its frontend, where both are installed: ``pip install 'rushlight[cudnn]'`` brings them.

What cuDNN computes is a graph of operations on tensors, each known by its sizes, strides and a number. A graph is made once, of all that
does not change from call to call (:class:`Kind`), and kept with the plan that was chosen for it; a call gives the addresses. Where there is
no cuDNN, or no plan for a graph, kernels of our own compute it. ``RUSHLIGHT_DEBUG=1`` prints each plan, or why there is none.
"""

import contextlib
import os
import sys
import threading
import time

from ... import _switches
from ..._core import device as _device
from ..._core.tensor import device_at, dtypes
from ..._errors import OutOfMemoryError
from ...codegen.cuda import libraries
from ...codegen.llvm import debug_level
from ...ops import creation
from .. import _start
from ._nvidia import report

TYPES = {"f16": "HALF", "bf16": "BFLOAT16", "f32": "FLOAT"}
"""The C++ types that cuDNN computes with, as its ``data_type`` names them. float64 is not among them: cuDNN 9.19 takes its graphs, and
writes numbers that are none of the result's (seen on an H200)."""

ALIGNMENT = 16
"""Bytes: cuDNN takes no address that is no multiple of it."""

MOST_WORKSPACE = 4 << 30
MOST_KINDS = 4096
TRIED = 10  # plans, by backends.cudnn.benchmark, where benchmark_limit does not say

_library = None  # the frontend's module, or False where there is none
_handles, _streams = {}, {}  # by device code: cuDNN's handle, and the stream that it was told
_kinds = {}  # key -> Kind
_lock = threading.RLock()  # a handle serves one thread at a time

refused = {}
"""What cuDNN had no plan for, and its words: name -> reason."""


def use(library):
    """Takes a library with the frontend's functions in place of the installed one; False: none; None: what is installed."""
    global _library
    _library = library
    for kept in (_handles, _streams, _kinds, refused):
        kept.clear()


def available():
    """The frontend, or False."""
    global _library
    if _library is None:
        try:
            _library = _loaded()
        except Exception as error:  # not installed, or without a library that it needs
            report("what is cuDNN's", _in_a_line(error))
            _library = False
    return _library


def _loaded():
    if os.environ.get(_start.DRIVER):  # cuDNN would talk to the system's driver
        raise RuntimeError(f"{_start.DRIVER} names another driver")
    for name in ("cudart", "nvrtc", "cublasLt"):  # cuDNN looks for them by name only, and ends the process where the last is missing
        libraries.load(name)
    with contextlib.suppress(OSError):  # the frontend finds cuDNN itself where it lies in the environment's own site-packages
        libraries.load("cudnn")
    import cudnn

    cudnn.backend_version()  # raises where there is a frontend, but no cuDNN
    return cudnn


def enabled():
    """The frontend, unless it is missing or switched off."""
    return _switches.cudnn.enabled and available()


def version():
    """cuDNN's version, 10000 * major + 100 * minor + patch; None where no GPU can be used, or cuDNN is not installed."""
    return available().backend_version() if _start.found()[1] is None and available() else None


# -- plans --


class _Plan:
    """A built graph. index: of the plan that runs; None: the one that cuDNN's heuristics chose."""

    def __init__(self, graph, index=None):
        self.graph, self.index = graph, index
        self.workspace = graph.get_workspace_size() if index is None else graph.get_workspace_size_plan_at_index(index)

    def run(self, place, addresses):
        room, workspace = None, 0
        if self.workspace > 0:  # given back at once: what is queued on this stream next may overwrite it
            room = creation.empty((self.workspace,), dtype=dtypes()["uint8"], device=device_at(place))
            workspace = room.data_ptr()
        with _lock:
            handle = _handle(place)
            if self.index is None:
                self.graph.execute(addresses, workspace, handle=handle)
            else:
                self.graph.execute_plan_at_index(addresses, workspace, self.index, handle=handle)


def _handle(place):
    """The GPU's handle, which queues its work on this thread's current stream."""
    stream = _device.stream_of(place - 1)  # makes the GPU the current one, too
    if place not in _handles:
        _handles[place] = _library.create_handle()
    if _streams.get(place) != stream:
        _library.set_stream(_handles[place], stream)
        _streams[place] = stream
    return _handles[place]


def kind(make, *key):
    """The kind of call that ``make(*key)`` gives, kept for the next call of this kind."""
    found = _kinds.get((make, key))
    if found is None:
        while len(_kinds) >= MOST_KINDS:
            del _kinds[next(iter(_kinds))]
        found = _kinds[make, key] = make(*key)
    return found


class Kind:
    """What calls of one kind share: a plan for each GPU and each setting of the switches.

    name: what is computed, of which tensors; type: the C++ type of their elements. A subclass has ``describe(library, graph, *switches)``,
    which adds the operations to a graph, and returns the names of cuDNN's numerical notes that no plan may have.
    """

    def __init__(self, name, type):
        self.name, self.type, self.plans = name, type, {}

    def compute(self, place, addresses, *switches):
        """Runs the graph on the current stream; False where cuDNN has no plan for it, or no memory for the plan.

        addresses: by the numbers of the tensors.
        """
        key = (place, _tried(), *switches)
        try:
            plan = self.plans[key]
        except KeyError:
            if _device.is_capturing(place - 1):  # what makes a plan may not be captured
                return False
            plan = self._planned(key, addresses)
        if plan is None:
            return False
        try:
            before = _device.mark_of(place)
            plan.run(place, addresses)
            if before:
                _device.tell_of(f"cudnn.{self.name.partition('<')[0]}", place, before)
        except OutOfMemoryError:
            return False
        except Exception as error:  # as below: what cuDNN cannot do is done without it
            self._refuse(key, error)
            return False
        return True

    def _planned(self, key, addresses):
        """The plan of a new graph, or None."""
        (place, tried, *switches), start = key, time.perf_counter()
        with _lock:
            try:
                graph = _proposed(place, self.type, self.describe, switches)
                plan = _fastest(graph, place, addresses, tried) if tried else _first(graph)
            except OutOfMemoryError:
                return None
            except Exception as error:  # each kind of which says: not supported
                return self._refuse(key, error)
        self.plans[key] = plan
        if debug_level() >= 1:
            took = 1e3 * (time.perf_counter() - start)
            sys.stderr.write(f"rushlight: planned {self.name} by cuDNN in {took:.1f} ms, {plan.workspace} bytes of workspace\n")
        return plan

    def _refuse(self, key, error):
        name, error = f"{self.name} {key[2:]}", _in_a_line(error)
        self.plans[key], refused[name] = None, str(error)
        report(name, error)


def _in_a_line(error):
    """What an exception says, of which cuDNN's may be long, as one to report."""
    return RuntimeError(" ".join(str(error).split())[:400])


def planned():
    """How many plans there are."""
    return sum(plan is not None for kind in _kinds.values() for plan in kind.plans.values())


def _tried():
    """How many plans are tried to find the fastest: 0: none, heuristics choose; -1: all."""
    if not _switches.cudnn.benchmark:
        return 0
    limit = _switches.cudnn.benchmark_limit
    return TRIED if limit is None else limit or -1


def _proposed(place, type, describe, switches):
    """A graph with cuDNN's proposals for it, none of them built."""
    library = _library
    own, sums = (getattr(library.data_type, TYPES[t]) for t in (type, "f64" if type == "f64" else "f32"))
    graph = library.pygraph(io_data_type=own, intermediate_data_type=sums, compute_data_type=sums, handle=_handle(place))
    notes = describe(library, graph, *switches)
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([library.heur_mode.A, library.heur_mode.FALLBACK])
    graph.deselect_numeric_notes([getattr(library.numerical_note, note) for note in notes])
    graph.deselect_workspace_greater_than(MOST_WORKSPACE)
    return graph


def _first(graph):
    """The first proposal that can be built."""
    graph.check_support()
    graph.build_plans()
    return _Plan(graph)


def _fastest(graph, place, addresses, most):
    """The fastest of the first ``most`` proposals that can be built (-1: of all), each run twice."""
    best, shortest, events = None, float("inf"), [_device.event_create(place - 1, 0) for _ in range(2)]
    try:
        for index in range(graph.get_execution_plan_count()):
            try:
                graph.build_plan_at_index(index)
                plan = _Plan(graph, index)
                plan.run(place, addresses)
                stream = _device.stream_of(place - 1)
                _device.event_record(place - 1, events[0], stream)
                plan.run(place, addresses)
                _device.event_record(place - 1, events[1], stream)
                _device.event_synchronize(place - 1, events[1])
            except Exception:
                continue
            took, most = _device.event_elapsed(*events), most - 1
            if took < shortest:
                best, shortest = plan, took
            if most == 0:
                break
    finally:
        for event in events:
            _device.event_destroy(event)
    if best is None:
        raise RuntimeError("none of its proposals can be built")
    return best
