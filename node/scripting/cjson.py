"""The library `cjson`: JSON to Lua and back, as lua-cjson 2.1 in Redis' configuration does it.

A table is an array if all its keys are positive whole numbers, an object otherwise, the empty table included.
JSON's null is the value `cjson.null`. Numbers are written with 14 digits; NaN, Infinity and hexadecimal
numbers are read but not written. Both directions go 1000 levels deep, without recursion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from node.core.lua_values import NULL_VALUE, Function, Table
from node.scripting.arguments import text_at, type_name
from node.scripting.errors import LuaError, bad_argument

MAX_DEPTH = 1000
PRECISION = 14
LONGEST = 512 << 20
"""Bytes of JSON that are written."""
SPARSE_RATIO = 2
SPARSE_SAFE = 10
"""An array may have more holes than items only up to this length."""

_ESCAPES = {code: b"\\u%04x" % code for code in (*range(32), 127)} | {
    ord('"'): b'\\"', ord("\\"): b"\\\\", ord("/"): b"\\/", 8: b"\\b",
    9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r",
}  # fmt: skip
_ESCAPED = re.compile(rb'[\x00-\x1f\x7f"\\/]')
_ESCAPED_BYTES = bytes(_ESCAPES)
_IN_PLACE = 4096
"""Longer strings are escaped byte value by byte value, each in one go."""
_UNESCAPES = {
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}
_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00]*')
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_NUMBER = re.compile(
    rb"[+-]?(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:infinity|inf|nan))"
)
_ODD_NUMBER = re.compile(rb"\+|-?(?:0[xX0-9]|(?i:inf|nan))")
_WORDS = ((b"true", "T_BOOLEAN", True), (b"false", "T_BOOLEAN", False), (b"null", "T_NULL", None))
_MARKS = {
    b"{": "T_OBJ_BEGIN", b"}": "T_OBJ_END", b"[": "T_ARR_BEGIN", b"]": "T_ARR_END",
    b":": "T_COLON", b",": "T_COMMA",
}  # fmt: skip

TOO_LONG = LuaError("not enough memory")


# --- encoding ----------------------------------------------------------------------------------------


def encode(*args: Any) -> bytes:
    if len(args) != 1:
        raise bad_argument(1, "encode", "expected 1 argument")
    out: list[bytes] = []
    open_: list[tuple[Iterator[tuple[bytes, Any]], bytes]] = []
    """Tables being written: what is left of them, and how they end."""
    value = args[0]
    written = 0
    while True:
        if isinstance(value, Table):
            length = _array_length(value)
            out.append(b"[" if length else b"{")
            open_.append((_elements(value, length), b"]" if length else b"}"))
        else:
            out.append(_scalar(value))
            written += len(out[-1])
            if written > LONGEST:
                raise TOO_LONG
        while open_:
            found = next(open_[-1][0], None)
            if found is not None:
                break
            out.append(open_.pop()[1])
        else:
            return b"".join(out)
        before, value = found
        out.append(before)


def _scalar(value: Any) -> bytes:
    if isinstance(value, bytes):
        return quoted(value)
    if value is None or value is NULL_VALUE:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (int, float)):
        return _digits(value)
    raise LuaError(f"Cannot serialise {type_name((value,), 0)}: type not supported")


def quoted(text: bytes) -> bytes:
    """As a JSON string. Raises LuaError where it would be longer than LONGEST."""
    if len(text) <= _IN_PLACE:
        return b'"' + _ESCAPED.sub(lambda found: _ESCAPES[found[0][0]], text) + b'"'
    escaped = len(text) - len(text.translate(None, _ESCAPED_BYTES))
    if len(text) + 5 * escaped > LONGEST:
        raise TOO_LONG
    if escaped:
        text = text.replace(b"\\", _ESCAPES[ord("\\")])
        for code in _ESCAPED_BYTES.replace(b"\\", b""):
            text = text.replace(bytes((code,)), _ESCAPES[code])
    return b'"' + text + b'"'


def _digits(value: float) -> bytes:
    if math.isnan(value) or math.isinf(value):
        raise LuaError("Cannot serialise number: must not be NaN or Inf")
    return f"{value:.{PRECISION}g}".encode()


def _array_length(table: Table) -> int:
    """The highest index of an array; 0 for what is an object. Raises LuaError for too many holes."""
    longest = count = 0
    for key, _ in table.pairs:
        if isinstance(key, bool) or not isinstance(key, int) or key < 1:
            return 0
        longest = max(longest, key)
        count += 1
    if longest > count * SPARSE_RATIO and longest > SPARSE_SAFE:
        raise LuaError("Cannot serialise table: excessively sparse array")
    return longest


def _elements(table: Table, length: int) -> Iterator[tuple[bytes, Any]]:
    """What stands before each value, and the value."""
    comma = b""
    if length:
        items = dict(table.pairs)
        for i in range(1, length + 1):
            yield comma, items.get(i)
            comma = b","
        return
    for key, value in table.pairs:
        if isinstance(key, bytes):
            yield comma + quoted(key) + b":", value
        elif isinstance(key, (int, float)) and not isinstance(key, bool):
            yield comma + b'"' + _digits(key) + b'":', value
        else:
            raise LuaError("Cannot serialise table: table key must be a number or string")
        comma = b","


# --- decoding ----------------------------------------------------------------------------------------


class _Token:
    __slots__ = ("at", "kind", "value")

    def __init__(self, kind: str, at: int, value: Any = None) -> None:
        self.kind = kind
        self.at = at
        self.value = value


class _BadToken(Exception):
    """What is no token: why, and where."""


def _tokens(text: bytes) -> Iterator[_Token]:
    at = 0
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if at >= len(text) or text[at] == 0:
            yield _Token("T_END", at)
            return
        try:
            token, at = _token(text, at)
        except _BadToken as bad:
            reason, where = bad.args
            yield _Token(reason, where)
            return
        yield token


def _token(text: bytes, at: int) -> tuple[_Token, int]:
    """The token at `at`, and where the next one may begin."""
    first = text[at : at + 1]
    if first in _MARKS:
        return _Token(_MARKS[first], at), at + 1
    if first == b'"':
        value, end = _string(text, at + 1)
        return _Token("T_STRING", at, value), end
    for word, kind, meaning in _WORDS:
        if text.startswith(word, at):
            return _Token(kind, at, meaning), at + len(word)
    if first == b"-" or first.isdigit() or _ODD_NUMBER.match(text, at):
        found = _NUMBER.match(text, at)
        if found is None:
            raise _BadToken("invalid number", at)
        number = float(int(found[0], 16)) if found["hex"] else float(found[0])
        return _Token("T_NUMBER", at, number), found.end()
    raise _BadToken("invalid token", at)


def _string(text: bytes, at: int) -> tuple[bytes, int]:
    """The string whose first character is at `at`, and the place after its closing quote."""
    pieces = []
    while True:
        end = _PLAIN.match(text, at).end()  # type: ignore[union-attr]
        pieces.append(text[at:end])
        at = end
        mark = text[at : at + 1]
        if mark == b'"':
            return b"".join(pieces), at + 1
        if mark != b"\\":
            raise _BadToken("unexpected end of string", at)
        escape = text[at + 1 : at + 2]
        if escape == b"u":
            piece, at = _unicode(text, at)
        elif escape in _UNESCAPES and escape:
            piece, at = _UNESCAPES[escape], at + 2
        else:
            raise _BadToken("invalid escape code", at)
        pieces.append(piece)


def _unicode(text: bytes, at: int) -> tuple[bytes, int]:
    """UTF-8 of the escape, or pair of them, at `at`, and the place after it."""
    code, end = _hex4(text, at + 2, at), at + 6
    if 0xD800 <= code < 0xE000:
        if code >= 0xDC00 or text[end : end + 2] != b"\\u":
            raise _BadToken("invalid unicode escape code", at)
        low = _hex4(text, end + 2, at)
        if not 0xDC00 <= low < 0xE000:
            raise _BadToken("invalid unicode escape code", at)
        code, end = 0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF), end + 6
    return chr(code).encode(), end


def _hex4(text: bytes, at: int, escape: int) -> int:
    found = _HEX4.match(text, at)
    if found is None:
        raise _BadToken("invalid unicode escape code", escape)
    return int(found[0], 16)


def _expected(what: str, token: _Token) -> LuaError:
    return LuaError(f"Expected {what} but found {token.kind} at character {token.at + 1}")


def decode(*args: Any) -> Any:
    if len(args) != 1:
        raise bad_argument(1, "decode", "expected 1 argument")
    text = text_at(args, 0, "decode")
    if len(text) >= 2 and not (text[0] and text[1]):
        raise LuaError("JSON parser does not support UTF-16 or UTF-32")
    tokens = _tokens(text)
    value = _value(tokens)
    token = next(tokens)
    if token.kind != "T_END":
        raise _expected("the end", token)
    return value


def _value(tokens: Iterator[_Token]) -> Any:
    open_: list[tuple[dict[Any, Any], Any]] = []
    """Unfinished arrays and objects, with the key (None in arrays) of the value that is awaited."""
    token = next(tokens)
    while True:
        if token.kind in ("T_OBJ_BEGIN", "T_ARR_BEGIN"):
            if len(open_) >= MAX_DEPTH:
                depth = len(open_) + 1
                raise LuaError(f"Found too many nested data structures ({depth}) at character {token.at + 1}")
            is_object = token.kind == "T_OBJ_BEGIN"
            token = next(tokens)
            if token.kind != ("T_OBJ_END" if is_object else "T_ARR_END"):
                key, token = _key(tokens, token) if is_object else (None, token)
                open_.append(({}, key))
                continue
            value: Any = {}
        elif token.kind in ("T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL"):
            value = NULL_VALUE if token.kind == "T_NULL" else token.value
        else:
            raise _expected("value", token)
        while open_:
            content, key = open_[-1]
            content[len(content) + 1 if key is None else key] = value
            token = next(tokens)
            if token.kind == "T_COMMA":
                token = next(tokens)
                if key is not None:
                    key, token = _key(tokens, token)
                    open_[-1] = (content, key)
                break
            if token.kind != ("T_ARR_END" if key is None else "T_OBJ_END"):
                raise _expected("comma or array end" if key is None else "comma or object end", token)
            open_.pop()
            value = content
        else:
            return value


def _key(tokens: Iterator[_Token], token: _Token) -> tuple[bytes, _Token]:
    """The key that is `token`, and the first token of its value."""
    if token.kind != "T_STRING":
        raise _expected("object key string", token)
    key = token.value
    token = next(tokens)
    if token.kind != "T_COLON":
        raise _expected("colon", token)
    return key, next(tokens)


LIBRARY = {
    "encode": Function(
        encode, depth=MAX_DEPTH, too_deep=f"Cannot serialise, excessive nesting ({MAX_DEPTH + 1})"
    ),
    "decode": decode,
    "null": NULL_VALUE,
    "_NAME": b"cjson",
    "_VERSION": b"2.1.0",
}
