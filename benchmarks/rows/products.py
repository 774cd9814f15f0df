"""Matrix products and convolutions."""

from rushlight.bench import row


def _gemm(n, dtype, target):
    @row(f"GEMM {dtype} {n}", target, flops=2 * n**3)
    def prepare(torch):
        kind = getattr(torch, dtype)
        a, b = torch.randn(n, n).to(kind), torch.randn(n, n).to(kind)
        return lambda: a @ b


for _n in (256, 1024, 2048):
    _gemm(_n, "float32", 2)
_gemm(1024, "bfloat16", 0.7)


def _few_rows(rows, dtype):
    @row(f"linear 784 to 512, batch {rows}, {dtype}", 1, flops=2 * rows * 784 * 512)
    def prepare(torch):
        kind = getattr(torch, dtype)
        x, w, b = torch.randn(rows, 784).to(kind), torch.randn(512, 784).to(kind), torch.randn(512).to(kind)
        return lambda: torch.nn.functional.linear(x, w, b)


for _n in (1, 8):
    _few_rows(_n, "float32")
_few_rows(8, "bfloat16")


@row("bmm 64 x (128x64 by 64x128)", 1.5, flops=2 * 64 * 128 * 64 * 128)
def _bmm(torch):
    a, b = torch.randn(64, 128, 64), torch.randn(64, 64, 128)
    return lambda: torch.bmm(a, b)


@row("linear, bias and GELU 1024x1024", 2, flops=2 * 1024**3)
def _linear_gelu(torch):
    x, w, b = torch.randn(1024, 1024), torch.randn(1024, 1024), torch.randn(1024)
    functional = torch.nn.functional
    return lambda: functional.gelu(functional.linear(x, w, b))


def _conv(name, target, batch, channels, outputs, size, window, backward=False, dims=2, **options):
    stride, padding = options.get("stride", 1), options.get("padding", 0)
    places, groups = (size + 2 * padding - window) // stride + 1, options.get("groups", 1)
    flops = 2 * batch * outputs * places**dims * (channels // groups) * window**dims * (3 if backward else 1)

    @row(f"conv {name}", target, flops=flops)
    def prepare(torch):
        x, w = torch.randn(batch, channels, *[size] * dims), torch.randn(outputs, channels // groups, *[window] * dims)
        b, convolve = torch.randn(outputs), getattr(torch.nn.functional, f"conv{dims}d")
        if not backward:
            return lambda: convolve(x, w, b, **options)
        operands = [t.requires_grad_() for t in (x, w, b)]
        grad = torch.randn(batch, outputs, *[places] * dims)
        return lambda: torch.autograd.grad(convolve(*operands, **options), operands, grad)


_conv("3x3, 64 channels at 56, batch 32", 1.7, 32, 64, 64, 56, 3, padding=1)
_conv("3x3, 256 channels at 14, batch 32", 0.95, 32, 256, 256, 14, 3, padding=1)
_conv("1x1, 256 to 64 channels at 56, batch 32", 3.5, 32, 256, 64, 56, 1)
_conv("7x7 stride 2, 3 to 64 channels at 224, batch 4", 1.1, 4, 3, 64, 224, 7, stride=2, padding=3)
_conv("depthwise 3x3, 128 channels at 28, batch 32", 1.5, 32, 128, 128, 28, 3, padding=1, groups=128)
_conv("3x3, 64 channels at 56, batch 16, with backward", 1.1, 16, 64, 64, 56, 3, True, padding=1)
_conv("4x4 stride 2, 64 to 128 channels at 32, batch 16, with backward", 1, 16, 64, 128, 32, 4, True, stride=2, padding=1)
_conv("depthwise 7x7, 96 channels at 28, batch 32, with backward", 1, 32, 96, 96, 28, 7, True, padding=3, groups=96)
_conv("of rows by 5, 128 channels at 1024, batch 8, with backward", 1, 8, 128, 128, 1024, 5, True, dims=1, padding=2)
_conv("3x3x3, 64 channels at 16, batch 4, with backward", 1, 4, 64, 64, 16, 3, True, dims=3, padding=1)
_conv("3x3 in 32 groups, 256 channels at 14, batch 32, with backward", 1, 32, 256, 256, 14, 3, True, padding=1, groups=32)
