"""Sparse gradients of embeddings and the optimizers that take them, beside PyTorch."""

import pytest
from oracle import same, torch

import rushlight as rl

INDICES = [[1, 2, 0], [2, 4, 1]]


def table(lib, **options):
    """A table of five rows with the same numbers in both libraries."""
    layer = lib.nn.Embedding(5, 2, sparse=True, **options)
    with lib.no_grad():
        layer.weight.copy_(lib.arange(10.0).reshape(5, 2) / 7)
    return layer


def both(program):
    """What the program returns under each library: numbers and structure."""
    ours, theirs = program(rl), program(torch)
    compare(ours, theirs)


def compare(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert ours.is_sparse == theirs.is_sparse
        if theirs.is_sparse:
            assert ours.is_coalesced() == theirs.is_coalesced()
            compare([ours._indices(), ours._values()], [theirs._indices(), theirs._values()])
            assert repr(ours.detach()) == repr(theirs.detach())
        else:
            same(ours, theirs)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            compare(a, b)
    else:
        assert ours == theirs


def raised(call):
    try:
        return call()
    except (RuntimeError, ValueError) as error:
        return type(error).__name__, str(error).split("\n")[0]


def gradients(lib):
    """First, accumulated, mixed with a dense one, and emptied."""
    layer, x = table(lib, padding_idx=0), lib.tensor(INDICES)
    (layer(x) * lib.arange(12.0).reshape(2, 3, 2)).sum().backward()
    found = [layer.weight.grad.clone()]
    layer(x).sum().backward()
    found += [layer.weight.grad.clone(), layer.weight.grad.coalesce(), layer.weight.grad.to_dense()]
    layer(lib.tensor([3])).sum().backward()
    found.append(layer.weight.grad.coalesce())
    (layer(x).sum() + layer.weight.sum()).backward()
    found.append(layer.weight.grad.clone())
    layer.zero_grad()
    found.append(layer.weight.grad)
    layer(x).sum().backward()
    layer.zero_grad(set_to_none=False)
    found.append(layer.weight.grad.to_dense())
    y = lib.nn.functional.embedding(x, layer.weight * 2, sparse=True)  # between nodes gradients are dense here
    (through,) = lib.autograd.grad(y.sum(), layer.weight)
    return [*found, through.to_dense() if through.is_sparse else through]


def bags(lib):
    """Of an EmbeddingBag, in its modes."""
    found = []
    for mode in ("sum", "mean"):
        layer = lib.nn.EmbeddingBag(5, 2, mode=mode, sparse=True, padding_idx=0)
        layer(lib.tensor(INDICES)).sum().backward()
        found.append(layer.weight.grad.coalesce())
    found.append(raised(lambda: lib.nn.functional.embedding_bag(lib.tensor(INDICES), layer.weight, mode="max", sparse=True)))
    layer = table(lib, scale_grad_by_freq=True)
    return [*found, raised(lambda: layer(lib.tensor(INDICES)).sum().backward())]


def arithmetic(lib):
    """Sums and products of sparse tensors, in place too."""
    a = lib.sparse_coo_tensor([[0, 2, 2]], lib.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), (3, 2))
    b = lib.sparse_coo_tensor([[1]], lib.tensor([[7.0, 8.0]]), (3, 2)).coalesce()
    dense = lib.ones(3, 2)
    dense.add_(a, alpha=-2)
    found = [dense, a.coalesce() + b, (a + b).coalesce(), a * 2, -a, a / 2, dense + a, a.clone().mul_(3), b.norm(), b.clone().zero_()]
    c = a.clone()
    c.add_(b)
    return [*found, c.coalesce(), dense.sparse_mask(b), b.sparse_mask(a.coalesce())]


def trained(lib, make):
    layer = table(lib)
    optimizer = make(lib.optim, layer.parameters())
    found = []
    for step in range(4):
        optimizer.zero_grad()
        rows = lib.tensor([[1, 2], [3, 1], [1, 1], [0, 4]][step])
        (layer(rows) ** 2 * (step + 1)).sum().backward()
        outcome = raised(optimizer.step)
        found += [outcome, layer.weight.detach().clone()]
    state = optimizer.state_dict()
    return [*found, [sorted(state["state"].get(0, {})), [float(v) for k, v in state["state"].get(0, {}).items() if k == "step"]]]


