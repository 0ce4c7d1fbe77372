"""Stream: an append-only log of entries with ascending ids, and the groups that read it together.

Entries live in packed nodes (node/core/stream_node.pyx), found by bisection of the nodes' master ids. A node
is closed when it has `stream_node_max_bytes` or `stream_node_max_entries`; trimming "about" a length drops
whole nodes only. An empty stream remains a value: its last id and its groups matter.

What a group has still to read (its lag) is `entries_added` less what it has read. The count of what it has
read is known as long as no entry was deleted in between, which `max_deleted` tells; else it is estimated at
the ends of the stream, and unknown in its middle. Source: t_stream.c of Redis 7.2 and later.

A group refers to an entry that it has still to read, or has read and not acknowledged. What becomes of that
when the entry goes is `References`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, Final

from node.core.stream_head import StreamHead
from node.core.stream_node import Node
from node.datatypes import stream_id
from node.datatypes.consumer_group import Group
from node.datatypes.limits import limits
from node.datatypes.radix_tree import count_nodes

NODE_OVERHEAD: Final = 120
"""Bytes that a node takes beside its listpack: objects and their places in lists."""
CONSUMER_BYTES: Final = 320
PENDING_BYTES: Final = 144
"""Bytes of an entry that is pending, in the indexes of its group and its consumer."""


class References(Enum):
    """What an entry that is to go means to the groups, by Redis' words for it."""

    KEEP = b"KEEPREF"
    """It goes, and stays pending where it is."""
    DROP = b"DELREF"
    """It goes, and is no longer pending anywhere."""
    RESPECT = b"ACKED"
    """It stays as long as a group refers to it."""


