"""MONITOR: connections that are shown every command, as it is executed.

While there is any, a gate of the worker leads every command of every client through its session, which shows
it here; without monitors nobody pays. What administers the server is not shown, nor is a password. A command
is shown when it has been executed, so that what EXEC ran stands before EXEC; only scripts are shown before
what they call.

The format is that of Redis' MONITOR: Unix time with microseconds, database and client in brackets, the quoted
words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from node.core.command_rows import GATE_MONITORED
from node.metrics.slow_log import redacted
from node.session.description import address, is_unix
from node.session.pubsub import Frame

if TYPE_CHECKING:
    from node.commands.model import Command
    from node.core.engine import Engine
    from node.session.session import Session

_ESCAPES = {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord("\a"): "\\a",
    ord("\b"): "\\b",
}
_SHOWN = [_ESCAPES.get(byte, chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in range(256)]


class _Line(Frame):
    """A line for a monitor: a simple string, in both protocols."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__()
        self.push: Any = text


class Monitors:
    """The sessions in monitor mode."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[Session, None] = {}

    def __contains__(self, session: Session) -> bool:
        return session in self._sessions

    def add(self, session: Session) -> None:
        self._sessions[session] = None
        self._engine.gate |= GATE_MONITORED

    def remove(self, session: Session) -> None:
        self._sessions.pop(session, None)
        if not self._sessions:
            self._engine.gate &= ~GATE_MONITORED

    def show(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """`session` executes, or has executed, `command`."""
        if "admin" in command.flags:
            return
        seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
        words = " ".join(map(quoted, redacted(command.name, argv)))
        line = _Line(f"{seconds}.{microseconds:06} [{session.db.index} {_source(session)}] {words}")
        for monitor in self._sessions:
            monitor.push(line)


def _source(session: Session) -> str:
    """Whose command it is: an address, the path of a Unix socket, or a script."""
    if session.kind == "script":
        return "lua"
    shown = address(session)
    return f"unix:{shown.removesuffix(':0')}" if is_unix(session) else shown


def quoted(word: bytes) -> str:
    """A word between quotes, what is not printable ASCII escaped."""
    return f'"{"".join(map(_SHOWN.__getitem__, word))}"'