OPTIMIZERS = {
    "sgd": lambda o, p: o.SGD(p, lr=0.1), "sgd_max": lambda o, p: o.SGD(p, lr=0.1, maximize=True),
    "momentum": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "nesterov": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "decay": lambda o, p: o.SGD(p, lr=0.1, weight_decay=0.1), "adagrad": lambda o, p: o.Adagrad(p, lr=0.1, lr_decay=0.1),
    "adagrad_decay": lambda o, p: o.Adagrad(p, weight_decay=0.1), "sparse_adam": lambda o, p: o.SparseAdam(p, lr=0.1),
    "sparse_adam_max": lambda o, p: o.SparseAdam(p, lr=0.1, betas=(0.5, 0.9), maximize=True), "adam": lambda o, p: o.Adam(p),
    "adamw": lambda o, p: o.AdamW(p), "rmsprop": lambda o, p: o.RMSprop(p), "adadelta": lambda o, p: o.Adadelta(p),
    "adamax": lambda o, p: o.Adamax(p),
    "asgd": lambda o, p: o.ASGD(p), "nadam": lambda o, p: o.NAdam(p), "radam": lambda o, p: o.RAdam(p), "rprop": lambda o, p: o.Rprop(p),
}  # fmt: skip


@pytest.mark.parametrize("program", [gradients, bags, arithmetic])
def test_sparse_tensors(program):
    both(program)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    both(lambda lib: trained(lib, OPTIMIZERS[name]))


def test_sparse_adam_refuses():
    def program(lib):
        dense = lib.nn.Parameter(lib.ones(2))
        dense.grad = lib.ones(2)
        complex_ = lib.nn.Parameter(lib.ones(2, dtype=lib.complex64))
        found = [raised(lib.optim.SparseAdam([dense]).step), raised(lambda: lib.optim.SparseAdam([complex_]))]
        wrong = (dict(lr=0.0), dict(eps=0.0), dict(betas=(1.0, 0.9)))
        return [*found, *[raised(lambda o=o: lib.optim.SparseAdam([dense], **o)) for o in wrong]]

    both(program)


def test_sparse_gradients_are_clipped():
    """PyTorch has no norm of sparse gradients; here it is that of their sums."""
    layer = table(rl)
    layer(rl.tensor([1, 1, 2])).sum().backward()
    assert abs(rl.nn.utils.clip_grad_norm_(layer.parameters(), 1.0).item() - 10**0.5) < 1e-6
    assert abs(layer.weight.grad.to_dense().norm().item() - 1) < 1e-5


def test_products_of_two_sparse_matrices():
    """Every term of a place adds up; values of both get gradients."""

    def program(lib):
        left = lib.tensor([1.0, -2.0, 3.0, 0.5, 4.0], dtype=lib.float64, requires_grad=True)
        right = lib.tensor([2.0, 1.0, -1.0, 7.0], dtype=lib.float64, requires_grad=True)
        a = lib.sparse_coo_tensor([[0, 2, 1, 0, 2], [1, 0, 3, 1, 3]], left, (3, 4))
        b = lib.sparse_coo_tensor([[3, 1, 1, 3], [0, 1, 0, 0]], right, (4, 2))
        none = lib.sparse_coo_tensor(size=(4, 2), dtype=lib.float64)
        products = [a @ b, lib.sparse.mm(a, b), lib.mm(b.t(), a.t()), a @ none]
        (products[0].to_dense() * lib.arange(1.0, 7.0).reshape(3, 2)).sum().backward()
        return [p.detach() for p in products] + [left.grad, right.grad]

    both(program)
    with pytest.raises(RuntimeError, match="dim 1 of the sparse matrix has size 4, dim 0 of the second one 3"):
        rl.sparse.mm(rl.sparse_coo_tensor(size=(3, 4)), rl.sparse_coo_tensor(size=(3, 4)))


def test_joined_sparse_tensors():
    def program(lib):
        a = lib.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0], (3, 2))
        b = lib.sparse_coo_tensor([[1, 0, 1], [0, 1, 0]], [3.0, 4.0, 5.0], (2, 2))
        return lib.cat([a, b, a]), lib.cat([a, a], dim=-1), lib.cat([b])

    both(program)
    a = rl.sparse_coo_tensor([[0, 2], [1, 0]], [1.0, 2.0], (3, 2))
    with pytest.raises(RuntimeError, match=r"sizes must agree but for dim 1, got \[3, 2\] and \[2, 3\]"):
        rl.cat([a, a.t()], 1)
    with pytest.raises(RuntimeError, match="all tensors must be sparse"):
        rl.cat([a, a.to_dense()])
