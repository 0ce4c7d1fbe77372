"""HyperLogLog commands beside redis-server and valkey-server: replies, and the strings themselves."""

from __future__ import annotations

import random

import pytest

from tests.compat.differential import Command, compare, parse_script
from tests.harness.resp import Simple
from tests.harness.servers import Oracle, Server, ShoalNode

HEADER = '"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
"""All of a sparse string's header but its last byte: with \\x80 the estimate is stale, with \\x00 it is 0."""

BASICS = """
pfadd h a
get h
pfcount h
get h
pfadd h a
pfadd h a b c a
pfadd h ""
get h
pfcount h
strlen h
type h
object encoding h
pfdebug decode h
pfdebug encoding h
pfadd empty
pfadd empty
get empty
pfcount empty
get empty
pfcount nokey
exists nokey
pfcount nokey h empty
pfadd i c d e f
pfcount h i
get h
pfmerge m h i
get m
pfcount m
pfmerge m
get m
pfmerge n
get n
pfmerge h i nokey
get h
pfmerge h h
pfcount h
pfadd t x
expireat t 99999999999
pfadd t y
pfmerge t i
pfcount t
expiretime t
pfdebug todense i
pfdebug todense i
pfdebug encoding i
pfdebug decode i
get i
pfcount i
pfmerge fresh h i
get fresh
pfmerge h i
pfdebug encoding h
get h
pfdebug GETREG t
pfdebug encoding t
get t
pfdebug foo t
pfdebug encoding nokey
pfdebug encoding
pfadd
pfcount
pfmerge
append fresh x
pfcount fresh
rpush l x
pfadd l a
pfcount l
pfcount h l
pfmerge l
pfmerge new h l
exists new
pfdebug encoding l
set s 12345678901234567
pfadd s a
pfcount s
set s ""
pfcount s
pfmerge s h
pfdebug encoding s
"""

DAMAGED = f"""
set s {HEADER}\\x80"
pfadd s x
pfcount s
pfcount s t
pfmerge s t
pfmerge t s
pfdebug decode s
pfdebug todense s
pfdebug getreg s
pfdebug encoding s
get s
set s {HEADER}\\x00"
pfcount s
pfcount s s
pfadd s x
set s {HEADER}\\x80\\x7f\\xfe"
pfcount s
pfmerge t s
set s {HEADER}\\x80\\x7f\\xff\\x7f\\xff"
pfcount s
pfdebug decode s
pfdebug todense s
set s {HEADER}\\x80\\x3f\\x83"
pfdebug decode s
pfadd s x
set s {HEADER}\\x80\\x7f\\xf0"
pfadd s a b c d e f
get s
pfadd s a b c
pfadd t a b c
pfadd t x 1 2 3
setrange t 22 10
pfadd t x 1 2 3 4 5 6
get t
set s "HYLL\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
pfadd s x
set s "HYLL\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
pfadd s x
set s "HYLM\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
pfcount s
"""

SCRIPTS = {"basics": BASICS, "damaged": DAMAGED}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_like_redis(name: str, protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script(SCRIPTS[name], redis_oracle), protocol)


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_valkey(name: str, shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script(SCRIPTS[name], valkey_oracle))


def random_script(chance: random.Random, longest: int) -> list[Command]:
    """Elements of all sizes into a few keys, merged now and then, until all have become dense."""
    script: list[Command] = [[b"CONFIG", b"SET", b"hll-sparse-max-bytes", b"%d" % longest]]
    keys = [b"a", b"b", b"c", b"d"]
    for _ in range(150):
        key = chance.choice(keys)
        elements = [chance.randbytes(chance.randrange(24)) for _ in range(chance.choice([1, 3, 30]))]
        script.append([b"PFADD", key, *elements])
        if chance.random() < 0.1:
            script.append([b"PFMERGE", *chance.sample(keys, chance.randrange(1, 4))])
        if chance.random() < 0.2:
            script.append([b"PFCOUNT", *chance.sample(keys, chance.randrange(1, 4))])
        script += [[b"GET", key], [b"PFDEBUG", b"ENCODING", key]]
    script += [[b"PFCOUNT", key] for key in keys]
    return [*script, [b"CONFIG", b"SET", b"hll-sparse-max-bytes", b"3000"]]


@pytest.mark.parametrize("longest", [0, 20, 100, 1000, 3000, 15000])
def test_strings_are_the_same_byte_for_byte(
    longest: int, shoal_node: ShoalNode, redis_oracle: Oracle
) -> None:
    seed = random.randrange(1 << 32)
    compare(shoal_node, redis_oracle, random_script(random.Random(seed), longest), note=f"seed {seed}, ")


def test_large_counts(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    script: list[Command] = []
    for _ in range(20):
        script += [
            [b"PFADD", b"h", *(chance.randbytes(12) for _ in range(500))],
            [b"PFCOUNT", b"h"],
            [b"GET", b"h"],
        ]
    compare(shoal_node, valkey_oracle, script, note=f"seed {seed}, ")


def test_strings_may_be_exchanged(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    """What one server made, the other counts and continues."""
    elements = [b"e%d" % number for number in range(2500)]
    for count in (5, 500, 2500):
        for source, target in ((shoal_node, redis_oracle), (redis_oracle, shoal_node)):
            assert _moved(source, target, elements[:count]) == [0, 1]


def _moved(source: Server, target: Server, elements: list[bytes]) -> list[int]:
    with source.resp() as ours, target.resp() as theirs:
        ours.command("DEL", "h")
        ours.command("PFADD", "h", *elements)
        payload, estimate = ours.command("DUMP", "h"), ours.command("PFCOUNT", "h")
        theirs.command("RESTORE", "h", 0, payload, "REPLACE")
        assert theirs.command("PFCOUNT", "h") == estimate
        added = theirs.command("PFADD", "h", elements[0])
        return [added, theirs.command("PFADD", "h", b"another", *(b"new%d" % n for n in range(50)))]


def test_self_test(shoal_node: ShoalNode) -> None:
    assert shoal_node.run("PFSELFTEST") == Simple("OK")
