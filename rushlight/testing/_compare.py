"""assert_close: are two results equal up to rounding? An element is close if ``|actual - expected| <= atol + rtol * |expected|``."""

import cmath
import math
import numbers
from collections.abc import Mapping, Sequence

from .._core.tensor import Tensor

# dtype name -> (rtol, atol): about the square root of the dtype's precision
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


class _Mismatch(Exception):
    """A difference between two leaves. path: where they are in the containers, innermost first."""

    def __init__(self, kind, message, path=()):
        self.kind, self.message, self.path = kind, message, path

    def within(self, key):
        """The same difference, seen from one container further out."""
        return _Mismatch(self.kind, self.message, (key, *self.path))


def assert_close(
    actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False, check_device=True, check_dtype=True,
    check_layout=True, check_stride=False, msg=None,
):  # fmt: skip
    """Raises AssertionError unless ``actual`` and ``expected`` are close: tensors, numbers, arrays, and sequences and mappings of them.

    rtol, atol: relative and absolute tolerance, both or neither; by default those of the dtype (zero for integers).
    equal_nan: NaN equals NaN. check_*: compare these attributes as well. msg: the message, or a function of the generated one.

    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-7]))
    """
    if (rtol is None) ^ (atol is None):
        given, absent = ("atol", "rtol") if rtol is None else ("rtol", "atol")
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or unspecified, but got no {absent}.\n  Only {given} was given.")
    options = _Options(allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride)
    try:
        _compare(actual, expected, options)
    except _Mismatch as m:
        where = "".join(f"[{key!r}]" for key in m.path)
        text = m.message + (f"\n\nThe failure occurred for item {where}" if where else "")
        if msg is not None:
            text = msg(text) if callable(msg) else msg
        raise m.kind(text) from None


class _Options:
    def __init__(self, allow_subclasses, rtol, atol, equal_nan, device, dtype, layout, stride):
        self.allow_subclasses, self.rtol, self.atol, self.equal_nan = allow_subclasses, rtol, atol, equal_nan
        self.device, self.dtype, self.layout, self.stride = device, dtype, layout, stride

    def tolerances(self, *names):
        """(rtol, atol) for these dtypes: the widest of theirs unless given."""
        if self.rtol is not None:
            return self.rtol, self.atol
        pairs = [_TOLERANCES.get(name, (0.0, 0.0)) for name in names]
        return max(p[0] for p in pairs), max(p[1] for p in pairs)


def _is_array(x):
    return isinstance(x, Tensor) or (type(x).__module__ == "numpy" and hasattr(x, "dtype") and hasattr(x, "shape"))


