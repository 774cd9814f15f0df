"""What follows from singular values: the pseudo-inverse, rank, condition number and least squares."""

from .. import return_types
from . import arithmetic, comparison, creation, reduction, shape
from . import linalg_lapack as lapack
from ._define import composite, library
from .linalg_common import (
    adjoint,
    broadcast_batches,
    check_lapack,
    check_matrix,
    check_square,
    epsilon,
    multiply,
    title,
    where,
)  # fmt: skip
from .linalg_solve import _inv
from .linalg_spectral import _svd, eigh, eigvalsh, svdvals

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

    >>> torch.linalg.pinv(torch.tensor([[2., 0.], [0., 0.], [0., 0.]]))
    tensor([[0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.0000]])
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
    """The Moore-Penrose pseudo-inverse (*, n, m) of matrices (*, m, n), ``rcond`` times the largest singular value being the least that
    counts; see linalg.pinv.

    >>> torch.pinverse(torch.tensor([[2., 0.], [0., 4.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return pinv(input, rcond)


@composite(where="linalg", name="linalg_matrix_rank")
def matrix_rank(A, tol=None, *, atol=None, rtol=None, hermitian=False):
    """The number of singular values above max(atol, rtol * largest), as int64; tol is an absolute tolerance.

    >>> torch.linalg.matrix_rank(torch.tensor([[1., 2.], [2., 4.]])), torch.linalg.matrix_rank(torch.eye(2))
    (tensor(1), tensor(2))
    """
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
    """The condition number of matrices: the quotient of extreme singular values (p None, 2, -2), or norm(A, p) * norm(inv(A), p). inf for
    a singular matrix.

    >>> torch.linalg.cond(torch.diag(torch.tensor([1., 100.]))), torch.linalg.cond(torch.eye(3), "fro")
    (tensor(100.), tensor(3.))
    """
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
    return return_types.linalg_lstsq((
        rows[..., :n, :].clone(), residuals, shape.cast(none, rank.dtype) if driver == "gels" else rank,
        S if driver in ("gelsd", "gelss") else none,
    ))  # fmt: skip


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

    >>> t, y = torch.tensor([0., 1., 2.]), torch.tensor([[1.], [3.], [5.]])
    >>> line = torch.linalg.lstsq(torch.stack((torch.ones(3), t), 1), y).solution
    >>> torch.allclose(line, torch.tensor([[1.], [2.]]), atol=1e-5)
    True
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
    result = return_types.linalg_lstsq((*result[:2], *(_of_batch(t, own, A.ndim - 2) for t in result[2:])))
    result = return_types.linalg_lstsq((result.solution, *(t if t.numel() else shape.reshape(t, (0,)) for t in result[1:])))
    result = return_types.linalg_lstsq((*result[:3], result.singular_values.detach()))
    if not vector:
        return result
    return return_types.linalg_lstsq((shape.squeeze(result.solution, -1), *result[1:]))
