"""The end of a worker, as asked for: SHUTDOWN, SIGTERM, SIGINT.

Before it ends writes wait, until all its replicas have the whole stream or `shutdown-timeout` is over, unless
NOW was asked for; and it saves, if it is to. Two wishes are Valkey's. SAFE: not if it is a primary with
slots, without which the cluster may be down. FAILOVER: such a primary hands its place to a replica before it
goes: one that has everything is told through the stream to take over, by CLUSTER FAILOVER FORCE REPLICAID
<node id>, which the others ignore.
Redis, and Valkey before 9, do not know this order, so there is none while a replica is of these; the primary
ends all the same, and the cluster finds a successor by itself.

A shutdown that waits can be aborted, and one asked for meanwhile takes its place.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node import errors
from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.replication.views import STATES

if TYPE_CHECKING:
    from node.replication.peers import Peer

WORDS: Final = frozenset(("save", "nosave", "now", "force", "safe", "failover"))
TAKES_ORDERS: Final = (9, 0, 0)
"""The first Valkey whose replicas know REPLICAID."""
_PAUSE_REASON: Final = "shutdown"
_GOING: Final = 60_000
"""Ms of pause that are more than a worker needs from its decision to its end."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What SHUTDOWN's words ask for. `save` None: if save points are configured."""

    save: bool | None = None
    now: bool = False
    force: bool = False
    safe: bool = False
    failover: bool = False

    @classmethod
    def of(cls, words: Collection[str]) -> Wish:
        """`words` in lower case, as SHUTDOWN and `shutdown-on-sigterm` have them."""
        save = True if "save" in words else False if "nosave" in words else None
        return cls(save, "now" in words, "force" in words, "safe" in words, "failover" in words)


class Ending:
    """Needs the worker's config, log, engine, cluster, replication, departures, pause, tier, snapshots and
    append_only."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._wish: Wish | None = None
        """What waits for replicas."""
        self._ends_at = 0
        self._sessions: list[Any] = []
        worker.cron_jobs.append(self.check)

    def request(self, wish: Wish, session: Any = None) -> None:
        """End the worker, or begin to wait for it; then `session`, if any, is suspended. Raises ReplyError,
        and goes on, if it is not safe or the dataset must be saved and cannot be, unless forced."""
        worker = self._worker
        if not self._must_wait(wish):
            self._finish(wish)
            return
        worker.departures.finish()
        worker.replication.acknowledgements.ask_now()  # before the pause, in which the stream stands still
        timeout = worker.config.shutdown_timeout * 1000
        if self._wish is None:
            self._ends_at = worker.engine.now + timeout
        self._wish = wish
        worker.pause.begin(_PAUSE_REASON, self._ends_at + _GOING, writes_only=True)
        worker.log.notice("Waiting for replicas before shutting down.")
        if session is not None:
            session.suspend()
            self._sessions.append(session)

    def abort(self) -> bool:
        """SHUTDOWN ABORT. False if nothing waits."""
        if self._wish is None:
            return False
        self._worker.log.notice("Shutdown manually aborted.")
        self._go_on(errors.SHUTDOWN_FAILED)
        return True

    def check(self) -> None:
        """Called when a replica acknowledges, and by the timer."""
        if self._wish is None:
            return
        if self._in_sync() or self._worker.engine.now >= self._ends_at:
            try:
                self._finish(self._wish)
            except ReplyError as error:
                self._go_on(error)
            else:
                self._wish = None

    def _go_on(self, error: ReplyError) -> None:
        """It does not end; whoever waits for it is told."""
        self._wish = None
        self._worker.pause.end(_PAUSE_REASON)
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.resume(error)

    @property
    def ends_at(self) -> int | None:
        """Unix ms until which it waits for replicas at most; None while it does not."""
        return self._ends_at if self._wish is not None else None

    def _must_wait(self, wish: Wish) -> bool:
        refused = wish.safe and self._worker.cluster.is_voting_primary and not wish.force
        waits = not wish.now and not refused and self._worker.config.shutdown_timeout > 0
        return waits and not self._in_sync()

    def _in_sync(self) -> bool:
        return not any(self._lacks(peer) for peer in self._replicas())

    def _replicas(self) -> list[Peer]:
        return [peer for peer in self._worker.replication.primary.replicas() if not peer.rdb_only]

    def _lacks(self, peer: Peer) -> int:
        """Bytes of the stream that it has not acknowledged."""
        return int(self._worker.replication.offset) - peer.ack_offset

    def _tell_who_lags(self) -> None:
        replicas = self._replicas()
        lagging = [peer for peer in replicas if self._lacks(peer)]
        for peer in lagging:
            lag = peer.lag(self._worker.engine.now) if peer.state == "online" else 0
            self._worker.log.warning(
                f"Lagging replica {peer.name} reported offset {self._lacks(peer)} behind master, lag={lag}, "
                f"state={STATES[peer.state]}."
            )
        if replicas:
            count = len(replicas)
            self._worker.log.notice(
                f"{count - len(lagging)} of {count} replicas are in sync when shutting down."
            )

    def _finish(self, wish: Wish) -> None:
        worker, log = self._worker, self._worker.log
        if wish.safe and worker.cluster.is_voting_primary:
            end = "Exit anyway." if wish.force else "Can't exit."
            log.warning(
                f"This is a voting primary. Shutting down may cause the cluster to go down. {end}",
            )
            if not wish.force:
                raise errors.SHUTDOWN_FAILED
        self._tell_who_lags()
        save = bool(worker.config.save) if wish.save is None else wish.save
        if worker.append_only.is_beginning and not wish.force:
            log.warning("Writing initial AOF, can't exit")
            raise errors.SHUTDOWN_FAILED
        if worker.tier is not None and worker.tier.error is not None and not wish.force:
            log.warning("The store of the disk tier is behind and cannot be written, can't exit")
            raise errors.SHUTDOWN_FAILED
        if save and not worker.snapshots.save_before_exit() and not wish.force:
            raise errors.SHUTDOWN_FAILED
        if not worker.stopping.done():
            if wish.failover and worker.cluster.is_voting_primary:
                self._hand_over()
            worker.stopping.set_result(0)

    def _hand_over(self) -> None:
        """Order a replica that has everything to take our place. It counts on us to write nothing more."""
        worker = self._worker
        primary = worker.replication.primary
        if not primary.understand(TAKES_ORDERS):
            worker.log.notice(
                "Unable to perform auto failover on shutdown since there are legacy replicas.",
            )
            return
        best = next((peer for peer in primary.online() if peer.node_id and not self._lacks(peer)), None)
        if best is None:
            worker.log.notice("Unable to find a replica to perform the auto failover on shutdown.")
            return
        worker.log.notice(f"Perform auto failover to replica {best.node_id} on shutdown.")
        worker.pause.begin(_PAUSE_REASON, worker.engine.now + _GOING, writes_only=True)
        order = [b"CLUSTER", b"FAILOVER", b"FORCE", b"REPLICAID", best.node_id.encode("latin-1")]
        worker.trail.feed(encode_command(order), False)