def _compare(actual, expected, options):
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        return _mappings(actual, expected, options)
    if _is_sequence(actual) and _is_sequence(expected):
        return _sequences(actual, expected, options)
    if actual is None or expected is None:
        if actual is not expected:
            raise _Mismatch(AssertionError, f"None mismatch: {actual} is not {expected}")
        return None
    if isinstance(actual, bool) and isinstance(expected, bool):
        if actual is not expected:
            raise _Mismatch(AssertionError, f"Booleans mismatch: {actual} is not {expected}")
        return None
    if isinstance(actual, numbers.Number) and isinstance(expected, numbers.Number) and not (_is_array(actual) or _is_array(expected)):
        return _scalars(actual, expected, options)
    if not (_is_array(actual) and _is_array(expected)):
        raise _Mismatch(TypeError, f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")
    if not options.allow_subclasses and type(actual) is not type(expected):
        raise _Mismatch(
            TypeError,
            "No comparison pair was able to handle inputs of type "
            f"{type(actual)} and {type(expected)}.\n  Subclasses are not allowed by allow_subclasses=False.",
        )
    return _tensors(_tensor(actual), _tensor(expected), options)


def _is_sequence(x):
    return isinstance(x, Sequence) and not isinstance(x, (str, bytes))


def _tensor(x):
    import rushlight

    return x.detach() if isinstance(x, Tensor) else rushlight.as_tensor(x)


def _mappings(actual, expected, options):
    missing, extra = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    if missing or extra:
        raise _Mismatch(
            AssertionError,
            "The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
            f"Additional keys in the actual mapping: {sorted(extra, key=str)}",
        )
    for key in sorted(expected, key=str):
        try:
            _compare(actual[key], expected[key], options)
        except _Mismatch as m:
            raise m.within(key) from None


def _sequences(actual, expected, options):
    if len(actual) != len(expected):
        raise _Mismatch(AssertionError, f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
    for i, (a, e) in enumerate(zip(actual, expected)):
        try:
            _compare(a, e, options)
        except _Mismatch as m:
            raise m.within(i) from None


def _scalars(actual, expected, options):
    if options.dtype and type(actual) is not type(expected):
        raise _Mismatch(AssertionError, f"The (d)types do not match: {type(actual)} != {type(expected)}.")
    kinds = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
    rtol, atol = options.tolerances(*(kinds.get(type(x), "float64") for x in (actual, expected)))
    both_nan = cmath.isnan(actual) and cmath.isnan(expected)
    if (both_nan and options.equal_nan) or actual == expected:
        return
    absolute = abs(actual - expected)
    if math.isfinite(absolute) and absolute <= atol + rtol * abs(expected):
        return
    raise _Mismatch(AssertionError, _scalar_report(actual, expected, rtol, atol))


def _scalar_report(actual, expected, rtol, atol):
    exact = rtol == atol == 0
    absolute = abs(actual - expected)
    relative = abs(absolute / expected) if expected else math.inf
    allowed = ("", "") if exact else (f" (up to {atol} allowed)", f" (up to {rtol} allowed)")
    return (
        f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {absolute}{allowed[0]}\nRelative difference: {relative}{allowed[1]}"
    )


def _tensors(actual, expected, options):
    _attributes(actual, expected, options)
    rtol, atol = options.tolerances(actual.dtype.name, expected.dtype.name)
    if actual.is_sparse:
        actual, expected = actual.to_dense(), expected.to_dense()
    if actual.dtype is not expected.dtype or actual.dtype.name.startswith("float8"):
        from .. import float32, promote_types

        wide = float32 if actual.dtype.name.startswith("float8") else promote_types(actual.dtype, expected.dtype)
        actual, expected = actual.to(wide), expected.to(wide)
    close = _close(actual, expected, rtol, atol, options.equal_nan)
    if not bool(close.all()):
        raise _Mismatch(AssertionError, _report(actual, expected, ~close, rtol, atol))


def _attributes(actual, expected, options):
    if tuple(actual.shape) != tuple(expected.shape):
        raise _Mismatch(AssertionError, f"The values for attribute 'shape' do not match: {actual.shape} != {expected.shape}.")
    for name, on in (("layout", options.layout), ("device", options.device), ("dtype", options.dtype)):
        a, e = getattr(actual, name), getattr(expected, name)
        if on and a != e:
            raise _Mismatch(AssertionError, f"The values for attribute '{name}' do not match: {a} != {e}.")
    if options.stride and actual.stride() != expected.stride():
        raise _Mismatch(AssertionError, f"The values for attribute 'stride()' do not match: {actual.stride()} != {expected.stride()}.")


def _close(actual, expected, rtol, atol, equal_nan):
    same = actual == expected
    if not (actual.is_floating_point() or actual.is_complex()):
        if rtol == atol == 0:
            return same
        actual, expected = actual.double(), expected.double()
    difference = (actual - expected).abs()
    close = same | ((difference <= atol + rtol * expected.abs()) & difference.isfinite())
    return close | (actual.isnan() & expected.isnan()) if equal_nan else close


def _report(actual, expected, wrong, rtol, atol):
    """How many elements differ, and the greatest differences among them."""
    if not wrong.ndim:
        return _scalar_report(actual.item(), expected.item(), rtol, atol)
    exact = rtol == atol == 0
    if not (actual.is_floating_point() or actual.is_complex()):
        actual, expected, integers = actual.double(), expected.double(), True
    else:
        integers = False
    total, count = wrong.numel(), int(wrong.sum())
    lines = [f"Tensor-likes are not {'equal' if exact else 'close'}!", ""]
    lines.append(f"Mismatched elements: {count} / {total} ({count / total:.1%})")
    absolute = (actual - expected).abs()
    for title, values, allowed in (("absolute", absolute, atol), ("relative", absolute / expected.abs(), rtol)):
        values = values.masked_fill(~wrong, 0)
        worst = int(values.flatten().argmax())
        value = values.flatten()[worst].item()
        value = int(value) if integers and title == "absolute" else value
        where = _position(worst, tuple(wrong.shape))
        lines.append(f"Greatest {title} difference: {value} at index {where}" + ("" if exact else f" (up to {allowed} allowed)"))
    return "\n".join(lines)


def _position(flat, shape):
    index = []
    for size in reversed(shape):
        index.append(flat % size)
        flat //= size
    return tuple(reversed(index))


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """The older form of :func:`assert_close`, which looks at neither dtype nor device."""
    if not isinstance(actual, Tensor):
        actual = _tensor(actual)
    if not isinstance(expected, Tensor):
        expected = _tensor(expected).to(actual.dtype)
    if rtol is None and atol is None:
        rtol, atol = _Options(True, None, None, equal_nan, 0, 0, 0, 0).tolerances(actual.dtype.name, expected.dtype.name)
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, msg=msg or None)
