"""Streams: our worker beside redis-server, command by command.

Scripts pin what is easy to get wrong; random runs look for what nobody thought of, and compare what XINFO
tells at their end. How long ago something was, which both servers tell, is left out.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from random import Random, randrange
from typing import Any

import pytest

from tests.compat.test_propagation import stream_of
from tests.harness.resp import Map, Resp, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

Pair = tuple[Server, Server]
Command = list[str]

SCRIPTS = Path(__file__).parent / "scripts"
A_MOMENT = 1_000_000_000_000
"""What is larger can only be Unix milliseconds."""
TIMES = {b"idle", b"inactive", b"seen-time", b"active-time"}


@pytest.fixture
def pair(shoal_node: ShoalNode, redis_oracle: Oracle) -> Pair:
    return shoal_node, redis_oracle


def parse(script: str) -> list[Command]:
    """Commands parted by bars and lines; a double-quoted word may be empty or hold spaces."""
    parts = [part.strip() for line in script.strip().split("\n") for part in line.split("|")]
    return [shlex.split(part) for part in parts if part]


def comparable(command: Command, reply: Any) -> Any:
    """A reply without the moments in it."""
    name = command[0].lower()
    if name == "xpending" and len(command) > 3 and isinstance(reply, list):
        return [[entry_id, owner, "ago", count] for entry_id, owner, _, count in reply]
    if name == "xinfo" and isinstance(reply, list | Map):
        return without_times(reply)
    return reply


def without_times(reply: Any) -> Any:
    if isinstance(reply, Map):
        return ["map", *without_times([part for pair in reply.pairs for part in pair])]
    if not isinstance(reply, list):
        return "time" if isinstance(reply, int) and reply > A_MOMENT else reply
    parts = [without_times(part) for part in reply]
    for at in range(len(parts) - 1):
        if isinstance(parts[at], bytes) and parts[at] in TIMES and parts[at + 1] != -1:
            parts[at + 1] = "time"
    return parts


def compare(pair: Pair, commands: list[Command], protocol: int, note: str = "") -> None:
    replies = []
    for server in pair:
        with server.resp(protocol=protocol) as connection:
            connection.command("FLUSHALL")
            replies.append([connection.command(*command) for command in commands])
    for i, command in enumerate(commands):
        ours, theirs = (comparable(command, each[i]) for each in replies)
        if ours != theirs:
            story = "\n".join(
                " ".join(word[:70] or "''" for word in each) for each in commands[: i + 1][-40:]
            )
            pytest.fail(
                f"{note}RESP{protocol}\n{story}\nours:   {str(ours)[:900]}\ntheirs: {str(theirs)[:900]}"
            )


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", ["streams", "stream_groups", "stream_references"])
def test_scripts(name: str, protocol: int, pair: Pair) -> None:
    compare(pair, parse((SCRIPTS / f"{name}.txt").read_text()), protocol)


# ------------------------------------------------------------------------------------- random runs


class Maker:
    """Draws commands on few keys, groups and consumers. Ids lie close together, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = 0

    def fill(self, template: str) -> Command:
        words: list[str] = []
        for word in template.split():
            words += getattr(self, word[1:])() if word.startswith(":") else [word]
        return words

    def key(self) -> list[str]:
        return [self.random.choice(["s", "t"])]

    def next(self) -> list[str]:
        self.clock += self.random.choice([0, 1, 1, 1, 300])
        return [f"{self.clock}-{self.random.choice(['*', '1', '2', '*', '70000'])}"]

    def id(self) -> list[str]:
        return [f"{self.random.randint(0, self.clock + 1)}-{self.random.choice([0, 1, 2])}"]

    def ids(self) -> list[str]:
        return [self.id()[0] for _ in range(self.random.randint(1, 4))]

    def bound(self) -> list[str]:
        return [self.random.choice(["-", "+", self.id()[0], "(" + self.id()[0], str(self.clock)])]

    def group(self) -> list[str]:
        return [self.random.choice(["g", "h"])]

    def consumer(self) -> list[str]:
        return [self.random.choice(["alice", "bob", "carol"])]

    def few(self) -> list[str]:
        return [str(self.random.randint(0, 6))]

    def some(self) -> list[str]:
        return [str(self.random.randint(1, 5))]

    def many(self) -> list[str]:
        return [str(self.random.randint(0, 300))]

    def pairs(self) -> list[str]:
        fields = self.random.choice([["a"], ["a"], ["a", "b"], ["c", "a", "b"]])
        values = ["1", "-70000", "", "12345678901", "word", "x" * 70, "y" * 1500]
        return [word for name in fields for word in (name, self.random.choice(values))]

    def references(self) -> list[str]:
        return [self.random.choice(["keepref", "delref", "acked"])]

    def counted_ids(self) -> list[str]:
        ids = self.ids()
        return ["ids", str(len(ids)), *ids]

    def new_or_not(self) -> list[str]:
        return [self.random.choice([">", ">", "0", self.id()[0]])]


