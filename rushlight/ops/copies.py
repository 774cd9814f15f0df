"""Tensors without history, and row-major copies of views: ``select_copy(x, 0, 1)`` is ``x.select(0, 1)`` in memory of its own."""

from .._core import tensor as _tensor
from . import casting, joining, shape
from ._define import composite


def _copied(view):
    """``view`` in new, row-major memory."""
    return shape.clone(view) if _tensor.is_row_major(view) else shape.contiguous(view)


def _copy_of(name, view):
    def definition(input, *args, **kwargs):
        found = view(input, *args, **kwargs)
        return tuple(map(_copied, found)) if isinstance(found, tuple) else _copied(found)

    definition.__name__, definition.__doc__ = name, f"What :func:`{name[:-5]}` gives, as a copy."
    return composite(definition, where="function")


def _slice(input, dim=0, start=None, end=None, step=1):
    start, end, step = slice(start, end, step).indices(input.shape[dim])
    return shape.slice(input, dim, start, end, step)


_VIEWS = {
    "alias": lambda input: input, "as_strided": shape.as_strided, "detach": lambda input: input.detach(),
    "diagonal": shape.diagonal, "expand": shape.expand, "permute": shape.permute, "select": shape.select, "slice": _slice,
    "split": joining.split, "split_with_sizes": joining.split, "squeeze": shape.squeeze, "t": shape.t, "transpose": shape.transpose,
    "unbind": joining.unbind, "unfold": shape.unfold, "unsqueeze": shape.unsqueeze, "view": shape.view,
    "view_as_complex": casting.view_as_complex, "view_as_real": casting.view_as_real,
}  # fmt: skip
for _name, _view in _VIEWS.items():
    _copy_of(f"{_name}_copy", _view)


@composite(where="function")
def detach(input):
    """See :meth:`Tensor.detach`."""
    return input.detach()


@composite(where="function")
def detach_(input):
    """See :meth:`Tensor.detach_`."""
    return input.detach_()
