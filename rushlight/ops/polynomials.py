"""Orthogonal polynomials by their three-term recurrences. The degree ``n`` is a number or a tensor, which is broadcast with ``input``; a
fraction of it is cut off, and where it is negative the result is 0. None of them has a gradient.
"""

from .._core import operator as _operator
from .._core import tensor as _tensor
from ..lang import functions as fn
from . import arithmetic, comparison, creation, elementary, joining, masks, reduction, shape
from ._define import composite, constant, pointwise
from ._outputs import elementwise

Tensor = _tensor.Tensor
_int64 = _tensor.dtypes()["int64"]
_cos, _sin = elementary.cos, elementary.sin

_FEW = 6  # steps that make one kernel; beyond, a closed form is used where there is one
_UNTIL_NAN = 64  # every so many steps a recurrence asks whether all is NaN, where it stays


def _polynomial(step=None, *, closed=None, shifted=False):
    """Makes a family of polynomials of ``step(k, x, p[k], p[k - 1])``, which gives ``p[k + 1]``; p[0] is 1 and p[-1] is 0.

    closed(x, n): where a closed form holds, which takes as long for any degree, and its value; shifted: at 2 x - 1 in place of x.
    """
    if step is None:
        return lambda step: _polynomial(step, closed=closed, shifted=shifted)

    @pointwise(name=f"_{step.__name__}", where="", inplace=False, floating=True, dtypes="real")
    def of_degree(input, n: constant = 1):
        x = 2 * input - 1 if shifted else input
        before, p = fn.const(0, x.type), fn.const(1, x.type)
        for k in range(n):
            before, p = p, step(k, x, p, before)
        return p

    def definition(input, n):
        if type(n) is int and 0 <= n <= _FEW and isinstance(input, Tensor):
            return of_degree(input.detach(), n)
        kind = _operator.result_type(input, n)
        x = shape.cast(input, kind if kind.is_floating_point else _tensor.get_default_dtype())
        degree = n if isinstance(n, Tensor) else creation.full((), n, dtype=_int64, device=x.device)
        x, degree = joining.broadcast_tensors(x.detach(), shape.cast(degree, _int64))
        x = 2 * x - 1 if shifted else x
        out, steps = masks.where(degree < 0, x * 0, x * 0 + 1), degree
        if closed is not None:
            holds, value = closed(x, degree)
            inside = (degree > _FEW) & holds
            out, steps = masks.where(inside, value, out), masks.where(inside, 0, degree)
        before, p = x * 0, x * 0 + 1
        for k in range(int(reduction.amax(steps)) if steps.numel() and not steps.is_meta else 0):
            before, p = p, step(k, x, p, before)
            out = masks.where(steps > k, p, out)
            if k % _UNTIL_NAN == _UNTIL_NAN - 1 and bool(reduction.all(comparison.isnan(p) | (steps <= k))):
                break
        return out

    definition.__name__, definition.__doc__ = step.__name__, step.__doc__
    composite(definition, where="special", memory=elementwise)
    return step


# -- Chebyshev's, of four kinds --


def _trigonometric(inside, at_end):
    """The closed form of Chebyshev's polynomials on [-1, 1]: ``inside(n, a)`` for x = cos(a), ``at_end(n, x, sign)`` for x = 1
    and -1, where sign is that of x**n."""

    def closed(x, n):
        degree = shape.cast(n, x.dtype)
        sign = shape.cast(masks.where((x > 0) | (n % 2 == 0), 1, -1), x.dtype)
        value = inside(degree, elementary.acos(x))
        return arithmetic.abs(x) <= 1, masks.where(arithmetic.abs(x) == 1, at_end(degree, x, sign), value)

    return closed


_first = _trigonometric(lambda n, a: _cos(n * a), lambda n, x, sign: sign)
_second = _trigonometric(lambda n, a: _sin((n + 1) * a) / _sin(a), lambda n, x, sign: sign * (n + 1))
_third = _trigonometric(
    lambda n, a: _cos((n + 0.5) * a) / _cos(a / 2), lambda n, x, sign: masks.where(x > 0, sign, sign * (2 * n + 1))
)
_fourth = _trigonometric(lambda n, a: _sin((n + 0.5) * a) / _sin(a / 2), lambda n, x, sign: masks.where(x > 0, 2 * n + 1, sign))


@_polynomial(closed=_first)
def chebyshev_polynomial_t(k, x, p, q):
    """Chebyshev's polynomial of the first kind: ``T[n](cos a) = cos(n a)``.

    >>> torch.special.chebyshev_polynomial_t(torch.tensor([0.5, 1., 2.]), 3)
    tensor([-1.,  1., 26.])
    """
    return x if k == 0 else 2 * x * p - q


