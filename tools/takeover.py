"""``python tools/takeover.py [--dtype f32] [--write]``: which products of matrices are faster in OpenBLAS, and which in kernels of our own?

Times products of many shapes each way, alternating, and looks for the limits with the least loss against always knowing the best way.
``--write`` puts them into ``rushlight/codegen/takeover.py``, which says what they mean.
``OPENBLAS_CORETYPE=Haswell`` measures the kernels that OpenBLAS has for machines without AVX-512.
"""

import argparse
import itertools
import math
import os
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["RUSHLIGHT_DRAFTS"] = "0"  # kernels are timed from their first call on

import rushlight as torch  # noqa: E402
from rushlight._core import blas, matmul  # noqa: E402
from rushlight.codegen import schemes, takeover  # noqa: E402
from rushlight.lang.types import CODES  # noqa: E402

TABLE = ROOT / "rushlight" / "codegen" / "takeover.py"
DTYPES = {"f32": torch.float32, "f64": torch.float64}
NEVER = takeover.NEVER
FREE, NONE = (0, 0, 0), (NEVER, NEVER, NEVER)
WAYS = {  # what the core is told, so that everything goes one way
    "openblas": (0, 0, 0, NONE, NONE, (0, *NONE), NEVER),
    "skinny": (NEVER, 0, 0, FREE, FREE, (0, *NONE), NEVER),
    "turned": (0, NEVER, NEVER, FREE, FREE, (0, *NONE), NEVER),
    "panels": (0, 0, 0, NONE, NONE, (0, *FREE), NEVER),
    "tiles": (0, 0, 0, NONE, NONE, (0, *FREE), 0),
}

SQUARES = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024)
LAYERS = [(10, 128), (64, 118), (128, 64), (256, 256), (512, 784), (512, 512), (768, 768), (1024, 256), (192, 768)]  # outputs, inputs
BATCHES = (1, 2, 4, 8, 12, 16, 32, 64, 128, 256, 512, 1024)
SHAPES = {  # rows, columns, inner length: how the operands lie, row by row or not ("t")
    **{(n, n, n): "  " for n in SQUARES},
    **{(batch, outputs, inputs): " t" for outputs, inputs in LAYERS for batch in BATCHES},  # the layer
    **{(batch, inputs, outputs): "  " for outputs, inputs in LAYERS for batch in BATCHES},  # the gradient of its input
    **{(outputs, inputs, batch): "t " for outputs, inputs in LAYERS for batch in BATCHES[1:]},  # the gradient of its weight
}

FEW = (0, 8, 12, 16, 24, 32, 48, 64)
MANY = (0, 64, 128, 256, 512, 1024, 2048, 4096)
LEAST = (0, 16, 32, 64, 96, 128)
WORK = (30_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, NEVER)  # less is not worth the wait for a compiler
SIDES = (128, 256, 384, 512, 768, NEVER)


def seconds(shape, name, ways, rounds):
    """{way: the least time of a product}; the ways take turns."""
    (m, n, k), dtype = shape, DTYPES[name]
    a, b = (
        torch.rand(columns, rows, dtype=dtype).t() if turned == "t" else torch.rand(rows, columns, dtype=dtype)
        for turned, rows, columns in zip(SHAPES[shape], (m, k), (k, n), strict=True)
    )
    calls = max(1, int(2e-4 / (2 * m * n * k / 2e11 + 5e-7)))
    best = dict.fromkeys(ways, math.inf)
    for _, way in itertools.product(range(rounds + 1), ways):
        matmul.set_takeover(CODES[name], *WAYS[way])
        a @ b  # brings the kernels and the caches
        start = time.perf_counter()
        for _ in range(calls):
            a @ b
        best[way] = min(best[way], (time.perf_counter() - start) / calls)
    return best


def loss(choices, times):
    """The mean of log(time chosen / best time) over the shapes."""
    return sum(math.log(t[way] / min(t.values())) for way, t in zip(choices, times, strict=True)) / max(len(times), 1)


