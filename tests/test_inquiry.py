"""Questions about tensors, equality, and where their memory is, against PyTorch."""

import os

import pytest
from expressions import check, rows
from oracle import rl

OF_THE_CPU = ("x.is_cpu", "x.is_cuda", "str(x.storage()).split(chr(10))[-1]")


@rows(
    """
    T.numel(x)
    T.is_tensor(x)
    T.is_tensor(1)
    T.is_storage(x.untyped_storage())
    T.is_storage(1)
    T.is_nonzero(L(1.))
    T.is_nonzero(L([0]))
    T.is_nonzero(L([]))
    T.is_nonzero(x)
    x.is_nonzero()
    T.is_same_size(x, y)
    x.is_same_size(x)
    T.equal(x, x)
    T.equal(x, x.double())
    T.equal(x.long(), x.long() + 0.5)
    T.equal(x * 0, x * 1j)
    T.equal(x, y)
    T.equal(L([float('nan')]), L([float('nan')]))
    T.equal(x, 1)
    x.equal(x.clone())
    T.allclose(x, x+1e-9)
    T.allclose(x, x.double())
    T.allclose(L([float('nan')]), L([float('nan')]))
    T.allclose(L([float('nan')]), L([float('nan')]), equal_nan=True)
    T.allclose(L([float('inf')]), L([float('inf')]))
    T.allclose(L([1, 2]), L([1, 2]))
    T.allclose(x, 1.)
    T.isclose(x, x+0.1, atol=0.2)
    T.isclose(x, x+0.1, rtol=0.1, atol=0)
    T.isclose(x, x, rtol=-1)
    T.isclose(x, x, atol=-1)
    T.isclose(L([1, 2]), L([1, 3]))
    T.isclose(L([1, 2]), L([1, 3]), atol=1)
    T.isclose(L([True, False]), L([True, True]))
    T.isclose(L([1+1j, float('nan')]), L([1+1j, float('nan')]), equal_nan=True)
    T.isclose(L([float('inf'), -float('inf')]), L([float('inf'), float('inf')]))
    T.isclose(L([float('inf'), 1]), L([1., float('inf')]))
    T.isclose(x, x[0])
    T.isclose(x, L(1))
    T.isclose(L([1, 2]), L([1, 3]), rtol=0.5)
    T.isclose(L([10, 2]), L([11, 3]), rtol=0.1)
    T.isclose(L([1, 2]), L([1, 2]), equal_nan=True)
    T.isin(x, L([1., 3.]))
    T.isin(x, 1.)
    T.isin(2., x)
    T.isin(x, L([1., 3.]), invert=True)
    T.isin(x, L([1., 3.]), assume_unique=True)
    T.isin(x, L([1, 3]))
    T.isin(x, L([]))
    T.isin(x.long(), L([1, 3]))
    T.isin(x.long(), L([1.5, 3.]))
    T.isin(x.long(), 1.5)
    T.isin(1, L([1.5, 2.5]))
    T.isin(L([float('nan')]), L([float('nan')]))
    T.isin(x, x>1)
    T.isin(1, 1)
    T.isin(x*1j, x)
    T.isin(x>1, x>1)
    x.share_memory_().is_shared()
    x.is_shared()
    x.is_pinned()
    x.pin_memory()
    x.storage()[1]
    x.is_set_to(x)
    x.is_set_to(x.clone())
    x.is_set_to(x.view(3, 4))
    x.is_set_to(x[0])
    x.is_sparse
    x.is_quantized
    x.is_meta
    x.is_mkldnn
    x.dim_order()
    x.dense_dim()
    x.sparse_dim()
    x.to_dense()
    x.to_dense(f64)
    x.is_coalesced()
    x.t().dim_order()
    x.is_distributed()
    T.is_conj(x)
    T.is_neg(x)
    T.is_inference(x)
    T.is_signed(x)
    T.is_floating_point(x)
    T.is_complex(x)
    T.is_floating_point(1)
    x.is_sparse_csr
    x.is_nested
    x.is_cpu
    x.is_cuda
    x.is_ipu
    x.is_mps
    x.is_xpu
    x.storage().tolist()
    len(x[0].storage())
    x.storage().data_ptr() == x.data_ptr()
    x.storage().element_size()
    str(x.storage()).split(chr(10))[-1]
    str(x.storage()).split(chr(10))[3]
    """
)
def test_inquiry(row):
    if row in OF_THE_CPU and rl.get_default_device().type != "cpu":
        pytest.skip("about the CPU: its name")
    check(row)


@pytest.mark.cpu("memory that processes share")
def test_shared_memory_is_seen_by_a_forked_process():
    x = rl.zeros(1000).share_memory_()
    assert x.is_shared()
    pid = os.fork()
    if pid == 0:
        x[7] = 3
        os._exit(0)
    os.waitpid(pid, 0)
    assert x[7] == 3


def test_sharing_keeps_history_and_values():
    w = rl.ones(3, requires_grad=True)
    w.share_memory_()
    (w * w).sum().backward()
    assert w.is_leaf and w.grad.tolist() == [2, 2, 2]


def test_order_of_dims():
    image = rl.zeros(2, 3, 4, 5)
    assert image.dim_order() == (0, 1, 2, 3) and image.to(memory_format=rl.channels_last).dim_order(ambiguity_check=True) == (0, 2, 3, 1)
    single = rl.zeros(1, 3, 4, 5)
    with pytest.raises(RuntimeError, match="unique dim order"):
        single.dim_order(ambiguity_check=True)
    assert single.dim_order(ambiguity_check=[rl.contiguous_format]) == (0, 1, 2, 3)
    with pytest.raises(TypeError, match="ambiguity_check"):
        single.dim_order(ambiguity_check="yes")


def test_the_imaginary_part_of_a_conjugate_is_a_negated_view():
    x = rl.tensor([-1 + 1j, 3 - 3j])
    part = x.conj().imag
    assert part.is_neg() and part.tolist() == [-1.0, 3.0] and part.resolve_neg().is_neg() is False
    part[0] = 5
    assert x.tolist() == [-1 - 5j, 3 - 3j]
    z = rl.tensor([1 + 2j, -3j], requires_grad=True)
    z.conj().imag.square().sum().backward()
    assert z.grad.tolist() == [4j, -6j]
    t = rl.ones(2, requires_grad=True)
    assert rl._neg_view(t).sum().item() == -2 and rl.autograd.grad(rl._neg_view(t).sum(), t)[0].tolist() == [-1.0, -1.0]
