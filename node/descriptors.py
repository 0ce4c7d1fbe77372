"""How many files a process may have open, which bounds its clients: each is one."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config import Config
    from node.log import Log

SPARE = 32
"""Besides clients: listening sockets, the log, the bus, the append-only file"""


def raise_limit(wanted: int) -> int:
    """Let the process open so many files, or as many as the system allows; returns how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return reachable


def fit_clients(config: Config, log: Log) -> None:
    """Open files for `maxclients`, or lower it, with Redis' words, to what is possible; now and when it
    changes."""

    def fit(wanted: int) -> None:
        possible = max(1, raise_limit(wanted + SPARE) - SPARE)
        if possible < wanted:
            log.warning(
                f"Current maximum open files is {possible + SPARE}. maxclients has been reduced to {possible}"
                " to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
            )
            config.set({"maxclients": str(possible)})

    fit(config.maxclients)
    config.on_change("maxclients", fit)
