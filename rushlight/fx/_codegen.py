"""A graph as the text of a Python function.

>>> import rushlight as torch
>>> graph = torch.fx.Graph()
>>> x = graph.placeholder("x")
>>> _ = graph.output(graph.call_function(torch.relu, (x,)))
>>> print(graph.python_code("self").src.strip())
def forward(self, x):
    relu = torch.relu(x);  x = None
    return relu
"""

import enum
import re
import types
import typing
from dataclasses import dataclass, field

import rushlight as torch

from ._names import find, qualified_name, type_name
from ._namespace import BUILT_IN, Namespace

MAGIC = {  # functions of the module operator -> how they are written
    "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "gt": "{} > {}", "le": "{} <= {}", "ge": "{} >= {}", "pos": "+{}", "neg": "-{}",
    "invert": "~{}", "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "floordiv": "{} // {}", "truediv": "{} / {}", "mod": "{} % {}",
    "pow": "{} ** {}", "lshift": "{} << {}", "rshift": "{} >> {}", "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}",
    "getitem": "{}[{}]", "matmul": "{} @ {}",
}  # fmt: skip
_INPLACE = {f"i{name.rstrip('_')}": MAGIC[name].replace(" {}", "= {}") for name in
            "add sub mul floordiv truediv mod pow lshift rshift and_ or_ xor matmul".split()}  # fmt: skip


@dataclass
class PythonCode:
    """What a graph was written as: the text, and the objects that it names (``globals``)."""

    src: str
    globals: dict
    _lineno_map: dict = field(default_factory=dict)
    _prologue_start: int = 0


def path_text(base, path):
    """``base.a.b``, by getattr where a part is no identifier."""
    for part in path.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


