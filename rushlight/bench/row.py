"""One workload, and the table of them."""

__all__ = ["ROWS", "Row", "row"]

ROWS = {}  # name -> Row, in the order in which they were added


class Row:
    """One workload.

    prepare: a function of the library (rushlight or PyTorch) that makes the data and returns the call to time. name: its name in the table.
    target: the ratio aimed at, None if there is none. bytes, flops: what one call moves or computes; a function of the library where the
    number takes work to find. inner: calls to a measurement, for a call of less than a microsecond. alone: the row gets fresh processes and
    its peak memory is measured.
    """

    def __init__(self, prepare, name, target=None, bytes=0, flops=0, inner=1, alone=False):
        self.prepare, self.name, self.target = prepare, name, target
        self.bytes, self.flops, self.inner, self.alone = bytes, flops, inner, alone


def row(name, target=None, **options):
    """A decorator that adds a workload to :data:`ROWS`; the options are those of :class:`Row`."""

    def add(prepare):
        ROWS[name] = Row(prepare, name, target, **options)
        return prepare

    return add
