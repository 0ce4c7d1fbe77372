"""What applications use beside: locks of redis-py, rate limits of limits, the cache of aiocache."""

import asyncio
import sys
import threading
import time

import redis
from aiocache import RedisCache
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

_, host, port, prefix, _ = sys.argv[1:]


def locks() -> None:
    """Eight threads add to one number, each reading and writing it with a lock held."""
    client = redis.Redis(host, int(port))
    client.set(f"{prefix}:sum", 0)

    def add() -> None:
        for _ in range(10):
            with client.lock(f"{prefix}:lock", timeout=10, sleep=0.001):
                client.set(f"{prefix}:sum", int(client.get(f"{prefix}:sum")) + 1)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"locks={int(client.get(f'{prefix}:sum'))}")


def rate_limits() -> None:
    storage = RedisStorage(f"redis://{host}:{port}/0", key_prefix=f"{{{prefix}}}")
    five = RateLimitItemPerMinute(5)
    while time.time() % 60 > 50:  # a window ends with the minute: not in the middle of this
        time.sleep(0.5)
    for strategy in (FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter):
        limiter = strategy(storage)
        allowed = sum(limiter.hit(five, strategy.__name__) for _ in range(8))
        print(f"{strategy.__name__}={allowed}")


async def cached() -> None:
    """Several keys with a timeout are set in one transaction: they get a hash tag."""
    async with RedisCache(endpoint=host, port=int(port), namespace=f"{{{prefix}}}") as cache:
        await cache.multi_set([("a", "1"), ("b", "2")], ttl=100)
        print(f"aiocache={await cache.multi_get(['a', 'b', 'c'])} {await cache.increment('n', 5)}")


locks()
rate_limits()
asyncio.run(cached())
