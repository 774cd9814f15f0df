"""The text of a tensor, as PyTorch prints it.

All elements of a tensor are printed in one format, chosen from all that are shown: integers, fixed point or scientific. Beyond
``threshold`` elements only ``edgeitems`` at both ends of each dim are shown.
"""

from math import inf, isfinite
from types import SimpleNamespace

from rushlight._core import callbacks
from rushlight._core.tape import carries as _carries
from rushlight._core.tensor import Tensor, get_default_device, get_default_dtype

PRINT_OPTS = SimpleNamespace(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """How tensors are printed from now on.

    precision: digits after the point (4). threshold: more elements than this are summarised (1000). edgeitems: how many are shown at
    both ends of each dim then (3). linewidth: characters per line (80). profile: ``default``, ``short`` or ``full``, before the others.
    sci_mode: True or False forces or forbids scientific notation, None chooses by the values.
    """
    if profile is not None:
        vars(PRINT_OPTS).update(_PROFILES.get(profile.lower(), {}))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    vars(PRINT_OPTS).update({name: value for name, value in given.items() if value is not None})
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions():
    """The options that set_printoptions() changes, as a dict."""
    return dict(vars(PRINT_OPTS))


class printoptions:
    """Context manager: set_printoptions() for a block.

    >>> with printoptions(precision=2):
    ...     print(torch.tensor([1.2345]))
    tensor([1.23])
    """

    def __init__(self, **options):
        self.options = options

    def __enter__(self):
        self.before = get_printoptions()
        set_printoptions(**self.options)

    def __exit__(self, *exc):
        vars(PRINT_OPTS).update(self.before)


# -- formats --


class _Plain:
    """Integers and bools: padded to the widest."""

    def __init__(self, values):
        self.width = max([1, *(len(str(v)) for v in values)])

    def __call__(self, value):
        return str(value).rjust(self.width)


class _Real:
    """Floats: one of three notations for all."""

    def __init__(self, values):
        values = [v for v in values if v != 0 and isfinite(v)]
        self.width, self.notation = 1, "integer"
        if not values:
            return
        low, high = min(map(abs, values)), max(map(abs, values))
        integers = all(v.is_integer() for v in values)
        scientific = PRINT_OPTS.sci_mode
        if scientific is None:
            scientific = high / low > 1000 or high > 1e8 or (low < 1e-4 and not integers)
        self.notation = "scientific" if scientific else "integer" if integers else "fixed"
        self.width = max([1, *(len(self.digits(v)) for v in values)])

    def digits(self, value):
        if self.notation == "scientific":
            return f"{value:.{PRINT_OPTS.precision}e}"
        if self.notation == "fixed":
            return f"{value:.{PRINT_OPTS.precision}f}"
        return f"{value:.0f}." if isfinite(value) else f"{value:.0f}"

    def __call__(self, value):
        return self.digits(value).rjust(self.width)


class _Complex:
    """Complex numbers: real and imaginary parts have formats of their own."""

    def __init__(self, values):
        self.real, self.imag = _Real([v.real for v in values]), _Real([v.imag for v in values])
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value):
        imag = self.imag(value.imag).lstrip()
        return self.real(value.real) + ("" if imag.startswith("-") else "+") + imag + "j"


# -- layout --


def _excerpt(t, summarise):
    """Nested lists of the elements that are shown; Ellipsis stands for those left out."""
    edge = PRINT_OPTS.edgeitems
    if not summarise:
        return t.tolist()
    if t.shape[0] <= 2 * edge:
        return t.tolist() if t.dim() == 1 else [_excerpt(row, True) for row in t]
    if t.dim() == 1:
        return [*t[:edge].tolist(), Ellipsis, *(t[-edge:].tolist() if edge else ())]
    shown = [*range(edge), None, *range(t.shape[0] - edge, t.shape[0])]
    return [Ellipsis if i is None else _excerpt(t[i], True) for i in shown]


def _leaves(nested):
    """The numbers in nested lists."""
    if not isinstance(nested, list):
        return [] if nested is Ellipsis else [nested]
    return [leaf for entry in nested for leaf in _leaves(entry)]


