"""The kinds of values a directive can have: how they are read, shown and written to a file.

A kind knows nothing of names, files or the running server. `parse` takes the words after the
directive's name and returns the value as Python wants it, or raises ValueError with Redis' words;
`show` gives the one line CONFIG GET replies; `lines` gives what follows the name in a file, one item
per line. The kinds with a grammar of their own (`save`, `bind`, ...) are in `structured`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from node.config.text import to_bytes
from node.words import quote

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
LONG_MAX = 2**63 - 1
ULONG_MAX = 2**64 - 1

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_MEMORY = re.compile(r"([0-9]*)(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}


class Kind:
    """What all kinds share. `words` is true for those that take any number of words."""

    words = False

    @property
    def values(self) -> str:
        """What it may be, for the reference page."""
        return "text"

    def parse(self, words: Sequence[str]) -> Any:
        """The value the words after a directive's name stand for. Raises ValueError(reason)."""
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The value as CONFIG GET replies it."""
        raise NotImplementedError

    def lines(self, value: Any, default: Any) -> list[str]:
        """What follows the name in a rewritten file, one item per line; none to leave it out."""
        return [self.show(value)]

    def merge(self, old: Any, new: Any) -> Any:
        """The value after `new` was set over `old`: for kinds where a setting names only a part."""
        return new


class Bool(Kind):
    @property
    def values(self) -> str:
        return "yes or no"

    def parse(self, words: Sequence[str]) -> bool:
        word = words[0].lower()
        if word not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return word == "yes"

    def show(self, value: bool) -> str:
        return "yes" if value else "no"


class Integer(Kind):
    """A whole number from `low` to `high`. `clip`: these values are accepted and brought in range."""

    def __init__(
        self,
        low: int = 0,
        high: int = INT_MAX,
        *,
        unsigned: bool = False,
        clip: tuple[int, int] | None = None,
    ) -> None:
        self.low = low
        self.high = high
        self.unsigned = unsigned
        self.clip = clip

    @property
    def values(self) -> str:
        return f"{self.low} and more" if self.high >= INT_MAX else f"{self.low} to {self.high}"

    def parse(self, words: Sequence[str]) -> int:
        value = self.read(words[0])
        self.check(value)
        if self.clip:
            value = min(max(value, self.clip[0]), self.clip[1])
        return value

    def read(self, word: str) -> int:
        if not _INTEGER.fullmatch(word) or not -LONG_MAX - 1 <= int(word) <= LONG_MAX:
            raise ValueError("argument couldn't be parsed into an integer")
        return int(word)

    def check(self, value: int) -> None:
        if self.unsigned and value < 0:
            raise ValueError("argument must be greater or equal to 0")
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")

    def show(self, value: int) -> str:
        return str(value)


class Octal(Integer):
    """Permissions, as chmod takes them."""

    @property
    def values(self) -> str:
        return f"{self.low:o} to {self.high:o}, octal"

    def read(self, word: str) -> int:
        if not re.fullmatch(r"[0-7]+", word):
            raise ValueError("argument couldn't be parsed as an octal number")
        return int(word, 8)

    def check(self, value: int) -> None:
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low:o} and {self.high:o} inclusive")

    def show(self, value: int) -> str:
        return f"{value:o}"


def parse_memory(word: str) -> int:
    """Bytes: `100`, `1k` (1000), `1kb` (1024), and m, mb, g, gb likewise. Raises ValueError."""
    match = _MEMORY.fullmatch(word)
    if not match:
        raise ValueError("argument must be a memory value")
    return int(match[1] or 0) * _UNITS[(match[2] or "").lower()]


def format_memory(size: int) -> str:
    """The shortest exact form for a file: `64mb` rather than `67108864`."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


class Memory(Integer):
    """A number of bytes. With `percent`, also `5%`, which is held as -5."""

    def __init__(self, low: int = 0, high: int = LONG_MAX, *, percent: bool = False) -> None:
        super().__init__(low, high)
        self.percent = percent

    @property
    def values(self) -> str:
        return "bytes, or percent" if self.percent else "bytes"

    def read(self, word: str) -> int:
        if self.percent and word.endswith("%") and _INTEGER.fullmatch(word[:-1]) and word[0] != "-":
            return -int(word[:-1])
        try:
            return parse_memory(word)
        except ValueError:
            if self.percent:
                raise ValueError("argument must be a memory or percent value") from None
            raise

    def check(self, value: int) -> None:
        if value >= 0:
            super().check(value)
        elif value < -100:
            raise ValueError("percentage argument must be less or equal to 100")

    def show(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, value: int, default: Any) -> list[str]:
        return [self.show(value) if value < 0 else format_memory(value)]


class Text(Kind):
    """Any string. `check` raises ValueError for those that are not allowed."""

    def __init__(self, check: Callable[[str], None] | None = None) -> None:
        self.check = check

    def parse(self, words: Sequence[str]) -> str:
        if self.check:
            self.check(words[0])
        return words[0]

    def show(self, value: str) -> str:
        return value

    def lines(self, value: str, default: Any) -> list[str]:
        return [quote(to_bytes(value))] if value or default else []


class Choice(Kind):
    """One of a few words, in any case. `synonyms` are accepted and held as the word they stand for."""

    def __init__(self, *names: str, synonyms: dict[str, str] | None = None) -> None:
        self.names = names
        self.synonyms = synonyms or {}

    @property
    def values(self) -> str:
        return ", ".join(self.names)

    def parse(self, words: Sequence[str]) -> str:
        return self.pick(words[0])

    def pick(self, word: str) -> str:
        name = word.lower()
        if name not in self.names:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.names)}")
        return self.synonyms.get(name, name)

    def show(self, value: str) -> str:
        return value


class Choices(Choice):
    """Several of a few words, held in the order of declaration, space-separated.

    The first name stands for "none of them" and goes when another is present. `exclusive` is a pair of
    names that may not meet."""

    words = True

    def __init__(self, *names: str, exclusive: tuple[str, str] | None = None) -> None:
        super().__init__(*names)
        self.exclusive = exclusive

    @property
    def values(self) -> str:
        return f"any of {super().values}"

    def parse(self, words: Sequence[str]) -> str:
        picked = {self.pick(word) for word in words or [""]}
        if self.exclusive and picked.issuperset(self.exclusive):
            one, other = (name.upper() for name in self.exclusive)
            raise ValueError(f"shutdown options {one} and {other} can't be used simultaneously")
        return " ".join(name for name in self.names[1:] if name in picked) or self.names[0]
