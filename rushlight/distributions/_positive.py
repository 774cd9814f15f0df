"""Distributions of positive numbers."""


import math

import rushlight as rl

from . import constraints
from ._composed import TransformedDistribution
from ._location_scale import Cauchy, Normal, Uniform
from .distribution import Parametrized
from .exp_family import ExponentialFamily
from .transforms import AbsTransform, AffineTransform, ExpTransform, PowerTransform
from .utils import broadcast_all, euler_constant

__all__ = [
    "Chi2", "Exponential", "FisherSnedecor", "Gamma", "GeneralizedPareto", "HalfCauchy", "HalfNormal", "InverseGamma", "Kumaraswamy",
    "Pareto", "Weibull",
]  # fmt: skip


class Exponential(Parametrized, ExponentialFamily):
    """The exponential distribution: density ``rate exp(-rate x)``.

    >>> d = Exponential(torch.tensor(4.0))
    >>> d.mean, d.cdf(torch.tensor(0.25)), d.icdf(torch.tensor(0.5))
    (tensor(0.2500), tensor(0.6321), tensor(0.1733))
    """

    arg_constraints = {"rate": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True
    _parameters = ("rate",)
    _mean_carrier_measure = 0

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    mean = property(lambda self: self.rate.reciprocal())
    mode = property(lambda self: rl.zeros_like(self.rate))
    stddev = property(lambda self: self.rate.reciprocal())
    variance = property(lambda self: self.rate.pow(-2))

    def rsample(self, sample_shape=()):
        return self.rate.new_empty(self._extended_shape(sample_shape)).exponential_() / self.rate

    def log_prob(self, value):
        self._check_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value):
        self._check_sample(value)
        return 1 - rl.exp(-self.rate * value)

    def icdf(self, value):
        return -rl.log1p(-value) / self.rate

    def entropy(self):
        return 1.0 - rl.log(self.rate)

    _natural_params = property(lambda self: (-self.rate,))

    def _log_normalizer(self, x):
        return -rl.log(-x)


class Gamma(Parametrized, ExponentialFamily):
    """The gamma distribution: density ``rate**a x**(a - 1) exp(-rate x) / Gamma(a)`` with ``a = concentration``.

    >>> d = Gamma(torch.tensor(3.0), torch.tensor(2.0))
    >>> d.mean, d.variance
    (tensor(1.5000), tensor(0.7500))
    >>> rate = torch.tensor(2.0, requires_grad=True)
    >>> Gamma(3.0, rate).rsample().backward()  # samples have gradients
    >>> bool(rate.grad < 0)
    True
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True
    _parameters = ("concentration", "rate")
    _mean_carrier_measure = 0

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.size(), validate_args=validate_args)

    mean = property(lambda self: self.concentration / self.rate)
    mode = property(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0))
    variance = property(lambda self: self.concentration / self.rate.pow(2))

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        value = rl._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        value.detach().clamp_(min=rl.finfo(value.dtype).tiny)  # the value, not its gradient
        return value

    def log_prob(self, value):
        value = rl.as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        self._check_sample(value)
        a = self.concentration
        return rl.xlogy(a, self.rate) + rl.xlogy(a - 1, value) - self.rate * value - rl.lgamma(a)

    def entropy(self):
        a = self.concentration
        return a - rl.log(self.rate) + rl.lgamma(a) + (1.0 - a) * rl.digamma(a)

    _natural_params = property(lambda self: (self.concentration - 1, -self.rate))

    def _log_normalizer(self, x, y):
        return rl.lgamma(x + 1) + (x + 1) * rl.log(-y.reciprocal())

    def cdf(self, value):
        self._check_sample(value)
        return rl.special.gammainc(self.concentration, self.rate * value)


class Chi2(Gamma):
    """The distribution of the sum of ``df`` squared standard normal numbers.

    >>> d = Chi2(torch.tensor([1.0, 6.0]))
    >>> d.mean, d.variance
    (tensor([1., 6.]), tensor([ 2., 12.]))
    """

    arg_constraints = {"df": constraints.positive}  # noqa: RUF012

    def __init__(self, df, validate_args=None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self):
        """The degrees of freedom."""
        return self.concentration * 2


class InverseGamma(TransformedDistribution):
    """The distribution of 1 / x for x of a gamma distribution.

    >>> InverseGamma(torch.tensor(3.0), torch.tensor(4.0)).mean  # 4 / (3 - 1)
    tensor(2.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(rl.tensor(-1.0, dtype=base.rate.dtype, device=base.rate.device)), validate_args=validate_args)

    @property
    def concentration(self):
        """The shape of the gamma distribution."""
        return self.base_dist.concentration

    @property
    def rate(self):
        """The rate of the gamma distribution."""
        return self.base_dist.rate

    @property
    def mean(self):
        result = self.rate / (self.concentration - 1)
        return rl.where(self.concentration > 1, result, math.inf)

    mode = property(lambda self: self.rate / (self.concentration + 1))

    @property
    def variance(self):
        result = self.rate.square() / ((self.concentration - 1).square() * (self.concentration - 2))
        return rl.where(self.concentration > 2, result, math.inf)

    def entropy(self):
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


