"""Module's own mechanics against PyTorch: attributes, hooks, state, the tree, text, copying; and the errors of all of them."""

import copy
import pickle
import re
import warnings
from collections import OrderedDict

import pytest
from expressions import DRAWS
from oracle import worded

import rushlight
import rushlight.nn

torch = pytest.importorskip("torch")
LIBRARIES = [rushlight, torch]


def make_net(library):
    nn = library.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(2, 3)
            self.stack = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
            self.register_buffer("count", library.zeros(2))
            self.register_buffer("hidden", library.ones(1), persistent=False)
            self.register_parameter("nothing", None)
            self.scale = nn.Parameter(library.ones(3))
            self.again = self.first

        def forward(self, x):
            return self.stack(self.first(x)) * self.scale

        def extra_repr(self):
            return "one\ntwo"

    library.manual_seed(0)
    return Net()


def both(observe):
    """``observe(library)`` must give equal plain values for both libraries."""
    ours, theirs = map(observe, LIBRARIES)
    assert ours == theirs
    return ours


TREE = {
    "text": repr,
    "state": lambda net: list(net.state_dict()),
    "versions": lambda net: list(net.state_dict()._metadata.items()),
    "parameters": lambda net: [name for name, _ in net.named_parameters()],
    "every parameter": lambda net: [name for name, _ in net.named_parameters(remove_duplicate=False)],
    "own parameters": lambda net: [name for name, _ in net.named_parameters("net", recurse=False)],
    "buffers": lambda net: [name for name, _ in net.named_buffers()],
    "modules": lambda net: [name for name, _ in net.named_modules()],
    "every module": lambda net: [name for name, _ in net.named_modules(remove_duplicate=False)],
    "children": lambda net: [name for name, _ in net.named_children()],
    "path": lambda net: repr(net.get_submodule("stack.1.0")),
    "dir": lambda net: [name for name in ("first", "scale", "count", "forward", "nothing") if name in dir(net)],
    "eval": lambda net: [module.training for module in net.eval().modules()],
    "frozen": lambda net: [p.requires_grad for p in net.requires_grad_(False).parameters()],
    "double": lambda net: [str(t.dtype).split(".")[1] for t in net.double().state_dict().values()],
    "half": lambda net: str(net.to(net.scale.half()).scale.dtype).split(".")[1],
    "copied": lambda net: repr(copy.deepcopy(net)),
    "identity": lambda net: copy.deepcopy(net).again is not net.again and copy.deepcopy(net).first is not net.first,
    "tied": lambda net: (lambda twin: twin.again is twin.first)(copy.deepcopy(net)),
}


@pytest.mark.parametrize("what", TREE)
def test_tree_agrees(what):
    both(lambda library: TREE[what](make_net(library)))


def test_attributes_move_between_registries():
    def observe(library):
        nn, net = library.nn, make_net(library)
        net.count = None
        net.first = nn.Identity()
        net.plain = 3
        net.plain = nn.Parameter(library.zeros(1))
        net.scale = None
        del net.stack
        net.extra = nn.Buffer(library.zeros(1), persistent=False)
        net.set_submodule("again", nn.ReLU())
        return [list(net._parameters), list(net._buffers), list(net._modules), sorted(net._non_persistent_buffers_set),
                "plain" in net.__dict__, repr(net)]  # fmt: skip

    both(observe)


def test_forward_hooks_run_in_order():
    def observe(library):
        net, log = make_net(library), []
        x = library.ones(1, 2)
        net.register_forward_pre_hook(lambda m, args: log.append("pre") or (args[0] * 2,))
        net.register_forward_pre_hook(lambda m, a, k: log.append("pre with kwargs") or (a, k), prepend=True, with_kwargs=True)
        net.register_forward_hook(lambda m, args, out: log.append(("post", args[0].tolist())) or out + 1)
        handle = net.register_forward_hook(lambda m, a, k, out: log.append(("last", len(k))), with_kwargs=True)
        out = net(x).sum().item() - make_net(library)(x * 2).sum().item()
        handle.remove()
        net(x)
        return log, round(out, 4)

    both(observe)


