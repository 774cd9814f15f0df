"""``torch.ops``: namespaces of operators."""


class _Namespace:
    """``torch.ops.<namespace>``: its operators are attributes."""

    def __init__(self, name):
        self.__dict__["name"] = name

    def __getattr__(self, op):
        if self.name == "aten" and not op.startswith("_"):
            import rushlight

            found = getattr(rushlight, op, None)
            if found is not None:
                return found
        raise AttributeError(f"'_OpNamespace' '{self.name}' object has no attribute '{op}'")


class _Ops:
    """The namespaces, made when first asked for."""

    loaded_libraries = frozenset()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        namespace = self.__dict__[name] = _Namespace(name)
        return namespace

    def _define(self, qualname, op):
        namespace, _, name = qualname.partition("::")
        getattr(self, namespace).__dict__[name] = op

    def _find(self, qualname):
        namespace, _, name = qualname.partition("::")
        return getattr(getattr(self, namespace), name)

    def load_library(self, path):
        """Raises OSError: libraries linked against PyTorch's own cannot be loaded."""
        raise OSError(f"Could not load this library: {path}\n  It needs PyTorch's compiled core, which rushlight does not contain.")


ops = _Ops()
