"""The named tuples that operators with several results return, such as ``torch.return_types.max(values, indices)``."""

from collections import namedtuple

# What reads element i of a tuple by name, in C. One class has them all: each that namedtuple makes is compiled from text.
_ELEMENTS = [vars(namedtuple("_Four", "a b c d"))[name] for name in "abcd"]


def _make(name, *fields):
    """A class like those of C's struct sequences: made from one sequence, it has names for its elements and no subclasses."""
    path, n = f"torch.return_types.{name}", len(fields)

    def __new__(cls, sequence, dict=None):
        elements = tuple(sequence)
        if len(elements) != n:
            raise TypeError(f"{path}() takes a {n}-sequence ({len(elements)}-sequence given)")
        return tuple.__new__(cls, elements)

    def __init_subclass__(cls):
        raise TypeError(f"type '{path}' is not an acceptable base type")

    def __repr__(self):
        body = ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self))
        return f"{path}(\n{body})"

    def __reduce__(self):
        return type(self), (tuple(self), {})

    return type(name, (tuple,), {
        "__slots__": (), "__module__": __name__, "__new__": __new__, "__init_subclass__": __init_subclass__, "__repr__": __repr__,
        "__reduce__": __reduce__, "__match_args__": fields, "n_fields": n, "n_sequence_fields": n, "n_unnamed_fields": 0,
        **dict(zip(fields, _ELEMENTS)),
    })  # fmt: skip


_FIELDS = {
    "values indices": "max min median nanmedian mode kthvalue sort topk cummax cummin",
    "min max": "aminmax",
    "values": "",
    "hist bin_edges": "histogram histogramdd",
    "sign logabsdet": "slogdet",
    "sign logdet": "",
    "eigenvalues eigenvectors": "linalg_eig linalg_eigh",
    "Q R": "linalg_qr qr",
    "Q T": "",
    "U S Vh": "linalg_svd",
    "U S V": "svd",
    "L info": "linalg_cholesky_ex",
    "inverse info": "linalg_inv_ex",
    "P L U": "linalg_lu lu_unpack",
    "LU pivots": "linalg_lu_factor",
    "LU pivots info": "linalg_lu_factor_ex",
    "LD pivots": "linalg_ldl_factor",
    "LD pivots info": "linalg_ldl_factor_ex",
    "result info": "linalg_solve_ex",
    "solution residuals rank singular_values": "linalg_lstsq",
    "mantissa exponent": "frexp",
    "a tau": "geqrf",
    "solution cloned_coefficient": "triangular_solve",
}

for _fields, _names in _FIELDS.items():
    for _name in _names.split():
        globals()[_name] = _make(_name, *_fields.split())
        globals()[_name + "_out"] = _make(_name + "_out", *_fields.split())
linalg_slogdet = _make("linalg_slogdet", "sign", "logabsdet")
