"""QR, singular values, eigenvalues, and what follows from them: pseudo-inverse, rank, condition number, least squares."""

from .. import return_types
from . import arithmetic, casting, comparison, creation, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from .linalg_common import (
    LinAlgError,
    adjoint,
    broadcast_batches,
    check_inexact,
    check_lapack,
    check_matrix,
    check_square,
    diagonal_of,
    epsilon,
    first_failure,
    lower,
    multiply,
    on_diagonal,
    title,
    upper,
    where,
)  # fmt: skip
from .linalg_solve import _inv, _solve_triangular, solve

# -- QR --


@library(where="", differentiable="A", label="LinalgQr", batch="leading")
def _qr(A, mode):
    m, n = A.shape[-2:]
    k = min(m, n)
    complete = mode == "complete" and m > n
    reflectors, tau = lapack.geqrf(A, m - n if complete else 0)
    R, rows = lapack.turned(reflectors), m if mode == "complete" else k
    R = upper(R if R.shape[-2:] == (rows, n) else R[..., :rows, :n])
    if mode == "r":
        return return_types.linalg_qr(creation.empty((0,), dtype=A.dtype, device=A.device), R)
    if not complete and n > k:
        reflectors = shape.contiguous(shape.narrow(reflectors, -2, 0, k))
    return return_types.linalg_qr(lapack.turned(lapack.orgqr(reflectors, tau, m if complete else k)), R)


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


@composite(where="linalg", name="linalg_qr")
def qr(A, mode="reduced"):
    """(Q, R) with Q R = A, Q with orthonormal columns, R upper triangular.

    A: (*, m, n), k = min(m, n). mode: 'reduced' gives (*, m, k) and (*, k, n), 'complete' (*, m, m) and (*, m, n), 'r' an empty Q and R.
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'")
    check_matrix(A, "linalg.qr")
    check_inexact(A, "linalg.qr")
    check_lapack(A, "geqrf_cpu")
    return _qr(A, mode)


@composite(name="qr")
def torch_qr(input, some=True):
    """(Q, R); see linalg.qr, whose mode is 'reduced' here with ``some``, else 'complete'."""
    return return_types.qr(*qr(input, "reduced" if some else "complete"))


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
    return return_types.linalg_svd(lapack.turned(U), S, lapack.turned(Vh))


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


@composite(where="linalg", name="linalg_svd")
def svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with U diag(S) Vh = A, singular values in descending order.

    A: (*, m, n), k = min(m, n). With full_matrices U is (*, m, m) and Vh (*, n, n), else (*, m, k) and (*, k, n). Gradients of U
    and Vh exist where the singular values differ.
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


@composite(where="linalg", name="linalg_svdvals")
def svdvals(A, *, driver=None):
    """The singular values in descending order: (*, min(m, n))."""
    _check_driver(A, driver)
    _check_svd(A)
    return _svdvals(A)


@composite(name="svd")
def torch_svd(input, some=True, compute_uv=True):
    """(U, S, V) with U diag(S) V^H = input; see linalg.svd, which returns V^H."""
    if not compute_uv:
        m, n = input.shape[-2:]
        zeros = [creation.zeros((*input.shape[:-2], s, s), dtype=input.dtype, device=input.device) for s in (m, n)]
        return return_types.svd(zeros[0], svdvals(input), zeros[1])
    U, S, Vh = svd(input, not some)
    return return_types.svd(U, S, adjoint(Vh))


# -- eigenvalues of symmetric and Hermitian matrices --


@library(where="", differentiable="A", label="LinalgEigh", batch="leading")
def _eigh(A, is_upper):
    values, vectors, info = lapack.syevd(A, is_upper, True)
    _check_converged(info, "eigh", "eigenvalues")
    return return_types.linalg_eigh(values, lapack.turned(vectors))


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


@composite(where="linalg", name="linalg_eigh")
def eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of symmetric or Hermitian matrices, of which one triangle is read; eigenvalues ascend and are real."""
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


@composite(where="linalg", name="linalg_eigvalsh")
def eigvalsh(A, UPLO="L"):
    """The eigenvalues of symmetric or Hermitian matrices, ascending."""
    return _eigvalsh(A, _check_eigh(A, UPLO))


# -- eigenvalues of general matrices --


@library(where="", differentiable="A", label="LinalgEig")
def _eig(A):
    values, vectors, info = lapack.geev(A, True)
    _check_converged(info, "eig", "eigenvalues")
    if A.is_complex() or not A.is_cpu:
        return return_types.linalg_eig(values, lapack.turned(vectors))
    real, imag = values
    return return_types.linalg_eig(casting.complex(real, imag), _unpacked(lapack.turned(vectors), imag))


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
    """(eigenvalues, eigenvectors) of square matrices, complex and in no particular order; eigenvectors have norm 1."""
    _check_eig(A, "linalg.eig")
    return _eig(A)


