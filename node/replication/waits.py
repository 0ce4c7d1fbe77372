"""WAIT: clients that wait until enough replicas have what was written.

A waiting session is suspended and gets its reply (how many replicas have it) when there are enough, when its
time is up, or when this worker stops being a primary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Waiter:
    session: Any
    wanted: int
    """How many replicas."""
    offset: int
    """Of the last byte that they must have."""
    timer: asyncio.TimerHandle | None


class Waits:
    """`acknowledged_by(offset)` counts the replicas that have everything up to there."""

    def __init__(self, acknowledged_by: Callable[[int], int]) -> None:
        self._acknowledged_by = acknowledged_by
        self._waiters: dict[int, _Waiter] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, session: Any, wanted: int, offset: int, milliseconds: int) -> None:
        """Suspend `session`; 0 ms waits for ever."""
        timer = None
        if milliseconds:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(milliseconds / 1000, self._resume, session.id)
        session.suspend()
        self._waiters[session.id] = _Waiter(session, wanted, offset, timer)

    def check(self) -> None:
        """A replica acknowledged something: resume whom that satisfies."""
        for waiter in list(self._waiters.values()):
            if self._acknowledged_by(waiter.offset) >= waiter.wanted:
                self._resume(waiter.session.id)

    def resume_all(self) -> None:
        for session_id in list(self._waiters):
            self._resume(session_id)

    def unblock(self, session: Any, error: Exception | None = None) -> bool:
        """CLIENT UNBLOCK: as if its time were up, or with an error. False if it does not wait."""
        if session.id not in self._waiters:
            return False
        if error is None:
            self._resume(session.id)
        else:
            self.discard(session.id)
            session.resume(error)
        return True

    def discard(self, session_id: int) -> None:
        """The session is gone."""
        waiter = self._waiters.pop(session_id, None)
        if waiter is not None and waiter.timer is not None:
            waiter.timer.cancel()

    def _resume(self, session_id: int) -> None:
        waiter = self._waiters[session_id]
        self.discard(session_id)
        waiter.session.resume(self._acknowledged_by(waiter.offset))
