"""NVIDIA's shared libraries, where pip, the system's loader or a CUDA toolkit has put them."""

import functools
import glob
import os
import sys

from ..._core.device import SharedLibrary

MAJOR = {"nvrtc": 13, "cublasLt": 13, "cudart": 13, "cudnn": 9}
"""The version of each library's interface, which is the end of its file's name."""


def places(name):
    """The paths, best first, at which a library may be loaded: packages of pip (PyTorch's too), a CUDA toolkit, and last the bare name, for
    which the system's loader looks."""
    file = f"lib{name}.so.{MAJOR[name]}"
    packages = [found for folder in sys.path for found in sorted(glob.glob(os.path.join(folder or ".", "nvidia", "*", "lib", file)))]
    roots = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    toolkits = [os.path.join(root, "lib64", file) for root in roots if root]
    return [*packages, *filter(os.path.exists, toolkits), file]


@functools.cache
def load(name):
    """The library, loaded for the rest of the process; OSError with what was tried where it is nowhere."""
    refused = []
    for path in places(name):
        try:
            return SharedLibrary(path)
        except OSError as error:
            refused.append(str(error))
    raise OSError(f"lib{name} cannot be loaded: {'; '.join(refused)}")


def installed(name):
    """Is the library there? One that is a file is not loaded to find out."""
    if len(places(name)) > 1:
        return True
    try:
        load(name)
    except OSError:
        return False
    return True


def identity(name):
    """What tells this library from other versions of it, without loading it where it is a file."""
    path = places(name)[0]
    if not os.path.exists(path):
        return load(name).path
    found = os.stat(path)
    return os.path.basename(os.path.realpath(path)), found.st_size, found.st_mtime_ns
