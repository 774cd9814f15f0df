"""``torch.utils.deterministic``."""

fill_uninitialized_memory = True
"""Accepted. Results here are reproducible in any mode, and ``torch.empty`` promises no value in any."""
