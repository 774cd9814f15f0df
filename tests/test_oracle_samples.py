"""Every operator on PyTorch's own samples: see oracle_samples.py. A few in each push, all of them in `make test-all`."""

import pathlib
import re

import pytest
from oracle import torch
from oracle_samples import database, differences, out_differences, refusals

from rushlight.ops import _define

DTYPES = {torch.float32, torch.float64, torch.int64, torch.complex64, torch.bfloat16, torch.bool, torch.complex128}
KINDS = ("missing", "value", "raises", "gradient", "gradient raises", "requires_grad", "type of error", "error type", "accepts")
ALWAYS = ("add", "sum", "index_select", "linalg.norm", "nn.functional.softmax", "scatter_reduce", "histogramdd", "istft", "special.airy_ai")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALWAYS)
def test_chosen_operators(name):
    check([info for info in database() if info.name == name])


WORDED = "gradient linspace logspace nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.max_pool2d nn.functional.conv1d"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*WORDED.split(), "nn.functional.gaussian_nll_loss", "signal.windows.blackman"])
def test_first_lines_of_errors(name):
    found = [d for info in database() if info.name == name for d in refusals(info, name)]
    assert not found, "\n".join(" | ".join(d) for d in found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(40))
def test_every_operator(part):
    check(database()[part::40])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["abs", "add", "amax", "linalg.inv_ex", "linspace", "masked_select", "scatter_add", "sort", "signbit"])
def test_chosen_outputs(name):
    check_outputs([info for info in database() if info.name == name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(10))
def test_every_output(part):
    check_outputs(database()[part::10])


def check_outputs(infos):
    found = [d for info in infos for d in out_differences(info)]
    assert infos and not found, "\n".join(" | ".join(d) for d in found)


def check(infos):
    found = [d for info in infos for d in differences(info, DTYPES, limit=12) if d.kind.split(" ", 1)[-1] in KINDS or d.kind in KINDS]
    assert not found, "\n".join(" | ".join(d) for d in found)


WORD = re.compile(r"\w+")


def test_no_operator_without_a_row():
    """A public operator is pointwise or rowwise (the laws run it), has samples of PyTorch's, or is named in some test."""
    sampled = {info.name.rpartition(".")[2] for info in database()}
    called = set()
    for path in pathlib.Path(__file__).parent.rglob("*.py"):
        called.update(WORD.findall(path.read_text()))
    missing = []
    for entry in _define.registry.values():
        names = {entry.name.removeprefix(p) for p in ("", "linalg_", "fft_", "special.")}
        if entry.where and entry.family not in ("pointwise", "rowwise") and not names & (sampled | called):
            missing.append(entry.name)
    assert not missing, f"give these operators a row in a test: {' '.join(missing)}"
