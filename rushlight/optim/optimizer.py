"""Optimizer: parameter groups, state, hooks and the state_dict. The update rules are in the files of their names."""

import warnings
from collections import OrderedDict, defaultdict
from copy import deepcopy
from functools import wraps
from itertools import chain

import rushlight as torch

from ..autograd._recorder import current as current_recorder
from ..autograd.profiler import record_function
from ..nn.modules.hooks import add_hook
from ..nn.modules.module import clear_gradient

__all__ = ["Optimizer", "ParamsT", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

# What an optimizer is given: an iterable of tensors, of (name, tensor) pairs or of dictionaries with the key "params".
ParamsT = object

_global_optimizer_pre_hooks = OrderedDict()
_global_optimizer_post_hooks = OrderedDict()


class _RequiredParameter:
    """The default of an option that every parameter group must state."""

    def __repr__(self):
        return "<required parameter>"


required = _RequiredParameter()


def register_optimizer_step_pre_hook(hook):
    """Runs ``hook(optimizer, args, kwargs)`` before every optimizer's step; it may return (new_args, new_kwargs)."""
    return add_hook(_global_optimizer_pre_hooks, hook)


def register_optimizer_step_post_hook(hook):
    """Runs ``hook(optimizer, args, kwargs)`` after every optimizer's step."""
    return add_hook(_global_optimizer_post_hooks, hook)


def _use_grad_for_differentiable(step):
    """Decorates a ``step``: gradients of the update itself are recorded only with ``differentiable=True``."""

    @wraps(step)
    def wrapper(self, *args, **kwargs):
        with torch.set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            return step(self, *args, **kwargs)

    return wrapper


def _default_to_fused_or_foreach(params, differentiable, use_fused=False):
    """PyTorch's choice between its implementations, (fused, foreach); here there is one, which is both."""
    return False, False


def _get_capturable_supported_devices(supports_xla=True):
    """Devices on which ``capturable=True`` is accepted: all that exist."""
    return ["cpu", "cuda"]


def _get_value(x):
    """A number from a number or a tensor of one element."""
    return x.item() if isinstance(x, torch.Tensor) else x


def check(condition, message):
    """Raises ValueError(message) unless ``condition``."""
    if not condition:
        raise ValueError(message)


def check_not_negative(**options):
    """Raises ValueError for the first of the options that is below 0."""
    for name, value in options.items():
        check(0.0 <= value, f"Invalid {'epsilon' if name == 'eps' else name} value: {value}")


def options(given, order):
    """The defaults of an optimizer's options among the ``locals()`` of its ``__init__``, in the order that PyTorch's state dicts show."""
    return {name: given[name] for name in order.split()}


def check_lr(lr, foreach=False, capturable=False):
    """The checks of a learning rate: not negative, and one element if it is a tensor."""
    if isinstance(lr, torch.Tensor):
        check(not foreach or capturable, "lr as a Tensor is not supported for capturable=False and foreach=True")
        check(lr.numel() == 1, "Tensor lr must be 1-element")
    check(0.0 <= lr, f"Invalid learning rate: {lr}")


def check_variants(fused, foreach, differentiable):
    """Refuses the combinations of implementations that PyTorch refuses."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def evaluated(closure):
    """The loss that a step's closure computes, recorded; None without a closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class Optimizer:
    """Base of all optimizers: ``params`` (tensors, (name, tensor) pairs or groups) and the ``defaults`` of their options.

    A subclass implements ``step``. ``param_groups`` is a list of dictionaries with the key "params" and one per option;
    ``state[parameter]`` holds what is kept between steps.

    >>> class SignDescent(optim.Optimizer):
    ...     def __init__(self, params, lr=0.5):
    ...         super().__init__(params, {"lr": lr})
    ...     @torch.no_grad()
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p -= group["lr"] * p.grad.sign()
    >>> w = torch.tensor([3.0, -1.0], requires_grad=True)
    >>> optimizer = SignDescent([w])
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([ 2.5000, -0.5000])
    """

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._make_hook_dictionaries()
        if isinstance(params, torch.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + torch.typename(params)
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        if isinstance(params, torch.nn.Module) and not hasattr(params, "__iter__"):
            raise TypeError(
                f"{type(params).__name__!r} object is not iterable\nan optimizer is given the model's parameters: model.parameters()"
            )
        groups = list(params)
        if not groups:
            raise ValueError(
                "optimizer got an empty parameter list\nmodel.parameters() is used up after one pass: make a list of it, and look "
                "for layers kept in a plain Python list (use nn.ModuleList)"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group) if isinstance(group, dict) else group)
        self._warned_capturable_if_run_uncaptured = True

    def _make_hook_dictionaries(self):
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        self._patch_step_function()

    def _patch_step_function(self):
        """Has this class's ``step`` call the hooks.

        At the first instance, not when the class is made: wrappers of optimizers derive from this class and never initialise it, or call
        this method themselves once they have what hooks need.
        """
        type(self).step = _with_hooks(type(self).step)

    def __getstate__(self):
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._make_hook_dictionaries()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"] if i else [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join(lines) + "\n)"

    # -- parameter groups --

    def add_param_group(self, param_group):
        """Adds a group: a dictionary with "params" and any options that differ from the defaults.

        >>> body, head = nn.Linear(2, 2), nn.Linear(2, 1)
        >>> optimizer = optim.SGD(body.parameters(), lr=0.01)
        >>> optimizer.add_param_group({"params": head.parameters(), "lr": 0.1})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.01, 0.1]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, torch.Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will "
                "change between runs. Please use a list instead."
            )
        param_group["params"], names = _without_names(list(params))
        if names is not None:
            param_group["param_names"] = names
        for param in param_group["params"]:
            if not isinstance(param, torch.Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {torch.typename(param)}")
            if not (self.defaults.get("differentiable") or param.is_leaf or getattr(param, "retains_grad", False)):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        self._check_duplicates(param_group)
        self.param_groups.append(param_group)

    def _check_duplicates(self, new_group):
        params = new_group["params"]
        if len(set(params)) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        known = {param for group in self.param_groups for param in group["params"]}
        if not known.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in new_group) != ("param_names" in self.param_groups[0]):
            kind = "with" if "param_names" in new_group else "without"
            raise ValueError(
                f"all optimizer param groups should be with/without names. cannot add param group {kind} names to the optimizer"
            )

    # -- steps --

    def zero_grad(self, set_to_none=True):
        """Clears the gradient of every parameter: sets it to None, or to zeros.

        >>> w = torch.zeros(2, requires_grad=True)
        >>> w.grad = torch.ones(2)
        >>> optimizer = optim.SGD([w], lr=0.1)
        >>> optimizer.zero_grad(set_to_none=False)
        >>> w.grad
        tensor([0., 0.])
        >>> optimizer.zero_grad()
        >>> w.grad is None
        True
        """
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    if set_to_none:
                        param.grad = None
                    else:
                        clear_gradient(param)

    def _with_gradients(self):
        """(parameter, its group) for every parameter that has a gradient."""
        return [(param, group) for group in self.param_groups for param in group["params"] if param.grad is not None]

    def step(self, closure=None):
        """One update of every parameter; subclasses implement it. closure: computes the loss again and returns it.

        >>> w = torch.tensor([4.0], requires_grad=True)
        >>> optimizer = optim.SGD([w], lr=0.25)
        >>> (w**2).backward()
        >>> optimizer.step()  # 4 - 0.25 * 8
        >>> w.detach()
        tensor([2.])
        """
        raise NotImplementedError

    @staticmethod
    def profile_hook_step(func):
        """Decorates a ``step`` so that the step hooks run around it; every subclass's step has it already.

        >>> step = optim.Optimizer.profile_hook_step(lambda optimizer: "stepped")
        >>> step(optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1))
        'stepped'
        """
        return _with_hooks(func)

    # -- state --

    def state_dict(self):
        """``{"state": {number: {...}}, "param_groups": [{..., "params": [numbers]}]}``, parameters by their position.

        >>> w = torch.ones(2, requires_grad=True)
        >>> w.grad = torch.ones(2)
        >>> optimizer = optim.SGD([w], lr=0.5, momentum=0.9)
        >>> optimizer.step()
        >>> optimizer.state_dict()["state"]
        {0: {'momentum_buffer': tensor([1., 1.])}}
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers = {}
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            numbers.update({id(param): i for i, param in enumerate(group["params"], len(numbers)) if id(param) not in numbers})
            packed["params"] = [numbers[id(param)] for param in group["params"]]  # one that is there twice has its last place
            groups.append(packed)
        state = {numbers[id(k)] if isinstance(k, torch.Tensor) else k: value for k, value in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replacement = hook(self, result)
            if replacement is not None:
                result = replacement
        return result

    def load_state_dict(self, state_dict):
        """Takes back what ``state_dict`` gave: the options of every group, and the state, cast to each parameter's dtype and device.
        Raises ValueError if the groups do not match.

        >>> first = optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.5)
        >>> second = optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)
        >>> second.load_state_dict(first.state_dict())
        >>> second.param_groups[0]["lr"]
        0.5
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replacement = hook(self, state_dict)
            if replacement is not None:
                state_dict = replacement
        saved_groups = deepcopy(state_dict["param_groups"])
        self._check_matching(saved_groups)
        pairs = zip(
            chain.from_iterable(group["params"] for group in saved_groups),
            chain.from_iterable(group["params"] for group in self.param_groups),
        )
        owner = dict(pairs)
        options = {number: group for group in saved_groups for number in group["params"]}
        state = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in owner:
                state[owner[key]] = _cast_state(owner[key], value, options[key])
            else:
                state[key] = value
        for saved, group in zip(saved_groups, self.param_groups):
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def _check_matching(self, saved_groups):
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups\n"
                f"it has {len(saved_groups)}, this optimizer has {len(self.param_groups)}"
            )
        for i, (saved, group) in enumerate(zip(saved_groups, self.param_groups)):
            if len(saved["params"]) != len(group["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group\n"
                    f"group {i} has {len(saved['params'])} parameters in it and {len(group['params'])} here"
                )

    # -- hooks --

    def register_step_pre_hook(self, hook):
        """Runs ``hook(optimizer, args, kwargs)`` before each step; it may return (new_args, new_kwargs).

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print("before"))
        >>> optimizer.step()
        before
        """
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Runs ``hook(optimizer, args, kwargs)`` after each step.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_step_post_hook(lambda optimizer, args, kwargs: print("after"))
        >>> optimizer.step()
        after
        >>> handle.remove()
        >>> optimizer.step()
        """
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Runs ``hook(optimizer)`` before ``state_dict``.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_state_dict_pre_hook(lambda optimizer: print("saving"))
        >>> sorted(optimizer.state_dict())
        saving
        ['param_groups', 'state']
        """
        return add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Runs ``hook(optimizer, state_dict)`` after ``state_dict``; a result replaces the dictionary.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_state_dict_post_hook(lambda optimizer, state: {**state, "version": 2})
        >>> sorted(optimizer.state_dict())
        ['param_groups', 'state', 'version']
        """
        return add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Runs ``hook(optimizer, state_dict)`` before ``load_state_dict``; a result replaces the dictionary.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_load_state_dict_pre_hook(lambda optimizer, saved: saved["optimizer"])
        >>> optimizer.load_state_dict({"epoch": 3, "optimizer": optimizer.state_dict()})
        """
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Runs ``hook(optimizer)`` after ``load_state_dict``.

        >>> optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> handle = optimizer.register_load_state_dict_post_hook(lambda optimizer: print("loaded"))
        >>> optimizer.load_state_dict(optimizer.state_dict())
        loaded
        """
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)


