"""SCAN over the whole cluster by one cursor, which stays good while slots move and workers fail over.

The walk goes through the slots in their order, 0 to 16383, whoever serves them. What is behind is done,
wherever it moves later; what is ahead is looked for, when we get there, at whoever serves it then. So only
the slot that the cursor is in needs care, and the cursor says all that is to be known of it: no state is
kept here, and another proxy can go on. As a number of 63 bits, from the lowest:

    14  slot
     1  whether we are at the node that the slot is moving to
    14  tag: a hash of the process whose cursor follows
    34  that process' own cursor inside of the slot

A cursor of a worker means something to that process alone: each hashes keys by a seed of its own. After a
failover, a restart or a move the tag fits nobody, and the slot is begun anew. That returns some of its keys
twice, which SCAN may do, and misses none.

A worker says nothing when it is asked to scan a slot that has left it; it just finds nothing. So, before a
slot counts as done, its worker is asked about a key there that does not exist. It answers 0 if it has served
the slot until now; MOVED says that the slot is to be begun anew at its new owner; ASK that some keys have
gone ahead to the next one, which is scanned then, after the old one, so that a key on its way is met at one
of the two. (A slot that leaves and comes back between two questions is not noticed.)

Workers walk in three ways. Shoal's cursors and those of servers that keep a table per slot (Redis from 7.4,
Valkey from 8) name the slot that they are in. An older server has one table of all its keys: of that, a walk
returns the keys of all slots that the server has in a row from here on, and begins anew if these change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from node.core.key_slot import key_slot
from node.errors import CLUSTERDOWN_UNBOUND, ReplyError
from node.keyspace.glob import fixed_slot
from node.replies import Verbatim
from proxy.requests.codec import decode_reply, encode_request
from proxy.requests.questions import ask_all
from proxy.requests.worker_info import parse
from proxy.workers.redirection import destination
from proxy.workers.topology import SLOT_COUNT, parse_nodes

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.core.upstream import Upstream
    from proxy.requests.commands import Commands

STEPS = 200
"""Requests to workers in search of a first key, before the client gets an empty answer and may go on"""
ASKED_SINGLY = 32
"""Slots about which a worker is asked one by one; of more it is asked for its whole map"""
INNER_BITS = 34
PAUSE = 0.1
"""Seconds before a worker in trouble is asked again; STEPS of them are more than a failover takes"""
TROUBLE = ("CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "ERR upstream connection lost")
INVALID_CURSOR = ReplyError("ERR invalid cursor")


class Position(NamedTuple):
    slot: int
    inner: int = 0
    tag: int = 0
    moving: bool = False
    """At the node that the slot is moving to; what its owner still had is done"""

    @classmethod
    def unpack(cls, cursor: bytes) -> Position:
        """Raises ReplyError for what is no number of 64 bits. Redis takes any such number; so do we."""
        if not cursor.isdigit() or len(cursor) > 20 or int(cursor) >> 64:
            raise INVALID_CURSOR
        number = int(cursor)
        inner = number >> 29 & (1 << INNER_BITS) - 1
        return cls(number & 0x3FFF, inner, number >> 15 & 0x3FFF, bool(number >> 14 & 1))

    def pack(self) -> int:
        return self.slot | self.moving << 14 | self.tag << 15 | self.inner << 29


class Walker(NamedTuple):
    """How one worker's process walks. `slot_shift` and `inner_shift` place the parts of its cursors."""

    run_id: bytes
    by_slot: bool
    slot_shift: int = 0
    inner_shift: int = 0

    @classmethod
    def of(cls, info: str) -> Walker:
        """From INFO server."""
        fields = parse(info).get("Server", {})
        run_id = fields.get("run_id", "").encode()
        if "shoal_version" in fields:
            return cls(run_id, True, slot_shift=32)
        version = fields.get("valkey_version") or fields.get("redis_version", "0")
        newest = (8,) if "valkey_version" in fields else (7, 4)
        by_slot = tuple(int(word) for word in version.split(".")[:2] if word.isdigit()) >= newest
        return cls(run_id, by_slot, inner_shift=14)

    def cursor(self, slot: int, inner: int) -> int:
        return slot << self.slot_shift | inner << self.inner_shift if self.by_slot else inner

    def position(self, cursor: int, slot: int) -> tuple[int, int]:
        """(slot, inner) of a cursor that it returned."""
        if not self.by_slot:
            return slot, cursor
        if self.slot_shift:
            return cursor >> self.slot_shift, cursor & (1 << self.slot_shift) - 1
        return cursor & (1 << self.inner_shift) - 1, cursor >> self.inner_shift

    def tag(self, last: int) -> int:
        """Of a walk that ends with the slot `last`; only one over a single table depends on that."""
        return key_slot(self.run_id if self.by_slot else b"%b %d" % (self.run_id, last))


