"""CLUSTER WITNESS: what the supervisor of a host tells of the workers it runs. An extension of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, misused, text
from node.handlers.arguments import parse_int
from node.replies import OK

if TYPE_CHECKING:
    from cluster.member import Member


@cluster_command("cluster|witness")
def witness(member: Member, ctx: Any, args: list[bytes]) -> str:
    """WITNESS (DEAD node-id | BUSY node-id milliseconds)"""
    kind, node_id = args[0].upper(), text(args[1])
    if kind == b"DEAD" and len(args) == 2:
        member.command(lambda coordinator, now: coordinator.witness_dead(node_id, now))
    elif kind == b"BUSY" and len(args) == 3:
        ms = parse_int(args[2])
        member.command(lambda coordinator, now: coordinator.witness_busy(node_id, ms, now))
    else:
        raise misused(ctx)
    return OK
