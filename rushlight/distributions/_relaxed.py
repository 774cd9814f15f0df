"""Discrete distributions made smooth by a temperature (Maddison et al., 2017; Jang et al., 2017)."""


import rushlight as rl

from . import constraints
from ._categorical import Categorical, _OverCategories
from ._composed import TransformedDistribution
from ._discrete import _Trials
from .transforms import ExpTransform, SigmoidTransform
from .utils import broadcast_all, clamp_probs

__all__ = ["ExpRelaxedCategorical", "LogitRelaxedBernoulli", "RelaxedBernoulli", "RelaxedOneHotCategorical"]


class LogitRelaxedBernoulli(_Trials):
    """The log odds of a RelaxedBernoulli number."""

    support = constraints.real
    has_rsample = True
    _kept = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(rl.rand(shape, dtype=probs.dtype, device=probs.device))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value):
        self._check_sample(value)
        logits, value = broadcast_all(self.logits, value)
        diff = logits - value * self.temperature
        return rl.as_tensor(self.temperature, dtype=diff.dtype, device=diff.device).log() + diff - 2 * diff.exp().log1p()


class _Relaxed(TransformedDistribution):
    """A relaxed distribution as a function of one whose logarithm or log odds are sampled; its parameters are that one's."""

    @property
    def temperature(self):
        """How soft the samples are."""
        return self.base_dist.temperature

    @property
    def logits(self):
        """The log odds, or the log probabilities."""
        return self.base_dist.logits

    @property
    def probs(self):
        """The probabilities."""
        return self.base_dist.probs


class RelaxedBernoulli(_Relaxed):
    """A number in (0, 1) that goes to 0 or 1 as the temperature goes to zero (Maddison et al., 2017; Jang et al., 2017).

    >>> probs = torch.tensor([0.25], requires_grad=True)
    >>> RelaxedBernoulli(torch.tensor(0.5), probs=probs).rsample().backward()
    >>> bool(probs.grad > 0)  # a gradient through the sample
    True
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}  # noqa: RUF012
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args=validate_args)


class ExpRelaxedCategorical(_OverCategories):
    """The logarithm of a RelaxedOneHotCategorical vector."""

    support = constraints.real_vector
    has_rsample = True
    _kept = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        self._of_categorical(Categorical(probs, logits), validate_args)

    def rsample(self, sample_shape=()):
        u = clamp_probs(rl.rand(self._extended_shape(sample_shape), dtype=self.logits.dtype, device=self.logits.device))
        scores = (self.logits + -((-(u.log())).log())) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value):
        self._check_sample(value)
        k = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        temperature = rl.as_tensor(self.temperature, dtype=logits.dtype, device=logits.device)
        scale = rl.lgamma(rl.tensor(float(k), dtype=logits.dtype, device=logits.device)) + (k - 1) * temperature.log()
        score = logits - value * temperature
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(_Relaxed):
    """Vectors on the simplex that go to one-hot ones as the temperature goes to zero (Maddison et al., 2017; Jang et al., 2017).

    >>> sample = RelaxedOneHotCategorical(torch.tensor(0.01), logits=torch.tensor([0.0, 0.0])).sample()
    >>> sample.shape, round(sample.sum().item(), 4)
    (torch.Size([2]), 1.0)
    """

    arg_constraints = Categorical.arg_constraints
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)
