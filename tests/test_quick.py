"""The quick way of an operator (Library.quick) and its definition give the same results, and both leave the same gradients."""

import pytest

import rushlight as rl
from rushlight.ops._define import registry

QUICK = pytest.mark.cpu("the quick ways are for tensors on the CPU")
A = rl.arange(24.0).reshape(4, 6) * 7 % 11
I = rl.tensor([[0, 3], [2, 2], [1, 0], [3, 3]])
V = rl.tensor([2, 0, 2])
W = rl.tensor([1.0, 4.0, 9.0])
F = rl.nn.functional

CALLS = {
    "gather": """
        A.gather(0, I) | A.gather(-2, I) | A.t().gather(1, I) | A.gather(0, I.int()) | A[::2].gather(1, I[:2]) | A.gather(0, I + 9)
        A.gather(2, I) | A.gather(0, I[:, :0]) | A.long().gather(0, I)
    """,
    "index_select": """
        A.index_select(0, V) | A.index_select(-1, V) | A.t().index_select(0, V) | A.index_select(1, -V) | A.index_select(0, V[:0])
        A.half().index_select(0, V) | A.index_select(1, rl.tensor(2))
    """,
    "scatter_add": """
        A.scatter_add(0, I, A) | A.scatter_add(1, I, A.t().contiguous().t()) | A.scatter_add(0, I, A[:, :2].long())
        A.half().scatter_add(0, I, A.half()) | A.scatter_add(0, I, A[:1]) | (A > 3).scatter_add(0, I, A > 5)
    """,
    "_scatter_src": """
        A.scatter(0, I, A) | A.scatter(1, I, A.flip(0)) | A.scatter(0, I, rl.tensor(1.0))
    """,
    "_scatter_value": """
        A.scatter(0, I, 2.5) | A.scatter(0, I, 2) | A.long().scatter(0, I, 2) | A.long().scatter(0, I, 300) | A.scatter(0, I, True)
        A.t().scatter(1, I, -1.0)
    """,
    "index_add": """
        A.index_add(0, V, A[:3]) | A.index_add(1, V, A[:, :3], alpha=2) | A.t().index_add(0, V, A.t()[:3]) | A.index_add(0, V, A[:2])
        A.index_add(0, -V, A[:3]) | A.index_add(0, V, A[:3].double())
    """,
    "index_copy": """
        A.index_copy(0, V, A[:3]) | A.index_copy(-1, V, A[:, :3]) | A.index_copy(0, V.int(), A[:3]) | A.index_copy(0, V, A[:2])
    """,
    "index_fill": """
        A.index_fill(0, V, 2.0) | A.index_fill(1, -V, 3) | A.index_fill(0, V, rl.tensor(4.0)) | A.index_fill(0, V + 5, 3)
        A.index_fill(0, V, A)
    """,
    "fft_fft": """
        rl.fft.fft(A + 0j).abs() | rl.fft.fft(A + 1j, dim=0, norm="ortho").real | rl.fft.fft(A).abs() | rl.fft.fft(A + 1j, 4).abs()
        rl.fft.fft((A + 1j).t()).abs() | rl.fft.fft((A + 1j).conj()).abs() | rl.fft.fft(A + 1j, dim=2) | rl.fft.fft(A + 1j, norm="what")
        rl.fft.fft(A + 1j, 6, -1, "forward").abs() | rl.fft.fft((A + 1j)[:, :0])
    """,
    "fft_ifft": """
        rl.fft.ifft(A + 0j).abs() | rl.fft.ifft(A + 1j, dim=0, norm="ortho").real | rl.fft.ifft(A + 1j, norm="forward").abs()
    """,
    "fft_rfft": """
        rl.fft.rfft(A).abs() | rl.fft.rfft(A, dim=0, norm="ortho").real | rl.fft.rfft(A[:3], dim=0).abs() | rl.fft.rfft(A.half())
        rl.fft.rfft(A.double(), norm="forward").abs() | rl.fft.rfft(A + 1j)
    """,
    "fft_irfft": """
        rl.fft.irfft(A + 1j) | rl.fft.irfft(A + 1j, 11) | rl.fft.irfft(A + 1j, dim=0, norm="ortho") | rl.fft.irfft(A + 1j, norm="forward")
        rl.fft.irfft(A) | rl.fft.irfft(A + 1j, 6) | rl.fft.irfft((A + 1j)[:, :1])
    """,
    "embedding": """
        F.embedding(I, A) | F.embedding(V, A.t()) | F.embedding(V.int(), A) | F.embedding(V + 5, A) | F.embedding(V[:0], A)
    """,
    "index": """
        A[I] | A[V] | A.t()[V] | A[-V] | A[V + 7] | A[V.int()] | A[:, V] | A[None][rl.tensor([0, 0])]
        A[V, V] | A[I, I] | A[V, -V] | A[V, V + 9] | A[V, V[:1]] | A[None][:, V] | A[None][:, :, V]
        A[None][V * 0, V] | A.t()[:, V] | A[:, I]
        A[:, -V] | A[:, V + 9] | A.t()[V, V] | A[V, V.int()] | A[V, :] | A[V, 1:] | A[None][V * 0, :, V] | A.half()[:, V]
    """,
    "cat": """
        rl.cat([A, A]) | rl.cat([A, A], 1) | rl.cat([A, A.t()], 0) | rl.cat([A, A.long()]) | rl.cat((A, A), axis=-1)
        rl.cat([A, rl.zeros(0)]) | rl.cat([A, A], 2) | rl.cat([rl.tensor(1.0)]) | rl.cat([A, A[:0]])
    """,
    "stack": """
        rl.stack([A, A]) | rl.stack([A, A], -1) | rl.stack([A, A[:2]]) | rl.stack([rl.tensor(1.0), rl.tensor(2.0)])
        rl.stack([A, A], 3)
    """,
    "hstack": """
        rl.hstack([A, A]) | rl.hstack([A[0], A[1]]) | rl.hstack([A[0], A])
    """,
    "vstack": """
        rl.vstack([A, A]) | rl.vstack([A[0], A[1]]) | rl.vstack([A[0], A])
    """,
    "_scatter_reduce": """
        A.scatter_reduce(0, I, A, "sum") | A.scatter_reduce(0, I, A, "prod") | A.scatter_reduce(1, I, A, "amax")
        A.scatter_reduce(0, I, A, "mean")
        A.scatter_reduce(0, I, A, "amin", include_self=False) | A.scatter_reduce(0, I, A, "what") | A.scatter_reduce(3, I, A, "sum")
        A.half().scatter_reduce(0, I, A.half(), "sum") | A.scatter_reduce(0, I, A[:, :1], "sum") | A.scatter_reduce(0, I, A.int(), "sum")
    """,
    "_masked_scatter": """
        A.masked_scatter(A > 0, A * 2) | A.masked_scatter(A > 9, A) | A.masked_scatter(A > 0, A[:0]) | A.masked_scatter(A > -9, A[:1])
        A.masked_scatter(A[0] > 0, A) | A.t().masked_scatter(A.t() > 0, A) | A.masked_scatter(A > 0, A.int()) | A.masked_scatter(A, A)
        A.half().masked_scatter(A > 0, A.half()) | A.bool().masked_scatter(A > 0, A > 1)
    """,
    "bucketize": """
        rl.bucketize(A, W) | rl.bucketize(A, W, right=True) | rl.bucketize(A, W, out_int32=True) | rl.bucketize(A, A)
        rl.bucketize(1.0, W)
        rl.bucketize(A.t(), W) | rl.bucketize(A.int(), W.int()) | rl.bucketize(A[:0], W) | rl.bucketize(A * float("nan"), W)
        rl.bucketize(A, W[:0])
    """,
    "searchsorted": """
        rl.searchsorted(W, A) | rl.searchsorted(W, A, right=True) | rl.searchsorted(W, A, side="right")
        rl.searchsorted(A, A, out_int32=True)
        rl.searchsorted(W, A, side="left", right=True) | rl.searchsorted(W, 1.0) | rl.searchsorted(W, A, sorter=W.argsort())
    """,
    "movedim": """
        A.movedim(0, 1) | A.movedim(-1, 0) | A.movedim(0, 0) | A.movedim((0, 1), (1, 0)) | A.movedim(2, 0) | A.movedim(0, -3)
        rl.tensor(1.0).movedim(0, 0) | A[None].movedim(0, 2) | A[None].movedim(2, 0) | A[None].movedim(1, -1) | A.movedim(0)
    """,
    "is_contiguous": """
        A.is_contiguous() | A.t().is_contiguous() | A[:0].is_contiguous() | A.is_contiguous(memory_format=rl.channels_last)
        A.is_contiguous(A) | A.is_contiguous(memory_format=rl.contiguous_format) | rl.tensor(1.0).is_contiguous()
    """,
    "split": """
        A.split(4, 1) | A.split([1, 3]) | A.split([1, 2]) | A.split(0) | A.split(-1) | A.split(9) | A[:0].split(2)
        rl.tensor(1.0).split(1)
    """,
    "chunk": """
        A.chunk(3) | A.chunk(4, -1) | A.chunk(0) | A.chunk(9) | A[:0].chunk(2) | A.chunk(2, 2)
    """,
    "unbind": """
        A.unbind() | A.unbind(-1) | A.t().unbind(0) | A.unbind(2) | A[:0].unbind()
    """,
    "cumsum": """
        A.cumsum(1) | A.cumsum(0) | A.t().cumsum(-1) | A.long().cumsum(1) | A.int().cumsum(1) | A.cumsum(1, dtype=rl.float64)
        A.half().cumsum(1) | A.cumsum(2) | A[:0].cumsum(1)
    """,
    "cumprod": """
        A.cumprod(1) | A.cumprod(0) | A.double().cumprod(-1)
    """,
    "sort": """
        A.sort() | A.sort(descending=True) | A.sort(0) | A.t().sort() | A.sort(2) | A.bool().sort() | rl.tensor(1.0).sort()
        A[:, :0].sort()
    """,
    "argsort": """
        A.argsort() | A.argsort(0, True) | A.argsort(stable=True)
    """,
    "topk": """
        A.topk(2) | A.topk(2, 0) | A.topk(9) | A.topk(2, largest=False) | A.topk(0) | A.topk(-1) | A.bool().topk(1)
        A.topk(2, sorted=False)
    """,
    "kthvalue": """
        A.kthvalue(2) | A.kthvalue(2, 0) | A.kthvalue(2, -1, True) | A.kthvalue(9) | A.kthvalue(0) | A.long().kthvalue(1)
        A.half().kthvalue(3) | rl.tensor(1.0).kthvalue(1) | A.bool().kthvalue(1) | A[:0].kthvalue(1)
    """,
    "median": """
        A.median() | A.median(1) | A.median(0) | A.median(-1, True) | A.long().median() | A.log().median(1) | (A * float("nan")).median()
        A.bool().median() | A[:0].median() | A[:0].median(1) | rl.tensor(1.0).median() | A.median(2) | A.t().median(1)
    """,
    "nanmedian": """
        A.nanmedian() | A.nanmedian(1) | (A.log() - A.log()).nanmedian(1) | (A * float("nan")).nanmedian()
        (A * float("nan")).nanmedian(1, True)
    """,
    "arange": """
        rl.arange(5) | rl.arange(5.0) | rl.arange(2, 9, 3) | rl.arange(9, 2, -3) | rl.arange(0, 1, 0.1) | rl.arange(3, 3) | rl.arange(1, 0)
        rl.arange(1, 5, 0) | rl.arange(2**60, 2**60 + 3) | rl.arange(5, dtype=rl.int32)
        rl.arange(True) | rl.arange(V[0]) | rl.arange(1, 2, 3, 4)
        rl.arange(0.5, -2, -1) | rl.arange(float("nan")) | rl.arange("a")
    """,
    "randint": """
        seeded().randint(10, (3,)) | seeded().randint(-5, 5, (2, 2)) | seeded().randint(2**40, [4]) | seeded().randint(0, (3,))
        seeded().randint(5, 2, (3,)) | seeded().randint(10, 3) | seeded().randint(10, (3,), dtype=rl.uint8) | seeded().randint(1.5, (3,))
        seeded().randint(10, (-1,)) | seeded().randint(10, ())
    """,
    "is_tensor": """
        rl.is_tensor(A) | rl.is_tensor(1) | rl.is_tensor() | rl.is_tensor(A[0])
    """,
    "flip": """
        A.flip(0) | A.flip(-1) | A.flip(0, 1) | A.flip((0, 1)) | A.flip([1]) | A.flip(0, 0) | A.flip(2) | A.flip() | A.flip(dims=(0,))
        A.t().flip(1) | A[:0].flip(0) | rl.tensor(1.0).flip(0) | A.long().flip(1)
    """,
    "logcumsumexp": """
        A.logcumsumexp(1) | A.logcumsumexp(0) | A.double().logcumsumexp(-1) | A.half().logcumsumexp(1) | A.logcumsumexp(2)
        A[:0].logcumsumexp(1) | A.long().logcumsumexp(1)
    """,
    "bincount": """
        V.bincount() | V.bincount(minlength=9) | V.int().bincount() | V.bincount(W) | (-V).bincount()
        V[:0].bincount() | I.bincount()
        V.bincount(minlength=-1) | A.bincount() | (V * 3000).bincount().sum()
    """,
    "equal": """
        rl.equal(A, A) | rl.equal(A, A + 1) | rl.equal(A, A[0]) | rl.equal(A, A.double()) | rl.equal(A / 0, A / 0)
        rl.equal(A[:0], A[:0])
        rl.equal(A, 1) | rl.equal(rl.tensor(1), rl.tensor(1)) | rl.equal(A, A.t().contiguous().t())
    """,
    "zero_": """
        A.clone().zero_() | A.clone().t().zero_() | A.long().zero_() | rl.tensor(1 + 2j).zero_() | A[:0].zero_()
        (A * 1).expand(2, 4, 6).zero_() | (A * 1).zero_()
    """,
    "take": """
        A.take(V) | A.take(I) | A.take(-V) | A.take(V + 22) | A.take(V + 20) | A.t().take(V) | A.take(V.int())
        A.take(V[:0]) | A.take(V[0])
    """,
    "expect": """
        F.nll_loss(A, rl.tensor([0, 5, 2, 3])) | F.nll_loss(A, rl.tensor([0, 6, 2, 3])) | F.nll_loss(A, rl.tensor([0, -100, 2, 3]))
        rl.bernoulli(A) | rl.bernoulli(A / A)
    """,
    "nll": """
        F.nll_loss(A, rl.tensor([0, 5, 2, 3]), reduction="none") | F.nll_loss(A, rl.tensor([0, -100, 2, 3]), weight=A[0] * A[0])
        F.nll_loss(A.t(), rl.tensor([0, 3, 2, 3, 1, 0]), reduction="none") | F.nll_loss(A.double(), rl.tensor([0, 5, 2, 3]), ignore_index=5)
        F.nll_loss(A.bfloat16(), rl.tensor([0, 5, 2, 3])) | F.nll_loss(A[0], rl.tensor(3)) | F.nll_loss(A, rl.tensor([0, 5, 2, 3]).byte())
        F.nll_loss(A[None].transpose(1, 2), rl.tensor([[0, 5, 2, 3]]), weight=A[1], reduction="sum")
        F.nll_loss(A, rl.tensor([0, 6, 2, 3]))
    """,
    "constant_pad_nd": """
        F.pad(A, (1, 1)) | F.pad(A, (0, 2, 1, 0), value=3) | F.pad(A, (-1, 1)) | F.pad(A.t(), (1, 0)) | F.pad(A.long(), (1, 1), value=2)
        F.pad(A.half(), (1, 1), value=0.5) | F.pad(A, (1, 1, 1, 1, 1, 1)) | F.pad(A, (1,)) | F.pad(A[:0], (1, 1, 1, 0))
    F.pad(A, (0, 0, 2, 1)) | F.pad(A[None], (0, 3, 0, 0, 1, 2), value=-1) | F.pad(rl.ones(70, 500), (1, 2)) | F.pad(rl.tensor(1.), ())
        F.pad(A[None, None], (1, 0, 0, 1, 1, 0, 0, 1))
    """,
    "pad_around": """
        F.pad(A, (1, 2), mode="reflect") | F.pad(A, (6, 6), mode="circular") | F.pad(A, (7, 0), mode="replicate")
        F.pad(A[None], (1, 2, 3, 0), mode="reflect") | F.pad(A[None].double(), (1, 2, 3, 0), mode="replicate")
        F.pad(A[None, None], (1, 2, 3, 0), mode="circular") | F.pad(A[None, None], (1, 2, 3, 0, 0, 0), mode="reflect")
        F.pad(A.reshape(1, 2, 2, 2, 3).half(), (1, 1, 1, 0, 0, 1), mode="reflect") | F.pad(A, (6, 0), mode="reflect")
        F.pad(A.t(), (1, 2), mode="reflect") | F.pad(A.long(), (1, 2), mode="circular")
        F.pad(rl.ones(3, 70, 500), (1, 2, 3, 4), mode="reflect") | F.pad(A[:0, None], (1, 2), mode="circular")
        F.pad(A[:, :0], (1, 2), mode="replicate") | F.pad(A, (-1, 2), mode="replicate")
    """,
    "convolution": """
        F.conv2d(A[None, None], A[None, None, :2, :2]) | F.conv2d(A[None, None], A[:2, None, None, :2], V[:2].float(), padding=1)
        F.conv2d(A[None, None], A[None, None, :2, :2], stride=(2, 1), dilation=2) | F.conv2d(A[None, None], A[None, None, :2, :2], stride=2)
        F.conv1d(A[None], A[None, :, :3]) | F.conv1d(A[None], A[:, :2, None], groups=2) | F.conv1d(A[None], A[:, :1, None], groups=4)
        F.conv3d(A.reshape(1, 2, 2, 2, 3), A.reshape(2, 2, 1, 2, 3), padding=(1, 0, 2)) | F.conv1d(A[None], A[None, :, :3], padding="same")
        F.conv2d(A[None, None].double(), A[None, None, :2, :2].double()) | F.conv2d(A[None, None].half(), A[None, None, :2, :2].half())
        F.conv2d(A[None, None].long(), A[None, None, :2, :2].long()) | F.conv2d(A[None, None], A[None, None])
        F.conv2d(A[None], A[None, None])
        F.conv2d(A[None, None], A[None, None], padding=-1) | F.conv2d(A[None, None], A[None]) | F.conv1d(A[None], A[:, :3, None])
        F.conv2d(A[None, None], A[None, None, :2, :2], A[0]) | F.conv2d(A[None, None], A[None, None, :2, :2].double())
        F.conv2d(A[None, None].to(memory_format=rl.channels_last), A[None, None, :2, :2])
        rl.convolution(A[None, None], A[None, None, :2, :2], None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
        rl.convolution(A[None, None], A[None, None, :2, :2], None, (1, 1), (0, 0), (1, 1), True, (0, 0), 1)
        F.conv_transpose2d(A[None, None], A[None, None, :2, :3], stride=(2, 1), padding=1)
        F.conv_transpose1d(A[None], A[:, :2, None], groups=2) | F.conv_transpose1d(A[None], A.reshape(4, 2, 3), padding=3)
        F.conv_transpose1d(A[None], A.reshape(4, 2, 3), V[:4].float(), 3, 1, 2, 2)
        F.conv_transpose3d(A.reshape(1, 2, 2, 2, 3), A.reshape(2, 2, 1, 2, 3).double())
        F.conv_transpose1d(A[None], A[:, :1, None], groups=4)
        F.conv_transpose3d(A.reshape(1, 2, 2, 2, 3), A.reshape(2, 2, 1, 2, 3), stride=2, output_padding=1, dilation=2)
        F.conv_transpose1d(A[None], A.reshape(4, 2, 3) / 0, stride=2)
        F.conv_transpose1d(A[None], A.reshape(4, 2, 3), stride=2, output_padding=2)
    """,
    "attention": """
        F.scaled_dot_product_attention(A.reshape(1, 2, 4, 3), A.reshape(1, 2, 4, 3), A.reshape(1, 2, 4, 3))
        F.scaled_dot_product_attention(A.reshape(2, 1, 4, 3), A.reshape(2, 1, 4, 3), A.reshape(2, 1, 4, 3) * 2, is_causal=True, scale=0.1)
        F.scaled_dot_product_attention(*[A.double().reshape(1, 4, 3, 2).transpose(1, 2)] * 3)
        F.scaled_dot_product_attention(*[A.reshape(1, 1, 4, 6).bfloat16()] * 3) | F.scaled_dot_product_attention(A, A, A)
        F.scaled_dot_product_attention(*[A.reshape(1, 1, 4, 6)] * 3, attn_mask=A[:, :4] > 3) | F.scaled_dot_product_attention(A, A, A[0])
        F.scaled_dot_product_attention(*[A.reshape(1, 1, 4, 6).long()] * 3)
        F.scaled_dot_product_attention(A[None], A[None], A[None, :, :0])
    """,
    "linalg_qr": """
        rl.linalg.qr(A.t()) | rl.linalg.qr(A.t().contiguous()) | rl.linalg.qr(A) | rl.linalg.qr(A[:, :4] + 1, "complete")
        rl.linalg.qr(A.detach(), "r") | rl.linalg.qr(A.double().reshape(6, 4)) | rl.linalg.qr(A.reshape(6, 4)) | rl.linalg.qr(A[0])
        rl.linalg.qr(A.long()) | rl.linalg.qr(A, "x")
    """,
    "linalg_solve_triangular": """
        rl.linalg.solve_triangular(spd(A), A, upper=False) | rl.linalg.solve_triangular(spd(A), A, upper=True, unitriangular=True)
        rl.linalg.solve_triangular(spd(A), A.reshape(6, 4), upper=True, left=False)
        rl.linalg.solve_triangular(spd(A), A, upper=True, left=False)
        rl.linalg.solve_triangular(spd(A).double(), A.double(), upper=True) | rl.linalg.solve_triangular(spd(A).t(), A, upper=False)
        rl.linalg.solve_triangular(spd(A), A.double(), upper=True) | rl.linalg.solve_triangular(A, A, upper=False)
    """,
    "linalg_cholesky": """
        rl.linalg.cholesky(spd(A)) | rl.linalg.cholesky(spd(A), upper=True) | rl.linalg.cholesky(spd(A).double())
        rl.linalg.cholesky(-spd(A)) | rl.linalg.cholesky(A) | rl.linalg.cholesky(spd(A).long())
        rl.linalg.cholesky(spd(A).expand(2, 4, 4))
    """,
    "roll": """
        A.roll(1) | A.roll(-9) | A.roll(1, 0) | A.roll(-2, -1) | A.roll((1, 2), (0, 1)) | A.t().roll(1) | A.roll(1, 2) | A[:0].roll(1)
        A.roll(100, 1)
    """,
}
"""Operators by name, and calls that use them: common ones, and some that the quick way leaves to the definition."""