class FisherSnedecor(Parametrized):
    """The F distribution: the ratio of two chi-squared numbers, each divided by its degrees of freedom.

    >>> d = FisherSnedecor(torch.tensor(3.0), torch.tensor(6.0))
    >>> d.mean  # 6 / (6 - 2)
    tensor(1.5000)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    has_rsample = True
    _parameters = ("df1", "df2")

    def __init__(self, df1, df2, validate_args=None):
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.size(), validate_args=validate_args)

    mean = property(lambda self: self.df2 / (self.df2 - 2) + rl.where(self.df2 <= 2, math.nan, 0.0).type_as(self.df2))

    @property
    def mode(self):
        value = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return rl.where(self.df1 <= 2, math.nan, value)

    @property
    def variance(self):
        a, b = self.df1, self.df2
        return rl.where(b <= 4, math.nan, 2 * b.pow(2) * (a + b - 2) / (a * (b - 2).pow(2) * (b - 4)))

    def rsample(self, sample_shape=()):
        shape, tiny = self._extended_shape(sample_shape), rl.finfo(self.df2.dtype).tiny
        x1 = Gamma(self.df1 * 0.5, self.df1).rsample(sample_shape).view(shape)
        x2 = Gamma(self.df2 * 0.5, self.df2).rsample(sample_shape).view(shape)
        return (x1 / x2.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value):
        self._check_sample(value)
        a, b = self.df1 * 0.5, self.df2 * 0.5
        ratio = self.df1 / self.df2
        log_beta = a.lgamma() + b.lgamma() - (a + b).lgamma()
        return a * ratio.log() + (a - 1) * value.log() - (a + b) * rl.log1p(ratio * value) - log_beta


class _Half(TransformedDistribution):
    """The distribution of |x| for x of ``_base``, symmetric about zero, with the given scale."""

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        super().__init__(self._base(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    @property
    def scale(self):
        """The scale of x."""
        return self.base_dist.scale

    mode = property(lambda self: rl.zeros_like(self.scale))

    def log_prob(self, value):
        value = rl.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        self._check_sample(value)
        return rl.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value):
        self._check_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob):
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self):
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Half):
    """The distribution of |x| for x normal with mean zero and standard deviation scale.

    >>> HalfNormal(1.0).mean  # sqrt(2 / pi)
    tensor(0.7979)
    """

    _base = Normal
    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi))
    variance = property(lambda self: self.scale.pow(2) * (1 - 2 / math.pi))


class HalfCauchy(_Half):
    """The distribution of |x| for x of a Cauchy distribution at zero.

    >>> HalfCauchy(2.0).cdf(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 0.5000])
    """

    _base = Cauchy
    mean = property(lambda self: rl.full(self._extended_shape(), math.inf, dtype=self.scale.dtype, device=self.scale.device))
    variance = property(lambda self: self.base_dist.variance)


class Weibull(TransformedDistribution):
    """Weibull's distribution: ``cdf(x) = 1 - exp(-(x / scale)**concentration)``.

    >>> d = Weibull(torch.tensor(2.0), torch.tensor(1.0))  # with 1 the exponential distribution
    >>> d.mean, d.cdf(torch.tensor(2.0))
    (tensor(2.), tensor(0.6321))
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    _parameters = ("scale", "concentration", "concentration_reciprocal")

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(rl.ones_like(self.scale), validate_args=validate_args)
        steps = [PowerTransform(exponent=self.concentration_reciprocal), AffineTransform(loc=0, scale=self.scale)]
        super().__init__(base, steps, validate_args=validate_args)

    mean = property(lambda self: self.scale * rl.exp(rl.lgamma(1 + self.concentration_reciprocal)))

    @property
    def mode(self):
        k = self.concentration
        return self.scale * ((k - 1) / k) ** k.reciprocal()

    @property
    def variance(self):
        r = self.concentration_reciprocal
        return self.scale.pow(2) * (rl.exp(rl.lgamma(1 + 2 * r)) - rl.exp(2 * rl.lgamma(1 + r)))

    def entropy(self):
        r = self.concentration_reciprocal
        return euler_constant * (1 - r) + rl.log(self.scale * r) + 1


