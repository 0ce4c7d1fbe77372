"""Installing: what a newcomer without a compiler is told."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.harness.servers import ROOT


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
