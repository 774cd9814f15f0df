"""What the test-suites of packages built on PyTorch found: one test for each cause."""

import pickle

import numpy as np
import pytest
from oracle import torch as pytorch

import rushlight as torch


class Diagonal:
    """A matrix by its diagonal, and what operators mean for it: no tensor itself, as in linear_operator."""

    def __init__(self, values):
        self.values = values

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.add, torch.Tensor.add):
            return cls(sum(a.values if isinstance(a, cls) else a for a in args))
        if func is torch.matmul:
            return args[0].values[:, None] * args[1]
        if func is torch.cat:
            return cls(torch.cat([a.values for a in args[0]]))
        if func is torch.clamp:
            return kwargs["max"]
        raise NotImplementedError(func.__name__)


def test_classes_that_are_no_tensors_carry_out_operators():
    d = Diagonal(torch.tensor([1.0, 2.0]))
    assert torch.add(d, 1).values.tolist() == [2, 3]
    assert (torch.tensor(1.0) + d).values.tolist() == [2, 3]
    assert torch.matmul(d, torch.ones(2, 1)).tolist() == [[1], [2]]
    assert torch.cat([d, d]).values.tolist() == [1, 2, 1, 2]
    assert torch.clamp(torch.ones(2), max=d) is d
    with pytest.raises(NotImplementedError, match="exp"):
        torch.exp(d)


def test_inquiries_ask_no_class():
    assert not torch.is_tensor(Diagonal(None)) and not torch.is_storage(Diagonal(None))
    assert torch.is_tensor in torch.overrides.get_ignored_functions()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("make", [
    lambda t: t.ones(2, 2).repeat(2, 1), lambda t: t.ones(2, 3, 2, 4) @ t.ones(2, 3, 4, 2), lambda t: t.ones(3) @ t.ones(3, 2),
    lambda t: t.tile(t.ones(3), (2,)), lambda t: t.ones(2).view(1, 2), lambda t: t.ones(2, 2).float().t(), lambda t: t.ones(2, 2)[0],
])  # fmt: skip
def test_results_are_views_only_of_what_a_caller_has(make, grad):
    with torch.set_grad_enabled(grad):
        ours, theirs = make(torch), make(pytorch)
        assert ours._is_view() == theirs._is_view()
        if not theirs._is_view():
            ours.detach_()


def test_a_view_given_back_stays_one():
    x = torch.ones(4).view(2, 2)
    assert x.float() is x and x._is_view()


def test_writes_into_results_that_were_views():
    x = torch.ones(2, 2, requires_grad=True)
    y = x.repeat(2, 1)
    y.mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [[6, 6], [6, 6]]


def test_sizes_take_tensors():
    assert torch.Size([torch.tensor(3), 2]) == (3, 2) and type(torch.Size([torch.tensor(3)])[0]) is int


def test_sparse_matrices_transposed_and_multiplied():
    a = torch.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    assert torch.dsmm(a.mT, torch.eye(2)).tolist() == [[0, 3], [2, 0]]


@pytest.mark.parametrize("upper", [False, True])
def test_gradient_of_a_cholesky_solution_is_the_products(upper):
    grads = []
    for t in (torch, pytorch):
        L = t.tensor([[2.0, 0.0], [0.5, 1.0]])
        L = (L.T.clone() if upper else L).requires_grad_()
        t.cholesky_solve(t.tensor([[1.0], [2.0]]), L, upper).sum().backward()
        grads.append(L.grad)
    assert torch.allclose(grads[0], torch.tensor(grads[1].tolist())) and grads[0].ne(0).all()


AXES = """
    x.max(axis=1) | x.min(axis=0, keepdims=True) | x.argmax(axis=1) | x.std(axis=1) | t.var(x, axis=1, keepdims=True) | x.softmax(axis=1)
    t.stack([x, x], axis=-1) | t.cat([x, x], axis=1) | x.cumprod(axis=0) | x.logsumexp(axis=1) | t.diff(x, axis=1) | x.quantile(0.5, axis=1)
    t.repeat_interleave(x, 2, axis=0) | x.scatter(axis=1, index=i, src=x) | t.take_along_dim(x, i, axis=1) | t.fft.fft(x, axis=1).real
    t.linalg.norm(x, axis=1) | t.cummax(x, axis=1) | t.var_mean(x, axis=1) | t.trapezoid(x, axis=1) | t.maximum(x1=x, x2=-x)
"""


