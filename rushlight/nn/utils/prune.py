"""Pruning: masks that set the smallest (or random) elements of a parameter to zero."""

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable

import rushlight as torch

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A way to compute masks. The pruned parameter ``name`` becomes ``name_orig * name_mask``, recomputed before each forward.

    A subclass states PRUNING_TYPE ("unstructured", "structured" or "global") and ``compute_mask(t, default_mask)``.

    >>> class Positive(nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t > 0)
    >>> layer = nn.Linear(4, 3)
    >>> _ = Positive.apply(layer, "weight")
    >>> bool((layer.weight >= 0).all())
    True
    """

    def __call__(self, module, inputs):
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t, default_mask):
        """The mask for tensor ``t`` on top of ``default_mask``."""

    def apply_mask(self, module):
        """The pruned tensor."""
        if self._tensor_name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Adds this method to the parameter ``name`` of ``module``, on top of earlier ones; returns the method."""
        earlier = [
            (key, hook)
            for key, hook in module._forward_pre_hooks.items()
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
        ]
        if len(earlier) > 1:
            raise AssertionError(
                f"Avoid adding multiple pruning hooks to the\nsame tensor {name} of module {module}. Use a PruningContainer."
            )
        method = cls(*args, **kwargs)
        method._tensor_name = name
        if earlier:
            key, old = earlier[0]
            del module._forward_pre_hooks[key]
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        original = getattr(module, name)
        if importance_scores is None:
            importance_scores = original
        elif importance_scores.shape != original.shape:
            raise AssertionError(f"importance_scores should have the same shape as parameter                 {name} of {module}")
        if not earlier:
            module.register_parameter(name + "_orig", original)
            del module._parameters[name]
            default_mask = torch.ones_like(original.detach())
        else:
            default_mask = getattr(module, name + "_mask").detach().clone()
        mask = method.compute_mask(importance_scores, default_mask)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        """The tensor ``t`` pruned, without a module."""
        if importance_scores is None:
            importance_scores = t
        elif importance_scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        default_mask = torch.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(importance_scores, default_mask=default_mask)

    def remove(self, module):
        """Makes the pruned values permanent: ``name`` is a plain parameter again."""
        name = self._tensor_name
        if name is None:
            raise AssertionError(f"Module {module} has to be pruned            before pruning can be removed")
        weight = self.apply_mask(module)
        delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several pruning methods of one parameter, one after the other.

    >>> layer = nn.Linear(4, 3)
    >>> _ = nn.utils.prune.random_unstructured(layer, "weight", amount=2)
    >>> _ = nn.utils.prune.l1_unstructured(layer, "weight", amount=5)  # five of the ten left
    >>> method = next(iter(layer._forward_pre_hooks.values()))
    >>> type(method).__name__, len(method), int(layer.weight_mask.sum())
    ('PruningContainer', 2, 5)
    """

    def __init__(self, *args):
        self._pruning_methods = ()
        if not isinstance(args, Iterable) or (len(args) == 1 and not isinstance(args[0], Iterable)):
            method = args[0]
            self._tensor_name = method._tensor_name
            self.add_pruning_method(method)
        else:
            methods = args[0] if len(args) == 1 else args
            self._tensor_name = methods[0]._tensor_name if methods else None
            for method in methods:
                self.add_pruning_method(method)

    def add_pruning_method(self, method):
        """Adds a method for the same parameter. Raises TypeError or ValueError."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self):
        return len(self._pruning_methods)

    def __iter__(self):
        return iter(self._pruning_methods)

    def __getitem__(self, index):
        return self._pruning_methods[index]

    def compute_mask(self, t, default_mask):
        """The last method's mask, computed on what is not pruned yet, together with ``default_mask``."""
        method, mask = self._pruning_methods[-1], default_mask
        if method.PRUNING_TYPE == "global":
            return self._combined(method, t, mask, (slice(None),) * t.dim())
        if method.PRUNING_TYPE == "unstructured":
            return self._combined(method, t, mask, mask == 1)
        if method.PRUNING_TYPE == "structured":
            dim = method.dim % t.dim()
            others = [d for d in range(t.dim()) if d != dim]
            alive = mask.sum(others) != 0
            return self._combined(method, t, mask, (slice(None),) * dim + (alive,))
        raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")

    @staticmethod
    def _combined(method, t, mask, part):
        mask = mask.detach().clone()
        mask[part] = method.compute_mask(t.detach()[part], default_mask=mask[part]).to(mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing; only makes the mask.

    >>> nn.utils.prune.Identity().prune(torch.tensor([5.0, 6.0]))
    tensor([5., 6.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """``default_mask``."""
        return default_mask

    @classmethod
    def apply(cls, module, name):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name)


class _Amount(BasePruningMethod):
    """A method with ``amount``: a number of elements, or a fraction of them."""

    def __init__(self, amount):
        _check_amount(amount)
        self.amount = amount

    @classmethod
    def apply(cls, module, name, amount, **kwargs):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, amount=amount, **kwargs)


class RandomUnstructured(_Amount):
    """Prunes ``amount`` random elements: a number, or a fraction in [0, 1].

    >>> nn.utils.prune.RandomUnstructured(amount=0.75).prune(torch.ones(8)).sum()
    tensor(2.)
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """The mask."""
        count = _count(self.amount, t.nelement())
        mask = default_mask.clone(memory_format=torch.contiguous_format)
        if count:
            chosen = torch.topk(torch.rand_like(t).reshape(-1), k=count)
            mask.view(-1)[chosen.indices] = 0
        return mask

    @classmethod
    def apply(cls, module, name, amount):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, amount)


class L1Unstructured(_Amount):
    """Prunes the ``amount`` elements of least absolute value: a number, or a fraction in [0, 1].

    >>> nn.utils.prune.L1Unstructured(amount=0.5).prune(torch.tensor([0.1, -3.0, 2.0, 0.2]))
    tensor([ 0., -3.,  2.,  0.])
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        """The mask."""
        count = _count(self.amount, t.nelement())
        mask = default_mask.clone(memory_format=torch.contiguous_format)
        if count:
            smallest = torch.topk(torch.abs(t).reshape(-1), k=count, largest=False)
            mask.view(-1)[smallest.indices] = 0
        return mask

    @classmethod
    def apply(cls, module, name, amount, importance_scores=None):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, amount, importance_scores=importance_scores)


