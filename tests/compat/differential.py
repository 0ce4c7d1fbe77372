"""The same commands to two servers, the replies compared byte for byte.

A script is text: one command a line, quoted as in redis.conf (`"\\x00"` is a byte), empty lines and lines
from `#` on ignored. `@redis` before a command keeps it from Valkey, which differs there.

`compare` sends the commands to both servers in one pipeline, from an empty keyspace on, and fails with the
first command that was answered differently and those that led there.

Replies whose order or content no server promises are made comparable first, see `UNORDERED`; scripts should
name expiries by moments (PXAT) or in whole seconds (TTL), which do not depend on when they are run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from node.words import split_words
from tests.harness.resp import Resp, encode
from tests.harness.servers import Server

Command = Sequence[bytes]

UNORDERED = {b"KEYS", b"SCAN", b"SMEMBERS"}
"""Commands whose reply is compared by the lines it is made of, in any order."""

SHOWN = 12
"""Commands shown before the one that differed."""


def parse_script(text: str, oracle: Server) -> list[list[bytes]]:
    """The commands of a script that are meant for this oracle."""
    commands = []
    for line in text.splitlines():
        words = split_words(line.encode())
        if not words or words[0].startswith(b"#"):
            continue
        if words[0] == b"@redis":
            if oracle.kind != "redis":
                continue
            del words[0]
        commands.append(words)
    return commands


def replies(
    server: Server, commands: Sequence[Command], protocol: int = 2, timeout: float = 20
) -> list[bytes]:
    """The raw reply to each command, on a connection of its own, after FLUSHALL."""
    with Resp(server.port, server.host, timeout=timeout, protocol=protocol) as connection:
        connection.command("FLUSHALL")
        connection.send(b"".join(encode(*command) for command in commands))
        return [connection.read_raw() for _ in commands]


def comparable(command: Command, reply: bytes) -> object:
    return sorted(reply.split(b"\r\n")) if command and command[0].upper() in UNORDERED else reply


def first_difference(
    ours: Server, theirs: Server, commands: Sequence[Command], protocol: int = 2
) -> tuple[int, bytes, bytes] | None:
    """(index of the command, our reply, their reply); None where all agree."""
    pairs = zip(replies(ours, commands, protocol), replies(theirs, commands, protocol), strict=True)
    for index, (mine, other) in enumerate(pairs):
        if comparable(commands[index], mine) != comparable(commands[index], other):
            return index, mine, other
    return None


def compare(
    ours: Server, theirs: Server, commands: Sequence[Command], protocol: int = 2, note: str = ""
) -> None:
    found = first_difference(ours, theirs, commands, protocol)
    if found is None:
        return
    index, mine, other = found
    story = "\n".join(show(command) for command in commands[max(0, index - SHOWN) : index + 1])
    pytest.fail(f"{note}RESP{protocol}:\n{story}\n  {ours!r}: {mine[:300]!r}\n  {theirs!r}: {other[:300]!r}")


def show(command: Command) -> str:
    """As a line of a script, long words cut."""
    return " ".join(repr(bytes(word[:60]))[1:] for word in command)
