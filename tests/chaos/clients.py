"""Real clients as the lab needs them: redis-py, which repeats nothing by itself.

A write that was carried out, got lost on its way back and is repeated happens twice; a history that does not
know of that looks broken when it is not. So an error goes to the caller, who books it as *unknown* (it may
have happened, or may yet) unless the server itself refused the request.

Patience is how long a client waits for a reply. The lab has both kinds: the impatient go on to the next
server, the patient wait in the sockets of a frozen one, to be answered when it wakes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from tests.chaos.threads import ThreadGroup

IMPATIENT = 0.5
PATIENT = 30.0
LIFETIMES = (0.5, 3.0)
"""Seconds after which a client is replaced by a new one, which asks anew who owns what."""
ERRORS = (redis.RedisError, RedisClusterException)
"""What requests may raise. The second is none of the first, and says that nobody answered."""


def connect(host: str, port: int, patience: float) -> redis.RedisCluster:
    """A client of the whole cluster."""
    return redis.RedisCluster(
        host=host,
        port=port,
        socket_timeout=patience,
        socket_connect_timeout=IMPATIENT,
        retry=Retry(NoBackoff(), 0),
    )


def was_refused(error: Exception) -> bool:
    """Whether the server said no: then the request has not happened, and will not."""
    return isinstance(error, redis.ResponseError)


class Threads(ThreadGroup):
    """Functions that each repeat a step until the context is left, with a client of their own."""

    def __init__(self, connect: Callable[[float], redis.RedisCluster]) -> None:
        super().__init__()
        self._connect = connect

    def add(self, name: str, step: Callable[[redis.RedisCluster], None], patience: float) -> None:
        def run() -> None:
            while not self._stop.is_set():
                self._live(step, patience)

        self._add_thread(run, name)

    def _live(self, step: Callable[[redis.RedisCluster], None], patience: float) -> None:
        """The life of one client, if anybody answers."""
        try:
            connected = self._connect(patience)
        except ERRORS:
            self.pause(0.05)
            return
        with connected as client:
            until = time.monotonic() + random.uniform(*LIFETIMES)
            while not self._stop.is_set() and time.monotonic() < until:
                step(client)

    def pause(self, seconds: float) -> None:
        """For a step that had an error: until the next, but not beyond the end."""
        self._stop.wait(seconds)
