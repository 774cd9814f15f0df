"""The worked example of docs/operators.md: its few lines, appended to one file, make an operator with faces, gradients and tests."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SECTION = (ROOT / "docs" / "operators.md").read_text().split("## A worked example")[1]
TARGET = re.search(r"appended to `ops/(\w+\.py)`", SECTION)[1]
BLOCK = re.search(r"```python\n(.*?)```", SECTION, re.S)[1]

# Reads one source file as if the block stood at its end.
APPEND = f"""
import importlib.machinery
def get_data(self, path, plain=importlib.machinery.SourceFileLoader.get_data):
    content = plain(self, path)
    return content + b'\\n\\n' + {BLOCK.encode()!r} if path.endswith('rushlight/ops/{TARGET}') else content
importlib.machinery.SourceFileLoader.get_data = get_data
import importlib._bootstrap_external as external
def no_bytecode(*args, **kwargs): raise NotImplementedError
external.cache_from_source = no_bytecode  # what is compiled here is neither kept nor taken from an earlier run
"""


def run(program):
    process = subprocess.run([sys.executable, "-c", APPEND + program], cwd=ROOT,
                             capture_output=True, text=True, timeout=120)  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def test_it_is_short():
    assert len(BLOCK.strip().splitlines()) < 10


def test_values_and_faces():
    out = run("""
import math, rushlight as torch
x = torch.linspace(-3, 3, 101, dtype=torch.float64)
want = [v + math.sin(2 * v) ** 2 / 2 for v in x.tolist()]
close = lambda a: max(abs(p - q) for p, q in zip(a.tolist(), want)) < 1e-14
out = torch.empty(0, dtype=torch.float64)
print(close(torch.snake(x, a=2.0)), close(x.snake(2.0)), close(torch.snake(x, 2.0, out=out)) and close(out))
print(x.clone().snake_(2.0).equal(out), torch.snake(x.half()).dtype, torch.snake(torch.zeros(3, 0)).shape)
print(torch.snake(x.requires_grad_()).grad_fn.name(), torch.snake(torch.tensor([0., 1.])))
""")
    assert out.split("\n") == [
        "True True True", "True torch.float16 torch.Size([3, 0])", "SnakeBackward0 tensor([0.0000, 1.7081])", ""]  # fmt: skip


def test_gradients_to_second_order():
    out = run("""
import rushlight as torch
from rushlight.autograd import gradcheck, gradgradcheck
x = torch.linspace(-2, 2, 7, dtype=torch.float64, requires_grad=True)
print(gradcheck(lambda x: torch.snake(x, 1.5), x), gradgradcheck(lambda x: torch.snake(x, 1.5), x))
""")
    assert out == "True True\n"


def test_the_laws_cover_it():
    out = run("import pytest; pytest.main(['-q', '-p', 'no:cacheprovider', 'tests/test_laws_alone.py', '-k', 'snake'])")
    assert re.search(r"^\.\.", out), out


def test_help_shows_it():
    out = run("import rushlight as torch; print(torch.snake.__name__, torch.snake.__doc__)")
    assert out.startswith("snake ``input + sin(a * input)**2 / a``")


def test_without_the_block_there_is_none():
    import rushlight as torch

    assert not hasattr(torch, "snake") and not hasattr(torch.Tensor, "snake_")
    with pytest.raises(AttributeError):
        torch.snake  # noqa: B018
