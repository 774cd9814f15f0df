"""Linear algebra made of other operators: norms, powers, the exponential, chains of products.

Importing this file defines all of torch.linalg; the solvers are in linalg_solve.py, LU, LDL and Householder
reflectors in linalg_factors.py, the spectra in linalg_spectral.py, what follows from them in linalg_least_squares.py.
"""

import warnings

from .. import return_types
from .._core import operator as core
from .._core.tensor import rename
from . import (
    arithmetic,
    casting,
    contraction,
    creation,
    linalg_factors,
    linalg_least_squares,  # noqa: F401
    linalg_solve,
    linalg_spectral,
    reduction,
    shape,
)
from ._define import composite, integer, integers, registry
from ._outputs import converted, exact, meets, together
from .linalg_common import LinAlgError, adjoint, check_inexact, check_matrix, check_square, multiply
from .linalg_solve import inv, solve
from .linalg_spectral import svdvals

_INFINITY = float("inf")

# -- norms --


def _check_ord(ord):
    if isinstance(ord, str):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' must be Number, not {type(ord).__name__}")


@composite(where="linalg", name="linalg_vector_norm", out=exact)
def vector_norm(x, ord=2, dim: integers = None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord) over ``dim``, or over all elements; inf and -inf are the extremes of |x|, 0 counts non-zeros.

    >>> x = torch.tensor([[3., -4.], [0., 5.]])
    >>> torch.linalg.vector_norm(x, dim=1), torch.linalg.vector_norm(x, ord=1), torch.linalg.vector_norm(x, ord=0)
    (tensor([5., 5.]), tensor(12.), tensor(3.))
    """
    _check_ord(ord)
    check_inexact(x, "linalg.vector_norm")
    if ord == _INFINITY and x.numel() == 0 and dim is None:
        raise RuntimeError(
            "linalg.vector_norm cannot compute the inf norm on an empty tensor because the operation does not have "
            "an identity"
        )
    return registry["_vector_norm"].operator(x, float(ord), dim, keepdim, dtype=dtype)


meets(together, vector_norm)


def _two_dims(A, dim):
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        shown = " ".join(map(str, dim)) if isinstance(dim, (tuple, list)) else dim
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {shown}")
    first, second = (d % A.ndim for d in dim)
    if first == second:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    return first, second


@composite(where="linalg", name="linalg_matrix_norm", out=exact("linalg.matrix_norm expected out tensor dtype {Has} but got: {Given}"))
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """A norm of the matrices in two dims.

    ord: 'fro' Frobenius, 'nuc' the sum of singular values, 2 and -2 the largest and smallest of them, inf and -inf extreme
    row sums, 1 and -1 extreme column sums of absolute values.

    >>> A = torch.tensor([[1., -2.], [3., 4.]])
    >>> torch.linalg.matrix_norm(A, 1), torch.linalg.matrix_norm(A, float("inf")), torch.linalg.matrix_norm(A)
    (tensor(6.), tensor(7.), tensor(5.4772))
    """
    check_matrix(A, "linalg.matrix_norm")
    check_inexact(A, "linalg.matrix_norm")
    row, column = _two_dims(A, dim)
    A = A if dtype is None else shape.cast(A, dtype)
    if ord == "fro":
        return vector_norm(A, 2, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        result = _singular_norm(A, ord, row, column)
    elif ord in (1, -1, _INFINITY, -_INFINITY):
        summed, kept = (row, column) if ord in (1, -1) else (column, row)
        extreme = reduction.amax if ord > 0 else reduction.amin
        sums = vector_norm(A, 1, summed)
        result = extreme(sums, kept - (kept > summed))
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if keepdim:
        for d in sorted((row, column)):
            result = shape.unsqueeze(result, d)
    return result


def _singular_norm(A, ord, row, column):
    rest = [d for d in range(A.ndim) if d not in (row, column)]
    S = svdvals(shape.permute(A, [*rest, row, column]))
    return reduction.sum(S, -1) if ord == "nuc" else reduction.amax(S, -1) if ord == 2 else reduction.amin(S, -1)


@composite(where="linalg", name="linalg_norm", out=exact("linalg.norm expected out tensor dtype {Has} but got: {Given}"))
def norm(A, ord=None, dim: integers = None, keepdim=False, *, dtype=None):
    """matrix_norm where ``ord`` is a string or two dims are meant, else vector_norm. Without ord, the 2-norm of all elements.

    >>> A = torch.tensor([[3., 0.], [0., 4.]])
    >>> torch.linalg.norm(A), torch.linalg.norm(A, "nuc"), torch.linalg.norm(A, 1, dim=0)
    (tensor(5.), tensor(7.), tensor([3., 4.]))
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if A.ndim not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D.")
        matrix = A.ndim == 2
    else:
        matrix = isinstance(ord, str) or (isinstance(dim, (tuple, list)) and len(dim) == 2)
    if matrix:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