class Pareto(TransformedDistribution):
    """Pareto's distribution: ``cdf(x) = 1 - (scale / x)**alpha`` from ``scale`` on.

    >>> d = Pareto(torch.tensor(1.0), torch.tensor(2.0))
    >>> d.cdf(torch.tensor(2.0)), d.mean
    (tensor(0.7500), tensor(2.))
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}  # noqa: RUF012
    _parameters = ("scale", "alpha")

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(loc=0, scale=self.scale)], validate_args=validate_args)

    @property
    def mean(self):
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    mode = property(lambda self: self.scale)

    @property
    def variance(self):
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """The numbers from scale on."""
        return constraints.greater_than_eq(self.scale)

    def entropy(self):
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class GeneralizedPareto(Parametrized):
    """The generalised Pareto distribution: ``cdf(x) = 1 - (1 + c z)**(-1 / c)``, z = (x - loc) / scale, c = concentration.

    >>> d = GeneralizedPareto(loc=0.0, scale=2.0, concentration=0.5)
    >>> d.cdf(torch.tensor(4.0)), d.mean  # 1 - 2**-2, 2 / (1 - 0.5)
    (tensor(0.7500), tensor(4.))
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}  # noqa: RUF012
    has_rsample = True
    _parameters = ("loc", "scale", "concentration")

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def _split(self):
        """(is the concentration near zero, the concentration with 1 in place of those)."""
        zero = rl.isclose(self.concentration, rl.zeros_like(self.concentration))
        return zero, rl.where(zero, rl.ones_like(self.concentration), self.concentration)

    def rsample(self, sample_shape=()):
        return self.icdf(rl.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value):
        self._check_sample(value)
        z = (value - self.loc) / self.scale
        zero, c = self._split()
        return rl.where(zero, -z, -(1 / c + rl.ones_like(z)) * rl.log1p(c * z)) - rl.log(self.scale)

    def _log_survival(self, value):
        z = (value - self.loc) / self.scale
        zero, c = self._split()
        return rl.where(zero, -z, -rl.log1p(c * z) / c)

    def log_survival_function(self, value):
        """log(1 - cdf(value))."""
        return self._log_survival(value)

    def log_cdf(self, value):
        """log(cdf(value))."""
        return rl.log1p(-rl.exp(self._log_survival(value)))

    def cdf(self, value):
        self._check_sample(value)
        return 1 - rl.exp(self._log_survival(value))

    def icdf(self, value):
        zero, c = self._split()
        log_survival = rl.log1p(-value)
        return self.loc + self.scale * rl.where(zero, -log_survival, rl.expm1(-c * log_survival) / c)

    @property
    def mean(self):
        c = self.concentration
        bounded = c < 1
        return rl.where(bounded, self.loc + self.scale / (1 - rl.where(bounded, c, 0.5)), math.inf)

    @property
    def variance(self):
        c = self.concentration
        bounded = c < 0.5
        inner = rl.where(bounded, c, 0.25)
        return rl.where(bounded, self.scale**2 / ((1 - inner) ** 2 * (1 - 2 * inner)), math.inf)

    def entropy(self):
        return (rl.log(self.scale) + self.concentration + 1).expand(self._batch_shape)

    mode = property(lambda self: self.loc)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """From loc on; up to ``loc - scale / concentration`` where the concentration is negative."""
        upper = rl.where(self.concentration < 0, self.loc - self.scale / self.concentration, math.inf)
        return constraints.interval(self.loc, upper)


class Kumaraswamy(TransformedDistribution):
    """Kumaraswamy's distribution on (0, 1): ``cdf(x) = 1 - (1 - x**a)**b`` with a = concentration1, b = concentration0.

    >>> d = Kumaraswamy(torch.tensor(1.0), torch.tensor(3.0))
    >>> d.cdf(torch.tensor(0.5)), d.mean
    (tensor(0.8750), tensor(0.2500))
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}  # noqa: RUF012
    support = constraints.unit_interval
    has_rsample = True
    _parameters = ("concentration1", "concentration0")

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(rl.full_like(self.concentration0, 0), rl.full_like(self.concentration0, 1), validate_args=validate_args)
        steps = [
            PowerTransform(exponent=self.concentration0.reciprocal()),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=self.concentration1.reciprocal()),
        ]
        super().__init__(base, steps, validate_args=validate_args)

    def _moment(self, n):
        """E[x**n] = b B(1 + n / a, b)."""
        a, b = self.concentration1, self.concentration0
        first = 1 + n / a
        return rl.exp(b.log() + first.lgamma() + b.lgamma() - (first + b).lgamma())

    mean = property(lambda self: self._moment(1))

    @property
    def mode(self):
        a, b = self.concentration1, self.concentration0
        value = ((a - 1) / (a * b - 1)).pow(a.reciprocal())
        return rl.where((a < 1) | (b < 1), math.nan, value)

    variance = property(lambda self: self._moment(2) - self.mean.pow(2))

    def entropy(self):
        t1, t0 = 1 - self.concentration1.reciprocal(), 1 - self.concentration0.reciprocal()
        harmonic = rl.digamma(self.concentration0 + 1) + euler_constant
        return t0 + t1 * harmonic - rl.log(self.concentration1) - rl.log(self.concentration0)
