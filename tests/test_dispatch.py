"""Modes and classes with ``__torch_dispatch__``: what they are told, in PyTorch's names, and that what they return counts."""

import copy
import inspect
import operator
import subprocess
import sys
import textwrap

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    is_traceable_wrapper_subclass,
    return_and_correct_aliasing,
    transform_subclass,
)
from rushlight.utils._pytree import tree_map_only

aten = torch.ops.aten


class Log(TorchDispatchMode):
    def __init__(self):
        self.told = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.told.append(str(func))
        return func(*args, **(kwargs or {}))


# Calls, and what PyTorch tells of each; where a name begins with "rushlight" PyTorch has another.
_CALLS = """
x = torch.arange(12.).reshape(3, 4)
n = torch.tensor([0, 1])
a, b = torch.ones(2, 1, 3, 4), torch.ones(5, 4, 2)
told(lambda: F.linear(x, torch.ones(2, 4), torch.ones(2)))
told(lambda: F.linear(x[None], torch.ones(2, 4)))
told(lambda: x @ x.t())
told(lambda: torch.matmul(x[None], x.t()))
told(lambda: torch.matmul(a, b))
told(lambda: x @ x[0])
told(lambda: F.conv2d(x[None, None], torch.ones(1, 1, 2, 2)))
told(lambda: F.softmax(x, -1))
told(lambda: F.layer_norm(x, (4,)))
told(lambda: F.cross_entropy(x[:2], n))
told(lambda: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None]))
told(lambda: F.embedding(n, x))
told(lambda: F.mse_loss(x, x))
told(lambda: (x + 1, 1 - x, x / 2, x > 0, x ** 2, 2 ** x, x.square(), x.clamp(0, 1)))
told(lambda: (x.sum(), x.sum(1), x.mean(dim=0), x.std(), x.max(1), x.min(), x.any(), x.all(0), x.norm(), x.argmax(1)))
told(lambda: (x[0], x[:, 1:3], x[..., None], x[n], x[x > 3], x[1:, n]))
told(lambda: (x.view(12), x.reshape(2, 6), x.t().reshape(12), x.flatten(), x.expand(2, 3, 4), x.unsqueeze(0), x.mT, x.T))
told(lambda: (x.t().contiguous(), x.contiguous(), x.half(), x.float(), x.clone()))
told(lambda: (torch.cat([x, x]), torch.stack([x, x]), x.split(1), x.unbind(), x.sort(), x.topk(2), x.cumsum(0), x.tril(), x.repeat(2, 1)))
told(lambda: (torch.zeros(3), torch.ones(2, 2), torch.full((2,), 1.), torch.arange(3), torch.rand(2), torch.randn(2, 2), x.new_zeros(2)))
told(lambda: (x.masked_fill(x > 0, 1.), x.gather(0, n[:, None]), x.index_select(0, n), F.gelu(x), F.relu(x), torch.where(x > 0, x, x)))
told(lambda: (x.clone().mul_(2), x.clone().zero_(), x.clone().copy_(x)))
"""
_SCRIPT = """
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

LOG

def told(call):
    with Log() as log:
        call()
    print(*log.told)
"""


def _told_under(start):
    program = "\n".join((start, _SCRIPT.replace("LOG", inspect.getsource(Log)), _CALLS))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def test_operators_have_pytorchs_names():
    pytorchs, ours = _told_under(""), _told_under("import rushlight; rushlight.as_torch()")
    assert len(pytorchs) == _CALLS.count("told(")
    assert ours == pytorchs


def _models():
    yield (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)),
        torch.rand(3, 1, 8, 8),
    )
    yield nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), torch.rand(2, 5, 8)
    yield nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2, bias=False), nn.Softmax(-1)), torch.rand(3, 6, 4)
    yield nn.Sequential(nn.Embedding(10, 4), nn.LSTM(4, 6)), torch.randint(0, 10, (3, 7))


@pytest.mark.parametrize("which", range(4))
def test_a_mode_that_looks_on_changes_nothing(which):
    torch.manual_seed(0)
    model, x = list(_models())[which]

    def step(model):
        out = model(x)
        out = out[0] if isinstance(out, tuple) else out
        (out.square().mean() + out[0].sum()).backward()
        return out.detach(), [p.grad for p in model.parameters()]

    watched = copy.deepcopy(model)
    expected, expected_grads = step(model)
    with Log() as log:
        got, grads = step(watched)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(grads, expected_grads, rtol=1e-4, atol=1e-5)
    assert len(log.told) > 10 and any("Backward0" in name for name in log.told)


def test_products_and_convolutions_step_back_by_pytorchs_operators():
    x, w, b = torch.rand(3, 4), torch.rand(4, 2, requires_grad=True), torch.rand(2, requires_grad=True)
    image, kernel = torch.rand(1, 2, 5, 5, requires_grad=True), torch.rand(3, 2, 3, 3, requires_grad=True)
    out, y = torch.addmm(b, x, w).sum(), F.conv2d(image, kernel).sum()
    with Log() as log:
        grads = torch.autograd.grad(out, (w, b))
        image_grad, kernel_grad = torch.autograd.grad(y, (image, kernel))
    assert log.told.count("aten.mm.default") == 1 and log.told.count("aten.convolution_backward.default") == 1
    torch.testing.assert_close(grads, (x.t() @ torch.ones(3, 2), torch.full((2,), 3.0)))
    torch.testing.assert_close(kernel_grad[0, 0, 0, 0], image[0, 0, :3, :3].sum())
    torch.testing.assert_close(image_grad[0, :, 0, 0], kernel[:, :, 0, 0].sum(0))