@_polynomial(closed=_second)
def chebyshev_polynomial_u(k, x, p, q):
    """Chebyshev's polynomial of the second kind: ``U[n](cos a) = sin((n + 1) a) / sin(a)``.

    >>> torch.special.chebyshev_polynomial_u(torch.tensor([0.5, 1., 2.]), 3)
    tensor([-1.,  4., 56.])
    """
    return 2 * x * p - q


@_polynomial(closed=_third)
def chebyshev_polynomial_v(k, x, p, q):
    """Chebyshev's polynomial of the third kind: ``V[n](cos a) = cos((n + 1/2) a) / cos(a / 2)``.

    >>> torch.special.chebyshev_polynomial_v(torch.tensor([0.5, 1., 2.]), 3)
    tensor([-1.,  1., 41.])
    """
    return 2 * x - 1 if k == 0 else 2 * x * p - q


@_polynomial(closed=_fourth)
def chebyshev_polynomial_w(k, x, p, q):
    """Chebyshev's polynomial of the fourth kind: ``W[n](cos a) = sin((n + 1/2) a) / sin(a / 2)``.

    >>> torch.special.chebyshev_polynomial_w(torch.tensor([0.5, 1., 2.]), 3)
    tensor([-1.,  7., 71.])
    """
    return 2 * x + 1 if k == 0 else 2 * x * p - q


@_polynomial(closed=_first, shifted=True)
def shifted_chebyshev_polynomial_t(k, x, p, q):
    """:func:`chebyshev_polynomial_t` at 2 x - 1: the family that is orthogonal on [0, 1].

    >>> torch.special.shifted_chebyshev_polynomial_t(torch.tensor([0., 0.25, 0.75]), 3)
    tensor([-1.,  1., -1.])
    """
    return chebyshev_polynomial_t(k, x, p, q)


@_polynomial(closed=_second, shifted=True)
def shifted_chebyshev_polynomial_u(k, x, p, q):
    """:func:`chebyshev_polynomial_u` at 2 x - 1: the family that is orthogonal on [0, 1].

    >>> torch.special.shifted_chebyshev_polynomial_u(torch.tensor([0., 0.25, 0.75]), 3)
    tensor([-4.,  1., -1.])
    """
    return chebyshev_polynomial_u(k, x, p, q)


@_polynomial(closed=_third, shifted=True)
def shifted_chebyshev_polynomial_v(k, x, p, q):
    """:func:`chebyshev_polynomial_v` at 2 x - 1: the family that is orthogonal on [0, 1].

    >>> torch.special.shifted_chebyshev_polynomial_v(torch.tensor([0., 0.25, 0.75]), 3)
    tensor([-7.,  1., -1.])
    """
    return chebyshev_polynomial_v(k, x, p, q)


@_polynomial(closed=_fourth, shifted=True)
def shifted_chebyshev_polynomial_w(k, x, p, q):
    """:func:`chebyshev_polynomial_w` at 2 x - 1: the family that is orthogonal on [0, 1].

    >>> torch.special.shifted_chebyshev_polynomial_w(torch.tensor([0., 0.25, 0.75]), 3)
    tensor([-1.,  1., -1.])
    """
    return chebyshev_polynomial_w(k, x, p, q)


# -- Hermite's, Laguerre's, Legendre's --


@_polynomial
def hermite_polynomial_h(k, x, p, q):
    """The physicist's Hermite polynomial, with the leading term ``(2 x)**n``; orthogonal for the weight ``exp(-x**2)``.

    >>> torch.special.hermite_polynomial_h(torch.tensor(2.), torch.tensor([0, 1, 2, 3]))
    tensor([ 1.,  4., 14., 40.])
    """
    return 2 * x * p - 2 * k * q


@_polynomial
def hermite_polynomial_he(k, x, p, q):
    """The probabilist's Hermite polynomial, with the leading term ``x**n``; orthogonal for the weight ``exp(-x**2 / 2)``.

    >>> torch.special.hermite_polynomial_he(torch.tensor(2.), torch.tensor([0, 1, 2, 3]))
    tensor([1., 2., 3., 2.])
    """
    return x * p - k * q


@_polynomial
def laguerre_polynomial_l(k, x, p, q):
    """Laguerre's polynomial, 1 at 0; orthogonal on [0, inf) for the weight ``exp(-x)``.

    >>> torch.special.laguerre_polynomial_l(torch.tensor([0., 1., 2.]), 2)
    tensor([ 1.0000, -0.5000, -1.0000])
    """
    return ((2 * k + 1 - x) * p - k * q) / (k + 1)


@_polynomial
def legendre_polynomial_p(k, x, p, q):
    """Legendre's polynomial, 1 at 1; orthogonal on [-1, 1].

    >>> torch.special.legendre_polynomial_p(torch.tensor([0., 0.5, 1.]), 2)
    tensor([-0.5000, -0.1250,  1.0000])
    """
    return ((2 * k + 1) * x * p - k * q) / (k + 1)
