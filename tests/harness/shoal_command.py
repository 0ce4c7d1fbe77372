"""The command line `shoal` from this source tree, run as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.servers import source_environment

COMMAND = [sys.executable, "-m", "cluster.cli.main"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error_line(self) -> str:
        """stderr, which must be exactly one line."""
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


def shoal(*args: str | int | Path, code: int | None = 0, timeout: float = 60.0, input: str = "") -> Outcome:
    """Run `shoal ARGS...` to its end; fails unless it ends with `code` (None: any)."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        input=input,
        env=source_environment(),
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert code is None or outcome.code == code, f"shoal {args} ended with {outcome}"
    return outcome