def test_what_a_mode_returns_counts():
    class Doubles(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            return out * 2 if func is aten.relu.default else out

    with Doubles():
        assert F.relu(torch.tensor([-1.0, 3.0])).tolist() == [0.0, 6.0]
    assert F.relu(torch.tensor([3.0])).tolist() == [3.0]


def test_modes_are_told_the_innermost_first_and_may_be_left_out():
    with Log() as outer, Log() as inner:
        torch.ones(2).exp()
        with _disable_current_modes() as modes:
            torch.ones(2).exp()
    assert outer.told == inner.told == ["aten.ones.default", "aten.exp.default"]
    assert modes == [outer, inner]


def test_a_backward_step_that_returns_too_little_is_refused():
    class Drops(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return None if "Backward0" in str(func) else func(*args, **(kwargs or {}))

    y = torch.rand(2, requires_grad=True).exp().sum()
    with Drops(), pytest.raises(RuntimeError, match="must return a gradient for each of the 1 inputs"):
        y.backward()


class Pair(torch.Tensor):
    """Two tensors of one shape that are computed with alike."""

    @staticmethod
    def __new__(cls, a, b):
        return torch.Tensor._make_wrapper_subclass(
            cls, a.shape, strides=a.stride(), dtype=a.dtype, device=a.device, requires_grad=a.requires_grad
        )

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __tensor_flatten__(self):
        return ["a", "b"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Pair(inner["a"], inner["b"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args, kwargs=None):
        parts = [tree_map_only(Pair, operator.attrgetter(name), (args, kwargs or {})) for name in "ab"]
        one, other = (func(*args_, **kwargs_) for args_, kwargs_ in parts)
        if isinstance(one, torch.Tensor):
            out = Pair(one, other)
        else:
            out = type(one)(Pair(x, y) for x, y in zip(one, other))
        return return_and_correct_aliasing(func, args, kwargs, out)


@pytest.fixture
def pair():
    return Pair(torch.arange(6.0).reshape(2, 3), torch.ones(2, 3))


@pytest.mark.parametrize("call", [
    lambda x: x + 1, lambda x: x @ x.t(), lambda x: x.sum(0), lambda x: x[0, 1:], lambda x: torch.cat([x, x]), lambda x: x.split(1)[1],
    lambda x: F.linear(x, torch.ones(4, 3), torch.zeros(4)), lambda x: F.softmax(x, -1), lambda x: x.detach(), lambda x: x.double(),
    lambda x: x.reshape(6), lambda x: x.max(1).values, lambda x: x.data, lambda x: F.relu(x), lambda x: x.clone().add_(1),
])  # fmt: skip
def test_a_wrapper_carries_out_operators(pair, call):
    out = call(pair)
    assert type(out) is Pair and out.shape == out.a.shape and out.dtype == out.a.dtype
    torch.testing.assert_close(out.a, call(pair.a))
    torch.testing.assert_close(out.b, call(pair.b))


def test_a_wrapper_says_what_it_is_told_to_be(pair):
    assert (pair.device.type, pair.is_cpu, pair.is_meta, pair.is_cuda) == ("cpu", True, False, False)
    assert pair.add_(1) is pair and pair.b.tolist() == [[2.0] * 3] * 2
    gpu = torch.Tensor._make_wrapper_subclass(Pair, (2,), device="cuda:0", dtype=torch.bfloat16)
    assert (str(gpu.device), gpu.is_cuda, gpu.is_cpu, gpu.dtype) == ("cuda:0", True, False, torch.bfloat16)
    with pytest.raises((RuntimeError, TypeError)):
        pair.numpy()


def test_a_wrapper_may_be_a_parameter(pair):
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = nn.Parameter(pair, requires_grad=False)
    assert isinstance(layer.weight, nn.Parameter) and type(layer.weight) is Pair and list(layer.state_dict()) == ["weight"]
    x = torch.ones(1, 3, requires_grad=True)
    out = layer(x)
    assert out.a.tolist() == [[3.0, 12.0]]
    out.a.sum().backward()  # through what __torch_dispatch__ computed
    assert x.grad.tolist() == [[3.0, 5.0, 7.0]]


def test_wrappers_are_taken_apart(pair):
    assert is_traceable_wrapper_subclass(pair) and not is_traceable_wrapper_subclass(torch.ones(2))
    assert transform_subclass(pair, lambda name, t: 2 * t).b.tolist() == [[2.0] * 3] * 2


def test_a_wrapper_that_requires_a_gradient_says_what_to_do():
    x = Pair(torch.ones(2, requires_grad=True), torch.ones(2))
    with pytest.raises(RuntimeError, match=r"(?s)class Pair requires a gradient.*requires_grad=False"):
        x * 2
    with torch.no_grad():
        assert (x * 2).a.tolist() == [2.0, 2.0]


def test_only_classes_that_carry_out_operators_have_no_memory():
    class Plain(torch.Tensor):
        pass

    with pytest.raises(RuntimeError, match="Plain must define __torch_dispatch__"):
        torch.Tensor._make_wrapper_subclass(Plain, (2,))


def test_a_class_may_refuse():
    class Refuses(Pair):
        @classmethod
        def __torch_dispatch__(cls, func, types, args, kwargs=None):
            return NotImplemented

    with pytest.raises(TypeError, match=r"aten.exp.default.*returned NotImplemented"):
        Refuses(torch.ones(2), torch.ones(2)).exp()


def test_nothing_is_loaded_before_it_is_needed():
    code = "import rushlight as t, sys; (t.ones(2) + 1).sum(); assert not any('dispatch' in m for m in sys.modules if 'rushlight' in m)"
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)
