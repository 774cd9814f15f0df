"""``python -m benchmarks [text ...]``: times the rows whose names contain one of the texts (all rows without any), both libraries in turn.

For each row: both times (medians), the ratio (median of the ratios of neighbouring measurements), the ratio aimed at, and the share of the
machine's limit, measured at the start: copy bandwidth for rows that move bytes, float32 GEMM speed for rows that compute.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks.rows import ROWS

ROUNDS = 7
SECONDS = 0.15


class Worker:
    """A child process with one library."""

    def __init__(self, library):
        env = dict(os.environ, OMP_NUM_THREADS="2", RUSHLIGHT_NUM_THREADS="2")
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks.worker", library], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=env)  # fmt: skip
        self.version = json.loads(self.process.stdout.readline())["version"]

    def time(self, name):
        self.process.stdin.write(json.dumps([name, SECONDS]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def human(seconds):
    """A time in the unit that suits it."""
    for unit, scale in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        if seconds < 1000 * scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds:.3g} s"


def compare(name, ours, theirs):
    """Alternating measurements of one row: (our median, their median, median ratio), or an error text."""
    mine, yours = [], []
    for _ in range(ROUNDS):
        for worker, times in ((theirs, yours), (ours, mine)):
            answer = worker.time(name)
            if "error" in answer:
                return f"{'rushlight' if worker is ours else 'PyTorch'}: {answer['error']}"
            times.append(answer["seconds"])
    return statistics.median(mine), statistics.median(yours), statistics.median(y / m for m, y in zip(mine, yours))


def machine():
    """One line about where this runs."""
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} cores of {model}, {time.strftime('%Y-%m-%d')}"


class Table:
    """Prints lines as they come and keeps them for a file."""

    def __init__(self):
        self.lines = []

    def add(self, line):
        print(line, flush=True)
        self.lines.append(line)

    def write(self, path):
        text = "\n".join(["# Benchmarks", "", "Written by `python -m benchmarks --write docs/benchmarks.md`.", "", *self.lines, ""])
        with open(path, "w") as file:
            file.write(text)


def main(texts):
    """Runs the chosen rows and prints the table; ``--write PATH`` also writes it to a file."""
    path = None
    if "--write" in texts:
        at = texts.index("--write")
        path, texts = texts[at + 1], texts[:at] + texts[at + 2 :]
    table = Table()
    chosen = [n for n in ROWS if not texts or any(t in n for t in texts)]
    if not chosen:
        sys.exit(f"no row matches {texts}; there are: {', '.join(ROWS)}")
    theirs, ours = Worker("torch"), Worker("rushlight")
    table.add(f"PyTorch {theirs.version}, rushlight {ours.version}, 2 threads, medians of {ROUNDS}; {machine()}; load before "
              f"{os.getloadavg()[0]:.2f}.\n")  # fmt: skip
    table.add(f"| {'workload':44} | PyTorch | rushlight | ratio | aim | achieved |")
    table.add(f"|{'-' * 46}|---|---|---|---|---|")
    for name in chosen:
        row, found = ROWS[name], compare(name, ours, theirs)
        if isinstance(found, str):
            table.add(f"| {name:44} | {found} |")
            continue
        mine, yours, ratio = found
        rate = f"{row.bytes / mine / 1e9:.0f} GB/s" if row.bytes else f"{row.flops / mine / 1e9:.0f} GFLOP/s" if row.flops else ""
        mark = "" if ratio >= row.target else " below"
        table.add(f"| {name:44} | {human(yours)} | {human(mine)} | {ratio:.2f}{mark} | {row.target} | {rate} |")
    if path:
        table.write(path)


if __name__ == "__main__":
    main(sys.argv[1:])
