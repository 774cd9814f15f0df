"""What PyTorch's examples, tutorials and tests found here: one test for each cause. Programs run under both libraries."""

import io
import mmap
import warnings

import pytest

import rushlight

torch = pytest.importorskip("torch")
LIBRARIES = [rushlight, torch]


def both(program):
    """What ``program(library)`` gives, of the two libraries; it must be the same."""
    ours, theirs = map(program, LIBRARIES)
    assert ours == theirs
    return ours


def raised(call, *args, **kwargs):
    """The name of the exception that the call raises, or None."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        return type(error).__name__




@pytest.mark.parametrize("kind", ["register_forward_pre_hook", "register_forward_hook"])
def test_a_hook_may_remove_itself(kind):
    def program(t):
        layer, calls = t.nn.Sigmoid(), []

        def once(*args):
            calls.append("once")
            handle.remove()

        handle = getattr(layer, kind)(once)
        getattr(layer, kind)(lambda *args: calls.append("always"))
        layer(t.zeros(1))
        layer(t.zeros(1))
        return calls

    assert both(program) == ["once", "always", "always"]


def test_backward_hooks_see_which_results_had_no_gradient():
    def program(t):
        module, seen = t.nn.Module(), []
        module.forward = lambda x, y: (2 * x, 3 * y)

        def see(*gradients):
            seen.append([None if g is None else g.item() for g in gradients])

        module.register_full_backward_hook(lambda module, inputs, outputs: see(*inputs, *outputs))
        module.register_full_backward_pre_hook(lambda module, outputs: see(*outputs))
        x, y = t.tensor(1.0, requires_grad=True), t.tensor(1.0, requires_grad=True)
        module(x, y)[0].backward()
        return seen, x.grad.item(), y.grad.item()

    assert both(program)[0] == [[1.0, None], [2.0, 0.0, 1.0, None]]


@pytest.mark.parametrize("forward, arguments, part", [
    (lambda x: [x.clone()], 1, "does not return a single Tensor"),
    (lambda x: x[0].clone(), "list", "does not take as input"),
    (lambda x, y: (x.clone(), y.clone()), 2, "different autograd Nodes"),
    (lambda x: x.clone().clone(), 1, "multiple autograd Nodes"),
])  # fmt: skip
def test_backward_hooks_of_the_old_kind_warn_of_what_they_miss(forward, arguments, part):
    def program(t):
        module = t.nn.Module()
        module.forward = forward
        module.register_backward_hook(lambda *args: None)
        x = t.ones(2, requires_grad=True)
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            module(*([[x]] if arguments == "list" else [x] * arguments))
        assert part in str(given[0].message)
        return [w.category.__name__ for w in given]

    assert both(program) == ["FutureWarning"]


@pytest.mark.parametrize("kind, hook", [
    ("register_prehook", lambda grads: grads[0]), ("register_prehook", lambda grads: 2 * grads), ("register_prehook", lambda grads: (3,)),
    ("register_hook", lambda inputs, outputs: [*inputs]), ("register_hook", lambda inputs, outputs: outputs * 3),
    ("register_hook", lambda inputs, outputs: (3,) * len(inputs)), ("register_hook", lambda inputs, outputs: None),
])  # fmt: skip
def test_hooks_of_nodes_return_a_tuple_of_gradients(kind, hook):
    def program(t):
        x = t.ones(2, requires_grad=True)
        y = x * 2
        getattr(y.grad_fn, kind)(hook)
        return raised(y.sum().backward), x.grad is None

    both(program)


@pytest.mark.parametrize("hook, error", [
    (lambda leaf: leaf.grad, "RuntimeError"), (lambda leaf: leaf.detach().add_(leaf.grad), "RuntimeError"),
    (lambda leaf: leaf, None), (lambda leaf: 3, "TypeError"),
])  # fmt: skip
def test_hooks_after_accumulation_return_nothing_or_the_leaf(hook, error):
    def program(t):
        x = t.ones(2, requires_grad=True)
        x.register_post_accumulate_grad_hook(hook)
        return raised(x.sum().backward)

    assert both(program) == error


def test_zeros_for_unused_inputs_go_on():
    def program(t):
        x, y = t.tensor(2.0, requires_grad=True), t.tensor(3.0, requires_grad=True)
        (first,) = t.autograd.grad(x * x, y, create_graph=True, materialize_grads=True)
        (second,) = t.autograd.grad(first, x, materialize_grads=True)
        edge = t.autograd.graph.get_gradient_edge(y)
        return first.requires_grad, second.item(), raised(t.autograd.grad, x * x, (x, edge), materialize_grads=True)

    assert both(program) == (True, 0.0, "RuntimeError")


def test_a_parametrization_stays_on_its_device():
    def program(t):
        class Elsewhere(t.nn.Module):
            def forward(self, x):
                return x

            def right_inverse(self, x):
                return x.to("meta")

        layer = t.nn.Linear(2, 2)
        register = t.nn.utils.parametrize.register_parametrization
        return raised(register, layer, "weight", Elsewhere()), [name for name, _ in layer.named_parameters()]

    assert both(program) == ("ValueError", ["weight", "bias"])


def test_a_functions_jvp_may_drop_what_it_kept():
    def program(t):
        class Exp(t.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.result = x.exp()
                return ctx.result

            @staticmethod
            def jvp(ctx, tangent):
                result = tangent * ctx.result
                del ctx.result
                return result

        x = t.zeros(2, dtype=t.float64, requires_grad=True)
        with t.autograd.forward_ad.dual_level():
            y = Exp.apply(t.autograd.forward_ad.make_dual(x.detach(), t.ones(2, dtype=t.float64)))
            twice = [t.autograd.forward_ad.unpack_dual(y).tangent.tolist() for _ in range(2)]
        return twice, t.autograd.gradcheck(
            Exp.apply, x, check_forward_ad=True, check_backward_ad=False, check_undefined_grad=False, check_batched_grad=False
        )

    assert both(program) == ([[1.0, 1.0], [1.0, 1.0]], True)


@pytest.fixture(params=["swap", "overwrite"])
def future(request):
    """A switch of ``torch.__future__``, on in both libraries."""
    for on in (True, False):
        for t in LIBRARIES:
            getattr(t.__future__, f"set_{request.param}_module_params_on_conversion")(on)
        if on:
            yield request.param


def test_parameters_change_places_or_are_replaced(future):
    def program(t):
        layer = t.nn.Linear(2, 1)
        weight = layer.weight
        layer(t.ones(1, 2)).sum().backward()
        layer.bias.requires_grad_(False)
        layer.double()
        seen = [weight is layer.weight, layer.weight.grad.tolist(), str(weight.dtype), layer.bias.requires_grad]
        layer.load_state_dict({"weight": t.ones(1, 2), "bias": t.zeros(1)}, assign=True)
        return seen, weight is layer.weight, layer.weight.tolist(), layer.weight.requires_grad

    (same, *_), _, values, _ = both(program)
    assert same == (future == "swap") and values == [[1.0, 1.0]]


@pytest.mark.parametrize("future", ["swap"], indirect=True)
def test_classes_say_how_they_are_loaded(future):
    def program(t):
        class Doubling(t.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if func is t.Tensor.module_load:
                    return (2 * args[1].detach()).as_subclass(cls)
                return super().__torch_function__(func, types, args, kwargs or {})

        layer = t.nn.Linear(1, 1)
        weight = layer.weight = t.nn.Parameter(t.zeros(1, 1).as_subclass(Doubling))
        layer.load_state_dict({"weight": t.ones(1, 1), "bias": t.ones(1)})
        return type(layer.weight).__name__, layer.weight is weight, weight.item(), layer.bias.item()

    assert both(program) == ("Doubling", True, 2.0, 1.0)


M = "t.tensor([[True, False], [False, True]])"


@pytest.mark.parametrize("key", [
    f":, {M}, [0, 1]", f"{M}, :, 0", f":, {M}, :, 0", f"{M}, True", f"{M}, True, True", "t.tensor([[True, False], [False, False]]), False",
    f"None, {M}, [0, 1]", f"..., {M}, 0, [1]",
    f"[0, 1], {M}[0]", "t.Size([1, 0])", f"0, {M}, 0:1", f"{M}, None, [1, 0]", f"{M}, {M}",
])  # fmt: skip
def test_what_stands_behind_a_mask_of_several_dims(key):
    def program(t):
        x = t.arange(48.0).view(2, 2, 2, 2, 3).requires_grad_()
        part = eval(f"x[{key}]", {"t": t, "x": x})
        part.pow(2).sum().backward()
        written = x.detach().clone()
        exec(f"written[{key}] = -1.0", {"t": t, "written": written})
        return part.tolist(), part.stride(), x.grad.tolist(), written.tolist()

    both(program)


@pytest.mark.parametrize("indices", ["(m, i, i)", "(i, m, i)", "(m, m)", "(i, i, i, i)", "(i, i, m)"])
def test_masks_and_positions_take_no_more_dims_than_there_are(indices):
    def program(t):
        x, m, i = t.ones(2, 2, 3), t.ones(2, 2, dtype=t.bool), t.tensor([0, 1])
        given = eval(indices, {"m": m, "i": i})
        value = t.tensor(1.0)
        return raised(x.index_put_, given, value), raised(t.ops.aten.index.Tensor, x, list(given)), raised(x.__getitem__, given)

    assert both(program) == ("IndexError", "IndexError", "IndexError")


@pytest.mark.parametrize("shape", ["t.tensor([2, 3])", "(2, 2.5)", "(2, -1)", "(2, 3)", "6", "[2, 3]"])
def test_unravel_index_takes_integers_as_shape(shape):
    def program(t):
        given = eval(shape, {"t": t})
        error = raised(t.unravel_index, t.tensor([1]), given)
        return error or [x.tolist() for x in t.unravel_index(t.tensor([1]), given)]

    both(program)


class Plain:
    """A file that can read and seek, and no more."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.read, self.readline, self.seek, self.tell = self.file.read, self.file.readline, self.file.seek, self.file.tell