@pytest.mark.parametrize("call", [call.strip() for line in AXES.strip().splitlines() for call in line.split("|")])
def test_numpys_names_of_arguments(call):
    def run(t):
        found = eval(call, {"t": t, "x": t.arange(6.0).view(2, 3), "i": t.zeros(2, 3, dtype=t.int64)})
        return [part.tolist() for part in found] if isinstance(found, tuple) else found.tolist()

    assert run(torch) == pytest.approx(run(pytorch)) if not isinstance(run(torch)[0], list) else _near(run(torch), run(pytorch))


def _near(a, b):
    return torch.allclose(torch.tensor(a), torch.tensor(b))


def test_keywords_that_no_parameter_has():
    with pytest.raises(TypeError, match="axes"):
        torch.ones(2).max(axes=0)


def test_attributes_of_a_module_may_be_replaced():
    class Kept(torch.nn.Linear):
        def __setstate__(self, state):
            self.__dict__ = state

    layer = torch.nn.Linear(2, 1)
    copy = Kept.__new__(Kept)
    copy.__setstate__(dict(layer.__dict__))
    assert torch.equal(copy(torch.ones(1, 2)), layer(torch.ones(1, 2)))
    with pytest.raises(TypeError):
        copy.__dict__ = 3


@pytest.mark.parametrize("copy", [
    lambda x: x.repeat(1, 1, 1, 1), lambda x: torch.tile(x, (1,)), lambda x: x.float(memory_format=torch.channels_last),
    lambda x: torch.nn.functional.pixel_shuffle(x, 1), lambda x: x.diff(0),
])  # fmt: skip
def test_copies_that_change_nothing_are_copies(copy):
    x = torch.ones(1, 2, 3, 3)
    copy(x).mul_(2)
    assert x.eq(1).all()


def test_repeat_once_is_row_major():
    x = torch.arange(6.0).view(2, 3).T
    assert x.repeat(1, 1).is_contiguous() and torch.equal(x.repeat(1, 1), x)


def test_lists_of_tensors_take_their_number_by_name():
    a = [torch.ones(2), torch.ones(1)]
    torch._foreach_mul_(a, scalar=3)
    assert [x.tolist() for x in torch._foreach_add(a, scalars=[1, 2])] == [[4, 4], [5]]


# -- what users' scripts found --


def test_names_of_nodes_that_programs_print():
    x = torch.ones(2, 3, requires_grad=True)
    assert x.max().grad_fn.name() == "MaxBackward1" and x.min().grad_fn.name() == "MinBackward1"
    assert x.max(1).values.grad_fn.name() == "MaxBackward0"
    bag = torch.nn.EmbeddingBag(4, 2)
    for mode in ("sum", "mean", "max"):
        bag.mode = mode
        assert bag(torch.tensor([[1, 2]])).grad_fn.name() == "EmbeddingBagBackward0"
    logits = torch.ones(4, 1, 3, requires_grad=True).log_softmax(2)
    assert torch.nn.functional.ctc_loss(logits, torch.tensor([[1]]), [4], [1], reduction="none").grad_fn.name() == "CtcLossBackward0"


def test_parameters_of_a_dict_come_by_name():
    for t in (torch, pytorch):
        p = t.nn.ParameterDict({"b": t.ones(1), "a": t.ones(1)})
        assert list(p) == ["a", "b"] and list(t.nn.ParameterDict([("b", t.ones(1)), ("a", t.ones(1))])) == ["b", "a"]


def test_groups_of_an_optimizer_are_printed_apart():
    def text(t):
        return repr(t.optim.SGD([{"params": [t.nn.Parameter(t.ones(1))]}, {"params": [t.nn.Parameter(t.ones(1))], "lr": 2}], lr=0.1))

    assert text(torch) == text(pytorch)


def test_steps_that_a_profiler_has_counted():
    seen = []
    schedule = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=lambda p: seen.append(p.step_num)) as p:
        for _ in range(6):
            p.step()
    assert seen == [4]


