"""The long checks of tools/endurance.py: a few rounds of two here, more of each as slow tests; ``make endure`` runs the whole of it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(*arguments, timeout):
    command = [sys.executable, str(ROOT / "tools" / "endurance.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout)


@pytest.mark.parametrize("check, times, lines", [("interrupt", 2, 3), ("kill", 3, 1)])
def test_a_few_rounds(check, times, lines):
    done = run(check, "--times", str(times), timeout=100)
    # how long Ctrl-C takes depends on what else the machine does; here only the rest of the verdict counts
    good = ", 0 with orphans or other than one traceback" if check == "interrupt" else "whole each time"
    assert done.stdout.count(good) == lines == len(done.stdout.splitlines()), done.stdout
    assert "NOT" not in done.stdout and not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("check, times", [("kill", 30), ("damage", 20_000), ("memory", 1)])
def test_more_rounds(check, times):
    done = run(check, "--times", str(times), timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
