"""Data sets, samplers and the loader: PyTorch's order and draws, workers that end, resuming."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import rushlight
from rushlight.utils import data as ours

Point = namedtuple("Point", "x y")


FORKED = pytest.mark.cpu("samples that are made there, by processes that are forked or from its random bits")


def plain(value):
    """``value`` with tensors as lists, so that both libraries' results can be compared."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(*map(plain, value)) if hasattr(value, "_fields") else type(value)(map(plain, value))
    return value


@pytest.fixture
def oracle():
    """PyTorch, or skip."""
    return pytest.importorskip("torch")


def libraries(oracle):
    """Both libraries with their data modules."""
    import torch.utils.data as theirs

    return (oracle, theirs), (rushlight, ours)


class Draws(ours.Dataset):
    """Samples with a random draw from each generator; ``library`` makes the tensors."""

    def __init__(self, n, library):
        self.n, self.library = n, library

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), self.library.rand(2), {"a": np.float32(index)}


class Jittered(ours.Dataset):
    """Draws from the generator of the thread that reads."""

    thread_safe = True

    def __len__(self):
        return 12

    def __getitem__(self, i):
        generator = rushlight.random.thread_safe_generator()
        assert (generator is None) == (ours.get_worker_info() is None)
        return rushlight.rand(2, generator=generator)


class Stream(ours.IterableDataset):
    """A stream whose workers give different numbers of items."""

    def __init__(self, n, info):
        self.n, self.info = n, info

    def __iter__(self):
        worker = self.info()
        number = 0 if worker is None else worker.id
        return iter(range(100 * number, 100 * number + self.n + 3 * number))


class Slow(ours.Dataset):
    """Sample 5 does what it is told to."""

    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 5:
            self.fault()
        return rushlight.tensor(float(index))


def seeded(library):
    library.manual_seed(3)
    np.random.seed(1)
    random.seed(2)


# ---- the same order, batches and draws as PyTorch


@FORKED
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_order_and_draws_equal_pytorch(oracle, workers):
    results = []
    for library, data in libraries(oracle):
        seeded(library)
        loader = data.DataLoader(Draws(11, library), 3, shuffle=True, num_workers=workers)
        results.append([plain(batch) for _ in range(2) for batch in loader] + [library.rand(1).item()])
    assert results[0] == results[1]


@FORKED
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("length", [5, 0])
def test_streams_equal_pytorch(oracle, workers, length):
    results = []
    for _, data in libraries(oracle):
        stream = type("S", (Stream, data.IterableDataset), {})(length, data.get_worker_info)
        results.append([plain(batch) for batch in data.DataLoader(stream, 2, num_workers=workers)])
    assert results[0] == results[1]


@FORKED
def test_persistent_workers_equal_pytorch(oracle):
    results = []
    for library, data in libraries(oracle):
        seeded(library)
        loader = data.DataLoader(Draws(5, library), 2, shuffle=True, num_workers=2, persistent_workers=True)
        epochs = []
        for _ in range(2):
            epochs.append([plain(batch) for batch in loader])
            next(iter(loader))  # an epoch that is left early
        results.append(epochs)
        del loader
    assert results[0] == results[1]


SAMPLERS = {
    "random": lambda d, n: d.RandomSampler(range(n)),
    "replacement": lambda d, n: d.RandomSampler(range(n), replacement=True, num_samples=70),
    "more": lambda d, n: d.RandomSampler(range(n), num_samples=2 * n + 3),
    "sequential": lambda d, n: d.SequentialSampler(range(n)),
    "weighted": lambda d, n: d.WeightedRandomSampler([0.1, 0.5, 0.2], 9),
    "subset": lambda d, n: d.SubsetRandomSampler([2, 1, 0]),
    "distributed": lambda d, n: d.DistributedSampler(range(n), 3, 1),
    "own": lambda d, n: [0, -1, 2],
}


@pytest.mark.parametrize("sampler", [pytest.param(s, marks=FORKED) if s == "weighted" else s for s in SAMPLERS])
@pytest.mark.parametrize("drop_last", [False, True])
def test_samplers_over_gathered_data_equal_pytorch(oracle, sampler, drop_last):
    results = []
    for library, data in libraries(oracle):
        library.manual_seed(5)
        table = data.TensorDataset(library.arange(10), library.arange(20.0).view(10, 2))
        first, second = data.random_split(table, [0.7, 0.3])
        for dataset in (table, first, data.ConcatDataset([second, first]), data.StackDataset(x=table, y=table)):
            order = SAMPLERS[sampler](data, len(dataset) if dataset is not first else 7)
            loader = data.DataLoader(dataset, 4, sampler=order, drop_last=drop_last)
            results.append([[plain(batch) for batch in loader] for _ in range(2)] + [library.rand(1, device="cpu").item()])
    half = len(results) // 2
    assert results[:half] == results[half:]


