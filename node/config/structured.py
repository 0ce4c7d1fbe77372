"""Directives with a grammar of their own: save, bind, client-output-buffer-limit and their like."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from node.config.kinds import Kind, format_memory, parse_memory
from node.config.text import to_bytes
from node.words import quote

MAX_BIND_ADDRESSES = 16
MAX_PORT = 65535


def _to_integer(word: str) -> int:
    """A whole number as C's strtoll reads it: sign and leading white space allowed, nothing after."""
    match = re.fullmatch(r"\s*([+-]?[0-9]+)", word)
    if not match:
        raise ValueError(word)
    return int(match[1])


class Save(Kind):
    """`save <seconds> <changes> ...`: a list of (seconds, changes); `save ""` is none."""

    words = True

    def parse(self, words: Sequence[str]) -> list[tuple[int, int]]:
        if list(words) == [""]:
            return []
        try:
            numbers = [_to_integer(number) for word in words for number in word.split()]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
        except ValueError:
            raise ValueError("Invalid save parameters") from None
        if any(seconds < 1 or changes < 0 for seconds, changes in points):
            raise ValueError("Invalid save parameters")
        return points

    def show(self, value: list[tuple[int, int]]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: list[tuple[int, int]], default: object) -> list[str]:
        return [f"{seconds} {changes}" for seconds, changes in value] or ['""']


class OutputLimit(NamedTuple):
    """When a client that does not read is closed: at once over `hard` bytes, or after `seconds` over `soft`.
    0 means no limit."""

    hard: int
    soft: int
    seconds: int


class OutputLimits(Kind):
    """`client-output-buffer-limit <class> <hard> <soft> <seconds> ...`: class → OutputLimit.

    The classes are `normal`, `slave` (also read as `replica`) and `pubsub`; those not named stay as they are.
    """

    words = True
    classes = ("normal", "slave", "pubsub")

    def parse(self, words: Sequence[str]) -> dict[str, OutputLimit]:
        if len(words) % 4:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        limits = {}
        for start in range(0, len(words), 4):
            name = words[start].lower()
            name = "slave" if name == "replica" else name
            if name not in self.classes:
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            try:
                hard, soft = parse_memory(words[start + 1]), parse_memory(words[start + 2])
                seconds = _to_integer(words[start + 3])
            except ValueError:
                seconds = -1
            if seconds < 0:
                raise ValueError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                ) from None
            limits[name] = OutputLimit(hard, soft, seconds)
        return limits

    def merge(self, old: dict[str, OutputLimit], new: dict[str, OutputLimit]) -> dict[str, OutputLimit]:
        return {**old, **new}

    def show(self, value: dict[str, OutputLimit]) -> str:
        return " ".join(f"{name} {' '.join(map(str, value[name]))}" for name in self.classes)

    def lines(self, value: dict[str, OutputLimit], default: dict[str, OutputLimit]) -> list[str]:
        return [
            f"{'replica' if name == 'slave' else name} "
            f"{format_memory(limit.hard)} {format_memory(limit.soft)} {limit.seconds}"
            for name, limit in value.items()
            if limit != default[name]
        ]


class OomScores(Kind):
    """`oom-score-adj-values <primary> <replica> <saving child>`: three integers."""

    words = True

    def parse(self, words: Sequence[str]) -> tuple[int, ...]:
        if len(words) != 3:
            raise ValueError("wrong number of arguments")
        try:
            scores = tuple(_to_integer(word) for word in words)
        except ValueError:
            scores = (-9999,)
        if not all(-2000 <= score <= 2000 for score in scores):
            raise ValueError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return scores

    def show(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))


class EventClasses(Kind):
    """`notify-keyspace-events <letters>`: held in the normal form CONFIG GET replies."""

    # Classes that `A` stands for, in the order they are shown; m and n are never part of it.
    all_classes = "g$lshzxetd"

    def parse(self, words: Sequence[str]) -> str:
        letters = set(words[0])
        if letters - set("A" + self.all_classes + "KEmn"):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        if "A" in letters or letters.issuperset(self.all_classes):
            letters = letters - set(self.all_classes) | {"A"}
        return "".join(letter for letter in "A" + self.all_classes + "nKEm" if letter in letters)

    def show(self, value: str) -> str:
        # New-key events are shown beside single classes only, never beside `A`; as Redis does.
        return value.replace("n", "") if value.startswith("A") else value

    def lines(self, value: str, default: object) -> list[str]:
        return [f'"{value}"']


class Addresses(Kind):
    """`bind <address> ...`: a leading `-` lets an address be missing; `*` is every IPv4 address, `::*`
    IPv6."""

    words = True

    def parse(self, words: Sequence[str]) -> list[str]:
        if len(words) > MAX_BIND_ADDRESSES:
            raise ValueError("Too many bind addresses specified.")
        return [] if list(words) == [""] else list(words)

    def show(self, value: list[str]) -> str:
        return " ".join(value)

    def lines(self, value: list[str], default: object) -> list[str]:
        return [] if value == default else [self.show(value) or '""']


class PrimaryAddress(Kind):
    """`replicaof <host> <port>`, or `replicaof no one`: (host, port) or None."""

    words = True

    def parse(self, words: Sequence[str]) -> tuple[str, int] | None:
        if len(words) != 2:
            raise ValueError("wrong number of arguments")
        if [word.lower() for word in words] == ["no", "one"]:
            return None
        try:
            port = _to_integer(words[1])
        except ValueError:
            port = -1
        if not 0 <= port <= MAX_PORT:
            raise ValueError("Invalid master port")
        return words[0], port

    def show(self, value: tuple[str, int] | None) -> str:
        return f"{value[0]} {value[1]}" if value else ""

    def lines(self, value: tuple[str, int] | None, default: object) -> list[str]:
        return [self.show(value)] if value else []


class Percentiles(Kind):
    """`latency-tracking-info-percentiles <p> ...`: floats from 0 to 100; `""` is none."""

    words = True

    def parse(self, words: Sequence[str]) -> list[float]:
        if list(words) == [""]:
            return []
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
        if not all(0 <= value <= 100 for value in values):
            raise ValueError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        return values

    def show(self, value: list[float]) -> str:
        return " ".join(f"{percentile:f}".rstrip("0").rstrip(".") for percentile in value)

    def lines(self, value: list[float], default: object) -> list[str]:
        return [self.show(value) or '""']


class Directory(Kind):
    """`dir <path>`: an existing directory. Held as an absolute path; the process itself does not move,
    so that several workers can live in one process. `Config.path` resolves file names against it."""

    def parse(self, words: Sequence[str]) -> str:
        return words[0]

    def merge(self, old: str, new: str) -> str:
        path = os.path.normpath(os.path.join(old, new))
        try:
            if not new:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            os.stat(os.path.join(path, ""))  # the empty last part refuses what is not a directory
            if not os.access(path, os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ValueError(error.strerror) from None
        return path

    def show(self, value: str) -> str:
        return value

    def lines(self, value: str, default: object) -> list[str]:
        return [quote(to_bytes(value))]
