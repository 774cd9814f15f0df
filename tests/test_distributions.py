"""Distributions against PyTorch: the same seed gives the same samples; densities, moments, entropies and divergences agree.

A GPU draws other numbers from a seed than the CPU: there it is means of many samples that agree.
"""

import importlib
import itertools

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

# name -> (class, function of the library that gives the arguments)
CASES = {
    "Normal": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 2.0])),
    "Laplace": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 2.0])),
    "Cauchy": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 2.0])),
    "Gumbel": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 2.0])),
    "LogNormal": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 0.5])),
    "StudentT": lambda t: dict(df=t.tensor([3.0, 5.0]), loc=0.5, scale=t.tensor([1.0, 2.0])),
    "Uniform": lambda t: dict(low=t.tensor([0.1, 0.2]), high=t.tensor([0.7, 0.9])),
    "VonMises": lambda t: dict(loc=t.tensor([0.5, -1.0]), concentration=t.tensor([1.0, 2.0])),
    "Exponential": lambda t: dict(rate=t.tensor([0.5, 2.0])),
    "Gamma": lambda t: dict(concentration=t.tensor([0.5, 2.0]), rate=t.tensor([1.0, 3.0])),
    "Chi2": lambda t: dict(df=t.tensor([3.0, 5.0])),
    "InverseGamma": lambda t: dict(concentration=t.tensor([3.5, 2.5]), rate=t.tensor([1.0, 3.0])),
    "FisherSnedecor": lambda t: dict(df1=t.tensor([3.0, 5.0]), df2=t.tensor([6.0, 7.0])),
    "HalfNormal": lambda t: dict(scale=t.tensor([1.0, 2.0])),
    "HalfCauchy": lambda t: dict(scale=t.tensor([1.0, 2.0])),
    "Weibull": lambda t: dict(scale=t.tensor([1.0, 2.0]), concentration=t.tensor([1.5, 3.0])),
    "Pareto": lambda t: dict(scale=t.tensor([1.0, 2.0]), alpha=t.tensor([2.5, 3.0])),
    "GeneralizedPareto": lambda t: dict(loc=t.tensor([1.0, 2.0]), scale=t.tensor([1.0, 2.0]), concentration=t.tensor([0.2, 0.0])),
    "Kumaraswamy": lambda t: dict(concentration1=t.tensor([1.5, 2.0]), concentration0=t.tensor([2.5, 3.0])),
    "Beta": lambda t: dict(concentration1=t.tensor([0.5, 2.0]), concentration0=t.tensor([1.5, 3.0])),
    "Dirichlet": lambda t: dict(concentration=t.tensor([[0.5, 2.0, 3.0], [1.0, 1.5, 0.7]])),
    "LogisticNormal": lambda t: dict(loc=t.tensor([0.5, -1.0]), scale=t.tensor([1.0, 0.5])),
    "LKJCholesky": lambda t: dict(dim=3, concentration=t.tensor([1.0, 2.0])),
    "Wishart": lambda t: dict(df=t.tensor(4.0), covariance_matrix=t.tensor([[2.0, 0.5], [0.5, 1.0]])),
    "MultivariateNormal": lambda t: dict(loc=t.tensor([0.5, -1.0]), covariance_matrix=t.tensor([[2.0, 0.5], [0.5, 1.0]])),
    "LowRankMultivariateNormal": lambda t: dict(
        loc=t.tensor([0.5, -1.0]), cov_factor=t.tensor([[1.0], [0.5]]), cov_diag=t.tensor([1.0, 2.0])
    ),
    "Bernoulli": lambda t: dict(probs=t.tensor([0.3, 0.8])),
    "Binomial": lambda t: dict(total_count=5, probs=t.tensor([0.3, 0.8])),
    "Geometric": lambda t: dict(probs=t.tensor([0.3, 0.8])),
    "NegativeBinomial": lambda t: dict(total_count=t.tensor([2.0, 5.0]), probs=t.tensor([0.3, 0.8])),
    "Poisson": lambda t: dict(rate=t.tensor([0.5, 4.0])),
    "ContinuousBernoulli": lambda t: dict(probs=t.tensor([0.3, 0.5])),
    "Categorical": lambda t: dict(logits=t.tensor([[0.5, 1.0, -1.0], [0.0, 0.0, 2.0]])),
    "OneHotCategorical": lambda t: dict(probs=t.tensor([[0.5, 1.0, 1.0], [1.0, 1.0, 2.0]])),
    "OneHotCategoricalStraightThrough": lambda t: dict(probs=t.tensor([0.5, 1.0, 1.0])),
    "Multinomial": lambda t: dict(total_count=6, probs=t.tensor([0.5, 1.0, 1.0])),
    "RelaxedBernoulli": lambda t: dict(temperature=t.tensor(0.7), probs=t.tensor([0.3, 0.8])),
    "RelaxedOneHotCategorical": lambda t: dict(temperature=t.tensor(0.7), probs=t.tensor([0.5, 1.0, 1.0])),
}


