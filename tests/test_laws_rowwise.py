"""The laws over rowwise operators, from their definitions alone: every one of the registry, also those that composites stand before.

The value is what the traced expression means (lang/evaluate.py, in float64); layouts agree; gradients of first and second order agree with
differences, forward mode with reverse; what is reduced to nothing, and dims of size 0 and 1.
"""

import zlib

import numpy as np
import pytest

import rushlight as rl
from rushlight.autograd import gradcheck, gradgradcheck
from rushlight.lang import types as ty
from rushlight.lang.evaluate import evaluate
from rushlight.lang.expr import without_stated
from rushlight.ops import _define

ROWWISE = [e for e in _define.registry.values() if e.family == "rowwise"]
SHAPE = (3, 4, 5)
DIMS = ((1,), (0, 2), (2,), (0, 1, 2))
TRAILING = ((2,), (1, 2), (0, 1, 2))  # of operators that take normalized_shape
NO_EXTREMUM = "any", "all", "count_nonzero", "_argmax", "_argmin", "_all_equal", "_any_equal"  # nothing to differentiate
TOLERANCE = {"float64": 1e-12, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2, "complex64": 2e-5}


def generator(entry):
    return rl.Generator(rl.get_default_device()).manual_seed(zlib.crc32(entry.name.encode()))


def operands(entry, dtype, dims, shape=SHAPE):
    """(positional operands, keywords) of a call that reduces ``dims``."""
    g, op = generator(entry), entry.operator
    kept = tuple(n for d, n in enumerate(shape) if d not in dims)
    args, keywords = [], {}
    for name, is_operand, kind in zip(op.signature.names, op.operand, op.kinds):
        if name == "dim":
            keywords["dim"] = dims
        elif name == "normalized_shape":
            keywords[name] = [shape[d] for d in dims]
        elif is_operand and kind == _define.row_i64:
            keywords[name] = rl.randint(0, max(1, int(np.prod([shape[d] for d in dims]))), kept, generator=g)
        elif is_operand:
            trailing = "normalized_shape" in op.signature.names and args
            size = kept if kind == _define.row else tuple(shape[d] for d in dims) if trailing else shape
            x = rl.rand(size, generator=g, dtype=rl.float64) * 2 + 0.25
            if dtype == "complex64":
                x = rl.complex(x, rl.rand(size, generator=g, dtype=rl.float64) - 0.5)
            x = x.to(getattr(rl, dtype))
            if args:
                keywords[name] = x
            else:
                args.append(x)
    if entry.name == "cross_entropy" and "weight" in keywords:
        del keywords["weight"]  # has the shape of the classes alone
    return args, keywords


def dims_of(entry):
    if entry.name == "cross_entropy":
        return ((1,),)
    names = entry.operator.signature.names
    return DIMS if "dim" in names else TRAILING if "normalized_shape" in names else ((0, 1, 2),)


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


def meaning(entry, args, keywords, dims):
    """The traced expressions, interpreted in float64 on the operands."""
    op, names = entry.operator, entry.operator.signature.names
    given = dict(zip(names, args)) | keywords
    pattern, values = [], []
    for name, is_operand in zip(names, op.operand):
        pattern.append(_define.TENSOR if is_operand and name in given else _define.BAKED)
        if pattern[-1] == _define.TENSOR:
            x = given[name].detach()
            is_row = op.kinds[names.index(name)] in (_define.row, _define.row_i64)
            wide = tuple(1 if d in dims else n for d, n in enumerate(SHAPE)) if is_row else x.shape
            values.append(np.array(x.double().tolist() if x.is_floating_point() else x.tolist()).reshape(wide))
    code = ty.CODES["c64" if args[0].is_complex() else "f64"]
    program = _define.trace(op, pattern, {}, (code, code))
    return evaluate(without_stated(list(program.outputs)), values, dims, "f64")


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("entry", ROWWISE, ids=lambda e: e.name)
def test_value_is_what_the_definition_means(entry, dtype):
    if (dtype == "complex64" and entry.options["dtypes"] == "real") or (dtype == "complex64" and entry.name == "cross_entropy"):
        return
    for dims in dims_of(entry):
        args, keywords = operands(entry, dtype, dims)
        try:
            got = flat(entry.operator(*args, **keywords))
        except (NotImplementedError, RuntimeError, TypeError):
            assert dtype == "complex64", "only complex numbers may be refused"
            return
        for x, want in zip(got, meaning(entry, args, keywords, dims), strict=True):
            want = np.broadcast_to(want, np.broadcast_shapes(want.shape, tuple(1 if d in dims else n for d, n in enumerate(SHAPE))))
            wide = x.to(rl.complex128) if x.is_complex() else x if x.dtype is rl.bool else x.double()
            value = np.array(wide.tolist())
            np.testing.assert_allclose(value, np.asarray(want).reshape(value.shape), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("entry", ROWWISE, ids=lambda e: e.name)
def test_layouts_agree(entry):
    for dims in dims_of(entry):
        args, keywords = operands(entry, "float64", dims)
        expected = flat(entry.operator(*args, **keywords))
        turned = args[0].permute(2, 0, 1).contiguous().permute(1, 2, 0)
        spread = rl.stack([args[0], args[0]], 3)[..., 0]
        for x in (turned, spread):
            for a, b in zip(flat(entry.operator(x, *args[1:], **keywords)), expected, strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                assert rl.allclose(a.double(), b.double(), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("entry", [e for e in ROWWISE if e.name not in NO_EXTREMUM], ids=lambda e: e.name)
def test_gradients(entry):
    for dims in dims_of(entry)[:2]:
        args, keywords = operands(entry, "float64", dims)
        inputs = [args[0].requires_grad_()]
        names = [k for k, v in keywords.items() if isinstance(v, rl.Tensor) and v.is_floating_point()]
        inputs += [keywords[k].requires_grad_() for k in names]

        def f(x, *rest, keywords=keywords, names=names):
            out = entry.operator(x, **keywords | dict(zip(names, rest)))
            return tuple(r for r in flat(out) if r.is_floating_point())

        assert gradcheck(f, inputs)
        assert gradgradcheck(f, inputs)
        v = tuple(rl.randn(x.shape, dtype=rl.float64, generator=generator(entry)) for x in inputs)
        forward = rl.func.jvp(f, tuple(inputs), v)[1]
        reverse = rl.autograd.functional.jvp(f, tuple(inputs), v, strict=True)[1]
        for a, b in zip(forward, reverse, strict=True):
            assert rl.allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("entry", [e for e in ROWWISE if "dim" in e.operator.signature.names], ids=lambda e: e.name)
def test_empty_and_single(entry):
    if entry.name in ("cross_entropy", "_inner"):
        return
    for shape in ((0, 4, 5), (3, 1, 5), (1, 1, 1)):
        args, keywords = operands(entry, "float64", (1,), shape)
        for x in flat(entry.operator(*args, **keywords)):
            assert x.numel() == 0 if shape[0] == 0 else x.numel() > 0
    args, keywords = operands(entry, "float64", (1,), (3, 0, 5))
    try:
        results = flat(entry.operator(*args, **keywords))
    except (IndexError, RuntimeError) as error:
        assert "non-zero size" in str(error) or entry.options.get("identity") is False or "empty" in str(error), error
    else:
        assert all(x.shape[0] in (3, 1) or x.numel() == 0 for x in results)
