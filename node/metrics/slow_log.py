"""The slow log: the last commands that took longer than a limit, for SLOWLOG GET; and others of its kind.

Entries are cut to what helps to recognize a command: its first arguments, their first bytes. Passwords are
replaced before anything is kept. Sizes are those of Redis' slowlog.h, so that tools show the same.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any

from node.cut_words import cut

MOST_ARGUMENTS = 32
REDACTED = b"(redacted)"

SECRET_SETTINGS = frozenset(
    b"requirepass masterauth primaryauth masteruser primaryuser cluster-secret"
    b" tls-key-file-pass tls-client-key-file-pass".split()
)
"""The directives that are secret, by all their names: proxies use this, and not the table."""


@dataclass(frozen=True, slots=True)
class Entry:
    number: int
    at: int
    """Unix seconds."""
    cost: int
    """Microseconds in the slow log, bytes in those of large commands."""
    argv: list[bytes]
    peer: str
    client_name: bytes


class SlowLog:
    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque()
        self._numbers = itertools.count()
        self.limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, at: int, cost: int, command: str, argv: list[bytes], peer: str, client_name: bytes) -> None:
        """`command`: its table name. `at`: Unix seconds."""
        kept = shortened(redacted(command, argv))
        self._entries.appendleft(Entry(next(self._numbers), at, cost, kept, peer, client_name))
        self.cut(self.limit)

    def cut(self, limit: int) -> None:
        """Keep only the newest `limit` entries, now and from now on."""
        self.limit = limit
        while len(self._entries) > limit:
            self._entries.pop()

    def newest(self, count: int) -> list[Entry]:
        """Up to `count` entries, the newest first; -1 for all."""
        return list(itertools.islice(self._entries, None if count < 0 else count))

    def rows(self, count: int) -> list[list[Any]]:
        """The same as SLOWLOG GET shows them."""
        return [
            [entry.number, entry.at, entry.cost, entry.argv, entry.peer.encode(), entry.client_name]
            for entry in self.newest(count)
        ]

    def clear(self) -> None:
        """Forget the entries; numbers go on."""
        self._entries.clear()


def shortened(argv: list[bytes]) -> list[bytes]:
    """The command with long arguments cut and many left out, each with a note of how much is missing."""
    shown = argv
    if len(argv) > MOST_ARGUMENTS:
        left_out = len(argv) - MOST_ARGUMENTS + 1
        shown = [*argv[: MOST_ARGUMENTS - 1], b"... (%d more arguments)" % left_out]
    return [cut(arg) for arg in shown]


def redacted(command: str, argv: list[bytes]) -> list[bytes]:
    """The command without its secrets."""
    hidden: set[int] = set()
    if command == "auth":
        hidden.update(range(1, len(argv)))
    elif command == "acl|setuser":
        hidden.update(range(2, len(argv)))
    elif command == "config|set":
        hidden.update(i + 1 for i in range(2, len(argv), 2) if argv[i].lower() in SECRET_SETTINGS)
    elif command == "hello":
        hidden.update(_after_word(argv, 2, {b"auth": 2}))
    elif command == "migrate":
        hidden.update(_after_word(argv, 6, {b"auth": 1, b"auth2": 2}))
    return [REDACTED if i in hidden else arg for i, arg in enumerate(argv)]


def _after_word(argv: list[bytes], start: int, words: dict[bytes, int]) -> range:
    """The arguments behind the first of these options; the number is how many belong to each. What follows
    MIGRATE's KEYS are keys."""
    for i in range(start, len(argv)):
        word = argv[i].lower()
        if word == b"keys":
            break
        if word in words:
            return range(i + 1, i + 1 + words[word])
    return range(0)
