"""Parametrizations: a tensor of a module computed from others, each time it is read."""

import contextlib
import copy

import rushlight as torch

from ..modules.container import ModuleDict, ModuleList
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_cache_depth = 0
_cache = {}


@contextlib.contextmanager
def cached():
    """Within this context each parametrized tensor is computed once.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> layer.weight is layer.weight
    False
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _cache_depth
    _cache_depth += 1
    try:
        yield
    finally:
        _cache_depth -= 1
        if not _cache_depth:
            _cache.clear()


def _register_like(module, name, tensor):
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in order to ``original`` (``original0``, ``original1`` ... for several).

    >>> class Doubled(nn.Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> layer = nn.Linear(1, 1)
    >>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    >>> chain = layer.parametrizations.weight
    >>> len(chain), torch.equal(chain(), 2 * chain.original)
    (1, True)
    """

    def __init__(self, modules, original, unsafe=False):
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        value = original
        with torch.no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)
                    except NotImplementedError:
                        pass
        if not isinstance(value, torch.Tensor) and not isinstance(value, (tuple, list)):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(value).__name__}"
            )
        self.is_tensor = isinstance(value, torch.Tensor)
        self.ntensors = 1 if self.is_tensor else len(value)
        if self.is_tensor:
            self._keep_original(original, value)
        else:
            for i, part in enumerate(value):
                if not isinstance(part, torch.Tensor):
                    raise ValueError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element {i} "
                                     f"of the sequence with type {type(part).__name__}.")  # fmt: skip
                kept = Parameter(part) if isinstance(original, Parameter) else part
                kept.requires_grad_(original.requires_grad)
                _register_like(self, f"original{i}", kept)
        if not unsafe:
            self._check(shape, dtype)

    def _keep_original(self, original, value):
        """The tensor that was there stays the same object, with new contents."""
        for what in ("dtype", "device"):
            if getattr(original, what) != getattr(value, what):
                raise ValueError(
                    f"When `right_inverse` outputs one tensor, it may not change the {what}.\n"
                    f"original.{what}: {getattr(original, what)}\nright_inverse(original).{what}: {getattr(value, what)}"
                )
        with torch.no_grad():
            original.data = value.detach().clone() if value is not original else original.data
        _register_like(self, "original", original)

    def _check(self, shape, dtype):
        result = self()
        if not isinstance(result, torch.Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
        if result.dtype != dtype:
            raise ValueError(
                "Registering a parametrization may not change the dtype of the tensor, unless `unsafe` flag is enabled.\n"
                f"unparametrized dtype: {dtype}\nparametrized dtype: {result.dtype}"
            )
        if result.shape != shape:
            raise ValueError(
                "Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is enabled.\n"
                f"unparametrized shape: {shape}\nparametrized shape: {result.shape}"
            )

    def right_inverse(self, value):
        """Sets the originals so that the parametrized tensor becomes ``value``."""
        with torch.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            parts = [value] if self.is_tensor else list(value)
            if len(parts) != self.ntensors:
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length {len(parts)}."
                )
            for original, part in zip(self._originals(), parts):
                if original.dtype != part.dtype:
                    raise ValueError(
                        f"Tensor returned by `right_inverse` has dtype {part.dtype} while `original` has dtype {original.dtype}"
                    )
                original.data = part.detach().clone()

    def _originals(self):
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self):
        """The parametrized tensor."""
        value = self[0](*self._originals())
        for module in list(self)[1:]:
            value = module(value)
        return value


def _parametrized_class(module):
    """Gives ``module`` a class of its own, on which properties can be put; it pickles by its state_dict only."""
    base = type(module)

    def getstate(self):
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\nhttps://pytorch.org/tutorials/"
            "beginner/saving_loading_models.html#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    def deepcopy(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        replica = self.__new__(type(self))
        memo[id(self)] = replica
        replica.__dict__ = copy.deepcopy(self.__dict__, memo)
        return replica

    namespace = {"__getstate__": getstate}
    if not hasattr(base, "__deepcopy__"):
        namespace["__deepcopy__"] = deepcopy
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), namespace)


