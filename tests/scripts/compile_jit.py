import torch
import torch.nn as nn

torch.manual_seed(5)


@torch.compile(backend="eager")
def foo(x, y):
    return torch.sin(x) + torch.cos(y)


@torch.compile(backend="eager", fullgraph=True, dynamic=False)
def bar(x):
    return x * 2


@torch.jit.script
def fib(x: torch.Tensor, n: int) -> torch.Tensor:
    for _ in range(n):
        if bool(x.sum() > 10):
            x = x / 2
        else:
            x = x * 3
    return x


class Scripted(nn.Module):
    __constants__ = ["k"]

    def __init__(self):
        super().__init__()
        self.l, self.k = nn.Linear(3, 3), 2

    @torch.jit.export
    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scaled(self.l(x)).relu()


class Counter(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            return x.cumsum(0)


x = torch.randn(2, 3)
print(foo(x, x), bar(x), fib(x, 4))
m = Scripted()
s = torch.jit.script(m)
tr = torch.jit.trace(m.l, x)
print(torch.equal(s(x), m(x)), torch.equal(tr(x), m.l(x)), s.scaled(torch.ones(1)), list(s.state_dict()))
c = torch.compile(m, backend="eager")
opt = torch.optim.SGD(c.parameters(), 0.1)
for _ in range(3):
    loss = c(x).sum()
    opt.zero_grad(), loss.backward(), opt.step()
    print(loss.item())
print(type(c).__mro__[1].__name__ in ("Module", "OptimizedModule"), torch.compiler.is_compiling(), torch.jit.is_scripting())
torch.compiler.reset()
torch._dynamo.reset()
print(torch.compiler.disable(lambda a: a + 1)(x).shape)
with torch.jit.optimized_execution(True):
    print(Counter()(x))
fr = torch.jit.freeze(torch.jit.script(Scripted().eval()))
print(fr(torch.zeros(1, 3)).shape)
with torch.inference_mode():
    o = torch.jit.optimize_for_inference(torch.jit.script(Scripted().eval()))(x)
print(o.shape, o.is_inference())


@torch.no_grad()
def evaluate(m):
    return m(x).requires_grad


print(evaluate(m), torch.is_grad_enabled())
with torch.set_grad_enabled(False):
    print(m(x).requires_grad)
with torch.autograd.set_detect_anomaly(True):
    a = torch.tensor([-1.0], requires_grad=True)
    try:
        a.sqrt().backward()
    except RuntimeError as e:
        print(str(e).splitlines()[0])
with torch.autograd.graph.saved_tensors_hooks(
    lambda t: t.numpy() if not t.requires_grad else t, lambda v: torch.from_numpy(v) if not torch.is_tensor(v) else v
):
    b = torch.ones(2, requires_grad=True)
    (b.exp() * torch.ones(2)).sum().backward()
    print(b.grad)
