"""Anomaly mode: backward errors name the forward call, and NaN gradients raise."""

import warnings

from .._core import tape

__all__ = ["detect_anomaly", "is_anomaly_enabled", "set_detect_anomaly"]

_ANOMALY = tape.MODES["anomaly"]


def is_anomaly_enabled():
    """True while anomaly mode is on for this thread."""
    on = tape.set_mode_bit(_ANOMALY, False)
    tape.set_mode_bit(_ANOMALY, on)
    return on


def set_anomaly_enabled(enabled, check_nan=True):
    """Switches anomaly mode on or off for this thread."""
    tape.set_mode_bit(_ANOMALY, bool(enabled))
    tape.set_check_nan(check_nan)


class set_detect_anomaly:
    """Switches anomaly mode on or off: at once as a call, for a block in a ``with`` statement.

    check_nan: raise RuntimeError when a node returns NaN.

    >>> with torch.autograd.set_detect_anomaly(True):
    ...     torch.is_anomaly_enabled()
    True
    """

    def __init__(self, mode, check_nan=True):
        self.prev = tape.set_mode_bit(_ANOMALY, mode)
        self.prev_check_nan = tape.set_check_nan(check_nan)

    def __enter__(self):
        return None

    def __exit__(self, *error):
        tape.set_mode_bit(_ANOMALY, self.prev)
        tape.set_check_nan(self.prev_check_nan)


class detect_anomaly:
    """Anomaly mode for a block: slow, for debugging only. An error in a backward pass then also prints the forward
    call's traceback.

    >>> x = torch.tensor([0.0], requires_grad=True)
    >>> with torch.autograd.detect_anomaly():
    ...     (x.sqrt() * 0).backward()  # 0 * inf
    Traceback (most recent call last):
        ...
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan=True):
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for"
            " debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self.block = set_detect_anomaly(True, self.check_nan)

    def __exit__(self, *error):
        self.block.__exit__(*error)
