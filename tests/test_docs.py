"""What is documented is true: the code of README and docs/ and every docstring example is run, and no public name lacks a docstring."""

import contextlib
import doctest
import importlib
import inspect
import io
import pathlib
import pkgutil
import re
import subprocess
import sys
import traceback
import types
import warnings

import numpy
import pytest

import rushlight as torch
from rushlight import _aten, _face, nn
from rushlight.ops import _define

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
sys.path.insert(0, str(ROOT / "tools"))
docs = importlib.import_module("docs")

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
HEADER = "Traceback (most recent call last):\n    ...\n"
FENCE = re.compile(r'^```(pycon|python|text)(?: title="(\S+)")?\n(.*?)^```$', re.S | re.M)


# --- running examples


def captured(run):
    """What a callable prints; for an exception the traceback's last part, notes included, under doctest's header."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            run()
        except Exception as error:
            print(HEADER + "".join(traceback.format_exception_only(error)), end="")
    return out.getvalue()


def agree(want, got, example):
    """Do the two outputs agree, but for tabs (examples hold none) and blanks at the ends of lines?"""
    want, got = ("".join(f"{line.rstrip()}\n" for line in text.expandtabs().splitlines()) for text in (want, got))
    return doctest.OutputChecker().check_output(want, got, sum(flag for flag, on in example.options.items() if on))


def failures(text, space, where):
    """Runs the examples of one text in ``space``; a description of each that printed something else."""
    wrong = []
    for example in doctest.DocTestParser().get_examples(text):
        code = compile(example.source, f"<{where}>", "single")
        got = captured(lambda code=code: exec(code, space))
        want = example.want
        if example.exc_msg is not None:  # the lines of the traceback itself do not count
            want = HEADER + example.exc_msg
        if not agree(want, got, example):
            wrong.append(f"{where}: {example.source}expected:\n{want}got:\n{got}")
    return wrong


def said(source):
    """The outputs that a plain block states behind its calls of print: ``print(x)  # tensor(1.)``."""
    return "".join(re.findall(r"^ *print\(.*\) +# (.*)$", source, re.M))


def closed(text):
    return "".join(text.split())


def program(path):
    """What a program of its own prints, and of an exception that ends it the type and the message."""
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    return done.stdout + re.sub(r"^Traceback \(most recent call last\):\n(?:  .*\n)*", "", done.stderr)


def page_failures(text, where):
    """Runs a page's blocks in order, in one namespace.

    pycon: a session; python: statements, or with a title a file of that name, whose outcome the text block behind it states.
    """
    space, wrong, outcome = {"__name__": "__main__", "__builtins__": __builtins__}, [], None
    for kind, title, source in FENCE.findall(text):
        if kind == "pycon":
            wrong += failures(source, space, where)
        elif title:
            pathlib.Path(title).write_text(source)
            outcome = program(title)
        elif kind == "python":
            printed = captured(lambda source=source: exec(compile(source, f"<{where}>", "exec"), space))
            if closed(printed) != closed(said(source)):
                wrong.append(f"{where}: {source}printed:\n{printed}")
        elif outcome is not None:
            if outcome.replace(f"{pathlib.Path.cwd()}/", "") != source:
                wrong.append(f"{where}: expected:\n{source}got:\n{outcome}")
            outcome = None
    return wrong