def saved(t, *objects, head=b"", **options):
    """The objects, saved one behind the other."""
    file = io.BytesIO()
    file.write(head)
    for x in objects:
        t.save(x, file, **options)
    return file.getvalue()


def test_checkpoints_are_read_where_the_file_stands():
    def program(t):
        file = io.BytesIO(saved(t, {"a": t.arange(3.0)}, head=b"header"))
        file.seek(6)
        first = t.load(file)["a"].tolist()
        file = io.BytesIO(saved(t, t.ones(2), t.zeros(1), _use_new_zipfile_serialization=False))
        return first, [t.load(file).tolist() for _ in range(2)]

    assert both(program) == ([0.0, 1.0, 2.0], [[1.0, 1.0], [0.0]])


def test_files_that_cannot_read_into_given_memory():
    assert both(lambda t: t.load(Plain(saved(t, t.arange(5.0)))).tolist()) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_way_of_mapping_maps_nothing_by_itself():
    def program(t):
        with t.serialization.set_default_mmap_options(mmap.MAP_SHARED):
            return t.load(io.BytesIO(saved(t, t.ones(1)))).tolist()

    assert both(program) == [1.0]


@pytest.mark.parametrize("sizes", [(2, 2, 1, 1), (4, 1, 4, 4), (1, 3, 1, 1), (2, 3, 4, 5), (2, 3, 1, 4)])
@pytest.mark.parametrize("copy", [False, True])
def test_formats_that_sizes_of_one_leave_open(sizes, copy):
    def program(t):
        seen = []
        for x in (t.ones(sizes), t.ones(sizes).to(memory_format=t.channels_last), t.ones(sizes).transpose(2, 3)):
            for fmt in (t.channels_last, t.contiguous_format):
                y = x.to(memory_format=fmt, copy=copy)
                seen += [y.stride(), y is x, x.double(memory_format=fmt).stride(), x.float(memory_format=fmt).stride()]
        return seen, t.nn.Conv2d(2, 2, 1).to(memory_format=t.channels_last).weight.stride()

    both(program)


