"""Reads from replicas: `--read-from prefer-replica|nearest|same-zone`.

Every second each replica, and its primary, is asked for INFO replication. A replica may be read if it has all
but `--max-lag-bytes` of what its primary has written and has heard from it in the last `--max-lag-seconds`;
while it cannot be reached, or copies everything anew, it is left out. Of those that may be read, the policy
chooses for each primary:

* prefer-replica: all of them; a client gets always the same, by its id
* nearest: who answers fastest, primary or replica; another only if it is clearly faster
* same-zone: those in the zone of the proxy (`--zone`), going by `availability_zone` in INFO

or, if none is left, the primary. What was on its way to a replica that is lost is sent to the primary
(replica_links.py), so a replica that dies or is promoted is not an error.

What is read this way may be old by the limits, plus the second between two looks; a client need not see what
it has just written, unless it says READWRITE. Transactions, scripts, what blocks, SCAN and its kin, and what
is read while keys are watched or tracked, are for primaries. So are slots on their way to another node,
whose replicas may not know what has gone ahead.
"""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from proxy.requests import codec
from proxy.requests.questions import ask_all
from proxy.requests.worker_info import parse
from proxy.workers.dialogue import Address, Login
from proxy.workers.replica_links import ReplicaLinks
from proxy.workers.topology import SLOT_COUNT

if TYPE_CHECKING:
    from proxy.config import ProxyConfig
    from proxy.core.client import Client
    from proxy.core.connection import Turns
    from proxy.core.routes import SlotMap
    from proxy.core.upstream import Upstream
    from proxy.workers.topology import Topology
    from proxy.workers.upstreams import UpstreamPool

INTERVAL = 1.0
"""Seconds between two looks, in the mean"""
GAP = 0.05
"""At least, if there is something new"""
TIMEOUT = 1.0
SMOOTHING = 0.3
"""Share of the last time of answer in the mean"""
CLEARLY_FASTER, LEAST_GAIN = 0.7, 0.0002
"""By which factor, and by how many seconds at least, another has to be faster to be preferred"""
REPLICATION, SERVER = (codec.encode_request([b"INFO", section]) for section in (b"replication", b"server"))


@dataclass
class Seen:
    """What a node has told of itself."""

    fields: dict[str, str] = field(default_factory=dict)
    """INFO replication and server; empty if it did not answer the last time"""
    answer_time: float = 0.0
    """Seconds, a moving average; 0 before the first"""

    def number(self, name: str, otherwise: float = 0) -> float:
        text = self.fields.get(name, "")
        return int(text) if text.lstrip("-").isdigit() else otherwise

    @property
    def silence(self) -> float:
        """Seconds since a replica has heard from its primary."""
        if self.fields.get("master_link_status") == "up":
            return self.number("master_last_io_seconds_ago", inf)
        down = self.number("master_link_down_since_seconds", inf)
        return down if down >= 0 else inf

    def behind(self, primary: Seen) -> float:
        """Bytes that a replica does not have; infinite if it has another history. A primary that does not
        answer has written nothing that anybody could know of."""
        if not primary.fields:
            return 0
        if primary.fields.get("master_replid") != self.fields.get("master_replid"):
            return inf
        return max(0, primary.number("master_repl_offset") - self.number("slave_repl_offset"))


