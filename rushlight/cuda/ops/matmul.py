"""Matrix products on a GPU: what ``_core/matmul.pyx`` calls with operands as they lie in memory."""

from ... import _switches
from ..._core.tensor import device_at, dtypes
from ...lang import types as ty
from ...ops import creation
from .._kernels import for_core
from . import _cublas
from ._family import META, Family, blocks, type_name

_product = Family(
    "product.cu",
    "P a, P b, P c, P added, q m, q n, q k, q batch, q parts, q stretch, q a_row, q a_column, q a_batch, q b_row, q b_column, q b_batch, "
    "q c_row, q c_batch, q c_part, q added_row, q added_batch, q conjugate_a, q conjugate_b, d alpha_re, d alpha_im, d beta_re, d beta_im",
)
_SUMS = {"f16": "f32", "bf16": "f32", "u8": "i32", "i8": "i32", "i16": "i32", "u16": "i32"}
DTYPES = {"i32": "int32", "i64": "int64", "f32": "float32", "f64": "float64", "c64": "complex64", "c128": "complex128"}
_BUSY = 128  # blocks that keep a GPU busy: fewer are cut along k
_DEPTH, _DEEPEST = 512, 1 << 30  # least stretch of k, and the longest: kernels count with 32 bits
_EVEN = 16  # bytes: tensor cores are fed by accesses that wide, from rows that begin at multiples of it
_WORTH_EVENING = 512  # least extent of a product whose operands are copied for that


def sums_in(type):
    """The type in which products are summed."""
    return _SUMS.get(type, type)


def machinery(type, m, n, tensor_cores):
    """(C++ type of the machinery for a product, side of its tiles)."""
    sum = sums_in(type)
    if tensor_cores and m >= 16 and n >= 16:
        return "OnTensorCores", 128
    if type == "f32" and m * n >= 1 << 16:
        return f"OnThreads<{sum},4>", 64
    return f"OnThreads<{sum},2>", 32


def on_tensor_cores(type, convolution=False):
    """May products of a type be made on tensor cores? Half-width floats always, float32 where the user allows its rounding to tf32."""
    if type in ("f16", "bf16"):
        return True
    return type == "f32" and _tf32_allowed(convolution)


def _tf32_allowed(convolution):
    return bool((_switches.cudnn if convolution else _switches.matmul).allow_tf32)


