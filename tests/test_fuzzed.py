"""What tools/fuzz_programs.py found: calls whose result (values, dtype, shape, strides, requires_grad) or error is as PyTorch's."""

import pathlib
import sys

import pytest
from oracle import torch

import rushlight as rl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import fuzz_programs


def leaf(t, *shape, **options):
    return t.ones(*shape, requires_grad=True, **options)


def odd(t, sizes=(2, 1, 3), strides=(3, 7, 1)):
    """Zeros whose dims of size 1 have a stride of their own."""
    return t.empty_strided(sizes, strides).zero_()


def after(x, write):
    """``x``, which ``write`` changes."""
    write(x)
    return x


def gradient_after(t, write):
    """The gradient of a leaf through a product that ``write`` changes in place."""
    x = leaf(t, 3)
    y = x * 2
    write(y)
    y.sum().backward()
    return x.grad


def place(t, *where):
    return t.tensor(list(where))


LAYOUTS = {
    "clone with a stride of 2 for one element": lambda t: t.zeros(4)[::2][:1].clone(),
    "to another dtype": lambda t: t.zeros(4)[::2][:1].to(t.float64),
    "empty_like": lambda t: t.zeros_like(t.zeros(4)[::2][:1]),
    "clone": lambda t: odd(t).clone(),
    "clone of turned dims": lambda t: odd(t, strides=(1, 7, 2)).clone(),
    "clone of no elements": lambda t: odd(t, (2, 0, 3), (1, 9, 2)).clone(),
    "zeros_like": lambda t: t.zeros_like(odd(t)),
    "clone of a transposed column": lambda t: t.zeros(2, 3, 1).mT.clone(),
    "clone to row-major": lambda t: t.zeros(2, 3, 1).mT.clone(memory_format=t.contiguous_format),
    "to row-major": lambda t: t.zeros(2, 3, 1).mT.to(t.float64, memory_format=t.contiguous_format),
    "an expanded one": lambda t: t.zeros(4, 1).expand(4, 3).clone(),
    "roll of no elements": lambda t: odd(t, (1, 0), (0, 1)).roll(0, 1),
    "flip": lambda t: t.arange(6.0).reshape(1, 6).flip(0, 1),
    "rot90": lambda t: t.arange(6.0).reshape(2, 3).rot90(2),
    "diag": lambda t: t.ones(1, 3).diag(),
    "diag of no elements": lambda t: t.ones(2, 0).diag(),
    "narrow_copy": lambda t: t.narrow_copy(t.ones(1, 6)[:, ::2], 0, 0, 1),
    "select_copy": lambda t: t.select_copy(t.ones(1, 6), 1, 0),
    "sort along a dim of size 1": lambda t: list(leaf(t, 2, 1, 3).sort(-2)),
    "argsort": lambda t: leaf(t, 2, 1, 3).argsort(-2),
    "msort of a column": lambda t: leaf(t, 3, 1).msort(),
    "mode": lambda t: list(t.zeros(2, 1, 3).mode(1, True)),
}

