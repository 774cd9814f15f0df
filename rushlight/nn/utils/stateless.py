"""Calling a module with other parameters and buffers than its own."""

import contextlib

import rushlight as torch

__all__ = ["functional_call"]


def functional_call(module, parameters_and_buffers, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """``module(*args, **kwargs)`` with the named tensors in place of its own, which are untouched afterwards.

    tie_weights: a tensor given for one name replaces the module's tensor under all its names. strict: RuntimeError unless every
    parameter and buffer is given and every name is known.
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrized(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _named(module):
    """Every name of every parameter and buffer, tied ones several times."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _with_ties(module, given):
    tied = dict(given)
    names = {}
    for name, tensor in _named(module):
        names.setdefault(tensor, []).append(name)
    for group in names.values():
        stated = [name for name in group if name in given]
        if len({id(given[name]) for name in stated}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(stated)}, which are tied. Consider using tie_weights=False"
            )
        for name in group:
            if stated:
                tied[name] = given[stated[0]]
    return tied


def _reparametrize_module(module, parameters_and_buffers, tie_weights=False, strict=False, stack_weights=False):
    """A block in which a module has other parameters and buffers: what :func:`functional_call` calls it in."""
    return _reparametrized(module, parameters_and_buffers, tie_weights, strict)


@contextlib.contextmanager
def _reparametrized(module, given, tie_weights, strict):
    values = _with_ties(module, given) if tie_weights else dict(given)
    if strict:
        known = {name for name, _ in _named(module)}
        missing, unexpected = known - values.keys(), values.keys() - known
        problems = []
        if unexpected:
            problems.append(f"Unexpected key(s): {', '.join(sorted(unexpected))}.")
        if missing:
            problems.append(f"Missing key(s): {', '.join(sorted(missing))}.")
        if problems:
            raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(problems))
    before = []
    try:
        for name, value in values.items():
            before.append((name, _swap(module, name, value)))
        yield
    finally:
        for name, value in reversed(before):
            # What the call itself stored (a running mean, say) stays in the dictionary that was given.
            current = _swap(module, name, value)
            if name in given:
                given[name] = current


def _swap(module, path, value):
    """Puts ``value`` at a dotted path, past the checks of attribute assignment; returns what was there."""
    path, _, name = path.rpartition(".")
    owner = module.get_submodule(path)
    for registry in (owner._parameters, owner._buffers):
        if name in registry:
            old, registry[name] = registry[name], value
            return old
    if hasattr(owner, name) and isinstance(getattr(owner, name), torch.Tensor):
        old = getattr(owner, name)
        setattr(owner, name, value)
        return old
    raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
