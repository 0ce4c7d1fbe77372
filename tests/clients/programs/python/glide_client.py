"""valkey-glide: a core written in Rust, as of the Java, Node.js and Go clients of that family."""

import asyncio
import sys

import glide

mode, host, port, prefix, protocol = sys.argv[1:]


def key(name: str) -> str:
    return f"{prefix}:{name}"


def tell(name: str, value: object) -> None:
    print(f"{name}={value}")


async def main() -> None:
    options = {
        "addresses": [glide.NodeAddress(host, int(port))],
        "protocol": glide.ProtocolVersion.RESP3 if protocol == "3" else glide.ProtocolVersion.RESP2,
        "request_timeout": 5000,
    }
    if mode == "cluster":
        client = await glide.GlideClusterClient.create(glide.GlideClusterClientConfiguration(**options))
    else:
        client = await glide.GlideClient.create(glide.GlideClientConfiguration(**options))
    tell("ping", (await client.ping()).decode())
    await client.set(key("binary"), b"a\0\r\n\xff$*")
    tell("binary", (await client.get(key("binary"))).hex())
    tell("missing", "nil" if await client.get(key("missing")) is None else "something")
    await client.hset(key("hash"), {"a": "1", "b": "2"})
    fields = await client.hgetall(key("hash"))
    tell("hash", ",".join(f"{name.decode()}={fields[name].decode()}" for name in sorted(fields)))
    await client.rpush(key("list"), ["1", "2", "3"])
    tell("list", b",".join(await client.lrange(key("list"), 0, -1)).decode())
    await client.zadd(key("zset"), {"one": 1, "two": 2.5})
    scores = await client.zrange_withscores(key("zset"), glide.RangeByIndex(0, -1))
    tell("zset", ",".join(f"{member.decode()}={score:g}" for member, score in scores.items()))
    await client.sadd(key("set"), ["x", "y"])
    tell("set", b",".join(sorted(await client.smembers(key("set")))).decode())
    script = glide.Script("return {ARGV[1], tonumber(ARGV[2]) + 1}")
    word, number = await client.invoke_script(script, keys=[key("script")], args=["seven", "7"])
    tell("script", f"{word.decode()},{number}")
    try:
        await client.incr(key("list"))
    except glide.RequestError as error:
        tell("error", "WRONGTYPE" if "WRONGTYPE" in str(error) else str(error))
    await client.set(key("fleeting"), "1", expiry=glide.ExpirySet(glide.ExpiryType.SEC, 100))
    tell("ttl", await client.ttl(key("fleeting")))
    numbers = range(500)
    await asyncio.gather(*(client.set(key(f"spread:{number}"), str(number)) for number in numbers))
    values = await client.mget([key(f"spread:{number}") for number in numbers])
    tell("spread", sum(value == b"%d" % number for number, value in zip(numbers, values, strict=True)))
    await client.close()


asyncio.run(main())
