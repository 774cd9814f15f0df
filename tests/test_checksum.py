"""The checksum of checkpoints: zlib's numbers at the speed of memory."""

import random
import zlib

import pytest

from rushlight._core import storage
from rushlight.codegen import checksum as kernels
from rushlight.codegen import llvm
from rushlight.io import checksum

pytestmark = pytest.mark.cpu("data in its memory")

DATA = random.Random(0).randbytes((1 << 18) + 77)
STARTS = (0, 1, 0xFFFFFFFF, 123456789)


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, (1 << 16) + 255, len(DATA)])
def test_large_data(size):
    """By the kernel, for this process makes kernels anyway: whole blocks, and what is left."""
    for start in STARTS:
        assert checksum.crc32(DATA[:size], start) == zlib.crc32(DATA[:size], start)
    assert checksum._kernel is not None or size < 1 << 16


def test_pieces():
    for cut in (1, 70_000, 99_999):
        assert checksum.crc32(DATA[cut:], checksum.crc32(DATA[:cut])) == zlib.crc32(DATA)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_every_width_of_machine(lanes, monkeypatch):
    if lanes > kernels.lanes():
        pytest.skip("this machine has no products so wide")
    kernel = kernels._Fold(lanes)
    address = llvm.load(llvm.compile(kernel.write(f"fold{lanes}"), f"fold{lanes}"), f"fold{lanes}")
    monkeypatch.setattr(checksum, "_kernel", (address, kernel.step))
    for start in STARTS:
        assert checksum.crc32(DATA, start) == zlib.crc32(DATA, start)


def test_the_kernel_is_made_when_it_pays(monkeypatch):
    """A program that only reads one small file does not load the compiler."""
    made = []
    monkeypatch.setattr(kernels, "fold", lambda: made.append(1) or 0)
    monkeypatch.setattr(storage, "fold", lambda *_: None)
    monkeypatch.setattr(checksum, "_kernel", None)
    monkeypatch.setattr(checksum, "_done", 0)
    monkeypatch.delitem(checksum.sys.modules, "rushlight.codegen.llvm")
    monkeypatch.setattr(checksum, "_WORTH_A_KERNEL", 3 << 18)
    for wanted in ([], [], [1]) if kernels.lanes() else ([], [], []):
        checksum.crc32(DATA)
        assert made == wanted