def both(name):
    return tuple(getattr(lib.distributions, name)(**CASES[name](lib)) for lib in (rl, torch))


def near(ours, theirs, tolerance=1e-4):
    assert tuple(ours.shape) == tuple(theirs.shape)
    rl.testing.assert_close(
        ours.detach().double(), rl.tensor(theirs.detach().double().tolist(), dtype=rl.float64), rtol=tolerance, atol=tolerance,
        equal_nan=True,
    )  # fmt: skip


def draws_as_pytorch():
    """Do the samples of a seed agree one by one?"""
    return rl.get_default_device().type == "cpu"


def test_every_distribution_has_a_case():
    base = {"Distribution", "ExponentialFamily", "Independent", "MixtureSameFamily", "TransformedDistribution"}
    classes = {n for n in torch.distributions.__all__ if isinstance(getattr(torch.distributions, n), type) and "Transform" not in n[1:]}
    assert classes - base - set(CASES) - {"Transform"} == set()


@pytest.mark.parametrize("name", CASES)
def test_samples_and_density(name):
    ours, theirs = both(name)
    assert tuple(ours.batch_shape) == tuple(theirs.batch_shape) and tuple(ours.event_shape) == tuple(theirs.event_shape)
    rl.manual_seed(3)
    torch.manual_seed(3)
    a, b = ours.sample((5,)), theirs.sample((5,))
    if draws_as_pytorch():
        near(a, b)
    else:
        many = (3000,)
        near(ours.sample(many).double().tanh().mean(0), theirs.sample(many).double().tanh().mean(0), 0.1)
    value = torch.tensor(a.tolist()).to(b.dtype)
    near(ours.log_prob(rl.tensor(value.tolist()).to(a.dtype)), theirs.log_prob(value), 1e-3)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", ["mean", "variance", "stddev", "mode", "entropy", "perplexity", "enumerate_support"])
def test_properties(name, what):
    ours, theirs = both(name)

    def value(d):
        found = getattr(d, what)
        return found() if callable(found) else found

    if (name, what) == ("Kumaraswamy", "mode"):
        assert value(ours).tolist() == pytest.approx([(0.5 / 2.75) ** (1 / 1.5), (1 / 5) ** 0.5])  # PyTorch takes log1p of numbers below -1
        return
    try:
        expected = value(theirs)
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            value(ours)
        return
    near(value(ours), expected)


@pytest.mark.parametrize("name", CASES)
def test_cdf_and_quantile(name):
    ours, theirs = both(name)
    for method, points in (("cdf", theirs.sample((3,))), ("icdf", torch.tensor([[0.2], [0.6]]))):
        try:
            expected = getattr(theirs, method)(points)
        except NotImplementedError:
            with pytest.raises(NotImplementedError):
                getattr(ours, method)(rl.tensor(points.tolist()))
            continue
        near(getattr(ours, method)(rl.tensor(points.tolist()).to(rl.float32)), expected)


@pytest.mark.parametrize("name", CASES)
def test_expand(name):
    ours, theirs = both(name)
    shape = (4, *theirs.batch_shape)
    a, b = ours.expand(shape), theirs.expand(shape)
    assert tuple(a.batch_shape) == tuple(b.batch_shape)
    x = theirs.sample()
    near(a.log_prob(rl.tensor(x.tolist()).to(rl.float32)), b.log_prob(x), 1e-3)


