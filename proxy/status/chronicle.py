"""What has happened to the cluster's nodes and slots, as this proxy came to know it.

Fed with every layout of the topology, whether or not somebody looks, and kept in memory: the last EVENTS. A
failover is told with what it meant here: how long the slots' clients waited, from the first request that had
no answer until the successor was known.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from proxy.workers.dialogue import Address
from proxy.workers.topology import Layout

EVENTS = 200
SAME_MOVE = 60.0
"""Seconds within which slots that move between the same nodes are one event."""
LOOKED_BACK = 8
"""Events among which such an event is looked for."""


@dataclass(frozen=True)
class Event:
    """`what`: failover, moved, unserved, served, failed, back, joined or left. `node` is whom it happened to,
    the former owner of slots; `other` the new one."""

    at: float
    """Unix time"""
    what: str
    node: Address | None = None
    other: Address | None = None
    slots: int = 0
    seconds: float | None = None
    """... that requests have waited, if any did"""


class Chronicle:
    def __init__(self, trouble: Callable[[Address], float | None]) -> None:
        """`trouble` tells for how many seconds requests for a worker have been waiting."""
        self._trouble = trouble
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._last: Layout | None = None

    @property
    def events(self) -> list[Event]:
        """The latest first."""
        return list(reversed(self._events))

    def saw(self, layout: Layout, at: float) -> None:
        """The cluster looks like that now."""
        last, self._last = self._last, layout
        if last is None:
            return
        self._note_nodes(at, "failed", layout.failed - last.failed)
        if layout.owners != last.owners:
            self._note_owners(last, layout, at)
        self._note_nodes(at, "back", (last.failed - layout.failed) & layout.nodes)
        gone = last.nodes - layout.nodes - layout.failed
        self._note_nodes(at, "left", gone)
        self._note_nodes(at, "joined", layout.nodes - last.nodes - last.failed)

    def _note_nodes(self, at: float, what: str, nodes: Iterable[Address]) -> None:
        for node in sorted(nodes):
            self._events.append(Event(at, what, node))

    def _note_owners(self, last: Layout, layout: Layout, at: float) -> None:
        pairs = zip(last.owners, layout.owners, strict=True)
        for (former, owner), slots in Counter(pair for pair in pairs if pair[0] != pair[1]).items():
            if owner is None:
                self._events.append(Event(at, "unserved", former, slots=slots))
            elif former is None:
                self._events.append(Event(at, "served", other=owner, slots=slots))
            elif owner in last.replicas.get(former, ()):
                self._events.append(Event(at, "failover", former, owner, slots, self._trouble(former)))
            else:
                self._note_move(Event(at, "moved", former, owner, slots))

    def _note_move(self, event: Event) -> None:
        """Slots that move one by one are one event."""
        first = max(0, len(self._events) - LOOKED_BACK)
        for index in range(len(self._events) - 1, first - 1, -1):
            before = self._events[index]
            same = (before.what, before.node, before.other) == (event.what, event.node, event.other)
            if same and event.at - before.at < SAME_MOVE:
                del self._events[index]
                event = replace(event, slots=event.slots + before.slots)
                break
        self._events.append(event)
