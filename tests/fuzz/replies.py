"""Raw replies in bulk: cut out of a stream, and turned into values only where they must be looked into.

Values are tagged tuples, so that every type of the protocol stays apart: `(b"$", bytes | None)`,
`(b"*", [values])`, `(b"%", [key, value, ...])`, and for what fits on a line `(kind, the rest of the line)`.
"""

from __future__ import annotations

from typing import Any

Value = tuple[bytes, Any]

_BULK = b"$=!"
_LIST = b"*~>"
_PAIRS = b"%|"


def end_of(raw: bytes | bytearray, at: int) -> int:
    """Where the reply that begins at `at` ends. IndexError or ValueError if it does not end."""
    left = 1
    while left:
        kind = raw[at]
        line_end = raw.index(b"\r\n", at)
        left -= 1
        if kind in _BULK:
            length = int(raw[at + 1 : line_end])
            line_end += length + 2 if length >= 0 else 0
        elif kind in _LIST:
            left += max(0, int(raw[at + 1 : line_end]))
        elif kind in _PAIRS:
            left += 2 * int(raw[at + 1 : line_end]) + (kind == b"|"[0])
        at = line_end + 2
    return at


def cut(raw: bytes) -> list[bytes]:
    """The replies that `raw` is made of."""
    found = []
    at = 0
    while at < len(raw):
        end = end_of(raw, at)
        found.append(raw[at:end])
        at = end
    return found


def value_of(raw: bytes) -> Value:
    """The one reply that `raw` holds."""
    return _parse(raw, 0)[0]


def _parse(raw: bytes, at: int) -> tuple[Value, int]:
    line_end = raw.index(b"\r\n", at)
    kind, rest = raw[at : at + 1], raw[at + 1 : line_end]
    at = line_end + 2
    if kind in (b"$", b"=", b"!"):
        length = int(rest)
        return ((kind, None), at) if length < 0 else ((kind, raw[at : at + length]), at + length + 2)
    if kind in (b"*", b"~", b">", b"%", b"|"):
        count = int(rest)
        if count < 0:
            return (kind, None), at
        items = []
        for _ in range(count * 2 if kind in _PAIRS else count):
            item, at = _parse(raw, at)
            items.append(item)
        return (kind, items), at
    return (kind, rest), at
