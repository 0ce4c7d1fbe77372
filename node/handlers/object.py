"""OBJECT: what a worker knows of a value besides its content. Nothing here counts as an access."""

from __future__ import annotations

from typing import Any

from node.errors import ReplyError
from node.handlers.registry import command

_POLICIES_DIFFER = (
    "Please note that when switching between policies at runtime "
    "LRU and LFU data will take some time to adjust."
)
_NO_FREQUENCY = ReplyError(
    f"ERR An LFU maxmemory policy is not selected, access frequency not tracked. {_POLICIES_DIFFER}"
)
_NO_IDLE_TIME = ReplyError(
    f"ERR An LFU maxmemory policy is selected, idle time not tracked. {_POLICIES_DIFFER}"
)

_HELP = [
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Print this help.",
]


@command("object|encoding")
def encoding(ctx: Any, args: list[bytes]) -> bytes | None:
    return ctx.db.encoding(args[0]).encode() if ctx.db.find_quietly(args[0], False) else None


@command("object|refcount")
def refcount(ctx: Any, args: list[bytes]) -> int | None:
    """Values are not shared between keys."""
    return 1 if ctx.db.find_quietly(args[0], False) else None


@command("object|idletime")
def idletime(ctx: Any, args: list[bytes]) -> int | None:
    if not ctx.db.find_quietly(args[0], False):
        return None
    if _tracks_frequency(ctx):
        raise _NO_IDLE_TIME
    return ctx.db.idle_seconds(args[0])


@command("object|freq")
def freq(ctx: Any, args: list[bytes]) -> int | None:
    if not ctx.db.find_quietly(args[0], False):
        return None
    if not _tracks_frequency(ctx):
        raise _NO_FREQUENCY
    return ctx.db.frequency(args[0])


def _tracks_frequency(ctx: Any) -> bool:
    return ctx.config.maxmemory_policy.endswith("lfu")


@command("object|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return list(_HELP)
