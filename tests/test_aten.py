"""Functions of ``torch.`` in the argument forms of PyTorch's inner library, and rarely used methods, against PyTorch."""

import pytest
from oracle import torch
from oracle_samples import first_line, from_rl, outcome, own, to_rl, unlike

import rushlight as rl

CASES = []
generator = torch.Generator().manual_seed(1)


def case(name, call, *args, marks=()):
    CASES.append(pytest.param(call, args, id=name, marks=marks))


def randn(*size):
    return torch.randn(*size, generator=generator)


# -- Python functions over elements, hashes, histograms --

x, points = randn(4, 6), randn(50, 3)
case("apply_", lambda L, x: x.apply_(lambda v: v * 2 + 1), x)
case("apply_ of a recorded tensor", lambda L, x: x.apply_(abs), randn(2).requires_grad_())
case("map_", lambda L, x, y: x.map_(y, lambda a, b: a - b), x, x[0])
case("map_ of another dtype", lambda L, x, y: x.map_(y, lambda a, b: a - b), x, x.double())
case("map2_", lambda L, x, y: x.map2_(y, y, lambda a, b, c: a - b * c), x, x)
for kind in (torch.float32, torch.int8, torch.bool, torch.bfloat16, torch.uint8):
    case(f"hash_tensor {kind}", lambda L, x: (L.hash_tensor(x), x.hash_tensor((0, 1)), L.hash_tensor(x, 1, keepdim=True)), (x * 9).to(kind))
for bins in ([3, 4, 5], 4, [2, 2]):
    case(f"histogramdd {bins}", lambda L, p, b=bins: L.histogramdd(p, b), points)
    case(f"histogramdd {bins} weighted",
         lambda L, p, b=bins: L.histogramdd(p, b, range=(-1, 1, -1, 1, -2, 2), density=True, weight=L.arange(50.0)), points)  # fmt: skip
case("histogramdd by edges", lambda L, p: L.histogramdd(p, [L.tensor([-1.0, 0, 1]), L.tensor([-1.0, 1]), L.tensor([-1.0, 0.5, 1])]), points)

# -- functions for methods, methods of sparse tensors, removed functions --

case("fill", lambda L, x: L.fill(x, 3), x)
case("detach", lambda L, x: (L.detach(x), L.detach_copy(x)), x)
case("get_device", lambda L, x: L.get_device(x), x, marks=pytest.mark.cpu("its index"))
case("new_empty_strided", lambda L, x: x.new_empty_strided((2, 3), (1, 2)).stride(), x)
for name in ("values", "indices", "coalesce", "crow_indices", "col_indices", "ccol_indices", "row_indices", "eig", "symeig"):
    case(f"Tensor.{name}", lambda L, x, name=name: getattr(x, name)(), x)
for name in ("eig", "symeig", "matrix_rank", "solve", "lstsq"):
    case(name, lambda L, x, name=name: getattr(L, name)(*[x] * (2 if name in ("solve", "lstsq") else 1)), x)
whole, parts = torch.tensor([4, 6, 9]), torch.tensor([4.0, 0.5, 2])
for name, a in (("gcd_", whole), ("lcm_", whole), ("ldexp_", parts), ("xlogy_", parts), ("clamp_max_", parts), ("clamp_min_", parts)):
    case(name, lambda L, a, name=name: getattr(L, name)(a, a * 2), a)
case("conj_physical_", lambda L, a: L.conj_physical_(a), parts * 1j)

case("div_", lambda L, x: x.div_(x.abs() + 1, rounding_mode="floor"), x)
case("type_as", lambda L, x: x.type_as(x.to(L.int8)), x)
case("CharTensor", lambda L: (L.CharTensor([1, 2]), L.ShortTensor([3]), L.ShortTensor(2).shape))
case("view_as_complex_copy", lambda L, x: L.view_as_complex_copy(x.reshape(12, 2)), x)
case("addmv_", lambda L, x: L.addmv_(x[:, 0].clone(), x, x[0], beta=2), x)
case("orgqr", lambda L, x: L.orgqr(x[:, :2], x[0, :2]), x)
case("resize", lambda L, x: (x.resize(6, 4), x.resize_as(x.reshape(2, 12))), x)

# -- losses: reductions by number --

