"""Clients that are connected and idle cost next to nothing.

Buffers hold memory only while they hold bytes, but a client's ring of requests in flight is as long as its
longest pipeline was: 10 kB for 200 requests, and times ten thousand clients that is much for nothing. So who
has asked for nothing since the last look owns no ring until it asks again; and what many have given back,
whether idle or gone, goes back to the system.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from proxy.core.buffers import trim_heap

if TYPE_CHECKING:
    from proxy.requests.commands import Commands

LOOK_SECONDS = 1.0
WORTH_BYTES = 1 << 20
"""Less than that is not worth a walk through the heap."""
WORTH_CLIENTS = 500


async def trim(commands: Commands) -> None:
    """Do so for ever."""
    freed = 0
    most = len(commands.clients)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        freed += sum(client.trim() for client in commands.clients.values())
        most = max(most, len(commands.clients))
        if freed >= WORTH_BYTES or most - len(commands.clients) >= WORTH_CLIENTS:
            trim_heap()
            freed, most = 0, len(commands.clients)
