"""A share of one CPU for some processes, so that they and nobody else are what limits a run.

Set by a control group of the kernel's: its bandwidth controller, of version 1 (`cpu.cfs_quota_us`) or 2
(`cpu.max`; see the kernel's documentation of sched-bwc and cgroup-v2). It takes root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD = 10_000
"""Microseconds for which a share is given; who has used it up waits for the next."""


@contextmanager
def cpu_share(pids: Sequence[int], share: float) -> Iterator[None]:
    """Each of them may run for `share` of the time. Raises OSError where that cannot be had."""
    quota = str(int(PERIOD * share))
    old = (ROOT / "cpu").is_dir()
    groups = [(ROOT / "cpu" if old else ROOT) / f"bench-{os.getpid()}-{pid}" for pid in pids]
    try:
        for group, pid in zip(groups, pids, strict=True):
            group.mkdir()
            if old:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD))
                (group / "cpu.cfs_quota_us").write_text(quota)
            else:
                (group / "cpu.max").write_text(f"{quota} {PERIOD}")
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for group, pid in zip(groups, pids, strict=True):
            if group.is_dir():
                (group.parent / "cgroup.procs").write_text(str(pid))
                group.rmdir()
