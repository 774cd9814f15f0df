"""Random numbers on a GPU by Philox (random.cu): the same seed gives the same numbers on every GPU, whatever the launch."""

import math
import sys

from ..._core.device import is_capturing
from ..._core.random import Generator
from ..._core.tensor import dtypes
from ...ops import binning, casting, comparison, creation, reduction, shape
from ...ops._expect import expect
from .. import random as _streams
from .._kernels import for_core
from ._family import Family, blocks, name

_random = Family("random.cu", "P out, P first, P second, d a, d b, q n, q seed, q call, q base, q modulus, d floor, P stream")
_SIMPLE = {"uniform": "Uniform", "exponential": "Exponential", "geometric": "Geometric", "cauchy": "Cauchy", "bernoulli": "Bernoulli"}
_SAMPLERS = {"poisson": "Poisson", "binomial": "Binomial", "gamma": "Gamma"}
_TINY = {"f32": 2.0**-126, "f64": 2.0**-1022}


def _generator(out, generator):
    if out.is_meta:
        return generator
    if generator is None:
        return _streams.generator_of(out.device.index)
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type(generator).__name__}")
    if generator.device != out.device:
        here, there = out.device, generator.device
        raise RuntimeError(
            (f"Expected a '{here}' generator device but found '{there}'\n" if here.type == there.type else
             f"Expected a '{here.type}' device type for generator but found '{there.type}'\n")
            + f"  A generator draws on one device: make it by torch.Generator('{here}'), or draw on {there} and move the tensor."
        )  # fmt: skip
    return generator


def _dense(out, write):
    """Calls ``write`` with out if its elements lie in order, else with memory that is copied to it afterwards. Returns out."""
    parts = out.dtype.is_complex
    flat = out if out.is_contiguous() else creation.empty(tuple(out.shape), dtype=out.dtype, device=out.device)
    if out.numel():
        write(casting.view_as_real(flat) if parts else flat)
    return out if flat is out else shape.copy_(out, flat)


@for_core
def fill(out, stream, a, b, generator):
    """Fills ``out`` with samples of a stream (see ``_core/random.pyx``) and returns it."""

    def write(flat):
        type, wide = name(flat), {}
        compute = "f64" if type in ("f64", "i64", "i32") else "f32"
        for field, number, value in (("first", "a", a), ("second", "b", b)):
            if hasattr(value, "device"):
                value = shape.cast(value, dtypes()["float64" if compute == "f64" else "float32"])
                wide[field] = shape.contiguous(shape.expand(value, out.shape))
            else:
                wide[number] = float(value)
        if stream in _SAMPLERS:
            entry = f"sampled<{type},{compute},{_SAMPLERS[stream]}>"
            wide["floor"] = _TINY.get(type, 0.0) if stream == "gamma" else 0.0
        elif stream in _SIMPLE:
            entry = f"simple<{type},{compute},{compute},{_SIMPLE[stream]}>"
        else:
            entry = f"normal<{type},{compute},{compute},{'true' if stream == 'log_normal' else 'false'}>"
        _run(entry, flat, generator, **wide)

    generator = _generator(out, generator)
    return _dense(out, write)


def _run(entry, flat, generator, **values):
    if flat.is_meta:
        return
    n, stream = flat.numel(), None
    if _streams.captured is not None and is_capturing(flat.device.index):
        seed, (stream, call) = 0, _streams.captured.next(generator)
    else:
        seed, call = generator.advance()
    _random(entry, flat, blocks(n), out=flat, n=n, seed=seed, call=call, stream=stream, **values)


def begin(draws):
    """Has the next replay of a captured graph draw what follows in its generators' streams; they then stand behind it."""
    for generator, (stream, calls) in draws.streams.items():
        seed, call = generator.advance(calls)
        _random("begin", stream, 1, out=stream, seed=seed, call=call)


@for_core
def fill_integers(out, base, modulus, generator, wide):
    """Fills ``out`` with base + (word % modulus) and returns it. A modulus of 2**64 takes all words."""
    wide = modulus >= 1 << 28 if wide is None else wide
    generator = _generator(out, generator)
    modulus = 0 if modulus >> 64 else modulus
    return _dense(
        out, lambda flat: _run(f"integers<{name(flat)},{'true' if wide else 'false'}>", flat, generator, base=base, modulus=modulus)
    )


@for_core
def fill_permutation(out, generator):
    """Fills ``out`` with 0 .. n-1 in random order: positions sorted by random keys."""
    keys = creation.empty((out.numel(),), dtype=dtypes()["int64"], device=out.device)
    fill_integers(keys, 0, 1 << 63, _generator(out, generator), True)
    return shape.copy_(out, shape.reshape(keys.argsort(), out.shape))


@for_core
def draw_choices(probabilities, samples, replacement, generator):
    """``samples`` positions per row of a row-major matrix of probabilities: int64. Invalid rows show at the next synchronisation."""
    generator = _generator(probabilities, generator)
    wide = probabilities if probabilities.dtype.itemsize >= 4 else probabilities.float()
    wrong = "probability tensor contains either `inf`, `nan` or element < 0"
    expect(wide, 0.0, sys.float_info.max, lambda value: RuntimeError(wrong), operator="multinomial")
    total = reduction.sum(wide, 1, True)
    empty = "invalid multinomial distribution (sum of probabilities <= 0)"
    expect(total, math.ulp(0.0), math.inf, lambda value: RuntimeError(empty), operator="multinomial")
    if replacement:
        ends = shape.contiguous(wide.cumsum(1) / total)
        u = creation.empty((probabilities.shape[0], samples), dtype=wide.dtype, device=wide.device)
        fill(u, "uniform", 0.0, 1.0, generator)
        # The last place with a weight ends at 1 but for rounding: nothing may lie behind it.
        last = (wide > 0).long().cumsum(1).argmax(1, True)
        return comparison.minimum(binning.searchsorted(ends, u, right=True), last)
    clocks = creation.empty(tuple(wide.shape), dtype=wide.dtype, device=wide.device)
    fill(clocks, "exponential", 1.0, 0.0, generator)
    return (wide / clocks).topk(samples, 1).indices