def calls(name):
    return [c.strip() for line in CALLS[name].strip().splitlines() for c in line.split(" | ")]


def seeded():
    rl.manual_seed(3)
    return rl


def spd(a):
    """A positive definite matrix."""
    return a @ a.t() + 4 * rl.eye(a.shape[0])


def answer(call, names):
    try:
        return eval(call, {"rl": rl, "F": F, "seeded": seeded, "spd": spd}, names)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def seen(result):
    if isinstance(result, rl.Tensor):
        return [str(result.dtype), result.shape, result.stride(), result.tolist()]
    return [seen(r) for r in result] if isinstance(result, (tuple, list)) else result


def without(op, monkeypatch):
    """Takes the quick way off an operator and its in-place form."""
    for form in (op, getattr(op, "inplace", None)):
        if getattr(form, "quick", None) is not None:
            monkeypatch.setattr(form, "quick", None)


def test_every_quick_way_is_here():
    quick = {name for name, entry in registry.items() if getattr(entry.operator, "quick", None) is not None}
    inner = set("_cat _stack _split _unbind _cumsum _cumprod _sort _topk _roll pick _median_of_all _logcumsumexp _solve_triangular".split())
    assert quick - inner == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
@QUICK
def test_same_as_the_definition(name, monkeypatch):
    names = {"A": A, "I": I, "V": V, "W": W}
    fast = [seen(answer(call, names)) for call in calls(name)]
    for entry in registry.values():
        without(entry.operator, monkeypatch)
    for call, found in zip(calls(name), fast):
        assert repr(found) == repr(seen(answer(call, names))), call


