"""Who may decide what an operator call means: interpreters, function modes, and subclasses of Tensor with ``__torch_function__``.

The core tests one word of flags per call. If any bit is set the call comes here (:func:`intercept`), the only slow path: the innermost
interpreter sees it first, with itself taken off the stack, so that what it calls in turn goes to the next one out.

>>> import rushlight as torch
>>> class Count(torch.overrides.TorchFunctionMode):
...     calls = 0
...     def __torch_function__(self, func, types, args=(), kwargs=None):
...         self.calls += 1
...         return func(*args, **(kwargs or {}))
>>> with Count() as count:
...     y = torch.zeros(2) + 1
>>> count.calls  # zeros and add
2
"""

import functools
import threading

from ._core import callbacks
from ._core import tape as _tape
from ._core import tensor as _tensor

Tensor = _tensor.Tensor
_mode_bit, _set_mode_bit = _tape.mode_bit, _tape.set_mode_bit
_FUNCTION, _CAST, _ASKS, _PLAIN, _NODES = (_tape.MODES[name] for name in ("function", "cast", "asks", "plain", "nodes"))


# constructors from sizes or from what is no tensor yet, and inquiries that any object may be put to: no class is asked what they mean
_ASKS_NOBODY = frozenset({
    "arange", "as_tensor", "asarray", "empty", "eye", "frombuffer", "from_numpy", "is_storage", "is_tensor", "ones", "tensor", "zeros",
})  # fmt: skip


class _Stack(threading.local):
    def __init__(self):
        self.interpreters = []
        self.subclasses = True  # False inside DisableTorchFunctionSubclass


_state = _Stack()


def _tell_core():
    """Calls come to :func:`intercept` while this thread has interpreters, to :func:`ask` while one of them is a function mode, and
    backward steps to :func:`_step` while one is a dispatch mode.
    """
    _set_mode_bit(_FUNCTION, bool(_state.interpreters))
    _set_mode_bit(_ASKS, any(map(_is_mode, _state.interpreters)))
    _set_mode_bit(_NODES, any(hasattr(i, "told") for i in _state.interpreters))


def push(interpreter):
    """Puts an interpreter (a callable of op, args, kwargs) on top of this thread's stack."""
    _state.interpreters.append(interpreter)
    _tell_core()


def pop():
    """Takes the top interpreter off."""
    top = _state.interpreters.pop()
    _tell_core()
    return top


def set_casting(on):
    """Switches this thread's autocast on or off; returns whether it was on.

    It is asked last, about what modes and classes have left of a call.
    """
    return _set_mode_bit(_CAST, on)


def cast(run, op, args, kwargs):
    """``run(op, args, kwargs)`` as autocast wants it."""
    return callbacks.table["autocast"](op, args, kwargs, run) if _mode_bit(_CAST) else run(op, args, kwargs)


def _planned(plan, args):
    """A plan's result while interpreters look on: they see what it is made of, but for those that know operators by PyTorch's names."""
    with without_told():
        return plan.function(*args)


def intercept(op, args, kwargs):
    """Called by the core for a call that is not plain: asks the top interpreter, then the arguments' classes."""
    if _state.interpreters:
        top = pop()
        try:
            return top(op, args, kwargs)
        finally:
            push(top)
    return dispatch(op, args, kwargs)


def dispatch(op, args, kwargs):
    """Asks the arguments that define an override, subclasses before their parents, left to right; then runs the operator."""
    if _state.subclasses:
        relevant = _overloaded(args, kwargs)
        if op.__name__ in _ASKS_NOBODY:  # but stand-ins for a value that nobody knows yet (fx.Proxy), which are no constants to anybody
            relevant = [a for a in relevant if getattr(type(a), "_records", False)]
        if relevant:
            return _first_answer(relevant, "__torch_function__", f"torch.{op.__name__}", op, *_spelt(op, args, kwargs))
    if _wrapping:
        wrappers = _overloaded(args, kwargs, dispatches)
        if wrappers:
            return callbacks.table["tell"](_tell_wrappers, _parts, op, args, kwargs)
    return cast(plain, op, args, kwargs)


