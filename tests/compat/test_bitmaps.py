"""Bitmap commands beside redis-server and valkey-server."""

import random

import pytest

from tests.compat.differential import compare, parse_script
from tests.harness.servers import Oracle, ShoalNode

BITS = """
setbit b 7 1
setbit b 7 1
setbit b 7 0
getbit b 7
setbit b 100 0
strlen b
setbit b 4294967295 2
setbit b 4294967296 1
setbit b -1 1
setbit b 1 2
setbit b x 1
setbit b 1 x
getbit b 4294967296
getbit b 1000
getbit nokey 0
getbit b x
rpush l x
setbit l 0 1
setbit l 0 2
getbit l 0
set b foobar
bitcount b
bitcount b 0 0
bitcount b 1 1
bitcount b 1 1 BYTE
bitcount b 5 30 BIT
bitcount b 5 -30 bit
bitcount b -1 -5
bitcount b -100 100
bitcount b 3 1
bitcount b 100 200
bitcount b 0 -9223372036854775808
bitcount b 0 1 foo
bitcount b x 1
bitcount b 0 x BIT
bitcount b 0 1 BIT BIT
bitcount nokey
bitcount nokey x 1
bitcount l
bitcount l x 1
set p "\\xff\\xf0\\x00"
bitpos p 0
bitpos p 1
bitpos p 1 1
bitpos p 1 2
bitpos p 0 0 0
bitpos p 0 0 1
bitpos p 0 0 7 BIT
bitpos p 0 0 -1 BIT
bitpos p 1 13 -1 BIT
bitpos p 1 9 11 BIT
bitpos p 0 2 1
bitpos p 0 -1
bitpos p 0 -9223372036854775808 -1
bitpos p 2
bitpos p x
bitpos p 1 x
bitpos p 1 0 x
bitpos p 1 0 1 foo
bitpos p 1 0 1 BIT BIT
set ones "\\xff\\xff"
bitpos ones 0
bitpos ones 0 0
bitpos ones 0 1
bitpos ones 0 2
bitpos ones 0 0 -1
bitpos ones 0 0 -1 BIT
bitpos nokey 0
bitpos nokey 1
bitpos nokey 0 x
bitpos nokey 0 0 -1 foo
set empty ""
bitpos empty 0
bitpos l 0
bitpos l 2
bitpos l 0 x
"""

BITOP = """
set a "\\xff\\x0f\\x01"
set b "\\x0f\\x0f"
bitop and d a b
get d
bitop or d a b nokey
get d
bitop xor d a b
get d
bitop not d a
get d
bitop not d a b
bitop and d a nokey
get d
bitop and d nokey
exists d
bitop foo d a
rpush l x
bitop and d a l
bitop or l a
type l
bitop and a a b
get a
bitop or d a
bitop and d
"""

BITOP_OF_REDIS = """
set a "\\xff\\x0f\\x01"
set b "\\x0f\\x0f"
set c "\\xf0\\x3c\\xaa\\x55"
bitop diff d a b
get d
bitop diff d a b c
get d
bitop diff1 d a b c
get d
bitop andor d a b c
get d
bitop one d a b c
get d
bitop one d a
get d
bitop diff d a
bitop diff1 d a
bitop andor d a
bitop DIFF d nokey a
get d
"""

FIELDS = """
set whole 12
bitfield whole get u8 0
object encoding whole
bitfield whole overflow fail incrby u2 0 100
object encoding whole
bitfield f
exists f
bitfield f get u8 0
exists f
bitfield f set u8 0 255 get u8 0 incrby u8 0 1
bitfield f overflow sat incrby u8 0 -5 set u8 8 300 overflow fail incrby u8 8 1
bitfield f set i8 #2 -100 get i8 #2 incrby i8 #2 -100
bitfield f overflow sat incrby i8 #2 -100 incrby i8 #2 300
bitfield f set u5 3 31 get u5 3 get u13 1
bitfield f set i64 0 -9223372036854775808 incrby i64 0 -1
bitfield f overflow sat incrby i64 0 -1 overflow fail incrby i64 0 9223372036854775807
bitfield f set u63 1 9223372036854775807 get u63 1 incrby u63 1 1
bitfield f set u63 1 -1 get u63 1
bitfield f overflow sat set u4 0 -1 get u4 0
bitfield f overflow fail set u4 0 -1
bitfield f overflow fail set u4 0 16 set u4 0 15
bitfield f set i1 0 1 get i1 0
bitfield f get i64 100 get u1 100000
bitfield f get u64 0
bitfield f get i65 0
bitfield f get u0 0
bitfield f get u-1 0
bitfield f get x8 0
bitfield f get u 0
bitfield f get "" 0
bitfield f get u8 -1
bitfield f get u8 #-1
bitfield f get u8 x
bitfield f get u8 #
bitfield f get u8 ""
bitfield f get u8 4294967295
bitfield f get u8 4294967296
bitfield f get i64 #67108864
bitfield f get u8
bitfield f set u8 0
bitfield f set u8 0 x
bitfield f incrby u8 0
bitfield f overflow
bitfield f overflow foo
bitfield f foo
bitfield f get u8 0 foo
bitfield_ro f get u8 0 get i16 3
bitfield_ro f set u8 0 1
bitfield_ro f overflow sat get u8 0
bitfield_ro nokey get u8 0
bitfield_ro f
rpush l x
bitfield l get u8 0
bitfield l set u8 0 1
bitfield l set u8 0 x
bitfield_ro l get u8 0
bitfield g overflow fail incrby u2 30 10
strlen g
get f
"""

SCRIPTS = {"bits": BITS, "bitop": BITOP, "fields": FIELDS}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_redis(name: str, protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script(SCRIPTS[name], redis_oracle), protocol)


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_valkey(name: str, shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script(SCRIPTS[name], valkey_oracle), 2)


def test_operations_of_redis_8(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script(BITOP_OF_REDIS, redis_oracle))


def test_bitmaps_of_several_blocks(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    """Longer than what is counted or combined at once, and not a multiple of it."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    length = 600_001
    script = [
        [b"set", b"a", chance.randbytes(length)],
        [b"set", b"b", chance.randbytes(length // 2)],
        [b"bitcount", b"a"],
        [b"bitcount", b"a", b"3", b"4000000", b"BIT"],
        *([b"bitop", name, b"d", b"a", b"b"] for name in (b"and", b"or", b"xor", b"diff", b"one")),
        [b"bitop", b"not", b"d", b"a"],
        [b"get", b"d"],
        [b"del", b"d"],
        [b"setbit", b"d", b"%d" % (length * 8), b"1"],
        [b"bitpos", b"d", b"1"],
        [b"bitpos", b"d", b"0"],
    ]
    compare(shoal_node, redis_oracle, script, note=f"seed {seed}, ")
