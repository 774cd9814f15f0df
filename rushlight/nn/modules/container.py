"""Containers: modules and parameters in a row, in a list, by name."""

import operator
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import chain, islice

import rushlight as torch

from ..parameter import Parameter
from .module import Module

__all__ = ["Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class Container(Module):
    """Deprecated: a Module made from keyword arguments, ``Container(name=module, ...)``; gives a warning.

    >>> nn.Container(first=nn.Linear(2, 3), second=nn.ReLU())
    Container(
      (first): Linear(in_features=2, out_features=3, bias=True)
      (second): ReLU()
    )
    """

    def __init__(self, **kwargs):
        super().__init__()
        for name, module in kwargs.items():
            self.add_module(name, module)


def _position(index, length):
    """``index`` (any integer type, negative from the end) as a position in range(length). Raises IndexError."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


class _ModuleRow(Module):
    """What Sequential and ModuleList share: submodules named "0", "1" ... used like a list."""

    def _renumber(self, modules):
        self._modules = {str(i): module for i, module in enumerate(modules)}

    def _key(self, index):
        return next(islice(self._modules, _position(index, len(self)), None))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._slice(index)
        if type(index) is int and -len(self._modules) <= index < len(self._modules):
            return list(self._modules.values())[index]
        return self._modules[self._key(index)]

    def __setitem__(self, index, module):
        setattr(self, self._key(index), module)

    def __delitem__(self, index):
        if isinstance(index, slice):
            for key in list(self._modules)[index]:
                delattr(self, key)
        else:
            delattr(self, self._key(index))
        self._renumber(list(self._modules.values()))

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __dir__(self):
        return [key for key in super().__dir__() if not key.isdigit()]

    def append(self, module):
        """Adds ``module`` at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, sequential):
        """Adds every module of an iterable at the end; returns self."""
        for module in sequential:
            self.append(module)
        return self

    def pop(self, key):
        """Removes the module at ``key`` and returns it."""
        module = self[key]
        del self[key]
        return module


class Sequential(_ModuleRow):
    """Modules called one after the other: ``Sequential(first, second, ...)`` or ``Sequential(OrderedDict(name=module))``.

    Used like a list: len, iteration, indices, slices (a Sequential of the same modules), append, insert, +.

    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> network(torch.zeros(4, 2)).shape, network[:2](torch.zeros(4, 2)).shape
    (torch.Size([4, 1]), torch.Size([4, 3]))
    >>> [name for name, _ in network.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input):
        """The last module's output."""
        for module in self._modules.values():
            input = module(input)
        return input

    def _slice(self, index):
        return type(self)(OrderedDict(list(self._modules.items())[index]))

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return Sequential(*self, *other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return self.extend(list(other))

    def __mul__(self, other):
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return Sequential(*(module for _ in range(other) for module in self))

    __rmul__ = __mul__

    def __imul__(self, other):
        repeated = self * other
        return self.extend(list(repeated)[len(self) :])

    def insert(self, index, module):
        """Puts ``module`` before position ``index``; returns self."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        length = len(self)
        if not -length <= index <= length:
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self


class ModuleList(_ModuleRow):
    """A list of modules whose parameters count as this module's: ``ModuleList(modules=None)``. It cannot be called.

    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> layers.append(nn.ReLU())
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
      (3): ReLU()
    )
    >>> len(layers), len(list(layers.parameters()))
    (4, 6)
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _slice(self, index):
        return type(self)(list(self)[index])

    def __add__(self, other):
        return type(self)(chain(self, other))

    def __iadd__(self, modules):
        return self.extend(modules)

    def insert(self, index, module):
        """Puts ``module`` before position ``index``."""
        modules = list(self)
        modules.insert(index, module)
        self.append(module)  # checks it
        self._renumber(modules)

    def extend(self, modules):
        """Adds every module of an iterable at the end; returns self. Raises TypeError for anything else."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend should be called with an iterable, but got {type(modules).__name__}")
        return super().extend(modules)

    def __repr__(self):
        """Equal neighbours share a line: ``(0-2): 3 x Linear(...)``."""
        groups = []  # [first, last, text]
        for position, text in enumerate(map(repr, self)):
            if groups and groups[-1][2] == text:
                groups[-1][1] = position
            else:
                groups.append([position, position, text])
        if not groups:
            return f"{self._get_name()}()"
        lines = []
        for first, last, text in groups:
            label = f"({first})" if first == last else f"({first}-{last})"
            times = "" if first == last else f"{last - first + 1} x "
            lines.append(f"\n  {label}: {times}" + text.replace("\n", "\n  "))
        return f"{self._get_name()}(" + "".join(lines) + "\n)"


def _pairs(given, kind, owner):
    """The (key, value) pairs of a mapping or of an iterable of pairs, checked."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{owner}.update should be called with an iterable of key/value pairs, but got {type(given).__name__}")
    if isinstance(given, Mapping) or hasattr(given, "items"):
        return list(given.items())
    pairs = []
    for position, pair in enumerate(given):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{kind} update sequence element #{position} should be Iterable; is{type(pair).__name__}")
        if len(pair) != 2:
            raise ValueError(f"{kind} update sequence element #{position} has length {len(pair)}; 2 is required")
        pairs.append(tuple(pair))
    return pairs


