"""Tensors without history, and row-major copies of views: ``select_copy(x, 0, 1)`` is ``x.select(0, 1)`` in memory of its own."""

from . import casting, joining, shape
from ._define import composite
from ._outputs import exact


def _copied(view):
    """``view`` in new, row-major memory."""
    return shape.clone(view, memory_format=casting.FORMATS["contiguous_format"])


def _copy_of(name, view, example, out=exact):
    """Registers ``name``_copy: the copy of what ``view`` gives. example: a call of it; out: what out= must be."""

    def definition(input, *args, **kwargs):
        found = view(input, *args, **kwargs)
        return tuple(map(_copied, found)) if isinstance(found, tuple) else _copied(found)

    definition.__name__ = f"{name}_copy"
    definition.__doc__ = f"What :func:`{name}` gives, in memory of its own.\n{example}"
    return composite(definition, where="function", out=out)


def _slice(input, dim=0, start=None, end=None, step=1):
    start, end, step = slice(start, end, step).indices(input.shape[dim])
    return shape.slice(input, dim, start, end, step)


@composite(where="function")
def detach(input):
    """``input`` without its history, in the same memory: nothing that is computed from the result reaches ``input``'s gradient.

    >>> x = torch.tensor([1., 2.], requires_grad=True)
    >>> (x * torch.detach(x)).sum().backward()
    >>> x.grad
    tensor([1., 2.])
    """
    return input.detach()


@composite(where="function")
def detach_(input):
    """Takes the history from ``input`` itself, which becomes a leaf; views can't be detached in place.

    >>> y = 2 * torch.tensor([1.], requires_grad=True)
    >>> torch.detach_(y).requires_grad
    False
    """
    return input.detach_()


_copy_of("alias", lambda input: input, """
>>> x = torch.tensor([1, 2])
>>> y = torch.alias_copy(x).zero_()
>>> x, y
(tensor([1, 2]), tensor([0, 0]))
""", exact.by("aten::alias_copy"))
_copy_of("as_strided", shape.as_strided, """
>>> torch.as_strided_copy(torch.arange(4), (3, 2), (1, 1))
tensor([[0, 1],
        [1, 2],
        [2, 3]])
""")
_copy_of("detach", detach, """
>>> x = torch.tensor([1., 2.])
>>> torch.detach_copy(x).data_ptr() == x.data_ptr(), torch.detach(x).data_ptr() == x.data_ptr()
(False, True)
""", exact.by("aten::detach_copy"))
_copy_of("diagonal", shape.diagonal, """
>>> torch.diagonal_copy(torch.tensor([[1, 2], [3, 4]]))
tensor([1, 4])
""", exact.by("aten::diagonal_copy"))
_copy_of("expand", shape.expand, """
>>> torch.expand_copy(torch.tensor([1, 2]), (3, 2)).stride()
(2, 1)
""")
_copy_of("permute", shape.permute, """
>>> torch.permute_copy(torch.ones(2, 3, 4), (2, 0, 1)).stride()
(6, 3, 1)
""")
_copy_of("select", shape.select, """
>>> torch.select_copy(torch.tensor([[1, 2], [3, 4]]), 1, 0)
tensor([1, 3])
""")
_copy_of("slice", _slice, """
>>> torch.slice_copy(torch.arange(6), 0, 1, None, 2)
tensor([1, 3, 5])
""", exact.by("aten::slice_copy"))
_copy_of("split", joining.split, """
>>> torch.split_copy(torch.arange(5), 2)
(tensor([0, 1]), tensor([2, 3]), tensor([4]))
""")
_copy_of("split_with_sizes", joining.split, """
>>> torch.split_with_sizes_copy(torch.arange(5), [1, 4])
(tensor([0]), tensor([1, 2, 3, 4]))
""")
_copy_of("squeeze", shape.squeeze, """
>>> torch.squeeze_copy(torch.tensor([[1, 2]]))
tensor([1, 2])
""", exact.by("aten::squeeze_copy"))
_copy_of("t", shape.t, """
>>> torch.t_copy(torch.ones(2, 3)).is_contiguous()
True
""", exact.by("aten::t_copy"))
_copy_of("transpose", shape.transpose, """
>>> torch.transpose_copy(torch.ones(2, 3), 0, 1).is_contiguous()
True
""")
_copy_of("unbind", joining.unbind, """
>>> torch.unbind_copy(torch.tensor([[1, 2], [3, 4]]), 1)
(tensor([1, 3]), tensor([2, 4]))
""")
_copy_of("unfold", shape.unfold, """
>>> torch.unfold_copy(torch.arange(4), 0, 2, 1)
tensor([[0, 1],
        [1, 2],
        [2, 3]])
""")
_copy_of("unsqueeze", shape.unsqueeze, """
>>> torch.unsqueeze_copy(torch.tensor([1, 2]), 1)
tensor([[1],
        [2]])
""", exact.by("aten::unsqueeze_copy"))
_copy_of("view", shape.view, """
>>> x = torch.arange(4)
>>> torch.view_copy(x, (2, 2)).data_ptr() == x.data_ptr()
False
""")
_copy_of("view_as_complex", casting.view_as_complex, """
>>> torch.view_as_complex_copy(torch.tensor([[1., 2.]]))
tensor([1.+2.j])
""")
_copy_of("view_as_real", casting.view_as_real, """
>>> torch.view_as_real_copy(torch.tensor([1 + 2j]))
tensor([[1., 2.]])
""")


@composite(where="method")
def module_load(input, other, assign=False):
    """What ``load_state_dict`` puts in the place of the parameter ``input``, given the tensor ``other``, while
    ``torch.__future__.set_swap_module_params_on_conversion(True)`` holds: ``input`` with the values of ``other``; ``assign``: ``other``.

    Classes with ``__torch_function__`` say by it how they are loaded; the result must be a new tensor.

    >>> torch.zeros(2, dtype=torch.float64).module_load(torch.ones(2))
    tensor([1., 1.], dtype=torch.float64)
    """
    return other.detach() if assign else input.copy_(other).detach()
