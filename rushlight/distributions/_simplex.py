"""Distributions on the simplex and on matrices: Beta, Dirichlet, LogisticNormal, LKJCholesky, Wishart."""


import math

import rushlight as rl

from . import constraints
from ._composed import TransformedDistribution
from ._location_scale import Normal
from ._positive import Chi2
from .distribution import Parametrized
from .exp_family import ExponentialFamily
from .transforms import StickBreakingTransform
from .utils import broadcast_all, lazy_property

__all__ = ["Beta", "Dirichlet", "LKJCholesky", "LogisticNormal", "Wishart"]


def beta_quantile_slope(x, a, b, nodes=48):
    """How a Beta(a, b) number x moves with a at a fixed quantile: ``-(dF/da) / density``, F being the cumulative distribution function.

    With p the density, ``dF/da = integral of p(t) (log t - digamma(a) + digamma(a + b)) dt`` from 0 to x, or minus that from x to 1. The
    substitutions t = x v**(1/a) and 1 - t = (1 - x) v**(1/b) remove the powers at the ends; the rest is summed by the double exponential
    rule (Takahasi and Mori, 1974) in float64.
    """
    x, a, b = (t.double().unsqueeze(-1) for t in (x, a, b))
    s = rl.linspace(-3.2, 3.2, nodes, dtype=rl.float64, device=x.device)
    log_v = -rl.log1p(rl.exp(-math.pi * rl.sinh(s)))  # v = 1 / (1 + exp(-pi sinh s))
    log_1v = -rl.log1p(rl.exp(math.pi * rl.sinh(s)))
    weight = (log_v + log_1v).exp() * math.pi * rl.cosh(s) * (s[1] - s[0])
    shift = rl.digamma(a + b) - rl.digamma(a)
    low = x * (log_v / a).exp()
    from_zero = x / a * (1 - x) ** (1 - b) * ((1 - low) ** (b - 1) * (x.log() + log_v / a + shift) * weight).sum(-1, True)
    high = 1 - (1 - x) * (log_v / b).exp()
    from_one = (1 - x) / b * x ** (1 - a) * (high ** (a - 1) * (rl.log(high) + shift) * weight).sum(-1, True)
    return rl.where(x <= a / (a + b), -from_zero, from_one).squeeze(-1)


class _DirichletSample(rl.autograd.Function):
    """Samples whose gradient moves them along with their marginal quantiles."""

    @staticmethod
    def forward(ctx, concentration):
        x = rl._sample_dirichlet(concentration)
        ctx.save_for_backward(x, concentration)
        return x

    @staticmethod
    def backward(ctx, grad):
        x, concentration = ctx.saved_tensors
        total = concentration.sum(-1, True).expand_as(concentration)
        slope = (beta_quantile_slope(x, concentration, total - concentration) / (1 - x.double())).to(x.dtype)
        return slope * (grad - (x * grad).sum(-1, True))


class Dirichlet(Parametrized, ExponentialFamily):
    """Density proportional to ``prod x_i**(concentration_i - 1)`` over vectors that sum to one; concentration (*, K).

    >>> d = Dirichlet(torch.tensor([1.0, 2.0, 5.0]))
    >>> d.mean, d.event_shape
    (tensor([0.1250, 0.2500, 0.6250]), torch.Size([3]))
    >>> round(d.sample().sum().item(), 4)
    1.0
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True
    _parameters = (("concentration", 1),)

    def __init__(self, concentration, validate_args=None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape=()):
        return _DirichletSample.apply(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._check_sample(value)
        a = self.concentration
        return rl.xlogy(a - 1.0, value).sum(-1) + rl.lgamma(a.sum(-1)) - rl.lgamma(a).sum(-1)

    mean = property(lambda self: self.concentration / self.concentration.sum(-1, True))

    @property
    def mode(self):
        above = (self.concentration - 1).clamp(min=0.0)
        mode = above / above.sum(-1, True)
        corner = rl.nn.functional.one_hot(self.concentration.argmax(dim=-1), self.concentration.shape[-1]).to(mode)
        return rl.where((self.concentration < 1).all(dim=-1, keepdim=True), corner, mode)

    @property
    def variance(self):
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self):
        a, k = self.concentration, self.concentration.size(-1)
        total = a.sum(-1)
        return rl.lgamma(a).sum(-1) - rl.lgamma(total) - (k - total) * rl.digamma(total) - ((a - 1.0) * rl.digamma(a)).sum(-1)

    _natural_params = property(lambda self: (self.concentration,))

    def _log_normalizer(self, x):
        return x.lgamma().sum(-1) - rl.lgamma(x.sum(-1))


class Beta(Parametrized, ExponentialFamily):
    """Density proportional to ``x**(concentration1 - 1) (1 - x)**(concentration0 - 1)`` on [0, 1].

    >>> d = Beta(torch.tensor(2.0), torch.tensor(2.0))
    >>> d.mean, d.log_prob(torch.tensor(0.5)).exp()  # 6 x (1 - x)
    (tensor(0.5000), tensor(1.5000))
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}  # noqa: RUF012
    support = constraints.unit_interval
    has_rsample = True
    _parameters = ("_dirichlet",)

    def __init__(self, concentration1, concentration0, validate_args=None):
        c1, c0 = broadcast_all(concentration1, concentration0)
        self._dirichlet = Dirichlet(rl.stack([c1, c0], -1), validate_args=validate_args)
        super().__init__(self._dirichlet._batch_shape, validate_args=validate_args)

    @property
    def concentration1(self):
        """The exponent of x, plus one."""
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self):
        """The exponent of 1 - x, plus one."""
        return self._dirichlet.concentration[..., 1]

    mean = property(lambda self: self.concentration1 / (self.concentration1 + self.concentration0))
    mode = property(lambda self: self._dirichlet.mode[..., 0])

    @property
    def variance(self):
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape=()):
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value):
        self._check_sample(value)
        return self._dirichlet.log_prob(rl.stack([value, 1.0 - value], -1))

    def entropy(self):
        return self._dirichlet.entropy()

    _natural_params = property(lambda self: (self.concentration1, self.concentration0))

    def _log_normalizer(self, x, y):
        return rl.lgamma(x) + rl.lgamma(y) - rl.lgamma(x + y)


