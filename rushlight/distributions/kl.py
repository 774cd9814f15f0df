"""The Kullback-Leibler divergence KL(p || q) = E_p[log p(x) - log q(x)], by a formula for each pair of families."""

import functools
import math
import warnings

import rushlight as rl

from ._categorical import Categorical, OneHotCategorical
from ._composed import Independent, TransformedDistribution
from ._discrete import Bernoulli, Binomial, ContinuousBernoulli, Geometric, Poisson
from ._location_scale import Cauchy, Gumbel, Laplace, Normal, Uniform
from ._multivariate import LowRankMultivariateNormal, MultivariateNormal, _batch_mahalanobis
from ._positive import Exponential, Gamma, HalfNormal, Pareto
from ._simplex import Beta, Dirichlet
from .exp_family import ExponentialFamily
from .utils import _sum_rightmost, euler_constant

__all__ = ["kl_divergence", "register_kl"]

_KL_REGISTRY = {}  # (class of p, class of q) -> formula


def register_kl(type_p, type_q):
    """Decorator: the function is the formula for p of ``type_p`` and q of ``type_q``, and for their subclasses where none fits better.

    >>> class Scaled(torch.distributions.Normal):
    ...     pass
    >>> @register_kl(Scaled, Scaled)
    ... def kl_scaled(p, q):
    ...     return torch.tensor(7.0)
    >>> torch.distributions.kl_divergence(Scaled(0.0, 1.0), Scaled(0.0, 1.0))
    tensor(7.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):  # a program's own hierarchy of distributions will do
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(formula):
        _KL_REGISTRY[type_p, type_q] = formula
        _formula.cache_clear()
        return formula

    return register


@functools.cache
def _formula(type_p, type_q):
    """The most specific formula: first by p's class, and by q's; a warning if the two orders disagree."""
    fits = [(p, q) for p, q in _KL_REGISTRY if issubclass(type_p, p) and issubclass(type_q, q)]
    if not fits:
        return None

    def depth(cls, base):
        return cls.__mro__.index(base)

    left = min(fits, key=lambda m: (depth(type_p, m[0]), depth(type_q, m[1])))
    right = min(fits, key=lambda m: (depth(type_q, m[1]), depth(type_p, m[0])))
    if _KL_REGISTRY[left] is not _KL_REGISTRY[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[left]


def kl_divergence(p, q):
    """KL(p || q), over the batch. NotImplementedError for pairs without a formula.

    >>> kl = torch.distributions.kl_divergence
    >>> kl(torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.0, 1.0))
    tensor(0.5000)
    """
    formula = _formula(type(p), type(q))
    if formula is None:
        raise NotImplementedError(f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type {q.__class__.__name__}")
    return formula(p, q)


def _infinite(tensor):
    return rl.full_like(tensor, math.inf)


# -- within a family --


@register_kl(Bernoulli, Bernoulli)
def _(p, q):
    softplus = rl.nn.functional.softplus
    return p.probs * (softplus(-q.logits) - softplus(-p.logits)) + (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))


@register_kl(Beta, Beta)
def _(p, q):
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    normalizers = (c.lgamma() + d.lgamma() + (a + b).lgamma()) - ((c + d).lgamma() + a.lgamma() + b.lgamma())
    return normalizers + (a - c) * a.digamma() + (b - d) * b.digamma() + (c + d - a - b) * (a + b).digamma()


@register_kl(Binomial, Binomial)
def _(p, q):
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return rl.where(p.total_count > q.total_count, math.inf, kl)


@register_kl(Categorical, Categorical)
def _(p, q):
    t = p.probs * (p.logits - q.logits)
    t = rl.where(q.probs == 0, math.inf, t)
    return rl.where(p.probs == 0, 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p, q):
    return kl_divergence(p._categorical, q._categorical)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p, q):
    return p.mean * (p.logits - q.logits) + p._cont_bern_log_norm() + rl.log1p(-p.probs) - q._cont_bern_log_norm() - rl.log1p(-q.probs)


@register_kl(Dirichlet, Dirichlet)
def _(p, q):
    a, b = p.concentration, q.concentration
    normalizers = a.sum(-1).lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return normalizers + ((a - b) * (a.digamma() - a.sum(-1, True).digamma())).sum(-1)


@register_kl(Exponential, Exponential)
def _(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _(p, q):
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences"
        )
    theta, other = [x.detach().requires_grad_() for x in p._natural_params], q._natural_params
    with rl.enable_grad():
        log_normalizer = p._log_normalizer(*theta)
        slopes = rl.autograd.grad(log_normalizer.sum(), theta, create_graph=True)
    result = q._log_normalizer(*other) - log_normalizer
    for a, b, slope in zip(theta, other, slopes):
        result = result - _sum_rightmost((b - a) * slope, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _(p, q):
    a, b = p.concentration, q.concentration
    return b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)


@register_kl(Geometric, Geometric)
def _(p, q):
    return -p.entropy() - rl.log1p(-q.probs) / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _(p, q):
    ratio, shift = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return ratio * euler_constant - ratio.log() - shift + (shift + (1 + ratio).lgamma()).exp() - (1 + euler_constant)


@register_kl(HalfNormal, HalfNormal)
def _(p, q):
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * rl.exp(-distance / p.scale) - 1


@register_kl(Normal, Normal)
def _(p, q):
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(Poisson, Poisson)
def _(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Pareto, Pareto)
def _(p, q):
    scales, alphas = p.scale / q.scale, q.alpha / p.alpha
    return rl.where(p.support.lower_bound < q.support.lower_bound, math.inf, q.alpha * scales.log() - alphas.log() + alphas - 1)


@register_kl(Uniform, Uniform)
def _(p, q):
    return rl.where((q.low > p.low) | (q.high < p.high), math.inf, ((q.high - q.low) / (p.high - p.low)).log())


@register_kl(Cauchy, Cauchy)
def _(p, q):
    # Chyzak and Nielsen, 2019
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(Independent, Independent)
def _(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p, q):
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


# -- normal vectors: 2 KL = log det Sq - log det Sp + tr(Sq^-1 Sp) + (mp - mq)^T Sq^-1 (mp - mq) - n --


def _log_det(d):
    return d._log_det() if isinstance(d, LowRankMultivariateNormal) else 2 * d._half_log_det()


def _normal_vectors(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {type(q).__name__}s with different event shapes cannot be computed: "
            f"{p.event_shape}, {q.event_shape}"
        )
    factor = q.scale_tril
    n = q.event_shape[0]
    batch = rl.broadcast_shapes(q._batch_shape, p._batch_shape)
    whitened = rl.linalg.solve_triangular(factor.expand((*batch, n, n)), p.scale_tril.expand((*batch, n, n)), upper=False)
    trace = whitened.pow(2).sum((-2, -1))
    return 0.5 * (_log_det(q) - _log_det(p) + trace + _batch_mahalanobis(factor, q.loc - p.loc) - n)


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_normal_vectors)


# -- across families: q's support holds p's --


@register_kl(Bernoulli, Poisson)
def _(p, q):
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _(p, q):
    return -p.entropy() - p.mean * q.logits - rl.log1p(-q.probs) - q._cont_bern_log_norm()


@register_kl(Beta, Exponential)
def _(p, q):
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Beta, Gamma)
def _(p, q):
    log_mean = p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    normalizer = q.concentration.lgamma() - q.concentration * q.rate.log()
    return -p.entropy() + normalizer - (q.concentration - 1) * log_mean + q.rate * p.mean


def _to_normal(p, q):
    """For any p with an entropy: the cross entropy with a normal q needs p's first two moments only."""
    return -p.entropy() + 0.5 * math.log(2 * math.pi) + q.scale.log() + 0.5 * (p.variance + (p.mean - q.loc).pow(2)) / q.scale.pow(2)