def reaches(shape, least):
    return all(map(int.__ge__, (*shape[1:], math.prod(shape)), least))


def best(candidates, choose, times):
    """The candidate with the least loss when ``choose(candidate, shape)`` says which way a shape goes, and that loss."""
    kept = [{way: t for way, t in all_.items() if way != "tiles"} for all_ in times.values()]
    return min((loss([choose(c, shape) for shape in times], kept), c) for c in candidates)


def fitted(times):
    """{name: (loss, limits)} of products of one row, of panels, and of skinny products where the panels' limits are those."""
    one = {shape: t for shape, t in times.items() if shape[0] == 1}
    more = {shape: t for shape, t in times.items() if shape[0] > 1}
    boxes = list(itertools.product(LEAST, LEAST, WORK))
    smaller = list(itertools.product(LEAST[1:], LEAST, (5_000, 10_000, *WORK)))  # OpenBLAS has several sums for each of few columns
    found = {"one row": best(smaller, lambda least, s: "skinny" if reaches(s, least) else "openblas", one)}
    two = {shape: {way: t[way] for way in ("openblas", "panels")} for shape, t in more.items() if shape[0] >= 16}

    def in_panels(least, shape):
        return "panels" if shape[0] >= least[0] and reaches(shape, least[1:]) else "openblas"

    found["panels"] = best([(rows, *box) for rows in LEAST for box in boxes], in_panels, two)
    panels = found["panels"][1]

    def skinny(least, shape):
        few, many, steep, *box = least
        if shape[0] > max(few, steep if SHAPES[shape][0] == "t" else many) or not reaches(shape, box):
            return in_panels(panels, shape)
        return "skinny" if shape[0] <= few else "turned"

    found["skinny"] = best([(*rows, *box) for rows in itertools.product(FEW, MANY, MANY) for box in boxes], skinny, more)
    return found


def tiles_from(times, panels):
    """(loss, least side) that matrix registers pay for, given the limits of panels."""
    inside = {s: t for s, t in times.items() if s[0] >= max(panels[0], 16) and reaches(s, panels[1:])}
    return min((loss(["tiles" if min(s) >= side else "panels" for s in inside], list(inside.values())), side) for side in SIDES)


def measure(name, rounds, tiles):
    ways = [way for way in WAYS if way != "tiles" or tiles]
    times = {}
    for shape in SHAPES:
        times[shape] = seconds(shape, name, ways, rounds)
        print("{:>5} {:>5} {:>5}".format(*shape), "".join(f"{t * 1e6:10.1f}" for t in times[shape].values()), flush=True)
    return times


def write(machine, name, limits, side):
    text = TABLE.read_text()
    few, many, steep, *skinny = limits["skinny"][1]
    boxes = limits["one row"][1], skinny, limits["panels"][1]
    line = ", ".join([str(few), str(many), str(steep)] + [f"({', '.join(f'{n:_}' for n in box)})" for box in boxes])
    text = re.sub(rf'(\("{machine}", "{name}"\): )\(.*\)', rf"\g<1>({line})", text)
    if side is not None:
        text = re.sub(rf'("{name}": )\w+,', rf"\g<1>{'NEVER' if side == NEVER else side},", text)
    TABLE.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=DTYPES, action="append")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    machine = takeover.machine(blas.core() in blas.WIDE)
    for name in options.dtype or DTYPES:
        tiles = name in takeover.TILES and schemes.available()
        print(f"{name}, machine: {machine}\n rows  cols inner   microseconds: {' '.join(WAYS)}")
        times = measure(name, options.rounds, tiles)
        limits = fitted(times)
        for what, (lost, least) in limits.items():
            print(f"{what}: {least}, {lost:.2%} slower than the best way")
        side = None
        if tiles:
            lost, side = tiles_from(times, limits["panels"][1])
            print(f"tiles: from side {side}, {lost:.2%} slower than the best way")
        print("now:", takeover.LIMITS[machine, name])
        if options.write:
            write(machine, name, limits, side)


if __name__ == "__main__":
    main()
