"""torch.special, the gamma family, integers' divisors and the parts of floats, against PyTorch."""

import pytest
from expressions import check, check_gradients, rows
from oracle import rl, torch


@rows(
    """
    T.polygamma(1, x + .5)
    x.add(.5).polygamma(2)
    T.polygamma(0, x + 1)
    T.polygamma(-1, x)
    (x + 1).polygamma_(1)
    T.special.polygamma(3, x + 1)
    T.mvlgamma(x + 3, 2)
    (x + 3).mvlgamma_(3)
    T.special.multigammaln(x + 3, 2)
    T.mvlgamma(x, 0)
    T.igamma(x + .5, x + 1)
    T.igammac(x + .5, x + 1)
    T.igamma(L([0., 0, 1, 2, -1, 1, 100, 1000]), L([0., 1, 0, float('inf'), 1, -1, 110, 900]))
    T.igammac(L([0., 0, 1, 2, -1, 1, 100, 1000]), L([0., 1, 0, float('inf'), 1, -1, 110, 900]))
    T.special.gammainc(x[:, :1] + 1, x)
    T.special.gammaincc(x.to(f64) + 1, x.to(f64))
    T.special.bessel_j0(x)
    T.special.bessel_j1(x)
    T.special.bessel_y0(x)
    T.special.bessel_y1(x)
    T.special.modified_bessel_k0(x.abs() + .01)
    T.special.modified_bessel_k1(x.abs() + .01)
    T.special.scaled_modified_bessel_k0(x.abs() * 40 + .01)
    T.special.scaled_modified_bessel_k1(x.abs() * 40 + .01)
    T.special.modified_bessel_k1(L([0., -1, float('nan'), float('inf')]))
    T.special.airy_ai(x * 3 - 20)
    T.special.airy_ai((x * 3).to(f64))
    T.special.spherical_bessel_j0(x)
    T.special.spherical_bessel_j0(L([0., float('inf'), 1e-5]))
    T.special.expit(x)
    T.special.psi(x + 1)
    T.special.gammaln(x + 1)
    T.special.softmax(x, 1)
    T.special.log_softmax(x, 0)
    T.special.logsumexp(x, 0)
    T.special.round(x / 3)
    T.special.logit(x / 20)
    T.special.sinc(x)
    T.special.xlogy(x, x)
    T.special.xlog1py(x, x)
    T.special.exp2(x)
    T.special.erfcx(x)
    T.special.chebyshev_polynomial_t(x / 8 - .4, 4)
    T.special.chebyshev_polynomial_t(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.chebyshev_polynomial_u(x / 8 - .4, 4)
    T.special.chebyshev_polynomial_u(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.chebyshev_polynomial_v(x / 8 - .4, 4)
    T.special.chebyshev_polynomial_v(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.chebyshev_polynomial_w(x / 8 - .4, 4)
    T.special.chebyshev_polynomial_w(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.shifted_chebyshev_polynomial_t(x / 8 - .4, 4)
    T.special.shifted_chebyshev_polynomial_t(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.shifted_chebyshev_polynomial_u(x / 8 - .4, 4)
    T.special.shifted_chebyshev_polynomial_u(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.shifted_chebyshev_polynomial_v(x / 8 - .4, 4)
    T.special.shifted_chebyshev_polynomial_v(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.shifted_chebyshev_polynomial_w(x / 8 - .4, 4)
    T.special.shifted_chebyshev_polynomial_w(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.hermite_polynomial_h(x / 8 - .4, 4)
    T.special.hermite_polynomial_h(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.hermite_polynomial_he(x / 8 - .4, 4)
    T.special.hermite_polynomial_he(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.laguerre_polynomial_l(x / 8 - .4, 4)
    T.special.laguerre_polynomial_l(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.legendre_polynomial_p(x / 8 - .4, 4)
    T.special.legendre_polynomial_p(x[:1] / 9, L([[0], [1], [3], [-1]]))
    T.special.modified_bessel_i0(x)
    T.special.modified_bessel_i1(x)
    x.float_power(2)
    T.float_power(2, x)
    T.float_power(L([1, 2]), L([3, 4]))
    L([1., 2], dtype=f64).float_power_(2)
    x.float_power_(2)
    T.gcd(L([12, 0, -8, 7, 0]), L([18, 5, 12, 7, 0]))
    L([12, 8]).gcd_(L([8, 12]))
    T.lcm(L([12, 0, -8, 7, 0]), L([18, 5, 12, 7, 0]))
    L([12, 8], dtype=T.uint8).lcm(L([8, 12], dtype=T.uint8))
    T.gcd(x, x)
    T.frexp(x - 5)
    T.frexp(L([0., -0., float('inf'), -float('inf'), 1e-45, 3e-40, 1.5]))
    T.frexp(L([0., 5e-324, 1e300, -.3], dtype=f64))
    T.frexp((x - 5).half())
    T.frexp((x - 5).bfloat16())
    T.frexp(L([1]))
    T.nextafter(x, x + 1) - x
    T.nextafter(x, x - 1) == x
    T.nextafter(L([0., 0., 1., -1., float('nan'), 1.]), L([1., -1., 1., 0., 1., float('inf')]))
    T.nextafter(L([0.], dtype=f64), L([-1.], dtype=f64))
    T.nextafter(x[:2, :1], x[:1])
    T.nextafter(L([1]), L([2]))
    """
)
def test_values(row):
    check(row, scale=4)