class _Structured(BasePruningMethod):
    """A method that prunes whole slices along ``dim``."""

    PRUNING_TYPE = "structured"

    def _kept(self, t, count, scores):
        """A mask that keeps the ``count`` slices of highest score."""
        best = torch.topk(scores, k=count).indices
        mask = torch.zeros_like(t)
        mask[(slice(None),) * (self.dim % t.dim()) + (best,)] = 1
        return mask


class RandomStructured(_Structured):
    """Prunes ``amount`` random slices along ``dim``: a number, or a fraction in [0, 1].

    >>> nn.utils.prune.RandomStructured(amount=2, dim=0).prune(torch.ones(3, 2)).sum()
    tensor(2.)
    """

    def __init__(self, amount, dim=-1):
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t, default_mask):
        """The mask."""
        _check_structured(t, self.dim)
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        if not count:
            return default_mask
        scores = torch.rand(size, device=t.device)
        return self._kept(t, size - count, scores).to(default_mask.dtype) * default_mask

    @classmethod
    def apply(cls, module, name, amount, dim=-1):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Structured):
    """Prunes the ``amount`` slices along ``dim`` of least n-norm: a number, or a fraction in [0, 1].

    >>> nn.utils.prune.LnStructured(amount=1, n=2, dim=0).prune(torch.tensor([[1.0, 1.0], [3.0, 0.0]]))
    tensor([[0., 0.],
            [3., 0.]])
    """

    def __init__(self, amount, n, dim=-1):
        _check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def compute_mask(self, t, default_mask):
        """The mask."""
        _check_structured(t, self.dim)
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        if not count:
            return default_mask
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        norms = torch.linalg.vector_norm(t, self.n, dim=others)
        return self._kept(t, size - count, norms) * default_mask

    @classmethod
    def apply(cls, module, name, amount, n, dim, importance_scores=None):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask of zeros and ones.

    >>> nn.utils.prune.CustomFromMask(torch.tensor([1.0, 0.0])).prune(torch.tensor([5.0, 6.0]))
    tensor([5., 0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        """The mask."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError("default_mask must have the same shape as self.mask")
        return default_mask * self.mask.to(dtype=default_mask.dtype)

    @classmethod
    def apply(cls, module, name, mask):
        """Adds this method to the parameter ``name``."""
        return super().apply(module, name, mask=mask)


def identity(module, name):
    """Gives the parameter ``name`` a mask of ones; returns ``module``.

    >>> nn.utils.prune.identity(nn.Linear(2, 1), "weight").weight_mask
    tensor([[1., 1.]])
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Prunes ``amount`` (a number or a fraction) random elements of the parameter ``name``; returns ``module``.

    >>> layer = nn.utils.prune.random_unstructured(nn.Linear(4, 3), "weight", amount=0.5)
    >>> layer.weight_mask.sum(), sorted(layer.state_dict())
    (tensor(6.), ['bias', 'weight_mask', 'weight_orig'])
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Prunes the ``amount`` elements of least absolute value (or score); returns ``module``.

    >>> layer = l1_unstructured(nn.Linear(4, 2), "weight", amount=0.25)
    >>> int((layer.weight == 0).sum())
    2
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Prunes ``amount`` random slices along ``dim``; returns ``module``.

    >>> layer = nn.utils.prune.random_structured(nn.Linear(4, 3), "weight", amount=1, dim=1)
    >>> layer.weight_mask.sum(0).sort().values
    tensor([0., 3., 3., 3.])
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Prunes the ``amount`` slices along ``dim`` of least n-norm (of the scores); returns ``module``.

    >>> layer = nn.utils.prune.ln_structured(nn.Conv2d(3, 8, 3), "weight", amount=0.25, n=1, dim=0)
    >>> layer.weight_mask[:, 0, 0, 0].sum()  # of 8 filters
    tensor(6.)
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Prunes the parameter ``name`` by a mask of zeros and ones; returns ``module``.

    >>> layer = nn.utils.prune.custom_from_mask(nn.Linear(2, 1), "weight", torch.tensor([[0.0, 1.0]]))
    >>> layer.weight == 0
    tensor([[ True, False]])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    """Prunes (module, name) pairs together: one threshold for all, by an unstructured method with its ``kwargs``.

    >>> small, large = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    >>> _ = nn.init.constant_(small.weight, 0.1), nn.init.constant_(large.weight, 5.0)
    >>> pairs = [(small, "weight"), (large, "weight")]
    >>> nn.utils.prune.global_unstructured(pairs, nn.utils.prune.L1Unstructured, amount=4)
    >>> small.weight_mask.sum(), large.weight_mask.sum()
    (tensor(0.), tensor(4.))
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    importance_scores = {} if importance_scores is None else importance_scores
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    parameters = list(parameters)
    tensors = [getattr(module, name) for module, name in parameters]
    scores = [importance_scores.get(pair, tensor) for pair, tensor in zip(parameters, tensors)]
    masks = [getattr(m, n + "_mask", torch.ones_like(tensor)) for (m, n), tensor in zip(parameters, tensors)]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    flat = [torch.cat([t.detach().reshape(-1) for t in group]) for group in (scores, masks)]
    final = container.compute_mask(*flat)
    offset = 0
    for (module, name), tensor in zip(parameters, tensors):
        count = tensor.numel()
        custom_from_mask(module, name, mask=final[offset : offset + count].reshape(tensor.shape))
        offset += count


def remove(module, name):
    """Makes the pruning of the parameter ``name`` permanent; returns ``module``. Raises ValueError if it is not pruned.

    >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(4, 3), "weight", amount=5)
    >>> layer = nn.utils.prune.remove(layer, "weight")
    >>> sorted(layer.state_dict()), int((layer.weight == 0).sum())
    (['bias', 'weight'], 5)
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module):
    """Is any parameter of ``module`` (or of a module below) pruned?

    >>> network = nn.Sequential(nn.Linear(2, 1))
    >>> before = nn.utils.prune.is_pruned(network)
    >>> _ = nn.utils.prune.identity(network[0], "bias")
    >>> before, nn.utils.prune.is_pruned(network)
    (False, True)
    """
    return any(isinstance(hook, BasePruningMethod) for m in module.modules() for hook in m._forward_pre_hooks.values())


def _check_amount(amount):
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if (isinstance(amount, numbers.Integral) and amount < 0) or (
        not isinstance(amount, numbers.Integral) and (float(amount) > 1.0 or float(amount) < 0.0)
    ):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _count(amount, size):
    """How many of ``size`` an amount means; ValueError if there are not so many."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if amount > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return amount


def _check_structured(t, dim):
    if t.dim() <= 1:
        raise ValueError(
            "Structured pruning can only be applied to a multidimensional tensor. Found tensor of shape "
            f"{t.shape} with {t.dim()} dims"
        )
    if not -t.dim() <= dim < t.dim():
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
