"""Opening a connection, by TLS or plain, for a protocol that is told of it when it can be used."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from node.tls.transport import TlsTransport


async def connect(
    make: Callable[[], Any], host: str, port: int, context: ssl.SSLContext | None, source: str | None = None
) -> None:
    """Returns after the protocol's `connection_made`. Raises OSError; a handshake that fails is one."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    if context is None:
        await loop.create_connection(make, host, port, local_addr=local)
        return
    outcome: asyncio.Future[str | None] = loop.create_future()

    def settled(_: TlsTransport, reason: str | None) -> None:
        if not outcome.done():
            outcome.set_result(reason)

    layer = TlsTransport(make(), context, settled, serves=False)
    try:
        await loop.create_connection(lambda: layer, host, port, local_addr=local)
        reason = await outcome
    except BaseException:
        layer.abort()
        raise
    if reason is not None:
        raise ConnectionError(reason)
