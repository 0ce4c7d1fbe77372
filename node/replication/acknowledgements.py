"""Asking the replicas how far they are: REPLCONF GETACK in the stream, for whoever waits to know.

One question serves all who wait, so it is put at the end of a turn of the event loop, behind all that was
written in it. Where writes are about to pause it must be put before: during a pause nothing may move the
offset that a manual failover waits for.
"""

from __future__ import annotations

import asyncio
from typing import Any

from node.replication.primary import GETACK, Primary


class Acknowledgements:
    def __init__(self, worker: Any, primary: Primary) -> None:
        self._worker = worker
        self._primary = primary
        self._due = False
        self.is_asking = False
        """What the stream grows by is the question itself."""

    def ask_soon(self) -> None:
        """At the end of this turn."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.ask_if_due)

    def ask_if_due(self) -> None:
        """Now, if somebody wants it to be asked at the end of this turn."""
        if self._due:
            self.ask_now()

    def ask_now(self) -> None:
        trail = self._worker.trail
        trail.flush()
        self._due = False
        if self._worker.pause.is_total or not self._primary.online():
            return
        self.is_asking = True
        try:
            trail.feed(GETACK, False)
            trail.flush()
        finally:
            self.is_asking = False
