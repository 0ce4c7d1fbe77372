"""Keys that have expired and that nobody has met yet, beside redis-server: who drops them, and as what.

Mostly a key is dropped by the first command that looks for it, as `expired`, which is no change. But what
stores a result (SINTERSTORE, SORT, BITOP ...) and finds it empty deletes its target without asking for its
age: that is a `del`, and a change. WATCH and DBSIZE leave such keys where they are.
"""

from __future__ import annotations

import shlex

import pytest

from tests.harness.resp import Resp
from tests.harness.servers import Oracle, Server, ShoalNode

SETTING = (
    "SET s 1", "RPUSH l 1", "SADD t 1", "ZADD z 1 1", "GEOADD g 1 1 a", "PFADD p a", "HSET h a b",
)  # fmt: skip
OVERDUE = {
    "string": ("SET old x PXAT 1",),
    "list": ("RPUSH old x", "PEXPIRE old 1", "DEBUG SLEEP 0.005"),
}
COMMANDS = """
SUNIONSTORE old none | SINTERSTORE old none | SDIFFSTORE old none | SINTERSTORE old t none | SUNIONSTORE old t
ZUNIONSTORE old 1 none | ZINTERSTORE old 1 none | ZDIFFSTORE old 1 none | ZUNIONSTORE old 1 z
ZRANGESTORE old none 0 -1 | ZRANGESTORE old z 5 9 | ZRANGESTORE old z 0 -1
GEOSEARCHSTORE old none FROMLONLAT 1 1 BYRADIUS 1 km | GEOSEARCHSTORE old g FROMLONLAT 50 50 BYRADIUS 1 m
GEORADIUS none 1 1 1 km STORE old | GEORADIUS g 50 50 1 m STORE old | GEORADIUS g 1 1 1 km STORE old
SORT none STORE old | SORT l LIMIT 5 1 STORE old | SORT l STORE old | SORT old STORE l
BITOP AND old none | BITOP NOT old none | BITOP OR old s | BITOP OR s old
SINTERSTORE t old | ZUNIONSTORE z 1 old | ZRANGESTORE z old 0 -1
RENAME s old | RENAME old s | RENAMENX s old | RENAMENX old s | MOVE old 1
COPY s old | COPY s old REPLACE | COPY old s REPLACE
DEL old | UNLINK old | GETDEL old | GETEX old PERSIST | PERSIST old | EXPIRE old 100 | EXPIRE old 0
SET old x | SET old x NX | SET old x XX GET | SET old x KEEPTTL | SET old x EXAT 1 | SETEX old 100 x
MSET old x | MSETNX old x | GETSET old x | APPEND old x | SETRANGE old 0 "" | SETBIT old 0 1 | INCR old
LPUSHX old 1 | LPOP old | LMOVE l old LEFT LEFT | LMOVE old l LEFT LEFT | LTRIM old 5 1 | LMPOP 1 old LEFT
SADD old 1 | SPOP old | SMOVE t old 1 | SMOVE old t 1 | ZADD old 1 1 | ZADD old XX 1 1 | ZMPOP 1 old MIN
HSET old a b | HDEL old a | HEXPIRE old 100 FIELDS 1 a | HGETDEL old FIELDS 1 a | HGETEX old EX 9 FIELDS 1 a
PFADD old | PFMERGE old | PFMERGE old none | PFMERGE p old | PFCOUNT old
XADD old NOMKSTREAM 1 a b | XTRIM old MAXLEN 0 | XGROUP CREATE old g 0 MKSTREAM | XGROUP DESTROY old g
TOUCH old | EXISTS old | TYPE old | OBJECT ENCODING old | DUMP old | TTL old | GET old | LCS old s
WATCH old | DBSIZE | SCAN 0 MATCH nothing | SCAN 0 MATCH nothing TYPE hash | FLUSHALL | FLUSHDB | SWAPDB 0 1
EVAL "return redis.call('SINTERSTORE', 'old', 'none')" 0
"""
FIGURES = (b"rdb_changes_since_last_save", b"expired_keys", b"keyspace_hits", b"keyspace_misses")
MARK = b"over"


def figures(client: Resp) -> list[int]:
    told = client.command("INFO", "persistence", "stats")
    assert isinstance(told, bytes)
    fields = dict(line.split(b":", 1) for line in told.split(b"\r\n") if b":" in line)
    return [int(fields[name]) for name in FIGURES]


def events_until_mark(listener: Resp, client: Resp) -> list[bytes]:
    client.command("PUBLISH", "mark", MARK)
    heard = []
    while (message := listener.read())[3] != MARK:
        heard.append(message[2] + b" " + message[3])
    return heard


def what_happens(server: Server, overdue: tuple[str, ...]) -> list[object]:
    """Of each command: its reply, what it counted, the events, the number of keys then."""
    told: list[object] = []
    with server.resp() as client, server.resp() as listener:
        client.command("CONFIG", "SET", "notify-keyspace-events", "EA")
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        listener.command("PSUBSCRIBE", "*")
        for line in " | ".join(COMMANDS.strip().splitlines()).split(" | "):
            client.command("FLUSHALL")
            for before in (*SETTING, *overdue):
                client.command(*before.split())
            events_until_mark(listener, client)
            begin = figures(client)
            reply = client.command(*shlex.split(line))
            counted = [after - before for before, after in zip(begin, figures(client), strict=True)]
            events = events_until_mark(listener, client)
            told.append((line, reply, counted, events, client.command("DBSIZE")))
            client.command("UNWATCH")
        client.command("CONFIG", "SET", "notify-keyspace-events", "")
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    return told


@pytest.mark.parametrize("kind", OVERDUE)
def test_who_drops_them(shoal_node: ShoalNode, redis_oracle: Oracle, kind: str) -> None:
    ours, theirs = (what_happens(server, OVERDUE[kind]) for server in (shoal_node, redis_oracle))
    assert ours == theirs


@pytest.mark.parametrize("other", ["SINTERSTORE old none", "GET old", "SCAN 0", "SET old new"])
def test_what_was_overdue_when_watched_may_go(
    shoal_node: ShoalNode, redis_oracle: Oracle, other: str
) -> None:
    replies = []
    for server in (shoal_node, redis_oracle):
        with server.resp() as client:
            client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            client.command(*OVERDUE["string"][0].split())
            client.command("WATCH", "old")
            server.run(*other.split())
            client.command("MULTI")
            client.command("PING")
            replies.append(client.command("EXEC"))
            client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert replies[0] == replies[1]
