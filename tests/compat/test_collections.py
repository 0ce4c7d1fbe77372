"""Hashes, lists, sets and sorted sets: our worker beside redis-server, command by command.

Scripts (`scripts/*.txt`) pin what is easy to get wrong; random runs look for what nobody thought of. A run
names its seed and, where the two part, tells everything up to there. Some members are too long for a compact
encoding, and OBJECT ENCODING is compared like any other reply.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.harness.resp import Map, Set
from tests.harness.servers import Oracle, Server, ShoalNode

Pair = tuple[Server, Server]


@pytest.fixture
def pair(shoal_node: ShoalNode, redis_oracle: Oracle) -> Pair:
    """Our worker and redis-server, both empty."""
    return shoal_node, redis_oracle


UNORDERED = {"SMEMBERS", "SPOP", "SINTER", "SUNION", "SDIFF", "HKEYS", "HVALS"}
UNORDERED_PAIRS = {"HGETALL"}


def comparable(command: list[str], reply: Any) -> Any:
    """A reply without the order that Redis does not promise."""
    name = command[0].upper()
    if isinstance(reply, Set):
        return ("set", sorted(reply.items))
    if isinstance(reply, Map):
        return ("map", sorted(reply.pairs))
    if isinstance(reply, list):
        if name in UNORDERED:
            return sorted(reply)
        if name in UNORDERED_PAIRS:
            return sorted(zip(reply[::2], reply[1::2], strict=True))
    return reply


def compare(pair: Pair, commands: list[list[str]], protocol: int, note: str = "") -> None:
    """Send the same commands to both, from an empty keyspace on; the replies must be the same."""
    replies = []
    for server in pair:
        with server.resp(protocol=protocol) as connection:
            connection.command("FLUSHALL")
            replies.append([connection.command(*command) for command in commands])
    for i, command in enumerate(commands):
        ours, theirs = (comparable(command, each[i]) for each in replies)
        if ours != theirs:
            story = "\n".join(" ".join(word[:70] or "''" for word in before) for before in commands[: i + 1])
            pytest.fail(
                f"{note}RESP{protocol}\n{story}\nours:   {str(ours)[:500]}\ntheirs: {str(theirs)[:500]}"
            )


SCRIPTS = Path(__file__).parent / "scripts"


def parse(script: str) -> list[list[str]]:
    """Commands parted by bars and lines; a double-quoted word may be empty or hold spaces."""
    parts = [part.strip() for line in script.strip().split("\n") for part in line.split("|")]
    return [shlex.split(part) for part in parts if part]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "name", ["hashes", "lists", "sets", "set_forms", "sorted_set_forms", "sorted_sets", "sorted_set_algebra"]
)
def test_scripts(name: str, protocol: int, pair: Pair) -> None:
    compare(pair, parse((SCRIPTS / f"{name}.txt").read_text()), protocol)


# ------------------------------------------------------------------------------------- random runs


class Maker:
    """Draws commands on few keys and members, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def key(self) -> str:
        return self.random.choice(["k1", "k2", "k3"])

    def member(self) -> str:
        return self.random.choice(["a", "b", "c", "d", "1", "2", "3", "17", "-5", "", "x" * 64, "y" * 65])

    def item(self) -> str:
        return self.random.choice(["a", "b", "c", "1", "-5", "x" * 60, "y" * 1500, "z" * 5000])

    def items(self) -> list[str]:
        return [self.item() for _ in range(self.random.randint(1, 4))]

    def members(self) -> list[str]:
        return [self.member() for _ in range(self.random.randint(1, 5))]

    def number(self, low: int = -4, high: int = 8) -> str:
        return str(self.random.randint(low, high))

    def moment(self) -> str:
        return self.random.choice(["1", "4000000000000", "5000000000000", "6000000000000"])

    def score(self) -> str:
        return self.random.choice(["0", "1", "1.5", "-2", "3", "inf", "-inf", "0.1"])

    def bound(self) -> str:
        return self.random.choice(["", "("]) + self.score()

    def lex(self) -> str:
        return self.random.choice(["-", "+", *(end + self.member() for end in "[[((")])

    def some(self, *words: str) -> list[str]:
        return [word for word in words if self.random.random() < 0.3]

    def limit(self) -> list[str]:
        return ["limit", self.number(-1, 3), self.number(-1, 4)] if self.random.random() < 0.4 else []

    def command(self, templates: list[str]) -> list[str]:
        """Fill in a template: each word that names a method of this class is replaced by what it draws."""
        words: list[str] = []
        for word in self.random.choice(templates).split():
            name, _, choices = word.partition(":")
            if name == "some":
                words += self.some(*choices.split(","))
            elif name == "one":
                words.append(self.random.choice(choices.split(",")))
            elif name in (
                "key",
                "member",
                "members",
                "moment",
                "item",
                "items",
                "number",
                "score",
                "bound",
                "lex",
                "limit",
            ):
                drawn = getattr(self, name)()
                words += drawn if isinstance(drawn, list) else [drawn]
            else:
                words.append(word)
        return words