class LogisticNormal(TransformedDistribution):
    """The distribution of normal numbers sent to the simplex by breaking a stick; one more component than loc has.

    >>> d = LogisticNormal(torch.zeros(2), torch.ones(2))
    >>> sample = d.sample()
    >>> sample.shape, round(sample.sum().item(), 4)
    (torch.Size([3]), 1.0)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale, validate_args=validate_args)
        base = base if base.batch_shape else base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self):
        """The mean of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self):
        """The standard deviation of the normal numbers."""
        return self.base_dist.base_dist.scale


class LKJCholesky(Parametrized):
    """Cholesky factors L of correlation matrices, L L^T having density proportional to ``det**(concentration - 1)`` (Lewandowski et al.,
    2009).

    >>> L = LKJCholesky(3, concentration=0.5).sample()
    >>> torch.allclose((L @ L.T).diagonal(), torch.ones(3)), torch.equal(L, L.tril())
    (True, True)
    """

    arg_constraints = {"concentration": constraints.positive}  # noqa: RUF012
    support = constraints.corr_cholesky
    _parameters = ("concentration", ("_beta", 1))
    _kept = ("dim",)

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # the onion method: row i + 1 has squared length beta-distributed, and a uniform direction
        offset = rl.arange(dim - 1, dtype=self.concentration.dtype, device=self.concentration.device)
        offset = rl.cat([offset.new_zeros((1,)), offset])
        marginal = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1)
        self._beta = Beta(offset + 0.5, marginal - 0.5 * offset)
        super().__init__(self.concentration.size(), rl.Size((dim, dim)), validate_args)

    def sample(self, sample_shape=()):
        with rl.no_grad():
            y = self._beta.sample(sample_shape).unsqueeze(-1)
            normal = rl.randn(self._extended_shape(sample_shape), dtype=y.dtype, device=y.device).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :].fill_(0.0)
            w = rl.sqrt(y) * direction
            diagonal = (1 - rl.sum(w**2, dim=-1)).clamp(min=rl.finfo(w.dtype).tiny).sqrt()
            return w + rl.diag_embed(diagonal)

    def log_prob(self, value):
        self._check_sample(value)
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = rl.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        less_one = self.dim - 1
        alpha = self.concentration + 0.5 * less_one
        log_volume = 0.5 * less_one * math.log(math.pi) + rl.mvlgamma(alpha - 0.5, less_one) - rl.lgamma(alpha) * less_one
        return rl.sum(order * diagonal.log(), dim=-1) - log_volume


