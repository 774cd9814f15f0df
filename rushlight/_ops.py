"""``torch.ops``: namespaces of operators.

>>> torch.ops.aten.add.Tensor(torch.ones(2), torch.ones(2))
tensor([2., 2.])
"""

import os
import sys

from ._core import callbacks


class _One:
    """There is one of each: a copy is itself."""

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class OpOverload(_One):
    """One form of an operator, ``torch.ops.aten.add.Tensor``. Here an operator has one definition, which every form calls."""

    def __init__(self, packet, name):
        self.overloadpacket = self._overloadpacket = packet
        self._overloadname, self._opname, self.tags = name, packet.__name__, []
        self.namespace = self._namespace = packet._qualified_op_name.partition("::")[0]
        self.__name__, self.__qualname__, self.__module__ = f"{packet.__name__}.{name}", self.name(), f"torch._ops.{self.namespace}"

    def __call__(self, *args, **kwargs):
        return self.overloadpacket(*args, **kwargs)

    def name(self):
        """``aten::add.Tensor``."""
        form = "" if self._overloadname == "default" else f".{self._overloadname}"
        return self.overloadpacket._qualified_op_name + form

    def __repr__(self):
        return f"<OpOverload(op='{self.overloadpacket._qualified_op_name.replace('::', '.')}', overload='{self._overloadname}')>"

    def __str__(self):
        return self.overloadpacket._qualified_op_name.replace("::", ".") + f".{self._overloadname}"


class OpOverloadPacket(_One):
    """An operator of PyTorch's core by its name there, ``torch.ops.aten.add``; its attributes are its forms, each made when asked for."""

    def __init__(self, qualname, op):
        self._qualified_op_name, self._op = qualname, op
        self.__name__ = qualname.partition("::")[2]

    def __call__(self, *args, **kwargs):
        result = self._op(*args, **kwargs)
        return tuple(result) if hasattr(type(result), "_fields") else result  # named tuples are made above this layer

    def __getattr__(self, form):
        if form.startswith("_"):
            raise AttributeError(form)
        found = self.__dict__[form] = OpOverload(self, form)
        return found

    def __repr__(self):
        return f"<OpOverloadPacket(op='{self._qualified_op_name.replace('::', '.')}')>"

    def __str__(self):
        return self._qualified_op_name.replace("::", ".")


class _OpNamespace:
    """``torch.ops.<namespace>``: its operators are attributes."""

    def __init__(self, name):
        self.__dict__["name"] = name

    def __getattr__(self, op):
        if self.name == "aten":
            found = callbacks.table["primitive"](op)
            if found is not None:
                packet = self.__dict__[op] = OpOverloadPacket(f"aten::{op}", found)
                return packet
        raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{op}'")


class _Ops:
    """The namespaces, made when first asked for."""

    loaded_libraries = frozenset()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        namespace = self.__dict__[name] = _OpNamespace(name)
        return namespace

    def _define(self, qualname, op):
        namespace, _, name = qualname.partition("::")
        op = getattr(self, namespace).__dict__[name] = OpOverloadPacket(qualname, op)
        own = sys.modules.get(f"{__package__}.ops.{namespace}")
        if own is not None:  # torch.ops.<namespace> finds our module of that name before it asks here
            setattr(own, name, op)

    def _find(self, qualname):
        namespace, _, name = qualname.partition("::")
        return getattr(getattr(self, namespace), name)

    def load_library(self, path):
        """OSError: libraries are linked against PyTorch's own and cannot be loaded. In the place of some packages' there are ours."""
        place = str(path).replace(os.sep, "/")
        if "torchvision/_C" in place:
            return callbacks.table["define_torchvision"]()
        if "torchaudio/lib/_torchaudio" in place or "torchaudio/lib/libtorchaudio" in place:
            return callbacks.table["define_torchaudio"]()
        raise OSError(f"Could not load this library: {path}\n  It needs PyTorch's compiled core, which rushlight does not contain.")


ops = _Ops()


def namespace(name):
    """``torch.ops.<name>``, an AttributeError for names that Python asks for by itself."""
    return getattr(ops, name)
