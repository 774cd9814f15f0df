"""Questions about tensors: what they are, whether they are equal, and where their memory is."""

import itertools
import os
import warnings
import weakref

from .._core import callbacks
from .._core import movement as _movement
from .._core import operator as _operator
from .._core import tensor as _tensor
from .._core import view as _view
from .._core.convert import frombuffer
from .._core.tensor import add_method
from ..lang import expr as ex
from ..lang import functions as fn
from ..lang import types as ty
from . import binning, casting, comparison, creation, reduction, shape, sorting
from ._define import composite, pointwise, rowwise
from ._outputs import exact
from .index import check_tensor, title

Tensor, Storage = _tensor.Tensor, _tensor.Storage
_float64 = _tensor.dtypes()["float64"]

# -- what it is --


@composite(where="function")
def is_tensor(obj):
    """True for tensors, those of subclasses included.

    >>> torch.is_tensor(torch.ones(2)), torch.is_tensor([1., 1.])
    (True, False)
    """
    return isinstance(obj, Tensor)


is_tensor.quick = _view.quick["is_tensor"]


@composite(where="function")
def is_storage(obj):
    """True for storages, with or without a dtype.

    >>> x = torch.ones(2)
    >>> torch.is_storage(x.untyped_storage()), torch.is_storage(x)
    (True, False)
    """
    return isinstance(obj, Storage) or type(obj).__name__ == "TypedStorage"


def _question(name, doc):
    """The function form of a question that the core answers as a method."""

    ask = getattr(Tensor, name)

    def definition(input):
        check_tensor(name, "input", 1, input)
        return ask(input)

    definition.__name__, definition.__doc__ = name, doc
    return composite(definition, where="function")


numel = _question("numel", """The number of elements: 1 for a number, 0 where a dim is empty.

>>> torch.numel(torch.ones(2, 3)), torch.tensor(7).numel(), torch.ones(2, 0).numel()
(6, 1, 0)
""")
is_floating_point = _question("is_floating_point", """True for float16, bfloat16, float32, float64 (and float8).

>>> torch.is_floating_point(torch.ones(1).half()), torch.is_floating_point(torch.tensor([1j]))
(True, False)
""")
is_complex = _question("is_complex", """True for complex dtypes.

>>> torch.tensor([1j]).is_complex(), torch.tensor([1.]).is_complex()
(True, False)
""")
is_signed = _question("is_signed", """True if the dtype has negative values: all but bool, uint8 and its like.

>>> torch.tensor([1]).is_signed(), torch.tensor([1]).byte().is_signed()
(True, False)
""")
is_conj = _question("is_conj", """True if the elements are the conjugates of what the memory holds; see :func:`conj`.

>>> torch.tensor([1j]).conj().is_conj(), torch.tensor([1.]).conj().is_conj()
(True, False)
""")
is_neg = _question("is_neg", """True if the elements are the negatives of what the memory holds: the imaginary part of a conjugate.

>>> torch.tensor([1j]).conj().imag.is_neg()
True
""")
is_inference = _question("is_inference", """True if the tensor was made in inference mode, so that autograd can't use it.

>>> with torch.inference_mode():
...     x = torch.ones(2)
>>> x.is_inference(), x.clone().is_inference()
(True, False)
""")


@composite
def is_nonzero(input):
    """Whether the only element is nonzero. Raises RuntimeError unless there is just one.

    >>> torch.is_nonzero(torch.tensor([2]))
    True
    """
    return bool(input)


@composite
def is_same_size(input, other):
    """True if both have the same shape.

    >>> torch.is_same_size(torch.zeros(2), torch.ones(2))
    True
    """
    return input.shape == other.shape


@composite(where="method")
def is_set_to(input, tensor):
    """True if both are the same elements of the same storage.

    >>> x = torch.arange(4)
    >>> x.is_set_to(x.view(4)), x.is_set_to(x[1:]), x.is_set_to(x.clone())
    (True, False, False)
    """
    return (
        input.untyped_storage() is tensor.untyped_storage()
        and input.storage_offset() == tensor.storage_offset()
        and input.shape == tensor.shape
        and input.stride() == tensor.stride()
    )


@composite
def is_distributed(input):
    """False: no tensor is spread over processes.

    >>> torch.ones(2).is_distributed()
    False
    """
    return False


