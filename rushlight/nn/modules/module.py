"""Module: the base of every network. A tree of modules that own parameters and buffers."""

from collections import OrderedDict

import rushlight as torch

from ..._core.module import ModuleBase, Walk, set_module
from ..parameter import Buffer, Parameter
from . import hooks as _hooks
from .conversion import ConvertibleModule
from .hooks import (  # noqa: F401  (the registrations are public names of this module)
    HookedModule,
    RemovableHandle,
    _global_backward_hooks,
    _global_backward_pre_hooks,
    _global_buffer_registration_hooks,
    _global_forward_hooks,
    _global_forward_hooks_always_called,
    _global_forward_hooks_with_kwargs,
    _global_forward_pre_hooks,
    _global_module_registration_hooks,
    _global_parameter_registration_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from .state import _EXTRA_STATE_KEY_SUFFIX, StatefulModule, _IncompatibleKeys  # noqa: F401
from .tracing import note_module

__all__ = [
    "Module", "register_module_backward_hook", "register_module_buffer_registration_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip


def _fresh_attributes():
    """What every module owns, in PyTorch's order; also the defaults for a pickle written before one of them existed."""
    return {
        "training": True,
        "_parameters": {},
        "_buffers": {},
        "_non_persistent_buffers_set": set(),
        "_backward_pre_hooks": OrderedDict(),
        "_backward_hooks": OrderedDict(),
        "_is_full_backward_hook": None,
        "_forward_hooks": OrderedDict(),
        "_forward_hooks_with_kwargs": OrderedDict(),
        "_forward_hooks_always_called": OrderedDict(),
        "_forward_pre_hooks": OrderedDict(),
        "_forward_pre_hooks_with_kwargs": OrderedDict(),
        "_state_dict_hooks": OrderedDict(),
        "_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_pre_hooks": OrderedDict(),
        "_load_state_dict_post_hooks": OrderedDict(),
        "_modules": {},
    }


class _CallSignature:
    """What ``inspect.signature(module)`` finds: a compiled ``__call__`` has none to read. Classes keep that of their ``__init__``."""

    def __get__(self, module, kind):
        if module is None:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        return Signature([Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)])


def clear_gradient(parameter):
    """Zeros in the place of the gradient, in its memory, without its history."""
    if parameter.grad.grad_fn is not None:
        parameter.grad.detach_()
    else:
        parameter.grad.requires_grad_(False)
    parameter.grad.zero_()


def _too_early(module, kind):
    return AttributeError(
        f"cannot assign {kind} before Module.__init__() call\ncall super().__init__() first in {type(module).__name__}.__init__()"
    )


_PLAIN = {bool, int, float, str, type(None)}  # what never is a parameter, buffer or module


class Module(HookedModule, StatefulModule, ConvertibleModule, ModuleBase):
    """Base class of networks: subclass it, make layers in ``__init__``, use them in ``forward``.

    A Parameter, Buffer or Module assigned as an attribute is registered under that name, in order. ``training`` says whether
    the module is in training mode; ``call_super_init = True`` in a subclass passes ``__init__`` on to further base classes.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.layer(x)
    >>> Net()(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    training: bool
    dump_patches: bool = False
    call_super_init: bool = False
    _version: int = 1
    _compiled_call_impl = None
    _repr_template = ""  # what extra_repr makes of a layer's options

    def __init__(self, *args, **kwargs):
        if not self.call_super_init:
            if kwargs:
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'")
            if args:
                raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        self.__dict__.update(_fresh_attributes())
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __getattr__(self, name):
        """What ``super().__getattr__`` of a subclass finds; other lookups of parameters, buffers and submodules take a compiled way."""
        for kind in ("_parameters", "_buffers", "_modules"):
            held = self.__dict__.get(kind)
            if held is not None and name in held:
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def forward(self, *input):
        """The computation of one call; every subclass overrides it. Raises NotImplementedError. Call the module itself, which also
        runs hooks.

        >>> class Double(nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> Double()(torch.ones(2))
        tensor([2., 2.])
        """
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # Attribute lookup and the call itself are compiled (ModuleBase). PyTorch's names of the same call; wrappers reach for them:
    _call_impl = _wrapped_call_impl = ModuleBase.__call__
    __signature__ = _CallSignature()

    # -- registration --

    def register_parameter(self, name, param):
        """Adds ``param`` (a Parameter or None) under ``name``. Raises KeyError for a bad or taken name, TypeError otherwise.

        >>> model = nn.Module()
        >>> model.register_parameter("bias", None)  # the name is known, there is none
        >>> model.register_parameter("weight", torch.zeros(2))
        Traceback (most recent call last):
            ...
        TypeError: cannot assign 'torch.FloatTensor' object to parameter 'weight' (torch.nn.Parameter or None required)
        """
        self._check_name("parameter", name, "_parameters")
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{torch.typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express "
                f"'{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = _hooks.registered(_global_parameter_registration_hooks, self, name, param)

    def register_buffer(self, name, tensor, persistent=True):
        """Adds a tensor (or None) that is state but not trained. persistent: whether it appears in the ``state_dict``.

        >>> model = nn.Module()
        >>> model.register_buffer("mean", torch.zeros(2))
        >>> model.mean, list(model.state_dict()), list(model.parameters())
        (tensor([0., 0.]), ['mean'], [])
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, torch.Tensor) and not hasattr(tensor, "__torch_function__"):
            raise TypeError(f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)")
        self._buffers[name] = _hooks.registered(_global_buffer_registration_hooks, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name, module):
        """Adds a submodule (or None) under ``name``, as assigning an attribute does.

        >>> model = nn.Module()
        >>> model.add_module("head", nn.Linear(2, 3))
        >>> model.head
        Linear(in_features=2, out_features=3, bias=True)
        """
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = _hooks.registered(_global_module_registration_hooks, self, name, module)

    def register_module(self, name, module):
        """The same as :meth:`add_module`.

        >>> model = nn.Module()
        >>> model.register_module("act", nn.ReLU())
        >>> model.act
        ReLU()
        """
        self.add_module(name, module)

    def _check_name(self, kind, name, registry):
        if registry not in self.__dict__:
            raise _too_early(self, kind)
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {torch.typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise KeyError(f"attribute '{name}' already exists")

    # -- attributes --

    def __setattr__(self, name, value):
        attributes = self.__dict__
        if type(value) in _PLAIN and name in attributes:
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            if "_parameters" not in attributes:
                raise _too_early(self, "parameters")
            self._forget(name, keep="_parameters")
            self.register_parameter(name, value)
        elif name in attributes.get("_parameters", ()):
            self._check_replacement(name, value, "parameter", "torch.nn.Parameter or None")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if "_modules" not in attributes:
                raise _too_early(self, "module")
            self._forget(name, keep="_modules")
            attributes["_modules"][name] = _hooks.registered(_global_module_registration_hooks, self, name, value)
        elif name in attributes.get("_modules", ()):
            self._check_replacement(name, value, "child module", "torch.nn.Module or None")
            attributes["_modules"][name] = _hooks.registered(_global_module_registration_hooks, self, name, value)
        elif name in attributes.get("_buffers", ()) or isinstance(value, Buffer):
            self._set_buffer(name, value)
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name, keep):
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry != keep:
                self.__dict__[registry].pop(name, None)
        self.__dict__.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _check_replacement(self, name, value, kind, expected):
        if value is not None:
            raise TypeError(
                f"cannot assign '{torch.typename(value)}' as {kind} '{name}' ({expected} expected)\n"
                f"'{name}' is registered as a {kind}; to make it something else, delete it first: del module.{name}"
            )

    def _set_buffer(self, name, value):
        if value is not None and not isinstance(value, torch.Tensor) and not hasattr(value, "__torch_function__"):
            raise TypeError(
                f"cannot assign '{torch.typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)"
            )
        if isinstance(value, Buffer):
            persistent = value.persistent
        else:
            persistent = name not in self._non_persistent_buffers_set
        if persistent:
            self.register_buffer(name, value)  # without the argument: old subclasses override it without one
        else:
            self.register_buffer(name, value, persistent=False)

    def __delattr__(self, name):
        for registry in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self):
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    # -- the tree --

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """Yields (dotted name, module) for this module (named ``prefix``) and all below it; each module once.

        >>> [name for name, _ in nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())).named_modules()]
        ['', '0', '1', '1.0']
        """
        return Walk(self, prefix, set() if memo is None else memo, remove_duplicate, Module.named_modules)

    def modules(self, remove_duplicate=True):
        """Yields this module and all below it; each once, or (remove_duplicate=False) wherever it is used.

        >>> [type(m).__name__ for m in nn.Sequential(nn.Linear(2, 3), nn.ReLU()).modules()]
        ['Sequential', 'Linear', 'ReLU']
        """
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self):
        """Yields (name, module) for the modules directly below; each once, None left out.

        >>> list(nn.Sequential(nn.ReLU(), nn.Tanh()).named_children())
        [('0', ReLU()), ('1', Tanh())]
        """
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """Yields the modules directly below; each once.

        >>> shared = nn.Linear(2, 2)
        >>> len(list(nn.Sequential(shared, nn.Sequential(nn.ReLU()), shared).children()))
        2
        """
        for _, module in self.named_children():
            yield module

    def _named_members(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_prefix, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield f"{module_prefix}.{name}" if module_prefix else name, member

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Yields (dotted name, parameter), in order of registration. recurse: also those of the modules below.

        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
        """
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """Yields the parameters; each once.

        >>> sum(p.numel() for p in nn.Linear(2, 3).parameters())
        9
        """
        if type(self).named_parameters is not Module.named_parameters:
            yield from (parameter for _, parameter in self.named_parameters(recurse=recurse))
            return
        seen = {None}
        for _, module in self.named_modules() if recurse else (("", self),):
            for parameter in module._parameters.values():
                if parameter not in seen:
                    seen.add(parameter)
                    yield parameter

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Yields (dotted name, buffer), in order of registration. recurse: also those of the modules below.

        >>> [name for name, _ in nn.Sequential(nn.BatchNorm1d(3)).named_buffers()]
        ['0.running_mean', '0.running_var', '0.num_batches_tracked']
        """
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """Yields the buffers; each once.

        >>> [tuple(b.shape) for b in nn.BatchNorm1d(3).buffers()]  # mean, variance, count
        [(3,), (3,), ()]
        """
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target):
        """The module at a dotted path; ``""`` is this one. Raises AttributeError.

        >>> nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh())).get_submodule("0.1")
        Tanh()
        """
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target, module, strict=False):
        """Puts ``module`` at a dotted path. strict: only where a module already is. Raises AttributeError or ValueError.

        >>> network = nn.Sequential(nn.Sequential(nn.ReLU()))
        >>> network.set_submodule("0.0", nn.Tanh())
        >>> network[0][0]
        Tanh()
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target):
        """The parameter at a dotted path. Raises AttributeError.

        >>> nn.Sequential(nn.Linear(2, 3)).get_parameter("0.weight").shape
        torch.Size([3, 2])
        """
        parameter, name = self._get_member(target)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target):
        """The buffer at a dotted path. Raises AttributeError.

        >>> nn.Sequential(nn.BatchNorm1d(2)).get_buffer("0.running_var")
        tensor([1., 1.])
        """
        path, _, _ = target.rpartition(".")
        buffer, name = self._get_member(target)
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def _get_member(self, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return getattr(module, name), name

    def apply(self, fn):
        """Calls ``fn(module)`` for every module below, then for this one; returns self.

        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> _ = network.apply(lambda module: print(type(module).__name__))
        Linear
        ReLU
        Sequential
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- modes and gradients --

    def train(self, mode=True):
        """Sets training mode here and below (dropout, batch norm ... behave differently); returns self.

        >>> network = nn.Sequential(nn.Dropout(0.5)).train(False)
        >>> network.training, network[0].training
        (False, False)
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self._modules.values():
            if module is not None:
                module.train(mode)
        return self

    def eval(self):
        """Sets evaluation mode: ``train(False)``; returns self.

        >>> nn.Dropout(0.5).eval()(torch.ones(3))
        tensor([1., 1., 1.])
        """
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Freezes or unfreezes every parameter; returns self.

        >>> [p.requires_grad for p in nn.Linear(2, 3).requires_grad_(False).parameters()]
        [False, False]
        """
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Clears the gradients of every parameter: sets them to None, or to zeros.

        >>> layer = nn.Linear(2, 1)
        >>> layer(torch.ones(2)).sum().backward()
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        for parameter in self.parameters():
            if parameter.grad is not None:
                if set_to_none:
                    parameter.grad = None
                else:
                    clear_gradient(parameter)

    def share_memory(self):
        """Moves parameters and buffers to memory that other processes can map; returns self.

        >>> nn.Linear(2, 3).share_memory().weight.is_shared()
        True
        """
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.share_memory_()
        return self

    def compile(self, *args, **kwargs):
        """Accepted for programs that call it; the module already runs compiled kernels.

        >>> layer = nn.Linear(2, 3)
        >>> layer.compile()
        """

    # -- text and pickling --

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """The text between the brackets of ``repr``; subclasses override it.

        >>> nn.Linear(2, 3).extra_repr()
        'in_features=2, out_features=3, bias=True'
        """
        return self._repr_template.format(self=self)

    def __repr__(self):
        extra = self.extra_repr()
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        if not children and "\n" not in extra:
            return f"{self._get_name()}({extra})"
        lines = (extra.split("\n") if extra else []) + children
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def __getstate__(self):
        return dict(self.__dict__)

    def __setstate__(self, state):
        for name, default in _fresh_attributes().items():
            self.__dict__.setdefault(name, default)
        self.__dict__.update(state)

    def _replicate_for_data_parallel(self):
        replica = type(self).__new__(type(self))
        replica.__dict__.update(self.__dict__)
        for registry in ("_parameters", "_buffers", "_modules"):
            replica.__dict__[registry] = dict(self.__dict__[registry])
        replica._is_replica = True
        return replica


set_module(
    [_global_forward_hooks, _global_forward_pre_hooks, _global_backward_hooks, _global_backward_pre_hooks], note_module, Module.__getattr__
)
