"""Autocast: inside the context, products run in half width, losses and decompositions in float32, everything else as it comes.

It is an interpreter (``overrides.py``): every operator call inside the context passes :class:`_Casting`, which converts the operands of
those in ``_lists.py`` and lets the others through.
"""

import functools
import warnings

from .. import overrides
from .._core.tensor import Tensor, dtypes
from ..ops._define import registry
from . import _lists

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_D = dtypes()
FLOAT32, BFLOAT16, FLOAT16 = _D["float32"], _D["bfloat16"], _D["float16"]
_HALVES = (BFLOAT16, FLOAT16)
_DEVICES = ("cpu", "cuda", "xpu", "mps", "mtia", "hpu", "xla", "ipu", "maia", "privateuseone")

_settings = {"dtype": {"cpu": BFLOAT16, "cuda": FLOAT16}, "cache": True}
_active = []  # the contexts entered, innermost last


def is_autocast_available(device_type):
    """True for the devices that autocast knows and that are there: the CPU, and GPUs."""
    if device_type == "cuda":
        from ..cuda import is_available

        return is_available()
    return device_type == "cpu"


def _eligible(t, device_type):
    return isinstance(t, Tensor) and t.is_floating_point() and t.dtype.name != "float64" and t.is_cuda == (device_type == "cuda")


