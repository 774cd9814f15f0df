"""What a program pays before it computes: import, first training step, first use of a kernel (cold and warm cache), memory, size on disk.

``python -m benchmarks.startup``
"""

import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

IMPORT = """
import sys, time, json
start = time.perf_counter()
import {library}
print(json.dumps([time.perf_counter() - start, len(sys.modules), "numpy" in sys.modules, "llvmlite" in sys.modules]))
"""

FIRST_USE = """
import json, time
import llvmlite.binding
import rushlight as torch
from rushlight.codegen import cpu, drafts
torch.arange(4.0).neg_()                              # the compiler itself is started by the first kernel of all
x, m = torch.arange(1.0, 9.0), torch.arange(1.0, 65.0).reshape(8, 8)
cases = {
    "pointwise and reductions": [
        lambda: x.exp(), lambda: x.log(), lambda: x * x, lambda: x / x, lambda: torch.nn.functional.gelu(x), lambda: x.tanh(),
        lambda: x.sigmoid(), lambda: x.sum(), lambda: x.amax(), lambda: x.mean(), lambda: m.sum(0), lambda: x.where(x > 3, x),
    ],
    "float64 elementary, rowwise backward": [
        lambda: x.double().tan(), lambda: x.double().lgamma(), lambda: x.double().erf(),
        lambda: torch.softmax(m.clone().requires_grad_(), 1)[0, 0].backward(),
        lambda: torch.nn.functional.layer_norm(m.clone().requires_grad_(), (8,)).sum().backward(),
    ],
    "contraction": [lambda: m.bfloat16() @ m.bfloat16(), lambda: m.long() @ m.long()],
}
import rushlight.nn
times = {}
for name, calls in cases.items():
    times[name] = []
    for call in calls:
        start = time.perf_counter(); call(); times[name].append(time.perf_counter() - start)
print(json.dumps(times))
drafts.settle()                                       # as a longer program leaves the cache
"""

FIRST_STEP = """
import os, resource, time, json
import {library} as torch
from {library} import nn
model = nn.Sequential(nn.Linear(118, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
loss = nn.functional.mse_loss(model(torch.randn(32, 118)), torch.randn(32, 1))
optimizer.zero_grad(); loss.backward(); optimizer.step(); loss.item()
print(json.dumps([time.time() - float(os.environ["BEGAN"]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def run(code, bytecode, **env):
    """The JSON that a fresh process prints. Bytecode is kept in the folder ``bytecode``: an installed package has it beside its modules."""
    env = dict(os.environ, PYTHONPYCACHEPREFIX=bytecode, BEGAN=repr(time.time()), **env)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def folder_size(path):
    """Bytes of all files below a folder, sources of the extension modules left out."""
    total = 0
    for base, _, files in os.walk(path):
        if "__pycache__" in base:
            continue
        total += sum(os.path.getsize(os.path.join(base, f)) for f in files if not f.endswith((".c", ".pyx", ".pxd", ".pxi")))
    return total


def package_size(name):
    """Bytes of an installed distribution, or None."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return sum(os.path.getsize(f.locate()) for f in files if os.path.exists(f.locate()) and not str(f).endswith(".pyc"))


def first_step(library, bytecode, times=5):
    """Prints when the first training step of a small network is done, in seconds from the start of its process."""
    code = FIRST_STEP.format(library=library)
    run(code, bytecode)
    found = {"cold": [], "warm": []}
    for _ in range(times):
        with tempfile.TemporaryDirectory() as cache:
            for runs in found.values():
                runs.append(run(code, bytecode, RUSHLIGHT_CACHE=cache))
    for name, runs in found.items():
        seconds, megabytes = (statistics.median(values) for values in zip(*runs))
        print(f"first training step, {library:10} {name} {seconds:5.2f} s   {megabytes:4.0f} MB")


def main():
    with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as cache:
        for library in ("rushlight", "torch"):
            if find_spec(library) is None:
                continue
            _, *runs = (run(IMPORT.format(library=library), bytecode) for _ in range(8))
            seconds = statistics.median(r[0] for r in runs)
            _, modules, numpy, llvmlite = runs[0]
            print(f"import {library:10} {1000 * seconds:7.1f} ms   {modules} modules   NumPy loaded: {numpy}   llvmlite loaded: {llvmlite}")
            first_step(library, bytecode)
        os.chmod(cache, 0o700)
        cold, warm = (run(FIRST_USE, bytecode, RUSHLIGHT_CACHE=cache) for _ in range(2))
    for name in cold:
        first, again = (1000 * statistics.median(times[name]) for times in (cold, warm))
        print(f"first use, {name:38} cold {first:6.1f} ms   warm {again:6.2f} ms")
    own = folder_size(os.path.dirname(find_spec("rushlight").origin))
    needed = {n: package_size(n) for n in ("llvmlite", "numpy", "scipy-openblas64", "safetensors")}
    total = own + sum(v or 0 for v in needed.values())
    parts = ", ".join(f"{n} {(v or 0) / 1e6:.0f}" for n, v in needed.items())
    print(f"installed: rushlight {own / 1e6:.1f} MB, with {parts}: {total / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
