"""The mirror of a proxy: its connections, and what core/mirror.pyx leaves to be looked at.

* Several keys, scripts, and what is repeated in another form (outcomes.py): as one request.
* What changes every worker, like FLUSHALL: to all primaries of the mirror, when the last worker here has done
  it. The client's next requests wait for that, so that none of them is overtaken.
* A transaction: whole, when EXEC has carried it out, without what only reads.
* What blocks, when it has got something: as a transaction, in which it does not block. The push that woke it
  was answered over another connection, perhaps not yet; so it is repeated behind all that was on its way to
  that worker.

The mirror is reached as clusters are (topology.py, upstreams.py), with two differences: a server alone counts
as the owner of all slots, and what it has not answered waits for as long as there is room. All over one
connection for each of its workers, so that for each key the order is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.commands import TABLE, Command, find
from node.core.key_slot import key_slot
from node.errors import one_line
from proxy.core.frames import request_arguments
from proxy.core.mirror import Mirror
from proxy.core.routes import RouteTable, SlotMap
from proxy.core.sinks import Job
from proxy.core.upstream import FINAL
from proxy.mirror.comparison import is_comparable, say_the_same
from proxy.mirror.outcomes import BY_CHANCE, EVERYWHERE, NULLS, changes, has_begun, repeated
from proxy.requests import codec
from proxy.requests.jobs import Broadcast
from proxy.requests.routing import raw_routes
from proxy.workers.dialogue import Login
from proxy.workers.failover import FailoverWait
from proxy.workers.topology import SLOT_COUNT, NodeView, Topology
from proxy.workers.upstreams import UpstreamPool

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.core.upstream import Upstream
    from proxy.mirror.options import MirrorOptions
    from proxy.workers.dialogue import Address, RemoteError

log = logging.getLogger("shoal.proxy")

VERSION = 2
MULTI, EXEC, PING = (codec.encode_request([name]) for name in (b"MULTI", b"EXEC", b"PING"))
QUEUED = b"+QUEUED\r\n"
TRIES = 10
"""Of a transaction whose slot is on the move, or whose connection was lost"""
RETRY_DELAY = 0.1
SAY_AGAIN = 10.0
"""Seconds between two warnings about the same"""
LOOK_SECONDS = 0.01
LOST = b"-ERR upstream connection lost"
INHERITED = ("sent", "dropped", "failed", "compared", "differing")
"""Counts that outlive a process which is replaced"""


class Mirroring:
    """One for all services of a proxy."""

    def __init__(self, options: MirrorOptions, turns: Turns, login: Login, resend_writes: bool) -> None:
        self.options = options
        self.resend_writes = resend_writes
        self.slots = SlotMap()
        self.topology = MirrorTopology(options.seeds, login, self._map_changed)
        self.pool = MirrorPool(turns, login, FailoverWait(float("inf"), resend_writes), 1 << 62)
        self.pool.topology = self.topology
        self.topology.keep(self.slots, self.pool)
        routes = RouteTable(
            [row for row in raw_routes() if _is_plain(TABLE[row[0]])],
            reads={name for name, row in TABLE.items() if not changes(row)},
        )
        self.core = Mirror(
            self.slots, routes, self, options.memory, options.compare, options.percent, options.reads
        )
        self.last_difference = ""
        self._said: dict[str, float] = {}
        self.together: set[Together] = set()
        """On their way"""

    async def run(self) -> None:
        """Follow the mirror's map, for ever."""
        await self.topology.run()

    async def settled(self, seconds: float) -> bool:
        """Wait until the mirror has answered all, so long at most: has it?"""
        deadline = time.monotonic() + seconds
        while self.core.held and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
        return not self.core.held

    async def finish(self, seconds: float) -> dict[str, int]:
        """Wait for what is on its way, so long at most; the rest is left out. What has been counted, for
        `inherit`."""
        if not await self.settled(seconds):
            left = self.core.unanswered + sum(each.count for each in self.together)
            self.core.count(dropped=left)
            log.warning(
                "the mirror does not get %d requests that wait for it, %d bytes", left, self.core.held
            )
        return {name: getattr(self.core, name) for name in INHERITED}

    def inherit(self, counts: dict[str, int]) -> None:
        """Go on with what a process has counted whose clients come here."""
        self.core.count(**counts)

    def close(self) -> None:
        self.pool.close()

    def _map_changed(self) -> None:
        self.core.known()

    # What core/mirror.pyx asks for

    def look(self, sink: Any, request: bytes, reply: bytes) -> None:
        """A request that it has not decided about."""
        argv = request_arguments(request)
        command = find(argv)
        if command is None or reply == QUEUED:
            return
        if command.name in EVERYWHERE:
            if isinstance(sink, Broadcast) and sink.missing == 1 and not codec.is_error(reply):
                self._to_all(request)
            return
        slot = self._slot(command, argv)
        if slot is None or not has_begun(command, reply):
            return
        again = repeated(command, argv, request, reply)
        if again is not None:
            compared = self.options.compare and command.name not in BY_CHANCE and is_comparable(command)
            self.core.pass_on(slot, again, reply if compared else None, codec.is_error(reply))

    def _slot(self, command: Command, argv: Sequence[bytes]) -> int | None:
        """Of the request's keys; None if it is not mirrored."""
        if not changes(command) and "readonly" not in command.flags:
            return None
        positions = command.key_positions(argv)
        if not positions:
            return None
        slot = key_slot(argv[positions[0]])
        return slot if self.core.takes(slot, not changes(command)) else None

    def alike(self, request: bytes, ours: bytes, theirs: bytes) -> bool:
        """Do these replies, whose bytes differ, say the same? If not, it is remembered."""
        argv = request_arguments(request)
        command = find(argv)
        if command is None or not is_comparable(command) or say_the_same(command, ours, theirs):
            return True
        key = argv[next(iter(command.key_positions(argv)), 0)]
        self.last_difference = f"cmd={command.name},key={one_line(key)}"
        return False

    def refused(self, reply: bytes) -> None:
        self._say("error", "the mirror answers with an error: %s", one_line(reply[1:-2]))

    def full(self) -> None:
        self._say("full", "requests are not mirrored: %d bytes wait for the mirror", self.core.held)

    def _say(self, what: str, text: str, *values: object) -> None:
        now = time.monotonic()
        if now - self._said.get(what, -SAY_AGAIN) >= SAY_AGAIN:
            self._said[what] = now
            log.warning(text, *values)

    # What others tell

    def concerns_all(self, command: Command) -> bool:
        """Will it be sent to all of the mirror's workers? Then what its client says next must wait."""
        return command.name in EVERYWHERE

    def transaction(self, slot: int | None, done: Sequence[tuple[bytes, bytes]]) -> None:
        """These requests were carried out together, and each answered so."""
        if slot is None or not self.core.takes(slot):
            return
        requests = []
        for request, reply in done:
            argv = request_arguments(request)
            command = find(argv)
            if command is not None and changes(command) and has_begun(command, reply):
                again = repeated(command, argv, request, reply)
                if again is not None:
                    requests.append(again)
        if len(requests) == 1:
            self.core.pass_on(slot, requests[0])
        elif requests:
            Together(self, slot, requests).start()

    def unblocked(
        self, upstream: Upstream, slot: int, command: Command, request: bytes, reply: bytes
    ) -> None:
        """A request that blocks was answered; `upstream` is what its client shares with others."""
        if reply in NULLS or codec.is_error(reply) or not changes(command) or not self.core.takes(slot):
            return
        after = Behind(Together(self, slot, [request]))
        if upstream.state_name == "up" and upstream.in_flight:
            upstream.send(PING, after, 0, FINAL)
        else:
            after.work.start()

    def _to_all(self, request: bytes) -> None:
        if self.core.waits_for_map(self._to_all, request):
            return
        for _, upstream in self.pool.shards(VERSION):
            Together(self, None, [request], upstream).start()

    # What is told of it

    def counts(self) -> dict[str, int]:
        """For INFO: these add up over processes."""
        core = self.core
        return {
            "mirror_sent": core.sent,
            "mirror_dropped": core.dropped,
            "mirror_failed": core.failed,
            "mirror_compared": core.compared,
            "mirror_differing": core.differing,
            "mirror_waiting_bytes": core.held,
        }

    def facts(self) -> dict[str, str]:
        states = [f"{upstream!r}={upstream.state_name}" for upstream in self.pool.upstreams()
                  if upstream.version == VERSION]  # fmt: skip
        facts = {"mirror": ",".join(states) or "unknown"}
        return facts | ({"mirror_last_difference": self.last_difference} if self.last_difference else {})


