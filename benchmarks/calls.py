"""What a call costs: the most used operators and methods on a few numbers, PyTorch beside rushlight.

    python -m benchmarks.calls                     a table, the smallest ratio first
    python -m benchmarks.calls recorded backward   some of the groups: plain, recorded, backward, python, module
    python -m benchmarks.calls --part 2/4          a quarter of the calls
"""

import os
import statistics
import sys
import timeit

os.environ["RUSHLIGHT_DRAFTS"] = "0"  # kernels are timed from their first call on

# On plain tensors. a, b: 10 floats; m: 4x4; c: 2x4x4; s: a scalar; q: a mask; i, k, y: indices; z: zeros; u: 3 ones; x: an image.
PLAIN = """
a + b | a * 2 | a - b | a / b | a ** 2 | -a | a > 0 | a == b | a @ b | m @ m | a.sum() | a.mean() | m.sum(0) | m.mean(1) | a.max()
m.max(1) | m.argmax(1) | a.std() | a.var() | m.norm() | a.exp() | a.abs() | a.sqrt() | a.clamp(0, 1) | a.clamp(min=0) | T.relu(a)
T.sigmoid(a) | T.tanh(a) | m.softmax(1) | m.log_softmax(1) | a.view(2, 5) | a.reshape(2, 5) | m.t() | m.transpose(0, 1)
m.permute(1, 0) | a.unsqueeze(0) | a[None].squeeze(0) | m.flatten() | a[2] | a[1:4] | a[None].expand(3, 10) | m.contiguous() | a.clone()
a.detach() | a.to(T.float32) | a.to('cpu') | a.double() | a.float() | a.long() | s.item() | T.zeros(10) | T.ones(10)
T.tensor([1., 2.]) | T.arange(10) | T.randn(10) | T.rand(10) | T.empty(10) | T.zeros_like(a) | T.full((3,), 2.) | T.eye(3)
T.cat([a, b]) | T.stack([a, b]) | T.where(a > 0, a, b) | m.gather(1, i) | a.index_select(0, k) | a[k] | a[a > 0] | a.masked_fill(q, 0.)
T.bmm(c, c) | T.matmul(m, m) | F.linear(m, m) | F.mse_loss(a, b) | F.cross_entropy(m, y) | F.layer_norm(m, (4,)) | F.gelu(a)
F.dropout(a, 0.5) | F.softmax(m, 1) | a.add_(0) | a.mul_(1) | a.zero_() | a.size() | a.shape | a.dim() | a.numel() | a.tolist()
a.topk(3) | a.sort() | a.cumsum(0) | a.any() | m.all(1) | a.chunk(2) | a.split(5) | m.unbind(0) | a.repeat(2)
T.einsum('ij,jk->ik', m, m) | T.outer(a, b) | m.tril() | m.diagonal() | T.isnan(a) | a.prod() | z.scatter_add(0, k, u)
z.index_add(0, k, u) | a.logsumexp(0) | a.flip(0) | a.roll(1) | a.unique() | a.argsort() | m.type(T.float64) | a.new_zeros(3)
a.numpy() | a.min() | m.min(1) | m.median() | m.median(1) | m.sort(1) | m.sum() | m.sum((0, 1)) | m.mean((0, 1), keepdim=True)
a.argmin() | m.std(1) | m.var(0) | m.norm(dim=1) | T.linalg.norm(m) | F.normalize(m) | a.dot(b) | m @ m[0] | T.addmm(m, m, m)
T.baddbmm(c, c, c) | T.einsum('bij,bjk->bik', c, c) | T.einsum('ij->ji', m) | T.einsum('ij,ij->', m, m) | T.tensordot(m, m, 1)
T.kron(m, m) | T.maximum(a, b) | T.pow(a, 3) | T.lerp(a, b, 0.5) | T.addcmul(a, a, b) | a.round() | a.floor() | a.sign() | a // 2
a % 2 | n + n | n * 2 | n == 1 | n.float() | ~q | q & q | q.sum() | q.any() | q.all() | T.logical_not(q) | T.isfinite(a)
T.allclose(a, a) | T.equal(a, a) | a != b | a.sin() | a.log() | a.pow(2) | a.rsqrt() | a.erf() | F.silu(a) | F.leaky_relu(a) | F.elu(a)
F.softplus(a) | F.hardtanh(a) | F.relu(a) | F.log_softmax(m, 1) | F.nll_loss(m, y) | F.l1_loss(a, b) | F.smooth_l1_loss(a, b)
F.binary_cross_entropy_with_logits(a, b) | F.kl_div(m, m) | F.cosine_similarity(m, m) | F.embedding(y, m) | F.one_hot(y, 4)
F.pad(a, (1, 1)) | F.pad(x, (1, 1, 1, 1), mode='reflect') | F.conv2d(x, w) | F.conv1d(x[0], w[..., 0]) | F.max_pool2d(x, 2)
F.avg_pool2d(x, 2) | F.adaptive_avg_pool2d(x, 1) | F.interpolate(x, scale_factor=2) | F.interpolate(x, scale_factor=2, mode='bilinear')
F.batch_norm(m, a[:4], b[:4].abs()) | F.group_norm(x, 2) | F.rms_norm(m, (4,)) | F.scaled_dot_product_attention(x, x, x)
F.unfold(x, 2) | F.pixel_shuffle(d, 2) | F.glu(m) | F.dropout(a, 0.5, False) | T.zeros(3, 4) | T.zeros((3, 4), dtype=T.float64)
T.ones_like(a) | T.empty_like(a) | T.full_like(a, 2.) | T.rand_like(a) | T.randn_like(a) | T.randint(0, 10, (10,)) | T.randperm(10)
T.arange(0, 1, 0.1) | T.arange(2, 10, 2) | T.linspace(0, 1, 10) | T.tensor(1.5) | T.tensor([1, 2, 3]) | T.tensor([[1., 2.], [3., 4.]])
T.as_tensor([1., 2.]) | T.from_numpy(p) | T.as_tensor(p) | T.tensor(p) | T.normal(0., 1., (10,)) | T.bernoulli(a.sigmoid())
T.multinomial(e, 2) | T.meshgrid(a, b, indexing='ij') | T.tril_indices(4, 4) | T.cartesian_prod(k, k) | T.bincount(k) | T.nonzero(q)
q.nonzero(as_tuple=True) | T.where(q) | T.histc(a) | T.bucketize(a, g) | T.searchsorted(g, a) | n.unique(return_counts=True)
T.unique_consecutive(n) | a.cumprod(0) | a.cummax(0) | m.logcumsumexp(1) | T.diff(a) | m.argsort(1) | m.topk(2) | m.kthvalue(2)
a.msort() | m.triu() | T.diag(a) | m.trace() | T.flatten(c, 1) | c.movedim(0, 2) | c.permute(2, 0, 1) | c.swapaxes(0, 1)
c.unflatten(2, (2, 2)) | m.T | c.mT | m.view(-1) | m.view(2, 8) | a.narrow(0, 1, 3) | m.select(0, 1) | m.unfold(0, 2, 1)
T.broadcast_to(a, (3, 10)) | m.expand(3, 4, 4).contiguous() | T.squeeze(a) | m.as_strided((2, 2), (4, 1))
c.transpose(1, 2).contiguous() | c.transpose(1, 2).reshape(2, -1) | m.repeat(2, 1) | m.tile(2) | a.repeat_interleave(2) | m.rot90()
m.flip(0, 1) | m.roll(1, 0) | T.hstack([a, b]) | T.vstack([a, b]) | T.cat([m, m], 1) | T.stack([m, m], 1) | T.concat([a, b])
T.split(a, [4, 6]) | T.chunk(m, 2, 1) | T.tensor_split(a, 2) | m[0] | m[:, 0] | m[0, 1] | m[1:3, ::2] | m[..., None] | m[y] | m[y, y]
m[:, k] | m[m > 0] | m[-1] | a[::2] | T.take(m, k) | T.take_along_dim(m, i, 1) | m.masked_select(m > 0) | m.index_fill(0, k, 0.)
m.scatter(1, i, 1.) | m.scatter(1, i, m) | z.scatter_reduce(0, k, u, 'sum') | z.index_copy(0, k, u) | z.masked_scatter(q, a)
T.isin(n, k) | a.bool() | a.int() | a.half() | a.bfloat16() | a.to(T.float64) | a.to(b) | a.type_as(b) | a.is_contiguous() | a.stride()
a.data_ptr() | a.dtype | a.device | a.requires_grad | a.is_floating_point() | a.element_size() | a.ndim | a.T | a.data | a.sub_(0)
a.div_(1) | a.clamp_(0, 1) | a.fill_(1) | a.copy_(b) | a.exp_() | a.relu_() | a.uniform_() | a.normal_() | m.fill_diagonal_(0.)
a.masked_fill_(q, 0.) | z.index_add_(0, k, u) | z.scatter_add_(0, k, u) | z.scatter_(0, k, 1.) | z.index_fill_(0, k, 1.)
T.add(a, b, alpha=2) | T.add(a, b, out=z) | T.cov(m) | T.cdist(m, m) | T.linalg.inv(m) | T.linalg.det(m) | T.linalg.solve(m, m)
T.linalg.svd(m) | T.linalg.qr(m) | T.linalg.cholesky(m @ m.T + 10 * T.eye(4)) | T.fft.fft(a) | T.fft.rfft(a) | T.complex(a, b)
T.quantile(a, 0.5) | T.count_nonzero(a) | T.nan_to_num(a) | T.clip(a, 0, 1) | T.cross(m[:, :3], m[:, 1:]) | T.aminmax(a)
T.logaddexp(a, b) | T.atan2(a, b) | T.floor_divide(a, 2) | T.sum(a) | T.mean(m, 1) | T.std_mean(a) | T.var_mean(m, 1) | T.amax(m, 1)
T.max(a, b) | T.any(q) | T.numel(a) | T.is_tensor(a) | T.vander(a) | T.cumulative_trapezoid(a)
"""

