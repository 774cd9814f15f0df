"""torch.fx: the text of traced programs equals PyTorch's, and their graphs compute what the programs do."""

import copy
import gc
import importlib
import importlib.util
import inspect
import linecache
import pathlib
import pickle
import subprocess
import sys
import traceback
from unittest import mock

import pytest

import rushlight as rl
from rushlight import fx, nn
from rushlight.nn import functional as F

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


# -- what PyTorch refuses, and what is changed by hand: run under both --


def both(program):
    """What ``program(library)`` returns or raises under rushlight and PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle")
    found = []
    for library in (rl, torch):
        try:
            found.append(program(library))
        except Exception as error:
            found.append((type(error).__name__, str(error).splitlines()[0]))
    return found


def lists(x):
    x.node.graph.call_method("neg", ([x.node],)).args[0].append(1)


REFUSED = {
    "if": lambda x: x if x.sum() > 0 else -x,
    "in": lambda x: x in [1, 2],
    "loop": lambda x: [i for i in x],
    "star": lambda x: max(*x),
    "length": lambda x: len(x),
    "range": lambda x: range(x),
    "int": lambda x: int(x),
    "set item": lambda x: exec("x[0] = 1", {"x": x}),
    "set": lambda x: {1},
    "type": lambda x: x.to(float),
    "unpacking works": lambda x: sum(_two(x)),
    "immutable": lists,
}


def _two(x):
    a, b = x
    return a, b


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_pytorchs(name):
    ours, pytorch = both(lambda t: t.fx.symbolic_trace(REFUSED[name]).code)
    assert ours == pytorch


def surgery(t):
    graph = t.fx.symbolic_trace(lambda x, y: t.relu(x + y).sum(1)).graph
    relu = graph.find_nodes(op="call_function", target=t.relu)[0]
    with graph.inserting_after(relu):
        tanh, neg = graph.call_function(t.tanh, (relu,)), graph.call_method("neg", (relu,))
    relu.replace_all_uses_with(tanh, delete_user_cb=lambda user: user.op == "call_method" and user is not neg)
    relu.args = (relu.args[0], *relu.args[1:])
    tanh.prepend(graph.call_function(t.exp, (relu,), {}))
    dead = str(graph), graph.eliminate_dead_code(), str(graph)
    first = next(iter(graph.nodes))
    first.next.update_arg(1, 2.0)
    first.next.insert_arg(0, first)
    first.next.update_kwarg("alpha", 3)
    copied = t.fx.Graph()
    values = {}
    copied.output(copied.graph_copy(graph, values))
    return dead, str(graph), str(copied), [n.name for n in relu.all_input_nodes], [n.name for n in first.users], tanh.prev.name


def erasing(t):
    graph = t.fx.symbolic_trace(lambda x: x + 1).graph
    graph.erase_node(next(iter(graph.nodes)))


def out_of_order(t):
    graph = t.fx.Graph()
    x = graph.placeholder("x")
    later = graph.call_method("neg", (x,))
    with graph.inserting_before(later):
        graph.call_method("abs", (later,))
    graph.lint()


def by_hand(t):
    graph = t.fx.Graph()
    x = t.fx.Proxy(graph.placeholder("x", t.Tensor))
    y = t.nn.functional.relu(x.view(-1) * 2) + graph.placeholder("k", default_value=1).name.__len__()
    graph.output(y.node)
    made = t.fx.GraphModule({}, graph, "ByHand")
    return made.code, str(graph), type(made).__name__, made(t.ones(2)).tolist()


def missing(t):
    graph = t.fx.Graph()
    graph.output(graph.get_attr("weight"))
    t.fx.GraphModule({}, graph)


def specialized(t):
    traced = t.fx.symbolic_trace(lambda x, flag=True, none=None: x if flag else none, {"flag": True, "none": None})
    return traced.code, str(traced.graph)


def module_constants(t):
    class Scaled(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.w = t.nn.Linear(3, 2), t.nn.Parameter(t.ones(3))

        def forward(self, x):
            return self.inner(x)[:, : self.w.shape[0] - 1] * self.w.numel()

    return str(t.fx.Tracer(param_shapes_constant=True).trace(Scaled()))


def transformed(t):
    class Halved(t.fx.Transformer):
        def call_function(self, target, args, kwargs):
            return super().call_function(t.sub if target is t.add else target, args, kwargs)

        def call_method(self, target, args, kwargs):
            return super().call_method(target, args, kwargs) * 0.5

    return Halved(t.fx.symbolic_trace(lambda x: t.add(x, 1).neg().relu())).transform().code


def patterns(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = t.nn.Linear(2, 2), t.nn.Linear(2, 2)

        def forward(self, x, y):
            z = t.relu(self.a(x) + y)
            return t.relu(self.b(z) + 1) * t.relu(z) + (z + y)

    traced = t.fx.symbolic_trace(Net())
    found = t.fx.replace_pattern(traced, lambda p, q: t.relu(p + q), lambda p, q: (p + q).clamp(min=0))
    more = t.fx.replace_pattern(traced, lambda p: p * 2, lambda p: p)
    several = t.fx.symbolic_trace(lambda x, y: (x.exp() + y.exp()).sin() + (y.exp() + x.exp()).sin())
    two = t.fx.replace_pattern(several, lambda p, q: p.exp() + q.exp(), lambda p, q: (p + q).exp() + q)
    return traced.code, [m.anchor.name for m in found], len(more), several.code, len(two)


def shapes(t):
    traced = t.fx.symbolic_trace(t.nn.Sequential(t.nn.Conv2d(3, 4, 3), t.nn.Flatten(), t.nn.Linear(4 * 36, 2)))
    t.fx.passes.shape_prop.ShapeProp(traced).propagate(t.ones(2, 3, 8, 8))
    metas = [n.meta["tensor_meta"] for n in traced.graph.nodes]
    return [(tuple(m.shape), str(m.dtype), m.requires_grad, tuple(m.stride), str(m.memory_format)) for m in metas]


def fused(t):
    conv, norm = t.nn.Conv2d(3, 4, 3), t.nn.BatchNorm2d(4)
    norm.running_mean += 2
    net = t.nn.Sequential(conv, norm, t.nn.ReLU(), t.nn.Dropout()).eval()
    made = importlib.import_module(f"{t.__name__}.fx.experimental.optimization").fuse(net)
    x = t.arange(3.0 * 64).reshape(1, 3, 8, 8) / 100
    assert t.allclose(made(x), net(x), atol=1e-5) and net[1] is norm
    return made.code, [n for n, _ in made.named_modules()]


def folded(t):
    net = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh()))
    traced = t.fx.symbolic_trace(net)
    for node in traced.graph.nodes:
        if node.target == "1.1":
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    added = traced.add_submodule("deep.er", t.nn.Linear(1, 1)), traced.delete_submodule("deep"), traced.delete_submodule("none")
    traced.recompile()
    return str(traced), added, sorted(traced.state_dict())


@pytest.mark.parametrize("program", [surgery, erasing, out_of_order, by_hand, missing, specialized, module_constants, transformed, patterns,
                                     shapes, fused, folded], ids=lambda f: f.__name__)  # fmt: skip
def test_programs_over_graphs_print_what_pytorch_prints(program):
    ours, pytorch = both(program)
    assert ours == pytorch


def test_functions_that_were_opened_stay_what_they_were():
    program = """if True:
        import inspect
        import rushlight as t
        F = t.nn.functional
        held, before = F.dropout, inspect.signature(F.dropout)
        code = t.fx.symbolic_trace(lambda x: held(x, 0.5, training=False)).code
        assert held is F.dropout and inspect.signature(held) == before
        assert "functional.dropout(x, p = 0.5, training = False" in code, code
        assert F.dropout(t.ones(2), training=False).tolist() == [1, 1] and F.pad(t.ones(1), (1, 0)).tolist() == [0, 1]
        assert "__call__" not in vars(t.nn.Module) and "__getattribute__" not in vars(t.nn.Module)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # before anything was opened
    assert done.returncode == 0, done.stderr
    assert inspect.signature(rl.nn.functional.relu) == inspect.signature(rl.nn.functional.relu.__wrapped__)


