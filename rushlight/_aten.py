"""Functions of ``torch.`` whose arguments are those of PyTorch's inner library: reductions are numbers, states come with the results.

Those of :mod:`rushlight.nn.functional` say what they compute; here only the form of the call is another. The module is imported when the
package is asked for a name that it does not know; what it offers is marked by ``@public``.
"""

import math

import rushlight as torch

from .nn import _functional_dropout as _dropout
from .nn import _functional_embedding as _embedding
from .nn import _functional_rnn as _rnn
from .nn import functional as F
from .ops._define import visible

names = {}
"""Name -> function: everything that the package takes from here."""


def public(function):
    """Makes a function one of ``torch.``."""
    names[function.__name__] = function
    return function


# functions of nn.functional that PyTorch also has at the top, with the same leading parameters
for _name in """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc pixel_shuffle pixel_unshuffle
        channel_shuffle native_channel_shuffle rrelu rrelu_ celu_ selu_ threshold_ cosine_similarity pairwise_distance avg_pool1d
        max_pool1d max_pool2d max_pool3d max_pool1d_with_indices adaptive_avg_pool1d rms_norm""".split():
    public(getattr(F, _name))


# -- losses --


def _reduction(number):
    """'none', 'mean' or 'sum' for 0, 1, 2."""
    return ("none", "mean", "sum")[number]


@public
def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=1):
    """See :func:`nn.functional.binary_cross_entropy_with_logits`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.binary_cross_entropy_with_logits(torch.zeros(2), torch.tensor([0., 1.]), reduction=2)
    tensor(1.3863)
    """
    return F.binary_cross_entropy_with_logits(input, target, weight, reduction=_reduction(reduction), pos_weight=pos_weight)


@public
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=1):
    """See :func:`nn.functional.cosine_embedding_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.cosine_embedding_loss(torch.eye(2), torch.eye(2), torch.tensor([1., -1.]), reduction=0)
    tensor([0., 1.])
    """
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_reduction(reduction))


@public
def hinge_embedding_loss(input, target, margin=1.0, reduction=1):
    """See :func:`nn.functional.hinge_embedding_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.hinge_embedding_loss(torch.tensor([0.5, 0.5]), torch.tensor([1., -1.]), reduction=2)
    tensor(1.)
    """
    return F.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


@public
def kl_div(input, target, reduction=1, *, log_target=False):
    """See :func:`nn.functional.kl_div`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.kl_div(torch.tensor([0.5, 0.5]).log(), torch.tensor([1., 0.]), 2)
    tensor(0.6931)
    """
    return F.kl_div(input, target, reduction=_reduction(reduction), log_target=log_target)


@public
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=1):
    """See :func:`nn.functional.margin_ranking_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.margin_ranking_loss(torch.tensor([1., 2.]), torch.tensor([2., 1.]), torch.ones(2), reduction=0)
    tensor([1., 0.])
    """
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_reduction(reduction))


@public
def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    """See :func:`nn.functional.poisson_nll_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.poisson_nll_loss(torch.zeros(2), torch.ones(2), True, False, 1e-8, 2)
    tensor(2.)
    """
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_reduction(reduction))


@public
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, reduction=1):
    """See :func:`nn.functional.triplet_margin_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> torch.triplet_margin_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([[0.5, 0.]]), reduction=2)
    tensor(0.5000)
    """
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction))


@public
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction=1, zero_infinity=False):
    """See :func:`nn.functional.ctc_loss`; reduction: 0 none, 1 mean, 2 sum.

    >>> scores = torch.zeros(2, 1, 3).log_softmax(2)  # two steps, one sample, three classes
    >>> torch.ctc_loss(scores, torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1]), reduction=0)
    tensor([1.0986])
    """
    return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _reduction(reduction), zero_infinity)


# -- normalisation --