@pytest.mark.parametrize("name", CALLS)
@QUICK
def test_same_gradients_as_the_definition(name, monkeypatch):
    def gradients():
        found = []
        for call in calls(name):
            x = A.clone().requires_grad_()
            out = answer(call, {"A": x, "I": I, "V": V, "W": W})
            outs = [t for t in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(t, rl.Tensor) and t.requires_grad]
            if outs:
                sum((t * t).sum() for t in outs).backward()
            found.append((call, [t.grad_fn.name() for t in outs], x.grad is not None and x.grad.tolist()))
        return found

    fast = gradients()
    for entry in registry.values():
        without(entry.operator, monkeypatch)
    assert repr(fast) == repr(gradients())
    without_gradients = "argsort is_contiguous bucketize searchsorted arange randint is_tensor bincount equal zero_".split()
    assert name in without_gradients or any(grads for _, _, grads in fast)


def test_views_made_quickly_are_views_of_one_call():
    x = rl.zeros(4, requires_grad=True)
    with rl.no_grad():
        first = x.chunk(2)[0]
    first.detach().add_(1)
    assert x.tolist() == [1, 1, 0, 0]
    y = x * 1
    with pytest.raises(RuntimeError, match="returns multiple views"):
        y.chunk(2)[0].add_(1)


