"""The loader: samples of a data set, in a sampler's order, as batches."""

import math
import os
import warnings
from collections.abc import Callable

from ._utils import collate
from ._utils.fetch import _IterableDatasetFetcher, _MapDatasetFetcher
from ._utils.iterators import (  # noqa: F401  public here
    _BaseDataLoaderIter,
    _MultiProcessingDataLoaderIter,
    _SingleProcessDataLoaderIter,
)
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

_collate_fn_t, _worker_init_fn_t = Callable[[list], object], Callable[[int], None]  # for annotations

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

default_collate, default_convert = collate.default_collate, collate.default_convert


def get_worker_info():
    """The facts about the worker that calls; None outside a worker."""
    from ._utils import worker

    return worker.get_worker_info()


class _DatasetKind:
    """The two ways to read a data set: by index, or as a stream."""

    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(kind, dataset, auto_collation, collate_fn, drop_last):
        """The fetcher of a data set of the given kind."""
        fetcher = _MapDatasetFetcher if kind == _DatasetKind.Map else _IterableDatasetFetcher
        return fetcher(dataset, auto_collation, collate_fn, drop_last)


class _InfiniteConstantSampler(Sampler):
    """None for ever: a stream is read until it ends."""

    def __iter__(self):
        while True:
            yield None


class DataLoader:
    """Iterates over ``dataset`` in batches of ``batch_size`` samples; each ``iter(loader)`` is one epoch.

    - ``shuffle=True`` draws a new order each epoch; ``sampler`` (indices) or ``batch_sampler`` (lists of indices)
      state it instead. ``batch_size=None`` gives single samples. ``drop_last`` leaves out an incomplete last batch.
    - ``collate_fn(list of samples)`` makes the batch, by default :func:`default_collate`.
    - ``num_workers`` processes read ahead, each ``prefetch_factor`` (2) batches; threads instead where the data set
      is built in or says ``thread_safe = True``, unless ``multiprocessing_context`` is given. ``worker_init_fn(worker
      id)`` runs in each after seeding, ``persistent_workers`` keeps them between epochs, ``in_order=False`` gives
      batches as they come. A batch that takes longer than ``timeout`` seconds (0: no limit) is a RuntimeError that
      names the sample.
    - ``generator`` draws the order and the base seed; worker i is seeded with base seed + i, as in PyTorch, so random
      draws depend on the number of workers. With ``seed_per_sample=True`` they do not: all generators are seeded before
      each sample from the base seed and the sample's place in the epoch.
    - ``pin_memory`` copies batches to page-locked memory for faster transfer to a GPU.

    ``state_dict()`` in the middle of an epoch and ``load_state_dict()`` on a new loader resume it without reading
    what was read.

        >>> import rushlight as torch
        >>> loader = DataLoader(range(5), batch_size=2)
        >>> list(loader)
        [tensor([0, 1]), tensor([2, 3]), tensor([4])]
    """

    _iterator = None
    _resume = None
    _latest = None
    __initialized = False

    def __init__(
        self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
        pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None,
        generator=None, *, prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True,
        seed_per_sample=False,
    ):  # fmt: skip
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.seed_per_sample = seed_per_sample
        self.generator = generator
        self.persistent_workers = persistent_workers

        streams = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if streams else _DatasetKind.Map
        if streams:
            _check_stream(shuffle, sampler, batch_sampler, seed_per_sample)
        _check_sampling(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            sampler = self._default_sampler(shuffle)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self._IterableDataset_len_called = None
        self.__initialized = True
        self.check_worker_number_rationality()

    def __class_getitem__(cls, item):
        return cls

    def _default_sampler(self, shuffle):
        if self._dataset_kind == _DatasetKind.Iterable:
            return _InfiniteConstantSampler()
        return RandomSampler(self.dataset, generator=self.generator) if shuffle else SequentialSampler(self.dataset)

    @property
    def multiprocessing_context(self):
        """The context that starts worker processes; None for the system's default."""
        return self.__multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        self.__multiprocessing_context = None if context is None else _as_context(context, self.num_workers)

    def __setattr__(self, attr, val):
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self.__initialized and attr in fixed:
            raise ValueError(
                f"{attr} attribute should not be set after {type(self).__name__} is initialized\n"
                "Make a new loader instead."
            )
        super().__setattr__(attr, val)

    def __iter__(self):
        if self.persistent_workers and self._iterator is not None:
            self._iterator._reset(self)
            iterator = self._iterator
        else:
            iterator = self._get_iterator()
        if self.persistent_workers:
            self._iterator = iterator
        self._latest = iterator._progress
        return iterator

    def _get_iterator(self):
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _MultiProcessingDataLoaderIter(self)

    @property
    def _auto_collation(self):
        return self.batch_sampler is not None

    @property
    def _index_sampler(self):
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self):
        """The number of batches; for a stream an estimate from its length, if it has one."""
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)

    def check_worker_number_rationality(self):
        """Warn if there are more workers than processors for them."""
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        if self.num_workers > (available or 0):
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number "
                f"of worker in current system is {available}, which is smaller than what this DataLoader is going to "
                "create. "
                "More workers than processors slow each other down.",
                stacklevel=3,
            )

    def state_dict(self):
        """Where the loader stands: plain data and tensors, to be saved and given to :meth:`load_state_dict`.

        In the middle of an epoch: how the order was drawn, the base seed and the number of batches that were handed
        out. After an epoch: the state of the generator, if one was given. The global generator's state is the
        program's to save (``get_rng_state``). An order made by a sampler of the program's own is drawn again and
        skipped without reading samples; a stream is read again up to the place unless it has ``state_dict`` and
        ``load_state_dict``.
        """
        progress = self._latest
        if progress is not None and not progress.finished:
            return progress.state_dict()
        if self._resume is not None:
            return self._resume
        return {"version": 1, "batches": 0} | _generator_state(self.generator)

    def load_state_dict(self, state):
        """Let the next ``iter(loader)`` go on where ``state`` was taken."""
        if state.get("version") != 1:
            raise ValueError(f"this is no state of a DataLoader: version {state.get('version')!r} is unknown")
        if "generator" in state and self.generator is not None:
            self.generator.set_state(state["generator"])
        self._latest = None
        self._resume = state if "base_seed" in state else None

    def _take_resume(self):
        state, self._resume = self._resume, None
        return state

    def __getstate__(self):
        # An iterator holds processes and sockets; a copy of the loader starts its own.
        return {key: value for key, value in self.__dict__.items() if key not in ("_iterator", "_latest")}


def _generator_state(generator):
    return {} if generator is None else {"generator": generator.get_state()}


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle, sampler, batch_sampler, seed_per_sample):
    if shuffle not in (False, None):
        raise ValueError(
            f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}\n"
            "A stream has no indices to shuffle: shuffle inside its __iter__."
        )
    for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
            )
    if seed_per_sample:
        raise ValueError(
            "DataLoader with IterableDataset: seed_per_sample needs a data set with indices\n"
            "Which worker reads which part of a stream is the stream's own affair."
        )


def _check_sampling(batch_size, shuffle, sampler, batch_sampler, drop_last):
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and batch_sampler is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


def _as_context(context, num_workers):
    import multiprocessing

    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
            "but got num_workers=0"
        )
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                f"multiprocessing_context={context!r}"
            )
        context = multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, "
            f"but got multiprocessing_context={context}"
        )
    return context
