"""Checks of gradients against finite differences.

Complex tensors count as twice as many real numbers: for a cotangent 1 (or i) the gradient of an output is the row of
its real (or imaginary) part in the real Jacobian, which is what differences of real and imaginary parts measure.
"""

import math
import warnings

from .._core.tensor import Tensor
from . import forward_ad
from . import grad as _grad
from .function import Function

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The gradients differ from the finite differences, or break a rule that gradcheck tests."""


# -- tensors as lists of real numbers --


def _reals(t):
    """The elements as a flat list of floats, complex ones as two."""
    flat = t.detach().reshape(-1).tolist()
    return [part for z in flat for part in (z.real, z.imag)] if t.is_complex() else flat


def _from_reals(values, like):
    """A tensor of like's shape, dtype and strides from a flat list of floats."""
    import rushlight

    if like.is_complex():
        values = [complex(re, im) for re, im in zip(values[::2], values[1::2])]
    out = like.detach().clone()
    out.copy_(rushlight.tensor(values, dtype=like.dtype).reshape(like.shape))
    return out


def _count(t):
    return t.numel() * (2 if t.is_complex() else 1)


def _differentiable(t):
    return isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex())


def _outputs_of(func, inputs):
    out = func(*inputs)
    out = (out,) if isinstance(out, Tensor) else tuple(out)
    return tuple(o for o in out if _differentiable(o))


# -- the two Jacobians, [output][input] -> list over output elements of lists over input elements --


def _shifted(func, inputs, index, values):
    """The real numbers of all outputs with one input replaced."""
    moved = list(inputs)
    moved[index] = _from_reals(values, inputs[index]).requires_grad_()
    return [_reals(o) for o in _outputs_of(func, moved)]


def _numerical(func, inputs, index, eps):
    """Central differences with respect to one input: for each output a list of columns."""
    values = _reals(inputs[index])
    columns = []
    for k, x in enumerate(values):
        high = _shifted(func, inputs, index, [*values[:k], x + eps, *values[k + 1 :]])
        low = _shifted(func, inputs, index, [*values[:k], x - eps, *values[k + 1 :]])
        columns.append([[(h - m) / (2 * eps) for h, m in zip(*pair)] for pair in zip(high, low)])
    return columns


def _vjp(output, inputs, cotangent):
    """Each input's gradient, None for unused ones."""
    return _grad((output,), inputs, (cotangent,), retain_graph=True, allow_unused=True)


def _analytical(output, inputs):
    """For each element of the output the gradients of all inputs as real numbers."""
    rows = []
    n = _count(output)
    for k in range(n):
        one = [0.0] * n
        one[k] = 1.0
        found = _vjp(output, inputs, _from_reals(one, output))
        rows.append([[0.0] * _count(t) if g is None else _reals(g) for g, t in zip(found, inputs)])
    return rows


def _forward(func, inputs, wrt):
    """Columns of the Jacobian from forward mode: for each input element the tangents of all outputs as real numbers."""
    columns = {}
    for index in wrt:
        n = _count(inputs[index])
        columns[index] = []
        for k in range(n):
            one = [0.0] * n
            one[k] = 1.0
            with forward_ad.dual_level():
                moved = list(inputs)
                moved[index] = forward_ad.make_dual(inputs[index], _from_reals(one, inputs[index]))
                tangents = [forward_ad._unpack(o, False) for o in _outputs_of(func, moved)]
                columns[index].append(
                    [[0.0] * _count(t.primal) if t.tangent is None else _reals(t.tangent) for t in tangents]
                )
    return columns


def _close(a, b, atol, rtol):
    return a == b or abs(a - b) <= atol + rtol * abs(b) or (math.isnan(a) and math.isnan(b))


def _compare(numerical, analytical, output, input, atol, rtol, what="Jacobian"):
    """Raises with both matrices (rows: input elements, columns: output elements) if they differ."""
    for row_n, row_a in zip(numerical, analytical):
        for n, a in zip(row_n, row_a):
            if not _close(a, n, atol, rtol):
                raise GradcheckError(
                    f"{what} mismatch for output {output} with respect to input"
                    f" {input},\nnumerical:{_matrix(numerical)}\nanalytical:{_matrix(analytical)}\nThe first"
                    f" difference: {n:.6g} numerically, {a:.6g} analytically."
                )


def _matrix(rows):
    import rushlight

    return rushlight.tensor(rows, dtype=rushlight.float64)


# -- the rules --


