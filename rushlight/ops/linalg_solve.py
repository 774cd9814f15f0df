"""Linear equations: determinants, inverses, solvers and the factorizations behind them (LU, Cholesky, LDL).

Gradients, with g for the gradient of the result and H for the conjugate transpose, are those of Giles, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation" (2008), section 2, extended to complex numbers by conjugation.
"""

from .. import return_types
from .._core.convert import tensor
from . import arithmetic, creation, elementary, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from .linalg_common import (
    adjoint,
    broadcast_batches,
    check_inexact,
    check_lapack,
    check_matrix,
    check_square,
    conj,
    diagonal_of,
    first_failure,
    lower,
    multiply,
    no_derivative,
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
    if reduction.occurs(arithmetic.eq(result, 0)):
        return shape.unsqueeze(shape.unsqueeze(grad, -1), -1) * adjoint(_adjugate(A))
    return scale * adjoint(inv(A))


def _parity(pivots, like):
    """The sign of each permutation: minus one for every row that was moved."""
    n = pivots.shape[-1]
    moved = arithmetic.ne(pivots, creation.arange(1, n + 1, device=pivots.device))
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


@composite(where="linalg", name="linalg_det")
def det(A):
    """The determinant of square matrices (*, n, n), from their LU factors."""
    check_square(A, "linalg.det")
    check_inexact(A, "linalg.det")
    check_lapack(A, "lu_cpu")
    return _det(A)


@library(where="", differentiable="A", label="LinalgSlogdet", batch="leading")
def _slogdet(A):
    lu, pivots, _ = lapack.getrf(A)
    diagonal = diagonal_of(lu)
    sign = reduction.prod(arithmetic.sgn(diagonal), -1) * _parity(pivots, A)
    return return_types.linalg_slogdet(sign, reduction.sum(elementary.log(arithmetic.abs(diagonal)), -1))


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


@composite(where="linalg", name="linalg_slogdet")
def slogdet(A):
    """(sign, logabsdet): the determinant is ``sign * exp(logabsdet)``; a singular matrix has sign 0 and -inf."""
    return _slogdet_of(A, "linalg.slogdet")


@composite
def logdet(input):
    """The logarithm of the determinant; nan where it is negative."""
    sign, log = _slogdet_of(input, "logdet")
    return log + elementary.log(sign)


# -- inverse --


@library(where="", differentiable="A", label="LinalgInvEx", batch="leading")
def _inv(A):
    lu, pivots, info = lapack.getrf(A)
    inverse = lapack.turned(lapack.getri(lu, pivots, lapack.integers(A.shape[:-2], like=A)))
    return return_types.linalg_inv_ex(inverse, lapack.to_int32(info))


@_inv.backward_of
def _(grads, results):
    X = results[0]
    return None if grads[0] is None else -multiply(adjoint(X), grads[0], adjoint(X))


def _check_invertible(A):
    check_square(A, "linalg.inv")
    check_inexact(A, "linalg.inv", low=False)


def _singular(number):
    return f"The diagonal element {number} is zero, the inversion could not be completed because the input matrix is singular."


@composite(where="linalg", name="linalg_inv_ex")
def inv_ex(A, *, check_errors=False):
    """(inverse, info); info is 0, or the number of the first zero on U's diagonal, for each matrix. Raises only with check_errors."""
    _check_invertible(A)
    result = _inv(A)
    if check_errors:
        raise_failure(result.info, "linalg.inv_ex", _singular)
    return result


@composite(where="linalg", name="linalg_inv")
def inv(A):
    """The inverse of square matrices (*, n, n). LinAlgError if one is singular. To solve equations, solve() is faster and more exact."""
    _check_invertible(A)
    result = _inv(A)
    raise_failure(result.info, "linalg.inv", _singular)
    return result.inverse


# -- solve --


@library(where="", differentiable="A B", label="LinalgSolveEx", batch="leading")
def _solve(A, B):
    """A X = B with matrices on both sides and equal batches: (X, info)."""
    out, _, _, info = lapack.gesv(A, B)
    return return_types.linalg_solve_ex(lapack.turned(out), lapack.to_int32(info))


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
    return return_types.linalg_solve_ex(shape.squeeze(X, -1) if vector else X, info)


def _check_fits(A, B, left, name):
    if A.shape[-2 if left else -1] != B.shape[-2 if left else -1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )


@composite(where="linalg", name="linalg_solve_ex")
def solve_ex(A, B, *, left=True, check_errors=False):
    """(result, info) of A X = B (or X A = B). Raises for singular matrices only with check_errors."""
    result = _solved(A, B, left)
    if check_errors:
        raise_failure(result.info, "torch.linalg.solve_ex", _unsolvable)
    return result


def _unsolvable(number):
    return "The solver failed because the input matrix is singular."


@composite(where="linalg", name="linalg_solve")
def solve(A, B, *, left=True):
    """The solution of A X = B, or of X A = B with left=False.

    A: (*, n, n); B: (*, n, k), or (n) or (*, n) for vectors. LinAlgError if a matrix is singular.
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


@composite(where="linalg", name="linalg_solve_triangular")
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """The solution of A X = B (X A = B with left=False) for triangular A, of which only the one triangle is read.

    Nothing is checked: zeros on the diagonal give infinities. unitriangular: the diagonal counts as ones.
    """
    name = "linalg.solve_triangular"
    check_square(A, name)
    check_matrix(B, name, "B")
    _check_fits(A, B, left, name)
    check_lapack(A, "triangular_solve_cpu")
    A, B = broadcast_batches(A, B)
    return _solve_triangular(A, shape.cast(B, A.dtype), upper, left, unitriangular)


# -- Cholesky --


@library(where="", differentiable="A", label="LinalgCholeskyEx", batch="leading")
def _cholesky(A, upper):
    factor, info = lapack.potrf(A, upper)
    factor = _triangle(lapack.turned(factor), upper, False)
    return return_types.linalg_cholesky_ex(factor, lapack.to_int32(info))


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


@composite(where="linalg", name="linalg_cholesky_ex")
def cholesky_ex(A, *, upper=False, check_errors=False):
    """(L, info); info is 0, or the order of the first minor that is not positive. Raises only with check_errors."""
    _check_cholesky(A)
    result = _cholesky(A, upper)
    if check_errors:
        raise_failure(result.info, "linalg.cholesky_ex", _indefinite)
    return result


@composite(where="linalg", name="linalg_cholesky")
def cholesky(A, *, upper=False):
    """The lower triangular L with L L^H = A (with upper, U with U^H U = A) of positive definite matrices; one triangle is read."""
    _check_cholesky(A)
    result = _cholesky(A, upper)
    raise_failure(result.info, "linalg.cholesky", _indefinite)
    return result.L


@composite
def cholesky_solve(B, L, upper=False):
    """The solution of A X = B given A's Cholesky factor."""
    for name, x in (("b", B), ("u", L)):
        if x.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead")
    if L.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by {L.shape[-1]} "
            f"but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    first, second = (adjoint(L), L) if upper else (L, adjoint(L))
    return solve_triangular(second, solve_triangular(first, B, upper=False), upper=True)


@composite
def cholesky_inverse(L, upper=False):
    """The inverse of A given its Cholesky factor."""
    check_square(L, "cholesky_inverse")
    return cholesky_solve(shape.expand(creation.eye(L.shape[-1], dtype=L.dtype, device=L.device), tuple(L.shape)), L, upper)


# -- LU --


@library(where="", differentiable="A", label="LinalgLuFactorEx", batch="leading")
def _lu_factor(A):
    lu, pivots, info = lapack.getrf(A)
    return return_types.linalg_lu_factor_ex(lapack.turned(lu), lapack.to_int32(pivots), lapack.to_int32(info))


@_lu_factor.backward_of
def _(grads, results):
    """P^T gA for A = P L U, where gL and gU are the triangles of the gradient of LU."""
    g, LU = grads[0], results[0]
    if g is None:
        return None
    m, n = LU.shape[-2:]
    k = min(m, n)
    square, gs = LU[..., :k, :k], g[..., :k, :k]
    L, U = _unit_lower(square), upper(square)
    if m > n:  # the rows below the square: L2 = A2 U^-1
        of_rest = _solve_triangular(adjoint(U), g[..., k:, :], False, False, False)
        of_u = upper(gs) - upper(multiply(adjoint(LU[..., k:, :]), of_rest))
        parts, dim = [_lu_square(L, U, lower(gs, -1), of_u), of_rest], -2
    elif n > m:  # the columns behind the square: U2 = L^-1 A2
        of_rest = _solve_triangular(adjoint(L), g[..., :, k:], True, True, True)
        of_l = lower(gs, -1) - lower(multiply(of_rest, adjoint(LU[..., :, k:])), -1)
        parts, dim = [_lu_square(L, U, of_l, upper(gs)), of_rest], -1
    else:
        return _permuted(_lu_square(L, U, lower(gs, -1), upper(gs)), results[1])
    from .joining import cat

    return _permuted(cat(parts, dim), results[1])


def _lu_square(L, U, of_l, of_u):
    """L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H."""
    middle = lower(multiply(adjoint(L), of_l), -1) + upper(multiply(of_u, adjoint(U)))
    left = _solve_triangular(adjoint(L), middle, True, True, True)
    return _solve_triangular(adjoint(U), left, False, False, False)


def _unit_lower(LU):
    """The unit lower triangular factor."""
    m, n = LU.shape[-2:]
    k = min(m, n)
    return lower(LU[..., :k], -1) + creation.eye(m, k, dtype=LU.dtype, device=LU.device)


def _permutation(pivots, m):
    """For each row of P^T A, which row of A it was."""
    if pivots.is_meta:
        return creation.empty((*pivots.shape[:-1], m), dtype=lapack.integer_dtype(), device=pivots.device)
    orders = []
    for exchanges in shape.reshape(pivots, lapack.count(pivots.shape[:-1]), pivots.shape[-1]).tolist():
        rows = list(range(m))
        for i, j in enumerate(exchanges):
            rows[i], rows[j - 1] = rows[j - 1], rows[i]
        orders.extend(rows)
    return shape.reshape(tensor(orders, dtype=lapack.integer_dtype(), device=pivots.device), *pivots.shape[:-1], m)


def _permutation_matrix(pivots, m, dtype):
    """P with P L U = A."""
    rows = shape.unsqueeze(_permutation(pivots, m), -2)
    return shape.cast(arithmetic.eq(rows, shape.unsqueeze(creation.arange(m, device=pivots.device), -1)), dtype)


def _permuted(x, pivots):
    return multiply(_permutation_matrix(pivots, x.shape[-2], x.dtype), x)


def _check_lu(A, name):
    if A.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(A.shape)} instead")
    check_lapack(A, "lu_cpu")