@pytest.mark.parametrize("who", ["layer", "t.optim.SGD(layer.parameters(), lr=0.1)"])
def test_gradients_become_zero_where_they_are(who):
    def program(t):
        layer = t.nn.Linear(2, 1)
        layer(t.ones(1, 2)).sum().backward(create_graph=True)
        gradient = layer.weight.grad
        layer.bias.grad = (layer.bias * 2).clone()
        eval(who, {"t": t, "layer": layer}).zero_grad(set_to_none=False)
        return layer.weight.grad is gradient, gradient.tolist(), layer.bias.grad.tolist(), layer.bias.grad.requires_grad

    assert both(program) == (True, [[0.0, 0.0]], [0.0], False)


def test_a_parameters_name_takes_no_module():
    def program(t):
        layer = t.nn.Linear(2, 1)
        return raised(setattr, layer, "weight", t.nn.ReLU()), [name for name, _ in layer.named_parameters()]

    assert both(program) == ("TypeError", ["weight", "bias"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [1, 2, 7, 10, 100, 1001, 50000])
@pytest.mark.parametrize("ends", [(-1, 1), (0.0001, 0.02), (5, -3)])
def test_evenly_spaced_numbers_to_the_bit(ends, steps, dtype):
    both(lambda t: t.linspace(*ends, steps, dtype=getattr(t, dtype)).tolist())


def test_the_grid_of_the_identity_to_the_bit():
    def program(t):
        identity = t.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        return [t.nn.functional.affine_grid(identity, (1, 1, 28, 10), align_corners=corners).tolist() for corners in (False, True)]

    both(program)
