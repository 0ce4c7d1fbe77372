"""What all CLUSTER handlers share: finding the member, and reading ids and slots."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from cluster.slots import SLOT_COUNT
from cluster.topology.node import Node
from node import errors
from node.errors import ReplyError, one_line
from node.handlers.arguments import as_int
from node.handlers.registry import command

if TYPE_CHECKING:
    from cluster.member import Member

INVALID_SLOT = ReplyError("ERR Invalid or out of range slot")

ClusterHandler = Callable[["Member", Any, list[bytes]], Any]


def cluster_command(*names: str) -> Callable[[ClusterHandler], ClusterHandler]:
    """Register `handler(member, ctx, args)`, to be called where there is a cluster."""

    def register(handler: ClusterHandler) -> ClusterHandler:
        @wraps(handler)
        def checked(ctx: Any, args: list[bytes]) -> Any:
            member = ctx.worker.cluster
            if not member.enabled:
                raise errors.CLUSTER_DISABLED
            return handler(member, ctx, args)

        command(*names)(checked)
        return handler

    return register


def text(raw: bytes) -> str:
    """An argument as text that may be repeated in an error line."""
    return one_line(raw.decode("utf-8", "replace"))


def parse_slot(raw: bytes) -> int:
    slot = as_int(raw)
    if slot is None or not 0 <= slot < SLOT_COUNT:
        raise INVALID_SLOT
    return slot


def known_node(member: Member, raw: bytes) -> Node:
    """The node of this id. Raises Redis' "Unknown node"."""
    node = member.coordinator.topology.nodes.get(text(raw))
    if node is None:
        raise ReplyError(f"ERR Unknown node {text(raw)}")
    return node


def misused(ctx: Any) -> ReplyError:
    """For what the command table's arity lets pass."""
    subcommand = ctx.spelled(1).decode("latin-1")[:128]
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try CLUSTER HELP."
    )
