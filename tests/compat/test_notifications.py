"""Keyspace notifications beside redis-server: which events each command causes, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.differential import parse_script
from tests.harness.resp import Error, Push, Resp, Simple, encode
from tests.harness.servers import Oracle, Server, ShoalNode

MARK = "__keyevent@0__:mark"
"""A channel of our own among theirs: tells where one command's events end."""

STRINGS = """
SET s v
SET s v EX 100
SET s v KEEPTTL
SET s v NX
SET s v XX GET
SET s v PXAT 1
SET s v EXAT 99999999999
SETNX s x
SETNX s2 x
SETEX s 100 v
PSETEX s 100000 v
GETSET s w
GETSET fresh w
GETDEL fresh
GETDEL fresh
GETEX s
GETEX s EX 100
GETEX s PERSIST
GETEX s PERSIST
GETEX s PXAT 1
MSET a 1 b 2 a 3
MSETNX a 1 c 2
MSETNX c 1 d 2
APPEND s ""
APPEND s tail
APPEND ap x
SETRANGE s 2 ""
SETRANGE s 2 yy
SETRANGE none 2 ""
INCR n
INCRBY n 5
DECR n
DECRBY n 5
INCRBY n 0
INCRBYFLOAT n 1.5
INCR s
SETBIT bits 7 1
SETBIT bits 7 1
SETBIT bits 8 0
BITFIELD bits GET u8 0
BITFIELD bits SET u8 0 255 INCRBY u8 8 1
BITFIELD bits OVERFLOW FAIL INCRBY u8 0 1
BITFIELD_RO bits GET u8 0
BITOP AND dest bits n
BITOP NOT dest bits
BITOP OR dest none none2
BITOP OR dest none none2
PFADD hll a b
PFADD hll a b
PFADD hll
PFADD hll2
PFMERGE hll3 hll hll2
PFCOUNT hll
SUBSTR s 0 1
LCS a b
"""

GENERIC = """
SET a 1
SET b 2
DEL a b none
SET a 1
UNLINK a none
SET a 1
EXPIRE a 100
PEXPIRE a 100000
EXPIREAT a 99999999999
PEXPIREAT a 99999999999999
EXPIRE a 100 NX
EXPIRE a 200 GT
EXPIRE none 100
PERSIST a
PERSIST a
EXPIRE a -1
EXPIRE a 10
SET a 1
RENAME a b
RENAME b b
SET c 1
RENAME b c
RENAMENX c d
SET e 1
RENAMENX d e
RENAMENX d d
COPY d e
COPY d e REPLACE
COPY d f
COPY d f DB 1
COPY none f
MOVE d 1
MOVE d 1
SET d 1
MOVE d 1
SELECT 1
DEL d f
SELECT 0
TOUCH e
TYPE e
OBJECT ENCODING e
DUMP e
SWAPDB 0 1
SWAPDB 0 1
RPUSH l 3 1 2
SORT l
SORT l STORE sorted
SORT none STORE sorted
SORT none STORE sorted
RANDOMKEY
FLUSHDB
FLUSHALL
RESTORE r 0 "\\x00\\x01x\\x0b\\x00\\x15\\x6a"
"""

HASHES = """
HSET h f v
HSET h f v
HSET h f w g x
HMSET h f v
HSETNX h f x
HSETNX h new x
HINCRBY h n 1
HINCRBY h n 0
HINCRBYFLOAT h n 1.5
HINCRBY h f 1
HDEL h none
HDEL h f g
HDEL h f g new n
HSET h f v
HDEL h f f
HGETALL h
"""

