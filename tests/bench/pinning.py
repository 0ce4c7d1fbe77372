"""Which CPU is for what: the servers that are measured have the first one, all else has the others.

Else the kernel would move them about, which costs either side more in one run than in the next. The bench
pins itself first; redis-benchmark, replicas and threads begun after that inherit it. With one CPU there is
nothing to choose.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def available() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def pin_load() -> list[int]:
    """Keep this thread, and whatever it starts, off the first CPU. Returns the CPUs there were."""
    cpus = available()
    os.sched_setaffinity(0, cpus[1:] or cpus)
    return cpus


def pin_process(pid: int, cpus: Iterable[int]) -> None:
    """All its threads, and those to come."""
    wanted = set(cpus)
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), wanted)
