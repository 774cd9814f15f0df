"""Calls that must fail (nasty_calls.txt) fail as in PyTorch: the same type of exception with the same first line; or give the same."""

import pathlib

import pytest
from expressions import DRAWS, on_gpu
from oracle import torch
from oracle_samples import first_line, from_rl, outcome, unlike

import rushlight as rl


def sections():
    """{title: calls} of the file."""
    found, calls = {}, []
    for line in pathlib.Path(__file__).with_name("nasty_calls.txt").read_text().splitlines():
        if line.startswith("[") and line.endswith("]") and "(" not in line:
            calls = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            calls.append(line)
    return found


SAME, TYPE, DIFFERENT = sections().values()
ABOUT_CPU = {
    "T.zeros(2, device=7)": pytest.mark.cpu("what is said where there is no GPU"),
    "x.to(3)": pytest.mark.cpu("what is said where there is no GPU"),
    "T.multinomial(x, 2)": pytest.mark.cpu(DRAWS),
}


def run(library, call):
    x = library.arange(12.0).reshape(3, 4)
    scope = {"T": library, "x": x, "i": library.arange(3), "b": x > 5, "s": library.tensor(2.0)}
    return outcome(library, lambda: looked_at(eval(call, scope)), (), {})


def looked_at(result):
    """The result; what kernels found in elements is raised now."""
    if on_gpu():
        rl.cuda.synchronize()
    return result


def difference(call):
    want, refused = run(torch, call)
    got, error = run(rl, call)
    if refused is None:
        return f"raises {error!r}" if error is not None else unlike(from_rl(got), want)
    if error is None:
        return f"returns {got!r}, PyTorch raises {refused!r}"
    told_late = on_gpu() and isinstance(error, IndexError)  # whatever PyTorch's CPU raises for an index
    if type(error).__name__ != type(refused).__name__ and not isinstance(error, type(refused)) and not told_late:
        return f"{type(error).__name__}: {first_line(error)}, PyTorch: {type(refused).__name__}: {first_line(refused)}"
    said = first_line(error).replace("rushlight.Tensor", "Tensor").replace("'rushlight'", "'torch'")
    return None if said == first_line(refused) else f"{first_line(error)} | {first_line(refused)}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", [pytest.param(c, marks=ABOUT_CPU[c]) if c in ABOUT_CPU else c for c in SAME])
def test_as_pytorch(call):
    assert not (found := difference(call)), found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", TYPE)
def test_same_type_of_exception(call):
    (_, refused), (_, error) = run(torch, call), run(rl, call)
    assert isinstance(error, type(refused)) or type(error).__name__ == type(refused).__name__
    assert first_line(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", DIFFERENT)
def test_the_list_of_differences_is_true(call):
    assert difference(call), "move it up"