@rows(
    """
    T.polygamma(1, a)
    T.polygamma(2, a)
    T.mvlgamma(a + 2, 3)
    a.float_power(2.5)
    T.frexp(a).mantissa
    T.special.xlogy(a, d)
    """
)
def test_gradients(row):
    check_gradients(row)


@pytest.mark.parametrize("name", ["igamma", "igammac"])
def test_gradient_of_the_incomplete_gamma_function(name):
    found = []
    for lib in (torch, rl):
        x = lib.tensor([0.5, 1.0, 4.0], dtype=lib.float64, requires_grad=True)
        (g,) = lib.autograd.grad(
            getattr(lib, name)(lib.tensor([0.7, 2.0, 3.0], dtype=lib.float64), x).sum(), x, create_graph=True
        )
        found.append([g.tolist(), lib.autograd.grad(g.sum(), x)[0].tolist()])
    assert [pytest.approx(values) for values in found[0]] == found[1]


@pytest.mark.parametrize("name", ["igamma", "igammac"])
@pytest.mark.parametrize("a, rel", [(2e6, 1e-9), (1e8, 1e-9), (1e12, 1e-9), (1e18, 1e-6), (1e300, 1e-9)])
def test_the_incomplete_gamma_function_of_large_arguments(name, a, rel):
    """Its series would have sqrt(a) terms, and at last never end."""
    values = [0.0, 1.0, *(a * (1 + k / a**0.5) for k in (-3, -1, -0.1, 0, 0.1, 1, 3)), a * (1 - 2.0**-52), a / 2, 2 * a]
    found = []
    for lib in (torch, rl):
        x = lib.tensor(values, dtype=lib.float64)
        found.append(getattr(lib, name)(lib.full_like(x, a), x).tolist())
    assert found[1] == pytest.approx(found[0], rel=rel, abs=1e-13)  # (further out PyTorch's are not good to a digit)


def test_polygamma_of_a_huge_order():
    """Its kernel would take an hour to compile: its first factor is infinite, which is all there is to say."""
    x = [1.0, 2.0]
    for n in (200, 201):
        assert str(rl.polygamma(n, rl.tensor(x)).tolist()) == str(torch.polygamma(n, torch.tensor(x)).tolist())
    assert rl.polygamma(1 << 40, rl.empty(0, 3)).shape == (0, 3)


def test_entropy_at_zero_is_as_pytorchs():
    """0 without a sign, with an infinite slope on the right; below 0 neither a number nor a slope."""
    for T in (rl, torch):
        x = T.tensor([0.0, -0.0, 0.5, -1.0], requires_grad=True)
        y = T.special.entr(x)
        (slope,) = T.autograd.grad(y.sum(), x)
        assert not T.signbit(y.detach())[:2].any() and y[3] == -float("inf")
        assert slope[:2].isinf().all() and bool((slope[:2] > 0).all()) and slope[3].isnan()
