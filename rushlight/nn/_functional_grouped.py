"""Products of groups of matrices."""

import rushlight as torch


def _slices(offsets):
    ends = offsets.tolist()
    return list(zip([0, *ends[:-1]], ends))


def grouped_mm(mat_a, mat_b, *, offs=None, bias=None, out_dtype=None):
    """Several matrix products at once; ``offs`` (G) of int32 says where each group of rows, columns or inner elements ends.

    (R, K) @ (G, K, N): groups of rows -> (R, N). (G, M, K) @ (K, C): groups of columns -> (M, C). (M, K) @ (K, N): groups of inner
    elements -> (G, M, N). (G, M, K) @ (G, K, N), without offs -> (G, M, N).

    >>> tokens = torch.randn(6, 8, dtype=torch.bfloat16)
    >>> experts = torch.randn(2, 8, 16, dtype=torch.bfloat16)
    >>> out = F.grouped_mm(tokens, experts, offs=torch.tensor([4, 6], dtype=torch.int32))
    >>> out.shape, torch.equal(out[4:], tokens[4:] @ experts[1])
    (torch.Size([6, 16]), True)
    """
    if bias is not None:
        raise RuntimeError("Bias not supported yet\nadd it to the result")
    ranks = (mat_a.dim(), mat_b.dim())
    if not set(ranks) <= {2, 3}:
        raise RuntimeError(f"mat_a and mat_b have to be 2 or 3 dimensional, got {ranks}")
    if (offs is None) != (ranks == (3, 3)):
        raise RuntimeError("Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d")
    if ranks == (3, 3):
        result = torch.bmm(mat_a, mat_b)
    elif ranks == (2, 3):
        result = torch.cat([mat_a[begin:end] @ mat_b[g] for g, (begin, end) in enumerate(_slices(offs))])
    elif ranks == (3, 2):
        result = torch.cat([mat_a[g] @ mat_b[:, begin:end] for g, (begin, end) in enumerate(_slices(offs))], 1)
    else:
        result = torch.stack([mat_a[:, begin:end] @ mat_b[begin:end] for begin, end in _slices(offs)])
    return result if out_dtype is None else result.to(out_dtype)


def _refused(name):
    raise RuntimeError(
        f"{name}: products of float8 and float4 matrices are not available\n"
        "these types only store values here; convert them first: mat.to(torch.bfloat16) * scale"
    )


def scaled_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None, swizzle_b=None, bias=None, output_dtype=None,
    contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """Raises RuntimeError: float8 and float4 only store values here, they are not multiplied.

    >>> a = torch.ones(16, 16).to(torch.float8_e4m3fn)
    >>> F.scaled_mm(a, a.t(), 1.0, None, 1.0, None)
    Traceback (most recent call last):
        ...
    RuntimeError: scaled_mm: products of float8 and float4 matrices are not available
    these types only store values here; convert them first: mat.to(torch.bfloat16) * scale
    """
    _refused("scaled_mm")


def scaled_grouped_mm(
    mat_a, mat_b, scale_a, scale_recipe_a, scale_b, scale_recipe_b, swizzle_a=None, swizzle_b=None, bias=None, offs=None,
    output_dtype=None, contraction_dim=(), use_fast_accum=False,
):  # fmt: skip
    """Raises RuntimeError: float8 and float4 only store values here, they are not multiplied.

    >>> a = torch.ones(16, 16).to(torch.float8_e4m3fn)
    >>> F.scaled_grouped_mm(a, a.t(), 1.0, None, 1.0, None)
    Traceback (most recent call last):
        ...
    RuntimeError: scaled_grouped_mm: products of float8 and float4 matrices are not available
    these types only store values here; convert them first: mat.to(torch.bfloat16) * scale
    """
    _refused("scaled_grouped_mm")
