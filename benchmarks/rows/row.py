"""One row, and the table of them."""

ROWS = {}


class Row:
    """One workload. target: the ratio aimed at; bytes, flops: per call; inner: calls per measurement of a call below a microsecond."""

    def __init__(self, prepare, name, target, bytes=0, flops=0, inner=1):
        self.prepare, self.name, self.target, self.bytes, self.flops, self.inner = prepare, name, target, bytes, flops, inner


def row(name, target, **options):
    def add(prepare):
        ROWS[name] = Row(prepare, name, target, **options)
        return prepare

    return add
