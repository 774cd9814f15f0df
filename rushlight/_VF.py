"""Functions of PyTorch's inner library under their names there: those of the package."""


def __getattr__(name):
    import rushlight

    return getattr(rushlight, name)