def test_a_plan_is_made_once_and_serves_every_mode():
    from rushlight.ops._define import planned

    made = []

    @planned
    def ramp(n, device):
        made.append(n)
        return rl.arange(n, device=device)

    with rl.inference_mode():
        first = ramp(3, rl.device("cpu"))
    assert not first.is_inference() and ramp(3, rl.device("cpu")) is first and made == [3]
    assert ramp.function(3, rl.device("cpu")) is not first


def test_that_there_is_no_plan_is_remembered():
    """As where a convolution gains nothing by fewer products: finding that out costs more than a small convolution."""
    from rushlight.ops._define import planned

    made = []

    @planned
    def nothing(n):
        made.append(n)

    assert [nothing(1), nothing(1), nothing(2)] == [None] * 3 and made == [1, 2]


def test_a_plan_of_what_has_no_hash_is_made_each_time():
    """The core catches an error that was raised in C, and so has no traceback."""
    from rushlight.ops._define import planned

    made = []

    @planned
    def total(numbers):
        made.append(numbers)
        return sum(numbers)

    assert [total({1, 2}), total({1, 2}), total((1, 2)), total((1, 2))] == [3] * 4 and made == [{1, 2}, {1, 2}, (1, 2)]


def test_a_plan_follows_from_shapes_and_types():
    from rushlight.ops._define import planned

    made = []

    @planned
    def name(x, size):
        made.append(size)
        return f"{x.dtype} {tuple(x.shape)} {size!r}"

    wide, high = rl.zeros(2, 3), rl.zeros(3, 2)
    assert [name(*call) for call in ((wide, 2), (wide + 1, 2), (wide, 2.0), (high, [2]), (high + 1, (2,)), (wide.long(), 2))] == [
        "torch.float32 (2, 3) 2", "torch.float32 (2, 3) 2", "torch.float32 (2, 3) 2.0",
        "torch.float32 (3, 2) [2]", "torch.float32 (3, 2) [2]", "torch.int64 (2, 3) 2",
    ] and len(made) == 4  # fmt: skip


