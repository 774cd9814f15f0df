"""Operators of PyTorch's core that have no name in its public interface, or other arguments than there: what ``torch.ops.aten`` offers
besides the functions of the package; names with an underscore are names of the package as well. The module is imported when one of them
is asked for.

>>> torch.ops.aten.native_dropout_backward(torch.ones(2), torch.tensor([True, False]), 2.0)
tensor([2., 0.])
"""

import rushlight as torch

from .nn import functional as F

names = {}
"""Name -> function."""


def primitive(function):
    """Makes a function one of ``torch.ops.aten``."""
    names[function.__name__] = function
    return function


def _named(**functions):
    names.update(functions)


# -- by another name --

_named(
    _adaptive_avg_pool2d=F.adaptive_avg_pool2d,
    _adaptive_avg_pool3d=F.adaptive_avg_pool3d,
    _conj_physical=torch.conj_physical,
    _convolution=lambda *args: torch.convolution(*args[:9]),  # what follows are switches of libraries
    _linalg_det=lambda A: (torch.linalg.det(A), *torch.linalg.lu_factor(A)),
    _linalg_eigh=lambda A, UPLO="L", compute_v=True: torch.linalg.eigh(A, UPLO),
    _linalg_svd=lambda A, full_matrices=False, compute_uv=True, *, driver=None: torch.linalg.svd(A, full_matrices),
    _local_scalar_dense=lambda input: input.item(),
    _log_softmax=lambda input, dim, half_to_float=False: input.log_softmax(dim),
    _neg_view=lambda input: -input,
    _pin_memory=lambda input, device=None: input.pin_memory(),
    _prelu_kernel=torch.prelu,
    _reshape_alias=lambda input, size, stride: input.as_strided(size, stride),
    _softmax=lambda input, dim, half_to_float=False: input.softmax(dim),
    _sparse_addmm=lambda x, a, b, *, beta=1, alpha=1: beta * x + alpha * (a @ b),
    _sparse_mm=torch.sparse.mm,
    _to_copy=lambda input, **options: input.to(**options, copy=True),
    _unsafe_index=lambda input, indices: names["index"](input, indices),
    _unsafe_index_put=torch.index_put,
    _unsafe_view=lambda input, size: input.reshape(size),
    adaptive_max_pool2d=lambda input, size: F.adaptive_max_pool2d(input, size, True),
    adaptive_max_pool3d=lambda input, size: F.adaptive_max_pool3d(input, size, True),
    alias=lambda input: input.view_as(input),
    col2im=lambda input, size, kernel, dilation, padding, stride: F.fold(input, size, kernel, dilation, padding, stride),
    copy=lambda input, source, non_blocking=False: torch.empty_like(input).copy_(source),
    im2col=F.unfold,
    index=lambda input, indices: input[tuple(slice(None) if i is None else i for i in indices)],
    lift=lambda input: input,
    lift_fresh=lambda input: input,
    lift_fresh_copy=torch.clone,
    log_sigmoid=F.logsigmoid,
    log_sigmoid_forward=lambda input: (F.logsigmoid(input), input.new_empty(0)),
    max_pool2d_with_indices=lambda *args, **options: F.max_pool2d(*args, **options, return_indices=True),
    max_pool3d_with_indices=lambda *args, **options: F.max_pool3d(*args, **options, return_indices=True),
    slice=lambda x, dim=0, start=None, end=None, step=1: x[(slice(None),) * (dim % x.dim()) + (slice(start, end, step),)],
    sym_numel=torch.numel,
    sym_size=lambda input, dim=None: input.size() if dim is None else input.size(dim),
    sym_storage_offset=lambda input: input.storage_offset(),
    sym_stride=lambda input, dim=None: input.stride() if dim is None else input.stride(dim),
)


# -- reductions are numbers --


def _by(reduction):
    """The reduction that a number stands for, as a keyword."""
    return {"reduction": ("none", "mean", "sum")[reduction]}


_named(
    mse_loss=lambda input, target, reduction=1: F.mse_loss(input, target, **_by(reduction)),
    l1_loss=lambda input, target, reduction=1: F.l1_loss(input, target, **_by(reduction)),
    smooth_l1_loss=lambda input, target, reduction=1, beta=1.0: F.smooth_l1_loss(input, target, beta=beta, **_by(reduction)),
    huber_loss=lambda input, target, reduction=1, delta=1.0: F.huber_loss(input, target, delta=delta, **_by(reduction)),
    soft_margin_loss=lambda input, target, reduction=1: F.soft_margin_loss(input, target, **_by(reduction)),
    binary_cross_entropy=lambda input, target, weight=None, reduction=1: F.binary_cross_entropy(input, target, weight, **_by(reduction)),
    nll_loss=lambda input, target, weight=None, reduction=1, ignore_index=-100: F.nll_loss(
        input, target, weight, ignore_index=ignore_index, **_by(reduction)
    ),
    cross_entropy_loss=lambda input, target, weight=None, reduction=1, ignore_index=-100, label_smoothing=0.0: F.cross_entropy(
        input, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, **_by(reduction)
    ),
)


