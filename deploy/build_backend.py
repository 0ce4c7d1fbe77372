"""The build backend: setuptools, with two things of our own.

It finds the Cython sources (`node/core/*.pyx`, `proxy/core/*.pyx`) and compiles them with one set of
directives, so that no hand-run step and no setup.py is needed; and it says in one line what is
missing where no C compiler is found, instead of a page of distutils output.
"""

from __future__ import annotations

import glob
import os
import platform
import shlex
import shutil
import sys
import sysconfig

from setuptools import Extension, build_meta
from setuptools.build_meta import (  # noqa: F401  (re-exported: these hooks need no compiler)
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.build_ext import build_ext

FOLDERS = ["node/core", "proxy/core"]

OPTIMIZATION = os.environ.get("SHOAL_OPTIMIZATION", "-O3")
"""For the C compiler. Where speed is not asked for, -O0 takes a quarter of the time."""

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": False,
}


def _portability() -> list[str]:
    """Options for C libraries that lack what the core uses of glibc: portable/malloc.h stands in for it."""
    name, version = platform.libc_ver()
    if name == "glibc" and tuple(map(int, version.split("."))) >= (2, 33):
        return []
    return ["-Ideploy/portable", *(["-DMSG_NOSIGNAL=0"] if sys.platform == "darwin" else [])]


class BuildCore(build_ext):
    """Cythonizes and compiles every .pyx of the project, on all CPUs."""

    def finalize_options(self) -> None:
        from Cython.Build import cythonize

        sources = sorted(path for folder in FOLDERS for path in glob.glob(f"{folder}/*.pyx"))
        extensions = [
            Extension(
                path.removesuffix(".pyx").replace(os.sep, "."),
                [path],
                extra_compile_args=[
                    OPTIMIZATION,
                    "-g0",
                    "-fno-strict-aliasing",
                    "-Wno-unused-function",
                    *_portability(),
                ],
            )
            for path in sources
        ]
        self.distribution.ext_modules = cythonize(
            extensions, compiler_directives=DIRECTIVES, quiet=True, nthreads=os.cpu_count() or 1
        )
        super().finalize_options()
        self.parallel = os.cpu_count()


def _require_compiler() -> None:
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = shlex.split(command)[0]
    if shutil.which(compiler) is None:
        raise SystemExit(
            f"shoal: its core is compiled on installation, and no C compiler ({compiler}) was found. "
            "Install one (Debian/Ubuntu: apt install gcc python3-dev, macOS: xcode-select --install) "
            "and run the same command again."
        )


def _with_core(hook, *args):
    """Run a setuptools hook with our build_ext registered."""
    import setuptools

    _require_compiler()
    original = setuptools.setup

    def setup(**attrs):
        attrs.setdefault("cmdclass", {})["build_ext"] = BuildCore
        # A non-empty list makes setuptools treat the wheel as platform-specific; BuildCore fills it.
        attrs.setdefault("ext_modules", [Extension("node.core", [])])
        return original(**attrs)

    setuptools.setup = setup
    try:
        return hook(*args)
    finally:
        setuptools.setup = original


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _with_core(build_meta.build_wheel, wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _with_core(build_meta.build_editable, wheel_directory, config_settings, metadata_directory)


if __name__ == "__main__":
    # `python deploy/build_backend.py [FOLDER ...]`: rebuild the core in place while developing.
    FOLDERS[:] = sys.argv[1:] or FOLDERS
    sys.argv = ["build_backend", "build_ext", "--inplace"]
    _with_core(lambda: __import__("setuptools").setup())
