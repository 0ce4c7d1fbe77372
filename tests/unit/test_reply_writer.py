"""Reply values on the wire, in both protocols."""

from __future__ import annotations

from typing import Any

import pytest

from node.core.reply_writer import encode_reply
from node.errors import ReplyError
from node.replies import (
    NO_REPLY,
    NULL_ARRAY,
    BigNumber,
    PairsReply,
    Push,
    Replies,
    SetReply,
    Verbatim,
)

VECTORS: list[tuple[Any, bytes, bytes]] = [
    (b"hi", b"$2\r\nhi\r\n", b"$2\r\nhi\r\n"),
    (memoryview(b"hi"), b"$2\r\nhi\r\n", b"$2\r\nhi\r\n"),
    ("OK", b"+OK\r\n", b"+OK\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
    (2**63, b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (NO_REPLY, b"", b""),
    (2.5, b"$3\r\n2.5\r\n", b",2.5\r\n"),
    (float("inf"), b"$3\r\ninf\r\n", b",inf\r\n"),
    ([1, [b"a"]], b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n"),
    ((), b"*0\r\n", b"*0\r\n"),
    ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (PairsReply([(b"a", 1)]), b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (SetReply([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    (Push([b"a"]), b"*1\r\n$1\r\na\r\n", b">1\r\n$1\r\na\r\n"),
    (Replies([1, Push([b"a"])]), b":1\r\n*1\r\n$1\r\na\r\n", b":1\r\n>1\r\n$1\r\na\r\n"),
    ([Replies([1, 2])], b"*1\r\n:1\r\n:2\r\n", b"*1\r\n:1\r\n:2\r\n"),
    (Verbatim("a b"), b"$3\r\na b\r\n", b"=7\r\ntxt:a b\r\n"),
    (BigNumber("123"), b"$3\r\n123\r\n", b"(123\r\n"),
    (ReplyError("ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), VECTORS)
def test_on_the_wire(value: Any, resp2: bytes, resp3: bytes) -> None:
    assert encode_reply(value, 2) == resp2
    assert encode_reply(value, 3) == resp3


def test_what_is_no_reply_value_is_refused() -> None:
    with pytest.raises(TypeError, match="not a reply value"):
        encode_reply(object())
