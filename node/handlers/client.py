"""CLIENT: what connections are there, how they call themselves, and how to be rid of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from node import errors
from node.core.command_rows import GATE_NO_TOUCH
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int, parse_switch
from node.handlers.client_filters import Scope, parse_filters
from node.handlers.client_words import parse_pause
from node.handlers.registry import command
from node.replies import NO_REPLY, OK, Verbatim
from node.session.description import Description, address, describe

PAUSE_REASON = "client"

_BAD_NAME = ReplyError("ERR Client names cannot contain spaces, newlines or special characters.")
_NO_SUCH_CLIENT = ReplyError("ERR No such client")
_BAD_UNBLOCK = ReplyError(
    "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP."
)
_BAD_UNBLOCK_REASON = ReplyError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")

_NO_IMPORT = ReplyError("ERR Server is not in import mode")

HELP = [
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Whether the keys of the next command are tracked, against what was opted for.",
    "CAPA <option> [<option> ...]",
    "    Tell what this client can do:",
    "    * REDIRECT: it can be sent from a replica to its primary.",
    "GETNAME",
    "    The name of this connection.",
    "GETREDIR",
    "    The connection that is told what this one tracks.",
    "ID",
    "    The number of this connection.",
    "IMPORT-SOURCE (ON|OFF)",
    "    In import-mode: show this connection keys that have expired.",
    "INFO",
    "    A line about this connection.",
    "KILL <ip:port>",
    "    Close the connection from this address.",
    "KILL <filter> <value> [<filter> <value> ...]",
    "    Close all connections for which every filter holds:",
    "    * ADDR (<ip:port>|<unixsocket>:0), LADDR (<ip:port>|<unixsocket>:0), IP <ip>",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB), FLAGS <letters of the field flags>, CAPA <r, for REDIRECT>",
    "    * USER <username>, NAME <name>, LIB-NAME <name>, LIB-VER <version>",
    "    * ID <client-id> [<client-id> ...], DB <number>",
    "    * any of these with NOT- before it",
    "    * MAXAGE <seconds>, IDLE <seconds>: at least so long",
    "    * SKIPME (YES|NO), by default yes",
    "LIST [<filter> <value> ...]",
    "    A line about each connection, or about those for which every filter of KILL holds.",
    "NO-EVICT (ON|OFF)",
    "    Keep this connection when memory for connections runs out.",
    "NO-TOUCH (ON|OFF)",
    "    Whether this connection's commands count as use of the keys.",
    "PAUSE <milliseconds> [WRITE|ALL]",
    "    Let commands, or only writes, of all connections wait.",
    "REPLY (ON|OFF|SKIP)",
    "    Whether commands of this connection, or its next one, are answered.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Tell which client library this is.",
    "SETNAME <name>",
    "    Name this connection.",
    "TRACKING (ON|OFF) [REDIRECT <client-id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
    "    Tell when keys that this connection has read are changed.",
    "TRACKINGINFO",
    "    How this connection tracks keys.",
    "UNBLOCK <client-id> [TIMEOUT|ERROR]",
    "    End the waiting of a blocked connection.",
    "UNPAUSE",
    "    End a pause.",
    "HELP",
    "    Print this help.",
]


def checked_name(name: bytes) -> bytes:
    """`name`, if it can be a client's: printable ASCII without spaces."""
    if not _is_plain(name):
        raise _BAD_NAME
    return name


def _is_plain(text: bytes) -> bool:
    return all(0x21 <= byte <= 0x7E for byte in text)


@command("client|id")
def id_(ctx: Any, args: list[bytes]) -> int:
    return ctx.id


@command("client|getname")
def getname(ctx: Any, args: list[bytes]) -> bytes | None:
    return ctx.name or None


@command("client|setname")
def setname(ctx: Any, args: list[bytes]) -> str:
    ctx.name = checked_name(args[0])
    return OK


@command("client|capa")
def capa(ctx: Any, args: list[bytes]) -> str:
    """What the client can do, of which only `redirect` is known; the rest is for servers to come."""
    if any(arg.lower() == b"redirect" for arg in args):
        ctx.be_particular(redirects=True)
    return OK


@command("client|import-source")
def import_source(ctx: Any, args: list[bytes]) -> str:
    """Whether this client moves data here, and so must see keys that have expired."""
    word = args[0].lower()
    if word != b"off" and not ctx.config.import_mode:
        raise _NO_IMPORT
    ctx.be_particular(imports=parse_switch(word))
    return OK


