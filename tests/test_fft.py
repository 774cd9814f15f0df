"""Fourier transforms against PyTorch: every function with its sizes, dims and scales, errors and gradients."""

import pytest
from expressions import check, check_gradients, rows


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
    import rushlight as rl

    x = rl.arange(float(n)).sin()
    for there, back in ((rl.fft.fft, rl.fft.ifft), (rl.fft.rfft, rl.fft.irfft), (rl.fft.ihfft, rl.fft.hfft)):
        again = back(there(x), n)
        assert float((again - x).abs().max()) < 1e-5
