"""Differences between our worker and an oracle that have a reason: the fuzzers pass over these and no others.

Where only words differ (`WORDINGS`), both replies are brought to the same words first. Where replies differ
altogether (`REPLIES`), a row says what a command looks like and what both replies look like. Patterns are
for raw bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.fuzz.verdict import alike


class Wording(NamedTuple):
    oracle: str
    pattern: bytes
    instead: bytes | Callable[[re.Match[bytes]], bytes]
    reason: str


class Replies(NamedTuple):
    oracle: str
    command: bytes
    ours: bytes
    theirs: bytes
    reason: str


def _short_digits(found: re.Match[bytes]) -> bytes:
    return b",%.12f" % float(found[1])


def _no_digits(found: re.Match[bytes]) -> bytes:
    """Of the same length, which its bulk string tells."""
    return found[1] + b"0" * len(found[2])


NO_SUCH_MEMBER = b"-ERR could not decode requested zset member"
EITHER_ID = b"for each stream key an ID or '$'"
COORDINATE = rb"(?:\$\d+\r\n|,)(-?\d+\.\d+(?:e[+-]\d+)?)(?=\r\n)"
CHANGES = rb"(rdb_changes_since_last_save:)(-?\d+)"
NO_COMMAND = b"Unknown command called from script"

WORDINGS = (
    Wording("valkey", rb" script: ([0-9a-f]{40}, )?on ", b" script: on ", "no SHA1 in errors of scripts"),
    Wording("valkey", rb" ((Redis|Valkey) )?command", b" command", "it speaks of itself to scripts"),
    Wording("valkey", rb"unknown subcommand '.*?'. Try [A-Z]+ HELP.", NO_COMMAND, "as much to a script"),
    Wording("valkey", rb"-ERR member .*? does not exist", NO_SUCH_MEMBER, "newer words"),
    Wording("valkey", rb"for each stream key an ID(, '\+',)? or '\$'", EITHER_ID, "newer words"),
    Wording("valkey", rb"lag\r\n(:\d+|\$-1|_)\r\n", b"lag\r\n:0\r\n", "it knows the lag more rarely"),
    Wording(
        "valkey", CHANGES, _no_digits, "what is set to expire in the past is gone at once, and no change"
    ),
    Wording("valkey", COORDINATE, _short_digits, "coordinates and some scores with 17 digits"),
)
ENCODING = rb"(eval.*)?object encoding"
REPLIES = (
    Replies(
        "redis",
        rb"(eval.*)?sort",
        b"[*:]",
        rb".*-ERR One or more",
        "it looks at the errno of an earlier command",
    ),
    Replies("redis", rb"(eval.*)?bitcount", b".*[:-]", b".*-ERR syntax", "Valkey lets the end be left out"),
    Replies("redis", ENCODING, b".*embstr", b".*raw", "8.2 counts the key into what it embeds, 7.2 does not"),
    Replies("redis", rb"(eval.*)?xautoclaim", b"[*]", b".*-ERR Insufficient", "what its machine has free"),
    Replies("redis", ENCODING, b".*int", b".*embstr", "INCRBYFLOAT leaves a whole number as text"),
    Replies(
        "valkey", ENCODING, b".*(raw|embstr|int)", b".*(raw|embstr)", "it embeds more, and numbers of scripts"
    ),
    Replies(
        "valkey", rb"(eval.*)?sort", b"[*:]", b".*-ERR One or more", "an empty string is no number there"
    ),
    Replies("valkey", ENCODING, b".*listpack", b".*skiplist", "long members that ZADD refuses convert it"),
    Replies("valkey", rb"(eval.*)?xautoclaim", b"[*]", b".*-ERR Insufficient", "what its machine has free"),
    Replies("valkey", rb"(eval.*)?z.*limit -", b".*[*:]0\r", b".*[*:]", "it takes a negative offset for 0"),
    Replies(
        "valkey",
        rb"(eval.*)?scan .*type",
        b".*([*]|-ERR (syntax|value))",
        b".*-ERR unknown type name",
        "Redis finds no such key",
    ),
    Replies("valkey", rb"eval.*xinfo ", b".*lag", b"(?!.*lag)", "it knows the lag more rarely"),
    Replies("valkey", rb"(eval.*)?bitcount", b".*-ERR value", b".*-ERR syntax", "it looks at the unit first"),
)


def explained(oracle: str, argv: Sequence[bytes], ours: bytes, theirs: bytes) -> bool:
    mine, other = ours, theirs
    for wording in WORDINGS:
        if wording.oracle == oracle:
            mine = re.sub(wording.pattern, wording.instead, mine)
            other = re.sub(wording.pattern, wording.instead, other)
    if alike(argv, mine, other):
        return True
    line = b" ".join(argv)
    return any(
        row.oracle == oracle
        and re.match(row.command, line, re.IGNORECASE | re.DOTALL)
        and re.match(row.ours, ours, re.DOTALL)
        and re.match(row.theirs, theirs, re.DOTALL)
        for row in REPLIES
    )
