"""Asks all members what they are doing, because somebody looks.

Only a request for the page's figures lets it ask, and at most once in PERIOD, or, of many nodes, in
PERIOD_OF_A_NODE for each, so that a page costs the proxy some hundredths of a processor at most. Who comes in
between gets what was gathered; who comes while it is being gathered waits for the same. When nobody has come
for LEFT_ALONE seconds, the connections are closed, and what was counted is forgotten.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.addresses import address_text
from cluster.plans.model import NodeInfo, View
from cluster.readings.activity import Reading, Sample, slot_use_of
from cluster.readings.command_times import times_of
from cluster.readings.info import fields_of
from cluster.readings.nodes_text import view_of
from cluster.readings.slot_jobs import Job, job_of
from proxy.requests.codec import bulk_of, decode_reply, is_error
from proxy.status.slot_heat import SlotHeat
from proxy.status.worker_lines import NoAnswer, WorkerLines

if TYPE_CHECKING:
    from proxy.workers.dialogue import Address
    from proxy.workers.topology import Topology

T = TypeVar("T")

PERIOD = 1.0
PERIOD_OF_A_NODE = 0.01
LEFT_ALONE = 15.0
VIEWS = 3
"""Members that are asked who there is: the newest view counts."""
AT_ONCE = 32
OPEN_SLOTS_UP_TO = 100
"""Members. Everybody's own CLUSTER NODES tells of its open slots, and is as long as the cluster is large."""
HOT_SLOTS = 40
"""Of each primary, the costliest since it counts"""

_BASIC = ((b"INFO",), (b"LATENCY", b"HISTOGRAM"))
_HOTTEST = (b"CLUSTER", b"SLOT-STATS", b"ORDERBY", b"CPU-USEC", b"LIMIT", b"%d" % HOT_SLOTS, b"DESC")


@dataclass(frozen=True)
class Gathered:
    """All that is known at a moment, by a clock that only goes forward (`sample.at`)."""

    sample: Sample
    before: Sample | None = None
    ended: Sequence[tuple[str, Job]] = ()
    """Moves of whole slots that have ended: (id of the source, job)"""
    problem: str = ""


@dataclass
class _Told:
    """What one member has told."""

    reading: Reading
    ended: list[Job] = field(default_factory=list)


