"""The benchmark command: its table, its chart, a row that fails, and its own measurements."""

import importlib
import xml.etree.ElementTree

import pytest

from rushlight.bench import ROWS, Row, row
from rushlight.bench.report import HEADER, chart, line
from rushlight.bench.worker import Worker, status

pytestmark = pytest.mark.cpu("the benchmark's table")

bench = importlib.import_module("rushlight.bench.__main__")


@pytest.fixture
def rows():
    """The table of rows, put back after the test."""
    kept = dict(ROWS)
    ROWS.clear()
    yield ROWS
    ROWS.clear()
    ROWS.update(kept)


def result(name="softmax <512>", ratio=2.0, **given):
    made = bench.Result(Row(None, name, given.pop("target", None)))
    made.ours, made.theirs, made.ratio = 1e-3, 1e-3 * ratio, ratio
    vars(made).update(given)
    return made


def test_a_line_says_all():
    text = line(result(target=3, work=[0, 5 * 10**7], peaks=[2 << 20, 3 << 19]), [1e10, 1e11])
    assert [cell.strip() for cell in text.split("|")[1:-1]] == [
        "softmax <512>", "2 ms", "1 ms", "2.00 below", "3", "50 GFLOP/s", "50%", "2 MiB", "1.5 MiB"]  # fmt: skip
    assert text.count("|") == HEADER[0].count("|") == HEADER[1].count("|")
    assert "below" not in line(result(target=2), [1, 1])
    assert line(result(error="rushlight: ValueError: no"), [1, 1]).endswith("| rushlight: ValueError: no |")


def test_the_chart_is_a_picture():
    drawn = xml.etree.ElementTree.fromstring(chart([result(), result("slow", 0.5), result(error="failed")], "a & b"))
    bars = [float(r.get("width")) for r in drawn.iter("{http://www.w3.org/2000/svg}rect") if "%" not in r.get("width")]
    assert len(bars) == 2 and bars[0] == pytest.approx(bars[1])  # twice as fast is as long as half as fast
    assert {"a & b", "softmax <512>", "slow", "2.00", "0.50"} <= {t.text for t in drawn.iter("{http://www.w3.org/2000/svg}text")}


def test_the_command(capsys, tmp_path):
    assert bench.main(["softmax", "--rounds", "1", "--seconds", "0.001", "--threads", "1", "--write", str(tmp_path / "b.md")]) == 0
    assert "| softmax, 2048 x 2048" in capsys.readouterr().out and "| softmax, 2048 x 2048" in (tmp_path / "b.md").read_text()
    assert "'nothing like it'" in bench.main(["nothing like it"])


def test_a_failing_row_names_its_library(rows):
    @row("fails")
    def prepare(torch):
        raise ValueError("on purpose\nsecond line")

    class Here:
        def ask(self, *question):
            raise RuntimeError("rushlight: ValueError: on purpose")

    assert bench.measure(ROWS["fails"], [None, Here()], 1, 0.001).error == "rushlight: ValueError: on purpose"


def test_the_peak_is_of_the_call_alone(rows):
    """A temporary of 64 MB counts although it is gone when the call ends; what is freed before the call does not."""

    @row("temporary", alone=True)
    def prepare(torch):
        mapped = [bytearray(1 << 27)]
        mapped.clear()
        return lambda: bytearray(b"x" * (1 << 26))

    worker = Worker.__new__(Worker)
    worker.torch, worker.rows = importlib.import_module("rushlight"), ROWS
    worker.prepare("temporary")
    assert 1 << 26 <= worker.peak() < 5 << 25
    assert status("VmHWM") >= status("VmRSS")
