"""What all distributions share: parameters that broadcast, conversions between probabilities and log odds, properties computed once."""

import functools
from numbers import Number

import rushlight as rl

euler_constant = 0.57721566490153286060


def broadcast_all(*values):
    """Tensors and numbers as tensors of one shape; numbers get the dtype of the first tensor, or the default one."""
    if not all(isinstance(v, rl.Tensor) or rl.overrides.is_tensor_like(v) or isinstance(v, Number) for v in values):
        raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__.")
    first = next((v for v in values if isinstance(v, rl.Tensor)), None)
    options = {"dtype": rl.get_default_dtype()} if first is None else {"dtype": first.dtype, "device": first.device}
    return rl.broadcast_tensors(*(v if isinstance(v, rl.Tensor) else rl.tensor(v, **options) for v in values))


def _standard_normal(shape, dtype, device):
    """Normal numbers of mean 0 and variance 1."""
    return rl.normal(rl.zeros(shape, dtype=dtype, device=device), rl.ones(shape, dtype=dtype, device=device))


def _sum_rightmost(value, dim):
    """The sum over the last ``dim`` dimensions."""
    return value if dim == 0 else value.reshape(*value.shape[:-dim], -1).sum(-1)


def logits_to_probs(logits, is_binary=False):
    """Probabilities of log odds (binary), or of unnormalised log probabilities along the last dimension."""
    return rl.sigmoid(logits) if is_binary else rl.softmax(logits, -1)


def clamp_probs(probs):
    """``probs`` kept from 0 and 1 by the precision of their dtype."""
    eps = rl.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary=False):
    """Log odds of probabilities (binary), or log probabilities."""
    p = clamp_probs(probs)
    return rl.log(p) - rl.log1p(-p) if is_binary else rl.log(p)


class lazy_property:
    """A property that is computed at its first use, with gradients, and then kept."""

    def __init__(self, wrapped):
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance, owner=None):
        if instance is None:
            return _lazy_property_and_property(self.wrapped)
        with rl.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _lazy_property_and_property(lazy_property, property):
    """What the class itself shows of a lazy_property: documentation."""

    def __init__(self, wrapped):
        property.__init__(self, wrapped)


def tril_matrix_to_vec(mat, diag=0):
    """The lower triangles of matrices as vectors, row by row; ``diag`` as in tril()."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    i, j = rl.tril_indices(n, n, diag, device=mat.device)
    return mat[..., i, j]


def vec_to_tril_matrix(vec, diag=0):
    """Lower triangular matrices from vectors of their elements, row by row; ``diag`` as in tril()."""
    k = vec.shape[-1]
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * k + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > rl.finfo(vec.dtype).eps or round(n) != n:
        raise ValueError(
            f"The size of last dimension is {k} which cannot be expressed as the lower triangular part of a square D x D matrix."
        )
    n = round(n)
    i, j = rl.tril_indices(n, n, diag, device=vec.device)
    mat = rl.zeros(*vec.shape[:-1], n, n, dtype=vec.dtype, device=vec.device)
    return mat.flatten(-2).index_copy(-1, i * n + j, vec).unflatten(-1, (n, n))