TEMPLATES = [
    *["xadd :key :next :pairs"] * 12,
    "xadd :key maxlen :many :next :pairs",
    "xadd :key maxlen ~ :many :next :pairs",
    "xadd :key maxlen ~ :few limit :many :next :pairs",
    "xadd :key nomkstream minid ~ :id :next :pairs",
    *("xtrim :key maxlen :many", "xtrim :key minid :id", "xtrim :key minid ~ :id limit :many"),
    *("xdel :key :ids", "xdel :key :ids", "xlen :key", "xsetid :key :id", "xinfo stream :key"),
    *(
        "xrange :key :bound :bound",
        "xrevrange :key :bound :bound count :few",
        "xread count :few streams :key :id",
    ),
    *(
        "xgroup create :key :group :id",
        "xgroup create :key :group $ mkstream",
        "xgroup setid :key :group :id",
    ),
    *("xgroup createconsumer :key :group :consumer", "xgroup delconsumer :key :group :consumer"),
    *["xreadgroup group :group :consumer count :some streams :key :new_or_not"] * 5,
    "xreadgroup group :group :consumer noack count :some streams :key >",
    *("xack :key :group :ids", "xpending :key :group", "xpending :key :group :bound :bound :few :consumer"),
    *("xclaim :key :group :consumer 0 :ids", "xclaim :key :group :consumer 0 :ids force justid"),
    *(
        "xautoclaim :key :group :consumer 0 :bound count :some",
        "xautoclaim :key :group :consumer 0 :id justid",
    ),
    *(
        "xinfo groups :key",
        "xinfo consumers :key :group",
        "xinfo stream :key full",
        "xgroup destroy :key :group",
    ),
]


WITH_REFERENCES = [
    *(template for template in TEMPLATES if "destroy" not in template),
    *("xadd :key :references maxlen :many :next :pairs", "xtrim :key maxlen :few :references"),
    *("xtrim :key maxlen ~ :few :references", "xtrim :key minid :id :references"),
    *("xdelex :key :references :counted_ids", "xackdel :key :group :references :counted_ids"),
]
"""No group is destroyed: redis-server 8.2.3 may go on to spare what the group had still to read."""


@pytest.mark.parametrize("seed", range(6))
def test_random_runs_with_references(seed: int, pair: Pair) -> None:
    random_run(Maker(seed), WITH_REFERENCES, pair, seed)


@pytest.mark.parametrize("seed", range(8))
def test_random_runs(seed: int, pair: Pair) -> None:
    random_run(Maker(seed), TEMPLATES, pair, seed)


def random_run(maker: Maker, templates: list[str], pair: Pair, seed: int) -> None:
    commands = [maker.fill("xgroup create s g 0 mkstream"), maker.fill("xgroup create t h 0 mkstream")]
    commands += [maker.fill(maker.random.choice(templates)) for _ in range(700)]
    commands += [["xinfo", "stream", key, "full", "count", "0"] for key in "st"]
    compare(pair, commands, protocol=2 + seed % 2, note=f"seed {seed}, ")


@pytest.mark.parametrize("fields", [1, 40])
def test_nodes_are_cut_where_redis_cuts_them(fields: int, pair: Pair) -> None:
    words = [word for n in range(fields) for word in (f"field{n}", "value")]
    commands = [["xadd", "s", f"{n * 1000}-1", *words] for n in range(1, 350)]
    commands += [["xinfo", "stream", "s"], ["xtrim", "s", "maxlen", "~", "120"], ["xinfo", "stream", "s"]]
    compare(pair, commands, protocol=2)


