"""Factorizations of matrices that a solver can use again: LU with partial pivoting, LDL of symmetric and Hermitian matrices,
Householder reflectors.
"""

import itertools

from .. import return_types
from . import casting, comparison, creation, joining, padding, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from ._outputs import exact
from .linalg_common import (
    adjoint,
    broadcast_batches,
    check_dtypes,
    check_inexact,
    check_lapack,
    check_matrix,
    check_pivots,
    check_square,
    first_failure,
    lower,
    multiply,
    no_derivative,
    raise_failure,
    title,
    transpose,
    upper,
    where,
)  # fmt: skip
from .linalg_solve import _check_fits, _solve_triangular, solve_triangular

# -- LU --


@library(where="", differentiable="A", label="LinalgLuFactorEx", batch="leading")
def _lu_factor(A):
    lu, pivots, info = lapack.getrf(A)
    return return_types.linalg_lu_factor_ex((lapack.turned(lu), lapack.to_int32(pivots), lapack.to_int32(info)))


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


@library(where="", differentiable="LU", label="LuUnpack", batch="leading")
def _factors(LU):
    """(L, U)"""
    if LU.is_cpu and max(LU.shape[-2:]) <= _SMALL and LU.dtype.code in _LAPACK:
        return lapack.core.factors(LU)
    return _unit_lower(LU), upper(LU[..., : min(LU.shape[-2:]), :])


@_factors.backward_of
def _(grads, shapes):
    m, n = shapes[0][-2:]
    k = min(m, n)
    of_l, of_u = grads
    parts = [] if of_l is None else [padding.constant_pad_nd(lower(of_l, -1), [0, n - k])]
    if of_u is not None:
        parts.append(padding.constant_pad_nd(upper(of_u), [0, 0, 0, m - k]))
    return sum(parts[1:], parts[0]) if parts else None


_SMALL = 64  # rows and columns up to which one loop takes factors apart faster than operators on all elements
_LAPACK = (8, 9, 10, 11)  # codes of the dtypes that LAPACK knows


def _permutation(pivots, m):
    """For each row of P^T A, which row of A it was."""
    if reduction.occurs(comparison.lt(pivots, 1) | comparison.gt(pivots, m)):
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you properly pass the result of lu_factor?"
        )
    if pivots.is_meta:
        return creation.empty((*pivots.shape[:-1], m), dtype=lapack.integer_dtype(), device=pivots.device)
    return lapack.permutations(pivots, m)


def _permutation_matrix(pivots, m, dtype):
    """P with P L U = A."""
    rows = _permutation(pivots, m)
    if rows.is_cpu and dtype.code in _LAPACK:
        return lapack.core.permutation_matrices(rows, dtype.code)
    rows = shape.unsqueeze(rows, -2)
    return shape.cast(comparison.eq(rows, shape.unsqueeze(creation.arange(m, device=pivots.device), -1)), dtype)


def _permuted(x, pivots):
    return multiply(_permutation_matrix(pivots, x.shape[-2], x.dtype), x)


def _check_lu(A, name):
    if A.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(A.shape)} instead")
    check_lapack(A, "lu_cpu")


def _check_pivot(pivot):
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


@composite(where="linalg", name="linalg_lu_factor_ex", out=exact)
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """(LU, pivots, info): L below, whose diagonal is ones, and U on and above the diagonal; row i was exchanged with row pivots[i] - 1.

    info is 0, or the number of the first zero on U's diagonal, for each matrix. Raises only with check_errors.

    >>> LU, pivots, info = torch.linalg.lu_factor_ex(torch.tensor([[1., 2.], [2., 8.]]))
    >>> LU, pivots
    (tensor([[ 2.0000,  8.0000],
            [ 0.5000, -2.0000]]), tensor([2, 2], dtype=torch.int32))
    """
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


@composite(where="linalg", name="linalg_lu_factor", out=exact.by("linalg_lu_factor_ex"))
def lu_factor(A, *, pivot=True):
    """(LU, pivots) with partial pivoting, packed as by :func:`lu_factor_ex`. RuntimeError for a matrix that lu_solve could not use.

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2., 1.], [0., 4.]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.tensor([[4.], [8.]]))
    tensor([[1.],
            [2.]])
    """
    LU, pivots, info = lu_factor_ex(A, pivot=pivot)
    _raise_zero(info)
    return return_types.linalg_lu_factor((LU, pivots))


