"""Samplers: the order in which a loader reads a data set.

A built-in sampler makes its order in pieces that are tensors (``_chunks()``); iterating over it reads them as
integers, while the loader slices them into batches without making an integer at all. Random samplers remember how
their last epoch began, so that the loader can resume it (``state_dict``).
"""

import itertools
from array import array

import rushlight

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip


class Sampler:
    """Base class of samplers: a subclass defines ``__iter__()`` over indices (or lists of them) and, if known,
    ``__len__()``.

    >>> class Evens(Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(0, len(self.data), 2))
    >>> data = torch.utils.data.TensorDataset(torch.arange(5))
    >>> [x.tolist() for (x,) in torch.utils.data.DataLoader(data, batch_size=2, sampler=Evens(data))]
    [[0, 2], [4]]
    """

    def __class_getitem__(cls, item):
        return cls

    def __iter__(self):
        raise NotImplementedError("Subclasses of Sampler should implement __iter__.")


class _ChunkSampler(Sampler):
    """A sampler defined by ``_chunks()``, an iterator over one-dimensional int64 tensors, drawn only when they are
    needed.
    """

    def __iter__(self):
        for chunk in self._chunks():
            yield from chunk.tolist()


def _device_of(generator):
    """Where a generator draws: data is shuffled on the CPU, also where the default device is another."""
    return "cpu" if generator is None else generator.device


class _RandomChunkSampler(_ChunkSampler):
    """Adds a generator and the memory of how the last epoch began."""

    _began = _restored = None

    def _begin(self):
        """The generator for a new epoch (None: the global one)."""
        state, self._restored = self._restored, None
        generator = self.generator
        if state is not None:
            generator = generator if generator is not None else rushlight.Generator()
            generator.set_state(state["generator"])
        else:
            source = generator if generator is not None else rushlight.default_generator
            state = {"generator": source.get_state()}
        self._began = state
        return generator

    def state_dict(self):
        """How the last epoch began; {} before the first."""
        return dict(self._began or {})

    def load_state_dict(self, state):
        """Let the next epoch begin as the one whose ``state_dict`` is given."""
        self._restored = dict(state) or None


class SequentialSampler(_ChunkSampler):
    """The indices 0, 1, ... ``len(data_source) - 1``.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def _chunks(self):
        yield rushlight.arange(len(self.data_source))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(_RandomChunkSampler):
    """A random permutation of the indices of ``data_source``, or with ``replacement`` independent draws.

    ``num_samples`` indices (default: one for each sample; more than that starts further permutations) are drawn by
    ``generator``, by default a new one seeded from the global one.

    >>> sorted(RandomSampler(range(4))), len(list(RandomSampler(range(4), num_samples=10)))
    ([0, 1, 2, 3], 10)
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={self.num_samples}"
                + ("\nThe data set is empty." if num_samples is None else "")
            )

    @property
    def num_samples(self):
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _begin(self):
        if self.generator is not None:
            return super()._begin()
        state, self._restored = self._restored, None
        seed = state["seed"] if state else int(rushlight.empty((), dtype=rushlight.int64, device="cpu").random_().item())
        self._began = {"seed": seed}
        generator = rushlight.Generator()
        generator.manual_seed(seed)
        return generator

    def _chunks(self):
        n, count, generator = len(self.data_source), self.num_samples, self._begin()
        if self.replacement:
            for size in [*[32] * (count // 32), count % 32]:
                yield rushlight.randint(high=n, size=(size,), dtype=rushlight.int64, generator=generator, device=_device_of(generator))
        else:
            for _ in range(count // n):
                yield rushlight.randperm(n, generator=generator, device=_device_of(generator))
            # Drawn even where none of it is used, so that a generator of the caller's ends where PyTorch leaves it.
            yield rushlight.randperm(n, generator=generator, device=_device_of(generator))[: count % n]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(_RandomChunkSampler):
    """The given ``indices`` (any objects) in random order, drawn by ``generator`` or else the global one.

    >>> sorted(SubsetRandomSampler([2, 5, 7]))
    [2, 5, 7]
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        generator = self._begin()
        for place in rushlight.randperm(len(self.indices), generator=generator, device=_device_of(generator)).tolist():
            yield self.indices[place]

    def _chunks(self):
        generator = self._begin()
        order = rushlight.randperm(len(self.indices), generator=generator, device=_device_of(generator))
        yield integers(self.indices).index_select(0, order)

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(_RandomChunkSampler):
    """``num_samples`` indices, i drawn with a probability in proportion to ``weights[i]``, with or without
    ``replacement``.

    >>> set(WeightedRandomSampler([0.0, 1.0, 3.0], num_samples=100)) == {1, 2}
    True
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        weights = rushlight.as_tensor(weights, dtype=rushlight.float64)
        if weights.dim() != 1:
            shape = tuple(weights.shape)
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {shape}")
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def _chunks(self):
        yield rushlight.multinomial(self.weights, self.num_samples, self.replacement, generator=self._begin())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of ``batch_size`` indices of ``sampler`` (any iterable); with ``drop_last`` an incomplete last list is
    left out.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self):
        extra = 0 if self.drop_last else self.batch_size - 1
        return (len(self.sampler) + extra) // self.batch_size


def integers(indices):
    """The sequence ``indices`` as a tensor."""
    if isinstance(indices, rushlight.Tensor):
        return indices.to(rushlight.int64)
    return rushlight.frombuffer(array("q", indices), dtype=rushlight.int64)


def tensor_batches(sampler, skip=0):
    """The batches of ``sampler`` as index tensors, without the first ``skip``; None where only iteration can tell them.

    Equal to iterating over the BatchSampler, down to the moment at which each random number is drawn.
    """
    if type(sampler) is not BatchSampler or not hasattr(type(sampler.sampler), "_chunks"):
        return None
    inner = sampler.sampler
    if isinstance(inner, SubsetRandomSampler) and not _are_integers(inner.indices):
        return None
    for kind in type(inner).__mro__:  # a subclass that overrides __iter__ below _chunks must be iterated
        if "_chunks" in vars(kind):
            break
        if "__iter__" in vars(kind):
            return None
    return _slices(inner._chunks(), sampler.batch_size, sampler.drop_last, skip * sampler.batch_size)


def _are_integers(indices):
    if isinstance(indices, range):
        return True
    if isinstance(indices, rushlight.Tensor):
        return not (indices.is_floating_point() or indices.is_complex())
    return isinstance(indices, (list, tuple)) and all(type(index) is int for index in indices)


def _slices(chunks, batch_size, drop_last, skip):
    rest = None
    for chunk in chunks:
        if skip:
            skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
        if rest is not None:
            chunk = rushlight.cat([rest, chunk])
        whole = len(chunk) // batch_size * batch_size
        if whole:
            yield from chunk[:whole].split(batch_size)
        rest = chunk[whole:] if whole < len(chunk) else None
    if rest is not None and not drop_last:
        yield rest
