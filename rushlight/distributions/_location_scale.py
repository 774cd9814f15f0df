"""Distributions of real numbers given by a location and a scale."""


import math
from numbers import Number

import rushlight as rl

from . import constraints
from ._composed import TransformedDistribution
from .distribution import Parametrized
from .exp_family import ExponentialFamily
from .transforms import AffineTransform, ExpTransform
from .utils import _standard_normal, broadcast_all, euler_constant

__all__ = ["Cauchy", "Gumbel", "Laplace", "LogNormal", "Normal", "StudentT", "Uniform", "VonMises"]


class _LocScale(Parametrized):
    """Parameters loc and scale of one shape."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    _parameters = ("loc", "scale")
    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)


class Normal(_LocScale, ExponentialFamily):
    """The normal distribution: density ``exp(-((x - loc) / scale)**2 / 2) / (scale sqrt(2 pi))``.

    >>> torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(0.0))
    tensor(-0.9189)
    """

    _mean_carrier_measure = 0
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.scale.pow(2))

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with rl.no_grad():
            return rl.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape=()):
        eps = _standard_normal(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + eps * self.scale

    def log_prob(self, value):
        self._check_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        self._check_sample(value)
        return 0.5 * (1 + rl.erf((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)))

    def icdf(self, value):
        return self.loc + self.scale * rl.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + rl.log(self.scale)

    _natural_params = property(lambda self: (self.loc / self.scale.pow(2), -0.5 * self.scale.pow(2).reciprocal()))

    def _log_normalizer(self, x, y):
        return -0.25 * x.pow(2) / y + 0.5 * rl.log(-math.pi / y)


class Laplace(_LocScale):
    """The Laplace distribution: density ``exp(-|x - loc| / scale) / (2 scale)``.

    >>> d = Laplace(torch.tensor(1.0), torch.tensor(0.5))
    >>> d.log_prob(torch.tensor(1.0)).exp(), d.variance  # 1 / (2 scale), 2 scale**2
    (tensor(1.), tensor(0.5000))
    """

    variance = property(lambda self: 2 * self.scale.pow(2))
    stddev = property(lambda self: 2**0.5 * self.scale)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        u = self.loc.new_empty(shape).uniform_(rl.finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * rl.log1p(-u.abs())

    def log_prob(self, value):
        self._check_sample(value)
        return -rl.log(2 * self.scale) - rl.abs(value - self.loc) / self.scale

    def cdf(self, value):
        self._check_sample(value)
        distance = value - self.loc
        return 0.5 - 0.5 * distance.sign() * rl.expm1(-distance.abs() / self.scale)

    def icdf(self, value):
        term = value - 0.5
        return self.loc - self.scale * term.sign() * rl.log1p(-2 * term.abs())

    def entropy(self):
        return 1 + rl.log(2 * self.scale)


class Cauchy(_LocScale):
    """The Cauchy distribution: density ``1 / (pi scale (1 + ((x - loc) / scale)**2))``. It has neither mean nor variance.

    >>> d = Cauchy(0.0, 2.0)
    >>> d.cdf(torch.tensor([0.0, 2.0])), d.mean
    (tensor([0.5000, 0.7500]), tensor(nan))
    """

    mean = property(lambda self: rl.full(self._extended_shape(), math.nan, dtype=self.loc.dtype, device=self.loc.device))
    variance = property(lambda self: rl.full(self._extended_shape(), math.inf, dtype=self.loc.dtype, device=self.loc.device))

    def rsample(self, sample_shape=()):
        eps = self.loc.new_empty(self._extended_shape(sample_shape)).cauchy_()
        return self.loc + eps * self.scale

    def log_prob(self, value):
        self._check_sample(value)
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value):
        self._check_sample(value)
        return rl.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value):
        return rl.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()


class Uniform(Parametrized):
    """The uniform distribution on [low, high).

    >>> d = Uniform(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 4.0]))
    >>> d.mean, d.log_prob(torch.tensor([0.5, 0.5])).exp()
    (tensor([0.5000, 2.0000]), tensor([1.0000, 0.2500]))
    >>> Uniform(0.0, 1.0, validate_args=False).log_prob(torch.tensor(2.0))  # ValueError otherwise
    tensor(-inf)
    """

    has_rsample = True
    _parameters = ("low", "high")

    @property
    def arg_constraints(self):
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.size(), validate_args=validate_args)
        if self._validate_args and not bool(rl.lt(self.low, self.high).all()):
            raise ValueError("Uniform is not defined when low>= high")

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        """The interval."""
        return constraints.interval(self.low, self.high)

    mean = property(lambda self: (self.high + self.low) / 2)
    mode = property(lambda self: math.nan * self.high)
    stddev = property(lambda self: (self.high - self.low) / 12**0.5)
    variance = property(lambda self: (self.high - self.low).pow(2) / 12)

    def rsample(self, sample_shape=()):
        u = rl.rand(self._extended_shape(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value):
        self._check_sample(value)
        inside = self.low.le(value).type_as(self.low) * self.high.gt(value).type_as(self.low)
        return rl.log(inside) - rl.log(self.high - self.low)

    def cdf(self, value):
        self._check_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value):
        return value * (self.high - self.low) + self.low

    def entropy(self):
        return rl.log(self.high - self.low)


class StudentT(Parametrized):
    """Student's t distribution with ``df`` degrees of freedom, moved by loc and stretched by scale.

    >>> d = StudentT(torch.tensor([1.0, 4.0]))
    >>> d.mean, d.variance  # df / (df - 2) above 2
    (tensor([nan, 0.]), tensor([nan, 2.]))
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.real
    has_rsample = True
    _parameters = ("df", "loc", "scale")

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.size(), validate_args=validate_args)

    @property
    def _chi2(self):
        from ._positive import Chi2

        return Chi2(self.df)

    mean = property(lambda self: self.loc.clone().masked_fill(self.df <= 1, math.nan))
    mode = property(lambda self: self.loc)

    @property
    def variance(self):
        m = self.scale.pow(2) * self.df / (self.df - 2)
        return rl.where(self.df > 2, m, rl.where(self.df > 1, math.inf, math.nan).type_as(m))

    def rsample(self, sample_shape=()):
        x = _standard_normal(self._extended_shape(sample_shape), dtype=self.df.dtype, device=self.df.device)
        z = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (x * rl.rsqrt(z / self.df))

    def log_prob(self, value):
        self._check_sample(value)
        y = (value - self.loc) / self.scale
        z = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + (0.5 * self.df).lgamma() - (0.5 * (self.df + 1)).lgamma()
        return -0.5 * (self.df + 1) * rl.log1p(y**2 / self.df) - z

    def entropy(self):
        half = 0.5 * self.df
        log_beta = half.lgamma() + math.lgamma(0.5) - (half + 0.5).lgamma()
        return self.scale.log() + (half + 0.5) * ((half + 0.5).digamma() - half.digamma()) + 0.5 * self.df.log() + log_beta


