"""Runs the test-suite with its tensors on a GPU (the stand-in of tests/cuda/ where there is none), file by file, and tells what passed.

    python tools/standin.py                       all test files; a line for each
    python tools/standin.py test_index test_fft   these
    python tools/standin.py --keep build/standin  results are kept: a test that has one isn't run again
    python tools/standin.py --write docs/gpu.md   and keep the table there
    python tools/standin.py --device cpu          the same on the CPU

Each file has processes of its own. With ``--turn`` a process ends after so many seconds, and another one goes on with
the tests that are left; a test in which the process dies, or takes longer than ``--limit``, has failed. What is left out
says why: by ``skip``, or by the mark ``cpu("why")`` of tests about the CPU (tests/conftest.py).
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- table of tools/standin.py -->", "<!-- end of the table -->"
MEMORY = {"test_gpu_reach": 16 << 30}
"""Bytes of a stand-in GPU that a file needs, of which few are touched."""
STARTED = "started"  # the outcome of a test that has none yet


def files(wanted=()):
    """The test files, or those named."""
    found = sorted((ROOT / "tests").glob("test_*.py")) + sorted((ROOT / "tests" / "cuda").glob("test_*.py"))
    return [f for f in found if not wanted or f.stem in wanted or f.stem.removeprefix("test_") in wanted]


# -- in pytest's process: -p tools.standin --


def read(journal):
    """The last word on each test: its id -> (outcome, why, seconds)."""
    lines = journal.read_text().splitlines() if journal.exists() else ()
    return {test: rest for test, *rest in map(json.loads, lines)}


def reason(report):
    """Why a test or a file was skipped, if it was."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return getattr(report, "wasxfail", "")


def usable():
    """Does the device still do what this process asks for? After a kernel's illegal access, say, a GPU does not."""
    import rushlight as torch

    try:
        torch.ones(2).sum().item()
    except torch.AcceleratorError:
        return False
    return True


class Turn:
    """pytest's plug-in: runs the tests that have no outcome in the journal, until its time is over, and writes what became of them."""

    def __init__(self, journal, seconds):
        self.journal, self.end = pathlib.Path(journal), time.monotonic() + seconds
        self.found, self.start = {}, 0

    def write(self, test, outcome, why="", seconds=0.0):
        with self.journal.open("a") as file:
            file.write(json.dumps([test, outcome, why, round(seconds, 2)]) + "\n")

    def pytest_collectreport(self, report):
        if not report.passed:
            self.write(report.nodeid, report.outcome, reason(report))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        done = read(self.journal)
        part, parts = map(int, os.environ.get("STANDIN_PART", "0 1").split())
        items[:] = items[part::parts]
        self.write("", "collected", [i.nodeid for i in items])
        items[:] = [i for i in items if i.nodeid not in done]

    def pytest_runtest_logstart(self, nodeid):
        self.found, self.start = {}, time.monotonic()
        self.write(nodeid, STARTED)

    def pytest_runtest_logreport(self, report):
        self.found[report.outcome] = reason(report)

    def pytest_runtest_logfinish(self, nodeid):
        outcome = next(o for o in ("failed", "skipped", "passed") if o in self.found)
        self.write(nodeid, outcome, self.found[outcome], time.monotonic() - self.start)
        if outcome == "failed" and not usable():
            self.end = 0.0  # another process goes on with the tests that are left

    def pytest_runtest_protocol(self, item):
        if time.monotonic() > self.end:
            item.session.shouldstop = "its turn is over"
            return True  # not run
        return None


def pytest_configure(config):
    """Called by pytest."""
    config.pluginmanager.register(Turn(os.environ["STANDIN_JOURNAL"], float(os.environ["STANDIN_TURN"])))


# -- in the tool's process --


