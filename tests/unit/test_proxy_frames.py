"""The proxy's frame scanners: every vector whole, byte by byte, and with the next frame's bytes behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.frames import ProtocolError, ReplyScanner, RequestScanner, reply_elements
from proxy.requests.codec import encode_request
from tests.harness.resp import encode

REQUESTS = [
    (b"*1\r\n$4\r\nPING\r\n", [b"PING"], False),
    (b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n", [b"SET", b"a", b""], False),
    (b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n", [b"GET", b"\r\n\r\n"], False),
    (encode(*[b"x%d" % i for i in range(100)]), [b"x%d" % i for i in range(100)], False),
    (b"PING\r\n", [b"PING"], True),
    (b"  SET  a 'b c'\n", [b"SET", b"a", b"b c"], True),
    # Redis does not look at the two bytes after a header or an argument: neither do we, but remember it
    (b"*1\rx$4\r\nPING\r\n", [b"PING"], True),
    (b"*1\r\n$4\ryPING\r\n", [b"PING"], True),
    (b"*1\r\n$4\r\nPINGxy", [b"PING"], True),
]

SILENT = [b"\r\n", b"\n", b"   \r\n", b"*0\r\n", b"*-1\r\n", b"*-7\r\n"]

BROKEN_REQUESTS = [
    (b"*x\r\n", "invalid multibulk length"),
    (b"*+1\r\n", "invalid multibulk length"),
    (b"*01\r\n", "invalid multibulk length"),
    (b"* 1\r\n", "invalid multibulk length"),
    (b"*\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b"*99999999999999999999\r\n", "invalid multibulk length"),
    (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"*1\r\n$12x\r\n", "invalid bulk length"),
    (b"*" + b"1" * 70000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    (b"x" * 70000, "too big inline request"),
    (b"SET a 'b\r\n", "unbalanced quotes in request"),
]


@pytest.mark.parametrize("raw, argv, irregular", REQUESTS)
def test_request_whole_with_trailing_bytes_and_twice(raw: bytes, argv: list[bytes], irregular: bool) -> None:
    assert RequestScanner().feed(raw) == [(argv, irregular)]
    scanner = RequestScanner()
    assert scanner.feed(raw + raw + raw[:1]) == [(argv, irregular)] * 2
    assert scanner.feed(raw[1:]) == [(argv, irregular)]


@pytest.mark.parametrize("raw, argv, irregular", REQUESTS)
def test_request_byte_by_byte(raw: bytes, argv: list[bytes], irregular: bool) -> None:
    scanner = RequestScanner()
    for at in range(len(raw) - 1):
        assert scanner.feed(raw[at : at + 1]) == []
    assert scanner.feed(raw[-1:]) == [(argv, irregular)]


@pytest.mark.parametrize("raw", SILENT)
def test_frames_that_ask_for_nothing(raw: bytes) -> None:
    assert RequestScanner().feed(raw + b"*1\r\n$4\r\nPING\r\n") == [([b"PING"], False)]


@pytest.mark.parametrize("raw, words", BROKEN_REQUESTS)
def test_broken_requests_get_redis_words(raw: bytes, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        RequestScanner().feed(raw)
    assert str(caught.value) == words


def test_huge_header_without_bytes_only_waits() -> None:
    assert RequestScanner().feed(b"*2\r\n$3\r\nSET\r\n$536870912\r\n") == []
    assert RequestScanner().feed(b"*2147483647\r\n") == []


def test_limits_before_authentication() -> None:
    scanner = RequestScanner(unauthenticated=True)
    assert scanner.feed(encode(*["x"] * 10)) == [([b"x"] * 10, False)]
    with pytest.raises(ProtocolError, match="unauthenticated multibulk length"):
        scanner.feed(b"*11\r\n")
    with pytest.raises(ProtocolError, match="unauthenticated bulk length"):
        RequestScanner(unauthenticated=True).feed(b"*1\r\n$16385\r\n")


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=12), max_size=8), st.data())
def test_requests_cut_anywhere(requests: list[list[bytes]], data: st.DataObject) -> None:
    raw = b"".join(map(encode_request, requests))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=10)))
    scanner = RequestScanner()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found += scanner.feed(raw[start:end])
    assert found == [(argv, False) for argv in requests]


REPLIES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":-12\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$5\r\na\r\nb\n\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
    b"*3\r\n*0\r\n*2\r\n*1\r\n+x\r\n$-1\r\n:7\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(12345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"|1\r\n+ttl\r\n:10\r\n$1\r\na\r\n",
    b"*2\r\n|1\r\n+k\r\n:1\r\n:5\r\n%0\r\n",
    b">2\r\n+message\r\n$1\r\nx\r\n",
]


@pytest.mark.parametrize("raw", REPLIES)
def test_reply_whole_trailing_and_byte_by_byte(raw: bytes) -> None:
    assert ReplyScanner().feed(raw) == [raw]
    assert ReplyScanner().feed(raw + raw + raw[:1]) == [raw, raw]
    scanner = ReplyScanner()
    for at in range(len(raw) - 1):
        assert scanner.feed(raw[at : at + 1]) == []
    assert scanner.feed(raw[-1:]) == [raw]


@pytest.mark.parametrize(
    "raw", [b"hello\r\n", b"$x\r\n", b"$-2\r\n", b"*\r\n", b"*3000000000\r\n", b"$?\r\n", b"\r\n"]
)
def test_what_no_server_sends(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        ReplyScanner().feed(raw)


def test_a_million_elements_in_pieces_are_scanned_once() -> None:
    raw = b"*1000000\r\n" + b":1\r\n" * 1000000
    scanner = ReplyScanner()
    pieces = [raw[at : at + 65536] for at in range(0, len(raw), 65536)]
    found = [reply for piece in pieces for reply in scanner.feed(piece)]
    assert found == [raw]


def test_elements_of_an_aggregate() -> None:
    assert reply_elements(b"*3\r\n$1\r\na\r\n*1\r\n:1\r\n$-1\r\n") == [
        b"$1\r\na\r\n",
        b"*1\r\n:1\r\n",
        b"$-1\r\n",
    ]
    assert reply_elements(b"*-1\r\n") == []
    assert reply_elements(b"~1\r\n_\r\n") == [b"_\r\n"]
    for raw in (b"$1\r\na\r\n", b"+OK\r\n", b"", b"*2\r\n:1\r\n"):
        with pytest.raises(ProtocolError):
            reply_elements(raw)
