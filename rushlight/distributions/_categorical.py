"""Distributions of categories."""

import math

import rushlight as rl

from . import constraints
from ._discrete import Binomial
from .distribution import Parametrized, ProbsOrLogits
from .utils import broadcast_all

__all__ = ["Categorical", "Multinomial", "OneHotCategorical", "OneHotCategoricalStraightThrough"]

_PROBS_OR_LOGITS = {"probs": constraints.unit_interval, "logits": constraints.real}


class Categorical(ProbsOrLogits):
    """An integer from 0 to K - 1, with probabilities along the last dimension of ``probs`` (scaled to sum to one) or ``logits``.

    >>> die = Categorical(probs=torch.tensor([1.0, 1.0, 2.0]))
    >>> die.probs, die.log_prob(torch.tensor(2)).exp()
    (tensor([0.2500, 0.2500, 0.5000]), tensor(0.5000))
    >>> die.sample((5, 2)).shape, die.entropy()
    (torch.Size([5, 2]), tensor(1.0397))
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}  # noqa: RUF012
    has_enumerate_support = True
    _is_binary = False
    _parameters = (("probs", 1), ("logits", 1))
    _kept = ("_num_events",)

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._take(probs, logits)
        if probs is not None:
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        self._num_events = self._param.size(-1)
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """The integers from 0 to K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    mean = property(lambda self: rl.full(self._extended_shape(), math.nan, dtype=self.probs.dtype, device=self.probs.device))
    mode = property(lambda self: self.probs.argmax(dim=-1))
    variance = property(lambda self: self.mean)

    def sample(self, sample_shape=()):
        sample_shape = rl.Size(sample_shape)
        rows = self.probs.reshape(-1, self._num_events)
        drawn = rl.multinomial(rows, sample_shape.numel(), True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value):
        self._check_sample(value)
        value, log_pmf = rl.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return log_pmf.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        return -(self.logits.clamp(min=rl.finfo(self.logits.dtype).min) * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        values = rl.arange(self._num_events, dtype=rl.long, device=self._param.device).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class _OverCategories(Parametrized):
    """A distribution whose parameters are those of a Categorical."""

    arg_constraints = Categorical.arg_constraints
    _parameters = ("_categorical",)

    def _of_categorical(self, categorical, validate_args):
        self._categorical = categorical
        super().__init__(categorical.batch_shape, categorical.param_shape[-1:], validate_args=validate_args)

    def _new(self, *args, **kwargs):
        return self._categorical._new(*args, **kwargs)

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """The log probabilities."""
        return self._categorical.logits

    @property
    def _param(self):
        return self._categorical._param

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self._categorical.param_shape


class OneHotCategorical(_OverCategories):
    """A category as a vector of zeros with a one at its place.

    >>> d = OneHotCategorical(probs=torch.tensor([0.25, 0.75]))
    >>> d.log_prob(torch.tensor([0.0, 1.0])).exp(), d.sample().sum()
    (tensor(0.7500), tensor(1.))
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self._of_categorical(Categorical(probs, logits), validate_args)

    mean = property(lambda self: self.probs)

    @property
    def mode(self):
        return rl.nn.functional.one_hot(self.probs.argmax(dim=-1), num_classes=self.probs.shape[-1]).to(self.probs)

    variance = property(lambda self: self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        drawn = self._categorical.sample(rl.Size(sample_shape))
        return rl.nn.functional.one_hot(drawn, self._categorical._num_events).to(self.probs)

    def log_prob(self, value):
        self._check_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self):
        return self._categorical.entropy()

    def enumerate_support(self, expand=True):
        n = self.event_shape[0]
        values = rl.eye(n, dtype=self._param.dtype, device=self._param.device).view((n,) + (1,) * len(self.batch_shape) + (n,))
        return values.expand((n, *self.batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """One-hot categories whose gradient is that of the probabilities (Bengio et al., 2013).

    >>> logits = torch.zeros(3, requires_grad=True)
    >>> sample = OneHotCategoricalStraightThrough(logits=logits).rsample()
    >>> (sample * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    >>> logits.grad
    tensor([-0.3333,  0.0000,  0.3333])
    """

    has_rsample = True

    def rsample(self, sample_shape=()):
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(_OverCategories):
    """How often each category occurs among ``total_count`` draws: vectors (K) of counts.

    >>> d = Multinomial(4, probs=torch.tensor([1.0, 3.0]))
    >>> d.mean, d.sample().sum()
    (tensor([1., 3.]), tensor(4.))
    >>> d.log_prob(torch.tensor([1.0, 3.0])).exp()  # 4 * 1/4 * (3/4)**3
    tensor(0.4219)
    """

    _parameters = ("_categorical", ("_binomial", 1))
    _kept = ("total_count",)

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._of_categorical(Categorical(probs=probs, logits=logits), validate_args)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)

    mean = property(lambda self: self.probs * self.total_count)
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """Counts that sum to total_count."""
        return constraints.multinomial(self.total_count)

    def sample(self, sample_shape=()):
        sample_shape = rl.Size(sample_shape)
        drawn = self._categorical.sample(rl.Size((self.total_count,)) + sample_shape).movedim(0, -1)
        counts = self._categorical.probs.new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add(-1, drawn, rl.ones_like(drawn, dtype=counts.dtype))

    def log_prob(self, value):
        self._check_sample(value)
        logits, value = broadcast_all(self.logits, value)
        ways = rl.lgamma(value.sum(-1) + 1) - rl.lgamma(value + 1).sum(-1)
        return ways + (logits.masked_fill((value == 0) & (logits == -math.inf), 0) * value).sum(-1)

    def entropy(self):
        n = rl.tensor(float(self.total_count), dtype=self.probs.dtype, device=self.probs.device)
        values = self._binomial.enumerate_support(expand=False)[1:]
        weights = rl.exp(self._binomial.log_prob(values))
        return self.total_count * self._categorical.entropy() - rl.lgamma(n + 1) + (weights * rl.lgamma(values + 1)).sum((0, -1))
