"""A child process that holds one library and times rows when asked, so that neither library's threads are awake while the other runs."""

import importlib
import json
import sys
import time


def main(library):
    """Reads a row's name and a number of seconds per line, answers with the median seconds per call of several measurements."""
    torch = importlib.import_module(library)
    torch.set_num_threads(2)
    for module in ("nn", "utils.data"):
        importlib.import_module(f"{library}.{module}")
    rows = importlib.import_module("benchmarks.rows").ROWS
    prepared = {}
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        name, budget = json.loads(line)
        row = rows[name]
        try:
            if name not in prepared:
                prepared.clear()
                torch.manual_seed(0)
                prepared[name] = row.prepare(torch)
                for _ in range(3):
                    prepared[name]()
            print(json.dumps({"seconds": measure(prepared[name], row.inner, budget)}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}), flush=True)


def measure(call, inner, budget):
    """Seconds per call: the fastest of the repetitions that fit into budget seconds (at least three)."""
    best, spent, count = float("inf"), 0.0, 0
    span = range(inner)
    while spent < budget or count < 3:
        start = time.perf_counter()
        for _ in span:
            call()
        took = time.perf_counter() - start
        best, spent, count = min(best, took / inner), spent + took, count + 1
    return best


if __name__ == "__main__":
    main(sys.argv[1])
