"""Requests that nobody should send, for as long as one likes: the worker lives, answers others, stays small.

Every attack is a connection of its own: random bytes, commands with damaged frames, counts and lengths of any
size, frames cut short, transactions and scripts nested as deep as they go, values about the largest that is
allowed. The worker has a limit on its address space, so that what would take too much memory fails for it.
Meanwhile another connection sends PING all the time.

What is told at the end, and bounded: how long the worker computed before it answered the slowest PING, and
how far the resident memory went up.

    SHOAL_FUZZ_SECONDS=3600 SHOAL_FUZZ_SEED=1 pytest tests/fuzz/test_request_fuzz.py
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.bench.measure import cpu_nanoseconds
from tests.fuzz.requests import Requests, rows
from tests.fuzz.words import Words
from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import ShoalNode

SECONDS = float(os.environ.get("SHOAL_FUZZ_SECONDS", 10))
SEED = int(os.environ.get("SHOAL_FUZZ_SEED", random.randrange(1 << 40)))
MB = 1 << 20
ADDRESS_SPACE = 6 << 30
LARGEST = 16 * MB
"""proto-max-bulk-len of the worker: what one attack can make it hold, a few times over."""

MEMORY_MB = 300
SLOWEST_PING = 1.0
"""Seconds of the worker's own CPU time: a busy machine is not its fault. By the clock it may be HANGS."""
HANGS = 15.0
ANSWERED_WITHIN = 0.2

Attack = Callable[[random.Random], bytes]


def noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 3000))


def good_requests(chance: random.Random) -> bytes:
    requests = Requests(SAFE_COMMANDS, Words(chance))
    return b"".join(encode(*requests.next()) for _ in range(chance.randrange(1, 40)))


def damaged(chance: random.Random) -> bytes:
    """Good requests with bytes replaced, removed, doubled, or numbers in their frames changed."""
    raw = bytearray(good_requests(chance))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(raw))
        kind = chance.randrange(4)
        if kind == 0:
            raw[at] = chance.randrange(256)
        elif kind == 1:
            del raw[at : at + chance.randrange(1, 30)]
        elif kind == 2:
            raw[at:at] = raw[at : at + 20]
        else:
            raw[at:at] = chance.choice((b"*", b"$", b"\r\n", b"-1", b"9" * 20, b"$536870912\r\n", b"\x00"))
        raw = raw or bytearray(b"x")
    return bytes(raw)


def cut_short(chance: random.Random) -> bytes:
    raw = good_requests(chance)
    return raw[: chance.randrange(len(raw) + 1)]


def huge_counts(chance: random.Random) -> bytes:
    size = chance.choice((1 << 20, 1 << 29, (1 << 29) + 1, 1 << 31, 1 << 63, 10**30, -1))
    name = chance.choice((b"MGET", b"DEL", b"SADD", b"PING"))
    frames = (
        b"*%d\r\n$%d\r\n%b\r\n$1\r\nx\r\n" % (size, len(name), name),
        b"*2\r\n$%d\r\n%b\r\n$%d\r\nabc" % (len(name), name, size),
        b"*%d\r\n" % size * 3,
        b"*1\r\n$%d\r\n" % size,
    )
    return chance.choice(frames)


def huge_numbers(chance: random.Random) -> bytes:
    """Arguments that ask for as much as possible."""
    edge = chance.choice(
        (b"9223372036854775807", b"-9223372036854775808", b"2147483648", b"16777215", b"16777217")
    )
    commands: tuple[tuple[bytes, ...], ...] = (
        (b"SETRANGE", b"big", edge, b"x"),
        (b"SETBIT", b"big", edge, b"1"),
        (b"BITFIELD", b"big", b"SET", b"u8", b"#" + edge, b"1"),
        (b"GETRANGE", b"big", b"0", edge),
        (b"BITCOUNT", b"big", edge, b"-1"),
        (b"SRANDMEMBER", b"s", edge),
        (b"HRANDFIELD", b"h", edge, b"WITHVALUES"),
        (b"ZRANDMEMBER", b"z", edge, b"WITHSCORES"),
        (b"LPOS", b"l", b"x", b"RANK", edge),
        (b"LRANGE", b"l", b"0", edge),
        (b"SCAN", b"0", b"COUNT", edge),
        (b"XREAD", b"COUNT", edge, b"STREAMS", b"x", b"0"),
        (b"XAUTOCLAIM", b"x", b"g", b"c", b"0", b"0", b"COUNT", edge),
        (b"ZUNION", edge, b"z", b"z"),
        (b"EVAL", b"return 1", edge),
        (b"EVAL", b"return string.rep('x', ARGV[1])", b"0", b"1000000"),
        (b"LCS", b"big", b"big"),
        (b"PFADD", b"p", *(b"%d" % n for n in range(50))),
        (b"SETRANGE", b"big", b"1000000", b"x" * 1000),
        (b"DEBUG", b"STRINGMATCH-LEN", b"4000", b"a*" * 30),
    )
    return b"".join(encode(*chance.choice(commands)) for _ in range(4))


