"""CLUSTER KEYSLOT, COUNTKEYSINSLOT, GETKEYSINSLOT: keys and their slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command
from cluster.slots import SLOT_COUNT
from node.core.key_slot import key_slot
from node.errors import ReplyError
from node.handlers.arguments import parse_int

if TYPE_CHECKING:
    from cluster.member import Member

_INVALID_SLOT = ReplyError("ERR Invalid slot")
_INVALID_SLOT_OR_COUNT = ReplyError("ERR Invalid slot or number of keys")


@cluster_command("cluster|keyslot")
def keyslot(member: Member, ctx: Any, args: list[bytes]) -> int:
    return int(key_slot(args[0]))


@cluster_command("cluster|countkeysinslot")
def countkeysinslot(member: Member, ctx: Any, args: list[bytes]) -> int:
    slot = parse_int(args[0])
    if not 0 <= slot < SLOT_COUNT:
        raise _INVALID_SLOT
    return int(ctx.db.count_in_slot(slot) + ctx.worker.anteroom.count_in_slot(ctx.db.index, slot))


@cluster_command("cluster|getkeysinslot")
def getkeysinslot(member: Member, ctx: Any, args: list[bytes]) -> list[bytes]:
    slot, limit = parse_int(args[0]), parse_int(args[1])
    if not 0 <= slot < SLOT_COUNT or limit < 0:
        raise _INVALID_SLOT_OR_COUNT
    return list(ctx.db.keys_in_slot(slot, limit))