def _rows(nested, dim, indent, form):
    """The text of nested lists of ``dim`` levels whose first line is indented by ``indent`` characters."""
    if dim == 0:
        return form(nested)
    if dim == 1:
        words = [" ..." if x is Ellipsis else form(x) for x in nested]
        if words == [" ..."]:
            words = ["..."]
        per_line = max(1, (PRINT_OPTS.linewidth - indent) // (form.width + 2))
        lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if x is Ellipsis else _rows(x, dim - 1, indent + 1, form) for x in nested]
    return "[" + ("," + "\n" * (dim - 1) + " " * (indent + 1)).join(parts) + "]"


def _body(t, indent):
    if t.is_meta:
        return "..."
    summarise = t.dim() > 0 and t.numel() > PRINT_OPTS.threshold
    nested = _excerpt(t, summarise)
    form = _Complex if t.is_complex() else _Real if t.is_floating_point() else _Plain
    return _rows(nested, t.dim(), indent, form(_leaves(nested)))


def _suffixes(t, default):
    """What follows the elements: size, dtype, device, history."""
    out = []
    if t.is_meta or t.device.type != str(get_default_device()).partition(":")[0]:
        out.append(f"device='{t.device}'")
    if t.is_meta:
        out.append(f"size={tuple(t.shape)}")
        return out if t.dtype == default else [*out, f"dtype={t.dtype}"]
    if t.numel() == 0:
        if t.dim() != 1:
            out.append(f"size={tuple(t.shape)}")
        if t.dtype != default:
            out.append(f"dtype={t.dtype}")
        return out
    if not PRINT_OPTS.edgeitems:
        out.append(f"size={tuple(t.shape)}")
    complex_default = "complex128" if default.itemsize == 8 else "complex64"
    if t.dtype != default and str(t.dtype).partition(".")[2] not in ("int64", "bool", complex_default):
        out.append(f"dtype={t.dtype}")
    return out


def _history(t):
    """``grad_fn=<...>`` of a recorded result, ``requires_grad=True`` of a leaf."""
    if not _carries(t):
        return []
    if t.is_leaf and t.requires_grad:
        return ["requires_grad=True"]
    primal, tangent = (t, None) if hasattr(t, "_is_tangent") else callbacks.table["unpack_dual"](t)
    node = [f"grad_fn=<{t.grad_fn.name().rpartition('::')[2]}>"] if primal.requires_grad else []
    return node if tangent is None else [*node, f"tangent={tangent}"]


def _tensor_str(t, indent):
    """The elements as text, rows under each other after ``indent`` characters."""
    return _body(t.as_subclass(Tensor).detach(), indent)


def _add_suffixes(text, suffixes, indent, force_newline):
    """``text`` and what follows the elements, on new lines (the first one at once: force_newline) where a line would be too long."""
    last_line = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if force_newline or last_line + len(suffix) + 2 > PRINT_OPTS.linewidth:
            text += ",\n" + " " * indent + suffix
            last_line, force_newline = indent + len(suffix), False
        else:
            text += ", " + suffix
            last_line += len(suffix) + 2
    return text + ")"


def tensor_text(t, contents=None):
    """``repr(t)``. contents: text to stand for the elements."""
    plain = t.as_subclass(Tensor).detach()  # nobody intercepts the printing
    opening = "tensor(" if type(t).__name__ in ("Tensor", "Parameter") else f"{type(t).__name__}("
    body = contents or ("[]" if t.numel() == 0 and not t.is_meta else _body(plain, len(opening)))
    text = opening + body
    return _add_suffixes(text, _suffixes(t, get_default_dtype()) + _history(t), len(opening), False)


def tensor_format(t, spec):
    """``format(t, spec)``: a 0-dim tensor formats as its number, others take no format."""
    if t.dim() == 0:
        return format(t.item(), spec)
    if spec:
        raise TypeError(
            f"unsupported format string passed to {type(t).__name__}.__format__\n  Format its numbers: t.item(), t.tolist()."
        )
    return str(t)
