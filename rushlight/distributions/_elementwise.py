"""Transforms of single numbers."""

import math
from numbers import Number

import rushlight as rl

from ..nn.functional import softplus
from . import constraints
from .transforms import Transform, _Plain
from .utils import _sum_rightmost


class ExpTransform(_Plain):
    """y = exp(x): the real line to the positive numbers.

    >>> t = ExpTransform()
    >>> t(torch.tensor([0.0, 1.0])), t.inv(torch.tensor(1.0)), t.codomain
    (tensor([1.0000, 2.7183]), tensor(0.), GreaterThan(lower_bound=0.0))
    """

    domain, codomain, bijective, sign = constraints.real, constraints.positive, True, 1

    def _call(self, x):
        return x.exp()

    def _inverse(self, y):
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        return x


class PowerTransform(Transform):
    """y = x ** exponent, for positive x.

    >>> t = PowerTransform(torch.tensor(2.0))
    >>> t(torch.tensor(3.0)), t.inv(torch.tensor(9.0))
    (tensor(9.), tensor(3.))
    """

    domain, codomain, bijective = constraints.positive, constraints.positive, True

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.exponent = exponent if isinstance(exponent, rl.Tensor) else rl.tensor(float(exponent))

    @property
    def sign(self):
        return self.exponent.sign()

    def with_cache(self, cache_size=1):
        return self if self._cache_size == cache_size else PowerTransform(self.exponent, cache_size=cache_size)

    def __eq__(self, other):
        return isinstance(other, PowerTransform) and bool((self.exponent == other.exponent).all())

    __hash__ = Transform.__hash__

    def _call(self, x):
        return x.pow(self.exponent)

    def _inverse(self, y):
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape):
        return rl.broadcast_shapes(shape, self.exponent.shape)

    inverse_shape = forward_shape


def _clipped_sigmoid(x):
    limits = rl.finfo(x.dtype)
    return rl.sigmoid(x).clamp(min=limits.tiny, max=1.0 - limits.eps)


class SigmoidTransform(_Plain):
    """y = 1 / (1 + exp(-x)): the real line to (0, 1).

    >>> t = SigmoidTransform()
    >>> t(torch.tensor(0.0)), t.inv(torch.tensor(0.5))
    (tensor(0.5000), tensor(0.))
    """

    domain, codomain, bijective, sign = constraints.real, constraints.unit_interval, True, 1

    def _call(self, x):
        return _clipped_sigmoid(x)

    def _inverse(self, y):
        limits = rl.finfo(y.dtype)
        y = y.clamp(min=limits.tiny, max=1.0 - limits.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x, y):
        return -softplus(-x) - softplus(x)


class SoftplusTransform(_Plain):
    """y = log(1 + exp(x)): the real line to the positive numbers.

    >>> SoftplusTransform()(torch.tensor([0.0, 10.0]))
    tensor([ 0.6931, 10.0000])
    """

    domain, codomain, bijective, sign = constraints.real, constraints.positive, True, 1

    def _call(self, x):
        return softplus(x)

    def _inverse(self, y):
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        return -softplus(-x)


class TanhTransform(_Plain):
    """y = tanh(x): the real line to (-1, 1).

    >>> t = TanhTransform()
    >>> t(torch.tensor(1.0)), t.inv(t(torch.tensor(1.0)))
    (tensor(0.7616), tensor(1.))
    """

    domain, codomain, bijective, sign = constraints.real, constraints.interval(-1.0, 1.0), True, 1

    def _call(self, x):
        return x.tanh()

    def _inverse(self, y):
        return rl.atanh(y)

    def log_abs_det_jacobian(self, x, y):
        # log(1 - tanh(x)**2) without the cancellation at large x
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(_Plain):
    """y = |x|: not invertible; the inverse gives the positive x.

    >>> t = AbsTransform()
    >>> t(torch.tensor([-2.0, 3.0])), t.bijective
    (tensor([2., 3.]), False)
    """

    domain, codomain = constraints.real, constraints.positive

    def _call(self, x):
        return x.abs()

    def _inverse(self, y):
        return y


class AffineTransform(Transform):
    """y = loc + scale * x. event_dim: how many of the last dimensions make one value.

    >>> t = AffineTransform(loc=1.0, scale=10.0)
    >>> t(torch.tensor([0.5])), t.inv(torch.tensor([6.0]))
    (tensor([6.]), tensor([0.5000]))
    >>> t.log_abs_det_jacobian(torch.tensor([0.5]), t(torch.tensor([0.5])))  # log(10)
    tensor([2.3026])
    """

    bijective = True

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    @property
    def event_dim(self):
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self):
        """The set of x."""
        return constraints.real if self.event_dim == 0 else constraints.independent(constraints.real, self.event_dim)

    codomain = domain

    def with_cache(self, cache_size=1):
        return self if self._cache_size == cache_size else AffineTransform(self.loc, self.scale, self.event_dim, cache_size=cache_size)

    def __eq__(self, other):
        return isinstance(other, AffineTransform) and _equal(self.loc, other.loc) and _equal(self.scale, other.scale)

    __hash__ = Transform.__hash__

    @property
    def sign(self):
        if isinstance(self.scale, Number):
            return (self.scale > 0) - (self.scale < 0)
        return self.scale.sign()

    def _call(self, x):
        return self.loc + self.scale * x

    def _inverse(self, y):
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        slope = self.scale
        logs = rl.full_like(x, math.log(abs(slope))) if isinstance(slope, Number) else rl.abs(slope).log()
        if self.event_dim:
            logs = _sum_rightmost(logs.expand(x.shape), self.event_dim)
        return logs.expand(x.shape[: x.dim() - self.event_dim])

    def forward_shape(self, shape):
        return rl.broadcast_shapes(shape, getattr(self.loc, "shape", ()), getattr(self.scale, "shape", ()))

    inverse_shape = forward_shape


def _equal(a, b):
    same = a == b
    return bool(same.all()) if isinstance(same, rl.Tensor) else same


class CumulativeDistributionTransform(Transform):
    """y = distribution.cdf(x): numbers of that distribution become uniform in [0, 1].

    >>> t = CumulativeDistributionTransform(torch.distributions.Normal(0.0, 1.0))
    >>> t(torch.tensor([0.0, 1.0]))
    tensor([0.5000, 0.8413])
    """

    bijective, codomain, sign = True, constraints.unit_interval, 1

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self):
        return self.distribution.support

    def _call(self, x):
        return self.distribution.cdf(x)

    def _inverse(self, y):
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        return self.distribution.log_prob(x)

    def with_cache(self, cache_size=1):
        return self if self._cache_size == cache_size else CumulativeDistributionTransform(self.distribution, cache_size=cache_size)