@composite(where="method")
def dim_order(input, ambiguity_check=False):
    """The dims from the outermost to the innermost in memory.

    ambiguity_check: True raises RuntimeError where dims of size 1 or equal strides allow another order too; a list of memory formats does
    so only where the tensor is of none of them, or of several.

    >>> torch.ones(2, 3, 4, 5).dim_order()
    (0, 1, 2, 3)
    >>> torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last).dim_order()
    (0, 2, 3, 1)
    """
    if not isinstance(ambiguity_check, bool) and not (
        isinstance(ambiguity_check, list) and all(isinstance(f, casting.memory_format) for f in ambiguity_check)
    ):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    order = tuple(sorted(range(input.ndim), key=lambda d: -input.stride(d)))
    if ambiguity_check and _allows_other_orders(input, order):
        formats = [] if ambiguity_check is True else ambiguity_check
        if sum(input.is_contiguous(memory_format=f) for f in formats) != 1:
            raise RuntimeError("The tensor does not have unique dim order, or cannot map to exact one of the given memory formats.")
    return order


def _allows_other_orders(input, order):
    """Would another order of the dims describe the same memory?"""
    kept = [(input.stride(d), input.size(d)) for d in order]
    return any(size == 1 for _, size in kept) or any(a[0] == b[0] for a, b in itertools.pairwise(kept))


@composite(where="method")
def dense_dim(input):
    """The number of dims: all are dense.

    >>> torch.ones(2, 3).dense_dim()
    2
    """
    return input.ndim


@composite(where="method")
def sparse_dim(input):
    """0: no dim is sparse.

    >>> torch.ones(2, 3).sparse_dim()
    0
    """
    return 0


@composite(where="method")
def to_dense(input, dtype=None, *, masked_grad=None):
    """The tensor itself, which is dense, in a dtype.

    >>> torch.tensor([1, 2]).to_dense(torch.float32)
    tensor([1., 2.])
    """
    return input if dtype is None else shape.cast(input, dtype)


@composite(where="method")
def is_coalesced(input):
    """Whether a sparse tensor has no position twice, in order; RuntimeError for a dense one.

    >>> places = torch.tensor([[1, 1]])
    >>> x = torch.sparse_coo_tensor(places, torch.tensor([2., 3.]), (3,))
    >>> x.is_coalesced(), x.coalesce().values()
    (False, tensor([5.]))
    """
    raise RuntimeError("is_coalesced expected sparse coordinate tensor layout but got Strided")


# -- equality --


@rowwise(where="")
def _all_equal(input, other, dim=None, keepdim=False):
    return fn.all(fn.eq(input, other))


@composite
def equal(input, other):
    """True if both have the same shape and equal elements (a nan equals nothing).

    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
    True
    """
    check_tensor("equal", "other", 2, other)
    if input.shape != other.shape:
        return False
    if input.dtype is not other.dtype:
        common = _operator.result_type(input, other)  # else 1.5 would equal 1
        input, other = shape.cast(input.detach(), common), shape.cast(other.detach(), common)
    return bool(_all_equal(input, other))


callbacks.register(all_equal=_all_equal)
equal.quick = _operator.quick["equal"]


@pointwise(where="", inplace=False)
def _close(input, other, *, rtol=1e-05, atol=1e-08, equal_nan=False):
    gap = fn.abs(input - other)
    if ty.is_complex(input.type):
        rtol, atol = (fn.real(t) if isinstance(t, ex.Expr) else t for t in (rtol, atol))
    near = fn.isfinite(gap) & fn.le(gap, atol + fn.abs(rtol * fn.abs(other)))
    same = fn.eq(input, other) | near
    return same | (fn.isnan(input) & fn.isnan(other)) if equal_nan else same


