"""Data of every plain type and encoding, and the whole content of a server as something that compares."""

from __future__ import annotations

from typing import Any

import redis

from tests.harness.servers import Server

FAR = 4_000_000_000_000
"""An expiry in Unix ms that no test lives to see."""


class _Tagged(redis.client.Pipeline):
    """Puts a tag before the key of each command, so that all are of one slot."""

    tag = ""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        place = args.index(b"STREAMS") + 1 if b"STREAMS" in args else 1
        tagged = (*args[:place], self.tag + args[place], *args[place + 1 :])
        return super().execute_command(*tagged, **options)


def fill(server: Server, tag: str = "") -> None:
    """Every type, in each encoding that servers know, with and without expiry. `tag` precedes all keys."""
    with server.client() as client:
        pipe = _Tagged(client.connection_pool, client.response_callbacks, False, None)
        pipe.tag = tag
        for number in (0, -1, 127, -129, 32767, -40000, 1 << 31, -(1 << 63), (1 << 63) - 1):
            pipe.set(f"int:{number}", number)
        pipe.set("empty", "")
        pipe.set("short", b"\x00\xff\r\n")
        pipe.set("compressible", b"abc" * 2000)
        pipe.set("long", bytes(range(256)) * 300)
        pipe.set("expires", "1", pxat=FAR)
        pipe.hset("hash:small", mapping={"a": "1", "b": "", "": "x", "n": -5000})
        pipe.hset("hash:large", mapping={f"field:{n}": n for n in range(1000)})
        pipe.hset("hash:wide", mapping={"a": "x" * 5000})
        pipe.rpush("list:small", "a", "1", "-70000", "", "z" * 60)
        pipe.rpush("list:large", *(f"item:{n}" for n in range(5000)))
        pipe.rpush("list:wide", "a", "b" * 20_000, "c", b"\x00" * 9000)
        pipe.sadd("set:small", "a", "b", "17")
        pipe.sadd("set:large", *(f"member:{n}" for n in range(1000)))
        for name, bits in (("16", 15), ("32", 31), ("64", 63)):
            pipe.sadd(f"set:int{name}", 1, 2, -(1 << bits), (1 << bits) - 1)
        pipe.zadd(
            "zset:small", {"a": 1, "b": 1.5, "c": float("inf"), "d": float("-inf"), "e": 1e-10, "f": -0.1}
        )
        pipe.zadd("zset:large", {f"member:{n}": n / 7 for n in range(1000)})
        fill_streams(pipe)
        for key in ("hash:small", "list:large", "set:small", "zset:large"):
            pipe.pexpireat(key, FAR)
        pipe.execute()


def fill_streams(pipe: redis.client.Pipeline) -> None:
    """Empty, of several nodes, with gaps, and with groups that have things pending."""
    pipe.xgroup_create("stream:empty", "group", 0, mkstream=True)
    for number in range(1, 251):
        pipe.xadd("stream:large", {"n": number, "text": "x" * number}, id=f"{number * 1000}-{number % 3}")
    for number in range(1, 8):
        pipe.xadd("stream:gaps", {"a": number} if number % 3 else {"b": "", "c": -number}, id=f"{number}-0")
    pipe.xdel("stream:gaps", "2-0", "3-0").xtrim("stream:gaps", minid="2-0", approximate=False)
    for number in range(1, 6):
        pipe.xadd("stream:groups", {"a": number}, id=f"0-{number}")
    pipe.xgroup_create("stream:groups", "first", 0).xgroup_create("stream:groups", "second", "0-3")
    pipe.xreadgroup("first", "alice", {"stream:groups": ">"}, count=2)
    pipe.xreadgroup("first", "bob", {"stream:groups": ">"}, count=2)
    pipe.xgroup_createconsumer("stream:groups", "first", "idle")
    pipe.xack("stream:groups", "first", "0-1")


def fill_strings(server: Server, count: int) -> None:
    """`count` strings of 64 bytes, for when there should be much of it."""
    with server.client() as client:
        for start in range(0, count, 1000):
            client.mset({f"string:{n}": f"{n:064}" for n in range(start, min(start + 1000, count))})


def _connect_readonly(connection: Any) -> None:
    connection.on_connect()
    connection.send_command("READONLY")
    connection.read_response()


def content(server: Server) -> dict[bytes, tuple[bytes, Any, int]]:
    """key → (type, value, expiry in Unix ms or -1) of all keys of database 0; from replicas of a cluster,
    too."""
    in_cluster = server.config.get("cluster-enabled") == "yes"
    with server.client(redis_connect_func=_connect_readonly if in_cluster else None) as client:
        keys = list(client.scan_iter(count=1000))
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key).pexpiretime(key)
        facts = iter(pipe.execute())
        types = {key: (next(facts), next(facts)) for key in keys}
        for key, (kind, _) in types.items():
            _READ[kind](pipe, key)
        values = pipe.execute()
    return {
        key: (kind, value, expires_at)
        for (key, (kind, expires_at)), value in zip(types.items(), values, strict=True)
    }


_READ: dict[bytes, Any] = {
    b"string": redis.client.Pipeline.get,
    b"hash": redis.client.Pipeline.hgetall,
    b"list": lambda pipe, key: pipe.lrange(key, 0, -1),
    b"set": redis.client.Pipeline.smembers,
    b"stream": lambda pipe, key: pipe.execute_command("XINFO", "STREAM", key, "FULL", "COUNT", 0),
    b"zset": lambda pipe, key: pipe.zrange(key, 0, -1, withscores=True),
}
