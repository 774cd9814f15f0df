"""Seeds of GPUs that are not there: setting them does nothing, reading one raises AssertionError."""

from ._missing import needs_gpu as _needs_gpu

__all__ = [
    "get_rng_state", "get_rng_state_all", "initial_seed", "manual_seed", "manual_seed_all", "seed", "seed_all", "set_rng_state",
    "set_rng_state_all",
]  # fmt: skip


def manual_seed(seed):
    """Accepted: no GPU has a generator."""


def manual_seed_all(seed):
    """Accepted: no GPU has a generator."""


def seed():
    """Accepted: no GPU has a generator."""


def seed_all():
    """Accepted: no GPU has a generator."""


def get_rng_state_all():
    """The states of all GPUs: an empty list."""
    return []


def set_rng_state(new_state, device="cuda"):
    """Accepted: no GPU has a generator."""


def set_rng_state_all(new_states):
    """Takes what :func:`get_rng_state_all` gave."""


get_rng_state = _needs_gpu("get_rng_state")
initial_seed = _needs_gpu("initial_seed")