@composite
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True where ``|input - other| <= atol + rtol * |other|``, and where both are equal; with ``equal_nan``, where
    both are nan.

    Raises RuntimeError if the dtypes differ or a tolerance is negative.

    >>> torch.isclose(torch.tensor([1., 1e-9, float("nan")]), torch.tensor([1.000001, 0., float("nan")]), equal_nan=True)
    tensor([True, True, True])
    """
    check_tensor("isclose", "input", 1, input)
    check_tensor("isclose", "other", 2, other)
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"{title(input)} did not match {title(other)}\n  isclose() compares tensors of one dtype; convert one of "
            "them first."
        )
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not value >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    input, other = input.detach(), other.detach()
    if not (input.is_floating_point() or input.is_complex()):
        input, other = shape.cast(input, _float64), shape.cast(other, _float64)
    return _close(input, other, rtol=float(rtol), atol=float(atol), equal_nan=equal_nan)


@composite
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True if :func:`isclose` holds everywhere.

    >>> torch.allclose(torch.tensor([1.]), torch.tensor([1. + 1e-7]))
    True
    """
    check_tensor("allclose", "other", 2, other)
    return bool(reduction.all(isclose(input, other, rtol, atol, equal_nan)))


@composite(where="function", out=exact)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """True for each of ``elements`` that occurs in ``test_elements``; either, but not both, may be a number.

    invert: true for those that do not occur. ``assume_unique`` is accepted and makes no difference to the result.

    >>> torch.isin(torch.tensor([[1, 2], [3, 4]]), torch.tensor([2, 3, 9]))
    tensor([[False,  True],
            [ True, False]])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError(
            f"isin() received an invalid combination of arguments - got ({type(elements).__name__}, "
            f"{type(test_elements).__name__}), "
            "but expected one of:\n  isin(tensor, tensor), isin(number, tensor), isin(tensor, number)"
        )
    device = (elements if isinstance(elements, Tensor) else test_elements).device
    elements, test_elements = (t if isinstance(t, Tensor) else creation.full((), t, device=device) for t in (elements, test_elements))
    for t in (elements, test_elements):
        if t.dtype.name == "bool" or t.is_complex():
            raise RuntimeError(f"Unsupported input type encountered for isin(): {title(t)}")
    common = _operator.result_type(elements, test_elements)  # else 1.5 would be the 1 among integers
    found = _occurs(shape.cast(elements.detach(), common), shape.cast(shape.reshape(test_elements.detach(), (-1,)), common))
    return comparison.logical_not(found) if invert else found


@rowwise(where="")
def _any_equal(input, other, dim=None, keepdim=False):
    return fn.any(fn.eq(input, other))


def _occurs(elements, candidates):
    if candidates.numel() == 0:
        return comparison.ne(elements, elements) & False
    if candidates.numel() > _MANY:
        return _is_among(elements, sorting.sort(candidates)[0])
    wide = shape.expand(shape.unsqueeze(elements, -1), (*elements.shape, candidates.shape[0]))
    return _any_equal(wide, candidates, dim=-1)


_MANY = 256
"""Candidates from which on a search among them, sorted, is quicker than a comparison with each."""


def _is_among(elements, rising):
    """Does each element equal the first candidate that is not below it?"""
    place = binning.searchsorted(rising, elements)
    return comparison.eq(elements, rising[comparison.clamp(place, max=rising.shape[0] - 1)])


# -- memory --

_shared = weakref.WeakKeyDictionary()  # storage -> the open file of its memory


def mark_shared(storage, file):
    """Notes that the memory of ``storage`` is that of the open ``file``, which is closed with it."""
    _shared[storage] = file
    weakref.finalize(storage, os.close, file).atexit = False


def shared_file(storage):
    """The open file of a shared storage's memory, or None."""
    return _shared.get(storage)


@composite(where="method")
def is_shared(input):
    """True if the memory is shared with processes forked from this one; see :func:`share_memory_`.

    >>> x = torch.ones(2, device="cpu")
    >>> x.is_shared(), x.share_memory_().is_shared()
    (False, True)
    """
    return input.untyped_storage() in _shared


@composite(where="method")
def share_memory_(input):
    """Moves the elements to memory that other processes share: those forked from now on, and those it is sent to. Returns the tensor.

    Tensors that have been views of the old memory keep that.

    >>> x = torch.ones(2, device="cpu")
    >>> x.share_memory_() is x, x.is_shared()
    (True, True)
    """
    if input.numel() and not is_shared(input):
        import mmap

        file, n_bytes = os.memfd_create("rushlight"), input.numel() * input.dtype.itemsize
        os.ftruncate(file, n_bytes)
        moved = frombuffer(mmap.mmap(file, n_bytes), dtype=input.dtype)
        moved = shape.view(moved, tuple(input.shape))
        shape.copy_(moved, input.detach())
        _movement.adopt(input, moved)
        mark_shared(moved.untyped_storage(), file)
    return input