# ------------------------------------------------------------------------------------- what replicas hear

TOLD = """
xadd s 1-1 a b | xadd s 1-* a b | xadd s 2 a b | xadd s maxlen ~ 1 3 a b | xadd s maxlen 3 4 a b
xadd s minid ~ 2 5 a b | xtrim s maxlen ~ 1 | xtrim s maxlen 3 | xtrim s maxlen 3 | xdel s 5-0 9 | xdel s 9
xadd none nomkstream 1 a b | xsetid s 9 | xsetid s 9 entriesadded 9
xgroup create s g 0 | xgroup create m g $ mkstream | xgroup createconsumer s g c | xgroup createconsumer s g c
xreadgroup group g alice count 1 streams s > | xreadgroup group g bob streams s >
xreadgroup group g bob streams s > | xreadgroup group g bob streams s 0 | xreadgroup group g carol streams s 0
xadd s 10 a b | xadd s 11 a b | xadd s 12 a b | xreadgroup group g dave noack count 2 streams s >
xreadgroup group g dave noack streams s > | xreadgroup group g erin noack streams s >
xclaim s g zoe 0 3-0 | xclaim s g zoe 0 3-0 justid | xclaim s g zoe 0 99 | xclaim s g zoe 0 99 lastid 50
xclaim s g zoe 0 12-0 force time 5 retrycount 3 | xautoclaim s g yan 0 0 | xautoclaim s g yan 100000 0
xack s g 3-0 77 | xack s g 77 | xdel s 4-0 | xclaim s g xav 0 4-0 | xautoclaim s g yan 0 0
xautoclaim m g new 0 0 | xclaim m g newer 0 1
xadd r 1 a 1 | xadd r 2 a 1 | xadd r 3 a 1 | xadd r 4 a 1 | xgroup create r g 0 | xgroup create r h 0
xreadgroup group g c count 3 streams r > | xreadgroup group h c count 2 streams r >
xdelex r acked ids 1 1 | xackdel r g acked ids 1 1 | xackdel r g acked ids 1 1 | xackdel r h acked ids 2 1 9
xdelex r delref ids 2 2 9 | xtrim r maxlen 0 acked | xtrim r maxlen 0 delref | xadd r maxlen 1 acked 5 a b
xadd r maxlen ~ 1 acked 6 a b | xadd r delref maxlen ~ 1 7 a b | xadd r minid ~ 3 acked 8-* a b
xtrim r maxlen = 0 keepref
xgroup setid s g 5 | xgroup delconsumer s g zoe | xgroup delconsumer s g zoe | xgroup destroy s g
xgroup destroy s g
"""


def test_replicas_hear_the_same(pair: Pair) -> None:
    script = [[word.encode() for word in command] for command in parse(TOLD)]
    ours, theirs = (stream_of(server, script) for server in pair)
    assert ours == theirs


def test_replicas_hear_of_references_that_nobody_else_would_tell_them(shoal_node: ShoalNode) -> None:
    """The entry is gone already, so that Redis sees no change, and its replicas keep what is pending."""
    script = parse("xadd q 1 a 1|xgroup create q g 0|xreadgroup group g c streams q >|xdel q 1")
    last = ["xdelex", "q", "delref", "ids", "1", "1"]
    told = stream_of(shoal_node, [[word.encode() for word in command] for command in [*script, last]])
    assert told[-1] == [b"XDELEX", *(word.encode() for word in last[1:])]


# ------------------------------------------------------------------------------------- what files hold


def test_payloads_are_the_same_bytes(pair: Pair) -> None:
    """But for the version of their format, and for the moments in them: here there are none."""
    commands = parse(
        """
        config set rdbcompression no | xadd s 1-1 a 1 b 2 | xadd s 1-2 a -70000 b "" | xadd s 2-0 c x
        xdel s 1-2
        xgroup create s b 0 entriesread 1 | xgroup create s a $ | xadd t 5 a b | xtrim t maxlen 0
        """
    )
    dumps = []
    for server in pair:
        with server.resp() as connection:
            for command in commands:
                connection.command(*command)
            dumps.append([connection.command("DUMP", key)[:-10] for key in "st"])
            connection.command("CONFIG", "SET", "rdbcompression", "yes")
    assert dumps[0] == dumps[1]


