"""Commands out of a replication stream: RESP arrays of bulk strings, arriving in pieces of any size.

What was parsed of an unfinished command is kept, and a long argument is awaited without looking at it
again, so the work is proportional to the bytes, however they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_LINE = 64
_MAX_ARGUMENTS = 1 << 31
_MAX_ARGUMENT = 1 << 32


class StreamError(Exception):
    """Bytes that are no command. There is no way to go on after them."""


class CommandReader:
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        """Where the command at hand begins."""
        self._at = 0
        """Up to where it is parsed."""
        self._argv: list[bytes] = []
        self._missing = 0
        """Arguments of it still to come."""

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def commands(self) -> Iterator[tuple[list[bytes], bytes]]:
        """(argv, its bytes in the stream) of each command that is complete. Raises StreamError."""
        while self._parse_command():
            raw = bytes(self._buffer[self._start : self._at])
            argv, self._argv = self._argv, []
            self._start = self._at
            yield argv, raw
        del self._buffer[: self._start]
        self._at -= self._start
        self._start = 0

    def _parse_command(self) -> bool:
        if not self._missing:
            count = self._number(b"*", _MAX_ARGUMENTS)
            if count is None:
                return False
            if count == 0:
                raise StreamError("a command without a name")
            self._missing = count
        while self._missing:
            before = self._at
            length = self._number(b"$", _MAX_ARGUMENT)
            if length is None:
                return False
            end = self._at + length
            if len(self._buffer) < end + 2:
                self._at = before
                return False
            if self._buffer[end : end + 2] != b"\r\n":
                raise StreamError("an argument without its end")
            self._argv.append(bytes(self._buffer[self._at : end]))
            self._at = end + 2
            self._missing -= 1
        return True

    def _number(self, sign: bytes, most: int) -> int | None:
        """The number of the header line `sign`; None while it is not complete."""
        buffer = self._buffer
        if len(buffer) == self._at:
            return None
        if buffer[self._at] != sign[0]:
            found = bytes(buffer[self._at : self._at + 16])
            raise StreamError(f"{found!r} where {sign.decode()} was expected")
        end = buffer.find(b"\r\n", self._at, self._at + _LONGEST_LINE)
        if end < 0:
            if len(buffer) - self._at >= _LONGEST_LINE:
                raise StreamError("an endless header")
            return None
        digits = buffer[self._at + 1 : end]
        if not digits.isdigit() or int(digits) > most:
            raise StreamError(f"{bytes(digits)!r} is no length")
        self._at = end + 2
        return int(digits)
