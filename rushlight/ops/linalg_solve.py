"""Linear equations: determinants, inverses, solvers and Cholesky's factorization; LU and LDL are in linalg_factors.py.

Gradients, with g for the gradient of the result and H for the conjugate transpose, are those of Giles, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation" (2008), section 2, extended to complex numbers by conjugation.
"""

from .. import return_types
from .._core.tensor import rename
from . import arithmetic, comparison, creation, elementary, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from ._outputs import exact
from .linalg_common import (
    adjoint,
    broadcast_batches,
    check_inexact,
    check_lapack,
    check_matrix,
    check_square,
    conj,
    diagonal_of,
    lower,
    multiply,
    on_diagonal,
    raise_failure,
    title,
    transpose,
    upper,
)  # fmt: skip

# -- determinants --


@library(where="", differentiable="A", label="LinalgDet")
def _det(A):
    lu, pivots, _ = lapack.getrf(A)
    return reduction.prod(diagonal_of(lu), -1) * _parity(pivots, A)


@_det.backward_of
def _(grad, A, result):
    scale = shape.unsqueeze(shape.unsqueeze(grad * conj(result), -1), -1)
    if reduction.occurs(comparison.eq(result, 0)):
        return shape.unsqueeze(shape.unsqueeze(grad, -1), -1) * adjoint(_adjugate(A))
    return scale * adjoint(inv(A))


def _parity(pivots, like):
    """The sign of each permutation: minus one for every row that was moved."""
    if pivots.is_cpu:
        return lapack.parity(pivots, like)
    n = pivots.shape[-1]
    moved = comparison.ne(pivots, creation.arange(1, n + 1, device=pivots.device))
    odd = arithmetic.remainder(reduction.sum(moved, -1), 2)
    return shape.cast(1 - 2 * odd, like.dtype)


def _adjugate(A):
    """det(A) inv(A) from the singular value decomposition, which exists for singular matrices too."""
    from .linalg_spectral import svd

    U, S, Vh = svd(A)
    n = S.shape[-1]
    grid = shape.expand(shape.unsqueeze(S, -2), (*S.shape, n))
    others = grid * (1 - creation.eye(n, dtype=S.dtype, device=S.device)) + creation.eye(n, dtype=S.dtype, device=S.device)
    phase = shape.unsqueeze(shape.unsqueeze(_det(U) * _det(Vh), -1), -1)
    return phase * multiply(adjoint(Vh), on_diagonal(shape.cast(reduction.prod(others, -1), A.dtype)), adjoint(U))


@composite(where="linalg", name="linalg_det", out=exact.by("_linalg_det"))
def det(A):
    """The determinant of square matrices (*, n, n), from their LU factors: a tensor (*).

    >>> torch.linalg.det(torch.tensor([[2., 1.], [1., 3.]]))
    tensor(5.)
    """
    check_square(A, "linalg.det")
    check_inexact(A, "linalg.det")
    check_lapack(A, "lu_cpu")
    return _det(A)


@library(where="", differentiable="A", label="LinalgSlogdet", batch="leading")
def _slogdet(A):
    lu, pivots, _ = lapack.getrf(A)
    diagonal = diagonal_of(lu)
    sign = reduction.prod(arithmetic.sgn(diagonal), -1) * _parity(pivots, A)
    return return_types.linalg_slogdet((sign, reduction.sum(elementary.log(arithmetic.abs(diagonal)), -1)))


@_slogdet.backward_of
def _(grads, A, results):
    """d log|det| = Re tr(A^-1 dA); for complex A, d sign = i sign Im tr(A^-1 dA)."""
    of_sign, of_log = grads
    factor = of_log
    if A.is_complex():
        factor = shape.cast(of_log, A.dtype) if of_log is not None else None
        if of_sign is not None:
            turn = arithmetic.mul((conj(of_sign) * results[0]).imag, -1j)
            factor = turn if factor is None else factor + turn
    if factor is None:
        return None
    return shape.unsqueeze(shape.unsqueeze(factor, -1), -1) * adjoint(inv(A))


def _slogdet_of(A, name):
    check_square(A, name)
    check_inexact(A, name, low=False)
    return _slogdet(A)


