"""Random strings of commands to our worker and to redis-server: every reply must be the same, byte for byte.

Hypothesis draws the commands, mostly valid ones on few keys, so that they meet; it shrinks what fails to the
shortest story and prints how to repeat it (`@reproduce_failure`, or `--hypothesis-seed`).
Left out is what no two servers answer alike: remaining times, random keys, access clocks.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compat.differential import compare
from tests.harness.servers import Oracle, ShoalNode

KEYS = [b"a", b"b", b"c", b"\x00\xff", b"list", b"w_1"]

SLOTS: dict[str, st.SearchStrategy[bytes]] = {
    "key": st.sampled_from(KEYS),
    "value": st.one_of(
        st.sampled_from([b"", b"v", b"1", b"-5", b"3.5", b"1e3", b"x" * 50, b"9223372036854775807", b" 1"]),
        st.binary(max_size=12),
    ),
    "int": st.one_of(
        st.integers(-12, 40).map(lambda n: b"%d" % n),
        st.sampled_from([b"9223372036854775807", b"-9223372036854775808", b"01", b"x", b"", b"1.5"]),
    ),
    "float": st.one_of(
        st.floats(allow_nan=False).map(lambda n: repr(n).encode()),
        st.decimals(-1000, 1000, places=3).map(lambda n: str(n).encode()),
        st.sampled_from([b"inf", b"0x1p4", b"nan", b"1e5000", b".5", b"5."]),
    ),
    "moment": st.sampled_from([b"99999999999999", b"88888888888888", b"1", b"0", b"-1", b"x"]),
    "bit": st.sampled_from([b"0", b"1", b"0", b"1", b"2"]),
    "bits": st.integers(0, 300).map(lambda n: b"%d" % n),
    "place": st.tuples(st.sampled_from([b"", b"#"]), st.integers(0, 40)).map(lambda p: b"%b%d" % p),
    "type": st.tuples(st.sampled_from([b"u", b"i"]), st.integers(1, 64)).map(lambda p: b"%b%d" % p),
    "degrees": st.one_of(st.integers(-90, 90), st.floats(-60, 60)).map(lambda n: str(n).encode()),
    "unit": st.sampled_from([b"m", b"km", b"FT", b"mi", b"yd"]),
    "glob": st.text("abc*?[]^-\\lst_1", min_size=1, max_size=6).map(str.encode),
}

TEMPLATES = [
    *(
        "set key value",
        "set key value get",
        "set key value nx",
        "set key value xx get",
        "set key value keepttl",
    ),
    *(
        "set key value pxat moment",
        "set key value get pxat moment nx",
        "setnx key value",
        "get key",
        "getdel key",
    ),
    *(
        "getset key value",
        "getex key",
        "getex key persist",
        "getex key pxat moment",
        "mset key value key value",
    ),
    *("msetnx key value key value", "mget key key list", "append key value", "strlen key"),
    *("getrange key int int", "setrange key bits value", "incr key", "decr key", "incrby key int"),
    *(
        "decrby key int",
        "incrbyfloat key float",
        "lcs key key",
        "lcs key key idx withmatchlen minmatchlen int",
    ),
    *("lcs key key len", "setbit key bits bit", "getbit key bits", "bitcount key", "bitcount key int int"),
    *("bitcount key int int BIT", "bitpos key bit", "bitpos key bit int", "bitpos key bit int int"),
    *(
        "bitpos key bit int int BIT",
        "bitop and key key key",
        "bitop or key key key key",
        "bitop xor key key key",
    ),
    *(
        "bitop not key key",
        "bitop diff key key key",
        "bitop diff1 key key key key",
        "bitop andor key key key",
    ),
    *("bitop one key key key key", "bitfield key get type place set type place int get type place"),
    *("bitfield key overflow sat incrby type place int", "bitfield key overflow fail incrby type place int"),
    *(
        "bitfield key incrby type place int overflow fail set type place int",
        "bitfield_ro key get type place",
    ),
    *("del key key", "unlink key", "exists key key list", "type key", "touch key", "keys glob", "keys *"),
    *("scan 0 match glob count 1000", "scan 0 count 1000 type list", "rename key key", "renamenx key key"),
    *(
        "copy key key",
        "copy key key replace",
        "expire key int",
        "pexpireat key moment",
        "pexpireat key moment nx",
    ),
    *(
        "pexpireat key moment xx gt",
        "pexpireat key moment lt",
        "persist key",
        "pexpiretime key",
        "expiretime key",
    ),
    *("object encoding key", "object refcount key", "rpush list int", "rpush key value", "sort list"),
    *(
        "sort list alpha desc",
        "sort list by w_* get # get w_*",
        "sort key limit int int store key",
        "lrange list 0 -1",
    ),
    *("pfadd key value value", "pfadd key", "pfcount key", "pfcount key key key", "pfmerge key key key"),
    *("pfdebug decode key", "pfdebug todense key", "geoadd key degrees degrees value"),
    *("geoadd key nx ch degrees degrees value degrees degrees value", "geodist key value value unit"),
    *("geohash key value value", "geosearch key frommember value byradius float unit withhash"),
    *("geosearch key fromlonlat degrees degrees bybox float float unit asc count int withdist",),
    *("geosearchstore key key fromlonlat degrees degrees byradius float unit",),
    *("georadius key degrees degrees float unit desc withdist", "georadiusbymember key value float unit asc"),
]


def command(template: str) -> st.SearchStrategy[list[bytes]]:
    """The words of the template, those that name a slot drawn; now and then one too few or too many."""
    name, *words = template.split()
    drawn = st.tuples(*(SLOTS.get(word, st.just(word.encode())) for word in words))
    slips = st.sampled_from([0] * 20 + [-1, 1])

    def spoil(words: tuple[bytes, ...], slip: int) -> list[bytes]:
        kept = words[:slip] if slip < 0 else words
        return [name.encode(), *kept, *([b"extra"] if slip > 0 else [])]

    return st.builds(spoil, drawn, slips)


stories = st.lists(st.sampled_from(TEMPLATES).flatmap(command), min_size=1, max_size=40)


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_reply_is_that_of_redis(protocol: int, shoal_server: ShoalNode, redis_server: Oracle) -> None:
    @settings(max_examples=150, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
    @given(stories)
    def hold(story: list[list[bytes]]) -> None:
        compare(shoal_server, redis_server, story, protocol)

    hold()