class ModuleDict(Module):
    """Modules by name, in order: ``ModuleDict(modules=None)`` from a mapping or from (name, module) pairs. It cannot be called.

    >>> heads = nn.ModuleDict({"class": nn.Linear(8, 10), "box": nn.Linear(8, 4)})
    >>> {name: head(torch.zeros(2, 8)).shape for name, head in heads.items()}
    {'class': torch.Size([2, 10]), 'box': torch.Size([2, 4])}
    >>> sorted(heads.state_dict())
    ['box.bias', 'box.weight', 'class.bias', 'class.weight']
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Removes every module."""
        self._modules.clear()

    def pop(self, key):
        """Removes the module ``key`` and returns it. Raises KeyError."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def items(self):
        """The (name, module) pairs."""
        return self._modules.items()

    def values(self):
        """The modules."""
        return self._modules.values()

    def update(self, modules):
        """Adds or replaces modules from a mapping or from (name, module) pairs."""
        for key, module in _pairs(modules, "ModuleDict", "ModuleDict"):
            self[key] = module


def _described(value, prefix):
    """One entry of a ParameterList's or ParameterDict's text."""
    if not isinstance(value, torch.Tensor):
        return f"Object of type: {type(value).__name__}"
    what = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(str(n) for n in value.size())
    place = f" (GPU {value.get_device()})" if value.is_cuda else ""
    return f"{what} containing: [{torch.typename(value) if prefix is None else value.dtype} of size {size}{place}]"


class ParameterList(Module):
    """A list whose tensors become parameters: ``ParameterList(values=None)``. Values that are no tensors are kept as they are.

    >>> scales = nn.ParameterList([torch.ones(2), torch.zeros(3)])
    >>> scales
    ParameterList(
        (0): Parameter containing: [torch.float32 of size 2]
        (1): Parameter containing: [torch.float32 of size 3]
    )
    >>> [p.requires_grad for p in scales], len(nn.ParameterList([torch.ones(2), "none"]))
    ([True, True], 2)
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self += values

    def __getitem__(self, index):
        if isinstance(index, slice):
            out = type(self)()
            for i in range(*index.indices(len(self))):
                out.append(self[i])
            return out
        return getattr(self, str(_position(index, len(self))))

    def __setitem__(self, index, value):
        setattr(self, str(_position(index, len(self))), _as_parameter(value))

    def __len__(self):
        return self._size

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __iadd__(self, values):
        return self.extend(values)

    def __dir__(self):
        return [key for key in super().__dir__() if not key.isdigit()]

    def append(self, value):
        """Adds one value at the end; returns self."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Adds every value of an iterable at the end; returns self. Raises TypeError for anything else."""
        if not isinstance(values, Iterable) or isinstance(values, torch.Tensor):
            raise TypeError(f"ParameterList.extend should be called with an iterable, but got {type(values).__name__}")
        for value in values:
            self.append(value)
        return self

    def extra_repr(self):
        """One line per value."""
        return "\n".join(f"  ({i}): {_described(value, 'dtype')}" for i, value in enumerate(self))

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dictionary whose tensors become parameters: ``ParameterDict(parameters=None)`` from a mapping or from pairs. Keys are strings.

    >>> gains = nn.ParameterDict({"left": torch.ones(2), "right": torch.ones(2)})
    >>> gains["left"].requires_grad, list(gains), "middle" in gains
    (True, ['left', 'right'], False)
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def _name(self, key):
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is not a string (type is "
                f"'{type(key).__name__}'). Open an issue on github if you need non-string keys."
            )
        return key

    def __getitem__(self, key):
        return getattr(self, self._name(key))

    def __setitem__(self, key, value):
        name = self._name(key)
        self._keys[key] = None
        setattr(self, name, _as_parameter(value))

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, self._name(key))

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def __or__(self, other):
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other):
        merged = ParameterDict(other)
        merged.update(self)
        return merged

    def __ior__(self, other):
        self.update(other)
        return self

    def copy(self):
        """A new ParameterDict with the same values."""
        return ParameterDict(OrderedDict((key, self[key]) for key in self._keys))

    def setdefault(self, key, default=None):
        """The value of ``key``, after setting it to ``default`` if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Removes every value."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Removes ``key`` and returns its value. Raises KeyError."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Removes the last pair and returns it."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def get(self, key, default=None):
        """The value of ``key``, or ``default``."""
        return self[key] if key in self else default

    def fromkeys(self, keys, default=None):
        """A new ParameterDict with every key set to ``default``."""
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """The keys."""
        return self._keys.keys()

    def items(self):
        """The (key, value) pairs."""
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """The values."""
        return (self[key] for key in self._keys)

    def update(self, parameters):
        """Adds or replaces values from a mapping or from pairs. A plain dict's go by the order of their names, others' as they come."""
        pairs = _pairs(parameters, "ParameterDict", "ParametersDict")
        for key, value in sorted(pairs) if type(parameters) is dict else pairs:
            self[key] = value

    def extra_repr(self):
        """One line per value."""
        return "\n".join(f"  ({key}): {_described(value, None)}" for key, value in self.items())

    def __call__(self, *args, **kwargs):
        raise RuntimeError("ParameterDict should not be called.")


def _as_parameter(value):
    is_plain = isinstance(value, torch.Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if is_plain else value
