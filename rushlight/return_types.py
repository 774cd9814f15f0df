"""The named tuples that operators with several results return, such as ``torch.return_types.max(values, indices)``."""

from collections import namedtuple


def _make(name, *fields):
    def __repr__(self):
        body = ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self))
        return f"torch.return_types.{name}(\n{body})"

    base = namedtuple(name, fields)
    return type(name, (base,), {"__slots__": (), "__repr__": __repr__, "__module__": "torch.return_types"})


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
