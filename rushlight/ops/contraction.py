"""Contractions: matrix products of all ranks, einsum and what is made of them. The products themselves are in ``_core/matmul.pyx``."""

import math
import warnings

from .._core import callbacks
from .._core import gemm as _gemm
from .._core import matmul as _matmul
from .._core import operator as _core
from .._core.tensor import Tensor, check_holds, set_slot
from ..lang.types import NAMES
from . import movement, reduction, shape
from ._define import Entry, compiled_in, composite, integer, library, planned, pointwise, registry, state_out
from ._outputs import converted, elementwise, exact, sharing
from .index import check_tensor, title, zeros_of

_PRODUCT_OUT = exact("tensordot: Expected the output tensor to have dtype {Has}, but got an output tensor with dtype {Given}")


def _compile(code, narrow):
    """The packed product's kernels for a dtype; called by the core at their first use."""
    from ..codegen import schemes

    return schemes.kernels(NAMES[code], narrow)


def _compile_tiled(code, parts):
    """The same on matrix registers, or None; a float32 is split into ``parts``."""
    from ..codegen import schemes

    return schemes.tiled_kernels(NAMES[code], parts)


def _compile_skinny(code, group):
    """Those of products that read their left operand where it lies, a group of them."""
    from ..codegen import schemes

    return schemes.skinny_kernels(NAMES[code], group)


def _shapes(code):
    """(rows, columns) of the wide panels and of the narrow ones."""
    from ..codegen import schemes

    return schemes.shapes(NAMES[code])


def _takeover(code, wide):
    """Tells the core from which size on its own kernels for a dtype are faster than OpenBLAS', which use AVX-512 or not."""
    from ..codegen import takeover

    _matmul.set_takeover(code, *takeover.limits(takeover.machine(wide), NAMES[code]))


_gemm.set_compiler(_compile, _compile_tiled, _compile_skinny, _shapes)
callbacks.register(takeover=_takeover)


def _checked_inplace(op, name):
    """``name_``: the result must have the input's shape already."""

    def inplace(input, *operands, **named):
        if name in ("addmm", "baddbmm"):
            kind = "mat" if name == "addmm" else "batch"
            first, second = [*operands, *(named[kind + n] for n in "12" if kind + n in named)]
            if first.ndim == second.ndim == input.ndim > 1 and first.shape[-1] == second.shape[-2]:
                _check_shape(input, [*first.shape[:-1], second.shape[-1]], name)
        result = op(input, *operands, **named)
        if name == "addbmm" and input.ndim < 2:  # PyTorch lets this one grow
            return _core.write_inplace(movement.resize_(input, *result.shape), result)
        _check_shape(input, list(result.shape), name)
        return _core.write_inplace(input, result)

    inplace.__name__, inplace.__doc__ = name + "_", f"In-place version of :func:`{name}`."
    op.inplace = _core.Library(inplace, _core.Signature(name + "_", (), 0, ()), "")


def _check_shape(input, wanted, name):
    if list(input.shape) != wanted:
        raise RuntimeError(
            f"Bad in-place call: input tensor size {list(input.shape)} and output tensor size {wanted} should match\n"
            f"{name}_() can't change the shape of the tensor that it writes to; use {name}()."
        )


_native = _matmul.operators()
for _name, _op in _native.items():
    _where = ("functional",) if _name == "linear" else ("function", "method", "linalg") if _name == "matmul" else ("function", "method")
    if _name.startswith(("add", "badd")):
        _checked_inplace(_op, _name)
        _where += ("inplace",)
    registry[_name] = Entry(_op, "native", _name, _where, __name__, (), {})
    state_out(_name, exact("result dtype {Given} does not match input dtype {Has}") if _name in ("dot", "vdot") else exact)

registry["addmv_"] = Entry(_native["addmv"].inplace, "composite", "addmv_", ("function",), __name__, (), {})

