"""A client that caches what it reads, and drops what CLIENT TRACKING tells it to.

with CachingClient(proxy) as client:
    client.get("k")          # asked
    client.get("k")          # from its cache, unless it was told meanwhile
"""

from __future__ import annotations

from typing import Any

from tests.harness.resp import Push, Simple
from tests.harness.servers import Server


class CachingClient:
    def __init__(self, server: Server, *options: str, timeout: float = 10.0) -> None:
        self.connection = server.resp(protocol=3, timeout=timeout)
        self.cache: dict[str, Any] = {}
        self.emptied = 0
        """How often it was told to forget everything."""
        assert self.connection.command("CLIENT", "TRACKING", "ON", *options) == Simple("OK")

    def __enter__(self) -> CachingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def get(self, key: str) -> Any:
        self.heed()
        return self.read(key)

    def read(self, key: str) -> Any:
        """The same, not asking what it has been told since it last read from its connection."""
        if key not in self.cache:
            self.connection.send_command("GET", key)
            value = self.read_reply()
            self.cache[key] = value
        return self.cache[key]

    def heed(self) -> None:
        """Drop what it has been told to drop so far."""
        self.connection.send_command("PING")
        self.read_reply()

    def read_reply(self) -> Any:
        while isinstance(frame := self.connection.read(), Push):
            self._heed(frame)
        return frame

    def _heed(self, push: Push) -> None:
        assert push.items[0] == b"invalidate", push
        if isinstance(push.items[1], list):
            for key in push.items[1]:
                self.cache.pop(key.decode(), None)
        else:
            self.cache.clear()
            self.emptied += 1
