"""Modules made of switches, and the switches that a room below ``torch.backends`` reads: it is their public face."""

import contextlib
import sys
import types


class Room(types.ModuleType):
    """A module whose attributes are switches: they can be set for good, or for a block with ``flags(name=value, ...)``.

    available: what ``is_available()`` answers. ``version`` and names that start with ``is_`` become functions that give the value, or
    are the functions given. doc: what the switches do.
    """

    def __init__(self, name, available=None, doc="Switches that can be set and read back; they change nothing.", **switches):
        super().__init__(name, doc)
        sys.modules[name] = self
        self.__spec__ = sys.modules[__name__].__spec__.__class__(name, None)
        if available is not None:
            switches["is_available"] = available
        self._names = [n for n in switches if n != "version" and not n.startswith("is_")]
        for key, value in switches.items():
            setattr(self, key, value if key in self._names or callable(value) else _constant(key, value))

    def flags(self, *values, **named):
        """Context manager: the given switches, by position or name, set for a block."""
        return _Flags(self, dict(zip(self._names, values), **named))

    def set_flags(self, **named):
        """Sets switches for good; returns what they were, in the order given."""
        before = tuple(getattr(self, name) for name in named)
        for name, value in named.items():
            setattr(self, name.lstrip("_"), value)
        return before


def _constant(name, value):
    def answer(*args):
        return value

    answer.__name__ = answer.__qualname__ = name
    answer.__doc__ = f"{value}."
    return answer


class _Flags:
    def __init__(self, room, values):
        self.room, self.values = room, values

    def __enter__(self):
        self.before = {name: getattr(self.room, name) for name in self.values}
        self._set(self.values)

    def __exit__(self, *error):
        self._set(self.before)

    def _set(self, values):
        for name, value in values.items():
            setattr(self.room, name, value)


# -- what the rooms of operators and of the GPU read --

_ROOM = f"{__package__}.backends"

cudnn = Room(
    f"{_ROOM}.cudnn", enabled=True, benchmark=False, benchmark_limit=None, deterministic=False, allow_tf32=False, fp32_precision="none",
    doc="""How convolutions and attention use cuDNN on a GPU, where it is installed.

    enabled: whether at all; without it kernels of our own compute them. allow_tf32: may convolutions round float32 to tf32? benchmark: are
    the first ``benchmark_limit`` plans (None: ten; 0: all) for a new geometry timed, to keep the fastest? deterministic: are attention's
    gradients summed in a fixed order? Convolutions always are.
    """,
)  # fmt: skip
matmul = Room(
    f"{_ROOM}.cuda.matmul", allow_tf32=False, fp32_precision="none", allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True, allow_fp16_accumulation=False,
)  # fmt: skip
convolution = Room(
    f"{_ROOM}.mkldnn.conv", fp32_precision="none",
    doc="""How the CPU computes convolutions. fp32_precision: with ``"ieee"`` those of float32 by windows of 3 x 3 make every product, as in
    PyTorch; otherwise large ones take Winograd's sums, whose rounding errors are relative to the largest elements among 4 x 4 neighbours.
    """,
)  # fmt: skip
attention = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}
"""Which of PyTorch's implementations of attention are allowed; of these only cuDNN's, on a GPU, is another here."""

deterministic = {"mode": False, "warn_only": False}
"""What ``use_deterministic_algorithms`` was told."""


@contextlib.contextmanager
def attention_by(**enabled):
    """Sets switches of ``attention`` for a block."""
    before = dict(attention)
    attention.update(enabled)
    try:
        yield {}
    finally:
        attention.update(before)
