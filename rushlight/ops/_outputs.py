"""What out= must be: definitions say it by ``out=``. Results of those that do not are converted to the dtype of out=.

    @composite(out=exact)                  # out= must have the result's dtype
    @library(out=exact("... {given} ..."))  # the same, in words of its own
    @pointwise(out=converted.by("pow"))     # errors about gradients name pow

Where PyTorch refuses in words of its own, they stand with the definition: one text for all results, or one for each. {name} is the
operator's, {has} and {given} are the result's dtype and that of out= as C++ names them, {Has} and {Given} their titles. What a kind of
rule admits: ``_admits`` in the core (outputs.pxi).
"""

from .._core import operator as core


class Rule:
    """kind: which dtypes of out= a result may be written to; texts: what is said of others; numbers: whether it holds only for calls
    in which a number stands in an operand's place (True), or only for those in which none does (False); None: for all; writer: whom PyTorch
    names where out= and a gradient meet, if not the operator: the part of it that writes, or that operator by its full name."""

    __slots__ = ("kind", "numbers", "texts", "writer")

    def __init__(self, kind, *texts, numbers=None, writer=None):
        self.kind, self.texts, self.numbers, self.writer = kind, texts, numbers, writer

    def __call__(self, *texts):
        """The same rule in other words."""
        return Rule(self.kind, *texts, numbers=self.numbers, writer=self.writer)

    def where(self, numbers):
        """The same rule for calls with or without numbers alone."""
        return Rule(self.kind, *self.texts, numbers=numbers, writer=self.writer)

    def by(self, writer):
        """The same rule for an operator that PyTorch calls ``writer`` where out= and a gradient meet."""
        return Rule(self.kind, *self.texts, numbers=self.numbers, writer=writer)


converted = Rule(None)  # to the dtype of out=, which is that computed in: what holds without a rule
own = Rule("own")  # converted to any dtype that can hold it, but computed in its own, whatever that of out=
exact = Rule("same", "Expected out tensor to have dtype {has}, but got {given} instead")
unary = exact("Found dtype {Given} but expected {Has}")
boolean = exact("{name} does not support non-boolean outputs.")
truth = Rule("truth", "{name} only supports bool tensor for result, got: {Given}")
castable = Rule("castable", "torch.cat(): input types can't be cast to the desired output type {Given}")


def sharing(*, apart="", aligned=""):
    """Of which operands an operator asks that they share no memory with what it writes (an ``out=``, or the tensor that it overwrites), or
    that they be its very elements if they share any; "*" is any operand. What it overwrites in place may always be its own operand.

    Without this, an operator computes its results before it writes them, and any memory will do. Those say it that would read in PyTorch
    what they have written already, which refuses them.
    """
    return {**dict.fromkeys(apart.split(), True), **dict.fromkeys(aligned.split(), False)}


elementwise = sharing(aligned="*")


# -- several elements of out= in one memory location (an expanded tensor) --
#
# What overwrites elements that it may still have to read, or copies its result, refuses that, as PyTorch does. Operators that say so by
# ``meets`` have a result there. It follows from the shape alone, whatever the order in which threads write.


def meets(way, *operators):
    """Says what the elements of an expanded out= become: ``way(operator, args, kwargs, out)`` writes them and returns out, or returns None
    where out= has not the result's shape."""
    for op in operators:
        core.output_meetings[op.__name__] = way


def refused(op, args, kwargs, out):
    """What others ask once out= has the result's shape is asked before."""
    core.check_writable(out)


def last(op, args, kwargs, out):
    """The location holds the last of its elements."""
    return core.deliver_met(op(*args, **kwargs), out, op.__name__)


def together(op, args, kwargs, out):
    """The location holds the reduction of all that meets in it: a stride of 0 is one more dim that is reduced."""
    given = dict(zip(op.signature.names, args)) | kwargs
    x, dim, keepdim = next(iter(given.values())), given.get("dim"), given.get("keepdim", False)
    dims = range(x.ndim) if dim in (None, (), []) else [d % max(x.ndim, 1) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    kept = [d for d in range(x.ndim) if keepdim or d not in dims]
    if [1 if d in dims else x.shape[d] for d in kept] != list(out.shape):
        return None
    met = [d for d, size, stride in zip(kept, out.shape, out.stride()) if stride == 0 and size > 1]
    result = op(**given | {"dim": (*dims, *met), "keepdim": True})
    return core.deliver_met(result.reshape([result.shape[d] for d in kept]).expand(out.shape), out, op.__name__)
