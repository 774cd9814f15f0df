"""First lines of errors, and results of calls at the edge of what PyTorch takes, that once differed."""

import pytest
from oracle import refused_alike, torch

import rushlight as rl

REFUSED = {
    "conv2d, a weight of 3 dims, same": lambda L: L.nn.functional.conv2d(L.ones(1, 3, 5, 5), L.ones(3, 3, 3), padding="same"),
    "conv2d, a weight of 3 dims": lambda L: L.nn.functional.conv2d(L.ones(1, 3, 5, 5), L.ones(3, 3, 3), padding=1),
    "conv2d, a weight of 5 dims, unbatched, same": lambda L: L.nn.functional.conv2d(L.ones(3, 5, 5), L.ones(3, 3, 3, 3, 3), padding="same"),
    "conv1d, a weight of 2 dims": lambda L: L.nn.functional.conv1d(L.ones(1, 3, 5, 5), L.ones(3, 3)),
    "conv1d, a weight of 4 dims, same": lambda L: L.nn.functional.conv1d(L.ones(3, 5), L.ones(3, 3, 3, 3), padding="same"),
    "max_pool1d, no window fits": lambda L: L.nn.functional.max_pool1d(L.ones(1, 3, 2), 5),
    "max_pool1d, no window fits, indices": lambda L: L.nn.functional.max_pool1d(L.ones(1, 3, 2), 5, return_indices=True),
    "max_pool1d, a gradient": lambda L: L.nn.functional.max_pool1d(L.ones(3, 2, requires_grad=True), 5, dilation=2),
    "mean of integers": lambda L: L.ones(3, dtype=L.int64).mean(),
    "mean as integers": lambda L: L.ones(3).mean(dtype=L.int32),
    "mean of integers as other integers": lambda L: L.ones(3, dtype=L.int64).mean(dtype=L.int32),
    "multinomial": lambda L: L.multinomial(L.ones(2**24 + 1), 1),
    "tile, negative": lambda L: L.tile(L.ones(2, 3), (-1, 2)),
    "dist of a number": lambda L: L.dist(L.ones(2), 1.0),
    "var_mean of integers": lambda L: L.var_mean(L.ones(2, dtype=L.int64)),
    "std_mean of integers": lambda L: L.std_mean(L.ones(2, dtype=L.int64)),
    "adjoint of a vector": lambda L: L.ones(3).adjoint(),
    "meshgrid of two dtypes": lambda L: L.meshgrid(L.ones(2, 2), L.ones(2).double(), indexing="ij"),
    "a shift of floats": lambda L: L.bitwise_left_shift(L.ones(2), L.ones(2)),
    "a shift to the right of floats": lambda L: L.bitwise_right_shift(L.ones(2), L.ones(2)),
    "fill_diagonal_ of a leaf behind a view": lambda L: L.ones(3, 2).view(3, 2).requires_grad_().fill_diagonal_(2),
    "a leaf that is a view": lambda L: L.ones(4).view(2, 2).requires_grad_().mul_(2),
    "inner of a number": lambda L: L.inner(L.tensor(2.0), 3.0),
    "cat of numbers": lambda L: L.cat([L.ones(3), L.tensor(1.0)]),
    "copy_ to fewer": lambda L: L.zeros(3, 1).copy_(L.ones(3, 2)),
    "copy_ to fewer dims": lambda L: L.zeros(3).copy_(L.ones(2, 3, 3)),
    "copy_ of another size": lambda L: L.zeros(3, 3).copy_(L.ones(3, 2)),
    "scatter, three mistakes": lambda L: L.zeros(3, 2).scatter(0, L.tensor([0]), L.ones(1, 1, 1).double()),
    "take_along_dim, two mistakes": lambda L: L.take_along_dim(L.ones(2, 2), L.tensor([0]).int(), 0),
    "cross of different ranks": lambda L: L.linalg.cross(L.ones(3, 2), L.ones(2, 1, 3)),
    "out= that is an operand, too small": lambda L: L.add(x := L.ones(3), L.ones(2, 3), out=x),
    "slogdet of integers": lambda L: L.slogdet(L.eye(2, dtype=L.int64)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_first_line(name):
    refused_alike(REFUSED[name], (RuntimeError, TypeError))


@pytest.mark.parametrize("name", [
    "floor", "ceil", "trunc", "fix", "sign", "signbit", "deg2rad", "rad2deg", "erf", "erfc", "erfinv", "lgamma", "digamma", "i0", "relu",
    "isposinf", "isneginf", "maximum", "minimum", "fmax", "fmin", "clamp_min", "clamp_max", "bitwise_left_shift",
])  # fmt: skip
def test_complex_numbers_are_refused(name):
    operands = 2 if name in ("maximum", "minimum", "fmax", "fmin", "bitwise_left_shift") else 1
    refused_alike(lambda L: getattr(L, name)(*[L.ones(2, dtype=L.complex64)] * operands, *[1.0] * name.startswith("clamp")))


def test_a_dim_of_size_one_keeps_its_place_in_the_order():
    for shape, order in (((2, 2, 3, 1), (2, 1, 3, 0)), ((1, 3, 2, 2), (2, 3, 0, 1))):
        for call in (
            lambda x: x + x.abs().contiguous().sqrt(),
            lambda x: x * 2,
            lambda x: x.clone(),
            lambda x: x.double(),
            lambda x: x > 0,
        ):
            mine, theirs = (
                call(L.ones([shape[d] for d in order]).permute([order.index(d) for d in range(len(order))])) for L in (rl, torch)
            )
            assert mine.stride() == theirs.stride(), (shape, order)


def test_repeats_of_nothing_may_be_negative():
    assert rl.tile(rl.ones(2, 0), (3, -1)).shape == torch.tile(torch.ones(2, 0), (3, -1)).shape == (6, 0)
    assert rl.ones(2, 0).repeat(0, -1).shape == torch.ones(2, 0).repeat(0, -1).shape


def test_repeat_interleave_lies_row_major():
    for repeats in (1, 2):
        mine, theirs = (L.ones(3, 2, 4).permute(1, 2, 0).repeat_interleave(repeats, 1) for L in (rl, torch))
        assert mine.stride() == theirs.stride()
    assert rl.ones(3).diff(n=0, dim=4).tolist() == torch.ones(3).diff(n=0, dim=4).tolist()


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "sort", "median", "kthvalue", "topk"])
def test_a_contiguous_result_has_strides_of_its_own(name):
    for shape in ((3, 1), (1, 3), (2, 1, 3), (1, 1)):
        args = {"kthvalue": (1, 0), "topk": (1, 0), "median": (0, True)}.get(name, (0,))
        mine, theirs = (getattr(L.ones(shape), name)(*args) for L in (rl, torch))
        mine, theirs = (x if isinstance(x, (rl.Tensor, torch.Tensor)) else x[0] for x in (mine, theirs))
        assert mine.stride() == theirs.stride(), shape


