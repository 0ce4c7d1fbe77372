"""A replica of ours, as its primary sees it.

    state        means                                                     the stream
    waiting      it needs a snapshot, and none is being made for it        is not for it yet
    receiving    a snapshot is on its way                                  is queued
    parked       all of the snapshot was sent; its first ACK is awaited    is queued
    online       it follows                                                is sent at once
    gone         it was cut off, or left                                   is not for it any more

A snapshot that ends with a mark must be followed by silence until the replica has acknowledged, or it could
not tell where it ends; hence "parked". What is queued is bounded by the output limit for replicas, like
what its socket does not take: a replica that cannot keep up is cut off, and will try again.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple, Protocol

from node.persistence.rdb.dialects import REDIS_7_0, REDIS_7_2, VALKEY_9, Dialect
from node.replication.traffic import Traffic

QUEUEING: Final = ("receiving", "parked")
NO_VERSION: Final[tuple[int, ...]] = (0,)
VALKEY_WITH_FIELD_EXPIRY: Final = (9, 0, 0)


class Link(Protocol):
    """What is needed of the replica's connection."""

    def send(self, data: bytes) -> None: ...
    def deliver_soon(self, frame: bytes) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...

    @property
    def pending_output(self) -> int: ...


class Parts(NamedTuple):
    """What of a snapshot one wants."""

    data: bool = True
    functions: bool = True


class Peer:
    """`now` is Unix ms throughout."""

    def __init__(self, link: Link, ip: str, now: int, traffic: Traffic) -> None:
        self.link = link
        self._traffic = traffic
        self.ip = ip
        self.port = 0
        """Where it listens, as it told us; 0 if it did not."""
        self.capabilities: set[str] = set()
        self.version = NO_VERSION
        """The Valkey whose stream it understands, as it told us; Redis does not tell."""
        self.node_id = ""
        """How the cluster calls it, if it told us."""
        self.rdb_only = False
        """It wants the snapshot alone (redis-cli --rdb), and never the stream."""
        self.parts = Parts()
        self.state = "handshake"
        self.old_style = False
        """It sent SYNC, and expects neither FULLRESYNC nor to acknowledge."""
        self.snapshot_started = False
        """The first byte of the snapshot was sent: nothing else may come in between any more."""
        self.waiting_since = now
        self.ack_offset = 0
        self.synced_offset = 0
        """Up to where it says to have the stream on its disk."""
        self.ack_at = now
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._over_soft_since: int | None = None

    @property
    def name(self) -> str:
        """As logs call it."""
        return f"{self.ip}:{self.port or '<unknown-replica-port>'}"

    @property
    def dialect(self) -> Dialect:
        """What it can read, as far as it told us: Valkey says its version, and so do we; Redis 8 gives
        itself away by a capability. Before, nobody said anything, so it may be 7.0. A snapshot alone is for
        a file."""
        if self.version >= VALKEY_WITH_FIELD_EXPIRY:
            return VALKEY_9
        tells = "rdb-channel-repl" in self.capabilities or self.version > NO_VERSION
        return REDIS_7_2 if tells or self.rdb_only or self.old_style else REDIS_7_0

    @property
    def kind(self) -> tuple[Dialect, Parts]:
        """Who are of one kind can share a snapshot."""
        return self.dialect, self.parts

    @property
    def wants_mark(self) -> bool:
        """It can receive a snapshot whose size is not known beforehand."""
        return "eof" in self.capabilities

    @property
    def unsent(self) -> int:
        """Bytes that wait for it here."""
        return self._queued + self.link.pending_output

    def send(self, data: bytes) -> None:
        """To be used for all that goes to it, so that it is counted."""
        self._traffic.sent += len(data)
        self.link.send(data)

    def pass_on(self, chunk: bytes) -> None:
        """The next bytes of the stream. What many clients write in one turn leaves together."""
        if self.state == "online":
            self._traffic.sent += len(chunk)
            self.link.deliver_soon(chunk)
        elif self.state in QUEUEING and not self.rdb_only:
            self._queue.append(chunk)
            self._queued += len(chunk)

    def go_online(self, now: int) -> None:
        """Send what was queued; from here on it follows."""
        self.state = "online"
        self.ack_at = now
        while self._queue:
            self.send(self._queue.popleft())
        self._queued = 0

    def acknowledge(self, offset: int, synced: int, now: int) -> None:
        self.ack_offset = max(self.ack_offset, offset)
        self.synced_offset = max(self.synced_offset, synced)
        self.ack_at = now
        if self.state == "parked":
            self.go_online(now)

    def overflows(self, limits: Any, now: int) -> bool:
        """Whether it is too far behind, by `limits` (an OutputLimit: bytes and seconds)."""
        unsent = self.unsent
        if limits.hard and unsent > limits.hard:
            return True
        if not limits.soft or unsent <= limits.soft:
            self._over_soft_since = None
            return False
        if self._over_soft_since is None:
            self._over_soft_since = now
        return now - self._over_soft_since > limits.seconds * 1000

    def drop(self) -> None:
        """Cut it off, and forget what waits for it."""
        self.state = "gone"
        self._queue.clear()
        self._queued = 0
        self.link.abort()

    def lag(self, now: int) -> int:
        """Seconds since it was last heard of."""
        return (now - self.ack_at) // 1000
