"""tools/fuzz.py: some cases of every kind in each push, many of each operator as a slow test."""

import pathlib
import sys

import pytest
from oracle import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import fuzz

DEFECTS = ("defect", "changed by a failed call", "slow")  # beside deaths and timeouts; the other findings are for reading
CHOSEN = ("add", "as_strided*", "cat", "nn.functional.conv2d", "slice_scatter*", "blind:result_type", "blind:Tensor.float", "tril")


def defects(patterns, count, first=0, part=(0, 1)):
    assert torch is not None
    labels = fuzz.labels_like(patterns)[part[0] :: part[1]]
    found = fuzz.Driver(labels, count, first, seconds=30).run()
    return [" | ".join(f) for f in found if f.kind in DEFECTS or f.kind.startswith(("died", "took"))]


def test_chosen_operators():
    assert not (found := defects(CHOSEN, 12)), "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_every_operator(part):
    assert not (found := defects(("*",), 20, part=(part, 20))), "\n".join(found)