t, sign, w = torch.rand(4, 6, generator=generator), torch.tensor([1.0, -1, 1, -1]), torch.rand(6, generator=generator)
labels, frames, lengths = torch.randint(1, 5, (2, 3), generator=generator), torch.tensor([6, 6]), torch.tensor([3, 2])
for how in (0, 1, 2):
    case(f"binary_cross_entropy_with_logits {how}", lambda L, x, t, r=how: L.binary_cross_entropy_with_logits(x, t, reduction=r), x, t)
    case(f"kl_div {how}", lambda L, x, t, r=how: L.kl_div(x, t, r, log_target=True), x, t)
    case(f"hinge_embedding_loss {how}", lambda L, x, t, r=how: L.hinge_embedding_loss(x, (t > 0.5) * 2.0 - 1, 1.0, r), x, t)
    case(f"poisson_nll_loss {how}", lambda L, x, t, r=how: L.poisson_nll_loss(x, t, True, False, 1e-8, r), x, t)
    case(f"triplet_margin_loss {how}", lambda L, x, t, r=how: L.triplet_margin_loss(x, t, t * 2, reduction=r), x, t)
    case(f"margin_ranking_loss {how}", lambda L, x, t, r=how: L.margin_ranking_loss(x, t, t.sign(), 0.1, r), x, t)
    case(f"cosine_embedding_loss {how}", lambda L, x, t, s, r=how: L.cosine_embedding_loss(x, t, s, 0.1, r), x, t, sign)
    case(f"ctc_loss {how}", lambda L, *a, r=how: L.ctc_loss(*a, 0, r), randn(6, 2, 5).log_softmax(2), labels, frames, lengths)

# -- normalisation, dropout --

mean, var, image = torch.zeros(6), torch.ones(6), randn(2, 6, 5)
case("batch_norm", lambda L, x, w, a, b: (L.batch_norm(x, w, w, a, b, True, 0.1, 1e-5, False), a, b), x, w, mean, var)
case("instance_norm", lambda L, x, w, a, b: (L.instance_norm(x, w, w, a, b, True, 0.1, 1e-5, False), a, b), image, w, mean, var)
for training in (True, False):
    case(f"native_batch_norm {training}",
         lambda L, x, w, a, b, t=training: (L.native_batch_norm(x, w, w, a, b, t, 0.1, 1e-5), a, b), x, w, mean, var)  # fmt: skip
case("native_layer_norm", lambda L, x, w: L.native_layer_norm(x, [6], w, w, 1e-5), x, w)
case("native_group_norm", lambda L, x, w: L.native_group_norm(x, w, w, 2, 6, 5, 3, 1e-5), image, w)
case("native norms of halves", lambda L, x, w, i: (  # whose statistics are of the weights' dtype
    L.native_layer_norm(x, [6], w, w, 1e-5)[1:], L.native_group_norm(i, w, w, 2, 6, 5, 3, 1e-5)[1:],
    L.native_batch_norm(x, w, w, None, None, True, 0.1, 1e-5)[1:]), x.bfloat16(), w, image.bfloat16())  # fmt: skip
case("norm_except_dim", lambda L, x: (L.norm_except_dim(x, 2, 1), L.norm_except_dim(x, 2, -1)), x)
case("frobenius_norm", lambda L, x: (L.frobenius_norm(x, 1), L.frobenius_norm(x, (0, 1), True)), x)
case("nuclear_norm", lambda L, x: (L.nuclear_norm(x), L.nuclear_norm(x, keepdim=True)), x)
bits = pytest.mark.cpu("PyTorch's stream of random bits there")
for name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"):
    case(name, lambda L, x, name=name: (getattr(L, name)(x, 0.4, True), getattr(L, name)(x, p=0.4, train=False)), torch.ones(3, 4, 5),
         marks=bits)  # fmt: skip
    case(name + "_", lambda L, x, name=name: getattr(L, name + "_")(x, p=0.4, train=True), torch.ones(3, 4, 5), marks=bits)
case("native_dropout", lambda L, x: L.native_dropout(x, 0.4, True), torch.ones(30), marks=bits)

# -- embeddings, images, recurrent networks --

table, places, starts = randn(10, 3), torch.tensor([1, 2, 4, 5, 4, 3, 2, 9]), torch.tensor([0, 4, 4])
for mode in (0, 1, 2):
    case(f"embedding_bag {mode}", lambda L, *a, m=mode: L.embedding_bag(*a, False, m)[0], table, places, starts)
