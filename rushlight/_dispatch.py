"""Operators by PyTorch's names: what modes and classes with ``__torch_dispatch__`` are told of a call.

Here an operator has one definition, and nothing lies below it. PyTorch has a layer there, whose operators are fewer and have other names:
``torch.linear`` is a transposition and ``aten.addmm`` in it. This module says for a call of ours which calls those are. An operator that
PyTorch does not have is told under its own name, ``torch.ops.rushlight.<name>``.

>>> from rushlight.utils._python_dispatch import TorchDispatchMode
>>> class Log(TorchDispatchMode):
...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
...         print(func)
...         return func(*args, **(kwargs or {}))
>>> layer, x = torch.nn.Linear(3, 4), torch.ones(2, 3)
>>> with Log():
...     y = layer(x).relu()
aten.t.default
aten.addmm.default
aten.relu.default
"""

import functools
import math

from . import overrides, return_types
from ._core.operator import Signature
from ._core.tensor import Tensor
from ._ops import OpOverload, OpOverloadPacket, ops

# -- the names of forms --

_FORMS = {
    "Tensor": "add sub mul div slice split ldexp repeat_interleave slice_copy split_copy index frexp",
    "Tensor Scalar": "rsub fmod remainder copysign eq ne lt le gt ge bitwise_and bitwise_or bitwise_xor",
    "Tensor Scalar ": "searchsorted bucketize fill lerp masked_fill",
    "Tensor default": "clamp clamp_min clamp_max",
    "Tensor_Tensor Tensor_Scalar Scalar": "pow",
    "Tensor Tensor_Scalar Scalar_Tensor": "bitwise_left_shift bitwise_right_shift",
    "Tensor Scalar_Other Scalar_Self": "xlogy",
    "int": "transpose select unbind select_copy transpose_copy unbind_copy",
    "self": "where",
    "correction": "var std var_mean std_mean",
    "memory_format": "empty",
    "int_Tensor int_Scalar": "index_fill",
    "two": "scatter_reduce",
}
_FORM_OF = {name: forms.split() for forms, names in _FORMS.items() for name in names.split()}
_BY_DIM = {"sum": "dim_IntList", "count_nonzero": "dim_IntList", "prod": "dim_int"} | dict.fromkeys(
    "mean max min any all squeeze median nanmedian".split(), "dim"
)
_LAST = {"masked_fill": 2, "lerp": 2, "index_fill": 3}  # where the operand stands that may be a number; else second
_RENAMED = {"true_divide": "div", "_where": "where", "_vector_norm": "linalg_vector_norm"}
# whose dims or sizes are lists, where a program may write numbers: (tensor, dims), (tensor, *sizes), (*sizes)
_DIMS = frozenset("amax amin logsumexp mean nansum std std_mean sum var var_mean".split())
_SIZED = frozenset("expand flip new_empty new_full new_ones new_zeros permute repeat view".split())
_MADE = frozenset("empty ones rand randn zeros".split())

# compositions here that are operators of PyTorch's core
_WHOLE = frozenset("""
    addbmm addr alias_copy aminmax arange argmax argmin avg_pool3d bartlett_window bernoulli bernoulli_ bincount binomial blackman_window
    block_diag bucketize cat cauchy_ cholesky cholesky_inverse cholesky_solve complex conv_tbc cummax cummin cumprod cumsum diag_embed
    diagonal_scatter dist div div_ equal exponential_ eye fft_fftfreq fft_rfftfreq fill fill_ flip frexp geometric_ hamming_window
    hann_window heaviside histc huber_loss igamma igammac index_reduce index_reduce_ isin kaiser_window kthvalue linalg_eig
    linalg_householder_product linalg_lu linalg_lu_solve linalg_lstsq linalg_matrix_exp linalg_pinv linalg_qr linalg_vector_norm linspace
    log_normal_ logcumsumexp logspace lu_unpack masked_scatter max max_unpool2d max_unpool3d median min mode mse_loss multi_margin_loss
    multinomial nanmedian narrow_copy nonzero normal normal_ poisson polar randint randint_like randn rand rand_like randn_like
    randperm random_ renorm repeat repeat_interleave roll rot90 scalar_tensor scatter scatter_ scatter_reduce scatter_reduce_ searchsorted
    select_scatter slice_scatter smooth_l1_loss soft_margin_loss sort split stack std std_mean topk trace triangular_solve tril
    tril_indices triu triu_indices unbind uniform_ var var_mean zero_
""".split())  # fmt: skip

# operators that PyTorch's core has under no name, or under another, with other arguments
_OWN = frozenset("attention batch_norm_inference batch_norm_training flatten layer mixture moments rescaled reshape standardise".split())


