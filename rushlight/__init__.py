"""rushlight: PyTorch's names on a tensor core of its own."""
