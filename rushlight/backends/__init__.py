"""Switches of PyTorch's compute libraries. They can be set and read back; only those of cuDNN, the GPU's products
and ``mkldnn.conv`` change anything."""

import contextlib
import importlib

from .._switches import Room, convolution, cudnn

__all__ = ["cpu", "cuda", "cudnn", "cusparselt", "mha", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized"]

fp32_precision = "none"


def _has_cudnn():
    """Are cuDNN and its frontend installed, and a GPU that they can use?"""
    return _cudnn_version() is not None


def _cudnn_version():
    """cuDNN's version, 10000 * major + 100 * minor + patch; None where it cannot be used."""
    from ..cuda.ops import _cudnn

    return _cudnn.version()


cudnn.is_available, cudnn.version = _has_cudnn, _cudnn_version

mkldnn = Room(__name__ + ".mkldnn", enabled=True, deterministic=False, allow_tf32=False, fp32_precision="none", available=False)
mkldnn.conv = convolution
openmp = Room(__name__ + ".openmp", available=False)
mkl = Room(__name__ + ".mkl", available=False)
nnpack = Room(__name__ + ".nnpack", enabled=False, available=False)
cusparselt = Room(__name__ + ".cusparselt", available=False, version=None)
opt_einsum = Room(__name__ + ".opt_einsum", enabled=True, strategy="auto", available=True)
quantized = Room(__name__ + ".quantized", engine="none", supported_engines=["none"])
mps = Room(__name__ + ".mps", available=False, is_built=False, is_macos_or_newer=False, is_macos13_or_newer=False)


@contextlib.contextmanager
def __allow_nonbracketed_mutation():
    """A block in which switches may be set by assignment, as they may anywhere here."""
    yield


def __getattr__(name):
    if name in ("cuda", "cpu", "mha"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
