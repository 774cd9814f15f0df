"""The public names that are no operators, and where the rooms that load on first use are."""

from . import ops as _ops
from ._core import callbacks as _callbacks
from ._core import operator as _operator
from ._core import tensor as _tensor
from .ops import casting as _casting

_unary = {op for op in _ops.face("inplace").values() if isinstance(op, _operator.Pointwise) and op.signature.n_required == 1}

ROOMS = (
    "nn", "optim", "utils", "autograd", "linalg", "fft", "special", "func", "cuda", "random", "distributions", "testing",
    "backends", "version", "serialization", "accelerator", "types", "return_types", "multiprocessing", "compiler",
    "jit", "hub", "amp", "distributed", "profiler", "storage", "functional", "library", "sparse", "io", "cpu", "xpu", "mps", "mtia",
    "_C", "_VF", "_dynamo", "_functorch", "_guards", "_tensor", "ao", "export", "futures", "fx", "masked", "nested", "onnx", "quantization",
    "quasirandom", "signal", "__config__", "__future__",
)  # fmt: skip

# module -> the names that are imported from it when first used
_NAMES_OF = {
    "serialization": "save load",
    "io.reader": "PyTorchFileReader",
    "_tensor_str": "set_printoptions get_printoptions printoptions",
    "random": "manual_seed seed initial_seed get_rng_state set_rng_state Generator default_generator",
    "_limits": "finfo iinfo",
    "_errors": "OutOfMemoryError AcceleratorError",
    "_typename": "typename",
    "autograd.grad_mode": "no_grad enable_grad set_grad_enabled inference_mode is_grad_enabled is_inference_mode_enabled",
    "func": "vmap",
    "_alias": "as_torch",
    "version": "__version__",
    "_summary": "summary",
    "hints": "lint",
    "_settings": """
        use_deterministic_algorithms are_deterministic_algorithms_enabled set_deterministic_debug_mode
        is_deterministic_algorithms_warn_only_enabled get_deterministic_debug_mode set_warn_always set_float32_matmul_precision
        get_float32_matmul_precision is_warn_always_enabled set_flush_denormal compiled_with_cxx11_abi
        has_lapack has_mkl has_openmp has_spectral
    """,
    "amp.autocast_mode": """
        is_autocast_enabled get_autocast_dtype set_autocast_dtype is_autocast_cache_enabled autocast set_autocast_cache_enabled
        set_autocast_enabled clear_autocast_cache autocast_increment_nesting autocast_decrement_nesting is_autocast_cpu_enabled
        set_autocast_cpu_enabled get_autocast_cpu_dtype set_autocast_cpu_dtype get_autocast_gpu_dtype set_autocast_gpu_dtype
    """,
    "amp": "GradScaler",
    "futures": "Future",
    "jit": "fork wait ScriptModule",
    "utils.dlpack": "to_dlpack",
    "storage": """
        StorageBase TypedStorage DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage
        ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage
    """,
    "compiler": "compile",
    "ops.legacy": "set_default_tensor_type",
    "sparse": "sparse_coo_tensor spmm dsmm",
    "cpu": "Stream Event",
    "_C": """
        AnyType BoolType ClassType ComplexType DeviceObjType DictType FloatType IntType ListType NoneType NumberType OptionalType
        StringType TensorType TupleType UnionType
    """,
    "_checks": """
        SymInt SymFloat SymBool sym_int sym_float sym_max sym_min sym_sum sym_not sym_ite sym_sqrt
        _assert _assert_async get_device_module _check _check_with _check_index _check_value _check_type
        _check_not_implemented _check_is_size _check_tensor_all _shape_as_tensor _convert_indices_from_coo_to_csr
        _convert_indices_from_csr_to_coo is_anomaly_check_nan_enabled
    """,
    "autograd.anomaly_mode": "is_anomaly_enabled set_anomaly_enabled",
    "_core.threads": "set_num_threads get_num_threads set_num_interop_threads get_num_interop_threads",
}  # fmt: skip
LAZY = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

