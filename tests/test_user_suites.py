"""What the test-suites of packages built on PyTorch found: one test for each cause."""

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
