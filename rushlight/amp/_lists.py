"""Which operators autocast runs in which precision (PyTorch's own choice, so that programs agree).

Each name is that of an operator, or of a function of ``nn.functional`` that is ``visible`` (``ops/_define.py``): autocast looks into a
composition that has another name, part by part.
"""

from collections import namedtuple

Lists = namedtuple("Lists", "lower full summed widest")
"""lower: in half width; full: in float32; summed: with a float32 result (dtype=); widest: operands meet in the widest of their types."""

# Products: fast in half width, and accurate enough since they accumulate in float32. Recurrent layers are products step after step.
_LOWER = frozenset(
    """addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d linalg_vecdot linear
    lstm matmul mm prelu rnn_relu rnn_tanh scaled_dot_product_attention""".split()
)

# Losses that need float32's digits or range. (Those of PyTorch that are not here are compositions whose parts are.)
_LOSSES = frozenset(
    """binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss kl_div l1_loss
    margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
    triplet_margin_loss""".split()
)

CPU = Lists(
    lower=_LOWER,
    full=_LOSSES
    | frozenset(
        """adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist cholesky cholesky_inverse cholesky_solve ctc_loss
        fft_fft fft_fft2 fft_fftn fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2
        fft_rfftn fractional_max_pool2d fractional_max_pool3d geqrf grid_sample inverse linalg_cholesky linalg_cholesky_ex linalg_cond
        linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv linalg_inv_ex linalg_lstsq
        linalg_matrix_rank linalg_qr linalg_solve linalg_svd linalg_svdvals linalg_tensorinv linalg_tensorsolve lu_solve max_pool3d
        max_unpool2d max_unpool3d nanquantile orgqr ormqr pinverse polar prod qr quantile reflection_pad1d reflection_pad2d
        replication_pad1d replication_pad2d replication_pad3d stft svd trace triangular_solve view_as_complex""".split()
    ),
    summed=frozenset(),
    widest=frozenset("cat index_copy stack".split()),
)

# On a GPU float16 is the usual half width: functions that leave its range are computed in float32, too.
CUDA = Lists(
    lower=_LOWER
    | frozenset(
        """addmv addr chain_matmul convolution einsum gru gru_cell linalg_multi_dot lstm_by_steps lstm_cell mv rnn_relu_cell
        rnn_tanh_cell""".split()
    ),
    full=_LOSSES
    | frozenset(
        """_upsample acos asin cdist cosh cosine_similarity dist erfinv exp expm1 group_norm layer_norm log log10 log1p log2 logsumexp
        nuclear_norm pdist pow reciprocal renorm rms_norm rsqrt sinh softplus tan""".split()
    ),
    summed=frozenset("cumprod cumsum linalg_matrix_norm linalg_vector_norm log_softmax norm prod softmax sum".split()),
    widest=frozenset("addcdiv addcmul atan2 bilinear cross dot grid_sample index_put scatter_add tensordot vdot".split()),
)
