"""A Module's state as a dictionary from dotted names to tensors: ``state_dict``, ``load_state_dict`` and their hooks."""

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

import rushlight as torch

from ..parameter import Parameter, is_lazy
from .hooks import add_hook

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What ``load_state_dict`` returns: the names that the checkpoint lacked, and those that the module does not know."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


class _MayNotReturn:
    """A state_dict post-hook of the public kind, which must return None."""

    def __init__(self, hook):
        self.hook = hook

    def __call__(self, *args):
        if self.hook(*args) is not None:
            raise RuntimeError("state_dict post-hook must return None")


class _WithModule:
    """Marks a load_state_dict pre-hook that wants the module as its first argument."""

    def __init__(self, hook):
        self.hook = hook

    def __call__(self, *args):
        return self.hook(*args)


class StatefulModule:
    """The part of Module that saves and loads its state."""

    def get_extra_state(self):
        """Override, together with :meth:`set_extra_state`, to keep more than tensors in the state: any picklable object.

        >>> class Counter(nn.Module):
        ...     seen = 0
        ...     def get_extra_state(self):
        ...         return self.seen
        ...     def set_extra_state(self, state):
        ...         self.seen = state
        >>> Counter().state_dict()
        OrderedDict([('_extra_state', 0)])
        >>> counter = Counter()
        >>> counter.load_state_dict({"_extra_state": 3}), counter.seen
        (<All keys matched successfully>, 3)
        """
        raise RuntimeError(_never_called("get"))

    def set_extra_state(self, state):
        """Override to take back what :meth:`get_extra_state` returned.

        >>> class Tagged(nn.Module):
        ...     def get_extra_state(self):
        ...         return "v2"
        ...     def set_extra_state(self, state):
        ...         print("loaded from", state)
        >>> Tagged().load_state_dict(Tagged().state_dict())
        loaded from v2
        <All keys matched successfully>
        """
        raise RuntimeError(_never_called("set"))

    # -- saving --

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """The parameters and persistent buffers of this module and all below it, by dotted name, detached but not copied.

        destination: dictionary to write into. prefix: put before every name. keep_vars: do not detach.

        >>> list(nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
            given = dict(zip(("destination", "prefix", "keep_vars"), args))
            destination = given.get("destination", destination)
            prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        return self._write_state(destination, prefix, keep_vars)

    def _write_state(self, destination, prefix, keep_vars):
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is None:
                continue
            if type(module).state_dict is StatefulModule.state_dict:
                module._write_state(destination, f"{prefix}{name}.", keep_vars)
            else:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            replacement = hook(self, destination, prefix, local_metadata)
            if replacement is not None:
                destination = replacement
        return destination

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Writes this module's own tensors, not those below it. Subclasses may override it."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not StatefulModule.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def _own_state(self):
        state = {name: p for name, p in self._parameters.items() if p is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                state[name] = buffer
        return state

    # -- loading --

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copies the tensors of ``state_dict`` into this module and those below it; returns (missing_keys, unexpected_keys).

        strict: the names must agree exactly. assign: take the given tensors themselves instead of copying their values
        (a parameter keeps its ``requires_grad``). Raises RuntimeError that lists everything that did not fit.

        >>> first, second = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> second.load_state_dict(first.state_dict())
        <All keys matched successfully>
        >>> torch.equal(first.weight, second.weight)
        True
        >>> second.load_state_dict({"weight": first.weight, "scale": torch.ones(1)}, strict=False)
        _IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['scale'])
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.{_other_than_state(state_dict)}")
        loading = _Loading(getattr(state_dict, "_metadata", None), strict, assign)
        given = OrderedDict(state_dict)
        if loading.metadata is not None:
            given._metadata = loading.metadata
        loading.load(self, given)
        if strict:
            loading.report_names()
        if loading.errors:
            hint = _prefix_hint(loading.missing, loading.unexpected) or _nested_hint(given, loading.missing)
            raise RuntimeError(
                "Error(s) in loading state_dict for {}:\n\t{}{}".format(type(self).__name__, "\n\t".join(loading.errors), hint)
            )
        return _IncompatibleKeys(loading.missing, loading.unexpected)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        """Loads this module's own tensors, not those below it. Subclasses override it to read older versions of their state."""
        for hook in self._load_state_dict_pre_hooks.values():
            leading = (self,) if isinstance(hook, _WithModule) else ()
            hook(*leading, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._own_state()
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            if prefix + name in state_dict:
                problem = self._take(name, target, prefix + name, state_dict[prefix + name], assign)
                if problem:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(prefix + name)

        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        wants_extra = _overrides(self, "set_extra_state")
        if wants_extra and extra_key in state_dict:
            self.set_extra_state(state_dict[extra_key])
        elif strict and wants_extra:
            missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            unexpected_keys.extend(self._unknown_names(state_dict, prefix, own))

    def _unknown_names(self, state_dict, prefix, own):
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + _EXTRA_STATE_KEY_SUFFIX:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    yield key

    def _take(self, name, target, key, value, assign):
        """Copies or assigns one tensor; returns the reason if it does not fit."""
        if not isinstance(value, torch.Tensor) and not hasattr(value, "__torch_function__"):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from checkpoint but '
                f"received {type(value)}"
            )
        if is_lazy(target):
            if is_lazy(value):
                return None  # both wait for their shapes
        else:
            if target.dim() == 0 and value.dim() == 1 and value.shape[0] == 1:
                value = value[0]  # PyTorch before 0.4 had no tensors of zero dimensions
            if value.shape != target.shape:
                return (
                    f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                    f"the shape in current model is {target.shape}."
                )
        if target.is_meta and not value.is_meta and not assign:
            warnings.warn(
                f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is "
                "a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key in "
                "the module instead of copying them in place?)",
                stacklevel=2,
            )
        try:
            with torch.no_grad():
                if torch.__future__.get_swap_module_params_on_conversion():
                    _swap(target, value, assign)
                elif assign:
                    self._assign(name, target, value)
                else:
                    target.copy_(value)
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are {target.size()} and whose '
                f"dimensions in the checkpoint are {value.size()}, an exception occurred : {error.args}."
            )

    def _assign(self, name, target, value):
        if isinstance(target, Parameter):
            if isinstance(value, Parameter):
                value.requires_grad_(target.requires_grad)
            else:
                value = Parameter(value, requires_grad=target.requires_grad)
        setattr(self, name, value)

    # -- hooks --

    def register_state_dict_pre_hook(self, hook):
        """Runs ``hook(module, prefix, keep_vars)`` before the module's state is collected.

        >>> network = nn.Sequential(nn.Linear(2, 3))
        >>> handle = network[0].register_state_dict_pre_hook(lambda module, prefix, keep_vars: print("collecting", prefix))
        >>> list(network.state_dict())
        collecting 0.
        ['0.weight', '0.bias']
        """
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Runs ``hook(module, state_dict, prefix, local_metadata)`` when the state is collected; it may change it in place.

        >>> def without_bias(module, state, prefix, local_metadata):
        ...     del state[prefix + "bias"]
        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_state_dict_post_hook(without_bias)
        >>> list(layer.state_dict())
        ['weight']
        """
        return add_hook(self._state_dict_hooks, _MayNotReturn(hook))

    def _register_state_dict_hook(self, hook):
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Runs ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`` before
        this module's own tensors are loaded; it may change the dictionary and the lists in place.

        >>> def renamed(module, state, prefix, *_):
        ...     state[prefix + "weight"] = state.pop(prefix + "kernel")
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> handle = layer.register_load_state_dict_pre_hook(renamed)
        >>> layer.load_state_dict({"kernel": torch.ones(1, 2)}), layer.weight.detach()
        (<All keys matched successfully>, tensor([[1., 1.]]))
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        return add_hook(self._load_state_dict_pre_hooks, _WithModule(hook) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook):
        """Runs ``hook(module, incompatible_keys)`` after loading; it may change ``missing_keys`` and ``unexpected_keys``.

        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
        >>> layer.load_state_dict({"weight": torch.zeros(3, 2)})  # a bias may be missing
        <All keys matched successfully>
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