@composite(where="function", out=exact)
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """(P, L, U) from the packed factors; what is not asked for is an empty tensor.

    >>> P, L, U = torch.lu_unpack(*torch.linalg.lu_factor(torch.tensor([[1., 2.], [2., 8.]])))
    >>> P, L, U
    (tensor([[0., 1.],
            [1., 0.]]), tensor([[1.0000, 0.0000],
            [0.5000, 1.0000]]), tensor([[ 2.,  8.],
            [ 0., -2.]]))
    """
    if LU_data.ndim < 2:
        raise RuntimeError(f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(LU_data.shape)} instead")
    m, n = LU_data.shape[-2:]
    if LU_pivots.dtype.name != "int32":
        raise RuntimeError("torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.")
    if LU_pivots.shape[-1] != min(m, n):
        raise RuntimeError(f"torch.lu_unpack: {m} by {n} matrices have {min(m, n)} pivots, but LU_pivots has shape {list(LU_pivots.shape)}")
    none = creation.empty((0,), dtype=LU_data.dtype, device=LU_data.device)
    P = _permutation_matrix(LU_pivots, m, LU_data.dtype) if unpack_pivots else none
    if not unpack_data:
        return return_types.lu_unpack((P, none, none))
    return return_types.lu_unpack((P, *_factors(LU_data)))


@composite(where="linalg", name="linalg_lu", out=exact)
def lu(A, *, pivot=True):
    """(P, L, U) with P L U = A (*, m, n), k = min(m, n): a permutation (*, m, m), L (*, m, k) with a diagonal of ones, U (*, k, n).

    >>> A = torch.tensor([[1., 2.], [2., 8.]])
    >>> P, L, U = torch.linalg.lu(A)
    >>> P @ L @ U, U
    (tensor([[1., 2.],
            [2., 8.]]), tensor([[ 2.,  8.],
            [ 0., -2.]]))
    """
    _check_lu(A, "linalg.lu")
    _check_pivot(pivot)
    LU, pivots, _ = _lu_factor(A)
    return return_types.linalg_lu(lu_unpack(LU, pivots))


@composite(where="linalg", name="linalg_lu_solve", out=exact)
def linalg_lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """The solution of A X = B (X A = B with left=False, A^H in place of A with adjoint) given A's LU factors; B is (*, n, k).

    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2., 1.], [0., 4.]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.tensor([[4.], [8.]]), adjoint=True)
    tensor([[2.0000],
            [1.5000]])
    """
    from .linalg_common import adjoint as turned

    name = "linalg.lu_solve"
    check_square(LU, name, "LU")
    if pivots.dtype.name != "int32":
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    if pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    check_pivots(pivots, LU, name, "LU")
    check_dtypes(LU, B, name, "LU", "B")
    check_matrix(B, name, "B")
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


@composite(out=exact)
def lu_solve(b, LU_data, LU_pivots):
    """The solution of A x = b given A's LU factors; see :func:`linalg.lu_solve`, whose arguments stand in another order.

    >>> torch.lu_solve(torch.tensor([[4.], [8.]]), *torch.linalg.lu_factor(torch.tensor([[2., 1.], [0., 4.]])))
    tensor([[1.],
            [2.]])
    """
    return linalg_lu_solve(LU_data, LU_pivots, b)


# -- LDL --


def _ldl(A, hermitian):
    name = "torch.linalg.ldl_factor_ex"
    check_square(A, name)
    check_inexact(A, name)
    check_lapack(A, "ldl_factor_kernel_cpu")
    ld, pivots, info = lapack.sytrf(A, hermitian)
    return lower(lapack.turned(ld)), lapack.to_int32(pivots), lapack.to_int32(info)


@library(where="linalg", name="linalg_ldl_factor_ex", differentiable="A", out=exact.by("aten::linalg_ldl_factor_ex"))
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """(LD, pivots, info) of A = L D L^T (L^H with hermitian), packed as LAPACK's sytrf leaves them. No gradient.

    >>> LD, pivots, info = torch.linalg.ldl_factor_ex(torch.tensor([[4., 2.], [2., -1.]]))
    >>> LD.diagonal(), pivots, info
    (tensor([ 4., -2.]), tensor([1, 2], dtype=torch.int32), tensor(0, dtype=torch.int32))
    """
    LD, pivots, info = _ldl(A, hermitian)
    if check_errors:
        raise_failure(info, "torch.linalg.ldl_factor_ex", lambda i: f"D[{i},{i}] is zero; the factors can't be used to solve equations.")
    return return_types.linalg_ldl_factor_ex((LD, pivots, info))


ldl_factor_ex.backward_of(no_derivative("linalg_ldl_factor_ex"))


@library(where="linalg", name="linalg_ldl_factor", differentiable="A", out=exact.by("aten::linalg_ldl_factor_ex"))
def ldl_factor(A, *, hermitian=False):
    """(LD, pivots) of symmetric matrices, which need not be positive definite; see :func:`ldl_factor_ex`.

    >>> LD, pivots = torch.linalg.ldl_factor(torch.tensor([[4., 2.], [2., -1.]]))
    >>> torch.linalg.ldl_solve(LD, pivots, torch.tensor([[8.], [2.]]))
    tensor([[1.5000],
            [1.0000]])
    """
    return return_types.linalg_ldl_factor(_ldl(A, hermitian)[:2])