# -- definitions whose loops are recorded --


def recorded(definition):
    from rushlight._core.indexing import Recorded

    runs = []

    def counted(*args):
        runs.append(args)
        return definition(*args)

    counted.__doc__ = None
    return Recorded(counted), runs


def loops():
    from rushlight.ops.pool import moved, run

    def turned(x, more):
        out = rl.empty(x.shape[1], x.shape[0])
        run(moved, (), out, x.t())
        return out

    return turned


@QUICK
def test_loops_are_replayed_for_tensors_of_one_geometry():
    turn, runs = recorded(loops())
    for x in (A, A + 1, A * 2):
        assert rl.equal(turn(x, 1), x.t())
    assert len(runs) == 1
    for x, more in ((A.t(), 1), (A[:2], 1), (A, 2), (A, (1, 2))):
        for y in (x, x * -1):
            assert rl.equal(turn(x, more), x.t()) and rl.equal(turn(y, more), y.t())
    assert 1 < len(runs) <= 6


@QUICK
@pytest.mark.parametrize("spoil", ["copies", "counts", "fills", "keeps"])
def test_a_recording_that_misses_something_is_not_used(spoil):
    """What the loops alone do not show: a copy, a number from the elements, memory that something else writes, a tensor from outside."""
    turned, outside = loops(), A * 1

    def definition(x):
        if spoil == "copies":
            return turned(x.clone(), 1)
        if spoil == "counts":
            return turned(x, 1) + x[0, 0].item()
        if spoil == "fills":
            out = turned(x, 1)
            out[0] = x[0, 0]
            return out
        outside.copy_(x)
        return turned(outside, 1)

    run, runs = recorded(definition)
    for x in (A, A + 1, A * 2):
        assert rl.equal(run(x), definition(x))
    assert len(runs) == 3


