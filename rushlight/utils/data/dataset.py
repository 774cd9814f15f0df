"""Data sets: what a loader reads samples from.

The built-in ones also answer a whole batch at once: ``_gather()`` returns a function from a tensor of indices to the
batch that ``default_collate`` would make of the samples (one ``index_select`` per field), or None where that is not
possible.
"""

import bisect
import itertools
import math
import warnings

import rushlight

from .sampler import integers

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset", "random_split",
]  # fmt: skip


class Dataset:
    """Base class of data sets with random access: a subclass defines ``__getitem__(index)`` and usually ``__len__()``.

    ``__getitems__(indices) -> list of samples`` may be defined as well: the loader then asks for whole batches. A
    class that sets ``thread_safe = True`` is read by threads instead of processes when a loader has workers:
    ``__getitem__`` must then bear concurrent calls and draw random numbers from no global generator.

        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 10
        ...     def __getitem__(self, index):
        ...         return index * index
        >>> Squares()[3]
        9
    """

    def __class_getitem__(cls, item):
        return cls

    def __getitem__(self, index):
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base class of data sets that are streams: a subclass defines ``__iter__()``, and ``__len__()`` if it is known.

    Each worker of a loader iterates over a copy of the whole stream, so ``__iter__`` should use
    :func:`get_worker_info` to take its share. ``state_dict()`` and ``load_state_dict(state)``, if defined, let a
    loader resume without reading again.

    >>> class Squares(IterableDataset):
    ...     def __iter__(self):
    ...         return (n * n for n in range(5))
    >>> [batch.tolist() for batch in torch.utils.data.DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4, 9], [16]]
    """

    def __iter__(self):
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other):
        return ChainDataset([self, other])


def gatherer(dataset):
    """``gather(indices)`` of ``dataset`` if it is built in and can answer whole batches, else None."""
    kind = type(dataset)
    for builtin in (TensorDataset, Subset, ConcatDataset, StackDataset):
        # A subclass that overrides reading must be asked for each sample.
        if isinstance(dataset, builtin):
            same = kind.__getitem__ is builtin.__getitem__ and kind.__getitems__ is builtin.__getitems__
            return dataset._gather() if same else None
    return None


def fetch_items(dataset, indices):
    """The samples of ``dataset`` at ``indices``, by its ``__getitems__`` where it has one."""
    getitems = getattr(dataset, "__getitems__", None)
    if not callable(getitems):
        return [dataset[index] for index in indices]
    items = getitems(indices)
    if len(items) != len(indices):
        raise ValueError(f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(items)}")
    return items


class TensorDataset(Dataset):
    """Samples are tuples of rows: sample i is ``(t[i] for t in tensors)``. The tensors share their first size.

    >>> import rushlight as torch
    >>> data = TensorDataset(torch.arange(3), torch.zeros(3, 2))
    >>> len(data)
    3
    """

    def __init__(self, *tensors):
        if any(tensors[0].size(0) != tensor.size(0) for tensor in tensors):
            sizes = [tensor.size(0) for tensor in tensors]
            raise AssertionError(f"Size mismatch between tensors\nThe first sizes must be equal; they are {sizes}.")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple([tensor[index] for tensor in self.tensors])

    def __getitems__(self, indices):
        """The samples at ``indices`` (a list), read by one gather per tensor."""
        if min(indices, default=0) < 0:
            return [self[index] for index in indices]
        return list(zip(*[rows.unbind(0) for rows in self._rows(integers(indices))], strict=True))

    def __len__(self):
        return self.tensors[0].size(0)

    def _gather(self):
        return self._rows if all(type(tensor) is rushlight.Tensor for tensor in self.tensors) else None

    def _rows(self, index):
        """The rows of each tensor at ``index``, which goes where the tensor lies."""
        return [tensor.index_select(0, index.to(tensor.device)) for tensor in self.tensors]


class StackDataset(Dataset):
    """Data sets of equal length side by side: sample i is the tuple (or, for keyword arguments, the dict) of their
    samples i.

    >>> images, labels = TensorDataset(torch.zeros(3, 2)), [7, 8, 9]
    >>> StackDataset(images, labels)[1]
    ((tensor([0., 0.]),), 8)
    >>> StackDataset(label=labels)[2]
    {'label': 9}
    """

    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like input/output, but both "
                "types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets = args or kwargs
        lengths = [len(dataset) for dataset in self._members()]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets\nTheir lengths are {lengths}.")
        self._length = lengths[0]

    def _members(self):
        return list(self.datasets.values()) if isinstance(self.datasets, dict) else list(self.datasets)

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {key: dataset[index] for key, dataset in self.datasets.items()}
        return tuple([dataset[index] for dataset in self.datasets])

    def __getitems__(self, indices):
        """The samples at ``indices``, each member asked for all of its samples at once where it can answer so."""
        samples = zip(*[fetch_items(dataset, indices) for dataset in self._members()], strict=True)
        if isinstance(self.datasets, dict):
            return [dict(zip(self.datasets, sample, strict=True)) for sample in samples]
        return list(samples)

    def __len__(self):
        return self._length

    def _gather(self):
        gathers = [gatherer(dataset) for dataset in self._members()]
        if None in gathers:
            return None
        if isinstance(self.datasets, dict):
            keys = list(self.datasets)
            return lambda index: {key: gather(index) for key, gather in zip(keys, gathers, strict=True)}
        return lambda index: [gather(index) for gather in gathers]


class ConcatDataset(Dataset):
    """The samples of several map-style data sets, one data set after the other. Negative indices count from the end.

    >>> joined = ConcatDataset([TensorDataset(torch.arange(3)), TensorDataset(torch.arange(10, 12))])
    >>> len(joined), joined[3], joined[-1]
    (5, (tensor(10),), (tensor(11),))
    """

    @staticmethod
    def cumsum(sequence):
        """The running sums of the lengths of the members of ``sequence``."""
        return list(itertools.accumulate(len(member) for member in sequence))

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset\nChainDataset joins streams.")
        self.cumulative_sizes = self.cumsum(self.datasets)

    def __len__(self):
        return self.cumulative_sizes[-1]

    def _locate(self, index):
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        member = bisect.bisect_right(self.cumulative_sizes, index)
        return member, index - self.cumulative_sizes[member - 1] if member else index

    def __getitem__(self, idx):
        member, index = self._locate(idx)
        return self.datasets[member][index]

    def __getitems__(self, indices):
        """The samples at ``indices``, each member asked once."""
        places = [self._locate(index) for index in indices]
        samples = [None] * len(indices)
        for member in {member for member, _ in places}:
            slots = [slot for slot, place in enumerate(places) if place[0] == member]
            items = fetch_items(self.datasets[member], [places[slot][1] for slot in slots])
            for slot, item in zip(slots, items, strict=True):
                samples[slot] = item
        return samples

    def _gather(self):
        gathers = [gatherer(dataset) for dataset in self.datasets]
        if None in gathers:
            return None
        starts = [0, *self.cumulative_sizes]

        def gather(index):
            parts, places = [], []
            for number, inner in enumerate(gathers):
                place = ((index >= starts[number]) & (index < starts[number + 1])).nonzero().flatten()
                if place.numel():
                    places.append(place)
                    parts.append(inner(index.index_select(0, place) - starts[number]))
            place = rushlight.cat(places)
            order = rushlight.empty_like(place).index_copy_(0, place, rushlight.arange(len(place), device=place.device))
            return _merge(parts, order)

        return gather


def _merge(parts, order):
    """One batch of the ``parts`` (equal nestings of tensors), its rows in the given order."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: _merge([part[key] for part in parts], order) for key in first}
    if isinstance(first, list):
        if len({len(part) for part in parts}) > 1:
            raise RuntimeError("each element in list of batch should be of equal size")
        return [_merge(column, order) for column in zip(*parts, strict=True)]
    # cat would promote mixed types; stacking samples does not let that pass unseen either
    if len({(part.dtype, part.shape[1:]) for part in parts}) > 1:
        raise RuntimeError("stack expects each tensor to be equal size")
    return rushlight.cat(parts).index_select(0, order.to(first.device))


