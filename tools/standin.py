"""Runs the test-suite with its tensors on a GPU (the stand-in of tests/cuda/ where there is none), file by file, and tells what passed.

    python tools/standin.py                       all test files; a line for each
    python tools/standin.py test_index test_fft   these
    python tools/standin.py --write docs/gpu.md   and keep the table there

A file has a process and a time limit of its own (``--limit`` seconds). What is left out says why: by ``skip``,
or by the mark ``cpu("why")`` of tests about the CPU (tests/conftest.py).
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- table of tools/standin.py -->", "<!-- end of the table -->"


def files(wanted=()):
    """The test files, or those named."""
    found = sorted((ROOT / "tests").glob("test_*.py")) + [ROOT / "tests" / "cuda" / "test_gpu_device.py"]
    return [f for f in found if not wanted or f.stem in wanted or f.stem.removeprefix("test_") in wanted]


class Outcome:
    """What became of a file's tests: numbers, reasons of the skipped ones, names of the failed ones."""

    def __init__(self, file, seconds, log, report=None):
        self.file, self.seconds, self.log = file, seconds, log
        self.passed, self.skipped, self.failed = 0, collections.Counter(), []
        for case in report.iter("testcase") if report is not None else ():
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(case.get("name"))
            elif skip is not None:
                self.skipped[skip.get("message")] += 1
            else:
                self.passed += 1
        if report is None:
            self.failed.append("the process, or its time, ended before the tests did")

    def row(self):
        """The line of the table."""
        reasons = "; ".join(f"{n}: {why}" for why, n in self.skipped.most_common())
        return f"| `{self.file.stem}` | {self.passed} | {len(self.failed)} | {self.skipped.total()} | {self.seconds:.0f} | {reasons} |"


def run(file, limit=1200, options=()):
    """The Outcome of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "report.xml")
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-p", "no:cacheprovider", "--device", "cuda", "--tb=short"]
        start = time.monotonic()
        try:
            done = subprocess.run(
                [*command, f"--junitxml={path}", str(file), *options], cwd=ROOT, capture_output=True, text=True, timeout=limit
            )
            log = done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            log = (error.stdout or b"").decode(errors="replace")
        report = xml.parse(path) if path.exists() else None
        return Outcome(file, time.monotonic() - start, log, report)


def table(outcomes):
    """The table, files that have no test on a GPU behind the others."""
    head = ["| file | passed | failed | skipped | seconds | skipped because |", "|---|---|---|---|---|---|"]
    tested = [o for o in outcomes if o.passed or o.failed]
    sums = [sum(n) for n in zip(*((o.passed, len(o.failed), o.skipped.total(), round(o.seconds)) for o in tested))]
    lines = [*head, *(o.row() for o in tested), f"| all | {' | '.join(map(str, sums))} | |"]
    left = [f"`{o.file.stem}` ({', '.join(re.sub('^about the CPU: ', '', why) for why in o.skipped)})" for o in outcomes if o not in tested]
    return "\n".join(lines) + (f"\n\nWithout a test on a GPU: {', '.join(left)}." if left else "")


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", help="names of test files; without any, all of them")
    parser.add_argument("--write", metavar="PAGE", help="keep the table in this page, between its two comments")
    parser.add_argument("--limit", type=float, default=1200, help="seconds for a file")
    parser.add_argument("--order", default="0", help="in which order the stand-in runs a block's threads")
    parser.add_argument("--quick", action="store_true", help="without the tests marked slow")
    parser.add_argument("--logs", help="folder for the tests' own output")
    given = parser.parse_args()
    outcomes = []
    for file in files(given.files):
        outcomes.append(run(file, given.limit, ("--order", given.order, *(("-m", "not slow") if given.quick else ()))))
        print(outcomes[-1].row(), flush=True)
        if given.logs:
            pathlib.Path(given.logs).mkdir(parents=True, exist_ok=True)
            pathlib.Path(given.logs, file.stem + ".log").write_text(outcomes[-1].log)
        for name in outcomes[-1].failed[:10]:
            print("    failed:", name, flush=True)
    if given.write:
        page = pathlib.Path(given.write)
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table(outcomes)}\n{END}{rest.partition(END)[2]}")
    return any(o.failed for o in outcomes)


if __name__ == "__main__":
    sys.exit(main())