case("embedding_renorm_", lambda L, e, i: L.embedding_renorm_(e, i, 1.0, 2.0), table, torch.tensor([1, 2]))
case("grid_sampler", lambda L, x, g: L.grid_sampler(x, g, 0, 0, False), randn(1, 2, 4, 4), torch.rand(1, 3, 3, 2, generator=generator))
case("adaptive_max_pool1d", lambda L, x: L.adaptive_max_pool1d(x, 2), randn(1, 2, 7))
for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)):
    weights = [randn(gates * 5, 3), randn(gates * 5, 5), randn(gates * 5), randn(gates * 5)]
    h = randn(1, 2, 5)
    state = (h, h * 0.5) if name == "lstm" else h
    case(name, lambda L, x, h, ps, n=name: getattr(L, n)(x, h, ps, True, 1, 0.0, False, False, False), randn(4, 2, 3), state, weights)
    case(f"{name} packed", lambda L, x, b, h, ps, n=name: getattr(L, n)(x, b, h, ps, True, 1, 0.0, False, False), randn(7, 3),
         torch.tensor([2, 2, 2, 1]), state, weights)  # fmt: skip
    first = (h[0], h[0]) if name == "lstm" else h[0]
    case(f"{name}_cell", lambda L, x, h, ps, n=name: getattr(L, n + "_cell")(x, h, *ps), randn(2, 3), first, weights)

# -- segments --

data = randn(6, 2)
for name in ("sum", "mean", "max", "min", "prod", "other"):
    case(f"segment_reduce {name}", lambda L, d, n, r=name: L.segment_reduce(d, r, lengths=n), data, torch.tensor([2, 0, 4]))
    case(f"segment_reduce {name} by offsets", lambda L, d, o, r=name: L.segment_reduce(d, r, offsets=o, initial=1), data,
         torch.tensor([0, 2, 2, 6]))  # fmt: skip
    case(f"segment_reduce {name} of rows", lambda L, d, n, r=name: L.segment_reduce(d, r, lengths=n, axis=1, initial=2.0),
         data.reshape(2, 6), torch.tensor([[2, 1, 3], [1, 5, 0]]))  # fmt: skip
case("segment_reduce of too few", lambda L, d, n: L.segment_reduce(d, "sum", lengths=n), data, torch.tensor([5]))
case("segment_reduce of nothing", lambda L, d: L.segment_reduce(d, "sum"), data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("call", "args"), CASES)
def test_as_pytorch(call, args):
    want, refused = outcome(torch, call, (torch, *own(args)), {})
    got, error = outcome(rl, call, (rl, *to_rl(args)), {})
    assert type(error) is type(refused), f"{error!r}, PyTorch: {refused!r}"
    if refused is not None:
        assert first_line(error) == first_line(refused)
    else:
        assert not (difference := unlike(from_rl(got), want)), difference


def test_control_flow():
    double, same = (lambda x: x * 2), (lambda x: x)
    assert rl.cond(rl.tensor(True), double, same, (rl.tensor(3),)).item() == 6
    i, total = rl.while_loop(lambda i, t: i < 4, lambda i, t: (i + 1, t + i), (rl.tensor(0), rl.tensor(0)))
    assert (i.item(), total.item()) == (4, 6)


def test_legacy_storages_and_types():
    assert rl.ones(2).storage_type() is rl.FloatStorage
    assert isinstance(rl.ones(2).storage(), rl.FloatStorage)
    assert not isinstance(rl.ones(2).storage(), rl.DoubleStorage)
    assert rl.FloatStorage([1, 2]).tolist() == [1.0, 2.0]
    rl.set_default_tensor_type("torch.DoubleTensor")
    try:
        assert rl.tensor(1.0).dtype is rl.float64
    finally:
        rl.set_default_tensor_type(rl.FloatTensor)
    with pytest.raises(TypeError, match="invalid type name"):
        rl.set_default_tensor_type("torch.Foo")


def test_to_sparse_and_back():
    a = rl.tensor([[0.0, 2.0], [3.0, 0.0]])
    assert a.to_sparse().to_dense().tolist() == a.tolist()


def test_from_file(tmp_path):
    path = tmp_path / "numbers"
    x = rl.from_file(str(path), shared=True, size=3)
    x.fill_(2)
    assert rl.from_file(str(path), size=3).tolist() == [2.0, 2.0, 2.0]
