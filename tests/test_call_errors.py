"""Wrong keywords, missing arguments, dtypes that are refused: PyTorch's words, with the operator's name."""

import pytest
from oracle import both, rl, same, torch

CALLS = {
    "a keyword of a function made by another": lambda t, x: t.fft.ihfft(x, bogus=1),
    "of dsplit": lambda t, x: t.atleast_3d(bogus=1),
    "of linalg": lambda t, x: t.linalg.vander(x, bogus=1),
    "one missing": lambda t, x: t.linalg.matrix_power(x),
    "two missing": lambda t, x: t.outer(),
    "two missing of a composition": lambda t, x: t.mvlgamma(),
    "a number where a tensor must be": lambda t, x: t.maximum(x, 2.0),
    "a number where the first tensor must be": lambda t, x: t.logaddexp(1, x),
    "a number of gcd": lambda t, x: t.gcd(x.long(), 2),
    "a number in place of a mask": lambda t, x: t.logical_and(x, True),
    "a number in addcmul": lambda t, x: t.addcmul(x, 2.0, x),
    "of kron": lambda t, x: t.kron(x),
    "a negative output size": lambda t, x: t.nn.functional.adaptive_avg_pool2d(t.ones(1, 1, 4, 4), (-1, 2)),
    "a dim that there is not": lambda t, x: t.linalg.cross(x[None], x[None], dim=2),
    "no shape to normalise": lambda t, x: t.nn.functional.layer_norm(x, []),
    "labels of the scores' shape": lambda t, x: t.nn.functional.multi_margin_loss(x[None], x[None]),
    "extrema of nothing": lambda t, x: t.aminmax(x.reshape(3, 1)[:, :0], dim=1),
    "a negative weight": lambda t, x: t.multinomial(x - 1, 2, True),
    "an infinite weight": lambda t, x: t.multinomial(x / 0, 2, True),
    "truth values clamped": lambda t, x: t.clamp(x > 1, x > 0, x > 1),
    "truth values reflected": lambda t, x: t.nn.functional.pad((x > 1)[None], (1, 1), mode="reflect"),
    "truth values replicated": lambda t, x: t.nn.functional.pad((x > 1)[None, None], (1, 1, 0, 1), mode="replicate"),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    import torch

    (_, refused), (_, error) = both(CALLS[name], torch.arange(3.0))
    assert type(error) is type(refused)
    assert str(error).split("\n")[0] == str(refused).split("\n")[0]


@pytest.mark.parametrize("name", ["cond", "matrix_norm", "matrix_power", "pinv", "eigvals"])
def test_linalg_takes_the_matrix_by_pytorch_s_name(name):
    import torch

    options = {"n": 2} if name == "matrix_power" else {}
    (want, refused), (got, error) = both(lambda t, x: getattr(t.linalg, name)(input=x, **options), torch.eye(2) * 2)
    assert refused is None and error is None
    assert abs(got.sum().item() - want.sum().item()) < 1e-5


def test_lu_is_deprecated():
    import rushlight as rl

    with pytest.warns(UserWarning, match="torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and will"):
        rl.lu(rl.eye(2))


@pytest.mark.parametrize("name", "eq ne lt le gt ge fmod copysign rsub clamp clamp_min clamp_max lerp".split())
def test_the_first_operand_is_a_tensor(name):
    """PyTorch has more to say of those that take a number in other places, of which the type stays."""
    rest = (torch.ones(2), 0.5) if name == "lerp" else (torch.ones(2),)
    (_, refused), (_, error) = both(lambda t, *given: getattr(t, name)(*given), 1.0, *rest)
    assert type(error) is type(refused) is TypeError
    (found, _), (mine, _) = both(lambda t, *given: getattr(t, name)(*given), torch.ones(2), *rest[:-1], 2.0)
    same(mine, found)


def test_in_place_names_are_pytorch_s():
    assert [n for n in dir(rl.Tensor) if n.endswith("_") and not n.startswith("_") and not hasattr(torch.Tensor, n)] == []
