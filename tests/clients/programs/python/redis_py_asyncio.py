"""redis-py on asyncio: what is different there; `redis_py.py` says the rest."""

import asyncio
import sys

import redis.asyncio as redis

mode, host, port, prefix, protocol = sys.argv[1:]


def key(name: str) -> str:
    return f"{prefix}:{name}"


def tell(name: str, value: object) -> None:
    print(f"{name}={value}")


async def main() -> None:
    options = {"host": host, "port": int(port), "protocol": int(protocol)}
    kind = redis.RedisCluster if mode == "cluster" else redis.Redis
    async with kind(**options) as client:
        tell("ping", "PONG" if await client.ping() else "silence")
        await client.set(key("binary"), b"a\0\r\n\xff$*")
        tell("binary", (await client.get(key("binary"))).hex())
        tell("missing", "nil" if await client.get(key("missing")) is None else "something")
        pipeline = client.pipeline() if mode == "cluster" else client.pipeline(transaction=False)
        for _ in range(1000):
            pipeline.incr(key("counter"))
        tell("pipeline", (await pipeline.execute())[-1])
        try:
            await client.lpush(key("counter"), "x")
        except redis.ResponseError as error:
            tell("error", str(error).split()[0])
        await client.set(key("fleeting"), 1, ex=100)
        tell("ttl", await client.ttl(key("fleeting")))
        await client.rpush(key("queue"), "job")
        tell("queue", (await client.blpop([key("queue")], timeout=1))[1].decode())
        right = 0
        for first in range(0, 500, 50):  # at once, each on a connection of the pool
            numbers = range(first, first + 50)
            await asyncio.gather(*(client.set(key(f"spread:{number}"), number) for number in numbers))
            values = await asyncio.gather(*(client.get(key(f"spread:{number}")) for number in numbers))
            right += sum(value == b"%d" % number for number, value in zip(numbers, values, strict=True))
        tell("spread", right)


asyncio.run(main())
