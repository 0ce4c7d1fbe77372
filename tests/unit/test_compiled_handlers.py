"""Compiled handlers beside the Python handlers of the same commands, which are complete.

Two workers in this process hear the same bytes. One is as it is; at the other the gate is closed that keeps
every command from being compiled. After each request everything that anybody could notice must agree: reply,
trail, events, statistics, what is stored and until when. Real servers judge the Python handlers, and what
comes of both, elsewhere (tests/compat). `SHOAL_FULL=1`: for longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from node.config import Config
from node.core.command_rows import GATE_TIMED
from node.core.connection import Connection
from node.core.statistics import command_stats
from node.datatypes import Hash, List, Set, SortedSet, Stream
from node.datatypes.limits import limits
from node.handlers import registry
from node.log import Log
from node.session.session import Session
from node.worker import Worker
from tests.harness.resp import encode

REQUESTS = 10_000 if os.environ.get("SHOAL_FULL", "") not in ("", "0") else 180

NEAR_MS = 3_600_000_000
"""Moments this near to the present are compared as such: the two read the clock one after the other."""


class Wire:
    """As much of a transport as a connection asks of it; keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def get_extra_info(self, name: str) -> Any:
        return None

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise AssertionError("nobody asked for that")


class Rig:
    """A worker without a socket, and one client of it."""

    def __init__(self, compiled: bool, *settings: str) -> None:
        self.worker = Worker(
            Config.from_args(["--protected-mode", "no", "--save", "", *settings]), Log("nothing")
        )
        self.engine = self.worker.engine
        if not compiled:
            self.engine.gate |= GATE_TIMED
        self.wire = Wire()
        self.worker.access.load_at_start()
        self.connection = Connection(self.engine, asyncio.get_running_loop(), self.greet, lambda link: None)
        self.connection.connection_made(self.wire)
        self.db = self.worker.databases[0]
        self.trail: list[bytes] = []
        self.events: list[tuple[bytes, Any]] = []

    def greet(self, connection: Connection) -> Session:
        session = Session(self.engine, self.worker, 1, connection)
        self.worker.access.greet(session)
        return session

    def observe(self) -> None:
        self.engine.observe(lambda client, key, event: self.events.append((key, event)))

    def ask(self, request: bytes) -> bytes:
        """Its reply, after it was received in one piece."""
        self.wire.written = b""
        memoryview(self.engine.shared_view).cast("B")[: len(request)] = request
        self.connection.buffer_updated(len(request))
        return self.wire.written

    def state(self) -> dict[str, Any]:
        """What a request leaves behind, less moments around the present."""
        found = {
            "trail": without_moments(b"".join(self.trail)),
            "events": list(self.events),
            "dirty": self.engine.dirty,
            "hits": (self.db.hits, self.db.misses, self.db.expired),
            "stats": {name: figures[:3] for name, figures in command_stats(self.engine).items()},
            "keys": {
                key: (contents(value), encoding(self.db, key, value), near(expiry))
                for key, value, expiry in self.db.entries()
            },
        }
        self.trail.clear()
        self.events.clear()
        return found


def contents(value: Any) -> Any:
    if isinstance(value, Hash):
        return [(field, content, near(due)) for field, content, due in value.walk()]
    if isinstance(value, SortedSet):
        return [(member, str(score)) for member, score in value.items()]
    if isinstance(value, Stream):
        return list(value.entries()), [len(node) for node in value.nodes]
    return list(value) if isinstance(value, List | Set) else value


def encoding(db: Any, key: bytes, value: Any) -> str | None:
    return db.encoding(key) if isinstance(value, bytes) else str(value.encoding)


def near(moment: int) -> int | str:
    return "near" if abs(moment - time.time() * 1000) < NEAR_MS else moment


def without_moments(data: bytes) -> list[bytes | int | str]:
    return [near(int(word)) if word.isdigit() else word for word in data.split(b"\r\n")]


