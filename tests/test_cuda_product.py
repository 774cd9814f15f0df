"""Matrix products and convolutions on a GPU: the kernels' own source under the shim, against NumPy and PyTorch."""

import numpy as np
import pytest
from cuda_calls import ORDERS
from library_calls import from_bf16, run, to_bf16

from rushlight.cuda.ops.conv import _kernels as convolution
from rushlight.cuda.ops.matmul import _product as product

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of convolutions")
RNG = np.random.default_rng(0)

SIDES = {"OnThreads<f32,2>": 32, "OnThreads<f32,4>": 64, "OnThreads<c128,2>": 32, "OnThreads<i64,2>": 32, "OnTensorCores": 128}
DTYPES = {"f32": np.float32, "bf16": np.float32, "c128": np.complex128, "i64": np.int64}


def draw(type, *shape):
    x = RNG.standard_normal(shape)
    x = x + 1j * RNG.standard_normal(shape) if type == "c128" else x * 5 if type == "i64" else x
    return x.astype(DTYPES[type])


def strides(x, transposed):
    """(row, column) of a row-major matrix, or of its transpose, in elements."""
    return (1, x.shape[1]) if transposed else (x.shape[1], 1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("type, how, tolerance", [
    ("f32", "OnThreads<f32,2>", 1e-5), ("f32", "OnThreads<f32,4>", 1e-5), ("c128", "OnThreads<c128,2>", 1e-12),
    ("i64", "OnThreads<i64,2>", 0), ("bf16", "OnTensorCores", 8e-3), ("f32", "OnTensorCores", 4e-3),
])  # fmt: skip
def test_product(type, how, tolerance, order):
    m, n, k, side = 70, 35, 50, SIDES[how]
    sum = {"bf16": "f32"}.get(type, type)
    for left in (False, True):
        for right in (False, True):
            a, b, c = draw(type, *((k, m) if left else (m, k))), draw(type, *((n, k) if right else (k, n))), draw(type, m, n)
            a, b, c = (to_bf16(x) if type == "bf16" else x for x in (a, b, c))
            wide = [from_bf16(x) if type == "bf16" else x for x in (a, b, c)]
            made = 2 * ((wide[0].T if left else wide[0]) @ (wide[1].T if right else wide[1]))
            (a_row, a_column), (b_row, b_column) = strides(a, left), strides(b, right)
            grid = -(-m // side) * -(-n // side)
            for added_row, want in ((0, made + wide[2][0]), (n, made + wide[2])):  # a row for all, and what the result's memory holds
                out = c if added_row else np.zeros_like(c)
                run(product, f"product<{type},{type},{sum},{how}>", grid, order, a=a, b=b, c=out, added=c, m=m, n=n, k=k, batch=1, parts=1,
                    stretch=64, a_row=a_row, a_column=a_column, b_row=b_row, b_column=b_column, c_row=n, added_row=added_row, alpha_re=2.0,
                    beta_re=1.0)  # fmt: skip
                got = from_bf16(out) if type == "bf16" else out
                assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


def test_stretches_of_k_add_up():
    m, n, k = 5, 6, 300
    a, b, partial, c = draw("f32", m, k), draw("f32", k, n), np.zeros((3, m, n), np.float32), draw("f32", m, n)
    want = a @ b + c
    run(product, "product<f32,f32,f32,OnThreads<f32,2>>", (1, 3, 1), a=a, b=b, c=partial, m=m, n=n, k=k, batch=1, parts=3, stretch=128,
        a_row=k, a_column=1, b_row=n, b_column=1, c_row=n, c_part=m * n, alpha_re=1.0)  # fmt: skip
    run(product, "add_parts<f32,f32>", 1, a=partial, c=c, added=c, m=m, n=n, batch=1, parts=3, c_row=n, added_row=n, beta_re=1.0)
    np.testing.assert_allclose(c, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000, 0x7F800001])
@pytest.mark.parametrize("how", ["OnThreads<f32,2>", "OnTensorCores"])
def test_a_nan_stays_one_however_its_bits_are_set(how, bits):
    """A GPU sets all but the sign's, to which nothing may be added."""
    a, b, c = draw("f32", 16, 16), draw("f32", 16, 16), np.zeros((16, 16), np.float32)
    a.view(np.uint32)[3, 4] = bits
    run(product, f"product<f32,f32,f32,{how}>", 1, a=a, b=b, c=c, m=16, n=16, k=16, batch=1, parts=1, stretch=64, a_row=16, a_column=1,
        b_row=16, b_column=1, c_row=16, alpha_re=1.0)  # fmt: skip
    assert np.isnan(c[3]).all() and np.isnan(c).sum() == 16


def test_an_addend_is_spread_over_the_results():
    rows, c = draw("f32", 3, 6), np.zeros((3, 5, 6), np.float32)
    run(product, "spread<f32>", 1, added=rows, c=c, m=5, n=6, batch=3, c_row=6, c_batch=30, added_row=0, added_batch=6)
    np.testing.assert_array_equal(c, np.broadcast_to(rows[:, None], c.shape))


CONVOLUTIONS = {  # images, channels, outputs, groups, size, window, stride, padding, dilation
    "grouped": (2, 4, 6, 2, (1, 9, 8), (1, 3, 2), (1, 2, 1), (0, 1, 1), (1, 1, 2)),
    "volume": (2, 3, 5, 1, (4, 5, 6), (2, 3, 3), (2, 1, 2), (1, 1, 1), (1, 1, 1)),
}


@pytest.mark.parametrize("order", ORDERS[:3])
@pytest.mark.parametrize("how, tolerance", [("OnThreads<f32,2>", 1e-5), ("OnTensorCores", 4e-3)])
@pytest.mark.parametrize("numbers", ["int", "i64"])
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution_and_the_gradient_of_its_weights(case, numbers, how, tolerance, order):
    images, channels, outputs, groups, size, window, stride, padding, dilation = CONVOLUTIONS[case]
    side, each = SIDES[how], outputs // groups
    x, w = torch.randn(images, channels, *size), torch.randn(outputs, channels // groups, *window, requires_grad=True)
    bias = torch.randn(outputs)
    want = torch.nn.functional.conv3d(x, w, bias, stride, padding, dilation, groups)
    grad = torch.randn_like(want)
    want.backward(grad)
    out, rows = torch.zeros_like(want), w.detach().permute(0, 2, 3, 4, 1).contiguous()
    geometry = {
        "images": images, "groups": groups, "channels": channels // groups, "outputs": each, "size": size, "place": tuple(want.shape[2:]),
        "taps": window, "step": stride, "start": tuple(-p for p in padding), "gap": dilation, "x_image": x.stride(0),
        "x_channel": x.stride(1), "x_stride": x.stride()[2:], "out_image": out.stride(0),
        "out_channel": out.stride(1), "out_stride": out.stride()[2:],
    }  # fmt: skip
    pixels, n = images * want[0, 0].numel(), rows[0].numel()
    grid = (-(-each // side) * -(-pixels // side), groups, 1)
    run(convolution, f"correlate<f32,f32,{how},{numbers}>", grid, order, x=x.numpy(), w=rows.numpy(),
        bias=bias.numpy(), out=out.detach().numpy(), w_stride=n, parts=1, **geometry)  # fmt: skip
    assert (out - want).abs().max() <= tolerance * want.abs().max()
    stretch = 64
    parts = -(-pixels // stretch)
    sums = np.zeros((parts, outputs, n), np.float32)
    grid = (-(-each // side) * -(-n // side), groups * parts, 1)
    run(convolution, f"weights<f32,f32,{how},{numbers}>", grid, order, x=x.numpy(), w=grad.numpy(), out=sums, parts=parts,
        stretch=stretch, **geometry)  # fmt: skip
    got = torch.tensor(sums).sum(0).view(outputs, *window, channels // groups).permute(0, 4, 1, 2, 3)
    assert (got - w.grad).abs().max() <= tolerance * w.grad.abs().max()


# -- rows at even addresses --


@pytest.mark.parametrize("order", [0, 3])
def test_matrices_are_laid_at_other_distances(order):
    matrix, out = RNG.standard_normal((5, 700)).astype(np.float32), np.zeros((5, 704), np.float32)
    run(product, "lay<f32>", 3, order, added=matrix, added_row=700, c=out, c_row=704, m=5, n=700, batch=1)
    assert (out[:, :700] == matrix).all() and (out[:, 700:] == 0).all()


@pytest.mark.parametrize("how", ["OnThreads<i32,2>", "OnTensorCores"])
def test_rows_beyond_those_that_32_bits_number(how):
    """The last tiles of a matrix of more than 2**31 rows, whose memory is given and mostly not touched."""
    type, sum, dtype = ("bf16", "f32", np.uint16) if how == "OnTensorCores" else ("i8", "i32", np.int8)
    far, side = 1 << 31, {"OnTensorCores": 128}.get(how, 32)
    a, b, c = np.zeros(far + 40, dtype), np.array([3], dtype), np.zeros(far + 40, dtype)
    a[far:] = np.arange(40)
    if how == "OnTensorCores":
        a[far:], b = to_bf16(np.arange(40)), to_bf16(np.array([3]))
    entry = f"blockIdx.x |= {far // side}, product<{type},{type},{sum},{how}>"
    run(product, entry, -(-40 // side), a=a, b=b, c=c, added=c, m=far + 40, n=1, k=1, batch=1, parts=1, stretch=64, a_row=1, a_column=1,
        b_row=1, b_column=1, c_row=1, added_row=1, alpha_re=1.0)  # fmt: skip
    found = from_bf16(c[far:]) if how == "OnTensorCores" else c[far:]
    assert found.tolist() == [3 * i for i in range(40)]


def test_batches_beyond_those_that_32_bits_number():
    far, x = 1 << 31, np.array([2], np.int8)
    c = np.zeros(far + 2, np.int8)
    entry = f"blockIdx.y |= {far}u, gridDim.y = {far}u, product<i8,i8,i32,OnThreads<i32,2>>"
    run(product, entry, (1, 2, 1), a=x, b=x, c=c, added=c, m=1, n=1, k=1, batch=far + 2, parts=1, stretch=64, a_row=1, a_column=1, b_row=1,
        b_column=1, c_row=1, c_batch=1, added_row=1, alpha_re=1.0)  # fmt: skip
    assert c[far:].tolist() == [4, 4]


def test_stretches_of_k_are_counted_with_32_bits():
    from rushlight.cuda.ops.matmul import cut

    for tiles, k in ((1, 1 << 34), (500, 1 << 34), (500, (1 << 31) + 5), (500, 4096), (1, 4096)):
        parts, stretch = cut(tiles, k)
        assert stretch < 1 << 31 and stretch % 64 == 0 and (parts - 1) * stretch < k <= parts * stretch
