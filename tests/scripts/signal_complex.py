import math
import torch
import torch.fft as fft
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
fs = 64
t = torch.arange(0, 2, 1 / fs)
sig = torch.sin(2 * math.pi * 3 * t) + 0.5 * torch.cos(2 * math.pi * 11 * t) + 0.3 * torch.randn(t.shape)
spec = fft.rfft(sig)
freq = fft.rfftfreq(len(sig), 1 / fs)
print(freq[spec.abs().topk(2).indices], spec.abs().topk(2).values, spec.dtype)
spec[freq > 6] = 0
clean = fft.irfft(spec, n=len(sig))
print((clean - torch.sin(2 * math.pi * 3 * t)).pow(2).mean(), fft.fftshift(fft.fftfreq(6)))
S = torch.stft(sig, 32, hop_length=8, win_length=32, window=torch.hann_window(32), return_complex=True, center=True, pad_mode="reflect")
print(S.shape, S.abs().sum(), torch.istft(S, 32, 8, 32, torch.hann_window(32), length=len(sig)).sub(sig).abs().max() < 1e-5)
mel = torch.rand(5, 17)
print((mel @ S.abs().pow(2)).add(1e-6).log10().mean(1))
img = torch.randn(8, 8)
k = fft.fft2(img)
print(k[:2, :2], fft.ifft2(k).real.sub(img).abs().max() < 1e-6, fft.fftn(torch.ones(2, 2, 2)).real.sum(), fft.hfft(spec[:5]).shape)
kern = torch.tensor([0.25, 0.5, 0.25])
print(F.conv1d(sig[None, None], kern[None, None], padding=1)[0, 0, :4], fft.irfft(fft.rfft(sig, 200) * fft.rfft(kern, 200), 200)[1:5])
for w in (
    torch.hamming_window(6),
    torch.blackman_window(6),
    torch.bartlett_window(6),
    torch.kaiser_window(6),
    torch.signal.windows.gaussian(6, std=1.0),
):
    print(w)


class ComplexLinear(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.w = nn.Parameter(torch.randn(o, i, dtype=torch.cfloat) / i**0.5)
        self.b = nn.Parameter(torch.zeros(o, dtype=torch.complex64))

    def forward(self, z):
        return z @ self.w.T + self.b


def modrelu(z, b=-0.1):
    m = z.abs()
    return F.relu(m + b) * z / (m + 1e-6)


net = nn.Sequential(ComplexLinear(4, 8), ComplexLinear(8, 1))
Z = torch.randn(32, 4, dtype=torch.cfloat)
target = (Z**2).sum(1, keepdim=True) * torch.exp(1j * torch.tensor(0.3))
opt = torch.optim.Adam(net.parameters(), 1e-2)
for it in range(12):
    out = net[1](modrelu(net[0](Z)))
    loss = (out - target).abs().pow(2).mean()
    opt.zero_grad(), loss.backward(), opt.step()
    if it % 4 == 3:
        print(it, loss.item(), net[0].w.grad.abs().sum())
print(net[1].w[0, :3], out[:2, 0], torch.view_as_real(out[0]), out.dtype, net[0].b)
z = torch.tensor([1 + 2j, -3j, -1.5], requires_grad=True)
for f in (
    torch.angle,
    torch.abs,
    lambda v: v.real * v.imag,
    lambda v: v.exp().real,
    lambda v: (v * v.conj()).real,
    lambda v: torch.polar(v.abs(), v.angle()).imag,
    lambda v: v.log().imag,
    lambda v: v.sqrt().real,
):
    z.grad = None
    f(z).sum().backward()
    print(z.grad)
print(
    torch.complex(torch.ones(2), torch.zeros(2)),
    z.conj().is_conj(),
    z.conj().resolve_conj(),
    z.detach().sgn(),
    torch.is_complex(z),
    z.mH if z.dim() > 1 else z.H if z.dim() == 2 else "",
)
print(torch.linalg.eigvals(torch.randn(3, 3)).abs().sum(), torch.vdot(z, z), torch.outer(z, z.conj()).diagonal())
# FNO layer
x = torch.randn(2, 3, 16)
w = torch.randn(3, 3, 5, dtype=torch.cfloat, requires_grad=True)
xf = fft.rfft(x)
of = torch.zeros(2, 3, 9, dtype=torch.cfloat)
of[:, :, :5] = torch.einsum("bix,iox->box", xf[:, :, :5], w)
o = fft.irfft(of, n=16)
o.pow(2).sum().backward()
print(o[0, 0, :4], w.grad[0, 0])


# autocorrelation, hilbert, cepstrum
def hilbert(x):
    X = fft.fft(x)
    h = torch.zeros(len(x))
    h[0] = h[len(x) // 2] = 1
    h[1 : len(x) // 2] = 2
    return fft.ifft(X * h)


env = hilbert(sig).abs()
print(
    env[:4],
    fft.ifft(fft.fft(sig).abs().log()).real[:3],
    torch.cumulative_trapezoid(sig[:5], dx=1 / fs),
    torch.gradient(sig[:6], spacing=1 / fs)[0],
)