@composite(where="linalg", name="linalg_eigvals")
def eigvals(A):
    """The eigenvalues of square matrices, complex and in no particular order."""
    _check_eig(A, "linalg.eigvals")
    return _eig(A)[0]


# -- pseudo-inverse, rank, condition --


@library(where="", differentiable="A", label="LinalgPinv", batch="leading")
def _pinv(A, atol, rtol, hermitian):
    if hermitian:
        values, vectors = eigh(A)
        size, left, right = arithmetic.abs(values), vectors, adjoint(vectors)
    else:
        U, values, Vh = _svd(A, False)
        size, left, right = values, adjoint(Vh), adjoint(U)
    kept = comparison.gt(size, shape.unsqueeze(_tolerance(A, size, atol, rtol), -1))
    inverse = where(kept, arithmetic.reciprocal(values), creation.zeros((), dtype=values.dtype, device=values.device))
    return multiply(left * shape.unsqueeze(shape.cast(inverse, A.dtype), -2), right)


@_pinv.backward_of
def _(grad, A, result):
    """Golub and Pereyra, "The differentiation of pseudo-inverses" (1973), equation 4.12."""
    P, Ph, gh = result, adjoint(result), adjoint(grad)
    outside = gh - multiply(A, P, gh)
    within = gh - multiply(gh, P, A)
    return multiply(outside, P, Ph) + multiply(Ph, P, within) - multiply(Ph, grad, Ph)


def _tolerance(A, size, atol, rtol):
    """max(atol, rtol * largest); rtol is by default eps * max(m, n), or 0 when atol is given."""
    if rtol is None:
        rtol = 0.0 if atol is not None else epsilon(A) * max(A.shape[-2:])
    largest = reduction.amax(size, -1) if size.shape[-1] else creation.zeros(tuple(size.shape[:-1]), dtype=size.dtype, device=size.device)
    return comparison.maximum(largest * rtol, creation.zeros((), dtype=size.dtype, device=size.device) + (0.0 if atol is None else atol))


@composite(where="linalg", name="linalg_pinv")
def pinv(A, rcond=None, *, atol=None, rtol=None, hermitian=False):
    """The Moore-Penrose pseudo-inverse (*, n, m), from singular values above max(atol, rtol * largest).

    rtol is by default eps * max(m, n), or 0 when atol is given; hermitian: A is symmetric or Hermitian.
    """
    if A.ndim < 2 or not 8 <= A.dtype.code <= 11:
        raise RuntimeError(
            f"linalg.pinv({title(A)}{{{list(A.shape)}}}): expected a tensor with 2 or more dimensions of "
            "float, double, cfloat or cdouble types"
        )
    if hermitian:
        check_square(A, "linalg.eigh")
    if A.numel() == 0:
        return shape.transpose(A, -1, -2) * 0
    return _pinv(A, atol, rcond if rtol is None else rtol, hermitian)


@composite
def pinverse(input, rcond=1e-15):
    """See linalg.pinv."""
    return pinv(input, rcond)


@composite(where="linalg", name="linalg_matrix_rank")
def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False):
    """The number of singular values above max(atol, rtol * largest), as int64; tol is an absolute tolerance."""
    check_matrix(A, "torch.linalg.matrix_rank", "input")
    if not 8 <= A.dtype.code <= 11:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if A.numel() == 0:
        return creation.zeros(tuple(A.shape[:-2]), dtype=lapack.integer_dtype(), device=A.device)
    size = arithmetic.abs(eigvalsh(A)) if hermitian else svdvals(A)
    limit = _tolerance(A, size, atol, rtol) if tol is None else tol
    limit = shape.unsqueeze(limit, -1) if hasattr(limit, "ndim") and limit.ndim else limit
    return reduction.sum(comparison.gt(size, limit), -1)


@composite(where="linalg", name="linalg_cond")
def cond(A, p=None):
    """The condition number: the quotient of extreme singular values (p None, 2, -2), or norm(A, p) * norm(inv(A), p)."""
    from .linalg import matrix_norm

    check_matrix_only(A)
    if p is None or p in (2, -2):
        S = svdvals(A)
        if not S.shape[-1]:
            return creation.zeros(tuple(A.shape[:-2]), dtype=S.dtype, device=S.device)
        return S[..., -1] / S[..., 0] if p == -2 else S[..., 0] / S[..., -1]
    if p not in ("fro", "nuc", 1, -1, float("inf"), -float("inf")):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square(A, f"linalg.cond(ord={p})")
    inverse, info = _inv(A)
    regular = comparison.eq(info, 0)
    inverse = where(regular[..., None, None], inverse, creation.zeros((), dtype=A.dtype, device=A.device))  # else it is not finite, perhaps
    result = matrix_norm(A, p) * matrix_norm(inverse, p)
    return where(regular, result, creation.zeros((), dtype=result.dtype, device=result.device) + float("inf"))