_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def _with_hooks(step):
    """``step`` with the optimizer's and the global step hooks around it."""
    if getattr(step, "hooked", False):
        return step

    @wraps(step)
    def wrapper(*args, **kwargs):
        self = args[0]  # which the hooks see among the arguments, as in PyTorch
        before = [*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()]
        after = [*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()]
        for hook in before:
            result = hook(self, args, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}.")
                args, kwargs = result
        if current_recorder() is None:
            loss = step(*args, **kwargs)
        else:
            with record_function(f"Optimizer.step#{type(self).__name__}.step"):
                loss = step(*args, **kwargs)
        for hook in after:
            hook(self, args, kwargs)
        return loss

    wrapper.hooked = True
    return wrapper


def _without_names(params):
    """Splits (name, tensor) pairs: the tensors, and the names or None."""
    named = [isinstance(param, tuple) and len(param) == 2 for param in params]
    if not any(named):
        return params, None
    if not all(named):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [param for _, param in params], [name for name, _ in params]


def _cast_state(param, value, options, key=None):
    """Saved state for ``param``: tensors take its device, and its dtype where they are floating point; "step" stays as it is."""
    if isinstance(value, torch.Tensor):
        if key == "step":
            on_device = options.get("capturable") or options.get("fused")
            return value.to(device=param.device, dtype=torch.float32) if on_device else value
        if param.is_floating_point():
            return value.to(dtype=param.dtype, device=param.device)
        return value.to(device=param.device)
    if isinstance(value, dict):
        return {name: _cast_state(param, item, options, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast_state(param, item, options) for item in value)
    return value


