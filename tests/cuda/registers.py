"""What NVRTC's kernels use of a multiprocessor, for every architecture: the page docs/cuda_registers.md.

    python tests/cuda/registers.py measure FILE SECONDS [TYPES [ARCHITECTURES]]
    python tests/cuda/registers.py page FILE > docs/cuda_registers.md

`measure` compiles what FILE lacks, for so many seconds; its exit status is 0 when nothing is left. FILE holds a line for each kernel and
architecture, so that the work can be done in pieces.
"""

import collections
import json
import os
import sys
import time
import warnings

import instances

from rushlight.codegen import cuda
from rushlight.codegen.cuda import nvrtc

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
TYPES = "f32,f64,bf16,f16,i64,c64,library"
HEAD = """# Registers of the CUDA kernels

Made by `python tests/cuda/registers.py` from what NVRTC {version} says; no GPU is needed. A row stands for the kernels that every
pointwise and rowwise operator asks for in a dtype, forwards and backwards, in flat, strided and 64-bit forms
(`tests/cuda/instances.py`), or for the entries of `codegen/cuda/*.cu` that `tests/test_cuda_nvrtc_library.py` names.

Rows that are not there, or that stand for part of their kernels, have not been measured yet (each dtype has some 800 kernels,
20 minutes on a busy machine with two cores): `make test-all` compiles all, `python tests/cuda/registers.py measure FILE SECONDS` in pieces.

- *Registers*: of a thread, the median and the most. A multiprocessor has 65,536: with up to 32 a thread it is filled with 2,048 threads.
- *Again*: kernels that spilled registers to memory and were compiled again for fewer blocks on a multiprocessor.
- *Spilled*: kernels that spill even so.

| kernels | architecture | compiled | registers | again | spilled |
|---|---|---|---|---|---|
"""


def library():
    """(label, kernel) of the hand-written kernels that the tests name."""
    import test_cuda_nvrtc_library as tests

    for file, entry in tests.CASES:
        yield file, cuda.library(file, entry.partition("<")[0], 128 if file == "attention.cu" else 256, ENTRY=entry)


def wanted(types):
    """(label, kernels) of everything that is to be compiled."""
    for t in types:
        yield (t, list(library())) if t == "library" else (t, [(t, k) for k in instances.kernels(instances.recorded([t]), True)])


def measure(path, seconds, types=TYPES, architectures=""):
    until, done = time.monotonic() + float(seconds), set()
    if os.path.exists(path):
        with open(path) as file:
            done = {(entry["arch"], entry["symbol"]) for entry in map(json.loads, file)}
    with open(path, "a") as file:
        for _, labelled in wanted(types.split(",")):
            for arch in architectures.split(",") if architectures else ARCHITECTURES:
                left = [(label, k) for label, k in labelled if (arch, k.symbol) not in done]
                for i in range(0, len(left), instances.BATCH):
                    if time.monotonic() > until:
                        return 1
                    part = left[i : i + instances.BATCH]
                    used = instances.survey([k for _, k in part], arch)
                    for label, k in part:
                        u = used[k.symbol]
                        entry = {"label": label, "arch": arch, "symbol": k.symbol, "registers": u.registers, "spilled": u.spilled}
                        file.write(json.dumps(entry | {"blocks": u.blocks}) + "\n")
                    file.flush()
    return 0


def page(path):
    groups = collections.defaultdict(dict)
    with open(path) as file:
        for entry in map(json.loads, file):
            groups[entry["label"], ARCHITECTURES.index(entry["arch"])][entry["symbol"]] = entry
    text = HEAD.format(version=".".join(map(str, nvrtc.version())))
    for (label, arch), found in sorted(groups.items()):
        registers = sorted(e["registers"] for e in found.values())
        again, spilled = (sum(bool(e[field]) for e in found.values()) for field in ("blocks", "spilled"))
        row = (label, ARCHITECTURES[arch], len(found), f"{registers[len(registers) // 2]}, {registers[-1]}", again, spilled)
        text += f"| {' | '.join(map(str, row))} |\n"
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit({"measure": measure, "page": page}[sys.argv[1]](*sys.argv[2:]))