def check_matrix_only(A):
    """cond's own wording."""
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")


# -- least squares --

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@library(where="", differentiable="A B", label="LinalgLstsq", batch="leading")
def _lstsq(A, B, rcond, driver):
    """What does not exist has no columns."""
    m, n = A.shape[-2:]
    padded = B
    if n > m:
        padded = creation.zeros((*B.shape[:-2], n, B.shape[-1]), dtype=B.dtype, device=B.device)
        shape.copy_(padded[..., :m, :], B)
    out, rank, S, _ = lapack.gels(A, padded, driver, rcond)
    rows = lapack.turned(out)
    none = creation.empty((*A.shape[:-2], 0), dtype=S.dtype, device=S.device)
    full = driver == "gels" or bool(reduction.all(comparison.eq(rank, n)))
    residuals = none
    if m > n and full and driver != "gelsy":
        residuals = reduction.sum(arithmetic.square(arithmetic.abs(rows[..., n:, :])), -2)
    return return_types.linalg_lstsq(
        rows[..., :n, :].clone(), residuals, shape.cast(none, rank.dtype) if driver == "gels" else rank,
        S if driver in ("gelsd", "gelss") else none,
    )  # fmt: skip


@_lstsq.backward_of
def _(grads, A, B, needs):
    """The solution is X = pinv(A) B; it is where the residuals, the squares of A X - B, do not change with X."""
    if grads[0] is None and grads[1] is None:
        return None, None
    P = pinv(A)
    if grads[1] is not None and grads[1].numel():
        X = multiply(P, B)
        turned = (multiply(A, X) - B) * (2 * shape.unsqueeze(grads[1], -2))
        if grads[0] is None:
            return multiply(turned, adjoint(X)), -turned
        first, second = _lstsq_solution(grads[0], A, B, P, needs)
        return None if first is None else first + multiply(turned, adjoint(X)), second - turned
    if grads[0] is None:
        return None, None
    return _lstsq_solution(grads[0], A, B, P, needs)


def _lstsq_solution(grad, A, B, P, needs):
    of_a = None
    if needs[0]:
        g, Ph = multiply(grad, adjoint(B)), adjoint(P)
        gh = adjoint(g)
        of_a = multiply(gh - multiply(A, P, gh), P, Ph) + multiply(Ph, P, gh - multiply(gh, P, A)) - multiply(Ph, g, Ph)
    return of_a, multiply(adjoint(P), grad)


def _of_batch(x, batch, dims):
    """Of x, whose first ``dims`` dims are a batch to which one of the sizes ``batch`` was broadcast: one of each."""
    x = x[(0,) * (dims - len(batch))]
    for d, n in enumerate(batch):
        x = x if n == x.shape[d] else shape.narrow(x, d, 0, n)
    return x


@composite(where="linalg", name="linalg_lstsq")
def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular_values) of min |A X - B|, the smallest X where there are many.

    A: (*, m, n), B: (*, m, k) or (*, m). driver: 'gelsy' (default), 'gels' (A has full rank), 'gelsd' or 'gelss' (these two give
    singular values).
    Residuals are the columns' squared sums, where m > n, every A has full rank and the driver is not 'gelsy', else empty.
    """
    name = "torch.linalg.lstsq"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype {title(A)} and other's dtype {title(B)}"
        )
    driver = driver or "gelsy"
    if driver not in _DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    right = shape.unsqueeze(B, -1) if vector else B
    if A.shape[-2] != right.shape[-2]:
        raise RuntimeError(f"{name}: input.size({-2}) should match other.size({-1 if vector else -2})")
    check_lapack(A, "linalg_lstsq_cpu")
    own = A.shape[:-2]
    A, right = broadcast_batches(A, right)
    result = _lstsq(A, right, epsilon(A) * max(A.shape[-2:]) if rcond is None else rcond, driver)
    result = return_types.linalg_lstsq(*result[:2], *(_of_batch(t, own, A.ndim - 2) for t in result[2:]))
    result = return_types.linalg_lstsq(result.solution, *(t if t.numel() else shape.reshape(t, (0,)) for t in result[1:]))
    result = return_types.linalg_lstsq(*result[:3], result.singular_values.detach())
    if not vector:
        return result
    return return_types.linalg_lstsq(shape.squeeze(result.solution, -1), *result[1:])