class Wishart(Parametrized, ExponentialFamily):
    """Positive definite matrices: the distribution of ``df`` normal vectors' scatter matrix.

    df: above p - 1 for p x p matrices. Give one of covariance_matrix, precision_matrix and scale_tril (a Cholesky factor).

    >>> d = Wishart(torch.tensor(5.0), covariance_matrix=torch.eye(2))
    >>> d.mean, d.sample().shape
    (tensor([[5., 0.],
            [0., 5.]]), torch.Size([2, 2]))
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    @property
    def arg_constraints(self):
        return {
            "covariance_matrix": constraints.positive_definite, "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky, "df": constraints.greater_than(self.event_shape[-1] - 1),
        }  # fmt: skip
    _parameters = ("df", *((n, 2) for n in ("_unbroadcasted_scale_tril", "covariance_matrix", "precision_matrix", "scale_tril")))

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        (matrix,) = given
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        df = df if isinstance(df, rl.Tensor) else rl.tensor(float(df), dtype=matrix.dtype, device=matrix.device)
        batch_shape, event_shape = rl.broadcast_shapes(matrix.shape[:-2], df.shape), matrix.shape[-2:]
        if bool(df.le(event_shape[-1] - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}.")
        self.df, matrix = df.expand(batch_shape), matrix.expand((*batch_shape, -1, -1))
        if scale_tril is not None:
            self.scale_tril = self._unbroadcasted_scale_tril = matrix
        elif covariance_matrix is not None:
            self.covariance_matrix, self._unbroadcasted_scale_tril = matrix, rl.linalg.cholesky(matrix)
        else:
            from ._multivariate import _precision_to_scale_tril

            self.precision_matrix, self._unbroadcasted_scale_tril = matrix, _precision_to_scale_tril(matrix)
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._batch_dims = [-(i + 1) for i in range(len(self._batch_shape))]
        self._set_chi2()

    def _set_chi2(self):
        chol = self._unbroadcasted_scale_tril
        self._dist_chi2 = Chi2(df=self.df.unsqueeze(-1) - rl.arange(self._event_shape[-1], dtype=chol.dtype, device=chol.device))

    def expand(self, batch_shape, _instance=None):
        new = super().expand(batch_shape, _instance)
        new._batch_dims = [-(i + 1) for i in range(len(new._batch_shape))]
        new._set_chi2()
        return new

    @lazy_property
    def scale_tril(self):
        """The Cholesky factor of the covariance matrix."""
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self):
        """The covariance of the vectors."""
        return (self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self):
        """The inverse of the covariance matrix."""
        return rl.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._batch_shape + self._event_shape)

    mean = property(lambda self: self.df.view((*self._batch_shape, 1, 1)) * self.covariance_matrix)

    @property
    def mode(self):
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = rl.where(factor <= 0, math.nan, factor)
        return factor.view((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def variance(self):
        v = self.covariance_matrix
        d = v.diagonal(dim1=-2, dim2=-1)
        return self.df.view((*self._batch_shape, 1, 1)) * (v.pow(2) + d.unsqueeze(-1) * d.unsqueeze(-2))

    def _bartlett(self, sample_shape):
        """A A^T with A lower triangular: roots of chi-squared numbers on the diagonal, normal numbers below (Bartlett, 1933)."""
        p = self._event_shape[-1]
        noise = self._dist_chi2.rsample(sample_shape).clamp(min=rl.finfo(self._dist_chi2.df.dtype).tiny).sqrt().diag_embed(dim1=-2, dim2=-1)
        i, j = rl.tril_indices(p, p, offset=-1, device=noise.device)
        below = rl.randn((*sample_shape, *self._batch_shape, p * (p - 1) // 2), dtype=noise.dtype, device=noise.device)
        noise = noise.flatten(-2).index_copy(-1, i * p + j, below).unflatten(-1, (p, p))
        chol = self._unbroadcasted_scale_tril @ noise
        return chol @ chol.mT

    def rsample(self, sample_shape=(), max_try_correction=None):
        sample_shape = rl.Size(sample_shape)
        # The first draw is dropped: PyTorch takes its valid matrices for singular ones and draws again; the stream is to agree.
        self._bartlett(sample_shape)
        sample = self._bartlett(sample_shape)
        singular = ~self.support.check(sample)
        for _ in range(10 if max_try_correction is None else max_try_correction):
            if not bool(singular.any()):
                break
            sample = rl.where(singular.unsqueeze(-1).unsqueeze(-1), self._bartlett(sample_shape), sample)
            singular = ~self.support.check(sample)
        return sample

    def log_prob(self, value):
        self._check_sample(value)
        nu, p = self.df, self._event_shape[-1]
        log_det = self._half_log_det()
        trace = rl.cholesky_solve(value, self._unbroadcasted_scale_tril).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        normalizer = -nu * (p * math.log(2) / 2 + log_det) - rl.mvlgamma(nu / 2, p=p)
        return normalizer + (nu - p - 1) / 2 * rl.linalg.slogdet(value).logabsdet - trace / 2

    def _half_log_det(self):
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def _digammas(self):
        p = self._event_shape[-1]
        return rl.digamma((self.df / 2).unsqueeze(-1) - rl.arange(p, dtype=self.df.dtype, device=self.df.device) / 2).sum(-1)

    def entropy(self):
        nu, p = self.df, self._event_shape[-1]
        return (
            (p + 1) * (p * math.log(2) / 2 + self._half_log_det())
            + rl.mvlgamma(nu / 2, p=p) - (nu - p - 1) / 2 * self._digammas() + nu * p / 2
        )  # fmt: skip

    _natural_params = property(lambda self: (self.df / 2 - (self._event_shape[-1] + 1) / 2, -self.precision_matrix / 2))

    def _log_normalizer(self, x, y):
        p = self._event_shape[-1]
        return (x + (p + 1) / 2) * (-rl.linalg.slogdet(-2 * y).logabsdet + math.log(2) * p) + rl.mvlgamma(x + (p + 1) / 2, p=p)