ldl_factor.backward_of(no_derivative("linalg_ldl_factor_ex"))


def _check_blocks(pivots, n):
    """LAPACK follows pivots without a look at them: places within the matrix, those of a block of two rows both negative."""
    if pivots.is_meta:
        return
    for row in shape.reshape(pivots, (-1, n)).tolist() if n else ():
        runs = [len(list(run)) for negative, run in itertools.groupby(row, lambda p: p < 0) if negative]
        if any(not 1 <= abs(p) <= n for p in row) or any(length % 2 for length in runs):
            raise RuntimeError(f"torch.linalg.ldl_solve: pivots must be those of ldl_factor for {n} by {n} matrices, but some are {row}")


@library(where="linalg", name="linalg_ldl_solve", differentiable="LD B", out=exact)
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """The solution of A X = B, with B (*, n, k), given A's LDL factors. No gradient.

    >>> LD, pivots = torch.linalg.ldl_factor(torch.diag(torch.tensor([4., -2.])))
    >>> torch.linalg.ldl_solve(LD, pivots, torch.tensor([[8.], [2.]]))
    tensor([[ 2.],
            [-1.]])
    """
    name = "torch.linalg.ldl_solve"
    check_square(LD, name)
    check_inexact(LD, name)
    check_matrix(B, name, "B")
    check_pivots(pivots, LD, name, "LD")
    check_dtypes(B, LD, name, "b", "A")
    if pivots.dtype.is_floating_point or pivots.dtype.is_complex or pivots.dtype.name == "bool":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {title(pivots)}")
    n, rows, columns = LD.shape[-1], *B.shape[-2:]
    if rows != n:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {n} by {n} but each b matrix is {rows} by {columns}"
        )
    check_lapack(LD, "ldl_solve_kernel_cpu")
    _check_blocks(pivots, n)
    lead = LD.shape[:-2]
    LD, B = broadcast_batches(LD, B)
    pivots = shape.expand(pivots, (*LD.shape[:-2], pivots.shape[-1])) if lead != LD.shape[:-2] else pivots
    return lapack.turned(lapack.sytrs(LD, shape.contiguous(pivots.long()), B, hermitian))


ldl_solve.backward_of(no_derivative("linalg_ldl_solve"))


# -- Householder reflectors --
#
# H_i = I - tau_i v_i v_i^H as LAPACK's geqrf packs them: v_i is column i below the diagonal, with a 1 on it. Q = H_1 ... H_k. The
# gradients follow from dH_i = -(dtau v v^H + tau dv v^H + tau v dv^H), one reflector after the other.


@library(differentiable="input")
def geqrf(input):
    """(a, tau): LAPACK's form of the QR factorization, R on and above the diagonal and reflectors below. No gradient; see linalg.qr.

    >>> A = torch.tensor([[3., 1.], [4., 2.]])
    >>> a, tau = torch.geqrf(A)
    >>> torch.allclose(torch.linalg.householder_product(a, tau) @ a.triu(), A)
    True
    """
    check_matrix(input, "torch.geqrf", "input")
    check_lapack(input, "geqrf_cpu")
    a, tau = lapack.geqrf(input)
    return return_types.geqrf((lapack.turned(a), tau))


geqrf.backward_of(no_derivative("geqrf"))


def _check_tau(A, tau, name):
    if tau.ndim != A.ndim - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {tau.ndim} "
            f"and input.ndim is equal to {A.ndim}"
        )
    if tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(tau.shape[:-1])} "
            f"and {list(A.shape[:-2])}"
        )


@library(where="linalg", name="linalg_householder_product", differentiable="A tau")
def householder_product(A, tau):
    """The first n columns of the product of the Householder reflectors that geqrf packs: (*, m, n) and (*, k).

    >>> a, tau = torch.geqrf(torch.tensor([[3.], [4.]]))
    >>> torch.linalg.householder_product(a, tau).abs()
    tensor([[0.6000],
            [0.8000]])
    """
    name = "torch.linalg.householder_product"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = A.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if tau.ndim and n < tau.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if tau.dtype is not A.dtype:
        raise RuntimeError(f"{name}: tau dtype {title(tau)} does not match input dtype {title(A)}")
    _check_tau(A, tau, name)
    check_lapack(A, "orgqr_cpu")
    return lapack.turned(lapack.orgqr(lapack.columns(A), shape.contiguous(casting.resolve_conj(tau)), n))


@householder_product.backward_of
def _(grad, A, tau):
    identity = creation.eye(*A.shape[-2:], dtype=A.dtype, device=A.device)
    return _through(grad, A, tau, shape.expand(identity, A.shape), False)[:2]


