"""What replicas are told: the replication stream of our worker beside that of redis-server.

A test is a replica that asks with SYNC, throws the snapshot away and reads on. What must agree is every
command, word for word, but for the case of its name. Moments that lie around the present are compared as
such, since the servers were asked one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from io import BufferedReader

import pytest

from tests.compat.differential import parse_script, show
from tests.harness.resp import encode
from tests.harness.servers import Oracle, Server, ShoalNode

END = b"that was all"
SOON_MS = 3_600_000
ON_ITS_OWN = {b"SELECT", b"PING", b"REPLCONF"}
"""Commands that say nothing about the data."""

SCRIPT = """
set a 1 EX 100
set a 1 PXAT 99999999999999
set a 1 PXAT 99999999999999 GET
set a 1 GET
set a 1 get NX
set a 1 XX GET KEEPTTL
set a 1 EX 10 XX GET
set a 1 KEEPTTL
set b 1 NX
set b 1 NX
set nokey 1 XX
setex a 100 b
psetex a 100000 b
setnx a 1
setnx n 1
getset a 2
getdel a
getdel a
set a 1
getex a
getex a EX 10
getex a EXAT 99999999999
getex a PERSIST
getex a PERSIST
getex a EXAT 1
mset a 1 b 2
msetnx a 1 c 2
msetnx c 1 d 2
append a x
setrange a 3 abc
setrange a 3 ""
set a 1 px 100000 nx
set a 1 px 100000 xx
set a 1 nx
set a 1 xx KEEPTTL
setnx a 1
incr n
decr n
incrby n 9223372036854775807
incrby n 5
decrby n 5
incr a
incrbyfloat n 1.5
incrbyfloat n 0.25
setbit bits 7 1
setbit bits 7 1
setbit bits 5 0
setbit bits 50 0
bitfield bits get u8 0
bitfield bits set u8 0 1 incrby u8 8 1
bitfield bits incrby u8 8 0
bitop and d bits bits
bitop and d nokey
bitop and d nokey
expire a 100
expire a 200 GT
expire a 100 gt
expire nokey 100
pexpire a 500000
expireat a 99999999999
pexpireat a 99999999999999 xx
persist a
persist a
expire a -1
set a 1
expireat a 1 NX
del a b nokey
del nokey
unlink n
unlink n
set a 1 EX 100
copy a b
copy a b
copy a b REPLACE
rename a c
renamenx c b
renamenx c e
move e 1
touch b
lpush l a "\\x00\\r\\n"
lpushx nolist a
rpushx l b
rpop l
lpop l 2
lpop l 0
lpop l
lpop l
rpush a x
rpush l 3 1 2
sort l
sort l store sorted
sort nokey store sorted
sort nokey store sorted
geoadd geo 13.361389 38.115556 a 15.087269 37.502669 b
geoadd geo NX ch 13.361389 38.115556 a 15 37 c
geoadd geo 13.361389 38.115556 a
geoadd geo XX 1 1 nobody
georadius geo 15 37 200 km
georadius geo 15 37 200 km STORE found
georadiusbymember geo a 200 km STOREDIST found
geosearchstore found geo FROMLONLAT 15 37 BYRADIUS 200 km
geosearchstore found geo FROMLONLAT 0 0 BYRADIUS 1 km
geosearchstore found geo FROMLONLAT 0 0 BYRADIUS 1 km
sadd one x
spop one
sadd one x
spop one 1
sadd s x y z
spop s 5
spop nokey
spop last
sadd last only
spop last
sadd last only
sadd last only
srem last only nosuch
srem last only
hset fields a 1 b 2
hset fields a 1
hsetnx fields a 2
hincrby fields a 2
hmset fields c 3
hdel fields nosuch
hdel fields a b c
zadd ranks 1 a 2 b
zadd ranks 1 a
zincrby ranks 0 a
zincrby ranks 1.5 a
zrem ranks nosuch
zpopmin ranks
zpopmin ranks 0
zpopmin ranks 5
zpopmin ranks
sadd s x
smove s t x
smove s t x
pfadd hll a b
pfadd hll a
pfcount hll
pfcount hll
pfcount hll nokey
pfadd hll2 c
pfmerge hll hll2
pfmerge hll hll2
pfdebug todense hll
pfdebug todense hll
pfdebug getreg hll2
set past 1 PXAT 1
"""


def read_command(stream: BufferedReader) -> list[bytes]:
    header = stream.readline()
    while header == b"\n":
        header = stream.readline()
    assert header[:1] == b"*", header
    words = []
    for _ in range(int(header[1:])):
        length = int(stream.readline()[1:])
        words.append(stream.read(length))
        stream.read(2)
    return words


def skip_snapshot(stream: BufferedReader) -> None:
    header = stream.readline()
    while header == b"\n":
        header = stream.readline()
    assert header[:1] == b"$", header
    if not header.startswith(b"$EOF:"):
        stream.read(int(header[1:]))
        return
    mark = header[5:].strip()
    seen = stream.read(len(mark))
    while not seen.endswith(mark):
        seen = (seen + stream.read(1))[-len(mark) :]


def comparable(words: list[bytes]) -> list[bytes]:
    now = time.time() * 1000
    words = [words[0].upper(), *words[1:]]
    near = [word.isdigit() and abs(int(word) - now) < SOON_MS for word in words]
    return [b"<soon>" if soon else word for word, soon in zip(words, near, strict=True)]


def stream_of(server: Server, script: Sequence[list[bytes] | bytes]) -> list[list[bytes]]:
    """The commands that a replica receives while `script` is executed, and none of what time does. A command
    that is bytes is sent as a line."""
    with server.resp() as client, server.resp(timeout=20) as replica:
        client.command("FLUSHALL")
        client.command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        replica.send_command("SYNC")
        stream = replica.socket.makefile("rb")
        skip_snapshot(stream)
        for command in [*script, [b"SET", END, b""]]:
            client.send(command + b"\r\n" if isinstance(command, bytes) else encode(*command))
            client.read_raw()
        received: list[list[bytes]] = []
        while True:
            words = read_command(stream)
            if END in words:
                client.command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
                return received
            if words[0].upper() not in ON_ITS_OWN:
                received.append(comparable(words))


@pytest.fixture(scope="module")
def streams(shoal_server: ShoalNode, redis_server: Oracle) -> tuple[list[list[bytes]], list[list[bytes]]]:
    script = parse_script(SCRIPT, redis_server)
    return stream_of(shoal_server, script), stream_of(redis_server, script)


def test_replicas_hear_the_same(streams: tuple[list[list[bytes]], list[list[bytes]]]) -> None:
    ours, theirs = ([show(words) for words in each] for each in streams)
    assert ours == theirs


def test_what_came_as_a_line_is_told_in_words(shoal_server: ShoalNode, redis_server: Oracle) -> None:
    lines = [
        b"SET a 1",
        b"set a 1 EX 100",
        b"incr a",
        b"INCRBYFLOAT a 1",
        b"lpush l x y",
        b"del a l",
        b"get a",
    ]
    ours, theirs = (stream_of(server, lines) for server in (shoal_server, redis_server))
    assert ours == theirs
    assert [words[0] for words in ours] == [b"SET", b"SET", b"INCR", b"SET", b"LPUSH", b"DEL"]


def test_nothing_relative_is_left(streams: tuple[list[list[bytes]], list[list[bytes]]]) -> None:
    relative = {b"EXPIRE", b"PEXPIRE", b"SETEX", b"PSETEX", b"INCRBYFLOAT", b"GETEX"}
    assert not [words for words in streams[0] if words[0].upper() in relative]
