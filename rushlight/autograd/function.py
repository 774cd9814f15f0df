"""Function: operators with a forward and a backward written by the user."""

import functools
import warnings

from .._core import tape
from .._core.tensor import Tensor

__all__ = ["BackwardCFunction", "Function", "FunctionCtx", "InplaceFunction", "NestedIOFunction", "once_differentiable"]

FunctionCtx = tape.FunctionNode


class BackwardCFunction(tape.FunctionNode):
    """The node of a call of a Function, and the ``ctx`` given to its methods. Each Function has a subclass named after
    it.
    """

    _forward_cls = None

    def run_backward(self, *grads):
        """Calls the Function's backward (or vjp)."""
        cls = self._forward_cls
        if cls.vjp is not Function.vjp:
            if cls.backward is not Function.backward:
                raise RuntimeError(
                    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only"
                    " implement one of them."
                )
            return cls.vjp(self, *grads)
        return cls.backward(self, *grads)

    apply = run_backward


class FunctionMeta(type):
    """Gives each Function its own node class, so that grad_fn has its name."""

    def __init__(cls, name, bases, attrs):
        super().__init__(name, bases, attrs)
        cls._backward_cls = type(
            name + "Backward", (BackwardCFunction,), {"_forward_cls": cls, "__module__": BackwardCFunction.__module__}
        )


