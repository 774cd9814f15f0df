"""A kernel is wanted at once and then runs for days: so it is compiled twice.

First without optimizing, in a third of the time. Such a *draft* gives the same bits (but for the sign of a NaN, which LLVM leaves open) and
takes 1 to 2.5 times as long, for the text is in good order as it is written. When nothing was compiled for long a thread compiles it again,
optimized, writes that to the disk cache and turns the draft's stub to it: whoever has the address calls the new code from then on, in the
middle of a large operator too. What a short process leaves undone the next one goes on with, for drafts are kept on disk with their text.

``RUSHLIGHT_DRAFTS=0`` compiles every kernel once, optimized.
"""

import atexit
import collections
import contextlib
import os
import threading
import time

from .._core import loader
from . import cache, llvm

QUIET = 0.2  # seconds without a new kernel before the thread begins: programs that start ask for many in a row
_STEP = 0.02  # seconds at most that the thread sleeps before it looks again
_SUFFIX = "-draft"

_refining = threading.Lock()  # held while one kernel is compiled again, and at fork; before llvm.lock, which guards the next two
_drafts = collections.deque()  # not yet optimized
_thread = None
_stop = threading.Event()
_latest = 0.0  # when a kernel was last asked for that was not loaded yet


# A kernel that runs unoptimized: its entry in the cache, its function's name, its text (packed), what compiles it, its stub.
Draft = collections.namedtuple("Draft", "entry symbol text host stub")


def enabled():
    """Are kernels drafted? Not on processors for which the loader has no stubs."""
    return loader.HAS_STUBS and os.environ.get("RUSHLIGHT_DRAFTS") != "0"


def compiled(entry, symbol, text):
    """The address of a kernel's draft, which the disk cache keeps until the optimized kernel takes its place."""
    import zlib

    code, packed = llvm.draft(text, symbol), zlib.compress(text.encode(), 1)
    cache.folder().write(entry + _SUFFIX, len(code).to_bytes(4, "little") + code + packed)
    return _begun(entry, symbol, code, packed)


def from_disk(entry, symbol):
    """The address of the draft that another process left, or None."""
    found = cache.folder().read(entry + _SUFFIX)
    if found is None:
        return None
    end = 4 + int.from_bytes(found[:4], "little")
    return _begun(entry, symbol, found[4:end], found[end:])


def settle():
    """Wait until every kernel that this process has loaded is optimized: for those who measure."""
    global _latest
    while (thread := _thread) is not None and thread.is_alive():
        _latest = -float("inf")
        thread.join(_STEP)


def _begun(entry, symbol, code, packed):
    """Load a draft behind a stub, and see to it that the thread comes by. Under llvm.lock, as all that asks for kernels."""
    global _thread, _latest
    _latest = time.monotonic()
    stub = loader.stub(llvm.load(code, symbol))
    _drafts.append(Draft(entry, symbol, packed, llvm.host(), stub))
    if _thread is None and not _stop.is_set():
        _thread = threading.Thread(target=_refine, name="rushlight compiler", daemon=True)
        try:
            _thread.start()
        except RuntimeError:  # no more threads, or the interpreter ends: drafts will do
            _thread = None
    return stub


def _refine():
    """Optimize what was drafted, oldest first, until nothing is left."""
    global _thread
    while not _stop.is_set():
        if (rest := _latest + QUIET - time.monotonic()) > 0:
            _stop.wait(min(rest, _STEP))
            continue
        with llvm.lock:
            if not _drafts:
                _thread = None
                return
            draft = _drafts.popleft()
        with _refining, contextlib.suppress(Exception):  # a draft that can't be replaced goes on serving
            if not _stop.is_set():
                _optimize(draft)


def _optimize(draft):
    """One kernel: from the disk, where another process was faster, or by the compiler."""
    import zlib

    folder = cache.folder()
    code = folder.read(draft.entry)
    if code is None:
        code = draft.host.compiler.compile(zlib.decompress(draft.text).decode(), draft.symbol)
        folder.write(draft.entry, code)
    with llvm.lock:
        loader.redirect(draft.stub, llvm.load(code, draft.symbol))
    folder.remove(draft.entry + _SUFFIX)


@atexit.register
def _end():
    """No thread may be inside LLVM when the process takes it down."""
    _stop.set()
    with _refining:
        pass


def _in_child():
    """A child has no such thread. It goes on with its parent's drafts once it has one of its own."""
    global _thread
    _thread = None
    _refining.release()


os.register_at_fork(before=_refining.acquire, after_in_parent=_refining.release, after_in_child=_in_child)
