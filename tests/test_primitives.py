"""``torch.ops.aten``: operators of PyTorch's core by their names and with their arguments there, against PyTorch."""

import pytest
from oracle_samples import from_rl, to_rl, torch, unlike

import rushlight as rl

x, y, image = torch.arange(12.0).reshape(3, 4).sin(), torch.arange(12.0).reshape(3, 4).cos(), torch.arange(96.0).reshape(1, 2, 6, 8).sin()
labels, kernel, half = torch.tensor([0, 3, 1]), torch.arange(36.0).reshape(2, 2, 3, 3).cos(), torch.rand(3, 4) > 0.5
places = torch.nn.functional.max_pool2d(image, 2, return_indices=True)[1]
mean, rstd = x.mean(1, keepdim=True), (x.var(1, keepdim=True, unbiased=False) + 1e-5).rsqrt()

CALLS = {
    "_adaptive_avg_pool2d": (image, [3, 2]),
    "_adaptive_avg_pool2d_backward": (image[..., :3, :4], image),
    "_fft_c2c": (x.to(torch.complex64), [0, 1], 2, False),
    "_fft_c2r": (torch.fft.rfft(x), [1], 2, 4),
    "_fft_r2c": (x, [0, 1], 1, True),
    "_local_scalar_dense": (x[0, 1],),
    "_log_softmax_backward_data": (y, x.log_softmax(1), 1, torch.float32),
    "_reshape_alias": (x, [4, 3], [3, 1]),
    "_softmax_backward_data": (y, x.softmax(1), 1, torch.float32),
    "_unsafe_index": (x, [None, labels]),
    "adaptive_max_pool2d": (image, [3, 2]),
    "avg_pool2d_backward": (image[..., :3, :4], image, [2, 2], [2, 2], [0, 0], False, True, None),
    "binary_cross_entropy": (x.sigmoid(), y.sigmoid(), None, 2),
    "binary_cross_entropy_backward": (torch.tensor(1.0), x.sigmoid(), y.sigmoid(), None, 1),
    "col2im": (torch.ones(1, 8, 12), [4, 5], [2, 2], [1, 1], [0, 0], [1, 1]),
    "convolution_backward": (image[..., :4, :6], image, kernel, [2], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, True]),
    "copy": (x, y),
    "cross_entropy_loss": (x, labels, None, 2, -100, 0.1),
    "embedding_dense_backward": (x, labels, 5, -1, False),
    "fft_rfft": (x,),
    "gelu_backward": (y, x),
    "glu_backward": (x[:, :2], y, 1),
    "hardtanh_backward": (y, x, -0.5, 0.5),
    "huber_loss": (x, y, 1, 0.5),
    "im2col": (image, [2, 2], [1, 1], [0, 0], [1, 1]),
    "index_select_backward": (x, [5, 4], 0, labels),
    "leaky_relu_backward": (y, x, 0.1, False),
    "lift_fresh": (x,),
    "linalg_vector_norm": (x, 2, [1]),
    "log_sigmoid": (x,),
    "max_pool2d_with_indices": (image, [2, 2]),
    "max_pool2d_with_indices_backward": (image[..., :3, :4], image, [2, 2], [2, 2], [0, 0], [1, 1], False, places),
    "mse_loss": (x, y, 2),
    "mse_loss_backward": (torch.tensor(2.0), x, y, 1),
    "native_dropout_backward": (x, half, 2.0),
    "native_layer_norm_backward": (y, x, [4], mean, rstd, y[0], x[1], [True, True, True]),
    "nll_loss": (x, labels, y[0], 1, -100),
    "nll_loss_backward": (torch.tensor(1.0), x, labels, None, 1, -100, torch.tensor(3.0)),
    "nll_loss_forward": (x, labels, y[0].abs(), 1, 3),
    "reflection_pad2d": (image, [1, 1, 2, 0]),
    "replication_pad1d": (x, [1, 2]),
    "select_backward": (x, [3, 2, 4], 1, -1),
    "sigmoid_backward": (y, x),
    "silu": (x,),
    "silu_backward": (y, x),
    "slice_backward": (x, [3, 9], 1, 1, 9, 2),
    "smooth_l1_loss": (x, y, 0, 0.5),
    "softplus_backward": (y, x, 2.0, 20.0),
    "special_entr": (x.abs(),),
    "sym_size": (x,),
    "tanh_backward": (y, x),
    "threshold_backward": (y, x, 0.25),
    "upsample_bilinear2d": (image, [3, 5], True),
    "upsample_bilinear2d.vec": (image, None, False, [2.0, 1.5]),
    "upsample_bilinear2d_backward": (image, [6, 8], [1, 2, 3, 4], False),
    "upsample_nearest2d": (image, [3, 5]),
    "upsample_nearest2d.vec": (image, [3, 5], None),
}

away, lost = torch.tensor([[0], [9], [2]]), torch.tensor([[-torch.inf, -torch.inf], [1.0, -torch.inf]])
CALLS |= {  # what is a name of the package, too
    "_batch_norm_with_update": (image, None, None, torch.zeros(2), torch.ones(2), 0.1, 1e-5),
    "_chunk_cat": ([x, x[:, 1:3]], 1, 3),
    "_native_batch_norm_legit": (image, None, None, torch.zeros(2), torch.ones(2), True, 0.1, 1e-5),
    "_native_batch_norm_legit.no_stats": (image, None, None, True, 0.1, 1e-5),
    "_native_batch_norm_legit_no_training": (image, None, None, torch.zeros(2), torch.ones(2), 0.1, 1e-5),
    "_safe_softmax": (lost, -1),
    "_unsafe_masked_index": (x, away < 9, [away, labels], 7.0),
    "_unsafe_masked_index_put_accumulate": (x, (away < 9).expand(3, 3), [away, labels], x[:, :3]),
}


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("_") and hasattr(torch, name) and name != "_unsafe_index"])
def test_inner_names_of_the_package(name):
    difference = unlike(from_rl(getattr(rl, name)(*to_rl(CALLS[name]))), getattr(torch, name)(*CALLS[name]))
    assert difference is None, difference


@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    path, _, form = name.partition(".")
    theirs, ours = (getattr(library.ops.aten, path) for library in (torch, rl))
    if form:
        theirs, ours = getattr(theirs, form), getattr(ours, form)
    difference = unlike(from_rl(ours(*to_rl(CALLS[name]))), theirs(*CALLS[name]))
    assert difference is None, difference


def test_gradients_that_nobody_asked_for():
    found = rl.ops.aten.convolution_backward(*to_rl(CALLS["convolution_backward"][:-1]), [False, True, False])
    assert found[0] is None and found[1] is not None and found[2] is None


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_operator'"):
        rl.ops.aten.no_such_operator  # noqa: B018