LISTS = """
LPUSH l a b
RPUSH l c
LPUSHX l d
RPUSHX none d
RPUSHX l e
LINSERT l BEFORE a x
LINSERT l AFTER none x
LSET l 0 z
LREM l 0 none
LREM l 0 z
LTRIM l 0 100
LTRIM l 1 2
LPOP l
RPOP l
RPUSH l 1 2 3 4 5 6
LPOP l 2
RPOP l 0
LPOP l 0
RPOP l 100
LPOP l
LPOP l 0
RPUSH l 1 2 3
RPOPLPUSH l m
RPOPLPUSH l l
LMOVE l m LEFT RIGHT
LMOVE l l LEFT RIGHT
LMOVE l m RIGHT LEFT
LMOVE none m RIGHT LEFT
LMPOP 2 l m LEFT
LMPOP 2 l m RIGHT COUNT 10
LMPOP 2 l m LEFT
RPUSH l a a
LREM l 0 a
RPUSH l a a
LTRIM l 5 1
LTRIM l 5 1
RPUSH l 1
RPOPLPUSH l l
RPOPLPUSH l n
"""

SETS = """
SADD s a b c
SADD s a
SADD s d a
SREM s none
SREM s a
SMOVE s t b
SMOVE s t none
SADD t c
SMOVE s t c
SMOVE t t c
SPOP s
SPOP s
SADD s 1 2 3
SPOP s 0
SPOP s 2
SPOP s 10
SPOP s 10
SADD s a b
SADD t b c
SINTERSTORE d s t
SUNIONSTORE d s t
SDIFFSTORE d s t
SINTERSTORE d s none
SINTERSTORE d s none
SUNIONSTORE d none
SREM s a b
SADD one x
SMOVE one t x
SADD one x
SREM one x x
"""

SORTED_SETS = """
ZADD z 1 a 2 b 3 c
ZADD z 1 a
ZADD z 5 a
ZADD z NX 7 a
ZADD z XX 7 none
ZADD z CH 7 a 8 d
ZADD z INCR 1 a
ZADD z NX INCR 1 a
ZADD z GT 1 a
ZINCRBY z 1 a
ZINCRBY z 0 a
ZREM z none
ZREM z a
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h
ZREMRANGEBYSCORE z 100 200
ZREMRANGEBYSCORE z 1 1
ZREMRANGEBYRANK z 0 0
ZREMRANGEBYRANK z 100 200
ZADD lex 0 a 0 b 0 c
ZREMRANGEBYLEX lex [a [a
ZREMRANGEBYLEX lex [x [y
ZREMRANGEBYLEX lex - +
ZPOPMIN z
ZPOPMAX z
ZPOPMIN z 0
ZPOPMIN z 2
ZPOPMIN none
ZPOPMAX z 100
ZADD z 1 a 2 b
ZADD y 1 b 2 c
ZUNIONSTORE d 2 z y
ZINTERSTORE d 2 z y
ZDIFFSTORE d 2 z y
ZINTERSTORE d 2 z none
ZINTERSTORE d 2 z none
ZRANGESTORE d z 0 -1
ZRANGESTORE d z 5 6
ZRANGESTORE d z 5 6
ZMPOP 2 none z MIN
ZMPOP 2 none z MAX COUNT 10
ZMPOP 2 none z MAX
ZREMRANGEBYRANK y 0 -1
ZADD y 1 a
ZREM y a
ZADD y 1 a
ZPOPMAX y
"""

