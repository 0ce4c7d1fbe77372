"""CLIENT PAUSE: commands wait, their clients notice only the time.

Also used by a manual failover, which must stop writes while its replica catches up, and where slots change
hands: then only writes of their keys wait. Whoever pauses names the reason; the longest and strictest of all
reasons holds. A paused session is suspended with its command and executes it when the pause ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.core.command_rows import GATE_PAUSED_ALL, GATE_PAUSED_WRITES
from node.core.key_slot import key_slot

if TYPE_CHECKING:
    from node.core.engine import Engine
    from node.session.session import Session


class Pause:
    def __init__(self, engine: Engine, changed: Callable[[], None]) -> None:
        """`changed` is called when a pause begins and ends."""
        self._engine = engine
        self._changed = changed
        self._reasons: dict[str, tuple[int, bool]] = {}
        self._held: dict[str, tuple[int, int]] = {}
        """Reason → (until, bitmap of slots) where only writes of some slots wait."""
        self._waiting: list[tuple[Session, list[bytes]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def active(self) -> bool:
        return bool(self._reasons or self._held)

    @property
    def is_total(self) -> bool:
        """Whether it concerns writes of all keys."""
        return bool(self._reasons)

    @property
    def waiting(self) -> int:
        """Sessions that wait for the end of the pause."""
        return len(self._waiting)

    def begin(self, reason: str, until: int, *, writes_only: bool) -> None:
        """Pause until Unix ms `until`, or until `end(reason)`. A pause is never shortened by a new one."""
        before = self._reasons.get(reason)
        if before is not None:
            until = max(until, before[0])
            writes_only = writes_only and before[1]
        self._reasons[reason] = (until, writes_only)
        self._settle()

    def hold_slots(self, reason: str, until: int, slots: int) -> None:
        """Let writes of keys of these slots wait until Unix ms `until`, or until `end(reason)`."""
        self._held[reason] = (until, slots)
        self._settle()

    def holds(self, reason: str) -> bool:
        """Whether a pause for this reason is not over."""
        return reason in self._reasons or reason in self._held

    def concerns(self, name: str, keys: list[bytes]) -> bool:
        """While writes pause: whether a command that writes these keys, or without keys any, has to wait."""
        if self._reasons:
            return True
        if not keys:
            return name != "publish"
        slots = [key_slot(key) for key in keys]
        return any(held >> slot & 1 for _, held in self._held.values() for slot in slots)

    def end(self, reason: str) -> None:
        self._reasons.pop(reason, None)
        self._held.pop(reason, None)
        self._settle()

    def wait(self, session: Session, argv: list[bytes]) -> None:
        """Suspend `session` until it may execute `argv`."""
        session.suspended = True
        self._waiting.append((session, argv))

    def _settle(self) -> None:
        """Set the gates by the reasons left; where none is, let everybody go on."""
        now = self._engine.tick()
        self._reasons = {reason: (until, w) for reason, (until, w) in self._reasons.items() if until > now}
        self._held = {reason: (until, slots) for reason, (until, slots) in self._held.items() if until > now}
        self._engine.gate &= ~(GATE_PAUSED_ALL | GATE_PAUSED_WRITES)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.active:
            writes_only = all(w for _, w in self._reasons.values())
            self._engine.gate |= GATE_PAUSED_WRITES if writes_only else GATE_PAUSED_ALL
            last = max(until for until, _ in (*self._reasons.values(), *self._held.values()))
            self._timer = asyncio.get_running_loop().call_later((last - now) / 1000 + 0.001, self._settle)
        self._changed()
        waiting, self._waiting = self._waiting, []
        for session, argv in waiting:
            session.resume_with(argv)
