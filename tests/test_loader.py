"""The loader of kernels: what LLVM writes is loaded without LLVM, what it doesn't know is left to LLVM, and damage crashes nothing."""

import ctypes
import errno
import os
import platform
import random
import subprocess
import sys

import pytest

from rushlight._core import cpus, loader
from rushlight.codegen import cache, llvm

pytestmark = [
    pytest.mark.cpu("the loader of its kernels"),
    pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="elsewhere LLVM links what it compiled"),
]

TABLE = """
@numbers = private constant [5 x i64] [i64 3, i64 1, i64 4, i64 1, i64 5]
define internal i64 @number(i64 %i) noinline {
  %place = getelementptr i64, ptr @numbers, i64 %i
  %x = load i64, ptr %place
  ret i64 %x
}
define i64 @chosen(i64 %i) {
  %x = call i64 @number(i64 %i)
  switch i64 %i, label %other [ i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d ]
a: ret i64 %x
b: ret i64 10
c: ret i64 200
d: ret i64 3000
other: ret i64 -1
}
"""


def test_constants_calls_and_jumps():
    chosen = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(loader.load(llvm.compile(TABLE, "chosen"), "chosen"))
    assert [chosen(i) for i in range(5)] == [3, 10, 200, 3000, -1]


@pytest.mark.parametrize(
    "text",
    [
        "declare double @cos(double)\ndefine double @f(double %x) {\n %y = call double @cos(double %x)\n ret double %y\n}",
        "@kept = global double 0.0\ndefine double @f(double %x) {\n store double 1.0, ptr @kept\n ret double 1.0\n}",
    ],
    ids=["another library's symbol", "memory that is written"],
)
def test_what_it_does_not_know_is_left_to_llvm(text):
    code = llvm.compile(text, "f")
    assert loader.load(code, "f") == 0
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(llvm.load(code, "f"))(0.0) == 1.0


def test_only_functions_of_the_name_are_found():
    code = llvm.compile(TABLE, "chosen")
    assert loader.load(code, "chose") == loader.load(code, "chosen2") == loader.load(code, "numbers") == loader.load(code, "") == 0
    assert loader.load(b"", "chosen") == loader.load(b"\x7fELF", "chosen") == 0
    with pytest.raises(TypeError):
        loader.load(None, "chosen")


def test_damaged_objects_crash_nothing():
    """They are not executed: the cache's checksum comes before. But the loader itself reads and writes by what they say."""
    code, generator = llvm.compile(TABLE, "chosen"), random.Random(3)
    loaded = 0
    for _ in range(4000):
        spoilt = bytearray(code[: generator.randrange(len(code))] if generator.random() < 0.2 else code)
        for _ in range(generator.randrange(1, 4)):
            if spoilt:
                place, width = generator.randrange(len(spoilt)), generator.choice((1, 4, 8))
                spoilt[place : place + width] = generator.choice((bytes(width), b"\xff" * width, generator.randbytes(width)))
        loaded += loader.load(bytes(spoilt), "chosen") != 0
    assert 0 < loaded < 4000


PROGRAM = """
import sys
import rushlight as torch
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(144, 5))
optimizer = torch.optim.Adam(model.parameters())
loss = torch.nn.functional.cross_entropy(model(torch.randn(8, 1, 8, 8)), torch.arange(8) % 5)
loss.backward()
optimizer.step()
print(loss.item(), float(sum((p * p).sum() for p in model.parameters())))
print("llvmlite" in sys.modules)
"""


def test_a_process_whose_kernels_are_in_the_cache_does_not_load_llvm(tmp_path):
    def run():
        environment = {**os.environ, "RUSHLIGHT_CACHE": str(tmp_path)}
        return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True).stdout.split()

    *first, loaded = run()
    assert loaded == "True"
    *second, loaded = run()
    assert loaded == "False" and second == first


def test_what_llvm_says_of_the_machine_is_asked_once(tmp_path, monkeypatch):
    asked = []

    def facts():
        asked.append(1)
        return "version", "triple", "cpu", "+a,-b"

    folder = cache.Folder(str(tmp_path))
    monkeypatch.setattr(cache, "folder", lambda: folder)
    assert cache.remembered(facts) == cache.remembered(facts) == facts() and len(asked) == 2
    (entry,) = tmp_path.glob("*.o")
    entry.write_bytes(entry.read_bytes()[:-1])  # damaged
    assert cache.remembered(facts) == cache.remembered(facts) and len(asked) == 3
    monkeypatch.setattr(cpus, "description", lambda: "another processor")
    assert cache.remembered(facts) == cache.remembered(facts) and len(asked) == 4
    monkeypatch.setattr(cache, "_library", lambda: [("another llvmlite", 1, 1)])
    assert cache.remembered(facts) == cache.remembered(facts) and len(asked) == 5
    monkeypatch.setattr(cpus, "description", lambda: None)  # an unknown processor is asked for each time
    assert cache.remembered(facts) == cache.remembered(facts) and len(asked) == 7


def test_a_folder_that_cannot_be_written_to_needs_no_warning_for_that(tmp_path, monkeypatch, recwarn):
    folder = cache.Folder(str(tmp_path))
    monkeypatch.setattr(cache, "folder", lambda: folder)

    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refused)
    assert cache.remembered(lambda: ("a", "b")) == ("a", "b") and not recwarn.list and folder.writable
    with pytest.warns(RuntimeWarning, match="without its kernel cache"):
        folder.write("kernel", b"code")


def test_descriptions_of_processors(tmp_path):
    (tmp_path / "proc").mkdir()
    text = "processor : 0\nvendor_id : X\nmodel : 7\ncpu MHz : {}\nflags : fpu avx\n\nprocessor : 1\n"
    found = []
    for clock in (1000, 2000):
        (tmp_path / "proc" / "cpuinfo").write_text(text.format(clock))
        found.append(cpus.description(str(tmp_path)))
    assert found[0] == found[1] and "avx" in found[0]
    (tmp_path / "proc" / "cpuinfo").write_text("processor : 0\n")
    assert cpus.description(str(tmp_path)) is None and cpus.description(str(tmp_path / "nowhere")) is None
