"""`worker.replication`: the role of this worker, and how it changes.

A worker is a primary until it is told to `follow` another, and again from `promote` on. Its place in the
stream is `history` (which one) and `offset` (how far); both survive every change of role, and a restart
through the snapshot, so that whoever shared our history can go on with us without a full synchronization.

The stream is `worker.trail`. It is not recorded before the first replica asks for it; from then on the
backlog is its sink, until there has been no replica for `repl-backlog-ttl` seconds.

What a replica does differently: clients may not write (`replica-read-only`), expired keys are hidden and
not removed, and its stream is its primary's, byte for byte.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from node.core.command_rows import GATE_FEW_REPLICAS, GATE_READ_ONLY, GATE_STALE
from node.core.steady_clock import steady_ms
from node.errors import ReplyError
from node.replication import views
from node.replication.acknowledgements import Acknowledgements
from node.replication.backlog import Backlog
from node.replication.failover import Failover
from node.replication.history import History, is_id
from node.replication.local_keys import LocalKeys
from node.replication.peers import Peer
from node.replication.primary import PING, Primary
from node.replication.primary_link import PrimaryLink
from node.replication.replica import Introduction
from node.replication.sync_planner import SyncPlanner
from node.replication.synchrony import Synchrony
from node.replication.waits import Waits

if TYPE_CHECKING:
    from node.session.session import Session

MAY_LACK_DATA: Final = ReplyError("NOMASTERLINK Can't SYNC while a replica may have data that I lack")
NOT_CONNECTED: Final = ReplyError("NOMASTERLINK Can't SYNC while not connected with my master")
PENDING_OUTPUT: Final = ReplyError("ERR SYNC and PSYNC are invalid with pending output")


class Replication:
    """Needs the worker's config, log, engine, trail, snapshots, watches, pause and cron_jobs."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._trail = worker.trail
        self.history = History()
        self.primary = Primary(worker.config, worker.log, self.history)
        self.acknowledgements = Acknowledgements(worker, self.primary)
        self.synchrony = Synchrony(worker, self.primary, self.acknowledgements)
        self.waits = Waits()
        self.local_keys = LocalKeys(worker)
        self.failover = Failover(worker, self)
        self.primary_address: tuple[str, int] | None = None
        """Whom we follow; None for a primary."""
        self.link: PrimaryLink | None = None
        self.has_whole_copy = False
        """As a replica: our data is a copy of this primary's, whom we have followed since our start."""
        self._away_until = 0.0
        """Monotonic seconds: the primary is not followed before."""
        self.stream_db = 0
        """The database the stream's next command is for, unless it says SELECT: kept from link to link."""
        self.primary_last_seen = 0
        """When the primary was last heard of over a link that was up, by the steady clock; 0 if never."""
        self.down_since = 0
        """Unix ms when the link went down, 0 while it is up or there is none."""
        self._planner = SyncPlanner(worker, self.primary, self._begin_snapshot, self._set_gates)
        self._resumed = False
        self._next_second = 0
        self._next_ping = 0
        config = worker.config
        config.on_change("repl-backlog-size", self._resize_backlog)
        for name in ("replica-serve-stale-data", "min-replicas-to-write", "min-replicas-max-lag"):
            config.on_change(name, lambda _: self._set_gates())
        for name in ("replica-read-only", "synchronous-replicas", "synchronous-replicas-wait"):
            config.on_change(name, lambda _: self._role_changed())
        worker.cron_jobs.append(self._cron)

    # what it is

    @property
    def role(self) -> str:
        """As INFO has it: `master` or `slave`."""
        return "master" if self.primary_address is None else "slave"

    @property
    def offset(self) -> int:
        """Bytes of the stream so far: produced as primary, applied as replica."""
        return int(self._trail.offset)

    @property
    def primary_link_up(self) -> bool:
        """As a replica: synchronized, and following."""
        return self.link is not None and self.link.state == "connected"

    def info(self) -> dict[str, Any]:
        """The fields of INFO's Replication section."""
        return views.info(self, self._worker.config, self._worker.engine.now)

    def stats(self) -> dict[str, Any]:
        """Fields for INFO's Stats section."""
        return views.stats(self)

    def describe_role(self) -> list[Any]:
        """ROLE's reply."""
        return views.role(self)

    def snapshot_aux(self) -> dict[str, str | int]:
        """Aux fields for a snapshot of this moment: where in the stream the data stands."""
        if self.primary.backlog is None:
            return {}
        database = self.stream_db if self.role == "slave" else max(0, self._trail.selected_db)
        return {"repl-stream-db": database, "repl-id": self.history.id, "repl-offset": self.offset}

    # life

    def start(self) -> None:
        """Called once the data is loaded and the event loop runs."""
        self._resume()
        if self._worker.config.replicaof is not None and self.primary_address is None:
            self.follow(*self._worker.config.replicaof)
        if self.role == "master" and self.primary.backlog is not None:
            self.history.shift(self.offset)
        self._role_changed()

    async def stop(self) -> None:
        self._planner.stop()
        self._drop_link()
        self._trail.flush()

    def _resume(self) -> None:
        """Take up the history that the loaded snapshot belongs to."""
        if self._resumed:
            return
        self._resumed = True
        aux = self._worker.snapshots.loaded_aux
        replication_id, offset = aux.get("repl-id", ""), aux.get("repl-offset", "")
        if is_id(replication_id) and offset.isdigit():
            self.history.adopt(replication_id)
            self.stream_db = self._known_database(aux.get("repl-stream-db", ""))
            self._open_backlog(int(offset))

    def _known_database(self, text: str) -> int:
        return int(text) if text.isdigit() and int(text) < len(self._worker.databases) else 0

    # roles

    def follow(self, host: str, port: int) -> bool:
        """Become or stay a replica, of the primary at `host:port`. False if it is our primary already."""
        if self.primary_address == (host, port):
            return False
        self._resume()
        self._drop_link()
        if self.primary_address is None:
            self._worker.log.notice(
                "Before turning into a replica, using my own master parameters to synthesize a cached "
                "master: I may be able to synchronize with the new master with just a partial transfer."
            )
            self.waits.resume_all()
            self._trail.flush()
            self._trail.follows = True
            self._trail.selected_db = -1
        self.primary_address = (host, port)
        self.has_whole_copy = False
        self._away_until = 0.0
        self._worker.blocking.role_changed()
        self.primary_last_seen = 0
        self.down_since = self._worker.engine.tick()
        self._worker.log.role = "S"
        self._worker.choose_expiry()
        self._role_changed()
        self._connect()
        return True

    def promote(self) -> None:
        """Become a primary with the data at hand. Nothing happens to one that is a primary."""
        if self.primary_address is None:
            return
        self._drop_link()
        self._away_until = 0.0
        self.primary_address = None
        self.down_since = 0
        self._worker.log.role = "M"
        self.history.shift(self.offset)
        self._worker.log.notice(
            f"Setting secondary replication ID to {self.history.second_id}, valid up to offset: "
            f"{self.history.second_offset}. New replication ID is {self.history.id}"
        )
        self._trail.flush()
        self._trail.follows = False
        self._trail.selected_db = -1
        self.primary.disconnect_all()
        self._worker.choose_expiry()
        self._worker.append_only.resume()
        self._role_changed()

    def _role_changed(self) -> None:
        self.synchrony.follow_role(self.role == "master")
        writable = self.role == "slave" and not self._worker.config.replica_read_only
        self.local_keys.follow_role(writable_replica=writable)
        self._set_gates()

    def _set_gates(self) -> None:
        config, engine = self._worker.config, self._worker.engine
        replica = self.role == "slave"
        few = False
        if not replica and config.min_replicas_to_write and config.min_replicas_max_lag:
            few = self.primary.good_replicas(engine.now) < config.min_replicas_to_write
        self.synchrony.count_replicas()
        few = few or self.synchrony.refuses
        for gate, closed in (
            (GATE_READ_ONLY, replica and config.replica_read_only),
            (GATE_STALE, replica and not config.replica_serve_stale_data and not self.primary_link_up),
            (GATE_FEW_REPLICAS, few),
        ):
            engine.gate = engine.gate | gate if closed else engine.gate & ~gate
        self.synchrony.hold_writes()

    # as a replica

    def _connect(self) -> None:
        assert self.primary_address is not None
        config = self._worker.config
        host, port = self.primary_address
        self._worker.log.notice(f"Connecting to MASTER {host}:{port}")
        own_port = config.tls_port if config.tls_replication and config.tls_port else config.port
        introduction = Introduction(
            port=config.replica_announce_port or own_port,
            id=self.history.id,
            offset=self.offset,
            announced_ip=config.replica_announce_ip,
            node_id=self._worker.cluster.node_id,
            user=config.masteruser,
            password=config.masterauth,
            takes_over=self.failover.in_progress,
        )
        self.link = PrimaryLink(self, self._worker, host, port, introduction)
        self.link.open()
        self._worker.log.notice("MASTER <-> REPLICA sync started")

    @property
    def primary_client(self) -> Session | None:
        """Our primary, as the client that sends its stream; None while it does not."""
        return self.link.client if self.link is not None else None

    def _drop_link(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None

    def link_lost(self, reason: str) -> None:
        """The link failed. One that was up is tried again at once, others at the next second."""
        was_up = not self.down_since
        self._worker.log.warning(reason)
        self.link = None
        if self.failover.in_progress:
            self.failover.abort("the new primary refused, or was not reached")
            return
        now = self._worker.engine.tick()
        if was_up:
            self.primary_last_seen, self.down_since = steady_ms(), now
            asyncio.get_running_loop().call_soon(self._reconnect)
        self._set_gates()
        if was_up:
            self._worker.cluster.primary_lost()

    def _reconnect(self) -> None:
        if self.primary_address is not None and self.link is None and time.monotonic() >= self._away_until:
            self._connect()

    def leave_primary(self, milliseconds: int) -> None:
        """Take nothing more from our primary, nor acknowledge anything, for so long or until `follow`."""
        if self.primary_address is None:
            return
        self._away_until = time.monotonic() + milliseconds / 1000
        if self.link is not None:
            self.link.close()
            self.link_lost("Left our master.")

    def link_continues(self, replication_id: str) -> None:
        """The primary goes on from our offset; a new id means that it has been promoted since."""
        self._worker.log.notice("Successful partial resynchronization with master.")
        if replication_id != self.history.id:
            self._trail.flush()
            self.history.shift(self.offset, replication_id)
            self._worker.log.notice(f"Master replication ID changed to {replication_id}")
            self.primary.disconnect_all()
        self._open_backlog(self.offset)
        self.has_whole_copy = True
        self._worker.append_only.recorder.name_database()
        self.failover.accepted()
        self._link_is_up()

    def link_loads(self) -> None:
        """A snapshot is about to be loaded: what we had, and what our replicas had, is void."""
        self.failover.accepted()
        self._worker.log.notice("MASTER <-> REPLICA sync: Flushing old data")
        self.primary.disconnect_all()
        self._close_backlog()
        self.has_whole_copy = False
        self._worker.append_only.pause()
        self.empty()
        self._worker.log.notice("MASTER <-> REPLICA sync: Loading DB in memory")

    def link_synchronized(self, replication_id: str, offset: int) -> int:
        """The snapshot is loaded; returns the database of the stream's next command."""
        self.history.adopt(replication_id)
        self.stream_db = self._known_database(self._worker.snapshots.loaded_aux.get("repl-stream-db", ""))
        self._open_backlog(offset)
        self.has_whole_copy = True
        self._worker.log.notice("MASTER <-> REPLICA sync: Finished with success")
        self._link_is_up()
        return self.stream_db

    def _link_is_up(self) -> None:
        self.down_since = 0
        self.primary_last_seen = steady_ms()
        self._set_gates()

    @property
    def stream_database(self) -> int | None:
        """The database the next command of our primary's stream is for; None on a primary."""
        if self.role == "master":
            return None
        return self.link.database if self.link is not None else self.stream_db

    def empty(self) -> None:
        self._worker.databases_emptied(self._worker.databases)
        self._worker.cluster.data_replaced()
        lazily = self._worker.config.replica_lazy_flush
        for db in self._worker.databases:
            self._worker.graveyard.empty(db, lazily)
        if not lazily:
            self._worker.memory.emptied()
        self._worker.anteroom.clear()
        self._worker.functions.flush()

    # as a primary

    def peer(self, session: Any) -> Peer:
        """What we know of the replica behind `session`, from its first REPLCONF on."""
        name = session.link.transport.get_extra_info("peername")
        ip = name[0] if isinstance(name, tuple) and name else "unknown"
        return self.primary.peer(session.id, session.link, ip, self._worker.engine.now)

    def synchronize(self, session: Any, wanted_id: str, wanted_offset: int, old_style: bool = False) -> None:
        """PSYNC and SYNC: the session is a replica from here on. Raises ReplyError."""
        if self.role == "slave" and not self.primary_link_up:
            raise NOT_CONNECTED
        if not self._worker.cluster.may_feed_replicas:
            raise MAY_LACK_DATA
        peer = self.peer(session)
        if peer.state != "handshake":
            return
        if session.link.pending_output:
            raise PENDING_OUTPUT
        self._trail.flush()
        if self.primary.backlog is None:
            self.history.renew()
            self._open_backlog(self.offset)
        session.be_replica()
        session.link.output_limit = 0  # counted together with what is queued: see Peer.overflows
        peer.old_style = old_style
        if not self.primary.synchronize(peer, wanted_id, wanted_offset, self._worker.engine.now):
            self._planner.plan()
        self._set_gates()

    def _begin_snapshot(self) -> tuple[int, dict[str, str | int]]:
        """Where in the stream a snapshot is about to be made; what follows names its database anew."""
        self._trail.flush()
        if self.role == "master":
            self._trail.selected_db = -1
        return self.offset, self.snapshot_aux()

    def acknowledge(self, session: Any, offset: int, synced: int) -> None:
        """A replica has the stream up to `offset`, and on its disk up to `synced` (0: nothing)."""
        self.primary.acknowledge(session.id, offset, synced, self._worker.engine.now)
        self.synchrony.acknowledged()
        self.waits.check()
        self.failover.check()
        self._worker.ending.check()
        few = self._worker.engine.gate & GATE_FEW_REPLICAS or self.synchrony.waits
        if few or self._worker.config.min_replicas_to_write:
            self._set_gates()

    def client_gone(self, session: Any) -> None:
        """A connection was closed; called for every one."""
        self.waits.discard(session.id)
        peer = self.primary.remove(session.id, self._worker.engine.now)
        if peer is None:
            return
        self._worker.log.notice(f"Connection with replica {peer.name} lost.")
        self._planner.remove(peer)
        self._set_gates()

    # the backlog

    def _open_backlog(self, offset: int) -> None:
        """Record the stream from `offset` on; one that ends there already is kept."""
        backlog = self.primary.backlog
        if backlog is not None and backlog.last == offset:
            return
        self._close_backlog()
        self._trail.offset = offset
        self.primary.backlog = Backlog(self._worker.config.repl_backlog_size, offset)
        self._trail.attach(self._pass_on)

    def _close_backlog(self) -> None:
        if self.primary.backlog is not None:
            self._trail.detach(self._pass_on)
            self.primary.backlog = None

    def _pass_on(self, chunk: bytes) -> None:
        self.primary.pass_on(chunk)
        self.synchrony.recorded()

    def _resize_backlog(self, size: int) -> None:
        if self.primary.backlog is not None:
            self._trail.flush()
            self.primary.backlog.resize(size)

    # chores

    def _cron(self) -> None:
        now = self._worker.engine.now
        self.primary.traffic.sample(now)
        self.failover.check()
        if now < self._next_second:
            return
        self._next_second = now + 1000
        if self.role == "slave":
            self._tend_link()
        else:
            self._tend_stream(now)
        self.primary.tick(now)
        self._worker.engine.followers = len(self.primary.replicas())
        self.synchrony.tick(now)
        self._set_gates()

    def _tend_link(self) -> None:
        if self.link is None:
            self._reconnect()
            return
        silence = time.monotonic() - self.link.last_io
        if silence > self._worker.config.repl_timeout and not self.link.reads_nothing:
            self.link.close()
            self.link_lost("MASTER timeout: no data nor PING received...")
            return
        self.link.acknowledge()

    def _tend_stream(self, now: int) -> None:
        """PING for replicas; the end of a backlog that nobody used for long."""
        config = self._worker.config
        if self.primary.online() and now >= self._next_ping and not self._worker.pause.active:
            self._next_ping = now + config.repl_ping_replica_period * 1000
            self._trail.feed(PING, False)
        left = self.primary.last_seen_any
        idle = left is not None and now - left > config.repl_backlog_ttl * 1000
        if idle and config.repl_backlog_ttl and self.primary.backlog is not None:
            self._worker.log.notice(
                f"Replication backlog freed after {config.repl_backlog_ttl} seconds without connected "
                "replicas."
            )
            self._close_backlog()
            self.history.renew()
