"""Modules and functions that test_fx.py traces under PyTorch and here: each function that ``@traced(*shapes)`` decorates makes one."""

import math
from collections import namedtuple
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

PROGRAMS = {}
Pair = namedtuple("Pair", "first second")


def traced(*shapes):
    """Enters a function that makes what is traced, with the shapes of example inputs."""

    def enter(make):
        PROGRAMS[make.__name__] = make, shapes
        return make

    return enter


@fx.wrap
def doubled(x, times=1):
    return x * 2 if x.sum() > 0 else x * times


fx.wrap("len")


def checked(x):
    assert x.sum() > 0, "positive"
    return x + 1


def module(forward, **parts):
    """A module with these parts and this forward."""

    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                    self.register_buffer(name, part)
                else:
                    setattr(self, name, part)

    Made.forward = forward
    return Made()


@traced((3, 4))
def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Sequential(nn.Linear(8, 2)))


@traced((2, 1, 8, 8))
def cnn():
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = F.dropout(x, p=0.25, training=self.training)
        return F.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)

    return module(forward, conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(18, 3))


@traced((2, 6))
def branches_on_its_own_state():
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1) if self.flat else x

    return module(forward, layers=nn.ModuleList([nn.Linear(6, 6), nn.Tanh()]), flat=True)


@traced((2, 3))
def attributes():
    def forward(self, x):
        return (x + self.weight) * self.scale - self.offset + self.scale * x + self.weight.sum() + torch.ones(3)

    return module(forward, weight=nn.Parameter(torch.ones(3)), scale=torch.full((3,), 2.0), offset=torch.ones(3))


@traced((2, 3))
def wrapped():
    return lambda x: doubled(x, times=3) + len(x) + math.sqrt(2.0)


@traced((4, 5))
def defaults_and_types():
    def forward(x: Tensor, y: Optional[Tensor] = None, z: "Tensor" = None, sizes: list[int] = (), *, k: int = 3) -> Tensor:  # noqa: UP045
        return x * k

    return forward


@traced((4, 5, 6))
def slices():
    return lambda x: (x[:, None, ..., 1:-1:2], x[(x.size(0) - 1) :], x[0], x[..., -1], x[1:, :2])


@traced((3, 3), (3, 3))
def einsum_and_friends():
    def forward(x, y):
        a = torch.einsum("ij,jk->ik", x, y) + torch.einsum("ij,jk->ik", [x, y])
        first, second = torch.split(a, [1, 2])
        b = torch.cat([first, second], dim=0).t()
        values, _ = torch.topk(b, 2, dim=1)
        return torch.matmul(x, y), torch.softmax(b, 1), values, torch.where(x > 0, x, y), torch.stack([x, y])

    return forward


@traced((2, 4))
def functional():
    def forward(x):
        a = F.gelu(x) + F.softmax(x, dim=-1) + F.silu(x, inplace=False) + F.hardtanh(x) + F.leaky_relu(x, 0.2) + F.softplus(x)
        b = F.layer_norm(a, (4,)) + F.normalize(a) + F.pad(a, (1, 1))[:, 1:-1] + F.linear(x, torch.ones(4, 4))
        c = F.avg_pool2d(x[None], kernel_size=(1, 2), stride=1), F.avg_pool1d(x, 2), F.softshrink(x, lambd=0.3), F.pairwise_distance(x, a)
        d = F.embedding(a.argmax(1), torch.ones(4, 2)), F.group_norm(x, 2), F.scaled_dot_product_attention(x, a, b), F.logsigmoid(x)
        return c, d, b, F.mse_loss(a, b), F.interpolate(x[None], scale_factor=2), F.one_hot(x.argmax(1), 4), F.cross_entropy(a, a.argmax(1))

    return forward


@traced((2, 3))
def in_place():
    def forward(x):
        y = x.clone()
        y.add_(1)
        y += x
        z = y.relu_().mul_(2)
        return y, z

    return forward


@traced((2, 3))
def nests():
    return lambda x: {"a": x, "b": [x + 1, (x, 1.5, None)], "c": Pair(x, [x])}


@traced((2, 3))
def operators():
    def forward(x):
        return 1 - x, 2 / x, 2**x, x // 2, 3 % x, -x, abs(x), x != 1, x >= 1, 1 < x, +x, x**2, x.T @ x, (x > 0) & (x < 1), ~(x > 0)

    return forward


@traced((2, 3, 4))
def shapes_and_dtypes():
    def forward(x):
        b, n, c = x.shape
        y = x.reshape(b, n * c).to(torch.float64).type(torch.float32)
        z = torch.zeros(3, device=x.device, dtype=x.dtype)
        return y.view(-1, c), x.permute(0, 2, 1).contiguous(), x.mean([1, 2]), x.new_zeros(x.shape), z, x.clamp(min=0, max=float("inf"))

    return forward


@traced((2, 3), (2, 3))
def variadic():
    return lambda x, *rest, **named: x + 1


class Block(nn.Module):
    def __init__(self, dim=8, heads=2):
        super().__init__()
        self.heads, self.norm, self.qkv, self.out = heads, nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(dim=-1)
        return x + self.out((scores @ v).transpose(1, 2).reshape(b, n, c))


@traced((2, 5, 8))
def transformer():
    return nn.Sequential(Block(), Block(), nn.LayerNorm(8))