def _form(name, args, kwargs):
    """The name of the form of ``name`` that PyTorch takes for these arguments."""
    if name in _BY_DIM:
        return _BY_DIM[name] if len(args) > 1 or "dim" in kwargs else "default"
    forms = _FORM_OF.get(name, ("default",))
    if len(forms) == 1:
        return forms[0]
    at = _LAST.get(name, 1)
    right = args[at] if len(args) > at else kwargs.get("other", kwargs.get("value", kwargs.get("weight")))
    left_is, right_is = isinstance(args[0] if args else None, Tensor), isinstance(right, Tensor)
    return forms[0 if right_is and left_is else 1 if left_is or len(forms) == 2 else 2]


def _normal(op, args, kwargs):
    """Arguments as PyTorch passes them on: by position where they have one, without what the defaults say."""
    signature = getattr(op, "signature", None)
    if not kwargs or not isinstance(signature, Signature):
        return args, kwargs
    names = signature.names[: signature.n_positional]
    args, kwargs = list(args), dict(kwargs)
    while len(args) < len(names) and names[len(args)] in kwargs:
        args.append(kwargs.pop(names[len(args)]))
    return tuple(args), {k: v for k, v in kwargs.items() if v is not None}


def _aten(name):
    """The packet of an operator of PyTorch's core, or None."""
    try:
        return getattr(ops.aten, name)
    except AttributeError:
        return None


def _named(op, args, kwargs):
    """``(form, args, kwargs)`` under which PyTorch's core knows the call; None for what has no name there."""
    name = op.__name__
    stem = name.removesuffix("_")
    known = _RENAMED.get(stem, stem)
    if (getattr(op, "composed", False) and name not in _WHOLE) or stem in _OWN:
        return None
    packet = _aten(known + name[len(stem) :])
    if packet is None:
        return None
    args, kwargs = _normal(op, args, kwargs)
    form = _form(known, args, kwargs)
    if known == "div" and kwargs.get("rounding_mode") is not None:
        form += "_mode"
    if known in _DIMS and len(args) > 1 and isinstance(args[1], int):
        args = (args[0], [args[1]], *args[2:])
    first = 1 if known in _SIZED else 0 if known in _MADE else None
    if first is not None and len(args) > first and isinstance(args[first], int):
        args = (*args[:first], list(args[first:]))
    return getattr(packet, form), args, kwargs


class _Asker:
    """``aten.mm(a, b)``: ``told`` decides what the call of that operator of PyTorch's core means."""

    def __init__(self, told):
        self._told = told

    def __getattr__(self, name):
        return lambda *args, **kwargs: self._told(getattr(_aten(name), _form(name.removesuffix("_"), args, kwargs)), args, kwargs)


# -- what our operators are made of in PyTorch --


def _linear(aten, input, weight, bias=None):
    if input.dim() == 2 and weight.dim() == 2:
        return _rows_times(aten, input, weight, bias)
    if input.dim() < 2 or weight.dim() != 2 or bias is None:
        out = _matmul(aten, input, aten.t(weight))
        return out if bias is None else aten.add(out, bias)
    rows = _reshape(aten, input, -1, input.shape[-1])
    return aten.view(_rows_times(aten, rows, weight, bias), [*input.shape[:-1], weight.shape[0]])


def _rows_times(aten, rows, weight, bias):
    turned = aten.t(weight)
    return aten.mm(rows, turned) if bias is None else aten.addmm(bias, rows, turned)


def _matmul(aten, input, other):
    n, m = input.dim(), other.dim()
    if n == 1 and m == 1:
        return aten.dot(input, other)
    if n == 2 and m == 1:
        return aten.mv(input, other)
    if n == 1 and m == 2:
        return aten.squeeze(aten.mm(aten.unsqueeze(input, 0), other), 0)
    if n == 2 and m == 2:
        return aten.mm(input, other)
    if n > 2 and m in (1, 2):
        rows = _reshape(aten, input, -1, input.shape[-1])
        product = aten.mm(rows, other) if m == 2 else aten.mv(rows, other)
        return aten._unsafe_view(product, [*input.shape[:-1], *other.shape[1:]])
    return _batched(aten, input, other)


def _batched(aten, input, other):
    if input.dim() == 1:
        return aten.squeeze(_batched(aten, aten.unsqueeze(input, 0), other), -2)
    leading = list(Tensor.expand(input.new_empty((), device="meta"), _broadcast(input.shape[:-2], other.shape[:-2])).shape)
    count = math.prod(leading)
    left, right = (_reshape(aten, aten.expand(x, [*leading, *x.shape[-2:]]), count, *x.shape[-2:]) for x in (input, other))
    return aten._unsafe_view(aten.bmm(left, right), [*leading, input.shape[-2], other.shape[-1]])


