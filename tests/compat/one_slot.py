"""Scripts meant for one server, made fit for a cluster behind a proxy.

A cluster carries out a command on several keys only if they are of one slot. So keys that meet in a command
get a common hash tag, in the whole script: `{a}a` and `{a}b` for `a` and `b` of `RENAME a b`. Keys that only
meet in what the proxy splits (MGET, DEL), or in no command, stay as they are and lie where they may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from node.commands import find
from proxy.requests.splitter import SPLIT


def is_split(argv: Sequence[bytes]) -> bool:
    return argv[0].lower().decode("latin-1") in SPLIT


def tagged(
    commands: Sequence[Sequence[bytes]], may_be_apart: Callable[[Sequence[bytes]], bool] = is_split
) -> list[list[bytes]]:
    """The same commands with such keys. Commands from MULTI to EXEC, and those watched, count as one."""
    groups = _Groups()
    transaction: list[bytes] = []
    queueing = False
    for argv in commands:
        name = argv[0].lower()
        keys = [argv[position] for position in _key_positions(argv)]
        if name in (b"multi", b"watch"):
            queueing = True
        if queueing:
            transaction += keys
            groups.join(transaction)
        elif not may_be_apart(argv):
            groups.join(keys)
        if name in (b"exec", b"discard", b"unwatch", b"reset"):
            queueing, transaction = False, []
    return [_with_tags(argv, groups) for argv in commands]


def _key_positions(argv: Sequence[bytes]) -> list[int]:
    row = find(argv)
    return row.key_positions(argv) if row is not None and row.accepts(len(argv)) else []


def _with_tags(argv: Sequence[bytes], groups: _Groups) -> list[bytes]:
    changed = list(argv)
    for position in _key_positions(argv):
        changed[position] = groups.tagged(argv[position])
    return changed


class _Groups:
    """Keys that belong together: each points at another of its group, or is its group's name."""

    def __init__(self) -> None:
        self._next: dict[bytes, bytes] = {}

    def name(self, key: bytes) -> bytes:
        while key in self._next:
            key = self._next[key]
        return key

    def join(self, keys: Iterable[bytes]) -> None:
        names = list(dict.fromkeys(map(self.name, keys)))
        for other in names[1:]:
            self._next[other] = names[0]

    def tagged(self, key: bytes) -> bytes:
        if b"{" in key or (key not in self._next and key not in self._next.values()):
            return key
        return b"{" + (self.name(key).replace(b"}", b"") or b"-") + b"}" + key
