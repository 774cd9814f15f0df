"""``torch.library``: operators written in Python. They run when called, with the gradient that was registered; nothing is traced.

>>> @torch.library.custom_op("mine::double", mutates_args=())
... def double(x: torch.Tensor) -> torch.Tensor:
...     return 2 * x
>>> double(torch.ones(2))
tensor([2., 2.])
>>> torch.ops.mine.double(torch.ones(1))
tensor([2.])
"""

from inspect import Parameter as _Parameter
from inspect import Signature as _Signature
from inspect import signature as _signature

from ._core.tensor import Tensor as _Tensor
from ._ops import ops as _namespaces
from .autograd import Function as _Function

__all__ = ["CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "get_ctx", "impl", "impl_abstract", "register_autocast",
           "register_autograd", "register_fake", "register_kernel", "register_vmap", "triton_op"]  # fmt: skip

_EVERYWHERE = {"", "default", "compositeimplicitautograd", "compositeexplicitautograd"}


def _declared(schema):
    """The signature that a schema declares.

    >>> _declared("scale(Tensor x, *, float s=2.0, int[2]? dims=None) -> Tensor")
    <Signature (x: 'Tensor', *, s: 'float' = 2.0, dims: 'int[2]?' = None)>
    """
    parameters, kind = [], _Parameter.POSITIONAL_OR_KEYWORD
    for part in _split(schema[schema.index("(") + 1 : schema.rindex("->")].rstrip()[:-1]):
        if part == "*":
            kind = _Parameter.KEYWORD_ONLY
            continue
        name, has_default, default = _named(part)
        default = _value(default) if has_default else _Parameter.empty
        parameters.append(_Parameter(name, kind, default=default, annotation=part.partition(" ")[0].partition("(")[0]))
    return _Signature(parameters)


def _split(arguments):
    """The arguments of a schema; commas within brackets do not part them."""
    parts, depth = [""], 0
    for c in arguments:
        depth += (c in "[(") - (c in "])")
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts if part.strip()]


def _named(part):
    """``"float s=2.0"``: the name, "=" and the default's text."""
    declared, equals, default = part.partition("=")
    return declared.rpartition(" ")[2], equals, default


def _value(text):
    """A default as a schema writes it; what is no Python (a dtype or layout by name) stays text."""
    from ast import literal_eval

    try:
        return literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


def _devices(key):
    """For which device types a definition with a dispatch key, or for device type(s), is: '' stands for all of them.

    Keys that are no devices (gradients, autocast) have none.
    """
    keys = {str(k).lower() for k in ((key,) if isinstance(key, str) else key or ("",))}
    return keys & {"cpu", "cuda"} | ({""} if keys & _EVERYWHERE else set())


class CustomOpDef:
    """A custom operator: call it, or register more about it by its methods."""

    def __init__(self, name, fn=None, devices=("",), schema=None, mutates_args=()):
        self._qualname, self._kernels, self._backward, self._setup = name, dict.fromkeys(devices, fn), None, None
        self._fake = self._vmap = None
        self._cast = {}  # device type -> the dtype that floating point arguments get under autocast
        self._mutates = mutates_args
        self._signature = _declared(schema) if schema else _signature(fn)
        self._tensors = [n for n, p in self._signature.parameters.items() if p.annotation in (_Tensor, "Tensor")]
        self.__name__, self.__doc__ = name.partition("::")[2], getattr(fn, "__doc__", None)

    def __repr__(self):
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args, **kwargs):
        from .autograd.vmap import Batched
        from .utils._pytree import tree_leaves

        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for name in self._tensors:
            if not isinstance(bound.arguments[name], _Tensor):
                raise RuntimeError(
                    f"{self._qualname}() Expected a value of type 'Tensor' for argument '{name}' but instead found type "
                    f"'{type(bound.arguments[name]).__name__}'."
                )
        args = tuple(bound.arguments.values())
        level = max((x.level for x in tree_leaves(args) if isinstance(x, Batched)), default=0)
        if level:
            return self._for_a_batch(args, level)
        if self._cast:
            args = self._as_autocast_wants(args)
        if self._backward is not None:
            return self._differentiable().apply(*args)
        from .autograd import no_grad

        with no_grad():
            result = self._run(*args)
        self._count_writes(args)
        return result

    def _for_a_batch(self, args, level):
        """By the rule that was registered; without one, once for each example."""
        from .autograd._batching import by_rule
        from .autograd._batching_families import loop

        return loop(self, args, {}, level) if self._vmap is None else by_rule(self._vmap, args, level)

    def _count_writes(self, args):
        """Tells the version counters of the tensors written to, which a definition may change where the core does not see it."""
        from .autograd.graph import increment_version

        for name, x in zip(self._signature.parameters, args):
            if (self._mutates == "unknown" or name in self._mutates) and isinstance(x, _Tensor) and not x.is_inference():
                increment_version(x)

    def _run(self, *args):
        """Calls the definition for the arguments' device."""
        from .utils._pytree import tree_leaves

        found = {x.device.type for x in tree_leaves(args) if isinstance(x, _Tensor)}
        device = next(iter(found - {"cpu"}), "cpu")
        kernel = self._fake if device == "meta" and self._fake else self._kernels.get(device) or self._kernels.get("")
        if kernel is None:
            raise NotImplementedError(
                f"Could not run '{self._qualname}' with arguments from the '{device.upper()}' backend.\n"
                f"  It has definitions for {', '.join(sorted(self._kernels))}: register_kernel('{device}') gives it one more."
            )
        names = [name for name, p in self._signature.parameters.items() if p.kind is _Parameter.KEYWORD_ONLY]
        positional = len(args) - len(names)
        return kernel(*args[:positional], **dict(zip(names, args[positional:])))

    def _differentiable(self):
        forward, setup, gradient = self._run, self._setup, self._backward

        def run(ctx, *args):
            result = forward(*args)
            if setup is not None:
                setup(ctx, args, result)
            return result

        def back(ctx, *grads):
            return gradient(ctx, *grads)

        name = f"GeneratedBackwardFor_{self._qualname.replace('::', '_')}_default"
        return type(name, (_Function,), {"forward": staticmethod(run), "backward": staticmethod(back)})

    def _as_autocast_wants(self, args):
        from .amp.autocast_mode import is_autocast_enabled
        from .utils._pytree import tree_map

        def cast(x):
            kind = getattr(getattr(x, "device", None), "type", None)
            if kind in self._cast and is_autocast_enabled(kind) and x.is_floating_point() and x.dtype.itemsize < 8:
                return x.to(self._cast[kind])
            return x

        return tree_map(cast, args)

    def register_autocast(self, device_type, cast_inputs):
        """Under autocast for ``device_type`` the floating point arguments (but float64) are cast to ``cast_inputs``."""
        self._cast[device_type] = cast_inputs

    def register_fake(self, fn):
        """``fn`` makes the result for tensors on the device "meta", which have shapes but no elements. Elsewhere nothing asks for it."""
        self._fake = fn
        return fn

    def register_vmap(self, func=None):
        """The rule for vmap: ``func(info, in_dims, *args)`` gives (output, out_dims). Without one each example is a call."""
        if func is None:
            return self.register_vmap
        self._vmap = func
        return func

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
        return lambda fn: custom_op(name, fn, mutates_args=mutates_args, device_types=device_types, schema=schema)
    op = CustomOpDef(name, fn, _devices(device_types), schema, mutates_args)
    _namespaces._define(name, op)
    return op


