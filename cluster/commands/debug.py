"""DEBUG SLOTMIGRATION: hold a migration of whole slots at a point where tests want to look at it."""

from __future__ import annotations

from typing import Any

from node import errors
from node.handlers.arguments import parse_int
from node.handlers.debug import HELP, SUBCOMMANDS
from node.replies import OK

HELP[-2:-2] = [
    "SLOTMIGRATION PREVENT-PAUSE <0|1>",
    "    Whether slots that leave wait before their writes are held.",
    "SLOTMIGRATION PREVENT-FAILOVER <0|1>",
    "    Whether slots that arrive wait before they are taken.",
]


def _slot_migration(ctx: Any, args: list[bytes]) -> str:
    if not ctx.worker.cluster.enabled:
        raise errors.CLUSTER_DISABLED
    migrations = ctx.worker.cluster.migrations
    wanted = bool(parse_int(args[1]))
    match args[0].lower():
        case b"prevent-pause":
            migrations.prevents_pause = wanted
        case b"prevent-failover":
            migrations.prevents_failover = wanted
        case _:
            raise errors.SYNTAX
    return OK


SUBCOMMANDS[b"slotmigration"] = (2, 2, _slot_migration)