def _swap(target, value, assign):
    """Puts what ``target`` makes of the given tensor in its place, for all who hold it."""
    loaded = target.module_load(value, assign=assign)
    if loaded is target or loaded is value:
        raise RuntimeError("module_load must return a new tensor, not one of the two it was given\n  Return its detach().")
    if isinstance(target, Parameter) and not isinstance(loaded, Parameter):
        loaded = Parameter(loaded, requires_grad=target.requires_grad)
    torch.utils.swap_tensors(target, loaded.requires_grad_(target.requires_grad))


class _Loading:
    """One run of load_state_dict over a tree of modules, and what it found."""

    def __init__(self, metadata, strict, assign):
        self.metadata, self.strict, self.assign = metadata, strict, assign
        self.missing, self.unexpected, self.errors = [], [], []

    def load(self, module, state_dict, prefix=""):
        local_metadata = {} if self.metadata is None else self.metadata.get(prefix[:-1], {})
        if self.assign:
            local_metadata["assign_to_params_buffers"] = True
        module._load_from_state_dict(
            state_dict, prefix, local_metadata, True, self.missing, self.unexpected, self.errors
        )
        for name, child in module._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                part = OrderedDict((key, value) for key, value in state_dict.items() if key.startswith(below))
                self.load(child, part, below)
        incompatible = _IncompatibleKeys(self.missing, self.unexpected)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, incompatible) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, if "
                    "incompatible_keys need to be modified, it should be done inplace."
                )

    def report_names(self):
        """Puts the names that did not agree before the other problems, the missing ones first."""
        for kind, names in (("Unexpected", self.unexpected), ("Missing", self.missing)):
            if names:
                quoted = ", ".join(f'"{name}"' for name in names)
                self.errors.insert(0, f"{kind} key(s) in state_dict: {quoted}. ")