def _check_pivot(pivot):
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@composite(where="linalg", name="linalg_lu_factor_ex")
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """(LU, pivots, info): L below and U on and above the diagonal; row i was exchanged with row pivots[i] - 1."""
    _check_lu(A, "torch.lu_factor")
    _check_pivot(pivot)
    result = _lu_factor(A)
    if check_errors:
        _raise_zero(result.info)
    return result


def _raise_zero(info):
    position, i = first_failure(info)
    if i:
        where = "" if position is None else f"(Batch element {position}): "
        raise RuntimeError(
            f"torch.linalg.lu_factor: {where}U[{i},{i}] is zero and using it on lu_solve would result in a division by zero. "
            "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )


@composite(where="linalg", name="linalg_lu_factor")
def lu_factor(A, *, pivot=True):
    """(LU, pivots) with partial pivoting. RuntimeError for a matrix that lu_solve could not use."""
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    _raise_zero(info)
    return return_types.linalg_lu_factor(LU, pivots)


@composite(where="function")
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """(P, L, U) from the packed factors; what is not asked for is an empty tensor."""
    if LU_data.ndim < 2:
        raise RuntimeError(f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(LU_data.shape)} instead")
    m, n = LU_data.shape[-2:]
    none = creation.empty((0,), dtype=LU_data.dtype, device=LU_data.device)
    P = _permutation_matrix(LU_pivots, m, LU_data.dtype) if unpack_pivots else none
    if not unpack_data:
        return return_types.lu_unpack(P, none, none)
    return return_types.lu_unpack(P, _unit_lower(LU_data), upper(LU_data[..., : min(m, n), :]))


@composite(where="linalg", name="linalg_lu")
def lu(A, *, pivot=True):
    """(P, L, U) with P L U = A."""
    _check_lu(A, "linalg.lu")
    _check_pivot(pivot)
    LU, pivots, _ = _lu_factor(A)
    return return_types.linalg_lu(*lu_unpack(LU, pivots))


@composite(where="linalg", name="linalg_lu_solve")
def linalg_lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """The solution of A X = B (X A = B with left=False, A^H in place of A with adjoint) given A's LU factors."""
    from .linalg_common import adjoint as turned

    name = "linalg.lu_solve"
    check_square(LU, name, "LU")
    if pivots.dtype.name != "int32":
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    _check_fits(LU, B, left, name)
    if not left:
        return turned(linalg_lu_solve(LU, pivots, turned(B), adjoint=not adjoint))
    P = _permutation_matrix(pivots, LU.shape[-1], LU.dtype)
    L, U = _unit_lower(LU), upper(LU)
    if adjoint:
        middle = solve_triangular(turned(U), B, upper=False)
        return multiply(P, solve_triangular(turned(L), middle, upper=True, unitriangular=True))
    middle = solve_triangular(L, multiply(transpose(P), B), upper=False, unitriangular=True)
    return solve_triangular(U, middle, upper=True)


@composite
def lu_solve(b, LU_data, LU_pivots):
    """The solution of A x = b given A's LU factors; see linalg.lu_solve."""
    return linalg_lu_solve(LU_data, LU_pivots, b)


# -- LDL --


def _ldl(A, hermitian):
    name = "torch.linalg.ldl_factor_ex"
    check_square(A, name)
    check_inexact(A, name)
    check_lapack(A, "ldl_factor_kernel_cpu")
    ld, pivots, info = lapack.sytrf(A, hermitian)
    return lower(lapack.turned(ld)), lapack.to_int32(pivots), lapack.to_int32(info)


@library(where="linalg", name="linalg_ldl_factor_ex", differentiable="A")
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """(LD, pivots, info) of A = L D L^T (L^H with hermitian), packed as LAPACK's sytrf leaves them. No gradient."""
    LD, pivots, info = _ldl(A, hermitian)
    if check_errors:
        raise_failure(info, "torch.linalg.ldl_factor_ex", lambda i: f"D[{i},{i}] is zero; the factors can't be used to solve equations.")
    return return_types.linalg_ldl_factor_ex(LD, pivots, info)


ldl_factor_ex.backward_of(no_derivative("linalg_ldl_factor_ex"))


@library(where="linalg", name="linalg_ldl_factor", differentiable="A")
def ldl_factor(A, *, hermitian=False):
    """(LD, pivots); see ldl_factor_ex."""
    return return_types.linalg_ldl_factor(*_ldl(A, hermitian)[:2])


ldl_factor.backward_of(no_derivative("linalg_ldl_factor_ex"))


@library(where="linalg", name="linalg_ldl_solve", differentiable="LD B")
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """The solution of A X = B given A's LDL factors. No gradient."""
    check_square(LD, "torch.linalg.ldl_solve", "LD")
    lead = LD.shape[:-2]
    LD, B = broadcast_batches(LD, B)
    pivots = shape.expand(pivots, (*LD.shape[:-2], pivots.shape[-1])) if lead != LD.shape[:-2] else pivots
    return lapack.turned(lapack.sytrs(LD, shape.contiguous(pivots.long()), B, hermitian))


ldl_solve.backward_of(no_derivative("linalg_ldl_solve"))
