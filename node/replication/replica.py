"""Our side of the talk with a primary, as a state machine without a socket: bytes in, events out.

    state           waits for                                then
    connecting      the socket                               sends PING
    ping            +PONG (or: authenticate first)           sends AUTH if there is a password
    auth            +OK                                      introduces itself, line by line
    introducing     +OK or an error, for each line           sends PSYNC
    psync           +FULLRESYNC id offset                    snapshot header
                    +CONTINUE [id]                           stream
    header          $EOF:<mark> or $<length>                 snapshot
    snapshot        the mark, or so many bytes               loading
    loading         `loaded()`                               stream
    stream          its parts, without end; who executes them sees to what they say

A primary may send empty lines at any time before the snapshot, to say that it is still there.
The snapshot with a mark ends where the bytes received so far end with the mark: the primary sends
nothing behind it until we acknowledge, so the end of the stream need not be searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from node.core.reply_writer import encode_command
from node.replication.history import is_id

MARK_LENGTH: Final = 40
READS_AS: Final = b"9.0.0"
"""The Valkey whose snapshots we read. For a replica that does not say so, Valkey takes an older format, which
knows no fields that expire, and gives up at the first. Redis does not ask."""
_LONGEST_LINE: Final = 1024


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class FullResync:
    """The primary will send all data, as of `offset` of history `id`."""

    id: str
    offset: int


@dataclass(frozen=True, slots=True)
class Continue:
    """The stream goes on where we left it; `id` is the history's name from now on."""

    id: str