class Stretch(NamedTuple):
    keys: list[bytes]
    slot: int
    inner: int
    """Where the worker goes on; (last + 1, 0) when it is through"""


class Scan:
    """One SCAN of one client."""

    def __init__(self, commands: Commands, client: Client, argv: Sequence[bytes]) -> None:
        self.pool = commands.pool
        self.topology = commands.topology
        self.slots = commands.slots
        self.failover = commands.pool.failover
        self.resp = client.resp
        self.name, cursor, *self.options = argv
        self.begin = Position.unpack(cursor)
        pairs = zip(self.options[::2], self.options[1::2], strict=False)
        given = {name.upper(): value for name, value in pairs}
        count = given.get(b"COUNT", b"10")
        self.count = max(1, int(count)) if count.isdigit() else 1
        self.only = fixed_slot(given[b"MATCH"]) if b"MATCH" in given else None
        """The slot of all keys that MATCH accepts, if it is one"""

    async def run(self) -> Any:
        """[cursor, keys]. Raises ReplyError."""
        position: Position | None = self.begin
        if self.only is not None and self.begin.slot != self.only:
            position = Position(self.only) if self.begin.slot < self.only else None
        found: list[bytes] = []
        for _ in range(STEPS):
            if position is None or len(found) >= self.count or (found and not self._begins_range(position)):
                break
            owner = self.slots.find(position.slot, self.resp)
            if owner is None:
                raise CLUSTERDOWN_UNBOUND
            keys, position = await self._step(owner, position)
            found += keys
            if position is not None and position.slot > (SLOT_COUNT - 1 if self.only is None else self.only):
                position = None
        return [b"%d" % (position.pack() if position else 0), found]

    def _begins_range(self, position: Position) -> bool:
        """Is it where another worker begins? A walk goes on there, if COUNT keys have not been met yet."""
        owners = self.topology.owners
        slot = position.slot
        return not position.inner and not position.moving and owners[slot] != owners[slot - 1]

    async def _step(self, owner: Upstream, position: Position) -> tuple[list[bytes], Position]:
        """The next keys, and where they end. While a worker cannot serve, the same position is returned."""
        try:
            return await (self._at_importer if position.moving else self._at_owner)(owner, position)
        except ReplyError as error:
            troubled = error.text.startswith(TROUBLE) and self.failover.may_wait(owner)
            if not troubled:
                raise
        self.topology.refresh_soon()
        await asyncio.sleep(PAUSE)
        return [], position

    async def _at_owner(self, owner: Upstream, position: Position) -> tuple[list[bytes], Position]:
        last = self._end_of_range(position.slot)
        walker = await self._walker(owner)
        stretch = await self._walk(owner, walker, position, last)
        if stretch is None:
            return [], position
        tag = walker.tag(last) if stretch.inner else 0
        reached = Position(stretch.slot, stretch.inner, tag)
        if reached.slot == position.slot:
            return stretch.keys, reached
        doubtful, moving = await self._first_doubtful(owner, position.slot, reached.slot - 1)
        if doubtful is None:
            return stretch.keys, reached
        if moving and doubtful == position.slot:
            return _up_to(doubtful, stretch.keys), Position(doubtful, moving=True)
        return _up_to(doubtful - 1, stretch.keys), Position(doubtful)

    async def _at_importer(self, owner: Upstream, position: Position) -> tuple[list[bytes], Position]:
        """The keys of a moving slot that have gone ahead."""
        slot = position.slot
        (reply,) = await ask_all(owner, [_about(slot)])
        where = destination(reply[:-2], (owner.host, owner.port))
        if where is None or not where.asking:
            if where is not None:
                self.topology.moved(slot, where.address)
            elif reply[:1] == b"-":
                raise decode_reply(reply)
            return [], position._replace(moving=False)  # it has arrived, or will not: its owner has all
        importer = self.pool.get(where.address, self.resp)
        walker = await self._walker(importer)
        stretch = await self._walk(importer, walker, position, slot)
        if stretch is None:
            return [], position
        if stretch.slot > slot:
            return stretch.keys, Position(slot + 1)
        return stretch.keys, Position(slot, stretch.inner, walker.tag(slot), moving=True)

    async def _walk(self, worker: Upstream, walker: Walker, position: Position, last: int) -> Stretch | None:
        """One SCAN of one worker, up to the slot `last`. None if another process has answered."""
        inner = position.inner
        if inner and position.tag != walker.tag(last):
            inner = 0
            self.topology.refresh_soon()  # perhaps our map is old, and this would not end before it is new
        cursor = b"%d" % walker.cursor(position.slot, inner)
        (reply,) = await ask_all(worker, [encode_request([self.name, cursor, *self.options])])
        value = decode_reply(reply)
        if isinstance(value, ReplyError):
            raise value
        if worker.worker is not walker:
            return None
        slot, inner = walker.position(int(value[0]), position.slot)
        if value[0] == b"0" or slot > last:
            slot, inner = last + 1, 0
        if inner >> INNER_BITS:
            raise ReplyError(f"ERR the cursor of {worker!r} is too long")
        keys = [key for key in value[1] if position.slot <= key_slot(key) <= last]
        return Stretch(keys, slot, inner)

    def _end_of_range(self, slot: int) -> int:
        """The last slot of those from `slot` on that have the same owner."""
        owners = self.topology.owners
        last = slot
        while last + 1 < SLOT_COUNT and owners[last + 1] == owners[slot]:
            last += 1
        return last

    async def _walker(self, worker: Upstream) -> Walker:
        """Asked once per connection."""
        walker: Walker | None = worker.worker
        if walker is None:
            (reply,) = await ask_all(worker, [encode_request([b"INFO", b"server"])])
            value = decode_reply(reply)
            if isinstance(value, ReplyError):
                raise value
            text = value.text if isinstance(value, Verbatim) else value
            walker = worker.worker = Walker.of(text.decode())
        return walker

    async def _first_doubtful(self, owner: Upstream, first: int, last: int) -> tuple[int | None, bool]:
        """(the first of these slots that `owner` does not serve alone, None if it serves all; whether that
        slot is on its way to another). Raises ReplyError."""
        if last - first < ASKED_SINGLY:
            singly, questions = list(range(first, last + 1)), []
        else:
            singly, questions = [first], [encode_request([b"CLUSTER", b"NODES"])]
        replies = await ask_all(owner, [*map(_about, singly), *questions])
        for slot, reply in zip(singly, replies, strict=False):
            where = destination(reply[:-2], (owner.host, owner.port))
            if where is not None:
                if not where.asking:
                    self.topology.moved(slot, where.address)
                return slot, where.asking
            if reply[:1] == b"-":
                raise decode_reply(reply)
        return (self._doubtful_by_map(owner, replies[-1], first, last), False) if questions else (None, False)

    def _doubtful_by_map(self, owner: Upstream, reply: bytes, first: int, last: int) -> int | None:
        value = decode_reply(reply)
        if isinstance(value, ReplyError):
            raise value
        text = value.text if isinstance(value, Verbatim) else value
        views = parse_nodes(text.decode(), (owner.host, owner.port))
        (myself,) = (view for view in views if "myself" in view.flags)
        served = {slot for low, high in myself.ranges for slot in range(low, high + 1)} - myself.leaving
        doubtful = next((slot for slot in range(first, last + 1) if slot not in served), None)
        if doubtful is not None:
            self.topology.refresh_soon()
        return doubtful


def _up_to(last: int, keys: Sequence[bytes]) -> list[bytes]:
    return [key for key in keys if key_slot(key) <= last]


@cache
def _endings() -> dict[int, bytes]:
    """Slot -> two bytes that put a key of PROBE and them there. CRC16 maps them one to one to all 16-bit
    values, so each slot has four such pairs."""
    found: dict[int, bytes] = {}
    for number in range(1 << 16):
        ending = number.to_bytes(2, "big")
        found.setdefault(key_slot(PROBE + ending), ending)
    return found


PROBE = b"\x00shoal-scan\x00"
"""No key begins like this."""


def _about(slot: int) -> bytes:
    """A question that tells whether the asked worker serves `slot`."""
    return encode_request([b"EXISTS", PROBE + _endings()[slot]])