@public
def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=True):
    """See :func:`nn.functional.batch_norm`; cudnn_enabled has no effect.

    >>> torch.batch_norm(torch.tensor([[1.], [3.]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@public
def instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=True):
    """See :func:`nn.functional.instance_norm`; cudnn_enabled has no effect.

    >>> torch.instance_norm(torch.tensor([[[1., 3.]]]), None, None, None, None, True, 0.1, 0., False)
    tensor([[[-1.,  1.]]])
    """
    return F.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@public
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """See :func:`nn.functional.layer_norm`; cudnn_enable has no effect.

    >>> torch.layer_norm(torch.tensor([[1., 3.]]), (2,), eps=0.)
    tensor([[-1.,  1.]])
    """
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


@public
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """See :func:`nn.functional.group_norm`; cudnn_enabled has no effect.

    >>> torch.group_norm(torch.tensor([[1., 3., 0., 8.]]), 2, eps=0.)
    tensor([[-1.,  1., -1.,  1.]])
    """
    return F.group_norm(input, num_groups, weight, bias, eps)


def _moments(input, dims, eps, weight):
    """(mean, reciprocal deviation) over ``dims``, which stay as 1: in float32 where the weights are of that and the input is narrower."""
    if weight is not None and weight.dtype is torch.float32:
        input = input.to(torch.promote_types(input.dtype, torch.float32))
    var, mean = torch.var_mean(input, dims, correction=0, keepdim=True)
    return mean, torch.rsqrt(var + eps)


@public
def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """``(batch_norm, mean, reciprocal deviation)`` of the channels; the latter two are empty unless ``training``.

    >>> out, mean, rstd = torch.native_batch_norm(torch.tensor([[1.], [5.]]), None, None, None, None, True, 0.1, 1e-5)
    >>> out, mean, rstd
    (tensor([[-1.0000],
            [ 1.0000]]), tensor([3.]), tensor([0.5000]))
    """
    out = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return out, input.new_empty((0,)), input.new_empty((0,))
    mean, rstd = _moments(input.detach(), [d for d in range(input.dim()) if d != 1], eps, weight)
    return out, mean.reshape(-1), rstd.reshape(-1)


@public
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """``(layer_norm, mean, reciprocal deviation)`` over the last dims.

    >>> torch.native_layer_norm(torch.tensor([[1., 5.]]), (2,), None, None, 0.)
    (tensor([[-1.,  1.]]), tensor([[3.]]), tensor([[0.5000]]))
    """
    mean, rstd = _moments(input.detach(), list(range(input.dim() - len(normalized_shape), input.dim())), eps, weight)
    return F.layer_norm(input, normalized_shape, weight, bias, eps), mean, rstd


@public
def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """``(group_norm, mean, reciprocal deviation)`` of N samples of C channels of HxW elements, in ``group`` groups.

    >>> torch.native_group_norm(torch.tensor([[1., 5., 0., 8.]]), None, None, 1, 4, 1, 2, 0.)
    (tensor([[-1.,  1., -1.,  1.]]), tensor([[3., 4.]]), tensor([[0.5000, 0.2500]]))
    """
    mean, rstd = _moments(input.reshape(N, group, C // group * HxW), [2], eps, weight)
    return F.group_norm(input, group, weight, bias, eps), mean.squeeze(2), rstd.squeeze(2)


@public
def norm_except_dim(v, pow=2, dim=0):
    """The norm over all dims but ``dim``, which keeps its place; dim=-1: over all.

    >>> torch.norm_except_dim(torch.tensor([[3., 4.], [6., 8.]]), 2, 0)
    tensor([[ 5.],
            [10.]])
    """
    if dim == -1:
        return v.norm(pow)
    others = [d for d in range(v.dim()) if d != dim % v.dim()]
    return v.norm(pow, others, keepdim=True) if others else v.unsqueeze(-1).norm(pow, -1)  # no dims would mean all of them


@public
def frobenius_norm(input, dim, keepdim=False):
    """The root of the sum of squares over ``dim``, an int or a tuple (empty: all dims).

    >>> torch.frobenius_norm(torch.tensor([[3., 4.]]), (0, 1))
    tensor(5.)
    """
    return torch.linalg.vector_norm(input, 2, dim if dim != () and dim != [] else None, keepdim)


@public
@visible
def nuclear_norm(input, dim=None, keepdim=False):
    """The sum of the singular values of the matrices in two dims.

    >>> torch.nuclear_norm(torch.diag(torch.tensor([3., 4.])))
    tensor(7.)
    """
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    return torch.linalg.matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)


# -- dropout --


def _drops(name):
    """``torch.name(input, p, train)`` and its in-place form."""
    function = getattr(F, name, None) or _feature_dropout

    def out_of_place(input, p, train):
        return function(input, p, train)

    def in_place(input, p, train):
        return function(input, p, train, True)

    for form, title in ((out_of_place, name), (in_place, name + "_")):
        form.__name__ = form.__qualname__ = title
        example = f">>> torch.{title}(torch.ones(1, 2), 0.5, False)\ntensor([[1., 1.]])"
        form.__doc__ = f"``{name}`` with probability p where ``train``; see :mod:`nn.functional`.\n\n{example}\n"
        public(form)


def _feature_dropout(input, p, train, inplace=False):
    """Zeros whole channels with probability p."""
    _dropout._check(p)
    return _dropout._feature_dropout(input, p, train, inplace)


for _name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"):
    _drops(_name)


@public
def native_dropout(input, p, train):
    """``(dropout, mask)``: the mask is True for what is kept.

    >>> torch.native_dropout(torch.ones(2), 0.5, False)
    (tensor([1., 1.]), tensor([True, True]))
    """
    if not train:
        return input, torch.ones_like(input, dtype=torch.bool)
    if p == 1:
        return torch.zeros_like(input), torch.zeros_like(input, dtype=torch.bool)
    mask = torch.empty_like(input).bernoulli_(1 - p)
    return input * mask * (1 / (1 - p)), mask.bool()


# -- embeddings, images, pooling --


@public
def embedding_bag(weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False, per_sample_weights=None,
                  include_last_offset=False, padding_idx=None):  # fmt: skip
    """``(bags, the bag of each index, the sizes of the bags, for mode 2 the rows of the maxima)``; mode: 0 sum, 1 mean, 2 max.

    >>> table = torch.tensor([[1.], [2.], [4.]])
    >>> torch.embedding_bag(table, torch.tensor([0, 1, 2]), torch.tensor([0, 2]))[0]  # rows 0 and 1, row 2
    tensor([[3.],
            [4.]])
    """
    how = ("sum", "mean", "max")[mode]
    out = F.embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, how, sparse, per_sample_weights, include_last_offset, padding_idx
    )
    starts = offsets[:-1] if include_last_offset else offsets
    bag = torch.searchsorted(starts, torch.arange(indices.numel(), dtype=starts.dtype), right=True) - 1
    counted = torch.ones_like(bag) if padding_idx is None else (indices != padding_idx).to(bag.dtype)
    sizes = torch.zeros_like(starts).index_add(0, bag.to(torch.int64), counted.to(starts.dtype))
    if mode != 2:
        return out, bag, sizes, torch.empty(0, dtype=indices.dtype)
    rows = [indices[(bag == b) & (counted != 0)] for b in range(starts.numel())]
    best = [r[weight.detach()[r].argmax(0)] if r.numel() else torch.zeros(weight.shape[1], dtype=indices.dtype) for r in rows]
    return out, bag, sizes, torch.stack(best) if best else torch.empty((0, weight.shape[1]), dtype=indices.dtype)


@public
def embedding_renorm_(weight, indices, max_norm, norm_type):
    """Scales the rows of ``weight`` that ``indices`` name down to the norm ``max_norm``, in place.

    >>> torch.embedding_renorm_(torch.tensor([[3.], [4.]]), torch.tensor([1]), 2., 2.).round(decimals=3)
    tensor([[3.],
            [2.]])
    """
    _embedding._renormalise(weight, indices, max_norm, norm_type)
    return weight


@public
def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """See :func:`nn.functional.grid_sample`; modes: 0 bilinear, 1 nearest, 2 bicubic; padding: 0 zeros, 1 border, 2 reflection.

    >>> image = torch.arange(4.).reshape(1, 1, 2, 2)
    >>> torch.grid_sampler(image, torch.zeros(1, 1, 1, 2), 0, 0, True)  # the middle
    tensor([[[[1.5000]]]])
    """
    return F.grid_sample(
        input, grid, ("bilinear", "nearest", "bicubic")[interpolation_mode], ("zeros", "border", "reflection")[padding_mode], align_corners
    )


@public
def grid_sampler_2d(input, grid, interpolation_mode, padding_mode, align_corners):
    """:func:`grid_sampler` of images.

    >>> torch.grid_sampler_2d(torch.arange(4.).reshape(1, 1, 2, 2), torch.ones(1, 1, 1, 2), 0, 0, True)
    tensor([[[[3.]]]])
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@public
def grid_sampler_3d(input, grid, interpolation_mode, padding_mode, align_corners):
    """:func:`grid_sampler` of volumes.

    >>> torch.grid_sampler_3d(torch.arange(8.).reshape(1, 1, 2, 2, 2), torch.zeros(1, 1, 1, 1, 3), 0, 0, True).item()
    3.5
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@public
def affine_grid_generator(theta, size, align_corners):
    """See :func:`nn.functional.affine_grid`.

    >>> torch.affine_grid_generator(torch.eye(2, 3).unsqueeze(0), (1, 1, 1, 2), True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    return F.affine_grid(theta, size, align_corners)


@public
def adaptive_max_pool1d(input, output_size):
    """``(maxima, their places)``; see :func:`nn.functional.adaptive_max_pool1d`.

    >>> torch.adaptive_max_pool1d(torch.tensor([[1., 3., 2., 0.]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


# -- recurrent networks --


def _module(mode, call):
    """How the module of a mode is made, for the examples: RNN(2, 3, nonlinearity='relu')."""
    kind, _, nonlinearity = mode.lower().partition("_")
    return f"{kind.upper()}{call}" + (f", nonlinearity={nonlinearity!r})" if nonlinearity else ")")


def _layers(mode, states):
    """``torch.lstm``, ``torch.gru`` ...: padded input, or packed rows with their batch sizes."""

    def run(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional):
        state = tuple(hx) if states > 1 else (hx,)
        projection = states > 1 and state[0].shape[-1] != state[1].shape[-1]
        return _rnn._rnn(mode, data, batch_sizes, state, list(params), has_biases, dropout, train, bidirectional, projection)

    def padded(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first):
        data = input.transpose(0, 1) if batch_first else input
        out, last = run(data, None, hx, params, has_biases, num_layers, dropout, train, bidirectional)
        return (out.transpose(0, 1) if batch_first else out), *last

    def packed(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional):
        out, last = run(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)
        return out, *last

    def layers(*args, **kwargs):
        is_packed = "batch_sizes" in kwargs or (len(args) > 3 and isinstance(args[3], (list, tuple)))
        return (packed if is_packed else padded)(*args, **kwargs)

    name = mode.lower()
    layers.__name__ = layers.__qualname__ = name
    layers.__doc__ = (
        f"{mode} layers: (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first), or (data, "
        "batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional) of packed rows; params: the flat list of weights. "
        "Returns the outputs and the last states."
        f"\n\n>>> layer, state = nn.{_module(mode, '(2, 3')}, torch.zeros(1, 1, 3)\n"
        f">>> results = torch.{name}(torch.zeros(4, 1, 2), {'(state, state)' if states > 1 else 'state'}, list(layer.parameters()), "
        "True, 1, 0., False, False, False)\n"
        f">>> [tuple(result.shape) for result in results]\n{[(4, 1, 3)] + states * [(1, 1, 3)]}\n"
    )
    return public(layers)


def _cell(mode, states):
    """``torch.lstm_cell`` ...: one step."""

    def cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        state = tuple(hx) if states > 1 else (hx,)
        new = _rnn._rnn_cell(mode, input, state, w_ih, w_hh, b_ih, b_hh)
        return new if states > 1 else new[0]

    cell.__name__ = cell.__qualname__ = mode.lower() + "_cell"
    cell.__doc__ = (
        f"One step of {mode}: input (N, in), hx the state (N, hidden) or a tuple of states; returns the new one.\n\n"
        f">>> cell, state = nn.{_module(mode, 'Cell(2, 3')}, torch.zeros(1, 3)\n"
        f">>> new = torch.{cell.__name__}(torch.zeros(1, 2), {'(state, state)' if states > 1 else 'state'}, *cell.parameters())\n"
        f">>> {'[part.shape for part in new]' if states > 1 else 'new.shape'}\n"
        f"{'[torch.Size([1, 3]), torch.Size([1, 3])]' if states > 1 else 'torch.Size([1, 3])'}\n"
    )
    return public(cell)


for _mode, _states in (("LSTM", 2), ("GRU", 1), ("RNN_TANH", 1), ("RNN_RELU", 1)):
    _layers(_mode, _states)
    _cell(_mode, _states)


# -- segments --


@public
def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """Stretches of ``data`` along ``axis`` reduced by 'sum', 'mean', 'max', 'min' or 'prod'.

    lengths: how many elements each stretch has; or offsets: where they begin and the last one ends. Both may have leading dims,
    which are those of ``data`` before ``axis``. initial: what a stretch begins with, and what an empty one gives.

    >>> torch.segment_reduce(torch.tensor([1., 2., 3.]), "max", lengths=torch.tensor([2, 1]))
    tensor([2., 3.])
    """
    if reduce not in ("sum", "mean", "max", "min", "prod"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    cuts = lengths if offsets is None else offsets[..., 1:] - offsets[..., :-1]
    axis %= max(data.dim(), 1)
    if cuts.dim() > 1:
        rows = [segment_reduce(d, reduce, lengths=c, axis=axis - 1, initial=initial) for d, c in zip(data, cuts)]
        return torch.stack(rows)
    if lengths is not None and not unsafe and int(cuts.sum()) != data.shape[axis]:
        raise RuntimeError("segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe.")
    start = 0 if offsets is None else int(offsets[0])
    empty = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}[reduce] if initial is None else initial
    parts = []
    for n in cuts.tolist():
        part, start = data.narrow(axis, start, n), start + n
        parts.append(_segment(part, reduce, axis, initial, empty))
    return torch.stack(parts, axis) if parts else data.narrow(axis, 0, 0)


def _segment(part, reduce, axis, initial, empty):
    """One stretch reduced."""
    if not part.shape[axis]:
        return part.sum(axis) + empty
    if reduce in ("max", "min"):
        out = getattr(part, "a" + reduce)(axis)
        return out if initial is None else getattr(out, "clamp_" + {"max": "min", "min": "max"}[reduce])(initial)
    out = part.prod(axis) if reduce == "prod" else part.sum(axis)
    if initial is not None:
        out = out * initial if reduce == "prod" else out + initial
    return out / part.shape[axis] if reduce == "mean" else out


# -- control flow --


@public
def cond(pred, true_fn, false_fn, operands=()):
    """``true_fn(*operands)`` if ``pred`` holds, else ``false_fn(*operands)``; pred: a bool, or a tensor of one element.

    >>> torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.ones(2),))
    tensor([2., 2.])
    """
    return (true_fn if bool(pred) else false_fn)(*operands)


@public
def while_loop(cond_fn, body_fn, carried_inputs):
    """``body_fn(*carried)`` again and again while ``cond_fn(*carried)`` holds; the tuple that is carried at the end.

    >>> torch.while_loop(lambda n, x: n < 3, lambda n, x: (n + 1, 2 * x), (torch.tensor(0), torch.ones(2)))
    (tensor(3), tensor([8., 8.]))
    """
    carried = tuple(carried_inputs)
    while bool(cond_fn(*carried)):
        new = body_fn(*carried)
        carried = tuple(new) if isinstance(new, (tuple, list)) else (new,)
    return carried
