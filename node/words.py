"""The quoting rules of lines: a line becomes words, and a value becomes a word again.

Those of Redis' `sdssplitargs` and `sdscatrepr`, which redis.conf, inline commands and redis-cli share:

    plain words     run until white space
    "double quotes" know \\n \\r \\t \\b \\a, \\xHH (one byte), and a backslash before any other character
    'single quotes' know only \\'
    a closing quote must be followed by white space or the end of the line
    a zero byte outside of quotes ends the line
"""

from __future__ import annotations

import re

_SPACE = b" \t\n\r\v\f"
_END_OF_WORD = _SPACE + b"\0"
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_SHORT_REPR = {10: "\\n", 13: "\\r", 9: "\\t", 8: "\\b", 7: "\\a", 34: '\\"', 92: "\\\\"}
_HEX = re.compile(rb"x([0-9a-fA-F]{2})")


class UnbalancedQuotes(ValueError):
    """A quote is not closed, or something follows a closing quote without a space."""


def split_words(line: bytes) -> list[bytes]:
    """The words of one line. Raises UnbalancedQuotes."""
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at] in _SPACE:
            at += 1
        if at == len(line) or line[at] == 0:
            return words
        word = bytearray()
        while at < len(line) and line[at] not in _END_OF_WORD:
            if line[at] in b"\"'":
                at = _quoted(line, at, word)
                if at < len(line) and line[at] not in _END_OF_WORD:
                    raise UnbalancedQuotes(line)
                break
            word.append(line[at])
            at += 1
        words.append(bytes(word))


def _quoted(line: bytes, at: int, word: bytearray) -> int:
    """Append the quoted run that starts at `at` to `word`; return the place after its closing quote."""
    quote = line[at]
    at += 1
    while at < len(line):
        byte = line[at]
        if byte == quote:
            return at + 1
        if byte == ord("\\") and at + 1 < len(line):
            following = line[at + 1]
            if quote == ord("'"):
                if following == quote:
                    byte, at = following, at + 1
            elif hexadecimal := _HEX.match(line, at + 1):
                byte, at = int(hexadecimal[1], 16), at + 3
            else:
                byte, at = _ESCAPES.get(following, following), at + 1
        word.append(byte)
        at += 1
    raise UnbalancedQuotes(line)


def quote(value: bytes) -> str:
    """`value` in double quotes, readable by `split_words`, in plain ASCII."""
    shown = (_SHORT_REPR.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in value)
    return '"' + "".join(shown) + '"'
