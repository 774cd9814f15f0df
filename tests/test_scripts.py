"""Scripts as users of PyTorch write them (``tests/scripts``): what PyTorch and ``python -m rushlight`` print is the same, line by line."""

import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

SCRIPTS = sorted(pathlib.Path(__file__).with_name("scripts").glob("*.py"))
IN_CI = {"customfn", "generate", "lora"}  # the others take PyTorch some seconds each
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+|\.\d+(?:e[-+]?\d+)?)")


def printed(*command, folder):
    """The lines that the command prints; it must succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=140, env=environment, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def agree(line, other):
    """Equal texts whose numbers with a point differ by less than a unit of the fourth digit printed (or of a shown 0.0001)."""
    numbers, others = NUMBER.findall(line), NUMBER.findall(other)
    return (
        NUMBER.sub("#", line).split() == NUMBER.sub("#", other).split()
        and len(numbers) == len(others)
        and all(math.isclose(float(a), float(b), rel_tol=1e-4, abs_tol=1.1e-4) for a, b in zip(numbers, others))
    )


@pytest.mark.parametrize("script", [
    pytest.param(path, id=path.stem, marks=[] if path.stem in IN_CI else pytest.mark.slow) for path in SCRIPTS
])  # fmt: skip
def test_script(script, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("numpy")
    expected, found = printed(str(script), folder=tmp_path), printed("-m", "rushlight", str(script), folder=tmp_path)
    differing = [f"PyTorch: {a}\nhere:    {b}" for a, b in zip(expected, found) if not agree(a, b)]
    assert not differing and len(expected) == len(found), "\n".join(differing[:5])
