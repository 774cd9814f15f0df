import copy, io, json, os, tempfile, warnings
import torch
import torch.nn as nn
import torch.utils.benchmark as benchmark
from torch.profiler import ProfilerActivity, profile, record_function, schedule
from torch.testing import assert_close, make_tensor

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
x = torch.randn(4, 8)
with profile(activities=[ProfilerActivity.CPU], record_shapes=True, profile_memory=True, with_stack=False) as prof:
    with record_function("model_inference"):
        net(x).sum().backward()
names = {e.key for e in prof.key_averages()}
print("model_inference" in names, "aten::linear" in names or "aten::addmm" in names, any("Backward" in n for n in names))
table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=5)
print("Self CPU time total" in table)
with tempfile.TemporaryDirectory() as d:
    f = os.path.join(d, "trace.json")
    prof.export_chrome_trace(f)
    print(len(json.load(open(f))["traceEvents"]) > 3)
    steps = []
    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=1), on_trace_ready=lambda p: steps.append(p.step_num)) as p:
        for i in range(6):
            net(x)
            p.step()
    print(steps)
t = benchmark.Timer(
    stmt="x @ x.T", setup="import torch; x = torch.randn(8, 8)", num_threads=1, label="mm", sub_label="8", description="here"
)
m = t.timeit(20)
print(type(m).__name__, m.median > 0, m.number_per_run)
print(str(benchmark.Compare([m])).__class__.__name__)
assert_close(torch.ones(2), torch.ones(2) + 1e-7)
for a, b in (
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5])),
    (torch.ones(2), torch.ones(3)),
    (torch.ones(2), torch.ones(2).double()),
    ([torch.ones(1)], [torch.zeros(1)]),
    ({"a": 1.0}, {"a": 2.0}),
):
    try:
        assert_close(a, b)
    except AssertionError as e:
        print(e)
print(make_tensor((2, 2), dtype=torch.int64, device="cpu", low=0, high=5).shape)


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ModuleList([nn.ReLU(), nn.Linear(2, 1, bias=False)])})
        self.ps = nn.ParameterList([nn.Parameter(torch.ones(i + 1)) for i in range(2)])
        self.pd = nn.ParameterDict({"x": nn.Parameter(torch.zeros(1))})
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("tmp", torch.ones(1), persistent=False)
        self.register_parameter("none", None)
        self.tied = self.layers["a"]
        self.plain = 3

    def extra_repr(self):
        return f"plain={self.plain}"

    def forward(self, x):
        self.steps += 1
        for k, l in self.layers.items():
            x = l(x) if k == "a" else l[1](l[0](x))
        return x * self.ps[0] + self.pd["x"]

    def get_extra_state(self):
        return {"plain": self.plain}

    def set_extra_state(self, s):
        self.plain = s["plain"]


e = Everything()
print(e)
print([n for n, _ in e.named_parameters()], [n for n, _ in e.named_buffers()], [n for n, _ in e.named_modules()], len(list(e.parameters())))
print(list(e.state_dict()), [n for n, _ in e.named_parameters(remove_duplicate=False)][-2:], [n for n, _ in e.named_children()])
c = copy.deepcopy(e)
c.plain = 9
print(c.tied is c.layers["a"], e(torch.ones(1, 2)).shape, e.steps, c.steps, e.load_state_dict(c.state_dict()), e.plain)
try:
    e.load_state_dict({"wrong": torch.ones(1)})
except RuntimeError as err:
    print(str(err).splitlines()[0])
r = nn.Linear(2, 2).load_state_dict({"weight": torch.ones(2, 2), "more": torch.ones(1)}, strict=False)
print(r, r.missing_keys)
e.half()
print(e.tied.weight.dtype, e.steps.dtype, e.double().tied.weight.dtype, e.to(torch.bfloat16).ps[0].dtype)
e.float().zero_grad()
buf = io.BytesIO()
torch.save(e.state_dict(), buf)
buf.seek(0)
print(list(torch.load(buf))[:2], sum(p.numel() for p in e.parameters()))
b = io.BytesIO()
b_ = e.requires_grad_(False)
print([p.requires_grad for p in e.parameters()], e.training, e.eval().training, e.get_parameter("ps.1"), e.get_buffer("steps"))
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always")
    torch.nn.functional.mse_loss(torch.ones(3), torch.ones(3, 1))
    print(len(w), w and str(w[0].message).splitlines()[0][:60])
print(nn.utils.parameters_to_vector(nn.Linear(2, 1).parameters()).shape)
seq = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
seq.append(nn.Linear(1, 2)).insert(1, nn.Tanh()).extend([nn.Sigmoid()])
print(seq, len(seq), seq[-1], seq[1:3])
del seq[0]
print(seq, seq + nn.Sequential(nn.Identity()))
