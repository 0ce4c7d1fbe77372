"""Commands the proxy answers itself: about the connection, or about the proxy.

A function takes (client, argv, commands) and returns a reply value (node/replies.py) or raises ReplyError.
The name, and for subcommands `container|sub`, is the table's. Words of errors are Redis' own.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.errors import (
    DB_INDEX_OUT_OF_RANGE,
    NOAUTH,
    NOPROTO,
    SAME_OBJECT,
    SYNTAX,
    WRONGPASS,
    ReplyError,
    bad_subcommand_arguments,
)
from node.handlers.arguments import INT_MAX, INT_MIN, parse_int, parse_int_between, parse_switch
from node.replies import OK
from proxy.local.version import REDIS_VERSION

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

Local = Callable[["Client", list[bytes], "Commands"], Any]
LOCAL_COMMANDS: dict[str, Local] = {}
BAD_PROTOCOL = ReplyError("ERR Protocol version is not an integer or out of range")


@dataclass
class ClientFacts:
    """What CLIENT LIST knows of a client beyond what the forwarder keeps."""

    address: str
    local_address: str
    name: bytes = b""
    library: bytes = b""
    library_version: bytes = b""
    since: float = field(default_factory=time.monotonic)
    last_command: str = "NULL"
    reads_replicas: bool = True
    """READWRITE has not been said; see replica_reads.py."""
    user: bytes = b"default"
    strict: bool = False
    """CLIENT CAPA strict: no read is answered from the cache, or by a replica."""
    redirects: bool = False
    """CLIENT CAPA redirect, which CLIENT LIST can ask for. The proxy redirects nobody."""
    no_evict: bool = False
    no_touch: bool = False
    sibling: bool = False
    """It is another process of the same proxy: it is answered for this one alone."""


def local(*names: str) -> Callable[[Local], Local]:
    def register(function: Local) -> Local:
        for name in names:
            LOCAL_COMMANDS[name] = function
        return function

    return register


def local_function(name: str) -> Local | None:
    """The function for a command; a container's own stands in for all its subcommands that have none."""
    return LOCAL_COMMANDS.get(name) or LOCAL_COMMANDS.get(name.partition("|")[0])


@local("ping")
def ping(client: Client, argv: list[bytes], commands: Commands) -> Any:
    if len(argv) > 2:
        raise ReplyError("ERR wrong number of arguments for 'ping' command")
    return argv[1] if len(argv) == 2 else "PONG"