def test_always_called_hook_sees_the_failure():
    def observe(library):
        net, log = make_net(library), []
        net.register_forward_hook(lambda m, args, out: log.append(out), always_call=True)
        net.register_forward_hook(lambda m, args, out: log.append("never"))
        with pytest.raises(RuntimeError):
            net(library.ones(1, 5))
        return log

    both(observe)


def test_a_module_that_returns_a_text_has_no_last_operation_to_hook():
    class Named(rushlight.nn.Module):
        def forward(self, x):
            return "a text"

    net = Named()
    net.register_backward_hook(lambda m, grad_input, grad_output: None)
    with pytest.raises(TypeError, match="must return a Tensor, or a tuple, list or dict of them, but it returned a str"):
        net(rushlight.ones(2))


def test_global_hooks():
    def observe(library):
        log = []
        tools = library.nn.modules.module
        with tools.register_module_forward_hook(lambda m, args, out: log.append(type(m).__name__)), \
             tools.register_module_forward_pre_hook(lambda m, args: log.append("before")), \
             tools.register_module_parameter_registration_hook(lambda m, name, p: log.append(name)), \
             tools.register_module_module_registration_hook(lambda m, name, child: log.append(name)), \
             tools.register_module_buffer_registration_hook(lambda m, name, b: log.append(name)):  # fmt: skip
            make_net(library)(library.ones(1, 2))
        make_net(library)(library.ones(1, 2))
        return log

    both(observe)


def test_backward_hooks():
    def observe(library):
        net, log = library.nn.Linear(2, 3), []
        with library.no_grad():
            net.weight.fill_(0.5)

        def shapes(grads):
            return [None if g is None else (tuple(g.shape), round(g.sum().item(), 4)) for g in grads]

        net.register_full_backward_pre_hook(lambda m, out: log.append(("pre", shapes(out))) or (out[0] * 2,))
        net.register_full_backward_hook(lambda m, into, out: log.append((shapes(into), shapes(out))))
        handle = net.register_full_backward_hook(lambda m, into, out: (into[0] * 10,))
        x = library.ones(1, 2, requires_grad=True)
        net(x).sum().backward()
        handle.remove()
        with pytest.warns(UserWarning, match="no inputs require gradients"):
            net(library.ones(1, 2)).sum().backward()
        return log, x.grad.tolist(), net.weight.grad.tolist()

    both(observe)


def test_state_dict_hooks_and_extra_state():
    def observe(library):
        class WithExtra(library.nn.Linear):
            extra = 0

            def get_extra_state(self):
                return {"extra": 7}

            def set_extra_state(self, state):
                self.extra = state["extra"]

        log = []
        net = library.nn.Sequential(WithExtra(1, 1), library.nn.Linear(1, 1))
        net.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("save", prefix, keep)))
        net[1].register_state_dict_post_hook(lambda m, state, prefix, meta: state.update({prefix + "more": 1}))
        net.register_load_state_dict_post_hook(lambda m, keys: log.append(list(keys.unexpected_keys)))
        net[1].register_load_state_dict_pre_hook(lambda m, state, prefix, *rest: state.pop(prefix + "more") and None)
        state = net.state_dict()
        log.append(list(state))
        state["1.more"] = 2
        log.append(str(net.load_state_dict(state)))
        return log, net[0].extra

    both(observe)


def test_load_assign_and_partial():
    def observe(library):
        net = make_net(library)
        state = OrderedDict((name, tensor + 1) for name, tensor in net.state_dict().items())
        before = net.first.weight
        net.load_state_dict(state)
        same = net.first.weight is before
        net.load_state_dict(state, assign=True)
        taken = net.first.weight is not before and isinstance(net.first.weight, library.nn.Parameter)
        del state["scale"]
        state["unknown"] = library.zeros(1)
        return same, taken, str(net.load_state_dict(state, strict=False))

    both(observe)


def test_hint_for_prefixes():
    net = rushlight.nn.Linear(2, 2)
    state = {"module." + name: value for name, value in net.state_dict().items()}
    with pytest.raises(RuntimeError, match=r"removeprefix\('module.'\)"):
        net.load_state_dict(state)


