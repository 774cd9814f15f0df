"""Autocast: inside the context, products run in half width, losses and decompositions in float32, everything else as it comes.

The settings are a thread's own. While they switch autocast on for a device, the calls of operators in ``_lists.py`` come to
:func:`_casting`, which converts their operands and runs them with autocast off. Of other operators the core knows what :func:`_says`:
compositions are looked into.
"""

import functools
import threading
import warnings
from collections import namedtuple

from .. import overrides
from .._core import callbacks
from .._core.operator import CAST_RULES, CASTS, Library, set_cast_types
from .._core.tape import is_grad_enabled
from .._core.tensor import Tensor, dtypes, expected_devices
from . import _lists

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]

_D = dtypes()
FLOAT32, BFLOAT16, FLOAT16 = _D["float32"], _D["bfloat16"], _D["float16"]
_IN_CORE = ("cpu", "cuda")
_DEVICES = ("cpu", "cuda", "xpu", "mps", "mtia", "hpu", "xla", "ipu", "maia", "privateuseone")

_Settings = namedtuple("_Settings", "enabled dtypes caching")  # never changed, only replaced: device types; half width by device type


class _Thread(threading.local):
    def __init__(self):
        self.settings = _Settings(frozenset(), {}, True)
        self.outside = []  # what held outside of each block that is entered
        self.nesting = 0
        self.copies = {}  # id of a weight -> (the weight, its version, {(dtype, is it recorded): copy})


_thread = _Thread()


def _install(settings):
    _set(settings)
    overrides.set_casting(bool(settings.enabled))


def _set(settings):
    """Makes these the thread's settings; the core, which casts operands itself in common calls, knows the device and the dtype."""
    _thread.settings = settings
    device = next(iter(settings.enabled)) if len(settings.enabled) == 1 else None
    known = device in _IN_CORE
    set_cast_types(_IN_CORE.index(device) if known else -1, get_autocast_dtype(device).code if known else 0)


def _enter(settings):
    _thread.outside.append((_thread.settings, overrides.set_casting(False)))
    _thread.nesting += 1
    _install(settings)


def _leave():
    settings, casting = _thread.outside.pop()
    _set(settings)
    overrides.set_casting(casting)
    if autocast_decrement_nesting() == 0:
        clear_autocast_cache()


def _switched(settings, device_type, enabled, dtype):
    switch = settings.enabled.union if enabled else settings.enabled.difference
    return settings._replace(enabled=switch((device_type,)), dtypes={**settings.dtypes, device_type: dtype})


def is_autocast_available(device_type):
    """True for the devices that autocast knows and that are there: the CPU, and GPUs.

    >>> torch.amp.is_autocast_available("cpu")
    True
    """
    if device_type == "cuda":
        return callbacks.table["has_cuda"]()
    return device_type == "cpu"


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
            raise RuntimeError(expected_devices(device_type))
        self.device, self.fast_dtype = device_type, dtype or get_autocast_dtype(device_type)
        self._enabled = bool(enabled)
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        if enabled and not is_autocast_available(device_type):
            absent = f"{device_type.upper()} is not available or torch_xla is imported. Disabling autocast."
            warnings.warn(absent, stacklevel=2)
            self._enabled = False
        if device_type == "cpu" and enabled and self.fast_dtype not in (BFLOAT16, FLOAT16):
            warnings.warn(
                f"In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"CPU Autocast only supports dtypes of {BFLOAT16}, {FLOAT16} currently.",
                stacklevel=2,
            )
            self._enabled = False

    def __enter__(self):
        settings = _switched(_thread.settings, self.device, self._enabled, self.fast_dtype)
        _enter(settings._replace(caching=self._cache_enabled))
        return self

    def __exit__(self, *error):
        _leave()
        return False

    def __call__(self, function):
        return autocast_decorator(self, function)


def autocast_decorator(autocast_instance, func):
    """``func``, run inside the context ``autocast_instance``."""

    @functools.wraps(func)
    def decorated(*args, **kwargs):
        with autocast_instance:
            return func(*args, **kwargs)

    return decorated