@local("echo")
def echo(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return argv[1]


@local("time")
def server_time(client: Client, argv: list[bytes], commands: Commands) -> Any:
    seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


@local("role")
def role(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return [b"master", 0, []]


@local("select")
def select(client: Client, argv: list[bytes], commands: Commands) -> Any:
    if parse_int_between(argv[1], INT_MIN, INT_MAX) != 0:
        raise DB_INDEX_OUT_OF_RANGE
    return OK


@local("swapdb")
def swapdb(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """There is one database, so it can only be swapped with itself."""
    one = parse_int_between(argv[1], INT_MIN, INT_MAX, ReplyError("ERR invalid first DB index"))
    two = parse_int_between(argv[2], INT_MIN, INT_MAX, ReplyError("ERR invalid second DB index"))
    if one or two:
        raise DB_INDEX_OUT_OF_RANGE
    return OK


@local("move")
def move(client: Client, argv: list[bytes], commands: Commands) -> Any:
    raise DB_INDEX_OUT_OF_RANGE if parse_int_between(argv[2], INT_MIN, INT_MAX) else SAME_OBJECT


@local("acl|whoami")
def whoami(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return client.facts.user


@local("quit")
def quit_(client: Client, argv: list[bytes], commands: Commands) -> Any:
    client.end_input()
    return OK


@local("reset")
def reset(client: Client, argv: list[bytes], commands: Commands) -> Any:
    client.facts.name = b""
    client.facts.reads_replicas = True
    client.facts.no_evict = client.facts.no_touch = False
    client.replies_off = client.skip_next = client.strict = client.facts.strict = False
    if commands.replica_reads is not None:
        commands.replica_reads.choose_for(client)
    _speak(client, 2)
    if commands.users is not None:
        commands.users.forget(client)
    elif commands.password:
        client.authenticated = False
    return "RESET"


@local("auth")
def auth(client: Client, argv: list[bytes], commands: Commands) -> Any:
    if len(argv) > 3:
        raise SYNTAX
    if len(argv) == 2 and not commands.password and commands.users is None:
        raise ReplyError(
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?"
        )
    _login(client, b"default" if len(argv) == 2 else argv[1], argv[-1], commands)
    return OK


@local("hello")
def hello(client: Client, argv: list[bytes], commands: Commands) -> Any:
    resp = client.resp
    if len(argv) > 1:
        resp = parse_int(argv[1], BAD_PROTOCOL)
        if resp not in (2, 3):
            raise NOPROTO
    name, login = hello_options(argv[2:])
    if login:
        _login(client, *login, commands)
    if not client.authenticated:
        raise ReplyError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
            "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
            "select the RESP protocol version at the same time"
        )
    if name is not None:
        client.facts.name = _checked_name(name, "Client names")
    _speak(client, resp)
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": resp,
        b"id": client.id,
        b"mode": b"cluster" if commands.facade else b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def hello_options(options: list[bytes]) -> tuple[bytes | None, tuple[bytes, bytes] | None]:
    """(client name, (user, password)) of what follows HELLO's version."""
    name, login = None, None
    at = 0
    while at < len(options):
        match options[at].upper(), len(options) - at - 1:
            case b"AUTH", left if left >= 2:
                login = options[at + 1], options[at + 2]
                at += 3
            case b"SETNAME", left if left >= 1:
                name = options[at + 1]
                at += 2
            case _:
                shown = options[at].decode("latin-1").replace("\r", " ").replace("\n", " ")
                raise ReplyError(f"ERR Syntax error in HELLO option '{shown}'")
    return name, login


def _login(client: Client, user: bytes, password: bytes, commands: Commands) -> None:
    """There is one user; without a configured password it may log in with any, as in Redis."""
    if commands.users is not None:
        return  # a worker has been asked
    right = not commands.password or hmac.compare_digest(password, commands.password)
    if user != commands.config.user or not right:
        raise WRONGPASS
    client.facts.user = user
    client.authenticated = True


def _speak(client: Client, resp: int) -> None:
    """Change the protocol. Other connections to the workers serve it, so earlier requests finish first."""
    if resp != client.resp:
        client.resp = resp
        client.hold()


@local("client|id")
def client_id(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return client.id


@local("client|getname")
def client_getname(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return client.facts.name or None


@local("client|setname")
def client_setname(client: Client, argv: list[bytes], commands: Commands) -> Any:
    client.facts.name = _checked_name(argv[2], "Client names")
    return OK


@local("client|setinfo")
def client_setinfo(client: Client, argv: list[bytes], commands: Commands) -> Any:
    match argv[2].lower():
        case b"lib-name":
            client.facts.library = _checked_name(argv[3], "lib-name")
        case b"lib-ver":
            client.facts.library_version = _checked_name(argv[3], "lib-ver")
        case other:
            raise ReplyError(f"ERR Unrecognized option '{other.decode('latin-1')}'")
    return OK


def _checked_name(name: bytes, what: str) -> bytes:
    if any(not 0x21 <= byte <= 0x7E for byte in name):
        raise ReplyError(f"ERR {what} cannot contain spaces, newlines or special characters.")
    return name


@local("client|unblock")
def client_unblock(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """1 if the client was blocked. The worker where it waits is told, so that takes a moment."""
    if len(argv) > 4:
        raise bad_subcommand_arguments("client", "UNBLOCK")
    reason = argv[3].upper() if len(argv) > 3 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise ReplyError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    target = commands.clients.get(parse_int(argv[2]))
    if target is None or target.session is None or target.session.blocked is None:
        return 0
    return int(target.session.blocked.unblock(reason == b"ERROR"))


@local("client|capa")
def client_capa(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """What the client can do. One word means something to the proxy: `strict`, no replies that may be old."""
    if any(word.lower() == b"redirect" for word in argv[2:]):
        client.facts.redirects = True
    if any(word.lower() == b"strict" for word in argv[2:]):
        client.strict = client.facts.strict = True
        if commands.replica_reads is not None:
            commands.replica_reads.choose_for(client)
    return OK


@local("client|no-evict")
def client_no_evict(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Noted, without effect: the proxy evicts no clients."""
    client.facts.no_evict = parse_switch(argv[2])
    return OK


@local("client|no-touch")
def client_no_touch(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Noted, without effect: to workers all clients are one."""
    client.facts.no_touch = parse_switch(argv[2])
    return OK


def client_reply(client: Client, tag: int, argv: list[bytes]) -> Any:
    """CLIENT REPLY ON|OFF|SKIP. Called by `Commands` itself, because it has to know its own place (`tag`)."""
    match argv[2].lower():
        case b"on":
            client.replies_off = False
            client.mute(tag, False)
        case b"off":
            client.replies_off = True
            client.mute(tag)
        case b"skip":
            if not client.replies_off:
                client.skip_next = True
            client.mute(tag)
        case _:
            raise SYNTAX
    return OK


def refuse_unauthenticated(name: str) -> None:
    """Raises NOAUTH for all but the commands by which a client can log in or leave."""
    if name not in ("auth", "hello", "quit", "reset"):
        raise NOAUTH
