"""client-output-buffer-limit: what a client that does not read may make us hold.

Each class of clients (normal, replica, pubsub) has a hard limit, which the connection enforces itself the
moment it is passed, and a soft one, which may be passed for some seconds. The latter is looked after here,
once a second, because that is how exactly it is given. Replicas count their backlog as well and look after
themselves (`node/replication/peers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.session.description import describe_for_log

if TYPE_CHECKING:
    from node.session.session import Session
    from node.worker import Worker

PERIOD = 1000
"""Ms between two looks at the soft limits."""


class OutputLimits:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._next = 0
        self.disconnections = 0
        """Connections closed for what waited in them."""
        self._over_since: dict[Session, int] = {}
        """Sessions beyond their soft limit → Unix ms when that was first seen."""
        worker.cron_jobs.append(self.check)
        worker.config.on_change("client-output-buffer-limit", self._changed)

    def classify(self, session: Session, kind: str) -> None:
        """Make `session` one of the class `kind`, as CLIENT LIST TYPE names it, with that class' limit."""
        session.kind = kind
        limits = self._worker.config.client_output_buffer_limit
        if session.link is not None and kind in limits:
            session.link.output_limit = limits[kind].hard

    def gone(self, session: Session, overflowed: bool) -> None:
        """A connection is closed. `overflowed`: because it passed its hard limit."""
        self._over_since.pop(session, None)
        if overflowed:
            self._say(session)

    def _say(self, session: Session) -> None:
        self.disconnections += 1
        self._worker.log.warning(
            f"Client {describe_for_log(session)} closed for overcoming of output buffer limits."
        )

    def check(self) -> None:
        """Close those who were beyond their soft limit for longer than their class may."""
        now = self._worker.engine.now
        if now < self._next:
            return
        self._next = now + PERIOD
        limits = self._worker.config.client_output_buffer_limit
        for session in self._candidates(limits):
            limit = limits.get(session.kind)
            if limit is None or not limit.soft or session.link.pending_output <= limit.soft:
                self._over_since.pop(session, None)
            elif now - self._over_since.setdefault(session, now) > limit.seconds * 1000:
                self._say(session)
                session.link.abort()

    def _candidates(self, limits: dict[str, Any]) -> list[Session]:
        """Who can have a soft limit: usually nobody but subscribers, which spares a look at all clients."""
        if limits["normal"].soft:
            return list(self._worker.clients.values())
        return list(self._worker.pubsub.subscribers)

    def _changed(self, limits: dict[str, Any]) -> None:
        for session in self._worker.clients.values():
            if session.kind in limits:
                session.link.output_limit = limits[session.kind].hard