triton_op = custom_op


def _found(op):
    return op if isinstance(op, CustomOpDef) else _namespaces._find(op if isinstance(op, str) else op.name())._op


def register_fake(op, func=None, /, *, lib=None, _stacklevel=1, allow_override=True):
    """:meth:`CustomOpDef.register_fake` by name; accepted for operators that are defined elsewhere, too, where nothing asks for it."""
    if func is None:
        return lambda func: register_fake(op, func, lib=lib)
    try:
        return _found(op).register_fake(func)
    except AttributeError:
        return func


impl_abstract = register_fake


def register_autograd(op, backward, /, *, setup_context=None, lib=None):
    """:meth:`CustomOpDef.register_autograd` by name; accepted for operators that are defined elsewhere, whose derivative is known."""
    found = _found(op)
    if isinstance(found, CustomOpDef):
        found.register_autograd(backward, setup_context=setup_context)


def register_autocast(op, device_type, cast_inputs, /, *, lib=None):
    """:meth:`CustomOpDef.register_autocast` by name."""
    return _found(op).register_autocast(device_type, cast_inputs)


def register_vmap(op, func=None, /, *, lib=None):
    """:meth:`CustomOpDef.register_vmap` by name."""
    return _found(op).register_vmap(func)


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
    """Declares an operator by its schema, ``"(Tensor x, float s=2.0) -> Tensor"``; :func:`impl` says what it does."""
    _namespaces._define(qualname, CustomOpDef(qualname, devices=(), schema=schema))


def impl(qualname, types, func=None, *, lib=None):
    """Defines an operator, for devices of some types or with a dispatch key, by a function; without it a decorator.

    ``impl(library, name, key)`` is a decorator, too, the form of older programs.
    """
    if isinstance(qualname, Library):
        library, name, key = qualname, types, func or ""

        def define(fn):
            library.impl(name, fn, key)
            return fn

        return define
    if func is None:
        return lambda func: impl(qualname, types, func)
    devices = _devices(types)
    if devices:
        try:
            found = _found(qualname)
        except AttributeError:
            _namespaces._define(qualname, CustomOpDef(qualname, func, devices))
        else:
            if isinstance(found, CustomOpDef):  # those that are defined elsewhere stay what they are
                found.register_kernel(types, func)
    return func


class Library:
    """A namespace of operators: :meth:`define` declares them by their schema, :meth:`impl` says what they do."""

    def __init__(self, ns, kind, dispatch_key=""):
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema, alias_analysis="", *, tags=()):
        """Declares an operator. Returns its name."""
        name = schema.partition("(")[0]
        define(name if "::" in name else f"{self.ns}::{name}", schema)
        return name

    def impl(self, op_name, fn, dispatch_key="", *, with_keyset=False, allow_override=False):
        """Defines an operator, unless it is for a dispatch key of no device (a gradient, autocast)."""
        name = op_name if isinstance(op_name, str) else op_name.__name__
        if fn is not fallthrough_kernel:
            impl(name if "::" in name else f"{self.ns}::{name}", dispatch_key or self.dispatch_key, fn)