@composite(where="linalg", name="linalg_slogdet", out=exact.by("_linalg_slogdet"))
def slogdet(A):
    """(sign, logabsdet): the determinant is ``sign * exp(logabsdet)``, which may overflow; a singular matrix has sign 0 and -inf.

    >>> sign, log = torch.linalg.slogdet(torch.diag(torch.tensor([-1e30, 1e30])))
    >>> sign, log
    (tensor(-1.), tensor(138.1551))
    """
    return _slogdet_of(A, "linalg.slogdet")


@composite
def logdet(input):
    """The logarithm of the determinant of square matrices (*, n, n); nan where it is negative.

    >>> torch.logdet(torch.diag(torch.tensor([2., 3.]))), torch.logdet(torch.diag(torch.tensor([-1., 1.])))
    (tensor(1.7918), tensor(nan))
    """
    sign, log = _slogdet_of(input, "logdet")
    return log + elementary.log(sign)


# -- inverse --


@library(where="", differentiable="A", label="LinalgInvEx", batch="leading")
def _inv(A):
    lu, pivots, info = lapack.getrf(A)
    inverse = lapack.turned(lapack.getri(lu, pivots, lapack.integers(A.shape[:-2], like=A)))
    return return_types.linalg_inv_ex((inverse, lapack.to_int32(info)))


@_inv.backward_of
def _(grads, results):
    X = results[0]
    return None if grads[0] is None else -multiply(adjoint(X), grads[0], adjoint(X))


def _check_invertible(A):
    check_square(A, "linalg.inv")
    check_inexact(A, "linalg.inv", low=False)


def _singular(number):
    return f"The diagonal element {number} is zero, the inversion could not be completed because the input matrix is singular."


@composite(where="linalg", name="linalg_inv_ex", out=exact)
def inv_ex(A, *, check_errors=False):
    """(inverse, info); info is 0, or the number of the first zero on U's diagonal, for each matrix. Raises only with check_errors.

    >>> inverse, info = torch.linalg.inv_ex(torch.tensor([[1., 0.], [0., 0.]]))
    >>> info
    tensor(2, dtype=torch.int32)
    """
    _check_invertible(A)
    result = _inv(A)
    if check_errors:
        raise_failure(result.info, "linalg.inv_ex", _singular)
    return result


@composite(where="linalg", name="linalg_inv", out=exact.by("linalg_inv_ex"))
def inv(A):
    """The inverse of square matrices (*, n, n). LinAlgError if one is singular. To solve equations, :func:`solve` is faster and more exact.

    >>> torch.linalg.inv(torch.tensor([[2., 1.], [1., 1.]]))
    tensor([[ 1., -1.],
            [-1.,  2.]])
    """
    _check_invertible(A)
    result = _inv(A)
    raise_failure(result.info, "linalg.inv", _singular)
    return result.inverse


# -- solve --


@library(where="", differentiable="A B", label="LinalgSolveEx", batch="leading")
def _solve(A, B):
    """A X = B with matrices on both sides and equal batches: (X, info)."""
    out, _, _, info = lapack.gesv(A, B)
    return return_types.linalg_solve_ex((lapack.turned(out), lapack.to_int32(info)))


@_solve.backward_of
def _(grads, A, results, needs):
    if grads[0] is None:
        return None, None
    right = _solve(adjoint(A), grads[0])[0]
    return (-multiply(right, adjoint(results[0])) if needs[0] else None), right


def _is_vector(A, B):
    """Does B hold one vector for each matrix, as PyTorch decides it?"""
    return B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))


def _solved(A, B, left, name="linalg.solve"):
    check_square(A, name)
    check_inexact(A, name)
    check_lapack(A, "linalg_solve_cpu")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {title(A)} and B of type {title(B)} instead"
        )
    vector = _is_vector(A, B)
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. "
            f"In this case {name} is equivalent to B / A.squeeze(-1)"
        )
    right = shape.unsqueeze(B, -1) if vector else B
    _check_fits(A, right, left, name)
    A, right = broadcast_batches(A, right)
    X, info = _solve(A, right) if left else _solve(transpose(A), transpose(right))
    X = X if left else transpose(X)
    return return_types.linalg_solve_ex((shape.squeeze(X, -1) if vector else X, info))