# Of tensors that collect a gradient: A, M, X, W, V (an embedding's rows), C.
RECORDED = """
A + b | A * 2 | A ** 2 | A @ b | M @ m | A.sum() | M.mean(1) | A.exp() | M.max(1) | A.max() | M.softmax(1) | A.view(2, 5)
A.reshape(2, 5) | M.t() | A[2] | A[1:4] | M[0] | M[y] | M[m > 0] | A.clone() | A.unsqueeze(0) | A.expand(3, 10) | T.cat([A, b])
T.stack([A, b]) | T.where(q, A, b) | M.gather(1, i) | A.index_select(0, k) | A.masked_fill(q, 0.) | F.linear(m, M) | F.mse_loss(A, b)
F.cross_entropy(M, y) | F.layer_norm(M, (4,)) | F.dropout(A, 0.5) | F.gelu(A) | F.relu(A) | F.embedding(y, M) | F.conv2d(x, W)
F.max_pool2d(X, 2) | F.batch_norm(M, None, None, training=True) | A.cumsum(0) | A.chunk(2) | A.split(5) | M.unbind(0)
T.einsum('ij,jk->ik', M, m) | M.tril() | M.norm() | A.flip(0) | A.roll(1) | A.repeat(2) | A.sort() | A.topk(3) | M.transpose(0, 1)
M.permute(1, 0) | M.flatten() | A.std() | A.prod() | A.logsumexp(0) | F.pad(A, (1, 1)) | M.diagonal() | z.scatter_add(0, k, U)
z.index_add(0, k, U) | F.interpolate(X, scale_factor=2) | F.scaled_dot_product_attention(X, x, x) | A.clamp(0, 1) | A.detach()
A.double() | M.contiguous() | F.normalize(M) | F.log_softmax(M, 1) | F.nll_loss(M, y) | A.abs() | A / b | A - b | T.outer(A, b)
T.bmm(C, c)
"""