STREAMS = """
XADD x 1-1 f v
XADD x 1-2 f v
XADD x 1-1 f v
XADD x NOMKSTREAM 1-3 f v
XADD none NOMKSTREAM 1-3 f v
XADD x MAXLEN 2 1-4 f v
XADD x MAXLEN 2 1-5 f v
XDEL x 9-9
XDEL x 1-5
XTRIM x MAXLEN 100
XTRIM x MAXLEN 1
XSETID x 5-5
XGROUP CREATE x g 0
XGROUP CREATE x g 0
XGROUP CREATE made g $ MKSTREAM
XGROUP SETID x g 0
XGROUP CREATECONSUMER x g c
XGROUP CREATECONSUMER x g c
XADD x 6-1 f v
XREADGROUP GROUP g c COUNT 10 STREAMS x >
XREADGROUP GROUP g new COUNT 10 STREAMS x >
XREADGROUP GROUP g c COUNT 10 STREAMS x 0
XCLAIM x g other 0 6-1
XCLAIM x g other 0 9-9
XAUTOCLAIM x g third 0 0
XACK x g 6-1
XGROUP DELCONSUMER x g c
XGROUP DELCONSUMER x g none
XGROUP DESTROY x g
XGROUP DESTROY x g
XTRIM x MAXLEN 0
XREAD STREAMS x 0
XADD y 1 a 1
XADD y 2 a 1
XADD y 3 a 1
XADD y 4 a 1
XGROUP CREATE y g 0
XREADGROUP GROUP g c COUNT 3 STREAMS y >
XDELEX y IDS 2 1 9
XDELEX y IDS 1 9
XDELEX y ACKED IDS 1 2
XACKDEL y g ACKED IDS 1 2
XACKDEL y g ACKED IDS 1 2
XGROUP CREATE y h 0
XACKDEL y g ACKED IDS 1 3
XTRIM y MAXLEN 0 ACKED
XTRIM y MAXLEN 0 DELREF
XADD y MAXLEN 0 ACKED 5 a b
XADD y MAXLEN 0 DELREF 6 a b
XADD y MAXLEN ~ 0 DELREF 8 a b
"""

GEO = """
GEOADD g 13.36 38.11 a 15.08 37.50 b
GEOADD g 13.36 38.11 a
GEOADD g CH 13.37 38.11 a
GEOADD g NX 13.38 38.11 a
GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km
GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
GEOSEARCHSTORE d g FROMLONLAT 50 37 BYRADIUS 1 km
GEOSEARCHSTORE d g FROMLONLAT 50 37 BYRADIUS 1 km
GEORADIUS g 15 37 200 km STORE d
GEORADIUSBYMEMBER g a 200 km STOREDIST d
GEORADIUS g 50 37 1 km STORE d
GEORADIUS g 50 37 1 km STORE d
"""

BLOCKING = """
RPUSH l 1 2 3 4 5 6 7
BLPOP none l 1
BRPOP l 1
BLMOVE l m LEFT RIGHT 1
BRPOPLPUSH l m 1
BLMPOP 1 1 l LEFT COUNT 2
BLMPOP 1 1 l LEFT COUNT 2
BLPOP m 1
BLPOP m 1
ZADD z 1 a 2 b 3 c 4 d
BZPOPMIN z 1
BZPOPMAX none z 1
BZMPOP 1 2 none z MIN
BZMPOP 1 2 none z MAX COUNT 9
"""

MISSES = """
GET none
MGET none none2
STRLEN none
EXISTS none
TYPE none
TTL none
TOUCH none
SETRANGE none 0 ""
GETDEL none
GETEX none
GETSET fresh x
SET fresh x
SET fresh x GET
SET fresher x GET
LLEN none
LPOP none
HGET none f
SMEMBERS none
ZSCORE none m
SINTER none none2
SDIFF fresh2 none
INCR counter
APPEND more x
OBJECT ENCODING none
DUMP none
COPY none x
RENAME none x
SORT none
BITCOUNT none
GETBIT none 1
GETRANGE none 0 1
LRANGE none 0 1
SETBIT newbits 1 1
LPUSH newlist 1
SADD newset 1
HSET newhash f v
ZADD newzset 1 m
RENAME newlist renamed
COPY newset copied
SUNIONSTORE stored newset none
"""


def sequences(server: Server, commands: list[list[bytes]], classes: str) -> list[Any]:
    """(command, its events as (channel, message)), in the order in which they were heard."""
    with server.resp() as connection, server.resp() as listener:
        connection.command("FLUSHALL")
        assert connection.command("CONFIG", "SET", "notify-keyspace-events", classes) == Simple("OK")
        listener.command("PSUBSCRIBE", "__key*__:*")
        heard = []
        for command in commands:
            connection.send_command(*command)
            connection.read()
            connection.command("PUBLISH", MARK, "")
            heard.append((command, until_mark(listener)))
        connection.command("CONFIG", "SET", "notify-keyspace-events", "")
        return heard