def test_error_names_the_module():
    net = make_net(rushlight)
    with pytest.raises(RuntimeError) as error:
        net.stack(rushlight.ones(1, 5))
    notes = error.value.__notes__
    called = f"(tensor (1, 5) float32 on {net.scale.device})"
    assert notes == [f"in module 1.0: Linear(in_features=3, out_features=3, bias=True) called with {called}"]


BASES = [dict, OrderedDict, list, tuple, int, Exception]


@pytest.mark.parametrize("base", BASES, ids=[base.__name__ for base in BASES])
def test_bases_with_a_layout_of_their_own(base):
    """A module may be something else that is compiled too: its instances have that base's memory."""

    def program(library, bases):
        kind = type("Both", bases(library.nn.Module), {"forward": lambda self, x: self.layer(x), "__hash__": object.__hash__})
        both = kind()
        library.nn.Module.__init__(both)
        both.layer, both.other = library.nn.Linear(2, 3), 5
        copied = copy.deepcopy(both)
        names = [name for name, _ in copied.named_parameters()]
        copied.__dict__ = both.__dict__
        kept = [base.__repr__(both), copied.layer is both.layer, both.other, sorted(both.state_dict()), both(library.ones(1, 2)).shape]
        return names, isinstance(both, base), list(map(str, kept))

    for bases in (lambda module: (module, base), lambda module: (base, module)):
        names, is_base, kept = found = program(rushlight, bases)
        if base.__itemsize__:  # has no weak references, which PyTorch's compiler, once it is loaded, keeps of every module
            assert (names, is_base, kept[1:3]) == (["layer.weight", "layer.bias"], True, ["True", "5"])
        else:
            assert found == program(torch, bases)


def test_pickle_keeps_everything():
    net = rushlight.nn.Sequential(rushlight.nn.Linear(2, 3), rushlight.nn.BatchNorm1d(3))
    twin = pickle.loads(pickle.dumps(net))
    assert repr(twin) == repr(net)
    for ours, theirs in zip(twin.state_dict().values(), net.state_dict().values(), strict=True):
        assert ours.tolist() == theirs.tolist()
    assert all(isinstance(p, rushlight.nn.Parameter) for p in twin.parameters())
    old = rushlight.nn.Linear(1, 1)
    state = {key: value for key, value in old.__getstate__().items() if "hooks" not in key}
    revived = rushlight.nn.Linear.__new__(rushlight.nn.Linear)
    revived.__setstate__(state)
    assert revived(rushlight.ones(1, 1)).shape == (1, 1)


