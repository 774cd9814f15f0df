"""Data sets, samplers and the loader: PyTorch's order and draws, workers that end, resuming."""

import random
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


class Stream(ours.IterableDataset):
    """A stream whose workers give different numbers of items."""

    def __init__(self, n, info):
        self.n, self.info = n, info

    def __iter__(self):
        worker = self.info()
        number = 0 if worker is None else worker.id
        return iter(range(100 * number, 100 * number + self.n + 3 * number))


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
