"""The socket to our primary: performs what `replica.py` decides, and applies the stream.

Where the snapshot goes is `incoming`'s business. It is loaded in slices; while one that has arrived is loaded
nothing is read from the socket, and an empty line now and then tells the primary that we are still there.

The stream is executed by a session that is obeyed without checks and leaves no trail of its own; its bytes
go into our trail as they came (`core/stream_replay`), so that our offsets are the primary's, and our replicas
follow the same stream.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from node.core.replay import Damaged
from node.core.reply_writer import encode_command
from node.core.steady_clock import steady_ms
from node.core.stream_replay import StreamReplay
from node.core.trail import FOR_REPLICAS
from node.errors import ReplyError
from node.persistence.rdb import RdbError
from node.replication import replica as events
from node.replication.incoming import Incoming, choose
from node.replication.primary_as_client import PrimaryConnection
from node.replication.replica import Event, Introduction, ReplicaProtocol
from node.tls.connecting import connect
from node.tls.problems import reason_of

if TYPE_CHECKING:
    from node.replication.roles import Replication
    from node.session.session import Session

KEEPALIVE_SECONDS: Final = 1.0
KEEPALIVE: Final = b"\n"
SLICE_NANOSECONDS: Final = 5_000_000
"""How long stream commands are executed at a stretch."""
LONGEST_ARGUMENT: Final = 1 << 32
_NO_DATA: Final = frozenset((b"SETSLOT", b"FAILOVER"))


class PrimaryLink(asyncio.Protocol):
    """One attempt at one primary. Tells `replication` (`link_...` methods) what comes of it."""

    def __init__(
        self, replication: Replication, worker: Any, host: str, port: int, introduction: Introduction
    ) -> None:
        self._replication = replication
        self._worker = worker
        self._host = host
        self._port = port
        self._protocol = ReplicaProtocol(introduction)
        self._session = worker.internal_session()
        self._session.kind = "master"
        self._session.db = worker.databases[replication.stream_db]
        self._transport: asyncio.Transport | None = None
        self._connection: PrimaryConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._incoming: Incoming | None = None
        self._stream = StreamReplay(
            self._session, LONGEST_ARGUMENT, self._perform_by_hand, self._tell_failure
        )
        self._wants_acknowledgement = False
        self._closed = False
        self._held = False
        """Nothing is read from the socket: what was read has not been performed yet."""
        self._full_resync: events.FullResync | None = None
        self.last_io = time.monotonic()
        self.snapshot_size: int | None = None
        self.snapshot_received = 0

    # life

    def open(self) -> None:
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def close(self) -> None:
        """End it. Nothing is told to `replication` any more."""
        if self._closed:
            return
        self._closed = True
        self._stream.stop()
        self._replication.stream_db = self._session.db.index
        for task in (self._connecting, self._loading):
            if task is not None:
                task.cancel()
        if self._transport is not None:
            self._transport.abort()
        if self._incoming is not None:
            self._incoming.drop()

    @property
    def state(self) -> str:
        """As ROLE has it: connect, connecting, handshake, sync or connected."""
        match self._protocol.state:
            case "connecting":
                return "connecting"
            case "header" | "snapshot" | "loading":
                return "sync"
            case "stream":
                return "connected"
        return "handshake"

    @property
    def database(self) -> int:
        """The database of the stream's next command."""
        return self._session.db.index  # type: ignore[no-any-return]

    @property
    def client(self) -> Session | None:
        """The primary as a client, once commands come from it."""
        return self._session if self._protocol.state == "stream" else None

    @property
    def reads_nothing(self) -> bool:
        """Silence is our own doing: what was read is not executed yet, or a snapshot is being loaded."""
        return self._held

    def acknowledge(self) -> None:
        """Tell the primary how far we are; while loading, that we are there."""
        if self._transport is None or self._closed:
            return
        if self._protocol.state == "stream":
            words = [b"REPLCONF", b"ACK", b"%d" % self._replication.offset]
            log = self._worker.append_only
            if log.state == "on":
                words += [b"FACK", b"%d" % log.recorder.synced_offset]
            self._write(encode_command(words))
        elif self._protocol.state == "loading":
            self._write(KEEPALIVE)

    async def _connect(self) -> None:
        config, context = self._worker.config, self._worker.tls.to_primaries
        try:
            await asyncio.wait_for(
                connect(lambda: self, self._host, self._port, context, config.bind_source_addr),
                config.repl_timeout,
            )
        except (OSError, TimeoutError) as error:
            self._fail(f"Unable to connect to MASTER: {str(error) or 'timeout'}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._closed:
            self._transport.abort()
            return
        self._worker.log.notice("Non blocking connect for SYNC fired the event.")
        self._session.link = self._connection = PrimaryConnection(self._transport, self._session.engine.now)
        self.last_io = time.monotonic()
        for event in self._protocol.connected():
            self._perform(event)

    def connection_lost(self, exc: Exception | None) -> None:
        why = f" ({reason_of(exc)})" if isinstance(exc, ssl.SSLError) else ""
        self._fail(f"Connection with master lost{why}.")

    def data_received(self, data: bytes) -> None:
        self.last_io = time.monotonic()
        assert self._connection is not None
        self._connection.received(len(data), self._session.engine.now)
        self._replication.primary.traffic.received += len(data)
        if self._closed:
            return
        if self._protocol.state == "stream":
            self._apply(data)
        else:
            self._perform_all(self._protocol.receive(data))

    def _perform_all(self, received: Iterator[Event]) -> None:
        for event in received:
            self._perform(event)
            if self._closed:
                return

    def _write(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.write(data)

    def _hold_reading(self) -> None:
        assert self._transport is not None
        if not self._held:
            self._held = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        assert self._transport is not None
        if self._held and self._protocol.state != "loading":
            self._held = False
            self.last_io = time.monotonic()
            self._transport.resume_reading()

    def _fail(self, reason: str) -> None:
        if not self._closed:
            self.close()
            self._replication.link_lost(reason)

    # what the protocol decided

    def _perform(self, event: Event) -> None:
        match event:
            case events.StreamPart():
                self._apply(event.data)
            case events.SnapshotPart():
                self._store(event.data)
            case events.Send():
                self._write(event.data)
            case events.FullResync():
                self._full_resync = event
                self._worker.log.notice(f"Full resync from master: {event.id}:{event.offset}")
            case events.Continue():
                self._replication.link_continues(event.id)
            case events.SnapshotBegins():
                self._begin_snapshot(event.size)
            case events.SnapshotEnds():
                self._end_snapshot()
            case events.Failed():
                self._fail(event.reason)

    # the stream

    def _apply(self, data: bytes) -> None:
        """Execute what `data` completes, for a moment; then let others have their turn and read nothing.

        A replica that has much to catch up with would otherwise not answer anybody until it has.
        """
        if self._closed:
            return
        engine, stream, replication = self._session.engine, self._stream, self._replication
        assert self._connection is not None
        engine.tick()
        replication.primary_last_seen = steady_ms()
        stream.all_by_hand = bool(self._worker.anteroom.rooms)
        try:
            done = stream.feed(data, SLICE_NANOSECONDS)
        except Damaged as damage:
            self._fail(f"Protocol error from master: {damage}")
            return
        finally:
            self._connection.commands = stream.commands
            engine.tick()
            self._worker.trail.flush()
        if self._wants_acknowledgement:
            self._wants_acknowledgement = False
            self.acknowledge()
        self._go_on(done)

    def _go_on(self, done: bool) -> None:
        """Read on, or, if there is something to execute or the store must keep up, do not."""
        if self._closed:
            return
        tier = self._worker.tier
        if tier is not None and tier.holds_up(lambda: self._apply(b"")):
            self._hold_reading()
        elif done:
            self._read_on()
        else:
            self._hold_reading()
            asyncio.get_running_loop().call_soon(self._apply, b"")

    def _perform_by_hand(self, argv: list[bytes], name: bytes) -> bool:
        """Execute a command of the stream that does not go the usual way. Whether it is for the log."""
        if name == b"REPLCONF":
            if len(argv) > 1 and argv[1].upper() == b"GETACK":
                self._wants_acknowledgement = True  # of this command, too, when its bytes are recorded
            return False
        anteroom = self._worker.anteroom
        reply = anteroom.apply(self._session, argv) if anteroom.rooms else self._session.apply(argv)
        self._stream.all_by_hand = bool(anteroom.rooms)
        if isinstance(reply, ReplyError):
            self._tell_failure(name.decode("latin-1"), reply.text)
        return name not in FOR_REPLICAS and not _is_about_the_cluster(argv)

    def _tell_failure(self, name: str, reason: str) -> None:
        code, _, rest = reason.partition(" ")  # the rest may quote arguments
        log = self._worker.log
        log.warning(f"The primary's command {name} failed here: {code} {log.of_user(rest)}")

    # the snapshot

    def _begin_snapshot(self, size: int | None) -> None:
        shape = f"{size} bytes" if size is not None else "streamed RDB with EOF"
        self.snapshot_size = size
        assert self._full_resync is not None
        same_history = self._full_resync.id == self._replication.history.id
        try:
            self._incoming = choose(self._replication, self._worker, size, self._hold_sender, same_history)
        except OSError as error:
            self._fail(f"Opening the temp file needed for MASTER <-> REPLICA synchronization: {error}")
            return
        target = "parser" if self._incoming.is_live else "disk"
        self._worker.log.notice(f"MASTER <-> REPLICA sync: receiving {shape} from master to {target}")
        if self._incoming.is_live:
            self._begin_loading()

    def _store(self, data: bytes) -> None:
        self.snapshot_received += len(data)
        assert self._incoming is not None
        try:
            self._incoming.store(data)
        except OSError as error:
            self._fail(f"Write error or short write writing to the DB dump file: {error}")

    def _hold_sender(self, held: bool) -> None:
        if held:
            self._hold_reading()
        else:
            self._read_on()

    def _end_snapshot(self) -> None:
        assert self._incoming is not None
        self._hold_reading()
        self._incoming.end()
        if self._loading is None:
            self._begin_loading()

    def _begin_loading(self) -> None:
        self._loading = asyncio.get_running_loop().create_task(self._load())

    async def _load(self) -> None:
        """Replace our data by the snapshot, then go on with the stream."""
        assert self._full_resync is not None
        assert self._incoming is not None
        keepalive = asyncio.get_running_loop().create_task(self._keep_alive())
        try:
            await self._incoming.load()
        except (RdbError, OSError) as error:
            self._loading = None
            self._fail(f"Failed trying to load the MASTER synchronization DB: {error}")
            return
        finally:
            keepalive.cancel()
        self._loading = None
        full = self._full_resync
        database = self._replication.link_synchronized(full.id, full.offset)
        self._session.db = self._worker.databases[database]
        self._worker.append_only.resume()
        waiting = list(self._protocol.loaded())
        self._read_on()
        for event in waiting:
            self._perform(event)
        self.acknowledge()

    async def _keep_alive(self) -> None:
        while True:
            self.acknowledge()
            await asyncio.sleep(KEEPALIVE_SECONDS)


def _is_about_the_cluster(argv: list[bytes]) -> bool:
    """What a primary tells its replicas about slots and roles, which is no data and in no log."""
    return argv[0].upper() == b"CLUSTER" and len(argv) > 1 and argv[1].upper() in _NO_DATA
