"""redis-py, synchronous, or valkey-py, which began as a copy of it: CLIENT_MODULE names the module."""

import importlib
import os
import sys

mode, host, port, prefix, protocol = sys.argv[1:]
name = os.environ.get("CLIENT_MODULE", "redis")
module = importlib.import_module(name)
kind = getattr(module, name.capitalize() + ("Cluster" if mode == "cluster" else ""))
client = kind(host=host, port=int(port), protocol=int(protocol))


def key(name: str) -> str:
    return f"{prefix}:{name}"


def tell(name: str, value: object) -> None:
    print(f"{name}={value}")


tell("ping", "PONG" if client.ping() else "silence")
client.set(key("binary"), b"a\0\r\n\xff$*")
tell("binary", client.get(key("binary")).hex())
tell("missing", "nil" if client.get(key("missing")) is None else "something")
with client.pipeline(transaction=False) as pipeline:
    for _ in range(1000):
        pipeline.incr(key("counter"))
    tell("pipeline", pipeline.execute()[-1])
client.hset(key("hash"), mapping={"a": 1, "b": 2})
fields = client.hgetall(key("hash"))
tell("hash", ",".join(f"{name.decode()}={fields[name].decode()}" for name in sorted(fields)))
client.rpush(key("list"), 1, 2, 3)
tell("list", b",".join(client.lrange(key("list"), 0, -1)).decode())
client.zadd(key("zset"), {"one": 1, "two": 2.5})
scores = client.zrange(key("zset"), 0, -1, withscores=True)
tell("zset", ",".join(f"{member.decode()}={score:g}" for member, score in scores))
client.sadd(key("set"), "x", "y")
tell("set", b",".join(sorted(client.smembers(key("set")))).decode())
if name == "redis" or mode != "cluster":  # valkey-py has no transactions in clusters
    with client.pipeline(transaction=True) as transaction:
        transaction.set(key("number"), 1)
        transaction.incr(key("number"))
        done, number = transaction.execute()
    tell("transaction", f"{'OK' if done else done},{number}")
word, number = client.eval("return {ARGV[1], tonumber(ARGV[2]) + 1}", 1, key("script"), "seven", 7)
tell("script", f"{word.decode()},{number}")
try:
    client.incr(key("list"))
except module.ResponseError as error:
    tell("error", str(error).split()[0])
client.set(key("fleeting"), 1, ex=100)
tell("ttl", client.ttl(key("fleeting")))
client.rpush(key("queue"), "job")
tell("queue", client.blpop([key("queue")], timeout=1)[1].decode())
tagged = "{m}" if mode == "cluster" else "m"
client.set(key(f"{tagged}:1"), 1)
client.set(key(f"{tagged}:3"), 3)
values = client.mget([key(f"{tagged}:{number}") for number in (1, 2, 3)])
tell("mget", ",".join("nil" if value is None else value.decode() for value in values))
client.set(key("big"), b"x" * (1 << 20))
tell("big", len(client.get(key("big"))))
for number in range(500):
    client.set(key(f"spread:{number}"), number)
tell("spread", sum(client.get(key(f"spread:{number}")) == b"%d" % number for number in range(500)))
with client.pubsub(ignore_subscribe_messages=True) as subscriber:
    subscriber.subscribe(key("channel"))
    subscriber.get_message(timeout=5)  # the confirmation
    client.publish(key("channel"), "hello")
    message = subscriber.get_message(timeout=5)
    tell("pubsub", message["data"].decode() if message else "silence")
