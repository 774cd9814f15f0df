"""The class that PyTorch wraps compiled modules in."""

from ..nn import Module


class OptimizedModule(Module):
    """Never made here (``torch.compile`` returns its argument): for isinstance tests."""
