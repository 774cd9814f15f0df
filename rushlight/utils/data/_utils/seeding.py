"""Seeds of workers and of single samples."""

import random
import sys

import rushlight

_MASK = (1 << 64) - 1


def seed_worker(base_seed, worker_id):
    """Seed this process for worker ``worker_id``, as PyTorch does: Python's and our generator with the sum, NumPy's
    with a hash.
    """
    random.seed(base_seed + worker_id)
    rushlight.manual_seed(base_seed + worker_id)
    numpy = sys.modules.get("numpy")  # a program that draws from it has imported it
    if numpy is not None:
        numpy.random.seed(_generate_state(base_seed, worker_id))


def _generate_state(base_seed, worker_id):
    """NumPy's seed in that worker: four words (as numbers, for programs that keep them)."""
    import numpy

    return numpy.random.SeedSequence([worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]).generate_state(4).tolist()


class SampleSeeds:
    """Seeds that depend on the epoch's ``base_seed`` and a sample's place in the epoch, and on nothing else."""

    def __init__(self, base_seed):
        self.base_seed = base_seed

    def apply(self, batch, position):
        """Seed all generators for the sample at ``position`` of batch number ``batch``."""
        seed = _mix(_mix(self.base_seed + batch) + position)
        random.seed(seed)
        rushlight.manual_seed(seed >> 1)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(seed & 0xFFFFFFFF)


class preserved_generators:
    """A block after which the global generators are where they were before it."""

    def __enter__(self):
        self.python, self.ours = random.getstate(), rushlight.get_rng_state()
        self.numpy = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None

    def __exit__(self, *error):
        random.setstate(self.python)
        rushlight.set_rng_state(self.ours)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


def _mix(x):
    """The finaliser of SplitMix64: neighbouring numbers become unrelated ones."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
