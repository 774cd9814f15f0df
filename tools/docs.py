"""Pages of the site that are made from the code: a hook of MkDocs (see mkdocs.yml). Nothing is written to docs/.

``reference()`` gives the reference as {path: Markdown}: operators by topic from the registry; modules, optimizers, data and the smaller
rooms from their docstrings. The front page is the README.
"""

import importlib
import inspect
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# path of the page -> (title, the room whose public names it describes)
ROOMS = {
    "nn/functional": ("nn.functional", "rushlight.nn.functional"),
    "nn/init": ("nn.init", "rushlight.nn.init"),
    "nn/utils": ("nn.utils", "rushlight.nn.utils"),
    "nn/utils_rnn": ("nn.utils.rnn", "rushlight.nn.utils.rnn"),
    "nn/utils_parametrize": ("nn.utils.parametrize", "rushlight.nn.utils.parametrize"),
    "nn/utils_parametrizations": ("nn.utils.parametrizations", "rushlight.nn.utils.parametrizations"),
    "optim/optimizers": ("Optimizers", "rushlight.optim"),
    "optim/lr_scheduler": ("Learning rate schedulers", "rushlight.optim.lr_scheduler"),
    "optim/swa_utils": ("Averaged weights", "rushlight.optim.swa_utils"),
    "data": ("utils.data", "rushlight.utils.data"),
    "autograd": ("autograd", "rushlight.autograd"),
    "func": ("func", "rushlight.func"),
    "random": ("random", "rushlight.random"),
    "saving": ("Saving and loading", "rushlight.io.checkpoint"),
    "training": ("Training loop", "rushlight.training"),
    "summary": ("summary", "rushlight._summary"),
    "hints": ("lint", "rushlight.hints"),
    "checkpoint": ("utils.checkpoint", "rushlight.utils.checkpoint"),
    "overrides": ("overrides", "rushlight.overrides"),
    "testing": ("testing", "rushlight.testing"),
    "amp": ("amp", "rushlight.amp"),
}

DTYPES = {
    "any": "all",
    "real": "all but complex",
    "number": "all but bool",
    "real number": "integers and floating",
    "integral": "bool and integers",
    "float": "floating-point",
    "inexact": "floating-point and complex",
}

CHORES = ("extra_repr", "reset_parameters", "initialize_parameters")
"""Methods that nearly every module has; not described each time."""

FACES = {
    "function": "torch.{}",
    "method": "Tensor.{}",
    "property": "Tensor.{}",
    "inplace": "Tensor.{}_",
    "functional": "nn.functional.{}",
    "special": "torch.special.{}",
    "linalg": "torch.linalg.{}",
    "fft": "torch.fft.{}",
}


# -- docstrings as Markdown


EMBEDDED = re.compile(r"\A[\w.]+\((?:(?:Tensor )?self(?:, )?)?(.*)\)\n")
"""The signature that Cython writes above a docstring."""


def markdown(docstring):
    """A docstring's Markdown: literals and roles in backquotes, sessions in fences; without Cython's signature."""
    text = EMBEDDED.sub("", inspect.cleandoc(docstring or "")).strip()
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    lines, fenced = [], False
    for line in text.splitlines():
        if line.lstrip().startswith(">>>") and not fenced:
            lines, fenced = [*lines, "", "```pycon"], True
        elif fenced and not line.strip():
            lines, fenced = [*lines, "```"], False
        lines.append(line.strip() if fenced and line.lstrip().startswith((">>>", "...")) else line if fenced else literal(line))
    return "\n".join(lines + ["```"] * fenced)


def escaped(name):
    return name.replace("_", r"\_")


