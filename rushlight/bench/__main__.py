"""The command: starts a process for each library, asks them in turn, prints the table."""

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

from . import ROWS
from .report import HEADER, chart, line


class Library:
    """A child process with one library. Attributes: version. Fails with RuntimeError if the process says that it failed."""

    def __init__(self, name, rows, threads, device):
        self.arguments = (name, rows, str(threads), device)
        self.process = None
        self.restart()
        self.version = self.ask("version")

    def restart(self):
        """A fresh process: nothing that earlier rows left in memory is there."""
        self.close()
        env = dict(os.environ, OMP_NUM_THREADS=self.arguments[2], RUSHLIGHT_NUM_THREADS=self.arguments[2])
        env["RUSHLIGHT_DRAFTS"] = "0"  # nothing is compiled while a row runs
        command = [sys.executable, "-m", "rushlight.bench.worker", *self.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, *question):
        """The answer to one question (the methods of worker.Worker)."""
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        text = self.process.stdout.readline()
        answer = json.loads(text) if text else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(f"{'PyTorch' if self.arguments[0] == 'torch' else 'rushlight'}: {answer['error']}")
        return answer["value"]

    def close(self):
        """Ends the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


class Result:
    """What was found for a row: ours, theirs (median seconds; theirs None without PyTorch), ratio (median of the ratios of neighbouring
    measurements), work [bytes, flops], peaks [theirs, ours] in bytes or None each, error (text or None)."""

    def __init__(self, row):
        self.row = row
        self.ours = self.theirs = self.ratio = self.error = None
        self.work, self.peaks = [0, 0], [None, None]


def measure(row, libraries, rounds, seconds):
    """One row's :class:`Result`. libraries: [theirs or None, ours]."""
    result, times = Result(row), ([], [])
    present = [(i, library) for i, library in enumerate(libraries) if library]
    try:
        for _, library in present:
            if row.alone:
                library.restart()
            library.ask("prepare", row.name)
        for _ in range(rounds):
            for i, library in present:
                times[i].append(library.ask("time", seconds))
        if row.alone:
            for i, library in present:  # in a process of its own: the compiler that made a cold cache's kernels is not the row's memory
                library.restart()
                library.ask("prepare", row.name)
                result.peaks[i] = library.ask("peak")
        result.work = libraries[1].ask("work")
    except RuntimeError as error:
        result.error = str(error)
        return result
    result.ours = statistics.median(times[1])
    if times[0]:
        result.theirs = statistics.median(times[0])
        result.ratio = statistics.median(theirs / ours for theirs, ours in zip(*times))
    return result


def machine():
    """One line about where this runs."""
    model = "unknown CPU"
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as info:
            model = next((text.split(":", 1)[1].strip() for text in info if text.startswith("model name")), model)
    return f"{os.cpu_count()} cores of {model}, {time.strftime('%Y-%m-%d')}"


def parse(argv, prog, rows):
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog=prog, description="Times workloads with rushlight and, where installed, PyTorch in turn.")
    parser.add_argument("texts", nargs="*", metavar="text", help="only rows whose names contain one of the texts")
    parser.add_argument("--write", metavar="FILE.md", help="write the table to this file and the chart to FILE.svg")
    parser.add_argument("--rows", default=rows, metavar="MODULE", help="a module that adds rows (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each library (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.15, help="time of a measurement (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of each library (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="where both libraries make their tensors, such as cuda (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    return parser.parse_args(argv)


def main(argv, prog="python -m rushlight.bench", rows="rushlight.bench.rows"):
    """Runs the chosen rows and prints the table; returns the exit status."""
    options = parse(argv, prog, rows)
    importlib.import_module(options.rows)
    chosen = [row for name, row in ROWS.items() if not options.texts or any(text in name for text in options.texts)]
    if options.list or not chosen:
        print("\n".join(ROWS))
        return 0 if options.list else f"no row's name contains {' or '.join(map(repr, options.texts))}; above are all names"
    installed = importlib.util.find_spec("torch") is not None
    names = ("torch" if installed else None, "rushlight")
    libraries = [Library(name, options.rows, options.threads, options.device) if name else None for name in names]
    versions = f"PyTorch {libraries[0].version}, " if installed else ""
    title = f"{versions}rushlight {libraries[1].version}, {options.threads} threads, medians of {options.rounds}; {machine()}"
    if options.device != "cpu":
        title += f"; on {libraries[1].ask('gpu')}"
    limits = libraries[1].ask("limits")
    head = [f"{title}; load before {os.getloadavg()[0]:.2f}; limits found: copy {limits[0] / 1e9:.0f} GB/s, "
            f"float32 product {limits[1] / 1e9:.0f} GFLOP/s.", "", *HEADER]  # fmt: skip
    print("\n".join(head), flush=True)
    results, lines = [], []
    for row in chosen:
        results.append(measure(row, libraries, options.rounds, options.seconds))
        lines.append(line(results[-1], limits))
        print(lines[-1], flush=True)
    for library in libraries:
        if library:
            library.close()
    if options.write:
        write(options.write, f"{prog} --write {options.write}", [*head, *lines], chart(results, title) if installed else None)
    return 0


def write(path, command, lines, picture):
    """The table as a Markdown page, and the chart beside it."""
    page = ["# Benchmarks", "", f"Written by `{command}`.", ""]
    if picture:
        drawing = os.path.splitext(path)[0] + ".svg"
        with open(drawing, "w") as file:
            file.write(picture)
        page += [f"![PyTorch's time divided by rushlight's]({os.path.basename(drawing)})", ""]
    page += [
        *lines, "",
        "ratio: PyTorch's time / rushlight's. of the limit: what is achieved, as a share of the speed of a copy (GB/s) or of a float32",
        "product (GFLOP/s) on this machine. memory: the highest resident set during a call, less that before the row was prepared.", "",
    ]  # fmt: skip
    with open(path, "w") as file:
        file.write("\n".join(page))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
