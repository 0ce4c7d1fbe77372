"""CLUSTER ADDSLOTS, ADDSLOTSRANGE, DELSLOTS, DELSLOTSRANGE, FLUSHSLOTS, SETSLOT: who owns which slots."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, parse_slot, text
from cluster.coordinator.coordinator import Coordinator
from node import errors
from node.core.reply_writer import encode_command
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, parse_int
from node.replies import NO_REPLY, OK

if TYPE_CHECKING:
    from cluster.member import Member

TAKES_SETSLOT = (8, 0, 0)
"""The first Valkey whose replicas take SETSLOT from their primary."""
REPLICATION_TIMEOUT = 2000
"""Milliseconds, as Valkey has it."""
_EXPORTING = ReplyError("ERR Slot export in progress.")
_IMPORTING = ReplyError("ERR Slot import in progress.")
_ONLY_PRIMARIES = ReplyError("ERR Please use SETSLOT only with masters.")
_MISSING_TIMEOUT = ReplyError("ERR Missing timeout value")
_TIMEOUT_NOT_AN_INTEGER = ReplyError("ERR timeout is not an integer or out of range")
_TIMEOUT_NEGATIVE = ReplyError("ERR timeout is negative")
_TIMEOUT_TOO_LONG = ReplyError("ERR timeout is out of range")
_BAD_SETSLOT = ReplyError("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")


@cluster_command("cluster|addslots")
def addslots(member: Member, ctx: Any, args: list[bytes]) -> str:
    slots = [parse_slot(raw) for raw in args]
    member.command(lambda coordinator, now: coordinator.add_slots(slots, now))
    return OK


@cluster_command("cluster|delslots")
def delslots(member: Member, ctx: Any, args: list[bytes]) -> str:
    slots = [parse_slot(raw) for raw in args]
    member.command(lambda coordinator, now: coordinator.del_slots(slots, now))
    return OK


@cluster_command("cluster|addslotsrange")
def addslotsrange(member: Member, ctx: Any, args: list[bytes]) -> str:
    slots = _slots_of_ranges(args, "cluster|addslotsrange")
    member.command(lambda coordinator, now: coordinator.add_slots(slots, now))
    return OK


@cluster_command("cluster|delslotsrange")
def delslotsrange(member: Member, ctx: Any, args: list[bytes]) -> str:
    slots = _slots_of_ranges(args, "cluster|delslotsrange")
    member.command(lambda coordinator, now: coordinator.del_slots(slots, now))
    return OK


def _slots_of_ranges(args: list[bytes], name: str) -> list[int]:
    """`first last [first last ...]`, both included, as slot numbers in that order."""
    if len(args) % 2:
        raise errors.wrong_arity(name)
    slots: list[int] = []
    for first, last in zip(map(parse_slot, args[::2]), map(parse_slot, args[1::2]), strict=True):
        if first > last:
            raise ReplyError(f"ERR start slot number {first} is greater than end slot number {last}")
        slots.extend(range(first, last + 1))
    return slots


@cluster_command("cluster|flushslots")
def flushslots(member: Member, ctx: Any, args: list[bytes]) -> str:
    member.command(Coordinator.flush_slots)
    return OK


@cluster_command("cluster|setslot")
def setslot(member: Member, ctx: Any, args: list[bytes]) -> Any:
    """SETSLOT slot MIGRATING|IMPORTING|NODE node-id [TIMEOUT ms], SETSLOT slot STABLE [TIMEOUT ms]

    Our replicas take it first, if all of them can. The timeout bounds the wait for them; after it nothing is
    done here. TIMEOUT 0 waits for ever.
    """
    if not (ctx.replicated or member.coordinator.myself.is_primary):
        raise _ONLY_PRIMARIES
    slot = parse_slot(args[0])
    if member.migrations.exporting():
        raise _EXPORTING
    if member.migrations.importing():
        raise _IMPORTING
    action = args[1].decode("latin-1").lower()
    needed = {"migrating": 3, "importing": 3, "node": 3, "stable": 2}.get(action)
    if needed is None or len(args) < needed:
        raise _BAD_SETSLOT
    node_id = text(args[2]) if needed == 3 else ""
    if not ctx.replicated:
        member.coordinator.check_set_slot(action, slot, node_id)
    timeout = _timeout(ctx, args[needed:])
    step = partial(Coordinator.set_slot, action=action, slot=slot, node_id=node_id)
    if ctx.replicated or not _may_go_ahead(ctx):
        by_primary = ctx.replicated
        member.command(lambda coordinator, now: step(coordinator, now=now, by_primary=by_primary))
        return OK
    offset = _tell_replicas(ctx, args)
    replication = ctx.worker.replication
    wanted = len(replication.primary.online())  # a snapshot may take longer than anybody waits

    def is_primary() -> bool:
        return bool(member.coordinator.myself.is_primary)

    def there() -> bool:
        return not is_primary() or bool(replication.primary.acknowledged_by(offset) >= wanted)

    def result() -> Any:
        if not is_primary():  # who has lost its last slot meanwhile follows whoever has it
            return _ONLY_PRIMARIES
        if not there():
            return errors.NOREPLICAS
        try:
            member.turn(lambda coordinator, now: step(coordinator, now=now))
        except ReplyError as error:
            return error
        return OK

    replication.waits.add(ctx, there, result, timeout)
    return NO_REPLY


def _timeout(ctx: Any, rest: list[bytes]) -> int:
    """Milliseconds that replicas have; 0: as long as they need."""
    if not rest:
        return REPLICATION_TIMEOUT
    if rest[0].upper() != b"TIMEOUT" or len(rest) > 2:
        raise _BAD_SETSLOT
    if len(rest) == 1:
        raise _MISSING_TIMEOUT
    timeout = parse_int(rest[1], _TIMEOUT_NOT_AN_INTEGER)
    if timeout < 0:
        raise _TIMEOUT_NEGATIVE
    if timeout > INT64_MAX - ctx.now:
        raise _TIMEOUT_TOO_LONG
    return timeout


def _may_go_ahead(ctx: Any) -> bool:
    """Whether replicas may take a step before us: there are some, each understands it, and somebody can wait
    while the stream moves on."""
    worker = ctx.worker
    primary = worker.replication.primary
    may_wait = ctx.link is not None and not ctx.in_transaction and not worker.pause.active
    return bool(may_wait and primary.online() and primary.understand(TAKES_SETSLOT))


def _tell_replicas(ctx: Any, args: list[bytes]) -> int:
    """Put the step into the stream, but not into our log; returns the offset behind it."""
    replication = ctx.worker.replication
    ctx.worker.trail.feed(encode_command([b"CLUSTER", b"SETSLOT", *args]), False)
    offset = int(replication.offset)
    replication.acknowledgements.ask_soon()
    return offset
