"""CLUSTER MIGRATESLOTS, GETSLOTMIGRATIONS, CANCELSLOTMIGRATIONS: whole slots that move at once; and CLUSTER
SYNCSLOTS, in which the two ends of such a move talk (cluster/migration).

Errors and their order are Valkey's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, parse_slot, text
from cluster.slots import NO_SLOTS, from_range, members
from cluster.topology.node import Node
from node import errors
from node.errors import ReplyError
from node.handlers.arguments import as_int
from node.replies import NO_REPLY, OK

if TYPE_CHECKING:
    from cluster.member import Member

Range = tuple[int, int]

ID_LENGTH = 40
NO_MIGRATIONS = ReplyError("ERR No migrations ongoing")
_BETWEEN_ENDS = ("snapshot-eof", "request-pause", "paused", "request-failover", "failover-granted", "ack")


@cluster_command("cluster|migrateslots")
def migrateslots(member: Member, ctx: Any, args: list[bytes]) -> str:
    """MIGRATESLOTS (SLOTSRANGE first last [first last ...] NODE node-id) ..."""
    check_can_start(member)
    exporting = member.migrations.exporting()
    moves: list[tuple[list[Range], Node]] = []
    wanted = NO_SLOTS
    position = 0
    while position < len(args):
        if args[position].upper() != b"SLOTSRANGE":
            raise errors.SYNTAX
        ranges, owner, position = parse_ranges(args, position + 1, member.coordinator.topology.slots)
        if owner is not member.coordinator.myself:
            raise ReplyError("ERR Slots are not served by this node.")
        slots = slots_of(ranges)
        for slot in members(slots & exporting):
            raise ReplyError(f"ERR I am already migrating slot {slot}.")
        if slots & wanted:
            raise ReplyError("ERR Slot ranges in migrations overlap")
        if position + 1 >= len(args) or args[position].upper() != b"NODE":
            raise errors.SYNTAX
        moves.append((ranges, _target(member, args[position + 1])))
        wanted |= slots
        position += 2
    for ranges, target in moves:
        job = member.migrations.export(ranges, target)
        ctx.worker.log.notice(
            f"Slot migration initiated through CLUSTER MIGRATESLOTS command: {job.description()}"
        )
    return OK


@cluster_command("cluster|getslotmigrations")
def getslotmigrations(member: Member, ctx: Any, args: list[bytes]) -> list[dict[bytes, Any]]:
    """The latest first, those that have ended included."""
    return [job.view() for job in member.migrations.listed()]


@cluster_command("cluster|cancelslotmigrations")
def cancelslotmigrations(member: Member, ctx: Any, args: list[bytes]) -> str:
    if not member.migrations.exporting():
        raise NO_MIGRATIONS
    member.migrations.cancel()
    return OK


@cluster_command("cluster|syncslots")
def syncslots(member: Member, ctx: Any, args: list[bytes]) -> Any:
    """ESTABLISH and FINISH also stand in the stream of our primary, and in the log; whatever else does was
    said to the primary alone."""
    word = args[0].decode("latin-1").lower()
    if word == "establish":
        return _establish(member, ctx, args[1:])
    if word == "finish":
        return _finish(member, args[1:])
    if ctx.replicated:
        return OK
    job = member.migrations.import_of(ctx)
    if job is not None:
        member.migrations.heard(job, word)
        return NO_REPLY
    if word == "capa":
        return NO_REPLY
    if word not in _BETWEEN_ENDS:
        raise errors.SYNTAX
    raise ReplyError(f"ERR CLUSTER SYNCSLOTS {word.upper()} should only be used by slot migration clients")


def _establish(member: Member, ctx: Any, args: list[bytes]) -> str:
    """ESTABLISH SOURCE node-id NAME name SLOTSRANGE first last [first last ...], in any order."""
    if not ctx.obeyed:
        check_can_start(member)
    source: Node | None = None
    owner: Node | None = None
    name = b""
    ranges: list[Range] = []
    position = 0
    while position < len(args):
        word = args[position].upper()
        if word in (b"SOURCE", b"NAME"):
            value = args[position + 1] if position + 1 < len(args) else b""
            if len(value) != ID_LENGTH or (source if word == b"SOURCE" else name):
                raise errors.SYNTAX
            position += 2
            if word == b"NAME":
                name = value
            elif not ctx.obeyed:
                source = _source(member, value)
        elif word == b"SLOTSRANGE" and not ranges:
            owners = None if ctx.obeyed else member.coordinator.topology.slots
            ranges, owner, position = parse_ranges(args, position + 1, owners)
            if member.migrations.importing() & slots_of(ranges):
                raise ReplyError("ERR Slot is already being imported on the target by a different migration")
        else:
            raise errors.SYNTAX
    if not name or not ranges:
        raise errors.SYNTAX
    if ctx.obeyed:
        member.migrations.track(name.decode("latin-1"), ranges)
        return OK
    if source is None:
        raise errors.SYNTAX
    if source is not owner:
        raise ReplyError("ERR Target node does not agree about current slot ownership")
    member.migrations.accept(name.decode("latin-1"), ranges, source, ctx.link)
    return OK


def _finish(member: Member, args: list[bytes]) -> str:
    """FINISH STATE success|failed NAME name [MESSAGE text], in any order."""
    found: dict[bytes, bytes] = {}
    for word, value in zip(map(bytes.upper, args[::2]), args[1::2], strict=False):
        if word not in (b"STATE", b"NAME", b"MESSAGE") or word in found:
            raise errors.SYNTAX
        found[word] = value
    state = found.get(b"STATE", b"").lower()
    if len(args) % 2 or b"STATE" not in found or len(found.get(b"NAME", b"")) != ID_LENGTH:
        raise errors.SYNTAX
    job = member.migrations.find(found[b"NAME"].decode("latin-1"))
    if job is None:
        raise ReplyError("ERR No such slot migration job")
    if state not in (b"success", b"failed"):
        raise errors.SYNTAX
    member.migrations.finish(job, success=state == b"success", message=text(found.get(b"MESSAGE", b"")))
    return OK


# --- arguments


def check_can_start(member: Member) -> None:
    topology = member.coordinator.topology
    if not topology.myself.is_primary:
        raise ReplyError("ERR Slot migration can only be used on primary nodes.")
    if topology.importing:
        raise ReplyError("ERR Slots are being manually imported")
    if topology.migrating:
        raise ReplyError("ERR Slots are being manually migrated")


def parse_ranges(
    args: Sequence[bytes], position: int, owners: Sequence[Node | None] | None
) -> tuple[list[Range], Node | None, int]:
    """Pairs of slots from `position` on, up to what is no number, and where that is. All must belong to one
    node of `owners`, which is returned, too; None for nobody asks."""
    ranges: list[Range] = []
    owner: Node | None = None
    while position < len(args) and as_int(args[position]) is not None:
        first = parse_slot(args[position])
        if position + 1 >= len(args):
            raise ReplyError("ERR No end slot for final slot range")
        last = parse_slot(args[position + 1])
        if first > last:
            raise ReplyError(f"ERR Start slot number {first} is greater than end slot number {last}.")
        if owners is not None:
            owner = _owner(owners, first, last, owner)
        for before in ranges:
            if first <= before[1] and before[0] <= last:
                raise ReplyError(
                    f"ERR Slot range {first}-{last} overlaps with previous range {before[0]}-{before[1]}."
                )
        ranges.append((first, last))
        position += 2
    if not ranges:
        raise ReplyError("ERR No slot ranges specified")
    return ranges, owner, position


def _owner(owners: Sequence[Node | None], first: int, last: int, expected: Node | None) -> Node | None:
    """Who owns these slots; `expected`: who owns others that must be the same node's."""
    for slot in range(first, last + 1):
        owner = owners[slot]
        if owner is None:
            raise ReplyError(f"ERR Slot {slot} has no node served.")
        if expected is not None and owner is not expected:
            raise ReplyError("ERR Requested slots span multiple shards")
        expected = owner
    return expected


def slots_of(ranges: Sequence[Range]) -> int:
    slots = NO_SLOTS
    for first, last in ranges:
        slots |= from_range(first, last)
    return slots


def _target(member: Member, raw: bytes) -> Node:
    if len(raw) != ID_LENGTH:
        raise ReplyError(f"ERR Invalid node name: {text(raw)}")
    node = member.coordinator.topology.nodes.get(text(raw))
    if node is None:
        raise ReplyError(f"ERR Unknown node name: {text(raw)}")
    if node is member.coordinator.myself:
        raise ReplyError("ERR Target node can not be this node.")
    return node


def _source(member: Member, raw: bytes) -> Node:
    node = member.coordinator.topology.nodes.get(text(raw))
    if node is None:
        raise ReplyError("ERR Target node does not know the source node")
    if node is member.coordinator.myself:
        raise ReplyError("ERR Source node is target node itself")
    return node