def _check_inputs(inputs):
    """The positions of the inputs to differentiate."""
    import rushlight

    wrt = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not wrt:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have"
            " requires_grad=True."
        )
    for i in wrt:
        t = inputs[i]
        if t.dtype not in (rushlight.float64, rushlight.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will"
                " likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=4,
            )
        if any(stride == 0 and size > 1 for stride, size in zip(t.stride(), t.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are"
                " non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous"
                " on the input before passing it to gradcheck."
            )
    return wrt


class _Undefined(Function):
    """Passes a value on, but no gradient back."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return None


def _check_undefined(outputs, inputs):
    """A backward must accept an undefined gradient and give undefined ones or zeros."""
    recorded = [o for o in outputs if o.requires_grad]
    if not recorded:
        return
    found = _grad(
        [_Undefined.apply(o) for o in recorded],
        inputs,
        [o.new_zeros(o.shape) for o in recorded],
        allow_unused=True,
        retain_graph=True,
    )
    for g in found:
        if g is not None and any(v != 0 for v in _reals(g)):
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at the notes about "
                '"check_undefined_grad" in the docstring of gradcheck.'
            )


def _check_zero_cotangent(output, inputs):
    """The gradient is linear in the cotangent: zero for zero, and laid out like its input."""
    for g, t in zip(_vjp(output, inputs, output.new_zeros(output.shape)), inputs):
        if g is None:
            continue
        if any(v != 0 for v in _reals(g)):
            raise GradcheckError("backward not multiplied by grad_output")
        if g.dtype != t.dtype or g.device != t.device or g.shape != t.shape:
            raise GradcheckError(
                f"grad is {g.dtype} of shape {tuple(g.shape)} on {g.device}, its input {t.dtype} of shape "
                f"{tuple(t.shape)} on {t.device}"
            )


def _check_repeatable(first, second, tolerance, index):
    for row_a, row_b in zip(first, second):
        for a, b in zip(row_a, row_b):
            if any(abs(x - y) > tolerance for x, y in zip(a, b)):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times"
                    " gives different values, although analytical gradient matches numerical gradient. (output"
                    f" {index}, the tolerance for nondeterminism was {tolerance})"
                )


def _check_batched(output, inputs):
    """Gradients for a batch of cotangents against one at a time."""
    import random

    import rushlight

    cotangents = [_from_reals([random.gauss(0, 1) for _ in range(_count(output))], output) for _ in range(2)]
    batched = _grad(
        (output,), inputs, (rushlight.stack(cotangents),), retain_graph=True, allow_unused=True, is_grads_batched=True
    )
    for i, c in enumerate(cotangents):
        for g, b in zip(_vjp(output, inputs, c), batched):
            if g is not None and not all(_close(x, y, 1e-8, 1e-5) for x, y in zip(_reals(b[i]), _reals(g))):
                raise GradcheckError(
                    "While testing batched gradients: the batched gradient differs from those of its entries"
                )


# -- gradcheck --


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Compares the gradients of ``func`` with central differences of step ``eps``: |a - n| <= atol + rtol * |n|.

    Args:
        func: takes Tensors, returns a Tensor or a tuple of Tensors.
        inputs: a Tensor or a tuple; those that require gradients are checked. Use float64 or complex128.
        raise_exception: raise GradcheckError on a difference, instead of returning False.
        nondet_tol: how far two backward passes may differ.
        check_undefined_grad, check_grad_dtypes, check_batched_grad: further rules for the backward.
        check_forward_ad, check_batched_forward_grad, check_backward_ad: which modes are checked.
        fast_mode: compare one random projection of the Jacobian instead of each element.
        masked: accepted for compatibility; sparse inputs do not exist.

    Returns True, or False where it would raise and raise_exception is False.

    >>> import rushlight as torch
    >>> x = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(torch.exp, x)
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise ValueError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_undefined_grad and not check_backward_ad:
        check_undefined_grad = False
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    try:
        wrt = _check_inputs(inputs)
        check = _check_fast if fast_mode else _check_slow
        check(func, inputs, wrt, eps, atol, rtol, nondet_tol, check_forward_ad or check_batched_forward_grad, check_backward_ad)
        if check_backward_ad:
            tracked = tuple(inputs[i] for i in wrt)
            outputs = tuple(o for o in _outputs_of(func, inputs) if o.requires_grad)
            for output in outputs:
                _check_zero_cotangent(output, tracked)
                if check_batched_grad:
                    _check_batched(output, tracked)
            if check_undefined_grad:
                _check_undefined(outputs, tracked)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check_slow(func, inputs, wrt, eps, atol, rtol, nondet_tol, forward, backward):
    tracked = tuple(inputs[i] for i in wrt)
    outputs = _outputs_of(func, inputs)
    numerical = {i: _numerical(func, inputs, i, eps) for i in wrt}
    if forward:
        columns = _forward(func, inputs, wrt)
        for i in wrt:
            for o in range(len(outputs)):
                _compare(
                    [c[o] for c in numerical[i]],
                    [c[o] for c in columns[i]],
                    o,
                    i,
                    atol,
                    rtol,
                    "Jacobian computed with forward mode",
                )
    for o, output in enumerate(outputs if backward else ()):
        if not output.requires_grad:
            for i in wrt:
                if any(v != 0 for c in numerical[i] for v in c[o]):
                    raise GradcheckError("Numerical gradient for function expected to be zero")
            continue
        rows = _analytical(output, tracked)
        for position, i in enumerate(wrt):
            columns = [[row[position][k] for row in rows] for k in range(_count(inputs[i]))]
            _compare([c[o] for c in numerical[i]], columns, o, i, atol, rtol)
        _check_repeatable(rows, _analytical(output, tracked), nondet_tol, o)


def _reals_of_vjp(output, inputs, position, cotangent):
    """The gradient of one input as real numbers, none where there is no gradient."""
    found = _vjp(output, inputs, _from_reals(cotangent, output))[position] if output.requires_grad else None
    return [] if found is None else _reals(found)


def _unit(n, generator):
    """A random direction of length 1."""
    values = [generator.gauss(0, 1) for _ in range(n)]
    length = sum(v * v for v in values) ** 0.5 or 1.0
    return [v / length for v in values]


def _check_fast(func, inputs, wrt, eps, atol, rtol, nondet_tol, forward, backward):
    """Compares v^T J u for random directions u of the input and v of the output."""
    import random

    generator = random.Random(0)
    tracked = tuple(inputs[i] for i in wrt)
    outputs = _outputs_of(func, inputs)
    for position, i in enumerate(wrt):
        u = _unit(_count(inputs[i]), generator)
        values = _reals(inputs[i])
        high = _shifted(func, inputs, i, [x + eps * d for x, d in zip(values, u)])
        low = _shifted(func, inputs, i, [x - eps * d for x, d in zip(values, u)])
        for o, output in enumerate(outputs):
            v = _unit(_count(output), generator)
            numerical = sum(w * (h - m) for w, h, m in zip(v, high[o], low[o])) / (2 * eps)
            if backward:
                g, again = (_reals_of_vjp(output, tracked, position, v) for _ in range(2))
                analytical = sum(a * b for a, b in zip(g, u))
                _compare([[numerical]], [[analytical]], o, i, atol, rtol, "Projected Jacobian")
                _check_repeatable([[g]], [[again]], nondet_tol, o)
            if forward:
                with forward_ad.dual_level():
                    moved = list(inputs)
                    moved[i] = forward_ad.make_dual(inputs[i].detach(), _from_reals(u, inputs[i]))
                    tangent = forward_ad._unpack(_outputs_of(func, moved)[o], False).tangent
                    analytical = 0.0 if tangent is None else sum(a * b for a, b in zip(_reals(tangent), v))
                _compare(
                    [[numerical]], [[analytical]], o, i, atol, rtol, "Projected Jacobian computed with forward mode"
                )


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """Compares second derivatives with central differences of the first: gradcheck of ``grad(func)``.

    grad_outputs: the cotangents to start from (default: random ones); gen_non_contig_grad_outputs: make the random ones
    non-contiguous. The other arguments are those of :func:`gradcheck`, to which the check is handed on.

    >>> x = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(lambda x: x.sin() * x**3, [x])
    True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = _outputs_of(func, inputs)
    if grad_outputs is None:
        import rushlight

        options = {"low": -1, "high": 1, "requires_grad": True, "noncontiguous": gen_non_contig_grad_outputs}
        grad_outputs = tuple(rushlight.testing.make_tensor(o.shape, dtype=o.dtype, device=o.device, **options) for o in outputs)
    else:
        grad_outputs = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    n = len(grad_outputs)

    def first(*values):
        results = _outputs_of(func, values[:-n])
        wanted = [t for t, original in zip(values, inputs) if isinstance(original, Tensor) and original.requires_grad]
        pairs = [(r, c) for r, c in zip(results, values[-n:]) if r.requires_grad]
        found = _grad([r for r, _ in pairs], wanted, [c for _, c in pairs], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first,
        inputs + grad_outputs,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )
