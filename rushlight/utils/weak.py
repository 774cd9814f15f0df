"""Mappings and references that do not keep their tensors: keys are told apart by identity, since ``==`` of tensors compares elements."""

import weakref
from collections.abc import Mapping, MutableMapping

from rushlight._core.tensor import Tensor

__all__ = ["TensorWeakRef", "WeakIdKeyDictionary", "WeakIdRef", "WeakTensorKeyDictionary"]


class WeakIdRef(weakref.ref):
    """A weak reference that is equal to another if both are to one object, whatever the object's own ``==`` and ``hash`` say."""

    __slots__ = ("_id",)

    def __init__(self, key, callback=None):
        super().__init__(key, callback)
        self._id = id(key)

    def __hash__(self):
        return self._id

    def __eq__(self, other):
        mine, theirs = self(), other() if isinstance(other, weakref.ref) else None
        return self is other if mine is None or theirs is None else mine is theirs

    def __ne__(self, other):  # that of weakref.ref compares the objects
        return not self == other


class WeakIdKeyDictionary(MutableMapping):
    """A dict whose keys are told apart by identity and not kept: an entry goes when nobody else holds its key.

    >>> import rushlight as torch
    >>> from rushlight.utils.weak import WeakTensorKeyDictionary
    >>> names, x = WeakTensorKeyDictionary(), torch.zeros(3)
    >>> names[x] = "weights"
    >>> names[x], torch.zeros(3) in names, len(names)
    ('weights', False, 1)
    >>> del x
    >>> len(names)
    0

    Walking through it keeps each key for the step that it is given in, and leaves out what died or was deleted since the walk began.
    """

    def __init__(self, dict=None, ref_type=WeakIdRef):
        self.data = {}
        self.ref_type = ref_type
        held = weakref.ref(self)

        def remove(key):
            mapping = held()
            if mapping is not None:
                mapping.data.pop(key, None)

        self._remove = remove
        if dict is not None:
            self.update(dict)

    def __getitem__(self, key):
        return self.data[self.ref_type(key)]

    def __setitem__(self, key, value):
        self.data[self.ref_type(key, self._remove)] = value

    def __delitem__(self, key):
        del self.data[self.ref_type(key)]

    def __contains__(self, key):
        try:
            return self.ref_type(key) in self.data
        except TypeError:  # a number, say: nothing can refer to it weakly
            return False

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        for ref in self.keyrefs():
            key = ref()
            if key is not None and ref in self.data:
                yield key

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}>"

    def keyrefs(self):
        """The references of the keys, in a list; some may be dead when they are called."""
        return list(self.data)

    def copy(self):
        """Another mapping of the same keys and values."""
        return type(self)(self, self.ref_type)

    __copy__ = copy

    def __deepcopy__(self, memo):
        from copy import deepcopy

        copied = type(self)(ref_type=self.ref_type)
        copied.update((key, deepcopy(value, memo)) for key, value in self.items())
        return copied

    def __or__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        joined = self.copy()
        joined.update(other)
        return joined

    def __ror__(self, other):
        if not isinstance(other, Mapping):
            return NotImplemented
        joined = type(self)(other, self.ref_type)
        joined.update(self)
        return joined

    def __ior__(self, other):
        self.update(other)
        return self

    def __eq__(self, other):
        """Whether both have the same objects as keys, with equal values."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return {id(k): v for k, v in self.items()} == {id(k): v for k, v in other.items()}


WeakTensorKeyDictionary = WeakIdKeyDictionary


class TensorWeakRef:
    """A weak reference to a tensor: called, it gives the tensor, or None when nobody holds it any more.

    >>> import rushlight as torch
    >>> x = torch.zeros(3)
    >>> ref = torch.utils.weak.TensorWeakRef(x)
    >>> ref() is x
    True
    >>> del x
    >>> print(ref())
    None
    """

    def __init__(self, tensor):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"TensorWeakRef: expected a tensor, got {type(tensor).__name__}")
        self.ref = weakref.ref(tensor)

    def __call__(self):
        return self.ref()
