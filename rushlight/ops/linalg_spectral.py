"""QR, singular values and eigenvalues. What follows from them is in ``linalg_least_squares.py``."""

import warnings

from .. import return_types
from . import arithmetic, casting, comparison, creation, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from ._outputs import converted, exact
from .linalg_common import (
    LinAlgError,
    adjoint,
    check_inexact,
    check_lapack,
    check_matrix,
    check_square,
    diagonal_of,
    first_failure,
    lower,
    multiply,
    on_diagonal,
    title,
    where,
)  # fmt: skip
from .linalg_solve import _solve_triangular, solve

# -- QR --


@library(where="", differentiable="A", label="LinalgQr", batch="leading")
def _qr(A, mode):
    m, n = A.shape[-2:]
    k = min(m, n)
    complete = mode == "complete" and m > n
    reflectors, tau = lapack.geqrf(A, m - n if complete else 0)
    R, rows = lapack.turned(reflectors), m if mode == "complete" else k
    R = shape.mT(lower(shape.mT(R if R.shape[-2:] == (rows, n) else R[..., :rows, :n])))  # column by column, as LAPACK's results lie
    if mode == "r":
        return return_types.linalg_qr((creation.empty((0,), dtype=A.dtype, device=A.device), R))
    if not complete and n > k:
        reflectors = shape.contiguous(shape.narrow(reflectors, -2, 0, k))
    return return_types.linalg_qr((lapack.turned(lapack.orgqr(reflectors, tau, m if complete else k)), R))


@_qr.backward_of
def _(grads, A, mode, results):
    """Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2012), section 3; a wide A = Q [R1 R2] is split into
    the square part and R2 = Q^H A2."""
    Q, R = results
    m, n = A.shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, mode='reduced') "
            "if you are going to require gradients."
        )
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.\nUse mode='reduced'."
        )
    of_q, of_r = (creation.zeros(tuple(x.shape), dtype=x.dtype, device=x.device) if g is None else g for g, x in zip(grads, results))
    if m >= n:
        return _qr_square(Q, R, of_q, of_r)
    from .joining import cat

    tail = of_r[..., :, m:]
    of_q = of_q + multiply(A[..., :, m:], adjoint(tail))
    return cat([_qr_square(Q, R[..., :, :m], of_q, of_r[..., :, :m]), multiply(Q, tail)], -1)


def _qr_square(Q, R, of_q, of_r):
    """(gQ + Q herm(R gR^H - gQ^H Q)) R^-H, where herm mirrors the lower triangle."""
    M = multiply(R, adjoint(of_r)) - multiply(adjoint(of_q), Q)
    strict = lower(M, -1)
    middle = diagonal_of(M)
    middle = on_diagonal(shape.cast(casting.real(middle), M.dtype) if M.is_complex() else middle)
    return _solve_triangular(adjoint(R), of_q + multiply(Q, strict + adjoint(strict) + middle), False, False, False)


