"""What classes with ``__torch_function__`` are asked besides operators, beside PyTorch."""

import importlib

import pytest
from oracle import torch

import rushlight as rl
from rushlight.utils.flop_counter import FlopCounterMode


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_methods_that_are_no_operators_ask_too(library):
    """backward, requires_grad_, len() ... of a class that overrides; where overriding is off, nobody is asked."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((func, sorted(kwargs or {})))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = library.ones(3).as_subclass(Logged)
    seen.clear()
    assert x.requires_grad_() is x and seen == [(library.Tensor.requires_grad_, [])]
    total = (x * 2).sum()
    seen.clear()
    total.backward(retain_graph=True)
    assert seen == [(library.Tensor.backward, ["create_graph", "gradient", "inputs", "retain_graph"])]
    seen.clear()
    assert len(x) == 3 and x.detach().tolist() == [1.0] * 3 and 1.0 in x
    assert [f for f, _ in seen] == [library.Tensor.__len__, library.Tensor.detach, library.Tensor.tolist, library.Tensor.__contains__]
    with library._C.DisableTorchFunctionSubclass():
        seen.clear()
        total.backward()
        assert len(x) == 3 and not seen
    assert x.grad.tolist() == [4.0] * 3


def test_a_class_may_refuse_backward():
    class Closed(rl.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "no" if func is rl.Tensor.backward else super().__torch_function__(func, types, args, kwargs or {})

    class Closer(Closed):
        pass

    for kind in (Closed, Closer):
        assert rl.ones(1, requires_grad=True).as_subclass(kind).backward() == "no"


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_functions_of_nn_functional_ask(library):
    """Those that are compositions here are seen whole, in PyTorch's form: what has a default comes by name."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((func, len(args), sorted(kwargs or {})))
            return super().__torch_function__(func, types, args, kwargs or {})

    class Log(library.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((func, len(args), sorted(kwargs or {})))
            return func(*args, **(kwargs or {}))

    F = library.nn.functional
    x = library.ones(2, 3, 4).as_subclass(Logged)
    for mode in (False, True):
        given = library.ones(2, 3, 4) if mode else x
        with Log() if mode else library.enable_grad():
            seen.clear()
            results = F.relu(given), F.dropout(given, 0.0), F.layer_norm(given, (4,)), F.pad(given, (1, 1)), F.interpolate(given, 8)
            assert [f for f, *_ in seen] == [F.relu, F.dropout, F.layer_norm, F.pad, F.interpolate]
        assert seen[0] == (F.relu, 1, ["inplace"]) and seen[2] == (F.layer_norm, 2, ["bias", "eps", "weight"])
        assert all(type(r) is type(given) for r in results)
    seen.clear()
    assert F.relu(library.ones(2)).tolist() == [1.0, 1.0] and not seen


LOSSES = {
    "mse_loss": lambda F, x, i: F.mse_loss(x, x),
    "cross_entropy": lambda F, x, i: F.cross_entropy(x, i, reduction="sum"),
    "binary_cross_entropy": lambda F, x, i: F.binary_cross_entropy(x, x),
    "kl_div": lambda F, x, i: F.kl_div(x, x, log_target=True, reduction="batchmean"),
    "nll_loss": lambda F, x, i: F.nll_loss(x, target=i),
    "triplet_margin_loss": lambda F, x, i: F.triplet_margin_loss(x, x, x, 2.0),
    "group_norm": lambda F, x, i: F.group_norm(x[None], 2),
    "max_unpool1d": lambda F, x, i: F.max_unpool1d(x, i.expand(2, 2), kernel_size=2),
    "conv1d": lambda F, x, i: F.conv1d(x, x[:, :, None], stride=1),  # compiled there: as given
    "linear": lambda F, x, i: F.linear(x, weight=x),
}


def told(library, name):
    """What a class and a mode are told of one of LOSSES."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func.__name__ == name:
                seen.append((len(args), {k: v for k, v in (kwargs or {}).items() if not isinstance(v, library.Tensor)}))
            return super().__torch_function__(func, types, args, kwargs or {})

    class Log(library.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ == name:
                seen.append((len(args), sorted(kwargs or {})))
            return func(*args, **(kwargs or {}))

    x, i = library.full((2, 2), 0.5), library.tensor([0, 1])
    answer = LOSSES[name](library.nn.functional, x.as_subclass(Logged), i)
    with Log():
        assert LOSSES[name](library.nn.functional, x, i).tolist() == answer.tolist()
    return seen


@pytest.mark.parametrize("name", LOSSES)
def test_operators_that_are_python_in_pytorch(name):
    """Who is asked about a loss sees all of its arguments, by PyTorch's names."""
    assert told(rl, name) == told(torch, name) != []


def test_flops_within_functions_of_nn_functional_count():
    """A function that is seen whole is still counted by its parts."""
    F, x = rl.nn.functional, rl.ones(5, 2, 4)
    with FlopCounterMode(display=False) as counter:
        F.multi_head_attention_forward(x, x, x, 4, 1, rl.ones(12, 4), None, None, None, False, 0.0, rl.ones(4, 4), None, need_weights=True)
    assert counter.get_total_flops() == 2 * 10 * 4 * 16 + 2 * 2 * 2 * 5 * 5 * 4


def _counter(lib):
    return importlib.import_module(f"{lib.__name__}.utils.flop_counter")


def _grouped(lib):
    lib.nn.Conv1d(4, 8, 3, groups=4)(lib.ones(1, 4, 9, requires_grad=True)).sum().backward()


def _transposed(lib):
    lib.nn.ConvTranspose2d(4, 6, 3, groups=2)(lib.ones(1, 4, 5, 5, requires_grad=True)).sum().backward()


def _products(lib):
    a, b = lib.ones(3, 4, requires_grad=True), lib.ones(2, 4, 5)
    results = [lib.matmul(input=a, other=b[0]), lib.bmm(a.expand(2, 3, 4), b), lib.addmm(input=a[0, :1], mat1=a, mat2=b[0])]
    results += [lib.baddbmm(a[0, :1], b, b.mT, beta=0.5), a @ b[0, :, 0]]
    sum(result.sum() for result in results).backward()


def _layers(lib):
    model = lib.nn.Sequential(lib.nn.Linear(4, 6), lib.nn.ReLU(), lib.nn.Linear(6, 2, bias=False))
    lib.nn.functional.linear(input=model(lib.ones(5, 4)), weight=lib.ones(3, 2)).sum().backward()


@pytest.mark.parametrize("program", [_grouped, _transposed, _products, _layers])
def test_flops_are_pytorchs(program):
    """By module and by operator, under PyTorch's names."""

    def count(lib):
        with _counter(lib).FlopCounterMode(display=False) as counter:
            program(lib)
        if lib is rl:
            assert str(next(iter(counter.get_flop_counts()["Global"]))) in counter.get_table().split()
        return {module: {str(op): n for op, n in counts.items()} for module, counts in counter.get_flop_counts().items()}

    assert count(rl) == count(torch)


def test_flops_of_attention_given_by_name():
    q = rl.ones(2, 4, 6, 8, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        rl.nn.functional.scaled_dot_product_attention(query=q, key=q, value=q, is_causal=True).sum().backward()
    assert counter.get_flop_counts() == {"Global": {rl.ops.aten.bmm: 3 * 2 * 2 * 8 * 6 * 6 * 8}}


@pytest.mark.parametrize("lib", [torch, rl], ids=["torch", "rushlight"])
def test_formulas_of_ones_own(lib):
    def of_shapes(a, *rest, out_shape=None, **kwargs):
        return a[0] * 1000 + out_shape[-1]

    aten, x = lib.ops.aten, lib.ones(3, 4)
    with _counter(lib).FlopCounterMode(display=False, custom_mapping={aten.exp: of_shapes, aten.mm: of_shapes}) as counter:
        x.exp() @ x.T
    assert counter.get_flop_counts()["Global"] == {aten.exp: 3004, aten.mm: 3003}
    with pytest.raises(ValueError, match="register_flop_formula"):
        _counter(lib).register_flop_formula("mm")(of_shapes)


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_attributes_ask(library):
    """Reading and assigning attributes asks the class, by ``Tensor.shape.__get__`` and its like, and function modes."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    class Log(library.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    kind = library.Tensor
    names = "shape dtype device grad requires_grad is_leaf T mT is_sparse layout real ndim nbytes grad_fn is_cuda data".split()
    x = library.ones(2, 3).as_subclass(Logged)
    seen.clear()
    for name in names:
        getattr(x, name)
    assert seen == [getattr(kind, name).__get__ for name in names]
    assert type(x.T) is Logged and type(x.shape) is library.Size
    seen.clear()
    x.requires_grad = True
    x.grad = library.ones(2, 3)
    assert seen == [kind.requires_grad.__set__, kind.grad.__set__]
    with library._C.DisableTorchFunctionSubclass():
        seen.clear()
        assert x.shape == (2, 3) and x.size(0) == 2 and not seen
    plain = library.ones(2, 3)
    with Log():
        seen.clear()
        for name in names:
            getattr(plain, name)
        assert seen == [getattr(kind, name).__get__ for name in names]
        seen.clear()
        plain.size(), plain.dim(), plain.numel(), plain[0, 0].item(), plain.data_ptr(), len(plain), plain.tolist()
        assert seen == [kind.size, kind.dim, kind.numel, kind.__getitem__, kind.item, kind.data_ptr, kind.__len__, kind.tolist]
    seen.clear()
    assert plain.shape == (2, 3) and not seen


def test_a_mode_does_not_see_inside_backward():
    class Log(rl.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    seen = []
    x = rl.randn(3, 4, requires_grad=True)
    y = rl.cat([rl.nn.functional.layer_norm(x, (4,)), x.gather(1, rl.zeros(3, 1, dtype=rl.int64))], 1).cumsum(1).sum()
    with Log():
        y.backward()
    assert seen == [rl.Tensor.backward]


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_what_is_told_of_special_methods_and_of_initial_values(library):
    seen = []

    class Log(library.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((func, types, sorted(kwargs or {})))
            return func(*args, **(kwargs or {}))

    kind, init, x, n = library.Tensor, library.nn.init, library.ones(2), library.tensor([3, 4])
    with Log(), Log():  # each sees it
        2 - x, 2 / x, x / 2, x**2, 2**x, x // 2, 7 // x, 7 % x, x == x, ~n, 1 << n
        calls = "__rsub__ __rtruediv__ div __pow__ __rpow__ __floordiv__ __rfloordiv__ __rmod__ __eq__ __invert__ __rlshift__".split()
        told = [f for f, *_ in seen]
        assert [told.count(getattr(kind, name)) for name in calls] == [2] * len(calls) and seen[0][:2] == (kind.__rsub__, (kind,))
        for fill in (init.uniform_, init.normal_, lambda t: init.constant_(t, 1)):
            seen.clear()
            fill(x)
            assert seen[0][0] in (init.uniform_, init.normal_, init.constant_) and "tensor" in seen[0][2]
        seen.clear()
        init.ones_(x)
        told = [f.__name__ for f, *_ in seen]
        assert told.count("fill_") == 2 and "constant_" not in told


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_unbind_the_function_and_the_method_are_told_apart(library):
    """A class may call one where it is told of the other, as monai's MetaTensor does; with one object for both that does not end."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    x = library.arange(6.0).view(2, 3).as_subclass(Logged)
    seen.clear()
    results = [library.unbind(x), x.unbind(), library.unbind(x, dim=0), x.unbind(0)]
    assert seen == [library.unbind, library.Tensor.unbind] * 2 and all(type(part) is Logged for parts in results for part in parts)
    seen.clear()
    assert next(iter(x)).tolist() == [0.0, 1.0, 2.0] and library.Tensor.unbind in seen and library.unbind not in seen


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_what_programs_ask_of_modes_and_aliases(library):
    """tensordict asks these before it takes a shorter way."""
    core, x = library._C, library.zeros(4)
    assert core._is_torch_function_enabled() and not core._is_torch_function_mode_enabled() and core._len_torch_function_stack() == 0
    with library.overrides.TorchFunctionMode(), library.overrides.TorchFunctionMode():
        assert core._is_torch_function_mode_enabled() and core._len_torch_function_stack() == 2
    with core.DisableTorchFunctionSubclass():
        assert not core._is_torch_function_enabled()
    assert core._is_alias_of(x, x[1:]) and core._is_alias_of(x.view(2, 2), x) and not core._is_alias_of(x, x.clone())