class captured:
    """A block with the autocast that held where this was made: for what runs later (a checkpoint's second run), or on another thread."""

    def __init__(self):
        self.settings = _thread.settings

    def __enter__(self):
        _enter(self.settings)
        return self

    def __exit__(self, *error):
        _leave()


# -- what becomes of a call --


def _says(op):
    """What there is to say of an operator, as the core keeps it: CASTS, and what operands on the CPU and on GPUs are to be."""
    if any(op.__name__ in rules for rules in _RULES.values()):
        return CASTS["operands"], *(CAST_RULES.get(_NAMES.get(_RULES[device].get(op.__name__)), 0) for device in _IN_CORE)
    if type(op) is not Library:
        return CASTS["nothing"], 0, 0
    return CASTS["no_parts_out" if getattr(op, "composed", False) else "no_parts"], 0, 0


def _casting(op, args, kwargs, run=overrides.plain):
    """``run(op, args, kwargs)`` with operands as the lists want them. PyTorch leaves calls with ``out=`` alone."""
    device = _device(args, kwargs)
    rule = None if kwargs.get("out") is not None else _RULES[device].get(op.__name__)
    if rule is None and (type(op) is not Library or ("out" not in kwargs and getattr(op, "composed", False))):
        return run(op, args, kwargs)  # kernels, which have no parts, and compositions: with autocast on, for their parts
    casting = overrides.set_casting(False)
    try:
        return run(op, args, kwargs) if rule is None else run(op, *rule(op, args, kwargs, device, get_autocast_dtype(device)))
    finally:
        overrides.set_casting(casting)


def _device(args, kwargs):
    """The device type whose autocast has to do with a call."""
    enabled = _thread.settings.enabled
    if len(enabled) == 1:
        (device,) = enabled
        return device
    return "cuda" if any(t.is_cuda for t in _tensors((args, *kwargs.values()))) else "cpu"


def _lower(op, args, kwargs, device, dtype):
    def convert(t):
        return _converted(t, device, dtype)

    return _mapped(args, convert), _mapped(kwargs, convert)


def _full(op, args, kwargs, device, dtype):
    return _cast(args, device, FLOAT32), _cast(kwargs, device, FLOAT32)


def _summed(op, args, kwargs, device, dtype):
    names = op.signature.names
    given = kwargs.get("dtype") is not None or ("dtype" in names and len(args) > names.index("dtype"))
    return (args, kwargs) if given or not (args and _eligible(args[0], device)) else (args, {**kwargs, "dtype": FLOAT32})


def _widest(op, args, kwargs, device, dtype):
    types = {t.dtype for t in _tensors((args, *kwargs.values())) if _eligible(t, device)}
    if not types <= {FLOAT32, dtype}:
        raise RuntimeError(
            "Unexpected floating ScalarType in at::autocast::prioritize\n"
            f"  {op.__name__}() under autocast to {dtype} takes that and float32; convert the others first, with .to()."
        )
    widest = FLOAT32 if FLOAT32 in types else dtype
    return _cast(args, device, widest), _cast(kwargs, device, widest)


_HOW = {"lower": _lower, "full": _full, "summed": _summed, "widest": _widest}
_NAMES = {rule: name for name, rule in _HOW.items()}
_RULES = {device: {} for device in _DEVICES} | {
    device: {name: _HOW[field] for field, names in lists._asdict().items() for name in names}
    for device, lists in (("cpu", _lists.CPU), ("cuda", _lists.CUDA))
}


def _eligible(t, device_type):
    if not isinstance(t, Tensor) or not t.is_floating_point() or t.dtype is _D["float64"]:
        return False
    return t.is_cuda if device_type == "cuda" else t.is_cpu


_NO_TENSORS = frozenset((int, float, bool, type(None), str))


