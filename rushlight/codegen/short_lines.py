"""Kernels of rowwise operators whose rows are many short lines; and MODES, all ways to walk rows."""

from contextlib import contextmanager

from .access import Access, tail_mask
from .llvm import host
from .reduction import Accumulator
from .rowwise import AlongRows, DownColumns, flushed


class AlongShortLines(AlongRows):
    """Mode 'short': a row's lines (r0) are about a vector long, and there are many (r1), as in groups of few channels of a
    channels-last image. Each vector of a line walks over all lines, so that a line costs no loop of its own.

    Sums to a smaller shape are the same for all lines of a row: they have a stride of 0 along r1.
    """

    UNROLL = 4

    def __init__(self, *args, stream=False, fetch=False):
        super().__init__(*args)

    def _start(self):
        pass  # rows are never a single vector

    def _kept(self, a):
        self._rows(a, self._row)

    @contextmanager
    def _down(self):
        """Around a walk of all lines by one vector of them: (its first element, its mask)."""
        fn = self.fn
        with fn.loop("0", "%r0", self.lanes) as i:
            rest = fn.int("sub", "%r0", i)
            rest = fn.emit(f"select i1 {fn.int('icmp slt', rest, self.lanes)}, i64 {rest}, i64 {self.lanes}")
            yield i, tail_mask(fn, self.lanes, host().vector_bits, rest)

    def _lines(self, accumulators, pending, unroll, body):
        """``body(j, u)`` for every line j, the u-th of a step; ``accumulators``: what it adds to; ``pending``: see :meth:`_pending`."""
        fn = self.fn
        unrolled = fn.int("and", "%r1", -unroll)

        def step(j, count=unroll):
            for u in range(count):
                body(fn.int("add nsw", j, u) if u else j, u)

        self._blocks(unrolled, unroll, pending, lambda: flushed(accumulators), step)
        with fn.loop(unrolled, "%r1") as j:
            step(j, 1)
        if pending is not None:
            self._flush(pending, unroll, lambda: flushed(accumulators))

    def _accumulate(self, level, roots):
        sets = [[Accumulator(r, self._machine()) for r in level] for _ in range(self.UNROLL)]
        everything = [x for s in sets for x in s]
        for accumulator in everything:
            accumulator.start()
        pending = self._pending(level)
        with self._down() as (i, mask):
            self._lines(everything, pending, self.UNROLL, lambda j, u: self._take(level, self._moved(self.row, 3, j), j, i, sets[u], mask))
        self._join(level, sets)

    def _spread(self):
        with self._down() as (i, mask):
            self._gather_sums([k for k, o in enumerate(self.outputs) if o.summed])
            sums = list(self.sums.values())
            pending = self._pending([a.reduction for a in sums])
            self._lines(sums, pending, 1, lambda j, u: self._finish(self._moved(self.row, 3, j), j, i, mask))
            for k, accumulator in self.sums.items():
                if self.layout[k] == "s":
                    self._add_across(k, self.row[k])
                    continue
                machine, access = self._machine(), Access(self.fn, self.lanes, mask)
                place, type = self._place(k, self._along(k, self.row[k], i)), self.types[k]
                access.write(place, [machine.sum(access.read(place, type), *accumulator.values(), type)], [type])


MODES = {"row": AlongRows, "short": AlongShortLines, "column": DownColumns}
