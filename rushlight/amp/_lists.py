"""Which operators autocast runs in which precision on the CPU (PyTorch's own choice, so that programs agree)."""

# Products: fast in half width, and accurate enough since they accumulate in float32.
LOWER = frozenset(
    """addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution
    linalg_vecdot linear matmul mm scaled_dot_product_attention""".split()
)

# Losses, decompositions and sums that need float32's digits or range. Losses that are compositions of pointwise operators (the cosine and
# hinge embedding losses, say) are not operators of their own and compute in the width of their inputs.
FULL = frozenset(
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
WIDEST = frozenset("cat concat concatenate index_copy stack".split())
