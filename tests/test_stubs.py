"""The type stubs say what the registry says."""

import ast
import importlib
import inspect
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import stubs  # noqa: E402


def test_stubs_are_up_to_date():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "stubs.py"), "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_in_them():
    names = stubs.stated(ast.parse(open(os.path.join(ROOT, "rushlight", "__init__.pyi")).read()).body)
    program = "import rushlight; print(*[n for n in dir(rushlight) if not n.startswith('_')])"   # what nothing has imported on the way
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    public = set(fresh.stdout.split()) - {"ops", "lang", "torch"}
    assert len(public) > 500 and not public - names, sorted(public - names)


def stated(path):
    """The names that a stub or a source states, those that a star brings included."""
    body = ast.parse(path.read_text()).body
    names = stubs.stated(body)
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            names |= set(importlib.import_module(f"{'.' * node.level}{node.module}", package_of(path)).__all__)
    return names


def package_of(path):
    return ".".join(path.relative_to(ROOT).parent.parts)


ROOMS = """nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize
    optim optim.lr_scheduler optim.swa_utils utils.data utils.checkpoint
    autograd autograd.functional autograd.forward_ad func linalg fft special distributions distributions.transforms amp overrides"""


@pytest.mark.parametrize("room", ROOMS.split())
def test_type_checkers_find_every_public_name_of_a_room(room):
    module = importlib.import_module(f"rushlight.{room}")
    path = pathlib.Path(module.__file__)
    stub = path.with_suffix(".pyi")
    public = {n for n, value in vars(module).items() if not n.startswith("_") and not inspect.ismodule(value)}
    missing = public - stated(stub if stub.exists() else path)
    assert public and not missing, sorted(missing)


@pytest.mark.slow
def test_mypy_sees_classes_and_functions(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "import rushlight as torch\nfrom rushlight import nn\nimport rushlight.nn.functional as F\n"
        "layer = nn.Linear(3, 2)\nx: torch.Tensor = F.relu(layer(torch.ones(1, 3)))\nshape: tuple[int, ...] = x.shape\n"
        "reveal_type(layer)\nreveal_type(torch.optim.SGD)\nnn.Lineer\nF.rellu\ntorch.linalg.invv\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", str(program)], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "MYPYPATH": ROOT},
    )  # fmt: skip
    lines = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert 'Revealed type is "rushlight.nn.modules.linear.Linear"' in lines[0] and "rushlight.optim.sgd.SGD" in lines[1]
    assert len(lines) == 6 and [line.split('"')[1] for line in lines[2:5]] == ["Lineer", "rellu", "invv"], done.stdout
