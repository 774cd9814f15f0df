import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from torch.nn.utils import parametrizations, prune

torch.manual_seed(2)


class LoRA(nn.Module):
    def __init__(self, i, o, rank=2, alpha=4):
        super().__init__()
        self.A = nn.Parameter(torch.zeros(rank, o))
        self.B = nn.Parameter(torch.zeros(i, rank))
        nn.init.normal_(self.A, mean=0, std=1)
        self.scale, self.enabled = alpha / rank, True

    def forward(self, W):
        return W + (self.B @ self.A).view(W.shape) * self.scale if self.enabled else W


net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
orig = copy.deepcopy(net.state_dict())
for layer in net:
    if isinstance(layer, nn.Linear):
        parametrize.register_parametrization(layer, "weight", LoRA(*layer.weight.shape))
print(net)
for n, p in net.named_parameters():
    p.requires_grad = ".A" in n or ".B" in n
    print(n, tuple(p.shape), p.requires_grad)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, net.parameters()), 1e-2)
x, y = torch.randn(32, 8), torch.randint(0, 4, (32,))
for i in range(10):
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad(), loss.backward(), opt.step()
print(loss.item(), torch.equal(net[0].parametrizations.weight.original, orig["0.weight"]))
with parametrize.cached():
    print(net(x).sum())
for l in net:
    if parametrize.is_parametrized(l):
        l.parametrizations.weight[0].enabled = False
print(torch.equal(net[0].weight, orig["0.weight"]), type(net[0]).__name__)
for l in net:
    if parametrize.is_parametrized(l):
        l.parametrizations.weight[0].enabled = True
        parametrize.remove_parametrizations(l, "weight", leave_parametrized=True)
print(net, sorted(net.state_dict()), F.cross_entropy(net(x), y))


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu()


class MatrixExponential(nn.Module):
    def forward(self, X):
        return torch.matrix_exp(X)


layer = nn.Linear(3, 3)
parametrize.register_parametrization(layer, "weight", Symmetric())
parametrize.register_parametrization(layer, "weight", MatrixExponential())
print(torch.allclose(layer.weight, layer.weight.T), torch.linalg.eigvalsh(layer.weight).min() > 0, layer)
sn = parametrizations.spectral_norm(nn.Linear(5, 4))
print(torch.linalg.matrix_norm(sn.weight, 2), sorted(sn.state_dict()))
wn = parametrizations.weight_norm(nn.Linear(5, 4), dim=0)
print(wn.parametrizations.weight.original0.shape, wn(torch.ones(1, 5)))
o = parametrizations.orthogonal(nn.Linear(4, 4))
print((o.weight.T @ o.weight - torch.eye(4)).abs().max() < 1e-5)
# pruning
m = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 5))
prune.random_unstructured(m[0], name="weight", amount=0.3)
prune.l1_unstructured(m[0], name="bias", amount=2)
prune.ln_structured(m[2], name="weight", amount=0.5, n=2, dim=0)
print(list(m[0].named_buffers()), dict(m.named_parameters()).keys())
print(m[2].weight, m[0]._forward_pre_hooks.__len__())
prune.remove(m[2], "weight")
prune.global_unstructured([(m[0], "weight"), (m[2], "weight")], pruning_method=prune.L1Unstructured, amount=0.2)
print([float((q.weight == 0).sum()) / q.weight.nelement() for q in (m[0], m[2])], prune.is_pruned(m))


class Every(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask


lin = nn.Linear(3, 2)
Every.apply(lin, "bias")
print(lin.bias, lin.bias_mask, lin.state_dict().keys())
opt = torch.optim.SGD(lin.parameters(), 0.1)
lin(torch.ones(2, 3)).sum().backward()
print(lin.bias_orig.grad)
