"""What only Valkey has, beside valkey-server: SET … IFEQ, DELIFEQ, MSETEX, ZSCAN … NOSCORES, HSETEX … NX,
BITCOUNT without an end, BGSAVE CANCEL."""

from __future__ import annotations

import pytest

from tests.compat.differential import compare, parse_script
from tests.compat.test_notifications import assert_same_events
from tests.compat.test_propagation import stream_of
from tests.harness.servers import Oracle, ShoalNode

REPLIES = """
hsetex h xx fields 1 a b
exists h
hsetex h nx fields 1 a b
hsetex h nx fields 1 a c
hsetex h NX nx fields 1 a c
hsetex h xx fields 1 a d
hsetex h xx fxx fields 1 a e
hsetex h xx fnx fields 1 a f
hsetex h xx fnx ex 100 fields 1 q f
hmget h a q
httl h fields 2 a q
hsetex h nx xx fields 1 a b
hsetex h2 xx px 100 fields 1 a b
hsetex h fields 1 nx xx
set s 1
hsetex s nx fields 1 a b
hsetex s xx fields 1 a b
set bits "\x01\xff\x0f"
bitcount bits 0
bitcount bits 1
bitcount bits 1 BYTE
bitcount bits -1
bitcount bits -9
bitcount bits 3
bitcount none 1
bitcount bits x
bitcount bits 1 bit
bitcount bits 1 2 bit
bitcount bits 1 2 bit 3
bgsave cancel
bgsave cancel cancel
bgsave cancel schedule
bgsave nonsense
zadd z 1 a 2 b
zscan z 0 noscores
zscan z 0 count 5 noscores match a
zscan none 0 noscores
zscan z 0 novalues
zadd z 3 a-member-that-is-too-long-for-a-listpack-of-the-usual-settings-here
zscan z 0 noscores match a
zscan z 0 match a
delifeq k v
set k v
delifeq k w
delifeq k v
exists k
lpush l a
delifeq l v
delifeq
set k 10
delifeq k 010
delifeq k 10
set k v
set k w ifeq v
set k w ifeq v
set k x ifeq v get
set k x ifeq w get
set k y ifeq x ex 100
ttl k
set k z ifeq y keepttl
set k z ifeq
set k z ifeq y nx
set k z xx ifeq y
set k z ifeq y ifeq y
set k z ifeq y ifeq z
set none z ifeq y
set none z ifeq y get
set l z ifeq y
set l z ifeq y get
set l z get ifeq y
set k q ifeq z get nx
set k q nx xx
set k q ifne z
set k q ifdeq z
msetex 1 a 1
mget a
msetex 2 a 1 b 2
msetex 2 a 1 b 2 ex 100
ttl a
msetex 2 a 1 b 2 keepttl
ttl a
msetex 2 a 1 b 2 nx
msetex 2 a 3 b 3 xx
msetex 2 a 3 c 3 xx
msetex 2 d 3 c 3 nx px 1000
msetex 2 d 3 c 3 nx xx
msetex 2 d 3 c 3 xx nx
msetex 2 d 3 c 3 ex 10 px 10
msetex 2 d 3 c 3 ex 10 ex 10
msetex 2 d 3 c 3 ex 10 keepttl
msetex 2 d 3 c 3 keepttl keepttl
msetex 2 d 3 c 3 nx nx
msetex 2 d 3 c 3 ex
msetex 2 d 3 c 3 ex 0
msetex 2 d 3 c 3 ex -1
msetex 2 d 3 c 3 ex x
msetex 2 d 3 c 3 ex 99999999999999999
msetex 2 d 3 c 3 exat 1
exists d c
msetex 2 d 3 c 3 pxat 9999999999999
msetex 0 a 1
msetex -1 a 1
msetex x a 1
msetex 3 a 1
msetex 2 a 1 b
msetex 2 a 1 b ex
msetex 9223372036854775807 a 1 b ex
msetex 2147483648 a 1
msetex 4611686018427387905 a 1
msetex 1 a
msetex 1 a 1 foo
msetex 1 a 1 get
msetex 1 a 1 ifeq x
msetex 2 a 1 a 2
get a
msetex 2 n 1 n 2 nx
get n
lpush ll 1
msetex 1 ll 1
type ll
command getkeys msetex 2 a 1 b 2 ex 10
command getkeys msetex 3 a 1 b 2 ex 10
command getkeys msetex 0 a 1 b 2 ex 10
"""

EVENTS = """
set k v
delifeq k w
delifeq k v
set k v
set k w ifeq v
set k w ifeq v
set k x ifeq w get
set k x ifeq x ex 100
set k y ifeq x get ex 100
set k y ifeq y keepttl
set k y ifeq y keepttl get
set k y ifeq y pxat 99999999999999
set k y ifeq y get pxat 99999999999999
msetex 1 a 1
msetex 2 a 1 b 2 ex 100
msetex 2 a 1 b 2 keepttl
msetex 2 a 1 b 2 nx
msetex 2 a 1 b 2 xx
msetex 2 q 1 r 2 nx px 100000
msetex 2 q 1 r 2 pxat 99999999999999
msetex 1 q 1 exat 99999999999 xx
msetex 1 q 1 keepttl xx
set q v
delifeq nokey v
"""

TOLD = """
set k v
delifeq k w
delifeq k v
set k v
set k w ifeq v
set k w ifeq v
set k x ifeq w get
set k y ifeq x pxat 99999999999999
set k z ifeq y keepttl get
msetex 1 a 1
msetex 2 c 1 d 2 nx
msetex 2 c 1 d 3 nx
msetex 2 a 1 b 2 xx
msetex 2 a 1 b 2 pxat 99999999999999
msetex 1 a 2 keepttl xx
"""

AS_EVERYBODY_KNOWS_IT = """
SET k v
DEL k
SET k v
SET k w
SET k x
SET k y PXAT 99999999999999
SET k z KEEPTTL
MSET a 1
MSET c 1 d 2
MULTI
SET a 1 PXAT 99999999999999
SET b 2 PXAT 99999999999999
EXEC
SET a 2 KEEPTTL
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies(shoal_node: ShoalNode, valkey_oracle: Oracle, protocol: int) -> None:
    compare(shoal_node, valkey_oracle, parse_script(REPLIES, valkey_oracle), protocol)


def test_events(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    assert_same_events(shoal_node, valkey_oracle, EVENTS, "KEA")


def test_replicas_are_told_what_redis_understands(shoal_node: ShoalNode) -> None:
    """Valkey sends these commands as they are, which a replica that is a redis-server could not follow."""
    told = stream_of(shoal_node, parse_script(TOLD, shoal_node))
    assert told == parse_script(AS_EVERYBODY_KNOWS_IT, shoal_node)