class Stream(StreamHead):
    __slots__ = ()

    type_name = "stream"
    encoding = "stream"

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._masters: list[int] = []
        """Master ids of the nodes, which are what a search bisects."""
        self.length = 0
        self.last_id = stream_id.MIN
        """The highest id ever given, or what XSETID made of it."""
        self.max_deleted = stream_id.MIN
        """The highest id that XDEL removed. Trimming does not count."""
        self.entries_added = 0
        """Since the stream exists."""
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def copy(self) -> Stream:
        made = Stream()
        made._nodes = [node.copy() for node in self._nodes]
        made._masters = self._masters[:]
        made.length = self.length
        made.last_id = self.last_id
        made.max_deleted = self.max_deleted
        made.entries_added = self.entries_added
        made.groups = {name: group.copy() for name, group in self.groups.items()}
        return made

    def allocated(self, samples: int) -> int:
        """Bytes of memory beside the object itself, judged by some nodes (0: all); groups are estimated."""
        looked_at = self._nodes[: samples or None]
        total = sum(node.allocated() for node in looked_at) * len(self._nodes) // max(len(looked_at), 1)
        for group in self.groups.values():
            total += CONSUMER_BYTES * len(group.consumers) + PENDING_BYTES * len(group.pending)
        return total + NODE_OVERHEAD * len(self._nodes)

    def dissolve(self, limit: int) -> int:
        """Free some `limit` nodes and pending entries of a value that nobody will look at again, but perhaps
        call this once more; returns how many it were, less than `limit` if little is left."""
        freed = len(self._nodes[-limit:])
        del self._nodes[-limit:]
        while self.groups and freed < limit:
            name, group = next(iter(self.groups.items()))
            pending = group.pending
            while pending and freed < limit:
                pending.popitem()
                freed += 1
            if not pending:
                del self.groups[name]
        return freed

    # --- adding --------------------------------------------------------------------------------------

    def next_id(self, now: int) -> int | None:
        """The id of an entry added at Unix ms `now`; None if there is none left."""
        if now > self.last_id >> 64:
            return stream_id.make(now, 0)
        return self.last_id + 1 if self.last_id < stream_id.MAX else None

    def next_id_in(self, milliseconds: int) -> int | None:
        """The next id within a millisecond that the caller chose; None if it is past or full."""
        candidate = max(self.last_id + 1, stream_id.make(milliseconds, 0))
        return candidate if candidate >> 64 == milliseconds else None

    def append(self, entry_id: int, pairs: list[bytes]) -> None:
        """Add an entry with an id above `last_id`. `pairs`: field, value, field, value …

        OverflowError, before anything is changed, for more than a stream can hold.
        """
        tail = self._nodes[-1] if self._nodes else None
        if tail is None or not tail.has_room(
            pairs, limits.stream_node_max_bytes, limits.stream_node_max_entries
        ):
            if tail is not None:
                tail.close()
            tail = Node(entry_id, pairs)
            self._nodes.append(tail)
            self._masters.append(entry_id)
        tail.append(entry_id, pairs)
        self.length += 1
        self.entries_added += 1
        self.last_id = entry_id

    def load_node(self, node: Node) -> None:
        """Add a node read from a file, behind the last. ValueError if it does not belong there."""
        if self._nodes and node.first_id <= self._nodes[-1].last_id:
            raise ValueError("stream nodes out of order")
        self._nodes.append(node)
        self._masters.append(node.master)
        self.length += node.live

    # --- reading -------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """In order; not to be changed."""
        return self._nodes

    @property
    def tree_nodes(self) -> int:
        """Nodes of Redis' radix tree over the nodes of this stream."""
        return count_nodes([master.to_bytes(16, "big") for master in self._masters])

    @property
    def first_id(self) -> int:
        """Id of the first entry, 0-0 where there is none."""
        return self._edge(self._nodes, last=False)

    @property
    def last_entry_id(self) -> int:
        """Id of the last entry there still is, 0-0 where there is none."""
        return self._edge(reversed(self._nodes), last=True)

    def _edge(self, nodes: Iterable[Node], last: bool) -> int:
        found = (node.edge(last) for node in nodes)
        return next((entry_id for entry_id in found if entry_id is not None), stream_id.MIN)

    def __contains__(self, entry_id: int) -> bool:
        node = self._node_of(entry_id)
        return node is not None and node.has(entry_id)

    def get(self, entry_id: int) -> list[bytes] | None:
        """field, value, field, value … of an entry."""
        node = self._node_of(entry_id)
        return None if node is None else node.find(entry_id)

    def entries(
        self,
        start: int = stream_id.MIN,
        end: int = stream_id.MAX,
        reverse: bool = False,
        count: int | None = None,
    ) -> Iterator[tuple[int, list[bytes]]]:
        """(id, pairs) of the entries start..end, both included, at most `count`.

        The stream must not change meanwhile.
        """
        left = self.length if count is None else count
        for node in self._nodes_between(start, end, reverse):
            found: list[tuple[int, list[bytes]]] = []
            left -= node.read(found, start, end, reverse, left, False)
            yield from found
            if not left:
                return

    def replies(
        self,
        start: int = stream_id.MIN,
        end: int = stream_id.MAX,
        reverse: bool = False,
        count: int | None = None,
    ) -> list[list[Any]]:
        """As `entries`, in lists, and with the ids' texts: what commands answer."""
        left = self.length if count is None else count
        found: list[list[Any]] = []
        for node in self._nodes_between(start, end, reverse):
            left -= node.read(found, start, end, reverse, left, True)
            if not left:
                break
        return found

    def _nodes_between(self, start: int, end: int, reverse: bool) -> Iterator[Node]:
        """The nodes that may hold entries of a range."""
        first = max(0, bisect_right(self._masters, start) - 1)
        numbers = range(first, bisect_right(self._masters, end))
        return map(self._nodes.__getitem__, reversed(numbers) if reverse else numbers)

    # --- removing ------------------------------------------------------------------------------------

    def delete(self, entry_id: int) -> bool:
        """Remove one entry. False if there is none."""
        node = self._node_of(entry_id)
        if node is None or not node.delete(entry_id):
            return False
        if not node.live:
            number = bisect_right(self._masters, entry_id) - 1
            del self._nodes[number], self._masters[number]
        self.length -= 1
        self.max_deleted = max(self.max_deleted, entry_id)
        return True

    def trim_to_length(self, most: int, exact: bool, limit: int = 0) -> int:
        """Drop the oldest entries down to `most`; returns how many were dropped.

        Not exact: only nodes of which no entry need stay. `limit`: entries to drop at most, by whole nodes;
        0 for all.
        """
        dropped = self._drop_nodes(lambda node, length: length - node.live >= most, most, limit)
        if exact and self.length > most and self._nodes:
            dropped += self._drop_from_head(self.length - most, stream_id.MAX)
        return dropped

    def trim_below(self, lowest: int, exact: bool, limit: int = 0) -> int:
        """Drop the entries with ids below `lowest`; otherwise as `trim_to_length`."""
        dropped = self._drop_nodes(lambda node, _: node.last_id < lowest, 0, limit)
        if exact and self._nodes and lowest:
            dropped += self._drop_from_head(self.length, lowest - 1)
        return dropped

    def trim_by_entry(self, most: int, highest: int, references: References) -> int:
        """Drop the oldest entries up to the id `highest`, down to `most`, but not those that have to stay.

        What is not dropped does not end it: entries behind it go as well. Unlike `delete`, this leaves
        `max_deleted` alone, as all trimming does.
        """
        before, number = self.length, 0
        while number < len(self._nodes) and self.length > most:
            node = self._nodes[number]
            found: list[tuple[int, list[bytes]]] = []
            node.read(found, stream_id.MIN, highest, False, node.live, False)
            if not found:
                break
            for entry_id, _ in found:
                if self.length <= most:
                    break
                if references is References.RESPECT and self.is_referred_to(entry_id):
                    continue
                if references is References.DROP:
                    self.drop_references(entry_id)
                node.delete(entry_id)
                self.length -= 1
            if node.live:
                number += 1
            else:
                del self._nodes[number], self._masters[number]
        return before - self.length

    def _drop_nodes(self, goes: Callable[[Node, int], bool], most: int, limit: int) -> int:
        dropped = count = 0
        length = self.length
        for node in self._nodes:
            if length <= most or (limit and dropped + node.live > limit) or not goes(node, length):
                break
            length -= node.live
            dropped += node.live
            count += 1
        del self._nodes[:count], self._masters[:count]
        self.length = length
        return dropped

    def _drop_from_head(self, count: int, highest: int) -> int:
        """Mark up to `count` entries of the first node up to the id `highest` as deleted."""
        deleted = self._nodes[0].delete_first(count, highest)
        self.length -= deleted
        return deleted

    def _node_of(self, entry_id: int) -> Node | None:
        number = bisect_right(self._masters, entry_id) - 1
        return self._nodes[number] if number >= 0 else None

    # --- groups --------------------------------------------------------------------------------------

    def add_group(self, name: bytes, last_id: int, entries_read: int | None) -> Group | None:
        """None if there is a group of that name."""
        if name in self.groups:
            return None
        group = self.groups[name] = Group(last_id)
        self.set_entries_read(group, entries_read)
        return group

    def is_referred_to(self, entry_id: int) -> bool:
        groups = self.groups.values()
        return any(entry_id > group.last_id or entry_id in group.pending for group in groups)

    def drop_references(self, entry_id: int) -> int:
        """The entry is no longer pending in any group; returns in how many it was."""
        return sum(group.acknowledge(entry_id) for group in self.groups.values())

    def set_entries_read(self, group: Group, count: int | None) -> None:
        """Nobody has read more than there ever was."""
        group.entries_read = None if count is None else min(count, self.entries_added)

    def deliver(self, group: Group, entry_id: int) -> None:
        """A group reads an entry: it has come as far as that, if it was not further."""
        if entry_id <= group.last_id:
            return
        trimmed = group.last_id < self.first_id
        if group.entries_read is not None and not trimmed and not self._has_gap_after(group.last_id):
            group.entries_read += 1
        elif self.entries_added:
            group.entries_read = self.estimate_read(entry_id)
        group.last_id = entry_id

    def lag(self, group: Group) -> int | None:
        """How many entries the group has still to read; None when that cannot be told."""
        if not self.entries_added or not self.length:
            return 0
        first = self.first_id
        if group.last_id < first and self.max_deleted < first:
            return self.length
        if group.entries_read is not None and not self._has_gap_after(group.last_id):
            return self.entries_added - group.entries_read
        read = self.estimate_read(group.last_id)
        return None if read is None else self.entries_added - read

    def estimate_read(self, entry_id: int) -> int | None:
        """How many entries were ever added up to this id; None when that cannot be told."""
        if not self.entries_added:
            return 0
        if not self.length and entry_id <= self.last_id:
            return self.entries_added
        if entry_id and entry_id < self.max_deleted:
            return None
        if entry_id >= self.last_id:
            return self.entries_added if entry_id == self.last_id else None
        first = self.first_id
        if (not self.max_deleted or self.max_deleted < first) and entry_id <= first:
            return self.entries_added - self.length + (entry_id == first)
        return None

    def _has_gap_after(self, entry_id: int) -> bool:
        """Whether an entry was deleted among those from `entry_id` on."""
        if not self.length or not self.max_deleted or self.first_id > self.max_deleted:
            return False
        return entry_id <= self.max_deleted
