"""Winograd's minimal filtering, as LLVM text: windows of r x r places by (r + 1)^2 products for 4 pixels, rows of r by r + 1 for 2.

    Y = A' [(G g G') . (B' d B)] A        g: the window; d: the elements that a *tile* of 2 x 2 pixels Y needs; .: by elements
    y = A' [(G g) . (B' d)]               g: a row of it; d: what a tile of 1 x 2 pixels y needs

The two pixels are coefficients of a product of polynomials, made from its values at r points and infinity (:func:`matrices`). Three numbers
of a row meet four elements, at 0, 1, -1 and infinity:

    m = (d2 - d0) -g0, (d1 + d2) (g0 + g1 + g2) / 2, (d2 - d1) (g0 - g1 + g2) / 2, (d3 - d1) g2      y = m0 + m1 + m2, m1 - m2 + m3

Summed over channels, the products at each of the *positions* are a product of matrices: weights by tiles. ``_core/winograd.pyx`` has the
kernels of :mod:`.gemm` make it; those here go from an image to panels of tiles, a vector of tiles at a time, and from sums to an image.

Winograd, Arithmetic Complexity of Computations (1980); Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016).
"""

from fractions import Fraction

from . import cpu
from .gemm import Writer, at, loop
from .schemes import Scheme
from .text import literal, mangled, vector

NAMES = ("scatter", "gather", "spread")  # the table
POINTS = 0, 1, -1, Fraction(1, 2), -2  # infinity is one more


def matrices(taps):
    """A, G and B of two pixels of a row of ``taps`` numbers (Toom and Cook): a row of each for each position.

    At a point p, G evaluates the window and A the pixels as polynomials; B is the interpolation's polynomial, transposed. The scale of a
    row of G comes first: (scale, numbers).
    """
    points = POINTS[:taps]
    a = [[1, p] for p in points] + [[0, 1]]
    g = [[p**i for i in range(taps)] for p in points] + [[0] * (taps - 1) + [1]]
    scales, b = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = Fraction(1)
        for q in others:
            scale /= p - q
        scales.append(scale)
        b.append([*_polynomial(others), 0])
    return a, list(zip([*scales, 1], g)), [*b, _polynomial(points)]


def _polynomial(roots):
    """The coefficients of the product of all x - root, the constant first."""
    found = [1]
    for root in roots:
        found = [high - root * low for high, low in zip([0, *found], [*found, 0])]
    return found


def kernels(source, taps, high, narrow=False):
    """(address, lanes): that of ``void table(void **entries)``, which writes the addresses of three functions, and the tiles of a vector.

        void scatter(char **rows, int64_t *channel, int64_t loaded, int64_t stored, char *panel, int64_t position, int64_t row,
                     int64_t channels)
        int64_t gather(char *sums, int64_t position, int64_t row, char *out, int64_t out_row, int64_t channel, char *bias,
                       int64_t next_bias, int64_t stored, int64_t rows, int64_t channels)
        void spread(...)  as scatter

    scatter transforms a run of tiles, at most a vector, of each channel: rows[r] is where column 0 of row r of the first tile would be read
    in channel 0, channel[r] how far the next channel's is; columns in the bit set ``loaded`` are read, others are zero. Lane i of row c,
    ``row`` from one to the next, of the panel of a position, ``position`` from one to the next, is set if bit i of ``stored`` is.
    spread does so with the pixels' gradient, A Y A', of which there are ``high`` rows.
    gather is scatter backwards, and adds a number of ``bias`` to each channel: ``row`` is from one channel's sums to the next one's,
    ``channel`` from its pixels to the next one's, ``out_row`` from the first row of pixels to the second, which is written if ``rows`` is
    2. Columns in ``stored`` are written. Strides are in bytes. Returns whether a pixel is infinite or not a number.
    taps: 2 to 5, those of a window along a dim. high: the rows of a tile's pixels, 2 or 1.
    """
    scheme = Scheme(source, narrow)
    kind = taps, high, *sorted(scheme.numbers().items())
    return cpu._kernel("winograd", source, (), kind, lambda symbol: _Tiles(scheme, taps, high).write(symbol)), scheme.lanes


