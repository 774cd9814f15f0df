"""All that a machine with a GPU can show, within a time limit: for a machine that one has for minutes only, and without a package index.

    python tools/gpu.py --seconds 540 --out report

builds the package in place for the interpreter that runs this, then takes the stages of :data:`STAGES` in turn, the most telling first,
each with a share of the time that is left. A stage that fails, hangs or is missing something does not stop the next. The folder then
holds ``report.md`` (a table and each stage's last lines), ``failures.log`` and, where PyTorch for CUDA is installed, ``benchmarks.md``.
Where there is no GPU, the stand-in of tests/cuda takes its place: so this script is itself tested (``--stages``).
"""

import argparse
import concurrent.futures
import functools
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time
import traceback

import standin

ROOT = standin.ROOT
# Files in the order in which they tell most about hardware that the stand-in cannot.
FIRST = """
test_gpu_rows test_gpu_device test_gpu_several test_gpu_streams test_gpu_captures test_gpu_threads test_gpu_exchange test_gpu_reach
test_gpu_edges test_gpu_training test_gpu_optimizers test_gpu_cudnn test_gpu_libraries test_gpu_profiler test_laws test_reductions
test_contraction test_conv test_attention test_movement test_index test_index_operators test_scan test_sorting test_training test_programs
test_normalization test_recurrent test_random test_optim test_pool test_linalg test_fft test_data test_io test_robustness
""".split()

PARTS = {
    "test_laws": 6, "test_conv": 4, "test_contraction": 3, "test_gpu_device": 2, "test_reductions": 2, "test_programs": 2, "test_linalg": 2,
    "test_attention": 2, "test_gpu_cudnn": 4, "test_gpu_libraries": 3, "test_pool": 2, "test_fft": 2,
}  # fmt: skip

STANDIN = f"import sys; sys.path.insert(0, {str(ROOT / 'tests' / 'cuda')!r}); import standin; standin.activate()\n"

SANITIZED = """
import rushlight as torch
F, x = torch.nn.functional, torch.randn(70, 130, device="cuda", requires_grad=True)
image = torch.randn(2, 8, 17, 19, device="cuda", requires_grad=True)
y = (x.softmax(1) @ x.t()).exp().sum(0).cumsum(0).sort().values + F.layer_norm(x, (130,)).sum(1)
y = y.sum() + x.t().contiguous()[torch.arange(9, device="cuda")].sum() + x.half().matmul(x.t().half()).float().mean()
z = F.max_pool2d(F.conv2d(image, torch.randn(4, 8, 3, 3, device="cuda")), 2)
q = torch.randn(1, 2, 40, 64, device="cuda", dtype=torch.bfloat16)
alone = [F.conv2d(i, torch.randn(8, 1, 3, 3, device="cuda", requires_grad=True), padding=1, groups=8)
         for i in (image, image.to(memory_format=torch.channels_last))]
p = q.float().requires_grad_()
attended = F.scaled_dot_product_attention(q, q, q, is_causal=True).float() + F.scaled_dot_product_attention(p, p, p)
(y + z.sum() + sum(a.square().sum() for a in alone) + attended.sum()).backward()
print(torch.randn(2, 70_000, device="cuda").sort().indices[0, 0] + torch.randint(99, (70_000,), device="cuda").unique().numel())
torch.optim.Adam([x, image, p]).step()
torch.cuda.synchronize()
"""

HOST_TIME = """
import time, statistics, {library} as torch
a, b = torch.randn(10, device="cuda"), torch.randn(10, device="cuda")
r = a.clone().requires_grad_()
for name, call in (("a + b", lambda: a + b), ("a + b recorded", lambda: r + b)):
    seen = []
    for _ in range(50):
        start = time.perf_counter()
        for _ in range(200):
            call()
        seen.append((time.perf_counter() - start) / 200)
        torch.cuda.synchronize()
    print(f"{library}: {{name}} on 10 floats, host: {{1e6 * statistics.median(seen):.2f}} us")
"""

