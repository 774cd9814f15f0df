"""Making a module without drawing its initial values."""

import rushlight as torch

__all__ = ["skip_init"]


def skip_init(module_cls, *args, **kwargs):
    """``module_cls(*args, **kwargs)`` with uninitialised parameters and buffers; the class must take ``device`` (RuntimeError).

    >>> layer = nn.utils.skip_init(nn.Linear, 1000, 1000)  # nothing is drawn
    >>> layer.weight.shape, layer.weight.device.type
    (torch.Size([1000, 1000]), 'cpu')
    """
    import inspect  # takes longer than the rest of this room

    if not issubclass(module_cls, torch.nn.Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    with torch.random.fork_rng():  # as if nothing had been drawn
        module = module_cls(*args, **kwargs)
    return module.to_empty(device=device)
