"""The disk cache of kernels: many processes, damage, folders that can't be written to or trusted; the debug output."""

import errno
import os
import random
import subprocess
import sys
import warnings

import pytest

from rushlight.codegen import cache

pytestmark = pytest.mark.cpu("the cache of its kernels")

PROGRAM = """
import ctypes, sys
from rushlight.codegen import cpu
from rushlight.lang import expr as E
values = (ctypes.c_float * 40)(*range(40))
one = (ctypes.c_int64 * 2)(4, 4)
for power in range(6):
    x = E.input(0, "f32")
    address = cpu.pointwise(((x * float(2 ** power) + 1, "f32"),), ("f32",), "cc", name="scale")
    out = (ctypes.c_float * 40)()
    table = (ctypes.c_void_p * 2)(ctypes.addressof(out), ctypes.addressof(values))
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)(address)
    kernel(ctypes.addressof(table), ctypes.addressof(one), ctypes.addressof(one), 40, 1)
    assert list(out) == [v * 2 ** power + 1 for v in range(40)], power
print("right")
"""


def start(folder, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "RUSHLIGHT_CACHE": str(folder), "RUSHLIGHT_DRAFTS": "0", **environment},  # with them: test_drafts.py
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    """Wait for a right answer; what it wrote on stderr."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and out == "right\n", err
    return err


def compilations(err):
    return err.count("rushlight: compiled")


def entries(folder):
    """Those that are kernels."""
    return sorted(path for path in folder.glob("*.o") if not path.name.startswith("machine"))


def test_processes_share_an_empty_cache(tmp_path):
    folder = tmp_path / "new" / "cache"
    for process in [start(folder) for _ in range(3)]:
        finish(process)
    assert len(entries(folder)) == 6 and not list(folder.glob(".*"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert compilations(finish(start(folder, RUSHLIGHT_DEBUG="1"))) == 0


def test_damaged_entries_are_compiled_again_and_replaced(tmp_path):
    finish(start(tmp_path))
    generator = random.Random(1)
    sound = {path: path.read_bytes() for path in entries(tmp_path)}
    for number, (path, content) in enumerate(sound.items()):
        spoilt = bytearray(content)
        spoilt[generator.randrange(len(spoilt))] ^= 1 << generator.randrange(8)
        path.write_bytes([spoilt, content[:-1], b"", content[:20], content + b"x", bytes(len(content))][number])
    assert compilations(finish(start(tmp_path, RUSHLIGHT_DEBUG="1"))) == 6
    assert {path: path.read_bytes() for path in entries(tmp_path)} == sound


def test_a_single_flipped_bit_is_noticed_anywhere(tmp_path):
    folder = cache.Folder(str(tmp_path))
    code = bytes(range(256))
    folder.write("entry", code)
    (path,) = entries(tmp_path)
    content = path.read_bytes()
    assert folder.read("entry") == code
    for position in range(len(content)):
        spoilt = bytearray(content)
        spoilt[position] ^= 1 << position % 8
        path.write_bytes(spoilt)
        assert folder.read("entry") is None
    assert folder.read("another") is None


def test_a_folder_that_is_a_file_costs_one_warning(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert finish(start(blocked)).count("compiles without its kernel cache") == 1


@pytest.mark.parametrize("reason", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_full_or_read_only_folder_is_still_read(tmp_path, monkeypatch, reason):
    folder = cache.Folder(str(tmp_path))
    folder.write("kept", b"code")

    def refuse(*_):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(cache.os, "open" if reason != errno.ENOSPC else "replace", refuse)
    with pytest.warns(RuntimeWarning, match=os.strerror(reason)) as caught:
        folder.write("new", b"code")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder.write("newer", b"code")
    assert folder.read("kept") == b"code" and folder.read("new") is None
    assert [p.name for p in tmp_path.iterdir()] == ["kept.o"]


def test_a_folder_that_others_may_write_to_is_not_trusted(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="writable by you alone"):
        folder = cache.Folder(str(shared))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder.write("entry", b"code")
        assert folder.read("entry") is None
    assert not list(shared.iterdir())


def test_the_place_of_the_cache(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache.location() == "/a"
    monkeypatch.delenv("RUSHLIGHT_CACHE")
    assert cache.location() == "/b/rushlight"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert cache.location() == "/c/.cache/rushlight"
    monkeypatch.setattr(cache.os.path, "expanduser", lambda path: path)
    assert cache.location() is None
    with pytest.warns(RuntimeWarning, match="no home folder"):
        assert cache.Folder(None).read("entry") is None


def test_the_folder_stays_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 10_000)
    monkeypatch.setattr(cache, "_TRIM_EVERY", 1 << 40)  # only when asked to, below
    folder = cache.Folder(str(tmp_path))
    for number in range(40):
        folder.write(f"{number:02}", bytes(1000))
        os.utime(tmp_path / f"{number:02}.o", (1000 + number, 1000 + number))
    abandoned = tmp_path / ".00.1.1"
    abandoned.write_bytes(b"half an entry")
    os.utime(abandoned, (0, 0))
    assert folder.read("05") is not None  # used again: now the youngest
    folder.trim()
    left = [path.stem for path in entries(tmp_path)]
    assert sum(path.stat().st_size for path in entries(tmp_path)) <= 7_500
    assert "05" in left and left[1:] == [f"{number:02}" for number in range(40 - len(left) + 1, 40)]
    assert not abandoned.exists()


def test_keys_tell_graphs_apart():
    from rushlight.lang import expr as E

    x = E.input(0, "f32")
    graphs = [x + 1, x + 2, x * 1, x + 0.0, x + -0.0, E.input(1, "f32") + 1, E.input(0, "f64") + 1, E.cast(x, "i32")]
    keys = {cache.key(cache.serialised([g])) for g in graphs}
    assert len(keys) == len(graphs)
    assert cache.key(cache.serialised([x + 1])) == cache.key(cache.serialised([E.input(0, "f32") + 1]))


def test_debug_output(tmp_path):
    assert finish(start(tmp_path / "a")) == ""
    text = finish(start(tmp_path / "b", RUSHLIGHT_DEBUG="1"))
    assert compilations(text) == 6 and "rushlight_pointwise_scale" in text and "define void" not in text
    text = finish(start(tmp_path / "c", RUSHLIGHT_DEBUG="2"))
    assert "define void @rushlight_pointwise_scale" in text and ".section" not in text
    assert ".section" in finish(start(tmp_path / "d", RUSHLIGHT_DEBUG="3"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_compiles():
    from rushlight.codegen import cpu
    from rushlight.lang import expr as E

    def kernel(value):
        return cpu.pointwise(((E.input(0, "f32") * value, "f32"),), ("f32",), "cc")

    kernel(1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that the parent has threads
        child = os.fork()
    if child == 0:
        os._exit(0 if kernel(2.5) and kernel(1.5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