@primitive
def nll_loss_forward(input, target, weight, reduction, ignore_index):
    """The loss, and the sum of the weights by which a mean divides."""
    counted = target != ignore_index
    weights = torch.ones_like(target, dtype=input.dtype) if weight is None else weight[target.where(counted, torch.zeros_like(target))]
    total = (weights * counted).sum() if reduction else input.new_zeros(())
    return names["nll_loss"](input, target, weight, reduction, ignore_index), total


_named(nll_loss2d_forward=nll_loss_forward)


# -- images --


def _padding(mode):
    return lambda input, padding: F.pad(input, padding, mode)


def _upsampling(mode, antialias=False):
    """(input, output_size, [align_corners,] scale_factors): one list, or a factor for each dim."""

    def upsample(input, output_size, *args, align_corners=None, scale_factors=None, **scales):
        if mode != "nearest" and args:
            align_corners, *args = args
        if args or scales:
            factors = [s for s in (*args, *scales.values()) if s is not None]
            scale_factors = factors[0] if factors and isinstance(factors[0], (list, tuple)) else factors or None
        options = {} if mode == "nearest" else {"align_corners": align_corners}
        if output_size is not None:
            return F.interpolate(input, tuple(output_size), mode=mode, antialias=antialias, **options)
        return F.interpolate(input, scale_factor=tuple(scale_factors), mode=mode, antialias=antialias, **options)

    return upsample


_named(**{f"reflection_pad{n}d": _padding("reflect") for n in (1, 2, 3)})
_named(**{f"replication_pad{n}d": _padding("replicate") for n in (1, 2, 3)})
_named(**{f"upsample_nearest{n}d": _upsampling("nearest") for n in (1, 2, 3)})
_named(
    upsample_linear1d=_upsampling("linear"), upsample_bilinear2d=_upsampling("bilinear"), upsample_bicubic2d=_upsampling("bicubic"),
    upsample_trilinear3d=_upsampling("trilinear"), _upsample_bilinear2d_aa=_upsampling("bilinear", True),
    _upsample_bicubic2d_aa=_upsampling("bicubic", True),
)  # fmt: skip


# -- parts of layers --


@primitive
def _native_batch_norm_legit(input, weight, bias, *args):
    """:func:`torch.native_batch_norm`: (..., running_mean, running_var, training, momentum, eps), or without running statistics.

    >>> torch._native_batch_norm_legit(torch.tensor([[1.], [5.]]), None, None, True, 0.1, 1e-5)[1:]
    (tensor([3.]), tensor([0.5000]))
    """
    stats = args if len(args) == 5 else (None, None, *args)
    return torch.native_batch_norm(input, weight, bias, *stats)


@primitive
def _native_batch_norm_legit_no_training(input, weight, bias, running_mean, running_var, momentum, eps):
    return torch.native_batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)


@primitive
def _batch_norm_with_update(input, weight, bias, running_mean, running_var, momentum, eps):
    """``native_batch_norm`` in training, and bytes that a library would keep for the gradient: none."""
    found = torch.native_batch_norm(input, weight, bias, running_mean, running_var, True, momentum, eps)
    return *found, torch.empty(0, dtype=torch.uint8)


@primitive
def _safe_softmax(input, dim, dtype=None):
    """``softmax`` that is 0 along rows of nothing but -inf, where it would be nan.

    >>> torch._safe_softmax(torch.tensor([[0., 0.], [-torch.inf, -torch.inf]]), 1)
    tensor([[0.5000, 0.5000],
            [0.0000, 0.0000]])
    """
    out = input.softmax(dim, dtype=dtype)
    return out.masked_fill((input == -torch.inf).all(dim, keepdim=True), 0)


@primitive
def _chunk_cat(tensors, dim, num_chunks):
    """Each tensor cut into ``num_chunks`` along ``dim``, padded with zeros; the chunks of one number lie side by side as one row.

    >>> torch._chunk_cat([torch.tensor([1, 2, 3]), torch.tensor([4, 5])], 0, 2)
    tensor([[1, 2, 4],
            [3, 0, 5]])
    """
    rows = []
    for x in tensors:
        d = dim % x.dim()
        room = -x.size(d) % num_chunks
        rows.append(F.pad(x, [0] * (2 * (x.dim() - 1 - d) + 1) + [room]).reshape(*x.shape[:d], num_chunks, -1))
    return torch.cat(rows, -1)


