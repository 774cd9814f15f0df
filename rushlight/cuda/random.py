"""The generators of the GPUs: Philox, one for each. Setting seeds is allowed where there is no GPU; reading one then raises."""

from .. import random as _random
from .._core import tensor as _tensor
from .._core.random import Generator as _Generator

__all__ = [
    "get_rng_state", "get_rng_state_all", "initial_seed", "manual_seed", "manual_seed_all", "seed", "seed_all", "set_rng_state",
    "set_rng_state_all",
]  # fmt: skip

_generators = {}  # by the index of the GPU, from its first use on
_seeds = {} if _random.gpu_seed is None else {None: _random.gpu_seed}  # wanted before that; None stands for all GPUs


captured = None  # the Draws of the graph that is being captured


class Draws:
    """What a captured graph draws: its kernels read seed and number of the first call from memory, so each replay draws new numbers."""

    def __init__(self):
        self.streams = {}  # generator -> [memory of seed and number, calls in one replay]

    def next(self, generator):
        """(memory of a generator's seed and first call, how many calls of the graph come before this one)."""
        found = self.streams.get(generator)
        if found is None:
            from ..ops.creation import empty

            found = self.streams[generator] = [empty((2,), dtype=_tensor.dtypes()["int64"], device=generator.device), 0]
        found[1] += 1
        return found[0], found[1] - 1


def _count():
    from . import _start

    return _start.found()[0]


def _index(device):
    """The index of a device argument; of the current GPU for one without an index."""
    if isinstance(device, int):
        return device
    index = _tensor.device(device).index
    return _tensor.current_gpu() if index is None else index


def generator_of(index):
    """The generator that draws on a GPU when none is given."""
    generator = _generators.get(index)
    if generator is None:
        generator = _generators[index] = _Generator(f"cuda:{index}")
        seed = _seeds.get(index, _seeds.get(None))
        if seed is not None:
            generator.manual_seed(seed)
    return generator


def manual_seed(seed):
    """Starts the stream of ``seed`` on the current GPU.

    >>> torch.cuda.manual_seed(0)
    >>> x = torch.rand(3, device="cuda")
    >>> torch.cuda.manual_seed(0)
    >>> torch.equal(x, torch.rand(3, device="cuda"))
    True
    """
    index = _tensor.current_gpu()
    _seeds[index] = int(seed)
    if index in _generators:
        _generators[index].manual_seed(int(seed))


def restart(seed):
    """As if no GPU had drawn yet: each will start from ``seed``, None for an unpredictable one."""
    _generators.clear()
    _seeds.clear()
    if seed is not None:
        _seeds[None] = seed


def manual_seed_all(seed):
    """Starts the stream of ``seed`` on every GPU.

    >>> torch.cuda.manual_seed_all(7)
    >>> torch.cuda.initial_seed()
    7
    """
    _seeds.clear()
    _seeds[None] = int(seed)
    for generator in _generators.values():
        generator.manual_seed(int(seed))


def seed():
    """Starts an unpredictable stream on the current GPU.

    >>> torch.cuda.manual_seed(0)
    >>> torch.cuda.seed()
    >>> torch.cuda.initial_seed() == 0
    False
    """
    manual_seed(_Generator().seed())


def seed_all():
    """Starts one unpredictable stream on every GPU.

    >>> torch.cuda.seed_all()
    """
    manual_seed_all(_Generator().seed())


def initial_seed():
    """The seed of the current GPU's stream.

    >>> torch.cuda.manual_seed(3)
    >>> torch.cuda.initial_seed()
    3
    """
    return generator_of(_tensor.current_gpu()).initial_seed()


def get_rng_state(device="cuda"):
    """The state of a GPU's generator, a uint8 tensor of 16 bytes on the CPU: its seed and offset, as in PyTorch.

    >>> state = torch.cuda.get_rng_state()
    >>> state.dtype, state.device.type
    (torch.uint8, 'cpu')
    """
    return generator_of(_index(device)).get_state()


def get_rng_state_all():
    """The states of all GPUs' generators, a list.

    >>> len(torch.cuda.get_rng_state_all()) == torch.cuda.device_count()
    True
    """
    return [get_rng_state(i) for i in range(_count())]


def set_rng_state(new_state, device="cuda"):
    """Continues a GPU's stream from a state of :func:`get_rng_state`. Does nothing where there is no GPU.

    >>> state = torch.cuda.get_rng_state()
    >>> x = torch.rand(3, device="cuda")
    >>> torch.cuda.set_rng_state(state)
    >>> torch.equal(x, torch.rand(3, device="cuda"))
    True
    """
    if _count():
        generator_of(_index(device)).set_state(new_state)


def set_rng_state_all(new_states):
    """Takes what :func:`get_rng_state_all` gave.

    >>> torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
    """
    for i, state in enumerate(new_states):
        set_rng_state(state, i)
