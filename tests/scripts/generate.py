import math
import torch
import torch.nn as nn
from torch.nn import functional as F
from dataclasses import dataclass

torch.manual_seed(1337)


@dataclass
class Config:
    V: int = 20
    T: int = 32
    D: int = 32
    H: int = 4
    L: int = 2


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


def precompute_freqs_cis(dim, end, theta=10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    return torch.polar(torch.ones(end, dim // 2), torch.outer(torch.arange(end), freqs))


def apply_rotary_emb(x, f):
    x_ = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(x_ * f[None, :, None]).flatten(3).type_as(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.wq, self.wo = nn.Linear(c.D, c.D, bias=False), nn.Linear(c.D, c.D, bias=False)
        self.wk, self.wv = nn.Linear(c.D, c.D // 2, bias=False), nn.Linear(c.D, c.D // 2, bias=False)
        self.cache = None

    def forward(self, x, f, mask, start):
        B, T, D = x.shape
        hd = D // self.c.H
        q = apply_rotary_emb(self.wq(x).view(B, T, self.c.H, hd), f)
        k = apply_rotary_emb(self.wk(x).view(B, T, self.c.H // 2, hd), f)
        v = self.wv(x).view(B, T, self.c.H // 2, hd)
        if self.cache is not None:
            self.cache[0][:B, start : start + T] = k
            self.cache[1][:B, start : start + T] = v
            k, v = (t[:B, : start + T] for t in self.cache)
        k, v = (torch.repeat_interleave(t, 2, dim=2) for t in (k, v))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        s = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(hd)
        if mask is not None:
            s = s + mask
        o = F.softmax(s.float(), dim=-1).type_as(q) @ v
        return self.wo(o.transpose(1, 2).contiguous().view(B, T, -1))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.n1, self.n2 = Attention(c), RMSNorm(c.D), RMSNorm(c.D)
        self.w1, self.w2, self.w3 = nn.Linear(c.D, 48, bias=False), nn.Linear(48, c.D, bias=False), nn.Linear(c.D, 48, bias=False)

    def forward(self, x, f, m, s):
        x = x + self.a(self.n1(x), f, m, s)
        h = self.n2(x)
        return x + self.w2(F.silu(self.w1(h)) * self.w3(h))


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.e = nn.Embedding(c.V, c.D)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.L))
        self.n, self.o = RMSNorm(c.D), nn.Linear(c.D, c.V, bias=False)
        self.register_buffer("f", precompute_freqs_cis(c.D // c.H, c.T * 2), persistent=False)
        self.apply(lambda m: nn.init.normal_(m.weight, std=0.1) if isinstance(m, (nn.Linear, nn.Embedding)) else None)

    def forward(self, t, start=0):
        h, T = self.e(t), t.size(1)
        mask = None
        if T > 1:
            mask = torch.triu(torch.full((T, T), float("-inf")), diagonal=1)
            mask = torch.hstack([torch.zeros((T, start)), mask]).type_as(h)
        for b in self.blocks:
            h = b(h, self.f[start : start + T], mask, start)
        return self.o(self.n(h)).float()


def sample(logits, temperature=1.0, top_k=None, top_p=None):
    logits = logits / temperature
    if top_k is not None:
        v, _ = torch.topk(logits, top_k)
        logits[logits < v[:, [-1]]] = -float("Inf")
    if top_p is not None:
        s, idx = torch.sort(logits, descending=True)
        cum = torch.cumsum(F.softmax(s, -1), -1)
        remove = cum > top_p
        remove[..., 1:] = remove[..., :-1].clone()
        remove[..., 0] = 0
        logits = logits.masked_fill(remove.scatter(1, idx, remove), float("-inf"))
    return torch.multinomial(F.softmax(logits, -1), 1)


c = Config()
m = Llama(c)
opt = torch.optim.AdamW(m.parameters(), lr=1e-2, betas=(0.9, 0.95), fused=False)
data = torch.arange(400).remainder(7).mul(3).remainder(c.V)
for it in range(20):
    ix = torch.randint(len(data) - 17, (8,))
    x = torch.stack([data[i : i + 16] for i in ix])
    y = torch.stack([data[i + 1 : i + 17] for i in ix])
    loss = F.cross_entropy(m(x).flatten(0, 1), y.flatten())
    loss.backward()
    opt.step()
    opt.zero_grad(set_to_none=True)
    if it % 5 == 4:
        print(it, loss.item())
m.eval()


@torch.inference_mode()
def generate(prompt, n, use_cache, **kw):
    for b in m.blocks:
        b.a.cache = (torch.zeros(4, c.T, 2, 8), torch.zeros(4, c.T, 2, 8)) if use_cache else None
    t, start = prompt, 0
    for _ in range(n):
        logits = m(t[:, start:] if use_cache else t, start)[:, -1]
        if use_cache:
            start = t.size(1)
        t = torch.cat([t, sample(logits, **kw) if kw else logits.argmax(-1, keepdim=True)], 1)
    return t


p = torch.tensor([[0, 3], [6, 9]])
a, b = generate(p, 10, True), generate(p, 10, False)
print(a, torch.equal(a, b))
for kw in (dict(temperature=1.5), dict(top_k=4), dict(top_p=0.9, temperature=2.0)):
    print(kw, generate(p, 10, True, **kw).tolist())


def beam_search(prompt, n, k=3):
    beams = [(0.0, prompt)]
    for _ in range(n):
        cand = []
        for s, t in beams:
            lp = F.log_softmax(m(t)[0, -1], -1)
            v, i = lp.topk(k)
            cand += [(s + v[j].item(), torch.cat([t, i[j].view(1, 1)], 1)) for j in range(k)]
        beams = sorted(cand, key=lambda c: c[0], reverse=True)[:k]
    return beams


for b in m.blocks:
    b.a.cache = None
with torch.no_grad():
    for s, t in beam_search(p[:1], 5):
        print(f"{s:.4f}", t.tolist())
