"""Builds the Cython core: one extension for each file in rushlight/_core."""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# -O2 without -march: the wheel must start on any x86-64; everything that profits from wide vectors is compiled at run time.
FLAGS = ["-O2", "-g0", "-fno-strict-aliasing", "-Wno-unused-function", "-Wno-unreachable-code"]
LIBRARIES = ["dl", "pthread", "m"] if sys.platform == "linux" else []

JOBS = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()

# RUSHLIGHT_BUILD="tensor view" builds just these: for work on one file while another does not compile. "nothing" builds none.
only = os.environ.get("RUSHLIGHT_BUILD", "").split()

extensions = [
    Extension(path[:-4].replace(os.sep, "."), [path], extra_compile_args=FLAGS, extra_link_args=["-s"], libraries=LIBRARIES)
    for path in sorted(glob("rushlight/_core/*.pyx"))
    if not only or os.path.basename(path)[:-4] in only
]

setup(
    options={"build_ext": {"parallel": JOBS}},
    ext_modules=cythonize(
        extensions,
        nthreads=JOBS,
        language_level=3,
        compiler_directives={
            "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False, "embedsignature": True,
            "auto_pickle": False, "allow_none_for_extension_args": False, "legacy_implicit_noexcept": False,
        },
    )
)  # fmt: skip