def test_an_expanded_dim_of_size_one_repeats_nothing():
    for sizes in ((1,), (1, 1), (1, 3), (1, 1, 3), (2, 1, 3), (1, 2, 3), (1, 2, 1, 3)):
        assert sizes[-1] == 1 or rl.ones(3).expand(sizes).stride() == torch.ones(3).expand(sizes).stride()
        assert rl.ones(()).expand(sizes).stride() == torch.ones(()).expand(sizes).stride()


def test_jacfwd_of_a_function_that_writes_to_its_input():
    def found(L):
        rows, table = L.tensor([0, 3]), L.arange(4.0)[:, None] * L.ones(4, 3)
        embedded = L.func.jacfwd(lambda w: L.nn.functional.embedding(rows, w, max_norm=1.0))(table)
        return embedded.tolist(), table.tolist()

    assert found(rl) == found(torch)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"])
@pytest.mark.parametrize("name", ["all", "any"])
def test_truth_of_eight_bit_floats(name, kind):
    def found(L):
        x = L.tensor([[0.0, 1.0], [2.0, 4.0], [0.0, 0.0]]).to(getattr(L, kind))
        return getattr(x, name)().tolist(), getattr(L, name)(x, 1).tolist(), str(getattr(x, name)().dtype).split(".")[-1]

    assert found(rl) == found(torch)


def test_block_diag_promotes_as_everything_else():
    for kinds in (("float32", "float64"), ("int64", "float32"), ("float16", "bfloat16"), ("bool", "uint8")):
        for shapes in (((2, 2), ()), ((2,), (1, 1)), ((), ())):
            mine, theirs = (L.block_diag(*(L.ones(s, dtype=getattr(L, k)) for s, k in zip(shapes, kinds))) for L in (rl, torch))
            assert str(mine.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1] and mine.tolist() == theirs.tolist()


def test_slogdet_says_which_it_is():
    assert type(rl.slogdet(rl.eye(2))).__name__ == "slogdet" and type(rl.linalg.slogdet(rl.eye(2))).__name__ == "linalg_slogdet"
    x = rl.eye(2, requires_grad=True)
    x.slogdet().logabsdet.backward()
    assert x.grad.tolist() == [[1, 0], [0, 1]]


def test_a_tensor_is_hashed_by_its_identity():
    x = rl.ones(2)
    assert hash(x) == id(x) and {x: 1}[x] == 1
