"""Files of older servers: those of redis-server 7.0, and all that was written before, composed by hand, which
today's servers read as we do."""

from __future__ import annotations

import functools
import shutil
from typing import Any

import pytest

from node.core.crc64 import crc64
from tests.harness.servers import OldRedis, Oracle, Server, ShoalNode
from tests.harness.wait import eventually
from tests.integration.datasets import FAR, content, fill
from tests.unit import test_stream_rdb as old_streams
from tests.unit.rdb_bytes import encode_string
from tests.unit.test_rdb_encodings import a_ziplist

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tables": {
        "hash_max_listpack_entries": 0,
        "set_max_intset_entries": 0,
        "zset_max_listpack_entries": 0,
        "list_max_listpack_size": 1,
    },
    "packs": {
        "hash_max_listpack_entries": 100_000,
        "hash_max_listpack_value": 10_000,
        "zset_max_listpack_entries": 100_000,
        "set_max_intset_entries": 100_000,
        "list_max_listpack_size": -5,
        "list_compress_depth": 1,
        "stream_node_max_entries": 1000,
        "rdbcompression": "no",
    },
}


def fill_large(each: Server) -> None:
    fill(each)
    with each.client() as client:
        client.hset("hash:huge", mapping={f"field:{n}": n for n in range(3000)})
        client.zadd("zset:huge", {f"member:{n}": n * 0.5 for n in range(3000)})
        client.sadd("set:huge", *range(3000))
        client.rpush("list:huge", *(f"item:{n}" * (n % 5) for n in range(5000)))


def told(each: Server) -> Any:
    """The content, but when consumers of streams were active, which was not known of old."""
    found = content(each)
    for kind, value, _ in found.values():
        if kind == b"stream":
            for group in value[b"groups"]:
                for consumer in group[b"consumers"]:
                    consumer.pop(b"active-time", None)
    return found


def digest(each: Server) -> Any:
    """Of today's servers: Redis 7.0 wrote scores in other digits."""
    with each.resp(timeout=30) as client:
        return client.command("DEBUG", "DIGEST")


@pytest.mark.parametrize("settings", SETTINGS)
def test_files_of_redis_7_0(settings: str) -> None:
    node, oracle = ShoalNode(), Oracle("redis")
    with OldRedis(**SETTINGS[settings]) as old:
        fill_large(old)
        assert old.run("SAVE").text == "OK"
        for each in (node, oracle):
            shutil.copy(old.directory / "dump.rdb", each.directory)
        assert (node.directory / "dump.rdb").read_bytes().startswith(b"REDIS0010")
        with node, oracle:
            assert told(node) == told(old)
            assert digest(node) == digest(oracle)


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_append_only_files_of_redis_7_0(preamble: str) -> None:
    node, oracle = (each(appendonly="yes") for each in (ShoalNode, functools.partial(Oracle, "redis")))
    with OldRedis(appendonly="yes", aof_use_rdb_preamble=preamble) as old:
        fill(old)
        old.run("DEL", "stream:groups")  # when its consumers were seen is not recorded
        old.run("BGREWRITEAOF")
        eventually(lambda: not old.info("persistence")["aof_rewrite_in_progress"], "the rewrite")
        with old.client() as client, client.pipeline(transaction=True) as pipe:
            pipe.set("later", "1").rpush("list:small", "a", "b").execute()
        before = told(old)
        old.stop()
        for each in (node, oracle):
            shutil.copytree(old.directory / "appendonlydir", each.directory / "appendonlydir")
    with node, oracle:
        assert told(node) == before
        assert digest(node) == digest(oracle)
        assert node.run("LRANGE", "list:small", -2, -1) == [b"a", b"b"]


def a_zipmap(pairs: dict[bytes, bytes]) -> bytes:
    """Each value with a spare byte behind it, as an overwritten longer one leaves it."""

    def length(text: bytes) -> bytes:
        return bytes((len(text),)) if len(text) < 254 else b"\xfe" + len(text).to_bytes(4, "little")

    body = b"".join(length(f) + f + length(v) + b"\x01" + v + b"\0" for f, v in pairs.items())
    return bytes((min(len(pairs), 254),)) + body + b"\xff"


