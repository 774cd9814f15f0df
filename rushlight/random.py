"""The default random number generator: ``torch.manual_seed`` and its relatives (``torch.random``)."""

import sys
import warnings

from ._core.random import Generator, default_generator

__all__ = ["Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


def manual_seed(seed):
    """Starts the default generator's stream of ``seed``, anything int() takes in [-2**63, 2**64). Returns the generator.

    The same seed gives the numbers that PyTorch gives on a CPU. The GPUs' generators start the stream of this seed, too.
    """
    _seed_gpus(int(seed))
    return default_generator.manual_seed(int(seed))


gpu_seed = None
"""The seed that GPUs start from: rushlight.cuda, which is not loaded for it, looks here at its own start."""


def _seed_gpus(seed):
    global gpu_seed
    gpu_seed = seed
    gpus = sys.modules.get(f"{__package__}.cuda.random")
    if gpus is not None:
        gpus.manual_seed_all(seed)


def seed():
    """Starts an unpredictable stream of the default generator and returns its seed."""
    seed = default_generator.seed()
    _seed_gpus(seed)
    return seed


def initial_seed():
    """The seed that the default generator's stream started from."""
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor (PyTorch can load it, too)."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Continues the default generator's stream from ``new_state``, a tensor of get_rng_state()."""
    default_generator.set_state(new_state)


class fork_rng:
    """Context manager (or decorator): what is drawn inside does not move the default generator outside.

    enabled: False makes it do nothing. devices and device_type are accepted as in PyTorch; only the CPU has a generator here.
    """

    def __init__(self, devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
        if devices:
            warnings.warn("fork_rng(): rushlight has no device generators to fork; only the CPU's is kept", UserWarning, stacklevel=2)
        self.enabled = enabled

    def __enter__(self):
        if self.enabled:
            self.state = get_rng_state()

    def __exit__(self, *exc):
        if self.enabled:
            set_rng_state(self.state)

    def __call__(self, function):
        import functools

        @functools.wraps(function)
        def forked(*args, **kwargs):
            with self.__class__(enabled=self.enabled):
                return function(*args, **kwargs)

        return forked