@dataclass(frozen=True, slots=True)
class SnapshotBegins:
    """`size` in bytes, None when it will end with a mark."""

    size: int | None


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotEnds:
    """Load it, then call `loaded`."""


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The next bytes of the stream of commands, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The link is of no use any more; close it, and try again later."""

    reason: str


Event = Send | FullResync | Continue | SnapshotBegins | SnapshotPart | SnapshotEnds | StreamPart | Failed


@dataclass(frozen=True, slots=True)
class Introduction:
    """What we tell the primary of ourselves, and where we want to go on."""

    port: int
    id: str
    """The history our data belongs to."""
    offset: int
    """Of the last byte of it that we have."""
    announced_ip: str = ""
    node_id: str = ""
    """How the cluster calls us; empty if there is none."""
    takes_over: bool = False
    """It is our replica still, and shall become our primary now."""
    user: str = ""
    password: str = ""
    rdb_only: bool = False
    """The snapshot is all that is wanted, and not the stream."""

    def lines(self) -> list[list[bytes]]:
        lines = []
        if self.rdb_only:
            lines.append([b"REPLCONF", b"rdb-only", b"1"])
        else:
            lines.append([b"REPLCONF", b"listening-port", b"%d" % self.port])
        if self.announced_ip:
            lines.append([b"REPLCONF", b"ip-address", self.announced_ip.encode()])
        lines.append([b"REPLCONF", b"version", READS_AS])
        if self.node_id:
            lines.append([b"REPLCONF", b"set-cluster-node-id", self.node_id.encode()])
        lines.append([b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"])
        return lines

    def credentials(self) -> list[bytes]:
        return [b"AUTH", *([self.user.encode()] if self.user else []), self.password.encode()]


class ReplicaProtocol:
    """One connection to a primary. `state` is one of the above, or "failed"."""

    def __init__(self, introduction: Introduction) -> None:
        self.state = "connecting"
        self._introduction = introduction
        self._lines = introduction.lines()
        self._buffer = bytearray()
        self._mark = b""
        self._missing = 0
        """Bytes of the snapshot still to come, where its size is known."""
        self._on_line: dict[str, Callable[[bytes], Iterator[Event]]] = {
            "ping": self._on_ping_reply,
            "auth": self._on_auth_reply,
            "introducing": self._on_introduction_reply,
            "psync": self._on_psync_reply,
            "header": self._on_header,
        }

    def connected(self) -> list[Event]:
        self.state = "ping"
        return [Send(encode_command([b"PING"]))]

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the primary's bytes mean. The iterator must be used up before the next call."""
        if self.state == "stream":
            yield StreamPart(data)
            return
        self._buffer += data
        while self._buffer and self.state in self._on_line:
            line = self._take_line()
            if line is None:
                return
            if line:
                yield from self._on_line[self.state](line)
        if self.state == "snapshot":
            yield from self._take_snapshot()
        elif self.state == "stream":
            yield from self._take_stream()

    def loaded(self) -> Iterator[Event]:
        """The snapshot has been loaded: go on with the stream, from what arrived meanwhile."""
        self.state = "stream"
        yield from self._take_stream()

    def _fail(self, reason: str) -> Iterator[Event]:
        self.state = "failed"
        self._buffer.clear()
        yield Failed(reason)

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0 and len(self._buffer) < _LONGEST_LINE:
            return None
        end = end if end >= 0 else _LONGEST_LINE
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line

    # lines

    def _on_ping_reply(self, line: bytes) -> Iterator[Event]:
        wants_password = line.startswith((b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"))
        if not line.startswith(b"+") and not wants_password:
            yield from self._fail(f"Error reply to PING from master: '{_text(line)}'")
        elif self._introduction.password:
            self.state = "auth"
            yield Send(encode_command(self._introduction.credentials()))
        else:
            yield from self._introduce()

    def _on_auth_reply(self, line: bytes) -> Iterator[Event]:
        if line.startswith(b"-"):
            yield from self._fail(f"Unable to AUTH to MASTER: {_text(line[1:])}")
        else:
            yield from self._introduce()

    def _on_introduction_reply(self, line: bytes) -> Iterator[Event]:
        """A primary that does not know a line of it refuses the line, not us."""
        yield from self._introduce()

    def _introduce(self) -> Iterator[Event]:
        if self._lines:
            self.state = "introducing"
            yield Send(encode_command(self._lines.pop(0)))
        else:
            self.state = "psync"
            wanted = self._introduction
            psync = [b"PSYNC", wanted.id.encode(), b"%d" % (wanted.offset + 1)]
            yield Send(encode_command([*psync, b"FAILOVER"] if wanted.takes_over else psync))

    def _on_psync_reply(self, line: bytes) -> Iterator[Event]:
        words = line.decode("latin-1").split() or [""]
        if words[0] == "+FULLRESYNC" and len(words) == 3 and is_id(words[1]) and words[2].isdigit():
            self.state = "header"
            yield FullResync(words[1], int(words[2]))
        elif words[0] == "+CONTINUE" and (len(words) == 1 or is_id(words[1])):
            self.state = "stream"
            yield Continue(words[1] if len(words) > 1 else self._introduction.id)
        else:
            yield from self._fail(f"Unexpected reply to PSYNC from master: {_text(line)}")

    def _on_header(self, line: bytes) -> Iterator[Event]:
        mark = line.removeprefix(b"$EOF:")
        if mark != line and len(mark) == MARK_LENGTH:
            self._mark = mark
            self.state = "snapshot"
            yield SnapshotBegins(None)
        elif line.startswith(b"$") and line[1:].isdigit():
            self._missing = int(line[1:])
            self.state = "snapshot"
            yield SnapshotBegins(self._missing)
        else:
            yield from self._fail(f"Bad protocol from MASTER, the first byte is not '$': {_text(line)}")

    # snapshot and stream

    def _take_snapshot(self) -> Iterator[Event]:
        """All that is sure to belong to the snapshot; with a mark, the last bytes are held back."""
        if self._mark:
            ends = self._buffer.endswith(self._mark)
            count = max(0, len(self._buffer) - MARK_LENGTH)
        else:
            count = min(self._missing, len(self._buffer))
            self._missing -= count
            ends = self._missing == 0
        if count:
            part = bytes(self._buffer[:count])
            del self._buffer[:count]
            yield SnapshotPart(part)
        if ends:
            if self._mark:
                self._buffer.clear()
            self.state = "loading"
            yield SnapshotEnds()

    def _take_stream(self) -> Iterator[Event]:
        """What arrived of the stream before its time."""
        if self._buffer:
            yield StreamPart(bytes(self._buffer))
            self._buffer.clear()


def _text(line: bytes) -> str:
    return line[:256].decode("utf-8", "replace")
