import math
import torch
from torch.autograd import Function, gradcheck
from torch.autograd.function import once_differentiable


class LegendrePolynomial3(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class Swish(Function):
    @staticmethod
    def forward(x, beta):
        s = torch.sigmoid(beta * x)
        return x * s, s

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, beta = inputs
        y, s = output
        ctx.mark_non_differentiable(s)
        ctx.save_for_backward(x, s)
        ctx.beta = beta

    @staticmethod
    def backward(ctx, g, _):
        x, s = ctx.saved_tensors
        return g * (s + ctx.beta * x * s * (1 - s)), None

    @staticmethod
    def vmap(info, in_dims, x, beta):
        return Swish.apply(x, beta), (in_dims[0], in_dims[0])


class ScaleInPlace(Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.k = k
        ctx.mark_dirty(x)
        return x.mul_(k)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * ctx.k, None


class Cube(Function):
    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        print(ctx.needs_input_grad, g.shape)
        return 3 * x * x * g

    @staticmethod
    def jvp(ctx, t):
        return 3 * ctx.saved_tensors[0] ** 2 * t


class STE(Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        return g.clamp(-1, 1)


torch.manual_seed(0)
x = torch.linspace(-math.pi, math.pi, 2000)
y = torch.sin(x)
a, b, c, d = (torch.full((), v, requires_grad=True) for v in (0.0, -1.0, 0.0, 0.3))
for t in range(300):
    P3 = LegendrePolynomial3.apply
    y_pred = a + b * P3(c + d * x)
    loss = (y_pred - y).pow(2).sum()
    if t % 100 == 99:
        print(t, f"{loss.item():.3f}")
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= 5e-6 * p.grad
            p.grad = None
print(f"Result: y = {abs(a.item()):.4f} + {b.item():.5f} * P3({abs(c.item()):.4f} + {d.item():.5f} x)", P3(x * a).grad_fn.name())
xs = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
print(gradcheck(lambda t: Swish.apply(t, 1.5)[0], (xs,)))
print(torch.vmap(lambda v: Swish.apply(v, 2.0)[0])(xs).sum())
w = torch.ones(3, requires_grad=True)
z = ScaleInPlace.apply(w * 2, 5.0)
z.sum().backward()
print(z, w.grad, z.grad_fn.name())
v, tangent = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
print(torch.func.jvp(Cube.apply, (v,), (tangent,)))
(g,) = torch.autograd.grad(Cube.apply(v.requires_grad_()).sum(), v, create_graph=True)
print(g, torch.autograd.grad(g.sum(), v))
q = torch.tensor([-0.3, 2.0], requires_grad=True)
(STE.apply(q) * torch.tensor([3.0, 0.5])).sum().backward()
print(q.grad)
try:
    torch.autograd.grad(torch.autograd.grad(ScaleInPlace.apply(w * 2, 2.0).sum(), w, create_graph=True)[0].sum(), w)
except RuntimeError as e:
    print(str(e).splitlines()[0])