def _check_fits(A, B, left, name):
    if A.shape[-2 if left else -1] != B.shape[-2 if left else -1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )


@composite(where="linalg", name="linalg_solve_ex", out=exact.by("_linalg_solve_ex"))
def solve_ex(A, B, *, left=True, check_errors=False):
    """(result, info) of A X = B (or X A = B). Raises for singular matrices only with check_errors.

    >>> A = torch.tensor([[2., 0.], [0., 0.]])
    >>> torch.linalg.solve_ex(A, torch.ones(2)).info
    tensor(2, dtype=torch.int32)
    """
    result = _solved(A, B, left)
    if check_errors:
        raise_failure(result.info, "torch.linalg.solve_ex", _unsolvable)
    return result


def _unsolvable(number):
    return "The solver failed because the input matrix is singular."


@composite(where="linalg", name="linalg_solve", out=exact.by("_linalg_solve_ex"))
def solve(A, B, *, left=True):
    """The solution of A X = B, or of X A = B with left=False.

    A: (*, n, n); B: (*, n, k), or (n) or (*, n) for vectors. LinAlgError if a matrix is singular.

    >>> A, b = torch.tensor([[2., 1.], [0., 4.]]), torch.tensor([4., 8.])
    >>> torch.linalg.solve(A, b)
    tensor([1., 2.])
    """
    result = _solved(A, B, left)
    raise_failure(result.info, "torch.linalg.solve", _unsolvable)
    return result.result


@library(where="", differentiable="A B", label="LinalgSolveTriangular", batch="leading")
def _solve_triangular(A, B, upper, left, unitriangular):
    return lapack.turned(lapack.trsm(A, B, left, upper, unitriangular))


@_solve_triangular.backward_of
def _(grad, A, result, upper, left, unitriangular, needs):
    of_b = _solve_triangular(adjoint(A), grad, not upper, left, unitriangular)
    if not needs[0]:
        return None, of_b
    of_a = -(multiply(of_b, adjoint(result)) if left else multiply(adjoint(result), of_b))
    return _triangle(of_a, upper, unitriangular), of_b


def _triangle(x, is_upper, strict):
    return upper(x, 1 if strict else 0) if is_upper else lower(x, -1 if strict else 0)


@composite(where="linalg", name="linalg_solve_triangular", out=exact("expected scalar type {Has} but found {Given}"))
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """The solution of A X = B (X A = B with left=False) for triangular A (*, n, n), of which only one triangle is read, and B (*, n, k).

    Nothing is checked: zeros on the diagonal give infinities. unitriangular: the diagonal counts as ones.

    >>> A, B = torch.tensor([[2., 1.], [9., 4.]]), torch.tensor([[4.], [8.]])
    >>> torch.linalg.solve_triangular(A, B, upper=True)
    tensor([[1.],
            [2.]])
    """
    name = "linalg.solve_triangular"
    check_square(A, name)
    check_matrix(B, name, "B")
    _check_fits(A, B, left, name)
    check_lapack(A, "triangular_solve_cpu")
    A, B = broadcast_batches(A, B)
    return _solve_triangular(A, shape.cast(B, A.dtype), upper, left, unitriangular)


_solve_triangular.quick = solve_triangular.quick = lapack.core.quick["solve_triangular"]
solve_triangular.leaves = _solve_triangular

# -- Cholesky --


@library(where="", differentiable="A", label="LinalgCholeskyEx", batch="leading")
def _cholesky(A, upper):
    factor, info = lapack.potrf(A, upper)
    factor = lapack.turned(lapack.core.keep_triangle(factor, upper)) if A.is_cpu else _triangle(lapack.turned(factor), upper, False)
    return return_types.linalg_cholesky_ex((factor, lapack.to_int32(info)))


@_cholesky.backward_of
def _(grads, upper, results):
    """Murray, "Differentiation of the Cholesky decomposition" (2016), equation 10, made Hermitian."""
    if grads[0] is None:
        return None
    L, g = (adjoint(results[0]), adjoint(grads[0])) if upper else (results[0], grads[0])
    middle = lower(multiply(adjoint(L), g))
    middle = (middle + adjoint(lower(middle, -1))) / 2 if not L.is_complex() else _hermitian_half(middle)
    left = _solve_triangular(adjoint(L), middle, True, True, False)
    return _solve_triangular(L, left, False, False, False)