# -- powers and exponential --


@composite(where="linalg", name="linalg_matrix_power")
def matrix_power(A, n):
    """A multiplied by itself n times, by repeated squaring; negative powers of the inverse.

    >>> torch.linalg.matrix_power(torch.tensor([[1., 1.], [0., 1.]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    check_square(A, "linalg.matrix_power")
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return shape.expand(creation.eye(A.shape[-1], dtype=A.dtype, device=A.device), tuple(A.shape)).clone()
    if n == 1:
        return shape.clone(A)
    result = None
    while True:
        if n & 1:
            result = A if result is None else multiply(result, A)
        n >>= 1
        if not n:
            return result
        A = multiply(A, A)


# Coefficients of the numerator of exp's Pade approximant of order 13, and the norm up to which it is exact to double precision
# (Higham, "The scaling and squaring method for the matrix exponential revisited", 2005).
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_PADE_NORM = 5.371920351148152


@composite(where="linalg", name="linalg_matrix_exp")
def matrix_exp(A):
    """The exponential of square matrices (*, n, n): the sum of A^k / k!. By Pade approximation, scaling and squaring.

    >>> torch.linalg.matrix_exp(torch.tensor([[0., 1.], [0., 0.]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_square(A, "linalg.matrix_exp")
    check_inexact(A, "linalg.matrix_exp")
    if A.numel() == 0:
        return A.clone()
    if A.dtype.code < 8:
        return shape.cast(matrix_exp(A.float()), A.dtype)
    size = 0 if A.is_meta else reduction.amax(vector_norm(A.detach(), 1, -2)).item()
    squarings = 0
    while 0 < size < _INFINITY and size > _PADE_NORM * 2**squarings:
        squarings += 1
    X = _pade(A / 2**squarings)
    for _ in range(squarings):
        X = multiply(X, X)
    return rename(X.contiguous(), "LinalgMatrixExpBackward0")  # solve leaves columns one after the other


def _pade(A):
    one = creation.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    A2 = multiply(A, A)
    A4 = multiply(A2, A2)
    A6 = multiply(A2, A4)
    b = [c / _PADE[0] for c in _PADE]

    def half(i):
        """The terms with coefficients i, i + 2, ... of even powers."""
        high = A6 * b[12 + i] + A4 * b[10 + i] + A2 * b[8 + i]
        return multiply(A6, high) + A6 * b[6 + i] + A4 * b[4 + i] + A2 * b[2 + i] + one * b[i]

    odd, even = multiply(A, half(1)), half(0)
    return solve(even - odd, even + odd)


# -- products --


@composite(where="linalg", name="linalg_multi_dot",
           out=exact("multi_dot(): expected out tensor to have dtype {has} but got {given}").by("mm"))  # fmt: skip
def multi_dot(tensors):
    """The product of two or more matrices in the order that takes the fewest operations; first and last may be vectors.

    >>> torch.linalg.multi_dot([torch.ones(2, 3), torch.ones(3, 4)]).shape
    torch.Size([2, 4])
    """
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    for position, place in ((0, "first"), (n - 1, "last")):
        if tensors[position].ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {place} tensor must be 1D or 2D but got {tensors[position].ndim}D")
    for i in range(1, n - 1):
        if tensors[i].ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {tensors[i].ndim}D")
    row, column = tensors[0].ndim == 1, tensors[-1].ndim == 1
    chain = list(tensors)
    if row:
        chain[0] = shape.unsqueeze(chain[0], 0)
    if column:
        chain[-1] = shape.unsqueeze(chain[-1], 1)
    for i in range(n - 1):
        if chain[i].shape[1] != chain[i + 1].shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(chain[i].shape)} and "
                f"{list(chain[i + 1].shape)} cannot be multiplied"
            )
    product = _chain(chain, _best_splits([*(x.shape[0] for x in chain), chain[-1].shape[1]]), 0, n - 1)
    product = shape.squeeze(product, 0) if row else product
    return shape.squeeze(product, -1) if column else product


def _best_splits(sizes):
    """Where to cut each part of the chain (Cormen et al., "Introduction to Algorithms", section 15.2)."""
    n = len(sizes) - 1
    cost, split = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            options = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], split[i, j] = min(options)
    return split


