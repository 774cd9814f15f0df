"""``python -m rushlight doctor``: what was found, what is missing, and the line that cures it."""

import subprocess
import sys

import pytest

from rushlight import doctor


def lines():
    return {label: (finding, remedy) for label, finding, remedy in doctor.report()}


def test_a_sound_installation():
    done = subprocess.run([sys.executable, "-m", "rushlight", "doctor"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    labels = [line.split()[0] for line in done.stdout.splitlines()]
    assert labels[:6] == ["rushlight", "Python", "CPU", "threads", "BLAS", "GPU"] and "kernel" in labels and "->" not in done.stdout


def test_a_missing_package_has_a_remedy(monkeypatch, capsys):
    found = doctor._package
    monkeypatch.setattr(doctor, "_package", lambda name: None if name in ("safetensors", "tqdm", "scipy-openblas64") else found(name))
    assert doctor.main() == 1
    text = capsys.readouterr().out
    assert "-> pip install safetensors" in text and "-> pip install scipy-openblas64" in text
    assert "not installed (progress bars)" in text and "pip install tqdm" not in text  # it is not needed


@pytest.mark.parametrize("missing", ["old driver", "gpu", "packages"])
def test_a_gpu_that_cannot_be_used(monkeypatch, missing):
    from rushlight.cuda import _start

    monkeypatch.setattr(_start, "_found", (0, missing))
    finding, remedy = lines()["GPU"]
    assert finding.startswith("none: ") and remedy == _start.CURES[missing][1]


def test_a_cache_that_cannot_be_written(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", "/proc/nowhere/cache")
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    assert "RUSHLIGHT_CACHE" in lines()["kernel cache"][1]
