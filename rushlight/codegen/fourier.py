"""Kernels of Fourier transforms, as LLVM text. ``_core/fourier.pyx`` drives them.

Stockham's algorithm, which needs no reordering. One step takes the transforms of r m points apart into r of m points each, for s columns
beside each other,

    y[p, k, :] = w^(p k) * sum over j of x[j, p, :] w_r^(j k)        x: (r, m, s), y: (m, r, s), w = exp(-2 pi i / (r m))

and the next does the same to the m points, with r s columns. What is transformed are *blocks*: a vector register of real parts, then one of
imaginary parts. Their lanes are as many transforms, so a step is nothing but vector arithmetic. Lanes come from

    rows        as many transforms, transposed on their way in and out (codegen/transpose.py)
    columns     neighbours along an inner dim
    one row     of n = r m points, as the r results of its first step (:func:`first`) or of that of a long row (:func:`cross`)

All transforms are forward ones: the inverse is the transform of numbers whose real and imaginary parts are exchanged, exchanged again.
"""

import cmath
import functools
import math

from . import cpu, llvm
from .gemm import at, transposed
from .text import LLVM_TYPE, Function, literal, mangled, vector

FIELDS = ("xr", "xi", "xrow", "yr", "yi", "yrow", "table", "m", "s", "given", "more", "group")
"""What a kernel is told, 8 bytes each: where real and imaginary parts lie, source (x) and target (y), with the bytes from row to row;
factors; the sizes of a step; how many lanes of a row are ``given`` in memory; for :func:`cross` more factors and the group of columns."""

RADICES = (16, 13, 11, 9, 8, 7, 5, 4, 3, 2)  # of the steps

# How the rows of a source or target lie in memory: blocks; "rows" of real and of imaginary parts, in two places; "pairs" (re, im), or pairs
# that are to be exchanged, "swapped".
KINDS = ("blocks", "rows", "pairs", "swapped")


def lanes(type):
    """Numbers of ``type`` ("f32" or "f64") in a vector register."""
    return llvm.host().vector_bits // (8 * SIZE[type])


SIZE = {"f32": 4, "f64": 8}


def step(type, radix, source="blocks", target="blocks", last=False):
    """One step for ``m`` places and ``s`` columns of blocks; a last one (m = 1) multiplies by the number at ``table`` in place of roots."""
    return _kernel("step", type, (radix, source, target, last), lambda w: w.step(radix, source, target, last))


def first(type, radix, source):
    """The first step of a single row of radix * m points, which lie side by side: blocks of ``radix`` lanes."""
    return _kernel("first", type, (radix, source), lambda w: w.first(radix, source))


def cross(type):
    """What leads from the transforms over columns to those over rows: times w^(column * row), then transposed, for one group of columns."""
    return _kernel("cross", type, (), lambda w: w.cross())


def unpack(type, source, target):
    """The half spectrum of 2 m real numbers from the transform of m pairs of them. Sources are one row ("rows") or blocks."""
    return _kernel("unpack", type, (source, target), lambda w: w.halves(source, target, _Writer.unpacked, 1))


def pack(type, source, target):
    """The reverse: m complex numbers, whose inverse transform are the pairs of a real signal, from its half spectrum of m + 1."""
    return _kernel("pack", type, (source, target), lambda w: w.halves(source, target, _Writer.packed, 0))


def multiply(type, source, target):
    """y = x * table for a row of ``m`` numbers."""
    return _kernel("multiply", type, (source, target), lambda w: w.multiply(source, target))


def _kernel(name, type, flags, body):
    def write(symbol):
        writer = _Writer(type)
        body(writer)
        writer.fn.do("ret void")
        return llvm.module(writer.fn, symbol, "ptr %pass")

    return cpu._kernel("fourier", name, type, flags, write)


