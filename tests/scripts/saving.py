"""Saving and loading as the recipes do it: state dicts, checkpoints, whole models, warm starts, meta devices, parts of a file by mmap;
then pruning and parametrizations, step by step."""

import copy
import os
import pickle
import tempfile
import warnings
from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from torch.nn.utils import prune

torch.manual_seed(0)
folder = tempfile.mkdtemp()
path = os.path.join(folder, "model.pt")


class TheModelClass(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 12)
        self.fc2 = nn.Linear(12, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        return self.fc2(F.relu(self.fc1(x)))


model = TheModelClass()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
print("Model's state_dict:")
for param_tensor in model.state_dict():
    print(param_tensor, "\t", model.state_dict()[param_tensor].size())
print("Optimizer's state_dict:")
for var_name in optimizer.state_dict():
    print(var_name, "\t", optimizer.state_dict()[var_name])
loss = F.cross_entropy(model(torch.randn(2, 3, 32, 32)), torch.tensor([1, 2]))
loss.backward()
optimizer.step()
torch.save({"epoch": 5, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "loss": loss.item()}, path)
fresh = TheModelClass()
fresh_optimizer = torch.optim.SGD(fresh.parameters(), lr=0.1, momentum=0.5)
checkpoint = torch.load(path, weights_only=True)
print(fresh.load_state_dict(checkpoint["model_state_dict"]))
fresh_optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
print(checkpoint["epoch"], f"{checkpoint['loss']:.4f}", fresh_optimizer.param_groups[0]["lr"], fresh_optimizer.param_groups[0]["momentum"])
x = torch.randn(2, 3, 32, 32)
print(torch.equal(model(x), fresh(x)))
for a, b in ((model, optimizer), (fresh, fresh_optimizer)):
    b.zero_grad()
    F.cross_entropy(a(x), torch.tensor([0, 9])).backward()
    b.step()
print(all(torch.equal(p, q) for p, q in zip(model.parameters(), fresh.parameters())))

torch.save(model, path)
try:
    torch.load(path)
except pickle.UnpicklingError as error:
    print(str(error)[:25])
whole = torch.load(path, weights_only=False)
whole.eval()
print(type(whole).__name__, torch.equal(whole(x), model(x)))

state = model.state_dict()
partial = OrderedDict((k, v) for k, v in state.items() if not k.startswith("fc2"))
partial["other.weight"] = torch.ones(1)
print(TheModelClass().load_state_dict(partial, strict=False))
for wrong in (partial, {**state, "fc2.bias": torch.zeros(3)}, {"module." + k: v for k, v in state.items()}):
    try:
        TheModelClass().load_state_dict(wrong)
    except RuntimeError as error:
        print(str(error).split("\n")[1].strip()[:60])
wrapped = nn.DataParallel(model)
print(next(iter(wrapped.state_dict())), next(iter(wrapped.module.state_dict())))
nn.modules.utils.consume_prefix_in_state_dict_if_present(renamed := wrapped.state_dict(), "module.")
print(list(renamed)[:2])

torch.save(state, path)
with torch.device("meta"):
    empty = TheModelClass()
print(empty.conv1.weight.device, empty.conv1.weight.shape)
mapped = torch.load(path, mmap=True)
print(empty.load_state_dict(mapped, assign=True), empty.conv1.weight.device, torch.equal(empty(x), model(x)))
skipped = nn.utils.skip_init(nn.Linear, 3, 4)
print(skipped, skipped.weight.shape)
torch.save({"view": (base := torch.arange(10.0))[2:5], "same": base[2:5], "base": base}, path)
back = torch.load(path)
back["base"][3] = 100
print(back["view"], back["same"])
with tempfile.TemporaryFile() as file:
    torch.save(torch.ones(2), file)
    file.seek(0)
    print(torch.load(file, map_location=lambda storage, location: storage))


class Tagged(nn.Module):
    """With state of its own beside the tensors."""

    def __init__(self):
        super().__init__()
        self.w, self.seen = nn.Parameter(torch.zeros(2)), 0

    def get_extra_state(self):
        return {"seen": self.seen}

    def set_extra_state(self, state):
        self.seen = state["seen"]


tagged = Tagged()
tagged.seen = 7
print(tagged.state_dict())
other = Tagged()
other.load_state_dict(tagged.state_dict())
print(other.seen, copy.deepcopy(other).seen)

module = model.conv1
prune.random_unstructured(module, name="weight", amount=0.3)
print(sorted(dict(module.named_parameters())), sorted(dict(module.named_buffers())), float(torch.sum(module.weight == 0)) / module.weight.nelement())
prune.l1_unstructured(module, name="bias", amount=3)
print([type(h).__name__ for h in module._forward_pre_hooks.values()], (module.bias == 0).sum().item())
prune.ln_structured(module, name="weight", amount=0.5, n=2, dim=0)
for hook in module._forward_pre_hooks.values():
    if hook._tensor_name == "weight":
        print(type(hook).__name__, [type(h).__name__ for h in hook])
print(sorted(k for k in model.state_dict() if "mask" in k))
prune.remove(module, "weight")
print(sorted(dict(module.named_parameters())), prune.is_pruned(module), prune.is_pruned(model.fc1))
net = TheModelClass()
parameters = ((net.conv1, "weight"), (net.conv2, "weight"), (net.fc1, "weight"), (net.fc2, "weight"))
prune.global_unstructured(parameters, pruning_method=prune.L1Unstructured, amount=0.2)
zeros = [int((getattr(m, n) == 0).sum()) for m, n in parameters]
print(zeros, sum(zeros))


class FooBarPruningMethod(prune.BasePruningMethod):
    """Prune every other entry in a tensor."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask


FooBarPruningMethod.apply(net.fc1, "bias")
print(net.fc1.bias_mask)
F.cross_entropy(net(x), torch.tensor([0, 1])).backward()
print((net.fc1.bias_orig.grad[::2] == 0).all().item(), net.fc1.bias_orig.grad.shape)


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu()


class Skew(nn.Module):
    def forward(self, X):
        A = X.triu(1)
        return A - A.transpose(-1, -2)

    def right_inverse(self, A):
        return A.triu(1)


class MatrixExponential(nn.Module):
    def forward(self, X):
        return torch.matrix_exp(X)


class CayleyMap(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("Id", torch.eye(n))

    def forward(self, X):
        return torch.linalg.solve(self.Id - X, self.Id + X)

    def right_inverse(self, A):
        X = torch.linalg.solve(A + self.Id, self.Id - A)
        return -X


layer = nn.Linear(3, 3)
parametrize.register_parametrization(layer, "weight", Symmetric())
print(layer, torch.allclose(layer.weight, layer.weight.T), sorted(dict(layer.named_parameters())))
layer.weight = torch.arange(9.0).reshape(3, 3).triu() + torch.arange(9.0).reshape(3, 3).triu(1).T
print(layer.weight)
parametrize.remove_parametrizations(layer, "weight")
print(layer.weight.requires_grad, type(layer).__name__)
layer = nn.Linear(3, 3)
parametrize.register_parametrization(layer, "weight", Skew())
parametrize.register_parametrization(layer, "weight", CayleyMap(3))
print(torch.allclose(layer.weight.T @ layer.weight, torch.eye(3), atol=1e-4), layer.parametrizations.weight)
layer.weight = nn.init.orthogonal_(torch.empty(3, 3))
print(layer.weight.shape, list(layer.state_dict()))
cnn = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
for m in cnn:
    parametrize.register_parametrization(m, "weight", Skew())
    parametrize.register_parametrization(m, "weight", MatrixExponential())
count = [0]
cnn[0].parametrizations.weight[1].register_forward_hook(lambda *a: count.__setitem__(0, count[0] + 1))
with parametrize.cached():
    for _ in range(3):
        cnn(torch.ones(1, 4))
print(count, parametrize.is_parametrized(cnn[0]), parametrize.is_parametrized(cnn[0], "bias"))
opt = torch.optim.SGD(cnn.parameters(), lr=0.1)
for _ in range(3):
    loss = (cnn(torch.eye(4)) - 1).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{loss.item():.4f}")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    old = nn.utils.weight_norm(nn.Linear(3, 2), dim=0)
new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
print(sorted(old.state_dict()), sorted(new.state_dict()))
new.load_state_dict(old.state_dict())
print(torch.allclose(new.weight, old.weight))
