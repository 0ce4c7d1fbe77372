"""The command table: every command of Redis 8.2 and Valkey 9.1, as data.

`TABLE` maps lower-case names to `Command` rows; a container's subcommands hang on its row. It feeds COMMAND,
ACL, cluster routing, and the proxy, which routes by it alone; a worker offers those rows that have a
handler. Modules and Sentinel are left out. Where the two servers disagree a row is as in Redis 7.2, which
both extend.

Rows live in one file per group, ordered by name. Texts for people (summary, syntax, history) are in
`node/commands/docs`, read only when COMMAND DOCS asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.commands import (
    bitmaps,
    cluster,
    connection,
    generic,
    geo,
    hashes,
    hyperloglog,
    lists,
    pubsub,
    scripting,
    server,
    sets,
    sorted_sets,
    streams,
    strings,
    transactions,
)
from node.commands.model import Command, KeySpec, KeyUse

__all__ = ["TABLE", "Command", "KeySpec", "KeyUse", "every", "find"]

_GROUPS = (
    strings, generic, hashes, lists, sets, sorted_sets, streams, geo, hyperloglog, bitmaps, pubsub, scripting,
    transactions, connection, server, cluster,
)  # fmt: skip

TABLE: dict[str, Command] = {row.name: row for module in _GROUPS for row in module.COMMANDS}


def find(argv: Sequence[bytes]) -> Command | None:
    """The row of a request: the subcommand's where it has one, else the container's or command's own."""
    row = TABLE.get(argv[0].decode("latin-1").lower())
    if row is not None and row.subcommands and len(argv) > 1:
        return row.subcommands.get(argv[1].decode("latin-1").lower(), row)
    return row


def every() -> list[Command]:
    """All rows, subcommands included."""
    return [found for row in TABLE.values() for found in (row, *row.subcommands.values())]
