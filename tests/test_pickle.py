"""Ordinary pickle and copies of tensors: sharing, gradients, attributes and classes are kept."""

import copy
import pickle

import pytest

import rushlight


class Tagged(rushlight.Tensor):
    """A subclass with nothing of its own."""


def both(obj):
    """``obj`` pickled and loaded, and copied."""
    return pickle.loads(pickle.dumps(obj)), copy.deepcopy(obj)


def test_sharing_is_kept_and_the_copy_is_apart():
    base = rushlight.arange(6).float()
    for whole, part in both((base, base[2:4])):
        whole[2] = 9
        assert part.tolist() == [9, 3] and part.untyped_storage() is whole.untyped_storage()
    assert base[2] == 2
    assert copy.copy(base).untyped_storage() is base.untyped_storage()


def test_layout_types_and_flags_are_kept():
    turned, conjugate = rushlight.arange(6).view(2, 3).t(), rushlight.tensor([1 + 2j]).conj()
    for tensor in (turned, conjugate, rushlight.zeros(0, 3), rushlight.ones(2).half()):
        for other in both(tensor):
            assert other.tolist() == tensor.tolist() and other.dtype is tensor.dtype
            assert other.stride() == tensor.stride() and other.is_conj() == tensor.is_conj()


def test_gradients_attributes_and_classes():
    x = rushlight.ones(2, requires_grad=True)
    x.tag = {"a": 1}
    (x * 2).sum().backward()
    loaded, copied = both(x)
    assert loaded.requires_grad and copied.requires_grad and loaded.tag == copied.tag == {"a": 1}
    assert copied.grad.tolist() == [2, 2] and copied.grad is not x.grad
    for other in both(rushlight.ones(2).as_subclass(Tagged)):
        assert type(other) is Tagged and other.tolist() == [1, 1]


def test_what_was_computed_is_not_copied():
    x = rushlight.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x * 2)
    twice = copy.deepcopy([x, x])
    assert twice[0] is twice[1]


def test_set_makes_a_view_of_a_storage():
    base = rushlight.arange(6).float()
    view = rushlight.empty(0).set_(base.untyped_storage(), 1, (2, 2), (2, 1))
    assert view.tolist() == [[1, 2], [3, 4]]
    view[0, 0] = 7
    assert base[1] == 7 and rushlight.empty(0).set_(base).tolist() == base.tolist()
    longer = rushlight.empty(0).set_(base.untyped_storage(), 4, (3,), (1,))  # the storage grows
    assert longer.tolist()[:2] == [4, 5] and base.untyped_storage().nbytes() == 28
    longer[0] = 8
    assert base[4] == 8