for _p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Uniform):
    register_kl(_p, Normal)(_to_normal)


@register_kl(Pareto, Normal)
def _(p, q):
    return rl.where(p.alpha <= 2, math.inf, _to_normal(p, q))


@register_kl(Beta, Uniform)
def _(p, q):
    return rl.where((q.low > 0) | (q.high < 1), math.inf, -p.entropy() + (q.high - q.low).log())


@register_kl(ContinuousBernoulli, Exponential)
def _(p, q):
    return -p.entropy() - rl.log(q.rate) + q.rate * p.mean


@register_kl(ContinuousBernoulli, Uniform)
def _(p, q):
    return rl.where((q.low > 0) | (q.high < 1), math.inf, -p.entropy() + (q.high - q.low).log())


@register_kl(Exponential, Gamma)
def _(p, q):
    ratio = q.rate / p.rate
    return -q.concentration * ratio.log() + ratio + q.concentration.lgamma() + q.concentration * euler_constant - (1 + euler_constant)


@register_kl(Exponential, Gumbel)
def _(p, q):
    product = p.rate * q.scale
    shift = q.loc / q.scale
    return product.log() - 1 + product.reciprocal() - shift + rl.exp(shift) * product / (product + 1)


@register_kl(Gamma, Exponential)
def _(p, q):
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Gamma, Gumbel)
def _(p, q):
    beta = p.rate * q.scale
    shift = q.loc / q.scale
    moment = rl.exp(shift) * (1 + beta.reciprocal()).pow(-p.concentration)
    return (
        (p.concentration - 1) * p.concentration.digamma() - p.concentration.lgamma() - p.concentration
        + beta.log() + p.concentration / beta + moment - shift
    )  # fmt: skip