def test_divergences():
    from torch.distributions.kl import _KL_REGISTRY

    pairs = 0
    for p, q in itertools.product(CASES, CASES):
        ours_p, theirs_p = both(p)
        ours_q, theirs_q = both(q)
        if (type(theirs_p), type(theirs_q)) not in _KL_REGISTRY:
            continue
        near(rl.distributions.kl_divergence(ours_p, ours_q), torch.distributions.kl_divergence(theirs_p, theirs_q), 1e-3)
        pairs += 1
    assert pairs > 60


@pytest.mark.parametrize("name", ["Normal", "Gamma", "Dirichlet", "Beta", "StudentT", "MultivariateNormal", "RelaxedBernoulli", "Weibull"])
def test_gradients_through_samples(name):
    grads, number = [], 3 if draws_as_pytorch() else 3000
    for lib in (rl, torch):
        arguments = {k: v.requires_grad_() for k, v in CASES[name](lib).items() if isinstance(v, lib.Tensor)}
        given = {**CASES[name](lib), **arguments}
        lib.manual_seed(5)
        getattr(lib.distributions, name)(**given).rsample((number,)).tanh().mean(0).sum().backward()
        grads.append([v.grad for v in arguments.values()])
    for a, b in zip(*grads):
        near(a, b, 2e-3 if draws_as_pytorch() else 0.1)


def test_mixture_and_independent():
    results = []
    for lib in (rl, torch):
        d = lib.distributions
        mixture = d.MixtureSameFamily(d.Categorical(probs=lib.tensor([0.3, 0.7])), d.Normal(lib.tensor([0.0, 3.0]), lib.tensor([1.0, 0.5])))
        block = d.Independent(d.Normal(lib.zeros(2, 3), lib.ones(2, 3)), 1)
        lib.manual_seed(0)
        drawn = (mixture.sample((4,)),) if draws_as_pytorch() else ()
        x = lib.tensor([0.1, -2.0, 3.5, 2.0])
        density = block.log_prob(lib.ones(2, 3))
        results.append((*drawn, mixture.log_prob(x), mixture.mean, mixture.variance, mixture.cdf(x), density, block.entropy()))
    for a, b in zip(*results):
        near(a, b)


@pytest.mark.parametrize("name", ["real", "positive", "unit_interval", "simplex", "lower_cholesky", "corr_cholesky", "positive_definite"])
@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registered_transforms(name, registry):
    results = []
    x = [[0.5, -1.0, 0.3]] if name == "corr_cholesky" else [[0.5, -1.0], [0.3, 0.2]]
    for lib in (rl, torch):
        d = lib.distributions
        try:
            f = getattr(d, registry)(getattr(d.constraints, name))
        except NotImplementedError:
            results.append(())
            continue
        z = lib.tensor(x)
        y = f(z)
        assert bool(f.codomain.check(y).all())
        both_ways = (f.log_abs_det_jacobian(z, y),) if f.bijective else ()
        results.append((y, f.inv(y), *both_ways))
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results):
        near(a, b)


def test_invalid_arguments():
    d = rl.distributions
    with pytest.raises(ValueError, match="to satisfy the constraint GreaterThan"):
        d.Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="to be within the support"):
        d.Bernoulli(0.5).log_prob(rl.tensor(2.0))
    with pytest.raises(ValueError, match="Either `probs` or `logits`"):
        d.Bernoulli()
    with pytest.raises(NotImplementedError, match="No KL"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.StudentT(2.0))
    assert d.Normal(0.0, -1.0, validate_args=False).loc.item() == 0


@pytest.mark.parametrize("path", ["normal.Normal", "wishart.Wishart", "relaxed_bernoulli.RelaxedBernoulli", "utils.broadcast_all"])
def test_module_paths(path):
    import importlib

    room, name = path.split(".")
    assert hasattr(importlib.import_module(f"rushlight.distributions.{room}"), name)


@pytest.mark.parametrize("path", [
    "multivariate_normal", "normal", "bernoulli", "von_mises", "studentT", "independent", "relaxed_categorical", "wishart",
])  # fmt: skip
def test_files_of_distributions_have_the_names_that_pytorchs_import(path):
    """botorch imports ``Distribution`` from the file of MultivariateNormal."""
    module = importlib.import_module(f"rushlight.distributions.{path}")
    assert module.Distribution is rl.distributions.Distribution and module.Tensor is rl.Tensor
    assert module.lazy_property is rl.distributions.utils.lazy_property
