import numpy as np
import torch
from torch import Tensor
from torch.library import Library, custom_op, impl


@custom_op("mylib::numpy_sin", mutates_args=())
def numpy_sin(x: Tensor) -> Tensor:
    return torch.from_numpy(np.sin(x.detach().numpy()))


@numpy_sin.register_fake
def _(x):
    return torch.empty_like(x)


def setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[0])


def backward(ctx, g):
    return g * ctx.saved_tensors[0].cos()


numpy_sin.register_autograd(backward, setup_context=setup)
x = torch.linspace(0, 1, 5, requires_grad=True)
y = numpy_sin(x)
print(y, y.requires_grad)
y.sum().backward()
print(x.grad)
print(torch.ops.mylib.numpy_sin(x.detach()), torch.ops.mylib.numpy_sin.default)


@torch.library.custom_op("mylib::add_", mutates_args={"out"})
def add_(x: Tensor, out: Tensor, alpha: float = 1.0) -> None:
    out.add_(x, alpha=alpha)


o = torch.zeros(3)
v = o._version
print(add_(torch.ones(3), o, alpha=2.5), o, o._version > v)
torch.library.define("mylib::scale", "(Tensor x, float s=2.0, int[] dims=[]) -> Tensor")


@torch.library.impl("mylib::scale", "cpu")
def scale(x, s=2.0, dims=()):
    r = x * s
    return r.sum(list(dims)) if dims else r


@torch.library.register_fake("mylib::scale")
def _(x, s=2.0, dims=()):
    return torch.empty_like(x)


print(torch.ops.mylib.scale(torch.arange(6.0).view(2, 3)), torch.ops.mylib.scale(torch.ones(2, 3), 3.0, [1]))
lib = Library("mine", "DEF")
lib.define("pair(Tensor a, Tensor b) -> (Tensor, Tensor)")


@impl(lib, "pair", "CompositeExplicitAutograd")
def pair(a, b):
    return a + b, a - b


print(torch.ops.mine.pair(torch.tensor([3.0]), torch.tensor([1.0])))
print(hasattr(torch.ops.mine, "nothing"))


@torch.library.custom_op("mylib::split2", mutates_args=())
def split2(x: Tensor, sizes: list[int]) -> list[Tensor]:
    return [t.clone() for t in x.split(sizes)]


print(split2(torch.arange(5.0), [2, 3]))
try:
    torch.ops.mylib.scale(3)
except Exception as e:
    print(type(e).__name__)


@torch.library.custom_op("mylib::muladd", mutates_args=(), schema="(Tensor a, Tensor b, Scalar? c=None) -> Tensor")
def muladd(a, b, c=None):
    return a * b + (c or 0)


muladd.register_autograd(
    lambda ctx, g: (g * ctx.b, g * ctx.a, None), setup_context=lambda ctx, inputs, output: ctx.__dict__.update(a=inputs[0], b=inputs[1])
)
a, b = torch.tensor([2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
muladd(a, b, 1).backward()
print(a.grad, b.grad, muladd(a, b))


@torch.library.register_vmap("mylib::numpy_sin")
def _(info, in_dims, x):
    return numpy_sin(x), in_dims[0]


print(torch.vmap(numpy_sin)(torch.ones(2, 2)))
