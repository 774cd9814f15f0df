"""Public names: what PyTorch has and programs use exists, or is listed in absent.txt with the reason why it does not."""

import fnmatch
import importlib.util
import pathlib
import re

import pytest

import rushlight

DATA = pathlib.Path(__file__).with_name("data")
TIERS = ("tier 0", "tier 1", "tier 2")  # what programs use; the file's last section is what PyTorch documents besides
DOCUMENTED = 870  # of those exist at least: raise it with what is added


def read(path):
    """{section: [paths]} of a file of names: `prefix: name name ...`, an indented line goes on."""
    sections, names, prefix = {}, None, None
    for line in path.read_text().splitlines():
        if match := re.fullmatch(r"\[(.*)\]", line):
            names = sections.setdefault(match[1], [])
        elif line and not line.startswith("#"):
            head, colon, rest = line.partition(": ")
            if colon and not line.startswith(" "):
                prefix, line = head, rest
            names += [f"{prefix}.{name}" for name in line.split()]
    return sections


NAMES = read(DATA / "names.txt")
ABSENT = {}
"""pattern -> (section, that is: reason); the sections of absent.txt are the reasons."""
for reason, patterns in read(DATA / "absent.txt").items():
    ABSENT.update(dict.fromkeys(patterns, reason))


def has(path):
    """Does the library offer ``torch.a.b``, as an attribute or as a module that can be imported?"""
    found, done = rushlight, "rushlight"
    for part in path.split(".")[1:]:
        done += "." + part
        try:
            found = getattr(found, part) if hasattr(found, part) else importlib.import_module(done)
        except ImportError:
            return False
    return True


def absent_on_purpose(path):
    return next((p for p in ABSENT if fnmatch.fnmatchcase(path, p)), None)


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_is_missing(tier):
    missing = [n for n in NAMES[tier] if not has(n) and not absent_on_purpose(n)]
    assert not missing, f"{len(missing)} names of {tier} are missing: {' '.join(missing)}"


def test_documented_names_become_more():
    assert sum(map(has, NAMES["documented"])) >= DOCUMENTED


def test_the_list_of_absent_names_is_true():
    every = [n for tier in TIERS for n in NAMES[tier]]
    for pattern in ABSENT:
        here = [n for n in every if fnmatch.fnmatchcase(n, pattern)]
        assert here, f"{pattern}: no such name"
        present = [n for n in here if has(n)]
        package = re.match(r"importable only where the (\w+) package is installed", ABSENT[pattern])
        if package and importlib.util.find_spec(package[1]):
            assert present == here
        else:
            assert not present, f"take {pattern} out of absent.txt, for there is {present}"


def test_dir_shows_the_public_names():
    shown = set(dir(rushlight))
    assert {"tensor", "nn", "add", "no_grad", "save", "Generator"} <= shown
    assert {"add_", "view", "backward", "grad", "T"} <= set(dir(rushlight.Tensor))


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'rushlight' has no attribute 'npu'"):
        rushlight.npu  # noqa: B018
    assert not hasattr(rushlight.Tensor, "add__")