@composite(where="linalg", name="linalg_qr", out=exact)
def qr(A, mode="reduced"):
    """(Q, R) with Q R = A, Q with orthonormal columns, R upper triangular.

    A: (*, m, n), k = min(m, n). mode: 'reduced' gives (*, m, k) and (*, k, n), 'complete' (*, m, m) and (*, m, n), 'r' an empty Q and R.

    >>> A = torch.tensor([[3., 1.], [4., 2.], [12., 5.]])
    >>> Q, R = torch.linalg.qr(A)
    >>> torch.allclose(Q @ R, A), Q.shape, R.shape
    (True, torch.Size([3, 2]), torch.Size([2, 2]))
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    check_matrix(A, "linalg.qr")
    check_inexact(A, "linalg.qr")
    check_lapack(A, "geqrf_cpu")
    return _qr(A, mode)


lapack.core.set_named(qr=return_types.linalg_qr)
qr.quick, qr.leaves = lapack.core.quick["qr"], _qr


@composite(name="qr", out=exact.by("linalg_qr"))
def torch_qr(input, some=True):
    """(Q, R); see linalg.qr, whose mode is 'reduced' here with ``some``, else 'complete'.

    >>> Q, R = torch.qr(torch.tensor([[3.], [4.]]), some=False)
    >>> Q.shape, R.shape
    (torch.Size([2, 2]), torch.Size([2, 1]))
    """
    warnings.warn(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future PyTorch release.\n"
        "The boolean parameter 'some' has been replaced with a string parameter 'mode'.", UserWarning, stacklevel=2,
    )  # fmt: skip
    return return_types.qr(qr(input, "reduced" if some else "complete"))


# -- singular values --


def _check_converged(info, name, values):
    """Raises LinAlgError where LAPACK did not find the ``values`` of a matrix."""
    position, number = first_failure(info)
    if not number:
        return
    where = "" if position is None else f"(Batch element {position}): "
    if number < 0:
        reason = "the input matrix contained non-finite values."
    else:
        reason = f"the input matrix is ill-conditioned or has too many repeated {values} (error code: {number})."
    raise LinAlgError(f"linalg.{name}: {where}The algorithm failed to converge because {reason}")


@library(where="", differentiable="A", label="LinalgSvd", batch="leading")
def _svd(A, full):
    U, S, Vh, info = lapack.gesdd(A, b"A" if full else b"S")
    _check_converged(info, "svd", "singular values")
    return return_types.linalg_svd((lapack.turned(U), S, lapack.turned(Vh)))


@_svd.backward_of
def _(grads, results):
    """Townsend, "Differentiating the singular value decomposition" (2016); for complex numbers Wan and Zhang, arXiv:1909.02659."""
    U, S, Vh = results
    of_u, of_s, of_vh = grads
    k = S.shape[-1]
    U, Vh = U[..., :, :k], Vh[..., :k, :]
    values = shape.unsqueeze(shape.cast(S, U.dtype), -2)
    middle = None if of_s is None else on_diagonal(shape.cast(of_s, U.dtype))
    gap = _gaps(S * S, U.dtype)
    extra = None
    if of_u is not None:
        of_u = of_u[..., :, :k]
        inside = multiply(adjoint(U), of_u)
        turn = (inside - adjoint(inside)) / gap * values
        middle = turn if middle is None else middle + turn
        if U.is_complex():  # the phase of each pair of vectors
            phase = casting.imag(diagonal_of(inside)) / S
            middle = middle + on_diagonal(arithmetic.mul(shape.cast(phase, U.dtype), 1j))
        if U.shape[-2] > k:
            extra = multiply((of_u - multiply(U, inside)) / values, Vh)
    if of_vh is not None:
        of_v = adjoint(of_vh[..., :k, :])
        inside = multiply(Vh, of_v)
        turn = shape.transpose(values, -2, -1) * ((inside - adjoint(inside)) / gap)
        middle = turn if middle is None else middle + turn
        if Vh.shape[-1] > k:
            rest = multiply(U, adjoint((of_v - multiply(adjoint(Vh), inside)) / values))
            extra = rest if extra is None else extra + rest
    if middle is None:
        return None
    gradient = multiply(U, middle, Vh)
    return gradient if extra is None else gradient + extra


def _gaps(values, dtype):
    """values[j] - values[i] for each i, j, with ones on the diagonal."""
    n = values.shape[-1]
    differences = shape.unsqueeze(values, -2) - shape.unsqueeze(values, -1)
    return shape.cast(differences + creation.eye(n, dtype=values.dtype, device=values.device), dtype)


def _check_svd(A):
    check_matrix(A, "linalg.svd")
    check_inexact(A, "linalg.svd")
    check_lapack(A, "linalg_svd_cpu")


def _check_driver(A, driver):
    """On a GPU the algorithms of cuSOLVER may be named; which one runs is the size's affair."""
    if driver is None or (A.is_cuda and driver in ("gesvd", "gesvdj", "gesvda")):
        return
    if not A.is_cuda:
        raise RuntimeError("torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.")
    raise RuntimeError(f"torch.linalg.svd: unknown svd driver {driver} in svd_cusolver computation: give gesvd, gesvdj, gesvda or None")


