"""The rows: what is timed, one file per topic. Each is a function of the library that prepares its data and returns the call to time;
both libraries run the same code.

A row says the ratio (PyTorch's time / rushlight's) that it should reach and, where one is known, the machine's limit: what the call moves
in bytes or computes in flops. The topics are imported, and so listed, in the table's order.
"""

from benchmarks.rows import (  # noqa: F401, I001
    calls, products, elements, normalisation, attention, recurrence, images, indices, optimizers, steps, models, data,
)  # fmt: skip
from rushlight.bench import ROWS  # noqa: F401
