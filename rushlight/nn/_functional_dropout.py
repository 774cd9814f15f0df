"""Dropout: random zeros in training. Masks are drawn by bernoulli_, in PyTorch's order."""

import warnings

import rushlight as torch


def _check(p):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _channel_mask(input):
    """An uninitialised mask with one element per sample and channel."""
    if input.dim() < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return input.new_empty([*input.shape[:2], *[1] * (input.dim() - 2)])


def _shared_by_examples():
    from ..autograd.vmap import CannotBatch

    return CannotBatch


def _drawn(mask, p):
    """The mask, filled; under vmap, where its examples share it but draw numbers of their own, a mask for each."""
    try:
        return mask.bernoulli_(p)
    except _shared_by_examples():
        return torch.bernoulli(mask, p)


def _drop(input, mask, p, inplace):
    """``input`` times a mask of 0 and 1 / (1 - p)."""
    if p == 1:
        keep = torch.zeros((), dtype=input.dtype, device=input.device)
    else:
        keep = _drawn(mask, 1 - p).div_(1 - p)
    return input.mul_(keep) if inplace else input * keep


def dropout(input, p=0.5, training=True, inplace=False):
    """Zeros each element with probability p and scales the others by 1 / (1 - p), so that the mean stays; the identity outside of
    training (Srivastava et al., 2014). Raises ValueError for p outside [0, 1].

    >>> F.dropout(torch.ones(1000), p=0.2).unique()
    tensor([0.0000, 1.2500])
    >>> x = torch.ones(3)
    >>> F.dropout(x, training=False) is x
    True
    """
    _check(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    return _drop(input, torch.empty_like(input), p, inplace)


def _feature_dropout(input, p, training, inplace):
    if not training or p == 0 or input.numel() == 0:
        return input
    return _drop(input, _channel_mask(input), p, inplace)


def dropout1d(input, p=0.5, training=True, inplace=False):
    """Zeros whole channels with probability p and scales the others by 1 / (1 - p): (N, C, L) or (C, L) (Tompson et al., 2015).

    >>> kept = F.dropout1d(torch.ones(100, 4), p=0.5)
    >>> torch.equal(kept[:, 0], kept[:, 3]), kept.unique()
    (True, tensor([0., 2.]))
    """
    _check(p)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    if input.dim() == 3:
        return _feature_dropout(input, p, training, inplace)
    result = _feature_dropout(input.unsqueeze(0), p, training, inplace)
    return input if inplace else result.squeeze(0)


def _warn_rank(name, input, spatial):
    if input.dim() not in (spatial + 1, spatial + 2):
        warnings.warn(
            f"{name}: Received a {input.dim()}-D input to {name}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {name} exists to "
            f"provide channel-wise dropout on inputs with {spatial} spatial dimensions, a channel dimension, and an optional batch "
            f"dimension (i.e. {spatial + 1}D or {spatial + 2}D inputs).",
            stacklevel=3,
        )


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Zeros whole channels with probability p and scales the others by 1 / (1 - p): (N, C, H, W) (Tompson et al., 2015).

    A 3-D input is read as (N, C, L), with a warning.

    >>> kept = F.dropout2d(torch.ones(10, 8, 4, 4), p=0.75)
    >>> kept.flatten(2).var(2).max(), kept.unique()  # a channel is all 0 or all 1 / (1 - 0.75)
    (tensor(0.), tensor([0., 4.]))
    """
    _check(p)
    _warn_rank("dropout2d", input, 2)
    if input.dim() == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is "
            "interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future release to "
            "interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise dropout "
            "behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _feature_dropout(input, p, training, inplace)


def dropout3d(input, p=0.5, training=True, inplace=False):
    """Zeros whole channels with probability p and scales the others by 1 / (1 - p): (N, C, D, H, W) or (C, D, H, W).

    >>> F.dropout3d(torch.ones(60, 2, 2, 2), p=0.5).flatten(1).sum(1).unique()
    tensor([ 0., 16.])
    """
    _check(p)
    _warn_rank("dropout3d", input, 3)
    if input.dim() == 5:
        return _feature_dropout(input, p, training, inplace)
    result = _feature_dropout(input.unsqueeze(0), p, training, inplace)
    return input if inplace else result.squeeze(0)


# What SELU tends to for large negative values: -scale * alpha.
_SELU_FLOOR = 1.7580993408473766


def _alpha_drop(input, mask, p, inplace):
    """Sets dropped elements to SELU's lower limit, then restores mean 0 and variance 1 by an affine map."""
    if p == 1:
        keep = torch.zeros((), dtype=input.dtype, device=input.device)
        return input.mul_(keep) if inplace else input * keep
    keep = mask.bernoulli_(1 - p)
    a = 1.0 / ((_SELU_FLOOR**2 * p + 1) * (1 - p)) ** 0.5
    b = (keep - 1) * (_SELU_FLOOR * a) + _SELU_FLOOR * a * p
    keep = keep * a
    return input.mul_(keep).add_(b) if inplace else input * keep + b


def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps the mean 0 and variance 1 of SELU networks (Klambauer et al., 2017); ``training`` is False by default.

    A dropped element becomes what SELU tends to below, -1.7581; then a * x + b restores the mean and the variance.

    >>> F.alpha_dropout(torch.zeros(1000), p=0.5, training=True).unique()
    tensor([-0.7792,  0.7792])
    >>> F.alpha_dropout(torch.zeros(2), p=0.5)
    tensor([0., 0.])
    """
    _check(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    return _alpha_drop(input, torch.empty_like(input), p, inplace)


def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """:func:`alpha_dropout` of whole channels: (N, C, *).

    >>> kept = F.feature_alpha_dropout(torch.zeros(20, 5, 4, 4), p=0.5, training=True)
    >>> kept.flatten(2).var(2).max(), kept.unique().numel()
    (tensor(0.), 2)
    """
    _check(p)
    if not training or p == 0 or input.numel() == 0:
        return input
    return _alpha_drop(input, _channel_mask(input), p, inplace)
