"""Every reduction: dims in all forms, keepdim, dtypes, layouts, empty input, refusals and gradients, against PyTorch.
"""

import numpy as np
import pytest
from expressions import check, check_gradients, rows
from oracle import DTYPES, both, refused_alike, same, torch

import rushlight as rl
from rushlight.lang import functions as fn
from rushlight.ops import _define

DIMS = (0, 1, -1, (0,), (0, 2), (2, 0), (0, 1, 2), (), None)
ALL_DIMS = (
    "sum",
    "mean",
    "amax",
    "amin",
    "any",
    "all",
    "var",
    "std",
    "nansum",
    "nanmean",
    "logsumexp",
    "count_nonzero",
    "norm",
)
ONE_DIM = (
    "prod",
    "max",
    "min",
    "argmax",
    "argmin",
    "median",
    "nanmedian",
    "mode",
    "softmax",
    "log_softmax",
    "cumsum",
    "logcumsumexp",
)
UNEVEN = (torch.arange(24.0).reshape(2, 3, 4) * 7 % 11 - 4) / 2
LAYOUTS = {
    "dense": UNEVEN,
    "transposed": UNEVEN.transpose(0, 2),
    "strided": UNEVEN.repeat(2, 2, 2)[::2, 1::2, ::2],
    "expanded": UNEVEN[:, :1].expand(2, 5, 4),
}


def calling(operator, *args, **kwargs):
    """A call of a method, of indices only the values they belong to."""

    def call(library, tensor):
        result = getattr(tensor, operator)(*args, **kwargs)
        return result.values if operator in ("median", "nanmedian", "mode") else result

    return call