def test_gradients_are_taken_under_a_function_mode():
    x = torch.ones(2, requires_grad=True)
    with torch.overrides.BaseTorchFunctionMode():
        assert torch.autograd.grad((x * 3).sum(), x, is_grads_batched=False)[0].tolist() == [3, 3]
        y = x * torch.tensor([1.0, 2.0])
        assert torch.autograd.grad(y, x, torch.eye(2), is_grads_batched=True)[0].tolist() == [[1, 0], [0, 2]]


class TestCustomOperators:
    def test_keywords_and_defaults_go_where_they_belong(self):
        @torch.library.custom_op("suites::affine", mutates_args=())
        def affine(x: torch.Tensor, a: float, b: float = 1.0) -> torch.Tensor:
            return a * x + b

        def setup_context(ctx, inputs, output):
            ctx.a = inputs[1]

        affine.register_autograd(lambda ctx, g: (g * ctx.a, None, None), setup_context=setup_context)
        x = torch.ones(2, requires_grad=True)
        y = torch.ops.suites.affine.default(b=5.0, a=2.0, x=x)
        y.sum().backward()
        assert y.tolist() == [7, 7] and x.grad.tolist() == [2, 2] and affine(x, 3.0).tolist() == [4, 4]
        assert y.grad_fn.name() == "GeneratedBackwardFor_suites_affine_defaultBackward"
        with pytest.raises(RuntimeError, match="Expected a value of type 'Tensor' for argument 'x'"):
            affine(3, 1.0)

    @pytest.mark.cpu("a kernel for it alone")
    def test_schemas_are_read(self):
        torch.library.define("suites::pick", "(Tensor x, int[] dims=[0, 1], *, str? how=None, bool keep=False) -> Tensor")
        torch.library.impl("suites::pick", "cpu")(lambda x, dims, how=None, keep=False: (dims, how, keep))
        assert torch.ops.suites.pick(torch.ones(1), keep=True) == ([0, 1], None, True)

    @pytest.mark.cpu("arrays that share its memory")
    def test_writes_are_counted(self):
        @torch.library.custom_op("suites::fill", mutates_args={"out"})
        def fill(out: torch.Tensor, v: float) -> None:
            out.numpy()[:] = v

        x = torch.ones(2, requires_grad=True)
        y = torch.zeros(2)
        z = (x * y).sum()
        fill(y, 2.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.backward()

    def test_a_batch_goes_by_the_rule_or_one_by_one(self):
        calls = []

        @torch.library.custom_op("suites::sine", mutates_args=())
        def sine(x: torch.Tensor) -> torch.Tensor:
            calls.append(x.shape)
            return torch.from_numpy(x.cpu().numpy() * 2).to(x.device)

        assert torch.vmap(sine)(torch.ones(2, 3)).eq(2).all() and calls == [(3,), (3,)]
        torch.library.register_vmap("suites::sine", lambda info, dims, x: (sine(x), dims[0]))
        assert torch.vmap(sine)(torch.ones(2, 3)).eq(2).all() and calls[2:] == [(2, 3)]

    def test_fakes_make_what_has_no_elements(self):
        @torch.library.custom_op("suites::columns", mutates_args=())
        def columns(x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(x.numpy().sum(0))

        columns.register_fake(lambda x: x.new_empty(x.shape[1:]))
        assert columns(torch.empty(2, 3, device="meta")).shape == (3,)


class Tagged:
    """What both libraries' subclasses below have: a constructor of their own that gives Tensor's the data only."""

    def __new__(cls, data, tag=None):
        return super().__new__(cls, data)

    def __init__(self, data, tag=None):
        self.tag = tag


@pytest.mark.parametrize("library", [torch, pytorch], ids=["rushlight", "pytorch"])
def test_a_subclass_is_made_by_new_whatever_its_init_takes(library):
    kind = type("Kind", (Tagged, library.Tensor), {})
    source = library.arange(4.0).view(2, 2)
    made = kind(source, tag=3)
    assert type(made) is kind and made.tag == 3 and made.tolist() == source.tolist() and made.data_ptr() == source.data_ptr()
    assert kind([1.0, 2.0]).tolist() == [1, 2]
    assert library.Tensor.__new__(kind, 2, 3).shape == (2, 3)
    leaf = library.ones(2, requires_grad=True)
    kind(leaf).sum().backward()
    assert leaf.grad.tolist() == [1, 1] and "AliasBackward0" in str(library.Tensor(leaf))


def test_what_is_saved_to_an_open_file_is_in_the_file(tmp_path):
    for new_format in (True, False):
        with open(tmp_path / "x.pt", "wb") as file:
            torch.save({"a": torch.ones(2)}, file, _use_new_zipfile_serialization=new_format)
            assert torch.load(tmp_path / "x.pt")["a"].tolist() == [1, 1]  # while it is open, as a temporary file is


class Adapter:
    """A loader around a loader, which answers for it, as accelerate's."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __reduce__(self):
        return Adapter, (torch.utils.data.DataLoader([0]),), self.__dict__


def test_a_loader_has_no_say_in_how_its_adapter_is_unpickled():
    adapter = pickle.loads(pickle.dumps(Adapter(torch.utils.data.DataLoader(range(5), batch_size=2))))
    assert [batch.tolist() for batch in adapter.inner] == [[0, 1], [2, 3], [4]]


def test_a_module_in_one_process_is_loaded_as_a_distributed_one():
    from rushlight.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict

    model = torch.nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    found = set_model_state_dict(model, {"weight": torch.ones(1, 2)}, options=StateDictOptions(strict=False, full_state_dict=True))
    assert found.missing_keys == ["bias"] and model.weight.tolist() == [[1, 1]]
    with pytest.raises(RuntimeError, match="Missing key"):
        set_model_state_dict(model, {"weight": torch.ones(1, 2)})
    assert list(get_model_state_dict(model)) == ["weight", "bias"]
    assert list(get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))) == ["weight"]
    with pytest.raises(ValueError, match="process group has not been initialized"):
        get_model_state_dict(model, options=StateDictOptions(broadcast_from_rank0=True, full_state_dict=True))


def test_packages_put_their_own_steps_into_vmap(monkeypatch):
    from rushlight._functorch import vmap as steps

    seen = []

    def create(flat_in_dims, flat_args, vmap_level, args_spec):
        seen.append((flat_in_dims, vmap_level))
        batched = [steps._add_batch_dim(x, d, vmap_level) for x, d in zip(flat_args, flat_in_dims)]
        return steps.tree_unflatten(batched, args_spec)

    monkeypatch.setattr(steps, "_create_batched_inputs", create)
    assert torch.vmap(torch.dot, (1, 0))(torch.eye(2), torch.ones(2, 2)).tolist() == [1, 1] and seen == [([1, 0], 1)]


@pytest.mark.parametrize("library", [torch, pytorch], ids=["rushlight", "pytorch"])
def test_what_packages_ask_of_batched_tensors(library):
    inside = library._C._functorch if library is pytorch else __import__("rushlight._C._functorch", fromlist=["_"])
    told = []

    def function(x):
        told.append((inside.is_batchedtensor(x), inside.maybe_get_bdim(x), inside.maybe_get_level(x), inside.maybe_current_level()))
        told.append(tuple(inside.get_unwrapped(x).shape))
        return x

    x = library.ones(2, 3)
    library.vmap(function, 1)(x)
    assert told == [(True, 1, 1, 1), (2, 3)]
    assert not inside.is_batchedtensor(x) and inside.maybe_get_level(x) == -1 and inside.maybe_current_level() is None
    with pytest.raises(RuntimeError, match="No wrappers present"):
        inside.get_unwrapped(x)


def test_functorch_makes_functions_of_modules():
    from rushlight._functorch.deprecated import combine_state_for_ensemble, make_functional, make_functional_with_buffers, vmap

    models = [torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).eval() for _ in range(3)]
    x = torch.rand(4, 2)
    function, params, buffers = combine_state_for_ensemble(models)
    torch.testing.assert_close(vmap(function, (0, 0, None))(params, buffers, x), torch.stack([model(x) for model in models]))
    assert all(p.requires_grad and p.is_leaf for p in params)
    function, params = make_functional(models[0][0], disable_autograd_tracking=True)
    assert not any(p.requires_grad for p in params) and torch.equal(function(params, x), models[0][0](x).detach())
    with pytest.raises(RuntimeError, match="has buffers"):
        make_functional(models[0])
    with pytest.raises(ValueError):
        make_functional_with_buffers(models[0])[0](params[:1], (), x)


@pytest.mark.parametrize("name", ["qint8", "quint8", "qint32", "quint4x2", "quint2x4"])
def test_quantised_dtypes_are_names_that_no_tensor_has(name):
    kind, x = getattr(torch, name), torch.ones(2, 4)
    theirs = getattr(pytorch, name)
    assert isinstance(kind, torch.dtype) and repr(kind) == repr(theirs) and kind != torch.int8 and kind in {kind: 1}
    assert (kind.itemsize, kind.is_floating_point) == (theirs.itemsize, theirs.is_floating_point)
    assert pickle.loads(pickle.dumps(kind)) is kind
    for use in (
        lambda: torch.zeros(2, dtype=kind), lambda: x.to(kind), lambda: x.type(kind), lambda: x.view(kind), lambda: x.sum(dtype=kind),
        lambda: torch.tensor([1], dtype=kind), lambda: x.cumsum(0, dtype=kind), lambda: torch.promote_types(kind, torch.int8),
        lambda: torch.result_type(x, kind), lambda: torch.can_cast(kind, torch.int8), lambda: torch.nn.Linear(1, 1, dtype=kind),
        lambda: torch.arange(3, dtype=kind), lambda: x.softmax(0, dtype=kind), lambda: torch.empty_like(x, dtype=kind), kind.to_complex,
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=f"torch.{name} is a name only"):
            use()


@pytest.mark.cpu("it draws numbers, which on a GPU are others")
@pytest.mark.parametrize("buffer_size", [3, 100])
def test_a_shuffled_pipe_has_pytorchs_order(buffer_size):
    def drawn(library):
        pipe = library.utils.data.datapipes.iter.IterableWrapper(range(10)).shuffle(buffer_size=buffer_size)
        library.manual_seed(0)
        plain = list(pipe)
        return plain, list(pipe.set_seed(5)), list(pipe.set_shuffle(False))

    assert drawn(torch) == drawn(pytorch)


def test_blocks_of_a_programs_own_decorate():
    from rushlight.utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager

    depth = []

    class inside(_DecoratorContextManager):
        def __init__(self, mark):
            self.mark = mark

        def __enter__(self):
            depth.append(self.mark)

        def __exit__(self, *error):
            depth.pop()

        def clone(self):
            return inside(self.mark)

    @inside("a")
    def function():
        return list(depth)

    assert function() == ["a"] and depth == []
    assert isinstance(torch.no_grad(), _NoParamDecoratorContextManager)


@pytest.mark.parametrize("name", ["weight", "running_mean", "extra"])
def test_tensors_are_swapped_by_name(name):
    from rushlight.nn.utils._named_member_accessor import _MISSING, set_tensor, swap_tensor

    module = torch.nn.BatchNorm1d(2)
    module.extra = torch.ones(1)
    own, given = getattr(module, name), torch.zeros(2)
    assert swap_tensor(module, name, given) is own and getattr(module, name) is given
    set_tensor(module, name, own)
    assert getattr(module, name) is own
    assert swap_tensor(module, "absent", given, allow_missing=True) is _MISSING and module.absent is given
    assert swap_tensor(module, "absent", _MISSING) is given and not hasattr(module, "absent")
    with pytest.raises(AttributeError, match="has no attribute 'absent'"):
        swap_tensor(module, "absent", given)
    with pytest.raises(KeyError, match="tensor name can"):
        swap_tensor(module, "a.b", given)


@pytest.mark.parametrize("library", [torch, pytorch], ids=["rushlight", "pytorch"])
def test_a_nodes_attributes_tell_how_a_tensor_was_cut(library):
    x = library.ones(1, 7, 2, requires_grad=True) * 1
    node = x.split((2, 5), 1)[0].grad_fn
    assert (node._saved_dim, tuple(node._saved_split_sizes), tuple(node._saved_self_sym_sizes)) == (1, (2, 5), (1, 7, 2))
    assert not hasattr(node, "_saved_split_size")
    node = x.split(3, 1)[0].grad_fn
    assert (node._saved_dim, node._saved_split_size) == (1, 3)
    for index, told in (((slice(None), slice(1, 3)), (1, 1, 3, 1)), ((slice(None), slice(2, None, 2)), (1, 2, 2**63 - 1, 2))):
        node = x[index].grad_fn
        assert (node._saved_dim, node._saved_start, node._saved_end, node._saved_step) == told


@pytest.mark.cpu("it draws numbers, which on a GPU are others")
@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_of_transformers_are_made_of_blocks_that_subclasses_replace(norm_first):
    answers = []
    for library in (pytorch, torch):
        nn = library.nn

        class Scaled(nn.TransformerDecoderLayer):
            def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
                return 0.5 * super()._sa_block(x, attn_mask, key_padding_mask, is_causal)

            def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
                return 2.0 * super()._mha_block(x, mem, attn_mask, key_padding_mask, is_causal)

            def _ff_block(self, x):
                return super()._ff_block(x).relu()

        library.manual_seed(0)
        layer = Scaled(8, 2, 16, 0.0, norm_first=norm_first)
        answers.append(layer(library.ones(3, 2, 8), library.arange(48.0).reshape(3, 2, 8).sin()).tolist())
    assert np.allclose(*answers, atol=1e-6)


def test_programs_ask_before_they_use_several_processes():
    from rushlight.distributed.elastic.multiprocessing.errors import record

    assert not torch.distributed.rpc.is_available() and not torch.distributed.autograd.is_available()
    assert record(len)([1, 2]) == 2
    from rushlight.distributed._composable_state import _get_module_state
    from rushlight.distributed.fsdp import BackwardPrefetch

    assert _get_module_state(torch.nn.Linear(1, 1)) is None
    assert BackwardPrefetch.BACKWARD_PRE.name == pytorch.distributed.fsdp.BackwardPrefetch.BACKWARD_PRE.name
    assert not torch._C._is_tracing()


def test_rooms_of_quantised_layers_hold_names_only():
    from rushlight.ao.quantization.quantize import convert
    from rushlight.quantization.observer import MinMaxObserver

    from rushlight.nn.quantized import Linear

    assert not isinstance(torch.nn.Linear(1, 1), (Linear, MinMaxObserver))
    for refused in (Linear, MinMaxObserver, convert, torch.quantization.quantize):
        with pytest.raises(RuntimeError, match="quantised tensors are later work"):
            refused()


@pytest.mark.parametrize("name", ["add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "floor_divide"])
@pytest.mark.parametrize("pair", [(7, 2), (7.5, 2), (-7, 2.5), (True, 2), (3, 1 + 2j), (np.float64(2.5), 2), (True, False)])
def test_two_numbers_give_a_tensor_where_pytorch_takes_them(name, pair):
    def outcome(library):
        try:
            found = getattr(library, name)(*pair)
        except (RuntimeError, TypeError) as error:
            return type(error), str(error).splitlines()[0]
        return str(found), str(found.dtype)

    assert outcome(torch) == outcome(pytorch)


def test_two_numbers_with_rounding_alpha_and_out():
    assert torch.div(7, 2, rounding_mode="trunc").item() == 3 and torch.div(-7, 2, rounding_mode="floor").item() == -4
    assert torch.add(1, 2, alpha=3).item() == 7 and torch.sub(input=1, other=2, alpha=torch.tensor(3)).item() == -5
    out = torch.empty(0)
    assert torch.mul(2, 3, out=out) is out and out.item() == 6 and out.shape == ()
    with pytest.raises(TypeError, match=r"remainder\(\)|must be Tensor, not int"):
        torch.remainder(7, 2)


def test_names_that_spikingjelly_and_mmengine_import():
    from rushlight.distributed.fsdp.api import LocalOptimStateDictConfig, LocalStateDictConfig, StateDictSettings

    from rushlight._subclasses.fake_tensor import unset_fake_temporarily
    from rushlight.nn.modules.conv import _ConvNd, _ConvTransposeMixin

    with unset_fake_temporarily() as mode:
        assert mode is None
    assert issubclass(_ConvTransposeMixin, _ConvNd) and not isinstance(torch.nn.Conv2d(1, 1, 1), _ConvTransposeMixin)
    for absent in (LocalOptimStateDictConfig, LocalStateDictConfig, StateDictSettings):
        with pytest.raises(RuntimeError, match="distributed"):
            absent()