class _Writer:
    """Writes one kernel. Within it a real number is (value's name, is it to be negated?), so that signs and turns by i cost nothing."""

    def __init__(self, type):
        self.type, self.scalar, self.size, self.lanes = type, LLVM_TYPE[type], SIZE[type], lanes(type)
        self.v, self.bits, self.block = vector(self.lanes, self.scalar), vector(self.lanes, "i1"), 2 * self.lanes * SIZE[type]
        self.fn = Function()
        self.fn.label("entry")
        for i, field in enumerate(FIELDS):
            kind = "ptr" if field in ("xr", "xi", "yr", "yi", "table", "more") else "i64"
            setattr(self, field, self.fn.emit(f"load {kind}, ptr {at(self.fn, '%pass', 8 * i)}"))

    # -- real numbers --

    def plus(self, a, b):
        """a + b."""
        (a, minus_a), (b, minus_b) = a, b
        if minus_a == minus_b:
            return self.fn.emit(f"fadd {self.v} {a}, {b}"), minus_a
        return (self.fn.emit(f"fsub {self.v} {a}, {b}"), False) if minus_b else (self.fn.emit(f"fsub {self.v} {b}, {a}"), False)

    def times(self, a, b):
        """a * b."""
        return self.fn.emit(f"fmul {self.v} {a[0]}, {b[0]}"), a[1] != b[1]

    def fma(self, a, b, c):
        """a * b + c."""
        minus = a[1] != b[1]
        plus = c[0] if c[1] == minus else self.fn.emit(f"fneg {self.v} {c[0]}")
        name = f"llvm.fma.{mangled(self.lanes, self.scalar)}"
        return self.fn.call(name, self.v, f"{self.v} {a[0]}", f"{self.v} {b[0]}", f"{self.v} {plus}"), minus

    def constant(self, value):
        """A number known beforehand."""
        return f"splat ({self.scalar} {literal(abs(value), self.type)})", value < 0

    def value(self, a):
        """The name of a number's value."""
        return self.fn.emit(f"fneg {self.v} {a[0]}") if a[1] else a[0]

    def splat(self, place):
        """The number at an address, in all lanes."""
        one = self.fn.emit(f"insertelement {self.v} poison, {self.scalar} {self.fn.emit(f'load {self.scalar}, ptr {place}')}, i64 0")
        return self.fn.emit(f"shufflevector {self.v} {one}, {self.v} poison, {vector(self.lanes, 'i32')} zeroinitializer"), False

    # -- complex numbers: (re, im) --

    def sum(self, x, y):
        """x + y."""
        return self.plus(x[0], y[0]), self.plus(x[1], y[1])

    def difference(self, x, y):
        """x - y."""
        return self.sum(x, (_minus(y[0]), _minus(y[1])))

    def product(self, x, w):
        """x * w."""
        (a, b), (c, d) = x, w
        return self.fma(a, c, _minus(self.times(b, d))), self.fma(b, c, self.times(a, d))

    def rotated(self, x, turn):
        """x times exp(-2 pi i turn)."""
        eighths = 8 * turn % 8
        if eighths % 2 == 0:  # by quarters
            re, im = x
            return ((re, im), (im, _minus(re)), (_minus(re), _minus(im)), (_minus(im), re))[int(eighths) // 2]
        if eighths == int(eighths):
            re, im = self.rotated(x, (eighths - 1) / 8)
            half = self.constant(math.sqrt(0.5))
            return self.times(half, self.plus(re, im)), self.times(half, self.plus(im, _minus(re)))
        w = cmath.exp(-2j * math.pi * turn)
        return self.product(x, (self.constant(w.real), self.constant(w.imag)))

    def butterfly(self, x):
        """The transform of numbers, which are given as functions that load them: yields (place, number), each when it is known.

        So few registers are taken at a time, by numbers that wait.
        """
        r = len(x)
        a = next((a for a in (4, 3, 2, 5, 7) if r % a == 0 and r != a), r)
        if a < r:
            yield from self.composite(x, 2 if r == 4 else a)
            return
        x = [number() for number in x]
        if r == 1:
            yield 0, x[0]
        elif r == 2:
            yield 0, self.sum(*x)
            yield 1, self.difference(*x)
        else:
            yield from self.prime(x)

    def composite(self, x, a):
        """Of a b numbers: b transforms of a, turns, a transforms of b."""
        r = len(x)
        b = r // a
        parts = [dict(self.butterfly(x[j::b])) for j in range(b)]
        for k in range(a):
            turned = [functools.partial(self.rotated, parts[j][k], j * k / r) for j in range(b)]
            for q, number in self.butterfly(turned):
                yield k + a * q, number

    def prime(self, x):
        """Of an odd number: what lies opposite is taken together."""
        r = len(x)
        half = range(1, (r + 1) // 2)
        sums, differences = [self.sum(x[j], x[r - j]) for j in half], [self.difference(x[j], x[r - j]) for j in half]
        yield 0, functools.reduce(self.sum, sums, x[0])
        for k in half:
            angles = [2 * math.pi * (j * k % r) / r for j in half]
            even, odd = x[0], None
            for angle, s, d in zip(angles, sums, differences):
                cos, sin = self.constant(math.cos(angle)), self.constant(math.sin(angle))
                even = tuple(self.fma(a, cos, b) for a, b in zip(s, even))
                odd = tuple(self.times(a, sin) if b is None else self.fma(a, sin, b) for a, b in zip(d, odd or (None, None)))
            turned = odd[1], _minus(odd[0])
            yield k, self.sum(even, turned)
            yield r - k, self.difference(even, turned)

    # -- memory --

    def first_lanes(self, count, start=0):
        """Lanes whose number, ``start`` added, is below ``count`` (i64)."""
        v = vector(self.lanes, "i64")
        one = self.fn.emit(f"insertelement {v} poison, i64 {count}, i64 0")
        everywhere = self.fn.emit(f"shufflevector {v} {one}, {v} poison, {vector(self.lanes, 'i32')} zeroinitializer")
        return self.fn.emit(f"icmp sgt {v} {everywhere}, <{', '.join(f'i64 {i + start}' for i in range(self.lanes))}>")

    def masks(self, kind, count):
        """The masks for the first ``count`` numbers of a row: one, or two for pairs."""
        if kind == "blocks":
            return None
        if kind == "rows":
            return self.first_lanes(count), None
        twice = self.fn.int("shl", count, 1)
        return self.first_lanes(twice), self.first_lanes(twice, self.lanes)

    def masks_back(self, kind, count):
        """The same for the last ``count`` of a row that is read backwards: lanes from its end."""
        v = vector(self.lanes, "i64")

        def last(count, start):
            one = self.fn.emit(f"insertelement {v} poison, i64 {count}, i64 0")
            everywhere = self.fn.emit(f"shufflevector {v} {one}, {v} poison, {vector(self.lanes, 'i32')} zeroinitializer")
            return self.fn.emit(f"icmp sgt {v} {everywhere}, <{', '.join(f'i64 {start + self.lanes - 1 - i}' for i in range(self.lanes))}>")

        if kind == "rows":
            return last(count, 0), None
        twice = self.fn.int("shl", count, 1)
        return last(twice, self.lanes), last(twice, 0)

    def read(self, place, mask=None, align=None):
        """A vector."""
        if mask is None:
            return self.fn.emit(f"load {self.v}, ptr {place}, align {align or self.size}")
        arguments = f"ptr {place}", f"i32 {self.size}", f"{self.bits} {mask}", f"{self.v} zeroinitializer"
        return self.fn.call(f"llvm.masked.load.{mangled(self.lanes, self.scalar)}.p0", self.v, *arguments)

    def write(self, value, place, mask=None):
        """Store a vector."""
        if mask is None:
            return self.fn.do(f"store {self.v} {value}, ptr {place}, align {self.size}")
        arguments = f"{self.v} {value}", f"ptr {place}", f"i32 {self.size}", f"{self.bits} {mask}"
        return self.fn.call(f"llvm.masked.store.{mangled(self.lanes, self.scalar)}.p0", "void", *arguments)

    def shuffle(self, a, b, picks):
        """Lanes of a, and then of b."""
        picks = ", ".join(f"i32 {i}" for i in picks)
        return self.fn.emit(f"shufflevector {self.v} {a}, {self.v} {b}, {vector(self.lanes, 'i32')} <{picks}>")

    def load(self, kind, offset, masks, backwards=False):
        """A block of complex numbers at an offset in bytes (of pairs: of their own) from the source's start."""
        a = at(self.fn, self.xr, offset)
        order = range(self.lanes)[::-1] if backwards else range(self.lanes)
        if kind in ("blocks", "rows"):
            values = [self.read(place, masks and masks[0]) for place in (a, at(self.fn, self.xi, offset))]
            if backwards:
                values = [self.shuffle(x, "poison", order) for x in values]
        else:
            low, high = self.read(a, masks[0]), self.read(at(self.fn, a, self.lanes * self.size), masks[1])
            values = [self.shuffle(low, high, [2 * i + part for i in order]) for part in (0, 1)]
        return tuple((x, False) for x in (reversed(values) if kind == "swapped" else values))

    def store(self, kind, offset, x, masks):
        """The reverse."""
        re, im = (self.value(part) for part in (reversed(x) if kind == "swapped" else x))
        a = at(self.fn, self.yr, offset)
        if kind in ("blocks", "rows"):
            self.write(re, a, masks and masks[0])
            self.write(im, at(self.fn, self.yi, offset), masks and masks[0])
        else:
            order = [lane + part * self.lanes for lane in range(self.lanes) for part in (0, 1)]
            self.write(self.shuffle(re, im, order[: self.lanes]), a, masks[0])
            self.write(self.shuffle(re, im, order[self.lanes :]), at(self.fn, a, self.lanes * self.size), masks[1])

    def unit(self, kind):
        """Bytes from one number to the next in a row."""
        return self.size * (2 if kind in ("pairs", "swapped") else 1)

    def offset(self, index, unit):
        """index * unit."""
        return self.fn.int("mul", index, unit)

    def roots(self, place, count, across=False):
        """``count`` complex numbers from a table: the same in all lanes, or a block each."""
        apart = self.block // 2 if across else self.size
        get = (lambda p: (self.read(p), False)) if across else self.splat
        return [tuple(get(at(self.fn, place, (2 * i + part) * apart)) for part in (0, 1)) for i in range(count)]

    # -- kernels --

    def step(self, radix, source, target, last):
        """See :func:`step`."""
        fn = self.fn
        loaded, stored = self.masks(source, self.given), self.masks(target, self.given)
        xrow, yrow = (self.block if kind == "blocks" else row for kind, row in ((source, self.xrow), (target, self.yrow)))
        apart = self.offset(fn.int("mul", self.m, self.s), xrow)
        along = self.offset(self.s, yrow)
        factor = self.splat(self.table) if last else None
        with fn.loop("0", self.m) as p:
            table = at(fn, self.table, fn.int("mul", p, (radix - 1) * 2 * self.size))
            with fn.loop("0", self.s) as c:
                start = self.offset(fn.int("add", fn.int("mul", p, self.s), c), xrow)
                end = self.offset(fn.int("add", fn.int("mul", p, fn.int("mul", self.s, radix)), c), yrow)
                x = [functools.partial(self.load_at, source, start, jump, loaded) for jump in self.jumps(apart, radix)]
                places = self.jumps(along, radix)
                for k, v in self.butterfly(x):
                    v = tuple(self.times(part, factor) for part in v) if last else self.turned(v, table, k)
                    self.store(target, fn.int("add", end, places[k]), v, stored)

    def jumps(self, apart, count):
        """Multiples of a distance."""
        return [self.offset(apart, k) for k in range(count)]

    def load_at(self, kind, start, jump, masks):
        """A block at the sum of two offsets."""
        return self.load(kind, self.fn.int("add", start, jump), masks)

    def turned(self, x, table, k, across=False):
        """x times the k-th factor of a table that begins with the first."""
        size = self.block if across else 2 * self.size
        return self.product(x, self.roots(at(self.fn, table, (k - 1) * size), 1, across)[0]) if k else x

    def first(self, radix, source):
        """See :func:`first`."""
        fn, unit = self.fn, self.unit(source)
        with fn.loop("0", self.m, self.lanes) as p:
            masks, place = self.masks(source, fn.int("sub", self.m, p)), self.offset(p, unit)
            table = at(fn, self.table, self.offset(p, (radix - 1) * 2 * self.size))
            x = [functools.partial(self.load_at, source, place, jump, masks) for jump in self.jumps(self.offset(self.m, unit), radix)]
            y = {k: self.turned(v, table, k, across=True) for k, v in self.butterfly(x)}
            for part, base in ((0, self.yr), (1, self.yi)):
                turned = transposed(fn, [self.value(y[k][part]) for k in range(radix)], self.lanes, self.scalar)
                for i, row in enumerate(turned):
                    self.write(row, at(fn, base, self.offset(fn.int("add", p, i), self.block)))

    def cross(self):
        """See :func:`cross`."""
        fn = self.fn
        with fn.loop("0", self.m, self.lanes) as row:
            y = []
            for i in range(self.lanes):
                k = fn.int("add", row, i)
                place = self.offset(k, self.block)
                near = self.roots(at(fn, self.table, place), 1, across=True)[0]
                far = self.roots(at(fn, self.more, self.offset(fn.int("mul", k, self.group), 2 * self.size)), 1)[0]
                y.append(self.product(self.load("blocks", place, None), self.product(near, far)))
            out = self.offset(fn.int("sdiv exact", row, self.lanes), self.yrow)
            for part, base in ((0, self.yr), (1, self.yi)):
                for i, v in enumerate(transposed(fn, [self.value(v[part]) for v in y], self.lanes, self.scalar)):
                    self.write(v, at(fn, at(fn, base, out), i * self.block))

    def halves(self, source, target, combine, more):
        """From what ``combine`` makes of the numbers k and m - k: along lanes in one row, or for k after k of blocks."""
        fn = self.fn
        single = "rows" in (source, target)
        end = fn.int("add", self.m, more)
        whole = self.masks(source, self.given), self.masks(target, self.given)
        with fn.loop("0", end, self.lanes if single else 1) as k:
            mirror = fn.int("sub", self.m, k)
            if single:
                back = fn.int("sub", mirror, self.lanes - 1)
                loaded = None, None
                if source != "rows":  # the user's memory, of which nothing outside is read
                    loaded = self.masks(source, fn.int("add", mirror, 1)), self.masks_back(source, fn.int("add", mirror, 1))
                stored = None if target == "rows" else self.masks(target, fn.int("sub", end, k))
                steps = self.unit(source), self.unit(target)
                w = self.roots(at(fn, self.table, self.offset(k, 2 * self.size)), 1, across=True)[0]
                one = fn.emit(f"icmp eq i64 {k}, 0")
                edge = fn.emit(f"insertelement {self.bits} zeroinitializer, i1 {one}, i64 0")
            else:
                back, loaded, stored = mirror, (whole[0], whole[0]), whole[1]
                steps = (self.block if kind == "blocks" else row for kind, row in ((source, self.xrow), (target, self.yrow)))
                w = self.roots(at(fn, self.table, self.offset(k, 2 * self.size)), 1)[0]
                edge = fn.emit(f"insertelement {self.bits} poison, i1 {fn.emit(f'icmp eq i64 {k}, 0')}, i64 0")
                edge = fn.emit(f"shufflevector {self.bits} {edge}, {self.bits} poison, {vector(self.lanes, 'i32')} zeroinitializer")
            step, out = steps
            x = self.load(source, self.offset(k, step), loaded[0])
            y = self.load(source, self.offset(back, step), loaded[1], backwards=single)
            self.store(target, self.offset(k, out), combine(self, x, y, w, edge), stored)

    def unpacked(self, x, y, w, edge):
        """(x + conj y) - i w (x - conj y): twice the spectrum's number; halves are in the scale."""
        conj = y[0], _minus(y[1])
        even, odd = self.sum(x, conj), self.difference(x, conj)
        turned = self.product(odd, w)
        return self.sum(even, self.rotated(turned, 0.25))

    def packed(self, x, y, w, edge):
        """(x + conj y) + i conj w (x - conj y); the imaginary parts of both ends are not read."""
        x, y = ((re, (self.fn.emit(f"select {self.bits} {edge}, {self.v} zeroinitializer, {self.v} {im[0]}"), im[1])) for re, im in (x, y))
        conj = y[0], _minus(y[1])
        even, odd = self.sum(x, conj), self.difference(x, conj)
        turned = self.product(odd, (w[0], _minus(w[1])))
        return self.sum(even, self.rotated(turned, -0.25))

    def multiply(self, source, target):
        """See :func:`multiply`."""
        fn = self.fn
        with fn.loop("0", self.m, self.lanes) as k:
            count = fn.int("sub", self.m, k)
            x = self.load(source, self.offset(k, self.unit(source)), self.masks(source, count))
            w = self.roots(at(fn, self.table, self.offset(k, 2 * self.size)), 1, across=True)[0]
            self.store(target, self.offset(k, self.unit(target)), self.product(x, w), self.masks(target, count))


def _minus(a):
    return a[0], not a[1]
