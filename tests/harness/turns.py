"""Who runs beside whom: most tests with others, those that keep a promise about time alone.

A run has more test processes than there are CPUs, because tests mostly wait. What is promised in seconds of
the clock, such as how long a failover is felt, is promised by a machine with time to spare: a test of that is
marked `alone`, and while it runs no other test of this checkout does.

    with turn(alone=False): ...

Who finds nothing compiled yet compiles it, and so would each of a run's processes, as they begin at once: so
one goes ahead.

    with one_first(): ...

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
ANTEROOM = ROOM.with_name("__init__.py")


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


class Turns:
    """Those of one process. Neighbours that are alone share one: the others, for whose end it waits, have to
    stop for it only once."""

    def __init__(self, room: Path = ROOM) -> None:
        self._room = room
        self._taken = contextlib.ExitStack()
        self._goes_on = False

    @contextlib.contextmanager
    def take(self, alone: bool, next_alone: bool) -> Iterator[None]:
        """`next_alone`: what the next will ask for."""
        if not self._goes_on:
            self._taken.enter_context(turn(alone, self._room))
        try:
            yield
        finally:
            self._goes_on = alone and next_alone
            if not self._goes_on:
                self._taken.close()


@contextlib.contextmanager
def one_first(room: Path = ANTEROOM) -> Iterator[None]:
    """Who comes first is inside alone; those who come meanwhile wait for it, and then are inside together."""
    with _locked(room, fcntl.LOCK_EX, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def _locked(path: Path, kind: int, kind_if_taken: int = 0) -> Iterator[int]:
    """Waits for the lock; or, if there is `kind_if_taken`, for a lock of that kind instead."""
    opened = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, kind | (fcntl.LOCK_NB if kind_if_taken else 0))
        except BlockingIOError:
            fcntl.flock(opened, kind_if_taken)
        yield opened
    finally:
        fcntl.flock(opened, fcntl.LOCK_UN)  # a forked child may still have it open
        os.close(opened)
