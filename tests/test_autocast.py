"""Autocast beside PyTorch's: which functions compute in which width, alone, in networks and in training.

The table has a call for each name of ``amp/_lists.py`` and others that are in no list. On the CPU PyTorch runs it, too; its GPU lists are
asked with fake tensors, which have dtypes and no elements, so they need no GPU (``--device cuda`` runs rushlight on the stand-in's).
"""

import warnings

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import rushlight as rl
from rushlight.amp import _lists, autocast_mode

LISTED = """
addbmm               torch.addbmm(x(2, 3), x(4, 2, 5), x(4, 5, 3))
addmm                torch.addmm(x(2, 3), x(2, 5), x(5, 3))
addmv                torch.addmv(f(2), f(2, 3), f(3))
addr                 torch.addr(f(2, 3), f(2), f(3))
baddbmm              torch.baddbmm(x(4, 2, 3), x(4, 2, 5), x(4, 5, 3))
bmm                  torch.bmm(x(4, 2, 5), f(4, 5, 3))
chain_matmul         torch.chain_matmul(x(2, 3), x(3, 4), x(4, 2))
conv1d               F.conv1d(x(1, 2, 5), f(3, 2, 3), f(3))
conv2d               F.conv2d(x(1, 2, 5, 5), f(3, 2, 3, 3), f(3))
conv3d               F.conv3d(x(1, 2, 3, 3, 3), f(3, 2, 3, 3, 3), f(3))
conv_tbc             F.conv_tbc(x(5, 1, 2), f(3, 2, 3), f(3))
conv_transpose1d     F.conv_transpose1d(x(1, 2, 5), f(2, 3, 3), f(3))
conv_transpose2d     F.conv_transpose2d(x(1, 2, 5, 5), f(2, 3, 3, 3), f(3))
conv_transpose3d     F.conv_transpose3d(x(1, 2, 3, 3, 3), f(2, 3, 2, 2, 2), f(3))
convolution          torch.convolution(f(1, 2, 5), f(3, 2, 3), None, (1,), (0,), (1,), False, (0,), 1)
einsum               torch.einsum("ij,jk->ik", x(2, 3), f(3, 4))
linalg_multi_dot     torch.linalg.multi_dot([x(2, 3), x(3, 4), f(4, 2)])
linalg_vecdot        torch.linalg.vecdot(x(2, 3), f(2, 3))
linear               F.linear(x(2, 3), f(4, 3), f(4))
matmul               x(2, 3) @ f(3, 4)
mm                   torch.mm(x(2, 3), f(3, 4))
mv                   torch.mv(f(2, 3), f(3))
prelu                F.prelu(x(2, 3) - 0.5, f(1))
scaled_dot_product_attention  F.scaled_dot_product_attention(x(1, 2, 3, 4), f(1, 2, 3, 4), x(1, 2, 3, 4), f(3, 3))
lstm                 torch.lstm(x(3, 2, 4), (x(1, 2, 5), x(1, 2, 5)), [f(20, 4), f(20, 5)], False, 1, 0.0, False, False, False)
gru                  torch.gru(x(3, 2, 4), f(1, 2, 5), [f(15, 4), f(15, 5), f(15), f(15)], True, 1, 0.0, False, False, False)
rnn_tanh             torch.rnn_tanh(x(3, 2, 4), f(1, 2, 5), [f(5, 4), f(5, 5)], False, 1, 0.0, False, False, False)
rnn_relu             torch.rnn_relu(x(3, 2, 4), f(1, 2, 5), [f(5, 4), f(5, 5)], False, 1, 0.0, False, False, False)
lstm_by_steps        torch.lstm(x(3, 2, 4), (x(1, 2, 2), x(1, 2, 5)), [f(20, 4), f(20, 2), f(2, 5)], False, 1, 0.0, False, False, False)
lstm_by_steps        torch.lstm(x(3, 4), torch.tensor([2, 1]), (f(1, 2, 5), f(1, 2, 5)), [f(20, 4), f(20, 5)], False, 1, 0.0, False, False)
lstm_cell            torch.lstm_cell(x(2, 4), (f(2, 5), f(2, 5)), f(20, 4), f(20, 5), f(20), f(20))
gru_cell             torch.gru_cell(x(2, 4), f(2, 5), f(15, 4), f(15, 5), f(15), f(15))
rnn_tanh_cell        torch.rnn_tanh_cell(x(2, 4), f(2, 5), f(5, 4), f(5, 5), f(5), f(5))
rnn_relu_cell        torch.rnn_relu_cell(x(2, 4), f(2, 5), f(5, 4), f(5, 5), f(5), f(5))

adaptive_avg_pool3d  F.adaptive_avg_pool3d(x(1, 2, 4, 4, 4), 2)
adaptive_max_pool3d  F.adaptive_max_pool3d(x(1, 2, 4, 4, 4), 2)
avg_pool3d           F.avg_pool3d(x(1, 2, 4, 4, 4), 2)
max_pool3d           F.max_pool3d(x(1, 2, 4, 4, 4), 2)
fractional_max_pool2d  F.fractional_max_pool2d(x(1, 2, 4, 4), 2, output_size=2, _random_samples=x(1, 2, 2))
fractional_max_pool3d  F.fractional_max_pool3d(x(1, 2, 4, 4, 4), 2, output_size=2, _random_samples=x(1, 2, 3))
max_unpool2d         F.max_unpool2d(x(1, 2, 1, 1), i(4, 1, 2, 1, 1), 2)
max_unpool3d         F.max_unpool3d(x(1, 2, 1, 1, 1), i(8, 1, 2, 1, 1, 1), 2)
binary_cross_entropy F.binary_cross_entropy(x(2, 3), f(2, 3))
binary_cross_entropy_with_logits  F.binary_cross_entropy_with_logits(x(2, 3), f(2, 3))
cosine_embedding_loss F.cosine_embedding_loss(x(2, 3), f(2, 3), 2 * i(2, 2) - 1)
cross_entropy        F.cross_entropy(x(4, 3), i(3, 4))
cross_entropy        F.cross_entropy(x(4, 3), f(4, 3), label_smoothing=0.1)
cross_entropy        F.cross_entropy(x(4, 3, 2), i(3, 4, 2), f(3))
ctc_loss             F.ctc_loss(F.log_softmax(x(5, 2, 4), -1), 1 + i(3, 2, 2), [5, 5], [2, 2])
hinge_embedding_loss F.hinge_embedding_loss(x(2, 3), 2 * f(2, 3) - 1)
huber_loss           F.huber_loss(x(2, 3), f(2, 3))
kl_div               F.kl_div(x(2, 3), f(2, 3), reduction="batchmean")
l1_loss              F.l1_loss(x(2, 3), f(2, 3))
margin_ranking_loss  F.margin_ranking_loss(x(3), f(3), 2 * i(2, 3) - 1)
mse_loss             F.mse_loss(x(2, 3), f(2, 3))
multi_margin_loss    F.multi_margin_loss(x(4, 3), i(3, 4))
multilabel_margin_loss  F.multilabel_margin_loss(x(1, 3), i(3, 1, 3))
nll_loss             F.nll_loss(x(4, 3), i(3, 4))
nll_loss             F.nll_loss(x(4, 3, 2, 2), i(3, 4, 2, 2), f(3))
poisson_nll_loss     F.poisson_nll_loss(x(2, 3), f(2, 3), full=True)
smooth_l1_loss       F.smooth_l1_loss(x(2, 3), f(2, 3))
soft_margin_loss     F.soft_margin_loss(x(2, 3), 2 * f(2, 3) - 1)
triplet_margin_loss  F.triplet_margin_loss(x(2, 3), f(2, 3), x(2, 3))
grid_sample          F.grid_sample(x(1, 2, 4, 4), f(1, 3, 3, 2), align_corners=False)
grid_sample          F.grid_sample(x(1, 2, 4, 4, 4), f(1, 3, 3, 3, 3), mode="nearest", align_corners=True)
reflection_pad1d     F.pad(x(1, 2, 4), (1, 1), mode="reflect")
reflection_pad2d     F.pad(x(1, 2, 4, 4), (1, 1, 1, 1), mode="reflect")
replication_pad1d    F.pad(x(1, 2, 4), (1, 1), mode="replicate")
replication_pad2d    F.pad(x(1, 2, 4, 4), (1, 1, 1, 1), mode="replicate")
replication_pad3d    F.pad(x(1, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1), mode="replicate")
cdist                torch.cdist(x(3, 4), f(2, 4))
quantile             torch.quantile(x(5), f(2))
quantile             torch.quantile(x(5), 0.3)
nanquantile          torch.nanquantile(x(5), 0.3)
prod                 torch.prod(x(2, 3))
prod                 torch.prod(x(2, 3), 1)
trace                torch.trace(x(3, 3))
polar                torch.polar(f(3), f(3))
polar                torch.polar(x(3), x(3))
view_as_complex      torch.view_as_complex(x(3, 2))
stft                 torch.stft(x(16), 8, window=f(8), return_complex=True)
fft_fft              torch.fft.fft(x(4))
fft_fft2             torch.fft.fft2(x(4, 4))
fft_fftn             torch.fft.fftn(x(4, 4))
fft_hfft             torch.fft.hfft(x(4))
fft_ifft             torch.fft.ifft(x(4))
fft_ifft2            torch.fft.ifft2(x(4, 4))
fft_ifftn            torch.fft.ifftn(x(4, 4))
fft_ihfft            torch.fft.ihfft(x(4))
fft_irfft            torch.fft.irfft(x(4))
fft_irfft2           torch.fft.irfft2(x(4, 4))
fft_irfftn           torch.fft.irfftn(x(4, 4))
fft_rfft             torch.fft.rfft(x(4))
fft_rfft2            torch.fft.rfft2(x(4, 4))
fft_rfftn            torch.fft.rfftn(x(4, 4))
cholesky             torch.cholesky(s(3))
cholesky_inverse     torch.cholesky_inverse(s(3))
cholesky_solve       torch.cholesky_solve(x(3, 2), s(3))
geqrf                torch.geqrf(x(3, 3))
inverse              torch.inverse(s(3))
lu_solve             torch.lu_solve(x(3, 2), s(3), 1 + i(1, 3).int())
orgqr                torch.orgqr(x(3, 3), x(3))
ormqr                torch.ormqr(x(3, 3), x(3), x(3, 3))
pinverse             torch.pinverse(s(3))
qr                   torch.qr(s(3))
svd                  torch.svd(s(3))
triangular_solve     torch.triangular_solve(x(3, 2), s(3))
linalg_cholesky      torch.linalg.cholesky(s(3))
linalg_cholesky_ex   torch.linalg.cholesky_ex(s(3))
linalg_cond          torch.linalg.cond(s(3))
linalg_cond          torch.linalg.cond(s(3), "fro")
linalg_eig           torch.linalg.eig(s(3))
linalg_eigh          torch.linalg.eigh(s(3))
linalg_eigvals       torch.linalg.eigvals(s(3))
linalg_eigvalsh      torch.linalg.eigvalsh(s(3))
linalg_householder_product  torch.linalg.householder_product(x(3, 3), x(3))
linalg_inv           torch.linalg.inv(s(3))
linalg_inv_ex        torch.linalg.inv_ex(s(3))
linalg_lstsq         torch.linalg.lstsq(s(3), x(3, 2)).solution
linalg_matrix_rank   torch.linalg.matrix_rank(s(3))
linalg_qr            torch.linalg.qr(s(3))
linalg_solve         torch.linalg.solve(s(3), x(3, 2))
linalg_svd           torch.linalg.svd(s(3))
linalg_svdvals       torch.linalg.svdvals(s(3))
linalg_tensorinv     torch.linalg.tensorinv(s(3).reshape(3, 1, 3), 2)
linalg_tensorsolve   torch.linalg.tensorsolve(s(3), x(3))

cat                  torch.cat([x(2), x(3)])
cat                  torch.cat([x(2), f(3)])
stack                torch.stack([x(2), f(2)])
index_copy           f(3).index_copy(0, i(3, 1), f(1))

_upsample            F.interpolate(x(1, 2, 4), scale_factor=2)
_upsample            F.interpolate(x(1, 2, 4, 4), size=(3, 7), mode="bicubic")
_upsample            F.interpolate(x(1, 2, 4, 4), size=(3, 3), mode="bilinear", antialias=True)
_upsample            F.interpolate(x(1, 2, 2, 2, 2), scale_factor=2, mode="trilinear")
acos                 torch.acos(x(3))
asin                 x(3).asin()
cosh                 torch.cosh(x(3))
cosine_similarity    F.cosine_similarity(x(2, 3), x(2, 3))
dist                 torch.dist(x(3), x(3))
erfinv               torch.erfinv(x(3))
exp                  x(3).exp()
expm1                torch.expm1(x(3))
group_norm           F.group_norm(x(2, 4, 3), 2, x(4), x(4))
layer_norm           F.layer_norm(x(2, 4), (4,), x(4), x(4))
log                  torch.log(x(3))
log10                torch.log10(x(3))
log1p                torch.log1p(x(3))
log2                 torch.log2(x(3))
logsumexp            torch.logsumexp(x(2, 3), -1)
nuclear_norm         torch.nuclear_norm(f(3, 3))
pdist                F.pdist(f(3, 4))
pow                  x(3) ** 2
pow                  2 ** x(3)
pow                  x(3) ** x(3)
reciprocal           torch.reciprocal(x(3))
renorm               torch.renorm(x(2, 3), 2, 0, 1.0)
rms_norm             F.rms_norm(x(2, 4), (4,), x(4))
rsqrt                torch.rsqrt(x(3))
sinh                 torch.sinh(x(3))
softplus             F.softplus(x(3))
tan                  torch.tan(x(3))
cumprod              torch.cumprod(x(3), 0)
cumsum               torch.cumsum(x(3), 0)
linalg_matrix_norm   torch.linalg.matrix_norm(x(3, 3))
linalg_vector_norm   torch.linalg.vector_norm(x(3, 3))
log_softmax          F.log_softmax(x(2, 3), -1)
norm                 torch.norm(x(3, 3), dim=1)
norm                 x(3, 3).norm()
softmax              F.softmax(x(2, 3), -1)
softmax              torch.softmax(x(2, 3), -1)
sum                  x(2, 3).sum()
sum                  torch.sum(x(2, 3), 1, True)
addcdiv              torch.addcdiv(x(3), x(3), f(3))
addcmul              torch.addcmul(x(3), f(3), x(3))
atan2                torch.atan2(x(3), f(3))
bilinear             F.bilinear(x(2, 3), x(2, 4), x(5, 3, 4), x(5))
cross                torch.cross(x(2, 3), f(2, 3), dim=1)
dot                  torch.dot(x(3), x(3))
index_put            x(3).index_put((i(3, 1),), x(1))
scatter_add          x(3).scatter_add(0, i(3, 1), x(1))
tensordot            torch.tensordot(x(2, 3), x(3, 4), 1)
vdot                 torch.vdot(x(3), x(3))
"""

