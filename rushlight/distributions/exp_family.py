"""Exponential families: densities ``exp(<t(x), theta> - F(theta) + k(x))``."""

import rushlight as rl

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Base class of the exponential families, p(x) = exp(t(x) . theta - F(theta) + k(x)); subclasses give the natural parameters
    theta and the log normaliser F, from which the entropy follows.

    >>> issubclass(torch.distributions.Gamma, ExponentialFamily), issubclass(torch.distributions.Cauchy, ExponentialFamily)
    (True, False)
    """

    @property
    def _natural_params(self):
        raise NotImplementedError

    def _log_normalizer(self, *natural_params):
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self):
        """E[k(x)]."""
        raise NotImplementedError

    def entropy(self):
        """``F(theta) - <theta, grad F(theta)> - E[k(x)]`` (the Bregman divergence of F)."""
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        with rl.enable_grad():
            normalizer = self._log_normalizer(*theta)
            slopes = rl.autograd.grad(normalizer.sum(), theta, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for p, slope in zip(theta, slopes):
            result = result - (p * slope).reshape(*self._batch_shape, -1).sum(-1)
        return result
