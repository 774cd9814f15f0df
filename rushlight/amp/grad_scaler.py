"""GradScaler: losses are multiplied so that float16 gradients do not underflow, and gradients divided again before the step."""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum

from .._core.tensor import Tensor
from .autocast_mode import is_autocast_available

__all__ = ["GradScaler", "OptState"]


LARGEST = (2 - 2**-23) * 2.0**127
"""The largest float32, beyond which a scale does not grow."""


class OptState(Enum):
    """How far an optimizer has come in this iteration.

    >>> OptState.READY.value, [state.name for state in OptState]
    (0, ['READY', 'UNSCALED', 'STEPPED'])
    """

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _fresh():
    return {"stage": OptState.READY, "found_inf_per_device": {}}


class GradScaler:
    """Scales losses by a factor that grows while gradients are finite and shrinks when they are not.

    device: where the gradients are. enabled: False makes every method do its plain work. Every ``growth_interval`` steps without an
    infinite or NaN gradient the scale is multiplied by ``growth_factor``; after a bad one by ``backoff_factor``, and that step is skipped.

    >>> scaler = torch.amp.GradScaler("cpu")
    >>> scaler.get_scale()
    65536.0
    """

    def __init__(self, device="cuda", init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        self._device, self._enabled = device, enabled
        if enabled and not is_autocast_available(device):
            where = f"{device}.amp" if device == "cuda" else device
            warnings.warn(f"torch.{where}.GradScaler is enabled, but {device.upper()} is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if self._enabled:
            if growth_factor <= 1.0:
                raise AssertionError("The growth factor must be > 1.0.")
            if backoff_factor >= 1.0:
                raise AssertionError("The backoff factor must be < 1.0.")
        self._scale, self._growth_factor, self._backoff_factor = float(init_scale), growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._init_scale = self._scale
        self._per_optimizer_states = defaultdict(_fresh)

    def scale(self, outputs):
        """``outputs`` (a tensor, or an iterable of them; a list or tuple stays one) times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled

    def unscale_(self, optimizer):
        """Divides the gradients of the optimizer's parameters by the scale, in place: for clipping before :meth:`step`."""
        if not self._enabled:
            return
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found_inf_per_device"], state["stage"] = self._unscale(optimizer), OptState.UNSCALED

    def _unscale(self, optimizer):
        """Unscales; for each device 1.0 if a gradient there is not finite, else 0.0: tensors, which step() waits for."""
        import rushlight as torch

        inverse = 1.0 / self._scale if self._scale else math.inf
        finite = {}  # device -> is the largest magnitude of each gradient finite?
        with torch.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is None or not p.grad.numel():
                        continue
                    if p.grad.dtype is torch.float16:
                        raise ValueError("Attempting to unscale FP16 gradients.\n  Keep the parameters in float32 and use autocast.")
                    p.grad.mul_(inverse)
                    finite.setdefault(p.grad.device, []).append(p.grad.abs().max().isfinite())
            return {device: 1.0 - torch.stack(found).all().float() for device, found in finite.items()}

    def _found_inf_per_device(self, optimizer):
        """What :meth:`unscale_` found in this iteration, a tensor for each device."""
        return self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]

    def step(self, optimizer, *args, **kwargs):
        """``optimizer.step(*args, **kwargs)`` with unscaled gradients, unless one of them is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not state["found_inf_per_device"]:
            raise AssertionError("No inf checks were recorded for this optimizer.\n  None of its parameters has a gradient.")
        result = self._maybe_opt_step(optimizer, state, *args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def _maybe_opt_step(self, optimizer, optimizer_state, *args, **kwargs):
        found = [bad.item() for bad in optimizer_state["found_inf_per_device"].values()]
        return None if any(found) else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Ends the iteration: the scale shrinks after a bad step, grows after enough good ones, or becomes ``new_scale``."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            found = [bad.item() for state in self._per_optimizer_states.values() for bad in state["found_inf_per_device"].values()]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adjust(any(found))
        self._per_optimizer_states = defaultdict(_fresh)

    def _adjust(self, bad):
        if bad:
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
            return
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            grown, self._growth_tracker = self._scale * self._growth_factor, 0
            self._scale = grown if grown <= LARGEST else self._scale

    def get_scale(self):
        """The factor; 1.0 if disabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self):
        """False if the scaler does nothing."""
        return self._enabled

    def state_dict(self):
        """Scale, factors and counters; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker,
        }  # fmt: skip

    def load_state_dict(self, state_dict):
        """Takes what :meth:`state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.")
        self._scale, self._growth_tracker = float(state_dict["scale"]), state_dict["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def get_growth_factor(self):
        """The factor by which the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Sets the factor by which the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """The factor by which the scale shrinks after a gradient that is not finite."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Sets the factor by which the scale shrinks after a gradient that is not finite."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """How many steps with finite gradients in a row make the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Sets how many steps with finite gradients in a row make the scale grow."""
        self._growth_interval = new_interval
