"""How results lie in memory, beside PyTorch: programs go on with view(), which asks for it."""

import pytest
from oracle import torch

import rushlight as rl


def matrix(t):
    return t.arange(24.0).sin().reshape(6, 4).t()


def signals(t):
    return t.arange(120.0).sin().reshape(2, 5, 12).transpose(1, 2)


def images(t):
    return t.arange(480.0).sin().reshape(2, 5, 6, 8).permute(0, 3, 1, 2)


def volumes(t):
    return t.arange(1024.0).sin().reshape(2, 4, 4, 4, 8).permute(0, 4, 1, 2, 3)


def turned(t):
    return images(t).transpose(0, 1)


def index(t):
    return t.zeros(4, 6, dtype=t.int64)


CASES = {
    matrix: {
        "masked_fill": lambda t, x: x.masked_fill(x > 0, 0.0),
        "masked_scatter": lambda t, x: x.masked_scatter(x > 0, x),
        "tril": lambda t, x: x.tril(),
        "triu": lambda t, x: x.triu(1),
        "scatter": lambda t, x: x.scatter(0, index(t), 1.0),
        "scatter_add": lambda t, x: x.scatter_add(0, index(t), x),
        "index_add": lambda t, x: x.index_add(0, index(t)[:, 0], x),
        "index_copy": lambda t, x: x.index_copy(0, index(t)[:, 0], x),
        "index_fill": lambda t, x: x.index_fill(0, index(t)[:, 0], 1.0),
        "index_put": lambda t, x: x.index_put((index(t)[:, 0],), t.tensor(1.0)),
        "put": lambda t, x: x.put(index(t)[:1, :1], t.ones(1, 1)),
        "flip": lambda t, x: x.flip(0),
        "rot90": lambda t, x: x.rot90(),
        "sort": lambda t, x: x.sort(0)[0],
        "argsort": lambda t, x: x.argsort(1),
        "logsigmoid": lambda t, x: t.nn.functional.logsigmoid(x),
        "rsub": lambda t, x: t.rsub(x, t.ones(4, 6)),
        "kl_div": lambda t, x: t.nn.functional.kl_div(x, t.ones(4, 6), reduction="none"),
        "bce": lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x, t.ones(4, 6), reduction="none"),
        "batch_norm": lambda t, x: t.nn.functional.batch_norm(x, t.zeros(6), t.ones(6)),
        "qr": lambda t, x: t.linalg.qr(x[:, :4] + t.eye(4))[1],
        "matrix_exp": lambda t, x: t.matrix_exp(x[:, :4] / 9),
        "pad": lambda t, x: t.nn.functional.pad(x, (0, 0, 0, 0)),
    },
    signals: {
        "masked_fill": lambda t, x: x.masked_fill(x > 0, 0.0),
        "batch_norm": lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True),
        "flip": lambda t, x: x.flip(1),
        "sort": lambda t, x: x.sort(1)[1],
        "channel_shuffle": lambda t, x: t.nn.functional.channel_shuffle(x, 1),
        "fold": lambda t, x: t.nn.functional.fold(x[:, :8, :4], (2, 2), 2, stride=2, padding=1),
        "pad_packed": lambda t, x: t.nn.utils.rnn.pad_packed_sequence(t.nn.utils.rnn.pack_sequence([x[0], x[1, :2]]), True)[0],
    },
    turned: {
        "batch_norm": lambda t, x: t.nn.functional.batch_norm(x, t.zeros(2), t.ones(2)),
        "batch_norm_training": lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True),
    },
    images: {
        "channel_shuffle": lambda t, x: t.nn.functional.channel_shuffle(x, 2),
        "flip": lambda t, x: x.flip(2),
        "max_unpool2d": lambda t, x: t.nn.functional.max_unpool2d(*t.nn.functional.max_pool2d(x, 2, return_indices=True), 2),
        "masked_fill": lambda t, x: x.masked_fill(x > 0, 0.0),
        "sort": lambda t, x: x.sort(1)[0],
    },
    volumes: {
        "avg_pool3d": lambda t, x: t.nn.functional.avg_pool3d(x, 2),
        "adaptive_avg_pool3d": lambda t, x: t.nn.functional.adaptive_avg_pool3d(x, 3),
        "adaptive_max_pool3d": lambda t, x: t.nn.functional.adaptive_max_pool3d(x, 3),
        "max_pool3d": lambda t, x: t.nn.functional.max_pool3d(x, 2),
    },
}


@pytest.mark.parametrize("made, name", [(made, name) for made, calls in CASES.items() for name in calls])
def test_strides(made, name):
    want, got = (CASES[made][name](library, made(library)) for library in (torch, rl))
    assert got.stride() == want.stride()
    assert torch.allclose(torch.from_dlpack(got.cpu()), want)


def test_a_masked_fill_of_a_transposed_tensor_can_be_viewed():
    scores = rl.rand(2, 3, 4).transpose(1, 2)
    assert scores.masked_fill(scores > 0.5, float("-inf")).view(2, 12).shape == (2, 12)


FRESH = {
    "randn": lambda t, x: t.randn(2), "rand_like": lambda t, x: t.rand_like(x), "randint": lambda t, x: t.randint(3, (2,)),
    "bernoulli": lambda t, x: t.bernoulli(x.abs()), "normal": lambda t, x: t.normal(0.0, 1.0, (2,)),
    "poisson": lambda t, x: t.poisson(x.abs()),
    "slice_scatter": lambda t, x: x.slice_scatter(x[:1], 0, 0, 1), "diagonal_scatter": lambda t, x: x.diagonal_scatter(x[:, 0]),
    "pad": lambda t, x: t.nn.functional.pad(x, (1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", FRESH)
def test_a_new_tensor_counts_no_writes(name):
    for library in (torch, rl):
        assert FRESH[name](library, matrix(library))._version == 0


def test_a_written_tensor_that_its_node_keeps_is_still_checked():
    x = rl.ones(3, requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_resizing_to_the_same_shape_changes_nothing():
    for library in (torch, rl):
        x = matrix(library)
        for same in (x.resize_(4, 6), x.resize_as_(library.ones(4, 6))):
            assert same is x and x.stride() == (1, 4) and x._version == 0
