"""One connection to one node, and the errors an operator is shown.

An operator's error is one line: which node, what happened, and what to do next. It is raised as
`OperationError`, and whoever runs the operation prints it; a traceback is for bugs of ours only.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions
from redis.connection import Connection
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError, TimeoutError

from cluster.addresses import address_text
from cluster.operations.dialling import CONNECT_SECONDS, Tls, dial, reason_of
from cluster.plans.advice import advice_on

Argument = bytes | str | int | float

DEFAULT_TIMEOUT = 10.0

_PREFIXES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.MovedError, "MOVED"),
    (exceptions.AskError, "ASK"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AuthenticationError, "NOAUTH"),
)
"""redis-py turns these prefixes into classes and drops the words; operators and we read the words"""


@dataclass(frozen=True)
class ErrorReply:
    """An error reply in a pipeline. `text` begins with its prefix, but for the plain `ERR`."""

    text: str

    @classmethod
    def of(cls, error: Exception) -> ErrorReply:
        prefix = next((word for kind, word in _PREFIXES if isinstance(error, kind)), "")
        text = str(error)
        return cls(text if not prefix or text.startswith(prefix) else f"{prefix} {text}")


class OperationError(Exception):
    """Something stands in the way. `next_step` says what the operator can do about it; may be empty."""

    def __init__(self, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.text}; {self.next_step}" if self.next_step else self.text


class Interrupted(OperationError):
    """The operator asked to stop, or to pause; what was begun is in order."""


class Unreachable(OperationError):
    """No connection, or no answer in time. `reason` is the bare cause."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} does not answer: {reason}", advice_on(reason))
        self.reason = reason


class Refused(OperationError):
    """The node answered with an error. `reply` is that error as the node sent it."""

    def __init__(self, address: str, command: str, reply: str, next_step: str = "") -> None:
        super().__init__(f"{address} refused {command}: {reply}", next_step)
        self.reply = reply


class NotLetIn(Refused):
    """It wants a password, or another one, or none."""

    def __init__(self, address: str, command: str, reply: str) -> None:
        unasked = "without any password configured" in reply
        advice = "it asks nobody for a password: give none" if unasked else "give --user and --password"
        super().__init__(address, command, reply, advice)


@dataclass(frozen=True)
class Credentials:
    """What lets us in: the same for all members of a cluster."""

    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    """None: connections are plain."""

    @property
    def migrate_arguments(self) -> list[str]:
        """How MIGRATE is told to log in at the target."""
        if not self.password:
            return []
        return ["AUTH2", self.username, self.password] if self.username else ["AUTH", self.password]


ANONYMOUS = Credentials()


class _DialledConnection(Connection):
    """redis-py's, over a socket of ours."""

    def __init__(self, tls: Tls | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls
        self.cause: OSError | None = None
        """Why there was no connection the last time: redis-py puts it into a sentence."""

    def _connect(self) -> Any:
        try:
            return dial(self.host, self.port, self._tls, self.socket_timeout or CONNECT_SECONDS)
        except OSError as error:
            self.cause = error
            raise


class NodeLink:
    """Connects with the first call, and again after an error. Replies are bytes, integers and lists (RESP2).

    `timeout`: seconds to wait for one reply.
    """

    def __init__(
        self, host: str, port: int, credentials: Credentials = ANONYMOUS, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self.host = host
        self.port = port
        self.credentials = credentials
        self._timeout = timeout
        self._connection = _DialledConnection(
            credentials.tls,
            host=host,
            port=port,
            username=credentials.username,
            password=credentials.password,
            socket_timeout=timeout,
            socket_connect_timeout=min(timeout, CONNECT_SECONDS),
            protocol=2,
        )

    @property
    def address(self) -> str:
        return address_text(self.host, self.port)

    @contextlib.contextmanager
    def database(self, number: int) -> Iterator[None]:
        """Within, commands are about keys of this numbered database, also after a new connection."""
        if number == 0:
            yield
            return
        self.call("SELECT", number)
        self._connection.db = number
        try:
            yield
        finally:
            self._connection.db = 0
            self._connection.disconnect()

    @contextlib.contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Within, a reply may take at least so long."""
        usual = self._timeout
        self._wait(max(seconds, usual))
        try:
            yield
        finally:
            self._wait(usual)

    def _wait(self, seconds: float) -> None:
        self._timeout = seconds
        self._connection.socket_timeout = seconds
        if self._connection._sock is not None:
            self._connection._sock.settimeout(seconds)

    def databases(self) -> list[int]:
        """The databases with keys, and number 0. A cluster has others only where `cluster-databases` says
        so."""
        told = self.call_text("INFO", "keyspace")
        return sorted({0, *(int(found) for found in re.findall(r"^db(\d+):", told, re.MULTILINE))})

    def call(self, *args: Argument) -> Any:
        """The reply to one command. Raises Unreachable, or Refused for an error reply."""
        reply = self.pipeline([args])[0]
        if isinstance(reply, ErrorReply):
            raise self.refused(args, reply)
        return reply

    def call_text(self, *args: Argument) -> str:
        reply = self.call(*args)
        return reply.decode() if isinstance(reply, bytes) else str(reply)

    def call_all(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """`pipeline`, but raising Refused for the first error reply."""
        replies = self.pipeline(commands)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, ErrorReply):
                raise self.refused(command, reply)
        return replies

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send all, then read all. An error reply stands in its place as an ErrorReply. Raises
        Unreachable."""
        connection = self._connection
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [self._read() for _ in commands]
        except AuthenticationError as error:
            connection.disconnect()
            raise NotLetIn(self.address, "AUTH", str(error)) from error
        except (ConnectionError, TimeoutError, OSError) as error:
            connection.disconnect()
            raise Unreachable(self.address, _cause(error, connection)) from error
        except RedisError as error:
            connection.disconnect()
            raise OperationError(
                f"{self.address} does not speak the protocol: {error}", "is it a worker's client port?"
            ) from error

    def close(self) -> None:
        self._connection.disconnect()

    def refused(self, command: Sequence[Argument], reply: ErrorReply) -> Refused:
        name = " ".join(_shown(word) for word in command[:3])
        if reply.text.startswith("NOAUTH"):
            return NotLetIn(self.address, name, reply.text)
        advice = "log in as a user who may: --user" if reply.text.startswith("NOPERM") else ""
        return Refused(self.address, name, reply.text, advice)

    def _read(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as error:
            return ErrorReply.of(error)


def _shown(word: Argument) -> str:
    return word.decode("latin-1") if isinstance(word, bytes) else str(word)


def _cause(error: Exception, connection: _DialledConnection) -> str:
    """`connection refused` rather than redis-py's whole sentence."""
    cause, connection.cause = connection.cause, None
    if cause is not None:
        return reason_of(cause)
    inner = error
    while not isinstance(inner, OSError) and isinstance(inner.__cause__ or inner.__context__, Exception):
        inner = inner.__cause__ or inner.__context__  # type: ignore[assignment]
    if isinstance(inner, OSError) and inner.strerror:
        return reason_of(inner)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error).rstrip(".").lower() or type(error).__name__
