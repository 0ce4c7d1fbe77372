"""Whether two servers have answered the same.

The mirror is asked in RESP2, and the client may speak RESP3. So not bytes are compared, but the values in
them, in order, without the aggregates around them: a map and a flat list are the same then, a double and its
text as well, and of an error the first word counts. Of commands whose order is up to the server the order is
not looked at; what may differ between two servers by itself, as a random member does, is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.commands import Command

NULL = b"null"
AGGREGATES = b"*~%>|"
TEXTS = b"$=!"


def is_comparable(command: Command) -> bool:
    """Should all servers that have the same data answer alike?"""
    if "nondeterministic_output" in command.tips or command.name in ("dump", "memory|usage"):
        return False
    return not command.name.startswith("object|")


def say_the_same(command: Command, ours: bytes, theirs: bytes) -> bool:
    left, right = list(leaves(ours)), list(leaves(theirs))
    if "nondeterministic_output_order" in command.tips:
        left.sort()
        right.sort()
    return left == right


def leaves(reply: bytes) -> Iterator[bytes]:
    """The values in a whole raw reply."""
    at = 0
    while at < len(reply):
        end = reply.index(b"\r\n", at)
        kind, line = reply[at], reply[at + 1 : end]
        at = end + 2
        if kind == ord("_") or (line == b"-1" and kind in b"$*"):
            yield NULL
        elif kind in TEXTS:
            length = int(line)
            text = reply[at : at + length]
            yield text[4:] if kind == ord("=") else text
            at += length + 2
        elif kind == ord("#"):
            yield b"1" if line == b"t" else b"0"
        elif kind == ord("-"):
            yield line.partition(b" ")[0]
        elif kind not in AGGREGATES:
            yield line
