"""READONLY, READWRITE, ASKING: what a client of a cluster says about its next commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command
from node.core.engine import GATE_ASKING
from node.replies import OK

if TYPE_CHECKING:
    from cluster.member import Member


@cluster_command("readonly")
def readonly(member: Member, ctx: Any, args: list[bytes]) -> str:
    """Reads may be answered from this replica's copy, though it may be behind its primary's."""
    ctx.readonly = True
    return OK


@cluster_command("readwrite")
def readwrite(member: Member, ctx: Any, args: list[bytes]) -> str:
    ctx.readonly = False
    return OK


@cluster_command("asking")
def asking(member: Member, ctx: Any, args: list[bytes]) -> str:
    """The next command was sent here by an ASK: serve it although the slot is only being imported."""
    ctx.gate |= GATE_ASKING
    return OK
