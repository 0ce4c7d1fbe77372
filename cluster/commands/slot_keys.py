"""What Valkey added about slots: CLUSTERSCAN and CLUSTER FLUSHSLOT.

CLUSTERSCAN walks over the keys of the whole cluster. The hash tag of its cursor says which node goes on:
`<table>-{<tag>}-<position>`, where the tag is the slot's, and the position means something only to tables
that are ordered as those it was found in. That is what `<table>` is for, 0 at the beginning of a slot. One
walk ends where the slots of a node do, and the cursor leads to the next.

Slots move here key by key, as in Redis (SETSLOT and MIGRATE), so there never is a migration in the sense of
GETSLOTMIGRATIONS. FLUSHSLOT tells replicas the names of the keys: only Valkey's would know the command.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from cluster.commands.common import cluster_command, misused, parse_slot
from cluster.slot_tags import tag_of
from cluster.slots import SLOT_COUNT
from node.core.database import Database
from node.core.key_slot import key_slot
from node.core.slot_transfer import transfer_slots
from node.errors import ReplyError
from node.handlers.arguments import Options
from node.handlers.key_scan import KeyScan
from node.handlers.server import flushes_lazily
from node.keyspace import events
from node.replies import NO_REPLY, OK

if TYPE_CHECKING:
    from cluster.member import Member

_INVALID_CURSOR: Final = ReplyError("ERR Invalid cursor")
_SLOT_TWICE: Final = ReplyError("ERR SLOT option can only be specified once")
_OTHER_SLOT: Final = ReplyError("ERR Cursor slot mismatch with SLOT argument")

_CURSOR: Final = re.compile(rb"([^-{}]*)-\{[^{}]+\}-([0-9]{1,20})")
_ANY_TABLE: Final = b"0"
_OURS: Final = b"%x" % (hash(b"the order of our tables") & 0xFFFFFFFF)
"""Tables are ordered by keyed hashes, and so is this, by the same key."""
_POSITIONS: Final = 1 << 32
KEYS_AT_ONCE: Final = 100
"""That one DEL tells replicas of."""


@cluster_command("clusterscan")
def clusterscan(member: Member, ctx: Any, args: list[bytes]) -> list[Any]:
    """[next cursor, keys]; both the first cursor and the last is 0."""
    found = _CURSOR.fullmatch(args[0])
    if found is None and args[0] != b"0":
        raise _INVALID_CURSOR
    wanted, only_slot = _options(args)
    if found is None:
        return [_beginning(only_slot or 0), []]
    slot, position = int(key_slot(args[0])), int(found[2])
    if only_slot not in (None, slot):
        raise _OTHER_SLOT
    if found[1] != _OURS or position >= _POSITIONS:
        position = 0
    last = slot if only_slot is not None else _end_of_range(member, slot)
    following, keys = ctx.db.scan(slot << 32 | position, wanted.count)
    at = following >> 32
    if following and at <= last:
        cursor = b"%s-{%s}-%d" % (_OURS, tag_of(at), following % _POSITIONS)
    else:
        keys = [key for key in keys if key_slot(key) <= last]
        ends = only_slot is not None or last == SLOT_COUNT - 1
        cursor = b"0" if ends else _beginning(last + 1)
    return [cursor, wanted.chosen(ctx.db, keys)]


def _options(args: list[bytes]) -> tuple[KeyScan, int | None]:
    wanted, slot = KeyScan(), None
    options = Options(args, start=1)
    for word in options:
        if word != b"SLOT":
            wanted.take(word, options)
        elif slot is not None:
            raise _SLOT_TWICE
        else:
            slot = parse_slot(options.value())
    return wanted, slot


def _beginning(slot: int) -> bytes:
    return b"%s-{%s}-0" % (_ANY_TABLE, tag_of(slot))


def _end_of_range(member: Member, slot: int) -> int:
    """The last of the slots from this one on that have the same owner."""
    owners = member.coordinator.topology.slots
    while slot + 1 < SLOT_COUNT and owners[slot + 1] is owners[slot]:
        slot += 1
    return slot


@cluster_command("cluster|flushslot")
def flushslot(member: Member, ctx: Any, args: list[bytes]) -> Any:
    """FLUSHSLOT slot [ASYNC|SYNC]. Nobody sees any of the keys from here on; with SYNC the reply waits until
    they are freed."""
    slot = parse_slot(args[0])
    if len(args) > 2:
        raise misused(ctx)
    lazily = flushes_lazily(ctx, args[1:])
    emptied = [_take_out(ctx, db, slot) for db in ctx.worker.databases if db.count_in_slot(slot)]
    ctx.propagate()
    graveyard = ctx.worker.graveyard
    if not lazily and not ctx.replicated:
        return NO_REPLY if graveyard.empty_for(ctx, emptied) else OK
    for db in emptied:
        graveyard.empty(db, True)
    return OK


def _take_out(ctx: Any, db: Any, slot: int) -> Database:
    """The keys of a slot in a database of their own, when all have been told that they are deleted."""
    names = [[key for key, _ in db.cold_records(slot)]] if db.cold is not None else []
    gone = Database(db.index)
    gone.on_left = db.on_left
    keys = transfer_slots(db, gone, slot, slot, keeps=False)
    if ctx.engine.observed or (ctx.worker.trail.enabled and not ctx.replicated):
        _tell(ctx, gone, itertools.chain(names, gone.key_lists(slot, KEYS_AT_ONCE)))
    else:
        ctx.engine.dirty += keys
    return gone


def _tell(ctx: Any, gone: Database, names: Iterable[list[bytes]]) -> None:
    session = ctx.worker.internal_session()
    session.db = gone
    for keys in names:
        for key in keys:
            session.changed(key, events.DEL)
        if keys and not ctx.replicated:
            ctx.worker.trail.add(gone.index, [b"DEL", *keys])