class _Tiles(Writer):
    names = NAMES

    def __init__(self, scheme, taps, high):
        super().__init__(scheme)
        self.side, self.high = taps + 1, high
        self.a, _, self.b = matrices(taps)

    def functions(self):
        """What each function returns, its parameters, and what writes its body."""
        into = "ptr %rows, ptr %channel, i64 %loaded, i64 %stored, ptr %panel, i64 %position, i64 %row, i64 %channels"
        back = ("ptr %sums, i64 %position, i64 %row, ptr %out, i64 %outrow, i64 %channel, ptr %bias, i64 %nextbias, i64 %stored, "
                "i64 %rows, i64 %channels")  # fmt: skip
        return {
            "scatter": ("void", into, lambda fn: self._scatter(fn, self.side if self.high == 2 else 1, self.b)),
            "gather": ("i64", back, self._gather),
            "spread": ("void", into, lambda fn: self._scatter(fn, self.high, self.a)),
        }

    # -- an image's elements become panels --

    def _scatter(self, fn, rows, matrix):
        """Tiles of so many rows, two columns from one to the next: those from the third on are the next one's first."""
        s, side = self.scheme, len(matrix[0])
        firsts = [column + half * s.lanes for column in range(0, side, 2) for half in (0, 1)]
        masks, stored = [self._bits(fn, "%loaded", first) for first in firsts], self._bits(fn, "%stored", 0)
        starts = [fn.emit(f"load ptr, ptr {at(fn, '%rows', 8 * r)}") for r in range(rows)]
        steps = [fn.emit(f"load i64, ptr {at(fn, '%channel', 8 * r)}") for r in range(rows)]

        def channel(c):
            tiles = []
            for row, step in zip(starts, steps):
                start = at(fn, row, fn.int("mul", c, step))
                x = [self._load(fn, at(fn, start, first * s.unit_bytes), mask) for first, mask in zip(firsts, masks)]
                columns = [self._every_other(fn, x[i], x[i + 1], first) for i in range(0, len(x), 2) for first in (0, 1)]
                tiles.append(columns[:side])
            place = at(fn, "%panel", fn.int("mul", c, "%row"))
            for i, x in enumerate(self._transform(fn, tiles, matrix)):
                self.store_lanes(fn, x, at(fn, place, fn.int("mul", "%position", i)), stored)

        loop(fn, "each", "0", "%channels", 1, channel)

    # -- sums become an image's pixels --

    def _gather(self, fn):
        s = self.scheme
        masks = [self._bits(fn, "%stored", first) for first in (0, s.lanes)]
        two = fn.emit("icmp eq i64 %rows, 2")
        wrong, zero = fn.alloca(self.kind), self._splat(fn, literal(0, s.accumulator))
        fn.do(f"store {self.kind} {zero}, ptr {wrong}")

        def channel(c):
            start = at(fn, "%sums", fn.int("mul", c, "%row"))
            places = [at(fn, start, fn.int("mul", "%position", i)) for i in range(self.side**self.high)]
            sums = [fn.emit(f"load {self.v}, ptr {place}, align {s.unit_bytes}") for place in places]
            bias = self._broadcast(fn, at(fn, "%bias", fn.int("mul", c, "%nextbias")))
            y = self._transform(fn, [sums[i : i + self.side] for i in range(0, len(sums), self.side)], list(zip(*self.a)))
            y = [self._arithmetic(fn, "add", x, bias) for x in y]
            total = fn.emit(f"load {self.kind}, ptr {wrong}")
            for x in y:  # 0 times a number is 0
                total = self._multiply_add(fn, x, zero, total)
            fn.do(f"store {self.kind} {total}, ptr {wrong}")
            place = at(fn, "%out", fn.int("mul", c, "%channel"))
            self._store_row(fn, place, y[:2], masks)
            if self.high == 2:
                with fn.when(two):
                    self._store_row(fn, at(fn, place, "%outrow"), y[2:], masks)

        loop(fn, "each", "0", "%channels", 1, channel)
        found = fn.emit(f"load {self.kind}, ptr {wrong}")
        unordered = fn.emit(f"fcmp uno {self.kind} {found}, {zero}")
        bits, evens = vector(s.lanes, "i1"), ", ".join(f"i32 {2 * i}" for i in range(s.lanes))
        written = fn.emit(f"shufflevector {bits} {masks[0]}, {bits} {masks[1]}, {vector(s.lanes, 'i32')} <{evens}>")
        some = fn.call(f"llvm.vector.reduce.or.v{s.lanes}i1", "i1", f"{bits} {fn.emit(f'and {bits} {unordered}, {written}')}")
        return fn.emit(f"zext i1 {some} to i64")

    def _store_row(self, fn, place, pixels, masks):
        """The even and the odd pixels of a row."""
        s = self.scheme
        for half, mask in enumerate(masks):
            first = half * s.lanes // 2
            picks = ", ".join(f"i32 {first + i // 2 + i % 2 * s.lanes}" for i in range(s.lanes))
            x = fn.emit(f"shufflevector {self.v} {pixels[0]}, {self.v} {pixels[1]}, {vector(s.lanes, 'i32')} <{picks}>")
            self.store_lanes(fn, x, at(fn, place, half * s.lanes * s.unit_bytes), mask)

    # -- both --

    def _transform(self, fn, rows, matrix):
        """M x M' of the rows of vectors x, row by row; of a single row M x."""
        across = [self._combined(fn, matrix, row) for row in rows]
        if self.high == 1:
            return across[0]
        down = [self._combined(fn, matrix, list(column)) for column in zip(*across)]
        return [column[i] for i in range(len(matrix)) for column in down]

    def _combined(self, fn, matrix, x):
        """The sums of x, times the numbers of each row of the matrix."""
        found = []
        for row in matrix:
            terms = sorted((abs(number) != 1, number < 0, i, number) for i, number in enumerate(row) if number)
            total = None
            for scaled, negative, i, number in terms:
                if total is None and (scaled or negative):
                    total = self._arithmetic(fn, "mul", x[i], self._splat(fn, literal(float(number), self.scheme.accumulator)))
                elif total is None:
                    total = x[i]
                elif scaled:
                    total = self._multiply_add(fn, x[i], self._splat(fn, literal(float(number), self.scheme.accumulator)), total)
                else:
                    total = self._arithmetic(fn, "sub" if negative else "add", total, x[i])
            found.append(total)
        return found

    def _every_other(self, fn, a, b, first):
        """Elements ``first``, ``first`` + 2, ... of a and b, which follow each other."""
        picks = ", ".join(f"i32 {first + 2 * i}" for i in range(self.scheme.lanes))
        return fn.emit(f"shufflevector {self.v} {a}, {self.v} {b}, {vector(self.scheme.lanes, 'i32')} <{picks}>")

    def _load(self, fn, place, mask):
        s = self.scheme
        return fn.call(
            f"llvm.masked.load.{mangled(s.lanes, s.unit)}.p0", self.v,
            f"ptr {place}", f"i32 {s.unit_bytes}", f"{vector(s.lanes, 'i1')} {mask}", f"{self.v} zeroinitializer",
        )  # fmt: skip

    def _bits(self, fn, word, first):
        """A vector's mask: the bits of a word from bit ``first`` on."""
        lanes = self.scheme.lanes
        part = fn.int("lshr", word, first)
        return fn.emit(f"bitcast i{lanes} {fn.emit(f'trunc i64 {part} to i{lanes}')} to {vector(lanes, 'i1')}")
