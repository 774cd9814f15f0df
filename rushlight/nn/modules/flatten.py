"""Joining and splitting dimensions."""

from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins the dims start_dim to end_dim: (N, *) -> (N, product) by default.

    >>> nn.Flatten()(torch.zeros(2, 3, 4, 5)).shape
    torch.Size([2, 60])
    >>> nn.Flatten(0, 1)(torch.zeros(2, 3, 4, 5)).shape
    torch.Size([6, 4, 5])
    """

    _repr_template = "start_dim={self.start_dim}, end_dim={self.end_dim}"

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        """The flattened input."""
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """Splits dimension ``dim`` into ``unflattened_size``, whose product it is; one size may be -1.

    >>> nn.Unflatten(1, (3, -1))(torch.zeros(2, 12)).shape
    torch.Size([2, 3, 4])
    """

    _repr_template = "dim={self.dim}, unflattened_size={self.unflattened_size}"

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if not isinstance(dim, int):
            raise TypeError(f"dim must be int, but found type {type(dim).__name__}")
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}")
        for position, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos {position}"
                )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        """The input with one dimension split."""
        return input.unflatten(self.dim, self.unflattened_size)
