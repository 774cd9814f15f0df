"""``python -m rushlight.io.fuzz --count N --seed S``: damage checkpoints in every way and watch how they are read.

Each damaged file must either load or be refused with one of our own errors; nothing of it may run, and the memory
reserved for it may not exceed its size. Prints one line and exits with 1 at the first file that breaks a rule, which
is written to ``--keep``. The same seed gives the same files.
"""

import argparse
import io
import pickle
import random
import struct
import sys
import time
from collections import OrderedDict

import rushlight

from . import checkpoint, tensors
from .archive import ArchiveReader, ArchiveWriter
from .errors import CheckpointError, UnsafeContent

# Things that reading a file has no reason to do; Python reports them to audit hooks.
_FORBIDDEN = (
    "compile",
    "exec",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "import",
    "open",
    "ctypes.dlopen",
    "pty.",
    "webbrowser.",
)
_NAMES = (
    b"os\nsystem", b"builtins\neval", b"builtins\nexec", b"builtins\ngetattr", b"__builtin__\nset", b"torch\nload",
    b"torch._utils\n_rebuild_tensor_v2", b"torch._utils\n_rebuild_tensor_v3", b"torch\nFloatStorage", b"torch\nSize",
    b"torch.nn.modules.linear\nLinear", b"numpy\ndtype", b"numpy.core.multiarray\n_reconstruct", b"_codecs\nencode",
    b"collections\ndefaultdict", b"posix\nsystem", b"subprocess\nPopen", b"torch\n__dict__", b"sys\nmodules",
)  # fmt: skip
_OPCODES = b"()NIJKMLGXUBCT]}eaustR\x81bQ2\x30\x31\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8f\x90\x91\x93\x94cqrhj."


def seeds():
    """Checkpoints of all kinds that are undamaged, as bytes."""
    import numpy

    base = rushlight.arange(24).float()
    objects = [
        OrderedDict(weight=base.view(4, 6), bias=rushlight.nn.Parameter(rushlight.ones(3)), view=base[3:9]),
        {
            "state": {0: {"step": rushlight.tensor(3.0), "exp_avg": rushlight.zeros(5)}},
            "groups": [{"lr": 0.1, "params": [0]}],
        },
        [
            1,
            -1,
            2**70,
            1.5,
            None,
            True,
            "text",
            b"bytes",
            (1, (2, 3)),
            {1, 2},
            3 + 4j,
            rushlight.Size([2]),
            rushlight.int8,
        ],
        {"array": numpy.arange(6.0).reshape(2, 3), "number": numpy.float32(2), "type": numpy.dtype(">i2")},
        {"texts": numpy.array(["a", "bcd"])},
        rushlight.nn.Sequential(rushlight.nn.Linear(2, 3), rushlight.nn.ReLU()),
        {"half": rushlight.zeros(7, dtype=rushlight.bfloat16), "empty": rushlight.zeros(0, 3), "u16": rushlight.uint16},
    ]
    for obj in objects:
        file = io.BytesIO()
        checkpoint.save(obj, file)
        yield file.getvalue()
    yield _old_stream()
    from . import safetensors_format

    yield safetensors_format.dump({"a": base, "b": rushlight.zeros(2, 2, dtype=rushlight.int64)})


def _old_stream():
    """A file of the older format: pickles, then the bytes of one storage of four elements."""
    pid = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0kX\3\0\0\0cpuK\4NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K\0K\2K\2\x86K\2K\1\x86\x89NtR"
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return (
        b"".join(parts)
        + b"\x80\2}X\1\0\0\0w"
        + tensor
        + b"s."
        + pickle.dumps(["k"], 2)
        + struct.pack("<q4f", 4, 1, 2, 3, 4)
    )


def mutate(data, rng):
    """``data`` with one to four damages."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(8)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.choice(_OPCODES)))
        elif kind == 2:
            del data[place : place + rng.choice((1, 2, 4, 16, 200))]
        elif kind == 3:
            data[place:place] = rng.randbytes(rng.choice((1, 2, 4, 16)))
        elif kind == 4:
            start = rng.randrange(len(data) + 1)
            data[place:place] = data[start : start + rng.choice((1, 8, 60))]
        elif kind == 5:
            data[place : place + 8] = struct.pack("<Q", rng.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)))
        elif kind == 6:
            data[place:place] = (
                b"c" + rng.choice(_NAMES) + b"\n" + rng.choice((b"", b")R", b")\x81", b"(lsb", b"K\1\x85R"))
            )
        else:
            data[place:place] = bytes(rng.choice(_OPCODES) for _ in range(rng.randint(1, 4)))
        if not data:
            break
    return bytes(data)


def mutate_inside(data, rng):
    """A zip checkpoint with damage inside its records, its checksums true: what only the interpreter can notice."""
    archive = ArchiveReader(io.BytesIO(data))
    file = io.BytesIO()
    writer = ArchiveWriter(file, archive.prefix.rstrip("/"))
    for name in archive.names:
        record = archive.read(name)
        if name == "data.pkl" or rng.random() < 0.05:
            record = mutate(record, rng)
        writer.add(name, record)
    writer.close()
    return file.getvalue()


class Watch:
    """Sees what happens while a file is read."""

    def __init__(self):
        self.on = False
        self.events, self.reserved = [], 0
        self._empty_block = tensors.empty_block
        tensors.empty_block = self._count
        sys.addaudithook(self._event)

    def _event(self, event, arguments):
        if self.on and event.startswith(_FORBIDDEN):
            self.events.append((event, str(arguments)[:200]))

    def _count(self, nbytes):
        self.reserved += nbytes
        return self._empty_block(nbytes)

    def read(self, data, weights_only):
        """What is wrong with reading ``data``; None if nothing is."""
        self.events, self.reserved, began = [], 0, time.process_time()
        self.on = True
        try:
            checkpoint.load(io.BytesIO(data), weights_only=weights_only)
        except (CheckpointError, UnsafeContent):
            pass
        except BaseException as error:
            return f"raised {type(error).__name__}: {error}"
        finally:
            self.on = False
        if self.events:
            return f"did {self.events[0]}"
        if self.reserved > len(data):
            return f"reserved {self.reserved} bytes for a file of {len(data)}"
        took = time.process_time() - began  # the reading's own, whatever else the machine does
        return f"took {took:.1f} s" if took > 5 else None


def main(arguments=None):
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m rushlight.io.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=5000, help="damaged files to read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default="fuzz-failure.bin", help="where a file that breaks a rule is written")
    options = parser.parse_args(arguments)
    rng, watch, sources = random.Random(options.seed), Watch(), list(seeds())
    for encoding in ("raw_unicode_escape", "unicode_escape", "latin1", "ascii"):
        b"a".decode(encoding)
    for weights_only in (True, False):  # imports happen here, not under watch
        for source in sources:
            watch.read(source, weights_only)
    for number in range(options.count):
        source = rng.choice(sources)
        inside = source.startswith(b"PK") and rng.random() < 0.7
        data = mutate_inside(source, rng) if inside else mutate(source, rng)
        wrong = watch.read(data, weights_only=rng.random() < 0.5)
        if wrong:
            with open(options.keep, "wb") as file:
                file.write(data)
            print(f"file {number} of seed {options.seed} {wrong}\nIt is in {options.keep}.")
            return 1
    print(f"{options.count} damaged files read (seed {options.seed}): all loaded or were refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