COMMON = ["type key", "exists key", "del key"]

TEMPLATES = {
    "hashes": [
        *(
            "hset key member member",
            "hset key member member member member",
            "hset key member number",
            "hdel key members",
        ),
        *(
            "hincrby key member number",
            "hsetnx key member member",
            "hmget key members",
            "hgetall key",
            "hlen key",
        ),
        *(
            "hincrbyfloat key member score",
            "hstrlen key member",
            "hkeys key",
            "hvals key",
            "hexists key member",
        ),
    ],
    "hash-expiry": [
        *(
            "hset key member member",
            "hset key member member member member",
            "hpexpireat key moment one:NX,XX,GT,LT FIELDS 1 member",
            "hpexpireat key moment FIELDS 2 member member",
            "hpersist key FIELDS 2 member member",
        ),
        *(
            "hpexpiretime key FIELDS 2 member member",
            "hgetex key PXAT moment FIELDS 1 member",
            "hgetex key PERSIST FIELDS 2 member member",
            "hsetex key some:FNX,FXX PXAT moment FIELDS 1 member member",
            "hsetex key KEEPTTL FIELDS 1 member member",
        ),
        *(
            "hgetdel key FIELDS 1 member",
            "hdel key member",
            "hincrby key member number",
            "hgetall key",
            "debug digest-value key",
        ),
    ],
    "lists": [
        *(
            "one:lpush,rpush,lpushx,rpushx key items",
            "one:lpop,rpop key",
            "one:lpop,rpop key number",
            "llen key",
        ),
        *(
            "lrange key number number",
            "lindex key number",
            "lset key number item",
            "lrem key number item",
        ),
        *("linsert key one:before,after item item", "ltrim key number number", "rpoplpush key key"),
        *(
            "lmove key key one:left,right one:left,right",
            "lpos key item rank number count number",
            "lpos key item",
        ),
        *("one:lpush,rpush key items", "lmpop 2 key key one:left,right count number"),
    ],
    "sets": [
        *(
            "sadd key members",
            "sadd key members",
            "srem key members",
            "smove key key member",
            "sismember key member",
        ),
        *("one:sinter,sunion,sdiff key key key", "one:sinterstore,sunionstore,sdiffstore key key key"),
        *(
            "sintercard 2 key key limit number",
            "smembers key",
            "scard key",
            "smismember key members",
            "sadd key number",
        ),
    ],
    "sorted_sets": [
        *(
            "zadd key some:nx,xx,gt,lt,ch score member score member",
            "zadd key some:nx,xx,gt,lt,ch incr score member",
        ),
        *("zadd key score member score member score member", "zincrby key score member", "zrem key members"),
        *(
            "zrange key number number some:rev,withscores",
            "zrange key bound bound byscore some:rev,withscores limit",
        ),
        *("zrangebyscore key bound bound some:withscores limit", "zrevrangebyscore key bound bound limit"),
        *(
            "zrevrange key number number",
            "zcount key bound bound",
            "one:zrank,zrevrank key member some:withscore",
        ),
        *(
            "one:zpopmin,zpopmax key number",
            "one:zpopmin,zpopmax key",
            "zscore key member",
            "zmscore key members",
        ),
        *("zremrangebyrank key number number", "zremrangebyscore key bound bound", "zcard key"),
        *(
            "zrangestore key key bound bound byscore some:rev limit",
            "zrangestore key key number number some:rev",
        ),
        *("zmpop 2 key key one:min,max count number",),
    ],
    "algebra": [
        *(
            "zadd key some:nx,xx,gt,lt,ch score member score member",
            "zincrby key score member",
            "zrem key members",
        ),
        *(
            "one:zunion,zinter,zdiff 2 key key some:withscores",
            "zunionstore key 2 key key aggregate one:sum,min,max",
        ),
        *("one:zunion,zinter 3 key key key weights score score score aggregate one:sum,min,max withscores",),
        *(
            "zinterstore key 2 key key weights score score",
            "zdiffstore key 2 key key",
            "zintercard 2 key key",
        ),
    ],
    "lexes": [
        *(
            "zadd key 0 member 0 member 0 member",
            "zadd key 0 member",
            "zrangebylex key lex lex limit",
            "zrem key member",
        ),
        *(
            "zrevrangebylex key lex lex limit",
            "zlexcount key lex lex",
            "zremrangebylex key lex lex",
            "zrank key member",
        ),
        *("zrange key lex lex bylex some:rev limit", "zrangestore key key lex lex bylex some:rev limit"),
    ],
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", TEMPLATES)
def test_random_runs(name: str, seed: int, pair: Pair) -> None:
    maker = Maker(seed)
    # a long list's way back depends on how Redis cut it into nodes, which we do not have
    common = COMMON if name == "lists" else [*COMMON, "object encoding key"]
    commands = [maker.command(TEMPLATES[name] * 3 + common) for _ in range(250)]
    compare(pair, commands, protocol=2 + seed % 2, note=f"{name}, seed {seed}, ")


@pytest.mark.parametrize("pop", ["LPOP", "RPOP"])
def test_lists_change_encoding_and_back_where_redis_does(pop: str, pair: Pair) -> None:
    steps = [["RPUSH", "l", "x" * 1000]] * 12 + [[pop, "l"]] * 11 + [["RPUSH", "l", "y" * 9000]]
    look = ["OBJECT", "ENCODING", "l"]
    compare(pair, [command for step in steps for command in (step, look)], protocol=2)


def test_many_members_change_encodings_where_redis_does(pair: Pair) -> None:
    look = ["OBJECT", "ENCODING"]
    commands = []
    for i in range(510, 515):
        commands += [["SADD", "ints", *map(str, range(i))], [*look, "ints"]]
        commands += [["HSET", "h", *(str(n // 2) for n in range(2 * i))], [*look, "h"]]
    for i in range(126, 131):
        commands += [["SADD", "words", *(f"w{n}" for n in range(i))], [*look, "words"]]
        commands += [["ZADD", "z", *(str(n // 2) for n in range(2 * i))], [*look, "z"]]
        commands += [
            ["DEL", "mixed"],
            ["SADD", "mixed", *map(str, range(i))],
            ["SADD", "mixed", "w"],
            [*look, "mixed"],
        ]
    compare(pair, commands, protocol=2)


# ------------------------------------------------------------- what cannot be compared reply by reply


@pytest.fixture
def filled(shoal_node: ShoalNode) -> ShoalNode:
    """A set, a hash and a sorted set of 1000, too many to be compact."""
    names = [f"member-{i}" for i in range(1000)]
    with shoal_node.client() as client:
        client.sadd("s", *names)
        client.hset("h", mapping=dict.fromkeys(names, "v"))
        client.zadd("z", dict.fromkeys(names, 1.0))
    return shoal_node


@pytest.mark.parametrize(("command", "key"), [("SSCAN", "s"), ("HSCAN", "h"), ("ZSCAN", "z")])
def test_scans_find_what_stays_while_the_rest_goes(command: str, key: str, filled: ShoalNode) -> None:
    remove = {"s": "SREM", "h": "HDEL", "z": "ZREM"}[key]
    seen: set[bytes] = set()
    cursor, turns = b"0", 0
    with filled.resp() as connection:
        while turns == 0 or cursor != b"0":
            cursor, items = connection.command(command, key, cursor, "COUNT", 50)
            seen.update(items if key == "s" else items[::2])
            connection.command(
                remove, key, *(f"member-{i}" for i in range(10 * turns, 10 * turns + 10) if i % 2)
            )
            turns += 1
    assert seen >= {b"member-%d" % i for i in range(1000) if i % 2 == 0}
    assert turns >= 10


def test_scan_filters(filled: ShoalNode) -> None:
    with filled.client() as client:
        assert set(client.sscan_iter("s", match="*99")) == {b"member-%d99" % i for i in range(1, 10)} | {
            b"member-99"
        }
        assert dict(client.hscan_iter("h", match="*-7")) == {b"member-7": b"v"}
        assert list(client.zscan_iter("z", match="*-7")) == [(b"member-7", 1.0)]
        assert len(set(client.hscan_iter("h", no_values=True))) == 1000


@pytest.mark.parametrize(
    ("command", "key"), [("SRANDMEMBER", "s"), ("HRANDFIELD", "h"), ("ZRANDMEMBER", "z")]
)
def test_draws(command: str, key: str, filled: ShoalNode) -> None:
    names = {b"member-%d" % i for i in range(1000)}
    with filled.resp() as connection:
        distinct = connection.command(command, key, 600)
        assert len(distinct) == len(set(distinct)) == 600 and names >= set(distinct)
        assert set(connection.command(command, key, 5000)) == names
        repeated = connection.command(command, key, -5000)
        assert len(repeated) == 5000 and names >= set(repeated) and len(set(repeated)) > 900
        assert connection.command(command, key) in names


def test_spop_takes_different_members(filled: ShoalNode) -> None:
    with filled.client() as client:
        taken = client.spop("s", 400)
        assert len(set(taken)) == 400
        rest = client.smembers("s")
        assert len(rest) == 600 and not rest & set(taken)
        assert client.spop("s") in rest
