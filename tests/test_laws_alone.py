"""Laws that need no other library: what holds for every pointwise operator from its definition alone.

Layouts and forms (function, method, in place, out=) agree bit for bit; gradients of first and second order agree with differences.
"""

import zlib

import pytest
import rows

import rushlight as rl
from rushlight.autograd import gradcheck, gradgradcheck

POINTWISE = rows.entries("pointwise")
SMOOTH = [e for e in POINTWISE if e.options["dtypes"] != "integral"]

# derivatives that no difference of neighbouring values can check
NO_DIFFERENCES = {
    "nextafter": "its result is one unit in the last place away",
    "polygamma": "its order is an integer, given as an operand",
    "igamma": "differentiable in its second operand only",
    "igammac": "differentiable in its second operand only",
    "zeta": "differentiable in its second operand only",
}


def draw(entry, dtype="float32", shape=(3, 5)):
    """Dense operands inside the operator's domain."""
    generator = rl.Generator(rl.get_default_device()).manual_seed(zlib.crc32(entry.name.encode()))
    spans = rows.DOMAIN.get(entry.name, [(-3, 3)])
    out = []
    for i, _ in enumerate(rows.operands(entry.operator)):
        low, high = spans[min(i, len(spans) - 1)]
        x = rl.rand(shape, generator=generator, dtype=rl.float64) * (high - low) + low
        if entry.operator.fixed[i] == 0:
            x = x > (low + high) / 2
        elif entry.options["dtypes"] == "integral":
            x = x.abs().ceil().long()
        else:
            x = x.to(getattr(rl, dtype))
        out.append(x)
    for i, number in rows.NUMBERS.get(entry.name, {}).items():
        out[i] = number
    return out + rows.OPTIONAL.get(entry.name, [])


def each(operands, change):
    return [change(x) if isinstance(x, rl.Tensor) else x for x in operands]


def same(a, b):
    return all(x.dtype is y.dtype and x.shape == y.shape and x.tolist() == y.tolist() for x, y in zip(listed(a), listed(b), strict=True))


def listed(result):
    return result if isinstance(result, (tuple, list)) else [result]


@pytest.mark.parametrize("entry", POINTWISE, ids=lambda e: e.name)
def test_layouts_and_forms_agree(entry):
    operands = draw(entry)
    f = entry.operator
    expected = f(*operands)
    assert all(x.isfinite().all() for x in listed(expected)), "the sample leaves the domain"
    transposed = each(operands, lambda x: x.t().contiguous().t())
    spread = each(operands, lambda x: rl.stack([x, x], 2)[..., 0])
    assert same(f(*transposed), expected) and same(f(*spread), expected)
    row = each(operands, lambda x: x[1])
    assert same(f(*row), [x[1] for x in listed(expected)] if isinstance(expected, tuple) else expected[1])
    assert same(f(*each(operands, lambda x: x[:0])), [x[:0] for x in listed(expected)])
    if "method" in entry.where:
        assert same(getattr(operands[0], entry.name)(*operands[1:]), expected)
    if isinstance(expected, rl.Tensor):
        out = rl.empty(0, dtype=expected.dtype)
        assert f(*operands, out=out) is out and same(out, expected)
        if "inplace" in entry.where and expected.dtype is operands[0].dtype:
            target = operands[0].clone()
            assert getattr(target, entry.name + "_")(*operands[1:]) is target and same(target, expected)


@pytest.mark.parametrize("entry", SMOOTH, ids=lambda e: e.name)
def test_gradients_agree_with_differences(entry):
    if entry.name in NO_DIFFERENCES:
        pytest.skip(NO_DIFFERENCES[entry.name])
    operands = each(draw(entry, "float64", (4,)), lambda x: x.requires_grad_() if x.is_floating_point() else x)
    if not any(x.requires_grad for x in listed(entry.operator(*operands))):
        return  # no result has a gradient: comparisons and the like

    def f(*args):
        outputs = [x for x in listed(entry.operator(*args)) if x.requires_grad]
        return tuple(rl.view_as_real(x) if x.is_complex() else x for x in outputs)

    assert gradcheck(f, operands)
    differentiable = [x for x in operands if getattr(x, "requires_grad", False)]
    first = rl.autograd.grad(sum(x.sum() for x in f(*operands)), differentiable, create_graph=True)
    if any(g.requires_grad for g in first):
        assert gradgradcheck(f, operands, atol=1e-4)