def _add_property(module, name):
    def read(self):
        parametrization = self.parametrizations[name]
        if not _cache_depth:
            return parametrization()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = parametrization()
        return _cache[key]

    def write(self, value):
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Makes ``module.tensor_name`` the result of the module ``parametrization``, applied to what it was; returns ``module``.

    The old tensor moves to ``module.parametrizations.tensor_name.original``. A method ``right_inverse`` of the parametrization lets
    the tensor be assigned. unsafe: shape and dtype may change. Raises ValueError for an unknown name.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        existing = module.parametrizations[tensor_name]
        if unsafe:
            existing.unsafe = True
        else:
            _check_next(getattr(module, tensor_name), parametrization)
        existing.append(parametrization)
        existing.unsafe = existing.unsafe or unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _parametrized_class(module)
            module.parametrizations = ModuleDict()
        _add_property(module, tensor_name)
        module.parametrizations[tensor_name] = made
    else:
        raise ValueError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'")
    return module


def _check_next(value, parametrization):
    """Raises ValueError if one more parametrization, or its right inverse, changes the shape or the dtype of ``value``."""
    with torch.no_grad():
        result = parametrization(value)
        if not isinstance(result, torch.Tensor):
            raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
        inverse = parametrization.right_inverse(result) if hasattr(parametrization, "right_inverse") else result
    for what in ("dtype", "shape"):
        if getattr(result, what) != getattr(value, what):
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless the `unsafe` flag is enabled.\n"
                f"module.weight.{what}: {getattr(value, what)}\nparametrization(module.weight).{what}: {getattr(result, what)}"
            )
    if not isinstance(inverse, torch.Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(inverse).__name__}")
    for what in ("dtype", "shape"):
        if getattr(inverse, what) != getattr(value, what):
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.weight, unless the "
                f"`unsafe` flag is enabled.\nmodule.weight.{what}: {getattr(value, what)}\nreturned {what}: {getattr(inverse, what)}"
            )


def is_parametrized(module, tensor_name=None):
    """Has ``module`` any parametrized tensor, or the one of this name?

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> nn.utils.parametrize.is_parametrized(layer), nn.utils.parametrize.is_parametrized(layer, "bias")
    (True, False)
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Makes ``tensor_name`` a plain parameter or buffer again, with the parametrized value or the original one; returns ``module``.

    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(2, 2))
    >>> layer = nn.utils.parametrize.remove_parametrizations(layer, "weight")
    >>> type(layer.weight).__name__, torch.allclose(layer.weight @ layer.weight.T, torch.eye(2), atol=1e-5)
    ('Parameter', True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrization = module.parametrizations[tensor_name]
    with torch.no_grad():
        value = getattr(module, tensor_name)
    if parametrization.is_tensor:
        original = parametrization.original
        if leave_parametrized:
            original.data = value.detach().clone()
    elif leave_parametrized:
        first = parametrization.original0
        original = Parameter(value) if isinstance(first, Parameter) else value
        original.requires_grad_(first.requires_grad)
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register_like(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module):
    """The class that ``module`` had before it was parametrized.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> type(layer).__name__, nn.utils.parametrize.type_before_parametrizations(layer).__name__
    ('ParametrizedLinear', 'Linear')
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(from_module, to_module, tensor_name=None):
    """Gives ``to_module`` copies of the parametrizations (and values) of ``from_module``; returns ``to_module``.

    >>> first = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> second = nn.utils.parametrize.transfer_parametrizations_and_params(first, nn.Linear(2, 3))
    >>> torch.equal(first.weight, second.weight)
    True
    """
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            with torch.no_grad():
                value = getattr(from_module, name)
            setattr(to_module, name, Parameter(value))
        for parametrization in source:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=source.unsafe)
        target = to_module.parametrizations[name]
        for mine, other in zip(target._originals(), source._originals()):
            mine.data = other.detach().clone()
    return to_module