def cut(tiles, k, unit=64):
    """(parts, stretch): stretches of k with which few tiles keep a GPU busy; by the shape alone: results are the same on every device."""
    parts = max(1, min(_BUSY // max(tiles, 1), k // _DEPTH), -(-k // _DEEPEST))
    stretch = max(unit, (k + parts * unit - 1) // (parts * unit) * unit)
    return max(1, -(-k // stretch)), stretch


@for_core
def product(place, code, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides):
    """c = alpha a b + beta added.

    extents: m, n, k, batch; a, b, c, added: addresses; strides in elements: row, column, batch, and conjugated; of c and added row and
    batch. added is c itself, or lies elsewhere; with a row stride of 0 it is one row, a bias.
    """
    if place == META:
        return
    m, n, k, batch = extents
    type = type_name(code)
    tf32 = type == "f32" and on_tensor_cores(type)
    if (type in ("f16", "bf16") or tf32) and batch == 1 and min(m, n, k) >= _WORTH_EVENING and _cublas.computes(type, a_strides, b_strides):
        if _on_even_rows(place, type, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides, tf32):
            return
    operands = type, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta
    if _cublas.product(place, *operands, added, added_strides, tf32):
        return
    target = {"c": c, "c_row": c_strides[0], "c_batch": c_strides[1], "added": added, "added_row": added_strides[0],
              "added_batch": added_strides[1], "beta_re": beta.real, "beta_im": beta.imag}  # fmt: skip
    size = {"m": m, "n": n, "batch": batch}
    if added != c and beta and _cublas.computes(type, a_strides, b_strides):
        _product(f"spread<{type}>", place, blocks(batch * m * n), **target, **size)
        if _cublas.product(place, *operands, c, c_strides, tf32):
            return
    how, side = machinery(type, m, n, on_tensor_cores(type))
    sum = sums_in(type)
    tiles = -(-m // side) * -(-n // side)
    parts, stretch = cut(tiles * batch, k)
    given = size | {
        "a": a, "b": b, "k": k, "parts": parts, "stretch": stretch, "a_row": a_strides[0],
        "a_column": a_strides[1], "a_batch": a_strides[2], "conjugate_a": int(a_strides[3]), "b_row": b_strides[0],
        "b_column": b_strides[1], "b_batch": b_strides[2], "conjugate_b": int(b_strides[3]), "alpha_re": alpha.real, "alpha_im": alpha.imag,
    }  # fmt: skip
    grid = (tiles, min(batch * parts, 65535), 1)
    if parts == 1:
        _product(f"product<{type},{type},{sum},{how}>", place, grid, **target, **given)
        return
    partial = creation.empty((batch, parts, m, n), dtype=dtypes()[DTYPES[sum]], device=device_at(place))
    _product(f"product<{type},{sum},{sum},{how}>", place, grid, c=partial, c_row=n, c_batch=parts * m * n, c_part=m * n, **given)
    _product(f"add_parts<{type},{sum}>", place, blocks(batch * m * n), a=partial, parts=parts, **target, **size)


# -- rows at even addresses --


def _on_even_rows(place, type, extents, a, a_strides, b, b_strides, c, c_strides, alpha, beta, added, added_strides, tf32):
    """:func:`product` by cublasLt on copies of those operands whose rows begin at odd addresses, with which it is several times slower (a
    vocabulary of 50257 words, say); False where there are none, or where what is added lies in an odd result."""
    m, n, k, _ = extents
    copies = [_evened(place, type, *x) for x in ((a, m, k, a_strides), (b, k, n, b_strides), (c, m, n, (c_strides[0], 1)))]
    if not any(copies) or (copies[2] and beta and added_strides[0]):
        return False
    (a, a_strides), (b, b_strides) = (
        (x.fill(), x.strides) if x else given for x, given in zip(copies, ((a, a_strides), (b, b_strides)))
    )
    target, target_strides = (copies[2].room.data_ptr(), copies[2].strides[::2]) if copies[2] else (c, c_strides)
    if added == c:
        added, added_strides = target, target_strides
    operands = a, a_strides, b, b_strides, target, target_strides, alpha, beta, added, added_strides
    done = _cublas.product(place, type, extents, *operands, tf32)
    if done and copies[2]:
        copies[2].give_back()
    return done


def _evened(place, type, address, rows, columns, strides):
    """Room for a copy of a matrix if its rows (or columns, where these are dense) begin at odd addresses, else None."""
    across = strides[1] == 1
    distance = strides[0] if across else strides[1]
    if not (address | distance * ty.BITS[type] // 8) % _EVEN or 1 not in strides[:2]:
        return None
    return _Copy(place, type, address, *((rows, columns) if across else (columns, rows)), distance, across)


class _Copy:
    """``lines`` of ``length`` elements of a matrix, at even addresses. room: its memory; strides: as of a product's operand."""

    def __init__(self, place, type, address, lines, length, distance, across):
        unit = 8 * _EVEN // ty.BITS[type]
        step = -(-length // unit) * unit
        self.place, self.type, self.at, self.step = place, type, (address, distance), step
        self.shape = {"m": lines, "n": length, "batch": 1}
        self.room = creation.empty((lines * step * ty.BITS[type] // 8,), dtype=dtypes()["uint8"], device=device_at(place))
        self.strides = (step, 1, 0, False) if across else (1, step, 0, False)

    def fill(self):
        """Copies the matrix; the address of the copy."""
        self._lay({"added": self.at[0], "added_row": self.at[1], "c": self.room, "c_row": self.step})
        return self.room.data_ptr()

    def give_back(self):
        """Copies the copy to the matrix."""
        self._lay({"added": self.room, "added_row": self.step, "c": self.at[0], "c_row": self.at[1]})

    def _lay(self, given):
        _product(f"lay<{self.type}>", self.place, min(self.shape["m"], (1 << 31) - 1), **given, **self.shape)