class ReplicaReads:
    def __init__(self, turns: Turns, pool: UpstreamPool, topology: Topology, config: ProxyConfig) -> None:
        self.pool = pool
        self.topology = topology
        self.config = config
        self.turns = turns
        self._kept: list[tuple[SlotMap, ReplicaLinks]] = []
        """Of each service; the first's links are those over which replicas are looked at"""
        self.seen: dict[Address, Seen] = {}
        self.chosen: dict[Address, tuple[Address, ...]] = {}
        """Of a primary, whom to read instead; nobody: itself"""
        self._nearest: dict[Address, Address] = {}
        self._wake = asyncio.Event()
        self._ahead: dict[int, int] = {}
        """Slots of which a key has gone ahead, and how often the map had been refreshed by then"""

    def keep(self, slots: SlotMap, login: Login) -> ReplicaLinks:
        """From now on keep a service's table, and links under its login, which are returned."""
        links = ReplicaLinks(self.turns, login, self.topology, slots, self.links_changed)
        self._kept.append((slots, links))
        self._wake.set()
        return links

    def let_go(self, links: ReplicaLinks) -> None:
        """The service ends."""
        self._kept = [kept for kept in self._kept if kept[1] is not links]
        links.close()

    @property
    def links(self) -> ReplicaLinks:
        return self._kept[0][1]

    def choose_for(self, client: Client) -> None:
        """A client has come, has said READONLY or READWRITE, or begins or ends to watch or track keys: what
        it keeps because nobody has said that it changed must have been new."""
        session = client.session
        keeps = session is not None and (session.watch is not None or session.tracking is not None)
        client.reads_replicas = client.facts.reads_replicas and not (keeps or client.facts.strict)

    async def run(self) -> None:
        """Look after the replicas for ever. Cancelled by whoever started it."""
        while True:
            self._wake.clear()
            await self.look()
            await asyncio.sleep(GAP)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL * random.uniform(0.75, 1.25)):
                    await self._wake.wait()

    # Looking

    async def look(self) -> None:
        replicas = {each for group in self.topology.replicas.values() for each in group}
        primaries = self.topology.replicas.keys() - replicas
        for _, links in self._kept:
            links.keep(replicas)
        self.seen = {address: self.seen.get(address) or Seen() for address in replicas | primaries}
        await asyncio.gather(
            *(self._ask(address, self.links.up(address, 2)) for address in replicas),
            *(self._ask(address, self.pool.get(address, 2)) for address in primaries),
        )
        for address in replicas:
            if not self.seen[address].fields and self.links.up(address, 2) is not None:
                for _, links in self._kept:
                    links.drop(address)
        self.fill()

    async def _ask(self, address: Address, worker: Upstream | None) -> None:
        seen = self.seen[address]
        if worker is None or worker.state_name not in ("up", "idle"):
            seen.fields = {}
            return
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(TIMEOUT):
                replies = await ask_all(worker, [REPLICATION])
                taken = time.perf_counter() - begun
                if self.config.read_from == "same-zone":
                    replies += await ask_all(worker, [SERVER])
        except TimeoutError:
            seen.fields = {}
            return
        seen.answer_time += (taken - seen.answer_time) * (SMOOTHING if seen.answer_time else 1)
        seen.fields = {}
        for reply in replies:
            if not codec.is_error(reply):
                for section in parse(codec.bulk_of(reply).decode("utf-8", "replace")).values():
                    seen.fields.update(section)

    def may_be_read(self, primary: Address, replica: Address) -> bool:
        seen = self.seen.get(replica)
        return (
            seen is not None
            and seen.fields.get("role") == "slave"
            and seen.fields.get("master_sync_in_progress") == "0"
            and seen.silence <= self.config.max_lag_seconds
            and seen.behind(self.seen.get(primary) or Seen()) <= self.config.max_lag_bytes
        )

    # Choosing

    def _choice(self, primary: Address, replicas: Iterable[Address]) -> tuple[Address, ...]:
        usable = sorted(each for each in replicas if self.may_be_read(primary, each))
        match self.config.read_from:
            case "nearest":
                nearest = self._nearest_of(primary, usable)
                return () if nearest == primary else (nearest,)
            case "same-zone":
                zone = self.config.zone
                return tuple(
                    each for each in usable if self.seen[each].fields.get("availability_zone") == zone
                )
            case _:
                return tuple(usable)

    def _nearest_of(self, primary: Address, replicas: Iterable[Address]) -> Address:
        times = {
            each: self.seen[each].answer_time
            for each in (primary, *replicas)
            if each in self.seen and self.seen[each].fields
        }
        best = min(times, key=times.__getitem__, default=primary)
        current = self._nearest.get(primary, primary)
        if current in times:
            gain = times[current] - times[best]
            if gain < LEAST_GAIN or times[best] > CLEARLY_FASTER * times[current]:
                best = current
        self._nearest[primary] = best
        return best

    def gone_ahead(self, slot: int) -> None:
        """A primary has said ASK: keys of this slot are elsewhere already, and its replicas may not know."""
        known = slot in self._ahead
        self._ahead[slot] = self.topology.refreshes
        if not known:
            self._fill_tables()

    def links_changed(self, link: Upstream) -> None:
        self._fill_tables()
        if link.state_name == "up":
            self._wake.set()

    def fill(self) -> None:
        """Choose anew, and tell the table of the hot path if that makes a difference."""
        chosen = {
            primary: choice
            for primary, replicas in self.topology.replicas.items()
            if (choice := self._choice(primary, replicas))
        }
        current = {slot: at for slot, at in self._ahead.items() if self.topology.refreshes < at + 2}
        if chosen != self.chosen or current.keys() != self._ahead.keys():
            self.chosen, self._ahead = chosen, current
            self._fill_tables()

    def map_changed(self) -> None:
        self._fill_tables()
        self._wake.set()

    def _fill_tables(self) -> None:
        numbers = {primary: number for number, primary in enumerate(self.chosen, 1)}
        by_slot = array("H", bytes(2 * SLOT_COUNT))
        elsewhere = self.topology.leaving | self._ahead.keys()
        for slot, owner in enumerate(self.topology.owners):
            if owner in numbers and slot not in elsewhere:
                by_slot[slot] = numbers[owner]
        for slots, links in self._kept:
            readers = [
                [
                    tuple(filter(None, (links.up(each, version) for each in choice)))
                    for choice in self.chosen.values()
                ]
                for version in (2, 3)
            ]
            slots.read_from(*readers, by_slot.tobytes())

    # Telling

    def facts(self) -> dict[str, str]:
        """Fields of INFO, one per replica."""
        facts: dict[str, str] = {}
        for primary, replicas in sorted(self.topology.replicas.items()):
            for replica in sorted(replicas):
                seen = self.seen.get(replica) or Seen()
                links = [link for version in (2, 3) if (link := self.links.up(replica, version))]
                facts[f"replica{len(facts)}"] = (
                    f"addr={replica[0]}:{replica[1]},of={primary[0]}:{primary[1]},"
                    f"read={int(bool(links) and replica in self.chosen.get(primary, ()))},"
                    f"lag_bytes={seen.behind(self.seen.get(primary) or Seen())},lag_seconds={seen.silence},"
                    f"answer_usec={int(seen.answer_time * 1e6)},"
                    f"zone={seen.fields.get('availability_zone', '')},"
                    f"requests={sum(link.requests for link in links)}"
                )
        return facts