@composite(where="linalg", name="linalg_svd", out=exact.by("_linalg_svd"))
def svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with U diag(S) Vh = A, singular values in descending order.

    A: (*, m, n), k = min(m, n). With full_matrices U is (*, m, m) and Vh (*, n, n), else (*, m, k) and (*, k, n). Gradients of U
    and Vh exist where the singular values differ.

    >>> A = torch.tensor([[3., 0.], [0., 4.], [0., 0.]])
    >>> U, S, Vh = torch.linalg.svd(A, full_matrices=False)
    >>> S, torch.allclose(U * S @ Vh, A, atol=1e-6)
    (tensor([4., 3.]), True)
    """
    _check_driver(A, driver)
    _check_svd(A)
    return _svd(A, full_matrices)


@library(where="", differentiable="A", label="LinalgSvd", batch="leading")
def _svdvals(A):
    _, S, _, info = lapack.gesdd(A, b"N")
    _check_converged(info, "svd", "singular values")
    return S


@_svdvals.backward_of
def _(grad, A):
    U, _, Vh = _svd(A, False)
    return multiply(U, on_diagonal(shape.cast(grad, A.dtype)), Vh)


@composite(where="linalg", name="linalg_svdvals", out=exact.by("_linalg_svd"))
def svdvals(A, *, driver=None):
    """The singular values of matrices (*, m, n) in descending order: (*, min(m, n)).

    >>> torch.linalg.svdvals(torch.tensor([[0., -2., 0.], [1., 0., 0.]]))
    tensor([2., 1.])
    """
    _check_driver(A, driver)
    _check_svd(A)
    return _svdvals(A)


@composite(name="svd", out=exact.by("_linalg_svd"))
def torch_svd(input, some=True, compute_uv=True):
    """(U, S, V) with U diag(S) V^H = input; see linalg.svd, which returns V^H.

    >>> U, S, V = torch.svd(torch.tensor([[3., 0., 0.], [0., 4., 0.]]))
    >>> U.shape, S, V.shape
    (torch.Size([2, 2]), tensor([4., 3.]), torch.Size([3, 2]))
    """
    if not compute_uv:
        m, n = input.shape[-2:]
        zeros = [creation.zeros((*input.shape[:-2], s, s), dtype=input.dtype, device=input.device) for s in (m, n)]
        return return_types.svd((zeros[0], svdvals(input), zeros[1]))
    U, S, Vh = svd(input, not some)
    return return_types.svd((U, S, adjoint(Vh)))


# -- eigenvalues of symmetric and Hermitian matrices --


@library(where="", differentiable="A", label="LinalgEigh", batch="leading")
def _eigh(A, is_upper):
    check_square(A, "linalg.eigh")
    values, vectors, info = lapack.syevd(A, is_upper, True)
    _check_converged(info, "eigh", "eigenvalues")
    return return_types.linalg_eigh((values, lapack.turned(vectors)))


@_eigh.backward_of
def _(grads, results):
    """V (diag(gL) + (V^H gV) / (L_j - L_i)) V^H (Giles 2008, section 3.1)."""
    L, V = results
    of_l, of_v = grads
    middle = None if of_l is None else on_diagonal(shape.cast(of_l, V.dtype))
    if of_v is not None:
        inside = multiply(adjoint(V), of_v) / _gaps(L, V.dtype)
        inside = inside - on_diagonal(diagonal_of(inside))
        middle = inside if middle is None else middle + inside
    return None if middle is None else multiply(V, middle, adjoint(V))


def _check_eigh(A, UPLO):
    check_square(A, "linalg.eigh")
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    check_lapack(A, "linalg_eigh_cpu")
    return UPLO.upper() == "U"


@composite(where="linalg", name="linalg_eigh", out=exact.by("_linalg_eigh"))
def eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of symmetric or Hermitian matrices (*, n, n), of which one triangle, ``UPLO``, is read.

    Eigenvalues ascend and are real, eigenvectors are columns of norm 1.

    >>> A = torch.tensor([[2., 1.], [1., 2.]])
    >>> values, vectors = torch.linalg.eigh(A)
    >>> values.round(), torch.allclose(A @ vectors, vectors * values, atol=1e-6)
    (tensor([1., 3.]), True)
    """
    return _eigh(A, _check_eigh(A, UPLO))


@library(where="", differentiable="A", label="LinalgEigh", batch="leading")
def _eigvalsh(A, is_upper):
    values, _, info = lapack.syevd(A, is_upper, False)
    _check_converged(info, "eigh", "eigenvalues")
    return values


@_eigvalsh.backward_of
def _(grad, A, is_upper):
    _, V = _eigh(A, is_upper)
    return multiply(V, on_diagonal(shape.cast(grad, A.dtype)), adjoint(V))