WINDOWS = """
    F.max_pool2d(X, 2) | F.max_pool2d(X, 3, 2, 1) | F.max_pool2d(X, (1, 2), return_indices=True) | F.max_pool2d(X, 2, ceil_mode=True)
    F.max_pool2d(X, 4, 1) | F.max_pool2d(X, 2, dilation=2) | F.avg_pool2d(X, 2) | F.avg_pool2d(X, 3, 2, 1) | F.avg_pool2d(X, 5, 1)
    F.avg_pool2d(X, 3, 2, 1, count_include_pad=False) | F.avg_pool2d(X, 2, divisor_override=3) | F.avg_pool1d(X[0], 2)
    F.max_pool1d(X[0], 3, 1, 1) | F.max_pool3d(X, 2) | F.avg_pool3d(X, (1, 2, 2)) | F.adaptive_avg_pool2d(X, 2)
    F.adaptive_avg_pool2d(X, (1, 3)) | F.adaptive_avg_pool1d(X[0], 3) | F.max_pool2d(X.half(), 2) | F.avg_pool2d(X.bfloat16(), 5, 1)
    F.max_pool2d(X.long(), 2) | F.avg_pool2d(X.long(), 2) | F.max_pool2d(X.to(memory_format=rl.channels_last), 2) | F.max_pool2d(X / 0, 2)
    F.interpolate(X, scale_factor=2) | F.interpolate(X, (3, 7), mode="bilinear") | F.interpolate(X[0], 4, mode="linear", align_corners=True)
    F.interpolate(X, scale_factor=0.5, mode="bicubic", antialias=True) | F.interpolate(X, scale_factor=1.5, mode="nearest-exact")
    F.interpolate(X.half(), 9, mode="bilinear") | F.interpolate(X.byte(), 9) | F.interpolate(X.byte(), 9, mode="bilinear")
    F.interpolate(X[None], 3, mode="trilinear") | F.interpolate(X, 3, mode="area") | F.pixel_unshuffle(X, 2)
    F.pixel_unshuffle(X[0] > 9, 3) | F.pixel_shuffle(X.transpose(1, 2), 1) | F.pixel_shuffle(X.reshape(2, 12, 3, 3), 2)
    F.pixel_shuffle(X.transpose(1, 2).to(rl.complex128), 1)
"""


@QUICK
@pytest.mark.parametrize("call", [c.strip() for line in WINDOWS.strip().splitlines() for c in line.split(" | ")])
def test_windows_replayed_give_what_their_definition_gives(call, monkeypatch):
    from rushlight._core.indexing import Recorded

    def results():
        found = []
        for factor in (1, -2, 3):
            x = (rl.arange(2 * 3 * 6 * 6.0).reshape(2, 3, 6, 6) * 7 % 31 * factor).requires_grad_()
            out = answer(call, {"X": x})
            out = out[0] if isinstance(out, tuple) else out
            if out.requires_grad:
                (out * out).sum().abs().backward()
            found.append((seen(out.detach()), x.grad is not None and x.grad.tolist()))
        return found

    replayed = results()
    for entry in registry.values():
        forward = getattr(entry.operator, "forward", None)
        if isinstance(forward, Recorded):
            monkeypatch.setattr(forward, "replays", False)
    assert repr(replayed) == repr(results())
