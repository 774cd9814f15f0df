"""Counting the floating point operations of matrix products, convolutions and attention while a program runs.

>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
>>> with FlopCounterMode(display=False) as counter:
...     model(torch.ones(3, 4)).sum().backward()
>>> counter.get_total_flops()  # forward 2 * 3 * (4 * 8 + 8 * 2); backward twice that, but for the first layer's input
672
"""

import functools
import math
from types import FunctionType

from .._ops import OpOverloadPacket, ops
from ..nn.modules import module as _module
from ..overrides import TorchFunctionMode, inside
from ._pytree import tree_map

__all__ = ["FlopCounterMode", "register_flop_formula"]

aten = ops.aten
flop_registry = {}  # operator of torch.ops -> flops(*args, out_val=result, **kwargs)


def register_flop_formula(targets, get_raw=False):
    """Decorator: the function gives the flops of these operators of ``torch.ops`` (one or a list).

    It is called as the operator is, with the shapes of tensors in their place, and with ``out_shape``; with get_raw: with the tensors
    themselves, and ``out_val``.
    """

    def register(formula):
        for target in targets if isinstance(targets, (list, tuple)) else (targets,):
            if not isinstance(target, OpOverloadPacket):
                raise ValueError(f"register_flop_formula: targets must be operators such as torch.ops.aten.mm, got {target!r}")
            flop_registry[target] = formula if get_raw else _asked_with_shapes(formula)
        return formula

    return register


def _asked_with_shapes(formula):
    if getattr(formula, "_get_raw", False):
        return formula

    @functools.wraps(formula)
    def flops(*args, out_val=None, **kwargs):
        args, kwargs, out_shape = tree_map(lambda x: getattr(x, "shape", x), (args, kwargs, out_val))
        return formula(*args, out_shape=out_shape, **kwargs)

    flops._get_raw = True
    return flops


@register_flop_formula([aten.mm, aten.bmm])
def mm_flop(a_shape, b_shape, *args, out_shape=None, **kwargs):
    """A multiplication and an addition for each of an element's terms."""
    return 2 * math.prod(a_shape) * b_shape[-1]


@register_flop_formula([aten.addmm, aten.baddbmm])
def addmm_flop(self_shape, a_shape, b_shape, out_shape=None, **kwargs):
    """The product's; what is added to it does not count."""
    return mm_flop(a_shape, b_shape)


def conv_flop_count(x_shape, w_shape, out_shape, transposed=False):
    """The whole weight at each place of a sample: of the output, of the input if transposed."""
    places = (x_shape if transposed else out_shape)[2:]
    return 2 * x_shape[0] * math.prod(places) * math.prod(w_shape)


@register_flop_formula(aten.convolution)
def conv_flop(x_shape, w_shape, bias, stride, padding, dilation, transposed, *args, out_shape=None, **kwargs):
    """:func:`conv_flop_count`."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed)


@register_flop_formula(aten.convolution_backward)
def conv_backward_flop(
    grad_shape, x_shape, w_shape, bias, stride, padding, dilation, transposed, output_padding, groups, output_mask, out_shape
):  # fmt: skip
    """As PyTorch counts: the weight's gradient as if each input channel met each output channel, whatever the groups."""
    total = conv_flop_count(grad_shape, w_shape, x_shape, not transposed) if output_mask[0] else 0
    if output_mask[1]:
        one, other = (grad_shape, x_shape) if transposed else (x_shape, grad_shape)
        total += 2 * one[1] * math.prod(w_shape[2:]) * math.prod(other)
    return total


# What our operators are in PyTorch: function(result, *args, **kwargs) -> calls forward, calls backward. A call is (operator of
# torch.ops, args, result), with shapes for tensors. A matrix times a vector is not counted, as in PyTorch.


def _product(a, b, left, right, added=()):
    """Of matrices of these shapes; left, right: are their gradients wanted?"""
    (*batch, n, k), m = a, b[-1]
    product, out = aten.bmm if batch else aten.mm, (*batch, n, m)
    backward = [(product, (out, (*batch, m, k)), a)] * left + [(product, ((*batch, k, n), out), b)] * right
    return [((aten.baddbmm if batch else aten.addmm) if added else product, (*added, a, b), out)], backward


def _matmul(result, input, other):
    left, right = input.requires_grad, other.requires_grad
    if 1 in (input.ndim, other.ndim):
        return [], []
    if input.ndim == 2 < other.ndim:
        return _matmul(result.mT, other.mT, input.mT)
    if other.ndim == 2:
        return _product((math.prod(input.shape[:-1]), input.shape[-1]), other.shape, left, right)
    batch = math.prod(result.shape[:-2])
    return _product((batch, *input.shape[-2:]), (batch, *other.shape[-2:]), left, right)


def _linear(result, input, weight, bias=None):
    added = () if bias is None else (bias.shape,)
    return _product((math.prod(input.shape[:-1]), weight.shape[1]), weight.shape[::-1], input.requires_grad, weight.requires_grad, added)


