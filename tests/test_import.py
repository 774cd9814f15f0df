"""What `import rushlight` costs: little, for the slow rooms open when they are first used."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
HEAVY = ("numpy", "llvmlite", "inspect", "dataclasses", "typing", "re", "ctypes", "torch", "scipy", "pickle", "asyncio")


def fresh(program):
    """What a fresh interpreter prints that runs a program, without the site's own imports."""
    run = subprocess.run([sys.executable, "-S", "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                         capture_output=True, text=True, timeout=60)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_an_import_loads_few_modules():
    loaded = fresh("import sys, rushlight; print(*sys.modules)")
    assert len(loaded) < 147, sorted(loaded)  # the site of a virtual environment loads three more
    assert not {m.partition(".")[0] for m in loaded} & set(HEAVY)


def test_rooms_open_on_first_use():
    loaded = fresh("import sys, rushlight; rushlight.nn, rushlight.optim; print(*sys.modules)")
    assert {"rushlight.nn", "rushlight.optim"} <= set(loaded)
    assert not {"numpy", "llvmlite", "torch", "inspect"} & {m.partition(".")[0] for m in loaded}
    closed = {"rushlight.nn", "rushlight.optim", "rushlight.utils", "rushlight.codegen"}
    assert not closed & set(fresh("import sys, rushlight; print(*sys.modules)"))


def test_arithmetic_and_gradients_need_no_numpy():
    program = """
import sys, rushlight as torch
x = torch.arange(6.0).reshape(2, 3).requires_grad_()
(x * x + 1).tanh().softmax(1).sum().backward()
print(x.grad.shape == x.shape, 'numpy' in sys.modules, repr(x) and 'inspect' in sys.modules)
"""
    assert fresh(program) == ["True", "False", "False"]


def test_no_module_of_pytorch_is_ever_loaded():
    program = """
import importlib, pkgutil, sys, rushlight
for module in pkgutil.walk_packages(rushlight.__path__, 'rushlight.'):
    if not module.name.startswith(('rushlight.cuda', 'rushlight._as_torch')):  # the second is there to give the alias
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            assert 'pip install' in str(error), error  # a room that needs a package which is not installed says which
print(*[m for m in sys.modules if m.partition('.')[0] == 'torch'])
"""
    assert fresh(program) == []