def _hermitian_half(x):
    """Half of the Hermitian matrix with x's lower triangle and the real part of its diagonal."""
    strict = lower(x, -1)
    middle = on_diagonal(shape.cast(diagonal_of(x).real, x.dtype))
    return (strict + adjoint(strict) + middle) / 2


def _indefinite(number):
    return (
        "The factorization could not be completed because the input is not positive-definite "
        f"(the leading minor of order {number} is not positive-definite)."
    )


def _check_cholesky(A):
    check_square(A, "linalg.cholesky")
    check_inexact(A, "linalg.cholesky")
    check_lapack(A, "cholesky_cpu")


@composite(where="linalg", name="linalg_cholesky_ex", out=exact)
def cholesky_ex(A, *, upper=False, check_errors=False):
    """(L, info), as :func:`cholesky`; info is 0, or the order of the first minor that is not positive. Raises only with check_errors.

    >>> L, info = torch.linalg.cholesky_ex(torch.tensor([[4., 2.], [2., -1.]]))
    >>> info
    tensor(2, dtype=torch.int32)
    """
    _check_cholesky(A)
    result = _cholesky(A, upper)
    if check_errors:
        raise_failure(result.info, "linalg.cholesky_ex", _indefinite)
    return result


@composite(where="linalg", name="linalg_cholesky", out=exact)
def cholesky(A, *, upper=False):
    """The lower triangular L with L L^H = A (with upper, U with U^H U = A) of positive definite matrices (*, n, n); one triangle is read.

    LinAlgError if a matrix is not positive definite.

    >>> torch.linalg.cholesky(torch.tensor([[4., 2.], [2., 5.]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    _check_cholesky(A)
    result = _cholesky(A, upper)
    raise_failure(result.info, "linalg.cholesky", _indefinite)
    return result.L


cholesky.quick = lapack.core.quick["cholesky"]

@library(where="", differentiable="B L", label="CholeskySolve", batch="leading")
def _cholesky_solve(B, L, upper):
    first, second = (adjoint(L), L) if upper else (L, adjoint(L))
    return _solve_triangular(second, _solve_triangular(first, B, False, True, False), True, True, False)


@_cholesky_solve.backward_of
def _(grad, L, upper, needs, result):
    """The derivative by A = L L^H, carried on to all of L, as of the product: the triangle that is not read has one too."""
    of_b = _cholesky_solve(grad, L, upper)
    if not needs[1]:
        return of_b, None
    of_a = multiply(of_b, adjoint(result))
    both = of_a + adjoint(of_a)
    return of_b, -(multiply(L, both) if upper else multiply(both, L))


@composite
def cholesky_solve(B, L, upper=False):
    """The solution of A X = B given A's Cholesky factor L (with upper, U), B of shape (*, n, k).

    >>> L = torch.tensor([[2., 0.], [1., 2.]])
    >>> torch.cholesky_solve(torch.tensor([[8.], [6.]]), L)
    tensor([[1.7500],
            [0.5000]])
    """
    for name, x in (("b", B), ("u", L)):
        if x.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead")
    if L.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by {L.shape[-1]} "
            f"but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    check_lapack(L, "cholesky_solve_cpu")
    L, B = broadcast_batches(L, B)
    return _cholesky_solve(shape.cast(B, L.dtype), L, bool(upper))


@composite
def cholesky_inverse(L, upper=False):
    """The inverse of A given its Cholesky factor L (with upper, U).

    >>> torch.cholesky_inverse(torch.tensor([[2., 0.], [1., 2.]]))
    tensor([[ 0.3125, -0.1250],
            [-0.1250,  0.2500]])
    """
    check_square(L, "cholesky_inverse")
    identity = shape.expand(creation.eye(L.shape[-1], dtype=L.dtype, device=L.device), tuple(L.shape))
    return rename(cholesky_solve(identity, L, upper), "CholeskyInverseBackward0")