def test_repeated_compilation_keeps_no_source():
    traced = fx.symbolic_trace(lambda x: x + 1)
    before = len(linecache.cache)
    for _ in range(20):
        traced.recompile()
    gc.collect()
    assert len(linecache.cache) <= before + 1


def test_a_failed_trace_leaves_modules_as_they_were():
    with pytest.raises(fx.proxy.TraceError):
        fx.symbolic_trace(lambda x: 1 if x else 0)
    assert "__call__" not in vars(nn.Module) and nn.Linear(2, 2)(rl.ones(1, 2)).shape == (1, 2)
    assert isinstance(nn.Linear(2, 2).weight, nn.Parameter)


def test_tracebacks_show_generated_lines():
    traced = fx.symbolic_trace(lambda x: x.reshape(7, 7))
    with pytest.raises(RuntimeError) as caught:
        traced(rl.ones(2))
    assert "reshape = x.reshape(7, 7)" in "".join(traceback.format_exception(caught.value))


def test_interpreter_names_the_node_that_failed():
    with pytest.raises(RuntimeError) as caught:
        fx.Interpreter(fx.symbolic_trace(lambda x: x.reshape(7, 7))).run(rl.ones(2))
    assert "While executing %reshape" in caught.value.__notes__[0]


def test_a_traced_module_trains_and_is_saved(tmp_path):
    net = fx.symbolic_trace(OURS.PROGRAMS["cnn"][0]())
    loss = F.nll_loss(net(rl.ones(2, 1, 8, 8)), rl.tensor([0, 1]))
    loss.backward()
    assert all(p.grad is not None for p in net.parameters())
    rl.save(net.state_dict(), tmp_path / "net.pt")
    net.load_state_dict(rl.load(tmp_path / "net.pt"))
    net.to_folder(tmp_path / "folder", "Net")
    spec = importlib.util.spec_from_file_location("folder", tmp_path / "folder" / "__init__.py")
    folder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(folder)
    assert folder.Net().code == net.code


