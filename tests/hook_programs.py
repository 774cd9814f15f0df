"""Hooks, and what the tape keeps: programs to run under PyTorch and under rushlight."""

import math

from autograd_programs import leaf, registry

PROGRAMS, program = registry()


# -- hooks --


@program
def tensor_hooks(torch):
    x = leaf(torch, [1.0, 2.0])
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g))
    y.register_hook(lambda g: g * 10)
    handle = y.register_hook(lambda g: g * 100)
    handle.remove()
    x.register_hook(lambda g: g + 1)
    (y * y).sum().backward()
    return x.grad, seen


@program
def leaf_hook_in_grad(torch):
    x = leaf(torch, [1.0, 2.0])
    x.register_hook(lambda g: g * 2)
    return torch.autograd.grad((x * 3).sum(), x)


@program
def leaf_hook_sees_the_sum(torch):
    x = leaf(torch, [1.0])
    seen = []
    x.register_hook(lambda g: seen.append(g))
    (x * 2 + x * 3 + x.exp() * 0).sum().backward()
    return seen


@program
def retained_gradient(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * y).sum().backward()
    return y.grad, x.grad, y.retains_grad


@program
def post_accumulate_hook(torch):
    x = leaf(torch, [1.0, 2.0])
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.clone())))
    (x * 2 + x * 3).sum().backward()
    return seen


@program
def node_hooks(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x.exp()
    seen = []
    y.grad_fn.register_prehook(lambda grads: seen.append(("pre", grads)))
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(("post", inputs, outputs)))
    y.register_hook(lambda g: seen.append(("tensor", g)))
    (y * 2).sum().backward()
    return seen


@program
def node_hooks_that_replace(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 10,))
    y.grad_fn.register_hook(lambda inputs, outputs: tuple(None if g is None else g + 1 for g in inputs))
    y.sum().backward()
    return x.grad


@program
def hooks_around_an_in_place_write(torch):
    x = leaf(torch, [1.0, 1.0]) * 1
    seen = []
    x.register_hook(lambda g: seen.append(("before", g)))
    x.retain_grad()
    x.mul_(3)
    x.register_hook(lambda g: seen.append(("after", g)))
    x.sum().backward()
    return seen, x.grad


@program
def hook_changes_size(torch):
    x = leaf(torch, [1.0, 2.0]) * 2

    def hook(g):
        return torch.ones(3)

    x.register_hook(hook)
    x.sum().backward()


@program
def hook_returns_a_number(torch):
    x = leaf(torch, [1.0, 2.0]) * 2
    x.register_hook(lambda g: 1)
    x.sum().backward()


@program
def hook_on_constant(torch):
    torch.ones(2).register_hook(print)


@program
def retain_on_constant(torch):
    torch.ones(2).retain_grad()


@program
def post_accumulate_on_computed(torch):
    (leaf(torch, [1.0]) * 2).register_post_accumulate_grad_hook(print)


@program
def multi_grad_hooks(torch):
    x, y, z = leaf(torch, [1.0]), leaf(torch, [2.0]), leaf(torch, [3.0])
    seen = []
    all_of_them = torch.autograd.graph.register_multi_grad_hook((x, y, z), lambda grads: seen.append(list(grads)))
    torch.autograd.graph.register_multi_grad_hook((x, y), lambda grad: seen.append("any"), mode="any")
    (x * y).sum().backward()
    all_of_them.remove()
    (x * y * z).sum().backward()
    return [[g is not None for g in s] if isinstance(s, list) else s for s in seen]


@program
def gradient_edges(torch):
    x = leaf(torch, [1.0, 2.0])
    y = x * 2
    edge = torch.autograd.graph.get_gradient_edge(y)
    loss = torch.autograd.graph.get_gradient_edge((y * y).sum())
    return [torch.autograd.grad((y * y).sum(), [edge, x]), torch.autograd.grad(loss, [edge, x])]


@program
def gradient_edges_of_many_elements(torch):
    y = leaf(torch, [1.0, 2.0]) * 2
    return torch.autograd.grad(torch.autograd.graph.get_gradient_edge(y), y)


# -- what is saved --


@program
def saved_tensor_hooks(torch):
    x = leaf(torch, [1.0, 2.0])
    packed = []

    def pack(t):
        packed.append(t.shape)
        return t * 10

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t / 5):
        y = x.exp()
    y.sum().backward()
    return x.grad, len(packed)


@program
def saved_hooks_and_second_derivative(torch):
    x = leaf(torch, [1.0, 2.0])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (x * x * x).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return torch.autograd.grad(g.sum(), x)


@program
def unpack_hook_of_wrong_type(torch):
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 1):
        y = leaf(torch, [1.0]).exp()
    y.sum().backward()


@program
def disabled_saved_hooks(torch):
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            return 1


@program
def saved_on_cpu(torch):
    x = leaf(torch, [1.0, 2.0])
    with torch.autograd.graph.save_on_cpu():
        y = (x * x).sum()
    y.backward()
    return x.grad


def _leaves(t, shapes):
    return [t.arange(float(math.prod(s))).sin().reshape(s).requires_grad_() for s in shapes]


def _asked(t, call, shapes):
    """Which gradients the node of a call computes where one input is asked for: a hook sees None for the others."""
    seen = []
    for i in range(len(shapes)):
        inputs = _leaves(t, shapes)
        y = call(*inputs)
        y.grad_fn.register_hook(lambda grads, _: seen.append([g is not None for g in grads]))
        seen.append(t.autograd.grad(y.sum(), inputs[i]))
        t.autograd.backward(call(*inputs).sum(), inputs=inputs[i])
        seen.append([x.grad for x in inputs])
    return seen


@program
def only_what_is_asked_for_product(t):
    return _asked(t, t.mm, [(3, 4), (4, 2)]) + _asked(t, t.addmm, [(2,), (3, 4), (4, 2)])


@program
def only_what_is_asked_for_pointwise(t):
    three = _asked(t, lambda a, b, c: t.addcmul(a, b, c), [(3, 1), (4,), (3, 4)])
    return _asked(t, t.mul, [(3, 4), (4,)]) + _asked(t, t.add, [(3, 1), (4,)]) + three


@program
def only_what_is_asked_for_rows(t):
    seen = _asked(t, lambda x, w, b: t.nn.functional.layer_norm(x, (4,), w, b), [(3, 4), (4,), (4,)])
    return [g for g in seen if not isinstance(g, list)]


@program
def only_what_is_asked_for_twice(t):
    """A gradient's own node computes what its way back needs, and what none leads to has no gradient, not zeros."""
    a, b, c = _leaves(t, ((3, 4), (4,), (3, 1)))
    (da,) = t.autograd.grad((a * b + c).sum(), a, create_graph=True)
    return t.autograd.grad((da * da).sum(), (a, b, c), allow_unused=True)