FORMS = """
get K | strlen K | mget K.. | exists K.. | set K I O | set K I O | setex K C I | psetex K 900000 I
setnx K I | mset K I K v | mset K I K | getset K I | getdel K | append K I | incr K | incr n | decr K
incrby K I | decrby K I | del K.. | unlink K.. | expire K C | expire K 5000 | expire K 5000 NX
pexpire K 5000000 | pexpireat K C | pexpireat K 99999999999999 | ttl K | pttl K | ping | ping I | OVERDUE K
hset h f I | lpush K I.. | rpush K I.. | lpush l I.. | rpush l I.. | lpushx K I | rpushx l I.. | lpop K
rpop K | lpop l | rpop l | lpop l C | rpop l C | lpop K C I | llen K | llen l | lindex K C | lindex l C
lrange K 0 -1 | lrange l C C | lrange l 0 -1
"""
COLLECTION_FORMS = """
hset H I I | hset H I I I I I I | hset H f I f I | hset H f | hmset H I I | hsetnx H I I | hget H I
hget H f | hmget H I.. | hexists H I | hlen H | hgetall H | hkeys H | hvals H | hincrby H n C
hincrby H I C | hdel H I.. | hdel H f n | hexpire h 5000 FIELDS 1 I | hpexpireat h 1 FIELDS 1 I | sadd S C
sadd S I.. | sadd S C C C | srem S I.. | srem S C.. | sismember S I | smismember S I.. | scard S
smembers S | zadd Z C I | zadd Z F I F I | zadd Z F I.. | zadd Z nx F I | zadd Z gt ch F I | zincrby Z F I
zincrby Z C a | zscore Z I | zmscore Z I.. | zcard Z | zrank Z I | zrevrank Z I | zrank Z I withscore
zrem Z I.. | zpopmin Z | zpopmin Z C | zrange Z C C | zrange Z C C WithScores | zrange Z C C rev
zrangebyscore Z F F | zrangebyscore Z F F withscores LIMIT C C | zrangebyscore Z F inf limit 0 C
zcount Z F F | set s I | lpush l I | del H | del Z | xadd x 5-5 f I | xadd x * f | xadd x 1-1 f I
xadd x * f I | xadd x * f I | xadd x * I I f I | xadd x maxlen ~ C * f I | xadd x MaxLen ~ 5 * f I
xrange x - + | xrevrange x + - | xrange x - + Count C | xrevrange x + 99999999999999-5 count 2 | xrange H - +
xrange x 99999999999999-3 99999999999999-8 | xrange x C + | xrevrange x 99999999999999 C | xrange x - (C
xrange none - + | xdel x 99999999999999-4 99999999999999-7 | xrevrange x 99999999999999-6 99999999999999-3
"""
"""What is sent. K is a key, H, S and Z mostly one of a hash, set or sorted set, F a score or a bound, I a
value, C a number, O what may follow in SET; two dots are for several. OVERDUE is no command: the key expired
a while ago."""

KEYS = [b"s", b"n", b"t", b"l", b"h", b"new", b"{s}2", b"\0\r\n", b""]
ITEMS = [
    b"", b"0", b"-1", b"7", b"127", b"128", b"-4097", b"65536", b"9223372036854775807",
    b"-9223372036854775808", b"9223372036854775808", b"01", b"+1", b" 1", b"1 ", b"1.5", b"x", b"\0\xff\r\n",
    b"y" * 63, b"y" * 64,
    b"z" * 5000, b"w" * 9000, b"nx", b"EX", b"100",
]  # fmt: skip
COUNTS = b"0 1 2 -1 -3 5 100 9223372036854775807 -9223372036854775808 x 01".split()
OPTIONS = """
| NX | xx | EX 1000 | px 2000000 | KEEPTTL | nx EX 1000 | EX 0 | EX | EX x | EX 9223372036854775807 | NX XX
| KEEPTTL EX 5 | GET | PXAT 99999999999999 | NX NX | XX KEEPTTL | foo
"""
SCORES = b"0 -0 1 2.5 -1e3 inf -inf +inf (1 (-inf 1e400 nan 0x10 9007199254740993 x 1.5e-7".split()
LINES = {
    name: [line.split() for line in forms.encode().strip().replace(b"\n", b"|").split(b"|")]
    for name, forms in (("strings", FORMS), ("collections", COLLECTION_FORMS))
}
SCRIPTS = [
    b"return redis.call(KEYS[1], unpack(ARGV))",
    b"return redis.pcall(KEYS[1], unpack(ARGV))",
    b"for i, v in ipairs(ARGV) do ARGV[i] = tonumber(v) or v end return {redis.call(KEYS[1], unpack(ARGV))}",
]
"""Their key is the command's name."""
LIBRARY = (
    b"#!lua name=lib\n"
    b"redis.register_function('f', function(keys, args) return redis.call(keys[1], unpack(args)) end)"
)
SOURCES = {
    b"K": KEYS, b"I": ITEMS, b"C": COUNTS, b"F": [*SCORES, b"", b" 1"],
    b"H": [b"h", b"h2", b"h3", b"h4", b"s"],
    b"S": [b"S", b"S2", b"S3", b"l"],
    b"Z": [b"z", b"z2", b"z3", b"h"],
}  # fmt: skip
SET_OPTIONS = [options.split() for options in OPTIONS.encode().split(b"|")]


