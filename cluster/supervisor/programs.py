"""How shoal's own processes are called. Light: imported before every `shoal node` and `shoal proxy`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""where the packages node, cluster and proxy lie: site-packages, or the source tree"""


def worker_command(args: Sequence[str]) -> list[str]:
    # -P: a directory called `cluster` or `proxy` where the user stands must not be taken for ours.
    return [sys.executable, "-P", "-m", "cluster.node_process", *args]


def proxy_command(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "proxy", *args]


def founding_command(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "cluster.founding_process", *args]


def source_environment() -> dict[str, str]:
    """The environment in which those commands find these very packages, installed or not."""
    inherited = os.environ.get("PYTHONPATH")
    path = f"{ROOT}{os.pathsep}{inherited}" if inherited else str(ROOT)
    return os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
