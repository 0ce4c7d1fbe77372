"""What can be said about a client: the line of CLIENT LIST and CLIENT INFO, and where it comes from.

Field names, order and flag letters are those of Redis' documentation of CLIENT LIST. Fields that would
describe parts of Redis' own client structure are given as zero where clients' parsers expect them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.core.command_rows import GATE_NO_TOUCH
from node.session.client_memory import memory_of

if TYPE_CHECKING:
    from node.session.session import Session

NO_COMMAND = "NULL"


def address(session: Session) -> str:
    """`ip:port` of the client, `[ip]:port` for IPv6, `path:0` for a Unix socket, `?:0` without a
    connection."""
    return _shown(session, "peername")


def local_address(session: Session) -> str:
    """The address of ours that the client connected to, in the same form."""
    return _shown(session, "sockname")


def host(session: Session) -> str:
    """The IP address of the client; empty for a Unix socket."""
    name = None if is_unix(session) else _extra(session, "peername")
    return str(name[0]) if name else ""


def is_local(session: Session) -> bool:
    """Whether the client is on this machine: a Unix socket, or the loopback interface."""
    if is_unix(session):
        return True
    name = _extra(session, "peername")
    return bool(name) and (name[0] == "::1" or name[0].removeprefix("::ffff:").startswith("127."))


def is_unix(session: Session) -> bool:
    sock = _extra(session, "socket")
    return sock is not None and sock.family == socket.AF_UNIX


def flags(session: Session) -> str:
    """The letters of the `flags` field, `N` when there is nothing to say."""
    tracking = session.tracking
    said = {
        "O": session in session.worker.monitors,
        "S": session.kind == "replica",
        "M": session.kind == "master",
        "P": session.kind == "pubsub",
        "x": session.in_transaction,
        "b": session.suspended and not session.sends_slots,
        "i": session.sends_slots,
        "t": tracking is not None,
        "R": tracking is not None and tracking.broken,
        "B": tracking is not None and tracking.broadcasts,
        "d": session.watch_broken,
        "c": session.closing,
        "U": is_unix(session),
        "r": session.readonly,
        "e": session.no_evict,
        "I": session.imports,
        "T": bool(session.gate & GATE_NO_TOUCH),
    }
    return "".join(letter for letter, holds in said.items() if holds) or "N"


class Description:
    """What filters of CLIENT LIST ask of a session (handlers/client_filters.py)."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def id(self) -> int:
        return self._session.id

    @property
    def kind(self) -> str:
        return self._session.kind

    @property
    def address(self) -> str:
        return address(self._session)

    @property
    def local_address(self) -> str:
        return local_address(self._session)

    @property
    def host(self) -> str:
        return host(self._session)

    @property
    def user_name(self) -> bytes | None:
        return self._session.user.name if self._session.user else None

    @property
    def flags(self) -> str:
        return flags(self._session)

    @property
    def redirects(self) -> bool:
        return self._session.redirects

    @property
    def database(self) -> int:
        return int(self._session.db.index)

    @property
    def created_at(self) -> int:
        return int(self._session.created_at)

    @property
    def last_active(self) -> int:
        return int(self._session.link.last_active)

    @property
    def name(self) -> bytes:
        return self._session.name

    @property
    def lib_name(self) -> bytes:
        return self._session.lib_name

    @property
    def lib_ver(self) -> bytes:
        return self._session.lib_ver


def describe_for_log(session: Session) -> str:
    """The same for the log, with nothing in it that the client chose, if the log is to hide that."""
    return describe(session, names=session.worker.log.of_user).decode("latin-1")


def describe(session: Session, doing: str = "", names: Callable[[str], str] = str) -> bytes:
    """One line without its end: `id=3 addr=127.0.0.1:1234 ...`. `doing`: a command that was refused, as the
    last it sent; `names` is applied to what the client calls itself."""
    link = session.link
    now = session.engine.now
    pending_input = link.pending_input if link else 0
    pending_output = link.pending_output if link else 0
    capacity = link.input_capacity if link else 0
    memory = memory_of(session)
    sock = _extra(session, "socket")
    own = session.subscriptions
    fields: dict[str, Any] = {
        "id": session.id,
        "addr": address(session),
        "laddr": local_address(session),
        "fd": sock.fileno() if sock is not None else -1,
        "name": names(session.name.decode("latin-1")),
        "age": (now - session.created_at) // 1000,
        "idle": (now - link.last_active) // 1000 if link else 0,
        "flags": flags(session),
        "db": session.db.index,
        "sub": len(own.channels) if own else 0,
        "psub": len(own.patterns) if own else 0,
        "ssub": len(own.shard_channels) if own else 0,
        "multi": session.queued_count,
        "watch": len(session.watched),
        "qbuf": pending_input,
        "qbuf-free": max(0, capacity - pending_input),
        "argv-mem": 0,
        "multi-mem": memory.transaction,
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": 1 if pending_output else 0,
        "omem": pending_output,
        "tot-mem": memory.total,
        "events": "rw" if pending_output else "r",
        "cmd": doing or session.last_command or NO_COMMAND,
        "user": names(session.user.name.decode("latin-1")) if session.user else "(superuser)",
        "redir": -1 if session.tracking is None else session.tracking.redirect,
        "resp": session.resp,
        "lib-name": names(session.lib_name.decode("latin-1")),
        "lib-ver": names(session.lib_ver.decode("latin-1")),
        "io-thread": 0,
        "tot-net-in": link.bytes_received if link else 0,
        "tot-net-out": link.bytes_sent if link else 0,
        "tot-cmds": link.commands if link else 0,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode("latin-1", "replace")


def _extra(session: Session, name: str) -> Any:
    return session.link.transport.get_extra_info(name) if session.link else None


def _shown(session: Session, end: str) -> str:
    if is_unix(session):
        return f"{_extra(session, 'socket').getsockname()}:0"
    name = _extra(session, end)
    if not name:
        return "?:0"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
