"""Pipes that change the order of others."""

import random

import rushlight

from . import IterDataPipe, functional_datapipe

__all__ = ["ShufflerIterDataPipe"]


@functional_datapipe("shuffle")
class ShufflerIterDataPipe(IterDataPipe):
    """The items of ``datapipe`` in an order drawn from a buffer of ``buffer_size``, by a generator seeded from the global one.

    >>> pipe = torch.utils.data.datapipes.iter.IterableWrapper(range(4)).shuffle().set_seed(0)
    >>> list(pipe)
    [3, 1, 0, 2]
    """

    def __init__(self, datapipe, *, buffer_size=10000, unbatch_level=0):
        if buffer_size <= 0:
            raise ValueError("buffer_size should be larger than 0")
        if unbatch_level:
            raise RuntimeError("shuffle(): unbatch_level must be 0 in rushlight; chain the items of batches before")
        self.datapipe, self.buffer_size = datapipe, buffer_size
        self._enabled, self._seed = True, None

    def set_shuffle(self, shuffle=True):
        """Whether to change the order at all."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed):
        """The seed of the next pass."""
        self._seed = seed
        return self

    def __iter__(self):
        if not self._enabled:
            yield from self.datapipe
            return
        seed, self._seed = self._seed, None
        draw = random.Random(int(rushlight.empty((), dtype=rushlight.int64).random_().item()) if seed is None else seed)
        buffer = []
        for item in self.datapipe:
            if len(buffer) < self.buffer_size:
                buffer.append(item)
                continue
            place = draw.randint(0, len(buffer) - 1)
            given, buffer[place] = buffer[place], item
            yield given
        while buffer:
            yield buffer.pop(draw.randint(0, len(buffer) - 1))

    def __len__(self):
        return len(self.datapipe)
