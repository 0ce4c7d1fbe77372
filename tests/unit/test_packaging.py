"""Installing: what a newcomer without a compiler is told, and what the distributions hold."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

from node.version import SHOAL_VERSION
from tests.harness.servers import ROOT

PACKAGES = ("node", "cluster", "proxy")


def test_a_missing_compiler_is_one_clear_line() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/build_backend.py"],
        cwd=ROOT,
        env=os.environ | {"CC": "no-such-compiler"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    [line] = done.stderr.strip().splitlines()
    assert "no C compiler (no-such-compiler) was found" in line
    assert "apt install gcc" in line


def test_the_version_is_told_alike() -> None:
    chart = (ROOT / "deploy" / "helm" / "shoal" / "Chart.yaml").read_text()
    assert re.findall(r'(?m)^(?:appVersion|version): "?([^"\n]*)', chart) == [SHOAL_VERSION] * 2
    assert re.search(r"(?m)^## (\S+)", (ROOT / "CHANGELOG.md").read_text())[1] == SHOAL_VERSION  # type: ignore[index]
    assert pyproject()["project"]["dynamic"] == ["version"]


def test_distributions_have_all_that_is_needed_and_nothing_else(tmp_path: Path) -> None:
    """The source distribution, and, but for what is compiled, a wheel."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {path for path in listed.stdout.split("\0") if path.split("/")[0] in PACKAGES}
    source = packages | {
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
        *("pyproject.toml", "MANIFEST.in", "deploy/build_backend.py", "deploy/portable/malloc.h"),
    }
    for path in source | {"docker-compose.yml", "deploy/reference.py"}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
    for junk in ("node/core/lua.c", "node/core/lua.cpython-311-x86_64-linux-gnu.so", "node/dump.pyc"):
        (tmp_path / junk).touch()

    run_in(
        tmp_path, "import sys; sys.path.insert(0, 'deploy'); import build_backend as b; b.build_sdist('.')"
    )
    with tarfile.open(tmp_path / f"shoal-{SHOAL_VERSION}.tar.gz") as archive:
        names = {each.name.partition("/")[2] for each in archive if each.isfile()}
    made = {name for name in names if not name.startswith("shoal.egg-info/")}
    assert made == source | {"PKG-INFO", "setup.cfg"}

    run_in(
        tmp_path, "from setuptools import setup; setup(script_args=['-q', 'build_py', '--build-lib', 'lib'])"
    )
    library = tmp_path / "lib"
    wheel = {path.relative_to(library).as_posix() for path in library.rglob("*") if path.is_file()}
    assert wheel == {path for path in packages if not path.endswith((".pyx", ".pxd", ".md"))}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run_in(directory: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
