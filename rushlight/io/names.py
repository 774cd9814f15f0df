"""Names in files: a checkpoint speaks PyTorch's, whoever wrote it."""

OURS, THEIRS = "rushlight", "torch"


def to_file(module):
    """The module name that is written for ``module``."""
    if module == "builtins":
        return "__builtin__"  # the name under which protocol 2 knows it
    module = _swap(module, THEIRS, OURS)  # under the alias our classes say that they are torch's
    if module.startswith(f"{OURS}.nn._functional_"):
        module = f"{OURS}.nn.functional"  # where they are public
    return _swap(module, OURS, THEIRS)


def from_file(module):
    """The module that a file means by ``module``."""
    if module in ("__builtin__", "exceptions"):
        return "builtins"
    if module == "copy_reg":
        return "copyreg"
    return _swap(module, THEIRS, OURS)


def _swap(module, old, new):
    return new + module[len(old) :] if module == old or module.startswith(old + ".") else module
