"""The rows of the bench, as data: what is asked, of which keys, and what it may cost.

A command is written as one would type it. `__rand_int__` is a random number of twelve digits below `--keys`,
drawn anew for each request by redis-benchmark; VALUE is as many bytes as `--sizes` says. The first twenty
rows are redis-benchmark's own, with its keys and arguments; the others are what applications use besides.

What a row needs to be there is its `fill`: variadic commands of up to a hundred items, in which # is the
number of the item.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

KEYS = -1
"""So many items as `--keys` says."""
REQUESTS = -2
"""So many items as the next run takes away: filled anew before each."""


@dataclass(frozen=True, slots=True)
class Fill:
    head: str
    item: str
    count: int = KEYS


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    command: str
    fill: Fill | None = None
    bar: float = 1.0
    """Pipelined, the most CPU per operation we may use, as a ratio to the better oracle."""
    subscribers: int = 0

    @property
    def is_sized(self) -> bool:
        """Whether the size of values matters to it."""
        return "VALUE" in self.command or (self.fill is not None and "VALUE" in self.fill.item)

    def argv(self, value_size: int) -> tuple[str, ...]:
        """What redis-benchmark is to send; nothing where it knows the row by name only."""
        words = shlex.split(self.command)
        return tuple("x" * value_size if word == "VALUE" else word for word in words)


STRINGS = Fill("MSET", "key:# VALUE")
HASH = Fill("HSET myhash", "element:# VALUE")
SET = Fill("SADD myset", "element:#")
SORTED_SET = Fill("ZADD myzset", "# element:#")
RANGE = Fill("RPUSH mylist", "VALUE", 600)

ROWS = {
    row.name: row
    for row in (
        Row("ping_inline", ""),
        Row("ping_mbulk", "PING"),
        Row("set", "SET key:__rand_int__ VALUE", STRINGS, bar=0.6),
        Row("get", "GET key:__rand_int__", STRINGS, bar=0.6),
        Row("incr", "INCR counter:__rand_int__", Fill("MSET", "counter:# 0"), bar=0.6),
        Row("lpush", "LPUSH mylist VALUE"),
        Row("rpush", "RPUSH mylist VALUE"),
        Row("lpop", "LPOP mylist", Fill("RPUSH mylist", "VALUE", REQUESTS)),
        Row("rpop", "RPOP mylist", Fill("RPUSH mylist", "VALUE", REQUESTS)),
        Row("sadd", "SADD myset element:__rand_int__"),
        Row("hset", "HSET myhash element:__rand_int__ VALUE"),
        Row("spop", "SPOP myset", Fill("SADD myset", "element:#", REQUESTS)),
        Row("zadd", "ZADD myzset __rand_int__ element:__rand_int__"),
        Row("zpopmin", "ZPOPMIN myzset", Fill("ZADD myzset", "# element:#", REQUESTS)),
        Row("lrange_100", "LRANGE mylist 0 99", RANGE),
        Row("lrange_300", "LRANGE mylist 0 299", RANGE),
        Row("lrange_500", "LRANGE mylist 0 499", RANGE),
        Row("lrange_600", "LRANGE mylist 0 599", RANGE),
        Row("mset", "MSET" + " key:__rand_int__ VALUE" * 10),
        Row("xadd", "XADD mystream * myfield VALUE"),
        Row("mget_10", "MGET" + " key:__rand_int__" * 10, STRINGS),
        Row("exists", "EXISTS key:__rand_int__", STRINGS),
        Row("expire", "EXPIRE key:__rand_int__ 1000", STRINGS),
        Row("del", "DEL key:__rand_int__", Fill("MSET", "key:# VALUE", REQUESTS)),
        Row("hget", "HGET myhash element:__rand_int__", HASH),
        Row("hgetall_10", "HGETALL myhash", Fill("HSET myhash", "element:# VALUE", 10)),
        Row("sismember", "SISMEMBER myset element:__rand_int__", SET),
        Row("zrange_10", "ZRANGE myzset 0 9", SORTED_SET),
        Row("zrangebyscore_10", "ZRANGEBYSCORE myzset __rand_int__ +inf LIMIT 0 10", SORTED_SET),
        Row("eval_get", """EVAL "return redis.call('GET', KEYS[1])" 1 key:__rand_int__""", STRINGS),
        Row("publish_10", "PUBLISH news VALUE", subscribers=10),
    )
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Keys of one type, to be weighed: each is made by one command of `items` items."""

    name: str
    head: str
    item: str
    items: int
    keys: int


_SMALL = 50_000
_LARGE = 200

SHAPES = {
    shape.name: shape
    for shape in (
        Shape("string", "SET key:#", "VALUE", 1, 200_000),
        Shape("list of 10", "RPUSH list:#", "VALUE", 10, _SMALL),
        Shape("hash of 10", "HSET hash:#", "field:@ VALUE", 10, _SMALL),
        Shape("set of 10", "SADD set:#", "member:@", 10, _SMALL),
        Shape("set of 10 integers", "SADD integers:#", "@", 10, _SMALL),
        Shape("sorted set of 10", "ZADD scores:#", "@ member:@", 10, _SMALL),
        Shape("stream of 1", "XADD stream:# 1-1", "field VALUE", 1, _SMALL),
        Shape("list of 1,000", "RPUSH list:#", "VALUE", 1000, _LARGE),
        Shape("hash of 1,000", "HSET hash:#", "field:@ VALUE", 1000, _LARGE),
        Shape("set of 1,000", "SADD set:#", "member:@", 1000, _LARGE),
        Shape("sorted set of 1,000", "ZADD scores:#", "@ member:@", 1000, _LARGE),
    )
}
"""In their commands # is the number of the key and @ that of the item."""
