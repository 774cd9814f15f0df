"""``torch.library``: operators written in Python. They run when called, with the gradient that was registered; nothing is traced.

>>> @torch.library.custom_op("mine::double", mutates_args=())
... def double(x: torch.Tensor) -> torch.Tensor:
...     return 2 * x
>>> double(torch.ones(2))
tensor([2., 2.])
>>> torch.ops.mine.double(torch.ones(1))
tensor([2.])
"""

from ._core.tensor import Tensor as _Tensor
from ._ops import ops as _namespaces
from .autograd import Function as _Function

__all__ = ["CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "get_ctx", "impl", "impl_abstract", "register_autocast",
           "register_autograd", "register_fake", "register_kernel", "register_vmap", "triton_op"]  # fmt: skip

_EVERYWHERE = {"", "default", "compositeimplicitautograd", "compositeexplicitautograd"}


def _devices(key):
    """For which device types a definition with a dispatch key, or for device type(s), is: '' stands for all of them.

    Keys that are no devices (gradients, autocast) have none.
    """
    keys = {str(k).lower() for k in ((key,) if isinstance(key, str) else key or ("",))}
    return keys & {"cpu", "cuda"} | ({""} if keys & _EVERYWHERE else set())


class CustomOpDef:
    """A custom operator: call it, or register more about it by its methods."""

    def __init__(self, name, fn, devices=("",)):
        self._qualname, self._kernels, self._backward, self._setup = name, dict.fromkeys(devices, fn), None, None
        self._cast = {}  # device type -> the dtype that floating point arguments get under autocast
        self.__name__, self.__doc__ = name.partition("::")[2], fn.__doc__

    def __call__(self, *args, **kwargs):
        if self._cast:
            args, kwargs = self._as_autocast_wants(args, kwargs)
        if self._backward is None:
            from .autograd import no_grad

            with no_grad():
                return self._run(*args, **kwargs)
        return self._differentiable().apply(*args, *kwargs.values())

    def _run(self, *args, **kwargs):
        """Calls the definition for the arguments' device."""
        from .utils._pytree import tree_leaves

        found = {x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, _Tensor)}
        device = next(iter(found - {"cpu"}), "cpu")
        kernel = self._kernels.get(device) or self._kernels.get("")
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' with arguments from the '{device.upper()}' backend.\n"
                f"  It has definitions for {', '.join(sorted(self._kernels))}: register_kernel('{device}') gives it one more."
            )
        return kernel(*args, **kwargs)

    def _differentiable(self):
        forward, setup, gradient = self._run, self._setup, self._backward

        class Custom(_Function):
            """The operator with its gradient."""

            @staticmethod
            def forward(ctx, *args):
                result = forward(*args)
                if setup is not None:
                    setup(ctx, args, result)
                return result

            @staticmethod
            def backward(ctx, *grads):
                return gradient(ctx, *grads)

        return Custom

    def _as_autocast_wants(self, args, kwargs):
        from .amp.autocast_mode import is_autocast_enabled
        from .utils._pytree import tree_map

        def cast(x):
            kind = getattr(getattr(x, "device", None), "type", None)
            if kind in self._cast and is_autocast_enabled(kind) and x.is_floating_point() and x.dtype.itemsize < 8:
                return x.to(self._cast[kind])
            return x

        return tree_map(cast, (args, kwargs))

    def register_autocast(self, device_type, cast_inputs):
        """Under autocast for ``device_type`` the floating point arguments (but float64) are cast to ``cast_inputs``."""
        self._cast[device_type] = cast_inputs

    def register_fake(self, fn):
        """Accepted: shapes are known when the operator runs."""
        return fn

    def register_vmap(self, func=None):
        """Accepted."""
        return (lambda f: f) if func is None else func

    def register_kernel(self, device_types, fn=None):
        """Uses ``fn`` in place of the definition for tensors on devices of these types ("cpu", "cuda", or a list); None: on those without a
        definition of their own."""
        if fn is None:
            return lambda f: self.register_kernel(device_types, f)
        self._kernels.update(dict.fromkeys(_devices(device_types), fn))
        return fn

    def register_autograd(self, backward, /, *, setup_context=None):
        """The gradient: ``backward(ctx, *grads)``; ``setup_context(ctx, inputs, output)`` keeps what it needs."""
        self._backward, self._setup = backward, setup_context


def custom_op(name, fn=None, /, *, mutates_args, device_types=None, schema=None, tags=None):
    """Defines the operator ``name`` ('namespace::operator') by a Python function; without ``fn`` a decorator.

    device_types: of what devices its tensors may be ("cpu", "cuda", or a list); None: all.
    """
    if fn is None:
        return lambda fn: custom_op(name, fn, mutates_args=mutates_args, device_types=device_types)
    op = CustomOpDef(name, fn, _devices(device_types))
    _namespaces._define(name, op)
    return op


triton_op = custom_op


def _found(op):
    return op if isinstance(op, CustomOpDef) else _namespaces._find(op)


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=True):
    """Accepted, also for operators that are defined elsewhere: nothing asks for it."""
    return (lambda func: func) if func is None else func


impl_abstract = register_fake


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """:meth:`CustomOpDef.register_autograd` by name."""
    _found(op).register_autograd(backward, setup_context=setup_context)


def register_autocast(op, device_type, cast_inputs, /, *, lib=None):
    """:meth:`CustomOpDef.register_autocast` by name."""
    return _found(op).register_autocast(device_type, cast_inputs)


def register_vmap(op, func=None, /, *, lib=None):
    """Accepted: an operator without a rule is called once for each element of the batch."""
    return (lambda func: func) if func is None else func


def get_ctx():
    """Raises RuntimeError: fakes of operators (:func:`register_fake`) are never called."""
    raise RuntimeError(
        "get_ctx() can only be called inside of an implementation for fake tensors, and operators here have none: they run when called"
    )


def fallthrough_kernel():
    """Stands for "go on with the next dispatch key"; never called."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def register_kernel(op, device_types, func=None, /, *, lib=None):
    """:meth:`CustomOpDef.register_kernel` by name."""
    return _found(op).register_kernel(device_types, func)


def define(qualname, schema, *, lib=None, tags=()):
    """Declares an operator that :func:`impl` defines."""


def impl(qualname, types, func=None, *, lib=None):
    """Defines an operator, for devices of some types or with a dispatch key, by a function; without it a decorator."""
    if func is None:
        return lambda func: impl(qualname, types, func)
    devices = _devices(types)
    if devices:
        try:
            _found(qualname).register_kernel(types, func)
        except AttributeError:
            _namespaces._define(qualname, CustomOpDef(qualname, func, devices))
    return func


class Library:
    """A namespace of operators: :meth:`define` declares them by their schema, :meth:`impl` says what they do."""

    def __init__(self, ns, kind, dispatch_key=""):
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema, alias_analysis="", *, tags=()):
        """Declares an operator. Returns its name."""
        return schema.partition("(")[0]

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Defines an operator, unless it is for a dispatch key of no device (a gradient, autocast)."""
        name = op_name if isinstance(op_name, str) else op_name.__name__
        if fn is not fallthrough_kernel:
            impl(name if "::" in name else f"{self.ns}::{name}", dispatch_key or self.dispatch_key, fn)
