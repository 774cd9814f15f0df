"""Parameters and buffers: tensors that a Module recognises as its own."""

import rushlight as torch

from .._core.tensor import class_changed
from ..overrides import _disabled_torch_function_impl

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class _ParameterMeta(type(torch.Tensor)):
    """Lets a tensor of another subclass count as a Parameter (or Buffer) when it carries the class's mark."""

    def __instancecheck__(cls, instance):
        if type.__instancecheck__(cls, instance):
            return True
        mark = cls.__dict__.get("_mark")
        return mark is not None and isinstance(instance, torch.Tensor) and getattr(instance, mark, False)


class Parameter(torch.Tensor, metaclass=_ParameterMeta):
    """A tensor that a Module trains: assigned as an attribute it appears in ``Module.parameters()``.

    ``Parameter(data=None, requires_grad=True)`` shares memory with ``data``; without data it is empty. Data of a Tensor
    subclass keeps its class and is only marked. Raises RuntimeError if ``data`` cannot require gradients.

    >>> nn.Parameter(torch.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    >>> module = nn.Module()
    >>> module.scale, module.plain = nn.Parameter(torch.ones(1)), torch.ones(1)
    >>> [name for name, _ in module.named_parameters()]
    ['scale']
    >>> nn.Parameter(torch.tensor([1, 2]))
    Traceback (most recent call last):
        ...
    RuntimeError: Only Tensors of floating point and complex dtype can require gradients
    the data is torch.int64: convert it, or pass requires_grad=False
    """

    _mark = "_is_param"
    __torch_function__ = _disabled_torch_function_impl

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = torch.empty(0)
        if requires_grad and not (data.is_floating_point() or data.is_complex()):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"the data is {data.dtype}: convert it, or pass requires_grad=False"
            )
        if type(data) in (torch.Tensor, Parameter):
            return torch.Tensor._make_subclass(cls, data).requires_grad_(requires_grad)
        marked = data.detach().requires_grad_(requires_grad)
        if type(marked) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() returns an "
                f"instance of the same type, but return type {type(marked).__name__} was found instead."
            )
        marked._is_param = True
        return marked

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            data = self.data.clone(memory_format=torch.preserve_format)
            memo[id(self)] = type(self)(data, self.requires_grad)
        return memo[id(self)]

    def __repr__(self):
        return "Parameter containing:\n" + repr(self.data.requires_grad_(self.requires_grad))

    __str__ = __repr__

    def __reduce_ex__(self, protocol):
        attributes = dict(self.__dict__)
        return _rebuild_parameter, (self.data, self.requires_grad, attributes)


def _rebuild_parameter(data, requires_grad, attributes):
    parameter = Parameter(data, requires_grad)
    parameter.__dict__.update(attributes)
    return parameter


class Buffer(torch.Tensor, metaclass=_ParameterMeta):
    """A tensor that belongs to a Module's state but is not trained, such as a running mean.

    ``Buffer(data=None, *, persistent=True)``: assigned as an attribute it is registered as ``register_buffer`` would;
    a buffer that is not persistent is left out of the ``state_dict``. The result is a plain tensor with a mark.

    >>> module = nn.Module()
    >>> module.mean, module.cache = nn.Buffer(torch.zeros(2)), nn.Buffer(torch.zeros(9), persistent=False)
    >>> [name for name, _ in module.named_buffers()], list(module.state_dict())
    (['mean', 'cache'], ['mean'])
    """

    _mark = "_is_buffer"

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = torch.empty(0)
        buffer = data.detach().requires_grad_(data.requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer

    __torch_function__ = _disabled_torch_function_impl


_UNKNOWN = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying "
    "to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing "
    "their attributes."
)


class UninitializedTensorMixin:
    """What lazy parameters and buffers share: a device and a dtype, no shape until ``materialize``."""

    _methods = frozenset(
        ["detach", "requires_grad_", "to", "cpu", "cuda", "float", "double", "half", "bfloat16", "type", "is_floating_point", "is_complex"]
    )
    _attributes = frozenset(["device", "dtype", "is_cuda", "is_meta", "requires_grad", "grad", "grad_fn", "is_leaf", "data", "layout"])

    def materialize(self, shape, device=None, dtype=None):
        """Gives the tensor its shape (contents arbitrary), and turns it in place into an ordinary parameter or buffer."""
        self.data = torch.empty(shape, device=device or self.data.device, dtype=dtype or self.data.dtype)
        self.__class__ = self.cls_to_become
        class_changed(self)

    @property
    def shape(self):
        """Raises RuntimeError: the shape is not known yet."""
        raise RuntimeError(_UNKNOWN)

    def share_memory_(self):
        """Raises RuntimeError: there is no memory to share yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. "
            "Call `forward` to initialize the parameters before calling `module.share_memory()`."
        )

    def __repr__(self):
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        owner = getattr(getattr(func, "__self__", None), "__name__", None)
        if name in cls._methods or owner in cls._attributes or name in ("__get__", "__set__"):
            return super().__torch_function__(func, types, args, kwargs or {})
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error happens when you are using a `LazyModule` or "
            "explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` "
            "with a dummy batch to initialize the parameters before calling torch functions"
        )


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is inferred later: what lazy modules hold until their first call.

    ``UninitializedParameter(requires_grad=True, device=None, dtype=None)``; ``materialize(shape)`` makes it a Parameter.

    >>> weight = nn.UninitializedParameter()
    >>> weight
    <UninitializedParameter>
    >>> weight.materialize((3, 2))
    >>> type(weight).__name__, weight.shape
    ('Parameter', torch.Size([3, 2]))
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        data = torch.empty(0, device=device, dtype=dtype)
        return torch.Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return type(self), (self.requires_grad, self.data.device, self.data.dtype)


class _InitializedBuffer(torch.Tensor):
    """What a lazy buffer turns into: a plain tensor in all but the name of its class, which only a subclass can change."""

    __torch_function__ = _disabled_torch_function_impl

    def __repr__(self):
        return repr(self.data)

    __str__ = __repr__


class UninitializedBuffer(UninitializedTensorMixin, torch.Tensor):
    """A buffer whose shape is inferred later.

    ``UninitializedBuffer(requires_grad=False, device=None, dtype=None, persistent=True)``; ``materialize(shape)`` makes it
    a plain tensor.

    >>> buffer = nn.UninitializedBuffer()
    >>> buffer.materialize((3,))
    >>> buffer.shape, buffer.requires_grad
    (torch.Size([3]), False)
    """

    cls_to_become = _InitializedBuffer
    _is_buffer = True

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        data = torch.empty(0, device=device, dtype=dtype)
        buffer = torch.Tensor._make_subclass(cls, data, requires_grad)
        buffer.persistent = persistent
        return buffer


def is_lazy(param):
    """Is ``param`` a parameter or buffer that still waits for its shape?

    >>> layer = nn.LazyLinear(3)
    >>> nn.parameter.is_lazy(layer.weight), nn.parameter.is_lazy(nn.Linear(2, 3).weight)
    (True, False)
    """
    return isinstance(param, UninitializedTensorMixin)
