"""``torch.functional``: functions that are also at the top."""

# ruff: noqa: F822  (the names are looked up)

import rushlight as _rushlight

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors", "cartesian_prod", "cdist",
    "chain_matmul", "einsum", "istft", "lu", "meshgrid", "norm", "split", "stft", "tensordot", "unique", "unique_consecutive",
    "unravel_index",
]  # fmt: skip


def __getattr__(name):
    if name in __all__:
        return getattr(_rushlight, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