def random_request(chance: random.Random, forms: str) -> list[bytes]:
    words = []
    for word in chance.choice(LINES[forms]):
        source = SOURCES.get(word[:1] if word.endswith(b"..") else word)
        if word == b"O":
            words += chance.choice(SET_OPTIONS)
        elif source is None:
            words.append(word)
        else:
            words += chance.choices(source, k=chance.choice([1, 2, 5, 12]) if word.endswith(b"..") else 1)
    return words


def in_transaction(request: bytes, words: list[bytes], chance: random.Random) -> bytes:
    """Most often one of its own, else a part of one."""
    begins, ends = encode("MULTI"), chance.choice([encode("EXEC")] * 4 + [encode("DISCARD"), b""])
    second = encode("EVAL", SCRIPTS[1], "1", *words) if chance.random() < 0.3 else encode("PING", "x")
    return begins + request + second + ends


def make_overdue(rig: Rig, key: bytes) -> None:
    """Let a key have expired a while ago."""
    rig.db.set_expiry(key, 1)


@pytest.mark.parametrize("forms", list(LINES))
@pytest.mark.parametrize(
    "setting",
    ["plain", "recorded", "observed", "resp3", "replica", "lazy", "inline", "script", "transaction"],
)
def test_nobody_can_tell_which_way_a_command_went(
    setting: str, forms: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(send_to_both(setting, forms, monkeypatch))


async def send_to_both(setting: str, forms: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["--lazyfree-lazy-user-del", "yes", "--lazyfree-lazy-server-del", "yes"]
    rigs = [Rig(compiled, *(settings if setting == "lazy" else ())) for compiled in (True, False)]
    for rig in rigs:
        if setting in ("recorded", "observed", "inline", "script", "transaction"):
            rig.worker.trail.attach(rig.trail.append)
        if setting == "observed":
            rig.observe()
        if setting == "resp3":
            rig.ask(encode("HELLO", "3"))
        if setting == "replica":
            rig.db.hides_expired = True
        rig.ask(encode("XADD", "x", "99999999999999-1", "f", "v"))  # so that the clock does not decide on ids
    monkeypatch.setattr(limits, "stream_node_max_entries", 3)  # so that streams have nodes to trim
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    story: list[Sequence[bytes]] = []
    for _ in range(REQUESTS):
        words = random_request(chance, forms)
        story.append(words)
        if words[0] == b"OVERDUE":
            for rig in rigs:
                make_overdue(rig, words[1])
            continue
        request = encode(*words)
        if setting == "script":
            words = [b"EVAL", chance.choice(SCRIPTS), b"1", *words]
            request = encode(*words)
        if setting == "transaction":
            request = in_transaction(request, words, chance)
        if setting == "inline" and all(word.isalnum() for word in words):
            request = b" ".join(words) + chance.choice([b"\n", b"\r\n", b"  \r\n"])
        ours, theirs = (rig.ask(request) for rig in rigs)
        if story[-1][0] in (b"ttl", b"pttl"):
            ours, theirs = (re.sub(rb":\d{4,}", b":near", reply) for reply in (ours, theirs))
        assert ours == theirs, (seed, story[-8:])
        assert rigs[0].state() == rigs[1].state(), (seed, story[-8:])


USUAL = """
set s v | get s | set s 1 | incr s | decr s | incrby s 41 | decrby s 2 | strlen s | append s x | getset s y
getdel s | set s v EX 100 | set s v px 100000 NX | set s v NX | set s v xx KEEPTTL | setex s 10 v
psetex s 10000 v | setnx s v | mset s v t w | mget s t no | exists s t no | ttl s | pttl s | expire s 100
pexpire s 100000 | pexpireat s 99999999999999 | del s t | unlink s | ping | ping hello | lpush l a b c
rpush l 1 2 | lpushx l x | rpushx l y | llen l | lindex l -1 | lrange l 0 -1 | lpop l | rpop l | lpop l 2
rpop l 2 | lpop l 100 | lpop l | hset h a 1 b 2 | hset h a 3 | hmset h c 4 | hsetnx h d 1 | hget h a
hmget h a no | hexists h a | hlen h | hgetall h | hkeys h | hvals h | hincrby h a 5 | hdel h a b
hdel h c d | sadd set a 1 b | sismember set a | smismember set a z | scard set | smembers set
srandmember set | spop set | srem set a b 1 | zadd z 1 a 2.5 b -inf c | zincrby z 2 a | zscore z a
zmscore z a no | zcard z | zrank z a | zrevrank z a | zrange z 0 -1 | zrange z 0 -1 WITHSCORES
zrangebyscore z -inf (5 | zrangebyscore z 0 9 LIMIT 0 1 WITHSCORES | zcount z 0 9 | zpopmin z | zpopmin z 1
zrem z a b | publish channel message | xrange none - + | xrevrange none 5-1 3 COUNT 2
"""


@pytest.mark.parametrize("inline", [False, True])
def test_the_usual_forms_are_compiled(monkeypatch: pytest.MonkeyPatch, inline: bool) -> None:
    called: list[list[bytes]] = []
    rows = registry.rows

    def spied(commands: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        for name, command, handler in rows(commands):
            yield name, command, lambda ctx, args, handler=handler: called.append(args) or handler(ctx, args)

    monkeypatch.setattr(registry, "rows", spied)

    async def send_all() -> None:
        rig = Rig(True)
        for line in USUAL.strip().replace("\n", " | ").split(" | "):
            request = f"{line}\r\n".encode() if inline else encode(*line.split())
            assert rig.ask(request)[:1] in b"+:$*"
            assert not called, line
        for line in ["multi", "set s v", "lpush s x", "get s", "exec", "multi", "get s", "discard"]:
            rig.ask(encode(*line.split()))
        assert called.pop() == [b"s", b"x"]  # of another type: an error
        assert not called
        rig.ask(encode("FUNCTION", "LOAD", LIBRARY))
        sha = rig.ask(encode("SCRIPT", "LOAD", SCRIPTS[0])).split(b"\r\n")[1]
        for script in [(b"EVAL", SCRIPTS[0]), (b"EVAL_RO", SCRIPTS[0]), (b"EVALSHA", sha), (b"FCALL", b"f")]:
            for _ in range(2):  # what was found once is known
                called.clear()
                assert rig.ask(encode(*script, "1", "get", "s")) == b"$1\r\nv\r\n"
            assert not called, script
        rig.ask(encode("SET", "s", "v", "GET"))
        assert called

    asyncio.run(send_all())


TAGGED = "{a}1 {a}2 {a} {a}{b} {ab}1 {a {} {}a {}{a} {{a}} x{a} x{a}y x{a x{b}y a }{a} b"


def test_keys_are_found_in_their_slots_whatever_key_stands_before_them() -> None:
    """Where several are looked up at once, those with the first's tag are not hashed for their slot."""
    keys = TAGGED.split()

    async def store_all() -> None:
        rig = Rig(True)
        for first in keys:
            others = [key for key in keys if key != first]
            rig.ask(encode("FLUSHALL"))
            rig.ask(encode("MSET", *(word for key in (first, *others) for word in (key, key))))
            for key in keys:
                assert rig.ask(encode("GET", key)) == encode(key).partition(b"\r\n")[2], (first, key)
            found = rig.ask(encode("MGET", first, *others))
            assert found == encode(first, *others), first

    asyncio.run(store_all())
