"""One epoch over a loader: in this process, or with workers."""

import itertools
import sys
import warnings
import weakref

import rushlight

from ..sampler import tensor_batches
from .fetch import batch_gatherer
from .pin_memory import pin_memory
from .worker import DATA, END, ERROR, Job, seeds_samples


def _loaded_state(loader):
    """The state that ``load_state_dict`` has left for this epoch, or None. A program's own loader (fastai's) may know of none."""
    return loader._take_resume() if hasattr(loader, "_take_resume") else None


class _Progress:
    """How far an epoch has come: all that ``DataLoader.state_dict`` needs, without keeping the workers alive."""

    def __init__(self, loader, base_seed, batches):
        self.sampler, self.dataset = getattr(loader, "sampler", None), loader.dataset
        self.base_seed = base_seed
        self.batches = batches
        self.reads_itself = loader.num_workers == 0
        self.finished = False

    def state_dict(self):
        state = {"version": 1, "batches": self.batches, "base_seed": self.base_seed}
        if isinstance(getattr(self.sampler, "_began", None), dict):
            state["sampler"] = self.sampler.state_dict()
        if self.reads_itself and hasattr(self.dataset, "state_dict") and hasattr(self.dataset, "load_state_dict"):
            state["dataset"] = self.dataset.state_dict()
        return state


