"""Which products of matrices leave OpenBLAS for kernels of our own. The table is measured: ``make takeover ARGS=--write`` makes it anew.

A product of m rows, n columns and inner length k is *skinny* if m is at most ``few``, and n, k and m n k reach the limits: those for one
row, or those for more. So it is if m is at most ``many``, or ``steep`` where the left operand's columns follow memory; some columns of the
right operand are then turned at a time. Otherwise it goes through *panels* if m, n, k and m n k reach theirs. What reaches neither is
OpenBLAS', if that knows the dtype.
"""

from .._core import cpus
from . import schemes

LIMITS = {  # machine, dtype: few; many; steep; one row: n, k, n k; skinny: n, k, m n k; panels: m, n, k, m n k
    ("avx512", "f32"): (16, 2048, 64, (16, 0, 10_000), (16, 64, 100_000), (0, 128, 0, 2_000_000)),
    ("avx512", "f64"): (12, 2048, 128, (16, 0, 1_000_000), (0, 64, 100_000), (0, 96, 0, 2_000_000)),
    ("avx512 of AMD", "f32"): (24, 4096, 4096, (16, 0, 5_000), (64, 0, 30_000), (16, 96, 0, 1_000_000)),
    ("avx512 of AMD", "f64"): (24, 4096, 4096, (16, 0, 5_000), (0, 32, 30_000), (16, 128, 0, 500_000)),
    ("other", "f32"): (16, 256, 256, (16, 0, 5_000), (64, 16, 30_000), (24, 32, 32, 30_000)),
    ("other", "f64"): (16, 256, 256, (16, 0, 5_000), (96, 0, 30_000), (24, 32, 32, 30_000)),
}
FEW = {"bf16": 8, "c64": 0, "c128": 0}  # of dtypes that are not above; 12 for the others. Complex products are OpenBLAS' alone
TILES = {  # the least of all three extents for matrix registers, where the machine has them
    "f16": 32,
    "bf16": 9,
    "f32": 512,  # split into three parts before: that pays if each element is used often
}
PEAK = {  # of machines without them, the least from which panels are at the peak: nothing is turned there
    ("avx512 of AMD", "f32"): 512,
    ("other", "f32"): 512,
}
NEVER = 1 << 62


def machine(wide):
    """Whose limits hold here; ``wide``: OpenBLAS uses AVX-512. AMD's processors lose less where rows of the left operand lie far apart."""
    return "other" if not wide else "avx512 of AMD" if cpus.is_amd() else "avx512"


def limits(machine, dtype):
    """What the core is told of a dtype."""
    none = (0, 0, 0)
    large = TILES.get(dtype, NEVER) if schemes.available() else PEAK.get((machine, dtype), NEVER)
    return *LIMITS.get((machine, dtype), (FEW.get(dtype, 12), 0, 0, none, none, (0, *none))), large
