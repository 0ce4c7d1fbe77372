"""Which way a request takes, decided by the command table: where its keys are, and the tips on sending it.

Ways:
    FORWARD    has keys, all of one slot: the raw bytes go to that slot's worker. Commands with exactly one
               key in a fixed place never even come here: `raw_routes` is the compiled table's list of them
    SPLIT      may have keys of many slots, and is sent in parts (request policy multi_shard; splitter.py)
    BROADCAST  no keys; concerns every primary, or every node (request policies all_shards and all_nodes).
               Replies become one by the response policy (merger.py), or in a way of their own (reports.py)
    ANY        no keys; every worker gives the same answer
    LOCAL      the proxy answers itself (local_commands.py)
    SESSION    begins, uses or ends a state of the conversation (sessions.py)
    OWN        neither keys nor tips tell enough: the proxy has a way for this command alone (`_OWN`)
    REFUSED    is about one worker, not about the data

For commands on which the tips are silent, although they concern more than one worker, `_OUR_TIPS` speaks in
the same terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from node.commands import TABLE, Command
from proxy.local.facade import ASKED_OF_WORKERS
from proxy.local.local_commands import local_function
from proxy.local.rules import Rules
from proxy.requests.merger import POLICIES, Merge, concatenated
from proxy.requests.reports import REPORTS, Report
from proxy.requests.splitter import SPLIT


class Way(Enum):
    FORWARD = auto()
    SPLIT = auto()
    BROADCAST = auto()
    ANY = auto()
    LOCAL = auto()
    SESSION = auto()
    OWN = auto()
    REFUSED = auto()


class Route(NamedTuple):
    way: Way
    replicas: bool = False
    """BROADCAST: to replicas, too"""
    merge: Merge = concatenated
    report: Report | None = None
    """BROADCAST: takes the place of `merge`"""
    aside: bool = False
    """BROADCAST: over connections of its own, because it is for a worker whose shared connection stands still
    behind a script"""


_OWN = {"scan", "randomkey", "info", "debug", "config|get", "config|set", "hotkeys|start", *ASKED_OF_WORKERS}

_OUR_TIPS = {
    "save": "all_shards all_succeeded",
    "bgsave": "all_shards all_succeeded",
    "bgrewriteaof": "all_shards all_succeeded",
    "lastsave": "all_shards agg_min",
    "hotkeys|stop": "all_shards special",
    "hotkeys|reset": "all_shards all_succeeded",
    "hotkeys|get": "all_shards special",
    "acl|load": "all_nodes all_succeeded",
    "acl|log": "all_nodes special",
    "pubsub|channels": "all_nodes union",
    "pubsub|shardchannels": "all_nodes union",
    "pubsub|numpat": "all_nodes agg_sum",
    "pubsub|numsub": "all_nodes special",
    "pubsub|shardnumsub": "all_nodes special",
}
"""name -> request policy and response policy"""

DEBUG_WITH_KEY = {b"object", b"listpack", b"quicklist", b"sdslen", b"htstats-key"}
"""Subcommands of DEBUG whose first argument is a key"""
DEBUG_EVERYWHERE = {
    b"sleep", b"jmap", b"set-active-expire", b"quicklist-packed-threshold", b"dict-resizing", b"pause-cron",
    b"set-disable-deny-scripts", b"stringmatch-len", b"change-repl-id", b"replybuffer",
    b"client-enforce-reply-list", b"reload", b"loadaof", b"log",
}  # fmt: skip
"""... and those that are for all primaries, which answer alike"""
DEBUG_ANYWHERE = {b"error", b"help", b"protocol"}
"""... and those that any worker answers for all"""

_SAME_EVERYWHERE = {
    "publish", "lolwut", "script|show", "function|list", "function|dump", "pfselftest",
    "module|list", "acl|cat", "acl|dryrun", "acl|genpass", "acl|getuser", "acl|list", "acl|users",
}  # fmt: skip
"""Commands without keys that any worker can answer for all. (PUBLISH: the members tell each other.)"""

_SESSION = {
    "multi", "exec", "discard", "watch", "unwatch", "wait", "waitaof", "monitor", "client|tracking",
    "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe",
}  # fmt: skip

_REFUSED = {
    "migrate", "clusterscan", "restore-asking", "cluster|slot-stats",
}  # fmt: skip
"""Have keys or policies, and yet cannot be sent over a connection that is shared, or speak of a cluster."""

_TRUSTED = ("acl|", "hotkeys|", "config|", "slowlog|", "commandlog|", "latency|")
_TRUSTED_COMMANDS = ("save", "bgsave", "bgrewriteaof")
"""Administration that makes sense for the cluster as a whole."""


@cache
def route_of(command: Command) -> Route:
    """The way of a command (a subcommand's row, where there are subcommands)."""
    name = command.name
    if name in _OWN:
        return Route(Way.OWN)
    if local_function(name):
        return Route(Way.LOCAL)
    if name in _SESSION:
        return Route(Way.SESSION)
    if name in _REFUSED:
        return Route(Way.REFUSED)
    if name in SPLIT:
        return Route(Way.SPLIT)
    if command.key_specs:
        return Route(Way.FORWARD)
    if name in _SAME_EVERYWHERE or name.endswith("|help"):
        return Route(Way.ANY)
    if "admin" in command.flags and not (name.startswith(_TRUSTED) or name in _TRUSTED_COMMANDS):
        return Route(Way.REFUSED)
    return _broadcast(command)


def _broadcast(command: Command) -> Route:
    tips = _OUR_TIPS.get(command.name, f"{command.request_policy} {command.response_policy}")
    targets, _, policy = tips.partition(" ")
    report = REPORTS.get(command.name) if policy in ("special", "") else None
    if targets not in ("all_shards", "all_nodes") or (report is None and policy not in POLICIES):
        return Route(Way.REFUSED)
    return Route(
        Way.BROADCAST,
        replicas=targets == "all_nodes",
        merge=POLICIES.get(policy, concatenated),
        report=report,
        aside="allow_busy" in command.flags,
    )


def way_of(command: Command) -> Way:
    return route_of(command).way


_WITHOUT_NODE = (Way.REFUSED, Way.SESSION)


def takes_node(command: Command) -> bool:
    """May the request name a node that is to answer alone: `SLOWLOG GET NODE 10.0.0.1:7001 5`? What runs and
    describes servers may, if it leaves the connection as it is."""
    return command.group == "server" and not command.key_specs and way_of(command) not in _WITHOUT_NODE


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


@cache
def may_read_replica(command: Command) -> bool:
    """Would a replica say the same, if it is up to date? Not of what it keeps for itself: when a key was
    used, its size in memory, cursors. And scripts are for primaries."""
    return (
        "readonly" in command.flags
        and "blocking" not in command.flags
        and command.group not in ("scripting", "server")
        and bool(command.key_specs)
        and not command.name.endswith("scan")
        and not command.name.startswith(("object|", "touch"))
    )


UNSTEADY = frozenset(("nondeterministic_output", "dont_cache"))
"""Tips of commands whose answers differ though their keys have not changed"""


def steady_reads() -> list[bytes]:
    """Names of reading commands that answer alike until one of their keys changes."""
    return [
        command.name.encode()
        for command in TABLE.values()
        if "readonly" in command.flags and not UNSTEADY.intersection(command.tips) and command.name != "touch"
    ]


def raw_routes(rules: Rules | None = None) -> Iterator[tuple[str, int, int]]:
    """(name, position of the key, argc or 0) of all requests that are forwarded without a look at the rest.

    argc 0: the command always has exactly one key. Otherwise only a request of `argc` arguments has a single
    key; longer ones take the way through Python.
    """
    for command in TABLE.values():
        if command.subcommands or "blocking" in command.flags or len(command.key_specs) != 1:
            continue
        if way_of(command) not in (Way.FORWARD, Way.SPLIT) or (rules and not rules.allows(command)):
            continue
        spec = command.key_specs[0]
        if spec.keyword or spec.counted or not spec.begin:
            continue
        if spec.last == 0:
            yield command.name, spec.begin, 0
        elif spec.last == -1:
            yield command.name, spec.begin, spec.begin + SPLIT.get(command.name, spec.step)