def until_mark(listener: Resp) -> list[tuple[bytes, bytes]]:
    found = []
    while True:
        _, _, channel, message = listener.read()
        if channel == MARK.encode():
            return found
        found.append((channel, message))


def assert_same_events(ours: Server, oracle: Oracle, script: str, classes: str) -> None:
    commands = parse_script(script, oracle)
    mine, theirs = (sequences(server, commands, classes) for server in (ours, oracle))
    differences = [
        f"{b' '.join(command).decode('latin-1')}\n  ours   {events}\n  theirs {other}"
        for (command, events), (_, other) in zip(mine, theirs, strict=True)
        if events != other
    ]
    assert not differences, "\n".join(differences)
    assert any(events for _, events in mine)


@pytest.mark.parametrize(
    "script",
    [STRINGS, GENERIC, HASHES, LISTS, SETS, SORTED_SETS, STREAMS, GEO, BLOCKING],
    ids=["strings", "generic", "hashes", "lists", "sets", "sorted-sets", "streams", "geo", "blocking"],
)
def test_events_of_commands(redis_oracle: Oracle, shoal_node: ShoalNode, script: str) -> None:
    assert_same_events(shoal_node, redis_oracle, script, "KEA")


def test_misses_and_new_keys(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    assert_same_events(shoal_node, redis_oracle, MISSES, "Eg$lshzxnm")


def test_expired_keys(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    """Met by a read, by a write, and by nobody; each is told of once."""
    for server in (shoal_node, redis_oracle):
        with server.resp() as connection, server.resp() as listener:
            connection.command("FLUSHALL")
            connection.command("CONFIG", "SET", "notify-keyspace-events", "Ex")
            listener.command("PSUBSCRIBE", "__key*__:*")
            connection.command("SELECT", "3")
            connection.command("SET", "gone", "v", "PX", "20")
            assert listener.read() == [b"pmessage", b"__key*__:*", b"__keyevent@3__:expired", b"gone"]
            connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            connection.command("SET", "read", "v", "PXAT", "1")
            connection.command("SET", "written", "v", "PXAT", "1")
            connection.command("GET", "read")
            connection.command("SET", "written", "v")
            connection.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
            assert [listener.read()[3] for _ in range(2)] == [b"read", b"written"]
            connection.command("CONFIG", "SET", "notify-keyspace-events", "")


def test_a_client_is_told_of_its_own_changes_after_their_reply(
    redis_oracle: Oracle, shoal_node: ShoalNode
) -> None:
    told = []
    for server in (shoal_node, redis_oracle):
        with server.resp(protocol=3) as connection:
            connection.command("FLUSHALL")
            connection.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
            connection.command("PSUBSCRIBE", "__key*__:*")
            story = (("SET", "k", "v"), ("MULTI",), ("DEL", "k"), ("LPUSH", "k", "a"), ("EXEC",), ("PING",))
            connection.send(b"".join(encode(*command) for command in story))
            told.append([connection.read() for _ in range(len(story) + 6)])
            connection.command("CONFIG", "SET", "notify-keyspace-events", "")
    assert told[0] == told[1]
    assert told[0][0] == Simple("OK")
    assert told[0][1] == Push([b"pmessage", b"__key*__:*", b"__keyspace@0__:k", b"set"])


def test_nothing_is_told_without_a_channel_or_a_class(shoal_node: ShoalNode) -> None:
    for letters in ("", "K", "E", "A", "g$", "KE", "Kl"):
        with shoal_node.resp() as connection, shoal_node.resp() as listener:
            assert not isinstance(
                connection.command("CONFIG", "SET", "notify-keyspace-events", letters), Error
            )
            listener.command("PSUBSCRIBE", "__key*__:*")
            connection.command("SET", "k", "v")
            connection.command("PUBLISH", MARK, "")
            assert until_mark(listener) == [], letters
    shoal_node.run("CONFIG", "SET", "notify-keyspace-events", "")