def _masked_places(input, mask, indices):
    """The indices where the mask holds, and places that there are (the first of each dim) elsewhere."""
    return tuple(None if i is None else i.where(mask, torch.zeros_like(i)).clamp(-n, n - 1) for i, n in zip(indices, input.shape))


@primitive
def _unsafe_masked_index(input, mask, indices, fill):
    """``input[indices]`` where the mask holds, ``fill`` elsewhere: there indices may lie outside.

    >>> torch._unsafe_masked_index(torch.tensor([1., 2.]), torch.tensor([True, False]), [torch.tensor([1, 9])], 0.)
    tensor([2., 0.])
    """
    return names["index"](input, _masked_places(input, mask, indices)).masked_fill(~mask, fill)


@primitive
def _unsafe_masked_index_put_accumulate(input, mask, indices, values):
    """``values`` added to a copy of ``input`` at ``indices``, where the mask holds."""
    return torch.index_put(input, _masked_places(input, mask, indices), values.masked_fill(~mask, 0), accumulate=True)


# -- Fourier transforms --


def _norm(normalization, forward):
    """The name of a scale that is given by its number: none, by the root of n, by n."""
    return ("backward" if forward else "forward", "ortho", "forward" if forward else "backward")[normalization]


@primitive
def _fft_c2c(input, dim, normalization, forward):
    transform = torch.fft.fftn if forward else torch.fft.ifftn
    return transform(input, dim=dim, norm=_norm(normalization, forward))


@primitive
def _fft_r2c(input, dim, normalization, onesided):
    transform = torch.fft.rfftn if onesided else torch.fft.fftn
    return transform(input, dim=dim, norm=_norm(normalization, True))


@primitive
def _fft_c2r(input, dim, normalization, last_dim_size):
    sizes = [input.size(d) for d in dim[:-1]] + [last_dim_size]
    return torch.fft.irfftn(input, s=sizes, dim=dim, norm=_norm(normalization, False))


# -- gradients --


def _gradients(function, grad, tensors, mask=None):
    """The gradients of ``function`` with respect to those of the tensors that the mask names; None for the others. It runs once more for
    them: where that costs as much as the gradient, which does not need the result, call an operator's own ``backward``.
    """
    mask = [t is not None and (mask is None or mask[i]) for i, t in enumerate(tensors)]
    with torch.enable_grad():
        leaves = [t if t is None else t.detach().requires_grad_(wanted) for t, wanted in zip(tensors, mask)]
        found = iter(torch.autograd.grad(function(*leaves), [t for t, wanted in zip(leaves, mask) if wanted], grad))
    return tuple(next(found) if wanted else None for wanted in mask)


@primitive
def convolution_backward(
    grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, output_mask
):
    """The gradients of input, weight and bias; None where output_mask is False.

    >>> x, w = torch.ones(1, 1, 3), torch.ones(1, 1, 2)
    >>> torch.ops.aten.convolution_backward(torch.ones(1, 1, 2), x, w, [1], [1], [0], [1], False, [0], 1, [True, False, True])
    (tensor([[[1., 2., 1.]]]), None, tensor([2.]))
    """
    return torch.convolution.backward(
        grad_output, input, weight, stride, padding, dilation, transposed, output_padding, groups, output_mask
    )


@primitive
def _scaled_dot_product_flash_attention_for_cpu(query, key, value, dropout_p=0.0, is_causal=False, *, attn_mask=None, scale=None):
    """Attention, and the logarithms of the sums by which its scores are divided.

    >>> x = torch.ones(1, 1, 2, 1)
    >>> [tuple(part.shape) for part in torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(x, x, x)]
    [(1, 1, 2, 1), (1, 1, 2)]
    """
    with torch.no_grad():
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -float("inf"))
        logs = (scores if attn_mask is None else scores + attn_mask).logsumexp(-1)
    return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale), logs


@primitive
def native_layer_norm_backward(grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask):
    """The gradients of input, weight and bias; None where output_mask is False."""
    dims, lead = tuple(range(-len(normalized_shape), 0)), tuple(range(input.dim() - len(normalized_shape)))
    standard = (input - mean) * rstd
    scaled = grad_out if weight is None else grad_out * weight
    projected = standard * (scaled * standard).mean(dims, keepdim=True)
    gradients = (
        lambda: rstd * (scaled - scaled.mean(dims, keepdim=True) - projected),
        lambda: (grad_out * standard).sum(lead) if lead else grad_out * standard,
        lambda: grad_out.sum(lead) if lead else grad_out.clone(),
    )
    return tuple(found() if wanted else None for found, wanted in zip(gradients, output_mask))


