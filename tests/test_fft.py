"""Fourier transforms against PyTorch: every function with its sizes, dims and scales, errors and gradients."""

import numpy as np
import pytest
from expressions import check, check_gradients, rows

import rushlight as rl


@rows(
    """
    T.fft.fft(x)
    T.fft.fft(x, 3)
    T.fft.fft(x, 6, 0)
    T.fft.fft(x, norm='ortho')
    T.fft.fft(x, norm='forward')
    T.fft.fft(x.to(f64)).dtype == T.complex128
    T.fft.fft(L([1, 2, 3]))
    T.fft.fft(L([True, False]))
    T.fft.ifft(x + 1j * x)
    T.fft.ifft(x, 3, norm='forward')
    T.fft.ifft(x, dim=0, norm='ortho') * 1
    T.fft.rfft(x)
    T.fft.rfft(x, 5)
    T.fft.rfft(x, 3, 0, 'ortho')
    T.fft.irfft(x + 1j * x)
    T.fft.irfft(x + 1j * x, 5)
    T.fft.irfft(x + 1j * x, 4, 0, 'forward')
    T.fft.hfft(x + 1j * x)
    T.fft.hfft(x + 1j * x, 5, norm='ortho')
    T.fft.ihfft(x)
    T.fft.ihfft(x, 5, 0, 'ortho') * 1
    T.fft.fft2(y)
    T.fft.fft2(y, (2, 5))
    T.fft.ifft2(y, norm='ortho')
    T.fft.rfft2(y)
    T.fft.rfft2(y, dim=(0, 1))
    T.fft.irfft2(T.fft.rfft2(y))
    T.fft.irfft2(y, s=(3, 3))
    T.fft.hfft2(y)
    T.fft.ihfft2(y)
    T.fft.fftn(y)
    T.fft.fftn(y, s=(2, 3))
    T.fft.fftn(y, dim=(2, 0))
    T.fft.ifftn(y, norm='forward')
    T.fft.rfftn(y)
    T.fft.irfftn(y)
    T.fft.irfftn(y, (3, 5))
    T.fft.hfftn(y, norm='ortho')
    T.fft.ihfftn(y, norm='ortho')
    T.fft.fft(y.transpose(0, 2))
    T.fft.fftn(L(1.))
    T.fft.fftfreq(5)
    T.fft.fftfreq(4, .5)
    T.fft.fftfreq(4, d=2., dtype=f64)
    T.fft.rfftfreq(5)
    T.fft.rfftfreq(4, .5)
    T.fft.fftshift(x)
    T.fft.fftshift(y, dim=(1,))
    T.fft.ifftshift(x)
    T.fft.ifftshift(y, 1)
    T.fft.fft(T.zeros(0))
    T.fft.fft(x, 0)
    T.fft.fft(x, dim=3)
    T.fft.rfft(x * 1j)
    T.fft.ihfft(x * 1j)
    T.fft.fft(x, norm='x')
    T.fft.fftn(x[0], s=(1, 2))
    T.fft.fftn(x, dim=(0, 0))
    T.fft.fftn(x, s=(1, 2), dim=(0,))
    T.fft.fft(x.half())
    T.fft.fft(x.bfloat16())
    T.fft.rfftn(L(1.))
    T.fft.fft2(x[0])
    T.fft.irfft(T.ones(1))
    T.fft.fft(x, out=T.empty(3, 4, dtype=T.complex64))
    """
)
def test_transforms(row):
    check(row, scale=5)


@rows(
    """
    w = A(20).sin(); w.stft(8, return_complex=True)
    w = A(20).sin(); w.stft(8, return_complex=False)
    w = A(20).sin(); w.stft(8, 3, 6, T.hann_window(6), return_complex=True)
    w = A(20).sin(); w.stft(8, center=False, normalized=True, return_complex=True)
    w = A(20).sin(); w.stft(8, onesided=False, pad_mode='constant', return_complex=True)
    w = A(20).sin(); w.stft(8, pad_mode='replicate', return_complex=True)
    w = A(20).sin(); w.stft(8, pad_mode='circular', return_complex=True)
    w = A(2, 20).sin(); T.stft(w, 8, window=T.hann_window(8), return_complex=True)
    w = A(2, 20).sin(); T.stft(w * 1j, 8, window=T.hann_window(8))
    w = A(20).sin(); h = T.hann_window(8); T.istft(w.stft(8, 2, window=h, return_complex=True), 8, 2, window=h)
    w = A(20).sin(); h = T.hann_window(8); T.istft(w.stft(8, 2, window=h, return_complex=True), 8, 2, window=h, length=17)
    w = A(2, 20).sin(); h = T.ones(8); T.istft(w.stft(8, window=h, normalized=True, return_complex=True), 8, window=h, normalized=True)
    w = A(20).sin(); h = T.ones(8); T.istft(w.stft(8, window=h, onesided=False, return_complex=True), 8, window=h, onesided=False)
    A(3).stft(2)
    A(9).long().stft(4, return_complex=True)
    (A(9) > 2).stft(4, return_complex=True)
    A(3).stft(9, return_complex=True)
    A(3).stft(9, center=False, return_complex=True)
    A(9).stft(4, window=T.ones(3), return_complex=True)
    A(9).stft(4, hop_length=0, return_complex=True)
    A(9).stft(4, win_length=5, return_complex=True)
    T.istft(A(3), 4)
    T.istft(T.ones(3, 5) * 1j, 4, window=T.hann_window(4), center=False)
    """
)
def test_short_time_transforms(row):
    check(row, scale=10)


