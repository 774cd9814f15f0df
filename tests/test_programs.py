"""Programs written for PyTorch run unmodified: the same losses to five digits under PyTorch and ``python -m rushlight``."""

import math
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = sorted(pathlib.Path(__file__).with_name("programs").glob("*.py"))
LINES = {"cnn": 32, "gpt": 62, "language_model": 31, "regression": 81, "transformer": 31}


def output(*command):
    """The words of each line that the command prints; it must succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def agree(word, other):
    """Whether two printed words are equal, or both floats (written with an exponent) that differ by less than half of the fifth digit."""
    return word == other or ("e" in word and "e" in other and math.isclose(float(word), float(other), rel_tol=5e-6))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program(program):
    pytest.importorskip("torch")
    expected, found = output(str(program)), output("-m", "rushlight", str(program))
    assert len(expected) == len(found) == LINES[program.stem]
    for line, other in zip(expected, found):
        assert len(line) == len(other) and all(map(agree, line, other)), f"PyTorch: {' '.join(line)}\nhere:    {' '.join(other)}"
