"""``rushlight.summary``: what a model is made of, layer by layer: output shapes, parameters, multiply-adds, memory.

A multiply-add is one product that is added to a sum, the unit in which the work of linear layers, convolutions, recurrent layers and
attention is counted; layers that work element by element count as none. Products that a ``forward`` computes without a module (``a @ b``)
are not seen.
"""

import math

import rushlight as torch

from .nn import modules as nn

__all__ = ["Layer", "Summary", "summary"]


class Layer:
    """One module of the model.

    name: its path ("" for the model itself). type: its class's name. depth: how many modules are around it. shape: of its output (a list
    for several outputs, None if it was never called). parameters, trainable: how many numbers it holds itself, without the modules within;
    those that another layer holds too count where they come first. multiply_adds, output_bytes: over all its ``calls``; the output of a
    module with others within is not counted again.
    """

    def __init__(self, name, module):
        self.name, self.type, self.depth = name, module._get_name(), name.count(".") + 1 if name else 0
        self.parameters = self.trainable = self.calls = self.multiply_adds = self.output_bytes = 0
        self.shape = None

    def count_parameters(self, parameters):
        """Counts the parameters that are the module's own."""
        self.parameters = sum(p.numel() for p in parameters)
        self.trainable = sum(p.numel() for p in parameters if p.requires_grad)

    def note_call(self, module, args, kwargs, output):
        """Adds one call of the module."""
        tensors = [t for t in torch.utils._pytree.tree_leaves(output) if isinstance(t, torch.Tensor)]
        shapes = [tuple(t.shape) for t in tensors]
        self.shape = shapes[0] if len(shapes) == 1 else shapes
        self.calls += 1
        if next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention):
            self.output_bytes += sum(t.numel() * t.element_size() for t in tensors)
        if tensors:
            self.multiply_adds += _multiply_adds(module, args, kwargs, tensors[0])


class Summary:
    """The layers of a model and their totals; ``str()`` is a table.

    layers: list of :class:`Layer` in the order of ``named_modules``. parameters, trainable, multiply_adds, output_bytes: totals;
    parameter_bytes: the memory of all parameters and buffers.
    """

    def __init__(self, layers, parameter_bytes):
        self.layers, self.parameter_bytes = layers, parameter_bytes
        for total in ("parameters", "trainable", "multiply_adds", "output_bytes"):
            setattr(self, total, sum(getattr(layer, total) for layer in layers))

    def __str__(self):
        rows = [("layer", "output", "parameters", "multiply-adds", "output memory")]
        for layer in self.layers:
            label = "  " * layer.depth + (f"{layer.name.rpartition('.')[2]}: " if layer.name else "") + layer.type
            shape = "" if layer.shape is None else str(layer.shape)
            counts = (layer.parameters, layer.multiply_adds)
            rows.append((label, shape, *(f"{n:,}" if n else "" for n in counts), _bytes(layer.output_bytes) if layer.output_bytes else ""))
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join([*map(str.ljust, row[:2], widths), *map(str.rjust, row[2:], widths[2:])]).rstrip() for row in rows]
        rule = "-" * max(map(len, lines))
        frozen = f" ({self.parameters - self.trainable:,} frozen)" if self.parameters > self.trainable else ""
        return "\n".join([
            lines[0], rule, *lines[1:], rule,
            f"parameters: {self.parameters:,}{frozen}, {_bytes(self.parameter_bytes)} with buffers",
            f"multiply-adds: {self.multiply_adds:,}",
            f"outputs of the layers: {_bytes(self.output_bytes)}",
        ])  # fmt: skip

    __repr__ = __str__


def summary(model, *args, **kwargs):
    """Runs ``model(*args, **kwargs)`` once and returns a :class:`Summary`; print it for a table.

    The model runs in evaluation mode and without gradients, and is left as it was. Errors of the call pass through.

    >>> import rushlight as torch
    >>> print(torch.summary(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()), torch.zeros(2, 4)))
    layer        output  parameters  multiply-adds  output memory
    -------------------------------------------------------------
    Sequential   (2, 8)
      0: Linear  (2, 8)          40             64           64 B
      1: ReLU    (2, 8)                                      64 B
    -------------------------------------------------------------
    parameters: 40, 160 B with buffers
    multiply-adds: 64
    outputs of the layers: 128 B
    """
    layers = {module: Layer(name, module) for name, module in model.named_modules()}
    modes = [(module, module.training) for module in layers]
    handles = [module.register_forward_hook(_note_call(layer), with_kwargs=True) for module, layer in layers.items()]
    try:
        model.eval()
        with torch.no_grad():
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    seen = set()
    for module, layer in layers.items():
        layer.count_parameters([p for p in module.parameters(recurse=False) if id(p) not in seen])
        seen.update(id(p) for p in module.parameters(recurse=False))
    memory = sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()])
    return Summary(list(layers.values()), memory)


def _note_call(layer):
    """A forward hook that returns nothing, so that it changes nothing."""

    def hook(module, args, kwargs, output):
        layer.note_call(module, args, kwargs, output)

    return hook


def _bytes(n):
    """``n`` bytes with a unit: 64 B, 1.5 KiB, 2.0 MiB."""
    power = min(int(math.log(n, 1024)), 4) if n else 0
    return f"{n / 1024**power:.1f} {'KMGT'[power - 1]}iB" if power else f"{n} B"


# -- multiply-adds -------------------------------------------------------------------------------------------------------


def _of_linear(module, args, kwargs, output):
    return output.numel() * module.in_features


def _of_bilinear(module, args, kwargs, output):
    return output.numel() * module.in1_features * (module.in2_features + 1)


def _of_convolution(module, args, kwargs, output):
    return output.numel() * module.weight[0].numel()


def _of_transposed_convolution(module, args, kwargs, output):
    return args[0].numel() * module.weight[0].numel()


def _of_recurrent(module, args, kwargs, output):
    """Every weight matrix is multiplied once for each step of each sequence."""
    weights = sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight"))
    directions = 2 if getattr(module, "bidirectional", False) else 1
    width = getattr(module, "proj_size", 0) or module.hidden_size
    return output.numel() // (directions * width) * weights


def _of_attention(module, args, kwargs, output):
    """Four projections, then for each pair of a query and a key the score and the share of the value."""
    query, key = (args[i] if i < len(args) else kwargs[name] for i, name in enumerate(("query", "key")))
    width, time = module.embed_dim, 1 if query.dim() == 3 and module.batch_first else 0
    queries, keys = query.numel() // width, key.numel() // module.kdim
    projections = 2 * queries * width**2 + keys * width * (module.kdim + module.vdim)
    return projections + 2 * queries * key.shape[time] * width


_COUNTS = {
    nn.Linear: _of_linear,
    nn.Bilinear: _of_bilinear,
    nn.conv._ConvNd: _of_convolution,
    nn.conv._ConvTransposeNd: _of_transposed_convolution,
    nn.RNNBase: _of_recurrent,
    nn.RNNCellBase: _of_recurrent,
    nn.MultiheadAttention: _of_attention,
}


def _multiply_adds(module, args, kwargs, output):
    """The count of the nearest class in the module's ancestry that has one, else 0."""
    count = next((_COUNTS[cls] for cls in type(module).__mro__ if cls in _COUNTS), None)
    return count(module, args, kwargs, output) if count else 0
