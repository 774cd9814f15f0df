"""What the linear algebra files share: PyTorch's checks and messages, triangles, small recorded helpers."""

from .._core.operator import dtype_name
from . import casting, comparison, contraction, reduction, shape
from ._define import registry


class LinAlgError(RuntimeError):
    """A factorization or solver failed: a singular, indefinite or non-finite matrix. ``torch.linalg.LinAlgError``."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
LinAlgError.__module__ = "torch._C"


# -- checks --


def title(x):
    """The dtype of x as PyTorch's messages spell it: Float, ComplexDouble ..."""
    return dtype_name(x.dtype.code)


def check_matrix(x, name, argument="A"):
    """At least 2 dims."""
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.\nIt has shape {list(x.shape)}.")


def check_square(x, name, argument="A"):
    """A batch of square matrices."""
    check_matrix(x, name, argument)
    m, n = x.shape[-2:]
    if m != n:
        raise RuntimeError(f"{name}: {argument} must be batches of square matrices, but they are {m} by {n} matrices")


def check_inexact(x, name, low=True):
    """Floating or complex; with ``low`` false no half-width floats either."""
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {title(x)}\n"
            "Convert it first, for example with .double()."
        )
    if not low and x.dtype.itemsize < (8 if x.is_complex() else 4):
        raise RuntimeError(
            f"{name}: Low precision dtypes not supported. Got {title(x)}\nConvert it first, for example with .float()."
        )


def check_lapack(x, kernel):
    """One of the four dtypes that LAPACK knows."""
    if not 8 <= x.dtype.code <= 11:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{title(x)}'\nConvert the matrix first, for example with .float()."
        )


def check_dtypes(a, b, name, first, second):
    """Two operands of one dtype."""
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected {first} and {second} to have the same dtype, but found {first} of type {title(a)} "
            f"and {second} of type {title(b)} instead"
        )


def check_pivots(pivots, matrix, name, argument):
    """One pivot for each row of each matrix."""
    if tuple(pivots.shape) != tuple(matrix.shape[:-1]):
        raise RuntimeError(
            f"{name}: Expected {argument}.shape[:-1] and pivots.shape to be the same, but got pivots with shape {list(pivots.shape)} "
            "instead"
        )


def first_failure(info):
    """(position in the batch or None, LAPACK's number) of the first matrix that failed; (None, 0) when all went well."""
    info = getattr(info, "value", info)  # under vmap: of all examples
    if info.is_meta:
        return None, 0
    if info.ndim and not reduction.occurs(comparison.ne(info, 0)):
        return None, 0
    values = info.tolist()
    if not isinstance(values, list):
        return None, values
    flat, stack = [], [values]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        else:
            flat.append(item)
    return next(((i, v) for i, v in enumerate(flat) if v), (None, 0))


def raise_failure(info, name, text):
    """Raises LinAlgError if a matrix failed; ``text(number)`` says why."""
    position, number = first_failure(info)
    if number:
        where = "" if position is None else f"(Batch element {position}): "
        raise LinAlgError(f"{name}: {where}{text(number)}")


# -- shapes --


def broadcast_batches(a, b):
    """Both with the same leading dims, as views."""
    lead, n = [], max(a.ndim, b.ndim) - 2
    for i in range(n):
        left = a.shape[i - n + a.ndim - 2] if i - n + a.ndim - 2 >= 0 else 1
        right = b.shape[i - n + b.ndim - 2] if i - n + b.ndim - 2 >= 0 else 1
        if left != right and 1 not in (left, right):
            raise RuntimeError(
                f"The size of tensor a ({right}) must match the size of tensor b ({left}) at non-singleton dimension {i}"
            )
        lead.append(right if left == 1 else left)
    return shape.expand(a, (*lead, *a.shape[-2:])), shape.expand(b, (*lead, *b.shape[-2:]))


def epsilon(x):
    """The distance from 1 to the next number of x's precision."""
    return 2.0**-23 if x.dtype.code in (8, 10) else 2.0**-52


# -- recorded helpers --


def adjoint(x):
    """The conjugate transpose."""
    x = shape.transpose(x, -2, -1)
    return casting.conj(x) if x.is_complex() else x


def transpose(x):
    """The transpose."""
    return shape.transpose(x, -2, -1)


def conj(x):
    """The conjugate; a real tensor is its own."""
    return casting.conj(x) if x.is_complex() else x


def where(mask, a, b):
    """``a`` where the mask holds, else ``b``."""
    return registry["_where"].operator(mask, a, b)


def lower(x, diagonal=0):
    """The lower triangle: elements with column - row <= diagonal."""
    return registry["tril"].operator(x, diagonal)


def upper(x, diagonal=0):
    """The upper triangle: elements with column - row >= diagonal."""
    return registry["triu"].operator(x, diagonal)


def on_diagonal(x):
    """Vectors as diagonal matrices."""
    return registry["diag_embed"].operator(x)


def diagonal_of(x):
    """The main diagonals of matrices."""
    return shape.diagonal(x, 0, -2, -1)


def multiply(*matrices):
    """The product of matrices, from left to right."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = contraction.matmul(product, matrix)
    return product


def no_derivative(name):
    """The backward of an operator that PyTorch doesn't differentiate either: the error comes when a gradient reaches it."""

    def backward(grads):
        raise NotImplementedError(f"derivative for aten::{name} is not implemented")

    return backward
