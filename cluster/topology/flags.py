"""What a member is and how it does: the bits of a node's flags, as the bus carries them.

The numbers are those of the Redis Cluster bus (`CLUSTER_NODE_*` in cluster_legacy.h) and must stay. The
words are those of CLUSTER NODES and nodes.conf, in the order in which Redis prints them.
"""

from __future__ import annotations

from functools import cache

PRIMARY = 1
REPLICA = 2
PFAIL = 4
"""This node alone believes that the other is unreachable."""
FAIL = 8
"""A majority of the primaries agreed that it is."""
MYSELF = 16
HANDSHAKE = 32
"""Known by address only: its id is made up until its first answer."""
NOADDR = 64
"""Known by id only."""
MEET = 128
"""The first message on the next link must be MEET, so that the other adds us."""
MIGRATE_TO = 256
"""A primary that has, or once had, replicas: it may receive one that another primary can spare."""
NOFAILOVER = 512
"""A replica whose operator forbids it to fail over."""
EXTENSIONS = 1024
"""It reads ping extensions (Redis 7.0 and later)."""
LIGHT = 2048
"""It reads published messages with the light header (Valkey 8.0), and knows from whom our link comes."""

_WORDS = (
    (MYSELF, "myself"),
    (PRIMARY, "master"),
    (REPLICA, "slave"),
    (PFAIL, "fail?"),
    (FAIL, "fail"),
    (HANDSHAKE, "handshake"),
    (NOADDR, "noaddr"),
    (NOFAILOVER, "nofailover"),
)
_BITS = {word: bit for bit, word in _WORDS}


@cache
def format_flags(flags: int) -> str:
    """`myself,master`, `slave,fail?` …; `noflags` if none of the printable ones is set."""
    return ",".join(word for bit, word in _WORDS if flags & bit) or "noflags"


def parse_flags(text: str) -> int:
    """Raises ValueError for a word that Redis does not print."""
    flags = 0
    for word in text.split(","):
        if word != "noflags":
            if word not in _BITS:
                raise ValueError(f"unknown node flag {word!r}")
            flags |= _BITS[word]
    return flags