def random_stream(chance: Random) -> list[list[bytes]]:
    """Commands that leave gaps in nodes and trim them, about and exactly."""
    script, moment = [], 1 << chance.choice([1, 12, 40, 63])
    names = [b"name", b"7", b"", b"f" * 70]
    for _ in range(300):
        match chance.randrange(12):
            case 0 | 1:
                gone = [b"%d-%d" % (moment - chance.randrange(40), chance.randrange(3)) for _ in range(3)]
                script.append([b"XDEL", b"s", *gone])
            case 2:
                about, length = chance.choice([b"~", b"="]), b"%d" % chance.randrange(60)
                script.append([b"XTRIM", b"s", b"MAXLEN", about, length])
            case 3:
                about, lowest = chance.choice([b"~", b"="]), b"%d-1" % (moment - chance.randrange(60))
                script.append([b"XTRIM", b"s", b"MINID", about, lowest])
            case _:
                moment += chance.choice([0, 0, 1, 1, 1, 300, 70000])
                fields = chance.choice([names, names[:2], names[:2]])
                values = [
                    chance.choice([b"-5", b"x" * chance.randrange(300), b"%d" % moment]) for _ in fields
                ]
                pairs = [part for pair in zip(fields, values, strict=True) for part in pair]
                script.append([b"XADD", b"s", b"%d-*" % moment, *pairs])
    return script


@pytest.mark.parametrize(("most_entries", "most_bytes"), [(b"100", b"4096"), (b"3", b"4096"), (b"0", b"700")])
def test_nodes_of_random_streams_are_the_same_bytes(
    pair: Pair, most_entries: bytes, most_bytes: bytes
) -> None:
    """Uncompressed: what LZF makes of them depends on what lies in its table from before."""
    seed = randrange(1 << 32)
    script = random_stream(Random(seed))
    found = []
    for server in pair:
        with server.resp() as connection:
            connection.command("FLUSHALL")
            connection.command("CONFIG", "SET", "rdbcompression", "no")
            connection.command("CONFIG", "SET", "stream-node-max-entries", most_entries)
            connection.command("CONFIG", "SET", "stream-node-max-bytes", most_bytes)
            both = [encode(*command) + encode(b"DUMP", b"s") for command in script]
            connection.send(b"".join(both))
            replies = [(connection.read(), connection.read()) for _ in script]
            found.append(
                [(reply, dump[:-10] if isinstance(dump, bytes) else dump) for reply, dump in replies]
            )
            connection.command("CONFIG", "SET", "rdbcompression", "yes")
            connection.command("CONFIG", "SET", "stream-node-max-entries", "100")
            connection.command("CONFIG", "SET", "stream-node-max-bytes", "4096")
    for command, ours, theirs in zip(script, *found, strict=True):
        assert ours == theirs, f"seed {seed}: {command}"


# ------------------------------------------------------------------------------------- blocking


def _has_blocked(connection: Resp) -> bool:
    return b"blocked_clients:1" in connection.command("INFO", "clients")


BLOCKED = [
    (
        ["xread", "block", "0", "count", "1", "streams", "s", "t", "$", "$"],
        ["xadd t 9-1 a b", "xadd t 9-2 c d"],
    ),
    (["xread", "block", "0", "streams", "s", "5"], ["xadd s 4-1 a b", "xadd s 5-1 c d"]),
    (["xreadgroup", "group", "g", "c", "block", "0", "streams", "s", ">"], ["xadd s 4-1 a b"]),
]


@pytest.mark.parametrize(("reading", "writing"), BLOCKED)
def test_readers_wait_for_entries(reading: Command, writing: list[str], pair: Pair) -> None:
    replies = []
    for server in pair:
        with server.resp() as reader, server.resp() as writer:
            writer.command("FLUSHALL")
            for command in ("xadd s 3-1 old entry", "xgroup create s g $"):
                writer.command(*command.split())
            reader.send_command(*reading)
            eventually(partial(_has_blocked, writer), f"{server!r} blocks the reader")
            for command in writing:
                writer.command(*command.split())
            replies.append((reader.read(), writer.command("XPENDING", "s", "g")))
    assert replies[0] == replies[1]
