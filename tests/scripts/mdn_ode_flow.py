import math
import torch
from torch import nn
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
    constraints,
)
from torch.distributions.transforms import AffineTransform, SigmoidTransform, Transform

torch.manual_seed(11)


class MDN(nn.Module):
    def __init__(self, K=3):
        super().__init__()
        self.h = nn.Sequential(nn.Linear(1, 20), nn.Tanh())
        self.pi, self.mu, self.sigma = nn.Linear(20, K), nn.Linear(20, K), nn.Linear(20, K)

    def forward(self, x):
        h = self.h(x)
        return MixtureSameFamily(Categorical(logits=self.pi(h)), Normal(self.mu(h), self.sigma(h).exp()))


y = torch.rand(100, 1) * 2 - 1
x = y + 0.3 * torch.sin(2 * math.pi * y) + torch.randn(100, 1) * 0.05
mdn = MDN()
opt = torch.optim.RMSprop(mdn.parameters(), lr=0.01, alpha=0.9, centered=True)
for step in range(40):
    loss = -mdn(x).log_prob(y.squeeze(-1)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 10 == 0:
        print(step, loss.item())
d = mdn(x[:3])
print(d, d.mean, d.variance, d.sample((2,)))


# neural ODE by RK4 and the adjoint by hand
class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


def rk4(f, y, t):
    out = [y]
    for t0, t1 in zip(t[:-1], t[1:]):
        h = t1 - t0
        k1 = f(t0, y)
        k2 = f(t0 + h / 2, y + h / 2 * k1)
        k3 = f(t0 + h / 2, y + h / 2 * k2)
        k4 = f(t1, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        out.append(y)
    return torch.stack(out)


A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 2.0, 20)
true = rk4(lambda t, y: torch.mm(y**3, A), torch.tensor([[2.0, 0.0]]), t)
f = ODEFunc()
opt = torch.optim.Adamax(f.parameters(), lr=1e-2)
for it in range(15):
    opt.zero_grad()
    loss = torch.mean(torch.abs(rk4(f, true[0], t) - true))
    loss.backward()
    opt.step()
print(f"{loss.item():.5f}", true[-1])


class Coupling(Transform):
    domain = codomain = constraints.independent(constraints.real, 1)
    bijective = True

    def __init__(self, net, flip):
        super().__init__(cache_size=1)
        self.net, self.flip = net, flip

    def _halves(self, x):
        return x.flip(-1).chunk(2, -1) if self.flip else x.chunk(2, -1)

    def _join(self, a, b):
        y = torch.cat([a, b], -1)
        return y.flip(-1) if self.flip else y

    def _call(self, x):
        a, b = self._halves(x)
        s, m = self.net(a).chunk(2, -1)
        return self._join(a, b * s.tanh().exp() + m)

    def _inverse(self, y):
        a, b = self._halves(y)
        s, m = self.net(a).chunk(2, -1)
        return self._join(a, (b - m) * (-s.tanh()).exp())

    def log_abs_det_jacobian(self, x, y):
        return self.net(self._halves(x)[0]).chunk(2, -1)[0].tanh().sum(-1)


nets = nn.ModuleList([nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 2)) for _ in range(4)])
flow = TransformedDistribution(Independent(Normal(torch.zeros(2), torch.ones(2)), 1), [Coupling(n, i % 2) for i, n in enumerate(nets)])
target = MultivariateNormal(torch.tensor([1.0, -1.0]), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
opt = torch.optim.Adam(nets.parameters(), 1e-2)
for it in range(30):
    data = target.sample((64,))
    loss = -flow.log_prob(data).mean()
    opt.zero_grad(), loss.backward(), opt.step()
    if it % 10 == 9:
        print(it, f"{loss:.4f}")
z = flow.rsample((5,))
print(z, flow.log_prob(z), target.log_prob(z.detach()))
lg = TransformedDistribution(Normal(0.0, 1.0), [AffineTransform(loc=1.0, scale=2.0), SigmoidTransform()])
print(lg.log_prob(torch.tensor([0.2, 0.5])), lg.cdf(torch.tensor(0.5)), lg.icdf(torch.tensor(0.5)))
