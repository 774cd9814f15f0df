"""PyTorch and rushlight side by side: ``python -m benchmarks [row ...]`` (or ``make bench``)."""
