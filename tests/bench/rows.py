"""The rows of the bench, as data: what is asked, of which keys, and what it may cost.

A command is written as one would type it. `__rand_int__` is a random number of twelve digits below `--keys`,
drawn anew for each request by redis-benchmark; VALUE is as many bytes as `--sizes` says. The first twenty
rows are redis-benchmark's own, with its keys and arguments; the others are what applications use besides. All
servers are in cluster mode, so several keys of one command have the same tag.

What a row needs to be there is its `fill`: commands of up to a hundred items, in which # is the number of the
item.
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
    at_once: int = 100
    """How many items one command has."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    command: str
    fill: Fill | None = None
    subscribers: int = 0

    @property
    def is_sized(self) -> bool:
        """Whether the size of values matters to it."""
        return "VALUE" in self.command or (self.fill is not None and "VALUE" in self.fill.item)

    def argv(self, value_size: int) -> tuple[str, ...]:
        """What redis-benchmark is to send; nothing where it knows the row by name only."""
        words = shlex.split(self.command)
        return tuple("x" * value_size if word == "VALUE" else word for word in words)


STRINGS = Fill("SET", "key:# VALUE", at_once=1)
TAGGED = Fill("MSET", "key:{tag}:# VALUE")
HASH = Fill("HSET myhash", "element:# VALUE")
SET = Fill("SADD myset", "element:#")
SORTED_SET = Fill("ZADD myzset", "# element:#")
RANGE = Fill("RPUSH mylist", "VALUE", 600)

ROWS = {
    row.name: row
    for row in (
        Row("ping_inline", ""),
        Row("ping_mbulk", "PING"),
        Row("set", "SET key:__rand_int__ VALUE", STRINGS),
        Row("get", "GET key:__rand_int__", STRINGS),
        Row("incr", "INCR counter:__rand_int__", Fill("SET", "counter:# 0", at_once=1)),
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
        Row("mset", "MSET" + " key:{tag}:__rand_int__ VALUE" * 10),
        Row("xadd", "XADD mystream * myfield VALUE"),
        Row("mget_10", "MGET" + " key:{tag}:__rand_int__" * 10, TAGGED),
        Row("exists", "EXISTS key:__rand_int__", STRINGS),
        Row("expire", "EXPIRE key:__rand_int__ 1000", STRINGS),
        Row("del", "DEL key:__rand_int__", Fill("SET", "key:# VALUE", REQUESTS, at_once=1)),
        Row("hget", "HGET myhash element:__rand_int__", HASH),
        Row("hgetall_10", "HGETALL myhash", Fill("HSET myhash", "element:# VALUE", 10)),
        Row("sismember", "SISMEMBER myset element:__rand_int__", SET),
        Row("zrange_10", "ZRANGE myzset 0 9", SORTED_SET),
        Row("zrangebyscore_10", "ZRANGEBYSCORE myzset __rand_int__ +inf LIMIT 0 10", SORTED_SET),
        Row("eval_get", """EVAL "return redis.call('GET', KEYS[1])" 1 key:__rand_int__""", STRINGS),
        Row("publish_10", "PUBLISH news VALUE", subscribers=10),
    )
}