def _chain(matrices, split, i, j):
    if i == j:
        return matrices[i]
    k = split[i, j]
    return contraction.mm(_chain(matrices, split, i, k), _chain(matrices, split, k + 1, j))


@composite(where="function")
def chain_matmul(*matrices):
    """The product of matrices, in the order of fewest multiplications: see linalg.multi_dot.

    >>> torch.chain_matmul(torch.ones(2, 3), torch.ones(3, 4), torch.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. Use torch.linalg.multi_dot instead, which "
        "accepts a list of two or more tensors rather than multiple parameters.", UserWarning, stacklevel=2,
    )  # fmt: skip
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    return multi_dot(list(matrices)) if len(matrices) > 1 else matrices[0]


@composite(where="linalg", name="linalg_vecdot", out=exact("linalg.vecdot: Expected out of dtype{Has} but found {Given}").by("sum"))
def vecdot(x, y, *, dim=-1):
    """The sums of conj(x) * y along ``dim``; the other dims broadcast.

    >>> torch.linalg.vecdot(torch.tensor([1., 2.]), torch.tensor([3., 4.]))
    tensor(11.)
    """
    if x.ndim == 1 and y.ndim == 1:
        return contraction.vdot(x, y)
    return reduction.sum((x.conj() if x.is_complex() else x) * y, dim)


@composite(where="linalg", name="linalg_diagonal")
def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices, as a view with the diagonal last.

    >>> torch.linalg.diagonal(torch.tensor([[1, 2], [3, 4]]), offset=1)
    tensor([2])
    """
    return shape.diagonal(A, offset, dim1, dim2)


@composite(where="linalg", name="linalg_vander")
def vander(x, N=None):
    """The powers x^0 ... x^(N - 1) of each element, in a new last dim; N is by default the size of the last dim.

    >>> torch.linalg.vander(torch.tensor([2, 3]), N=4)
    tensor([[ 1,  2,  4,  8],
            [ 1,  3,  9, 27]])
    """
    if (x.ndim == 0 and N is None) or (N is not None and N < 2) or (N is None and x.shape[-1] < 2):
        raise RuntimeError("N must be greater than 1.")
    powers = creation.arange(x.shape[-1] if N is None else N, device=x.device)
    return arithmetic.pow(shape.unsqueeze(x if x.ndim else shape.unsqueeze(x, 0), -1), powers)


# -- tensors as matrices --


def _product_of(sizes):
    product = 1
    for size in sizes:
        product *= size
    return product


