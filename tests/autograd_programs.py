"""Small programs about the tape, to run under PyTorch and under rushlight: each takes the module as ``torch`` and
returns what to compare.
"""


def registry():
    """A list, and the decorator that puts programs into it."""
    programs = []

    def program(function):
        programs.append(function)
        return function

    return programs, program


PROGRAMS, program = registry()


def leaf(torch, values, **options):
    return torch.tensor(values, requires_grad=True, **options)


# -- gradients and accumulation --


@program
def backward_adds_up(torch):
    x = leaf(torch, [1.0, 2.0])
    (x * x).sum().backward()
    (x * x * x).sum().backward()
    return x.grad


@program
def one_tensor_used_often(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    z = y + y + y * y
    return torch.autograd.grad(z.sum(), [x, y])


@program
def gradient_is_the_same_object_after_accumulation(torch):
    x = leaf(torch, [1.0, 2.0])
    (x * 2).sum().backward()
    first = x.grad
    (x * 2).sum().backward()
    return first is x.grad, first


@program
def gradients_of_two_leaves_do_not_share_memory(torch):
    x, y = leaf(torch, [1.0, 2.0]), leaf(torch, [3.0, 4.0])
    (x + y).backward(torch.ones(2))
    x.grad.mul_(5)
    return x.grad, y.grad


@program
def given_gradient_is_not_stolen(torch):
    x = leaf(torch, [1.0, 2.0])
    g = torch.ones(2)
    x.clone().backward(g)
    x.clone().backward(g)
    return x.grad, g


@program
def broadcast_is_undone(torch):
    x, b = leaf(torch, [[1.0, 2.0], [3.0, 4.0]]), leaf(torch, [1.0, 1.0])
    (x * b).sum().backward()
    return x.grad, b.grad


@program
def leaf_as_root(torch):
    x = leaf(torch, 3.0)
    x.backward()
    return x.grad


@program
def several_roots(torch):
    x = leaf(torch, [1.0, 2.0])
    torch.autograd.backward([x.sum(), x * 3], [None, torch.tensor([1.0, 10.0])])
    return x.grad


@program
def only_the_given_inputs(torch):
    x, y = leaf(torch, [1.0, 2.0]), leaf(torch, [3.0, 4.0])
    (x * y).sum().backward(inputs=[x])
    return x.grad, y.grad is None


@program
def inputs_that_were_computed(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    (y * y).sum().backward(inputs=[y])
    return y.grad, x.grad is None, y.retains_grad


@program
def second_derivatives(torch):
    x = leaf(torch, [1.0, 2.0])
    (g,) = torch.autograd.grad((x * x * x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = torch.autograd.grad(h.sum(), x)
    return g, h, k, g.requires_grad, k.requires_grad


@program
def unused_inputs(torch):
    x, y = leaf(torch, [1.0]), leaf(torch, [1.0])
    return (
        torch.autograd.grad(x.sum(), [x, y], allow_unused=True)[1] is None,
        torch.autograd.grad(x.sum(), [x, y], materialize_grads=True),
    )


@program
def grads_batched(torch):
    x = leaf(torch, [1.0, 2.0])
    return torch.autograd.grad(x * x, x, torch.eye(2), is_grads_batched=True)


@program
def gradient_of_another_float_dtype(torch):
    x = leaf(torch, [1.0, 2.0])
    (x * 2).backward(torch.ones(2, dtype=torch.float64))
    return x.grad


@program
def complex_gradient(torch):
    z = leaf(torch, [1 + 2j, 3 - 1j])
    ((z * z).abs()).sum().backward()
    return z.grad


@program
def real_leaf_in_complex_computation(torch):
    x = leaf(torch, [1.0, 2.0])
    (x * (1 + 2j)).abs().sum().backward()
    return x.grad


@program
def not_a_scalar(torch):
    (leaf(torch, [1.0, 2.0]) * 2).backward()


@program
def complex_scalar(torch):
    leaf(torch, [1j]).sum().backward()


@program
def no_gradient_required(torch):
    torch.ones(1).backward()


@program
def unused_and_not_allowed(torch):
    torch.autograd.grad(leaf(torch, [1.0]).sum(), leaf(torch, [1.0]))


@program
def input_without_gradient(torch):
    torch.autograd.grad(leaf(torch, [1.0]).sum(), torch.ones(1))


@program
def wrong_gradient_shape(torch):
    (leaf(torch, [1.0, 2.0]) * 2).backward(torch.ones(3))


@program
def wrong_gradient_kind(torch):
    (leaf(torch, [1.0, 2.0]) * 2).backward(torch.ones(2, dtype=torch.complex64))


@program
def empty_inputs(torch):
    torch.autograd.backward(leaf(torch, [1.0]).sum(), inputs=[])


# -- the freed graph --


@program
def second_backward(torch):
    z = leaf(torch, [1.0, 2.0]).pow(2).sum()
    z.backward()
    z.backward()


@program
def second_backward_where_nothing_was_saved(torch):
    x = leaf(torch, [1.0, 2.0])
    z = (x + x).sum()
    z.backward()
    z.backward()
    return x.grad


@program
def retained_graph(torch):
    x = leaf(torch, [1.0, 2.0])
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    return x.grad


@program
def branch_through_a_freed_node(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    y.sum().backward()
    (y * 2).sum().backward()


# -- attributes --


@program
def names_of_nodes(torch):
    x = leaf(torch, [1.0, 2.0])
    y = (x + 1) * x
    first = y.grad_fn.next_functions[0][0]
    return (
        y.grad_fn.name(),
        first.name(),
        [f.name() for f, _ in first.next_functions if f is not None],
        x.grad_fn is None,
    )


@program
def leaves_and_flags(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    d = y.detach()
    return (
        x.is_leaf,
        y.is_leaf,
        d.is_leaf,
        y.requires_grad,
        d.requires_grad,
        y.output_nr,
        (x > 1).requires_grad,
        y.retains_grad,
        x.grad is None,
        x._version,
    )


@program
def integers_cannot_require(torch):
    torch.ones(2, dtype=torch.int64).requires_grad_()


@program
def computed_cannot_stop(torch):
    (leaf(torch, [1.0]) * 2).requires_grad = False


@program
def grad_of_a_computed_tensor_warns(torch):
    return (leaf(torch, [1.0]) * 2).grad is None


@program
def assigned_grad_of_wrong_size(torch):
    leaf(torch, [1.0, 2.0]).grad = torch.ones(3)


@program
def assigned_grad_of_wrong_type(torch):
    leaf(torch, [1.0, 2.0]).grad = 1


@program
def own_grad(torch):
    x = leaf(torch, [1.0, 2.0])
    x.grad = x


@program
def assigned_grad_is_added_to(torch):
    x = leaf(torch, [1.0, 2.0])
    x.grad = torch.tensor([10.0, 20.0])
    x.sum().backward()
    return x.grad


@program
def detached_shares_memory_and_version(torch):
    x = torch.zeros(2)
    d = x.detach()
    d.add_(1)
    return x, x._version, d._version


@program
def detach_in_place(torch):
    x = leaf(torch, [1.0])
    y = x * 2
    y.detach_()
    return y.requires_grad, y.is_leaf


@program
def detach_view_in_place(torch):
    (leaf(torch, [1.0, 2.0]) * 2)[:1].detach_()


@program
def data_takes_over(torch):
    x = leaf(torch, [1.0, 2.0])
    x.data = torch.tensor([5.0, 6.0, 7.0])
    (x * x).sum().backward()
    return x, x.grad, x.requires_grad


# -- modes --


@program
def modes(torch):
    x = leaf(torch, [1.0])
    found = []
    with torch.no_grad():
        found.append((x * 2).requires_grad)
        with torch.enable_grad():
            found.append((x * 2).requires_grad)
        found.append(torch.is_grad_enabled())
    with torch.set_grad_enabled(False):
        found.append((x * 2).requires_grad)
    found.append(torch.is_grad_enabled())
    torch.set_grad_enabled(False)
    found.append(torch.is_grad_enabled())
    torch.set_grad_enabled(True)
    with torch.inference_mode():
        y = x * 2
        found += [y.requires_grad, y.is_inference(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()]
    return found


@program
def decorated_functions(torch):
    @torch.no_grad()
    def with_parentheses():
        return torch.is_grad_enabled()

    @torch.no_grad
    def without():
        return torch.is_grad_enabled()

    @torch.set_grad_enabled(False)
    def switched():
        return torch.is_grad_enabled()

    @torch.inference_mode
    def inference():
        return torch.is_inference_mode_enabled()

    with torch.no_grad():

        @torch.enable_grad()
        def enabled():
            return torch.is_grad_enabled()

        inside = enabled()
    return with_parentheses(), without(), switched(), inference(), inside, torch.is_grad_enabled(), without.__name__


@program
def decorated_generator(torch):
    @torch.no_grad()
    def numbers():
        got = yield torch.is_grad_enabled()
        try:
            yield got, torch.is_grad_enabled()
        except ValueError:
            yield "caught", torch.is_grad_enabled()
        return "end"

    g = numbers()
    found = [next(g), torch.is_grad_enabled(), g.send(7), g.throw(ValueError())]
    try:
        next(g)
    except StopIteration as stop:
        found.append(stop.value)
    return found


@program
def mode_is_restored_after_an_error(torch):
    try:
        with torch.no_grad():
            raise ValueError
    except ValueError:
        pass
    return torch.is_grad_enabled()


@program
def inference_tensor_saved(torch):
    with torch.inference_mode():
        x = torch.ones(2)
    return x * leaf(torch, [1.0, 2.0])


@program
def inference_tensor_written(torch):
    with torch.inference_mode():
        x = torch.ones(2)
    x.add_(1)


@program
def inference_tensor_as_out(torch):
    with torch.inference_mode():
        x = torch.ones(2)
    torch.exp(torch.ones(2), out=x)


def _view_written(torch, mode, cut, written):
    base = leaf(torch, [1.0, 2.0, 3.0, 4.0]) * 1
    with mode():
        view = cut(base)
    (base if written == "base" else view).add_(1)
    return view.grad_fn is None


@program
def inference_view_written(torch):
    return _view_written(torch, torch.inference_mode, lambda x: x.view(2, 2), "view")


@program
def inference_view_of_several_written(torch):
    return _view_written(torch, torch.inference_mode, lambda x: x.split(2)[0], "view")


@program
def inference_view_whose_base_is_written(torch):
    return _view_written(torch, torch.inference_mode, lambda x: x.view(2, 2), "base")


@program
def no_grad_view_of_an_inference_view_written(torch):
    base = torch.ones(4)
    with torch.inference_mode():
        view = base.view(2, 2)
    with torch.no_grad():
        view = view.t()
    view.add_(leaf(torch, [1.0, 2.0]))


@program
def inference_tensor_resized(torch):
    with torch.inference_mode():
        x = torch.ones(2)
    x.resize_(3)


@program
def inference_tensor_as_parameter(torch):
    with torch.inference_mode():
        x = torch.ones(2)
    torch.nn.Parameter(x)


@program
def gradients_asked_for_in_inference_mode(torch):
    x, found = leaf(torch, [1.0, 2.0]), []
    with torch.inference_mode():
        for mode in (torch.enable_grad(), torch.set_grad_enabled(True)):
            with mode:
                y, v = x * 2, x[:1]
                found += [y.requires_grad, y.is_leaf, v.grad_fn is None, v.is_inference(), torch.is_grad_enabled()]
                with torch.inference_mode(False):
                    found += [(x * 2).requires_grad, torch.is_grad_enabled()]
                with torch.no_grad():
                    found.append(torch.is_grad_enabled())
                found.append(torch.is_grad_enabled())
        found.append(torch.is_grad_enabled())
    return found, torch.is_grad_enabled(), torch.is_inference_mode_enabled()


@program
def gradient_of_a_graph_in_inference_mode(torch):
    x = leaf(torch, [1.0, 2.0])
    y = (x**3).sum()
    with torch.inference_mode():
        (g,) = torch.autograd.grad(y, x, create_graph=True)
    return g, g.requires_grad, g.is_inference()


@program
def transforms_in_inference_mode(torch):
    with torch.inference_mode():
        x, w = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])

        def f(x):
            return (x * x * w).sum()

        return torch.func.grad(f)(x), torch.func.jvp(f, (x,), (w,)), torch.func.hessian(f)(x), torch.is_grad_enabled()


@program
def inference_view_of_a_normal_tensor(torch):
    x = torch.ones(2)
    with torch.inference_mode():
        v = x[:1]
    v.add_(1)
    return x, v.is_inference(), x._version


@program
def second_derivatives_of_what_is_linear_by_pieces(torch):
    F = torch.nn.functional
    image = [[[[1.0, -3.0, 2.0, 5.0], [4.0, 0.0, -1.0, 7.0], [6.0, 8.0, -2.0, 9.0], [3.0, -5.0, -4.0, 10.0]]]]
    labels = torch.tensor([[[1, 0, 2, 1]] * 4])
    calls = [
        lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), lambda x: F.adaptive_avg_pool2d(x, 2),
        lambda x: F.adaptive_max_pool2d(x, (3, 2)),
        lambda x: F.max_pool1d(x[0], 2), lambda x: F.pad(x, (1, 1, 1, 1), "reflect"), lambda x: F.pad(x, (1, 1), "replicate"),
        lambda x: F.nll_loss(x.expand(1, 3, 4, 4), labels), lambda x: F.prelu(torch.tensor(image), x[0, 0, 0, :1]),
        lambda x: F.conv2d(x, torch.ones(1, 1, 2, 2)), lambda x: F.conv2d(torch.tensor(image), x[..., :2, :2]),
    ]  # fmt: skip
    found = []
    for call in calls:
        x = leaf(torch, image)
        y = call(x)
        (g,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)
        found.append((g, g.requires_grad, torch.autograd.grad(g.sum(), x, allow_unused=True)[0] if call not in calls[-2:] else None))
    return found


@program
def hessian_of_what_is_linear_by_pieces(torch):
    def f(x):
        return torch.nn.functional.avg_pool1d(torch.nn.functional.max_pool1d(x, 2), 2).sum()

    x = torch.tensor([[[1.0, 3.0, 2.0, 5.0]]])
    return torch.autograd.functional.hessian(f, x, strict=True), torch.func.hessian(f)(x), torch.func.jvp(torch.func.grad(f), (x,), (x,))


@program
def gradient_through_eight_bits(torch):
    """What training in float8 is tried out with: round there and back, and the gradient goes through."""
    x = leaf(torch, [1.0, -2.3, 0.7])
    y = x.to(torch.float8_e4m3fn)
    (y.float() * torch.tensor([2.0, 3.0, 4.0])).sum().backward()
    return y.requires_grad, y.float(), x.grad, x.detach().to(torch.float8_e5m2).requires_grad_().requires_grad
