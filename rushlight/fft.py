"""torch.fft: discrete Fourier transforms. The operators are defined in ``ops/fft.py``."""

from .ops import face as _face

globals().update({_name.removeprefix("fft_"): _operator for _name, _operator in _face("fft").items()})
