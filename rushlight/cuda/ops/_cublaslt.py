"""cublasLt by its interface in C: the functions that products need, with the names and numbers of ``cublasLt.h``."""

import ctypes

from ...codegen.cuda import libraries

BATCH_COUNT, STRIDED_BATCH_OFFSET = 5, 6  # of cublasLtMatrixLayoutAttribute_t
TRANSA, TRANSB, EPILOGUE, BIAS_POINTER = 3, 4, 7, 8  # of cublasLtMatmulDescAttributes_t
MAX_WORKSPACE_BYTES, MIN_ALIGNMENT_BYTES = 1, (5, 6, 7, 8)  # of cublasLtMatmulPreferenceAttributes_t; alignments of A, B, C, D
BIAS = 4  # of cublasLtEpilogue_t: adds one number to each row of a column-major result

_STATUS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR", 13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR",
}  # fmt: skip


class CublasError(RuntimeError):
    """A status of cublasLt that is not success."""


class Descriptor(int):
    """The address of an object of cublasLt's (a layout, an operation, a preference), which ends with it."""

    destroy = None

    def __del__(self):
        self.destroy(int(self))


class CublasLt:
    """The library. Handles and addresses are ints; every function raises CublasError."""

    def __init__(self, library):
        self._create = _checked(library, "cublasLtCreate")
        self._layout_create = _checked(library, "cublasLtMatrixLayoutCreate")
        self._desc_create = _checked(library, "cublasLtMatmulDescCreate")
        self._preference_create = _checked(library, "cublasLtMatmulPreferenceCreate")
        self._layout_set = _checked(library, "cublasLtMatrixLayoutSetAttribute")
        self._desc_set = _checked(library, "cublasLtMatmulDescSetAttribute")
        self._preference_set = _checked(library, "cublasLtMatmulPreferenceSetAttribute")
        self._layout_destroy = _checked(library, "cublasLtMatrixLayoutDestroy")
        self._desc_destroy = _checked(library, "cublasLtMatmulDescDestroy")
        self._preference_destroy = _checked(library, "cublasLtMatmulPreferenceDestroy")
        self._heuristic = _checked(library, "cublasLtMatmulAlgoGetHeuristic")
        self.matmul = _checked(library, "cublasLtMatmul")
        """matmul(handle, desc, alpha, A, A layout, B, B layout, beta, C, C layout, D, D layout, algorithm, workspace, its bytes, stream)"""

    def create(self):
        """A handle for the GPU whose context is current."""
        return _made(self._create)

    @staticmethod
    def _described(destroy, create, *arguments):
        made = Descriptor(_made(create, *arguments))
        made.destroy = destroy
        return made

    def layout(self, data_type, rows, columns, distance):
        """A column-major matrix whose columns lie ``distance`` elements apart."""
        return self._described(self._layout_destroy, self._layout_create, data_type, rows, columns, distance)

    def desc(self, compute_type, scale_type):
        """An operation."""
        return self._described(self._desc_destroy, self._desc_create, compute_type, scale_type)

    def preference(self):
        """What the heuristics are to keep to."""
        return self._described(self._preference_destroy, self._preference_create)

    def layout_set(self, layout, attribute, value):
        """Sets an attribute of a layout to a number of ctypes."""
        self._layout_set(layout, attribute, ctypes.addressof(value), ctypes.sizeof(value))

    def desc_set(self, desc, attribute, value):
        """Sets an attribute of an operation."""
        self._desc_set(desc, attribute, ctypes.addressof(value), ctypes.sizeof(value))

    def preference_set(self, preference, attribute, value):
        """Sets an attribute of a preference."""
        self._preference_set(preference, attribute, ctypes.addressof(value), ctypes.sizeof(value))

    def heuristic(self, handle, desc, a, b, c, d, preference):
        """The algorithm (an array whose address :attr:`matmul` is given) that the heuristics put first; None where there is none."""
        found, result = ctypes.c_int32(0), (ctypes.c_uint64 * 12)()  # cublasLtMatmulHeuristicResult_t: the algorithm first
        try:
            self._heuristic(handle, desc, a, b, c, d, preference, 1, ctypes.addressof(result), ctypes.addressof(found))
        except CublasError:
            return None
        return result if found.value else None


def loaded():
    """The library as it is installed; OSError where it is not."""
    return CublasLt(libraries.load("cublasLt"))


def _checked(library, name):
    """A function of the library that raises for a status other than success."""
    function = library.function(name)

    def call(*arguments):
        status = function(*arguments)
        if status:
            raise CublasError(f"CUDA error: CUBLAS_STATUS_{_STATUS.get(status, status)} when calling {name}")

    return call


def _made(function, *arguments):
    """The handle that a function of the library writes to its first argument."""
    handle = ctypes.c_uint64()
    function(ctypes.addressof(handle), *arguments)
    return handle.value
