"""Which keys a stream of writes has touched: a parser for the stream, and a set of keys to take from.

One thread feeds, another takes. A key that is taken and touched again is in the set again, so whoever fetches
its value after taking it never misses a change.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from node.commands import find

Key = tuple[int, bytes]
"""(database, key)"""


class Unfollowable(Exception):
    """A write whose keys nobody can tell, or which concerns all of them. One line for the operator."""


class StreamReader:
    """Commands out of the bytes of a replication stream, cut anywhere: arrays of bulk strings, and nothing
    else. Raises ValueError for what is none."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[list[bytes]]:
        self._buffer += data
        commands = []
        start = 0
        while True:
            found = self._command(start)
            if found is None:
                break
            command, start = found
            if command:
                commands.append(command)
        del self._buffer[:start]
        return commands

    def _command(self, start: int) -> tuple[list[bytes], int] | None:
        """A command that is there as a whole, and where the next begins. Empty lines are signs of life."""
        line = self._line(start)
        if line is None:
            return None
        text, at = line
        if not text:
            return [], at
        words = []
        for _ in range(_number(text, b"*")):
            line = self._line(at)
            if line is None:
                return None
            length, begin = _number(line[0], b"$"), line[1]
            at = begin + length + 2
            if at > len(self._buffer):
                return None
            words.append(bytes(self._buffer[begin : begin + length]))
        return words, at

    def _line(self, start: int) -> tuple[bytes, int] | None:
        end = self._buffer.find(b"\n", start)
        return None if end < 0 else (bytes(self._buffer[start:end]).rstrip(b"\r"), end + 1)


def _number(text: bytes, kind: bytes) -> int:
    if not text.startswith(kind) or not text[1:].isdigit():
        raise ValueError(f"the stream holds {text[:32]!r} where a {kind.decode()} was expected")
    return int(text[1:])


class Touched:
    """What one stream has touched since it was asked the last time."""

    def __init__(self) -> None:
        self._keys: set[Key] = set()
        self.functions_changed = False
        self._lock = threading.Lock()
        self._database = 0

    def __len__(self) -> int:
        return len(self._keys)

    def take(self) -> set[Key]:
        with self._lock:
            taken, self._keys = self._keys, set()
        return taken

    def take_functions(self) -> bool:
        """Whether libraries of functions have changed."""
        taken, self.functions_changed = self.functions_changed, False
        return taken

    def note(self, command: Sequence[bytes]) -> None:
        """Raises Unfollowable."""
        name = command[0].lower()
        if name == b"select":
            self._database = int(command[1])
        elif name in (b"flushall", b"flushdb", b"swapdb"):
            raise Unfollowable(f"{name.decode().upper()} was called while it was imported; begin anew")
        elif name == b"function":
            self.functions_changed = True
        else:
            keys = self._keys_of(name, command)
            with self._lock:
                self._keys |= keys

    def _keys_of(self, name: bytes, command: Sequence[bytes]) -> set[Key]:
        row = find(command)
        if row is None:
            shown = name[:64].decode("latin-1").upper()
            raise Unfollowable(f"it writes by {shown}, a command that is not known here: of a module?")
        if not row.is_write and name != b"pfcount":  # which may keep its result in the key
            return set()  # PING, MULTI, PUBLISH, SCRIPT ...
        keys = {(self._database, command[at]) for at in row.key_positions(command)}
        other = _other_database(name, command)
        if other is not None:
            keys |= {(other, key) for _, key in keys}
        return keys


def _other_database(name: bytes, command: Sequence[bytes]) -> int | None:
    """MOVE and COPY write to a database that is not selected."""
    if name == b"move":
        return int(command[2])
    if name == b"copy":
        for at, word in enumerate(command[:-1]):
            if at > 2 and word.upper() == b"DB":
                return int(command[at + 1])
    return None