def test_a_generator_of_the_caller_is_used_as_in_pytorch(oracle):
    results = []
    for library, data in libraries(oracle):
        generator = library.Generator()
        generator.manual_seed(7)
        loader = data.DataLoader(data.TensorDataset(library.arange(10)), 4, shuffle=True, generator=generator)
        results.append([[plain(batch) for batch in loader] for _ in range(3)])
    assert results[0] == results[1]


def test_gathered_batches_are_what_collating_samples_gives():
    table = ours.TensorDataset(rushlight.arange(10), rushlight.arange(20.0).view(10, 2))
    whole = ours.StackDataset(a=ours.ConcatDataset([table, table]), b=ours.Subset(table, [*range(10), *range(10)]))
    gathered = list(ours.DataLoader(whole, 6))
    collated = list(ours.DataLoader(whole, 6, collate_fn=lambda samples: ours.default_collate(samples)))
    assert plain(gathered) == plain(collated)
    assert all(batch["a"][1].dtype == rushlight.float32 for batch in gathered)


def test_getitems_agree_with_getitem():
    table = ours.TensorDataset(rushlight.arange(6), rushlight.arange(12).view(6, 2))
    concat, stack = ours.ConcatDataset([table, range(3)]), ours.StackDataset(table, range(6))
    for dataset in (table, concat, stack, ours.Subset(table, [4, 2, 1])):
        indices = [2, 0, 1]
        assert plain(dataset.__getitems__(indices)) == plain([dataset[index] for index in indices])


# ---- collation


def test_collate_equals_pytorch(oracle):
    for batch in (
        [1, 2], [1.5, 2], [True, False], ["a", "b"], [b"a", b"b"], [(1, "x"), (2, "y")], [[1, 2.0], [3, 4.0]],
        [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}], [Point(1, 2.0), Point(3, 4.0)], [OrderedDict(a=1), OrderedDict(a=2)],
        [np.arange(3), np.arange(3)], [np.float32(1), np.float32(2)], [np.bool_(True), np.bool_(False)],
        [range(2), range(2)],
    ):  # fmt: skip
        theirs, own = oracle.utils.data.default_collate(batch), ours.default_collate(batch)
        assert plain(own) == plain(theirs)
        assert str(getattr(own, "dtype", None)) == str(getattr(theirs, "dtype", None))
    for sample in (np.arange(3), {"a": np.float64(2)}, (np.array(1), "x"), [np.array("s")], Point(np.array(1), 2), 3):
        assert plain(ours.default_convert(sample)) == plain(oracle.utils.data.default_convert(sample))


@pytest.mark.parametrize("batch", [[object()], [np.array("text")], [[1, 2], [1]], [None, None]])
def test_collate_refuses_what_pytorch_refuses(oracle, batch):
    with pytest.raises(Exception) as theirs:
        oracle.utils.data.default_collate(batch)
    with pytest.raises(type(theirs.value)) as own:
        ours.default_collate(batch)
    assert str(own.value).split("\n")[0] == str(theirs.value).split("\n")[0]


def test_collate_map_can_be_extended():
    from rushlight.utils.data._utils.collate import collate, default_collate_fn_map

    table = {complex: lambda batch, *, collate_fn_map=None: sum(batch), **default_collate_fn_map}
    assert collate([(1j, 1), (2j, 2)], collate_fn_map=table)[0] == 3j


# ---- arguments


@pytest.mark.parametrize(
    "options",
    [
        dict(num_workers=-1), dict(timeout=-1), dict(prefetch_factor=2), dict(persistent_workers=True),
        dict(shuffle=True, sampler=[1]), dict(batch_sampler=[[1]], batch_size=2), dict(batch_size=None, drop_last=True),
        dict(batch_size=0), dict(multiprocessing_context="fork"), dict(num_workers=1, multiprocessing_context="x"),
        dict(num_workers=1, multiprocessing_context=3),
    ],
)  # fmt: skip
def test_bad_arguments_raise_as_in_pytorch(oracle, options):
    with pytest.raises(Exception) as theirs:
        oracle.utils.data.DataLoader(range(4), **options)
    with pytest.raises(type(theirs.value)) as own:
        ours.DataLoader(range(4), **options)
    assert str(own.value).split("\n")[0] == " ".join(str(theirs.value).split("\n")[0].split("  "))