def _mapped(value, convert):
    """``value`` (a tensor, or nested tuples, lists and dicts) with its tensors converted."""
    if isinstance(value, Tensor):
        return convert(value)
    if isinstance(value, dict):
        return {k: _mapped(v, convert) for k, v in value.items()}
    if type(value) is tuple or type(value) is list:
        return type(value)([v if type(v) in _NO_TENSORS else _mapped(v, convert) for v in value])
    if isinstance(value, (list, tuple)):  # of a class of its own: with fields, or a Size
        items = [_mapped(v, convert) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _cast(value, device_type, dtype):
    """``value`` with its floating tensors on the device, except float64, in ``dtype``."""

    def convert(t):
        return t.to(dtype) if t.dtype is not dtype and _eligible(t, device_type) else t

    return _mapped(value, convert)


def _converted(t, device, dtype):
    """A tensor in half width. The copies of leaves that need gradients (weights, used again and again) are kept until the blocks end."""
    if t.dtype is dtype or not _eligible(t, device):
        return t
    own = type(t) is not Tensor and overrides.is_overriding(type(t))
    if own or t.dtype is not FLOAT32 or not (t.requires_grad and t.is_leaf) or t._is_view():
        return t.to(dtype)
    return _weight(t, dtype)


def _weight(t, dtype):
    """The copy of a leaf that needs a gradient."""
    if not _thread.settings.caching:
        return t.to(dtype)
    all_copies, version = _thread.copies, t._version
    known = all_copies.get(id(t))
    if known is None or known[1] != version:
        known = all_copies[id(t)] = (t, version, {})  # the leaf is kept alive so that its id stays its own
    copies, key = known[2], (dtype, is_grad_enabled())
    found = copies.get(key)
    if found is None:
        found = copies[key] = t.to(dtype)
    return found


def _tensors(value):
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


# -- the settings, as torch.is_autocast_enabled() and its relatives read and write them --


def is_autocast_enabled(device_type="cuda"):
    """True inside an autocast of this device type."""
    return device_type in _thread.settings.enabled


def get_autocast_dtype(device_type):
    """The half-width dtype of autocast on this device type."""
    default = FLOAT16 if device_type in ("cuda", "xpu", "mps") else BFLOAT16
    return _thread.settings.dtypes.get(device_type, default)


def set_autocast_dtype(device_type, dtype):
    """The dtype that later autocasts of this device type use by default."""
    _install(_switched(_thread.settings, device_type, is_autocast_enabled(device_type), dtype))


def is_autocast_cache_enabled():
    """True if half-width copies of parameters are kept."""
    return _thread.settings.caching


def set_autocast_cache_enabled(enabled):
    """The default of autocast's ``cache_enabled``."""
    _install(_thread.settings._replace(caching=bool(enabled)))


def set_autocast_enabled(device_type, enabled=None):
    """Switches autocast of a device type on or off for what follows, outside of ``with``."""
    device_type, enabled = ("cuda", device_type) if enabled is None else (device_type, enabled)
    _install(_switched(_thread.settings, device_type, enabled, get_autocast_dtype(device_type)))


def clear_autocast_cache():
    """Forgets the half-width copies of this thread, as the end of its outermost autocast does."""
    _thread.copies.clear()


def autocast_increment_nesting():
    """One more autocast is entered by hand; returns how many there are."""
    _thread.nesting += 1
    return _thread.nesting


def autocast_decrement_nesting():
    """One less; returns how many are left."""
    _thread.nesting -= 1
    return _thread.nesting


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
    """Decorator of a Function's ``forward``: run without autocast on inputs cast to ``cast_inputs``; None: with autocast as it is.

    >>> class Product(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    ...     def forward(ctx, a, b):
    ...         return a @ b
    >>> half = torch.ones(2, 2, dtype=torch.bfloat16, device="cpu")
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     (half @ half).dtype, Product.apply(half, half).dtype
    (torch.bfloat16, torch.float32)
    """
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
    """Decorator of a Function's ``backward``: autocast as it was in ``forward``.

    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     @torch.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> x = torch.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """
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


def warn_of_spelling(device_type, name):
    """Warns that ``torch.<device_type>.amp.<name>`` is the older spelling."""
    old, new = f"torch.{device_type}.amp.{name}(args...)", f"torch.amp.{name}('{device_type}', args...)"
    if name.startswith("custom"):
        new = f"torch.amp.{name}(args..., device_type='{device_type}')"
    warnings.warn(f"`{old}` is deprecated. Please use `{new}` instead.", FutureWarning, stacklevel=3)


callbacks.register(autocast=_casting, casts=_says, cast_weight=_weight)
