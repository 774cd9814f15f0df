"""Normal vectors."""


import math

import rushlight as rl

from . import constraints
from .distribution import Parametrized
from .utils import _standard_normal, lazy_property

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


def _batch_mv(matrix, vector):
    """Matrix times vector, over batches."""
    return rl.matmul(matrix, vector.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(tril, x):
    """``x^T (L L^T)^-1 x`` for batches of factors L and vectors x."""
    shape = rl.broadcast_shapes(tril.shape[:-2], x.shape[:-1])
    n = x.shape[-1]
    solved = rl.linalg.solve_triangular(tril.expand((*shape, n, n)), x.expand((*shape, n)).unsqueeze(-1), upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def _precision_to_scale_tril(precision):
    """The Cholesky factor of the inverse: from the factor of the matrix with both axes reversed."""
    reversed_factor = rl.linalg.cholesky(rl.flip(precision, (-2, -1)))
    inverse = rl.transpose(rl.flip(reversed_factor, (-2, -1)), -2, -1)
    identity = rl.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return rl.linalg.solve_triangular(inverse, identity.expand(inverse.shape), upper=False)


class MultivariateNormal(Parametrized):
    """Normal vectors with mean ``loc``. Give one of covariance_matrix, precision_matrix and scale_tril (a Cholesky factor).

    >>> d = MultivariateNormal(torch.zeros(2), covariance_matrix=torch.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> d.variance, d.scale_tril
    (tensor([4., 3.]), tensor([[2.0000, 0.0000],
            [1.0000, 1.4142]]))
    >>> d.sample((5,)).shape, d.log_prob(torch.zeros(5, 2)).shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True
    _parameters = (("loc", 1), ("covariance_matrix", 2), ("scale_tril", 2), ("precision_matrix", 2))
    _kept = ("_unbroadcasted_scale_tril",)

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        given = {name: m for name, m in given.items() if m is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = rl.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        factor = {"scale_tril": lambda m: m, "covariance_matrix": rl.linalg.cholesky, "precision_matrix": _precision_to_scale_tril}
        self._unbroadcasted_scale_tril = factor[name](matrix)

    @lazy_property
    def scale_tril(self):
        """The Cholesky factor of the covariance matrix."""
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self):
        """The covariance matrix."""
        factor = self._unbroadcasted_scale_tril
        return rl.matmul(factor, factor.mT).expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance matrix."""
        return rl.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._batch_shape + self._event_shape + self._event_shape)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)
    variance = property(lambda self: self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape))

    def rsample(self, sample_shape=()):
        eps = _standard_normal(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def _half_log_det(self):
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value):
        self._check_sample(value)
        m = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + m) - self._half_log_det()

    def entropy(self):
        h = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
        return h if len(self._batch_shape) == 0 else h.expand(self._batch_shape)


class LowRankMultivariateNormal(Parametrized):
    """Normal vectors with covariance ``cov_factor cov_factor^T + diag(cov_diag)``; cov_factor: n x rank, cov_diag: n.

    >>> d = LowRankMultivariateNormal(torch.zeros(2), torch.tensor([[1.0], [2.0]]), torch.tensor([0.5, 0.5]))
    >>> d.covariance_matrix
    tensor([[1.5000, 2.0000],
            [2.0000, 4.5000]])
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True
    _parameters = (("loc", 1), ("cov_diag", 1), ("cov_factor", 2))
    _kept = ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag")

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            batch_shape = rl.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_diag = loc.expand((*batch_shape, -1)), cov_diag.expand((*batch_shape, -1))
        self.cov_factor = cov_factor.expand((*batch_shape, *cov_factor.shape[-2:]))
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    @property
    def _capacitance_tril(self):
        """The Cholesky factor of ``I + W^T D^-1 W``, by which the small matrix stands for the large one (Woodbury)."""
        w, d = self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag
        k = rl.matmul(w.mT / d.unsqueeze(-2), w)
        return rl.linalg.cholesky(k + rl.eye(k.shape[-1], dtype=k.dtype, device=k.device))

    def _log_det(self):
        return 2 * self._capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self._unbroadcasted_cov_diag.log().sum(-1)

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)

    @lazy_property
    def variance(self):
        """The diagonal of the covariance matrix."""
        return (self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self):
        """The Cholesky factor of the covariance matrix."""
        return rl.linalg.cholesky(self.covariance_matrix)

    @lazy_property
    def covariance_matrix(self):
        """The covariance matrix."""
        w = self._unbroadcasted_cov_factor
        matrix = rl.matmul(w, w.mT) + rl.diag_embed(self._unbroadcasted_cov_diag)
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance matrix: ``D^-1 - D^-1 W C^-1 W^T D^-1``."""
        w, d = self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag
        scaled = w.mT / d.unsqueeze(-2)
        half = rl.linalg.solve_triangular(self._capacitance_tril, scaled, upper=False)
        matrix = rl.diag_embed(d.reciprocal()) - half.mT @ half
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        options = {"dtype": self.loc.dtype, "device": self.loc.device}
        eps_w = _standard_normal((*shape[:-1], self.cov_factor.shape[-1]), **options)
        eps_d = _standard_normal(shape, **options)
        return self.loc + _batch_mv(self._unbroadcasted_cov_factor, eps_w) + self._unbroadcasted_cov_diag.sqrt() * eps_d

    def log_prob(self, value):
        self._check_sample(value)
        diff = value - self.loc
        w, d = self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag
        projected = _batch_mv(w.mT / d.unsqueeze(-2), diff)
        m = (diff.pow(2) / d).sum(-1) - _batch_mahalanobis(self._capacitance_tril, projected)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + m)

    def entropy(self):
        h = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return h if len(self._batch_shape) == 0 else h.expand(self._batch_shape)
