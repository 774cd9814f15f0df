"""What classes with ``__torch_function__`` are asked besides operators, beside PyTorch."""

import pytest
from oracle import torch

import rushlight as rl


@pytest.mark.parametrize("library", [torch, rl], ids=["torch", "rushlight"])
def test_methods_that_are_no_operators_ask_too(library):
    """backward, requires_grad_, len() ... of a class that overrides; where overriding is off, nobody is asked."""
    seen = []

    class Logged(library.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append((func, sorted(kwargs or {})))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = library.ones(3).as_subclass(Logged)
    seen.clear()
    assert x.requires_grad_() is x and seen == [(library.Tensor.requires_grad_, [])]
    total = (x * 2).sum()
    seen.clear()
    total.backward(retain_graph=True)
    assert seen == [(library.Tensor.backward, ["create_graph", "gradient", "inputs", "retain_graph"])]
    seen.clear()
    assert len(x) == 3 and x.detach().tolist() == [1.0] * 3 and 1.0 in x
    assert [f for f, _ in seen] == [library.Tensor.__len__, library.Tensor.detach, library.Tensor.tolist, library.Tensor.__contains__]
    with library._C.DisableTorchFunctionSubclass():
        seen.clear()
        total.backward()
        assert len(x) == 3 and not seen
    assert x.grad.tolist() == [4.0] * 3


def test_a_class_may_refuse_backward():
    class Closed(rl.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "no" if func is rl.Tensor.backward else super().__torch_function__(func, types, args, kwargs or {})

    class Closer(Closed):
        pass

    for kind in (Closed, Closer):
        assert rl.ones(1, requires_grad=True).as_subclass(kind).backward() == "no"
