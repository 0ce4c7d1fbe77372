"""One script of commands, sent to our worker and to an oracle, answer beside answer.

A script is a list of commands, each a string split at spaces or a list of words. Both servers get it on one
connection each; where a command ends the connection, the script ends too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.harness.resp import Resp
from tests.harness.servers import Server

Command = str | Sequence[str | bytes]

CLOSED = "closed"


def words(command: Command) -> list[str | bytes]:
    return list(command.split(" ") if isinstance(command, str) else command)


def answers(server: Server, script: Sequence[Command], protocol: int = 2) -> list[Any]:
    """The reply to each command; CLOSED, and nothing after it, when the server closed instead."""
    replies: list[Any] = []
    with Resp(server.port, server.host, protocol=protocol) as connection:
        for command in script:
            try:
                replies.append(connection.command(*words(command)))
            except (ConnectionError, EOFError):
                return [*replies, CLOSED]
    return replies


def assert_same(ours: Server, oracle: Server, script: Sequence[Command], protocol: int = 2) -> None:
    mine, theirs = answers(ours, script, protocol), answers(oracle, script, protocol)
    padded = [*script, "end"][: max(len(mine), len(theirs))]
    differences = [
        f"{command}: ours {m!r}, theirs {t!r}"
        for command, m, t in zip(padded, mine, theirs, strict=False)
        if m != t
    ]
    assert not differences, "\n".join(differences)
    assert len(mine) == len(theirs)