mm, bmm, mv, dot, vdot, addmm, baddbmm, addmv, linear, matmul = (
    _native[n] for n in ("mm", "bmm", "mv", "dot", "vdot", "addmm", "baddbmm", "addmv", "linear", "matmul")
)
compiled_in("torch._C._nn")(linear)


# What a profiler shows within a call: the products that PyTorch makes it of, with the shapes of their operands.


def _parts_of_linear(*shapes):
    if len(shapes) not in (2, 3) or not shapes[0] or len(shapes[1]) != 2:
        return []
    rows, weight = [math.prod(shapes[0][:-1]), shapes[0][-1]], shapes[1][::-1]
    if len(shapes) == 3:
        return [("addmm", [shapes[2], rows, weight])]
    return [("matmul", [shapes[0], weight]), ("mm", [rows, weight])]


def _parts_of_matmul(*shapes):
    if len(shapes) != 2:
        return []
    a, b = map(len, shapes)
    return [(("dot" if a == b else "mv") if min(a, b) == 1 else "bmm" if b > 2 else "mm", shapes)]


linear.parts, matmul.parts = _parts_of_linear, _parts_of_matmul
set_slot("__matmul__", matmul)


@composite(where="")
def imatmul(input, other):
    """In-place :func:`matmul`: what ``a @= b`` calls."""
    return _core.write_inplace(input, matmul(input, other))


set_slot("__imatmul__", imatmul)


# -- sums of products, made of the above --


@composite(out=exact, memory=sharing(aligned="input"))
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """``beta * input + alpha * sum_i(batch1[i] @ batch2[i])``.

    batch1: (b, n, k), batch2: (b, k, m), input broadcasts to (n, m). The sum over i is one more contracted dim, so it is one product.

    >>> x = torch.tensor([[[1., 2.]], [[3., 4.]]])
    >>> torch.addbmm(torch.zeros(1, 1), x, x.mT)
    tensor([[30.]])
    """
    shape.expand(input, (batch1.size(1), batch2.size(2)))
    if batch1.ndim != 3 or batch2.ndim != 3:
        raise RuntimeError(f"batch{1 if batch1.ndim != 3 else 2} must be a 3D tensor")
    (b, n, k), (other, rows, m) = batch1.shape, batch2.shape
    if b != other:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {b} and {other}")
    if k != rows:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{k} and {rows}x{m})")
    left = shape.reshape(shape.transpose(batch1, 0, 1), n, b * k)
    return addmm(input, left, shape.reshape(batch2, b * k, m), beta=beta, alpha=alpha)


_checked_inplace(addbmm, "addbmm")
registry["addbmm"].where += ("inplace",)


def _check_vectors(name, **vectors):
    ranks = {argument: x.ndim for argument, x in vectors.items()}  # (what is no tensor is refused first)
    for argument, rank in ranks.items():
        if rank != 1:
            raise RuntimeError(f"{name}: Expected 1-D argument {argument}, but got {rank}-D")


@composite(aliases=("ger",), memory=elementwise, out=converted.by("mul"))
def outer(input, vec2):
    """The outer product of two vectors: ``result[i, j] = input[i] * vec2[j]``.

    >>> torch.outer(torch.tensor([1, 2, 3]), torch.tensor([1, 10]))
    tensor([[ 1, 10],
            [ 2, 20],
            [ 3, 30]])
    """
    _check_vectors("outer", self=input, vec2=vec2)
    return shape.unsqueeze(input, 1) * vec2


def _check_factor(name, dtype, value):
    """Raises PyTorch's error for a factor that is no number of the dtype."""
    if isinstance(value, float) and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    check_holds(dtype, value)