FIRST_USE = """
import time, rushlight as torch
x = torch.randn(64, 64, device="cuda"); torch.nn.functional; torch.cuda.synchronize()
for name, call in (("add", lambda: x + x), ("exp", lambda: x.exp()), ("sum", lambda: x.sum(1)), ("softmax", lambda: x.softmax(1)),
                   ("layer_norm", lambda: torch.nn.functional.layer_norm(x, (64,))), ("matmul", lambda: x @ x)):
    start = time.perf_counter(); call(); torch.cuda.synchronize()
    print(f"first {name}: {1e3 * (time.perf_counter() - start):.1f} ms")
"""

# A training step: what the host needs to queue it, and the time of each kernel; on the stand-in of a small network.
STEP = """
import sys, time
sys.path.insert(0, {models!r})
import {library} as torch
if "{library}" == "rushlight": torch.as_torch()
torch.set_default_device("cuda")
torch.backends.cudnn.allow_tf32 = False
import {model}
task = {model}.task(**{sizes})
def step():
    task.optimizer.zero_grad()
    with torch.autocast("cuda", torch.bfloat16, enabled={half}):
        loss = task.loss(task.net(*task.inputs), task.target)
    loss.backward()
    task.optimizer.step()
for _ in range(3): step()
torch.cuda.synchronize()
start = time.perf_counter(); step(); queued = time.perf_counter() - start
torch.cuda.synchronize(); whole = time.perf_counter() - start
with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as prof:
    step(); torch.cuda.synchronize()
print(f"{library}, {model}, half: {half}: queued in {{1e3 * queued:.1f}} ms, done in {{1e3 * whole:.1f}} ms")
kernels = [e for e in prof.key_averages() if e.self_device_time_total and not e.key.startswith(("aten::", "Optimizer"))]
print(f"{{sum(e.count for e in kernels)}} kernels, {{sum(e.self_device_time_total for e in kernels) / 1e3:.1f}} ms")
for e in sorted(kernels, key=lambda e: -e.self_device_time_total)[:25]:
    print(f"{{e.self_device_time_total / 1e3:8.3f}} ms {{e.count:5}} {{e.key[:110]}}")
"""

STEPS = (
    ("resnet50", {"batch": 64, "size": 224, "classes": 10}, {"batch": 2, "size": 32, "width": 4, "classes": 10}, True),
    ("resnet50", {"batch": 64, "size": 224, "classes": 10}, {"batch": 2, "size": 32, "width": 4, "classes": 10}, False),
    ("gpt", {"batch": 8, "length": 1024, "tokens": 50257, "width": 768, "heads": 12, "layers": 12},
     {"batch": 1, "length": 16, "tokens": 20, "width": 16, "heads": 2, "layers": 1}, False),
    ("mnist_cnn", {"batch": 64}, {"batch": 2}, False),
)  # fmt: skip

LIMITS = """
import torch, time
a = torch.empty(1 << 30, device="cuda"); b = torch.empty_like(a); m = torch.randn(8192, 8192, device="cuda")
def timed(call, n=10):
    call(); torch.cuda.synchronize(); start = time.perf_counter()
    for _ in range(n): call()
    torch.cuda.synchronize(); return (time.perf_counter() - start) / n
print(torch.__version__, torch.cuda.get_device_name(), "copy", round(8 * a.numel() / timed(lambda: b.copy_(a)) / 1e9), "GB/s")
for t in (torch.bfloat16, torch.float16, torch.float32):
    c = m.to(t); print("product 8192", t, round(2 * 8192**3 / timed(lambda: c @ c) / 1e12, 1), "TFLOP/s")
"""


HAS_TORCH, NO_TORCH = importlib.util.find_spec("torch") is not None, "PyTorch is not installed"


def worse(*statuses):
    """The first exit status that is not 0 (None: cut), or 0."""
    return next((status for status in statuses if status != 0), 0)


