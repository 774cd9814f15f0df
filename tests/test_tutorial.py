"""The PyTorch tutorial, word for word: its examples print what they print there, its errors say what they say, its program learns."""

import ast
import doctest
import io
import pathlib
import pickle
import subprocess
import sys
import warnings

import numpy
import pytest
from place import settle, worded

import rushlight as torch
from rushlight import nn
from rushlight.utils import data

DATA = pathlib.Path(__file__).with_name("data")


# --- examples: tutorial.pycon is one long session


class Session(doctest.DocTestRunner):
    """Runs every example and keeps what each of them got, right or wrong."""

    def __init__(self):
        super().__init__(verbose=False)
        self.wrong = {}

    def report_failure(self, out, test, example, got):
        self.wrong[example.lineno] = f"expected:\n{example.want}got:\n{got}"

    def report_unexpected_exception(self, out, test, example, info):
        self.wrong[example.lineno] = f"expected:\n{example.want}raised {info[0].__name__}: {info[1]}"


SESSION = doctest.DocTestParser().get_doctest((DATA / "tutorial.pycon").read_text(), {}, "tutorial", "tutorial.pycon", 0)


@pytest.fixture(scope="module")
def session():
    runner = Session()
    with warnings.catch_warnings(), numpy.printoptions(legacy=False):
        warnings.simplefilter("ignore")
        runner.run(SESSION, clear_globs=False)
    return runner


def test_the_session_is_whole():
    assert len(SESSION.examples) == 41


STREAM = "PyTorch's stream of random bits there"
ABOUT_THE_CPU = {4: "the names of its types", 26: "tensors in its memory", 57: "a model that was moved there", 80: STREAM, 82: STREAM}
EXAMPLES = [
    pytest.param(e, marks=pytest.mark.cpu(ABOUT_THE_CPU[e.lineno + 1])) if e.lineno + 1 in ABOUT_THE_CPU else e for e in SESSION.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"line{e.lineno + 1}")
def test_example(session, example):
    assert example.lineno not in session.wrong, f"{example.source}{session.wrong[example.lineno]}"


# --- errors: `statements ==> Exception: first line`, where a final ` ...` means that the line goes on


ERRORS = [line for line in (DATA / "tutorial_errors.txt").read_text().splitlines() if line]


def kind(name):
    """The exception class of that name."""
    return {"UnpicklingError": pickle.UnpicklingError}.get(name) or getattr(__import__("builtins"), name)


def agrees(message, expected):
    """Does the first line of a message say what is expected?"""
    line = message.split("\n", 1)[0]
    if expected.endswith("..."):
        return line.startswith(expected[:-3].rstrip())
    return line == expected


ABSENT = pytest.mark.cpu("what is said where there is no GPU")
ALLOCATOR = pytest.mark.cpu("its allocator's words")
LINES = [pytest.param(e, marks=[ABSENT] * ('to("cuda' in e) + [ALLOCATOR] * ("alloc_cpu" in e)) for e in ERRORS]


@pytest.mark.parametrize("line", LINES)
def test_error(line, tmp_path, monkeypatch):
    statements, _, expected = line.partition(" ==> ")
    name, _, text = expected.partition(": ")
    monkeypatch.chdir(tmp_path)
    space = {"torch": torch, "nn": nn, "io": io, "np": numpy, **{n: getattr(data, n) for n in data.__all__}}
    code = compile(ast.parse(statements), "tutorial_errors.txt", "exec")
    if name.startswith("warns "):
        with pytest.warns(kind(name.removeprefix("warns "))) as caught:
            exec(code, space)
        assert any(agrees(str(w.message), text) for w in caught), [str(w.message) for w in caught]
        return
    with pytest.raises(kind(name)) as raised:
        exec(code, space)
        settle()
    assert agrees(worded(str(raised.value)), text)


def test_a_state_that_does_not_fit_says_everything_at_once():
    with pytest.raises(RuntimeError) as raised:
        nn.Linear(1, 2).load_state_dict({"weight": torch.zeros(1, 1), "zzz": torch.zeros(1)})
    first, *rest = str(raised.value).splitlines()
    assert first == "Error(s) in loading state_dict for Linear:"
    for expected in (
        '\tMissing key(s) in state_dict: "bias". ',
        '\tUnexpected key(s) in state_dict: "zzz". ',
        "\tsize mismatch for weight: copying a param with shape torch.Size([1, 1]) from checkpoint, "
        "the shape in current model is torch.Size([2, 1]).",
    ):
        assert expected in rest


def test_what_is_no_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.zeros(2, 3).squeeze(0).shape == (2, 3)
        assert nn.MSELoss()(torch.ones(2), torch.zeros(2).double()).dtype is torch.float64
        assert (torch.tensor([1, 0]) / 0).tolist()[0] == float("inf")
        assert torch.device("cpu:1").index == 1
        labels = torch.tensor([1, 0], dtype=torch.uint8)
        assert nn.CrossEntropyLoss()(torch.eye(2), labels).item() > 1
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0") as caught:
        assert torch.tensor([1.0]).std().isnan()
    assert len(caught) == 1


# --- the homework: one program, its losses to five digits


def test_homework(tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", DATA / "homework.txt"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == (DATA / "homework_output.txt").read_text()
