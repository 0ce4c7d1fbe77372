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
        """What has not been parsed."""
        self._wanted = 0
        """How much of it must be there before it is worth looking again."""
        self._parsed: list[bytes] = []
        """The bytes before it that belong to the command at hand."""
        self._argv: list[bytes] = []
        self._missing = 0
        """Arguments of the command at hand still to come."""

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def commands(self) -> Iterator[tuple[list[bytes], bytes]]:
        """(argv, its bytes in the stream) of each command that is complete. Raises StreamError."""
        if len(self._buffer) < self._wanted:
            return
        buffer, argv, missing = bytes(self._buffer), self._argv, self._missing
        start = at = wanted = 0
        while True:
            if not missing:
                header = _number(buffer, at, b"*", _MAX_ARGUMENTS)
                if header is None:
                    break
                missing, at = header
                if not missing:
                    raise StreamError("a command without a name")
            header = _number(buffer, at, b"$", _MAX_ARGUMENT)
            if header is None:
                break
            length, begin = header
            end = begin + length
            if len(buffer) < end + 2:
                wanted = end + 2 - at
                break
            if buffer[end : end + 2] != b"\r\n":
                raise StreamError("an argument without its end")
            argv.append(buffer[begin:end])
            at = end + 2
            missing -= 1
            if not missing:
                yield argv, self._raw(buffer[start:at])
                argv = []
                start = at
        if start < at:
            self._parsed.append(buffer[start:at])
        del self._buffer[:at]
        self._wanted, self._argv, self._missing = wanted, argv, missing

    def _raw(self, last: bytes) -> bytes:
        """All bytes of a command that ends with `last`."""
        if not self._parsed:
            return last
        whole = b"".join(self._parsed) + last
        self._parsed.clear()
        return whole


def _number(buffer: bytes, at: int, sign: bytes, most: int) -> tuple[int, int] | None:
    """The number in the header line at `at`, and where the line ends; None while it is not complete."""
    end = buffer.find(b"\r\n", at, at + _LONGEST_LINE)
    if end < 0:
        if len(buffer) - at >= _LONGEST_LINE or (len(buffer) > at and buffer[at] != sign[0]):
            raise StreamError(f"{buffer[at : at + 16]!r} where {sign.decode()} was expected")
        return None
    digits = buffer[at + 1 : end]
    if buffer[at] != sign[0] or not digits.isdigit():
        raise StreamError(f"{buffer[at : at + 16]!r} where {sign.decode()} was expected")
    number = int(digits)
    if number > most:
        raise StreamError(f"{number} is too long")
    return number, end + 2