@command("client|setinfo")
def setinfo(ctx: Any, args: list[bytes]) -> str:
    attribute, value = args[0].lower(), args[1]
    if attribute not in (b"lib-name", b"lib-ver"):
        raise ReplyError(f"ERR Unrecognized option '{one_line(args[0])}'")
    if not _is_plain(value):
        raise ReplyError(f"ERR {attribute.decode()} cannot contain spaces, newlines or special characters.")
    if attribute == b"lib-name":
        ctx.lib_name = value
    else:
        ctx.lib_ver = value
    return OK


@command("client|info")
def info(ctx: Any, args: list[bytes]) -> Verbatim:
    return Verbatim(describe(ctx) + b"\n")


@command("client|list")
def list_(ctx: Any, args: list[bytes]) -> Verbatim:
    found = _chosen_sessions(ctx, args, listing=True)
    return Verbatim(b"".join(describe(session) + b"\n" for session in found))


def _chosen_sessions(ctx: Any, args: list[bytes], *, listing: bool) -> list[Any]:
    """Those that the filters of CLIENT LIST (`listing`) or CLIENT KILL are for. Raises ReplyError."""
    users = ctx.worker.access.users
    scope = Scope(ctx.id, ctx.engine.now, len(ctx.engine.databases), lambda name: users.get(name) is not None)
    chosen = parse_filters(scope, args, listing=listing)
    return [session for session in _open_sessions(ctx) if chosen(Description(session))]


def _open_sessions(ctx: Any) -> Iterator[Any]:
    """Sessions with a connection that is not being closed, oldest first; our primary's is one of them."""
    found = list(ctx.worker.clients.values())
    if ctx.worker.replication.primary_client is not None:
        found = sorted([*found, ctx.worker.replication.primary_client], key=lambda session: session.id)
    return (session for session in found if not session.link.is_closing)


@command("client|reply")
def reply(ctx: Any, args: list[bytes]) -> Any:
    mode = args[0].lower()
    if mode not in (b"on", b"off", b"skip"):
        raise errors.SYNTAX
    if mode == b"skip" and ctx.reply_mode == "off":
        return NO_REPLY
    ctx.set_reply_mode(mode.decode())
    return OK if mode == b"on" else NO_REPLY


@command("client|no-evict")
def no_evict(ctx: Any, args: list[bytes]) -> str:
    ctx.no_evict = parse_switch(args[0])
    return OK


@command("client|no-touch")
def no_touch(ctx: Any, args: list[bytes]) -> str:
    if parse_switch(args[0]):
        ctx.gate |= GATE_NO_TOUCH
    else:
        ctx.gate &= ~GATE_NO_TOUCH
    return OK


@command("client|kill")
def kill(ctx: Any, args: list[bytes]) -> Any:
    if len(args) == 1:
        wanted = args[0].decode("utf-8", "replace")
        found = [session for session in _open_sessions(ctx) if address(session) == wanted]
        if not found:
            raise _NO_SUCH_CLIENT
        _close(ctx, found[0])
        return OK
    found = _chosen_sessions(ctx, args, listing=False)
    for session in found:
        _close(ctx, session)
    return len(found)


def _close(ctx: Any, session: Any) -> None:
    """Others are cut off at once; the caller still gets its reply."""
    if session is ctx:
        session.closing = True
    else:
        session.link.abort()


@command("client|pause")
def pause(ctx: Any, args: list[bytes]) -> str:
    milliseconds, writes_only = parse_pause(args)
    ctx.worker.pause.begin(PAUSE_REASON, ctx.now + milliseconds, writes_only=writes_only)
    return OK


@command("client|unpause")
def unpause(ctx: Any, args: list[bytes]) -> str:
    ctx.worker.pause.end(PAUSE_REASON)
    return OK


@command("client|unblock")
def unblock(ctx: Any, args: list[bytes]) -> int:
    """Whether it was blocked. Who only waits for the end of a pause is not."""
    if len(args) > 2:
        raise _BAD_UNBLOCK
    reason = args[1].upper() if len(args) > 1 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise _BAD_UNBLOCK_REASON
    session = ctx.worker.clients.get(parse_int(args[0]))
    if session is None:
        return 0
    error = errors.UNBLOCKED_BY_CLIENT if reason == b"ERROR" else None
    worker = ctx.worker
    return int(worker.blocking.unblock(session, error) or worker.replication.waits.unblock(session, error))


@command("client|help")
def help_(ctx: Any, args: list[bytes]) -> list[str]:
    return HELP