# From Python: containers, numbers and text.
PYTHON = """
[r for r in a] | [float(v) for v in a] | list(m) | float(s) | int(s) | bool(s) | len(a) | a.tolist() | m.tolist() | s.item() | str(s)
repr(a) | f'{s:.3f}' | f'{s.item():.3f}' | repr(m) | p + 1 | N.asarray(a) | a.numpy() | T.from_numpy(p) | T.tensor(l) | T.tensor(1)
T.tensor([True, False]) | hash(a) | a.__len__() | copy.copy(a) | copy.deepcopy(a) | pickle.dumps(a) | (1, 2) == m.shape | m.shape[0]
tuple(m.shape) | isinstance(a, T.Tensor) | 2 in n | T.no_grad() | T.is_grad_enabled() | T.Size([1, 2]) | T.device('cpu')
T.manual_seed(0) | T.get_default_dtype() | a.is_leaf | A.grad | a.requires_grad_(False)
"""

# What a training loop calls beside operators.
MODULE = """
linear(m) | mlp(m) | relu(m) | norm(m) | embed(y) | drop(m) | conv(x) | bnorm(x) | loss(m, y) | list(mlp.parameters())
mlp.state_dict() | mlp.load_state_dict(state) | mlp.train() | mlp.eval() | mlp.zero_grad() | sgd.zero_grad() | adam.zero_grad()
sgd.step() | adam.step() | clip(params, 1.) | list(mlp.named_parameters()) | mlp.requires_grad_(True) | mlp.to('cpu') | linear.weight
mlp[0] | T.nn.Linear(4, 4) | T.nn.ReLU() | T.nn.Parameter(m) | list(loader) | next(iter(loader)) | lstm(c) | mha(c, c, c) | encoder(c)
scheduler.step() | loss(mlp(m), y).backward() | data[0] | T.utils.data.default_collate(samples) | vec(params)
"""


