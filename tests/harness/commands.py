"""Programs of the field that tests run: redis-cli and whatever else is on the PATH."""

from __future__ import annotations

import shutil
import subprocess


class CommandFailed(AssertionError):
    """A program ended with a code other than 0. The message carries what it printed."""


def run_program(*argv: str, input: str = "", timeout: float = 60.0, check: bool = True) -> str:
    """Run to the end and return stdout and stderr, interleaved as printed."""
    done = subprocess.run(
        argv, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
    )
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)} ended with code {done.returncode}:\n{done.stdout}")
    return done.stdout


def redis_cli(*args: str | int, input: str = "", timeout: float = 60.0, check: bool = True) -> str:
    """`redis_cli("-p", port, "cluster", "info")`: what redis-cli prints."""
    program = shutil.which("redis-cli") or shutil.which("valkey-cli")
    assert program, "redis-cli is missing: install redis-tools"
    return run_program(program, *map(str, args), input=input, timeout=timeout, check=check)