class ChainDataset(IterableDataset):
    """Streams one after the other: iterates over each of the given IterableDatasets in turn.

    >>> class Count(IterableDataset):
    ...     def __init__(self, n):
    ...         self.n = n
    ...     def __iter__(self):
    ...         return iter(range(self.n))
    >>> list(ChainDataset([Count(2), Count(3)]))
    [0, 1, 0, 1, 2]
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def __iter__(self):
        for dataset in self.datasets:
            yield from self._checked(dataset)

    def __len__(self):
        return sum(len(self._checked(dataset)) for dataset in self.datasets)

    @staticmethod
    def _checked(dataset):
        if not isinstance(dataset, IterableDataset):
            raise AssertionError(
                f"ChainDataset only supports IterableDataset\nGiven {type(dataset).__name__}; ConcatDataset joins "
                "data sets with random access."
            )
        return dataset


class Subset(Dataset):
    """The samples of ``dataset`` at ``indices``. A subclass that overrides ``__getitem__`` must override
    ``__getitems__`` too.

    >>> part = Subset("abcdef", [0, 3, 5])
    >>> len(part), part[1]
    (3, 'd')
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices
        kind = type(self)
        if kind.__getitem__ is not Subset.__getitem__ and kind.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{kind.__name__} overrides __getitem__ but not __getitems__. The loader reads whole batches by "
                "__getitems__, so define that too:\n\n"
                "def __getitems__(self, indices):\n"
                "    return [self.__getitem__(idx) for idx in indices]"
            )

    def __getitem__(self, idx):
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices):
        """The samples at ``indices``, by the ``__getitems__`` of ``dataset`` where it has one."""
        return fetch_items(self.dataset, [self.indices[index] for index in indices])

    def __len__(self):
        return len(self.indices)

    def _gather(self):
        inner = gatherer(self.dataset)
        if inner is None:
            return None
        try:
            where = integers(self.indices)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return None  # indices of another kind: read sample by sample
        if where.dim() != 1 or not where.numel() or int(where.min()) < 0:
            return None
        return lambda index: inner(where.index_select(0, index))


def _lengths_of_fractions(fractions, total):
    for index, fraction in enumerate(fractions):
        if fraction < 0 or fraction > 1:
            raise ValueError(f"Fraction at index {index} is not between 0 and 1")
    lengths = [math.floor(total * fraction) for fraction in fractions]
    for index in range(total - sum(lengths)):
        lengths[index % len(lengths)] += 1
    for index, length in enumerate(lengths):
        if length == 0:
            warnings.warn(
                f"Length of split at index {index} is 0. This might result in an empty dataset.", stacklevel=3
            )
    return lengths


def random_split(dataset, lengths, generator=None):
    """Split ``dataset`` at random into subsets of the given lengths, or of the given fractions (which sum to 1).

    Fractions are rounded down, and what remains goes to the first subsets, one sample each. ``generator`` (default:
    the global one) draws the permutation. ValueError if the lengths do not sum to ``len(dataset)``.

        >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
        [8, 2]
    """
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _lengths_of_fractions(lengths, total)
    if sum(lengths) != total:
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset!\n"
            f"The lengths {list(lengths)} sum to {sum(lengths)}; the data set has {total} samples."
        )
    indices = rushlight.randperm(total, generator=generator, device="cpu" if generator is None else generator.device).tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, indices[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
