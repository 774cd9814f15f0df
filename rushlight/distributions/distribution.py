"""Distribution: the base class. A batch of distributions, each over events (scalars, vectors, matrices).

The shape of a sample is ``sample_shape + batch_shape + event_shape``.
"""

import warnings

import rushlight as rl

from . import constraints
from .utils import lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Distribution"]


class Distribution:
    """Base class of distributions.

    batch_shape: the shape of the parameters' batch; event_shape: the shape of one sample of one of them.
    validate_args: check parameters and values (the default; see :meth:`set_default_validate_args`).

    >>> d = torch.distributions.Dirichlet(torch.ones(5, 3))  # five distributions over vectors of three
    >>> d.batch_shape, d.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> d.sample((4,)).shape, d.log_prob(d.sample((4,))).shape
    (torch.Size([4, 5, 3]), torch.Size([4, 5]))
    >>> torch.distributions.Normal(0.0, -1.0, validate_args=False).scale  # ValueError otherwise
    tensor(-1.)
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value):
        """Whether distributions made from now on check their arguments."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape, self._event_shape = rl.Size(batch_shape), rl.Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self):
        try:
            declared = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
            return
        for name, constraint in declared.items():
            given = name in self.__dict__ or not isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or not given:
                continue
            value = getattr(self, name)
            valid = constraint.check(value)
            if not bool(valid.all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape, _instance=None):
        """The same distributions, broadcast to a larger batch."""
        raise NotImplementedError

    @property
    def batch_shape(self):
        """The shape of the batch."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one sample."""
        return self._event_shape

    @property
    def arg_constraints(self):
        """Parameter name -> the set it lies in."""
        raise NotImplementedError

    @property
    def support(self):
        """The set that samples lie in."""
        raise NotImplementedError

    @property
    def mean(self):
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self):
        """The most likely value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self):
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self):
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Samples without gradients."""
        with rl.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Samples through which gradients reach the parameters."""
        raise NotImplementedError

    def sample_n(self, n):
        """``n`` samples; the older spelling of ``sample((n,))``."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample(rl.Size((n,)))

    def log_prob(self, value):
        """The logarithm of the density, or of the probability, at ``value``."""
        raise NotImplementedError

    def cdf(self, value):
        """The probability of values up to ``value``."""
        raise NotImplementedError

    def icdf(self, value):
        """The quantile: the inverse of :meth:`cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand=True):
        """All values of a discrete distribution, along a new first dimension; ``expand``: repeated for the whole batch."""
        raise NotImplementedError

    def entropy(self):
        """The entropy, in nats."""
        raise NotImplementedError

    def perplexity(self):
        """exp(entropy)."""
        return rl.exp(self.entropy())

    def _extended_shape(self, sample_shape=()):
        """The shape of the result of ``sample(sample_shape)``."""
        return rl.Size(tuple(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def _validate_sample(self, value):
        """Raises ValueError unless ``value`` has a shape that fits and lies in the support."""
        if not isinstance(value, rl.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        n_event = len(self._event_shape)
        if tuple(value.shape[value.dim() - n_event :]) != tuple(self._event_shape):
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{rl.Size(value.shape)} vs {rl.Size(self._event_shape)}."
            )
        for i, j in zip(reversed(tuple(value.shape)), reversed(tuple(self._batch_shape + self._event_shape))):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs {tuple(self._extended_shape())}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(f"{type(self)} does not define `support` to enable sample validation.", stacklevel=2)
            return
        if not bool(support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support ({support!r}) "
                f"of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _check_sample(self, value):
        """Checks a value, if this distribution checks its arguments."""
        if self._validate_args:
            self._validate_sample(value)

    def _get_checked_instance(self, cls, _instance=None):
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method must also define a custom "
                ".expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def __repr__(self):
        names = [k for k in self.arg_constraints if k in self.__dict__]
        shown = (self.__dict__[p] for p in names)
        text = ", ".join(f"{p}: {v if v.numel() == 1 else v.size()}" for p, v in zip(names, shown))
        return f"{self.__class__.__name__}({text})"


class Parametrized(Distribution):
    """A distribution that is made of its parameters alone, so that it can be expanded by expanding these.

    Subclasses name in ``_parameters`` the attributes that have the batch's shape, tensors or distributions; (name, n) for one with n more
    dimensions. Those in ``_kept`` are the same for every batch. Parameters that were not computed yet stay so.
    """

    _parameters = ()
    _kept = ()

    def expand(self, batch_shape, _instance=None):
        """The same distributions, broadcast to a larger batch."""
        rooms = __package__, "torch.distributions"  # as classes are told from where a script finds rushlight as torch
        own = next(c for c in type(self).__mro__ if c.__module__.startswith(rooms))
        new, batch_shape = self._get_checked_instance(own, _instance), rl.Size(batch_shape)
        for entry in self._parameters:
            name, n = (entry, 0) if isinstance(entry, str) else entry
            if name in self.__dict__:
                value = self.__dict__[name]
                shape = value.batch_shape if isinstance(value, Distribution) else value.shape
                new.__dict__[name] = value.expand((*batch_shape, *shape[len(shape) - n :]))
        new.__dict__.update({name: self.__dict__[name] for name in self._kept})
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new


class ProbsOrLogits(Parametrized):
    """A distribution given either by probabilities or by log odds; the other is computed when asked for.

    Subclasses set ``_is_binary`` (False: along the last dimension lie the probabilities of categories, or their logarithms), and keep what
    was given under ``probs`` or ``logits``.
    """

    _is_binary = True
    _parameters = ("probs", "logits")

    def _take(self, probs, logits):
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")

    @lazy_property
    def logits(self):
        """The log odds; of categories the log probabilities."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self):
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    @property
    def _param(self):
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self._param.size()

    def _new(self, *args, **kwargs):
        return self._param.new(*args, **kwargs)
