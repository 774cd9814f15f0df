"""Rows of recurrent layers."""

from benchmarks.rows.layers import both


def _recurrent(kind, inside, hidden, steps, batch, **options):
    def make(torch):
        layer = getattr(torch.nn, kind)(inside, hidden, **options)
        x = torch.randn(steps, batch, inside)
        return lambda: layer(x)[0], [x]

    return make


for kind in ("LSTM", "GRU", "RNN"):
    both(f"{kind} 64->128, 50 steps, batch 16", 1.2, 1.2, _recurrent(kind, 64, 128, 50, 16))
both("LSTM 128->256, 2 layers, 100 steps, batch 32", 1.2, 1.2, _recurrent("LSTM", 128, 256, 100, 32, num_layers=2))
