"""Whatever is given in whatever place: a call returns or raises. Children call everything that is public; none may die."""

import contextlib
import faulthandler
import itertools
import os
import random
import signal
import sys
import warnings

import pytest

import rushlight as torch
import rushlight.autograd.functional
import rushlight.autograd.graph
import rushlight.distributions
import rushlight.func
import rushlight.nn.utils.parametrizations
import rushlight.nn.utils.prune
import rushlight.utils.checkpoint
import rushlight.utils.dlpack

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), pytest.mark.cpu("what takes no kernel")]

ROOMS = (
    "Tensor linalg fft special nn nn.functional nn.init nn.parameter nn.utils nn.utils.rnn nn.utils.parametrizations "
    "nn.utils.prune nn.utils.stateless optim optim.lr_scheduler optim.swa_utils autograd autograd.functional autograd.graph "
    "autograd.forward_ad func random cuda amp utils.data utils.dlpack utils.checkpoint storage serialization distributions "
    "sparse nested masked overrides futures"
).split()
# They wait for a person or another process, end this one, or read an address that is given as a number.
NEVER = {"breakpoint", "fork", "wait", "hub", "_exit", "cudart", "caching_allocator_delete", "ExternalStream", "_new_shared_filename_cpu"}
SECONDS = 90  # for a child's share of the calls


class Bare(torch.Tensor):
    """A subclass of which an instance is made without data."""


def values():
    """{letter: what makes the argument}: one good tensor, and what no function expects."""
    return {
        "x": lambda: torch.rand(2, 2),
        "N": lambda: None,
        "O": object,
        "B": lambda: Bare.__new__(Bare),
        "s": lambda: "s",
        "n": lambda: -1,
        "D": lambda: torch.float32,
        "b": lambda: torch.zeros(0, 3, dtype=torch.bool),
    }


PATTERNS = [p for k in (0, 1, 2, 3) for p in itertools.product("xN", repeat=k)] + [(c,) for c in "OBsnDb"]
PATTERNS += [p for c in "OBD" for p in ((c, "x"), ("x", c), (c, c), (c, "x", "x"), ("x", c, "x"), ("x", "x", c))]
PATTERNS += [("N",) * k for k in (4, 5, 6)]


def functions():
    """[(name, callable)]: functions of the rooms, their classes, and what stands in the classes, unbound."""
    found, seen = {}, set()
    for room in ("", *ROOMS):
        owner = torch
        for part in filter(None, room.split(".")):
            owner = getattr(owner, part)
        for name in dir(owner):
            value = getattr(owner, name, None)
            if name in NEVER or name.startswith("_") or not callable(value) or id(value) in seen:
                continue
            seen.add(id(value))
            found[f"torch.{room}.{name}".replace("..", ".")] = value
            for cls in value.__mro__ if isinstance(value, type) else ():
                if cls.__module__.startswith(("rushlight", "torch")) and (cls, "methods") not in seen:
                    seen.add((cls, "methods"))
                    found.update(methods(cls))
    return sorted(found.items())


def methods(cls):
    """What stands in a class and can be called with any object in the instance's place; of a property, what reads it."""
    for name in vars(cls):
        value = getattr(cls, name, None)
        if name not in NEVER and name not in {"__class__", "__dict__", "__weakref__", "__new__"}:
            value = value if callable(value) else getattr(value, "__get__", None)
            if callable(value):
                yield f"{cls.__name__}.{name}", value


def share(calls, patterns, pipe):
    """A child's work: makes the calls, and writes the name of each before it does."""
    signal.alarm(SECONDS)
    make = values()
    for name, function in calls:
        for pattern in patterns:
            os.write(pipe, f"{name}({''.join(pattern)})\n".encode())
            with contextlib.suppress(BaseException):
                function(*[make[c]() for c in pattern])


def last_call(calls, patterns, folder):
    """None, or (the call in which a child died, of which signal)."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        faulthandler.disable()
        os.chdir(folder)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        os.dup2(sys.stderr.fileno(), 2)
        with contextlib.suppress(BaseException):
            share(calls, patterns, writing)
        os._exit(0)
    os.close(writing)
    said = b""
    while piece := os.read(reading, 1 << 16):
        said = (said + piece)[-500:]
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    return (said.decode().splitlines()[-1], signal.Signals(status & 127).name) if status else None


def deaths(calls, patterns, folder, step=60):
    """All calls that ended their process: behind one of them the rest of its share goes on in another child."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(calls), step):
            rest = calls[start : start + step]
            while rest and (death := last_call(rest, patterns, folder)):
                found.append(death)
                names = [name for name, _ in rest]
                rest = rest[names.index(death[0].rpartition("(")[0]) + 1 :]
    return found


def test_no_call_with_junk_ends_the_process(tmp_path):
    assert len(calls := functions()) > 2500
    assert deaths(calls, PATTERNS, tmp_path) == []


def test_a_call_that_ends_the_process_is_found(tmp_path):
    calls = [("fine", abs), ("ends", lambda *args: os.kill(os.getpid(), signal.SIGSEGV)), ("after", abs)]
    assert deaths(calls, PATTERNS[:2], tmp_path) == [("ends()", "SIGSEGV")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_call_with_more_junk_ends_the_process(seed, tmp_path):
    draw = random.Random(seed)
    patterns = [tuple(draw.choices(list(values()), k=draw.randint(1, 6))) for _ in range(60)]
    assert deaths(functions(), patterns, tmp_path) == []
