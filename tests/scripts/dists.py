import torch
import torch.distributions as D
from torch.distributions import constraints, kl_divergence, register_kl

torch.manual_seed(77)
dists = {
    "bern": D.Bernoulli(logits=torch.tensor([0.2, -1.0])),
    "beta": D.Beta(2.0, torch.tensor([1.0, 3.0])),
    "binom": D.Binomial(5, torch.tensor([0.3, 0.9])),
    "cat": D.Categorical(torch.tensor([[0.2, 0.8], [0.6, 0.4]])),
    "cauchy": D.Cauchy(0.0, 1.0),
    "chi2": D.Chi2(torch.tensor([3.0])),
    "dir": D.Dirichlet(torch.tensor([1.0, 2.0, 3.0])),
    "exp": D.Exponential(torch.tensor([2.0])),
    "fs": D.FisherSnedecor(3.0, 4.0),
    "gamma": D.Gamma(2.0, torch.tensor([3.0, 0.5])),
    "geo": D.Geometric(torch.tensor([0.3])),
    "gumbel": D.Gumbel(1.0, 2.0),
    "halfn": D.HalfNormal(torch.tensor([2.0])),
    "halfc": D.HalfCauchy(1.0),
    "ig": D.InverseGamma(3.0, 2.0),
    "kuma": D.Kumaraswamy(2.0, 3.0),
    "lkj": D.LKJCholesky(3, 0.5),
    "laplace": D.Laplace(0.0, torch.tensor([1.0, 2.0])),
    "logn": D.LogNormal(0.0, 0.5),
    "lrmvn": D.LowRankMultivariateNormal(torch.zeros(3), torch.ones(3, 1), torch.ones(3)),
    "multi": D.Multinomial(6, torch.tensor([0.2, 0.3, 0.5])),
    "mvn": D.MultivariateNormal(torch.zeros(2), torch.tensor([[2.0, 0.5], [0.5, 1.0]])),
    "nb": D.NegativeBinomial(4, torch.tensor([0.4])),
    "normal": D.Normal(torch.zeros(2), torch.tensor([1.0, 2.0])),
    "onehot": D.OneHotCategorical(torch.tensor([0.1, 0.2, 0.7])),
    "pareto": D.Pareto(1.0, 3.0),
    "poisson": D.Poisson(torch.tensor([1.5, 4.0])),
    "rb": D.RelaxedBernoulli(torch.tensor(0.5), torch.tensor([0.3])),
    "roh": D.RelaxedOneHotCategorical(torch.tensor(0.7), torch.tensor([0.2, 0.8])),
    "t": D.StudentT(5.0),
    "unif": D.Uniform(-1.0, torch.tensor([1.0, 2.0])),
    "vm": D.VonMises(0.0, 4.0),
    "weib": D.Weibull(1.0, 2.0),
    "wish": D.Wishart(torch.tensor([4.0]), torch.eye(2)),
    "cb": D.ContinuousBernoulli(torch.tensor([0.3])),
    "mix": D.MixtureSameFamily(D.Categorical(torch.ones(2)), D.Normal(torch.tensor([-1.0, 1.0]), 0.5)),
    "ind": D.Independent(D.Normal(torch.zeros(3), 1.0), 1),
}
for name, d in dists.items():
    s = d.sample((2,))
    try:
        ent = d.entropy()
    except NotImplementedError:
        ent = None
    print(name, d, s.flatten()[:4], d.log_prob(s).flatten()[:3], ent, d.batch_shape, d.event_shape, d.has_rsample)
    try:
        print("   ", d.mean.flatten()[:2], d.variance.flatten()[:2], d.cdf(s).flatten()[:2], d.support)
    except NotImplementedError:
        pass
for a, b in (
    ("normal", "normal"),
    ("beta", "beta"),
    ("gamma", "exp"),
    ("bern", "bern"),
    ("dir", "dir"),
    ("mvn", "mvn"),
    ("laplace", "laplace"),
    ("poisson", "poisson"),
    ("cat", "cat"),
    ("unif", "normal"),
):
    print(a, b, kl_divergence(dists[a], dists[b]))
mu, rho = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
for dist in (
    lambda: D.Normal(mu, rho.exp()),
    lambda: D.Gamma(rho.exp(), mu.exp()),
    lambda: D.Beta(rho.exp(), mu.exp()),
    lambda: D.Laplace(mu, rho.exp()),
    lambda: D.StudentT(3.0, mu, rho.exp()),
    lambda: D.Dirichlet(rho.exp()),
    lambda: D.RelaxedOneHotCategorical(torch.tensor(0.5), logits=mu),
    lambda: D.Gumbel(mu, rho.exp()),
):
    mu.grad = rho.grad = None
    dist().rsample((4,)).pow(2).sum().backward()
    print(mu.grad, rho.grad)
tr = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0), D.PowerTransform(torch.tensor(0.5))])
x = torch.tensor([0.1, 0.5])
print(
    tr(x),
    tr.inv(tr(x)),
    tr.log_abs_det_jacobian(x, tr(x)),
    D.StickBreakingTransform()(x),
    D.CorrCholeskyTransform()(torch.tensor([0.1, 0.2, 0.3])),
    D.SoftmaxTransform()(x),
)
print(
    D.biject_to(constraints.positive)(x),
    D.transform_to(constraints.simplex)(x),
    constraints.interval(0, 1).check(torch.tensor([0.5, 2.0])),
    D.Normal(0, 1).icdf(torch.tensor(0.975)),
)
print(
    D.Categorical(torch.ones(3)).enumerate_support(), D.Normal(0.0, 1.0).expand([2]).sample().shape, D.Binomial(2, 0.5).enumerate_support()
)
try:
    D.Normal(0.0, -1.0)
except ValueError as e:
    print(str(e).splitlines()[0])


class Mine(D.Normal):
    pass


@register_kl(Mine, Mine)
def _kl(p, q):
    return torch.tensor(42.0)


print(kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)))
# Bayes by backprop
w_mu, w_rho = torch.zeros(1, requires_grad=True), torch.full((1,), -1.0, requires_grad=True)
X = torch.linspace(-1, 1, 20)
Y = 2 * X + 0.1 * torch.randn(20)
opt = torch.optim.Adam([w_mu, w_rho], 0.1)
for i in range(30):
    q = D.Normal(w_mu, torch.nn.functional.softplus(w_rho))
    w = q.rsample()
    loss = -D.Normal(w * X, 0.1).log_prob(Y).sum() + kl_divergence(q, D.Normal(0.0, 1.0)).sum()
    opt.zero_grad(), loss.backward(), opt.step()
print(w_mu.item(), w_rho.item(), loss.item())
