"""WAIT and WAITAOF: clients that wait until what was written is in enough places.

A waiting session is suspended and gets its reply (in how many places it is) when these are enough, when its
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
    enough: Callable[[], bool]
    reply: Callable[[], Any]
    timer: asyncio.TimerHandle | None


class Waits:
    def __init__(self) -> None:
        self._waiters: dict[int, _Waiter] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def add(
        self, session: Any, enough: Callable[[], bool], reply: Callable[[], Any], milliseconds: int
    ) -> None:
        """Suspend `session` until there is `enough` or its time is up, then `reply`. 0 ms: for ever."""
        timer = None
        if milliseconds:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(milliseconds / 1000, self._resume, session.id)
        session.suspend()
        self._waiters[session.id] = _Waiter(session, enough, reply, timer)

    def check(self) -> None:
        """A replica acknowledged something, or something has reached the disk: resume whom that satisfies."""
        for waiter in list(self._waiters.values()):
            if waiter.enough():
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
        waiter.session.resume(waiter.reply())
