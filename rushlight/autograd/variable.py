"""Variable: PyTorch's old name for Tensor."""

from .._core.tensor import Tensor

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, other):
        return isinstance(other, Tensor)


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor, requires_grad=False)`` is the tensor itself, detached; isinstance(tensor, Variable) holds.

    >>> x = torch.ones(2)
    >>> isinstance(x, torch.autograd.Variable), torch.autograd.Variable(x, requires_grad=True).requires_grad
    (True, True)
    """

    def __new__(cls, data=None, requires_grad=False, volatile=False):
        if data is None:
            import rushlight

            data = rushlight.empty(0)
        return data.detach().requires_grad_(requires_grad)