@composite(where="linalg", name="linalg_tensorinv")
def tensorinv(A, ind=2, *, out=None):
    """The inverse of ``tensordot(A, ., ind)``: A's first ``ind`` dims as rows, the others as columns.

    >>> A = 2 * torch.eye(6).reshape(2, 3, 6)
    >>> B = torch.linalg.tensorinv(A)
    >>> B.shape, torch.tensordot(B, torch.ones(2, 3), 2)
    (torch.Size([6, 2, 3]), tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000]))
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, rest = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    rows, columns = _product_of(first), _product_of(rest)
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {columns} != {rows}"
        )
    found = shape.reshape(inv(shape.reshape(A, rows, rows)), *rest, *first)
    return found if out is None else _row_major_out(found, out, "linalg_tensorinv")


@composite(where="linalg", name="linalg_tensorsolve")
def tensorsolve(A, B, dims=None):
    """X with ``tensordot(A, X, X.ndim) == B``; ``dims`` of A are moved to its end first.

    >>> A = 2 * torch.eye(6).reshape(2, 3, 6)
    >>> torch.linalg.tensorsolve(A, torch.ones(2, 3))
    tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000])
    """
    if dims is not None:
        moved = [d % A.ndim for d in dims]
        A = shape.permute(A, [d for d in range(A.ndim) if d not in moved] + moved)
    rest = tuple(A.shape[B.ndim :])
    rows, columns = _product_of(A.shape[: B.ndim]), _product_of(rest)
    if rows != columns:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {columns} != {rows}"
        )
    return shape.reshape(solve(shape.reshape(A, rows, rows), shape.reshape(B, -1)), *rest)


# -- the same under the names that torch itself has --


def _gone(old, new, space=" "):
    """PyTorch's warning; where it leaves out a space, so do we."""
    text = f"{old} is deprecated in favor of {new}{space}and will be removed in a future PyTorch release."
    warnings.warn(text, UserWarning, stacklevel=3)


for _name, _operator, _out in (
    ("det", linalg_solve.det, None),
    ("inverse", linalg_solve.inv, converted.by("linalg_inv_ex")),
    ("matrix_power", matrix_power, None),
    ("matrix_exp", matrix_exp, None),
):
    composite(_operator.forward, name=_name, out=_out)


@composite(out=exact.by("_linalg_slogdet"))
def slogdet(input):
    """See linalg.slogdet.

    >>> torch.slogdet(torch.eye(2)).sign
    tensor(1.)
    """
    return return_types.slogdet(linalg_solve.slogdet(input))


@composite
def cholesky(input, upper=False, *, out=None):
    """See linalg.cholesky.

    >>> torch.cholesky(torch.tensor([[4., 2.], [2., 5.]]), upper=True)
    tensor([[2., 1.],
            [0., 2.]])
    """
    _gone("torch.cholesky", "torch.linalg.cholesky")
    try:
        found = linalg_solve.cholesky(input, upper=upper)
    except LinAlgError as error:
        raise LinAlgError(str(error).replace("linalg.cholesky", "cholesky", 1)) from None
    return found if out is None else _row_major_out(found, out, "cholesky")


def _row_major_out(found, out, name):
    """For operators whose out= is row-major where it gets another shape; that of others lies as the result does."""
    return core.deliver_out(shape.contiguous(found), out, name)


@composite
def lu(A, pivot=True, get_infos=False, out=None):
    """(LU, pivots), and info with get_infos: see linalg.lu_factor and linalg.lu_factor_ex.

    >>> LU, pivots, info = torch.lu(torch.tensor([[1., 2.], [2., 8.]]), get_infos=True)
    >>> pivots, info
    (tensor([2, 2], dtype=torch.int32), tensor(0, dtype=torch.int32))
    """
    _gone("torch.lu", "torch.linalg.lu_factor / torch.linalg.lu_factor_ex")
    found = tuple(linalg_factors.lu_factor_ex(A, pivot=pivot))[: 3 if get_infos else 2]
    return found if out is None else tuple(given.resize_(x.shape).copy_(x) for given, x in zip(out, found))


@composite(out=exact)
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """(solution of A X = input, A) for triangular A: see linalg.solve_triangular, whose arguments are the other way round.

    >>> torch.triangular_solve(torch.tensor([[4.], [8.]]), torch.tensor([[2., 1.], [0., 4.]])).solution
    tensor([[1.],
            [2.]])
    """
    _gone("torch.triangular_solve", "torch.linalg.solve_triangular", "")
    matrix = adjoint(A) if transpose and A.is_complex() else shape.transpose(A, -2, -1) if transpose else A
    solution = linalg_solve.solve_triangular(matrix, input, upper=upper != transpose, unitriangular=unitriangular)
    copy = shape.transpose(A, -2, -1).expand(*solution.shape[:-2], *A.shape[-2:]).clone(memory_format=casting.FORMATS["contiguous_format"])
    return return_types.triangular_solve((solution, shape.transpose(copy, -2, -1)))


