"""All upstream connections of a proxy: made when needed, remade when lost, dropped with their node.

One connection per worker and protocol version (a client that said HELLO 3 must get RESP3 from the worker),
shared by all clients. A lost connection is tried again at once, with requests queueing meanwhile, for as long
as failover.py allows; then they are refused with an error, without waiting, until a later try succeeds or the
map names another worker, which gets what is queued.

Connects are paced: few at a time, and with pauses that differ, so that the proxies of a cluster that comes
back do not come all at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from proxy.core.sinks import Job
from proxy.core.upstream import Upstream
from proxy.workers.dialogue import Address, Login, open_worker, refusal
from proxy.workers.failover import COST_OF_LOSS, REFUSALS, FailoverWait, Request, as_requests
from proxy.workers.redirection import destination

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.core.sinks import ReplySink, Tap
    from proxy.workers.topology import Topology

log = logging.getLogger("shoal.proxy")

TRY_AGAIN_DELAY = 0.1
"""Seconds before a request refused with TRYAGAIN is sent again, times the number of the try."""
FIRST_DELAY, LAST_DELAY = 0.05, 1.0
"""Between tries to connect, in the mean; it doubles."""
WAITED_FOR_DELAY = 0.2
"""The last while requests wait"""
CONNECTS_AT_ONCE = 8


class UpstreamPool:
    topology: Topology
    """Set by the server once both exist."""
    keeps_requests = True
    is_timed = True
    """What takes long here is slow (slow_requests.py)."""

    def __init__(self, turns: Turns, login: Login, failover: FailoverWait, queue_max: int) -> None:
        self.turns = turns
        self.login = login
        self.failover = failover
        self.queue_max = queue_max
        self.redirections = 0
        self.told_of_nodes: list[Callable[[frozenset[Address], frozenset[Address]], None]] = []
        """Called after each refresh with all nodes and those that failed."""
        self.tap: Tap | None = None
        """Hears of all that is answered."""
        self.told_of_ask: Callable[[int], None] = lambda slot: None
        """Called with a slot of which a key is with its next owner already."""
        self._upstreams: dict[tuple[Address, int], Upstream] = {}
        self._shards: list[tuple[int, Address]] | None = None
        self._nodes: frozenset[Address] = frozenset()
        self._tasks: dict[Upstream, asyncio.Task[None]] = {}
        self._connecting = asyncio.Semaphore(CONNECTS_AT_ONCE)

    # Who is there

    def get(self, address: Address, version: int) -> Upstream:
        """The upstream for a worker; it connects on its first request."""
        upstream = self._upstreams.get((address, version))
        if upstream is None:
            upstream = Upstream(self.turns, self, *address, version, self.queue_max)
            upstream.tap = self.tap
            self._upstreams[address, version] = upstream
        return upstream

    def upstreams(self) -> list[Upstream]:
        return list(self._upstreams.values())

    def shards(self, version: int) -> list[tuple[int, Upstream]]:
        """(first slot, upstream of the primary), in order of first slot."""
        if self._shards is None:
            owners = self.topology.owners
            first_slots = ((owners.index(address), address) for address in self.topology.primaries)
            self._shards = sorted(first_slots)
        return [(first, self.get(address, version)) for first, address in self._shards]

    def nodes(self, version: int) -> list[Upstream]:
        """Every node that is not known to have failed, primaries and replicas."""
        return [self.get(address, version) for address in sorted(self._nodes)]

    def forget_shards(self) -> None:
        """The map has changed."""
        self._shards = None

    def has_unreachable(self, owners: Collection[Address]) -> bool:
        """Can one of these owners of slots not be had, by clients of either protocol?"""
        return any(
            upstream.state_name in ("down", "connecting", "waiting")
            for (address, _), upstream in self._upstreams.items()
            if address in owners
        )

    def reconcile(
        self,
        nodes: frozenset[Address],
        failed: frozenset[Address],
        owners: Collection[Address],
        successors: Mapping[Address, Address],
    ) -> None:
        """After a refresh: give up on nodes that failed, hand what waits for a former owner of slots to its
        successor, forget who is gone and owes nothing."""
        self._nodes = nodes
        for tell in self.told_of_nodes:
            tell(nodes, failed)
        for (address, version), upstream in list(self._upstreams.items()):
            if address in failed and upstream.state_name in ("up", "waiting"):
                upstream.close()
            if address not in owners and upstream.state_name in ("connecting", "waiting"):
                self._hand_over(upstream, successors.get(address))
            if address not in nodes and address not in owners and not upstream.in_flight:
                del self._upstreams[address, version]
                self._retire(upstream)

    def _hand_over(self, upstream: Upstream, address: Address | None) -> None:
        successor = self.get(address, upstream.version) if address else None
        if successor is None or upstream.awaits_replies:
            return
        for request in [*self.failover.taken_back(upstream), *as_requests(upstream.take_all())]:
            successor.send(request.raw, request.sink, request.tag, request.redirects)
        upstream.go_on()

    def close(self) -> None:
        for upstream in self.upstreams():
            self._retire(upstream)
        self._upstreams.clear()

    def _retire(self, upstream: Upstream) -> None:
        task = self._tasks.pop(upstream, None)
        if task is not None:
            task.cancel()
        for request in self.failover.taken_back(upstream):
            request.sink.deliver(request.tag, upstream.lost_error)
        self.failover.forget(upstream)
        upstream.refuse(refusal((upstream.host, upstream.port), "is no longer part of the cluster"))

    def introduce(self) -> None:
        """Connect to one primary before anybody needs that, so that the workers know of this proxy: their
        CLIENT LIST has it (cluster/readings/proxy_names.py)."""
        for _, upstream in self.shards(2)[:1]:
            if upstream.state_name == "idle":
                upstream.connecting()
                self.connect(upstream)

    # What upstreams ask for

    def connect(self, upstream: Upstream) -> None:
        """A request has come and there is no connection."""
        running = self._tasks.get(upstream)
        if running is None or running.done():
            task = asyncio.get_running_loop().create_task(self._keep_trying(upstream))
            self._tasks[upstream] = task
            task.add_done_callback(lambda done: self._tried(upstream, done))

    def lost(self, upstream: Upstream, taken: list[Any]) -> None:
        """The connection is gone; `taken` was not answered (`Upstream.take_all`). What may be sent again is
        queued again, before anything new."""
        log.warning("connection to %r lost", upstream)
        self.topology.refresh_soon()
        waits = self._may_wait(upstream)
        failed: list[Request] = []
        for request in [*self.failover.taken_back(upstream), *as_requests(taken)]:
            if waits and self.failover.may_repeat(request):
                redirects = request.redirects + request.sent * COST_OF_LOSS
                upstream.send(request.raw, request.sink, request.tag, redirects)
            else:
                failed.append(request)
        self.connect(upstream)
        for request in failed:
            request.sink.deliver(request.tag, upstream.lost_error)

    def _may_wait(self, upstream: Upstream) -> bool:
        """This is a sign of trouble. Only owners of slots are worth waiting for: others have no successor."""
        address = upstream.host, upstream.port
        owns = address in self.topology.owners or address in self.topology.successors
        return self.failover.may_wait(upstream) and owns

    def quiet(self, upstream: Upstream) -> None:
        """It waits, and all that was sent is answered."""
        self.failover.quiet(upstream)

    def carried_out(self, upstream: Upstream, sink: ReplySink) -> None:
        """It waits, and a request of `sink` is about to be answered."""
        self.failover.carried_out(upstream, sink)

    def redirect(
        self, upstream: Upstream, error: bytes, request: bytes, sink: ReplySink, tag: int, redirects: int
    ) -> None:
        """`request` was answered with `error`, which says where or when to send it again:
        `-MOVED slot host:port`, `-ASK slot host:port`, `-TRYAGAIN ...`, or one of REFUSALS."""
        if error.startswith(REFUSALS):
            self.topology.refresh_soon()
            refused = Request(request, sink, tag, redirects - 1, sent=False)
            if not self.failover.refused(upstream, refused, error + b"\r\n"):
                sink.deliver(tag, error + b"\r\n")
            return
        if error.startswith(b"-TRYAGAIN "):
            self._try_again(upstream, error, request, sink, tag, redirects)
            return
        where = destination(error, (upstream.host, upstream.port))
        if where is None:
            sink.deliver(tag, error + b"\r\n")
            return
        self.redirections += 1
        if where.asking:
            self.told_of_ask(where.slot)
        else:
            self.topology.moved(where.slot, where.address)
        self.get(where.address, upstream.version).send(request, sink, tag, redirects, where.asking)

    def _try_again(
        self, upstream: Upstream, error: bytes, request: bytes, sink: ReplySink, tag: int, redirects: int
    ) -> None:
        """The keys of one request are spread over two workers while their slot moves. That passes; so a
        client's last request waits a little, and later ones behind it. A request that others have followed
        already is not sent again, because it would take effect after them. A job knows better what to do."""
        if isinstance(sink, Job) or not sink.hold_behind(tag):
            sink.deliver(tag, error + b"\r\n")
            return
        loop = asyncio.get_running_loop()
        loop.call_later(TRY_AGAIN_DELAY * redirects, upstream.send, request, sink, tag, redirects)

    # Connecting

    def _tried(self, upstream: Upstream, task: asyncio.Task[None]) -> None:
        if self._tasks.get(upstream) is task:
            del self._tasks[upstream]
        if not task.cancelled() and (error := task.exception()):
            log.error("connecting to %r ended with an error", upstream, exc_info=error)

    async def _keep_trying(self, upstream: Upstream) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                async with self._connecting:
                    opened, _ = await open_worker(
                        (upstream.host, upstream.port), self.login, upstream.version
                    )
            except ConnectionError as problem:
                waits = upstream.state_name == "connecting" and self._may_wait(upstream)
                if not waits:
                    if upstream.state_name != "down":
                        log.warning("%r %s", upstream, problem)
                    upstream.refuse(refusal((upstream.host, upstream.port), str(problem)))
            else:
                upstream.connected(*opened)
                return
            self.topology.refresh_soon()
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(2 * delay, WAITED_FOR_DELAY if waits else LAST_DELAY)
