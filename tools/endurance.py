"""``python tools/endurance.py [interrupt | kill | damage | memory] [--times N]``: what takes too long for the tests.

==============  =========================================================================================================
``interrupt``   Ctrl-C at a random moment of training, with no workers, two threads and two processes: 50 times each
``kill``        ``kill -9`` at 200 random moments of saving: the old or the new checkpoint is there and whole
``damage``      1,000,000 damaged checkpoints are read: each loads or is refused by one of our errors
``memory``      2,000 training steps and 20 epochs of a loader with workers leave the resident memory where it was
==============  =========================================================================================================

Without a name all four run. Each prints one line for what was done; the exit status is 1 if anything was not as it should be.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

TRAINING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand on an ignored one
import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, Dataset

class Rows(Dataset):
    thread_safe = sys.argv[1] == "threads"
    def __len__(self): return 100000
    def __getitem__(self, index): return torch.full((64,), float(index % 7)), index % 10

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters())
loader = DataLoader(Rows(), 32, shuffle=True, num_workers=0 if sys.argv[1] == "none" else 2)
while True:
    for number, (x, y) in enumerate(loader):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if number == 0: print("go", flush=True)
"""

SAVING = """
import sys
import rushlight as torch
n = 0
while True:
    torch.save({"n": n, "weights": [torch.full((100_000,), float(n)) for _ in range(4)]}, sys.argv[1])
    if n == 0: print("go", flush=True)
    n += 1
"""

STEPS = """
import rushlight as torch
from rushlight import nn
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(288, 10))
optimizer = torch.optim.Adam(model.parameters())
losses = []
def work(times):
    for step in range(times):
        n = 8 + step % 5
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(n, 1, 8, 8)), torch.randint(10, (n,)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
warm, times, what = 300, 2000, "training steps"
"""

EPOCHS = """
import rushlight as torch
from rushlight.utils.data import DataLoader, Dataset
class Rows(Dataset):
    thread_safe = {threads}
    def __init__(self): self.rows = torch.randn(512, 256)
    def __len__(self): return 512
    def __getitem__(self, i): return self.rows[i], i
loader = DataLoader(Rows(), 32, shuffle=True, num_workers=2, persistent_workers={persistent})
def work(times):
    for _ in range(times):
        assert sum(len(y) for _, y in loader) == 512
warm, times, what = 3, 20, "epochs, two {kind}{lasting}"
"""

MEASURED = """
import gc
def resident():
    gc.collect()
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmRSS"))
if __name__ == "__main__":
    work(warm)
    before = resident()
    work(times)
    print(f"{times} {what}: {before:.1f} MiB before, {resident():.1f} after")
    sys.exit(resident() - before > 2)
"""


def start(program, *arguments):
    """A Python program in a process group of its own; its output can be read."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, *arguments], env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def group_lives(leader):
    """Is any process of the group of ``leader`` left?"""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def interrupt(times, rng):
    """Ctrl-C during training. True if every program ended within a second, with one traceback, and left no process."""
    good = True
    for workers in ("none", "threads", "processes"):
        took, wrong = [], []
        for number in range(times):
            program = start(TRAINING, workers)
            assert program.stdout.readline() == "go\n", program.stderr.read()
            time.sleep(rng.uniform(0, 0.3))
            began = time.monotonic()
            os.killpg(program.pid, signal.SIGINT)
            _, errors = program.communicate(timeout=30)
            took.append(time.monotonic() - began)
            time.sleep(0.05)
            if errors.count("Traceback") != 1 or not errors.rstrip().endswith("KeyboardInterrupt"):
                wrong.append(f"run {number} printed\n{errors}")
            if group_lives(program.pid):
                wrong.append(f"run {number} left a process")
        late = sum(t > 1 for t in took)
        print(
            f"interrupt, workers: {workers}: {times} times, prompt back after {statistics.median(took):.2f} s (median), {max(took):.2f} s "
            f"(longest), {late} later than a second, {len(wrong)} with orphans or other than one traceback",
            *wrong[:3], sep="\n", flush=True,
        )  # fmt: skip
        good = good and not late and not wrong
    return good


def kill(times, rng):
    """kill -9 during saving. True if the checkpoint was whole each time."""
    import rushlight

    good, kept, new = True, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        for _ in range(times):
            before = rushlight.load(path)["n"] if os.path.exists(path) else None
            program = start(SAVING, path)
            program.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))
            program.kill()
            program.communicate()
            found = rushlight.load(path)
            whole = all(float(part.min()) == float(part.max()) == found["n"] for part in found["weights"])
            good = good and whole
            kept, new = kept + (found["n"] == before), new + (found["n"] != before)
        left = len(os.listdir(folder)) - 1
        rushlight.save({"n": -1}, path)
        swept = os.listdir(folder) == ["model.pt"]
    print(
        f"kill: {times} times, the checkpoint whole {'each time' if good else 'NOT each time'} ({new} newer ones); "
        f"{left} temporary files left by the killed, {'swept' if swept else 'NOT swept'} by the next save", flush=True,
    )  # fmt: skip
    return good and swept


def damage(times, rng):
    """Damaged checkpoints, half of them on each of two processes."""
    seeds = [rng.randrange(1 << 30) for _ in range(os.cpu_count() or 1)]
    share = -(-times // len(seeds))
    command = [sys.executable, "-m", "rushlight.io.fuzz", "--count", str(share), "--seed"]
    running = [subprocess.Popen([*command, str(seed), "--keep", f"fuzz-{seed}.bin"], cwd=ROOT) for seed in seeds]
    return not any([program.wait() for program in running])


def memory(times, rng):
    """Resident memory over steps and epochs. True if none grew by more than 2 MiB. (``times`` is not used: the counts are stated.)"""
    programs = [STEPS]
    for threads, persistent in ((True, False), (True, True), (False, False), (False, True)):
        kind, lasting = "threads" if threads else "processes", ", persistent" if persistent else ""
        programs.append(EPOCHS.format(threads=threads, persistent=persistent, kind=kind, lasting=lasting))
    good = True
    for program in programs:
        running = start("import sys\n" + program + MEASURED)
        output, errors = running.communicate()
        print(f"memory: {output.strip()}" + (f"\n{errors}" if errors else ""), flush=True)
        good = good and running.returncode == 0
    return good


CHECKS = {"interrupt": (interrupt, 50), "kill": (kill, 200), "damage": (damage, 1_000_000), "memory": (memory, 1)}


def main(arguments=None):
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", choices=[[], *CHECKS], help="which (all)")
    parser.add_argument("--times", type=int, help="instead of the counts above")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and damages")
    options = parser.parse_args(arguments)
    rng, good = random.Random(options.seed), True
    for name in options.checks or CHECKS:
        check, times = CHECKS[name]
        good = check(options.times or times, rng) and good
    return not good


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    sys.exit(main())
