"""Transforms of vectors and matrices."""

import math

import rushlight as rl

from ..nn.functional import pad, softplus
from . import constraints
from .transforms import _Plain
from .utils import tril_matrix_to_vec, vec_to_tril_matrix


class SoftmaxTransform(_Plain):
    """y = softmax(x): not invertible (a constant added to x changes nothing); the inverse gives log(y).

    >>> SoftmaxTransform()(torch.tensor([1.0, 1.0, 1.0, 1.0]))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x):
        weights = (x - x.max(-1, True)[0]).exp()
        return weights / weights.sum(-1, True)

    def _inverse(self, y):
        return y.log()

    def forward_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape

    inverse_shape = forward_shape


def _remaining(z):
    """``(1, 1 - z0, (1 - z0)(1 - z1), ...)``: what is left of the stick before each break, and at the end."""
    return pad(_running_product(1 - z), (1, 0), value=1)


def _running_product(x):
    return rl.cumprod(x, -1)


class StickBreakingTransform(_Plain):
    """K - 1 numbers to K that sum to one: each takes a share of what is left of a stick of length one.

    >>> t = StickBreakingTransform()
    >>> t(torch.zeros(2)), t.inv(torch.tensor([0.5, 0.25, 0.25]))
    (tensor([0.3333, 0.3333, 0.3333]), tensor([0.6931, 0.0000]))
    """

    domain, codomain, bijective = constraints.real_vector, constraints.simplex, True

    @staticmethod
    def _offset(x):
        """The log of how many parts are still to come, so that x = 0 gives equal parts."""
        k = x.shape[-1]
        return (k - rl.arange(k, dtype=x.dtype, device=x.device)).log()

    def _call(self, x):
        z = rl.sigmoid(x - self._offset(x))
        z = z.clamp(min=rl.finfo(z.dtype).tiny, max=1 - rl.finfo(z.dtype).eps)
        return pad(z, (0, 1), value=1) * _remaining(z)

    def _inverse(self, y):
        shares = y[..., :-1]
        left = (1 - rl.cumsum(shares, -1)).clamp(min=rl.finfo(y.dtype).tiny)
        return shares.log() - left.log() + self._offset(shares)

    def log_abs_det_jacobian(self, x, y):
        x = x - self._offset(x)
        # log y' = log z + log(1 - z) + log(what is left), and y = z * (what is left)
        return (-x + rl.nn.functional.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return rl.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return rl.Size((*shape[:-1], shape[-1] - 1))


class CorrCholeskyTransform(_Plain):
    """D (D - 1) / 2 numbers to the Cholesky factor of a D x D correlation matrix.

    The numbers become partial correlations by tanh; each row is a stick of squares that sum to one.

    >>> L = CorrCholeskyTransform()(torch.zeros(3))
    >>> L
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """

    domain, codomain, bijective = constraints.real_vector, constraints.corr_cholesky, True

    def _call(self, x):
        eps = rl.finfo(x.dtype).eps
        r = vec_to_tril_matrix(rl.tanh(x).clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = _running_product((1 - r**2).sqrt())
        identity = rl.eye(r.shape[-1], dtype=r.dtype, device=r.device)
        return (r + identity) * pad(left[..., :-1], (1, 0), value=1)

    def _inverse(self, y):
        left = pad(1 - rl.cumsum(y * y, -1)[..., :-1], (1, 0), value=1)
        t = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(left, diag=-1).sqrt()
        return (t.log1p() - t.neg().log1p()) / 2

    def log_abs_det_jacobian(self, x, y, intermediates=None):
        left = 1 - rl.cumsum(y * y, -1)
        stick = 0.5 * tril_matrix_to_vec(left, diag=-2).log().sum(-1) if y.shape[-1] > 2 else 0.0
        return stick - 2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape):
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        n = shape[-1]
        d = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if d * (d - 1) // 2 != n:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return rl.Size((*shape[:-1], d, d))

    def inverse_shape(self, shape):
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return rl.Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


class LowerCholeskyTransform(_Plain):
    """Square matrices to lower triangular ones with a positive diagonal: the diagonal becomes its exponential.

    >>> LowerCholeskyTransform()(torch.tensor([[0.0, 5.0], [3.0, 0.0]]))
    tensor([[1., 0.],
            [3., 1.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x):
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y):
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Plain):
    """Square matrices to positive definite ones: L L^T of the LowerCholeskyTransform.

    >>> PositiveDefiniteTransform()(torch.tensor([[0.0, 5.0], [3.0, 0.0]]))
    tensor([[ 1.,  3.],
            [ 3., 10.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x):
        x = LowerCholeskyTransform()(x)
        return x @ x.mT

    def _inverse(self, y):
        return LowerCholeskyTransform().inv(rl.linalg.cholesky(y))
