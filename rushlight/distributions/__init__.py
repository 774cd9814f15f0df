"""Probability distributions: sampling, densities, entropies and divergences, in PyTorch's own random streams.

>>> _ = torch.manual_seed(0)
>>> d = torch.distributions.Normal(torch.tensor([0.0, 1.0]), 1.0)
>>> d.sample()
tensor([1.5410, 0.7066])

Each file holds one topic. PyTorch's path of a distribution (``torch.distributions.normal``) names the file it is in.
"""

import sys as _sys

from .. import Tensor
from . import (
    _categorical,
    _composed,
    _discrete,
    _location_scale,
    _multivariate,
    _positive,
    _relaxed,
    _simplex,
    constraint_registry,
    constraints,
    kl,
    transforms,
    utils,
)
from ._categorical import Categorical, Multinomial, OneHotCategorical, OneHotCategoricalStraightThrough
from ._composed import Independent, MixtureSameFamily, TransformedDistribution
from ._discrete import Bernoulli, Binomial, ContinuousBernoulli, Geometric, NegativeBinomial, Poisson
from ._location_scale import Cauchy, Gumbel, Laplace, LogNormal, Normal, StudentT, Uniform, VonMises
from ._multivariate import LowRankMultivariateNormal, MultivariateNormal
from ._positive import (
    Chi2,
    Exponential,
    FisherSnedecor,
    Gamma,
    GeneralizedPareto,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Kumaraswamy,
    Pareto,
    Weibull,
)  # fmt: skip
from ._relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from ._simplex import Beta, Dirichlet, LKJCholesky, LogisticNormal, Wishart
from .constraint_registry import biject_to, transform_to
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .kl import kl_divergence, register_kl
from .transforms import *  # noqa: F403

_PATHS = {
    _composed: "independent mixture_same_family transformed_distribution",
    _categorical: "categorical multinomial one_hot_categorical",
    _discrete: "bernoulli binomial continuous_bernoulli geometric negative_binomial poisson",
    _location_scale: "cauchy gumbel laplace log_normal normal studentT uniform von_mises",
    _multivariate: "lowrank_multivariate_normal multivariate_normal",
    _positive: """chi2 exponential fishersnedecor gamma generalized_pareto half_cauchy half_normal inverse_gamma kumaraswamy pareto
        weibull""",
    _relaxed: "relaxed_bernoulli relaxed_categorical",
    _simplex: "beta dirichlet lkj_cholesky logistic_normal wishart",
}
for _room, _names in _PATHS.items():
    for _name in _names.split():
        globals()[_name] = _sys.modules[f"{__name__}.{_name}"] = _room
    for _name, _class in list(vars(_room).items()):  # a distribution says its path: the longest whose words are all in its name
        if isinstance(_class, type) and _class.__module__.endswith(_room.__name__.rpartition(".")[2]):
            _paths = [p for p in _names.split() if all(word in _name.lower() for word in p.lower().split("_"))]
            _class.__module__ = f"{__name__}.{max(_paths, key=len)}" if _paths else _class.__module__
    for _used in (Distribution, Tensor, utils.lazy_property, utils.broadcast_all, utils.logits_to_probs, utils.probs_to_logits):
        vars(_room).setdefault(_used.__name__, _used)  # what programs import from there, since PyTorch's files of distributions use it

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli", "Dirichlet", "Distribution", "Exponential",
    "ExponentialFamily", "FisherSnedecor", "Gamma", "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal", "LowRankMultivariateNormal",
    "MixtureSameFamily", "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT",
    "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to", "constraint_registry", "constraints",
    "kl",
    "kl_divergence", "register_kl", "transform_to", "utils", *transforms.__all__,
]  # fmt: skip
