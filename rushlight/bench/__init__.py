"""``python -m rushlight.bench [text ...]``: what this machine makes of rushlight, and of PyTorch where that is installed.

Times the workloads whose names contain one of the texts (all without any). With PyTorch installed, both libraries run in turn, each in a
process of its own, and the table shows the ratio of their times. ``--write FILE.md`` also writes the table and, beside it, a bar chart
``FILE.svg``; ``--rows MODULE`` takes the workloads from a module of yours that adds them as ``rushlight.bench.rows`` does:

    from rushlight.bench import row

    @row("softmax of 1,000 rows", bytes=2 * 4 * 1000 * 512)
    def softmax(torch):
        x = torch.randn(1000, 512)
        return lambda: x.softmax(1)
"""

from .row import ROWS, Row, row

__all__ = ["ROWS", "Row", "row"]
