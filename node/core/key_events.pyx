"""Keyspace events where compiled code reaches them by an address. To ask a Python module for them at every write would
cost more than the write of a short string."""

from node.keyspace import events

APPEND = events.APPEND
DEL = events.DEL
EXPIRE = events.EXPIRE
HDEL = events.HDEL
HINCRBY = events.HINCRBY
HSET = events.HSET
INCRBY = events.INCRBY
LPOP = events.LPOP
LPUSH = events.LPUSH
RPOP = events.RPOP
RPUSH = events.RPUSH
SADD = events.SADD
SET = events.SET
SPOP = events.SPOP
SREM = events.SREM
XADD = events.XADD
XTRIM = events.XTRIM
ZADD = events.ZADD
ZINCR = events.ZINCR
ZPOPMIN = events.ZPOPMIN
ZREM = events.ZREM