def settled():
    """Settings of the process that no example may leave changed."""
    return torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), sys.modules.get("torch") is torch


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """An empty working folder, an operator registry to add to, quiet warnings, and everything global as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    known, state, settings = dict(_define.registry), torch.get_rng_state(), settled()
    with warnings.catch_warnings(), numpy.printoptions():
        warnings.simplefilter("ignore")
        yield
    _define.registry.clear()
    _define.registry.update(known)
    torch.set_rng_state(state)
    torch.set_printoptions(profile="default")
    assert settled() == settings


# --- pages


@pytest.mark.cpu("what its pages show")
@pytest.mark.parametrize("page", PAGES)
def test_page(page, apart):
    text = (ROOT / page).read_text()
    text = re.sub(r"^```python\n(?=@(pointwise|rowwise))", "```python\n" + DEFINING, text, flags=re.M)
    assert not (wrong := page_failures(text, page)), "\n".join(wrong)


DEFINING = "from rushlight.ops._define import pointwise, rowwise\nfrom rushlight.lang import functions as fn\n"


def test_a_wrong_page_is_noticed(apart):
    good = "```pycon\n>>> 1 + 1\n2\n```\n```python\nprint(1)  # 1\n```\n"
    assert page_failures(good, "page") == []
    assert len(page_failures(good.replace("2\n", "3\n").replace("# 1", "# 2"), "page")) == 2
    assert page_failures('```python title="a.py"\n1 / 0\n```\n```text\nZeroDivisionError: division by zero\n```\n', "page") == []
    assert len(page_failures('```python title="a.py"\n1 / 0\n```\n```text\nnothing\n```\n', "page")) == 1
    assert page_failures("```pycon\n>>> 1 / 0\n```\n", "page")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        if not target.startswith("reference/"):
            assert (path.parent / target).exists(), target
        else:
            assert target.removeprefix("reference/") in docs.reference(), target


def test_internals_names_files_that_exist_and_every_module_of_the_core():
    text = (ROOT / "docs/internals.md").read_text()
    files = [f"/{path.relative_to(ROOT)}" for room in ("rushlight", "tests", "tools", "docs") for path in (ROOT / room).rglob("*.*")]
    named = set(re.findall(r"`([\w/.]+\.(?:py|pyx|pxi|pxd|cu|cuh|c|md))`", text))
    assert len(named) > 100
    assert not {name for name in named if not any(path.endswith(f"/{name}") for path in files)}
    modules = {path.stem for path in (ROOT / "rushlight/_core").glob("*.pyx")}
    assert not modules - set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_pytorch_prints_what_the_tutorial_prints(apart):
    """The same values and the same first lines of errors."""
    assert pytest.importorskip("torch") is not torch
    text = (ROOT / "docs" / "tutorial.md").read_text()
    text = text.replace("import rushlight as torch", "import torch").replace("from rushlight", "from torch")
    space, compared = {}, 0
    for kind, _, source in FENCE.findall(text):
        for example in doctest.DocTestParser().get_examples(source) if kind == "pycon" else ():
            got = captured(lambda example=example: exec(compile(example.source, "<tutorial>", "single"), space))
            if example.exc_msg is not None:
                assert got.removeprefix(HEADER).splitlines()[0] == example.exc_msg.splitlines()[0]
            else:
                assert agree(example.want, got, example), example.source
            compared += 1
    assert compared > 100


# --- docstrings


NEEDS = ("rushlight.utils.tensorboard",)
"""Rooms that can be imported only where another package is installed, by design."""


def modules():
    """Every module of rushlight."""
    for info in pkgutil.walk_packages(torch.__path__, "rushlight.", onerror=lambda name: None):
        if not info.name.endswith(("__main__", "._as_torch")) and not info.name.startswith(NEEDS):
            yield importlib.import_module(info.name)


def docstrings():
    """{docstring: (a name of its owner, the owner's module)} of all that have examples."""
    found = {}

    def note(name, owner, module):
        text = getattr(owner, "__doc__", None)
        if isinstance(text, str) and ">>>" in text:
            found.setdefault(text, (name, module))

    for module in modules():
        note(module.__name__, module, module)
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) == module.__name__:
                note(f"{module.__name__}.{name}", value, module)
                for attribute, part in vars(value).items() if inspect.isclass(value) else ():
                    note(f"{module.__name__}.{name}.{attribute}", part, module)
    for entry in _define.registry.values():
        note(f"{entry.module}.{entry.name}", entry.operator, sys.modules[entry.module])
    for name, part in vars(torch.Tensor).items():
        note(f"Tensor.{name}", part, torch)
    for name, function in _aten.names.items():
        note(f"rushlight._aten.{name}", function, torch)
    return found


# whose examples show the CPU: its random bits, its name, its rounding, its texts
OF_THE_CPU = {f"rushlight.{name}" for name in (
    "_core.convert.asarray", "_core.random.Generator", "_typename.typename", "amp.autocast_mode.autocast",
    "autograd.anomaly_mode.detect_anomaly", "distributions", "nn.modules.container.ParameterList",
    "nn.modules.module.Module.register_parameter", "nn.parallel.replicate.replicate", "nn.parallel.scatter_gather.gather",
    "nn.parallel.scatter_gather.scatter", "nn.utils.rnn.PackedSequence", "nn.utils.rnn.pack_padded_sequence",
    "nn.utils.rnn.pad_packed_sequence", "ops.casting.type", "ops.fft.fft_fft", "ops.fft.fft_fftn", "ops.fft.fft_ihfft2", "ops.fft.fft_rfft",
    "ops.random.rand", "ops.random.randn", "profiler", "quasirandom.SobolEngine", "random.set_rng_state")}  # fmt: skip


def example_failures(wanted):
    """How many docstrings there are whose name is wanted, and a description of each of their examples that printed something else."""
    count, wrong = 0, []
    for text, (name, module) in docstrings().items():
        if wanted(name):
            wrong += failures(inspect.cleandoc(text), {**vars(module), **names_of(torch), "__name__": "__main__"}, name)
            count += 1
    return count, wrong


def of_a_gpu(name):
    return name.startswith(("rushlight.cuda.", "rushlight.nn.parallel.comm."))


def test_docstring_examples(apart):
    on_cpu = torch.get_default_device().type == "cpu"
    count, wrong = example_failures(lambda name: not of_a_gpu(name) and (on_cpu or name not in OF_THE_CPU))
    assert not wrong, "\n".join(wrong)
    assert count > 600


@pytest.mark.skipif("config.getoption('--device') != 'cuda'", reason="needs a GPU: test_cuda_standin.py runs it on the stand-in")
def test_docstring_examples_of_a_gpu(apart):
    count, wrong = example_failures(of_a_gpu)
    assert not wrong, "\n".join(wrong)
    assert count > 60


# --- every public name is documented


ROOMS = """
nn nn.functional nn.init nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations optim optim.lr_scheduler optim.swa_utils
utils.data utils.checkpoint autograd autograd.functional func random serialization training testing amp overrides linalg fft special
""".split()
FIELDS = {"ndim", "output_nr"}
"""Attributes of Tensor that are fields of the C structure and can't hold a docstring."""


def written(value):
    """Has it a docstring, a class one of its own?"""
    text = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
    return bool((text or "").strip())


def unshown(room):
    """Public classes and functions of a room whose docstrings have no executed example.

    Operators have a law of their own; exceptions, abstract classes and other spellings of a name need none.
    """
    for name in (n for n in getattr(room, "__all__", None) or dir(room) if not n.startswith("_")):
        value = getattr(room, name)
        own = (getattr(value, "__module__", None) or "").startswith("rushlight")
        spelled = getattr(inspect.unwrap(value) if callable(value) else value, "__name__", name)
        another = spelled != name and not spelled.startswith("_")
        abstract = inspect.isclass(value) and (issubclass(value, BaseException) or inspect.isabstract(value))
        if callable(value) and own and not another and not abstract and ">>>" not in (value.__doc__ or ""):
            yield name


SHOWN = """
nn nn.functional nn.grad nn.parameter nn.init nn.attention nn.attention.bias nn.attention.flex_attention nn.parallel
nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune
optim optim.lr_scheduler optim.swa_utils utils.data utils.checkpoint distributions distributions.constraints distributions.transforms
autograd autograd.functional autograd.forward_ad autograd.graph autograd.profiler func amp amp.grad_scaler io serialization random training
cuda cuda.amp
""".split()


@pytest.mark.parametrize("room", SHOWN)
def test_public_names_of_a_room_have_examples(room):
    assert not list(unshown(importlib.import_module(f"rushlight.{room}")))


def test_operators_have_examples():
    """In-place forms are shown with the operator they belong to."""
    public = {name: entry for name, entry in _define.registry.items() if entry.where and not name.startswith("_")}
    shown = {name for name, entry in public.items() if ">>>" in (entry.operator.__doc__ or "")}
    shown |= {f"{n}_" for name in shown for n in (name, *public[name].aliases)}
    assert len(public) > 600
    assert not public.keys() - shown


@pytest.mark.parametrize("owner", [nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler])
def test_public_methods_have_examples(owner):
    members = {name: inspect.getattr_static(owner, name) for name in dir(owner) if not name.startswith("_")}
    assert not [name for name, value in members.items() if callable(value) and ">>>" not in (value.__doc__ or "")]


def unseen(owner):
    """Public attributes of a class whose docstrings have no executed example; in-place forms are shown with what they overwrite by."""
    members = {n: inspect.getattr_static(owner, n) for n in dir(owner) if not n.startswith("_") and n not in FIELDS}
    shown = {name for name, value in members.items() if ">>>" in (value.__doc__ or "")}
    return sorted(members.keys() - shown - {f"{name}_" for name in shown})


def test_attributes_of_tensor_have_examples():
    assert not unseen(torch.Tensor)


def test_functions_of_the_inner_library_have_examples():
    shown = {n for n, value in {**vars(nn.functional), **_aten.names}.items() if ">>>" in (value.__doc__ or "")}
    assert len(_aten.names) > 60
    assert not {n for n in _aten.names if n.removesuffix("_") not in shown and n not in shown}


def test_an_attribute_without_example_is_noticed():
    told = property(lambda self: 1, doc="One.\n\n>>> torch.ones(1).told\n1")
    owner = type("Owner", (), {"told": told, "told_": told.fget, "bare": told.fget, "bare_": told.fget})
    assert unseen(owner) == ["bare", "bare_"]


def undocumented(room):
    """Public classes, their methods, and functions of a room that nothing describes."""
    for name in getattr(room, "__all__", None) or [n for n in dir(room) if not n.startswith("_")]:
        value = getattr(room, name)
        if callable(value) and not written(value):
            yield name
        for method, function in vars(value).items() if inspect.isclass(value) and value.__module__.startswith("rushlight") else ():
            if inspect.isfunction(function) and not method.startswith("_") and not written(function):
                yield f"{name}.{method}"


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_of_a_room_have_docstrings(room):
    assert not list(undocumented(importlib.import_module(f"rushlight.{room}")))


def test_operators_have_docstrings():
    public = {name: entry.operator for name, entry in _define.registry.items() if entry.where}
    assert len(public) > 500
    assert not [name for name, operator in public.items() if not written(operator)]


def test_tensor_and_the_face_have_docstrings():
    attributes = [n for n in dir(torch.Tensor) if not n.startswith("_") and n not in FIELDS]
    assert not [n for n in attributes if not written(inspect.getattr_static(torch.Tensor, n))]
    functions = {n: getattr(torch, n) for n in [*vars(torch), *_face.LAZY, *_aten.names] if not n.startswith("_")}
    assert not [n for n, value in functions.items() if callable(value) and not written(value)]


def test_a_missing_docstring_is_noticed():
    room = types.SimpleNamespace(f=lambda: None, __all__=["f", "C"], C=type("C", (), {"__module__": "rushlight.c", "m": lambda self: None}))
    assert list(undocumented(room)) == ["f", "C", "C.m"]


# --- PyTorch prints the same


UNLIKE = {
    "scaled_mm": "float8 is not multiplied here", "scaled_grouped_mm": "float8 is not multiplied here",
    "DistributedDataParallel": "there are no process groups here", "SparseAdam": "gradients are dense here",
    "data_parallel": "PyTorch wants GPUs", "gather": "PyTorch wants GPUs", "scatter": "PyTorch wants GPUs",
    "parallel_apply": "PyTorch wants GPUs", "replicate": "PyTorch wants GPUs", "emit_nvtx": "PyTorch wants GPUs",
    "NestedIOFunction": "abandoned by PyTorch, where it fails",
    "Generator": "torch.random's is another class", "default_generator": "as Generator",
}  # fmt: skip


def unlike_pytorch(room, space):
    """The examples of a room's docstrings that print something else under PyTorch; of errors the first line counts."""
    ours, theirs = (importlib.import_module(f"{library}.{room}") for library in ("rushlight", "torch"))
    for name in (n for n in getattr(ours, "__all__", None) or dir(ours) if hasattr(theirs, n) and n not in UNLIKE):
        yield from printed_otherwise(name, getattr(ours, name).__doc__, {**vars(theirs), **space, "__name__": "__main__"})


def printed_otherwise(name, text, scope):
    """The examples of one docstring that print something else in ``scope``."""
    for example in doctest.DocTestParser().get_examples(inspect.cleandoc(text or "")):
        code = compile(example.source, f"<{name}>", "single")
        got = captured(lambda code=code: exec(code, scope))
        if example.exc_msg is not None:
            got, want = (part.removeprefix(HEADER).split("\n")[0].rstrip() for part in (got, example.exc_msg))
            if got != want:
                yield f"{name}: {example.source}{want}\n{got}"
        elif not agree(example.want, got, example):
            yield f"{name}: {example.source}{example.want}{got}"


def names_of(library):
    """What examples may use without importing it."""
    return {"torch": library, "nn": library.nn, "F": library.nn.functional, "np": numpy, "optim": library.optim}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("room", [room for room in SHOWN if room.split(".")[0] not in ("training", "cuda", "io")])
def test_pytorch_prints_what_the_docstrings_print(room, apart):
    library = pytest.importorskip("torch")
    assert not (wrong := list(unlike_pytorch(room, names_of(library)))), "\n".join(wrong)


@pytest.mark.cpu("PyTorch's tensors are")
@pytest.mark.filterwarnings("ignore")
def test_pytorch_prints_what_attributes_of_tensor_and_the_inner_library_print(apart):
    """All but operators."""
    library, wrong = pytest.importorskip("torch"), []
    names = [n for n in dir(torch.Tensor) if not n.startswith("_") and n not in _define.registry]
    shown = [(n, inspect.getattr_static(torch.Tensor, n)) for n in names] + list(_aten.names.items())
    for name, value in shown:
        wrong += printed_otherwise(name, value.__doc__, {**names_of(library), "__name__": "__main__"})
    assert not wrong, "\n".join(wrong)
    assert len(shown) > 120


# --- the site and the example


def test_reference_has_every_operator_once():
    pages = docs.reference()
    operators = [line for path, text in pages.items() if path.startswith("operators/") for line in text.splitlines()]
    for name, entry in _define.registry.items():
        if entry.where:
            assert operators.count(f"## {docs.escaped(name)}") == 1, name


def test_navigation_leads_to_every_page():
    listed = re.findall(r"^ +- [^:]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(f"docs/{page}" for page in listed) == sorted([*PAGES[1:], "docs/index.md", "docs/changelog.md"])
    config = types.SimpleNamespace(nav=[])
    docs.on_config(config)
    assert sorted(re.findall(r"reference/([\w/]+\.md)", str(config.nav))) == sorted(docs.reference())


def test_miniature_learns():
    path = ROOT / "examples" / "miniature.py"
    assert len(path.read_text().splitlines()) < 200
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    losses = [float(word) for word in re.findall(r"loss (\S+)", done.stdout)]
    assert len(losses) == 5 and losses[-1] < 0.01 < 0.2 < losses[0]
