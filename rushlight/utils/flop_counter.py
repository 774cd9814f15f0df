"""Counting the floating point operations of matrix products, convolutions and attention while a program runs.

>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
>>> with FlopCounterMode(display=False) as counter:
...     model(torch.ones(3, 4)).sum().backward()
>>> counter.get_total_flops()  # forward 2 * 3 * (4 * 8 + 8 * 2); backward twice that, but for the first layer's input
672
"""

import math
from types import FunctionType

from ..nn.modules import module as _module
from ..overrides import TorchFunctionMode, inside

__all__ = ["FlopCounterMode", "register_flop_formula"]

_FORMULAS = {}  # name of an operator -> flops(args, kwargs, result)


def register_flop_formula(targets, get_raw=False):
    """Decorator: the function ``f(args, kwargs, result)`` gives the flops of the operators named in ``targets`` (a name or several)."""

    def register(formula):
        for name in (targets,) if isinstance(targets, str) or callable(targets) else targets:
            _FORMULAS[name if isinstance(name, str) else name.__name__] = formula
        return formula

    return register


@register_flop_formula(("linear", "matmul", "mm", "bmm", "mv", "dot", "__matmul__"))
def _product(args, kwargs, result):
    return 2 * result.numel() * args[0].shape[-1]


@register_flop_formula(("addmm", "baddbmm", "addbmm", "addmv"))
def _product_and_sum(args, kwargs, result):
    return 2 * result.numel() * args[1].shape[-1] * (args[1].shape[0] if args[1].dim() > result.dim() else 1)


@register_flop_formula("convolution")
def _convolution(args, kwargs, result):
    x, weight, transposed = args[0], args[1], args[6]
    places = x.numel() // x.shape[1] if transposed else result.numel() // result.shape[1]
    return 2 * places * weight.numel()


@register_flop_formula("scaled_dot_product_attention")
def _attention(args, kwargs, result):
    query, key, value = args[:3]
    rows = math.prod(query.shape[:-1])
    return 2 * rows * key.shape[-2] * (query.shape[-1] + value.shape[-1])


class FlopCounterMode(TorchFunctionMode):
    """A context that counts, by module and operator. A product's backward counts as one more product for each operand that wants a
    gradient.

    depth: how many levels of modules the table has (None: all); display: print the table at the end; custom_mapping: name of an operator
    -> formula, beside those registered. ``mods`` is not needed: modules are followed as they are called.
    """

    def __init__(self, mods=None, depth=2, display=True, custom_mapping=None):
        super().__init__()
        self.depth, self.display = 999 if depth is None else depth, display
        self.formulas = {**_FORMULAS, **{getattr(k, "__name__", k): f for k, f in (custom_mapping or {}).items()}}
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
        if name not in self.formulas and (getattr(func, "composed", False) or isinstance(func, FunctionType)):
            return inside(self._interpreter, func, args, kwargs)
        result = func(*args, **kwargs)
        if name in self.formulas:
            self._count(name, self.formulas[name](args, kwargs, result), args, result)
        return result

    def _count(self, name, flops, args, result):
        modules = dict.fromkeys(self._inside)  # each once, the outermost first

        def add(times=1):
            for module in modules:
                counts = self.flop_counts.setdefault(module, {})
                counts[name] = counts.get(name, 0) + times * flops

        add()
        operands = args[1:3] if name in ("addmm", "baddbmm", "addbmm", "addmv") else args[:2]
        wanted = sum(bool(getattr(x, "requires_grad", False)) for x in operands)
        if wanted and result.requires_grad:
            result.register_hook(lambda grad: add(wanted))
