"""Fetchers: from the indices of a batch to the batch."""

import contextlib

import rushlight

from ..dataset import gatherer
from ..sampler import integers
from . import collate
from .seeding import SampleSeeds, preserved_generators


class _Fetcher:
    """What all fetchers know. ``progress`` is called with the place in the batch of each sample before it is read."""

    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.progress = None
        self.seeds = None
        self.preserve = contextlib.nullcontext()

    def seed_per_sample(self, base_seed, preserve):
        """Seed all generators before each sample; with ``preserve`` put them back after each batch."""
        self.seeds = SampleSeeds(base_seed)
        self.preserve = preserved_generators() if preserve else contextlib.nullcontext()

    def _before(self, batch, position):
        if self.progress is not None:
            self.progress(position)
        if self.seeds is not None:
            self.seeds.apply(batch, position)


class _IterableDatasetFetcher(_Fetcher):
    """Reads a stream; a batch's indices only say how many samples it has."""

    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.dataset_iter = iter(dataset)
        self.ended = False

    def fetch(self, index, batch=0):
        """The next batch of the stream; StopIteration at its end."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            self._before(batch, 0)
            return self.collate_fn(next(self.dataset_iter))
        samples = []
        for position in range(len(index)):
            self._before(batch, position)
            try:
                samples.append(next(self.dataset_iter))
            except StopIteration:
                self.ended = True
                break
        if not samples or (self.drop_last and len(samples) < len(index)):
            raise StopIteration
        return self.collate_fn(samples)


class _MapDatasetFetcher(_Fetcher):
    """Reads samples by index: the whole batch in one gather where the data set is built in, by ``__getitems__``, or
    one by one.
    """

    def __init__(self, dataset, auto_collation, collate_fn, drop_last):
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.gather = batch_gatherer(dataset, collate_fn) if auto_collation else None

    def fetch(self, index, batch=0):
        """The batch of the samples at ``index``: a list or, for a gathered data set, a tensor."""
        if self.gather is not None:
            try:
                return self.gather(index if isinstance(index, rushlight.Tensor) else _checked(index))
            except (IndexError, RuntimeError, TypeError, ValueError):
                pass  # whatever it is, reading sample by sample gives the answer, or the error that names the sample
        if isinstance(index, rushlight.Tensor):
            index = index.tolist()
        with self.preserve:
            return self.collate_fn(self._samples(index, batch) if self.auto_collation else self._sample(index, batch))

    def _sample(self, index, batch):
        self._before(batch, 0)
        return self.dataset[index]

    def _samples(self, indices, batch):
        if getattr(self.dataset, "__getitems__", None):
            self._before(batch, 0)
            return self.dataset.__getitems__(indices)
        dataset, samples = self.dataset, []
        watched = self.progress is not None or self.seeds is not None
        index = None
        try:
            for index in indices:
                if watched:
                    self._before(batch, len(samples))
                samples.append(dataset[index])
        except Exception as error:
            place = len(samples)
            error.add_note(f"DataLoader was reading sample {index!r} of the data set (place {place} of its batch).")
            raise
        return samples


def _checked(indices):
    """A list of indices as a tensor; ValueError where counting from the end is meant, which a gather does not know."""
    if min(indices, default=0) < 0:
        raise ValueError("negative index")
    return integers(indices)


def batch_gatherer(dataset, collate_fn):
    """``gather(index tensor) -> batch`` if that equals collating the samples with ``collate_fn``, else None."""
    default = collate.default_collate_fn_map.get(rushlight.Tensor) is collate.collate_tensor_fn
    return gatherer(dataset) if default and collate_fn is collate.default_collate else None
