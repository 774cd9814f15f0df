"""What out= must be: which operators write to it what they compute as it is, so that it must have the result's dtype; others convert.

PyTorch has a text of its own for many of them. In a text, {has} and {given} stand for the result's dtype and that of out= as C++ names
them, {Has} and {Given} for their titles. The core (outputs.pxi) asks for the
rules when it meets the first out=.
"""

_AS_IT_IS = "Expected out tensor to have dtype {has}, but got {given} instead"
_UNARY = "Found dtype {Given} but expected {Has}"
_BOOLEAN = "{name} does not support non-boolean outputs."
_INPUT_S = "{name}(): self and result must have the same scalar type"
_QUANTILE = "quantile() out tensor must be same dtype as the input tensor"
_NORM = "linalg.{short} expected out tensor dtype {Has} but got: {Given}"
_FOUND, _SCANNED = "expected scalar type {Has} but found {Given}", "expected scalar_type {Has} but found {Given}"
_POLAR = "Expected object of scalar type {Has} but got scalar type {Given} for argument 'out'"
_PRODUCT = "tensordot: Expected the output tensor to have dtype {Has}, but got an output tensor with dtype {Given}"
_INNER = "result dtype {Given} does not match input dtype {Has}"
_EXTREMUM = "Expected the dtype for input and out to match, but got {Has} for input's dtype and {Given} for out's dtype."
_HISTOGRAM = "torch.histogram: input tensor and hist tensor should have the same dtype, but got input {has} and hist {given}"
_EDGES = ("torch.histogram: input tensor and bin_edges tensor should have the same dtype, but got input {has} and bin_edges {given} "
          "for dimension 0")  # fmt: skip
_SEARCH = ("torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on whether out_int32 "
           "flag is True, but we got output tensor's dtype {Given}")  # fmt: skip
_MODE = "expected scalar type '{Has}' but got '{Given}' for "

_MANY = {
    _AS_IT_IS: """
        addbmm addmm addmv alias_copy aminmax argmax argmin as_strided_copy avg_pool3d baddbmm bmm cross detach_copy diag
        diagonal_copy expand_copy gather index_add index_copy index_reduce isin linear log_softmax lu_solve lu_unpack matmul max min mm
        msort mv norm permute_copy qr renorm scatter scatter_add scatter_reduce select_copy slice_copy slice_scatter softmax sort
        split_with_sizes_copy squeeze_copy svd t_copy take_along_dim topk transpose_copy triangular_solve tril triu unbind_copy unfold_copy
        unsqueeze_copy view_copy
        linalg_cholesky linalg_cholesky_ex linalg_cross linalg_det linalg_eigh linalg_eigvalsh linalg_inv linalg_inv_ex
        linalg_ldl_factor linalg_ldl_factor_ex linalg_ldl_solve linalg_lu linalg_lu_factor linalg_lu_factor_ex linalg_lu_solve
        linalg_qr linalg_slogdet linalg_solve linalg_solve_ex linalg_svd linalg_svdvals linalg_vector_norm""",
    _UNARY: "abs bitwise_not ceil conj_physical floor frac gelu hardshrink neg round sgn sign softplus softshrink trunc",
    _BOOLEAN: "isneginf isposinf signbit",
    _INPUT_S: "index_select masked_select",
    _QUANTILE: "nanquantile quantile",
    _NORM: "linalg_matrix_norm linalg_norm",
    _FOUND: "linalg_solve_triangular logsigmoid",
    _SCANNED: "cummax cummin diff logcumsumexp",
    _POLAR: "complex polar",
    _PRODUCT: "inner tensordot",
    _INNER: "dot vdot",
    _EXTREMUM: "amax amin",
    _SEARCH: "bucketize searchsorted",
    _HISTOGRAM: "histc",
}

_OWN = {
    "float_power": "the output given to float_power has dtype {Given} but the operation's result requires dtype {Has}",
    "hash_tensor": "Expected result to be of dtype uint64, but got {Given}",
    "heaviside": "heaviside is not yet implemented for tensors with different dtypes.",
    "linalg_multi_dot": "multi_dot(): expected out tensor to have dtype {has} but got {given}",
    "linalg_vecdot": "linalg.vecdot: Expected out of dtype{Has} but found {Given}",
    "multinomial": "multinomial expects Long tensor out, got: {Given}",
    "nan_to_num": "nan_to_num: dtype of out: {Given} should be same as input: {Has}",
    "narrow_copy": "Expected self.dtype() == output.dtype() to be true, but got false.",
    "ormqr": "torch.ormqr: Expected input and result to have the same dtype, but input has dtype{Has} and result has dtype {Given}",
    "take": "take(): self and out expected to have the same dtype, but got self.dtype = {Has} and out.dtype = {Given}",
    "where": "Expected out type to be {Has} but got {Given}",
}


_TRUTH = "{name} only supports bool tensor for result, got: {Given}"
_JOINED = "torch.cat(): input types can't be cast to the desired output type {Given}"
_REAL = "{short} expects a floating point output tensor, but got {Given}"

ROW_MAJOR = frozenset(("cholesky", "linalg_tensorinv"))
"""Whose out= is row-major where it gets another shape; that of others lies as the result does."""


def rules():
    """Operator -> (which dtypes it writes to, the text for each of its results)."""
    found = {
        "frexp": ("same", ("torch.frexp() expects mantissa to have dtype {has} but got {given}",
                           "torch.frexp() expects exponent to have {has} dtype but got {given}")),
        "histogram": ("same", (_HISTOGRAM, _EDGES)),
        "kthvalue": ("same", ("output values must be of same type as input", "output indices must be of scalar type Long")),
        "mode": ("same", (_MODE + "values output", _MODE + "indices output")),
    }  # fmt: skip
    many = [("same", text, names) for text, names in _MANY.items()] + [("same", text, name) for name, text in _OWN.items()]
    many += [("truth", _TRUTH, "all any"), ("castable", _JOINED, "cat column_stack dstack hstack stack vstack")]
    many += [("real", _REAL, "fft_hfft fft_hfft2 fft_hfftn fft_irfft fft_irfft2 fft_irfftn")]
    for rule, text, names in many:
        for name in names.split():
            short = name.removeprefix("linalg_").removeprefix("fft_").replace("fft2", "fftn")
            found[name] = rule, 64 * (text.replace("{short}", short),)
    return found