UNLISTED = """
x(2, 3) + f(2, 3)
x(2, 3) * x(2, 3)
x(2, 3) / 2
torch.where(x(3) > 0.5, x(3), f(3))
torch.clamp(x(3), 0.2, 0.4)
torch.maximum(x(3), f(3))
torch.lerp(x(3), x(3), 0.5)
torch.sqrt(x(3))
torch.outer(x(2), x(3))
torch.inner(x(2, 3), x(2, 3))
torch.kron(x(2, 2), x(2, 2))
torch.matrix_power(x(3, 3), 3)
torch.linalg.det(f(3, 3))
torch.mm(x(2, 3), x(3, 2), out=x(2, 2))
x(2, 3).mean()
x(2, 3).std()
x(2, 3).var(1)
x(3).pow_(2)
x(3).exp_()
f(3, 3).addmm_(f(3, 2), f(2, 3))
x(2, 3).sum(dtype=torch.float64)
torch.softmax(x(2, 3), -1, torch.float64)
(x(3) > 0.5).sum()
x(3).mul_(f(3))
f(3).add_(x(3))
F.relu(x(3))
F.gelu(x(3))
F.silu(x(3))
torch.tanh(x(3))
F.logsigmoid(x(3))
F.softmin(x(2, 3), -1)
F.glu(x(2, 4))
F.normalize(x(2, 3))
F.pairwise_distance(x(2, 3), x(2, 3))
F.batch_norm(x(2, 3), f(3), f(3), f(3), f(3))
F.batch_norm(x(2, 3), f(3), f(3), f(3), f(3), True)
F.instance_norm(x(2, 3, 4))
F.local_response_norm(x(1, 4, 3, 3), 3)
F.embedding(i(3, 2), f(3, 4))
F.avg_pool2d(x(1, 2, 4, 4), 2)
F.max_pool2d(x(1, 2, 4, 4), 2)
F.max_pool3d(x(1, 2, 4, 4, 4), 2, return_indices=True)
F.adaptive_avg_pool2d(x(1, 2, 4, 4), 2)
F.interpolate(x(1, 2, 4, 4), size=(3, 7), mode="area")
F.pad(x(1, 2, 4, 4), (1, 1))
F.pad(x(1, 2, 4), (1, 1), mode="circular")
F.pixel_shuffle(x(1, 4, 2, 2), 2)
F.unfold(x(1, 2, 4, 4), 2)
F.fold(x(1, 4, 4), (3, 3), 2)
F.affine_grid(f(1, 2, 3), (1, 1, 2, 2), align_corners=False)
F.multilabel_soft_margin_loss(x(2, 3), f(2, 3))
F.triplet_margin_with_distance_loss(x(2, 3), x(2, 3), x(2, 3))
torch.nn.functional.dropout(x(3), 0.0)
torch.linalg.norm(x(3))
torch.tensordot(f(2, 3), x(3, 4), 1)
"""

