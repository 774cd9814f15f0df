import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
import torch.optim as optim
from torch.optim import lr_scheduler as S

torch.manual_seed(0)
X, Y = torch.randn(64, 6), torch.randn(64, 1)
loader = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 64, 16)]
net = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 1))
swa = AveragedModel(net)
ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
cust = AveragedModel(net, avg_fn=lambda a, p, n: 0.5 * a + 0.5 * p)
opt = optim.SGD(net.parameters(), lr=0.1)
sch = S.CosineAnnealingLR(opt, T_max=10)
swa_sch = SWALR(opt, swa_lr=0.05, anneal_epochs=3, anneal_strategy="cos")
for epoch in range(8):
    for xb, yb in loader:
        opt.zero_grad()
        loss = nn.functional.mse_loss(net(xb), yb)
        loss.backward()
        opt.step()
        ema.update_parameters(net)
    if epoch >= 3:
        swa.update_parameters(net)
        cust.update_parameters(net)
        swa_sch.step()
    else:
        sch.step()
    print(epoch, f"{loss.item():.5f} {opt.param_groups[0]['lr']:.6f}")
update_bn(((x, y) for x, y in loader), swa)
for m in (swa, ema, cust):
    m.eval()
    print(m(X).mean(), m.n_averaged, m.module[1].running_mean[:3])
print(list(swa.state_dict())[:3])


def lrs(make, steps=12, metric=None, opt_cls=optim.SGD, **kw):
    p = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    o = opt_cls([{"params": p[:1]}, {"params": p[1:], "lr": 0.5}], lr=0.1, **kw)
    s, out = make(o), []
    for i in range(steps):
        out.append([round(g["lr"], 6) for g in o.param_groups])
        o.step()
        s.step(metric[i]) if metric else s.step()
    return out, {k: v for k, v in s.state_dict().items() if isinstance(v, (int, float, list)) and k[0] != "_"}


for name, make in {
    "step": lambda o: S.StepLR(o, 3, 0.5),
    "multi": lambda o: S.MultiStepLR(o, [2, 5], 0.1),
    "const": lambda o: S.ConstantLR(o, 0.25, 4),
    "linear": lambda o: S.LinearLR(o, 0.1, 1.0, 6),
    "exp": lambda o: S.ExponentialLR(o, 0.9),
    "poly": lambda o: S.PolynomialLR(o, 8, 2.0),
    "cos": lambda o: S.CosineAnnealingLR(o, 5, 1e-3),
    "warm": lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2),
    "lambda": lambda o: S.LambdaLR(o, [lambda e: e / 10, lambda e: 0.9**e]),
    "mult": lambda o: S.MultiplicativeLR(o, lambda e: 0.95),
    "one": lambda o: S.OneCycleLR(o, max_lr=[1.0, 2.0], total_steps=12, pct_start=0.25, three_phase=True),
    "one2": lambda o: S.OneCycleLR(o, 1.0, epochs=3, steps_per_epoch=4, anneal_strategy="linear", cycle_momentum=False),
    "cyc": lambda o: S.CyclicLR(o, 0.01, 0.3, 3, mode="triangular2", cycle_momentum=False),
    "seq": lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=3), S.CosineAnnealingLR(o, 9)], milestones=[3]),
    "chain": lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.9)]),
}.items():
    print(name, *lrs(make))
print(
    lrs(
        lambda o: S.ReduceLROnPlateau(o, "min", 0.5, patience=1, threshold=1e-2, cooldown=1),
        metric=[1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    )
)
print(lrs(lambda o: S.CyclicLR(o, 0.01, 0.3, 3, mode="exp_range", gamma=0.9), momentum=0.9))
p = [nn.Parameter(torch.ones(3))]
o = optim.AdamW(p, lr=1e-3)
best, lr = None, 1e-4
for i in range(20):  # learning-rate finder
    for g in o.param_groups:
        g["lr"] = lr
    loss = (p[0] - 2).pow(2).sum()
    o.zero_grad(), loss.backward(), o.step()
    lr *= 1.5
print(loss.item(), lr, p)
s = S.StepLR(o, 2)
sd = s.state_dict()
s2 = S.StepLR(optim.SGD(p, 0.1), 5)
s2.load_state_dict(sd)
print(s2.step_size, s2.last_epoch, sd)
