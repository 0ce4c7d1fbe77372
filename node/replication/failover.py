"""FAILOVER: a primary hands its place to one of its replicas, without losing a write.

    waiting-for-sync        writes of clients wait (`session/pause`) until a replica, or the one named, has
    acknowledged the whole stream; then the primary turns to that replica, failover-in-progress    following
    it, with a PSYNC that asks it to take over. When it continues the stream the waiting writes go on, and are
    refused as on any replica.

A time limit gives up, or with FORCE turns to the replica although it lacks something. One that refuses, or
cannot be reached, leaves this worker the primary it was. Source: Redis' documentation of FAILOVER.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.errors import ReplyError

if TYPE_CHECKING:
    from node.replication.peers import Peer
    from node.replication.roles import Replication

PAUSE_REASON: Final = "failover"
NO_END: Final = 10 * 365 * 86400 * 1000
"""Ms: the pause ends with the failover, not by itself."""

NO_FAILOVER: Final = "no-failover"
WAITING: Final = "waiting-for-sync"
IN_PROGRESS: Final = "failover-in-progress"

Address = tuple[str, int]


class Failover:
    def __init__(self, worker: Any, replication: Replication) -> None:
        self._worker = worker
        self._replication = replication
        self.state = NO_FAILOVER
        """As INFO has it."""
        self._target: Address | None = None
        self._ends_at = 0
        """Unix ms, 0 for no limit."""
        self._forced = False

    @property
    def in_progress(self) -> bool:
        """Whether the primary that we turn to shall be asked to take over."""
        return self.state == IN_PROGRESS

    def begin(self, target: Address | None, timeout: int, *, forced: bool) -> None:
        """Raises ReplyError if there is nobody to take over. `timeout` in ms, 0 for none."""
        if target is not None:
            peer = self._peer_at(target)
            if peer is None:
                raise ReplyError("ERR FAILOVER target HOST and PORT is not a replica.")
            if peer.state != "online":
                raise ReplyError("ERR FAILOVER target replica is not online.")
        now = self._worker.engine.now
        self._target, self._forced = target, forced
        self._ends_at = now + timeout if timeout else 0
        self.state = WAITING
        self._worker.log.notice("FAILOVER requested to " + _shown(target))
        self._replication.acknowledgements.ask_now()
        self._worker.pause.begin(PAUSE_REASON, now + NO_END, writes_only=True)

    def abort(self, reason: str) -> None:
        """Be the primary again, or still."""
        if self.state == NO_FAILOVER:
            return
        self._worker.log.notice(f"Aborting failover: {reason}")
        turned = self.in_progress
        self._end()
        if turned:
            self._replication.promote()

    def accepted(self) -> None:
        """The new primary goes on with us as its replica."""
        if self.in_progress:
            self._worker.config.replicaof = self._replication.primary_address
            self._end()

    def check(self) -> None:
        """Called when a replica acknowledges, and by the timer."""
        if self.state != WAITING:
            return
        peer = self._caught_up()
        if peer is not None:
            self._turn_to((peer.ip, peer.port))
        elif self._ends_at and self._worker.engine.now >= self._ends_at:
            if self._forced and self._target is not None:
                self._turn_to(self._target)
            else:
                self.abort("Replica never caught up before timeout")

    def _caught_up(self) -> Peer | None:
        for peer in self._replication.primary.online():
            wanted = self._target is None or (peer.ip, peer.port) == self._target
            if wanted and peer.ack_offset >= self._replication.offset:
                return peer
        return None

    def _peer_at(self, address: Address) -> Peer | None:
        replicas = self._replication.primary.replicas()
        return next((peer for peer in replicas if (peer.ip, peer.port) == address), None)

    def _turn_to(self, target: Address) -> None:
        self._worker.log.notice("Failover target is " + _shown(target))
        self.state = IN_PROGRESS
        self._replication.follow(*target)

    def _end(self) -> None:
        self.state = NO_FAILOVER
        self._target = None
        self._worker.pause.end(PAUSE_REASON)


def _shown(target: Address | None) -> str:
    return f"{target[0]}:{target[1]}" if target is not None else "any replica"
