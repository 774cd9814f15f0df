"""The steps of a path through a tree of containers: into a sequence, into a mapping, to an attribute."""


class _Key:
    """One step of a path; equal when of the same class with the same content."""

    __slots__ = ()

    def __eq__(self, other):
        return type(self) is type(other) and self._content() == other._content()

    def __hash__(self):
        return hash((type(self), self._content()))

    def __repr__(self):
        return f"{type(self).__name__}({self.__slots__[0]}={self._content()!r})"

    def _content(self):
        return getattr(self, self.__slots__[0])


class SequenceKey(_Key):
    """The step ``[idx]`` into a list, tuple or deque."""

    __slots__ = ("idx",)

    def __init__(self, idx):
        self.idx = idx

    def __str__(self):
        return f"[{self.idx!r}]"

    def get(self, sequence):
        """The child that this step leads to."""
        return sequence[self.idx]


class MappingKey(_Key):
    """The step ``[key]`` into a mapping."""

    __slots__ = ("key",)

    def __init__(self, key):
        self.key = key

    def __str__(self):
        return f"[{self.key!r}]"

    def get(self, mapping):
        """The child that this step leads to."""
        return mapping[self.key]


class GetAttrKey(_Key):
    """The step ``.name`` to an attribute."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f".{self.name}"

    def get(self, obj):
        """The child that this step leads to."""
        return getattr(obj, self.name)


KeyEntry, KeyPath = _Key, tuple


def keystr(kp):
    """The path ``kp`` as text, such as ``"['a'][0]"``."""
    return "".join(map(str, kp))


def key_get(obj, kp):
    """The object found by following path ``kp`` from ``obj``."""
    for key in kp:
        obj = key.get(obj)
    return obj