def _first_answer(asked, handler, said, func, args, kwargs):
    """What the first of the classes of ``asked`` that cares makes of a call of ``func``; ``said``: its name in the error if none does."""
    types = tuple({type(a): None for a in asked})
    for a in asked:
        result = getattr(type(a), handler)(func, types, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(
        f"Multiple dispatch failed for '{said}'; all {handler} handlers returned NotImplemented:\n\n"
        + "\n".join(f"  - tensor subclass {t}" for t in types)
    )


def _spelt(op, args, kwargs):
    """The arguments as PyTorch tells them: of a function that is written in Python there, all of them, see nn/_opened.py."""
    spelt = getattr(op, "spelt", None)
    return (args, kwargs) if spelt is None else spelt(args, kwargs)


def plain(op, args, kwargs):
    """The operator's own call."""
    return op.plain(*args, **kwargs)


def _parts(op, args, kwargs):
    """The call of a composition, whose parts ask in turn."""
    return cast(plain, op, args, kwargs)


def inside(interpreter, op, args, kwargs):
    """The call by :func:`dispatch`, during which ``interpreter`` is on the stack: it is asked about the parts of a composition, and of a
    function that is no operator.
    """
    push(interpreter)
    try:
        return dispatch(op, args, kwargs) if hasattr(op, "plain") else op.__wrapped__(*args, **kwargs)
    finally:
        pop()


def ask(function, plain, args, kwargs):
    """What the innermost function mode, or else the arguments' classes, make of a call of ``function``, which is no operator. If nobody has
    a say in it, ``plain`` runs.
    """
    stack = _state.interpreters
    at = next((i for i in reversed(range(len(stack))) if _is_mode(stack[i])), None)
    if at is None:
        asked = [a for a in _overloaded(args, kwargs) if not getattr(type(a), "_operators_only", False)] if _state.subclasses else ()
        return handle_torch_function(function, asked, *args, **kwargs) if asked else plain(*args, **kwargs)
    mode, inner = stack[at], stack[at:]
    del stack[at:]
    _tell_core()
    try:
        return mode.__self__.__torch_function__(function, _types((*args, *kwargs.values())), args, kwargs)
    finally:
        stack.extend(inner)
        _tell_core()


def _types(values):
    """The classes that a function mode is told of: here those of plain tensors too."""
    return (*map(type, _overloaded(values, {})), *([Tensor] if any(type(a) is Tensor for a in values) else []))


def _is_mode(interpreter):
    return getattr(interpreter, "__func__", None) is TorchFunctionMode._interpret


def override(method, tensor):
    """What a tensor's class makes of a method that is no operator, such as detach; NotImplemented if it does not care."""
    if _state.subclasses and is_overriding(type(tensor)):
        return type(tensor).__torch_function__(method, (type(tensor),), (tensor,), {})
    return callbacks.table["tell"](_tell_wrappers, _parts, method, (tensor,), {}) if dispatches(type(tensor)) else NotImplemented


def _overloaded(args, kwargs, takes_part=None):
    found = []
    for a in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(a, (list, tuple)):
            for b in a:
                _look(b, found, takes_part or is_overriding)
        elif type(a) is not Tensor:
            _look(a, found, takes_part or is_overriding)
    return found


def _look(x, found, takes_part):
    """Puts an argument among those that define an override, unless one of its class is there."""
    cls = type(x)
    if cls is Tensor or not takes_part(cls) or any(type(f) is cls for f in found):
        return
    at = next((i for i, f in enumerate(found) if issubclass(cls, type(f))), len(found))
    found.insert(at, x)


def is_overriding(cls):
    """Does this class take part in the override protocol?"""
    function = getattr(cls, "__torch_function__", None)
    return function is not None and getattr(function, "__func__", function) is not _disabled_torch_function_impl


_wrapping = False
"""Has the process a class with ``__torch_dispatch__``?"""


@functools.cache
def dispatches(cls):
    """Has this class of tensors a ``__torch_dispatch__``, to be told of calls by PyTorch's names?"""
    global _wrapping
    method = getattr(cls, "__torch_dispatch__", None)
    found = method is not None and method is not _disabled_torch_dispatch_impl and issubclass(cls, Tensor)
    _wrapping = _wrapping or found
    return found


def _disabled_torch_dispatch_impl(func, types, args=(), kwargs=None):
    """Set as ``__torch_dispatch__`` of a subclass: its operators run as those of a plain tensor."""
    return func(*args, **(kwargs or {}))


def _tell_wrappers(func, args, kwargs):
    """Asks the classes of the arguments with a ``__torch_dispatch__`` what ``func``, an operator of ``torch.ops``, means."""
    wrappers = _overloaded(args, kwargs, dispatches)
    if not wrappers:
        return func(*args, **kwargs)
    if _tape.is_grad_enabled() and any(w.requires_grad for w in wrappers) and func.__name__ != "detach.default":
        name = next(type(w).__name__ for w in wrappers if w.requires_grad)
        raise RuntimeError(
            f"{func}: an argument of class {name} requires a gradient, which rushlight does not record for classes with "
            "__torch_dispatch__: there is no tape above them\n"
            "make it with requires_grad=False, or compute under torch.no_grad(); gradients of plain tensors, and of tensors that it wraps, "
            "flow through what __torch_dispatch__ does"
        )
    return _first_answer(wrappers, "__torch_dispatch__", str(func), func, args, kwargs)


def _disabled_torch_function_impl(*call):
    """Set as ``__torch_function__`` of a subclass (plain, or as a class method): its results are plain tensors."""
    func, _, args, kwargs = (*(call[1:] if isinstance(call[0], type) else call), (), None)[:4]
    with DisableTorchFunctionSubclass():
        return func(*args, **(kwargs or {}))


def _default_torch_function(cls, func, types, args, kwargs):
    """Tensor's own protocol: run the operator, and give tensors in the result the subclass's type."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
    return result if func in get_default_nowrap_functions() else _as_class(result, cls)


def _as_class(result, cls):
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else result.as_subclass(cls)
    if type(result) in (tuple, list) or hasattr(type(result), "n_fields"):  # the latter of torch.return_types
        return type(result)([_as_class(r, cls) for r in result])
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(_as_class(r, cls) for r in result))
    return result


class DisableTorchFunctionSubclass:
    """Within this context subclasses of Tensor are treated as plain tensors."""

    def __enter__(self):
        self.before, _state.subclasses = _state.subclasses, False
        _set_mode_bit(_PLAIN, True)
        return self

    def __exit__(self, *error):
        _state.subclasses = self.before
        _set_mode_bit(_PLAIN, not self.before)


class TorchFunctionMode:
    """A context in which every operator call goes to ``__torch_function__(self, func, types, args, kwargs)`` first."""

    def __enter__(self):
        callbacks.table["open_functions"]()
        self._interpreter = self._interpret
        push(self._interpreter)
        return self

    def __exit__(self, *error):
        pop()

    def _interpret(self, op, args, kwargs):
        types = tuple({type(a): None for a in _overloaded(args, kwargs)})
        return self.__torch_function__(op, types, *_spelt(op, args, kwargs))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Override this. The default runs the operator."""
        return func(*args, **(kwargs or {}))


class without_told:
    """Within this context no dispatch mode is told of anything. Gives their interpreters."""

    def __enter__(self):
        self.before = _state.interpreters
        _state.interpreters = [i for i in self.before if not hasattr(i, "told")]
        _tell_core()
        return [i for i in self.before if hasattr(i, "told")]

    def __exit__(self, *error):
        _state.interpreters = self.before
        _tell_core()


def _step(step, grads, run):
    """A node's step back as the dispatch modes want it, the innermost first; see "step" in callbacks."""
    stack = _state.interpreters
    at = next((i for i in reversed(range(len(stack))) if hasattr(stack[i], "told")), None)
    if at is None:
        return run(grads)
    telling, inner = stack[at], stack[at:]
    del stack[at:]
    _tell_core()

    def outer(grads, only=None):  # part of a step is the affair of the mode that took it apart
        return _step(step, grads, run) if only is None else run(grads, only)

    try:
        return callbacks.table["tell_step"](telling.told, step, grads, outer)
    finally:
        stack.extend(inner)
        _tell_core()


def count_function_modes():
    """How many function modes are on in this thread."""
    return sum(map(_is_mode, _state.interpreters))


def subclasses_are_asked():
    """False within :class:`DisableTorchFunctionSubclass`."""
    return _state.subclasses


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that changes nothing."""


def has_torch_function(relevant):
    """True if any of these arguments has a class that overrides operators."""
    return any(type(a) is not Tensor and is_overriding(type(a)) for a in relevant)


def has_torch_function_unary(relevant):
    """:func:`has_torch_function` of one argument."""
    return has_torch_function((relevant,))


def has_torch_function_variadic(*relevant):
    """:func:`has_torch_function` of the arguments."""
    return has_torch_function(relevant)


def wrap_torch_function(dispatcher):
    """Decorates a function that classes may override: ``dispatcher``, called as it is, returns the arguments whose classes are asked."""

    def decorate(function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def is_tensor_method_or_property(function):
    """Is this a method of Tensor, or the ``__get__`` of one of its properties?"""
    name = getattr(function, "__name__", None)
    return name == "__get__" or (name is not None and getattr(Tensor, name, None) is function)


def resolve_name(function):
    """A readable name of a public function, a method or what reads or writes an attribute; None for what is not public.

    >>> import rushlight as torch
    >>> [resolve_name(f) for f in (torch.add, torch.linalg.inv, torch.Tensor.backward, torch.Tensor.shape.__get__)]
    ['torch.add', 'torch.linalg.inv', 'torch.Tensor.backward', 'torch.Tensor.shape.__get__']
    """
    import rushlight

    name = getattr(function, "__name__", None)
    if name is None:
        return None
    if name in ("__get__", "__set__", "__delete__"):
        attribute = function.__self__  # a property has no name of its own
        return next((f"torch.Tensor.{n}.{name}" for n, a in vars(Tensor).items() if a is attribute), None)
    rooms = (rushlight, "torch", ""), (Tensor, "torch.Tensor", ""), (rushlight.nn.functional, "torch.nn.functional", "")
    families = ((getattr(rushlight, f), f"torch.{f}", f"{f}_") for f in ("linalg", "fft", "special"))
    for room, path, prefix in (*rooms, *families):
        short = name.removeprefix(prefix)
        if getattr(room, short, None) is function:
            return f"{path}.{short}"
    return None


def handle_torch_function(public_api, relevant_args, *args, **kwargs):
    """Asks the classes of ``relevant_args`` to carry out ``public_api(*args, **kwargs)``."""
    relevant = _overloaded(tuple(relevant_args), {})
    types = tuple({type(a): None for a in relevant})
    for a in relevant:
        result = type(a).__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = getattr(public_api, "__name__", public_api)
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}")


def get_ignored_functions():
    """Functions that never ask overrides: constructors and inquiries."""
    import rushlight

    return {getattr(rushlight, name) for name in _ASKS_NOBODY}


@functools.cache
def get_default_nowrap_functions():
    """Functions whose results stay plain when a subclass asks for them: a tensor's base and its gradient."""
    return {Tensor._base.__get__, Tensor.grad.__get__, Tensor._grad.__get__}


def is_tensor_like(value):
    """True for tensors and for objects of classes with ``__torch_function__``."""
    return isinstance(value, Tensor) or hasattr(type(value), "__torch_function__")


callbacks.register(intercept=intercept, planned=_planned, ask=ask, override=override, torch_function=_default_torch_function)
callbacks.register(dispatches=dispatches, step=_step)
_tensor.set_disabled_torch_function(_disabled_torch_function_impl)
