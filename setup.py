"""Builds the Cython hot loops; everything else of the build is in pyproject.toml."""

from pathlib import Path

import picows
from Cython.Build import cythonize
from setuptools import Extension, setup

# Cython finds `cimport picows` through the package folder's parent; the C layout must be the pinned one.
_SITE = str(Path(picows.__file__).resolve().parent.parent)

setup(
    ext_modules=cythonize(
        [
            Extension(
                "gateway._fastpath.fanout",
                ["gateway/_fastpath/fanout.pyx"],
                extra_compile_args=["-O3", "-fno-plt"],
            )
        ],
        include_path=[_SITE],
        compiler_directives={"language_level": "3", "boundscheck": False, "wraparound": False},
        build_dir="build/cython",
    )
)
