"""Hooks: user functions that a Module runs around forward and backward, for one module or for all of them."""

import os
import sys
import warnings
from collections import OrderedDict

import rushlight as torch

from ...utils.hooks import RemovableHandle

_global_forward_pre_hooks = OrderedDict()
_global_forward_hooks = OrderedDict()
_global_forward_hooks_with_kwargs = OrderedDict()
_global_forward_hooks_always_called = OrderedDict()
_global_backward_pre_hooks = OrderedDict()
_global_backward_hooks = OrderedDict()
_global_parameter_registration_hooks = OrderedDict()
_global_buffer_registration_hooks = OrderedDict()
_global_module_registration_hooks = OrderedDict()

# Which kind of backward hooks are in use for all modules: None (no hook yet), True (full) or False (the deprecated kind).
_global_is_full_backward_hook = None

_PACKAGE = os.path.dirname(torch.__file__) + os.sep

_MIXED_KINDS = (
    "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please use only one of them."
)


def _program_level():
    """The ``stacklevel`` of the program's own frame for a warning of the calling function: gradients are asked for in several ways."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def add_hook(hooks, hook, prepend=False, **marks):
    """Puts ``hook`` into the ordered dictionary ``hooks``; each mark is a dictionary that notes the hook's id, or None."""
    marks = [mark for mark in marks.values() if mark is not None]
    handle = RemovableHandle(hooks, extra_dict=marks)
    hooks[handle.id] = hook
    for mark in marks:
        mark[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
        for mark in marks:
            mark.move_to_end(handle.id, last=False)
    return handle


# -- hooks for all modules -----------------------------------------------------------------------------------------------


def register_module_forward_pre_hook(hook):
    """Runs ``hook(module, args)`` before every module's forward; what it returns (not None) replaces the arguments."""
    return add_hook(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook, *, with_kwargs=False, always_call=False):
    """Runs ``hook(module, args, output)`` after every module's forward; what it returns (not None) replaces the output.

    with_kwargs: call ``hook(module, args, kwargs, output)``. always_call: run it also when forward raised.
    """
    return add_hook(
        _global_forward_hooks,
        hook,
        kwargs=_global_forward_hooks_with_kwargs if with_kwargs else None,
        always=_global_forward_hooks_always_called if always_call else None,
    )


def _claim_global_backward_kind(full):
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(_MIXED_KINDS)
    _global_is_full_backward_hook = full


def register_module_backward_hook(hook):
    """Deprecated form of :func:`register_module_full_backward_hook`: its gradients are those of forward's last operation."""
    _claim_global_backward_kind(False)
    return add_hook(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook):
    """Runs ``hook(module, grad_output)`` before every module's backward; a result replaces grad_output."""
    return add_hook(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook):
    """Runs ``hook(module, grad_input, grad_output)`` after every module's backward; a result replaces grad_input."""
    _claim_global_backward_kind(True)
    return add_hook(_global_backward_hooks, hook)


def register_module_parameter_registration_hook(hook):
    """Runs ``hook(module, name, parameter)`` at every registration of a parameter; a result replaces it."""
    return add_hook(_global_parameter_registration_hooks, hook)


def register_module_buffer_registration_hook(hook):
    """Runs ``hook(module, name, buffer)`` at every registration of a buffer; a result replaces it."""
    return add_hook(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook):
    """Runs ``hook(module, name, submodule)`` at every registration of a submodule; a result replaces it."""
    return add_hook(_global_module_registration_hooks, hook)


def registered(hooks, module, name, value):
    """``value`` after the registration hooks have seen it."""
    for hook in hooks.values():
        replacement = hook(module, name, value)
        if replacement is not None:
            value = replacement
    return value


# -- backward hooks ------------------------------------------------------------------------------------------------------


class BackwardHookFunction(torch.autograd.Function):
    """The identity: hooks of its node see (and may replace) the gradients on their way back."""

    @staticmethod
    def forward(ctx, *tensors):
        ctx.mark_non_differentiable(*[t for t in tensors if not t.requires_grad])
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx, *grads):
        return grads


