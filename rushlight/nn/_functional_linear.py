"""Affine and bilinear maps."""

import rushlight as torch


def linear(input, weight, bias=None):
    """``input @ weight.T + bias``: (*, in), (out, in), (out) -> (*, out)."""
    if not isinstance(input, torch.Tensor):
        raise TypeError(f"linear(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if weight.dim() == 1:
        product = torch.matmul(input, weight)
    elif bias is not None and input.dim() == 2:
        return torch.addmm(bias, input, weight.t())
    else:
        product = torch.matmul(input, weight.t())
    return product if bias is None else product + bias


def bilinear(input1, input2, weight, bias=None):
    """``y_k = x1 @ weight[k] @ x2 + bias_k``: (*, in1), (*, in2), (out, in1, in2), (out) -> (*, out)."""
    for name, size, wanted in (("input1", input1.size(-1), weight.size(1)), ("input2", input2.size(-1), weight.size(2))):
        if size != wanted:
            raise RuntimeError(f"bilinear(): {name} size does not match weight size: got {size} but expected {wanted}")
    rows1, rows2 = input1.reshape(-1, input1.size(-1)), input2.reshape(-1, input2.size(-1))
    product = torch.einsum("ni,oij,nj->no", rows1, weight, rows2)
    if bias is not None:
        product = product + bias
    return product.reshape(*input1.shape[:-1], weight.size(0))
