"""Union, intersection and difference of sorted sets, which may be mixed with sets (whose members score 1).

Scores are weighted, then joined pairwise, smallest input first: the order is Redis', because sums of doubles
depend on it. Where infinities cancel each other out the score is 0, not NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from node import errors
from node.datatypes import Set, SortedSet
from node.errors import ReplyError
from node.handlers.arguments import INT64_MAX, Options, parse_float, parse_int, parse_int_between
from node.handlers.registry import command
from node.handlers.sorted_sets import Pairs, with_scores
from node.keyspace import events
from node.keyspace.events import Event

_WEIGHT = ReplyError("ERR weight value is not a float")
_NEGATIVE_LIMIT = ReplyError("ERR LIMIT can't be negative")

Aggregate = Callable[[float, float], float]


def _sum(left: float, right: float) -> float:
    return _no_nan(left + right)


def _no_nan(score: float) -> float:
    return 0.0 if math.isnan(score) else score


_AGGREGATES: dict[bytes, Aggregate] = {b"SUM": _sum, b"MIN": min, b"MAX": max}


@dataclass(slots=True)
class Source:
    """One input."""

    value: Set | SortedSet | None
    weight: float = 1.0

    def __len__(self) -> int:
        return 0 if self.value is None else len(self.value)

    def scores(self) -> dict[bytes, float]:
        """Members with weighted scores."""
        if self.value is None:
            return {}
        if isinstance(self.value, Set):
            return dict.fromkeys(self.value, _no_nan(self.weight))
        return {member: _no_nan(self.weight * score) for member, score in self.value.items()}

    def score(self, member: bytes) -> float | None:
        """The weighted score of a member, which may be NaN: what joins it to another sees to that."""
        if self.value is None or member not in self.value:
            return None
        own = 1.0 if isinstance(self.value, Set) else self.value.score(member)
        return None if own is None else self.weight * own


@dataclass(slots=True)
class Request:
    """`numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM|MIN|MAX] [WITHSCORES] [LIMIT limit]`."""

    sources: list[Source] = field(default_factory=list)
    aggregate: Aggregate = _sum
    scores: bool = False
    limit: int = 0


def _parse(ctx: Any, args: list[bytes], name: str, allowed: tuple[bytes, ...]) -> Request:
    """`allowed`: the option words that the command `name` takes."""
    count = parse_int(args[0])
    if count < 1:
        raise ReplyError(f"ERR at least 1 input key is needed for '{name}' command")
    if count > len(args) - 1:
        raise errors.SYNTAX
    found = Request([Source(_input(ctx, key)) for key in args[1 : count + 1]])
    options = Options(args, start=count + 1)
    for word in options:
        if word not in allowed:
            raise errors.SYNTAX
        if word == b"WEIGHTS" and options.left >= count:
            for source in found.sources:
                source.weight = parse_float(options.value(), _WEIGHT)
        elif word == b"AGGREGATE":
            aggregate = _AGGREGATES.get(options.value().upper())
            if aggregate is None:
                raise errors.SYNTAX
            found.aggregate = aggregate
        elif word == b"WITHSCORES":
            found.scores = True
        elif word == b"LIMIT":
            found.limit = parse_int_between(options.value(), 0, INT64_MAX, _NEGATIVE_LIMIT)
        else:
            raise errors.SYNTAX
    return found


def _input(ctx: Any, key: bytes) -> Set | SortedSet | None:
    value = ctx.db.lookup(key)
    if value is not None and not isinstance(value, (Set, SortedSet)):
        raise errors.WRONGTYPE
    return value


# ------------------------------------------------------------------------------------ the operations


def _union(request: Request) -> dict[bytes, float]:
    joined: dict[bytes, float] = {}
    for source in sorted(request.sources, key=len):
        for member, score in source.scores().items():
            joined[member] = request.aggregate(joined[member], score) if member in joined else score
    return joined


def _inter(request: Request) -> dict[bytes, float]:
    first, *others = sorted(request.sources, key=len)
    joined = {}
    for member, score in first.scores().items():
        for other in others:
            more = other.score(member)
            if more is None:
                break
            score = request.aggregate(score, more)
        else:
            joined[member] = score
            if len(joined) == request.limit:
                break
    return joined


def _diff(request: Request) -> dict[bytes, float]:
    first, *others = request.sources
    return {
        member: score
        for member, score in first.scores().items()
        if not any(other.score(member) is not None for other in others)
    }


Operation = Callable[[Request], dict[bytes, float]]

_WEIGHTED = (b"WEIGHTS", b"AGGREGATE")


def _read(ctx: Any, args: list[bytes], name: str, operation: Operation, *options: bytes) -> list[Any]:
    request = _parse(ctx, args, name, (*options, b"WITHSCORES"))
    ordered = sorted((score, member) for member, score in operation(request).items())
    pairs: Pairs = [(member, score) for score, member in ordered]
    return with_scores(ctx, pairs) if request.scores else [member for member, _ in pairs]


def _store(
    ctx: Any, args: list[bytes], name: str, operation: Operation, event: Event, *options: bytes
) -> int:
    target = args[0]
    scores = operation(_parse(ctx, args[1:], name, options))
    if scores:
        ctx.db.set(target, SortedSet(scores.items()))
        ctx.changed(target, event)
    else:
        ctx.discard(target)
    return len(scores)


@command("zunion")
def zunion(ctx: Any, args: list[bytes]) -> list[Any]:
    return _read(ctx, args, "zunion", _union, *_WEIGHTED)


@command("zinter")
def zinter(ctx: Any, args: list[bytes]) -> list[Any]:
    return _read(ctx, args, "zinter", _inter, *_WEIGHTED)


@command("zdiff")
def zdiff(ctx: Any, args: list[bytes]) -> list[Any]:
    return _read(ctx, args, "zdiff", _diff)


@command("zunionstore")
def zunionstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, "zunionstore", _union, events.ZUNIONSTORE, *_WEIGHTED)


@command("zinterstore")
def zinterstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, "zinterstore", _inter, events.ZINTERSTORE, *_WEIGHTED)


@command("zdiffstore")
def zdiffstore(ctx: Any, args: list[bytes]) -> int:
    return _store(ctx, args, "zdiffstore", _diff, events.ZDIFFSTORE)


@command("zintercard")
def zintercard(ctx: Any, args: list[bytes]) -> int:
    return len(_inter(_parse(ctx, args, "zintercard", (b"LIMIT",))))
