"""Which way a request takes, decided by the command table alone.

Ways:
    FORWARD    has keys, all of one slot: the raw bytes go to that slot's worker. Commands with exactly one
               key in a fixed place never even come here: `raw_routes` is the compiled table's list of them
    SPLIT      may have keys of many slots, and its parts can be merged (splitter.py)
    BROADCAST  no keys; concerns every primary, or every node (request policy of the tips)
    SCAN, RANDOM_KEY   walk over the shards
    ANY        no keys; every worker gives the same answer
    LOCAL      the proxy answers itself (local_commands.py)
    SESSION    begins, uses or ends a state of the conversation (sessions.py)
    REFUSED    is about one worker, not about the data
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto

from node.commands import TABLE, Command
from proxy.local_commands import local_function
from proxy.merger import POLICIES
from proxy.splitter import SPLIT


class Way(Enum):
    FORWARD = auto()
    SPLIT = auto()
    BROADCAST = auto()
    SCAN = auto()
    RANDOM_KEY = auto()
    ANY = auto()
    LOCAL = auto()
    SESSION = auto()
    REFUSED = auto()


_SAME_EVERYWHERE = {
    "publish", "lolwut", "script|show", "script|help", "function|list", "function|dump", "function|help",
    "config|get", "config|help", "pubsub|help", "object|help", "xgroup|help", "xinfo|help", "memory|help",
    "latency|help", "slowlog|help", "command", "command|count", "command|docs", "command|getkeys",
    "command|getkeysandflags", "command|help", "command|info", "command|list",
}  # fmt: skip
"""Commands without keys that any worker can answer for all."""

_SESSION = {"multi", "exec", "discard", "watch", "unwatch", "wait", "waitaof"}

_REFUSED = {"move", "migrate", "clusterscan", "restore-asking", "ssubscribe", "sunsubscribe"}
"""Have keys or policies, and yet cannot be sent over a connection that is shared."""

_TRUSTED_ADMIN = {
    "config|set", "config|resetstat", "config|rewrite", "slowlog|len", "slowlog|reset", "slowlog|get",
    "commandlog|len", "commandlog|reset", "commandlog|get", "latency|reset",
}  # fmt: skip
"""Administration that makes sense for the cluster as a whole."""


def way_of(command: Command) -> Way:
    """The way of a command (a subcommand's row, where there are subcommands)."""
    name = command.name
    if local_function(name):
        return Way.LOCAL
    if name in _SESSION:
        return Way.SESSION
    if name in _REFUSED:
        return Way.REFUSED
    if name in SPLIT:
        return Way.SPLIT
    if command.key_specs:
        return Way.FORWARD
    if name == "scan":
        return Way.SCAN
    if name == "randomkey":
        return Way.RANDOM_KEY
    if name in _SAME_EVERYWHERE:
        return Way.ANY
    if "admin" in command.flags and name not in _TRUSTED_ADMIN:
        return Way.REFUSED
    if command.request_policy in ("all_shards", "all_nodes") and command.response_policy in POLICIES:
        return Way.BROADCAST
    return Way.REFUSED


def would_block(command: Command, argv: Sequence[bytes]) -> bool:
    """Would the worker hold back this reply, and with it everybody's on the shared connection?"""
    if "blocking" not in command.flags:
        return False
    if command.name not in ("xread", "xreadgroup"):
        return True
    for argument in argv[1:]:
        if argument.upper() == b"STREAMS":
            return False
        if argument.upper() == b"BLOCK":
            return True
    return False


def raw_routes() -> Iterator[tuple[str, int, int]]:
    """(name, position of the key, argc or 0) of all requests that are forwarded without a look at the rest.

    argc 0: the command always has exactly one key. Otherwise only a request of `argc` arguments has a single
    key; longer ones take the way through Python.
    """
    for command in TABLE.values():
        if command.subcommands or "blocking" in command.flags or len(command.key_specs) != 1:
            continue
        if way_of(command) not in (Way.FORWARD, Way.SPLIT):
            continue
        spec = command.key_specs[0]
        if spec.keyword or spec.counted or not spec.begin:
            continue
        if spec.last == 0:
            yield command.name, spec.begin, 0
        elif spec.last == -1:
            yield command.name, spec.begin, spec.begin + SPLIT.get(command.name, spec.step)
