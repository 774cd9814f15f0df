"""Operators on lists of tensors, and methods that programs put on Tensor."""

import pytest
from oracle import torch

import rushlight as rl


def lists(lib):
    lib.manual_seed(0)
    return [lib.rand(3) + 0.5, lib.rand(2, 2) + 0.5], [lib.rand(3) + 0.5, lib.rand(2, 2) + 0.5]


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
    a, b = lists(torch)
    want = [t.tolist() for t in (call(torch, a, b) or a)], [t.tolist() for t in a]
    c, d = lists(rl)
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


def test_numpy_where_nothing_is_recorded():
    t = rl.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        t.numpy()
    with rl.no_grad():
        assert t.numpy().tolist() == [1.0, 1.0]
