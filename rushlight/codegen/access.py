"""Vectors of elements in memory: contiguous, broadcast, strided or at given offsets, whole or masked.

Masked-off lanes of strided reads read lane 0's element, so no gather needs a mask of its own (which has no instruction
for narrow types); lane 0 of a masked vector must exist. Writes are masked.
"""

from ..lang import types as ty
from .llvm import host
from .memory import loaded, memory_type, storable
from .text import mangled, vector

PERMUTATION = {"float": "ps", "i32": "d"}  # of elements in two registers, by what AVX-512 calls the instruction


class Place:
    """Where a vector of one operand lies.

    address: of lane 0's element, before ``offsets``; letter: ``c``, ``s`` or ``v``; steps: the lanes' distances in bytes (``v``); offsets:
    a further byte offset for each lane, or None, and its type in ``offset_type``; near: the offsets are (docs/internals.md); stored: the
    operand's type in memory.
    """

    def __init__(self, address, letter, stored, steps=None, offsets=None, offset_type="i64", near=False):
        self.address, self.letter, self.stored, self.steps, self.offsets = address, letter, stored, steps, offsets
        self.offset_type, self.near = offset_type, near
        self.wide = {}  # interleaved complex vectors: mask -> value


class Access:
    """Reads and writes vectors of ``lanes`` elements; ``mask``: the value of a mask vector, or None for whole vectors."""

    def __init__(self, fn, lanes, mask=None, stream_align=None):
        self.fn, self.lanes, self.mask, self.stream_align = fn, lanes, mask, stream_align

    # -- reading --

    def read(self, place, wanted, index=0):
        """The elements at ``place`` as values of type ``wanted``; index 1 reads the imaginary parts of a complex operand."""
        part = ty.part(place.stored)
        if place.offsets is None and place.letter == "s":
            raw = self._broadcast(place, part, index)
        elif place.offsets is None and place.letter == "c":
            raw = self._contiguous(place, part, index)
        else:
            raw = self._gather(place, part, index)
        return loaded(self.fn, self.lanes, raw, part, wanted)

    def _broadcast(self, place, part, index):
        scalar = memory_type(part)
        address = advance(self.fn, place.address, scalar_bytes(scalar)) if index else place.address
        value = self.fn.emit(f"load {scalar}, ptr {address}, align {scalar_bytes(scalar)}")
        return splat(self.fn, self.lanes, scalar, value)

    def _contiguous(self, place, part, index):
        scalar = memory_type(part)
        if not ty.is_complex(place.stored):
            return self._load(place.address, scalar, self.lanes)
        if self.mask not in place.wide:
            place.wide[self.mask] = self._load(place.address, scalar, 2 * self.lanes)
        return self._every_other(place.wide[self.mask], scalar, index)

    def _every_other(self, wide, scalar, index):
        """The real (index 0) or imaginary parts of an interleaved vector."""
        v = vector(2 * self.lanes, scalar)
        picks = ", ".join(f"i32 {2 * i + index}" for i in range(self.lanes))
        return self.fn.emit(f"shufflevector {v} {wide}, {v} poison, {vector(self.lanes, 'i32')} <{picks}>")

    def _load(self, address, scalar, lanes):
        v, align = vector(lanes, scalar), scalar_bytes(scalar)
        if self.mask is None:
            return self.fn.emit(f"load {v}, ptr {address}, align {align}")
        return self.fn.call(
            f"llvm.masked.load.{mangled(lanes, scalar)}.p0", v,
            f"ptr {address}", f"i32 {align}", f"{vector(lanes, 'i1')} {self._mask(lanes)}", f"{v} zeroinitializer",
        )  # fmt: skip

    def _mask(self, lanes):
        """The mask for ``lanes`` elements: each lane's bit twice for interleaved complex numbers."""
        if lanes == self.lanes:
            return self.mask
        v = vector(self.lanes, "i1")
        picks = ", ".join(f"i32 {i // 2}" for i in range(lanes))
        return self.fn.emit(f"shufflevector {v} {self.mask}, {v} poison, {vector(lanes, 'i32')} <{picks}>")

    def _pointers(self, place, index):
        """The address of each lane's element; masked-off lanes have lane 0's."""
        fn, kind = self.fn, "i32" if place.offset_type == "i32" and place.letter == "s" else "i64"
        v, offsets = vector(self.lanes, kind), self._steps(place)
        if place.offsets is not None:
            given = place.offsets
            if place.offset_type != kind:
                given = fn.emit(f"sext {vector(self.lanes, 'i32')} {given} to {v}")
            offsets = given if place.letter == "s" else fn.emit(f"add {v} {offsets}, {given}")
        if self.mask is not None:
            spare = "zeroinitializer" if place.offsets is None else splat(fn, self.lanes, kind, first(fn, self.lanes, offsets, kind))
            offsets = fn.emit(f"select {vector(self.lanes, 'i1')} {self.mask}, {v} {offsets}, {v} {spare}")
        address = advance(fn, place.address, ty.BITS[ty.part(place.stored)] // 8) if index else place.address
        return fn.emit(f"getelementptr i8, ptr {address}, {v} {offsets}")

    def _steps(self, place):
        if place.letter == "v":
            return place.steps
        if place.letter == "s":
            return "zeroinitializer"
        return counted(self.lanes, "i64", ty.BITS[place.stored] // 8)

    def _gather(self, place, part, index):
        scalar = memory_type(part)
        if place.near and place.letter == "s" and scalar in PERMUTATION and self.lanes == 16 and host().x86 and host().vector_bits == 512:
            return self._looked_up(place, scalar)
        v, pointers = vector(self.lanes, scalar), self._pointers(place, index)
        return self.fn.call(
            f"llvm.masked.gather.{mangled(self.lanes, scalar)}.v{self.lanes}p0", v,
            f"{vector(self.lanes, 'ptr')} {pointers}", f"i32 {scalar_bytes(scalar)}",
            f"{vector(self.lanes, 'i1')} splat (i1 true)", f"{v} poison",
        )  # fmt: skip

    def _looked_up(self, place, scalar):
        """A gather within 32 elements, the first lane's being the first: two registers are loaded, up to the last one's."""
        fn, kind, v, lanes = self.fn, vector(16, "i32"), vector(16, scalar), self.lanes
        begin = fn.emit(f"extractelement {kind} {place.offsets}, i64 0")
        steps = fn.emit(f"sub {kind} {place.offsets}, {splat(fn, lanes, 'i32', begin)}")
        steps = fn.emit(f"ashr exact {kind} {steps}, splat (i32 2)")
        if self.mask is None:
            last = fn.emit(f"extractelement {kind} {steps}, i64 15")
        else:
            used = fn.emit(f"select {vector(16, 'i1')} {self.mask}, {kind} {steps}, {kind} zeroinitializer")
            last = fn.call("llvm.vector.reduce.smax.v16i32", "i32", f"{kind} {used}")
        last, base, halves = splat(fn, lanes, "i32", last), advance(fn, place.address, fn.emit(f"sext i32 {begin} to i64")), []
        for half in (0, 16):
            mask = fn.emit(f"icmp sge {kind} {last}, <{', '.join(f'i32 {half + i}' for i in range(16))}>")
            where = (f"ptr {advance(fn, base, 4 * half)}", "i32 4", f"{vector(16, 'i1')} {mask}", f"{v} zeroinitializer")
            halves.append(fn.call(f"llvm.masked.load.{mangled(16, scalar)}.p0", v, *where))
        pick = f"llvm.x86.avx512.vpermi2var.{PERMUTATION[scalar]}.512"
        return fn.call(pick, v, f"{v} {halves[0]}", f"{kind} {steps}", f"{v} {halves[1]}")

    # -- writing --

    def write(self, place, values, types, add=None):
        """Write ``values`` (one, or the two parts of complex numbers) of element types ``types``.

        add(old, new, type): combines what memory held with the new value, for contiguous places; None overwrites.
        """
        part = ty.part(place.stored)
        contiguous = place.offsets is None and (place.letter == "c" or self.lanes == 1)
        if not contiguous:
            for index, (value, type) in enumerate(zip(values, types, strict=True)):
                self._scatter(place, index, storable(self.fn, self.lanes, value, type, part), memory_type(part))
            return
        scalar, count = memory_type(part), len(values) * self.lanes
        if add is not None:
            old = self._load(place.address, scalar, count)
            held = [old] if len(values) == 1 else [self._every_other(old, scalar, index) for index in (0, 1)]
            held = [loaded(self.fn, self.lanes, h, part, t) for h, t in zip(held, types, strict=True)]
            values = [add(h, v, t) for h, v, t in zip(held, values, types, strict=True)]
        raws = [storable(self.fn, self.lanes, v, t, part) for v, t in zip(values, types, strict=True)]
        self._store(place.address, raws[0] if len(raws) == 1 else self._interleaved(raws, scalar), scalar, count)

    def _interleaved(self, raws, scalar):
        v = vector(self.lanes, scalar)
        picks = ", ".join(f"i32 {i // 2 + (i % 2) * self.lanes}" for i in range(2 * self.lanes))
        return self.fn.emit(f"shufflevector {v} {raws[0]}, {v} {raws[1]}, {vector(2 * self.lanes, 'i32')} <{picks}>")

    def _store(self, address, raw, scalar, lanes):
        v, align = vector(lanes, scalar), scalar_bytes(scalar)
        if self.mask is not None:
            self.fn.call(
                f"llvm.masked.store.{mangled(lanes, scalar)}.p0", "void",
                f"{v} {raw}", f"ptr {address}", f"i32 {align}", f"{vector(lanes, 'i1')} {self._mask(lanes)}",
            )  # fmt: skip
        elif self.stream_align:
            self.fn.do(f"store {v} {raw}, ptr {address}, align {self.stream_align}, !nontemporal !0")
        else:
            self.fn.do(f"store {v} {raw}, ptr {address}, align {align}")

    def _scatter(self, place, index, raw, scalar):
        self.fn.call(
            f"llvm.masked.scatter.{mangled(self.lanes, scalar)}.v{self.lanes}p0", "void",
            f"{vector(self.lanes, scalar)} {raw}", f"{vector(self.lanes, 'ptr')} {self._pointers(place, index)}",
            f"i32 {scalar_bytes(scalar)}", f"{vector(self.lanes, 'i1')} {self.mask or 'splat (i1 true)'}",
        )  # fmt: skip


# -- small things about vectors ----------------------------------------------------------------------------------------


def tail_mask(fn, lanes, vector_bits, rest):
    """The mask of the first ``rest`` (an i64, at most ``lanes``) lanes."""
    kind = f"i{max(8, min(64, vector_bits // lanes))}"
    if kind != "i64":
        rest = fn.emit(f"trunc i64 {rest} to {kind}")
    return fn.emit(f"icmp ugt {vector(lanes, kind)} {splat(fn, lanes, kind, rest)}, {counted(lanes, kind)}")


def counted(lanes, kind, step=1):
    """The constant vector 0, step, 2 * step ..."""
    return "<" + ", ".join(f"{kind} {i * step}" for i in range(lanes)) + ">"


def strided(fn, lanes, stride):
    """The lanes' distances for a byte stride."""
    return fn.emit(f"mul {vector(lanes, 'i64')} {counted(lanes, 'i64')}, {splat(fn, lanes, 'i64', stride)}")


def splat(fn, lanes, scalar, value):
    """A scalar in every lane."""
    v = vector(lanes, scalar)
    one = fn.emit(f"insertelement {v} poison, {scalar} {value}, i64 0")
    return fn.emit(f"shufflevector {v} {one}, {v} poison, {vector(lanes, 'i32')} zeroinitializer")


def advance(fn, address, offset):
    """``address`` plus ``offset`` bytes."""
    return fn.emit(f"getelementptr i8, ptr {address}, i64 {offset}")


def first(fn, lanes, offsets, kind="i64"):
    """Lane 0 of a vector of integers."""
    return fn.emit(f"extractelement {vector(lanes, kind)} {offsets}, i64 0")


def scalar_bytes(scalar):
    """The size of an LLVM scalar type."""
    return {"half": 2, "float": 4, "double": 8}.get(scalar) or int(scalar[1:]) // 8
