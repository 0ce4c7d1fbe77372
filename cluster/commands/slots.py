"""CLUSTER ADDSLOTS, ADDSLOTSRANGE, DELSLOTS, DELSLOTSRANGE, FLUSHSLOTS, SETSLOT: who owns which slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, parse_slot, text
from cluster.coordinator.coordinator import Coordinator
from node import errors
from node.errors import ReplyError
from node.replies import OK

if TYPE_CHECKING:
    from cluster.member import Member

_EXPORTING = ReplyError("ERR Slot export in progress.")
_IMPORTING = ReplyError("ERR Slot import in progress.")
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
def setslot(member: Member, ctx: Any, args: list[bytes]) -> str:
    """SETSLOT slot MIGRATING|IMPORTING|NODE node-id, SETSLOT slot STABLE"""
    if not member.coordinator.myself.is_primary:
        raise ReplyError("ERR You can use SETSLOT only with masters.")
    slot = parse_slot(args[0])
    if member.migrations.exporting():
        raise _EXPORTING
    if member.migrations.importing():
        raise _IMPORTING
    action = args[1].upper()
    node_id = text(args[2]) if len(args) == 3 else None
    match action, node_id:
        case b"MIGRATING", str():
            member.command(lambda coordinator, now: coordinator.set_slot_migrating(slot, node_id, now))
        case b"IMPORTING", str():
            member.command(lambda coordinator, now: coordinator.set_slot_importing(slot, node_id, now))
        case b"NODE", str():
            member.command(lambda coordinator, now: coordinator.set_slot_node(slot, node_id, now))
        case b"STABLE", None if len(args) == 2:
            member.command(lambda coordinator, now: coordinator.set_slot_stable(slot, now))
        case _:
            raise _BAD_SETSLOT
    return OK
