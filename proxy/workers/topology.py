"""The proxy's view of the cluster: who serves which slot, kept fresh.

Source is CLUSTER NODES, which every Redis, Valkey and shoal worker speaks, and which unlike CLUSTER SLOTS
tells the configuration epoch of each claim. A refresh asks a few nodes at once and believes, for each slot,
the claim of the highest epoch: a node cut off from the others, or one not yet told of a failover, cannot turn
the map back.

Refreshes happen on a timer, and at once when something suggests that the map is old: a MOVED, a lost
connection. While a worker that owns slots cannot be reached, they come more often.

While slots move the map changes some times a second, and clients wait for as long as a change takes. So each
address is one object, which makes comparing maps cheap, and what stays as it is is not touched.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from proxy.workers.dialogue import Address, Login, RemoteError, ask
from proxy.workers.worker_sockets import look_for_sockets

if TYPE_CHECKING:
    from proxy.core.routes import SlotMap
    from proxy.workers.upstreams import UpstreamPool

log = logging.getLogger("shoal.proxy")

SLOT_COUNT = 16384
ASKED_AT_ONCE = 3
ASK_TIMEOUT = 1.0
REFRESH_INTERVAL = 5.0
"""Seconds in the mean, so that many proxies do not ask all at once"""
TROUBLE_INTERVAL = 0.1
"""Between refreshes while slots are unserved or their worker is unreachable."""
REFRESH_GAP = 0.05
"""At least so long between two refreshes, however many MOVED there are."""


@dataclass(frozen=True)
class NodeView:
    """One line of CLUSTER NODES. `ranges` are (first, last) slots. Of slots in motion, only those `leaving`
    are kept, of which keys have gone ahead to another node; a node says so in its own line alone."""

    address: Address
    flags: frozenset[str]
    epoch: int
    ranges: tuple[tuple[int, int], ...]
    leaving: frozenset[int] = frozenset()
    id: str = ""
    primary: str = ""
    """Id of the node that it replicates; `-` for none"""

    @property
    def usable(self) -> bool:
        return self.address[1] != 0 and self.flags.isdisjoint(("fail", "noaddr", "handshake"))


def parse_nodes(text: str, asked: Address) -> list[NodeView]:
    """CLUSTER NODES as `asked` printed it. A node that does not know its own IP address is where we asked it.

    Raises ValueError for a text that is none.
    """
    views = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) < 8:
            raise ValueError(f"not a line of CLUSTER NODES: {line!r}")
        flags = frozenset(words[2].split(","))
        host, _, port = words[1].partition(",")[0].partition("@")[0].rpartition(":")
        if not host and "myself" in flags:
            host = asked[0]
        ranges = []
        leaving = []
        for word in words[8:]:
            if word.startswith("["):
                slot, leaves, _ = word[1:].partition("->-")
                if leaves:
                    leaving.append(int(slot))
            elif word:
                first, _, last = word.partition("-")
                ranges.append((int(first), int(last or first)))
        address = _address(host, int(port or 0))
        motion = frozenset(leaving)
        views.append(NodeView(address, flags, int(words[6]), tuple(ranges), motion, words[0], words[3]))
    return views


@lru_cache(maxsize=4096)
def _address(host: str, port: int) -> Address:
    """The same object for the same address."""
    return host, port


@dataclass(frozen=True)
class Layout:
    """What several views agree on: owner of each slot (None: nobody), and all nodes that can be asked."""

    owners: tuple[Address | None, ...]
    nodes: frozenset[Address]
    failed: frozenset[Address]
    replicas: dict[Address, frozenset[Address]]
    """... of each primary, of those that can be asked"""
    leaving: frozenset[int]
    """Slots of which keys have gone ahead to another node"""

    @classmethod
    def merge(cls, views: Iterable[Sequence[NodeView]]) -> Layout:
        """For each slot the claim with the highest epoch wins."""
        claims: list[NodeView] = []
        nodes: set[Address] = set()
        failed: set[Address] = set()
        leaving: set[int] = set()
        replicas: dict[Address, set[Address]] = {}
        for view in views:
            addresses = {node.id: node.address for node in view}
            for node in view:
                if node.usable:
                    nodes.add(node.address)
                if "fail" in node.flags:
                    failed.add(node.address)
                if node.usable and node.primary in addresses:
                    replicas.setdefault(addresses[node.primary], set()).add(node.address)
                leaving |= node.leaving
                if node.ranges:
                    claims.append(node)
        of_each = {primary: frozenset(found) for primary, found in replicas.items()}
        return cls(_owners(claims), frozenset(nodes), frozenset(failed), of_each, frozenset(leaving))


def _owners(claims: Sequence[NodeView]) -> tuple[Address | None, ...]:
    """Of each slot; of claims of the same epoch the first counts."""
    owners: list[Address | None] = [None] * SLOT_COUNT
    for node in sorted(reversed(claims), key=attrgetter("epoch")):  # the last to claim a slot has it
        for first, last in node.ranges:
            owners[first : last + 1] = [node.address] * (last + 1 - first)
    return tuple(owners)


class Topology:
    """Keeps SlotMaps like the cluster, in the task `run`: of every service one, with its pool of connections.
    `changed` is called after each change."""

    def __init__(
        self,
        seeds: Sequence[Address],
        login: Login,
        changed: Callable[[], None],
        looks_for_sockets: bool = False,
    ) -> None:
        self.seeds = list(seeds)
        self._kept: list[tuple[SlotMap, UpstreamPool]] = []
        self.login = login
        self.changed = changed
        self.looks_for_sockets = looks_for_sockets
        self.owners: list[Address | None] = [None] * SLOT_COUNT
        self.nodes: frozenset[Address] = frozenset()
        self.replicas: dict[Address, frozenset[Address]] = {}
        self.leaving: frozenset[int] = frozenset()
        """As Layout has them, of the last refresh"""
        self.successors: dict[Address, Address] = {}
        """Who has taken slots of whom since the last refresh"""
        self.seen: Callable[[Layout], None] | None = None
        """Told of every layout, before it is taken over (status/chronicle.py)"""
        self.refreshes = 0
        self.changes = 0
        self._wake = asyncio.Event()
        self._answered = True

    @property
    def primaries(self) -> frozenset[Address]:
        """Who owns slots."""
        return frozenset(address for address, _ in groupby(self.owners) if address is not None)

    @property
    def slots_served(self) -> int:
        return SLOT_COUNT - self.owners.count(None)

    def keep(self, slots: SlotMap, pool: UpstreamPool) -> None:
        """From now on keep these, too."""
        self._kept.append((slots, pool))
        _assign_all(slots, pool, self.owners)
        pool.forget_shards()
        pool.reconcile(self.nodes, frozenset(), self.primaries, {})

    def let_go(self, slots: SlotMap) -> None:
        self._kept = [kept for kept in self._kept if kept[0] is not slots]

    def refresh_soon(self) -> None:
        """The map may be old."""
        self._wake.set()

    def moved(self, slot: int, address: Address) -> None:
        """A worker says who serves `slot` now. Believed at once, and a reason to look at the whole."""
        if self.owners[slot] != address:
            self._assign(slot, address)
            self._tell_changed()
        self.refresh_soon()

    async def run(self) -> None:
        """Refresh for ever. Cancelled by whoever started it."""
        while True:
            self._wake.clear()
            await self.refresh()
            await asyncio.sleep(REFRESH_GAP)
            primaries = self.primaries
            troubled = self.slots_served < SLOT_COUNT or any(
                pool.has_unreachable(primaries) for _, pool in self._kept
            )
            try:
                interval = TROUBLE_INTERVAL if troubled else REFRESH_INTERVAL
                async with asyncio.timeout(interval * random.uniform(0.75, 1.25)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> bool:
        """Ask the cluster once and take over what it says. False if nobody answered."""
        candidates = [*random.sample(sorted(self.nodes), len(self.nodes))]
        candidates += [seed for seed in self.seeds if seed not in self.nodes]
        for start in range(0, len(candidates), ASKED_AT_ONCE):
            asked = candidates[start : start + ASKED_AT_ONCE]
            answers = await asyncio.gather(*map(self._view_of, asked))
            views = [view for view in answers if view]
            if views:
                self._answered = True
                layout = Layout.merge(views)
                if self.looks_for_sockets:
                    await look_for_sockets(layout.nodes, self.login)
                self._apply(layout)
                return True
        if self._answered:
            self._answered = False
            log.warning("no node of the cluster answers; asked %d", len(candidates))
        return False

    async def _view_of(self, address: Address) -> list[NodeView] | None:
        try:
            async with asyncio.timeout(ASK_TIMEOUT):
                text = await ask(address, self.login, b"CLUSTER", b"NODES")
            return parse_nodes(text.decode(), address)
        except RemoteError as error:
            return self._refused(address, error)
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            log.debug("%s:%d was asked for the cluster's nodes: %r", *address, error)
        return None

    def _refused(self, address: Address, error: RemoteError) -> list[NodeView] | None:
        """A server has answered CLUSTER NODES with an error: what that tells."""
        if self._answered:
            log.warning("%s:%d does not tell of its cluster: %s", *address, error)
        return None

    def _apply(self, layout: Layout) -> None:
        self.refreshes += 1
        if self.seen is not None:
            self.seen(layout)
        self.nodes, self.replicas, self.leaving = layout.nodes, layout.replicas, layout.leaving
        former = self.primaries
        changed = self._changed_slots(layout)
        for slot in changed:
            self._assign(slot, layout.owners[slot])
        primaries = self.primaries
        if changed:
            if primaries != former:
                self._assign_anew()
            self._tell_changed()
            log.info(
                "%d slots have new owners; %d of %d are served", len(changed), self.slots_served, SLOT_COUNT
            )
        for _, pool in self._kept:
            pool.reconcile(layout.nodes, layout.failed, primaries, self.successors)
        self.successors.clear()  # what is asked of a former owner from now on is meant for itself

    def _changed_slots(self, layout: Layout) -> list[int]:
        if layout.owners == tuple(self.owners):
            return []
        pairs = zip(layout.owners, self.owners, strict=True)
        return [slot for slot, (owner, former) in enumerate(pairs) if owner is not former and owner != former]

    def _assign_anew(self) -> None:
        """So that nothing is kept of those who own no slots any more."""
        for slots, pool in self._kept:
            slots.clear()
            _assign_all(slots, pool, self.owners)

    def _assign(self, slot: int, address: Address | None) -> None:
        former, self.owners[slot] = self.owners[slot], address
        if former is not None and address is not None and former != address:
            self.successors[former] = address
        for slots, pool in self._kept:
            _assign(slots, pool, slot, address)

    def _tell_changed(self) -> None:
        self.changes += 1
        for _, pool in self._kept:
            pool.forget_shards()
        self.changed()


def _assign_all(slots: SlotMap, pool: UpstreamPool, owners: Iterable[Address | None]) -> None:
    for slot, address in enumerate(owners):
        _assign(slots, pool, slot, address)


def _assign(slots: SlotMap, pool: UpstreamPool, slot: int, address: Address | None) -> None:
    if address is None:
        slots.assign(slot, None, None)
    else:
        slots.assign(slot, pool.get(address, 2), pool.get(address, 3))
