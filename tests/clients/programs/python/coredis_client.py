"""coredis, which speaks RESP3 and nothing else; `redis_py.py` says what the lines mean."""

import asyncio
import sys

import coredis

mode, host, port, prefix, _ = sys.argv[1:]


def key(name: str) -> str:
    return f"{prefix}:{name}"


def tell(name: str, value: object) -> None:
    print(f"{name}={value}")


async def main() -> None:
    kind = coredis.RedisCluster if mode == "cluster" else coredis.Redis
    client = kind(host=host, port=int(port))
    async with client:
        tell("ping", (await client.ping()).decode())
        await client.set(key("binary"), b"a\0\r\n\xff$*")
        tell("binary", (await client.get(key("binary"))).hex())
        tell("missing", "nil" if await client.get(key("missing")) is None else "something")
        await client.hset(key("hash"), {"a": 1, "b": 2})
        fields = await client.hgetall(key("hash"))
        tell("hash", ",".join(f"{name.decode()}={fields[name].decode()}" for name in sorted(fields)))
        await client.rpush(key("list"), ["1", "2", "3"])
        tell("list", b",".join(await client.lrange(key("list"), 0, -1)).decode())
        await client.zadd(key("zset"), {"one": 1, "two": 2.5})
        scores = await client.zrange(key("zset"), 0, -1, withscores=True)
        tell("zset", ",".join(f"{pair.member.decode()}={pair.score:g}" for pair in scores))
        await client.sadd(key("set"), ["x", "y"])
        tell("set", b",".join(sorted(await client.smembers(key("set")))).decode())
        try:
            await client.incr(key("list"))
        except coredis.exceptions.WrongTypeError:
            tell("error", "WRONGTYPE")
        await client.set(key("fleeting"), 1, ex=100)
        tell("ttl", await client.ttl(key("fleeting")))
        numbers = range(500)
        for number in numbers:
            await client.set(key(f"spread:{number}"), str(number))
        values = [await client.get(key(f"spread:{number}")) for number in numbers]
        tell("spread", sum(value == b"%d" % number for number, value in zip(numbers, values, strict=True)))


asyncio.run(main())