class Outcome:
    """What became of a file's tests: numbers, reasons of the skipped ones, names of the failed ones; is it through?"""

    def __init__(self, file, journal):
        found = read(journal)
        collected = found.pop("", None)
        self.file, self.name = file, file.stem
        self.skipped = collections.Counter(why for outcome, why, _ in found.values() if outcome == "skipped")
        self.passed = sum(outcome == "passed" for outcome, *_ in found.values())
        self.failed = [test.partition("::")[2] for test, (outcome, *_) in found.items() if outcome in ("failed", STARTED)]
        self.seconds = sum(seconds for *_, seconds in found.values())
        self.whole = collected is not None and all(test in found for test in collected[1])
        self.tests = len(found)

    def row(self):
        """The line of the table."""
        reasons = "; ".join(f"{n}: {why}" for why, n in self.skipped.most_common())
        name = f"`{self.name}`" + ("" if self.whole else " (not whole)")
        return f"| {name} | {self.passed} | {len(self.failed)} | {self.skipped.total()} | {self.seconds:.0f} | {reasons} |"


def run(file, journal, given, log, part=(0, 1)):
    """Runs a file's tests that have no outcome yet, each n-th of them where ``part`` is (i, n); its Outcome."""
    command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-p", "no:cacheprovider", "-p", "tools.standin", "--tb=short"]
    command += ["--device", given.device, "--order", given.order, *(("--tight",) if given.tight else ())]
    command += [str(file), *(("-m", "not slow") if given.quick else ())]
    environment = os.environ | {"STANDIN_JOURNAL": str(journal), "STANDIN_TURN": str(given.turn), "STANDIN_PART": "{} {}".format(*part)}
    if file.stem in MEMORY:
        environment.setdefault("RUSHLIGHT_STANDIN_MEMORY", str(MEMORY[file.stem]))
    while True:
        before = Outcome(file, journal).tests
        limit = given.limit if given.turn == float("inf") else given.turn + given.limit
        try:
            subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=limit)
        except subprocess.TimeoutExpired:
            pass  # the journal says in which test
        outcome = Outcome(file, journal)
        if outcome.whole or outcome.tests == before or given.once:
            return outcome


def table(outcomes):
    """The table, files that have no test on a GPU behind the others."""
    head = ["| file | passed | failed | skipped | seconds | skipped because |", "|---|---|---|---|---|---|"]
    tested = [o for o in outcomes if o.passed or o.failed or not o.whole]
    sums = [sum(n) for n in zip(*((o.passed, len(o.failed), o.skipped.total(), round(o.seconds)) for o in tested))]
    lines = [*head, *(o.row() for o in tested), f"| all | {' | '.join(map(str, sums))} | |"]
    left = [f"`{o.file.stem}` ({', '.join(re.sub('^about the CPU: ', '', why) for why in o.skipped)})" for o in outcomes if o not in tested]
    return "\n".join(lines) + (f"\n\nWithout a test on a GPU: {', '.join(left)}." if left else "")


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help="names of test files; without any, all of them")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="where the tests' tensors are made")
    parser.add_argument("--write", metavar="PAGE", help="keep the table in this page, between its two comments")
    parser.add_argument("--keep", metavar="FOLDER", help="keep results and the tests' output here; tests that have a result aren't run")
    parser.add_argument("--turn", type=float, default=float("inf"), help="seconds after which a process begins no more tests")
    parser.add_argument("--once", action="store_true", help="one turn for each file, even if tests are left")
    parser.add_argument("--limit", type=float, default=1200, help="seconds for a file, or for a test where there are turns")
    parser.add_argument("--order", default="0", help="in which order the stand-in runs a block's threads")
    parser.add_argument("--tight", action="store_true", help="an access behind a tensor's memory ends the process")
    parser.add_argument("--quick", action="store_true", help="without the tests marked slow")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = pathlib.Path(given.keep or folder).resolve()
        keep.mkdir(parents=True, exist_ok=True)
        outcomes = []
        for file in files(given.files):
            with (keep / f"{file.stem}.log").open("a") as log:
                outcomes.append(run(file, keep / f"{file.stem}.jsonl", given, log))
            print(outcomes[-1].row(), flush=True)
            for name in outcomes[-1].failed[:10]:
                print("    failed:", name, flush=True)
    if given.write:
        page = pathlib.Path(given.write)
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table(outcomes)}\n{END}{rest.partition(END)[2]}")
    return any(o.failed or not o.whole for o in outcomes)


if __name__ == "__main__":
    sys.exit(main())
