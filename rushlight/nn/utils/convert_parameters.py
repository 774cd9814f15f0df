"""All parameters as one vector, and back."""

import rushlight as torch

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters):
    """All parameters, flattened and joined: iterable of tensors -> (total)."""
    return torch.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Makes the parameters views of consecutive parts of ``vec``. Raises TypeError unless ``vec`` is a tensor."""
    if not isinstance(vec, torch.Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {torch.typename(vec)}")
    offset = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[offset : offset + count].view_as(p).data
        offset += count
