"""Commands on keys of any type, beside redis-server and valkey-server."""

import pytest

from tests.compat.differential import compare, parse_script
from tests.harness.resp import Simple
from tests.harness.servers import Oracle, ShoalNode
from tests.harness.wait import eventually

KEYS = """
mset a 1 b 2 c 3
rpush l x
del a nokey a
unlink b nokey
exists c c nokey l
exists
touch c l nokey
type c
type l
type nokey
sadd s a
type s
hset h f v
type h
zadd z 1 a
type z
randomkey x
mset hello 1 hallo 1 hxllo 1 hllo 1 "h\\nllo" 1 "" 1 "[a]" 1
keys *
keys **
keys h?llo
keys h*llo
keys h[ae]llo
keys h[^e]llo
keys h[a-b]llo
keys h[b-a]llo
keys "\\\\[a\\\\]"
keys ""
keys {a}*
keys nomatch
keys
scan 0 count 1000
scan 0 match h* count 1000
scan 0 match h* count 1000 type string
scan 0 count 1000 TYPE list
scan 0 count 1000 TYPE LIST
scan 0 count 0
scan 0 count -1
scan 0 count x
scan 0 count
scan 0 foo
scan 0 match
scan x
scan -1
scan ""
scan 18446744073709551616
scan
"""

RENAME = """
set a 1 EX 100
rename a b
ttl b
exists a
rename nokey b
rename nokey nokey
rename b b
renamenx b b
set c 1
renamenx b c
renamenx b d
ttl d
rename d c
ttl c
rpush l 1 2 3
rename l c
lrange c 0 -1
rename c
set a 1 EX 100
copy a b
ttl b
copy a b
copy a b REPLACE
copy c b REPLACE
lrange b 0 -1
rpush b 4
lrange c 0 -1
copy nokey b
copy nokey b replace
copy a a
copy nokey nokey
copy a a db 1
copy a e DB 1 REPLACE
copy a e DB 1
copy a b foo
copy a b DB
copy a b DB x
copy a b DB 99
copy a b DB -1
copy a b DB 9223372036854775807
move a 1
exists a
ttl a
select 1
get e
ttl e
get a
ttl a
move a 0
move a 0
select 0
get a
ttl a
move a 0
move a x
move a 99
move nokey 1
set e 5
move e 1
sadd s a b
copy s s2
sadd s2 c
scard s
hset h f v
copy h h2
hset h2 g w
hlen h
zadd z 1 a
copy z z2
zadd z2 5 a
zscore z a
object encoding s2
"""

EXPIRY = """
set a 1
ttl a
pttl a
expiretime a
pexpiretime a
ttl nokey
pttl nokey
expiretime nokey
pexpiretime nokey
expire a 100
ttl a
expire a 200 NX
expire a 200 XX
ttl a
expire a 100 GT
expire a 300 gt
ttl a
expire a 400 LT
expire a 100 LT
ttl a
expire a 50 XX GT
expire a 50 XX LT
ttl a
expire a 500 GT XX
persist a
persist a
persist nokey
expire a 100 GT
expire a 100 XX
expire a 100 LT
persist a
expire a 100 NX
expire a 100 NX XX
expire a 100 NX GT
expire a 100 NX LT
expire a 100 GT LT
expire a 100 XX GT LT
expire a 100 foo
expire a 100 NX foo
expire a x
expire a x foo
expire a 1.5
expire a 9223372036854775807
expire a -9223372036854775808
expire a 9223372036854775
pexpire a 9223372036854775807
pexpire a -9223372036854775808
expireat a 9223372036854775807
expireat a 9223372036854775
pexpireat a 9223372036854775807
pexpiretime a
expire nokey 100
expire nokey x
expireat a 99999999999
expiretime a
pexpireat a 99999999999999
pexpiretime a
expiretime a
pexpire a 100000
ttl a
expire a -1
exists a
set a 1
expire a 0
exists a
set a 1
pexpireat a 1
exists a
set a 1
expireat a 1 XX
exists a
expireat a 1 NX
exists a
set a 1 EX 100
expireat a 1 GT
exists a
expireat a 1 LT
exists a
rpush l x
expire l 100
ttl l
rpush l y
ttl l
expire
expire a
ttl
persist
"""