@register_kl(Normal, Gumbel)
def _(p, q):
    mean, ratio = (p.loc - q.loc) / q.scale, (p.scale / q.scale).pow(2)
    return -p.entropy() + q.scale.log() + mean + rl.exp(-mean + 0.5 * ratio)


@register_kl(Normal, Laplace)
def _(p, q):
    shift = (p.loc - q.loc) / p.scale
    distance = math.sqrt(2 / math.pi) * rl.exp(-0.5 * shift.pow(2)) + shift * rl.erf(math.sqrt(0.5) * shift)
    return -p.entropy() + (2 * q.scale).log() + p.scale / q.scale * distance


@register_kl(Pareto, Exponential)
def _(p, q):
    product = p.scale * q.rate
    kl = (p.alpha / product).log() - p.alpha.reciprocal() + p.alpha * product / (p.alpha - 1) - 1
    return rl.where(p.alpha <= 1, math.inf, kl)


@register_kl(Pareto, Gamma)
def _(p, q):
    log_mean = p.scale.log() + p.alpha.reciprocal()
    kl = (
        p.alpha.log() - p.scale.log() - (1 + p.alpha) / p.alpha + q.concentration.lgamma() - q.concentration * q.rate.log()
        + (1 - q.concentration) * log_mean + q.rate * p.alpha * p.scale / (p.alpha - 1)
    )  # fmt: skip
    return rl.where(p.alpha <= 1, math.inf, kl)


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _(p, q):
    return _infinite(p.rate)


@register_kl(Uniform, Beta)
def _(p, q):
    width = p.high - p.low
    mean_log = (_x_log_x(p.high) - _x_log_x(p.low) - width) / width
    mean_log1m = (_x_log_x(1 - p.low) - _x_log_x(1 - p.high) - width) / width
    normalizer = q.concentration1.lgamma() + q.concentration0.lgamma() - (q.concentration1 + q.concentration0).lgamma()
    kl = -width.log() + normalizer - (q.concentration1 - 1) * mean_log - (q.concentration0 - 1) * mean_log1m
    return rl.where((p.high > 1) | (p.low < 0), math.inf, kl)


def _x_log_x(x):
    return x * x.log()


@register_kl(Uniform, ContinuousBernoulli)
def _(p, q):
    kl = -p.entropy() - p.mean * q.logits - rl.log1p(-q.probs) - q._cont_bern_log_norm()
    return rl.where((p.high > 1) | (p.low < 0), math.inf, kl)


@register_kl(Uniform, Exponential)
def _(p, q):
    return rl.where(p.low < 0, math.inf, q.rate * (p.high + p.low) / 2 - ((p.high - p.low) * q.rate).log())


@register_kl(Uniform, Gamma)
def _(p, q):
    width = p.high - p.low
    mean_log = (_x_log_x(p.high) - _x_log_x(p.low) - width) / width
    kl = -width.log() + q.concentration.lgamma() - q.concentration * q.rate.log() + (1 - q.concentration) * mean_log + q.rate * p.mean
    return rl.where(p.low < 0, math.inf, kl)


@register_kl(Uniform, Gumbel)
def _(p, q):
    width = (p.high - p.low) / q.scale
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    return -width.log() + 0.5 * (high + low) - (rl.exp(-high) - rl.exp(-low)) / width


@register_kl(Uniform, Pareto)
def _(p, q):
    width = p.high - p.low
    mean_log = (_x_log_x(p.high) - _x_log_x(p.low) - width) / width
    kl = mean_log * (1 + q.alpha) - width.log() - q.alpha.log() - q.alpha * q.scale.log()
    return rl.where(p.low < q.support.lower_bound, math.inf, kl)


def _register_infinite():
    """Pairs where p puts weight outside q's support."""
    unbounded = {
        "concentration1": (Beta, (Pareto,)),
        "mean": (ContinuousBernoulli, (Pareto,)),
        "rate": (Exponential, (Beta, ContinuousBernoulli, Pareto, Uniform)),
        "concentration": (Gamma, (Beta, ContinuousBernoulli, Pareto, Uniform)),
        "scale": (Pareto, (Beta, ContinuousBernoulli, Uniform)),
    }
    for attribute, (p, others) in unbounded.items():
        for q in others:
            register_kl(p, q)(lambda p, q, attribute=attribute: _infinite(getattr(p, attribute)))
    for p in (Gumbel, Laplace, Normal):
        for q in (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform):
            register_kl(p, q)(lambda p, q: _infinite(p.loc))


_register_infinite()