@composite(memory=elementwise)
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """``beta * input + alpha * outer(vec1, vec2)``; with beta=0, input is not read.

    >>> torch.addr(torch.eye(2), torch.tensor([1., 2.]), torch.tensor([3., 4.]), alpha=10)
    tensor([[31., 40.],
            [60., 81.]])
    """
    _check_vectors("addr", vec1=vec1, vec2=vec2)
    added = shape.expand(input, (vec1.shape[0], vec2.shape[0]))
    product = shape.unsqueeze(vec1, 1) * vec2
    if product.dtype.name == input.dtype.name == "bool":  # and, or
        return (added if beta else zeros_of(added.shape, added)) | (product if alpha else zeros_of(product.shape, product))
    for name, factor in (("beta", beta), ("alpha", alpha)):
        _check_factor(name, product.dtype, factor)
    if alpha != 1:
        product = product * alpha
    return product if beta == 0 else added + product if beta == 1 else added * beta + product


_checked_inplace(addr, "addr")
registry["addr"].where += ("inplace",)


@composite(out=_PRODUCT_OUT)
def inner(input, other):
    """The sums of products over the last dims: ``result[..., *] = sum_k input[..., k] * other[*, k]``; a plain product for 0 dims.

    >>> torch.inner(torch.tensor([[1, 2], [3, 4]]), torch.tensor([10, 1]))
    tensor([12, 34])
    """
    if other.ndim == 0 or input.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, dims=([-1], [-1]))


