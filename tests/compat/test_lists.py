"""Lists split into nodes as in the oracles: the same bytes from DUMP after any history, the same encoding.

Without compression: what LZF makes of the same bytes depends on what lies in its table from before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.compat.differential import Command, show
from tests.harness.resp import Simple, encode
from tests.harness.servers import Oracle, Server, ShoalNode

OK = Simple("OK")
COMMANDS = 400
FOOTER = 10
"""Bytes at the end of a DUMP that tell version and checksum."""


def random_item(chance: random.Random) -> bytes:
    match chance.randrange(12):
        case 0 | 1:
            return b"%d" % chance.randrange(-(1 << chance.randrange(1, 63)), 1 << chance.randrange(1, 63))
        case 2 | 3:
            return b"%d" % chance.randrange(20)
        case 4:
            return b"x" * chance.choice([4000, 4080, 4096, 4097, 5000, 8192, 8193, 9000, 16384])
        case 5:
            return chance.randbytes(chance.randrange(2000))
    return chance.randbytes(chance.randrange(60))


def random_command(chance: random.Random, used: list[bytes]) -> Command:
    key, other = chance.choice([b"a", b"b"]), chance.choice([b"a", b"b"])
    item = random_item(chance)
    known = chance.choice(used) if used and chance.randrange(5) else random_item(chance)
    used.append(item)
    match chance.randrange(18):
        case 0 | 1 | 2 | 3 | 4:
            items = [item, *(random_item(chance) for _ in range(chance.choice([0, 0, 1, 5, 40])))]
            used += items
            return [chance.choice([b"LPUSH", b"RPUSH"]), key, *items]
        case 5 | 6 | 7 | 8:
            return [b"LINSERT", key, chance.choice([b"BEFORE", b"AFTER"]), known, item]
        case 9 | 10 | 11:
            return [b"LSET", key, b"%d" % chance.randrange(-40, 40), item]
        case 12:
            return [b"LREM", key, b"%d" % chance.randrange(-2, 3), known]
        case 13:
            return [chance.choice([b"LPOP", b"RPOP"]), key, *chance.choice([[], [b"1"], [b"7"]])]
        case 14:
            ends = [chance.choice([b"LEFT", b"RIGHT"]) for _ in range(2)]
            return [b"LMOVE", key, other, *ends]
        case 15:
            return [b"LTRIM", key, b"%d" % chance.randrange(3), b"-%d" % chance.randrange(1, 4)]
        case 16:
            return [b"COPY", key, b"c", b"REPLACE"]
    return [
        b"LPOS",
        key,
        known,
        b"RANK",
        b"%d" % chance.choice([-2, -1, 1, 2]),
        b"COUNT",
        b"0",
        b"MAXLEN",
        b"50",
    ]


def answers(server: Server, setup: list[Command], script: list[Command]) -> list[list[object]]:
    """For each command: its reply, and encoding and DUMP of each key after it."""
    with server.resp() as connection:
        for command in setup:
            assert connection.command(*command) == OK, command
        found = []
        for command in script:
            sent = [command]
            for key in (b"a", b"b", b"c"):
                sent += [[b"DUMP", key], [b"OBJECT", b"ENCODING", key]]
            connection.send(b"".join(encode(*words) for words in sent))
            raw = [connection.read() for _ in sent]
            raw[1::2] = [dump[:-FOOTER] if isinstance(dump, bytes) else dump for dump in raw[1::2]]
            found.append(raw)
        return found


@pytest.fixture(autouse=True)
def usual_settings(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> Iterator[None]:
    for server in (shoal_node, redis_oracle, valkey_oracle):
        with server.resp() as connection:
            connection.command("CONFIG", "SET", "rdbcompression", "no")
    yield
    for server in (shoal_node, redis_oracle, valkey_oracle):
        with server.resp() as connection:
            connection.command("CONFIG", "SET", "rdbcompression", "yes")
            connection.command("CONFIG", "SET", "list-max-listpack-size", "-2")
            connection.command("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "0")


@pytest.mark.parametrize("threshold", [b"0", b"200"])
@pytest.mark.parametrize("fill", [b"-2", b"-1", b"3", b"16", b"128", b"0"])
def test_the_same_nodes(
    shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle, fill: bytes, threshold: bytes
) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    setup: list[Command] = [
        [b"FLUSHALL"],
        [b"CONFIG", b"SET", b"list-max-listpack-size", fill],
        [b"DEBUG", b"QUICKLIST-PACKED-THRESHOLD", threshold],
    ]
    used: list[bytes] = []
    script = [random_command(chance, used) for _ in range(COMMANDS)]
    ours = answers(shoal_node, setup, script)
    for oracle in (redis_oracle, valkey_oracle):
        theirs = answers(oracle, setup, script)
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if mine != other:
                story = "\n".join(show(command) for command in script[max(0, index - 5) : index + 1])
                what = next(i for i in range(len(mine)) if mine[i] != other[i])
                pytest.fail(
                    f"seed {seed}, command {index}, {oracle.kind}, part {what}:\n{story}\n"
                    f"ours:   {mine[what]!r:.600}\ntheirs: {other[what]!r:.600}"
                )


def test_lists_go_either_way(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    """DUMP, RESTORE at the other, DUMP there: the nodes stay."""
    items = (
        [b"item %d" % number for number in range(3000)] + [b"x" * 20_000] + [b"%d" % n for n in range(3000)]
    )
    for oracle in (redis_oracle, valkey_oracle):
        with shoal_node.resp() as ours, oracle.resp() as theirs:
            for source, target in ((ours, theirs), (theirs, ours)):
                source.command("FLUSHALL")
                target.command("FLUSHALL")
                source.command("RPUSH", "l", *items)
                dump = source.command("DUMP", "l")
                assert target.command("RESTORE", "l", "0", dump) == OK
                assert target.command("DUMP", "l")[:-FOOTER] == dump[:-FOOTER]
                assert target.command("LRANGE", "l", "0", "-1") == items


def test_the_threshold_is_a_size(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    for size in ("5gb", "4gb", "x", "-1", "1kb", "0", "4293918720", "4293918721"):
        found = []
        for server in (shoal_node, redis_oracle, valkey_oracle):
            with server.resp() as connection:
                found.append(connection.command("DEBUG", "QUICKLIST-PACKED-THRESHOLD", size))
        assert found[0] == found[1] == found[2], size
