"""deploy/OPERATIONS.md, as it stands: every block of it, one after the other in one shell.

Only the ports are others, leased for this run.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.ports import lease_consecutive, lease_port, lease_ports, release_port
from tests.harness.servers import ROOT, oracle_binary, source_environment

GUIDE = ROOT / "deploy" / "OPERATIONS.md"
WORKERS = 6
TIMEOUT = 240

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """The guide's port → ours. The workers of `shoal up`, and their endpoints for metrics, are neighbours."""
    first, metrics = lease_consecutive(WORKERS), lease_consecutive(WORKERS)
    proxy, joining = lease_port(), lease_port()
    (elsewhere,) = lease_ports(1)
    chosen = {str(7001 + n): first + n for n in range(WORKERS)}
    chosen |= {"6379": proxy, "7011": joining, "7021": elsewhere, "9101": metrics}
    yield chosen
    for port in {*chosen.values(), *range(metrics, metrics + WORKERS)}:
        release_port(port)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with `shoal` and `valkey-server`, as an operator has them in the PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    shoal = directory / "shoal"
    shoal.write_text(f'#!/bin/sh\nexec {sys.executable} -m cluster.cli.main "$@"\n')
    shoal.chmod(0o755)
    (directory / "valkey-server").symlink_to(oracle_binary("valkey"))
    return directory


def test_every_block_runs(tmp_path: Path, programs: Path, ports: dict[str, int]) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    script = re.sub(r"\b\d{4}\b", lambda port: str(ports.get(port[0], port[0])), "\n".join(blocks))
    environment = {
        **source_environment(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
    }
    # What a failing block leaves behind ends with the shell, and what outlives that with its session.
    prologue = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    with subprocess.Popen(
        ["bash", "-x", "-c", prologue + script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            told, _ = shell.communicate(timeout=TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, told[-6000:]
