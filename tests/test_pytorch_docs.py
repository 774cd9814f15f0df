"""The examples in the docstrings of installed PyTorch, run under PyTorch and here: what is printed must be the same.

``data/pytorch_docs.txt`` names what is left out and why. Numbers may differ in the fourth digit; addresses, memory that nobody has
written to, and examples that PyTorch itself refuses do not count.
"""

import contextlib
import doctest
import importlib
import inspect
import io
import pathlib
import re
import warnings

import numpy
import pytest
from oracle import torch

import rushlight

pytestmark = [pytest.mark.slow, pytest.mark.cpu("about programs that do not name a device")]

ROOMS = """
    torch Tensor nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrizations nn.utils.parametrize nn.utils.prune optim
    optim.lr_scheduler optim.swa_utils linalg fft special distributions distributions.transforms distributions.constraints utils.data
    autograd autograd.functional autograd.graph autograd.forward_ad func random sparse signal.windows utils.checkpoint testing overrides
    library serialization amp profiler nn.attention quasirandom
""".split()
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
LEFT_OUT = dict(
    line.split("  # ")
    for line in (pathlib.Path(__file__).parent / "data" / "pytorch_docs.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
NOT_RUN = ("cuda", "DataParallel", "hub.load", "input(", "compile(", "spawn", "num_workers", "open(", "torch.save", "torch.load")


def examples(text):
    """The statements of a docstring; where doctest finds its form wanting, line by line."""
    try:
        return [example.source for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:
        found = []
        for line in map(str.strip, text.splitlines()):
            if line.startswith(">>>"):
                found.append(line[3:].lstrip())
            elif line.startswith("...") and found:
                found[-1] += "\n" + line[4:]
        return [source + "\n" for source in found]


def documented(room):
    """[(name, docstring)] of what a room of PyTorch documents by examples."""
    home = torch if room == "torch" else importlib.import_module(f"torch.{room}") if room != "Tensor" else torch.Tensor
    for name in sorted(vars(home) if room == "Tensor" else dir(home)):
        thing = getattr(home, name, None)
        text = getattr(thing, "__doc__", None)
        if not name.startswith("_") and not inspect.ismodule(thing) and isinstance(text, str) and ">>>" in text:
            yield f"{room}.{name}", text


def transcript(library, sources):
    """What each statement prints, or the type of its error."""
    library.manual_seed(0)
    library.set_default_dtype(library.float32)
    numpy.random.seed(0)
    space = {"torch": library, "nn": library.nn, "F": library.nn.functional, "np": numpy, "numpy": numpy}
    for source in sources:
        if library is rushlight:
            source = re.sub(r"\bimport torch$", "import rushlight as torch", source, flags=re.M)
            source = re.sub(r"\b(from|import) torch\b", r"\1 rushlight", source)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(source, "<example>", "single"), space)
            yield printed.getvalue()
        except Exception as error:
            yield error
    library.set_printoptions(profile="default")


def agree(expected, got):
    """Is the same printed, but for addresses and the last digits?"""
    texts = [re.sub(r"<.* object at 0x[0-9a-f]+>", "<object>", t) for t in (expected, got)]
    shapes = [re.sub(r"\s+", " ", NUMBER.sub("#", t)) for t in texts]
    numbers = [[float(n) for n in NUMBER.findall(t)] for t in texts]
    return shapes[0] == shapes[1] and all(abs(a - b) <= 2e-4 * max(1, abs(a)) for a, b in zip(*numbers))


@pytest.mark.parametrize("room", ROOMS)
def test_examples_print_the_same(room, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    different = []
    for name, text in documented(room):
        if name in LEFT_OUT:
            continue
        sources = [s for s in examples(text) if not any(word in s for word in NOT_RUN)]
        for source, expected, got in zip(sources, transcript(torch, sources), transcript(rushlight, sources)):
            if isinstance(expected, Exception) or "empty" in source:
                continue
            if isinstance(got, Exception) or not agree(expected, got):
                different.append(f"{name}: {source.strip()[:80]} -> {str(got)[:120]!r} instead of {expected[:120]!r}")
                break
    assert not different, "\n".join(different)
