"""Who imports whom: each room only rooms that stand before it in ``HOUSE``, within functions too; and what it calls of those behind it."""

import ast
import functools
import re
from pathlib import Path

from rushlight._core import callbacks

PACKAGE = Path(__file__).parents[1] / "rushlight"

HOUSE = """
_core:
lang:
codegen: _core lang
return_types:
_switches:
ops: _core _switches codegen lang return_types
_VF:
_absent:
_errors:
_foreach: ops
_limits: _core
_ops: _core
_subclasses: _absent
_settings: _core _switches
_tensor_str: _core
_typename: _core
ao: _absent
compiler:
distributed: _absent
export: _absent
fft: ops
functional:
futures:
linalg: ops
masked: _absent
mps: _absent
mtia: _absent
nested: _absent
onnx: _absent
overrides: _core
_checks: _absent _core overrides
_dispatch: _core _ops overrides return_types
quantization: ao
quasirandom:
random: _core
signal:
sparse: _tensor_str
special: ops
storage: _core ops
testing: _core _limits ops
torch_version:
_alias: _core torch_version
_as_torch: _alias
training:
types: _core ops
utils._contextlib:
utils._pytree: return_types
_higher_order_ops: utils._pytree
utils.hooks:
autograd: _core ops overrides random utils._contextlib utils._pytree utils.hooks
amp: _core overrides
io: _core codegen storage utils.hooks
library: _core _ops amp autograd utils._pytree
_custom_ops: library
nn: _absent _core _switches amp autograd ops overrides utils._pytree utils.hooks
_C: _absent _core autograd fft linalg nn overrides special
_aten: nn ops
_primitives: nn
_dynamo: compiler nn
_summary: nn
_torchaudio: _absent _ops autograd linalg nn
_torchvision: _absent _ops nn
cuda: _core _errors _switches amp autograd codegen lang nn ops random utils._pytree
_utils: _checks _core cuda nn
_tensor: _core _utils
accelerator: _absent _core cuda
backends: _switches cuda nn
cpu: _core amp backends
distributions: nn
func: autograd nn
fx: _absent _core nn ops
_guards:
_functorch: autograd func fx nn
jit: _absent futures nn
multiprocessing: _core nn ops
optim: _core autograd lang nn
hints: nn optim
profiler: autograd cuda
serialization: io types
hub: serialization
utils: _absent _core _ops amp autograd codegen hub io nn overrides utils._pytree
datasets: utils
version:
__config__: _core backends version
__future__:
bench: version
doctor: codegen cuda version
__main__: _alias doctor hints
xpu: _absent
"""
ROOMS = {room: set(imported.split()) for room, imported in (line.split(":") for line in HOUSE.strip().splitlines())}

# These are at work before the package's public names are complete; the others may use them as any program does (``import rushlight``).
INNER = "_core lang codegen return_types ops _errors _switches _tensor_str storage utils.hooks utils._pytree".split()


@functools.cache
def room_of(module):
    """The room of a module, the longest name in HOUSE that it begins with; '' for the face, where the public names are."""
    inside = module.partition(".")[2]
    if inside in ("", "_face"):
        return ""
    return max((room for room in ROOMS if f"{inside}.".startswith((f"{room}.", f"{room}_"))), key=len, default=inside)


@functools.cache
def is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or any(path.with_suffix(suffix).exists() for suffix in (".py", ".pyx"))


