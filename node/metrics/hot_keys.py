"""A watch over the keys that cost most: one at a time, off unless somebody asks for it (HOTKEYS).

The engine's side, and how little of it there is while nobody watches, is in node/core/key_traffic. A watch
ends by itself after its time, or when it is told to; what it has found stays until it is reset or another
begins.
"""

from __future__ import annotations

import asyncio
import random
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.cluster_port import SLOT_COUNT
from node.core.key_traffic import KeyTraffic
from node.core.slot_use import watch_traffic

if TYPE_CHECKING:
    from node.worker import Worker

Ranges = list[tuple[int, int]]


@dataclass(frozen=True)
class Wanted:
    """What to watch for."""

    times: bool
    volumes: bool
    count: int = 10
    """How many keys to tell of."""
    seconds: int = 0
    """When to end; 0: when told to."""
    ratio: int = 1
    """One of so many commands is put down to its keys."""
    slots: Ranges | None = None
    """(first, last), ascending; None for all."""


class Watch:
    """One that is going on, or has been. Times are Unix ms."""

    def __init__(self, wanted: Wanted, now: int) -> None:
        self.wanted = wanted
        self.began = now
        self.ended: int | None = None
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self.traffic = KeyTraffic(
            wanted.times, wanted.volumes, wanted.ratio, _marked(wanted.slots), random.getrandbits(63)
        )

    @property
    def is_active(self) -> bool:
        return self.ended is None

    def processor_ms(self) -> tuple[int, int]:
        """What the process has used since the watch began: (user, system)."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        user, system = now.ru_utime - self._usage.ru_utime, now.ru_stime - self._usage.ru_stime
        return int(user * 1000), int(system * 1000)


class HotKeys:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._alarm: asyncio.TimerHandle | None = None
        self.watch: Watch | None = None
        """The present or the last one."""

    @property
    def is_active(self) -> bool:
        return self.watch is not None and self.watch.is_active

    def start(self, wanted: Wanted) -> None:
        """Begin a watch; none must be active."""
        self.watch = Watch(wanted, self._worker.engine.now)
        watch_traffic(self._worker.engine, self.watch.traffic)
        if wanted.seconds:
            self._alarm = asyncio.get_running_loop().call_later(wanted.seconds, self.stop)

    def stop(self) -> None:
        """End the watch that is active."""
        assert self.watch is not None
        watch_traffic(self._worker.engine, None)
        self.watch.ended = self._worker.engine.tick()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def reset(self) -> None:
        """Forget what was found."""
        self.watch = None


def _marked(slots: Ranges | None) -> bytes | None:
    if slots is None:
        return None
    marked = bytearray(SLOT_COUNT)
    for first, last in slots:
        marked[first : last + 1] = b"\1" * (last + 1 - first)
    return bytes(marked)
