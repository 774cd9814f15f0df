"""Rows of embeddings, sums through indices, and CTC."""

from benchmarks.rows.layers import both
from rushlight.bench import row


def _embedding_bag(torch):
    w = torch.randn(10_000, 64)
    i, o = torch.randint(0, 10_000, (8192,)), torch.arange(0, 8192, 16)
    return lambda: torch.nn.functional.embedding_bag(i, w, o), [w]


both("embedding_bag 10,000 x 64, 512 bags of 16", 1, 1, _embedding_bag)


def _embedding(torch):
    w, i = torch.randn(10_000, 64), torch.randint(0, 10_000, (16, 128))
    return lambda: torch.nn.functional.embedding(i, w), [w]


both("embedding 10,000 x 64, 16x128", 1, 1, _embedding)


def _ctc(torch):
    x = torch.randn(100, 16, 32).log_softmax(2)
    y = torch.randint(1, 32, (16, 20))
    lengths, targets = torch.full((16,), 100), torch.full((16,), 20)
    return lambda: torch.nn.functional.ctc_loss(x, y, lengths, targets), [x]


both("ctc_loss 100x16x32, targets 20", 1, 1, _ctc)


@row("scatter_add 1M into 1000", 1)
def _scatter(torch):
    x, i, s = torch.zeros(1000), torch.randint(0, 1000, (1_000_000,)), torch.randn(1_000_000)
    return lambda: x.scatter_add_(0, i, s)


@row("index_add 100,000 rows of 64", 1)
def _index_add(torch):
    x, i, s = torch.zeros(1000, 64), torch.randint(0, 1000, (100_000,)), torch.randn(100_000, 64)
    return lambda: x.index_add_(0, i, s)
