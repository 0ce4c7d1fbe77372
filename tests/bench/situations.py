"""What a server does once in a while and that takes long: the rows of the latency bench.

A situation prepares a server, then does one heavy thing, and is over when the server says so. The
preparation is not watched, the rest is. Situations of one group follow each other on one server, so that
what is dear to prepare need not be prepared for each: a big key is copied by the server before something is
done to the copy.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from node.core.key_slot import key_slot
from tests.bench.measure import send_all
from tests.harness.resp import Error, Resp, encode
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

PATIENCE = 180.0
IN_COMMAND = 100
TYPES = ("hash", "list", "set", "zset", "stream")
MB = 1 << 20


class Unknown(Exception):
    """The server has no such command."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, the connection that does what is heavy, and how many members or keys are many."""

    server: Server
    link: Resp
    many: int

    def do(self, *words: bytes | str | int) -> Any:
        reply = self.link.command(*words)
        if isinstance(reply, Error):
            raise Unknown(reply.text)
        return reply

    def swallow(self, *words: bytes | str | int) -> None:
        """Do it, and read the reply without looking at it: what comes last is a PONG."""
        self.link.send(encode(*words) + b"PING\r\n")
        end = b""
        while not end.endswith(b"+PONG\r\n"):
            received = self.link.socket.recv(1 << 18)
            if not received:
                raise EOFError
            end = (end + received[-16:])[-16:]

    def figure(self, section: str, name: str) -> Any:
        return self.server.info(section).get(name, 0)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        eventually(condition, what, timeout=PATIENCE)

    def until_freed(self) -> None:
        self.until(lambda: self.figure("memory", "lazyfree_pending_objects") == 0, "all is freed")
        time.sleep(0.3)  # what a timer does about it comes after

    def until_saved(self) -> None:
        fields = ("rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
        self.until(lambda: not any(self.figure("persistence", name) for name in fields), "it is saved")


Act = Callable[[Stage], None]


def nothing(stage: Stage) -> None:
    """No preparation, or no end to wait for."""


@dataclass(frozen=True, slots=True)
class Situation:
    name: str
    act: Act
    prepare: Act = nothing
    finish: Act = nothing


@dataclass(frozen=True, slots=True)
class Group:
    """Situations that share a server; `prepare` comes first, once."""

    name: str
    situations: tuple[Situation, ...]
    prepare: Act = nothing
    settings: dict[str, str] = field(default_factory=dict)


# --- data --------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def fill_commands(kind: str, key: str, count: int) -> list[bytes]:
    """Commands that make a key of `count` members, or so many keys, in parts."""
    makers: dict[str, Callable[[int], list[bytes]]] = {
        "hash": lambda n: [b"field:%d" % n, b"value:%012d" % n],
        "list": lambda n: [b"element:%012d" % n],
        "set": lambda n: [b"member:%012d" % n],
        "zset": lambda n: [b"%d" % (n * 7919 % count), b"member:%012d" % n],
    }
    words = {"hash": "HSET", "list": "RPUSH", "set": "SADD", "zset": "ZADD"}
    if kind == "stream":
        return [encode("XADD", key, f"{n + 1}-1", "field", b"value:%012d" % n) for n in range(count)]
    if kind == "keys":
        return [encode("SET", b"%skey:%012d" % (key.encode(), n), b"x" * 64) for n in range(count)]
    make = makers[kind]
    return [
        encode(words[kind], key, *itertools.chain(*map(make, range(start, min(start + IN_COMMAND, count)))))
        for start in range(0, count, IN_COMMAND)
    ]


def fill(kind: str, key: str = "big") -> Act:
    def act(stage: Stage) -> None:
        send_all(stage.server.port, fill_commands(kind, key, stage.many))

    return act


def fill_volatile(stage: Stage) -> None:
    """Keys that all expire within a second, soon."""
    send_all(stage.server.port, fill_commands("keys", "", stage.many))
    at = int(time.time() * 1000) + 2000 + stage.many // 200
    send_all(
        stage.server.port,
        (encode("PEXPIREAT", b"key:%012d" % n, at + n % 1000) for n in range(stage.many)),
    )


def copied(stage: Stage) -> None:
    stage.do("COPY", "big", "victim")


def doing(*words: bytes | str | int) -> Act:
    return lambda stage: stage.do(*words)


def reading(*words: bytes | str | int) -> Act:
    return lambda stage: stage.swallow(*words)


def freed(stage: Stage) -> None:
    stage.until_freed()


def saved(stage: Stage) -> None:
    stage.until_saved()


def gone(stage: Stage) -> None:
    stage.until(lambda: stage.figure("keyspace", "db0") == 0, "all has expired")
    stage.until_freed()


def flushed(stage: Stage) -> None:
    stage.do("FLUSHALL", "SYNC")


# --- one big key -------------------------------------------------------------------------------------


def big_key(kind: str) -> Group:
    def expired(stage: Stage) -> None:
        stage.until(lambda: stage.link.command("EXISTS", "victim") == 0, "it has expired")
        stage.until_freed()

    whole = {
        "hash": ("HGETALL", "big"),
        "list": ("LRANGE", "big", 0, -1),
        "set": ("SMEMBERS", "big"),
        "zset": ("ZRANGE", "big", 0, -1, "WITHSCORES"),
        "stream": ("XRANGE", "big", "-", "+"),
    }
    more = {
        "set": (Situation("SUNIONSTORE of two", doing("SUNIONSTORE", "result", "big", "victim"), copied),),
        "list": (Situation("SORT … LIMIT 0 10", reading("SORT", "big", "ALPHA", "LIMIT", 0, 10)),),
        "zset": (Situation("ZUNIONSTORE of two", doing("ZUNIONSTORE", "sum", 2, "big", "victim"), copied),),
    }
    return Group(
        kind,
        (
            Situation(f"{kind}: growth", fill(kind)),
            Situation(f"{kind}: whole read", reading(*whole[kind])),
            Situation(f"{kind}: DEL", doing("DEL", "victim"), copied, freed),
            Situation(f"{kind}: UNLINK", doing("UNLINK", "victim"), copied, freed),
            Situation(f"{kind}: SET over it", doing("SET", "victim", "small"), copied, freed),
            Situation(f"{kind}: expiry", doing("PEXPIRE", "victim", 100), copied, expired),
            *(Situation(f"{kind}: {each.name}", each.act, each.prepare) for each in more.get(kind, ())),
        ),
    )


# --- many keys ---------------------------------------------------------------------------------------


def attach(stage: Stage) -> None:
    with server(stage.server.kind, save="", appendonly="no") as replica:
        replica.run("REPLICAOF", stage.server.host, stage.server.port)
        stage.until(lambda: replica.run("DBSIZE") == stage.do("DBSIZE"), "the replica has all")


def evict(stage: Stage, share: float) -> None:
    """Lower the limit so that so much of what is used must go."""
    used, empty = stage.figure("memory", "used_memory"), stage.figure("memory", "used_memory_startup")
    before = stage.do("DBSIZE")
    limit = int(used - (used - empty) * share)
    stage.do("CONFIG", "SET", "maxmemory", limit)
    # Redis evicts at the next command that asks for it, then goes on by itself.
    stage.do("SET", "one", "more")
    stage.until(lambda: stage.figure("memory", "used_memory") <= limit * 1.02, "the limit is kept")
    assert stage.do("DBSIZE") < before
    stage.do("CONFIG", "SET", "maxmemory", 0)


KEYS = Group(
    "keys",
    (
        Situation("keys: growth", fill("keys", "")),
        Situation("KEYS *", reading("KEYS", "*")),
        Situation("SCAN 0 COUNT 100000", reading("SCAN", 0, "COUNT", 100_000)),
        Situation("BGSAVE", doing("BGSAVE"), finish=saved),
        Situation("BGREWRITEAOF", doing("BGREWRITEAOF"), finish=saved),
        Situation("a replica attaches", attach),
        Situation("eviction of a tenth", lambda stage: evict(stage, 0.1)),
        Situation("maxmemory to a half", lambda stage: evict(stage, 0.5), finish=freed),
        Situation("MEMORY PURGE", doing("MEMORY", "PURGE")),
        Situation("FLUSHALL ASYNC", doing("FLUSHALL", "ASYNC"), fill("keys", ""), freed),
        Situation("FLUSHALL SYNC", doing("FLUSHALL", "SYNC"), fill("keys", ""), freed),
        Situation("FLUSHDB", doing("FLUSHDB"), fill("keys", ""), freed),
        Situation("expiry of all in a second", nothing, fill_volatile, gone),
    ),
    settings={"maxmemory_policy": "allkeys-lru"},
)

SLOT_OF_ONE = key_slot(b"{one}")


def take_all_slots(stage: Stage) -> None:
    stage.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    stage.until(lambda: b"cluster_state:ok" in stage.do("CLUSTER", "INFO"), "the cluster is up")


SLOT = Group(
    "slot",
    (
        Situation("one slot: growth", fill("keys", "{one}")),
        Situation("one slot: FLUSHSLOT", doing("CLUSTER", "FLUSHSLOT", SLOT_OF_ONE), finish=freed),
    ),
    prepare=take_all_slots,
    settings={"cluster_enabled": "yes", "cluster_require_full_coverage": "no"},
)

# --- long strings ------------------------------------------------------------------------------------


def set_string(stage: Stage) -> None:
    stage.do("SET", "string", b"x" * (100 * MB))


STRINGS = Group(
    "string",
    (
        Situation("SET of 100 MB", set_string),
        Situation("GET of 100 MB", reading("GET", "string")),
        Situation("DEL of 100 MB", doing("DEL", "string")),
    ),
)

# --- clients -----------------------------------------------------------------------------------------


def hoard(stage: Stage) -> None:
    """Ask for 1 GB, read none of it, and hang up."""
    with socket.create_connection(("127.0.0.1", stage.server.port), timeout=PATIENCE) as sock:
        sock.sendall(encode("GET", "string") * 100)
        stage.until(lambda: owed(stage) > 900 * MB, "it is owed")
    stage.until(lambda: owed(stage) < MB, "it is gone")


def owed(stage: Stage) -> int:
    """The most that any client is owed, in bytes."""
    return max(map(int, re.findall(r" omem=(\d+)", stage.do("CLIENT", "LIST").decode())))


@dataclass(slots=True)
class Crowd:
    """Many clients that connect and hang up at once."""

    count: int
    sockets: list[socket.socket] = field(default_factory=list)

    def come(self, stage: Stage) -> None:
        for _ in range(self.count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", stage.server.port))
            self.sockets.append(sock)
        stage.until(lambda: stage.figure("clients", "connected_clients") >= self.count, "all are there")

    def go(self, stage: Stage) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()
        stage.until(lambda: stage.figure("clients", "connected_clients") < 10, "all are gone")


def allow_files(stage: Stage) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def long_string(stage: Stage) -> None:
    stage.do("SET", "string", b"x" * (10 * MB))


def crowd(count: int = 9_900) -> Group:
    all_of_them = Crowd(count)
    return Group(
        "clients",
        (
            Situation("10,000 clients connect", all_of_them.come),
            Situation("CLIENT LIST of 10,000", reading("CLIENT", "LIST")),
            Situation("10,000 clients hang up", all_of_them.go),
            Situation("a client owed 1 GB hangs up", hoard, long_string),
        ),
        prepare=allow_files,
        settings={"maxclients": "11000", "client_output_buffer_limit": "normal 0 0 0"},
    )


def groups() -> list[Group]:
    return [*map(big_key, TYPES), KEYS, SLOT, STRINGS, crowd()]


@contextlib.contextmanager
def stage_on(kind: str, group: Group, many: int) -> Iterator[Stage]:
    with (
        server(kind, save="", appendonly="no", **group.settings) as started,
        started.resp(timeout=PATIENCE) as link,
    ):
        stage = Stage(started, link, many)
        group.prepare(stage)
        yield stage
