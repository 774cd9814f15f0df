"""Several modules on their inputs."""

__all__ = ["parallel_apply"]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """``[module(*input, **kwargs)]`` for each module, one after the other; an input that is no tuple is the only argument."""
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    if not len(modules) == len(inputs) == len(kwargs_tup):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    arguments = [value if isinstance(value, (list, tuple)) else (value,) for value in inputs]
    return [module(*args, **kwargs) for module, args, kwargs in zip(modules, arguments, kwargs_tup)]