@primitive
def _softmax_backward_data(grad_output, output, dim, input_dtype):
    scaled = grad_output * output
    return (scaled - output * scaled.sum(dim, keepdim=True)).to(input_dtype)


@primitive
def _log_softmax_backward_data(grad_output, output, dim, input_dtype):
    return (grad_output - output.exp() * grad_output.sum(dim, keepdim=True)).to(input_dtype)


@primitive
def embedding_dense_backward(grad_output, indices, num_weights, padding_idx, scale_grad_by_freq):
    size = num_weights, grad_output.size(-1)
    return torch.embedding.backward(grad_output, indices, padding_idx, scale_grad_by_freq, False, (size,))


@primitive
def max_pool2d_with_indices_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode, indices):
    flat = torch.zeros_like(input).flatten(-2)
    return flat.scatter_add(-1, indices.flatten(-2), grad_output.flatten(-2)).view(input.shape)


@primitive
def nll_loss_backward(grad_output, input, target, weight, reduction, ignore_index, total_weight):
    return _gradients(lambda x: names["nll_loss"](x, target, weight, reduction, ignore_index), grad_output, (input,))[0]


@primitive
def index_select_backward(grad_output, input_sizes, dim, index):
    return grad_output.new_zeros(input_sizes).index_add(dim, index, grad_output)


@primitive
def select_backward(grad_output, input_sizes, dim, index):
    whole = grad_output.new_zeros(input_sizes)
    whole.select(dim, index).copy_(grad_output)
    return whole


@primitive
def slice_backward(grad_output, input_sizes, dim, start, end, step):
    whole = grad_output.new_zeros(input_sizes)
    names["slice"](whole, dim, start, end, step).copy_(grad_output)
    return whole


def _upsampling_backward(name):
    def backward(grad_output, output_size, input_size, *args, **options):
        x = grad_output.new_zeros(input_size)
        return _gradients(lambda x: names[name](x, output_size, *args[:1], **options), grad_output, (x,))[0]

    return backward


_named(**{f"{name}_backward": _upsampling_backward(name) for name in [n for n in names if n.startswith("upsample_")]})


def _backward_of(function):
    """(grad, input, *args): the gradient of ``function(input, *args)``."""
    return lambda grad, input, *args, **options: _gradients(lambda x: function(x, *args, **options), grad, (input,))[0]


_named(
    _adaptive_avg_pool2d_backward=lambda grad, input: _backward_of(F.adaptive_avg_pool2d)(grad, input, tuple(grad.shape[-2:])),
    avg_pool2d_backward=_backward_of(F.avg_pool2d),
    binary_cross_entropy_backward=_backward_of(names["binary_cross_entropy"]),
    gelu_backward=_backward_of(F.gelu),
    glu_backward=_backward_of(F.glu),
    hardshrink_backward=_backward_of(F.hardshrink),
    hardsigmoid_backward=_backward_of(F.hardsigmoid),
    hardswish_backward=_backward_of(F.hardswish),
    hardtanh_backward=_backward_of(F.hardtanh),
    leaky_relu_backward=lambda grad, input, slope, of_result: grad.where(input > 0, grad * slope),
    log_sigmoid_backward=lambda grad, input, buffer: _backward_of(F.logsigmoid)(grad, input),
    mish_backward=_backward_of(F.mish),
    mse_loss_backward=_backward_of(names["mse_loss"]),
    native_dropout_backward=lambda grad, mask, scale: grad * mask * scale,
    sigmoid_backward=lambda grad, output: grad * output * (1 - output),
    silu_backward=_backward_of(F.silu),
    smooth_l1_loss_backward=_backward_of(names["smooth_l1_loss"]),
    softplus_backward=_backward_of(F.softplus),
    softshrink_backward=_backward_of(F.softshrink),
    tanh_backward=lambda grad, output: grad * (1 - output * output),
    threshold_backward=lambda grad, input, threshold: grad.masked_fill(input <= threshold, 0),
)


# -- under the names of the rooms they are in --

_ROOMS = {"linalg_": torch.linalg, "special_": torch.special, "fft_": torch.fft}


def find(name):
    """The operator of PyTorch's core of this name, or None."""
    if name in names:
        return names[name]
    hidden = name.startswith("_") and not name.startswith(("_foreach_", "_fused_"))
    rooms = () if hidden else (torch, torch.Tensor, F)
    for prefix, room in _ROOMS.items():
        if name.startswith(prefix):
            name, rooms = name.removeprefix(prefix), (room,)
    found = next((getattr(room, name) for room in rooms if hasattr(room, name)), None)
    return found if callable(found) else None
