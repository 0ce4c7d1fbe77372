"""String commands beside redis-server and valkey-server."""

import pytest

from tests.compat.differential import compare, parse_script
from tests.harness.servers import Oracle, ShoalNode

SET = """
set k v
get k
set k v NX
set k w XX
set k x GET
set missing v XX
set missing v XX GET
set missing v NX GET
set missing w NX GET
get missing
set k v EX 100
ttl k
set k v KEEPTTL
ttl k
set k v
ttl k
set k v PX 100000
ttl k
set k v PXAT 99999999999999
pexpiretime k
expiretime k
set k v EXAT 99999999999
pexpiretime k
set k v GET EX 100 XX
ttl k
set k v ex 10 ex 20
ttl k
set k v keepttl keepttl get get nx nx
set k v EX 0
set k v EX -1
set k v EX 9223372036854775807
set k v EX 9223372036854776
set k v EX 9223372036854775
set k v PX 9223372036854775807
set k v PXAT 9223372036854775807
set k v EX abc
set k v EX 01
set k v EX
set k v EX 1 PX 1
set k v EX 1 KEEPTTL
set k v KEEPTTL EX 1
set k v NX XX
set k v XX NX
set k v PERSIST
set k v foo
set k v GET foo
set k
set
set "\\x00\\xff" "\\r\\n\\x00"
get "\\x00\\xff"
set "" ""
get ""
rpush list a
set list v GET
set list v NX GET
set list v NX
get list
type list
set list v
type list
set gone v PXAT 1
exists gone
get gone
setnx gone v
ttl gone
"""

KIN = """
setnx a 1
setnx a 2
get a
setex a 100 v
ttl a
setex a 0 v
setex a x v
setex a 9223372036854775807 v
psetex a 100000 v
ttl a
psetex a -5 v
psetex a 9223372036854775807 v
getset a w
ttl a
getset new w
get new
rpush l x
getset l v
setex l 100 v
type l
mset a 1 b 2 a 3
mget a b c l
mset a
mset a 1 b
msetnx a 1 d 2
exists d
msetnx d 2 e 3
mget d e
msetnx d
msetnx d 1 e
rpush m x
mget m
mset m v
get m
getdel m
getdel m
rpush m x
getdel m
getdel
getex a
getex a EX 100
ttl a
getex a PERSIST
ttl a
getex a PERSIST
getex a PXAT 99999999999999
pexpiretime a
getex a EXAT 1
exists a
getex a EX 10
@redis getex nokey EX abc
@redis getex nokey EX 0
set a v
getex a EX 0
getex a EX abc
getex a EX
getex a EX 1 PERSIST
getex a PERSIST EX 1
getex a EX 10 EX 20
ttl a
getex a KEEPTTL
getex a NX
getex m EX 10
getex m
"""

PARTS = """
append s hello
append s " world"
strlen s
append e ""
exists e
strlen e
append l x
rpush l2 x
append l2 x
strlen l2
strlen nokey
getrange s 0 -1
getrange s 0 4
getrange s -5 -1
getrange s -5 100
getrange s 5 2
getrange s -1 -5
getrange s -100 3
getrange s -100 -100
getrange s 100 200
getrange s 0 9223372036854775807
getrange s 9223372036854775807 9223372036854775807
getrange s -9223372036854775808 -1
getrange s x 1
getrange s 0
getrange nokey 0 -1
getrange l2 0 -1
substr s 1 3
setrange s 6 redis
get s
setrange s 20 !
get s
setrange s 0 ""
setrange new 0 ""
exists new
setrange new 5 x
get new
setrange s -1 x
setrange s 536870912 x
setrange s 536870911 ""
setrange s 9223372036854775807 x
setrange s x x
setrange l2 0 x
setrange l2 0 ""
setrange l2 536870912 x
object encoding s
object encoding new
"""

COUNTERS = """
incr n
incr n
decr n
incrby n 10
decrby n 3
incrby n -100
get n
object encoding n
set n 9223372036854775807
incr n
incrby n 1
decrby n -1
decr n
set n -9223372036854775808
decr n
decrby n -9223372036854775808
incrby n -9223372036854775808
incrby n 9223372036854775807
set n " 1"
incr n
set n 01
incr n
set n ""
incr n
set n 1.5
incr n
incrby n x
incrby n 1.0
incrby n 9223372036854775808
rpush l a
incr l
incrby l x
decrby l 1
set t 5 EX 100
incr t
ttl t
incrbyfloat t 1.5
ttl t
incrbyfloat f 10.5
incrbyfloat f 0.1
incrbyfloat f -5
incrbyfloat f 5.0e3
incrbyfloat f 1e400
incrbyfloat f inf
incrbyfloat f -inf
incrbyfloat f nan
incrbyfloat f x
incrbyfloat f ""
incrbyfloat f " 1"
set f 3.0e3
incrbyfloat f 200
set f " 1"
incrbyfloat f 1
incrbyfloat l 1
incrbyfloat l x
set f 0x1p4
incrbyfloat f 1
set f 1e4000
strlen f
incrbyfloat f 1e4932
"""

LCS = """
mset a ohmytext b mynewtext
lcs a b
lcs a b LEN
lcs a b IDX
lcs a b IDX MINMATCHLEN 4
lcs a b IDX WITHMATCHLEN
lcs a b IDX MINMATCHLEN 4 WITHMATCHLEN
lcs a b WITHMATCHLEN
lcs a b MINMATCHLEN -5 IDX
lcs a b LEN IDX
lcs a b MINMATCHLEN
lcs a b MINMATCHLEN x
lcs a b foo
lcs a nokey
lcs a nokey IDX
lcs nokey nokey2 LEN
lcs a a
lcs a a IDX WITHMATCHLEN
rpush l x
lcs a l
lcs l l foo
lcs a
setrange big 20000 x
lcs big big LEN
"""

SCRIPTS = {"set": SET, "kin": KIN, "parts": PARTS, "counters": COUNTERS, "lcs": LCS}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_redis(name: str, protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script(SCRIPTS[name], redis_oracle), protocol)


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_valkey(name: str, shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script(SCRIPTS[name], valkey_oracle), 3)
