"""PyTorch beside rushlight: conversion of tensors both ways and comparison of results. Used by the differential tests."""

import numpy as np
import pytest
from place import worded  # noqa: F401

import rushlight as rl

torch = pytest.importorskip("torch", reason="PyTorch 2.13 is the oracle of these tests")

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128")
FLOATS = ("float16", "bfloat16", "float32", "float64")

# rtol, atol: how far two correct implementations may lie apart
TOLERANCE = {"float16": (2e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (2e-6, 1e-6), "float64": (1e-9, 1e-11),
             "complex64": (4e-6, 2e-6), "complex128": (1e-9, 1e-11)}  # fmt: skip


def name(dtype):
    return str(dtype).removeprefix("torch.")


def refused_alike(call, kind=RuntimeError):
    """Asserts that ``call(torch)`` raises under both, with the same first line."""
    lines = []
    for library in (torch, rl):
        with pytest.raises(kind) as error:
            call(library)
        lines.append(str(error.value).splitlines()[0])
    assert lines[1] == lines[0]


def to_rl(x):
    """PyTorch tensors anywhere in ``x`` as rushlight ones: same values, dtype, strides and requires_grad."""
    if isinstance(x, torch.Tensor):
        out = rl.tensor(x.detach().resolve_conj().tolist(), dtype=getattr(rl, name(x.dtype)))
        out = out.reshape(tuple(x.shape))
        if not x.is_contiguous() and x.numel():
            order = sorted(range(x.ndim), key=lambda d: (-x.stride(d), d))
            inverse = [order.index(d) for d in range(x.ndim)]
            out = out.permute(*order).contiguous().permute(*inverse)
        return out.detach().requires_grad_() if x.requires_grad else out
    if isinstance(x, (list, tuple)):
        return type(x)(to_rl(v) for v in x)
    if isinstance(x, torch.dtype):
        return getattr(rl, name(x))
    return x


def values(x):
    """A tensor of either library as a NumPy array (complex128, float64, int64 or bool)."""
    flat = x.detach()
    if isinstance(x, torch.Tensor) and x._is_zerotensor():  # PyTorch's zeros without memory
        flat = torch.zeros(x.shape, dtype=x.dtype)
    if hasattr(flat, "resolve_conj"):
        flat = flat.resolve_conj()
    kind = name(x.dtype)
    target = {"b": np.bool_, "c": np.complex128, "f": np.float64}.get(kind[0], np.int64)
    target = np.float64 if kind == "bfloat16" else np.uint64 if kind == "uint64" else target
    return np.array(flat.tolist(), dtype=target).reshape(tuple(x.shape))


def same(got, want, where="", scale=1):
    """Asserts that a rushlight result equals PyTorch's: structure, dtype, shape and values within the dtype's tolerance."""
    if isinstance(want, torch.Tensor):
        assert isinstance(got, rl.Tensor), f"{where}: got {type(got).__name__} for a tensor"
        assert name(got.dtype) == name(want.dtype), f"{where}: dtype {got.dtype}, PyTorch gives {want.dtype}"
        assert tuple(got.shape) == tuple(want.shape), f"{where}: shape {tuple(got.shape)}, PyTorch gives {tuple(want.shape)}"
        rtol, atol = TOLERANCE.get(name(want.dtype), (0, 0))
        np.testing.assert_allclose(values(got), values(want), rtol=rtol * scale, atol=atol * scale, err_msg=where)
    elif isinstance(want, (list, tuple)):
        assert len(got) == len(want), where
        for i, (g, w) in enumerate(zip(got, want)):
            same(g, w, f"{where}[{i}]", scale)
    elif want is None:
        assert got is None, where
    elif isinstance(want, float):
        assert got == pytest.approx(want, rel=1e-6, nan_ok=True), where
    else:
        assert got == want, where


def both(call, *args, **kwargs):
    """``call(library, *args)`` under PyTorch and under rushlight: ((result, error) of PyTorch, (result, error) of rushlight)."""
    answers = []
    for library, a, k in ((torch, args, kwargs), (rl, to_rl(args), {key: to_rl(v) for key, v in kwargs.items()})):
        try:
            answers.append((call(library, *a, **k), None))
        except Exception as error:
            answers.append((None, error))
    return answers
