"""All replicas of this worker: their handshakes, what they get, and what they have acknowledged.

Without sockets: a replica is a `Peer` with a link to send to. Snapshots are made by the role's owner
(roles.py), who says when one begins and ends; time comes with every call, as Unix ms.

A replica that was here before, and whose history and offset are still in the backlog, gets what it missed.
Any other gets a snapshot. Snapshots are made for all that wait at once, after `repl-diskless-sync-delay`,
so that several replicas that start together cost one child.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.handlers.arguments import parse_int, parse_int_between
from node.replication.backlog import Backlog
from node.replication.history import History
from node.replication.peers import Link, Parts, Peer
from node.replication.traffic import Traffic
from node.words import UnbalancedQuotes, split_words

GETACK: Final = encode_command([b"REPLCONF", b"GETACK", b"*"])
PING: Final = encode_command([b"PING"])
KEEPALIVE: Final = b"\n"


class Primary:
    """`config`, `log`: the worker's. `history`: shared with the role's owner."""

    def __init__(self, config: Any, log: Any, history: History) -> None:
        self._config = config
        self._log = log
        self._history = history
        self.backlog: Backlog | None = None
        self.peers: dict[int, Peer] = {}
        """By session id: whoever sent REPLCONF, SYNC or PSYNC."""
        self.last_seen_any: int | None = None
        """When the last replica left, None while there is one or never was."""
        self.traffic = Traffic()
        self.full_syncs = 0
        self.partial_ok = 0
        self.partial_refused = 0

    def reset_stats(self) -> None:
        self.full_syncs = self.partial_ok = self.partial_refused = 0
        self.traffic.reset()

    # who is there

    @property
    def unsent(self) -> int:
        """Bytes that wait for replicas, besides the backlog."""
        return sum(peer.unsent for peer in self.peers.values())

    def peer(self, session_id: int, link: Link, ip: str, now: int) -> Peer:
        """The peer of a session, made on first sight."""
        found = self.peers.get(session_id)
        if found is None:
            found = self.peers[session_id] = Peer(link, ip, now, self.traffic)
        return found

    def replicas(self) -> list[Peer]:
        """Those that have asked to synchronize, and were not cut off since."""
        return [peer for peer in self.peers.values() if peer.state not in ("handshake", "gone")]

    def online(self) -> list[Peer]:
        return [peer for peer in self.peers.values() if peer.state == "online"]

    def waiting(self) -> list[Peer]:
        return [peer for peer in self.peers.values() if peer.state == "waiting"]

    def remove(self, session_id: int, now: int) -> Peer | None:
        """The session is gone; returns its peer if it was a replica."""
        peer = self.peers.pop(session_id, None)
        if peer is None or peer.state == "handshake":
            return None
        peer.state = "gone"
        if not self.replicas():
            self.last_seen_any = now
        return peer

    def disconnect_all(self) -> None:
        """Cut every replica off, to make it synchronize anew: the history it follows has changed."""
        for peer in self.replicas():
            peer.link.abort()

    # what replicas say

    def configure(self, peer: Peer, option: str, value: bytes) -> bool:
        """One option of REPLCONF. False if it is not known; raises ReplyError for a bad value."""
        match option:
            case "listening-port":
                peer.port = parse_int(value)
            case "ip-address":
                peer.ip = value.decode("latin-1")
            case "capa":
                peer.capabilities.add(value.decode("latin-1").lower())
            case "rdb-only":
                peer.rdb_only = bool(parse_int_between(value, 0, 1))
            case "version":
                peer.version = _version(value)
            case "set-cluster-node-id":
                peer.node_id = value.decode("latin-1")
            case "rdb-filter-only":
                peer.parts = _parts(value)
            case _:
                return False
        return True

    def synchronize(self, peer: Peer, wanted_id: str, wanted_offset: int, now: int) -> bool:
        """PSYNC. True if the peer goes on where it was; otherwise it waits for a snapshot.

        `wanted_id` is "?" for one that has nothing.
        """
        self.last_seen_any = None
        self._log.notice(f"Replica {peer.name} asks for synchronization")
        if self._continue(peer, wanted_id, wanted_offset, now):
            self.partial_ok += 1
            return True
        if wanted_id != "?":
            self.partial_refused += 1
        self.full_syncs += 1
        peer.state = "waiting"
        peer.waiting_since = now
        return False

    def _continue(self, peer: Peer, wanted_id: str, offset: int, now: int) -> bool:
        if wanted_id == "?":
            self._log.notice(f"Full resync requested by replica {peer.name}")
            return False
        if not self._history.includes(wanted_id, offset):
            self._log.notice(
                f"Partial resynchronization not accepted: Replication ID mismatch (Replica asked for "
                f"'{wanted_id}', my replication IDs are '{self._history.id}' and '{self._history.second_id}')"
            )
            return False
        backlog = self.backlog
        if backlog is None or not backlog.covers(offset):
            self._log.notice(
                f"Unable to partial resync with replica {peer.name} for lack of backlog "
                f"(Replica request was: {offset})."
            )
            return False
        missed = backlog.since(offset)
        greeting = f"+CONTINUE {self._history.id}\r\n" if "psync2" in peer.capabilities else "+CONTINUE\r\n"
        peer.send(greeting.encode())
        peer.go_online(now)
        peer.send(missed)
        self._log.notice(
            f"Partial resynchronization request from {peer.name} accepted. Sending {len(missed)} bytes of "
            f"backlog starting from offset {offset}."
        )
        return True

    def snapshot_begins(self, peers: Iterable[Peer], offset: int) -> None:
        """The data as of `offset` is what these peers will get; what comes after is queued for them."""
        for peer in peers:
            peer.state = "receiving"
            if not peer.old_style:
                peer.send(f"+FULLRESYNC {self._history.id} {offset}\r\n".encode())

    def snapshot_ended(self, peer: Peer, problem: str, now: int) -> None:
        """All of a snapshot was sent to `peer`, or it will not be."""
        if peer.state != "receiving":
            return
        if problem:
            self._log.warning(f"SYNC failed for replica {peer.name}: {problem}")
            peer.link.abort()
        elif peer.rdb_only:
            self._log.notice(f"RDB transfer completed, rdb only replica ({peer.name}) is disconnected")
            peer.link.close()
        elif peer.wants_mark:
            peer.state = "parked"
            peer.ack_at = now
            self._log.notice(f"Streamed replica {peer.name} with the RDB; waiting for its acknowledgement")
        else:
            peer.go_online(now)
            self._log.notice(f"Synchronization with replica {peer.name} succeeded")

    def acknowledge(self, session_id: int, offset: int, synced: int, now: int) -> None:
        """REPLCONF ACK. Ignored from whoever is no replica."""
        peer = self.peers.get(session_id)
        if peer is None or peer.state == "handshake":
            return
        parked = peer.state == "parked"
        peer.acknowledge(offset, synced, now)
        if parked:
            self._log.notice(f"Synchronization with replica {peer.name} succeeded")

    # what replicas get

    def pass_on(self, chunk: bytes) -> None:
        """The next bytes of the stream: into the backlog, and to everyone."""
        if self.backlog is not None:
            self.backlog.feed(chunk)
        hard = self._config.client_output_buffer_limit["slave"].hard
        for peer in self.peers.values():
            peer.pass_on(chunk)
            if hard and peer.unsent > hard:
                self._cut_off(peer)

    def tick(self, now: int) -> None:
        """Once a second: keep those alive that wait, cut off those that are gone or too slow."""
        limits = self._config.client_output_buffer_limit["slave"]
        timeout = self._config.repl_timeout * 1000
        for peer in self.replicas():
            if peer.state == "waiting" or (peer.state == "receiving" and not peer.snapshot_started):
                peer.send(KEEPALIVE)
            elif peer.overflows(limits, now):
                self._cut_off(peer)
            elif peer.state in ("parked", "online") and not peer.old_style and now - peer.ack_at > timeout:
                self._log.warning(f"Disconnecting timedout replica (streaming sync): {peer.name}")
                peer.link.abort()

    def _cut_off(self, peer: Peer) -> None:
        if peer.state == "gone":
            return
        self._log.warning(f"Client {peer.name} closed for overcoming of output buffer limits.")
        peer.drop()

    # how far they are

    def understand(self, version: tuple[int, ...]) -> bool:
        """Whether every replica takes all that this Valkey puts into its stream. They share one stream."""
        return all(peer.version >= version for peer in self.replicas() if not peer.rdb_only)

    def acknowledged_by(self, offset: int) -> int:
        """How many replicas have everything up to `offset`."""
        return sum(peer.ack_offset >= offset for peer in self.online())

    def synced_by(self, offset: int) -> int:
        """How many replicas have everything up to `offset` on their disks."""
        return sum(peer.synced_offset >= offset for peer in self.online())

    def good_replicas(self, now: int) -> int:
        """How many are online and were heard of within min-replicas-max-lag."""
        most = self._config.min_replicas_max_lag
        return sum(peer.lag(now) <= most for peer in self.online())


def _parts(value: bytes) -> Parts:
    """What `rdb-filter-only` leaves of a snapshot: nothing but what it names. Raises ReplyError."""
    try:
        words = split_words(value)
    except UnbalancedQuotes:
        raise ReplyError("ERR Missing rdb-filter-only values") from None
    for word in words:
        if word.lower() != b"functions":
            raise ReplyError(f"ERR Unsupported rdb-filter-only option: {word.decode('latin-1')}")
    return Parts(data=False, functions=bool(words))


def _version(value: bytes) -> tuple[int, ...]:
    """`9.0.1` as numbers. Raises ReplyError."""
    words = value.split(b".")
    if len(words) != 3 or not all(word.isdigit() and len(word) < 4 for word in words):
        raise ReplyError("ERR Unrecognized version format: " + value.decode("latin-1")[:64])
    return tuple(map(int, words))
