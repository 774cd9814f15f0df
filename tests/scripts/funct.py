import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, stack_module_state, vjp, vmap

torch.manual_seed(0)


class SimpleMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


models = [SimpleMLP() for _ in range(4)]
data = torch.randn(4, 6, 12)
params, buffers = stack_module_state(models)
print({k: v.shape for k, v in params.items()})
base = copy.deepcopy(models[0]).to("meta")


def fmodel(p, b, x):
    return functional_call(base, (p, b), (x,))


p1 = vmap(fmodel)(params, buffers, data)
print(
    torch.allclose(p1, torch.stack([m(d) for m, d in zip(models, data)]), atol=1e-5),
    vmap(fmodel, in_dims=(0, 0, None))(params, buffers, data[0]).shape,
)
m = models[0]
pd = {k: v.detach() for k, v in m.named_parameters()}
tgt = torch.randint(0, 3, (6,))


def loss_one(p, x, y):
    return F.cross_entropy(functional_call(m, p, (x.unsqueeze(0),)), y.unsqueeze(0))


per = vmap(grad(loss_one), in_dims=(None, 0, 0))(pd, data[0], tgt)
print({k: v.shape for k, v in per.items()}, per["fc2.bias"])
full = torch.autograd.grad(F.cross_entropy(m(data[0]), tgt), list(m.parameters()))
print([torch.allclose(per[k].mean(0), g, atol=1e-6) for k, g in zip(per, full)])
norms = torch.stack([g.flatten(1).norm(dim=1) for g in per.values()]).norm(dim=0)
clip = (1.0 / norms).clamp(max=1)
print(norms, {k: (g * clip.view(-1, *[1] * (g.dim() - 1))).mean(0).norm() for k, g in per.items()})


def predict(w, b, x):
    return F.linear(x, w, b).tanh()


w, b, x = torch.randn(3, 3), torch.randn(3), torch.randn(3)
print(jacrev(predict, argnums=2)(w, b, x), torch.allclose(jacfwd(predict, 2)(w, b, x), jacrev(predict, 2)(w, b, x)))
H = hessian(predict, argnums=2)(w, b, x)
print(H.shape, H[0], torch.func.hessian(lambda z: (z**3).sum())(x))
batch = torch.randn(5, 3)
print(vmap(jacrev(predict, argnums=2), in_dims=(None, None, 0))(w, b, batch).shape)


def hvp(f, primals, tangents):
    return jvp(grad(f), primals, tangents)[1]


print(hvp(lambda z: z.sin().sum(), (x,), (torch.ones(3),)))
out, fn = vjp(predict, w, b, x)
print(out, [t.shape for t in fn(torch.ones(3))])
y, jfn = linearize(torch.sin, x)
print(y, jfn(torch.ones(3)))
g, v = grad_and_value(lambda t: (t["a"] * t["b"]).sum())({"a": x, "b": x + 1})
print(g, v)
print(grad(lambda z, k: (z * k).sum(), argnums=(0, 1))(x, b), grad(lambda z: (z.sum(), z * 2), has_aux=True)(x))
print(
    vmap(torch.dot)(batch, batch),
    vmap(vmap(torch.mul, (0, None)), (None, 0))(x, b),
    vmap(lambda t: t.sum(), out_dims=0, chunk_size=2)(batch),
)
print(
    vmap(lambda t: t + torch.randn(3), randomness="same")(torch.zeros(2, 3)).std(0),
    vmap(lambda t: torch.rand_like(t), randomness="different")(torch.zeros(2, 1)),
)
try:
    vmap(lambda t: t.item())(x)
except RuntimeError as e:
    print("item refused")
try:
    vmap(lambda t: torch.rand(1) + t)(x)
except RuntimeError as e:
    print(str(e).splitlines()[0][:60])
print(torch.autograd.functional.jacobian(lambda a, b: a * b, (x, b))[0], torch.autograd.functional.hvp(lambda z: (z**2).sum(), x, x))
print(torch.func.functionalize(lambda z: z.clone().add_(1))(x))
lr = 0.1


def maml_loss(p, task):
    a = task
    inner = grad(lambda q: ((q * 2 - a) ** 2).sum())(p)
    return ((p - lr * inner) * 2 - a).pow(2).sum()


print(vmap(grad(maml_loss), (None, 0))(x, torch.arange(3.0)))
ens = [nn.BatchNorm1d(3) for _ in range(2)]
pp, bb = stack_module_state(ens)
print(sorted(bb), bb["running_mean"].shape)
torch.func.replace_all_batch_norm_modules_(nn.Sequential(ens[0]))
print(ens[0].running_mean)
