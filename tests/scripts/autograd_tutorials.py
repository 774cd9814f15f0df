"""Autograd's tutorials: forward mode, double backward of a custom Function, fusing convolution and batch norm in one, hooks on saved
tensors, steps of the optimizer during backward, Jacobians and Hessians, neural tangent kernels."""

import os
import tempfile
import uuid

import torch
import torch.autograd.forward_ad as fwAD
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

torch.manual_seed(0)
primal, tangent = torch.randn(4, 4), torch.randn(4, 4)


def fn(x, y):
    return x**2 + y**2


with fwAD.dual_level():
    dual_input = fwAD.make_dual(primal, tangent)
    assert fwAD.unpack_dual(dual_input).tangent is tangent
    plain = dual_input + tangent
    jvp_out = fwAD.unpack_dual(fn(dual_input, torch.ones(4, 4))).tangent
    print(torch.allclose(jvp_out, 2 * primal * tangent), fwAD.unpack_dual(plain).tangent.shape)
print(fwAD.unpack_dual(dual_input).tangent)
model = nn.Linear(5, 5)
x = torch.randn(16, 5)
params = {name: p for name, p in model.named_parameters()}
tangents = {name: torch.rand_like(p) for name, p in params.items()}
with fwAD.dual_level():
    for name, p in params.items():
        delattr(model, name)
        setattr(model, name, fwAD.make_dual(p, tangents[name]))
    out = model(x)
    print(f"{fwAD.unpack_dual(out).tangent.sum().item():.4f}")


class Sinh(Function):
    @staticmethod
    def forward(ctx, x):
        expx, expnegx = torch.exp(x), torch.exp(-x)
        ctx.save_for_backward(expx, expnegx)
        return (expx - expnegx) / 2, expx, expnegx

    @staticmethod
    def backward(ctx, grad_out, _e, _n):
        expx, expnegx = ctx.saved_tensors
        return grad_out * (expx + expnegx) / 2 + _e * expx - _n * expnegx


x = torch.rand(3, 3, requires_grad=True, dtype=torch.double)
print(torch.autograd.gradcheck(lambda x: Sinh.apply(x)[0], x), torch.autograd.gradgradcheck(lambda x: Sinh.apply(x)[0], x))


class Power(Function):
    """With a forward derivative too."""

    @staticmethod
    def forward(x, n):
        return x**n

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, n = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        ctx.n = n

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None

    @staticmethod
    def jvp(ctx, t, _):
        (x,) = ctx.saved_tensors
        return t * ctx.n * x ** (ctx.n - 1)

    @staticmethod
    def vmap(info, in_dims, x, n):
        return Power.apply(x, n), in_dims[0]


x = torch.arange(1.0, 4.0)
print(jvp(lambda x: Power.apply(x, 3), (x,), (torch.ones(3),))[1], vmap(grad(lambda x: Power.apply(x, 3)))(x), jacrev(lambda x: Power.apply(x, 2))(x))


def convolution_backward(grad_out, X, weight):
    grad_input = F.conv2d(X.transpose(0, 1), grad_out.transpose(0, 1)).transpose(0, 1)
    grad_X = F.conv_transpose2d(grad_out, weight)
    return grad_X, grad_input


def unsqueeze_all(t):
    return t[None, :, None, None]


class FusedConvBN2DFunction(Function):
    @staticmethod
    def forward(ctx, X, conv_weight, eps=1e-3):
        assert X.ndim == 4
        ctx.save_for_backward(X, conv_weight)
        X = F.conv2d(X, conv_weight)
        summed = X.sum(dim=(0, 2, 3))
        var = X.var(unbiased=True, dim=(0, 2, 3))
        N = X.numel() / X.size(1)
        sqrt_var = torch.sqrt(var)
        ctx.eps, ctx.sum, ctx.N, ctx.sqrt_var = eps, summed, N, sqrt_var
        mean = summed / N
        denom = sqrt_var + eps
        out = X - unsqueeze_all(mean)
        out /= unsqueeze_all(denom)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out):
        X, conv_weight = ctx.saved_tensors
        X_conv = F.conv2d(X, conv_weight)
        tmp = ((X_conv - unsqueeze_all(ctx.sum) / ctx.N) * grad_out).sum(dim=(0, 2, 3))
        tmp *= -1
        tmp /= (ctx.sqrt_var + ctx.eps) ** 2
        grad_denom = unsqueeze_all(tmp / (2 * ctx.sqrt_var))
        grad_input = X_conv * grad_denom * (2 / (ctx.N - 1))
        grad_input += unsqueeze_all(-ctx.sum) * grad_denom * (2 / (ctx.N * (ctx.N - 1)))
        grad_input += grad_out / unsqueeze_all(ctx.sqrt_var + ctx.eps)
        grad_input += unsqueeze_all(-grad_out.sum(dim=(0, 2, 3))) / unsqueeze_all(ctx.sqrt_var + ctx.eps) / ctx.N
        gx, gw = convolution_backward(grad_input, X, conv_weight)
        return gx, gw, None