class Writer:
    """Writes the body of one function: statements, and the names of what they need from outside."""

    def __init__(self, nodes, root, namespace, verbose=False):
        self.nodes, self.root, self.namespace, self.verbose = list(nodes), root, namespace, verbose
        self.globals, self.wrapped, self.inputs, self.lines, self.returned, self.result = {}, {}, [], [], "", None
        self.last_trace = None
        self.spent = self._last_uses()
        for name, (_, value) in BUILT_IN.items():
            self.name_of(name, value)

    def _last_uses(self):
        """node -> the nodes whose values nobody needs behind it."""
        seen, spent = set(), {}
        for user in reversed(self.nodes):
            for used in user.all_input_nodes:
                if used not in seen:
                    seen.add(used)
                    spent.setdefault(user, []).append(used)
        return spent

    def name_of(self, hint, value):
        """How the text calls a function or type: by its path in torch, or as a global of the generated function."""
        if hint.startswith("torch.") and value is not torch.device and find(hint) is value:
            return hint
        name = self.namespace.create_name(hint.replace(".", "_"), value)
        self.globals[name] = value
        return name

    # -- values --

    def text(self, value):
        """An argument."""
        if isinstance(value, tuple):
            inner = [self.text(v) for v in value]
            if hasattr(value, "_fields"):
                return f"{self.name_of(qualified_name(type(value)), type(value))}({', '.join(inner)})"
            return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {self.text(v)}" for k, v in value.items()) + "}"
        if isinstance(value, slice):
            return f"slice({', '.join(self.text(v) for v in (value.start, value.stop, value.step))})"
        if isinstance(value, enum.Enum):
            return f"{self.name_of(type(value).__name__, type(value))}.{value.name}"
        if isinstance(value, torch.Tensor):
            return self.name_of("_tensor", value)
        if callable(value) and hasattr(value, "__name__") and not hasattr(value, "graph"):
            return self.name_of(qualified_name(value), value)
        return repr(value)

    def arguments(self, args, kwargs):
        """The text between a call's parentheses."""
        return ", ".join([*map(self.text, args), *(f"{k} = {self.text(v)}" for k, v in kwargs.items())])

    def annotation(self, kind):
        """A type annotation."""
        origin, args = typing.get_origin(kind), getattr(kind, "__args__", ())
        if origin is None or not args:
            return "()" if kind == () else self.name_of(type_name(kind), kind)
        if isinstance(kind, types.GenericAlias):
            outer = origin.__name__
        else:
            generic = typing.Union if origin in (typing.Union, types.UnionType) else getattr(typing, kind._name or "", origin)
            outer = self.name_of(f"typing.{getattr(generic, '_name', None) or generic.__name__}", generic)
        return f"{outer}[{','.join(self.annotation(a) for a in args)}]"

    def _typed(self, node):
        return "" if node.type is None else f" : {self.annotation(node.type)}"

    # -- statements --

    def write(self):
        """All statements, each by the method of its node's op."""
        for node in self.nodes:
            if self.verbose and node.op not in ("placeholder", "output"):
                self._comment(node)
            getattr(self, f"_{node.op}")(node)
        return "".join(self.lines) or "pass\n"

    def _comment(self, node):
        trace = node.stack_trace or ""
        if trace == self.last_trace:
            return
        self.last_trace = trace
        line = re.search(r'.*File "(.*)", line (\d+), in (.*)\n\s*(.*)', trace, re.S)
        what = "File: {}:{} in {}, code: {}".format(*line.groups()) if line else "No stacktrace found for following nodes"
        self.lines.append(f"\n# {what}\n")

    def _statement(self, node, text):
        spent = list(self.spent.get(node, ()))
        if not node.users:
            spent.append(node)
        tail = f";  {' = '.join(map(repr, spent))} = None" if spent else ""
        self.lines.append(f"{text}{tail}\n")

    def _placeholder(self, node):
        default = f" = {self.text(node.args[0])}" if node.args else ""
        self.inputs.append(f"{node.target}{self._typed(node)}{default}")
        plain = node.target.replace("*", "")
        if plain != node.name:
            self.lines.append(f"{node!r} = {plain}\n")

    def _get_attr(self, node):
        self._statement(node, f"{node!r}{self._typed(node)} = {path_text(self.root, node.target)}")

    def _call_module(self, node):
        called = path_text(self.root, node.target)
        self._statement(node, f"{node!r}{self._typed(node)} = {called}({self.arguments(node.args, node.kwargs)})")

    def _call_method(self, node):
        called = path_text(self.text(node.args[0]), node.target)
        self._statement(node, f"{node!r}{self._typed(node)} = {called}({self.arguments(node.args[1:], node.kwargs)})")

    def _call_function(self, node):
        name = f"{node!r}{self._typed(node)}"
        module, function = getattr(node.target, "__module__", None), getattr(node.target, "__name__", "")
        if module == "_operator" and function in MAGIC:
            self._statement(node, f"{name} = {MAGIC[function].format(*map(self.text, node.args))}")
            return
        if module == "_operator" and function in _INPLACE:
            operands = [self.text(a) for a in node.args]
            self._statement(node, f"{_INPLACE[function].format(*operands)};  {name} = {operands[0]}")
            return
        if node.target is getattr and len(node.args) == 2 and isinstance(node.args[1], str) and node.args[1].isidentifier():
            self._statement(node, f"{name} = {path_text(self.text(node.args[0]), node.args[1])}")
            return
        called = self.name_of(qualified_name(node.target), node.target)
        if node.meta.get("is_wrapped"):
            self.wrapped[called] = None
        self._statement(node, f"{name} = {called}({self.arguments(node.args, node.kwargs)})")

    def _output(self, node):
        self.returned = "" if node.type is None else f" -> {self.annotation(node.type)}"
        self.result = node
        self.lines.append(f"return {self.text(node.args[0])}\n")


class CodeGen:
    """How a graph becomes a function. Subclass it to give the function another signature or result."""

    def gen_fn_def(self, free_vars, maybe_return_annotation):
        """The function's first line, from its parameters and the text of its result's type."""
        if not free_vars or free_vars[0] != "self":
            free_vars = ["self", *free_vars]
        return f"def forward({', '.join(free_vars)}){maybe_return_annotation}:"

    def additional_globals(self):
        """(name, object) pairs that the function needs besides."""
        return []

    def process_inputs(self, *args):
        """What an interpreter makes of its arguments before they meet the placeholders."""
        return args

    def process_outputs(self, outputs):
        """What an interpreter makes of the output's value."""
        return outputs

    def _gen_python_code(self, nodes, root_module, namespace, *, verbose=False):
        writer = Writer(nodes, root_module, namespace, verbose)
        for name, value in self.additional_globals():
            writer.name_of(name, value)
        body = writer.write().lstrip("\n")
        wraps = "\n".join(f'torch.fx._symbolic_trace.wrap("{name}")' for name in writer.wrapped)
        head = self.gen_fn_def(writer.inputs, writer.returned)
        indented = "\n".join("    " + line if line or not verbose else line for line in body.split("\n"))
        return PythonCode(f"\n{wraps}\n\n{head}\n{indented}" if wraps else f"\n\n\n{head}\n{indented}", writer.globals)


def fresh_namespace(nodes):
    """A namespace in which every node keeps its name."""
    names = Namespace()
    for node in nodes:
        names.rename(node, node.name)
    return names