def _other_than_state(given):
    """A sentence for what is often given instead of a state."""
    if isinstance(given, StatefulModule):
        return "\nThis is a module; its state is module.state_dict()."
    if isinstance(given, (str, bytes)) or hasattr(given, "__fspath__"):
        return "\nThis is a path; the state in the file is torch.load(path)."
    return ""


def _nested_hint(given, missing):
    """A sentence that helps when the state is one entry of a checkpoint with more in it."""
    for key, value in given.items():
        if isinstance(value, Mapping) and missing and all(name in value for name in missing):
            return f"\nThe state seems to be the entry {key!r} of what was loaded: load_state_dict(checkpoint[{key!r}])."
    return ""


def _prefix_hint(missing, unexpected):
    """A sentence that helps when one prefix too many or too few explains the names that do not fit."""
    for short, long, kind in ((missing, unexpected, "more"), (unexpected, missing, "less")):
        if not short or not long:
            continue
        first = next((key for key in long if key.endswith("." + short[0])), None)
        prefix = first[: -len(short[0])] if first else None
        if prefix and {prefix + key for key in short} <= set(long):
            if kind == "more":
                cure = (
                    f"load_state_dict({{k.removeprefix({prefix!r}): v for k, v in state_dict.items()}}), "
                    "or save the inner module (model.module, or the model before compile) next time"
                )
            else:
                cure = f"load_state_dict({{{prefix!r} + k: v for k, v in state_dict.items()}})"
            return f"\nEvery name in the checkpoint has the prefix {prefix!r} {kind} than this module's names. Use {cure}."
    return ""


def _overrides(module, method):
    return getattr(type(module), method) is not getattr(StatefulModule, method)


def _never_called(verb):
    return (
        f"Reached a code path in Module.{verb}_extra_state() that should never be called. Please file an issue at "
        "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
    )