OBJECT = """
set i 123
object encoding i
object refcount i
set i 12345
object refcount i
set e short
object encoding e
object refcount e
set r aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
@redis object encoding r
append e x
object encoding e
set i 9223372036854775808
object encoding i
set i -9223372036854775808
object encoding i
set i 007
object encoding i
setrange i 0 1
object encoding i
incr n
object encoding n
incrbyfloat n 1.5
object encoding n
setbit bit 1 1
object encoding bit
object encoding nokey
object refcount nokey
object idletime nokey
object freq nokey
object freq i
object idletime i
object help
object
object foo
object foo bar
object encoding
object encoding a b
"""

SORT = """
rpush l 3 1 2 10 -5 1.5
sort l
sort l desc
sort l alpha
sort l alpha desc
sort l limit 1 2
sort l limit -5 2
sort l limit 2 -1
sort l limit 100 2
sort l limit 0 0
sort l limit 1
sort l limit x 1
sort l limit 1 x
sort l by nosort
sort l by nosort desc
sort l by nosort limit 1 2
mset w_1 5 w_2 4 w_3 3 w_10 2 w_-5 1 w_1.5 0 o_1 one o_2 two o_3 three
sort l by w_*
sort l by w_* desc get #
sort l by w_* get o_* get # get foo
sort l by missing_*
sort l by missing_* alpha limit 0 0
sort l by o_* alpha limit 0 0
hset obj_1 name first weight 3
hset obj_2 name second weight 1
hset obj_3 name third weight 2
rpush h 1 2 3
sort h by obj_*->weight get obj_*->name
sort h by obj_*->weight get obj_*->
sort h get obj_*->missing get l*
sort h by o_*->weight
sort h get *
sort h store dest
lrange dest 0 -1
sort h get o_* get # get missing_* store dest
lrange dest 0 -1
type dest
sort nokey store dest
exists dest
sort nokey
sort h limit 5 5 store dest
sadd s 5 3 1
sort s
sort s by nosort store dest
lrange dest 0 -1
sort s desc get # limit 0 2
zadd z 1 c 2 b 3 a
sort z
sort z alpha
sort z by nosort
sort z by nosort desc
sort z by nosort desc limit 1 5
sort z by nosort limit 0 1 get #
rpush words "" 1 2
@redis sort words
rpush words x
sort words
rpush nan nan
sort nan
rpush inf inf -inf 0
sort inf
rpush inf 0x10
sort inf
set str x
sort str
sort str foo
sort l foo
sort l by
sort l get
sort l store
sort_ro l
sort_ro l desc limit 0 2
sort_ro l store dest
sort
rpush same 1 1.0 01 1e0
sort same
sort same desc
"""

IN_A_CLUSTER = """
rpush {k}l 2 1
sort {k}l by w_*
sort {k}l by {k}w_*
sort {k}l by nosort
sort {k}l by ?{k}*
sort {k}l get #
sort {k}l get foo
sort {k}l get {k}w_*->f
sort {k}l get w_*
sort {k}l by w_* foo
sort {k}l store {k}d
sort {k}l store d
keys {k}*
move {k}l 0
move {k}l 1
move {k}l x
copy {k}l {k}m db 1
copy {k}l {k}m db 0
copy {k}l m
mset {k}a 1 {k}b 2
mset a 1 b 2
rename {k}a a
"""

SCRIPTS = {"keys": KEYS, "rename": RENAME, "expiry": EXPIRY, "object": OBJECT, "sort": SORT}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_redis(name: str, protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script(SCRIPTS[name], redis_oracle), protocol)


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_valkey(name: str, shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script(SCRIPTS[name], valkey_oracle), 2)


def test_in_a_cluster_like_redis() -> None:
    with ShoalNode(cluster_enabled="yes") as node, Oracle("redis", cluster_enabled="yes") as oracle:
        for server in (node, oracle):
            server.run("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            eventually(
                lambda server=server: server.run("SET", "ready", "") == Simple("OK"), f"{server!r} serves"
            )
        compare(node, oracle, parse_script(IN_A_CLUSTER, oracle))


def test_scanning_step_by_step_finds_every_key_once(shoal_node: ShoalNode) -> None:
    names = {b"key:%d" % n for n in range(500)}
    with shoal_node.resp() as connection:
        for name in names:
            connection.command("SET", name, "v")
        cursor, found = b"0", []
        while True:
            cursor, keys = connection.command("SCAN", cursor, "COUNT", 7)
            found += keys
            if cursor == b"0":
                break
        assert sorted(found) == sorted(names)


def test_an_invented_cursor_is_harmless(shoal_node: ShoalNode) -> None:
    for cursor in (1 << 40, (1 << 46) - 1, 1 << 46, 1 << 62, 1 << 63, (1 << 64) - 1):
        assert shoal_node.run("SCAN", cursor) == [b"0", []]