def test_wrap_wants_the_top_of_a_module():
    with pytest.raises(NotImplementedError, match="wrap must be called at the top level of a module"):
        fx.wrap("len")
    with pytest.raises(RuntimeError, match="Unsupported type for global function! Must be either a callable or string name"):
        fx.wrap(3)


def test_asserts_are_recorded_on_demand():
    tracer = fx.Tracer()
    with pytest.raises(fx.proxy.TraceError):
        tracer.trace(OURS.checked)
    tracer.trace_asserts = True
    traced = fx.GraphModule({}, tracer.trace(OURS.checked))
    traced.graph.eliminate_dead_code()
    assert traced(rl.ones(1)).tolist() == [2]
    with pytest.raises(AssertionError):
        traced(-rl.ones(1))


def test_stack_traces_show_the_programs_lines():
    tracer = fx.Tracer()
    tracer.record_stack_traces = True
    traced = fx.GraphModule({}, tracer.trace(lambda x: x.relu() * 2))
    assert "test_fx.py" in traced.print_readable(print_output=False) and ", code: traced = fx" in traced.print_readable(print_output=False)
    last = next(reversed(traced.graph.nodes)).prev.stack_trace.splitlines()
    assert len(last) == 2 and last[1].strip().startswith("traced = ")


class Record(metaclass=fx.ProxyableClassMeta):
    def __init__(self, a, b):
        self.a, self.b = a, b

    def total(self):
        return self.a + self.b


def test_constructions_of_proxyable_classes_are_recorded():
    traced = fx.symbolic_trace(lambda x, y: Record(x, y).total())
    assert [n.name for n in traced.graph.nodes] == ["x", "y", "record", "total", "output"]
    assert traced(rl.ones(1), rl.ones(1)).tolist() == [2]


def test_what_is_not_here_says_so():
    for use in (lambda: fx.passes.graph_drawer.FxGraphDrawer(None, "x"), lambda: fx.experimental.proxy_tensor.make_fx(None)):
        with pytest.raises(RuntimeError, match="is not available in rushlight: "):
            use()
