"""maxmemory-clients: what all clients together may make us hold.

Where they hold more, those that hold most are cut off until it is little enough again. Normal clients and
subscribers count; replicas and primaries have limits of their own. CLIENT NO-EVICT exempts a client from
being chosen, not from being counted.

What each of them holds is added up `hz` times a second, and only where there is such a limit. Source: the
section "Client eviction" of Redis' documentation on clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from node.session.client_memory import memory_of
from node.session.description import describe_for_log

if TYPE_CHECKING:
    from node.worker import Worker

COUNTED: Final = frozenset(("normal", "pubsub"))


class ClientEviction:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.evicted = 0
        """Clients that were cut off, since the start or CONFIG RESETSTAT."""
        worker.cron_jobs.append(self.check)

    @property
    def limit(self) -> int:
        """Bytes; 0 for none. A share of `maxmemory` where it was given in percent."""
        config = self._worker.config
        limit: int = config.maxmemory_clients
        return limit if limit >= 0 else -limit * config.maxmemory // 100

    def check(self) -> None:
        limit = self.limit
        if not limit:
            return
        sizes = {
            session: memory_of(session).total
            for session in self._worker.clients.values()
            if session.kind in COUNTED
        }
        excess = sum(sizes.values()) - limit
        if excess <= 0:
            return
        for session in sorted(sizes, key=lambda each: sizes[each], reverse=True):
            if session.no_evict or session.link is None:
                continue
            self._worker.log.notice(f"Evicting client: {describe_for_log(session)}")
            session.link.abort()
            self.evicted += 1
            excess -= sizes[session]
            if excess <= 0:
                return
