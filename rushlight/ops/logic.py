"""Logic on truth values and on the bits of integers."""

from ..lang import functions as fn
from ._define import pointwise


def _truth(x):
    return x if x.type == "b1" else fn.ne(x, 0)


@pointwise
def logical_and(input, other):
    """True where both are nonzero.

    >>> torch.logical_and(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([False,  True, False])
    """
    return _truth(input) & _truth(other)


@pointwise
def logical_or(input, other):
    """True where either is nonzero.

    >>> torch.logical_or(torch.tensor([0, 1, 2]), torch.tensor([0, 1, 0]))
    tensor([False,  True,  True])
    """
    return _truth(input) | _truth(other)


@pointwise
def logical_xor(input, other):
    """True where just one is nonzero.

    >>> torch.logical_xor(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 0]))
    tensor([ True, False,  True])
    """
    return _truth(input) ^ _truth(other)


@pointwise
def logical_not(input):
    """True where ``input`` is zero.

    >>> torch.logical_not(torch.tensor([0, 1, 2]))
    tensor([ True, False, False])
    """
    return ~_truth(input)


@pointwise(dtypes="integral")
def bitwise_and(input, other):
    """The bits set in both; for bool tensors: and.

    >>> torch.bitwise_and(torch.tensor([6, 3]), 2)
    tensor([2, 2])
    """
    return input & other


@pointwise(dtypes="integral")
def bitwise_or(input, other):
    """The bits set in either; for bool tensors: or.

    >>> torch.bitwise_or(torch.tensor([6, 3]), 8)
    tensor([14, 11])
    """
    return input | other


@pointwise(dtypes="integral")
def bitwise_xor(input, other):
    """The bits set in just one; for bool tensors: exclusive or.

    >>> torch.bitwise_xor(torch.tensor([6, 3]), 2)
    tensor([4, 1])
    """
    return input ^ other


@pointwise(dtypes="integral")
def bitwise_not(input):
    """All bits flipped; for bool tensors: not.

    >>> torch.bitwise_not(torch.tensor([0, 1]))
    tensor([-1, -2])
    """
    return ~input


def _no_bool_shift(name, x):
    if x.type == "b1":
        raise NotImplementedError(
            f"\"{name}_cpu\" not implemented for 'Bool'\n  A truth value has no bits to shift: convert it to an integer dtype first."
        )


@pointwise(dtypes="integral")
def bitwise_left_shift(input, other):
    """``input << other``, which is ``input * 2**other`` as long as no bit is lost.

    >>> torch.tensor([1, 3]) << 2
    tensor([ 4, 12])
    """
    _no_bool_shift("lshift", input)
    return fn.left_shift(input, other)


@pointwise(dtypes="integral")
def bitwise_right_shift(input, other):
    """``input >> other``, arithmetic for signed integers: ``floor(input / 2**other)``.

    >>> torch.bitwise_right_shift(torch.tensor([9, -9]), 1)
    tensor([ 4, -5])
    """
    _no_bool_shift("rshift", input)
    return fn.right_shift(input, other)