@rows(
    """
    T.fft.fft(a).real
    T.fft.fft(a, 6, 0, 'ortho').abs()
    T.fft.ifft(a, 3).imag
    T.fft.rfft(a).abs()
    T.fft.rfft(a, 5, 0).real
    T.fft.irfft(T.complex(a, d))
    T.fft.irfft(T.complex(a, d), 5, 0)
    T.fft.hfft(T.complex(a, d))
    T.fft.ihfft(a).imag
    T.fft.fft2(c).abs()
    T.fft.rfftn(c).abs()
    T.fft.irfftn(T.complex(a, d))
    T.fft.fftshift(a)
    b.stft(4, window=b, return_complex=True).abs()
    """
)
def test_gradients(row):
    check_gradients(row)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 17, 1000])
def test_inverse_gives_the_signal_back(n):
    x = rl.arange(float(n)).sin()
    for there, back in ((rl.fft.fft, rl.fft.ifft), (rl.fft.rfft, rl.fft.irfft), (rl.fft.ihfft, rl.fft.hfft)):
        again = back(there(x), n)
        assert float((again - x).abs().max()) < 1e-5


@pytest.mark.parametrize("shape, dims", [
    ((64, 128), (1,)), ((64, 105), (1,)), ((8, 48, 40), (1,)), ((96, 90), (0,)), ((3, 50, 7, 12), (1,)), ((2, 64, 64), (1, 2)),
    ((4, 36, 49), (2, 1)), ((5000, 1, 2), (2,)), ((16, 8192), (1,)), ((17, 1331), (1,)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["complex64", "complex128"], ids=["single", "double"])
def test_large_transforms_against_numpy(shape, dims, dtype):
    """Columns of all kinds, several dims, and rows."""
    generator = np.random.default_rng(0)
    x = (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(dtype)
    bound = 1e-6 if dtype == "complex64" else 2e-15
    for name in ("fftn", "ifftn"):
        expected = getattr(np.fft, name)(x.astype(np.complex128), axes=dims)
        found = getattr(rl.fft, name)(rl.from_numpy(x), dim=dims)
        assert found.is_contiguous() and found.numpy().dtype == x.dtype
        assert np.abs(found.numpy() - expected).max() < bound * np.abs(expected).max()
    real = np.ascontiguousarray(x.real)
    expected = np.fft.rfftn(real.astype(np.float64), axes=dims)
    found = rl.fft.rfftn(rl.from_numpy(real), dim=dims).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < bound * np.abs(expected).max()


@pytest.mark.parametrize("shape, dim", [
    ((3, 4), 1), ((20, 13), 1), ((40, 64), 1), ((20, 625), 1),  # rows that are transposed with others
    ((1, 12), 1), ((5, 256), 1), ((17, 1000), 1), ((2, 1331), 1),  # rows one by one
    ((2, 65536), 1), ((1, 100000), 1),  # rows that are cut
    ((3, 17), 1), ((3, 1009), 1), ((3, 2018), 1),  # sizes that don't factor
    ((2, 34, 19), 1), ((2, 256, 50), 1), ((3, 50, 2), 1), ((3, 5), 0), ((2, 17, 9), 1), ((4, 9, 40), 1),  # columns
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["complex64", "complex128"], ids=["single", "double"])
def test_ways(shape, dim, dtype):
    """Every way that ops/_fourier chooses from, with every transform, forward and back."""
    generator = np.random.default_rng(0)
    x = (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)).astype(dtype)
    for name in ("fft", "ifft", "rfft", "ihfft", "irfft", "hfft"):
        given = np.ascontiguousarray(x.real) if name in ("rfft", "ihfft") else x
        expected = getattr(np.fft, name)(given.astype("complex128" if np.iscomplexobj(given) else "float64"), axis=dim)
        found = getattr(rl.fft, name)(rl.from_numpy(given), dim=dim).numpy()
        assert found.shape == expected.shape and found.real.dtype == x.real.dtype
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert error < (4e-7 if dtype == "complex64" else 8e-16), (name, error)


def test_the_ends_of_a_spectrum_are_real():
    for n in (5, 8, 34, 256, 1009, 2018, 65536):
        x = rl.randn(3, n // 2 + 1, dtype=rl.complex64)
        expected = rl.fft.irfft(x, n)
        x.imag[:, 0] = 7
        if n % 2 == 0:
            x.imag[:, -1] = -5
        assert rl.allclose(rl.fft.irfft(x, n), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(300, 48), (300, 256), (2, 65536), (40, 1009)])
def test_transforms_do_not_depend_on_threads_or_strides(shape):
    x = rl.randn(*shape, dtype=rl.complex64)
    before = rl.get_num_threads()
    try:
        results, halves = [], []
        for threads in (1, 2, 5):
            rl.set_num_threads(threads)
            results.append(rl.fft.fft(x))
            halves.append(rl.fft.rfft(x.real))
        results.append(rl.fft.fft(x.t().contiguous().t()))
        results.append(rl.fft.fft(x.conj().resolve_conj().conj()))
    finally:
        rl.set_num_threads(before)
    assert all(rl.equal(results[0], r) for r in results[1:])
    assert all(rl.equal(halves[0], r) for r in halves[1:])


def test_frequencies_of_no_samples_and_on_a_device():
    assert rl.fft.fftfreq(0).tolist() == [] and rl.fft.rfftfreq(0).isnan().tolist() == [True]
    assert rl.fft.fftfreq(4, device="meta").is_meta and rl.fft.rfftfreq(4, device="meta").shape == (3,)
