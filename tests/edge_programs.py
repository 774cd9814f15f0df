"""Where gradients meet other dtypes, out= and tensors handed back as they are: programs to run under PyTorch and under rushlight."""

from autograd_programs import leaf

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


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
