"""Glob patterns: the matching of KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules.

    *        any run of bytes, none included
    ?        any one byte
    [abc]    one of these bytes; [a-z] one of a range; [^a] one that is not among them
    \\x       the byte x itself; so \\* is a star, also within [...]

The syntax and its corners are those of Redis' stringmatchlen: an unclosed `[` ends with the pattern, `[]`
accepts nothing, a range may be written backwards, and the empty text is matched by the empty pattern
alone, not by `*` (KEYS and SCAN therefore treat a lone `*` apart: see `matches_all`). Beyond
`MAX_STARS` runs of stars nothing matches, which is Redis' guard against costly patterns.

No pattern can take exponential time here. All that stands between two runs of stars has a fixed length,
so the leftmost place where it fits is as good as any other, and is never reconsidered. Patterns of
usual length become a regular expression that says so with atomic groups; long ones, for which
compiling would cost more memory than they are worth, are walked byte by byte under the same rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from node.core.key_slot import key_slot

MAX_STARS: Final = 1000
MAX_COMPILED: Final = 512
"""Bytes of a pattern that is still worth a regular expression."""

_STAR, _QUESTION, _OPEN, _CLOSE, _CARET, _DASH, _BACKSLASH = b"*?[]^-\\"
_EVERY_BYTE = frozenset(range(256))

Token = int | frozenset[int]
"""What accepts one byte: the byte itself, or a set of them."""


class Glob:
    """A pattern to match many texts with. Holds nothing but the pattern and its compiled form."""

    __slots__ = ("matches", "matches_all", "pattern")

    def __init__(self, pattern: bytes, ignore_case: bool = False) -> None:
        self.pattern = pattern
        self.matches_all = pattern == b"*"
        """A lone star: for callers to whom that means "no pattern"."""
        self.matches: Callable[[bytes], object] = _matcher(pattern, ignore_case)
        """Called with a text, gives something true where the pattern matches all of it."""


def matches(pattern: bytes, text: bytes, ignore_case: bool = False) -> bool:
    """Whether `pattern` matches all of `text`, for a single use."""
    return bool(_matcher(pattern, ignore_case)(text))


def fixed_slot(pattern: bytes) -> int | None:
    """The hash slot of everything that can match, None where matches may be in several.

    A pattern fixes its slot by a hash tag without wildcards, or by having no wildcard at all.
    """
    special = set(b"*?[\\")
    opening = pattern.find(b"{")
    if opening >= 0 and special.isdisjoint(pattern[:opening]):
        closing = pattern.find(b"}", opening)
        tag = pattern[opening + 1 : max(closing, 0)]
        if tag and special.isdisjoint(tag):
            return key_slot(tag)
    return key_slot(pattern) if special.isdisjoint(pattern) else None


def _matcher(pattern: bytes, ignore_case: bool) -> Callable[[bytes], object]:
    if len(pattern) <= MAX_COMPILED:
        return _compiled(pattern, ignore_case).fullmatch
    shortest, star_runs = _measure(pattern)
    if star_runs > MAX_STARS:
        return lambda text: False
    return lambda text: len(text) >= shortest and _walk(pattern, text, ignore_case)


# --------------------------------------------------------------------------------------------- syntax


def _token_at(pattern: bytes, at: int, ignore_case: bool) -> tuple[Token, int]:
    """The token that begins at `at`, which is not a star, and where the next one begins."""
    byte = pattern[at]
    if byte == _QUESTION:
        return _EVERY_BYTE, at + 1
    if byte == _OPEN:
        return _class_at(pattern, at + 1, ignore_case)
    if byte == _BACKSLASH and at + 1 < len(pattern):
        at += 1
        byte = pattern[at]
    if ignore_case and _lower(byte) != _upper(byte):
        return frozenset((_lower(byte), _upper(byte))), at + 1
    return byte, at + 1


def _class_at(pattern: bytes, at: int, ignore_case: bool) -> tuple[Token, int]:
    """The bytes a `[...]` accepts; `at` is the place after its bracket."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    accepted: set[int] = set()
    while at < len(pattern) and pattern[at] != _CLOSE:
        if pattern[at] == _BACKSLASH and at + 1 < len(pattern):
            accepted.add(pattern[at + 1])
            at += 2
        elif at + 2 < len(pattern) and pattern[at + 1] == _DASH:
            low, high = sorted((pattern[at], pattern[at + 2]))
            if ignore_case:
                low, high = _lower(low), _lower(high)
            accepted.update(range(low, high + 1))
            at += 3
        else:
            accepted.add(pattern[at])
            at += 1
    if ignore_case:
        folded = {_lower(byte) for byte in accepted}
        accepted = {byte for byte in _EVERY_BYTE if _lower(byte) in folded}
    return (_EVERY_BYTE - accepted if negated else frozenset(accepted)), at + 1


def _tokens(pattern: bytes, ignore_case: bool) -> Iterator[Token | None]:
    """All tokens in order; None for a run of stars."""
    at = 0
    while at < len(pattern):
        if pattern[at] == _STAR:
            at = _after_stars(pattern, at)
            yield None
        else:
            token, at = _token_at(pattern, at, ignore_case)
            yield token


_STARS = re.compile(rb"\**")


def _after_stars(pattern: bytes, at: int) -> int:
    found = _STARS.match(pattern, at)
    return found.end() if found else at


def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


def _upper(byte: int) -> int:
    return byte - 32 if 97 <= byte <= 122 else byte


# ----------------------------------------------------------------------------- as a regular expression


@lru_cache(maxsize=64)
def _compiled(pattern: bytes, ignore_case: bool) -> re.Pattern[bytes]:
    """The pattern as an expression for fullmatch.

    What lies between two runs of stars is found leftmost and kept: `(?>.*?x)`. What follows the last run
    must reach the end of the text, so that run takes all it can, and gives back as far as the rest is long.
    """
    pieces = [b""]
    for token in _tokens(pattern, ignore_case):
        if token is None:
            pieces.append(b"")
        else:
            pieces[-1] += _expression(token)
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    first, *middle, last = pieces
    between = b"".join(b"(?>.*?" + piece + b")" for piece in middle)
    not_empty = b"(?=.)"
    return re.compile(not_empty + first + between + b".*" + last, re.DOTALL)


def _expression(token: Token) -> bytes:
    if isinstance(token, int):
        return b"\\x%02x" % token
    if token == _EVERY_BYTE:
        return b"."
    if not token:
        return b"(?!)"
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(token)) + b"]"


# ------------------------------------------------------------------------------------------ as a walk


def _measure(pattern: bytes) -> tuple[int, int]:
    """The length of the shortest text that can match, and how many runs of stars need a search."""
    shortest = star_runs = 0
    for token in _tokens(pattern, ignore_case=False):
        if token is None:
            star_runs += 1
        else:
            shortest += 1
    return shortest, star_runs - pattern.endswith(b"*")


def _walk(pattern: bytes, text: bytes, ignore_case: bool) -> bool:
    """Match with one place to come back to: after the last run of stars seen."""
    if not text:
        return not pattern
    at = position = 0
    retry_at, retry_position = -1, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == _STAR:
            at = retry_at = _after_stars(pattern, at)
            retry_position = position
            if at == len(pattern):
                return True
            continue
        if at < len(pattern):
            token, following = _token_at(pattern, at, ignore_case)
            byte = text[position]
            if byte == token if isinstance(token, int) else byte in token:
                at = following
                position += 1
                continue
        if retry_at < 0:
            return False
        retry_position += 1
        at, position = retry_at, retry_position
    return _after_stars(pattern, at) == len(pattern)
