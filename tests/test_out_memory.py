"""Where results lie that go to out=: expanded tensors, and products that are written straight to where they belong."""

import pytest
from oracle import refused_alike, torch

import rushlight as rl
from rushlight._core import tensor

WORDS = "more than one element of the written-to tensor refers to a single memory location"


def _expanded(library, shape, dim=0, dtype="float32"):
    """A tensor of sevens whose elements along a dim are one."""
    sizes = [1 if d == dim else n for d, n in enumerate(shape)]
    return library.full(sizes, 7, dtype=getattr(library, dtype)).expand(*shape)


def _numbers(library, *shape):
    return (library.arange(library.Size(shape).numel()) ** 2 % 7).float().reshape(shape)


MEETING = {
    "sum": lambda L: L.sum(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    "sum keepdim": lambda L: L.sum(_numbers(L, 3, 4), 1, keepdim=True, out=_expanded(L, (3, 1))),
    "sum one of two": lambda L: L.sum(_numbers(L, 3, 4, 2), 1, out=_expanded(L, (3, 2), 1)),
    "prod": lambda L: L.prod(_numbers(L, 3, 4) + 1, dim=0, out=_expanded(L, (4,))),
    "nansum": lambda L: L.nansum(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    "amax": lambda L: L.amax(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    "amin": lambda L: L.amin(_numbers(L, 3, 4), -1, out=_expanded(L, (3,))),
    "all": lambda L: L.all(_numbers(L, 3, 4) < 4, 1, out=_expanded(L, (3,), dtype="bool")),
    "any": lambda L: L.any(_numbers(L, 3, 4) > 3, 1, out=_expanded(L, (3,), dtype="bool")),
    "var": lambda L: L.var(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    "std": lambda L: L.std(_numbers(L, 3, 4), dim=1, correction=0, out=_expanded(L, (3,))),
    "norm": lambda L: L.norm(_numbers(L, 3, 4), dim=1, out=_expanded(L, (3,))),
    "vector_norm": lambda L: L.linalg.vector_norm(_numbers(L, 3, 4), 1, dim=1, out=_expanded(L, (3,))),
    "eye": lambda L: L.eye(3, out=_expanded(L, (3, 3))),
    "eye columns": lambda L: L.eye(3, 2, out=_expanded(L, (3, 2), 1)),
    "empty": lambda L: L.empty(3, out=_expanded(L, (3,))),
    "zeros": lambda L: L.zeros(3, out=_expanded(L, (3,))),
    "mv": lambda L: L.mv(_numbers(L, 3, 3), _numbers(L, 3), out=_expanded(L, (3,))),
    "bmm": lambda L: L.bmm(_numbers(L, 2, 3, 3), _numbers(L, 2, 3, 3), out=_expanded(L, (2, 3, 3))),
    # an out= of another shape takes the result's, and has memory of its own then
    "sum resized": lambda L: L.sum(_numbers(L, 3, 4), 0, out=_expanded(L, (3,))),
    "mm resized": lambda L: L.mm(_numbers(L, 3, 3), _numbers(L, 3, 2), out=_expanded(L, (3, 3))),
    "cat resized": lambda L: L.cat([_numbers(L, 3), _numbers(L, 3)], out=_expanded(L, (3,))),
    "inv resized": lambda L: L.linalg.inv(L.eye(2), out=_expanded(L, (3, 3))),
    "zeros resized": lambda L: L.zeros(4, out=_expanded(L, (3,))),
}


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("name", MEETING)
def test_elements_of_out_that_are_one_location(name):
    mine, theirs = (MEETING[name](library).double().tolist() for library in (rl, torch))
    assert rl.allclose(rl.tensor(mine), rl.tensor(theirs), rtol=1e-5)


def test_what_follows_from_an_order_of_writing_is_the_last():
    rl.manual_seed(0)
    order = rl.randperm(5)
    rl.manual_seed(0)
    out = rl.zeros(1, dtype=rl.int64).expand(5)
    assert rl.randperm(5, out=out) is out and out.tolist() == [order[-1].item()] * 5


@pytest.mark.parametrize("call", [
    lambda L: L.add(_numbers(L, 3), 1, out=_expanded(L, (3,))),
    lambda L: L.add(_numbers(L, 4), 1, out=_expanded(L, (3,))),
    lambda L: L.mean(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    lambda L: L.logsumexp(_numbers(L, 3, 4), 1, out=_expanded(L, (3,))),
    lambda L: L.linalg.inv(L.eye(3), out=_expanded(L, (3, 3))),
    lambda L: L.mm(_numbers(L, 3, 3), _numbers(L, 3, 3), out=_expanded(L, (3, 3))),
    lambda L: L.addmm(_numbers(L, 3, 3), _numbers(L, 3, 3), _numbers(L, 3, 3), out=_expanded(L, (3, 3))),
    lambda L: L.cat([_numbers(L, 3), _numbers(L, 3)], out=_expanded(L, (6,))),
    lambda L: L.arange(3, out=_expanded(L, (3,))),
    lambda L: L.rand(3, out=_expanded(L, (3,))),
])  # fmt: skip
def test_other_writes_to_one_location_are_refused(call):
    refused_alike(call)


# -- products --


def _written(product, shape, out, *operands):
    """The product by out=, checked against that without; where it was made must not have changed."""
    expected = product(*operands)
    place, version = out.data_ptr(), out._version
    assert product(*operands, out=out) is out
    assert (out.data_ptr(), out._version) == (place, version + 1) and rl.equal(out, expected), (product, shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bfloat16", "complex64"])
def test_products_with_out(dtype):
    rl.manual_seed(0)
    kind = getattr(rl, dtype)
    for n, k, m in ((2, 3, 4), (40, 30, 50), (1, 5, 1), (3, 0, 2), (130, 64, 1), (0, 3, 2)):
        a, b, c = (rl.randint(-4, 5, s).to(kind) for s in ((n, k), (k, m), (n, m)))
        outs = (
            rl.zeros(n, m, dtype=kind),
            rl.zeros(n, m + 3, dtype=kind)[:, 1 : m + 1],
            rl.zeros(m, n, dtype=kind).t(),
            rl.zeros(2 * n, m, dtype=kind)[::2],
        )
        for out in outs:
            _written(rl.mm, (n, k, m), out, a, b)
            _written(rl.matmul, (n, k, m), out, a, b)
            _written(rl.addmm, (n, k, m), out, c, a, b)
            _written(rl.addmm, (n, k, m), out, c[0] if n else c, a, b)
            _written(
                rl.nn.functional.linear, (n, k, m), out, a, b.t().contiguous(), c[0] if n else None
            ) if m and dtype != "int64" else None
        for out in (
            rl.zeros(2, n, m, dtype=kind),
            rl.zeros(n, 2, m, dtype=kind).transpose(0, 1),
            rl.zeros(2, n + 1, m + 1, dtype=kind)[:, 1:, 1:],
        ):
            pair = rl.stack([a, a + 1]), rl.stack([b, b - 1])
            _written(rl.bmm, (n, k, m), out, *pair)
            _written(rl.matmul, (n, k, m), out, *pair)
            _written(rl.matmul, (n, k, m), out, pair[0], b)
            _written(rl.baddbmm, (n, k, m), out, c, *pair)
        _written(rl.mv, (n, k), rl.zeros(n, dtype=kind), a, b[:, 0])
        _written(rl.mv, (n, k), rl.zeros(2 * n, dtype=kind)[::2], a, b[:, 0])
        _written(rl.matmul, (n, k), rl.zeros(2, n, dtype=kind), rl.stack([a, a]), b[:, 0])
        _written(rl.addmv, (n, k), rl.zeros(n, dtype=kind), c[:, 0], a, b[:, 0])
        _written(rl.dot, (k,), rl.zeros((), dtype=kind), b[:, 0], b[:, -1])
        _written(rl.vdot, (k,), rl.zeros((), dtype=kind), b[:, 0], b[:, -1])


def test_products_whose_out_is_an_operand():
    a, b = rl.arange(9.0).reshape(3, 3), rl.arange(9.0).reshape(3, 3) - 4
    expected, added = a @ b, a + a @ b
    assert rl.equal(rl.mm(a.clone(), b, out=(x := a.clone())), expected) and rl.equal(rl.mm(x := a.clone(), b, out=x), expected)
    assert rl.equal(rl.mm(a, x := b.clone(), out=x), expected) and rl.equal(rl.mm(a, x := b.clone(), out=x.t()), expected)
    assert rl.equal(rl.addmm(x := a.clone(), a, b, out=x), added) and rl.equal(a.clone().addmm_(a, b), added)
    assert rl.equal(rl.mv(a, x := b[0].clone(), out=x), a @ b[0])
    assert rl.equal(rl.matmul(x := rl.stack([a, b]), a, out=x), rl.stack([a, b]) @ a)


def test_a_product_with_out_makes_no_other_tensor():
    a, out = rl.ones(256, 256), rl.empty(256, 256)
    rl.mm(a, a, out=out)
    tensor.reset_peak_memory_stats()
    rl.mm(a, a, out=out)
    assert tensor.memory_stats()["peak"] - tensor.memory_stats()["allocated"] < 256 * 256 * 4


@pytest.mark.parametrize("name", ["mm", "bmm", "mv", "dot", "matmul", "addmm"])
def test_a_product_with_out_is_not_recorded(name):
    def call(L):
        a = L.ones(2, 2, requires_grad=True)
        operands = {"mm": (a, a), "bmm": (a[None], a[None]), "mv": (a, a[0]), "dot": (a[0], a[0]), "matmul": (a, a), "addmm": (a, a, a)}[
            name
        ]
        out = L.zeros(2, 2)
        getattr(L, name)(*operands, out=out)

    refused_alike(call)
