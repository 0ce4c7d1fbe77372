"""When snapshots for waiting replicas are made, and for whom together.

A replica that needs one waits for `repl-diskless-sync-delay` seconds, in which others may join it, or until
`repl-diskless-sync-max-replicas` wait, and for the worker's one child to be free. Those who read different
dialects of RDB, or want parts of one only, get snapshots of their own, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from node.persistence.child import ChildBusy
from node.replication.full_sync import FullSync
from node.replication.peers import Peer
from node.replication.primary import Primary

Begin = Callable[[], tuple[int, dict[str, str | int]]]
"""Called right before the fork: the stream's offset, and the aux fields that tell it."""


class SyncPlanner:
    """`changed()` is called when a snapshot has ended for a peer."""

    def __init__(self, worker: Any, primary: Primary, begin: Begin, changed: Callable[[], None]) -> None:
        self._worker = worker
        self._primary = primary
        self._begin_at = begin
        self._changed = changed
        self._sync: FullSync | None = None
        self._due: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Make a snapshot for those who wait, soon."""
        if self._due is not None:
            return
        config = self._worker.config
        most = config.repl_diskless_sync_max_replicas
        enough = most and len(self._primary.waiting()) >= most
        delay = 0 if enough or not config.repl_diskless_sync else config.repl_diskless_sync_delay
        self._due = asyncio.get_running_loop().call_later(delay, self._begin)

    def remove(self, peer: Peer) -> None:
        """`peer` is gone."""
        if self._sync is not None:
            self._sync.remove(peer)

    def stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
        if self._sync is not None:
            self._worker.snapshots.children.kill()

    def _begin(self) -> None:
        self._due = None
        children = self._worker.snapshots.children
        everybody = self._primary.waiting()
        waiting = [peer for peer in everybody if peer.kind == everybody[0].kind]
        if not waiting:
            return
        if children.current is not None:
            children.when_free(self.plan)
            return
        diskless = self._worker.config.repl_diskless_sync
        offset, aux = self._begin_at()
        self._primary.snapshot_begins(waiting, offset)
        sync = FullSync(self._worker.snapshots, waiting, aux, self._ended, diskless=diskless)
        try:
            sync.start()
        except (ChildBusy, OSError) as error:
            for peer in waiting:
                self._ended(peer, str(error))
            return
        self._sync = sync
        self._worker.log.notice(f"Background RDB transfer started by pid {sync.pid}")
        if len(waiting) < len(everybody):
            self.plan()

    def _ended(self, peer: Peer, problem: str) -> None:
        self._primary.snapshot_ended(peer, problem, self._worker.engine.tick())
        if not any(each.state == "receiving" for each in self._primary.replicas()):
            self._sync = None
        self._changed()