def an_intset(width: int, *numbers: int) -> bytes:
    head = width.to_bytes(4, "little") + len(numbers).to_bytes(4, "little")
    return plain(head + b"".join(number.to_bytes(width, "little", signed=True) for number in numbers))


def short(text: str) -> bytes:
    """A string of up to 63 bytes as an entry of a ziplist."""
    return bytes((len(text),)) + text.encode()


def plain(text: bytes) -> bytes:
    return encode_string(text, compress=False)


NUMBERS = [
    b"\xf1", b"\xfd", b"\xfe\x80", b"\xc0\xe8\x03", b"\xf0\xff\xff\x7f", b"\xd0\0\0\0\x80",
    b"\xe0" + b"\xff" * 7 + b"\x7f",
]  # fmt: skip
"""0, 12, -128, 1000, and the extremes of 24, 32 and 64 bits, as entries of a ziplist."""

HUGE = [b"\xc0%b" % number.to_bytes(2, "little") for number in range(200, 22_200)] * 3
"""More entries than a ziplist can say that it has."""

OLD_VALUES: dict[str, tuple[int, bytes]] = {
    "list": (1, b"\x03" + plain(b"a") + encode_string(b"-70000") + encode_string(b"abc" * 50)),
    "set": (2, b"\x02" + plain(b"a") + encode_string(b"12")),
    "zset with texts": (3, b"\x05\x01a\x031.5\x01b\xfe\x01c\xff\x01d\x161.0000000000000001e-10\x01e\x02-0"),
    "hash": (4, b"\x02\x01f\x01v\x01g" + encode_string(b"-1")),
    "hash zipmap": (9, plain(a_zipmap({b"f": b"v", b"long": b"x" * 300, b"": b""}))),
    "hash large zipmap": (9, encode_string(a_zipmap({b"f%d" % n: b"%d" % n for n in range(300)}))),
    "list ziplist": (10, encode_string(a_ziplist(short("a"), *NUMBERS, b"\x41\x00" + b"b" * 256))),
    "set intset 16": (11, an_intset(2, -5, 3, 32767)),
    "set intset 32": (11, an_intset(4, -(1 << 31), 70_000)),
    "set intset 64": (11, an_intset(8, -(1 << 63), (1 << 63) - 1)),
    "zset ziplist": (
        12, plain(a_ziplist(short("a"), short("-inf"), short("b"), b"\xf2", short("c"), short("3.25")))
    ),
    "hash ziplist": (13, plain(a_ziplist(short("f"), b"\xf2", short("g"), short("v")))),
    "list quicklist": (14, b"\x03" + b"".join(map(plain, (
        a_ziplist(short("a"), *NUMBERS), a_ziplist(b"\x80\0\0\x40\0" + b"c" * 16384), a_ziplist(short("z")),
    )))),
    "stream 1": (15, old_streams.body(1, groups=b"\1" + old_streams.group(1))),
    "stream 2": (19, old_streams.body(2, groups=b"\1" + old_streams.group(2))),
}  # fmt: skip


def an_old_file(version: int) -> bytes:
    """All of them; but the huge one, each with no expiry, one in seconds, and one in milliseconds."""
    seconds = b"\xfd" + (2_000_000_000).to_bytes(4, "little")
    milliseconds = b"\xfc" + FAR.to_bytes(8, "little")
    entries = b"".join(
        expiry + bytes((code,)) + encode_string(f"{name}:{number}".encode()) + value
        for name, (code, value) in OLD_VALUES.items()
        for number, expiry in enumerate((b"", seconds, milliseconds))
    )
    entries += b"\x0a\x04huge" + encode_string(a_ziplist(*HUGE))
    file = b"REDIS%04d\xfe\x00" % version + entries + b"\xff"
    return file + crc64(file).to_bytes(8, "little") if version >= 5 else file


@pytest.mark.parametrize("version", [1, 4, 5, 9])
def test_files_of_servers_before(version: int) -> None:
    """Types did not wait for their version to be read. Up to version 4 there is no checksum."""
    servers = [ShoalNode(), Oracle("redis"), Oracle("valkey")]
    found = []
    for each in servers:
        (each.directory / "dump.rdb").write_bytes(an_old_file(version))
        with each:
            found.append((told(each), digest(each)))
    assert len(found[0][0]) == 3 * len(OLD_VALUES) + 1
    assert found[0] == found[1] == found[2]