class BackwardHook:
    """One call of a module with full backward hooks: notes the gradients of its outputs, then of its inputs, and runs the hooks.

    The identity nodes stand before and behind forward; an argument that is no tensor has gradient None.
    """

    def __init__(self, module, hooks, pre_hooks):
        self.module, self.hooks, self.pre_hooks = module, list(hooks), list(pre_hooks)
        self.grad_outputs = None
        self.input_places, self.input_count = None, 0

    def watch_inputs(self, args):
        """``args`` with its tensors passed through the identity that reports grad_input."""
        self.input_count = len(args)
        args, self.input_places, node = self._pass_through(args)
        if node is not None:
            node.register_hook(self._on_input_grads)
        return args

    def watch_output(self, output):
        """``output`` (a tensor or a tuple) passed through the identity that reports grad_output."""
        single = not isinstance(output, tuple)
        outputs, places, node = self._pass_through((output,) if single else output)
        if node is None:
            return output
        node.register_prehook(self._output_callback(places, len(outputs)))  # before it makes zeros of gradients that are None
        if single:
            return outputs[0]
        return type(output)(*outputs) if hasattr(output, "_fields") else outputs

    def _pass_through(self, values):
        """The values behind an identity, the places of the tensors among them and the identity's node; or places and node None."""
        places = [i for i, value in enumerate(values) if isinstance(value, torch.Tensor)]
        if not (torch.is_grad_enabled() and any(values[i].requires_grad for i in places)):
            return values, None, None
        passed = BackwardHookFunction.apply(*[values[i] for i in places])
        values = list(values)
        for i, tensor in zip(places, passed):
            values[i] = tensor
        return tuple(values), places, next(tensor.grad_fn for tensor in passed if tensor.requires_grad)

    def _output_callback(self, places, count):
        def on_output_grads(grads):
            full = [None] * count
            for i, grad in zip(places, grads):
                full[i] = grad
            self.grad_outputs = self._run_pre_hooks(tuple(full))
            if self.input_places is None:
                # No input leads further back, so this is the end of the module's backward pass.
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                    "require gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
                    "#torch.nn.Module.register_full_backward_hook for more details.",
                    stacklevel=_program_level(),
                )
                for hook in self.hooks:
                    replaced = hook(self.module, (None,) * self.input_count, self.grad_outputs)
                    if replaced is not None and not (isinstance(replaced, tuple) and all(g is None for g in replaced)):
                        raise RuntimeError(
                            "Backward hook for Modules where no input requires gradient should always return None or None for "
                            "all gradients."
                        )
            return tuple(self.grad_outputs[i] for i in places)

        return on_output_grads

    def _run_pre_hooks(self, grads):
        for hook in self.pre_hooks:
            grads = _replaced(hook(self.module, grads), grads, "Backward pre hook", "grad_output")
        return grads

    def _on_input_grads(self, grads, _):
        full = [None] * self.input_count
        for i, grad in zip(self.input_places, grads):
            full[i] = grad
        full = tuple(full)
        for hook in self.hooks:
            full = _replaced(hook(self.module, full, self.grad_outputs), full, "Backward hook", "grad_input")
        self.grad_outputs = None
        return tuple(full[i] for i in self.input_places)


def _replaced(result, grads, hook_name, what):
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise RuntimeError(f"{hook_name} returned an invalid number of {what}, got {len(result)}, but expected {len(grads)}")
    return result


# -- what Module inherits ------------------------------------------------------------------------------------------------


