"""Every operator's definition, one file per topic. Importing this package fills the registry and puts the methods on Tensor.

Nothing is traced or compiled here: a definition runs at its operator's first use.
"""

from .._core import callbacks
from .._core.tensor import Tensor, add_method, set_slot
from . import _define
from . import (  # order: later files use earlier ones
    shape,
    reduction,
    arithmetic,
    comparison,
    elementary,
    activation,
    casting,
    creation,
    exchange,
    legacy,
    windows,
    random,
    joining,
    index,
    masks,
    gather,
    movement,
    padding,
    triangle,
    embedding,
    inquiry,
    copies,
    subscript,
    extremum,
    statistics,
    sorting,
    binning,
    scan,
    order,
    fft,
    special,
    polynomials,
    loss,
    normalization,
    contraction,
    attention,
    recurrent,
    conv,
    pixels,
    sampling,
    resampling,
    einsum,
    linalg,
    sparse,
)

_SLOTS = {
    "add": arithmetic.add, "sub": arithmetic.sub, "mul": arithmetic.mul, "truediv": arithmetic.true_divide,
    "floordiv": arithmetic.floor_divide, "mod": arithmetic.remainder, "pow": arithmetic.pow, "and": comparison.bitwise_and,
    "or": comparison.bitwise_or, "xor": comparison.bitwise_xor, "lshift": comparison.bitwise_left_shift,
    "rshift": comparison.bitwise_right_shift,
}  # fmt: skip
for _name, _op in _SLOTS.items():
    set_slot(f"__{_name}__", _op)
    set_slot(f"__i{_name}__", _op.inplace)
for _op in (arithmetic.neg, arithmetic.abs, *(getattr(comparison, _name) for _name in ("lt", "le", "eq", "ne", "gt", "ge"))):
    set_slot(f"__{_op.__name__}__", _op)


def _iter(input):
    if input.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(input.unbind(0))


def _contains(input, element):
    if not isinstance(element, (Tensor, int, float, complex)) and getattr(element, "ndim", None) != 0:  # NumPy has numbers of its own
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool(reduction.any(comparison.eq(input, element)))


def _invert(input):
    try:
        return comparison.bitwise_not(input)
    except NotImplementedError:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors\n"
            f"  Given: {input.dtype}. Compare to make a mask, as in ~(x > 0)."
        ) from None


set_slot("__iter__", _iter)
set_slot("__contains__", _contains)
set_slot("__invert__", _invert)
set_slot("__pos__", arithmetic.positive)
set_slot("__rsub__", arithmetic.rsub)


def face(where):
    """Name -> operator of everything that appears on one face, aliases included."""
    found = {}
    for entry in _define.registry.values():
        if where in entry.where:
            for name in (entry.name, *entry.aliases):
                found[name] = entry.method if where == "method" else entry.operator
    return found


def _operator_named(name):
    """``add``, or ``add_``, which is ``add`` in place."""
    return _define.registry[name].operator if name in _define.registry else _define.registry[name[:-1]].operator.inplace


callbacks.register(**{name: _operator_named(name) for name in callbacks.OPERATORS})


def _install_methods():
    for name, op in face("property").items():
        add_method(name, property(op))
    for name, op in face("method").items():
        add_method(name, op)
    for name, op in face("inplace").items():
        add_method(name + "_", op.inplace)


_install_methods()


def _assignable(part):
    """The property that reads a view and, assigned to, writes through it: ``z.imag = x``."""
    return property(part, lambda self, value: part(self).copy_(value))


add_method("real", _assignable(casting.real))
add_method("imag", _assignable(casting.imag))


def __getattr__(name):
    """``torch.ops.<namespace>``: custom operators (see ``library.py``), unless the name is a file of this package."""
    import os

    if name.startswith("__") or os.path.exists(os.path.join(os.path.dirname(__file__), name + ".py")):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return callbacks.table["operator_namespace"](name)
