"""Results as text, a line each: ``python draft_programs.py PART OF`` calls every OF-th operator of the registry, and all families' kernels.

Run with drafts and without them by test_drafts.py, which compares the lines.
"""

import hashlib
import sys
import zlib

import rows

import rushlight as rl
from rushlight.codegen import drafts

F = rl.nn.functional
KINDS = [rl.float32, rl.float64, rl.bfloat16, rl.float16, rl.int32, rl.bool, rl.complex64]
SHAPES = [(37,), (5, 700), (6, 34)]


def digest(result):
    parts = result if isinstance(result, (tuple, list)) else [result]
    content = b"".join(bytes(p.detach().contiguous().reshape(-1).view(rl.uint8).tolist()) for p in parts)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def drawn(name, spans, i, shape, kind):
    low, high = spans[min(i, len(spans) - 1)]
    x = rl.rand(shape, generator=rl.Generator().manual_seed(zlib.crc32(name.encode()) + i), dtype=rl.float64) * (high - low) + low
    return x.to(kind) if kind is not rl.bool else x > 0


def operators(part, of):
    """(label, call) of the pointwise and rowwise operators, forward and, where there is one, backward."""
    for entry in sorted((*rows.entries("pointwise"), *rows.entries("rowwise")), key=lambda e: e.name)[part::of]:
        names = rows.operands(entry.operator)
        for kind in KINDS:
            for shape in SHAPES:
                args = [drawn(entry.name, rows.DOMAIN.get(entry.name, [(-3, 3)]), i, shape, kind) for i, _ in enumerate(names)]
                if shape == SHAPES[-1]:
                    args = [a.t()[::2] for a in args]
                yield f"{entry.name} {kind} {shape}", lambda args=args, operator=entry.operator: stepped(operator, args)


def stepped(operator, args):
    """What a call gives, and the gradients of its operands."""
    args = [a.clone().requires_grad_() if a.is_floating_point() else a for a in args]
    out = operator(*args)
    first = out[0] if isinstance(out, (tuple, list)) else out
    leaves = [a for a in args if a.requires_grad]
    if not first.requires_grad:
        return out
    return [first, *(g for g in rl.autograd.grad(first.sum(), leaves, allow_unused=True) if g is not None)]


def families():
    """(label, call) of kernels that no definition of elements makes."""
    x, image, w = rl.randn(96, 80), rl.randn(2, 8, 17, 19), rl.randn(16, 8, 3, 3)
    q, lstm, sequence = rl.randn(2, 3, 40, 16), rl.nn.LSTM(12, 20), rl.randn(7, 5, 12)
    for kind in (rl.float32, rl.float64, rl.bfloat16, rl.int64):
        yield f"product {kind}", lambda kind=kind: (x * 9).to(kind) @ (x.t() * 9).to(kind)
        yield f"few rows {kind}", lambda kind=kind: (x[:3] * 9).to(kind) @ (x.t() * 9).to(kind)
        yield f"transposed {kind}", lambda kind=kind: rl.cat([x, x]).to(kind).t().contiguous()
    yield "convolution", lambda: stepped(F.conv2d, [image, w])
    yield "strided convolution", lambda: F.conv2d(image, w, stride=2, padding=1)
    yield "channels alone", lambda: stepped(lambda a, b: F.conv2d(a, b, groups=8), [image, w[:8, :1]])
    yield "attention", lambda: stepped(F.scaled_dot_product_attention, [q, q + 1, q - 1])
    yield "recurrent", lambda: stepped(lambda s: lstm(s)[0], [sequence])
    yield "transform", lambda: rl.view_as_real(rl.fft.fft(x))
    yield "real transform", lambda: rl.view_as_real(rl.fft.rfft2(x))
    yield "pool", lambda: stepped(lambda a: F.max_pool2d(a, 3, 2), [image])
    yield "sorted", lambda: x.sort(1)
    yield "sums", lambda: x.cumsum(0)
    yield "bags", lambda: F.embedding_bag(rl.arange(60).reshape(12, 5), x)
    yield "norms", lambda: stepped(lambda a: F.batch_norm(a, None, None, training=True), [image])
    yield from several_results()
    yield "random", lambda: rl.randn(1000, generator=rl.Generator().manual_seed(3))


def several_results():
    """(label, call) where one reduction's result is part of several: LLVM has taken a wrong lane there (codegen/machine.py, ``joined``)."""
    for kind in (rl.float64, rl.float32):
        for lines, columns in ((3, 4), (8, 8), (9, 17), (40, 130)):
            x, labels = rl.randn(lines, columns).to(kind), rl.arange(lines) % columns
            y, weight = rl.rand(lines, columns).to(kind) + 0.1, rl.rand(columns).to(kind) + 0.1
            calls = {
                "cross_entropy": lambda a, labels=labels: F.cross_entropy(a, labels),
                "smoothed": lambda a, labels=labels, w=weight: F.cross_entropy(a, labels, w, label_smoothing=0.1),
                "nll_loss": lambda a, labels=labels, w=weight: F.nll_loss(a, labels, w),
                "var_mean": lambda a: sum(rl.var_mean(a, 1)),
                "std_mean": lambda a: sum(rl.std_mean(a, 0)),
                "aminmax": lambda a: sum(a.aminmax(dim=1)),
                "layer_norm": lambda a, w=weight: F.layer_norm(a, a.shape[1:], w, w),
                "rms_norm": lambda a, w=weight: F.rms_norm(a, a.shape[1:], w),
                "normalize": F.normalize,
                "cosine": lambda a, y=y: F.cosine_similarity(a, y),
                "kl_div": lambda a, y=y: F.kl_div(a, y, reduction="batchmean"),
                "softmax": lambda a: a.softmax(1) * a.logsumexp(1, keepdim=True),
                "median": lambda a: a.median(1)[0],
            }
            yield from ((f"{name} {kind} {lines}x{columns}", lambda call=call, x=x: stepped(call, [x])) for name, call in calls.items())


def main(part, of):
    drafts.QUIET = 1e9  # a process with drafts keeps them
    rl.manual_seed(0)
    for label, call in (*operators(part, of), *families()):
        try:
            print(label, digest(call()))
        except (RuntimeError, TypeError, NotImplementedError, ValueError):
            print(label, "refused")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