def imported(tree, package):
    """(line, module) of every import of the package's own in a file; a name that is no module stands for the module that has it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base for alias in node.names]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":  # of a literal, or one that begins so
            found = re.findall(r"^f?'([\w.]+)", ast.unparse(node.args[0]))
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.partition(".")[0] == "rushlight")


def imported_by_cython(text):
    """Likewise of a Cython file, whose imports have a line each."""
    for i, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*(?:from|c?import) +([\w.]+)(?: +c?import +(\w+))?", line)
        if found:
            name = found[1] if found[1] != "rushlight" or not found[2] else f"rushlight.{found[2]}"
            if name.partition(".")[0] == "rushlight":
                yield i, name


@functools.cache
def files():
    """(path, what the file holds) of the package: a tree of Python, the text of Cython."""
    paths = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyx", ".pxi", ".pxd"))
    return [(path, ast.parse(path.read_text()) if path.suffix == ".py" else path.read_text()) for path in paths]


@functools.cache
def edges():
    """(room, room that it imports) -> where."""
    found = {}
    for path, held in files():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        package, module = ".".join(parts[:-1]), ".".join(parts).removesuffix(".__init__")
        for line, name in imported_by_cython(held) if isinstance(held, str) else imported(held, package):
            if room_of(module) != room_of(name) and room_of(module):
                found.setdefault((room_of(module), room_of(name)), []).append(f"{path.relative_to(PACKAGE)}:{line}")
    return found


def test_each_room_imports_what_it_says():
    """A new edge is a decision: it goes to the room's line, and to a room before it."""
    real = {room: set() for room in ROOMS}
    for room, other in edges():
        if other:
            real.setdefault(room, set()).add(other)
    for room in ROOMS | real:
        stated, is_imported = ROOMS.get(room, set()), real[room]
        assert is_imported == stated, f"{room} imports {is_imported - stated or 'all of them but ' + str(stated - is_imported)}: " + str(
            [edges()[room, other] for other in is_imported - stated]
        )


def test_no_room_imports_one_that_stands_behind_it():
    before = set()
    for room, others in ROOMS.items():
        assert others <= before, f"{room} imports {others - before}"
        before.add(room)


def test_inner_rooms_do_without_the_public_names():
    assert not {room: where for (room, other), where in edges().items() if not other and room in INNER}


def test_the_walk_sees_imports_within_functions_and_by_name():
    program = """
import numpy, rushlight.optim.sgd
def f():
    from ..cuda import _start
    from . import shape
    importlib.import_module('rushlight.nn')
    importlib.import_module(f'rushlight.amp.{name}')
"""
    found = {room_of(name) for _, name in imported(ast.parse(program), "rushlight.ops")}
    assert found == {"amp", "cuda", "ops", "nn", "optim"}
    lines = """
from rushlight._core cimport blas
from .tensor cimport Tensor
import os
cdef int f():
    from rushlight.autograd import backward
    from rushlight import nn
    import rushlight
"""
    assert [room_of(name) for _, name in imported_by_cython(lines)] == ["_core", "autograd", "nn", ""]


def test_each_file_of_the_core_stands_in_the_tables():
    """docs/internals.md says of each where it belongs: a part (``*.pxi``) by its file's name, a module by its own."""
    tables = (PACKAGE.parent / "docs" / "internals.md").read_text()
    files = {path for pattern in ("*.pyx", "*.pxi", "*.py") for path in (PACKAGE / "_core").glob(pattern)}
    names = {path.name if path.suffix != ".pyx" else path.stem: path.name for path in files if path.name != "__init__.py"}
    assert not {file for name, file in names.items() if f"`{name}`" not in tables and f"`_core/{name}`" not in tables}


# -- callbacks --


def called():
    """The names in ``_callbacks["..."]`` and ``callbacks.table["..."]``."""
    sources = [path.read_text() for path in PACKAGE.rglob("*") if path.suffix in (".py", ".pyx", ".pxi") and path.name != "callbacks.py"]
    return set(re.findall(r'_?callbacks(?:\.table)?\["(\w+)"\]', "\n".join(sources)))


def registered():
    """The names that ``callbacks.register(name=...)`` is given, by rooms that are open and by those that are not."""
    names = set(callbacks.table)
    for _, held in files():
        for node in ast.walk(held) if isinstance(held, ast.AST) else ():
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "register":
                names.update(keyword.arg for keyword in node.keywords if keyword.arg)
    return names


def test_what_is_called_upwards_is_registered_and_explained():
    assert called() == set(callbacks.MEANING)
    assert registered() == set(callbacks.MEANING)


def test_unknown_callbacks_are_refused():
    try:
        callbacks.register(no_such_callback=print)
    except KeyError as error:
        assert "no_such_callback" in str(error)
    else:
        raise AssertionError("registered")
