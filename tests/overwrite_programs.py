"""Values that backward needs and a program overwrote: programs to run under PyTorch and under rushlight."""

from autograd_programs import leaf, registry

PROGRAMS, program = registry()


OVERWRITTEN = []  # called with overwrite=False they leave the values alone


def _overwritten(name, operation, which):
    def run(torch, overwrite=True):
        x, y = leaf(torch, [0.5, 0.7]), leaf(torch, [1.5, 2.5])
        a, b = x * 1, y * 1
        out = operation(torch, a, b)
        with torch.no_grad():
            if overwrite:
                {"first": a, "second": b, "result": out}[which].add_(1)
        out.sum().backward()
        return x.grad, y.grad

    run.__name__ = f"{name}_{which}"
    OVERWRITTEN.append(run)


_BINARY = {
    "add": lambda torch, a, b: a + b,
    "mul": lambda torch, a, b: a * b,
    "div": lambda torch, a, b: a / b,
    "pow": lambda torch, a, b: a**b,
    "atan2": lambda torch, a, b: torch.atan2(a, b),
    "maximum": lambda torch, a, b: torch.maximum(a, b),
    "where": lambda torch, a, b: torch.where(a > b, a, b),
    "lerp": lambda torch, a, b: torch.lerp(a, b, 0.3),
    "addcmul": lambda torch, a, b: torch.addcmul(a, a, b),
    "matmul": lambda torch, a, b: a @ b,
    "cat": lambda torch, a, b: torch.cat([a, b]),
}
for _name, _operation in _BINARY.items():
    for _which in ("first", "second", "result"):
        _overwritten(_name, _operation, _which)

_UNARY = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh cumsum deg2rad erf erfc exp exp2 expm1 floor frac lgamma log"
    " log10 log1p log2 logit logsumexp mean neg prod reciprocal relu round rsqrt sigmoid sign sin sinh softmax"
    " log_softmax sqrt square sum t tan tanh trunc var norm sort clone reshape"
).split()
_ARGUMENTS = {"cumsum": (0,), "softmax": (0,), "log_softmax": (0,), "logsumexp": (0,), "reshape": (2, 1)}


def _unary(name):
    def operation(torch, a, b):
        out = getattr(a if name != "acosh" else a + 1, name)(*_ARGUMENTS.get(name, ()))
        return (out[0] if isinstance(out, tuple) else out) + b.sum() * 0

    return operation


def _unary_result(name):
    def run(torch, overwrite=True):
        x = leaf(torch, [0.5, 0.7])
        a = x * 1 + (1 if name == "acosh" else 0)
        out = getattr(a, name)(*_ARGUMENTS.get(name, ()))
        out = out[0] if isinstance(out, tuple) else out
        with torch.no_grad():
            if overwrite:
                out.mul_(2)
        out.backward(torch.ones(out.shape))
        return x.grad

    run.__name__ = f"{name}_result"
    OVERWRITTEN.append(run)


for _name in _UNARY:
    _overwritten(_name, _unary(_name), "first")
    _unary_result(_name)


@program
def leaf_overwritten_under_no_grad(torch):
    a, w = leaf(torch, [1.0, 1.0]), leaf(torch, [1.0, 1.0])
    c = a * w
    with torch.no_grad():
        a.add_(1)
    c.sum().backward()


@program
def overwritten_through_data(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    y.data.mul_(2)
    y.sum().backward()
    return x.grad, y._version


@program
def data_counts_its_own_writes(torch):
    x = torch.ones(3)
    x.add_(1)
    d = x.data
    d.add_(1)
    x.mul_(2)
    x.mul_(2)
    return x._version, d._version, d[0]._version, d.detach()._version, d.data._version


@program
def writes_to_a_tensor_spare_its_data(torch):
    w, x = leaf(torch, [1.0, 2.0]), torch.ones(2)
    y = w * x.data
    x.mul_(2)
    y.sum().backward()
    return w.grad


@program
def overwritten_data(torch):
    w, d = leaf(torch, [1.0, 2.0]), torch.ones(2).data
    y = w * d
    d[:1].mul_(2)
    y.sum().backward()


@program
def assigned_data_keeps_the_count(torch):
    x, z = torch.ones(3), torch.ones(3)
    x.add_(1)
    x.data = z
    seen = [x._version, z._version]
    z.add_(1)
    seen += [x._version, z._version]
    x.add_(1)
    return *seen, x._version, z._version, z


@program
def assigned_data_is_what_backward_reads(torch):
    p = leaf(torch, [1.0, 2.0])
    y = p * p
    p.data = torch.ones(2).add_(2).add_(2)
    y.sum().backward()
    return p.grad


@program
def set_storage_counts_on_its_own(torch):
    x = torch.ones(3)
    ways = [torch.empty(0).set_(x), torch.empty(0).set_(x.untyped_storage())]
    seen = [t._version for t in ways]
    ways[0].add_(1)
    return *seen, *(t._version for t in ways), x._version, x


@program
def resized_and_transposed_versions(torch):
    x, seen = torch.ones(3), []
    for change in (lambda: x.resize_(2), lambda: x.resize_(10), lambda: x.resize_(2, 3), x.t_, x.zero_, x.detach_):
        change()
        seen.append(x._version)
    return tuple(seen)


@program
def one_version_for_a_result(torch):
    x, out, seen = torch.ones(2, 2), torch.empty(0), []
    for call in (
        lambda: torch.add(x, x, out=out), lambda: torch.mm(x, x, out=out), lambda: torch.sum(x, 0, out=out),
        lambda: torch.cat([x, x], out=out),
        lambda: torch.sort(x, out=(out, torch.empty(0, dtype=torch.int64))), lambda: torch.linalg.inv(torch.eye(2), out=out),
    ):
        out.data = torch.empty(0)
        call()
        seen.append(out._version)
    return tuple(seen)


@program
def overwritten_through_detach(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    y.detach().mul_(2)
    y.sum().backward()


@program
def overwritten_through_a_view(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    with torch.no_grad():
        y[:1].zero_()
    y.sum().backward()


@program
def versions(torch):
    x = torch.zeros(4)
    v = x[:2]
    x.add_(1)
    v.mul_(2)
    v[0] = 5
    return x._version, v._version, x.detach()._version, x
