"""Which operators autocast runs in which precision (PyTorch's own choice, so that programs agree)."""

from collections import namedtuple

# Products: fast in half width, and accurate enough since they accumulate in float32.
_LOWER = frozenset(
    """addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution
    linalg_vecdot linear matmul mm scaled_dot_product_attention""".split()
)

# Losses, decompositions and sums that need float32's digits or range. Losses that are compositions of pointwise operators (the cosine and
# hinge embedding losses, say) are not operators of their own and compute in the width of their inputs.
_FULL = frozenset(
    """adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits cdist cholesky
    cholesky_inverse cholesky_solve cosine_embedding_loss cross_entropy ctc_loss fft_fft fft_fft2 fft_fftn fft_hfft fft_ifft
    fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn fractional_max_pool2d
    fractional_max_pool3d geqrf grid_sampler hinge_embedding_loss huber huber_loss inverse kl_div l1 l1_loss linalg_cholesky
    linalg_cholesky_ex linalg_cond linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv
    linalg_inv_ex linalg_lstsq linalg_matrix_rank linalg_qr linalg_solve linalg_svd linalg_svdvals linalg_tensorinv
    linalg_tensorsolve lu_solve margin_ranking_loss max_pool3d max_unpool2d max_unpool3d mse mse_loss multi_margin_loss
    multilabel_margin_loss nanquantile nll nll_loss orgqr ormqr pinverse poisson_nll_loss polar prod qr quantile reflection_pad1d
    reflection_pad2d replication_pad1d replication_pad2d replication_pad3d smooth_l1 smooth_l1_loss soft_margin_loss stft svd
    trace triangular_solve triplet_margin_loss view_as_complex""".split()
)

# Operands of different widths meet in the widest.
_WIDEST = frozenset("cat concat concatenate index_copy stack".split())

Lists = namedtuple("Lists", "lower full summed widest")
"""lower: in half width; full: in float32; summed: with a float32 result (dtype=); widest: operands meet in the widest of their types."""

CPU = Lists(_LOWER, _FULL, frozenset(), _WIDEST)

# On a GPU float16 is the usual half width: functions that leave its range are computed in float32, too.
CUDA = Lists(
    _LOWER | frozenset("addmv addr chain_matmul einsum gru_cell linalg_multi_dot lstm_cell mv prelu rnn_relu_cell rnn_tanh_cell".split()),
    frozenset(
        """acos asin cdist cosh cosine_embedding_loss cosine_similarity cross_entropy dist erfinv exp expm1 fft_fft fft_fft2 fft_fftn
        fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn group_norm
        hinge_embedding_loss huber huber_loss kl_div l1 l1_loss layer_norm linalg_matrix_norm linalg_vector_norm log log10 log1p
        log2 logsumexp margin_ranking_loss mse mse_loss multi_margin_loss multilabel_margin_loss nll nll_loss norm
        nuclear_norm pdist poisson_nll_loss pow reciprocal renorm rsqrt sinh smooth_l1 smooth_l1_loss soft_margin_loss
        softplus tan triplet_margin_loss binary_cross_entropy_with_logits""".split()
    ),
    frozenset("cumprod cumsum log_softmax prod softmax softmin sum".split()),
    _WIDEST | frozenset("addcdiv addcmul atan2 bilinear cross dot grid_sampler index_put scatter_add tensordot vdot".split()),
)
