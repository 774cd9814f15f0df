"""A child process that holds one library and runs rows when asked, so that neither library's threads are awake while the other runs.

Each line of standard input is a question, [verb, argument ...] in JSON; each line of standard output its answer,
{"value": ...} or {"error": text}.
"""

import importlib
import json
import sys
import time


class Worker:
    """Answers the questions. library: "rushlight" or "torch"; rows: the module that adds the rows; device: where tensors are made."""

    device = "cpu"

    def __init__(self, library, rows, threads, device):
        if library == "rushlight":  # programs that say `import torch` are among the rows
            self.torch = importlib.import_module("rushlight").as_torch()
        else:
            self.torch = importlib.import_module(library)
        for module in ("nn", "optim", "utils.data"):
            importlib.import_module(f"{library}.{module}")
        self.torch.set_num_threads(threads)
        self.device = device
        if device != "cpu":
            self.torch.set_default_device(device)
        self.warm_up()
        importlib.import_module(rows)
        self.rows = importlib.import_module("rushlight.bench").ROWS
        self.row = self.call = None
        self.base = 0

    def warm_up(self):
        """A small training step, so that what a library loads when it is first used does not count as a row's memory."""
        nn = self.torch.nn
        net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 14 * 14, 32))
        net(self.torch.randn(8, 3, 16, 16)).square().mean().backward()
        self.torch.optim.SGD(net.parameters(), lr=0.1).step()

    def wait(self):
        """Until the device has done its work."""
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def version(self):
        """The library's version."""
        return importlib.import_module("rushlight.version").__version__ if "rushlight" in self.torch.__name__ else self.torch.__version__

    def gpu(self):
        """The GPU's name and the driver's CUDA version, for the table's head."""
        return self.torch.cuda.describe().replace("\n", ", ")

    def prepare(self, name):
        """Makes a row's data and calls it a few times, so that kernels are compiled and memory is mapped."""
        self.row = self.call = None
        self.base = status("VmRSS")
        self.row = self.rows[name]
        self.torch.manual_seed(0)
        self.call = self.row.prepare(self.torch)
        for _ in range(3):
            self.call()
        self.wait()

    def time(self, budget):
        """Seconds per call of the prepared row: the fastest of the repetitions that fit into ``budget`` seconds (at least one)."""
        best, spent = float("inf"), 0.0
        span = range(self.row.inner)
        while spent < budget:
            start = time.perf_counter()
            for _ in span:
                self.call()
            self.wait()
            took = time.perf_counter() - start
            best, spent = min(best, took / self.row.inner), spent + took
        return best

    def peak(self):
        """Bytes that the prepared row adds to the process: the highest resident set during a call, less that before it was prepared."""
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts again from what is resident now
        self.call()
        return status("VmHWM") - self.base

    def work(self):
        """[bytes, flops] of a call of the prepared row."""
        return [amount(self.torch) if callable(amount) else amount for amount in (self.row.bytes, self.row.flops)]

    def limits(self):
        """[bytes per second of a copy of 256 MB, flops per second of a float32 product]: what a row can reach here."""
        torch = self.torch
        source, target = torch.ones(1 << 26), torch.ones(1 << 26)
        a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
        copy, product = (fastest(call, self.wait) for call in (lambda: target.copy_(source), lambda: a @ b))
        return [2 * 4 * source.numel() / copy, 2 * 1536**3 / product]


def fastest(call, wait, times=8):
    """Seconds of the fastest of several calls, until ``wait`` returns."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        call()
        wait()
        best = min(best, time.perf_counter() - start)
    return best


def status(field):
    """A field of /proc/self/status in bytes: VmRSS, the resident set, or VmHWM, its highest value."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def main(library, rows, threads, device):
    """Answers until standard input ends."""
    worker = Worker(library, rows, int(threads), device)
    for line in sys.stdin:
        verb, *args = json.loads(line)
        try:
            answer = {"value": getattr(worker, verb)(*args)}
        except Exception as error:
            text = str(error)
            answer = {"error": f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
