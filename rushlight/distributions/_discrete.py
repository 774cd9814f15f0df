"""Distributions of counts, and of yes or no."""


import math

import rushlight as rl

from ..nn.functional import binary_cross_entropy_with_logits
from . import constraints
from .distribution import Parametrized, ProbsOrLogits
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs

__all__ = ["Bernoulli", "Binomial", "ContinuousBernoulli", "Geometric", "NegativeBinomial", "Poisson"]

_PROBS_OR_LOGITS = {"probs": constraints.unit_interval, "logits": constraints.real}


class _Trials(ProbsOrLogits):
    """Given by the probability of success, or its log odds."""

    arg_constraints = _PROBS_OR_LOGITS

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._take(probs, logits)
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
        else:
            (self.logits,) = broadcast_all(logits)
        super().__init__(self._param.size(), validate_args=validate_args)


class Bernoulli(_Trials, ExponentialFamily):
    """One with probability ``probs``, else zero; ``logits`` = log(probs / (1 - probs)) instead.

    >>> coin = Bernoulli(probs=torch.tensor([0.25, 1.0]))
    >>> coin.mean, coin.variance
    (tensor([0.2500, 1.0000]), tensor([0.1875, 0.0000]))
    >>> coin.log_prob(torch.tensor([1.0, 1.0])).exp()
    tensor([0.2500, 1.0000])
    >>> coin.sample((1000,)).shape, coin.sample().unique()[-1]
    (torch.Size([1000, 2]), tensor(1.))
    """

    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0
    mean = property(lambda self: self.probs)

    @property
    def mode(self):
        mode = (self.probs >= 0.5).to(self.probs)
        return mode.masked_fill(self.probs == 0.5, math.nan)

    variance = property(lambda self: self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        with rl.no_grad():
            return rl.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._check_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        values = rl.arange(2, dtype=self._param.dtype, device=self._param.device).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values

    _natural_params = property(lambda self: (rl.logit(self.probs),))

    def _log_normalizer(self, x):
        return rl.log(1 + rl.exp(x))


class Geometric(_Trials):
    """How many trials, each a success with probability ``probs``, fail before the first success.

    >>> d = Geometric(torch.tensor(0.25))
    >>> d.mean, d.log_prob(torch.tensor([0.0, 1.0])).exp()  # 1 / 4, 3 / 4 * 1 / 4
    (tensor(3.), tensor([0.2500, 0.1875]))
    """

    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(probs, logits, validate_args)
        if self._validate_args and probs is not None:
            valid = self.probs > 0
            if not bool(valid.all()):
                raise ValueError(
                    f"Expected parameter probs ({type(self.probs).__name__} of shape {tuple(self.probs.shape)}) of distribution {self!r} "
                    f"to be positive but found invalid values:\n{self.probs[~valid]}"
                )

    mean = property(lambda self: 1.0 / self.probs - 1.0)
    mode = property(lambda self: rl.zeros_like(self.probs))
    variance = property(lambda self: (1.0 / self.probs - 1.0) / self.probs)

    def sample(self, sample_shape=()):
        with rl.no_grad():
            u = self.probs.new_empty(self._extended_shape(sample_shape)).uniform_(rl.finfo(self.probs.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value):
        self._check_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self):
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class ContinuousBernoulli(_Trials, ExponentialFamily):
    """Density proportional to ``probs**x (1 - probs)**(1 - x)`` on [0, 1]. Near probs = 1/2 (between ``lims``) a Taylor series is used.

    >>> d = ContinuousBernoulli(probs=torch.tensor([0.2, 0.5]))
    >>> d.log_prob(torch.tensor(0.3)).exp(), d.mean
    (tensor([1.2195, 1.0000]), tensor([0.3880, 0.5000]))
    """

    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _kept = ("_lims",)

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        self._lims = lims
        super().__init__(probs, logits, validate_args)
        if probs is not None:
            if validate_args is not None and not bool(self.arg_constraints["probs"].check(self.probs).all()):
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)

    def _outside(self):
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self):
        """The probabilities, those near 1/2 replaced so that the closed forms are finite."""
        return rl.where(self._outside(), self.probs, self._lims[0] * rl.ones_like(self.probs))

    def _cont_bern_log_norm(self):
        p = self._cut()
        below = rl.where(p <= 0.5, p, rl.zeros_like(p))
        above = rl.where(p >= 0.5, p, rl.ones_like(p))
        closed = rl.log(rl.abs(rl.log1p(-p) - rl.log(p))) - rl.where(p <= 0.5, rl.log1p(-2.0 * below), rl.log(2.0 * above - 1.0))
        x = (self.probs - 0.5) ** 2
        return rl.where(self._outside(), closed, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self):
        p = self._cut()
        x = self.probs - 0.5
        series = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x**2) * x
        return rl.where(self._outside(), p / (2.0 * p - 1.0) + 1.0 / (rl.log1p(-p) - rl.log(p)), series)

    stddev = property(lambda self: rl.sqrt(self.variance))

    @property
    def variance(self):
        p = self._cut()
        x = (self.probs - 0.5) ** 2
        closed = p * (p - 1.0) / (1.0 - 2.0 * p) ** 2 + 1.0 / (rl.log1p(-p) - rl.log(p)) ** 2
        return rl.where(self._outside(), closed, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def sample(self, sample_shape=()):
        with rl.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.icdf(rl.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value):
        self._check_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._cont_bern_log_norm()

    def cdf(self, value):
        self._check_sample(value)
        p = self._cut()
        closed = (rl.pow(p, value) * rl.pow(1.0 - p, 1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = rl.where(self._outside(), closed, value)
        return rl.where(value <= 0.0, rl.zeros_like(value), rl.where(value >= 1.0, rl.ones_like(value), inside))

    def icdf(self, value):
        p = self._cut()
        closed = (rl.log1p(-p + value * (2.0 * p - 1.0)) - rl.log1p(-p)) / (rl.log(p) - rl.log1p(-p))
        return rl.where(self._outside(), closed, value)

    def entropy(self):
        log_p, log_q = rl.log(self.probs), rl.log1p(-self.probs)
        return self.mean * (log_q - log_p) - self._cont_bern_log_norm() - log_q

    _natural_params = property(lambda self: (self.logits,))

    def _log_normalizer(self, x):
        outside = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = rl.where(outside, x, (self._lims[0] - 0.5) * rl.ones_like(x))
        closed = rl.log(rl.abs(rl.special.expm1(cut))) - rl.log(rl.abs(cut))
        return rl.where(outside, closed, 0.5 * x + rl.pow(x, 2) / 24.0 - rl.pow(x, 4) / 2880.0)


class _Counted(ProbsOrLogits):
    """A number of trials and the probability of success in each."""

    _parameters = ("total_count", "probs", "logits")

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        self._take(probs, logits)
        if probs is not None:
            self.total_count, self.probs = broadcast_all(total_count, probs)
        else:
            self.total_count, self.logits = broadcast_all(total_count, logits)
        self.total_count = self.total_count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)


class Binomial(_Counted):
    """How many of ``total_count`` trials succeed, each with probability ``probs``.

    >>> d = Binomial(total_count=4, probs=torch.tensor(0.5))
    >>> d.mean, d.log_prob(torch.tensor(2.0)).exp()  # 6 / 16
    (tensor(2.), tensor(0.3750))
    """

    arg_constraints = {"total_count": constraints.nonnegative_integer, **_PROBS_OR_LOGITS}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        super().__init__(total_count, probs, logits, validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """The integers from 0 to total_count."""
        return constraints.integer_interval(0, self.total_count)

    mean = property(lambda self: self.total_count * self.probs)
    mode = property(lambda self: ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count))
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with rl.no_grad():
            return rl.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value):
        self._check_sample(value)
        n = self.total_count
        choices = rl.lgamma(n + 1) - rl.lgamma(value + 1) - rl.lgamma(n - value + 1)
        # value * logits - n * log(1 + exp(logits)), without overflow
        normalizer = n * (self.logits.clamp(min=0) + rl.log1p(rl.exp(-rl.abs(self.logits))))
        return choices + value * self.logits - normalizer

    def entropy(self):
        if int(self.total_count.max()) != int(self.total_count.min()):
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(rl.exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand=True):
        total = int(self.total_count.max())
        if int(self.total_count.min()) != total:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = rl.arange(1 + total, dtype=self._param.dtype, device=self._param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class NegativeBinomial(_Counted):
    """How many trials, each a success with probability ``probs``, succeed before ``total_count`` of them fail.

    >>> d = NegativeBinomial(torch.tensor(3.0), probs=torch.tensor(0.5))
    >>> d.mean, d.log_prob(torch.tensor(0.0)).exp()  # 3, 1 / 8
    (tensor(3.), tensor(0.1250))
    """

    arg_constraints = {  # noqa: RUF012
        "total_count": constraints.greater_than_eq(0), "probs": constraints.half_open_interval(0.0, 1.0), "logits": constraints.real,
    }  # fmt: skip
    support = constraints.nonnegative_integer
    mean = property(lambda self: self.total_count * rl.exp(self.logits))
    mode = property(lambda self: ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0))
    variance = property(lambda self: self.mean / rl.sigmoid(-self.logits))

    def sample(self, sample_shape=()):
        from ._positive import Gamma

        with rl.no_grad():
            return rl.poisson(Gamma(self.total_count, rl.exp(-self.logits), validate_args=False).sample(sample_shape))

    def log_prob(self, value):
        self._check_sample(value)
        n, logsigmoid = self.total_count, rl.nn.functional.logsigmoid
        unnormalized = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        normalizer = -rl.lgamma(n + value) + rl.lgamma(1.0 + value) + rl.lgamma(n)
        return unnormalized - normalizer.masked_fill(n + value == 0.0, 0.0)


class Poisson(Parametrized, ExponentialFamily):
    """Counts: probability ``rate**k exp(-rate) / k!``.

    >>> d = Poisson(torch.tensor(4.0))
    >>> d.mean, d.variance, d.log_prob(torch.tensor(0.0))
    (tensor(4.), tensor(4.), tensor(-4.))
    """

    arg_constraints = {"rate": constraints.nonnegative}  # noqa: RUF012
    support = constraints.nonnegative_integer
    _parameters = ("rate",)

    def __init__(self, rate, validate_args=None):
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    mean = property(lambda self: self.rate)
    mode = property(lambda self: self.rate.floor())
    variance = property(lambda self: self.rate)

    def sample(self, sample_shape=()):
        with rl.no_grad():
            return rl.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value):
        self._check_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return rl.xlogy(value, rate) - rate - (value + 1).lgamma()

    _natural_params = property(lambda self: (rl.log(self.rate),))

    def _log_normalizer(self, x):
        return rl.exp(x)
