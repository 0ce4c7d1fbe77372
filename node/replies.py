"""Reply values: what a handler returns, before anyone thinks of bytes.

A handler returns plain Python, and `core/reply_writer` encodes it for the protocol the client speaks:

    bytes, memoryview   bulk string
    str                 simple string, e.g. "OK"
    int                 integer
    bool                RESP3 boolean; RESP2 integer 1 or 0
    float               RESP3 double; RESP2 bulk string of its shortest exact digits
    None                null (RESP2 `$-1`)
    list, tuple         array
    dict                RESP3 map; RESP2 flat array of keys and values
    ReplyError          error
    and the classes below, for what Python has no type for.

The mapping from RESP3 to RESP2 is that of the RESP3 specification and of Redis' addReply family.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

OK: Final = "OK"
QUEUED: Final = "QUEUED"


class Marker:
    """A reply that carries no data of its own."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY: Final = Marker("NULL_ARRAY")
"""RESP2 `*-1`; RESP3 `_`. What EXEC replies when a watched key changed."""

NO_REPLY: Final = Marker("NO_REPLY")
"""Nothing is written: the reply was or will be sent in another way, or not at all."""


class SetReply:
    """RESP3 set `~`; RESP2 array."""

    __slots__ = ("items",)

    def __init__(self, items: Collection[Any]) -> None:
        self.items = items


class PairsReply:
    """A RESP3 map given as a sequence of (key, value); RESP2 flat array."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        self.pairs = pairs


class Push:
    """RESP3 push `>`; RESP2 array. Out-of-band data: pub/sub messages, invalidations."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items


class Verbatim:
    """RESP3 verbatim string `=` with a three-letter format; RESP2 bulk string."""

    __slots__ = ("format", "text")

    def __init__(self, text: str | bytes, format: str = "txt") -> None:
        self.text = text.encode() if isinstance(text, str) else text
        self.format = format


class BigNumber:
    """RESP3 big number `(`; RESP2 bulk string."""

    __slots__ = ("digits",)

    def __init__(self, digits: str) -> None:
        self.digits = digits


class Attributed:
    """A reply behind an attribute, RESP3 `|`, which clients may pass over; RESP2 knows only the reply."""

    __slots__ = ("pairs", "value")

    def __init__(self, pairs: Sequence[tuple[Any, Any]], value: Any) -> None:
        self.pairs = pairs
        self.value = value


class Encoded:
    """Replies that are RESP already."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Replies:
    """Several replies to one command, one after another: confirmations of SUBSCRIBE, a reply and the pushes
    that follow it. As an item of an array it stands for all of them without being counted as such, as in
    Redis."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
