"""Doubles in replies have the oracles' digits: any bits, round numbers, and the edges of whole numbers."""

from __future__ import annotations

import math
import random
import struct

import pytest

from tests.compat.differential import compare
from tests.harness.servers import Oracle, ShoalNode

NUMBERS = 20_000
BATCH = 1000
EDGES = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    5e-324,
    2.0**52 - 1,
    2.0**53 + 2,
    2.0**62,
    2.0**62 + 1024,
    -(2.0**63),
]


def random_number(chance: random.Random) -> float:
    match chance.randrange(6):
        case 0:
            return chance.uniform(-1e6, 1e6)
        case 1:
            return float(chance.randrange(-(1 << 64), 1 << 64))
        case 2:
            return chance.randrange(1, 1000) * 10.0 ** chance.randrange(-320, 300)
        case 3:
            return 2.0 ** chance.randrange(-1074, 1024)
        case 4:
            return round(chance.uniform(-1000, 1000), chance.randrange(12))
    number = math.nan
    while math.isnan(number):
        (number,) = struct.unpack("<d", chance.randbytes(8))
    return float(number)


@pytest.mark.parametrize("protocol", [2, 3])
def test_scores(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle, protocol: int) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    numbers = EDGES + [random_number(chance) for _ in range(NUMBERS)]
    script = []
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        members = [b"%d" % number for number in range(len(batch))]
        pairs = [word for n, m in zip(batch, members, strict=True) for word in (repr(n).encode(), m)]
        script += [[b"ZADD", b"z", *pairs], [b"ZMSCORE", b"z", *members]]
    for oracle in (redis_oracle, valkey_oracle):
        compare(shoal_node, oracle, script, protocol, note=f"seed {seed}, ")


def test_numbers_of_scripts(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    texts = [
        "-0",
        "1/0",
        "-1/0",
        "0/0",
        "1e15",
        "1e17",
        "2^62",
        "2^62+1024",
        "2^63",
        "1e100/3",
        "0.1",
        "1e-7",
    ]
    script = [[b"EVAL", f"return redis.call('ECHO', {text})".encode(), b"0"] for text in texts]
    script += [[b"EVAL", f"return redis.sha1hex({text})".encode(), b"0"] for text in texts if text != "-0"]
    for oracle in (redis_oracle, valkey_oracle):
        compare(shoal_node, oracle, script)