def test_signature_begins_as_pytorchs(oracle):
    import inspect

    theirs = inspect.signature(oracle.utils.data.DataLoader.__init__).parameters
    own = inspect.signature(ours.DataLoader.__init__).parameters
    assert list(own) == [*theirs, "seed_per_sample"]
    assert [own[name].default for name in theirs] == [p.default for p in theirs.values()]
    loader = ours.DataLoader(range(4), num_workers=1)
    assert all(hasattr(loader, name) for name in own if name not in ("self", "shuffle"))


def test_fixed_attributes_and_lengths():
    loader = ours.DataLoader(range(10), 4)
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        loader.batch_size = 3
    assert len(loader) == 3 and len(ours.DataLoader(range(10), 4, drop_last=True)) == 2


def test_pinning_without_a_gpu_warns(monkeypatch):
    from rushlight.utils.data._utils import iterators

    monkeypatch.setattr(iterators.rushlight, "cuda", type("cuda", (), {"is_available": lambda: False}), raising=False)
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        assert plain(list(ours.DataLoader(range(4), 4, pin_memory=True))) == [[0, 1, 2, 3]]


def test_random_split_errors():
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length of the input dataset!"):
        ours.random_split(range(10), [7, 4])
    assert [len(part) for part in ours.random_split(range(10), [0.75, 0.25])] == [8, 2]


def test_subset_that_overrides_reading_must_override_both():
    class Half(ours.Subset):
        def __getitem__(self, index):
            return super().__getitem__(index) / 2

    with pytest.raises(NotImplementedError, match="overrides __getitem__ but not __getitems__"):
        Half([1, 2], [0])


# ---- faults


@FORKED
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_sample(workers):
    def fault():
        raise KeyError("gone")

    with pytest.raises(KeyError) as info:
        list(ours.DataLoader(Slow(fault), 4, num_workers=workers))
    notes = "\n".join(getattr(info.value, "__notes__", []))
    assert "reading sample 5 " in str(info.value) + notes
    if workers:
        assert str(info.value).startswith("Caught KeyError in DataLoader worker process 1.\nOriginal Traceback")


