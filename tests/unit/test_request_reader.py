"""The request reader: every vector whole, byte by byte, cut anywhere, and with more behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.reply_writer import encode_command
from node.core.request_reader import RequestReader

VECTORS = [
    (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]),
    (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n", [[b"SET", b"k", b"hello"]]),
    (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [[b"GET", b""]]),
    (b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n", [[b"ECHO", b"\r\n\r\n"]]),
    (b"PING\r\n", [[b"PING"]]),
    (b"set a 'b c'\n", [[b"set a 'b c'"]]),
    (b"\r\n*0\r\n*-1\r\nPING\r\n", [[b"PING"]]),
    (b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", [[b"PING"], [b"PING"], [b"QUIT"]]),
]

BAD = [
    (b"*x\r\n", "Protocol error: invalid multibulk length"),
    (b"*2147483648\r\n", "Protocol error: invalid multibulk length"),
    (b"*99999999999999999999\r\n", "Protocol error: invalid multibulk length"),
    (b"*1\r\n!4\r\n", "Protocol error: expected '$', got '!'"),
    (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$04\r\nPING\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$" + b"1" * 70_000, "Protocol error: too big bulk count string"),
    (b"*" + b"1" * 70_000, "Protocol error: too big mbulk count string"),
    (b"x" * 70_000, "Protocol error: too big inline request"),
]


def read(chunks: list[bytes]) -> list[list[bytes]]:
    reader = RequestReader()
    return [arguments for chunk in chunks for arguments, _ in reader.feed(chunk)]


@pytest.mark.parametrize(("stream", "expected"), VECTORS)
def test_whole(stream: bytes, expected: list[list[bytes]]) -> None:
    assert read([stream]) == expected


@pytest.mark.parametrize(("stream", "expected"), VECTORS)
def test_byte_by_byte(stream: bytes, expected: list[list[bytes]]) -> None:
    assert read([stream[i : i + 1] for i in range(len(stream))]) == expected


@pytest.mark.parametrize(("stream", "expected"), VECTORS)
def test_cut_anywhere_with_more_behind(stream: bytes, expected: list[list[bytes]]) -> None:
    for cut in range(1, len(stream)):
        assert read([stream[:cut], stream[cut:] + b"*2\r\n$3\r\nGET\r\n$10\r\nunfi"]) == expected


@pytest.mark.parametrize(("stream", "words"), BAD)
def test_protocol_errors_in_redis_words(stream: bytes, words: str) -> None:
    reader = RequestReader()
    assert reader.feed(b"*1\r\n$4\r\nPING\r\n" + stream) == [([b"PING"], b"*1\r\n$4\r\nPING\r\n")]
    assert reader.error == words
    assert reader.feed(b"PING\r\n") == []


def test_limits_before_authentication() -> None:
    reader = RequestReader(authenticated=False)
    reader.feed(b"*11\r\n")
    assert reader.error == "Protocol error: unauthenticated multibulk length"
    reader = RequestReader(authenticated=False)
    reader.feed(b"*1\r\n$16385\r\n")
    assert reader.error == "Protocol error: unauthenticated bulk length"


def test_an_announced_length_is_not_believed() -> None:
    reader = RequestReader()
    assert reader.feed(b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc") == []
    assert reader.pending == 29


@given(
    commands=st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=40), max_size=10),
    cuts=st.lists(st.integers(1, 200), max_size=20),
)
def test_any_commands_cut_any_way(commands: list[list[bytes]], cuts: list[int]) -> None:
    stream = b"".join(map(encode_command, commands))
    chunks, at = [], 0
    for cut in [*cuts, len(stream)]:
        chunks.append(stream[at : at + cut])
        at += cut
    reader = RequestReader()
    found = [request for chunk in chunks for request in reader.feed(chunk)]
    assert found == [(command, encode_command(command)) for command in commands]
    assert reader.pending == 0