def _addmm(result, input, mat1, mat2, **factors):
    return _product(mat1.shape, mat2.shape, mat1.requires_grad, mat2.requires_grad, (input.shape,))


def _baddbmm(result, input, batch1, batch2, **factors):
    return _addmm(result, input, batch1, batch2)


def _mm(result, input, mat2):
    return _matmul(result, input, mat2)


def _convolution(result, input, weight, bias, *options):
    wanted = [input.requires_grad, weight.requires_grad, False]
    x, w, out = input.shape, weight.shape, result.shape
    backward = [(aten.convolution_backward, (out, x, w, None, *options, wanted), (x, w, None))] * any(wanted)
    return [(aten.convolution, (x, w, bias, *options), out)], backward


def _attention(result, query, key, value, *options, **named):
    scores, batch = query.requires_grad or key.requires_grad, math.prod(query.shape[:-2])
    (rows, width), columns = query.shape[-2:], key.shape[-2]
    first = _product((batch, rows, width), (batch, width, columns), query.requires_grad, key.requires_grad)
    second = _product((batch, rows, columns), (batch, columns, value.shape[-1]), scores, value.requires_grad)
    return first[0] + second[0], first[1] + second[1]


_CALLS = {
    "linear": _linear, "matmul": _matmul, "__matmul__": _matmul, "mm": _mm, "bmm": _mm, "addmm": _addmm, "baddbmm": _baddbmm,
    "convolution": _convolution, "scaled_dot_product_attention": _attention,
}  # fmt: skip


class FlopCounterMode(TorchFunctionMode):
    """A context that counts, by module and operator, as PyTorch names and counts them (attention: by its two products).

    depth: how many levels of modules the table has (None: all); display: print the table at the end; custom_mapping: operator of
    ``torch.ops`` -> formula, as for :func:`register_flop_formula`, beside those registered. ``mods`` is not needed: modules are followed
    as they are called.
    """

    def __init__(self, mods=None, depth=2, display=True, custom_mapping=None):
        super().__init__()
        self.depth, self.display = 999 if depth is None else depth, display
        self.flop_registry = {**flop_registry, **{op: _asked_with_shapes(formula) for op, formula in (custom_mapping or {}).items()}}
        self._others = {op.__name__: op for op in self.flop_registry if op.__name__ not in _CALLS}
        self.flop_counts, self._names, self._inside = {}, {}, ["Global"]

    def get_flop_counts(self):
        """``{module: {operator: flops}}``; "Global" is the sum."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_total_flops(self):
        """All flops."""
        return sum(self.flop_counts.get("Global", {}).values())

    def get_table(self, depth=None):
        """The counts as text, a line for each module down to ``depth``."""
        depth = self.depth if depth is None else depth
        total = self.get_total_flops() or 1
        lines = [("Module", "FLOP", "% Total")]
        for name, counts in self.flop_counts.items():
            level = 0 if name == "Global" else name.count(".") + 1
            if level > depth:
                continue
            lines.append((" " * level + name, f"{sum(counts.values()):,}", f"{100 * sum(counts.values()) / total:.2f}%"))
            lines += [(" " * level + f" - {op}", f"{n:,}", f"{100 * n / total:.2f}%") for op, n in counts.items()]
        widths = [max(len(line[column]) for line in lines) for column in range(3)]
        return "\n".join(f"{name:<{widths[0]}}  {flops:>{widths[1]}}  {share:>{widths[2]}}" for name, flops, share in lines)

    def __enter__(self):
        self.flop_counts = {"Global": {}}
        self._hooks = [
            _module.register_module_forward_pre_hook(self._go_in),
            _module.register_module_forward_hook(self._come_out, always_call=True),
        ]
        return super().__enter__()

    def __exit__(self, *error):
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)
        if self.display:
            print(self.get_table())

    def _go_in(self, module, args):
        if len(self._inside) == 1:
            root = type(module).__name__
            self._names = {id(part): f"{root}.{name}" if name else root for name, part in module.named_modules()}
        self._inside.append(self._names.get(id(module), type(module).__name__))

    def _come_out(self, module, args, output):
        self._inside.pop()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        counted = name in _CALLS or name in self._others
        if not counted and (getattr(func, "composed", False) or isinstance(func, FunctionType)):
            return inside(self._interpreter, func, args, kwargs)
        result = func(*args, **kwargs)
        if name in _CALLS:
            forward, backward = _CALLS[name](result, *args, **kwargs)
            modules = dict.fromkeys(self._inside)  # each once, the outermost first
            self._add_all(modules, forward)
            if backward and result.requires_grad:
                result.register_hook(lambda grad: self._add_all(modules, backward))
        elif counted:
            op = self._others[name]
            self._add(dict.fromkeys(self._inside), op, self.flop_registry[op](*args, out_val=result, **kwargs))
        return result

    def _add_all(self, modules, calls):
        for op, operands, out in calls:
            self._add(modules, op, self.flop_registry[op](*operands, out_val=out))

    def _add(self, modules, op, flops):
        for module in modules:
            counts = self.flop_counts.setdefault(module, {})
            counts[op] = counts.get(op, 0) + flops
