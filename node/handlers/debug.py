"""DEBUG: what tests and developers need of a running worker. Refused unless `enable-debug-command` allows it.

There are only those subcommands that have a meaning here; what looks into Redis' own allocator and tables
has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from node import errors
from node.config.kinds import parse_memory
from node.core.quicklist_node import set_packed_threshold
from node.errors import ReplyError, one_line
from node.handlers import debug_data
from node.handlers.arguments import parse_non_negative
from node.handlers.registry import command
from node.keyspace.digest import digest_of_dataset, digest_of_value
from node.keyspace.glob import Glob
from node.persistence.rdb.writer import dump_value
from node.replies import OK, Attributed, BigNumber, PairsReply, Push, SetReply, Verbatim
from node.session.description import is_local

_NOT_ALLOWED = ReplyError(
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it '
    "from a local connection, otherwise you need to set this option in the configuration file, and then "
    "restart the server."
)
_NEEDS_RESP3 = ReplyError("ERR RESP2 is not supported by this command")
_BAD_TYPE = ReplyError(
    "ERR Wrong protocol type name. Please use one of the following: "
    "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
)

_BAD_THRESHOLD = ReplyError("ERR argument must be a memory value bigger than 1 and smaller than 4gb")

HELP = [
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DIGEST",
    "    Show a hexadecimal digest of all data.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Show a hexadecimal digest of each key's value.",
    "CHANGE-REPL-ID",
    "    Begin a replication history that nobody shares.",
    "ERROR <string>",
    "    Reply with an error of this text.",
    "HTSTATS <dbid>",
    "    How large the tables of a database are.",
    "HTSTATS-KEY <key>",
    "    How large the table is that holds a key's value.",
    "LISTPACK <key>",
    "    Whether a key's value is one packed block.",
    "LOADAOF",
    "    Bring the append-only file to the disk, drop all data, and read it back.",
    "LOG <message>",
    "    Write a line to the log.",
    "OBJECT <key>",
    "    Show how a key's value is held.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Create string keys <prefix>:<number>; replicas and the cluster's slots are ignored.",
    "PROTOCOL <type>",
    "    Reply with a sample value of a type of the protocol.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    List elements of this size get a node of their own; 0 leaves that to list-max-listpack-size.",
    "RELOAD [NOSAVE] [NOFLUSH] [MERGE]",
    "    Write the snapshot, forget the data, and load the snapshot. NOSAVE: load the one that is there;",
    "    NOFLUSH: forget nothing; MERGE: keys of the snapshot replace those that are there.",
    "REPLICATE <command> [<arg> ...]",
    "    Let replicas have a command that is not executed here.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Stop (0) or resume (1) deleting expired keys that nobody asks for.",
    "SLEEP <seconds>",
    "    Stop the whole server for a time; decimals allowed.",
    "STRINGMATCH-LEN <pattern> <text>",
    "    Whether the text matches the pattern.",
    "HELP",
    "    Print this help.",
]

# Sample values, the same as the reference server's, so that one test suite serves both.
SAMPLES: dict[bytes, Any] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"null": None,
    b"array": [0, 1, 2],
    b"set": SetReply([0, 1, 2]),
    b"map": PairsReply([(0, False), (1, True), (2, False)]),
    b"push": Push([b"server-cpu-usage", 42]),
    b"verbatim": Verbatim("This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
    b"attrib": Attributed(
        [(b"key-popularity", [b"key:123", 90])], b"Some real reply following the attribute"
    ),
    b"bignum": BigNumber("1234567999999999999999999999999999999"),
}


@command("debug")
def debug(ctx: Any, args: list[bytes]) -> Any:
    allowed = ctx.config.enable_debug_command
    if allowed == "no" or (allowed == "local" and not is_local(ctx)):
        raise _NOT_ALLOWED
    name, rest = args[0], args[1:]
    least, most, action = SUBCOMMANDS.get(name.lower(), (0, -1, _help))
    if not least <= len(rest) <= most:
        raise ReplyError(
            f"ERR unknown subcommand or wrong number of arguments for '{one_line(name)}'. Try DEBUG HELP."
        )
    return action(ctx, rest)


def _sleep(ctx: Any, args: list[bytes]) -> str:
    """The whole worker stops, on purpose: that is what is being tested. What follows in the same read sees
    the time that has passed."""
    try:
        seconds = float(args[0])
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        time.sleep(min(seconds, 3600.0))
        if not ctx.in_transaction:
            ctx.engine.tick()
    return OK


def _object(ctx: Any, args: list[bytes]) -> str:
    key = args[0]
    value = ctx.db.peek(key)
    if value is None:
        raise errors.NO_SUCH_KEY
    encoding = ctx.db.encoding(key)
    idle = ctx.db.idle_seconds(key)
    lru = (ctx.now // 1000 - idle) & 0xFFFFFF
    length = len(dump_value(value)[1])
    return (
        f"Value at:{id(value):#x} refcount:1 encoding:{encoding} serializedlength:{length} "
        f"lru:{lru} lru_seconds_idle:{idle}"
    )


def _digest(ctx: Any, args: list[bytes]) -> str:
    return digest_of_dataset(ctx.worker.databases)


def _digest_value(ctx: Any, args: list[bytes]) -> list[str]:
    return [digest_of_value(ctx.db.peek(key), ctx.db.expiry(key) >= 0) for key in args]


def _populate(ctx: Any, args: list[bytes]) -> str:
    count = parse_non_negative(args[0])
    prefix = args[1] if len(args) > 1 else b"key"
    size = parse_non_negative(args[2]) if len(args) > 2 else 0
    for number in range(count):
        key = b"%b:%d" % (prefix, number)
        if not ctx.db.exists(key):
            value = b"value:%d" % number
            ctx.db.set(key, value[:size].ljust(size, b"\0") if size else value)
    return OK


def _protocol(ctx: Any, args: list[bytes]) -> Any:
    kind = args[0].lower()
    if kind not in SAMPLES:
        raise _BAD_TYPE
    if kind == b"push" and ctx.resp < 3:
        raise _NEEDS_RESP3
    return SAMPLES[kind]


def _stringmatch_len(ctx: Any, args: list[bytes]) -> int:
    """Whether a text matches a pattern, as KEYS would find it: for tests of how long that takes."""
    pattern, text = args
    return int(bool(Glob(pattern).matches(text)))


def _set_active_expire(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.active_expiry = args[0] != b"0"
    return OK


def _quicklist_packed_threshold(ctx: Any, args: list[bytes]) -> str:
    try:
        accepted = set_packed_threshold(parse_memory(args[0].decode("latin-1")))
    except ValueError:
        accepted = False
    if not accepted:
        raise _BAD_THRESHOLD
    return OK


def _error(ctx: Any, args: list[bytes]) -> ReplyError:
    return ReplyError(one_line(args[0]))


def _log(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.log.warning(f"DEBUG LOG: {args[0].decode('utf-8', 'replace')}")
    return OK


def _help(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP


_ANY_NUMBER = 1 << 31

SUBCOMMANDS: dict[bytes, tuple[int, int, Callable[[Any, list[bytes]], Any]]] = {
    b"sleep": (1, 1, _sleep),
    b"object": (1, 2, _object),
    b"populate": (1, 3, _populate),
    b"protocol": (1, 1, _protocol),
    b"set-active-expire": (1, 1, _set_active_expire),
    b"digest": (0, 0, _digest),
    b"digest-value": (1, _ANY_NUMBER, _digest_value),
    b"quicklist-packed-threshold": (1, 1, _quicklist_packed_threshold),
    b"reload": (0, 3, debug_data.reload),
    b"replicate": (1, _ANY_NUMBER, debug_data.replicate),
    b"change-repl-id": (0, 0, debug_data.change_repl_id),
    b"htstats": (1, 2, debug_data.htstats),
    b"htstats-key": (1, 2, debug_data.htstats_key),
    b"listpack": (1, 1, debug_data.listpack),
    b"stringmatch-len": (2, 2, _stringmatch_len),
    b"error": (1, 1, _error),
    b"loadaof": (0, 0, debug_data.load_aof),
    b"log": (1, 1, _log),
    b"help": (0, 0, _help),
}
"""Name → least and most arguments, and what carries it out."""
