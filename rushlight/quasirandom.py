"""Sobol sequences: points that fill the unit cube more evenly than random ones.

Along each dimension, bit k of a point's number (in Gray code) stands for a direction number v[k], and a coordinate is the exclusive or of
those whose bits are set. The direction numbers of a dimension follow from a primitive polynomial over GF(2) and a few first ones, for which
S. Joe and F. Kuo searched (``datasets/sobol.bin.gz``).
"""

import functools
import gzip
import os

import rushlight as torch

__all__ = ["SobolEngine"]

_BITS, _DIMS = 30, 21201


@functools.cache
def _table():
    """(polynomials, first direction numbers): arrays of int64; row d of the second holds as many as polynomial d has degrees."""
    import numpy as np

    with gzip.open(os.path.join(os.path.dirname(__file__), "datasets", "sobol.bin.gz")) as file:
        content = np.frombuffer(file.read(), np.uint8)
    polynomials = 2 * np.flatnonzero(np.unpackbits(content[: 1 << 15])) + 1
    bits, at = np.unpackbits(content[1 << 15 :]), 0
    first = np.ones((len(polynomials), 18), np.int64)
    degrees = np.frexp(polynomials)[1] - 1
    for degree in range(1, 19):  # all of a degree lie together; number k (from 0) is odd and below 2^(k + 1): k bits
        rows = np.flatnonzero(degrees == degree)
        size = degree * (degree - 1) // 2
        block = bits[at : at + len(rows) * size].reshape(len(rows), size).astype(np.int64)
        at, column = at + len(rows) * size, 0
        for k in range(1, degree):
            first[rows, k] = 2 * (block[:, column : column + k] @ (1 << np.arange(k)[::-1])) + 1
            column += k
    return polynomials, first


def _directions(dimension):
    """Direction numbers, (dimension, 30) int64: bit 29 stands for one half."""
    import numpy as np

    polynomials, first = _table()
    v = np.ones((dimension, _BITS), np.int64)
    polynomials, first = polynomials[: dimension - 1], first[: dimension - 1]
    degrees = np.frexp(polynomials)[1] - 1
    for degree in np.unique(degrees):
        rows = np.flatnonzero(degrees == degree)
        part, polynomial = v[rows + 1], polynomials[rows]
        part[:, :degree] = first[rows, :degree]
        for j in range(degree, _BITS):
            new = part[:, j - degree].copy()
            for k in range(1, degree + 1):
                new ^= np.where(polynomial >> (degree - k) & 1, part[:, j - k] << k, 0)
            part[:, j] = new
        v[rows + 1] = part
    return torch.from_numpy(v << np.arange(_BITS)[::-1])


class SobolEngine:
    """Draws the points of a Sobol sequence in [0, 1)^dimension, in order.

    dimension: 1 to 21201 (ValueError otherwise). scramble: the directions are multiplied by random lower triangular matrices over
    GF(2), and all points shifted by a random one: as even, and different for each ``seed`` (an int; None for one that follows
    :func:`rushlight.manual_seed`).

    >>> torch.quasirandom.SobolEngine(2).draw(4)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500],
            [0.2500, 0.7500]])
    """

    MAXBIT = _BITS
    MAXDIM = _DIMS

    def __init__(self, dimension, scramble=False, seed=None):
        if dimension > _DIMS or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {_DIMS}]\n  It was asked for {dimension}.")
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self.sobolstate = _directions(dimension)
        self.shift = torch.zeros(dimension, dtype=torch.int64, device="cpu")
        if scramble:
            self._scramble()
        self.num_generated = 0

    def _scramble(self):
        """Multiplies the bits of the direction numbers by random triangular matrices, and draws the shift."""
        generator = None if self.seed is None else torch.Generator("cpu").manual_seed(self.seed)
        powers = 1 << torch.arange(_BITS, device="cpu")
        shift = torch.randint(2, (self.dimension, _BITS), device="cpu", generator=generator)
        self.shift = (shift * powers).sum(1)
        matrices = torch.randint(2, (self.dimension, _BITS, _BITS), device="cpu", generator=generator).tril(-1)
        matrices = matrices + torch.eye(_BITS, dtype=torch.int64, device="cpu")
        powers = powers.flip(0)  # bits count from the half downwards
        bits = (self.sobolstate.unsqueeze(-1) & powers != 0).double()  # (dimension, direction, bit)
        turned = (bits @ matrices.transpose(1, 2).double()).long() & 1
        self.sobolstate = (turned * powers).sum(-1)

    @property
    def quasi(self):
        """The integers of the point drawn last, or of the first one: bit 29 stands for one half."""
        return self._integers(max(self.num_generated - 1, 0), 1)[0]

    def _integers(self, start, n):
        numbers = torch.arange(start, start + n, device="cpu")
        gray = numbers ^ numbers >> 1
        points = self.shift.expand(n, self.dimension)
        for k in range(max(start + n - 1, 0).bit_length()):
            points = points ^ (gray >> k & 1).unsqueeze(1) * self.sobolstate[:, k]
        return points

    def draw(self, n=1, out=None, dtype=None):
        """The next n points, (n, dimension), of the default dtype or ``dtype``; into ``out`` if given."""
        if self.num_generated + n > 1 << _BITS:
            raise ValueError(
                f"a Sobol sequence of {_BITS} bits has 2**{_BITS} points; {self.num_generated} are drawn, {n} more were wanted"
            )
        dtype = torch.get_default_dtype() if dtype is None else dtype
        points = self._integers(self.num_generated, n).to(dtype) * 2.0**-_BITS
        if self.num_generated == 0 and n:
            points[0] = self.shift / 2**_BITS  # PyTorch keeps the first point in the default dtype
        self.num_generated += n
        return points if out is None else out.resize_as_(points).copy_(points)

    def draw_base2(self, m, out=None, dtype=None):
        """The next 2**m points. They are balanced only where the total of points drawn is a power of 2: ValueError otherwise."""
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: n={self.num_generated}+2**{m}={total}. "
                "If you still want to do this, please use 'SobolEngine.draw()' instead."
            )
        return self.draw(n, out=out, dtype=dtype)

    def reset(self):
        """Starts the sequence again, with the same scrambling; returns the engine."""
        self.num_generated = 0
        return self

    def fast_forward(self, n):
        """Leaves out the next n points; returns the engine."""
        self.num_generated += n
        return self

    def __repr__(self):
        shown = [f"dimension={self.dimension}"]
        if self.scramble:
            shown.append("scramble=True")
        if self.seed is not None:
            shown.append(f"seed={self.seed}")
        return f"{type(self).__name__}({', '.join(shown)})"
