"""The default random number generator: ``torch.manual_seed`` and its relatives (``torch.random``)."""

import sys

from ._core.random import Generator, default_generator
from ._core.tensor import device as _device

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state",
    "thread_safe_generator",
]  # fmt: skip


def manual_seed(seed):
    """Starts the default generator's stream of ``seed``, anything int() takes in [-2**63, 2**64). Returns the generator.

    The same seed gives the numbers that PyTorch gives on a CPU. The GPUs' generators start the stream of this seed, too.

    >>> _ = torch.manual_seed(0)
    >>> first = torch.rand(3)
    >>> _ = torch.manual_seed(0)
    >>> torch.equal(first, torch.rand(3))
    True
    """
    _seed_gpus(int(seed))
    return default_generator.manual_seed(int(seed))


gpu_seed = None
"""The seed that GPUs start from: rushlight.cuda, which is not loaded for it, looks here at its own start."""


def _seed_gpus(seed):
    global gpu_seed
    gpu_seed = seed
    if _gpus() is not None:
        _gpus().manual_seed_all(seed)


def _gpus():
    """The generators of the GPUs, ``cuda.random``, if the program has come to use it."""
    return sys.modules.get(f"{__package__}.cuda.random")


def seed():
    """Starts an unpredictable stream of the default generator and returns its seed.

    >>> torch.seed() == torch.initial_seed()
    True
    """
    seed = default_generator.seed()
    _seed_gpus(seed)
    return seed


def initial_seed():
    """The seed that the default generator's stream started from.

    >>> _ = torch.manual_seed(7)
    >>> _ = torch.rand(3)
    >>> torch.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, a uint8 tensor (PyTorch can load it, too).

    >>> state = torch.get_rng_state()
    >>> state.dtype, state.shape
    (torch.uint8, torch.Size([5056]))
    """
    return default_generator.get_state()


def set_rng_state(new_state):
    """Continues the default generator's stream from ``new_state``, a tensor of get_rng_state().

    >>> state = torch.get_rng_state()
    >>> first = torch.rand(3)
    >>> torch.set_rng_state(state)
    >>> torch.equal(first, torch.rand(3))
    True
    """
    default_generator.set_state(new_state)


def thread_safe_generator():
    """In a worker thread of a DataLoader a Generator of that thread alone, seeded as a worker process is; elsewhere None.

    To be given as ``generator=`` by transforms: numbers then do not depend on how the threads take turns.

    >>> torch.random.thread_safe_generator() is None
    True
    """
    worker = sys.modules.get(f"{__package__}.utils.data._utils.worker")
    return None if worker is None else worker.thread_generator()


class fork_rng:
    """Context manager (or decorator): what is drawn inside does not move the generators outside.

    devices: the GPUs whose generators are kept, by number or name; by default all of them. The CPU's always is. enabled: False makes it do
    nothing, and so does device_type "meta". RuntimeError for a device_type that does not exist.

    >>> _ = torch.manual_seed(0)
    >>> with torch.random.fork_rng():
    ...     first = torch.rand(3)
    >>> torch.equal(first, torch.rand(3))
    True
    """

    def __init__(self, devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type="cuda"):
        self.device_type = _device(device_type).type
        self.enabled = enabled and self.device_type != "meta"
        self.devices = None if devices is None else list(devices)
        self.kept = []  # a block may be entered again within itself

    def __enter__(self):
        if self.enabled:
            of_devices = {device: self._room().get_rng_state(device) for device in self._devices()}
            self.kept.append((get_rng_state(), of_devices, _gpus() is not None, gpu_seed))

    def __exit__(self, *exc):
        global gpu_seed
        if self.enabled:
            state, of_devices, had_gpus, gpu_seed = self.kept.pop()
            set_rng_state(state)
            for device, state in of_devices.items():
                self._room().set_rng_state(state, device)
            if not had_gpus and _gpus() is not None:  # GPUs were first used inside the block
                _gpus().restart(gpu_seed)

    def _room(self):
        import rushlight

        room = getattr(rushlight, self.device_type, None)
        if not hasattr(room, "device_count"):
            raise RuntimeError(f"torch has no module of '{self.device_type}', whose generators fork_rng() could keep.")
        return room

    def _devices(self):
        """What to keep besides the CPU's: a program that has not used GPUs has nothing to keep, and pays nothing."""
        if self.devices is not None:
            return self.devices
        if self.device_type == "cuda" and _gpus() is None:
            return []
        return range(self._room().device_count() if self.device_type != "cpu" else 0)

    def __call__(self, function):
        import functools

        @functools.wraps(function)
        def forked(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return forked
