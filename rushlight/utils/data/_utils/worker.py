"""What a worker does, in a process of its own or in a thread: take tasks, answer each with a batch."""

import collections
import threading
import traceback

import rushlight

from . import seeding
from .seeding import _generate_state  # noqa: F401 (where PyTorch has it)

GRACE = 0.7  # seconds that a worker has to end by itself once it is told to

_process_info = None
_thread = threading.local()


class WorkerInfo(collections.namedtuple("WorkerInfo", "id num_workers seed dataset")):
    """Facts about the worker that calls: its ``id`` (from 0) among ``num_workers``, its ``seed``, its copy of ``dataset``.

    What :func:`get_worker_info` gives.

    >>> info = WorkerInfo(id=1, num_workers=2, seed=7, dataset=range(5))
    >>> list(info.dataset)[info.id :: info.num_workers]  # the worker's share of a stream
    [1, 3]
    """

    __slots__ = ()


def get_worker_info():
    """The :class:`WorkerInfo` of the calling worker; None outside a worker.

    >>> torch.utils.data.get_worker_info() is None
    True
    """
    return getattr(_thread, "info", None) or _process_info


def thread_generator():
    """The Generator of a worker thread; None elsewhere."""
    return getattr(_thread, "generator", None)


class ExceptionWrapper:
    """An exception on its way from a worker to the program: its class, its traceback as text, and where it happened."""

    def __init__(self, error, where):
        self.exc_type = type(error)
        self.exc_msg = "".join(traceback.format_exception(error))
        self.where = where

    def reraise(self):
        """Raise the exception again with the worker's traceback as its message."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            raise KeyError(_Verbatim(message))
        try:
            error = self.exc_type(message)
        except Exception:  # a class that wants other arguments
            error = RuntimeError(message)
        raise error from None


class _Verbatim(str):
    """Text that KeyError prints as it is, with its line breaks."""

    __slots__ = ()

    def __repr__(self):
        return str(self)


def seeds_samples(loader):
    """Whether ``seed_per_sample`` is on; a program's own loader, which has PyTorch's attributes only, has none."""
    return getattr(loader, "seed_per_sample", False)


class Job:
    """Everything that a worker needs to know; travels to it once."""

    def __init__(self, loader, base_seed):
        self.kind = loader._dataset_kind
        self.fetcher = (loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        self.base_seed = base_seed
        self.num_workers = loader.num_workers
        self.init_fn = loader.worker_init_fn
        self.seed_per_sample = seeds_samples(loader)

    @property
    def dataset(self):
        """The data set."""
        return self.fetcher[0]

    def make_fetcher(self, kinds, base_seed, progress):
        """A fetcher for one epoch."""
        fetcher = kinds.create_fetcher(self.kind, *self.fetcher)
        fetcher.progress = progress
        if self.seed_per_sample:
            fetcher.seed_per_sample(base_seed, preserve=False)
        return fetcher


# The kinds of answers
DATA, ERROR, END = range(3)


class Worker:
    """The loop of one worker.

    A task is ``(epoch, number, index, base_seed)``, an answer ``(epoch, number, kind, data)``. A task of a new epoch
    makes a new fetcher. Tasks of an epoch that was left early are done all the same: skipping them would make random
    draws depend on timing. Once ``closed()`` is true what is left is skipped: nobody waits for it.
    """

    def __init__(self, job, id, progress, closed):
        self.job, self.id, self.closed = job, id, closed
        self.progress = progress
        self.number = -1
        self.epoch = self.fetcher = self.failure = None
        self.ended = False

    def set_up_process(self):
        """Seed the generators and keep to one thread: this process is the worker's alone."""
        global _process_info
        rushlight.set_num_threads(1)
        seeding.seed_worker(self.job.base_seed, self.id)
        _process_info = self._info()

    def set_up_thread(self):
        """Make :func:`get_worker_info` answer in this thread, and give it a generator."""
        _thread.info = self._info()
        _thread.generator = rushlight.Generator().manual_seed(_thread.info.seed)

    def _info(self):
        return WorkerInfo(self.id, self.job.num_workers, self.job.base_seed + self.id, self.job.dataset)

    def run(self, take, answer):
        """Serve the tasks of ``take()`` until it gives None, each with ``answer(epoch, number, kind, data)``."""
        if self.job.init_fn is not None:
            try:
                self.job.init_fn(self.id)
            except Exception as error:
                self.failure = self._wrap(error)
        while (task := take()) is not None:
            if not self.closed():
                self._serve(*task, answer)

    def _serve(self, epoch, number, index, base_seed, answer):
        self.number = number
        if epoch != self.epoch:
            self.epoch, self.fetcher, self.ended = epoch, None, False
        if self.ended:
            return
        kind, data = self._fetch(index, base_seed)
        self.ended = kind == END
        try:
            answer(epoch, number, kind, data)
        except (OSError, EOFError):
            raise
        except Exception as error:  # what cannot be pickled, say
            answer(epoch, number, ERROR, self._wrap(error))

    def _fetch(self, index, base_seed):
        from ..dataloader import _DatasetKind

        if self.failure is not None:
            failure, self.failure = self.failure, None
            return ERROR, failure
        try:
            if self.fetcher is None:
                self.fetcher = self.job.make_fetcher(_DatasetKind, base_seed, self._report)
            return DATA, self.fetcher.fetch(index, self.number)
        except StopIteration as error:
            return (END, None) if self.job.kind == _DatasetKind.Iterable else (ERROR, self._wrap(error))
        except Exception as error:
            return ERROR, self._wrap(error)

    def _report(self, position):
        self.progress[2 * self.id], self.progress[2 * self.id + 1] = self.number, position

    def _wrap(self, error):
        return ExceptionWrapper(error, f"in DataLoader worker process {self.id}")
