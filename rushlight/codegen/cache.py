"""The disk cache of compiled kernels: object code under the hash of everything it was made from.

The folder is ``$RUSHLIGHT_CACHE``, else ``$XDG_CACHE_HOME/rushlight``, else ``~/.cache/rushlight``. Its files are code
that will be executed, so it is made with mode 0700 and used only if it belongs to this user and nobody else may write
to it. An entry is ``MAGIC + BLAKE2b(object) + object``; it appears by an atomic rename, so any number of processes may
share the folder, and is verified when read, so damage costs a recompilation and nothing else. Without a usable folder
everything works, after one warning. What LLVM says of the machine is kept there too, under the hash of what it follows from.
"""

import functools
import itertools
import os
import time
import warnings

from .._core import cpus

try:
    from _blake2 import blake2b  # hashlib's own; but hashlib loads OpenSSL first, which takes longer than a kernel
except ImportError:
    from hashlib import blake2b

MAGIC = b"rushlit2"
CHECK_BYTES = 32
LIMIT = 256 << 20  # bytes in the folder; beyond it the entries not used for longest go
_TRIM_EVERY = 64  # entries written by this process between two looks at the folder's size
_TOUCH_AFTER = 3600.0  # seconds; how stale an entry's time of last use may be

_serial = itertools.count()
_writes = itertools.count(1)


def key(*parts):
    """The name of the entry made from ``parts`` (their reprs), by this version of the compiler for this CPU."""
    return _digest(_base(), parts)


def portable_key(*parts):
    """The name of what is made from ``parts`` by this version of rushlight, whatever compiler and processor come next."""
    return _digest(_sources(("codegen", "codegen/cuda", "lang", "lang/elementary")), parts)


def _digest(base, parts):
    digest = base.copy()
    for part in parts:
        digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def serialised(roots):
    """A graph as a tuple that is equal for equal graphs: every node once, arguments by number."""
    from ..lang.expr import topological

    order = topological(roots)
    number = {node: i for i, node in enumerate(order)}
    nodes = tuple((n.op, tuple(number[a] for a in n.args), n.type, n.attr) for n in order)
    return nodes, tuple(number[r] for r in roots)


@functools.cache
def _base():
    """The hash of what all entries depend on: compiler, CPU, and the sources of the rooms that make the code."""
    from .llvm import host

    target = host()
    digest = _sources(("codegen", "lang", "lang/elementary")).copy()
    digest.update(repr((_library(), target.llvm, target.cpu, target.flags)).encode())
    return digest


def remembered(facts):
    """``facts()``, strings about this machine as LLVM sees it, or what they were when the same LLVM was asked on the same processor."""
    processor, library = cpus.description(), _library()
    if processor is None or library is None:
        return facts()
    name = "machine-" + _digest(_hash(), (processor, library))
    found = folder().read(name)
    if found is None:
        found = "\n".join(facts()).encode()
        folder().write(name, found, warn=False)  # nothing is lost but time; kernels that can't be kept say so themselves
    return tuple(found.decode().split("\n"))


@functools.cache
def _library():
    """Which llvmlite is installed: the names, sizes and times of its compiled files; None where they aren't found. It is not imported."""
    import importlib.util

    spec = importlib.util.find_spec("llvmlite")
    try:
        with os.scandir(os.path.join(os.path.dirname(spec.origin), "binding")) as files:
            found = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if "llvmlite" in f.name]
    except (AttributeError, TypeError, OSError):  # no such package, or not in a folder
        return None
    return sorted(found) or None


def _hash(content=b""):
    return blake2b(content, digest_size=CHECK_BYTES)


@functools.cache
def _sources(rooms):
    """The hash of the sources of the rooms that make the code."""
    digest = _hash()
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for room in rooms:
        for name in sorted(os.listdir(os.path.join(package, room))):
            if name.endswith((".py", ".pyc", ".cu", ".cuh")):
                with open(os.path.join(package, room, name), "rb") as file:
                    digest.update(name.encode() + b"\0" + file.read())
    return digest


# -- the folder --------------------------------------------------------------------------------------------------------


def location():
    """Where the cache is, whether or not it is usable; None for a user without a home."""
    chosen = os.environ.get("RUSHLIGHT_CACHE")
    if chosen:
        return chosen
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return None if base.startswith("~") else os.path.join(base, "rushlight")


class Folder:
    """A checked cache folder. ``path`` is None where there is none to trust; ``writable`` turns False at the first failure."""

    def __init__(self, path):
        self.path, self.writable = path, True
        if path is None:
            self._give_up("this user has no home folder")
            return
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            status = os.stat(path)
        except OSError as error:
            self._give_up(f"{path} can't be used: {error.strerror}")
            self.path = None
            return
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            self._give_up(f"{path} must belong to you and be writable by you alone (chmod 700), since it holds code")
            self.path = None

    def _give_up(self, reason):
        if self.writable:
            self.writable = False
            warnings.warn(
                f"rushlight compiles without its kernel cache: {reason}.\n"
                "Each new process will compile again what it needs. Set RUSHLIGHT_CACHE to a private, writable folder.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _entry(self, name):
        return os.path.join(self.path, f"{name}.o")

    def read(self, name):
        """The object code stored under ``name``, or None if there is none or it is damaged."""
        if self.path is None:
            return None
        try:
            with open(self._entry(name), "rb") as file:
                content = file.read()
                age = time.time() - os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        head, code = content[: len(MAGIC) + CHECK_BYTES], content[len(MAGIC) + CHECK_BYTES :]
        if head != MAGIC + _hash(code).digest():
            return None
        if age > _TOUCH_AFTER:
            self._touch(name)
        return code

    def _touch(self, name):
        try:
            os.utime(self._entry(name))
        except OSError:
            pass  # a read-only folder keeps its times: they only decide what goes first

    def write(self, name, code, warn=True):
        """Store object code; a failure costs one warning."""
        if not self.writable:
            return
        temporary = os.path.join(self.path, f".{name}.{os.getpid()}.{next(_serial)}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:
                file.write(MAGIC + _hash(code).digest() + code)
            os.replace(temporary, self._entry(name))
        except OSError as error:
            self._remove(temporary)
            if warn:
                self._give_up(f"writing to {self.path} failed: {error.strerror}")
            return
        if next(_writes) % _TRIM_EVERY == 0:
            self.trim()

    def trim(self):
        """Delete the entries not used for longest until three quarters of the limit are left; and what a killed writer left."""
        entries, now = [], time.time()
        with os.scandir(self.path) as files:
            for file in files:
                try:
                    status = file.stat()
                except OSError:
                    continue  # another process deleted it
                if file.name.startswith(".") and now - status.st_mtime > _TOUCH_AFTER:
                    self._remove(file.path)
                elif file.name.endswith(".o"):
                    entries.append((status.st_mtime, status.st_size, file.path))
        total = sum(size for _, size, _ in entries)
        if total <= LIMIT:
            return
        for _, size, path in sorted(entries):
            self._remove(path)
            total -= size
            if total <= LIMIT * 3 // 4:
                break

    def remove(self, name):
        """Drop the entry ``name``, if there is one."""
        if self.path is not None:
            self._remove(self._entry(name))

    @staticmethod
    def _remove(path):
        try:
            os.remove(path)
        except OSError:
            pass  # gone already, or not ours to delete


@functools.cache
def folder():
    """This process's cache folder, checked at its first use."""
    return Folder(location())