def agree(where, call, *args, refusals=True):
    """Equal results under both libraries, or both refuse with the same first line."""
    (want, refused), (got, error) = both(call, *args)
    if refused is not None:
        assert error is not None, f"{where}: PyTorch raises {refused}, rushlight gives {got}"
        if refusals:
            assert type(error) is type(refused) and str(error).split("\n")[0] == str(refused).split("\n")[0], where
        return
    if error is not None:
        raise AssertionError(f"{where}: {error}") from error
    plain = lambda r: tuple(r) if isinstance(r, tuple) else r  # noqa: E731
    same(plain(got), plain(want), where, scale=4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operator", ALL_DIMS)
def test_dims(operator, layout):
    for dim in DIMS:
        if dim == () and operator in ("any", "all", "logsumexp"):
            continue  # here PyTorch takes no dim (or raises an internal error), where it takes all elsewhere
        for keepdim in (False, True):
            if operator == "count_nonzero":
                agree(f"{operator} {dim}", calling(operator, dim), LAYOUTS[layout])
            elif operator == "norm":
                agree(f"{operator} {dim}", calling(operator, 2, dim, keepdim), LAYOUTS[layout])
            elif not (dim is None and operator == "logsumexp"):
                agree(f"{operator} {dim} {keepdim}", calling(operator, dim=dim, keepdim=keepdim), LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("operator", ONE_DIM)
def test_one_dim(operator, layout):
    if layout == "expanded" and "median" in operator:
        pytest.skip("PyTorch orders the elements of expanded dims in place and gives the median of something else")
    keep = {"softmax", "log_softmax", "cumsum", "logcumsumexp"}
    for dim in (0, 1, -1, 3):
        for keepdim in (False, True):
            kwargs = {} if operator in keep else {"keepdim": keepdim}
            agree(f"{operator} {dim} {keepdim}", calling(operator, dim, **kwargs), LAYOUTS[layout])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "operator",
    [
        "sum",
        "mean",
        "prod",
        "amax",
        "amin",
        "any",
        "all",
        "argmax",
        "argmin",
        "max",
        "min",
        "var",
        "std",
        "aminmax",
        "nansum",
    ],
)
def test_dtypes(operator, dtype):
    x = (UNEVEN * 2 + (0 if dtype != "uint8" else 9)).to(getattr(torch, dtype))
    agree(f"{operator} {dtype}", calling(operator), x, refusals=False)
    if operator != "aminmax":
        agree(f"{operator} {dtype} dim", calling(operator, dim=1), x, refusals=False)


@rows(
    """
    T.empty(0).sum()
    T.empty(0).prod()
    T.empty(0).mean()
    T.empty(0).any()
    T.empty(0).all()
    T.empty(0).max()
    T.empty(0).min()
    T.empty(0).amax()
    T.empty(0).argmax()
    T.empty(0).var()
    T.empty(0).aminmax()
    T.empty(0).logsumexp(0)
    T.empty(0, 3).sum(0)
    T.empty(0, 3).max(0)
    T.empty(0, 3).max(1)
    T.empty(0, 3).argmax(0)
    T.empty(0, 3).argmax(1)
    T.empty(0, 3).amax(0)
    T.empty(0, 3).amax(1)
    T.empty(0, 3).logsumexp(0)
    T.empty(0, 3).softmax(0)
    T.empty(0, 3).mean(0)
    T.empty(0, 3).norm()
    T.empty(0, 3).count_nonzero(0)
    L(3.).sum(0)
    L(3.).max(0)
    L(3.).argmax(0)
    L(3.).amax(-1)
    L(3.).mean(1)
    x.sum(2)
    x.sum((0, 0))
    x.mean((0, -2))
    x.amax(5)
    x.max(5)
    x.argmax(5)
    x.prod(5)
    x.any(5)
    x.var(5)
    L([1, 2]).mean()
    L([1, 2]).mean(dtype=f32)
    L([1, 2]).sum(dtype=f32)
    L([1, 2]).prod(0, dtype=f64)
    L([1, 2]).var()
    L([1j]).max()
    L([1j]).amax()
    L([1j]).argmax()
    L([True, False]).sum()
    L([True, False]).max()
    L([float('nan'), 1]).max()
    L([float('nan'), 1]).argmax()
    L([[float('nan'), 1]]).min(1)
    L([float('nan'), 1]).aminmax()
    L([float('nan'), 1.]).nanmean()
    L([float('inf'), 1.]).logsumexp(0)
    L([-float('inf'), -float('inf')]).logsumexp(0)
    T.max(x, x.flip(0))
    T.max(x, 1, True)
    T.max(x, dim=0)
    T.min(input=x)
    T.aminmax(x, dim=1, keepdim=True)
    T.amax(x, (0, 1), True)
    T.var(x, 1, False)
    T.var(x, unbiased=False)
    T.var(x, dim=1, correction=2)
    T.std(x, (0, 1), correction=0)
    T.var_mean(x, 1)
    T.std_mean(x, dim=0, correction=0, keepdim=True)
    T.sum(x, dim=(0, 1), keepdim=True)
    T.sum(x, 1, out=T.empty(3))
    T.max(x, 1, out=(T.empty(3), T.empty(3, dtype=i64)))
    T.argmax(x, dim=1, keepdim=True)
    x.argmax(keepdim=True)
    T.all(x, dim=(0, 1))
    T.norm(x)
    T.norm(x, 1)
    T.norm(x, float('inf'), 1)
    T.norm(x, 'fro', (0, 1))
    T.norm(x, 0)
    T.dist(x, x + 1, 3)
    T.diff(x)
    T.diff(x, n=2, dim=0)
    T.diff(x, prepend=x[:, :1])
    T.diff(L(1.))
    T.softmax(x, 1, dtype=f64)
    T.log_softmax(L([1, 2]), 0, dtype=f32)
    T.softmax(L([1, 2]), 0)
    T.logsumexp(x, (0, 1), True)
    """
)
def test_forms_and_refusals(row):
    check(row)


@rows(
    """
    a.sum(0)
    c.sum((0, 2), True)
    a.mean(1)
    c.mean()
    a.prod()
    c.prod(1)
    (a * L([1., 0, 1, 1], dtype=f64)).prod(1)
    (a * L([0., 1, 0, 1], dtype=f64)).prod()
    a.amax(0)
    (a * 0 + 1).amax(1)
    a.amin((0, 1))
    a.max()
    (a * 0 + 1).max()
    a.max(1).values
    a.min(0, True).values
    a.aminmax(dim=1)[1]
    T.max(a, d)
    a.var()
    c.var((0, 2), correction=0)
    a.std(1)
    T.std_mean(a, 0)[0]
    a.norm()
    a.norm(1, 0)
    a.norm(3, 1)
    a.norm(float('inf'), 1)
    a.logsumexp(1)
    c.logsumexp((0, 2))
    a.softmax(1)
    c.log_softmax(1)
    a.nansum(0)
    a.nanmean(1)
    T.dist(a, d, 3)
    a.diff(dim=0)
    s.sum()
    s.max(0).values
    s.var(correction=0)
    T.complex(a, d).sum(0).abs()
    T.complex(a, d).mean(0).abs()
    T.complex(a, d).prod(0).abs()
    T.complex(a, d).norm()
    T.complex(a, d).var(0)
    """
)
def test_gradients(row):
    check_gradients(row)


@pytest.mark.parametrize("shape, dim", [((2100, 70), 0), ((3, 1500, 40), 1), ((5, 700, 3, 33), (0, 1)), ((70_000, 3), 0)])
def test_long_columns(shape, dim):
    """Columns that are longer than they are many: a GPU cuts them into stretches."""
    x = rl.arange(float(np.prod(shape)), device="cpu").mul_(0.7).sin_().reshape(shape)
    on, array = x.to(rl.get_default_device()), x.numpy().astype(np.float64)
    np.testing.assert_allclose(on.sum(dim).tolist(), array.sum(dim), rtol=1e-6, atol=2e-4)
    np.testing.assert_allclose(on.var(dim, correction=0).tolist(), array.var(dim), rtol=1e-5)
    assert on.amax(dim).tolist() == x.numpy().max(dim).tolist()
    if isinstance(dim, int):
        assert on.argmin(dim).tolist() == x.numpy().argmin(dim).tolist()


@pytest.mark.parametrize("dims", [(0, 1, 3), (1, 2), (0, 2, 3), (0, 1, 2, 3)])
def test_reduced_dims_that_are_empty_and_apart(dims):
    """Of nothing there is nothing to read, whatever the strides: they may not fit into a loop of two dims."""
    x = rl.zeros(2, 0, 2, 0, dtype=rl.float64).permute(2, 0, 1, 3)
    assert rl.equal(x.sum(dims), rl.zeros([n for d, n in enumerate(x.shape) if d not in dims], dtype=rl.float64))
    y = rl.zeros(2, 0, dtype=rl.float64, requires_grad=True)
    loss = ((y - rl.zeros(2, 0, 2, 0, dtype=rl.float64)) ** 2).mean()
    (grad,) = rl.autograd.grad(loss, y, create_graph=True)
    assert grad.shape == y.shape and rl.autograd.grad((grad**2).sum(), y)[0].shape == y.shape


@pytest.mark.parametrize("operator", ["norm", "logsumexp", "std", "var", "amax"])
def test_gradients_over_three_dims_that_do_not_collapse(operator):
    """The kept dims of size 1 follow the input's dims when it is copied to bring the reduced ones together."""

    def gradient(lib, dim):
        x = lib.arange(24.0, dtype=lib.float64).reshape(2, 3, 2, 2).contiguous(memory_format=lib.channels_last).requires_grad_()
        kwargs = {"p": 2} if operator == "norm" else {}
        (getattr(x, operator)(dim=dim, keepdim=True, **kwargs) ** 2).sum().backward()
        return x.grad

    for dim in ((0, 1, 2), (0, 1, 3)):
        same(gradient(rl, dim), gradient(torch, dim), f"{operator} {dim}", scale=4)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.ones(2, dtype=T.int32).nanmean(),
        lambda T: T.ones(2).nanmean(0, dtype=T.int64),
    ],
)
def test_means_of_integers_are_refused(call):
    refused_alike(call)


def test_which_program_a_call_with_many_operands_finds():
    """A number in the place of the seventeenth operand, and a float32 tensor beside halves in that of the second, are different calls."""
    names = [f"x{i}" for i in range(18)]
    scope = {"fn": fn}
    total = " + ".join(f"{name} * {i}.0" for i, name in enumerate(names))
    exec(f"def weighted({', '.join(names[:16])}, x16=1.0, x17=1.0, dim=None):\n    return fn.max({total})", scope)
    op = _define._rowwise(scope["weighted"], where="")
    del _define.registry["weighted"]
    tensors = [rl.arange(6.0) + i for i in range(18)]
    for given in ({16: 3.5}, {1: tensors[1] + 100}, {16: 2.0, 1: tensors[1] + 50}, {17: 2.0, 2: tensors[2] - 50}, {}):
        operands = [given.get(i, t.half()) for i, t in enumerate(tensors)]
        wanted = sum((x.float() if isinstance(x, rl.Tensor) else x) * i for i, x in enumerate(operands))
        assert op(*operands, dim=0).tolist() == wanted.max().half().item(), given
