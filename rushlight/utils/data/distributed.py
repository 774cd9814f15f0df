"""The sampler that gives each of several processes its own share of a data set."""

import math

import rushlight

from .sampler import _ChunkSampler

__all__ = ["DistributedSampler"]


class DistributedSampler(_ChunkSampler):
    """Every ``num_replicas``-th index, beginning with ``rank``, of an order that all processes share.

    With ``shuffle`` the order is the permutation drawn from ``seed + epoch``: call :meth:`set_epoch` before each
    epoch. All shares have the same length: the order is extended from its start, or with ``drop_last`` cut.
    ``num_replicas`` and ``rank`` default to those of the process group.

    >>> [list(DistributedSampler(range(5), num_replicas=2, rank=rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if num_replicas is None or rank is None:
            group = _process_group()
            num_replicas = group.get_world_size() if num_replicas is None else num_replicas
            rank = group.get_rank() if rank is None else rank
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        size = len(dataset)
        dropped = num_replicas if drop_last and size % num_replicas else 0
        self.num_samples = math.ceil((size - dropped) / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def _chunks(self):
        size = len(self.dataset)
        if self.shuffle:
            generator = rushlight.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = rushlight.randperm(size, generator=generator, device="cpu")
        else:
            order = rushlight.arange(size)
        if size < self.total_size:
            order = rushlight.cat([order] * math.ceil(self.total_size / size))
        yield order[self.rank : self.total_size : self.num_replicas]

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Choose the permutation of the next epoch."""
        self.epoch = epoch


def _process_group():
    distributed = rushlight.distributed
    if not distributed.is_available():
        raise RuntimeError(
            "Requires distributed package to be available\nState num_replicas and rank when there is no process group."
        )
    return distributed
