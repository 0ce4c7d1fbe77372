from __future__ import annotations

import pytest

from node.words import UnbalancedQuotes, quote, split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  port\t 1 ", [b"port", b"1"]),
        (b'a "b c" d', [b"a", b"b c", b"d"]),
        (b'"\\x41\\n\\r\\t\\b\\a\\q\\""', [b'A\n\r\t\b\aq"']),
        (b"'it\\'s \\n'", [b"it's \\n"]),
        (b'""', [b""]),
        (b'x"y"', [b"xy"]),
        (b'"\\xzz"', [b"xzz"]),
        (b"  set\t a  ", [b"set", b"a"]),
        (b"a\tb\x0bc", [b"a", b"b", b"c"]),
        (b'a"b c"', [b"ab c"]),
        (b"set 'a\\'b' c\r\n", [b"set", b"a'b", b"c"]),
        (b"a b\0 c", [b"a", b"b"]),
        (b'a "b\0"\0c', [b"a", b"b\0"]),
    ],
)
def test_split_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"a', b"'a", b'"a"b', b"'a'b", b'"a\\"', b'"a\\'])
def test_unbalanced_quotes(line: bytes) -> None:
    with pytest.raises(UnbalancedQuotes):
        split_words(line)


def test_every_byte_survives_quoting() -> None:
    every = bytes(range(256))
    assert split_words(quote(every).encode("ascii")) == [every]