weight = torch.rand(5, 3, 3, 3, requires_grad=True, dtype=torch.double)
X = torch.rand(2, 3, 4, 4, requires_grad=True, dtype=torch.double)
print(torch.autograd.gradcheck(FusedConvBN2DFunction.apply, (X, weight)))
try:
    g = torch.autograd.grad(FusedConvBN2DFunction.apply(X, weight).pow(2).sum(), X, create_graph=True)[0]
    g.sum().backward()
except RuntimeError as error:
    print(str(error).split("\n")[0])

folder = tempfile.mkdtemp()
kept = []


class SelfDeletingTempFile:
    def __init__(self):
        self.name = os.path.join(folder, str(uuid.uuid4()))
        kept.append(self.name)

    def __del__(self):
        if os.path.exists(self.name):
            os.remove(self.name)


def pack_hook(tensor):
    temp = SelfDeletingTempFile()
    torch.save(tensor, temp.name)
    return temp


a, b = torch.ones(5, requires_grad=True), torch.full((5,), 2.0, requires_grad=True)
with torch.autograd.graph.saved_tensors_hooks(pack_hook, lambda temp: torch.load(temp.name)):
    y = (a * b).exp()
print(len(kept), len(os.listdir(folder)))
y.sum().backward()
print(a.grad, b.grad)
del y
print(len(os.listdir(folder)))
with torch.autograd.graph.save_on_cpu():
    z = (a * b).sin()
z.sum().backward()
print(f"{a.grad.sum().item():.4f}")
z = a * b
print(z.grad_fn._saved_self.equal(a), z.grad_fn._saved_other is b, type(z.grad_fn._raw_saved_self).__name__)

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizers = {p: torch.optim.Adam([p], foreach=False, lr=0.01) for p in net.parameters()}


def optimizer_hook(parameter):
    optimizers[parameter].step()
    optimizers[parameter].zero_grad()


for p in net.parameters():
    p.register_post_accumulate_grad_hook(optimizer_hook)
data, labels = torch.randn(12, 4), torch.arange(12) % 2
for _ in range(4):
    loss = F.cross_entropy(net(data), labels)
    loss.backward()
    print(f"{loss.item():.4f}", all(p.grad is None for p in net.parameters()))

D = 6
W, bias, x = torch.randn(D, D), torch.randn(D), torch.randn(D)


def predict(W, bias, x):
    return F.linear(x, W, bias).tanh()


_, vjp_fn = vjp(lambda x: predict(W, bias, x), x)
(by_vjp,) = vmap(vjp_fn)(torch.eye(D))
print(torch.allclose(by_vjp, jacrev(predict, argnums=2)(W, bias, x), atol=1e-5), torch.allclose(by_vjp, jacfwd(predict, argnums=2)(W, bias, x), atol=1e-5))
hess = hessian(predict, argnums=2)(W, bias, x)
print(hess.shape, torch.allclose(hess, jacfwd(jacfwd(predict, argnums=2), argnums=2)(W, bias, x), atol=1e-5))
print(vmap(jacrev(predict, argnums=2), in_dims=(None, None, 0))(W, bias, torch.randn(5, D)).shape)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(64, 3)

    def forward(self, x):
        return self.fc(self.conv2(self.conv1(x).relu()).relu().flatten(1))


cnn = CNN()
p = {k: v.detach() for k, v in cnn.named_parameters()}
x1, x2 = torch.randn(4, 3, 8, 8), torch.randn(2, 3, 8, 8)


def single(params, x):
    return functional_call(cnn, params, (x.unsqueeze(0),)).squeeze(0)


def empirical_ntk(x1, x2):
    j1 = [j.flatten(2) for j in vmap(jacrev(single), (None, 0))(p, x1).values()]
    j2 = [j.flatten(2) for j in vmap(jacrev(single), (None, 0))(p, x2).values()]
    return torch.stack([torch.einsum("Naf,Mbf->NMab", a, b) for a, b in zip(j1, j2)]).sum(0)


def ntk_by_vps(x1, x2):
    def of_pair(x1, x2):
        _, back = vjp(lambda q: single(q, x1), p)

        def product(v):
            return jvp(lambda q: single(q, x2), (p,), back(v))[1]

        return vmap(product)(torch.eye(3))

    return vmap(vmap(of_pair, (None, 0)), (0, None))(x1, x2)


ntk = empirical_ntk(x1, x2)
print(ntk.shape, torch.allclose(ntk, ntk_by_vps(x1, x2), atol=1e-3), f"{ntk.diagonal(dim1=-2, dim2=-1).sum().item():.3f}")
