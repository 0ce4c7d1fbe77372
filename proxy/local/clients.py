"""CLIENT LIST, INFO and KILL: who is connected to the proxy.

Lines have the fields of a worker's (node/session/description.py), in its order, and filters are the worker's
own. Fields about parts of a server that a proxy does not have are zero.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from node.errors import ReplyError
from node.handlers.client_filters import Scope, parse_filters
from node.replies import OK, Verbatim
from proxy.local.local_commands import local

if TYPE_CHECKING:
    from node.session.tracking_mode import Mode
    from proxy.core.client import Client
    from proxy.requests.commands import Commands
    from proxy.sessions.session import Session

NO_COMMAND = "NULL"
NS_PER_MS = 1_000_000
DATABASES = 1
NO_SUCH_CLIENT = ReplyError("ERR No such client")


class Description:
    """What can be said about a client, as the filters ask for it."""

    __slots__ = ("_client", "_commands")

    def __init__(self, client: Client, commands: Commands) -> None:
        self._client = client
        self._commands = commands

    @property
    def _session(self) -> Session | None:
        session: Session | None = self._client.session
        return session

    @property
    def id(self) -> int:
        return int(self._client.id)

    @property
    def kind(self) -> str:
        return "pubsub" if self._session is not None and self._session.subscriptions else "normal"

    @property
    def address(self) -> str:
        return str(self._client.facts.address)

    @property
    def local_address(self) -> str:
        return str(self._client.facts.local_address)

    @property
    def is_unix(self) -> bool:
        return self.address.endswith(":0")

    @property
    def host(self) -> str:
        return "" if self.is_unix else self.address.rpartition(":")[0].strip("[]")

    @property
    def user_name(self) -> bytes:
        return bytes(self._client.facts.user)

    @property
    def redirects(self) -> bool:
        return bool(self._client.facts.redirects)

    @property
    def database(self) -> int:
        return 0

    @property
    def created_at(self) -> int:
        return int(self._client.facts.since * 1000)

    @property
    def last_active(self) -> int:
        return int(self._client.last_active) // NS_PER_MS

    @property
    def name(self) -> bytes:
        return bytes(self._client.facts.name)

    @property
    def lib_name(self) -> bytes:
        return bytes(self._client.facts.library)

    @property
    def lib_ver(self) -> bytes:
        return bytes(self._client.facts.library_version)

    @property
    def tracking(self) -> Mode | None:
        return self._session.tracking if self._session is not None else None

    @property
    def is_blocked(self) -> bool:
        """By a command of its own that waits at a worker, or by CLIENT PAUSE."""
        blocked = self._session.blocked if self._session is not None else None
        return (blocked is not None and blocked.is_waiting) or self._commands.pause.holds(self._client)

    @property
    def flags(self) -> str:
        client, session, tracking = self._client, self._session, self.tracking
        watch = session.watch if session is not None else None
        said = {
            "O": session is not None and session.monitoring,
            "P": self.kind == "pubsub",
            "x": session is not None and session.transaction is not None,
            "b": self.is_blocked,
            "t": tracking is not None,
            "R": tracking is not None and tracking.broken,
            "B": tracking is not None and tracking.broadcasts,
            "d": watch is not None and watch.lost,
            "c": client.closing,
            "U": self.is_unix,
            "e": client.facts.no_evict,
            "T": client.facts.no_touch,
        }
        return "".join(letter for letter, holds in said.items() if holds) or "N"

    def line(self) -> str:
        """`id=3 addr=127.0.0.1:1234 …`, without its end."""
        client, facts, session, tracking = self._client, self._client.facts, self._session, self.tracking
        now = time.monotonic_ns() // NS_PER_MS
        transaction = session.transaction if session is not None else None
        watch = session.watch if session is not None else None
        listens = session.subscriptions if session is not None else None
        channels, patterns, shards = map(len, listens.names.values()) if listens else (0, 0, 0)
        waiting, unsent = client.buffered
        queued = transaction.size if transaction else 0
        fields: dict[str, Any] = {
            "id": client.id,
            "addr": self.address,
            "laddr": self.local_address,
            "fd": client.descriptor,
            "name": facts.name.decode("latin-1"),
            "age": (now - self.created_at) // 1000,
            "idle": max(now - self.last_active, 0) // 1000,
            "flags": self.flags,
            "db": self.database,
            "sub": channels,
            "psub": patterns,
            "ssub": shards,
            "multi": -1 if transaction is None else len(transaction.queue),
            "watch": len(watch.keys) if watch else 0,
            "qbuf": waiting,
            "qbuf-free": 0,
            "argv-mem": 0,
            "multi-mem": queued,
            "rbs": 0,
            "rbp": 0,
            "obl": 0,
            "oll": 1 if unsent else 0,
            "omem": unsent,
            "tot-mem": waiting + unsent + queued,
            "events": "rw" if unsent else "r",
            "cmd": client.last_command or facts.last_command or NO_COMMAND,
            "user": facts.user.decode("latin-1"),
            "redir": -1 if tracking is None else tracking.redirect,
            "resp": client.resp,
            "lib-name": facts.library.decode("latin-1"),
            "lib-ver": facts.library_version.decode("latin-1"),
            "io-thread": 0,
            "tot-net-in": client.bytes_received,
            "tot-net-out": client.bytes_sent,
            "tot-cmds": client.head,
        }
        return " ".join(f"{name}={value}" for name, value in fields.items())


def _lines(clients: list[Client], commands: Commands) -> Verbatim:
    text = "".join(f"{Description(client, commands).line()}\n" for client in clients)
    return Verbatim(text.encode("latin-1", "replace"))


def _chosen(client: Client, filters: list[bytes], commands: Commands, *, listing: bool) -> list[Client]:
    """Those whom the filters are for, asked by `client`. Raises ReplyError."""
    now = time.monotonic_ns() // NS_PER_MS
    scope = Scope(client.id, now, DATABASES, lambda name: _knows_user(commands, name))
    chosen = parse_filters(scope, filters, listing=listing)
    return [other for other in commands.clients.values() if chosen(Description(other, commands))]


def _knows_user(commands: Commands, name: bytes) -> bool:
    """If workers know the users, anybody may be one."""
    return commands.users is not None or name in (b"default", commands.config.user)


@local("client|info")
def client_info(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return _lines([client], commands)


@local("client|list")
def client_list(client: Client, argv: list[bytes], commands: Commands) -> Any:
    return _lines(_chosen(client, argv[2:], commands, listing=True), commands)


@local("client|kill")
def client_kill(client: Client, argv: list[bytes], commands: Commands) -> Any:
    """CLIENT KILL address, or by filters, all of which must hold."""
    if len(argv) > 3:
        return _kill(client, _chosen(client, argv[2:], commands, listing=False))
    address = argv[2].decode("latin-1")
    found = next((other for other in commands.clients.values() if other.facts.address == address), None)
    if found is None:
        raise NO_SUCH_CLIENT
    _kill(client, [found])
    return OK


def _kill(killer: Client, chosen: list[Client]) -> int:
    for client in chosen:
        if client is killer:
            client.end_input()  # it still gets its reply
        else:
            client.kill()
    return len(chosen)