CALLS = [(None if table is UNLISTED else line.split()[0], line if table is UNLISTED else line.split(None, 1)[1])
         for table in (LISTED, UNLISTED) for line in table.strip().splitlines() if line]  # fmt: skip

HALVES = (torch.bfloat16, torch.float16)


class Operands:
    """The names of the table: the same numbers for both libraries, ``x`` and ``s`` in the width of the test, ``f`` in float32."""

    def __init__(self, library, width, device, as_tensor=None):
        self.library, self.width, self.device = library, getattr(library, str(width).removeprefix("torch.")), device
        self.draw, self.as_tensor = np.random.RandomState(0), as_tensor or library.tensor

    def make(self, values, dtype):
        return self.as_tensor(np.asarray(values).tolist(), dtype=dtype, device=self.device)

    def names(self):
        return {
            "torch": self.library, "F": self.library.nn.functional,
            "x": lambda *shape: self.make(self.draw.uniform(0.1, 0.9, shape).round(2), self.width),
            "f": lambda *shape: self.make(self.draw.uniform(0.1, 0.9, shape).round(2), self.library.float32),
            "i": lambda high, *shape: self.make(self.draw.randint(0, high, shape), self.library.int64),
            "s": lambda n: self.make(np.eye(n) * 3 + np.arange(n * n).reshape(n, n) % 3 / 4, self.width),
        }  # fmt: skip

    def evaluate(self, call):
        """The tensors that a call returns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = eval(call, self.names())
        return [t for t in (result if isinstance(result, tuple) else (result,)) if hasattr(t, "dtype")]


def kinds(results):
    return [str(t.dtype).removeprefix("torch.") for t in results]


def half_of(library, half):
    return getattr(library, str(half).removeprefix("torch."))


def pytorchs(call, width, half):
    """PyTorch's results under autocast on rushlight's device, without elements where that is a GPU; None where it raises."""
    device = rl.get_default_device().type
    if device == "cuda" and "affine_grid" in call:
        return None  # the fake is another composition, without products
    try:
        if device == "cpu":
            with torch.autocast("cpu", half):
                return Operands(torch, width, "cpu").evaluate(call)
        with FakeTensorMode(), _forced(half):
            empty = lambda values, dtype, device: torch.empty(np.shape(values), dtype=dtype, device=device)  # noqa: E731
            return Operands(torch, width, "cuda", empty).evaluate(call)
    except (RuntimeError, ValueError, AttributeError, AssertionError):  # the latter two: no fake of it
        return None


class _forced:
    """PyTorch's CUDA autocast, which its context refuses where there is no GPU."""

    def __init__(self, half):
        self.half = half

    def __enter__(self):
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", self.half)

    def __exit__(self, *error):
        torch.set_autocast_enabled("cuda", False)
        torch.set_autocast_dtype("cuda", torch.float16)