class HookedModule:
    """The part of Module that keeps hooks and runs them around ``forward``."""

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Runs ``hook(module, args)`` before forward; a result that is not None replaces the arguments.

        with_kwargs: call ``hook(module, args, kwargs)``, which returns None or ``(args, kwargs)``. prepend: run it before those
        already there. Returns a handle whose ``remove()`` takes the hook out.

        >>> layer = nn.ReLU()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: (-args[0],))
        >>> layer(torch.tensor([-1.0, 2.0]))
        tensor([1., 0.])
        """
        marks = self._forward_pre_hooks_with_kwargs if with_kwargs else None
        return add_hook(self._forward_pre_hooks, hook, prepend, kwargs=marks)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Runs ``hook(module, args, output)`` after forward; a result that is not None replaces the output.

        with_kwargs: call ``hook(module, args, kwargs, output)``. always_call: run it also when forward raised. Returns a handle whose
        ``remove()`` takes the hook out.

        >>> layer, seen = nn.Linear(2, 3), []
        >>> handle = layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
        >>> y = layer(torch.zeros(4, 2))
        >>> handle.remove()
        >>> y = layer(torch.zeros(5, 2))
        >>> seen
        [torch.Size([4, 3])]
        """
        return add_hook(
            self._forward_hooks,
            hook,
            prepend,
            kwargs=self._forward_hooks_with_kwargs if with_kwargs else None,
            always=self._forward_hooks_always_called if always_call else None,
        )

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Runs ``hook(module, grad_output)`` before the module's backward; a result replaces grad_output.

        >>> layer = nn.ReLU()
        >>> handle = layer.register_full_backward_pre_hook(lambda module, grad_output: (10 * grad_output[0],))
        >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
        >>> layer(x).sum().backward()
        >>> x.grad
        tensor([ 0., 10.])
        """
        return add_hook(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Runs ``hook(module, grad_input, grad_output)`` after the module's backward; a result replaces grad_input.

        Both are tuples: the gradients of forward's positional tensors and of its results.

        >>> layer = nn.ReLU()
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: print(grad_input, grad_output))
        >>> layer(torch.tensor([-1.0, 2.0], requires_grad=True)).sum().backward()
        (tensor([0., 1.]),) (tensor([1., 1.]),)
        """
        self._claim_backward_kind(True)
        return add_hook(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook):
        """Deprecated form of :meth:`register_full_backward_hook`: its gradients are those of forward's last operation.

        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_backward_hook(lambda module, grad_input, grad_output: print(grad_output[0]))
        >>> layer(torch.ones(1, 2)).sum().backward()
        tensor([[1., 1., 1.]])
        """
        self._claim_backward_kind(False)
        return add_hook(self._backward_hooks, hook)

    def _claim_backward_kind(self, full):
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them."
            )
        self._is_full_backward_hook = full

    def _call_with_hooks(self, args, kwargs):
        finished = set()
        output = None
        try:
            args, kwargs = self._run_forward_pre_hooks(args, kwargs)
            full_hooks, last_operation_hooks = self._backward_hooks_by_kind()
            pre_hooks = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
            watch = BackwardHook(self, full_hooks, pre_hooks) if full_hooks or pre_hooks else None
            if watch:
                args = watch.watch_inputs(args)
            output = self.forward(*args, **kwargs)
            for identity, hook in self._all_forward_hooks():
                finished.add(identity)
                output = self._run_forward_hook(identity, hook, args, kwargs, output)
            if watch:
                if not isinstance(output, (torch.Tensor, tuple)):
                    warnings.warn(
                        "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                        f"{type(output)}",
                        stacklevel=3,
                    )
                output = watch.watch_output(output)
            if last_operation_hooks:
                self._hook_last_operation(last_operation_hooks, args, output)
            return output
        except Exception:
            self._run_always_called(finished, args, kwargs, output)
            raise

    def _run_forward_pre_hooks(self, args, kwargs):
        for identity, hook in [*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()]:  # a hook may remove itself
            if identity in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args, kwargs)
                if result is None:
                    continue
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}.")
                args, kwargs = result
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)
        return args, kwargs

    def _all_forward_hooks(self):
        return [*_global_forward_hooks.items(), *self._forward_hooks.items()]

    def _run_forward_hook(self, identity, hook, args, kwargs, output):
        if identity in self._forward_hooks_with_kwargs or identity in _global_forward_hooks_with_kwargs:
            result = hook(self, args, kwargs, output)
        else:
            result = hook(self, args, output)
        return output if result is None else result

    def _run_always_called(self, finished, args, kwargs, output):
        for identity, hook in self._all_forward_hooks():
            everywhere = identity in _global_forward_hooks_always_called
            if identity in finished or not (everywhere or identity in self._forward_hooks_always_called):
                continue
            try:
                output = self._run_forward_hook(identity, hook, args, kwargs, output)
            except Exception as error:
                kind = "global module" if everywhere else "module"
                warnings.warn(
                    f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as another error was "
                    f"raised in forward: {error}",
                    stacklevel=4,
                )

    def _backward_hooks_by_kind(self):
        full, last_operation = [], []
        (last_operation if _global_is_full_backward_hook is False else full).extend(_global_backward_hooks.values())
        (last_operation if self._is_full_backward_hook is False else full).extend(self._backward_hooks.values())
        return full, last_operation

    def _hook_last_operation(self, hooks, args, output):
        node = _first_tensor(output).grad_fn
        if node is None:
            return
        what = _unseen_by_last_operation(args, output)
        if what:
            warnings.warn(
                f"Using a non-full backward hook when {what} is deprecated and will be removed in future versions. This hook will be "
                "missing some gradients. Please use register_full_backward_hook to get the documented behavior.",
                FutureWarning,
                stacklevel=4,
            )
        for hook in hooks:
            node.register_hook(lambda grad_input, grad_output, hook=hook: hook(self, grad_input, grad_output))


def _unseen_by_last_operation(args, output):
    """Why hooks of the node of ``output`` do not see the gradients of ``args`` and ``output``, or None if they do."""
    outputs = output if isinstance(output, tuple) else (output,)
    if not all(isinstance(value, torch.Tensor) for value in outputs):
        return "the module does not return a single Tensor or a tuple of Tensors"
    if not all(isinstance(value, torch.Tensor) for value in args):
        return "the module does not take as input a single Tensor or a tuple of Tensors"
    nodes = {tensor.grad_fn for tensor in outputs if tensor.grad_fn is not None}
    if len(nodes) > 1:
        return "outputs are generated by different autograd Nodes"
    (node,) = nodes
    if {tensor.grad_fn for tensor in args if tensor.grad_fn is not None} != {following for following, _ in node.next_functions}:
        return "the forward contains multiple autograd Nodes"


def _first_tensor(value):
    while not isinstance(value, torch.Tensor):
        if isinstance(value, str):  # the first character of a text is a text, without end
            raise TypeError(
                "register_backward_hook(): the module must return a Tensor, or a tuple, list or dict of them, but it returned a str"
            )
        value = next(v for v in value.values() if isinstance(v, torch.Tensor)) if isinstance(value, dict) else value[0]
    return value
