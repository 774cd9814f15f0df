"""The thread pool's promises: every piece once, cuts by range and grain only, nesting, concurrency, fork; the quota reader."""

import os
import subprocess
import sys
import threading

import pytest

from rushlight._core import cpus, threads


@pytest.fixture
def pool():
    """The module, put back to its number of threads afterwards."""
    before = threads.get_num_threads()
    yield threads
    threads.set_num_threads(before)


def expected_pieces(begin, end, grain):
    return [begin + (i - begin) // grain * grain for i in range(begin, end)]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_each_element_runs_once_and_cuts_do_not_depend_on_the_threads(pool, count):
    pool.set_num_threads(count)
    assert pool.get_num_threads() == count
    for begin, end, grain in [(0, 0, 5), (0, 1, 5), (3, 103, 7), (0, 1000, 1), (5, 12, 100), (0, 64, 64), (0, 65, 64)]:
        assert pool._pieces(begin, end, grain) == expected_pieces(begin, end, grain)


def test_a_grain_below_one_counts_as_one(pool):
    assert pool._pieces(0, 5, 0) == pool._pieces(0, 5, -3) == [0, 1, 2, 3, 4]


def test_many_short_regions_and_resizing_between_them(pool):
    for count in (4, 1, 2, 8, 3):
        pool.set_num_threads(count)
        for _ in range(300):
            assert pool._pieces(0, 100, 9, busy=3) == expected_pieces(0, 100, 9)


def test_sleeping_workers_wake(pool):
    pool.set_num_threads(4)
    for _ in range(20):
        threading.Event().wait(0.002)  # far longer than a worker looks for news
        assert pool._pieces(0, 100, 9, busy=50) == expected_pieces(0, 100, 9)


def test_nested_regions_run_each_element_once(pool):
    pool.set_num_threads(4)
    inner = [outer + offset // 6 * 6 for outer in range(0, 100, 20) for offset in range(20)]  # pieces of 1 + 20 // 4
    assert pool._pieces(0, 100, 20, depth=1) == inner


def test_concurrent_python_threads(pool):
    pool.set_num_threads(3)
    wrong = []

    def work():
        for _ in range(200):
            if pool._pieces(0, 200, 11, busy=5) != expected_pieces(0, 200, 11):
                wrong.append(threading.get_ident())

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_forked_child_makes_its_own_pool(pool):
    pool.set_num_threads(4)
    pool._pieces(0, 100, 9, busy=5)
    child = os.fork()
    if child == 0:
        right = pool._pieces(0, 100, 9, busy=5) == expected_pieces(0, 100, 9)
        pool.set_num_threads(2)
        right = right and pool._pieces(0, 50, 3) == expected_pieces(0, 50, 3)
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool._pieces(0, 100, 9) == expected_pieces(0, 100, 9)


def test_forking_while_another_thread_runs_a_region(pool):
    pool.set_num_threads(3)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            pool._pieces(0, 200, 11, busy=20)

    caller = threading.Thread(target=work)
    caller.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(0 if pool._pieces(0, 100, 9) == expected_pieces(0, 100, 9) else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        caller.join()


@pytest.mark.parametrize("name", ["set_num_threads", "set_num_interop_threads"])
def test_errors_are_those_of_pytorch(pool, name):
    torch = pytest.importorskip("torch")
    for bad in (0, -1, 2.5, "a", True, None):
        with pytest.raises(RuntimeError) as ours:
            getattr(pool, name)(bad)
        with pytest.raises(RuntimeError) as theirs:
            getattr(torch, name)(bad)
        assert str(ours.value).splitlines()[0] == str(theirs.value).splitlines()[0]


def test_interop_threads_are_set_once():
    program = (
        "from rushlight._core.threads import *\n"
        "set_num_interop_threads(3); assert get_num_interop_threads() == 3\n"
        "try: set_num_interop_threads(2)\n"
        "except RuntimeError as error: assert str(error).startswith('Error: cannot set number of interop threads')\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_environment_sizes_the_pool():
    program = "from rushlight._core import threads; print(threads.get_num_threads())"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True,
        env={**os.environ, "RUSHLIGHT_NUM_THREADS": "5"},
    )  # fmt: skip
    assert run.stdout.strip() == "5"


# -- cpus.py, on trees of files made for the purpose --


def tree(root, files):
    for path, text in files.items():
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


V2_MOUNT = "31 23 0:28 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1_MOUNT = "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


def test_v2_takes_the_smallest_limit_on_the_way_up(tmp_path):
    root = tree(tmp_path, {
        "proc/self/cgroup": "0::/a/b\n",
        "proc/self/mountinfo": V2_MOUNT.format(top="/"),
        "sys/fs/cgroup/a/b/cpu.max": "800000 100000\n",
        "sys/fs/cgroup/a/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
    })  # fmt: skip
    assert cpus.cpu_quota(root) == 2.5


def test_v2_inside_a_container_the_mount_stands_for_the_group(tmp_path):
    root = tree(tmp_path, {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": V2_MOUNT.format(top="/../../pod"),
        "sys/fs/cgroup/cpu.max": "150000 100000\n",
    })  # fmt: skip
    assert cpus.cpu_quota(root) == 1.5


def test_v1_strips_the_subtree_that_the_mount_shows(tmp_path):
    root = tree(tmp_path, {
        "proc/self/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x/inner\n0::/other\n",
        "proc/self/mountinfo": V1_MOUNT.format(top="/docker/x"),
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us": "300000\n",
        "sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us": "100000\n",
    })  # fmt: skip
    assert cpus.cpu_quota(root) == 3.0


@pytest.mark.parametrize("files", [
    {},
    {"proc/self/cgroup": "0::/\n"},
    {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2_MOUNT.format(top="/"), "sys/fs/cgroup/cpu.max": "max 100000\n"},
    {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2_MOUNT.format(top="/"), "sys/fs/cgroup/cpu.max": "nonsense"},
    {"proc/self/cgroup": "nonsense", "proc/self/mountinfo": "nonsense - x\n"},
    {"proc/self/cgroup": "1:cpu:/\n", "proc/self/mountinfo": V1_MOUNT.format(top="/"),
     "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
])  # fmt: skip
def test_no_limit(tmp_path, files):
    root = tree(tmp_path, files)
    assert cpus.cpu_quota(root) is None
    assert cpus.default_threads({}, root) == cpus.available_cpus()


def test_default_threads_takes_the_floor_of_the_quota_and_at_least_one(tmp_path):
    files = {"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": V2_MOUNT.format(top="/")}
    root = tree(tmp_path, {**files, "sys/fs/cgroup/cpu.max": "190000 100000\n"})
    assert cpus.default_threads({}, root) == 1
    root = tree(tmp_path, {**files, "sys/fs/cgroup/cpu.max": "20000 100000\n"})
    assert cpus.default_threads({}, root) == 1


@pytest.mark.parametrize(("environ", "count"), [
    ({"OMP_NUM_THREADS": "3"}, 3),
    ({"OMP_NUM_THREADS": "3,2"}, 3),
    ({"OMP_NUM_THREADS": "3", "RUSHLIGHT_NUM_THREADS": "7"}, 7),
    ({"OMP_NUM_THREADS": "0"}, None),
    ({"OMP_NUM_THREADS": "many"}, None),
])  # fmt: skip
def test_the_environment_overrides_the_quota(tmp_path, environ, count):
    assert cpus.default_threads(environ, str(tmp_path)) == (count or cpus.available_cpus())


def test_last_cache_is_the_largest_that_is_told(tmp_path):
    sizes = {"index0": "32K", "index1": "32K", "index2": "1024K", "index3": "96M"}
    root = tree(tmp_path, {f"sys/devices/system/cpu/cpu0/cache/{level}/size": f"{size}\n" for level, size in sizes.items()})
    assert cpus.last_cache(root) == 96 << 20
    assert cpus.last_cache(tree(tmp_path / "silent", {})) == 32 << 20


def test_processor_tells_the_first_cpus_maker_and_features(tmp_path):
    text = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f fma\n\nprocessor\t: 1\nvendor_id\t: other\nflags\t\t: sse\n"
    assert cpus.processor(tree(tmp_path, {"proc/cpuinfo": text})) == ("AuthenticAMD", {"fpu", "avx512f", "fma"})
    assert cpus.processor(tree(tmp_path / "none", {"proc/version": ""})) == ("", set())
