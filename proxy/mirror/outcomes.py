"""In which form a request is repeated, so that the same comes of it.

What chance or the clock of a worker decided is taken from its reply, as workers do when they tell their
replicas: XADD with `*` is repeated with the id that it got, SPOP as SREM of what it took.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from node.commands import Command
from proxy.core.frames import reply_elements
from proxy.requests import codec

BY_CHANCE = frozenset(("spop", "xadd"))
SCRIPTS = frozenset(("eval", "evalsha", "fcall"))
"""They may change something, and have no flag that says so."""
EVERYWHERE = frozenset(
    (
        "flushall", "flushdb", "function|delete", "function|flush", "function|load", "function|restore",
        "script|load", "script|flush",
    )
)  # fmt: skip
"""Commands that change every worker"""
REFUSED_SCRIPTS = (
    b"-NOSCRIPT", b"-NOPERM", b"-OOM", b"-MISCONF", b"-NOREPLICAS", b"-READONLY", b"-BUSY", b"-CROSSSLOT",
    b"-NOGOODSLAVE", b"-ERR Error compiling", b"-ERR Function not found", b"-ERR upstream connection",
)  # fmt: skip
"""Errors that come before a script begins, if they do not name the script"""
IN_A_SCRIPT = b" script: "
NEW_ID = re.compile(rb"(?:\d+-)?\*")
NULLS = (b"$-1\r\n", b"_\r\n", b"*-1\r\n")


def changes(command: Command) -> bool:
    """May the command change data?"""
    return command.is_write or command.name in SCRIPTS


def has_begun(command: Command, reply: bytes) -> bool:
    """May it have changed something, going by this reply? What a script did before it failed, stays."""
    if not codec.is_error(reply):
        return True
    return command.name in SCRIPTS and (IN_A_SCRIPT in reply or not reply.startswith(REFUSED_SCRIPTS))


def repeated(command: Command, argv: Sequence[bytes], request: bytes, reply: bytes) -> bytes | None:
    """The request that does what `request`, answered with `reply`, has done. None: that was nothing."""
    if command.name not in BY_CHANCE:
        return request
    if reply in NULLS:
        return None
    if command.name == "xadd":
        words = list(argv)
        place = next((at for at in range(2, len(words)) if NEW_ID.fullmatch(words[at])), None)
        if place is None:
            return request
        words[place] = codec.bulk_of(reply)
        return codec.encode_request(words)
    members = [reply] if reply[:1] == b"$" else reply_elements(reply)
    return codec.encode_request([b"SREM", argv[1], *map(codec.bulk_of, members)]) if members else None