def _cast(value, device_type, dtype):
    """``value`` (a tensor, or nested tuples, lists and dicts) with its floating tensors on the device, except float64, in ``dtype``."""
    if isinstance(value, Tensor):
        return value.to(dtype) if _eligible(value, device_type) and value.dtype is not dtype else value
    if isinstance(value, dict):
        return {k: _cast(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_cast(v, device_type, dtype) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _tensors(value):
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


class autocast:
    """Mixed precision for a block, or as a decorator for a function.

    device_type: 'cpu' or 'cuda': tensors on that device are converted; a device that is not there warns and does nothing. dtype: bfloat16
    (default on the CPU) or float16 (on a GPU). enabled: False switches an outer autocast off. cache_enabled: keep a parameter's half-width
    copy until the outermost block ends.

    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     y = torch.ones(2, 2) @ torch.ones(2, 2)
    >>> y.dtype
    torch.bfloat16
    """

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in _DEVICES:
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device, self.fast_dtype = device_type, dtype or get_autocast_dtype(device_type)
        self._enabled = bool(enabled)
        self._cache_enabled = _settings["cache"] if cache_enabled is None else cache_enabled
        if enabled and not is_autocast_available(device_type):
            absent = f"User provided device_type of '{device_type}', but {device_type.upper()} is not available. Disabling"
            warnings.warn(absent, stacklevel=2)
            self._enabled = False
        if device_type == "cpu" and enabled and self.fast_dtype not in (*_HALVES, FLOAT32):
            warnings.warn(
                f"In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"CPU Autocast only supports dtype of {BFLOAT16}, {FLOAT16} currently.",
                stacklevel=2,
            )
            self._enabled = False
        self._blocks = []

    def __enter__(self):
        interpreter = None
        if self.device == "cpu" or (self.device == "cuda" and is_autocast_available("cuda")):
            interpreter = _Casting(self.device, self.fast_dtype if self._enabled else None, self._cache_enabled)
            overrides.push(interpreter)
        self._blocks.append(interpreter)
        _active.append((self.device, self._enabled, self.fast_dtype, self._cache_enabled))
        return self

    def __exit__(self, *error):
        _active.pop()
        if self._blocks.pop() is not None:
            overrides.pop()

    def __call__(self, function):
        @functools.wraps(function)
        def cast(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return cast


class _Casting:
    """The interpreter of one autocast block. dtype: the half width; None lets every call through, past outer autocasts too."""

    def __init__(self, device, dtype, caching):
        self.device, self.dtype, self.caching, self.copies = device, dtype, caching, {}
        self.lists = _lists.CUDA if device == "cuda" else _lists.CPU

    def __call__(self, op, args, kwargs):
        name = op.__name__
        if self.dtype is None:
            with _without_outer(self.device):
                return op(*args, **kwargs)
        if name in self.lists.lower:
            return op(*self._to(args, self.dtype), **self._to(kwargs, self.dtype))
        if name in self.lists.full:
            return op(*_cast(args, self.device, FLOAT32), **_cast(kwargs, self.device, FLOAT32))
        if name in self.lists.summed and args and _eligible(args[0], self.device) and "dtype" not in kwargs:
            return op(*args, **kwargs, dtype=FLOAT32)
        if name in self.lists.widest:
            tensors = _tensors((args, tuple(kwargs.values())))
            widest = FLOAT32 if any(t.dtype is FLOAT32 and _eligible(t, self.device) for t in tensors) else self.dtype
            return op(*_cast(args, self.device, widest), **_cast(kwargs, self.device, widest))
        return self._through(op, name, args, kwargs)

    def _through(self, op, name, args, kwargs):
        """Runs an operator that is in no list; those it is composed of are looked at in turn."""
        entry = registry.get(name)
        if entry is None or entry.family != "composite":
            return op(*args, **kwargs)
        overrides.push(self)
        try:
            return overrides.dispatch(op, args, kwargs)
        finally:
            overrides.pop()

    def _to(self, value, dtype):
        """:func:`_cast`, keeping the copies of leaves that need gradients (weights, used again and again)."""
        if not self.caching or not isinstance(value, Tensor):
            if isinstance(value, dict):
                return {k: self._to(v, dtype) for k, v in value.items()}
            if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
                return type(value)(self._to(v, dtype) for v in value)
            return _cast(value, self.device, dtype)
        if not (value.requires_grad and value.is_leaf and value.dtype is FLOAT32 and _eligible(value, self.device)):
            return _cast(value, self.device, dtype)
        from ..autograd.grad_mode import is_grad_enabled

        key = (id(value), value._version, is_grad_enabled())
        if key not in self.copies:
            self.copies[key] = (value.to(dtype), value)  # the leaf is kept alive so that its id stays its own
        return self.copies[key][0]


class _without_outer:
    """Takes a device's autocast interpreters further out off the stack for a call."""

    def __init__(self, device):
        self.device = device

    def __enter__(self):
        self.taken = overrides._state.interpreters
        kept = [i for i in self.taken if not (isinstance(i, _Casting) and i.device == self.device)]
        overrides._state.interpreters = kept
        overrides.set_function_bit(bool(kept))

    def __exit__(self, *error):
        overrides._state.interpreters = self.taken
        overrides.set_function_bit(bool(self.taken))


# -- the state, as torch.is_autocast_enabled() and its relatives read it --


def is_autocast_enabled(device_type="cuda"):
    """True inside an autocast of this device type."""
    return next((enabled for device, enabled, _, _ in reversed(_active) if device == device_type), False)


def get_autocast_dtype(device_type):
    """The half-width dtype of autocast on this device type."""
    inner = next((dtype for device, _, dtype, _ in reversed(_active) if device == device_type), None)
    return inner or _settings["dtype"].get(device_type, FLOAT16 if device_type in ("cuda", "xpu", "mps") else BFLOAT16)


def set_autocast_dtype(device_type, dtype):
    """The dtype that later autocasts of this device type use by default."""
    _settings["dtype"][device_type] = dtype


def is_autocast_cache_enabled():
    """True if half-width copies of parameters are kept."""
    return _active[-1][3] if _active else _settings["cache"]


def set_autocast_cache_enabled(enabled):
    """The default of autocast's ``cache_enabled``."""
    _settings["cache"] = bool(enabled)


def set_autocast_enabled(device_type, enabled=None):
    """Switches autocast of a device type on or off for what follows, outside of ``with``."""
    device_type, enabled = ("cuda", device_type) if enabled is None else (device_type, enabled)
    if is_autocast_enabled(device_type) != bool(enabled):
        autocast(device_type, enabled=enabled).__enter__()


def clear_autocast_cache():
    """Nothing to clear: half-width copies live as long as the autocast that made them."""


_nesting = [0]


def autocast_increment_nesting():
    """One more autocast is entered by hand; returns how many there are."""
    _nesting[0] += 1
    return _nesting[0]


def autocast_decrement_nesting():
    """One less; returns how many are left."""
    _nesting[0] -= 1
    return _nesting[0]


def is_autocast_cpu_enabled():
    """Deprecated: ``is_autocast_enabled("cpu")``."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled):
    """Deprecated: ``set_autocast_enabled("cpu", enabled)``."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype():
    """Deprecated: ``get_autocast_dtype("cpu")``."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype):
    """Deprecated: ``set_autocast_dtype("cpu", dtype)``."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype():
    """Deprecated: ``get_autocast_dtype("cuda")``."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype):
    """Deprecated: ``set_autocast_dtype("cuda", dtype)``."""
    set_autocast_dtype("cuda", dtype)


# -- autograd.Function under autocast --


def custom_fwd(fwd=None, *, device_type, cast_inputs=None):
    """Decorator of a Function's ``forward``: run without autocast on inputs cast to ``cast_inputs``; None: with autocast as it is."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(ctx, *args, **kwargs):
        ctx._dtype, enabled = get_autocast_dtype(device_type), is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd=None, *, device_type):
    """Decorator of a Function's ``backward``: autocast as it was in ``forward``."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(ctx, *args, **kwargs):
        used = ctx._fwd_used_autocast
        if device_type != "cpu" and not used:
            return bwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=used, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return decorated