def _broadcast(one, other):
    """The shape of what is of both shapes."""
    n = max(len(one), len(other))
    pairs = zip((1,) * (n - len(one)) + tuple(one), (1,) * (n - len(other)) + tuple(other))
    return [b if a == 1 else a for a, b in pairs]


def _sizes(x, shape):
    """A shape given as one list or as numbers, -1 worked out."""
    shape = list(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else list(shape)
    if -1 in shape:
        others = math.prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = x.numel() // others if others else 0
    return shape


def _reshape(aten, x, *shape):
    shape = _sizes(x, shape)
    laid = x.is_contiguous() or _can_view(x, shape)
    return aten.view(x, shape) if laid else aten._unsafe_view(aten.clone(x, memory_format=_contiguous()), shape)


def _can_view(x, shape):
    """Do the strides allow it? Asked of a tensor without memory."""
    import rushlight

    try:
        rushlight.empty_strided(x.shape, x.stride(), device="meta").view(shape)
    except RuntimeError:
        return False
    return True


def _contiguous():
    import rushlight

    return rushlight.contiguous_format


def _flatten(aten, input, start_dim=0, end_dim=-1):
    n = input.dim()
    if n == 0:
        return aten.view(input, [1])
    start, end = start_dim % n, end_dim % n
    if start >= end:
        return input
    return _reshape(aten, input, *input.shape[:start], math.prod(input.shape[start : end + 1]), *input.shape[end + 1 :])


def _as_laid_out(aten, input, *, memory_format=None):
    memory_format = memory_format or _contiguous()
    return input if input.is_contiguous(memory_format=memory_format) else aten.clone(input, memory_format=memory_format)


def _cast(aten, input, dtype, *rest, **options):
    if dtype == input.dtype and not rest and not options:
        return input
    return aten._to_copy(input, dtype=dtype) if not rest and not options else NotImplemented


def _softmax(name):
    def softmax(aten, input, dim, dtype=None):
        if dtype is not None and dtype != input.dtype:
            input = aten._to_copy(input, dtype=dtype)
        return getattr(aten, name)(input, dim, False)

    return softmax


def _layer_norm(aten, input, shape, weight=None, bias=None, eps=1e-5):
    return aten.native_layer_norm(input, list(shape), weight, bias, eps)[0]


def _cross_entropy(
    aten, input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    if target.is_floating_point() or label_smoothing or size_average is not None or reduce is not None or input.dim() > 2:
        return NotImplemented
    scores = aten._log_softmax(input, input.dim() - 1, False)
    return aten.nll_loss_forward(scores, target, weight, ("none", "mean", "sum").index(reduction), ignore_index)[0]


def _attention(aten, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if query.dim() != 4 or dropout_p or enable_gqa or (attn_mask is not None and attn_mask.dtype != query.dtype):
        return NotImplemented
    return aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _get(aten, x, key):
    """Basic indexing by its steps, then what index tensors take."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, (list, bool)) or (hasattr(k, "__array__") and not isinstance(k, Tensor)) for k in keys):
        return NotImplemented
    takes = sum(_dims_taken(k) for k in keys)
    if Ellipsis in [k for k in keys if not isinstance(k, Tensor)]:
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (x.dim() - takes)
    dim, indices = 0, []
    for k in keys:
        if k is None:
            x = aten.unsqueeze(x, dim)
        elif isinstance(k, slice):
            x = x if k == slice(None) else aten.slice(x, dim, *_ends(k, x.shape[dim]))
        elif not isinstance(k, Tensor):
            x = aten.select(x, dim, int(k))
            continue
        else:
            indices += [None] * (dim - len(indices)) + [k]
            dim += _dims_taken(k) - 1
        dim += 1
    return aten.index(x, indices) if indices else x


def _dims_taken(key):
    if key is None or key is Ellipsis:
        return 0
    return key.dim() if isinstance(key, Tensor) and str(key.dtype) in ("torch.bool", "torch.uint8") else 1


def _ends(key, size):
    start, stop, step = 0 if key.start is None else int(key.start), 2**63 - 1 if key.stop is None else int(key.stop), key.step
    return (start, stop) if step is None else (start, stop, int(step))


def _set(aten, x, key, value):
    """The place by basic indexing, and what writes there."""
    keys = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, Tensor) for k in keys):
        return NotImplemented
    place = _get(aten, x, key)
    if place is not NotImplemented:
        aten.copy_(place, value) if isinstance(value, Tensor) else aten.fill_(place, value)
        return None
    return place


def _square(aten, input):
    return aten.pow(input, 2)


_MADE_OF = {
    "linear": _linear, "matmul": _matmul, "__matmul__": _matmul, "reshape": _reshape, "flatten": _flatten, "contiguous": _as_laid_out,
    "cast": _cast, "_softmax": _softmax("_softmax"), "_log_softmax": _softmax("_log_softmax"), "layer_norm": _layer_norm,
    "cross_entropy": _cross_entropy, "scaled_dot_product_attention": _attention, "__getitem__": _get,
    "__setitem__": _set, "square": _square,
}  # fmt: skip
_UNTOLD = frozenset(["expect"])  # checks of ours


def tell(told, opened, op, args, kwargs):
    """Puts a call of ours to ``told(form, args, kwargs)``, as the calls that it is in PyTorch.

    opened(op, args, kwargs): carries out a composition whose parts are asked about in turn.
    """
    name = op.__name__
    if name in _UNTOLD:
        return overrides.cast(overrides.plain, op, args, kwargs)
    made = _MADE_OF.get(name)
    if made is not None and "out" not in kwargs:
        result = made(_Asker(told), *args, **kwargs)
        if result is not NotImplemented:
            return result
    found = _named(op, args, kwargs)
    if found is not None:
        result = told(*found)
        names = getattr(return_types, name, None) if type(result) is tuple else None
        return result if names is None else names(result)
    return opened(op, args, kwargs) if getattr(op, "composed", False) else told(_own(name, op), args, kwargs)


def _own(name, function):
    """The form of an operator of ours that PyTorch does not have."""
    namespace = ops.rushlight.__dict__
    if name not in namespace:
        namespace[name] = OpOverloadPacket(f"rushlight::{name}", function)
    return namespace[name].default


# -- backward --


class StepBack(OpOverload):
    """A node's step back as an operator: ``torch.ops.rushlight.ReluBackward0``, called with the gradients of its outputs."""

    def __init__(self, label, run):
        super().__init__(OpOverloadPacket(f"rushlight::{label}", run), "default")


def _product_back(aten, rest, grad, wanted, saved, left, right):
    """Of the product of two matrices, or batches of them, and of what was added to it."""
    a, b = saved.get(left), saved.get(right)
    if saved.get("alpha", 1) != 1 or any(x is not None and x.dim() != grad.dim() for x in (a, b)):
        return NotImplemented  # a linear map of other than rows
    if (wanted[-2] and b.shape[-1] != grad.shape[-1]) or (wanted[-1] and a.shape[-2] != grad.shape[-2]):
        return NotImplemented  # one of its weight as it lies
    turned, product = (aten.t, aten.mm) if grad.dim() == 2 else (lambda x: aten.transpose(x, 1, 2), aten.bmm)
    added = rest([*wanted[:-2], False, False])[:-2] if any(wanted[:-2]) else [None] * (len(wanted) - 2)
    first = product(grad, turned(b)) if wanted[-2] else None
    return [*added, first, product(turned(a), grad) if wanted[-1] else None]


def _convolution_back(aten, rest, grad, wanted, saved):
    options = [saved[name] for name in ("stride", "padding", "dilation", "transposed", "output_padding", "groups")]
    bias_sizes = [grad.shape[1]] if len(wanted) > 2 and wanted[2] else None
    return aten.convolution_backward(grad, saved["self"], saved["weight"], bias_sizes, *options, [*wanted, False][:3])[: len(wanted)]


_BACK = {"ConvolutionBackward0": _convolution_back} | {
    label: functools.partial(_product_back, left=left, right=right)
    for label, left, right in (
        ("MmBackward0", "self", "mat2"),
        ("BmmBackward0", "self", "mat2"),
        ("AddmmBackward0", "mat1", "mat2"),
        ("BaddbmmBackward0", "batch1", "batch2"),
    )
}


def tell_step(told, step, grads, run):
    """Puts a step back to ``told``: ``run(grads)`` gives the gradients of the node's inputs, None where there is none."""
    label, wanted, saved = step

    def rest(only):
        return told(StepBack(label, lambda *grads: tuple(run(list(grads), only))), tuple(grads), {})

    made = _BACK.get(label) if len(grads) == 1 else None
    results = NotImplemented if made is None else made(_Asker(told), rest, grads[0], wanted, saved())
    if results is NotImplemented:
        results = told(StepBack(label, lambda *grads: tuple(run(list(grads)))), tuple(grads), {})
    if not isinstance(results, (tuple, list)) or len(results) != len(wanted):
        raise RuntimeError(
            f"__torch_dispatch__ must return a gradient for each of the {len(wanted)} inputs of {label}, got {type(results).__name__}\n"
            "return what func(*args) gives, or a tuple of as many tensors, None where there is no gradient"
        )
    return list(results)