FUNCTIONS = {
    "get_default_dtype": _tensor.get_default_dtype,
    "set_default_dtype": _tensor.set_default_dtype,
    "get_default_device": _tensor.get_default_device,
    "set_default_device": _tensor.set_default_device,
    "result_type": _operator.result_type,
    "promote_types": _operator.promote_types,
    "can_cast": _operator.can_cast,
    "e": 2.718281828459045,
    "pi": 3.141592653589793,
    "inf": float("inf"),
    "nan": float("nan"),
    "newaxis": None,
    "layout": _casting.layout,
    "memory_format": _casting.memory_format,
    **_casting.FORMATS,
    "legacy_contiguous_format": _casting.FORMATS["contiguous_format"],
    **_casting.LAYOUTS,
    **{name + "_": op.inplace for name, op in _ops.face("inplace").items() if op in _unary},
    **{name + "_": op.inplace for name, op in _ops.face("function_").items()},
}


_PACKAGE = __name__.rpartition(".")[0]
_callbacks.defer(**{name: f"{_PACKAGE}.{where}" for name, where in {
    "backward": "autograd:backward",
    "batched_backward": "autograd._batching:run_backward",
    "primitive": "_primitives:find",
    "tell": "_dispatch:tell",
    "tell_step": "_dispatch:tell_step",
    "define_torchaudio": "_torchaudio:define",
    "define_torchvision": "_torchvision:define",
    "has_cuda": "cuda:is_available",
    "map_file": "storage:map_file",
    "open_functions": "nn._opened:open_functions",
    "operator_namespace": "_ops:namespace",
    "removable_handle": "utils.hooks:RemovableHandle",
    "storage_method": "storage:method_of",
    "sparse_coo_tensor": "sparse:sparse_coo_tensor",
    "start_cuda": "cuda._start:start",
    "start_meta": "cuda._start:start_meta",
    "storage_type": "storage:storage_type",
    "tensor_format": "_tensor_str:tensor_format",
    "tensor_text": "_tensor_str:tensor_text",
    "typed_storage": "storage:TypedStorage",
    "wrapper_subclass": "utils._python_dispatch:make_wrapper_subclass",
    "unpack_dual": "autograd.forward_ad:unpack_dual",
}.items()})  # fmt: skip


def resolve(name):
    """The object behind a lazy name of the package; AttributeError with a hint for unknown ones."""
    import importlib

    package = _PACKAGE
    if name in ROOMS:
        return importlib.import_module(f"{package}.{name}")
    if name in LAZY:
        return getattr(importlib.import_module(f"{package}.{LAZY[name]}"), name)
    if name.startswith("_foreach_"):
        return importlib.import_module(f"{package}._foreach").foreach(name)
    if not name.startswith("__"):
        found = importlib.import_module(f"{package}.{'_primitives' if name.startswith('_') else '_aten'}").names.get(name)
        if found is not None:
            return found
    raise AttributeError(f"module '{package}' has no attribute '{name}'" + _why(name))


_ABSENT = (  # what names of PyTorch's that are not here have in common
    (("quant", "fake_quant", "qint", "quint", "q_", "choose_qparams", "fbgemm", "qscheme", "per_channel", "per_tensor"),
     "quantisation is not part of rushlight"),
    (("sparse_", "to_sparse_", "hspmm", "hsmm", "crow_", "ccol_", "col_", "row_"),
     "sparse tensors are kept by coordinates: use sparse_coo_tensor"),
    (("cudnn_", "miopen_", "mkldnn_", "to_mkldnn"), "it belongs to a vendor's library; call the operator itself"),
)  # fmt: skip


def _why(name):
    """What there is to say about a name that PyTorch has, as the end of a message."""
    for beginnings, why in _ABSENT:
        if name.startswith(beginnings):
            return f"\n  {why[0].upper()}{why[1:]}."
    return ""