class Function(metaclass=FunctionMeta):
    """Base of custom operators: subclass it, write ``forward`` and ``backward`` as static methods, call ``apply``.

    ``forward(ctx, *args)`` computes the result unrecorded; ``ctx.save_for_backward(*tensors)`` keeps inputs and outputs
    for ``backward(ctx, *grads)``, which returns one gradient per argument of forward (None for those that need none).
    Instead, ``forward(*args)`` and ``setup_context(ctx, inputs, output)`` may be separate.

        >>> import rushlight as torch
        >>> class Square(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (x,) = ctx.saved_tensors
        ...         return 2 * x * grad
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> Square.apply(x).backward()
        >>> x.grad
        tensor(6.)
    """

    generate_vmap_rule = False

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on the "
            "class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning, stacklevel=2,
        )  # fmt: skip

    def __call__(self, *args, **kwargs):
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with static "
            "forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)\n"
            f"  Call {type(self).__name__}.apply(...), without making an object of the class."
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Computes the result: ``forward(ctx, *args)``, or ``forward(*args)`` beside a setup_context."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keeps in ctx what backward needs, where forward takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """The gradient of each argument of forward, given that of each output."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with"
            " backward mode AD."
        )

    @staticmethod
    def vjp(ctx, *grad_outputs):
        """Another name for backward."""
        return Function.backward(ctx, *grad_outputs)

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """The tangent of each output, given that of each argument of forward."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info, in_dims, *args):
        """``(outputs, out_dims)`` of the call on arguments with a batch dim each (None: not batched)."""
        raise NotImplementedError(
            "You must implement the vmap staticmethod, or set generate_vmap_rule, to use it with vmap."
        )

    @classmethod
    def apply(cls, *args, **kwargs):
        """Calls forward and records the call."""
        if cls.setup_context is not Function.setup_context:
            args = _bind_defaults(cls.forward, args, kwargs)
            kwargs = {}
        elif kwargs:
            args, kwargs = _bind_keywords(cls.forward, args, kwargs)
        if tape.intercepted(args):
            from ._batching import call_function

            return call_function(cls, args, kwargs)
        return run(cls, args, kwargs)


def run(cls, args, kwargs):
    """One recorded call of a Function on plain tensors."""
    ctx = cls._backward_cls()
    record = tape.begin_function(ctx, args)
    before = tape.pause_recording()
    try:
        if cls.setup_context is Function.setup_context:
            outputs = cls.forward(ctx, *args, **kwargs)
        else:
            outputs = cls.forward(*args)
            cls.setup_context(ctx, args, outputs)
    finally:
        tape.resume_recording(before)
    return tape.finish_function(ctx, args, outputs, record)


def _bind_keywords(forward, args, kwargs):
    """The arguments with those given by keyword at their positions behind ctx, since gradients belong to positions; what is left of the
    keywords.
    """
    code = getattr(forward, "__code__", None)
    names = () if code is None else code.co_varnames[1 : code.co_argcount]
    defaults = dict(zip(reversed(names), reversed(getattr(forward, "__defaults__", None) or ())))
    for name in names[len(args) : max([names.index(n) + 1 for n in kwargs if n in names], default=0)]:
        if name not in kwargs and name not in defaults:
            break  # Python's own error tells which is missing
        args += (kwargs.pop(name) if name in kwargs else defaults[name],)
    return args, kwargs


def _bind_defaults(forward, args, kwargs):
    """All parameters of a forward without ctx by position, since setup_context is given them as one tuple."""
    code = getattr(forward, "__code__", None)
    if code is None or code.co_flags & 0x0C:  # *args or **kwargs: as given
        return args
    names = code.co_varnames[: code.co_argcount]
    defaults = dict(zip(reversed(names), reversed(forward.__defaults__ or ())))
    rest = [kwargs.pop(n) if n in kwargs else defaults[n] for n in names[len(args) :] if n in kwargs or n in defaults]
    if kwargs:
        raise TypeError(f"forward() got unexpected keyword arguments {sorted(kwargs)}")
    return args + tuple(rest)


def once_differentiable(backward):
    """Decorator for a backward that cannot itself be differentiated: doing so raises RuntimeError."""

    @functools.wraps(backward)
    def wrapper(ctx, *grads):
        recorded = tape.is_grad_enabled()
        before = tape.pause_recording()
        try:
            outputs = backward(ctx, *grads)
        finally:
            tape.resume_recording(before)
        sources = tuple(g for g in grads if isinstance(g, Tensor) and g.requires_grad)
        if not recorded or not sources:
            return outputs
        results = tape.delayed_error(
            "trying to differentiate twice a function that was marked with @once_differentiable",
            outputs if isinstance(outputs, tuple) else (outputs,),
            sources,
        )
        return results if isinstance(outputs, tuple) else results[0]

    return wrapper


class InplaceFunction(Function):
    """A Function with an ``inplace`` option, kept for old code."""

    def __init__(self, inplace=False):
        self.inplace = inplace


class NestedIOFunction(Function):
    """A Function whose arguments and results may be nested lists, tuples and dicts of tensors.

    Subclasses define ``forward_extended`` and ``backward_extended``, which see the nested structure.

    >>> class Total(NestedIOFunction):
    ...     @staticmethod
    ...     def forward_extended(ctx, pair):
    ...         return {"sum": pair[0] + pair[1]}
    ...     @staticmethod
    ...     def backward_extended(ctx, grads):
    ...         return [grads["sum"], grads["sum"]]
    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(2)
    >>> out = Total.apply([a, b])
    >>> out["sum"].sum().backward()
    >>> a.grad
    tensor([1., 1.])
    """

    @classmethod
    def apply(cls, *args):
        """Calls forward_extended on the nested arguments and records the call."""
        from ..utils._pytree import tree_flatten, tree_unflatten

        flat, structure = tree_flatten(args)
        result_structure = []

        class Flat(Function):
            @staticmethod
            def forward(ctx, *flat):
                result = cls.forward_extended(ctx, *tree_unflatten(list(flat), structure))
                flat_result, spec = tree_flatten(result)
                result_structure.append(spec)
                return tuple(flat_result)

            @staticmethod
            def backward(ctx, *grads):
                nested = tree_unflatten(list(grads), result_structure[0])
                result = cls.backward_extended(ctx, *(nested if isinstance(nested, (tuple, list)) else (nested,)))
                return tuple(tree_flatten(result)[0])

        results = Flat.apply(*flat)
        return tree_unflatten(list(results), result_structure[0])

    @staticmethod
    def forward_extended(ctx, *args):
        """Computes the nested result."""
        raise NotImplementedError("You must implement forward_extended.")

    @staticmethod
    def backward_extended(ctx, *grads):
        """The gradients, nested like the arguments."""
        raise NotImplementedError("You must implement backward_extended.")
