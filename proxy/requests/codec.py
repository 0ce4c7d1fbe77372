"""Requests and reply values as bytes, for the way through Python.

The hot path copies bytes and never comes here. Encoding follows node/replies.py; the only values the proxy
makes itself are those of its local commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from node.errors import ReplyError
from node.replies import SetReply, Verbatim
from proxy.core.frames import reply_elements


def encode_request(argv: Sequence[bytes]) -> bytes:
    """A request as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(argv)]
    for argument in argv:
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


def encode_reply(value: Any, resp: int) -> bytes:
    """A reply value for a client that speaks RESP `resp`. TypeError for what no local command returns."""
    match value:
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case str():
            return b"+%b\r\n" % value.encode()
        case bool():
            return (b"#t\r\n" if value else b"#f\r\n") if resp == 3 else b":%d\r\n" % value
        case int():
            return b":%d\r\n" % value
        case float():
            shown = b"%d" % value if value.is_integer() else repr(value).encode()
            return b",%b\r\n" % shown if resp == 3 else b"$%d\r\n%b\r\n" % (len(shown), shown)
        case None:
            return b"_\r\n" if resp == 3 else b"$-1\r\n"
        case ReplyError():
            return b"-%b\r\n" % value.text.encode("latin-1", "replace")
        case Verbatim():
            if resp == 3:
                return b"=%d\r\n%b:%b\r\n" % (len(value.text) + 4, value.format.encode(), value.text)
            return b"$%d\r\n%b\r\n" % (len(value.text), value.text)
        case list() | tuple():
            return b"*%d\r\n" % len(value) + b"".join(encode_reply(item, resp) for item in value)
        case SetReply():
            return join_elements(
                b"~" if resp == 3 else b"*", [encode_reply(item, resp) for item in value.items]
            )
        case dict():
            header = b"%%%d\r\n" % len(value) if resp == 3 else b"*%d\r\n" % (2 * len(value))
            return header + b"".join(encode_reply(item, resp) for pair in value.items() for item in pair)
        case _:
            raise TypeError(f"no reply encoding for {type(value).__name__}")


def decode_reply(reply: bytes) -> Any:
    """The value of a raw reply: bytes, str (simple string), int, float, bool, None, ReplyError, Verbatim,
    dict, or list of arrays, sets and pushes. What RESP2 has no type for looks as it was sent: a map is a list
    of keys and values, a double is bytes. Raises ValueError for what is no reply."""
    kind, (line, _, rest) = reply[:1], reply[1:].partition(b"\r\n")
    match kind:
        case b"+":
            return line.decode("latin-1")
        case b":":
            return int(line)
        case b",":
            return float(line)
        case b"#":
            return line == b"t"
        case b"-":
            return ReplyError(line.decode("latin-1"))
        case b"$" | b"=" | b"!" if line != b"-1":
            text = rest[:-2]
            if kind == b"=":
                return Verbatim(text[4:], text[:3].decode())
            return text if kind == b"$" else ReplyError(text.decode("latin-1"))
        case b"_" | b"$":
            return None
        case b"*" | b"~" | b">":
            return [decode_reply(element) for element in reply_elements(reply)] if line != b"-1" else None
        case b"%":
            values = [decode_reply(element) for element in reply_elements(reply)]
            return dict(zip(values[::2], values[1::2], strict=True))
        case _:
            raise ValueError(f"not a reply: {reply[:40]!r}")


def pairs_of(value: Any) -> dict[Any, Any]:
    """A map as RESP3 or RESP2 sends it: a dict, or a flat list of keys and values."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list) or len(value) % 2:
        raise ValueError("a map was expected")
    return dict(zip(value[::2], value[1::2], strict=True))


def join_elements(header: bytes, elements: Sequence[bytes]) -> bytes:
    """An aggregate reply of `elements`, each raw; `header` is its type: `*`, `~`."""
    return b"%b%d\r\n%b" % (header, len(elements), b"".join(elements))


def is_error(reply: bytes) -> bool:
    return reply[:1] in (b"-", b"!")


def integer_of(reply: bytes) -> int:
    """The number of a raw integer reply. Raises ValueError for another type."""
    if reply[:1] != b":":
        raise ValueError(f"an integer reply was expected, not {reply[:40]!r}")
    return int(reply[1:-2])


def bulk_of(reply: bytes) -> bytes:
    """The bytes of a raw bulk string reply. Raises ValueError for another type or a null."""
    header, _, rest = reply.partition(b"\r\n")
    if header[:1] != b"$" or header == b"$-1":
        raise ValueError(f"a bulk string was expected, not {reply[:40]!r}")
    return rest[:-2]