@composite
def orgqr(input, tau):
    """The first columns of the product of the reflectors that :func:`geqrf` packs: see linalg.householder_product.

    >>> Q = torch.orgqr(*torch.geqrf(torch.tensor([[3., 1.], [4., 2.]])))
    >>> torch.allclose(Q.T @ Q, torch.eye(2), atol=1e-6)
    True
    """
    return householder_product(input, tau)


@library(
    differentiable="input tau other",
    out=exact("torch.ormqr: Expected input and result to have the same dtype, but input has dtype{Has} and result has dtype {Given}"),
)
def ormqr(input, tau, other, left=True, transpose=False):
    """``Q other`` (``other Q`` with left=False; Q's adjoint with transpose) for the Q that :func:`geqrf` packs, without making Q.

    >>> A = torch.tensor([[3., 1.], [4., 2.]])
    >>> a, tau = torch.geqrf(A)
    >>> torch.allclose(torch.ormqr(a, tau, a.triu()), A)
    True
    """
    if input.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if other.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if other.shape[side] != input.shape[-2]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]\n  got input {list(input.shape)}, other {list(other.shape)}"
        )
    _check_tau(input, tau, "torch.ormqr")
    if tau.shape[-1] != min(other.shape[side], input.shape[-1]):
        raise RuntimeError(
            f"torch.ormqr: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])\n  got input {list(input.shape)}, "
            f"tau {list(tau.shape)}, other {list(other.shape)}"
        )
    if other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            f"torch.ormqr: Expected batch dimensions of other to be equal to input.shape[:-2], but got {list(other.shape[:-2])} "
            f"and {list(input.shape[:-2])}"
        )
    for argument, given in (("tau", tau), ("other", other)):
        if given.dtype is not input.dtype:
            raise RuntimeError(
                f"torch.ormqr: Expected input and {argument} to have the same dtype, but input has dtype{title(input)} "
                f"and {argument} has dtype {title(given)}"
            )
    check_lapack(input, "ormqr_cpu")
    packed = lapack.columns(input)
    return lapack.turned(lapack.ormqr(packed, shape.contiguous(casting.resolve_conj(tau)), lapack.columns(other), left, transpose))


@ormqr.backward_of
def _(grad, input, tau, other, left, transpose):
    if left:
        return _through(grad, input, tau, other, transpose)
    *towards, towards_other = _through(adjoint(grad), input, tau, adjoint(other), not transpose)   # other Q = (Q^H other^H)^H
    return *towards, adjoint(towards_other)


def _through(grad, A, tau, X, adjoined):
    """The gradients of A, tau and X of Q X, or of Q^H X, from the result's."""
    vectors = [_vector(A, i) for i in range(tau.shape[-1])]
    factors = [tau[..., i, None, None] for i in range(tau.shape[-1])]
    if adjoined:                                                      # Q^H = H_k^H ... H_1^H, and H^H has the factor conj(tau)
        vectors, factors = vectors[::-1], [t.conj() for t in factors[::-1]]
    right = [X]                                                       # what each reflector is applied to, the last one first
    for v, t in zip(vectors[::-1], factors[::-1]):
        right.append(_reflect(right[-1], v, t))
    of_vectors, of_factors = [], []
    for v, t, R in zip(vectors, factors, right[-2::-1]):              # grad: the gradient of what this reflector gives
        onto_r, onto_l = multiply(adjoint(R), v), multiply(adjoint(grad), v)
        of_factors.append(-multiply(adjoint(onto_l), onto_r))
        of_vectors.append(-(t.conj() * multiply(grad, onto_r) + t * multiply(R, onto_l)))
        grad = _reflect(grad, v, t.conj())
    if adjoined:
        of_vectors, of_factors = of_vectors[::-1], [g.conj() for g in of_factors[::-1]]
    if not of_vectors:
        return creation.zeros_like(A), creation.zeros_like(tau), grad
    towards_a = lower(joining.cat(of_vectors, -1), -1)
    rest = A.shape[-1] - len(of_vectors)
    if rest:
        towards_a = joining.cat([towards_a, creation.zeros((*A.shape[:-1], rest), dtype=A.dtype, device=A.device)], -1)
    return towards_a, shape.reshape(joining.cat(of_factors, -1), tau.shape), grad


def _vector(A, i):
    """v_i as a column."""
    column, rows = A[..., i : i + 1], creation.arange(A.shape[-2], device=A.device).unsqueeze(-1)
    below = where(comparison.gt(rows, i), column, 0)
    return below + shape.cast(comparison.eq(rows, i), A.dtype)


def _reflect(X, v, t):
    return X - t * multiply(v, multiply(adjoint(v), X))
