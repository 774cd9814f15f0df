import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(8)
T = 50


def cosine_beta_schedule(timesteps, s=0.008):
    x = torch.linspace(0, timesteps, timesteps + 1, dtype=torch.float64)
    a = torch.cos(((x / timesteps) + s) / (1 + s) * math.pi * 0.5) ** 2
    a = a / a[0]
    return torch.clip(1 - (a[1:] / a[:-1]), 0, 0.999)


def extract(a, t, shape):
    b, *_ = t.shape
    return a.gather(-1, t).reshape(b, *((1,) * (len(shape) - 1)))


class SinusoidalPosEmb(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        half = self.dim // 2
        emb = torch.exp(torch.arange(half, device=x.device) * -(math.log(10000) / (half - 1)))
        emb = x[:, None] * emb[None, :]
        return torch.cat((emb.sin(), emb.cos()), dim=-1)


class WeightStandardizedConv2d(nn.Conv2d):
    def forward(self, x):
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        var = self.weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        return F.conv2d(x, (self.weight - mean) * (var + 1e-5).rsqrt(), self.bias, self.stride, self.padding, self.dilation, self.groups)


class Block(nn.Module):
    def __init__(self, i, o, t):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(t, o * 2))
        self.c1, self.n1, self.act = WeightStandardizedConv2d(i, o, 3, padding=1), nn.GroupNorm(2, o), nn.SiLU()
        self.res = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, t):
        scale, shift = self.mlp(t)[:, :, None, None].chunk(2, dim=1)
        return self.act(self.n1(self.c1(x)) * (scale + 1) + shift) + self.res(x)


class LinearAttention(nn.Module):
    def __init__(self, dim, heads=2, d=4):
        super().__init__()
        self.scale, self.heads = d**-0.5, heads
        self.to_qkv, self.to_out = nn.Conv2d(dim, heads * d * 3, 1, bias=False), nn.Conv2d(heads * d, dim, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = (t.view(b, self.heads, -1, h * w) for t in self.to_qkv(x).chunk(3, dim=1))
        q, k = q.softmax(-2) * self.scale, k.softmax(-1)
        ctx = torch.einsum("b h d n, b h e n -> b h d e", k, v)
        return x + self.to_out(torch.einsum("bhde,bhdn->bhen", ctx, q).reshape(b, -1, h, w))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(SinusoidalPosEmb(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 16))
        self.a, self.b, self.at, self.c = Block(1, 8, 16), Block(8, 16, 16), LinearAttention(16), Block(24, 8, 16)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x, t):
        t = self.time(t)
        h = self.a(x, t)
        m = self.at(self.b(F.avg_pool2d(h, 2), t))
        return self.out(self.c(torch.cat([h, F.interpolate(m, scale_factor=2, mode="nearest")], 1), t))


class Diffusion(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        betas = cosine_beta_schedule(T)
        reg = lambda n, v: self.register_buffer(n, v.to(torch.float32))
        ac = torch.cumprod(1 - betas, 0)
        prev = F.pad(ac[:-1], (1, 0), value=1.0)
        (
            reg("betas", betas),
            reg("ac", ac),
            reg("s", ac.sqrt()),
            reg("s1", (1 - ac).sqrt()),
            reg("var", betas * (1 - prev) / (1 - ac)),
            reg("ra", (1 / (1 - betas)).sqrt()),
        )

    def loss(self, x):
        t = torch.randint(0, T, (x.shape[0],)).long()
        noise = torch.randn_like(x)
        return F.smooth_l1_loss(self.net(extract(self.s, t, x.shape) * x + extract(self.s1, t, x.shape) * noise, t), noise)

    @torch.no_grad()
    def sample(self, n):
        x = torch.randn(n, 1, 8, 8)
        for i in reversed(range(T)):
            t = torch.full((n,), i, dtype=torch.long)
            mean = extract(self.ra, t, x.shape) * (x - extract(self.betas, t, x.shape) / extract(self.s1, t, x.shape) * self.net(x, t))
            x = mean if i == 0 else mean + extract(self.var, t, x.shape).sqrt() * torch.randn_like(x)
        return x.clamp_(-1, 1)


net = Diffusion(Net())
ema = {k: v.clone() for k, v in net.state_dict().items()}
opt = torch.optim.Adam(net.parameters(), 2e-3, betas=(0.9, 0.99))
data = torch.zeros(32, 1, 8, 8)
data[:, :, 2:6, 2:6] = 1
for it in range(12):
    loss = net.loss(data[torch.randint(32, (16,))] * 2 - 1)
    opt.zero_grad()
    loss.backward()
    opt.step()
    for k, v in net.state_dict().items():
        ema[k].lerp_(v, 0.1)
    if it % 3 == 2:
        print(it, f"{loss.item():.5f}")
s = net.sample(2)
print(s.shape, s.mean(), s[0, 0, ::3, ::3], sum(v.sum().item() for v in ema.values()))
print(sum(p.numel() for p in net.parameters()), len(net.state_dict()))