WRITES = {
    "logical_not_ of a leaf": lambda t: leaf(t, 3).logical_not_(),
    "logical_xor_ of a leaf": lambda t: leaf(t, 3).logical_xor_(t.ones(3)),
    "eq_ of a leaf": lambda t: leaf(t, 3).eq_(t.ones(3)),
    "the gradient passes by logical_not_": lambda t: gradient_after(t, lambda y: y.logical_not_()),
    "and by logical_and_": lambda t: gradient_after(t, lambda y: y.logical_and_(t.zeros(3))),
    "but not by eq_": lambda t: gradient_after(t, lambda y: y.eq_(y.detach())),
    "a number to a place of several elements": lambda t: t.zeros(1).expand(3).copy_(2),
    "a complex number's real part": lambda t: t.zeros(3).copy_(1j),
    "a number filled in several elements": lambda t: t.zeros(1).expand(3).fill_(2),
    "zeros in several elements": lambda t: t.ones(1).expand(3).zero_(),
    "a number filled in that does not fit": lambda t: t.zeros(3, dtype=t.int8).fill_(1j),
    "a number padded with that does not fit": lambda t: t.nn.functional.pad(t.zeros(3, dtype=t.uint8), (1, 1), value=300),
    "a number on the diagonal that does not fit": lambda t: t.zeros(3, 3).fill_diagonal_(1j),
    "a number that wraps": lambda t: t.zeros(3, dtype=t.uint8).copy_(300),
    "a number as it is": lambda t: t.zeros(3, dtype=t.float64).copy_(0.1),
    "a number beyond half width": lambda t: t.zeros(3, dtype=t.float16).copy_(1e10),
    "an integer of more than 64 bits": lambda t: t.zeros(3).copy_(2**70),
    "a mask's own memory": lambda t: after(t.ones(3, 2) > 0, lambda x: x.__setitem__(x, False)),
    "an element of the target through a mask": lambda t: after(t.tensor([3.0, 0, 1]), lambda x: x.__setitem__(x > 0, x[1])),
    "the real part of a conjugate": lambda t: after(t.tensor([1 + 2j]), lambda x: x.conj().real.fill_(5)),
    "the imaginary part of a conjugate": lambda t: after(t.tensor([1 + 2j]), lambda x: x.conj().imag.fill_(5)),
    "itself by index": lambda t: after(t.ones(3, 2), lambda x: x.index_put_((place(t, 0, 1),), x.t())),
    "no elements of itself": lambda t: after(t.ones(2, 0), lambda x: x.index_put_((place(t, 0, 1),), x)),
    "no elements joined to themselves": lambda t: after(t.zeros(0), lambda x: t.cat([x, x], out=x)),
    "a shape before an index": lambda t: t.zeros(3, 2).index_put_((place(t, 0, 5),), t.zeros(7)),
    "a dtype before an index": lambda t: t.zeros(3, 2).index_put_((place(t, 0, 5),), t.zeros(2).long()),
    "an index": lambda t: t.zeros(3, 2).index_put_((place(t, 0, 5),), t.zeros(2)),
    "an index where there is none": lambda t: t.zeros(0, 2).index_put_((place(t, 0),), t.zeros(2)),
    "memory before the number of slices": lambda t: after(t.zeros(1, 2), lambda x: x.index_copy_(1, place(t, 0), x)),
    "a dim before memory": lambda t: after(t.zeros(1, 2), lambda x: x.index_copy_(5, place(t, 0), x)),
    "a leaf before a dim": lambda t: leaf(t, 2, 3).transpose_(0, 7),
    "a leaf before a dim to squeeze": lambda t: leaf(t, 2, 3).squeeze_(7),
    "a leaf before its rank": lambda t: leaf(t, 2, 3, 1).t_(),
    "a dim": lambda t: t.zeros(2, 3).transpose_(0, 7),
    "a cast before a dtype that is refused": lambda t: t.zeros(3).remainder_(1j),
    "a cast of bits": lambda t: t.zeros(3).int().bitwise_and_(t.zeros(3)),
    "a shape before the cast": lambda t: t.zeros(3).int().bitwise_and_(t.zeros(7)),
    "a comparison with a complex number": lambda t: t.zeros(3).lt_(1j),
}

REFUSED = {
    "softmax of a leaf to out=": lambda t: t.softmax(leaf(t, 2), 0, out=t.empty(2)),
    "softmax to an out= with a gradient": lambda t: t.softmax(t.ones(2), 0, out=leaf(t, 2)),
    "softmax to an out= of another dtype": lambda t: t.softmax(t.ones(2), 0, out=t.empty(2, dtype=t.float64)),
    "softmax to an out= of another shape": lambda t: t.log_softmax(t.ones(2), 0, out=t.empty(0)),
    "its gradient": lambda t: t.softmax(leaf(t, 2), 0, out=t.empty(2)).sum().backward(),
    "nan_to_num of complex leaves": lambda t: leaf(t, 3, dtype=t.complex64).nan_to_num(),
    "nan_to_num of complex numbers": lambda t: t.ones(3, dtype=t.complex64).nan_to_num(),
    "in place": lambda t: (leaf(t, 3, dtype=t.complex64) * 1).nan_to_num_(),
    "permute without dims": lambda t: t.ones(()).permute(),
    "permute of no dims": lambda t: t.ones(()).permute(()),
    "mode of no complex numbers": lambda t: list(t.zeros(2, 0, dtype=t.complex64).mode(0)),
    "mode of a complex number": lambda t: list(t.zeros((), dtype=t.complex64).mode()),
    "mode of a complex leaf": lambda t: leaf(t, (), dtype=t.complex64).mode(),
    "mode of complex numbers": lambda t: t.zeros(2, dtype=t.complex64).mode(),
    "a column that there is not": lambda t: t.zeros(2, 3).index_select(1, place(t, 5)),
    "a row that there is not": lambda t: t.zeros(2, 3).index_select(0, place(t, 5)),
    "a complex Jacobian": lambda t: t.func.jacrev(t.sin)(t.ones(2, dtype=t.complex64)),
    "a complex Jacobian by columns": lambda t: t.func.jacfwd(t.sin)(t.ones(2, dtype=t.complex64)),
    "of complex results": lambda t: t.func.jacrev(lambda x: x * 1j)(t.ones(2)),
    "of complex results by columns": lambda t: t.func.jacfwd(lambda x: x * 1j)(t.ones(2)),
    "a complex Hessian": lambda t: t.func.hessian(lambda x: x.abs().sum())(t.ones(2, dtype=t.complex64)),
    "a product of examples without dims": lambda t: t.vmap(lambda x: x @ x)(t.ones(2)),
    "sort without examples": lambda t: t.vmap(lambda x: x.sort(0).values)(t.ones(0)),
    "cumsum without examples": lambda t: t.vmap(lambda x: x.cumsum(0), -1, -1)(t.ones(0)),
}