def rushlights(call, width, half):
    device = rl.get_default_device().type
    with rl.autocast(device, half_of(rl, half)):
        return Operands(rl, width, device).evaluate(call)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name, call", CALLS)
def test_result_types(name, call, half):
    listed = name is None or any(name in names for names in getattr(_lists, rl.get_default_device().type.upper()))
    for width in (torch.float32, half) if listed else (torch.float32,):
        wanted = pytorchs(call, width, half)
        if wanted is None:
            continue
        got = rushlights(call, width, half)
        assert kinds(got) == kinds(wanted), width
        assert [tuple(t.shape) for t in got] == [tuple(t.shape) for t in wanted]
        if rl.get_default_device().type == "cpu" and "linalg" not in call and "svd" not in call and "qr" not in call:
            for a, b in zip(got, wanted):
                a, b = (np.asarray((t.float() if t.dtype.is_floating_point else t).tolist()) for t in (a, b))
                np.testing.assert_allclose(a, b, rtol=0.02, atol=0.02)


def ask_about_all(monkeypatch):
    """Has the core ask about the calls that it casts itself otherwise."""
    inner = autocast_mode.set_cast_types
    monkeypatch.setattr(autocast_mode, "set_cast_types", lambda device, code: inner(-1, 0))


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_the_core_casts_what_autocast_would(monkeypatch, half):
    device = rl.get_default_device().type
    ours = frozenset().union(*getattr(_lists, device.upper()))
    calls = [(call, width) for name, call in CALLS if name in ours for width in (torch.float32, half)]
    calls = [(call, width) for call, width in calls if pytorchs(call, width, half) is not None]
    quick = [rushlights(call, width, half) for call, width in calls]
    ask_about_all(monkeypatch)
    for (call, width), got in zip(calls, quick):
        wanted = rushlights(call, width, half)
        assert kinds(got) == kinds(wanted), (call, width)
        for a, b in zip(got, wanted):
            assert rl.equal(a.nan_to_num(), b.nan_to_num()) if a.is_floating_point() else rl.equal(a, b), (call, width)
    assert len(calls) > 100


