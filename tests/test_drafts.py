"""Kernels are compiled twice: a draft gives the optimized kernel's bits, its address leads to that; no exit, fork or damage hurts."""

import ctypes
import os
import pathlib
import subprocess
import sys
import threading

import pytest
from test_codegen_cache import compilations, entries

from rushlight._core import loader
from rushlight.codegen import drafts, llvm

pytestmark = [
    pytest.mark.cpu("its kernels"),
    pytest.mark.skipif(not loader.HAS_STUBS, reason="no stubs on this processor: kernels are compiled once"),
]

START = """
import os, time
import rushlight as torch
from rushlight.codegen import drafts
x = torch.arange(6.0)
"""
KERNELS = """
assert (x * 2 + 1).exp().tolist() == (x * 2 + 1).exp().tolist()
"""


def run(folder, text, **environment):
    """A program with a cache; how many kernels it drafted and compiled."""
    env = {**os.environ, "RUSHLIGHT_CACHE": str(folder), "RUSHLIGHT_DEBUG": "1", **environment}
    done = subprocess.run([sys.executable, "-c", START + text], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stderr.count("rushlight: drafted"), compilations(done.stderr)


def left(folder):
    """How many drafts and how many other kernels a cache holds."""
    names = [path.stem for path in entries(folder)]
    return sum(n.endswith("-draft") for n in names), sum(not n.endswith("-draft") for n in names)


def test_a_stub_leads_where_it_is_turned():
    one, two = (llvm.load(llvm.compile(f"define i64 @f() {{\n ret i64 {n}\n}}", "f"), "f") for n in (1, 2))
    stubs = [loader.stub(one) for _ in range(300)]  # more than a page of them
    calls = [ctypes.CFUNCTYPE(ctypes.c_int64)(stub) for stub in stubs]
    assert len(set(stubs)) == 300 and {call() for call in calls} == {1}
    for stub in stubs[::2]:
        loader.redirect(stub, two)
    assert [call() for call in calls] == [2, 1] * 150


def test_a_kernel_is_optimized_behind_its_draft(tmp_path):
    count, _ = run(tmp_path, "drafts.QUIET = 1e9" + KERNELS)
    assert count >= 3 and left(tmp_path) == (count, 0)
    assert run(tmp_path, KERNELS + "drafts.settle()" + KERNELS) == (0, count)  # it goes on with what the first left
    assert left(tmp_path) == (0, count)
    assert run(tmp_path, KERNELS + "drafts.settle()") == (0, 0)


def test_one_process_does_both(tmp_path):
    count, compiled = run(tmp_path, KERNELS + "drafts.settle()" + KERNELS + "assert not drafts._drafts and drafts._thread is None")
    assert count == compiled >= 3 and left(tmp_path) == (0, count)


def test_it_can_be_switched_off(tmp_path):
    drafted, compiled = run(tmp_path, KERNELS + "drafts.settle()", RUSHLIGHT_DRAFTS="0")
    assert drafted == 0 and left(tmp_path) == (0, compiled) and compiled >= 3


def test_damaged_drafts_are_made_again(tmp_path):
    count, _ = run(tmp_path, "drafts.QUIET = 1e9" + KERNELS)
    for path in entries(tmp_path)[::2]:
        path.write_bytes(path.read_bytes()[:-1])
    assert run(tmp_path, "drafts.QUIET = 1e9" + KERNELS)[0] == len(range(0, count, 2))


def test_a_cache_that_cannot_be_written_to(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    drafted, compiled = run(blocked, "import warnings; warnings.simplefilter('ignore')" + KERNELS + "drafts.settle()" + KERNELS)
    assert drafted == compiled >= 3


MANY = """
drafts.QUIET = 0.0
x = torch.linspace(0.1, 0.9, 7)
calls = "exp log sin cos tanh erf asin sinh log1p expm1 lgamma digamma".split()
"""


@pytest.mark.parametrize("kernels", [1, 3, 12])
def test_a_process_may_end_meanwhile(tmp_path, kernels):
    for _ in range(3):
        run(tmp_path, MANY + f"for name in calls[:{kernels}]: getattr(x, name)()")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_may_fork_meanwhile(tmp_path):
    fork = """
import warnings; warnings.simplefilter("ignore")
for name in calls:
    want = getattr(x, name)()
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(getattr(x, name)(), want) and x.sum() > 0 and x.double().sqrt().sum() > 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
drafts.settle()
"""
    run(tmp_path, MANY + fork)


def test_calls_in_other_threads_go_on(tmp_path):
    threads = """
import threading
wanted, wrong, done = {name: getattr(x, name)() for name in calls}, [], threading.Event()
def work():
    while not done.is_set():
        wrong.extend(name for name in calls if not torch.equal(getattr(x, name)(), wanted[name]))
workers = [threading.Thread(target=work) for _ in range(3)]
for worker in workers: worker.start()
drafts.settle(); done.set()
for worker in workers: worker.join()
assert not wrong, wrong
"""
    drafted, compiled = run(tmp_path, MANY + threads)
    assert drafted == compiled >= 12


def test_what_cannot_be_optimized_stays_a_draft(monkeypatch):
    monkeypatch.setattr(drafts, "QUIET", 0.0)
    monkeypatch.setattr(drafts, "_optimize", lambda draft: 1 / 0)
    text = "define i64 @kept() {\n ret i64 7\n}"
    with llvm.lock:
        address = drafts.compiled("0" * 64, "kept", text)
    drafts.settle()
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == 7
    assert not any(thread.name == "rushlight compiler" for thread in threading.enumerate())


def lines(folder, drafted, part):
    env = {**os.environ, "RUSHLIGHT_CACHE": str(folder), "RUSHLIGHT_DRAFTS": str(drafted)}
    program = pathlib.Path(__file__).with_name("draft_programs.py")
    done = subprocess.run([sys.executable, str(program), *map(str, part)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("part", [(5, 16), pytest.param((0, 1), marks=pytest.mark.slow)], ids=["sixteenth", "all"])
def test_the_same_bits(tmp_path, part):
    drafted, optimized = (lines(tmp_path / str(d), d, part) for d in (1, 0))
    assert drafted == optimized and len(drafted) > 150
    assert sum(line.endswith("refused") for line in drafted) < len(drafted) / 3
    assert left(tmp_path / "1")[1] == 0 and left(tmp_path / "0")[0] == 0