POSITIONS = {
    "of a method": lambda t: t.zeros(2).matmul(3),
    "of a function": lambda t: t.matmul(t.zeros(2), 3),
    "of a method with a keyword": lambda t: t.zeros(2).cross(3, dim=1),
    "of a bound method": lambda t: (lambda f: f(3))(t.zeros(2).ldexp),
    "of a composition": lambda t: t.zeros(2).dist(3),
    "of a function of three": lambda t: t.gather(t.zeros(2), 0, 1),
    "of a method of three": lambda t: t.zeros(2).gather(0, 1),
    "of a rule's operator": lambda t: t.zeros(2).index_select(0, 1),
    "of a comparison": lambda t: t.zeros(2).allclose(2),
    "of a function of two vectors": lambda t: t.cdist(t.zeros(2), 1),
    "of a dim": lambda t: t.zeros(2).topk("a"),
    "of the second dim": lambda t: t.zeros(2).transpose(0, "a"),
    "of a matrix": lambda t: t.zeros(2).addmm(1, 2),
}


def outcome(library, call):
    try:
        return fuzz_programs.described(library, call(library))
    except Exception as error:
        return fuzz_programs.first_line(error)


@pytest.mark.parametrize("name", [*LAYOUTS, *WRITES, *REFUSED, *POSITIONS])
def test_as_in_pytorch(name):
    call = {**LAYOUTS, **WRITES, **REFUSED, **POSITIONS}[name]
    want, got = outcome(torch, call), outcome(rl, call)
    assert fuzz_programs.same(want, got), f"PyTorch {want}\nrushlight {got}"


def test_names_differ():
    tables = (LAYOUTS, WRITES, REFUSED, POSITIONS)
    assert len({n for table in tables for n in table}) == sum(map(len, tables))


def test_a_mask_is_a_tensor():
    for library in (torch, rl):
        with pytest.raises(TypeError):
            library.zeros(2).masked_fill(1, 2)


@pytest.mark.parametrize("kind", [fuzz_programs.Program, fuzz_programs.Deep])
def test_programs_run(kind):
    """Steps fail by what they are given, not by how they are written: some of each kind of program end."""
    for number in range(20):
        steps = list(fuzz_programs.run(rl, number, kind=kind))
        assert not any(isinstance(found, tuple) and found[0] in ("NameError", "AttributeError") for _, found in steps), steps


@pytest.mark.parametrize("library", [torch, rl], ids=["PyTorch", "rushlight"])
def test_layouts_of_gradients_may_be_free(library):
    """As a block, as a decorator, and at once."""

    def strides():
        w = library.zeros(2, 3).t().requires_grad_()
        (w * library.ones(3, 2)).sum().backward()
        return w.grad.stride()

    policy = library.autograd.enforce_grad_layout_policy
    assert strides() == (1, 3)
    with policy(False):
        assert strides() == (2, 1)
    assert strides() == (1, 3)
    assert policy(False)(strides)() == (2, 1)
    assert strides() == (1, 3)
    policy(False)
    assert strides() == (2, 1)
    policy(True)
    assert strides() == (1, 3)
