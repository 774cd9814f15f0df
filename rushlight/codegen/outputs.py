"""The outputs of a pointwise kernel as callers give them, and the tuples by which kernels are found without lowering."""

from . import cache


class Output:
    """One output: its expression, its type in memory, and how it is stored (kind "set" or "add", byte offset)."""

    def __init__(self, expr, type, kind="set", offset=None):
        self.expr, self.type, self.kind, self.offset = expr, type, kind, offset

    def with_exprs(self, values, offsets):
        """The fields with the next lowered value and offset in place of the expressions (consumed in order)."""
        return values.pop(0), self.type, self.kind, None if self.offset is None else offsets.pop(0)


def roots_of(outputs):
    """The expressions beneath some outputs: values, then offsets."""
    return [o.expr for o in outputs], [o.offset for o in outputs if o.offset is not None]


def described(outputs):
    """A tuple that is equal for equal outputs."""
    values, offsets = roots_of(outputs)
    return cache.serialised(values + offsets), tuple((o.type, o.kind, o.offset is not None) for o in outputs)


def lowered_outputs(outputs, own=None):
    """The outputs as tuples over machine operations."""
    from .lower import lowered

    values, offsets = (lowered(roots, own=own) for roots in roots_of(outputs))
    return [o.with_exprs(values, offsets) for o in outputs]
