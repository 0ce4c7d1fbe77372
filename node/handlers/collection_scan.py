"""What HSCAN, SSCAN and ZSCAN have in common: their cursor, their options, their reply.

The walk itself, and why it misses nothing, is the datatypes' (`scan` of each).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from node import errors
from node.core.hash import Hash
from node.errors import ReplyError
from node.handlers.arguments import Options, parse_cursor
from node.handlers.hash_lookup import look
from node.keyspace.glob import Glob

DEFAULT_COUNT = 10

_NOVALUES = ReplyError("ERR NOVALUES option can only be used in HSCAN")


def scan_collection(
    ctx: Any,
    args: list[bytes],
    cls: type,
    name: Callable[[Any], bytes],
    flatten: Callable[[list[Any], bool], list[bytes]],
) -> list[Any]:
    """Carry out a scan of the collection of class `cls` at args[0].

    `name` gives what of an item, as `cls.scan` gives it, MATCH applies to. `flatten(items, values)` turns
    items into reply elements, without values if asked so.
    """
    cursor = parse_cursor(args[1])
    value = ctx.db.lookup_as(args[0], cls)
    if value is None:
        return [b"0", []]
    if cls is Hash and value.timed:
        look(ctx.db, value)
    pattern, count, values = _options(args, cls)
    following, items = value.scan(cursor, count)
    if pattern is not None:
        items = [item for item in items if pattern.matches(name(item))]
    return [b"%d" % following, flatten(items, values)]


def _options(args: list[bytes], cls: type) -> tuple[Glob | None, int, bool]:
    pattern: Glob | None = None
    count, values = DEFAULT_COUNT, True
    options = Options(args, start=2)
    for word in options:
        match word:
            case b"MATCH":
                pattern = Glob(options.value())
            case b"COUNT":
                count = options.integer()
                if count < 1:
                    raise errors.SYNTAX
            case b"NOVALUES":
                if cls.type_name != "hash":  # type: ignore[attr-defined]
                    raise _NOVALUES
                values = False
            case b"NOSCORES" if cls.type_name == "zset":  # type: ignore[attr-defined]
                values = False  # Valkey's
            case _:
                raise errors.SYNTAX
    if pattern is not None and pattern.matches_all:
        pattern = None
    return pattern, count, values