def test_operands_that_the_core_leaves_to_autocast():
    """Lists of tensors, out=, numbers of another width, a weight that was written to."""
    device = rl.get_default_device().type
    w = rl.ones(2, 2, requires_grad=True)
    x = rl.ones(2, 2)
    with rl.autocast(device, rl.bfloat16):
        assert rl.linalg.multi_dot([x, x, x]).dtype is rl.bfloat16
        assert rl.mm(x, x, out=rl.empty(2, 2)).dtype is rl.float32
        first = rl.mm(x, w)
        with rl.no_grad():
            w.fill_(2.0)
        assert rl.mm(x, w).tolist() == (2 * first).tolist() and rl.mm(x, w.double()[:0].T.float()).shape == (2, 0)
        with rl.autocast(device, enabled=False):
            assert rl.mm(x, w).dtype is rl.float32
        assert rl.mm(x, w).dtype is rl.bfloat16
        with rl.autocast(device, rl.float16):
            assert rl.mm(x, w).dtype is rl.float16
        assert rl.mm(x, w).dtype is rl.bfloat16
    assert rl.mm(x, w).dtype is rl.float32


def test_every_listed_name_is_effective(monkeypatch):
    """Each name of the lists is one that the table's calls of that name bring to autocast."""
    device = rl.get_default_device().type
    lists = getattr(_lists, device.upper())
    seen = set()

    class Recording(dict):
        def get(self, name):
            seen.add((call_name, name))
            return super().get(name)

    ask_about_all(monkeypatch)
    monkeypatch.setitem(autocast_mode._RULES, device, Recording(autocast_mode._RULES[device]))
    ours = frozenset().union(*lists)
    for call_name, call in CALLS:
        if call_name in ours:
            rushlights(call, torch.float32, torch.bfloat16)
    assert {name for name in ours if (name, name) not in seen} == set()


