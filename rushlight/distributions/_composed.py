"""Distributions made of others: transformed, with batch dimensions taken into the event, and mixtures."""


import rushlight as rl

from . import constraints
from .distribution import Distribution, Parametrized
from .transforms import ComposeTransform, Transform
from .utils import _sum_rightmost

__all__ = ["Independent", "MixtureSameFamily", "TransformedDistribution"]


class Independent(Parametrized):
    """``base_distribution`` with its last ``reinterpreted_batch_ndims`` batch dimensions taken as part of one event: their log
    probabilities are summed.

    >>> base = torch.distributions.Normal(torch.zeros(2, 3), 1.0)
    >>> d = Independent(base, 1)
    >>> d.batch_shape, d.event_shape
    (torch.Size([2]), torch.Size([3]))
    >>> base.log_prob(torch.zeros(3)).shape, d.log_prob(torch.zeros(3)).shape
    (torch.Size([2, 3]), torch.Size([2]))
    """

    arg_constraints = {}  # noqa: RUF012
    _parameters = property(lambda self: (("base_dist", self.reinterpreted_batch_ndims),))
    _kept = ("reinterpreted_batch_ndims",)

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        n = reinterpreted_batch_ndims
        if n > len(base_distribution.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {n} vs {len(base_distribution.batch_shape)}"
            )
        shape = base_distribution.batch_shape + base_distribution.event_shape
        cut = len(base_distribution.batch_shape) - n
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    @property
    def has_rsample(self):
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self):
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self):
        """The base's, over the larger event."""
        base, n = self.base_dist.support, self.reinterpreted_batch_ndims
        return constraints.independent(base, n) if n else base

    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        return _sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        return _sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand=True):
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self):
        return f"{self.__class__.__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Parametrized):
    """The distribution of ``f(x)`` for x of ``base_distribution``; transforms: f, or a list of transforms, the first applied first.

    >>> base = torch.distributions.Uniform(0.0, 1.0)
    >>> d = TransformedDistribution(base, torch.distributions.AffineTransform(10.0, 4.0))
    >>> d.log_prob(torch.tensor(11.0)).exp(), d.cdf(torch.tensor(11.0))
    (tensor(0.2500), tensor(0.2500))
    """

    arg_constraints = {}  # noqa: RUF012
    _kept = ("transforms",)

    def __init__(self, base_distribution, transforms, validate_args=None):
        if isinstance(transforms, Transform):
            transforms = [transforms]
        if not isinstance(transforms, list) or not all(isinstance(t, Transform) for t in transforms):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        self.transforms = transforms
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_event_dim, whole = len(base_distribution.event_shape), ComposeTransform(transforms)
        if len(base_shape) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, but got {base_shape}."
            )
        forward_shape = whole.forward_shape(base_shape)
        expanded = whole.inverse_shape(forward_shape)
        if base_shape != expanded:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_event_dim])
        more = whole.domain.event_dim - base_event_dim
        if more > 0:
            base_distribution = Independent(base_distribution, more)
        self.base_dist = base_distribution
        event_dim = whole.codomain.event_dim + max(base_event_dim - whole.domain.event_dim, 0)
        if len(forward_shape) < event_dim:
            raise AssertionError(f"forward_shape has {len(forward_shape)} dimensions, but event_dim is {event_dim}")
        cut = len(forward_shape) - event_dim
        super().__init__(forward_shape[:cut], forward_shape[cut:], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        new = super().expand(batch_shape, _instance)
        base_shape = new.batch_shape + self.event_shape
        for t in reversed(self.transforms):
            base_shape = t.inverse_shape(base_shape)
        new.base_dist = self.base_dist.expand(base_shape[: len(base_shape) - len(self.base_dist.event_shape)])
        return new

    @property
    def has_rsample(self):
        return self.base_dist.has_rsample

    @constraints.dependent_property(is_discrete=False)
    def support(self):
        """The codomain of the last transform."""
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self.event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def sample(self, sample_shape=()):
        with rl.no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        return self._through(self.base_dist.rsample(sample_shape))

    def _through(self, x):
        for t in self.transforms:
            x = t(x)
        return x

    def log_prob(self, value):
        self._check_sample(value)
        event_dim, result, y = len(self.event_shape), 0.0, value
        for t in reversed(self.transforms):
            x = t.inv(y)
            event_dim += t.domain.event_dim - t.codomain.event_dim
            result = result - _sum_rightmost(t.log_abs_det_jacobian(x, y), event_dim - t.domain.event_dim)
            y = x
        return result + _sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _mirrored(self, value):
        """``value``, or 1 - value where f falls."""
        sign = 1
        for t in self.transforms:
            sign = sign * t.sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value):
        for t in reversed(self.transforms):
            value = t.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._mirrored(self.base_dist.cdf(value))

    def icdf(self, value):
        return self._through(self.base_dist.icdf(self._mirrored(value)))


