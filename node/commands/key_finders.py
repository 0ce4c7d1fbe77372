"""Keys of the commands that key specs cannot describe.

SORT and MIGRATE hide keys behind options that stand anywhere; SET and BITFIELD have their key in a plain
place, but what they do with it hangs on their options. Each function here gets a whole request and returns
its keys with flags. Rules as in the getkeys functions of Redis 7.2; used by routing
(`Command.key_positions`), ACL key permissions and COMMAND GETKEYSANDFLAGS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class KeyUse(NamedTuple):
    """One key of one request: index in argv, and key flags (`RO`, `RW`, `OW`, `RM`; `access`, ...)."""

    position: int
    flags: tuple[str, ...]


Finder = Callable[[Sequence[bytes]], list[KeyUse] | None]

_READ = ("RO", "access")
_OVERWRITE = ("OW", "update")
_CHANGE = ("RW", "access", "update")
_MOVE = ("RW", "access", "delete")


def _sort(argv: Sequence[bytes]) -> list[KeyUse]:
    """The key, and the last STORE's destination. BY and GET patterns name keys only once data is read."""
    uses = [KeyUse(1, _READ)]
    destination = 0
    i = 2
    while i < len(argv):
        word = argv[i].upper()
        if word == b"LIMIT":
            i += 2
        elif word in (b"GET", b"BY"):
            i += 1
        elif word == b"STORE" and i + 1 < len(argv):
            destination = i + 1
            i += 1
        i += 1
    if destination:
        uses.append(KeyUse(destination, _OVERWRITE))
    return uses


def _sort_ro(argv: Sequence[bytes]) -> list[KeyUse]:
    return [KeyUse(1, _READ)]


def _migrate(argv: Sequence[bytes]) -> list[KeyUse] | None:
    """One key as argument 3, or with that empty all arguments after KEYS, unless there are none."""
    i = 6
    while i < len(argv):
        word = argv[i].upper()
        if word == b"KEYS" and i + 1 < len(argv):
            if argv[3]:
                return None
            return [KeyUse(position, _MOVE) for position in range(i + 1, len(argv))]
        i += {b"AUTH": 2, b"AUTH2": 3}.get(word, 1)  # a password may be the word KEYS
    return [KeyUse(3, _MOVE)]


def _set(argv: Sequence[bytes]) -> list[KeyUse]:
    """Only with GET does SET hand out what it overwrites."""
    reads = any(word.upper() == b"GET" for word in argv[3:])
    return [KeyUse(1, _CHANGE if reads else _OVERWRITE)]


def _bitfield(argv: Sequence[bytes]) -> list[KeyUse]:
    """Reads only, if nothing but GET (2 arguments) and OVERFLOW (1) occurs."""
    i = 2
    while i < len(argv):
        width = {b"GET": 3, b"OVERFLOW": 2}.get(argv[i].upper())
        if width is None:
            return [KeyUse(1, _CHANGE)]
        i += width
    return [KeyUse(1, _READ)]


FINDERS: dict[str, Finder] = {
    "sort": _sort,
    "sort_ro": _sort_ro,
    "migrate": _migrate,
    "set": _set,
    "bitfield": _bitfield,
}
