"""What keys are weighed, as data: of each type some small ones, larger ones, and one of a million.

Their bars are of two kinds. A string may take a tenth more than the better of the two oracles needs. The
collections are compared with valkey-server, by what was promised when they were built; where nothing was, the
ratio is told and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Keys of one type: `keys` of them, each of `items` items."""

    name: str
    head: str
    item: str
    items: int
    keys: int
    bar: float | None = None
    """The most that one may take, as a ratio."""
    beside: tuple[str, ...] = ("valkey",)
    """The ratio is to the lightest of these."""


_SMALL = 100_000
_SMALL_BAR = 1.3
_LARGE = 200
_HUGE = 1_000_000
_HUGE_BAR = 1.6

SHAPES = {
    shape.name: shape
    for shape in (
        Shape("string", "SET key:#", "VALUE", 1, 1_000_000, 1.1, ("redis", "valkey")),
        Shape("list of 20", "RPUSH list:#", "VALUE", 20, _SMALL, _SMALL_BAR),
        Shape("hash of 10", "HSET hash:#", "field:@ VALUE", 10, _SMALL, _SMALL_BAR),
        Shape("sorted set of 20", "ZADD scores:#", "@ member:@", 20, _SMALL, _SMALL_BAR),
        Shape("set of 10", "SADD set:#", "member:@", 10, _SMALL),
        Shape("set of 10 integers", "SADD integers:#", "@", 10, _SMALL),
        Shape("stream of 1", "XADD stream:# 1-1", "field VALUE", 1, _SMALL),
        Shape("list of 1,000", "RPUSH list:#", "VALUE", 1000, _LARGE),
        Shape("hash of 1,000", "HSET hash:#", "field:@ VALUE", 1000, _LARGE),
        Shape("set of 1,000", "SADD set:#", "member:@", 1000, _LARGE),
        Shape("sorted set of 1,000", "ZADD scores:#", "@ member:@", 1000, _LARGE),
        Shape("list of 1,000,000", "RPUSH list:#", "VALUE", _HUGE, 1, _HUGE_BAR),
        Shape("hash of 1,000,000", "HSET hash:#", "field:@ VALUE", _HUGE, 1, _HUGE_BAR),
        Shape("set of 1,000,000", "SADD set:#", "member:@", _HUGE, 1, _HUGE_BAR),
        Shape("sorted set of 1,000,000", "ZADD scores:#", "@ member:@", _HUGE, 1, _HUGE_BAR),
    )
}
"""In their commands # is the number of the key and @ that of the item."""