class MixtureSameFamily(Parametrized):
    """A mixture: ``mixture_distribution`` (a Categorical) picks along the last batch dimension of ``component_distribution``.

    >>> weights = torch.distributions.Categorical(torch.tensor([0.25, 0.75]))
    >>> d = MixtureSameFamily(weights, torch.distributions.Normal(torch.tensor([0.0, 8.0]), 1.0))
    >>> d.mean, d.batch_shape, d.cdf(torch.tensor(4.0))
    (tensor(6.), torch.Size([]), tensor(0.2500))
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = False
    _parameters = (("_component_distribution", 1), "_mixture_distribution")
    _kept = ("_num_component", "_event_ndims")

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        from ._categorical import Categorical

        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution need to be an instance of torch.distributions.Distribution")
        cdbs = component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(mixture_distribution.batch_shape), reversed(cdbs)):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_distribution.batch_shape}) is not compatible with "
                    f"`component_distribution.batch_shape`({cdbs})"
                )
        km, kc = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if km is not None and kc is not None and km != kc:
            raise ValueError(
                f"`mixture_distribution component` ({km}) does not equal `component_distribution.batch_shape[-1]` ({kc})"
            )
        self._num_component = km
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(batch_shape=cdbs, event_shape=event_shape, validate_args=validate_args)

    @constraints.dependent_property
    def support(self):
        """The components'."""
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self):
        """What picks the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self):
        """The components."""
        return self._component_distribution

    def _weights(self):
        """The mixture's probabilities, shaped to multiply the components' events."""
        probs = self.mixture_distribution.probs
        return probs.reshape(*probs.shape, *(1,) * self._event_ndims)

    mean = property(lambda self: rl.sum(self._weights() * self.component_distribution.mean, dim=-1 - self._event_ndims))

    @property
    def variance(self):
        """The mean of the variances plus the variance of the means."""
        weights, component, dim = self._weights(), self.component_distribution, -1 - self._event_ndims
        within = rl.sum(weights * component.variance, dim=dim)
        return within + rl.sum(weights * (component.mean - self._pad(self.mean)).pow(2.0), dim=dim)

    def _pad(self, x):
        return x.unsqueeze(-1 - self._event_ndims)

    def cdf(self, x):
        return rl.sum(self.component_distribution.cdf(self._pad(x)) * self.mixture_distribution.probs, dim=-1)

    def log_prob(self, x):
        self._check_sample(x)
        log_prob = self.component_distribution.log_prob(self._pad(x))
        return rl.logsumexp(log_prob + rl.log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape=()):
        with rl.no_grad():
            picked = self.mixture_distribution.sample(sample_shape)
            samples = self.component_distribution.sample(sample_shape)
            dim = len(tuple(sample_shape)) + len(self.batch_shape)
            index = picked.reshape(*picked.shape, *(1,) * (self._event_ndims + 1))
            index = index.expand(*picked.shape, 1, *self.event_shape)
            return rl.gather(samples, dim, index).squeeze(dim)

    def __repr__(self):
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
