"""Sobol sequences against PyTorch's."""

import pytest
from oracle import torch

import rushlight as rl


def both(work):
    torch.manual_seed(3)
    rl.manual_seed(3)
    want, got = work(torch), work(rl)
    assert got.tolist() == want.tolist() and str(got.dtype) == str(want.dtype)


@pytest.mark.parametrize("dimension", [1, 2, 7, 40, 1111])
@pytest.mark.parametrize("options", [{}, {"scramble": True, "seed": 5}, {"scramble": True}])
def test_points(dimension, options):
    both(lambda lib: lib.quasirandom.SobolEngine(dimension, **options).draw(70, dtype=lib.float64))


def test_all_dimensions():
    both(lambda lib: lib.quasirandom.SobolEngine(21201).draw(9))
    both(lambda lib: lib.quasirandom.SobolEngine(21201).sobolstate)


def test_drawn_in_parts():
    def work(lib):
        engine = lib.quasirandom.SobolEngine(3, scramble=True, seed=1)
        parts = [engine.draw(1), engine.draw(2), engine.fast_forward(3).draw_base2(1, dtype=lib.float32)]
        parts += [engine.draw(5), engine.reset().draw(2), engine.draw(3, out=lib.empty(0, device="cpu"))]
        return lib.cat(parts)

    both(work)
    both(lambda lib: lib.quasirandom.SobolEngine(4).fast_forward(5).draw())


def test_says_what_it_is():
    for options in ({}, {"scramble": True}, {"scramble": True, "seed": 2}):
        assert repr(rl.quasirandom.SobolEngine(3, **options)) == repr(torch.quasirandom.SobolEngine(3, **options))


@pytest.mark.parametrize("work", [
    lambda lib: lib.quasirandom.SobolEngine(0), lambda lib: lib.quasirandom.SobolEngine(21202),
    lambda lib: lib.quasirandom.SobolEngine(1).fast_forward(1).draw_base2(1),
])  # fmt: skip
def test_errors(work):
    with pytest.raises(ValueError) as want:
        work(torch)
    with pytest.raises(ValueError) as got:
        work(rl)
    assert str(got.value).splitlines()[0] == str(want.value).splitlines()[0]


def test_points_are_even():
    """2**k points have one in each interval of length 2**-k, in each dimension."""
    points = rl.quasirandom.SobolEngine(20, scramble=True, seed=0).draw_base2(6)
    assert ((points * 64).long().sort(0).values == rl.arange(64, device="cpu").unsqueeze(1)).all()
