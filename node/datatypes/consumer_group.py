"""Consumer groups of streams: how far a group has read, what it has not acknowledged yet, and who has it.

An entry delivered to a consumer is pending until it is acknowledged, even if it is deleted from the stream
meanwhile. Each pending entry belongs to one consumer of the group. Moments are Unix milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.datatypes.sorted_ids import SortedIds

NEVER = -1
"""As `Consumer.active_at`: nothing was ever delivered to it."""


class Pending:
    """An entry that was delivered and not acknowledged."""

    __slots__ = ("consumer", "delivered_at", "deliveries")

    def __init__(self, consumer: Consumer, delivered_at: int, deliveries: int) -> None:
        self.consumer = consumer
        self.delivered_at = delivered_at
        """When it was last delivered or claimed."""
        self.deliveries = deliveries


class Consumer:
    __slots__ = ("active_at", "name", "pending", "seen_at")

    def __init__(self, name: bytes, seen_at: int, active_at: int = NEVER) -> None:
        self.name = name
        self.seen_at = seen_at
        """When it last asked for entries."""
        self.active_at = active_at
        """When it last got some."""
        self.pending = SortedIds()


class Group:
    __slots__ = ("_order", "consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: int, entries_read: int | None = None) -> None:
        self.last_id = last_id
        """The last entry delivered: "new" is what comes after it."""
        self.entries_read = entries_read
        """How many entries were added up to `last_id`; None when that cannot be told."""
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: dict[int, Pending] = {}
        self._order = SortedIds()

    def copy(self) -> Group:
        made = Group(self.last_id, self.entries_read)
        for consumer in self.consumers.values():
            twin = Consumer(consumer.name, consumer.seen_at, consumer.active_at)
            twin.pending = SortedIds(consumer.pending)
            made.consumers[consumer.name] = twin
        for entry_id, each in self.pending.items():
            owner = made.consumers[each.consumer.name]
            made.pending[entry_id] = Pending(owner, each.delivered_at, each.deliveries)
        made._order = SortedIds(self._order)
        return made

    # --- consumers -----------------------------------------------------------------------------------

    def sorted_consumers(self) -> list[Consumer]:
        """By name, as Redis lists them."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def add_consumer(self, name: bytes, now: int) -> Consumer:
        consumer = self.consumers[name] = Consumer(name, now)
        return consumer

    def remove_consumer(self, name: bytes) -> int | None:
        """Remove a consumer and what it has pending; returns how much that was, None if there was none."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return None
        for entry_id in consumer.pending:
            del self.pending[entry_id]
            self._order.remove(entry_id)
        return len(consumer.pending)

    # --- pending entries -----------------------------------------------------------------------------

    @property
    def pending_ids(self) -> SortedIds:
        return self._order

    def assign(self, entry_id: int, consumer: Consumer, delivered_at: int, deliveries: int) -> None:
        """Make an entry pending for `consumer`, whoever had it before."""
        each = self.pending.get(entry_id)
        if each is None:
            self.pending[entry_id] = Pending(consumer, delivered_at, deliveries)
            self._order.add(entry_id)
            consumer.pending.add(entry_id)
            return
        if each.consumer is not consumer:
            each.consumer.pending.remove(entry_id)
            consumer.pending.add(entry_id)
            each.consumer = consumer
        each.delivered_at = delivered_at
        each.deliveries = deliveries

    def acknowledge(self, entry_id: int) -> bool:
        """The entry is no longer pending. False if it was not."""
        each = self.pending.pop(entry_id, None)
        if each is None:
            return False
        self._order.remove(entry_id)
        each.consumer.pending.remove(entry_id)
        return True

    def pending_between(
        self, start: int, end: int, consumer: Consumer | None = None
    ) -> Iterator[tuple[int, Pending]]:
        """(id, pending) with ids start..end, both included, of one consumer or of all."""
        ids = self._order if consumer is None else consumer.pending
        for entry_id in ids.since(start):
            if entry_id > end:
                return
            yield entry_id, self.pending[entry_id]
