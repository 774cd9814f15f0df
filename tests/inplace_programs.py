"""In-place writes, views and versions: programs to run under PyTorch and under rushlight."""

import warnings

from autograd_programs import leaf, registry

PROGRAMS, program = registry()


# -- refused --


@program
def leaf_write(torch):
    leaf(torch, [1.0, 2.0]).add_(1)


@program
def view_of_leaf_write(torch):
    leaf(torch, [1.0, 2.0])[:1].add_(1)


@program
def unbound_view_write(torch):
    a, _ = (leaf(torch, [[1.0, 2.0], [3.0, 4.0]]) * 1).unbind()
    a.add_(1)


@program
def base_of_split_write(torch):
    x = leaf(torch, [1.0, 2.0, 3.0, 4.0]) * 1
    a, _ = x.split(2)
    x.add_(1)
    return a.grad_fn


@program
def no_grad_view_write(torch):
    x = torch.ones(2)
    with torch.no_grad():
        v = x[:1]
    v.mul_(leaf(torch, [2.0]))


@program
def expanded_write(torch):
    torch.ones(1).expand(3).add_(1)


@program
def custom_view_write(torch):
    class View(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view(-1)

        @staticmethod
        def backward(ctx, g):
            return g

    View.apply(leaf(torch, [1.0, 2.0]) * 1).add_(1)


# -- recorded writes --


@program
def chain_of_writes(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    y.mul_(3)
    y.add_(x)
    y.sum().backward()
    return x.grad, y.grad_fn.name()


@program
def write_its_own_result(torch):
    x = leaf(torch, [0.5, 1.0])
    y = x * 2
    y.exp_()
    y.sum().backward()
    return x.grad


@program
def write_with_saved_operands(torch):
    x, w = leaf(torch, [0.5, 1.0]), leaf(torch, [3.0, 4.0])
    y = x * 2
    y.mul_(w)
    y.sum().backward()
    return x.grad, w.grad


@program
def constant_becomes_computed(torch):
    w = leaf(torch, [3.0, 4.0])
    x = torch.ones(2)
    x.mul_(w)
    x.sum().backward()
    return w.grad, x.requires_grad, x.is_leaf


@program
def write_to_view_reaches_base(torch):
    w = leaf(torch, [3.0, 4.0])
    x = torch.ones(4)
    v = x[1:3]
    v.mul_(w)
    (x * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    return w.grad, x.grad_fn.name(), v.grad_fn.name(), [f and f.name() for f, _ in x.grad_fn.next_functions]


@program
def write_to_base_reaches_views(torch):
    w = leaf(torch, [3.0, 4.0, 5.0, 6.0])
    x = torch.ones(4)
    v, u = x[1:3], x.view(2, 2)
    x.mul_(w)
    ((v * 10).sum() + (u[1] * 100).sum()).backward()
    return w.grad, v.grad_fn.name(), u.requires_grad


@program
def write_to_one_view_reaches_another(torch):
    w = leaf(torch, [3.0, 4.0])
    x = torch.ones(4)
    v, u = x[:2], x.view(2, 2).t()
    v.mul_(w)
    (u * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    return w.grad, v, u


@program
def write_to_view_of_view(torch):
    x = leaf(torch, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = x * 2
    v = y.t()[1:][:, 1]
    v.mul_(10)
    v.exp_()
    (y * y).sum().log().backward()
    return x.grad


@program
def write_to_view_of_computed(torch):
    x, w = leaf(torch, [1.0, 2.0, 3.0]), leaf(torch, [5.0])
    y = x * x
    y[1:2].mul_(w)
    y[0] = 7
    y.sum().backward()
    return x.grad, w.grad, y


@program
def assign_into_computed(torch):
    x, w = leaf(torch, [1.0, 2.0, 3.0]), leaf(torch, [5.0, 6.0])
    y = x * x
    y[:2] = w * w
    (y * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    return x.grad, w.grad


@program
def copy_into_slice(torch):
    w = leaf(torch, [5.0, 6.0])
    out = torch.zeros(2, 2)
    out[0].copy_(w)
    out[:, 1].copy_(w * 2)
    (out * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    return w.grad, out


@program
def fill_cuts_the_gradient(torch):
    x = leaf(torch, [1.0, 2.0, 3.0])
    y = x * 2
    y[1].fill_(0)
    y.sum().backward()
    return x.grad


@program
def second_derivative_through_a_written_view(torch):
    x = leaf(torch, [1.0, 2.0, 3.0])
    y = x * x
    y[:2].mul_(x[1:])
    (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


@program
def view_regenerates_after_no_grad_write(torch):
    x = leaf(torch, [1.0, 2.0, 3.0])
    v = x[:2]
    with torch.no_grad():
        x.add_(1)
    (v * v).sum().backward()
    return v.grad_fn.name(), x.grad


@program
def view_made_before_base_requires(torch):
    x = torch.ones(3)
    v = x[:2]
    x.requires_grad_()
    found = [v.requires_grad, v.is_leaf]
    with torch.no_grad():
        x.add_(1)
    (v * 3).sum().backward()
    return found, v.requires_grad, x.grad


@program
def hooks_of_a_regenerated_view(torch):
    x = leaf(torch, [1.0, 2.0]) * 1
    seen = []
    v = x[:1]
    v.retain_grad()
    v.register_hook(lambda g: seen.append(g))
    x.mul_(2)
    (v.sum() + x.sum()).backward()
    return seen, v.grad


@program
def unfolded_windows_of_a_written_base(torch):
    w = leaf(torch, [1.0, 2.0, 3.0, 4.0])
    x = torch.ones(4)
    windows = x.unfold(0, 2, 1)
    x.mul_(w)
    (windows * windows).sum().backward()
    return w.grad


@program
def expanded_view_of_a_written_base(torch):
    w = leaf(torch, [2.0])
    x = torch.ones(1)
    rows = x.expand(3)
    x.mul_(w)
    (rows * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    return w.grad


@program
def transposed_base(torch):
    w = leaf(torch, [[1.0, 2.0], [3.0, 4.0]])
    y = (w * 2).t()
    z = y.contiguous().t()
    z[0].mul_(5)
    (z * z).sum().backward()
    return w.grad


@program
def write_to_conjugate_view(torch):
    z, w = leaf(torch, [1 + 2j, 3 - 1j]), leaf(torch, [2j, 1 + 1j])
    y = z * 1
    v = y.conj()
    v.mul_(w)
    (y * torch.tensor([1 + 1j, 2 - 1j])).abs().sum().backward()
    return z.grad, w.grad, y.resolve_conj()


@program
def conjugate_view_of_a_written_base(torch):
    z, w = leaf(torch, [1 + 2j, 3 - 1j]), leaf(torch, [2j, 1 + 1j])
    y = z * 1
    v = y.conj()[1:]
    y.mul_(w)
    (v * torch.tensor([1 + 1j])).abs().sum().backward()
    return z.grad, w.grad


@program
def write_to_real_part(torch):
    z, w = leaf(torch, [1 + 2j, 3 - 1j]), leaf(torch, [2.0, 5.0])
    y = z * 1
    y.real.mul_(w)
    torch.view_as_real(y)[:, 1].exp_()
    y.abs().sum().backward()
    return z.grad, w.grad, y


@program
def real_view_of_a_written_base(torch):
    z, w = leaf(torch, [1 + 2j, 3 - 1j]), leaf(torch, [2j, 1 + 1j])
    y = z * 1
    v = torch.view_as_real(y)[:, 1]
    y.mul_(w)
    (v * torch.tensor([1.0, 10.0])).sum().backward()
    return z.grad, w.grad


# -- custom functions --


def _double(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return Double


@program
def dirty_input(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 3
    z = _double(torch).apply(y)
    (z * y).sum().backward()
    return x.grad, z is y, y.grad_fn.name()


@program
def dirty_leaf(torch):
    _double(torch).apply(leaf(torch, [1.0]))


@program
def dirty_view(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 3
    _double(torch).apply(y[:1])
    (y * y).sum().backward()
    return x.grad


@program
def gradients_of_means_are_writable(torch):
    x, y, seen = leaf(torch, [[1.0, 2.0], [3.0, 4.0]]), leaf(torch, [1.0, 2.0]), []
    (g,) = torch.autograd.grad(x.mean(), x)
    g.mul_(2)[0, 0] = 7
    seen += [g, g.stride()]
    h = y * 1
    h.register_hook(lambda grad: grad.mul_(3))
    h.retain_grad()
    h.mean().backward()
    seen += [h.grad.add_(1), y.grad]
    (g,) = torch.autograd.grad(x.mean(1).sum(), x)
    g[0] = 7
    with torch.no_grad():
        g.clamp_(max=1)
    return seen, g


@program
def nodes_of_gradients(torch):
    x, names = leaf(torch, [[0.5, 0.25], [0.75, 0.125]]), []
    F = torch.nn.functional
    functions = (torch.exp, torch.sin, torch.log, torch.sqrt, torch.tanh, torch.sigmoid, F.relu, F.gelu, torch.std, F.silu, torch.prod)
    for f in (*functions, lambda x: x.softmax(1), lambda x: x.log_softmax(1)):
        (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
        names.append(g.grad_fn.name())
    return names


@program
def views_whose_geometry_changes_without_recording(torch):
    x, y = leaf(torch, [[1.0, 2.0, 3.0]]), leaf(torch, [1.0, 2.0, 3.0]) * 2
    v, u = x[:, 1:], y[1:]
    with torch.no_grad():
        v.unsqueeze_(0)
        u.unsqueeze_(0)
    (v * v).sum().backward()
    return x.grad, v, v.grad_fn.name(), u.grad_fn.name(), torch.autograd.grad((u * u).sum(), y)[0]


@program
def leaves_that_stop_collecting(torch):
    x, y = leaf(torch, [1.0, 2.0]), leaf(torch, [1.0, 2.0])
    z = (x * y).sum()
    x.requires_grad_(False)
    z.backward(retain_graph=True)
    seen = [x.grad, y.grad.clone()]
    x.requires_grad_()
    z.backward()
    v = y.view(2)
    y.detach_()
    v.sum().backward()
    return seen, x.grad, y.grad


@program
def nodes_of_views_made_in_place(torch):
    names = []
    for change in ("t_()", "transpose_(0, 1)", "unsqueeze_(0)", "squeeze_()", "squeeze_(0)", "squeeze_((0,))", "as_strided_((2,), (1,))"):
        y = leaf(torch, [[1.0, 2.0, 3.0]]) * 2
        eval("y." + change)
        names.append(y.grad_fn.name())
    return names


def _set_of(torch, target, source, recorded):
    with torch.set_grad_enabled(recorded):
        return target.set_(source)


@program
def set_of_a_leaf(torch):
    _set_of(torch, leaf(torch, [1.0]), torch.zeros(2), True)


@program
def set_of_another_dtype(torch):
    torch.zeros(2).set_(torch.zeros(2, dtype=torch.int32))


@program
def set_without_recording_keeps_what_the_tensor_is(torch):
    w, y = leaf(torch, [1.0]), leaf(torch, [1.0]) * 2
    a, z = y.detach(), torch.ones(4)
    v = z[1:]
    for t in (w, y, v):
        _set_of(torch, t, torch.zeros(2), False)
    return w, w.requires_grad, w.is_leaf, y, y.grad_fn.name(), y._version, a._version, a, z._version


@program
def factors_that_stand_second(torch):
    x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    found = []
    for call in (lambda: torch.add(x, 2, y), lambda: x.clone().add_(-0.5, y), lambda: x.sub(2, y), lambda: torch.addcmul(x, 2, x, y),
                 lambda: x.clone().addcdiv_(-1.5, x, y)):  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns once in a process
            found.append(call())
    return found


@program
def what_was_overwritten_has_a_gradient_of_zeros(torch):
    x, z, found = leaf(torch, [1.0, 2.0]), leaf(torch, [3.0, 4.0]), []
    for write in (lambda y: y.fill_(0.5), lambda y: y.zero_(), lambda y: y.copy_(z * 3), lambda y: y.normal_(),
                  lambda y: y.__setitem__(0, z[1])):
        x.grad = None
        y = x.sin()
        write(y)
        y.sum().backward()
        found.append(x.grad)
    return found, z.grad


@program
def a_leaf_as_another_class(torch):
    class Own(torch.Tensor):
        pass

    w = leaf(torch, [1.0, 2.0])
    v = w.as_subclass(Own)
    (v * v).sum().backward()
    with torch.no_grad():
        u, r = w.as_subclass(torch.Tensor), (w * 2).as_subclass(torch.Tensor)
    return w.grad, v.is_leaf, v._is_view(), v.grad is None, u.is_leaf, r.is_leaf, type(v) is Own, v.grad_fn.name()


@program
def views_made_without_recording_collect_nothing(torch):
    w = leaf(torch, [1.0, 2.0])
    with torch.no_grad():
        v = w[:1]
    (v * 2).sum().backward()
    return v.requires_grad, v.is_leaf, v.grad, w.grad


@program
def distinct_elements_have_no_derivative(torch):
    w = leaf(torch, [1.0, 2.0])
    names = [w.unique().grad_fn.name(), w.unique(dim=0).grad_fn.name(), torch.unique_consecutive(w, return_counts=True)[0].grad_fn.name()]
    return names, w.detach().unique().requires_grad, w.unique(return_inverse=True)[1]


@program
def derivative_of_distinct_elements(torch):
    (leaf(torch, [1.0, 2.0]).unique() * 2).sum().backward()