def scope(T):
    """The names of a table's calls under a library."""
    import copy
    import pickle

    import numpy as np

    T.manual_seed(0)
    nn = T.nn
    a, m = T.randn(10), T.randn(4, 4)
    x, w = T.randn(1, 4, 4, 4), T.randn(4, 4, 3, 3)
    mlp = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    params = list(mlp.parameters())
    y = T.tensor([0, 1, 2, 3])
    for p in params:
        p.grad = T.randn(p.shape)
    data = T.utils.data.TensorDataset(T.randn(32, 4), T.zeros(32, dtype=T.int64))
    recorded = {name: value.clone().requires_grad_() for name, value in
                {"A": a, "M": m, "X": x, "W": w, "C": T.randn(2, 4, 4), "U": T.ones(3)}.items()}  # fmt: skip
    sgd = T.optim.SGD(params, 1e-9)
    return {
        "T": T, "F": nn.functional, "N": np, "copy": copy, "pickle": pickle, "a": a, "b": T.randn(10), "m": m, "c": T.randn(2, 4, 4),
        "s": T.tensor(1.0), "q": T.randn(10) > 0, "i": T.zeros(4, 2, dtype=T.int64), "k": T.tensor([1, 2, 3]), "y": y, "z": T.zeros(10),
        "u": T.ones(3), "n": T.tensor([3, 1, 2, 2, 1]), "x": x, "w": w, "d": T.randn(1, 4, 2, 2), "e": T.rand(5), "g": T.linspace(-1, 1, 5),
        "p": np.ones(10, np.float32), "l": [0.5] * 10, **recorded,
        "linear": nn.Linear(4, 4), "mlp": mlp, "relu": nn.ReLU(), "norm": nn.LayerNorm(4), "embed": nn.Embedding(4, 4),
        "drop": nn.Dropout(0.5),
        "conv": nn.Conv2d(4, 4, 3), "bnorm": nn.BatchNorm2d(4), "loss": nn.CrossEntropyLoss(), "state": mlp.state_dict(), "params": params,
        "sgd": sgd, "adam": T.optim.Adam(params, 1e-9), "scheduler": T.optim.lr_scheduler.StepLR(sgd, 1000),
        "clip": nn.utils.clip_grad_norm_, "data": data, "loader": T.utils.data.DataLoader(data, 8), "lstm": nn.LSTM(4, 4),
        "mha": nn.MultiheadAttention(4, 2), "encoder": nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        "samples": [data[j] for j in range(8)], "vec": nn.utils.parameters_to_vector, "back": _back,
    }  # fmt: skip


def _back(result):
    """The backward pass of a call."""
    if isinstance(result, (tuple, list)):
        result = result[0]
    result.sum().backward()


def split(text):
    return [c.strip() for line in text.strip().splitlines() for c in line.split(" | ")]


GROUPS = {
    "plain": lambda: split(PLAIN),
    "recorded": lambda: split(RECORDED),
    "backward": lambda: [f"back({c})" for c in split(RECORDED) if c != "A.detach()"],
    "python": lambda: split(PYTHON),
    "module": lambda: split(MODULE),
}


def cost(call, names):
    """Microseconds of one call, the median of five stretches."""
    timer = timeit.Timer(call, globals=names)
    timer.timeit(5)
    n = max(10, int(0.003 / (timer.timeit(20) / 20)))
    return 1e6 * statistics.median(timer.timeit(n) / n for _ in range(5))


def main(arguments):
    import warnings

    import torch

    import rushlight

    warnings.simplefilter("ignore")
    part, parts = 1, 1
    if "--part" in arguments:
        at = arguments.index("--part")
        part, parts = map(int, arguments[at + 1].split("/"))
        arguments = arguments[:at] + arguments[at + 2 :]
    theirs, ours = scope(torch), scope(rushlight)
    calls = [c for group in arguments or GROUPS for c in (GROUPS[group]() if group in GROUPS else [group])][part - 1 :: parts]
    rows = []
    for call in calls:
        ours_us = cost(call, ours)
        rows.append((cost(call, theirs) / ours_us, call, ours_us))
    for ratio, call, us in sorted(rows):
        print(f"{call:44} {us * ratio:8.2f} us PyTorch {us:8.2f} us rushlight {ratio:6.2f}x")
    print(f"{len(rows)} calls, median {statistics.median(r for r, _, _ in rows):.2f}x, {sum(r < 1 for r, _, _ in rows)} below 1x")


if __name__ == "__main__":
    main(sys.argv[1:])