@composite(memory=elementwise, out=converted.by("mul"))
def kron(input, other):
    """The Kronecker product: every element of ``input`` times the whole of ``other``; missing leading dims count as 1.

    >>> torch.kron(torch.eye(2), torch.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    left, right, result = _blocks(input.shape, other.shape)
    return shape.reshape(shape.reshape(input, left) * shape.reshape(other, right), result)


@planned
def _blocks(a, b):
    """The shapes in which :func:`kron`'s operands are multiplied, and the result's."""
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b)
    return tuple(s for size in a for s in (size, 1)), tuple(s for size in b for s in (1, size)), tuple(x * y for x, y in zip(a, b))


def _differing(a, b):
    """What two shapes that must agree in all dims but the last do not agree in, as PyTorch says it."""
    if len(a) != len(b):
        return f"bilinear(): input dimensions do not match: got {len(a)} and {len(b)}"
    d = next(d for d in range(len(a) - 1) if a[d] != b[d])
    return f"bilinear(): input batch dimensions do not match at dim {d}: got {a[d]} and {b[d]}"


@composite(where="functional function")
def bilinear(input1, input2, weight, bias=None):
    """``x1^T W_o x2 + bias_o`` for each output o: (*, in1), (*, in2), weight (out, in1, in2), bias (out) give (*, out).

    >>> x, y = torch.tensor([1., 2.]), torch.tensor([3., 4.])
    >>> torch.bilinear(x[None], y[None], torch.ones(1, 2, 2))
    tensor([[21.]])
    """
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"{_differing(input1.shape, input2.shape)}\n"
            f"  The inputs have the shapes {list(input1.shape)} and {list(input2.shape)}, which must agree in all dims but the last."
        )
    for name, x, size in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if x.shape[-1] != size:
            raise RuntimeError(f"bilinear(): {name} size does not match weight size: got {x.shape[-1]} but expected {size}")
    out, in1, in2 = weight.shape
    rows = shape.reshape(input1, -1, in1)
    half = mm(rows, shape.reshape(shape.permute(weight, 1, 0, 2), in1, out * in2))
    both = bmm(shape.reshape(half, -1, out, in2), shape.reshape(input2, -1, in2, 1))
    result = shape.reshape(both, *input1.shape[:-1], out)
    return result if bias is None else result + bias


@composite(out=_PRODUCT_OUT)
def tensordot(a, b, dims=2):
    """The contraction of several dims at once.

    dims: how many of the last dims of ``a`` meet the first of ``b``, or two lists of dims that meet pairwise. A dim of size 1 is broadcast.

    >>> a, b = torch.ones(2, 3, 4), torch.ones(4, 3, 5)
    >>> torch.tensordot(a, b, dims=([1, 2], [1, 0])).shape
    torch.Size([2, 5])
    >>> torch.tensordot(torch.tensor([1, 2]), torch.tensor([3, 4]), dims=1)
    tensor(11)
    """
    left, right = _dims_that_meet(a, b, dims)
    if a.dtype != b.dtype:
        raise RuntimeError(f"both inputs should have same dtype\n  [tensordot] got {a.dtype} and {b.dtype}: convert one with .to().")
    for i, j in zip(left, right):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} "
                f"and second has size {b.shape[j]} in dim {j}"
            )
        if a.shape[i] == 1 != b.shape[j]:
            b = reduction.sum(b, j, True, dtype=b.dtype)
        elif b.shape[j] == 1 != a.shape[i]:
            a = reduction.sum(a, i, True, dtype=a.dtype)
    left, right = [i % a.ndim for i in left], [j % b.ndim for j in right]
    free_a, free_b = [i for i in range(a.ndim) if i not in left], [j for j in range(b.ndim) if j not in right]
    inner_size = _size(a, left)
    rows = shape.reshape(shape.permute(a, free_a + left), _size(a, free_a), inner_size)
    columns = shape.reshape(shape.permute(b, right + free_b), inner_size, _size(b, free_b))
    return shape.reshape(mm(rows, columns), [a.shape[i] for i in free_a] + [b.shape[j] for j in free_b])


def _dims_that_meet(a, b, dims):
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (list, tuple)):
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
        if len(left) != len(right):
            raise RuntimeError("both dimension lists should have same length")
        return left, right
    if dims < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
    if dims > min(a.ndim, b.ndim):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
    return list(range(-dims, 0)), list(range(dims))


def _size(x, dims):
    product = 1
    for d in dims:
        product *= x.shape[d]
    return product


# -- cross products --


@pointwise(where="", inplace=False, dtypes="number")
def _cross(a, b, c, d, e, f):
    return b * f - c * e, c * d - a * f, a * e - b * d


_cross.kernel = "cross"


@library(where="linalg", name="linalg_cross", differentiable="input other", label="LinalgCross", batch="along", out=exact)
def linalg_cross(input, other, *, dim=-1):
    """The cross product of 3-vectors that lie along ``dim``; the other dims broadcast.

    >>> torch.linalg.cross(torch.tensor([[1, 0, 0]]), torch.tensor([[0, 1, 0], [0, 0, 1]]))
    tensor([[ 0,  0,  1],
            [ 0, -1,  0]])
    """
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    for x in (input, other):
        if x.size(dim) != 3:
            raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.size(dim)} and {other.size(dim)}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"expected scalar type {title(input)} but found {title(other)}\n  [linalg.cross] Convert one of them.")
    return registry["cat"].operator(_cross(*(shape.narrow(x, dim, i, 1) for x in (input, other) for i in range(3))), dim)


linalg_cross.memory = sharing(apart="*")


@linalg_cross.backward_of
def _(grad, input, other, dim, needs):
    a, b = (x.conj() if x.is_complex() else x for x in (input, other))
    return linalg_cross(b, grad, dim=dim) if needs[0] else None, linalg_cross(grad, a, dim=dim) if needs[1] else None


@composite(out=exact.by("linalg_cross"), memory=sharing(apart="*"))
def cross(input, other, dim: integer = None):
    """The cross product along ``dim``; without it, along the first dim of size 3 (linalg.cross takes the last).

    >>> torch.cross(torch.tensor([1., 0., 0.]), torch.tensor([0., 1., 0.]), dim=0)
    tensor([0., 0., 1.])
    """
    check_tensor("cross", "other", 2, other)
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or simply use "
            "torch.linalg.cross.\nThe default value of dim will change to agree with that of linalg.cross in a future release.",
            stacklevel=2,
        )
        dim = next((i for i, size in enumerate(input.shape) if size == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return linalg_cross(input, other, dim=dim)
