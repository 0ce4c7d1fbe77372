"""CLUSTER MEET, FORGET, REPLICATE, FAILOVER, RESET and the epochs: who is in the cluster and in which
role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command, known_node, misused, text
from cluster.coordinator.coordinator import Coordinator
from cluster.local_facts import BUS_PORT_OFFSET
from node import errors
from node.core.steady_clock import steady_ms
from node.errors import ReplyError
from node.handlers.arguments import as_int, parse_int
from node.replies import OK

if TYPE_CHECKING:
    from cluster.member import Member


@cluster_command("cluster|meet")
def meet(member: Member, ctx: Any, args: list[bytes]) -> str:
    """MEET ip port [bus-port]"""
    if len(args) > 3:
        raise misused(ctx)
    ip = text(args[0])
    port = as_int(args[1])
    if port is None:
        raise ReplyError(f"ERR Invalid base port specified: {text(args[1])}")
    bus_port = as_int(args[2]) if len(args) == 3 else port + BUS_PORT_OFFSET
    if bus_port is None:
        raise ReplyError(f"ERR Invalid bus port specified: {text(args[2])}")
    member.command(lambda coordinator, now: coordinator.meet(ip, port, bus_port, now))
    return OK


@cluster_command("cluster|forget")
def forget(member: Member, ctx: Any, args: list[bytes]) -> str:
    member.command(lambda coordinator, now: coordinator.forget(text(args[0]), now))
    return OK


@cluster_command("cluster|replicate")
def replicate(member: Member, ctx: Any, args: list[bytes]) -> str:
    """REPLICATE node-id, or NO ONE"""
    if len(args) == 1:
        member.command(lambda coordinator, now: coordinator.replicate(text(args[0]), now))
    elif [word.upper() for word in args] == [b"NO", b"ONE"]:
        member.command(lambda coordinator, now: coordinator.replicate_no_one(now))
    else:
        raise misused(ctx)
    return OK


@cluster_command("cluster|failover")
def failover(member: Member, ctx: Any, args: list[bytes]) -> str:
    """FAILOVER [FORCE|TAKEOVER]: begins; the reply does not wait for the outcome.

    From our primary, which leaves: FAILOVER FORCE REPLICAID node-id, an order to one of its replicas.
    """
    if ctx.replicated and len(args) == 3 and [word.upper() for word in args[:2]] == [b"FORCE", b"REPLICAID"]:
        if text(args[2]) == member.node_id:
            member.command(lambda coordinator, now: coordinator.failover("force", now, asked_by="primary"))
        return OK
    if len(args) > 1:
        raise misused(ctx)
    mode = args[0].lower() if args else b"default"
    if args and mode not in (b"force", b"takeover"):
        raise errors.SYNTAX
    member.command(lambda coordinator, now: coordinator.failover(mode.decode(), now))
    return OK


@cluster_command("cluster|reset")
def reset(member: Member, ctx: Any, args: list[bytes]) -> str:
    """RESET [SOFT|HARD]"""
    if len(args) > 1:
        raise misused(ctx)
    mode = args[0].lower() if args else b"soft"
    if mode not in (b"soft", b"hard"):
        raise errors.SYNTAX
    member.command(lambda coordinator, now: coordinator.reset(mode == b"hard", now))
    return OK


@cluster_command("cluster|set-config-epoch")
def set_config_epoch(member: Member, ctx: Any, args: list[bytes]) -> str:
    epoch = parse_int(args[0])
    member.command(lambda coordinator, now: coordinator.set_config_epoch(epoch, now))
    return OK


@cluster_command("cluster|bumpepoch")
def bumpepoch(member: Member, ctx: Any, args: list[bytes]) -> str:
    return member.answer(Coordinator.bump_epoch)


@cluster_command("cluster|saveconfig")
def saveconfig(member: Member, ctx: Any, args: list[bytes]) -> str:
    member.save()
    return OK


@cluster_command("cluster|count-failure-reports")
def count_failure_reports(member: Member, ctx: Any, args: list[bytes]) -> int:
    return member.coordinator.failure_report_count(known_node(member, args[0]), steady_ms())
