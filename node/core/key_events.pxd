"""The keyspace events of compiled handlers (node/keyspace/events.py). See key_events.pyx."""

cdef object APPEND
cdef object DEL
cdef object EXPIRE
cdef object HDEL
cdef object HINCRBY
cdef object HSET
cdef object INCRBY
cdef object LPOP
cdef object LPUSH
cdef object RPOP
cdef object RPUSH
cdef object SADD
cdef object SET
cdef object SPOP
cdef object SREM
cdef object XADD
cdef object XTRIM
cdef object ZADD
cdef object ZINCR
cdef object ZPOPMIN
cdef object ZREM