@FORKED
def test_a_dead_worker_is_reported_with_its_sample():
    with pytest.raises(RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly") as info:
        list(ours.DataLoader(Slow(lambda: os.kill(os.getpid(), signal.SIGKILL)), 4, num_workers=2))
    assert "was killed" in str(info.value) and "reading sample 5 (place 1 of batch 1)" in str(info.value)


@FORKED
@pytest.mark.parametrize("thread_safe", [False, True])
def test_a_timeout_names_the_sample(thread_safe):
    dataset = Slow(lambda: time.sleep(3))
    dataset.thread_safe = thread_safe
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.3 seconds") as info:
        list(ours.DataLoader(dataset, 4, num_workers=2, timeout=0.3))
    assert "reading sample 5" in str(info.value) and time.monotonic() - began < 2.5


def test_what_cannot_be_pickled_is_reported():
    with pytest.raises(Exception, match=r"Caught .* in DataLoader worker process 0"):
        list(ours.DataLoader(range(4), 2, num_workers=1, collate_fn=lambda batch: (lambda: batch)))


@FORKED
def test_workers_are_gone_after_the_epoch_and_after_a_break():
    for leave in (False, True):
        iterator = iter(ours.DataLoader(Slow(lambda: None), 2, num_workers=2))
        workers = iterator._workers
        if leave:
            next(iterator)
        else:
            list(iterator)
        del iterator
        assert all(process.exitcode is not None for process in workers)


def test_threads_have_generators_of_their_own():
    """Epochs from one seed draw the same, however the threads take turns."""
    epochs = []
    for workers in (2, 2, 0):
        rushlight.manual_seed(4)
        epochs.append(rushlight.cat(list(ours.DataLoader(Jittered(), 3, num_workers=workers))).tolist())
    assert epochs[0] == epochs[1] != epochs[2] and len({tuple(row) for row in epochs[0]}) == 12


def test_threads_serve_built_in_and_thread_safe_data():
    table = ours.TensorDataset(rushlight.arange(10))
    iterator = iter(ours.DataLoader(table, 3, num_workers=2))
    assert iterator._threads
    assert [batch[0].tolist() for batch in iterator] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    dataset = Slow(lambda: None)
    dataset.thread_safe = True
    assert iter(ours.DataLoader(dataset, num_workers=1))._threads
    assert not iter(ours.DataLoader(table, num_workers=1, worker_init_fn=print, timeout=5))._threads


@FORKED
def test_worker_info_and_init_function():
    class Who(ours.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            info = ours.get_worker_info()
            return info.id, info.num_workers, info.seed, self.mark

    def init(worker):
        ours.get_worker_info().dataset.mark = 10 + worker

    rows = [plain(batch) for batch in ours.DataLoader(Who(), 1, num_workers=2, worker_init_fn=init)]
    assert [(row[0], row[1], row[3]) for row in rows] == [([n], [2], [10 + n]) for n in (0, 1, 0, 1)]
    assert rows[1][2][0] - rows[0][2][0] == 1 and ours.get_worker_info() is None


@FORKED
def test_out_of_order_gives_every_batch_once():
    loader = ours.DataLoader(range(20), 3, num_workers=3, in_order=False)
    assert sorted(index for batch in loader for index in batch.tolist()) == list(range(20))


@FORKED
def test_tensors_of_all_kinds_come_through_a_process():
    class Kinds(ours.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            base = rushlight.arange(12).view(3, 4)
            return {
                "t": base.t(), "empty": rushlight.zeros(0, 3), "bool": base > 3, "half": base.to(rushlight.bfloat16),
                "big": rushlight.arange(300000), "array": np.arange(5), "leaf": rushlight.ones(2).requires_grad_(),
            }  # fmt: skip

    got = next(iter(ours.DataLoader(Kinds(), None, num_workers=1)))
    want = Kinds()[0]
    assert plain({k: v for k, v in got.items() if k != "half"}) == plain({k: v for k, v in want.items() if k != "half"})
    assert got["half"].dtype == rushlight.bfloat16 and got["leaf"].requires_grad


def run_script(body):
    """A program of its own, started in its own process group."""
    # a shell's background job hands its children an ignored SIGINT
    head = "import signal, time, rushlight\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom rushlight.utils.data import *\n"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", head + textwrap.dedent(body)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def group_is_gone(pid, within):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


LOOP = """
class D(Dataset):
    thread_safe = {thread_safe}
    def __len__(self): return 100000
    def __getitem__(self, index):
        time.sleep({sleep})
        return rushlight.ones(1000)
for number, batch in enumerate(DataLoader(D(), 4, num_workers=2)):
    if number == 0: print("go", flush=True)
"""


@pytest.mark.parametrize(("thread_safe", "sleep"), [(False, 0.001), (True, 0.001), (False, 0.2)])
def test_ctrl_c_ends_everything_at_once(thread_safe, sleep):
    program = run_script(LOOP.format(thread_safe=thread_safe, sleep=sleep))
    assert program.stdout.readline() == "go\n"
    began = time.monotonic()
    os.killpg(program.pid, signal.SIGINT)
    _, errors = program.communicate(timeout=10)
    assert time.monotonic() - began < 3  # a second, on a machine that has nothing else to do
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert group_is_gone(program.pid, 1)


def test_workers_do_not_outlive_a_killed_program():
    program = run_script(LOOP.format(thread_safe=False, sleep=0.001))
    program.stdout.readline()
    program.kill()
    program.communicate(timeout=10)
    assert group_is_gone(program.pid, 5)


# ---- resuming, and draws that do not depend on the number of workers


@FORKED
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("own_generator", [False, True])
@pytest.mark.parametrize("gathered", [False, True])
def test_resuming_gives_the_rest_of_the_epoch(workers, own_generator, gathered):
    table = ours.TensorDataset(rushlight.arange(23))
    dataset = table if gathered else [row[0].item() for row in table]

    def loader():
        generator = None
        if own_generator:
            generator = rushlight.Generator()
            generator.manual_seed(4)
        return ours.DataLoader(dataset, 4, shuffle=True, num_workers=workers, generator=generator)

    rushlight.manual_seed(1)
    first = loader()
    iterator = iter(first)
    for _ in range(2):
        next(iterator)
    state, global_state = first.state_dict(), rushlight.get_rng_state()
    rest = [plain(batch) for batch in iterator]
    following = [plain(batch) for batch in first]

    second = loader()
    second.load_state_dict(state)
    rushlight.set_rng_state(global_state)
    assert [plain(batch) for batch in second] == rest
    if workers == 0 or own_generator:  # with workers the global generator stood elsewhere when the state was taken
        assert [plain(batch) for batch in second] == following


def test_resuming_does_not_read_what_was_read():
    reads = []

    class Counts(ours.Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            reads.append(index)
            return index

    loader = ours.DataLoader(Counts(), 10)
    iterator = iter(loader)
    for _ in range(99):
        next(iterator)
    state = loader.state_dict()
    reads.clear()
    loader = ours.DataLoader(Counts(), 10)
    loader.load_state_dict(state)
    assert plain(list(loader)) == [list(range(990, 1000))] and len(reads) == 10


def test_resuming_a_stream():
    loader = ours.DataLoader(Stream(9, lambda: None), 2)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    loader = ours.DataLoader(Stream(9, lambda: None), 2)
    loader.load_state_dict(state)
    assert [plain(batch) for batch in loader] == [[2, 3], [4, 5], [6, 7], [8]]


@FORKED
def test_seed_per_sample_does_not_depend_on_the_workers():
    results = []
    for workers in (0, 1, 3):
        seeded(rushlight)
        loader = ours.DataLoader(Draws(10, rushlight), 3, shuffle=True, num_workers=workers, seed_per_sample=True)
        results.append([plain(batch) for batch in loader])
        after = random.random(), np.random.rand(), rushlight.rand(1).item()
        results[-1].append(after if workers == 0 else results[0][-1])
    assert results[0] == results[1] == results[2]
    draws = [draw for batch in results[0][:-1] for draw in batch[1]]
    assert len(set(draws)) == 10
    seeded(rushlight)
    # The program's own draws go on as if the loader had drawn nothing.
    assert results[0][-1][:2] == (random.random(), np.random.rand())


@FORKED
def test_loaders_can_be_pickled_and_copied():
    import copy
    import pickle

    loader = ours.DataLoader(range(6), 2, num_workers=1, persistent_workers=True)
    list(loader)
    for other in (pickle.loads(pickle.dumps(loader)), copy.deepcopy(loader)):
        assert plain(list(other)) == [[0, 1], [2, 3], [4, 5]]


def test_spawned_workers():
    loader = ours.DataLoader(range(6), 2, num_workers=2, multiprocessing_context="spawn")
    assert plain(list(loader)) == [[0, 1], [2, 3], [4, 5]]


def test_data_pipes_chain():
    from rushlight.utils.data.datapipes.iter import IterableWrapper

    pipe = IterableWrapper(range(5)).batch(2)
    assert list(pipe) == [[0, 1], [2, 3], [4]] and len(pipe) == 3
    assert plain(list(ours.DataLoader(pipe, batch_size=None))) == [[0, 1], [2, 3], [4]]

    @ours.functional_datapipe("doubled_for_a_test")
    class Doubled(ours.IterDataPipe):
        def __init__(self, source):
            self.source = source

        def __iter__(self):
            return (2 * item for item in self.source)

    assert list(IterableWrapper([1, 2]).doubled_for_a_test()) == [2, 4]
    with pytest.raises(AttributeError, match="no attribute 'tripled'"):
        pipe.tripled()


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="watches /dev/shm")
def test_eight_workers_with_few_descriptors_and_no_shared_memory():
    """A container gives 64 MB of /dev/shm, a shell 256 descriptors: the epoch moves 128 MB through sockets, and needs neither."""
    program = run_script("""
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        class D(Dataset):
            def __len__(self): return 512
            def __getitem__(self, i): return [rushlight.full((1024,), float(i)) for _ in range(64)]
        def used(): s = os.statvfs("/dev/shm"); return (s.f_blocks - s.f_bfree) * s.f_frsize
        before, most, kept, total = used(), 0, [], 0
        for batch in DataLoader(D(), 8, num_workers=8, prefetch_factor=4):
            most = max(most, used() - before)
            kept.append(batch)        # every tensor of the epoch stays alive
            total += sum(t.numel() * 4 for t in batch)
        print(total >> 20, most < 4 << 20, len(os.listdir("/proc/self/fd")) < 64)
    """)
    output, errors = program.communicate(timeout=120)
    assert output == "128 True True\n", errors
