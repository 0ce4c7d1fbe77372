"""One proxy: its listeners, and the parts behind them put together.

    listener -> Client -> RouteTable, SlotMap -> Upstream -> worker
                  |  \\-> Commands -> jobs -----/    |
                  \\------------- Turns -------------/      Topology keeps the SlotMap like the cluster

Starts without waiting for the cluster: until the map is known, requests for keys are answered with
CLUSTERDOWN.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from cluster.addresses import is_loopback
from cluster.readings.proxy_names import name_of_proxy
from node.commands import TABLE, every
from node.descriptors import raise_limit
from node.event_loop import reactor_of
from node.tls.transport import HANDSHAKE_SECONDS
from proxy.config import ProxyConfig
from proxy.core.client import Client
from proxy.core.connection import Turns
from proxy.core.routes import RouteTable
from proxy.core.secrecy import Secrecy
from proxy.core.tallies import Tallies
from proxy.local.local_commands import ClientFacts
from proxy.processes.draining import drain
from proxy.processes.handover import Arrival, Legacy, bequeath
from proxy.processes.listening import listen_tcp, listen_unix, open_listeners
from proxy.processes.place import Place, adopt
from proxy.processes.siblings import Siblings
from proxy.processes.subscribers import listen_again
from proxy.processes.trimming import trim
from proxy.protection import Protection
from proxy.requests.routing import may_read_replica, raw_routes, steady_reads
from proxy.workers.dialogue import Login
from proxy.workers.service import Service
from proxy.workers.topology import Topology

if TYPE_CHECKING:
    from node.metrics.web import WebServer
    from proxy.requests.commands import Commands
    from proxy.status.pages import Status

log = logging.getLogger("shoal.proxy")

ACCEPTS_IN_A_ROW = 256
"""Then connected clients get their turn."""
SPARE_DESCRIPTORS = 128
"""For listeners, workers, logs: what the limit on open files must leave besides the clients."""
DEDICATED_AT_LEAST = 32
"""Connections for what blocks, which the spare ones must be enough for."""
MAP_SECONDS = 5.0
"""For the cluster to tell its map, before clients are let in without"""
ACCEPT_PAUSE = 0.1
"""Seconds without accepting when there are no descriptors left."""
TOO_MANY = b"-ERR max number of clients reached\r\n"
SHUT_OUT = (
    b"-DENIED The proxy is running in protected mode because protected mode is enabled and clients need no"
    b" password: only those of its own host are let in. To come from another one, 1) start it with a password"
    b" (--password-file, or --auth-by-workers), or 2) where nobody reaches it who may not, with"
    b" '--protected-mode no'.\r\n"
)
LEAST_FOR_MIRROR = 1.0
"""Seconds for what is on its way to a mirror, if draining has taken all its time; less than keepers wait"""


class ProxyServer:
    def __init__(self, config: ProxyConfig, place: Place | None = None) -> None:
        """`place`: what is given to one of several processes."""
        self.config = config
        self.place = place
        self._listeners: list[socket.socket] = []
        self._next_id = place.first_id if place else 0
        self._map_known = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []
        self._siblings_listener: socket.socket | None = None
        self._legacies: list[Legacy] = []
        self.metrics: WebServer | None = None
        self.status: Status | None = None

    async def start(self) -> None:
        """Listen and begin to learn the cluster's map. Raises OSError if an address cannot be had."""
        config = self.config
        self.loop = asyncio.get_running_loop()
        protection = self.protection = Protection(config.tls)
        name = name_of_proxy(config.port, config.tls.tls_port).encode()
        login = Login(config.credentials, protection.to_workers if config.tls.to_workers else None, name)
        max_clients, dedicated = _raise_descriptor_limit(config.max_clients)
        if self.place is None:
            self._listeners = open_listeners(config)
        else:
            self._listeners = [adopt(descriptor) for descriptor in self.place.listeners]
        self._protected = {each for each in self._listeners if 0 < _port_of(each) == config.tls.tls_port}
        self.turns = Turns(reactor_of(self.loop), Tallies(row.name for row in every()))
        reads = {row.name for row in TABLE.values() if may_read_replica(row)}
        numbers = self.turns.tallies.numbers
        self.routes = RouteTable(raw_routes(config.rules), config.rules.prefixes, reads, numbers)
        if config.hot_reads != "no":
            self.routes.mark_steady(steady_reads())
        by_sockets = config.worker_sockets and login.tls is None
        self.topology = Topology(config.seeds, login, self._map_changed, by_sockets)
        self.service = Service(config, self.turns, self.topology, login, dedicated)
        self.commands = commands = self.service.commands
        commands.port, commands.max_clients = self.port, max_clients
        if config.mirror.seeds:
            self._begin_mirroring(commands)
        if config.auth_by_workers:
            from proxy.sessions.users import Users  # takes memory that others need not give

            def service_for(credentials: tuple[bytes, ...]) -> Service:
                as_user = Login(credentials, login.tls)
                return Service(config, self.turns, self.topology, as_user, dedicated, commands)

            commands.users = Users(commands, service_for)
            self._background.append(self.loop.create_task(commands.users.close_idle()))
        work = [self.topology.run(), trim(self.commands)]
        self._background += [self.loop.create_task(each) for each in work]
        if commands.replica_reads is not None:
            self._background.append(self.loop.create_task(commands.replica_reads.run()))
        if config.tls.tls_port or config.tls.to_workers or config.tls.to_mirror:
            self._background.append(self.loop.create_task(protection.watch()))
        if self.commands.facade:
            self._background.append(self.loop.create_task(self.commands.facade.watch()))
        if config.traces_to:
            from proxy.local.spans import Spans  # takes memory that others need not give

            spans = Spans.sent_to(config.traces_to, config.traces_slower_than)
            commands.slow_requests.spans = spans
        if config.metrics_port:
            self.metrics = await self._tell_figures(config)
        if self.place is not None:
            await self._join(self.place)
        for listener in self._listeners:
            self.loop.add_reader(listener.fileno(), self._accept, listener)

    async def _tell_figures(self, config: ProxyConfig) -> WebServer:
        from node.metrics.exposition import page_of  # takes memory that others need not give
        from node.metrics.web import WebServer
        from proxy.local.metrics import ProxyCollector
        from proxy.status.pages import Status

        self.status = Status(self.commands, self.topology)
        figures = page_of(ProxyCollector(self.commands).collect)
        server = WebServer({"/metrics": figures, **self.status.pages})
        which = self.place.index if self.place else 0
        shared = self.place is not None  # with the process that this one replaces
        port = config.metrics_port + which
        addresses = config.metrics_bind or config.bind
        await server.start([listen_tcp(each, port, config.backlog, shared) for each in addresses])
        return server

    def _fall_silent(self) -> None:
        """Serve no figures any more."""
        if self.metrics is not None:
            self.metrics.close()
        if self.status is not None:
            self.status.close()

    def _begin_mirroring(self, commands: Commands) -> None:
        from proxy.mirror.mirroring import Mirroring  # takes memory that others need not give

        options = self.config.mirror
        login = Login(options.credentials, self.protection.to_workers if options.tls else None)
        commands.mirroring = Mirroring(options, self.turns, login, self.config.resend_writes)
        self._background.append(self.loop.create_task(commands.mirroring.run()))
        self.service.mirror(commands.mirroring)

    async def _join(self, place: Place) -> None:
        """Become one of several processes. Clients of a process that this one replaces shall be served as
        well as before, so they are let in when the map is known."""
        self.commands.siblings = siblings = Siblings(place.directory, place.number)
        listener = listen_unix(siblings.path, self.config.backlog)
        self._listeners.append(listener)
        self._siblings_listener = listener
        try:
            async with asyncio.timeout(MAP_SECONDS):
                await self._map_known.wait()
        except TimeoutError:
            log.warning("nobody has told the cluster's map yet")
        self._legacies = [
            Legacy(adopt(line), self._inherit, self.commands.sessions.hub, self.commands.mirroring)
            for line in place.legacies
        ]

    async def drain(self, heir: socket.socket | None = None) -> None:
        """Accept nobody any more, and part with those that are there; `heir`: a line to their new process."""
        self._fall_silent()
        for listener in self._listeners:
            if listener is not self._siblings_listener:
                self.loop.remove_reader(listener.fileno())
                self._accept(listener)  # who has waited
                listener.close()
        started = time.monotonic()
        seconds = self.config.drain_timeout
        await drain(self.commands, seconds, heir)
        mirroring = self.commands.mirroring
        if mirroring is not None:
            left = max(seconds - (time.monotonic() - started), LEAST_FOR_MIRROR)
            counts = await mirroring.finish(left)
            if heir is not None:
                await bequeath(counts, heir)

    async def stop(self) -> None:
        """Close everything. Requests in flight are not waited for."""
        for listener in self._listeners:
            if listener.fileno() >= 0:
                self.loop.remove_reader(listener.fileno())
                listener.close()
        for legacy in self._legacies:
            legacy.close()
        self._fall_silent()
        if self.config.unix_socket and self.place is None:
            os.unlink(self.config.unix_socket)
        if self.commands.slow_requests.spans is not None:
            await asyncio.to_thread(self.commands.slow_requests.spans.close)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for client in list(self.commands.clients.values()):
            client.kill()
        if self.commands.users is not None:
            self.commands.users.close()
        self.service.close()
        if self.commands.mirroring is not None:
            self.commands.mirroring.close()
        self.turns.close()

    @property
    def port(self) -> int:
        """The TCP port listened on: the configured one, or the one the system chose for 0 in tests."""
        return next(filter(None, map(_port_of, self._listeners)), 0)

    def _map_changed(self) -> None:
        self._map_known.set()
        self.commands.hold_clients()
        self.service.map_changed()
        self.service.pool.introduce()
        if self.commands.users is not None:
            self.commands.users.map_changed()
        if self.commands.replica_reads is not None:
            self.commands.replica_reads.map_changed()

    # Listening

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_IN_A_ROW):
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                log.warning("accepting pauses: %s", error.strerror)
                self.loop.remove_reader(listener.fileno())
                self.loop.call_later(ACCEPT_PAUSE, self._accept_again, listener)
                return
            if listener is self._siblings_listener:
                self._admit_sibling(connection)
            else:
                self._welcome(connection, peer, listener in self._protected)

    def _accept_again(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self.loop.add_reader(listener.fileno(), self._accept, listener)

    def _welcome(self, connection: socket.socket, peer: Any, protected: bool) -> None:
        commands = self.commands
        connection.setblocking(False)
        if refusal := self._refusal(peer, protected):
            commands.connections_rejected += 1
            if not protected:  # else nothing can be said before a handshake
                connection.send(refusal)
            connection.close()
            return
        commands.connections_received += 1
        self._next_id += 1
        own = _address_text(connection.getsockname())
        facts = ClientFacts(_address_text(peer) if peer else own, own)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client = self._client(self._next_id, facts)
        commands.clients[client.id] = client
        try:
            secrecy = Secrecy(self.protection.for_clients, True) if protected else None
            client.open(connection.detach(), not self._wants_login, secrecy)
            if protected:
                self.loop.call_later(HANDSHAKE_SECONDS, self._give_up, client.id)
        except OSError as error:
            log.warning("a client is turned away: %s", error)
            client.kill()

    def _refusal(self, peer: Any, by_tls: bool) -> bytes:
        """Why who comes from there is not let in; empty: he is. Of a unix socket `peer` is no tuple."""
        if len(self.commands.clients) >= self.commands.max_clients:
            return TOO_MANY
        is_stranger = isinstance(peer, tuple) and not is_loopback(peer[0])
        if is_stranger and self.config.protected_mode and not self.config.knows_who_comes(by_tls):
            return SHUT_OUT
        return b""

    @property
    def _wants_login(self) -> bool:
        return bool(self.commands.password) or self.commands.users is not None

    def _give_up(self, number: int) -> None:
        """Who has not said by now who he is has had his time."""
        client = self.commands.clients.get(number)
        if client is not None and client.shakes_hands:
            client.kill()

    def _client(self, number: int, facts: ClientFacts) -> Client:
        client = Client(self.turns, self.commands, self.routes, self.service.slots, number)
        client.facts = facts
        client.diverted = self.commands.pause.active
        if self.commands.replica_reads is not None:
            self.commands.replica_reads.choose_for(client)
        client.strict = facts.strict
        client.hot_reads = self.commands.hot_reads
        return client

    def _admit_sibling(self, connection: socket.socket) -> None:
        """It is not one of our clients, and is not listed as one."""
        connection.setblocking(False)
        self._client(0, ClientFacts("", "", sibling=True)).open(connection.detach(), True)

    def _inherit(self, arrival: Arrival) -> None:
        """Go on with a client of a process that ends."""
        client = self._client(arrival.id, arrival.facts)
        client.resp = arrival.resp
        client.replies_off, client.skip_next = arrival.replies_off, arrival.skip_next
        self.commands.clients[client.id] = client
        try:
            if self.commands.users is not None and arrival.login:
                self.commands.users.become(client, arrival.facts.user, arrival.login)
            client.open(arrival.descriptor, arrival.authenticated or not self._wants_login)
            if arrival.topics:
                listen_again(client.service.sessions, client, arrival.topics)
            client.resume(arrival.unread)
        except Exception:
            log.exception("a client could not be taken over")
            client.kill()


def _port_of(listener: socket.socket) -> int:
    """0: a unix socket"""
    return 0 if listener.family == socket.AF_UNIX else int(listener.getsockname()[1])


def _address_text(address: Any) -> str:
    """As CLIENT LIST prints it: `ip:port`, or a unix socket's path with port 0 (for either end)."""
    if isinstance(address, tuple):
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{host}:{address[1]}"
    return f"{address or ''}:0"


def _raise_descriptor_limit(max_clients: int) -> tuple[int, int]:
    """Let the process open files for so many clients, each with a dedicated connection to a worker.

    Returns how many clients and how many dedicated connections it really can have: clients come first.
    """
    reachable = raise_limit(2 * max_clients + SPARE_DESCRIPTORS)
    clients = min(max_clients, reachable - SPARE_DESCRIPTORS)
    if clients < max_clients:
        log.warning(
            "maxclients is %d, not %d: the limit on open files is %d", clients, max_clients, reachable
        )
    return clients, max(reachable - SPARE_DESCRIPTORS - clients, DEDICATED_AT_LEAST)
