"""Cython sources of the tests, compiled when they are first needed: no step of a build knows of them.

The extension module is kept in the system's temporary directory under a name made of its source and of the
Python it is for, so that only a change compiles it anew, and test processes side by side share it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

from tests.harness.servers import ROOT


def compiled(source: Path, *depends: Path, optimize: str = "-O1") -> ModuleType:
    """The module made of `source`, a .pyx; `depends` are files whose changes concern it, too."""
    name, suffix = source.stem, sysconfig.get_config_var("EXT_SUFFIX")
    content = b"".join(path.read_bytes() for path in (source, *depends)) + optimize.encode()
    key = hashlib.sha256(content).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"shoal-compiled-{os.getuid()}" / f"{name}-{key}"
    library = folder / f"{name}{suffix}"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(source, library, optimize)
    spec = importlib.util.spec_from_file_location(name, library)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _build(source: Path, library: Path, optimize: str) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        in_c, made = Path(work) / f"{source.stem}.c", Path(work) / library.name
        command = [sys.executable, "-m", "cython", "-3", "-I", str(ROOT), str(source), "-o", str(in_c)]
        subprocess.run(command, check=True, timeout=100)
        include = sysconfig.get_path("include")
        command = ["cc", "-shared", "-fPIC", optimize, "-w", f"-I{include}", str(in_c), "-o", str(made)]
        subprocess.run(command, check=True, timeout=100)
        # Whoever is second replaces it by the same.
        made.rename(library)
