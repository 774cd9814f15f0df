import torch
import torch.optim as optim
from torch import nn

torch.manual_seed(0)
X, Y = torch.randn(40, 5), torch.randn(40, 2)
init = nn.Sequential(nn.Linear(5, 8), nn.Softplus(), nn.Linear(8, 2)).state_dict()


def fresh():
    m = nn.Sequential(nn.Linear(5, 8), nn.Softplus(), nn.Linear(8, 2))
    m.load_state_dict(init)
    return m


for name, make in {
    "sgd": lambda p: optim.SGD(p, 0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "max": lambda p: optim.SGD(p, 0.001, maximize=True),
    "nest": lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, 1e-2, foreach=True),
    "adamax": lambda p: optim.Adamax(p),
    "nadam": lambda p: optim.NAdam(p, decoupled_weight_decay=True, weight_decay=0.1),
    "radam": lambda p: optim.RAdam(p, 1e-2),
    "adagrad": lambda p: optim.Adagrad(p, lr_decay=0.1, initial_accumulator_value=0.1),
    "adadelta": lambda p: optim.Adadelta(p, rho=0.8),
    "rms": lambda p: optim.RMSprop(p, momentum=0.5, centered=True),
    "rprop": lambda p: optim.Rprop(p),
    "asgd": lambda p: optim.ASGD(p, t0=2),
    "adafactor": lambda p: optim.Adafactor(p, 1e-2),
    "lbfgs": lambda p: optim.LBFGS(p, max_iter=4),
    "tensor-lr": lambda p: optim.Adam(p, lr=torch.tensor(1e-2)),
}.items():
    m = fresh()
    o = make(m.parameters())

    def closure():
        o.zero_grad()
        loss = nn.functional.mse_loss(m(X), Y)
        loss.backward()
        return loss

    out = [float(o.step(closure)) for _ in range(5)]
    sd = o.state_dict()
    m2 = fresh()
    m2.load_state_dict(m.state_dict())
    o2 = make(m2.parameters())
    o2.load_state_dict(sd)
    l1 = float(o.step(closure))
    m, o, keep = m2, o2, o
    l2 = float(o.step(closure))
    print(name, [f"{v:.5f}" for v in out], l1 == l2, sorted(sd["state"].get(0, {})), sorted(sd["param_groups"][0]))
mats = [p for p in fresh().parameters() if p.ndim == 2]
o = optim.Muon(mats, lr=0.02)
for p in mats:
    p.grad = torch.ones_like(p) + torch.arange(p.numel()).view_as(p) / 10
o.step()
print([p.sum().item() for p in mats])
m = fresh()
o = optim.SGD([{"params": m[0].parameters(), "name": "first"}, {"params": m[2].bias, "lr": 1.0}], lr=0.1)
o.add_param_group({"params": [m[2].weight], "weight_decay": 0.5})
print(len(o.param_groups), [len(g["params"]) for g in o.param_groups], o.param_groups[0]["name"], o.defaults["lr"])
print(o)
for bad in (
    lambda: optim.SGD([], 0.1),
    lambda: optim.SGD(m.parameters(), -1.0),
    lambda: optim.Adam(m.parameters(), betas=(1.5, 0.9)),
    lambda: o.add_param_group({"params": m[0].weight}),
    lambda: optim.SGD([torch.ones(1, requires_grad=True) * 2], 0.1),
    lambda: optim.SGD(torch.ones(2), 0.1),
):
    try:
        bad()
        print("no error")
    except Exception as e:
        print(type(e).__name__, str(e).splitlines()[0])
calls = []
h = o.register_step_pre_hook(lambda opt, a, k: calls.append("pre"))
o.register_step_post_hook(lambda opt, a, k: calls.append("post"))
o.step()
print(calls)
named = optim.Adam(m.named_parameters(), 1e-3)
print(named.param_groups[0]["param_names"] if "param_names" in named.param_groups[0] else None)
m = fresh()  # one optimizer per parameter, in the backward pass
opts = {p: optim.SGD([p], 0.1, foreach=False) for p in m.parameters()}
for p in m.parameters():
    p.register_post_accumulate_grad_hook(lambda p: (opts[p].step(), opts[p].zero_grad())[:0] or None)
for _ in range(3):
    l = nn.functional.mse_loss(m(X), Y)
    l.backward()
print(l.item(), [p.grad for p in m.parameters()])
print(nn.utils.get_total_norm([torch.ones(3), torch.ones(1) * 2]), nn.utils.clip_grad_norm_(torch.nn.Parameter(torch.ones(1)), 1.0))