# what PyTorch's lists have under other names here, and what is a part of another operator, or of a library that is not here
RENAMED = {
    "grid_sampler": "grid_sample", "grid_sampler_2d": "grid_sample", "grid_sampler_3d": "grid_sample", "nll_loss2d": "nll_loss",
    "cross_entropy_loss": "cross_entropy", "multilabel_margin_loss_forward": "multilabel_margin_loss", "native_layer_norm": "layer_norm",
    "mkldnn_rnn_layer": "lstm", "frobenius_norm": "norm",
}  # fmt: skip
ABSENT = """_convolution _native_multi_head_attention _lu_with_info _grid_sampler_2d_cpu_fallback _addmm_activation cudnn_convolution
cudnn_convolution_transpose fake_quantize_per_tensor_affine _scaled_dot_product_flash_attention _thnn_fused_lstm_cell _thnn_fused_gru_cell
binary_cross_entropy""".split()  # the last: on a GPU it raises


@pytest.mark.parametrize("device", ["CPU", "CUDA"])
def test_lists_are_pytorchs(device):
    lists = getattr(_lists, device)
    theirs = {
        name.removeprefix("aten::").partition(".")[0] for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::") and torch._C._dispatch_has_kernel_for_dispatch_key(name, f"Autocast{device}")
    }  # fmt: skip
    ours = frozenset().union(*lists)
    wanted = {RENAMED.get(name, "_upsample" if "upsample_" in name else name) for name in theirs}
    assert wanted - ours - set(ABSENT) == set()
    # one kernel for all of what are compositions of listed operators there
    assert ours - wanted <= {"cross_entropy", "gru", "lstm", "lstm_by_steps", "rnn_relu", "rnn_tanh"}
    assert sum(map(len, lists)) == len(ours)


def test_it_is_on_again_behind_an_operator_that_failed():
    """Operators that are not looked into run without it, and what they raise does not end it."""
    a = rl.ones(2, 2)
    with rl.autocast(a.device.type, rl.bfloat16):
        three = rl.ones(3)
        for call in (lambda: rl.cat([a, three]), lambda: rl.linalg.cholesky(three), lambda: a @ three, lambda: a + three):
            with pytest.raises(RuntimeError):
                call()
            assert (a @ a).dtype is rl.bfloat16 and (a + a).dtype is rl.float32
        with rl.autocast(a.device.type, enabled=False):
            assert (a @ a).dtype is rl.float32
        assert (a @ a).dtype is rl.bfloat16
    assert (a @ a).dtype is rl.float32
