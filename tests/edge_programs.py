"""Where gradients meet other dtypes, out= and tensors handed back as they are: programs to run under PyTorch and under rushlight."""

import warnings

from autograd_programs import leaf, registry

PROGRAMS, program = registry()


@program
def conjugate_of_a_real_leaf_is_the_leaf(torch):
    x, m = leaf(torch, [1.0, 2.0]), leaf(torch, [[1.0, 2.0]])
    found = [x.conj() is x, x.conj_physical() is x, x.is_leaf, m.mH.grad_fn is None, m.is_leaf]
    (x.conj() * torch.tensor([2.0, 3.0])).sum().backward()
    return found, x.grad


@program
def joined_with_numbers_that_have_no_gradient(torch):
    x, n, m = leaf(torch, [3.0, 4.0]), torch.tensor([1, 2]), torch.tensor([True])
    weights = torch.arange(10.0)
    return [
        torch.autograd.grad((torch.cat([m, n, x, n, x]) * weights[:9]).sum(), x),
        torch.autograd.grad((torch.stack([n, x, n]) * weights[:6].reshape(3, 2)).sum(), x),
        torch.autograd.grad((torch.hstack([n, x]) * weights[:4]).sum(), x),
        torch.autograd.grad((torch.cat([n[:0], x, n], 0) * weights[:4]).sum(), x),
    ]


def _out(name, call):
    def run(torch):
        return call(torch, leaf(torch, [2.0, 1.0]))

    run.__name__ = f"out_of_{name}"
    PROGRAMS.append(run)


for _name, _call in {
    "eq": lambda torch, x: torch.eq(x, x, out=torch.zeros(2)),
    "signbit": lambda torch, x: torch.signbit(x, out=torch.zeros(2, dtype=torch.bool)),
    "argmax": lambda torch, x: torch.argmax(x, out=torch.zeros((), dtype=torch.int64)),
    "any": lambda torch, x: torch.any(x, dim=0, out=torch.zeros((), dtype=torch.bool)),
    "searchsorted": lambda torch, x: torch.searchsorted(torch.ones(3), x, out=torch.zeros(2, dtype=torch.int64)),
    "exp": lambda torch, x: torch.exp(x, out=torch.zeros(2)),
    "sum": lambda torch, x: torch.sum(x, 0, out=torch.zeros(())),
    "sort": lambda torch, x: torch.sort(x, out=(torch.zeros(2), torch.zeros(2, dtype=torch.int64))),
    "max": lambda torch, x: torch.max(x, 0, out=(torch.zeros(()), torch.zeros((), dtype=torch.int64))),
    "cat": lambda torch, x: torch.cat([x, x], out=torch.zeros(4)),
    "exp_detached": lambda torch, x: torch.exp(x.detach(), out=torch.zeros(2)),
}.items():
    _out(_name, _call)


@program
def views_in_another_dtype_have_no_gradient(torch):
    x = leaf(torch, [1.0, 2.0])
    bits, same = x.view(torch.int32), (x * 1).view(torch.float32)
    with torch.no_grad():
        x.mul_(2)
    return bits, bits.requires_grad, bits.is_leaf, same.requires_grad, x.view(torch.int32).sum()


@program
def pieces_of_tensor_split_may_be_written_to(torch):
    x = leaf(torch, [1.0, 2.0, 3.0])
    y = x * 2
    first, second = y.tensor_split(2)
    first.mul_(3)
    second.exp_()
    y.square().sum().backward()
    return y, x.grad, [t for t in torch.arange(7).tensor_split(3)], [t for t in torch.arange(2).tensor_split(4)]


@program
def parts_of_complex_numbers_are_assigned(torch):
    z, x = leaf(torch, [1 + 2j, 3j]), leaf(torch, [5.0, 6.0])
    y = z * 1
    y.imag = x
    y.real = torch.tensor([1.0, 1.0])
    y.abs().sum().backward()
    r = torch.ones(2)
    r.real = torch.zeros(2)
    return y, z.grad, x.grad, r


@program
def strided_views_of_views(torch):
    """Elements in memory that the tensor viewed shows several times, or not at all."""
    x, found = leaf(torch, [1.0, 2.0, 3.0]), []
    for view in (
        lambda y: y.expand(2, 3).as_strided((3,), (1,)),
        lambda y: y.unfold(0, 2, 1).as_strided((3,), (1,)),
        lambda y: y[1:].as_strided((2,), (1,), 0),
        lambda y: y[:2].as_strided((2, 2), (0, 2), 0),
        lambda y: y.flip(0)[::2].as_strided((2,), (1,), 1),
    ):
        z = view(x * 1)
        (first,) = torch.autograd.grad((z * z * z).sum(), x, create_graph=True)
        found.append((z, first, torch.autograd.grad((first * first).sum(), x)))
    return found


@program
def complex_view_of_real_numbers_is_written_to(torch):
    x, w = leaf(torch, [[1.0, 2.0], [3.0, 4.0], [0.5, -1.0]]), leaf(torch, [1 + 1j, 2j])
    y = x * 2
    z = torch.view_as_complex(y)[1:]
    z.mul_(w)
    z.conj()[0] = w[1]
    weights = torch.tensor([[1.0, 10.0], [100.0, 1000.0], [3.0, 5.0]])
    (y * weights).sum().backward(retain_graph=True)
    found = [y, z, x.grad.clone(), w.grad.clone()]
    z.abs().sum().backward()
    return found, x.grad, w.grad


