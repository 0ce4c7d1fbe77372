"""LCS: the longest common subsequence of two strings.

Redis fills a table of len(a) x len(b) numbers. Neighbours in it differ by 0 or 1, so a row is known from the
places where it grows, one bit each, and a Python integer holds a row: the bit-parallel method of Hyyrö
("Bit-parallel LCS-length computation revisited", 2004) makes a row from the previous one in five operations.
A row's bits go along the longer string, and there are as many rows as the shorter one has bytes.

Of several longest subsequences Redis gives the one it meets when it walks the table back from the end: take a
match where there is one, else step back in `a` if that keeps the length and one in `b` does not, else in
`b`. The walk here takes the same way, in leaps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from node import errors
from node.errors import ReplyError
from node.handlers.arguments import Options
from node.handlers.registry import command
from node.replies import PairsReply

_NOT_STRINGS = ReplyError("ERR The specified keys must contain string values")
_LEN_AND_IDX = ReplyError("ERR If you want both the length and indexes, please just use IDX.")
_TOO_LARGE = ReplyError("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
_CELL_BYTES = 4
"""Of Redis' table. Ours needs about a bit per cell; the limit is kept so that both refuse the same."""
_NO_STRING = -1

Match = tuple[int, int]
"""Places of one common byte in both strings, from 0."""


@command("lcs")
def lcs(ctx: Any, args: list[bytes]) -> Any:
    lengths = [_length(ctx, key) for key in args[:2]]
    if _NO_STRING in lengths:
        raise _NOT_STRINGS
    length_only = ranges_wanted = with_length = False
    shortest = 0
    options = Options(args, start=2)
    for word in options:
        match word:
            case b"LEN":
                length_only = True
            case b"IDX":
                ranges_wanted = True
            case b"WITHMATCHLEN":
                with_length = True
            case b"MINMATCHLEN":
                shortest = max(0, options.integer())
            case _:
                raise errors.SYNTAX
    if length_only and ranges_wanted:
        raise _LEN_AND_IDX
    if math.prod(length + 1 for length in lengths) * _CELL_BYTES > ctx.config.proto_max_bulk_len:
        raise _TOO_LARGE
    a, b = (ctx.db.peek(key) or b"" for key in args[:2])
    matches = list(common_subsequence(a, b))
    if length_only:
        return len(matches)
    if not ranges_wanted:
        return bytes(a[i] for i, _ in reversed(matches))
    return PairsReply([(b"matches", _ranges(matches, shortest, with_length)), (b"len", len(matches))])


def _length(ctx: Any, key: bytes) -> int:
    """Of a string; 0 where there is no key, _NO_STRING where it is something else."""
    try:
        length: int = ctx.db.strlen(key)
    except ReplyError:
        return _NO_STRING
    return length


def _ranges(matches: list[Match], shortest: int, with_length: bool) -> list[list[Any]]:
    """Runs of neighbouring matches, last first: [[a first, a last], [b first, b last], maybe the length]."""
    runs: list[list[Any]] = []
    at = 0
    while at < len(matches):
        end = at + 1
        while end < len(matches) and matches[end] == (matches[end - 1][0] - 1, matches[end - 1][1] - 1):
            end += 1
        (a_last, b_last), (a_first, b_first) = matches[at], matches[end - 1]
        if end - at >= shortest:
            runs.append([[a_first, a_last], [b_first, b_last], *([end - at] if with_length else [])])
        at = end
    return runs


def common_subsequence(a: bytes, b: bytes) -> Iterator[Match]:
    """The matches of one longest common subsequence, from the last to the first."""
    return _walk_back_along_b(a, b) if len(a) < len(b) else _walk_back_along_a(a, b)


def _rows(short: bytes, long: bytes) -> list[int]:
    """One row for every prefix of `short`, the empty one first.

    Bit p is 1 where the subsequence with `long[:p + 1]` is longer than the one with `long[:p]`.
    """
    places = _places(short, long)
    every = (1 << len(long)) - 1
    still = every
    rows = [0]
    for byte in short:
        reached = still & places[byte]
        still = ((still + reached) | (still - reached)) & every
        rows.append(every ^ still)
    return rows


def _places(wanted: bytes, text: bytes) -> dict[int, int]:
    """For each byte of `wanted`, a number with a bit for every place of `text` where it stands."""
    found = {}
    for byte in set(wanted):
        only = bytes(49 if other == byte else 48 for other in range(256))
        found[byte] = int(text[::-1].translate(only) or b"0", 2)
    return found


def _walk_back_along_a(a: bytes, b: bytes) -> Iterator[Match]:
    """Rows belong to prefixes of b. `length(i, j)` is the number of ones among the first i bits of row j."""
    rows = _rows(b, a)
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] != b[j - 1]:
            mask = (1 << i) - 1
            if (rows[j] & mask).bit_count() == (rows[j - 1] & mask).bit_count():
                j -= 1
                continue
            i = a.rfind(b[j - 1], 0, i) + 1
        i -= 1
        j -= 1
        yield i, j


def _walk_back_along_b(a: bytes, b: bytes) -> Iterator[Match]:
    """Rows belong to prefixes of a: the walk stays in row i until it meets a match or a place of growth."""
    rows = _rows(a, b)
    places = _places(a, b)
    i, j = len(a), len(b)
    while i and j:
        j = ((rows[i] | places[a[i - 1]]) & ((1 << j) - 1)).bit_length()
        if not j:
            return
        i = a.rfind(b[j - 1], 0, i)
        j -= 1
        yield i, j
