"""Which argument was of a wrong type: PyTorch's TypeError in place of what Python says from within a definition.

Definitions take their arguments as they are, so that a right call costs no check. Where one fails with an error that a wrong type can
cause, the arguments are held against what their parameters' names and defaults tell.
"""

from .._core import operator as core
from .._core.tensor import Tensor

# parameters whose values follow from their names: one integer; several, or one
_INTEGERS = "dim0 dim1 dim2 start_dim end_dim axis0 axis1 k n diagonal offset index_dim dimension num_classes"
_LISTS = "size shape sizes stride dims dim kernel_size padding dilation output_size normalized_shape shifts pad"
_TENSORS = "input other tensor mat1 mat2 batch1 batch2 mat vec vec1 vec2 source src mask end weight A B LU_data LU_pivots"

_EXPECTED = {
    **dict.fromkeys(_INTEGERS.split(), "int"),
    **dict.fromkeys(_LISTS.split(), "tuple of ints"),
    **dict.fromkeys(_TENSORS.split(), "Tensor"),
}
_BY_DEFAULT = {bool: "bool", int: "Number", float: "Number", str: "str", tuple: "tuple of ints", list: "tuple of ints"}
_WRITTEN = {"None": None, "False": False, "0": 0, "1": 1, "-1": -1}  # defaults as native operators' docstrings have them
_ACCIDENTS = (AttributeError, KeyError, UnboundLocalError, AssertionError, ZeroDivisionError, StopIteration)
_TELLTALE = ("Boolean value of Tensor", "only one element tensors", "only integer tensors of a single element", "a Tensor with ")


def _parameters(op):
    """(name, default) of an operator's parameters; of a native one without the sizes that are given one by one."""
    signature = getattr(op, "signature", None)
    if signature is not None:
        return list(zip(signature.names, signature.defaults))
    found = []
    for part in op.parameters.partition("(")[2].rstrip(")").split(", "):
        name, _, default = part.partition("=")
        if name.startswith("*"):
            break
        found.append((name, _WRITTEN[default] if default else core.Signature.required))
    return found


def _expected(op, name, default):
    """What a parameter takes, in PyTorch's words; None if anything."""
    stated = getattr(getattr(op, "forward", None), "__annotations__", {}).get(name)
    if stated == "integer" or (name == "dim" and type(default) is int):
        return "int"
    return _EXPECTED.get(name) or _BY_DEFAULT.get(type(default))


def _is_integer(value):
    if isinstance(value, Tensor):
        return value.numel() == 1 and not (value.dtype.is_floating_point or value.dtype.is_complex)
    return hasattr(value, "__index__")


def _fits(value, expected, certain, required=False):
    """May a value stand where ``expected`` is? Numbers and lists stand for tensors in some operators, tensors for numbers in others: where
    nothing tells of types (not ``certain``), they may; so may words (padding="same") and lists where one number is usual.
    """
    if value is None:
        return not (required and certain and expected == "int")
    if expected == "Tensor":
        return isinstance(value, Tensor) or not (certain or isinstance(value, (str, bytes, dict, slice)))
    if expected == "int":
        return _is_integer(value)
    if expected == "tuple of ints":
        nested = not certain and isinstance(value, (tuple, list))  # tensordot's dims are two lists
        listed = isinstance(value, (tuple, list, range)) and all(_is_integer(v) or (nested and isinstance(v, (tuple, list))) for v in value)
        return listed or _is_integer(value) or (isinstance(value, str) and not certain)
    if expected == "bool":
        return isinstance(value, int) or (isinstance(value, Tensor) and value.ndim == 0)
    if expected == "Number":
        if not certain and isinstance(value, (list, tuple)):
            return True
        return hasattr(value, "__float__") and not (certain and isinstance(value, Tensor) and value.numel() != 1)
    return not isinstance(value, (Tensor, dict, slice, list))


def _is_about_arguments(error):
    """A TypeError that names the argument is right as it is."""
    return isinstance(error, TypeError) and ("(): argument '" in str(error) or "() received an invalid" in str(error))


def _tells_of_types(error):
    """Is a wrong type likely behind this error?"""
    if isinstance(error, TypeError):
        return not _is_about_arguments(error)
    return isinstance(error, _ACCIDENTS) or str(error).startswith(_TELLTALE)


def _missing(op, error):
    """PyTorch's words for Python's error about arguments that were not given."""
    name = getattr(getattr(op, "forward", None), "__qualname__", op.__name__)
    text = str(error)
    if not (isinstance(error, TypeError) and text.startswith(f"{name}() missing ") and "'" in text):
        return None
    return op.signature.missing(text.split("'")[1::2])


def _blame_own(op, args, kwargs, positions, error):
    """What a part of a composition says of one of its arguments is said of the composition's, where that has one of this name and kind."""
    part, _, said = str(error).partition("(): argument '")
    name, _, kind = said.partition("\n")[0].partition("'")
    expected, _, given = kind.partition(" must be ")[2].partition(", not ")
    at = positions.get(name)
    if part == op.__name__ or at is None or not given:
        return
    value = args[at] if at < len(args) else kwargs.get(name)
    if core.kind_of(value) == given:
        where = f" (position {at + 1})" if at < len(args) else ""
        raise TypeError(f"{op.__name__}(): argument '{name}'{where} must be {expected}, not {given}") from error


def blame(op, args, kwargs, error):
    """Raises the TypeError for a call of ``op`` that ended in ``error``, if an argument's type explains it."""
    if isinstance(error, OverflowError) and "too large to convert" in str(error):
        raise ValueError("Overflow when unpacking long long\n  An integer argument is beyond 64 bits.") from error
    if isinstance(error, NotImplementedError):  # of a dtype, not of an argument's class
        return
    certain = _tells_of_types(error)
    parameters = _parameters(op)
    positions = {name: i for i, (name, _) in enumerate(parameters)}
    if not certain and _is_about_arguments(error):
        return _blame_own(op, args, kwargs, positions, error)
    if missing := _missing(op, error):
        raise missing from None
    text = str(error)
    given = [(i, *parameters[i], value) for i, value in enumerate(args[: len(parameters)])]
    given += [(positions[k], *parameters[positions[k]], v) for k, v in kwargs.items() if k in positions]
    for i, name, default, value in given:
        expected = _expected(op, name, default)
        required = default is core.Signature.required
        if expected is not None and not _fits(value, expected, certain, required):
            where = f" (position {i + 1})" if i < len(args) else ""
            raise TypeError(f"{op.__name__}(): argument '{name}'{where} must be {expected}, not {core.kind_of(value)}") from error
    given += [(i, "input", None, value) for i, value in enumerate(args) if i >= len(parameters)]
    for i, name, _, value in given if certain else ():
        kind = type(value).__name__
        named = text.startswith(f"'{kind}' object has no attribute") or (text.startswith("Argument '") and text.endswith(f"got {kind})"))
        if named and not isinstance(value, Tensor):
            where = f" (position {i + 1})" if i < len(args) else ""
            raise TypeError(f"{op.__name__}(): argument '{name}'{where} must be Tensor, not {core.kind_of(value)}") from error
