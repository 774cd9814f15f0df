"""Householder reflectors H_i = I - tau_i v_i v_i^H as LAPACK's geqrf packs them: v_i is column i below the diagonal, with a 1 on it.

Q = H_1 ... H_k. The gradients follow from dH_i = -(dtau v v^H + tau dv v^H + tau v dv^H), one reflector after the other.
"""

from .. import return_types
from . import casting, comparison, creation, joining, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from .linalg_common import adjoint, check_lapack, check_matrix, lower, multiply, no_derivative, title, where


@library(differentiable="input")
def geqrf(input):
    """(a, tau): LAPACK's form of the QR factorization, R above and reflectors below the diagonal. No gradient; see linalg.qr."""
    check_matrix(input, "torch.geqrf", "input")
    check_lapack(input, "geqrf_cpu")
    a, tau = lapack.geqrf(input)
    return return_types.geqrf(lapack.turned(a), tau)


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
    """The first n columns of the product of the Householder reflectors that geqrf packs: (*, m, n) and (*, k)."""
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
    """See linalg.householder_product."""
    return householder_product(input, tau)


@library(differentiable="input tau other")
def ormqr(input, tau, other, left=True, transpose=False):
    """Q other (other Q with left=False; Q's adjoint with transpose) for the Q that geqrf packs."""
    if input.ndim < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if other.ndim < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    check_lapack(input, "ormqr_cpu")
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
