"""The command line `shoal` from this source tree: as an operator runs it, or within the tests' own process.

The latter, `shoal`, is what tests use in general, for it takes a tenth of the time. `shoal_process` is for
what only a process has: a terminal's absence, variables, its end by a signal. `forked_shoal` is a process,
too, for tests that kill many: a server that has imported everything forks it, so it begins at once.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from cluster.cli.main import run_subcommand
from tests.harness.servers import die_with_parent, source_environment

COMMAND = [sys.executable, "-m", "cluster.cli.main"]


_journals = tempfile.TemporaryDirectory(prefix="shoal-journals-")
os.environ["SHOAL_JOURNAL"] = _journals.name
"""The plans of these tests are not to lie among those of whoever runs them."""


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


def shoal(*args: str | int | Path, code: int | None = 0, input: str = "") -> Outcome:
    """`shoal ARGS...`; fails unless it ends with `code` (None: any)."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.StringIO(input)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = run_subcommand([str(arg) for arg in args])
    finally:
        sys.stdin = before
        gc.enable()  # some subcommands run without
    outcome = Outcome(ended, out.getvalue(), err.getvalue())
    assert code is None or outcome.code == code, f"shoal {args} ended with {outcome}"
    return outcome


def shoal_process(
    *args: str | int | Path, code: int | None = 0, timeout: float = 60.0, input: str = ""
) -> Outcome:
    """The same in a process of its own."""
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


def forked_shoal(*args: str | int | Path) -> BaseProcess:
    """Begin `shoal ARGS...` in a process of its own, unheard; its `exitcode` is None until it ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cluster.cli.app", __name__])
    process = context.Process(target=_run_unheard, args=([str(arg) for arg in args],), daemon=True)
    process.start()
    return process


def _run_unheard(args: list[str]) -> None:
    die_with_parent()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.exit(run_subcommand(args))