# -- a few singular values of large matrices (Halko, Martinsson and Tropp, "Finding structure with randomness", 2009) --


def _range_of(A, q, niter):
    """Orthonormal columns that span nearly all of A's range."""
    from .random import randn

    qr = linalg_spectral.qr
    Q = qr(multiply(A, randn(A.shape[-1], q, dtype=A.dtype)))[0]
    for _ in range(niter):
        Q = qr(multiply(A, qr(multiply(adjoint(A), Q))[0]))[0]
    return Q


@composite(where="function")
def svd_lowrank(A, q=6, niter=2, M=None):
    """(U, S, V) of the q largest singular values of A - M, approximately, by random projection.

    >>> A = torch.outer(torch.arange(4.), torch.ones(5))
    >>> U, S, V = torch.svd_lowrank(A, q=2)
    >>> torch.allclose(U * S @ V.T, A, atol=1e-4)
    True
    """
    A = A if M is None else A - M
    if A.shape[-2] < A.shape[-1]:
        V, S, U = svd_lowrank(adjoint(A), q, niter)
        return U, S, V
    Q = _range_of(A, q, niter)
    U, S, Vh = linalg_spectral.svd(multiply(adjoint(Q), A), full_matrices=False)
    return multiply(Q, U), S, adjoint(Vh)


@composite(where="function")
def pca_lowrank(A, q=None, center=True, niter=2):
    """(U, S, V): the q principal components of the rows of A, approximately; see svd_lowrank.

    >>> A = torch.tensor([[0., 1.], [1., 1.], [2., 1.]])
    >>> U, S, V = torch.pca_lowrank(A, q=1)
    >>> torch.allclose(V.abs(), torch.tensor([[1.], [0.]]), atol=1e-5)
    True
    """
    check_matrix(A, "pca_lowrank")
    q = min(6, *A.shape[-2:]) if q is None else q
    if not 0 <= q <= min(A.shape[-2:]):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(A.shape[-2:])}")
    return svd_lowrank(A - reduction.mean(A, -2, True) if center else A, q, niter)


@composite(where="function")
def lobpcg(
    A, k: integer = None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None, method=None, tracker=None,
    ortho_iparams=None, ortho_fparams=None, ortho_bparams=None,
):  # fmt: skip
    """(E, X): the k largest (smallest with largest=False) eigenvalues of symmetric A, or of A x = e B x, with their vectors.

    Computed to full precision by linalg.eigh, so the parameters that steer PyTorch's iteration (iK, niter, tol, method, tracker,
    ortho_*) have nothing to do; the number of pairs is k, else X's number of columns, else 1.

    >>> E, X = torch.lobpcg(torch.diag(torch.arange(1., 10.)), k=2)
    >>> E.round(), X.shape
    (tensor([9., 8.]), torch.Size([9, 2]))
    """
    check_square(A, "lobpcg")
    k = (1 if X is None else X.shape[-1]) if k is None else k
    if not 0 < k <= A.shape[-1]:
        raise ValueError(f"lobpcg(): k must be between 1 and {A.shape[-1]} (the size of A), but it is {k}")
    if B is not None:
        L = linalg_solve.cholesky(B)
        half = linalg_solve.solve_triangular(L, A, upper=False)
        A = adjoint(linalg_solve.solve_triangular(L, adjoint(half), upper=False))
    values, vectors = linalg_spectral.eigh(A)
    if B is not None:
        vectors = linalg_solve.solve_triangular(adjoint(L), vectors, upper=True)
    order = creation.arange(k, device=A.device) if largest is False else A.shape[-1] - 1 - creation.arange(k, device=A.device)
    return values[..., order], vectors[..., order]