class Gatherer:
    def __init__(self, topology: Topology, lines: WorkerLines) -> None:
        self._topology = topology
        self._lines = lines
        self.heat = SlotHeat()
        self._last: Gathered | None = None
        self._asking: asyncio.Task[Gathered] | None = None
        self._leave: asyncio.TimerHandle | None = None
        self._known: list[Address] = []
        """Who has told of the others the last time"""

    async def gathered(self) -> Gathered:
        """As of now, or a moment ago."""
        loop = asyncio.get_running_loop()
        if self._leave is not None:
            self._leave.cancel()
        self._leave = loop.call_later(LEFT_ALONE, self.forget)
        last = self._last
        if last is not None and loop.time() - last.sample.at < period(len(last.sample.nodes)):
            return last
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def _asked(self, task: asyncio.Task[Gathered]) -> None:
        self._asking = None
        if not task.cancelled() and task.exception() is None:
            self._last = task.result()

    def forget(self) -> None:
        """Nobody looks any more."""
        if self._leave is not None:
            self._leave.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self._last = self._leave = None
        self._lines.close()
        self.heat.forget()

    async def _ask(self) -> Gathered:
        before = self._last
        view = await self._view()
        at = asyncio.get_running_loop().time()
        if isinstance(view, str):
            return Gathered(Sample(at, {}, {}), problem=view)
        nodes = {node.id: node for node in view.nodes.values() if node.host and "noaddr" not in node.flags}
        self._lines.keep({_place(node) for node in nodes.values()})
        owned = {node.id: node.slots for node in nodes.values() if node.slots}
        self.heat.disown(owned)
        # First a PING of all, so that none has to wait until we have read what others have said.
        pings = await self._each(nodes.values(), self._ping)
        thorough = len(nodes) <= OPEN_SLOTS_UP_TO
        told = await self._each(
            nodes.values(), lambda node: self._told(node, pings[node.id], thorough, len(owned))
        )
        sample = Sample(at, nodes, {name: each.reading for name, each in told.items()})
        return Gathered(
            sample,
            before.sample if before is not None and before.sample.nodes else None,
            [(name, job) for name, each in told.items() for job in each.ended],
        )

    async def _view(self) -> View | str:
        """Who there is, by the newest of some members' views; or why nobody tells."""
        nodes = sorted(self._topology.nodes)
        asked = [each for each in self._known if each in nodes][:VIEWS]
        others = [each for each in nodes if each not in asked]
        asked += random.sample(others, min(len(others), VIEWS - len(asked)))
        answers = await asyncio.gather(*map(self._view_of, asked))
        self._known = [
            place for place, answer in zip(asked, answers, strict=True) if isinstance(answer, View)
        ]
        views = [answer for answer in answers if isinstance(answer, View)]
        if views:
            return max(views, key=lambda view: max(node.epoch for node in view.nodes.values()))
        reasons = [f"{address_text(*place)} {why}" for place, why in zip(asked, answers, strict=True)]
        return "; ".join(["no member of the cluster answers", *reasons])

    async def _view_of(self, address: Address) -> View | str:
        try:
            (reply,) = await self._lines.ask(address, (b"CLUSTER", b"NODES"))
            return view_of(bulk_of(reply).decode().splitlines(), address[0])
        except NoAnswer as problem:
            return str(problem)
        except ValueError:
            return "does not tell of its cluster"

    async def _each(
        self, nodes: Collection[NodeInfo], ask: Callable[[NodeInfo], Awaitable[T]]
    ) -> dict[str, T]:
        """By id."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_turn(node: NodeInfo) -> T:
            async with turns:
                return await ask(node)

        return dict(zip((node.id for node in nodes), await asyncio.gather(*map(in_turn, nodes)), strict=True))

    async def _ping(self, node: NodeInfo) -> float | str:
        """Milliseconds, or why it does not answer."""
        try:
            await self._lines.open(_place(node))
            began = time.perf_counter()
            await self._lines.ask(_place(node), (b"PING",))
            return (time.perf_counter() - began) * 1000
        except NoAnswer as problem:
            return str(problem)

    async def _told(self, node: NodeInfo, ping: float | str, thorough: bool, primaries: int) -> _Told:
        if isinstance(ping, str):
            return _Told(Reading(problem=ping))
        try:
            return await self._read(node, ping, thorough, primaries)
        except NoAnswer as problem:
            return _Told(Reading(problem=str(problem)))
        except (ValueError, KeyError, TypeError, AttributeError):
            return _Told(Reading(problem="tells what is not understood"))

    async def _read(self, node: NodeInfo, ping: float, thorough: bool, primaries: int) -> _Told:
        place = _place(node)
        if not (node.is_primary and node.slots):
            info, times = await self._lines.ask(place, *_BASIC)
            return _Told(Reading(_fields(info), ping, times=times_of(_value(times) or [])))
        first, last = self.heat.next_span(node.id, node.slots, primaries)
        info, times, rows, hottest, heat, *own = await self._lines.ask(
            place,
            *_BASIC,
            (b"CLUSTER", b"GETSLOTMIGRATIONS"),
            _HOTTEST,
            (b"CLUSTER", b"SLOT-STATS", b"SLOTSRANGE", b"%d" % first, b"%d" % last),
            *([(b"CLUSTER", b"NODES")] if thorough else []),
        )
        if not is_error(heat):
            self.heat.take(node.id, heat, time.monotonic())
        jobs = [job for job in map(job_of, _value(rows) or []) if job.operation == "EXPORT"]
        slot_use = None if is_error(hottest) else slot_use_of(_value(hottest))
        open_slots = view_of(bulk_of(own[0]).decode().splitlines(), node.host).migrating if own else {}
        going_on = tuple(job for job in jobs if job.in_progress)
        told = times_of(_value(times) or [])
        reading = Reading(_fields(info), ping, "", going_on, open_slots, slot_use, told)
        return _Told(reading, [job for job in jobs if not job.in_progress])


def period(nodes: int) -> float:
    """Seconds between two times that so many nodes are asked."""
    return max(PERIOD, nodes * PERIOD_OF_A_NODE)


def _place(node: NodeInfo) -> Address:
    return node.host, node.port


def _fields(reply: bytes) -> dict[str, str]:
    if is_error(reply):
        raise NoAnswer(reply[1:-2].decode("latin-1"))
    return fields_of(bulk_of(reply).decode())


def _value(reply: bytes) -> Any:
    """None for an error: not all servers have all commands, or count all."""
    return None if is_error(reply) else decode_reply(reply)