CONTAINERS = [
    "nn.Sequential(l, nn.ReLU(), l)[1:]",
    "nn.Sequential(OrderedDict(a=l, b=nn.ReLU()))",
    "nn.Sequential(l) + nn.Sequential(nn.ReLU())",
    "nn.Sequential(l, nn.ReLU()) * 2",
    "nn.Sequential(l).append(nn.ReLU()).insert(0, nn.Tanh()).extend([l])",
    "nn.Sequential(l, nn.ReLU()).pop(0)",
    "nn.ModuleList([l, l, nn.ReLU(), nn.Sequential(l, l)])",
    "nn.ModuleList([l, nn.ReLU()])[:1] + [nn.Tanh()]",
    "nn.ModuleList([l, nn.ReLU()])[-1]",
    "nn.ModuleList()",
    "nn.ModuleDict({'a': l, 'b': nn.ReLU()})",
    "list(nn.ModuleDict([('a', l), ('b', nn.ReLU())]).items())",
    "nn.ParameterList([torch.zeros(2, 3), nn.Parameter(torch.zeros(1)), 7])",
    "nn.ParameterList([torch.zeros(2), torch.zeros(3)])[1:]",
    "nn.ParameterDict({'a': torch.zeros(2, 3), 'b': 3})",
    "list(nn.ParameterDict({'a': torch.zeros(2), 'values': torch.zeros(3)}).keys())",
    "nn.ParameterDict({'a': 1}) | nn.ParameterDict({'b': 2})",
    "nn.Sequential(3)",
    "nn.Sequential(l)[3]",
    "nn.Sequential(l)['a']",
    "nn.Sequential(l) + 3",
    "nn.Sequential(l) * 0",
    "nn.Sequential(l).insert(5, l)",
    "nn.ModuleList(3)",
    "nn.ModuleList([l])(1)",
    "nn.ModuleDict(3)",
    "nn.ModuleDict([(1,)])",
    "nn.ParameterList(3)",
    "nn.ParameterList()(1)",
    "nn.ParameterDict()['a']",
    "nn.Module(1)",
    "nn.Module(a=1)",
    "nn.Module()(1)",
    "l.foo",
    "l.get_submodule('x.y')",
    "l.get_submodule('weight')",
    "l.get_parameter('in_features')",
    "l.get_buffer('weight')",
    "l.set_submodule('', l)",
    "l.set_submodule('q', l, strict=True)",
    "l.register_parameter('q', torch.zeros(1))",
    "l.register_parameter('a.b', None)",
    "l.register_buffer('in_features', None)",
    "l.register_buffer('b', 3)",
    "l.add_module('q', 3)",
    "l.add_module('', l)",
    "setattr(l, 'weight', 3)",
    "delattr(l, 'zz')",
    "l.train('a')",
    "l.to(torch.int32)",
    "l.load_state_dict([1])",
    "l.load_state_dict({'weight': torch.zeros(2, 2), 'a': 1})",
    "l.load_state_dict({'weight': 3, 'bias': torch.zeros(3)})",
    "l.get_extra_state()",
    "nn.Parameter(torch.zeros(2, dtype=torch.int64))",
    "isinstance(nn.Buffer(torch.zeros(2)), nn.Buffer)",
    "isinstance(torch.zeros(2), nn.Buffer)",
    "nn.Parameter()",
    "nn.UninitializedParameter().shape",
    "nn.LazyLinear(3).state_dict()",
]


@pytest.mark.parametrize("expression", CONTAINERS)
def test_result_or_error_agrees(expression):
    def observe(library):
        library.manual_seed(0)
        names = {"nn": library.nn, "torch": library, "OrderedDict": OrderedDict, "l": library.nn.Linear(2, 3)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return worded(repr(eval(expression, names)).replace(" (GPU 0)", ""))
            except Exception as error:
                return type(error).__name__, worded(str(error)).replace("rushlight", "torch").splitlines()[0]

    both(observe)


@pytest.mark.parametrize("name", ["normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_",
                                  "xavier_normal_", "eye_", "ones_", "zeros_", "sparse_"])  # fmt: skip
@pytest.mark.cpu(DRAWS)
def test_init_agrees(name):
    arguments = {"sparse_": (0.3,), "trunc_normal_": (0.0, 2.0, -1.0, 1.0)}.get(name, ())

    def observe(library):
        library.manual_seed(5)
        return library.nn.init.__dict__[name](library.empty(6, 7), *arguments).flatten().tolist()

    ours, theirs = map(observe, LIBRARIES)
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("window", [(0.0, 1.0, 0.7, 4.0), (9.0, 1.0, -2.0, 2.0), (0.0, 10.0, -2.0, 2.0)])
@pytest.mark.cpu(DRAWS)
def test_truncated_normal_far_from_the_mean(window):
    def observe(library):
        library.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return library.nn.init.trunc_normal_(library.empty(30), *window).tolist()

    ours, theirs = map(observe, LIBRARIES)
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    "layer, shape",
    [("Linear(3, 2)", (4, 3)), ("Linear(3, 2)", (4, 5, 3)), ("Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))", (4, 3)),
     ("Conv2d(1, 2, 3)", (2, 1, 5, 5)), ("LayerNorm(3)", (4, 3)), ("BatchNorm1d(3)", (4, 3)),
     ("TransformerEncoderLayer(4, 2, 8, dropout=0.0)", (3, 2, 4))],
)  # fmt: skip
def test_hooks_of_parameters_fire_in_pytorchs_order(layer, shape):
    orders = []
    for library in (rushlight, torch):
        order = []
        module = eval("nn." + layer, {"nn": library.nn})
        for name, parameter in module.named_parameters():
            parameter.register_hook(lambda grad, name=name, order=order: order.append(name))
        module(library.randn(*shape)).sum().backward()
        orders.append(order)
    assert orders[0] == orders[1]


