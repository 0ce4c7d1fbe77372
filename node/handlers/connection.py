"""Commands about the connection itself: PING, ECHO, AUTH, HELLO, SELECT, RESET, QUIT."""

from __future__ import annotations

from typing import Any

from node import errors
from node.acl.users import DEFAULT
from node.config.text import to_bytes
from node.core.command_rows import GATE_SUBSCRIBED
from node.errors import ReplyError, one_line
from node.handlers.arguments import as_int
from node.handlers.client import checked_name
from node.handlers.registry import command
from node.replies import OK
from node.version import REDIS_VERSION

_NO_PASSWORD_SET = ReplyError(
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
_HELLO_NEEDS_AUTH = ReplyError(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
    "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
    "the same time"
)
_BAD_PROTOCOL = ReplyError("ERR Protocol version is not an integer or out of range")
_PING_WHILE_SUBSCRIBED = b"pong"
_SELECT_IN_CLUSTER = ReplyError("ERR SELECT is not allowed in cluster mode")
_INDEX_RANGE = ReplyError("ERR value is out of range, value must between -2147483648 and 2147483647")


@command("ping")
def ping(ctx: Any, args: list[bytes]) -> Any:
    if len(args) > 1:
        raise errors.wrong_arity("ping")
    if ctx.gate & GATE_SUBSCRIBED and ctx.resp == 2:
        # A RESP2 subscriber reads nothing but arrays, so the pong comes as one.
        return [_PING_WHILE_SUBSCRIBED, args[0] if args else b""]
    return args[0] if args else "PONG"


@command("echo")
def echo(ctx: Any, args: list[bytes]) -> bytes:
    return args[0]


@command("auth")
def auth(ctx: Any, args: list[bytes]) -> str:
    if len(args) > 2:
        raise errors.SYNTAX
    access = ctx.worker.access
    if len(args) == 1 and not access.users.default.needs_password:
        raise _NO_PASSWORD_SET
    name, password = (DEFAULT, args[0]) if len(args) == 1 else args
    access.log_in(ctx, name, password)
    return OK


@command("hello")
def hello(ctx: Any, args: list[bytes]) -> dict[bytes, Any]:
    """All options are read before any takes effect; without arguments nothing changes."""
    protocol = ctx.resp
    if args:
        version = as_int(args[0])
        if version is None:
            raise _BAD_PROTOCOL
        if version not in (2, 3):
            raise errors.NOPROTO
        protocol = version
    credentials, name = _hello_options(args[1:])
    if credentials is not None:
        ctx.worker.access.log_in(ctx, *credentials)
    elif not ctx.authenticated:
        raise _HELLO_NEEDS_AUTH
    if name is not None:
        ctx.name = name
    ctx.resp = protocol
    reply: dict[bytes, Any] = {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": ctx.id,
        b"mode": b"cluster" if ctx.config.cluster_enabled else b"standalone",
        b"role": b"replica" if ctx.worker.replication.role == "slave" else b"master",
        b"modules": [],
    }
    if ctx.config.availability_zone:  # as Valkey 8.1 has it
        reply[b"availability_zone"] = to_bytes(ctx.config.availability_zone)
    return reply


def _hello_options(args: list[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """(user, password) and name, where given. Raises the syntax error that names the option, or of a bad
    name."""
    credentials = name = None
    at = 0
    while at < len(args):
        option, left = args[at].upper(), len(args) - at - 1
        if option == b"AUTH" and left >= 2:
            credentials = (args[at + 1], args[at + 2])
            at += 3
        elif option == b"SETNAME" and left >= 1:
            name = checked_name(args[at + 1])
            at += 2
        else:
            raise ReplyError(f"ERR Syntax error in HELLO option '{one_line(args[at])}'")
    return credentials, name


@command("select")
def select(ctx: Any, args: list[bytes]) -> str:
    index = as_int(args[0])
    if index is None:
        raise errors.NOT_AN_INTEGER
    if not -(2**31) <= index < 2**31:
        raise _INDEX_RANGE
    databases = ctx.databases
    if ctx.config.cluster_enabled and len(databases) == 1 and index != 0:
        raise _SELECT_IN_CLUSTER
    if not 0 <= index < len(databases):
        raise errors.DB_INDEX_OUT_OF_RANGE
    ctx.db = databases[index]
    return OK


@command("reset")
def reset(ctx: Any, args: list[bytes]) -> str:
    """Back to the state of a new connection, but for its number and what it told of itself."""
    ctx.leave_transaction()
    ctx.worker.pubsub.remove(ctx)
    ctx.worker.tracking.disable(ctx)
    ctx.worker.monitors.remove(ctx)
    ctx.db = ctx.engine.databases[0]
    ctx.resp = 2
    ctx.name = b""
    ctx.no_evict = ctx.readonly = False
    ctx.set_reply_mode("on")
    ctx.gate = 0
    ctx.be_particular(imports=False)
    ctx.worker.access.greet(ctx)
    return "RESET"


@command("quit")
def quit_(ctx: Any, args: list[bytes]) -> str:
    ctx.closing = True
    return OK