class Run:
    """What the stages share: options, the time that is left, what was found."""

    def __init__(self, options):
        self.options, self.end = options, time.monotonic() + options.seconds
        self.out = pathlib.Path(options.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.found, self.failures = [], []

    def left(self):
        """Seconds."""
        return self.end - time.monotonic()

    def command(self, *command, share=1.0, env=None):
        """(exit status or None if it took too long, output) of a command that may use this share of the time left."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **(env or {})}
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(self.left() * share, 1), env=env)
            return done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            text = b"".join(t.encode() if isinstance(t, str) else t or b"" for t in (error.stdout, error.stderr)).decode(errors="replace")
            return None, f"{text}\ncut: it took longer than its share of the time"
        except FileNotFoundError as error:
            return None, str(error)

    @functools.cached_property
    def has_gpu(self):
        """Is there a GPU?"""
        count = "import rushlight; print(rushlight.cuda.device_count())"
        return self.command(sys.executable, "-c", count)[1].strip() not in ("", "0")

    def program(self, text, **options):
        """The same for a program of rushlight."""
        return self.command(sys.executable, "-c", text if self.has_gpu else STANDIN + text, **options)


def build(run):
    """Extensions for this interpreter."""
    return run.command(sys.executable, "setup.py", "-q", "build_ext", "--inplace", share=0.6)


def facts(run):
    """What is there."""
    status, text = run.program("import rushlight as torch; print(torch.cuda.describe())", share=0.3)
    return status, text + run.command("nvidia-smi", share=0.1)[1]


def sanitizer(run):
    """compute-sanitizer on a program of all kernel families."""
    if not shutil.which("compute-sanitizer"):
        return run.program(SANITIZED, share=0.25)[0], "compute-sanitizer is not installed: the program ran without it"
    results = [run.command("compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", SANITIZED, share=0.25)
               for tool in ("memcheck", "racecheck")]  # fmt: skip
    return worse(*(status for status, _ in results)), "\n".join(text[-1500:] for _, text in results)


def first_use(run):
    """A kernel's first use, with an empty cache and a full one."""
    cache = {"RUSHLIGHT_CACHE": str(run.out / "cache")}
    cold, warm = (run.program(FIRST_USE, share=0.3, env=cache) for _ in range(2))
    shutil.rmtree(run.out / "cache", ignore_errors=True)
    return worse(cold[0], warm[0]), f"cold\n{cold[1]}warm\n{warm[1]}"


def host_time(run):
    """What a call costs the host, beside PyTorch's."""
    status, text = run.program(HOST_TIME.format(library="rushlight"), share=0.2)
    return status, text + (run.command(sys.executable, "-c", HOST_TIME.format(library="torch"), share=0.2)[1][-300:] if HAS_TORCH else "")


def steps(run):
    """The kernels of training steps, beside PyTorch's, each with its time."""
    statuses, texts = [], []
    for model, large, small, half in STEPS:
        for library in ("rushlight", "torch") if HAS_TORCH and run.has_gpu else ("rushlight",):
            sizes, models = large if run.has_gpu else small, str(ROOT / "examples" / "models")
            status, text = run.program(STEP.format(models=models, library=library, model=model, sizes=sizes, half=half), share=0.2)
            statuses.append(status)
            texts.append(text[-4000:])
    return worse(*statuses), "\n".join(texts)


def limits(run):
    """What PyTorch reaches here, where it is installed."""
    return run.command(sys.executable, "-c", LIMITS, share=0.2) if HAS_TORCH else (0, NO_TORCH)


class Given:
    """What standin.run is told: short turns, so that a test that hangs costs one, until ``end``."""

    device, order, tight, quick, limit = "cuda", "0", False, True, 15

    def __init__(self, end):
        self.end = end

    @property
    def turn(self):
        """Seconds for a process."""
        return max(min(30, self.end - time.monotonic()), 1)

    @property
    def once(self):
        """Is this the last turn?"""
        return time.monotonic() > self.end - 5


def suite(run):
    """The test files, several at a time and large ones in parts, in two thirds of the time left if benchmarks are to come."""
    share = 0.65 if "benchmarks" in run.options.stages else 0.9
    given = Given(time.monotonic() + run.left() * share)
    found = {file.stem: file for file in standin.files()}
    order = [found.pop(name) for name in FIRST if name in found] + list(found.values())
    if run.options.files:
        order = [file for file in order if file.stem in run.options.files]
    keep = run.out / "tests"
    keep.mkdir(exist_ok=True)
    pieces = [(file, (i, n)) for file in order for n in [PARTS.get(file.stem, 1)] for i in range(n)]

    def one(piece):
        file, (i, n) = piece
        if given.once:
            return None
        base = keep / (file.stem if n == 1 else f"{file.stem}.{i + 1}of{n}")
        with open(f"{base}.log", "a") as log:
            outcome = standin.run(file, pathlib.Path(f"{base}.jsonl"), given, log, (i, n))
        outcome.name = base.name
        return outcome

    with concurrent.futures.ThreadPoolExecutor(run.options.jobs) as pool:
        outcomes = list(pool.map(one, pieces))
    done = [o for o in outcomes if o]
    run.failures += [f"==== {o.name}: {', '.join(o.failed)}\n{(keep / f'{o.name}.log').read_text()[-40000:]}" for o in done if o.failed]
    left_out = ", ".join(f"{file.stem} {i + 1}/{n}" for (file, (i, n)), o in zip(pieces, outcomes) if not o)
    failed = "\n".join(f"failed: {o.name}::{test}" for o in done for test in o.failed)
    return int(any(o.failed for o in done)), f"{standin.table(done)}\n\n{failed}" + (f"\n\nNo time for: {left_out}" if left_out else "")


def benchmarks(run):
    """Both libraries on the GPU, where PyTorch for CUDA is installed."""
    if not HAS_TORCH:
        return 0, NO_TORCH
    page = run.out / "benchmarks.md"
    rows = ("--rows", "benchmarks.gpu", "--device", "cuda", "--rounds", "3", "--seconds", "0.05", *run.options.rows)
    return run.command(sys.executable, "-m", "benchmarks", "--write", str(page), *rows, share=0.95)


STAGES = {stage.__name__: stage for stage in (build, facts, limits, host_time, steps, first_use, sanitizer, suite, benchmarks)}


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=540, help="time for everything")
    parser.add_argument("--out", default="build/gpu", help="folder of the report")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="test files at a time")
    parser.add_argument("--stages", nargs="*", choices=list(STAGES), default=list(STAGES), help="only these")
    parser.add_argument("--files", nargs="*", help="only these test files")
    parser.add_argument("--rows", nargs="*", default=(), help="only benchmark rows with one of these in their names")
    run = Run(parser.parse_args())
    for name in run.options.stages:
        start = time.monotonic()
        try:
            status, text = STAGES[name](run) if run.left() > 5 else (None, "no time left")
        except Exception:  # of this script: the time with a GPU goes on
            status, text = 1, traceback.format_exc()
        verdict = "ok" if status == 0 else "cut" if status is None else f"failed ({status})"
        run.found.append((name, verdict, time.monotonic() - start, text))
        print(f"==== {name}: {verdict}, {run.found[-1][2]:.0f} s\n{text[-3000:]}", flush=True)
        write(run)
    return any(verdict != "ok" for _, verdict, _, _ in run.found)


def write(run):
    """The report of the stages so far."""
    rows = [f"| {name} | {verdict} | {seconds:.0f} |" for name, verdict, seconds, _ in run.found]
    sections = [f"## {name}\n\n{text[-30000:]}" for name, _, _, text in run.found]
    (run.out / "report.md").write_text("\n".join(["| stage | | seconds |", "|---|---|---|", *rows, "", *sections]))
    (run.out / "failures.log").write_text("\n".join(run.failures)[:12_000_000])


if __name__ == "__main__":
    sys.exit(main())
