"""Who runs beside whom: most tests with others, those that keep a promise about time alone.

A run has more test processes than there are CPUs, because tests mostly wait. What is promised in seconds of
the clock, such as how long a failover is felt, is promised by a machine with time to spare: a test of that is
marked `alone`, and while it runs no other test of this checkout does.

    with turn(alone=False): ...

Two locks of the kernel's make that fair, and go with a process that dies. Everybody passes the gate, one by
one, into the room, which many share; who wants the room to itself keeps the gate shut meanwhile, so that
nobody else enters while it waits for the others to leave.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

ROOM = Path(__file__)
"""A lock leaves no trace in what is locked, so any file will do."""


@contextlib.contextmanager
def turn(alone: bool, room: Path = ROOM) -> Iterator[None]:
    """Inside are either any number of others, or one that is `alone`. Waits as long as it takes.

    The room is a file, and its gate the directory where it is.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with _locked(room.parent, fcntl.LOCK_EX) as gate, _locked(room, kind):
        if not alone:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(opened, kind)
        yield opened
    finally:
        fcntl.flock(opened, fcntl.LOCK_UN)  # a forked child may still have it open
        os.close(opened)
