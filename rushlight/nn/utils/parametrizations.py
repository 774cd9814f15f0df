"""Ready-made parametrizations: weight norm, spectral norm, orthogonal matrices."""

import rushlight as torch

from .. import functional as F
from ..modules.module import Module
from . import parametrize

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """g * v / |v|, the norm over all dimensions but ``dim``."""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / torch.norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight):
        return torch.norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """``module.name`` as length times direction, one length per slice of ``dim`` (Salimans and Kingma, 2016); returns ``module``.

    The length is ``parametrizations.name.original0``, the direction ``original1``.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}
    {'bias': (3,), 'parametrizations.weight.original0': (3, 1), 'parametrizations.weight.original1': (3, 4)}
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def read_old_names(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        for old, new in (("g", "original0"), ("v", "original1")):
            key = f"{prefix}{name}_{old}"
            if key in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.{new}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(read_old_names)
    return module


class _SpectralNorm(Module):
    """The weight divided by an estimate of its largest singular value, refined by power iteration in training mode."""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        rank = weight.dim()
        if not -rank <= dim < rank:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps = dim % rank, eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            height, width = matrix.size()
            self.register_buffer("_u", F.normalize(matrix.new_empty(height).normal_(0, 1), dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(matrix.new_empty(width).normal_(0, 1), dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight):
        """``dim`` first, the others flattened."""
        order = (self.dim, *(d for d in range(weight.dim()) if d != self.dim))
        return weight.permute(order).flatten(1)

    @torch.no_grad()
    def _power_method(self, matrix, steps):
        for _ in range(steps):
            self._u.copy_(F.normalize(torch.mv(matrix, self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(torch.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()
        return weight / torch.dot(u, torch.mv(matrix, v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """``module.name`` divided by its largest singular value (Miyato et al., 2018), as a matrix of rows ``dim``; returns ``module``.

    dim: 0, for transposed convolutions 1. Raises ValueError if there is no such parameter.

    The singular value is estimated by n_power_iterations steps of the power method at each use in training.

    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=50)
    >>> bool((torch.linalg.matrix_norm(layer.weight, 2) - 1).abs() < 1e-2)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, torch.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        nn = torch.nn
        transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        dim = 1 if isinstance(module, transposed) else 0
    parametrize.register_parametrization(module, name, _SpectralNorm(weight.detach(), n_power_iterations, dim, eps))
    return module


class _Orthogonal(Module):
    """An orthogonal (or tall or wide semi-orthogonal) matrix from any matrix, times a fixed ``base`` if there is one."""

    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        rows, columns = X.size(-2), X.size(-1)
        wide = rows < columns
        X = X.mT if wide else X
        rows, columns = max(rows, columns), min(rows, columns)
        if self.orthogonal_map == "householder":
            A = X.tril(-1)
            tau = 2.0 / (1.0 + (A * A).sum(-2))
            Q = torch.linalg.householder_product(A, tau)
            signs = X.diagonal(dim1=-2, dim2=-1).detach().sign()  # of the columns; they are not trained
            Q = Q * signs.unsqueeze(-2)
        else:
            Q = self._from_skew(X, rows, columns)
        if hasattr(self, "base"):
            Q = self.base @ Q
        return Q.mT if wide else Q

    def _from_skew(self, X, rows, columns):
        """The matrix exponential or the Cayley transform of the skew-symmetric part."""
        A = X.tril()
        if rows != columns:
            A = torch.cat([A, A.new_zeros(rows, rows - columns).expand(*A.shape[:-2], -1, -1)], -1)
        A = A - A.mH
        if self.orthogonal_map == "matrix_exp":
            Q = torch.matrix_exp(A)
        else:
            identity = torch.eye(rows, dtype=A.dtype, device=A.device)
            Q = torch.linalg.solve(identity - 0.5 * A, identity + 0.5 * A)
        return Q if rows == columns else Q[..., :columns]

    @torch.no_grad()
    def right_inverse(self, Q):
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}.")
        rows, columns = Q.size(-2), Q.size(-1)
        wide = rows < columns
        Q = Q.mT if wide else Q
        rows, columns = max(rows, columns), min(rows, columns)
        if not hasattr(self, "base"):
            return self._without_base(Q, wide)
        # An orthogonal matrix close to Q becomes the base; the free matrix starts at a preimage of the identity.
        if rows != columns:
            free = torch.randn(*Q.shape[:-2], rows, rows - columns, dtype=Q.dtype, device=Q.device)
            self.base = _orthogonalised(torch.cat([Q, free], -1))
        else:
            self.base = Q.clone() if _is_orthogonal(Q) else _orthogonalised(Q)
        start = torch.zeros_like(Q)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start.mT if wide else start

    def _without_base(self, Q, wide):
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False."
            )
        A, tau = torch.geqrf(Q)
        A.diagonal(dim1=-2, dim2=-1).sign_()
        A.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
        return A.mT if wide else A


def _is_orthogonal(Q):
    eps = 10.0 * Q.size(-2) * torch.finfo(Q.dtype).eps
    identity = torch.eye(Q.size(-1), dtype=Q.dtype, device=Q.device)
    return bool(torch.allclose(Q.mH @ Q, identity, atol=eps))


def _orthogonalised(X):
    """The orthogonal factor of a square X whose triangular factor has a positive diagonal."""
    A, tau = torch.geqrf(X)
    return torch.linalg.householder_product(A, tau) * A.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keeps ``module.name`` orthogonal (unitary); returns ``module``.

    orthogonal_map: "matrix_exp" (default for square or complex matrices), "cayley" or "householder" (default otherwise).
    use_trivialization: the parametrization starts at the present value (Lezcano-Casado, 2019).

    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 3))
    >>> torch.allclose(layer.weight @ layer.weight.T, torch.eye(3), atol=1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, torch.Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions."
        )
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    parametrize.register_parametrization(
        module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True
    )
    return module
