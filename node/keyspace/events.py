"""Keyspace events: what a client that listens to the keyspace is told, one constant per event.

A handler names the event of every key it changed (`ctx.changed(key, events.SET)`). The event's class
is the letter of `notify-keyspace-events` that switches it on; its name is what is published as the
message on `__keyspace@<db>__:<key>` and as the channel's end on `__keyevent@<db>__:<event>`.

Names and classes are those of Redis' documentation "Redis keyspace notifications". The letters:

    g  generic commands      $  strings      l  lists      s  sets      h  hashes      z  sorted sets
    t  streams      x  expired      e  evicted      m  a read missed      n  a key was created
    o  a value was overwritten      c  a value changed its type      d  modules

`A` in the setting stands for all classes but `m`, `n`, `o` and `c`; `K` and `E` choose the two channels.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Event(NamedTuple):
    flag: str
    """The class: one letter of `notify-keyspace-events`."""
    name: bytes


# Keys of any type
DEL: Final = Event("g", b"del")
RENAME_FROM: Final = Event("g", b"rename_from")
RENAME_TO: Final = Event("g", b"rename_to")
MOVE_FROM: Final = Event("g", b"move_from")
MOVE_TO: Final = Event("g", b"move_to")
COPY_TO: Final = Event("g", b"copy_to")
RESTORE: Final = Event("g", b"restore")
EXPIRE: Final = Event("g", b"expire")
PERSIST: Final = Event("g", b"persist")

SILENT: Final = Event("-", b"")
"""Of a class that no setting names: who watches or caches the key must know, but no event is published."""

# What happens to keys without a client's asking
EXPIRED: Final = Event("x", b"expired")
EVICTED: Final = Event("e", b"evicted")
KEY_MISS: Final = Event("m", b"keymiss")
NEW: Final = Event("n", b"new")
OVERWRITTEN: Final = Event("o", b"overwritten")
TYPE_CHANGED: Final = Event("c", b"type_changed")

# Strings, and what is stored in strings: bitmaps and HyperLogLogs
SET: Final = Event("$", b"set")
SETRANGE: Final = Event("$", b"setrange")
SETBIT: Final = Event("$", b"setbit")
INCRBY: Final = Event("$", b"incrby")
"""Of INCR, INCRBY, DECR and DECRBY alike."""
INCRBYFLOAT: Final = Event("$", b"incrbyfloat")
APPEND: Final = Event("$", b"append")
PFADD: Final = Event("$", b"pfadd")

# Lists
LPUSH: Final = Event("l", b"lpush")
RPUSH: Final = Event("l", b"rpush")
LPOP: Final = Event("l", b"lpop")
RPOP: Final = Event("l", b"rpop")
LINSERT: Final = Event("l", b"linsert")
LSET: Final = Event("l", b"lset")
LREM: Final = Event("l", b"lrem")
LTRIM: Final = Event("l", b"ltrim")
SORTSTORE: Final = Event("l", b"sortstore")

# Hashes
HSET: Final = Event("h", b"hset")
HINCRBY: Final = Event("h", b"hincrby")
HINCRBYFLOAT: Final = Event("h", b"hincrbyfloat")
HDEL: Final = Event("h", b"hdel")
HEXPIRE: Final = Event("h", b"hexpire")
HEXPIRED: Final = Event("h", b"hexpired")
HPERSIST: Final = Event("h", b"hpersist")

# Sets
SADD: Final = Event("s", b"sadd")
SREM: Final = Event("s", b"srem")
SPOP: Final = Event("s", b"spop")
SINTERSTORE: Final = Event("s", b"sinterstore")
SUNIONSTORE: Final = Event("s", b"sunionstore")
SDIFFSTORE: Final = Event("s", b"sdiffstore")

# Sorted sets and geo
ZADD: Final = Event("z", b"zadd")
ZINCR: Final = Event("z", b"zincr")
ZREM: Final = Event("z", b"zrem")
ZREMBYSCORE: Final = Event("z", b"zremrangebyscore")
ZREMBYRANK: Final = Event("z", b"zremrangebyrank")
ZREMBYLEX: Final = Event("z", b"zremrangebylex")
ZPOPMIN: Final = Event("z", b"zpopmin")
ZPOPMAX: Final = Event("z", b"zpopmax")
ZDIFFSTORE: Final = Event("z", b"zdiffstore")
ZINTERSTORE: Final = Event("z", b"zinterstore")
ZUNIONSTORE: Final = Event("z", b"zunionstore")
ZRANGESTORE: Final = Event("z", b"zrangestore")
GEORADIUSSTORE: Final = Event("z", b"georadiusstore")
GEOSEARCHSTORE: Final = Event("z", b"geosearchstore")

# Streams
XADD: Final = Event("t", b"xadd")
XDEL: Final = Event("t", b"xdel")
XTRIM: Final = Event("t", b"xtrim")
XSETID: Final = Event("t", b"xsetid")
XGROUP_CREATE: Final = Event("t", b"xgroup-create")
XGROUP_SETID: Final = Event("t", b"xgroup-setid")
XGROUP_DESTROY: Final = Event("t", b"xgroup-destroy")
XGROUP_CREATECONSUMER: Final = Event("t", b"xgroup-createconsumer")
XGROUP_DELCONSUMER: Final = Event("t", b"xgroup-delconsumer")