@composite(where="linalg", name="linalg_eigvalsh", out=exact.by("_linalg_eigh"))
def eigvalsh(A, UPLO="L"):
    """The eigenvalues of symmetric or Hermitian matrices (*, n, n), ascending.

    >>> torch.linalg.eigvalsh(torch.tensor([[2., 1.], [1., 2.]])).round()
    tensor([1., 3.])
    """
    return _eigvalsh(A, _check_eigh(A, UPLO))


# -- eigenvalues of general matrices --


@library(where="", differentiable="A", label="LinalgEig")
def _eig(A):
    check_square(A, "linalg.eig")
    values, vectors, info = lapack.geev(A, True)
    _check_converged(info, "eig", "eigenvalues")
    if A.is_complex() or not A.is_cpu:
        return return_types.linalg_eig((values, lapack.turned(vectors)))
    real, imag = values
    return return_types.linalg_eig((casting.complex(real, imag), _unpacked(lapack.turned(vectors), imag)))


def _unpacked(V, imag):
    """Complex eigenvectors from LAPACK's packing: columns j and j + 1 of a conjugate pair hold its real and imaginary part."""
    n = V.shape[-1]
    ahead = V[..., :, creation.arange(1, n + 1, device=V.device).clamp(max=n - 1)] if n else V
    behind = V[..., :, creation.arange(-1, n - 1, device=V.device).clamp(min=0)] if n else V
    sign = shape.unsqueeze(imag, -2)
    first, second = comparison.gt(sign, 0), comparison.lt(sign, 0)
    zero = creation.zeros((), dtype=V.dtype, device=V.device)
    return casting.complex(where(second, behind, V), where(first, ahead, where(second, -V, zero)))


@_eig.backward_of
def _(grads, A, results):
    """V^-H (diag(gL) + (V^H gV - V^H V diag(Re(V^H gV))) / conj(L_j - L_i)) V^H, for eigenvectors of norm 1 (Boeddeker et al.,
    arXiv:1701.00392, section 4.18)."""
    L, V = results
    of_l, of_v = grads
    middle = None if of_l is None else on_diagonal(of_l)
    if of_v is not None:
        inside = multiply(adjoint(V), of_v)
        lengths = on_diagonal(shape.cast(casting.real(diagonal_of(inside)), V.dtype))
        inside = (inside - multiply(adjoint(V), V, lengths)) / casting.conj(_gaps_complex(L))
        inside = inside - on_diagonal(diagonal_of(inside))
        middle = inside if middle is None else middle + inside
    if middle is None:
        return None
    gradient = solve(adjoint(V), multiply(middle, adjoint(V)))
    return gradient if A.is_complex() else casting.real(gradient)


def _gaps_complex(values):
    n = values.shape[-1]
    return shape.unsqueeze(values, -2) - shape.unsqueeze(values, -1) + creation.eye(n, dtype=values.dtype, device=values.device)


def _check_eig(A, name):
    check_square(A, name)
    if not (A.is_floating_point() or A.is_complex()):
        raise RuntimeError(f"Unknown Complex ScalarType for {title(A)}\nConvert the matrix first, for example with .double().")
    check_lapack(A, "linalg_eig_out_cpu")
    if reduction.occurs(~comparison.lt(arithmetic.abs(A), float("inf"))):
        raise RuntimeError(f"torch.{name}: input tensor should not contain infs or NaNs.")


@composite(where="linalg", name="linalg_eig")
def eig(A):
    """(eigenvalues, eigenvectors) of square matrices, complex and in no particular order; eigenvectors have norm 1.

    >>> A = torch.tensor([[0., -1.], [1., 0.]])
    >>> values, vectors = torch.linalg.eig(A)
    >>> torch.allclose(A.to(vectors.dtype) @ vectors, vectors * values, atol=1e-6)
    True
    """
    _check_eig(A, "linalg.eig")
    return _eig(A)


@composite(where="linalg", name="linalg_eigvals", out=converted.by("aten::linalg_eigvals"))
def eigvals(A):
    """The eigenvalues of square matrices (*, n, n), complex and in no particular order.

    >>> torch.linalg.eigvals(torch.tensor([[0., -1.], [1., 0.]])).imag.sort().values.round()
    tensor([-1.,  1.])
    """
    _check_eig(A, "linalg.eigvals")
    return _eig(A)[0]
