"""Products of all ranks against PyTorch: values, dtypes, layouts, gradients to second order, node names, messages."""

import warnings

import numpy as np
import pytest
from oracle_gradients import compare, first_line, to_numpy, to_rushlight

import rushlight as rl
import rushlight.nn.functional as RF

torch = pytest.importorskip("torch")
TF = torch.nn.functional

RANKS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((2, 2, 3), (3,)), ((3,), (2, 3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((7, 5, 2, 3), (5, 3, 4)), ((7, 1, 2, 3), (5, 3, 4)),
]  # fmt: skip
DTYPES = ["float32", "float64", "complex64", "complex128", "int64", "int32", "int16", "int8", "uint8", "float16"]
INEXACT = [torch.float64, torch.complex128]


def draw(dtype, *shape):
    dtype = getattr(torch, dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(*shape, dtype=dtype)
    return torch.randint(0, 10, shape, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b"), [
    *RANKS, ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((150, 200), (200, 170)), ((3, 150, 200), (200, 170)), ((3, 15, 20), (3, 20, 17)),
])  # fmt: skip
def test_matmul_values(dtype, a, b):
    x, y = draw(dtype, *a), draw(dtype, *b)
    got, expected = rl.matmul(to_rushlight(x), to_rushlight(y)), torch.matmul(x, y)
    assert tuple(got.shape) == tuple(expected.shape)
    tolerance = {"float16": 2e-2, "float32": 1e-4, "complex64": 1e-4}.get(dtype, 1e-9)
    np.testing.assert_allclose(to_numpy(got), expected.numpy(force=True), rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_operands_are_taken_as_they_lie(m, k, n):
    def forms(x):
        rows, columns = x.shape
        yield to_rushlight(x)
        yield to_rushlight(x.t().contiguous()).t()
        yield to_rushlight(x[:, None, :].expand(rows, 2, columns).contiguous())[:, 1]
        yield to_rushlight(x[..., None].expand(rows, columns, 2).contiguous())[..., 0]
        yield -to_rushlight(-x.conj().resolve_conj()).conj()

    a, b = draw("complex128", m, k), draw("complex128", k, n)
    for x in forms(a):
        for y in forms(b):
            np.testing.assert_allclose(to_numpy(rl.mm(x, y)), (a @ b).numpy(force=True), atol=1e-12)
    row, column = a[:1, :].expand(m, k), b[:, :1].expand(k, n)
    x, y = to_rushlight(a[:1].contiguous()).expand(m, k), to_rushlight(b[:, :1].contiguous()).expand(k, n)
    np.testing.assert_allclose(to_numpy(x @ y), (row @ column).numpy(force=True), atol=1e-12)


def test_bfloat16():
    a, b = torch.randn(70, 300).bfloat16(), torch.randn(300, 90).bfloat16()
    x, y = to_rushlight(a.float()).bfloat16(), to_rushlight(b.float()).bfloat16()
    for bias in (None, torch.randn(90).bfloat16()):
        got = x @ y if bias is None else rl.addmm(to_rushlight(bias.float()).bfloat16(), x, y)
        expected = a.double() @ b.double() + (0 if bias is None else bias.double())
        assert got.dtype is rl.bfloat16
        np.testing.assert_allclose(to_numpy(got.float()), expected.numpy(force=True), rtol=1e-2, atol=0.2)


@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("shapes", RANKS)
def test_matmul_gradients(dtype, shapes):
    compare(torch, torch.matmul, rl.matmul, *shapes, dtype=dtype)


BOTH = {
    "mm of transposed": (lambda t, f: lambda a, b: t.mm(a.t(), b.t()), (3, 2), (4, 3)),
    "vdot": (lambda t, f: t.vdot, (4,), (4,)),
    "addmm": (lambda t, f: lambda s, a, b: t.addmm(s, a, b, beta=2, alpha=3), (4,), (2, 3), (3, 4)),
    "addmm without input": (lambda t, f: lambda s, a, b: t.addmm(s, a, b, beta=0, alpha=3), (4,), (2, 3), (3, 4)),
    "addmm method": (lambda t, f: lambda s, a, b: s.addmm(a, b), (2, 4), (2, 3), (3, 4)),
    "addmv": (lambda t, f: lambda s, a, x: t.addmv(s, a, x, beta=2, alpha=3), (2,), (2, 3), (3,)),
    "baddbmm": (lambda t, f: lambda s, a, b: t.baddbmm(s, a, b, beta=2, alpha=3), (2, 1), (5, 2, 3), (5, 3, 4)),
    "addbmm": (lambda t, f: lambda s, a, b: t.addbmm(s, a, b, beta=2, alpha=3), (2, 1), (5, 2, 3), (5, 3, 4)),
    "addr": (lambda t, f: lambda s, a, b: t.addr(s, a, b, beta=2, alpha=3), (3, 4), (3,), (4,)),
    "outer": (lambda t, f: t.outer, (3,), (4,)),
    "inner": (lambda t, f: t.inner, (2, 3), (4, 3)),
    "kron": (lambda t, f: t.kron, (2, 3), (1, 4, 3)),
    "tensordot": (lambda t, f: lambda a, b: t.tensordot(a, b, ([1, 0], [0, 2])), (2, 3, 4), (3, 5, 2)),
    "tensordot 1": (lambda t, f: lambda a, b: t.tensordot(a, b, 1), (2, 3), (3, 5, 2)),
    "cross": (lambda t, f: t.linalg.cross, (2, 3), (1, 3)),
    "chain_matmul": (lambda t, f: t.chain_matmul, (2, 3), (3, 5), (5, 4)),
    "linear 1-D": (lambda t, f: f.linear, (3,), (4, 3), (4,)),
    "linear 2-D": (lambda t, f: f.linear, (2, 3), (4, 3), (4,)),
    "linear 4-D": (lambda t, f: f.linear, (2, 2, 2, 3), (4, 3), (4,)),
    "linear without bias": (lambda t, f: f.linear, (2, 2, 3), (4, 3)),
    "linear of strided": (lambda t, f: lambda x, w, b: f.linear(x.transpose(0, 1), w, b), (2, 5, 3), (4, 3), (4,)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", INEXACT)
@pytest.mark.parametrize("name", BOTH)
def test_gradients(name, dtype):
    make, *shapes = BOTH[name]
    compare(torch, make(torch, TF), make(rl, RF), *shapes, dtype=dtype)


def test_bilinear():
    compare(torch, TF.bilinear, RF.bilinear, (2, 3), (2, 4), (5, 3, 4), (5,))


def test_node_names():
    for a, b in RANKS:
        theirs = torch.matmul(torch.ones(a, requires_grad=True), torch.ones(b))
        ours = rl.matmul(rl.ones(a, requires_grad=True), rl.ones(b))
        assert ours.grad_fn.name() == theirs.grad_fn.name(), (a, b)
    for shape in [(3,), (2, 3), (2, 2, 3)]:
        for bias in (None, 4):
            theirs = TF.linear(torch.ones(shape), torch.ones(4, 3, requires_grad=True), None if bias is None else torch.ones(4))
            ours = RF.linear(rl.ones(shape), rl.ones(4, 3, requires_grad=True), None if bias is None else rl.ones(4))
            assert ours.grad_fn.name() == theirs.grad_fn.name(), (shape, bias)


def test_the_gradient_of_a_transposed_weight_lies_like_the_weight():
    w = rl.ones(4, 3, requires_grad=True)
    (rl.ones(2, 3) @ w.t()).sum().backward()
    assert w.grad.is_contiguous()


def test_in_place_and_out():
    x, a, b = rl.ones(2, 2), rl.ones(2, 3), rl.ones(3, 2)
    before = x.data_ptr()
    x.addmm_(a, b)
    assert x.tolist() == [[4, 4], [4, 4]] and x.data_ptr() == before
    out = rl.empty(2, 2)
    assert rl.mm(a, b, out=out) is out and out.tolist() == [[3, 3], [3, 3]]
    w = rl.ones(2, 2, requires_grad=True)
    y = w * 1
    y.addmm_(a, b, beta=2)
    y.sum().backward()
    assert w.grad.tolist() == [[2, 2], [2, 2]]


def test_same_bits_for_any_number_of_threads():
    before, x, y = rl.get_num_threads(), rl.randn(300, 400), rl.randn(400, 350)
    results = []
    try:
        for count in (1, 2, 8):
            rl.set_num_threads(count)
            results.append(to_numpy(x @ y).tobytes())
    finally:
        rl.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# -- einsum --

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)),
    ("i,j->ij", (2,), (3,)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("...ij,...jk->...ik", (2, 1, 2, 3), (5, 3, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)), ("i,i", (3,), (3,)), ("ij,ij->ij", (2, 3), (2, 3)), ("ij,j->ij", (2, 3), (3,)),
    ("ij,ik,il->jkl", (4, 2), (4, 3), (4, 5)), ("ij,jk,kl", (4, 2), (2, 3), (3, 5)), ("...i->...", (2, 3, 4)), ("i...->...", (2, 3, 4)),
    ("b i j , b j -> b i", (5, 2, 3), (5, 3)), ("ij,jk->ik", (2, 1), (3, 4)), ("iij->j", (3, 3, 2)), ("abc,abc->c", (2, 3, 4), (2, 3, 4)),
    ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)), ("...,...", (2, 3), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: case[0])
def test_einsum(case):
    equation, *shapes = case
    compare(torch, lambda *x: torch.einsum(equation, *x), lambda *x: rl.einsum(equation, *x), *shapes)


def test_einsum_with_lists():
    a, b = torch.randn(2, 3), torch.randn(3, 4)
    x, y = to_rushlight(a), to_rushlight(b)
    np.testing.assert_allclose(to_numpy(rl.einsum(x, [0, 1], y, [1, 2], [0, 2])), (a @ b).numpy(force=True), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(rl.einsum(x, [0, ...], [..., 0])), a.t().numpy(force=True))


# -- messages: one expression for both libraries, t makes a tensor of ones, g makes it require a gradient --

BAD_CALLS = """
x.mm(t(2,3),t(4,5)) | x.mm(t(2),t(4,5)) | x.mm(t(2,3),t(4)) | x.mm(t(2,3),t(3,4).double()) | x.mm(t(2,3).int(),t(3,4)) | x.mm(t(2,2),3)
x.mm(t(2,2),t(2,2).half()) | x.mm(t(2,2),t(2,2),out=t(2,2).int()) | x.mm(t(2,2),g(t(2,2)),out=t(2,2))
x.mm(t(2,2),t(2,2),out=g(t(2,2))) | x.mm(t(2,2).bool(),t(2,2).bool()) | x.bmm(t(2,2,2).bool(),t(2,2,2).bool())
x.bmm(t(2,3),t(4,5)) | x.bmm(t(2,3,4),t(4,5)) | x.bmm(t(2,3,4),t(3,4,5)) | x.bmm(t(2,3,4),t(2,3,5)) | x.bmm(t(2,3,4),t(2,4,5).double())
x.matmul(t(2,3),t(4,5)) | x.matmul(t(2,3),t(4)) | x.matmul(t(3),t(4)) | x.matmul(t(3),t(4,5)) | x.matmul(t(2,3,4),t(5,6))
x.matmul(t(2,3,4),t(3,4,5)) | x.matmul(t(2,3,4),t(2,3,5)) | x.matmul(t(),t(2)) | x.matmul(t(2),t()) | x.matmul(t(2,2),t(2,2).double())
x.matmul(t(2),t(2).double()) | x.matmul(t(2,2),t(2).double()) | x.matmul(t(2,2,2),t(2).double()) | x.matmul(t(2,2),2) | t(2,2)@2
x.mv(t(2,3),t(4)) | x.mv(t(2),t(4)) | x.mv(t(2,3),t(3,1)) | x.mv(t(2,3),t(3).double()) | x.mv(t(2,2).bool(),t(2).bool())
x.dot(t(2),t(3)) | x.dot(t(2,2),t(3)) | x.dot(t(2),t(2).double()) | x.vdot(t(2),t(3)) | x.vdot(t(2,2),t(3))
x.dot(t(2).bool(),t(2).bool())
x.addmm(t(3),t(2,3),t(3,4)) | x.addmm(t(2,4),t(2,3),t(4,4)) | x.addmm(t(4),t(2),t(4,4)) | x.addmm(t(4),t(2,3),t(3,4).double())
x.addmm(t(4).double(),t(2,3),t(3,4)) | x.addmm(t(1,2,4),t(2,3),t(3,4)) | t(2,2).addmm_(t(2,2),t(2,3)) | t(2).addmm_(t(2,2),t(2,2))
x.addmv(t(3),t(2,3),t(3)) | x.addmv(t(2),t(2,3),t(4)) | x.addmv(t(2),t(2),t(4)) | x.addmv(t(2).double(),t(2,3),t(3))
x.baddbmm(t(3),t(2,3,4),t(2,4,5)) | x.baddbmm(t(5),t(2,3,4),t(2,3,5)) | x.baddbmm(t(5),t(3,4),t(2,3,5))
x.baddbmm(t(5).double(),t(2,3,4),t(2,4,5)) | x.addbmm(t(3),t(2,3,4),t(2,4,5)) | x.addbmm(t(5),t(2,3,4),t(2,3,5))
x.addr(t(3),t(2),t(3,1)) | x.addr(t(4),t(2),t(3)) | x.outer(t(2,2),t(3)) | x.outer(t(2),t(3,2)) | x.inner(t(2,3),t(4))
x.tensordot(t(2,3),t(4,5),1) | x.cross(t(2,4),t(2,4)) | x.cross(t(2,4),t(2,4),dim=1) | x.cross(t(2,3),t(4,3))
x.linalg.cross(t(2,4),t(2,4)) | x.nn.functional.linear(t(2,3),t(4,5)) | x.nn.functional.linear(t(2,3),t(4,5),t(4))
x.nn.functional.linear(t(2,3),t(4,3),t(5)) | x.nn.functional.linear(t(2,2,3),t(4,5)) | x.nn.functional.linear(t(2,3),t(4,3).double(),t(4))
x.nn.functional.linear(t(2,3),t(4,3).double()) | x.nn.functional.linear(t(2,3).long(),t(4,3),t(4))
x.nn.functional.linear(t(3),t(4,5),t(4))
x.einsum('ij,jk',t(2,3)) | x.einsum('ij,jk->il',t(2,3),t(3,4)) | x.einsum('ij,jk',t(2,3),t(4,4)) | x.einsum('i',t(2,3))
x.einsum('ijk',t(2,3)) | x.einsum('i1',t(2,3)) | x.einsum('ij->ii',t(2,3)) | x.einsum('..ij',t(2,3)) | x.einsum('ij->i->j',t(2,3))
x.einsum('ii',t(2,3)) | x.einsum('ij,jk->ik') | x.einsum('i...->...i...',t(2,3)) | x.einsum('ij',t(2,3),t(2,3))
"""


@pytest.mark.parametrize("source", [s.strip() for line in BAD_CALLS.splitlines() for s in line.split(" | ") if s.strip()])
def test_messages_are_those_of_pytorch(source):
    def outcome(x):
        names = {"x": x, "t": x.ones, "g": lambda y: y.requires_grad_()}
        return first_line(lambda: eval(source, names))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, got = outcome(torch), outcome(rl)
    assert expected is not None and got == expected


def test_tensordot_of_integers_keeps_their_dtype_where_a_dim_is_broadcast():
    for library in (torch, rl):
        ones, hundreds = (library.full(size, value, dtype=library.uint8) for size, value in (((1, 3), 1), ((2, 3), 100)))
        got = library.tensordot(ones, hundreds, dims=([0, 1], [0, 1]))
        assert got.item() == 600 % 256 and got.dtype is library.uint8


@pytest.mark.parametrize("columns", [1, 4])
def test_long_sums_of_few_columns_are_exact_to_five_digits(columns):
    """One chain of 70,000 additions is not, as larger products have it; einops' own tests ask for this."""
    x = rl.rand(1, 70_000)
    w = x.t().expand(70_000, columns).contiguous()
    exact = (x.double() ** 2).sum()
    assert ((x @ w).double() / exact - 1).abs().max() < 8e-6
