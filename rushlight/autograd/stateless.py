"""Modules as functions of their parameters."""

from .._core.tensor import Tensor

__all__ = ["functional_call", "stack_module_state"]


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Calls ``module(*args, **kwargs)`` with other tensors in place of its parameters and buffers.

    Args:
        parameter_and_buffer_dicts: a dict from names, as in state_dict, to tensors, or a sequence of such dicts without
            common keys.
        tie_weights: where parameters are shared, replacing one replaces all its names.
        strict: raise RuntimeError for missing or unexpected names.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> torch.func.functional_call(layer, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, torch.ones(2))
    tensor([2.])
    """
    tensors = _merged(parameter_and_buffer_dicts)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    slots = _slots(module)
    _check_names(module, slots, tensors, strict)
    if tie_weights:
        tensors = _tied(slots, tensors)
    before = [(slots[name], name, slots[name][0][slots[name][1]]) for name in tensors if name in slots]
    try:
        for (owner, key), name, _ in before:
            owner[key] = tensors[name]
        return module(*args, **(kwargs or {}))
    finally:
        for (owner, key), _, value in before:
            owner[key] = value


def _merged(dicts):
    if isinstance(dicts, dict):
        return dicts
    if not isinstance(dicts, (list, tuple)) or not all(isinstance(d, dict) for d in dicts):
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
        )
    names = [key for d in dicts for key in d]
    merged = {key: value for d in dicts for key, value in d.items()}
    if len(names) > len(merged):
        twice = [key for key in merged if names.count(key) > 1]
        raise ValueError(f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous")
    return merged


def _slots(module):
    """name -> (the dict of its module that holds it, key)."""
    found = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for owner in (part._parameters, part._buffers):
            for key, value in owner.items():
                if value is not None:
                    found[f"{prefix}.{key}" if prefix else key] = (owner, key)
    return found


def _check_names(module, slots, tensors, strict):
    unexpected = [n for n in tensors if n not in slots]
    missing = [n for n in slots if n not in tensors]
    if strict and (missing or unexpected):
        lines = [f"Error(s) in reparametrizing for {type(module).__name__}:"]
        for what, names in (("Unexpected", unexpected), ("Missing", missing)):
            if names:
                lines.append(f"\t{what} key(s): {', '.join(map(repr, sorted(names)))}.")
        raise RuntimeError("\n".join(lines))
    for name in unexpected:
        owner = module
        for part in name.split(".")[:-1]:  # a new name is nobody's, but in a module that there is
            if not hasattr(owner, part):
                raise AttributeError(f"{type(owner).__name__} has no attribute `{part}`")
            owner = getattr(owner, part)
    for name, value in tensors.items():
        if name in slots and not isinstance(value, Tensor):
            raise TypeError(f"{value} is not an instance of torch.Tensor")


def _tied(slots, tensors):
    """tensors, with every other name of a shared parameter added."""
    names = {}
    for name, (owner, key) in slots.items():
        names.setdefault(id(owner[key]), []).append(name)
    result = dict(tensors)
    for group in names.values():
        given = {id(tensors[n]) for n in group if n in tensors}
        if len(given) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(group)}, which are tied. Consider using"
                " tie_weights=False"
            )
        for name in group:
            if given:
                result[name] = next(tensors[n] for n in group if n in tensors)
    return result


def stack_module_state(models):
    """``(parameters, buffers)`` of several models of one architecture, each stacked along a new first dim: for vmap
    over an ensemble.

    >>> models = [nn.Linear(2, 3) for _ in range(4)]
    >>> parameters, buffers = torch.func.stack_module_state(models)
    >>> {name: tuple(p.shape) for name, p in parameters.items()}
    {'weight': (4, 3, 2), 'bias': (4, 3)}
    >>> run = lambda p, x: torch.func.functional_call(models[0], p, x)
    >>> torch.func.vmap(run, (0, None))(parameters, torch.ones(5, 2)).shape
    torch.Size([4, 5, 3])
    """
    import rushlight

    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(states, leaf):
        result = {}
        for name in states[0]:
            values = [s[name] for s in states]
            joined = rushlight.stack([v.detach() for v in values])
            result[name] = joined.requires_grad_(values[0].requires_grad) if leaf else joined
        return result

    parameters = stacked([dict(m.named_parameters()) for m in models], True)
    return parameters, stacked([dict(m.named_buffers()) for m in models], False)
