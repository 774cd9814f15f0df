import os, random, tempfile
import numpy as np
import torch
from torch import nn, optim
from torch.amp import GradScaler, autocast
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

torch.manual_seed(0), np.random.seed(0), random.seed(0)
net = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Dropout(0.1), nn.Linear(32, 4))
opt = optim.Adam(net.parameters(), 1e-2)
scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
X, Y = torch.randn(48, 16), torch.randint(4, (48,))
for i in range(8):
    opt.zero_grad()
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        out = net(X)
        loss = nn.functional.cross_entropy(out, Y)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    gn = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    if i == 4:
        net[0].weight.grad[0, 0] = float("inf")
    scaler.step(opt)
    scaler.update()
    print(i, out.dtype, loss.dtype, f"{loss.item():.2f} {gn:.1f}", scaler.get_scale())
with autocast("cpu"):
    a = torch.mm(X, X.T)
    print(a.dtype, torch.softmax(a, -1).dtype, (a + X[:, :1]).dtype, torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"))
    with autocast("cpu", enabled=False):
        print(torch.mm(X, X.T).dtype)
print(sorted(scaler.state_dict().items()))
# gradient accumulation equals one batch
m = nn.Linear(16, 4)
g0 = torch.autograd.grad(nn.functional.cross_entropy(m(X), Y), m.parameters())
for xb, yb in zip(X.chunk(4), Y.chunk(4)):
    (nn.functional.cross_entropy(m(xb), yb) / 4).backward()
print([torch.allclose(p.grad, g, atol=1e-6) for p, g in zip(m.parameters(), g0)])
# checkpointing
blocks = nn.Sequential(*[nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5), nn.ReLU()) for _ in range(4)])
x = X.clone().requires_grad_()
torch.manual_seed(3)
y = checkpoint(blocks, x, use_reentrant=False)
y.sum().backward()
g1 = x.grad.clone()
x.grad = None
torch.manual_seed(3)
y2 = checkpoint_sequential(blocks, 2, x, use_reentrant=False)
y2.sum().backward()
print(torch.equal(y, y2), torch.allclose(g1, x.grad), y.sum())


def rng():
    return {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}


def train(model, opt, sched, steps):
    out = []
    for _ in range(steps):
        idx = torch.randperm(48)[:12]
        noise = np.random.randn() + random.random()
        loss = nn.functional.cross_entropy(model(X[idx] + 0.01 * noise), Y[idx])
        opt.zero_grad(), loss.backward(), opt.step(), sched.step()
        out.append(round(loss.item(), 5))
    return out


sched = optim.lr_scheduler.CosineAnnealingLR(opt, 20)
train(net, opt, sched, 3)
with tempfile.TemporaryDirectory() as d:
    f = os.path.join(d, "checkpoint.tar")
    torch.save(
        {"epoch": 3, "model": net.state_dict(), "opt": opt.state_dict(), "sched": sched.state_dict(), "rng": rng(), "best": float("inf")}, f
    )
    a = train(net, opt, sched, 4)
    net2 = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Dropout(0.1), nn.Linear(32, 4))
    opt2 = optim.Adam(net2.parameters(), 1e-2)
    sched2 = optim.lr_scheduler.CosineAnnealingLR(opt2, 20)
    ck = torch.load(f, weights_only=False, map_location="cpu")
    net2.load_state_dict(ck["model"]), opt2.load_state_dict(ck["opt"]), sched2.load_state_dict(ck["sched"])
    torch.set_rng_state(ck["rng"]["torch"]), np.random.set_state(ck["rng"]["numpy"]), random.setstate(ck["rng"]["python"])
    b = train(net2, opt2, sched2, 4)
    print(a, a == b, ck["epoch"], ck["best"])
    torch.save(net, os.path.join(d, "whole.pt"))
    whole = torch.load(os.path.join(d, "whole.pt"), weights_only=False)
    print(whole, torch.equal(whole[0].weight, net[0].weight))
    mm = torch.load(f, mmap=True, weights_only=False)
    print(mm["model"]["0.weight"].sum())
