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
    NOT_AN_INTEGER,
    SAME_OBJECT,
    SYNTAX,
    WRONGPASS,
    ReplyError,
    bad_subcommand_arguments,
)
from node.replies import OK, Verbatim
from proxy.local.version import REDIS_VERSION

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands

Local = Callable[["Client", list[bytes], "Commands"], Any]
LOCAL_COMMANDS: dict[str, Local] = {}


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
    if not argv[1].removeprefix(b"-").isdigit():
        raise NOT_AN_INTEGER
    if int(argv[1]) != 0:
        raise DB_INDEX_OUT_OF_RANGE
    return OK


@local("swapdb")
def swapdb(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """There is one database, so it can only be swapped with itself."""
    for number, which in ((argv[1], "first"), (argv[2], "second")):
        if not number.removeprefix(b"-").isdigit():
            raise ReplyError(f"ERR invalid {which} DB index")
    if int(argv[1]) or int(argv[2]):
        raise DB_INDEX_OUT_OF_RANGE
    return OK


@local("move")
def move(client: Client, argv: list[bytes], commands: Commands) -> Any:
    if not argv[2].removeprefix(b"-").isdigit():
        raise NOT_AN_INTEGER
    raise DB_INDEX_OUT_OF_RANGE if int(argv[2]) else SAME_OBJECT


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
        if not argv[1].isdigit():
            raise ReplyError("ERR Protocol version is not an integer or out of range")
        resp = int(argv[1])
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


@local("client|info")
def client_info(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return Verbatim(client_line(client))


@local("client|list")
def client_list(client: Client, argv: list[bytes], commands: Commands) -> Any:
    match [option.upper() for option in argv[2:4]]:
        case []:
            chosen = list(commands.clients.values())
        case [b"ID", *_] if len(argv) > 3:
            if not all(word.isdigit() for word in argv[3:]):
                raise ReplyError("ERR Invalid client ID")
            numbers = [int(word) for word in argv[3:]]
            chosen = [commands.clients[number] for number in numbers if number in commands.clients]
        case [b"TYPE", kind] if kind in (b"NORMAL", b"MASTER", b"REPLICA", b"SLAVE", b"PUBSUB"):
            chosen = list(commands.clients.values()) if kind == b"NORMAL" else []
        case [b"TYPE", _]:
            raise ReplyError(f"ERR Unknown client type '{argv[3].decode('latin-1')}'")
        case _:
            raise SYNTAX
    return Verbatim("".join(map(client_line, chosen)))


def client_line(client: Client) -> str:
    """One line of CLIENT LIST, with the fields that mean something in a proxy."""
    facts = client.facts
    transaction = client.session.transaction if client.session else None
    queued = -1 if transaction is None else len(transaction.queue)
    listens = client.session.subscriptions if client.session else None
    channels, patterns, shards = map(len, listens.names.values()) if listens else (0, 0, 0)
    waiting, unsent = client.buffered
    return (
        f"id={client.id} addr={facts.address} laddr={facts.local_address} fd={client.descriptor} "
        f"name={facts.name.decode()} age={int(time.monotonic() - facts.since)} db=0 "
        f"sub={channels} psub={patterns} ssub={shards} multi={queued} "
        f"qbuf={waiting} omem={unsent} cmd={facts.last_command} user={facts.user.decode('utf-8', 'replace')} "
        f"lib-name={facts.library.decode()} lib-ver={facts.library_version.decode()} resp={client.resp}\n"
    )


@local("client|kill")
def client_kill(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """CLIENT KILL address, or by filters, all of which must hold."""
    if len(argv) == 3:
        if not _kill(client, [other for other in commands.clients.values() if _is_at(other, argv[2])]):
            raise ReplyError("ERR No such client")
        return OK
    if len(argv) % 2:
        raise SYNTAX
    skip_me = True
    chosen = list(commands.clients.values())
    for name, value in zip(argv[2::2], argv[3::2], strict=True):
        if name.upper() == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                raise SYNTAX
            skip_me = value.lower() == b"yes"
        else:
            condition = _kill_filter(name.upper(), value, commands)
            chosen = [other for other in chosen if condition(other)]
    return _kill(client, [other for other in chosen if not (skip_me and other is client)])


def _kill_filter(name: bytes, value: bytes, commands: Commands) -> Callable[[Client], bool]:
    """The condition of one filter of CLIENT KILL. Raises ReplyError."""
    match name:
        case b"ID":
            if not value.isdigit() or not int(value):
                raise ReplyError("ERR client-id should be greater than 0")
            return lambda other: other.id == int(value)
        case b"ADDR":
            return lambda other: _is_at(other, value)
        case b"LADDR":
            return lambda other: other.facts.local_address.encode() == value
        case b"USER":
            if commands.users is None and value not in (b"default", commands.config.user):
                raise ReplyError(f"ERR No such user '{value.decode('latin-1')}'")
            return lambda other: other.facts.user == value
        case b"MAXAGE":
            if not value.isdigit():
                raise ReplyError("ERR maxage is not an integer or out of range")
            return lambda other: time.monotonic() - other.facts.since >= int(value)
        case b"TYPE":
            kind = value.upper()
            if kind not in (b"NORMAL", b"MASTER", b"REPLICA", b"SLAVE", b"PUBSUB"):
                raise ReplyError(f"ERR Unknown client type '{value.decode('latin-1')}'")
            return lambda other: kind == b"NORMAL"
        case _:
            raise SYNTAX


def _is_at(client: Client, address: bytes) -> bool:
    return client.facts.address.encode() == address


def _kill(killer: Client, chosen: list[Client]) -> int:
    for client in chosen:
        if client is killer:
            client.end_input()  # it still gets its reply
        else:
            client.kill()
    return len(chosen)


@local("client|unblock")
def client_unblock(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """1 if the client was blocked. The worker where it waits is told, so that takes a moment."""
    if len(argv) > 4:
        raise bad_subcommand_arguments("client", "UNBLOCK")
    reason = argv[3].upper() if len(argv) > 3 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise ReplyError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    if not argv[2].isdigit():
        raise NOT_AN_INTEGER
    target = commands.clients.get(int(argv[2]))
    if target is None or target.session is None or target.session.blocked is None:
        return 0
    return int(target.session.blocked.unblock(reason == b"ERROR"))


@local("client|capa")
def client_capa(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """What the client can do. One word means something to the proxy: `strict`, no replies that may be old."""
    if any(word.lower() == b"strict" for word in argv[2:]):
        client.strict = client.facts.strict = True
        if commands.replica_reads is not None:
            commands.replica_reads.choose_for(client)
    return OK


@local("client|no-evict", "client|no-touch")
def client_switch(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """Accepted, without effect: the proxy evicts no clients, and to workers all clients are one."""
    if argv[2].lower() not in (b"on", b"off"):
        raise SYNTAX
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