@composite(where="method")
def is_pinned(input, device=None):
    """True if the memory is locked for transfers to a GPU.

    >>> torch.ones(2).is_pinned()
    False
    """
    from .._core import device as layer

    return layer.is_pinned(input)


@composite(where="method")
def pin_memory(input, device=None):
    """A copy in memory locked for transfers to a GPU, from which ``.to('cuda', non_blocking=True)`` does not wait; itself if it is locked.

    Raises RuntimeError for a tensor on a GPU and where there is no GPU.

    >>> batch = torch.ones(2, device="cpu")
    >>> batch = batch.pin_memory() if torch.cuda.is_available() else batch
    """
    from .._core import device as layer

    if input.is_cuda:
        raise RuntimeError(f"cannot pin 'torch.cuda.{_tensor.type_title(input.dtype)}' only dense CPU tensors can be pinned")
    if layer.is_pinned(input):
        return input
    try:
        return layer.pinned_copy(input)
    except RuntimeError as error:
        if "pin_memory=True" not in str(error):
            raise
        raise RuntimeError("Cannot access accelerator device when none is available.\n" + str(error).partition("\n")[2]) from None


@composite(where="method")
def record_stream(input, s):
    """Notes that work of stream ``s`` uses this GPU tensor made on another stream: its memory is not used again before that is done.

    >>> if torch.cuda.is_available():
    ...     x, side = torch.ones(2, device="cuda"), torch.cuda.Stream()
    ...     x.record_stream(side)
    """
    from .._core import device as layer

    layer.record_stream(input, s.device_index, s.cuda_stream)


@composite(where="method")
def storage(input):
    """The memory as a storage with the tensor's dtype; :meth:`Tensor.untyped_storage` gives its bytes.

    >>> torch.tensor([1., 2.])[1:].storage().size()
    2
    """
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. This should only "
        "matter to you if you are using storages directly.  To access UntypedStorage directly, use tensor.untyped_storage() instead of "
        "tensor.storage()",
        UserWarning, stacklevel=2,
    )  # fmt: skip
    return callbacks.table["typed_storage"](wrap_storage=input.untyped_storage(), dtype=input.dtype, _internal=True)


def _const_data_ptr(self):
    """The address of the first element, for reading.

    >>> x = torch.ones(3)
    >>> x.const_data_ptr() == x.data_ptr()
    True
    """
    return self.data_ptr()


add_method("const_data_ptr", _const_data_ptr)


def _storage_type(self):
    """The class of the tensor's typed storage, such as ``torch.FloatStorage``; None for a dtype that has none (uint16 ...).

    >>> torch.ones(2, device="cpu").storage_type().__name__
    'FloatStorage'
    """
    return callbacks.table["storage_type"](self)


add_method("storage_type", _storage_type)


def _grad_dtype(self):
    """The dtype of ``grad``: that of the tensor.

    >>> torch.ones(2, dtype=torch.float64).grad_dtype
    torch.float64
    """
    return self.dtype


add_method("grad_dtype", property(_grad_dtype, doc=_grad_dtype.__doc__))


@composite(where="function")
def get_device(input):
    """-1 for a tensor on the CPU, else the number of its GPU.

    >>> torch.get_device(torch.ones(2, device="cpu"))
    -1
    """
    return input.get_device()


# -- what kind of tensor it is: one kind here --


def _attribute(name, value, about):
    def get(input):
        return value

    example = f">>> torch.ones(2).{name} is {value!r}\nTrue" if value is None else f">>> torch.ones(2).{name}\n{value!r}"
    add_method(name, property(get, doc=f"{about}\n\n{example}"))


_attribute("layout", casting.LAYOUTS["strided"], "Every tensor is strided.")
for _name in ("is_sparse", "is_sparse_csr", "is_quantized", "is_mkldnn", "is_mps", "is_xpu", "is_nested", "is_ipu", "is_vulkan",
              "is_xla", "is_maia", "is_mtia", "volatile"):
    _attribute(_name, False, "False: tensors are dense, on the CPU or a GPU.")
_attribute("name", None, "Always None, as PyTorch's.")