@program
def one_number_of_another_dtype_through_a_mask(torch):
    mask, w = torch.tensor([[True, False, True], [False, True, False]]), leaf(torch, [2.5], dtype=torch.float64)
    x, labels = torch.zeros(2, 3), torch.arange(6).reshape(2, 3)
    x[mask] = w
    x.sum().backward()
    labels[mask] = torch.tensor([[-100]], dtype=torch.int32)
    labels[:, mask[1]] = torch.tensor(2.5)
    return x, w.grad, labels, torch.zeros(2, 3).index_put((mask[:, 0],), torch.tensor(3))


@program
def several_numbers_of_another_dtype_through_a_mask(torch):
    torch.zeros(3)[torch.tensor([True, True, False])] = torch.ones(2, dtype=torch.float64)


@program
def complex_of_complex_numbers(torch):
    z = torch.ones(2, dtype=torch.complex64)
    torch.complex(z, z)


# -- numbers that a dtype cannot hold, bool operands, wrong modes --


def outcomes(calls):
    """What each call returns, or the type and first line of what it raises."""
    found = []
    for call in calls:
        try:
            found.append(call())
        except Exception as error:
            found.append((type(error).__name__, str(error).split("\n")[0]))
    return found


@program
def numbers_beyond_a_dtype(torch):
    mask, first = torch.tensor([True, False, True]), torch.tensor([0])

    def ways(x, value):
        def put(key):
            y = x.clone()
            y[key] = value
            return y

        yield lambda: put(mask)
        yield lambda: put(0)
        yield lambda: x.masked_fill(mask, value)
        yield lambda: x.index_fill(0, first, value)
        yield lambda: x.clone().fill_(value)
        yield lambda: torch.full_like(x, value)
        if not isinstance(value, torch.Tensor):
            yield lambda: x.scatter(0, first, value)
            yield lambda: torch.where(mask, x, value)
            yield lambda: x.clamp(min=value)

    found = []
    for dtype in (torch.uint8, torch.int8, torch.int64, torch.bfloat16, torch.float32):
        x = torch.zeros(3, dtype=dtype)
        for value in (-3.0, 300, float("nan"), float("inf"), 1e39):
            tensor = torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None, device="cpu")  # a GPU is not waited for
            found.append(outcomes([*ways(x, value), *ways(x, tensor)]))
    return found


@program
def attention_masked_with_more_than_half_holds(torch):
    torch.zeros(2, 2, dtype=torch.float16).masked_fill(torch.ones(2, 2, dtype=torch.bool), -1e9)


@program
def subtraction_with_bools(torch):
    x, i, m = torch.tensor([1.0, 2.0]), torch.tensor([1, 2]), torch.tensor([True, False])
    return outcomes([
        lambda: x - m, lambda: m - x, lambda: m - m, lambda: i - m, lambda: x - True, lambda: 1 - m, lambda: m - 2.5,
        lambda: torch.rsub(m, x), lambda: x.sub_(m), lambda: x - torch.tensor(True), lambda: x - 1,
        lambda: torch.sub(x, m, out=torch.empty(2)),
        lambda: torch.add(x, m, alpha=True), lambda: torch.add(m, m, alpha=True), lambda: torch.sub(x, x, alpha=True), lambda: x + m,
    ])  # fmt: skip


@program
def modes_are_bools(torch):
    found = outcomes([lambda: torch.set_grad_enabled("a"), lambda: torch.set_grad_enabled(1), lambda: torch.set_grad_enabled(None)])
    return found, torch.is_grad_enabled()


@program
def half_complex(torch):
    h = torch.tensor([1.0, -2.5], dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls these numbers experimental
        z = torch.complex(h, h)
    return torch.view_as_real(z).float(), str(z.dtype)[-9:]


@program
def bernoulli_into_other_dtypes(torch):
    p = torch.tensor([0.0, 1.0])
    return [torch.bernoulli(p, out=torch.empty(2, dtype=dtype)) for dtype in (torch.int64, torch.bool, torch.float64)]


@program
def constructors_name_their_module(torch):
    nn = torch.nn
    kinds = "Conv2d ConvTranspose1d ReLU AvgPool2d LazyConv2d Softmax ZeroPad2d ReflectionPad1d CELU BatchNorm2d InstanceNorm1d Linear"

    class Own(nn.Conv2d):
        pass

    classes = [getattr(nn, kind) for kind in kinds.split()] + [Own]
    return outcomes([lambda kind=kind: kind(3, 4, bad=3) for kind in classes] + [lambda kind=kind: kind(*range(1, 30)) for kind in classes])


@program
def none_for_a_tensor(torch):
    x = torch.ones(2)

    def data():
        x.data = None

    calls = [lambda: torch.complex(x, None), lambda: torch.polar(None, x), lambda: torch.flip(None, [0]), data]
    return [kind for kind, _ in outcomes(calls)]


@program
def group_norm_of_single_values(torch):
    torch.nn.GroupNorm(4, 4)(torch.ones(1, 4, 1))


@program
def group_norm_of_other_channels(torch):
    torch.nn.GroupNorm(2, 4)(torch.ones(2, 6, 3))
