"""One worker: the process' state and its life, from opened sockets to the last good-bye.

The worker owns what there is one of: settings, log, engine (databases, trail), clients, replication, the
timer. It runs on one event loop and takes no locks. What it must know of its cluster it asks its
`cluster` port (`node/cluster_port.py`); a standalone worker has the null object there.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from node import errors, log
from node.accepting import Acceptor
from node.cluster_port import ClusterPort, Standalone
from node.commands.model import Command
from node.config import Config
from node.core.command_rows import GATE_LOADING, load_rows
from node.core.compiled import install as install_compiled_handlers
from node.core.connection import Connection
from node.core.engine import Engine
from node.core.reply_writer import encode_reply
from node.ending import Ending
from node.errors import ReplyError
from node.event_loop import reactor_of
from node.handlers import registry
from node.keyspace import encodings
from node.keyspace.anteroom import Anteroom
from node.keyspace.departures import Departures
from node.keyspace.eviction import Eviction
from node.keyspace.expiry import ActiveExpiry, ExpiryCycles
from node.keyspace.field_expiry import FieldExpiry
from node.keyspace.graveyard import Graveyard
from node.keyspace.notifications import Notifications
from node.listeners import keep_alive, open_tcp, open_unix
from node.log import Log
from node.metrics.activity import Activity
from node.metrics.hot_keys import HotKeys
from node.metrics.large_commands import LargeCommands
from node.metrics.memory import MemoryUse
from node.metrics.slowness import Slowness
from node.persistence.durability import Durability
from node.replication.roles import Replication
from node.scripting.execution import Execution
from node.scripting.functions import Functions
from node.scripting.scripts import Scripts
from node.session.access import Access
from node.session.blocking import Blocking
from node.session.client_eviction import ClientEviction
from node.session.monitor import Monitors
from node.session.output_limits import OutputLimits
from node.session.pause import Pause
from node.session.pubsub import PubSub
from node.session.session import Session
from node.session.tracking import Tracking
from node.session.watch import Watches
from node.tls.doorway import Doorway
from node.tls.keeper import TlsKeeper

MAX_ERROR_PREFIXES = 128
"""Scripts can make up prefixes; those beyond these are not counted."""

if TYPE_CHECKING:
    from node.metrics.web import WebServer
    from node.storage.tier import DiskTier

MakeCluster = Callable[["Worker"], ClusterPort]


def make_tier(worker: Worker) -> DiskTier | None:
    """What stands behind memory, if anything does."""
    if worker.config.storage_engine != "disk":
        return None
    from node.storage.tier import DiskTier  # and with it LMDB, which others need not load

    return DiskTier(worker)


class Worker:
    def __init__(self, config: Config, log: Log, make_cluster: MakeCluster | None = None) -> None:
        """`make_cluster` is called last, with the worker, and gives its cluster port."""
        self.config = config
        self.log = log
        self.run_id = secrets.token_hex(20)
        self.engine = Engine(config.cluster_databases if config.cluster_enabled else config.databases)
        self.databases = self.engine.databases
        self.trail = self.engine.trail
        self.started_at = self.engine.now
        self.clients: dict[int, Session] = {}
        self.access = Access(self)
        self.rejected_connections = 0
        self.error_counts: dict[str, int] = {}
        """Error replies by prefix: INFO errorstats."""
        self.active_expiry = True
        """DEBUG SET-ACTIVE-EXPIRE."""
        self.pause = Pause(self.engine, self.choose_expiry)
        self.watches = Watches(self.engine)
        self.blocking = Blocking(self)
        self.tracking = Tracking(self)
        self.monitors = Monitors(self.engine)
        self.execution = Execution(self)
        self.scripts = Scripts(self)
        self.functions = Functions(self)
        self.activity = Activity(self.engine)
        self.stopping: asyncio.Future[int] | None = None
        """Set to the exit code when the worker shall end; made by `start`."""
        self.cron_jobs: list[Callable[[], None]] = []
        """Called `hz` times a second, after the worker's own chores."""
        self.pubsub = PubSub(self)
        self.output_limits = OutputLimits(self)
        self.client_eviction = ClientEviction(self)
        self.notifications = Notifications(self.engine, config, self.pubsub.publish)
        self._next_id = 1
        self.acceptors: list[Acceptor] = []
        """Of the sockets on which clients are accepted."""
        self.tls = TlsKeeper(config, log)
        self.doorway = Doorway(self)
        self._cron_handle: asyncio.TimerHandle | None = None
        self._figures: WebServer | None = None
        self.field_expiry = FieldExpiry(self)
        self.expiry = [ActiveExpiry(db) for db in self.databases]
        self.expiry_cycles = ExpiryCycles(self)

        registry.load_all()
        self.commands = registry.served_commands(config.renamed_commands)
        sessions_ask = config.cluster_enabled or config.storage_engine == "disk"
        load_rows(self.engine, registry.rows(self.commands), sessions_ask)
        install_compiled_handlers(self.engine)
        self.engine.on_bug = self._log_bug
        self.engine.on_error = self.count_error
        for db in self.databases:
            db.on_expired = self._key_expired
        self._follow_settings()
        self.slowness = Slowness(self)
        self.large_commands = LargeCommands(self)
        self.hot_keys = HotKeys(self)
        self.memory = MemoryUse(self)
        self.tier = make_tier(self)
        self.durability = Durability(self)
        self.snapshots = self.durability.snapshots
        self.append_only = self.durability.append_only
        self.replication = Replication(self)
        self.graveyard = Graveyard(self)
        self.anteroom = Anteroom(self)
        self.departures = Departures(self)
        self.eviction = Eviction(self)
        config.on_change("import-mode", lambda _: self.choose_expiry())
        self.choose_expiry()
        self.ending = Ending(self)
        self.cluster: ClusterPort = make_cluster(self) if make_cluster else Standalone()

    # --- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the sockets, load the data, join the cluster, serve. Until then clients are told LOADING.
        Raises ListenError, OSError, RdbError, AofError and AclFileError."""
        loop = asyncio.get_running_loop()
        self.stopping = loop.create_future()
        self.tls.start()
        sockets = self._open_sockets()
        self.log.running(self.config)
        self.access.load_at_start()
        self.log.notice(log.INITIALIZED)
        self.memory.start()
        self.engine.gate |= GATE_LOADING
        reactor = reactor_of(loop)
        for sock, make in sockets.items():
            self.acceptors.append(Acceptor(sock, make, reactor, self.log))
            self.acceptors[-1].begin()
        await self._tell_figures()
        await self.durability.load()
        self.engine.tick()
        await self.cluster.start()
        self.replication.start()
        self.engine.gate &= ~GATE_LOADING
        if self.config.port:
            self.log.notice(log.READY_TCP)
        if self.config.tls_port:
            self.log.notice(log.READY_TLS)
        if self.config.unixsocket:
            self.log.notice(log.READY_UNIX)
        self._cron()

    async def stop(self) -> None:
        """Close everything in the order that loses nothing. The snapshot has been taken before."""
        if self._cron_handle is not None:
            self._cron_handle.cancel()
        for acceptor in self.acceptors:
            acceptor.close()
        self.acceptors.clear()
        if self._figures is not None:
            self._figures.close()
        await self.cluster.stop()
        await self.replication.stop()
        self.durability.close()
        if not self.append_only.recorder.breaks_its_word:
            self.engine.outbox.logged()
        for session in list(self.clients.values()):
            session.close()
        self.doorway.close()
        if self.config.unixsocket:
            os.unlink(self.config.unixsocket)
        self.log.notice(log.BYE)

    def fail(self, reason: str) -> None:
        """End the worker because it cannot keep what it promised."""
        assert self.stopping is not None
        self.log.warning(reason)
        if not self.stopping.done():
            self.stopping.set_result(1)

    async def _tell_figures(self) -> None:
        if self.config.metrics_port:
            from node.metrics.worker_series import serve  # and with it what others need not load

            self._figures = await serve(self)

    def _open_sockets(self) -> dict[socket.socket, Callable[[], Any]]:
        config = self.config
        sockets: dict[socket.socket, Callable[[], Any]] = {}
        plain = (config.port, config.cluster_outside_port)
        by_tls = (config.tls_port, config.cluster_outside_tls_port)
        for ports, make in ((plain, self.make_connection), (by_tls, self.doorway.make)):
            for port in filter(None, ports):
                for sock in open_tcp(config.bind, port, config.tcp_backlog, self.log.warning):
                    sockets[sock] = make
        if config.unixsocket:
            sock = open_unix(config.unixsocket, config.unixsocketperm, config.tcp_backlog)
            sockets[sock] = self.make_connection
        return sockets

    @property
    def is_stopping(self) -> bool:
        return self.stopping is not None and self.stopping.done()

    # --- clients -------------------------------------------------------------------------------------

    def make_connection(self) -> Connection:
        """The protocol of a client's new connection."""
        return Connection(self.engine, asyncio.get_running_loop(), self._opened, self._closed)

    def _opened(self, connection: Connection) -> Session | None:
        """A client connected: greet it with a session, or refuse it with a reason."""
        refusal = self._refusal(connection)
        if refusal is not None:
            self.rejected_connections += 1
            connection.transport.write(encode_reply(refusal))
            return None
        sock = connection.transport.get_extra_info("socket")
        if self.config.tcp_keepalive and sock.family != socket.AF_UNIX:
            keep_alive(sock, self.config.tcp_keepalive)
        session = Session(self.engine, self, self.take_session_id(), connection)
        self.access.greet(session)
        self.output_limits.classify(session, "normal")
        connection.query_limit = self.config.client_query_buffer_limit
        self.clients[session.id] = session
        return session

    def _refusal(self, connection: Connection) -> ReplyError | None:
        if len(self.clients) >= self.config.maxclients:
            return errors.MAX_CLIENTS
        if self.config.protected_mode and not self.access.users.default.needs_password:
            peer = connection.transport.get_extra_info("peername")
            host = peer[0] if isinstance(peer, tuple) else ""
            if host and not host.startswith("127.") and host not in ("::1", "::ffff:127.0.0.1"):
                return errors.PROTECTED_MODE
        return None

    def _closed(self, connection: Connection) -> None:
        session = connection.client
        self.clients.pop(session.id, None)
        self.watches.remove_all(session)
        self.blocking.discard(session)
        self.pubsub.remove(session)
        self.tracking.disable(session)
        self.monitors.remove(session)
        self.output_limits.gone(session, connection.overflowed)
        self.replication.client_gone(session)

    def take_session_id(self) -> int:
        """The number of a new session."""
        self._next_id += 1
        return self._next_id - 1

    def internal_session(self, *, replicated: bool = True) -> Session:
        """A session without a connection, for a stream that is applied rather than requested.

        `replicated`: its commands are obeyed without checks and leave no trail, since whoever feeds it
        records the stream itself.
        """
        session = Session(self.engine, self, self.take_session_id())
        session.obeyed = session.replicated = replicated
        return session

    # --- commands ------------------------------------------------------------------------------------

    def resolve(self, argv: list[bytes]) -> tuple[Command, list[bytes]]:
        """The command `argv` asks for, subcommand resolved, and the arguments its handler gets."""
        name = argv[0].decode("latin-1").lower()
        command = self.commands.get(name)
        if command is None:
            raise errors.unknown_command(argv)
        if not command.subcommands:
            return command, argv[1:]
        if len(argv) < 2:
            # Some containers are commands themselves (COMMAND); others have a handler only below.
            if command.name in registry.HANDLERS:
                return command, []
            raise errors.wrong_arity(command.name)
        subcommand = command.subcommands.get(argv[1].decode("latin-1").lower())
        if subcommand is None or subcommand.name not in registry.HANDLERS:
            raise errors.unknown_subcommand(command.name, argv[1])
        return subcommand, argv[2:]

    def find(self, argv: list[bytes]) -> Command | None:
        """The command a request names, a container where its subcommand is missing; None if there is none."""
        command = self.commands.get(argv[0].decode("latin-1").lower())
        if command is None or not command.subcommands or len(argv) < 2:
            return command
        return command.subcommands.get(argv[1].decode("latin-1").lower())

    def count_error(self, text: str) -> None:
        prefix = text.partition(" ")[0]
        if prefix in self.error_counts or len(self.error_counts) < MAX_ERROR_PREFIXES:
            self.error_counts[prefix] = self.error_counts.get(prefix, 0) + 1

    def _log_bug(self, command: str, bug: Exception) -> None:
        import traceback

        # What an exception says may quote what a client has sent.
        hidden = [*traceback.format_tb(bug.__traceback__), type(bug).__name__]
        told = hidden if self.log.hides_user_data else traceback.format_exception(bug)
        self.log.warning(f"A bug in {command}: {''.join(told)}")

    # --- what happens to keys ------------------------------------------------------------------------

    def _key_expired(self, db: Any, key: bytes) -> None:
        """The database dropped a key because of its age: replicas and the log get a DEL."""
        self.trail.add(db.index, [b"UNLINK" if db.leaves_expired else b"DEL", key])
        self.watches.touch_expired(db.index, key)
        self.blocking.key_expired(db.index, key)
        self.tracking.key_changed(key)
        self.notifications.expired(db.index, key)

    def choose_expiry(self) -> None:
        """Expired keys are only hidden while we are a replica, while data is imported by one who decides what
        has expired, and while writes wait: then nothing may change."""
        hidden = self.pause.active or self.replication.role == "slave" or self.config.import_mode
        for db in self.databases:
            db.hides_expired = hidden

    def databases_emptied(self, databases: Sequence[Any]) -> None:
        """Tell who watches, waits for or caches keys that they go with all of these databases."""
        for db in databases:
            self.watches.touch_all(db.index)
            self.blocking.database_changed(db.index)
        self.tracking.database_emptied()

    # --- chores --------------------------------------------------------------------------------------

    def _cron(self) -> None:
        period = 1 / self.config.hz
        loop = asyncio.get_running_loop()
        self._cron_handle = loop.call_later(period, self._cron)
        now = self.engine.tick()
        if self.active_expiry and not self.engine.gate & GATE_LOADING:
            began = time.monotonic()
            self.expiry_cycles.run(period)
            self.field_expiry.run(period, self.config.active_expire_effort)
            self.engine.finish_command()
            self.slowness.note("expire-cycle", time.monotonic() - began)
        self._close_idle(now)
        self.activity.sample(now)
        self.tls.look()
        for job in self.cron_jobs:
            job()
        self.trail.flush()

    def _close_idle(self, now: int) -> None:
        limit = self.config.timeout * 1000
        if limit:
            for session in list(self.clients.values()):
                idle = not session.suspended and now - session.link.last_active > limit
                if session.kind == "normal" and idle and session not in self.monitors:
                    self.log.verbose("Closing idle client")
                    session.close()

    # --- settings ------------------------------------------------------------------------------------

    def _follow_settings(self) -> None:
        """Apply the settings the engine keeps for itself, now and whenever they change."""
        config, engine = self.config, self.engine

        def bulk_length(value: int) -> None:
            engine.bulk_length = value

        def eviction_policy(value: str) -> None:
            for db in self.databases:
                db.tracks_frequency = "lfu" in value

        def log_factor(value: int) -> None:
            for db in self.databases:
                db.lfu_log_factor = value

        def decay_time(value: int) -> None:
            for db in self.databases:
                db.lfu_decay_time = value

        def query_limit(value: int) -> None:
            for session in self.clients.values():
                session.link.query_limit = value

        followed: Sequence[tuple[str, Callable[[Any], None]]] = (
            ("proto-max-bulk-len", bulk_length),
            ("maxmemory-policy", eviction_policy),
            ("lfu-log-factor", log_factor),
            ("lfu-decay-time", decay_time),
            ("client-query-buffer-limit", query_limit),
        )
        encodings.follow(config)
        for name, apply in followed:
            apply(getattr(config, name.replace("-", "_")))
            config.on_change(name, apply)
