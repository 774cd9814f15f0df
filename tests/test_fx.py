"""torch.fx: the text of traced programs equals PyTorch's, and their graphs compute what the programs do."""

import copy
import importlib.util
import pathlib
import pickle
import sys
from unittest import mock

import pytest

import rushlight as rl
from rushlight import fx, nn

HERE = pathlib.Path(__file__).parent


def load(path, library, *extra):
    """A file in which ``import torch`` gives ``library``."""
    names = {"torch": library, "torch.fx": library.fx, "torch.nn": library.nn, "torch.nn.functional": library.nn.functional}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, names), mock.patch.object(sys, "path", [*extra, *sys.path]):
        spec.loader.exec_module(module)
    return module


OURS = load(HERE / "fx_programs.py", rl)
NAMES = list(OURS.PROGRAMS)


@pytest.fixture(scope="module")
def theirs():
    torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle")
    return load(HERE / "fx_programs.py", torch)


@pytest.mark.parametrize("name", NAMES)
def test_text_equals_pytorchs(name, theirs):
    ours, pytorch = (programs.PROGRAMS[name][0]() for programs in (OURS, theirs))
    ours, pytorch = fx.symbolic_trace(ours), theirs.fx.symbolic_trace(pytorch)
    assert ours.code == pytorch.code
    assert str(ours.graph) == str(pytorch.graph)
    assert str(ours).splitlines() == str(pytorch).splitlines()
    assert ours.print_readable(print_output=False) == pytorch.print_readable(print_output=False)


def close(a, b):
    if isinstance(a, rl.Tensor):
        return rl.allclose(a, b, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return isinstance(a, type(b)) and len(a) == len(b) and all(map(close, a, b))
    return a == b


@pytest.mark.parametrize("name", NAMES)
def test_graphs_compute_what_programs_do(name):
    make, shapes = OURS.PROGRAMS[name]
    rl.manual_seed(0)
    program, inputs = make(), [rl.randn(s) for s in shapes]
    if isinstance(program, nn.Module):
        program.eval()
    traced = fx.symbolic_trace(program)
    if name == "variadic":
        inputs = inputs[:1]
    want = program(*(x.clone() for x in inputs))
    for again in (traced, copy.deepcopy(traced), fx.Transformer(traced).transform()):
        assert close(again(*(x.clone() for x in inputs)), want)
    assert close(fx.Interpreter(traced).run(*(x.clone() for x in inputs)), want)
    traced.graph.lint()
    if name not in ("wrapped", "nests"):
        assert pickle.loads(pickle.dumps(traced)).code == traced.code


@pytest.mark.parametrize("train", [True, False])
def test_resnet18_of_the_examples(train):
    torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle")
    folder = HERE.parent / "examples" / "models"
    texts = []
    for library in (rl, torch):
        sys.modules.pop("task", None)
        model = load(folder / "resnet18.py", library, str(folder)).ResNet18(10, 8).train(train)
        sys.modules.pop("task", None)
        texts.append((library.fx.symbolic_trace(model).code, str(library.fx.symbolic_trace(model).graph)))
    assert texts[0] == texts[1]
