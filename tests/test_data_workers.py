"""Workers of a loader: what comes through them, and what goes wrong: each fault is told, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from test_data import FORKED, plain

import rushlight
from rushlight.utils import data as ours


class Jittered(ours.Dataset):
    """Draws from the generator of the thread that reads."""

    thread_safe = True

    def __len__(self):
        return 12

    def __getitem__(self, i):
        generator = rushlight.random.thread_safe_generator()
        assert (generator is None) == (ours.get_worker_info() is None)
        return rushlight.rand(2, generator=generator)


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


@FORKED
def test_a_forked_process_leaves_the_workers_to_the_program():
    iterator = iter(ours.DataLoader(list(range(20)), 2, num_workers=2))
    first = next(iterator).tolist()
    child = os.fork()
    if not child:  # what a process forked by the program does with its copy of the iterator: it goes, sooner or later
        try:
            iterator._shutdown_workers()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert first + [i for batch in iterator for i in batch.tolist()] == list(range(20))


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