class _BaseDataLoaderIter:
    """What both kinds of iterators share: the order of the indices, the base seed, counting."""

    def __init__(self, loader):
        self._loader_resume = _loaded_state(loader)
        self._dataset = loader.dataset
        self._dataset_kind = loader._dataset_kind
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._collate_fn = loader.collate_fn
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        self._persistent_workers = loader.persistent_workers
        self._pin_memory = loader.pin_memory and _can_pin(loader.pin_memory_device)
        self._gathers = (
            self._dataset_kind == 0 and self._auto_collation
            and batch_gatherer(loader.dataset, loader.collate_fn) is not None
        )  # fmt: skip
        self._base_seed = self._draw_seed(loader)
        self._begin(loader)

    def _draw_seed(self, loader):
        if self._loader_resume is not None:
            return self._loader_resume["base_seed"]
        where = "cpu" if loader.generator is None else loader.generator.device
        return rushlight.empty((), dtype=rushlight.int64, device=where).random_(generator=loader.generator).item()

    def _begin(self, loader):
        """Start an epoch, or go on with one at the batch where a loaded state stands."""
        state, self._loader_resume = self._loader_resume or {}, None
        skip = state.get("batches", 0)
        if "sampler" in state and hasattr(loader.sampler, "load_state_dict"):
            loader.sampler.load_state_dict(state["sampler"])
        if "dataset" in state:
            loader.dataset.load_state_dict(state["dataset"])
        self._unread = skip if self._dataset_kind == 1 and "dataset" not in state else 0
        self._first = self._num_yielded = skip
        self._sampler_iter = self._indices(skip)
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._progress = _Progress(loader, self._base_seed, skip)

    def _indices(self, skip):
        """The indices of each batch: tensors where the batch will be gathered in this process, else what the sampler
        gives.
        """
        if self._dataset_kind == 1:
            return iter(self._index_sampler)
        if self._gathers and self._indexes_by_tensor():
            batches = tensor_batches(self._index_sampler, skip)
            if batches is not None:
                return batches
        return itertools.islice(iter(self._index_sampler), skip, None) if skip else iter(self._index_sampler)

    def _indexes_by_tensor(self):
        return True

    def _reset(self, loader, first_iter=False):
        """Start a new epoch with the same workers."""
        self._loader_resume = _loaded_state(loader)
        if self._loader_resume is not None:
            self._base_seed = self._loader_resume["base_seed"]
        self._begin(loader)

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._index_sampler)

    def _next_index(self):
        return next(self._sampler_iter)

    def _next_data(self):
        raise NotImplementedError(f"{type(self).__name__} must define _next_data")

    def __next__(self):
        try:
            while self._unread:  # a stream that cannot resume by itself: read again what was handed out before
                self._next_data()
                self._unread -= 1
            data = self._next_data()
        except StopIteration:
            self._progress.finished = True
            raise
        self._num_yielded += 1
        self._progress.batches = self._num_yielded
        if self._dataset_kind == 1:
            self._check_length()
        return pin_memory(data) if self._pin_memory else data

    def _check_length(self):
        stated = self._IterableDataset_len_called
        if stated is not None and self._num_yielded > stated:
            hint = " Each worker reads the whole stream unless its __iter__ asks get_worker_info() for its share."
            warnings.warn(
                f"Length of IterableDataset {self._dataset} was reported to be {stated}"
                f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
                + (hint if self._num_workers else ""),
                stacklevel=3,
            )

    def __getstate__(self):
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Reads the samples in the calling thread, when they are asked for."""

    def __init__(self, loader):
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError(
                "_SingleProcessDataLoaderIter requires timeout == 0\nOnly workers (num_workers > 0) can be waited for."
            )
        self._dataset_fetcher = loader_kinds().create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )
        if seeds_samples(loader):
            self._dataset_fetcher.seed_per_sample(self._base_seed, preserve=True)
        self._fetched = self._first

    def _next_data(self):
        batch = self._fetched
        index = self._next_index()
        self._fetched = batch + 1
        return self._dataset_fetcher.fetch(index, batch)


def loader_kinds():
    """The class that tells map-style data sets from streams."""
    from ..dataloader import _DatasetKind

    return _DatasetKind


class _Task:
    """A batch that a worker was asked for."""

    __slots__ = ("answer", "index", "worker")

    def __init__(self, worker, index):
        self.worker, self.index, self.answer = worker, index, None


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Asks workers for batches ahead of time, in turn, and hands them out in order.

    Tasks are numbered in the order of the sampler and given to the workers in turn, two (``prefetch_factor``) each;
    each batch that is handed out makes room for one more task. Which worker reads which batch is therefore the same
    in every run.
    """

    _pool = None

    def __init__(self, loader):
        self._threads = _suits_threads(loader)
        super().__init__(loader)
        self._in_order = loader.in_order
        self._most_tasks = max(1, loader.prefetch_factor) * self._num_workers
        self._epoch = 0
        self._pool = _start_pool(loader, self._base_seed, self._threads)
        # Closes the workers when the iterator is dropped or the program ends, whichever comes first.
        self._shutdown_workers = weakref.finalize(self, self._pool.close)
        self._start_tasks()

    @property
    def _workers(self):
        return self._pool.workers

    def _indexes_by_tensor(self):
        return self._threads

    def _reset(self, loader, first_iter=False):
        super()._reset(loader, first_iter)
        self._start_tasks()

    def _start_tasks(self):
        self._epoch += 1
        self._send_idx = self._rcvd_idx = self._first
        self._tasks = {}
        self._active = [True] * self._num_workers
        self._load = [0] * self._num_workers
        self._turn = itertools.cycle(range(self._num_workers))
        for _ in range(self._most_tasks):
            self._try_put_index()

    def _try_put_index(self):
        """Give the next batch's indices to the worker whose turn it is."""
        if not any(self._active):
            return
        try:
            index = self._next_index()
        except StopIteration:
            return
        fair = self._most_tasks // sum(self._active)
        for worker in itertools.islice(self._turn, self._num_workers):
            if self._active[worker] and (self._in_order or self._load[worker] < fair):
                break
        else:
            return
        self._tasks[self._send_idx] = _Task(worker, index)
        self._load[worker] += 1
        self._guarded(self._pool.send, worker, (self._epoch, self._send_idx, index, self._base_seed))
        self._send_idx += 1

    def _next_data(self):
        while True:
            while self._rcvd_idx < self._send_idx and self._rcvd_idx not in self._tasks:
                self._rcvd_idx += 1  # handed out before its turn, or its worker's stream had ended
            if self._rcvd_idx == self._send_idx:
                if not self._persistent_workers:
                    self._shutdown_workers()
                raise StopIteration
            task = self._tasks[self._rcvd_idx]
            if task.answer is not None:
                return self._hand_out(self._rcvd_idx)
            worker, (epoch, number, kind, data) = self._receive()
            if epoch != self._epoch:
                continue  # from an epoch that was left early
            if kind == END:
                self._drop_worker(worker)
                continue
            self._tasks[number].answer = (kind, data)
            if not self._in_order:
                return self._hand_out(number)

    def _drop_worker(self, worker):
        """The stream of ``worker`` has ended: what it was still asked for will not come."""
        self._active[worker] = False
        self._tasks = {n: task for n, task in self._tasks.items() if task.worker != worker or task.answer is not None}
        self._try_put_index()

    def _hand_out(self, number):
        task = self._tasks.pop(number)
        self._load[task.worker] -= 1
        self._try_put_index()
        kind, data = task.answer
        if kind == ERROR:
            data.reraise()
        assert kind == DATA
        return data

    def _receive(self):
        answer = self._guarded(self._pool.receive, self._timeout or None)
        if answer is None:
            number = self._rcvd_idx
            where = self._where(self._tasks[number].worker)
            self._shut_down_promptly()
            raise RuntimeError(
                f"DataLoader timed out after {self._timeout} seconds\nWaited for batch {number} from {where}. "
                "A larger timeout, or more workers, gives slow samples more time."
            )
        return answer

    def _guarded(self, function, *arguments):
        """Call ``function``; when it is interrupted or a worker has died, end all workers before the error goes on."""
        try:
            return function(*arguments)
        except Exception as error:
            if not self._threads and type(error).__name__ == "WorkerDied":
                raise self._death(error.args[0]) from None
            self._shut_down_promptly()
            raise
        except BaseException:
            self._shut_down_promptly()
            raise

    def _death(self, dead):
        pids = ", ".join(str(self._pool.workers[worker].pid) for worker in dead)
        what = "\n".join(f"The {self._where(worker)}." for worker in dead)
        self._shut_down_promptly()
        return RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly\n{what}")

    def _where(self, worker):
        """The worker and the sample that it was last seen reading, in words."""
        number, position = self._pool.progress[2 * worker : 2 * worker + 2]
        task = self._tasks.get(number)
        text = self._pool.describe(worker)
        if task is None or task.worker != worker:
            return f"{text}, which was reading no sample"
        if self._dataset_kind == 1:
            return f"{text}, while reading item {position} of batch {number} from its stream"
        index = task.index[position] if self._auto_collation else task.index
        return f"{text}, while reading sample {index!r} (place {position} of batch {number})"

    def _shut_down_promptly(self):
        if self._shutdown_workers.detach() is not None:
            self._pool.close(prompt=True)
        self._tasks, self._send_idx, self._rcvd_idx = {}, 0, 0


