"""Operators on lists of tensors, and methods that programs put on Tensor."""

import pytest
from oracle import to_rl, torch

import rushlight as rl


def lists():
    torch.manual_seed(0)
    return [torch.rand(3) + 0.5, torch.rand(2, 2) + 0.5], [torch.rand(3) + 0.5, torch.rand(2, 2) + 0.5]


@pytest.mark.parametrize("call", [
    lambda lib, a, b: lib._foreach_add(a, 1), lambda lib, a, b: lib._foreach_add(a, b, alpha=2),
    lambda lib, a, b: lib._foreach_mul(a, [2.0, 3.0]), lambda lib, a, b: lib._foreach_add_(a, b),
    lambda lib, a, b: lib._foreach_sub_(a, b, alpha=0.5), lambda lib, a, b: lib._foreach_norm(a),
    lambda lib, a, b: lib._foreach_norm(a, 1), lambda lib, a, b: lib._foreach_pow(2.0, a), lambda lib, a, b: lib._foreach_sqrt(a),
    lambda lib, a, b: lib._foreach_addcmul(a, a, b, [1.0, 2.0]), lambda lib, a, b: lib._foreach_addcdiv_(a, a, b, value=0.1),
    lambda lib, a, b: lib._foreach_lerp(a, b, 0.3), lambda lib, a, b: lib._foreach_lerp_(a, b, [b[0], b[1]]),
    lambda lib, a, b: lib._foreach_max(a), lambda lib, a, b: lib._foreach_clamp_min(a, 0.7), lambda lib, a, b: lib._foreach_maximum(a, b),
    lambda lib, a, b: lib._foreach_copy_(a, b), lambda lib, a, b: lib._foreach_zero_(a), lambda lib, a, b: lib._foreach_neg_(a),
    lambda lib, a, b: lib._foreach_rsqrt(a), lambda lib, a, b: lib._foreach_div(a, lib.tensor(2.0)),
    lambda lib, a, b: lib._foreach_reciprocal_(a), lambda lib, a, b: lib._foreach_sign(a),
])  # fmt: skip
def test_foreach(call):
    a, b = lists()
    c, d = to_rl((a, b))
    want = [t.tolist() for t in (call(torch, a, b) or a)], [t.tolist() for t in a]
    got = [t.tolist() for t in (call(rl, c, d) or c)], [t.tolist() for t in c]
    for g, w in zip(got, want):
        for x, y in zip(g, w):
            assert torch.tensor(x).allclose(torch.tensor(y), rtol=1e-5)


def test_foreach_errors():
    with pytest.raises(AttributeError, match="_foreach_nothing"):
        getattr(rl, "_foreach_nothing")  # noqa: B009
    with pytest.raises(RuntimeError, match="same number of tensors"):
        rl._foreach_add([rl.ones(1)], [rl.ones(1), rl.ones(1)])


def test_methods_of_programs():
    rl.Tensor.twice = lambda self: self * 2
    rl.Tensor.half_shape = property(lambda self: self.shape[0] // 2)
    try:
        assert rl.ones(4).twice().tolist() == [2.0] * 4 and rl.ones(4).half_shape == 2
        assert rl.nn.Parameter(rl.ones(2)).twice().requires_grad
    finally:
        del rl.Tensor.twice, rl.Tensor.half_shape
    assert not hasattr(rl.ones(1), "twice")


def test_operator_of_a_program():
    plain = rl.Tensor.__matmul__
    rl.Tensor.__matmul__ = lambda self, other: "product"
    try:
        assert rl.ones(2) @ rl.ones(2) == "product"
    finally:
        rl.Tensor.__matmul__ = plain
    assert (rl.ones(2) @ rl.ones(2)).item() == 2


@pytest.mark.cpu("arrays that share its memory")
def test_numpy_where_nothing_is_recorded():
    t = rl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        t.numpy()
    with rl.no_grad():
        assert t.numpy().tolist() == [1.0, 1.0]


def test_tensors_change_places():
    a, b = rl.nn.Parameter(rl.ones(2)), rl.zeros(3, dtype=rl.float64)
    (a * 3).sum().backward()
    b.name_of_mine = "b"
    rl.utils.swap_tensors(a, b)
    assert type(a) is rl.Tensor and a.dtype == rl.float64 and a.shape == (3,) and a.name_of_mine == "b" and a.grad is None
    assert type(b) is rl.nn.Parameter and b.tolist() == [1, 1] and b.grad.tolist() == [3, 3] and b.requires_grad
    with pytest.raises(RuntimeError, match="leaves"):
        rl.utils.swap_tensors(b * 2, a)


@pytest.mark.parametrize("call, kind", [
    (lambda lib: lib._check(False, lambda: "m"), RuntimeError), (lambda lib: lib._check_index(False, lambda: "m"), IndexError),
    (lambda lib: lib._check_value(False, lambda: "m"), ValueError), (lambda lib: lib._check_type(False, lambda: "m"), TypeError),
])  # fmt: skip
def test_checks(call, kind):
    for lib in (torch, rl):
        with pytest.raises(kind, match=r"^m$"):
            call(lib)
        assert lib._check(True) is None


def test_row_starts():
    for lib in (torch, rl):
        assert lib._convert_indices_from_coo_to_csr(lib.tensor([0, 0, 2]), 4).tolist() == [0, 2, 2, 3, 3]
        pair = lib._convert_indices_from_csr_to_coo(lib.tensor([0, 2, 2, 3]), lib.tensor([1, 0, 2]))
        assert pair.tolist() == [[0, 0, 2], [1, 0, 2]] and lib._shape_as_tensor(lib.ones(2, 3)).tolist() == [2, 3]
