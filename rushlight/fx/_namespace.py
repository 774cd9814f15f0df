"""Names for values: Python identifiers, each once.

>>> names = Namespace()
>>> [names.create_name(n, None) for n in ("add", "add", "layers.0", "len", "2x")]
['add', 'add_1', 'layers_0', 'len_1', '_2x']
"""

import builtins
import keyword
import math
import re
from collections import defaultdict

import rushlight as torch

# what every generated function can read without asking for it: name -> (the line that imports it, the object)
BUILT_IN = {
    "inf": ("from math import inf", math.inf),
    "nan": ("from math import nan", math.nan),
    "NoneType": ("NoneType = type(None)", type(None)),
    "torch": ("import torch", torch),
    "device": ("from torch import device", torch.device),
}
_ILLEGAL, _NUMBERED = re.compile(r"[^0-9a-zA-Z_]+"), re.compile(r"(.*)_(\d+)$")


def snake_case(name):
    """``name`` in lower case, with an underscore where a capital follows a small letter."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class Namespace:
    """Gives names, and remembers which object has which."""

    def __init__(self):
        self.of_object, self.used, self.counts = {}, set(), defaultdict(int)

    def create_name(self, candidate, obj):
        """A name like ``candidate`` that is free; the same one again for the same object (None: for nothing in particular)."""
        if obj is not None and id(obj) in self.of_object:
            return self.of_object[id(obj)][0]
        candidate = _ILLEGAL.sub("_", candidate) or "_unnamed"
        if candidate[0].isdigit():
            candidate = f"_{candidate}"
        numbered = _NUMBERED.match(candidate)
        base, number = (numbered[1], int(numbered[2])) if numbered else (candidate, 0)
        number = number or self.counts[base]
        while candidate in self.used or self._taken_by_python(candidate, obj):
            number += 1
            candidate = f"{base}_{number}"
        self.used.add(candidate)
        self.counts[base] = number
        if obj is not None:
            self.associate(candidate, obj)
        return candidate

    def associate(self, name, obj):
        """Remembers that ``obj`` is called ``name``."""
        self.of_object[id(obj)] = name, obj

    def rename(self, obj, name):
        """Takes note that ``obj`` is called ``name`` from now on."""
        self.used.add(name)
        self.associate(name, obj)

    @staticmethod
    def _taken_by_python(name, obj):
        if name in keyword.kwlist:
            return True
        if name in vars(builtins):
            return obj is not vars(builtins)[name]
        return name in BUILT_IN and obj is not BUILT_IN[name][1]
