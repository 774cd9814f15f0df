"""Rows of attention and of a Transformer layer."""

from benchmarks.rows.layers import both


def _attention(batch, heads, length, width, causal):
    def make(torch):
        q, k, v = (torch.randn(batch, heads, length, width) for _ in range(3))
        return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal), [q, k, v]

    return make


for causal, name in ((True, "causal"), (False, "full")):
    work = 4 * 64 * 512 * 512 * 64 // (2 if causal else 1)
    both(f"attention 8x8x512x64 {name}", 2.5, 1.5, _attention(8, 8, 512, 64, causal), flops=work)
both("attention 8x3x128x64 causal", 1.5, 1.5, _attention(8, 3, 128, 64, True), flops=4 * 24 * 128 * 128 * 64 // 2)


def _transformer(torch):
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True)
    x = torch.randn(8, 128, 256)
    return lambda: layer(x), [x]


both("TransformerEncoderLayer 256, 8 heads, 8x128", 1.3, 1.3, _transformer)