def _is_plain(command: Command) -> bool:
    """Is its raw request repeated as it came?"""
    readonly = "readonly" in command.flags and is_comparable(command)
    return command.name not in BY_CHANCE and (command.is_write or readonly)


class MirrorPool(UpstreamPool):
    is_timed = False  # nobody waits for it


class MirrorTopology(Topology):
    """A server alone is a cluster of one."""

    def _refused(self, address: Address, error: RemoteError) -> list[NodeView] | None:
        if "cluster support disabled" not in str(error):
            return super()._refused(address, error)
        return [NodeView(address, frozenset(("myself", "master")), 0, ((0, SLOT_COUNT - 1),))]


class Together(Job):
    """Requests that are carried out at one moment; or one, to one worker."""

    def __init__(
        self,
        mirroring: Mirroring,
        slot: int | None,
        requests: Sequence[bytes],
        target: Upstream | None = None,
    ) -> None:
        self.mirroring = mirroring
        self.slot = slot
        self.target = target
        self.count = len(requests)
        self.requests = list(requests) if target else [MULTI, *requests, EXEC]
        self.size = sum(map(len, self.requests))
        self.tries = 0
        self.reason = b""
        """The first error"""

    def start(self) -> None:
        core = self.mirroring.core
        if core.take(self.size) and not core.waits_for_map(self._begin):
            self._begin()

    def _begin(self) -> None:
        self.mirroring.together.add(self)
        self._send()

    def _send(self) -> None:
        upstream = self.target or self.mirroring.slots.find(self.slot or 0, VERSION)
        if upstream is None:
            self._end(dropped=1)
            return
        self.tries += 1
        self.reason = b""
        if self.tries == 1:
            self.mirroring.core.count(sent=self.count)
        *others, last = self.requests
        for request in others:
            upstream.send(request, self, 0, FINAL)
        upstream.send(last, self, 1, FINAL)

    def replied(self, tag: int, reply: bytes) -> None:
        if codec.is_error(reply):
            self.reason = self.reason or reply
        if tag == 0:
            return
        if not codec.is_error(reply) or not self._tries_again():
            self._end(failed=int(codec.is_error(reply)))

    def _tries_again(self) -> bool:
        lost = self.reason.startswith(LOST)
        may_pass = self.reason.startswith((b"-MOVED", b"-ASK", b"-TRYAGAIN", b"-CLUSTERDOWN", b"-LOADING"))
        if self.tries >= TRIES or not (may_pass or (lost and self.mirroring.resend_writes)):
            return False
        self.mirroring.topology.refresh_soon()
        asyncio.get_running_loop().call_later(RETRY_DELAY * self.tries, self._send)
        return True

    def _end(self, failed: int = 0, dropped: int = 0) -> None:
        self.mirroring.together.discard(self)
        self.mirroring.core.give_back(self.size)
        self.mirroring.core.count(failed=failed, dropped=dropped)
        if failed:
            self.mirroring.refused(self.reason)

    def failed(self) -> None:
        self._end(failed=1)


class Behind(Job):
    """Begins some work when all that was asked of a worker before is answered."""

    def __init__(self, work: Together) -> None:
        self.work = work

    def replied(self, tag: int, reply: bytes) -> None:
        self.work.start()

    def failed(self) -> None:
        self.work.mirroring.core.count(dropped=1)
