"""READONLY, READWRITE, ASKING: what a client of a cluster says about its next commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster.commands.common import cluster_command
from node import errors
from node.core.command_rows import GATE_ASKING
from node.handlers.registry import command
from node.replies import OK

if TYPE_CHECKING:
    from cluster.member import Member


@command("readonly")
def readonly(ctx: Any, args: list[bytes]) -> str:
    """Reads may be answered from this replica's copy, though it may be behind its primary's."""
    _require_redirections(ctx)
    ctx.readonly = True
    return OK


@command("readwrite")
def readwrite(ctx: Any, args: list[bytes]) -> str:
    _require_redirections(ctx)
    ctx.readonly = False
    return OK


def _require_redirections(ctx: Any) -> None:
    """They only mean something to a client that may be redirected: in a cluster, or because it wants it."""
    if not (ctx.worker.cluster.enabled or ctx.redirects):
        raise errors.CLUSTER_DISABLED


@cluster_command("asking")
def asking(member: Member, ctx: Any, args: list[bytes]) -> str:
    """The next command was sent here by an ASK: serve it although the slot is only being imported."""
    ctx.gate |= GATE_ASKING
    return OK
