"""What a call costs: the most used operators and methods on ten floats, PyTorch beside rushlight.

    python -m benchmarks.calls            a table, the smallest ratio first
"""

import statistics
import timeit

CALLS = """
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
a.numpy()
"""


def scope(T):
    """The names of a table's calls under a library."""
    T.manual_seed(0)
    a, m = T.randn(10), T.randn(4, 4)
    return {
        "T": T, "F": T.nn.functional, "a": a, "b": T.randn(10), "m": m, "c": T.randn(2, 4, 4), "s": T.tensor(1.0), "q": a > 0,
        "i": T.zeros(4, 2, dtype=T.int64), "k": T.tensor([1, 2, 3]), "y": T.tensor([0, 1, 2, 3]), "z": T.zeros(10), "u": T.ones(3),
    }  # fmt: skip


def cost(call, names):
    """Microseconds of one call, the median of five stretches."""
    timer = timeit.Timer(call, globals=names)
    timer.timeit(20)
    n = max(20, int(0.004 / (timer.timeit(50) / 50)))
    return 1e6 * statistics.median(timer.timeit(n) / n for _ in range(5))


def main():
    import torch

    import rushlight

    theirs, ours = scope(torch), scope(rushlight)
    rows = []
    for call in (c.strip() for line in CALLS.strip().splitlines() for c in line.split("|")):
        ours_us = cost(call, ours)
        rows.append((cost(call, theirs) / ours_us, call, ours_us))
    for ratio, call, us in sorted(rows):
        print(f"{call:32} {us * ratio:8.2f} us PyTorch {us:8.2f} us rushlight {ratio:6.2f}x")
    print(f"{len(rows)} calls, median {statistics.median(r for r, _, _ in rows):.2f}x")


if __name__ == "__main__":
    main()