def deep_nesting(chance: random.Random) -> bytes:
    depth = chance.choice((10, 200, 5_000, 100_000))
    scripts = (
        b"return " + b"{" * depth + b"}" * depth,
        b"return " + b"(" * depth + b"1" + b")" * depth,
        b"local t = {} for i = 1, %d do t = {t} end return t" % depth,
        b"local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(%d)" % depth,
        b"local t = {} for i = 1, %d do t = {t} end return cjson.encode(t)" % depth,
        b"return cjson.decode(string.rep('[', %d) .. string.rep(']', %d))" % (depth, depth),
        b"return cmsgpack.unpack(string.rep('\\145', %d))" % depth,
        b"local t = {} t.t = t return t",
        b"return redis.call('EVAL', 'return 1', 0)",
        b"return string.rep('%%s', %d):format(1)" % depth,
    )
    return encode("EVAL", chance.choice(scripts), 0)


def long_transaction(chance: random.Random) -> bytes:
    """MULTI within MULTI, and perhaps no end."""
    inside = (encode("MULTI") if chance.random() < 0.1 else good_requests(chance) for _ in range(100))
    return encode("MULTI") + b"".join(inside) + encode("EXEC") * chance.randrange(2)


def large_words(chance: random.Random) -> bytes:
    size = chance.choice((1 << 14, 1 << 16, MB, 4 * MB, LARGEST, LARGEST + 1))
    name = chance.choice((b"SET", b"APPEND", b"RPUSH", b"SADD", b"PFADD", b"NOSUCH"))
    return b"*3\r\n$%d\r\n%b\r\n$3\r\nbig\r\n$%d\r\n" % (len(name), name, size) + b"x" * size + b"\r\n"


ATTACKS: tuple[Attack, ...] = (
    noise, good_requests, damaged, damaged, cut_short, huge_counts, huge_numbers, deep_nesting,
    long_transaction,
)  # fmt: skip
RARE: tuple[Attack, ...] = (large_words,)
"""Attacks that cost the attacker as much as the worker."""

ENDING = frozenset(["shutdown", "replicaof", "slaveof", "failover", "debug", "quit"])
SAFE_COMMANDS = frozenset(rows()) - ENDING


class Watch(threading.Thread):
    """Another client, who wants an answer at any moment."""

    def __init__(self, node: ShoalNode) -> None:
        super().__init__(daemon=True)
        self.node = node
        self.slowest = 0.0
        """Seconds that the worker computed before it answered."""
        self.pings = 0
        self.failure: Exception | None = None
        self.over = threading.Event()

    def run(self) -> None:
        try:
            with self.node.resp(timeout=HANGS) as connection:
                while not self.over.wait(0.01):
                    began = cpu_nanoseconds(self.node.pid)
                    assert connection.command("PING") == Simple("PONG")
                    self.slowest = max(self.slowest, (cpu_nanoseconds(self.node.pid) - began) / 1e9)
                    self.pings += 1
        except Exception as failure:
            self.failure = failure


@pytest.fixture
def node() -> Iterator[ShoalNode]:
    with ShoalNode(proto_max_bulk_len=str(LARGEST), client_query_buffer_limit=str(2 * LARGEST)) as server:
        resource.prlimit(server.pid, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        yield server


def attack(node: ShoalNode, raw: bytes) -> None:
    """Send `raw`, see whether something comes back, and leave."""
    with Resp(node.port) as connection:
        connection.socket.settimeout(ANSWERED_WITHIN)
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.send(raw)
            connection.socket.recv(1 << 16)


@pytest.mark.timeout(SECONDS + 120)
def test_whatever_is_sent(node: ShoalNode, report: Callable[[str], None]) -> None:
    process = psutil.Process(node.pid)
    begin = process.memory_info().rss
    highest = begin
    watch = Watch(node)
    watch.start()
    end = time.monotonic() + SECONDS
    seed = SEED
    while time.monotonic() < end and watch.failure is None:
        chance = random.Random(seed)
        make = chance.choice(RARE) if chance.random() < 0.02 else chance.choice(ATTACKS)
        slowest = watch.slowest
        attack(node, make(chance))
        node.run("PING")  # after it, so that a slow answer is told with the attack that was its cause
        told = f"seed {seed}, {make.__name__}"
        assert node.running, f"{told}: the worker ended; its log:\n{node.log[-3000:]}"
        assert watch.slowest < SLOWEST_PING or slowest > SLOWEST_PING, (
            f"{told}: the worker computed {watch.slowest:.2f} s before it answered PING"
        )
        resident = process.memory_info().rss
        highest = max(highest, resident)
        assert resident - begin < MEMORY_MB * MB, f"{told}: {(resident - begin) // MB} MB more"
        if seed % 500 == 0:
            node.run("FLUSHALL")
        seed += 1
    watch.over.set()
    watch.join()
    assert watch.failure is None, f"before seed {seed}: {watch.failure!r}"
    assert node.run("PING") == Simple("PONG")
    assert "bug" not in node.log.lower(), node.log[-3000:]
    report(
        f"{seed - SEED} attacks (seeds {SEED}..{seed - 1}): slowest of {watch.pings} PINGs "
        f"{watch.slowest * 1000:.0f} ms, {(highest - begin) // MB} MB more at most"
    )