class LogNormal(TransformedDistribution):
    """The distribution of exp(x) for x normal with mean loc and standard deviation scale.

    >>> d = LogNormal(torch.tensor(0.0), torch.tensor(1.0))
    >>> d.mean, d.mode  # exp(1 / 2), exp(-1)
    (tensor(1.6487), tensor(0.3679))
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        super().__init__(Normal(loc, scale, validate_args=validate_args), ExpTransform(), validate_args=validate_args)

    @property
    def loc(self):
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self):
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    mean = property(lambda self: (self.loc + self.scale.pow(2) / 2).exp())
    mode = property(lambda self: (self.loc - self.scale.square()).exp())

    @property
    def variance(self):
        square = self.scale.pow(2)
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self):
        return self.base_dist.entropy() + self.loc


class Gumbel(TransformedDistribution):
    """Gumbel's distribution of maxima: ``cdf(x) = exp(-exp(-(x - loc) / scale))``.

    >>> d = Gumbel(0.0, 1.0)
    >>> d.cdf(torch.tensor(0.0)), d.mean  # exp(-1), Euler's constant
    (tensor(0.3679), tensor(0.5772))
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.real
    _parameters = ("loc", "scale")

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = broadcast_all(loc, scale)
        limits = rl.finfo(self.loc.dtype)
        if isinstance(loc, Number) and isinstance(scale, Number):
            base = Uniform(limits.tiny, 1 - limits.eps, validate_args=validate_args)
        else:
            base = Uniform(rl.full_like(self.loc, limits.tiny), rl.full_like(self.loc, 1 - limits.eps), validate_args=validate_args)
        steps = [ExpTransform().inv, AffineTransform(0, -rl.ones_like(self.scale)), ExpTransform().inv, AffineTransform(loc, -self.scale)]
        super().__init__(base, steps, validate_args=validate_args)

    def log_prob(self, value):
        self._check_sample(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    mean = property(lambda self: self.loc + self.scale * euler_constant)
    mode = property(lambda self: self.loc)
    stddev = property(lambda self: math.pi / math.sqrt(6) * self.scale)
    variance = property(lambda self: self.stddev.pow(2))

    def entropy(self):
        return self.scale.log() + (1 + euler_constant)


class VonMises(Parametrized):
    """The normal distribution's counterpart on the circle: density ``exp(concentration cos(x - loc)) / (2 pi I0(concentration))``.

    >>> d = VonMises(torch.tensor(0.0), torch.tensor(4.0))
    >>> d.mean, d.log_prob(torch.tensor([0.0, 1.0])).exp()
    (tensor(0.), tensor([0.7689, 0.1223]))
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}  # noqa: RUF012
    support = constraints.real
    has_rsample = False
    _parameters = ("loc", "concentration")

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value):
        self._check_sample(value)
        k = self.concentration
        return k * rl.cos(value - self.loc) - math.log(2 * math.pi) - rl.log(rl.i0(k))

    def sample(self, sample_shape=()):
        """By rejection from a wrapped Cauchy distribution (Best and Fisher, 1979), in float64."""
        shape = self._extended_shape(sample_shape)
        with rl.no_grad():
            k, r = self.concentration.double(), self._proposal()
            x = rl.empty(shape, dtype=rl.double, device=self.loc.device)
            k, r = k.expand(shape), r.expand(shape)
            done = rl.zeros(shape, dtype=rl.bool, device=self.loc.device)
            while not bool(done.all()):
                u1, u2, u3 = rl.rand((3, *shape), dtype=rl.double, device=self.loc.device).unbind()
                z = rl.cos(math.pi * u1)
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accept = ((c * (2 - c) - u2) > 0) | ((c / u2).log() + 1 - c >= 0)
                if bool(accept.any()):
                    x = rl.where(accept, (u3 - 0.5).sign() * f.acos(), x)
                    done = done | accept
            return ((x + math.pi + self.loc.double()) % (2 * math.pi) - math.pi).to(self.loc.dtype)

    def _proposal(self):
        """The parameter of the wrapped Cauchy distribution that covers the density best."""
        k = self.concentration.double()
        tau = 1 + (1 + 4 * k**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        return rl.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))

    mean = property(lambda self: self.loc)
    mode = property(lambda self: self.loc)

    @property
    def variance(self):
        """The circular variance: ``1 - I1(k) / I0(k)``."""
        return 1 - rl.special.i1e(self.concentration) / rl.special.i0e(self.concentration)