def literal(line):
    """A line of prose whose stars are stars; indented code stays as it is."""
    if line.startswith("    "):
        return line
    return "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in re.split(r"(`[^`]*`)", line))


def signature(callable):
    """The parameters of a callable as text; (...) where there are none to read."""
    if written := EMBEDDED.match(inspect.cleandoc(callable.__doc__ or "")):
        return f"({written[1]})"
    try:
        found = inspect.signature(callable)
    except (ValueError, TypeError):
        return "(...)"
    return nameless(str(found.replace(parameters=[p for p in found.parameters.values() if p.name not in ("self", "cls")])))


def nameless(parameters):
    """Parameters whose defaults without a text of their own (marker objects, functions) are an ellipsis."""
    return re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "...", parameters)


# -- operators


def call_of(entry):
    """``add(input, other, *, alpha=1)`` as the registry knows it."""
    if written := getattr(entry.operator, "parameters", None):  # a native operator states them
        return written
    known = getattr(entry.operator, "signature", None)
    if known is None or not known.names:
        return entry.name + signature(getattr(entry.operator, "forward", entry.operator))
    required, parts = type(known).required, []
    for i, (name, default) in enumerate(zip(known.names, known.defaults)):
        if i == known.n_positional:
            parts.append("*")
        parts.append(name if default is required else f"{name}={default!r}")
    return f"{entry.name}({nameless(', '.join(parts))})"


def operator(name, entry):
    """The section of one operator, headed by its name in the registry."""
    faces = [FACES[face].format(entry.name) for face in entry.where if face in FACES]
    facts = [f"Found as {', '.join(f'`{face}`' for face in faces)}."] if faces else []
    if entry.aliases:
        facts.append(f"Other names: {', '.join(f'`{alias}`' for alias in entry.aliases)}.")
    if "dtypes" in entry.options:
        facts.append(f"Dtypes: {DTYPES[entry.options['dtypes']]}.")
    return f"## {escaped(name)}\n\n```python\n{call_of(entry)}\n```\n\n{markdown(entry.operator.__doc__)}\n\n{' '.join(facts)}\n"


def operators():
    """{path: page} with a page for each topic, that is each file of ops/."""
    from rushlight.ops import _define

    topics = {}
    for name, entry in _define.registry.items():
        if entry.where:
            topics.setdefault(entry.module, []).append(operator(name, entry))
    pages = {}
    for module, sections in sorted(topics.items()):
        topic = module.rpartition(".")[2]
        head = f"# {topic.replace('_', ' ').capitalize()}\n\n{markdown(sys.modules[module].__doc__)}\n"
        pages[f"operators/{topic}.md"] = "\n".join([head, *sections])
    return pages


# -- rooms: classes and functions


def public(room):
    """{name: object} of a room's classes and functions."""
    names = getattr(room, "__all__", None) or [n for n in dir(room) if not n.startswith("_")]
    values = {name: getattr(room, name) for name in names}
    return {n: v for n, v in values.items() if callable(v) and not inspect.ismodule(v) and getattr(v, "__doc__", None)}


def section(name, value):
    """The section of one class, function or property; of a class with the methods that it documents itself."""
    call = signature(value) if callable(value) else ""
    parts = [f"## {escaped(name)}\n\n```python\n{name}{call}\n```\n\n{markdown(value.__doc__)}\n"]
    for method, function in vars(value).items() if inspect.isclass(value) else ():
        if inspect.isfunction(function) and function.__doc__ and not method.startswith("_") and method not in CHORES:
            parts.append(f"### {escaped(method)}\n\n```python\n{method}{signature(function)}\n```\n\n{markdown(function.__doc__)}\n")
    return "\n".join(parts)


def page(title, text, members):
    return "\n".join([f"# {title}\n\n{markdown(text)}\n", *(section(n, v) for n, v in members.items())])


def modules():
    """{path: page} of nn's classes, a page for each file of nn/modules."""
    from rushlight import nn

    groups = {}
    for name, value in public(nn).items():
        if inspect.isclass(value) and value.__module__.startswith("rushlight.nn."):
            groups.setdefault(value.__module__, {})[name] = value
    pages = {}
    for module, members in sorted(groups.items()):
        topic = module.rpartition(".")[2].lstrip("_")
        pages[f"nn/{topic}.md"] = page(topic.replace("_", " ").capitalize(), sys.modules[module].__doc__, members)
    return pages


def tensor():
    """The page of Tensor's own properties and methods, which are no operators."""
    import rushlight
    from rushlight.ops import face

    operators = {*face("method"), *face("property"), *(name + "_" for name in face("inplace"))}
    own = {n: v for n, v in vars(rushlight.Tensor).items() if not n.startswith("_") and n not in operators and getattr(v, "__doc__", None)}
    return page("Tensor", rushlight.Tensor.__doc__, dict(sorted(own.items())))


def reference():
    """{path below reference/: Markdown} of all generated pages."""
    pages = {**operators(), **modules(), "tensor.md": tensor()}
    for path, (title, name) in ROOMS.items():
        room = importlib.import_module(name)
        pages[f"{path}.md"] = page(title, room.__doc__, public(room))
    return pages


def front_page(name):
    """A page of the repository's root as a page of the site: its links lead to the site's pages, or nowhere."""
    text = (ROOT / name).read_text()
    text = re.sub(r"\]\(docs/([^)]+)\)", r"](\1)", text).replace("](CHANGELOG.md)", "](changelog.md)")
    return re.sub(r"\[([^]]+)\]\((?!https?:|changelog)[^)]*/[^)]*\)", r"\1", text)


# -- MkDocs calls these


def on_config(config):
    """Adds the reference to the navigation."""
    sections = {}
    for path in sorted(reference()):
        room, slash, _ = path.partition("/")
        sections.setdefault(room if slash else "more", []).append(f"reference/{path}")
    titles = {"operators": "Operators", "nn": "nn", "optim": "optim", "more": "More"}
    config.nav.append({"Reference": [{title: sections[key]} for key, title in titles.items()]})
    return config


def on_files(files, config):
    """Adds the generated pages."""
    from mkdocs.structure.files import File

    pages = {f"reference/{path}": text for path, text in reference().items()}
    pages |= {"index.md": front_page("README.md"), "changelog.md": front_page("CHANGELOG.md")}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files