def _function_of(kind):
    """The function of a module's name: max_pool2d for MaxPool2d."""
    return re.sub("(?<=[a-z])(?=[A-Z][a-z])", "_", kind).lower()


def _calls(library, kind, arguments, shape, monkeypatch):
    """How often a module calls its function of nn.functional, when a program has put its own in that place."""
    called, name = [], _function_of(kind)
    own = getattr(library.nn.functional, name)
    module = getattr(library.nn, kind)(*arguments)
    monkeypatch.setattr(library.nn.functional, name, lambda *args, **kwargs: called.append(name) or own(*args, **kwargs))
    module(library.rand(*shape))
    return len(called)


@pytest.mark.parametrize("kind, arguments, shape", [
    ("Linear", (4, 2), (3, 4)), ("Conv1d", (2, 2, 1), (1, 2, 4)), ("Conv2d", (1, 2, 3), (1, 1, 4, 4)), ("ReLU", (), (3,)),
    ("ConvTranspose2d", (1, 2, 3), (1, 1, 4, 4)), ("MaxPool2d", (2,), (1, 1, 4, 4)), ("AvgPool1d", (2,), (1, 1, 4)),
    ("AvgPool2d", (2,), (1, 1, 4, 4)), ("AdaptiveAvgPool2d", (1,), (1, 1, 4, 4)), ("AdaptiveMaxPool1d", (1,), (1, 1, 4)),
    ("GELU", (), (3,)), ("Dropout", (), (3,)), ("Dropout2d", (), (1, 1, 4, 4)), ("AlphaDropout", (), (3,)), ("Softmax", (0,), (3,)),
])  # fmt: skip
def test_a_function_that_a_program_puts_into_functional_is_called(kind, arguments, shape, monkeypatch):
    assert [_calls(library, kind, arguments, shape, monkeypatch) for library in LIBRARIES] == [1, 1]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_class_with_its_own_getattr_is_asked_for_parameters_buffers_and_submodules(library):
    """As pyro's modules tell of each use of a parameter."""

    class Watched(library.nn.Linear):
        def __getattr__(self, name):
            asked.append(name)
            return super().__getattr__(name) if name != "answer" else 42

    class Below(Watched):
        def __init__(self):
            super().__init__(2, 1)
            self.inner, self.number = library.nn.ReLU(), 3
            self.register_buffer("held", library.ones(1))

    asked = []
    module = Below()
    asked.clear()
    assert module.weight is module._parameters["weight"] and module.held is not None and module.inner is module._modules["inner"]
    assert asked == ["weight", "held", "inner"]
    assert module.number == 3 and module.training and module.answer == 42 and not hasattr(module, "missing")
    assert asked == ["weight", "held", "inner", "answer", "missing"]
    asked.clear()
    assert module(library.ones(1, 2)).shape == (1, 1) and sorted(set(asked)) == ["bias", "weight"]
    with pytest.raises(AttributeError, match="'Below' object has no attribute 'missing'"):
        _ = module.missing


def test_own_getattr_put_on_a_class_later_is_asked():
    class Plain(rushlight.nn.Linear):
        pass

    module = Plain(2, 1)
    weight = module.weight
    Plain.__getattr__ = lambda self, name: name
    assert module.weight == "weight"
    del Plain.__getattr__
    assert module.weight is weight


def test_a_warning_of_full_backward_hooks_names_the_programs_line():
    for ask in (lambda y, layer: y.backward(), lambda y, layer: rushlight.autograd.grad(y, [layer.weight])):
        layer = rushlight.nn.Linear(2, 2)
        layer.register_full_backward_hook(lambda *given: None)
        y = layer(rushlight.ones(1, 2)).sum()
        with pytest.warns(UserWarning, match="Full backward hook is firing") as caught:
            ask(y, layer)
        assert [w.filename for w in caught] == [__file__]