def _can_pin(device_name):
    """True if there is a GPU to pin memory for; warns if not."""
    if device_name:
        warnings.warn(
            "pin_memory_device is deprecated, the current accelerator will be used as the device,ignore "
            f"pin_memory_device='{device_name}'.",
            stacklevel=5,
        )
    if rushlight.cuda.is_available():
        return True
    warnings.warn(
        "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.",
        stacklevel=5,
    )
    return False


def _suits_threads(loader):
    """True if threads may read the data set: it says so, or nothing but built-in code would run in them."""
    if loader.multiprocessing_context is not None or seeds_samples(loader):
        return False
    if getattr(loader.dataset, "thread_safe", False) is True:
        return True
    if loader.worker_init_fn is not None or loader._dataset_kind == 1 or not loader._auto_collation:
        return False
    return batch_gatherer(loader.dataset, loader.collate_fn) is not None


def _start_pool(loader, base_seed, threads):
    job = Job(loader, base_seed)
    if threads:
        from .threads import ThreadPool

        return ThreadPool(job)
    import multiprocessing

    from .processes import ProcessPool

    context = loader.multiprocessing_context
    if context is None:
        chosen = multiprocessing.get_start_method(allow_none=True)
        # Programs without an ``if __name__ == "__main__"`` can only be forked; our own threads do not survive a fork by design.
        context = multiprocessing.get_context(chosen or ("fork" if sys.platform == "linux" else None))
    return ProcessPool(job, context)
