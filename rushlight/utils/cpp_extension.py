"""Extensions in C++: names that packages import, refused when used. Operators of one's own are Python here: ``torch.library.custom_op``."""

from .._absent import absent_room as _absent_room

CUDA_HOME = ROCM_HOME = None
IS_HIP_EXTENSION = False

globals().update(_absent_room(
    "torch.utils.cpp_extension",
    "extensions in C++ are compiled against PyTorch's own library; write the operator by torch.library.custom_op",
    functions="load load_inline include_paths library_paths is_ninja_available verify_ninja_availability",
    classes="BuildExtension CppExtension CUDAExtension",
))  # fmt: skip
